//! The organisation's consent. The rules are [`ConsentHistory`]'s; here is what they read and write.

use std::collections::BTreeSet;

use crate::domain::{
    AgencyId, Category, Consent, ConsentHistory, ConsentId, ConsentScope, ConsentState, ConsentStep, Coverage,
    Evidence, IncidentId, Instant, OrganisationId, Purpose, Rejected,
};
use crate::ledger::Kind;
use crate::seal;
use crate::store::{ConsentVersions, Reads, Write};

use super::plan::{Change, Context, Plan};
use super::{Result, events, incidents, mandates, notices, oral, organisations, wrongful};

/// How long a consent lasts unless it says otherwise.
const DEFAULT_DAYS: i64 = 365;

/// A scope as a caller states it: what is unset takes its default when the change is worked out.
#[derive(Debug, Clone)]
pub struct ScopeTerms {
    /// The one receiving agency.
    pub recipient: AgencyId,
    /// For which purposes.
    pub purposes: BTreeSet<Purpose>,
    /// Whether for enforcement.
    pub enforcement: bool,
    /// Which categories.
    pub categories: BTreeSet<Category>,
    /// One incident, at the revision that the organisation saw (none: the present one), and whether updates.
    pub incident: Option<(IncidentId, Option<i64>, bool)>,
    /// Whether the recipient may ask to pass it on.
    pub onward: bool,
    /// From when.
    pub valid_from: Option<Instant>,
    /// Until when.
    pub valid_until: Option<Instant>,
}

/// Records that the organisation was asked.
#[derive(Debug)]
pub struct SeekConsent {
    /// The organisation.
    pub organisation: OrganisationId,
    /// The agency that would receive.
    pub recipient: AgencyId,
}

/// Records what the organisation gave.
#[derive(Debug)]
pub struct RecordConsent {
    /// The consent that was sought; none: a new one.
    pub id: Option<ConsentId>,
    /// The organisation.
    pub organisation: OrganisationId,
    /// What it permits.
    pub scope: ScopeTerms,
    /// What shows it.
    pub evidence: Evidence,
}

/// Gives effect to a recorded version.
#[derive(Debug)]
pub struct VerifyConsent {
    /// The consent.
    pub id: ConsentId,
    /// The version.
    pub version: i64,
}

/// Records a refusal.
#[derive(Debug)]
pub struct RefuseConsent {
    /// The consent.
    pub id: ConsentId,
}

/// Reduces a consent that is in effect.
#[derive(Debug)]
pub struct NarrowConsent {
    /// The consent.
    pub id: ConsentId,
    /// The whole scope that remains.
    pub scope: ScopeTerms,
}

/// Records a new version.
#[derive(Debug)]
pub struct ReconfirmConsent {
    /// The consent.
    pub id: ConsentId,
    /// What it permits now.
    pub scope: ScopeTerms,
    /// What shows it.
    pub evidence: Evidence,
}

/// Ends a consent.
#[derive(Debug)]
pub struct WithdrawConsent {
    /// The consent.
    pub id: ConsentId,
}

/// Says that a consent was entered in error.
#[derive(Debug)]
pub struct MarkConsentInError {
    /// The consent.
    pub id: ConsentId,
}

impl ScopeTerms {
    /// The scope itself. `ends` is when it ends at the latest, where something else than the caller says so.
    pub(super) async fn scope(
        &self,
        context: Context<'_>,
        reads: &mut Reads,
        organisation: &OrganisationId,
        present: Option<&ConsentScope>,
        ends: Option<Instant>,
    ) -> Result<ConsentScope> {
        context.check_recipient("scope.recipient", &self.recipient)?;
        let coverage = match &self.incident {
            None => {
                if self.valid_until.is_none() && present.is_none() {
                    let problem = "is required where the consent is for all incidents";
                    return Err(Rejected::invalid("scope.valid_until", problem).into());
                }
                Coverage::AllIncidents
            }
            Some((id, revision, covers_updates)) => {
                let incident = incidents::own(context, reads, id).await?;
                if incident.organisation != *organisation {
                    return Err(Rejected::invalid("scope.incident_id", "is an incident at another organisation").into());
                }
                let revision = revision.unwrap_or(incident.revision);
                if revision < 1 || revision > incident.revision {
                    return Err(Rejected::invalid("scope.revision", "is not a revision of the incident").into());
                }
                Coverage::Incident { id: id.clone(), revision, covers_updates: *covers_updates }
            }
        };
        let valid_from = self.valid_from.or(present.map(|scope| scope.valid_from)).unwrap_or(context.at);
        let valid_until = self.valid_until.or(present.map(|scope| scope.valid_until)).or(ends);
        let scope = ConsentScope {
            recipient: self.recipient.clone(),
            purposes: self.purposes.clone(),
            enforcement: self.enforcement,
            categories: self.categories.clone(),
            coverage,
            onward: self.onward,
            valid_from,
            valid_until: valid_until.unwrap_or_else(|| valid_from.plus_days(DEFAULT_DAYS)),
        };
        scope.check().map_err(|problem| Rejected::Invalid(problem.within("scope")))?;
        Ok(scope)
    }
}

