//! Domain records as Cedar sees them. Nothing goes through JSON, and only what one question needs is built.

mod naming;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use cedar_policy::{
    Authorizer, Context, Effect, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request,
    RestrictedExpression as Value, Schema,
};

use super::agreement::{Agreement, Clause};
use super::preview::{suppose, supposed_consent};
use super::upstream::Upstream;
use super::{Alike, Coverage, Facts, Match, SharedTheme, SharingFacts, Wanted};
use crate::domain::{
    Ask, Authorisation, Consent, ConsentTerms, Coverage as ConsentCoverage, Ground, Incident, Instant, Notification,
    Onward, Provenance,
};
use crate::statistics::Rule;

pub(super) use naming::{evaluate_naming, may_name};

/// What the clauses are shown.
pub(super) struct Evidence<'a> {
    pub(super) facts: &'a Facts,
    pub(super) found: &'a Match,
    pub(super) consent: Option<&'a Consent>,
    pub(super) authorisation: Option<&'a Authorisation>,
    pub(super) coverage: &'a Coverage<'a>,
    pub(super) upstream: Option<&'a Upstream<'a>>,
}

/// What the clauses of agreements say, by the ids of those that determined it.
#[derive(Default)]
pub(super) struct Answer<'a> {
    pub(super) permits: BTreeSet<&'a str>,
    pub(super) forbids: BTreeSet<&'a str>,
    pub(super) errors: Vec<String>,
}

/// Asks every agreement about one incident. Whatever goes wrong is an error in the answer, never an exception to it.
pub(super) fn evaluate<'a>(evidence: &Evidence<'a>) -> Answer<'a> {
    let mut all = Answer::default();
    let shown = Shown::new(evidence);
    for agreement in evidence.coverage.agreements() {
        match shown.as_ref().map_err(Clone::clone).and_then(|shown| shown.to(agreement, evidence)) {
            Ok((request, entities)) => all.ask(agreement, &request, &entities),
            Err(error) => all.errors.push(error),
        }
    }
    all
}

/// What the agreements say to sharing a table or a theme that there is; they must be those that speak of it.
pub(super) fn evaluate_sharing<'a>(facts: &SharingFacts, agreements: &[&'a Agreement]) -> Answer<'a> {
    let mut all = Answer::default();
    for agreement in agreements {
        match sharing(agreement, facts) {
            Ok((request, entities)) => all.ask(agreement, &request, &entities),
            Err(error) => all.errors.push(error),
        }
    }
    all
}

impl<'a> Answer<'a> {
    /// Adds what one agreement says.
    fn ask(&mut self, agreement: &'a Agreement, request: &Request, entities: &Entities) {
        let response = Authorizer::new().is_authorized(request, &agreement.policies, entities);
        let diagnostics = response.diagnostics();
        self.errors.extend(diagnostics.errors().map(ToString::to_string));
        for id in diagnostics.reason() {
            // On a denial these are the forbids that fired, on a permission the permits.
            match agreement.effects.get(id) {
                Some((Effect::Permit, id)) => _ = self.permits.insert(id),
                Some((Effect::Forbid, id)) => _ = self.forbids.insert(id),
                None => self.errors.push(format!("{id} is not in the agreement")),
            }
        }
    }
}

