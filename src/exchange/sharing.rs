//! Asks for what a holder made of many incidents, a table of its statistics or a theme, on their way through the gate.

mod stock;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::decision::{Agreement, Sharing, SharingFacts, Wanted, decide_sharing};
use crate::domain::{AgencyId, ClauseId, Digest, Quarter, ThemeId};
use crate::ledger::{Draft, Kind, Salts, Slots};
use crate::proto::v1::Receipt;
use crate::release::{Shareable, Shared};
use crate::seal;
use crate::store::{Answer, Committed, KnownCall, Locked, Write};

use super::plan::By;
use super::{Result, statement};
pub(super) use stock::Stock;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharingAsk {
    /// The agency asked.
    pub holder: AgencyId,
    /// Of what it has.
    pub item: Item,
}

/// A table of statistics, or a theme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A table of a quarter.
    Table(Quarter, String),
    /// A theme.
    Theme(ThemeId),
}

impl SharingAsk {
    /// Whether a theme is asked for, rather than a table.
    pub(super) fn is_for_theme(&self) -> bool {
        matches!(self.item, Item::Theme(_))
    }
}

/// What an ask's call is kept with.
pub(super) fn object(facts: &SharingFacts) -> String {
    let holder = &facts.holder;
    match &facts.wanted {
        Wanted::Table { quarter, table, .. } => format!("{holder}/{quarter}/{table}"),
        Wanted::Theme { theme, .. } => format!("{holder}/{theme}"),
    }
}

/// The kind of an ask's entry.
fn kind(facts: &SharingFacts) -> Kind {
    match &facts.wanted {
        Wanted::Table { .. } => Kind::Statistics,
        Wanted::Theme { .. } => Kind::ThemeAsk,
    }
}

/// One call that asks for a table or a theme.
#[derive(Debug)]
pub(super) struct SharingCall {
    pub(super) by: By,
    pub(super) ask: SharingAsk,
}

/// What such an ask came to.
#[derive(Debug)]
pub struct Told {
    /// The outcome.
    pub outcome: Telling,
    /// Its entry.
    pub index: u64,
    /// The proof, for the requester.
    pub receipt: Option<Receipt>,
}

/// The outcome of an ask for a table or a theme.
#[derive(Debug)]
pub enum Telling {
    /// It is shared.
    Shared {
        /// The table or the theme. None: a repeat may not have it any more.
        content: Option<Shared>,
        /// Its digest.
        digest: Digest,
        /// The clauses under which it was shared.
        clauses: BTreeSet<ClauseId>,
        /// What they oblige the recipient to.
        obligations: Vec<String>,
    },
    /// The agreements do not allow it.
    NotCovered {
        /// The reason.
        reason: String,
        /// The same in words.
        explanation: String,
    },
    /// There is nothing to share.
    NotPublished {
        /// The same in words.
        explanation: String,
    },
}

impl From<Answer> for Telling {
    /// Nothing is shared here: the content comes with what `release` gives for a committed permit.
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Shared { digest, clauses } => {
                Self::Shared { content: None, digest, clauses, obligations: Vec::new() }
            }
            Answer::NotCovered { reason, explanation } => Self::NotCovered { reason, explanation },
            Answer::NotPublished { explanation } => Self::NotPublished { explanation },
            // What is kept of an ask about an incident is never such an ask's.
            Answer::Released { .. } | Answer::Open => Self::NotPublished { explanation: String::new() },
        }
    }
}

/// An ask with everything that its decision reads.
pub(super) struct Asked {
    facts: SharingFacts,
    agreements: Vec<Arc<Agreement>>,
    content: Option<(Digest, Shared)>,
}

/// A decision on its way into the ledger.
pub(super) struct Decided {
    pub(super) object: String,
    pub(super) draft: Draft,
    pub(super) facts: Vec<u8>,
    pub(super) answer: Answer,
    pub(super) shareable: Option<Shareable>,
    /// What is noted if it is shared.
    pub(super) writes: Vec<Write>,
}

impl Asked {
    fn decide(&self) -> Sharing {
        let agreements: Vec<&Agreement> = self.agreements.iter().map(Arc::as_ref).collect();
        decide_sharing(&self.facts, &agreements)
    }

    /// Whether it would be shared.
    pub(super) fn is_permitted(&self) -> bool {
        matches!(self.decide(), Sharing::Permit(_))
    }

    /// What an ask comes to when it is put for the first time: one entry, whatever the outcome.
    pub(super) fn first_time(self) -> Result<Decided> {
        let decision = self.decide();
        let facts = statement::sharing_facts(&self.facts)?;
        let stated = statement::of_sharing_ask(&self.facts, &facts, &decision);
        let requester = &self.facts.requester.agency;
        let draft = Draft {
            kind: kind(&self.facts),
            act: stated.act,
            subject: stated.subject,
            outcome: stated.outcome,
            grounds: stated.grounds,
            salts: Salts::from_seed(&seal::random()),
            parties: vec![(requester.clone(), Slots::REQUESTER), (self.facts.holder.clone(), Slots::ALL)],
        };
        let writes = match (&decision, &self.facts.wanted) {
            (Sharing::Permit(_), Wanted::Theme { theme, .. }) => vec![Write::theme_recipient(theme, requester)],
            _ => Vec::new(),
        };
        let (object, answer) = (object(&self.facts), answer(&decision));
        Ok(Decided { object, draft, facts, answer, shareable: shareable(decision, self.content), writes })
    }

    /// The same ask again: the same outcome and entry, and the content only if it may still be shared.
    pub(super) fn again(self, locked: &Locked, call: &KnownCall) -> (Told, Option<Committed<Shareable>>) {
        let decision = self.decide();
        let same = call.answer.as_ref().is_some_and(|earlier| *earlier == answer(&decision));
        let shareable = if same { shareable(decision, self.content) } else { None };
        let outcome = call.answer.clone().unwrap_or(Answer::Open).into();
        let told = Told { outcome, index: call.index, receipt: None };
        (told, shareable.map(|shareable| locked.committed_earlier(call, shareable)))
    }
}

fn shareable(decision: Sharing, content: Option<(Digest, Shared)>) -> Option<Shareable> {
    match (decision, content) {
        (Sharing::Permit(permit), Some((digest, shared))) => Shareable::new(permit, digest, shared),
        _ => None,
    }
}

/// What repeats of an ask are told.
pub(super) fn answer(decision: &Sharing) -> Answer {
    match decision {
        Sharing::Permit(permit) => Answer::Shared { digest: permit.digest(), clauses: permit.clauses().clone() },
        Sharing::NotCovered(why) => {
            Answer::NotCovered { reason: why.reason.to_owned(), explanation: why.explanation.clone() }
        }
        Sharing::NotPublished { explanation, .. } => Answer::NotPublished { explanation: explanation.clone() },
    }
}
