//! What agencies live through, one module for each row of the agreements and for each part of the gate.

mod consent_first;
mod row_a3a;
mod row_n3a;
