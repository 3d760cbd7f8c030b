//! Valid requests for the RPCs of signposting and of help on offer.

use concordat::proto::v1;
use prost::Message as _;

use crate::builders::{content, names};
use crate::harness::World;

impl World {
    pub(super) async fn valid_signpost_request(&self, rpc: &str, request_id: String) -> Option<Vec<u8>> {
        let (nation, sector, facts) = ("scotland".into(), "health".into(), names(&["personal-data"]));
        Some(match rpc {
            "FindSignposts" => v1::FindSignpostsRequest {
                nation,
                sector,
                facts,
                aware_at: self.in_seconds(-3_600),
                as_of: self.in_seconds(0),
            }
            .encode_to_vec(),
            "ListClocks" => {
                let organisation = self.register_organisation("ncsc", vec![]).await;
                let timeline = Some(v1::Timeline { aware_at: self.in_seconds(-3_600), ..v1::Timeline::default() });
                let request = v1::RegisterIncidentRequest {
                    content: Some(v1::IncidentContent { timeline, ..content() }),
                    ..self.incident_at(&organisation)
                };
                let registered = self.incidents("ncsc").register_incident(request).await.unwrap().into_inner();
                v1::ListClocksRequest { incident_id: registered.incident_id, nation, sector, facts }.encode_to_vec()
            }
            "ListHelp" => v1::ListHelpRequest { agency: "nca".into(), as_of: self.in_seconds(0) }.encode_to_vec(),
            "RecordHelpOffer" => v1::RecordHelpOfferRequest {
                request_id,
                organisation_id: self.register_organisation("ncsc", vec![]).await,
                help_id: "ncsc-early-warning".into(),
                state: "offered".into(),
            }
            .encode_to_vec(),
            "ListHelpOffers" => {
                let organisation_id = self.register_organisation("ncsc", vec![]).await;
                for help in ["ncsc-early-warning", "ncsc-incident-advice"] {
                    self.record_help("ncsc", &organisation_id, help, "offered").await.unwrap();
                }
                let mut officer = self.help_offers("ncsc");
                let request = v1::ListHelpOffersRequest { page_size: 1, organisation_id, ..<_>::default() };
                let first = officer.list_help_offers(request.clone()).await.unwrap().into_inner();
                v1::ListHelpOffersRequest { page_token: first.next_page_token, ..request }.encode_to_vec()
            }
            // A new RPC has its valid request to add here, or in one of the files beside this one.
            _ => return Box::pin(self.valid_paper_request(rpc, request_id)).await,
        })
    }
}
