use std::sync::LazyLock;

use super::super::{Leaf, RegisteredIssuer, TokenKey, Tokens, Unregistrable, Vouched};
use super::*;
use crate::domain::{AgencyId, Digest};
use crate::pki::{Authority, Issued, TokenKeyPair};
use crate::tls;

const AUDIENCE: &str = "https://node.ncsc.example";
const ISSUER: &str = "https://login.ico.example";

/// Noon on 1 June 2026: nothing here depends on when it runs.
const NOW: Instant = Instant::from_micros(1_780_315_200_000_000);
const SECONDS: i64 = NOW.micros() / 1_000_000;

struct World {
    ico: Peer,
    ico_other: Peer,
    ncsc: Peer,
    key: TokenKeyPair,
    ncsc_key: TokenKeyPair,
}

fn peer(agency: &str, issued: &Issued) -> Peer {
    peer_until(agency, issued, Instant::MAX)
}

fn peer_until(agency: &str, issued: &Issued, until: Instant) -> Peer {
    let chain = tls::certificates(issued.chain_pem.as_bytes()).expect("a certificate");
    let vouched = Vouched { root: Digest([0; 32]), until };
    Peer::vouched(AgencyId::known(agency), Leaf::read(&chain[0]).expect("acceptable"), vouched)
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let ico = Authority::new("ico", "ico.example", NOW).expect("an authority");
    let ncsc = Authority::new("ncsc", "ncsc.example", NOW).expect("an authority");
    let issue = |authority: &Authority| authority.issue_client("gateway", NOW).expect("a certificate");
    World {
        ico: peer("ico", &issue(&ico)),
        ico_other: peer("ico", &issue(&ico)),
        ncsc: peer("ncsc", &issue(&ncsc)),
        key: TokenKeyPair::generate().expect("a key"),
        ncsc_key: TokenKeyPair::generate().expect("a key"),
    }
});

fn registered(agency: &str, issuer: &str, key: &TokenKeyPair) -> RegisteredIssuer {
    RegisteredIssuer {
        agency: AgencyId::known(agency),
        issuer: issuer.to_owned(),
        keys: vec![(format!("{agency}-1"), TokenKey::from_pem(&key.public_pem).expect("a key"))],
        roles: ["requester", "recorder"].map(Role::known).into(),
    }
}

fn issuers() -> Issuers {
    let ico = registered("ico", ISSUER, &WORLD.key);
    let ncsc = registered("ncsc", "https://login.ncsc.example", &WORLD.ncsc_key);
    Issuers::new([ico, ncsc]).expect("issuers")
}

fn tokens() -> Tokens {
    Tokens::new(AUDIENCE, &[7; 32], issuers())
}

fn good_token() -> String {
    token_for(&WORLD.ico)
}

fn token_for(peer: &Peer) -> String {
    let grant = Grant {
        issuer: ISSUER,
        key_id: "ico-1",
        audience: AUDIENCE,
        officer: &OfficerId::known("a.okafor"),
        unit: &Unit::known("Incident response"),
        roles: &[Role::known("requester")],
        purposes: &[Purpose::known("harm-reduction")],
        fingerprint: peer.fingerprint(),
        now: NOW,
        seconds: 300,
    };
    sign(&grant, &WORLD.key.private_pem).expect("a token")
}

const HEADER: &str = r#"{"typ":"at+jwt","alg":"EdDSA","kid":"ico-1"}"#;

/// The claims of a good token, as text so that a test can write what no serialiser would.
fn claims() -> String {
    let (exp, bound) = (SECONDS + 300, BASE64URL_NOPAD.encode(WORLD.ico.fingerprint().as_bytes()));
    format!(
        r#"{{"iss":"{ISSUER}","sub":"a.okafor","aud":"{AUDIENCE}","exp":{exp},"nbf":{SECONDS},"iat":{SECONDS},"jti":"0123456789abcdef","client_id":"desk","cnf":{{"x5t#S256":"{bound}"}},"unit":"Incident response","roles":["requester"],"purposes":["harm-reduction"]}}"#
    )
}

