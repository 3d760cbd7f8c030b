//! What an authority has revoked, as its lists say.

use rcgen::{CertificateRevocationListParams, Error, KeyIdMethod, RevokedCertParams, SerialNumber};
use x509_parser::num_bigint::BigUint;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::{Authority, EARLY_SECONDS, calendar};
use crate::domain::Instant;

/// A certificate that was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number, without leading zeros.
    pub serial: Vec<u8>,
    /// When.
    pub at: Instant,
}

/// What an authority has revoked so far, and which of its lists said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The list's number.
    pub number: BigUint,
    /// Each once, in the order in which they were revoked.
    pub revoked: Vec<Revoked>,
}

impl List {
    /// The first list of an authority, which has revoked nothing.
    pub fn first() -> Self {
        Self { number: BigUint::from(1_u8), revoked: Vec::new() }
    }

    /// From a list in DER. None if it can't be read or has no number. Who signed it is for the caller to know.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, list) = CertificateRevocationList::from_der(der).ok()?;
        let revoked = list.iter_revoked_certificates().map(|one| Revoked {
            serial: stripped(one.raw_serial()),
            at: Instant::from_micros(0).plus_seconds(one.revocation_date.timestamp()),
        });
        Some(Self { number: list.crl_number()?.clone(), revoked: revoked.collect() })
    }

    /// The list after this one, on which these are, too. What was revoked before keeps its time.
    #[must_use]
    pub fn next(mut self, serials: impl IntoIterator<Item = Vec<u8>>, at: Instant) -> Self {
        self.number += 1_u8;
        for serial in serials.into_iter().map(|serial| stripped(&serial)) {
            if self.revoked.iter().all(|known| known.serial != serial) {
                self.revoked.push(Revoked { serial, at });
            }
        }
        self
    }
}

/// The bytes that make a serial number the same, however it is encoded.
fn stripped(serial: &[u8]) -> Vec<u8> {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    serial.get(zeros..).unwrap_or_default().to_vec()
}

impl Authority {
    /// Signs a list, in PEM, that counts from a moment ago until then.
    pub fn publish(&self, list: &List, until: Instant, now: Instant) -> Result<String, Error> {
        let revoked = |one: &Revoked| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from(one.serial.clone()),
                revocation_time: calendar(one.at)?,
                reason_code: None,
                invalidity_date: None,
            })
        };
        CertificateRevocationListParams {
            this_update: calendar(now.plus_seconds(-EARLY_SECONDS))?,
            next_update: calendar(until)?,
            crl_number: SerialNumber::from(list.number.to_bytes_be()),
            issuing_distribution_point: None,
            revoked_certs: list.revoked.iter().map(revoked).collect::<Result<_, Error>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer)?
        .pem()
    }
}
