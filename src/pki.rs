//! A throw-away public-key infrastructure for development, the demonstration and tests. Nothing of it is for use where
//! anything is at stake: keys are made in memory and handed out as text.

use aws_lc_rs::signature::Ed25519KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use time::OffsetDateTime;

use crate::domain::Instant;

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
    serial: Vec<u8>,
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
        }
    }
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
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("{name} development authority"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial()?.into());
        params.not_before = calendar(now.plus_seconds(-EARLY_SECONDS))?;
        params.not_after = calendar(now.plus_days(AUTHORITY_DAYS))?;
        let key = KeyPair::generate()?;
        let root_pem = params.self_signed(&key)?.pem();
        Ok(Self { trust_domain: trust_domain.to_owned(), root_pem, issuer: Issuer::new(params, key) })
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
        let serial = serial()?;
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
        let revocation_time = calendar(now)?;
        let revoked = |issued: &&Issued| RevokedCertParams {
            serial_number: SerialNumber::from(issued.serial.clone()),
            revocation_time,
            reason_code: None,
            invalidity_date: None,
        };
        CertificateRevocationListParams {
            this_update: calendar(now.plus_seconds(-EARLY_SECONDS))?,
            next_update: calendar(now.plus_days(1))?,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: issued.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer)?
        .pem()
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
