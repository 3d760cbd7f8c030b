//! A root: the certificate of an authority that is trusted for being configured.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

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
        })
    }

    /// Whether it vouches at this time.
    pub fn is_valid(&self, at: Instant) -> bool {
        self.from <= at && at < self.until
    }
}
