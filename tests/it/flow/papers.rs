//! An organisation is told what it permits, what was recorded and what was shared about it; nobody else is told anything.

use aws_lc_rs::digest::{SHA256, digest};
use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::paper_service_client::PaperServiceClient;
use tonic::{Code, Status};

use crate::builders::{Held, assert_error, assert_invalid, assert_open, assert_released, identifier, names};
use crate::harness::{World, on_both_databases, request_id};

const HOSTILE: &str = "<script>alert('1')</script> & Sons";

fn sha256(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

/// What a page says before the receipts, which have the size that the ledger has by then.
fn text_of(paper: &v1::Paper) -> String {
    paper.page.split("<h3>").flat_map(|part| part.split("<footer>")).next().unwrap_or_default().to_owned()
}

impl World {
    fn papers(&self, agency: &str) -> PaperServiceClient<OfficerChannel> {
        PaperServiceClient::new(self.officer(agency, "clerk-58213", &["recorder", "authoriser"]))
    }

    pub(crate) async fn state(
        &self,
        held: &Held,
        leave_out: &[String],
        include: &[String],
    ) -> Result<v1::StateToOrganisationResponse, Status> {
        let request = v1::StateToOrganisationRequest {
            request_id: request_id(),
            organisation_id: held.organisation.clone(),
            leave_out: leave_out.to_vec(),
            include: include.to_vec(),
            ..Default::default()
        };
        Ok(self.papers(&held.holder).state_to_organisation(request).await?.into_inner())
    }

    async fn statement(&self, held: &Held) -> v1::Paper {
        self.state(held, &[], &[]).await.unwrap().paper.unwrap()
    }

    async fn acknowledged(&self, held: &Held, consent: &str) -> Result<v1::AcknowledgeConsentResponse, Status> {
        let request = v1::AcknowledgeConsentRequest { request_id: request_id(), consent_id: consent.into() };
        Ok(self.papers(&held.holder).acknowledge_consent(request).await?.into_inner())
    }

    /// An incident at an organisation with this name and identifier, in a campaign, for the ICO.
    async fn hold_named(&self, name: &str, number: u32) -> Held {
        let request = v1::RegisterOrganisationRequest {
            request_id: request_id(),
            name: name.into(),
            identifiers: vec![identifier(number)],
            ..v1::RegisterOrganisationRequest::default()
        };
        let registered = self.organisations("ncsc").register_organisation(request).await.unwrap().into_inner();
        let organisation = registered.organisation_id;
        let request = v1::RegisterIncidentRequest { campaign: "spring".into(), ..self.incident_at(&organisation) };
        let incident = self.incidents("ncsc").register_incident(request).await.unwrap().into_inner().incident_id;
        self.hold_incident("ncsc", "ico", organisation, incident).await
    }

    /// All that the ICO can learn of: its entries, its events, its notices.
    async fn seen_by_ico(&self) -> (Vec<Vec<u8>>, Vec<v1::Event>, Vec<v1::Notice>) {
        let request = v1::ListEntriesRequest { page_size: 200, page_token: String::new() };
        let receipts = self.ledger("ico").list_entries(request).await.unwrap().into_inner().receipts;
        (receipts.into_iter().map(|one| one.entry).collect(), self.events("ico").await, self.notices("ico").await)
    }
}

on_both_databases! {
    async fn a_statement_says_what_was_shared_and_lets_nobody_else_know(world: World) {
        let victim = world.permit(world.hold_named(HOSTILE, 1).await).await;
        let (held, other) = (&victim.held, world.permit(world.hold_named("Other Water plc", 2).await).await);
        assert!(world.statement(held).await.page.contains("There is none that we can state."));
        let index = world.release_to_recipient(held).await;
        let narrative = v1::RequestReleaseRequest { categories: names(&["narrative"]), ..world.ask(held) };
        let open = world.put(held, narrative).await.unwrap();
        assert_open(open.outcome.as_ref().unwrap());
        // What the law allows without consent can warn an offender: it is there only if an authoriser names it.
        let before = text_of(&world.statement(held).await);
        let call = world.record_disclosure("ncsc", world.telephone_call(held, "met-police")).await.unwrap();
        assert_eq!(text_of(&world.statement(held).await), before, "the page says that something is left out");
        let recorder = PaperServiceClient::new(world.officer("ncsc", "rec", &["recorder"]));
        let request = v1::StateToOrganisationRequest {
            request_id: request_id(),
            organisation_id: held.organisation.clone(),
            ..Default::default()
        };
        let turned_away = recorder.clone().state_to_organisation(request).await.unwrap_err();
        assert_eq!(turned_away.code(), Code::PermissionDenied);

        let before = world.seen_by_ico().await;
        let request = v1::StateToOrganisationRequest {
            request_id: request_id(),
            organisation_id: held.organisation.clone(),
            include: vec![call.clone()],
            ..Default::default()
        };
        let made = world.papers("ncsc").state_to_organisation(request.clone()).await.unwrap().into_inner();
        assert!(world.seen_by_ico().await == before, "another agency learns of a statement");
        let (paper, receipt) = (made.paper.unwrap(), made.receipt.unwrap());
        assert_error(world.entry("ico", receipt.index).await, Code::NotFound, "NOT_FOUND");
        let proved = world.verified(Some(&receipt)).paper.unwrap();
        assert_eq!((proved.paper.as_str(), &proved.digest), ("statement", &paper.digest));
        assert_eq!(proved.included, [call]);
        assert_eq!(paper.digest, sha256(&paper.page), "the entry has the digest of the very page");

        for said in [
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; Sons",
            "ico-ncsc-2023/incident-to-ico",
            "when what happened (timeline)",
            "By telephone, on the ground isa-1994-s4-2-a",
            "met-police",
            &format!("{}, version 1", victim.consent),
        ] {
            assert!(paper.page.contains(said), "{said}: {}", paper.page);
        }
        let unsaid = [
            "<script",
            "A. Duty",
            "A. Director",
            "clerk-58213",
            "spring",
            "Other Water",
            &other.consent,
            &other.held.incident,
            &other.held.reference,
            &open.request,
            &victim.authorisation,
        ];
        for unsaid in unsaid {
            assert!(!paper.page.contains(unsaid), "{unsaid}: {}", paper.page);
        }
        // It verifies offline, and opens nothing: one that opens more than another tells that there is more.
        let [release] = paper.receipts.as_slice() else { panic!("{} receipts", paper.receipts.len()) };
        assert_eq!((release.index, release.openings.len()), (index, 0));
        world.verified(Some(release));

        // A repeat has the same entry; where it would be another page by now, none.
        world.later(60);
        let again = world.papers("ncsc").state_to_organisation(request).await.unwrap().into_inner();
        assert_eq!(again.receipt.unwrap().index, receipt.index);
        let again = again.paper.unwrap();
        assert_eq!((again.digest, again.page.as_str(), again.receipts.len()), (paper.digest, "", 0));

        // Afterwards: what recipients were told, not what they answered.
        world.withdraw_consent(held, &victim.consent).await.unwrap();
        let notice = world.notices("ico").await.remove(0).id;
        world.say_all("ico", &notice, "kept", "a court asked for it", &["serious-fraud-office"]).await.unwrap();
        let page = world.statement(held).await.page;
        assert!(page.contains("To stop using it further") && page.contains("None stands."), "{page}");
        for unsaid in ["kept", "court", "serious-fraud-office"] {
            assert!(!page.contains(unsaid), "{unsaid}");
        }
    }

    async fn what_an_officer_leaves_out_and_what_is_anothers_to_say_is_not_stated(world: World) {
        let (one, two) = (world.permit(world.hold_named("One plc", 1).await).await, world.hold_named("Two plc", 2).await);
        let two = world.permit(two).await;
        let before = text_of(&world.statement(&one.held).await);
        let ask = world.ask_by_name("ncsc", vec![identifier(1), identifier(2)]);
        let both = world.requester("ico").request_release(ask).await.unwrap().into_inner();
        let wanted = ["identity", "timeline", "identity", "timeline"];
        assert_released(both.outcome.as_ref().unwrap(), &wanted);
        let [receipt] = world.statement(&one.held).await.receipts.try_into().unwrap();
        assert_eq!((receipt.index, receipt.openings.len()), (both.receipt.unwrap().index, 0));
        world.verified(Some(&receipt));

        let made: Vec<String> = world.disclosures(&one.held).await.into_iter().map(|made| made.id).collect();
        let without = world.state(&one.held, &made, &[]).await.unwrap();
        let paper = without.paper.unwrap();
        assert!(paper.receipts.is_empty() && paper.page.contains("There is none that we can state."), "{}", paper.page);
        assert_eq!(text_of(&paper), before, "the page says that something is left out");
        assert_eq!(world.verified(without.receipt.as_ref()).paper.unwrap().left_out, made, "the holder's auditor sees it");
        let own = world.disclosures(&two.held).await.remove(0).id;
        assert_invalid(world.state(&two.held, &[own.clone(), made[0].clone()], &[]).await, "leave_out[1]");
        assert_invalid(world.state(&two.held, &[], &[own]).await, "include[0]");
        let late = v1::StateToOrganisationRequest {
            request_id: request_id(),
            organisation_id: two.held.organisation.clone(),
            from: world.in_seconds(1),
            ..Default::default()
        };
        let late = world.papers("ncsc").state_to_organisation(late).await.unwrap().into_inner().paper.unwrap();
        assert!(late.receipts.is_empty(), "from then on");

        // What came from another agency is for that agency to state.
        let (release, ..) = world.received_by_ico("ncsc", World::onward_scope).await;
        let received = world.receive("ico", release, "nca").await;
        let call = world.telephone_call(&received.held, "met-police");
        let call = world.record_disclosure("ico", call).await.unwrap();
        assert_invalid(world.state(&received.held, &[], &[call]).await, "include[0]");
        let page = world.statement(&received.held).await.page;
        assert!(page.contains("There is none that we can state.") && !page.contains("met-police"), "{page}");
    }

    async fn a_form_asks_and_an_acknowledgement_says_what_was_recorded(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let request = v1::MakeConsentFormRequest {
            request_id: request_id(),
            organisation_id: held.organisation.clone(),
            scope: Some(v1::ConsentScope { enforcement: true, ..world.scope(&held) }),
        };
        let form = world.papers("ncsc").make_consent_form(request).await.unwrap().into_inner();
        let (paper, entry) = (form.paper.unwrap(), world.verified(form.receipt.as_ref()).paper.unwrap());
        assert_eq!((entry.paper.as_str(), entry.wording.as_str(), paper.wording.as_str()), ("consent-form", "1", "1"));
        for said in ["may use it to take enforcement action", "(harm-reduction)", "(timeline)", &held.incident, "(ico)", "recorded up to revision 1 of 20"]
        {
            assert!(paper.page.contains(said), "{said}: {}", paper.page);
        }
        assert!(paper.page.contains(&data_encoding::HEXLOWER.encode(&entry.wording_digest)), "by which wording");
        // Nothing was recorded by asking. What was signed is evidence by its digest.
        let listed = world.verifier("ncsc").list_consents(v1::ListConsentsRequest::default()).await.unwrap();
        assert!(listed.into_inner().consents.is_empty());
        assert_open(&world.outcome(&held).await);
        let evidence = v1::ConsentEvidence { digest: paper.digest.clone(), ..world.evidence() };
        let request = v1::RecordConsentRequest { evidence: Some(evidence), ..world.consent_to_record(&held) };
        let consent = world.consents("ncsc").record_consent(request).await.unwrap().into_inner().consent_id;
        let recorded = world.acknowledged(&held, &consent).await.unwrap().paper.unwrap();
        assert!(recorded.page.contains("Another officer must verify it"), "{}", recorded.page);
        world.verify_consent(&held, &consent, 1).await.unwrap();
        let given = world.acknowledged(&held, &consent).await.unwrap();
        let stated = world.verified(given.receipt.as_ref()).paper.unwrap();
        assert_eq!((stated.consent.as_str(), stated.version), (consent.as_str(), 1));
        let given = given.paper.unwrap();
        let document = data_encoding::HEXLOWER.encode(&paper.digest);
        for said in ["Given: it permits", document.as_str(), "must not use it to take enforcement action", "withdraw"] {
            assert!(given.page.contains(said), "{said}: {}", given.page);
        }
        assert!(!given.page.contains("A. Director"));
        // Each step is proved, and no officer named.
        assert_eq!(given.receipts.len(), 2);
        for receipt in &given.receipts {
            assert_eq!(world.verified(Some(receipt)).entry.kind(), v1::EntryKind::Consent);
            assert!(receipt.openings.is_empty());
        }
        world.withdraw_consent(&held, &consent).await.unwrap();
        let withdrawn = world.acknowledged(&held, &consent).await.unwrap().paper.unwrap();
        assert!(withdrawn.page.contains("Withdrawn: nothing is released"), "{}", withdrawn.page);
        let sought = world.seek_consent(&held).await;
        assert_error(world.acknowledged(&held, &sought).await, Code::FailedPrecondition, "WRONG_STATE");
    }
}
