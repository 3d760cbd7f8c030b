//! Three nodes on loopback, one for each agency, and their officers.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use concordat::client::OfficerChannel;
use concordat::clock::Clock;
use concordat::config::{Config, LedgerSection};
use concordat::dev::{self, Workspace};
use concordat::domain::{Instant, Quarter};
use concordat::ledger::{Keyring, Verified, verify};
use concordat::proto::v1::Receipt;
use concordat::proto::v1::agreement_service_client::AgreementServiceClient;
use concordat::proto::v1::incident_service_client::IncidentServiceClient;
use concordat::server::Running;
use concordat::store::{Options, Store};

use super::super::output::{BOLD, DIM, KEY, line};
use super::super::serve::activate_all;
use super::cases;

const PURPOSES: [&str; 5] =
    ["regulatory-assessment", "regulatory-enforcement", "harm-reduction", "serious-organised-crime", "nis-csirt"];

/// One agency's node.
struct AgencyNode {
    agency: &'static str,
    config: Config,
    running: Running,
}

/// Has a node believe what the other agencies' ledgers show by receipts.
fn trust_ledgers(config: &mut Config) {
    for section in config.agency.iter_mut().filter(|section| section.holds.is_none()) {
        let key_file = format!("../node-{}/ledger.pub", section.id).into();
        section.ledger.push(LedgerSection { key_file, from: None, until: None });
    }
}

/// Three nodes that serve.
pub(super) struct Stage {
    folder: PathBuf,
    workspace: Workspace,
    clock: Clock,
    nodes: Vec<AgencyNode>,
}

