//! `concordat signpost show` without a node, and a node asked the same.

use super::calls::{Desk, complained, json, said};
use super::{concordat, exit};
use crate::harness::{Engine, World, run};

const SITUATION: [&str; 6] = ["--nation", "wales", "--sector", "health", "--facts", "essential-service,personal-data"];

#[test]
fn whom_to_turn_to_is_said_without_a_node_and_a_node_says_the_same() {
    let times = ["--as-of", "2026-03-28T12:00:00Z", "--aware-at", "2026-03-27T09:30:00Z"];
    let show = concordat(&[&["signpost", "show"], &SITUATION[..], &times].concat());
    let offline = json(&show);
    let names: Vec<&str> =
        offline["signposts"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["Information Commissioner's Office", "Welsh Ministers"]);
    let clock = &offline["clocks"][0];
    assert_eq!(clock["ends_at_uk"], "2026-03-30T10:30:00+01:00");
    assert_eq!(clock["seconds_left"], (45 * 3_600 + 1_800).to_string());

    let table = concordat(&[&["signpost", "show", "-o", "table"], &SITUATION[..], &times].concat());
    for words in ["Welsh Ministers", "0303 123 1113", "2026-03-30T10:30:00+01:00", "not a verdict"] {
        assert!(said(&table).contains(words), "{words}: {}", said(&table));
    }
    for (words, names) in [
        (&["--nation", "atlantis"][..], "scotland"),
        (&["--facts", "ransom"], "personal-data"),
        (&["--aware-at", "yesterday"], "--aware-at"),
        (&["--aware-at", "+1h"], "--aware-at"),
    ] {
        let wrong = concordat(&[&["signpost", "show"], words].concat());
        assert_eq!(exit(&wrong), 2, "{words:?}: {wrong:?}");
        assert!(complained(&wrong).contains(names), "{words:?}: {}", complained(&wrong));
    }

    run(Engine::Sqlite, |world: World| async move {
        let desk = Desk::of(world);
        let context = desk.world.workspace.context("nca", "typing", &[], &[], "one", desk.world.node.address);
        let context = desk.world.workspace.write_context("nca", &context).unwrap();
        let find = desk.types_with(&context, &[&["signpost", "find"], &SITUATION[..], &times].concat(), "").await;
        assert_eq!(json(&find), offline);
        let help = desk.types_with(&context, &["help-offer", "list-help", "--agency", "nca", "-o", "table"], "").await;
        assert!(said(&help).contains("nca-motives"), "{help:?}");
        desk.world
    });
}
