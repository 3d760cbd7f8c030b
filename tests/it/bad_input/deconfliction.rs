//! Valid requests for the RPCs of deconfliction.

use concordat::proto::v1;
use prost::Message as _;

use crate::harness::World;

impl World {
    /// An engagement of the NCSC's that the ICO may see.
    async fn ncscs_engagement(&self) -> String {
        let permitted = self.permitted("ncsc").await;
        self.engaged(&permitted.held).await
    }

    fn full_terms(&self) -> v1::EngagementTerms {
        v1::EngagementTerms {
            unit: "desk".into(),
            contact: "+44 20 7946 0123".into(),
            lead: "ico".into(),
            pause_until: self.in_seconds(86_400),
        }
    }

    pub(super) async fn valid_deconfliction(&self, rpc: &str, request_id: String, variant: usize) -> Option<Vec<u8>> {
        if variant > 0 {
            return None;
        }
        Some(match rpc {
            "DeclareEngagement" => {
                let request = self.engagement_with(&self.hold("ncsc", "ico").await);
                v1::DeclareEngagementRequest { request_id, terms: Some(self.full_terms()), ..request }.encode_to_vec()
            }
            "AmendEngagement" => {
                let (engagement_id, terms) = (self.ncscs_engagement().await, Some(self.full_terms()));
                v1::AmendEngagementRequest { request_id, engagement_id, terms }.encode_to_vec()
            }
            "RecordAskOfVictim" => v1::RecordAskOfVictimRequest {
                request_id,
                engagement_id: self.ncscs_engagement().await,
                text: "log files of the mail server".into(),
                urgent: true,
                asked_at: self.in_seconds(-60),
            }
            .encode_to_vec(),
            "PutEngagement" => v1::PutEngagementRequest {
                request_id,
                engagement_id: self.ncscs_engagement().await,
                agency: "ico".into(),
                purpose: "harm-reduction".into(),
            }
            .encode_to_vec(),
            "EndEngagement" => {
                let engagement_id = self.ncscs_engagement().await;
                v1::EndEngagementRequest { request_id, engagement_id }.encode_to_vec()
            }
            "ListDeconfliction" => {
                for _ in 0..2 {
                    drop(self.engaged(&self.hold("ico", "ncsc").await).await);
                }
                let request = v1::ListDeconflictionRequest { page_size: 1, page_token: String::new() };
                let first = self.deconfliction("ico").list_deconfliction(request).await.unwrap().into_inner();
                let page_token = first.next_page_token;
                v1::ListDeconflictionRequest { page_size: 1, page_token }.encode_to_vec()
            }
            _ => return None,
        })
    }
}
