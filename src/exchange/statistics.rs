//! What counts in the statistics, and publishing them.
//!
//! A quarter's incidents are counted outside the lock, a million of them take a while; what came of it is committed under
//! it, once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::decision::{may_anonymise, may_list, publishing_rule};
use crate::domain::{Activity, AgencyId, Incident, Instant, Quarter, Rejected};
use crate::ledger::Kind;
use crate::menu::MENU;
use crate::seal::StatisticsKey;
use crate::statistics::{Contribution, Coordinates, Rule, Secret, publish};
use crate::store::{PublicationRow, Reads, Write};

use super::anonymised::{Counted, let_out};
use super::incidents::Content;
use super::plan::{By, Change, Context, Done, Plan};
use super::reading::{Page, Pages};
use super::tables::Tables;
use super::{Error, Exchange, Node, Result, statement};

/// How long after its end a quarter may be published: no clock is so wrong that another replica still registers in it.
const SETTLES_SECONDS: i64 = 3_600;

fn coordinates(categories: &Content) -> Coordinates {
    // Each category is an encoded field, so any of them put together are an `IncidentContent`.
    MENU.coordinates(&categories.iter().flat_map(|(_, field)| field.as_slice()).copied().collect::<Vec<u8>>())
}

/// Lets a new incident count in the quarter of its registration.
pub(super) fn counted(context: Context<'_>, incident: &Incident, categories: &Content) -> Result<Write> {
    let quarter = Quarter::of(context.at);
    Ok(Write::statistic(incident, quarter, coordinates(categories), context.seal())?)
}

/// Lets an amended incident count by its new content, until the quarter in which it counts has ended.
///
/// Not until it is published: a quarter is counted outside the lock, and what was counted must be what stands there
/// when its tables and its records come out.
pub(super) async fn amended(
    context: Context<'_>,
    reads: &mut Reads,
    incident: &Incident,
    categories: &Content,
) -> Result<Option<Write>> {
    Ok(match reads.counts_in(&incident.id).await?.filter(|quarter| context.at < quarter.end()) {
        Some(quarter) => Some(Write::moved_statistic(&incident.id, quarter, coordinates(categories), context.seal())?),
        None => None,
    })
}

/// A quarter as it would be published.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The rule.
    pub rule: Rule,
    /// The tables.
    pub tables: Tables,
    /// The looks in which anonymised records come out.
    pub(super) looks: BTreeSet<String>,
}

/// Publishes a quarter.
#[derive(Debug)]
struct PublishStatistics {
    quarter: Quarter,
    /// None: it was published before it could be counted.
    prepared: Option<Prepared>,
}

impl Plan for PublishStatistics {
    const KIND: Kind = Kind::Publication;
    const BULK: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let (holder, quarter) = (context.agency(), self.quarter);
        if reads.publication(holder, quarter).await?.is_some() {
            return Err(Rejected::WrongState("the quarter is published already and is never computed again").into());
        }
        let Some(Prepared { rule, tables, looks }) = &self.prepared else {
            return Err(Error::Internal("a publication was there and is not any more"));
        };
        if context.node.publishing_rule(reads, holder, context.at).await? != *rule {
            return Err(Rejected::WrongState("the agreements in force have changed meanwhile: try again").into());
        }
        let row = PublicationRow {
            holder: holder.clone(),
            quarter,
            published_at: context.at,
            rule: *rule,
            digest: tables.digest(),
            tables: tables.encoded(),
        };
        let mut writes = vec![Write::publication(&row)?];
        writes.extend(looks.iter().map(|look| Write::look(look, holder, quarter)));
        let mut change = Change::new(&format!("{holder}/{quarter}"), 1, writes);
        change.outcome = statement::publication(holder, quarter, *rule, tables);
        Ok(change)
    }
}

/// The node's secret, as the noise is drawn from it.
struct Noise<'a>(&'a StatisticsKey);

impl Secret for Noise<'_> {
    fn draw(&self, message: &[u8]) -> [u8; 16] {
        self.0.draw(message)
    }
}

impl Node {
    async fn publishing_rule(&self, reads: &mut Reads, holder: &AgencyId, at: Instant) -> Result<Rule> {
        let agreements = self.in_force(reads).await?;
        let agreements: Vec<_> = agreements.iter().map(Arc::as_ref).collect();
        let none = "no agreement in force lets your agency share statistics: an operator activates one first";
        Ok(publishing_rule(Activity::ShareStatistics, holder, &agreements, at).ok_or(Rejected::WrongState(none))?)
    }

    /// Whether anonymised records of the holder's come out at all: otherwise none are worked out.
    async fn anonymises(&self, reads: &mut Reads, holder: &AgencyId, at: Instant) -> Result<bool> {
        let agreements = self.in_force(reads).await?;
        Ok(may_anonymise(holder, &agreements.iter().map(Arc::as_ref).collect::<Vec<_>>(), at))
    }

