//! Who signs the ledger.

use std::path::Path;
use std::time::Duration;

use concordat::domain::Instant;
use concordat::ledger::{Invalidity, Keyring, SigningKey, TrustedKey, verify};
use concordat::proto::v1::{self, Receipt};
use prost::Message as _;
use serde_json::Value;

use crate::cli::{concordat, exit, text};
use crate::harness::{World, on_both_databases, real_now};

const ORIGIN: &str = "one.concordat.example";

fn ring(lines: &[&str]) -> Keyring {
    Keyring::parse(lines.iter().copied()).unwrap()
}

/// Who signed it, of the keys of this keyring.
fn signers(receipt: &Receipt, ring: &Keyring) -> Vec<String> {
    verify(receipt, ring).unwrap().signed_by.iter().map(|key| key.id().to_owned()).collect()
}

impl World {
    /// A new key of the ledger, in a file of its own; its id and its verifier key.
    pub(crate) fn new_ledger_key(&self, file: &str, seed: u8) -> (String, String) {
        let key = SigningKey::from_seed(ORIGIN, &[seed; 32]).unwrap();
        self.put_private(file, &SigningKey::write(ORIGIN, &[seed; 32]).unwrap());
        (key.id(), key.verifier_key())
    }

    async fn entry_of(&self, agency: &str, index: u64) -> Receipt {
        let request = v1::GetEntryRequest { index };
        self.ledger(agency).get_entry(request).await.unwrap().into_inner().receipt.unwrap()
    }

    /// The keyring that the operator hands out.
    fn keyring(&self) -> Vec<String> {
        let printed = self.operator(&["-o", "table", "ledger", "keys"]);
        let lines = String::from_utf8(printed.stdout).unwrap();
        std::fs::write(self.beside("ring"), &lines).unwrap();
        lines.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    /// What `concordat verify` says of a receipt with a keyring.
    fn judged(&self, receipt: &Receipt, keys: &Path) -> (i32, Value) {
        let file = self.beside("judged.receipt");
        std::fs::write(&file, receipt.encode_to_vec()).unwrap();
        let output = concordat(&["verify", text(&file), "--key", text(keys)]);
        (exit(&output), serde_json::from_slice(&output.stdout).unwrap())
    }
}

on_both_databases! {
    /// The whole order of docs/keys.md.
    async fn a_ledger_key_is_replaced_with_an_overlap(world: World) {
        // Ahead of the machine's clock, which the commands go by: no entry of theirs is from its future.
        world.hand.set(real_now().plus_seconds(600));
        let held = world.hold("ncsc", "ico").await;
        let early = world.put(&held, world.ask(&held)).await.unwrap().receipt.unwrap();
        let old = std::fs::read_to_string(world.beside("ledger.pub")).unwrap().trim().to_owned();
        let old_id = TrustedKey::parse(&old).unwrap().id().to_owned();
        let (new_id, new) = world.new_ledger_key("new.key", 1);

        // A key that nobody announced.
        assert!(world.declined(&["ledger", "rotate-key"]).contains("ledger keygen"), "there is no new key");
        let stopped = world.stop().await;
        let error = stopped.refuses(|config| config.node.ledger_key_file = "new.key".into()).await;
        assert!(error.contains(&old_id) && error.contains("rotate-key"), "{error}");

        // Configured, it signs nothing yet; then both do, without a restart.
        world = stopped.start_with(|config| config.node.other_ledger_key_files.push("new.key".into())).await;
        let before = world.put(&held, world.ask(&held)).await.unwrap().receipt.unwrap();
        assert!(matches!(verify(&before, &ring(&[&new])), Err(Invalidity::Invalid(_))), "the new key signed unannounced");
        let index = world.did(&["ledger", "rotate-key"])["entry"].as_u64().unwrap();
        let overlap = world.put(&held, world.ask(&held)).await.unwrap().receipt.unwrap();
        assert_eq!(overlap.index, index + 1);
        for known in [&old, &new] {
            verify(&overlap, &ring(&[known])).unwrap();
            // Whoever knows one of them learns of the other from the ledger, signed by both.
            let change = verify(&world.entry_of("nca", index).await, &ring(&[known])).unwrap().ledger_key.unwrap();
            assert_eq!((change.before, change.after), (vec![old.clone()], vec![old.clone(), new.clone()]));
            assert_eq!(ring(&[&old]).open(&change.checkpoint).unwrap().checkpoint.size, index);
        }
        assert!(world.declined(&["ledger", "rotate-key"]).contains("signs or signed already"));

        // The old one ends; from the next entry on only the new one signs, for what was there before as well.
        let ended = world.did(&["ledger", "retire-key", &old_id])["entry"].as_u64().unwrap();
        assert!(world.declined(&["ledger", "retire-key", &new_id]).contains("no key would sign"));
        assert!(world.declined(&["ledger", "retire-key", &old_id]).contains("does not sign any more"));
        let late = world.put(&held, world.ask(&held)).await.unwrap().receipt.unwrap();
        assert_eq!((late.index, signers(&late, &ring(&[&new]))), (ended + 1, vec![new_id.clone()]));
        assert!(matches!(verify(&late, &ring(&[&old])), Err(Invalidity::Invalid(_))), "the old key signs on");
        assert_eq!(signers(&world.entry_of("ico", early.index).await, &ring(&[&new])), [new_id.as_str()]);

        // Keys and dates are handed out; with them everything verifies, and says which key was in use then.
        let lines = world.keyring();
        assert!(lines[0].starts_with(&format!("{old} until ")) && lines[1].starts_with(&format!("{new} from ")), "{lines:?}");
        let (keys, node) = (world.beside("ring"), world.beside("node.toml"));
        for (receipt, by) in [(&early, vec![&old_id]), (&overlap, vec![&old_id, &new_id]), (&late, vec![&new_id])] {
            let (code, said) = world.judged(receipt, &keys);
            let signed = said["receipt"]["signed by"].as_str().unwrap_or_default();
            assert!(code == 0 && by.iter().all(|id| signed.contains(id.as_str())), "{said}");
        }
        let ended_long_ago = ring(&[&format!("{old} until 2001-01-01")]);
        let judged = verify(&early, &ended_long_ago);
        assert!(matches!(judged, Err(Invalidity::Invalid(why)) if why.contains("not in use any more")));
        assert_eq!(exit(&concordat(&["ledger", "check", "--config", text(&node), "--key", text(&keys)])), 0);
        std::fs::write(world.beside("ledger.pub"), &new).unwrap();

        // It was replaced in good time, and is found in other hands only then. The node that serves hears of it.
        let believes = |world: &World| {
            let node = world.node.exchange().node();
            let said = node.naming_receipt("receipt", &early.encode_to_vec()).unwrap_err().to_string();
            !said.contains("does not verify")
        };
        assert!(believes(&world), "of a key that was retired it believes what is from before");
        assert!(world.declined(&["ledger", "retire-key", &old_id]).contains("does not sign any more since"));
        world.did(&["ledger", "retire-key", &old_id, "--compromised-from", "2026-01-03"]);
        let heard = async {
            while believes(&world) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), heard).await.expect("it goes on believing the key");
        for later in ["2026-01-03", "2026-02-01"] {
            let said = world.declined(&["ledger", "retire-key", &old_id, "--compromised-from", later]);
            assert!(said.contains("can only become an earlier one"), "{said}");
        }
        let found = world.did(&["ledger", "retire-key", &old_id, "--compromised-from", "2026-01-02"]);
        let lines = world.keyring();
        assert!(lines[0].contains(" until ") && lines[0].ends_with("compromised 2026-01-02T00:00:00Z"), "{lines:?}");
        let (code, said) = world.judged(&early, &keys);
        assert!(code == 3 && said["problem"].as_str().unwrap().contains("in other hands"), "{code} {said}");
        let entry = verify(&world.entry_of("nca", found["entry"].as_u64().unwrap()).await, &ring(&[&new])).unwrap();
        let change = entry.ledger_key.unwrap();
        assert_eq!((change.before, change.after), (vec![new.clone(), old.clone()], vec![new.clone()]));
        assert_eq!(change.compromised_from_micros, Instant::parse("2026-01-02").unwrap().micros());

        // The old file goes.
        world = world.stop().await.start_with(|config| {
            config.node.other_ledger_key_files.clear();
            config.node.ledger_key_file = "new.key".into();
        }).await;
        assert_eq!(signers(&world.entry_of("ico", early.index).await, &ring(&[&new])), [new_id.as_str()]);
    }

