//! A3d: the NCSC and the NCA name an organisation to the ICO only with a receipt of their own node, which decides it under
//! the organisation's consent.

use concordat::config::Config;
use concordat::proto::v1;
use concordat::proto::v1::request_release_response::Outcome;
use prost::Message as _;
use tonic::Code;

use super::answers::bare;
use crate::builders::{
    assert_error, assert_invalid, assert_not_covered, assert_open, assert_released, identifier, names,
};
use crate::harness::{World, on_both_databases, request_id};
use crate::onward::{naming_terms, outcome_alone};

/// What the ICO answers an agency that names this organisation and shows this.
async fn answer(ico: &World, agency: &str, number: u32, receipt: &[u8]) -> Outcome {
    let ask = ico.ask_ico_by_name(agency, vec![identifier(number)], receipt.to_vec());
    ico.put_as(agency, ask).await.unwrap().outcome.unwrap()
}

/// Why an agency's own node did not let it name.
async fn withheld(world: &World, agency: &str, request: v1::AskToNameRequest) -> (String, String, String) {
    let response = world.ask_to_name(agency, request).await.unwrap();
    assert!(response.until.is_none(), "{response:?}");
    let said = world.verified(response.receipt.as_ref()).naming.unwrap();
    assert!(said.names.is_empty() && said.salt.is_empty() && said.until_micros == 0, "{said:?}");
    (response.answer, response.reason, response.explanation)
}

fn not_consented(answer: &(String, String, String)) -> bool {
    (answer.0.as_str(), answer.1.as_str()) == ("not-given", "NAMING_NOT_CONSENTED")
}

