//! `concordat statistics show`: a published table to look at.

pub(super) mod chart;
mod svg;

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use concordat::client::OfficerChannel;
use concordat::clock::Clock;
use concordat::proto::DESCRIPTORS;
use concordat::proto::v1::get_statistics_response::Outcome;
use concordat::proto::v1::statistics_service_client::StatisticsServiceClient;
use concordat::proto::v1::{GetPublicationRequest, GetStatisticsRequest, StatisticsTable};
use concordat::seal;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use tonic::Status;

use super::output::{Format, format, line, note, text};
use super::{Usage, Verdict, context, json};

/// Look at a table; publish a quarter, ask for tables, list what there is.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show a published table: bars in a terminal, JSON, CSV, or an SVG chart with what is left out marked.
    #[command(
        after_help = "With --holder, that agency is asked for the table; without it, your own agency's publication is read.

Exit code: 0 shown, 1 not published, 3 could not tell, 11 not covered.

Examples:
  concordat statistics show --holder ico --quarter 2026-Q3 --table sector
  concordat statistics show --quarter 2026-Q3 --table sector-type -o csv > sector-type.csv
  concordat statistics show --quarter 2026-Q3 --table sector --svg > sector.svg"
    )]
    Show(Show),
}

#[derive(Debug, Args)]
struct Show {
    /// The agency to ask. Default: your own agency's publication.
    #[arg(long)]
    holder: Option<String>,
    /// The quarter, such as 2026-Q3.
    #[arg(long)]
    quarter: String,
    /// The table, as `statistics list-publications` names it.
    #[arg(long)]
    table: String,
    /// Print a chart as SVG.
    #[arg(long, conflicts_with = "output")]
    svg: bool,
    /// The idempotency key of the ask. Default: a new one.
    #[arg(long, requires = "holder")]
    request_id: Option<String>,
    /// Whose officer calls which node. Default: ~/.config/concordat/context.toml.
    #[arg(long, value_name = "FILE", env = context::VARIABLE, hide_env_values = true)]
    context: Option<PathBuf>,
}

/// What came of looking for the table.
enum Found {
    Table(Box<StatisticsTable>),
    Nothing(Verdict, String),
}

pub(super) async fn run(arguments: Arguments, stated: Option<Format>) -> anyhow::Result<Verdict> {
    let Command::Show(show) = arguments.command;
    let (context, folder) = context::load(show.context.as_deref())?;
    let channel = context.officer(&folder, Clock::system()).map_err(anyhow::Error::from_boxed)?;
    let mut node = StatisticsServiceClient::new(channel);
    let found = match &show.holder {
        Some(holder) => ask(&mut node, &show, holder).await?,
        None => own(&mut node, &show).await?,
    };
    match found {
        Found::Nothing(verdict, why) => {
            note(&why);
            Ok(verdict)
        }
        Found::Table(table) => {
            match format(stated) {
                _ if show.svg => text(&svg::chart(&table)),
                Format::Table => line(chart::bars(&table).trim_end()),
                Format::Csv => text(&chart::csv(&table)),
                Format::Json => line(&json::written(&as_json(&table)?)?),
            }
            Ok(Verdict::Well)
        }
    }
}

fn said(status: &Status) -> anyhow::Error {
    anyhow!("{:?}: {}", status.code(), status.message())
}

async fn ask(node: &mut StatisticsServiceClient<OfficerChannel>, show: &Show, holder: &str) -> anyhow::Result<Found> {
    let request_id = show.request_id.clone().unwrap_or_else(|| seal::new_id("show"));
    let (quarter, table) = (show.quarter.clone(), show.table.clone());
    let request = GetStatisticsRequest { request_id, holder: holder.to_owned(), quarter, table };
    let answer = node.get_statistics(request).await.map_err(|status| said(&status))?.into_inner();
    Ok(match answer.outcome {
        Some(Outcome::Shared(shared)) => {
            let table = shared.table.context("the table may not be shared any more: put the ask anew")?;
            Found::Table(Box::new(table))
        }
        Some(Outcome::NotCovered(why)) => Found::Nothing(Verdict::NotCovered, why.explanation),
        Some(Outcome::NotPublished(why)) => Found::Nothing(Verdict::NotWell, why.explanation),
        None => return Err(anyhow!("the node gave no outcome")),
    })
}

async fn own(node: &mut StatisticsServiceClient<OfficerChannel>, show: &Show) -> anyhow::Result<Found> {
    let request = GetPublicationRequest { quarter: show.quarter.clone() };
    let answer = node.get_publication(request).await.map_err(|status| said(&status))?.into_inner();
    let ids: Vec<&str> = answer.tables.iter().map(|table| table.id.as_str()).collect();
    let missing = format!("--table: there is no table `{}`; one of {}", show.table, ids.join(", "));
    let table = answer.tables.iter().find(|table| table.id == show.table).cloned();
    Ok(Found::Table(Box::new(table.ok_or(Usage(missing))?)))
}

fn as_json(table: &StatisticsTable) -> anyhow::Result<serde_json::Value> {
    let pool = DescriptorPool::decode(DESCRIPTORS)?;
    let message = pool.get_message_by_name("concordat.v1.StatisticsTable").context("the contract has no such table")?;
    json::of(&DynamicMessage::decode(message, table.encode_to_vec().as_slice())?)
}
