//! `concordat advice wording`: what organisations are reminded of, from the data of this program, without a node.

use clap::{Args, Subcommand};
use concordat::clock::Clock;
use concordat::proto::v1::ShowWordingRequest;
use concordat::wire::show_wording;
use data_encoding::HEXLOWER;

use super::output::{DIM, Format, format, line};
use super::signpost::timestamp;
use super::{Usage, Verdict, flags, json};

/// Print what organisations are reminded of, without a node; record reminders, recommendations and categories.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print what organisations are reminded of, and the digest by which a reminder is recorded.
    #[command(
        after_help = "The words are the same for every organisation, and judge nothing. Nothing is sent, kept or written.

Exit code: 0 printed, 1 there was no wording at that time, 2 wrong usage.

Examples:
  concordat advice wording
  concordat advice wording --as-of 2026-03-01 -o json"
    )]
    Wording(Wording),
}

#[derive(Debug, Args)]
struct Wording {
    /// For which time. Default: now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    as_of: Option<String>,
}

pub(super) fn run(arguments: Arguments, stated: Option<Format>) -> anyhow::Result<Verdict> {
    let Command::Wording(Wording { as_of }) = arguments.command;
    let now = Clock::system().now();
    let read = |text: String| flags::instant(&text, now).map_err(|problem| Usage(format!("--as-of: {problem}")));
    let request = ShowWordingRequest { as_of: as_of.map(read).transpose()?.map(timestamp) };
    let shown = show_wording(&request, now).map_err(|wrong| Usage(format!("--as-of: {}", wrong.problem)))?;
    let verdict = if shown.wording.is_some() { Verdict::Well } else { Verdict::NotWell };
    match (format(stated), &shown.wording) {
        (Format::Json | Format::Csv, _) => line(&json::written(&json::of_message("ShowWordingResponse", &shown)?)?),
        (Format::Table, None) => line("There was no wording at that time."),
        (Format::Table, Some(wording)) => {
            line(&wording.text);
            let digest = HEXLOWER.encode(&wording.digest);
            line(&format!("{DIM}Wording {}, SHA-256 {digest}{DIM:#}", wording.version));
        }
    }
    Ok(verdict)
}
