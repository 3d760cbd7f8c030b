//! The ledger's arithmetic against what we did not write: `ct-merkle`, the test vectors of RFC 6962's own
//! implementations, and bytes that were written down once and must never change.

use std::collections::BTreeMap;
use std::fs;

use concordat::domain::{AgencyId, Instant};
use concordat::ledger::{
    Draft, Growth, Invalidity, Keyring, Kind, Nodes, Salts, SigningKey, Slots, leaf_hash, prove_consistency,
    prove_inclusion, read_checkpoint, verify,
};
use concordat::proto::v1::{self, Receipt};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use proptest::test_runner::Config;
use prost::Message as _;
use sha2::Sha256;

use crate::architecture::workspace_file;

const ORIGIN: &str = "oracle.concordat.example";

fn key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, &[7; 32]).unwrap()
}

fn keys() -> Keyring {
    Keyring::parse([key().verifier_key().as_str()]).unwrap()
}

/// A tree as the store keeps it: a frontier, and a row of hashes beside each leaf.
#[derive(Default)]
struct Stored {
    rows: Vec<Vec<u8>>,
    frontier: Vec<u8>,
}

impl Stored {
    fn size(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Appends a batch, beginning as a writer does: from nothing but the frontier.
    fn append(&mut self, leaves: &[Vec<u8>]) -> Growth {
        let mut growth = Growth::from_frontier(self.size(), &self.frontier).unwrap();
        for leaf in leaves {
            let (index, row) = growth.append(leaf).unwrap();
            assert_eq!(index, self.size());
            self.rows.push(row);
        }
        self.frontier = growth.frontier().unwrap();
        growth
    }

    /// Only the rows that a proof says it needs.
    fn nodes(&self, needed: &[u64]) -> Nodes {
        let mut nodes = Nodes::default();
        for &index in needed {
            nodes.add_row(index, &self.rows[usize::try_from(index).unwrap()]);
        }
        nodes
    }

    fn inclusion(&self, size: u64, index: u64) -> Vec<Vec<u8>> {
        let (needed, prove) = prove_inclusion(size, index);
        prove(&self.nodes(&needed)).unwrap()
    }

    fn consistency(&self, size: u64, from: u64) -> Vec<Vec<u8>> {
        let (needed, prove) = prove_consistency(size, from);
        prove(&self.nodes(&needed)).unwrap()
    }
}

fn root_hash(root: [u8; 32], size: u64) -> RootHash<Sha256> {
    RootHash::new(root.into(), size)
}

/// A receipt for any leaf, without openings.
fn receipt(leaf: &[u8], index: u64, inclusion: Vec<Vec<u8>>, size: u64, root: [u8; 32]) -> Receipt {
    Receipt {
        origin: ORIGIN.to_owned(),
        index,
        entry: leaf.to_vec(),
        openings: Vec::new(),
        inclusion,
        checkpoint: key().sign_checkpoint(size, root).unwrap(),
    }
}

/// A leaf that can be read as an entry, and differs with its number.
fn leaf(number: u64, salt: u8) -> Vec<u8> {
    let at_micros = i64::try_from(number).unwrap() * 1_000;
    let commitments = vec![vec![salt; 32], number.to_be_bytes().repeat(4)];
    v1::LedgerEntry { format: 1, kind: Kind::Ask as i32, at_micros, commitments }.encode_to_vec()
}

proptest! {
    #![proptest_config(Config { cases: 48, failure_persistence: None, ..Config::default() })]

    /// At the end of each batch: the root, an inclusion proof and a consistency proof are what ct-merkle says.
    #[test]
    fn trees_agree_with_ct_merkle(
        batches in prop::collection::vec(1_usize..40, 1..16),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 16 * 3),
        salt: u8,
    ) {
        let mut stored = Stored::default();
        let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let mut roots: Vec<(u64, [u8; 32])> = Vec::new();
        let mut picks = picks.into_iter();
        for batch in batches {
            let leaves: Vec<Vec<u8>> = (0..batch as u64).map(|n| leaf(stored.size() + n, salt)).collect();
            let growth = stored.append(&leaves);
            for leaf in &leaves {
                oracle.push(leaf.clone());
            }
            let (size, root) = (stored.size(), growth.root().unwrap());
            prop_assert_eq!(growth.size(), size);
            let theirs = oracle.root();
            prop_assert_eq!(root.as_slice(), theirs.as_bytes().as_slice());

            let index = picks.next().unwrap().index(oracle.items().len());
            let proof = stored.inclusion(size, index as u64);
            let theirs = oracle.prove_inclusion(index);
            prop_assert_eq!(proof.concat(), theirs.as_bytes());
            let item = oracle.get(index).unwrap();
            let ours = InclusionProof::<Sha256>::from_bytes(proof.concat());
            prop_assert!(root_hash(root, size).verify_inclusion(item, index as u64, &ours).is_ok());
            let receipt = receipt(item, index as u64, proof.clone(), size, root);
            prop_assert!(verify(&receipt, &keys()).is_ok());

            // One that a commit makes from the frontier alone, before its rows are stored.
            let newest = size - 1;
            prop_assert_eq!(growth.prove(newest).unwrap(), stored.inclusion(size, newest));

            if let Some(&(from, old)) = roots.get(picks.next().unwrap().index(roots.len().max(1))) {
                let proof = stored.consistency(size, from);
                let theirs = oracle.prove_consistency(usize::try_from(size - from).unwrap());
                prop_assert_eq!(proof.concat(), theirs.as_bytes());
                let ours = ConsistencyProof::<Sha256>::try_from_bytes(proof.concat()).unwrap();
                prop_assert!(root_hash(root, size).verify_consistency(&root_hash(old, from), &ours).is_ok());
            }
            roots.push((size, root));
        }
    }

