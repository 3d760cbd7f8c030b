//! `validate_only`: what an ask would rest on and who would see it, without asking, and without naming anybody.

use concordat::proto::v1;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use tonic::Code;

use crate::builders::{assert_error, assert_invalid, assert_not_covered, identifier, names};
use crate::harness::{World, on_both_databases, request_id};

fn look(holder: &str, purpose: &str) -> v1::RequestReleaseRequest {
    v1::RequestReleaseRequest {
        request_id: request_id(),
        holder: holder.into(),
        purpose: purpose.into(),
        categories: names(&["identity", "narrative"]),
        validate_only: true,
        ..v1::RequestReleaseRequest::default()
    }
}

/// Naming with a ground and nobody named.
fn naming(ground: &str) -> Target {
    Target::Organisation(v1::NamedOrganisation { ground: ground.into(), ..v1::NamedOrganisation::default() })
}

impl World {
    async fn look(&self, agency: &str, request: v1::RequestReleaseRequest) -> Outcome {
        let response = self.requester(agency).request_release(request).await.unwrap().into_inner();
        assert_eq!((response.request.as_str(), response.receipt), ("", None));
        response.outcome.unwrap()
    }
}

on_both_databases! {
    async fn looking_says_which_clauses_and_whose_eyes_and_leaves_nothing(world: World) {
        let size = world.size().await;
        let ask = v1::RequestReleaseRequest { target: Some(naming("dpa-2018-s132-2-f")), ..look("ncsc", "harm-reduction") };
        let Outcome::Covered(covered) = world.look("ico", ask).await else { panic!("it is covered") };
        let clauses: Vec<(&str, bool, bool)> =
            covered.clauses.iter().map(|one| (one.clause_id.as_str(), one.consent_required, one.naming)).collect();
        let expected = [("ico-ncsc-2023/incident-to-ico", true, false), ("ico-ncsc-2023/name-to-ncsc", false, true)];
        assert_eq!(clauses, expected);
        assert_eq!(covered.clauses[0].form, "organisation-specific");
        assert_eq!(covered.clauses[0].categories, ["identity", "narrative"]);
        assert!(covered.clauses[0].purposes.contains(&"harm-reduction".to_owned()));
        let eyes: Vec<&str> = covered.sights.iter().map(|sight| sight.agency.as_str()).collect();
        assert_eq!(eyes, ["ico", "ncsc", "ncsc"]);
        assert!(covered.sights[2].sees.contains("once one of their records matches"));
        assert_eq!(world.size().await, size, "no entry");
        let listed = world.requester("ico").list_requests(v1::ListRequestsRequest::default()).await.unwrap();
        assert_eq!(listed.into_inner().requests, [], "no request");
        assert_eq!(world.events("ncsc").await, []);
    }

    async fn naming_anybody_while_looking_is_turned_away(world: World) {
        let named = v1::NamedOrganisation {
            identifiers: vec![identifier(1)],
            ground: "dpa-2018-s132-2-f".into(),
            ..v1::NamedOrganisation::default()
        };
        let period = v1::NamedOrganisation { identifiers: vec![], from: world.in_seconds(-60), ..named.clone() };
        let reference = Target::Reference("ref_0123456789".into());
        for (field, ask) in [
            ("organisation.identifiers", Some(Target::Organisation(named))),
            ("organisation.from", Some(Target::Organisation(period))),
            ("reference", Some(reference)),
        ] {
            let ask = v1::RequestReleaseRequest { target: ask, ..look("ncsc", "harm-reduction") };
            assert_invalid(world.requester("ico").request_release(ask).await, field);
        }
        let ask = v1::RequestReleaseRequest { external_ref: "Example Water".into(), ..look("ncsc", "harm-reduction") };
        assert_invalid(world.requester("ico").request_release(ask).await, "external_ref");
        let ask = v1::RequestReleaseRequest { naming_receipt: vec![1], ..look("ncsc", "harm-reduction") };
        assert_invalid(world.requester("ico").request_release(ask).await, "naming_receipt");
    }

    async fn looking_explains_what_is_not_covered_as_asking_would(world: World) {
        assert_not_covered(&world.look("ico", look("ncsc", "serious-organised-crime")).await, "PURPOSE_NOT_COVERED");
        assert_not_covered(&world.look("ncsc", look("nca", "harm-reduction")).await, "NO_AGREEMENT");
        let ask = v1::RequestReleaseRequest { target: Some(naming("dpa-2018-s132-2-f")), ..look("ico", "harm-reduction") };
        assert_not_covered(&world.look("ncsc", ask).await, "NAMING_GROUND_NOT_COVERED");
        let ask = v1::RequestReleaseRequest { target: Some(naming("isa-1994-s4-2-a")), ..look("ico", "harm-reduction") };
        assert_not_covered(&world.look("ncsc", ask).await, "NAMING_RECEIPT_REQUIRED");
        let ask = v1::RequestReleaseRequest { target: Some(naming("cca-2013-s7-4")), ..look("ncsc", "harm-reduction") };
        assert_not_covered(&world.look("ico", ask).await, "NAMING_GROUND_NOT_COVERED");
        let narrow = world.officer_for("ico", "req", &["requester"], &["regulatory-assessment"]);
        let mut narrow = v1::release_service_client::ReleaseServiceClient::new(narrow);
        let ask = look("ncsc", "harm-reduction");
        assert_error(narrow.request_release(ask).await, Code::PermissionDenied, "PURPOSE_NOT_IN_TOKEN");
    }
}
