//! A6: the duties to report have clocks. They are computed from what the organisation stated, and kept nowhere.

use concordat::proto::v1;
use tonic::{Code, Status};

use crate::builders::{assert_invalid, content, names};
use crate::harness::{World, on_both_databases, timestamp};

const HOUR: i64 = 3_600;

impl World {
    /// An incident of the NCSC's whose organisation stated that it became aware so many hours ago, or stated nothing.
    async fn aware(&self, hours_ago: Option<i64>) -> String {
        let organisation = self.register_organisation("ncsc", vec![]).await;
        let aware_at = hours_ago.and_then(|hours| self.in_seconds(-hours * HOUR));
        let timeline = Some(v1::Timeline { aware_at, ..v1::Timeline::default() });
        let request = v1::RegisterIncidentRequest {
            content: Some(v1::IncidentContent { timeline, ..content() }),
            ..self.incident_at(&organisation)
        };
        self.incidents("ncsc").register_incident(request).await.unwrap().into_inner().incident_id
    }

    async fn clocks(&self, agency: &str, incident: &str, facts: &[&str]) -> Result<Vec<v1::ReportingClock>, Status> {
        let request = v1::ListClocksRequest {
            incident_id: incident.into(),
            nation: "england".into(),
            sector: "electricity".into(),
            facts: names(facts),
        };
        Ok(self.signposts(agency, &["recorder"]).list_clocks(request).await?.into_inner().clocks)
    }
}

on_both_databases! {
    async fn row_a6_a_clock_runs_from_what_the_organisation_stated_and_ends_at_its_hour(world: World) {
        let incident = world.aware(Some(2)).await;
        let ends_at = world.now().plus_seconds(70 * HOUR);
        let (before, facts) = (world.size().await, ["personal-data", "essential-service"]);
        for (hours, left) in [(0, 70 * HOUR), (69, HOUR), (1, 0), (100, 0)] {
            world.hand.advance_micros(hours * HOUR * 1_000_000);
            let clocks = world.clocks("ncsc", &incident, &facts).await.unwrap();
            let regimes: Vec<(&str, i64, i64)> =
                clocks.iter().map(|clock| (clock.regime.as_str(), clock.hours, clock.seconds_left)).collect();
            assert_eq!(regimes, [("uk-gdpr-33", 72, left), ("nis-11", 72, left)]);
            for clock in &clocks {
                assert_eq!(clock.ends_at, Some(timestamp(ends_at)));
                assert_eq!(clock.ends_at_uk, concordat::domain::UkTime(ends_at).to_string());
                assert_eq!(clock.starts, "organisation-aware");
            }
            assert_eq!(clocks[0].addressee_ids, ["ico"]);
            assert_eq!(clocks[1].addressee_ids, ["energy-gb"]);
        }

        // A look moves nothing: if the clock is set back, more is left again, and it ends when it did. From an entry on
        // it is that entry's time, at least.
        let left = async || {
            let clock = world.clocks("ncsc", &incident, &facts).await.unwrap().remove(0);
            assert_eq!(clock.ends_at, Some(timestamp(ends_at)));
            clock.seconds_left
        };
        world.hand.advance_micros(-101 * HOUR * 1_000_000);
        assert_eq!(left().await, HOUR);
        world.hand.advance_micros(101 * HOUR * 1_000_000);

        // What was not stated runs nowhere, however long the agency has known; nor does what has not happened.
        for hours_ago in [None, Some(-1)] {
            let silent = world.aware(hours_ago).await;
            let clocks = world.clocks("ncsc", &silent, &facts).await.unwrap();
            assert_eq!(clocks.len(), 2);
            for clock in &clocks {
                let runs = clock.aware_at.is_some() || clock.ends_at.is_some() || !clock.ends_at_uk.is_empty();
                assert!(!runs && clock.seconds_left == 0, "{clock:?}");
            }
        }
        let after = world.size().await;
        world.hand.advance_micros(-101 * HOUR * 1_000_000);
        assert_eq!(left().await, 0, "two entries are later");
        world.hand.advance_micros(101 * HOUR * 1_000_000);

        // Another agency's incident is as one that is not there.
        let anothers = world.clocks("ico", &incident, &facts).await.unwrap_err();
        let nothing = world.clocks("ico", "inc_9", &facts).await.unwrap_err();
        assert_eq!(anothers.code(), Code::NotFound);
        assert_eq!((anothers.message(), anothers.details()), (nothing.message(), nothing.details()));

        // Without an incident it is the caller who says what the organisation stated.
        let stated = |hours: i64| v1::FindSignpostsRequest {
            facts: names(&["personal-data"]),
            aware_at: world.in_seconds(-hours * HOUR),
            ..<_>::default()
        };
        let mut officer = world.signposts("ico", &[]);
        let found = officer.find_signposts(stated(71)).await.unwrap().into_inner();
        assert_eq!(found.clocks[0].seconds_left, HOUR);
        assert_invalid(officer.find_signposts(stated(-1)).await, "aware_at");

        assert_eq!((after - before, world.size().await), (4, after), "the registrations, and nothing of the clocks");
        assert!(world.events("ncsc").await.is_empty(), "no alarm is kept");
    }
}
