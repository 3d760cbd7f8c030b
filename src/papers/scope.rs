//! A consent's scope in words: the same on the form, on the acknowledgement and in the statement.

use super::page::{Lines, when};
use super::wording::filled;
use super::{Letterhead, Wording};
use crate::domain::{ConsentScope, Coverage, Instant};

/// A scope, with what its ids stand for.
#[derive(Debug, Clone)]
pub struct ShownScope {
    /// The scope.
    pub scope: ConsentScope,
    /// The recipient's name.
    pub recipient: String,
    /// When the incident was that it is about, if it is about one and that is still held.
    pub occurred: Option<(Instant, Instant)>,
    /// When the incident's revision was recorded up to which it goes, if the incident is still held.
    pub revised_at: Option<Instant>,
}

impl ShownScope {
    /// Labels and values.
    pub(super) fn terms<'a>(&self, head: &Letterhead, wording: &'a Wording) -> Vec<(&'a str, Lines)> {
        let (scope, texts, labels) = (&self.scope, &wording.scope, &wording.labels);
        let fill = |text: &str| vec![filled(text, head, &[("recipient", &self.recipient)])];
        let choose = |yes: bool, [then, otherwise]: [&str; 2]| fill(if yes { then } else { otherwise });
        let incident = match &scope.coverage {
            Coverage::AllIncidents => fill(&texts.all_incidents),
            Coverage::Incident { id, .. } => {
                let when = self.occurred.map(|(from, until)| format!(", {} to {}", when(from), when(until)));
                vec![format!("{} {id}{}", filled(&texts.one_incident, head, &[]), when.unwrap_or_default())]
            }
        };
        let mut terms = vec![
            (labels.recipient.as_str(), vec![format!("{} ({})", self.recipient, scope.recipient)]),
            (&labels.purposes, scope.purposes.iter().map(|purpose| wording.purpose(purpose.as_str())).collect()),
            (&labels.enforcement, choose(scope.enforcement, [&texts.enforcement, &texts.no_enforcement])),
            (&labels.categories, scope.categories.iter().map(|one| wording.category(one.as_str())).collect()),
            (&labels.incident, incident),
        ];
        if let Coverage::Incident { revision, covers_updates, .. } = scope.coverage {
            let revision = match self.revised_at {
                Some(at) => format!("{revision} of {}", when(at)),
                None => revision.to_string(),
            };
            let text = if covers_updates { &texts.updates } else { &texts.no_updates };
            let others = [("recipient", self.recipient.as_str()), ("revision", &revision)];
            terms.push((&labels.updates, vec![filled(text, head, &others)]));
        }
        terms.push((&labels.onward, choose(scope.onward, [&texts.onward, &texts.no_onward])));
        terms.push((&labels.from, vec![when(scope.valid_from)]));
        terms.push((&labels.until, vec![when(scope.valid_until)]));
        terms
    }
}
