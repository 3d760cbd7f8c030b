//! Concordat.
pub mod connections;
pub mod identity;
pub mod pki;
pub mod tls;
pub mod clock;
pub mod domain;
pub mod ledger;
pub mod proto;
pub mod seal;
pub mod decision;
pub mod store;
pub mod exchange;
pub mod release;
