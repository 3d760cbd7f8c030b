//! Judges a ledger by what lies in PostgreSQL and in the clients' hands.
//!
//! Nothing of the service is used but the contract's messages: own SQL, own hashing, own tree, own rules. A permission
//! begins and ends with the acts that say so, in the ledger's order; a release outside of it is an inversion.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use concordat::proto::v1::{Act, AskStatement, EntryKind, LedgerEntry, Opening, OutcomeStatement, Slot};
use data_encoding::BASE64;
use prost::Message;
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, PgConnection};

/// What the clients know: everything that they sent, and what they were told.
#[derive(Debug, Default)]
pub(super) struct Testimony {
    /// The case that each ask was about, by its idempotency key: noted before it was sent.
    pub(super) asks: HashMap<String, usize>,
    /// The case that each consent and each authorisation belongs to.
    pub(super) records: HashMap<String, usize>,
    /// What was acknowledged, by idempotency key.
    pub(super) acknowledged: HashMap<String, Acknowledged>,
}

/// An answer that a client received.
#[derive(Debug)]
pub(super) struct Acknowledged {
    pub(super) index: u64,
    pub(super) entry: Vec<u8>,
    pub(super) openings: Vec<Opening>,
    /// Whether content came with it.
    pub(super) delivered: bool,
}

/// What the judge found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) entries: usize,
    pub(super) asks: usize,
    pub(super) releases: usize,
    /// How often a permission was taken away.
    pub(super) endings: usize,
    /// Releases after the end of the permission that they needed.
    pub(super) inversions: Vec<String>,
}

#[derive(Default)]
struct Entry {
    leaf: Vec<u8>,
    request_id: String,
    method: String,
    object: String,
    answer: Option<String>,
}

/// Whether a case's records permit the release of its timeline.
#[derive(Debug, Default, Clone, Copy)]
struct Permission {
    consented: bool,
    authorised: bool,
}

/// What permits or stops releases in every case: all of them rest on one agreement, and are to one agency.
#[derive(Debug, Default)]
struct Everywhere {
    in_force: bool,
    suspended: BTreeSet<String>,
}

/// Reads the ledger as it is and compares it with what the clients say. Panics where the two differ; what lies in the
/// wrong order is counted.
pub(super) async fn judge(database: &str, testimony: &Testimony) -> Verdict {
    let mut connection = PgConnection::connect(database).await.unwrap();
    let entries = read(&mut connection).await;
    check_tree(&mut connection, &entries).await;
    for (request_id, acknowledged) in &testimony.acknowledged {
        check_acknowledged(request_id, acknowledged, &entries);
    }
    order(&entries, testimony)
}

/// Every entry with the call that it is of, from 0 on, without a gap, each call once.
async fn read(connection: &mut PgConnection) -> Vec<Entry> {
    let leaves: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT idx, leaf FROM entry ORDER BY idx").fetch_all(&mut *connection).await.unwrap();
    let calls: Vec<(i64, String, String, Option<String>)> =
        sqlx::query_as("SELECT idx, key, object, answer FROM call ORDER BY idx").fetch_all(connection).await.unwrap();
    let count = calls.len();
    let mut calls: BTreeMap<i64, (String, String, Option<String>)> =
        calls.into_iter().map(|(index, key, object, answer)| (index, (key, object, answer))).collect();
    assert_eq!(calls.len(), count, "an entry is of two calls");
    let mut keys = BTreeSet::new();
    let mut last = i64::MIN;
    let entries: Vec<Entry> = leaves
        .into_iter()
        .enumerate()
        .map(|(place, (index, leaf))| {
            assert_eq!(index, i64::try_from(place).unwrap(), "indexes have a gap or come twice");
            let LedgerEntry { at_micros: at, kind, .. } = LedgerEntry::decode(leaf.as_slice()).unwrap();
            assert!(at >= last, "entry {index} is earlier than the one before it");
            last = at;
            let Some((key, object, answer)) = calls.remove(&index) else {
                assert_eq!(kind, EntryKind::Notice as i32, "entry {index} is of no call, and no notice");
                return Entry { leaf, ..Entry::default() };
            };
            let [_, method, request_id] = <[&str; 3]>::try_from(key.split(' ').collect::<Vec<_>>()).unwrap();
            assert!(keys.insert(key.clone()), "`{key}` has two entries");
            Entry { leaf, request_id: request_id.to_owned(), method: method.to_owned(), object, answer }
        })
        .collect();
    assert!(calls.is_empty(), "calls without an entry: {calls:?}");
    entries
}

/// The last signed root is the root of these leaves.
async fn check_tree(connection: &mut PgConnection, entries: &[Entry]) {
    let query = sqlx::query_as("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1");
    let (size, note): (i64, String) = query.fetch_one(connection).await.unwrap();
    assert_eq!(usize::try_from(size).unwrap(), entries.len(), "the last checkpoint is of another size");
    let leaves: Vec<[u8; 32]> = entries.iter().map(|entry| hash(&[&[0], &entry.leaf])).collect();
    let lines: Vec<&str> = note.lines().collect();
    assert_eq!(lines[1], size.to_string());
    assert_eq!(lines[2], BASE64.encode(&root(&leaves)), "the leaves are not those that were signed");
}

