//! What left, kept for notices and recalls: each release, and what officers say that they disclosed elsewhere.

use std::collections::BTreeSet;

use crate::decision::{Basis, Permitted};
use crate::domain::{
    AgencyId, AuthorisationId, Category, Consent, ConsentHistory, ConsentId, ConsentState, Disclosure, DisclosureId,
    DisclosureTerms, Elsewhere, EventId, EventKind, Incident, IncidentId, Instant, Onward, PermissionId, Reference,
    Rejected,
};
use crate::ledger::Kind;
use crate::release::Releasable;
use crate::seal;
use crate::store::{QuestionRow, Reads, Write};

use super::plan::{Change, Context, Plan};
use super::reading::{Page, Pages};
use super::replay::sum;
use super::{Error, Exchange, Result, incidents, owed, wrongful};

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
    /// The upstream agencies' permissions that it relied on.
    pub permissions: BTreeSet<PermissionId>,
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
            id: id_of(&recipient, basis.revision, &terms, record.is_some().then_some(index))?,
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

/// The same for the same of an incident on the same terms; of a record, another for each entry, since its recipient could
/// not tell by the first one that a notice is about a later one too.
fn id_of(recipient: &AgencyId, revision: i64, terms: &DisclosureTerms, record_at: Option<u64>) -> Result<DisclosureId> {
    let all = serde_json::to_vec(&(recipient, revision, terms, record_at));
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
            && (!terms.anonymised || made.index.is_some_and(|index| indexes.contains(&index)))
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
                permissions: self.permissions.clone(),
                elsewhere: Some(self.elsewhere.clone()),
                ..DisclosureTerms::default()
            },
        };
        let mut change = Change::new(&made.id, 1, Vec::new());
        let in_error = self.relied_on(context, reads, &incident, &mut made).await?;
        change.writes.push(Write::disclosure(&made)?);
        if in_error {
            wrongful::in_error(context, reads, vec![made], &mut change).await?;
            return Ok(change);
        }
        wrongful::written_down_late(context, reads, &made, &mut change).await?;
        // What is called back is not to be corrected or used no further as well.
        if change.notices.is_empty() {
            change.notices = owed::by_now(context, reads, vec![made], &|_| false).await?;
        }
        Ok(change)
    }
}

impl RecordDisclosure {
    /// Checks and notes on what it relied; true: on a consent that was never given.
    async fn relied_on(
        &self,
        context: Context<'_>,
        reads: &mut Reads,
        incident: &Incident,
        made: &mut Disclosure,
    ) -> Result<bool> {
        if let Some(id) = &self.authorisation {
            let given = reads.authorisation(context.agency(), id).await?.ok_or(Rejected::NotFound("authorisation"))?;
            if (&given.incident, &given.recipient) != (&self.incident, &self.recipient) {
                let problem = "is not an authorisation of this incident towards this recipient";
                return Err(Rejected::invalid("authorisation_id", problem).into());
            }
        }
        if !self.permissions.is_empty() {
            let shown = reads.permissions_shown_for(&self.incident).await?;
            for (i, id) in self.permissions.iter().enumerate() {
                if !shown.iter().any(|(_, shown)| shown == id) {
                    let problem = "is not a permission that was shown for this incident";
                    return Err(Rejected::invalid(format!("permission_ids[{i}]"), problem).into());
                }
            }
        }
        let Some(id) = &self.consent else { return Ok(false) };
        let versions = reads.consent(context.agency(), id, context.seal()).await?;
        let history = ConsentHistory::new(&versions).ok_or(Rejected::NotFound("consent"))?;
        let fits = |one: &Consent| (&one.organisation, &one.recipient) == (&incident.organisation, &self.recipient);
        if !versions.iter().all(fits) {
            let problem = "is not a consent of the incident's organisation towards this recipient";
            return Err(Rejected::invalid("consent_id", problem).into());
        }
        let stood = owed::stood(&versions, made);
        made.terms.consent = stood.or(versions.first()).map(|on| (on.id.clone(), on.version));
        if stood.map_or_else(|| history.is_in_error(), |stood| stood.state == ConsentState::EnteredInError) {
            return Ok(true);
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
        Ok(false)
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
