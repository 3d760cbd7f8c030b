//! What the load asks about: a node with agreements in force and incidents whose release is consented to and
//! authorised.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use concordat::client::{Context, OfficerChannel, TokenMaker};
use concordat::clock::Clock;
use concordat::config::Config;
use concordat::dev::{self, Workspace};
use concordat::ledger::{Keyring, verify};
use concordat::proto::v1::agreement_service_client::AgreementServiceClient;
use concordat::proto::v1::authorisation_service_client::AuthorisationServiceClient;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::incident_service_client::IncidentServiceClient;
use concordat::proto::v1::organisation_service_client::OrganisationServiceClient;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::{self};
use concordat::seal::new_id;
use concordat::store::{Options, Store};
use concordat::tls::{Credentials, certificates_from_file};
use prost::Message;
use rustls::pki_types::CertificateDer;
use sqlx::{PgPool, SqlitePool};
use tokio::task::JoinSet;

use crate::load::{Released, Source, frame};
use crate::read;

const HOLDER: &str = "ncsc";
const REQUESTER: &str = "ico";
const NODE: &str = "ncsc";
const PURPOSE: &str = "harm-reduction";
const GROUND: &str = "isa-1994-s4-2-a";
/// Each with an organisation, a consent and an authorisation of its own, so that a batch reads as many facts as asks.
const INCIDENTS: usize = 256;
/// What is asked for and released; two more categories are held.
const CATEGORIES: [&str; 4] = ["identity", "narrative", "technical-indicators", "timeline"];

/// The folder, the configuration and the keys of one node and its callers.
pub(crate) struct World {
    pub(crate) config_file: PathBuf,
    workspace: Workspace,
    config: Config,
    keys: Keyring,
    database_server: Option<u32>,
    watch: Watch,
}

/// A look into the node's database from outside.
enum Watch {
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
    /// A node that holds the NCSC's records, its ledger empty. `database` none: a file in the folder.
    pub(crate) async fn create(folder: &Path, database: Option<String>) -> Result<Self> {
        let now = Clock::system().now();
        let workspace = Workspace::create(folder, now).map_err(|e| anyhow!(e))?;
        let config_file = workspace
            .add_node(NODE, &[HOLDER], dev::loopback(0), database.as_deref(), now)
            .await
            .map_err(|e| anyhow!(e))?;
        let config = Config::load(&config_file)?;
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

    /// The system that puts the asks.
    pub(crate) fn requester(&self) -> Requester<'_> {
        Requester { context: self.context(REQUESTER, "requester", dev::loopback(0)), folder: self.folder() }
    }

    fn officer(&self, role: &str, address: SocketAddr) -> Result<OfficerChannel> {
        self.context(HOLDER, role, address).officer(self.folder(), Clock::system()).map_err(|e| anyhow!(e))
    }

    /// Puts the agreements into force and registers what will be asked about.
    pub(crate) async fn populate(&self, address: SocketAddr) -> Result<Arc<Asks>> {
        let mut operator = AgreementServiceClient::new(self.officer("operator", address)?);
        let listed = operator.list_agreements(v1::ListAgreementsRequest::default()).await?.into_inner();
        for agreement in listed.agreements {
            let request = v1::ActivateAgreementRequest {
                request_id: new_id("bench"),
                agreement_id: agreement.id,
                digest: agreement.digest,
            };
            operator.activate_agreement(request).await?;
        }
        let officers = Officers {
            recorder: self.officer("recorder", address)?,
            verifier: self.officer("verifier", address)?,
            authoriser: self.officer("authoriser", address)?,
        };
        let mut registering = JoinSet::new();
        for number in 0..INCIDENTS {
            let officers = officers.clone();
            registering.spawn(async move { officers.hold(number).await });
        }
        let mut references = Vec::new();
        while let Some(reference) = registering.join_next().await {
            references.push(reference??);
        }
        Ok(Arc::new(Asks::new(references)?))
    }

