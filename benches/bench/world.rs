//! What the load asks about: a node with agreements in force and incidents whose release is consented to and
//! authorised.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use concordat::client::{Context, OfficerChannel, TokenMaker};
use concordat::clock::Clock;
use concordat::config::Config;
use concordat::dev::{self, Workspace};
use concordat::ledger::{Keyring, verify};
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::{self};
use concordat::seal::Seal;
use concordat::store::{Options, Store};
use concordat::tls::{Credentials, certificates_from_file};
use prost::Message;
use rustls::pki_types::CertificateDer;
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};

use super::asks::{Asks, Expected};
use super::hold::{Officers, Permits, activate_agreements};
use super::load::Answered;
use super::read;

pub(crate) const HOLDER: &str = "ncsc";
pub(crate) const REQUESTER: &str = "ico";
const NODE: &str = "ncsc";
pub(crate) const PURPOSE: &str = "harm-reduction";
/// Each with an organisation, a consent and an authorisation of its own, so that a batch reads as many facts as asks.
pub(crate) const INCIDENTS: usize = 256;
/// What is asked for and released; two more categories are held.
pub(crate) const CATEGORIES: [&str; 4] = ["identity", "narrative", "technical-indicators", "timeline"];

/// The folder, the configuration and the keys of one node and its callers.
pub(crate) struct World {
    pub(crate) config_file: PathBuf,
    workspace: Workspace,
    config: Config,
    keys: Keyring,
    database_server: Option<u32>,
    pub(crate) watch: Watch,
}

/// A look into the node's database from outside.
pub(crate) enum Watch {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// How far the ledger has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    entries: i64,
    commits: i64,
}

impl Progress {
    pub(crate) fn entries_per_commit(self, before: Self) -> f64 {
        let commits = i32::try_from(self.commits - before.commits).unwrap_or(i32::MAX);
        f64::from(i32::try_from(self.entries - before.entries).unwrap_or(i32::MAX)) / f64::from(commits)
    }
}

/// What a ledger holds that checks.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) size: u64,
    pub(crate) asks: u64,
}

impl World {
    /// A node that holds the records of both agencies, its ledger empty. `database` none: a file in the folder.
    pub(crate) async fn create(folder: &Path, database: Option<String>) -> Result<Self> {
        let now = Clock::system().now();
        let workspace = Workspace::create(folder, now).map_err(|e| anyhow!(e))?;
        let config_file = workspace
            .add_node(NODE, &[HOLDER, REQUESTER], dev::loopback(0), database.as_deref(), now)
            .await
            .map_err(|e| anyhow!(e))?;
        let mut config = Config::load(&config_file)?;
        // One officer puts the whole load.
        (config.limits.agency_calls_per_second, config.limits.officer_calls_per_second) = (1_000_000, 1_000_000);
        config.write(&config_file)?;
        let keys = Keyring::parse([read(&config_file.with_file_name("ledger.pub"))?.as_str()])?;
        let watch = match &database {
            None => Watch::Sqlite(SqlitePool::connect(&config.database_url()).await?),
            Some(url) => Watch::Postgres(PgPool::connect(url).await?),
        };
        let database_server = database.as_deref().map(process_of).transpose()?;
        Ok(Self { config_file, workspace, config, keys, database_server, watch })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.workspace.folder()
    }

    /// The process of the database's server, if it has one.
    pub(crate) fn database_server(&self) -> Option<u32> {
        self.database_server
    }

    fn context(&self, agency: &str, role: &str, address: SocketAddr) -> Context {
        self.workspace.context(agency, role, &[role], &[PURPOSE], NODE, address)
    }

