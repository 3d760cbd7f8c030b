//! A small token endpoint: mutual TLS, the client credentials grant, and tokens bound to the certificate that it saw.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use concordat::identity::fingerprint;
use concordat::pki::{Authority, Issued};
use concordat::tls;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::harness::real_now;

/// What it issues: the claims without times, id and binding.
pub(crate) struct Provider {
    pub(crate) private_key: String,
    pub(crate) kid: String,
    pub(crate) claims: Value,
}

/// Where it listens, and how many tokens it has issued.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    issued: Arc<AtomicUsize>,
}

impl Endpoint {
    /// Starts it, for clients that this authority vouches for. It ends with the test process.
    pub(crate) fn start(authority: &Authority, server: &Issued, provider: Provider) -> Self {
        let mut roots = RootCertStore::empty();
        for root in tls::certificates(authority.root_pem().as_bytes()).unwrap() {
            roots.add(root).unwrap();
        }
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&crypto)).build().unwrap();
        let key = PrivateKeyDer::from_pem_slice(server.key_pem.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(tls::certificates(server.chain_pem.as_bytes()).unwrap(), key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let issued = Arc::new(AtomicUsize::new(0));
        let (config, count) = (Arc::new(config), Arc::clone(&issued));
        // A thread of its own: whoever runs the token command waits for it, and must not wait for itself.
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                // A client that is turned away in the handshake is an error here, and nothing to the others.
                let _ = answer(StreamOwned::new(connection, socket), &provider, &count);
            }
        });
        Self { address, issued }
    }

    /// How many tokens it has issued.
    pub(crate) fn issued(&self) -> usize {
        self.issued.load(Ordering::SeqCst)
    }
}

fn answer(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    provider: &Provider,
    issued: &AtomicUsize,
) -> std::io::Result<()> {
    let request = read(&mut stream)?;
    let certificate = stream.conn.peer_certificates().unwrap()[0].clone();
    let (head, form) = request.split_once("\r\n\r\n").unwrap_or_default();
    let asks = |parameter: &str| form.split('&').any(|given| given == parameter);
    let (status, body) = if !head.starts_with("POST /token HTTP/1.1\r\n") {
        ("404 Not Found", json!({}))
    } else if !asks("client_id=case-system") {
        ("401 Unauthorized", json!({ "error": "invalid_client" }))
    } else if !asks("grant_type=client_credentials") {
        ("400 Bad Request", json!({ "error": "unsupported_grant_type" }))
    } else {
        issued.fetch_add(1, Ordering::SeqCst);
        let token = token(provider, &certificate);
        ("200 OK", json!({ "access_token": token, "token_type": "Bearer", "expires_in": 300 }))
    };
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// Head and body of one request.
fn read(stream: &mut StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<String> {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer)?;
        request.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if read == 0 || body.len() >= length.unwrap_or(0) {
            return Ok(request);
        }
    }
}

/// As identity providers sign most often: `ES256`. The binding is RFC 8705's, to the certificate of this connection.
fn token(provider: &Provider, certificate: &[u8]) -> String {
    let now = real_now().micros() / 1_000_000;
    let mut claims = provider.claims.clone();
    claims["iat"] = now.into();
    claims["nbf"] = now.into();
    claims["exp"] = (now + 300).into();
    claims["jti"] = BASE64URL_NOPAD.encode(&concordat::seal::random::<16>()).into();
    claims["cnf"] = json!({ "x5t#S256": BASE64URL_NOPAD.encode(fingerprint(certificate).as_bytes()) });
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some("at+jwt".into());
    header.kid = Some(provider.kid.clone());
    let key = EncodingKey::from_ec_pem(provider.private_key.as_bytes()).unwrap();
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}
