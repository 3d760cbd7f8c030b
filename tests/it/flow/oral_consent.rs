//! Consent by word of mouth, in a hurry: there is no way round consent, only a quicker way to it.

use concordat::proto::v1;
use tonic::Code;

use crate::builders::{Held, assert_error, assert_invalid, assert_open_with, assert_released};
use crate::harness::{World, on_both_databases, request_id};

const DAY: i64 = 86_400;

/// An authorised incident: only the organisation's consent is missing.
async fn authorised(world: &World) -> Held {
    let held = world.hold("ncsc", "ico").await;
    world.authorise(&held).await;
    held
}

fn oral(world: &World, held: &Held) -> v1::RecordConsentRequest {
    v1::RecordConsentRequest { evidence: Some(world.oral_evidence()), ..world.consent_to_record(held) }
}

async fn record(world: &World, held: &Held, request: v1::RecordConsentRequest) -> Result<String, tonic::Status> {
    Ok(world.consents(&held.holder).record_consent(request).await?.into_inner().consent_id)
}

/// A consent by word of mouth, in effect.
async fn given(world: &World, held: &Held) -> String {
    let consent = record(world, held, oral(world, held)).await.unwrap();
    world.verify_consent(held, &consent, 1).await.unwrap();
    consent
}

on_both_databases! {
    async fn an_oral_consent_releases_for_a_day_and_ends_by_itself(world: World) {
        let held = authorised(&world).await;
        let consent = record(&world, &held, oral(&world, &held)).await.unwrap();
        assert_open_with("an oral consent that nobody verified", &world.outcome(&held).await);
        world.verify_consent(&held, &consent, 1).await.unwrap();
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);

        // It was given a minute before it was recorded.
        let end = world.now().plus_seconds(DAY - 60);
        world.hand.set(concordat::domain::Instant::from_micros(end.micros() - 1));
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        world.hand.set(end);
        assert_open_with("an oral consent a day after it was given", &world.outcome(&held).await);
    }

    async fn an_oral_consent_that_is_confirmed_in_writing_goes_on(world: World) {
        let held = authorised(&world).await;
        let consent = given(&world, &held).await;
        let version = world.reconfirm_consent(&held, &consent, world.scope(&held)).await;
        world.verify_consent(&held, &consent, version).await.unwrap();
        world.hand.set(world.now().plus_seconds(30 * DAY));
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    }

    async fn a_confirmation_that_nobody_verified_does_not_prolong_it(world: World) {
        let held = authorised(&world).await;
        let consent = given(&world, &held).await;
        let version = world.reconfirm_consent(&held, &consent, world.scope(&held)).await;
        world.hand.set(world.now().plus_seconds(DAY));
        assert_open_with("a written confirmation that waits", &world.outcome(&held).await);
        world.verify_consent(&held, &consent, version).await.unwrap();
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    }

    async fn saying_it_again_makes_nothing_longer(world: World) {
        let held = authorised(&world).await;
        let consent = given(&world, &held).await;
        world.hand.set(world.now().plus_seconds(DAY / 2));
        let until = |seconds| v1::ConsentScope { valid_until: world.in_seconds(seconds), ..world.scope(&held) };
        let again = |scope| v1::ReconfirmConsentRequest {
            request_id: request_id(),
            consent_id: consent.clone(),
            scope: Some(scope),
            evidence: Some(world.oral_evidence()),
        };
        let mut consents = world.consents("ncsc");
        assert_invalid(consents.reconfirm_consent(again(until(DAY / 2))).await, "scope.valid_until");
        let anew = v1::RecordConsentRequest { scope: Some(until(DAY / 2)), ..oral(&world, &held) };
        assert_invalid(record(&world, &held, anew).await, "scope.valid_until");

        // Within the first day it may be said again, and ends when that ends.
        let version = consents.reconfirm_consent(again(world.scope(&held))).await.unwrap().into_inner().version;
        world.verify_consent(&held, &consent, version).await.unwrap();
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        world.hand.set(world.now().plus_seconds(DAY / 2 - 60));
        assert_open_with("an oral consent said twice", &world.outcome(&held).await);
        assert_invalid(consents.reconfirm_consent(again(world.scope(&held))).await, "evidence.received_at");
        assert_invalid(record(&world, &held, oral(&world, &held)).await, "evidence.received_at");
    }

    async fn an_oral_consent_lacks_nothing(world: World) {
        let held = authorised(&world).await;
        let with = |change: fn(&World, &mut v1::OralConsent)| {
            let mut request = oral(&world, &held);
            change(&world, request.evidence.as_mut().unwrap().oral.as_mut().unwrap());
            request
        };
        let whole = |change: fn(&World, &mut v1::RecordConsentRequest)| {
            let mut request = oral(&world, &held);
            change(&world, &mut request);
            request
        };
        let cases = [
            ("evidence.oral", whole(|_, request| request.evidence.as_mut().unwrap().oral = None)),
            ("evidence.oral.taken_by", with(|_, oral| oral.taken_by.clear())),
            ("evidence.oral.contact_digest", with(|_, oral| oral.contact_digest.clear())),
            ("evidence.oral.called_back_at", with(|_, oral| oral.called_back_at = None)),
            ("evidence.oral.called_back_at", with(|world, oral| oral.called_back_at = world.in_seconds(-61))),
            ("evidence.oral.called_back_at", with(|world, oral| oral.called_back_at = world.in_seconds(1))),
            ("evidence.oral.read_back", with(|_, oral| oral.read_back = false)),
            ("evidence.channel", whole(|_, request| request.evidence.as_mut().unwrap().channel = "e-mail".into())),
            (
                "scope.incident_id",
                whole(|world, request| {
                    let scope = request.scope.as_mut().unwrap();
                    (scope.incident_id, scope.valid_until) = (String::new(), world.in_seconds(3_600));
                }),
            ),
            (
                "scope.valid_until",
                whole(|world, request| request.scope.as_mut().unwrap().valid_until = world.in_seconds(DAY)),
            ),
            (
                "evidence.received_at",
                whole(|world, request| request.evidence.as_mut().unwrap().received_at = world.in_seconds(-DAY)),
            ),
        ];
        let before = world.size().await;
        for (field, request) in cases {
            assert_invalid(record(&world, &held, request).await, field);
        }
        assert_eq!(world.size().await, before, "what is turned away leaves nothing");
    }

    async fn however_a_spoken_channel_is_written_it_is_oral(world: World) {
        let held = authorised(&world).await;
        let by = |channel: &str, oral: bool| {
            let mut request = self::oral(&world, &held);
            let evidence = request.evidence.as_mut().unwrap();
            evidence.channel = channel.into();
            if !oral {
                evidence.oral = None;
            }
            request
        };
        for channel in ["telephone", "Phone call", "in person", "IN_PERSON", "verbal", " Meeting "] {
            assert_invalid(record(&world, &held, by(channel, false)).await, "evidence.channel");
        }
        for channel in ["Oral", " ORAL "] {
            assert_invalid(record(&world, &held, by(channel, false)).await, "evidence.oral");
        }
        let consent_id = record(&world, &held, by(" Oral", true)).await.unwrap();
        let shown = world.consents("ncsc").get_consent(v1::GetConsentRequest { consent_id }).await.unwrap().into_inner();
        assert_eq!(shown.consent.unwrap().versions[0].evidence.as_ref().unwrap().channel, "oral");
        record(&world, &held, by("e-mail", false)).await.unwrap();
    }

    async fn what_was_entered_in_error_counts_no_hours(world: World) {
        let held = authorised(&world).await;
        let mistaken = given(&world, &held).await;
        world.mark_in_error(&held, &mistaken).await.unwrap();
        world.hand.set(world.now().plus_seconds(2 * DAY));
        given(&world, &held).await;
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    }

    async fn a_version_whose_time_is_over_takes_the_place_of_nothing(world: World) {
        let held = authorised(&world).await;
        let consent = world.give_consent(&held, world.scope(&held)).await;
        let released = world.release_to_recipient(&held).await;
        let said = v1::ReconfirmConsentRequest {
            request_id: request_id(),
            consent_id: consent.clone(),
            scope: Some(world.scope(&held)),
            evidence: Some(world.oral_evidence()),
        };
        // What is in writing lasts longer.
        let result = world.consents("ncsc").reconfirm_consent(said).await;
        assert_error(result, Code::FailedPrecondition, "WRONG_STATE");

        let short = v1::ConsentScope { valid_until: world.in_seconds(60), ..world.scope(&held) };
        let version = world.reconfirm_consent(&held, &consent, short).await;
        world.hand.set(world.now().plus_seconds(61));
        let verified = world.verify_consent(&held, &consent, version).await;
        assert_error(verified, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(world.notices("ico").await, [], "nobody is told to stop");
        assert!(world.release_to_recipient(&held).await > released);
    }

    async fn who_took_an_oral_consent_does_not_verify_it(world: World) {
        let held = authorised(&world).await;
        let mut request = oral(&world, &held);
        request.evidence.as_mut().unwrap().oral.as_mut().unwrap().taken_by = "ver".into();
        let consent = record(&world, &held, request).await.unwrap();
        assert_error(world.verify_consent(&held, &consent, 1).await, Code::FailedPrecondition, "SAME_OFFICER");
        assert_open_with("an oral consent verified by who took it", &world.outcome(&held).await);
    }

    async fn an_oral_consent_is_shown_as_it_was_taken_and_narrowing_keeps_its_end(world: World) {
        let held = authorised(&world).await;
        let consent = given(&world, &held).await;
        let end = world.in_seconds(DAY - 60);
        world.hand.set(world.now().plus_seconds(3_600));
        let scope = v1::ConsentScope { categories: vec!["timeline".into()], ..world.scope(&held) };
        world.narrow_consent(&held, &consent, scope).await.unwrap();
        let request = v1::GetConsentRequest { consent_id: consent };
        let shown = world.consents("ncsc").get_consent(request).await.unwrap().into_inner().consent.unwrap();
        for version in &shown.versions {
            assert_eq!(version.scope.as_ref().unwrap().valid_until, end, "version {}", version.version);
            let oral = version.evidence.as_ref().unwrap().oral.as_ref().unwrap();
            assert_eq!((oral.taken_by.as_str(), oral.read_back), ("officer-on-the-telephone", true));
        }
    }
}
