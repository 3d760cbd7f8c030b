//! What is on disk, looked at without putting anything in place: for whoever wants to know before the node does.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::lasts::Lasts;
use super::read::Before;
use super::set::Contents;
use super::{Error, now, read};
use crate::config::Config;
use crate::domain::Instant;
use crate::tls::{Life, Revocation, Trust};

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// What it is, for people.
    pub name: String,
    /// How much of its life is over, and when all of it is. None of what has no end or cannot be read.
    pub life: Option<(Life, Instant)>,
    /// What is wrong with it, with what to do.
    pub problem: Option<String>,
}

impl Surveyed {
    fn ends(name: impl Into<String>, from: Instant, until: Instant) -> Self {
        Self { name: name.into(), life: Some((Life::between(from, until, now()), until)), problem: None }
    }

    fn wrong(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { name: name.into(), life: None, problem: Some(problem.into()) }
    }
}

/// Looks at the node's certificate, at what vouches for each agency's systems, and at the keys of their tokens.
pub fn survey(config: &Config) -> Vec<Surveyed> {
    let mut found = Vec::new();
    let contents = Contents::read(&read::own_files(config));
    let name = "the node's certificate";
    match read::own(config, &contents, now()).map(|reading| reading.usable.validity()) {
        Ok(Some((from, until))) => found.push(Surveyed::ends(name, from, until)),
        Ok(None) => found.push(Surveyed::wrong(name, "its dates cannot be read")),
        Err(problem) => found.push(Surveyed::wrong(name, problem.to_string())),
    }
    let mut all = Vec::new();
    // Without the database nobody knows more.
    let before = Before { vouching: None, lasts: &Lasts::default() };
    for agency in &config.agency {
        let contents = Contents::read(&read::trusted_files(config, agency));
        let name = format!("what vouches for the systems of {}", agency.id);
        match read::vouching(config, agency, &contents, &before, now()) {
            Ok(reading) => {
                found.extend(reading.problems.iter().map(|problem| Surveyed::wrong(&name, problem)));
                let trusted = reading.usable.trusted();
                for root in &trusted.roots {
                    let Ok((_, root)) = X509Certificate::from_der(root) else { continue };
                    let at = |time: x509_parser::time::ASN1Time| Instant::from_micros(0).plus_seconds(time.timestamp());
                    let (from, until) = (at(root.validity().not_before), at(root.validity().not_after));
                    found.push(Surveyed::ends(format!("a root of {} ({})", agency.id, root.subject()), from, until));
                }
                if let Revocation::Lists(lists) = &trusted.revocation {
                    found.extend(lists.iter().map(|list| {
                        let name = format!("the revocation list of {} ({})", agency.id, list.issuer());
                        Surveyed::ends(name, list.this_update(), list.next_update())
                    }));
                }
                all.push(reading.usable);
            }
            Err(problem) => found.push(Surveyed::wrong(name, problem.to_string())),
        }
        let contents = Contents::read(&read::issuer_files(config, agency));
        let keys: Result<_, Error> = read::issuers(config, agency, &contents);
        let name = format!("the token keys of {}", agency.id);
        found.push(match keys {
            Ok(_) => Surveyed { name, life: None, problem: None },
            Err(problem) => Surveyed::wrong(name, problem.to_string()),
        });
    }
    if let Err(problem) = Trust::of(all) {
        found.push(Surveyed::wrong("what vouches for the agencies' systems", problem.to_string()));
    }
    found
}