    async fn a_compromised_key_proves_nothing_alone_and_a_lost_one_is_replaced_by_an_entry_that_says_so(world: World) {
        // Ahead of the machine's clock, which the commands go by: no entry of theirs is from its future.
        world.hand.set(real_now().plus_seconds(600));
        let held = world.hold("ncsc", "ico").await;
        let early = world.put(&held, world.ask(&held)).await.unwrap().receipt.unwrap();
        let old = std::fs::read_to_string(world.beside("ledger.pub")).unwrap().trim().to_owned();
        let old_id = TrustedKey::parse(&old).unwrap().id().to_owned();
        let (_, new) = world.new_ledger_key("new.key", 1);
        world = world.stop().await.start_with(|config| config.node.other_ledger_key_files.push("new.key".into())).await;
        world.did(&["ledger", "rotate-key"]);
        world.did(&["ledger", "retire-key", &old_id, "--compromised-from", "2026-01-02"]);
        let lines = world.keyring();
        assert!(lines[0].ends_with("compromised 2026-01-02T00:00:00Z"), "{lines:?}");
        let keys = world.beside("ring");
        let (code, said) = world.judged(&early, &keys);
        assert!(code == 3 && said["problem"].as_str().unwrap().contains("in other hands"), "{code} {said}");
        assert_eq!(world.judged(&world.entry_of("ico", early.index).await, &keys).0, 0, "fetched again, another key signs");

        // All that signed is lost: the node does not start with a key of nobody's, until an entry says so.
        let (newest_id, newest) = world.new_ledger_key("newest.key", 2);
        let only = |config: &mut concordat::config::Config| {
            config.node.other_ledger_key_files.clear();
            config.node.ledger_key_file = "newest.key".into();
        };
        assert!(world.declined(&["ledger", "rotate-key", "--lost", &new]).contains("it is not lost"));
        let stopped = world.stop().await;
        let error = stopped.refuses(only).await;
        assert!(error.contains("if it is lost"), "{error}");
        world = stopped.start().await;
        only(&mut world.config);
        assert!(world.declined(&["ledger", "rotate-key", "--lost", &old]).contains("does not verify"));
        let index = world.did(&["ledger", "rotate-key", "--lost", &new])["entry"].as_u64().unwrap();
        // A node without the key that signs now commits nothing.
        let size = world.size().await;
        assert!(world.put(&held, world.ask(&held)).await.is_err());
        assert_eq!(world.size().await, size);
        world = world.restart().await;
        let receipt = world.entry_of("ico", index).await;
        let change = verify(&receipt, &ring(&[&newest])).unwrap().ledger_key.unwrap();
        assert!(change.lost && change.before == [new.clone()] && change.after == [newest.clone()], "{change:?}");
        assert_eq!(signers(&receipt, &ring(&[&newest])), [newest_id]);
        std::fs::write(world.beside("ledger.pub"), &newest).unwrap();
    }
}
