//! `concordat verify`: what a receipt proves, without asking anybody.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use concordat::domain::Instant;
use concordat::ledger::{Invalidity, Keyring, TrustedKey, Verified, commit_to, verify};
use concordat::proto;
use concordat::proto::v1::{Receipt, Released, ReleasedCategory, Slot};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage};
use serde_json::{Value, json};

use super::Verdict;
use super::json::harmless;
use super::output::{BAD, DIM, Format, GOOD, KEY, line, note};

/// Check a receipt, offline.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 valid, 1 invalid, 2 wrong usage, 3 cannot decide (no key for its ledger, or unreadable).

Examples:
  concordat verify receipt.json --key ncsc.pub
  concordat ledger get-entry --index 7 --context ico.toml | concordat verify - --key ncsc.pub"
)]
pub(super) struct Arguments {
    /// The receipt, or a response that has one: JSON or binary. `-`: stdin. Content that came with it is checked too.
    receipt: PathBuf,
    /// A ledger's verifier key (NAME+ID+KEY), or a keyring: a file with one on each line, after it its dates. May be given
    /// several times.
    #[arg(long, value_name = "KEY", required = true)]
    key: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> anyhow::Result<Verdict> {
    let keys = keyring(&arguments.key)?;
    let (receipt, released) = received(&arguments.receipt)?;
    let verified = verify(&receipt, &keys).and_then(|verified| {
        check_content(&verified, released.as_ref())?;
        Ok(verified)
    });
    match verified {
        Ok(verified) => {
            let said = statement(&receipt, &verified);
            if format == Format::Table {
                line(&format!("{GOOD}valid{GOOD:#}"));
                for (name, value) in said.as_object().into_iter().flatten() {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    line(&format!("  {KEY}{name:<12}{KEY:#} {}", harmless(&value)));
                }
            } else {
                line(&json!({ "valid": true, "receipt": said }).to_string());
            }
            Ok(Verdict::Well)
        }
        Err(invalidity) => {
            let verdict = verdict(&invalidity);
            if format == Format::Table {
                let word = if verdict == Verdict::NotWell { "invalid" } else { "cannot decide" };
                line(&format!("{BAD}{word}{BAD:#}: {}", harmless(&invalidity.to_string())));
                note(&format!("  {DIM}concordat explain {}{DIM:#}", page(verdict)));
            } else {
                let valid = if verdict == Verdict::NotWell { Value::Bool(false) } else { Value::Null };
                line(&json!({ "valid": valid, "problem": invalidity.to_string() }).to_string());
            }
            Ok(verdict)
        }
    }
}

/// The receipt in a file, or for `-` in what stdin has, with the content that came with it.
pub(super) fn received(path: &Path) -> anyhow::Result<(Receipt, Option<Released>)> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        return read(&bytes);
    }
    read(&fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?)
}

/// A receipt as another agency's node may see it, encoded: what it says of the outcome alone.
pub(super) fn outcome_alone(mut receipt: Receipt) -> Vec<u8> {
    receipt.openings.retain(|opening| opening.slot() == Slot::Outcome);
    receipt.encode_to_vec()
}

/// Reads verifier keys, each given as it is or as a file with one on each line.
pub(super) fn keyring(given: &[String]) -> anyhow::Result<Keyring> {
    let mut keys = Vec::new();
    for key in given {
        let text = if Path::new(key).is_file() { fs::read_to_string(key)? } else { key.clone() };
        keys.extend(text.lines().map(str::to_owned));
    }
    Ok(Keyring::parse(keys.iter().map(String::as_str))?)
}

fn verdict(invalidity: &Invalidity) -> Verdict {
    match invalidity {
        Invalidity::Invalid(_) => Verdict::NotWell,
        Invalidity::UnknownLedger(_) | Invalidity::Compromised(_) => Verdict::Undecided,
    }
}

/// What `concordat explain` has of a receipt that does not prove what it should.
pub(super) fn page(verdict: Verdict) -> &'static str {
    if verdict == Verdict::NotWell { "invalid" } else { "cannot-decide" }
}

