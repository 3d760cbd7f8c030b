//! Those who are turned away, and go on trying.

use std::sync::Arc;

use concordat::tls::{certificates_from_file, client_config};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::*;

/// Somebody who calls on the connection that is open and on new ones, takes a stream, and hears no goodbye.
pub(super) struct Outcast {
    calling: [JoinHandle<Called>; 2],
    /// When the stream ended, and when the connection was cut on which nothing is called; none for one whose
    /// certificate is as good as before.
    parting: Option<[JoinHandle<Instant>; 2]>,
    enough: CancellationToken,
}

/// When its last call began that was accepted, and when it first heard that one was not.
struct Called {
    accepted: Instant,
    refused: Instant,
}

impl Outcast {
    /// Whose calls are accepted, who has the stream and both connections.
    pub(super) async fn begin(world: &World, context: Context, is_cut: bool) -> Self {
        let (folder, clock) = (world.workspace.folder().to_owned(), world.clock.clone());
        let parting = if is_cut { Some(hold(world, &context).await) } else { None };
        let make = move || context.officer(&folder, clock.clone()).unwrap();
        let staying = make();
        call(&staying).await.expect("nothing is wrong with it yet");
        let parting = match parting {
            Some(cut) => Some([watch(&staying).await, cut]),
            None => None,
        };
        let enough = CancellationToken::new();
        let calling =
            [tokio::spawn(insist(move || staying.clone(), enough.clone())), tokio::spawn(insist(make, enough.clone()))];
        Self { calling, parting, enough }
    }

    /// Waits until it is turned away on every way, where its files were there at the first moment and the node was seen
    /// to have them in place at the second.
    pub(super) async fn turned_away(
        self,
        kind: &'static str,
        (placed, looked): (Instant, Instant),
        measured: &mut Measured,
    ) {
        for ((what, from_look), ended) in PARTING.into_iter().zip(self.parting.into_iter().flatten()) {
            let ended = timeout(WITHIN, ended).await.unwrap_or_else(|_| panic!("{kind}: never {what}")).unwrap();
            assert!(placed <= ended, "{kind}: {what} too early");
            measured.add(kind, what, ended - placed);
            measured.add(kind, from_look, ended.saturating_duration_since(looked));
        }
        self.enough.cancel();
        let [mut accepted, mut refused] = [placed; 2];
        for calling in self.calling {
            let called = timeout(WITHIN, calling).await.unwrap_or_else(|_| panic!("{kind}: never refused")).unwrap();
            assert!(placed <= called.refused, "{kind}: refused too early");
            assert!(called.accepted < looked, "{kind}: a call was accepted after the look");
            (accepted, refused) = (accepted.max(called.accepted), refused.max(called.refused));
        }
        measured.add(kind, "to the look", looked - placed);
        measured.add(kind, "to the last accepted call", accepted - placed);
        measured.add(kind, "to refusal", refused - placed);
        measured.add(kind, "from the look to refusal", refused.saturating_duration_since(looked));
    }
}

/// From when on what ends of a connection is measured.
const PARTING: [(&str, &str); 2] = [
    ("to the end of its stream", "from the look to the end of its stream"),
    ("to the cut", "from the look to the cut"),
];

/// Calls until it is enough and it has been refused several times.
async fn insist(make: impl Fn() -> OfficerChannel, enough: CancellationToken) -> Called {
    let (mut accepted, mut refused, mut refusals) = (Instant::now(), None, 0);
    loop {
        let began = Instant::now();
        if timeout(WITHIN, call(&make())).await.expect("an answer, or none for good").is_ok() {
            accepted = began;
        } else {
            refusals += 1;
            refused.get_or_insert_with(Instant::now);
        }
        if let Some(refused) = refused
            && enough.is_cancelled()
            && refusals >= 5
        {
            return Called { accepted, refused };
        }
        sleep(PACE).await;
    }
}

/// A stream of this officer's, after its first message: when it ends.
async fn watch(officer: &OfficerChannel) -> JoinHandle<Instant> {
    let request = v1::WatchEventsRequest { cursor: String::new() };
    let mut stream = EventServiceClient::new(officer.clone()).watch_events(request).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    tokio::spawn(async move {
        while let Ok(Some(_)) = stream.message().await {}
        Instant::now()
    })
}

/// A connection that goes by no goodbye: when it is cut.
async fn hold(world: &World, context: &Context) -> JoinHandle<Instant> {
    let folder = world.workspace.folder();
    let file = |name: &PathBuf| folder.join(name);
    let credentials = Credentials::from_files(&file(&context.certificate_file), &file(&context.key_file)).unwrap();
    let config = client_config(certificates_from_file(&file(&context.roots_file)).unwrap(), Some(credentials)).unwrap();
    let socket = TcpStream::connect(world.node.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut line = TlsConnector::from(Arc::clone(&config)).connect(name, socket).await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    line.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings].concat()).await.unwrap();
    line.flush().await.unwrap();
    // The node has it when it answers.
    let mut heard = [0; 1024];
    assert!(line.read(&mut heard).await.unwrap() > 0);
    tokio::spawn(async move {
        while line.read(&mut heard).await.is_ok_and(|bytes| bytes > 0) {}
        Instant::now()
    })
}
