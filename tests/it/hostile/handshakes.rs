//! Who gets in and who does not, and why: each class of handshake that a node has to expect.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use concordat::tls::{self, Acceptor, client_config};
use rcgen::{
    BasicConstraints, CustomExtension, DnType, ExtendedKeyUsagePurpose as Extended, IsCa, KeyPair,
    KeyUsagePurpose as Usage,
};
use rcgen::{PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize, SanType};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, HandshakeKind, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::pki::{Made, OURS, Signer, acceptor, in_days, uri};
use crate::postgres::all_tests_are_wanted;

/// What everybody is told whose certificate is not accepted, whatever is wrong with it.
const ONE_ALERT: &str = "received fatal alert: CertificateUnknown";

/// The authorities of two agencies, and a server that admits the systems of both.
pub(super) struct Stage {
    pub(super) root: Signer,
    pub(super) intermediate: Signer,
    pub(super) ncsc: Signer,
    pub(super) acceptor: Acceptor,
    pub(super) revoked: Made,
    pub(super) below_revoked: Made,
}

impl Stage {
    pub(super) fn new() -> Self {
        let (root, ncsc) = (Signer::root("ICO root"), Signer::root("NCSC root"));
        let (intermediate, fallen) = (root.below("ICO systems"), root.below("ICO systems of old"));
        let revoked = root.leaf(|_| {});
        let below_revoked = fallen.chained(|_| {});
        let lists = vec![
            root.listing(&[fallen.serial(), revoked.serial()], (-2, 2)),
            intermediate.listing(&[], (-2, 2)),
            fallen.listing(&[], (-2, 2)),
        ];
        let acceptor = acceptor(&root, lists, &ncsc);
        Self { root, intermediate, ncsc, acceptor, revoked, below_revoked }
    }

    /// A client that shows this, right or wrong.
    pub(super) fn client(&self, presented: Option<&Made>) -> ClientConfig {
        let roots = tls::certificates(self.ncsc.pem.as_bytes()).unwrap();
        let mut config = Arc::unwrap_or_clone(client_config(roots, None).unwrap());
        if let Some(made) = presented {
            let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
            let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
            let chain = tls::certificates(made.chain.as_bytes()).unwrap();
            config.client_auth_cert_resolver = Arc::new(Anyhow(Arc::new(CertifiedKey::new(chain, key))));
        }
        config
    }
}

/// What came of a handshake: at the server, and at the client.
struct Shaken {
    server: Result<HandshakeKind, String>,
    client: Result<(), String>,
}

async fn shake(acceptor: &Acceptor, client: ClientConfig) -> Shaken {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    shake_over(acceptor, client, ours, theirs).await
}

/// The same over a way on which every byte travels alone.
async fn shake_byte_by_byte(acceptor: &Acceptor, client: ClientConfig) -> Shaken {
    let ((ours, near), (far, theirs)) = (tokio::io::duplex(64 * 1024), tokio::io::duplex(64 * 1024));
    let ((from_server, to_server), (from_client, to_client)) = (tokio::io::split(near), tokio::io::split(far));
    tokio::spawn(drip(from_server, to_client));
    tokio::spawn(drip(from_client, to_server));
    shake_over(acceptor, client, ours, theirs).await
}

async fn drip(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    while let Ok(byte) = from.read_u8().await {
        if to.write_u8(byte).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
}

async fn shake_over(acceptor: &Acceptor, client: ClientConfig, ours: DuplexStream, theirs: DuplexStream) -> Shaken {
    let server = async {
        let (mut stream, peer) = acceptor.accept(ours).await.map_err(|error| error.to_string())?;
        assert_eq!(peer.agency().as_str(), "ico");
        let kind = stream.get_ref().1.handshake_kind().unwrap();
        stream.write_all(b"!").await.map_err(|error| error.to_string())?;
        stream.flush().await.map_err(|error| error.to_string())?;
        Ok(kind)
    };
    let client = async {
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, theirs).await?;
        assert!(!stream.get_ref().1.is_early_data_accepted());
        stream.read_u8().await.map(drop)
    };
    let (server, client): (_, std::io::Result<()>) = tokio::join!(server, client);
    Shaken { server, client: client.map_err(|error| error.to_string()) }
}

