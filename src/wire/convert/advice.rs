//! What is said to organisations, as the contract shows it.

use super::timestamp;
use crate::domain::{AdviceTerms, Categorisation, Recommendation, RecommendationTerms, Reminded};
use crate::exchange::Wording;
use crate::proto::v1;
use crate::store::ReminderRow;

/// Who says what under an agreement.
pub(super) fn terms(terms: &AdviceTerms) -> v1::AdviceTerms {
    let recommendation = |one: &RecommendationTerms| v1::RecommendationTerms {
        id: one.id.to_string(),
        by: one.by.to_string(),
        towards: one.towards.to_string(),
        text: one.text.clone(),
        citation: one.citation.clone(),
        beliefs: one.beliefs.iter().map(ToString::to_string).collect(),
    };
    v1::AdviceTerms {
        citation: terms.citation.clone(),
        reminds: terms.reminds.iter().map(ToString::to_string).collect(),
        categorises: terms.categorises.iter().map(ToString::to_string).collect(),
        recommendations: terms.recommendations.iter().map(recommendation).collect(),
    }
}

/// What organisations are reminded of.
pub(in crate::wire) fn wording(wording: Wording) -> v1::ReminderWording {
    let Wording { parts, text, digest } = wording;
    v1::ReminderWording {
        version: parts.words.id.clone(),
        text,
        digest: digest.as_bytes().to_vec(),
        regimes: parts.regimes.iter().map(|(regime, _)| regime.id.clone()).collect(),
        source: parts.words.source.clone(),
    }
}

/// An incident and its reminder, for its own agency; without one, it is listed because one is due.
pub(in crate::wire) fn reminder(row: ReminderRow) -> v1::Reminder {
    let mut shown = v1::Reminder {
        incident_id: row.incident.to_string(),
        registered_at: Some(timestamp(row.registered_at)),
        state: "due".to_owned(),
        ..v1::Reminder::default()
    };
    let Some(recorded) = row.reminder else { return shown };
    shown.recorded_by = recorded.recorded_by.to_string();
    shown.recorded_at = Some(timestamp(recorded.recorded_at));
    match recorded.reminded {
        Reminded::Given { at, channel, wording, digest } => {
            "given".clone_into(&mut shown.state);
            shown.given_at = Some(timestamp(at));
            shown.channel = channel.to_string();
            shown.wording_version = wording;
            shown.wording_digest = digest.as_bytes().to_vec();
        }
        Reminded::NotPossible { reason } => {
            "not-possible".clone_into(&mut shown.state);
            shown.reason = reason;
        }
    }
    shown
}

/// A recommendation, for its own agency.
pub(in crate::wire) fn recommendation(made: Recommendation) -> v1::Recommendation {
    let (outcome, outcome_at) = made.outcome.unzip();
    v1::Recommendation {
        id: made.id.to_string(),
        incident_id: made.incident.to_string(),
        clause: made.clause.to_string(),
        towards: made.towards.to_string(),
        belief: made.belief.map(|belief| belief.to_string()).unwrap_or_default(),
        words: made.words,
        channel: made.channel.to_string(),
        made_at: Some(timestamp(made.made_at)),
        recorded_by: made.recorded_by.to_string(),
        outcome: outcome.map(|outcome| outcome.as_str().to_owned()).unwrap_or_default(),
        outcome_at: outcome_at.map(timestamp),
        version: made.version,
    }
}

/// An incident's category, for its own agency.
pub(in crate::wire) fn categorisation(one: &Categorisation) -> v1::IncidentCategory {
    v1::IncidentCategory {
        category: one.category.to_string(),
        version: one.version,
        set_by: one.set_by.to_string(),
        set_at: Some(timestamp(one.set_at)),
    }
}
