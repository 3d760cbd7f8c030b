//! Who calls: certificate and token become a [`Caller`], and nothing else does.
//!
//! The certificate says which agency's system is calling; the token, bound to that certificate, says for which officer
//! and in which roles. Both must come from the same agency.

mod certificate;
mod issuers;
mod token;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use moka::sync::Cache;

use crate::domain::{Actor, AgencyId, Digest, Instant, Invalid, OfficerId, Purpose, Role};
use certificate::sha256;
use token::Verified;

pub(crate) use certificate::Leaf;
pub use certificate::{Peer, SpiffeId, Unacceptable, Vouched, check_leaf, fingerprint, is_trust_domain};
pub use issuers::{Issuers, RegisteredIssuer, TokenKey, Unregistrable};
pub use token::{Grant, Unsigned, expiry, sign};

/// How many verified tokens are remembered.
const MOST_REMEMBERED: u64 = 10_000;

/// How long a verified token may be remembered: no token lives longer.
const LONGEST_REMEMBERED: Duration = Duration::from_secs(token::LONGEST_SECONDS.unsigned_abs());

/// The instant this many seconds after 1970.
fn at(seconds: i64) -> Instant {
    Instant::from_micros(0).plus_seconds(seconds)
}

/// An identified officer of an agency. Only [`Tokens::identify`] makes one.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    actor: Arc<Actor>,
    roles: Arc<BTreeSet<Role>>,
    purposes: Arc<BTreeSet<Purpose>>,
}

impl Caller {
    /// The officer.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The officer's agency, which is also the agency of the calling system.
    pub fn agency(&self) -> &AgencyId {
        &self.actor.agency
    }

    /// The roles that the agency's issuer gave and may give.
    pub fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }

    /// Whether the officer has one of these roles.
    pub fn has_any_role(&self, roles: &[&str]) -> bool {
        roles.iter().any(|wanted| self.roles.iter().any(|role| role.as_str() == *wanted))
    }

    /// The purposes that the officer may give.
    pub fn purposes(&self) -> &BTreeSet<Purpose> {
        &self.purposes
    }

    /// Whether the officer may give this as a request's purpose.
    pub fn may_state(&self, purpose: &Purpose) -> bool {
        self.purposes.contains(purpose)
    }
}

/// Says who without the officer's name: logs outlive investigations.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("agency", &self.actor.agency)
            .field("pseudonym", &self.actor.pseudonym)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// Why a call has no caller. For logs only: on the wire all of these are one answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself what it is")]
pub enum Unidentified {
    #[error("the certificate has expired")]
    CertificateExpired,
    #[error("nobody vouches for the certificate any more")]
    Withdrawn,
    #[error("there is no authorization header")]
    NoToken,
    #[error("the authorization isn't `Bearer` and a token")]
    NotBearer,
    #[error("the token is longer than 8 KiB")]
    TooLong,
    #[error("the token isn't three parts of base64url")]
    NotAToken,
    #[error("the token's header isn't exactly `typ` of `at+jwt`, `alg` and `kid`")]
    Header,
    #[error("the agency of the certificate has no issuer with this key")]
    UnknownKey,
    #[error("the token's algorithm isn't the one registered for its key")]
    Algorithm,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the claims aren't of the accepted form, as seen at column {column}")]
    Claims { column: usize },
    #[error("the token comes from another issuer than its key")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token isn't bound to this certificate")]
    Binding,
    #[error("the token lives for more than 10 minutes")]
    LongLived,
    #[error("the token was issued in the future")]
    IssuedLater,
    #[error("the token isn't valid yet")]
    NotYet,
    #[error("the token has expired")]
    Expired,
    #[error("the token's own id has fewer than 16 characters, or its client none that can be read")]
    TokenId,
    #[error("the token's claim {0}")]
    Name(#[from] Invalid),
    #[error("the issuer may not give the role {0}")]
    Role(Role),
}

/// Turns tokens into callers: the registered issuers, and the tokens verified of late.
pub struct Tokens {
    audience: String,
    pseudonyms: hmac::Key,
    registry: ArcSwap<Registry>,
    /// INVARIANT: the key is a digest over everything that the verification read, except the time.
    verified: Cache<Digest, Arc<Verified>>,
}

/// The issuers, and which edition of them they are.
struct Registry {
    issuers: Arc<Issuers>,
    generation: u64,
}

impl Tokens {
    /// Accepts tokens for this audience by these issuers. The key makes officers' pseudonyms: with another key,
    /// every officer gets another one.
    pub fn new(audience: impl Into<String>, pseudonym_key: &[u8; 32], issuers: Issuers) -> Self {
        Self {
            audience: audience.into(),
            pseudonyms: hmac::Key::new(hmac::HMAC_SHA256, pseudonym_key),
            registry: ArcSwap::from_pointee(Registry { issuers: Arc::new(issuers), generation: 0 }),
            verified: Cache::builder().max_capacity(MOST_REMEMBERED).time_to_live(LONGEST_REMEMBERED).build(),
        }
    }

    /// Puts other issuers in place of the present ones; what was verified against those is verified anew.
    pub fn replace(&self, issuers: Issuers) {
        let issuers = Arc::new(issuers);
        self.registry
            .rcu(|present| Registry { issuers: Arc::clone(&issuers), generation: present.generation.wrapping_add(1) });
    }

    /// The officer for whom this peer calls, if at `now` somebody vouches for it and its token is good.
    ///
    /// `authorization` is the value of the request's only `authorization` header.
    pub fn identify(&self, peer: &Peer, authorization: Option<&str>, now: Instant) -> Result<Caller, Unidentified> {
        if now >= peer.not_after() {
            return Err(Unidentified::CertificateExpired);
        }
        if !peer.is_vouched_for(now) {
            return Err(Unidentified::Withdrawn);
        }
        let token = token::bearer(authorization.ok_or(Unidentified::NoToken)?)?;
        let registry = self.registry.load();
        let key = sha256(&[
            &registry.generation.to_be_bytes(),
            peer.fingerprint().as_bytes(),
            peer.agency().as_str().as_bytes(),
            b"\0",
            token.as_bytes(),
        ]);
        if let Some(verified) = self.verified.get(&key) {
            verified.check_time(now)?;
            return Ok(verified.caller.clone());
        }
        let verified = token::verify(token, peer, &registry.issuers, &self.audience, now, |officer| {
            self.pseudonym(peer.agency(), officer)
        })?;
        verified.check_time(now)?;
        let caller = verified.caller.clone();
        self.verified.insert(key, Arc::new(verified));
        Ok(caller)
    }

    /// Stands for an officer wherever another agency may read it: the same for ever, and not to be turned back.
    pub fn pseudonym(&self, agency: &AgencyId, officer: &OfficerId) -> String {
        let mut context = hmac::Context::with_key(&self.pseudonyms);
        context.update(agency.as_str().as_bytes());
        context.update(b"\0");
        context.update(officer.as_str().as_bytes());
        let encoded = data_encoding::BASE32_NOPAD.encode(context.sign().as_ref()).to_lowercase();
        let short: String = encoded.chars().take(20).collect();
        format!("officer-{short}")
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("audience", &self.audience).finish_non_exhaustive()
    }
}
