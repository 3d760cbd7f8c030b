//! Certificates and keys from PEM, with errors that say which file and what to do.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::provider;
use crate::domain::{Digest, Instant};
use crate::identity;

/// Why a file, or a text, doesn't give what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The file can't be read.
    #[error("{}: {source}; give the path of a PEM file that this process may read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file was read, but doesn't hold it.
    #[error("{}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Unreadable>,
    },
    /// Not PEM, or PEM of something else.
    #[error("there is no {wanted} in PEM form, or one that is damaged ({reason}); {remedy}")]
    Pem {
        /// What should be there.
        wanted: &'static str,
        /// What the parser says.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
}

const CERTIFICATE: (&str, &str) = ("certificate", "it begins with `-----BEGIN CERTIFICATE-----`, leaf first");
const KEY: (&str, &str) = ("private key", "PKCS#8 is best, as `openssl pkcs8 -topk8 -nocrypt` writes it");
const REVOCATION_LIST: (&str, &str) = ("revocation list", "it begins with `-----BEGIN X509 CRL-----`");

/// A certificate chain with the private key of its leaf.
#[derive(Debug)]
pub struct Credentials {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Credentials {
    /// Reads both; whether they belong together is checked where they are put to use.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, Unreadable> {
        Ok(Self { chain: certificates(chain.as_ref())?, key: private_key(key.as_ref())? })
    }

    /// Reads both from files; an error names the file.
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, Unreadable> {
        Ok(Self { chain: from_file(chain, certificates)?, key: from_file(key, private_key)? })
    }

    /// Whether the key is the leaf's, and of a kind that is used here.
    pub fn has_its_key(&self) -> bool {
        CertifiedKey::from_der(self.chain.clone(), self.key.clone_key(), &provider()).is_ok()
    }

    /// Whether clients will take it for a server's at `now`: a problem in words if not. Whether they trust its authority
    /// is theirs to know.
    pub fn check_server(&self, now: Instant) -> Result<(), &'static str> {
        if !self.has_its_key() {
            return Err("the private key isn't this certificate's, or of a kind that isn't used here");
        }
        check_server(self.chain.first().map_or(&[], |leaf| leaf.as_ref()), now)
    }

    /// From when, inclusive, and until when, exclusive, the leaf is valid.
    pub fn validity(&self) -> Option<(Instant, Instant)> {
        Some(validity(&X509Certificate::from_der(self.chain.first()?).ok()?.1))
    }

    /// SHA-256 over the leaf: what a token must be bound to.
    pub fn fingerprint(&self) -> Digest {
        identity::fingerprint(self.chain.first().map_or(&[], |leaf| leaf.as_ref()))
    }
}

impl Clone for Credentials {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// Whether clients will take a certificate for a server's at `now`: a problem in words if not. Whether they trust its
/// authority is theirs to know.
pub fn check_server(leaf: &[u8], now: Instant) -> Result<(), &'static str> {
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| "the first certificate can't be read")?;
    let names = leaf.subject_alternative_name().ok().flatten();
    let has_name = names.is_some_and(|names| {
        let mut names = names.value.general_names.iter();
        names.any(|name| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_)))
    });
    let extended = leaf.extended_key_usage().map_err(|_| "its extended key usage can't be read")?;
    match validity(&leaf) {
        (from, _) if now < from => Err("the certificate isn't valid yet: put it here when it is"),
        (_, until) if now < until => Ok(()),
        _ => Err("the certificate has expired: issue a new one"),
    }?;
    if !has_name {
        return Err("the certificate has no DNS name or IP address: clients look for one, not for a common name");
    }
    if extended.is_some_and(|extended| !extended.value.server_auth && !extended.value.any) {
        return Err("the certificate isn't for a server (extended key usage serverAuth)");
    }
    Ok(())
}

fn validity(certificate: &X509Certificate<'_>) -> (Instant, Instant) {
    let at = |seconds: i64| Instant::from_micros(0).plus_seconds(seconds);
    (at(certificate.validity().not_before.timestamp()), at(certificate.validity().not_after.timestamp()))
}

/// All certificates in a PEM text, at least one.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unreadable> {
    all(CertificateDer::pem_slice_iter(pem), CERTIFICATE)
}

/// All certificates in a file, at least one.
pub fn certificates_from_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unreadable> {
    from_file(path, certificates)
}

/// All revocation lists in a PEM text, and what is damaged, each by itself; at least one of both.
pub fn revocation_lists(pem: &[u8]) -> Vec<Result<CertificateRevocationListDer<'static>, Unreadable>> {
    let found = CertificateRevocationListDer::pem_slice_iter(pem);
    let damaged = |error: pem::Error| unreadable(REVOCATION_LIST, error.to_string());
    let mut found: Vec<_> = found.map(|read| read.map_err(damaged)).collect();
    if found.is_empty() {
        found.push(Err(unreadable(REVOCATION_LIST, "nothing found".to_owned())));
    }
    found
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Unreadable> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| unreadable(KEY, error.to_string()))
}

fn all<T, E: ToString>(
    found: impl Iterator<Item = Result<T, E>>,
    wanted: (&'static str, &'static str),
) -> Result<Vec<T>, Unreadable> {
    let found: Vec<T> = found.collect::<Result<_, _>>().map_err(|error| unreadable(wanted, error.to_string()))?;
    if found.is_empty() { Err(unreadable(wanted, "nothing found".to_owned())) } else { Ok(found) }
}

fn unreadable((wanted, remedy): (&'static str, &'static str), reason: String) -> Unreadable {
    Unreadable::Pem { wanted, reason, remedy }
}

fn from_file<T>(path: &Path, read: impl FnOnce(&[u8]) -> Result<T, Unreadable>) -> Result<T, Unreadable> {
    let pem = std::fs::read(path).map_err(|source| Unreadable::File { path: path.to_owned(), source })?;
    read(&pem).map_err(|source| Unreadable::Content { path: path.to_owned(), source: Box::new(source) })
}
