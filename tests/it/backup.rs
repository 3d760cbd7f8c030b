//! Restored copies: one that lacks what was acknowledged since is not served to whoever shows the node a newer checkpoint.

use concordat::config::Config;
use concordat::ledger::SigningKey;
use concordat::store::{Options, Store};

use crate::builders::{assert_open, assert_released};
use crate::cli::{concordat, execute, exit, text};
use crate::harness::{World, on_both_databases};

const ORIGIN: &str = "one.concordat.example";

impl World {
    /// A copy of the database as an operator makes one: of SQLite's while the node serves.
    async fn back_up(self, name: &str) -> (Self, String) {
        let url = self.config.database_url();
        if url.starts_with("sqlite:") {
            let file = self.beside(name);
            execute(&url, &[], &[&format!("VACUUM INTO '{}'", text(&file))]).await;
            return (self, format!("sqlite:{}", text(&file)));
        }
        // PostgreSQL copies a database in which nobody works.
        let stopped = self.stop().await;
        let copy = crate::postgres::copy(&url);
        (stopped.start().await, copy)
    }
}

/// A node that restored this copy and is shown this checkpoint.
fn restored<'a>(copy: &'a str, checkpoint: Option<&'a str>) -> impl FnOnce(&mut Config) + 'a {
    move |config| {
        copy.clone_into(&mut config.node.database);
        config.node.trusted_checkpoint_files = checkpoint.map(Into::into).into_iter().collect();
    }
}

