//! Statistics that say nothing about one organisation.
//!
//! Pure: incidents of one quarter in, tables with hidden cells out. A [`Menu`] fixes which tables there are, a
//! [`Rule`] is what the agreements say, and [`publish`] is the only way from one to the other. `docs/disclosure-control.md`
//! argues the method; `tests/it/disclosure.rs` attacks it. [`come_out`] does the same for single records.

mod alike;
mod control;
mod table;

pub use alike::{Look, come_out};
pub use control::{
    Contribution, NotOnMenu, Publication, Published, Rule, Safeguards, Secret, publish, publish_without,
};
pub use table::{Coordinates, Dimension, MOST_DIMENSIONS, Menu, MenuError, Table};
