//! The officer's token: an RFC 9068 access token bound to the certificate by RFC 8705.

use std::collections::BTreeSet;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, EncodingKey, Validation};
use serde::{Deserialize, Serialize};

use super::issuers::IssuerKey;
use super::{Caller, Issuers, Peer, Unidentified, at};
use crate::domain::{Actor, Digest, Instant, Invalid, OfficerId, Purpose, Role, Unit};

/// The longest token, in bytes.
const LONGEST: usize = 8 * 1024;

/// How long a token may live.
pub(super) const LONGEST_SECONDS: i64 = 600;

/// How far an issuer's clock may be ahead of ours: `iat` and `nbf` may be so much later, `exp` may not be earlier.
const AHEAD_SECONDS: i64 = 5;

/// The fewest characters of a token's own id.
const SHORTEST_ID: usize = 16;

const TYPE: &str = "at+jwt";

/// The header, and nothing beside it: `jwk`, `jku`, `x5u`, `x5c`, `crit`, `b64`, `zip`, `enc` and a second `alg` all
/// fail here, before anything is looked up.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
    kid: String,
}

/// The claims. Others beside them are ignored, as RFC 7519, section 4, asks: identity providers write `scope`,
/// `auth_time`, `acr` and more, and nothing here is granted by them. But a token that somebody else acts with, or whose
/// rights are narrowed by what isn't read here, isn't taken for one without that.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    /// RFC 9068 doesn't ask for it: without it, from `iat`.
    #[serde(default, deserialize_with = "present")]
    nbf: Option<i64>,
    iat: i64,
    jti: String,
    client_id: String,
    cnf: Confirmation,
    unit: String,
    roles: Vec<String>,
    purposes: Vec<String>,
    /// RFC 8693: an officer's token in the hands of another.
    #[serde(default, skip_serializing, rename = "act")]
    _act: Absent,
    /// RFC 9396: rights in more detail.
    #[serde(default, skip_serializing, rename = "authorization_details")]
    _authorization_details: Absent,
}

/// A claim that must not be there, whatever its value.
#[derive(Default)]
struct Absent;

impl<'de> Deserialize<'de> for Absent {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("must not be there"))
    }
}

/// A value that is there: null is not the same as nothing.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

/// One audience, on its own or alone in a list.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    Alone(String),
    List([String; 1]),
}

impl Audience {
    fn as_str(&self) -> &str {
        match self {
            Self::Alone(audience) | Self::List([audience]) => audience,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    fingerprint: String,
}

/// A token that was good for its certificate: only the time remains to be checked.
pub(super) struct Verified {
    pub(super) caller: Caller,
    not_before: Instant,
    expires: Instant,
}

impl Verified {
    /// Not before `nbf`, give or take the clocks, and before `exp`.
    pub(super) fn check_time(&self, now: Instant) -> Result<(), Unidentified> {
        if now < self.not_before {
            Err(Unidentified::NotYet)
        } else if now >= self.expires {
            Err(Unidentified::Expired)
        } else {
            Ok(())
        }
    }
}

/// The token in an `authorization` header, if it is a bearer's and not too long.
pub(super) fn bearer(authorization: &str) -> Result<&str, Unidentified> {
    let (scheme, token) = authorization.split_once(' ').ok_or(Unidentified::NotBearer)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Unidentified::NotBearer);
    }
    if token.len() > LONGEST { Err(Unidentified::TooLong) } else { Ok(token) }
}

