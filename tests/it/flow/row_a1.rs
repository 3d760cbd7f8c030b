//! A1: victims are signposted to the relevant bodies, and nothing about them goes anywhere.

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::signpost_service_client::SignpostServiceClient;
use tonic::{Code, Status};

use crate::builders::{assert_error, assert_invalid, names};
use crate::harness::{World, on_both_databases};

impl World {
    pub(super) fn signposts(&self, agency: &str, roles: &[&str]) -> SignpostServiceClient<OfficerChannel> {
        SignpostServiceClient::new(self.officer(agency, "sign", roles))
    }

    async fn find_signposts(&self, request: v1::FindSignpostsRequest) -> Result<v1::FindSignpostsResponse, Status> {
        Ok(self.signposts("nca", &[]).find_signposts(request).await?.into_inner())
    }
}

fn victim(nation: &str, sector: &str, facts: &[&str]) -> v1::FindSignpostsRequest {
    v1::FindSignpostsRequest { nation: nation.into(), sector: sector.into(), facts: names(facts), ..<_>::default() }
}

on_both_databases! {
    async fn row_a1_a_victim_is_told_whom_to_turn_to_and_nothing_is_kept_of_it(world: World) {
        let before = world.size().await;
        let attacked = victim("scotland", "drinking-water", &[
            "crime-in-progress", "organised-crime", "national-impact", "personal-data", "essential-service",
        ]);
        let found = world.find_signposts(attacked.clone()).await.unwrap();
        let order: Vec<&str> = found.signposts.iter().map(|one| one.contact_id.as_str()).collect();
        assert_eq!(order, ["police-scotland", "ncsc", "nca", "ico", "dwqr", "gov-uk"]);
        for one in &found.signposts {
            let stated = !one.name.is_empty() && !one.why.is_empty() && !one.means.is_empty() && !one.source.is_empty();
            assert!(stated && one.valid_from.is_some(), "{one:?}");
            let text = format!("{one:?}").to_lowercase();
            assert!(!text.contains("notifiable") && !text.contains("overdue"), "advice, never a verdict: {one:?}");
        }

        // The same question of the day before a name changed.
        let crime = v1::FindSignpostsRequest {
            as_of: Some(prost_types::Timestamp { seconds: 1_764_806_399, nanos: 0 }),
            ..victim("england", "", &["crime"])
        };
        assert_eq!(world.find_signposts(crime).await.unwrap().signposts[0].name, "Action Fraud");
        let now = world.find_signposts(victim("england", "", &["crime"])).await.unwrap();
        let first = &now.signposts[0];
        assert_eq!((first.name.as_str(), first.contact_id.as_str()), ("Report Fraud", "report-fraud"));

        // Whichever agency's officer asks gets the same, and a fact is no place for a name.
        let mut ico = world.signposts("ico", &["operator"]);
        assert_eq!(ico.find_signposts(attacked).await.unwrap().into_inner(), found);
        assert_invalid(world.find_signposts(victim("atlantis", "", &[])).await, "nation");
        assert_invalid(world.find_signposts(victim("", "Example Water plc", &[])).await, "sector");
        assert_invalid(world.find_signposts(victim("", "", &["crime", "Example Water plc"])).await, "facts[1]");

        assert_eq!(world.size().await, before, "signposting writes nothing");
        for agency in ["ico", "ncsc", "nca"] {
            assert!(world.events(agency).await.is_empty(), "{agency} heard of it");
        }

        // What is stated is of a victim: at another agency's node it is not even looked at.
        world.config.agency.iter_mut().find(|agency| agency.id.as_str() == "nca").unwrap().holds = None;
        world = world.restart().await;
        for stated in [victim("scotland", "", &["crime"]), victim("atlantis", "", &[])] {
            assert_error(world.find_signposts(stated).await, Code::PermissionDenied, "NOT_THIS_NODE");
        }
    }
}
