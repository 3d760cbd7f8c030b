//! The accept loop: every connection is shaken hands with, served, limited and closed by us.
//!
//! WHY: tonic's own server limits neither streams nor resets, never drops a silent peer, can't send GOAWAY at an age,
//! and can't close one connection. So hyper serves each socket over tonic's routes, and each request carries an
//! `Arc<Peer>` and a [`Leaving`] in its extensions. What hyper doesn't limit either is watched in `conduct`.

mod account;
mod conduct;
mod counted;
mod deadline;
mod frames;
mod handshakes;
mod proxied;
mod registry;

use std::convert::Infallible;
use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::service::Routes;

use crate::identity::Peer;
use crate::telemetry::{Call, Metrics, Traces};
use crate::tls::{Acceptor, Inadmissible, is_post_quantum};

use account::Accounts;
use conduct::{Answer, Conduct, Watched};
pub(crate) use handshakes::{Handshakes, Underway};
pub use proxied::Sources;
use registry::Open;
pub use registry::{Connections, Count};

/// How long to wait after a failed accept: without descriptors, trying at once would only spin.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(50);

/// Descriptors that the node needs for itself: its files, its database, its listeners.
const DESCRIPTORS_OF_OURS: usize = 64;

/// What one peer may take of this node.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Handshakes at the same time; for another one, the oldest of the source with the most of them has to go.
    pub handshakes: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// Open connections of one agency; further ones are closed after the handshake.
    pub connections_per_agency: usize,
    /// Calls of one agency that are under way at the same time; further ones are turned away.
    pub calls_per_agency: usize,
    /// How many bytes of such calls' requests may be here at the same time; the call that goes beyond is turned away.
    pub request_bytes_per_agency: usize,
    /// How long a peer may take for its first request.
    pub first_request: Duration,
    /// How long a peer may take nothing of what is sent to it before its connection is cut.
    pub untaken: Duration,
    /// How old a connection grows, give or take a tenth, before its peer is asked to make a new one.
    pub age: Duration,
    /// How long requests in flight may then still take.
    pub grace: Duration,
    /// How long those of a peer may still take that nobody vouches for any more.
    pub parting: Duration,
    /// The deadline of a request that states none.
    pub usual_deadline: Duration,
    /// The longest deadline, whatever a request states.
    pub longest_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshakes: 256,
            handshake: Duration::from_secs(5),
            connections_per_agency: 256,
            calls_per_agency: 2048,
            request_bytes_per_agency: 64 * 1024 * 1024,
            first_request: Duration::from_secs(10),
            untaken: Duration::from_secs(30),
            age: Duration::from_mins(15),
            grace: Duration::from_secs(10),
            parting: Duration::from_millis(500),
            usual_deadline: Duration::from_secs(10),
            longest_deadline: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// The same for a process that may open so many descriptors, with no agency's connections taking another's room.
    #[must_use]
    pub fn within(self, descriptors: usize, agencies: usize) -> Self {
        let room = descriptors.saturating_sub(DESCRIPTORS_OF_OURS);
        let handshakes = self.handshakes.min(room / 4).max(1);
        let share = room.saturating_sub(handshakes) / agencies.max(1);
        Self { handshakes, connections_per_agency: self.connections_per_agency.min(share).max(1), ..self }
    }
}

/// Of one connection: whether its peer has been asked to make a new one, because it has reached its age or the node
/// stops. An answer that goes on should end then: it has the grace period for it.
#[derive(Debug, Clone, Default)]
pub struct Leaving(CancellationToken);

impl Leaving {
    /// Waits until it has been.
    pub async fn said(&self) {
        self.0.cancelled().await;
    }