/// A class of certificates: what the peer presents, and what the node's log says of it.
type Row = (&'static str, Made, &'static str);

fn with_uri(root: &Signer, text: &str) -> Made {
    root.leaf(|params| params.subject_alt_names = vec![uri(text)])
}

/// The same with URIs that no library would write.
fn with_names(root: &Signer, uris: &[&[u8]]) -> Made {
    let tagged = |tag: u8, text: &[u8]| [&[tag, u8::try_from(text.len()).unwrap()], text].concat();
    let names = uris.iter().flat_map(|text| tagged(0x86, text)).collect::<Vec<_>>();
    let extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], tagged(0x30, &names));
    root.leaf(|params| {
        params.subject_alt_names.clear();
        params.custom_extensions.push(extension);
    })
}

const NO_TEXT: &str = "one of the subject alternative names can't be read";
const NO_ID: &str = "the URI isn't a SPIFFE id in strict form";
const NOT_ONE_URI: &str = "there isn't exactly one URI";
const NOT_VOUCHED: &str = "the authorities of ico don't vouch for it";
const UNKNOWN_STATUS: &str =
    "the authorities of ico don't vouch for it: invalid peer certificate: UnknownRevocationStatus";
const EXTENDED: &str = "extended key usage isn't present with clientAuth";
const USAGE: &str = "key usage isn't present with digitalSignature";

