//! How long things are kept: until when a recipient keeps its copy, who may erase, and what is left of what was erased.

use std::collections::BTreeSet;

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::retention_service_client::RetentionServiceClient;
use tonic::{Code, Status};

use crate::builders::{
    Held, Permitted, assert_error, assert_invalid, assert_open, assert_released, identifier, only_incident,
};
use crate::cli::{concordat, execute, exit, text};
use crate::harness::{PURPOSES, World, on_both_databases, real_now, request_id};

const DAY: i64 = 86_400;
const MISTAKE: &str = "registered-in-error";

impl World {
    pub(crate) fn retention(&self, agency: &str, officer: &str, role: &str) -> RetentionServiceClient<OfficerChannel> {
        RetentionServiceClient::new(self.officer(agency, officer, &[role]))
    }

    pub(crate) async fn propose_erasure(&self, held: &Held) -> Result<v1::ProposeErasureResponse, Status> {
        let (incident_id, ground) = (held.incident.clone(), MISTAKE.to_owned());
        let request = v1::ProposeErasureRequest { request_id: request_id(), incident_id, ground };
        Ok(self.retention(&held.holder, "rec", "recorder").propose_erasure(request).await?.into_inner())
    }

    /// Erases an incident as an officer with this role.
    pub(crate) async fn erase_as(&self, held: &Held, officer: &str, role: &str, ground: &str) -> Result<u64, Status> {
        let (incident_id, ground) = (held.incident.clone(), ground.to_owned());
        let request = v1::EraseIncidentRequest { request_id: request_id(), incident_id, ground };
        let erased = self.retention(&held.holder, officer, role).erase_incident(request).await?.into_inner();
        self.verified(erased.receipt.as_ref());
        Ok(erased.receipt.unwrap().index)
    }

    /// Two officers erase an incident before its time is over.
    pub(crate) async fn erase(&self, held: &Held) -> u64 {
        self.propose_erasure(held).await.unwrap();
        self.erase_as(held, "ver", "verifier", MISTAKE).await.unwrap()
    }

    /// An incident that the ICO gets for the asking, and that its holder keeps for so many days.
    async fn kept_for(&self, days: i64) -> Permitted {
        let organisation = self.register_organisation("ncsc", vec![]).await;
        let retain_until = self.in_seconds(days * DAY);
        let request = v1::RegisterIncidentRequest { retain_until, ..self.incident_at(&organisation) };
        let incident = self.incidents("ncsc").register_incident(request).await.unwrap().into_inner().incident_id;
        self.permit(self.hold_incident("ncsc", "ico", organisation, incident).await).await
    }

    async fn due(&self) -> Vec<v1::DueIncident> {
        let mut node = self.retention("ncsc", "op", "operator");
        node.list_due(v1::ListDueRequest::default()).await.unwrap().into_inner().incidents
    }

    async fn disposals(&self, outstanding: bool) -> Vec<v1::Disposal> {
        let request = v1::ListDisposalsRequest { outstanding, ..v1::ListDisposalsRequest::default() };
        self.retention("ncsc", "aud", "auditor").list_disposals(request).await.unwrap().into_inner().disposals
    }

    async fn dispose(&self, request: &str, entry_index: u64) -> Result<v1::Receipt, Status> {
        let (request, external_ref) = (request.to_owned(), "disposal 7".to_owned());
        let confirm = v1::ConfirmDisposalRequest { request_id: request_id(), request, entry_index, external_ref };
        let confirmed = self.retention("ico", "req", "requester").confirm_disposal(confirm).await?;
        Ok(confirmed.into_inner().receipt.unwrap())
    }
}

fn index(response: &v1::RequestReleaseResponse) -> u64 {
    response.receipt.as_ref().unwrap().index
}

