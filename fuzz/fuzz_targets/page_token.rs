//! A page token: none opens that this node did not seal for this caller.
#![no_main]

use std::sync::LazyLock;

use concordat::seal::Seal;
use data_encoding::BASE64URL_NOPAD;
use libfuzzer_sys::fuzz_target;

const BOUND: [&str; 2] = ["ico", "ReleaseService/ListRequests"];

static SEALED: LazyLock<(Seal, String)> = LazyLock::new(|| {
    let seal = Seal::new(&[7; 32]).expect("a seal");
    let token = seal.seal_token(&BOUND, "req_1").expect("a token");
    (seal, token)
});

fuzz_target!(|data: &[u8]| {
    let (seal, good) = &*SEALED;
    let mut changed = good.clone().into_bytes();
    for change in data.chunks_exact(2) {
        let at = usize::from(change[0]) % changed.len();
        changed[at] = change[1];
    }
    let changed = String::from_utf8_lossy(&changed).into_owned();
    for token in [String::from_utf8_lossy(data).into_owned(), BASE64URL_NOPAD.encode(data), changed] {
        assert_eq!(seal.open_token(&BOUND, &token).is_ok(), token == *good, "{token}");
        assert!(seal.open_token(&["nca", BOUND[1]], &token).is_err(), "{token}");
    }
});
