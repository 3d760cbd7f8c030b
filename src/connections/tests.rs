use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::SendRequest;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tonic::server::NamedService;
use tower::{Service, ServiceExt};

use super::*;
use crate::domain::{AgencyId, Instant};
use crate::pki::{Authority, Issued, List};
use crate::tls::{
    Credentials, Revocation, RevocationList, Trust, TrustedAgency, certificates, client_config, connect,
    revocation_lists,
};

/// Long enough that no test gets there.
const NEVER: Duration = Duration::from_hours(1);

const CALM: Limits = Limits {
    handshakes: 16,
    handshake: NEVER,
    connections_per_agency: 16,
    calls_per_agency: 16,
    request_bytes_per_agency: 1 << 20,
    first_request: NEVER,
    untaken: NEVER,
    age: NEVER,
    grace: NEVER,
    parting: Duration::from_millis(20),
    usual_deadline: NEVER,
    longest_deadline: NEVER,
};

/// Says who called, or waits: for ever, or until it is let go.
#[derive(Clone, Default)]
struct Probe {
    reached: Arc<Notify>,
    let_go: Arc<Notify>,
}

impl NamedService for Probe {
    const NAME: &'static str = "test.Probe";
}

impl Service<Request<Body>> for Probe {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { reached, let_go } = self.clone();
        Box::pin(async move {
            reached.notify_one();
            match request.uri().path() {
                "/test.Probe/Never" => pending().await,
                "/test.Probe/Wait" => let_go.notified().await,
                _ => {}
            }
            let peer = request.extensions().get::<Arc<Peer>>().expect("the connection's peer");
            let mut response = Response::new(Body::empty());
            response.headers_mut().insert("agency", peer.agency().as_str().parse().expect("a header value"));
            let seen = request.headers().contains_key("grpc-timeout").to_string();
            response.headers_mut().insert("deadline-seen", seen.parse().expect("a header value"));
            Ok(response)
        })
    }
}

struct Node {
    address: SocketAddr,
    roots: String,
    ico: Authority,
    ncsc: Authority,
    acceptor: Arc<ArcSwap<Acceptor>>,
    server: Issued,
    connections: Arc<Connections>,
    probe: Probe,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

fn now() -> Instant {
    Instant::from_micros(0).plus_seconds(UnixTime::now().as_secs().try_into().expect("a time before the sun burns out"))
}

fn trusted(authority: &Authority) -> TrustedAgency {
    TrustedAgency {
        agency: AgencyId::known(authority.trust_domain().trim_end_matches(".example")),
        trust_domain: authority.trust_domain().to_owned(),
        roots: certificates(authority.root_pem().as_bytes()).expect("a root"),
        revocation: Revocation::ShortLived,
    }
}

fn acceptor(server: &Issued, agencies: &[&Authority]) -> Acceptor {
    acceptor_for(server, agencies.iter().map(|authority| trusted(authority)))
}

fn acceptor_for(server: &Issued, agencies: impl IntoIterator<Item = TrustedAgency>) -> Acceptor {
    let trust = Trust::new(agencies).expect("trust");
    Acceptor::new(trust, Credentials::from_pem(&server.chain_pem, &server.key_pem).expect("credentials")).expect("TLS")
}

async fn node(limits: Limits) -> Node {
    let ico = Authority::new("ico", "ico.example", now()).expect("an authority");
    let ncsc = Authority::new("ncsc", "ncsc.example", now()).expect("an authority");
    let server = ncsc.issue_server(&["localhost"], now()).expect("a certificate");
    let acceptor = Arc::new(ArcSwap::from_pointee(acceptor(&server, &[&ico, &ncsc])));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::new(Connections::new(limits));
    let (probe, shutdown) = (Probe::default(), CancellationToken::new());
    let task = tokio::spawn(serve(
        listener,
        Arc::clone(&acceptor),
        Routes::new(probe.clone()),
        Arc::clone(&connections),
        shutdown.clone(),
    ));
    let roots = ncsc.root_pem().to_owned();
    Node { address, roots, ico, ncsc, acceptor, server, connections, probe, shutdown, served: task }
}

/// A raw HTTP/2 client, which sees what tonic's would hide.
struct Client {
    sender: SendRequest<Bytes>,
    ended: JoinHandle<Result<(), h2::Error>>,
}

impl Node {
    fn config(&self, authority: &Authority) -> Arc<ClientConfig> {
        let issued = authority.issue_client("gateway", now()).expect("a certificate");
        let presented = Credentials::from_pem(&issued.chain_pem, &issued.key_pem).expect("credentials");
        client_config(certificates(self.roots.as_bytes()).expect("a root"), Some(presented)).expect("TLS")
    }

