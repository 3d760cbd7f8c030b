//! Anonymised records: off in the bundled agreements, and under one that permits them a record alike enough others'.

use concordat::domain::Quarter;
use concordat::proto::v1;
use concordat::proto::v1::request_release_response::Outcome;
use prost::Message;

use crate::builders::{Held, assert_invalid, assert_not_covered, content, names, only_incident, released};
use crate::harness::{World, on_both_databases, request_id};

const TERMS: &str = r#"
id = "invented-records"
title = "Invented, for a test"
kind = "memorandum"
parties = ["ico", "ncsc"]
signed = "2024-01-01"
effective_from = "2024-01-01"
citation = "invented"

[statistics]
threshold = 5
margin = 10
largest_share = 2

[[purpose]]
id = "harm-reduction"
text = "invented"

[[clause]]
id = "invented-records/record-to-ncsc"
text = "The ICO may tell the NCSC of one incident without saying whose it is."
citation = "invented"
modality = "power"
activity = "disclose"
disclosing = "ico"
receiving = "ncsc"
form = "anonymised-record"
purposes = ["harm-reduction"]
grounds = ["dpa-2018-s132-2-f"]
categories = ["identity", "sector", "timeline", "root-cause", "impact", "narrative"]
onward = "with-consent"
"#;

const CLAUSES: &str = r#"
@id("invented-records/record-to-ncsc")
permit (principal, action == Action::"disclose", resource)
when {
  principal == Clause::"invented-records/record-to-ncsc".receiving &&
  resource.holder == Clause::"invented-records/record-to-ncsc".disclosing &&
  context.form == Clause::"invented-records/record-to-ncsc".form &&
  Clause::"invented-records/record-to-ncsc".purposes.contains(context.purpose) &&
  context has authorisation &&
  Clause::"invented-records/record-to-ncsc".grounds.contains(context.authorisation.ground)
};
"#;

const CATEGORIES: [&str; 5] = ["identity", "sector", "root-cause", "impact", "narrative"];
const FORM: &str = "anonymised-record";
/// As many as the invented agreement asks for.
const ENOUGH: usize = 5;
const HOUR: i64 = 3_600;

/// Ransomware at a hospital, with a text that must not pass.
fn at_a_hospital(people: i64) -> v1::IncidentContent {
    let (scheme, code) = ("naics".to_owned(), "622110".to_owned());
    v1::IncidentContent {
        sector: Some(v1::Sector { scheme, code, ..v1::Sector::default() }),
        root_cause: Some(v1::RootCause { varieties: names(&["Ransomware"]), ..v1::RootCause::default() }),
        impact: Some(v1::Impact { people_affected: Some(people), ..v1::Impact::default() }),
        ..content()
    }
}

/// What a record says, in its order.
#[track_caller]
fn said(response: &v1::RequestReleaseResponse) -> Vec<String> {
    let record = only_incident(response.outcome.as_ref().unwrap()).record.clone().expect("a record");
    let values = record.values.iter().map(|one| format!("{}={}", one.dimension, one.value));
    [vec![record.period], values.collect()].concat()
}

