//! What a peer does on its connection, frame by frame, and when that is too much.
//!
//! WHY: neither hyper nor h2 counts frames that ask for nothing (a PING costs its sender 17 bytes and us an answer),
//! and neither notices a peer that takes nothing of what it asked for: an answer then waits here for as long as the
//! connection lives.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame as BodyFrame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic::body::Body;

use super::frames::{DATA, END_STREAM, Frame, Frames, HEADERS, RESET};

/// How many frames that ask for nothing a peer may send at once.
const CHATTER: u32 = 4_000;
/// How many of them are forgotten in each second.
const CHATTER_FORGOTTEN: u32 = 400;
/// How many of them each frame of an answer allows for: window updates, and measurements of the way.
const CHATTER_FOR_AN_ANSWER: u32 = 4;
/// A frame of data of fewer bytes counts as one of them, unless a request ends with it.
const LEAST_DATA: usize = 64;

/// How many streams may look open at once: those that it may have, and as many again and more that are being refused.
const MOST_OPEN: usize = 1_024;

/// What ends a peer's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Breach {
    /// Pings, settings, window updates, resets, empty data.
    #[error("it sends frames upon frames that ask for nothing")]
    Chatter,
    /// The windows that it leaves open have no room.
    #[error("it takes none of an answer that waits for it")]
    Untaken,
    /// Its socket takes no bytes.
    #[error("it reads nothing of what is sent")]
    Unread,
}

/// One connection's conduct.
#[derive(Debug)]
pub(super) struct Conduct {
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    received: Frames,
    sent: Frames,
    chatter: u32,
    counted_at: Instant,
    /// The last stream that the peer began.
    last: u32,
    /// The streams that are open; those that are being answered with when the last of it went out.
    open: HashMap<u32, Option<Instant>>,
    /// How many answers have nothing to send for now.
    idle: usize,
    /// Since when more answers wait than have nothing to send.
    kept_since: Option<Instant>,
    unread_since: Option<Instant>,
    breach: Option<Breach>,
}

impl Conduct {
    /// Nothing was sent or received yet. A peer may leave what is sent to it for so long.
    pub(super) fn new(patience: Duration) -> Arc<Self> {
        let state = State {
            received: Frames::of_client(),
            sent: Frames::default(),
            chatter: 0,
            counted_at: Instant::now(),
            last: 0,
            open: HashMap::new(),
            idle: 0,
            kept_since: None,
            unread_since: None,
            breach: None,
        };
        Arc::new(Self { patience, state: Mutex::new(state) })
    }

    /// What was wrong with it, if anything was.
    pub(super) fn breach(&self) -> Option<Breach> {
        self.state().breach
    }

    /// Waits until the peer has left for too long what is sent to it.
    pub(super) async fn failed(&self) {
        let every = (self.patience / 8).clamp(Duration::from_millis(20), Duration::from_secs(1));
        while self.state().judge(self.patience, Instant::now()).is_none() {
            sleep(every).await;
        }
    }

