//! What was recorded of a consent, for the organisation that gave it.

use super::page::{Page, when};
use super::receipt::json;
use super::wording::{States, filled};
use super::{Letterhead, ShownScope, Wording};
use crate::domain::{ConsentState, Instant};
use crate::proto::v1::Receipt;

/// Where a consent stands, as its organisation is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As its state says.
    State(ConsentState),
    /// Given, and its time is over.
    Expired,
    /// Given, and a merger came after.
    Unconfirmed,
}

impl Standing {
    fn words(self, texts: &States) -> &str {
        match self {
            Self::Expired => &texts.expired,
            Self::Unconfirmed => &texts.unconfirmed,
            Self::State(ConsentState::Given) => &texts.given,
            Self::State(ConsentState::Sought | ConsentState::Recorded) => &texts.recorded,
            Self::State(ConsentState::Refused) => &texts.refused,
            Self::State(ConsentState::Withdrawn) => &texts.withdrawn,
            Self::State(ConsentState::Superseded) => &texts.superseded,
            Self::State(ConsentState::EnteredInError) => &texts.entered_in_error,
        }
    }
}

/// One version of a consent as it is acknowledged.
#[derive(Debug)]
pub struct Acknowledgement {
    /// Who acknowledges, to whom.
    pub head: Letterhead,
    /// The consent's id.
    pub consent: String,
    /// Its version.
    pub version: i64,
    /// Where it stands.
    pub standing: Standing,
    /// What it permits.
    pub scope: ShownScope,
    /// When it was recorded.
    pub recorded_at: Instant,
    /// SHA-256 over the document that was signed, in hexadecimal; none once that is erased.
    pub document: Option<String>,
    /// The entries of its steps, opening nothing.
    pub receipts: Vec<Receipt>,
}

impl Acknowledgement {
    /// The page.
    pub fn page(&self, wording: &Wording) -> String {
        let (texts, labels, head) = (&wording.acknowledgement, &wording.labels, &self.head);
        let fill = |text: &str| filled(text, head, &[("recipient", &self.scope.recipient)]);
        let mut page = Page::new(&fill(&texts.title));
        let mut terms = vec![
            (labels.organisation.as_str(), vec![head.organisation.clone()]),
            (&labels.holder, vec![head.holder.clone()]),
            (&labels.consent, vec![format!("{}, version {}", self.consent, self.version)]),
            (&labels.state, vec![fill(self.standing.words(&texts.states))]),
            (&labels.recorded, vec![when(self.recorded_at)]),
        ];
        terms.extend(self.document.iter().map(|document| (labels.document.as_str(), vec![document.clone()])));
        texts.introduction.iter().for_each(|text| page.paragraph(&fill(text)));
        page.terms(&terms);
        page.heading(&texts.scope);
        page.terms(&self.scope.terms(head, wording));
        page.heading(&texts.withdrawal);
        texts.withdrawing.iter().for_each(|text| page.paragraph(&fill(text)));
        page.heading(&texts.receipts);
        texts.proof.iter().for_each(|text| page.paragraph(&fill(text)));
        for receipt in &self.receipts {
            page.attachment(&format!("{} {}", receipt.origin, receipt.index), &json(receipt));
        }
        page.finish(head, wording)
    }
}
