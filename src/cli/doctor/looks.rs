//! What is looked at.

use std::net::{SocketAddr, TcpListener};

use concordat::clock::Clock;
use concordat::config::{Config, OpsSection};
use concordat::decision::Agreement;
use concordat::rotation::{self, Surveyed};
use concordat::server::Trusted;
use concordat::store::{self, CheckFailed, Options, Reads, Schema, Store};
use concordat::tls::{self, Life, Shown};
use concordat::{domain::Instant, server};
use rustls::CertificateError;

use super::{Finding, State};
use crate::cli::{context, probe};

/// Certificates, lists, keys and agreements on disk.
pub(super) fn at_files(config: &Config) -> Vec<Finding> {
    let mut findings: Vec<Finding> = rotation::survey(config).into_iter().map(surveyed).collect();
    let problems = server::problems(config);
    if problems.is_empty() {
        findings.push(Finding::well("secrets and agreements on disk", "can be read"));
    }
    let remedy = "put the file right; see docs/operations.md, Configuration";
    findings.extend(
        problems.into_iter().map(|problem| Finding::not_well("secrets and agreements on disk", problem, remedy)),
    );
    findings
}

fn surveyed(found: Surveyed) -> Finding {
    match (found.problem, found.life) {
        (Some(problem), _) => {
            Finding::not_well(found.name, problem, "put a file in place that can be used; see docs/rotation.md")
        }
        (None, None) => Finding::well(found.name, "can be read"),
        (None, Some((life, until))) => match life {
            Life::Fresh | Life::HalfOver => Finding::well(found.name, format!("until {until}")),
            Life::NearlyOver => {
                let says = format!("until {until}: four fifths of its life are over");
                Finding::new(found.name, State::Soon, says, "renew it; see docs/rotation.md")
            }
            Life::Over => Finding::not_well(found.name, format!("ended {until}"), "renew it; see docs/rotation.md"),
        },
    }
}

/// The database, its schema, the ledger's head, the clocks, and the agreements in force.
pub(super) async fn at_database(config: &Config, clock: &Clock) -> Vec<Finding> {
    let shown = config.database_shown();
    let store = match config.database_login() {
        Ok(url) => Store::open(&Options::inspect(url.as_str())).await,
        Err(problem) => {
            return vec![Finding::not_well("database", problem.to_string(), "put the password's file right")];
        }
    };
    let store = match store {
        Ok(store) => store,
        Err(error) => return vec![fault("database", &format!("{shown}: {error}"), &error)],
    };
    let writable = store.check_writable().await.and_then(|()| store.check_room());
    let mut findings = vec![match writable {
        Ok(()) => Finding::well("database", shown),
        Err(error) => fault("database", &error.to_string(), &error),
    }];
    let (schema, is_usable) = at_schema(&store).await;
    findings.push(schema);
    if is_usable {
        findings.push(at_head(config, &store).await);
        findings.extend(at_trusted(config, &store).await);
        match read(&store, clock).await {
            Ok(read) => findings.extend(read),
            Err(error) => findings.push(fault("ledger", &error.to_string(), &error)),
        }
    }
    store.close().await;
    findings
}

/// How the schema is, and whether more can be read.
async fn at_schema(store: &Store) -> (Finding, bool) {
    let not_well = |says: String, remedy| (Finding::not_well("schema", says, remedy), false);
    match store.schema().await {
        Ok(Schema::Current) => (Finding::well("schema", "is this program's"), true),
        Ok(Schema::Later(version)) => {
            let remedy = "start that program; to go back to this one see docs/operations.md, Upgrade";
            (Finding::new("schema", State::Soon, format!("is of a later program (migration {version})"), remedy), true)
        }
        Ok(Schema::Earlier) => not_well(
            "is of an earlier program, or there is none".to_owned(),
            "`concordat migrate`, or `concordat ledger init` for a new node; `serve` does it unless `node.migrate` is false",
        ),
        Ok(Schema::Foreign(version)) => not_well(
            format!("its migration {version} is not this program's"),
            "is it the right database, and the right program? No node starts on it",
        ),
        Err(error) => (fault("schema", &error.to_string(), &error), false),
    }
}

