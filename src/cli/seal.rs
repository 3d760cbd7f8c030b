//! `concordat seal`: the node's secrets, and what is sealed with them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use concordat::config::Config;
use concordat::store::{Options, Store, Unopenable};
use serde_json::json;

use super::Verdict;
use super::output::{BAD, DIM, Format, GOOD, line, note, progress};

/// Say with which secrets a node's records are sealed; seal all of them with the newest.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say with which secrets something stored may be sealed.
    #[command(after_help = "Example:
  concordat seal status --config /etc/concordat/node.toml")]
    Status(ConfigArgument),
    /// Wrap every key anew with the newest secret, so that the others can go.
    #[command(
        after_help = "It may be stopped at any point, also by kill -9, and run again: what was done stays done. Nodes
may be serving meanwhile, but all of them must have been restarted with the new `secret_file`: one that still seals with
an older secret can commit nothing from now on.

Rows that no secret opens (damaged, or put in another's place) are left as they are and named; everything else is wrapped
anew. While there are any, no secret is given up.

Exit code: 0 done: the older secrets are needed no more, 1 done but for rows that no secret opens: no secret was given up,
2 wrong usage, 3 not done: run it again.

Examples:
  concordat seal rewrap --config /etc/concordat/node.toml
  concordat seal rewrap --give-up-unopened 2     # two rows are lost for good"
    )]
    Rewrap(Rewrap),
}

#[derive(Debug, Args)]
struct Rewrap {
    #[command(flatten)]
    of: ConfigArgument,
    /// How many rows to wrap in one transaction: fewer keep a serving node waiting for less time.
    #[arg(long, value_name = "ROWS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
    /// How many rows that no secret opens are given up for lost: exactly as many as there are. Then the older secrets go.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    give_up_unopened: Option<u64>,
}

#[derive(Debug, Args)]
struct ConfigArgument {
    /// The node's configuration.
    #[arg(long, env = "CONCORDAT_CONFIG", value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn run(arguments: Arguments, format: Format) -> anyhow::Result<Verdict> {
    match arguments.command {
        Command::Status(argument) => status(&argument, format).await,
        Command::Rewrap(arguments) => rewrap(&arguments, format).await,
    }
}

async fn status(argument: &ConfigArgument, format: Format) -> anyhow::Result<Verdict> {
    let config = Config::load(&argument.config)?;
    let store = Store::open(&Options::inspect(config.database_login()?.as_str())).await?;
    let seal = store.unlock(&config.node_secrets()?).await?;
    let newest = seal.newest()?;
    let secrets = store.secrets_in_use(&seal).await?;
    store.close().await;
    if format == Format::Table {
        for (name, open) in secrets {
            let state = if name == newest { "secret_file" } else { "older" };
            let open = if open { "" } else { ", given up: nothing is sealed with it any more" };
            line(&format!("{name}  {state}{open}"));
        }
    } else {
        let secrets: Vec<_> = secrets
            .iter()
            .map(|(name, open)| json!({ "name": name.to_string(), "newest": *name == newest, "open": open }))
            .collect();
        line(&json!({ "secrets": secrets }).to_string());
    }
    Ok(Verdict::Well)
}

async fn rewrap(arguments: &Rewrap, format: Format) -> anyhow::Result<Verdict> {
    let config = Config::load(&arguments.of.config)?;
    let store = Store::open(&Options::inspect(config.database_login()?.as_str())).await?;
    let seal = store.unlock(&config.node_secrets()?).await?;
    let newest = seal.newest()?;
    let bar = progress(0, "wrapping");
    let rewrapped = store
        .rewrap(&seal, arguments.batch, arguments.give_up_unopened, |done, of| {
            match of {
                Some(of) => bar.set_length(of),
                None => bar.unset_length(),
            }
            bar.set_position(done);
        })
        .await;
    bar.finish_and_clear();
    store.close().await;
    let rewrapped = rewrapped?;
    let dropped: Vec<String> = rewrapped.dropped.iter().map(ToString::to_string).collect();
    if format == Format::Table {
        line(&format!("{GOOD}done{GOOD:#}: {} wrapped anew with {newest}", rewrapped.wrapped));
        for name in dropped {
            line(&format!("{DIM}nothing stored needs {name} any more: take it out of `other_secret_files`{DIM:#}"));
        }
        for Unopenable { table, row } in &rewrapped.unopened {
            line(&format!("{BAD}no secret opens{BAD:#} {table} {row}"));
        }
    } else {
        let row = |Unopenable { table, row }: &Unopenable| json!({ "table": table, "row": row });
        let unopened: Vec<_> = rewrapped.unopened.iter().map(row).collect();
        let (wrapped, newest) = (rewrapped.wrapped, newest.to_string());
        line(
            &json!({ "wrapped": wrapped, "newest": newest, "needed_no_more": dropped, "unopened": unopened })
                .to_string(),
        );
    }
    let count = rewrapped.unopened.len();
    if count == 0 || arguments.give_up_unopened.is_some() {
        return Ok(Verdict::Well);
    }
    note(&format!(
        "{count} rows are opened by no secret, so none was given up. Put them back from a backup and run it again; or, if they \
         are lost for good: --give-up-unopened {count}"
    ));
    Ok(Verdict::NotWell)
}
