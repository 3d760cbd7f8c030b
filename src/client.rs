//! Calling a node: a context says where, with which certificate, and as which officer.

mod officer;
mod token;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::clock::Clock;
use crate::config;
use crate::tls::{self, Credentials};

pub use officer::OfficerChannel;
pub use token::{CommandSection, TokenMaker, TokenSection, TokenSource};

/// Why a node cannot be called.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A context file. Paths are relative to its folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// `host:port`.
    pub server: String,
    /// The name in the server's certificate.
    pub server_name: String,
    /// Roots by which the server is verified, PEM.
    pub roots_file: PathBuf,
    /// The system's certificate, PEM.
    pub certificate_file: PathBuf,
    /// Its key, PEM.
    pub key_file: PathBuf,
    /// A proxy on the way there that lets TLS through, such as `http://proxy.example:3128`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Where the officer's tokens come from.
    pub token: TokenSource,
}

/// Adds the officer's token to each call.
#[derive(Debug, Clone)]
pub struct Bearer(TokenMaker);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = self.0.token().map_err(|e| Status::unauthenticated(e.to_string()))?;
        let header: AsciiMetadataValue =
            format!("Bearer {token}").parse().map_err(|_| Status::unauthenticated("the token is not a header"))?;
        request.metadata_mut().insert("authorization", header);
        Ok(request)
    }
}

impl Context {
    /// Reads a context file.
    pub fn load(file: &Path) -> Result<(Self, PathBuf), Error> {
        let text = fs::read_to_string(file).map_err(|e| config::Error::new(file, e))?;
        let context = toml::from_str(&text).map_err(|e| config::Error::new(file, e))?;
        Ok((context, file.parent().unwrap_or(Path::new(".")).to_owned()))
    }

    /// Writes a context file.
    pub fn write(&self, file: &Path) -> Result<(), Error> {
        let text = toml::to_string(self)?;
        Ok(fs::write(file, text).map_err(|e| config::Error::new(file, e))?)
    }

    fn credentials(&self, folder: &Path) -> Result<Credentials, Error> {
        Ok(Credentials::from_files(&folder.join(&self.certificate_file), &folder.join(&self.key_file))?)
    }

    /// Makes tokens for the context's officer.
    pub fn token_maker(&self, folder: &Path, clock: Clock) -> Result<TokenMaker, Error> {
        TokenMaker::of(&self.token, folder, self.credentials(folder)?.fingerprint(), clock)
    }

    /// A connection to the node with the context's certificate, made at the first call.
    pub fn channel(&self, folder: &Path) -> Result<Channel, Error> {
        self.channel_with(folder, self.credentials(folder)?)
    }

    fn channel_with(&self, folder: &Path, credentials: Credentials) -> Result<Channel, Error> {
        let roots = tls::certificates_from_file(&folder.join(&self.roots_file))?;
        let config = tls::client_config(roots, Some(credentials))?;
        Ok(tls::connect_through(&self.server, &self.server_name, config, self.proxy.clone())?)
    }

    /// A connection that speaks for the context's officer, with the context's files as they are at each call.
    pub fn officer(&self, folder: &Path, clock: Clock) -> Result<OfficerChannel, Error> {
        OfficerChannel::open(self.clone(), folder.to_owned(), clock)
    }
}
