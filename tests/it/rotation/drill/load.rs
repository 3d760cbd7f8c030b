//! Calls of every kind that go on meanwhile, of which none may fail.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use concordat::clock::Clock;
use concordat::dev::Workspace;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_response::Outcome;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;

/// What to call with: where the node is, and which of [`KEYS`] signs the NCSC's tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edition {
    pub(super) number: u64,
    pub(super) node: SocketAddr,
    pub(super) key: usize,
}

/// What a caller does, over and over.
enum Work {
    Read,
    /// Asks for what is released.
    Ask(v1::RequestReleaseRequest),
    /// Writes a consent down, and that it was refused.
    Write(v1::RecordConsentRequest),
}

impl Work {
    /// Does it once, or what of it is not done yet under these numbers.
    async fn once(&self, officer: &mut OfficerChannel, [first, second]: &[String; 2]) -> Result<(), Status> {
        match self {
            Self::Read => {
                let mut ledger = LedgerServiceClient::new(officer);
                ledger.get_checkpoint(v1::GetCheckpointRequest {}).await.map(|_| ())
            }
            Self::Ask(ask) => {
                let ask = v1::RequestReleaseRequest { request_id: first.clone(), ..ask.clone() };
                let outcome = ReleaseServiceClient::new(officer).request_release(ask).await?.into_inner().outcome;
                assert!(matches!(outcome, Some(Outcome::Released(_))), "not released");
                Ok(())
            }
            Self::Write(record) => {
                let record = v1::RecordConsentRequest { request_id: first.clone(), ..record.clone() };
                let mut consents = ConsentServiceClient::new(officer);
                let consent_id = consents.record_consent(record).await?.into_inner().consent_id;
                let refusal = v1::RefuseConsentRequest { request_id: second.clone(), consent_id };
                consents.refuse_consent(refusal).await.map(|_| ())
            }
        }
    }
}

/// One officer, who calls on a connection that stays, and each time on a new one.
struct Caller {
    agency: &'static str,
    officer: &'static str,
    roles: &'static [&'static str],
    work: Work,
    /// Whether the node restarts: then each call is repeated until it is answered.
    repeats: bool,
    workspace: Arc<Workspace>,
    clock: Clock,
    editions: watch::Receiver<Edition>,
    /// The number of the last edition that it called with.
    called_with: Arc<AtomicU64>,
}

/// How many calls were answered, and how long the longest of them took.
type Calls = (usize, Duration);

impl Caller {
    /// With its files as they are. Half of a pair is waited out.
    async fn connect(&self, edition: Edition) -> OfficerChannel {
        let (agency, officer, address) = (self.agency, self.officer, edition.node);
        let mut context = self.workspace.context(agency, officer, self.roles, &PURPOSES, "one", address);
        if agency == "ncsc" {
            let (kid, _, key) = KEYS[edition.key];
            let section = signing(&mut context);
            (section.kid, section.key_file) = (kid.to_owned(), key.into());
        }
        let folder = self.workspace.folder();
        let whole = async {
            loop {
                match context.officer(folder, self.clock.clone()) {
                    Ok(officer) => return officer,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        timeout(WITHIN, whole).await.expect("its files can be used")
    }

    async fn call(mut self, stop: CancellationToken) -> Calls {
        let (mut calls, mut longest) = (0, Duration::ZERO);
        let mut edition = *self.editions.borrow_and_update();
        let mut staying = self.connect(edition).await;
        while !stop.is_cancelled() {
            if self.editions.has_changed().unwrap() {
                edition = *self.editions.borrow_and_update();
                staying = self.connect(edition).await;
            }
            for is_new in [false, true] {
                let mut another = if is_new { Some(self.connect(edition).await) } else { None };
                let (began, numbers) = (Instant::now(), [request_id(), request_id()]);
                loop {
                    let officer = another.as_mut().unwrap_or(&mut staying);
                    let Err(status) = self.work.once(officer, &numbers).await else { break };
                    let is_passing = [Code::Unavailable, Code::Cancelled, Code::Unknown].contains(&status.code());
                    assert!(self.repeats && is_passing, "{} of {}: {status:?}", self.officer, self.agency);
                    assert!(began.elapsed() < WITHIN, "{} of {} is never answered", self.officer, self.agency);
                    sleep(PACE).await;
                    edition = *self.editions.borrow_and_update();
                    *another.as_mut().unwrap_or(&mut staying) = self.connect(edition).await;
                }
                longest = longest.max(began.elapsed());
                calls += 1;
            }
            self.called_with.store(edition.number, Ordering::Release);
            sleep(PACE).await;
        }
        (calls, longest)
    }
}

/// All of them.
pub(super) struct Load {
    editions: watch::Sender<Edition>,
    calling: Vec<(&'static str, Arc<AtomicU64>, JoinHandle<Calls>)>,
    stop: CancellationToken,
}

impl Load {
    /// How many of them call for the NCSC.
    pub(super) const OF_NCSC: usize = 3;

    /// Each has called when it returns.
    pub(super) async fn begin(world: &World, repeats: bool) -> Self {
        let released = world.hold("ico", "ncsc").await;
        world.authorise(&released).await;
        let written = world.consent_to_record(&world.hold("ncsc", "ico").await);
        let edition = Edition { number: 0, node: world.node.address, key: 0 };
        let (editions, stop) = (watch::Sender::new(edition), CancellationToken::new());
        let callers: [(_, &str, &str, &[&str], Work); 4] = [
            ("reads of another agency", "ico", "watcher", &["auditor"], Work::Read),
            ("reads", "ncsc", "watcher", &["auditor"], Work::Read),
            ("releases", "ncsc", "req", &["requester"], Work::Ask(world.ask(&released))),
            ("consents", "ncsc", "rec", &["recorder"], Work::Write(written)),
        ];
        let calling = callers.into_iter().map(|(what, agency, officer, roles, work)| {
            let called_with = Arc::new(AtomicU64::new(0));
            let caller = Caller {
                agency,
                officer,
                roles,
                work,
                repeats,
                workspace: Arc::clone(&world.workspace),
                clock: world.clock.clone(),
                editions: editions.subscribe(),
                called_with: Arc::clone(&called_with),
            };
            (what, called_with, tokio::spawn(caller.call(stop.clone())))
        });
        let load = Self { calling: calling.collect(), editions, stop };
        load.move_to(edition).await;
        load
    }

    pub(super) fn edition(&self) -> Edition {
        *self.editions.borrow()
    }

    /// Tells all of them what to call with, and waits until each has.
    pub(super) async fn move_to(&self, edition: Edition) {
        let number = self.edition().number + 1;
        self.editions.send_replace(Edition { number, ..edition });
        for (what, called_with, calling) in &self.calling {
            let called = async {
                while called_with.load(Ordering::Acquire) < number {
                    assert!(!calling.is_finished(), "{what}: a call failed");
                    sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(WITHIN, called).await.unwrap_or_else(|_| panic!("{what}: no calls go on"));
        }
    }

    /// Ends the calls, and prints how many there were in so many rounds. None failed.
    pub(super) async fn end(self, rounds: usize) {
        self.stop.cancel();
        for (what, _, calling) in self.calling {
            let (calls, longest) = calling.await.expect("not one call fails");
            let line = serde_json::json!({
                "drill": "load", "calls": what, "rounds": rounds, "n": calls, "failed": 0,
                "longest, ms": longest.as_millis(),
            });
            println!("{line}");
        }
    }
}
