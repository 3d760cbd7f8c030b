//! Calling a node: a context says where, with which certificate, and as which officer.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::clock::Clock;
use crate::config;
use crate::domain::{Digest, OfficerId, Purpose, Role, Unit};
use crate::identity::{Grant, sign};
use crate::tls::{self, Credentials};

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
    /// How the officer's tokens are made.
    pub token: TokenSection,
}

/// `[token]`: a system that signs tokens with its agency's registered key and names the officer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSection {
    /// The issuer's private key, PEM.
    pub key_file: PathBuf,
    /// The `kid` under which the node knows the key.
    pub kid: String,
    /// The issuer's name.
    pub issuer: String,
    /// The node's audience.
    pub audience: String,
    /// The officer.
    pub officer: OfficerId,
    /// The officer's unit.
    pub unit: Unit,
    /// The officer's roles.
    pub roles: Vec<Role>,
    /// The purposes that the officer may state.
    pub purposes: Vec<Purpose>,
}

/// Makes tokens for one officer, bound to one certificate.
#[derive(Clone)]
pub struct TokenMaker {
    section: TokenSection,
    private_key: String,
    fingerprint: Digest,
    clock: Clock,
}

impl std::fmt::Debug for TokenMaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenMaker")
    }
}

/// How long a token lasts.
const TOKEN_SECONDS: i64 = 300;

impl TokenMaker {
    /// For the officer of a section, on a connection with this certificate.
    pub fn new(section: TokenSection, private_key: String, fingerprint: Digest, clock: Clock) -> Self {
        Self { section, private_key, fingerprint, clock }
    }

    /// A token that is good for five minutes.
    pub fn token(&self) -> Result<String, Error> {
        let grant = Grant {
            issuer: &self.section.issuer,
            key_id: &self.section.kid,
            audience: &self.section.audience,
            officer: &self.section.officer,
            unit: &self.section.unit,
            roles: &self.section.roles,
            purposes: &self.section.purposes,
            fingerprint: &self.fingerprint,
            now: self.clock.now(),
            seconds: TOKEN_SECONDS,
        };
        Ok(sign(&grant, &self.private_key)?)
    }
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

/// A connection that speaks for one officer.
pub type OfficerChannel = InterceptedService<Channel, Bearer>;

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
        let key = folder.join(&self.token.key_file);
        let private_key = fs::read_to_string(&key).map_err(|e| config::Error::new(&key, e))?;
        let fingerprint = self.credentials(folder)?.fingerprint();
        Ok(TokenMaker::new(self.token.clone(), private_key, fingerprint, clock))
    }

    /// A connection to the node with the context's certificate, made at the first call.
    pub fn channel(&self, folder: &Path) -> Result<Channel, Error> {
        let roots = tls::certificates_from_file(&folder.join(&self.roots_file))?;
        let config = tls::client_config(roots, Some(self.credentials(folder)?))?;
        Ok(tls::connect_lazily(&self.server, &self.server_name, config)?)
    }

    /// A connection that speaks for the context's officer.
    pub fn officer(&self, folder: &Path, clock: Clock) -> Result<OfficerChannel, Error> {
        let bearer = Bearer(self.token_maker(folder, clock)?);
        Ok(InterceptedService::new(self.channel(folder)?, bearer))
    }
}
