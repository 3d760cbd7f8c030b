//! `concordat statistics show` against a node.

use concordat::domain::Quarter;

use super::calls::{Desk, complained, json, said};
use super::exit;
use crate::harness::{Engine, PURPOSES, World, real_now, run};

#[test]
fn a_table_is_shown_as_one_likes_and_the_exit_code_says_why_it_is_not() {
    run(Engine::Sqlite, |world: World| async move {
        let desk = Desk::of(world);
        let quarter = |days| Quarter::of(real_now().plus_days(days)).to_string();
        // Nothing was registered in it: every number is left out.
        let (over, now) = (quarter(-100), quarter(0));
        desk.world.publish("ico", &over).await.unwrap();
        let file = |agency: &str| {
            let context = desk.world.workspace.context(
                agency,
                "sta",
                &["statistician"],
                &PURPOSES,
                "one",
                desk.world.node.address,
            );
            desk.world.workspace.write_context(&format!("{agency}-statistician"), &context).unwrap()
        };
        let (ico, ncsc) = (file("ico"), file("ncsc"));
        let show = ["statistics", "show", "--table", "sector", "--quarter"];

        let own = desk.types_with(&ico, &[&show[..], &[&over]].concat(), "").await;
        assert_eq!(json(&own)["quarter"], *over);
        let others = [&show[..], &[&over, "--holder", "ico"]].concat();
        assert_eq!(json(&desk.types_with(&ncsc, &others, "").await), json(&own), "the same table, through the gate");
        let bars = desk.types_with(&ncsc, &[&others[..], &["-o", "table"]].concat(), "").await;
        assert!(said(&bars).contains("left out") && said(&bars).contains("fewer than 10"), "{bars:?}");
        assert!(!said(&bars).contains('\u{1b}'), "colours are for terminals: {bars:?}");
        let csv = desk.types_with(&ncsc, &[&others[..], &["-o", "csv"]].concat(), "").await;
        assert!(said(&csv).contains(&format!("ico,{over},health,\n")), "{csv:?}");
        let svg = desk.types_with(&ncsc, &[&others[..], &["--svg"]].concat(), "").await;
        assert!(said(&svg).starts_with("<svg"), "{svg:?}");

        let not_published = desk.types_with(&ncsc, &[&show[..], &[&now, "--holder", "ico"]].concat(), "").await;
        assert_eq!(exit(&not_published), 1, "{not_published:?}");
        let not_covered = desk.types_with(&ico, &[&show[..], &[&over, "--holder", "ncsc"]].concat(), "").await;
        assert_eq!(exit(&not_covered), 11, "{not_covered:?}");
        let no_table = ["statistics", "show", "--table", "colour", "--quarter", &over];
        let no_table = desk.types_with(&ico, &no_table, "").await;
        assert_eq!(exit(&no_table), 2, "{no_table:?}");
        assert!(complained(&no_table).contains("sector-type"), "the tables that there are: {no_table:?}");
        let elsewhere = desk.types_with(&ico, &["statistics", "list-publications", "-o", "csv"], "").await;
        assert_eq!(exit(&elsewhere), 2, "{elsewhere:?}");
        desk.world
    });
}
