//! `concordat doctor`: what would keep a node from doing what it is for, and what to do about it.

mod looks;

use std::path::PathBuf;

use clap::Args;
use concordat::clock::Clock;
use concordat::config::Config;
use serde_json::json;

use super::Verdict;
use super::output::{BAD, DIM, Format, GOOD, line, table};

/// Look at a node's clock, certificates, lists, database, schema, agreements, ports and peers.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 all is well or will be, 1 something is not, 3 something could not be told.

The node may be serving meanwhile. Nothing is changed. A peer is well if it shows a certificate that one of the configured
agencies' roots vouches for, and asks for ours: no program between here and there ends TLS.

Examples:
  concordat doctor --config /etc/concordat/node.toml
  concordat doctor --config node.toml --peer concordat.ncsc.example:8443 -o json
  concordat doctor --config restored.toml --trust-checkpoint kept/checkpoint")]
pub(super) struct Arguments {
    /// The node's configuration.
    #[arg(long, env = "CONCORDAT_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// Another agency's node, to which the way is to be proved. Can be given several times.
    #[arg(long, value_name = "HOST:PORT")]
    peer: Vec<String>,
    /// A checkpoint of this ledger that was kept elsewhere, besides the configured ones: are its entries all here? May be
    /// given several times.
    #[arg(long, value_name = "FILE")]
    trust_checkpoint: Vec<PathBuf>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Well,
    /// Well now, and not for long.
    Soon,
    /// It could not be told.
    Unknown,
    NotWell,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Soon => "soon",
            Self::Unknown => "unknown",
            Self::NotWell => "not well",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    what: String,
    state: State,
    says: String,
    /// What to do. Empty: nothing.
    remedy: &'static str,
}

impl Finding {
    fn new(what: impl Into<String>, state: State, says: impl Into<String>, remedy: &'static str) -> Self {
        Self { what: what.into(), state, says: says.into(), remedy }
    }

    fn well(what: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(what, State::Well, says, "")
    }

    fn not_well(what: impl Into<String>, says: impl Into<String>, remedy: &'static str) -> Self {
        Self::new(what, State::NotWell, says, remedy)
    }
}

pub(super) async fn run(arguments: Arguments, format: Format) -> anyhow::Result<Verdict> {
    let loaded = Config::load(&arguments.config).and_then(|config| config.trusting(&arguments.trust_checkpoint));
    let findings = match loaded {
        Err(error) => {
            let remedy = "correct it; `concordat config check` says the same without looking further";
            error.problems().iter().map(|problem| Finding::not_well("configuration", problem, remedy)).collect()
        }
        Ok(config) => {
            let mut findings = vec![Finding::well("configuration", arguments.config.display().to_string())];
            findings.extend(looks::at_files(&config));
            findings.extend(looks::at_database(&config, &Clock::system()).await);
            findings.extend(looks::at_ports(&config));
            for peer in &arguments.peer {
                findings.push(looks::at_peer(&config, peer).await);
            }
            findings
        }
    };
    let worst = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Well);
    if format == Format::Json {
        let checks: Vec<_> = findings.iter().map(as_json).collect();
        line(&json!({ "well": worst <= State::Soon, "checks": checks }).to_string());
    } else {
        print(&findings);
    }
    Ok(match worst {
        State::Well | State::Soon => Verdict::Well,
        State::Unknown => Verdict::Undecided,
        State::NotWell => Verdict::NotWell,
    })
}

fn as_json(finding: &Finding) -> serde_json::Value {
    json!({
        "what": finding.what,
        "state": finding.state.word(),
        "says": finding.says,
        "remedy": finding.remedy,
    })
}

fn print(findings: &[Finding]) {
    let mut rows = table(&["", "What", "Is", "Do"]);
    for finding in findings {
        let style = match finding.state {
            State::Well => GOOD,
            State::Soon | State::Unknown => DIM,
            State::NotWell => BAD,
        };
        let state = if super::output::is_terminal() {
            format!("{style}{}{style:#}", finding.state.word())
        } else {
            finding.state.word().to_owned()
        };
        rows.add_row([state.as_str(), &finding.what, &finding.says, finding.remedy]);
    }
    line(&rows.to_string());
}
