//! Consent that was spoken: about one incident, checked by a call-back, and over after 24 hours unless it is confirmed in
//! writing.
//!
//! Its end is the end of its scope, so that the clauses see a time like any other, and nothing has to run to end it.

use crate::domain::{Evidence, Instant, Oral, OrganisationId, Rejected};
use crate::store::Reads;

use super::Result;
use super::consents::ScopeTerms;
use super::plan::Context;

/// When a consent on this evidence ends by itself; none where it is in writing.
///
/// The 24 hours count from the first time that the organisation said it about this incident to this recipient: saying
/// it again makes nothing longer. In writing it can be confirmed at any time.
pub(super) async fn ends(
    context: Context<'_>,
    reads: &mut Reads,
    organisation: &OrganisationId,
    scope: &ScopeTerms,
    evidence: &Evidence,
) -> Result<Option<Instant>> {
    let Some(oral) = &evidence.oral else { return Ok(None) };
    let called = "evidence.oral.called_back_at";
    if oral.called_back_at < evidence.received_at {
        return Err(Rejected::invalid(called, "is before the organisation said it: `received_at`").into());
    }
    if oral.called_back_at > context.at {
        return Err(Rejected::invalid(called, "is in the future").into());
    }
    let Some((incident, ..)) = &scope.incident else {
        return Err(Rejected::invalid("scope.incident_id", "is required: an oral consent is about one incident").into());
    };
    let earlier = reads.consents_towards(context.agency(), organisation, &scope.recipient, context.seal()).await?;
    let spoken = earlier.iter().filter_map(|consent| consent.spoken_about(incident));
    let ends = Oral::ends(spoken.fold(evidence.received_at, Ord::min));
    if ends <= context.at {
        let problem = "is no use: an oral consent ends 24 hours after it was first given; have it confirmed in writing";
        return Err(Rejected::invalid("evidence.received_at", problem).into());
    }
    if scope.valid_until.is_some_and(|until| until > ends) {
        let problem = "must be at most 24 hours after the oral consent was first given";
        return Err(Rejected::invalid("scope.valid_until", problem).into());
    }
    Ok(Some(ends))
}
