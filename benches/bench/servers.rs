//! The two servers, each in a process of its own: this program, run again.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use arc_swap::ArcSwap;
use bytes::Bytes;
use concordat::clock::Clock;
use concordat::config::Config;
use concordat::connections::{self, Connections, Limits};
use concordat::dev;
use concordat::server::Running;
use concordat::tls::{self, Acceptor, Credentials, Trust, TrustedAgency};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic::{Response, Status};
use tonic_prost::ProstCodec;

use super::load::Payload;
use super::machine;

/// A server in another process. It ends when its standard input closes, so it does not outlive this one.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Server {
    /// A node.
    pub(crate) fn concordat(file: &Path) -> Result<Self> {
        Self::start("serve-concordat", |command| command.arg(file))
    }

    /// An echo.
    pub(crate) fn echo(file: &Path, answer_bytes: usize) -> Result<Self> {
        Self::start("echo", |command| command.arg(file).arg(answer_bytes.to_string()))
    }

    fn start(role: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let command = arguments(command.arg(role)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("a server has no standard output")?).read_line(&mut line)?;
        let Ok(address) = line.trim().parse() else {
            bail!("the {role} server does not start; what it says is above");
        };
        Ok(Self { address, process })
    }

    /// CPU time so far, of all its threads.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        machine::cpu_of(self.process.id())
    }

    /// Memory that it has now and the most that it has had, in bytes.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        machine::memory_of(self.process.id())
    }

    /// Lets it close in good order.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.shut_down()
    }

    /// The same; it may be closed already.
    pub(crate) fn shut_down(&mut self) -> Result<()> {
        drop(self.process.stdin.take());
        let status = self.process.wait()?;
        ensure!(status.success(), "a server ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only after a failure: `stop` has waited for it otherwise.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Serves a node until standard input closes.
pub(crate) fn serve_concordat(file: &Path) -> Result<()> {
    runtime()?.block_on(async {
        let node = Running::start(&Config::load(file)?, Clock::system()).await.map_err(|e| anyhow::anyhow!(e))?;
        announce(node.address)?;
        stop_asked_for().await?;
        node.stop().await;
        Ok(())
    })
}

/// Serves an echo until standard input closes: the node's own accept loop, limits, TLS and trust, and nothing more.
pub(crate) fn serve_echo(file: &Path, answer_bytes: usize) -> Result<()> {
    let config = Config::load(file)?;
    let answer = Payload::of(answer_bytes)?;
    runtime()?.block_on(async {
        let listener = TcpListener::bind(dev::loopback(0)).await?;
        let address = listener.local_addr()?;
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(connections::serve(
            listener,
            Arc::new(ArcSwap::from_pointee(acceptor(&config)?)),
            Routes::new(Echo(answer.bytes)),
            Arc::new(Connections::new(Limits::default())),
            shutdown.clone(),
        ));
        announce(address)?;
        stop_asked_for().await?;
        shutdown.cancel();
        Ok(serving.await?)
    })
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn announce(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{address}")?;
    out.flush()
}

async fn stop_asked_for() -> Result<()> {
    tokio::task::spawn_blocking(|| io::stdin().lock().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

fn acceptor(config: &Config) -> Result<Acceptor> {
    let mut agencies = Vec::new();
    for agency in &config.agency {
        agencies.push(TrustedAgency {
            agency: agency.id.clone(),
            trust_domain: agency.trust_domain.clone(),
            roots: tls::certificates_from_file(&config.path(&agency.roots_file))?,
            revocation: tls::Revocation::ShortLived,
        });
    }
    let path = |file: &Path| config.path(file);
    let credentials = Credentials::from_files(&path(&config.tls.certificate_file), &path(&config.tls.key_file))?;
    Ok(Acceptor::new(Trust::new(agencies)?, credentials)?)
}

/// Takes a message and gives another of a fixed size, under the name and path of the real service.
#[derive(Debug, Clone)]
struct Echo(Bytes);

impl NamedService for Echo {
    const NAME: &'static str = "concordat.v1.ReleaseService";
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Answer(self.0.clone());
        // As tonic's generated code does it.
        Box::pin(async move { Ok(Grpc::new(ProstCodec::<Payload, Payload>::default()).unary(method, request).await) })
    }
}

struct Answer(Bytes);

impl UnaryService<Payload> for Answer {
    type Response = Payload;
    type Future = Ready<Result<Response<Payload>, Status>>;

    fn call(&mut self, _: tonic::Request<Payload>) -> Self::Future {
        ready(Ok(Response::new(Payload { bytes: self.0.clone() })))
    }
}
