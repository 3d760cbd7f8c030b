//! The calling side, for our own commands, the demonstration, tests and benchmarks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use super::{ALPN, Credentials, provider, proxy::dial};

type Stream = TokioIo<TlsStream<TcpStream>>;

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// The name can't be in a certificate.
    #[error("{0:?} is neither a DNS name nor an IP address: give the name in the server's certificate")]
    Name(String, #[source] InvalidDnsNameError),
    /// The address isn't one, or nobody answers there as the server should.
    #[error("{address}: no connection")]
    Transport {
        /// The address, as given.
        address: String,
        /// Why not; its own sources say more.
        source: tonic::transport::Error,
    },
}

/// TLS 1.3 towards a server that one of the roots vouches for under the name asked for; presents the credentials, and
/// resumes nothing.
pub fn client_config(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
    credentials: Option<Credentials>,
) -> Result<Arc<ClientConfig>, Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root)?;
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(store);
    let mut config = match credentials {
        Some(Credentials { chain, key }) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// A channel over a new connection to `address`, such as `localhost:7443`, whose server showed a certificate for
/// `server_name`.
///
/// In TLS 1.3 the server judges our certificate after this returns: only the first call shows whether we are admitted.
/// Clones of a channel share its connection; call this again for another connection.
pub async fn connect(address: &str, server_name: &str, config: Arc<ClientConfig>) -> Result<Channel, Unreachable> {
    let (endpoint, connector) = prepare(address, server_name, config, None)?;
    let transport = |source| Unreachable::Transport { address: address.to_owned(), source };
    endpoint.connect_with_connector(connector).await.map_err(transport)
}

/// As [`connect`], but connects on the first call. Must be called within a runtime.
pub fn connect_lazily(address: &str, server_name: &str, config: Arc<ClientConfig>) -> Result<Channel, Unreachable> {
    connect_through(address, server_name, config, None)
}

/// The same through a proxy that passes TLS on as it is, if there is one: `http://proxy.example:3128`.
pub fn connect_through(
    address: &str,
    server_name: &str,
    config: Arc<ClientConfig>,
    proxy: Option<String>,
) -> Result<Channel, Unreachable> {
    let (endpoint, connector) = prepare(address, server_name, config, proxy)?;
    Ok(endpoint.connect_with_connector_lazy(connector))
}

/// What a server showed of itself, once that was found to be good. Whether it admits us is not known by then.
#[derive(Debug)]
pub struct Shown {
    /// Its certificates.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Whether it asked for ours, as each node does.
    pub asks_for_ours: bool,
}

/// What the server at `address` shows for `server_name`. The way there may lead through a proxy, as for [`connect_through`].
///
/// Of an error [`unfit`] says whether it is about the certificate.
pub async fn shown_by(
    address: &str,
    server_name: &str,
    config: Arc<ClientConfig>,
    proxy: Option<&str>,
) -> io::Result<Shown> {
    let name = ServerName::try_from(server_name.to_owned()).map_err(io::Error::other)?;
    let asked = Arc::new(Asked { ours: Arc::clone(&config.client_auth_cert_resolver), was: AtomicBool::new(false) });
    let mut config = ClientConfig::clone(&config);
    config.client_auth_cert_resolver = Arc::<Asked>::clone(&asked);
    let config = Arc::new(config);
    let look = async {
        let socket = dial(address, proxy).await?;
        let stream = TlsConnector::from(config).connect(name, socket).await?;
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(ALPN) {
            return Err(io::Error::other("it does not speak HTTP/2 over TLS (ALPN h2)"));
        }
        let certificates = session.peer_certificates().unwrap_or_default().to_vec();
        Ok(Shown { certificates, asks_for_ours: asked.was.load(Ordering::Relaxed) })
    };
    timeout(Duration::from_secs(5), look).await?
}

/// What is wrong with the certificate that a server showed, if that is why there is no connection.
pub fn unfit(error: &io::Error) -> Option<&CertificateError> {
    match error.get_ref()?.downcast_ref()? {
        Error::InvalidCertificate(problem) => Some(problem),
        _ => None,
    }
}

/// Our certificate as it is given, and whether it was asked for.
#[derive(Debug)]
struct Asked {
    ours: Arc<dyn ResolvesClientCert>,
    was: AtomicBool,
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.was.store(true, Ordering::Relaxed);
        self.ours.resolve(authorities, schemes)
    }

    fn has_certs(&self) -> bool {
        self.ours.has_certs()
    }
}

fn prepare(
    address: &str,
    server_name: &str,
    config: Arc<ClientConfig>,
    proxy: Option<String>,
) -> Result<(Endpoint, impl Service<Uri, Response = Stream, Error = io::Error, Future: Send> + Send + use<>), Unreachable>
{
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|source| Unreachable::Name(server_name.to_owned(), source))?;
    // tonic is built without TLS of its own, so it must not see `https`: the connector below does TLS.
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|source| Unreachable::Transport { address: address.to_owned(), source })?
        .connect_timeout(Duration::from_secs(5))
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024);
    let tls = TlsConnector::from(config);
    let address = address.to_owned();
    let connector = tower::service_fn(move |_: Uri| {
        let (address, name, tls, proxy) = (address.clone(), name.clone(), tls.clone(), proxy.clone());
        async move {
            let socket = dial(&address, proxy.as_deref()).await?;
            socket.set_nodelay(true)?;
            tls.connect(name, socket).await.map(TokioIo::new)
        }
    });
    Ok((endpoint, connector))
}
