//! `concordat tls status`: what a node has in place of certificates, roots, lists and keys.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use concordat::clock::Clock;
use concordat::domain::Instant;
use concordat::proto::v1::admin_service_client::AdminServiceClient;
use concordat::proto::v1::{AgencyTrust, FileState, GetTlsStatusRequest, GetTlsStatusResponse, TrustedRoot};
use prost_types::Timestamp;

use super::output::{BAD, DIM, Format, format, line};
use super::{Verdict, context, json, table};

/// Say what a node has in place of certificates, roots, revocation lists and token keys.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show each agency's roots with their connections (may the old root go?), lists, token keys and files.
    #[command(
        after_help = "It speaks for the replica that answers: ask each. Roots and lists of every agency are shown; the
connections of agencies that keep their records at the node, but for your own, are not.

Exit code: 0 all that is on disk is in place, 1 some of it is not, a list has ended or the replica has not looked at its
files for too long, 3 could not ask.

Examples:
  concordat tls status
  concordat tls status --context operator.toml -o json"
    )]
    Status(Asking),
}

#[derive(Debug, Args)]
struct Asking {
    /// Whose officer calls which node. Default: ~/.config/concordat/context.toml.
    #[arg(long, value_name = "FILE", env = context::VARIABLE, hide_env_values = true)]
    context: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments, stated: Option<Format>) -> anyhow::Result<Verdict> {
    let Command::Status(asking) = arguments.command;
    let (context, folder) = context::load(asking.context.as_deref())?;
    let channel = context.officer(&folder, Clock::system()).map_err(anyhow::Error::from_boxed)?;
    let answer = AdminServiceClient::new(channel).get_tls_status(GetTlsStatusRequest {}).await;
    let status = answer.map_err(|status| anyhow!("{:?}: {}", status.code(), status.message()))?.into_inner();
    match format(stated) {
        Format::Json | Format::Csv => line(&json::written(&json::of_message("GetTlsStatusResponse", &status)?)?),
        Format::Table => print(&status),
    }
    Ok(if is_well(&status) { Verdict::Well } else { Verdict::NotWell })
}

/// Whether all that is on disk is in place, as far as the replica has looked, and nobody is stopped.
fn is_well(status: &GetTlsStatusResponse) -> bool {
    let is_stopped = status.agencies.iter().any(|agency| agency.by_lists && agency.lists.is_empty());
    let has_ended = status.agencies.iter().flat_map(|agency| &agency.lists).any(|list| list.life_passed_percent == 100);
    let is_late = status.looked_too_long_ago.unwrap_or_default();
    !is_stopped && !has_ended && !is_late && files(status).all(|(_, files)| files.problem.is_empty())
}

/// Each set of files, by name.
fn files(status: &GetTlsStatusResponse) -> impl Iterator<Item = (String, &FileState)> {
    let node = status.node.iter().filter_map(|node| Some(("the node's certificate".to_owned(), node.files.as_ref()?)));
    let agencies = status.agencies.iter().flat_map(|agency| {
        let trust = agency.trust_files.iter().map(|files| (format!("{}: roots and lists", agency.agency), files));
        trust.chain(agency.token_files.iter().map(|files| (format!("{}: token keys", agency.agency), files)))
    });
    node.chain(agencies)
}

fn print(status: &GetTlsStatusResponse) {
    if let Some(node) = &status.node {
        let row = [short(&node.fingerprint), at(node.valid_until.as_ref()), format!("{} %", node.life_passed_percent)];
        line(&table::lines(&["the node's certificate", "ends", "life over"], [row.to_vec()].into_iter()));
    }
    let roots = status.agencies.iter().flat_map(|agency| {
        agency.roots.iter().map(|root| {
            let ends = at(root.valid_until.as_ref());
            vec![agency.agency.clone(), root.subject.clone(), short(&root.fingerprint), ends, may_go(agency, root)]
        })
    });
    line(&table::lines(&["agency", "root", "fingerprint", "ends", "may it go?"], roots));
    let lists = status.agencies.iter().flat_map(|agency| {
        let none = (agency.by_lists && agency.lists.is_empty()).then(|| {
            vec![
                agency.agency.clone(),
                "none: nobody is admitted".to_owned(),
                String::new(),
                String::new(),
                String::new(),
            ]
        });
        let lists = agency.lists.iter().map(|list| {
            let life = format!("{} %", list.life_passed_percent);
            vec![agency.agency.clone(), list.issuer.clone(), list.number.clone(), at(list.next_update.as_ref()), life]
        });
        none.into_iter().chain(lists)
    });
    line(&table::lines(&["agency", "list of", "number", "ends", "life over"], lists));
    let keys = status.agencies.iter().flat_map(|agency| {
        agency
            .token_keys
            .iter()
            .map(|key| vec![agency.agency.clone(), key.issuer.clone(), key.kid.clone(), key.algorithm.clone()])
    });
    line(&table::lines(&["agency", "tokens of", "kid", "algorithm"], keys));
    let placed = files(status).map(|(name, files)| {
        let problem = match files.problem.as_str() {
            "" => "in place".to_owned(),
            problem => format!("since {}: {problem}", at(files.problem_since.as_ref())),
        };
        vec![name, at(files.in_place_since.as_ref()), problem]
    });
    line(&table::lines(&["files", "put in place", "on disk now"], placed));
    if files(status).any(|(_, files)| !files.problem.is_empty()) {
        line(&format!("{BAD}Not all that is on disk can be used{BAD:#}: what was last good is in place."));
    }
    if status.looked_too_long_ago.unwrap_or_default() {
        let since = at(status.looked_at.as_ref());
        line(&format!(
            "{BAD}It has not looked at its files since {since}{BAD:#}: look at the volume that they are on."
        ));
    }
    let keys = if status.requires_post_quantum { "required" } else { "first, and not required" };
    line(&format!("{DIM}This replica, {}. Post-quantum key exchange: {keys}.{DIM:#}", at(status.looked_at.as_ref())));
}

/// What the connections of a root say about taking it out.
fn may_go(agency: &AgencyTrust, root: &TrustedRoot) -> String {
    match (root.connections, agency.roots.len()) {
        (None, _) => "ask an operator of the agency".to_owned(),
        (Some(count), 1) => format!("no, it is the only one ({count} connections)"),
        (Some(0), _) => "as far as this replica goes: no connection needs it now".to_owned(),
        (Some(count), _) => {
            format!(
                "no: {count} connections need it ({} post-quantum)",
                root.post_quantum_connections.unwrap_or_default()
            )
        }
    }
}

fn short(fingerprint: &str) -> String {
    format!("{}…", fingerprint.get(..16).unwrap_or(fingerprint))
}

fn at(time: Option<&Timestamp>) -> String {
    time.map_or_else(|| "not known".to_owned(), |time| Instant::from_micros(0).plus_seconds(time.seconds).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_has_not_looked_for_too_long_is_not_well() {
        let stated =
            |looked_too_long_ago| GetTlsStatusResponse { looked_too_long_ago, ..GetTlsStatusResponse::default() };
        assert!(is_well(&stated(None)) && is_well(&stated(Some(false))));
        assert!(!is_well(&stated(Some(true))));
        let stopped = AgencyTrust { by_lists: true, ..AgencyTrust::default() };
        assert!(!is_well(&GetTlsStatusResponse { agencies: vec![stopped], ..stated(Some(false)) }));
    }
}
