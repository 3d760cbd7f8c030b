//! `concordat retention run`: erases what is past its time.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use concordat::client::OfficerChannel;
use concordat::clock::Clock;
use concordat::proto::v1::retention_service_client::RetentionServiceClient;
use concordat::proto::v1::{DueIncident, EraseIncidentRequest, ListDueRequest};
use serde_json::json;
use tonic::{Code, Status};

use super::output::{BAD, DIM, Format, GOOD, format, line, progress};
use super::{Verdict, context};

/// Erase what is past its time; propose and confirm erasures, follow what recipients disposed of.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Erase every incident of your agency that is past its `retain_until`.
    #[command(
        after_help = "To be run by a scheduler, once a day. A run that was cut off is run again: each erasure has a
key of its own that follows from the incident.

Exit code: 0 all erased (or nothing due), 1 some were turned away, 2 wrong usage, 3 could not ask.

Examples:
  concordat retention run --dry-run
  concordat retention run --context operator.toml -o json"
    )]
    Run(Erasing),
}

#[derive(Debug, Args)]
struct Erasing {
    /// Only say what is due.
    #[arg(long)]
    dry_run: bool,
    /// The ground that the entries state.
    #[arg(long, default_value = "retention-ended")]
    ground: String,
    /// Whose officer calls which node. Default: ~/.config/concordat/context.toml.
    #[arg(long, value_name = "FILE", env = context::VARIABLE, hide_env_values = true)]
    context: Option<PathBuf>,
}

type Node = RetentionServiceClient<OfficerChannel>;

/// What came of the incidents that were due.
#[derive(Debug, Default)]
struct Tally {
    erased: Vec<String>,
    /// With the node's reason.
    left: Vec<(String, String)>,
}

pub(super) async fn run(arguments: Arguments, stated: Option<Format>) -> anyhow::Result<Verdict> {
    let Command::Run(run) = arguments.command;
    let (context, folder) = context::load(run.context.as_deref())?;
    let mut node = Node::new(context.officer(&folder, Clock::system()).map_err(anyhow::Error::from_boxed)?);
    let due = due(&mut node).await?;
    let mut tally = Tally::default();
    if run.dry_run {
        tally.left = due.into_iter().map(|id| (id, "due".to_owned())).collect();
        print(&tally, format(stated));
        return Ok(Verdict::Well);
    }
    let bar = progress(due.len() as u64, "erasing");
    for incident in due {
        match erase(&mut node, &incident, &run.ground).await {
            Ok(()) => tally.erased.push(incident),
            Err(status) if is_the_incidents_own(&status) => tally.left.push((incident, status.message().to_owned())),
            Err(status) => {
                bar.finish_and_clear();
                return Err(said(&status));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    print(&tally, format(stated));
    Ok(if tally.left.is_empty() { Verdict::Well } else { Verdict::NotWell })
}

/// Whether another incident may fare better.
fn is_the_incidents_own(status: &Status) -> bool {
    matches!(status.code(), Code::FailedPrecondition | Code::NotFound)
}

fn said(status: &Status) -> anyhow::Error {
    anyhow::anyhow!("{:?}: {}", status.code(), status.message())
}

async fn due(node: &mut Node) -> anyhow::Result<Vec<String>> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListDueRequest { page_size: 200, page_token };
        let page = node.list_due(request).await.map_err(|status| said(&status))?.into_inner();
        all.extend(page.incidents.into_iter().filter(|one| one.due).map(|DueIncident { incident_id, .. }| incident_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

async fn erase(node: &mut Node, incident: &str, ground: &str) -> Result<(), Status> {
    let request = EraseIncidentRequest {
        request_id: format!("erase.{incident}"),
        incident_id: incident.to_owned(),
        ground: ground.to_owned(),
    };
    node.erase_incident(request).await.map(|_| ())
}

fn print(tally: &Tally, format: Format) {
    match format {
        Format::Json | Format::Csv => {
            let left = tally.left.iter().map(|(id, why)| json!({ "incident_id": id, "why": why }));
            line(&json!({ "erased": tally.erased, "left": left.collect::<Vec<_>>() }).to_string());
        }
        Format::Table => {
            for (incident, why) in &tally.left {
                line(&format!("{BAD}left{BAD:#}  {incident}: {why}"));
            }
            line(&format!("{GOOD}erased{GOOD:#}: {}, left: {}", tally.erased.len(), tally.left.len()));
            if !tally.erased.is_empty() {
                line(&format!(
                    "{DIM}backups made before keep the keys: dispose of them as docs/operations.md says{DIM:#}"
                ));
            }
        }
    }
}