    /// A proof with a hash changed, left out, added or moved, for another place or another tree, proves nothing.
    #[test]
    fn a_mutated_proof_is_refused(size in 2_u64..300, pick: prop::sample::Index, at: prop::sample::Index, bit in 0..8_u8) {
        let mut stored = Stored::default();
        let leaves: Vec<Vec<u8>> = (0..size).map(|n| leaf(n, 0)).collect();
        let root = stored.append(&leaves).root().unwrap();
        let index = pick.index(leaves.len());
        let good = receipt(&leaves[index], index as u64, stored.inclusion(size, index as u64), size, root);
        prop_assert!(verify(&good, &keys()).is_ok());

        let mut mutants = Vec::new();
        let mut flipped = good.clone();
        let hash = at.index(flipped.inclusion.len());
        flipped.inclusion[hash][at.index(32)] ^= 1 << bit;
        mutants.push(flipped);
        let mut shorter = good.clone();
        shorter.inclusion.remove(hash);
        mutants.push(shorter);
        let mut longer = good.clone();
        longer.inclusion.insert(hash, vec![0; 32]);
        mutants.push(longer);
        let mut cut = good.clone();
        cut.inclusion[hash].pop();
        mutants.push(cut);
        if good.inclusion.len() > 1 {
            let mut turned = good.clone();
            turned.inclusion.reverse();
            mutants.push(turned);
        }
        let elsewhere = (index as u64 + 1 + at.index(leaves.len() - 1) as u64) % size;
        mutants.push(Receipt { index: elsewhere, ..good.clone() });
        mutants.push(Receipt { index: index as u64 + size, ..good.clone() });
        mutants.push(Receipt { entry: leaves[usize::try_from(elsewhere).unwrap()].clone(), ..good.clone() });
        let smaller = Stored::default().append(&leaves[..leaves.len() - 1]).root().unwrap();
        mutants.push(Receipt { checkpoint: key().sign_checkpoint(size - 1, smaller).unwrap(), ..good.clone() });
        let other = SigningKey::from_seed(ORIGIN, &[8; 32]).unwrap();
        mutants.push(Receipt { checkpoint: other.sign_checkpoint(size, root).unwrap(), ..good.clone() });
        let other = SigningKey::from_seed("other.example", &[7; 32]).unwrap();
        mutants.push(Receipt { checkpoint: other.sign_checkpoint(size, root).unwrap(), ..good });
        for (number, mutant) in mutants.iter().enumerate() {
            prop_assert!(verify(mutant, &keys()).is_err(), "mutant {} was believed", number);
        }
    }

}

