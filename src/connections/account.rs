//! What an agency's calls take of a node while they are under way, and when that is all there is for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::Limits;
use crate::proto::takes_away;

/// One agency's, whatever connections the calls come by.
#[derive(Debug, Default)]
pub(super) struct Account {
    calls: AtomicUsize,
    /// Of requests, as far as they have come.
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

    /// Its answer has begun: what its body still brings is read as it is wanted, and waits for nothing.
    pub(super) fn answered(&self) {
        self.is_answered.store(true, Ordering::Relaxed);
        self.account.bytes.fetch_sub(self.bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    fn add(&self, bytes: usize) {
        if self.is_answered.load(Ordering::Relaxed) {
            return;
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.account.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.most_bytes {
            self.too_much.cancel();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.account.calls.fetch_sub(1, Ordering::Relaxed);
        self.account.bytes.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// A request's body, each byte of which is counted until the call is over.
#[derive(Debug)]
pub(super) struct Counted<B> {
    pub(super) body: B,
    pub(super) call: Arc<Call>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            self.call.add(bytes.remaining());
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
