//! What the node of a configuration would say, with its files as they are now and with what is inspected added to them.

use std::path::Path;

use concordat::config::Config;
use concordat::domain::{AgencyId, Instant};
use concordat::rotation::{Added, Rehearsal};
use concordat::tls::{RevocationList, Root, Trust, Unlistable, is_issued_by};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::Said;
use crate::cli::Usage;

/// A node, and for which agency's files it is asked.
pub(super) struct Node {
    rehearsal: Rehearsal,
    trust: Trust,
    problems: Vec<String>,
    agency: Option<AgencyId>,
    /// What is inspected of authorities that the node would take, and of lists.
    authorities: Vec<CertificateDer<'static>>,
    lists: Vec<CertificateRevocationListDer<'static>>,
}

fn boxed(error: Box<dyn std::error::Error + Send + Sync>) -> anyhow::Error {
    anyhow::Error::from_boxed(error)
}

impl Node {
    pub(super) fn of(config: &Path, agency: Option<&str>) -> anyhow::Result<Self> {
        let rehearsal = Rehearsal::of(Config::load(config)?).map_err(boxed)?;
        let find = |wanted: &str| {
            rehearsal.agencies().find(|known| known.as_str() == wanted).cloned().ok_or_else(|| {
                let known: Vec<&str> = rehearsal.agencies().map(AgencyId::as_str).collect();
                Usage(format!("--agency: {} knows no `{wanted}`, but {}", config.display(), known.join(", ")))
            })
        };
        let agency = agency.map(find).transpose()?;
        let (trust, problems) = (rehearsal.trust().map_err(boxed)?, rehearsal.problems());
        Ok(Self { rehearsal, trust, problems, agency, authorities: Vec::new(), lists: Vec::new() })
    }

    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The agency for which everything is judged.
    pub(super) fn agency(&self) -> Option<&AgencyId> {
        self.agency.as_ref()
    }

