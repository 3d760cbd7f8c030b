//! `concordat call` and `concordat token`: any RPC, from the contract's own description.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use concordat::client::Context;
use concordat::clock::Clock;
use concordat::proto;
use concordat::proto::v1::IncidentContent;
use prost::Message;
use prost::bytes::{Buf, BufMut};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::Value;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic_types::StatusExt;

use super::Verdict;
use super::output::{DIM, KEY, is_terminal, line, note, problem};

/// Call any RPC of a node as an officer.
#[derive(Debug, Args)]
#[command(after_help = "A request_id is added where the request needs one and has none.

Examples:
  concordat call AgreementService/ListAgreements --context ico.toml
  concordat call ReleaseService/RequestRelease '{\"request\": \"req_...\"}' --context ico.toml --content
  concordat call ConsentService/WithdrawConsent - --context ncsc.toml < request.json")]
pub(super) struct CallArguments {
    /// The RPC, such as `LedgerService/GetCheckpoint`.
    method: String,
    /// The request as JSON. `-`: stdin.
    #[arg(default_value = "{}")]
    request: String,
    /// Whose officer calls which node.
    #[arg(long, value_name = "FILE")]
    context: PathBuf,
    /// Print the released content alone, decoded.
    #[arg(long)]
    content: bool,
}

/// Print a token for an officer, for use with other clients.
#[derive(Debug, Args)]
#[command(after_help = "Good for five minutes, and only on a connection with the context's certificate.

Example:
  grpcurl -H \"authorization: Bearer $(concordat token --context ico.toml)\" ...")]
pub(super) struct TokenArguments {
    /// Whose officer calls which node.
    #[arg(long, value_name = "FILE")]
    context: PathBuf,
}

pub(super) fn token(arguments: &TokenArguments) -> anyhow::Result<Verdict> {
    let (context, folder) = Context::load(&arguments.context).map_err(anyhow::Error::from_boxed)?;
    let maker = context.token_maker(&folder, Clock::system()).map_err(anyhow::Error::from_boxed)?;
    line(&maker.token().map_err(anyhow::Error::from_boxed)?);
    Ok(Verdict::Well)
}

pub(super) async fn run(arguments: CallArguments) -> anyhow::Result<Verdict> {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS)?;
    let method = find(&pool, &arguments.method)?;
    let text = if arguments.request == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text
    } else {
        arguments.request.clone()
    };
    let request = request(&method, &text)?;
    let (context, folder) = Context::load(&arguments.context).map_err(anyhow::Error::from_boxed)?;
    let channel = context.officer(&folder, Clock::system()).map_err(anyhow::Error::from_boxed)?;
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|e| anyhow!("{}: {e}", context.server))?;
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let codec = DynamicCodec(method.output());
    match grpc.unary(tonic::Request::new(request), PathAndQuery::try_from(path)?, codec).await {
        Ok(response) => {
            let response = response.into_inner();
            let shown = if arguments.content { contents(&pool, &response)? } else { json(&response)? };
            line(&if is_terminal() { serde_json::to_string_pretty(&shown)? } else { shown.to_string() });
            Ok(Verdict::Well)
        }
        Err(status) => {
            explain(&status);
            Ok(Verdict::Undecided)
        }
    }
}

fn find(pool: &DescriptorPool, name: &str) -> anyhow::Result<MethodDescriptor> {
    let wanted = name.trim_start_matches('/').trim_start_matches("concordat.v1.");
    let mut all = Vec::new();
    for service in pool.services() {
        for method in service.methods() {
            let full = format!("{}/{}", service.name(), method.name());
            if full == wanted {
                return Ok(method);
            }
            all.push(full);
        }
    }
    let same = |full: &&String| full.rsplit('/').next() == wanted.rsplit('/').next();
    match all.iter().find(same) {
        Some(near) => bail!("there is no RPC `{name}`: did you mean `{near}`?"),
        None => bail!("there is no RPC `{name}`. There are:\n  {}", all.join("\n  ")),
    }
}

fn request(method: &MethodDescriptor, text: &str) -> anyhow::Result<DynamicMessage> {
    let mut value: Value = serde_json::from_str(text).context("the request is not JSON")?;
    let needs_key = method.input().get_field_by_name("request_id").is_some();
    if let Some(fields) = value.as_object_mut()
        && needs_key
        && !fields.contains_key("request_id")
        && !fields.contains_key("requestId")
    {
        let id = concordat::seal::new_id("call");
        note(&format!("{DIM}request_id {id}{DIM:#}"));
        fields.insert("request_id".to_owned(), Value::String(id));
    }
    DynamicMessage::deserialize(method.input(), value)
        .map_err(|e| anyhow!("the request is not a {}: {e}", method.input().name()))
}

pub(super) fn json(message: &DynamicMessage) -> anyhow::Result<Value> {
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(true);
    Ok(message.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// The content of a release, decoded: one object for each incident.
fn contents(pool: &DescriptorPool, response: &DynamicMessage) -> anyhow::Result<Value> {
    let response: proto::v1::RequestReleaseResponse =
        response.transcode_to().context("--content is for ReleaseService/RequestRelease")?;
    let Some(proto::v1::request_release_response::Outcome::Released(released)) = response.outcome else {
        bail!("nothing was released");
    };
    let descriptor = pool.get_message_by_name("concordat.v1.IncidentContent").context("no IncidentContent")?;
    let mut all = Vec::new();
    for incident in &released.incidents {
        let bytes: Vec<u8> = incident.categories.iter().flat_map(|category| category.content.clone()).collect();
        let content = IncidentContent::decode(bytes.as_slice())?;
        let mut message = DynamicMessage::new(descriptor.clone());
        message.transcode_from(&content)?;
        all.push(json(&message)?);
    }
    Ok(Value::Array(all))
}

/// Says what a call failed of and what to do next.
fn explain(status: &Status) {
    problem(&format!("{:?}: {}", status.code(), status.message()));
    let details = status.get_error_details();
    for violation in details.bad_request().into_iter().flat_map(|bad| &bad.field_violations) {
        note(&format!("  {KEY}{}{KEY:#}: {}", violation.field, violation.description));
    }
    if let Some(info) = details.error_info() {
        let meaning = concordat::wire::REASONS.iter().find(|(reason, _)| *reason == info.reason);
        note(&format!("  {DIM}{}: {}{DIM:#}", info.reason, meaning.map_or("", |(_, text)| text)));
    }
}

/// Encodes and decodes messages that are known by their description only.
#[derive(Debug, Clone)]
struct DynamicCodec(MessageDescriptor);

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        self.clone()
    }

    fn decoder(&mut self) -> Self::Decoder {
        self.clone()
    }
}

impl Encoder for DynamicCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: Self::Item, buffer: &mut EncodeBuf<'_>) -> Result<(), Self::Error> {
        buffer.put_slice(&item.encode_to_vec());
        Ok(())
    }
}

impl Decoder for DynamicCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Self::Error> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        DynamicMessage::decode(self.0.clone(), bytes).map(Some).map_err(|e| Status::internal(e.to_string()))
    }
}