fn rows(stage: &Stage) -> Vec<Row> {
    let Stage { root, intermediate, ncsc, .. } = stage;
    let dns = |number: usize| SanType::DnsName(format!("{number:020}.example").try_into().unwrap());
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let one = root.leaf(|_| {});
    let five = one.clone().with_chain(one.chain.repeat(5));
    let stranger = Signer::root("ICO root");
    let mut rows: Vec<Row> = vec![
        ("self-signed", self_signed(), NOT_VOUCHED),
        ("an unknown authority of the same name", stranger.leaf(|_| {}), NOT_VOUCHED),
        ("another agency's authority, our id", ncsc.leaf(|_| {}), NOT_VOUCHED),
        ("expired", root.leaf(|p| (p.not_before, p.not_after) = (in_days(-3), in_days(-2))), "expired"),
        ("not yet valid", root.leaf(|p| (p.not_before, p.not_after) = (in_days(1), in_days(2))), "not valid yet"),
        ("revoked", stage.revoked.clone(), "Revoked"),
        ("below a revoked intermediate", stage.below_revoked.clone(), "Revoked"),
        ("without its intermediate", intermediate.leaf(|_| {}), NOT_VOUCHED),
        ("no extended key usage", root.leaf(|p| p.extended_key_usages.clear()), EXTENDED),
        ("serverAuth only", root.leaf(|p| p.extended_key_usages = vec![Extended::ServerAuth]), EXTENDED),
        ("any extended key usage", root.leaf(|p| p.extended_key_usages = vec![Extended::Any]), EXTENDED),
        ("no digitalSignature", root.leaf(|p| p.key_usages = vec![Usage::KeyEncipherment]), USAGE),
        ("no key usage", root.leaf(|p| p.key_usages.clear()), USAGE),
        ("keyCertSign on a leaf", root.leaf(|p| p.key_usages.push(Usage::KeyCertSign)), USAGE),
        ("cRLSign on a leaf", root.leaf(|p| p.key_usages.push(Usage::CrlSign)), USAGE),
        (
            "an authority as leaf",
            root.leaf(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            "the certificate of an authority",
        ),
        ("no URI", root.leaf(|p| p.subject_alt_names.clear()), NOT_ONE_URI),
        ("two URIs", root.leaf(|p| p.subject_alt_names.push(uri("spiffe://ico.example/b"))), NOT_ONE_URI),
        ("a second URI that is no text", with_names(root, &[OURS.as_bytes(), b"spiffe://ico.example/\xff"]), NO_TEXT),
        (
            "the right name only in the common name",
            root.leaf(|p| {
                p.subject_alt_names.clear();
                p.distinguished_name.push(DnType::CommonName, OURS);
            }),
            NOT_ONE_URI,
        ),
        (
            "the right name only as a DNS name",
            root.leaf(|p| p.subject_alt_names = vec![SanType::DnsName(OURS.try_into().unwrap())]),
            NOT_ONE_URI,
        ),
        ("an RSA key of 2048 bits", root.leaf_of(&rsa, |_| {}), "an RSA key of fewer than 3072 bits"),
        ("five certificates", five, "more than 4 certificates or 16 KiB"),
        (
            "more than 16 KiB",
            root.leaf(|p| p.subject_alt_names.extend((0..700).map(dns))),
            "more than 4 certificates or 16 KiB",
        ),
        ("10,000 names", root.leaf(|p| p.subject_alt_names.extend((0..10_000).map(dns))), "HandshakePayloadTooLarge"),
        ("valid for 91 days", root.leaf(|p| p.not_after = in_days(91)), "valid for more than 90 days"),
        ("an unknown domain", with_uri(root, "spiffe://nobody.example/gateway"), "belongs to no agency here"),
    ];
    for text in [
        "spiffe://ICO.example/gateway",
        "spiffe://ico.example/gate%77ay",
        "spiffe://ico.example:443/gateway",
        "spiffe://ico.example/gateway?x=1",
        "spiffe://ico.example/gateway#x",
        "spiffe://ico.example/./gateway",
        "spiffe://ico.example/../gateway",
        "spiffe://ico.example//gateway",
        "spiffe://ico.example/gate\0way",
        "spiffe://ico.example",
        "https://ico.example/gateway",
    ] {
        rows.push((text, with_uri(root, text), NO_ID));
    }
    rows
}

fn self_signed() -> Made {
    let key = KeyPair::generate().unwrap();
    let chain = super::pki::leaf().self_signed(&key).unwrap().pem();
    Signer::root("unused").leaf_of(&key, |_| {}).with_chain(chain)
}

/// Shows a certificate whatever key there is.
#[derive(Debug)]
struct Anyhow(Arc<CertifiedKey>);

impl ResolvesClientCert for Anyhow {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn each_class_of_handshake_is_turned_away_for_its_own_reason() {
    let stage = Stage::new();
    let mut wrong = Vec::new();
    let mut check = |class: &str, shaken: Shaken, expected: &str, told: &str| match (shaken.server, shaken.client) {
        (Err(reason), Err(heard)) if reason.contains(expected) && heard.contains(told) => {}
        (server, client) => wrong.push(format!("{class}: {server:?} with `{expected}`, {client:?} with `{told}`")),
    };
    for (class, presented, expected) in rows(&stage) {
        let shaken = shake(&stage.acceptor, stage.client(Some(&presented))).await;
        let told = if class == "10,000 names" { "" } else { ONE_ALERT };
        check(class, shaken, expected, told);
    }

    let good = stage.root.leaf(|_| {});
    let shaken = shake(&stage.acceptor, stage.client(None)).await;
    check("no certificate", shaken, "sent no certificates", "CertificateRequired");
    let stolen = stage.root.leaf(|_| {}).with_chain(good.chain.clone());
    let shaken = shake(&stage.acceptor, stage.client(Some(&stolen))).await;
    check("signed with another key", shaken, "invalid peer certificate: BadSignature", "");
    for (class, protocols, expected) in [
        ("no ALPN", vec![], "the peer didn't ask for HTTP/2"),
        ("ALPN http/1.1", vec![b"http/1.1".to_vec()], "peer doesn't support any known protocol"),
    ] {
        let mut client = stage.client(Some(&good));
        client.alpn_protocols = protocols;
        check(class, shake(&stage.acceptor, client).await, expected, "");
    }

    // Lists that do not say that nothing is revoked.
    let of_other = Signer::root("another").listing(&[], (-2, 2));
    let over = stage.root.listing(&[], (-4, -1));
    for (class, lists, expected) in [
        ("no list at all", vec![], "ico is stopped: there is no current list"),
        ("the list of another authority", vec![of_other], UNKNOWN_STATUS),
        ("a list that has ended", vec![over], "expired"),
    ] {
        let acceptor = acceptor(&stage.root, lists, &stage.ncsc);
        check(class, shake(&acceptor, stage.client(Some(&good))).await, expected, "");
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn what_is_good_is_admitted_in_every_form() {
    let stage = Stage::new();
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072).unwrap();
    let generated = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    let good = [
        ("P-256", stage.root.leaf(|_| {})),
        ("P-384", stage.root.leaf_of(&generated(&PKCS_ECDSA_P384_SHA384), |_| {})),
        ("Ed25519", stage.root.leaf_of(&generated(&PKCS_ED25519), |_| {})),
        ("RSA of 3072 bits", stage.root.leaf_of(&rsa, |_| {})),
        ("below an intermediate", stage.intermediate.chained(|_| {})),
        ("90 days", stage.root.leaf(|p| (p.not_before, p.not_after) = (in_days(-1), in_days(89)))),
        ("a DNS name beside the URI", stage.root.leaf(|p| p.subject_alt_names.push(uri_dns()))),
        ("serverAuth beside clientAuth", stage.root.leaf(|p| p.extended_key_usages.push(Extended::ServerAuth))),
    ];
    for (form, made) in &good {
        let shaken = timeout(Duration::from_secs(20), shake(&stage.acceptor, stage.client(Some(made)))).await;
        let Shaken { server, client } = shaken.unwrap_or_else(|_| panic!("{form}"));
        assert_eq!((server, client), (Ok(HandshakeKind::Full), Ok(())), "{form}");
    }
    // Byte by byte, and with tickets, early data and a store for sessions at the client: always from the beginning.
    let mut client = stage.client(Some(&good[0].1));
    client.resumption = Resumption::in_memory_sessions(8);
    client.enable_early_data = true;
    let admitted: (Result<_, String>, Result<_, String>) = (Ok(HandshakeKind::Full), Ok(()));
    for _ in 0..2 {
        let Shaken { server, client } = shake(&stage.acceptor, client.clone()).await;
        assert_eq!((server, client), admitted);
    }
    let dripped = timeout(Duration::from_secs(20), shake_byte_by_byte(&stage.acceptor, client)).await.unwrap();
    assert_eq!((dripped.server, dripped.client), admitted, "byte by byte");
}

fn uri_dns() -> SanType {
    SanType::DnsName("gateway.ico.example".try_into().unwrap())
}

/// Up to the version of the 1.2 hello: no extension says that it knows better.
fn hello_of_tls12() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 0]);
    let mut message = vec![1, 0, 0, u8::try_from(body.len()).unwrap()];
    message.extend(body);
    let mut record = vec![22, 3, 1, 0, u8::try_from(message.len()).unwrap()];
    record.extend(message);
    record
}

