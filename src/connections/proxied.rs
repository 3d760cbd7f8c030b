//! Whom a load balancer says that it carries: the PROXY protocol, versions 1 and 2.
//!
//! Only the sources that the configuration lists are believed, and they must say it. What they say is for the log alone: a
//! peer is who its certificate says, wherever it calls from.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What a header of version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header of version 1.
const LONGEST_LINE: usize = 107;
/// The longest rest of a header of version 2 that is read: addresses, and more than any balancer adds to them.
const LONGEST_REST: usize = 2048;

/// The networks from which a connection begins with a header.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<(IpAddr, u8)>);

impl Sources {
    /// Networks as `10.0.0.0/8`, or single addresses. None: one of them is neither; it is given back.
    pub fn parse<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let parsed = networks.into_iter().map(|text| {
            let (address, length) = text.split_once('/').unzip();
            let address: IpAddr = address.unwrap_or(text).parse().map_err(|_| text)?;
            let whole = if address.is_ipv4() { 32 } else { 128 };
            let length = length.map_or(Ok(whole), |length| length.parse().map_err(|_| text))?;
            if length <= whole { Ok((address, length)) } else { Err(text) }
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// Whether connections from this address begin with a header.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(network, length)| match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(*length)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        })
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the PROXY header {what}"))
}

/// Reads a header and not a byte more: from where the connection came. None: the balancer speaks for itself, as its
/// health checks do.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut begin = [0; SIGNATURE.len()];
    stream.read_exact(&mut begin).await?;
    if begin == SIGNATURE { second(stream).await } else { first(stream, &begin).await }
}

async fn second(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let (version, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = usize::from(stream.read_u16().await?);
    if length > LONGEST_REST {
        return Err(wrong("is too long"));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    match (version, family) {
        (0x20, _) => Ok(None),
        (0x21, 0x11) => {
            let address = rest.first_chunk().map(|octets: &[u8; 4]| IpAddr::V4(Ipv4Addr::from(*octets)));
            Ok(Some(SocketAddr::new(address.ok_or_else(|| wrong("is too short"))?, port(&rest, 8)?)))
        }
        (0x21, 0x21) => {
            let address = rest.first_chunk().map(|octets: &[u8; 16]| IpAddr::V6(Ipv6Addr::from(*octets)));
            Ok(Some(SocketAddr::new(address.ok_or_else(|| wrong("is too short"))?, port(&rest, 32)?)))
        }
        (0x21, _) => Err(wrong("is of something else than TCP")),
        _ => Err(wrong("is of an unknown version")),
    }
}

fn port(rest: &[u8], at: usize) -> io::Result<u16> {
    let bytes = rest.get(at..).and_then(|rest| rest.first_chunk::<2>());
    bytes.map(|bytes| u16::from_be_bytes(*bytes)).ok_or_else(|| wrong("is too short"))
}

async fn first(stream: &mut (impl AsyncRead + Unpin), begin: &[u8]) -> io::Result<Option<SocketAddr>> {
    if !begin.starts_with(b"PROXY ") {
        return Err(wrong("is not there: this source is listed in `node.proxy_sources`"));
    }
    let mut line = begin.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LONGEST_LINE {
            return Err(wrong("is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    let line = String::from_utf8_lossy(&line);
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", "TCP4" | "TCP6", from, _, port, _] => match (from.parse(), port.parse()) {
            (Ok(address), Ok(port)) => Ok(Some(SocketAddr::new(address, port))),
            _ => Err(wrong("has no address that can be read")),
        },
        _ => Err(wrong("cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn from(bytes: &[u8]) -> Result<(Option<SocketAddr>, usize), String> {
        let mut rest = bytes;
        let found = read(&mut rest).await.map_err(|error| error.to_string())?;
        Ok((found, rest.len()))
    }

    fn header(version: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version, family], &length, rest, b"TLS"].concat()
    }

    #[tokio::test]
    async fn a_header_says_where_a_connection_came_from_and_not_a_byte_more_is_read() {
        let v4 = Some("192.0.2.7:4711".parse().unwrap());
        let v6 = Some("[2001:db8::7]:4711".parse().unwrap());
        assert_eq!(from(b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 8443\r\nTLS").await, Ok((v4, 3)));
        assert_eq!(from(b"PROXY TCP6 2001:db8::7 ::1 4711 8443\r\nTLS").await, Ok((v6, 3)));
        assert_eq!(from(b"PROXY UNKNOWN\r\nTLS").await, Ok((None, 3)));
        let ports = [4711_u16.to_be_bytes(), 8443_u16.to_be_bytes()].concat();
        let rest = [&[192, 0, 2, 7, 10, 0, 0, 1], &ports[..], b"more"].concat();
        assert_eq!(from(&header(0x21, 0x11, &rest)).await, Ok((v4, 3)));
        let seven = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets();
        assert_eq!(from(&header(0x21, 0x21, &[&seven[..], &seven, &ports].concat())).await, Ok((v6, 3)));
        assert_eq!(from(&header(0x20, 0, b"")).await, Ok((None, 3)), "its own health check");
        for malformed in [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00".to_vec(),
            b"PROXY TCP4 somewhere 10.0.0.1 4711 8443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7\r\n".to_vec(),
            [b"PROXY ".to_vec(), vec![b'x'; 200]].concat(),
            header(0x21, 0x11, b"short"),
            header(0x21, 0x12, &rest),
            header(0x31, 0x11, &rest),
            header(0x21, 0x11, &[0; 4000]),
            SIGNATURE.to_vec(),
        ] {
            assert!(from(&malformed).await.is_err(), "{malformed:?}");
        }
    }

    #[test]
    fn a_source_is_an_address_or_a_network() {
        let sources = Sources::parse(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "0.0.0.0/32"]).unwrap();
        for (address, listed) in [
            ("10.1.2.3", true),
            ("11.1.2.3", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("::ffff:10.1.2.3", true),
            ("127.0.0.1", false),
        ] {
            assert_eq!(sources.has(address.parse().unwrap()), listed, "{address}");
        }
        assert!(Sources::parse(["0.0.0.0/0"]).unwrap().has("203.0.113.9".parse().unwrap()));
        for wrong in ["10.0.0.0/33", "10.0.0/8", "", "::/129", "10.0.0.0/x"] {
            assert_eq!(Sources::parse([wrong]).unwrap_err(), wrong);
        }
    }
}