/// Verifies everything about a token but whether `now` is within its time.
///
/// The key is looked up among the issuers of the certificate's agency: what the token says about its issuer is compared
/// afterwards and selects nothing.
pub(super) fn verify(
    token: &str,
    peer: &Peer,
    issuers: &Issuers,
    audience: &str,
    now: Instant,
    pseudonym: impl FnOnce(&OfficerId) -> String,
) -> Result<Verified, Unidentified> {
    let header = read_header(token)?;
    let issuer = issuers.key(peer.agency(), &header.kid).ok_or(Unidentified::UnknownKey)?;
    if header.alg != issuer.key.algorithm() {
        return Err(Unidentified::Algorithm);
    }
    let claims = read_claims(token, issuer, audience)?;
    check_binding(&claims, peer)?;
    if claims.exp.saturating_sub(claims.iat) > LONGEST_SECONDS {
        return Err(Unidentified::LongLived);
    }
    if at(claims.iat) > now.plus_seconds(AHEAD_SECONDS) {
        return Err(Unidentified::IssuedLater);
    }
    if claims.jti.len() < SHORTEST_ID || claims.client_id.is_empty() || claims.client_id.contains(char::is_control) {
        return Err(Unidentified::TokenId);
    }
    let officer = named("sub", OfficerId::parse(claims.sub))?;
    Ok(Verified {
        caller: Caller {
            actor: Arc::new(Actor {
                agency: peer.agency().clone(),
                pseudonym: pseudonym(&officer),
                unit: named("unit", Unit::parse(claims.unit))?,
                officer,
                certificate: peer.certificate_names().to_vec(),
            }),
            roles: Arc::new(bounded_roles(claims.roles, issuer)?),
            purposes: Arc::new(named("purposes", claims.purposes.into_iter().map(Purpose::parse).collect())?),
        },
        not_before: at(claims.nbf.unwrap_or(claims.iat)).plus_seconds(-AHEAD_SECONDS),
        expires: at(claims.exp),
    })
}

fn read_header(token: &str) -> Result<Header, Unidentified> {
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Unidentified::NotAToken);
    };
    let json = BASE64URL_NOPAD.decode(header.as_bytes()).map_err(|_| Unidentified::NotAToken)?;
    let header: Header = serde_json::from_slice(&json).map_err(|_| Unidentified::Header)?;
    if header.typ == TYPE { Ok(header) } else { Err(Unidentified::Header) }
}

/// Verifies the signature, then reads the claims and compares issuer and audience.
fn read_claims(token: &str, issuer: &IssuerKey, audience: &str) -> Result<Claims, Unidentified> {
    let mut validation = Validation::new(issuer.key.algorithm);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[&issuer.issuer]);
    validation.set_audience(&[audience]);
    // WHY: the library would judge by the system's clock. Ours is passed in, and `Verified::check_time` judges by it.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.leeway = 0;
    let claims: Claims = jsonwebtoken::decode(token, &issuer.key.decoding, &validation)
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Unidentified::Signature,
            ErrorKind::InvalidAlgorithm => Unidentified::Algorithm,
            ErrorKind::InvalidIssuer => Unidentified::Issuer,
            ErrorKind::InvalidAudience => Unidentified::Audience,
            // The library's text may quote the claim, and with it an officer; the column doesn't.
            ErrorKind::Json(error) => Unidentified::Claims { column: error.column() },
            ErrorKind::MissingRequiredClaim(_) => Unidentified::Claims { column: 0 },
            _ => Unidentified::NotAToken,
        })?
        .claims;
    if claims.iss != issuer.issuer {
        return Err(Unidentified::Issuer);
    }
    if claims.aud.as_str() == audience { Ok(claims) } else { Err(Unidentified::Audience) }
}

/// In constant time, although a fingerprint is no secret: nothing is then to be argued about.
fn check_binding(claims: &Claims, peer: &Peer) -> Result<(), Unidentified> {
    let bound = BASE64URL_NOPAD.decode(claims.cnf.fingerprint.as_bytes()).map_err(|_| Unidentified::Binding)?;
    aws_lc_rs::constant_time::verify_slices_are_equal(&bound, peer.fingerprint().as_bytes())
        .map_err(|_| Unidentified::Binding)
}

