//! What certificates and lists say of themselves.

use std::net::{Ipv4Addr, Ipv6Addr};

use concordat::domain::Instant;
use concordat::identity::fingerprint;
use rustls::pki_types::pem::SectionKind;
use serde_json::{Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::SubjectPublicKeyInfo;

fn at(seconds: i64) -> String {
    Instant::from_micros(0).plus_seconds(seconds).to_string()
}

/// Hexadecimal as other tools print it.
fn hex(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len().saturating_sub(1));
    let pairs = bytes.iter().skip(zeros).map(|byte| format!("{byte:02x}"));
    pairs.collect::<Vec<_>>().join(":")
}

/// A certificate's names, dates, fingerprint, serial number, key and usages.
pub(in crate::cli::certs) fn certificate(der: &[u8]) -> Value {
    let print = fingerprint(der).to_hex();
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return json!({ "fingerprint": print, "authority": false });
    };
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names = alternative.iter().flat_map(|names| &names.value.general_names).map(name);
    json!({
        "subject": certificate.subject().to_string(),
        "issuer": certificate.issuer().to_string(),
        "names": names.collect::<Vec<_>>(),
        "valid_from": at(certificate.validity().not_before.timestamp()),
        "valid_until": at(certificate.validity().not_after.timestamp()),
        "fingerprint": print,
        "serial": hex(certificate.raw_serial()),
        "key": key(certificate.public_key()),
        "usages": usages(&certificate),
        "authority": certificate.is_ca(),
    })
}

fn name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::URI(uri) => (*uri).to_owned(),
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(four), _) => Ipv4Addr::from(four).to_string(),
            (_, Ok(sixteen)) => Ipv6Addr::from(sixteen).to_string(),
            _ => "an address of neither kind".to_owned(),
        },
        other => other.to_string(),
    }
}

fn key(info: &SubjectPublicKeyInfo<'_>) -> String {
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA, {} bits", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("elliptic curve, {} bits", point.key_size()),
        _ if info.algorithm.algorithm.to_id_string() == "1.3.101.112" => "Ed25519".to_owned(),
        _ => format!("algorithm {}", info.algorithm.algorithm),
    }
}

fn usages(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut all = Vec::new();
    if let Ok(Some(usage)) = certificate.key_usage() {
        let usage = usage.value;
        let stated = [
            (usage.digital_signature(), "digitalSignature"),
            (usage.key_cert_sign(), "keyCertSign"),
            (usage.crl_sign(), "cRLSign"),
        ];
        all.extend(stated.into_iter().filter(|(is_stated, _)| *is_stated).map(|(_, name)| name.to_owned()));
    }
    if let Ok(Some(usage)) = certificate.extended_key_usage() {
        let usage = usage.value;
        let stated = [(usage.client_auth, "clientAuth"), (usage.server_auth, "serverAuth"), (usage.any, "any")];
        all.extend(stated.into_iter().filter(|(is_stated, _)| *is_stated).map(|(_, name)| name.to_owned()));
    }
    all
}

/// A list's issuer, number and dates, and how much is on it.
pub(super) fn list(der: &[u8]) -> Value {
    let Ok((_, list)) = CertificateRevocationList::from_der(der) else { return json!({}) };
    json!({
        "issuer": list.issuer().to_string(),
        "number": list.crl_number().map(ToString::to_string),
        "this_update": at(list.last_update().timestamp()),
        "next_update": list.next_update().map(|time| at(time.timestamp())),
        "revoked": list.iter_revoked_certificates().map(|one| hex(one.raw_serial())).collect::<Vec<_>>(),
    })
}

/// How a private key is written.
pub(super) fn form_of(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::EcPrivateKey => "SEC 1",
        SectionKind::RsaPrivateKey => "PKCS#1",
        _ => "PKCS#8",
    }
}
