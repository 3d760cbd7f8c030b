//! `EventService/WatchEvents`: the list of events, read again whenever there may be something new.
//!
//! A stream is pulled: the next reading begins when the connection has room for its message. So nothing that was read
//! waits behind a slow reader while the caller loses its authority, and a reader that has stopped costs a small state
//! and no reading, until it has taken nothing for so long that its connection is cut.

use std::collections::HashMap;
use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tonic::codegen::tokio_stream::Stream;
use tonic::{Request, Status};

use super::admission::shown;
use super::status::{failed, too_many_streams, unauthenticated};
use super::{Desk, convert};
use crate::connections::Leaving;
use crate::domain::AgencyId;
use crate::exchange::Page;
use crate::identity::Peer;
use crate::proto::v1::WatchEventsResponse;

/// How often a stream looks when nothing tells it to: what falls due, and another replica's commits, nobody tells of.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a stream waits between two readings, so that a busy node is not read as often as it commits.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(250);

/// What streams may take of a node.
#[derive(Debug, Clone, Copy)]
pub struct StreamLimits {
    /// How often a stream tells that it is there.
    pub heartbeat: Duration,
    /// How many one agency may have open.
    pub per_agency: usize,
}

/// The open streams, counted by agency.
#[derive(Debug)]
pub(super) struct Streams {
    limits: StreamLimits,
    open: Mutex<HashMap<AgencyId, usize>>,
}

/// One open stream's place among them, given up when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    streams: Arc<Streams>,
    agency: AgencyId,
}

impl Streams {
    pub(super) fn new(limits: StreamLimits) -> Self {
        Self { limits, open: Mutex::default() }
    }

    /// A place for another stream, if the agency may have one more.
    pub(super) fn open(self: &Arc<Self>, agency: &AgencyId) -> Result<Place, Status> {
        let mut open = self.counts();
        let count = open.entry(agency.clone()).or_default();
        if *count >= self.limits.per_agency {
            return Err(too_many_streams(self.limits.per_agency));
        }
        *count += 1;
        Ok(Place { streams: Arc::clone(self), agency: agency.clone() })
    }

    /// Nothing panics while it is held.
    fn counts(&self) -> MutexGuard<'_, HashMap<AgencyId, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(count) = self.streams.counts().get_mut(&self.agency) {
            *count = count.saturating_sub(1);
        }
    }
}

/// What the request showed of its caller, to be looked at again before each message.
pub(super) struct Shown {
    method: &'static str,
    peer: Arc<Peer>,
    header: Option<String>,
    leaving: Leaving,
}

impl Shown {
    pub(super) fn of<T>(method: &'static str, request: &Request<T>) -> Result<Self, Status> {
        let (peer, header) = shown(request)?;
        let leaving = request.extensions().get::<Leaving>().cloned().unwrap_or_default();
        Ok(Self { method, peer: Arc::clone(peer), header: header.map(str::to_owned), leaving })
    }

    pub(super) fn method(&self) -> &'static str {
        self.method
    }
}

/// An agency's events, as they come.
pub struct Watch(Option<Turn>);

type Turn = Pin<Box<dyn Future<Output = (Option<Following>, Option<Message>)> + Send>>;
type Message = Result<WatchEventsResponse, Status>;

impl Watch {
    /// Begins with the first reading; what is wrong with the request is its error.
    pub(super) async fn begin(desk: Desk, shown: Shown, page: Page, place: Place) -> Result<Self, Status> {
        let heartbeat = place.streams.limits.heartbeat;
        let now = Instant::now();
        let mut beat = interval_at(now + heartbeat, heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let commits = desk.0.exchange.commits();
        let mut following = Following { desk, shown, page, commits, beat, read_at: now, more: false, _place: place };
        let first = following.read().await?;
        Ok(Self(Some(Box::pin(async { (Some(following), Some(Ok(first))) }))))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch(..)")
    }
}

impl Stream for Watch {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let Some(turn) = &mut self.0 else { return Poll::Ready(None) };
        let (following, message) = ready!(turn.as_mut().poll(cx));
        self.0 = following.map(|following| Box::pin(following.turn()) as Turn);
        Poll::Ready(message)
    }
}

/// A stream between two messages.
struct Following {
    desk: Desk,
    shown: Shown,
    /// From where the next reading goes on.
    page: Page,
    commits: watch::Receiver<()>,
    beat: Interval,
    read_at: Instant,
    /// Whether there is more to read already.
    more: bool,
    _place: Place,
}

impl Following {
    /// Waits for the next message. None: the stream ends well, and whoever watches goes on from the last cursor.
    async fn turn(mut self) -> (Option<Self>, Option<Message>) {
        loop {
            let mut is_time = false;
            if !self.more {
                tokio::select! {
                    biased;
                    () = self.shown.leaving.said() => {}
                    _ = self.beat.tick() => is_time = true,
                    () = stirred(&mut self.commits, self.read_at) => {}
                }
            }
            if self.shown.leaving.is_said() {
                // Well, unless nobody vouches for who watches any more.
                let now = self.desk.0.exchange.node().clock().now();
                return (None, (!self.shown.peer.is_vouched_for(now)).then(|| Err(unauthenticated())));
            }
            match self.read().await {
                Ok(message) if message.events.is_empty() && !is_time => {}
                Ok(message) => return (Some(self), Some(Ok(message))),
                Err(status) => return (None, Some(Err(status))),
            }
        }
    }

    /// Reads what came since, as a call of its own would: by the token as it is now, and in a transaction that turns a
    /// suspended caller away.
    async fn read(&mut self) -> Message {
        let Shown { method, peer, header, .. } = &self.shown;
        let caller = self.desk.identify(method, peer, header.as_deref())?;
        let exchange = self.desk.0.exchange.on_behalf_of(caller.actor());
        let found = exchange.events(self.page.clone()).await.map_err(failed)?;
        self.read_at = Instant::now();
        self.more = found.more;
        self.page.token.clone_from(&found.cursor);
        let events = found.events.into_iter().map(convert::event).collect();
        Ok(WatchEventsResponse { events, cursor: found.cursor })
    }
}

/// Waits until there may be something new.
async fn stirred(commits: &mut watch::Receiver<()>, read_at: Instant) {
    let told = async {
        if commits.changed().await.is_err() {
            pending::<()>().await;
        }
        sleep_until(read_at + LOOK_AT_MOST_EVERY).await;
    };
    tokio::select! {
        () = told => {}
        () = sleep_until(read_at + LOOK_EVERY) => {}
    }
}
