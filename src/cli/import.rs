//! `concordat import`: registers incidents from a file, over the same contract as everybody else.
//!
//! One thread reads and cuts the file. Records wait for a call until it is full, or until nothing is under way: so a
//! batch is full where the file has more, and what is fed slowly waits for nothing. Nothing is kept on disk: what was
//! done is known by each record's `request_id`, however the records are batched, so running the same command again goes
//! on.

mod batch;
mod drafts;
mod node;
mod records;
mod tally;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::Args;
use concordat::clock::Clock;
use concordat::domain::Markings;
use concordat::exchange::RegisterIncidents;
use concordat::proto::v1;
use indicatif::ProgressBar;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::output::{self, note, progress};
use super::{Verdict, context};
use batch::{Item, Organisation};
use drafts::{Draft, Drafted, Drafter, Format, Rejected};
use node::{Kept, Node};
pub(in crate::cli) use records::Records;
use tally::{Outcome, Rejects, Tally};

/// How many records are put together, at most.
const TOGETHER: usize = RegisterIncidents::MOST;
/// How many calls are under way at once: one is done while the next is on its way.
const AT_ONCE: usize = 3;

/// Register incidents from a file.
#[derive(Debug, Args)]
#[command(after_help = "The file has one JSON object on each line, or is one JSON array. Needs the role recorder.
Run it again as the same officer to go on, or to see that all is there: nothing is registered twice.

Exit code: 0 all imported, 1 some rejected, 2 wrong usage, 3 it could not go on.

Examples:
  concordat import --format veris incidents.ndjson --context recorder.toml --rejects rejects.ndjson
  xz -dc incidents.ndjson.xz | concordat import --format veris - --context recorder.toml
  concordat import --format jsonl cases.ndjson --dry-run")]
pub(super) struct Arguments {
    /// What the file is made of.
    #[arg(long, value_enum)]
    format: Format,
    /// The file. `-`: stdin.
    file: PathBuf,
    /// Whose officer calls which node. Default: ~/.config/concordat/context.toml.
    #[arg(long, value_name = "FILE", env = context::VARIABLE, hide_env_values = true)]
    context: Option<PathBuf>,
    /// Where to write what was rejected, as JSON lines; emptied first. Unset: stderr.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Read and report only; call no node.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    markings: MarkingFlags,
}

/// For incidents that bring no markings; unset ones take the contract's defaults.
#[derive(Debug, Args)]
struct MarkingFlags {
    /// TLP 2.0 of incidents that bring no markings: clear, green, amber, amber+strict or red.
    #[arg(long, value_name = "LABEL", value_parser = tlp, default_value = "", hide_default_value = true)]
    tlp: String,
    /// PAP of incidents that bring no markings: clear, green, amber or red.
    #[arg(long, value_name = "LABEL", value_parser = pap, default_value = "", hide_default_value = true)]
    pap: String,
    /// Classification of incidents that bring no markings: official or official-sensitive.
    #[arg(long, value_name = "NAME", value_parser = classification, default_value = "", hide_default_value = true)]
    classification: String,
}

fn tlp(text: &str) -> Result<String, String> {
    Markings::parse(text, "", "").map(|_| text.to_owned()).map_err(|problem| problem.problem)
}

fn pap(text: &str) -> Result<String, String> {
    Markings::parse("", text, "").map(|_| text.to_owned()).map_err(|problem| problem.problem)
}

fn classification(text: &str) -> Result<String, String> {
    Markings::parse("", "", text).map(|_| text.to_owned()).map_err(|problem| problem.problem)
}

impl MarkingFlags {
    fn markings(self) -> Option<v1::Markings> {
        let Self { tlp, pap, classification } = self;
        let given = [&tlp, &pap, &classification].iter().any(|text| !text.is_empty());
        given.then_some(v1::Markings { tlp, pap, classification })
    }
}

