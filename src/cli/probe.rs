//! `concordat probe`: for a container without a shell.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::Verdict;
use super::output::{Format, line};

/// Ask a node's port for probes whether it is alive, ready or started.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 it is, 1 it is not, 3 nobody answered.

Examples:
  concordat probe ready
  concordat probe live --ops 10.0.0.7:9464")]
pub(super) struct Arguments {
    /// What is asked.
    #[arg(value_enum)]
    what: What,
    /// The node's port for probes: `ops.listen` in its configuration.
    #[arg(long, env = "CONCORDAT_OPS", value_name = "HOST:PORT", default_value = "127.0.0.1:9464")]
    ops: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// The process runs.
    Live,
    /// It can do what it is for.
    Ready,
    /// It has started.
    Startup,
}

impl What {
    fn path(self) -> &'static str {
        match self {
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Startup => "/startupz",
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(2);
/// More than every metric of a node takes.
const LONGEST_ANSWER: u64 = 8 << 20;

pub(super) fn run(arguments: &Arguments, format: Option<Format>) -> anyhow::Result<Verdict> {
    let (is_so, said) = ask(&arguments.ops, arguments.what.path())?;
    match format {
        Some(Format::Json) => line(&json!({ "well": is_so, "said": said }).to_string()),
        _ => line(&said),
    }
    Ok(if is_so { Verdict::Well } else { Verdict::NotWell })
}

/// Whether the port answers with 200, and what it says.
pub(super) fn ask(address: &str, path: &str) -> anyhow::Result<(bool, String)> {
    let nobody = || format!("{address}: nobody answers probes there (`ops.listen`)");
    let found = address.to_socket_addrs().with_context(nobody)?.next().with_context(nobody)?;
    let mut socket = TcpStream::connect_timeout(&found, PATIENCE).with_context(nobody)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    // Version 1.0, so that the answer ends with the connection.
    write!(socket, "GET {path} HTTP/1.0\r\n\r\n").with_context(nobody)?;
    let mut answer = Vec::new();
    socket.take(LONGEST_ANSWER).read_to_end(&mut answer).with_context(nobody)?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((head, said)) = answer.split_once("\r\n\r\n") else { bail!("{address}: what answers there is no node") };
    let is_so = head.split_whitespace().nth(1) == Some("200");
    Ok((is_so, said.trim().to_owned()))
}
