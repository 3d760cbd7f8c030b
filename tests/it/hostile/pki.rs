//! Certificates that say anything, right or wrong, and authorities above authorities.

use concordat::domain::{AgencyId, Instant};
use concordat::tls::{Acceptor, Credentials, Revocation, RevocationList, Trust, TrustedAgency};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::harness::real_now;

pub(super) const OURS: &str = "spiffe://ico.example/gateway";

/// An authority: a root, or below one.
pub(super) struct Signer {
    pub(super) pem: String,
    pub(super) key_pem: String,
    der: CertificateDer<'static>,
    serial: SerialNumber,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with what is above it, and its key.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) chain: String,
    pub(super) key: String,
    serial: SerialNumber,
}

impl Made {
    pub(super) fn credentials(&self) -> Credentials {
        Credentials::from_pem(&self.chain, &self.key).unwrap()
    }

    /// The same with another's key.
    pub(super) fn with_chain(self, chain: String) -> Self {
        Self { chain, ..self }
    }
}

pub(super) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

pub(super) fn in_days(days: i64) -> OffsetDateTime {
    in_hours(24 * days)
}

fn in_hours(hours: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(real_now().plus_seconds(hours * 3_600).micros() / 1_000_000).unwrap()
}

fn serial() -> SerialNumber {
    let bytes: [u8; 16] = std::array::from_fn(|at| if at == 0 { 0x41 } else { random() });
    SerialNumber::from(bytes.to_vec())
}

fn random() -> u8 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(()).to_le_bytes()[0]
}

impl Signer {
    pub(super) fn root(name: &str) -> Self {
        Self::new(name, None)
    }

    pub(super) fn below(&self, name: &str) -> Self {
        Self::new(name, Some(self))
    }

    fn new(name: &str, above: Option<&Self>) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (in_days(-1), in_days(400));
        let serial = serial();
        params.serial_number = Some(serial.clone());
        let key = KeyPair::generate().unwrap();
        let certificate = match above {
            Some(above) => params.signed_by(&key, &above.issuer),
            None => params.self_signed(&key),
        };
        let certificate = certificate.unwrap();
        let (pem, der, key_pem) = (certificate.pem(), certificate.der().clone(), key.serialize_pem());
        Self { pem, key_pem, der, serial, issuer: Issuer::new(params, key) }
    }

    /// A system's certificate over a P-256 key, but for what is changed of it.
    pub(super) fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Made {
        self.leaf_of(&KeyPair::generate().unwrap(), change)
    }

    pub(super) fn leaf_of(&self, key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Made {
        let mut params = leaf();
        change(&mut params);
        let serial = params.serial_number.clone().unwrap();
        Made { chain: params.signed_by(key, &self.issuer).unwrap().pem(), key: key.serialize_pem(), serial }
    }

    /// A leaf with the certificate of this authority, which is below a root.
    pub(super) fn chained(&self, change: impl FnOnce(&mut CertificateParams)) -> Made {
        let made = self.leaf(change);
        let chain = format!("{}{}", made.chain, self.pem);
        made.with_chain(chain)
    }

    /// Its list of these serial numbers, from so long ago until then.
    fn list(&self, revoked: &[&SerialNumber], hours: (i64, i64)) -> Vec<u8> {
        let entry = |serial: &&SerialNumber| RevokedCertParams {
            serial_number: (*serial).clone(),
            revocation_time: in_hours(-1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: in_hours(hours.0),
            next_update: in_hours(hours.1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    /// The same as a node takes it, at a time when it counted.
    pub(super) fn listing(&self, revoked: &[&SerialNumber], hours: (i64, i64)) -> RevocationList {
        let then: Instant = real_now().plus_seconds((hours.0 + 1) * 3_600);
        let authorities = [self.der.clone()];
        RevocationList::read(&self.list(revoked, hours), &authorities, then).unwrap()
    }

    pub(super) fn serial(&self) -> &SerialNumber {
        &self.serial
    }
}

impl Made {
    pub(super) fn serial(&self) -> &SerialNumber {
        &self.serial
    }
}

/// What a system's certificate says if all is well.
pub(super) fn leaf() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = vec![uri(OURS)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial());
    (params.not_before, params.not_after) = (in_days(-1), in_days(1));
    params
}

/// A server for the ICO's systems, with these lists of its authorities, and the NCSC's.
pub(super) fn acceptor(ico: &Signer, lists: Vec<RevocationList>, ncsc: &Signer) -> Acceptor {
    let trusted = |agency: &str, root: &Signer, revocation| TrustedAgency {
        agency: AgencyId::parse(agency).unwrap(),
        trust_domain: format!("{agency}.example"),
        roots: vec![root.der.clone()],
        revocation,
    };
    let agencies = [trusted("ico", ico, Revocation::Lists(lists)), trusted("ncsc", ncsc, Revocation::ShortLived)];
    Acceptor::new(Trust::new(agencies).unwrap(), server(ncsc).credentials()).unwrap()
}

/// A server's certificate.
pub(super) fn server(by: &Signer) -> Made {
    by.leaf(|params| {
        params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    })
}
