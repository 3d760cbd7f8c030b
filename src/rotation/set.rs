//! Files that are read, checked and put in place together.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Error;
use super::status::FilesStatus;
use crate::config;
use crate::domain::{Digest, Instant};
use crate::identity::fingerprint;

/// The largest file that is read: revocation lists of half a million certificates.
pub const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// What the files of a set held at one moment, or why they could not be read.
pub(super) struct Contents(Vec<(PathBuf, io::Result<Content>)>);

/// What a file held, and who could read it then.
struct Content {
    bytes: Zeroizing<Vec<u8>>,
    mode: u32,
}

impl Content {
    fn read(file: &Path) -> io::Result<Self> {
        // A pipe would be waited for.
        if !fs::metadata(file)?.is_file() {
            return Err(io::Error::other("it is not a file: put a regular file there"));
        }
        let opened = fs::File::open(file)?;
        let mode = opened.metadata()?.permissions().mode();
        let mut bytes = Zeroizing::new(Vec::new());
        opened.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(io::Error::other("it has more than 16 MiB: put the right file there"));
        }
        Ok(Self { bytes, mode })
    }
}

impl Contents {
    pub(super) fn read(files: &[PathBuf]) -> Self {
        Self(files.iter().map(|file| (file.clone(), Content::read(file))).collect())
    }

    /// As if this stood below what a file of the set held.
    pub(super) fn add(&mut self, file: &Path, text: &str) {
        for (_, read) in self.0.iter_mut().filter(|(name, _)| name == file) {
            if let Ok(content) = read {
                content.bytes.push(b'\n');
                content.bytes.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// As if a file of the set held this.
    pub(super) fn put(&mut self, file: &Path, text: &str) {
        for (_, read) in self.0.iter_mut().filter(|(name, _)| name == file) {
            let mode = read.as_ref().map_or(0, |content| content.mode);
            *read = Ok(Content { bytes: Zeroizing::new(text.as_bytes().to_vec()), mode });
        }
    }

    /// What a file of the set held.
    pub(super) fn of(&self, file: &Path) -> Result<&[u8], Error> {
        self.content(file).map(|content| content.bytes.as_slice())
    }

    /// What a file of the set held that not every user of the machine could read then.
    pub(super) fn secret(&self, file: &Path) -> Result<&[u8], Error> {
        let Content { bytes, mode } = self.content(file)?;
        config::refuse_mode(file, *mode)?;
        Ok(bytes)
    }

    fn content(&self, file: &Path) -> Result<&Content, Error> {
        let found = self.0.iter().find(|(path, _)| path == file);
        match found.map(|(_, read)| read) {
            Some(Ok(content)) => Ok(content),
            Some(Err(problem)) => Err(config::Error::new(file, problem).into()),
            None => Err(config::Error::new(file, "is not of this set").into()),
        }
    }

    fn digest(&self) -> Digest {
        let mut all = Vec::new();
        for (_, read) in &self.0 {
            match read {
                Ok(Content { bytes, mode }) => {
                    all.extend(fingerprint(bytes).as_bytes());
                    all.extend(mode.to_be_bytes());
                }
                Err(_) => all.push(0),
            }
        }
        fingerprint(&all)
    }
}

/// What was read of a set's files: what can be used of them, and what cannot be.
pub(super) struct Reading<T> {
    pub(super) usable: T,
    /// Each with what to do. The rest is used in spite of them.
    pub(super) problems: Vec<String>,
}

impl<T> From<T> for Reading<T> {
    fn from(usable: T) -> Self {
        Self { usable, problems: Vec::new() }
    }
}

/// A set of files, and what was made of them when they could last be used.
#[derive(Debug)]
pub(super) struct Set<T> {
    name: String,
    files: Vec<PathBuf>,
    good: T,
    /// Of the contents that were put in place whole; none while there is a problem, which time may solve.
    made_of: Option<Digest>,
    in_place_since: Instant,
    /// With since when there is one.
    problem: Option<(String, Instant)>,
    /// How often files were put in place, and how often others could not be used, since this was asked last.
    tally: (u64, u64),
}

/// What a set would be from now on.
pub(super) struct Candidate<T> {
    pub(super) good: T,
    made_of: Option<Digest>,
    problem: Option<String>,
}

/// One file that makes its reader panic is one that cannot be used.
fn guarded<T>(read: impl FnOnce() -> Result<Reading<T>, Error>) -> Result<Reading<T>, Error> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("a file cannot be read: it breaks its reader".into()))
}

impl<T> Candidate<T> {
    fn of(reading: Reading<T>, contents: &Contents) -> Self {
        let problem = (!reading.problems.is_empty()).then(|| reading.problems.join("; "));
        let made_of = problem.is_none().then(|| contents.digest());
        Self { good: reading.usable, made_of, problem }
    }
}

impl<T> Set<T> {
    /// Reads the files for the first time.
    pub(super) fn first(
        name: String,
        files: Vec<PathBuf>,
        now: Instant,
        read: impl FnOnce(&Contents) -> Result<Reading<T>, Error>,
    ) -> Result<Self, Error> {
        let contents = Contents::read(&files);
        let Candidate { good, made_of, problem } = Candidate::of(guarded(|| read(&contents))?, &contents);
        let mut set = Self { name, files, good, made_of, in_place_since: now, problem: None, tally: (0, 0) };
        set.tell(problem, now);
        Ok(set)
    }

