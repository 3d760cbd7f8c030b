//! A node that has begun to start: it waits for its database, and stops when it is told to.

use std::fs;

use concordat::config::OpsSection;
use concordat::proto::BUNDLED_AGREEMENTS;

use super::{answer, free, until};
use crate::cli::{concordat, exit, text};
use crate::harness::{Engine, World, run};
use crate::postgres;
use crate::program::Program;

#[test]
fn a_node_waits_for_a_database_that_is_not_there_and_stops_when_it_is_told() {
    let Some(mut server) = postgres::durable_server() else { return };
    run(Engine::Sqlite, |world: World| async move {
        let file = world.workspace.folder().join("node-one/waits.toml");
        let mut config = world.config.clone();
        config.node.database = server.database();
        config.ops = OpsSection { enabled: true, listen: free(), shutdown_delay_seconds: 0 };
        config.write(&file).unwrap();
        let ops = config.ops.listen;
        server.crash();

        let program = Program::begin(&file);
        program.until_it_says("waiting for the database");
        let (status, says) = answer(ops, "/startupz");
        assert!(status == 503 && says.contains("database") && says.contains("starting"), "{status} {says}");
        let figures = answer(ops, "/metrics").1;
        let mut parts: Vec<&str> = figures.lines().filter(|line| line.starts_with("concordat_ready{")).collect();
        parts.sort_unstable();
        let known = ["certificate\"} 1", "database\"} 0", "started\"} 0"]
            .map(|part| format!("concordat_ready{{check=\"{part}"));
        assert_eq!(parts, known, "nothing of what it has not looked at");
        assert_eq!(answer(ops, "/livez").0, 200, "waiting is no reason to restart it");
        let log = program.terminate();
        assert!(log.contains("stopping: it had not begun to serve"), "{log}");
        let waiting = log.lines().find(|line| line.contains("waiting for the database")).unwrap();
        assert!(waiting.contains("WARN") && waiting.contains("the database cannot be reached: start it"), "{waiting}");

        let program = Program::begin(&file);
        program.until_it_says("waiting for the database");
        server.start_again();
        until(ops, "/readyz", 200);
        program.terminate();

        // What nobody but the operator can put right is told at once.
        config.node.database = server.url_of("nobody_made_it");
        config.write(&file).unwrap();
        let ended = concordat(&["serve", "--config", text(&file)]);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(exit(&ended) == 3 && said.contains("does not exist"), "{said}");
        world
    });
}

/// Which of two texts an operator would activate is never left to the order of a folder.
#[test]
fn an_agreement_has_one_text_and_one_that_replaces_a_bundled_one_is_logged() {
    run(Engine::Sqlite, |world: World| async move {
        let home = world.workspace.folder().join("node-one");
        let (id, terms, clauses) = BUNDLED_AGREEMENTS[0];
        let propose = |name: &str, terms: &str| {
            let folder = home.join("proposals").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("agreement.toml"), terms).unwrap();
            fs::write(folder.join("clauses.cedar"), clauses).unwrap();
        };
        propose("one", &format!("{terms}\n# Amended.\n"));
        let mut config = world.config.clone();
        config.node.agreements = Some("proposals".into());
        let file = home.join("proposes.toml");
        config.write(&file).unwrap();
        let stopped = world.stop().await;
        let log = Program::start(&file).terminate();
        let line = log.lines().find(|line| line.contains("an agreement has two texts")).expect("a line that says so");
        assert!(line.contains("WARN") && line.contains(id), "{line}");

        propose("two", terms);
        let checked = concordat(&["config", "check", "--config", text(&file)]);
        assert_eq!(exit(&checked), 1, "{checked:?}");
        let said = stopped.refuses(|config| config.node.agreements = Some("proposals".into())).await;
        assert!(said.contains(&format!("are both the agreement `{id}`: keep one of them")), "{said}");
        stopped.start().await
    });
}
