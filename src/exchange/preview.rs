//! Looking first: what the holder would release, and what a requester's ask would rest on. Nothing leaves and nothing is
//! written; the gate itself is asked, on facts as they are.

use std::collections::BTreeSet;

use crate::decision::{Clause, Decision, Handling, Missing, Modality, NotCovered, cover, decide, missing, suppose};
use crate::domain::{
    AgencyId, Ask, Authorisation, Category, Digest, Ground, Incident, IncidentId, Purpose, Reference, Rejected,
};
use crate::release;
use crate::store::Reads;

use super::gather::{Gathered, gather, supposed};
use super::incidents::Content;
use super::plan::Context;
use super::{Exchange, Result, suspensions};

/// What to preview.
#[derive(Debug, Clone)]
pub struct PreviewFor {
    /// The incident.
    pub incident: IncidentId,
    /// Who would receive.
    pub recipient: AgencyId,
    /// For what.
    pub purpose: Purpose,
    /// Which categories would be asked for; empty: all that are held.
    pub categories: BTreeSet<Category>,
    /// The ground of an authorisation that the officer thinks of giving.
    pub ground: Option<Ground>,
}

/// What would leave now.
pub struct Preview {
    /// `released`, `open` or `not-covered`.
    pub outcome: &'static str,
    /// The incident's present revision.
    pub revision: i64,
    /// The content that would leave, category by category.
    pub content: Content,
    /// The terms on which it would, and the digest of it all.
    pub terms: Option<(Handling, Digest)>,
    /// What is missing until the gate would permit.
    pub missing: BTreeSet<Missing>,
    /// Why.
    pub reasons: Vec<String>,
    /// What was asked for and would not leave, and why.
    pub withheld: Vec<(Category, &'static str)>,
}

impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preview").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

/// What an ask would rest on.
#[derive(Debug, Clone)]
pub struct Covering {
    /// The clauses that could permit it.
    pub clauses: Vec<Clause>,
    /// The clauses that let the requester name the organisation.
    pub naming: Vec<Clause>,
}

/// The digest of what would leave under an authorisation, once it is given.
pub(super) async fn would_leave(
    context: Context<'_>,
    reads: &mut Reads,
    given: &Authorisation,
    incident: &Incident,
) -> Result<Option<Digest>> {
    let (purpose, more) = (given.purposes.first(), given.purposes.len() > 1);
    let purpose = purpose.filter(|_| !more && !given.covers_updates);
    let problem = "can be cited for one purpose and without covers_updates only";
    let purpose = purpose.ok_or_else(|| Rejected::invalid("preview_digest", problem))?;
    let recipient = &given.recipient;
    let nowhere = Reference::known("-");
    let put =
        supposed(&incident.holder, &incident.id, nowhere, recipient.clone(), purpose.clone(), given.categories.clone());
    let Some(mut gathered) = gather(context.node, reads, vec![put], context.at).await?.pop() else { return Ok(None) };
    for found in &mut gathered.facts.matches {
        found.authorisations = vec![Authorisation { preview: None, ..given.clone() }];
    }
    Ok(match decide(&gathered.facts, &gathered.agreements()) {
        Decision::Permit(permit) => permit.permitted().first().map(|permitted| permitted.digest(recipient)),
        Decision::Open(_) | Decision::NotCovered(_) => None,
    })
}

impl Exchange {
    /// What would leave now, for the holder's own officers.
    pub async fn preview(&self, agency: AgencyId, wanted: PreviewFor) -> Result<Preview> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let incident = reads.incident(&agency, &wanted.incident).await?;
                let incident = incident.ok_or(Rejected::NotFound("incident"))?;
                let own = release::open_own(&incident, reads, &node.seal).await?;
                let mut categories = wanted.categories;
                if categories.is_empty() {
                    categories = incident.categories.keys().cloned().collect();
                }
                let (at, nowhere) = (node.now(reads).await?, Reference::known("-"));
                let put =
                    supposed(&incident.holder, &incident.id, nowhere, wanted.recipient, wanted.purpose, categories);
                let may_pass = suspensions::may_pass(reads, std::slice::from_ref(&put)).await?;
                let found = gather(node, reads, vec![put], at).await?.pop();
                let mut gathered = found.ok_or(super::Error::Internal("a preview was not gathered"))?;
                if let Some(ground) = wanted.ground {
                    let ask = gathered.facts.ask.clone();
                    for found in &mut gathered.facts.matches {
                        found.authorisations = vec![suppose(&found.incident, &ask, at, ground.clone())];
                    }
                }
                let preview = preview(&gathered, &incident, own);
                Ok(if may_pass.contains(&false) { stopped(preview, &gathered) } else { preview })
            })
        })
        .await
    }

    /// What an ask would rest on, by the ask and the agreements alone.
    pub async fn covering(&self, ask: Ask) -> Result<Result<Covering, NotCovered>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let agreements = node.in_force(reads).await?;
                let agreements: Vec<_> = agreements.iter().map(AsRef::as_ref).collect();
                let at = node.now(reads).await?;
                Ok(cover(&ask, &agreements, at).map(|coverage| Covering {
                    clauses: coverage.clauses().cloned().collect(),
                    naming: coverage.naming().cloned().collect(),
                }))
            })
        })
        .await
    }
}