proptest! {
    #![proptest_config(Config { cases: 1_024, failure_persistence: None, ..Config::default() })]

    /// One changed byte anywhere in what a receipt says, and it says nothing.
    #[test]
    fn a_receipt_with_a_byte_flipped_never_verifies(at: prop::sample::Index, change in 1..=255_u8) {
        let good = golden_receipt();
        let mut bad = good.clone();
        let mut bytes = at.index(weight(&good));
        flip(&mut bad, &mut bytes, change);
        prop_assert_ne!(&bad, &good);
        prop_assert!(verify(&bad, &keys()).is_err(), "{:?}", bad);
    }

    /// The same in its encoding. Whatever can still be read and believed says a part of what the receipt said: a
    /// changed tag can hide an opening, and no more.
    #[test]
    fn a_flipped_encoding_never_says_anything_else(at: prop::sample::Index, change in 1..=255_u8) {
        let good = golden_receipt();
        let mut bytes = good.encode_to_vec();
        let place = at.index(bytes.len());
        bytes[place] ^= change;
        let Ok(bad) = Receipt::decode(bytes.as_slice()) else { return Ok(()) };
        if verify(&bad, &keys()).is_ok() {
            prop_assert!(bad.openings.iter().all(|opening| good.openings.contains(opening)));
            prop_assert_eq!(Receipt { openings: good.openings.clone(), ..bad }, good);
        }
    }
}

/// How many bytes [`flip`] can change.
fn weight(receipt: &Receipt) -> usize {
    let openings = receipt.openings.iter().map(|opening| 4 + opening.salt.len() + opening.payload.len());
    let inclusion = receipt.inclusion.iter().map(Vec::len);
    let texts = receipt.origin.len() + receipt.checkpoint.len();
    8 + texts + receipt.entry.len() + openings.sum::<usize>() + inclusion.sum::<usize>()
}

/// Changes the byte with this number among all bytes of the receipt's fields.
fn flip(receipt: &mut Receipt, number: &mut usize, change: u8) {
    fn in_bytes(bytes: &mut [u8], number: &mut usize, change: u8) -> bool {
        if let Some(byte) = bytes.get_mut(*number) {
            *byte ^= change;
            return true;
        }
        *number -= bytes.len();
        false
    }
    // What is not UTF-8 any more cannot be in a string at all, and stands for something else then.
    fn in_text(text: &mut String, number: &mut usize, change: u8) -> bool {
        let mut bytes = std::mem::take(text).into_bytes();
        let done = in_bytes(&mut bytes, number, (change & 0x7f).max(1));
        *text = String::from_utf8_lossy(&bytes).into_owned();
        done
    }
    let mut index = receipt.index.to_be_bytes();
    let done = in_bytes(&mut index, number, change);
    receipt.index = u64::from_be_bytes(index);
    if done
        || in_text(&mut receipt.origin, number, change)
        || in_text(&mut receipt.checkpoint, number, change)
        || in_bytes(&mut receipt.entry, number, change)
    {
        return;
    }
    for opening in &mut receipt.openings {
        let mut slot = opening.slot.to_be_bytes();
        let done = in_bytes(&mut slot, number, change);
        opening.slot = i32::from_be_bytes(slot);
        if done || in_bytes(&mut opening.salt, number, change) || in_bytes(&mut opening.payload, number, change) {
            return;
        }
    }
    for hash in &mut receipt.inclusion {
        if in_bytes(hash, number, change) {
            return;
        }
    }
}

