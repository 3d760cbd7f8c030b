//! Every integration test in one binary: real servers on loopback, mutual TLS, both databases.
#![cfg(test)]

mod builders;
mod cli;
mod flow;
mod harness;
mod postgres;
