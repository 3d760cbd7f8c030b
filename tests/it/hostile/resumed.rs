//! What saves other servers a part of the handshake: tickets, what is said before the handshake is through, and
//! compressed certificates. Each is offered in earnest, by a client that got it from a server which takes it; a node
//! takes none of it.

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use concordat::tls::{self, Acceptor};
use rustls::client::Resumption;
use rustls::compress::{CertCompressor, CertDecompressor, CompressionFailed, CompressionLevel, DecompressionFailed};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{
    CertificateCompressionAlgorithm, ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, server};

use super::handshakes::Stage;
use super::pki;
use crate::postgres::all_tests_are_wanted;

/// What is said with the hello where a ticket allows that.
const EARLY: &[u8] = b"what comes before the handshake is through";

/// A server with a certificate that the clients of this stage accept, and which takes what can be taken.
fn obliging(stage: &Stage) -> Arc<ServerConfig> {
    let made = pki::server(&stage.ncsc);
    let chain = tls::certificates(made.chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.max_early_data_size = 1_024;
    config.cert_compressors = vec![&PACKER];
    config.into()
}

/// What a server made of a client: what handshake it was, and all that it read.
type Served = (HandshakeKind, Vec<u8>);

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: server::TlsStream<S>) -> Served {
    let session: &mut ServerConnection = stream.get_mut().1;
    let (kind, mut read) = (session.handshake_kind().unwrap(), Vec::new());
    if let Some(mut early) = session.early_data() {
        early.read_to_end(&mut read).unwrap();
    }
    stream.write_all(b"!").await.unwrap();
    stream.shutdown().await.unwrap();
    // Not everybody says goodbye.
    drop(stream.read_to_end(&mut read).await);
    (kind, read)
}

async fn by_obliging<S: AsyncRead + AsyncWrite + Unpin>(config: Arc<ServerConfig>, socket: S) -> Served {
    serve(TlsAcceptor::from(config).accept(socket).await.unwrap()).await
}

async fn by_node<S: AsyncRead + AsyncWrite + Unpin>(acceptor: &Acceptor, socket: S) -> Served {
    serve(acceptor.accept(socket).await.unwrap().0).await
}

/// What came of a visit: whether something was said early, whether it was taken, and what the server says.
struct Visit {
    said_early: bool,
    taken: bool,
    served: Served,
}

async fn visit<F: Future<Output = Served>>(client: &Arc<ClientConfig>, serve: impl FnOnce(DuplexStream) -> F) -> Visit {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let come = async {
        let (name, mut said_early) = (ServerName::try_from("localhost").unwrap(), false);
        let say = |session: &mut ClientConnection| {
            if let Some(mut early) = session.early_data() {
                early.write_all(EARLY).unwrap();
                said_early = true;
            }
        };
        let mut stream = TlsConnector::from(Arc::clone(client)).connect_with(name, theirs, say).await.unwrap();
        // Tickets come before it.
        assert_eq!(stream.read_u8().await.unwrap(), b'!');
        let taken = stream.get_ref().1.is_early_data_accepted();
        stream.shutdown().await.unwrap();
        (said_early, taken)
    };
    let (served, (said_early, taken)) = tokio::join!(serve(ours), come);
    Visit { said_early, taken, served }
}

#[tokio::test]
async fn a_ticket_and_what_is_said_early_are_no_way_round_the_handshake() {
    let stage = Stage::new();
    let mut client = stage.client(Some(&stage.root.leaf(|_| {})));
    client.resumption = Resumption::in_memory_sessions(8);
    client.enable_early_data = true;
    let (client, obliging) = (Arc::new(client), obliging(&stage));
    let there = || visit(&client, |socket| by_obliging(Arc::clone(&obliging), socket));
    let here = || visit(&client, |socket| by_node(&stage.acceptor, socket));

    let first = there().await;
    assert_eq!((first.said_early, first.served), (false, (HandshakeKind::Full, vec![])));
    let again = there().await;
    assert!(again.said_early && again.taken, "a server that takes it does");
    assert_eq!(again.served, (HandshakeKind::Resumed, EARLY.to_vec()));
    // With the next of its tickets.
    let shown = here().await;
    assert!(shown.said_early && !shown.taken, "it was said, and not taken");
    assert_eq!(shown.served, (HandshakeKind::Full, vec![]), "nothing that was said early is read");
    // Tickets are used once, and the node gave none: what is left is from the other.
    let mut left = 0;
    while here().await.said_early {
        left += 1;
        assert!(left < 8, "the node gives tickets");
    }
}