fn preview(gathered: &Gathered, incident: &Incident, own: Content) -> Preview {
    let agreements = gathered.agreements();
    let decision = decide(&gathered.facts, &agreements);
    let (outcome, permitted, reasons) = match &decision {
        Decision::Permit(permit) => ("released", permit.permitted().first(), permit.reasons().to_vec()),
        Decision::Open(denial) => ("open", None, denial.reasons().to_vec()),
        Decision::NotCovered(not_covered) => ("not-covered", None, vec![not_covered.explanation.clone()]),
    };
    let leaves = |category: &Category| permitted.is_some_and(|permitted| permitted.categories.contains_key(category));
    let withheld = gathered.facts.ask.categories.iter().filter(|category| !leaves(category));
    Preview {
        outcome,
        revision: incident.revision,
        missing: missing(&gathered.facts, &agreements),
        reasons,
        withheld: withheld.map(|category| (category.clone(), why_withheld(gathered, incident, category))).collect(),
        terms: permitted.map(|one| (one.handling.clone(), one.digest(&gathered.facts.ask.requester.agency))),
        content: own.into_iter().filter(|(category, _)| leaves(category)).collect(),
    }
}

/// What a preview comes to while its recipient is suspended.
fn stopped(preview: Preview, gathered: &Gathered) -> Preview {
    let reason = "the recipient is suspended: nothing passes until an operator resumes it".to_owned();
    if preview.outcome != "released" {
        return Preview { reasons: [vec![reason], preview.reasons].concat(), ..preview };
    }
    let withheld = gathered.facts.ask.categories.iter().map(|category| (category.clone(), "outcome")).collect();
    Preview { outcome: "open", content: Vec::new(), terms: None, reasons: vec![reason], withheld, ..preview }
}

/// Why a category would not leave: what is checked first is named first.
fn why_withheld(gathered: &Gathered, incident: &Incident, category: &Category) -> &'static str {
    let facts = &gathered.facts;
    let agreements = gathered.agreements();
    let Ok(coverage) = cover(&facts.ask, &agreements, facts.at) else { return "outcome" };
    let clauses: Vec<&Clause> = coverage.clauses().filter(|clause| clause.categories.contains(category)).collect();
    if !incident.categories.contains_key(category) {
        return "not-held";
    }
    if clauses.is_empty() {
        return "clause";
    }
    let Some(found) = facts.matches.first() else { return "outcome" };
    let consented = found.consents.iter().filter_map(|consent| consent.scope.as_ref());
    if clauses.iter().all(|clause| clause.consent_required)
        && !consented.into_iter().any(|scope| scope.categories.contains(category))
    {
        return "consent";
    }
    let duty = clauses.iter().any(|clause| clause.modality == Modality::Duty);
    let of_form = |given: &&Authorisation| given.form == facts.ask.form;
    let mut given = found.authorisations.iter().filter(of_form);
    if !duty && !given.any(|given| given.categories.contains(category)) {
        return "authorisation";
    }
    "outcome"
}
