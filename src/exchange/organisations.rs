//! The holder's register of organisations.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Identifier, Incident, Instant, Merger, Organisation, OrganisationId, Profile, Rejected};
use crate::ledger::Kind;
use crate::store::{Reads, Write};

use super::plan::{Change, Context, Plan};
use super::{Result, events};

/// Adds an organisation.
#[derive(Debug)]
pub struct RegisterOrganisation {
    /// What is stated of it.
    pub profile: Profile,
}

/// Replaces what is stated of an organisation.
#[derive(Debug)]
pub struct AmendOrganisation {
    /// The organisation.
    pub id: OrganisationId,
    /// The version that the caller read.
    pub version: i64,
    /// All that is stated of it from now on.
    pub profile: Profile,
}

/// Records that an organisation was merged into another, or corrects that.
#[derive(Debug)]
pub struct RecordMerger {
    /// The organisation that is no more.
    pub id: OrganisationId,
    /// The version that the caller read.
    pub version: i64,
    /// What it was merged into; none: what was recorded was entered in error.
    pub into: Option<OrganisationId>,
    /// When the merger took effect.
    pub at: Option<Instant>,
}

impl Plan for RegisterOrganisation {
    const KIND: Kind = Kind::Organisation;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let id = OrganisationId::known(context.seal().record_id(Self::PREFIX, context.call));
        let organisation = new(context, id, self.profile.clone());
        let writes = rows(context, reads, &[(String::new(), &organisation)]).await?;
        Ok(Change::new(&organisation.id, organisation.version, writes))
    }
}

impl RegisterOrganisation {
    /// What an organisation's id begins with.
    pub(super) const PREFIX: &str = "org";
}

/// An organisation as it is registered.
pub(super) fn new(context: Context<'_>, id: OrganisationId, profile: Profile) -> Organisation {
    let holder = context.agency().clone();
    Organisation { id, holder, version: 1, profile, merger: None, merger_recorded_at: None }
}

impl Plan for AmendOrganisation {
    const KIND: Kind = Kind::Organisation;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let present = own(context, reads, &self.id).await?;
        let organisation = present.amended(self.version, self.profile.clone())?;
        let mut writes = rows(context, reads, &[(String::new(), &organisation)]).await?;
        // Open requests may name what it is known by from now on.
        let all = reads.incidents(&organisation.holder, "", i64::MAX, organisation.id.as_str()).await?;
        let identifiers = organisation.profile.identifiers.as_slice();
        let incidents: Vec<(&[Identifier], &Incident)> = all.iter().map(|incident| (identifiers, incident)).collect();
        writes.extend(events::matched_later(context, reads, &incidents).await?);
        Ok(Change::new(&organisation.id, organisation.version, writes))
    }
}

impl Plan for RecordMerger {
    const KIND: Kind = Kind::Organisation;
    // From here on, consent that was confirmed before permits nothing.
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let present = own(context, reads, &self.id).await?;
        let earlier = all_merged_into(reads, &self.id).await?;
        let merger = self.merger(context, reads, &earlier).await?;
        let after = present.merged(self.version, merger, context.at)?;
        let mut writes = Write::organisation(&after, context.seal())?;
        // Their consents were confirmed for what they had become, and that is no more.
        writes.extend(earlier.iter().map(|(id, _)| Write::merger_recorded(id, context.at)));
        Ok(Change::new(&after.id, after.version, writes))
    }
}

impl RecordMerger {
    /// The merger to be recorded, if it fits the ones that are: no circle, and none before the one it rests on.
    async fn merger(
        &self,
        context: Context<'_>,
        reads: &mut Reads,
        earlier: &[(OrganisationId, Merger)],
    ) -> Result<Option<Merger>> {
        let (into, at) = match (&self.into, self.at) {
            (None, None) => return Ok(None),
            (None, Some(_)) => {
                let problem = "is required, unless both are unset because a merger was entered in error";
                return Err(Rejected::invalid("into_organisation_id", problem).into());
            }
            (Some(_), None) => return Err(Rejected::invalid("merged_at", "is required").into()),
            (Some(into), Some(at)) => (into.clone(), at),
        };
        let invalid = |field: &str, problem: &str| Err(Rejected::invalid(field, problem).into());
        if into == self.id || earlier.iter().any(|(id, _)| *id == into) {
            return invalid("into_organisation_id", "is this organisation, or was itself merged into it");
        }
        let Some(survivor) = reads.organisation(context.agency(), &into, context.seal()).await? else {
            return invalid("into_organisation_id", "is not an organisation of your register");
        };
        if at > context.at {
            return invalid("merged_at", "is in the future: record a merger when it has taken effect");
        }
        if survivor.merger.is_some_and(|later| later.at < at) {
            return invalid("merged_at", "is later than the other organisation's own merger: name what that became");
        }
        if earlier.iter().any(|(_, before)| before.into == self.id && before.at > at) {
            return invalid("merged_at", "is earlier than a merger into this organisation");
        }
        Ok(Some(Merger { into, at }))
    }
}

