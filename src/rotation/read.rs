//! What each set is made of, and what is checked before it is used.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::Error;
use super::lasts::Lasts;
use super::set::{Contents, Reading};
use crate::config::{self, AgencySection, Config, RevocationPolicy};
use crate::domain::Instant;
use crate::identity::{RegisteredIssuer, TokenKey};
use crate::tls::{self, Credentials, Revocation, RevocationList, TrustedAgency, Vouching};

pub(super) fn own_files(config: &Config) -> Vec<PathBuf> {
    [&config.tls.certificate_file, &config.tls.key_file].map(|file| config.path(file)).into()
}

/// The node's certificate: good now, with a name, and its key is nobody else's to read.
pub(super) fn own(config: &Config, contents: &Contents, now: Instant) -> Result<Reading<Credentials>, Error> {
    let [certificate, key] = [&config.tls.certificate_file, &config.tls.key_file].map(|file| config.path(file));
    let chain = contents.of(&certificate)?;
    let private = if config.tls.allow_readable_keys { contents.of(&key)? } else { contents.secret(&key)? };
    let credentials = Credentials::from_pem(chain, private)
        .map_err(|problem| format!("{} and {}: {problem}", certificate.display(), key.display()))?;
    credentials.check_server(now).map_err(|problem| config::Error::new(&certificate, problem))?;
    Ok(credentials.into())
}

pub(super) fn trusted_files(config: &Config, agency: &AgencySection) -> Vec<PathBuf> {
    let files = [Some(&agency.roots_file), agency.intermediates_file.as_ref(), agency.revocation_lists_file.as_ref()];
    files.into_iter().flatten().map(|file| config.path(file)).collect()
}

/// What came before a set of files that vouch for an agency's systems.
pub(super) struct Before<'a> {
    /// What vouched for them so far, while this node runs.
    pub(super) vouching: Option<&'a Vouching>,
    /// The last lists that are known of, which need not be in place.
    pub(super) lasts: &'a Lasts,
}

impl Before<'_> {
    /// The lists that counted so far.
    fn lists(&self) -> &[RevocationList] {
        match self.vouching.map(|vouching| &vouching.trusted().revocation) {
            Some(Revocation::Lists(lists)) => lists,
            _ => &[],
        }
    }
}

/// What vouches for an agency's systems, after what did before.
///
/// Of each authority the list with the highest number counts, of those on disk and the one that counted so far; none is taken
/// from the disk that comes before the last one. What cannot be used is a problem, and the rest is used: no list is worse off for another, and a root that is taken out is
/// out whatever its list is. An authority without any list that counts admits nobody; without one of any authority the
/// agency is stopped.
pub(super) fn vouching(
    config: &Config,
    agency: &AgencySection,
    contents: &Contents,
    before: &Before<'_>,
    now: Instant,
) -> Result<Reading<Arc<Vouching>>, Error> {
    let file = config.path(&agency.roots_file);
    let roots = tls::certificates(contents.of(&file)?).map_err(|problem| config::Error::new(&file, problem))?;
    let mut problems = Vec::new();
    let revocation = match agency.revocation {
        RevocationPolicy::ShortLived => Revocation::ShortLived,
        RevocationPolicy::Crl => {
            let mut authorities = roots.clone();
            if let Some(file) = &agency.intermediates_file {
                let file = config.path(file);
                let more = tls::certificates(contents.of(&file)?);
                authorities.extend(more.map_err(|problem| config::Error::new(&file, problem))?);
            }
            Revocation::Lists(lists(config, agency, contents, &authorities, before, now, &mut problems)?)
        }
    };
    let (agency, trust_domain) = (agency.id.clone(), agency.trust_domain.clone());
    let usable = Arc::new(Vouching::of(TrustedAgency { agency, trust_domain, roots, revocation })?);
    Ok(Reading { usable, problems })
}

/// The list of each authority.
fn lists(
    config: &Config,
    agency: &AgencySection,
    contents: &Contents,
    authorities: &[CertificateDer<'static>],
    before: &Before<'_>,
    now: Instant,
    problems: &mut Vec<String>,
) -> Result<Vec<RevocationList>, Error> {
    let file = config.path(agency.revocation_lists_file.as_deref().unwrap_or("".as_ref()));
    let mut tell = |problem: &dyn Display| problems.push(config::Error::new(&file, problem).to_string());
    let mut found = Vec::new();
    let bytes = contents.of(&file).map_err(|problem| tell(&problem)).unwrap_or_default();
    for der in tls::revocation_lists(bytes) {
        let read = der.map_err(|damaged| damaged.to_string());
        match read.and_then(|der| RevocationList::read(&der, authorities, now).map_err(|unfit| unfit.to_string())) {
            Ok(list) => found.push(list),
            Err(problem) => tell(&problem),
        }
    }
    let mut lists = Vec::new();
    let mut names = BTreeSet::new();
    for (_, authority) in authorities.iter().filter_map(|der| X509Certificate::from_der(der).ok()) {
        if !names.insert(authority.subject().as_raw().to_vec()) {
            let name = authority.subject();
            let problem = format!("two authorities are called {name}: give each a name of its own, lists go by it");
            return Err(config::Error::new(&config.path(&agency.roots_file), problem).into());
        }
        let mut best = before.lists().iter().find(|known| known.is_by(&authority));
        // What is in place stays, also where another replica has a later one already.
        for list in found.iter().filter(|list| list.is_by(&authority)) {
            if best == Some(list) {
                continue;
            }
            // One that is later than what counts here takes more back, whatever yet later one is known elsewhere. Where none
            // counts, none is believed that comes before the last one that was known anywhere.
            let counts = best.filter(|best| now < best.next_update());
            let last = counts
                .map(RevocationList::stand)
                .or_else(|| best.map(RevocationList::stand).max(before.lasts.of(&agency.id, list)));
            match last.map_or(Ok(()), |last| list.follows(last)) {
                Ok(()) => best = Some(list),
                Err(problem) => tell(&problem),
            }
        }
        let is_left_out = !found.is_empty() && !found.iter().any(|list| list.is_by(&authority));
        match best {
            Some(best) => {
                if is_left_out {
                    let name = authority.subject();
                    tell(&format!(
                        "no list of {name} in the file counts: the last one stays until it ends, but a node that starts has none"
                    ));
                }
                lists.push(best.clone());
            }
            None => tell(&format!("there is no list of {}: nobody it vouches for is admitted", authority.subject())),
        }
    }
    Ok(lists)
}

pub(super) fn issuer_files(config: &Config, agency: &AgencySection) -> Vec<PathBuf> {
    let keys = agency.issuer.iter().flat_map(|issuer| &issuer.key);
    keys.map(|key| config.path(&key.public_key_file)).collect()
}

/// Who vouches for an agency's officers.
pub(super) fn issuers(
    config: &Config,
    agency: &AgencySection,
    contents: &Contents,
) -> Result<Reading<Vec<RegisteredIssuer>>, Error> {
    let mut registered = Vec::new();
    for issuer in &agency.issuer {
        let mut keys = Vec::new();
        for key in &issuer.key {
            let file = config.path(&key.public_key_file);
            let pem = String::from_utf8_lossy(contents.of(&file)?).into_owned();
            let token_key = TokenKey::from_pem(&pem).map_err(|problem| config::Error::new(&file, problem))?;
            keys.push((key.kid.clone(), token_key));
        }
        registered.push(RegisteredIssuer {
            agency: agency.id.clone(),
            issuer: issuer.issuer.clone(),
            keys,
            roles: issuer.roles.clone(),
        });
    }
    Ok(registered.into())
}
