//! Lists of revoked certificates: which are accepted, and for how long they count.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use x509_parser::asn1_rs::Any;
use x509_parser::certificate::X509Certificate;
use x509_parser::num_bigint::BigUint;
use x509_parser::oid_registry::{OID_X509_EXT_DELTA_CRL_INDICATOR, OID_X509_EXT_ISSUER_DISTRIBUTION_POINT};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::provider;
use crate::domain::{Digest, Instant, ListStand};
use crate::identity::fingerprint;

/// By how much an authority's clock may be ahead of ours.
const EARLY_SECONDS: i64 = 300;

/// How an agency takes back a certificate before it expires.
#[derive(Debug, Clone, PartialEq)]
pub enum Revocation {
    /// Not at all: its certificates live for 24 hours at most, as SPIRE's and cert-manager's can.
    ShortLived,
    /// By lists. Whoever's authority has none that is current is admitted by nobody; so is everybody if there is none.
    Lists(Vec<RevocationList>),
}

/// A list that an agency's authority signed.
#[derive(Debug, Clone)]
pub struct RevocationList {
    pub(super) der: CertificateRevocationListDer<'static>,
    /// The authority's name as people read it, and its key.
    issuer: String,
    authority: Vec<u8>,
    number: BigUint,
    this_update: Instant,
    next_update: Instant,
}

/// Why something is not taken as a revocation list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unlistable {
    /// It can't be read.
    #[error("it is no revocation list that can be read; publish it anew, in version 2 with a CRL number")]
    Unreadable,
    /// It doesn't say what RFC 5280, section 5, asks of it.
    #[error("the list of {issuer} has no {what}: have the authority issue lists as RFC 5280, section 5, says")]
    Lacks {
        /// Who issued it.
        issuer: String,
        /// What it lacks.
        what: &'static str,
    },
    /// None of the agency's authorities issued it.
    #[error(
        "the list of {issuer} is by none of the agency's authorities: take it out, or add the authority to \
         `intermediates_file`"
    )]
    Stranger {
        /// Who issued it.
        issuer: String,
    },
    /// It says an authority's name, and that authority didn't sign it.
    #[error("the list of {issuer} isn't signed with that authority's key: fetch it again")]
    Signature {
        /// Who is said to have issued it.
        issuer: String,
    },
    /// It is signed in a way that no handshake accepts.
    #[error(
        "the list of {issuer} is signed in a way that TLS does not take here: sign lists as certificates are, not by SHA-1"
    )]
    Algorithm {
        /// Who issued it.
        issuer: String,
    },
    /// Its authority may not sign lists.
    #[error(
        "the list of {issuer} is by an authority whose key usage lacks cRLSign: issue the authority's certificate anew"
    )]
    NotASigner {
        /// Who issued it.
        issuer: String,
    },
    /// Handshakes could not be judged by it.
    #[error(
        "the list of {issuer} is not taken by TLS ({reason}): have the authority issue lists as RFC 5280, section 5, says"
    )]
    NotTaken {
        /// Who issued it.
        issuer: String,
        /// What the verifier says.
        reason: String,
    },
    /// It is a part of a list, or what has changed since one.
    #[error("the list of {issuer} is not complete (delta, or an issuing distribution point): publish whole lists")]
    Partial {
        /// Who issued it.
        issuer: String,
    },
    /// It is from the future.
    #[error("the list of {issuer} is from {at}, which is still to come: check both clocks")]
    TooEarly {
        /// Who issued it.
        issuer: String,
        /// From when it is.
        at: Instant,
    },
    /// It counts no more.
    #[error("the list of {issuer} ended at {at}: publish a new one")]
    OutOfDate {
        /// Who issued it.
        issuer: String,
        /// When it ended.
        at: Instant,
    },
    /// An older list would bring back what a later one revoked.
    #[error("the list of {issuer} has the number {number}, and {last} is known already: publish a later one")]
    RolledBack {
        /// Who issued it.
        issuer: String,
        /// Its number.
        number: BigUint,
        /// The highest number so far.
        last: BigUint,
    },
}

/// How much of a list's life, or of a certificate's, is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// Less than half.
    Fresh,
    /// Half.
    HalfOver,
    /// Four fifths: somebody should have renewed it.
    NearlyOver,
    /// All.
    Over,
}

impl Life {
    /// Where `now` is between a beginning and an end.
    pub fn between(from: Instant, until: Instant, now: Instant) -> Self {
        let (whole, gone) = (until.micros().saturating_sub(from.micros()), now.micros().saturating_sub(from.micros()));
        match () {
            () if gone >= whole => Self::Over,
            () if gone >= whole / 5 * 4 => Self::NearlyOver,
            () if gone >= whole / 2 => Self::HalfOver,
            () => Self::Fresh,
        }
    }
}

/// What no two authorities share: the `SubjectPublicKeyInfo`.
pub(super) fn key_of(authority: &X509Certificate<'_>) -> Vec<u8> {
    authority.public_key().raw.to_vec()
}

