//! Concordat.
pub mod domain;