async fn own(context: Context<'_>, reads: &mut Reads, id: &OrganisationId) -> Result<Organisation> {
    let present = reads.organisation(context.agency(), id, context.seal()).await?;
    Ok(present.ok_or(Rejected::NotFound("organisation"))?)
}

/// Every merger from this organisation on: its own, that of what it was merged into, and so on.
pub(super) async fn mergers_from(reads: &mut Reads, id: &OrganisationId) -> Result<Vec<Merger>> {
    let mut mergers: Vec<Merger> = Vec::new();
    let mut next = BTreeSet::from([id.clone()]);
    while let Some((_, merger)) = reads.mergers_of(&next).await?.pop() {
        next = BTreeSet::from([merger.into.clone()]);
        mergers.push(merger);
    }
    Ok(mergers)
}

/// Everything that was merged into this organisation, directly or not.
async fn all_merged_into(reads: &mut Reads, id: &OrganisationId) -> Result<Vec<(OrganisationId, Merger)>> {
    let mut all = Vec::new();
    let mut next = BTreeSet::from([id.clone()]);
    while !next.is_empty() {
        let found = reads.mergers_into(&next).await?;
        next = found.iter().map(|(id, _)| id.clone()).collect();
        all.extend(found);
    }
    Ok(all)
}

/// What keeps organisations, each with its path in the call; empty if the call is about it alone. Statements are as many
/// for many new ones as for one.
///
/// No identifier may belong to two organisations of one holder: a match would name the wrong one.
pub(super) async fn rows(
    context: Context<'_>,
    reads: &mut Reads,
    all: &[(String, &Organisation)],
) -> Result<Vec<Write>> {
    let mut lookups = Vec::new();
    for (path, Organisation { holder, profile, .. }) in all {
        profile.check().map_err(|problem| Rejected::Invalid(problem).within(path, ""))?;
        lookups.extend(profile.identifiers.iter().map(|identifier| context.seal().lookup(holder, identifier)));
    }
    let mut taken: BTreeMap<String, OrganisationId> = reads.identifiers(&lookups).await?.into_iter().collect();
    let mut lookups = lookups.into_iter();
    for (path, organisation) in all {
        for lookup in lookups.by_ref().take(organisation.profile.identifiers.len()) {
            // Of two in one call the first one has it.
            if *taken.entry(lookup).or_insert_with(|| organisation.id.clone()) != organisation.id {
                let problem =
                    "an identifier is already registered for another organisation: take it off that one first";
                return Err(Rejected::WrongState(problem).within(path, "identifiers").into());
            }
        }
    }
    check_parents(context, reads, all).await?;
    let mut writes = Vec::new();
    for (_, organisation) in all {
        writes.extend(Write::organisation(organisation, context.seal())?);
    }
    Ok(writes)
}

/// Parents are in the same register, and nothing is its own ancestor, whenever the links held.
async fn check_parents(context: Context<'_>, reads: &mut Reads, all: &[(String, &Organisation)]) -> Result<()> {
    let parents: BTreeSet<&OrganisationId> =
        all.iter().flat_map(|(_, organisation)| &organisation.profile.parents).map(|link| &link.parent).collect();
    if parents.is_empty() {
        return Ok(());
    }
    let parents: Vec<&OrganisationId> = parents.into_iter().collect();
    let known = reads.organisations_by_id(context.agency(), &parents, context.seal()).await?;
    for (path, organisation) in all {
        for (i, link) in organisation.profile.parents.iter().enumerate() {
            let invalid =
                |problem: &str| Rejected::invalid(format!("parents[{i}].organisation_id"), problem).within(path, "");
            if !known.iter().any(|known| known.id == link.parent) {
                return Err(invalid("is not an organisation of your register").into());
            }
            // Nothing is below what is new.
            if organisation.version > 1 && is_above(reads, &organisation.id, &link.parent).await? {
                return Err(invalid("is this organisation or a subsidiary of it").into());
            }
        }
    }
    Ok(())
}

/// Whether an organisation is this one or an ancestor of it.
async fn is_above(reads: &mut Reads, organisation: &OrganisationId, this: &OrganisationId) -> Result<bool> {
    let mut seen = BTreeSet::from([this.clone()]);
    let mut next = seen.clone();
    while !next.is_empty() {
        let above = reads.parents_of(&next).await?;
        next = above.into_iter().map(|(_, parent)| parent).filter(|parent| seen.insert(parent.clone())).collect();
    }
    Ok(seen.contains(organisation))
}
