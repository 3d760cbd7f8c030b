//! `concordat verify`: what a receipt proves, without asking anybody.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use concordat::domain::Instant;
use concordat::ledger::{Invalidity, Keyring, Verified, commit_to, verify};
use concordat::proto;
use concordat::proto::v1::{Receipt, Released, ReleasedCategory};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};

use super::Verdict;
use super::output::{BAD, GOOD, KEY, is_terminal, line};

/// Check a receipt, offline.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 valid, 1 invalid, 2 wrong usage, 3 cannot decide (no key for its ledger, or unreadable).

Examples:
  concordat verify receipt.json --key ncsc.pub
  concordat call LedgerService/GetEntry '{\"index\": 7}' --context ico.toml | concordat verify - --key ncsc.pub"
)]
pub(super) struct Arguments {
    /// The receipt, or a response that has one: JSON or binary. `-`: stdin. Content that came with it is checked too.
    receipt: PathBuf,
    /// A ledger's verifier key (NAME+ID+KEY), or a file with one on each line. May be given several times.
    #[arg(long, value_name = "KEY", required = true)]
    key: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let mut keys = Vec::new();
    for key in &arguments.key {
        let text = if Path::new(key).is_file() { fs::read_to_string(key)? } else { key.clone() };
        keys.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }
    let keys = Keyring::parse(keys.iter().map(String::as_str))?;
    let bytes = if arguments.receipt.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        bytes
    } else {
        fs::read(&arguments.receipt).with_context(|| format!("{} cannot be read", arguments.receipt.display()))?
    };
    let (receipt, released) = read(&bytes)?;
    let verified = verify(&receipt, &keys).and_then(|verified| {
        check_content(&verified, released.as_ref())?;
        Ok(verified)
    });
    match verified {
        Ok(verified) => {
            let said = statement(&receipt, &verified);
            if is_terminal() {
                line(&format!("{GOOD}valid{GOOD:#}"));
                for (name, value) in said.as_object().into_iter().flatten() {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    line(&format!("  {KEY}{name:<12}{KEY:#} {value}"));
                }
            } else {
                line(&json!({ "valid": true, "receipt": said }).to_string());
            }
            Ok(Verdict::Well)
        }
        Err(invalidity) => {
            let verdict = match invalidity {
                Invalidity::Invalid(_) => Verdict::NotWell,
                Invalidity::UnknownLedger(_) => Verdict::Undecided,
            };
            if is_terminal() {
                let word = if verdict == Verdict::NotWell { "invalid" } else { "cannot decide" };
                line(&format!("{BAD}{word}{BAD:#}: {invalidity}"));
            } else {
                let valid = if verdict == Verdict::NotWell { Value::Bool(false) } else { Value::Null };
                line(&json!({ "valid": valid, "problem": invalidity.to_string() }).to_string());
            }
            Ok(verdict)
        }
    }
}

/// Whether the content that came with a receipt is what the receipt commits to.
fn check_content(verified: &Verified, released: Option<&Released>) -> Result<(), Invalidity> {
    let Some(released) = released.filter(|released| released.content_included) else { return Ok(()) };
    let promised: BTreeSet<(String, String, Vec<u8>)> = verified
        .outcome
        .iter()
        .flat_map(|outcome| &outcome.released)
        .flat_map(|one| {
            one.categories.iter().map(|c| (one.reference.clone(), c.category.clone(), c.commitment.clone()))
        })
        .collect();
    let came: BTreeSet<(String, String, Vec<u8>)> = released
        .incidents
        .iter()
        .flat_map(|one| {
            let commit = |c: &ReleasedCategory| commit_to(&c.salt, &c.content).to_vec();
            one.categories.iter().map(move |c| (one.reference.clone(), c.category.clone(), commit(c)))
        })
        .collect();
    if came == promised {
        return Ok(());
    }
    Err(Invalidity::Invalid("the content is not what the receipt commits to".to_owned()))
}

/// Reads a receipt, or takes it out of a response with the content that came with it.
fn read(bytes: &[u8]) -> anyhow::Result<(Receipt, Option<Released>)> {
    let is_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if !is_json {
        return Ok((Receipt::decode(bytes).context("is neither JSON nor an encoded receipt")?, None));
    }
    let mut value: Value = serde_json::from_slice(bytes).context("is not JSON")?;
    let pool = DescriptorPool::decode(proto::DESCRIPTORS)?;
    let message = |name: &str, value: Value| {
        let descriptor = pool.get_message_by_name(name).context("the contract has no such message")?;
        DynamicMessage::deserialize(descriptor, value).with_context(|| format!("is not a {name}"))
    };
    let released = match value.get_mut("released") {
        Some(released) => Some(message("concordat.v1.Released", released.take())?.transcode_to()?),
        None => None,
    };
    if let Some(inner) = value.get_mut("receipt") {
        value = inner.take();
    }
    Ok((message("concordat.v1.Receipt", value)?.transcode_to()?, released))
}

/// What a receipt says, for people.
pub(super) fn statement(receipt: &Receipt, verified: &Verified) -> Value {
    let mut said = serde_json::Map::new();
    let mut put = |name: &str, value: String| {
        said.insert(name.to_owned(), Value::String(value));
    };
    put("ledger", receipt.origin.clone());
    put("entry", format!("{} of {}", receipt.index, verified.checkpoint.size));
    put("at", Instant::from_micros(verified.entry.at_micros).to_string());
    put("about", verified.entry.kind().as_str_name().trim_start_matches("ENTRY_KIND_").to_lowercase());
    if let Some(act) = &verified.act {
        put("act", format!("{} by {} of {}", act.method, act.officer, act.agency));
        put("record", format!("{} version {}", act.object, act.version));
    }
    if let Some(ask) = &verified.ask {
        put("asked", format!("{} ({}, {}) asked {}", ask.requester, ask.unit, ask.officer_pseudonym, ask.holder));
        put("purpose", ask.purpose.clone());
        put("categories", ask.categories.join(", "));
    }
    if let Some(outcome) = &verified.outcome {
        put("outcome", outcome.outcome.clone());
        for released in &outcome.released {
            let categories: Vec<&str> = released.categories.iter().map(|category| category.category.as_str()).collect();
            put("released", format!("{}: {}", released.reference, categories.join(", ")));
            if let Some(handling) = &released.handling {
                put("under", handling.clauses.join(", "));
            }
        }
    }
    if let Some(grounds) = &verified.grounds {
        put("grounds", grounds.reasons.join("; "));
    }
    Value::Object(said)
}
