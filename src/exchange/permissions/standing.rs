//! What the upstream agency's own records still allow of a permission that it gave: looked at whenever the permission is
//! given or shown, by what the clauses look at for this incident.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    Category, Consent, ConsentScope, ConsentState, Disclosure, DisclosureTerms, Instant, Requester, frozen_since,
};
use crate::store::{AskedPermission, Reads};

use super::{Context, Result};

/// The categories that may still be passed on, each until the consents that allow it end; or why there are none, for the
/// upstream agency's own officers alone.
///
/// Each answer takes the same statements, so that the asker can tell none from another.
pub(super) async fn standing(
    context: Context<'_>,
    reads: &mut Reads,
    asked: &AskedPermission,
) -> Result<Result<BTreeMap<Category, Instant>, &'static str>> {
    let passage = &asked.passage;
    let on_the_way = [&passage.to, &asked.asker.agency, &asked.recipient];
    let on_the_way = on_the_way.map(|agency| Requester::anyone_of(agency.clone()));
    let suspensions = reads.suspensions_of(&on_the_way).await?;
    let found = reads.incidents_by_reference(&[passage.reference.as_str()].into()).await?;
    let incidents: Vec<_> = found.iter().map(|key| &key.incident.id).collect();
    let organisations: Vec<_> = found.iter().map(|key| &key.incident.organisation).collect();
    let consents = reads.consents_of(&organisations).await?;
    let authorisations = reads.authorisations_of(&incidents).await?;
    let made = reads.disclosures_of(&incidents).await?;
    let agreements = context.node.in_force(reads).await?;
    let enforcement = agreements.iter().any(|agreement| agreement.is_enforcement(&asked.purpose));

    if on_the_way.iter().any(|one| suspensions.between(&asked.upstream, one).is_some()) {
        return Ok(Err("one of the agencies that it would go to, or through, is suspended"));
    }
    let own = found.iter().find(|key| key.incident.holder == asked.upstream && key.recipient == passage.to.as_str());
    let Some(key) = own else {
        return Ok(Err("the incident is erased, or its reference leads nowhere any more"));
    };
    if [&passage.to, &asked.asker.agency, &asked.recipient].iter().any(|to| frozen_since(&key.frozen, to).is_some()) {
        return Ok(Err("the incident is frozen towards one of these agencies: close the wrongful release first"));
    }
    let given = authorisations.get(&key.incident.id).into_iter().flatten();
    let revoked: BTreeSet<_> = given.filter(|given| given.revoked_at.is_some()).map(|given| &given.id).collect();
    let counts = |consent: &&Consent| {
        consent.state == ConsentState::Given
            && (&consent.holder, &consent.recipient) == (&asked.upstream, &passage.to)
            && key.merger_recorded_at.is_none_or(|merger| consent.confirmed_at > merger)
    };
    let consents: Vec<_> = consents.get(&key.incident.organisation).into_iter().flatten().filter(counts).collect();
    // None where nothing allows it. What was released is what the agency's own record of that says, whatever the receipt of
    // whoever released it last says of it.
    let allowed_until = |made: &Disclosure, category: &Category| {
        if made.terms.consent.is_none() {
            return Some(Instant::MAX);
        }
        let purpose = Some(asked.purpose.clone());
        let onward = DisclosureTerms { purpose, enforcement, onward: true, ..DisclosureTerms::default() };
        let onward = Disclosure { terms: onward, ..made.clone() };
        let allows = |scope: &&ConsentScope| {
            scope.valid_from <= context.at
                && scope.still_permits(&onward, context.at)
                && scope.categories.contains(category)
        };
        consents.iter().filter_map(|consent| consent.scope.as_ref()).filter(allows).map(|scope| scope.valid_until).max()
    };
    let mut categories: BTreeMap<Category, Instant> = BTreeMap::new();
    for made in &made {
        let terms = &made.terms;
        let is_it = made.recipient == passage.to && terms.reference.as_ref() == Some(&passage.reference);
        let relies_on_revoked = terms.authorisation.as_ref().is_some_and(|id| revoked.contains(id));
        if !is_it || relies_on_revoked {
            continue;
        }
        for category in terms.categories.intersection(&asked.categories) {
            let until = allowed_until(made, category).max(categories.get(category).copied());
            categories.extend(until.map(|until| (category.clone(), until)));
        }
    }
    Ok(if categories.is_empty() {
        Err("the release's authorisation is revoked, or no consent in force allows any of it onward")
    } else {
        Ok(categories)
    })
}
