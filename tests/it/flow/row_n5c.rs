//! N5c: the agencies prioritise remediation. Each sees of the others' engagements what was put to it and may be seen now,
//! and nothing else shows that there are any.

use concordat::proto::v1;
use tonic::Code;

use crate::builders::{Held, assert_error, identifier};
use crate::deconfliction::plain_terms;
use crate::harness::{World, on_both_databases, request_id};

impl World {
    /// How many entries of the ledger the agency is a party to.
    async fn own_entries(&self, agency: &str) -> usize {
        let request = v1::ListEntriesRequest { page_size: 200, page_token: String::new() };
        self.ledger(agency).list_entries(request).await.unwrap().into_inner().receipts.len()
    }

    /// All that an agency could tell an engagement by.
    async fn glimpse(&self, agency: &str) -> (v1::ListDeconflictionResponse, Vec<v1::Event>, usize) {
        (self.meeting_list(agency).await, self.events_of(agency, "engagement").await, self.own_entries(agency).await)
    }

    /// An engagement of the NCSC's and one of the ICO's at one organisation, each of which may be put to the other.
    async fn both_engaged(&self) -> ((Held, String), (Held, String)) {
        let ncscs = self.permit(self.hold_at("ncsc", "ico", vec![identifier(1)]).await).await.held;
        let icos = self.hold_at("ico", "ncsc", vec![identifier(1)]).await;
        self.authorise(&icos).await;
        let (theirs, ours) = (self.engaged(&ncscs).await, self.engaged(&icos).await);
        ((ncscs, theirs), (icos, ours))
    }
}

fn terms(lead: &str) -> v1::EngagementTerms {
    v1::EngagementTerms { lead: lead.into(), ..plain_terms() }
}