fn fault(what: &str, says: &str, error: &store::Error) -> Finding {
    let remedy =
        if error.is_outage() { error.remedy() } else { "check the database's address; see docs/operations.md" };
    Finding::not_well(what, says, remedy)
}

async fn at_head(config: &Config, store: &Store) -> Finding {
    let (Ok(keys), Ok(secrets)) = (server::signing_keys(config), config.node_secrets()) else {
        return Finding::new("ledger's head", State::Unknown, "without its keys and the node's secrets", "see above");
    };
    let checked = match store.unlock(&secrets).await {
        Ok(seal) => store.look_at_head(&keys, &seal).await,
        Err(problem) => Err(problem),
    };
    match checked {
        Ok(None) => Finding::well("ledger's head", "not begun: the node's first start begins it"),
        Ok(Some(checked)) => {
            Finding::well("ledger's head", format!("{} entries, as {} signed it", checked.size, keys.origin()))
        }
        Err(CheckFailed::Store(error)) => fault("ledger's head", &error.to_string(), &error),
        Err(problem) => Finding::not_well(
            "ledger's head",
            problem.to_string(),
            "stop the node and keep the database as it is; see docs/operations.md, `ledger check`",
        ),
    }
}

/// Whether the database has every entry of what was kept of the ledger. A file that cannot be read was told of already.
async fn at_trusted(config: &Config, store: &Store) -> Vec<Finding> {
    let Ok(keys) = server::signing_keys(config) else { return Vec::new() };
    let mut findings = Vec::new();
    for trusted in Trusted::read(config, keys.origin()).unwrap_or_default() {
        let what = "trusted checkpoint";
        findings.push(match trusted.check(store, &keys).await {
            Ok(size) => Finding::well(what, format!("all its {size} entries are here ({})", trusted.file.display())),
            Err(CheckFailed::Store(error)) => fault(what, &error.to_string(), &error),
            Err(problem) => Finding::not_well(
                what,
                problem.to_string(),
                "no node serves this database: restore a newer copy; see docs/operations.md, Restore",
            ),
        });
    }
    findings
}

/// How far this machine's clock may lag behind the ledger, and how far it may be from the database's: as the node has it.
const MOST_BEHIND_MICROS: i64 = 2_000_000;
const MOST_APART_MICROS: i64 = 5_000_000;

async fn read(store: &Store, clock: &Clock) -> store::Result<Vec<Finding>> {
    let mut reads = store.reads().await?;
    let (size, head_at) = reads.size().await?;
    let there = reads.database_time().await?;
    let now: Instant = clock.now();
    let remedy = "asks are turned away meanwhile: check time synchronisation on this machine and the database's";
    let behind = head_at.micros_since(now);
    let mut findings = vec![if size > 0 && behind > MOST_BEHIND_MICROS {
        let says = format!("{} s behind the ledger's last entry", behind / 1_000_000);
        Finding::not_well("clock", says, remedy)
    } else if let Some(apart) =
        there.map(|there| there.micros_since(now).abs()).filter(|apart| *apart > MOST_APART_MICROS)
    {
        Finding::not_well("clock", format!("{} s from the database's", apart / 1_000_000), remedy)
    } else {
        Finding::well("clock", now.to_string())
    }];
    findings.extend(agreements(&mut reads).await?);
    Ok(findings)
}

async fn agreements(reads: &mut Reads) -> store::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (id, digest) in reads.agreements_in_force().await? {
        let what = format!("agreement {id}");
        let read = reads.agreement_text(digest).await?.map(|text| Agreement::load(&text));
        findings.push(match read {
            Some(Ok(_)) => Finding::well(what, "in force"),
            Some(Err(problem)) => {
                Finding::not_well(what, problem.to_string(), "nothing is decided: run a program that can read it")
            }
            None => Finding::not_well(
                what,
                "its text is missing",
                "keep the database as it is; see `concordat ledger check`",
            ),
        });
    }
    if findings.is_empty() {
        let remedy = "nothing can be released yet: an operator reads and activates them (docs/agreements.md)";
        findings.push(Finding::new("agreements", State::Soon, "none is in force", remedy));
    }
    Ok(findings)
}

