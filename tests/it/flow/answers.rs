//! "Open" is one answer: whatever the reason, a requester cannot tell it from "nothing held".

use concordat::proto::v1;
use concordat::seal;
use prost::Message;

use crate::builders::{Held, assert_open_with, identifier, names};
use crate::harness::{World, on_both_databases};

/// A response without its ids and proof, each blanked in its own length. Times stay: the clock stands.
///
/// What is left out altogether follows from the ledger's size: the index, the checkpoint and the path to it.
pub(super) fn bare(mut response: v1::RequestReleaseResponse) -> Vec<u8> {
    let blank = |text: &mut String| *text = "x".repeat(text.len());
    blank(&mut response.request);
    let receipt = response.receipt.as_mut().unwrap();
    receipt.index = 0;
    receipt.inclusion.clear();
    receipt.checkpoint.clear();
    let mut entry = v1::LedgerEntry::decode(receipt.entry.as_slice()).unwrap();
    entry.commitments.iter_mut().for_each(|commitment| commitment.fill(0));
    receipt.entry = entry.encode_to_vec();
    for opening in &mut receipt.openings {
        opening.salt.fill(0);
        match opening.slot() {
            v1::Slot::Act => {
                let mut ask = v1::AskStatement::decode(opening.payload.as_slice()).unwrap();
                blank(&mut ask.request);
                blank(&mut ask.request_id);
                opening.payload = ask.encode_to_vec();
            }
            v1::Slot::Subject => {
                let mut subject = v1::SubjectStatement::decode(opening.payload.as_slice()).unwrap();
                blank(&mut subject.reference);
                subject.identifiers.iter_mut().for_each(|identified| blank(&mut identified.value));
                opening.payload = subject.encode_to_vec();
            }
            v1::Slot::Unspecified | v1::Slot::Outcome | v1::Slot::Grounds => {}
        }
    }
    response.encode_to_vec()
}

impl World {
    /// Incidents that stay open to the ICO, each for a reason of its own.
    async fn open_for_every_reason(&self) -> Vec<(&'static str, Held)> {
        let mut open = Vec::new();
        let held = self.hold("ncsc", "ico").await;
        open.push(("nothing held", Held { reference: seal::new_id("ref"), ..held.clone() }));
        open.push(("neither consent nor authorisation", held));

        let held = self.hold("ncsc", "ico").await;
        self.authorise(&held).await;
        self.seek_consent(&held).await;
        open.push(("consent sought", held));

        let held = self.hold("ncsc", "ico").await;
        self.authorise(&held).await;
        self.record_consent(&held, self.scope(&held)).await.unwrap();
        open.push(("consent not verified", held));

        let held = self.hold("ncsc", "ico").await;
        self.authorise(&held).await;
        let consent = self.give_consent(&held, self.scope(&held)).await;
        self.withdraw_consent(&held, &consent).await.unwrap();
        open.push(("consent withdrawn", held));

        let held = self.hold("ncsc", "ico").await;
        self.give_consent(&held, self.scope(&held)).await;
        open.push(("no authorisation", held));

        let held = self.hold("ncsc", "ico").await;
        self.give_consent(&held, self.scope(&held)).await;
        let narrow = v1::GiveAuthorisationRequest { categories: names(&["narrative"]), ..self.authorisation(&held) };
        self.authorise_as(&held, narrow).await;
        open.push(("no category in common", held));

        let held = self.hold("ncsc", "ico").await;
        let red = v1::Markings { tlp: "red".into(), ..v1::Markings::default() };
        let revision = self.amend_with(&held, crate::builders::content(), red).await;
        self.give_consent(&held, self.scope(&held)).await;
        self.authorise_as(&held, v1::GiveAuthorisationRequest { revision, ..self.authorisation(&held) }).await;
        open.push(("TLP red", held));

        let held = self.hold("ncsc", "nca").await;
        let other = Held { recipient: "ico".into(), ..held };
        self.give_consent(&other, self.scope(&other)).await;
        self.authorise(&other).await;
        open.push(("another agency's reference", other));

        let held = self.hold("nca", "ico").await;
        let other = Held { holder: "ncsc".into(), ..held };
        open.push(("another holder's reference", other));
        open
    }
}

on_both_databases! {
    async fn open_is_byte_identical_whatever_the_reason(world: World) {
        let mut first: Option<(Vec<u8>, String)> = None;
        for (what, held) in world.open_for_every_reason().await {
            let response = world.put(&held, world.ask(&held)).await.unwrap();
            assert_open_with(what, response.outcome.as_ref().unwrap());
            world.verified(response.receipt.as_ref());
            let answer = (bare(response), world.facts_of_last_entry().await);
            let first = first.get_or_insert_with(|| answer.clone());
            assert!(answer.0 == first.0, "with {what}: the answer can be told from the one for nothing held");
            assert_eq!(answer.1, first.1, "with {what}: the bytes of facts beside the entry");
        }
    }

    async fn open_by_name_is_byte_identical_whatever_the_reason(world: World) {
        let held = world.register_organisation("ncsc", vec![identifier(1)]).await;
        world.incidents("ncsc").register_incident(world.incident_at(&held)).await.unwrap();
        world.register_organisation("ncsc", vec![identifier(2)]).await;
        let elsewhere = world.register_organisation("nca", vec![identifier(3)]).await;
        world.incidents("nca").register_incident(world.incident_at(&elsewhere)).await.unwrap();

        let mut answers = Vec::new();
        let whats = ["no such organisation", "an incident and no consent", "no incident", "another holder's"];
        for (number, what) in (0..).zip(whats) {
            let ask = world.ask_by_name("ncsc", vec![identifier(number)]);
            let response = world.requester("ico").request_release(ask).await.unwrap().into_inner();
            assert_open_with(what, response.outcome.as_ref().unwrap());
            answers.push((what, bare(response)));
        }
        for (what, answer) in &answers {
            assert!(*answer == answers[0].1, "with {what}: the answer can be told from the one for nothing held");
        }
    }

    async fn open_leaves_nothing_in_the_request_that_changes_later(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let request = world.put(&held, world.ask(&held)).await.unwrap().request;
        let view = async || {
            let request = v1::GetRequestRequest { request: request.clone() };
            let mut got = world.requester("ico").get_request(request).await.unwrap().into_inner().request.unwrap();
            for ask in &mut got.asks {
                // Against the latest checkpoint, which moves on with every entry of anyone's.
                let receipt = ask.receipt.as_mut().unwrap();
                receipt.inclusion.clear();
                receipt.checkpoint.clear();
            }
            got
        };
        let before = view().await;
        let consent = world.give_consent(&held, world.scope(&held)).await;
        world.authorise(&held).await;
        assert!(view().await == before, "a permission shows in an ask that was open");
        world.withdraw_consent(&held, &consent).await.unwrap();
        assert!(view().await == before, "a withdrawal shows in an ask that was open");
    }
}
