//! A call that is cut short, by its deadline or by a client that goes away, leaves neither an open transaction nor a
//! lost write: asking again with the same `request_id` gives the one result that it has.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};
use concordat::client::TokenMaker;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::ledger_service_client::LedgerServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::{self};
use concordat::tls::{self, Credentials};
use prost::Message;
use rustls::pki_types::ServerName;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::Code;

use crate::builders::Held;
use crate::harness::{PURPOSES, World, on_both_databases, request_id};

const RELEASE: &str = "/concordat.v1.ReleaseService/RequestRelease";
const RECORD: &str = "/concordat.v1.ConsentService/RecordConsent";
const ENTRIES: &str = "/concordat.v1.LedgerService/ListEntries";

/// A deadline that no call misses.
pub(crate) const LONG: Duration = Duration::from_secs(10);
/// How many calls are cut in each way.
const CUTS: u32 = 120;

/// When each call is cut: evenly spread over the life of one that is not cut, and a little longer; the first at once.
async fn deadlines<T>(usual: impl AsyncFn() -> T) -> impl Iterator<Item = Duration> {
    let mut times = Vec::new();
    for _ in 0..7 {
        let began = Instant::now();
        drop(usual().await);
        times.push(began.elapsed());
    }
    times.sort();
    let whole = times[times.len() / 2] * 5 / 4;
    (0..CUTS).map(move |step| whole * step / CUTS)
}

/// Sees the node's transactions from outside.
pub(crate) enum Watch {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Watch {
    pub(crate) async fn new(world: &World) -> Self {
        let url = world.config.database_url();
        if url.starts_with("sqlite:") {
            Self::Sqlite(SqliteConnection::connect(&url).await.unwrap())
        } else {
            Self::Postgres(PgConnection::connect(&url).await.unwrap())
        }
    }

    /// No transaction of the node's is left open. What was under way when its call was cut may take a moment; what
    /// was lost stays until the database ends it after five seconds.
    pub(crate) async fn settled(&mut self) {
        let until = Instant::now() + Duration::from_secs(4);
        loop {
            let open = self.open().await;
            if open == 0 {
                return;
            }
            assert!(Instant::now() < until, "{open} transactions are left open");
        }
    }

    async fn open(&mut self) -> i64 {
        match self {
            Self::Sqlite(connection) => {
                // A reader that still holds its snapshot, or a writer, keeps the log from being emptied.
                let query = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)");
                let (busy, _, _): (i64, i64, i64) = query.fetch_one(connection).await.unwrap();
                busy
            }
            Self::Postgres(connection) => {
                let query = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()
                             AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND application_name = 'concordat'";
                sqlx::query_scalar(query).fetch_one(connection).await.unwrap()
            }
        }
    }
}

/// A raw HTTP/2 client. Only the node knows of its deadlines: tonic's client would keep them itself.
pub(crate) struct Wire {
    sender: h2::client::SendRequest<Bytes>,
    token: TokenMaker,
}

impl World {
    pub(crate) async fn wire(&self, agency: &str, officer: &str, roles: &[&str]) -> Wire {
        let folder = self.workspace.folder();
        let context = self.workspace.context(agency, officer, roles, &PURPOSES, "one", self.node.address);
        let roots = tls::certificates_from_file(&folder.join(&context.roots_file)).unwrap();
        let (certificate, key) = (folder.join(&context.certificate_file), folder.join(&context.key_file));
        let credentials = Credentials::from_files(&certificate, &key).unwrap();
        let connector = TlsConnector::from(tls::client_config(roots, Some(credentials)).unwrap());
        let socket = TcpStream::connect(self.node.address).await.unwrap();
        let stream = connector.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Wire { sender, token: context.token_maker(folder, self.clock.clone()).unwrap() }
    }

    /// How often each idempotency key stands in the ledger, as its agency's auditor sees it.
    pub(crate) async fn entries_by_key(&self, agency: &str) -> BTreeMap<String, usize> {
        let mut auditor = LedgerServiceClient::new(self.officer(agency, "aud", &["auditor"]));
        let mut counted = BTreeMap::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListEntriesRequest { page_size: 200, page_token };
            let page = auditor.list_entries(request).await.unwrap().into_inner();
            for receipt in &page.receipts {
                let verified = self.verified(Some(receipt));
                let shared = verified.table_ask.map(|ask| ask.request_id);
                let shared = shared.or(verified.theme_ask.map(|ask| ask.request_id));
                let key = verified.ask.map(|ask| ask.request_id).or(verified.act.map(|act| act.request_id));
                let key = key.or(shared);
                // Another agency's ask is open to its holder without its key.
                if let Some(key) = key {
                    *counted.entry(key).or_default() += 1;
                }
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return counted;
            }
        }
    }

    /// A record of a consent that changes nothing for anybody until it is verified.
    fn record(&self, held: &Held) -> v1::RecordConsentRequest {
        v1::RecordConsentRequest {
            request_id: request_id(),
            consent_id: String::new(),
            organisation_id: held.organisation.clone(),
            scope: Some(self.scope(held)),
            evidence: Some(self.evidence()),
        }
    }
}

