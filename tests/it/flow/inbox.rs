//! The holder's inbox: a request is seen where a record matches, and nothing that happens there reaches the requester.

use concordat::proto::v1;
use tonic::Code;

use crate::builders::{assert_error, assert_open, assert_released, identifier};
use crate::harness::{World, on_both_databases, request_id};

impl World {
    /// Puts an ask of the ICO's that names an organisation, and gives the request.
    async fn ask_about(&self, number: u32) -> String {
        let ask = v1::RequestReleaseRequest {
            external_ref: "case 7".into(),
            urgency: "urgent".into(),
            ..self.ask_by_name("ncsc", vec![identifier(number)])
        };
        self.requester("ico").request_release(ask).await.unwrap().into_inner().request
    }

    /// Registers an incident at an organisation with this number.
    async fn incident_under(&self, number: u32) -> String {
        let organisation = self.register_organisation("ncsc", vec![identifier(number)]).await;
        let registration = self.incident_at(&organisation);
        self.incidents("ncsc").register_incident(registration).await.unwrap().into_inner().incident_id
    }

    /// All that the ICO can read of its requests, without proofs: those lead to the latest checkpoint.
    async fn read_by_requester(&self, request: &str) -> (v1::Request, Vec<v1::Request>, Vec<v1::Event>) {
        let mut client = self.requester("ico");
        let got = client.get_request(v1::GetRequestRequest { request: request.into() }).await.unwrap().into_inner();
        let mut got = got.request.unwrap();
        for ask in &mut got.asks {
            ask.receipt = None;
        }
        let listed = client.list_requests(v1::ListRequestsRequest::default()).await.unwrap().into_inner().requests;
        (got, listed, self.events("ico").await)
    }

    async fn assert_no_trace(&self, agency: &str, request: &str) {
        assert_eq!(self.received(agency).await, [], "the inbox of {agency}");
        let one = v1::GetReceivedRequestRequest { request: request.into() };
        assert_error(self.inbox(agency).get_received_request(one).await, Code::NotFound, "NOT_FOUND");
        assert_error(self.decline(agency, request).await, Code::NotFound, "NOT_FOUND");
        assert_error(self.offer(agency, request).await, Code::NotFound, "NOT_FOUND");
        assert_eq!(self.events_of(agency, "request-to-look-at").await, []);
    }
}

