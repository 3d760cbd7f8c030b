//! Who may speak for an organisation. No decision reads a mandate: it is looked at once, when a consent that cites it is
//! written down.

use crate::domain::{
    AgencyId, Consent, Evidence, Instant, Mandate, MandateId, MandateTerms, MandatedAct, OrganisationId, Rejected,
};
use crate::ledger::Kind;
use crate::seal;
use crate::store::{Reads, Write};

use super::plan::{By, Change, Context, Done, Plan};
use super::reading::{Page, Pages};
use super::{Exchange, Result, organisations};

/// How long a mandate lasts unless it says otherwise.
const DEFAULT_DAYS: i64 = 365;

/// How many open versions of an organisation's consents are looked at for those that cite a mandate.
const MOST_READ: i64 = 1_000;

/// Records a mandate.
#[derive(Debug)]
pub struct RecordMandate {
    /// The organisation.
    pub organisation: OrganisationId,
    /// Who may do what, and what shows it.
    pub terms: MandateTerms,
    /// From when; none: from when the holder received the document.
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

/// What an agent said under a mandate.
#[derive(Debug)]
pub struct SaidUnder {
    /// The consents that are given or recorded under it, by id.
    pub consents: Vec<String>,
    /// Whether the organisation may have more open consents than were looked at.
    pub more: bool,
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
        // Who is named in it is erased with the organisation's last incident.
        if reads.incidents(context.agency(), "", 1, self.organisation.as_str()).await?.is_empty() {
            return Err(Rejected::WrongState("no incident is held at the organisation").into());
        }
        if self.terms.received_at > context.at {
            return Err(Rejected::invalid("evidence.received_at", "is in the future").into());
        }
        let valid_from = self.valid_from.unwrap_or(self.terms.received_at);
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

/// The mandate that evidence cites, if it cites one, lets the agent give consent for this organisation: then and now, and
/// from after the organisation's mergers: who signed before one spoke for another organisation.
pub(super) async fn check_cited(
    context: Context<'_>,
    reads: &mut Reads,
    organisation: &OrganisationId,
    evidence: &Evidence,
) -> Result<()> {
    let problem = problem_with_cited(context, reads, organisation, evidence).await?;
    problem.map_or(Ok(()), |problem| Err(Rejected::invalid("evidence.mandate_id", problem).into()))
}

/// The same of what was recorded before: it is verified only while the mandate stands.
pub(super) async fn check_still_cited(
    context: Context<'_>,
    reads: &mut Reads,
    organisation: &OrganisationId,
    evidence: &Evidence,
) -> Result<()> {
    let problem = problem_with_cited(context, reads, organisation, evidence).await?;
    let turned_away = Rejected::WrongState("it cites a mandate that does not stand any more: re-confirm it");
    problem.map_or(Ok(()), |_| Err(turned_away.into()))
}

async fn problem_with_cited(
    context: Context<'_>,
    reads: &mut Reads,
    organisation: &OrganisationId,
    evidence: &Evidence,
) -> Result<Option<&'static str>> {
    let Some(id) = &evidence.mandate else { return Ok(None) };
    let Some(mandate) = reads.mandate(context.agency(), id, context.seal()).await? else {
        return Ok(Some(Mandate::NOT_KNOWN));
    };
    let times = [evidence.received_at, context.at];
    if let Some(problem) = mandate.problem(organisation, MandatedAct::Give, times) {
        return Ok(Some(problem));
    }
    let mergers = organisations::mergers_from(reads, organisation).await?;
    let outlived = mergers.iter().any(|merger| mandate.terms.received_at <= merger.at);
    Ok(outlived.then_some("is a mandate from before the organisation's merger: only one from after it counts"))
}

impl Exchange {
    /// Ends a mandate, and says what its agent said that nobody has ended.
    pub async fn end_mandate(&self, by: By, end: EndMandate) -> Result<(Done, SaidUnder)> {
        let (agency, id) = (by.actor.agency.clone(), end.id.clone());
        let done = self.change(by, end).await?;
        Ok((done, self.said_under(agency, id).await?))
    }

    async fn said_under(&self, agency: AgencyId, id: MandateId) -> Result<SaidUnder> {
        self.read(move |node, reads| {
            Box::pin(async move {
                // Erased in between: then so is what consents cite.
                let Some(mandate) = reads.mandate(&agency, &id, &node.seal).await? else {
                    return Ok(SaidUnder { consents: Vec::new(), more: false });
                };
                let open = reads.consents_open(&agency, &mandate.organisation, MOST_READ, &node.seal).await?;
                let more = i64::try_from(open.len()).is_ok_and(|read| read >= MOST_READ);
                let cites = |version: &Consent| {
                    version.evidence.as_ref().is_some_and(|evidence| evidence.mandate.as_ref() == Some(&id))
                };
                let mut consents: Vec<_> =
                    open.into_iter().filter(cites).map(|version| version.id.to_string()).collect();
                consents.dedup();
                Ok(SaidUnder { consents, more })
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
