//! A law firm, a response firm or an insurer speaks for an organisation only under a mandate that stands.

use std::collections::BTreeSet;

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::mandate_service_client::MandateServiceClient;
use tonic::{Code, Status};

use crate::builders::{Held, assert_error, assert_invalid, assert_open, assert_released, names};
use crate::harness::{World, on_both_databases, request_id};

const DAY: i64 = 86_400;

impl World {
    pub(crate) fn mandates(&self, agency: &str) -> MandateServiceClient<OfficerChannel> {
        MandateServiceClient::new(self.officer(agency, "rec", &["recorder", "auditor"]))
    }

    /// A mandate to give and withdraw, for the next thirty days.
    pub(crate) fn mandate_of(&self, held: &Held) -> v1::RecordMandateRequest {
        let (name, contact) = ("Example Law LLP".into(), "desk@law.example".into());
        v1::RecordMandateRequest {
            request_id: request_id(),
            organisation_id: held.organisation.clone(),
            agent: Some(v1::Agent { name, kind: "law-firm".into(), contact }),
            acts: names(&["give", "withdraw"]),
            valid_from: Some(prost_types::Timestamp::default()),
            valid_until: self.in_seconds(30 * DAY),
            evidence: Some(v1::MandateEvidence {
                signatory: "A. Director".into(),
                authority: "company secretary".into(),
                channel: "signed-letter".into(),
                digest: vec![8; 32],
                received_at: self.in_seconds(-60),
            }),
        }
    }

    pub(crate) async fn mandated(&self, held: &Held) -> String {
        self.mandate(&held.holder, self.mandate_of(held)).await
    }

    async fn mandate(&self, holder: &str, request: v1::RecordMandateRequest) -> String {
        self.mandates(holder).record_mandate(request).await.unwrap().into_inner().mandate_id
    }

    /// Evidence of a consent that an agent gave.
    pub(crate) async fn agents_evidence(&self, held: &Held) -> v1::ConsentEvidence {
        v1::ConsentEvidence { mandate_id: self.mandated(held).await, ..self.evidence() }
    }

    async fn record_under(&self, held: &Held, mandate: &str) -> Result<String, Status> {
        let evidence = v1::ConsentEvidence { mandate_id: mandate.into(), ..self.evidence() };
        let request = v1::RecordConsentRequest { evidence: Some(evidence), ..self.consent_to_record(held) };
        Ok(self.consents(&held.holder).record_consent(request).await?.into_inner().consent_id)
    }

    async fn end_mandate(&self, held: &Held, mandate: &str) -> Result<v1::EndMandateResponse, Status> {
        let request = v1::EndMandateRequest { request_id: request_id(), mandate_id: mandate.into() };
        Ok(self.mandates(&held.holder).end_mandate(request).await?.into_inner())
    }

    async fn listed_mandates(&self, held: &Held) -> Vec<v1::Mandate> {
        let organisation_id = held.organisation.clone();
        let request = v1::ListMandatesRequest { organisation_id, ..Default::default() };
        self.mandates(&held.holder).list_mandates(request).await.unwrap().into_inner().mandates
    }
}

