//! Officers' tokens that are not good ones: every claim in every wrong form, and a hundred thousand mutants.

use concordat::domain::{AgencyId, Instant};
use concordat::identity::{Issuers, Peer, RegisteredIssuer, TokenKey, Tokens, Unidentified};
use concordat::pki::{Authority, TokenKeyPair};
use concordat::tls::{self, Revocation, Trust, TrustedAgency};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rustls::pki_types::UnixTime;
use serde_json::{Map, Value, json};

use crate::harness::real_now;

const AUDIENCE: &str = "https://node.ncsc.example";

/// Two systems of the ICO and one of the NCSC, with an issuer for each agency.
struct Desk {
    peers: Vec<Peer>,
    tokens: Tokens,
    key: EncodingKey,
    pair: TokenKeyPair,
    now: Instant,
}

impl Desk {
    fn new() -> Self {
        let now = real_now();
        let domains = ["ico", "ncsc"].map(|agency| (agency, format!("{agency}.example")));
        let authorities = domains.each_ref().map(|(agency, domain)| Authority::new(agency, domain, now).unwrap());
        let trusted = domains.iter().zip(&authorities).map(|((agency, domain), authority)| TrustedAgency {
            agency: AgencyId::parse(*agency).unwrap(),
            trust_domain: domain.clone(),
            roots: tls::certificates(authority.root_pem().as_bytes()).unwrap(),
            revocation: Revocation::ShortLived,
        });
        let trust = Trust::new(trusted).unwrap();
        let peer = |authority: &Authority, name: &str| {
            let issued = authority.issue_client(name, now).unwrap();
            let chain = tls::certificates(issued.chain_pem.as_bytes()).unwrap();
            trust.admit(&chain, UnixTime::now()).unwrap()
        };
        let [ico, ncsc] = &authorities;
        let mut peers: Vec<Peer> = (0..8).map(|number| peer(ico, &format!("gateway-{number}"))).collect();
        peers.push(peer(ncsc, "gateway"));
        let (pair, other) = (TokenKeyPair::generate().unwrap(), TokenKeyPair::generate().unwrap());
        let issuer = |agency: &str, pair: &TokenKeyPair| RegisteredIssuer {
            agency: AgencyId::parse(agency).unwrap(),
            issuer: format!("https://login.{agency}.example"),
            keys: vec![(format!("{agency}-1"), TokenKey::from_pem(&pair.public_pem).unwrap())],
            roles: ["requester"].map(concordat::domain::Role::known).into(),
        };
        let issuers = Issuers::new([issuer("ico", &pair), issuer("ncsc", &other)]).unwrap();
        let key = EncodingKey::from_ed_pem(pair.private_pem.as_bytes()).unwrap();
        Self { peers, tokens: Tokens::new(AUDIENCE, &[7; 32], issuers), key, pair, now }
    }

    fn header() -> Map<String, Value> {
        let Value::Object(header) = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "ico-1" }) else { unreachable!() };
        header
    }

    /// Of a good token for this system.
    fn claims(&self, peer: &Peer) -> Map<String, Value> {
        let seconds = self.now.micros().div_euclid(1_000_000);
        let bound = BASE64URL_NOPAD.encode(peer.fingerprint().as_bytes());
        let claims = json!({
            "iss": "https://login.ico.example", "sub": "a.okafor", "aud": AUDIENCE,
            "exp": seconds + 300, "nbf": seconds, "iat": seconds,
            "jti": "0123456789abcdef", "client_id": "desk", "cnf": { "x5t#S256": bound },
            "unit": "Incident response", "roles": ["requester"], "purposes": ["harm-reduction"],
        });
        let Value::Object(claims) = claims else { unreachable!() };
        claims
    }

    fn signed(&self, header: &str, claims: &str) -> String {
        let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    }

    fn good(&self, peer: &Peer) -> String {
        self.signed(&text(&Self::header()), &text(&self.claims(peer)))
    }

    fn identify(&self, peer: &Peer, token: &str) -> Result<(), Unidentified> {
        self.tokens.identify(peer, Some(&format!("Bearer {token}")), self.now).map(drop)
    }
}

fn text(fields: &Map<String, Value>) -> String {
    Value::Object(fields.clone()).to_string()
}

