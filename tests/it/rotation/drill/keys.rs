//! The ledger's key and the node's secret, in a loop of their own: what replaces them are entries, a restart, and
//! wrapping anew, while callers repeat what is not answered.

use concordat::ledger::{Keyring, TrustedKey, verify};

use super::*;

fn verifies(response: &v1::RequestReleaseResponse, key: &str) -> bool {
    verify(response.receipt.as_ref().unwrap(), &Keyring::parse([key]).unwrap()).is_ok()
}

/// How long it took.
async fn timed<T>(measured: &mut Measured, what: &'static str, done: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = done.await;
    measured.add("the ledger's key and the node's secret", what, began.elapsed());
    done
}

on_both_databases! {
    /// The orders of docs/keys.md, again and again.
    async fn nothing_is_lost_while_the_ledgers_key_and_the_secret_rotate(world: World) {
        // Ahead of the machine's clock, which the commands go by: no entry of theirs is from its future.
        world.hand.set(real_now().plus_seconds(6 * 3_600));
        let held = world.permitted("ncsc").await.held;
        let rounds = times("CONCORDAT_KEY_ROTATIONS", 2, 100);
        let new_key = |world: &World, number: usize| {
            let file = format!("ledger-{number}.key");
            let (_, line) = world.new_ledger_key(&file, u8::try_from(number).unwrap());
            (PathBuf::from(file), line)
        };
        let new_secret = |world: &World, number: usize| {
            let file = format!("node-{number}.secret");
            let name = world.new_secret(&file, u8::try_from(number).unwrap());
            (PathBuf::from(file), name)
        };
        let (mut key, mut secret) = (new_key(&world, 1), new_secret(&world, 1));
        let mut line = fs::read_to_string(world.beside("ledger.pub")).unwrap().trim().to_owned();
        let mut name = world.did(&["seal", "status"])["secrets"][0]["name"].as_str().unwrap().to_owned();
        // What comes next every node can read already.
        world = world.stop().await.start_with(|config| {
            config.node.other_ledger_key_files = vec![key.0.clone()];
            config.node.other_secret_files = vec![secret.0.clone()];
        }).await;
        let load = Load::begin(&world, true).await;
        let mut measured = Measured::default();
        for number in 2..rounds + 2 {
            let old_id = TrustedKey::parse(&line).unwrap().id().to_owned();
            timed(&mut measured, "rotate-key", async { world.did(&["ledger", "rotate-key"]) }).await;
            let both = world.put(&held, world.ask(&held)).await.unwrap();
            assert!(verifies(&both, &line) && verifies(&both, &key.1), "round {number}");
            timed(&mut measured, "retire-key", async { world.did(&["ledger", "retire-key", &old_id]) }).await;
            let alone = world.put(&held, world.ask(&held)).await.unwrap();
            assert!(!verifies(&alone, &line) && verifies(&alone, &key.1), "round {number}");

            let (next_key, next_secret) = (new_key(&world, number), new_secret(&world, number));
            let restart = world.stop().await.start_with(|config| {
                let node = &mut config.node;
                let old = std::mem::replace(&mut node.secret_file, secret.0.clone());
                node.other_secret_files = vec![old, next_secret.0.clone()];
                node.ledger_key_file = key.0.clone();
                node.other_ledger_key_files = vec![next_key.0.clone()];
            });
            world = timed(&mut measured, "restart", restart).await;
            load.move_to(Edition { node: world.node.address, ..load.edition() }).await;
            let done = timed(&mut measured, "rewrap", async { world.did(&["seal", "rewrap"]) }).await;
            assert_eq!(done["needed_no_more"], serde_json::json!([name]), "{done}");
            (line, name) = (key.1, secret.1);
            (key, secret) = (next_key, next_secret);
        }
        measured.tell();
        load.end(rounds).await;
        // Everything that was sealed and signed before opens, and verifies, with the last ones alone.
        fs::write(world.beside("ledger.pub"), &line).unwrap();
        world = world.stop().await.start_with(|config| {
            config.node.other_secret_files.clear();
            config.node.other_ledger_key_files.clear();
        }).await;
        let again = world.put(&held, world.ask(&held)).await.unwrap();
        assert!(verifies(&again, &line));
    }
}
