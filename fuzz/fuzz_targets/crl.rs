//! A list of revoked certificates: none counts that its authority did not sign.
#![no_main]

use std::sync::LazyLock;

use concordat::domain::Instant;
use concordat::pki::Authority;
use concordat::tls::{RevocationList, certificates, revocation_lists};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::{CertificateDer, UnixTime};

static GOOD: LazyLock<(Vec<CertificateDer<'static>>, Vec<u8>, Instant)> = LazyLock::new(|| {
    let now = Instant::from_micros(0).plus_seconds(UnixTime::now().as_secs().try_into().expect("a time"));
    let authority = Authority::new("ico", "ico.example", now).expect("an authority");
    let issued = authority.issue_client("gateway", now).expect("a certificate");
    let list = authority.revoke(&[&issued], 7, now).expect("a list");
    let der = revocation_lists(list.as_bytes()).remove(0).expect("a list").to_vec();
    (certificates(authority.root_pem().as_bytes()).expect("a root"), der, now)
});

/// What the signature is over: the first thing within the outermost.
fn signed(der: &[u8]) -> &[u8] {
    let long = |at: usize| usize::from(der[at] & 0x7f) * usize::from(der[at] >> 7);
    let begin = 2 + long(1);
    let length = match long(begin + 1) {
        0 => usize::from(der[begin + 1]),
        more => der[begin + 2..begin + 2 + more].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    &der[begin..begin + 2 + long(begin + 1) + length]
}

fuzz_target!(|data: &[u8]| {
    let (roots, good, now) = &*GOOD;
    drop(revocation_lists(data));
    assert!(RevocationList::read(data, roots, *now).is_err(), "nobody signed it");
    let mut changed = good.clone();
    for change in data.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % changed.len();
        changed[at] = change[2];
    }
    if RevocationList::read(&changed, roots, *now).is_ok() {
        let part = signed(good);
        let begin = good.windows(part.len()).position(|window| window == part).expect("a part of it");
        assert_eq!(&changed[begin..begin + part.len()], part, "nobody signed it");
    }
});
