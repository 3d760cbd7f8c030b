//! The node's configuration: a file, and what the environment says instead. Read strictly: an unknown key is an error,
//! every error names its key, and all are told at once.

mod agency;
mod database;
mod limits;
mod parts;
mod sections;
mod strict;

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::{Agency, Padding};

pub use agency::{
    AgencySection, HoldsSection, IssuerSection, KeySection, LedgerSection, NameSection, RevocationPolicy,
};
pub use limits::LimitsSection;
use parts::Parts;
pub use sections::{EventsSection, FillerSection, LogFormat, LogSection, OpsSection, TracesSection};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {}", in_words(.problems))]
pub struct Error {
    file: String,
    problems: Vec<String>,
}

fn in_words(problems: &[String]) -> String {
    match problems {
        [problem] => problem.clone(),
        problems => format!("{} problems:\n  {}", problems.len(), problems.join("\n  ")),
    }
}

impl Error {
    /// A problem with a file.
    pub fn new(file: &Path, problem: impl std::fmt::Display) -> Self {
        Self { file: file.display().to_string(), problems: vec![problem.to_string()] }
    }

    /// All that is wrong with a file.
    fn all(file: &Path, problems: Vec<String>) -> Self {
        Self { file: file.display().to_string(), problems }
    }

    /// Each problem.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

/// A node's configuration. Paths are relative to the file's folder.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The node itself.
    pub node: NodeSection,
    /// Its certificate.
    pub tls: TlsSection,
    /// How events are streamed.
    #[serde(default)]
    pub events: EventsSection,
    /// How its ledger is padded.
    #[serde(default)]
    pub filler: FillerSection,
    /// What one peer may take of it.
    #[serde(default)]
    pub limits: LimitsSection,
    /// The port for probes and metrics.
    #[serde(default)]
    pub ops: OpsSection,
    /// What is written to stderr.
    #[serde(default)]
    pub log: LogSection,
    /// Where traces are sent.
    #[serde(default)]
    pub traces: TracesSection,
    /// Every agency that may call it, its own included.
    pub agency: Vec<AgencySection>,
    #[serde(skip)]
    folder: PathBuf,
}

/// `[node]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeSection {
    /// Where to listen, such as `0.0.0.0:8443`.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Load balancers that say whom they carry, by the PROXY protocol: addresses, or networks such as `10.0.0.0/8`. Each
    /// connection from there must begin so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxy_sources: Vec<String>,
    /// What tokens for this node name as their audience.
    pub audience: String,
    /// `sqlite:PATH` or `postgres://...`.
    pub database: String,
    /// A file with PostgreSQL's password, so that it need not be in the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_password_file: Option<PathBuf>,
    /// Whether the node brings the database's schema up to date when it starts. If not it waits until
    /// `concordat migrate` has.
    #[serde(default = "yes")]
    pub migrate: bool,
    /// 32 secret bytes in hexadecimal, from which the keys of everything sealed follow.
    pub secret_file: PathBuf,
    /// Other such secrets: those with which something stored is still sealed, and the one that comes next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_secret_files: Vec<PathBuf>,
    /// The ledger's signing key, `PRIVATE+KEY+NAME+ID+KEY`.
    pub ledger_key_file: PathBuf,
    /// Other keys of the ledger. Which of all these sign is the ledger's to say: `concordat ledger rotate-key`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_ledger_key_files: Vec<PathBuf>,
    /// Checkpoints of this ledger that were kept apart from its database, which must have every entry of each: an older copy
    /// is not served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_checkpoint_files: Vec<PathBuf>,
    /// A folder of agreements besides the bundled ones: proposals until an operator activates them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreements: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

/// `[tls]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The server's certificate and its intermediates, PEM.
    pub certificate_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// How often files of certificates and keys are looked at for changes, in seconds: 1 to 60.
    #[serde(default = "reload_seconds")]
    #[schemars(range(min = 1, max = 60))]
    pub reload_seconds: u64,
    /// Turns callers away who cannot agree on keys in a way that a quantum computer cannot undo (X25519MLKEM768).
    #[serde(default)]
    pub require_post_quantum: bool,
    /// Takes secret files that every user of the machine can read.
    #[serde(default)]
    pub allow_readable_keys: bool,
}

