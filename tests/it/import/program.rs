//! The program under way, what it printed, and what the node holds afterwards.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use concordat::proto::v1;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::World;

/// An import that has not gone on after this long never will.
const WITHIN: Duration = Duration::from_mins(3);

/// What a run printed and how it ended.
pub(super) struct Ran {
    pub(super) exit: i32,
    pub(super) summary: Value,
    pub(super) rejects: Vec<Value>,
    pub(super) said: String,
}

impl Ran {
    pub(super) fn of(output: &Output) -> Self {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let rejects = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let summary = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Self { exit: output.status.code().unwrap(), summary, rejects, said }
    }

    pub(super) fn incidents(&self, what: &str) -> u64 {
        self.summary["incidents"][what].as_u64().unwrap_or_else(|| panic!("no {what}: {} {}", self.summary, self.said))
    }

    pub(super) fn records(&self, what: &str) -> u64 {
        self.summary["records"][what].as_u64().unwrap_or_else(|| panic!("no {what}: {} {}", self.summary, self.said))
    }

    /// Each reject's place, reason and key, in the order of places.
    pub(super) fn reasons(&self, place: &str) -> Vec<(u64, String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut all: Vec<_> =
            self.rejects.iter().map(|r| (r[place].as_u64().unwrap(), text(&r["reason"]), text(&r["key"]))).collect();
        all.sort();
        all
    }
}

pub(super) fn program(arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_concordat"));
    command.arg("import").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// An import from stdin that is under way.
pub(super) struct Running(pub(super) Child);

impl Running {
    pub(super) fn start(arguments: &[String]) -> Self {
        Self(program(arguments).stdin(Stdio::piped()).spawn().unwrap())
    }

    pub(super) fn feed(&mut self, text: &str) {
        let stdin = self.0.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }
}

impl Running {
    /// Waits for its end.
    pub(super) fn end(mut self) -> Ran {
        let status = self.0.wait().unwrap();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.0.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        self.0.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        Ran::of(&Output { status, stdout, stderr })
    }
}

impl Drop for Running {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Passes bytes on to a node, and can break every connection that it has.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    pub(super) cut: watch::Sender<()>,
}

impl Relay {
    pub(super) async fn start(node: SocketAddr) -> Self {
        let listener = TcpListener::bind(concordat::dev::loopback(0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, _) = watch::channel(());
        let cuts = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut broken = cuts.subscribe();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(node).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = broken.changed() => {}
                    }
                });
            }
        });
        Self { address, cut }
    }

    pub(super) fn cut(&self) {
        self.cut.send_replace(());
    }
}

impl World {
    /// The context of an officer of the NCSC. The program's tokens are made by the machine's clock, so from here on the
    /// node's goes with it, a little ahead: a token must not be from its future.
    pub(super) fn importer(&self, officer: &str, roles: &[&str]) -> PathBuf {
        let hand = self.hand.clone();
        let set = move || hand.set(crate::harness::real_now().plus_seconds(2));
        set();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                set();
            }
        });
        let context = self.workspace.context("ncsc", officer, roles, &[], "one", self.node.address);
        self.workspace.write_context(&format!("ncsc-{officer}"), &context).unwrap()
    }

    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.workspace.folder().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Runs the program to its end.
    pub(super) async fn import(&self, format: &str, file: &Path, context: &Path, more: &[&str]) -> Ran {
        let arguments = arguments(format, file, context, more);
        let output = tokio::task::spawn_blocking(move || program(&arguments).output().unwrap()).await.unwrap();
        Ran::of(&output)
    }

    /// The NCSC's organisations by id.
    pub(super) async fn held_organisations(&self) -> BTreeMap<String, v1::Organisation> {
        let (mut all, mut page_token) = (BTreeMap::new(), String::new());
        loop {
            let request = v1::ListOrganisationsRequest { page_size: 200, page_token };
            let page = self.organisations("ncsc").list_organisations(request).await.unwrap().into_inner();
            all.extend(page.organisations.into_iter().map(|organisation| (organisation.id.clone(), organisation)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return all;
            }
        }
    }

    /// The NCSC's incidents, without content.
    pub(super) async fn held_incidents(&self) -> Vec<v1::Incident> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListIncidentsRequest { page_size: 200, page_token, ..Default::default() };
            let page = self.incidents("ncsc").list_incidents(request).await.unwrap().into_inner();
            all.extend(page.incidents);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return all;
            }
        }
    }

    /// The NCSC's incidents with their content, by the names of their organisations.
    pub(super) async fn held_by_name(&self) -> BTreeMap<String, Vec<v1::Incident>> {
        let organisations = self.held_organisations().await;
        let mut all: BTreeMap<String, Vec<v1::Incident>> = BTreeMap::new();
        for incident in self.held_incidents().await {
            let request = v1::GetIncidentRequest { incident_id: incident.id };
            let whole = self.incidents("ncsc").get_incident(request).await.unwrap().into_inner().incident.unwrap();
            all.entry(organisations[&whole.organisation_id].name.clone()).or_default().push(whole);
        }
        all
    }

    /// Waits until the NCSC has this many incidents.
    pub(super) async fn holding(&self, incidents: usize) {
        let grown = async {
            while self.held_incidents().await.len() < incidents {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(WITHIN, grown).await.expect("the import goes on");
    }
}

pub(super) fn arguments(format: &str, file: &Path, context: &Path, more: &[&str]) -> Vec<String> {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let mut all = vec!["--format".to_owned(), format.to_owned(), text(file), "--context".to_owned(), text(context)];
    all.extend(more.iter().map(|argument| (*argument).to_owned()));
    all
}