    /// Whether it has been.
    pub fn is_said(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// What every connection is served with.
struct Node {
    acceptor: Arc<ArcSwap<Acceptor>>,
    routes: Routes,
    connections: Arc<Connections>,
    shutdown: CancellationToken,
}

/// Serves the listener's connections until shutdown; returns when the last of them is closed, at the latest after the
/// grace period.
///
/// A connection is accepted with the acceptor of that moment. Putting another in place touches no open connection:
/// [`Connections::end`] does.
pub async fn serve(
    listener: TcpListener,
    acceptor: Arc<ArcSwap<Acceptor>>,
    routes: Routes,
    connections: Arc<Connections>,
    shutdown: CancellationToken,
) {
    let handshakes = Handshakes::new(connections.limits().handshakes);
    let node = Arc::new(Node { acceptor, routes: routes.prepare(), connections, shutdown });
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = node.shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, address)) => {
                let underway = handshakes.begin(address.ip());
                tasks.spawn(Arc::clone(&node).converse(socket, underway));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection couldn't be accepted");
                handshakes.push_out();
                sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

impl Node {
    /// One connection from its first byte to its last.
    async fn converse(self: Arc<Self>, socket: TcpStream, mut underway: Underway) {
        let mut address = socket.peer_addr().ok();
        let pushed_out = underway.pushed_out();
        let shaken = tokio::select! {
            shaken = self.shake_hands(socket, &mut address, &mut underway) => shaken,
            () = pushed_out => Err(io::Error::other("others wait, and no source has more handshakes than its own")),
        };
        drop(underway);
        let (stream, peer) = match shaken {
            Ok(shaken) => shaken,
            Err(reason) => {
                self.turned_away();
                tracing::info!(?address, %reason, "a peer was turned away");
                return;
            }
        };
        let peer = Arc::new(peer);
        let chain: Arc<[_]> = stream.get_ref().1.peer_certificates().unwrap_or_default().into();
        let group = stream.get_ref().1.negotiated_key_exchange_group().map(rustls::crypto::SupportedKxGroup::name);
        let is_post_quantum = group.is_some_and(is_post_quantum);
        let Some(open) = self.connections.register(&peer, Arc::clone(&chain), is_post_quantum) else {
            self.turned_away();
            let (agency, fingerprint) = (peer.agency(), peer.fingerprint().to_hex());
            tracing::info!(?address, %agency, fingerprint, "an agency has too many connections, or a suspended certificate");
            return;
        };
        if let Err(reason) = self.judge_by_the_newest(&peer, &chain) {
            self.turned_away();
            tracing::info!(?address, %reason, "a peer was turned away");
            return;
        }
        drop(chain);
        self.connections.metrics().handshakes.of([("result", "accepted")]).inc();
        let (agency, fingerprint) = (peer.agency(), peer.fingerprint().to_hex());
        tracing::info!(?address, %agency, fingerprint, ?group, is_post_quantum, "a system is connected");
        self.carry(stream, peer, &open).await;
    }

    /// Whether a registered peer is vouched for by what is trusted now, and from now on by what.
    ///
    /// WHY: if trust changed during the handshake, the one who judges the open connections may have looked before this one
    /// was registered. Either they saw it, or we see the new acceptor here. If it changes once more meanwhile, what we found
    /// may have replaced what they did.
    fn judge_by_the_newest(&self, peer: &Peer, chain: &[CertificateDer<'_>]) -> Result<(), Inadmissible> {
        loop {
            let acceptor = self.acceptor.load_full();
            peer.renew(&acceptor.judge(chain)?);
            if Arc::ptr_eq(&acceptor, &self.acceptor.load_full()) {
                return Ok(());
            }
        }
    }

    fn turned_away(&self) {
        self.connections.metrics().handshakes.of([("result", "refused")]).inc();
    }

    /// Where a listed source stands between, the address becomes the one that it says.
    async fn shake_hands(
        &self,
        mut socket: TcpStream,
        address: &mut Option<SocketAddr>,
        underway: &mut Underway,
    ) -> io::Result<(TlsStream<TcpStream>, Peer)> {
        socket.set_nodelay(true)?;
        let acceptor = self.acceptor.load_full();
        let shaking = async {
            if address.is_some_and(|address| self.connections.sources().has(address.ip()))
                && let Some(stated) = proxied::read(&mut socket).await?
            {
                underway.comes_from(stated.ip());
                *address = Some(stated);
            }
            acceptor.accept(socket).await
        };
        timeout(self.connections.limits().handshake, shaking).await?
    }

    /// Serves requests until the peer leaves; at shutdown, of old age or if nobody vouches for the peer any more says
    /// GOAWAY and waits for what is in flight: for the grace period, or for a moment.
    async fn carry(&self, stream: TlsStream<TcpStream>, peer: Arc<Peer>, open: &Open) {
        let limits = *self.connections.limits();
        let spoken = CancellationToken::new();
        let leaving = Leaving::default();
        let conduct = Conduct::new(limits.untaken);
        let stream = Watched::new(stream, Arc::clone(&conduct));
        let seat = Seat {
            peer: Arc::clone(&peer),
            limits,
            spoken: spoken.clone(),
            leaving: leaving.clone(),
            accounts: Arc::clone(open.accounts()),
            conduct: Arc::clone(&conduct),
            metrics: Arc::clone(self.connections.metrics()),
            traces: Arc::clone(self.connections.traces()),
        };
        let service = seat.service(self.routes.clone());
        let mut connection = pin!(http2_settings().serve_connection(TokioIo::new(stream), service));
        let cut = |ended: hyper::Result<()>| match conduct.breach() {
            Some(breach) => {
                let (agency, fingerprint) = (peer.agency(), peer.fingerprint().to_hex());
                tracing::warn!(%agency, fingerprint, reason = %breach, "a connection was cut");
            }
            None => log(ended),
        };
        tokio::select! {
            biased;
            () = open.ended() => {}
            ended = connection.as_mut() => return cut(ended),
            () = conduct.failed() => return cut(Ok(())),
            () = silence(limits.first_request, &spoken) => return,
            () = self.shutdown.cancelled() => {}
            () = sleep(give_or_take_a_tenth(limits.age)) => {}
        }
        leaving.0.cancel();
        connection.as_mut().graceful_shutdown();
        let parting = async {
            open.ended().await;
            sleep(limits.parting).await;
        };
        tokio::select! {
            biased;
            ended = connection => cut(ended),
            () = parting => {}
            () = sleep(limits.grace) => {}
        }
    }
}

/// What each request of one connection is served with.
struct Seat {
    peer: Arc<Peer>,
    limits: Limits,
    spoken: CancellationToken,
    leaving: Leaving,
    accounts: Arc<Accounts>,
    conduct: Arc<Conduct>,
    metrics: Arc<Metrics>,
    traces: Arc<Traces>,
}

impl Seat {
    /// Tonic's routes, with the peer in each request and a deadline on each answer, each call counted.
    fn service(self, routes: Routes) -> impl HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send> {
        service_fn(move |mut request: Request<Incoming>| {
            self.spoken.cancel();
            request.extensions_mut().insert(Arc::clone(&self.peer));
            request.extensions_mut().insert(self.leaving.clone());
            let call = Call::begin(&self.metrics, &self.traces, request.uri().path(), request.headers());
            let answer = deadline::answer(routes.clone(), request, self.limits, Arc::clone(&self.accounts));
            let conduct = Arc::clone(&self.conduct);
            async move {
                let answer = counted::to_its_end(answer.await, call);
                Ok::<Response<Body>, Infallible>(answer.map(|body| Answer::watched(body, conduct)))
            }
        })
    }
}

/// Returns after this time if nothing was spoken by then, and otherwise never.
async fn silence(patience: Duration, spoken: &CancellationToken) {
    if timeout(patience, spoken.cancelled()).await.is_ok() {
        pending::<()>().await;
    }
}

/// So that connections made at one moment aren't all renewed at one moment.
fn give_or_take_a_tenth(age: Duration) -> Duration {
    let random = u32::try_from(RandomState::new().hash_one(()) % 2001).unwrap_or_default();
    age / 10_000 * (9_000 + random)
}

fn http2_settings() -> http2::Builder<TokioExecutor> {
    let mut settings = http2::Builder::new(TokioExecutor::new());
    settings
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_local_error_reset_streams(64)
        .max_pending_accept_reset_streams(20)
        .max_header_list_size(8 * 1024)
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    settings
}

fn log(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

#[cfg(test)]
mod tests;
