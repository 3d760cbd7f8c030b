//! Which authorities vouch for which agency, and the verifier that holds every one of them to its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::provider;
use super::revocation::{Revocation, RevocationList};
use super::root::{Root, is_issued_by};
use crate::domain::{AgencyId, Instant};
use crate::identity::{Leaf, Peer, Unacceptable, Vouched, is_trust_domain};

/// The most certificates that a peer may send.
const MOST_CERTIFICATES: usize = 4;

/// The most bytes that they may have together.
const MOST_BYTES: usize = 16 * 1024;

/// An agency whose systems may connect.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustedAgency {
    /// The agency.
    pub agency: AgencyId,
    /// The SPIFFE trust domain of its systems, such as `ico.example`.
    pub trust_domain: String,
    /// Its authorities' certificates.
    pub roots: Vec<CertificateDer<'static>>,
    /// How it takes certificates back.
    pub revocation: Revocation,
}

/// Why the agencies' authorities can't be relied on as configured.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Untrustworthy {
    /// The trust domain isn't one.
    #[error("{agency}: {trust_domain:?} is not a SPIFFE trust domain: 1 to 255 of a-z, 0-9, `.`, `-` and `_`")]
    TrustDomain {
        /// The agency.
        agency: AgencyId,
        /// What it was configured with.
        trust_domain: String,
    },
    /// An agency or a trust domain is there twice.
    #[error("{agency}: the agency or its trust domain {trust_domain} is configured twice: keep one")]
    Twice {
        /// The agency.
        agency: AgencyId,
        /// Its trust domain.
        trust_domain: String,
    },
    /// A root isn't the certificate of an authority.
    #[error("{agency}: root certificate {number} is not a readable certificate of an authority (CA:TRUE)")]
    Root {
        /// The agency.
        agency: AgencyId,
        /// Which of its roots, from 1.
        number: usize,
    },
    /// Whoever holds one key could name systems of both agencies: as both trust it, whatever certificates it is in, or as
    /// a root of the one issued that of the other.
    #[error(
        "{agency} and {other}: whoever has the key of {authority} could name systems of both: each agency needs an \
         authority of its own"
    )]
    Shared {
        /// The agency.
        agency: AgencyId,
        /// The other one.
        other: AgencyId,
        /// The authority's name, for people.
        authority: String,
    },
    /// Nobody vouches for its systems.
    #[error("{agency}: no root certificate: nobody could vouch for its systems")]
    NoRoot {
        /// The agency.
        agency: AgencyId,
    },
    /// A revocation list can't be used.
    #[error("{agency}: {source}")]
    Verifier {
        /// The agency.
        agency: AgencyId,
        /// What is wrong.
        source: VerifierBuilderError,
    },
}

/// Why a peer's certificates don't make it a system of an agency. For logs; the peer sees one alert for all.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Inadmissible {
    /// It sent no certificate.
    #[error("there is no certificate")]
    NoCertificate,
    /// It sent more than anybody needs.
    #[error("the chain has more than 4 certificates or 16 KiB")]
    LongChain,
    /// Its own certificate isn't of the form that all must have.
    #[error("the certificate isn't acceptable: {0}")]
    Leaf(#[from] Unacceptable),
    /// No agency here has that trust domain.
    #[error("the trust domain {0} belongs to no agency here")]
    UnknownTrustDomain(String),
    /// The agency is stopped until its authorities' lists are there: nobody can say what they have revoked.
    #[error("{agency} is stopped: there is no current list of what its authorities have revoked")]
    Stopped {
        /// The agency.
        agency: AgencyId,
    },
    /// The agency revokes nothing, so that its certificates must end by themselves.
    #[error("the certificate is valid for more than 24 hours, and {agency} takes none back (revocation: short-lived)")]
    LongLived {
        /// The agency.
        agency: AgencyId,
    },
    /// None of the agency's roots is valid now.
    #[error("no root of {agency} is valid at this time: put one into its `roots_file` that is")]
    RootsEnded {
        /// The agency.
        agency: AgencyId,
    },
    /// The agency's own authorities don't vouch for it at this time.
    #[error("the authorities of {agency} don't vouch for it: {reason}")]
    NotVouched {
        /// The agency whose trust domain the certificate names.
        agency: AgencyId,
        /// What the chain lacks.
        reason: Error,
    },
}

/// The agencies whose systems may connect, each with the only authorities that may vouch for them.
#[derive(Debug)]
pub struct Trust {
    by_domain: BTreeMap<String, Arc<Vouching>>,
}