on_both_databases! {
    async fn a_consent_cites_a_mandate_that_stands_for_its_organisation_and_act(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let mandate = world.mandated(&held).await;
        let field = "evidence.mandate_id";
        let usual = world.mandate_of(&held);
        let narrower = v1::RecordMandateRequest { acts: names(&["narrow", "withdraw"]), ..usual.clone() };
        let narrower = world.mandate("ncsc", v1::RecordMandateRequest { request_id: request_id(), ..narrower }).await;
        assert_invalid(world.record_under(&held, &narrower).await, field);
        let unset = v1::RecordMandateRequest { request_id: request_id(), valid_from: None, ..usual.clone() };
        let unset = world.mandate("ncsc", unset).await;
        let later = v1::RecordMandateRequest { request_id: request_id(), valid_from: world.in_seconds(-1), ..usual };
        let later = world.mandate("ncsc", later).await;
        assert_invalid(world.record_under(&held, &later).await, field);
        // Another organisation's is as one that is not there, and so is another agency's.
        let other = world.hold("ncsc", "ico").await;
        let stranger = world.mandated(&world.hold("ico", "nca").await).await;
        let said = async |mandate: &str| world.record_under(&other, mandate).await.unwrap_err().message().to_owned();
        assert_eq!(said(&mandate).await, said("man_unknown").await);
        assert_eq!(said(&stranger).await, said("man_unknown").await);

        // Who signed for it before a merger spoke for another organisation.
        let evidence = world.mandate_of(&other).evidence.unwrap();
        let evidence = Some(v1::MandateEvidence { received_at: world.in_seconds(-20 * DAY), ..evidence });
        let early = v1::RecordMandateRequest { valid_from: None, evidence, ..world.mandate_of(&other) };
        let early = world.mandate("ncsc", early).await;
        let waiting = world.record_under(&other, &early).await.unwrap();
        let survivor = world.register_organisation("ncsc", vec![]).await;
        world.merge("ncsc", &other.organisation, &survivor).await;
        assert_invalid(world.record_under(&other, &early).await, field);
        assert_error(world.verify_consent(&other, &waiting, 1).await, Code::FailedPrecondition, "WRONG_STATE");
        let since = world.mandated(&other).await;
        world.record_under(&other, &since).await.unwrap();

        // From when it was received, unless it says otherwise.
        let consent = world.record_under(&held, &unset).await.unwrap();
        world.authorise(&held).await;
        assert_open(&world.outcome(&held).await);
        world.verify_consent(&held, &consent, 1).await.unwrap();
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        world.later(30 * DAY);
        assert_invalid(world.record_under(&held, &mandate).await, field);
        assert!(world.listed_mandates(&held).await.iter().all(|one| !one.stands));
    }

    async fn ending_a_mandate_ends_no_consent_and_says_which_there_are(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let mandate = world.mandated(&held).await;
        let consent = world.record_under(&held, &mandate).await.unwrap();
        world.verify_consent(&held, &consent, 1).await.unwrap();
        world.give_consent(&held, world.scope(&held)).await;
        world.authorise(&held).await;
        let waiting = world.record_under(&held, &mandate).await.unwrap();
        let size = world.size().await;
        let ended = world.end_mandate(&held, &mandate).await.unwrap();
        let said: BTreeSet<&str> = ended.consent_ids.iter().map(String::as_str).collect();
        assert_eq!((said, ended.more), (BTreeSet::from([consent.as_str(), &waiting]), false));
        assert_error(world.verify_consent(&held, &waiting, 1).await, Code::FailedPrecondition, "WRONG_STATE");
        let receipt = ended.receipt.unwrap();
        assert_eq!((receipt.index, world.size().await), (size, size + 1));
        assert_eq!(world.verified(Some(&receipt)).entry.kind(), v1::EntryKind::Mandate);
        assert_error(world.entry("ico", size).await, Code::NotFound, "NOT_FOUND");
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);

        assert_invalid(world.record_under(&held, &mandate).await, "evidence.mandate_id");
        assert_error(world.end_mandate(&held, &mandate).await, Code::FailedPrecondition, "WRONG_STATE");
        let [listed] = world.listed_mandates(&held).await.try_into().unwrap();
        assert_eq!((listed.stands, listed.agent.unwrap().name.as_str()), (false, "Example Law LLP"));
        world.withdraw_consent(&held, &consent).await.unwrap();
        // Who spoke for it goes with the organisation's last incident, whether the mandate would stand or not.
        let standing = world.mandated(&held).await;
        world.erase(&held).await;
        assert!(world.listed_mandates(&held).await.is_empty());
        assert_error(world.end_mandate(&held, &standing).await, Code::NotFound, "NOT_FOUND");
        let late = world.mandates("ncsc").record_mandate(world.mandate_of(&held)).await;
        assert_error(late, Code::FailedPrecondition, "WRONG_STATE");
    }
}
