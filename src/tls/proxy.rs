//! The way to a server: straight, or through a proxy that passes what it carries on as it is (HTTP's CONNECT).

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer of a proxy, before what it passes on.
const LONGEST_ANSWER: usize = 8 * 1024;

/// A connection to `address`, through this proxy if there is one: `http://proxy.example:3128`.
pub(super) async fn dial(address: &str, proxy: Option<&str>) -> io::Result<TcpStream> {
    let Some(proxy) = proxy else { return TcpStream::connect(address).await };
    let wrong = |what: &str| io::Error::other(format!("the proxy {what}"));
    let place = proxy.strip_prefix("http://").unwrap_or(proxy).trim_end_matches('/');
    if place.contains("://") || place.contains('@') || place.contains('/') {
        return Err(wrong("is to be named as http://HOST:PORT, without a password"));
    }
    let mut socket = TcpStream::connect(place).await.map_err(|error| wrong(&format!("{place}: {error}")))?;
    socket.write_all(format!("CONNECT {address} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    // A byte at a time: what follows is the server's.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == LONGEST_ANSWER {
            return Err(wrong("gives no answer to CONNECT"));
        }
        answer.push(socket.read_u8().await.map_err(|_| wrong("closed the connection"))?);
    }
    let answer = String::from_utf8_lossy(&answer);
    let first = answer.lines().next().unwrap_or_default();
    match first.split_whitespace().nth(1) {
        Some(status) if status.len() == 3 && status.starts_with('2') => Ok(socket),
        _ => Err(wrong(&format!("does not let us through to {address}: {first}"))),
    }
}
