//! A connection that goes on when certificates and keys are renewed.
//!
//! WHY: a token is good only on connections that its own certificate opened. So the two are replaced as one: connection
//! and token maker are a pair that is made of the files at one moment, and a call uses one pair from beginning to end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Waking, Poll};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use http::{Request, Response};
use tonic::body::Body;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tower::Service;

use super::{Bearer, Context, Error, TokenMaker, TokenSource};
use crate::clock::Clock;
use crate::domain::Digest;
use crate::identity::fingerprint;

/// How often files are looked at for changes, at most.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A connection and what makes tokens for it.
type Pair = InterceptedService<Channel, Bearer>;

/// A connection that speaks for one officer. When the context's certificate, keys or roots have changed on disk, the next
/// call is made with them, on a new connection; what is under way goes on as it is.
#[derive(Clone)]
pub struct OfficerChannel {
    source: Arc<Source>,
    edition: u64,
    pair: Pair,
}

/// What all clones of a channel share.
struct Source {
    context: Context,
    folder: PathBuf,
    clock: Clock,
    newest: Mutex<Newest>,
}

/// The pair that was made last.
struct Newest {
    looked_at: Instant,
    made_of: Digest,
    edition: u64,
    pair: Pair,
}

impl OfficerChannel {
    /// Must be called within a runtime. Fails if the files cannot be used as they are.
    pub(super) fn open(context: Context, folder: PathBuf, clock: Clock) -> Result<Self, Error> {
        let made_of = digest(&context, &folder);
        let pair = make(&context, &folder, clock.clone())?;
        let newest = Newest { looked_at: Instant::now(), made_of, edition: 0, pair: pair.clone() };
        Ok(Self { source: Arc::new(Source { context, folder, clock, newest: Mutex::new(newest) }), edition: 0, pair })
    }
}

impl Source {
    /// The newest pair, if it is not this edition. Files that cannot be used, half written ones among them, leave the last
    /// pair that could be made.
    fn newer_than(&self, edition: u64) -> Option<(u64, Pair)> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.looked_at.elapsed() >= LOOK_EVERY {
            newest.looked_at = Instant::now();
            let made_of = digest(&self.context, &self.folder);
            if made_of != newest.made_of
                && let Ok(pair) = make(&self.context, &self.folder, self.clock.clone())
            {
                *newest = Newest { looked_at: newest.looked_at, made_of, edition: newest.edition + 1, pair };
            }
        }
        (newest.edition != edition).then(|| (newest.edition, newest.pair.clone()))
    }
}

/// Over everything that the pair is made of.
fn digest(context: &Context, folder: &Path) -> Digest {
    let mut files = vec![&context.roots_file, &context.certificate_file, &context.key_file];
    if let TokenSource::Key(section) = &context.token {
        files.push(&section.key_file);
    }
    let digests = files.into_iter().map(|file| fs::read(folder.join(file)).map(|bytes| fingerprint(&bytes)).ok());
    fingerprint(&digests.flat_map(|digest| digest.map_or([0; 32], |digest| *digest.as_bytes())).collect::<Vec<_>>())
}

fn make(context: &Context, folder: &Path, clock: Clock) -> Result<Pair, Error> {
    let credentials = context.credentials(folder)?;
    let bearer = Bearer(TokenMaker::of(&context.token, folder, credentials.fingerprint(), clock)?);
    Ok(InterceptedService::new(context.channel_with(folder, credentials)?, bearer))
}

impl fmt::Debug for OfficerChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfficerChannel").field("server", &self.source.context.server).finish_non_exhaustive()
    }
}

impl Service<Request<Body>> for OfficerChannel {
    type Response = Response<<Pair as tonic::client::GrpcService<Body>>::ResponseBody>;
    type Error = <Pair as Service<Request<Body>>>::Error;
    type Future = <Pair as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, waking: &mut Waking<'_>) -> Poll<Result<(), Self::Error>> {
        if let Some((edition, pair)) = self.source.newer_than(self.edition) {
            (self.edition, self.pair) = (edition, pair);
        }
        Service::poll_ready(&mut self.pair, waking)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Service::call(&mut self.pair, request)
    }
}