pub(super) async fn run(arguments: Arguments, output: output::Format) -> anyhow::Result<Verdict> {
    let Arguments { format, file, context, rejects, dry_run, markings } = arguments;
    let drafter = Drafter::new(format, markings.markings())?;
    let (input, length) = open(&file)?;
    let stop = CancellationToken::new();
    let node = if dry_run { None } else { Some(Arc::new(meet(context.as_deref(), stop.clone()).await?)) };
    let bar = progress(length.unwrap_or_default(), "importing");
    if length.is_none() {
        bar.unset_length();
    }
    let mut import = Import {
        node,
        stop,
        rejects: Rejects::new(rejects.as_deref(), bar.clone())?,
        bar: bar.clone(),
        tally: Tally::default(),
        organisations: HashMap::new(),
        calls: JoinSet::new(),
        stopped: None,
    };
    import.take(read(input, drafter)).await?;
    let Import { tally, stopped, .. } = import;
    bar.finish_and_clear();
    match output {
        output::Format::Table => tally.print_table(dry_run),
        output::Format::Json | output::Format::Csv => tally.print_json(stopped.is_none(), dry_run),
    }
    if let Some(why) = stopped {
        let hint = "Run the same command again as the same officer to go on: nothing is registered twice.";
        return Err(anyhow!("stopped after {} records: {why}\n{hint}", tally.records));
    }
    Ok(if tally.rejected == 0 { Verdict::Well } else { Verdict::NotWell })
}

