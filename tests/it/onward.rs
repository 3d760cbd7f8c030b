//! What agencies do with what they were given, for tests about it.

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::permission_service_client::PermissionServiceClient;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use prost::Message as _;
use tonic::Status;

use crate::builders::{Held, names, only_incident};
use crate::harness::{World, request_id};

/// A receipt as it is shown to another agency's node.
pub(crate) fn outcome_alone(receipt: Option<&v1::Receipt>) -> Vec<u8> {
    let mut receipt = receipt.unwrap().clone();
    receipt.openings.retain(|opening| opening.slot() == v1::Slot::Outcome);
    receipt.encode_to_vec()
}

/// A record of what came from another agency.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// The record, with a reference for whom it is to be passed on to.
    pub(crate) held: Held,
    /// The release by which it came.
    pub(crate) release: v1::RequestReleaseResponse,
}

impl World {
    pub(crate) fn permissions(&self, agency: &str) -> PermissionServiceClient<OfficerChannel> {
        PermissionServiceClient::new(self.officer(agency, "per", &["requester", "authoriser", "auditor"]))
    }

    /// A consent that allows passing on, for the purposes of every row.
    pub(crate) fn onward_scope(&self, held: &Held) -> v1::ConsentScope {
        let purposes = names(&["harm-reduction", "regulatory-assessment", "serious-organised-crime"]);
        v1::ConsentScope { onward: true, purposes, ..self.scope(held) }
    }

    /// What the holder releases to the ICO for the asking, under a consent with this scope, and that consent.
    pub(crate) async fn received_by_ico(
        &self,
        holder: &str,
        scope: impl FnOnce(&Self, &Held) -> v1::ConsentScope,
    ) -> (v1::RequestReleaseResponse, Held, String) {
        let held = self.hold(holder, "ico").await;
        let consent = self.give_consent(&held, scope(self, &held)).await;
        self.authorise(&held).await;
        let release = self.put(&held, self.ask(&held)).await.unwrap();
        only_incident(release.outcome.as_ref().unwrap());
        (release, held, consent)
    }

    /// The newest authorisation of an incident.
    pub(crate) async fn authorisation_of(&self, held: &Held) -> String {
        let request = v1::ListAuthorisationsRequest {
            incident_id: held.incident.clone(),
            ..v1::ListAuthorisationsRequest::default()
        };
        let listed = self.authorisations(&held.holder).list_authorisations(request).await.unwrap().into_inner();
        listed.authorisations.last().unwrap().id.clone()
    }

    /// A registration of what was received, at this organisation.
    pub(crate) fn received_at(
        &self,
        organisation: &str,
        release: &v1::RequestReleaseResponse,
    ) -> v1::RegisterReceivedRequest {
        let categories = match release.outcome.as_ref().unwrap() {
            Outcome::Released(released) => released.incidents[0].categories.clone(),
            _ => panic!("nothing was released"),
        };
        v1::RegisterReceivedRequest {
            request_id: request_id(),
            organisation_id: organisation.into(),
            occurred_from: self.in_seconds(-30 * 86_400),
            occurred_until: self.in_seconds(-29 * 86_400),
            receipt: release.receipt.as_ref().unwrap().encode_to_vec(),
            categories,
            ..v1::RegisterReceivedRequest::default()
        }
    }

    pub(crate) async fn register_received(
        &self,
        agency: &str,
        request: v1::RegisterReceivedRequest,
    ) -> Result<String, Status> {
        Ok(self.incidents(agency).register_received(request).await?.into_inner().incident_id)
    }

    /// Records what was released to an agency and has an officer of it authorise the passing-on.
    pub(crate) async fn receive(&self, agency: &str, release: v1::RequestReleaseResponse, recipient: &str) -> Received {
        let organisation = self.register_organisation(agency, vec![]).await;
        let incident = self.register_received(agency, self.received_at(&organisation, &release)).await.unwrap();
        let held = self.hold_incident(agency, recipient, organisation, incident).await;
        self.authorise(&held).await;
        Received { held, release }
    }

