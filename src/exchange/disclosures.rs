//! What left, kept for notices and recalls: each release, and what officers say that they disclosed elsewhere.

use std::collections::BTreeSet;

use crate::decision::Permitted;
use crate::domain::{
    AgencyId, AuthorisationId, Category, Consent, ConsentHistory, ConsentId, Disclosure, DisclosureId, DisclosureTerms,
    Elsewhere, EventKind, Incident, IncidentId, Instant, Notice, NoticeKind, Onward, Question, Reference, Rejected,
};
use crate::ledger::Kind;
use crate::release::Releasable;
use crate::seal;
use crate::store::{Answer, QuestionRow, Reads, Write};

use super::plan::{Change, Context, Plan};
use super::reading::{Page, Pages};
use super::replay::sum;
use super::{Error, Exchange, Result, incidents, notices};

/// Writes down a disclosure that no release made.
#[derive(Debug)]
pub struct RecordDisclosure {
    /// The incident.
    pub incident: IncidentId,
    /// The revision that was disclosed; none: the present one.
    pub revision: Option<i64>,
    /// Who received it.
    pub recipient: AgencyId,
    /// When.
    pub at: Instant,
    /// Which categories.
    pub categories: BTreeSet<Category>,
    /// By what means, on which ground and by whom.
    pub elsewhere: Elsewhere,
    /// The consent that it relied on.
    pub consent: Option<ConsentId>,
    /// The authorisation that it relied on.
    pub authorisation: Option<AuthorisationId>,
}

/// What a release leaves for notices: a row for each incident, but for what was released on the same terms before.
pub(super) fn released(question: &QuestionRow, releasable: &Releasable, index: u64, at: Instant) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    for (reference, Permitted { basis, handling, .. }) in releasable.incidents() {
        let terms = DisclosureTerms {
            purpose: Some(question.purpose.clone()),
            enforcement: handling.enforcement,
            onward: handling.onward != Onward::No,
            categories: basis.categories.clone(),
            clauses: basis.clauses.clone(),
            consent: basis.consent.clone(),
            authorisation: basis.authorisation.clone(),
            reference: Some(Reference::clone(reference)),
            elsewhere: None,
        };
        let recipient = question.requester.agency.clone();
        writes.push(Write::disclosure(&Disclosure {
            id: id_of(&recipient, basis.revision, &terms)?,
            holder: question.holder.clone(),
            recipient,
            incident: basis.incident.clone(),
            revision: basis.revision,
            index: Some(index),
            at,
            terms,
        })?);
    }
    Ok(writes)
}

/// The same for the same of an incident on the same terms.
fn id_of(recipient: &AgencyId, revision: i64, terms: &DisclosureTerms) -> Result<DisclosureId> {
    let all = serde_json::to_vec(&(recipient, revision, terms));
    let all = all.map_err(|_| Error::Internal("the terms of a disclosure could not be written"))?;
    let hex = sum(&all).to_hex();
    Ok(DisclosureId::known(format!("rel_{}", hex.get(..32).unwrap_or(&hex))))
}

/// What the release with this entry gave: the caller's own agency's, otherwise there is none.
pub(super) async fn released_at(context: Context<'_>, reads: &mut Reads, index: u64) -> Result<Vec<Disclosure>> {
    let told = EventKind::ReleaseMade.id(&[&index.to_string()]);
    let told = reads.events_by_id(&[told]).await?.into_iter().find(|event| event.agency == *context.agency());
    let request = Question::known(told.ok_or(Rejected::NotFound("release"))?.object);
    let question = reads.questions_by_id(&[request.as_str()], context.seal()).await?.pop();
    let answer = reads.kept_answer(&request, index).await?.and_then(|kept| kept.answer);
    let (Some(question), Some(Answer::Released { basis })) = (question, answer) else {
        return Err(Rejected::NotFound("release").into());
    };
    let gave = |made: &Disclosure| {
        let terms = &made.terms;
        made.recipient == question.requester.agency
            && terms.purpose.as_ref() == Some(&question.purpose)
            && basis.iter().any(|basis| {
                (&made.incident, made.revision) == (&basis.incident, basis.revision)
                    && (&terms.categories, &terms.clauses) == (&basis.categories, &basis.clauses)
                    && (&terms.consent, &terms.authorisation) == (&basis.consent, &basis.authorisation)
            })
    };
    let incidents: Vec<&IncidentId> = basis.iter().map(|basis| &basis.incident).collect();
    let mut made = reads.disclosures_of(&incidents).await?;
    made.retain(gave);
    Ok(made)
}

