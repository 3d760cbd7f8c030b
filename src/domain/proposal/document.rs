//! A document of the library: a proposal that asks for no answer, with a marking and with what it cites.

use serde::{Deserialize, Serialize};

use super::{Proposal, ProposalText, ProposalWords};
use crate::domain::invalid::unprinted;
use crate::domain::{AgencyId, Digest, Invalid, ProposalId, Rejected, Tlp, check};

/// What a document cites.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Citation {
    /// Another document of the library.
    Document {
        /// Whose it is.
        agency: AgencyId,
        /// Which one.
        id: ProposalId,
        /// Which version of it.
        digest: Digest,
    },
    /// A publication from outside.
    Outside {
        /// Its title.
        title: String,
        /// Who published it.
        publisher: String,
    },
}

unprinted!(Citation);

impl Citation {
    /// Whether it cites the document with this id, or the publication of this very title.
    pub fn is_of(&self, wanted: &str) -> bool {
        match self {
            Self::Document { id, .. } => id.as_str() == wanted,
            Self::Outside { title, .. } => title == wanted,
        }
    }
}

impl ProposalWords {
    /// Whether it is the text of a document: these alone are marked, and all of them.
    pub fn is_document(&self) -> bool {
        self.tlp.is_some()
    }

    /// Fails unless it has what a document has, or has none of it.
    pub fn check_document(&self, document: bool) -> Result<(), Invalid> {
        let problem = if document {
            "is required: how far this document may go, by TLP 2.0"
        } else {
            "must not be set: this kind is no document"
        };
        check(self.is_document() == document, "proposal.tlp", problem)?;
        check(document || self.citations.is_empty(), "proposal.citations", problem)
    }
}

impl ProposalText {
    /// Its marking, if it is a document's and not erased.
    pub fn tlp(&self) -> Option<Tlp> {
        self.words.as_ref().and_then(|words| words.tlp)
    }

    /// What it cites.
    pub fn citations(&self) -> &[Citation] {
        self.words.as_ref().map_or(&[], |words| words.citations.as_slice())
    }
}

impl Proposal {
    /// Whether the marking of a text lets it be put to this agency.
    ///
    /// TLP 2.0: RED is for persons who were named, and only agencies can be named here; AMBER+STRICT stays within one
    /// organisation, so one agency alone gets any version that is so marked.
    pub fn check_marking(&self, text: &ProposalText, agency: &AgencyId) -> Result<(), Rejected> {
        let is_elsewhere = || {
            let others = self.puts.iter().filter(|put| put.agency != *agency);
            others.filter_map(|put| self.text(put.version)).any(|put| put.tlp() == Some(Tlp::AmberStrict))
                || self.puts.iter().any(|put| put.agency != *agency && put.version == text.version)
        };
        match text.tlp() {
            Some(Tlp::Red) => {
                Err(Rejected::WrongState("it is marked TLP RED, for persons who were named: it goes to no agency"))
            }
            Some(Tlp::AmberStrict) if is_elsewhere() => {
                Err(Rejected::WrongState("it is marked TLP AMBER+STRICT and was put to another agency already"))
            }
            _ => Ok(()),
        }
    }
}