/// Whether the node answers on its ports, or could.
pub(super) fn at_ports(config: &Config) -> Vec<Finding> {
    let OpsSection { enabled, listen, .. } = &config.ops;
    let serves = *enabled && probe::ask(&here(*listen), "/livez").is_ok_and(|(alive, _)| alive);
    let mut findings = vec![port("node.listen", config.node.listen, serves)];
    if *enabled {
        findings.push(port("ops.listen", *listen, serves));
    }
    if serves && let Ok((is_ready, says)) = probe::ask(&here(*listen), "/readyz") {
        findings.push(if is_ready && says == "ready" {
            Finding::well("readiness", says)
        } else {
            Finding::not_well("readiness", says, "see what it waits for, above and in the node's log")
        });
    }
    if serves && let Ok((true, figures)) = probe::ask(&here(*listen), "/metrics") {
        findings.extend(in_use(&figures));
    }
    findings
}

/// Whether the node that serves has taken certificates, lists and keys as they are on disk. It alone knows what it had
/// before: a list that is older than that one is well by itself.
fn in_use(figures: &str) -> Option<Finding> {
    let what = "files in use";
    let refused = figures.lines().find_map(|line| line.strip_prefix("concordat_tls_refused_sets "))?;
    Some(if refused.trim() == "0" {
        Finding::well(what, "are those on disk")
    } else {
        let remedy =
            "the node's log says which and why, such as a list that is older than the last; see docs/rotation.md";
        Finding::not_well(
            what,
            format!("of {refused} sets of files the last that were good, not those on disk"),
            remedy,
        )
    })
}

/// Where to ask on this machine.
fn here(listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() {
        SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, listen.port())).to_string()
    } else {
        listen.to_string()
    }
}

fn port(what: &str, address: SocketAddr, serves: bool) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) if serves && address.port() != 0 => {
            Finding::not_well(what, format!("nobody listens on {address}"), "see the node's log")
        }
        Ok(_) => Finding::well(what, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && serves => {
            Finding::well(what, format!("{address} is served"))
        }
        Err(error) => {
            let remedy = "if that is not this node: stop what has the port, or choose another";
            Finding::new(what, State::Unknown, format!("{address}: {error}"), remedy)
        }
    }
}

/// Whether the way to another agency's node is open, and nothing on it ends TLS.
pub(super) async fn at_peer(config: &Config, peer: &str) -> Finding {
    let what = format!("peer {peer}");
    let Some((host, _)) = peer.rsplit_once(':') else {
        return Finding::not_well(what, "is not HOST:PORT", "write concordat.ncsc.example:8443");
    };
    let proxy = context::proxy(peer);
    let remedy = "check name, port, firewall and proxies: whatever ends TLS on the way must pass it through instead";
    let mut told: Option<String> = None;
    for agency in &config.agency {
        let Ok(roots) = tls::certificates_from_file(&config.path(&agency.roots_file)) else { continue };
        let Ok(trust) = tls::client_config(roots, None) else { continue };
        match tls::shown_by(peer, host.trim_matches(['[', ']']), trust, proxy.as_deref()).await {
            Ok(Shown { asks_for_ours: true, .. }) => {
                return Finding::well(what, format!("{} vouches for it, and it asks for our certificate", agency.id));
            }
            Ok(_) => {
                let says = format!(
                    "TLS is ended before the node: {} vouches for what answers there, and it asks for no certificate of ours",
                    agency.id
                );
                return Finding::not_well(what, says, remedy);
            }
            // This agency did not issue it. Another one's roots may say more.
            Err(error)
                if matches!(
                    tls::unfit(&error),
                    Some(CertificateError::UnknownIssuer | CertificateError::BadSignature)
                ) =>
            {
                told.get_or_insert_with(|| format!("none of the agencies vouches for it: {error}"));
            }
            Err(error) if tls::unfit(&error).is_some() => {
                return Finding::not_well(what, format!("{} vouches for it, and yet: {error}", agency.id), remedy);
            }
            // Nor is there a way for the other agencies' sake.
            Err(error) => return Finding::not_well(what, error.to_string(), remedy),
        }
    }
    Finding::not_well(what, told.unwrap_or_else(|| "no agency's roots can be read".to_owned()), remedy)
}
