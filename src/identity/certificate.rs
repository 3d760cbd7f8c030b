//! What a certificate says about the system that presents it.

use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use super::at;
use crate::domain::{AgencyId, Digest, Instant};

/// The longest that a caller's certificate may be valid for.
const LONGEST_SECONDS: i64 = 90 * 86_400;

/// The longest that one may be valid for whose agency takes none back.
const SHORT_SECONDS: i64 = 86_400;

/// The fewest bits of an RSA key. Elliptic curves are limited by the cryptography provider.
const FEWEST_RSA_BITS: usize = 3072;

/// The longest SPIFFE id, in bytes.
const LONGEST_ID: usize = 2048;

/// SHA-256 over a certificate's DER: what a token is bound to.
pub fn fingerprint(der: &[u8]) -> Digest {
    sha256(&[der])
}

/// SHA-256 over the parts, one after the other.
pub(super) fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest(bytes)
}

/// A SPIFFE id with a path, in the one form that needs no normalising: `spiffe://trust-domain/path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SpiffeId {
    trust_domain: String,
    path: String,
}

impl SpiffeId {
    /// None for everything that two readers might read differently: upper-case letters in the trust domain, ports,
    /// user names, queries, fragments, percent-encoding, and empty or dot segments.
    pub fn parse(text: &str) -> Option<Self> {
        let (trust_domain, path) = text.strip_prefix("spiffe://")?.split_once('/')?;
        let segment = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        };
        let strict = text.len() <= LONGEST_ID && is_trust_domain(trust_domain) && path.split('/').all(segment);
        strict.then(|| Self { trust_domain: trust_domain.to_owned(), path: path.to_owned() })
    }

    /// The trust domain: whose authority must vouch for it.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }
}

impl std::fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "spiffe://{}/{}", self.trust_domain, self.path)
    }
}

/// Whether the text is a SPIFFE trust domain: 1 to 255 of `a-z 0-9 . - _`.
pub fn is_trust_domain(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    (1..=255).contains(&text.len()) && text.chars().all(allowed)
}

/// Why a certificate is not one that a calling system may present. For logs; the peer sees one alert for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself what it is")]
pub enum Unacceptable {
    #[error("not a readable X.509 certificate")]
    Unreadable,
    #[error("the certificate of an authority, not of a system")]
    Authority,
    #[error("key usage isn't present with digitalSignature and without keyCertSign and cRLSign")]
    KeyUsage,
    #[error("extended key usage isn't present with clientAuth")]
    ExtendedKeyUsage,
    #[error("one of the subject alternative names can't be read")]
    UnreadableName,
    #[error("there isn't exactly one URI among the subject alternative names")]
    NotOneUri,
    #[error("the URI isn't a SPIFFE id in strict form")]
    SpiffeId,
    #[error("valid for more than 90 days, or for none")]
    Validity,
    #[error("an RSA key of fewer than 3072 bits")]
    WeakKey,
}

/// Whether a certificate, judged by itself, is one that a calling system may present.
pub fn check_leaf(der: &[u8]) -> Result<(), Unacceptable> {
    Leaf::read(der).map(|_| ())
}

/// What a leaf certificate says, judged by itself: nobody has vouched for it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    spiffe_id: SpiffeId,
    fingerprint: Digest,
    serial: String,
    not_before: Instant,
    not_after: Instant,
}

impl Leaf {
    /// Reads what a certificate claims, and checks all that doesn't depend on who signed it or on the time.
    ///
    /// WHY: webpki accepts a certificate without extended key usage and doesn't look at key usage at all.
    pub(crate) fn read(der: &[u8]) -> Result<Self, Unacceptable> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| Unacceptable::Unreadable)?;
        ensure(rest.is_empty(), Unacceptable::Unreadable)?;
        check_usage(&certificate)?;
        let lifetime = validity_seconds(&certificate).ok_or(Unacceptable::Validity)?;
        ensure((1..=LONGEST_SECONDS).contains(&lifetime), Unacceptable::Validity)?;
        if let Ok(PublicKey::RSA(key)) = certificate.public_key().parsed() {
            ensure(key.key_size() >= FEWEST_RSA_BITS, Unacceptable::WeakKey)?;
        }
        Ok(Self {
            spiffe_id: only_spiffe_id(&certificate)?,
            fingerprint: fingerprint(der),
            serial: data_encoding::HEXLOWER.encode(certificate.raw_serial()),
            not_before: at(certificate.validity().not_before.timestamp()),
            not_after: at(certificate.validity().not_after.timestamp()),
        })
    }

    /// Whether it ends so soon that it needs no revocation: after 24 hours.
    pub(crate) fn is_short_lived(&self) -> bool {
        self.not_after.micros() - self.not_before.micros() <= SHORT_SECONDS * 1_000_000
    }

    /// When it expires, exclusive.
    pub(crate) fn not_after(&self) -> Instant {
        self.not_after
    }

    /// The trust domain that it claims to belong to.
    pub(crate) fn trust_domain(&self) -> &str {
        self.spiffe_id.trust_domain()
    }
}

