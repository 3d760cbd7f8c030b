//! What agencies live through, one module for each row of the agreements and for each part of the gate.

mod a16;
mod answers;
mod batch;
mod consent_first;
mod door;
mod holder_decides;
mod idempotency;
mod ledger;
mod naming;
mod not_covered;
mod references;
mod register;
mod row_a3a;
mod row_a3c;
mod row_n3a;
mod row_n3c;
mod row_reg12_8;