on_both_databases! {
    async fn row_a3d_naming_with_a_receipt_of_its_own_node_releases_what_is_permitted(world: World) {
        let (ico, ncsc) = match world.parted("ncsc").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let held = ico.hold_at("ico", "ncsc", vec![identifier(1)]).await;
        ico.authorise(&held).await;
        assert_not_covered(&answer(&ico, "ncsc", 1, &[]).await, "NAMING_RECEIPT_REQUIRED");

        let (known, _) = ncsc.nameable("ncsc", vec![identifier(1), identifier(2)]).await;
        let given = ncsc.ask_to_name("ncsc", ncsc.naming_of(&known, vec![identifier(1)])).await.unwrap();
        assert_eq!((given.answer.as_str(), given.until), ("given", ncsc.in_seconds(3_600)));
        let said = ncsc.verified(given.receipt.as_ref()).naming.unwrap();
        let (purpose, ground) = naming_terms("ncsc");
        let terms = [&said.disclosing, &said.receiving, &said.purpose, &said.ground].map(String::as_str);
        assert_eq!(terms, ["ncsc", "ico", purpose, ground]);
        assert_eq!((said.names.len(), said.salt.len()), (1, 32));

        let receipt = given.receipt.unwrap().encode_to_vec();
        let name = identifier(1).value;
        assert!(!receipt.windows(name.len()).any(|bytes| bytes == name.as_bytes()), "the receipt names nobody");
        let released = ico.put_as("ncsc", ico.ask_ico_by_name("ncsc", vec![identifier(1)], receipt)).await.unwrap();
        assert_released(released.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        ico.assert_proved(&released);
        assert_eq!(ico.verified(released.receipt.as_ref()).ask.unwrap().naming_ground, ground);
        ncsc.finish().await;
        world = ico;
    }

    async fn row_a3d_naming_by_the_nca_takes_its_own_nodes_receipt(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let held = ico.hold_at("ico", "nca", vec![identifier(1)]).await;
        ico.authorise(&held).await;
        let (known, _) = nca.nameable("nca", vec![identifier(1)]).await;
        let receipt = nca.receipt_to_name(&known, vec![identifier(1)]).await;
        assert_not_covered(&answer(&ico, "nca", 1, &[]).await, "NAMING_RECEIPT_REQUIRED");
        assert_released(&answer(&ico, "nca", 1, &receipt).await, &["identity", "timeline"]);
        nca.finish().await;
        world = ico;
    }

    async fn row_a3d_naming_ends_with_its_receipt_and_is_renewed_by_another(world: World) {
        let (ico, ncsc) = match world.parted("ncsc").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let held = ico.hold_at("ico", "ncsc", vec![identifier(1)]).await;
        ico.authorise(&held).await;
        let (known, _) = ncsc.nameable("ncsc", vec![identifier(1)]).await;
        let receipt = ncsc.receipt_to_name(&known, vec![identifier(1)]).await;
        ico.later(3_599);
        let ask = ico.ask_ico_by_name("ncsc", vec![identifier(1)], receipt.clone());
        let first = ico.put_as("ncsc", ask).await.unwrap();
        assert_released(first.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        ico.later(1);
        assert_not_covered(&answer(&ico, "ncsc", 1, &receipt).await, "NAMING_RECEIPT_ENDED");

        // The same request again names it again.
        let again = |naming_receipt: Vec<u8>| {
            let (request_id, request) = (request_id(), first.request.clone());
            v1::RequestReleaseRequest { request_id, request, naming_receipt, ..v1::RequestReleaseRequest::default() }
        };
        let outcome = async |ask| ico.put_as("ncsc", ask).await.unwrap().outcome.unwrap();
        assert_not_covered(&outcome(again(vec![])).await, "NAMING_RECEIPT_REQUIRED");
        assert_not_covered(&outcome(again(receipt)).await, "NAMING_RECEIPT_ENDED");
        let another = ncsc.receipt_to_name(&known, vec![identifier(1)]).await;
        assert_released(&outcome(again(another)).await, &["identity", "timeline"]);
        ncsc.finish().await;
        world = ico;
    }

    async fn row_a3d_naming_is_not_given_any_more_once_the_organisation_withdraws(world: World) {
        let (ico, ncsc) = match world.parted("ncsc").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let held = ico.hold_at("ico", "ncsc", vec![identifier(1)]).await;
        ico.authorise(&held).await;
        let (known, consent) = ncsc.nameable("ncsc", vec![identifier(1)]).await;
        let receipt = ncsc.receipt_to_name(&known, vec![identifier(1)]).await;
        ncsc.withdraw_consent(&known, &consent).await.unwrap();
        assert!(not_consented(&withheld(&ncsc, "ncsc", ncsc.naming_of(&known, vec![identifier(1)])).await));
        // The ICO's node can know nothing of it: the hour bounds that.
        assert_released(&answer(&ico, "ncsc", 1, &receipt).await, &["identity", "timeline"]);
        ico.later(3_600);
        assert_not_covered(&answer(&ico, "ncsc", 1, &receipt).await, "NAMING_RECEIPT_ENDED");
        ncsc.finish().await;
        world = ico;
    }

    async fn row_a3d_naming_with_a_receipt_of_something_else_is_not_covered(world: World) {
        let (known, _) = world.nameable("ncsc", vec![identifier(1), identifier(2)]).await;
        let (another, _) = world.nameable("ncsc", vec![identifier(3)]).await;
        let (ncas, _) = world.nameable("nca", vec![identifier(1)]).await;
        let right = world.receipt_to_name(&known, vec![identifier(1)]).await;
        assert_open(&answer(&world, "ncsc", 1, &right).await);

        let other_identifier = world.receipt_to_name(&known, vec![identifier(2)]).await;
        let other_organisation = world.receipt_to_name(&another, vec![identifier(3)]).await;
        let other_agency = world.receipt_to_name(&ncas, vec![identifier(1)]).await;
        for (what, receipt) in [
            ("another of its identifiers", &other_identifier),
            ("another organisation", &other_organisation),
            ("another agency's", &other_agency),
        ] {
            let explanation = assert_not_covered(&answer(&world, "ncsc", 1, receipt).await, "NAMING_RECEIPT_DIFFERS");
            assert!(explanation.contains("AskToName"), "{what}: {explanation}");
        }
        // By one identifier that it lets name and one that it does not.
        let both = world.ask_ico_by_name("ncsc", vec![identifier(1), identifier(3)], right);
        assert_not_covered(&world.put_as("ncsc", both).await.unwrap().outcome.unwrap(), "NAMING_RECEIPT_DIFFERS");
    }

    /// The ICO needs none, and has more than one recipient, purpose and ground: what it shows must fit all the same.
    async fn row_a3d_naming_with_a_receipt_for_another_holder_purpose_or_ground_is_not_covered(world: World) {
        let known = world.known_to("ico", vec![identifier(1)]).await;
        let to = |recipient: &str, purpose: &str, ground: &str| v1::AskToNameRequest {
            recipient: recipient.into(),
            purpose: purpose.into(),
            ground: ground.into(),
            ..world.naming_of(&known, vec![identifier(1)])
        };
        let shown = async |request| {
            let given = world.ask_to_name("ico", request).await.unwrap();
            assert_eq!(given.answer, "given");
            let ask = world.ask_by_name("ncsc", vec![identifier(1)]);
            let naming_receipt = given.receipt.unwrap().encode_to_vec();
            world.put_as("ico", v1::RequestReleaseRequest { naming_receipt, ..ask }).await.unwrap().outcome.unwrap()
        };
        assert_open(&shown(to("ncsc", "harm-reduction", "dpa-2018-s132-2-f")).await);
        for other in [
            to("nca", "harm-reduction", "dpa-2018-s132-2-f"),
            to("ncsc", "regulatory-assessment", "dpa-2018-s132-2-f"),
            to("ncsc", "harm-reduction", "dpa-2018-s132-2-a"),
        ] {
            assert_not_covered(&shown(other).await, "NAMING_RECEIPT_DIFFERS");
        }
    }

    async fn row_a3d_naming_takes_no_receipt_that_proves_nothing(world: World) {
        let (known, consent) = world.nameable("ncsc", vec![identifier(1)]).await;
        let given = world.ask_to_name("ncsc", world.naming_of(&known, vec![identifier(1)])).await.unwrap();
        let right = given.receipt.unwrap();
        let shown = async |receipt: Vec<u8>| {
            world.put_as("ncsc", world.ask_ico_by_name("ncsc", vec![identifier(1)], receipt)).await
        };
        let forged = |change: &dyn Fn(&mut v1::Receipt)| {
            let mut receipt = right.clone();
            change(&mut receipt);
            receipt.encode_to_vec()
        };
        assert_invalid(shown(b"nothing".to_vec()).await, "naming_receipt");
        let unknown = forged(&|receipt| receipt.origin = "nowhere.example".into());
        assert_invalid(shown(unknown).await, "naming_receipt");
        let later = forged(&|receipt| {
            let mut said = v1::NamingStatement::decode(receipt.openings[0].payload.as_slice()).unwrap();
            said.until_micros += 1;
            receipt.openings[0].payload = said.encode_to_vec();
        });
        assert_invalid(shown(later).await, "naming_receipt");
        let unsigned = forged(&|receipt| {
            let last = receipt.checkpoint.trim_end().len() - 3;
            let changed = if receipt.checkpoint.as_bytes()[last] == b'A' { "B" } else { "A" };
            receipt.checkpoint.replace_range(last..=last, changed);
        });
        assert_invalid(shown(unsigned).await, "naming_receipt");
        let unopened = forged(&|receipt| receipt.openings.clear());
        assert_invalid(shown(unopened).await, "naming_receipt");

        // What else the agency's own auditor may open is not for the ICO.
        let request = v1::GetEntryRequest { index: right.index };
        let whole = world.ledger("ncsc").get_entry(request).await.unwrap().into_inner().receipt.unwrap();
        assert!(whole.openings.len() > 1, "{whole:?}");
        let grounds = world.verified(Some(&whole)).grounds.unwrap().reasons.join(" ");
        assert!(grounds.contains("ico-ncsc-2023/name-to-ico") && grounds.contains(&consent), "{grounds}");
        assert_invalid(shown(whole.encode_to_vec()).await, "naming_receipt");
        // Nor is one of something else, or one that says no.
        let held = world.permitted("nca").await.held;
        let release = world.put(&held, world.ask(&held)).await.unwrap();
        assert_invalid(shown(outcome_alone(release.receipt.as_ref())).await, "naming_receipt");
        world.withdraw_consent(&known, &consent).await.unwrap();
        let denied = world.ask_to_name("ncsc", world.naming_of(&known, vec![identifier(1)])).await.unwrap();
        assert_eq!(denied.answer, "not-given");
        assert_invalid(shown(denied.receipt.unwrap().encode_to_vec()).await, "naming_receipt");
        // And with a reference nobody is named.
        let held = world.hold("ico", "ncsc").await;
        let naming_receipt = right.encode_to_vec();
        let ask = v1::RequestReleaseRequest { naming_receipt, ..world.ask(&held) };
        assert_invalid(world.put(&held, ask).await, "naming_receipt");
    }

    async fn row_a3d_naming_answers_alike_whether_anything_is_held_or_not(world: World) {
        let (known, _) = world.nameable("ncsc", vec![identifier(1), identifier(2)]).await;
        let both = vec![identifier(1), identifier(2)];
        let right = world.receipt_to_name(&known, both).await;
        let (another, _) = world.nameable("ncsc", vec![identifier(3)]).await;
        let wrong = world.receipt_to_name(&another, vec![identifier(3)]).await;
        // An incident at the first of them; nothing at the second.
        world.hold_at("ico", "ncsc", vec![identifier(1)]).await;
        let alike = async |receipt: &[u8]| {
            let mut answers = Vec::new();
            for number in [1, 2] {
                let ask = world.ask_ico_by_name("ncsc", vec![identifier(number)], receipt.to_vec());
                answers.push(world.put_as("ncsc", ask).await.unwrap());
            }
            let outcome = answers[0].outcome.clone().unwrap();
            let answers: Vec<_> = answers.into_iter().map(bare).collect();
            assert!(answers[0] == answers[1], "the answer differs where nothing is held");
            outcome
        };
        assert_not_covered(&alike(&[]).await, "NAMING_RECEIPT_REQUIRED");
        assert_not_covered(&alike(&wrong).await, "NAMING_RECEIPT_DIFFERS");
        assert_open(&alike(&right).await);
        world.later(3_600);
        assert_not_covered(&alike(&right).await, "NAMING_RECEIPT_ENDED");
    }

    async fn row_a3d_naming_is_given_under_no_consent_that_falls_short(world: World) {
        let mut answers = Vec::new();
        for (number, what) in (1..).zip([
            "none", "not verified", "another recipient", "another purpose", "not the identity", "one incident", "over",
            "not begun",
        ]) {
            let held = world.hold_at("ncsc", "ico", vec![identifier(number)]).await;
            let whole = world.naming_scope(&held);
            let scope = match what {
                "none" => None,
                "not verified" => {
                    world.record_consent(&held, whole.clone()).await.unwrap();
                    None
                }
                "another recipient" => Some(v1::ConsentScope { recipient: "nca".into(), ..whole }),
                "another purpose" => Some(v1::ConsentScope { purposes: names(&["regulatory-assessment"]), ..whole }),
                "not the identity" => Some(v1::ConsentScope { categories: names(&["timeline"]), ..whole }),
                "one incident" => Some(v1::ConsentScope { incident_id: held.incident.clone(), ..whole }),
                "over" => Some(v1::ConsentScope { valid_until: world.in_seconds(60), ..whole }),
                _ => Some(v1::ConsentScope { valid_from: world.in_seconds(3_600), ..whole }),
            };
            if let Some(scope) = scope {
                world.give_consent(&held, scope).await;
            }
            if what == "over" {
                world.later(60);
            }
            let answer = withheld(&world, "ncsc", world.naming_of(&held, vec![identifier(number)])).await;
            assert!(not_consented(&answer), "{what}: {answer:?}");
            answers.push(answer);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "one answer, whatever is missing: {answers:?}");

        let (known, _) = world.nameable("ncsc", vec![identifier(20)]).await;
        let merged = v1::RecordMergerRequest {
            request_id: request_id(),
            organisation_id: known.organisation.clone(),
            etag: "1".into(),
            into_organisation_id: world.register_organisation("ncsc", vec![]).await,
            merged_at: world.in_seconds(-86_400),
        };
        world.organisations("ncsc").record_merger(merged).await.unwrap();
        let answer = withheld(&world, "ncsc", world.naming_of(&known, vec![identifier(20)])).await;
        assert!(not_consented(&answer), "from before a merger: {answer:?}");
    }

    async fn row_a3d_naming_lives_no_longer_than_the_consent(world: World) {
        let held = world.known_to("ncsc", vec![identifier(1)]).await;
        let until = world.in_seconds(600);
        world.give_consent(&held, v1::ConsentScope { valid_until: until, ..world.naming_scope(&held) }).await;
        let given = world.ask_to_name("ncsc", world.naming_of(&held, vec![identifier(1)])).await.unwrap();
        assert_eq!((given.answer.as_str(), given.until), ("given", until));
    }

    async fn row_a3d_naming_beyond_the_clauses_is_not_covered_by_any_consent(world: World) {
        let (known, _) = world.nameable("ncsc", vec![identifier(1)]).await;
        let usual = || world.naming_of(&known, vec![identifier(1)]);
        let to_nca = v1::AskToNameRequest { recipient: "nca".into(), ..usual() };
        let other_ground = v1::AskToNameRequest { ground: "dpa-2018-s132-2-f".into(), ..usual() };
        let other_purpose = v1::AskToNameRequest { purpose: "serious-organised-crime".into(), ..usual() };
        for (request, reason) in [
            (to_nca, "NAMING_NOT_COVERED"),
            (other_ground, "NAMING_GROUND_NOT_COVERED"),
            (other_purpose, "NAMING_GROUND_NOT_COVERED"),
        ] {
            let (answer, stated, _) = withheld(&world, "ncsc", request).await;
            assert_eq!((answer.as_str(), stated.as_str()), ("not-covered", reason));
        }
        // By what is not the organisation's, another could be named under its consent.
        let anothers = v1::AskToNameRequest { identifiers: vec![identifier(1), identifier(2)], ..usual() };
        assert_invalid(world.ask_to_name("ncsc", anothers).await, "identifiers[1]");
        world.suspend_agency("ncsc", "ico").await.unwrap();
        assert_error(world.ask_to_name("ncsc", usual()).await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn row_a3d_naming_takes_a_key_for_the_agency_and_the_time_that_were_configured(world: World) {
        let (mut ico, ncsc) = match world.parted("ncsc").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let (known, _) = ncsc.nameable("ncsc", vec![identifier(1)]).await;
        let receipt = ncsc.receipt_to_name(&known, vec![identifier(1)]).await;
        assert_open(&answer(&ico, "ncsc", 1, &receipt).await);
        let ask = |ico: &World| ico.ask_ico_by_name("ncsc", vec![identifier(1)], receipt.clone());
        let section = |config: &mut Config, agency: &str| {
            let place = config.agency.iter().position(|section| section.id.as_str() == agency).unwrap();
            std::mem::take(&mut config.agency[place].ledger)
        };
        let not_yet = |config: &mut Config| {
            for key in config.agency.iter_mut().flat_map(|agency| &mut agency.ledger) {
                key.from = Some("2999-01-30".to_owned());
            }
        };
        ico = ico.stop().await.start_with(not_yet).await;
        assert_invalid(ico.put_as("ncsc", ask(&ico)).await, "naming_receipt");
        let ended = |config: &mut Config| {
            for key in config.agency.iter_mut().flat_map(|agency| &mut agency.ledger) {
                (key.from, key.until) = (None, Some("2024-01-30".to_owned()));
            }
        };
        ico = ico.stop().await.start_with(ended).await;
        assert_invalid(ico.put_as("ncsc", ask(&ico)).await, "naming_receipt");
        // That ledger is trusted, but about another agency.
        let anothers = |config: &mut Config| {
            let mut keys = section(config, "ncsc");
            for key in &mut keys {
                key.until = None;
            }
            config.agency.iter_mut().find(|section| section.id.as_str() == "nca").unwrap().ledger = keys;
        };
        ico = ico.stop().await.start_with(anothers).await;
        assert_invalid(ico.put_as("ncsc", ask(&ico)).await, "naming_receipt");
        ncsc.finish().await;
        world = ico;
    }

    async fn row_a3d_naming_with_a_receipt_from_a_clock_that_is_ahead_is_no_denial(world: World) {
        let (ico, ncsc) = match world.parted("ncsc").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let held = ico.hold_at("ico", "ncsc", vec![identifier(1)]).await;
        ico.authorise(&held).await;
        let (known, _) = ncsc.nameable("ncsc", vec![identifier(1)]).await;
        let now = ico.now();
        ncsc.later(1);
        let receipt = ncsc.receipt_to_name(&known, vec![identifier(1)]).await;
        ico.hand.set(now);
        let ask = ico.ask_ico_by_name("ncsc", vec![identifier(1)], receipt);
        assert_invalid(ico.put_as("ncsc", ask.clone()).await, "naming_receipt");
        // The same call, once the clock has caught up.
        ico.later(1);
        let released = ico.put_as("ncsc", ask).await.unwrap().outcome.unwrap();
        assert_released(&released, &["identity", "timeline"]);
        ncsc.finish().await;
        world = ico;
    }

    async fn row_a3d_naming_stops_while_the_clock_cannot_be_trusted(world: World) {
        let (known, _) = world.nameable("ncsc", vec![identifier(1)]).await;
        let ask = world.naming_of(&known, vec![identifier(1)]);
        world.later(-3);
        assert_error(world.ask_to_name("ncsc", ask.clone()).await, Code::Unavailable, "CLOCK");
        world.later(3);
        assert_eq!(world.ask_to_name("ncsc", ask).await.unwrap().answer, "given");
    }

    async fn row_a3d_naming_put_again_gives_the_same_receipt(world: World) {
        let (known, consent) = world.nameable("ncsc", vec![identifier(1)]).await;
        let ask = world.naming_of(&known, vec![identifier(1)]);
        let first = world.ask_to_name("ncsc", ask.clone()).await.unwrap();
        world.withdraw_consent(&known, &consent).await.unwrap();
        let again = world.ask_to_name("ncsc", ask).await.unwrap();
        assert_eq!((&first.answer, first.until), (&again.answer, again.until));
        let [first, again] = [first, again].map(|one| one.receipt.unwrap());
        assert_eq!((first.index, first.openings), (again.index, again.openings));
    }
}
