//! Who may vouch for the officers of which agency.

use std::collections::{BTreeMap, BTreeSet};

use jsonwebtoken::{Algorithm, DecodingKey};

use crate::domain::{AgencyId, Role};

/// A public key that verifies tokens, with the one algorithm that it verifies.
#[derive(Clone)]
pub struct TokenKey {
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

impl TokenKey {
    /// Reads a PEM public key: Ed25519 verifies `EdDSA`, P-256 verifies `ES256`, and nothing else is accepted.
    pub fn from_pem(pem: &str) -> Result<Self, Unregistrable> {
        let of_length = |key: &DecodingKey, length| key.try_get_as_bytes().is_ok_and(|bytes| bytes.len() == length);
        if let Ok(decoding) = DecodingKey::from_ed_pem(pem.as_bytes())
            && of_length(&decoding, 32)
        {
            return Ok(Self { algorithm: Algorithm::EdDSA, decoding });
        }
        // An uncompressed point of P-256: one byte of form, two coordinates of 32.
        if let Ok(decoding) = DecodingKey::from_ec_pem(pem.as_bytes())
            && of_length(&decoding, 65)
        {
            return Ok(Self { algorithm: Algorithm::ES256, decoding });
        }
        Err(Unregistrable::Key)
    }

    /// The algorithm as a token's header names it.
    pub fn algorithm(&self) -> &'static str {
        if self.algorithm == Algorithm::EdDSA { "EdDSA" } else { "ES256" }
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKey({})", self.algorithm())
    }
}

/// One issuer as configured: the agency's own service that vouches for its officers.
#[derive(Debug, Clone)]
pub struct RegisteredIssuer {
    /// The agency for whose officers it vouches.
    pub agency: AgencyId,
    /// What it writes as `iss`.
    pub issuer: String,
    /// Its keys, each with the id that it writes as `kid`.
    pub keys: Vec<(String, TokenKey)>,
    /// The roles that it may give.
    pub roles: BTreeSet<Role>,
}

/// Why an issuer can't be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unregistrable {
    /// The key is of another kind.
    #[error("not a PEM public key of Ed25519 or P-256, which are what tokens are signed with here")]
    Key,
    /// A key without a use: its id can't be written in a token.
    #[error("the issuer {0} has a key without an id: name it as the issuer's tokens do in `kid`")]
    KeyId(String),
    /// Nothing could ever verify.
    #[error("the issuer {0} has no key: register at least one public key for it")]
    NoKey(String),
    /// The token's header names the key, not the issuer, so this would be ambiguous.
    #[error("the agency {0} has two keys with the id {1}: keep ids apart, also between an agency's issuers")]
    TwoKeys(AgencyId, String),
    /// Either agency could have the other's officers vouched for.
    #[error("the issuer {0} is registered twice: an issuer vouches for one agency, in one registration")]
    TwoIssuers(String),
}

/// Every registered issuer, by the agency that it may speak for.
#[derive(Debug, Default)]
pub struct Issuers {
    agencies: BTreeMap<AgencyId, BTreeMap<String, IssuerKey>>,
}

/// One key of one issuer, and what the issuer may say.
#[derive(Debug)]
pub(super) struct IssuerKey {
    pub(super) issuer: String,
    pub(super) key: TokenKey,
    pub(super) roles: BTreeSet<Role>,
}

impl Issuers {
    /// Registers all of them, or says which of them can't be.
    pub fn new(registered: impl IntoIterator<Item = RegisteredIssuer>) -> Result<Self, Unregistrable> {
        let mut all = Self::default();
        let mut seen = BTreeSet::new();
        for RegisteredIssuer { agency, issuer, keys, roles } in registered {
            if !seen.insert(issuer.clone()) {
                return Err(Unregistrable::TwoIssuers(issuer));
            }
            if keys.is_empty() {
                return Err(Unregistrable::NoKey(issuer));
            }
            let of_agency = all.agencies.entry(agency.clone()).or_default();
            for (id, key) in keys {
                if id.is_empty() {
                    return Err(Unregistrable::KeyId(issuer));
                }
                let entry = IssuerKey { issuer: issuer.clone(), key, roles: roles.clone() };
                if of_agency.insert(id.clone(), entry).is_some() {
                    return Err(Unregistrable::TwoKeys(agency, id));
                }
            }
        }
        Ok(all)
    }

    /// The agency's own key of this id, whatever other agencies have.
    pub(super) fn key(&self, agency: &AgencyId, id: &str) -> Option<&IssuerKey> {
        self.agencies.get(agency)?.get(id)
    }
}
