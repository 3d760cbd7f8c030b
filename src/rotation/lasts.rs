//! The last revocation list of each authority, so that no earlier one is believed: not after its authority was taken out and
//! put back, and not by a node that starts again.

use std::collections::BTreeMap;

use crate::domain::{AgencyId, Digest, LastList, ListStand};
use crate::tls::{Revocation, RevocationList, Vouching};

/// What is known of it, here or by other replicas. It only rises.
#[derive(Debug, Clone, Default)]
pub struct Lasts(BTreeMap<(AgencyId, Digest), ListStand>);

impl Lasts {
    /// Takes what others know into account.
    pub fn learn(&mut self, known: &[LastList]) {
        for LastList { agency, authority, stand } in known {
            self.raise((agency.clone(), *authority), *stand);
        }
    }

    /// Takes into account which lists an agency's are, now that they are in place. Whether any is later than the last one.
    pub(super) fn put(&mut self, vouching: &Vouching) -> bool {
        let trusted = vouching.trusted();
        let Revocation::Lists(lists) = &trusted.revocation else { return false };
        let raise = |list: &RevocationList| self.raise((trusted.agency.clone(), list.authority_digest()), list.stand());
        lists.iter().map(raise).fold(false, |any, has_risen| any | has_risen)
    }

    /// What is later here than others know.
    pub(super) fn beyond(&self, known: &[LastList]) -> Vec<LastList> {
        let mut theirs = Self::default();
        theirs.learn(known);
        let is_later =
            |(key, stand): &(&(AgencyId, Digest), &ListStand)| theirs.0.get(*key).is_none_or(|one| one < *stand);
        let last = |((agency, authority), stand): (&(AgencyId, Digest), &ListStand)| LastList {
            agency: agency.clone(),
            authority: *authority,
            stand: *stand,
        };
        self.0.iter().filter(is_later).map(last).collect()
    }

    /// Where the last list of this one's authority stands.
    pub(super) fn of(&self, agency: &AgencyId, list: &RevocationList) -> Option<ListStand> {
        self.0.get(&(agency.clone(), list.authority_digest())).copied()
    }

    fn raise(&mut self, key: (AgencyId, Digest), stand: ListStand) -> bool {
        let has_risen = self.0.get(&key).is_none_or(|last| *last < stand);
        if has_risen {
            self.0.insert(key, stand);
        }
        has_risen
    }
}