    /// Reads the files again: what they are now, if that is something else and can be used.
    pub(super) fn look(
        &mut self,
        now: Instant,
        read: impl FnOnce(&Contents, &T) -> Result<Reading<T>, Error>,
        is_same: impl FnOnce(&T, &T) -> bool,
    ) -> Option<Candidate<T>> {
        let contents = Contents::read(&self.files);
        if self.made_of == Some(contents.digest()) {
            self.problem = None;
            return None;
        }
        match guarded(|| read(&contents, &self.good)) {
            Ok(reading) => {
                let candidate = Candidate::of(reading, &contents);
                if candidate.problem.is_none() || !is_same(&candidate.good, &self.good) {
                    return Some(candidate);
                }
                self.tell(candidate.problem, now);
            }
            Err(problem) => self.refuse(&problem, now),
        }
        None
    }

    /// Lets the set be what was looked at.
    pub(super) fn put(&mut self, candidate: Candidate<T>, now: Instant) {
        tracing::info!(set = self.name, "put in place as it is on disk now");
        (self.good, self.made_of, self.in_place_since) = (candidate.good, candidate.made_of, now);
        self.tally.0 += 1;
        self.tell(candidate.problem, now);
    }

    /// Leaves the set as it is.
    pub(super) fn refuse(&mut self, problem: &Error, now: Instant) {
        self.made_of = None;
        self.tell(Some(problem.to_string()), now);
    }

    /// Says once what is wrong.
    fn tell(&mut self, problem: Option<String>, now: Instant) {
        let Some(problem) = problem else {
            self.problem = None;
            return;
        };
        if self.problem.as_ref().is_none_or(|(known, _)| *known != problem) {
            self.tally.1 += 1;
            tracing::error!(set = self.name, %problem, "not all that is on disk can be used: what was last good stays in place");
            self.problem = Some((problem, now));
        }
    }

    /// How it stands with its files.
    pub(super) fn files(&self) -> FilesStatus {
        FilesStatus { in_place_since: self.in_place_since, problem: self.problem.clone() }
    }

    /// What was last good.
    pub(super) fn good(&self) -> &T {
        &self.good
    }

    /// How often files were put in place, and how often others could not be used, since this was asked last.
    pub(super) fn take_tally(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.tally)
    }

    /// Whether all that is on disk can be used.
    pub(super) fn is_well(&self) -> bool {
        self.problem.is_none()
    }

    /// What the set is called in the log.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What cannot be used of what is on disk.
    pub(super) fn problem(&self) -> Option<String> {
        Some(format!("{}: {}", self.name, self.problem.as_ref()?.0))
    }
}
