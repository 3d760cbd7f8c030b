//! Naming an organisation, as Cedar sees it.

use super::{
    Answer, Consent, Context, KINDS, Request, Value, agency, consent_record, field, long, record, set, text, uid,
};
use crate::decision::naming::name_digest;
use crate::decision::{Agreement, NamingFacts};
use crate::domain::{AgencyId, Ask, Ground, Instant, NamedOrganisation, NamingReceipt, Purpose};

/// Who would name an organisation to whom, and when, for what and on which ground.
struct Disclosed<'a> {
    by: &'a AgencyId,
    to: &'a AgencyId,
    at: Instant,
    purpose: &'a Purpose,
    ground: &'a Ground,
}

/// What the agreements say to an ask's naming an organisation to the holder, by what the requester's node said of it.
pub(in crate::decision) fn may_name<'a>(
    agreements: &[&'a Agreement],
    ask: &Ask,
    named: &NamedOrganisation,
    at: Instant,
) -> Answer<'a> {
    let (by, to) = (&ask.requester.agency, &ask.holder);
    let disclosed = Disclosed { by, to, at, purpose: &ask.purpose, ground: &named.ground };
    let shown = ask.naming.as_ref().map(|receipt| Ok(("receipt", receipt_record(receipt, named)?))).transpose();
    evaluate(agreements, &disclosed, shown)
}

/// What the agreements say to naming an organisation, by what its own register has of it.
pub(in crate::decision) fn evaluate_naming<'a>(
    facts: &NamingFacts,
    consent: Option<&Consent>,
    enforcement: bool,
    agreements: &[&'a Agreement],
) -> Answer<'a> {
    let NamingFacts { at, purpose, ground, .. } = facts;
    let disclosed = Disclosed { by: &facts.requester.agency, to: &facts.recipient, at: *at, purpose, ground };
    let shown = register_record(facts, consent, enforcement).map(|register| Some(("register", register)));
    evaluate(agreements, &disclosed, shown)
}

fn evaluate<'a>(
    agreements: &[&'a Agreement],
    disclosed: &Disclosed<'_>,
    shown: Result<Option<(&str, Value)>, String>,
) -> Answer<'a> {
    let mut all = Answer::default();
    let shown = match shown {
        Ok(shown) => shown,
        Err(error) => {
            all.errors.push(error);
            return all;
        }
    };
    for agreement in agreements {
        match request(agreement, disclosed, shown.clone()) {
            Ok(request) => all.ask(agreement, &request, &agreement.entities),
            Err(error) => all.errors.push(error),
        }
    }
    all
}

fn request(agreement: &Agreement, disclosed: &Disclosed<'_>, shown: Option<(&str, Value)>) -> Result<Request, String> {
    let Disclosed { by, to, at, purpose, ground } = disclosed;
    let mut context =
        vec![field("at", long(*at)), field("purpose", text(purpose.as_str())), field("ground", text(ground.as_str()))];
    context.extend(shown.map(|(name, record)| field(name, record)));
    let request = Request::new(
        uid(&KINDS.agency, to.as_str()),
        uid(&KINDS.action, "name-in-request"),
        uid(&KINDS.agency, by.as_str()),
        Context::from_pairs(context).map_err(|e| e.to_string())?,
        agreement.checked_by.as_ref(),
    );
    request.map_err(|e| e.to_string())
}

/// What the requester's own node said: parties, words and times as they are, for the limit to compare, and the ask's own
/// name by the same digests.
fn receipt_record(receipt: &NamingReceipt, named: &NamedOrganisation) -> Result<Value, String> {
    let digests: Vec<String> = receipt.names.iter().map(|name| name.to_hex()).collect();
    let asked = named.identifiers.iter().map(|identifier| name_digest(&receipt.salt, identifier).to_hex());
    let asked: Vec<String> = asked.collect();
    record(vec![
        field("disclosing", agency(receipt.disclosing.as_str())),
        field("receiving", agency(receipt.receiving.as_str())),
        field("purpose", text(receipt.purpose.as_str())),
        field("ground", text(receipt.ground.as_str())),
        field("names", set(digests.iter().map(String::as_str))),
        field("asked", set(asked.iter().map(String::as_str))),
        field("givenAt", long(receipt.given_at)),
        field("until", long(receipt.until)),
    ])
}

fn register_record(facts: &NamingFacts, consent: Option<&Consent>, enforcement: bool) -> Result<Value, String> {
    let organisation = uid(&KINDS.organisation, facts.organisation.as_str());
    let mut fields = vec![
        field("organisation", Value::new_entity_uid(organisation)),
        field("enforcement", Value::new_bool(enforcement)),
    ];
    fields.extend(facts.merger_recorded_at.map(|at| field("mergerRecordedAt", long(at))));
    let consent = consent.map(consent_record).transpose()?.flatten();
    fields.extend(consent.map(|consent| field("consent", consent)));
    record(fields)
}
