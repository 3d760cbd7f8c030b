//! The load: a closed loop of pre-encoded gRPC frames over h2.
//!
//! A tonic client would cost as much as the server, on a machine that both share. Here a call copies a frame, writes a
//! few bytes of it anew, and reads from the answer only what says that it is the one that there must be.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf as _, Bytes, BytesMut};
use concordat::client::TokenMaker;
use concordat::tls::client_config;
use h2::client::SendRequest;
use http::header::{AUTHORIZATION, CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method, Uri};
use prost::Message;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::world::{REQUESTER, World};

/// One connection is one task in h2, so a busy caller has several.
const CONNECTIONS: usize = 4;
/// A case system keeps a token for most of its five minutes; it does not sign one for each call.
const TOKEN_KEPT: Duration = Duration::from_mins(4);
/// A gRPC frame begins with one byte for compression and four for the length.
const FRAME_HEAD: usize = 5;

/// Puts a message into a frame.
pub(crate) fn frame(message: &impl Message) -> Result<Vec<u8>> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.encoded_len())?.to_be_bytes());
    message.encode(&mut frame)?;
    Ok(frame)
}

/// What is sent, call by call.
pub(crate) trait Source: Send + Sync + 'static {
    /// The agency that sends it.
    const AGENCY: &'static str = REQUESTER;
    /// The role in which it does.
    const ROLE: &'static str = "requester";
    /// The RPC.
    const RPC: &'static str = "ReleaseService/RequestRelease";
    /// The frame of the next call.
    fn frame(&self) -> Bytes;
    /// Whether the message is the answer that there must be.
    fn accepts(&self, message: &Bytes) -> bool;
}

/// Bytes without a meaning.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) bytes: Bytes,
}

impl Payload {
    /// A message that is this long when encoded.
    pub(crate) fn of(encoded_bytes: usize) -> Result<Self> {
        let of = |length: usize| Self { bytes: vec![b'.'; length].into() };
        let lengths = encoded_bytes.saturating_sub(6)..encoded_bytes;
        let found = lengths.map(of).find(|payload| payload.encoded_len() == encoded_bytes);
        found.with_context(|| format!("no message of bytes has {encoded_bytes} bytes"))
    }
}

/// The load of an echo.
#[derive(Debug)]
pub(crate) struct Payloads(Bytes);

impl Payloads {
    /// Messages that are this long.
    pub(crate) fn of(encoded_bytes: usize) -> Result<Arc<Self>> {
        Ok(Arc::new(Self(frame(&Payload::of(encoded_bytes)?)?.into())))
    }
}

impl Source for Payloads {
    fn frame(&self) -> Bytes {
        self.0.clone()
    }

    fn accepts(&self, message: &Bytes) -> bool {
        !message.is_empty()
    }
}

/// What came back in one run.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    pub(crate) elapsed: Duration,
    /// Of each call, in no order.
    pub(crate) latencies: Vec<Duration>,
    /// Of messages, without their frames' heads.
    pub(crate) sent_bytes: usize,
    pub(crate) received_bytes: usize,
    /// The last message of each loop, to be looked at more closely when the clock has stopped.
    pub(crate) samples: Vec<Bytes>,
}

impl Answered {
    /// How many calls there were. Never 0: a run with none is an error.
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }
}

/// Open connections, and what to send over them.
pub(crate) struct Load<S> {
    connections: Vec<Arc<Connection>>,
    concurrency: usize,
    source: Arc<S>,
}

struct Connection {
    sender: SendRequest<Bytes>,
    uri: Uri,
    tokens: TokenMaker,
    headers: Mutex<Option<(Instant, HeaderMap)>>,
}

impl<S: Source> Load<S> {
    /// Connects, with the requester's certificate.
    pub(crate) async fn connect(
        world: &World,
        address: SocketAddr,
        concurrency: usize,
        source: Arc<S>,
    ) -> Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..concurrency.min(CONNECTIONS) {
            connections.push(Arc::new(Connection::open::<S>(world, address).await?));
        }
        Ok(Self { connections, concurrency, source })
    }

    /// One call over the first connection, of this or another source.
    pub(crate) async fn put(&self, source: &S) -> Result<Bytes> {
        let connection = self.connections.first().context("there is no connection")?;
        let answer = connection.call(&mut connection.sender.clone().ready().await?, source.frame()).await?;
        ensure!(source.accepts(&answer), "an answer is not what it must be");
        Ok(answer)
    }

    /// Keeps as many calls under way as there should be, for this long.
    pub(crate) async fn run(&self, length: Duration) -> Result<Answered> {
        let start = Instant::now();
        let end = start + length;
        let mut loops = JoinSet::new();
        for connection in self.connections.iter().cycle().take(self.concurrency) {
            let (connection, source) = (Arc::clone(connection), Arc::clone(&self.source));
            loops.spawn(async move { connection.call_until(end, &*source).await });
        }
        let mut all = Answered::default();
        while let Some(one) = loops.join_next().await {
            let one = one??;
            all.latencies.extend(one.latencies);
            all.sent_bytes += one.sent_bytes;
            all.received_bytes += one.received_bytes;
            all.samples.extend(one.samples);
        }
        ensure!(!all.latencies.is_empty(), "no call was answered");
        all.elapsed = start.elapsed();
        Ok(all)
    }
}

