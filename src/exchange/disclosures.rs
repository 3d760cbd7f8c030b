//! What left, kept for notices and recalls: each release, and what officers say that they disclosed elsewhere.

use std::collections::BTreeSet;

use crate::decision::{Basis, Permitted};
use crate::domain::{
    AgencyId, AuthorisationId, Category, Consent, ConsentHistory, ConsentId, ConsentState, Disclosure, DisclosureId,
    DisclosureTerms, Elsewhere, EventId, EventKind, Incident, IncidentId, Instant, Notice, NoticeKind, Onward,
    Reference, Rejected,
};
use crate::ledger::Kind;
use crate::release::{self, Releasable};
use crate::seal;
use crate::store::{QuestionRow, Reads, Write};

use super::plan::{Change, Context, Plan};
use super::reading::{Page, Pages};
use super::replay::sum;
use super::{Error, Exchange, Result, incidents, notices, wrongful};

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
    for (reference, Permitted { basis, handling, record, .. }) in releasable.incidents() {
        let terms = DisclosureTerms {
            purpose: Some(question.purpose.clone()),
            enforcement: handling.enforcement,
            onward: handling.onward != Onward::No,
            categories: basis.categories.clone(),
            clauses: basis.clauses.clone(),
            consent: basis.consent.clone(),
            authorisation: basis.authorisation.clone(),
            permissions: basis.permissions.clone(),
            anonymised: record.is_some(),
            reference: record.is_none().then(|| Reference::clone(reference)),
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

/// What the releases with these entries gave: the caller's own agency's, all of them or it is none.
pub(super) async fn released_at(
    context: Context<'_>,
    reads: &mut Reads,
    indexes: &BTreeSet<u64>,
) -> Result<Vec<Disclosure>> {
    let told: Vec<EventId> = indexes.iter().map(|index| EventKind::ReleaseMade.id(&[&index.to_string()])).collect();
    let mut told = reads.events_by_id(&told).await?;
    told.retain(|event| event.agency == *context.agency());
    if told.len() != indexes.len() {
        return Err(Rejected::NotFound("release").into());
    }
    let requests: BTreeSet<&str> = told.iter().map(|event| event.object.as_str()).collect();
    let requests: Vec<&str> = requests.into_iter().collect();
    let questions = reads.questions_by_id(&requests, context.seal()).await?;
    let mut gave = Vec::new();
    for (request, basis) in reads.releases_at(&requests, indexes).await? {
        let question = questions.iter().find(|question| question.id == request);
        let question = question.ok_or(Error::Internal("a release has no request"))?;
        gave.extend(basis.into_iter().map(|basis| (question, basis)));
    }
    let is_of = |made: &Disclosure, (question, basis): &(&QuestionRow, Basis)| {
        let terms = &made.terms;
        made.recipient == question.requester.agency
            && terms.purpose.as_ref() == Some(&question.purpose)
            && (&made.incident, made.revision) == (&basis.incident, basis.revision)
            && (&terms.categories, &terms.clauses) == (&basis.categories, &basis.clauses)
            && (&terms.consent, &terms.authorisation) == (&basis.consent, &basis.authorisation)
            && terms.permissions == basis.permissions
    };
    let incidents: BTreeSet<&IncidentId> = gave.iter().map(|(_, basis)| &basis.incident).collect();
    let mut made = reads.disclosures_of(&incidents.into_iter().collect::<Vec<_>>()).await?;
    made.retain(|made| gave.iter().any(|gave| is_of(made, gave)));
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
        let mut change = Change::new(&made.id, 1, Vec::new());
        self.consented(context, reads, &incident, &mut made, &mut change).await?;
        change.writes.push(Write::disclosure(&made)?);
        self.check_authorisation(context, reads).await?;
        // What is called back is not to be corrected or used no further as well.
        if change.notices.iter().all(|notice| notice.kind != NoticeKind::Recall) {
            change.notices.extend(self.not_authorised(context, reads, &made).await?);
            change.notices.extend(outdated(context, reads, &incident, &made).await?);
        }
        Ok(change)
    }
}

impl RecordDisclosure {
    /// Notes the consent that it relied on, and what is due at once because that permits it no more, or never did.
    async fn consented(
        &self,
        context: Context<'_>,
        reads: &mut Reads,
        incident: &Incident,
        made: &mut Disclosure,
        change: &mut Change,
    ) -> Result<()> {
        let Some(id) = &self.consent else { return Ok(()) };
        let versions = reads.consent(context.agency(), id, context.seal()).await?;
        let history = ConsentHistory::new(&versions).ok_or(Rejected::NotFound("consent"))?;
        let fits = |one: &Consent| (&one.organisation, &one.recipient) == (&incident.organisation, &self.recipient);
        if !versions.iter().all(fits) {
            let problem = "is not a consent of the incident's organisation towards this recipient";
            return Err(Rejected::invalid("consent_id", problem).into());
        }
        made.terms.consent = versions.first().map(|newest| (newest.id.clone(), newest.version));
        if history.is_in_error() {
            return wrongful::in_error(context, reads, vec![made.clone()], change).await;
        }
        // Nobody wrote down for what it was: so for whatever the consent ever permitted, and a narrower one reaches it.
        let permitted = |one: &&Consent| one.state == ConsentState::Given || one.state.is_final();
        for scope in versions.iter().filter(permitted).filter_map(|one| one.scope.as_ref()) {
            made.terms.enforcement |= scope.enforcement;
            made.terms.onward |= scope.onward;
            if let Some(elsewhere) = &mut made.terms.elsewhere {
                elsewhere.purposes.extend(scope.purposes.iter().cloned());
            }
        }
        if !history.present().is_some_and(|scope| scope.still_permits(made, context.at)) {
            let (kind, cause) = (NoticeKind::StopFurtherUse, format!("consent {id}"));
            change.notices.extend(notices::due(context, reads, kind, &cause, vec![made.clone()]).await?);
        }
        Ok(())
    }

    async fn check_authorisation(&self, context: Context<'_>, reads: &mut Reads) -> Result<()> {
        let Some(id) = &self.authorisation else { return Ok(()) };
        let given = reads.authorisation(context.agency(), id).await?.ok_or(Rejected::NotFound("authorisation"))?;
        if (&given.incident, &given.recipient) != (&self.incident, &self.recipient) {
            let problem = "is not an authorisation of this incident towards this recipient";
            return Err(Rejected::invalid("authorisation_id", problem).into());
        }
        Ok(())
    }

    /// What is due at once because the authorisation that it relied on is revoked.
    async fn not_authorised(&self, context: Context<'_>, reads: &mut Reads, made: &Disclosure) -> Result<Vec<Notice>> {
        let Some(id) = &self.authorisation else { return Ok(Vec::new()) };
        let given = reads.authorisation(context.agency(), id).await?.ok_or(Rejected::NotFound("authorisation"))?;
        if given.revoked_at.is_none() {
            return Ok(Vec::new());
        }
        let cause = format!("authorisation {id}");
        notices::due(context, reads, NoticeKind::StopFurtherUse, &cause, vec![made.clone()]).await
    }
}

/// The correction that is due at once of a revision that has been amended since: where a category says something else now.
async fn outdated(
    context: Context<'_>,
    reads: &mut Reads,
    incident: &Incident,
    made: &Disclosure,
) -> Result<Vec<Notice>> {
    if made.revision == incident.revision {
        return Ok(Vec::new());
    }
    let disclosed = Incident { revision: made.revision, ..incident.clone() };
    let before = release::open_own(&disclosed, reads, context.seal()).await?;
    let now = release::open_own(incident, reads, context.seal()).await?;
    let differs = |category: &Category| {
        let said = |all: &[(Category, Vec<u8>)]| all.iter().find(|(one, _)| one == category).cloned();
        said(&before) != said(&now)
    };
    if !made.terms.categories.iter().any(differs) {
        return Ok(Vec::new());
    }
    let cause = format!("incident {} {}", incident.id, incident.revision);
    notices::due(context, reads, NoticeKind::Correction, &cause, vec![made.clone()]).await
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
