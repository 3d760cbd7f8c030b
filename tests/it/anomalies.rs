//! The ways in which "no release after a withdrawal" goes wrong elsewhere, each forced and named.
//!
//! Nothing here is timed: a test holds what a call needs (the ledger's head, a table, the readers) until the others are
//! where it wants them, and then lets go. Another replica is a second node in this process on the same database.
//!
//! | | What must not happen | Where |
//! | --- | --- | --- |
//! | A1 | a release after an acknowledged withdrawal | `flow/batch.rs`; on two replicas A2 and A3 |
//! | A2 | checked, paused, then committed | `replicas` |
//! | A3 | a second replica that remembers | `replicas` |
//! | A4 | anything read from a standby | `replicas` |
//! | A5 | an acknowledged withdrawal lost on failover | `replicas`, as far as it is the node's; see there |
//! | A6 | a withdrawal that the client gave up is done once or not at all | `calls` |
//! | A7 | two consents, one withdrawn, the wrong one cited | `consents` |
//! | A8 | what was prepared under version 1 uses a later one | `consents` |
//! | A9 | narrowed while a list is being paged through or streamed | `consents`, `streams` |
//! | A10 | expiry at the exact microsecond, and a clock that goes back | `consents` |
//! | A11 | the clause amended or the agreement ended meanwhile | `calls` |
//! | A12 | suspended meanwhile | `calls`, `streams` |
//! | A13 | committed before the withdrawal and delivered after it: may happen, with an index below it | `calls` |
//! | A14 | done twice after an unknown outcome | `calls` |
//! | A15 | passed on under the first consent; what was passed on is called back with it | `consents` for what is called back; onward disclosure for what is passed on |
//! | A16 | merged, renamed, other identifiers | `flow/a16.rs` |
//! | A17 | withdrawn, then amended: the new content under the old permission | `consents` |
//! | A18 | one of many withdraws, and its own is released with the others' | `calls` |
//! | A19 | clause and consent from different states | `replicas` |
//! | A20 | a withdrawal that waits behind releases | `calls` |

mod calls;
mod consents;
mod replicas;
mod streams;

use std::net::SocketAddr;
use std::time::Duration;

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::server::Running;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::builders::Held;
use crate::harness::{PURPOSES, World};

/// How long a test waits for what must come.
const WITHIN: Duration = Duration::from_secs(20);

impl World {
    /// Another replica: a second node on the same database, with nothing in its memory.
    async fn replica(&self) -> Running {
        Running::start(&self.config, self.clock.clone()).await.unwrap()
    }

    /// An officer who calls the node at this address.
    fn officer_at(&self, at: SocketAddr, agency: &str, name: &str, roles: &[&str]) -> OfficerChannel {
        let context = self.workspace.context(agency, name, roles, &PURPOSES, "one", at);
        context.officer(self.workspace.folder(), self.clock.clone()).unwrap()
    }

    /// How many entries the database has by now, seen past the node.
    async fn committed(&self) -> u64 {
        let (url, query) = (self.config.database_url(), "SELECT size FROM ledger_head");
        let size: i64 = if url.starts_with("postgres") {
            sqlx::query_scalar(query).fetch_one(&mut PgConnection::connect(&url).await.unwrap()).await.unwrap()
        } else {
            sqlx::query_scalar(query).fetch_one(&mut SqliteConnection::connect(&url).await.unwrap()).await.unwrap()
        };
        size.try_into().unwrap()
    }

    /// Waits until the ledger has so many entries.
    async fn until_committed(&self, entries: u64) {
        let wait = async {
            while self.committed().await < entries {
                tokio::task::yield_now().await;
            }
        };
        assert!(timeout(WITHIN, wait).await.is_ok(), "the ledger has {} entries", self.committed().await);
    }

    /// What a released ask rested on, as the node keeps it for repeats.
    async fn basis(&self, index: u64) -> String {
        let url = self.config.database_url();
        let (query, index) = ("SELECT answer FROM call WHERE idx = $1", i64::try_from(index).unwrap());
        if url.starts_with("postgres") {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            sqlx::query_scalar(query).bind(index).fetch_one(&mut connection).await.unwrap()
        } else {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            sqlx::query_scalar(query).bind(index).fetch_one(&mut connection).await.unwrap()
        }
    }

    /// What came of an ask; if that is unknown, of the same ask again.
    async fn known(
        &self,
        held: &Held,
        ask: v1::RequestReleaseRequest,
        answer: Result<v1::RequestReleaseResponse, Status>,
    ) -> v1::RequestReleaseResponse {
        match answer {
            Err(status) if status.code() == Code::Unavailable => self.put(held, ask).await.unwrap(),
            answer => answer.unwrap(),
        }
    }
}

fn index(response: &v1::RequestReleaseResponse) -> u64 {
    response.receipt.as_ref().unwrap().index
}
