//! A SPIFFE id, and a certificate that could carry one: what is read is written the same.
#![no_main]

use std::sync::LazyLock;

use concordat::domain::{AgencyId, Instant};
use concordat::identity::SpiffeId;
use concordat::pki::Authority;
use concordat::tls::{Revocation, Trust, TrustedAgency, certificates};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::{CertificateDer, UnixTime};

static TRUST: LazyLock<(Trust, Vec<u8>)> = LazyLock::new(|| {
    let now = Instant::from_micros(0).plus_seconds(UnixTime::now().as_secs().try_into().expect("a time"));
    let authority = Authority::new("ico", "ico.example", now).expect("an authority");
    let trusted = TrustedAgency {
        agency: AgencyId::known("ico"),
        trust_domain: "ico.example".to_owned(),
        roots: certificates(authority.root_pem().as_bytes()).expect("a root"),
        revocation: Revocation::ShortLived,
    };
    let chain = authority.issue_client("gateway", now).expect("a certificate").chain_pem;
    let good = certificates(chain.as_bytes()).expect("a chain").remove(0).to_vec();
    (Trust::new([trusted]).expect("trust"), good)
});

fuzz_target!(|data: &[u8]| {
    let (trust, good) = &*TRUST;
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(id) = SpiffeId::parse(text)
    {
        assert_eq!(id.to_string(), text);
    }
    let mut changed = good.clone();
    for change in data.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % changed.len();
        changed[at] = change[2];
    }
    let is_good = changed == *good;
    for der in [data.to_vec(), changed] {
        let admitted = trust.admit(&[CertificateDer::from(der)], UnixTime::now());
        assert!(admitted.is_err() || is_good, "nobody signed it");
    }
});