    async fn client(&self, authority: &Authority) -> Client {
        self.client_with(self.config(authority)).await
    }

    async fn client_with(&self, config: Arc<ClientConfig>) -> Client {
        let socket = TcpStream::connect(self.address).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(config).connect(name, socket).await.expect("a handshake");
        let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        Client { sender, ended: tokio::spawn(connection) }
    }
}

impl Client {
    async fn call(&self, method: &str, timeout: Option<&str>) -> Result<Response<h2::RecvStream>, h2::Error> {
        let mut request = Request::post(format!("http://localhost/test.Probe/{method}"));
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let mut sender = self.sender.clone().ready().await?;
        let (answer, _) = sender.send_request(request.body(()).expect("a request"), true)?;
        answer.await
    }
}

fn header<'a, B>(response: &'a Response<B>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().expect("text"))
}

#[tokio::test]
async fn each_request_carries_the_peer_of_its_connection() {
    let node = node(CALM).await;
    for (authority, agency) in [(&node.ico, "ico"), (&node.ncsc, "ncsc")] {
        let address = node.address.to_string();
        let channel = connect(&address, "localhost", node.config(authority)).await.expect("a channel");
        let request = Request::post("/test.Probe/Who").body(Body::empty()).expect("a request");
        let response = channel.oneshot(request).await.expect("an answer");
        assert_eq!(header(&response, "agency"), Some(agency));
    }
}

#[tokio::test]
async fn a_deadline_that_passes_is_said_to_have_passed() {
    let node = node(CALM).await;
    let client = node.client(&node.ico).await;
    let late = client.call("Never", Some("20m")).await.expect("an answer");
    assert_eq!((late.status().as_u16(), header(&late, "grpc-status")), (200, Some("4")));
    assert_eq!(header(&late, "content-type"), Some("application/grpc"));
    let timely = client.call("Who", Some("1H")).await.expect("an answer");
    assert_eq!(header(&timely, "deadline-seen"), Some("false"), "tonic would race us to it");
}

#[tokio::test]
async fn without_a_deadline_or_with_a_long_one_ours_holds() {
    let node = node(Limits { usual_deadline: Duration::from_millis(20), ..CALM }).await;
    let client = node.client(&node.ico).await;
    for stated in [None, Some("soon")] {
        let late = client.call("Never", stated).await.expect("an answer");
        assert_eq!(header(&late, "grpc-status"), Some("4"), "{stated:?}");
    }
    let node = self::node(Limits { longest_deadline: Duration::from_millis(20), ..CALM }).await;
    let client = node.client(&node.ico).await;
    let late = client.call("Never", Some("1H")).await.expect("an answer");
    assert_eq!(header(&late, "grpc-status"), Some("4"));
}

#[tokio::test]
async fn the_connections_of_one_agency_can_be_ended() {
    let node = node(CALM).await;
    let (ico, ncsc) = (node.client(&node.ico).await, node.client(&node.ncsc).await);
    for client in [&ico, &ncsc] {
        client.call("Who", None).await.expect("an answer");
    }
    assert_eq!((node.connections.count(), node.connections.list().len()), (2, 2));
    // What the calls so far left behind: from here on it means the next one.
    node.probe.reached.notified().await;
    let in_flight = async {
        node.probe.reached.notified().await;
        node.connections.end(|peer, _| peer.agency().as_str() == "ico")
    };
    let (answer, closed) = tokio::join!(ico.call("Never", None), in_flight);
    assert_eq!(closed, 1);
    answer.expect_err("the request in flight is cut too");
    drop(ico.ended.await.expect("joined"));
    ncsc.call("Who", None).await.expect("others go on");
    assert_eq!(node.connections.count(), 1);
}

#[tokio::test]
async fn between_being_told_to_leave_and_being_cut_there_is_half_a_second() {
    let node = node(Limits { parting: Limits::default().parting, ..CALM }).await;
    let ico = node.client(&node.ico).await;
    ico.call("Who", None).await.expect("an answer");
    node.probe.reached.notified().await;
    let leaving = async {
        node.probe.reached.notified().await;
        let since = std::time::Instant::now();
        assert_eq!(node.connections.end(|_, _| true), 1);
        while ico.call("Who", None).await.is_ok() {}
        (since, since.elapsed())
    };
    let (answer, (since, told)) = tokio::join!(ico.call("Never", None), leaving);
    answer.expect_err("the request in flight is cut");
    let cut = since.elapsed();
    println!("told after {told:?}, cut after {cut:?}");
    assert!(told < Duration::from_millis(500) && cut >= Duration::from_millis(500), "told {told:?}, cut {cut:?}");
    assert!(cut < Duration::from_secs(1), "cut {cut:?}");
}