impl World {
    /// The same world with the invented agreement as well, put into force.
    async fn with_records(self) -> Self {
        let stopped = self.stop().await;
        let folder = stopped.folder().join("agreements");
        let own = folder.join("invented-records");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join("agreement.toml"), TERMS).unwrap();
        std::fs::write(own.join("clauses.cedar"), CLAUSES).unwrap();
        let world = stopped.start_with(|config| config.node.agreements = Some(folder)).await;
        world.activate("invented-records").await;
        world
    }

    /// And with no other agreement, so that its own rule counts.
    async fn with_records_alone(self) -> Self {
        let world = self.with_records().await;
        for id in ["ico-ncsc-2023", "ico-nca-2024", "nis-regulations-2018"] {
            world.end_agreement(id).await.unwrap();
        }
        world
    }

    /// An incident of the ICO's with this content at a new organisation, and the NCSC's reference for it.
    async fn hold_with(&self, content: v1::IncidentContent) -> Held {
        let organisation = self.register_organisation("ico", vec![]).await;
        let request = v1::RegisterIncidentRequest { content: Some(content), ..self.incident_at(&organisation) };
        let incident = self.incidents("ico").register_incident(request).await.unwrap().into_inner().incident_id;
        self.hold_incident("ico", "ncsc", organisation, incident).await
    }

    async fn hold_alike(&self, many: usize, people: i64) -> Vec<Held> {
        let mut held = Vec::new();
        for _ in 0..many {
            held.push(self.hold_with(at_a_hospital(people)).await);
        }
        held
    }

    async fn authorise_record(&self, held: &Held) -> String {
        let request = v1::GiveAuthorisationRequest {
            categories: names(&CATEGORIES),
            form: FORM.into(),
            ..self.authorisation(held)
        };
        self.authorise_as(held, request).await
    }

    fn ask_for_record(&self, held: &Held) -> v1::RequestReleaseRequest {
        v1::RequestReleaseRequest { categories: names(&CATEGORIES), form: FORM.into(), ..self.ask(held) }
    }

    async fn record_of(&self, held: &Held) -> v1::RequestReleaseResponse {
        self.put(held, self.ask_for_record(held)).await.unwrap()
    }

    /// The quarter comes to its end, and is published.
    async fn end_and_publish(&self, quarter: Quarter) {
        self.hand.set(quarter.end().plus_seconds(HOUR));
        self.publish("ico", &quarter.to_string()).await.unwrap();
    }
}

#[track_caller]
fn assert_open(response: &v1::RequestReleaseResponse) {
    assert!(matches!(response.outcome, Some(Outcome::Open(_))), "{:?}", response.outcome);
}