impl PartialEq for RevocationList {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl RevocationList {
    /// Reads a list that one of these authorities signed and that counts at `now`.
    pub fn read(der: &[u8], authorities: &[CertificateDer<'_>], now: Instant) -> Result<Self, Unlistable> {
        let (rest, list) = CertificateRevocationList::from_der(der).map_err(|_| Unlistable::Unreadable)?;
        if !rest.is_empty() {
            return Err(Unlistable::Unreadable);
        }
        let issuer = list.issuer().to_string();
        let lacks = |what| Unlistable::Lacks { issuer: issuer.clone(), what };
        let number = list.crl_number().ok_or_else(|| lacks("number"))?.clone();
        let next_update = list.next_update().ok_or_else(|| lacks("next update"))?;
        let (own, authority) = signer(der, &list, authorities, &issuer)?;
        let parts = [OID_X509_EXT_DELTA_CRL_INDICATOR, OID_X509_EXT_ISSUER_DISTRIBUTION_POINT];
        if list.extensions().iter().any(|extension| parts.contains(&extension.oid)) {
            return Err(Unlistable::Partial { issuer });
        }
        let at = |time: x509_parser::time::ASN1Time| Instant::from_micros(0).plus_seconds(time.timestamp());
        let (this_update, next_update) = (at(list.last_update()), at(next_update));
        if this_update > now.plus_seconds(EARLY_SECONDS) {
            return Err(Unlistable::TooEarly { issuer, at: this_update });
        }
        if next_update <= now {
            return Err(Unlistable::OutOfDate { issuer, at: next_update });
        }
        let der = CertificateRevocationListDer::from(der.to_vec());
        judge(&der, own)
            .map_err(|reason| Unlistable::NotTaken { issuer: issuer.clone(), reason: reason.to_string() })?;
        Ok(Self { der, authority: key_of(&authority), issuer, number, this_update, next_update })
    }

    /// Whether it may take the place of this authority's last list: no number becomes lower, and no time earlier.
    pub fn follows(&self, last: ListStand) -> Result<(), Unlistable> {
        if self.stand() >= last {
            return Ok(());
        }
        let (number, last) = (self.number.clone(), BigUint::from_bytes_be(&last.number));
        Err(Unlistable::RolledBack { issuer: self.issuer.clone(), number, last })
    }

    /// Where it stands among the lists of its authority.
    pub fn stand(&self) -> ListStand {
        let (bytes, mut number) = (self.number.to_bytes_be(), [0; 20]);
        // Longer ones are not read.
        for (place, byte) in number.iter_mut().rev().zip(bytes.iter().rev()) {
            *place = *byte;
        }
        ListStand { number, this_update: self.this_update }
    }

    /// SHA-256 over its authority's `SubjectPublicKeyInfo`.
    pub fn authority_digest(&self) -> Digest {
        fingerprint(&self.authority)
    }

    /// The key of its authority, as [`key_of`] has it.
    pub(super) fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// Whether it is by the authority with this certificate.
    pub fn is_by(&self, authority: &X509Certificate<'_>) -> bool {
        self.authority == key_of(authority)
    }

    /// Who issued it, for people.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// From when it counts.
    pub fn this_update(&self) -> Instant {
        self.this_update
    }

    /// Until when it counts, exclusive.
    pub fn next_update(&self) -> Instant {
        self.next_update
    }

    /// Its number.
    pub fn number(&self) -> &BigUint {
        &self.number
    }
}

/// The authority that signed the list and may, by the algorithms that handshakes take.
///
/// WHY: a list that somebody else's code finds well signed and the handshake's does not turns every system of its
/// authority away.
fn signer<'a>(
    der: &[u8],
    list: &CertificateRevocationList<'_>,
    authorities: &'a [CertificateDer<'_>],
    issuer: &str,
) -> Result<(&'a CertificateDer<'a>, X509Certificate<'a>), Unlistable> {
    let issuer = || issuer.to_owned();
    let read = authorities.iter().filter_map(|der| Some((der, X509Certificate::from_der(der).ok()?.1)));
    let named: Vec<_> = read.filter(|(_, authority)| authority.subject().as_raw() == list.issuer().as_raw()).collect();
    if named.is_empty() {
        return Err(Unlistable::Stranger { issuer: issuer() });
    }
    let (mut is_known, mut signs) = (false, None);
    for (own, authority) in named {
        match is_signed(der, list.tbs_cert_list.as_ref(), &list.signature_value.data, &authority) {
            Some(true) => signs = Some((own, authority)),
            Some(false) => is_known = true,
            None => {}
        }
    }
    match signs {
        Some((own, authority)) => match authority.key_usage() {
            Ok(usage) if usage.as_ref().is_none_or(|usage| usage.value.crl_sign()) => Ok((own, authority)),
            _ => Err(Unlistable::NotASigner { issuer: issuer() }),
        },
        None if is_known => Err(Unlistable::Signature { issuer: issuer() }),
        None => Err(Unlistable::Algorithm { issuer: issuer() }),
    }
}

/// Whether the authority's key signed a list or a certificate, of which these are the part that is signed and the
/// signature; none if no handshake takes such a signature by such a key.
pub(super) fn is_signed(der: &[u8], stated: &[u8], signature: &[u8], authority: &X509Certificate<'_>) -> Option<bool> {
    let (_, whole) = Any::from_der(der).ok()?;
    let (_, algorithm) = Any::from_der(whole.data.get(stated.len()..)?).ok()?;
    let key = authority.public_key();
    let (_, key_info) = Any::from_der(key.raw).ok()?;
    let (_, key_algorithm) = Any::from_der(key_info.data).ok()?;
    let known = provider().signature_verification_algorithms.all;
    let mut fitting = known.iter().filter(|known| {
        known.signature_alg_id().as_ref() == algorithm.data && known.public_key_alg_id().as_ref() == key_algorithm.data
    });
    let first = fitting.next()?;
    let verifies = std::iter::once(first)
        .chain(fitting)
        .any(|known| known.verify_signature(&key.subject_public_key.data, stated, signature).is_ok());
    Some(verifies)
}

/// Reads the list as each handshake does.
fn judge(
    list: &CertificateRevocationListDer<'static>,
    authority: &CertificateDer<'_>,
) -> Result<(), VerifierBuilderError> {
    let mut store = RootCertStore::empty();
    drop(store.add(authority.clone().into_owned()));
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider());
    builder.with_crls([list.clone()]).build().map(|_| ())
}
