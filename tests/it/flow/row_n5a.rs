//! N5a: the NCSC reminds organisations of duties that they may have, after every incident that it registers, in one
//! wording for all. Nothing reaches the ICO, and nothing judges or notifies.

use aws_lc_rs::digest::{SHA256, digest};
use concordat::proto::v1;
use tonic::Code;

use crate::builders::{Held, assert_error, assert_invalid};
use crate::harness::{World, on_both_databases, request_id};

impl World {
    async fn told_of_reminders(&self, agency: &str) -> Vec<String> {
        self.events_of(agency, "reminder-due").await.into_iter().map(|event| event.incident_id).collect()
    }

    /// How many rows the tables of advice have.
    pub(crate) async fn rows_of_advice(&self) -> Vec<usize> {
        let mut rows = Vec::new();
        for table in ["reminder", "recommendation", "categorisation"] {
            let holder = if self.config.database_url().starts_with("postgres") { "bytea" } else { "blob" };
            rows.push(self.all_bytes(&format!("SELECT CAST(holder AS {holder}) FROM {table}")).await.len());
        }
        rows
    }
}

fn pairs(expected: &[(&Held, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(held, state)| (held.incident.clone(), (*state).to_owned())).collect()
}

on_both_databases! {
    async fn row_n5a_a_reminder_is_due_of_each_incident_until_it_is_given_or_cannot_be(world: World) {
        let wording = world.wording().await;
        assert_eq!(wording.digest, digest(&SHA256, wording.text.as_bytes()).as_ref());
        assert_eq!(wording.regimes, ["uk-gdpr-33", "dpa-67", "dpa-108", "nis-11", "nis-12", "pecr-5a"]);
        let long_ago = v1::ShowWordingRequest { as_of: Some(prost_types::Timestamp::default()) };
        assert_eq!(world.advice("ico").show_wording(long_ago).await.unwrap().into_inner().wording, None);

        let (icos, ncas) = (world.hold("ico", "ncsc").await, world.hold("nca", "ico").await);
        let nothing = (world.advised("ico").await, world.advised("nca").await);
        assert_eq!(world.reminders("ico", false).await, [], "the ICO reminds nobody");
        assert_eq!(world.reminders("nca", true).await, pairs(&[(&ncas, "due")]));
        let first = world.hold("ncsc", "ico").await;
        world.later(1);
        let second = world.hold("ncsc", "ico").await;
        assert_eq!(world.reminders("ncsc", true).await, pairs(&[(&second, "due"), (&first, "due")]), "newest first");
        let mut told = world.told_of_reminders("ncsc").await;
        told.sort();
        let mut both = vec![first.incident.clone(), second.incident.clone()];
        both.sort();
        assert_eq!(told, both, "one event for each");

        // What cannot be is turned away, and writes nothing.
        let size = world.size().await;
        let given = world.reminder_of(&first).await;
        let turned_away = async |request: v1::RecordReminderRequest, field: &str| {
            let request = v1::RecordReminderRequest { request_id: request_id(), ..request };
            assert_invalid(world.record_reminder(&first, request).await, field);
        };
        turned_away(v1::RecordReminderRequest { wording_digest: vec![7; 32], ..given.clone() }, "wording_digest").await;
        turned_away(v1::RecordReminderRequest { given_at: world.in_seconds(60), ..given.clone() }, "given_at").await;
        let before_it = v1::RecordReminderRequest { given_at: world.in_seconds(-31 * 86_400), ..given.clone() };
        turned_away(before_it, "given_at").await;
        let before_any = Some(prost_types::Timestamp::default());
        turned_away(v1::RecordReminderRequest { given_at: before_any, ..given.clone() }, "given_at").await;
        turned_away(v1::RecordReminderRequest { reason: "no address".into(), ..given.clone() }, "reason").await;
        turned_away(v1::RecordReminderRequest { state: "due".into(), ..given.clone() }, "state").await;
        turned_away(world.no_reminder_of(&first, ""), "reason").await;
        let of_icos = v1::RecordReminderRequest { incident_id: icos.incident.clone(), ..given.clone() };
        assert_error(world.record_reminder(&first, of_icos).await, Code::NotFound, "NOT_FOUND");
        let by_ico = world.reminder_of(&icos).await;
        assert_error(world.record_reminder(&icos, by_ico).await, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(world.size().await, size);

        // Given: by whom, how, when, and in which words.
        let recorded = world.record_reminder(&first, given.clone()).await.unwrap();
        let repeated = world.record_reminder(&first, given.clone()).await.unwrap();
        assert_eq!(recorded.receipt.as_ref().unwrap().index, repeated.receipt.unwrap().index);
        let act = world.verified(recorded.receipt.as_ref()).act.unwrap();
        assert_eq!((act.object.as_str(), act.version), (first.incident.as_str(), 1));
        let request = v1::ListRemindersRequest { page_size: 1, ..v1::ListRemindersRequest::default() };
        let page = world.advice("ncsc").list_reminders(request.clone()).await.unwrap().into_inner();
        let request = v1::ListRemindersRequest { page_token: page.next_page_token, ..request };
        let shown = world.advice("ncsc").list_reminders(request).await.unwrap().into_inner().reminders.remove(0);
        assert_eq!((shown.state.as_str(), shown.channel.as_str()), ("given", "telephone"));
        assert_eq!((shown.wording_version, shown.wording_digest), (wording.version, wording.digest));
        assert!(shown.recorded_by.contains("rec") && shown.given_at == given.given_at, "{}", shown.recorded_by);
        let again = world.reminder_of(&first).await;
        assert_error(world.record_reminder(&first, again).await, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(world.told_of_reminders("ncsc").await, [second.incident.as_str()], "of the other one still");

        // It cannot be; later it can. The other way is none.
        let cannot = world.no_reminder_of(&second, "the administrators have not answered");
        world.record_reminder(&second, cannot.clone()).await.unwrap();
        assert_eq!(world.reminders("ncsc", true).await, []);
        assert_eq!(world.told_of_reminders("ncsc").await, Vec::<String>::new());
        let cannot = v1::RecordReminderRequest { request_id: request_id(), ..cannot };
        assert_error(world.record_reminder(&second, cannot).await, Code::FailedPrecondition, "WRONG_STATE");
        let given = world.reminder_of(&second).await;
        assert_eq!(world.record_reminder(&second, given).await.unwrap().version, 2);
        let cannot = world.no_reminder_of(&first, "no address");
        assert_error(world.record_reminder(&first, cannot).await, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(world.reminders("ncsc", false).await, pairs(&[(&second, "given"), (&first, "given")]));

        // Nobody else has an entry, an event or a list of it.
        assert_eq!((world.advised("ico").await, world.advised("nca").await), nothing);
        assert_eq!(world.events_of("ico", "reminder-due").await, []);

        // It goes with the incident.
        let third = world.hold("ncsc", "ico").await;
        assert_eq!(world.told_of_reminders("ncsc").await, [third.incident.as_str()]);
        world.erase(&first).await;
        world.erase(&third).await;
        assert_eq!(world.reminders("ncsc", false).await, pairs(&[(&second, "given")]));
        assert_eq!(world.told_of_reminders("ncsc").await, Vec::<String>::new());
        assert_eq!(world.rows_of_advice().await, [1, 0, 0]);
    }

    async fn row_n5a_what_is_due_follows_from_the_agreements_in_force(world: World) {
        world.end_agreement("ico-ncsc-2023").await.unwrap();
        let held = world.hold("ncsc", "ico").await;
        assert_eq!((world.reminders("ncsc", false).await.len(), world.told_of_reminders("ncsc").await.len()), (0, 0));
        let given = world.reminder_of(&held).await;
        assert_error(world.record_reminder(&held, given).await, Code::FailedPrecondition, "WRONG_STATE");
        world.activate("ico-ncsc-2023").await;
        assert_eq!(world.reminders("ncsc", true).await, pairs(&[(&held, "due")]), "whenever it was registered");
        let given = world.reminder_of(&held).await;
        world.record_reminder(&held, given).await.unwrap();

        // Of many that are registered at once, each; of what came from another agency, none.
        let new = v1::NewIncident {
            request_id: request_id(),
            organisation: Some(v1::new_incident::Organisation::OrganisationId(held.organisation.clone())),
            occurred_from: world.in_seconds(-30 * 86_400),
            occurred_until: world.in_seconds(-29 * 86_400),
            content: Some(crate::builders::content()),
            ..v1::NewIncident::default()
        };
        let incidents = vec![new.clone(), v1::NewIncident { request_id: request_id(), ..new }];
        let request = v1::RegisterIncidentsRequest { request_id: request_id(), incidents, ..<_>::default() };
        let many = world.incidents("ncsc").register_incidents(request).await.unwrap().into_inner();
        let icos = world.hold("ico", "ncsc").await;
        world.authorise(&icos).await;
        let release = world.put(&icos, world.ask(&icos)).await.unwrap();
        let copy = world.receive("ncsc", release, "nca").await;
        let mut due: Vec<String> = world.reminders("ncsc", true).await.into_iter().map(|(id, _)| id).collect();
        due.sort();
        let mut told = world.told_of_reminders("ncsc").await;
        told.sort();
        assert_eq!((due.len(), &due), (2, &told), "{many:?}");
        assert!(!due.contains(&copy.held.incident));
        let given = world.reminder_of(&copy.held).await;
        assert_error(world.record_reminder(&copy.held, given).await, Code::FailedPrecondition, "WRONG_STATE");

        world.end_agreement("ico-ncsc-2023").await.unwrap();
        assert_eq!(world.reminders("ncsc", true).await, []);
        assert_eq!(world.reminders("ncsc", false).await, pairs(&[(&held, "given")]), "what was recorded stays");
        assert_eq!(world.told_of_reminders("ncsc").await, Vec::<String>::new(), "nor is anybody told");
        world.activate("ico-ncsc-2023").await;
        assert_eq!(world.told_of_reminders("ncsc").await.len(), 2);
    }
}
