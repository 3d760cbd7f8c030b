//! What agencies live through, one module for each row of the agreements and for each part of the gate.

mod row_n3a;
