//! Where the officer's token comes from: a key of the agency's own, or a program that prints one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, fs};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Error;
use crate::clock::Clock;
use crate::config;
use crate::domain::{Digest, Instant, OfficerId, Purpose, Role, Unit};
use crate::identity::{Grant, expiry, sign};

/// `[token]`: with `command` a program prints the token, otherwise a key signs it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged, try_from = "toml::Table")]
pub enum TokenSource {
    /// A key signs it.
    Key(TokenSection),
    /// A program prints it.
    Command(CommandSection),
}

/// `[token]` of a system that signs tokens with its agency's registered key and names the officer.
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

/// `[token]` of a system whose tokens come from elsewhere, such as an identity provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSection {
    /// The program and its arguments, run in the context's folder without a shell. It prints the token, or a JSON
    /// object with the token as `access_token`, which is how a token endpoint answers (RFC 6749, section 5.1).
    pub command: Vec<String>,
}

impl TryFrom<toml::Table> for TokenSource {
    type Error = toml::de::Error;

    /// Chosen by the key that is there, so that an error names what is wrong in the form that was meant.
    fn try_from(table: toml::Table) -> Result<Self, Self::Error> {
        if table.contains_key("command") {
            table.try_into().map(Self::Command)
        } else {
            table.try_into().map(Self::Key)
        }
    }
}

/// How long a token that we sign lasts.
const TOKEN_SECONDS: i64 = 300;

/// How long before it expires a printed token is no longer used.
const EARLY_SECONDS: i64 = 30;

const NO_TOKEN: &str =
    "the token command printed no token: it should print a JWT, alone or as `access_token` of a JSON object";

/// Makes tokens for one officer, bound to one certificate.
#[derive(Clone)]
pub struct TokenMaker {
    making: Making,
    clock: Clock,
}

#[derive(Clone)]
enum Making {
    Sign { section: TokenSection, private_key: String, fingerprint: Digest },
    Run { command: Vec<String>, folder: PathBuf, last: Arc<Mutex<Option<Printed>>> },
}

/// A token that a program printed, and until when it may be used.
struct Printed {
    token: String,
    until: Instant,
}

impl fmt::Debug for TokenMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenMaker")
    }
}

impl TokenMaker {
    /// For the officer of a section, on a connection with this certificate.
    pub fn new(section: TokenSection, private_key: String, fingerprint: Digest, clock: Clock) -> Self {
        Self { making: Making::Sign { section, private_key, fingerprint }, clock }
    }

    /// As a context in this folder says, for a connection with this certificate.
    pub(super) fn of(source: &TokenSource, folder: &Path, fingerprint: Digest, clock: Clock) -> Result<Self, Error> {
        match source {
            TokenSource::Key(section) => {
                let key = folder.join(&section.key_file);
                let private_key = fs::read_to_string(&key).map_err(|e| config::Error::new(&key, e))?;
                Ok(Self::new(section.clone(), private_key, fingerprint, clock))
            }
            TokenSource::Command(CommandSection { command }) => {
                let (command, folder) = (command.clone(), fs::canonicalize(folder)?);
                Ok(Self { making: Making::Run { command, folder, last: Arc::default() }, clock })
            }
        }
    }

    /// A token: signed now and good for five minutes, or as the program printed it, which is run again shortly before
    /// the token that it printed last expires. The calling thread waits for the program.
    pub fn token(&self) -> Result<String, Error> {
        match &self.making {
            Making::Sign { section, private_key, fingerprint } => {
                let grant = Grant {
                    issuer: &section.issuer,
                    key_id: &section.kid,
                    audience: &section.audience,
                    officer: &section.officer,
                    unit: &section.unit,
                    roles: &section.roles,
                    purposes: &section.purposes,
                    fingerprint,
                    now: self.clock.now(),
                    seconds: TOKEN_SECONDS,
                };
                Ok(sign(&grant, private_key)?)
            }
            Making::Run { command, folder, last } => {
                // Held while the program runs: calls that come meanwhile wait for its token.
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(printed) = last.as_ref().filter(|printed| self.clock.now() < printed.until) {
                    return Ok(printed.token.clone());
                }
                let token = run(command, folder)?;
                let until = expiry(&token).ok_or(NO_TOKEN)?.plus_seconds(-EARLY_SECONDS);
                *last = Some(Printed { token: token.clone(), until });
                Ok(token)
            }
        }
    }
}

/// What the program printed, taken out of a token endpoint's answer if it is one.
///
/// What it writes to standard error goes to ours; the errors here never quote what may be a token.
fn run(command: &[String], folder: &Path) -> Result<String, Error> {
    let (program, arguments) = command.split_first().ok_or("`token.command` is empty: name a program")?;
    // A path is relative to the context, a bare name is looked up in PATH.
    let path = if program.contains('/') { folder.join(program) } else { program.into() };
    let output = Command::new(path)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("the token command `{program}` cannot be run: {e}"))?;
    if !output.status.success() {
        return Err(format!("the token command `{program}` failed: {}", output.status).into());
    }
    let printed =
        String::from_utf8(output.stdout).map_err(|_| format!("`{program}` printed something else than text"))?;
    let printed = printed.trim();
    let answer = serde_json::from_str::<Value>(printed).ok();
    let token = answer.as_ref().and_then(|answer| answer.get("access_token")).and_then(Value::as_str);
    Ok(token.unwrap_or(printed).to_owned())
}
