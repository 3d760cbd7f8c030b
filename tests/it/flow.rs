//! What agencies live through, one module for each row of the agreements and for each part of the gate.

mod a16;
mod agency_names;
mod anonymised;
mod answers;
mod batch;
mod consent_first;
mod door;
mod duties;
mod events;
mod holder_decides;
mod idempotency;
mod inbox;
mod ledger;
mod looking_first;
mod naming;
mod not_covered;
mod offers;
mod overload;
mod previews;
mod references;
mod register;
mod registration;
mod row_a3a;
mod row_a3b;
mod row_a3c;
mod row_n3a;
mod row_n3b;
mod row_n3c;
mod row_reg12_8;
mod statistics;
mod suspension;

pub(crate) use batch::Pending;
