//! `concordat signpost show`: whom a victim may turn to, from the data of this program, without a node.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use concordat::clock::Clock;
use concordat::domain::Instant;
use concordat::proto::v1::{FindSignpostsRequest, FindSignpostsResponse, ReportingClock, Signpost};
use concordat::signpost::{CATALOGUE, Fact};
use concordat::wire::find_signposts;

use super::output::{DIM, Format, format, line};
use super::{Usage, Verdict, flags, json, table};

/// Say whom a victim may turn to and which clocks the law starts, without a node; ask a node the same.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show whom to turn to, why, how and in which order, and which clocks the law starts.
    #[command(after_help = "Nothing is sent, kept or written. It is advice: whether something must be notified, the
organisation and its regulator judge. Without a nation or a sector, nothing is left out for it.

Exit code: 0 shown, 2 wrong usage.

Examples:
  concordat signpost show --nation scotland --facts crime-in-progress,personal-data
  concordat signpost show --nation wales --sector health --facts essential-service --aware-at -5h
  concordat signpost show --facts crime --as-of 2025-12-03 -o json")]
    Show(Show),
}

#[derive(Debug, Args)]
struct Show {
    /// Where the organisation is.
    #[arg(long, value_parser = PossibleValuesParser::new(ids(&CATALOGUE.facts().nations)))]
    nation: Option<String>,
    /// The sector of an essential service.
    #[arg(long, value_parser = PossibleValuesParser::new(ids(&CATALOGUE.facts().sectors)))]
    sector: Option<String>,
    /// What else is so; with commas between, or given several times.
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(ids(&CATALOGUE.facts().others)))]
    facts: Vec<String>,
    /// When the organisation became aware, as it stated: then clocks run. A time as in every command, such as -5h.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    aware_at: Option<String>,
    /// For which time. Default: now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    as_of: Option<String>,
}

fn ids(facts: &'static [Fact]) -> impl Iterator<Item = &'static str> {
    facts.iter().map(|fact| fact.id.as_str())
}

pub(super) fn run(arguments: Arguments, stated: Option<Format>) -> anyhow::Result<Verdict> {
    let Command::Show(show) = arguments.command;
    let now = Clock::system().now();
    let time = |flag: &str, text: Option<String>| -> Result<_, Usage> {
        let read = |text: String| flags::instant(&text, now).map_err(|problem| Usage(format!("--{flag}: {problem}")));
        Ok(text.map(read).transpose()?.map(timestamp))
    };
    let request = FindSignpostsRequest {
        nation: show.nation.unwrap_or_default(),
        sector: show.sector.unwrap_or_default(),
        facts: show.facts,
        aware_at: time("aware-at", show.aware_at)?,
        as_of: time("as-of", show.as_of)?,
    };
    let found = find_signposts(&request, now)
        .map_err(|wrong| Usage(format!("--{}: {}", wrong.field.replace('_', "-"), wrong.problem)))?;
    match format(stated) {
        Format::Json | Format::Csv => line(&json::written(&json::of_message("FindSignpostsResponse", &found)?)?),
        Format::Table => print(&found),
    }
    Ok(Verdict::Well)
}

pub(super) fn timestamp(at: Instant) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.micros().rem_euclid(1_000_000) * 1_000).unwrap_or_default();
    prost_types::Timestamp { seconds: at.micros().div_euclid(1_000_000), nanos }
}

fn print(found: &FindSignpostsResponse) {
    let contacts =
        found.signposts.iter().zip(1..).map(|(signpost, place)| {
            vec![format!("{place}"), signpost.name.clone(), signpost.why.clone(), how(signpost)]
        });
    line(&table::lines(&["", "turn to", "why", "how"], contacts));
    if !found.clocks.is_empty() {
        let clocks = found.clocks.iter().map(|clock| {
            let told = if clock.addressees.is_empty() { "not known".to_owned() } else { clock.addressees.join("; ") };
            vec![clock.title.clone(), clock.who.clone(), told, within(clock)]
        });
        line(&table::lines(&["law", "asks", "to tell", "within"], clocks));
    }
    let advice = "Advice, not a verdict: whether something must be notified, the organisation and its regulator judge.";
    line(&format!("{DIM}{advice}{DIM:#}"));
}

fn how(signpost: &Signpost) -> String {
    let ways = signpost.means.iter().map(|means| {
        let value = means.value.trim_start_matches("https://").trim_end_matches('/');
        match means.note.as_str() {
            "" => format!("{}: {value}", means.kind),
            note => format!("{}: {value} ({note})", means.kind),
        }
    });
    ways.collect::<Vec<_>>().join("\n")
}

fn within(clock: &ReportingClock) -> String {
    let hours = format!("{} hours of becoming aware", clock.hours);
    match (&clock.ends_at, clock.seconds_left) {
        (None, _) => hours,
        (Some(_), 0) => format!("{hours}: until {}, which is over", clock.ends_at_uk),
        (Some(_), left) => {
            format!("{hours}: until {}, {} h {} min left", clock.ends_at_uk, left / 3_600, left % 3_600 / 60)
        }
    }
}
