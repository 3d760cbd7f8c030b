//! Sealing at rest: what organisations told in confidence is stored encrypted from the first day.
//!
//! A node secret, read from a file, is the root of all keys. Each record version has a data key of its own,
//! stored only wrapped: deleting the wrapped key erases the content for good. Associated data binds a ciphertext
//! to its record, version and category, so that moving it elsewhere in the database makes it unreadable.
//!
//! A secret can be replaced by another: what is sealed names the one that it needs, and is wrapped anew under the newest.

mod secret;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};
use data_encoding::{BASE32_NOPAD, BASE32HEX_NOPAD};
use zeroize::Zeroizing;

use crate::domain::{AgencyId, CallKey, Identifier, Instant};

use secret::{Lasting, Use};
pub use secret::{Secret, SecretName};

/// A sealed thing could not be opened: the wrong key, or it was moved or changed.
#[derive(Debug, thiserror::Error)]
#[error("a sealed record could not be opened: wrong node secret, or the record was moved or changed")]
pub struct Unopened;

/// What a ciphertext is bound to: its parts, each with its length, so that no two bindings look alike.
fn binding(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// AES-256-GCM under one key; a sealed value is nonce, ciphertext and tag.
struct SealingKey(RandomizedNonceKey);

impl SealingKey {
    fn new(key: &[u8; 32]) -> Result<Self, Unopened> {
        RandomizedNonceKey::new(&AES_256_GCM, key).map(Self).map_err(|_| Unopened)
    }

    fn seal(&self, bound_to: &[&str], plain: &[u8]) -> Result<Vec<u8>, Unopened> {
        let mut sealed = plain.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(binding(bound_to)), &mut sealed).map_err(|_| Unopened)?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    fn open(&self, bound_to: &[&str], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (nonce, sealed) = sealed.split_first_chunk::<12>().ok_or(Unopened)?;
        let mut plain = sealed.to_vec();
        let length = self
            .0
            .open_in_place(Nonce::from(nonce), Aad::from(binding(bound_to)), &mut plain)
            .map_err(|_| Unopened)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// The key of one record version.
pub struct DataKey(SealingKey);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(..)")
    }
}

impl DataKey {
    /// Seals a value, bound to the names of what it belongs to.
    pub fn seal(&self, bound_to: &[&str], plain: &[u8]) -> Result<Vec<u8>, Unopened> {
        self.0.seal(bound_to, plain)
    }

    /// Opens what was sealed for exactly these names.
    pub fn open(&self, bound_to: &[&str], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        self.0.open(bound_to, sealed)
    }
}

/// The keys that follow from the node's secrets.
pub struct Seal {
    /// The first is what new things are sealed with.
    secrets: Vec<Secret>,
    lasting: Lasting,
    tokens: SealingKey,
    statistics: StatisticsKey,
    lookup: hmac::Key,
    ids: hmac::Key,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(..)")
    }
}

/// The key of the noise on what is counted.
pub struct StatisticsKey {
    noise: hmac::Key,
    looks: hmac::Key,
}

impl std::fmt::Debug for StatisticsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StatisticsKey(..)")
    }
}

impl StatisticsKey {
    /// An organisation's secret number: the same in every quarter, and nothing about the organisation.
    pub fn number_of(&self, organisation: &str) -> u64 {
        let drawn = hmac::sign(&self.noise, &binding(&["organisation", organisation]));
        drawn.as_ref().first_chunk().copied().map_or(0, u64::from_be_bytes)
    }

    /// What an anonymised look is found by, without storing the look.
    pub fn look(&self, holder: &AgencyId, period: &str, step: &str, values: &[u8]) -> String {
        let values = data_encoding::HEXLOWER.encode(values);
        let name = binding(&[holder.as_str(), period, step, &values]);
        data_encoding::HEXLOWER.encode(hmac::sign(&self.looks, &name).as_ref())
    }

