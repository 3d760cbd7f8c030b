//! `concordat ledger keys`, `fingerprint`, `rotate-key` and `retire-key`: who signs the ledger.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use clap::Args;
use concordat::clock::Clock;
use concordat::config::Config;
use concordat::domain::Instant;
use concordat::exchange::change_ledger_keys;
use concordat::ledger::{Keyring, TrustedKey, verify};
use concordat::server::signing_keys;
use concordat::store::{KeyChange, Options, Store};
use serde_json::json;

use super::super::output::{DIM, Format, GOOD, line};
use super::super::{Usage, Verdict, verify as receipts};

/// Which new key signs.
#[derive(Debug, Args)]
#[command(
    after_help = "The new key is the one of `other_ledger_key_files` that never signed. Every node of the ledger must
have it and have been restarted since: from this command on a node without it can commit nothing. The nodes may be serving
meanwhile. Both keys sign until `concordat ledger retire-key`; the whole order is in docs/keys.md.

Exit code: 0 done, 2 wrong usage, 3 not done.

Examples:
  concordat ledger rotate-key --config node.toml
  concordat ledger rotate-key --config node.toml --lost ncsc.example+2eb8c1a3+AZ..."
)]
pub(super) struct Rotate {
    /// The node's configuration.
    #[arg(long, env = "CONCORDAT_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// Every key that signed is lost. The verifier key of one of them, as it was handed out. Then `ledger_key_file` is the
    /// new one, and nothing vouches for it.
    #[arg(long, value_name = "KEY")]
    lost: Option<String>,
    /// From when on somebody else may have had the lost ones: a date or a time in UTC.
    #[arg(long, value_name = "TIME", requires = "lost")]
    compromised_from: Option<String>,
}

/// Which key signs no more.
#[derive(Debug, Args)]
#[command(after_help = "Whoever verifies must have the keys that stay. Afterwards take the file out of every node's
configuration, and hand out the keyring of `concordat ledger keys`.

With --compromised-from the key may have ended before: a compromise is often found later. The time can become an earlier one,
never a later one.

Exit code: 0 done, 2 wrong usage, 3 not done.

Examples:
  concordat ledger retire-key 2eb8c1a3 --config node.toml
  concordat ledger retire-key 2eb8c1a3 --config node.toml --compromised-from 2026-11-20T09:30:00Z")]
pub(super) struct Retire {
    /// The key's id, as in `concordat ledger keys`.
    id: String,
    /// The node's configuration.
    #[arg(long, env = "CONCORDAT_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// From when on somebody else may have had it: a date or a time in UTC. What it alone signed then decides nothing.
    #[arg(long, value_name = "TIME")]
    compromised_from: Option<String>,
}

fn time(text: Option<&String>) -> Result<Option<Instant>, Usage> {
    text.map(|text| Instant::parse(text).map_err(|problem| Usage(format!("--compromised-from {problem}")))).transpose()
}

pub(super) async fn list(config: &Path, format: Format) -> anyhow::Result<Verdict> {
    let config = Config::load(config)?;
    let store = Store::open(&Options::inspect(config.database_login()?.as_str())).await?;
    let keys = store.reads().await?.ledger_keys().await?;
    store.close().await;
    print(&keys, format);
    Ok(Verdict::Well)
}

fn print(keys: &[TrustedKey], format: Format) {
    if format == Format::Table {
        for key in keys {
            line(&format!("# {}", key.fingerprint()));
            line(&key.to_string());
        }
        return;
    }
    let time = |at: Option<Instant>| at.map(|at| at.to_string());
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "id": key.id(),
                "verifier_key": key.key,
                "fingerprint": key.fingerprint(),
                "from": time(key.from),
                "until": time(key.until),
                "compromised_from": time(key.compromised),
            })
        })
        .collect();
    line(&json!({ "keys": keys }).to_string());
}

pub(super) fn fingerprints(given: &[String], format: Format) -> anyhow::Result<Verdict> {
    let keys = receipts::keyring(given)?;
    print(keys.keys(), format);
    Ok(Verdict::Well)
}

pub(super) async fn rotate(arguments: &Rotate, format: Format) -> anyhow::Result<Verdict> {
    let compromised = time(arguments.compromised_from.as_ref())?;
    change(&arguments.config, format, |configured, known| {
        if let Some(lost) = &arguments.lost {
            let given = receipts::keyring(std::slice::from_ref(lost))?;
            let verifier_key = given.keys().first().map(|key| key.key.clone()).unwrap_or_default();
            return Ok(KeyChange::Lost { verifier_key, compromised });
        }
        let fresh: Vec<&String> =
            configured.iter().filter(|id| known.iter().all(|key| key.id() != id.as_str())).collect();
        match fresh.as_slice() {
            [id] => Ok(KeyChange::Begin((*id).clone())),
            [] => bail!(
                "every configured key signs or signed already: make a new one with `concordat ledger keygen`, name its \
                 file in `other_ledger_key_files` and restart every node of the ledger first"
            ),
            several => bail!("several configured keys never signed: {several:?}. Leave one of them"),
        }
    })
    .await
}

pub(super) async fn retire(arguments: &Retire, format: Format) -> anyhow::Result<Verdict> {
    let compromised = time(arguments.compromised_from.as_ref())?;
    change(&arguments.config, format, |_, _| Ok(KeyChange::End { id: arguments.id.clone(), compromised })).await
}

/// Opens the ledger with its keys, changes who signs, and says what came of it.
async fn change(
    config: &Path,
    format: Format,
    what: impl FnOnce(&[String], &[TrustedKey]) -> anyhow::Result<KeyChange>,
) -> anyhow::Result<Verdict> {
    let config = Config::load(config)?;
    let keys = signing_keys(&config).map_err(anyhow::Error::from_boxed)?;
    let store = Store::open(&Options::inspect(config.database_login()?.as_str())).await?;
    let seal = store.unlock(&config.node_secrets()?).await?;
    let configured: Vec<String> = keys.all().map(concordat::ledger::SigningKey::id).collect();
    let change = what(&configured, &store.reads().await?.ledger_keys().await?)?;
    let agencies: Vec<_> = config.agency.iter().map(|agency| agency.id.clone()).collect();
    let receipt =
        change_ledger_keys(&store, &seal, &keys, &Clock::system(), (&agencies, config.padding()), &change).await?;
    let history = store.reads().await?.ledger_keys().await?;
    store.close().await;
    let lines: Vec<String> = history.iter().map(|key| key.key.clone()).collect();
    let verified = verify(&receipt, &Keyring::parse(lines.iter().map(String::as_str))?)?;
    let signers: Vec<&str> = verified.signed_by.iter().map(TrustedKey::short).collect();
    ensure!(!signers.is_empty(), "nobody signed the change");
    if format == Format::Table {
        line(&format!("{GOOD}done{GOOD:#}: entry {}, signed by {}", receipt.index, signers.join(", ")));
        line(&format!(
            "{DIM}concordat ledger keys prints the keyring to hand out; docs/keys.md says what is next{DIM:#}"
        ));
    } else {
        line(&json!({ "entry": receipt.index, "signed_by": signers }).to_string());
    }
    Ok(Verdict::Well)
}
