//! Who may speak for an organisation. No decision reads a mandate: it is looked at once, when a consent that cites it is
//! written down.

use crate::domain::{
    AgencyId, ConsentState, Evidence, Instant, Mandate, MandateId, MandateTerms, MandatedAct, OrganisationId, Rejected,
};
use crate::ledger::Kind;
use crate::seal;
use crate::store::{Reads, Write};

use super::plan::{By, Change, Context, Done, Plan};
use super::reading::{Page, Pages};
use super::{Exchange, Result};

/// How long a mandate lasts unless it says otherwise.
const DEFAULT_DAYS: i64 = 365;

/// Records a mandate.
#[derive(Debug)]
pub struct RecordMandate {
    /// The organisation.
    pub organisation: OrganisationId,
    /// Who may do what, and what shows it.
    pub terms: MandateTerms,
    /// From when; none: from now.
    pub valid_from: Option<Instant>,
    /// Until when; none: a year later.
    pub valid_until: Option<Instant>,
}

/// Ends a mandate.
#[derive(Debug)]
pub struct EndMandate {
    /// The mandate.
    pub id: MandateId,
}

/// A mandate, and whether it stands now.
#[derive(Debug)]
pub struct MandateView {
    /// The mandate.
    pub mandate: Mandate,
    /// Whether it stands.
    pub stands: bool,
}

impl Plan for RecordMandate {
    const KIND: Kind = Kind::Mandate;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let found = reads.organisation(context.agency(), &self.organisation, context.seal()).await?;
        found.ok_or(Rejected::NotFound("organisation"))?;
        if self.terms.received_at > context.at {
            return Err(Rejected::invalid("evidence.received_at", "is in the future").into());
        }
        let valid_from = self.valid_from.unwrap_or(context.at);
        let valid_until = self.valid_until.unwrap_or_else(|| valid_from.plus_days(DEFAULT_DAYS));
        if valid_until <= valid_from {
            return Err(Rejected::invalid("valid_until", "must be later than `valid_from`").into());
        }
        let mandate = Mandate {
            id: MandateId::known(seal::new_id("man")),
            holder: context.agency().clone(),
            organisation: self.organisation.clone(),
            terms: self.terms.clone(),
            valid_from,
            valid_until,
            recorded_by: context.actor.officer.clone(),
            recorded_at: context.at,
            ended_at: None,
        };
        Ok(Change::new(&mandate.id, 1, vec![Write::mandate(&mandate, context.seal())?]))
    }
}

impl Plan for EndMandate {
    const KIND: Kind = Kind::Mandate;
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let found = reads.mandate(context.agency(), &self.id, context.seal()).await?;
        let mandate = found.ok_or(Rejected::NotFound("mandate"))?;
        if mandate.ended_at.is_some() {
            return Err(Rejected::WrongState("it is already ended").into());
        }
        Ok(Change::new(&mandate.id, 2, vec![Write::end_mandate(&mandate.id, context.at)]))
    }
}

/// The mandate that evidence cites, if it cites one, lets the agent give consent for this organisation: then and now.
pub(super) async fn check_cited(
    context: Context<'_>,
    reads: &mut Reads,
    organisation: &OrganisationId,
    evidence: &Evidence,
) -> Result<()> {
    let Some(id) = &evidence.mandate else { return Ok(()) };
    let mandate = reads.mandate(context.agency(), id, context.seal()).await?;
    let times = [evidence.received_at, context.at];
    let problem =
        mandate.map_or(Some(Mandate::NOT_KNOWN), |mandate| mandate.problem(organisation, MandatedAct::Give, times));
    problem.map_or(Ok(()), |problem| Err(Rejected::invalid("evidence.mandate_id", problem).into()))
}

impl Exchange {
    /// Ends a mandate, and gives the consents that were given under it and that nobody has ended.
    pub async fn end_mandate(&self, by: By, end: EndMandate) -> Result<(Done, Vec<String>)> {
        let (agency, id) = (by.actor.agency.clone(), end.id.clone());
        let done = self.change(by, end).await?;
        Ok((done, self.given_under(agency, id).await?))
    }

    async fn given_under(&self, agency: AgencyId, id: MandateId) -> Result<Vec<String>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                // Erased in between: then so is what consents cite.
                let Some(mandate) = reads.mandate(&agency, &id, &node.seal).await? else { return Ok(Vec::new()) };
                let organisation = mandate.organisation.as_str();
                let mut given = Vec::new();
                for consent in reads.consents(&agency, "", i64::MAX, organisation, &node.seal).await? {
                    let versions = reads.consent(&agency, &consent.id, &node.seal).await?;
                    let under = versions.iter().any(|version| {
                        let cited = version.evidence.as_ref().and_then(|evidence| evidence.mandate.as_ref());
                        version.state == ConsentState::Given && cited == Some(&id)
                    });
                    given.extend(under.then(|| consent.id.to_string()));
                }
                Ok(given)
            })
        })
        .await
    }

    /// The agency's own mandates; `filter` is an organisation.
    pub async fn mandates(&self, page: Page) -> Result<Pages<MandateView>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read, at) = (page.after(node)?, page.rows()?, node.now(reads).await?);
                let rows = reads.mandates(&page.agency, &after, read, &page.filter, &node.seal).await?;
                let (found, next) = page.turn(node, rows, read, |mandate| mandate.id.to_string())?;
                let view = |mandate: Mandate| MandateView { stands: mandate.stands(at), mandate };
                Ok((found.into_iter().map(view).collect(), next))
            })
        })
        .await
    }
}