fn reload_seconds() -> u64 {
    2
}

impl TlsSection {
    /// With a certificate and its key, and what is usual of everything else.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate_file: certificate.into(),
            key_file: key.into(),
            reload_seconds: reload_seconds(),
            require_post_quantum: false,
            allow_readable_keys: false,
        }
    }
}

impl Config {
    /// Reads a file, and what the environment says instead of it.
    pub fn load(file: &Path) -> Result<Self, Error> {
        Self::load_with(file, std::env::vars_os())
    }

    /// Reads a file, whatever the environment says: for nodes that a program makes for itself.
    pub fn load_alone(file: &Path) -> Result<Self, Error> {
        Self::load_with(file, std::iter::empty())
    }

    /// The same as [`Self::load`] with an environment of one's own.
    pub fn load_with(file: &Path, environment: impl Iterator<Item = (OsString, OsString)>) -> Result<Self, Error> {
        let text = fs::read_to_string(file).map_err(|e| Error::new(file, e))?;
        let mut table: toml::Table = text.parse().map_err(|e| Error::new(file, e))?;
        let (schema, mut problems) = (Self::schema(), Vec::new());
        strict::overlay(&mut table, environment, &schema, &mut problems);
        problems.extend(strict::problems(&table, &schema));
        let mut parts = Parts::new(table, problems);
        let folder = file.parent().unwrap_or(Path::new("."));
        let config = Self::of(&mut parts, folder);
        config.filter(|_| parts.problems.is_empty()).ok_or_else(|| Error::all(file, parts.problems))
    }

    /// What the parts say, if all of them can be read; and all that is well-formed and cannot be meant.
    fn of(parts: &mut Parts, folder: &Path) -> Option<Self> {
        let node: Option<NodeSection> = parts.section("node");
        let tls: Option<TlsSection> = parts.section("tls");
        let events: Option<EventsSection> = parts.section("events");
        let filler: Option<FillerSection> = parts.section("filler");
        let limits: Option<LimitsSection> = parts.section("limits");
        let ops: Option<OpsSection> = parts.section("ops");
        let log: Option<LogSection> = parts.section("log");
        let traces: Option<TracesSection> = parts.section("traces");
        let agencies: Vec<Option<AgencySection>> = parts.sections("agency");

        parts.tell(limits.iter().flat_map(LimitsSection::problems));
        parts.tell(limits.as_ref().zip(events.as_ref()).and_then(|(limits, events)| silence_problem(limits, events)));
        parts.tell(node.as_ref().and_then(NodeSection::database_problem));
        parts.tell(log.as_ref().and_then(LogSection::problem));
        parts.tell(traces.as_ref().and_then(TracesSection::problem));
        parts.tell(agencies.iter().flatten().flat_map(AgencySection::problems));
        let agency: Vec<AgencySection> = agencies.into_iter().collect::<Option<_>>()?;
        parts.tell(agency::problems_of_all(&agency));
        Some(Self {
            node: node?,
            tls: tls?,
            events: events?,
            filler: filler?,
            limits: limits?,
            ops: ops?,
            log: log?,
            traces: traces?,
            agency,
            folder: folder.to_owned(),
        })
    }

    /// The JSON Schema of the file: draft 2020-12, without references to anything outside it.
    pub fn schema() -> serde_json::Value {
        strict::schema::<Self>()
    }

    /// The same, with these files among the trusted checkpoints, which are seen from where we are.
    pub fn trusting(mut self, checkpoints: &[PathBuf]) -> Result<Self, Error> {
        for file in checkpoints {
            let seen = std::path::absolute(file).map_err(|e| Error::new(file, e))?;
            self.node.trusted_checkpoint_files.push(seen);
        }
        Ok(self)
    }

    /// Writes a configuration for [`Config::load`].
    pub fn write(&self, file: &Path) -> Result<(), Error> {
        let text = toml::to_string(self).map_err(|e| Error::new(file, e))?;
        fs::write(file, text).map_err(|e| Error::new(file, e))
    }