on_both_databases! {
    async fn row_n3b_a_single_anonymised_record_is_off_in_the_bundled_agreements(world: World) {
        let held = world.hold_with(at_a_hospital(1_234)).await;
        world.authorise_record(&held).await;
        assert_not_covered(&world.record_of(&held).await.outcome.unwrap(), "FORM_NOT_COVERED");
    }

    async fn row_n3b_a_record_that_enough_organisations_share_passes_and_links_nothing(world: World) {
        world = world.with_records_alone().await;
        let quarter = Quarter::of(world.now());
        let held = world.hold_alike(ENOUGH, 1_234).await;
        world.authorise_record(&held[0]).await;
        assert_open(&world.record_of(&held[0]).await);

        world.end_and_publish(quarter).await;
        let response = world.record_of(&held[0]).await;
        let expected = [&quarter.to_string(), "sector=health", "type=ransomware", "people=1000-9999"];
        assert_eq!(said(&response), expected);
        let incident = only_incident(response.outcome.as_ref().unwrap());
        assert!(incident.reference.is_empty() && incident.categories.is_empty());
        let handling = incident.handling.clone().unwrap();
        assert_eq!((handling.tlp.as_str(), handling.pap.as_str()), ("amber+strict", "red"));
        assert_eq!(handling.classification, "official-sensitive");
        assert_eq!(handling.dispose_by, None, "when its holder disposes of the incident would say which it is");

        let receipt = response.receipt.clone().unwrap();
        let proven = world.verified(Some(&receipt));
        let ask = proven.ask.unwrap();
        assert_eq!((ask.form.as_str(), ask.request.as_str()), (FORM, ""), "two asks of a request are not tied together");
        assert_eq!(proven.outcome.unwrap().released[0].record, incident.record);
        let bytes = [receipt.encode_to_vec(), response.outcome.as_ref().map(|outcome| {
            let Outcome::Released(released) = outcome else { panic!("{outcome:?}") };
            released.encode_to_vec()
        }).unwrap()].concat();
        for telling in [held[0].reference.as_str(), &held[0].incident, &held[0].organisation, "Example Water", "622110"] {
            let found = bytes.windows(telling.len()).any(|window| window == telling.as_bytes());
            assert!(!found, "`{telling}` is told");
        }
        // Nor in what its organisation is told: a record laid beside the incident would tell which it is.
        let records: Vec<String> = world.disclosures(&held[0]).await.into_iter().map(|made| made.id).collect();
        assert_eq!(records.len(), 1);
        assert_invalid(world.state(&held[0], &[], &records).await, "include[0]");
        // Nor is it told later: an amendment corrects no record, and what is recalled is named by its entry alone.
        world.amend_with(&held[0], content(), v1::Markings::default()).await;
        assert_eq!(world.notices("ncsc").await, []);
        world.report_releases("ico", &[receipt.index]).await.unwrap();
        let [notice] = world.notices("ncsc").await.try_into().unwrap();
        assert_eq!((notice.receipt_index, notice.reference.as_str()), (receipt.index, ""));
    }

    async fn a_record_is_called_back_by_the_entry_that_its_recipient_knows_and_never_stopped(world: World) {
        world = world.with_records_alone().await;
        let quarter = Quarter::of(world.now());
        let held = world.hold_alike(ENOUGH, 1_234).await;
        let authorisation = world.authorise_record(&held[0]).await;
        world.end_and_publish(quarter).await;
        let first = index(&world.record_of(&held[0]).await);
        let second = index(&world.record_of(&held[0]).await);
        world.revoke(&held[0], &authorisation).await.unwrap();
        assert_eq!(world.notices("ncsc").await, [], "stops of several would tell that they are of one incident");
        world.report_releases("ico", &[second]).await.unwrap();
        let [notice] = world.notices("ncsc").await.try_into().unwrap();
        assert_eq!(notice.receipt_index, second);
        world.report_releases("ico", &[first]).await.unwrap();
        assert_eq!(world.notices("ncsc").await.len(), 2);
    }

    async fn row_n3b_a_record_that_too_few_share_comes_out_coarser_or_not_at_all(world: World) {
        world = world.with_records_alone().await;
        let quarter = Quarter::of(world.now());
        // Five hospitals and bands of people that no five share, but in two wider ones; and one that nobody is like.
        let mut held = world.hold_alike(ENOUGH - 1, 1_234).await;
        held.extend(world.hold_alike(1, 123_456).await);
        held.extend(world.hold_alike(1, 12).await);
        let alone = world.hold_with(v1::IncidentContent {
            root_cause: Some(v1::RootCause { varieties: names(&["Phishing"]), ..v1::RootCause::default() }),
            ..at_a_hospital(1_234)
        }).await;
        for one in held.iter().chain([&alone]) {
            world.authorise_record(one).await;
        }
        world.end_and_publish(quarter).await;
        let wide = [&quarter.to_string(), "sector=health", "type=ransomware", "people=1000-up"];
        assert_eq!(said(&world.record_of(&held[0]).await), wide);
        assert_eq!(said(&world.record_of(&held[4]).await), wide);
        // Five others came out wide; this one would be the only one to come out without the band.
        assert_open(&world.record_of(&held[5]).await);
        assert_open(&world.record_of(&alone).await);
    }

    async fn what_is_asked_later_and_what_is_registered_later_change_nothing(world: World) {
        world = world.with_records_alone().await;
        let quarter = Quarter::of(world.now());
        let held = world.hold_alike(ENOUGH, 1_234).await;
        let alone = world.hold_alike(1, 12).await.remove(0);
        for one in [&held[0], &alone] {
            world.authorise_record(one).await;
        }
        world.end_and_publish(quarter).await;
        let before = said(&world.record_of(&held[0]).await);
        assert_open(&world.record_of(&alone).await);
        let late = world.hold_alike(2 * ENOUGH, 12).await;
        world.authorise_record(&late[0]).await;
        assert_open(&world.record_of(&alone).await);
        assert_open(&world.record_of(&late[0]).await);
        assert_eq!(said(&world.record_of(&held[0]).await), before);
        // Another question about it gets a part of the same record.
        let fewer = v1::RequestReleaseRequest { categories: names(&["impact"]), ..world.ask_for_record(&held[0]) };
        let part = world.put(&held[0], fewer).await.unwrap();
        assert_eq!(said(&part), [before[0].clone(), before[3].clone()]);
        // What an amendment says counts no more, and the authorisation was not for it.
        world.amend_with(&held[0], at_a_hospital(12), v1::Markings::default()).await;
        assert_open(&world.record_of(&held[0]).await);
        let renewed = v1::GiveAuthorisationRequest {
            revision: 2,
            categories: names(&CATEGORIES),
            form: FORM.into(),
            ..world.authorisation(&held[0])
        };
        world.authorise_as(&held[0], renewed).await;
        assert_eq!(said(&world.record_of(&held[0]).await), before);
    }

    async fn an_amendment_after_the_quarter_has_ended_lets_nothing_come_out(world: World) {
        world = world.with_records_alone().await;
        let quarter = Quarter::of(world.now());
        let held = world.hold_alike(ENOUGH - 1, 1_234).await;
        let other = world.hold_alike(1, 12).await.remove(0);
        world.authorise_record(&held[0]).await;
        world.hand.set(quarter.end().plus_seconds(HOUR));
        world.amend_with(&other, at_a_hospital(1_234), v1::Markings::default()).await;
        world.publish("ico", &quarter.to_string()).await.unwrap();
        let said = said(&world.record_of(&held[0]).await);
        assert_eq!(said.last().unwrap(), "type=ransomware", "four with this band, and one of another, stood there");
    }

    async fn an_authorisation_is_for_one_form(world: World) {
        world = world.with_records().await;
        world.end_agreement("nis-regulations-2018").await.unwrap();
        let quarter = Quarter::of(world.now());
        // The bundled agreements ask for ten, and all of them count.
        let held = world.hold_alike(2 * ENOUGH, 1_234).await;
        world.authorise_record(&held[0]).await;
        let whole = v1::GiveAuthorisationRequest { categories: names(&CATEGORIES), ..world.authorisation(&held[1]) };
        world.authorise_as(&held[1], whole).await;
        world.end_and_publish(quarter).await;
        assert_open(&world.record_of(&held[1]).await);
        assert_eq!(said(&world.record_of(&held[0]).await)[1], "sector=health");
        let plain = |held: &Held| v1::RequestReleaseRequest { categories: names(&["identity"]), ..world.ask(held) };
        assert_open(&world.put(&held[0], plain(&held[0])).await.unwrap());
        let named = world.put(&held[1], plain(&held[1])).await.unwrap();
        assert_eq!(released(named.outcome.as_ref().unwrap()), ["identity"]);
    }

    async fn of_two_authorisations_an_ask_finds_the_one_for_its_form_whichever_came_first(world: World) {
        world = world.with_records().await;
        world.end_agreement("nis-regulations-2018").await.unwrap();
        let quarter = Quarter::of(world.now());
        let held = world.hold_alike(2 * ENOUGH, 1_234).await;
        let whole = |held: &Held| v1::GiveAuthorisationRequest { categories: names(&CATEGORIES), ..world.authorisation(held) };
        world.authorise_record(&held[0]).await;
        world.later(1);
        world.authorise_as(&held[0], whole(&held[0])).await;
        world.authorise_as(&held[1], whole(&held[1])).await;
        world.later(1);
        world.authorise_record(&held[1]).await;
        world.end_and_publish(quarter).await;
        for held in &held[..2] {
            assert_eq!(said(&world.record_of(held).await)[1], "sector=health");
            let plain = v1::RequestReleaseRequest { categories: names(&["identity"]), ..world.ask(held) };
            assert_eq!(released(world.put(held, plain).await.unwrap().outcome.as_ref().unwrap()), ["identity"]);
        }
    }

    async fn a_record_passes_only_by_a_rule_as_strict_as_every_agreement_asks(world: World) {
        world = world.with_records_alone().await;
        let quarter = Quarter::of(world.now());
        let held = world.hold_alike(ENOUGH, 1_234).await;
        world.authorise_record(&held[0]).await;
        world.end_and_publish(quarter).await;
        assert_eq!(said(&world.record_of(&held[0]).await).len(), 4);
        // It came out among five. An agreement that asks for ten does not let it pass any more.
        world.activate("ico-ncsc-2023").await;
        assert_open(&world.record_of(&held[0]).await);
    }

    async fn a_repeat_brings_the_same_record_while_all_still_stands(world: World) {
        world = world.with_records_alone().await;
        let quarter = Quarter::of(world.now());
        let held = world.hold_alike(ENOUGH, 1_234).await;
        let authorisation = world.authorise_record(&held[0]).await;
        world.end_and_publish(quarter).await;
        let ask = world.ask_for_record(&held[0]);
        let first = world.put(&held[0], ask.clone()).await.unwrap();
        let again = world.put(&held[0], ask.clone()).await.unwrap();
        assert_eq!((said(&again), index(&again)), (said(&first), index(&first)));
        world.revoke(&held[0], &authorisation).await.unwrap();
        let after = world.put(&held[0], ask).await.unwrap();
        let Some(Outcome::Released(released)) = &after.outcome else { panic!("{:?}", after.outcome) };
        assert!(!released.content_included && released.incidents.is_empty());
        assert_eq!(index(&after), index(&first));
    }

    async fn an_open_answer_does_not_say_why_no_record_came(world: World) {
        world = world.with_records_alone().await;
        let quarter = Quarter::of(world.now());
        let held = world.hold_alike(ENOUGH, 1_234).await;
        let alone = world.hold_alike(1, 12).await.remove(0);
        world.authorise_record(&alone).await;
        let nobodys = Held { reference: "ref_2345672345672345672345672a".into(), ..alone.clone() };
        let mut seen = vec![world.record_of(&alone).await, world.record_of(&nobodys).await];
        world.end_and_publish(quarter).await;
        for one in [&held[0], &alone, &nobodys] {
            seen.push(world.record_of(one).await);
        }
        let lengths = |response: &v1::RequestReleaseResponse| {
            let Some(Outcome::Open(open)) = &response.outcome else { panic!("{:?}", response.outcome) };
            let receipt = response.receipt.as_ref().unwrap();
            (open.statement.clone(), open.duty_desk.clone(), receipt.entry.len(), receipt.openings.len())
        };
        let first = lengths(&seen[0]);
        for response in &seen {
            assert_eq!(lengths(response), first);
        }
    }

    async fn what_makes_no_sense_of_a_record_is_turned_away(world: World) {
        let held = world.hold("ico", "ncsc").await;
        let ask = world.ask_for_record(&held);
        let named = world.ask_by_name("ico", vec![crate::builders::identifier(1)]).target;
        let refused = world.put(&held, v1::RequestReleaseRequest { target: named, ..ask.clone() }).await;
        assert_invalid(refused, "organisation");
        let odd = v1::RequestReleaseRequest { form: "haiku".into(), ..ask.clone() };
        assert_invalid(world.put(&held, odd).await, "form");
        let again = v1::RequestReleaseRequest {
            request_id: request_id(),
            request: "req_2345672345672345672345672a".into(),
            form: FORM.into(),
            ..v1::RequestReleaseRequest::default()
        };
        let refused = world.put(&held, again).await;
        assert_invalid(refused, "form");
        let bound = v1::GiveAuthorisationRequest {
            form: FORM.into(),
            preview_digest: vec![7; 32],
            ..world.authorisation(&held)
        };
        let refused = world.authorisations("ico").give_authorisation(bound).await;
        assert_invalid(refused, "preview_digest");
    }
}

#[track_caller]
fn index(response: &v1::RequestReleaseResponse) -> u64 {
    response.receipt.as_ref().expect("a receipt").index
}