/// Connections of one call each, which then do nothing for as long as this is kept.
pub(crate) struct Idle {
    _kept: Vec<Connection>,
}

impl Idle {
    /// Opens them one after the other.
    pub(crate) async fn open<S: Source>(world: &World, address: SocketAddr, count: usize, source: &S) -> Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..count {
            let connection = Connection::open::<S>(world, address).await?;
            let answer = connection.call(&mut connection.sender.clone().ready().await?, source.frame()).await?;
            ensure!(source.accepts(&answer), "an answer is not what it must be");
            connections.push(connection);
        }
        Ok(Self { _kept: connections })
    }
}

impl Connection {
    async fn open<S: Source>(world: &World, address: SocketAddr) -> Result<Self> {
        let requester = world.requester(S::AGENCY, S::ROLE);
        let config = client_config(requester.roots()?, Some(requester.credentials()?))?;
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let stream = TlsConnector::from(config).connect(ServerName::try_from("localhost")?, socket).await?;
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(1024 * 1024)
            .initial_connection_window_size(4 * 1024 * 1024)
            .handshake(stream)
            .await?;
        // Its failure shows in the calls.
        tokio::spawn(async move { drop(connection.await) });
        let path = format!("/concordat.v1.{}", S::RPC);
        let uri = Uri::builder().scheme("https").authority("localhost").path_and_query(path).build()?;
        Ok(Self { sender, uri, tokens: requester.tokens()?, headers: Mutex::default() })
    }

    fn headers(&self) -> Result<HeaderMap> {
        let mut kept = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((made, headers)) if made.elapsed() < TOKEN_KEPT => Ok(headers.clone()),
            _ => {
                let token = self.tokens.token().map_err(|e| anyhow::anyhow!(e))?;
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
                headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}"))?);
                *kept = Some((Instant::now(), headers.clone()));
                Ok(headers)
            }
        }
    }

    async fn call_until(&self, end: Instant, source: &impl Source) -> Result<Answered> {
        let mut sender = self.sender.clone();
        let mut done = Answered::default();
        let mut last = Bytes::new();
        loop {
            let begun = Instant::now();
            if begun >= end {
                break;
            }
            let frame = source.frame();
            let sent_bytes = frame.len() - FRAME_HEAD;
            sender = sender.ready().await?;
            last = self.call(&mut sender, frame).await?;
            done.latencies.push(begun.elapsed());
            done.sent_bytes += sent_bytes;
            done.received_bytes += last.len();
            ensure!(source.accepts(&last), "an answer is not what it must be");
        }
        done.samples.push(last);
        Ok(done)
    }

    /// One call; gives the answer's message.
    async fn call(&self, sender: &mut SendRequest<Bytes>, frame: Bytes) -> Result<Bytes> {
        let mut request = http::Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers()?;
        let (response, mut body) = sender.send_request(request, false)?;
        body.send_data(frame, true)?;
        let response = response.await?;
        check_status(response.headers())?;
        let mut body = response.into_body();
        let mut received = Bytes::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            received = if received.is_empty() { chunk } else { join(&received, &chunk) };
        }
        check_status(&body.trailers().await?.context("an answer has no status")?)?;
        ensure!(received.len() >= FRAME_HEAD, "an answer has no message");
        received.advance(FRAME_HEAD);
        Ok(received)
    }
}

fn join(first: &[u8], second: &[u8]) -> Bytes {
    let mut joined = BytesMut::with_capacity(first.len() + second.len());
    joined.extend_from_slice(first);
    joined.extend_from_slice(second);
    joined.freeze()
}

/// An error comes in the headers, a success in the trailers.
fn check_status(headers: &HeaderMap) -> Result<()> {
    match headers.get("grpc-status").map(HeaderValue::as_bytes) {
        None | Some(b"0") => Ok(()),
        Some(code) => {
            let message = headers.get("grpc-message").map(HeaderValue::as_bytes).unwrap_or_default();
            bail!("status {}: {}", String::from_utf8_lossy(code), String::from_utf8_lossy(message))
        }
    }
}
