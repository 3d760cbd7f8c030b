//! The pages for organisations, as an officer has them made and as an organisation checks them.

use std::fs;

use super::calls::{Desk, json, said};
use super::{concordat, exit, text};
use crate::harness::{Engine, PURPOSES, World, run};

#[test]
fn a_page_is_written_and_the_receipts_in_it_verify_offline() {
    run(Engine::Sqlite, |world: World| async move {
        let (permitted, index) = world.released_to_ico().await;
        let desk = Desk::of(world);
        let roles = ["recorder", "authoriser"];
        let context = desk.world.workspace.context("ncsc", "clerk", &roles, &PURPOSES, "one", desk.world.node.address);
        let clerk = desk.world.workspace.write_context("clerk", &context).unwrap();
        let folder = desk.world.workspace.folder().join("papers");
        fs::create_dir_all(&folder).unwrap();
        let (page, receipts) = (folder.join("page.html"), folder.join("receipts"));
        let organisation = permitted.held.organisation.as_str();
        let words = ["organisation", "statement", "--organisation-id", organisation];
        let files = ["--page", text(&page), "--receipts", text(&receipts)];
        let made = json(&desk.types_with(&clerk, &[&words[..], &files].concat(), "").await);
        assert_eq!((made["receipts"][0].as_u64(), made["wording"].as_str()), (Some(index), Some("1")), "{made}");

        let key = desk.world.workspace.folder().join("node-one/ledger.pub");
        let verify = |file: &std::path::Path| concordat(&["verify", text(file), "--key", text(&key)]);
        let file = receipts.join(format!("entry-{index}.json"));
        let verified = verify(&file);
        assert_eq!(exit(&verified), 0, "{verified:?}");
        assert!(!json(&verified).to_string().contains(&permitted.held.reference), "it opens nothing");
        assert_eq!(exit(&concordat(&["ledger", "receipt", text(&file)])), 0);

        // As whoever has the page alone takes it out of it.
        let written = fs::read_to_string(&page).unwrap();
        let copied = written.split("<pre>").nth(1).unwrap().split("</pre>").next().unwrap().replace("&quot;", "\"");
        let copy = folder.join("copied.json");
        fs::write(&copy, &copied).unwrap();
        assert_eq!(exit(&verify(&copy)), 0, "{copied}");
        let (head, entry) = copied.split_once("\"entry\":\"").unwrap();
        let (middle, changed) = (entry.find('"').unwrap() / 2, |letter: &str| if letter == "A" { "B" } else { "A" });
        let (before, after) = (&entry[..middle], &entry[middle + 1..]);
        let letter = changed(&entry[middle..=middle]);
        fs::write(&copy, format!("{head}\"entry\":\"{before}{letter}{after}")).unwrap();
        assert_eq!(exit(&verify(&copy)), 1, "what was changed does not verify");

        let scope =
            ["--scope.recipient", "ico", "--scope.purposes", "harm-reduction", "--scope.categories", "timeline"];
        let words = ["consent", "form", "--organisation-id", organisation, "--scope.valid-until", "+90d"];
        let form = desk.types_with(&clerk, &[&words[..], &scope].concat(), "").await;
        assert_eq!(exit(&form), 0, "{form:?}");
        assert!(said(&form).starts_with("<!DOCTYPE html>") && said(&form).contains("All incidents"), "{form:?}");
        let acknowledged = ["consent", "acknowledge", "--consent-id", &permitted.consent];
        assert!(said(&desk.types_with(&clerk, &acknowledged, "").await).contains("Given: it permits"));
        let unknown = ["consent", "acknowledge", "--consent-id", "con_unknown"];
        assert_eq!(exit(&desk.types_with(&clerk, &unknown, "").await), 1);
        desk.world
    });
}
