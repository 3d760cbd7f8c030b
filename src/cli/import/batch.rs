//! What is put to the node together: as many incidents as a call takes. What the node turns away is taken out, by the
//! field that it names, and the rest is put again; so each incident gets the answer that it would get alone.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, OnceLock};

use concordat::exchange::RegisterIncidents;
use concordat::proto::v1;
use concordat::proto::v1::new_incident::Organisation as At;
use concordat::seal;
use prost::Message as _;

use super::drafts::{Affected, Draft, Rejected};
use super::node::{Failure, Kept, Node};

/// How much of incidents goes into one call: with their organisations that is less than the node takes.
const MOST_BYTES: usize = 320 * 1024;

/// An organisation of this run. The first spelling of its name is the one that is registered, in every run.
pub(super) struct Organisation {
    affected: Affected,
    /// Its id where somebody else registered it, or why it cannot be; unset while neither is known.
    settled: OnceLock<Result<String, Rejected>>,
}

impl Organisation {
    pub(super) fn new(affected: Affected) -> Self {
        Self { affected, settled: OnceLock::new() }
    }
}

/// An incident that is to be registered, and where.
pub(super) struct Item {
    pub(super) organisation: Arc<Organisation>,
    pub(super) draft: Draft,
}

/// What became of an incident.
pub(super) type Came = Result<Kept, Rejected>;

/// What goes into one call, each with its place among all.
type Part = Vec<(usize, Item)>;

impl Node {
    /// Registers incidents, and their organisations before them; gives what became of each. When this returns, what was
    /// kept is durable. `Err`: why nothing can be put to the node any more.
    pub(super) async fn register(&self, items: Vec<Item>) -> Result<Vec<(usize, Came)>, String> {
        let mut came = Vec::new();
        let mut parts = cut(items);
        while let Some(mut part) = parts.pop_front() {
            for (place, rejected) in without_organisation(&mut part) {
                came.push((place, Err(rejected)));
            }
            if part.is_empty() {
                continue;
            }
            let (request, new) = request(&part);
            let (rejected, field) = match self.put_many(request).await {
                Ok(kept) => {
                    came.extend(part.into_iter().zip(kept).map(|((place, _), kept)| (place, Ok(kept))));
                    continue;
                }
                Err(Failure::Stopped(why)) => return Err(why),
                Err(Failure::Rejected { rejected, field }) => (rejected, field),
            };
            match blamed(&field, part.len(), &new) {
                Blamed::Incident(i) => {
                    let (place, _) = part.remove(i);
                    came.push((place, Err(otherwise(rejected))));
                    parts.push_front(part);
                }
                Blamed::Organisation(organisation) => {
                    let settled = self.settle(&organisation.affected, rejected).await?;
                    // Whoever was first has found the same.
                    drop(organisation.settled.set(settled));
                    parts.push_front(part);
                }
                Blamed::Nothing if part.len() > 1 => {
                    part.into_iter().rev().for_each(|one| parts.push_front(vec![one]));
                }
                Blamed::Nothing => came.extend(part.into_iter().map(|(place, _)| (place, Err(rejected.clone())))),
            }
        }
        Ok(came)
    }

    /// Where an organisation is that cannot be registered now, or why it is nowhere.
    async fn settle(&self, affected: &Affected, rejected: Rejected) -> Result<Result<String, Rejected>, String> {
        // A colleague's import had it, or another file spelt it otherwise, or somebody registered it by hand with these
        // identifiers: it is in the agency's own register then.
        if !matches!(rejected.reason, "KEY_REUSED" | "WRONG_STATE") {
            return Ok(Err(rejected));
        }
        match self.registered(affected).await {
            Ok(Some(id)) => Ok(Ok(id)),
            Ok(None) => Ok(Err(Rejected::new(
                "organisation-differs",
                "its organisation was registered before, by another officer or with other identifiers, and no single \
                 one in the register has exactly this name or these identifiers now",
            ))),
            Err(Failure::Rejected { rejected, .. }) => Ok(Err(rejected)),
            Err(Failure::Stopped(why)) => Err(why),
        }
    }
}

/// A key that was used for something else, in the words of an import.
fn otherwise(rejected: Rejected) -> Rejected {
    if rejected.reason != "KEY_REUSED" {
        return rejected;
    }
    Rejected::new(
        "imported-otherwise",
        "was imported before by another officer, with other markings, or by another version of this program; nothing \
         was changed. Whoever began this import can go on with it",
    )
}

/// Cuts what is to be put into calls. No key is twice in one: a record that the file repeats goes into a later call.
fn cut(items: Vec<Item>) -> VecDeque<Part> {
    let mut parts = VecDeque::new();
    let (mut part, mut bytes, mut keys) = (Part::new(), 0, HashSet::new());
    for (place, item) in items.into_iter().enumerate() {
        let size = item.draft.request.encoded_len();
        let is_full = part.len() == RegisterIncidents::MOST || bytes + size > MOST_BYTES;
        if !part.is_empty() && (is_full || keys.contains(&item.draft.request.request_id)) {
            parts.push_back(std::mem::take(&mut part));
            keys.clear();
            bytes = 0;
        }
        bytes += size;
        keys.insert(item.draft.request.request_id.clone());
        part.push((place, item));
    }
    parts.push_back(part);
    parts
}