    /// A request for an agency's permission to pass on what was received, as [`World::ask`] asks for it.
    pub(crate) fn permission_for(&self, received: &Received, upstream: &str) -> v1::AskPermissionRequest {
        let ask = self.ask(&received.held);
        v1::AskPermissionRequest {
            request_id: request_id(),
            upstream: upstream.into(),
            receipt: outcome_alone(received.release.receipt.as_ref()),
            recipient: received.held.recipient.clone(),
            purpose: ask.purpose,
            categories: ask.categories,
            ..v1::AskPermissionRequest::default()
        }
    }

    /// Asks on this node, which is the upstream agency's.
    pub(crate) async fn ask_permission(
        &self,
        asker: &str,
        request: v1::AskPermissionRequest,
    ) -> Result<v1::AskPermissionResponse, Status> {
        Ok(self.permissions(asker).ask_permission(request).await?.into_inner())
    }

    pub(crate) async fn ask_permission_again(&self, asker: &str, permission: &str) -> v1::AskPermissionResponse {
        let (request_id, permission_id) = (request_id(), permission.to_owned());
        let request = v1::AskPermissionRequest { request_id, permission_id, ..v1::AskPermissionRequest::default() };
        self.ask_permission(asker, request).await.unwrap()
    }

    pub(crate) async fn give_permission(&self, upstream: &str, permission: &str) -> Result<v1::Receipt, Status> {
        let (request_id, permission_id) = (request_id(), permission.to_owned());
        let request = v1::GivePermissionRequest { request_id, permission_id, ..v1::GivePermissionRequest::default() };
        Ok(self.permissions(upstream).give_permission(request).await?.into_inner().receipt.unwrap())
    }

    pub(crate) async fn decline_permission(&self, upstream: &str, permission: &str) -> Result<v1::Receipt, Status> {
        let (request_id, permission_id) = (request_id(), permission.to_owned());
        let request = v1::DeclinePermissionRequest { request_id, permission_id };
        Ok(self.permissions(upstream).decline_permission(request).await?.into_inner().receipt.unwrap())
    }

    pub(crate) async fn withdraw_permission(&self, upstream: &str, permission: &str) -> Result<v1::Receipt, Status> {
        let (request_id, permission_id) = (request_id(), permission.to_owned());
        let request = v1::WithdrawPermissionRequest { request_id, permission_id };
        Ok(self.permissions(upstream).withdraw_permission(request).await?.into_inner().receipt.unwrap())
    }

    /// Shows this node, which is the holder's, a permission.
    pub(crate) async fn present(&self, held: &Held, receipt: Vec<u8>) -> Result<v1::PresentPermissionResponse, Status> {
        let (request_id, incident_id) = (request_id(), held.incident.clone());
        let request = v1::PresentPermissionRequest { request_id, receipt, incident_id };
        Ok(self.permissions(&held.holder).present_permission(request).await?.into_inner())
    }

    pub(crate) async fn present_withdrawal(&self, agency: &str, receipt: Vec<u8>) -> Result<v1::Receipt, Status> {
        let request = v1::PresentWithdrawalRequest { request_id: request_id(), receipt };
        Ok(self.permissions(agency).present_withdrawal(request).await?.into_inner().receipt.unwrap())
    }

    /// A permission that was given, with the receipt that shows it.
    pub(crate) async fn permitted_to_pass_on(&self, received: &Received, upstream: &str) -> (String, Vec<u8>) {
        let holder = &received.held.holder;
        let asked = self.ask_permission(holder, self.permission_for(received, upstream)).await.unwrap();
        assert_eq!(asked.answer, "pending");
        self.give_permission(upstream, &asked.permission_id).await.unwrap();
        let shown = self.ask_permission_again(holder, &asked.permission_id).await;
        assert_eq!(shown.answer, "given");
        (asked.permission_id, outcome_alone(shown.receipt.as_ref()))
    }
}

