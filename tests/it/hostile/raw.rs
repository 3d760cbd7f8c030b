//! HTTP/2 written by hand: what no client library would send.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// A frame, right or wrong.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(super) fn window(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW, 0, stream, &more.to_be_bytes())
}

/// An integer of HPACK after so many bits that are taken.
fn integer(first: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if value < most {
        return vec![first | u8::try_from(value).unwrap()];
    }
    let (mut bytes, mut rest) = (vec![first | u8::try_from(most).unwrap()], value - most);
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// A header field as it is, or to be remembered by the other side.
pub(super) fn field(first: u8, name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![first];
    for text in [name, value] {
        bytes.extend(integer(0, 7, text.len()));
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The headers of a call that needs no token.
pub(super) fn call() -> Vec<u8> {
    call_of("/grpc.health.v1.Health/Check")
}

pub(super) fn call_of(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    fields.iter().flat_map(|(name, value)| field(0, name, value)).collect()
}

/// What was heard of the node so far.
#[derive(Debug, Default, Clone)]
pub(super) struct Heard {
    /// How many frames of each kind.
    pub(super) frames: [usize; 16],
    /// The code of the last GOAWAY, and of the last `RST_STREAM`.
    pub(super) goaway: Option<u32>,
    pub(super) reset: Option<u32>,
    pub(super) closed: bool,
    /// The streams in the order in which their answers began.
    pub(super) answered: Vec<u32>,
}

/// A connection of a system that has been admitted.
pub(super) struct Line {
    writing: WriteHalf<TlsStream<TcpStream>>,
    /// What is not read yet, of a peer that reads nothing.
    unread: Option<ReadHalf<TlsStream<TcpStream>>>,
    pub(super) heard: watch::Receiver<Heard>,
    telling: Option<watch::Sender<Heard>>,
}

/// Where and by what to connect.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) node: SocketAddr,
    pub(super) config: Arc<ClientConfig>,
}

impl Way {
    /// A socket to the node from this address of the machine.
    pub(super) async fn socket(&self, from: [u8; 4]) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(32 * 1024)?;
        socket.bind(SocketAddr::from((from, 0)))?;
        socket.connect(self.node).await
    }

    /// After the handshake, and nothing else said.
    pub(super) async fn silent(&self) -> Line {
        let socket = self.socket([127, 0, 0, 2]).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, socket).await.unwrap();
        let (reading, writing) = tokio::io::split(stream);
        let (telling, heard) = watch::channel(Heard::default());
        Line { writing, unread: Some(reading), heard, telling: Some(telling) }
    }

    /// After these settings, reading nothing yet.
    pub(super) async fn deaf(&self, settings: &[(u16, u32)]) -> Line {
        let mut line = self.silent().await;
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(key, value)| [key.to_be_bytes().to_vec(), value.to_be_bytes().to_vec()].concat())
            .collect();
        line.send(&[PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()).await;
        line
    }

    /// After these settings, reading all that comes.
    pub(super) async fn open(&self, settings: &[(u16, u32)]) -> Line {
        let mut line = self.deaf(settings).await;
        line.listen();
        line
    }
}

impl Line {
    /// Reads from now on.
    pub(super) fn listen(&mut self) {
        let (Some(mut reading), Some(telling)) = (self.unread.take(), self.telling.take()) else { return };
        tokio::spawn(async move {
            let mut header = [0; 9];
            while reading.read_exact(&mut header).await.is_ok() {
                let [high, middle, low, kind, ..] = header;
                let mut payload = vec![0; usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)];
                if reading.read_exact(&mut payload).await.is_err() {
                    break;
                }
                let word = |at: usize| payload.get(at..at + 4).map(|w| u32::from_be_bytes(w.try_into().unwrap()));
                telling.send_modify(|heard| {
                    heard.frames[usize::from(kind & 15)] += 1;
                    let stream = u32::from_be_bytes(header[5..].try_into().unwrap());
                    if kind == HEADERS && !heard.answered.contains(&stream) {
                        heard.answered.push(stream);
                    }
                    match kind {
                        GOAWAY => heard.goaway = word(4),
                        RESET => heard.reset = word(0),
                        _ => {}
                    }
                });
            }
            telling.send_modify(|heard| heard.closed = true);
        });
    }

    /// Whether the node still takes it.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = async { self.writing.write_all(bytes).await.is_ok() && self.writing.flush().await.is_ok() };
        timeout(Duration::from_secs(20), sent).await.unwrap_or(false)
    }

    /// Sends them over and over, up to so many times, for as long as the node takes them.
    pub(super) async fn flood(&mut self, times: usize, mut next: impl FnMut(usize) -> Vec<u8>) {
        let mut number = 0;
        while number < times && !self.heard.borrow().closed {
            let many: Vec<u8> = (number..(number + 64).min(times)).flat_map(&mut next).collect();
            number += 64;
            if !self.send(&many).await {
                break;
            }
        }
    }

    /// Waits until this is so, and says what was heard by then.
    pub(super) async fn until(&mut self, so: impl FnMut(&Heard) -> bool) -> Heard {
        let heard = timeout(Duration::from_secs(20), self.heard.wait_for(so)).await;
        let heard = heard.ok().and_then(Result::ok).map(|heard| heard.clone());
        heard.unwrap_or_else(|| panic!("it never came: {:?}", self.heard.borrow()))
    }

    /// Waits until the node has closed it.
    pub(super) async fn ended(&mut self) -> Heard {
        self.until(|heard| heard.closed).await
    }
}
