//! The holder's register: what it keeps of an organisation, what it finds, and what it turns away.

use concordat::proto::v1;
use tonic::{Code, Status};

use super::naming::plain;
use crate::builders::{assert_error, assert_invalid, identifier};
use crate::harness::{World, on_both_databases, request_id};

/// A name without dates.
fn dated(name: &str) -> v1::DatedName {
    v1::DatedName { name: name.into(), ..v1::DatedName::default() }
}

fn parent(organisation: &str) -> v1::ParentLink {
    v1::ParentLink { organisation_id: organisation.into(), ..v1::ParentLink::default() }
}

/// What was found: the id, whether it is exact, and the reasons, each with the organisation that it came through.
type Found = (String, bool, Vec<(String, String)>);

impl World {
    pub(super) async fn organisation(&self, agency: &str, id: &str) -> v1::Organisation {
        let request = v1::GetOrganisationRequest { organisation_id: id.into() };
        self.organisations(agency).get_organisation(request).await.unwrap().into_inner().organisation.unwrap()
    }

    /// Registers an organisation that differs from an empty one in this.
    pub(super) async fn register(&self, agency: &str, request: v1::RegisterOrganisationRequest) -> String {
        let request = v1::RegisterOrganisationRequest { request_id: request_id(), ..request };
        self.organisations(agency).register_organisation(request).await.unwrap().into_inner().organisation_id
    }

    /// An amendment that changes nothing, to be changed.
    pub(super) async fn amendment_of(&self, agency: &str, id: &str) -> v1::AmendOrganisationRequest {
        let present = self.organisation(agency, id).await;
        v1::AmendOrganisationRequest {
            request_id: request_id(),
            organisation_id: present.id,
            etag: present.etag,
            name: present.name,
            identifiers: present.identifiers,
            former_names: present.former_names,
            trading_names: present.trading_names,
            parents: present.parents,
        }
    }

    pub(super) async fn amend_organisation(
        &self,
        agency: &str,
        request: v1::AmendOrganisationRequest,
    ) -> Result<String, Status> {
        Ok(self.organisations(agency).amend_organisation(request).await?.into_inner().etag)
    }

    /// A merger that took effect so many days ago.
    pub(super) async fn merger(&self, agency: &str, id: &str, into: &str, days_ago: i64) -> v1::RecordMergerRequest {
        v1::RecordMergerRequest {
            request_id: request_id(),
            organisation_id: id.into(),
            etag: self.organisation(agency, id).await.etag,
            into_organisation_id: into.into(),
            merged_at: self.in_seconds(-days_ago * 86_400),
        }
    }

    pub(super) async fn record_merger(&self, agency: &str, request: v1::RecordMergerRequest) -> Result<String, Status> {
        Ok(self.organisations(agency).record_merger(request).await?.into_inner().etag)
    }

    /// Records that one of the holder's organisations was merged into another ten days ago.
    pub(super) async fn merge(&self, agency: &str, id: &str, into: &str) {
        let request = self.merger(agency, id, into, 10).await;
        self.record_merger(agency, request).await.unwrap();
    }

    async fn find(&self, agency: &str, identifiers: Vec<v1::Identifier>, name: &str) -> Vec<Found> {
        let request = v1::FindOrganisationsRequest { identifiers, name: name.into() };
        let found = self.organisations(agency).find_organisations(request).await.unwrap().into_inner();
        assert!(!found.more);
        let shown = |one: v1::FoundOrganisation| {
            let reasons = one.reasons.into_iter().map(|why| (why.reason, why.through_organisation_id));
            (one.organisation.unwrap().id, one.exact, reasons.collect())
        };
        let mut all: Vec<Found> = found.found.into_iter().map(shown).collect();
        all.sort();
        all
    }
}

/// As [`Found`], to be written down.
type Expected<'a> = (&'a str, bool, &'a [(&'a str, &'a str)]);

