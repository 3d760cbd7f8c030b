//! The commands. Each gives its exit code: 0 done and well, 1 checked and not well, 2 wrong usage, 3 could not tell.

mod call;
mod demo;
mod import;
mod ledger;
mod output;
mod serve;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A consent-gated, provable exchange of cyber-incident information between agencies.
#[derive(Debug, Parser)]
#[command(name = "concordat", version, after_help = "Try it: concordat demo")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the whole story on three nodes on this machine, then stay up to be tried by hand.
    Demo(demo::Arguments),
    /// Run a node.
    Serve(serve::Arguments),
    /// Check a receipt, offline.
    Verify(verify::Arguments),
    /// Make, check or describe a node's ledger.
    Ledger(ledger::Arguments),
    /// Register incidents from a file.
    Import(import::Arguments),
    /// Call any RPC of a node as an officer.
    Call(call::CallArguments),
    /// Print a token for an officer, for use with other clients.
    Token(call::TokenArguments),
}

/// How a command ended, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Done, and what was checked is well.
    Well,
    /// Checked, and not well.
    NotWell,
    /// It could not be told.
    Undecided,
}

/// Parses the command line and runs the command.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::problem(&format!("the runtime could not be started: {error}"));
            return ExitCode::from(3);
        }
    };
    let verdict = runtime.block_on(async {
        match cli.command {
            Command::Demo(arguments) => demo::run(arguments).await,
            Command::Serve(arguments) => serve::run(arguments).await,
            Command::Verify(arguments) => verify::run(&arguments),
            Command::Ledger(arguments) => ledger::run(arguments).await,
            Command::Import(arguments) => import::run(arguments).await,
            Command::Call(arguments) => call::run(arguments).await,
            Command::Token(arguments) => call::token(&arguments),
        }
    });
    match verdict {
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::NotWell) => ExitCode::from(1),
        Ok(Verdict::Undecided) => ExitCode::from(3),
        Err(error) => {
            output::problem(&format!("{error:#}"));
            ExitCode::from(3)
        }
    }
}