impl Stage {
    /// Makes the agencies, starts a node for each, and has each put into force what its agency is a party to.
    pub(super) async fn build(folder: &Path) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let workspace = Workspace::create(folder, clock.now()).map_err(anyhow::Error::from_boxed)?;
        let mut stage = Self { folder: folder.to_owned(), workspace, clock, nodes: Vec::new() };
        let earlier = Self::last_quarter(folder, stage.quarter_before()).await?;
        let mut files = Vec::new();
        for agency in dev::AGENCIES {
            files.push((agency, stage.add(agency, (agency == "ico").then_some(&earlier)).await?));
        }
        for (agency, file) in files {
            let mut config = Config::load_alone(&file)?;
            trust_ledgers(&mut config);
            config.write(&file)?;
            let address = stage.start(agency, config).await?;
            let mut operator = AgreementServiceClient::new(stage.officer(agency, "operator", &["operator"], agency)?);
            let active = activate_all(&mut operator).await?;
            let name = agency.to_uppercase();
            line(&format!("  {KEY}{name:<5}{KEY:#} node on {address}  {DIM}in force: {}{DIM:#}", active.join(", ")));
        }
        Ok(stage)
    }

    /// Adds an agency's node, with what it has from before.
    async fn add(&self, agency: &str, before: Option<&Workspace>) -> anyhow::Result<PathBuf> {
        let now = Clock::system().now();
        let file = self.workspace.add_node(agency, &[agency], dev::loopback(0), None, now).await;
        let file = file.map_err(anyhow::Error::from_boxed)?;
        if let Some(before) = before {
            self.workspace.take_over(agency, before).map_err(anyhow::Error::from_boxed)?;
        }
        Ok(file)
    }

    /// Starts an agency's node.
    async fn start(&mut self, agency: &'static str, config: Config) -> anyhow::Result<SocketAddr> {
        let running = Running::start(&config, self.clock.clone()).await.map_err(anyhow::Error::from_boxed)?;
        let address = running.address;
        self.nodes.push(AgencyNode { agency, config, running });
        Ok(address)
    }

    /// The ICO's node as it was in a quarter that is over, with what it registered then.
    async fn last_quarter(folder: &Path, quarter: Quarter) -> anyhow::Result<Workspace> {
        let folder = folder.join("last-quarter");
        let (clock, _) = Clock::set_to(quarter.end().plus_days(-30));
        // Certificates go by the machine's clock.
        let workspace = Workspace::create(&folder, Clock::system().now()).map_err(anyhow::Error::from_boxed)?;
        let mut then = Self { folder, workspace, clock, nodes: Vec::new() };
        let file = then.add("ico", None).await?;
        then.start("ico", Config::load_alone(&file)?).await?;
        let mut records = IncidentServiceClient::new(then.officer("ico", "r.example", &["recorder"], "ico")?);
        for call in cases::of_last_quarter(then.now().micros() / 1_000_000) {
            records.register_incidents(call).await?;
        }
        for node in std::mem::take(&mut then.nodes) {
            node.running.stop().await;
        }
        Ok(then.workspace)
    }

    /// The last quarter that is over and may be published.
    pub(super) fn quarter_before(&self) -> Quarter {
        let an_hour_ago = self.now().plus_seconds(-3_600);
        // A quarter has 90 to 92 days.
        Quarter::of(Quarter::of(an_hour_ago).end().plus_days(-100))
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    fn node(&self, agency: &str) -> anyhow::Result<&AgencyNode> {
        self.nodes.iter().find(|node| node.agency == agency).with_context(|| format!("there is no node of {agency}"))
    }

    /// An officer of an agency, calling a node.
    pub(super) fn officer(
        &self,
        agency: &str,
        officer: &str,
        roles: &[&str],
        node: &str,
    ) -> anyhow::Result<OfficerChannel> {
        let address = self.node(node)?.running.address;
        let context = self.workspace.context(agency, officer, roles, &PURPOSES, node, address);
        context.officer(&self.folder, self.clock.clone()).map_err(anyhow::Error::from_boxed)
    }

    /// Verifies a receipt with the node's public key file alone, as its recipient would.
    pub(super) fn verify(&self, node: &str, receipt: Option<&Receipt>) -> anyhow::Result<Verified> {
        let key = std::fs::read_to_string(self.folder.join(format!("node-{node}/ledger.pub")))?;
        let receipt = receipt.context("there is no receipt")?;
        Ok(verify(receipt, &Keyring::parse([key.as_str()])?)?)
    }

    /// Recomputes a node's tree from its database and compares it with its last signed checkpoint.
    pub(super) async fn check_ledger(&self, node: &str) -> anyhow::Result<u64> {
        let key = std::fs::read_to_string(self.folder.join(format!("node-{node}/ledger.pub")))?;
        let store = Store::open(&Options::inspect(self.node(node)?.config.database_url())).await?;
        let checked = store.check_ledger(&Keyring::parse([key.as_str()])?, |_, _| {}).await;
        store.close().await;
        Ok(checked?.size)
    }

    /// Writes contexts for people, and says what they can type.
    pub(super) fn invite(&self, request: &str) -> anyhow::Result<()> {
        let ncsc = self.node("ncsc")?.running.address;
        let mut files = Vec::new();
        for (agency, officer, roles) in [
            ("ico", "case-officer", ["requester", "auditor"].as_slice()),
            ("ncsc", "desk-officer", ["recorder", "auditor"].as_slice()),
            ("ncsc", "senior-officer", ["verifier", "authoriser"].as_slice()),
        ] {
            let context = self.workspace.context(agency, officer, roles, &PURPOSES, "ncsc", ncsc);
            let written = self.workspace.write_context(&format!("{agency}-{officer}"), &context);
            files.push(written.map_err(anyhow::Error::from_boxed)?.display().to_string());
        }
        let [ico, desk, senior] = files.as_slice() else { return Ok(()) };
        let here = self.folder.display();
        let mut text = String::new();
        writeln!(text, "\n{BOLD}The nodes stay up. In another terminal:{BOLD:#}\n")?;
        writeln!(text, "  {DIM}# the ICO asks the NCSC again, and verifies what it gets{DIM:#}")?;
        writeln!(text, "  concordat release request --request {request} --context {ico} \\")?;
        writeln!(text, "    --key {here}/node-ncsc/ledger.pub")?;
        writeln!(text, "  {DIM}# the NCSC looks at its consents, and at what its ledger says{DIM:#}")?;
        writeln!(text, "  concordat consent list --context {desk}")?;
        writeln!(text, "  concordat ledger list-entries --page-size 3 --context {desk}")?;
        writeln!(text, "  concordat ledger check --config {here}/node-ncsc/node.toml")?;
        writeln!(text, "  {DIM}# the same with grpcurl{DIM:#}")?;
        writeln!(text, "  grpcurl -cacert {here}/roots.pem -cert {here}/ico/client.pem -key {here}/ico/client.key \\")?;
        writeln!(text, "    -servername localhost -H \"authorization: Bearer $(concordat token --context {ico})\" \\")?;
        writeln!(text, "    {ncsc} concordat.v1.AgreementService/ListAgreements\n")?;
        writeln!(text, "  {DIM}`concordat` is `cargo run -q --` in this folder. A senior officer is {senior}.{DIM:#}")?;
        write!(text, "  {DIM}Ctrl-C ends it.{DIM:#}")?;
        line(&text);
        Ok(())
    }

    pub(super) async fn stop(self) {
        for node in self.nodes {
            node.running.stop().await;
        }
    }
}
