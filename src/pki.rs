//! A small public-key infrastructure: throw-away for development, the demonstration and tests, and kept in files for
//! teams that have none of their own. Keys are made in memory and handed out as text; whoever keeps an authority's key
//! keeps the agency's name.

mod list;

use aws_lc_rs::signature::Ed25519KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, SanType, SerialNumber,
};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

use crate::domain::Instant;

pub use list::{List, Revoked};
pub use rcgen::Error;

const AUTHORITY_DAYS: i64 = 30;
const LEAF_HOURS: i64 = 24;

/// By how much validity begins early, for clocks that are behind.
const EARLY_SECONDS: i64 = 300;

/// A certificate and its private key, both in PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub chain_pem: String,
    /// Its private key, in PKCS#8.
    pub key_pem: String,
    /// Its serial number.
    pub serial: Vec<u8>,
}

/// What a certificate is to say. Change the fields to have a bad one.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The subject alternative names.
    pub names: Vec<SanType>,
    /// What the key is for; the extension is left out if there is nothing.
    pub key_usages: Vec<KeyUsagePurpose>,
    /// What the certificate is for; the extension is left out if there is nothing.
    pub extended_key_usages: Vec<ExtendedKeyUsagePurpose>,
    /// Whether it is an authority's.
    pub is_authority: bool,
    /// From when it is valid.
    pub not_before: Instant,
    /// Until when it is valid.
    pub not_after: Instant,
    /// The bytes of its serial number; drawn if there are none.
    pub serial: Option<Vec<u8>>,
}

impl Profile {
    /// A calling system's certificate with this URI, such as `spiffe://ico.example/gateway`, for 24 hours.
    pub fn client(uri: &str, now: Instant) -> Result<Self, Error> {
        Ok(Self::leaf(vec![SanType::URI(uri.try_into()?)], ExtendedKeyUsagePurpose::ClientAuth, now))
    }

    /// A node's certificate for these DNS names and IP addresses, for 24 hours.
    pub fn server(names: &[&str], now: Instant) -> Result<Self, Error> {
        let name = |name: &&str| match name.parse() {
            Ok(address) => Ok(SanType::IpAddress(address)),
            Err(_) => Ok(SanType::DnsName((*name).try_into()?)),
        };
        let names = names.iter().map(name).collect::<Result<_, Error>>()?;
        Ok(Self::leaf(names, ExtendedKeyUsagePurpose::ServerAuth, now))
    }

    fn leaf(names: Vec<SanType>, purpose: ExtendedKeyUsagePurpose, now: Instant) -> Self {
        Self {
            names,
            key_usages: vec![KeyUsagePurpose::DigitalSignature],
            extended_key_usages: vec![purpose],
            is_authority: false,
            not_before: now.plus_seconds(-EARLY_SECONDS),
            not_after: now.plus_seconds(LEAF_HOURS * 3_600 - EARLY_SECONDS),
            serial: None,
        }
    }

    /// A node's certificate for the same names, and with this URI, such as `spiffe://ico.example/node`.
    pub fn node(uri: &str, names: &[&str], now: Instant) -> Result<Self, Error> {
        let mut profile = Self::server(names, now)?;
        profile.names.insert(0, SanType::URI(uri.try_into()?));
        Ok(profile)
    }

    /// The same from now on for a new certificate: names, usages and how long it is valid. None for what is no
    /// certificate of a system: with other names than URIs, DNS names and addresses, or an authority's.
    pub fn again(der: &[u8], now: Instant) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        let name = |name: &GeneralName<'_>| match name {
            GeneralName::URI(uri) => Some(SanType::URI((*uri).try_into().ok()?)),
            GeneralName::DNSName(name) => Some(SanType::DnsName((*name).try_into().ok()?)),
            GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
                Ok(four) => Some(SanType::IpAddress(four.into())),
                Err(_) => Some(SanType::IpAddress(<[u8; 16]>::try_from(*bytes).ok()?.into())),
            },
            _ => None,
        };
        let names = names.value.general_names.iter().map(name).collect::<Option<Vec<_>>>()?;
        let usages = certificate.extended_key_usage().ok()??.value;
        let purposes = [
            (usages.server_auth, ExtendedKeyUsagePurpose::ServerAuth),
            (usages.client_auth, ExtendedKeyUsagePurpose::ClientAuth),
        ];
        let purposes = purposes.into_iter().filter_map(|(is_stated, purpose)| is_stated.then_some(purpose));
        let validity = certificate.validity();
        let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
        let whole = Self::leaf(names, ExtendedKeyUsagePurpose::ClientAuth, now);
        let again = Self { extended_key_usages: purposes.collect(), ..whole };
        (!certificate.is_ca()).then(|| again.lasting(seconds))
    }

    /// The same, valid for so long in all: it begins a moment ago.
    #[must_use]
    pub fn lasting(mut self, seconds: i64) -> Self {
        self.not_after = self.not_before.plus_seconds(seconds);
        self
    }
}

/// Why a certificate and a key in files are no authority that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself what it is")]
pub enum NoAuthority {
    #[error("the certificate can't be read: it should be PEM that begins with `-----BEGIN CERTIFICATE-----`")]
    Certificate,
    #[error("the certificate isn't an authority's (CA:TRUE)")]
    NotOne,
    #[error("the certificate names no trust domain: it should have one URI such as `spiffe://ico.example`")]
    NoTrustDomain,
    #[error("the key can't be read: it should be PEM, in PKCS#8, without a password")]
    Key,
    #[error("the key isn't the certificate's")]
    OtherKey,
}