    /// A configuration made by a program, without a port for probes and metrics.
    pub fn new(node: NodeSection, tls: TlsSection, agency: Vec<AgencySection>) -> Self {
        Self {
            node,
            tls,
            events: EventsSection::default(),
            filler: FillerSection::default(),
            limits: LimitsSection::default(),
            ops: OpsSection::off(),
            log: LogSection::default(),
            traces: TracesSection::default(),
            agency,
            folder: PathBuf::new(),
        }
    }

    /// How the ledger is padded, if it is.
    pub fn padding(&self) -> Option<Padding> {
        self.filler.padding()
    }

    /// A path of the file, seen from where we are.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// The agencies whose records this node holds.
    pub fn own_agencies(&self) -> Vec<Agency> {
        let own = |agency: &AgencySection| {
            let holds = agency.holds.clone()?;
            Some(Agency {
                id: agency.id.clone(),
                duty_desk: holds.duty_desk,
                correction_contact: holds.correction_contact,
            })
        };
        self.agency.iter().filter_map(own).collect()
    }

    /// Reads a file that the configuration names.
    pub fn read(&self, path: &Path) -> Result<String, Error> {
        let path = self.path(path);
        fs::read_to_string(&path).map_err(|e| Error::new(&path, e))
    }

    /// Reads a secret file that the configuration names; one that every user of the machine can read only if that is
    /// allowed.
    pub fn read_secret(&self, path: &Path) -> Result<Zeroizing<String>, Error> {
        let path = self.path(path);
        if !self.tls.allow_readable_keys {
            refuse_readable(&path)?;
        }
        fs::read_to_string(&path).map(Zeroizing::new).map_err(|e| Error::new(&path, e))
    }

    /// The node's secrets, the one with which new things are sealed first.
    pub fn node_secrets(&self) -> Result<Vec<Zeroizing<[u8; 32]>>, Error> {
        let files = std::iter::once(&self.node.secret_file).chain(&self.node.other_secret_files);
        let mut secrets: Vec<Zeroizing<[u8; 32]>> = Vec::new();
        for file in files {
            let secret = self.node_secret_in(file)?;
            if secrets.contains(&secret) {
                return Err(Error::new(file, "is a secret that another file has already"));
            }
            secrets.push(secret);
        }
        Ok(secrets)
    }

    fn node_secret_in(&self, file: &Path) -> Result<Zeroizing<[u8; 32]>, Error> {
        let text = self.read_secret(file)?;
        let wrong = || Error::new(file, "must be 32 bytes in hexadecimal: `openssl rand -hex 32`");
        let bytes =
            Zeroizing::new(data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map_err(|_| wrong())?);
        bytes.as_slice().try_into().map(Zeroizing::new).map_err(|_| wrong())
    }
}

/// A stream that has nothing to tell sends heartbeats alone, so whether its peer takes what is sent shows only by them.
fn silence_problem(limits: &LimitsSection, events: &EventsSection) -> Option<String> {
    let (untaken, heartbeat) = (limits.untaken_seconds, events.heartbeat_seconds);
    (untaken < heartbeat).then(|| {
        format!(
            "limits.untaken_seconds ({untaken}) must not be less than events.heartbeat_seconds ({heartbeat}): between two \
             heartbeats nothing is sent that a peer could leave untaken; raise the one or lower the other"
        )
    })
}

/// Turns a secret file away that every user of the machine can read.
pub fn refuse_readable(path: &Path) -> Result<(), Error> {
    refuse_mode(path, fs::metadata(path).map_err(|e| Error::new(path, e))?.permissions().mode())
}

/// The same of a file that had this mode when it was read.
pub fn refuse_mode(path: &Path, mode: u32) -> Result<(), Error> {
    let for_others = mode & 0o007;
    if for_others == 0 {
        return Ok(());
    }
    let problem = format!(
        "every user of this machine may use it (mode {:03o}): `chmod o= FILE`, or `allow_readable_keys = true`",
        mode & 0o777
    );
    Err(Error::new(path, problem))
}