on_both_databases! {
    async fn a_release_says_by_when_the_copy_is_gone(world: World) {
        let permitted = world.kept_for(40).await;
        let end = world.in_seconds(40 * DAY);
        let ask = world.ask(&permitted.held);
        let first = world.put(&permitted.held, ask.clone()).await.unwrap();
        let handling = only_incident(first.outcome.as_ref().unwrap()).handling.clone().unwrap();
        assert_eq!(handling.dispose_by, end, "no clause ends it earlier than the holder");
        world.assert_proved(&first);

        world.hand.set(world.now().plus_seconds(3_600));
        let again = world.put(&permitted.held, ask).await.unwrap();
        assert!(again.outcome == first.outcome, "a repeat says the same");
        for (agency, kind) in [("ico", "release-received"), ("ncsc", "release-made")] {
            let events = world.events(agency).await;
            let event = events.iter().find(|event| event.kind == kind).unwrap();
            assert_eq!(event.ends_at, end, "{kind}");
        }
    }

    async fn a_recipient_confirms_what_it_disposed_of_and_the_holder_sees_what_is_overdue(world: World) {
        let permitted = world.kept_for(40).await;
        let one = world.put(&permitted.held, world.ask(&permitted.held)).await.unwrap();
        world.hand.advance_micros(1);
        let two = world.put(&permitted.held, world.ask(&permitted.held)).await.unwrap();
        let states = |all: &[v1::Disposal]| all.iter().map(|one| one.state.clone()).collect::<Vec<_>>();
        assert_eq!(states(&world.disposals(false).await), ["kept", "kept"]);

        let receipt = world.dispose(&one.request, index(&one)).await.unwrap();
        world.verified(Some(&receipt));
        assert_error(world.dispose(&one.request, index(&one)).await, Code::FailedPrecondition, "WRONG_STATE");
        assert_invalid(world.dispose(&one.request, index(&two)).await, "entry_index");
        let (request, entry_index) = (two.request.clone(), index(&two));
        let request = v1::ConfirmDisposalRequest { request_id: request_id(), request, entry_index, ..Default::default() };
        let anothers = world.retention("nca", "req", "requester").confirm_disposal(request).await;
        assert_error(anothers, Code::NotFound, "NOT_FOUND");

        world.hand.set(world.now().plus_seconds(40 * DAY));
        let all = world.disposals(false).await;
        assert_eq!(states(&all), ["confirmed", "overdue"]);
        assert_eq!((all[0].external_ref.as_str(), all[0].recipient.as_str()), ("disposal 7", "ico"));
        assert_eq!((all[1].entry_index, &all[1].request), (index(&two), &two.request));
        assert_eq!(states(&world.disposals(true).await), ["overdue"]);
    }

    async fn a_request_that_was_put_very_often_hides_no_release(world: World) {
        let permitted = world.kept_for(40).await;
        let response = world.put(&permitted.held, world.ask(&permitted.held)).await.unwrap();
        // A thousand asks before it, as the database would have them.
        let more = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO call (key, digest, idx, object, version, at, answer)
             SELECT 'before ' || n.i, c.digest, 0, c.object, c.version, c.at, c.answer FROM call c CROSS JOIN n
             WHERE c.idx = {}",
            index(&response)
        );
        let url = world.config.database_url();
        execute(&url, &[&more], &[&more]).await;
        world.dispose(&response.request, index(&response)).await.unwrap();
        world.report_releases("ncsc", &[index(&response)]).await.unwrap();
        let gone = "DELETE FROM call WHERE key LIKE 'before %'";
        execute(&url, &[gone], &[gone]).await;
    }

    async fn two_officers_erase_before_the_time_is_over(world: World) {
        let held = world.permitted("ncsc").await.held;
        let wrong_state = |result: Result<u64, Status>| assert_error(result, Code::FailedPrecondition, "WRONG_STATE");
        wrong_state(world.erase_as(&held, "ver", "verifier", MISTAKE).await);
        world.propose_erasure(&held).await.unwrap();
        wrong_state(world.erase_as(&held, "ver", "verifier", "another-ground").await);
        wrong_state(world.erase_as(&held, "op", "operator", MISTAKE).await);
        assert_error(
            world.erase_as(&held, "rec", "verifier", MISTAKE).await,
            Code::FailedPrecondition,
            "SAME_OFFICER",
        );
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        let due = world.due().await;
        assert_eq!((due.len(), due[0].due, due[0].proposed_ground.as_str()), (1, false, MISTAKE));
        world.erase_as(&held, "ver", "verifier", MISTAKE).await.unwrap();
        assert_open(&world.outcome(&held).await);
        assert!(world.due().await.is_empty());
    }

    async fn one_officer_erases_what_is_past_its_time(world: World) {
        let held = world.kept_for(40).await.held;
        let later = world.hold("ncsc", "ico").await;
        world.hand.set(world.now().plus_seconds(40 * DAY));
        let due = world.due().await;
        assert_eq!(due.iter().map(|one| one.incident_id.as_str()).collect::<Vec<_>>(), [held.incident.as_str()]);
        assert!(due[0].due);
        let proposed = world.propose_erasure(&held).await;
        assert_error(proposed, Code::FailedPrecondition, "WRONG_STATE");
        world.erase_as(&held, "op", "operator", "retention-ended").await.unwrap();
        let result = world.erase_as(&later, "op", "operator", "retention-ended").await;
        assert_error(result, Code::FailedPrecondition, "WRONG_STATE");
        let result = world.erase_as(&held, "op", "operator", "retention-ended").await;
        assert_error(result, Code::NotFound, "NOT_FOUND");
    }

    async fn what_a_duty_still_owes_is_not_erased(world: World) {
        let organisation = world.register_organisation("ico", vec![]).await;
        let received_at = world.in_seconds(-3_600);
        let notification = v1::Notification { kind: "nis-rdsp".into(), received_at, ..v1::Notification::default() };
        let (notification, retain_until) = (Some(notification), world.in_seconds(DAY));
        let request =
            v1::RegisterIncidentRequest { notification, retain_until, ..world.incident_at(&organisation) };
        let incident = world.incidents("ico").register_incident(request).await.unwrap().into_inner().incident_id;
        let held = world.hold_incident("ico", "ncsc", organisation, incident).await;
        assert_error(world.propose_erasure(&held).await, Code::FailedPrecondition, "WRONG_STATE");
        world.hand.set(world.now().plus_seconds(DAY));
        let result = world.erase_as(&held, "op", "operator", "retention-ended").await;
        assert_error(result, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn one_command_erases_all_that_is_past_its_time(world: World) {
        let (one, other) = (world.kept_for(40).await.held, world.kept_for(50).await.held);
        let kept = world.hold("ncsc", "ico").await;
        let context = world.workspace.context("ncsc", "op", &["operator"], &PURPOSES, "one", world.node.address);
        let file = world.workspace.write_context("op", &context).unwrap();
        // The command's tokens are made by the machine's clock, which is a hundred days on.
        world.hand.set(real_now().plus_seconds(60));
        let types = |more: &'static str| {
            let words = ["retention", "run", "--context", text(&file), "-o", "json", more].map(str::to_owned);
            async move {
                let run = move || {
                    let words = words.iter().map(String::as_str).filter(|word| !word.is_empty());
                    concordat(&words.collect::<Vec<_>>())
                };
                let output = tokio::task::spawn_blocking(run).await.unwrap();
                assert_eq!(exit(&output), 0, "{output:?}");
                serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
            }
        };
        assert_eq!(types("--dry-run").await["left"].as_array().unwrap().len(), 2);
        let said = types("").await;
        let erased: BTreeSet<&str> = said["erased"].as_array().unwrap().iter().filter_map(|id| id.as_str()).collect();
        assert_eq!(erased, BTreeSet::from([one.incident.as_str(), other.incident.as_str()]), "{said}");
        assert!(types("").await["erased"].as_array().unwrap().is_empty(), "nothing is left to do");
        let get = v1::GetIncidentRequest { incident_id: kept.incident };
        assert!(world.incidents("ncsc").get_incident(get).await.is_ok());
    }

    async fn nothing_is_decided_on_what_was_erased(world: World) {
        let name = identifier(7);
        let organisation = world.register_organisation("ncsc", vec![name.clone()]).await;
        let request = world.incident_at(&organisation);
        let incident = world.incidents("ncsc").register_incident(request).await.unwrap().into_inner().incident_id;
        let held = world.hold_incident("ncsc", "ico", organisation, incident).await;
        let permitted = world.permit(held.clone()).await;
        let ask = world.ask(&held);
        let first = world.put(&held, ask.clone()).await.unwrap();
        assert_released(first.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        let consent = v1::GetConsentRequest { consent_id: permitted.consent };
        let before = first.receipt.clone().unwrap();

        world.erase(&held).await;

        // A repeat within the day, a new ask, an ask by name, the same request again.
        let again = world.put(&held, ask).await.unwrap();
        let Some(Outcome::Released(released)) = &again.outcome else { panic!("{:?}", again.outcome) };
        assert!(!released.content_included && released.incidents.is_empty(), "content of what was erased");
        assert_eq!(index(&again), index(&first));
        assert!(again.receipt.as_ref().unwrap().openings.is_empty(), "what it said is erased");
        assert_eq!(again.receipt.as_ref().unwrap().entry, before.entry, "the leaf is not");
        world.verified(again.receipt.as_ref());
        world.verified(Some(&before));
        assert_open(&world.outcome(&held).await);
        let by_name = world.ask_by_name("ncsc", vec![name]);
        assert_open(world.put(&held, by_name).await.unwrap().outcome.as_ref().unwrap());

        // The holder's own officers.
        let get = v1::GetIncidentRequest { incident_id: held.incident.clone() };
        assert_error(world.incidents("ncsc").get_incident(get).await, Code::NotFound, "NOT_FOUND");
        let list = v1::ListIncidentsRequest { organisation_id: held.organisation.clone(), ..Default::default() };
        assert!(world.incidents("ncsc").list_incidents(list).await.unwrap().into_inner().incidents.is_empty());
        let consent = world.consents("ncsc").get_consent(consent).await.unwrap().into_inner().consent.unwrap();
        assert!(consent.versions[0].evidence.is_none(), "its evidence was kept for this incident alone");
        let given = world.authorisations("ncsc").give_authorisation(world.authorisation(&held)).await;
        assert_error(given, Code::NotFound, "NOT_FOUND");

        // The ledger: `finish` checks it, and replays the rest.
        let entry = index(&first).to_string();
        let (code, said) = world.replayed(&["--from", &entry, "--until", &(index(&first) + 1).to_string()]);
        assert_eq!((code, said["erased"].as_u64(), said["same"].as_u64()), (0, Some(1), Some(0)), "{said}");
    }

    async fn what_is_about_another_incident_stays(world: World) {
        let gone = world.permitted("ncsc").await;
        let request = world.incident_at(&gone.held.organisation);
        let incident = world.incidents("ncsc").register_incident(request).await.unwrap().into_inner().incident_id;
        let kept = world.hold_incident("ncsc", "ico", gone.held.organisation.clone(), incident).await;
        let kept = world.permit(kept).await;
        let all = v1::ConsentScope {
            incident_id: String::new(),
            valid_until: world.in_seconds(DAY),
            ..world.scope(&kept.held)
        };
        let of_all = world.give_consent(&kept.held, all).await;
        let released = world.put(&kept.held, world.ask(&kept.held)).await.unwrap();
        world.erase(&gone.held).await;
        for consent_id in [kept.consent.clone(), of_all] {
            let request = v1::GetConsentRequest { consent_id };
            let consent = world.consents("ncsc").get_consent(request).await.unwrap().into_inner().consent.unwrap();
            assert!(consent.versions[0].evidence.is_some());
        }
        assert_released(&world.outcome(&kept.held).await, &["identity", "timeline"]);
        let receipt = world.ledger("ico").get_entry(v1::GetEntryRequest { index: index(&released) }).await.unwrap();
        assert!(!receipt.into_inner().receipt.unwrap().openings.is_empty());
    }

    async fn an_erasure_and_an_ask_in_one_batch_release_nothing(world: World) {
        let held = world.permitted("ncsc").await.held;
        world.propose_erasure(&held).await.unwrap();
        let (incident_id, ground) = (held.incident.clone(), MISTAKE.to_owned());
        let request = v1::EraseIncidentRequest { request_id: request_id(), incident_id, ground };
        let mut verifier = world.retention("ncsc", "ver", "verifier");
        let erasing = Box::pin(async move { verifier.erase_incident(request).await });
        let (mut requester, ask) = (world.requester("ico"), world.ask(&held));
        let asking = Box::pin(async move { requester.request_release(ask).await });
        let (asked, erased) = world.in_one_batch(asking, erasing).await;
        erased.unwrap();
        assert_open(asked.unwrap().into_inner().outcome.as_ref().unwrap());
    }
}