#[tokio::test]
async fn trust_withdrawn_keeps_out_whoever_comes_after() {
    let node = node(CALM).await;
    let ico = node.client(&node.ico).await;
    ico.call("Who", None).await.expect("an answer");
    node.acceptor.store(Arc::new(acceptor(&node.server, &[&node.ncsc])));
    ico.call("Who", None).await.expect("an open connection isn't touched");
    assert_eq!(node.connections.end(|peer, _| peer.agency().as_str() == "ico"), 1);
    drop(ico.ended.await.expect("joined"));
    let again = node.client(&node.ico).await;
    again.call("Who", None).await.expect_err("nobody vouches for it now");
    node.client(&node.ncsc).await.call("Who", None).await.expect("an answer");
}

/// Puts another acceptor in place when it is asked for its certificate: in the middle of the handshake.
#[derive(Debug)]
struct Meanwhile {
    shown: Arc<dyn ResolvesClientCert>,
    acceptor: Arc<ArcSwap<Acceptor>>,
    next: Arc<Acceptor>,
}

impl ResolvesClientCert for Meanwhile {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.acceptor.store(Arc::clone(&self.next));
        self.shown.resolve(hints, schemes)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn what_is_put_in_place_during_a_handshake_is_what_vouches_from_then_on() {
    let node = node(CALM).await;
    let until = now().plus_seconds(3_600);
    let list = node.ico.publish(&List { number: 1_u8.into(), revoked: Vec::new() }, until, now()).expect("a list");
    let list = revocation_lists(list.as_bytes()).pop().expect("a list").expect("PEM");
    let mut ico = trusted(&node.ico);
    ico.revocation = Revocation::Lists(vec![RevocationList::read(&list, &ico.roots, now()).expect("a list")]);
    let next = Arc::new(acceptor_for(&node.server, [ico, trusted(&node.ncsc)]));
    let mut config = Arc::unwrap_or_clone(node.config(&node.ico));
    let (shown, acceptor) = (config.client_auth_cert_resolver, Arc::clone(&node.acceptor));
    config.client_auth_cert_resolver = Arc::new(Meanwhile { shown, acceptor, next });
    let client = node.client_with(Arc::new(config)).await;
    client.call("Who", None).await.expect("an answer");
    let [(peer, _)] = node.connections.list().try_into().expect("one connection");
    assert_eq!(peer.vouching().until, until, "the list that it is judged by now");
}

#[test]
fn who_is_pushed_out_is_no_longer_served_than_whoever_vouches_for_them_does() {
    let ico = Authority::new("ico", "ico.example", now()).expect("an authority");
    let trust = Trust::new([trusted(&ico)]).expect("trust");
    let connections = Arc::new(Connections::new(Limits { connections_per_agency: 2, ..CALM }));
    let (stolen, own) = (ico.issue_client("stolen", now()), ico.issue_client("own", now()));
    let connect = |issued: &Issued| {
        let chain = certificates(issued.chain_pem.as_bytes()).expect("a certificate");
        let peer = Arc::new(trust.admit(&chain, UnixTime::now()).expect("a peer"));
        let open = connections.register(&peer, chain.into(), true).expect("room");
        (peer, open)
    };
    let (stolen, own) = (stolen.expect("a certificate"), own.expect("a certificate"));
    let (thieves, own) = ([connect(&stolen), connect(&stolen)], connect(&own));
    let count = || connections.by_root().values().map(|count| count.open).sum::<usize>();
    assert_eq!((connections.count(), count()), (3, 2), "one of the thief's is pushed out, and not cut yet");
    let revoke = || connections.end(|peer, _| peer.fingerprint() == thieves[0].0.fingerprint());
    assert_eq!(revoke(), 1, "the other one is ending already");
    assert!(thieves.iter().all(|(peer, _)| peer.is_withdrawn()) && !own.0.is_withdrawn());
    assert_eq!((revoke(), count()), (0, 1));
    let dismiss = || connections.dismiss(|peer| peer.agency().as_str() == "ico");
    assert_eq!((dismiss(), dismiss(), count()), (1, 0, 0), "the one that is left");
    assert!(!own.0.is_withdrawn(), "and it is answered until it is cut");
}

#[tokio::test]
async fn an_agency_has_so_many_connections_and_another_agency_its_own() {
    let node = node(Limits { connections_per_agency: 2, ..CALM }).await;
    let mut clients = vec![node.client(&node.ico).await, node.client(&node.ico).await];
    for client in &clients {
        client.call("Who", None).await.expect("an answer");
    }
    node.client(&node.ico).await.call("Who", None).await.expect_err("one too many");
    node.client(&node.ncsc).await.call("Who", None).await.expect("an answer");
    let left = clients.pop().expect("a client");
    drop(left.sender);
    left.ended.await.expect("joined").expect("left in order");
    while node.connections.list().iter().filter(|(peer, _)| peer.agency().as_str() == "ico").count() > 1 {
        tokio::task::yield_now().await;
    }
    node.client(&node.ico).await.call("Who", None).await.expect("there is room again");
}

#[tokio::test]
async fn an_agency_has_so_many_calls_under_way_whatever_connections_they_come_by() {
    let node = node(Limits { calls_per_agency: 1, ..CALM }).await;
    let clients = [node.client(&node.ico).await, node.client(&node.ico).await];
    let others = async {
        node.probe.reached.notified().await;
        let turned_away = clients[1].call("Who", None).await.expect("an answer");
        assert_eq!(header(&turned_away, "grpc-status"), Some("8"), "RESOURCE_EXHAUSTED");
        let ncsc = node.client(&node.ncsc).await.call("Who", None).await.expect("an answer");
        assert_eq!(header(&ncsc, "agency"), Some("ncsc"), "another agency has its own");
        node.probe.let_go.notify_one();
    };
    let (first, ()) = tokio::join!(clients[0].call("Wait", None), others);
    assert_eq!(header(&first.expect("an answer"), "agency"), Some("ico"));
    let next = clients[1].call("Who", None).await.expect("an answer");
    assert_eq!(header(&next, "agency"), Some("ico"), "there is room again");
}

#[test]
fn what_peers_may_take_fits_into_what_the_process_may_open() {
    let limits = |descriptors| Limits::default().within(descriptors, 3);
    assert_eq!((limits(65_536).handshakes, limits(65_536).connections_per_agency), (256, 256));
    let few = limits(1_024);
    assert_eq!((few.handshakes, few.connections_per_agency), (240, 240));
    assert!(few.handshakes + 3 * few.connections_per_agency + DESCRIPTORS_OF_OURS <= 1_024);
    assert_eq!((limits(0).handshakes, limits(0).connections_per_agency), (1, 1));
}

#[tokio::test]
async fn a_silent_peer_is_dropped_and_a_speaking_one_is_not() {
    let node = node(Limits { first_request: Duration::from_millis(300), ..CALM }).await;
    let speaking = node.client(&node.ico).await;
    speaking.call("Who", None).await.expect("an answer");
    let silent = node.client(&node.ico).await;
    assert!(silent.ended.await.expect("joined").is_err());
    speaking.call("Who", None).await.expect("an answer after that time as well");
}

#[tokio::test]
async fn a_stalled_handshake_is_dropped() {
    let node = node(Limits { handshake: Duration::from_millis(20), ..CALM }).await;
    let mut socket = TcpStream::connect(node.address).await.expect("a connection");
    let read = tokio::io::AsyncReadExt::read(&mut socket, &mut [0; 16]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test]
async fn at_its_age_a_connection_ends_in_order() {
    let node = node(Limits { age: Duration::from_millis(200), ..CALM }).await;
    let client = node.client(&node.ico).await;
    let answer = client.call("Wait", None);
    let let_go = async {
        // GOAWAY has come once no new request is taken; the one in flight is still to be answered.
        while client.call("Who", None).await.is_ok() {}
        node.probe.let_go.notify_one();
    };
    let (answer, ()) = tokio::join!(answer, let_go);
    assert_eq!(answer.expect("an answer").status(), 200);
    drop(client.sender);
    client.ended.await.expect("joined").expect("an end in order");
}

#[tokio::test]
async fn shutdown_lets_requests_in_flight_finish() {
    let node = node(CALM).await;
    let client = node.client(&node.ico).await;
    let finish = async {
        node.probe.reached.notified().await;
        node.shutdown.cancel();
        node.probe.let_go.notify_one();
    };
    let (answer, ()) = tokio::join!(client.call("Wait", None), finish);
    assert_eq!(header(&answer.expect("an answer"), "agency"), Some("ico"));
    node.served.await.expect("served to the end");
    assert_eq!(node.connections.count(), 0);
    TcpStream::connect(node.address).await.expect_err("nobody listens any more");
}

#[tokio::test]
async fn shutdown_waits_no_longer_than_the_grace() {
    let node = node(Limits { grace: Duration::from_millis(20), ..CALM }).await;
    let client = node.client(&node.ico).await;
    let stop = async {
        node.probe.reached.notified().await;
        node.shutdown.cancel();
    };
    let (answer, ()) = tokio::join!(client.call("Never", None), stop);
    answer.expect_err("cut after the grace");
    node.served.await.expect("served to the end");
}

#[test]
fn ages_differ_by_a_tenth_at_most() {
    for _ in 0..1_000 {
        let age = give_or_take_a_tenth(Duration::from_secs(1_000));
        assert!((900..=1_100).contains(&age.as_secs()), "{age:?}");
    }
}
