//! Who vouches for the NCSC's systems in one round.

use concordat::pki::{List, Revoked};
use rcgen::Issuer;

use super::super::intermediates::params;
use super::*;

/// A root, and two authorities below it.
pub(super) struct Family {
    /// Which round it came with.
    pub(super) round: usize,
    pub(super) root: Authority,
    /// By whom the agency's systems have their certificates.
    pub(super) systems: Authority,
    /// Whom the root revokes with its second list.
    pub(super) fallen: Authority,
}

/// The serial number of the authority that falls.
const FALLEN: [u8; 2] = [0x42, 1];

impl Family {
    pub(super) fn new(round: usize) -> Self {
        let (above, key) = params(&format!("the NCSC's root {round}"));
        let root_pem = above.self_signed(&key).unwrap().pem();
        let root = Authority::read(&root_pem, &key.serialize_pem()).unwrap();
        let above = Issuer::new(above, key);
        let below = |name: &str, serial: [u8; 2]| {
            let (mut params, key) = params(&format!("the NCSC's {name} {round}"));
            params.serial_number = Some(serial.to_vec().into());
            let pem = params.signed_by(&key, &above).unwrap().pem();
            Authority::read(&pem, &key.serialize_pem()).unwrap()
        };
        Self { round, root, systems: below("systems", [0x42, 2]), fallen: below("systems of old", FALLEN) }
    }

    /// A system's certificate, with that of the authority below the root that issued it.
    pub(super) fn issue(&self, by: &Authority, name: &str) -> Issued {
        let alone = by.issue_client(name, real_now()).unwrap();
        if by.root_pem() == self.root.root_pem() {
            return alone;
        }
        Issued { chain_pem: format!("{}{}", alone.chain_pem, by.root_pem()), ..alone }
    }

    pub(super) fn intermediates(&self) -> String {
        [self.systems.root_pem(), self.fallen.root_pem()].concat()
    }

    /// Everybody's lists. From the second on the root has revoked these certificates and one of the authorities.
    pub(super) fn lists(&self, number: u64, revoked: &[&Issued]) -> String {
        let now = real_now();
        let mut serials: Vec<Vec<u8>> = revoked.iter().map(|one| one.serial.clone()).collect();
        if number > 1 {
            serials.push(FALLEN.to_vec());
        }
        let publish = |by: &Authority, serials: Vec<Vec<u8>>| {
            let revoked = serials.into_iter().map(|serial| Revoked { serial, at: now }).collect();
            by.publish(&List { number: number.into(), revoked }, now.plus_days(1), now).unwrap()
        };
        [publish(&self.root, serials), publish(&self.systems, vec![]), publish(&self.fallen, vec![])].concat()
    }
}