on_both_databases! {
    async fn an_older_copy_is_not_served_where_a_newer_checkpoint_was_kept(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let consent = world.give_consent(&held, world.scope(&held)).await;
        world.authorise(&held).await;
        let (backed_up, older) = world.back_up("older.db").await;
        world = backed_up;
        let of_older = world.size().await;
        world.withdraw_consent(&held, &consent).await.unwrap();
        let of_kept = world.size().await;
        for (name, more) in [("kept", [].as_slice()), ("kept.json", &["-o", "json"])] {
            let printed = world.operator(&[["ledger", "checkpoint"].as_slice(), more].concat());
            assert_eq!(exit(&printed), 0, "{printed:?}");
            std::fs::write(world.beside(name), printed.stdout).unwrap();
        }
        let note = std::fs::read_to_string(world.beside("kept")).unwrap();
        let receipt = serde_json::json!({ "receipt": { "origin": ORIGIN, "checkpoint": note } });
        std::fs::write(world.beside("kept.receipt"), receipt.to_string()).unwrap();
        let answer = world.put(&held, world.ask(&held)).await.unwrap();
        assert_open(answer.outcome.as_ref().unwrap());
        let (backed_up, newer) = world.back_up("newer.db").await;
        world = backed_up;
        let (folder, kept) = (world.beside(""), world.beside("kept"));
        let file = |name: &str, content: &str| std::fs::write(folder.join(name), content).unwrap();

        let stopped = world.stop().await;
        let lacks = format!("it has {of_older} entries");
        for checkpoint in ["kept", "kept.json", "kept.receipt"] {
            let problem = stopped.refuses(restored(&older, Some(checkpoint))).await;
            assert!(problem.contains(&lacks) && problem.contains(&format!("{of_kept} were signed. Missing: 1,")), "{problem}");
            assert_eq!(problem.contains("as the file says"), checkpoint == "kept.json", "{problem}");
        }
        // What it is for: without the checkpoint nothing tells the copy from the ledger, and the withdrawal is forgotten.
        world = stopped.start_with(restored(&older, None)).await;
        let answer = world.put(&held, world.ask(&held)).await.unwrap();
        assert_released(answer.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        // By now it is as long as the kept one, and another history.
        assert_eq!(world.size().await, of_kept);
        let stopped = world.stop().await;
        let problem = stopped.refuses(restored(&older, Some("kept"))).await;
        assert!(problem.contains("another history"), "{problem}");

        // Nothing begins in an empty database either.
        let is_sqlite = older.starts_with("sqlite:");
        let empty = if is_sqlite { format!("sqlite:{}", text(&folder.join("empty.db"))) } else { crate::postgres::database().unwrap() };
        Store::open(&Options::serve(&empty).creating()).await.unwrap().close().await;
        let problem = stopped.refuses(restored(&empty, Some("kept"))).await;
        assert!(problem.contains("it has 0 entries, and"), "{problem}");
        let store = Store::open(&Options::inspect(&empty)).await.unwrap();
        assert_eq!(store.reads().await.unwrap().last_checkpoint().await.unwrap(), None, "a second ledger was begun");
        store.close().await;

        // What is no checkpoint of this ledger is shown to no node, whatever the database has.
        let signed = |name: &str, seed: u8| SigningKey::from_seed(name, &[seed; 32]).unwrap().sign_checkpoint(1, [7; 32]).unwrap();
        let own = SigningKey::parse(&std::fs::read_to_string(folder.join("ledger.key")).unwrap()).unwrap();
        for (content, problem) in [
            (signed(ORIGIN, 9), "keys did not sign it"),
            (signed("other.example", 9), "a checkpoint of the ledger `other.example`"),
            (note.replacen(&format!("\n{of_kept}\n"), "\n1\n", 1), "keys did not sign it"),
            (own.sign_checkpoint(1, [7; 32]).unwrap(), "another history"),
            ("{}".to_owned(), "no checkpoint"),
            (String::new(), "cannot be read"),
        ] {
            file("shown", &content);
            let refused = stopped.refuses(restored(&newer, Some("shown"))).await;
            assert!(refused.contains(problem) && refused.contains("shown"), "{problem}: {refused}");
        }

        // The program, as an operator starts it, and the doctor beforehand.
        let mut config = Config::load(&folder.join("node.toml")).unwrap();
        let (restored_file, shown) = (folder.join("restored.toml"), ["--trust-checkpoint", text(&kept)]);
        for (copy, state) in [(&older, "not well"), (&newer, "well")] {
            copy.clone_into(&mut config.node.database);
            config.write(&restored_file).unwrap();
            let of_restored = ["--config", text(&restored_file)];
            let examined = concordat(&[["doctor", "-o", "json"].as_slice(), &of_restored, &shown].concat());
            let said: serde_json::Value = serde_json::from_slice(&examined.stdout).unwrap();
            let mut checks = said["checks"].as_array().unwrap().iter();
            let found = checks.find(|check| check["what"] == "trusted checkpoint").unwrap();
            assert_eq!(found["state"], state, "{found}");
            if state == "not well" {
                let output = concordat(&[["serve"].as_slice(), &of_restored, &shown].concat());
                assert_eq!(exit(&output), 3, "{output:?}");
                assert!(String::from_utf8_lossy(&output.stderr).contains("another history"), "{output:?}");
            }
        }
        world = stopped.start_with(restored(&newer, Some("kept"))).await;
        let answer = world.put(&held, world.ask(&held)).await.unwrap();
        assert_open(answer.outcome.as_ref().unwrap());

        // A key that was in other hands vouches for nothing.
        let old = own.id();
        world.put_private("new.key", &SigningKey::write(ORIGIN, &[1; 32]).unwrap());
        world = world.stop().await.start_with(|config| config.node.other_ledger_key_files.push("new.key".into())).await;
        world.did(&["ledger", "rotate-key"]);
        world.did(&["ledger", "retire-key", &old, "--compromised-from", "2026-01-02"]);
        let stopped = world.stop().await;
        let refused = stopped.refuses(|_| ()).await;
        assert!(refused.contains("in other hands"), "{refused}");
        std::fs::write(folder.join("ledger.pub"), SigningKey::from_seed(ORIGIN, &[1; 32]).unwrap().verifier_key()).unwrap();
        world = stopped.start_with(|config| config.node.trusted_checkpoint_files.clear()).await;
    }
}
