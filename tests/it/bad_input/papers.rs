//! Valid requests for the RPCs of papers.

use concordat::proto::v1;
use prost::Message as _;

use crate::harness::World;

impl World {
    pub(super) async fn valid_paper_request(&self, rpc: &str, request_id: String) -> Option<Vec<u8>> {
        Some(match rpc {
            "MakeConsentForm" => {
                let held = self.hold("ncsc", "ico").await;
                let (organisation_id, scope) = (held.organisation.clone(), Some(self.full_scope(&held)));
                v1::MakeConsentFormRequest { request_id, organisation_id, scope }.encode_to_vec()
            }
            "AcknowledgeConsent" => {
                let consent_id = self.permitted("ncsc").await.consent;
                v1::AcknowledgeConsentRequest { request_id, consent_id }.encode_to_vec()
            }
            "StateToOrganisation" => {
                let held = self.released_to_ico().await.0.held;
                let leave_out = self.disclosures(&held).await.into_iter().map(|made| made.id).collect();
                let (from, until) = (self.in_seconds(-86_400), self.in_seconds(86_400));
                v1::StateToOrganisationRequest {
                    request_id,
                    organisation_id: held.organisation,
                    from,
                    until,
                    leave_out,
                }
                .encode_to_vec()
            }
            _ => return None,
        })
    }
}