impl Wire {
    /// One call with a deadline that the node keeps; its status, and its answer if there is one.
    pub(crate) async fn call(&self, path: &str, message: &[u8], deadline: Duration) -> (Code, Bytes) {
        let request = http::Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", self.token.token().unwrap()))
            .header("grpc-timeout", format!("{}u", deadline.as_micros()));
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).unwrap());
        framed.put_slice(message);
        let mut sender = self.sender.clone().ready().await.unwrap();
        let (answer, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        // Before it has read all of a call that is late already, the node may have answered it and closed the stream.
        drop(body.send_data(framed.freeze(), true));
        let (head, mut stream) = answer.await.unwrap().into_parts();
        let mut bytes = BytesMut::new();
        while let Some(part) = stream.data().await {
            let part = part.unwrap();
            stream.flow_control().release_capacity(part.len()).unwrap();
            bytes.put_slice(&part);
        }
        let trailers = stream.trailers().await.unwrap().unwrap_or_default();
        let status = head.headers.get("grpc-status").or(trailers.get("grpc-status")).unwrap();
        let message = if bytes.len() > 5 { bytes.split_off(5).freeze() } else { Bytes::new() };
        (Code::from_bytes(status.as_bytes()), message)
    }
}

/// Counts what came of calls that were cut.
#[derive(Debug, Default)]
struct Tally {
    cut: usize,
    answered: usize,
}

impl Tally {
    fn add(&mut self, answered: bool) {
        if answered { self.answered += 1 } else { self.cut += 1 }
    }

    /// Both kinds have to be among them, or nothing was tried.
    fn check(&self, what: &str) {
        println!("{what}: {} cut, {} answered", self.cut, self.answered);
        assert!(self.cut > 0, "{what}: no call was cut: {self:?}");
    }
}

/// Drops the call at this point, wherever it is then. Whether it was answered before.
async fn cut<T>(after: Duration, call: impl Future<Output = T>) -> bool {
    timeout(after, call).await.is_ok()
}