/// The object with one field in another form.
fn changed(fields: &Map<String, Value>, field: &str, form: &Value) -> String {
    let mut fields = fields.clone();
    fields.insert(field.to_owned(), form.clone());
    text(&fields)
}

/// The object with a field twice, whichever comes first.
fn twice(fields: &Map<String, Value>, field: &str, other: &Value) -> [String; 2] {
    let (member, all) = (format!("{}:{other}", json!(field)), text(fields));
    let (first, last) = (all.strip_prefix('{').unwrap(), all.strip_suffix('}').unwrap());
    [format!("{{{member},{first}"), format!("{last},{member}}}")]
}

/// What a field may be turned into; those that would still be good are named where they are tried.
fn forms(good: &Value) -> Vec<Value> {
    let huge = "9".repeat(5_000);
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("\u{202e}harm-reduction\u{200b}"),
        json!(huge),
        json!([]),
        json!([null]),
        json!([[]]),
        json!([good]),
        json!([good, good]),
        json!({}),
        json!({ "0": good }),
        json!(good.to_string()),
    ]
}

/// The few forms that are good as well.
fn is_good_too(field: &str, form: &Value, good: &Value) -> bool {
    match field {
        "aud" => *form == json!([good]),
        // An officer without a role or a purpose calls what needs none.
        "roles" | "purposes" => *form == json!([]),
        // Whatever text the agency's own issuer calls them by.
        "sub" | "unit" | "client_id" => form.as_str().is_some_and(|text| !text.is_empty() && text != "\u{0}"),
        "jti" => form.as_str().is_some_and(|text| text.len() >= 16),
        "nbf" => *form == json!(0) || *form == json!(-1),
        _ => false,
    }
}

#[test]
fn every_claim_in_every_wrong_form_is_turned_away() {
    let desk = Desk::new();
    let peer = &desk.peers[0];
    let (header, claims) = (Desk::header(), desk.claims(peer));
    assert_eq!(desk.identify(peer, &desk.good(peer)), Ok(()));
    let (mut tried, mut accepted) = (0, Vec::new());
    let mut present = |what: String, header: &str, claims: &str| {
        tried += 1;
        if desk.identify(peer, &desk.signed(header, claims)).is_ok() {
            accepted.push(what);
        }
    };
    for (field, good) in &claims {
        for form in forms(good).into_iter().filter(|form| !is_good_too(field, form, good)) {
            present(format!("{field}: {form}"), &text(&header), &changed(&claims, field, &form));
        }
        for both in [good.clone(), json!("other"), Value::Null] {
            for doubled in twice(&claims, field, &both) {
                present(format!("{field} twice: {doubled}"), &text(&header), &doubled);
            }
        }
        if field != "nbf" {
            let mut without = claims.clone();
            without.remove(field);
            present(format!("without {field}"), &text(&header), &text(&without));
        }
    }
    for (field, good) in &header {
        for form in forms(good) {
            present(format!("header {field}: {form}"), &changed(&header, field, &form), &text(&claims));
        }
        for doubled in twice(&header, field, good) {
            present(format!("header {field} twice"), &doubled, &text(&claims));
        }
        let mut without = header.clone();
        without.remove(field);
        present(format!("header without {field}"), &text(&without), &text(&claims));
    }
    for field in ["crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "zip", "enc", "cty", "epk"] {
        for form in [json!([]), json!(["b64"]), json!(false), json!({}), json!("https://elsewhere.example")] {
            present(format!("header with {field}: {form}"), &changed(&header, field, &form), &text(&claims));
        }
    }
    for algorithm in ["none", "None", "NONE", "HS256", "HS512", "ES256", "ES384", "RS256", "PS256", "EDDSA", "Ed448"] {
        present(format!("alg {algorithm}"), &changed(&header, "alg", &json!(algorithm)), &text(&claims));
    }
    for (what, header, claims) in [
        ("an array", "[]", &*text(&claims)),
        ("claims in an array", &text(&header), "[{}]"),
        ("deep", &text(&header), &changed(&claims, "cnf", &deep(120))),
        ("text after", &text(&header), &format!("{} {{}}", text(&claims))),
    ] {
        present(what.to_owned(), header, claims);
    }
    assert!(accepted.is_empty(), "{} of {tried} were accepted:\n{}", accepted.len(), accepted.join("\n"));
    assert!(tried > 400, "{tried} were tried");
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!({}), |inner, _| json!({ "x5t#S256": inner }))
}