/// What the receipts in a response prove.
pub(super) struct Proof {
    /// Well if all of them do, or if there is no key to ask.
    pub(super) verdict: Verdict,
    /// What is wrong.
    pub(super) problems: Vec<String>,
}

/// Verifies every receipt in a response, with the content that came with it.
pub(super) fn receipts(response: &DynamicMessage, keys: Option<&Keyring>) -> anyhow::Result<Proof> {
    let mut proof = Proof { verdict: Verdict::Well, problems: Vec::new() };
    let Some(keys) = keys else { return Ok(proof) };
    let released = response.get_field_by_name("released").and_then(|field| field.as_message().cloned());
    let released: Option<Released> = released.map(|released| released.transcode_to()).transpose()?;
    let mut receipts = Vec::new();
    collect(response, &mut receipts)?;
    for receipt in receipts {
        let checked = verify(&receipt, keys).and_then(|verified| check_content(&verified, released.as_ref()));
        if let Err(invalidity) = checked {
            proof.problems.push(format!("the receipt of entry {}: {invalidity}", receipt.index));
            if proof.verdict != Verdict::NotWell {
                proof.verdict = verdict(&invalidity);
            }
        }
    }
    Ok(proof)
}

fn collect(message: &DynamicMessage, receipts: &mut Vec<Receipt>) -> anyhow::Result<()> {
    if message.descriptor().full_name() == "concordat.v1.Receipt" {
        receipts.push(message.transcode_to()?);
        return Ok(());
    }
    for (_, value) in message.fields() {
        let one = std::slice::from_ref(value);
        for inner in value.as_list().unwrap_or(one).iter().filter_map(prost_reflect::Value::as_message) {
            collect(inner, receipts)?;
        }
    }
    Ok(())
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
    let records = verified.outcome.iter().flat_map(|outcome| &outcome.released).map(|one| one.record.as_ref());
    let same_records = records.eq(released.incidents.iter().map(|one| one.record.as_ref()));
    if came == promised && same_records {
        return Ok(());
    }
    Err(Invalidity::Invalid("the content is not what the receipt commits to".to_owned()))
}

