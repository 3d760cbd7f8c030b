//! Concordat: one agency asks another for what it holds of a cyber incident; the clauses of their agreements, the
//! affected organisation's consent and the holder's authorisation are checked; a ledger entry is committed; only then
//! is exactly what may be released released, with its proof.
//!
//! The modules stand in the order in which a request meets them. `ARCHITECTURE.md` walks through them; the gate itself
//! is one page, in `exchange/gate.rs`.
//!
//! ```text
//! connections, tls     an agency's certificate            -> Peer
//! wire, proto          the contract's services
//! identity             certificate + token                -> Caller
//! exchange             the use cases: lock, facts, decision, entry, commit
//! decision             facts, purely                      -> Permit | Denial
//! ledger               leaves, tree, checkpoints, receipts, purely
//! store                transactions on two databases      -> Committed<Permit>
//! release, seal        Committed<Permit>                  -> content
//! papers               what an organisation is to read, purely -> a page
//! menu                 an incident's content, purely      -> where it stands in the statistics
//! statistics           incidents of a quarter, purely     -> tables and single records that may be shown
//! signpost             facts about a victim, purely       -> whom to turn to, clocks, help on offer
//! domain               the nouns and their rules
//! telemetry            what is counted and measured
//! ```

pub mod connections;
pub mod tls;

pub mod proto;
pub mod wire;

pub mod identity;

pub mod exchange;

pub mod decision;

pub mod ledger;

pub mod store;

pub mod release;
pub mod seal;

pub mod papers;

pub mod menu;
pub mod signpost;
pub mod statistics;

pub mod clock;
pub mod domain;
pub mod telemetry;
pub mod veris;

// From here on: what puts a node together, and what calls one.
pub mod client;
pub mod config;
pub mod dev;
pub mod ops;
pub mod pki;
pub mod rotation;
pub mod server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