fn signed_by(header: &str, claims: &str, key: &TokenKeyPair) -> String {
    let key = EncodingKey::from_ed_pem(key.private_pem.as_bytes()).expect("a key");
    let message =
        format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(claims.as_bytes()));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).expect("a signature");
    format!("{message}.{signature}")
}

fn signed(header: &str, claims: &str) -> String {
    signed_by(header, claims, &WORLD.key)
}

/// What comes of presenting the token over the ICO's connection at noon.
fn identify(token: &str) -> Result<Caller, Unidentified> {
    tokens().identify(&WORLD.ico, Some(&format!("Bearer {token}")), NOW)
}

/// Why claims are turned away that differ from good ones in one place.
#[track_caller]
fn with_claim(from: &str, to: &str) -> Unidentified {
    let changed = claims().replacen(from, to, 1);
    assert_ne!(changed, claims(), "nothing was changed");
    identify(&signed(HEADER, &changed)).expect_err(to)
}

#[track_caller]
fn malformed(from: &str, to: &str) {
    let reason = with_claim(from, to);
    assert!(matches!(reason, Unidentified::Claims { .. }), "{to}: {reason:?}");
}

#[test]
fn a_good_token_makes_a_caller() {
    for token in [good_token(), signed(HEADER, &claims())] {
        let caller = identify(&token).expect("a caller");
        assert_eq!(caller.agency().as_str(), "ico");
        assert_eq!(caller.actor().officer.as_str(), "a.okafor");
        assert_eq!(caller.actor().unit.as_str(), "Incident response");
        assert!(caller.has_any_role(&["verifier", "requester"]) && !caller.has_any_role(&["verifier", "recorder"]));
        assert!(caller.may_state(&Purpose::known("harm-reduction")) && !caller.may_state(&Purpose::known("other")));
        assert!(!format!("{caller:?}").contains("okafor"));
    }
}

#[test]
fn a_pseudonym_is_the_officers_own_and_says_nothing() {
    let of = |officer: &str| {
        let token = signed(HEADER, &claims().replacen("a.okafor", officer, 1));
        identify(&token).expect("a caller").actor().pseudonym.clone()
    };
    let pseudonym = of("a.okafor");
    assert_eq!((pseudonym.len(), pseudonym.starts_with("officer-")), (28, true), "{pseudonym}");
    assert_eq!(pseudonym, of("a.okafor"));
    assert_ne!(pseudonym, of("b.okafor"));
}