#[test]
fn a_token_serves_one_certificate_of_all_and_no_agency_speaks_for_another() {
    let desk = Desk::new();
    for (number, bound) in desk.peers.iter().enumerate() {
        let token = desk.good(bound);
        for (other, peer) in desk.peers.iter().enumerate() {
            let identified = desk.identify(peer, &token);
            match (peer.agency().as_str(), number == other) {
                ("ico", true) => assert_eq!(identified, Ok(())),
                ("ico", false) => assert_eq!(identified, Err(Unidentified::Binding), "{number} at {other}"),
                _ => assert_eq!(identified, Err(Unidentified::UnknownKey), "the ICO's issuer, over the NCSC's system"),
            }
        }
    }
    // The public key as a shared secret, whatever form it is taken in.
    let peer = &desk.peers[0];
    let header = changed(&Desk::header(), "alg", &json!("HS256"));
    let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let message = format!("{}.{}", part(&header), part(&text(&desk.claims(peer))));
    let raw: String = desk.pair.public_pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = data_encoding::BASE64.decode(raw.as_bytes()).unwrap();
    for secret in [desk.pair.public_pem.as_bytes(), raw.as_bytes(), &der, &der[12..], b""] {
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), Algorithm::HS256);
        let forged = format!("{message}.{}", signature.unwrap());
        assert_eq!(desk.identify(peer, &forged), Err(Unidentified::Algorithm));
    }
}

/// Numbers that are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(below).unwrap()).unwrap()
    }
}

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ,\"{}\0\x7f";

/// The token with something changed of it, a few times over.
fn mutant(token: &str, other: &str, dice: &mut Dice) -> String {
    let mut bytes = token.as_bytes().to_vec();
    for _ in 0..=dice.roll(3) {
        if bytes.is_empty() {
            break;
        }
        let at = dice.roll(bytes.len());
        match dice.roll(8) {
            0 => bytes[at] ^= 1 << dice.roll(7),
            1 => bytes[at] = LETTERS[dice.roll(LETTERS.len())],
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, LETTERS[dice.roll(LETTERS.len())]),
            4 => bytes.truncate(at + 1),
            5 => {
                let to = dice.roll(bytes.len());
                bytes.swap(at, to);
            }
            6 => {
                // The same length of another good token.
                let (from, until) = (at.min(other.len()), (at + dice.roll(60)).min(other.len()).min(bytes.len()));
                if from < until {
                    bytes[from..until].copy_from_slice(&other.as_bytes()[from..until]);
                }
            }
            _ => return within(token, dice),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A byte of what one part says, under the signature of what it said.
fn within(token: &str, dice: &mut Dice) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let which = dice.roll(parts.len());
    let mut bytes = BASE64URL_NOPAD.decode(parts[which].as_bytes()).unwrap();
    let at = dice.roll(bytes.len());
    bytes[at] ^= 1 << dice.roll(8);
    parts[which] = BASE64URL_NOPAD.encode(&bytes);
    parts.join(".")
}

#[test]
fn of_a_hundred_thousand_mutants_none_is_accepted() {
    const EACH: usize = 50_000;
    let desk = Desk::new();
    let peer = &desk.peers[0];
    let (good, other) = (desk.good(peer), desk.good(&desk.peers[1]));
    let accepted = |seed: u64| {
        let mut dice = Dice(seed);
        let mut accepted = Vec::new();
        for _ in 0..EACH {
            let mutant = mutant(&good, &other, &mut dice);
            if mutant != good && desk.identify(peer, &mutant).is_ok() {
                accepted.push(mutant);
            }
        }
        accepted
    };
    let found = std::thread::scope(|scope| {
        let seeds = [0x5eed_0001, 0x5eed_0002].map(|seed| scope.spawn(move || accepted(seed)));
        seeds.map(|thread| thread.join().unwrap()).concat()
    });
    assert!(found.is_empty(), "{} were accepted, such as {:?}, of {good}", found.len(), found.first());
    // Good ones all along: nothing above holds because everything is turned away.
    for number in 0..500 {
        let claims = changed(&desk.claims(peer), "jti", &json!(format!("{number:016}")));
        assert_eq!(desk.identify(peer, &desk.signed(&text(&Desk::header()), &claims)), Ok(()));
    }
}
