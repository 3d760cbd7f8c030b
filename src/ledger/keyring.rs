//! The keys that a verifier trusts, and for what.

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use signed_note::{Note, StandardVerifier, Verifier, VerifierList};

use super::{Checkpoint, Error};
use crate::domain::Instant;

/// A ledger's verifier key, and when it was in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// `NAME+ID+KEY`.
    pub key: String,
    /// When it came into use; none: with the ledger. It also signs, from then on, for all that was there before.
    pub from: Option<Instant>,
    /// When it went out of use. An entry of that time or later it cannot have signed.
    pub until: Option<Instant>,
    /// From when on somebody else may have had it. What it alone signed decides nothing, whatever time an entry says:
    /// whoever has the key chooses the time.
    pub compromised: Option<Instant>,
}

/// What a signature by a trusted key is worth for one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It proves.
    Proves,
    /// It went out of use before the entry.
    Ended,
    /// Others may have made it.
    Doubtful,
}

impl TrustedKey {
    /// From a line of a keyring: `NAME+ID+KEY`, then any of `from`, `until` and `compromised`, each with a date or a time
    /// in UTC.
    pub fn parse(line: &str) -> Result<Self, Error> {
        let mut words = line.split_whitespace();
        let key = words.next().unwrap_or_default().to_owned();
        StandardVerifier::new(&key)
            .map_err(|e| Error::Key(format!("`{key}` is not a verifier key (NAME+ID+KEY): {e:?}")))?;
        let mut parsed = Self { key, from: None, until: None, compromised: None };
        while let Some(word) = words.next() {
            let place = match word {
                "from" => &mut parsed.from,
                "until" => &mut parsed.until,
                "compromised" => &mut parsed.compromised,
                _ => return Err(Error::Key(format!("after a verifier key: `{word}` is not from, until, compromised"))),
            };
            let time = words.next().unwrap_or_default();
            let time = Instant::parse(time).map_err(|e| Error::Key(format!("after a verifier key: {word} {e}")))?;
            if place.replace(time).is_some() {
                return Err(Error::Key(format!("after a verifier key: `{word}` is there twice")));
            }
        }
        Ok(parsed)
    }

    /// The ledger's name and the key's id: `NAME+ID`.
    pub fn short(&self) -> &str {
        self.key.match_indices('+').nth(1).and_then(|(end, _)| self.key.get(..end)).unwrap_or(&self.key)
    }

    /// The key's id.
    pub fn id(&self) -> &str {
        self.short().rsplit('+').next().unwrap_or_default()
    }

    /// What two people read to each other so that both know that they have the same key: SHA-256 over the verifier key, in
    /// hexadecimal, in groups of four.
    pub fn fingerprint(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.key.as_bytes());
        let hex = HEXLOWER.encode(digest.as_ref());
        hex.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect::<Vec<_>>().join(" ")
    }

    /// What its signature is worth for an entry of this time.
    pub fn worth(&self, at: Instant) -> Worth {
        if self.compromised.is_some() {
            Worth::Doubtful
        } else if self.until.is_some_and(|until| until <= at) {
            Worth::Ended
        } else {
            Worth::Proves
        }
    }
}

impl std::fmt::Display for TrustedKey {
    /// As a line of a keyring.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.key)?;
        for (word, time) in [("from", self.from), ("until", self.until), ("compromised", self.compromised)] {
            if let Some(time) = time {
                write!(f, " {word} {time}")?;
            }
        }
        Ok(())
    }
}

/// The ledger keys that a verifier trusts.
#[derive(Debug, Clone, Default)]
pub struct Keyring(Vec<TrustedKey>);

/// A checkpoint, and the trusted keys that signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// One at least.
    pub by: Vec<TrustedKey>,
}

