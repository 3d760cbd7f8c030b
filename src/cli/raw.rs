//! `concordat call` and `concordat token`: any RPC with its request as JSON, and a token for other clients.

use std::path::PathBuf;

use clap::Args;
use concordat::clock::Clock;
use prost_reflect::MethodDescriptor;
use serde_json::json;

use super::call::{Call, Options};
use super::contract::Contract;
use super::output::{Format, line};
use super::{Usage, Verdict, context, json as written};

/// Call any RPC of a node as an officer, with the request as JSON.
#[derive(Debug, Args)]
#[command(
    after_help = "`concordat NOUN VERB` calls the same RPCs with flags. A request_id is added where the request \
needs one and has none.

Examples:
  concordat call AgreementService/ListAgreements --context ico.toml
  concordat call ReleaseService/RequestRelease '{\"request\": \"req_...\"}' --context ico.toml --content
  concordat call ConsentService/WithdrawConsent - --context ncsc.toml < request.json"
)]
pub(super) struct CallArguments {
    /// The RPC, such as `LedgerService/GetCheckpoint`.
    method: String,
    /// The request as JSON. `-`: stdin; `@FILE`: a file.
    #[arg(default_value = "{}")]
    request: String,
    #[command(flatten)]
    options: Options,
}

/// Print a token for an officer, for use with other clients.
#[derive(Debug, Args)]
#[command(after_help = "Good for five minutes, and only on a connection with the context's certificate.

Example:
  grpcurl -H \"authorization: Bearer $(concordat token --context ico.toml)\" ...")]
pub(super) struct TokenArguments {
    /// Whose officer calls which node. Default: ~/.config/concordat/context.toml.
    #[arg(long, value_name = "FILE", env = context::VARIABLE, hide_env_values = true)]
    context: Option<PathBuf>,
}

pub(super) fn token(arguments: &TokenArguments, format: Option<Format>) -> anyhow::Result<Verdict> {
    let (context, folder) = context::load(arguments.context.as_deref())?;
    let maker = context.token_maker(&folder, Clock::system()).map_err(anyhow::Error::from_boxed)?;
    let token = maker.token().map_err(anyhow::Error::from_boxed)?;
    line(&if format == Some(Format::Json) { json!({ "token": token }).to_string() } else { token });
    Ok(Verdict::Well)
}

/// The response is JSON unless a table was asked for.
pub(super) async fn run(
    contract: &Contract,
    arguments: CallArguments,
    format: Option<Format>,
) -> anyhow::Result<Verdict> {
    let method = find(contract, &arguments.method)?;
    let request = written::request(&method.input(), &written::text(&arguments.request)?)?;
    let format = format.unwrap_or(Format::Json);
    Call { contract, method: &method, request, options: &arguments.options, format }.put().await
}

fn find(contract: &Contract, name: &str) -> anyhow::Result<MethodDescriptor> {
    let wanted = name.trim_start_matches('/').trim_start_matches("concordat.v1.");
    let rpcs = contract.rpcs();
    if let Some(rpc) = rpcs.iter().find(|rpc| rpc.name() == wanted) {
        return Ok(rpc.method.clone());
    }
    let near = rpcs.iter().find(|rpc| Some(rpc.method.name()) == wanted.rsplit('/').next());
    let all = || rpcs.iter().map(super::contract::Rpc::name).collect::<Vec<_>>().join("\n  ");
    Err(Usage(match near {
        Some(near) => format!("there is no RPC `{name}`: did you mean `{}`?", near.name()),
        None => format!("there is no RPC `{name}`. There are:\n  {}", all()),
    })
    .into())
}