    /// A system of an agency that puts asks.
    pub(crate) fn requester(&self, agency: &str, role: &str) -> Requester<'_> {
        Requester { context: self.context(agency, role, dev::loopback(0)), folder: self.folder() }
    }

    /// What the node seals with.
    pub(crate) fn seal(&self) -> Result<Seal> {
        let secrets = self.config.node_secrets()?;
        Ok(Seal::new(secrets.first().context("a node has a secret")?)?)
    }

    /// An officer of an agency, with one role.
    pub(crate) fn officer(&self, agency: &str, role: &str, address: SocketAddr) -> Result<OfficerChannel> {
        self.context(agency, role, address).officer(self.folder(), Clock::system()).map_err(|e| anyhow!(e))
    }

    /// Puts the agreements into force and registers what will be asked about and released.
    pub(crate) async fn populate(&self, address: SocketAddr) -> Result<Arc<Asks>> {
        activate_agreements(self, address).await?;
        let held = Officers::of(self, address)?.hold_all(0..INCIDENTS, Permits::ALL).await?;
        Ok(Arc::new(Asks::new(held.into_iter().map(|held| held.reference).collect(), Expected::Released)?))
    }

    /// Verifies samples of what was released, as their recipient would; gives how many releases there were.
    pub(crate) fn verify(&self, released: &Answered) -> Result<u64> {
        for sample in &released.samples {
            self.verify_one(sample)?;
        }
        Ok(u64::try_from(released.count())?)
    }

    fn verify_one(&self, message: &[u8]) -> Result<()> {
        let response = v1::RequestReleaseResponse::decode(message)?;
        let Some(Outcome::Released(released)) = response.outcome else { bail!("an ask came to another outcome") };
        let [incident] = released.incidents.as_slice() else { bail!("another number of incidents was released") };
        let categories: Vec<&str> = incident.categories.iter().map(|category| category.category.as_str()).collect();
        ensure!(categories == CATEGORIES, "other categories were released: {categories:?}");
        let bytes: Vec<u8> = incident.categories.iter().flat_map(|category| category.content.iter().copied()).collect();
        let content = v1::IncidentContent::decode(bytes.as_slice())?;
        ensure!(content.narrative == super::hold::content(0).narrative, "other content was released");
        ensure!(self.outcome(message)? == "released", "a receipt says otherwise");
        Ok(())
    }

    /// The outcome that an answer's receipt states, once that verifies.
    pub(crate) fn outcome(&self, message: &[u8]) -> Result<String> {
        let response = v1::RequestReleaseResponse::decode(message)?;
        let verified = verify(response.receipt.as_ref().context("an answer has no receipt")?, &self.keys)?;
        Ok(verified.outcome.context("a receipt has no outcome")?.outcome)
    }

    /// How far the ledger has come. Every commit leaves one checkpoint.
    pub(crate) async fn progress(&self) -> Result<Progress> {
        Ok(Progress {
            entries: self.watch.count("SELECT size FROM ledger_head").await?,
            commits: self.watch.count("SELECT COUNT(*) FROM checkpoint").await?,
        })
    }

    /// Checks the whole ledger, once the node has stopped.
    pub(crate) async fn check(&self) -> Result<Found> {
        let store = Store::open(&Options::inspect(self.config.database_url())).await?;
        let checked = store.check_ledger(&self.keys, |_, _| {}).await?;
        store.close().await;
        let asks = self.watch.count("SELECT COUNT(*) FROM entry WHERE kind = 1").await?;
        Ok(Found { size: checked.size, asks: asks.try_into()? })
    }
}

impl Watch {
    pub(crate) async fn run(&self, sql: String) -> Result<()> {
        match self {
            Self::Sqlite(pool) => sqlx::query(AssertSqlSafe(sql)).execute(pool).await.map(|_| ())?,
            Self::Postgres(pool) => sqlx::query(AssertSqlSafe(sql)).execute(pool).await.map(|_| ())?,
        }
        Ok(())
    }

    pub(crate) async fn count(&self, sql: &'static str) -> Result<i64> {
        Ok(match self {
            Self::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await?,
            Self::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(pool).await?,
        })
    }
}

/// The server's process, from the folder that its URL names.
fn process_of(url: &str) -> Result<u32> {
    let folder = url.rsplit_once("?host=").context("the database's URL names no folder")?.1;
    let lock = read(&Path::new(folder).join("files/postmaster.pid"))?;
    Ok(lock.lines().next().unwrap_or_default().trim().parse()?)
}

/// A system of the requester's.
pub(crate) struct Requester<'a> {
    context: Context,
    folder: &'a Path,
}

impl Requester<'_> {
    pub(crate) fn roots(&self) -> Result<Vec<CertificateDer<'static>>> {
        Ok(certificates_from_file(&self.folder.join(&self.context.roots_file))?)
    }

    pub(crate) fn credentials(&self) -> Result<Credentials> {
        let path = |file: &Path| self.folder.join(file);
        Ok(Credentials::from_files(&path(&self.context.certificate_file), &path(&self.context.key_file))?)
    }

    pub(crate) fn tokens(&self) -> Result<TokenMaker> {
        self.context.token_maker(self.folder, Clock::system()).map_err(|e| anyhow!(e))
    }
}