impl Keyring {
    /// From lines of keyrings; one that is empty or begins with `#` says nothing.
    pub fn parse<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let lines = keys.into_iter().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let ring = lines.map(TrustedKey::parse).collect::<Result<Vec<TrustedKey>, _>>()?;
        // Two lines for one key could say two things.
        let twice = |one: &&TrustedKey| ring.iter().any(|other| other.key == one.key && other != *one);
        match ring.iter().find(twice) {
            Some(one) => Err(Error::Key(format!("`{}` is there twice, with other dates", one.short()))),
            None => Ok(Self(ring)),
        }
    }

    /// Whether a key of this ledger is trusted.
    pub fn knows(&self, origin: &str) -> bool {
        self.0.iter().any(|one| one.key.strip_prefix(origin).is_some_and(|rest| rest.starts_with('+')))
    }

    /// Its keys.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.0
    }

    /// Opens a checkpoint: at least one trusted key named after its origin signed it, and none wrongly.
    pub fn open(&self, note: &str) -> Result<Signed, Error> {
        let wrong = |e: &dyn std::fmt::Debug| Error::Checkpoint(format!("the checkpoint does not verify: {e:?}"));
        let note = Note::from_bytes(note.as_bytes()).map_err(|e| wrong(&e))?;
        let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).map_err(|e| wrong(&e))?;
        let mut verifiers: Vec<Box<dyn Verifier>> = Vec::new();
        let mut known = std::collections::BTreeSet::new();
        for TrustedKey { key, .. } in &self.0 {
            let verifier = StandardVerifier::new(key).map_err(|e| wrong(&e))?;
            if verifier.name() == checkpoint.origin() && known.insert(key) {
                verifiers.push(Box::new(verifier));
            }
        }
        let (verified, _) = note.verify(&VerifierList::new(verifiers)).map_err(|e| wrong(&e))?;
        let signed = |one: &&TrustedKey| {
            verified.iter().any(|signature| format!("{}+{:08x}", signature.name(), signature.id()) == one.short())
        };
        let by: Vec<TrustedKey> = self.0.iter().filter(signed).cloned().collect();
        if by.is_empty() {
            return Err(Error::Checkpoint("no trusted key signed the checkpoint".into()));
        }
        let origin = checkpoint.origin().to_owned();
        Ok(Signed { checkpoint: Checkpoint { origin, size: checkpoint.size(), root: checkpoint.hash().0 }, by })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{SigningKey, SigningKeys};

    #[test]
    fn a_keyring_says_who_signed_and_what_that_is_worth() {
        let key = |seed: u8| SigningKey::from_seed("ncsc.example", &[seed; 32]).unwrap();
        let line = |seed, rest: &str| format!("{} {rest}", key(seed).verifier_key());
        let (old, new) = (line(1, "until 2026-02-01"), line(2, "from 2026-01-01T12:00:00Z"));
        let ring = Keyring::parse(["# the NCSC\u{2019}s", "", &old, &new]).unwrap();
        let keys = SigningKeys::new(key(1), vec![key(2)]).unwrap();
        let both = keys.sign_checkpoint(&[key(1).id(), key(2).id()], 3, [7; 32]).unwrap();
        let by = ring.open(&both).unwrap().by;
        assert_eq!(
            by.iter().map(TrustedKey::to_string).collect::<Vec<_>>(),
            [format!("{} until 2026-02-01T00:00:00Z", key(1).verifier_key()), new.clone(),]
        );
        let at = |text| Instant::parse(text).unwrap();
        assert_eq!(by[0].worth(at("2026-01-31T23:59:59Z")), Worth::Proves);
        assert_eq!(by[0].worth(at("2026-02-01")), Worth::Ended);
        assert_eq!(by[1].worth(at("2020-01-01")), Worth::Proves, "it signs for all that was there before");
        let doubtful = TrustedKey::parse(&line(1, "compromised 2026-02-01")).unwrap();
        assert_eq!(doubtful.worth(at("2020-01-01")), Worth::Doubtful, "its thief chooses the time");
        assert!(keys.sign_checkpoint(&["00000000".into()], 3, [7; 32]).is_err());

        for wrong in [
            line(1, "from"),
            line(1, "from tomorrow"),
            line(1, "since 2026-01-01"),
            line(1, "from 2026-01-01 from 2026-01-01"),
            "from 2026-01-01".to_owned(),
        ] {
            assert!(TrustedKey::parse(&wrong).is_err(), "{wrong}");
        }
        assert!(Keyring::parse([old.as_str(), &line(1, "")]).is_err(), "two lines say two things");
    }
}
