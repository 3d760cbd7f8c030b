//! A reference is for one incident and one agency, and says nothing to anybody else.

use concordat::proto::v1;
use concordat::proto::v1::request_release_request::Target;

use crate::builders::{Held, assert_invalid, assert_open_with, assert_released};
use crate::harness::{on_both_databases, request_id};

on_both_databases! {
    async fn references_resolve_for_the_agency_that_they_were_issued_to(world: World) {
        // The ICO may disclose this one to both, and each has its own reference.
        let to_ncsc = world.hold("ico", "ncsc").await;
        let to_nca =
            world.hold_incident("ico", "nca", to_ncsc.organisation.clone(), to_ncsc.incident.clone()).await;
        world.authorise(&to_ncsc).await;
        world.authorise(&to_nca).await;
        assert_ne!(to_ncsc.reference, to_nca.reference);
        assert_released(&world.outcome(&to_ncsc).await, &["identity", "timeline"]);
        assert_released(&world.outcome(&to_nca).await, &["identity", "timeline"]);

        let lent = Held { reference: to_nca.reference.clone(), ..to_ncsc.clone() };
        assert_open_with("a reference of the NCA's in the hands of the NCSC", &world.outcome(&lent).await);
        let lent = Held { reference: to_ncsc.reference.clone(), ..to_nca };
        assert_open_with("a reference of the NCSC's in the hands of the NCA", &world.outcome(&lent).await);
        let guessed = Held { reference: to_ncsc.incident.clone(), ..to_ncsc };
        assert_open_with("the holder's own id", &world.outcome(&guessed).await);
    }

    async fn references_are_the_holders_that_issued_them(world: World) {
        let at_ncsc = world.permitted("ncsc").await.held;
        let at_nca = world.permitted("nca").await.held;
        let crossed = Held { reference: at_ncsc.reference.clone(), ..at_nca.clone() };
        assert_open_with("a reference that another holder issued", &world.outcome(&crossed).await);
        let crossed = Held { reference: at_nca.reference, ..at_ncsc };
        assert_open_with("a reference that another holder issued", &world.outcome(&crossed).await);
    }

    async fn references_are_as_good_as_each_other(world: World) {
        let first = world.permitted("ncsc").await.held;
        let second = world.hold_incident("ncsc", "ico", first.organisation.clone(), first.incident.clone()).await;
        assert_ne!(first.reference, second.reference);
        assert_released(&world.outcome(&first).await, &["identity", "timeline"]);
        assert_released(&world.outcome(&second).await, &["identity", "timeline"]);
    }

    async fn references_are_issued_to_other_known_agencies(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let before = world.size().await;
        for recipient in ["ncsc", "nobody", "", "The ICO"] {
            let request = v1::IssueReferenceRequest {
                request_id: request_id(),
                incident_id: held.incident.clone(),
                recipient: recipient.into(),
            };
            assert_invalid(world.incidents("ncsc").issue_reference(request).await, "recipient");
        }
        for reference in ["", "no reference", "reference\n", &"r".repeat(300)] {
            let ask = v1::RequestReleaseRequest {
                target: Some(Target::Reference(reference.into())),
                ..world.ask(&held)
            };
            assert_invalid(world.put(&held, ask).await, "reference");
        }
        assert_eq!(world.size().await, before, "nothing was written");
    }
}
