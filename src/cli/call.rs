//! How a node is asked, whichever command asks it: `concordat NOUN VERB`, `concordat call`, `concordat token`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use concordat::client::OfficerChannel;
use concordat::clock::Clock;
use concordat::ledger::Keyring;
use concordat::wire::REASONS;
use prost::Message;
use prost::bytes::{Buf, BufMut};
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor, Value};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::contract::Contract;
use super::flags::{Flag, flags};
use super::output::{DIM, Format, KEY, line, note, problem};
use super::{Usage, Verdict, context, json, table, verify, watch};

/// What every command that asks a node takes.
#[derive(Debug, Clone, Args)]
pub(super) struct Options {
    /// Whose officer calls which node. Default: ~/.config/concordat/context.toml.
    #[arg(long, value_name = "FILE", env = context::VARIABLE, hide_env_values = true)]
    pub(super) context: Option<PathBuf>,
    /// Verify each receipt that comes back with this ledger key (NAME+ID+KEY, or a file of such lines).
    #[arg(long, value_name = "KEY", env = "CONCORDAT_LEDGER_KEY", hide_env_values = true)]
    key: Vec<String>,
    /// Print the released content alone, as JSON.
    #[arg(long)]
    content: bool,
    /// Follow the pages to the last.
    #[arg(long)]
    all: bool,
}

/// One call to a node.
pub(super) struct Call<'a> {
    pub(super) contract: &'a Contract,
    pub(super) method: &'a MethodDescriptor,
    pub(super) request: DynamicMessage,
    pub(super) options: &'a Options,
    pub(super) format: Format,
}

impl Call<'_> {
    /// Makes the call, prints what comes back, and says what that was.
    pub(super) async fn put(mut self) -> anyhow::Result<Verdict> {
        let keys = match self.options.key.as_slice() {
            [] => None,
            given => Some(verify::keyring(given)?),
        };
        if self.options.content && !json::has_release(&self.method.output()) {
            return Err(Usage("--content is for RPCs that release".to_owned()).into());
        }
        let mut line = Line::open(self.options).await?;
        let key = self.add_request_id();
        let answered = if self.method.is_server_streaming() {
            watch::follow(&self, &mut line, keys.as_ref()).await
        } else {
            self.ask(&mut line, keys.as_ref()).await
        };
        match answered {
            Ok(verdict) => verdict,
            Err(status) => Ok(turned_away(&status, &self.method.input(), key.as_deref())),
        }
    }

    /// Makes the call and verifies the receipts that come back, if there is a key. Gives the answer with what they prove, or,
    /// once it has said why, what it is that there is none.
    pub(super) async fn fetch(mut self) -> anyhow::Result<Result<(DynamicMessage, Verdict), Verdict>> {
        let keys = match self.options.key.as_slice() {
            [] => None,
            given => Some(verify::keyring(given)?),
        };
        let mut line = Line::open(self.options).await?;
        let key = self.add_request_id();
        match line.unary(self.method, self.request.clone()).await {
            Ok(response) => {
                let proof = verify::receipts(&response, keys.as_ref())?;
                proof.problems.iter().for_each(|invalid| problem(&json::harmless(invalid)));
                Ok(Ok((response, proof.verdict)))
            }
            Err(status) => Ok(Err(turned_away(&status, &self.method.input(), key.as_deref()))),
        }
    }

    async fn ask(&self, line: &mut Line, keys: Option<&Keyring>) -> Result<anyhow::Result<Verdict>, Status> {
        let mut response = line.unary(self.method, self.request.clone()).await?;
        let paged = paged(self.method);
        if let Some(list) = paged.as_deref().filter(|_| self.options.all) {
            let mut request = self.request.clone();
            while let Some(token) = next_page(&response) {
                request.set_field_by_name("page_token", Value::String(token));
                let mut page = line.unary(self.method, request.clone()).await?;
                response.clear_field_by_name("next_page_token");
                if let Some(next) = page.take_field_by_name("next_page_token") {
                    response.set_field_by_name("next_page_token", next);
                }
                let more = page.take_field_by_name(list).and_then(|more| more.as_list().map(<[Value]>::to_vec));
                if let Some(Value::List(items)) = response.get_field_by_name_mut(list) {
                    items.extend(more.unwrap_or_default());
                }
            }
        }
        let verdict = self.show(&response, keys);
        if let Some(token) = next_page(&response).filter(|_| paged.is_some()) {
            note(&format!("{DIM}There is more: --all, or --page-token {token}{DIM:#}"));
        }
        Ok(verdict)
    }

    pub(super) fn show(&self, response: &DynamicMessage, keys: Option<&Keyring>) -> anyhow::Result<Verdict> {
        let proof = verify::receipts(response, keys)?;
        if self.options.content {
            line(&json::written(&json::contents(self.contract, response)?)?);
            if let Some(outcome) = json::outcome(response).filter(|outcome| outcome != "released") {
                note(&format!("Nothing was released: {outcome}."));
            }
        } else if self.format == Format::Json {
            line(&json::written(&json::of(response)?)?);
        } else {
            line(&table::response(self.contract, response, keys)?);
        }
        for invalid in &proof.problems {
            problem(&json::harmless(invalid));
            note(&format!("  {DIM}concordat explain {}{DIM:#}", verify::page(proof.verdict)));
        }
        Ok(if proof.verdict == Verdict::Well { outcome(response) } else { proof.verdict })
    }

    /// Gives a request that needs a key and has none a new one, and shows it: with it the same call can be put again.
    fn add_request_id(&mut self) -> Option<String> {
        let field = self.method.input().get_field_by_name("request_id")?;
        if let Some(key) = self.request.get_field(&field).as_str().filter(|key| !key.is_empty()) {
            return Some(key.to_owned());
        }
        let key = concordat::seal::new_id("call");
        self.request.try_set_field(&field, Value::String(key.clone())).ok()?;
        note(&format!("{DIM}request_id {key}{DIM:#}"));
        Some(key)
    }
}

