//! What is in place of certificates, lists and keys, as the contract writes it.

use std::collections::HashMap;

use crate::connections::Count;
use crate::domain::{AgencyId, Digest, Instant};
use crate::exchange::timestamp;
use crate::proto::v1::{
    AgencyTrust, FileState, GetTlsStatusResponse, NodeCertificate, RevocationListState, TokenKeyState, TrustedRoot,
};
use crate::rotation::{AgencyStatus, FilesStatus, ListStatus, NodeStatus, Status, TokenKeyStatus};

/// What was in place, with how many connections there are by each root of the agencies whose may be counted; and whether the
/// last look at the files is too long ago.
pub(super) fn status(
    status: &Status,
    looked_too_long_ago: bool,
    counts: &HashMap<Digest, Count>,
    may_count: impl Fn(&AgencyId) -> bool,
) -> GetTlsStatusResponse {
    let agencies = status.agencies.iter().map(|agency| {
        let counts = may_count(&agency.agency).then_some(counts);
        of_agency(agency, counts, status.looked_at)
    });
    GetTlsStatusResponse {
        looked_at: Some(timestamp(status.looked_at)),
        requires_post_quantum: status.requires_post_quantum,
        node: Some(of_node(&status.node, status.looked_at)),
        agencies: agencies.collect(),
        looked_too_long_ago: Some(looked_too_long_ago),
    }
}

fn of_files(files: &FilesStatus) -> FileState {
    let (problem, since) = files.problem.clone().unzip();
    FileState {
        in_place_since: Some(timestamp(files.in_place_since)),
        problem: problem.unwrap_or_default(),
        problem_since: since.map(timestamp),
    }
}

fn of_node(node: &NodeStatus, now: Instant) -> NodeCertificate {
    NodeCertificate {
        fingerprint: node.fingerprint.to_hex(),
        valid_from: node.validity.map(|(from, _)| timestamp(from)),
        valid_until: node.validity.map(|(_, until)| timestamp(until)),
        life_passed_percent: node.validity.map_or(100, |(from, until)| passed(from, until, now)),
        files: Some(of_files(&node.files)),
    }
}

fn of_agency(agency: &AgencyStatus, counts: Option<&HashMap<Digest, Count>>, now: Instant) -> AgencyTrust {
    let roots = agency.roots.iter().map(|root| {
        let count = counts.map(|counts| counts.get(&root.fingerprint).copied().unwrap_or_default());
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        TrustedRoot {
            fingerprint: root.fingerprint.to_hex(),
            subject: root.subject.clone(),
            valid_from: Some(timestamp(root.from)),
            valid_until: Some(timestamp(root.until)),
            connections: count.map(|count| number(count.open)),
            post_quantum_connections: count.map(|count| number(count.post_quantum)),
        }
    });
    AgencyTrust {
        agency: agency.agency.to_string(),
        trust_domain: agency.trust_domain.clone(),
        roots: roots.collect(),
        by_lists: agency.lists.is_some(),
        lists: agency.lists.iter().flatten().map(|list| of_list(list, now)).collect(),
        trust_files: Some(of_files(&agency.trusted_files)),
        token_keys: agency.token_keys.iter().map(of_key).collect(),
        token_files: Some(of_files(&agency.token_files)),
    }
}

fn of_list(list: &ListStatus, now: Instant) -> RevocationListState {
    RevocationListState {
        issuer: list.issuer.clone(),
        number: list.number.clone(),
        this_update: Some(timestamp(list.this_update)),
        next_update: Some(timestamp(list.next_update)),
        life_passed_percent: passed(list.this_update, list.next_update, now),
    }
}

fn of_key(key: &TokenKeyStatus) -> TokenKeyState {
    TokenKeyState { issuer: key.issuer.clone(), kid: key.kid.clone(), algorithm: key.algorithm.to_owned() }
}

/// How much of a life is over at `now`, in whole percent: 0 to 100.
fn passed(from: Instant, until: Instant, now: Instant) -> u32 {
    let whole = (until.micros() - from.micros()).max(1);
    let gone = (now.micros() - from.micros()).clamp(0, whole);
    u32::try_from(i128::from(gone) * 100 / i128::from(whole)).unwrap_or(100)
}