    /// The first half of the HMAC-SHA-256 of a message.
    pub fn draw(&self, message: &[u8]) -> [u8; 16] {
        hmac::sign(&self.noise, message).as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl Seal {
    /// With the only secret that a node ever had.
    pub fn new(node_secret: &[u8; 32]) -> Result<Self, Unopened> {
        let secret = Secret::new(node_secret)?;
        let lasting = secret.first().clone();
        Self::with(vec![secret], lasting)
    }

    /// With the first of these as the newest, and the keys that stay as they are stored: sealed, or following from the
    /// secret that has this check value. Fails if none of the secrets leads to them.
    pub fn unlock(secrets: Vec<Secret>, stored: Option<&[u8]>, check: Option<&str>) -> Result<Self, Unopened> {
        let newest = secrets.first().ok_or(Unopened)?;
        let lasting = match (stored, check) {
            (Some(stored), _) => secrets.iter().find_map(|secret| Lasting::open(stored, secret).ok()),
            (None, Some(check)) => {
                secrets.iter().map(Secret::first).find(|first| first.check_value() == check).cloned()
            }
            (None, None) => Some(newest.first().clone()),
        };
        let lasting = lasting.filter(|lasting| check.is_none_or(|check| lasting.check_value() == check));
        Self::with(secrets, lasting.ok_or(Unopened)?)
    }

    fn with(secrets: Vec<Secret>, lasting: Lasting) -> Result<Self, Unopened> {
        Ok(Self {
            secrets,
            tokens: lasting.tokens()?,
            statistics: lasting.statistics(),
            lookup: lasting.lookup(),
            ids: lasting.ids(),
            lasting,
        })
    }

    fn newest_secret(&self) -> Result<&Secret, Unopened> {
        self.secrets.first().ok_or(Unopened)
    }

    /// The name of the secret with which new things are sealed.
    pub fn newest(&self) -> Result<SecretName, Unopened> {
        self.newest_secret().map(Secret::name)
    }

    /// The names of all its secrets, the newest first.
    pub fn names(&self) -> impl Iterator<Item = SecretName> {
        self.secrets.iter().map(Secret::name)
    }

    /// The name of the secret from which the keys that stay follow, if it is here.
    pub(crate) fn beginning(&self) -> Option<SecretName> {
        self.secrets.iter().find(|secret| secret.first().is_same(&self.lasting)).map(Secret::name)
    }

    /// The keys that stay, sealed with the newest secret.
    pub(crate) fn lasting_keys(&self) -> Result<Vec<u8>, Unopened> {
        self.lasting.seal(self.newest_secret()?)
    }

    /// Opens with the secret that it names; what names none is from before secrets had names.
    fn open(&self, of: Use, bound_to: &[&str], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        if let Some(secret) = self.secrets.iter().find(|secret| secret.name().is_on(sealed)) {
            return secret.open(of, bound_to, sealed);
        }
        self.secrets.iter().find_map(|secret| secret.key(of).open(bound_to, sealed).ok()).ok_or(Unopened)
    }

    /// A new data key, and the same wrapped for storing with the record of this name.
    pub fn new_key(&self, record: &str) -> Result<(DataKey, Vec<u8>), Unopened> {
        let key = Zeroizing::new(random::<32>());
        let wrapped = self.newest_secret()?.seal(Use::Wrapping, &["data key", record], key.as_ref())?;
        Ok((DataKey(SealingKey::new(&key)?), wrapped))
    }

    /// The data key stored with the record of this name.
    pub fn unwrap_key(&self, record: &str, wrapped: &[u8]) -> Result<DataKey, Unopened> {
        let key = Zeroizing::new(self.open(Use::Wrapping, &["data key", record], wrapped)?);
        let key: &[u8; 32] = key.as_slice().try_into().map_err(|_| Unopened)?;
        SealingKey::new(key).map(DataKey)
    }

    /// The same data key wrapped with the newest secret. None if it is already.
    pub(crate) fn rewrap_key(&self, record: &str, wrapped: &[u8]) -> Result<Option<Vec<u8>>, Unopened> {
        self.anew(Use::Wrapping, &["data key", record], wrapped)
    }

    /// The same sealed with the newest secret. None if it is already.
    pub(crate) fn reseal_statistic(&self, bound_to: &[&str], sealed: &[u8]) -> Result<Option<Vec<u8>>, Unopened> {
        self.anew(Use::Statistics, bound_to, sealed)
    }

    fn anew(&self, of: Use, bound_to: &[&str], sealed: &[u8]) -> Result<Option<Vec<u8>>, Unopened> {
        let newest = self.newest_secret()?;
        if newest.name().is_on(sealed) {
            return Ok(None);
        }
        let plain = Zeroizing::new(self.open(of, bound_to, sealed)?);
        newest.seal(of, bound_to, &plain).map(Some)
    }

    /// Seals where an incident stands in the statistics. One key for all of them: a quarter has a million.
    pub fn seal_statistic(&self, bound_to: &[&str], plain: &[u8]) -> Result<Vec<u8>, Unopened> {
        self.newest_secret()?.seal(Use::Statistics, bound_to, plain)
    }

    /// Opens what was sealed for exactly these names.
    pub fn open_statistic(&self, bound_to: &[&str], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        self.open(Use::Statistics, bound_to, sealed)
    }

    /// The key under which an agency's organisation is found by an identifier, without storing the identifier.
    pub fn lookup(&self, holder: &AgencyId, identifier: &Identifier) -> String {
        let name = binding(&[holder.as_str(), identifier.scheme(), identifier.value()]);
        data_encoding::HEXLOWER.encode(hmac::sign(&self.lookup, &name).as_ref())
    }

    /// The key under which an agency's organisations are found by a name in its compared form.
    pub fn lookup_name(&self, holder: &AgencyId, folded: &str) -> String {
        // No scheme is empty, so no identifier has the same key.
        let name = binding(&[holder.as_str(), "", folded]);
        data_encoding::HEXLOWER.encode(hmac::sign(&self.lookup, &name).as_ref())
    }

    /// The id of the record that a call makes: a prefix that says what it is, and 128 bits that follow from the call's
    /// key. It is the same whenever the call is put, so a caller can be told it before the call is done; without the
    /// node secret nobody can foresee it.
    pub fn record_id(&self, prefix: &str, call: &CallKey) -> String {
        let name = binding(&[call.agency.as_str(), call.method, call.request_id.as_str()]);
        let bits = hmac::sign(&self.ids, &name);
        let (bits, _) = bits.as_ref().split_at(16);
        id(prefix, bits)
    }

    /// Tells a node's keys from another's without saying anything about them. It stays when the secret is replaced.
    pub fn check_value(&self) -> String {
        self.lasting.check_value()
    }

    /// The key of the noise on the statistics.
    pub fn statistics(&self) -> &StatisticsKey {
        &self.statistics
    }

    /// The key of officers' pseudonyms towards this node.
    pub fn pseudonym_key(&self) -> [u8; 32] {
        self.lasting.pseudonym()
    }

    /// Seals a page token for one caller and one list.
    pub fn seal_token(&self, bound_to: &[&str], place: &str) -> Result<String, Unopened> {
        let sealed = self.tokens.seal(bound_to, place.as_bytes())?;
        Ok(data_encoding::BASE64URL_NOPAD.encode(&sealed))
    }

    /// Opens a page token; fails for any other caller or list.
    pub fn open_token(&self, bound_to: &[&str], token: &str) -> Result<String, Unopened> {
        let sealed = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| Unopened)?;
        String::from_utf8(self.tokens.open(bound_to, &sealed)?).map_err(|_| Unopened)
    }
}

/// Random bytes from the operating system's generator.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // aws-lc aborts the process rather than return bytes that are not random.
    rand::fill(&mut bytes).unwrap_or_else(|_| std::process::abort());
    bytes
}

