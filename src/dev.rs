//! Throw-away agencies for the demonstration, for a developer's own node and for tests.
//!
//! Everything is written to one folder as an operator would write it: authorities' roots, certificates, token keys,
//! node secrets, ledger keys, a configuration for each node and a context for each officer. None of it is secret,
//! and none of it may be used for anything else.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::client::{Context, TokenSection, TokenSource};
use crate::config::{
    AgencySection, Config, HoldsSection, IssuerSection, KeySection, NameSection, NodeSection, RevocationPolicy,
    TlsSection,
};
use crate::domain::{AgencyId, Instant, OfficerId, Purpose, Role, Unit};
use crate::ledger::SigningKey;
use crate::pki::{Authority, TokenKeyPair};
use crate::proto::ROLES;
use crate::seal;
use crate::store::{Options, Store};

/// Why the folder cannot be made.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The agencies of the bundled agreements.
pub const AGENCIES: [&str; 3] = ["ico", "ncsc", "nca"];

/// What they are called, and since when.
const NAMES: [(&str, &str, &str); 3] = [
    ("ico", "Information Commissioner's Office", "2001-01-30"),
    ("ncsc", "National Cyber Security Centre", "2016-10-03"),
    ("nca", "National Crime Agency", "2013-10-07"),
];

/// A folder of throw-away agencies.
pub struct Workspace {
    folder: PathBuf,
    authorities: Vec<(AgencyId, Authority)>,
}

impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Workspace({})", self.folder.display())
    }
}

