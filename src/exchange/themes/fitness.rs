//! Whether a theme may be shared, by what it rests on and by what the register holds of the organisations there.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Backing, Incident, IncidentId, OrganisationId, Profile, Rejected, Theme, Tlp};
use crate::exchange::Result;
use crate::exchange::plan::Context;
use crate::statistics::Rule;
use crate::store::Reads;

/// Those of the incidents that the agency holds.
pub(super) async fn incidents<'a>(
    context: Context<'_>,
    reads: &mut Reads,
    ids: impl Iterator<Item = &'a IncidentId>,
) -> Result<Vec<Incident>> {
    let ids: Vec<&str> = ids.map(IncidentId::as_str).collect();
    let found = reads.incidents_by_id(&ids).await?.into_iter().map(|found| found.incident);
    Ok(found.filter(|incident| incident.holder == *context.agency()).collect())
}

/// Why a theme may not be shared.
pub(super) enum Unfit {
    Received(IncidentId),
    Elsewhere(IncidentId),
    Red(IncidentId),
    Few,
    Dominated,
    Named(&'static str),
}

/// What is wrong with a theme that rests on these incidents, if anything.
pub(super) async fn unfit(
    context: Context<'_>,
    reads: &mut Reads,
    theme: &Theme,
    incidents: &[Incident],
    rule: Rule,
) -> Result<Option<Unfit>> {
    let (start, end) = (theme.from.start(), theme.to.end());
    for Incident { id, occurred, markings, provenance, .. } in incidents {
        // What another agency released is passed on with that agency's permission, and a theme asks nobody for one.
        if provenance.is_some() {
            return Ok(Some(Unfit::Received(id.clone())));
        }
        if occurred.until <= start || end <= occurred.from {
            return Ok(Some(Unfit::Elsewhere(id.clone())));
        }
        if markings.tlp == Tlp::Red {
            return Ok(Some(Unfit::Red(id.clone())));
        }
    }
    let each: Vec<OrganisationId> = incidents.iter().map(|incident| incident.organisation.clone()).collect();
    let survivors = survivors(reads, &each).await?;
    let backing = counted(&each, &survivors);
    if backing.organisations < rule.threshold {
        return Ok(Some(Unfit::Few));
    }
    if backing.largest.saturating_mul(rule.largest_share) > backing.incidents {
        return Ok(Some(Unfit::Dominated));
    }
    let mut involved: BTreeSet<OrganisationId> = each.into_iter().chain(survivors.into_values()).collect();
    involved.extend(reads.mergers_into(&involved).await?.into_iter().map(|(merged, _)| merged));
    involved.extend(reads.parents_of(&involved).await?.into_iter().map(|(_, parent)| parent));
    let ids: Vec<&OrganisationId> = involved.iter().collect();
    let records = reads.organisations_by_id(context.agency(), &ids, context.seal()).await?;
    let profiles: Vec<&Profile> = records.iter().map(|record| &record.profile).collect();
    Ok(theme.naming(&profiles).map(Unfit::Named))
}

impl Unfit {
    /// For the officer who drafts: the field and what would be accepted.
    pub(super) fn in_request(self, ids: &[IncidentId], Rule { threshold, largest_share, .. }: Rule) -> Rejected {
        let place = |id: &IncidentId| ids.iter().position(|other| other == id).unwrap_or_default();
        match self {
            Self::Received(id) => {
                let problem = "was received from another agency: a theme rests on what your agency registered itself";
                Rejected::invalid(format!("incident_ids[{}]", place(&id)), problem)
            }
            Self::Elsewhere(id) => {
                Rejected::invalid(format!("incident_ids[{}]", place(&id)), "did not occur in the theme's quarters")
            }
            Self::Red(id) => Rejected::invalid(format!("incident_ids[{}]", place(&id)), "is marked TLP RED"),
            Self::Few => Rejected::invalid(
                "incident_ids",
                format!("must be at no fewer than {threshold} different organisations, merged ones counted as one"),
            ),
            Self::Dominated => Rejected::invalid(
                "incident_ids",
                format!("must not be at one organisation to more than one part in {largest_share}"),
            ),
            Self::Named(field) => Rejected::invalid(
                format!("theme.{field}"),
                "has a name or an identifier of an organisation on whose incidents it rests, of what that was merged \
                 into, of what was merged into it or of a parent: say it in other words",
            ),
        }
    }

    /// For the officer who confirms: what has changed since it was drafted.
    pub(super) fn by_now(&self) -> Rejected {
        Rejected::WrongState(match self {
            Self::Received(_) => "an incident on which it rests was received from another agency: revise it",
            Self::Elsewhere(_) => "an incident on which it rests did not occur in its quarters: revise it",
            Self::Red(_) => "an incident on which it rests is marked TLP RED by now: revise it",
            Self::Few => "it rests on incidents at too few organisations by now: revise it",
            Self::Dominated => "one organisation has too large a share of its incidents by now: revise it",
            Self::Named(_) => "it names an organisation on whose incidents it rests, as the register now is: revise it",
        })
    }
}

/// What each organisation that was merged has become.
pub(super) async fn survivors(
    reads: &mut Reads,
    organisations: &[OrganisationId],
) -> Result<BTreeMap<OrganisationId, OrganisationId>> {
    let mut become_of: BTreeMap<OrganisationId, OrganisationId> = BTreeMap::new();
    let mut next: BTreeSet<OrganisationId> = organisations.iter().cloned().collect();
    while !next.is_empty() {
        let merged = reads.mergers_of(&next).await?;
        next = merged.iter().map(|(_, merger)| merger.into.clone()).collect();
        // INVARIANT: mergers have no circle, so this ends.
        become_of.extend(merged.into_iter().map(|(id, merger)| (id, merger.into)));
    }
    Ok(become_of)
}

/// Counts the organisations of incidents, each as what it has become.
pub(super) fn counted(each: &[OrganisationId], become_of: &BTreeMap<OrganisationId, OrganisationId>) -> Backing {
    let last = |organisation| {
        let mut last = organisation;
        while let Some(next) = become_of.get(last) {
            last = next;
        }
        last
    };
    Backing::of(each.iter().map(last))
}