/// An agency's certificate authority.
pub struct Authority {
    trust_domain: String,
    root_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// An authority with this name, valid for 30 days from now, for systems of this SPIFFE trust domain.
    pub fn new(name: &str, trust_domain: &str, now: Instant) -> Result<Self, Error> {
        Self::establish(&format!("{name} development authority"), trust_domain, now.plus_days(AUTHORITY_DAYS), now)
    }

    /// An authority with exactly this name, valid until then. Its certificate names the trust domain, as
    /// SPIFFE has it of authorities.
    pub fn establish(name: &str, trust_domain: &str, until: Instant, now: Instant) -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{trust_domain}").try_into()?)];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial()?.into());
        params.not_before = calendar(now.plus_seconds(-EARLY_SECONDS))?;
        params.not_after = calendar(until)?;
        let key = KeyPair::generate()?;
        let root_pem = params.self_signed(&key)?.pem();
        Ok(Self { trust_domain: trust_domain.to_owned(), root_pem, issuer: Issuer::new(params, key) })
    }

    /// The authority that was kept as its certificate and its key, both in PEM.
    pub fn read(root_pem: &str, key_pem: &str) -> Result<Self, NoAuthority> {
        let (_, pem) = parse_x509_pem(root_pem.as_bytes()).map_err(|_| NoAuthority::Certificate)?;
        let (_, certificate) = X509Certificate::from_der(&pem.contents).map_err(|_| NoAuthority::Certificate)?;
        if !certificate.is_ca() {
            return Err(NoAuthority::NotOne);
        }
        let names = certificate.subject_alternative_name().ok().flatten();
        let mut names = names.iter().flat_map(|names| &names.value.general_names);
        let trust_domain = names.find_map(|name| match name {
            GeneralName::URI(uri) => uri.strip_prefix("spiffe://").filter(|domain| !domain.contains('/')),
            _ => None,
        });
        let trust_domain = trust_domain.ok_or(NoAuthority::NoTrustDomain)?.to_owned();
        let key = KeyPair::from_pem(key_pem).map_err(|_| NoAuthority::Key)?;
        if key.subject_public_key_info() != certificate.public_key().raw {
            return Err(NoAuthority::OtherKey);
        }
        let issuer = Issuer::from_ca_cert_pem(root_pem, key).map_err(|_| NoAuthority::Certificate)?;
        Ok(Self { trust_domain, root_pem: root_pem.to_owned(), issuer })
    }

    /// The authority's private key, in PKCS#8: whoever has it names the agency's systems.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The authority's own certificate, in PEM: what others trust.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// The SPIFFE trust domain.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// A node's certificate for these DNS names and IP addresses, for 24 hours.
    pub fn issue_server(&self, names: &[&str], now: Instant) -> Result<Issued, Error> {
        self.issue(&Profile::server(names, now)?)
    }

    /// A calling system's certificate: `path` within the authority's trust domain, for 24 hours.
    pub fn issue_client(&self, path: &str, now: Instant) -> Result<Issued, Error> {
        self.issue(&Profile::client(&format!("spiffe://{}/{path}", self.trust_domain), now)?)
    }

    /// A certificate that says exactly this, right or wrong, over a new P-256 key.
    pub fn issue(&self, profile: &Profile) -> Result<Issued, Error> {
        let serial = profile.serial.clone().map_or_else(serial, Ok)?;
        let mut params = CertificateParams::default();
        params.subject_alt_names.clone_from(&profile.names);
        params.key_usages.clone_from(&profile.key_usages);
        params.extended_key_usages.clone_from(&profile.extended_key_usages);
        params.is_ca =
            if profile.is_authority { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from(serial.clone()));
        params.not_before = calendar(profile.not_before)?;
        params.not_after = calendar(profile.not_after)?;
        let key = KeyPair::generate()?;
        let chain_pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { chain_pem, key_pem: key.serialize_pem(), serial })
    }

    /// A revocation list of these certificates in PEM, current for a day.
    pub fn revoke(&self, issued: &[&Issued], number: u64, now: Instant) -> Result<String, Error> {
        let revoked = issued.iter().map(|one| Revoked { serial: one.serial.clone(), at: now }).collect();
        self.publish(&List { number: number.into(), revoked }, now.plus_days(1), now)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("trust_domain", &self.trust_domain).finish_non_exhaustive()
    }
}

/// A key pair that signs officers' tokens, both halves in PEM.
#[derive(Debug, Clone)]
pub struct TokenKeyPair {
    /// For the issuer, in PKCS#8.
    pub private_pem: String,
    /// For those who verify.
    pub public_pem: String,
}

impl TokenKeyPair {
    /// A new Ed25519 pair, for `EdDSA`.
    ///
    /// In the first version of PKCS#8, as `openssl genpkey` writes it: not every library reads the second one.
    pub fn generate() -> Result<Self, Error> {
        let key = Ed25519KeyPair::generate().map_err(|_| Error::RingUnspecified)?;
        let der = key.to_pkcs8v1().map_err(|_| Error::RingUnspecified)?;
        let encoded = data_encoding::BASE64.encode(der.as_ref());
        let private_pem = format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n");
        let public_pem = KeyPair::from_pem(&private_pem)?.public_key_pem();
        Ok(Self { private_pem, public_pem })
    }
}

/// 127 random bits, so that it is positive and of constant length.
fn serial() -> Result<Vec<u8>, Error> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| Error::RingUnspecified)?;
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    Ok(serial.to_vec())
}

fn calendar(instant: Instant) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp(instant.micros().div_euclid(1_000_000)).map_err(|_| Error::Time)
}