/// Reads a receipt, or takes it out of a response with the content that came with it.
fn read(bytes: &[u8]) -> anyhow::Result<(Receipt, Option<Released>)> {
    let is_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    anyhow::ensure!(!bytes.trim_ascii().is_empty(), "there is no receipt: the input is empty");
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

/// What it says about passing on and naming.
fn passing_on(verified: &Verified, put: &mut impl FnMut(&str, String)) {
    if let Some(said) = &verified.permission {
        put("permission", format!("{} of {}: {}", said.permission, said.upstream, said.state));
        put(
            "pass on",
            format!("{} to {} for {}: {}", said.holder, said.recipient, said.purpose, said.categories.join(", ")),
        );
        if said.until_micros > 0 {
            put("until", Instant::from_micros(said.until_micros).to_string());
        }
    }
    if let Some(said) = &verified.existence {
        let (holder, recipient, purpose) = (&said.holder, &said.recipient, &said.purpose);
        put("existence", format!("by {holder} to {recipient} for {purpose}: {}", said.answer));
        put("shows", said.shown.clone());
    }
    if let Some(said) = &verified.naming {
        put("naming", format!("by {} to {} for {}: {}", said.disclosing, said.receiving, said.purpose, said.answer));
        if said.until_micros > 0 {
            put("until", Instant::from_micros(said.until_micros).to_string());
        }
    }
}

/// Who signed, and that the key was in use.
fn signature(key: &TrustedKey) -> String {
    let time = |word: &str, at: Option<Instant>| at.map(|at| format!(" {word} {at}")).unwrap_or_default();
    format!("{}, in use{}{}", key.short(), time("from", key.from), time("until", key.until))
}

fn keys_changed(verified: &Verified, put: &mut impl FnMut(&str, String)) {
    let Some(change) = &verified.ledger_key else { return };
    put("keys before", change.before.join(", "));
    put("keys now", change.after.join(", "));
    if change.lost {
        let lost = "those before were lost, and vouch for nothing: have the new ones' fingerprints read out";
        put("lost", lost.to_owned());
    }
    if change.compromised_from_micros > 0 {
        put("compromised", Instant::from_micros(change.compromised_from_micros).to_string());
    }
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
    put("signed by", verified.signed_by.iter().map(signature).collect::<Vec<_>>().join("; "));
    keys_changed(verified, &mut put);
    if let Some(act) = &verified.act {
        put("act", format!("{} by {} of {}", act.method, act.officer, act.agency));
        if act.incidents.is_empty() && act.organisations.is_empty() {
            put("record", format!("{} version {}", act.object, act.version));
        } else {
            put("organisations", act.organisations.join(", "));
            put("incidents", act.incidents.join(", "));
        }
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
            put(
                "released",
                match &released.record {
                    Some(record) => {
                        let said: Vec<String> =
                            record.values.iter().map(|one| format!("{} {}", one.dimension, one.value)).collect();
                        format!("an anonymised record of {}: {}", record.period, said.join(", "))
                    }
                    None => format!("{}: {}", released.reference, categories.join(", ")),
                },
            );
            if let Some(handling) = &released.handling {
                put("under", handling.clauses.join(", "));
            }
        }
    }
    if let Some(offer) = &verified.offer {
        let about = if offer.request.is_empty() { &offer.reference } else { &offer.request };
        put("offered", format!("{} to {}: {about} for {}", offer.holder, offer.recipient, offer.purpose));
        put("categories", offer.categories.join(", "));
    }
    if let Some(notice) = &verified.notice {
        let about = format!("{} from {} to {}: {}", notice.kind, notice.issuer, notice.recipient, notice.reference);
        put("notice", about.trim_end_matches(": ").to_owned());
        put("due", Instant::from_micros(notice.due_at_micros).to_string());
        if let Some(said) = &notice.acknowledgement {
            put("acknowledged", said.outcome.clone());
        }
    }
    if let Some(wrongful) = &verified.wrongful_release {
        let state = if wrongful.closed { "closed" } else { "opened" };
        put("wrongful release", format!("{} {state}: {}", wrongful.wrongful_release, wrongful.cause));
    }
    passing_on(verified, &mut put);
    if let Some(published) = &verified.publication {
        let tables: Vec<&str> = published.tables.iter().map(|table| table.id.as_str()).collect();
        put("published", format!("{} of {}: {}", published.quarter, published.holder, tables.join(", ")));
    }
    if let Some(erased) = &verified.erasure {
        let (ground, entries) = (&erased.ground, erased.entries);
        put("erased", format!("on the ground {ground}: {} revisions, and {entries} other entries", erased.revisions));
    }
    if let Some(paper) = &verified.paper {
        put("page", format!("{}, wording {}", paper.paper, paper.wording));
        put("page sha256", data_encoding::HEXLOWER.encode(&paper.digest));
    }
    if let Some(ask) = &verified.table_ask {
        put("asked", format!("{} ({}, {}) asked {}", ask.requester, ask.unit, ask.officer_pseudonym, ask.holder));
        put("table", format!("{} of {}", ask.table, ask.quarter));
    }
    if let Some(proposal) = &verified.proposal {
        let words = [&proposal.step, &proposal.word, &proposal.explanation].map(String::as_str);
        put("proposal", format!("{} {} of {}", proposal.kind, proposal.proposal, proposal.opener));
        put("happened", words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(": "));
    }
    if let Some(theme) = &verified.theme {
        put("confirmed", format!("{} version {} of {}", theme.theme, theme.version, theme.holder));
    }
    if let Some(ask) = &verified.theme_ask {
        put("asked", format!("{} ({}, {}) asked {}", ask.requester, ask.unit, ask.officer_pseudonym, ask.holder));
        put("theme", ask.theme.clone());
    }
    if let Some(outcome) = &verified.sharing_outcome {
        put("outcome", outcome.outcome.clone());
        put("under", outcome.clauses.join(", "));
    }
    if let Some(grounds) = &verified.grounds {
        put("grounds", grounds.reasons.join("; "));
    }
    Value::Object(said)
}
