//! The form on which an organisation consents. It permits nothing before it is signed, recorded and verified.

use super::page::Page;
use super::wording::filled;
use super::{Letterhead, ShownScope, Wording};

/// What the organisation is asked.
#[derive(Debug)]
pub struct ConsentForm {
    /// Who asks whom.
    pub head: Letterhead,
    /// To what it would agree.
    pub scope: ShownScope,
}

impl ConsentForm {
    /// The page.
    pub fn page(&self, wording: &Wording) -> String {
        let (texts, labels, head) = (&wording.consent_form, &wording.labels, &self.head);
        let fill = |text: &str| filled(text, head, &[("recipient", &self.scope.recipient)]);
        let mut page = Page::new(&fill(&texts.title));
        page.terms(&[
            (&labels.organisation, vec![head.organisation.clone()]),
            (&labels.holder, vec![head.holder.clone()]),
        ]);
        texts.introduction.iter().for_each(|text| page.paragraph(&fill(text)));
        page.heading(&texts.scope);
        page.terms(&self.scope.terms(head, wording));
        page.heading(&texts.withdrawal);
        texts.withdrawing.iter().for_each(|text| page.paragraph(&fill(text)));
        page.heading(&texts.signing);
        page.paragraph(&fill(&texts.declaration));
        texts.lines.iter().for_each(|label| page.line(label));
        page.finish(head, wording)
    }
}
