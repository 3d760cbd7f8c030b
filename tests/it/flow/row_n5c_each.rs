//! N5c: each engagement is shown by what holds for its own incident, to the officer who reads, now.

use concordat::proto::v1;
use tonic::Code;

use crate::builders::assert_error;
use crate::deconfliction::plain_terms;
use crate::harness::{World, on_both_databases, request_id};

impl World {
    /// The engagements that the agency sees in the list, and those that it is told of, by id.
    async fn engagements_seen(&self, agency: &str) -> (Vec<String>, Vec<String>) {
        let list = self.meeting_list(agency).await.organisations;
        let mut listed: Vec<String> = list.into_iter().flat_map(|one| one.engagements).map(|one| one.id).collect();
        let told = self.events_of(agency, "engagement").await;
        let mut told: Vec<String> = told.into_iter().map(|event| event.engagement_id).collect();
        listed.sort();
        told.sort();
        (listed, told)
    }
}

on_both_databases! {
    async fn row_n5c_an_engagement_is_not_shown_by_the_permit_of_another(world: World) {
        let withdrawn = world.permit(world.hold("ncsc", "ico").await).await;
        let permitted = world.permit(world.hold("ncsc", "ico").await).await;
        let (gone, shown) = (world.engaged(&withdrawn.held).await, world.engaged(&permitted.held).await);
        world.let_see(&withdrawn.held, &gone).await;
        world.let_see(&permitted.held, &shown).await;
        let mut both = vec![gone.clone(), shown.clone()];
        both.sort();
        assert_eq!(world.engagements_seen("ico").await, (both.clone(), both));
        world.withdraw_consent(&withdrawn.held, &withdrawn.consent).await.unwrap();
        let seen = (vec![shown.clone()], vec![shown.clone()]);
        assert_eq!(world.engagements_seen("ico").await, seen);
        assert_eq!(world.put_engagement(&withdrawn.held, &gone).await.unwrap().answer, "not-given");
        let own = world.meeting_list("ncsc").await.organisations;
        let seen_by_ico = |own: &[v1::EngagedOrganisation], id: &str| {
            let mut engagements = own.iter().flat_map(|one| &one.engagements);
            engagements.find(|one| one.id == id).unwrap().put_to[0].seen
        };
        assert_eq!((seen_by_ico(&own, &gone), seen_by_ico(&own, &shown)), (false, true));

        // Put for another purpose: in place of what was put, and of what was told.
        let before = world.events_of("ico", "engagement").await.remove(0);
        let request = v1::PutEngagementRequest {
            request_id: request_id(),
            engagement_id: shown.clone(),
            agency: "ico".into(),
            purpose: "regulatory-assessment".into(),
        };
        let again = world.deconfliction("ncsc").put_engagement(request.clone()).await.unwrap().into_inner();
        assert_eq!(again.answer, "given", "{}", again.explanation);
        assert_eq!(world.engagements_seen("ico").await, seen);
        let after = world.events_of("ico", "engagement").await.remove(0);
        assert_ne!(after.id, before.id);
        assert!(!after.id.contains(&request.request_id), "the holder's key is the holder's: {}", after.id);
        let narrow = world.officer_for("ncsc", "narrow", &["authoriser"], &["harm-reduction"]);
        let mut narrow = v1::deconfliction_service_client::DeconflictionServiceClient::new(narrow);
        let put = narrow.put_engagement(v1::PutEngagementRequest { request_id: request_id(), ..request }).await;
        assert_error(put, Code::PermissionDenied, "PURPOSE_NOT_IN_TOKEN");

        // What was put is the organisation as its record was then.
        let organisation = &permitted.held.organisation;
        let amendment =
            v1::AmendOrganisationRequest { name: "Bluewell".into(), ..world.amendment_of("ncsc", organisation).await };
        world.amend_organisation("ncsc", amendment).await.unwrap();
        assert_eq!(world.engagements_seen("ico").await, (vec![], vec![]));
        assert!(!seen_by_ico(&world.meeting_list("ncsc").await.organisations, &shown));
        world.let_see(&permitted.held, &shown).await;
        assert_eq!(world.engagements_seen("ico").await, seen);

        // Each officer is judged: "dec" reads the list, "desk" the events.
        let pseudonym = async |officer: &str| {
            let suspended = world.suspend_officer("ico", "ico", officer).await.unwrap();
            world.resume_officer("ico", "ico", officer).await.unwrap();
            suspended.pseudonym
        };
        let (dec, desk) = (pseudonym("dec").await, pseudonym("desk").await);
        world.suspend_officer("ncsc", "ico", &dec).await.unwrap();
        assert_eq!(world.engagements_seen("ico").await, (vec![], vec![shown.clone()]));
        world.suspend_officer("ncsc", "ico", &desk).await.unwrap();
        assert_eq!(world.engagements_seen("ico").await, (vec![], vec![]));
        world.resume_officer("ncsc", "ico", &dec).await.unwrap();
        world.resume_officer("ncsc", "ico", &desk).await.unwrap();
        assert_eq!(world.engagements_seen("ico").await, seen);

        world.later(-3);
        assert_eq!(world.engagements_seen("ico").await, (vec![], vec![]), "nothing is released by a wrong clock");
        let terms = v1::AmendEngagementRequest {
            request_id: request_id(),
            engagement_id: shown.clone(),
            terms: Some(plain_terms()),
        };
        assert_error(world.deconfliction("ncsc").amend_engagement(terms).await, Code::Unavailable, "CLOCK");
        world.later(3);
        assert_eq!(world.engagements_seen("ico").await, seen);
    }

    async fn row_n5c_however_many_are_put_each_is_shown(world: World) {
        let mut revoked = String::new();
        for _ in 0..17 {
            let held = world.hold("ico", "ncsc").await;
            let authorisation = world.authorise(&held).await;
            let engagement = world.engaged(&held).await;
            world.let_see(&held, &engagement).await;
            if revoked.is_empty() {
                world.revoke(&held, &authorisation).await.unwrap();
                revoked = engagement;
            }
        }
        let (listed, told) = world.engagements_seen("ncsc").await;
        assert_eq!((listed.len(), told.len()), (16, 16));
        assert!(!listed.contains(&revoked) && !told.contains(&revoked));
    }
}
