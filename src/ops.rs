//! The port for whoever runs the node: probes, gRPC health and metrics, in plain text, and nothing else.
//!
//! WHY: a kubelet has no certificate of an agency's, and asks by the pod's own address, so that a port on loopback does not
//! serve it: it is on loopback unless `ops.listen` says otherwise. What is told here is what an operator may know; let nobody but
//! probes and monitoring reach it. Whoever does reach it can hold connections, and pushes out their own before those of others.

mod standing;

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt;

use crate::connections::{Handshakes as Room, Underway as Place};
use crate::telemetry::Metrics;
use crate::wire::Readiness;

pub use standing::{Check, Ill, Standing};

/// What is measured anew for each reading of the metrics.
pub type Measure = Box<dyn Fn() + Send + Sync>;

/// How many connections are served at once; for one more, the oldest of the source with the most of them has to go.
const MOST_CONNECTIONS: usize = 64;
/// How long one may last.
const LONGEST: Duration = Duration::from_mins(1);
/// How long a request may take to arrive, the first one of a connection above all, and an answer to be made.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait after a failed accept.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(50);

/// What is told on the port.
pub struct Ops {
    standing: Standing,
    metrics: Arc<Metrics>,
    health: Routes,
    /// Put in place once there is something to measure.
    measure: std::sync::OnceLock<Measure>,
    /// Held while metrics are measured and written, so that nobody reads what another reading has begun to measure.
    reading: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Ops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ops")
    }
}

impl Ops {
    /// Of a node that begins.
    pub fn new(standing: Standing, metrics: Arc<Metrics>, readiness: &Readiness) -> Arc<Self> {
        let health = Routes::new(readiness.service()).prepare();
        Arc::new(Self { standing, metrics, health, measure: std::sync::OnceLock::new(), reading: Arc::default() })
    }

    /// From now on this is called before each reading of the metrics.
    pub fn measure_with(&self, measure: Measure) {
        // There is one node, so nobody has been here before.
        drop(self.measure.set(measure));
    }

    /// Answers on this address until told to stop. When this returns, the port is open.
    pub async fn listen(self: &Arc<Self>, address: SocketAddr, stop: CancellationToken) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let ops = Arc::clone(self);
        tokio::spawn(async move { stop.run_until_cancelled(ops.serve(listener)).await });
        Ok(address)
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        let room = Room::new(MOST_CONNECTIONS);
        loop {
            match listener.accept().await {
                Ok((socket, peer)) => {
                    tokio::spawn(Arc::clone(&self).converse(socket, room.begin(peer.ip())));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the port for probes couldn't be accepted");
                    sleep(ACCEPT_BACK_OFF).await;
                }
            }
        }
    }

    /// HTTP/1.1, or gRPC, which begins with HTTP/2 at once; until it has been here for long enough, says nothing, or has
    /// to make room.
    async fn converse(self: Arc<Self>, socket: TcpStream, place: Place) {
        let mut settings = auto::Builder::new(TokioExecutor::new());
        settings.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(16 * 1024);
        settings
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(16)
            .max_header_list_size(8 * 1024)
            .keep_alive_interval(PATIENCE)
            .keep_alive_timeout(PATIENCE);
        let spoken = CancellationToken::new();
        let service = service_fn(|request| {
            spoken.cancel();
            let ops = Arc::clone(&self);
            async move { Ok::<_, Infallible>(ops.answer(request).await) }
        });
        let silence = async {
            if timeout(PATIENCE, spoken.cancelled()).await.is_ok() {
                pending::<()>().await;
            }
        };
        tokio::select! {
            // What it says went wrong is the prober's affair.
            ended = settings.serve_connection(TokioIo::new(socket), service) => if let Err(error) = ended {
                tracing::debug!(%error, "a connection to the port for probes ended");
            },
            () = silence => {}
            () = place.pushed_out() => {}
            () = sleep(LONGEST) => {}
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        if path.starts_with("/grpc.health.v1.Health/") {
            return match timeout(PATIENCE, self.health.clone().oneshot(request)).await {
                Ok(Ok(answer)) => answer,
                Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "too slow\n".to_owned()),
            };
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::NOT_FOUND, "not here\n".to_owned());
        }
        match path {
            "/livez" => text(StatusCode::OK, "alive\n".to_owned()),
            "/startupz" => told(self.standing.is_started(), "started", &self.standing.waits_for()),
            "/readyz" if self.standing.is_ready() => text(StatusCode::OK, ready(&self.standing)),
            "/readyz" => told(false, "ready", &self.standing.waits_for()),
            "/metrics" => self.metrics().await,
            _ => text(StatusCode::NOT_FOUND, "not here\n".to_owned()),
        }
    }

    /// One reading after another, also where a reader leaves. They are made apart: whoever reads often takes nothing from
    /// those who ask the node.
    async fn metrics(self: Arc<Self>) -> Response<Body> {
        let Ok(reading) = timeout(PATIENCE, Arc::clone(&self.reading).lock_owned()).await else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "others read them\n".to_owned());
        };
        let measured = move || {
            let answer = self.measured();
            drop(reading);
            answer
        };
        match tokio::task::spawn_blocking(measured).await {
            Ok(written) => written,
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "cannot be measured\n".to_owned()),
        }
    }

    fn measured(&self) -> Response<Body> {
        for (check, is_well) in self.standing.checks() {
            self.metrics.ready.of([("check", check)]).set(i64::from(is_well));
        }
        for (check, is_ill) in self.standing.ills() {
            self.metrics.degraded.of([("check", check)]).set(i64::from(is_ill));
        }
        if let Some(measure) = self.measure.get() {
            measure();
        }
        let mut answer = text(StatusCode::OK, self.metrics.text());
        let kind = http::HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        answer
    }
}

/// Yes, and what is not well all the same.
fn ready(standing: &Standing) -> String {
    let ills: Vec<&str> = standing.ills().into_iter().filter(|(_, has_it)| *has_it).map(|(name, _)| name).collect();
    if ills.is_empty() { "ready\n".to_owned() } else { format!("ready; not well: {}\n", ills.join(", ")) }
}

/// Yes; or no, with what it waits for.
fn told(is_so: bool, so: &str, waits_for: &[&str]) -> Response<Body> {
    if is_so {
        text(StatusCode::OK, format!("{so}\n"))
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, format!("not {so}: {}\n", waits_for.join(", ")))
    }
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut answer = Response::new(Body::new(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn a_reader_that_leaves_lets_nobody_else_read_before_the_reading_ends() {
        let ops = Ops::new(Standing::default(), Arc::default(), &Readiness::new().await);
        let (begin, mut under_way) = tokio::sync::mpsc::unbounded_channel();
        let (end, ended) = channel();
        let ended = std::sync::Mutex::new(ended);
        ops.measure_with(Box::new(move || {
            begin.send(()).unwrap();
            ended.lock().unwrap().recv().unwrap();
        }));
        let reader = tokio::spawn(Arc::clone(&ops).metrics());
        under_way.recv().await.unwrap();
        reader.abort();
        assert!(reader.await.unwrap_err().is_cancelled());
        assert!(ops.reading.try_lock().is_err(), "what it began goes on");
        end.send(()).unwrap();
        end.send(()).unwrap();
        assert_eq!(Arc::clone(&ops).metrics().await.status(), StatusCode::OK);
    }
}
