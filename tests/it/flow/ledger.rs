//! What the ledger shows to whom, and what it proves to everyone.

use aws_lc_rs::digest::{SHA256, digest};
use concordat::ledger::{Verified, leaf_hash};
use concordat::proto::v1;
use tlog_tiles::tlog::{self, Hash};
use tonic::Code;

use crate::builders::{Held, assert_error, assert_invalid, assert_open, assert_released, identifier};
use crate::harness::{World, on_both_databases};

/// The root of a tree by the letter of RFC 6962, section 2.1: no code of the ledger's.
fn root(leaves: &[Vec<u8>]) -> Vec<u8> {
    match leaves {
        [] => digest(&SHA256, &[]).as_ref().to_vec(),
        [leaf] => digest(&SHA256, &[&[0], leaf.as_slice()].concat()).as_ref().to_vec(),
        leaves => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            digest(&SHA256, &[&[1], root(left).as_slice(), &root(right)].concat()).as_ref().to_vec()
        }
    }
}

fn hash(bytes: &[u8]) -> Hash {
    bytes.try_into().map(Hash).unwrap()
}

fn hashes(proof: &[Vec<u8>]) -> Vec<Hash> {
    proof.iter().map(|bytes| hash(bytes)).collect()
}

impl World {
    /// An entry as an agency may see it, verified.
    async fn seen(&self, agency: &str, index: u64) -> Verified {
        let got = self.ledger(agency).get_entry(v1::GetEntryRequest { index }).await.unwrap().into_inner();
        assert_eq!(got.receipt.as_ref().unwrap().index, index);
        self.verified(got.receipt.as_ref())
    }

    async fn assert_unseen(&self, agency: &str, index: u64) {
        let got = self.ledger(agency).get_entry(v1::GetEntryRequest { index }).await;
        assert_error(got, Code::NotFound, "NOT_FOUND");
    }