    /// Nothing panics while it is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn receive(&mut self, bytes: &[u8], now: Instant) -> Option<Breach> {
        let Self { received, chatter, last, open, .. } = self;
        let mut is_beyond = false;
        received.follow(bytes, |frame| match frame.kind {
            HEADERS if frame.stream > *last => {
                *last = frame.stream;
                open.insert(frame.stream, None);
                // More than a connection may have, and some that are being refused: it does not wait for any answer.
                is_beyond |= open.len() > MOST_OPEN;
            }
            HEADERS => {}
            DATA if frame.length >= LEAST_DATA || frame.flags & END_STREAM != 0 => {}
            kind => {
                if kind == RESET {
                    open.remove(&frame.stream);
                }
                *chatter = chatter.saturating_add(1);
            }
        });
        if is_beyond {
            self.breach = Some(Breach::Chatter);
        }
        if self.chatter > CHATTER {
            let seconds = now.saturating_duration_since(self.counted_at).as_secs();
            let forgotten = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(CHATTER_FORGOTTEN);
            self.chatter = self.chatter.saturating_sub(forgotten);
            self.counted_at = now;
            if self.chatter > CHATTER {
                self.breach = Some(Breach::Chatter);
            }
        }
        self.breach
    }

    fn send(&mut self, bytes: &[u8], now: Instant) {
        let Self { sent, chatter, open, .. } = self;
        sent.follow(bytes, |frame| match (frame, open.get_mut(&frame.stream)) {
            (Frame { kind: RESET, stream, .. }, Some(_)) => drop(open.remove(&stream)),
            (Frame { kind: HEADERS | DATA, flags, stream, .. }, Some(last)) => {
                *chatter = chatter.saturating_sub(CHATTER_FOR_AN_ANSWER);
                if flags & END_STREAM == 0 {
                    *last = Some(now);
                } else {
                    open.remove(&stream);
                }
            }
            _ => {}
        });
    }

    fn judge(&mut self, patience: Duration, now: Instant) -> Option<Breach> {
        let long_ago = |at: Instant| now.saturating_duration_since(at) >= patience;
        let halfway = |at: Instant| now.saturating_duration_since(at) >= patience / 2;
        let waiting = self.open.values().filter(|last| last.is_some_and(halfway)).count();
        // More answers than have nothing to say: it is the peer that keeps one of them waiting. One that has just
        // something to say after a long silence has half of the time from then on.
        self.kept_since = if waiting > self.idle { self.kept_since.or(Some(now)) } else { None };
        if self.unread_since.is_some_and(long_ago) {
            self.breach = Some(Breach::Unread);
        } else if self.kept_since.is_some_and(halfway) {
            self.breach = Some(Breach::Untaken);
        }
        self.breach
    }

    /// After an attempt to send.
    fn sent<T>(&mut self, outcome: &Poll<io::Result<T>>, now: Instant) {
        match outcome {
            Poll::Ready(_) => self.unread_since = None,
            Poll::Pending => drop(self.unread_since.get_or_insert(now)),
        }
    }
}

/// A connection under watch.
#[derive(Debug)]
pub(super) struct Watched<S> {
    io: S,
    conduct: Arc<Conduct>,
}

