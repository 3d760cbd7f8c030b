//! The commands. The fixed ones are written here; those of the RPCs are made from the contract.

mod advice;
mod call;
mod certs;
mod completion;
mod config;
mod context;
mod contract;
mod demo;
mod doctor;
mod explain;
mod flags;
mod import;
mod json;
mod ledger;
mod nouns;
mod output;
mod papers;
mod probe;
mod raw;
mod reference;
mod retention;
mod seal;
mod serve;
mod signpost;
mod statistics;
mod table;
mod tls;
mod verify;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use contract::Contract;
use output::Format;

/// A consent-gated, provable exchange of cyber-incident information between agencies.
#[derive(Debug, Parser)]
#[command(
    name = "concordat",
    version,
    after_help = "Try it: concordat demo

Exit codes:
   0  done; a receipt or a ledger that is well; an ask that was released
   1  checked and not well, or the node turned the call away
   2  wrong usage
   3  could not tell: the node could not be asked, or gave no answer
  10  an ask: open. Nothing is released now; whether anything is held is not said
  11  an ask: not covered by the agreements

`concordat explain REASON` says more of any reason in any error."
)]
struct Cli {
    /// How to print. Default: a table in a terminal, JSON elsewhere. `statistics show` can print csv, too.
    #[arg(long, short, global = true, value_enum, value_name = "table|json", hide_possible_values = true)]
    output: Option<Format>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the whole story on three nodes on this machine, then stay up to be tried by hand.
    Demo(demo::Arguments),
    /// Run a node.
    Serve(serve::Arguments),
    /// Look at a node's clock, certificates, lists, database, schema, agreements, ports and peers.
    Doctor(doctor::Arguments),
    /// Check, print or begin a node's configuration.
    Config(config::Arguments),
    /// Bring a node's database up to date, and exit.
    Migrate(ledger::ConfigArgument),
    /// Ask a node's port for probes whether it is alive, ready or started.
    Probe(probe::Arguments),
    /// Check a receipt, offline.
    Verify(verify::Arguments),
    /// Make or check a node's ledger; ask a node for its checkpoints, entries and proofs.
    Ledger(ledger::Arguments),
    /// Register incidents from a file.
    Import(import::Arguments),
    /// Look at a table; publish a quarter, ask for tables, list what there is.
    Statistics(statistics::Arguments),
    /// Say whom a victim may turn to and which clocks the law starts, without a node; ask a node the same.
    Signpost(signpost::Arguments),
    /// Print what organisations are reminded of, without a node; record reminders, recommendations and categories.
    Advice(advice::Arguments),
    /// Erase what is past its time; propose and confirm erasures, follow what recipients disposed of.
    Retention(retention::Arguments),
    /// Say with which secrets a node's records are sealed; seal all of them with the newest.
    Seal(seal::Arguments),
    /// Explain a reason, an outcome or a verdict.
    Explain(explain::Arguments),
    /// Make an agency's authority and certificates, revoke them, and say what a node would say to them.
    Certs(certs::Arguments),
    /// Say what a node has in place of certificates, roots, revocation lists and token keys.
    Tls(tls::Arguments),
    /// Call any RPC of a node as an officer, with the request as JSON.
    Call(raw::CallArguments),
    /// Print a token for an officer, for use with other clients.
    Token(raw::TokenArguments),
    /// Print a completion script for a shell.
    Completion(completion::Arguments),
    /// Print docs/reference.md: every RPC, message, reason, role, category and clause.
    #[command(hide = true)]
    Reference,
    /// Print docs/metrics.md: every metric of a node.
    #[command(hide = true)]
    Metrics,
}

/// How a command ended, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Done, and what was checked is well; an ask was released.
    Well,
    /// Checked, and not well; or turned away by the node.
    NotWell,
    /// It could not be told.
    Undecided,
    /// An ask is open.
    Open,
    /// An ask is not covered.
    NotCovered,
}

impl Verdict {
    fn code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::NotWell => 1,
            Self::Undecided => 3,
            Self::Open => 10,
            Self::NotCovered => 11,
        }
    }
}

