//! What is in a file, and what a node would say to it: by the node's own code.

pub(super) mod facts;
mod judge;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use concordat::clock::Clock;
use concordat::config::refuse_readable;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use serde_json::{Value, json};

use super::files::read;
use crate::cli::output::{BAD, BOLD, DIM, Format, GOOD, line};
use crate::cli::{Usage, Verdict, json};
use judge::{Judge, Said};

/// See [`super::Command::Inspect`].
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// Files of certificates, revocation lists and keys, PEM. A system's file has its own certificate first.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The node that judges.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["roots", "lists"])]
    config: Option<PathBuf>,
    /// The agency whose files they would be: authorities and lists are judged as if they were added to those. Without it a new
    /// root is judged for no agency, and a list for the agency whose authority signed it.
    #[arg(long, value_name = "ID", requires = "config")]
    agency: Option<String>,
    /// The roots of the agency, as a node would have them.
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// The revocation lists of the agency. Without it, the agency takes no certificate back: 24 hours at most.
    #[arg(long, value_name = "FILE", requires = "roots")]
    lists: Option<PathBuf>,
    /// The private key that should be the first certificate's.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// One thing that a file has.
struct Found {
    file: String,
    kind: &'static str,
    facts: Value,
    said: Said,
}

pub(super) fn run(inspect: &Inspect, format: Format) -> anyhow::Result<Verdict> {
    let now = Clock::system().now();
    let mut judge = match (&inspect.config, &inspect.roots) {
        (Some(config), _) => Judge::node(config, inspect.agency.as_deref())?,
        (None, Some(roots)) => Judge::agency(roots, inspect.lists.as_deref())?,
        (None, None) => Judge::form(),
    };
    let contents = inspect.files.iter().map(|file| Content::read(file)).collect::<anyhow::Result<Vec<_>>>()?;
    judge.given(
        contents.iter().flat_map(Content::authorities).collect(),
        contents.iter().flat_map(Content::lists).collect(),
    );
    let mut found = Vec::new();
    for content in &contents {
        found.extend(of_file(content, &judge, inspect.key.as_deref(), now)?);
    }
    let is_well = found.iter().all(|one| !matches!(one.said, Said::TurnedAway(_)));
    match format {
        Format::Json | Format::Csv => {
            let items = found.iter().map(of_found).collect::<Vec<_>>();
            line(&json::written(&json!({ "found": items, "by": judge.by(), "problems": judge.problems() }))?);
        }
        Format::Table => {
            found.iter().for_each(print);
            for problem in judge.problems() {
                line(&format!("{BAD}the node{BAD:#}: {}", json::harmless(problem)));
            }
            line(&format!("{DIM}Judged by {}.{DIM:#}", judge.by()));
        }
    }
    Ok(if is_well { Verdict::Well } else { Verdict::NotWell })
}

/// What a file has, in its order.
struct Content {
    file: PathBuf,
    text: String,
    sections: Vec<(SectionKind, Vec<u8>)>,
}

impl Content {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let text = read(file)?;
        let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
        let sections =
            sections.with_context(|| format!("{} has a damaged PEM block: fetch it again", file.display()))?;
        if sections.is_empty() {
            let problem = format!(
                "{} has nothing in PEM form: `openssl x509 -inform DER -in FILE` and `openssl crl -inform DER -in FILE` turn DER into it",
                file.display()
            );
            return Err(Usage(problem).into());
        }
        Ok(Self { file: file.to_owned(), text, sections })
    }

    fn of_kind(&self, wanted: SectionKind) -> impl Iterator<Item = &Vec<u8>> {
        self.sections.iter().filter(move |(kind, _)| *kind == wanted).map(|(_, der)| der)
    }

    fn certificates(&self) -> Vec<CertificateDer<'static>> {
        self.of_kind(SectionKind::Certificate).map(|der| CertificateDer::from(der.clone())).collect()
    }

    fn lists(&self) -> Vec<CertificateRevocationListDer<'static>> {
        self.of_kind(SectionKind::Crl).map(|der| CertificateRevocationListDer::from(der.clone())).collect()
    }

    /// Its certificates, if they are authorities' that would be configured: what comes after a system's own certificate is
    /// what that system sends.
    fn authorities(&self) -> Vec<CertificateDer<'static>> {
        let all = self.certificates();
        if all.first().is_some_and(|first| is_authority(first)) { all } else { Vec::new() }
    }
}