/// The mandate that it cites stands; evidence is there, and from after the organisation's merger, if there was one: what
/// was signed before it would carry a consent over that nobody confirmed.
async fn check_received(
    context: Context<'_>,
    reads: &mut Reads,
    organisation: &OrganisationId,
    evidence: &Evidence,
) -> Result<()> {
    let field = "evidence.received_at";
    if evidence.received_at > context.at {
        return Err(Rejected::invalid(field, "is in the future").into());
    }
    mandates::check_cited(context, reads, organisation, evidence).await?;
    let mergers = organisations::mergers_from(reads, organisation).await?;
    if mergers.iter().any(|merger| evidence.received_at <= merger.at) {
        let problem = "is not later than the organisation's merger: only what was confirmed after it counts";
        return Err(Rejected::invalid(field, problem).into());
    }
    Ok(())
}

async fn check_organisation(context: Context<'_>, reads: &mut Reads, id: &OrganisationId) -> Result<()> {
    let found = reads.organisation(context.agency(), id, context.seal()).await?;
    found.map(|_| ()).ok_or(Rejected::NotFound("organisation").into())
}

async fn versions(context: Context<'_>, reads: &mut Reads, id: &ConsentId) -> Result<ConsentVersions> {
    Ok(reads.consent(context.agency(), id, context.seal()).await?)
}

fn history(versions: &ConsentVersions) -> Result<ConsentHistory<'_>, Rejected> {
    ConsentHistory::new(versions).ok_or(Rejected::NotFound("consent"))
}

/// What a step changes, with the notices that it causes where it takes something away from what was given.
async fn change(
    context: Context<'_>,
    reads: &mut Reads,
    versions: &ConsentVersions,
    step: ConsentStep,
) -> Result<Change> {
    let given = history(versions)?.given();
    let notices = match (given, step.permits(versions)) {
        (None, _) => Vec::new(),
        (Some(given), permits) if given.scope.as_ref() == permits => Vec::new(),
        (Some(given), permits) => notices::no_longer_consented(context, reads, given, permits).await?,
    };
    Ok(Change { notices, ..rows(context, versions, step)? })
}

fn rows(context: Context<'_>, versions: &ConsentVersions, step: ConsentStep) -> Result<Change> {
    let id = versions.first().map(|newest| newest.id.clone()).ok_or(Rejected::NotFound("consent"))?;
    // Whatever ended or began: what was said about its end no longer applies.
    let mut writes = vec![Write::drop_events(id.as_str())];
    let ConsentStep { states, added, version } = step;
    let given = states.iter().filter(|(_, state)| *state == ConsentState::Given);
    let given = given.filter_map(|(version, _)| versions.iter().find(|consent| consent.version == *version));
    let begun = added.iter().filter(|consent| consent.state == ConsentState::Given);
    for event in given.chain(begun).filter_map(|consent| events::consent_ends(consent, context.at)) {
        writes.push(Write::event(&event)?);
    }
    writes.extend(states.into_iter().map(|(version, state)| Write::consent_state(&id, version, state)));
    if let Some(added) = &added {
        writes.push(Write::consent(added, context.seal())?);
    }
    Ok(Change::new(&id, version, writes))
}

impl Plan for SeekConsent {
    const KIND: Kind = Kind::Consent;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        context.check_recipient("recipient", &self.recipient)?;
        check_organisation(context, reads, &self.organisation).await?;
        let sought = first(context, &self.organisation, &self.recipient, ConsentState::Sought);
        Ok(Change::new(&sought.id, 1, vec![Write::consent(&sought, context.seal())?]))
    }
}

