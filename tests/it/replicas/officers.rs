//! Officers who call replicas, each on a connection of its own, and who put a call again until it is answered.

use std::future::Future;
use std::time::{Duration, Instant};

use concordat::client::OfficerChannel;
use concordat::proto::v1::agreement_service_client::AgreementServiceClient;
use concordat::proto::v1::authorisation_service_client::AuthorisationServiceClient;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::incident_service_client::IncidentServiceClient;
use concordat::proto::v1::organisation_service_client::OrganisationServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::{ActivateAgreementRequest, ListAgreementsRequest, Receipt};
use tonic::{Code, Response, Status};

use super::{PATIENCE, Site};
use crate::harness::request_id;
use crate::program::Program;

/// The holder's officers, at one replica.
#[derive(Clone)]
pub(super) struct Holder {
    pub(super) organisations: OrganisationServiceClient<OfficerChannel>,
    pub(super) incidents: IncidentServiceClient<OfficerChannel>,
    pub(super) consents: ConsentServiceClient<OfficerChannel>,
    pub(super) verifier: ConsentServiceClient<OfficerChannel>,
    pub(super) authorisations: AuthorisationServiceClient<OfficerChannel>,
}

impl Site {
    /// The NCSC's officers at a replica.
    pub(super) fn holder(&self, replica: &Program) -> Holder {
        let officer = self.officer(replica.address, "ncsc", "rec", &["recorder", "authoriser"]);
        Holder {
            organisations: OrganisationServiceClient::new(officer.clone()),
            incidents: IncidentServiceClient::new(officer.clone()),
            consents: ConsentServiceClient::new(officer.clone()),
            verifier: ConsentServiceClient::new(self.officer(replica.address, "ncsc", "ver", &["verifier"])),
            authorisations: AuthorisationServiceClient::new(officer),
        }
    }

    /// The ICO's requester at a replica.
    pub(super) fn requester(&self, replica: &Program) -> ReleaseServiceClient<OfficerChannel> {
        ReleaseServiceClient::new(self.officer(replica.address, "ico", "req", &["requester"]))
    }

    /// Puts the agreement into force under which these tests release; gives the call's key and its receipt.
    pub(super) async fn activate(&self, replica: &Program) -> (String, Receipt) {
        let mut operator = AgreementServiceClient::new(self.officer(replica.address, "ico", "op", &["operator"]));
        let listed = operator.list_agreements(ListAgreementsRequest::default()).await.unwrap().into_inner();
        let agreement = listed.agreements.into_iter().find(|agreement| agreement.id == "ico-ncsc-2023").unwrap();
        let request =
            ActivateAgreementRequest { request_id: request_id(), agreement_id: agreement.id, digest: agreement.digest };
        let activated = operator.activate_agreement(request.clone()).await.unwrap().into_inner();
        (request.request_id, activated.receipt.unwrap())
    }
}

/// Puts a call until it is answered. What keeps it from being answered is the replica's or the database's; a caller's
/// mistake is none of these tests' business.
pub(super) async fn answered<T, F>(mut call: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let until = Instant::now() + PATIENCE;
    loop {
        match call().await {
            Ok(answer) => return answer.into_inner(),
            Err(status) => {
                // A connection that has reached its age is closed, which a call on its way to it may meet.
                let closed = [Code::Cancelled, Code::Unknown];
                let passing = [Code::Unavailable, Code::ResourceExhausted, Code::DeadlineExceeded];
                assert!(closed.contains(&status.code()) || passing.contains(&status.code()), "{status:?}");
                assert!(Instant::now() < until, "no answer: {status:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