/// Takes out the incidents whose organisation cannot be registered, each with why.
fn without_organisation(part: &mut Part) -> Vec<(usize, Rejected)> {
    let mut out = Vec::new();
    part.retain(|(place, item)| match item.organisation.settled.get() {
        Some(Err(rejected)) => {
            out.push((*place, rejected.clone()));
            false
        }
        Some(Ok(_)) | None => true,
    });
    out
}

/// The call, and the organisations that are registered by it in their order.
///
/// Its own key is new each time: what keeps a record from being registered twice is the record's own.
fn request(part: &Part) -> (v1::RegisterIncidentsRequest, Vec<Arc<Organisation>>) {
    let mut new: Vec<Arc<Organisation>> = Vec::new();
    let mut incidents = Vec::new();
    for (_, Item { organisation, draft }) in part {
        let at = if let Some(Ok(id)) = organisation.settled.get() {
            At::OrganisationId(id.clone())
        } else {
            let place = new.iter().position(|one| Arc::ptr_eq(one, organisation)).unwrap_or_else(|| {
                new.push(Arc::clone(organisation));
                new.len() - 1
            });
            At::NewOrganisation(i32::try_from(place).unwrap_or(i32::MAX))
        };
        let alone = draft.request.clone();
        incidents.push(v1::NewIncident {
            request_id: alone.request_id,
            organisation: Some(at),
            occurred_from: alone.occurred_from,
            occurred_until: alone.occurred_until,
            markings: alone.markings,
            notification: alone.notification,
            campaign: alone.campaign,
            retain_until: alone.retain_until,
            content: alone.content,
        });
    }
    let organisation = |one: &Arc<Organisation>| v1::RegisterOrganisationRequest {
        request_id: one.affected.request_id(),
        name: one.affected.name.clone(),
        identifiers: one.affected.identifiers.clone(),
        ..v1::RegisterOrganisationRequest::default()
    };
    let organisations = new.iter().map(organisation).collect();
    (v1::RegisterIncidentsRequest { request_id: seal::new_id("imp"), organisations, incidents }, new)
}

/// Which record an error is about.
enum Blamed<'a> {
    /// The incident at this place of the call.
    Incident(usize),
    Organisation(&'a Organisation),
    /// It is not said.
    Nothing,
}

fn blamed<'a>(field: &str, incidents: usize, organisations: &'a [Arc<Organisation>]) -> Blamed<'a> {
    match place(field) {
        Some(("incidents", i)) if i < incidents => Blamed::Incident(i),
        Some(("organisations", i)) => organisations.get(i).map_or(Blamed::Nothing, |one| Blamed::Organisation(one)),
        _ => Blamed::Nothing,
    }
}

/// The list, and the place in it, that an error's field begins with.
fn place(field: &str) -> Option<(&str, usize)> {
    let (list, rest) = field.split_once('[')?;
    let (place, _) = rest.split_once(']')?;
    Some((list, place.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &str, bytes: usize) -> Item {
        let affected = Affected::new("Tarn Council", Vec::new()).map_err(|why| why.says).unwrap();
        let organisation = Arc::new(Organisation::new(affected.clone()));
        let request = v1::RegisterIncidentRequest {
            request_id: key.to_owned(),
            campaign: "c".repeat(bytes),
            ..v1::RegisterIncidentRequest::default()
        };
        Item { organisation, draft: Draft { affected, request } }
    }

    fn lengths(items: Vec<Item>) -> Vec<usize> {
        cut(items).iter().map(Vec::len).collect()
    }

    #[test]
    fn calls_are_cut_by_number_size_and_key() {
        assert_eq!(lengths((0..150).map(|n| item(&format!("key-{n}"), 10)).collect()), [48, 48, 48, 6]);
        assert_eq!(lengths((0..5).map(|n| item(&format!("key-{n}"), 150 * 1024)).collect()), [2, 2, 1]);
        assert_eq!(lengths(vec![item("a", 600 * 1024), item("b", 1)]), [1, 1]);
        assert_eq!(lengths(vec![item("a", 1), item("b", 1), item("a", 1), item("b", 1)]), [2, 2]);
    }

    #[test]
    fn an_error_names_the_record_that_it_is_about() {
        assert_eq!(place("incidents[3].occurred_from"), Some(("incidents", 3)));
        assert_eq!(place("organisations[0].identifiers[2].value"), Some(("organisations", 0)));
        assert_eq!(place("request_id"), None);
        assert_eq!(place(""), None);
    }
}
