//! Pages for an organisation to read, to sign and to keep: a form, an acknowledgement, a statement.
//!
//! A page is one HTML file that needs nothing else: no script, no image, no font, nothing from elsewhere. What it says is
//! its fields and a versioned wording (`papers/`); the same of both gives the same bytes. Whatever somebody wrote is text
//! on it and never markup.

mod acknowledgement;
mod consent_form;
mod page;
mod receipt;
mod scope;
mod statement;
mod wording;

pub use acknowledgement::{Acknowledgement, Standing};
pub use consent_form::ConsentForm;
pub use scope::ShownScope;
pub use statement::{Made, ShownDisclosure, ShownNotice, Statement};
pub use wording::Wording;

use crate::domain::Instant;

/// Who writes to whom, and when.
#[derive(Clone)]
pub struct Letterhead {
    /// The holder's name.
    pub holder: String,
    /// The organisation's name.
    pub organisation: String,
    /// How to reach the holder.
    pub contact: String,
    /// The time at which all of it is so.
    pub at: Instant,
    /// SHA-256 over the wording, in hexadecimal.
    pub wording_digest: String,
}

impl std::fmt::Debug for Letterhead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Letterhead(..)")
    }
}

#[cfg(test)]
mod tests;
