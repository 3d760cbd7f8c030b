//! Whether the agreements speak of an ask at all.
//!
//! This depends on the ask and on the agreements alone, never on what is held, so it may explain itself to the
//! requester. It also comes before anything is looked up: an organisation that the requester was not entitled to
//! name is not searched for.

use super::agreement::{Agreement, Clause, Modality};
use super::cedar;
use super::naming::{naming_agreements, naming_clauses};
use crate::domain::{Activity, AgencyId, Ask, Ground, Instant, Purpose, Subject};

/// The agreements and clauses that speak of an ask.
#[derive(Debug)]
pub struct Coverage<'a> {
    agreements: Vec<&'a Agreement>,
    clauses: Vec<&'a Clause>,
    naming: Vec<&'a Clause>,
    duty: Option<&'a Clause>,
    enforcement: bool,
}

impl<'a> Coverage<'a> {
    /// Every agreement in force between holder and requester, in the direction of the disclosure.
    pub fn agreements(&self) -> impl Iterator<Item = &'a Agreement> {
        self.agreements.iter().copied()
    }

    /// The clauses that can permit it.
    pub fn clauses(&self) -> impl Iterator<Item = &'a Clause> {
        self.clauses.iter().copied()
    }

    /// The clauses that let the requester name the organisation, where it does.
    pub fn naming(&self) -> impl Iterator<Item = &'a Clause> {
        self.naming.iter().copied()
    }

    /// A ground on which it may be authorised, if there is one.
    pub(super) fn ground(&self) -> Option<&'a Ground> {
        self.clauses().find_map(|clause| clause.grounds.first())
    }

    /// The duty that covers it, if there is one.
    pub fn duty(&self) -> Option<&'a Clause> {
        self.duty
    }

    /// Whether the purpose is enforcement against the organisation.
    pub fn is_enforcement(&self) -> bool {
        self.enforcement
    }
}

/// Why the agreements do not allow an ask, for the requester.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCovered {
    /// The reason, in upper snake case.
    pub reason: &'static str,
    /// The same in words, with what can be done.
    pub explanation: String,
}

impl NotCovered {
    /// The reason where a clause erred: that is a denial, and an operator must look at it.
    pub const CLAUSE_ERRED: &str = "CLAUSE_ERRED";

    pub(super) fn erred(errors: &[String]) -> Self {
        let explanation = format!("a clause could not be evaluated: {}", errors.join("; "));
        Self { reason: Self::CLAUSE_ERRED, explanation }
    }

    /// Something that an operator must look at.
    pub fn alarm(&self) -> Option<&str> {
        (self.reason == Self::CLAUSE_ERRED).then_some(self.explanation.as_str())
    }
}

fn not_covered<T>(reason: &'static str, explanation: String) -> Result<T, NotCovered> {
    Err(NotCovered { reason, explanation })
}

/// Finds what covers the ask at this time, or says why nothing does.
pub fn cover<'a>(ask: &Ask, agreements: &[&'a Agreement], at: Instant) -> Result<Coverage<'a>, NotCovered> {
    let (holder, requester) = (&ask.holder, &ask.requester.agency);
    let in_force: Vec<&'a Agreement> =
        agreements.iter().copied().filter(|agreement| agreement.is_effective(at)).collect();
    let between: Vec<&'a Agreement> = in_force
        .iter()
        .copied()
        .filter(|agreement| agreement.clauses().any(|clause| clause.speaks(ask.activity, holder, requester)))
        .collect();
    if between.is_empty() {
        let what = match ask.activity {
            Activity::ConfirmExistence => "confirm existence",
            _ => "disclose",
        };
        let text = format!("no agreement in force lets `{holder}` {what} to `{requester}`; ListAgreements shows yours");
        return not_covered("NO_AGREEMENT", text);
    }
    if let Some((id, digest)) = &ask.pinned {
        let in_force = between.iter().any(|agreement| agreement.id() == id && agreement.digest() == *digest);
        if !in_force {
            let text = format!("the text of `{id}` that the ask relies on is not the one in force; read it again");
            return not_covered("AGREEMENT_DIFFERS", text);
        }
    }
    let powers = |clause: &&'a Clause| {
        let speaks = clause.speaks(ask.activity, holder, requester) && clause.form == ask.form;
        clause.modality != Modality::Prohibition && speaks
    };
    let of_form = |agreement: &&'a Agreement| agreement.clauses().any(|clause| powers(&clause));
    if ask.is_anonymised() && !between.iter().any(of_form) {
        let text = format!("no clause lets `{holder}` disclose to `{requester}` in the form `{}`", ask.form);
        return not_covered("FORM_NOT_COVERED", text);
    }
    let purposeful: Vec<&'a Clause> = between
        .iter()
        .flat_map(|agreement| agreement.clauses())
        .filter(powers)
        .filter(|clause| clause.purposes.contains(&ask.purpose))
        .collect();
    if purposeful.is_empty() {
        let mut purposes: Vec<&str> = between
            .iter()
            .flat_map(|agreement| agreement.clauses())
            .filter(powers)
            .flat_map(|clause| clause.purposes.iter().map(crate::domain::Purpose::as_str))
            .collect();
        purposes.sort_unstable();
        purposes.dedup();
        let text = format!(
            "no clause lets `{holder}` disclose to `{requester}` for `{}`; covered: {}",
            ask.purpose,
            purposes.join(", ")
        );
        return not_covered("PURPOSE_NOT_COVERED", text);
    }
    let clauses: Vec<&'a Clause> =
        purposeful.into_iter().filter(|clause| !clause.categories.is_disjoint(&ask.categories)).collect();
    if clauses.is_empty() {
        return not_covered(
            "CATEGORY_NOT_COVERED",
            "no clause for this purpose names any category asked for".to_owned(),
        );
    }
    let naming = cover_naming(ask, &in_force, at)?;
    let duty = clauses.iter().copied().find(|clause| clause.modality == Modality::Duty);
    let enforcement = between.iter().any(|agreement| agreement.is_enforcement(&ask.purpose));
    Ok(Coverage { agreements: between, clauses, naming, duty, enforcement })
}