async fn answer_to(acceptor: &Acceptor, bytes: &[u8]) -> (String, Vec<u8>) {
    let (ours, mut theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(64 * 1024);
    theirs.write_all(bytes).await.unwrap();
    let reason = acceptor.accept(ours).await.map(drop).unwrap_err().to_string();
    let mut heard = Vec::new();
    theirs.read_to_end(&mut heard).await.unwrap();
    (reason, heard)
}

#[tokio::test]
async fn an_earlier_tls_and_what_is_none_get_an_alert() {
    let stage = Stage::new();
    let (reason, heard) = answer_to(&stage.acceptor, &hello_of_tls12()).await;
    assert!(reason.contains("peer is incompatible"), "{reason}");
    assert_eq!(heard.get(..6), Some([21, 3, 3, 0, 2, 2].as_slice()), "a fatal alert and nothing else: {heard:?}");
    let (reason, _) = answer_to(&stage.acceptor, &[22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]).await;
    assert!(reason.contains("HandshakePayloadTooLarge"), "a hello that says it has 16 MiB: {reason}");
    for none in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0; 64], &[0xff; 64]] {
        let (reason, _) = answer_to(&stage.acceptor, none).await;
        assert!(reason.contains("corrupt message"), "{reason}");
    }
}

/// What a client of another stack says that connects to the given address, and what the server made of it. It ends when
/// the server has closed.
pub(super) async fn meet(stage: &Stage, client: impl FnOnce(SocketAddr) -> Command) -> (String, Result<(), String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut command = client(listener.local_addr().unwrap());
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let client = pipes.spawn().unwrap();
    let accepted = timeout(Duration::from_secs(90), listener.accept()).await;
    let (socket, _) = accepted.expect("it does not connect").unwrap();
    let server = match stage.acceptor.accept(socket).await {
        Ok((mut stream, _)) => {
            stream.write_all(b"!").await.unwrap();
            stream.shutdown().await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    let said = tokio::task::spawn_blocking(|| client.wait_with_output().unwrap()).await.unwrap();
    (String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned(), server)
}

/// What `openssl s_client` says, and what the server made of it.
async fn openssl(stage: &Stage, folder: &Path, made: &Made, more: &[&str]) -> (String, Result<(), String>) {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let client = |at: SocketAddr| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-ign_eof", "-connect", &at.to_string(), "-servername", "localhost"]).args(more);
        command.arg("-CAfile").arg(file("root.pem", &stage.ncsc.pem));
        let chain = file("client.pem", &made.chain);
        command.arg("-cert").arg(&chain).arg("-cert_chain").arg(&chain).arg("-key").arg(file("client.key", &made.key));
        command
    };
    meet(stage, client).await
}

/// A certificate whose signature is over SHA-1, which nothing else here makes.
fn with_sha1(root: &Signer, folder: &Path) -> Made {
    let key = root.leaf(|_| {});
    let text =
        "subjectAltName=URI:spiffe://ico.example/gateway\nkeyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n";
    for (name, text) in [("leaf.key", &*key.key), ("ca.pem", &root.pem), ("ca.key", &root.key_pem), ("ext", text)] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    for command in [
        "req -new -key leaf.key -subj /CN=gateway -out leaf.csr",
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -sha1 -extfile ext -days 1 -set_serial 77 -out leaf.pem",
    ] {
        let ran = Command::new("openssl").args(command.split(' ')).current_dir(folder).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }
    let chain = std::fs::read_to_string(folder.join("leaf.pem")).unwrap();
    key.with_chain(chain)
}

#[tokio::test]
async fn openssl_is_treated_as_rustls_is() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(!all_tests_are_wanted(), "CONCORDAT_TESTS=all, but `openssl` is missing");
        eprintln!("LEFT OUT: handshakes with OpenSSL, because there is no `openssl`");
        return;
    }
    let (stage, folder) = (Stage::new(), tempfile::tempdir().unwrap());
    let good = stage.intermediate.chained(|_| {});
    let session = folder.path().join("session");
    let (said, server) =
        openssl(&stage, folder.path(), &good, &["-alpn", "h2", "-sess_out", session.to_str().unwrap()]).await;
    assert_eq!(server, Ok(()), "{said}");
    assert!(said.contains("ALPN protocol: h2") && said.contains("Verify return code: 0"), "{said}");
    assert!(!said.contains("New Session Ticket") && !session.exists(), "there is nothing to resume with: {said}");

    let none: &[&str] = &[];
    for (class, made, more, expected) in [
        ("TLS 1.2", &good, ["-tls1_2"].as_slice(), "peer is incompatible"),
        ("no ALPN", &good, none, "the peer didn't ask for HTTP/2"),
        ("revoked", &stage.revoked, &["-alpn", "h2"], "Revoked"),
        ("another authority", &stage.ncsc.leaf(|_| {}), &["-alpn", "h2"], NOT_VOUCHED),
    ] {
        let (said, server) = openssl(&stage, folder.path(), made, more).await;
        let reason = server.expect_err(class);
        assert!(reason.contains(expected), "{class}: {reason}\n{said}");
    }
    // OpenSSL itself will not present this one.
    let weak = with_sha1(&stage.root, folder.path());
    let reason = shake(&stage.acceptor, stage.client(Some(&weak))).await.server.expect_err("SHA-1");
    assert!(reason.contains(NOT_VOUCHED), "SHA-1: {reason}");
}