/// What `openssl s_client` says with these arguments to a server, and what that one says.
async fn s_client<F: Future<Output = Served>>(
    folder: &Path,
    more: &str,
    serve: impl FnOnce(TcpStream) -> F,
) -> (String, Served) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let client = Command::new("openssl")
        .args(["s_client", "-ign_eof", "-tls1_3", "-alpn", "h2", "-servername", "localhost", "-CAfile", "root.pem"])
        .args(["-cert", "client.pem", "-key", "client.key", "-connect", &at.to_string()])
        .args(more.split(' '))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let accepted = timeout(Duration::from_secs(90), listener.accept()).await;
    let served = serve(accepted.expect("it does not connect").unwrap().0).await;
    let said = tokio::task::spawn_blocking(|| client.wait_with_output().unwrap()).await.unwrap();
    (String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned(), served)
}

#[tokio::test]
async fn nor_are_they_for_openssl() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(!all_tests_are_wanted(), "CONCORDAT_TESTS=all, but `openssl` is missing");
        eprintln!("LEFT OUT: a session of OpenSSL's, because there is no `openssl`");
        return;
    }
    let (stage, folder) = (Stage::new(), tempfile::tempdir().unwrap());
    let made = stage.root.leaf(|_| {});
    let files = [
        ("root.pem", stage.ncsc.pem.as_bytes()),
        ("client.pem", made.chain.as_bytes()),
        ("client.key", made.key.as_bytes()),
        ("early", EARLY),
    ];
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let obliging = obliging(&stage);
    let there = |socket: TcpStream| by_obliging(Arc::clone(&obliging), socket);
    let (said, served) = s_client(folder.path(), "-sess_out session", there).await;
    assert_eq!(served, (HandshakeKind::Full, vec![]), "{said}");
    let again = "-sess_in session -early_data early";
    let (said, served) = s_client(folder.path(), again, there).await;
    assert_eq!(served, (HandshakeKind::Resumed, EARLY.to_vec()), "{said}");
    assert!(said.contains("Reused, TLSv1.3") && said.contains("Early data was accepted"), "{said}");

    let (said, served) = s_client(folder.path(), again, |socket| by_node(&stage.acceptor, socket)).await;
    assert_eq!(served, (HandshakeKind::Full, vec![]), "{said}");
    assert!(said.contains("New, TLSv1.3") && said.contains("Early data was rejected"), "{said}");
}

/// Says that it compresses, and counts how often it was asked to.
#[derive(Debug)]
struct Packer(AtomicUsize);

static PACKER: Packer = Packer(AtomicUsize::new(0));

impl CertCompressor for Packer {
    fn compress(&self, input: Vec<u8>, _: CompressionLevel) -> Result<Vec<u8>, CompressionFailed> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(input)
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm::Zlib
    }
}

impl CertDecompressor for Packer {
    fn decompress(&self, input: &[u8], output: &mut [u8]) -> Result<(), DecompressionFailed> {
        self.0.fetch_add(1, Ordering::Relaxed);
        output.copy_from_slice(input);
        Ok(())
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm::Zlib
    }
}

#[tokio::test]
async fn no_certificate_is_compressed_or_taken_as_one() {
    let stage = Stage::new();
    let mut client = stage.client(Some(&stage.root.leaf(|_| {})));
    client.cert_decompressors = vec![&PACKER];
    client.cert_compressors = vec![&PACKER];
    let client = Arc::new(client);
    let mut hello = Vec::new();
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(Arc::clone(&client), name).unwrap().write_tls(&mut hello).unwrap();
    // compress_certificate (RFC 8879): of three bytes, a list of two, which is zlib.
    assert!(hello.windows(7).any(|bytes| bytes == [0, 27, 0, 3, 2, 0, 1]), "the hello says that it can");

    let node = visit(&client, |socket| by_node(&stage.acceptor, socket)).await;
    assert_eq!(node.served, (HandshakeKind::Full, vec![]), "it goes on without");
    assert_eq!(PACKER.0.load(Ordering::Relaxed), 0, "neither compressed one, and the node asked for none");
    visit(&client, |socket| by_obliging(obliging(&stage), socket)).await;
    assert_eq!(PACKER.0.load(Ordering::Relaxed), 2, "a server that can compresses its own");
}