/// Wrong usage that the command line's grammar cannot tell.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

const WRONG_USAGE: u8 = 2;

/// Every command, those of the RPCs included.
fn commands(contract: &Contract) -> clap::Command {
    papers::beside(nouns::with_rpcs(Cli::command(), contract), contract)
}

/// Parses the command line and runs the command.
pub(crate) fn run() -> ExitCode {
    match parse_and_run() {
        Ok(verdict) => ExitCode::from(verdict.code()),
        Err(error) => {
            output::problem(&format!("{error:#}"));
            ExitCode::from(if error.is::<Usage>() { WRONG_USAGE } else { Verdict::Undecided.code() })
        }
    }
}

fn parse_and_run() -> anyhow::Result<Verdict> {
    let contract = Contract::load(&Cli::command())?;
    let mut commands = commands(&contract);
    let matches = commands.get_matches_mut();
    let words = matches.subcommand().and_then(|(noun, inner)| Some((noun, inner.subcommand()?)));
    let shows = matches!(words, Some(("statistics", ("show", _))));
    if !shows && matches.get_one::<Format>("output") == Some(&Format::Csv) {
        return Err(Usage("-o csv: only `statistics show` prints it; elsewhere table or json".to_owned()).into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some((noun, (verb, flags))) = words
        && let Some(rpc) = contract.typed(noun, verb).or(papers::typed(&contract, noun, verb))
    {
        let format = output::format(flags.get_one::<Format>("output").copied());
        if papers::typed(&contract, noun, verb).is_some() {
            return runtime.block_on(papers::run(&contract, rpc, flags, format));
        }
        return runtime.block_on(nouns::run(&contract, rpc, flags, format));
    }
    let verdict = runtime.block_on(run_fixed(&contract, &mut commands, &matches));
    // A name that a node looks up cannot be given up, and nobody needs the answer any more.
    runtime.shutdown_timeout(Duration::from_secs(1));
    verdict
}

async fn run_fixed(contract: &Contract, commands: &mut clap::Command, matches: &ArgMatches) -> anyhow::Result<Verdict> {
    let cli = Cli::from_arg_matches(matches).unwrap_or_else(|error| error.format(commands).exit());
    let stated = cli.output;
    match cli.command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Doctor(arguments) => Box::pin(doctor::run(arguments, output::format(stated))).await,
        Command::Config(arguments) => config::run(&arguments, stated),
        Command::Migrate(argument) => ledger::migrate(&argument, stated).await,
        Command::Probe(arguments) => probe::run(&arguments, stated),
        Command::Metrics => {
            output::text(&concordat::telemetry::page());
            Ok(Verdict::Well)
        }
        Command::Verify(arguments) => verify::run(&arguments, output::format(stated)),
        Command::Ledger(arguments) => ledger::run(arguments, stated).await,
        Command::Import(arguments) => import::run(arguments, output::format(stated)).await,
        Command::Statistics(arguments) => statistics::run(arguments, stated).await,
        Command::Signpost(arguments) => signpost::run(arguments, stated),
        Command::Advice(arguments) => advice::run(arguments, stated),
        Command::Seal(arguments) => seal::run(arguments, output::format(stated)).await,
        Command::Retention(arguments) => retention::run(arguments, stated).await,
        Command::Explain(arguments) => Ok(explain::run(&arguments, stated)),
        Command::Certs(arguments) => certs::run(arguments, stated),
        Command::Tls(arguments) => tls::run(arguments, stated).await,
        Command::Call(arguments) => raw::run(contract, arguments, stated).await,
        Command::Token(arguments) => raw::token(&arguments, stated),
        Command::Completion(arguments) => completion::run(&arguments, commands),
        Command::Reference => reference::run(contract),
    }
}

#[cfg(test)]
mod tests {
    use super::{Cli, CommandFactory, Contract, commands};

    #[test]
    fn no_two_flags_of_a_command_are_one() {
        commands(&Contract::load(&Cli::command()).unwrap()).debug_assert();
    }
}