    /// What is inspected together is judged together: a list by an authority that comes with it.
    pub(super) fn given(
        &mut self,
        authorities: Vec<CertificateDer<'static>>,
        lists: Vec<CertificateRevocationListDer<'static>>,
    ) {
        let Some(agency) = &self.agency else { return };
        let is_taken = |der: &CertificateDer<'static>| {
            self.rehearsal.with(agency, &self.added(agency, std::slice::from_ref(der), None)).is_ok()
        };
        self.authorities = authorities.into_iter().filter(is_taken).collect();
        self.lists = lists;
    }

    /// A system's chain.
    pub(super) fn system(&self, chain: &[CertificateDer<'static>]) -> Said {
        let would_be = self
            .agency
            .as_ref()
            .map(|agency| self.rehearsal.with(agency, &self.added(agency, &self.authorities, self.all_lists())));
        let would_be = match would_be.transpose() {
            Ok(would_be) => would_be.map(|rehearsed| rehearsed.trust),
            Err(problem) => return Said::TurnedAway(problem.to_string()),
        };
        match would_be.as_ref().unwrap_or(&self.trust).admit(chain, UnixTime::now()) {
            Ok(peer) => match &self.agency {
                Some(agency) if agency != peer.agency() => {
                    Said::TurnedAway(format!("it is a system of {}, not of {agency}", peer.agency()))
                }
                _ => Said::admitted(&peer),
            },
            Err(reason) => Said::TurnedAway(reason.to_string()),
        }
    }

    /// An authority that is valid now.
    pub(super) fn authority(&self, der: &CertificateDer<'static>, root: &Root) -> Said {
        let whose = self.trust.agencies().find(|one| one.roots().any(|known| known.fingerprint == root.fingerprint));
        let whose = whose.map(|one| &one.trusted().agency);
        match (&self.agency, whose) {
            (None, Some(agency)) => Said::Accepted(format!("it is a root of {agency}")),
            (Some(agency), Some(own)) if agency == own => Said::Accepted(format!("it is a root of {agency}")),
            (None, None) => Said::Nothing(
                "it is no root of this node, and was judged for no agency: say with --agency whose it would be",
            ),
            (Some(agency), _) => self.candidate(agency, der),
        }
    }

    /// An authority that is no root of this agency yet.
    fn candidate(&self, agency: &AgencyId, der: &CertificateDer<'static>) -> Said {
        let is_below = self.is_below(agency, der);
        if is_below && !self.rehearsal.is_by_lists(agency) {
            return Said::Nothing("it is below a root of the agency: systems send it, and nobody configures it");
        }
        if is_below && !self.rehearsal.takes_intermediates(agency) {
            return Said::TurnedAway(format!(
                "it is below a root of {agency}, for which no `intermediates_file` is configured: no list of it would count, \
                 and nobody whom it vouches for would be admitted"
            ));
        }
        // With all that it comes with.
        let mut authorities = self.authorities.clone();
        if !authorities.contains(der) {
            authorities.push(der.clone());
        }
        let place = if is_below { "`intermediates_file`" } else { "`roots_file`" };
        match self.rehearsal.with(agency, &self.added(agency, &authorities, self.all_lists())) {
            Err(problem) => Said::TurnedAway(format!("in {place} of {agency}: {problem}")),
            Ok(would_be) if would_be.problems.is_empty() => {
                Said::Accepted(format!("in {place} of {agency}, below what is there"))
            }
            Ok(would_be) => Said::Accepted(format!(
                "in {place} of {agency}, below what is there; but {}",
                would_be.problems.join("; ")
            )),
        }
    }

    /// The lists that are inspected, if there are any, in the place of those that are there.
    fn all_lists(&self) -> Option<String> {
        (!self.lists.is_empty()).then(|| self.lists.iter().map(|der| list_pem(der)).collect())
    }

    /// A revocation list.
    pub(super) fn list(&self, der: &CertificateRevocationListDer<'static>, now: Instant) -> Said {
        let (agency, list) = match self.signer(der, now) {
            Ok(found) => found,
            Err(problem) => return Said::TurnedAway(problem),
        };
        if !self.rehearsal.is_by_lists(&agency) {
            let policy = "takes no certificate back by lists (`revocation = \"short-lived\"`)";
            return Said::TurnedAway(format!("{agency} {policy}: the node would not read it"));
        }
        let authorities = if self.agency.is_some() { self.authorities.as_slice() } else { &[] };
        let would_be = match self.rehearsal.with(&agency, &self.added(&agency, authorities, Some(list_pem(der)))) {
            Ok(would_be) => would_be,
            Err(problem) => return Said::TurnedAway(format!("for {agency}: {problem}")),
        };
        let of_authority = |one: &&RevocationList| one.authority_digest() == list.authority_digest();
        match would_be.vouching.lists().iter().find(of_authority) {
            Some(placed) if *placed == list => {
                let until = list.next_update();
                Said::Accepted(format!("it counts for {agency} until {until}, unless the node knows of a later one"))
            }
            // Whatever else it may lack was looked at above.
            Some(placed) => match list.follows(placed.stand()) {
                Err(problem) => Said::TurnedAway(format!("for {agency}: {problem}")),
                Ok(()) => Said::TurnedAway(format!("for {agency}: {}", would_be.problems.join("; "))),
            },
            None => Said::TurnedAway(format!("for {agency}: {}", would_be.problems.join("; "))),
        }
    }

    /// Whose authority signed a list: the agency's that was asked for; otherwise that of whichever has one.
    fn signer(
        &self,
        der: &CertificateRevocationListDer<'static>,
        now: Instant,
    ) -> Result<(AgencyId, RevocationList), String> {
        let mut why = "there is no agency".to_owned();
        let asked = self.rehearsal.agencies().filter(|one| self.agency.as_ref().is_none_or(|agency| agency == *one));
        for agency in asked {
            let mut authorities = self.rehearsal.authorities(agency).map_err(|problem| problem.to_string())?;
            authorities.extend(self.authorities.iter().cloned());
            match RevocationList::read(der, &authorities, now) {
                Ok(list) => return Ok((agency.clone(), list)),
                Err(Unlistable::Stranger { issuer }) if self.agency.is_none() => {
                    why = format!("the list of {issuer} is by no authority of any agency that this node knows");
                }
                // Another agency's authority may have the same name.
                Err(problem @ Unlistable::Signature { .. }) if self.agency.is_none() => why = problem.to_string(),
                Err(problem) => return Err(format!("for {agency}: {problem}")),
            }
        }
        Err(why)
    }

    /// Where these authorities would go, but for those that are there already.
    fn added(&self, agency: &AgencyId, authorities: &[CertificateDer<'static>], lists: Option<String>) -> Added {
        let known = self.rehearsal.authorities(agency).unwrap_or_default();
        let mut added = Added { lists, ..Added::default() };
        for der in authorities.iter().filter(|der| !known.contains(der)) {
            let place = if self.is_below(agency, der) { &mut added.intermediates } else { &mut added.roots };
            place.push_str(&super::pem_of(der));
        }
        added
    }

    /// Whether a root of the agency, and not the authority itself, issued an authority's certificate.
    fn is_below(&self, agency: &AgencyId, der: &CertificateDer<'static>) -> bool {
        let Ok((_, read)) = X509Certificate::from_der(der) else { return false };
        let is_own = read.issuer().as_raw() == read.subject().as_raw();
        let known = self.trust.agencies().filter(|one| one.trusted().agency == *agency);
        !is_own
            && known.flat_map(|one| &one.trusted().roots).chain(&self.authorities).any(|root| is_issued_by(der, root))
    }
}

fn list_pem(der: &[u8]) -> String {
    format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", data_encoding::BASE64.encode(der))
}
