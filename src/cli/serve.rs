//! `concordat serve`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use concordat::clock::Clock;
use concordat::config::{Config, LogFormat};
use concordat::dev::{self, Workspace};
use concordat::proto::v1::agreement_service_client::AgreementServiceClient;
use concordat::proto::v1::{ActivateAgreementRequest, ListAgreementsRequest};
use concordat::server::Running;
use tokio::signal::unix::{SignalKind, signal};

use super::output::{BOLD, DIM, line, logs};
use super::{Usage, Verdict};

/// Run a node.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  concordat serve --config /etc/concordat/node.toml
  concordat serve --config node.toml --trust-checkpoint kept/checkpoint
  concordat serve --dev
  concordat serve --dev --port 8443 --folder /tmp/concordat-dev")]
pub(super) struct Arguments {
    /// The node's configuration; unless given, the one that the environment's `CONCORDAT_CONFIG` names.
    #[arg(long, value_name = "FILE", conflicts_with = "dev")]
    config: Option<PathBuf>,
    /// A checkpoint of this ledger that was kept apart from its database: a note, or what a command printed that has one.
    /// A database that lacks an entry of it is not served. May be given several times; in the configuration it is
    /// `node.trusted_checkpoint_files`.
    #[arg(long, value_name = "FILE", conflicts_with = "dev")]
    trust_checkpoint: Vec<PathBuf>,
    /// A developer's own node: throw-away agencies, keys and ledger, on loopback only, whatever the environment says.
    #[arg(long)]
    dev: bool,
    /// The port of the developer's node; 0: any.
    #[arg(long, default_value_t = 0, requires = "dev")]
    port: u16,
    /// Where the developer's node keeps its files. Emptied at each start.
    #[arg(long, value_name = "FOLDER", default_value = ".concordat/dev", requires = "dev")]
    folder: PathBuf,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Verdict> {
    // Before anything that may wait: as the first process of a container it would be deaf to the signal otherwise.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(told);
    let running = tokio::select! {
        biased;
        () = &mut told => {
            tracing::info!("stopping: it had not begun to serve");
            return Ok(Verdict::Well);
        }
        started = start(arguments) => started?,
    };
    told.await;
    tracing::info!("stopping: no new calls, those under way are finished");
    running.stop().await;
    Ok(Verdict::Well)
}

async fn start(arguments: Arguments) -> anyhow::Result<Running> {
    if arguments.dev {
        logs("info", LogFormat::Auto);
        return start_dev(&arguments.folder, arguments.port).await;
    }
    let named = || std::env::var_os("CONCORDAT_CONFIG").filter(|file| !file.is_empty()).map(PathBuf::from);
    let missing = || Usage("--config: name the node's configuration, or set CONCORDAT_CONFIG, or say --dev".into());
    let file = arguments.config.or_else(named).ok_or_else(missing)?;
    let config = Config::load(&file)?.trusting(&arguments.trust_checkpoint)?;
    logs(&config.log.level, config.log.format);
    Running::start(&config, Clock::system()).await.map_err(anyhow::Error::from_boxed)
}

/// Empties a folder that this program made before, and only such a one.
pub(super) fn empty_folder(folder: &Path) -> anyhow::Result<()> {
    let mark = folder.join("made-by-concordat");
    if folder.exists() {
        if !mark.exists() && fs::read_dir(folder)?.next().is_some() {
            bail!("{} has files that are not ours: name an empty folder", folder.display());
        }
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    fs::write(mark, "Throw-away agencies: nothing here is secret, and nothing may be used for anything else.\n")?;
    Ok(())
}

async fn start_dev(folder: &Path, port: u16) -> anyhow::Result<Running> {
    empty_folder(folder)?;
    let clock = Clock::system();
    let workspace = Workspace::create(folder, clock.now()).map_err(anyhow::Error::from_boxed)?;
    let file = workspace
        .add_node("dev", &dev::AGENCIES, dev::loopback(port), None, clock.now())
        .await
        .map_err(anyhow::Error::from_boxed)?;
    let running =
        Running::start(&Config::load_alone(&file)?, clock.clone()).await.map_err(anyhow::Error::from_boxed)?;

    let purposes =
        ["regulatory-assessment", "regulatory-enforcement", "harm-reduction", "serious-organised-crime", "nis-csirt"];
    let mut contexts = Vec::new();
    for agency in dev::AGENCIES {
        for (officer, roles) in [
            ("case-officer", ["requester", "recorder", "auditor"].as_slice()),
            ("senior-officer", ["verifier", "authoriser", "operator"].as_slice()),
        ] {
            let context = workspace.context(agency, officer, roles, &purposes, "dev", running.address);
            let file =
                workspace.write_context(&format!("{agency}-{officer}"), &context).map_err(anyhow::Error::from_boxed)?;
            contexts.push((file, context, roles.join(", ")));
        }
    }
    if let Some((_, operator, _)) = contexts.iter().find(|(file, ..)| file.ends_with("ico-senior-officer.toml")) {
        let channel = operator.officer(folder, clock).map_err(anyhow::Error::from_boxed)?;
        activate_all(&mut AgreementServiceClient::new(channel)).await?;
    }
    line(&format!(
        "{BOLD}A developer's node{BOLD:#} at {}: the ICO's, the NCSC's and the NCA's, agreements in force.",
        running.address
    ));
    line(&format!("{DIM}Made new at each start; for nothing but development.{DIM:#}\n"));
    for (file, _, roles) in &contexts {
        line(&format!("  {}  {DIM}{roles}{DIM:#}", file.display()));
    }
    if let Some((file, ..)) = contexts.first() {
        line(&format!("\nTry: concordat agreement list --context {}", file.display()));
    }
    Ok(running)
}

/// Puts every proposal that the operator's agency is a party to into force.
pub(super) async fn activate_all(
    agreements: &mut AgreementServiceClient<concordat::client::OfficerChannel>,
) -> anyhow::Result<Vec<String>> {
    let listed = agreements.list_agreements(ListAgreementsRequest::default()).await?.into_inner().agreements;
    let mut ids = Vec::new();
    for agreement in listed.into_iter().filter(|agreement| agreement.state == "proposed") {
        let request = ActivateAgreementRequest {
            request_id: concordat::seal::new_id("call"),
            agreement_id: agreement.id.clone(),
            digest: agreement.digest,
        };
        agreements.activate_agreement(request).await?;
        ids.push(agreement.id);
    }
    Ok(ids)
}