/// The field that a paged list comes in.
pub(super) fn paged(method: &MethodDescriptor) -> Option<String> {
    method.input().get_field_by_name("page_token")?;
    method.output().get_field_by_name("next_page_token")?;
    method.output().fields().find(FieldDescriptor::is_list).map(|field| field.name().to_owned())
}

fn next_page(response: &DynamicMessage) -> Option<String> {
    let token = response.get_field_by_name("next_page_token")?;
    token.as_str().filter(|token| !token.is_empty()).map(str::to_owned)
}

/// What an ask came to. What has no outcome is done.
fn outcome(response: &DynamicMessage) -> Verdict {
    match json::outcome(response).as_deref() {
        Some("open") => Verdict::Open,
        Some("not_covered") => Verdict::NotCovered,
        Some("not_published") => Verdict::NotWell,
        _ => Verdict::Well,
    }
}

/// Says why there is no answer and what to do next. What the node turned away is not well; the rest could not be told.
fn turned_away(status: &Status, input: &MessageDescriptor, key: Option<&str>) -> Verdict {
    let flags = flags(input);
    let details = status.get_error_details();
    if details.bad_request().is_some_and(|bad| !bad.field_violations.is_empty()) {
        // The message would say the same again, without the flag.
        problem(&format!("{:?}", status.code()));
    } else {
        problem(&format!("{:?}: {}", status.code(), json::harmless(status.message())));
    }
    for violation in details.bad_request().into_iter().flat_map(|bad| &bad.field_violations) {
        let named = |flag: &&Flag| violation.field.split('[').next() == Some(flag.field_path().as_str());
        let flag = flags.iter().find(named).map(|flag| format!(" (--{})", flag.name())).unwrap_or_default();
        let (field, what) = (json::harmless(&violation.field), json::harmless(&violation.description));
        note(&format!("  {KEY}{field}{KEY:#}{flag}: {what}"));
    }
    let verdict = match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented => Verdict::NotWell,
        _ => Verdict::Undecided,
    };
    if let Some(key) = key.filter(|_| verdict == Verdict::Undecided && status.code() != Code::Unauthenticated) {
        note(&format!("  Put it again with request_id {key}: what was done is not done twice."));
    }
    if let Some(info) = details.error_info() {
        let meaning = REASONS.iter().find(|(reason, _)| *reason == info.reason).map_or("", |(_, meaning)| meaning);
        note(&format!("  {DIM}{meaning}{DIM:#}"));
        note(&format!("  {DIM}concordat explain {}{DIM:#}", json::harmless(&info.reason)));
    }
    verdict
}

/// A page of 200 receipts with long statements fits many times over.
const MOST_RESPONSE_BYTES: usize = 64 * 1024 * 1024;
/// As long as a node lets a call take: publishing a quarter of many incidents takes a while.
const LONGEST: Duration = Duration::from_secs(30);

/// A connection to the context's node.
pub(super) struct Line {
    grpc: tonic::client::Grpc<OfficerChannel>,
}

impl Line {
    async fn open(options: &Options) -> anyhow::Result<Self> {
        let (context, folder) = context::load(options.context.as_deref())?;
        let channel = context.officer(&folder, Clock::system()).map_err(anyhow::Error::from_boxed)?;
        let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(MOST_RESPONSE_BYTES);
        grpc.ready().await.map_err(|e| anyhow!("{}: {e}", context.server))?;
        Ok(Self { grpc })
    }

    async fn unary(&mut self, method: &MethodDescriptor, request: DynamicMessage) -> Result<DynamicMessage, Status> {
        self.ready().await?;
        let codec = DynamicCodec(method.output());
        let mut request = tonic::Request::new(request);
        request.set_timeout(LONGEST);
        Ok(self.grpc.unary(request, path(method)?, codec).await?.into_inner())
    }

    pub(super) async fn stream(
        &mut self,
        method: &MethodDescriptor,
        request: DynamicMessage,
    ) -> Result<tonic::Streaming<DynamicMessage>, Status> {
        self.ready().await?;
        let codec = DynamicCodec(method.output());
        Ok(self.grpc.server_streaming(tonic::Request::new(request), path(method)?, codec).await?.into_inner())
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.grpc.ready().await.map_err(|e| Status::unavailable(e.to_string()))
    }
}

fn path(method: &MethodDescriptor) -> Result<PathAndQuery, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    PathAndQuery::try_from(path).map_err(|e| Status::internal(e.to_string()))
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