impl Plan for RecordDisclosure {
    const KIND: Kind = Kind::Disclosure;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let incident = incidents::own(context, reads, &self.incident).await?;
        if self.recipient == *context.agency() {
            return Err(Rejected::invalid("recipient", "is your own agency").into());
        }
        if self.at > context.at {
            return Err(Rejected::invalid("disclosed_at", "is in the future").into());
        }
        let revision = self.revision.unwrap_or(incident.revision);
        if revision > incident.revision {
            return Err(Rejected::invalid("revision", "is not a revision of the incident").into());
        }
        let mut made = Disclosure {
            id: DisclosureId::known(seal::new_id("dis")),
            holder: context.agency().clone(),
            recipient: self.recipient.clone(),
            incident: incident.id.clone(),
            revision,
            index: None,
            at: self.at,
            terms: DisclosureTerms {
                categories: self.categories.clone(),
                authorisation: self.authorisation.clone(),
                elsewhere: Some(self.elsewhere.clone()),
                ..DisclosureTerms::default()
            },
        };
        let mut notices = self.not_consented(context, reads, &incident, &mut made).await?;
        notices.extend(self.not_authorised(context, reads, &made).await?);
        let mut change = Change::new(&made.id, 1, vec![Write::disclosure(&made)?]);
        change.notices = notices;
        Ok(change)
    }
}

impl RecordDisclosure {
    /// Notes the consent that it relied on, and what is due at once because that permits it no more.
    async fn not_consented(
        &self,
        context: Context<'_>,
        reads: &mut Reads,
        incident: &Incident,
        made: &mut Disclosure,
    ) -> Result<Vec<Notice>> {
        let Some(id) = &self.consent else { return Ok(Vec::new()) };
        let versions = reads.consent(context.agency(), id, context.seal()).await?;
        let history = ConsentHistory::new(&versions).ok_or(Rejected::NotFound("consent"))?;
        let fits = |one: &Consent| (&one.organisation, &one.recipient) == (&incident.organisation, &self.recipient);
        if !versions.iter().all(fits) {
            let problem = "is not a consent of the incident's organisation towards this recipient";
            return Err(Rejected::invalid("consent_id", problem).into());
        }
        made.terms.consent = versions.first().map(|newest| (newest.id.clone(), newest.version));
        if history.present().is_some_and(|scope| scope.still_permits(made, context.at)) {
            return Ok(Vec::new());
        }
        notices::due(context, reads, NoticeKind::StopFurtherUse, &format!("consent {id}"), vec![made.clone()]).await
    }

    /// The same of the authorisation.
    async fn not_authorised(&self, context: Context<'_>, reads: &mut Reads, made: &Disclosure) -> Result<Vec<Notice>> {
        let Some(id) = &self.authorisation else { return Ok(Vec::new()) };
        let given = reads.authorisation(context.agency(), id).await?.ok_or(Rejected::NotFound("authorisation"))?;
        if (&given.incident, &given.recipient) != (&self.incident, &self.recipient) {
            let problem = "is not an authorisation of this incident towards this recipient";
            return Err(Rejected::invalid("authorisation_id", problem).into());
        }
        if given.revoked_at.is_none() {
            return Ok(Vec::new());
        }
        let cause = format!("authorisation {id}");
        notices::due(context, reads, NoticeKind::StopFurtherUse, &cause, vec![made.clone()]).await
    }
}

impl Exchange {
    /// What the agency disclosed of one of its own incidents, which is the `filter`. One that is erased may have been.
    pub async fn disclosures(&self, page: Page) -> Result<Pages<Disclosure>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let id = IncidentId::known(page.filter.as_str());
                let rows = reads.disclosures(&page.agency, &id, &after, read).await?;
                if rows.is_empty() && reads.incident(&page.agency, &id).await?.is_none() {
                    return Err(Rejected::NotFound("incident").into());
                }
                page.turn(node, rows, read, |made| made.id.to_string())
            })
        })
        .await
    }
}
