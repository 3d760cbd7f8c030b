//! `concordat consent form`, `consent acknowledge` and `organisation statement`: the RPCs of papers, as whoever hands the
//! page over types them. What comes out is the page itself.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use concordat::proto::v1::{Paper, Receipt};
use prost_reflect::DynamicMessage;
use serde_json::json;

use super::call::{Call, Options};
use super::contract::{Contract, Rpc};
use super::output::{Format, line, note, problem, text};
use super::{Verdict, json as written, nouns};

/// Noun and verb, and the RPC that is called.
const TYPED: [(&str, &str, &str); 3] = [
    ("consent", "form", "PaperService/MakeConsentForm"),
    ("consent", "acknowledge", "PaperService/AcknowledgeConsent"),
    ("organisation", "statement", "PaperService/StateToOrganisation"),
];

/// Where the page goes.
#[derive(Debug, Args)]
struct Place {
    /// Write the page here. Default: stdout.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Write the receipts that are in the page here, too, each as a file that `concordat verify` takes.
    #[arg(long, value_name = "FOLDER")]
    receipts: Option<PathBuf>,
}

/// The commands with these beside those of their nouns.
pub(super) fn beside(mut commands: Command, contract: &Contract) -> Command {
    for (noun, verb, name) in TYPED {
        let Some(rpc) = contract.rpcs().iter().find(|rpc| rpc.name() == name) else { continue };
        let example =
            nouns::example(rpc, contract).replacen(&format!("{} {}", rpc.noun, rpc.verb), &format!("{noun} {verb}"), 1);
        let command = Place::augment_args(nouns::verb(rpc, contract).name(verb)).after_help(format!(
            "Example:\n  {example} --page page.html\n\nExit code: 0 done, 1 turned away, 2 wrong usage, 3 could not ask."
        ));
        commands = commands.mut_subcommand(noun, |noun| noun.subcommand(command));
    }
    commands
}

/// The RPC behind these words.
pub(super) fn typed<'a>(contract: &'a Contract, noun: &str, verb: &str) -> Option<&'a Rpc> {
    let (.., name) = TYPED.iter().find(|typed| (typed.0, typed.1) == (noun, verb))?;
    contract.rpcs().iter().find(|rpc| rpc.name() == *name)
}

/// Has the page made, and writes it.
pub(super) async fn run(
    contract: &Contract,
    rpc: &Rpc,
    matches: &ArgMatches,
    format: Format,
) -> anyhow::Result<Verdict> {
    let place = Place::from_arg_matches(matches)?;
    let (request, options) = (nouns::request(rpc, matches)?, Options::from_arg_matches(matches)?);
    let call = Call { contract, method: &rpc.method, request, options: &options, format };
    let (response, verdict) = match call.fetch().await? {
        Ok(answered) => answered,
        Err(verdict) => return Ok(verdict),
    };
    let paper: Paper = part(&response, "paper")?;
    let entry = part::<Receipt>(&response, "receipt")?.index;
    if paper.page.is_empty() {
        problem("this call was done before and would give another page by now: make that one without --request-id");
        return Ok(Verdict::NotWell);
    }
    if let Some(folder) = &place.receipts {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        for receipt in &paper.receipts {
            let file = folder.join(format!("entry-{}.json", receipt.index));
            let receipt = written::written(&written::of(&dynamic(contract, receipt)?)?)?;
            fs::write(&file, receipt).with_context(|| format!("{} cannot be written", file.display()))?;
        }
    }
    let Some(file) = &place.page else {
        text(&paper.page);
        return Ok(verdict);
    };
    fs::write(file, &paper.page).with_context(|| format!("{} cannot be written", file.display()))?;
    let (file, digest) = (file.display().to_string(), data_encoding::HEXLOWER.encode(&paper.digest));
    if format == Format::Table {
        line(&format!("{file}: SHA-256 {digest}, wording {}, entry {entry}", paper.wording));
        note("The entry opens to your agency alone: don't hand its receipt over, it names you.");
    } else {
        let receipts: Vec<u64> = paper.receipts.iter().map(|receipt| receipt.index).collect();
        let made = json!({ "page": file, "digest": digest, "wording": paper.wording, "entry_index": entry, "receipts": receipts });
        line(&made.to_string());
    }
    Ok(verdict)
}

fn part<T: prost::Message + Default>(response: &DynamicMessage, name: &str) -> anyhow::Result<T> {
    let field = response.get_field_by_name(name).and_then(|field| field.as_message().cloned());
    Ok(field.with_context(|| format!("the answer has no {name}"))?.transcode_to()?)
}

fn dynamic(contract: &Contract, receipt: &Receipt) -> anyhow::Result<DynamicMessage> {
    let descriptor =
        contract.pool().get_message_by_name("concordat.v1.Receipt").context("the contract has no receipt")?;
    let mut message = DynamicMessage::new(descriptor);
    message.transcode_from(receipt)?;
    Ok(message)
}