fn sharing(agreement: &Agreement, facts: &SharingFacts) -> Result<(Request, Entities), String> {
    let SharingFacts { at, requester, holder, wanted, .. } = facts;
    let mut asked = agreement.statistics().ok_or("the agreement has no rule for statistics")?;
    // What a theme says of itself must be true, whatever the agreement asks for by now.
    if let Wanted::Theme { shared: Some(SharedTheme { threshold, largest_share, .. }), .. } = wanted {
        asked = asked.stricter_of(Rule { threshold: *threshold, largest_share: *largest_share, ..asked });
    }
    let whole = |value: u64| i64::try_from(value).map(Value::new_long).map_err(|e| e.to_string());
    let mut context = vec![
        field("at", long(*at)),
        field("threshold", whole(asked.threshold)?),
        field("largestShare", whole(asked.largest_share)?),
    ];
    let mut attributes = HashMap::from([field("holder", agency(holder.as_str()))]);
    let (action, resource) = match wanted {
        Wanted::Table { quarter, published: Some(published), .. } => {
            context.push(field("form", text(Clause::ANONYMISED_AGGREGATED)));
            context.push(field("margin", whole(asked.margin)?));
            attributes.extend([
                field("threshold", whole(published.rule.threshold)?),
                field("margin", whole(published.rule.margin)?),
                field("largestShare", whole(published.rule.largest_share)?),
                field("quarterEnd", long(quarter.end())),
                field("publishedAt", long(published.at)),
            ]);
            ("share-statistics", uid(&KINDS.publication, &format!("{holder}/{quarter}")))
        }
        Wanted::Theme { theme, shared: Some(shared) } => {
            context.push(field("form", text(Clause::SYSTEMIC)));
            attributes.extend([
                field("version", Value::new_long(shared.version)),
                field("organisations", whole(shared.backing.organisations)?),
                field("incidents", whole(shared.backing.incidents)?),
                field("largest", whole(shared.backing.largest)?),
                field("periodEnd", long(shared.period_end)),
                field("draftedBy", text(shared.drafted_by.as_str())),
                field("confirmedBy", text(shared.confirmed_by.as_str())),
                field("confirmedAt", long(shared.confirmed_at)),
            ]);
            attributes.extend(shared.withdrawn_at.map(|at| field("withdrawnAt", long(at))));
            ("share-themes", uid(&KINDS.theme, theme.as_str()))
        }
        _ => return Err("there is nothing to share".to_owned()),
    };
    let request = Request::new(
        uid(&KINDS.agency, requester.agency.as_str()),
        uid(&KINDS.action, action),
        resource.clone(),
        Context::from_pairs(context).map_err(|e| e.to_string())?,
        agreement.checked_by.as_ref(),
    );
    let own = Entity::new(resource, attributes, HashSet::new()).map_err(|e| e.to_string())?;
    let entities = agreement.entities.clone().add_entities([own], agreement.checked_by.as_ref());
    Ok((request.map_err(|e| e.to_string())?, entities.map_err(|e| e.to_string())?))
}

/// What the clauses of every agreement are shown alike.
struct Shown {
    context: Context,
    incident: Entity,
}

impl Shown {
    fn new(evidence: &Evidence<'_>) -> Result<Self, String> {
        let Evidence { facts, found, coverage, .. } = evidence;
        let mut context = vec![
            field("at", long(facts.at)),
            field("purpose", text(facts.ask.purpose.as_str())),
            field("enforcement", Value::new_bool(coverage.is_enforcement())),
            field("form", text(&facts.ask.form)),
        ];
        let (recorded, missing) = recorded(evidence)?;
        context.extend(recorded);
        context.extend(found.frozen_since.map(|since| field("frozenSince", long(since))));
        if let Some(duty) = coverage.duty() {
            context.push(field("duty", Value::new_entity_uid(uid(&KINDS.clause, duty.id.as_str()))));
        }
        if let Some(upstream) = evidence.upstream {
            context.push(field("upstream", upstream_record(upstream)?));
        }
        let context = Context::from_pairs(context).map_err(|e| e.to_string())?;
        drop(Context::from_pairs(missing).map_err(|e| e.to_string())?);
        Ok(Self { context, incident: incident_entity(found)? })
    }

    /// The question to one agreement.
    fn to(&self, agreement: &Agreement, evidence: &Evidence<'_>) -> Result<(Request, Entities), String> {
        let Evidence { facts, found, coverage, .. } = evidence;
        let mut context = self.context.clone();
        if facts.ask.is_anonymised() {
            // Made ready where there is none as well, like consent and authorisation.
            let alike = field("alike", alike_record(agreement, found.alike.as_ref())?);
            context = context.merge(found.alike.is_some().then_some(alike)).map_err(|e| e.to_string())?;
        }
        let request = Request::new(
            uid(&KINDS.agency, facts.ask.requester.agency.as_str()),
            uid(&KINDS.action, facts.ask.activity.as_str()),
            uid(&KINDS.incident, found.incident.id.as_str()),
            context,
            agreement.checked_by.as_ref(),
        )
        .map_err(|e| e.to_string())?;

        // Neither Cedar's request nor its entity validation notices an entity that is named but missing, so every
        // clause that can be named here is put in: this agreement's own, which were checked against the schema when it
        // was loaded, and the duty's, which may be another's.
        let mut own = vec![self.incident.clone()];
        if let Some(duty) = coverage.duty()
            && !agreement.clauses().any(|clause| clause.id == duty.id)
        {
            own.push(clause_entity(duty)?);
        }
        let entities =
            agreement.entities.clone().add_entities(own, agreement.checked_by.as_ref()).map_err(|e| e.to_string())?;
        Ok((request, entities))
    }
}