on_both_databases! {
    /// Asks whose content is opened, too, so that a cut can fall into any of gate, commit, receipt and release.
    async fn a_release_that_is_cut_is_there_once_or_not_at_all(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world.give_consent(&held, world.scope(&held)).await;
        world.authorise(&held).await;
        let wire = world.wire("ico", "req", &["requester"]).await;
        let requester = ReleaseServiceClient::new(world.officer("ico", "req", &["requester"]));
        let mut watch = Watch::new(&world).await;
        let mut asks = Vec::new();

        let usual = async || wire.call(RELEASE, &world.ask(&held).encode_to_vec(), LONG).await;
        let mut by_deadline = Tally::default();
        for deadline in deadlines(usual).await {
            let ask = world.ask(&held);
            let (code, _) = wire.call(RELEASE, &ask.encode_to_vec(), deadline).await;
            watch.settled().await;
            assert!(matches!(code, Code::Ok | Code::DeadlineExceeded), "after {deadline:?}: {code:?}");
            by_deadline.add(code == Code::Ok);
            asks.push(ask);
        }
        by_deadline.check("releases, by deadline");

        let usual = async || requester.clone().request_release(world.ask(&held)).await.unwrap();
        let mut by_leaving = Tally::default();
        for deadline in deadlines(usual).await {
            let ask = world.ask(&held);
            by_leaving.add(cut(deadline, requester.clone().request_release(ask.clone())).await);
            watch.settled().await;
            asks.push(ask);
        }
        by_leaving.check("releases, by leaving");

        // All at once, so that one batch has both those who left and those who wait.
        let mut leaving = Vec::new();
        for deadline in deadlines(usual).await.map(|deadline| deadline * 10) {
            let (ask, mut requester) = (world.ask(&held), requester.clone());
            asks.push(ask.clone());
            leaving.push(tokio::spawn(async move { cut(deadline, requester.request_release(ask)).await }));
        }
        let mut together = Tally::default();
        for one in leaving {
            together.add(one.await.unwrap());
        }
        together.check("releases, together");

        let before = world.entries_by_key("ico").await;
        let cut_and_done = asks.iter().filter(|ask| before.contains_key(&ask.request_id)).count();
        println!("of {} asks {cut_and_done} had their entry before they were repeated", asks.len());
        let mut indexes = BTreeMap::new();
        for ask in &asks {
            let answer = requester.clone().request_release(ask.clone()).await.unwrap().into_inner();
            assert!(matches!(answer.outcome, Some(Outcome::Released(ref r)) if r.content_included), "{answer:?}");
            let again = requester.clone().request_release(ask.clone()).await.unwrap().into_inner();
            let (index, second) = (answer.receipt.unwrap().index, again.receipt.unwrap().index);
            assert_eq!(index, second, "a repeat has another entry");
            assert_eq!(again.request, answer.request);
            assert!(indexes.insert(index, ask.request_id.clone()).is_none(), "two asks have one entry");
        }
        let entries = world.entries_by_key("ico").await;
        for ask in &asks {
            assert_eq!(entries.get(&ask.request_id), Some(&1), "entries of {}", ask.request_id);
        }
        watch.settled().await;
    }

    async fn a_consent_that_is_cut_is_there_once_or_not_at_all(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let wire = world.wire("ncsc", "rec", &["recorder"]).await;
        let recorder = ConsentServiceClient::new(world.officer("ncsc", "rec", &["recorder"]));
        let mut watch = Watch::new(&world).await;
        let before = world.hold("ncsc", "ico").await;
        let mut records = Vec::new();

        let usual = async || wire.call(RECORD, &world.record(&before).encode_to_vec(), LONG).await;
        let mut by_deadline = Tally::default();
        for deadline in deadlines(usual).await {
            let record = world.record(&held);
            let (code, _) = wire.call(RECORD, &record.encode_to_vec(), deadline).await;
            watch.settled().await;
            assert!(matches!(code, Code::Ok | Code::DeadlineExceeded), "after {deadline:?}: {code:?}");
            by_deadline.add(code == Code::Ok);
            records.push(record);
        }
        by_deadline.check("consents, by deadline");
        let usual = async || recorder.clone().record_consent(world.record(&before)).await.unwrap();
        let mut by_leaving = Tally::default();
        for deadline in deadlines(usual).await {
            let record = world.record(&held);
            by_leaving.add(cut(deadline, recorder.clone().record_consent(record.clone())).await);
            watch.settled().await;
            records.push(record);
        }
        by_leaving.check("consents, by leaving");

        let mut made = BTreeMap::new();
        for record in &records {
            let first = recorder.clone().record_consent(record.clone()).await.unwrap().into_inner();
            let again = recorder.clone().record_consent(record.clone()).await.unwrap().into_inner();
            assert_eq!(first.consent_id, again.consent_id, "a repeat made another consent");
            assert_eq!(first.receipt.unwrap().index, again.receipt.unwrap().index);
            made.insert(first.consent_id, record.request_id.clone());
        }
        assert_eq!(made.len(), records.len(), "two calls made one consent");
        let entries = world.entries_by_key("ncsc").await;
        for record in &records {
            assert_eq!(entries.get(&record.request_id), Some(&1), "entries of {}", record.request_id);
        }
        // No more consents than entries: what was written was written whole.
        let mut listed = 0;
        let mut page_token = String::new();
        loop {
            let organisation_id = held.organisation.clone();
            let request = v1::ListConsentsRequest { page_size: 200, page_token, organisation_id };
            let page = recorder.clone().list_consents(request).await.unwrap().into_inner();
            listed += page.consents.len();
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(listed, records.len());
    }

    /// Readers have few connections: one that a cut call left unusable would soon be missed.
    async fn reads_that_are_cut_leave_nothing_open(world: World) {
        for _ in 0..4 {
            drop(world.hold("ncsc", "ico").await);
        }
        let wire = Arc::new(world.wire("ncsc", "aud", &["auditor"]).await);
        let request = v1::ListEntriesRequest { page_size: 200, page_token: String::new() }.encode_to_vec();
        let mut watch = Watch::new(&world).await;
        let mut tally = Tally::default();
        for deadline in deadlines(async || wire.call(ENTRIES, &request, LONG).await).await {
            let (code, _) = wire.call(ENTRIES, &request, deadline).await;
            watch.settled().await;
            assert!(matches!(code, Code::Ok | Code::DeadlineExceeded), "after {deadline:?}: {code:?}");
            tally.add(code == Code::Ok);
        }
        let auditor = LedgerServiceClient::new(world.officer("ncsc", "aud", &["auditor"]));
        let list = || v1::ListEntriesRequest { page_size: 200, page_token: String::new() };
        for deadline in deadlines(async || auditor.clone().list_entries(list()).await.unwrap()).await {
            tally.add(cut(deadline, auditor.clone().list_entries(list())).await);
            watch.settled().await;
        }
        tally.check("reads");

        let many = (0..16).map(|_| {
            let (wire, request) = (Arc::clone(&wire), request.clone());
            tokio::spawn(async move { wire.call(ENTRIES, &request, LONG).await })
        });
        for one in many.collect::<Vec<_>>() {
            assert_eq!(one.await.unwrap().0, Code::Ok, "the node answers as before");
        }
    }

    /// The deadline is the node's to keep, and missing it has its own status; within it the answer is the usual one.
    async fn a_missed_deadline_says_so(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let wire = world.wire("ico", "req", &["requester"]).await;
        let ask = world.ask(&held).encode_to_vec();
        let (code, answer) = wire.call(RELEASE, &ask, Duration::ZERO).await;
        assert_eq!((code, answer.len()), (Code::DeadlineExceeded, 0));
        let (code, answer) = wire.call(RELEASE, &ask, LONG).await;
        assert_eq!(code, Code::Ok);
        let answer = v1::RequestReleaseResponse::decode(answer).unwrap();
        assert!(matches!(answer.outcome, Some(Outcome::Open(_))));
        world.verified(answer.receipt.as_ref());
    }
}
