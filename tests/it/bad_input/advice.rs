//! Valid requests for the RPCs of advice to organisations.

use concordat::proto::v1;
use prost::Message as _;

use crate::advice::NOTIFYING;
use crate::harness::World;

impl World {
    /// The agreement under which the NCSC reminds and categorises and the ICO recommends is in force, whatever came before.
    async fn with_advice(&self) {
        if self.known_agreement("ico-ncsc-2023").await.state != "in-force" {
            self.activate("ico-ncsc-2023").await;
        }
    }

    pub(super) async fn valid_advice(&self, rpc: &str, request_id: String, variant: usize) -> Option<Vec<u8>> {
        let page_size = 1;
        Some(match rpc {
            "ShowWording" => v1::ShowWordingRequest { as_of: self.in_seconds(0) }.encode_to_vec(),
            "RecordReminder" => {
                self.with_advice().await;
                let held = self.hold("ncsc", "ico").await;
                let cannot = self.no_reminder_of(&held, "nobody answers");
                let request = if variant == 0 { self.reminder_of(&held).await } else { cannot };
                v1::RecordReminderRequest { request_id, ..request }.encode_to_vec()
            }
            "ListReminders" => {
                self.with_advice().await;
                for _ in 0..2 {
                    drop(self.hold("ncsc", "ico").await);
                }
                let request = v1::ListRemindersRequest { page_size, page_token: String::new(), due_only: true };
                let first = self.advice("ncsc").list_reminders(request.clone()).await.unwrap().into_inner();
                v1::ListRemindersRequest { page_token: first.next_page_token, ..request }.encode_to_vec()
            }
            "RecordRecommendation" => {
                self.with_advice().await;
                let request = self.recommendation(&self.hold("ico", "ncsc").await, NOTIFYING);
                v1::RecordRecommendationRequest { request_id, ..request }.encode_to_vec()
            }
            "RecordOutcome" => {
                self.with_advice().await;
                let held = self.hold("ico", "ncsc").await;
                let recommendation_id = self.recommend(&held, self.recommendation(&held, NOTIFYING)).await.unwrap();
                let (outcome, outcome_at) = ("followed".into(), self.in_seconds(0));
                v1::RecordOutcomeRequest { request_id, recommendation_id, outcome, outcome_at }.encode_to_vec()
            }
            "ListRecommendations" => {
                self.with_advice().await;
                let held = self.hold("ico", "ncsc").await;
                for _ in 0..2 {
                    self.recommend(&held, self.recommendation(&held, NOTIFYING)).await.unwrap();
                }
                let (page_token, incident_id) = (String::new(), held.incident);
                let request = v1::ListRecommendationsRequest { page_size, page_token, incident_id };
                let first = self.advice("ico").list_recommendations(request.clone()).await.unwrap().into_inner();
                v1::ListRecommendationsRequest { page_token: first.next_page_token, ..request }.encode_to_vec()
            }
            "SetCategory" => {
                self.with_advice().await;
                let incident_id = self.hold("ncsc", "ico").await.incident;
                v1::SetCategoryRequest { request_id, incident_id, category: "C3".into() }.encode_to_vec()
            }
            "GetCategory" => {
                v1::GetCategoryRequest { incident_id: self.hold("ncsc", "ico").await.incident }.encode_to_vec()
            }
            _ => return None,
        })
    }
}