/// The file and its length, where it has one.
fn open(file: &Path) -> anyhow::Result<(Box<dyn BufRead + Send>, Option<u64>)> {
    if file.as_os_str() == "-" {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let length = opened.metadata().ok().filter(std::fs::Metadata::is_file).map(|about| about.len());
    Ok((Box::new(BufReader::new(opened)), length))
}

/// Meets the node as the officer of a context.
async fn meet(context: Option<&Path>, stop: CancellationToken) -> anyhow::Result<Node> {
    let (context, folder) = context::load(context)?;
    let channel = context.officer(&folder, Clock::system()).map_err(anyhow::Error::from_boxed)?;
    Node::meet(channel, stop).await.map_err(|status| anyhow!("{}: {}", context.server, node::said(&status)))
}

/// Reads the file in a thread of its own, no further ahead than the calls can follow. Not a task of the runtime: one
/// that waits for stdin would keep the program from ending.
fn read(input: Box<dyn BufRead + Send>, mut drafter: Drafter) -> mpsc::Receiver<io::Result<Drafted>> {
    let (sender, receiver) = mpsc::channel(TOGETHER);
    std::thread::spawn(move || {
        for record in Records::new(input) {
            let failed = record.is_err();
            if sender.blocking_send(record.map(|record| drafter.read(record))).is_err() || failed {
                break;
            }
        }
    });
    receiver
}

/// What came of some records, and up to where the file is done with them. `Err`: why nothing can be put to the node.
type Called = Result<(Vec<Outcome>, u64), String>;

/// A record whose incidents are under way: each by its place among those that are put, or why it is not put.
struct Begun {
    outcome: Outcome,
    repeated: bool,
    incidents: Vec<Result<usize, Rejected>>,
}

impl Begun {
    /// With what became of those that were put; of nothing, in a dry run.
    fn ended(self, came: Option<&HashMap<usize, Result<Kept, Rejected>>>) -> Outcome {
        let kept = |incident: Result<usize, Rejected>| match came {
            None => incident.map(|_| None),
            Some(came) => match came.get(&incident?) {
                Some(Ok(_)) if self.repeated => Ok(Some(Kept::AlreadyThere)),
                Some(came) => came.clone().map(Some),
                None => Err(Rejected::new("turned-away", "the node did not say what became of it")),
            },
        };
        Outcome { incidents: self.incidents.into_iter().map(kept).collect(), ..self.outcome }
    }
}

/// A run.
struct Import {
    /// None in a dry run.
    node: Option<Arc<Node>>,
    stop: CancellationToken,
    rejects: Rejects,
    bar: ProgressBar,
    tally: Tally,
    organisations: HashMap<String, Arc<Organisation>>,
    calls: JoinSet<Called>,
    /// Why it ended before the file did.
    stopped: Option<String>,
}

impl Import {
    /// Takes what is read until the file ends, the node cannot be reached any more, or somebody interrupts. When this
    /// returns, no call is under way.
    async fn take(&mut self, mut drafted: mpsc::Receiver<io::Result<Drafted>>) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (mut more, mut read) = (true, Vec::new());
        loop {
            if self.stopped.is_some() {
                more = false;
                read.clear();
            }
            // What the file repeats is put after what it repeats: put beside it, it might be the one that is registered.
            let repeats = read.iter().flatten().any(|drafted: &Drafted| drafted.repeated);
            let is_due = !repeats && (read.len() >= TOGETHER || !more);
            if !read.is_empty() && (self.calls.is_empty() || is_due && self.calls.len() < AT_ONCE) {
                self.begin_all(std::mem::take(&mut read));
            }
            if !more && read.is_empty() && self.calls.is_empty() {
                return Ok(());
            }
            let room = TOGETHER.saturating_sub(read.len());
            tokio::select! {
                _ = interrupt.recv() => self.end("interrupted"),
                _ = terminate.recv() => self.end("told to end"),
                Some(called) = self.calls.join_next() => self.finish(called?)?,
                count = drafted.recv_many(&mut read, room), if more && room > 0 => more = count > 0,
            }
        }
    }

    /// Begins nothing more, and puts no call a second time.
    fn end(&mut self, why: &str) {
        self.stopped.get_or_insert_with(|| why.to_owned());
        self.stop.cancel();
        if !self.calls.is_empty() {
            self.bar.suspend(|| note("finishing what is under way"));
        }
    }

    fn begin_all(&mut self, read: Vec<io::Result<Drafted>>) {
        let (mut records, mut failed) = (Vec::new(), None);
        for drafted in read {
            match drafted {
                Ok(drafted) => records.push(drafted),
                Err(error) => failed = Some(format!("the file cannot be read: {error}")),
            }
        }
        if !records.is_empty() {
            self.begin(records);
        }
        if let Some(why) = failed {
            self.end(&why);
        }
    }

    fn begin(&mut self, records: Vec<Drafted>) {
        let (mut items, mut begun, mut last) = (Vec::new(), Vec::new(), 0);
        for Drafted { place, end, key, repeated, drafts } in records {
            // In the file's order, so that the same spelling of a name comes first in every run.
            let mut item = |draft: Draft| {
                items.push(Item { organisation: self.organisation(&draft), draft });
                items.len() - 1
            };
            let incidents = drafts.into_iter().map(|draft| draft.map(&mut item)).collect();
            begun.push(Begun { outcome: Outcome { place, key, incidents: Vec::new() }, repeated, incidents });
            last = last.max(end);
        }
        let node = self.node.clone();
        self.calls.spawn(async move {
            let came = match node {
                Some(node) => Some(node.register(items).await?.into_iter().collect()),
                None => None,
            };
            Ok((begun.into_iter().map(|begun| begun.ended(came.as_ref())).collect(), last))
        });
    }

    fn organisation(&mut self, draft: &Draft) -> Arc<Organisation> {
        let affected = &draft.affected;
        let new = || Arc::new(Organisation::new(affected.clone()));
        Arc::clone(self.organisations.entry(affected.same.clone()).or_insert_with(new))
    }

    fn finish(&mut self, called: Called) -> anyhow::Result<()> {
        match called {
            Ok((outcomes, end)) => {
                for outcome in outcomes {
                    self.tally.add(&outcome, &mut self.rejects)?;
                }
                self.bar.set_position(self.bar.position().max(end));
            }
            Err(why) => self.end(&why),
        }
        Ok(())
    }
}
