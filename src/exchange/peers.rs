//! What other agencies' ledgers say: receipts, verified with the keys that the operator configured.

use prost::Message;

use crate::domain::{AgencyId, Instant, Invalid, Passage, Provenance};
use crate::ledger::{Keyring, Verified, verify};
use crate::proto::v1::{Receipt, ReleasedStatement, Slot};

use super::Node;

/// A key that signs, or signed, the ledger of an agency's node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerKey {
    /// The agency whose records that node holds.
    pub agency: AgencyId,
    /// The verifier key, which names the ledger.
    pub key: String,
    /// From when on it is believed. It then signs for all that was there before, too.
    pub from: Option<Instant>,
    /// The first instant whose entries it cannot have signed.
    pub until: Option<Instant>,
}

/// A receipt that verifies, and the agencies whose node's ledger it is from.
#[derive(Debug)]
pub(super) struct Attested {
    /// What it says.
    pub(super) said: Verified,
    /// When its entry took effect there.
    pub(super) at: Instant,
    /// The entry's place there.
    pub(super) index: u64,
    agencies: Vec<AgencyId>,
    /// Whether it opens the outcome and nothing else.
    opens_outcome_alone: bool,
}

impl Attested {
    /// Whether an agency's node says it.
    pub(super) fn is_of(&self, agency: &AgencyId) -> bool {
        self.agencies.contains(agency)
    }

    /// Turns away what tells more than this agency may know of another's ledger.
    pub(super) fn check_outcome_alone(&self, field: &str) -> Result<(), Invalid> {
        let problem = "opens more than the outcome: leave the other openings out, they are not for this agency";
        if self.opens_outcome_alone { Ok(()) } else { Err(Invalid::new(field, problem)) }
    }

    /// Turns away what opens a release of which an agency has not passed each incident on: of the others it would learn.
    pub(super) fn check_all_came_by(&self, agency: &AgencyId, field: &str) -> Result<(), Invalid> {
        let released = self.said.outcome.as_ref().map(|outcome| outcome.released.as_slice()).unwrap_or_default();
        let came_by = |one: &ReleasedStatement| {
            let passages = one.handling.as_ref().map(|handling| handling.provenance.as_slice()).unwrap_or_default();
            passages.iter().any(|passage| passage.from == agency.as_str())
        };
        let problem = "opens other incidents: ask for this one alone by its reference and use that receipt";
        if released.iter().all(came_by) { Ok(()) } else { Err(Invalid::new(field, problem)) }
    }

    /// One of the incidents that it says were released, with the chain by which it came to `to`, from an agency whose
    /// node says so.
    pub(super) fn released(
        &self,
        to: &AgencyId,
        reference: &str,
        field: &str,
    ) -> Result<(&ReleasedStatement, Provenance), Invalid> {
        let released = self.said.outcome.as_ref().map(|outcome| outcome.released.as_slice()).unwrap_or_default();
        let found = match (reference, released) {
            (_, []) => return Err(Invalid::new(field, "is not of a release, or its outcome is not opened")),
            ("", [only]) => only,
            ("", _) => return Err(Invalid::new("reference", "is required: several incidents were released")),
            (reference, all) => all
                .iter()
                .find(|one| one.reference == reference)
                .ok_or_else(|| Invalid::new("reference", "is not of an incident that was released"))?,
        };
        let stated = found.handling.as_ref().map(|handling| handling.provenance.as_slice()).unwrap_or_default();
        let problem = || Invalid::new(field, "has no provenance that this version can read");
        let passages: Option<Vec<Passage>> = stated.iter().map(super::statement::read_passage).collect();
        let chain = Provenance::new(passages.ok_or_else(problem)?).map_err(|_| problem())?;
        if chain.holder() != Some(to) {
            return Err(Invalid::new(field, "is of a release to another agency than yours"));
        }
        let released_by = chain.passages().last().map(|last| &last.from);
        if !released_by.is_some_and(|agency| self.is_of(agency)) {
            return Err(Invalid::new(field, "is not from the ledger of the agency that released it"));
        }
        Ok((found, chain))
    }
}

impl Node {
    /// Verifies an encoded receipt of this node's ledger or of a peer's.
    pub(super) fn attested(&self, field: &str, encoded: &[u8]) -> Result<Attested, Invalid> {
        let invalid = |problem: String| Invalid::new(field, problem);
        if encoded.is_empty() {
            return Err(invalid("is required".to_owned()));
        }
        let receipt = Receipt::decode(encoded).map_err(|_| invalid("is not an encoded Receipt".to_owned()))?;
        let opens_outcome_alone = receipt.openings.iter().all(|opening| opening.slot() == Slot::Outcome);
        let (mut said, mut agencies) = (None, Vec::new());
        let mut problem = format!(
            "is of the ledger `{}`, for which this node has no key: an operator adds one under [[agency.ledger]]",
            receipt.origin.chars().filter(|c| !c.is_control()).take(100).collect::<String>()
        );
        for LedgerKey { agency, key, from, until } in self.ledger_keys() {
            let ring = Keyring::parse([key.as_str()]).map_err(|e| invalid(e.to_string()))?;
            if !ring.knows(&receipt.origin) {
                continue;
            }
            match verify(&receipt, &ring) {
                Ok(verified) => {
                    let at = Instant::from_micros(verified.entry.at_micros);
                    if from.is_none_or(|from| from <= self.clock.now()) && until.is_none_or(|until| at < until) {
                        agencies.push(agency);
                        said = Some(verified);
                    } else {
                        "is signed with a key that is not in use yet, or was not any more at its time"
                            .clone_into(&mut problem);
                    }
                }
                Err(error) => problem = format!("does not verify: {error}"),
            }
        }
        let said = said.ok_or_else(|| invalid(problem))?;
        let at = Instant::from_micros(said.entry.at_micros);
        Ok(Attested { said, at, index: receipt.index, agencies, opens_outcome_alone })
    }
}
