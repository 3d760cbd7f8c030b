//! Every integration test in one binary: real servers on loopback, mutual TLS, both databases.
#![cfg(test)]

mod anomalies;
mod architecture;
mod bad_input;
mod builders;
mod canary;
mod cancelled;
mod cli;
mod completeness;
mod config;
mod coverage;
mod deconfliction;
mod disclosure;
mod erased;
mod flow;
mod footprint;
mod harness;
mod holders;
mod import;
mod indistinguishable;
mod kill;
mod matrix;
mod migrations;
mod onward;
mod oracle;
mod oracles;
mod outages;
mod postgres;
mod program;
mod raw;
mod remedies;
mod replay;
mod replicas;
mod statements;
mod storm;
mod tokens;
