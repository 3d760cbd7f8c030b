//! How often an agency, and an officer of it, may call. Whether a call is turned away depends on calls of the same agency,
//! or of the same officer, and on nothing else.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use super::status::too_often;
use crate::domain::{Actor, AgencyId, Digest};
use crate::identity::Peer;
use crate::proto::takes_away;

/// For how many seconds' worth of calls may be made at once.
const AT_ONCE: u32 = 10;

/// How many of those who called are remembered before those are forgotten who have all of their allowance.
const REMEMBERED: usize = 1_024;

/// How often each may call for long. Ten seconds' worth may come at once.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// An agency, in calls a second.
    pub agency: u32,
    /// An officer, in calls a second.
    pub officer: u32,
}

/// What the agencies and officers have left.
#[derive(Debug)]
pub(super) struct Allowance {
    agencies: Counters<AgencyId>,
    officers: Counters<String>,
    /// By certificate: before anybody is identified, whoever has stolen one uses up no more than its own.
    taking_away: Counters<Digest>,
}

impl Allowance {
    pub(super) fn new(limits: RateLimits) -> Self {
        Self {
            agencies: Counters::new(limits.agency),
            officers: Counters::new(limits.officer),
            taking_away: Counters::new(limits.agency),
        }
    }

    /// Counts a call of `Service/Method` that comes by one of the agency's systems, whoever makes it.
    pub(super) fn count(&self, method: &str, peer: &Peer) -> Result<(), Status> {
        let now = Instant::now();
        let counted = if takes_away(method) {
            self.taking_away.count(peer.fingerprint(), now)
        } else {
            self.agencies.count(peer.agency(), now)
        };
        counted.map_err(|wait| too_often("agency", wait))
    }

    /// Counts the same call as this officer's.
    pub(super) fn count_of(&self, method: &str, officer: &Actor) -> Result<(), Status> {
        if takes_away(method) {
            return Ok(());
        }
        // The pseudonym is of one officer of one agency.
        self.officers.count(&officer.pseudonym, Instant::now()).map_err(|wait| too_often("officer", wait))
    }
}

/// For each of them, until when what it called has used up its time: a call takes so much of it.
#[derive(Debug)]
struct Counters<K> {
    each: Duration,
    until: Mutex<HashMap<K, Instant>>,
}

impl<K: Eq + Hash + Clone> Counters<K> {
    fn new(per_second: u32) -> Self {
        Self { each: Duration::from_secs(1) / per_second.max(1), until: Mutex::default() }
    }

    /// Or how long to wait before the call would be counted.
    fn count(&self, who: &K, now: Instant) -> Result<(), Duration> {
        let mut all = self.all();
        if all.len() >= REMEMBERED && !all.contains_key(who) {
            all.retain(|_, until| *until > now);
        }
        let used = all.get(who).map_or(now, |until| (*until).max(now)) + self.each;
        let most = Duration::from_secs(AT_ONCE.into()).max(self.each);
        match used.saturating_duration_since(now).checked_sub(most) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                all.insert(who.clone(), used);
                Ok(())
            }
        }
    }

    /// Nothing panics while it is held.
    fn all(&self) -> MutexGuard<'_, HashMap<K, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_seconds_worth_at_once_then_so_many_a_second_and_others_have_their_own() {
        let (counters, now) = (Counters::<&str>::new(5), Instant::now());
        for _ in 0..50 {
            assert_eq!(counters.count(&"one", now), Ok(()));
        }
        assert_eq!(counters.count(&"one", now), Err(Duration::from_millis(200)));
        assert_eq!(counters.count(&"one", now), Err(Duration::from_millis(200)), "being turned away costs nothing");
        assert_eq!(counters.count(&"other", now), Ok(()));
        let later = now + Duration::from_secs(1);
        for _ in 0..5 {
            assert_eq!(counters.count(&"one", later), Ok(()));
        }
        assert!(counters.count(&"one", later).is_err());
    }

    #[test]
    fn who_has_all_of_its_allowance_is_forgotten() {
        let (counters, now) = (Counters::<usize>::new(1), Instant::now());
        for who in 0..REMEMBERED {
            assert_eq!(counters.count(&who, now), Ok(()));
        }
        let later = now + Duration::from_mins(1);
        assert_eq!(counters.count(&REMEMBERED, later), Ok(()));
        assert_eq!(counters.all().len(), 1);
    }
}