fn is_authority(der: &CertificateDer<'_>) -> bool {
    facts::certificate(der).get("authority") == Some(&Value::Bool(true))
}

fn of_file(
    content: &Content,
    judge: &Judge,
    key: Option<&Path>,
    now: concordat::domain::Instant,
) -> anyhow::Result<Vec<Found>> {
    let (file, chain) = (&content.file, content.certificates());
    let is_sent = chain.first().is_some_and(|first| !is_authority(first));
    let (name, mut found) = (file.display().to_string(), Vec::new());
    for (place, der) in chain.iter().enumerate() {
        let facts = facts::certificate(der);
        let (kind, said) = match (is_authority(der), place) {
            (true, _) if is_sent => {
                ("authority", Said::Nothing("the system sends it: it is judged with the certificate before it"))
            }
            (true, _) => ("authority", judge.root(der, now)),
            (false, 0) => ("certificate", judge.system(&chain, &facts, key, now)?),
            (false, _) => ("certificate", Said::Nothing("it is not the first: systems are judged one file each")),
        };
        found.push(Found { file: name.clone(), kind, facts, said });
    }
    for der in content.lists() {
        let (facts, said) = (facts::list(&der), judge.list(&der, now));
        found.push(Found { file: name.clone(), kind: "revocation list", facts, said });
    }
    for kind in [SectionKind::PrivateKey, SectionKind::EcPrivateKey, SectionKind::RsaPrivateKey] {
        for _ in content.of_kind(kind) {
            let mode = fs::metadata(file)?.permissions().mode() & 0o777;
            let said = match refuse_readable(file) {
                Ok(()) => {
                    Said::Accepted("as far as its mode goes; --key says whether it is a certificate's".to_owned())
                }
                Err(problem) => Said::TurnedAway(problem.to_string()),
            };
            let facts = json!({ "form": facts::form_of(kind), "mode": format!("{mode:03o}") });
            found.push(Found { file: name.clone(), kind: "private key", facts, said });
        }
    }
    for _ in content.of_kind(SectionKind::PublicKey) {
        let said = judge::token_key(&content.text);
        found.push(Found { file: name.clone(), kind: "public key", facts: json!({}), said });
    }
    Ok(found)
}

fn of_found(found: &Found) -> Value {
    let Found { file, kind, facts, said } = found;
    let mut value = json!({ "file": file, "kind": kind, "verdict": said.word(), "why": said.why() });
    if let (Some(value), Some(facts)) = (value.as_object_mut(), facts.as_object()) {
        value.extend(facts.clone());
    }
    value
}

fn print(found: &Found) {
    let Found { file, kind, facts, said } = found;
    line(&format!("{BOLD}{}: {kind}{BOLD:#}", json::harmless(file)));
    for (name, value) in facts.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            other => other.to_string(),
        };
        line(&format!("  {DIM}{:<12}{DIM:#} {}", name.replace('_', " "), json::harmless(&text)));
    }
    let (word, why) = (said.word(), json::harmless(&said.why()));
    match said {
        Said::Accepted(_) => line(&format!("  {GOOD}{word}{GOOD:#}: {why}\n")),
        Said::TurnedAway(_) => line(&format!("  {BAD}{word}{BAD:#}: {why}\n")),
        Said::Nothing(_) => line(&format!("  {word}: {why}\n")),
    }
}
