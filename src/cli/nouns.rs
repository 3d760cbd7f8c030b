//! `concordat NOUN VERB`: a command for each RPC of the contract, made from the contract itself.

use clap::{Arg, ArgMatches, Args as _, Command, FromArgMatches as _};
use prost_reflect::DynamicMessage;

use super::call::{Call, Options, paged};
use super::contract::{Contract, Rpc, short, without_name};
use super::flags::{Flag, flags};
use super::output::Format;
use super::{Verdict, json};

/// The fixed commands and one for each RPC. A noun that is a fixed command too has the verbs of both.
pub(super) fn with_rpcs(mut commands: Command, contract: &Contract) -> Command {
    for service in contract.services() {
        let rpcs: Vec<&Rpc> = contract.rpcs_of(&service).collect();
        let Some(noun) = rpcs.first().map(|rpc| rpc.noun.clone()) else { continue };
        let verbs: Vec<Command> = rpcs.iter().map(|rpc| verb(rpc, contract)).collect();
        let comment = contract.comment(&service.parent_file(), service.path());
        let about = without_name(service.name(), comment);
        let examples = examples(&rpcs, contract);
        if commands.find_subcommand(&noun).is_some() {
            commands = commands.mut_subcommand(&noun, |fixed| {
                let both = fixed.get_about().map(|own| format!("{own}. {about}")).unwrap_or_default();
                fixed.subcommands(verbs).long_about(both).after_help(examples)
            });
            continue;
        }
        let command = Command::new(noun)
            .about(short(&about))
            .long_about(about)
            .after_help(examples)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommands(verbs);
        commands = commands.subcommand(command);
    }
    commands
}

pub(super) fn verb(rpc: &Rpc, contract: &Contract) -> Command {
    let comment = contract.comment(&rpc.method.parent_file(), rpc.method.path());
    let about = without_name(rpc.method.name(), comment);
    let json = Arg::new("json")
        .long("json")
        .value_name("JSON")
        .help("The request as JSON, under the flags. `-`: stdin; `@FILE`: a file.");
    let flags = flags(&rpc.method.input());
    let (releases, pages) = (json::has_release(&rpc.method.output()), paged(&rpc.method).is_some());
    let command = Command::new(rpc.verb.clone())
        .args(flags.iter().filter_map(|flag| flag.arg(contract, &flags)))
        .next_help_heading("The call")
        .arg(json);
    Options::augment_args(command)
        .about(short(&about))
        .long_about(format!("{about}\n\n{} The RPC is {}.", rpc.callers(), rpc.name()))
        .after_help(format!("Example:\n  {}\n\nExit code: {}", example(rpc, contract), exit_codes(rpc)))
        .mut_arg("content", |arg| arg.hide(!releases))
        .mut_arg("all", |arg| arg.hide(!pages))
}

fn exit_codes(rpc: &Rpc) -> String {
    let done = if json::has_release(&rpc.method.output()) { "released, 10 open, 11 not covered" } else { "done" };
    format!("0 {done}, 1 turned away, 2 wrong usage, 3 could not ask.")
}

/// The command with what the contract says is required.
pub(super) fn example(rpc: &Rpc, contract: &Contract) -> String {
    let flags = flags(&rpc.method.input());
    let needed = flags.iter().filter(|flag| flag.name() != "request-id" && flag.is_required(contract));
    let needed: Vec<String> = needed.map(|flag| format!(" --{} {}", flag.name(), flag.placeholder())).collect();
    format!("concordat {} {}{}", rpc.noun, rpc.verb, needed.concat())
}

fn examples(rpcs: &[&Rpc], contract: &Contract) -> String {
    let mut lines = vec!["Examples:".to_owned()];
    if let Some(rpc) = rpcs.first() {
        lines.push(format!("  {}", example(rpc, contract)));
        lines.push(format!("  concordat {} {} --json - < request.json", rpc.noun, rpc.verb));
    }
    if let Some(list) = rpcs.iter().find(|rpc| paged(&rpc.method).is_some()) {
        lines.push(format!("  concordat {} {} --all -o json --context officer.toml", list.noun, list.verb));
    }
    lines.join("\n")
}

/// Calls the RPC with the request that the flags make of what `--json` gives.
pub(super) async fn run(
    contract: &Contract,
    rpc: &Rpc,
    matches: &ArgMatches,
    format: Format,
) -> anyhow::Result<Verdict> {
    let (request, options) = (request(rpc, matches)?, Options::from_arg_matches(matches)?);
    Call { contract, method: &rpc.method, request, options: &options, format }.put().await
}

/// The request that the flags make of what `--json` gives.
pub(super) fn request(rpc: &Rpc, matches: &ArgMatches) -> anyhow::Result<DynamicMessage> {
    let input = rpc.method.input();
    let mut request = match matches.get_one::<String>("json") {
        Some(given) => json::request(&input, &json::text(given)?)?,
        None => DynamicMessage::new(input.clone()),
    };
    for flag in flags(&input) {
        Flag::set(&flag, &mut request, matches)?;
    }
    Ok(request)
}
