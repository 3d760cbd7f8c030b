//! Which organisations of a register might be the one that somebody speaks of. Nothing here matches a request: that
//! is by identifier alone, in `incidents_by_identifier`.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{AgencyId, Candidate, Identifier, NameKind, OrganisationId, Resemblance, folded_name};
use crate::seal::Seal;

use super::{Reads, Result, Tx, inconsistent, key_set, on, rows, sql};

/// The most candidates of one search. A name that more organisations share says nothing.
pub const MOST_CANDIDATES: usize = 64;

/// What was found so far, with the reasons.
type Found = BTreeMap<OrganisationId, BTreeSet<Resemblance>>;

impl Reads {
    /// The organisations of one holder's register that have one of the identifiers, which is exact, and the candidates:
    /// by name, by merger (over any number of them, in both directions) and by group (one link, from all of these).
    ///
    /// The exact ones come first, then by id; at most [`MOST_CANDIDATES`], and whether there are more. For the holder's
    /// officers alone: a candidate must never change what a requester gets.
    pub async fn candidates(
        &mut self,
        holder: &AgencyId,
        identifiers: &[Identifier],
        name: Option<&str>,
        seal: &Seal,
    ) -> Result<(Vec<Candidate>, bool)> {
        let mut found = Found::new();
        let lookups: Vec<String> = identifiers.iter().map(|identifier| seal.lookup(holder, identifier)).collect();
        for (_, id) in self.identifiers(&lookups).await? {
            found.entry(id).or_default().insert(Resemblance::Identifier);
        }
        let folded = name.map(folded_name).filter(|folded| !folded.is_empty());
        if let Some(folded) = folded {
            self.named(&seal.lookup_name(holder, &folded), &mut found).await?;
        }
        self.merged(&mut found).await?;
        self.grouped(&mut found).await?;

        let mut all: Vec<Candidate> = found
            .into_iter()
            .map(|(organisation, reasons)| Candidate { organisation, reasons: reasons.into_iter().collect() })
            .collect();
        all.sort_by_key(|candidate| !candidate.is_exact());
        let more = all.len() > MOST_CANDIDATES;
        all.truncate(MOST_CANDIDATES);
        Ok((all, more))
    }

    async fn named(&mut self, lookup: &str, found: &mut Found) -> Result<()> {
        // One more than can be shown, so that it is seen where there are more.
        let most = i64::try_from(MOST_CANDIDATES * 3 + 1).unwrap_or(i64::MAX);
        for (id, kind) in rows!(self, sql::NAMES, (String, String), key_set([lookup]), most) {
            let kind = NameKind::parse(&kind)
                .ok_or_else(|| inconsistent("organisation_name", &id, "has an unknown kind of name"))?;
            found.entry(OrganisationId::known(id)).or_default().insert(Resemblance::Name(kind));
        }
        Ok(())
    }

    async fn merged(&mut self, found: &mut Found) -> Result<()> {
        let roots: BTreeSet<OrganisationId> = found.keys().cloned().collect();
        let mut new = roots.clone();
        while !new.is_empty() && found.len() <= MOST_CANDIDATES {
            let mut links = Vec::new();
            for (id, merger) in self.mergers_of(&new).await? {
                links.push((merger.into, id));
            }
            for (id, merger) in self.mergers_into(&new).await? {
                links.push((id, merger.into));
            }
            new = neighbours(found, &roots, links, Resemblance::Merged);
        }
        Ok(())
    }

    async fn grouped(&mut self, found: &mut Found) -> Result<()> {
        let near: BTreeSet<OrganisationId> = found.keys().cloned().collect();
        let most = i64::try_from(MOST_CANDIDATES + 1).unwrap_or(i64::MAX);
        let parents = self.parents_of(&near).await?;
        let subsidiaries = self.subsidiaries_of(&near, most).await?;
        let parents = parents.into_iter().map(|(child, parent)| (parent, child));
        neighbours(found, &near, parents, Resemblance::Parent);
        neighbours(found, &near, subsidiaries, Resemblance::Subsidiary);
        Ok(())
    }
}

/// Notes each organisation with the one through which it was found; gives those that are new. What was found before is
/// not found again through what it led to itself.
fn neighbours(
    found: &mut Found,
    roots: &BTreeSet<OrganisationId>,
    links: impl IntoIterator<Item = (OrganisationId, OrganisationId)>,
    reason: impl Fn(OrganisationId) -> Resemblance,
) -> BTreeSet<OrganisationId> {
    let mut new = BTreeSet::new();
    for (id, through) in links {
        if found.contains_key(&id) && !roots.contains(&through) {
            continue;
        }
        if !found.contains_key(&id) {
            new.insert(id.clone());
        }
        found.entry(id).or_default().insert(reason(through));
    }
    new
}
