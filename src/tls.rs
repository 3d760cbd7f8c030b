//! TLS as this node speaks it: version 1.3 with mutual authentication, and nothing that skips it.

mod client;
mod pem;
mod proxy;
mod revocation;
mod root;
mod trust;

use std::io;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::{CertificateError, Error, NamedGroup, OtherError, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::identity::Peer;

pub use client::{Shown, Unreachable, client_config, connect, connect_lazily, connect_through, shown_by, unfit};
pub use pem::{Credentials, Unreadable, certificates, certificates_from_file, check_server, revocation_lists};
pub use revocation::{Life, Revocation, RevocationList, Unlistable};
pub use root::Root;
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
    /// So that a quantum computer cannot undo it, where the peer can.
    PostQuantumFirst,
    /// So alone: whoever cannot is turned away.
    PostQuantumOnly,
}

impl KeyExchange {
    fn groups(self) -> Vec<&'static dyn SupportedKxGroup> {
        match self {
            Self::PostQuantumFirst => provider().kx_groups.clone(),
            Self::PostQuantumOnly => vec![kx_group::X25519MLKEM768],
        }
    }
}

/// Whether a quantum computer cannot undo what was agreed on in this group.
pub fn is_post_quantum(group: NamedGroup) -> bool {
    group == NamedGroup::X25519MLKEM768
}

/// TLS 1.3 that demands a certificate of a trusted agency's system in every handshake.
///
/// WHY: a resumed handshake skips the client's certificate, revoked or expired as it may be by then, so there is
/// nothing to resume: no tickets, no session store, no early data.
fn server_config(trust: Arc<Trust>, credentials: Credentials, keys: KeyExchange) -> Result<Arc<ServerConfig>, Error> {
    let provider = CryptoProvider { kx_groups: keys.groups(), ..Arc::unwrap_or_clone(provider()) };
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
    config: Arc<ServerConfig>,
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
        Ok(Self { config: server_config(Arc::clone(&trust), credentials, keys)?, trust })
    }

    /// Shakes hands, and says who is at the other end: a trusted agency's system that holds its certificate's key and
    /// speaks HTTP/2.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, socket: S) -> io::Result<(TlsStream<S>, Peer)> {
        let accepted = TlsAcceptor::from(Arc::clone(&self.config)).accept(socket).await;
        let stream = accepted.map_err(in_words)?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the peer didn't ask for HTTP/2 (ALPN h2)"));
        }
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = self.judge(chain).map_err(io::Error::other)?;
        Ok((stream, peer))
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
