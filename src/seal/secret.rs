//! Node secrets, which can be replaced, and the keys that stay when they are.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::{constant_time, hmac};
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::{SealingKey, StatisticsKey, Unopened};

/// How a secret is called in what is sealed with it: eight bytes that follow from it and say nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName([u8; 8]);

impl SecretName {
    /// Whether this was sealed with the secret of this name. What was sealed before secrets had names has none.
    pub fn is_on(&self, sealed: &[u8]) -> bool {
        sealed.starts_with(&self.0)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for SecretName {
    type Err = Unopened;

    fn from_str(text: &str) -> Result<Self, Unopened> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| Unopened)?;
        bytes.try_into().map(Self).map_err(|_| Unopened)
    }
}

/// One node secret: what wraps data keys, and what seals the statistics.
pub struct Secret {
    name: SecretName,
    wrapping: SealingKey,
    statistics: SealingKey,
    /// The keys that stay, if this is the secret with which the node began.
    first: Lasting,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

/// What of a secret something is sealed with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Use {
    Wrapping,
    Statistics,
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive<const N: usize>(root: &Prk, label: &str) -> Result<Zeroizing<[u8; N]>, Unopened> {
    let mut key = Zeroizing::new([0_u8; N]);
    let info = [label.as_bytes()];
    root.expand(&info, Length(N)).and_then(|okm| okm.fill(key.as_mut())).map_err(|_| Unopened)?;
    Ok(key)
}

impl Secret {
    /// Derives its keys (HKDF-SHA-256, one label each).
    pub fn new(secret: &[u8; 32]) -> Result<Self, Unopened> {
        let root = Salt::new(HKDF_SHA256, b"concordat node secret 1").extract(secret);
        Ok(Self {
            name: SecretName(*derive(&root, "name of the secret")?),
            wrapping: SealingKey::new(&*derive(&root, "wrap data keys")?)?,
            statistics: SealingKey::new(&*derive(&root, "statistics at rest")?)?,
            first: Lasting::derive(&root)?,
        })
    }

    /// What it is called.
    pub fn name(&self) -> SecretName {
        self.name
    }

    /// The keys that stay, if this is the secret with which the node began.
    pub(super) fn first(&self) -> &Lasting {
        &self.first
    }

    pub(super) fn key(&self, of: Use) -> &SealingKey {
        match of {
            Use::Wrapping => &self.wrapping,
            Use::Statistics => &self.statistics,
        }
    }

    /// Seals a value, with the secret's name before it.
    pub(super) fn seal(&self, of: Use, bound_to: &[&str], plain: &[u8]) -> Result<Vec<u8>, Unopened> {
        Ok([self.name.0.as_slice(), &self.key(of).seal(bound_to, plain)?].concat())
    }

    /// Opens a value that has the secret's name before it.
    pub(super) fn open(&self, of: Use, bound_to: &[&str], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let sealed = sealed.strip_prefix(&self.name.0).ok_or(Unopened)?;
        self.key(of).open(bound_to, sealed)
    }
}

const LABELS: [&str; 6] = [
    "page tokens",
    "noise on statistics",
    "look up anonymised looks",
    "look up identifiers",
    "ids of records",
    "officer pseudonyms",
];

/// The keys that stay when secrets change: what is found by a keyed hash would be lost with another, published noise could
/// be taken off by comparing, and officers would get new pseudonyms. They follow from the first secret; with a second one
/// they are stored, sealed with it.
#[derive(Clone)]
pub(super) struct Lasting {
    material: Zeroizing<[[u8; 32]; LABELS.len()]>,
}

fn hashing(key: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

/// What they are bound to where they are stored.
const LASTING: &[&str] = &["lasting keys"];

impl Lasting {
    fn derive(root: &Prk) -> Result<Self, Unopened> {
        let mut material = Zeroizing::new([[0_u8; 32]; LABELS.len()]);
        for (part, label) in material.iter_mut().zip(LABELS) {
            *part = *derive(root, label)?;
        }
        Ok(Self { material })
    }

    pub(super) fn seal(&self, with: &Secret) -> Result<Vec<u8>, Unopened> {
        with.seal(Use::Wrapping, LASTING, self.material.as_flattened())
    }

    pub(super) fn open(sealed: &[u8], with: &Secret) -> Result<Self, Unopened> {
        let plain = Zeroizing::new(with.open(Use::Wrapping, LASTING, sealed)?);
        let (parts, []) = plain.as_chunks::<32>() else { return Err(Unopened) };
        parts.try_into().map(|material| Self { material: Zeroizing::new(material) }).map_err(|_| Unopened)
    }

    pub(super) fn tokens(&self) -> Result<SealingKey, Unopened> {
        let [tokens, ..] = &*self.material;
        SealingKey::new(tokens)
    }

    pub(super) fn statistics(&self) -> StatisticsKey {
        let [_, noise, looks, ..] = &*self.material;
        StatisticsKey { noise: hashing(noise), looks: hashing(looks) }
    }

    pub(super) fn lookup(&self) -> hmac::Key {
        let [_, _, _, lookup, ..] = &*self.material;
        hashing(lookup)
    }

    pub(super) fn ids(&self) -> hmac::Key {
        let [.., ids, _] = &*self.material;
        hashing(ids)
    }

    pub(super) fn pseudonym(&self) -> [u8; 32] {
        let [.., pseudonym] = *self.material;
        pseudonym
    }

    /// Tells these keys from others without saying anything about them.
    pub(super) fn check_value(&self) -> String {
        HEXLOWER.encode(hmac::sign(&self.lookup(), b"which node secret is this").as_ref())
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.material.as_flattened(), other.material.as_flattened()).is_ok()
    }
}
