//! TLS as this node speaks it: version 1.3 with mutual authentication, and nothing that skips it.

mod client;
mod pem;
mod proxy;
mod revocation;
mod root;
mod trust;

use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::{CertificateError, Error, NamedGroup, OtherError, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::identity::Peer;

pub use client::{Shown, Unreachable, client_config, connect, connect_lazily, connect_through, shown_by, unfit};
pub use pem::{Credentials, Unreadable, certificates, certificates_from_file, check_server, revocation_lists};
pub use revocation::{Life, Revocation, RevocationList, Unlistable};
pub use root::{Root, is_issued_by};
pub use trust::{Inadmissible, Trust, TrustedAgency, Untrustworthy, Vouching};

use trust::AgencyVerifier;

/// The one protocol that is spoken over TLS.
const ALPN: &[u8] = b"h2";

/// Our own choice of cryptography, never the process's default: aws-lc, and the hybrid key exchange first, because
/// what is recorded today may be decrypted later.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..aws_lc_rs::default_provider()
    })
}

/// In which ways keys are agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyExchange {
    /// So that a quantum computer cannot undo it, where the peer can, in whatever order it names what it can.
    PostQuantumFirst,
    /// So alone: whoever cannot is turned away.
    PostQuantumOnly,
}

/// Whether a quantum computer cannot undo what was agreed on in this group.
pub fn is_post_quantum(group: NamedGroup) -> bool {
    group == NamedGroup::X25519MLKEM768
}

/// TLS 1.3 that demands a certificate of a trusted agency's system in every handshake.
///
/// WHY: a resumed handshake skips the client's certificate, revoked or expired as it may be by then, so there is
/// nothing to resume: no tickets, no session store, no early data.
fn server_config(
    trust: Arc<Trust>,
    credentials: Credentials,
    may_agree_by: impl Fn(NamedGroup) -> bool,
) -> Result<Arc<ServerConfig>, Error> {
    let mut provider = Arc::unwrap_or_clone(provider());
    provider.kx_groups.retain(|group| may_agree_by(group.name()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(AgencyVerifier::new(trust)))
        .with_single_cert(credentials.chain, credentials.key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// What connections are accepted with. Swapped as a whole, so that no handshake sees a mixture.
#[derive(Debug)]
pub struct Acceptor {
    post_quantum: Arc<ServerConfig>,
    /// For those who cannot agree on keys in a post-quantum way, unless they are turned away.
    classical: Option<Arc<ServerConfig>>,
    trust: Arc<Trust>,
}

impl Acceptor {
    /// Shows these credentials to peers, and admits the systems of these agencies.
    pub fn new(trust: Trust, credentials: Credentials) -> Result<Self, Error> {
        Self::agreeing(trust, credentials, KeyExchange::PostQuantumFirst)
    }

    /// The same, agreeing on keys in this way.
    pub fn agreeing(trust: Trust, credentials: Credentials, keys: KeyExchange) -> Result<Self, Error> {
        let trust = Arc::new(trust);
        let classical = match keys {
            KeyExchange::PostQuantumFirst => {
                Some(server_config(Arc::clone(&trust), credentials.clone(), |group| !is_post_quantum(group))?)
            }
            KeyExchange::PostQuantumOnly => None,
        };
        Ok(Self { post_quantum: server_config(Arc::clone(&trust), credentials, is_post_quantum)?, classical, trust })
    }

    /// Shakes hands, and says who is at the other end: a trusted agency's system that holds its certificate's key and
    /// speaks HTTP/2.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, socket: S) -> io::Result<(TlsStream<S>, Peer)> {
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket).await.map_err(in_words)?;
        let config = self.config_for(&hello.client_hello());
        let stream = hello.into_stream(config).await.map_err(in_words)?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the peer didn't ask for HTTP/2 (ALPN h2)"));
        }
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = self.judge(chain).map_err(io::Error::other)?;
        Ok((stream, peer))
    }

    /// WHY: of the groups that both have rustls takes the one that the client names first, whatever comes first here. So who
    /// can agree on keys in a post-quantum way is offered nothing else, and asked for it if its hello only names it.
    fn config_for(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let can = hello.named_groups().is_some_and(|groups| groups.iter().copied().any(is_post_quantum));
        let config = self.classical.as_ref().filter(|_| !can);
        Arc::clone(config.unwrap_or(&self.post_quantum))
    }

    /// Whose chain this is by what is trusted here and now, whichever acceptor shook hands.
    pub fn judge(&self, chain: &[CertificateDer<'_>]) -> Result<Peer, Inadmissible> {
        self.trust.admit(chain, UnixTime::now())
    }
}

/// What the verifier found, without what rustls wraps around it.
fn in_words(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(Error::InvalidCertificate(CertificateError::Other(OtherError(reason)))) => {
            io::Error::new(error.kind(), reason.to_string())
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests;