/// RFC 6962, section 2.1.
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => hash(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            hash(&[&[1], &root(left), &root(right)])
        }
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// What a client was told lies in the ledger, at the place and in the bytes that it was told.
fn check_acknowledged(request_id: &str, told: &Acknowledged, entries: &[Entry]) {
    let entry = entries.get(usize::try_from(told.index).unwrap());
    let entry = entry.unwrap_or_else(|| panic!("{request_id} was acknowledged and is not there"));
    assert_eq!(entry.leaf, told.entry, "{request_id} was acknowledged as another entry");
    assert_eq!(entry.request_id, request_id, "{request_id} was acknowledged at the place of another call");
    let leaf = LedgerEntry::decode(told.entry.as_slice()).unwrap();
    let mut opened = BTreeMap::new();
    for opening in &told.openings {
        let committed = &leaf.commitments[usize::try_from(opening.slot - 1).unwrap()];
        assert_eq!(hash(&[&opening.salt, &opening.payload]), committed.as_slice(), "{request_id}: an opening is false");
        opened.insert(opening.slot, opening.payload.as_slice());
    }
    let act = opened[&(Slot::Act as i32)];
    if leaf.kind == EntryKind::Ask as i32 {
        assert_eq!(AskStatement::decode(act).unwrap().request_id, request_id);
        let outcome = OutcomeStatement::decode(opened[&(Slot::Outcome as i32)]).unwrap().outcome;
        assert_eq!(outcome, entry.outcome().unwrap(), "{request_id}: the ledger's outcome is not the table's");
        assert!(!told.delivered || outcome == "released", "{request_id}: content was delivered for `{outcome}`");
    } else {
        let act = Act::decode(act).unwrap();
        assert_eq!((act.request_id.as_str(), act.object.as_str()), (request_id, entry.object.as_str()));
    }
}

impl Entry {
    /// What an ask came to.
    fn outcome(&self) -> Option<String> {
        let answer: serde_json::Value = serde_json::from_str(self.answer.as_deref()?).unwrap();
        Some(answer["outcome"].as_str().unwrap().to_owned())
    }
}

/// Goes through the ledger in its order, following what is permitted.
fn order(entries: &[Entry], testimony: &Testimony) -> Verdict {
    let mut verdict = Verdict { entries: entries.len(), ..Verdict::default() };
    let mut cases: HashMap<usize, Permission> = HashMap::new();
    let mut everywhere = Everywhere::default();
    for (index, entry) in entries.iter().enumerate() {
        let record = testimony.records.get(&entry.object).copied();
        match (entry.method.as_str(), record) {
            ("ConsentService/VerifyConsent", Some(case)) => cases.entry(case).or_default().consented = true,
            ("AuthorisationService/GiveAuthorisation", Some(case)) => cases.entry(case).or_default().authorised = true,
            // What the narrowed consents of these tests leave out is what is asked for.
            ("ConsentService/WithdrawConsent" | "ConsentService/NarrowConsent", Some(case)) => {
                cases.entry(case).or_default().consented = false;
                verdict.endings += 1;
            }
            ("AuthorisationService/RevokeAuthorisation", Some(case)) => {
                cases.entry(case).or_default().authorised = false;
                verdict.endings += 1;
            }
            ("AgreementService/ActivateAgreement", _) => everywhere.in_force = true,
            ("AgreementService/EndAgreement", _) => {
                everywhere.in_force = false;
                verdict.endings += 1;
            }
            ("AdminService/SuspendAgency" | "AdminService/SuspendOfficer", _) => {
                everywhere.suspended.insert(entry.object.clone());
                verdict.endings += 1;
            }
            ("AdminService/ResumeAgency" | "AdminService/ResumeOfficer", _) => {
                assert!(everywhere.suspended.remove(&entry.object), "entry {index} resumes what was not suspended");
            }
            ("ReleaseService/RequestRelease", _) => {
                let case = testimony.asks.get(&entry.request_id).expect("an ask in the ledger that nobody put");
                verdict.asks += 1;
                if entry.outcome().as_deref() == Some("released") {
                    verdict.releases += 1;
                    let permission = cases.get(case).copied().unwrap_or_default();
                    let stands = everywhere.in_force && everywhere.suspended.is_empty();
                    if !(permission.consented && permission.authorised && stands) {
                        let request_id = &entry.request_id;
                        let found = format!("entry {index}, {request_id}, case {case}: {permission:?}, {everywhere:?}");
                        verdict.inversions.push(found);
                    }
                }
            }
            _ => {}
        }
    }
    verdict
}
