//! A root: the certificate of an authority that is trusted for being configured.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::revocation::{is_signed, key_of};
use crate::domain::{Digest, Instant};
use crate::identity;

/// What a root's certificate says.
///
/// WHY: webpki takes of a root only its name and its key, so that one whose time is over would vouch for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// SHA-256 over the certificate.
    pub fingerprint: Digest,
    /// Its name, for people.
    pub subject: String,
    /// From when it vouches, inclusive.
    pub from: Instant,
    /// Until when it does, exclusive.
    pub until: Instant,
    /// Its `SubjectPublicKeyInfo`.
    pub(super) key: Vec<u8>,
}

impl Root {
    /// None if it isn't the certificate of an authority.
    pub fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        let at = |seconds: i64| Instant::from_micros(0).plus_seconds(seconds);
        let validity = certificate.validity();
        (rest.is_empty() && certificate.is_ca()).then(|| Self {
            fingerprint: identity::fingerprint(der),
            subject: certificate.subject().to_string(),
            from: at(validity.not_before.timestamp()),
            until: at(validity.not_after.timestamp()),
            key: key_of(&certificate),
        })
    }

    /// Whether it vouches at this time.
    pub fn is_valid(&self, at: Instant) -> bool {
        self.from <= at && at < self.until
    }
}

/// Whether the authority with the second certificate issued the first: then whoever has the key of the first names whatever
/// the second vouches for.
pub fn is_issued_by(below: &CertificateDer<'_>, above: &CertificateDer<'_>) -> bool {
    let read = |der| X509Certificate::from_der(der).map(|(_, certificate)| certificate);
    let (Ok(lower), Ok(upper)) = (read(below), read(above)) else { return false };
    let (stated, signature) = (lower.tbs_certificate.as_ref(), &lower.signature_value.data);
    lower.issuer().as_raw() == upper.subject().as_raw() && is_signed(below, stated, signature, &upper) == Some(true)
}