    /// What every incident of a quarter contributes. An organisation has the number and the key that `organisations` gives
    /// it.
    async fn contributions(
        &self,
        reads: &mut Reads,
        holder: &AgencyId,
        quarter: Quarter,
        organisations: &mut HashMap<String, (u32, u64)>,
    ) -> Result<Vec<Contribution>> {
        let mut contributions = Vec::new();
        let mut after = String::new();
        loop {
            let page = reads.standings(holder, quarter, &after, &self.seal).await?;
            let Some(last) = page.last() else { return Ok(contributions) };
            after = last.incident.to_string();
            for standing in page {
                let next = u32::try_from(organisations.len()).map_err(|_| Error::Internal("too many organisations"))?;
                let known = organisations.entry(standing.organisation.to_string());
                let (organisation, key) =
                    *known.or_insert_with_key(|organisation| (next, self.seal.statistics().number_of(organisation)));
                let coordinates = standing.coordinates;
                contributions.push(Contribution { organisation, key, coordinates, incidents: 1 });
            }
        }
    }
}

impl Exchange {
    /// The tables of a quarter as they would be published now; none if it is published. Nothing is written.
    pub async fn prepare_statistics(&self, holder: &AgencyId, quarter: Quarter) -> Result<Option<Prepared>> {
        let _one_at_a_time = self.counting.lock().await;
        let agency = holder.clone();
        let counted = self.read(move |node, reads| {
            Box::pin(async move {
                if reads.publication(&agency, quarter).await?.is_some() {
                    return Ok(None);
                }
                let now = node.now(reads).await?;
                if now < quarter.end().plus_seconds(SETTLES_SECONDS) {
                    let problem = "the quarter is not over: publish it an hour after its end at the earliest";
                    return Err(Rejected::WrongState(problem).into());
                }
                let rule = node.publishing_rule(reads, &agency, now).await?;
                let mut organisations = HashMap::new();
                let mut before = Vec::new();
                let anonymises = node.anonymises(reads, &agency, now).await?;
                for quarter in quarter.completes().into_iter().filter(|_| anonymises) {
                    if reads.publication(&agency, quarter).await?.is_some() {
                        let contributions = node.contributions(reads, &agency, quarter, &mut organisations).await?;
                        let looks = reads.looks_of(&agency, quarter).await?;
                        before.push(Counted { quarter, contributions, looks });
                    } else if !reads.standings(&agency, quarter, "", &node.seal).await?.is_empty() {
                        // What is counted later was not counted among the year's, and would come out as if it had been.
                        let problem = "an earlier quarter of the year is not published: publish that first";
                        return Err(Rejected::WrongState(problem).into());
                    }
                }
                let contributions = node.contributions(reads, &agency, quarter, &mut organisations).await?;
                Ok(Some((rule, contributions, anonymises.then_some(before))))
            })
        });
        let Some((rule, contributions, before)) = counted.await? else { return Ok(None) };
        let (node, holder) = (Arc::clone(&self.node), holder.clone());
        let computed = tokio::task::spawn_blocking(move || {
            let secret = Noise(node.seal.statistics());
            let counted = contributions.iter().copied();
            let published = publish(MENU.menu(), &rule, &quarter.to_string(), &secret, counted);
            let published = published.map_err(|_| Error::Internal("an incident stands where the menu has no value"))?;
            let let_out = |before| let_out(&node.seal, &holder, &rule, (quarter, contributions), before);
            let looks = before.map(let_out).unwrap_or_default();
            Ok(Some(Prepared { rule, tables: Tables::new(&holder, quarter, &rule, &published), looks }))
        });
        computed.await.unwrap_or(Err(Error::Internal("counting was stopped by a panic")))
    }

    /// Publishes a quarter of the caller's agency, once.
    ///
    /// When this returns, the tables and the entry that states their digests are durable.
    pub async fn publish_statistics(&self, by: By, quarter: Quarter) -> Result<Done> {
        let prepared = self.prepare_statistics(&by.actor.agency, quarter).await?;
        self.change(by, PublishStatistics { quarter, prepared }).await
    }

    /// What a holder published for a quarter.
    pub async fn publication(&self, holder: AgencyId, quarter: Quarter) -> Result<PublicationRow> {
        self.read(move |_, reads| {
            Box::pin(async move {
                let found = reads.publication(&holder, quarter).await?;
                Ok(found.ok_or(Rejected::NotFound("publication"))?)
            })
        })
        .await
    }

    /// What a holder published, for an agency that may know which quarters there are.
    pub async fn publications(&self, page: Page, holder: AgencyId) -> Result<Pages<PublicationRow>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read, now) = (page.after(node)?, page.rows()?, node.now(reads).await?);
                let agreements = node.in_force(reads).await?;
                let agreements: Vec<_> = agreements.iter().map(Arc::as_ref).collect();
                if !may_list(Activity::ShareStatistics, &holder, &page.agency, &agreements, now) {
                    return Err(Rejected::NotFound("holder whose statistics you may have").into());
                }
                let rows = reads.publications(&holder, &after, read).await?;
                page.turn(node, rows, read, |row| row.quarter.to_string())
            })
        })
        .await
    }
}
