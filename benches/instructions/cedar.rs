//! Cedar alone: policies, request and entities are there, and nothing is done with the answer.
//!
//! What Cedar is shown is written here a second time, as Cedar's own JSON: the crate's way there is what is measured.

use anyhow::{Context as _, Result, anyhow};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, PolicyId, PolicySet, Request, Response, Schema,
};
use concordat::decision::{Agreement, Facts};
use concordat::domain::{Coverage, Ground, Purpose};
use serde_json::{Value, json};

use crate::facts::CLAUSES;

const SCHEMA: &str = include_str!("../../agreements/schema.cedarschema");
const LIMITS: &str = include_str!("../../agreements/limits.cedar");

/// One question, ready to be asked.
pub(crate) struct Question {
    authorizer: Authorizer,
    policies: PolicySet,
    request: Request,
    entities: Entities,
}

impl Question {
    pub(crate) fn new(facts: &Facts, agreement: &Agreement) -> Result<Self> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA)?;
        let incident = facts.matches.first().context("there is a match")?.incident.id.as_str();
        let action = uid("Action", "disclose")?;
        let context = Context::from_json_value(context(facts)?, Some((&schema, &action)))?;
        let request = Request::new(
            uid("Agency", facts.ask.requester.agency.as_str())?,
            action,
            uid("Incident", incident)?,
            context,
            Some(&schema),
        )?;
        let entities = Entities::from_json_value(entities(facts, agreement)?, Some(&schema))?;
        Ok(Self { authorizer: Authorizer::new(), policies: policies()?, request, entities })
    }

    pub(crate) fn ask(&self) -> Response {
        self.authorizer.is_authorized(&self.request, &self.policies, &self.entities)
    }

    /// Whether Cedar allows it, without errors and for exactly these policies.
    pub(crate) fn is_allowed_by(&self, ids: &[&str]) -> bool {
        let response = self.ask();
        let reasons: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        response.decision() == Decision::Allow && response.diagnostics().errors().next().is_none() && reasons == ids
    }
}

/// Clauses and limits, under the ids of their annotations.
fn policies() -> Result<PolicySet> {
    let mut set = PolicySet::new();
    let parsed: PolicySet = format!("{CLAUSES}\n{LIMITS}").parse()?;
    for policy in parsed.policies() {
        let id = policy.annotation("id").context("a policy has no @id")?;
        set.add(policy.new_id(PolicyId::new(id)))?;
    }
    Ok(set)
}

fn uid(kind: &str, id: &str) -> Result<EntityUid> {
    Ok(EntityUid::from_json(of(kind, id))?)
}

fn of(kind: &str, id: &str) -> Value {
    json!({ "type": kind, "id": id })
}

fn context(facts: &Facts) -> Result<Value> {
    let found = facts.matches.first().context("there is a match")?;
    let consent = found.consents.first().context("there is a consent")?;
    let scope = consent.scope.as_ref().context("the consent has a scope")?;
    let Coverage::Incident { id, revision, covers_updates } = &scope.coverage else {
        return Err(anyhow!("the consent is for one incident"));
    };
    let given = found.authorisations.first().context("there is an authorisation")?;
    Ok(json!({
        "at": facts.at.micros(),
        "purpose": facts.ask.purpose.as_str(),
        "enforcement": false,
        "form": facts.ask.form,
        "consent": {
            "organisation": of("Organisation", consent.organisation.as_str()),
            "disclosing": of("Agency", consent.holder.as_str()),
            "receiving": of("Agency", scope.recipient.as_str()),
            "state": consent.state.as_str(),
            "purposes": scope.purposes.iter().map(Purpose::as_str).collect::<Vec<_>>(),
            "enforcement": scope.enforcement,
            "incident": of("Incident", id.as_str()),
            "revision": revision,
            "coversUpdates": covers_updates,
            "validFrom": scope.valid_from.micros(),
            "validUntil": scope.valid_until.micros(),
            "confirmedAt": consent.confirmed_at.micros(),
        },
        "authorisation": {
            "incident": of("Incident", given.incident.as_str()),
            "disclosing": of("Agency", given.holder.as_str()),
            "receiving": of("Agency", given.recipient.as_str()),
            "purposes": given.purposes.iter().map(Purpose::as_str).collect::<Vec<_>>(),
            "ground": given.ground.as_str(),
            "revision": given.revision,
            "coversUpdates": given.covers_updates,
            "givenAt": given.given_at.micros(),
            "validUntil": given.valid_until.micros(),
        },
    }))
}

/// The incident and the agreement's clauses.
fn entities(facts: &Facts, agreement: &Agreement) -> Result<Value> {
    let incident = &facts.matches.first().context("there is a match")?.incident;
    let mut entities = vec![json!({
        "uid": of("Incident", incident.id.as_str()),
        "parents": [],
        "attrs": {
            "holder": of("Agency", incident.holder.as_str()),
            "organisation": of("Organisation", incident.organisation.as_str()),
            "revision": incident.revision,
            "tlp": incident.markings.tlp.rank(),
            "pap": incident.markings.pap.rank(),
            "classification": incident.markings.classification.rank(),
        },
    })];
    entities.extend(agreement.clauses().map(|clause| {
        json!({
            "uid": of("Clause", clause.id.as_str()),
            "parents": [],
            "attrs": {
                "disclosing": of("Agency", clause.disclosing.as_str()),
                "receiving": of("Agency", clause.receiving.as_str()),
                "form": clause.form,
                "purposes": clause.purposes.iter().map(Purpose::as_str).collect::<Vec<_>>(),
                "grounds": clause.grounds.iter().map(Ground::as_str).collect::<Vec<_>>(),
            },
        })
    }));
    Ok(Value::Array(entities))
}