    /// All entries that an agency is a party to, page by page.
    async fn entries(&self, agency: &str, page_size: i32) -> Vec<v1::Receipt> {
        let mut ledger = self.ledger(agency);
        let mut request = v1::ListEntriesRequest { page_size, page_token: String::new() };
        let mut receipts = Vec::new();
        loop {
            let page = ledger.list_entries(request.clone()).await.unwrap().into_inner();
            assert!(page.receipts.len() <= usize::try_from(page_size).unwrap());
            receipts.extend(page.receipts);
            if page.next_page_token.is_empty() {
                return receipts;
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn checkpoint(&self) -> v1::CheckpointView {
        let got = self.ledger("nca").get_checkpoint(v1::GetCheckpointRequest {}).await.unwrap().into_inner();
        got.checkpoint.unwrap()
    }

    /// The leaves of the whole tree, put together from what each agency sees of it.
    async fn leaves(&self) -> Vec<Vec<u8>> {
        let mut leaves = std::collections::BTreeMap::new();
        for agency in ["ico", "ncsc", "nca"] {
            for receipt in self.entries(agency, 7).await {
                let known = leaves.insert(receipt.index, receipt.entry.clone());
                assert!(known.is_none_or(|known| known == receipt.entry), "two parties see two entries at one index");
            }
        }
        assert!(leaves.keys().copied().eq(0..leaves.len() as u64), "every entry has a party");
        leaves.into_values().collect()
    }
}

on_both_databases! {
    async fn ledger_each_party_sees_its_slots_and_others_nothing(world: World) {
        let permitted = world.permitted("ncsc").await;
        let response = world.put(&permitted.held, world.ask(&permitted.held)).await.unwrap();
        assert_released(response.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        let index = response.receipt.as_ref().unwrap().index;

        let requester = world.seen("ico", index).await;
        let asked = requester.ask.as_ref().unwrap();
        assert_eq!((asked.requester.as_str(), asked.holder.as_str()), ("ico", "ncsc"));
        assert_eq!(requester.subject.as_ref().unwrap().reference, permitted.held.reference);
        assert_eq!(requester.outcome.as_ref().unwrap().outcome, "released");
        assert!(requester.grounds.is_none() && requester.act.is_none(), "why is for the holder");

        let holder = world.seen("ncsc", index).await;
        assert!(holder.ask == requester.ask && holder.outcome == requester.outcome);
        assert!(holder.subject == requester.subject, "a record matched, so the holder sees what it was about");
        let reasons = holder.grounds.as_ref().unwrap().reasons.join("; ");
        assert!(reasons.contains("ico-ncsc-2023/incident-to-ico"), "{reasons}");
        assert_ne!(asked.officer_pseudonym, "req", "other agencies see no officer's name");
        world.assert_unseen("nca", index).await;

        // What the holder's officers do is for the holder alone.
        let withdrawn = world.withdraw_consent(&permitted.held, &permitted.consent).await.unwrap();
        let act = world.seen("ncsc", withdrawn).await.act.unwrap();
        assert_eq!((act.method.as_str(), act.object.as_str()), ("ConsentService/WithdrawConsent", permitted.consent.as_str()));
        assert_eq!((act.agency.as_str(), act.officer.as_str()), ("ncsc", "rec"));
        for agency in ["ico", "nca"] {
            world.assert_unseen(agency, withdrawn).await;
        }
        world.assert_unseen("ico", world.size().await).await;
    }

    async fn ledger_a_subject_stays_sealed_to_the_holder_until_a_record_matches(world: World) {
        let ask = world.ask_by_name("ncsc", vec![identifier(1)]);
        let response = world.requester("ico").request_release(ask).await.unwrap().into_inner();
        assert_open(response.outcome.as_ref().unwrap());
        let nothing_held = response.receipt.unwrap().index;
        let requester = world.seen("ico", nothing_held).await;
        assert_eq!(requester.subject.unwrap().identifiers[0].value, identifier(1).value);
        let holder = world.seen("ncsc", nothing_held).await;
        assert!(holder.subject.is_none(), "the holder reads whom the ICO is interested in");
        assert!(holder.ask.is_some() && holder.outcome.is_some() && holder.grounds.is_some());

        let organisation = world.register_organisation("ncsc", vec![identifier(1)]).await;
        world.incidents("ncsc").register_incident(world.incident_at(&organisation)).await.unwrap();
        let ask = world.ask_by_name("ncsc", vec![identifier(1)]);
        let response = world.requester("ico").request_release(ask).await.unwrap().into_inner();
        assert_open(response.outcome.as_ref().unwrap());
        let matched = response.receipt.unwrap().index;
        assert_eq!(world.seen("ncsc", matched).await.subject.unwrap().identifiers[0].value, identifier(1).value);
        assert!(world.seen("ncsc", nothing_held).await.subject.is_none(), "an earlier ask stays as it was");

        // Another holder's record is none of the holder's asked.
        let at_ncsc = world.hold("ncsc", "ico").await;
        let crossed = Held { holder: "nca".into(), ..at_ncsc };
        let index = world.put(&crossed, world.ask(&crossed)).await.unwrap().receipt.unwrap().index;
        assert!(world.seen("nca", index).await.subject.is_none(), "the NCA reads a reference that is not its own");

        // What may not be named is not looked up, matching record or not.
        let permitted = world.permit(world.hold("ico", "ncsc").await).await;
        let by_name = v1::RequestReleaseRequest {
            target: world.ask_by_name("ico", vec![identifier(1)]).target,
            ..world.ask(&permitted.held)
        };
        let organisation = world.register_organisation("ico", vec![identifier(1)]).await;
        world.incidents("ico").register_incident(world.incident_at(&organisation)).await.unwrap();
        let index = world.put(&permitted.held, by_name).await.unwrap().receipt.unwrap().index;
        assert!(world.seen("ico", index).await.subject.is_none());
    }

    async fn ledger_is_one_tree_whose_proofs_verify(world: World) {
        let permitted = world.permitted("ncsc").await;
        world.outcome(&permitted.held).await;
        let earlier = world.checkpoint().await;
        world.permitted("nca").await;
        world.withdraw_consent(&permitted.held, &permitted.consent).await.unwrap();
        let present = world.checkpoint().await;
        let leaves = world.leaves().await;
        assert_eq!(present.size, leaves.len() as u64);
        assert_eq!(present.root, root(&leaves), "the root by the letter of the RFC");
        assert_eq!(world.keys().open(&present.note).unwrap().checkpoint.root.as_slice(), present.root, "and signed");
        let size = usize::try_from(earlier.size).unwrap();
        assert_eq!(earlier.root, root(&leaves[..size]), "the earlier tree is the beginning of this one");

        let mut ledger = world.ledger("nca");
        for (index, leaf) in (0..).zip(&leaves) {
            let request = v1::GetInclusionProofRequest { index, size: 0 };
            let proof = ledger.get_inclusion_proof(request).await.unwrap().into_inner();
            assert_eq!(proof.size, present.size);
            let included =
                tlog::check_record(&hashes(&proof.hashes), proof.size, hash(&present.root), index, Hash(leaf_hash(leaf)));
            assert!(included.is_ok(), "entry {index} is in the tree");
            let other = Hash(leaf_hash(b"another entry"));
            let other = tlog::check_record(&hashes(&proof.hashes), proof.size, hash(&present.root), index, other);
            assert!(other.is_err(), "the proof of entry {index} is for no other");
        }
        for from_size in 1..=present.size {
            let request = v1::GetConsistencyProofRequest { from_size, size: 0 };
            let proof = ledger.get_consistency_proof(request).await.unwrap().into_inner();
            let from = root(&leaves[..usize::try_from(from_size).unwrap()]);
            let proof =
                tlog::check_tree(&hashes(&proof.hashes), present.size, hash(&present.root), from_size, hash(&from));
            assert!(proof.is_ok(), "the tree of {from_size} is a prefix");
        }
        let beyond = v1::GetInclusionProofRequest { index: present.size, size: 0 };
        assert_invalid(ledger.get_inclusion_proof(beyond).await, "index");
        let beyond = v1::GetInclusionProofRequest { index: 0, size: present.size + 1 };
        assert_invalid(ledger.get_inclusion_proof(beyond).await, "size");
        let none = v1::GetConsistencyProofRequest { from_size: 0, size: 0 };
        assert_invalid(ledger.get_consistency_proof(none).await, "from_size");
    }

    async fn ledger_and_records_survive_a_restart(world: World) {
        let permitted = world.permitted("ncsc").await;
        let ask = world.ask(&permitted.held);
        let first = world.put(&permitted.held, ask.clone()).await.unwrap();
        let (before, leaves) = (world.checkpoint().await, world.leaves().await);

        world = world.restart().await;
        assert!(world.checkpoint().await == before, "the same signed checkpoint");
        assert!(world.leaves().await == leaves, "the same entries");
        let again = world.put(&permitted.held, ask).await.unwrap();
        assert_eq!(again.receipt.as_ref().unwrap().index, first.receipt.as_ref().unwrap().index);
        world.assert_proved(&again);
        assert_released(&world.outcome(&permitted.held).await, &["identity", "timeline"]);
        assert_eq!(world.size().await, before.size + 1);
    }

    async fn ledger_pages_are_bound_to_their_caller(world: World) {
        for _ in 0..2 {
            let permitted = world.permitted("ncsc").await;
            world.outcome(&permitted.held).await;
        }
        let all: Vec<u64> = world.entries("ncsc", 200).await.iter().map(|receipt| receipt.index).collect();
        assert!(all.is_sorted() && all.len() > 6);
        for page_size in [1, 3] {
            let paged: Vec<u64> = world.entries("ncsc", page_size).await.iter().map(|receipt| receipt.index).collect();
            assert_eq!(paged, all, "page by page as all at once");
        }

        let request = |page_size, page_token: &str| v1::ListEntriesRequest { page_size, page_token: page_token.into() };
        let first = world.ledger("ncsc").list_entries(request(1, "")).await.unwrap().into_inner();
        let token = first.next_page_token;
        let stolen = world.ledger("ico").list_entries(request(1, &token)).await;
        assert_invalid(stolen, "page_token");
        let elsewhere = v1::ListIncidentsRequest { page_token: token.clone(), ..v1::ListIncidentsRequest::default() };
        assert_invalid(world.incidents("ncsc").list_incidents(elsewhere).await, "page_token");
        for token in ["1", "!", &token[1..]] {
            assert_invalid(world.ledger("ncsc").list_entries(request(1, token)).await, "page_token");
        }
        assert_invalid(world.ledger("ncsc").list_entries(request(-1, "")).await, "page_size");

        // A list that is narrowed has tokens for itself alone.
        let organisation = world.register_organisation("ncsc", Vec::new()).await;
        let mut incidents = world.incidents("ncsc");
        for _ in 0..2 {
            incidents.register_incident(world.incident_at(&organisation)).await.unwrap();
        }
        let narrowed = v1::ListIncidentsRequest { page_size: 1, organisation_id: organisation, ..Default::default() };
        let page = incidents.list_incidents(narrowed.clone()).await.unwrap().into_inner();
        let page_token = page.next_page_token;
        let widened = v1::ListIncidentsRequest { page_token: page_token.clone(), ..v1::ListIncidentsRequest::default() };
        assert_invalid(incidents.list_incidents(widened).await, "page_token");
        let next = v1::ListIncidentsRequest { page_token, ..narrowed };
        assert_eq!(incidents.list_incidents(next).await.unwrap().into_inner().incidents.len(), 1);
    }
}