/// The consent and the authorisation that there are; and what is missing of them, as if it were there. That is made ready
/// like the rest and not shown: "open" must not cost less where less is recorded.
fn recorded(evidence: &Evidence<'_>) -> Result<(Vec<Field>, Vec<Field>), String> {
    let Evidence { facts, found, consent, authorisation, coverage, .. } = evidence;
    let (mut recorded, mut missing) = (Vec::new(), Vec::new());
    let supposed = consent.is_none().then(|| supposed_consent(&found.incident, &facts.ask, facts.at));
    if let Some(record) = consent.or(supposed.as_ref()).map(consent_record).transpose()?.flatten() {
        if consent.is_some() { &mut recorded } else { &mut missing }.push(field("consent", record));
    }
    let supposed = authorisation.is_none().then(|| coverage.ground()).flatten();
    let supposed = supposed.map(|ground| suppose(&found.incident, &facts.ask, facts.at, ground.clone()));
    if let Some(record) = authorisation.or(supposed.as_ref()).map(authorisation_record).transpose()? {
        if authorisation.is_some() { &mut recorded } else { &mut missing }.push(field("authorisation", record));
    }
    Ok((recorded, missing))
}

/// The clauses of an agreement as entities, once for all of its evaluations.
pub(super) fn clause_entities(clauses: &[Clause], schema: &Schema) -> Result<Entities, String> {
    let entities = clauses.iter().map(clause_entity).collect::<Result<Vec<_>, _>>()?;
    Entities::from_entities(entities, Some(schema)).map_err(|e| e.to_string())
}

fn clause_entity(clause: &Clause) -> Result<Entity, String> {
    let mut attributes = HashMap::from([
        field("disclosing", agency(clause.disclosing.as_str())),
        field("receiving", agency(clause.receiving.as_str())),
        field("form", text(&clause.form)),
        field("purposes", set(clause.purposes.iter().map(crate::domain::Purpose::as_str))),
        field("grounds", set(clause.grounds.iter().map(Ground::as_str))),
    ]);
    if let Some(notification) = &clause.notification {
        attributes.extend([field("notification", text(notification))]);
    }
    Entity::new(uid(&KINDS.clause, clause.id.as_str()), attributes, HashSet::new()).map_err(|e| e.to_string())
}

fn incident_entity(found: &Match) -> Result<Entity, String> {
    let incident: &Incident = &found.incident;
    let markings = incident.markings_in_force();
    let mut attributes = HashMap::from([
        field("holder", agency(incident.holder.as_str())),
        field("organisation", Value::new_entity_uid(uid(&KINDS.organisation, incident.organisation.as_str()))),
        field("revision", Value::new_long(incident.revision)),
        field("tlp", Value::new_long(markings.tlp.rank())),
        field("pap", Value::new_long(markings.pap.rank())),
        field("classification", Value::new_long(markings.classification.rank())),
    ]);
    if let Some(notification) = &incident.notification {
        attributes.extend([field("notification", notification_record(notification)?)]);
    }
    attributes.extend(found.merger_recorded_at.map(|at| field("mergerRecordedAt", long(at))));
    let originator = incident.provenance.as_ref().and_then(Provenance::originator);
    attributes.extend(originator.map(|originator| field("originator", agency(originator.as_str()))));
    Entity::new(uid(&KINDS.incident, incident.id.as_str()), attributes, HashSet::new()).map_err(|e| e.to_string())
}

fn notification_record(notification: &Notification) -> Result<Value, String> {
    let mut fields = vec![field("kind", text(&notification.kind)), field("receivedAt", long(notification.received_at))];
    fields.extend(notification.verified_at.map(|at| field("verifiedAt", long(at))));
    record(fields)
}

/// A consent without a scope was only sought: to the clauses it is not there.
fn consent_record(consent: &Consent) -> Result<Option<Value>, String> {
    let Some(scope) = &consent.scope else { return Ok(None) };
    let (incident, revision, covers_updates) = match &scope.coverage {
        ConsentCoverage::AllIncidents => (None, 0, true),
        ConsentCoverage::Incident { id, revision, covers_updates } => (Some(id), *revision, *covers_updates),
    };
    let mut fields = vec![
        field("organisation", Value::new_entity_uid(uid(&KINDS.organisation, consent.organisation.as_str()))),
        field("disclosing", agency(consent.holder.as_str())),
        field("receiving", agency(scope.recipient.as_str())),
        field("state", text(consent.state.as_str())),
        field("purposes", set(scope.purposes.iter().map(crate::domain::Purpose::as_str))),
        field("enforcement", Value::new_bool(scope.enforcement)),
        field("revision", Value::new_long(revision)),
        field("coversUpdates", Value::new_bool(covers_updates)),
        field("validFrom", long(scope.valid_from)),
        field("validUntil", long(scope.valid_until)),
        field("confirmedAt", long(consent.confirmed_at)),
    ];
    fields.extend(incident.map(|id| field("incident", Value::new_entity_uid(uid(&KINDS.incident, id.as_str())))));
    record(fields).map(Some)
}

