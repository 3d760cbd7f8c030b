//! Concordat.
pub mod domain;
pub mod ledger;
pub mod proto;
pub mod seal;
pub mod decision;