/// Naming an organisation is the requester's own disclosure and needs a clause in its direction; where that one requires
/// the organisation's consent, what the requester's own node said stands for it.
fn cover_naming<'a>(ask: &Ask, in_force: &[&'a Agreement], at: Instant) -> Result<Vec<&'a Clause>, NotCovered> {
    let Subject::Organisation(named) = &ask.subject else { return Ok(Vec::new()) };
    let (holder, requester) = (&ask.holder, &ask.requester.agency);
    let naming = naming_clauses(in_force, requester, holder);
    if let Some(why) = lets_nobody_name(&naming, requester, holder, &ask.purpose, &named.ground) {
        return Err(why);
    }
    let answer = cedar::may_name(&naming_agreements(in_force, requester, holder), ask, named, at);
    if !answer.errors.is_empty() {
        return Err(NotCovered::erred(&answer.errors));
    }
    let lets_name = |clause: &&Clause| answer.permits.contains(clause.id.as_str());
    let mut permitting = naming.iter().copied().filter(lets_name);
    let permitted = permitting.any(|clause| !clause.consent_required || ask.naming.is_some());
    if permitted && answer.forbids.is_empty() {
        return Ok(naming);
    }
    match &ask.naming {
        None if naming.iter().any(|clause| clause.consent_required) => {
            let text = format!(
                "`{requester}` may name an organisation to `{holder}` only with a receipt of its own node that it has the \
                 organisation's consent to that: get one with AskToName there; or ask by a reference that `{holder}` issued"
            );
            not_covered("NAMING_RECEIPT_REQUIRED", text)
        }
        Some(receipt) if at < receipt.given_at || receipt.until <= at => {
            let text = "the receipt about naming has ended, or is of a time to come: get another with AskToName";
            not_covered("NAMING_RECEIPT_ENDED", text.to_owned())
        }
        Some(_) => {
            let text = "the receipt is not about naming this organisation, by each of these identifiers, to this agency, for \
                        this purpose and on this ground: get one that is with AskToName";
            not_covered("NAMING_RECEIPT_DIFFERS", text.to_owned())
        }
        None => {
            not_covered("NAMING_GROUND_NOT_COVERED", ground_not_covered(requester, holder, &ask.purpose, &named.ground))
        }
    }
}

/// Why none of these clauses, which let one agency name organisations to another, lets it for this purpose and on this
/// ground; none where one does.
pub(super) fn lets_nobody_name(
    naming: &[&Clause],
    disclosing: &AgencyId,
    receiving: &AgencyId,
    purpose: &Purpose,
    ground: &Ground,
) -> Option<NotCovered> {
    if naming.is_empty() {
        let explanation = format!(
            "no clause lets `{disclosing}` name an organisation to `{receiving}`; ask by a reference it issued"
        );
        return Some(NotCovered { reason: "NAMING_NOT_COVERED", explanation });
    }
    let fits = |clause: &&Clause| clause.purposes.contains(purpose) && clause.grounds.contains(ground);
    if naming.iter().any(fits) {
        return None;
    }
    let explanation = ground_not_covered(disclosing, receiving, purpose, ground);
    Some(NotCovered { reason: "NAMING_GROUND_NOT_COVERED", explanation })
}

fn ground_not_covered(disclosing: &AgencyId, receiving: &AgencyId, purpose: &Purpose, ground: &Ground) -> String {
    format!(
        "no clause lets `{disclosing}` name an organisation to `{receiving}` for `{purpose}` on the ground `{ground}`"
    )
}