impl<S> Watched<S> {
    pub(super) fn new(io: S, conduct: Arc<Conduct>) -> Self {
        Self { io, conduct }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let received = buffer.filled().get(before..).unwrap_or_default();
        match self.conduct.state().receive(received, Instant::now()) {
            Some(breach) => Poll::Ready(Err(io::Error::other(breach))),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        let (mut state, now) = (self.conduct.state(), Instant::now());
        state.sent(&written, now);
        if let Poll::Ready(Ok(count)) = written {
            state.send(bytes.get(..count).unwrap_or_default(), now);
        }
        drop(state);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        let (mut state, now) = (self.conduct.state(), Instant::now());
        state.sent(&written, now);
        if let Poll::Ready(Ok(mut count)) = written {
            for part in parts {
                let taken = count.min(part.len());
                state.send(part.get(..taken).unwrap_or_default(), now);
                count -= taken;
            }
        }
        drop(state);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.conduct.state().sent(&flushed, Instant::now());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// An answer's body, which says while it has nothing to send.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    conduct: Arc<Conduct>,
    is_idle: bool,
}

impl Answer {
    pub(super) fn watched(body: Body, conduct: Arc<Conduct>) -> Body {
        Body::new(Self { body, conduct, is_idle: false })
    }

    fn set_idle(&mut self, is_idle: bool) {
        if self.is_idle != is_idle {
            self.is_idle = is_idle;
            let mut state = self.conduct.state();
            state.idle = if is_idle { state.idle + 1 } else { state.idle.saturating_sub(1) };
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<BodyFrame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.set_idle(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.set_idle(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn frame(length: u8, kind: u8, flags: u8, stream: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
        bytes.extend(vec![0; length.into()]);
        bytes
    }

    fn begun(conduct: &Conduct, streams: &[u8]) -> Instant {
        let (mut state, now) = (conduct.state(), Instant::now());
        state.receive(&[0; 24], now);
        for stream in streams {
            state.receive(&frame(5, HEADERS, 4, *stream), now);
            state.send(&frame(3, HEADERS, 4, *stream), now);
        }
        now
    }

    #[tokio::test]
    async fn an_answer_that_waits_for_its_reader_is_a_breach_and_one_that_waits_for_us_is_none() {
        let conduct = Conduct::new(PATIENCE);
        let now = begun(&conduct, &[1, 3]);
        let mut state = conduct.state();
        assert_eq!(state.judge(PATIENCE, now + PATIENCE / 2), None);
        state.idle = 2;
        assert_eq!(state.judge(PATIENCE, now + PATIENCE), None);
        // One ends, the other's data goes out.
        state.send(&frame(0, HEADERS, 4 | END_STREAM, 1), now);
        state.idle = 0;
        state.send(&frame(9, DATA, 0, 3), now + PATIENCE);
        assert_eq!(state.judge(PATIENCE, now + PATIENCE), None);
        assert_eq!(state.judge(PATIENCE, now + PATIENCE * 2), None, "from now on it is kept waiting");
        assert_eq!(state.judge(PATIENCE, now + PATIENCE * 3), Some(Breach::Untaken));
    }

    #[tokio::test]
    async fn what_was_silent_for_long_has_its_time_once_it_has_something_to_say() {
        let conduct = Conduct::new(PATIENCE);
        let now = begun(&conduct, &[1]);
        let mut state = conduct.state();
        state.idle = 1;
        assert_eq!(state.judge(PATIENCE, now + PATIENCE * 4), None);
        state.idle = 0;
        assert_eq!(state.judge(PATIENCE, now + PATIENCE * 4), None);
        state.send(&frame(9, DATA, 0, 1), now + PATIENCE * 4);
        for eighth in 1..8 {
            assert_eq!(state.judge(PATIENCE, now + PATIENCE * 4 + PATIENCE / 8 * eighth), None, "{eighth} eighths");
        }
        assert_eq!(state.judge(PATIENCE, now + PATIENCE * 5), Some(Breach::Untaken));
    }

    #[tokio::test]
    async fn what_the_peer_resets_is_not_waited_for() {
        let conduct = Conduct::new(PATIENCE);
        let now = begun(&conduct, &[1]);
        let mut state = conduct.state();
        state.receive(&frame(4, RESET, 0, 1), now);
        // What was on its way already.
        state.send(&frame(9, DATA, 0, 1), now);
        assert_eq!(state.judge(PATIENCE, now + PATIENCE * 2), None);
    }

    #[tokio::test]
    async fn frames_that_ask_for_nothing_are_counted_and_forgotten() {
        let conduct = Conduct::new(PATIENCE);
        let now = begun(&conduct, &[1]);
        let mut state = conduct.state();
        let ping = frame(8, 6, 0, 0);
        for number in 0..CHATTER {
            assert_eq!(state.receive(&ping, now), None, "{number}");
        }
        for _ in 0..CHATTER_FORGOTTEN {
            assert_eq!(state.receive(&ping, now + Duration::from_secs(1)), None);
        }
        // A frame of an answer is worth some.
        state.send(&frame(9, DATA, 0, 1), now);
        for _ in 0..CHATTER_FOR_AN_ANSWER {
            assert_eq!(state.receive(&ping, now + Duration::from_secs(1)), None);
        }
        // Data, in pieces too small to be meant.
        assert_eq!(state.receive(&frame(1, DATA, 0, 1), now + Duration::from_secs(1)), Some(Breach::Chatter));
    }
}
