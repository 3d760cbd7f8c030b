//! `concordat demo`: three agencies, three nodes, the main job, told in the terminal through real calls.

mod cases;
mod onward;
mod remedy;
mod stage;
mod story;

use std::path::PathBuf;

use clap::Args;
use concordat::config::LogFormat;
use tokio::signal::unix::{SignalKind, signal};

use super::Verdict;
use super::output::{BAD, BOLD, DIM, GOOD, line, logs};
use stage::Stage;

/// Play the whole story on three nodes on this machine, then stay up to be tried by hand.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  concordat demo
  concordat demo --once
  concordat demo --incidents veris-incidents.ndjson")]
pub(super) struct Arguments {
    /// Real incidents to play it over: VERIS JSON, one object on each line. Without it, a few invented ones.
    #[arg(long, value_name = "FILE")]
    incidents: Option<PathBuf>,
    /// Exit after the story; the exit code says whether each step came out as it should.
    #[arg(long)]
    once: bool,
    /// Where the throw-away agencies, keys and ledgers go. Emptied at each start.
    #[arg(long, value_name = "FOLDER", default_value = ".concordat/demo")]
    folder: PathBuf,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Verdict> {
    logs("warn", LogFormat::Auto);
    let cases = match &arguments.incidents {
        Some(file) => cases::from_veris(file)?,
        None => cases::invented(),
    };
    super::serve::empty_folder(&arguments.folder)?;
    line(&format!("{BOLD}Concordat, the main job{BOLD:#}"));
    line(&format!(
        "{DIM}Throw-away agencies, keys and ledgers in {}; {}.{DIM:#}\n",
        arguments.folder.display(),
        cases.label
    ));
    let stage = Stage::build(&arguments.folder).await?;
    let told = story::tell(&stage, cases).await?;
    let (good, all) = (told.steps.iter().filter(|step| **step).count(), told.steps.len());
    let style = if good == all { GOOD } else { BAD };
    line(&format!("\n{style}{good} of {all} steps came out as they should.{style:#}"));
    let verdict = if good == all { Verdict::Well } else { Verdict::NotWell };
    if !arguments.once {
        stage.invite(&told.request)?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => {}
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
    }
    stage.stop().await;
    Ok(verdict)
}
