//! A checkpoint and a receipt: what is not signed verifies nothing.
#![no_main]

use std::sync::LazyLock;

use concordat::ledger::{Keyring, SigningKey, read_checkpoint, verify};
use concordat::proto::v1::Receipt;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

const SEED: [u8; 32] = [7; 32];

static SIGNED: LazyLock<(Keyring, String)> = LazyLock::new(|| {
    let key = SigningKey::from_seed("node.ncsc.example/ledger", &SEED).expect("a key");
    let keyring = Keyring::parse([key.verifier_key().as_str()]).expect("a keyring");
    (keyring, key.sign_checkpoint(9, [3; 32]).expect("a checkpoint"))
});

fuzz_target!(|data: &[u8]| {
    let (keys, good) = &*SIGNED;
    let text = String::from_utf8_lossy(data);
    drop(read_checkpoint(&text));
    assert!(keys.open(&text).is_err() || text.contains("node.ncsc.example/ledger"));
    drop(Keyring::parse([&*text]));
    let mut changed = good.clone().into_bytes();
    for change in data.chunks_exact(2) {
        let at = usize::from(change[0]) % changed.len();
        changed[at] = change[1];
    }
    let changed = String::from_utf8_lossy(&changed);
    if let Ok(signed) = keys.open(&changed) {
        let checkpoint = signed.checkpoint;
        assert_eq!((checkpoint.size, checkpoint.root), (9, [3; 32]), "{changed}");
    }
    if let Ok(receipt) = Receipt::decode(data) {
        assert!(verify(&receipt, keys).is_err(), "nobody signed it");
        let posed = Receipt { origin: "node.ncsc.example/ledger".to_owned(), checkpoint: good.clone(), ..receipt };
        assert!(verify(&posed, keys).is_err(), "its tree has no such entry");
    }
});