impl Workspace {
    /// Makes the three agencies: an authority, a client certificate for a case system, and a token key each.
    pub fn create(folder: &Path, now: Instant) -> Result<Self, Error> {
        let mut authorities = Vec::new();
        let mut roots = String::new();
        for name in AGENCIES {
            let home = folder.join(name);
            fs::create_dir_all(&home)?;
            let authority = Authority::new(name, &trust_domain(name), now)?;
            let client = authority.issue_client("case-system", now)?;
            let keys = TokenKeyPair::generate()?;
            fs::write(home.join("root.pem"), authority.root_pem())?;
            fs::write(home.join("client.pem"), &client.chain_pem)?;
            fs::write(home.join("token.pem"), &keys.public_pem)?;
            write_secret(&home.join("client.key"), &client.key_pem)?;
            write_secret(&home.join("token.key"), &keys.private_pem)?;
            roots.push_str(authority.root_pem());
            authorities.push((AgencyId::known(name), authority));
        }
        fs::write(folder.join("roots.pem"), roots)?;
        Ok(Self { folder: folder.to_owned(), authorities })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// An agency's authority, for making certificates that the workspace does not have.
    pub fn authority(&self, agency: &str) -> Option<&Authority> {
        self.authorities.iter().find(|(id, _)| id.as_str() == agency).map(|(_, authority)| authority)
    }

    /// Adds a node that holds the records of these agencies, its ledger empty. `database` none: SQLite beside it.
    pub async fn add_node(
        &self,
        name: &str,
        holds: &[&str],
        listen: SocketAddr,
        database: Option<&str>,
        now: Instant,
    ) -> Result<PathBuf, Error> {
        let home = self.folder.join(format!("node-{name}"));
        fs::create_dir_all(&home)?;
        let authority =
            holds.first().and_then(|agency| self.authority(agency)).ok_or("a node holds an agency's records")?;
        let server = authority.issue_server(&["localhost", "127.0.0.1"], now)?;
        let origin = format!("{name}.concordat.example");
        let seed = seal::random();
        let ledger = SigningKey::from_seed(&origin, &seed)?;
        fs::write(home.join("server.pem"), &server.chain_pem)?;
        write_secret(&home.join("server.key"), &server.key_pem)?;
        write_secret(&home.join("node.secret"), &data_encoding::HEXLOWER.encode(&seal::random::<32>()))?;
        write_secret(&home.join("ledger.key"), &SigningKey::write(&origin, &seed)?)?;
        fs::write(home.join("ledger.pub"), format!("{}\n", ledger.verifier_key()))?;

        let agencies = AGENCIES.iter().map(|agency| agency_section(agency, holds.contains(agency))).collect();
        let node = NodeSection {
            listen,
            audience: audience(name),
            proxy_sources: Vec::new(),
            database: database.unwrap_or("sqlite:node.db").to_owned(),
            secret_file: "node.secret".into(),
            other_secret_files: Vec::new(),
            ledger_key_file: "ledger.key".into(),
            trusted_checkpoint_files: Vec::new(),
            other_ledger_key_files: Vec::new(),
            agreements: None,
            database_password_file: None,
            migrate: true,
        };
        let tls = TlsSection::new("server.pem", "server.key");
        let file = home.join("node.toml");
        Config::new(node, tls, agencies).write(&file)?;
        let config = Config::load_alone(&file)?;
        Store::open(&Options::serve(config.database_url()).creating()).await?.close().await;
        Ok(file)
    }

    /// Lets a node go on with what the same node of an earlier folder left behind: its secret, its ledger's key and its
    /// SQLite database. Neither may be running.
    pub fn take_over(&self, name: &str, from: &Self) -> Result<(), Error> {
        let node = format!("node-{name}");
        for file in ["node.secret", "ledger.key", "ledger.pub", "node.db"] {
            fs::copy(from.folder.join(&node).join(file), self.folder.join(&node).join(file))?;
        }
        Ok(())
    }

    /// A context for one officer of an agency towards a node, with these roles.
    pub fn context(
        &self,
        agency: &str,
        officer: &str,
        roles: &[&str],
        purposes: &[&str],
        node: &str,
        address: SocketAddr,
    ) -> Context {
        Context {
            server: address.to_string(),
            server_name: "localhost".to_owned(),
            roots_file: "roots.pem".into(),
            certificate_file: format!("{agency}/client.pem").into(),
            key_file: format!("{agency}/client.key").into(),
            proxy: None,
            token: TokenSource::Key(TokenSection {
                key_file: format!("{agency}/token.key").into(),
                kid: format!("{agency}-1"),
                issuer: issuer(agency),
                audience: audience(node),
                officer: OfficerId::known(officer),
                unit: Unit::known("incident-desk"),
                roles: roles.iter().map(|role| Role::known(*role)).collect(),
                purposes: purposes.iter().map(|purpose| Purpose::known(*purpose)).collect(),
            }),
        }
    }

    /// Writes a context beside the roots, so that its paths hold, and returns the file.
    pub fn write_context(&self, name: &str, context: &Context) -> Result<PathBuf, Error> {
        let file = self.folder.join(format!("{name}.toml"));
        context.write(&file)?;
        Ok(file)
    }
}

/// An address on this machine with a port that the system picks.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The audience of a node's tokens.
pub fn audience(node: &str) -> String {
    format!("https://{node}.concordat.example")
}

/// The issuer of an agency's tokens.
pub fn issuer(agency: &str) -> String {
    format!("https://tokens.{agency}.example")
}

fn trust_domain(agency: &str) -> String {
    format!("{agency}.example")
}

fn agency_section(agency: &str, holds: bool) -> AgencySection {
    let short = agency.to_uppercase();
    let names = NAMES.iter().filter(|(id, ..)| *id == agency);
    AgencySection {
        id: AgencyId::known(agency),
        trust_domain: trust_domain(agency),
        roots_file: format!("../{agency}/root.pem").into(),
        revocation: RevocationPolicy::ShortLived,
        revocation_lists_file: None,
        intermediates_file: None,
        name: names
            .map(|(_, text, from)| NameSection { text: (*text).into(), from: (*from).into(), until: None })
            .collect(),
        holds: holds.then(|| HoldsSection {
            duty_desk: format!("{short} duty desk (invented), 24 hours: +44 20 7946 0000"),
            correction_contact: format!("corrections@{agency}.example"),
        }),
        issuer: vec![IssuerSection {
            issuer: issuer(agency),
            roles: ROLES.iter().map(|(role, ..)| Role::known(*role)).collect(),
            key: vec![KeySection {
                kid: format!("{agency}-1"),
                public_key_file: format!("../{agency}/token.pem").into(),
            }],
        }],
        ledger: Vec::new(),
    }
}

/// Writes a file that only its owner can read.
fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}