#[test]
fn an_audience_may_be_alone_in_a_list() {
    let aud = format!(r#""aud":"{AUDIENCE}""#);
    identify(&signed(HEADER, &claims().replacen(&aud, &format!(r#""aud":["{AUDIENCE}"]"#), 1))).expect("a caller");
    malformed(&aud, &format!(r#""aud":["{AUDIENCE}","{AUDIENCE}"]"#));
    malformed(&aud, r#""aud":[]"#);
    malformed(&aud, r#""aud":7"#);
    malformed(&aud, &format!(r#""aud":{{"0":"{AUDIENCE}"}}"#));
    assert_eq!(with_claim(AUDIENCE, "https://node.nca.example"), Unidentified::Audience);
    assert_eq!(with_claim(&aud, r#""aud":["https://node.nca.example"]"#), Unidentified::Audience);
}

#[test]
fn a_token_serves_only_the_certificate_it_is_bound_to() {
    let bound = BASE64URL_NOPAD.encode(WORLD.ico.fingerprint().as_bytes());
    let cnf = format!(r#""cnf":{{"x5t#S256":"{bound}"}},"#);
    malformed(&cnf, "");
    malformed(&cnf, r#""cnf":{},"#);
    malformed(&cnf, r#""cnf":null,"#);
    malformed(&cnf, &cnf.replace('}', r#","jkt":"x"}"#));
    malformed(&cnf, &cnf.replace("S256", "S512"));
    assert_eq!(with_claim(&bound, ""), Unidentified::Binding);
    assert_eq!(with_claim(&bound, &format!("{bound}=")), Unidentified::Binding);
    assert_eq!(with_claim(&bound, bound.get(..42).expect("long enough")), Unidentified::Binding);
    let foreign = BASE64URL_NOPAD.encode(WORLD.ico_other.fingerprint().as_bytes());
    assert_eq!(with_claim(&bound, &foreign), Unidentified::Binding);

    let tokens = tokens();
    let bearer = format!("Bearer {}", good_token());
    tokens.identify(&WORLD.ico, Some(&bearer), NOW).expect("a caller");
    let stolen = tokens.identify(&WORLD.ico_other, Some(&bearer), NOW);
    assert_eq!(stolen, Err(Unidentified::Binding), "remembered for one certificate, it must not serve another");
}

#[test]
fn an_issuer_speaks_for_its_own_agency_only() {
    let tokens = tokens();
    let over = |peer, token: &str| tokens.identify(peer, Some(&format!("Bearer {token}")), NOW).map(|_| ());
    assert_eq!(over(&WORLD.ncsc, &good_token()), Err(Unidentified::UnknownKey));
    // The NCSC's issuer, over the ICO's connection: under its own key id, and under the ICO's.
    let header = HEADER.replace("ico-1", "ncsc-1");
    assert_eq!(over(&WORLD.ico, &signed_by(&header, &claims(), &WORLD.ncsc_key)), Err(Unidentified::UnknownKey));
    assert_eq!(over(&WORLD.ico, &signed_by(HEADER, &claims(), &WORLD.ncsc_key)), Err(Unidentified::Signature));
    assert_eq!(with_claim(ISSUER, "https://login.ncsc.example"), Unidentified::Issuer);
    let iss = format!(r#""iss":"{ISSUER}""#);
    malformed(&iss, &format!(r#""iss":["{ISSUER}"]"#));
}

#[test]
fn a_header_says_three_things_and_no_more() {
    let with = |header: &str| identify(&signed(header, &claims())).map(|_| ());
    for header in [
        r#"{"typ":"JWT","alg":"EdDSA","kid":"ico-1"}"#,
        r#"{"typ":"application/at+jwt","alg":"EdDSA","kid":"ico-1"}"#,
        r#"{"typ":"AT+JWT","alg":"EdDSA","kid":"ico-1"}"#,
        r#"{"alg":"EdDSA","kid":"ico-1"}"#,
        r#"{"typ":"at+jwt","alg":"EdDSA"}"#,
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":null}"#,
        r#"{"typ":"at+jwt","alg":"none","alg":"EdDSA","kid":"ico-1"}"#,
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":"ico-1","kid":"ico-1"}"#,
        "[]",
        "{",
    ] {
        assert_eq!(with(header), Err(Unidentified::Header), "{header}");
    }
    for extra in ["jwk", "jku", "x5u", "x5c", "x5t", "crit", "b64", "zip", "enc", "cty"] {
        let header = HEADER.replace('}', &format!(r#","{extra}":"x"}}"#));
        assert_eq!(with(&header), Err(Unidentified::Header), "{extra}");
    }
    assert_eq!(with(&HEADER.replace("ico-1", "ico-2")), Err(Unidentified::UnknownKey));
}

#[test]
fn a_key_verifies_its_one_algorithm() {
    for algorithm in ["none", "HS256", "ES256", "RS256", "PS256", "eddsa", "Ed25519"] {
        let header = HEADER.replace("EdDSA", algorithm);
        assert_eq!(identify(&signed(&header, &claims())), Err(Unidentified::Algorithm), "{algorithm}");
    }
    // The public key taken for a shared secret.
    let header = HEADER.replace("EdDSA", "HS256");
    let message =
        format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(claims().as_bytes()));
    let secret = EncodingKey::from_secret(WORLD.key.public_pem.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, Algorithm::HS256).expect("a signature");
    assert_eq!(identify(&format!("{message}.{signature}")), Err(Unidentified::Algorithm));
}

#[test]
fn es256_is_accepted_from_a_p256_key() {
    let pair = rcgen::KeyPair::generate().expect("a key");
    let ico = RegisteredIssuer {
        keys: vec![("ico-1".to_owned(), TokenKey::from_pem(&pair.public_key_pem()).expect("a key"))],
        ..registered("ico", ISSUER, &WORLD.key)
    };
    let tokens = Tokens::new(AUDIENCE, &[7; 32], Issuers::new([ico]).expect("issuers"));
    let header = HEADER.replace("EdDSA", "ES256");
    let message =
        format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(claims().as_bytes()));
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("a key");
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::ES256).expect("a signature");
    tokens.identify(&WORLD.ico, Some(&format!("bearer {message}.{signature}")), NOW).expect("a caller");
    let downgraded = tokens.identify(&WORLD.ico, Some(&format!("Bearer {}", good_token())), NOW);
    assert_eq!(downgraded, Err(Unidentified::Algorithm));
}

#[test]
fn a_token_is_good_from_nbf_until_exp_and_remembering_it_changes_nothing() {
    let tokens = tokens();
    let bearer = format!("Bearer {}", good_token());
    let at = |seconds: i64| tokens.identify(&WORLD.ico, Some(&bearer), NOW.plus_seconds(seconds)).map(|_| ());
    // From the third on it is remembered.
    for (seconds, outcome) in [
        (-6, Err(Unidentified::IssuedLater)),
        (300, Err(Unidentified::Expired)),
        (-5, Ok(())),
        (299, Ok(())),
        (300, Err(Unidentified::Expired)),
        (301, Err(Unidentified::Expired)),
        (-6, Err(Unidentified::NotYet)),
        (150, Ok(())),
    ] {
        assert_eq!(at(seconds), outcome, "at {seconds} s");
    }
    tokens.verified.run_pending_tasks();
    assert_eq!(tokens.verified.entry_count(), 1, "bad tokens are not remembered");
}

#[test]
fn other_issuers_are_in_force_at_once() {
    let tokens = tokens();
    let bearer = format!("Bearer {}", good_token());
    let identify = || tokens.identify(&WORLD.ico, Some(&bearer), NOW).map(|_| ());
    assert_eq!(identify(), Ok(()));
    tokens.replace(Issuers::default());
    assert_eq!(identify(), Err(Unidentified::UnknownKey));
    tokens.replace(issuers());
    assert_eq!(identify(), Ok(()));
}

#[test]
fn times_are_whole_seconds_within_bounds() {
    let (exp, nbf, iat) =
        (format!(r#""exp":{}"#, SECONDS + 300), format!(r#""nbf":{SECONDS}"#), format!(r#""iat":{SECONDS}"#));
    assert_eq!(with_claim(&exp, &format!(r#""exp":{}"#, SECONDS + 601)), Unidentified::LongLived);
    assert_eq!(with_claim(&exp, &format!(r#""exp":{}"#, i64::MAX)), Unidentified::LongLived);
    assert_eq!(with_claim(&iat, &format!(r#""iat":{}"#, i64::MIN)), Unidentified::LongLived);
    assert_eq!(with_claim(&exp, &format!(r#""exp":{SECONDS}"#)), Unidentified::Expired);
    assert_eq!(with_claim(&exp, r#""exp":0"#), Unidentified::Expired);
    malformed(&exp, r#""exp":-1"#);
    assert_eq!(with_claim(&nbf, &format!(r#""nbf":{}"#, SECONDS + 6)), Unidentified::NotYet);
    assert_eq!(with_claim(&nbf, &format!(r#""nbf":{}"#, i64::MAX)), Unidentified::NotYet);
    assert_eq!(with_claim(&iat, &format!(r#""iat":{}"#, SECONDS + 6)), Unidentified::IssuedLater);
    identify(&signed(HEADER, &claims().replacen(&iat, &format!(r#""iat":{}"#, SECONDS + 5), 1))).expect("5 s ahead");
    identify(&signed(HEADER, &claims().replacen(&nbf, &format!(r#""nbf":{}"#, SECONDS + 5), 1))).expect("5 s ahead");
    identify(&signed(HEADER, &claims().replacen(&format!("{nbf},"), "", 1))).expect("valid from when it was issued");
    malformed(&nbf, r#""nbf":null"#);
    for claim in [&exp, &nbf, &iat] {
        malformed(claim, &format!("{claim}.5"));
        malformed(claim, &format!("{}\"", claim.replacen("\":", "\":\"", 1)));
        malformed(claim, &format!("{claim}e0"));
    }
}

#[test]
fn a_claim_comes_once_and_what_this_service_does_not_read_is_ignored() {
    for claim in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "cnf", "unit", "roles", "purposes"] {
        let all: serde_json::Value = serde_json::from_str(&claims()).expect("JSON");
        malformed("{\"iss\"", &format!("{{\"{claim}\":{},\"iss\"", all[claim]));
        if claim != "nbf" {
            malformed(&format!("\"{claim}\":"), &format!("\"x-{claim}\":"));
        }
    }
    let with = |claim: &str| identify(&signed(HEADER, &claims().replacen('{', &format!("{{{claim},"), 1)));
    let providers = r#""scope":"openid all","scope":7,"auth_time":1,"acr":"2","amr":["pwd"],"groups":[{"id":[]}]"#;
    assert_eq!(with(providers).map(|caller| caller.roles().len()), Ok(1), "nothing is granted by them");
    // Somebody else's hands, and rights that would have to be read.
    for restricting in [r#""act":{"sub":"b.okafor"}"#, r#""act":null"#, r#""authorization_details":[]"#] {
        assert!(matches!(with(restricting), Err(Unidentified::Claims { .. })), "{restricting}");
    }
    let bound = BASE64URL_NOPAD.encode(WORLD.ico.fingerprint().as_bytes());
    let pair = format!(r#""x5t#S256":"{bound}""#);
    malformed(&pair, &format!("{pair},{pair}"));
}

#[test]
fn roles_stay_within_the_issuers_and_names_within_their_forms() {
    let role = |role: &str| with_claim(r#"["requester"]"#, &format!(r#"["requester","{role}"]"#));
    assert_eq!(role("operator"), Unidentified::Role(Role::known("operator")));
    assert!(matches!(role("Requester"), Unidentified::Name(invalid) if invalid.field == "roles"));
    malformed(r#"["requester"]"#, r#""requester""#);
    assert!(matches!(with_claim("a.okafor", ""), Unidentified::Name(invalid) if invalid.field == "sub"));
    assert!(matches!(with_claim("a.okafor", r"a\u0000b"), Unidentified::Name(invalid) if invalid.field == "sub"));
    assert!(matches!(with_claim("harm-reduction", "Any!"), Unidentified::Name(invalid) if invalid.field == "purposes"));
    assert_eq!(with_claim("0123456789abcdef", "0123456789abcde"), Unidentified::TokenId);
    assert_eq!(with_claim(r#""desk""#, r#""""#), Unidentified::TokenId);
    identify(&signed(HEADER, &claims().replacen(r#"["requester"]"#, "[]", 1))).expect("a caller without a role");
}

#[test]
fn only_a_bearers_whole_token_is_read() {
    let tokens = tokens();
    let present = |header: Option<&str>| tokens.identify(&WORLD.ico, header, NOW).expect_err("no caller");
    let token = good_token();
    assert_eq!(present(None), Unidentified::NoToken);
    assert_eq!(present(Some(&token)), Unidentified::NotBearer);
    assert_eq!(present(Some(&format!("Basic {token}"))), Unidentified::NotBearer);
    assert_eq!(present(Some(&format!("Bearer  {token}"))), Unidentified::NotAToken);
    assert_eq!(present(Some(&format!("Bearer {token}="))), Unidentified::NotAToken);
    assert_eq!(present(Some(&format!("Bearer {token}."))), Unidentified::NotAToken);
    assert_eq!(present(Some(&format!("Bearer {}", token.rsplit_once('.').expect("dots").0))), Unidentified::NotAToken);
    assert_eq!(present(Some(&format!("Bearer {}", "a".repeat(LONGEST + 1)))), Unidentified::TooLong);
    let unsigned = format!("{}.", token.rsplit_once('.').expect("dots").0);
    assert_eq!(present(Some(&format!("Bearer {unsigned}"))), Unidentified::Signature);
    let other = signed(HEADER, &claims().replacen("a.okafor", "b.okafor", 1));
    let (message, _) = other.rsplit_once('.').expect("dots");
    let (_, signature) = token.rsplit_once('.').expect("dots");
    assert_eq!(present(Some(&format!("Bearer {message}.{signature}"))), Unidentified::Signature);
}

#[test]
fn nobody_calls_after_the_end_of_what_vouches_for_their_system_until_something_else_does() {
    let tokens = tokens();
    let issued = Authority::new("ico", "ico.example", NOW).expect("an authority").issue_client("gateway", NOW);
    let issued = issued.expect("a certificate");
    let until = |seconds: i64| peer_until("ico", &issued, NOW.plus_seconds(seconds));
    let peer = until(60);
    let bearer = format!("Bearer {}", token_for(&peer));
    let call = |seconds: i64| tokens.identify(&peer, Some(&bearer), NOW.plus_seconds(seconds)).map(drop);
    assert_eq!(call(59), Ok(()));
    assert_eq!(call(60), Err(Unidentified::Withdrawn), "its list, its root or an intermediate has ended");
    peer.renew(&until(120));
    assert_eq!((call(60), call(119), call(120)), (Ok(()), Ok(()), Err(Unidentified::Withdrawn)));
}

#[test]
fn an_expired_certificate_ends_what_it_began() {
    let tokens = tokens();
    let bearer = format!("Bearer {}", good_token());
    tokens.identify(&WORLD.ico, Some(&bearer), NOW).expect("a caller");
    let late = tokens.identify(&WORLD.ico, Some(&bearer), WORLD.ico.not_after());
    assert_eq!(late, Err(Unidentified::CertificateExpired));
}

#[test]
fn issuers_that_would_be_ambiguous_are_not_registered() {
    let ico = || registered("ico", ISSUER, &WORLD.key);
    let problem = |registered: Vec<RegisteredIssuer>| Issuers::new(registered).expect_err("a problem");
    let ncsc = registered("ncsc", ISSUER, &WORLD.ncsc_key);
    assert_eq!(problem(vec![ico(), ncsc]), Unregistrable::TwoIssuers(ISSUER.to_owned()));
    let second = RegisteredIssuer { issuer: "https://other.ico.example".to_owned(), ..ico() };
    assert_eq!(problem(vec![ico(), second]), Unregistrable::TwoKeys(AgencyId::known("ico"), "ico-1".to_owned()));
    assert_eq!(problem(vec![RegisteredIssuer { keys: vec![], ..ico() }]), Unregistrable::NoKey(ISSUER.to_owned()));

    for pem in ["", "hello", &WORLD.key.private_pem] {
        assert_eq!(TokenKey::from_pem(pem).map(|_| ()), Err(Unregistrable::Key));
    }
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key").public_key_pem();
    assert_eq!(TokenKey::from_pem(&p384).map(|_| ()), Err(Unregistrable::Key));
}