/// The first version of a new consent.
fn first(context: Context<'_>, organisation: &OrganisationId, recipient: &AgencyId, state: ConsentState) -> Consent {
    Consent {
        id: ConsentId::known(seal::new_id("con")),
        version: 1,
        holder: context.agency().clone(),
        organisation: organisation.clone(),
        recipient: recipient.clone(),
        state,
        scope: None,
        evidence: None,
        recorded_by: context.actor.officer.clone(),
        recorded_at: context.at,
        confirmed_at: context.at,
    }
}

impl Plan for RecordConsent {
    const KIND: Kind = Kind::Consent;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        check_organisation(context, reads, &self.organisation).await?;
        check_received(context, reads, &self.organisation, &self.evidence).await?;
        let ends = oral::ends(context, reads, &self.organisation, &self.scope, &self.evidence).await?;
        let scope = self.scope.scope(context, reads, &self.organisation, None, ends).await?;
        let Some(id) = &self.id else {
            let mut consent = first(context, &self.organisation, &scope.recipient, ConsentState::Recorded);
            consent.scope = Some(scope);
            consent.evidence = Some(self.evidence.clone());
            let writes = vec![Write::consent(&consent, context.seal())?];
            return Ok(Change::new(&consent.id, 1, writes));
        };
        let versions = versions(context, reads, id).await?;
        if versions.first().is_some_and(|sought| sought.organisation != self.organisation) {
            return Err(Rejected::invalid("organisation_id", "is not the organisation that was asked").into());
        }
        let by = &context.actor.officer;
        let step = history(&versions)?.record(scope, self.evidence.clone(), by, context.at)?;
        change(context, reads, &versions, step).await
    }
}

impl Plan for VerifyConsent {
    const KIND: Kind = Kind::Consent;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let versions = versions(context, reads, &self.id).await?;
        let step = history(&versions)?.verify(self.version, &context.actor.officer, context.at)?;
        if let Some(version) = versions.iter().find(|found| found.version == self.version)
            && let Some(evidence) = &version.evidence
        {
            mandates::check_still_cited(context, reads, &version.organisation, evidence).await?;
        }
        change(context, reads, &versions, step).await
    }
}

impl Plan for RefuseConsent {
    const KIND: Kind = Kind::Consent;
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let versions = versions(context, reads, &self.id).await?;
        change(context, reads, &versions, history(&versions)?.refuse()?).await
    }
}

impl Plan for NarrowConsent {
    const KIND: Kind = Kind::Consent;
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let versions = versions(context, reads, &self.id).await?;
        let history = history(&versions)?;
        let present = history.present().ok_or(Rejected::WrongState("it is not in effect"))?;
        let organisation = versions.first().map(|newest| newest.organisation.clone());
        let organisation = organisation.ok_or(Rejected::NotFound("consent"))?;
        let scope = self.scope.scope(context, reads, &organisation, Some(present), None).await?;
        let step = history.narrow(scope, &context.actor.officer, context.at)?;
        change(context, reads, &versions, step).await
    }
}

impl Plan for ReconfirmConsent {
    const KIND: Kind = Kind::Consent;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let versions = versions(context, reads, &self.id).await?;
        let organisation = versions.first().map(|newest| newest.organisation.clone());
        let organisation = organisation.ok_or(Rejected::NotFound("consent"))?;
        check_received(context, reads, &organisation, &self.evidence).await?;
        let ends = oral::ends(context, reads, &organisation, &self.scope, &self.evidence).await?;
        let scope = self.scope.scope(context, reads, &organisation, None, ends).await?;
        let by = &context.actor.officer;
        let step = history(&versions)?.reconfirm(scope, self.evidence.clone(), by, context.at)?;
        change(context, reads, &versions, step).await
    }
}

impl Plan for WithdrawConsent {
    const KIND: Kind = Kind::Consent;
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let versions = versions(context, reads, &self.id).await?;
        change(context, reads, &versions, history(&versions)?.withdraw()?).await
    }
}

impl Plan for MarkConsentInError {
    const KIND: Kind = Kind::Consent;
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let versions = versions(context, reads, &self.id).await?;
        // Whatever relied on it is called back: to stop its use as well would say less.
        let mut change = rows(context, &versions, history(&versions)?.enter_in_error()?)?;
        if let Some(newest) = versions.first() {
            wrongful::entered_in_error(context, reads, newest, &mut change).await?;
        }
        Ok(change)
    }
}
