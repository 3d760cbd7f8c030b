//! `concordat ledger replay`.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use concordat::config::Config;
use concordat::exchange::{Replay, Replayed, replay};
use concordat::store::{Options, Store};
use serde_json::{Value, json};

use super::super::Verdict;
use super::super::output::{BAD, DIM, Format, GOOD, line, progress};

/// Which entries of which node's ledger.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 every decision came out the same (or was erased), 1 one did not, 2 wrong usage,
3 one cannot be told.

It needs the node's secret, which the configuration names. The node may be serving meanwhile. Whether the entries are the
ones that were signed is another question: `concordat ledger check`.

Examples:
  concordat ledger replay --config node.toml
  concordat ledger replay --config node.toml --from 1000 --until 2000 -o json")]
pub(super) struct Arguments {
    /// The node's configuration.
    #[arg(long, env = "CONCORDAT_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// The first entry.
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,
    /// The entry before which to stop. Unless given: the end of the ledger.
    #[arg(long, value_name = "INDEX")]
    until: Option<u64>,
}

pub(super) async fn run(arguments: &Arguments, format: Format) -> anyhow::Result<Verdict> {
    let config = Config::load(&arguments.config)?;
    let store = Store::open(&Options::inspect(config.database_login()?.as_str())).await?;
    let seal = store.unlock(&config.node_secrets()?).await?;
    let (size, _) = store.reads().await?.size().await?;
    let (from, until) = (arguments.from, arguments.until.unwrap_or(size));
    if from > until || until > size {
        bail!("there are no entries {from} to {until}: the ledger has {size}, from 0 on");
    }
    let bar = progress(until - from, "replaying");
    let replayed = replay(&store, &seal, from..until, |done| bar.set_position(done)).await;
    bar.finish_and_clear();
    store.close().await;
    let replayed = replayed?;
    match format {
        Format::Json | Format::Csv => line(&as_json(&replayed, from, until).to_string()),
        Format::Table => print(&replayed, from, until),
    }
    Ok(verdict(&replayed))
}

fn verdict(replay: &Replay) -> Verdict {
    if replay.faults.is_empty() {
        Verdict::Well
    } else if replay.faults.iter().any(|(_, fault)| matches!(fault, Replayed::Different(_))) {
        Verdict::NotWell
    } else {
        Verdict::Undecided
    }
}

/// An entry's fault: whether it differs, and how or why not.
fn fault(replayed: &Replayed) -> (bool, Vec<String>) {
    match replayed {
        Replayed::Different(what) => (true, what.clone()),
        Replayed::Unreadable(why) => (false, vec![why.clone()]),
        Replayed::Same | Replayed::Erased | Replayed::NoDecision(_) => (false, Vec::new()),
    }
}

fn kind(kind: concordat::ledger::Kind) -> String {
    kind.as_str_name().trim_start_matches("ENTRY_KIND_").to_lowercase()
}

fn as_json(replay: &Replay, from: u64, until: u64) -> Value {
    let others = replay.others.iter().map(|(of, count)| (kind(*of), Value::from(*count)));
    let faults = replay.faults.iter().map(|(index, replayed)| {
        let (different, problems) = fault(replayed);
        json!({ "entry": index, "result": if different { "different" } else { "unreadable" }, "problems": problems })
    });
    json!({
        "from": from,
        "until": until,
        "same": replay.same,
        "erased": replay.erased,
        "no_decision": others.collect::<serde_json::Map<_, _>>(),
        "faults": faults.collect::<Vec<_>>(),
    })
}

fn print(replay: &Replay, from: u64, until: u64) {
    for (index, replayed) in &replay.faults {
        let (different, problems) = fault(replayed);
        let word = if different { "different" } else { "unreadable" };
        line(&format!("{BAD}{word}{BAD:#}  entry {index}: {}", problems.join("; ")));
    }
    let others: Vec<String> = replay.others.iter().map(|(of, count)| format!("{count} {}", kind(*of))).collect();
    let (style, word) = if replay.faults.is_empty() { (GOOD, "replays") } else { (BAD, "does not replay") };
    let erased = if replay.erased == 0 { String::new() } else { format!(", {} erased", replay.erased) };
    line(&format!("{style}{word}{style:#}: entries {from} to {until}: {} decisions the same{erased}", replay.same));
    if !others.is_empty() {
        line(&format!("{DIM}no decisions: {}{DIM:#}", others.join(", ")));
    }
    if !replay.faults.is_empty() {
        line(
            "Keep the database as it is. `concordat ledger check` says whether its entries are the ones that were signed.",
        );
    }
}
