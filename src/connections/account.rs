//! What an agency's calls take of a node while they are under way, and when that is all there is for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::Limits;
use crate::proto::{MOST_REQUEST_BYTES, takes_away};

/// One agency's, whatever connections the calls come by.
#[derive(Debug, Default)]
pub(super) struct Account {
    calls: AtomicUsize,
    /// Of requests, as far as they have come or were announced.
    bytes: AtomicUsize,
}

/// An agency's two: what takes a permission away has room of its own, which nothing else takes.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    usual: Arc<Account>,
    taking_away: Arc<Account>,
}

impl Accounts {
    /// The one for a method, named by its path.
    pub(super) fn of(&self, path: &str) -> &Arc<Account> {
        if takes_away(path) { &self.taking_away } else { &self.usual }
    }
}

impl Account {
    /// Another call, if there is room for it.
    pub(super) fn begin(self: &Arc<Self>, limits: &Limits) -> Option<Arc<Call>> {
        let call = Call {
            account: Arc::clone(self),
            bytes: AtomicUsize::new(0),
            is_answered: AtomicBool::new(false),
            most_bytes: limits.request_bytes_per_agency,
            too_much: CancellationToken::new(),
        };
        let others = self.calls.fetch_add(1, Ordering::Relaxed);
        (others < limits.calls_per_agency).then(|| Arc::new(call))
    }
}

/// One call that is under way, until this is dropped.
#[derive(Debug)]
pub(super) struct Call {
    account: Arc<Account>,
    bytes: AtomicUsize,
    is_answered: AtomicBool,
    most_bytes: usize,
    too_much: CancellationToken,
}

impl Call {
    /// Waits until more of it has come than there is room for.
    pub(super) fn too_much(&self) -> WaitForCancellationFuture<'_> {
        self.too_much.cancelled()
    }

    /// Whether there was once no room for what came of it.
    pub(super) fn was_too_much(&self) -> bool {
        self.too_much.is_cancelled()
    }

    /// Its answer has begun: what its body still brings is read as it is wanted, and waits for nothing.
    pub(super) fn answered(&self) {
        self.is_answered.store(true, Ordering::Relaxed);
        self.account.bytes.fetch_sub(self.bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Whether there is room for so many more.
    fn add(&self, bytes: usize) -> bool {
        if self.is_answered.load(Ordering::Relaxed) {
            return true;
        }
        // In this order: whatever is given back was taken.
        let has_room = self.account.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.most_bytes;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if !has_room {
            self.too_much.cancel();
        }
        has_room
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.account.calls.fetch_sub(1, Ordering::Relaxed);
        self.account.bytes.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// A request's body, each byte of which is counted until the call is over: from when it is announced, because room is made
/// for a message as soon as its length is known.
#[derive(Debug)]
pub(super) struct Counted<B> {
    body: B,
    call: Arc<Call>,
    announced: Announced,
}

impl<B> Counted<B> {
    pub(super) fn new(body: B, call: Arc<Call>) -> Self {
        Self { body, call, announced: Announced::default() }
    }
}

/// What a body said last of a message's length.
#[derive(Debug, Default)]
struct Announced {
    /// The flag and the length, as far as they have come.
    prefix: Vec<u8>,
    /// How many of the message's bytes are still to come.
    ahead: usize,
    /// A message was too long for us: what comes after its length is no message's beginning.
    is_over: bool,
}

/// A flag and a length in four bytes stand before each message of gRPC.
const PREFIX_BYTES: usize = 5;

impl Announced {
    /// How many bytes are to be counted besides those that were: what has come but was not announced, and what is announced
    /// now. A message that is too long for us is turned away by its length, and no room is made for it.
    fn more(&mut self, mut come: &[u8]) -> usize {
        let mut more = 0;
        while let Some((first, rest)) = come.split_first() {
            if self.is_over {
                return more + come.len();
            }
            if self.ahead > 0 {
                let known = self.ahead.min(come.len());
                self.ahead -= known;
                come = come.get(known..).unwrap_or_default();
                continue;
            }
            more += 1;
            come = rest;
            self.prefix.push(*first);
            if let Some(length) = self.prefix.get(1..PREFIX_BYTES) {
                let length = length.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
                self.is_over = length > MOST_REQUEST_BYTES;
                self.ahead = if self.is_over { 0 } else { length };
                more += self.ahead;
                self.prefix.clear();
            }
        }
        more
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            let more = self.announced.more(bytes);
            if !self.call.add(more) {
                // The call ends by that, whatever is made of it. Nobody is to make room for the message meanwhile.
                return Poll::Ready(None);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_once_and_from_when_they_are_announced() {
        let body = [&[0, 0, 0, 1, 4], [7; 260].as_slice(), &[0; 5], &[0, 0, 0, 0, 2, 7]].concat();
        let announced = body.len() + 1;
        for piece in [1, 2, 3, 5, 7, 64, body.len()] {
            let (mut state, mut counted) = (Announced::default(), 0);
            for (n, come) in body.chunks(piece).enumerate() {
                counted += state.more(come);
                if (n + 1) * piece >= 5 {
                    assert!(counted >= 265, "{counted} after {} pieces of {piece}", n + 1);
                }
            }
            assert_eq!(counted, announced, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_too_long_counts_as_it_comes() {
        let most = u32::try_from(MOST_REQUEST_BYTES).expect("a length");
        let of = |length: u32| Announced::default().more(&[&[0], length.to_be_bytes().as_slice()].concat());
        assert_eq!(of(most), 5 + MOST_REQUEST_BYTES);
        assert_eq!((of(most + 1), of(u32::MAX), of(0)), (5, 5, 5));
        let within = [[0xff; 5].as_slice(), &[0, 0, 7, 0, 0].repeat(100)].concat();
        assert_eq!(Announced::default().more(&within), within.len(), "what is within it announces nothing");
    }
}