/// What must be found, in the order of ids.
#[track_caller]
fn assert_found(found: &[Found], expected: &[Expected<'_>]) {
    let mut expected: Vec<Found> = expected
        .iter()
        .map(|(id, exact, reasons)| {
            let reasons = reasons.iter().map(|(why, through)| ((*why).to_owned(), (*through).to_owned()));
            ((*id).to_owned(), *exact, reasons.collect())
        })
        .collect();
    expected.sort();
    assert_eq!(found, expected);
}

on_both_databases! {
    async fn register_keeps_what_is_stated_with_its_dates(world: World) {
        let group = world.register("ncsc", v1::RegisterOrganisationRequest { name: "Group plc".into(), ..<_>::default() }).await;
        let span = (world.in_seconds(-90 * 86_400), world.in_seconds(-86_400));
        let stated = v1::RegisterOrganisationRequest {
            name: "Example Water plc".into(),
            identifiers: vec![plain("gb-coh", "1234"), plain("gb-ods", "rx1"), plain("domain", "Water.Example.")],
            former_names: vec![v1::DatedName { name: "Old Water Ltd".into(), from: span.0, until: span.1 }],
            trading_names: vec![dated("Water & More")],
            parents: vec![v1::ParentLink { organisation_id: group, from: span.0, until: None }],
            ..<_>::default()
        };
        let id = world.register("ncsc", stated.clone()).await;
        let kept = world.organisation("ncsc", &id).await;
        assert_eq!((kept.name, kept.etag.as_str()), (stated.name, "1"));
        assert_eq!((kept.former_names, kept.trading_names), (stated.former_names, stated.trading_names));
        assert_eq!((kept.parents, kept.merger, kept.merger_recorded_at), (stated.parents, None, None));
        let values: Vec<&str> = kept.identifiers.iter().map(|one| one.value.as_str()).collect();
        assert_eq!(values, ["00001234", "RX1", "water.example"], "in their normal form");

        // What is left out of an amendment is taken off.
        let amendment = v1::AmendOrganisationRequest {
            request_id: request_id(),
            organisation_id: id.clone(),
            etag: "1".into(),
            name: "Example Water Ltd".into(),
            ..<_>::default()
        };
        assert_eq!(world.amend_organisation("ncsc", amendment).await.unwrap(), "2");
        let kept = world.organisation("ncsc", &id).await;
        assert!(kept.identifiers.is_empty() && kept.former_names.is_empty() && kept.parents.is_empty());
        assert_found(&world.find("ncsc", vec![identifier(1234)], "Old Water").await, &[]);
    }

    async fn register_takes_an_organisation_by_its_name_alone(world: World) {
        let id = world.register("ncsc", v1::RegisterOrganisationRequest { name: "Example".into(), ..<_>::default() }).await;
        assert_found(&world.find("ncsc", vec![], "EXAMPLE LTD").await, &[(&id, false, &[("name", "")])]);
    }

    async fn register_turns_away_what_is_no_identifier_and_says_what_would_be(world: World) {
        for (scheme, value, field, remedy) in [
            ("gb-coh", "XX123456", "identifiers[1].value", "OC"),
            ("gb-coh", "１２３４", "identifiers[1].value", "plain ASCII"),
            ("lei", "529900T8BM49AURSDO56", "identifiers[1].value", "check digits"),
            ("domain", "https://example.org", "identifiers[1].value", "domain name alone"),
            ("domain", "bücher.example", "identifiers[1].value", "punycode"),
            ("vat", "123456789", "identifiers[1].scheme", "gb-chc"),
        ] {
            let request = v1::RegisterOrganisationRequest {
                request_id: request_id(),
                name: "Example".into(),
                identifiers: vec![identifier(1), plain(scheme, value)],
                ..<_>::default()
            };
            let turned_away = world.organisations("ncsc").register_organisation(request).await;
            let message = turned_away.as_ref().unwrap_err().message().to_owned();
            assert_invalid(turned_away, field);
            assert!(message.contains(remedy), "{scheme} `{value}`: {message}");
        }
    }

    async fn register_has_one_spelling_of_an_identifier_for_one_organisation(world: World) {
        let registered = vec![plain("gb-coh", "SC1234"), plain("gb-chc", "1123456"), plain("domain", "Water.Example.")];
        world.register_organisation("ncsc", registered).await;
        for same in [plain("gb-coh", "sc 001234"), plain("gb-chc", "1 123 456"), plain("domain", "WATER.example")] {
            let request = v1::RegisterOrganisationRequest {
                request_id: request_id(),
                name: "Another".into(),
                identifiers: vec![same],
                ..<_>::default()
            };
            let taken = world.organisations("ncsc").register_organisation(request.clone()).await;
            assert_error(taken, Code::FailedPrecondition, "WRONG_STATE");
            // Another holder's register is another register.
            let request = v1::RegisterOrganisationRequest { request_id: request_id(), ..request };
            world.organisations("nca").register_organisation(request).await.unwrap();
        }
        for other in [plain("gb-coh", "1234"), plain("gb-chc", "1123456-1"), plain("domain", "www.water.example")] {
            world.register_organisation("ncsc", vec![other]).await;
        }
        let twice = v1::RegisterOrganisationRequest {
            request_id: request_id(),
            name: "Another".into(),
            identifiers: vec![plain("gb-coh", "77"), plain("gb-coh", "00000077")],
            ..<_>::default()
        };
        assert_invalid(world.organisations("ncsc").register_organisation(twice).await, "identifiers[1]");
    }

    async fn register_finds_exactly_by_identifier_and_candidates_by_name_group_and_merger(world: World) {
        let named = |name: &str| v1::RegisterOrganisationRequest { name: name.into(), ..<_>::default() };
        let group = world.register("ncsc", named("Holding Group plc")).await;
        let water = world
            .register("ncsc", v1::RegisterOrganisationRequest {
                identifiers: vec![identifier(1)],
                former_names: vec![dated("Old Town Waterworks")],
                trading_names: vec![dated("Wet & Co.")],
                parents: vec![parent(&group)],
                ..named("Example Water plc")
            })
            .await;
        let sister = v1::RegisterOrganisationRequest { parents: vec![parent(&group)], ..named("Sister Ltd") };
        let sister = world.register("ncsc", sister).await;
        let namesake = world.register("ncsc", named("EXAMPLE WATER LIMITED")).await;
        let (old, older) = (world.register("ncsc", named("Old Ltd")).await, world.register("ncsc", named("Older")).await);
        world.merge("ncsc", &older, &old).await;
        world.merge("ncsc", &old, &water).await;

        let (group_of, merged_of) = (("parent", water.as_str()), ("merged", water.as_str()));
        let around: [Expected<'_>; 3] =
            [(&group, false, &[group_of]), (&old, false, &[merged_of]), (&older, false, &[("merged", &old)])];

        let mut expected = vec![(water.as_str(), true, [("identifier", "")].as_slice())];
        expected.extend(around);
        assert_found(&world.find("ncsc", vec![identifier(1), identifier(9)], "").await, &expected);

        for (name, why) in [("old town  WATERWORKS", "former-name"), ("Wet and Company", "trading-name")] {
            let why = [(why, "")];
            let mut expected = vec![(water.as_str(), false, why.as_slice())];
            expected.extend(around);
            assert_found(&world.find("ncsc", vec![], name).await, &expected);
        }

        let mut expected = vec![
            (water.as_str(), true, [("identifier", ""), ("name", "")].as_slice()),
            (namesake.as_str(), false, [("name", "")].as_slice()),
        ];
        expected.extend(around);
        assert_found(&world.find("ncsc", vec![identifier(1)], "Example Water").await, &expected);

        let subsidiary = [("subsidiary", group.as_str())];
        let expected = [
            (group.as_str(), false, [("name", "")].as_slice()),
            (water.as_str(), false, subsidiary.as_slice()),
            (sister.as_str(), false, subsidiary.as_slice()),
        ];
        assert_found(&world.find("ncsc", vec![], "Holding Group").await, &expected);

        // The survivors of an old one are found, too, over any number of mergers.
        let found = world.find("ncsc", vec![], "Older").await;
        let expected = [
            (older.as_str(), false, [("name", "")].as_slice()),
            (old.as_str(), false, &[("merged", older.as_str())]),
            (water.as_str(), false, &[("merged", old.as_str())]),
            (group.as_str(), false, &[("parent", water.as_str())]),
        ];
        assert_found(&found, &expected);

        // Nobody else's register, and nothing to look for.
        assert_found(&world.find("nca", vec![identifier(1)], "Example Water").await, &[]);
        let nothing = v1::FindOrganisationsRequest::default();
        assert_invalid(world.organisations("ncsc").find_organisations(nothing).await, "identifiers");
    }

    async fn register_shows_sixty_four_and_says_that_there_are_more(world: World) {
        let exact = world.register_organisation("ncsc", vec![identifier(1)]).await;
        for _ in 0..64 {
            drop(world.register_organisation("ncsc", vec![]).await);
        }
        let request = v1::FindOrganisationsRequest { identifiers: vec![identifier(1)], name: "Example Water".into() };
        let found = world.organisations("ncsc").find_organisations(request).await.unwrap().into_inner();
        assert!(found.more && found.found.len() == 64);
        assert_eq!(found.found[0].organisation.as_ref().unwrap().id, exact, "the exact one comes first");
    }

    async fn register_parents_are_ones_own_and_make_no_circle(world: World) {
        let ids = [
            world.register_organisation("ncsc", vec![]).await,
            world.register_organisation("ncsc", vec![]).await,
            world.register_organisation("ncsc", vec![]).await,
        ];
        let elsewhere = world.register_organisation("nca", vec![]).await;
        for (child, above) in [(&ids[0], &ids[1]), (&ids[1], &ids[2])] {
            let amendment = v1::AmendOrganisationRequest {
                parents: vec![parent(above)],
                ..world.amendment_of("ncsc", child).await
            };
            world.amend_organisation("ncsc", amendment).await.unwrap();
        }
        for wrong in [&ids[0], &ids[1], &ids[2], &elsewhere, &"org_unknown".to_owned()] {
            let amendment = v1::AmendOrganisationRequest {
                parents: vec![parent(wrong)],
                ..world.amendment_of("ncsc", &ids[2]).await
            };
            assert_invalid(world.amend_organisation("ncsc", amendment).await, "parents[0].organisation_id");
        }
        let backwards = v1::ParentLink { from: world.in_seconds(0), until: world.in_seconds(0), ..parent(&ids[2]) };
        let amendment = v1::AmendOrganisationRequest {
            parents: vec![backwards],
            ..world.amendment_of("ncsc", &ids[0]).await
        };
        assert_invalid(world.amend_organisation("ncsc", amendment).await, "parents[0].until");
    }

    async fn register_mergers_are_dated_and_make_no_circle(world: World) {
        let ids = [
            world.register_organisation("ncsc", vec![]).await,
            world.register_organisation("ncsc", vec![]).await,
            world.register_organisation("ncsc", vec![]).await,
        ];
        let elsewhere = world.register_organisation("nca", vec![]).await;
        let [a, b, c] = [&ids[0], &ids[1], &ids[2]];

        let future = v1::RecordMergerRequest { merged_at: world.in_seconds(1), ..world.merger("ncsc", a, b, 0).await };
        assert_invalid(world.record_merger("ncsc", future).await, "merged_at");
        for wrong in [a, &elsewhere, &"org_unknown".to_owned(), &String::new()] {
            let request = world.merger("ncsc", a, wrong, 5).await;
            assert_invalid(world.record_merger("ncsc", request).await, "into_organisation_id");
        }
        let nothing = v1::RecordMergerRequest { merged_at: None, ..world.merger("ncsc", a, "", 0).await };
        assert_invalid(world.record_merger("ncsc", nothing).await, "into_organisation_id");
        let stale = v1::RecordMergerRequest { etag: "7".into(), ..world.merger("ncsc", a, b, 5).await };
        assert_error(world.record_merger("ncsc", stale).await, Code::Aborted, "CHANGED");

        // a into b ten days ago; b into c neither before that, nor c into a.
        let request = world.merger("ncsc", a, b, 10).await;
        assert_eq!(world.record_merger("ncsc", request).await.unwrap(), "2");
        let merged = world.organisation("ncsc", a).await;
        assert_eq!(merged.merger.unwrap().into_organisation_id, *b);
        assert_eq!(merged.merger_recorded_at, world.in_seconds(0));
        let before = world.merger("ncsc", b, c, 11).await;
        assert_invalid(world.record_merger("ncsc", before).await, "merged_at");
        world.record_merger("ncsc", world.merger("ncsc", b, c, 5).await).await.unwrap();
        let circle = world.merger("ncsc", c, a, 1).await;
        assert_invalid(world.record_merger("ncsc", circle).await, "into_organisation_id");
        // a became part of b when there still was a b; the correction must respect that.
        let after = world.merger("ncsc", a, b, 4).await;
        assert_invalid(world.record_merger("ncsc", after).await, "merged_at");

        // What was merged is amended no more, but its merger can be corrected, and taken back.
        let amendment = world.amendment_of("ncsc", a).await;
        assert_error(world.amend_organisation("ncsc", amendment).await, Code::FailedPrecondition, "WRONG_STATE");
        world.record_merger("ncsc", world.merger("ncsc", a, c, 6).await).await.unwrap();
        assert_eq!(world.organisation("ncsc", a).await.merger.unwrap().into_organisation_id, *c);
        let error = v1::RecordMergerRequest { merged_at: None, ..world.merger("ncsc", a, "", 0).await };
        world.record_merger("ncsc", error).await.unwrap();
        let restored = world.organisation("ncsc", a).await;
        assert!(restored.merger.is_none() && restored.merger_recorded_at.is_some());
        let amendment = world.amendment_of("ncsc", a).await;
        world.amend_organisation("ncsc", amendment).await.unwrap();
        assert!(world.organisation("ncsc", a).await.merger_recorded_at.is_some(), "an amendment forgets no merger");

        let foreign = v1::RecordMergerRequest { organisation_id: elsewhere, ..world.merger("ncsc", c, a, 1).await };
        assert_error(world.record_merger("ncsc", foreign).await, Code::NotFound, "NOT_FOUND");
    }
}