on_both_databases! {
    async fn row_n5c_an_engagement_is_seen_once_it_was_put_and_only_while_it_may_be(world: World) {
        let held = world.hold_at("ncsc", "ico", vec![identifier(1)]).await;
        let nothing = world.glimpse("ico").await;
        assert_eq!((nothing.0.organisations.len(), nothing.1.len()), (0, 0));
        let engagement = world.engaged(&held).await;
        world.ask_victim("ncsc", &engagement, "log files of the mail server").await;
        assert_eq!(world.glimpse("ico").await, nothing, "not put");

        // Neither consented to nor authorised; then consented to alone; then both, but not for who it is.
        let denied = world.put_engagement(&held, &engagement).await.unwrap();
        assert_eq!(denied.answer, "not-given");
        assert!(denied.explanation.contains("ico-ncsc-2023/existence-consent-first"), "{}", denied.explanation);
        assert!(denied.explanation.contains("limit/authorisation-or-duty"), "{}", denied.explanation);
        let own = world.verified(denied.receipt.as_ref());
        assert_eq!((own.existence.unwrap().answer, own.act.unwrap().object), ("not-given".into(), engagement.clone()));
        let consent = world.give_consent(&held, world.scope(&held)).await;
        assert_eq!(world.put_engagement(&held, &engagement).await.unwrap().answer, "not-given");
        let timeline = v1::GiveAuthorisationRequest { categories: vec!["timeline".into()], ..world.authorisation(&held) };
        world.authorise_as(&held, timeline).await;
        assert_eq!(world.put_engagement(&held, &engagement).await.unwrap().answer, "not-given");
        assert_eq!(world.glimpse("ico").await, nothing, "denied: the holder's own eyes");

        let authorisation = world.authorise(&held).await;
        assert_eq!(world.glimpse("ico").await, nothing, "it may be put, and is not");
        world.let_see(&held, &engagement).await;
        let (list, events, entries) = world.glimpse("ico").await;
        let seen = World::only_engaged(list);
        assert_eq!((seen.organisation.as_str(), seen.agencies.as_slice()), ("Example Water plc", &["ncsc".to_owned()][..]));
        assert_eq!((seen.lead_state.as_str(), seen.asks, seen.engagements.len()), ("open", 1, 1));
        let one = &seen.engagements[0];
        assert_eq!((one.id.as_str(), one.agency.as_str(), one.incident_id.as_str()), (engagement.as_str(), "ncsc", ""));
        assert_eq!((one.identifiers.as_slice(), one.put_to.len()), (&[identifier(1)][..], 0));
        assert_eq!(one.asks[0].text, "log files of the mail server");
        assert_eq!((events.len(), events[0].engagement_id.as_str()), (1, engagement.as_str()));
        assert_eq!((events[0].agency.as_str(), events[0].incident_id.as_str()), ("ncsc", ""));
        assert_eq!(entries, nothing.2 + 1);
        let index = world.size().await - 1;
        let receipt = world.ledger("ico").get_entry(v1::GetEntryRequest { index }).await.unwrap().into_inner().receipt;
        let told = world.verified(receipt.as_ref());
        assert!(told.act.is_none() && told.grounds.is_none(), "who put it, and why it may be seen, is the holder's");
        let said = told.existence.unwrap();
        assert_eq!((said.answer.as_str(), said.shown.as_str()), ("given", engagement.as_str()));
        assert_eq!(said.clauses, ["ico-ncsc-2023/existence-to-ico"]);
        assert_eq!(world.meeting_list("nca").await, v1::ListDeconflictionResponse::default());

        let gone = (nothing.0.clone(), nothing.1.clone(), entries);
        let seen_by_ico = async || {
            let own = World::only_engaged(world.meeting_list("ncsc").await).engagements.remove(0);
            (own.put_to[0].agency.clone(), own.put_to[0].seen)
        };
        assert_eq!(seen_by_ico().await, ("ico".into(), true));
        world.withdraw_consent(&held, &consent).await.unwrap();
        assert_eq!(world.glimpse("ico").await, gone, "withdrawn");
        assert_eq!(seen_by_ico().await, ("ico".into(), false));
        world.give_consent(&held, world.scope(&held)).await;
        assert_eq!(world.glimpse("ico").await.0.organisations, std::slice::from_ref(&seen));
        world.revoke(&held, &authorisation).await.unwrap();
        assert_eq!(world.glimpse("ico").await, gone, "not authorised any more");
        world.authorise(&held).await;
        world.end_agreement("ico-ncsc-2023").await.unwrap();
        assert_eq!(world.glimpse("ico").await.0, nothing.0, "no agreement");
        world.activate("ico-ncsc-2023").await;
        assert_eq!(world.glimpse("ico").await.0.organisations, [seen]);
        world.end_engagement("ncsc", &engagement).await.unwrap();
        let (list, events, _) = world.glimpse("ico").await;
        assert_eq!((list, events), (nothing.0, nothing.1), "ended");
        assert_error(world.put_engagement(&held, &engagement).await, Code::FailedPrecondition, "WRONG_STATE");
        assert_error(world.end_engagement("ncsc", &engagement).await, Code::FailedPrecondition, "WRONG_STATE");
        let again = world.engaged(&held).await;
        world.let_see(&held, &again).await;
        world.erase(&held).await;
        assert_eq!(world.glimpse("ico").await.0, v1::ListDeconflictionResponse::default(), "erased");
        assert_eq!(world.events_of("ico", "engagement").await, []);
    }

    async fn row_n5c_agencies_that_put_to_each_other_share_lead_asks_and_pause(world: World) {
        let ((ncscs, theirs), (icos, ours)) = world.both_engaged().await;
        let second = world.deconfliction("ncsc").declare_engagement(world.engagement_with(&ncscs)).await;
        assert_error(second, Code::FailedPrecondition, "WRONG_STATE");
        let alone = world.meeting_list("ncsc").await;
        world.let_see(&ncscs, &theirs).await;

        // The ICO knows of both; that it is engaged as well shows to the NCSC by nothing.
        let icos_list = World::only_engaged(world.meeting_list("ico").await);
        assert_eq!(icos_list.agencies, ["ico", "ncsc"]);
        let ncscs_list = World::only_engaged(world.meeting_list("ncsc").await);
        assert_eq!((ncscs_list.agencies.as_slice(), ncscs_list.engagements.len()), (&["ncsc".to_owned()][..], 1));
        assert_eq!(ncscs_list.engagements[0].asks, World::only_engaged(alone).engagements[0].asks);
        world.amend_engagement("ico", &ours, terms("ico")).await;
        world.ask_victim("ico", &ours, "when it became aware").await;
        let unchanged = World::only_engaged(world.meeting_list("ncsc").await);
        assert_eq!(unchanged, ncscs_list, "what the ICO does is not the NCSC's to see");
        assert_eq!(world.events_of("ncsc", "engagement").await, []);

        world.let_see(&icos, &ours).await;
        let lead = async |agency: &str| {
            let list = World::only_engaged(world.meeting_list(agency).await);
            (list.lead, list.lead_state, list.agencies.len(), list.asks)
        };
        for agency in ["ico", "ncsc"] {
            assert_eq!(lead(agency).await, ("ico".into(), "proposed".into(), 2, 1), "{agency}");
        }
        world.amend_engagement("ncsc", &theirs, terms("ncsc")).await;
        assert_eq!(lead("ico").await, (String::new(), "disputed".into(), 2, 1));
        let pausing = v1::EngagementTerms { pause_until: world.in_seconds(3_600), ..terms("ico") };
        world.amend_engagement("ncsc", &theirs, pausing.clone()).await;
        for agency in ["ico", "ncsc"] {
            assert_eq!(lead(agency).await, ("ico".into(), "agreed".into(), 2, 1), "{agency}");
            assert_eq!(World::only_engaged(world.meeting_list(agency).await).pause_until, pausing.pause_until);
        }
        let asked = World::only_engaged(world.meeting_list("ncsc").await);
        assert_eq!(asked.engagements[1].asks[0].text, "when it became aware");
        // To name a third agency would tell that it is engaged.
        world.amend_engagement("ncsc", &theirs, terms("nca")).await;
        assert_eq!(World::only_engaged(world.meeting_list("ico").await).engagements[1].terms, Some(terms("")));
        world.amend_engagement("ncsc", &theirs, pausing).await;
        let size = world.size().await;
        world.later(3_600);
        let later = World::only_engaged(world.meeting_list("ico").await);
        assert_eq!((later.pause_until, world.size().await), (None, size), "computed from the time, with no entry");
        let states = |one: &v1::Engagement| one.terms.as_ref().and_then(|terms| terms.pause_until);
        assert!(later.engagements.iter().all(|one| states(one).is_none()));

        world.end_engagement("ico", &ours).await.unwrap();
        let left = World::only_engaged(world.meeting_list("ncsc").await);
        assert_eq!((left.agencies.len(), left.lead_state.as_str(), left.asks), (1, "proposed", 0));
    }

    async fn row_n5c_what_is_marked_or_amended_is_hidden_and_what_no_agreement_speaks_of_is_not_put(world: World) {
        let ((ncscs, theirs), (icos, ours)) = world.both_engaged().await;
        world.let_see(&ncscs, &theirs).await;
        world.let_see(&icos, &ours).await;
        let covering = v1::GiveAuthorisationRequest { covers_updates: true, ..world.authorisation(&icos) };
        world.authorise_as(&icos, covering).await;
        let agencies = async |agency: &str| World::only_engaged(world.meeting_list(agency).await).agencies;
        // The NCSC's authorisation was of the first revision; the ICO's covers the second, until that is TLP RED.
        world.amend(&ncscs).await;
        world.amend(&icos).await;
        assert_eq!((agencies("ico").await, agencies("ncsc").await.len()), (vec!["ico".to_owned()], 2));
        let red = v1::Markings { tlp: "red".into(), ..v1::Markings::default() };
        world.amend_with(&icos, crate::builders::content(), red).await;
        assert_eq!(agencies("ncsc").await, ["ncsc"]);

        let nothing = world.glimpse("nca").await;
        let request = v1::PutEngagementRequest {
            request_id: request_id(),
            engagement_id: theirs.clone(),
            agency: "nca".into(),
            purpose: "serious-organised-crime".into(),
        };
        let put = world.deconfliction("ncsc").put_engagement(request).await.unwrap().into_inner();
        assert_eq!(put.answer, "not-covered", "{}", put.explanation);
        assert!(put.explanation.contains("confirm existence"), "{}", put.explanation);
        assert_eq!(world.glimpse("nca").await, nothing);
    }
}