    /// Verifies samples of what was released, as their recipient would; gives how many releases there were.
    pub(crate) fn verify(&self, released: &Released) -> Result<u64> {
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
        ensure!(content.narrative == self::content(0).narrative, "other content was released");
        let verified = verify(response.receipt.as_ref().context("a release has no receipt")?, &self.keys)?;
        ensure!(verified.outcome.is_some_and(|outcome| outcome.outcome == "released"), "a receipt says otherwise");
        Ok(())
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
    async fn count(&self, sql: &'static str) -> Result<i64> {
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

/// The holder's officers who make a release possible.
#[derive(Clone)]
struct Officers {
    recorder: OfficerChannel,
    verifier: OfficerChannel,
    authoriser: OfficerChannel,
}

impl Officers {
    /// Registers one incident with consent and authorisation; gives the requester's reference.
    async fn hold(self, number: usize) -> Result<String> {
        let organisation = v1::RegisterOrganisationRequest {
            request_id: new_id("bench"),
            name: format!("Example Water {number} plc"),
            identifiers: vec![v1::Identifier { scheme: "gb-coh".into(), value: format!("{number:08}") }],
            ..v1::RegisterOrganisationRequest::default()
        };
        let mut organisations = OrganisationServiceClient::new(self.recorder.clone());
        let organisation_id = organisations.register_organisation(organisation).await?.into_inner().organisation_id;

        let mut incidents = IncidentServiceClient::new(self.recorder.clone());
        let incident = v1::RegisterIncidentRequest {
            request_id: new_id("bench"),
            organisation_id: organisation_id.clone(),
            occurred_from: Some(in_seconds(-30 * 86_400)),
            occurred_until: Some(in_seconds(-29 * 86_400)),
            content: Some(content(number)),
            ..v1::RegisterIncidentRequest::default()
        };
        let incident_id = incidents.register_incident(incident).await?.into_inner().incident_id;
        let reference = v1::IssueReferenceRequest {
            request_id: new_id("bench"),
            incident_id: incident_id.clone(),
            recipient: REQUESTER.into(),
        };
        let reference = incidents.issue_reference(reference).await?.into_inner().reference;

        let consent = v1::RecordConsentRequest {
            request_id: new_id("bench"),
            consent_id: String::new(),
            organisation_id,
            scope: Some(v1::ConsentScope {
                recipient: REQUESTER.into(),
                purposes: vec![PURPOSE.into()],
                categories: CATEGORIES.map(String::from).to_vec(),
                incident_id: incident_id.clone(),
                ..v1::ConsentScope::default()
            }),
            evidence: Some(v1::ConsentEvidence {
                signatory: "A. Director".into(),
                authority: "company secretary".into(),
                channel: "signed-letter".into(),
                digest: vec![7; 32],
                received_at: Some(in_seconds(-60)),
            }),
        };
        let recorded = ConsentServiceClient::new(self.recorder).record_consent(consent).await?.into_inner();
        let verification =
            v1::VerifyConsentRequest { request_id: new_id("bench"), consent_id: recorded.consent_id, version: 1 };
        ConsentServiceClient::new(self.verifier).verify_consent(verification).await?;

        let authorisation = v1::GiveAuthorisationRequest {
            request_id: new_id("bench"),
            incident_id,
            revision: 1,
            covers_updates: false,
            recipient: REQUESTER.into(),
            purposes: vec![PURPOSE.into()],
            categories: CATEGORIES.map(String::from).to_vec(),
            ground: GROUND.into(),
            valid_until: None,
            ..v1::GiveAuthorisationRequest::default()
        };
        AuthorisationServiceClient::new(self.authoriser).give_authorisation(authorisation).await?;
        Ok(reference)
    }
}

/// A time so many seconds from now, as the contract writes it.
fn in_seconds(seconds: i64) -> prost_types::Timestamp {
    let seconds = Clock::system().now().plus_seconds(seconds).micros().div_euclid(1_000_000);
    prost_types::Timestamp { seconds, nanos: 0 }
}

/// Some 1 KiB of what is released and a little that is not. Invented.
fn content(number: usize) -> v1::IncidentContent {
    let indicator = |kind: &str, value: &str| v1::Indicator { kind: kind.into(), value: value.into() };
    v1::IncidentContent {
        identity: Some(v1::Identity {
            name: format!("Example Water {number} plc"),
            identifiers: vec![v1::Identifier { scheme: "gb-coh".into(), value: format!("{number:08}") }],
            countries: vec!["GB".into()],
        }),
        contact: Some(v1::Contact { name: "A. Director".into(), ..v1::Contact::default() }),
        timeline: Some(v1::Timeline {
            discovery: "an operator noticed that a backup job had been switched off".into(),
            ..v1::Timeline::default()
        }),
        technical_indicators: Some(v1::TechnicalIndicators {
            indicators: vec![
                indicator("domain", "update.example.net"),
                indicator("ipv4", "192.0.2.17"),
                indicator("sha-256", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
            ],
            techniques: vec!["T1190".into(), "T1486".into()],
            assets: vec!["billing".into()],
        }),
        impact: Some(v1::Impact { people_affected: Some(12_000), ..v1::Impact::default() }),
        narrative: Some(v1::Narrative {
            text: "The intruder came in through a gateway whose maintenance had lapsed, stayed for nine days, and \
                   moved by accounts that several teams shared. Backups were switched off before files were \
                   encrypted; billing stopped, the water supply did not. The organisation isolated the network \
                   within four hours, restored from copies kept off the site, and changed every shared account. A \
                   sample of the encryptor was kept. Nothing shows that the control systems were reached, and \
                   nothing yet shows how the gateway's credentials were known."
                .into(),
        }),
        ..v1::IncidentContent::default()
    }
}

/// Asks by reference, all alike but for their ids and the incidents that they are about.
pub(crate) struct Asks {
    template: Vec<u8>,
    request_id_at: usize,
    reference_at: usize,
    references: Vec<String>,
    next: AtomicU64,
}

impl Asks {
    fn new(references: Vec<String>) -> Result<Self> {
        let request_id = request_id(0);
        let reference = references.first().context("there is nothing to ask about")?.clone();
        ensure!(references.iter().all(|other| other.len() == reference.len()), "references differ in length");
        let template = frame(&v1::RequestReleaseRequest {
            request_id: request_id.clone(),
            holder: HOLDER.into(),
            target: Some(Target::Reference(reference.clone())),
            purpose: PURPOSE.into(),
            categories: CATEGORIES.map(String::from).to_vec(),
            external_ref: "CASE-2026-00017".into(),
            ..v1::RequestReleaseRequest::default()
        })?;
        let place = |text: &str| template.windows(text.len()).position(|bytes| bytes == text.as_bytes());
        let request_id_at = place(&request_id).context("an encoded ask has no request id")?;
        let reference_at = place(&reference).context("an encoded ask has no reference")?;
        Ok(Self { template, request_id_at, reference_at, references, next: AtomicU64::new(0) })
    }
}

/// Always as long.
fn request_id(number: u64) -> String {
    format!("bench-{number:016}")
}

impl Source for Asks {
    fn frame(&self) -> Bytes {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(number).unwrap_or_default() % self.references.len();
        let mut frame = self.template.clone();
        write_at(&mut frame, self.request_id_at, &request_id(number));
        if let Some(reference) = self.references.get(place) {
            write_at(&mut frame, self.reference_at, reference);
        }
        frame.into()
    }

    fn accepts(&self, message: &Bytes) -> bool {
        let outcome = OutcomeAlone::decode(message.clone()).ok().and_then(|response| response.released);
        outcome.is_some_and(|released| ContentIncluded::decode(released).is_ok_and(|released| released.included))
    }
}

fn write_at(frame: &mut [u8], at: usize, text: &str) {
    if let Some(place) = frame.get_mut(at..at + text.len()) {
        place.copy_from_slice(text.as_bytes());
    }
}

/// As much of `RequestReleaseResponse` as says that it is a release; the rest is skipped.
#[derive(Clone, PartialEq, Message)]
struct OutcomeAlone {
    #[prost(bytes = "bytes", optional, tag = "2")]
    released: Option<Bytes>,
}

/// As much of `Released` as says that the content is there.
#[derive(Clone, PartialEq, Message)]
struct ContentIncluded {
    #[prost(bool, tag = "2")]
    included: bool,
}
