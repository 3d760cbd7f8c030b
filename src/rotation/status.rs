//! What is in place, for whoever is to renew it: how old it is, and whether its files can be used.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::config::Config;
use crate::domain::{AgencyId, Digest, Instant};
use crate::tls::{Credentials, Revocation, RevocationList, Root, Vouching};

use super::Sets;
use super::set::Set;

/// What was in place when the files were last looked at.
#[derive(Debug, Clone)]
pub struct Status {
    /// When that was.
    pub looked_at: Instant,
    /// Whether callers are turned away who cannot agree on keys in a post-quantum way.
    pub requires_post_quantum: bool,
    /// The node's own certificate.
    pub node: NodeStatus,
    /// In the order of the configuration.
    pub agencies: Vec<AgencyStatus>,
}

/// How it stands with the files of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesStatus {
    /// When they were last put in place.
    pub in_place_since: Instant,
    /// What cannot be used of what is on disk, with what to do, and since when.
    pub problem: Option<(String, Instant)>,
}

/// The node's own certificate.
#[derive(Debug, Clone)]
pub struct NodeStatus {
    /// SHA-256 over it.
    pub fingerprint: Digest,
    /// From when, inclusive, and until when, exclusive, it is valid; none if that cannot be read.
    pub validity: Option<(Instant, Instant)>,
    /// Its files.
    pub files: FilesStatus,
}

/// What vouches for one agency's systems and officers.
#[derive(Debug, Clone)]
pub struct AgencyStatus {
    /// The agency.
    pub agency: AgencyId,
    /// The SPIFFE trust domain of its systems.
    pub trust_domain: String,
    /// In the order of the file.
    pub roots: Vec<Root>,
    /// None: it takes no certificate back.
    pub lists: Option<Vec<ListStatus>>,
    /// Until when one of its roots has a list that counts. None where none has.
    pub lists_count_until: Option<Instant>,
    /// Files of roots, intermediates and lists.
    pub trusted_files: FilesStatus,
    /// The keys of its officers' tokens.
    pub token_keys: Vec<TokenKeyStatus>,
    /// Their files.
    pub token_files: FilesStatus,
}

impl AgencyStatus {
    /// Whether none of its systems is admitted at `now`, for want of a root's list that counts: every chain ends at one.
    pub fn is_stopped(&self, now: Instant) -> bool {
        self.lists.is_some() && self.lists_count_until.is_none_or(|until| until <= now)
    }
}

/// A revocation list.
#[derive(Debug, Clone)]
pub struct ListStatus {
    /// Who issued it.
    pub issuer: String,
    /// Its number, in decimal.
    pub number: String,
    /// From when it counts.
    pub this_update: Instant,
    /// Until when it does, exclusive.
    pub next_update: Instant,
}

/// A key that tokens are signed with.
#[derive(Debug, Clone)]
pub struct TokenKeyStatus {
    /// Whose tokens.
    pub issuer: String,
    /// As their headers name the key.
    pub kid: String,
    /// As their headers name the algorithm.
    pub algorithm: &'static str,
}

fn lists_count_until(vouching: &Vouching) -> Option<Instant> {
    let trusted = vouching.trusted();
    let Revocation::Lists(lists) = &trusted.revocation else { return None };
    let roots: Vec<_> = trusted.roots.iter().filter_map(|der| X509Certificate::from_der(der).ok()).collect();
    let of_roots = lists.iter().filter(|list| roots.iter().any(|(_, root)| list.is_by(root)));
    of_roots.map(RevocationList::next_update).max()
}

impl Sets {
    /// What is in place at `now`.
    pub(super) fn status(&self, config: &Config, now: Instant) -> Status {
        let agencies = self.trusted.iter().zip(&self.issuers).map(|(trusted, issuers)| {
            let vouching = trusted.good();
            let keys = issuers.good().iter().flat_map(|issuer| {
                issuer.keys.iter().map(|(kid, key)| TokenKeyStatus {
                    issuer: issuer.issuer.clone(),
                    kid: kid.clone(),
                    algorithm: key.algorithm(),
                })
            });
            AgencyStatus {
                agency: vouching.trusted().agency.clone(),
                trust_domain: vouching.trusted().trust_domain.clone(),
                roots: vouching.roots().cloned().collect(),
                lists: lists(vouching),
                lists_count_until: lists_count_until(vouching),
                trusted_files: trusted.files(),
                token_keys: keys.collect(),
                token_files: issuers.files(),
            }
        });
        Status {
            looked_at: now,
            requires_post_quantum: config.tls.require_post_quantum,
            node: node(&self.own),
            agencies: agencies.collect(),
        }
    }
}

fn node(own: &Set<Credentials>) -> NodeStatus {
    let credentials = own.good();
    NodeStatus { fingerprint: credentials.fingerprint(), validity: credentials.validity(), files: own.files() }
}

fn lists(vouching: &Vouching) -> Option<Vec<ListStatus>> {
    let Revocation::Lists(lists) = &vouching.trusted().revocation else { return None };
    let status = lists.iter().map(|list| ListStatus {
        issuer: list.issuer().to_owned(),
        number: list.number().to_string(),
        this_update: list.this_update(),
        next_update: list.next_update(),
    });
    Some(status.collect())
}
