//! Valid requests for the RPCs of papers and mandates.

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
                let include =
                    vec![self.record_disclosure("ncsc", self.telephone_call(&held, "met-police")).await.unwrap()];
                let (from, until) = (self.in_seconds(-86_400), self.in_seconds(86_400));
                v1::StateToOrganisationRequest {
                    request_id,
                    organisation_id: held.organisation,
                    from,
                    until,
                    leave_out,
                    include,
                }
                .encode_to_vec()
            }
            "RecordMandate" => {
                let held = self.hold("ncsc", "ico").await;
                v1::RecordMandateRequest { request_id, ..self.mandate_of(&held) }.encode_to_vec()
            }
            "EndMandate" => {
                let mandate_id = self.mandated(&self.hold("ncsc", "ico").await).await;
                v1::EndMandateRequest { request_id, mandate_id }.encode_to_vec()
            }
            "ListMandates" => {
                let held = self.hold("ncsc", "ico").await;
                drop(self.mandated(&held).await);
                drop(self.mandated(&held).await);
                let (page_token, organisation_id) = (String::new(), held.organisation);
                let request = v1::ListMandatesRequest { page_size: 1, page_token, organisation_id };
                let first = self.mandates("ncsc").list_mandates(request.clone()).await.unwrap().into_inner();
                v1::ListMandatesRequest { page_token: first.next_page_token, ..request }.encode_to_vec()
            }
            _ => return None,
        })
    }
}
