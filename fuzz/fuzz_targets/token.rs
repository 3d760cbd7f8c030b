//! A token, whole and in its parts: nobody is identified but by the one good token.
#![no_main]

use std::sync::LazyLock;

use concordat::domain::{AgencyId, Instant, OfficerId, Purpose, Role, Unit};
use concordat::identity::{Grant, Issuers, Peer, RegisteredIssuer, TokenKey, Tokens, sign};
use concordat::pki::{Authority, TokenKeyPair};
use concordat::tls::{Revocation, Trust, TrustedAgency, certificates};
use data_encoding::BASE64URL_NOPAD;
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;

const ISSUER: &str = "https://tokens.ico.example";
const AUDIENCE: &str = "https://node.ncsc.example";

struct Desk {
    peer: Peer,
    tokens: Tokens,
    good: String,
    now: Instant,
}

static DESK: LazyLock<Desk> = LazyLock::new(|| {
    let now = Instant::from_micros(0).plus_seconds(UnixTime::now().as_secs().try_into().expect("a time"));
    let authority = Authority::new("ico", "ico.example", now).expect("an authority");
    let trusted = TrustedAgency {
        agency: AgencyId::known("ico"),
        trust_domain: "ico.example".to_owned(),
        roots: certificates(authority.root_pem().as_bytes()).expect("a root"),
        revocation: Revocation::ShortLived,
    };
    let chain = authority.issue_client("gateway", now).expect("a certificate").chain_pem;
    let chain = certificates(chain.as_bytes()).expect("a chain");
    let peer = Trust::new([trusted]).expect("trust").admit(&chain, UnixTime::now()).expect("a peer");
    let pair = TokenKeyPair::generate().expect("a key");
    let issuer = RegisteredIssuer {
        agency: AgencyId::known("ico"),
        issuer: ISSUER.to_owned(),
        keys: vec![("ico-1".to_owned(), TokenKey::from_pem(&pair.public_pem).expect("a key"))],
        roles: [Role::known("requester")].into(),
    };
    let tokens = Tokens::new(AUDIENCE, &[7; 32], Issuers::new([issuer]).expect("an issuer"));
    let grant = Grant {
        issuer: ISSUER,
        key_id: "ico-1",
        audience: AUDIENCE,
        officer: &OfficerId::known("a.okafor"),
        unit: &Unit::known("Incident response"),
        roles: &[Role::known("requester")],
        purposes: &[Purpose::known("harm-reduction")],
        fingerprint: peer.fingerprint(),
        now,
        seconds: 300,
    };
    let good = sign(&grant, &pair.private_pem).expect("a token");
    Desk { peer, tokens, good, now }
});

fuzz_target!(|data: &[u8]| {
    let Desk { peer, tokens, good, now } = &*DESK;
    let Some((how, rest)) = data.split_first() else { return };
    let parts: Vec<&str> = good.split('.').collect();
    let part = BASE64URL_NOPAD.encode(rest);
    let token = match how % 5 {
        0 => String::from_utf8_lossy(rest).into_owned(),
        1 => format!("{part}.{}.{}", parts[1], parts[2]),
        2 => format!("{}.{part}.{}", parts[0], parts[2]),
        3 => format!("{}.{}.{part}", parts[0], parts[1]),
        // The good one with bytes of it replaced.
        _ => {
            let mut bytes = good.clone().into_bytes();
            for change in rest.chunks_exact(3) {
                let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % bytes.len();
                bytes[at] ^= change[2];
            }
            String::from_utf8_lossy(&bytes).into_owned()
        }
    };
    let identified = tokens.identify(peer, Some(&format!("Bearer {token}")), *now);
    assert_eq!(identified.is_ok(), token == *good, "{token}");
});