on_both_databases! {
    async fn a_request_is_seen_only_from_when_a_record_matches(world: World) {
        let request = world.ask_about(71).await;
        world.assert_no_trace("ncsc", &request).await;
        let before = world.read_by_requester(&request).await;

        let incident = world.incident_under(71).await;
        let [seen] = world.received("ncsc").await.try_into().unwrap();
        assert_eq!(seen.request, request);
        assert_eq!(seen.matches.iter().map(|one| &one.incident_id).collect::<Vec<_>>(), [&incident]);
        let [event] = world.events_of("ncsc", "request-to-look-at").await.try_into().unwrap();
        assert_eq!((event.request, event.incident_id, event.agency), (request.clone(), incident, "ico".into()));
        assert_eq!(world.read_by_requester(&request).await, before, "the requester cannot tell that a record came");
        world.assert_no_trace("nca", &request).await;
    }

    async fn what_the_holder_sees_is_the_request_and_no_name(world: World) {
        let incident = world.incident_under(72).await;
        let request = world.ask_about(72).await;
        let [seen] = world.received("ncsc").await.try_into().unwrap();
        assert_eq!(seen.requester, "ico");
        assert!(seen.officer_pseudonym.starts_with("officer-"), "{}", seen.officer_pseudonym);
        assert!(!format!("{seen:?}").contains("req@"), "the officer's own name stays at home");
        assert_eq!((seen.purpose.as_str(), seen.urgency.as_str(), seen.state.as_str()), ("harm-reduction", "urgent", "open"));
        assert_eq!((seen.external_ref.as_str(), seen.categories.len()), ("case 7", 2));
        assert!(seen.identifiers == vec![identifier(72)], "what was named is shown once it matches");
        assert_eq!(seen.matches[0].incident_id, incident);
        assert_eq!(seen.open_until, world.in_seconds(90 * 86_400));
        let one = v1::GetReceivedRequestRequest { request };
        let got = world.inbox("ncsc").get_received_request(one).await.unwrap().into_inner().request.unwrap();
        assert_eq!(got, seen);
    }

    async fn an_identifier_that_is_registered_later_matches(world: World) {
        let organisation = world.register_organisation("ncsc", vec![identifier(73)]).await;
        let registration = world.incident_at(&organisation);
        world.incidents("ncsc").register_incident(registration).await.unwrap();
        let request = world.ask_about(74).await;
        world.assert_no_trace("ncsc", &request).await;
        let mut organisations = world.organisations("ncsc");
        let got = v1::GetOrganisationRequest { organisation_id: organisation.clone() };
        let present = organisations.get_organisation(got).await.unwrap().into_inner().organisation.unwrap();
        let amendment = v1::AmendOrganisationRequest {
            request_id: request_id(),
            organisation_id: organisation,
            etag: present.etag,
            name: present.name,
            identifiers: vec![identifier(73), identifier(74)],
            ..v1::AmendOrganisationRequest::default()
        };
        organisations.amend_organisation(amendment).await.unwrap();
        assert_eq!(world.received("ncsc").await.len(), 1);
    }

    async fn a_group_is_shown_as_candidates_and_matches_nothing(world: World) {
        world.incident_under(65).await;
        let parent = world.organisations("ncsc").list_organisations(v1::ListOrganisationsRequest::default()).await;
        let parent = parent.unwrap().into_inner().organisations.remove(0).id;
        let link = v1::ParentLink { organisation_id: parent, ..v1::ParentLink::default() };
        let subsidiary = v1::RegisterOrganisationRequest {
            request_id: request_id(),
            name: "Example Water Services Ltd".into(),
            identifiers: vec![identifier(66)],
            parents: vec![link],
            ..v1::RegisterOrganisationRequest::default()
        };
        let subsidiary = world.organisations("ncsc").register_organisation(subsidiary).await.unwrap().into_inner();
        let registration = world.incident_at(&subsidiary.organisation_id);
        world.incidents("ncsc").register_incident(registration).await.unwrap();
        let request = world.ask_about(65).await;
        let one = v1::GetReceivedRequestRequest { request };
        let seen = world.inbox("ncsc").get_received_request(one).await.unwrap().into_inner().request.unwrap();
        assert_eq!(seen.matches.len(), 1, "the parent's own incident alone");
        let [candidate] = seen.candidates.as_slice() else { panic!("{:?}", seen.candidates) };
        assert_eq!(candidate.organisation_id, subsidiary.organisation_id);
        assert_eq!(candidate.reasons, ["subsidiary"]);
    }

    async fn a_record_of_another_time_or_another_holder_does_not_match(world: World) {
        let request = world.ask_about(75).await;
        let organisation = world.register_organisation("ncsc", vec![identifier(75)]).await;
        let early = v1::RegisterIncidentRequest {
            occurred_from: world.in_seconds(-400 * 86_400),
            occurred_until: world.in_seconds(-399 * 86_400),
            ..world.incident_at(&organisation)
        };
        world.incidents("ncsc").register_incident(early).await.unwrap();
        let elsewhere = world.register_organisation("nca", vec![identifier(75)]).await;
        world.incidents("nca").register_incident(world.incident_at(&elsewhere)).await.unwrap();
        world.assert_no_trace("ncsc", &request).await;
        world.assert_no_trace("nca", &request).await;
    }

    async fn whom_the_requester_may_not_name_is_never_looked_up(world: World) {
        // No clause lets the NCSC name an organisation to the ICO.
        let ask = world.ask_by_name("ico", vec![identifier(76)]);
        let request = world.requester("ncsc").request_release(ask).await.unwrap().into_inner().request;
        let organisation = world.register_organisation("ico", vec![identifier(76)]).await;
        world.incidents("ico").register_incident(world.incident_at(&organisation)).await.unwrap();
        world.assert_no_trace("ico", &request).await;
    }

    async fn a_request_that_has_expired_matches_nothing_new(world: World) {
        let request = world.ask_about(77).await;
        let seen = world.ask_about(78).await;
        let incident = world.incident_under(78).await;
        let then = (world.in_seconds(-30 * 86_400), world.in_seconds(-29 * 86_400));
        world.later(90 * 86_400);
        let organisation = world.register_organisation("ncsc", vec![identifier(77)]).await;
        let of_that_time = v1::RegisterIncidentRequest {
            occurred_from: then.0,
            occurred_until: then.1,
            ..world.incident_at(&organisation)
        };
        world.incidents("ncsc").register_incident(of_that_time).await.unwrap();
        let [old] = world.received("ncsc").await.try_into().unwrap();
        assert_eq!((&old.request, old.state.as_str()), (&seen, "expired"));
        let got = world.read_by_requester(&request).await.0;
        assert_eq!(got.state, "expired");

        // Not even what would be released is offered to it.
        let organisation = v1::GetIncidentRequest { incident_id: incident.clone() };
        let organisation = world.incidents("ncsc").get_incident(organisation).await.unwrap().into_inner();
        let organisation = organisation.incident.unwrap().organisation_id;
        let held = world.hold_incident("ncsc", "ico", organisation, incident).await;
        world.permit(held.clone()).await;
        assert_eq!(world.preview(&held, "").await.outcome, "released");
        let refused = world.offer("ncsc", &seen).await.unwrap_err();
        assert!(refused.message().contains("expired"), "{refused:?}");
        assert_error(world.decline("ncsc", &seen).await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn a_decline_changes_nothing_that_the_requester_can_read(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let response = world.put(&held, world.ask(&held)).await.unwrap();
        assert_open(&response.outcome.unwrap());
        let before = world.read_by_requester(&response.request).await;
        let receipt = world.decline("ncsc", &response.request).await.unwrap();
        assert_eq!(world.verified(Some(&receipt)).act.unwrap().object, response.request);
        assert_eq!(world.received("ncsc").await[0].state, "declined");
        assert_eq!(world.read_by_requester(&response.request).await, before);
        let entry = v1::GetEntryRequest { index: receipt.index };
        assert_error(world.ledger("ico").get_entry(entry).await, Code::NotFound, "NOT_FOUND");
        assert_error(world.decline("ncsc", &response.request).await, Code::FailedPrecondition, "WRONG_STATE");

        // A decline is no decision of the gate's: what is permitted later is released.
        world.permit(held.clone()).await;
        let again = v1::RequestReleaseRequest {
            request_id: request_id(),
            request: response.request.clone(),
            ..v1::RequestReleaseRequest::default()
        };
        let outcome = world.put(&held, again).await.unwrap().outcome.unwrap();
        assert_released(&outcome, &["identity", "timeline"]);
        assert_eq!(world.received("ncsc").await[0].state, "released");
        assert_eq!(world.read_by_requester(&response.request).await.0.state, "released");
    }

    async fn the_inbox_has_pages_of_its_own_agency(world: World) {
        for number in 80..83 {
            world.incident_under(number).await;
            world.ask_about(number).await;
        }
        let mut seen = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListReceivedRequestsRequest { page_size: 1, page_token: page_token.clone() };
            let page = world.inbox("ncsc").list_received_requests(request).await.unwrap().into_inner();
            assert_eq!(page.requests.len(), 1);
            seen.extend(page.requests.into_iter().map(|request| request.identifiers[0].value.clone()));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        seen.sort();
        assert_eq!(seen, ["00000080", "00000081", "00000082"]);
        let stranger = world.officer("ico", "aut", &["authoriser"]);
        let mut stranger = v1::inbox_service_client::InboxServiceClient::new(stranger);
        let request = v1::ListReceivedRequestsRequest::default();
        assert_eq!(stranger.list_received_requests(request).await.unwrap().into_inner().requests, []);
    }
}