fn bounded_roles(roles: Vec<String>, issuer: &IssuerKey) -> Result<BTreeSet<Role>, Unidentified> {
    let roles: BTreeSet<Role> = named("roles", roles.into_iter().map(Role::parse).collect())?;
    match roles.iter().find(|role| !issuer.roles.contains(role)) {
        Some(role) => Err(Unidentified::Role(role.clone())),
        None => Ok(roles),
    }
}

fn named<T>(claim: &str, parsed: Result<T, Invalid>) -> Result<T, Invalid> {
    parsed.map_err(|invalid| invalid.within(claim))
}

/// What a token is to say: for our own commands, the demonstration and the tests.
#[derive(Debug, Clone)]
pub struct Grant<'a> {
    /// The issuer, as registered.
    pub issuer: &'a str,
    /// The id of its key, as registered.
    pub key_id: &'a str,
    /// The node that the token is for.
    pub audience: &'a str,
    /// The officer.
    pub officer: &'a OfficerId,
    /// The officer's unit.
    pub unit: &'a Unit,
    /// The officer's roles.
    pub roles: &'a [Role],
    /// The purposes that the officer may state.
    pub purposes: &'a [Purpose],
    /// SHA-256 over the certificate that the token will be sent with.
    pub fingerprint: &'a Digest,
    /// When it is issued; it is valid from then.
    pub now: Instant,
    /// For how long; more than 600 seconds are not accepted.
    pub seconds: i64,
}

/// Why a token can't be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// The key is of another kind.
    #[error("not a PEM private key of Ed25519 in PKCS#8, such as `openssl genpkey -algorithm ed25519` makes")]
    Key,
    /// The key couldn't sign, or no randomness was to be had.
    #[error("the token couldn't be signed")]
    Failed,
}

/// A token that says so, signed with `EdDSA`.
pub fn sign(grant: &Grant<'_>, private_key_pem: &str) -> Result<String, Unsigned> {
    let key = EncodingKey::from_ed_pem(private_key_pem.as_bytes()).map_err(|_| Unsigned::Key)?;
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| Unsigned::Failed)?;
    let seconds = grant.now.micros().div_euclid(1_000_000);
    let header = Header { typ: TYPE.to_owned(), alg: "EdDSA".to_owned(), kid: grant.key_id.to_owned() };
    let claims = Claims {
        iss: grant.issuer.to_owned(),
        sub: grant.officer.to_string(),
        aud: Audience::Alone(grant.audience.to_owned()),
        exp: seconds.saturating_add(grant.seconds),
        nbf: Some(seconds),
        iat: seconds,
        jti: BASE64URL_NOPAD.encode(&id),
        client_id: "concordat".to_owned(),
        cnf: Confirmation { fingerprint: BASE64URL_NOPAD.encode(grant.fingerprint.as_bytes()) },
        unit: grant.unit.to_string(),
        roles: grant.roles.iter().map(ToString::to_string).collect(),
        purposes: grant.purposes.iter().map(ToString::to_string).collect(),
        _act: Absent,
        _authorization_details: Absent,
    };
    let encode = |json: Result<Vec<u8>, serde_json::Error>| json.map(|json| BASE64URL_NOPAD.encode(&json));
    let (Ok(header), Ok(claims)) = (encode(serde_json::to_vec(&header)), encode(serde_json::to_vec(&claims))) else {
        return Err(Unsigned::Failed);
    };
    let message = format!("{header}.{claims}");
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA);
    signature.map(|signature| format!("{message}.{signature}")).map_err(|_| Unsigned::Key)
}

/// When a token says that it expires, nothing of it verified: for a caller that keeps a token as long as it is good.
pub fn expiry(token: &str) -> Option<Instant> {
    #[derive(Deserialize)]
    struct Expires {
        exp: i64,
    }
    let claims = BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok()?;
    serde_json::from_slice(&claims).ok().map(|Expires { exp }| at(exp))
}

#[cfg(test)]
mod tests;