/// A new id: a prefix that says what it is, and 128 random bits.
pub fn new_id(prefix: &str) -> String {
    id(prefix, &random::<16>())
}

fn id(prefix: &str, bits: &[u8]) -> String {
    format!("{prefix}_{}", BASE32_NOPAD.encode(bits).to_lowercase())
}

/// A new id that sorts after those of earlier times: a prefix, the milliseconds, and 80 random bits.
///
/// For what is never a secret and whose time both sides know: rows that come one after the other then stand beside each
/// other, however large the table.
pub fn new_id_at(prefix: &str, at: Instant) -> String {
    let millis = (at.micros() / 1_000).to_be_bytes();
    let bytes = [&millis[2..], &random::<10>()].concat();
    format!("{prefix}_{}", BASE32HEX_NOPAD.encode(&bytes).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_for_its_own_record() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let (key, wrapped) = seal.new_key("inc_1 1").unwrap();
        let sealed = key.seal(&["inc_1", "1", "timeline"], b"what happened").unwrap();
        let again = seal.unwrap_key("inc_1 1", &wrapped).unwrap();
        assert_eq!(again.open(&["inc_1", "1", "timeline"], &sealed).unwrap(), b"what happened");
        assert!(again.open(&["inc_1", "1", "impact"], &sealed).is_err(), "moved to another category");
        assert!(seal.unwrap_key("inc_2 1", &wrapped).is_err(), "a key moved to another record");
        assert!(Seal::new(&[8; 32]).unwrap().unwrap_key("inc_1 1", &wrapped).is_err(), "another node");
    }

    #[test]
    fn what_is_sealed_names_its_secret_and_is_wrapped_anew_under_the_newest() {
        let secrets = |bytes: &[u8]| bytes.iter().map(|byte| Secret::new(&[*byte; 32]).unwrap()).collect();
        let old = Seal::new(&[7; 32]).unwrap();
        let (key, wrapped) = old.new_key("inc_1 1").unwrap();
        let sealed = key.seal(&["inc_1"], b"what happened").unwrap();
        let check = old.check_value();
        let both = Seal::unlock(secrets(&[8, 7]), None, Some(&check)).unwrap();
        assert!(old.newest().unwrap().is_on(&wrapped) && both.beginning() == Some(old.newest().unwrap()));
        let (anew, lasting) = (both.rewrap_key("inc_1 1", &wrapped).unwrap().unwrap(), both.lasting_keys().unwrap());
        assert!(both.rewrap_key("inc_1 1", &anew).unwrap().is_none(), "it is already");

        let new = Seal::unlock(secrets(&[8]), Some(&lasting), Some(&check)).unwrap();
        let again = new.unwrap_key("inc_1 1", &anew).unwrap();
        assert_eq!(again.open(&["inc_1"], &sealed).unwrap(), b"what happened");
        assert!(new.unwrap_key("inc_1 1", &wrapped).is_err(), "the old secret is gone");
        let (crn, ico) = (Identifier::parse("gb-coh", "01234567").unwrap(), AgencyId::known("ico"));
        assert_eq!(new.lookup(&ico, &crn), old.lookup(&ico, &crn), "organisations are found as before");
        assert_eq!((new.pseudonym_key(), new.check_value()), (old.pseudonym_key(), check.clone()));
        assert!(Seal::unlock(secrets(&[8]), None, Some(&check)).is_err(), "the keys that stay need the first secret");
        assert!(Seal::unlock(secrets(&[9]), Some(&lasting), Some(&check)).is_err(), "another secret");
    }

    #[test]
    fn what_was_sealed_before_secrets_had_names_opens() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let (_, wrapped) = seal.new_key("inc_1 1").unwrap();
        let nameless = &wrapped[8..];
        assert!(seal.unwrap_key("inc_1 1", nameless).is_ok());
        assert!(seal.unwrap_key("inc_2 1", nameless).is_err());
        assert!(seal.rewrap_key("inc_1 1", nameless).unwrap().is_some_and(|anew| anew.len() == wrapped.len()));
    }

    #[test]
    fn ids_with_a_time_sort_by_it_and_are_never_the_same() {
        let at = |millis: i64| Instant::from_micros(1_760_000_000_000_000 + millis * 1_000);
        let ids: Vec<String> = (0..64).map(|millis| new_id_at("req", at(millis))).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        assert_ne!(new_id_at("req", at(0)), new_id_at("req", at(0)));
    }

    #[test]
    fn a_records_id_is_its_calls_own() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let call = |agency: &str, method, request_id: &str| CallKey {
            agency: AgencyId::known(agency),
            method,
            request_id: crate::domain::RequestId::known(request_id),
            digest: crate::domain::Digest([7; 32]),
        };
        let id = seal.record_id("inc", &call("ico", "Register", "request-1"));
        assert_eq!(id, seal.record_id("inc", &call("ico", "Register", "request-1")));
        assert_eq!(id.len(), new_id("inc").len());
        for other in [
            call("nca", "Register", "request-1"),
            call("ico", "Amend", "request-1"),
            call("ico", "Register", "request-2"),
        ] {
            assert_ne!(id, seal.record_id("inc", &other));
        }
        assert_ne!(id, Seal::new(&[8; 32]).unwrap().record_id("inc", &call("ico", "Register", "request-1")));
    }

    #[test]
    fn a_page_token_is_for_one_caller() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let token = seal.seal_token(&["ico", "ListRequests"], "req_1").unwrap();
        assert_eq!(seal.open_token(&["ico", "ListRequests"], &token).unwrap(), "req_1");
        assert!(seal.open_token(&["nca", "ListRequests"], &token).is_err());
    }
}
