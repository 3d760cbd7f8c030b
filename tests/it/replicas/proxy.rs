//! A proxy between a replica and PostgreSQL. It passes everything on, and sees enough of the protocol to lose or to hold
//! back the one message that matters most.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to the next COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// It is passed on, and so is its answer.
    Pass,
    /// It reaches the database and is done; then the connection is cut instead of passing the answer on.
    LoseAnswer,
    /// The connection is cut instead of passing it on.
    LoseCommit,
    /// It is held back until the rule is another one.
    Hold,
    /// It is passed on to nobody, and nothing comes on this connection any more, not even its end.
    Silence,
}

/// The proxy's state, as the test sets and sees it.
struct Shared {
    socket: PathBuf,
    rule: watch::Sender<Rule>,
    /// Whether a cut also keeps new connections out, until the door is opened.
    then_closed: watch::Sender<bool>,
    open: watch::Sender<bool>,
    /// How often a rule was applied.
    applied: watch::Sender<usize>,
}

/// A running proxy. It ends when it is dropped.
pub(super) struct Proxy {
    /// The database by way of the proxy.
    pub(super) database: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// In front of a database of the tests' own server, which is reached by a socket in a folder.
    pub(super) async fn before(database: &str) -> Self {
        let (path, folder) = database.split_once("?host=").unwrap();
        let (_, name) = path.rsplit_once('/').unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            socket: PathBuf::from(folder).join(".s.PGSQL.5432"),
            rule: watch::Sender::new(Rule::Pass),
            then_closed: watch::Sender::new(false),
            open: watch::Sender::new(true),
            applied: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { database: format!("postgres://concordat@{address}/{name}?sslmode=disable"), shared, task }
    }

    /// For the next COMMIT.
    pub(super) fn next(&self, rule: Rule) {
        self.shared.then_closed.send_replace(false);
        self.shared.rule.send_replace(rule);
    }

    /// The same, and the database cannot be reached after the cut.
    pub(super) fn next_and_last(&self, rule: Rule) {
        self.next(rule);
        self.shared.then_closed.send_replace(true);
    }

    /// Lets new connections in again.
    pub(super) fn open(&self) {
        self.shared.open.send_replace(true);
    }

    /// Returns once rules were applied so many times in all.
    pub(super) async fn applied(&self, times: usize) {
        self.shared.applied.subscribe().wait_for(|applied| *applied >= times).await.unwrap();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if *shared.open.borrow() {
            client.set_nodelay(true).unwrap();
            let server = UnixStream::connect(&shared.socket).await.unwrap();
            tokio::spawn(pass(client, server, Arc::clone(&shared)));
        }
    }
}

/// Passes both directions on, until either side ends or a rule cuts the two apart.
async fn pass(mut client: TcpStream, mut server: UnixStream, shared: Arc<Shared>) {
    let (mut upward, mut downward) = (Vec::new(), Vec::new());
    let (mut started, mut losing) = (false, false);
    loop {
        tokio::select! {
            read = client.read_buf(&mut upward) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
                while let Some(message) = next_message(&mut upward, &mut started) {
                    if is_commit(&message) {
                        let rule = *shared.rule.borrow();
                        match rule {
                            Rule::LoseCommit => {
                                shared.cut();
                                return;
                            }
                            Rule::Silence => {
                                shared.cut();
                                std::future::pending::<()>().await;
                            }
                            Rule::LoseAnswer => losing = true,
                            Rule::Hold | Rule::Pass => {}
                        }
                        shared.hold().await;
                    }
                    // If the database has ended the session, what it said about that is passed on below.
                    drop(server.write_all(&message).await);
                }
            }
            read = server.read_buf(&mut downward) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
                if losing {
                    assert!(downward.starts_with(b"C"), "COMMIT was not done");
                    shared.cut();
                    return;
                }
                if client.write_all(&downward).await.is_err() {
                    return;
                }
                downward.clear();
            }
        }
    }
}

impl Shared {
    fn cut(&self) {
        self.rule.send_replace(Rule::Pass);
        if *self.then_closed.borrow() {
            self.open.send_replace(false);
        }
        self.applied.send_modify(|applied| *applied += 1);
    }

    async fn hold(&self) {
        if *self.rule.borrow() == Rule::Hold {
            self.applied.send_modify(|applied| *applied += 1);
            self.rule.subscribe().wait_for(|rule| *rule != Rule::Hold).await.unwrap();
        }
    }
}

/// Takes one message of the client's: a type, then a length that counts itself. The first one has no type.
fn next_message(buffer: &mut Vec<u8>, started: &mut bool) -> Option<Vec<u8>> {
    let kind = usize::from(*started);
    let length = u32::from_be_bytes(buffer.get(kind..kind + 4)?.try_into().unwrap());
    let whole = kind + usize::try_from(length).unwrap();
    if buffer.len() < whole {
        return None;
    }
    *started = true;
    let rest = buffer.split_off(whole);
    Some(std::mem::replace(buffer, rest))
}

/// A simple query: how the store ends its writing transactions.
fn is_commit(message: &[u8]) -> bool {
    message.first() == Some(&b'Q') && message[5..].starts_with(b"COMMIT")
}
