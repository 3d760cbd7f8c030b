//! Calls below the generated client: bytes in, bytes out, with the headers and trailers that came with them.

use bytes::{Buf as _, BufMut as _, Bytes};
use concordat::client::OfficerChannel;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

/// A response as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Without `date`.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) message: Bytes,
    pub(crate) trailers: Vec<(String, String)>,
}

/// Sends `message` as it is to `path`.
pub(crate) async fn call(officer: OfficerChannel, path: &str, message: impl Into<Bytes>) -> Result<Answer, Status> {
    send(officer, path, Request::new(message.into())).await
}

/// The same with a request that has metadata of its own.
pub(crate) async fn send(officer: OfficerChannel, path: &str, request: Request<Bytes>) -> Result<Answer, Status> {
    let mut grpc = Grpc::new(officer);
    grpc.ready().await.map_err(|error| Status::unavailable(format!("{error:?}")))?;
    // As a stream of one message: a unary call would put headers and trailers into one map.
    let response = grpc.server_streaming(request, path.parse().unwrap(), Raw).await?;
    let headers = listed(response.metadata());
    let mut stream = response.into_inner();
    let message = stream.message().await?.unwrap_or_default();
    if path.ends_with("/WatchEvents") {
        // It goes on for as long as somebody listens.
        return Ok(Answer { headers, message, trailers: Vec::new() });
    }
    assert_eq!(stream.message().await?, None, "{path} answered twice");
    let trailers = stream.trailers().await?.unwrap_or_default();
    Ok(Answer { headers, message, trailers: listed(&trailers) })
}

fn listed(metadata: &tonic::metadata::MetadataMap) -> Vec<(String, String)> {
    let headers = metadata.clone().into_headers();
    let listed = headers.iter().filter(|(name, _)| *name != "date");
    listed.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

/// Messages as they are.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
