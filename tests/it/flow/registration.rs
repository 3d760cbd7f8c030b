//! Many incidents in one call: one entry, all or nothing, and each record once however it is put.

use concordat::exchange::RegisterIncidents;
use concordat::proto::v1;
use concordat::proto::v1::new_incident::Organisation;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::builders::{Held, assert_invalid, assert_released, content, identifier};
use crate::cli::execute;
use crate::harness::{World, on_both_databases, request_id, timestamp};

fn new_organisation(number: u32) -> v1::RegisterOrganisationRequest {
    v1::RegisterOrganisationRequest {
        request_id: request_id(),
        name: format!("Example Water {number}"),
        identifiers: vec![identifier(number)],
        ..v1::RegisterOrganisationRequest::default()
    }
}

/// Such a call about these.
fn call(
    organisations: &[v1::RegisterOrganisationRequest],
    incidents: &[v1::NewIncident],
) -> v1::RegisterIncidentsRequest {
    v1::RegisterIncidentsRequest {
        request_id: request_id(),
        organisations: organisations.to_vec(),
        incidents: incidents.to_vec(),
    }
}

/// The field that an error names beside its reason.
fn named(status: &Status) -> String {
    let metadata = status.get_details_error_info().map(|found| found.metadata).unwrap_or_default();
    metadata.get("field").cloned().unwrap_or_default()
}

impl World {
    fn new_incident(&self, organisation: Organisation) -> v1::NewIncident {
        v1::NewIncident {
            request_id: request_id(),
            organisation: Some(organisation),
            occurred_from: self.in_seconds(-30 * 86_400),
            occurred_until: self.in_seconds(-29 * 86_400),
            content: Some(content()),
            ..v1::NewIncident::default()
        }
    }

    /// An incident at one of the organisations of the same call.
    fn new_at(&self, place: i32) -> v1::NewIncident {
        self.new_incident(Organisation::NewOrganisation(place))
    }

    async fn register_many(
        &self,
        agency: &str,
        request: v1::RegisterIncidentsRequest,
    ) -> Result<v1::RegisterIncidentsResponse, Status> {
        Ok(self.incidents(agency).register_incidents(request).await?.into_inner())
    }

    async fn whole_incident(&self, agency: &str, id: &str) -> v1::Incident {
        let request = v1::GetIncidentRequest { incident_id: id.into() };
        self.incidents(agency).get_incident(request).await.unwrap().into_inner().incident.unwrap()
    }

    /// What the entry of a call says that it registered.
    fn act(&self, response: &v1::RegisterIncidentsResponse) -> v1::Act {
        self.verified(response.receipt.as_ref()).act.unwrap()
    }
}