fn authorisation_record(authorisation: &Authorisation) -> Result<Value, String> {
    let mut fields = vec![
        field("incident", Value::new_entity_uid(uid(&KINDS.incident, authorisation.incident.as_str()))),
        field("disclosing", agency(authorisation.holder.as_str())),
        field("receiving", agency(authorisation.recipient.as_str())),
        field("purposes", set(authorisation.purposes.iter().map(crate::domain::Purpose::as_str))),
        field("ground", text(authorisation.ground.as_str())),
        field("revision", Value::new_long(authorisation.revision)),
        field("coversUpdates", Value::new_bool(authorisation.covers_updates)),
        field("givenAt", long(authorisation.given_at)),
        field("validUntil", long(authorisation.valid_until)),
    ];
    fields.extend(authorisation.revoked_at.map(|at| field("revokedAt", long(at))));
    // Texts of agreements from before there was another form do not know this one's name.
    let other = (authorisation.form != Ask::ORGANISATION_SPECIFIC).then_some(&authorisation.form);
    fields.extend(other.map(|form| field("form", text(form))));
    record(fields)
}

/// What the chain asks for, and what was shown of it: times and names as they are, for the limits to compare.
fn upstream_record(upstream: &Upstream<'_>) -> Result<Value, String> {
    let onward = match upstream.onward() {
        Onward::No => "no",
        Onward::WithConsent => "with-consent",
        Onward::Yes => "yes",
    };
    let agencies = |all: Vec<&str>| Value::new_set(all.into_iter().map(agency));
    let mut fields = vec![
        field("onward", text(onward)),
        field("needed", agencies(upstream.needed().map(crate::domain::AgencyId::as_str).collect())),
        field("permitted", agencies(upstream.shown().map(|shown| shown.of.as_str()).collect())),
        field("recipients", agencies(upstream.shown().map(|shown| shown.recipient.as_str()).collect())),
        field("purposes", set(upstream.shown().map(|shown| shown.purpose.as_str()))),
        field("shownAt", long(upstream.shown_at())),
        field("until", long(upstream.until())),
    ];
    fields.extend(upstream.withdrawn_at().map(|at| field("withdrawnAt", long(at))));
    if let Some(terms) = upstream.consent() {
        let ConsentTerms { purposes, enforcement, onward, until } = terms;
        fields.push(field(
            "consent",
            record(vec![
                field("purposes", set(purposes.iter().map(crate::domain::Purpose::as_str))),
                field("enforcement", Value::new_bool(enforcement)),
                field("onward", Value::new_bool(onward)),
                field("until", long(until)),
            ])?,
        ));
    }
    record(fields)
}

/// By which rule a record comes out anonymised, and what this agreement asks of it.
fn alike_record(agreement: &Agreement, alike: Option<&Alike>) -> Result<Value, String> {
    let whole = |value: u64| i64::try_from(value).map(Value::new_long).map_err(|e| e.to_string());
    let (kept, asked) = (alike.map(|alike| alike.rule).unwrap_or_default(), agreement.statistics());
    record(vec![
        field("threshold", whole(kept.threshold)?),
        field("largestShare", whole(kept.largest_share)?),
        // One that has no rule has no clause of this form either: it asks nothing.
        field("leastThreshold", whole(asked.map_or(0, |rule| rule.threshold))?),
        field("leastLargestShare", whole(asked.map_or(0, |rule| rule.largest_share))?),
    ])
}

type Field = (String, Value);

fn field(name: &str, value: Value) -> Field {
    (name.to_owned(), value)
}

fn record(fields: Vec<Field>) -> Result<Value, String> {
    Value::new_record(fields).map_err(|e| e.to_string())
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

fn long(at: Instant) -> Value {
    Value::new_long(at.micros())
}

fn set<'a>(values: impl Iterator<Item = &'a str>) -> Value {
    Value::new_set(values.map(text))
}

fn agency(id: &str) -> Value {
    Value::new_entity_uid(uid(&KINDS.agency, id))
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// The kinds of entities. A name is parsed when it is made, so each is made once.
struct Kinds {
    action: EntityTypeName,
    agency: EntityTypeName,
    clause: EntityTypeName,
    incident: EntityTypeName,
    organisation: EntityTypeName,
    publication: EntityTypeName,
    theme: EntityTypeName,
}

static KINDS: LazyLock<Kinds> = LazyLock::new(|| {
    // Each is a literal of this file and a valid Cedar name.
    let kind = |name: &str| name.parse().unwrap_or_else(|_| unreachable!("{name} is a Cedar name"));
    Kinds {
        action: kind("Action"),
        agency: kind("Agency"),
        clause: kind("Clause"),
        incident: kind("Incident"),
        organisation: kind("Organisation"),
        publication: kind("Publication"),
        theme: kind("Theme"),
    }
});
