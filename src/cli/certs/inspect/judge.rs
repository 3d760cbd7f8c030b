//! What a node would say: the judge of handshakes and of reloads, with the files that it is given.

mod node;

use std::path::Path;

use anyhow::Context as _;
use concordat::domain::{AgencyId, Instant};
use concordat::identity::{Peer, TokenKey, check_leaf};
use concordat::tls::{self, Credentials, Revocation, RevocationList, Root, Trust, TrustedAgency};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use serde_json::Value;

use super::super::files::read;
use crate::cli::Usage;
use node::Node;

/// What is said of one thing.
pub(super) enum Said {
    Accepted(String),
    TurnedAway(String),
    Nothing(&'static str),
}

impl Said {
    fn admitted(peer: &Peer) -> Self {
        Self::Accepted(format!(
            "as a system of {} until {}, unless it is suspended",
            peer.agency(),
            peer.vouching().until
        ))
    }

    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::TurnedAway(_) => "turned away",
            Self::Nothing(_) => "not judged",
        }
    }

    pub(super) fn why(&self) -> String {
        match self {
            Self::Accepted(why) | Self::TurnedAway(why) => why.clone(),
            Self::Nothing(why) => (*why).to_owned(),
        }
    }
}

/// Who judges.
pub(super) struct Judge {
    by: String,
    who: Who,
}

enum Who {
    /// Nobody who trusts anybody.
    Form,
    /// A node that knows one agency.
    Agency {
        trust: Trust,
        authorities: Vec<CertificateDer<'static>>,
        problems: Vec<String>,
    },
    Node(Box<Node>),
}

impl Judge {
    /// The node of a configuration, with its files as they are now, and for this agency's.
    pub(super) fn node(file: &Path, agency: Option<&str>) -> anyhow::Result<Self> {
        let node = Node::of(file, agency)?;
        let added = node.agency().map(|agency| format!(" and what is inspected added to those of {agency}"));
        let by = format!("the node of {}, with its files as they are now{}", file.display(), added.unwrap_or_default());
        Ok(Self { by, who: Who::Node(Box::new(node)) })
    }

    /// A node that knows one agency, of the trust domain of its roots.
    pub(super) fn agency(roots: &Path, lists: Option<&Path>) -> anyhow::Result<Self> {
        let now = now();
        let authorities = tls::certificates(read(roots)?.as_bytes()).with_context(|| roots.display().to_string())?;
        let named = authorities.iter().find_map(|der| {
            let facts = super::facts::certificate(der);
            let names = facts.get("names").and_then(Value::as_array).cloned().unwrap_or_default();
            names.iter().find_map(|name| Some(name.as_str()?.strip_prefix("spiffe://")?.to_owned()))
        });
        let trust_domain = named.ok_or_else(|| {
            let problem = "names no trust domain, as OpenSSL's profile makes it: judge with --config NODE.toml";
            Usage(format!("{} {problem}", roots.display()))
        })?;
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        let pem = lists.map(read).transpose()?;
        for der in pem.iter().flat_map(|pem| tls::revocation_lists(pem.as_bytes())) {
            let read = der.map_err(|damaged| damaged.to_string());
            match read.and_then(|der| RevocationList::read(&der, &authorities, now).map_err(|unfit| unfit.to_string()))
            {
                Ok(list) => found.push(list),
                Err(problem) => problems.push(problem),
            }
        }
        let revocation = if lists.is_some() { Revocation::Lists(found) } else { Revocation::ShortLived };
        let (agency, roots_of) = (AgencyId::known("agency"), authorities.clone());
        let trusted = TrustedAgency { agency, trust_domain, roots: roots_of, revocation };
        let by = format!("a node with the roots of {}", roots.display());
        Ok(Self { by, who: Who::Agency { trust: Trust::new([trusted])?, authorities, problems } })
    }

    /// Nobody who trusts anybody.
    pub(super) fn form() -> Self {
        let by = "its form alone: name a node with --config, or an agency's roots with --roots".to_owned();
        Self { by, who: Who::Form }
    }

    /// What is inspected of authorities and lists that would be configured.
    pub(super) fn given(
        &mut self,
        authorities: Vec<CertificateDer<'static>>,
        lists: Vec<CertificateRevocationListDer<'static>>,
    ) {
        if let Who::Node(node) = &mut self.who {
            node.given(authorities, lists);
        }
    }

