//! What a node would say: the judge of handshakes and of reloads, with the files that it is given.

use std::path::Path;

use anyhow::Context as _;
use concordat::config::Config;
use concordat::domain::{AgencyId, Instant};
use concordat::identity::{TokenKey, check_leaf};
use concordat::rotation;
use concordat::tls::{self, Credentials, Revocation, RevocationList, Root, Trust, TrustedAgency};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use serde_json::Value;

use super::super::files::read;
use crate::cli::Usage;

/// What is said of one thing.
pub(super) enum Said {
    Accepted(String),
    TurnedAway(String),
    Nothing(&'static str),
}

impl Said {
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
    trust: Option<Trust>,
    authorities: Vec<CertificateDer<'static>>,
    problems: Vec<String>,
}

impl Judge {
    /// The node of a configuration, with its files as they are now.
    pub(super) fn node(file: &Path) -> anyhow::Result<Self> {
        let config = Config::load(file)?;
        let (trust, problems) = rotation::trust(&config).map_err(anyhow::Error::from_boxed)?;
        let mut authorities: Vec<_> = trust.agencies().flat_map(|one| one.trusted().roots.clone()).collect();
        for more in config.agency.iter().filter_map(|agency| agency.intermediates_file.as_deref()) {
            authorities.extend(tls::certificates_from_file(&config.path(more))?);
        }
        let by = format!("the node of {}, with its files as they are now", file.display());
        Ok(Self { by, trust: Some(trust), authorities, problems })
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
        Ok(Self { by, trust: Some(Trust::new([trusted])?), authorities, problems })
    }

    /// Nobody who trusts anybody.
    pub(super) fn form() -> Self {
        let by = "its form alone: name a node with --config, or an agency's roots with --roots".to_owned();
        Self { by, trust: None, authorities: Vec::new(), problems: Vec::new() }
    }

    pub(super) fn by(&self) -> &str {
        &self.by
    }

    /// What of its own files the judge could not use.
    pub(super) fn problems(&self) -> &[String] {
        &self.problems
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
        let Some(trust) = &self.trust else {
            return Ok(Said::Nothing(
                "its form is right; whether a node trusts it depends on the node's roots and lists",
            ));
        };
        Ok(match trust.admit(chain, UnixTime::now()) {
            Ok(peer) => Said::Accepted(format!("as a system of {} until {}", peer.agency(), peer.vouching().until)),
            Err(reason) => Said::TurnedAway(reason.to_string()),
        })
    }

    /// An authority's certificate.
    pub(super) fn root(&self, der: &CertificateDer<'_>, now: Instant) -> Said {
        let Some(root) = Root::read(der) else {
            return Said::TurnedAway("it cannot be read as an authority's".to_owned());
        };
        if !root.is_valid(now) {
            return Said::TurnedAway(format!(
                "it vouches from {} until {}: renew the authority",
                root.from, root.until
            ));
        }
        let mut agencies = self.trust.iter().flat_map(Trust::agencies);
        let whose = agencies.find(|one| one.roots().any(|known| known.fingerprint == root.fingerprint));
        match whose {
            Some(one) => Said::Accepted(format!("it is a root of {}", one.trusted().agency)),
            None if self.trust.is_some() => {
                Said::Nothing("it is no root of this node: the agency's `roots_file` would name it")
            }
            None => Said::Nothing("it is good as a root now; whether it is one, a node's `roots_file` says"),
        }
    }

    /// A revocation list.
    pub(super) fn list(&self, der: &CertificateRevocationListDer<'_>, now: Instant) -> Said {
        if self.trust.is_none() {
            return Said::Nothing("a list is judged by its authority's certificate: --config or --roots");
        }
        match RevocationList::read(der, &self.authorities, now) {
            Ok(list) => {
                Said::Accepted(format!("it counts until {}, unless a higher number is known", list.next_update()))
            }
            Err(problem) => Said::TurnedAway(problem.to_string()),
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