/// Who vouches for one agency's systems, each part of it read and checked.
#[derive(Debug)]
pub struct Vouching {
    trusted: TrustedAgency,
    /// One for each root.
    anchors: Vec<Anchor>,
    /// Whether there is no list by which anybody could be judged.
    is_stopped: bool,
}

/// A root, and the verifier that trusts it alone: so it is known which root vouches for a chain, and it can end.
#[derive(Debug)]
struct Anchor {
    root: Root,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Trust {
    /// Holds these agencies; every root and revocation list was read, and no two agencies share anything: no key that
    /// vouches, in whatever certificates it is.
    pub fn new(agencies: impl IntoIterator<Item = TrustedAgency>) -> Result<Self, Untrustworthy> {
        let vouching = agencies.into_iter().map(|trusted| Vouching::of(trusted).map(Arc::new));
        Self::of(vouching.collect::<Result<Vec<_>, _>>()?)
    }

    /// The same of what was checked one by one.
    pub fn of(agencies: impl IntoIterator<Item = Arc<Vouching>>) -> Result<Self, Untrustworthy> {
        let mut by_domain = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut all: Vec<Arc<Vouching>> = Vec::new();
        for vouching in agencies {
            let trusted = &vouching.trusted;
            let (agency, trust_domain) = (trusted.agency.clone(), trusted.trust_domain.clone());
            if !seen.insert(agency.clone()) || by_domain.contains_key(&trust_domain) {
                return Err(Untrustworthy::Twice { agency, trust_domain });
            }
            for other in &all {
                if let Some(authority) = vouching.shared_with(other).or_else(|| other.shared_with(&vouching)) {
                    let (authority, other) = (authority.to_owned(), other.trusted.agency.clone());
                    return Err(Untrustworthy::Shared { agency, other, authority });
                }
            }
            all.push(Arc::clone(&vouching));
            by_domain.insert(trust_domain, vouching);
        }
        Ok(Self { by_domain })
    }

    /// The peer that presents this chain, leaf first, if at `now` the authorities of the agency that it names vouch
    /// for it. Whether it holds the certificate's key is for the handshake to show.
    pub fn admit(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<Peer, Inadmissible> {
        let (leaf, intermediates) = chain.split_first().ok_or(Inadmissible::NoCertificate)?;
        let bytes: usize = chain.iter().map(|certificate| certificate.len()).sum();
        if chain.len() > MOST_CERTIFICATES || bytes > MOST_BYTES {
            return Err(Inadmissible::LongChain);
        }
        let read = Leaf::read(leaf)?;
        let vouching = self
            .by_domain
            .get(read.trust_domain())
            .ok_or_else(|| Inadmissible::UnknownTrustDomain(read.trust_domain().to_owned()))?;
        let agency = vouching.trusted.agency.clone();
        if vouching.is_short_lived() && !read.is_short_lived() {
            return Err(Inadmissible::LongLived { agency });
        }
        if vouching.is_stopped {
            return Err(Inadmissible::Stopped { agency });
        }
        let root = vouching.anchor_of(leaf, intermediates, now).map_err(|reason| match reason {
            None => Inadmissible::RootsEnded { agency: agency.clone() },
            Some(reason) => Inadmissible::NotVouched { agency: agency.clone(), reason },
        })?;
        let until = vouching.until(root, intermediates, now).min(read.not_after());
        Ok(Peer::vouched(agency, read, Vouched { root: root.fingerprint, until }))
    }

    /// Each agency's, in the order of their trust domains.
    pub fn agencies(&self) -> impl Iterator<Item = &Vouching> {
        self.by_domain.values().map(Arc::as_ref)
    }
}

impl Vouching {
    /// The agency's own verifier, over its own roots and lists alone.
    pub fn of(trusted: TrustedAgency) -> Result<Self, Untrustworthy> {
        let (agency, trust_domain) = (trusted.agency.clone(), trusted.trust_domain.clone());
        if !is_trust_domain(&trust_domain) {
            return Err(Untrustworthy::TrustDomain { agency, trust_domain });
        }
        if trusted.roots.is_empty() {
            return Err(Untrustworthy::NoRoot { agency });
        }
        let lists = lists_of(&trusted);
        // Without any list webpki would take nothing as revoked.
        let is_stopped = lists.is_empty() && !matches!(trusted.revocation, Revocation::ShortLived);
        let mut anchors = Vec::new();
        for (der, number) in trusted.roots.iter().zip(1..) {
            let unusable = || Untrustworthy::Root { agency: agency.clone(), number };
            let root = Root::read(der).ok_or_else(unusable)?;
            let mut store = RootCertStore::empty();
            store.add(der.clone()).map_err(|_| unusable())?;
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider())
                .with_crls(lists.iter().map(|list| list.der.clone()))
                .enforce_revocation_expiration();
            let unbuilt = |source| Untrustworthy::Verifier { agency: agency.clone(), source };
            anchors.push(Anchor { root, verifier: builder.build().map_err(unbuilt)? });
        }
        Ok(Self { trusted, anchors, is_stopped })
    }

    /// The root that vouches for this chain at `now`; otherwise why none does, or nothing if none is valid.
    ///
    /// The last one of those that do: new roots stand below old ones, and an old one may go when no chain needs it.
    fn anchor_of(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<&Root, Option<Error>> {
        let mut why = None;
        for Anchor { root, verifier } in self.anchors.iter().rev().filter(|anchor| anchor.root.is_valid(at(now))) {
            match verifier.verify_client_cert(leaf, intermediates, now) {
                Ok(_) => return Ok(root),
                // That a root knows nothing of a chain says less than what another one has against it.
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) if why.is_some() => {}
                Err(reason) => why = Some(reason),
            }
        }
        Err(why)
    }

    /// The first end of what is above a chain that is vouched for at `now`: of its root, an intermediate, or the list of one of
    /// these authorities.
    ///
    /// What had ended by then isn't needed, or the chain would not be vouched for.
    fn until(&self, root: &Root, intermediates: &[CertificateDer<'_>], now: UnixTime) -> Instant {
        let above = intermediates.iter().filter_map(|der| X509Certificate::from_der(der).ok());
        let above: Vec<_> = above.map(|(_, authority)| authority).collect();
        let ends = above.iter().map(|one| Instant::from_micros(0).plus_seconds(one.validity().not_after.timestamp()));
        let judges = |list: &&RevocationList| {
            list.authority() == root.key || above.iter().any(|authority| list.is_by(authority))
        };
        let lists = lists_of(&self.trusted).iter().filter(judges).map(RevocationList::next_update);
        ends.chain(lists).filter(|end| *end >= at(now)).fold(root.until, Instant::min)
    }

    /// An authority of this agency whose key names systems of the other one, too: the other trusts the same key, or a root
    /// of the other's issued its certificate.
    fn shared_with(&self, other: &Self) -> Option<&str> {
        let same = self.keys().find(|(key, _)| other.keys().any(|(theirs, _)| theirs == *key));
        let is_below = |der| other.trusted.roots.iter().any(|theirs| is_issued_by(der, theirs));
        let below = || self.trusted.roots.iter().zip(self.roots()).find(|(der, _)| is_below(der));
        same.map(|(_, name)| name).or_else(|| below().map(|(_, root)| root.subject.as_str()))
    }

    /// Each key that vouches, with its authority's name: of the roots, and of the authorities below them whose lists count.
    fn keys(&self) -> impl Iterator<Item = (&[u8], &str)> {
        let lists = lists_of(&self.trusted);
        let roots = self.roots().map(|root| (root.key.as_slice(), root.subject.as_str()));
        roots.chain(lists.iter().map(|list| (list.authority(), list.issuer())))
    }

    /// Its roots, in the order of the file.
    pub fn roots(&self) -> impl Iterator<Item = &Root> {
        self.anchors.iter().map(|anchor| &anchor.root)
    }

    /// The lists that count; none where its certificates are not taken back.
    pub fn lists(&self) -> &[RevocationList] {
        lists_of(&self.trusted)
    }

    /// What it was made of.
    pub fn trusted(&self) -> &TrustedAgency {
        &self.trusted
    }

    fn is_short_lived(&self) -> bool {
        matches!(self.trusted.revocation, Revocation::ShortLived)
    }
}

fn lists_of(trusted: &TrustedAgency) -> &[RevocationList] {
    match &trusted.revocation {
        Revocation::ShortLived => &[],
        Revocation::Lists(lists) => lists,
    }
}

fn at(time: UnixTime) -> Instant {
    Instant::from_micros(0).plus_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

/// Lets rustls ask [`Trust::admit`], and tells the peer nothing about which of its checks failed.
#[derive(Debug)]
pub(super) struct AgencyVerifier {
    trust: Arc<Trust>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl AgencyVerifier {
    pub(super) fn new(trust: Arc<Trust>) -> Self {
        Self { trust, algorithms: provider().signature_verification_algorithms }
    }
}

impl ClientCertVerifier for AgencyVerifier {
    /// Empty: hints would list the agencies to anybody who connects.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(leaf).chain(intermediates).cloned().collect();
        match self.trust.admit(&chain, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            // Of all the errors this one has a single alert, and it still carries the reason to our log.
            Err(reason) => Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(reason))))),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