fn ensure(holds: bool, otherwise: Unacceptable) -> Result<(), Unacceptable> {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn check_usage(certificate: &X509Certificate<'_>) -> Result<(), Unacceptable> {
    let constraints = certificate.basic_constraints().map_err(|_| Unacceptable::Unreadable)?;
    ensure(!constraints.is_some_and(|extension| extension.value.ca), Unacceptable::Authority)?;
    let usage = certificate.key_usage().map_err(|_| Unacceptable::KeyUsage)?.ok_or(Unacceptable::KeyUsage)?.value;
    ensure(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign(), Unacceptable::KeyUsage)?;
    let extended = certificate.extended_key_usage().map_err(|_| Unacceptable::ExtendedKeyUsage)?;
    ensure(extended.is_some_and(|extension| extension.value.client_auth), Unacceptable::ExtendedKeyUsage)
}

fn validity_seconds(certificate: &X509Certificate<'_>) -> Option<i64> {
    let validity = certificate.validity();
    validity.not_after.timestamp().checked_sub(validity.not_before.timestamp())
}

fn only_spiffe_id(certificate: &X509Certificate<'_>) -> Result<SpiffeId, Unacceptable> {
    let names = certificate.subject_alternative_name().map_err(|_| Unacceptable::NotOneUri)?;
    let names = || names.iter().flat_map(|extension| &extension.value.general_names);
    // What is no text to this reader may be another URI to the next one.
    ensure(!names().any(|name| matches!(name, GeneralName::Invalid(..))), Unacceptable::UnreadableName)?;
    let mut uris = names().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => SpiffeId::parse(uri).ok_or(Unacceptable::SpiffeId),
        _ => Err(Unacceptable::NotOneUri),
    }
}

/// The system at the other end of a connection, vouched for by the authority of its own agency until that ends.
///
/// Made once per connection, by [`Trust::admit`](crate::tls::Trust::admit) alone.
#[derive(Debug)]
pub struct Peer {
    agency: AgencyId,
    leaf: Leaf,
    certificate_names: [String; 2],
    vouched: ArcSwap<Vouched>,
    is_withdrawn: AtomicBool,
}

/// By what a peer is vouched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vouched {
    /// SHA-256 over the root's certificate.
    pub root: Digest,
    /// Until when nothing that vouches for it ends by itself, exclusive: a certificate of the chain, its root, or a
    /// revocation list of an authority in it.
    pub until: Instant,
}

impl Peer {
    /// INVARIANT: the agency's own authority vouches for the leaf; [`Trust::admit`](crate::tls::Trust::admit) sees to it.
    pub(crate) fn vouched(agency: AgencyId, leaf: Leaf, vouched: Vouched) -> Self {
        let serial = leaf.serial.trim_start_matches("00");
        let certificate_names = [format!("sha256:{}", leaf.fingerprint.to_hex()), format!("serial:{serial}")];
        let vouched = ArcSwap::from_pointee(vouched);
        Self { agency, leaf, certificate_names, vouched, is_withdrawn: AtomicBool::new(false) }
    }

    /// Nobody vouches for it any more: no call on this connection is identified from now on.
    pub(crate) fn withdraw(&self) {
        self.is_withdrawn.store(true, Ordering::SeqCst);
    }

    /// Whether that was said of it.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.is_withdrawn.load(Ordering::SeqCst)
    }

    /// Whether somebody vouches for it at this time. What does may end between two looks at what is trusted.
    pub fn is_vouched_for(&self, now: Instant) -> bool {
        !self.is_withdrawn() && now < self.vouching().until
    }

    /// By what it is vouched for.
    pub fn vouching(&self) -> Vouched {
        **self.vouched.load()
    }

    /// Takes over by what it is vouched for from what was found now about the same chain.
    pub(crate) fn renew(&self, judged: &Self) {
        self.vouched.store(judged.vouched.load_full());
    }

    /// The agency whose authority vouches for it.
    pub fn agency(&self) -> &AgencyId {
        &self.agency
    }

    /// The system's own name.
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.leaf.spiffe_id
    }

    /// SHA-256 over the certificate.
    pub fn fingerprint(&self) -> &Digest {
        &self.leaf.fingerprint
    }

    /// The certificate's serial number, in lower-case hexadecimal as encoded.
    pub fn serial(&self) -> &str {
        &self.leaf.serial
    }

    /// The certificate as [`certificate_name`](crate::domain::certificate_name) has it, in both ways.
    pub fn certificate_names(&self) -> &[String; 2] {
        &self.certificate_names
    }

    /// When the certificate expires, exclusive.
    pub fn not_after(&self) -> Instant {
        self.leaf.not_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spiffe_ids_have_one_form() {
        let id = SpiffeId::parse("spiffe://ico.example/gateway/a-1").expect("the plain form");
        assert_eq!((id.trust_domain(), id.to_string().as_str()), ("ico.example", "spiffe://ico.example/gateway/a-1"));
        for other in [
            "",
            "spiffe://",
            "spiffe://ico.example",
            "spiffe://ico.example/",
            "spiffe:///gateway",
            "SPIFFE://ico.example/gateway",
            "https://ico.example/gateway",
            "spiffe://ICO.example/gateway",
            "spiffe://ico.example:443/gateway",
            "spiffe://user@ico.example/gateway",
            "spiffe://ico.example/gateway?x=1",
            "spiffe://ico.example/gateway#x",
            "spiffe://ico.example/gate%77ay",
            "spiffe://ico%2eexample/gateway",
            "spiffe://ico.example//gateway",
            "spiffe://ico.example/gateway/",
            "spiffe://ico.example/./gateway",
            "spiffe://ico.example/../gateway",
            "spiffe://ico.example/gate\0way",
            "spiffe://ico.example/gate way",
            "spiffe://ico.example/gäteway",
        ] {
            assert_eq!(SpiffeId::parse(other), None, "{other:?}");
        }
        assert_eq!(SpiffeId::parse(&format!("spiffe://ico.example/{}", "a".repeat(LONGEST_ID))), None);
    }
}