on_both_databases! {
    async fn many_incidents_are_registered_with_one_entry(world: World) {
        let registered = world.register_organisation("ncsc", vec![identifier(1)]).await;
        let organisations = [new_organisation(2), new_organisation(3)];
        let mut marked = world.new_at(1);
        marked.campaign = "spring".into();
        let elsewhere = world.new_incident(Organisation::OrganisationId(registered.clone()));
        let before = world.size().await;
        let made = world.register_many("ncsc", call(&organisations, &[world.new_at(0), marked, elsewhere])).await.unwrap();
        assert_eq!(world.size().await, before + 1);
        assert_eq!((made.organisation_ids.len(), made.incident_ids.len()), (2, 3));

        let act = world.act(&made);
        assert_eq!((act.organisations, act.incidents), (made.organisation_ids.clone(), made.incident_ids.clone()));
        assert_eq!((act.method.as_str(), act.object.as_str()), ("IncidentService/RegisterIncidents", ""));
        let at = [&made.organisation_ids[0], &made.organisation_ids[1], &registered];
        for (id, at) in made.incident_ids.iter().zip(at) {
            let held = world.whole_incident("ncsc", id).await;
            assert_eq!((&held.organisation_id, held.etag.as_str(), held.content), (at, "1", Some(content())));
        }
        assert_eq!(world.whole_incident("ncsc", &made.incident_ids[1]).await.campaign, "spring");
        let found = v1::FindOrganisationsRequest { identifiers: vec![identifier(3)], name: String::new() };
        let found = world.organisations("ncsc").find_organisations(found).await.unwrap().into_inner().found;
        let found: Vec<_> = found.into_iter().map(|found| found.organisation.unwrap()).collect();
        assert_eq!(found.iter().map(|one| (&one.id, one.name.as_str())).collect::<Vec<_>>(), [
            (&made.organisation_ids[1], "Example Water 3")
        ]);
    }

    async fn each_record_is_registered_once_however_it_is_put(world: World) {
        let (organisation, incident) = (new_organisation(1), world.new_at(0));
        let request = call(std::slice::from_ref(&organisation), std::slice::from_ref(&incident));
        let first = world.register_many("ncsc", request.clone()).await.unwrap();
        let size = world.size().await;
        let index = |made: &v1::RegisterIncidentsResponse| made.receipt.as_ref().unwrap().index;
        let ids = |made: &v1::RegisterIncidentsResponse| (made.organisation_ids.clone(), made.incident_ids.clone());

        // The same call; the same records in another call; and each of them alone.
        let again = world.register_many("ncsc", request).await.unwrap();
        assert_eq!((ids(&again), index(&again)), (ids(&first), index(&first)));
        let other = call(std::slice::from_ref(&organisation), std::slice::from_ref(&incident));
        let other = world.register_many("ncsc", other).await.unwrap();
        assert_eq!((ids(&other), index(&other)), (ids(&first), index(&first)));
        let alone = v1::RegisterOrganisationRequest {
            request_id: organisation.request_id.clone(),
            name: organisation.name.clone(),
            identifiers: organisation.identifiers.clone(),
            ..v1::RegisterOrganisationRequest::default()
        };
        let alone = world.organisations("ncsc").register_organisation(alone).await.unwrap().into_inner();
        assert_eq!(alone.organisation_id, first.organisation_ids[0]);
        let alone = v1::RegisterIncidentRequest {
            request_id: incident.request_id.clone(),
            organisation_id: alone.organisation_id,
            occurred_from: incident.occurred_from,
            occurred_until: incident.occurred_until,
            content: incident.content.clone(),
            ..v1::RegisterIncidentRequest::default()
        };
        let alone = world.incidents("ncsc").register_incident(alone).await.unwrap().into_inner();
        assert_eq!(alone.incident_id, first.incident_ids[0]);
        assert_eq!(world.size().await, size, "nothing was written");

        // And one that was registered alone is not registered again with others.
        let held = world.register_organisation("ncsc", vec![]).await;
        let single = world.incident_at(&held);
        let single_id = world.incidents("ncsc").register_incident(single.clone()).await.unwrap().into_inner().incident_id;
        let single = v1::NewIncident {
            request_id: single.request_id,
            occurred_from: single.occurred_from,
            occurred_until: single.occurred_until,
            ..world.new_incident(Organisation::OrganisationId(held))
        };
        let size = world.size().await;
        let mixed = call(std::slice::from_ref(&organisation), &[world.new_at(0), single, incident.clone()]);
        let mixed = world.register_many("ncsc", mixed).await.unwrap();
        assert_eq!(world.size().await, size + 1);
        assert_eq!(mixed.incident_ids[1..], [single_id, first.incident_ids[0].clone()]);
        let act = world.act(&mixed);
        assert_eq!((act.organisations.len(), act.incidents), (0, mixed.incident_ids[..1].to_vec()), "what is new alone");

        // A key that was used for something else is said to have been, by its place.
        let changed = v1::NewIncident { campaign: "other".into(), ..incident };
        let request = call(std::slice::from_ref(&organisation), &[world.new_at(0), changed]);
        assert_invalid(world.register_many("ncsc", request).await, "incidents[1].request_id");
        let renamed = v1::RegisterOrganisationRequest { name: "Another".into(), ..organisation };
        let request = call(&[renamed], &[world.new_at(0)]);
        assert_invalid(world.register_many("ncsc", request).await, "organisations[0].request_id");
        assert_eq!(world.size().await, size + 1);
    }

    async fn all_are_registered_or_none(world: World) {
        let taken = world.register_organisation("ncsc", vec![identifier(1)]).await;
        let nowhere = Organisation::OrganisationId("org_of_nobody".into());
        let good = || world.new_at(0);
        let future = v1::NewIncident { occurred_until: world.in_seconds(120), occurred_from: world.in_seconds(60), ..good() };
        let secret = v1::Markings { classification: "secret".into(), ..v1::Markings::default() };
        let twice = good();
        let same = v1::RegisterOrganisationRequest { identifiers: vec![identifier(2)], ..new_organisation(9) };
        let child = v1::RegisterOrganisationRequest {
            parents: vec![v1::ParentLink { organisation_id: "org_of_nobody".into(), ..v1::ParentLink::default() }],
            ..new_organisation(5)
        };
        let one = || new_organisation(2);
        let before = world.rows().await;
        for (field, code, request) in [
            ("incidents[1].occurred_from", Code::InvalidArgument, call(&[one()], &[good(), future])),
            ("incidents[0].markings.classification", Code::InvalidArgument,
                call(&[one()], &[v1::NewIncident { markings: Some(secret), ..good() }])),
            ("incidents[1].organisation_id", Code::NotFound, call(&[one()], &[good(), world.new_incident(nowhere)])),
            ("incidents[0].new_organisation", Code::InvalidArgument, call(&[one()], &[world.new_at(1)])),
            ("incidents[0].organisation", Code::InvalidArgument,
                call(&[one()], &[v1::NewIncident { organisation: None, ..good() }])),
            ("incidents[1].request_id", Code::InvalidArgument, call(&[one()], &[twice.clone(), twice])),
            ("incidents[0].content", Code::InvalidArgument, call(&[one()], &[v1::NewIncident { content: None, ..good() }])),
            ("incidents", Code::InvalidArgument, call(&[one()], &[])),
            ("incidents", Code::InvalidArgument, call(&[one()], &vec![good(); RegisterIncidents::MOST + 1])),
            ("organisations[1].identifiers", Code::FailedPrecondition, call(&[one(), new_organisation(1)], &[good()])),
            ("organisations[1].identifiers", Code::FailedPrecondition, call(&[one(), same], &[good()])),
            ("organisations[0].parents[0].organisation_id", Code::InvalidArgument, call(&[child], &[good()])),
        ] {
            let status = world.register_many("ncsc", request).await.unwrap_err();
            assert_eq!((named(&status).as_str(), status.code()), (field, code), "{}", status.message());
            assert!(status.message().starts_with(field), "{}", status.message());
        }
        assert_eq!(world.rows().await, before, "nothing was written");
        // Another agency's organisation is not there.
        let request = call(&[], &[world.new_incident(Organisation::OrganisationId(taken))]);
        assert_eq!(world.register_many("nca", request).await.unwrap_err().code(), Code::NotFound);
    }

    async fn the_largest_call_is_done(world: World) {
        let organisations: Vec<_> = (1..).take(RegisterIncidents::MOST).map(new_organisation).collect();
        let incidents: Vec<_> = (0..).take(RegisterIncidents::MOST).map(|place| world.new_at(place)).collect();
        let before = world.size().await;
        let made = world.register_many("ncsc", call(&organisations, &incidents)).await.unwrap();
        assert_eq!(world.size().await, before + 1);
        let act = world.act(&made);
        assert_eq!((act.organisations.len(), act.incidents), (RegisterIncidents::MOST, made.incident_ids));
    }

    async fn requests_that_wait_and_duties_meet_them_as_they_meet_one(world: World) {
        for number in [71, 72] {
            let ask = world.ask_by_name("ncsc", vec![identifier(number)]);
            world.requester("ico").request_release(ask).await.unwrap();
        }
        let registered = world.register_organisation("ncsc", vec![identifier(72)]).await;
        let early = v1::NewIncident {
            occurred_from: world.in_seconds(-90 * 86_400),
            occurred_until: world.in_seconds(-89 * 86_400),
            ..world.new_at(0)
        };
        let at_72 = world.new_incident(Organisation::OrganisationId(registered));
        let request = call(&[new_organisation(71), new_organisation(73)], &[world.new_at(0), world.new_at(1), early, at_72]);
        let made = world.register_many("ncsc", request).await.unwrap();
        let mut matched: Vec<Vec<String>> = Vec::new();
        for request in world.received("ncsc").await {
            matched.push(request.matches.into_iter().map(|one| one.incident_id).collect());
        }
        matched.sort();
        let mut expected = vec![vec![made.incident_ids[0].clone()], vec![made.incident_ids[3].clone()]];
        expected.sort();
        assert_eq!(matched, expected, "each request by its own organisation and period");

        let notification = v1::Notification {
            kind: "nis-rdsp".into(),
            received_at: world.in_seconds(-3_600),
            ..v1::Notification::default()
        };
        let notified = || v1::NewIncident { notification: Some(notification.clone()), ..world.new_at(0) };
        let request = call(&[new_organisation(74)], &[notified(), world.new_at(0), notified()]);
        let made = world.register_many("ico", request).await.unwrap();
        let mut owed: Vec<_> = world.obligations("ico", true).await.into_iter().map(|one| one.incident_id).collect();
        owed.sort();
        let mut expected = vec![made.incident_ids[0].clone(), made.incident_ids[2].clone()];
        expected.sort();
        assert_eq!(owed, expected);
        world.later(24 * 3_600);
        assert_eq!(world.events_of("ico", "duty-overdue").await.len(), 2);
    }

    async fn one_of_many_is_released_and_a_change_behind_its_back_is_found(world: World) {
        let request = call(&[new_organisation(1)], &[world.new_at(0), world.new_at(0), world.new_at(0)]);
        let made = world.register_many("ncsc", request).await.unwrap();
        let organisation = made.organisation_ids[0].clone();
        let held = async |incident: &String| {
            let held: Held = world.hold_incident("ncsc", "ico", organisation.clone(), incident.clone()).await;
            world.permit(held).await.held
        };
        let first = held(&made.incident_ids[0]).await;
        assert_released(&world.outcome(&first).await, &["identity", "timeline"]);
        assert_eq!(world.replayed(&[]).0, 0, "the acts account for it");

        // As somebody with the database's own rights could: a notification that an officer is said to have verified.
        let second = held(&made.incident_ids[1]).await;
        let at = timestamp(world.now()).seconds * 1_000_000;
        let verified = format!(
            r#"{{"kind":"nis-rdsp","received_at":{at},"recorded_by":"rec","verified_at":{at}}}"#
        );
        let change = format!("UPDATE incident SET notification = '{verified}' WHERE id = '{}'", second.incident);
        execute(&world.config.database_url(), &[&change], &[&change]).await;
        let response = world.put(&second, world.ask(&second)).await.unwrap();
        assert_released(response.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        let entry = response.receipt.unwrap().index;
        let (code, said) = world.replayed(&[]);
        assert_eq!((code, said["faults"].as_array().unwrap().len()), (1, 1), "{said}");
        assert_eq!(said["faults"][0]["entry"], entry);
        let problem = format!("no act brought about incident {} as it was read", second.incident);
        assert!(said["faults"][0]["problems"].to_string().contains(&problem), "{said}");
        // Not for other tests' eyes: a ledger with such an entry in it does not replay any more.
        let erase = format!("UPDATE entry SET wrapped_key = NULL WHERE idx = {entry}");
        execute(&world.config.database_url(), &[&erase], &[&erase]).await;
    }
}