    pub(super) fn by(&self) -> &str {
        &self.by
    }

    /// What of its own files the judge could not use.
    pub(super) fn problems(&self) -> &[String] {
        match &self.who {
            Who::Form => &[],
            Who::Agency { problems, .. } => problems,
            Who::Node(node) => node.problems(),
        }
    }

    /// A system's or a node's chain.
    pub(super) fn system(
        &self,
        chain: &[CertificateDer<'static>],
        facts: &Value,
        key: Option<&Path>,
        now: Instant,
    ) -> anyhow::Result<Said> {
        let Some(leaf) = chain.first() else { return Ok(Said::Nothing("there is no certificate")) };
        let has = |usage: &str| facts["usages"].as_array().is_some_and(|all| all.iter().any(|one| one == usage));
        if let Some(key) = key {
            let pem: String = chain.iter().map(|der| pem_of(der)).collect();
            let problem = || key.display().to_string();
            let credentials = Credentials::from_pem(pem, read(key)?).with_context(problem)?;
            if !credentials.has_its_key() {
                return Ok(Said::TurnedAway(format!(
                    "{} isn't its key: put the two that belong together there",
                    key.display()
                )));
            }
        }
        if has("serverAuth") && !has("clientAuth") {
            return Ok(match tls::check_server(leaf, now) {
                Ok(()) => Said::Accepted(
                    "as a node's own certificate; whether callers trust its authority is theirs to know".to_owned(),
                ),
                Err(problem) => Said::TurnedAway(format!("as a node's own: {problem}")),
            });
        }
        if let Err(problem) = check_leaf(leaf) {
            return Ok(Said::TurnedAway(format!("{problem} (certs/README.md has the form)")));
        }
        Ok(match &self.who {
            Who::Form => {
                Said::Nothing("its form is right; whether a node trusts it depends on the node's roots and lists")
            }
            Who::Node(node) => node.system(chain),
            Who::Agency { trust, .. } => match trust.admit(chain, UnixTime::now()) {
                Ok(peer) => Said::admitted(&peer),
                Err(reason) => Said::TurnedAway(reason.to_string()),
            },
        })
    }

    /// An authority's certificate.
    pub(super) fn root(&self, der: &CertificateDer<'static>, now: Instant) -> Said {
        let Some(root) = Root::read(der) else {
            return Said::TurnedAway("it cannot be read as an authority's".to_owned());
        };
        if !root.is_valid(now) {
            return Said::TurnedAway(format!(
                "it vouches from {} until {}: renew the authority",
                root.from, root.until
            ));
        }
        match &self.who {
            Who::Form => Said::Nothing("it is good as a root now; whether it is one, a node's `roots_file` says"),
            Who::Node(node) => node.authority(der, &root),
            Who::Agency { authorities, .. } if authorities.contains(der) => {
                Said::Accepted("it is one of --roots".to_owned())
            }
            Who::Agency { .. } => {
                Said::Nothing("it is none of --roots: --config and --agency say what a node would say")
            }
        }
    }

    /// A revocation list.
    pub(super) fn list(&self, der: &CertificateRevocationListDer<'static>, now: Instant) -> Said {
        match &self.who {
            Who::Form => Said::Nothing("a list is judged by its authority's certificate: --config or --roots"),
            Who::Node(node) => node.list(der, now),
            Who::Agency { authorities, .. } => match RevocationList::read(der, authorities, now) {
                Ok(list) => {
                    let until = list.next_update();
                    Said::Accepted(format!("it counts until {until}, unless the node knows of a later one"))
                }
                Err(problem) => Said::TurnedAway(problem.to_string()),
            },
        }
    }
}

/// What every node says of a public key, which is good for tokens alone.
pub(super) fn token_key(pem: &str) -> Said {
    match TokenKey::from_pem(pem) {
        Ok(key) => Said::Accepted(format!("as a token key, for {}", key.algorithm())),
        Err(problem) => Said::TurnedAway(problem.to_string()),
    }
}

fn now() -> Instant {
    concordat::clock::Clock::system().now()
}

fn pem_of(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", data_encoding::BASE64.encode(der))
}
