//! What officers write down of disclosures made elsewhere: judged as it stood then, and reached by what comes later.

use concordat::proto::v1;
use tonic::Code;

use crate::builders::{assert_error, assert_invalid, content, names};
use crate::harness::{World, on_both_databases, request_id};
use crate::onward::outcome_alone;

const HOUR: i64 = 3_600;

on_both_databases! {
    async fn what_was_said_by_telephone_is_called_back_with_the_rest(world: World) {
        let permitted = world.permitted("ncsc").await;
        let held = &permitted.held;
        let relied = |call: v1::RecordDisclosureRequest| v1::RecordDisclosureRequest {
            consent_id: permitted.consent.clone(),
            ..call
        };
        assert_invalid(world.record_disclosure("ncsc", world.telephone_call(held, "ncsc")).await, "recipient");
        let early = v1::RecordDisclosureRequest { disclosed_at: world.in_seconds(1), ..world.telephone_call(held, "ico") };
        assert_invalid(world.record_disclosure("ncsc", early).await, "disclosed_at");
        assert_invalid(world.record_disclosure("ncsc", relied(world.telephone_call(held, "nca"))).await, "consent_id");

        world.later(2 * HOUR);
        let made = world.record_disclosure("ncsc", relied(world.telephone_call(held, "ico"))).await.unwrap();
        assert_eq!(world.notices("ico").await, []);
        world.withdraw_consent(held, &permitted.consent).await.unwrap();
        let [notice] = world.notices("ico").await.try_into().unwrap();
        assert_eq!((notice.is_release, notice.means.as_str(), notice.reference.as_str()), (false, "telephone", ""));
        assert_eq!(notice.disclosed_at, world.in_seconds(-HOUR));
        assert_eq!(world.issued("ncsc").await[0].disclosure_id, made);
        // What is written down only now was stopped already.
        world.record_disclosure("ncsc", relied(world.telephone_call(held, "ico"))).await.unwrap();
        assert_eq!(world.notices("ico").await.len(), 2);
    }

    async fn what_is_written_down_late_is_put_right_at_once(world: World) {
        let mistaken = world.permitted("ncsc").await;
        world.mark_in_error(&mistaken.held, &mistaken.consent).await.unwrap();
        let call = world.telephone_call(&mistaken.held, "ico");
        let relied = v1::RecordDisclosureRequest { consent_id: mistaken.consent.clone(), ..call };
        world.record_disclosure("ncsc", relied).await.unwrap();
        let kinds = async || world.notices("ico").await.into_iter().map(|one| one.kind).collect::<Vec<_>>();
        assert_eq!(kinds().await, ["recall"], "it was never given");
        assert_eq!(world.wrongful_releases("ncsc").await.len(), 1);

        let held = world.hold("ncsc", "ico").await;
        let another = Some(v1::Narrative { text: "another story".into() });
        world.amend_with(&held, v1::IncidentContent { narrative: another, ..content() }, v1::Markings::default()).await;
        let of = |revision: i64, category: &str| v1::RecordDisclosureRequest {
            revision,
            categories: names(&[category]),
            ..world.telephone_call(&held, "ico")
        };
        for request in [of(1, "timeline"), of(2, "narrative")] {
            world.record_disclosure("ncsc", request).await.unwrap();
        }
        assert_eq!(kinds().await.len(), 1, "it says the same now");
        world.later(1);
        world.record_disclosure("ncsc", of(1, "narrative")).await.unwrap();
        assert_eq!(kinds().await, ["recall", "correction"]);
    }

    async fn what_is_written_down_after_the_report_is_called_back_too(world: World) {
        let held = world.hold("ico", "nca").await;
        world.authorise(&held).await;
        let index = world.release_to_recipient(&held).await;
        world.report_releases("ico", &[index]).await.unwrap();
        let made = world.record_disclosure("ico", world.telephone_call(&held, "nca")).await.unwrap();
        world.record_disclosure("ico", world.telephone_call(&held, "met-police")).await.unwrap();
        assert_eq!(world.kinds("nca").await, ["recall", "recall"]);
        let all = world.wrongful_releases("ico").await;
        assert_eq!(all.iter().map(|one| one.cause.as_str()).collect::<Vec<_>>(), ["wrong-recipient"; 2]);
        let mut issued = world.issued("ico").await;
        issued.retain(|notice| notice.disclosure_id == made);
        assert_eq!(issued.len(), 1);
    }

    async fn what_relied_on_a_consent_is_judged_by_the_version_that_stood_then(world: World) {
        let permitted = world.permitted("ncsc").await;
        let (held, consent) = (&permitted.held, permitted.consent.as_str());
        world.later(10);
        world.mark_in_error(held, consent).await.unwrap();
        world.later(10);
        let version = world.reconfirm_consent(held, consent, world.scope(held)).await;
        world.verify_consent(held, consent, version).await.unwrap();
        world.later(10);
        let told = async |seconds: i64| {
            let call = v1::RecordDisclosureRequest {
                disclosed_at: world.in_seconds(seconds),
                consent_id: consent.into(),
                ..world.telephone_call(held, "ico")
            };
            world.record_disclosure("ncsc", call).await.unwrap();
            world.later(1);
        };
        told(-5).await;
        assert_eq!(world.notices("ico").await, [], "it permits it, and did then");
        told(-HOUR).await;
        assert_eq!(world.kinds("ico").await, ["stop-further-use"], "none had been given by then");
        told(-20).await;
        assert_eq!(world.kinds("ico").await, ["stop-further-use", "recall"], "it was never given");
    }

    async fn a_consent_whose_time_is_over_stops_nothing_that_was_said_in_it(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let oral = v1::RecordConsentRequest { evidence: Some(world.oral_evidence()), ..world.consent_to_record(&held) };
        let consent = world.consents("ncsc").record_consent(oral).await.unwrap().into_inner().consent_id;
        world.verify_consent(&held, &consent, 1).await.unwrap();
        world.later(HOUR);
        let told = v1::RecordDisclosureRequest {
            disclosed_at: world.in_seconds(0),
            consent_id: consent.clone(),
            ..world.telephone_call(&held, "ico")
        };
        world.later(30 * HOUR);
        world.record_disclosure("ncsc", told.clone()).await.unwrap();
        assert_eq!(world.notices("ico").await, []);
        let late = v1::RecordDisclosureRequest { request_id: request_id(), disclosed_at: world.in_seconds(0), ..told };
        world.record_disclosure("ncsc", late).await.unwrap();
        assert_eq!(world.kinds("ico").await, ["stop-further-use"], "it was over by then");
    }

    async fn what_an_authorisation_does_not_cover_is_stopped(world: World) {
        let held = world.hold("ico", "nca").await;
        let authorisation = world.authorise(&held).await;
        let relied = |call: v1::RecordDisclosureRequest| v1::RecordDisclosureRequest {
            authorisation_id: authorisation.clone(),
            ..call
        };
        world.record_disclosure("ico", relied(world.telephone_call(&held, "nca"))).await.unwrap();
        assert_eq!(world.notices("nca").await, []);
        let categories = names(&["narrative"]);
        let wider = v1::RecordDisclosureRequest { categories, ..world.telephone_call(&held, "nca") };
        world.record_disclosure("ico", relied(wider)).await.unwrap();
        assert_eq!(world.kinds("nca").await, ["stop-further-use"]);
    }

    async fn a_permission_that_is_withdrawn_reaches_what_was_said_by_telephone(world: World) {
        let (release, _, _) = world.received_by_ico("ncsc", World::onward_scope).await;
        let received = world.receive("ico", release, "nca").await;
        let (permission, receipt) = world.permitted_to_pass_on(&received, "ncsc").await;
        let relied = || v1::RecordDisclosureRequest {
            permission_ids: names(&[&permission]),
            ..world.telephone_call(&received.held, "nca")
        };
        assert_invalid(world.record_disclosure("ico", relied()).await, "permission_ids[0]");
        world.present(&received.held, receipt).await.unwrap();
        world.record_disclosure("ico", relied()).await.unwrap();
        assert_eq!(world.notices("nca").await, []);
        let withdrawn = world.withdraw_permission("ncsc", &permission).await.unwrap();
        // Whoever erased it since is told all the same.
        world.erase(&received.held).await;
        world.present_withdrawal("ico", outcome_alone(Some(&withdrawn))).await.unwrap();
        assert_eq!(world.kinds("nca").await, ["stop-further-use"]);
    }

    async fn what_is_written_down_after_a_permission_is_withdrawn_is_stopped(world: World) {
        let (release, _, _) = world.received_by_ico("ncsc", World::onward_scope).await;
        let received = world.receive("ico", release, "nca").await;
        let (permission, receipt) = world.permitted_to_pass_on(&received, "ncsc").await;
        world.present(&received.held, receipt).await.unwrap();
        let withdrawn = world.withdraw_permission("ncsc", &permission).await.unwrap();
        world.present_withdrawal("ico", outcome_alone(Some(&withdrawn))).await.unwrap();
        let call = world.telephone_call(&received.held, "nca");
        let relied = v1::RecordDisclosureRequest { permission_ids: names(&[&permission]), ..call };
        world.record_disclosure("ico", relied).await.unwrap();
        assert_eq!(world.kinds("nca").await, ["stop-further-use"]);
    }

    async fn a_narrower_consent_reaches_what_was_said_by_telephone(world: World) {
        let permitted = world.permitted("ncsc").await;
        let (held, consent) = (&permitted.held, permitted.consent.as_str());
        world.later(2 * HOUR);
        let call = world.telephone_call(held, "ico");
        let relied = v1::RecordDisclosureRequest { consent_id: consent.into(), ..call };
        world.record_disclosure("ncsc", relied).await.unwrap();
        let mut scope = world.scope(held);
        assert!(scope.purposes.len() > 1);
        scope.purposes.pop();
        world.narrow_consent(held, consent, scope).await.unwrap();
        assert_eq!(world.notices("ico").await.len(), 1, "it may have been for that purpose");
    }

    async fn a_notice_to_an_agency_without_a_system_is_sent_by_hand(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let made = world.record_disclosure("ncsc", world.telephone_call(&held, "met-police")).await.unwrap();
        let wrongful = world.report_disclosure("ncsc", &made).await.unwrap();
        let [event] = world.events_of("ncsc", "notice-to-send").await.try_into().unwrap();
        assert_eq!((event.agency.as_str(), event.has_entry), ("met-police", false));
        let [issued] = world.issued("ncsc").await.try_into().unwrap();
        assert_eq!((issued.by_hand, &issued.id), (true, &event.notice_id));
        // Its officers write down what they are told.
        assert_error(world.say("ico", &issued.id, "deleted").await, Code::NotFound, "NOT_FOUND");
        world.say("ncsc", &issued.id, "deleted").await.unwrap();
        assert_eq!(world.events_of("ncsc", "notice-to-send").await, []);
        world.close("ncsc", &wrongful, "", true).await.unwrap();
    }
}
