//! What is to be registered, as the calls that register it alone or with others state it.

use std::collections::HashSet;

use prost::Message as _;

use super::admission::key;
use super::convert;
use crate::domain::{Category, Invalid, Occurred, OrganisationId, Purpose, check};
use crate::exchange::{
    Exchange, NewIncident, NewOrganisation, ReceivedCategory, RegisterIncident, RegisterIncidents, RegisterReceived,
};
use crate::identity::Caller;
use crate::proto::v1::RegisterIncidentRequest;
use crate::proto::v1::new_incident::Organisation;
use crate::proto::{CATEGORIES, v1};

/// Reads an incident that is to be registered.
pub(super) fn incident(message: &RegisterIncidentRequest) -> Result<RegisterIncident, Invalid> {
    let from = convert::required_instant("occurred_from", message.occurred_from)?;
    let until = convert::required_instant("occurred_until", message.occurred_until)?;
    let notification = match &message.notification {
        None => None,
        Some(notification) => {
            let kind = convert::field("notification.kind", &notification.kind, |text| {
                Purpose::parse(text).map_err(|_| Invalid::new("", "is not a kind, such as `nis-rdsp`"))
            })?;
            let received_at = convert::required_instant("notification.received_at", notification.received_at)?;
            Some((kind.to_string(), received_at))
        }
    };
    let campaign = convert::text("campaign", &message.campaign, 100)?;
    Ok(RegisterIncident {
        organisation: convert::field("organisation_id", &message.organisation_id, OrganisationId::parse)?,
        occurred: Occurred::new(from, until, "occurred_until")?,
        markings: convert::markings(message.markings.as_ref())?,
        notification,
        campaign: (!campaign.is_empty()).then_some(campaign),
        retain_until: convert::instant("retain_until", message.retain_until)?,
        content: convert::content(message.content.as_ref())?,
    })
}

/// Reads what was received and is to be registered as it came.
pub(super) fn received(message: &v1::RegisterReceivedRequest) -> Result<RegisterReceived, Invalid> {
    let from = convert::required_instant("occurred_from", message.occurred_from)?;
    let until = convert::required_instant("occurred_until", message.occurred_until)?;
    let campaign = convert::text("campaign", &message.campaign, 100)?;
    check(!message.receipt.is_empty(), "receipt", "is required")?;
    check(!message.categories.is_empty(), "categories", "is required: at least one")?;
    check(message.categories.len() <= 16, "categories", "must be at most 16")?;
    let one = |(place, released): (usize, &v1::ReleasedCategory)| {
        let within = |name: &str| format!("categories[{place}].{name}");
        let category = convert::field(&within("category"), &released.category, Category::parse)?;
        let is_known = CATEGORIES.iter().any(|(known, _)| *known == category.as_str());
        check(is_known, &within("category"), "is not a category that this version knows")?;
        // It must be that category and nothing else, or it would leave under another's name one day.
        let content = v1::IncidentContent::decode(released.content.as_slice()).ok();
        let parts = content.and_then(|content| convert::content(Some(&content)).ok());
        let is_that = parts.is_some_and(|parts| parts.len() == 1 && parts.iter().all(|(one, _)| *one == category));
        check(is_that, &within("content"), "is not an encoded IncidentContent with this category alone")?;
        Ok(ReceivedCategory { category, content: released.content.clone(), salt: released.salt.clone() })
    };
    Ok(RegisterReceived {
        organisation: convert::field("organisation_id", &message.organisation_id, OrganisationId::parse)?,
        occurred: Occurred::new(from, until, "occurred_until")?,
        campaign: (!campaign.is_empty()).then_some(campaign),
        retain_until: convert::instant("retain_until", message.retain_until)?,
        receipt: message.receipt.clone(),
        reference: convert::text("reference", &message.reference, 64)?,
        categories: message.categories.iter().enumerate().map(one).collect::<Result<_, Invalid>>()?,
    })
}

/// Reads many: each as the request of the call that it stands for, whose key is then the record's.
pub(super) fn many(
    caller: &Caller,
    exchange: &Exchange,
    message: v1::RegisterIncidentsRequest,
) -> Result<RegisterIncidents, Invalid> {
    let most = RegisterIncidents::MOST;
    check(message.organisations.len() <= most, "organisations", format!("must be at most {most}"))?;
    check(!message.incidents.is_empty(), "incidents", "is required: at least one")?;
    check(message.incidents.len() <= most, "incidents", format!("must be at most {most}"))?;
    let organisations = each("organisations", message.organisations, |new| organisation(caller, exchange, &new))?;
    let incidents = each("incidents", message.incidents, |new| at(caller, exchange, new, &organisations))?;
    once("organisations", organisations.iter().map(|new| new.call.request_id.as_str()))?;
    once("incidents", incidents.iter().map(|new| new.call.request_id.as_str()))?;
    Ok(RegisterIncidents { organisations, incidents })
}

fn each<T, U>(name: &str, all: Vec<T>, read: impl Fn(T) -> Result<U, Invalid>) -> Result<Vec<U>, Invalid> {
    let place = |(i, one)| read(one).map_err(|problem| problem.within(&format!("{name}[{i}]")));
    all.into_iter().enumerate().map(place).collect()
}

/// No key is there twice: each names one record.
fn once<'a>(name: &str, keys: impl Iterator<Item = &'a str>) -> Result<(), Invalid> {
    let mut seen = HashSet::new();
    for (i, key) in keys.enumerate() {
        check(seen.insert(key), &format!("{name}[{i}].request_id"), "is another record's in this call, too")?;
    }
    Ok(())
}

fn organisation(
    caller: &Caller,
    exchange: &Exchange,
    new: &v1::RegisterOrganisationRequest,
) -> Result<NewOrganisation, Invalid> {
    let call = key(caller, RegisterIncidents::ORGANISATION, &new.request_id, new)?;
    let v1::RegisterOrganisationRequest { name, identifiers, former_names, trading_names, parents, .. } = new;
    let profile = convert::profile(name, identifiers, former_names, trading_names, parents)?;
    Ok(exchange.new_organisation(call, profile))
}

fn at(
    caller: &Caller,
    exchange: &Exchange,
    new: v1::NewIncident,
    organisations: &[NewOrganisation],
) -> Result<NewIncident, Invalid> {
    let organisation_id = match new.organisation {
        None => return Err(Invalid::new("organisation", "is required: `organisation_id` or `new_organisation`")),
        Some(Organisation::OrganisationId(id)) => id,
        Some(Organisation::NewOrganisation(place)) => {
            let found = usize::try_from(place).ok().and_then(|place| organisations.get(place));
            let missing = || Invalid::new("new_organisation", "is not a place in `organisations`, from 0");
            found.ok_or_else(missing)?.id.to_string()
        }
    };
    let alone = RegisterIncidentRequest {
        request_id: new.request_id,
        organisation_id,
        occurred_from: new.occurred_from,
        occurred_until: new.occurred_until,
        markings: new.markings,
        notification: new.notification,
        campaign: new.campaign,
        retain_until: new.retain_until,
        content: new.content,
    };
    let call = key(caller, RegisterIncidents::INCIDENT, &alone.request_id, &alone)?;
    Ok(exchange.new_incident(call, incident(&alone)?))
}