/// How an agency would name an organisation to the ICO: for which purpose and on which ground.
pub(crate) fn naming_terms(agency: &str) -> (&'static str, &'static str) {
    match agency {
        "ncsc" => ("harm-reduction", "isa-1994-s4-2-a"),
        "nca" => ("serious-organised-crime", "cca-2013-s7-4"),
        _ => ("harm-reduction", "dpa-2018-s132-2-f"),
    }
}

impl World {
    /// A consent that lets the holder name the organisation to the recipient: to its identity, for all incidents.
    pub(crate) fn naming_scope(&self, held: &Held) -> v1::ConsentScope {
        let purposes = names(&["harm-reduction", "serious-organised-crime"]);
        let (incident_id, valid_until) = (String::new(), self.in_seconds(30 * 86_400));
        v1::ConsentScope { incident_id, valid_until, purposes, categories: names(&["identity"]), ..self.scope(held) }
    }

    /// An organisation in an agency's own register. It has consented to nothing.
    pub(crate) async fn known_to(&self, agency: &str, identifiers: Vec<v1::Identifier>) -> Held {
        Held {
            holder: agency.into(),
            recipient: "ico".into(),
            organisation: self.register_organisation(agency, identifiers).await,
            incident: String::new(),
            reference: String::new(),
        }
    }

    /// An organisation that the agency may name to the ICO, and its consent to that.
    pub(crate) async fn nameable(&self, agency: &str, identifiers: Vec<v1::Identifier>) -> (Held, String) {
        let held = self.known_to(agency, identifiers).await;
        let consent = self.give_consent(&held, self.naming_scope(&held)).await;
        (held, consent)
    }

    /// Whether the holder of this organisation may name it to the recipient.
    #[expect(clippy::unused_self, reason = "a builder beside the others")]
    pub(crate) fn naming_of(&self, held: &Held, identifiers: Vec<v1::Identifier>) -> v1::AskToNameRequest {
        let (purpose, ground) = naming_terms(&held.holder);
        v1::AskToNameRequest {
            request_id: request_id(),
            organisation_id: held.organisation.clone(),
            identifiers,
            recipient: held.recipient.clone(),
            purpose: purpose.into(),
            ground: ground.into(),
        }
    }

    /// Asks on this node, which is the node of the agency that would name.
    pub(crate) async fn ask_to_name(
        &self,
        agency: &str,
        request: v1::AskToNameRequest,
    ) -> Result<v1::AskToNameResponse, Status> {
        Ok(self.permissions(agency).ask_to_name(request).await?.into_inner())
    }

    /// The receipt that lets an organisation be named, as the node that is asked wants to see it.
    pub(crate) async fn receipt_to_name(&self, held: &Held, identifiers: Vec<v1::Identifier>) -> Vec<u8> {
        let response = self.ask_to_name(&held.holder, self.naming_of(held, identifiers)).await.unwrap();
        assert_eq!(response.answer, "given", "{}", response.explanation);
        response.receipt.unwrap().encode_to_vec()
    }

    /// An agency's ask of the ICO about an organisation that it names, with what its own node said of that.
    pub(crate) fn ask_ico_by_name(
        &self,
        agency: &str,
        identifiers: Vec<v1::Identifier>,
        naming_receipt: Vec<u8>,
    ) -> v1::RequestReleaseRequest {
        let mut ask = v1::RequestReleaseRequest { naming_receipt, ..self.ask_by_name("ico", identifiers) };
        let (purpose, ground) = naming_terms(agency);
        ask.purpose = purpose.into();
        if let Some(Target::Organisation(named)) = &mut ask.target {
            named.ground = ground.into();
        }
        ask
    }

    /// Puts an ask as an agency's requester.
    pub(crate) async fn put_as(
        &self,
        agency: &str,
        ask: v1::RequestReleaseRequest,
    ) -> Result<v1::RequestReleaseResponse, Status> {
        Ok(self.requester(agency).request_release(ask).await?.into_inner())
    }
}
