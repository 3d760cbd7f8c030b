//! Valid requests for the RPCs of passing on.

use concordat::proto::v1;
use concordat::proto::v1::request_release_response::Outcome;
use prost::Message as _;

use super::requests::unused;
use crate::builders::only_incident;
use crate::harness::World;
use crate::onward::{Received, outcome_alone};

impl World {
    /// What the ICO has from the NCSC and would pass on to the NCA.
    async fn received_of_the_ncsc(&self) -> Received {
        let (release, ..) = self.received_by_ico("ncsc", Self::onward_scope).await;
        self.receive("ico", release, "nca").await
    }

    /// A permission that the ICO asked the NCSC for.
    async fn asked_of_the_ncsc(&self) -> String {
        let received = self.received_of_the_ncsc().await;
        self.ask_permission("ico", self.permission_for(&received, "ncsc")).await.unwrap().permission_id
    }

    /// A permission that the NCA asked the ICO for.
    pub(crate) async fn asked_by_the_nca(&self) -> String {
        let held = self.hold("ico", "nca").await;
        self.authorise(&held).await;
        let release = self.put(&held, self.ask(&held)).await.unwrap();
        let received = self.receive("nca", release, "ncsc").await;
        self.ask_permission("nca", self.permission_for(&received, "ico")).await.unwrap().permission_id
    }

    pub(super) async fn valid_onward_request(&self, rpc: &str, request_id: String, variant: usize) -> Option<Vec<u8>> {
        Some(match rpc {
            "RegisterReceived" => {
                let held = self.hold("ico", "ncsc").await;
                self.authorise(&held).await;
                let release = self.put(&held, self.ask(&held)).await.unwrap();
                let organisation = self.register_organisation("ncsc", vec![]).await;
                v1::RegisterReceivedRequest {
                    request_id,
                    campaign: "spring".into(),
                    retain_until: self.in_seconds(86_400),
                    reference: held.reference,
                    ..self.received_at(&organisation, &release)
                }
                .encode_to_vec()
            }
            "AskPermission" if variant == 1 => {
                let permission_id = self.asked_of_the_ncsc().await;
                v1::AskPermissionRequest { request_id, permission_id, ..v1::AskPermissionRequest::default() }
                    .encode_to_vec()
            }
            "AskPermission" => {
                let received = self.received_of_the_ncsc().await;
                let outcome: &Outcome = received.release.outcome.as_ref().unwrap();
                let reference = only_incident(outcome).reference.clone();
                v1::AskPermissionRequest { request_id, reference, ..self.permission_for(&received, "ncsc") }
                    .encode_to_vec()
            }
            "ListPermissions" => {
                drop(self.asked_of_the_ncsc().await);
                drop(self.asked_of_the_ncsc().await);
                let request = v1::ListPermissionsRequest { page_size: 1, page_token: String::new() };
                let first = self.permissions("ncsc").list_permissions(request).await.unwrap().into_inner();
                v1::ListPermissionsRequest { page_size: 1, page_token: first.next_page_token }.encode_to_vec()
            }
            "GivePermission" => v1::GivePermissionRequest {
                request_id,
                permission_id: self.asked_of_the_ncsc().await,
                categories: vec!["identity".into()],
                valid_until: self.in_seconds(86_400),
            }
            .encode_to_vec(),
            "DeclinePermission" => {
                let permission_id = self.asked_of_the_ncsc().await;
                v1::DeclinePermissionRequest { request_id, permission_id }.encode_to_vec()
            }
            "WithdrawPermission" => {
                let permission_id = self.asked_of_the_ncsc().await;
                self.give_permission("ncsc", &permission_id).await.unwrap();
                v1::WithdrawPermissionRequest { request_id, permission_id }.encode_to_vec()
            }
            "PresentPermission" => {
                let received = self.received_of_the_ncsc().await;
                let (_, receipt) = self.permitted_to_pass_on(&received, "ncsc").await;
                v1::PresentPermissionRequest { request_id, receipt, incident_id: received.held.incident }
                    .encode_to_vec()
            }
            "PresentWithdrawal" => {
                let permission = self.asked_of_the_ncsc().await;
                self.give_permission("ncsc", &permission).await.unwrap();
                let withdrawn = self.withdraw_permission("ncsc", &permission).await.unwrap();
                let receipt = outcome_alone(Some(&withdrawn));
                v1::PresentWithdrawalRequest { request_id, receipt }.encode_to_vec()
            }
            "AskToName" => {
                let named = unused();
                let (known, _) = self.nameable("ncsc", vec![named.clone()]).await;
                v1::AskToNameRequest { request_id, ..self.naming_of(&known, vec![named]) }.encode_to_vec()
            }
            // A new RPC has its valid request to add here, or in one of the files beside this one.
            _ => return Box::pin(self.valid_proposal_request(rpc, request_id, variant)).await,
        })
    }
}
