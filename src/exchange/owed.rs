//! What is owed about a copy by now: of what an officer writes down late, and of what nothing was said while it was called
//! back or gone.

use crate::domain::{Category, Consent, ConsentHistory, ConsentState, Disclosure, Incident, Notice, NoticeKind};
use crate::release;
use crate::store::Reads;

use super::Result;
use super::notices;
use super::plan::Context;

/// The notices that are due about these disclosures because of what they relied on, or of what was amended since. None is
/// issued twice, nor while another keeps it from being said, but for those that are over.
pub(super) async fn by_now(
    context: Context<'_>,
    reads: &mut Reads,
    made: Vec<Disclosure>,
    is_over: &(dyn Fn(&Notice) -> bool + Sync),
) -> Result<Vec<Notice>> {
    let mut due = Vec::new();
    for made in made {
        for (kind, cause) in causes(context, reads, &made).await? {
            due.extend(notices::due_but(context, reads, (kind, &cause), vec![made.clone()], is_over).await?);
        }
    }
    Ok(due)
}

/// The version of a consent that stood when something was disclosed: the newest by then that the organisation was said to
/// have given, whatever became of it since.
pub(super) fn stood<'a>(versions: &'a [Consent], made: &Disclosure) -> Option<&'a Consent> {
    let was_given = |one: &&Consent| one.state == ConsentState::Given || one.state.is_final();
    let began = |one: &&Consent| one.scope.as_ref().is_some_and(|scope| scope.valid_from <= made.at);
    versions.iter().filter(was_given).find(|one| one.recorded_at <= made.at && began(one))
}

/// What stops its use or corrects it.
async fn causes(context: Context<'_>, reads: &mut Reads, made: &Disclosure) -> Result<Vec<(NoticeKind, String)>> {
    let mut causes = Vec::new();
    let mut stopped_by = |cause: String| causes.push((NoticeKind::StopFurtherUse, cause));
    if let Some((id, version)) = &made.terms.consent {
        let versions = reads.consent(&made.holder, id, context.seal()).await?;
        // It must have begun by then, and is not to be withdrawn now; that its time is over stops nothing that was said in it.
        let began = stood(&versions, made).is_some_and(|stood| stood.version >= *version);
        let present = ConsentHistory::new(&versions).and_then(|history| history.present());
        if !began || !present.is_some_and(|scope| scope.still_permits(made, made.at)) {
            stopped_by(format!("consent {id}"));
        }
    }
    if let Some(id) = &made.terms.authorisation {
        let given = reads.authorisation(&made.holder, id).await?;
        if !given.is_some_and(|given| given.still_covers(made)) {
            stopped_by(format!("authorisation {id}"));
        }
    }
    if !made.terms.permissions.is_empty() {
        for (upstream, id) in reads.permissions_withdrawn(&made.incident).await? {
            if made.terms.permissions.contains(&id) {
                stopped_by(format!("permission {upstream} {id}"));
            }
        }
    }
    if let Some(revision) = amended(context, reads, made).await? {
        causes.push((NoticeKind::Correction, format!("incident {} {revision}", made.incident)));
    }
    Ok(causes)
}

/// The present revision, where a category that was disclosed says something else in it.
async fn amended(context: Context<'_>, reads: &mut Reads, made: &Disclosure) -> Result<Option<i64>> {
    // A record comes out as it stood when it was counted.
    if made.terms.anonymised {
        return Ok(None);
    }
    let Some(present) = reads.incident(&made.holder, &made.incident).await? else { return Ok(None) };
    if present.revision == made.revision {
        return Ok(None);
    }
    let disclosed = Incident { revision: made.revision, ..present.clone() };
    let before = release::open_own(&disclosed, reads, context.seal()).await?;
    let now = release::open_own(&present, reads, context.seal()).await?;
    let said = |all: &[(Category, Vec<u8>)], category: &Category| all.iter().find(|(one, _)| one == category).cloned();
    let differs = |category: &Category| said(&before, category) != said(&now, category);
    Ok(made.terms.categories.iter().any(differs).then_some(present.revision))
}