/// The test vectors that the implementations of RFC 6962 share: eight leaves, and the roots of the trees of them.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const INCLUSIONS: [(u64, u64, &[&str]); 4] = [
    (
        8,
        0,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        8,
        5,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (3, 2, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        5,
        1,
        &[
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];
const CONSISTENCIES: [(u64, u64, &[&str]); 3] = [
    (
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];

#[test]
fn the_vectors_of_rfc_6962_hold() {
    let leaves: Vec<Vec<u8>> = LEAVES.iter().map(|leaf| HEXLOWER.decode(leaf.as_bytes()).unwrap()).collect();
    assert_eq!(HEXLOWER.encode(&leaf_hash(&leaves[0])), ROOTS[1]);
    for size in 0..=leaves.len() {
        let root = Stored::default().append(&leaves[..size]).root().unwrap();
        assert_eq!(HEXLOWER.encode(&root), ROOTS[size], "the tree of {size}");
    }
    let mut stored = Stored::default();
    stored.append(&leaves);
    let hex = |proof: Vec<Vec<u8>>| proof.iter().map(|hash| HEXLOWER.encode(hash)).collect::<Vec<_>>();
    for (size, index, expected) in INCLUSIONS {
        assert_eq!(hex(stored.inclusion(size, index)), expected, "entry {index} in the tree of {size}");
    }
    for (from, size, expected) in CONSISTENCIES {
        assert_eq!(hex(stored.consistency(size, from)), expected, "from {from} to {size}");
    }
}

#[test]
fn a_frontier_of_another_size_is_refused() {
    let mut stored = Stored::default();
    stored.append(&(0..7).map(|n| leaf(n, 0)).collect::<Vec<_>>());
    assert_eq!(stored.frontier.len(), 3 * 32, "a tree of 4, one of 2, one of 1");
    assert!(Growth::from_frontier(8, &stored.frontier).is_err());
    assert!(Growth::from_frontier(7, &stored.frontier[1..]).is_err());
}

fn golden_draft() -> Draft {
    let ask = v1::AskStatement {
        requester: "ico".into(),
        unit: "incident-desk".into(),
        officer_pseudonym: "officer-aaaaaaaaaaaaaaaaaaaa".into(),
        holder: "ncsc".into(),
        purpose: "harm-reduction".into(),
        form: "organisation-specific".into(),
        categories: vec!["identity".into(), "timeline".into()],
        request_id: "golden-request-1".into(),
        request: "req_golden".into(),
        naming_ground: String::new(),
        urgency: String::new(),
    };
    let subject = v1::SubjectStatement { reference: "ref_golden-reference".into(), ..v1::SubjectStatement::default() };
    let category = v1::CategoryStatement { category: "timeline".into(), commitment: vec![3; 32] };
    let handling = v1::Handling {
        purposes: vec!["harm-reduction".into()],
        onward: "with-consent".into(),
        tlp: "amber".into(),
        pap: "amber".into(),
        classification: "official-sensitive".into(),
        review_by: Some(prost_types::Timestamp { seconds: 1_715_552_000, nanos: 0 }),
        correction_contact: "corrections@ncsc.example".into(),
        clauses: vec!["ico-ncsc-2023/incident-to-ico".into()],
        obligations: vec!["Use it only for the purposes stated.".into()],
        ..v1::Handling::default()
    };
    let released = v1::ReleasedStatement {
        reference: "ref_golden-reference".into(),
        categories: vec![category],
        handling: Some(handling),
        record: None,
    };
    let outcome = v1::OutcomeStatement {
        outcome: "released".into(),
        released: vec![released],
        explanation: String::new(),
        open_until_micros: 1_707_776_000_000_000,
    };
    let grounds = v1::GroundsStatement { facts_digest: vec![5; 32], reasons: vec!["permitted by a clause".into()] };
    Draft {
        kind: Kind::Ask,
        act: ask.encode_to_vec(),
        subject: subject.encode_to_vec(),
        outcome: outcome.encode_to_vec(),
        grounds: grounds.encode_to_vec(),
        salts: Salts::from_seed(&[9; 32]),
        parties: vec![(AgencyId::known("ico"), Slots::REQUESTER), (AgencyId::known("ncsc"), Slots::ALL)],
    }
}

/// The golden entry as the third of five.
fn golden_receipt() -> Receipt {
    let draft = golden_draft();
    let entry = draft.entry(Instant::from_micros(1_700_000_000_123_456)).unwrap();
    let leaves = [leaf(0, 1), leaf(1, 1), entry.leaf.clone(), leaf(3, 1), leaf(4, 1)];
    let mut stored = Stored::default();
    let root = stored.append(&leaves).root().unwrap();
    let openings = draft.openings(Slots::REQUESTER);
    Receipt { openings, ..receipt(&entry.leaf, 2, stored.inclusion(5, 2), 5, root) }
}

/// `name = value` lines, `#` for remarks.
fn vectors(file: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(workspace_file("tests/it/vectors").join(file)).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(" = ").unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

#[test]
fn format_1_is_what_was_written_down() {
    let draft = golden_draft();
    let entry = draft.entry(Instant::from_micros(1_700_000_000_123_456)).unwrap();
    let receipt = golden_receipt();
    let opening = |slots| {
        HEXLOWER.encode(&draft.openings(slots).iter().flat_map(prost::Message::encode_to_vec).collect::<Vec<_>>())
    };
    let made = BTreeMap::from(
        [
            ("verifier_key", key().verifier_key()),
            ("entry", HEXLOWER.encode(&entry.leaf)),
            ("leaf_hash", HEXLOWER.encode(&leaf_hash(&entry.leaf))),
            ("openings_act", opening(Slots::ACT)),
            ("openings_requester", opening(Slots::REQUESTER)),
            ("openings_holder", opening(Slots::HOLDER)),
            ("openings_all", opening(Slots::ALL)),
            ("checkpoint", receipt.checkpoint.replace('\n', "\\n")),
            ("receipt", HEXLOWER.encode(&receipt.encode_to_vec())),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let written = vectors("format-1.txt");
    for (name, value) in &made {
        assert_eq!(written.get(name), Some(value), "`{name}` changed: old receipts must verify for ever");
    }
    assert_eq!(written.len(), made.len(), "a vector is not made any more");
}

/// From the file alone: what was handed out years ago still verifies, and still says the same.
#[test]
fn a_receipt_that_was_written_down_still_verifies() {
    let written = vectors("format-1.txt");
    let keys = Keyring::parse([written["verifier_key"].as_str()]).unwrap();
    let bytes = HEXLOWER.decode(written["receipt"].as_bytes()).unwrap();
    let receipt = Receipt::decode(bytes.as_slice()).unwrap();
    let verified = verify(&receipt, &keys).unwrap();
    assert_eq!(verified.checkpoint.size, 5);
    assert_eq!(verified.ask.unwrap().purpose, "harm-reduction");
    assert_eq!(verified.subject.unwrap().reference, "ref_golden-reference");
    let outcome = verified.outcome.unwrap();
    assert_eq!(outcome.outcome, "released");
    assert_eq!(outcome.released[0].handling.as_ref().unwrap().clauses, ["ico-ncsc-2023/incident-to-ico"]);
    assert!(verified.grounds.is_none(), "the requester's receipt does not open the grounds");
    assert_eq!(read_checkpoint(&receipt.checkpoint).unwrap(), verified.checkpoint);
    let unknown = verify(&receipt, &Keyring::default()).unwrap_err();
    assert_eq!(unknown, Invalidity::UnknownLedger(ORIGIN.to_owned()));
}
