//! Themes: drafted, checked against what they rest on, confirmed by a second officer, and withdrawn.
//!
//! Everything is checked under the lock: when it is drafted, again when it is confirmed, and what it rests on once more by
//! every ask (`sharing`), because incidents are erased and organisations merge.

mod fitness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message;

use crate::decision::{SharedTheme, may_list, publishing_rule};
use crate::domain::{
    Activity, AgencyId, Backing, Confirmation, Digest, Event, EventDetail, EventKind, HeldTheme, IncidentId, Instant,
    Invalid, OrganisationId, Rejected, RequestId, Requester, Theme, ThemeId, ThemeVersion,
};
use crate::ledger::Kind;
use crate::menu::MENU;
use crate::proto::v1;
use crate::release::Shared;
use crate::statistics::Rule;
use crate::store::{Reads, ThemeRow, Write};

use super::plan::{Change, Context, Plan};
use super::reading::{Page, Pages};
use super::sharing::{Item, SharingAsk, Stock};
use super::{Error, Exchange, Node, Result, statement};
use fitness::{counted, incidents, survivors, unfit};

/// The most versions of a theme: all are read for whoever looks at it.
const MOST_VERSIONS: i64 = 100;

/// Writes a theme down.
#[derive(Debug)]
pub struct DraftTheme {
    /// What it says.
    pub theme: Theme,
    /// What it rests on.
    pub incidents: Vec<IncidentId>,
}

/// Adds a version to a theme.
#[derive(Debug)]
pub struct ReviseTheme {
    /// The theme.
    pub id: ThemeId,
    /// The newest version, as the caller read it.
    pub version: i64,
    /// What it says from now on.
    pub theme: Theme,
    /// What it rests on.
    pub incidents: Vec<IncidentId>,
}

/// States that a version identifies nobody.
#[derive(Debug)]
pub struct ConfirmTheme {
    /// The theme.
    pub id: ThemeId,
    /// The version that the officer has read.
    pub version: i64,
}

/// Ends a theme.
#[derive(Debug)]
pub struct WithdrawTheme {
    /// The theme.
    pub id: ThemeId,
}

/// A theme for its holder.
#[derive(Debug)]
pub struct ThemeView {
    /// The theme.
    pub held: HeldTheme,
    /// The agencies that it was shared with.
    pub recipients: Vec<AgencyId>,
}

impl Plan for DraftTheme {
    const KIND: Kind = Kind::Theme;
    const BULK: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let id = ThemeId::known(context.seal().record_id("theme", context.call));
        let version = drafted(context, reads, 1, &self.theme, &self.incidents).await?;
        let mut writes = vec![Write::theme(&id, context.agency())];
        writes.extend(Write::theme_version(&id, &version, context.seal())?);
        Ok(Change::new(&id, 1, writes))
    }
}

impl Plan for ReviseTheme {
    const KIND: Kind = Kind::Theme;
    const BULK: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let held = own(context, reads, &self.id).await?.held;
        if held.newest() != self.version {
            return Err(Rejected::Changed.into());
        }
        not_withdrawn(&held)?;
        if held.newest() >= MOST_VERSIONS {
            return Err(Rejected::WrongState("it has as many versions as a theme can have: draft another").into());
        }
        let next = self.version + 1;
        let version = drafted(context, reads, next, &self.theme, &self.incidents).await?;
        Ok(Change::new(&self.id, next, Write::theme_version(&self.id, &version, context.seal())?))
    }
}

impl Plan for ConfirmTheme {
    const KIND: Kind = Kind::Theme;
    const BULK: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let held = own(context, reads, &self.id).await?.held;
        not_withdrawn(&held)?;
        let version = held.versions.first().filter(|newest| newest.version == self.version);
        let version = version.ok_or(Rejected::WrongState("it is not the newest version: read that one"))?;
        if version.confirmed.is_some() {
            return Err(Rejected::WrongState("the version is already confirmed").into());
        }
        if version.drafted_by == context.actor.officer {
            return Err(Rejected::SameOfficer.into());
        }
        let rule = context.node.theme_rule(reads, context.agency(), context.at).await?;
        let incidents = incidents(context, reads, version.incidents.iter()).await?;
        if let Some(unfit) = unfit(context, reads, &version.theme, &incidents, rule).await? {
            return Err(unfit.by_now().into());
        }
        let (threshold, largest_share) = (rule.threshold, rule.largest_share);
        let (by, at) = (context.actor.officer.clone(), context.at);
        let unsigned = Confirmation { by, at, threshold, largest_share, digest: Digest([0; 32]) };
        let (digest, _) = message(&held, version, &unsigned);
        let confirmed = Confirmation { digest, ..unsigned };
        let mut writes = vec![Write::theme_confirmed(&self.id, self.version, &confirmed)];
        writes.extend(tell(context, reads, &held, EventKind::ThemeRevised).await?);
        let mut change = Change::new(&self.id, self.version, writes);
        change.outcome = statement::theme(&held.holder, &self.id, self.version, digest, rule);
        Ok(change)
    }
}

impl Plan for WithdrawTheme {
    const KIND: Kind = Kind::Theme;
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let held = own(context, reads, &self.id).await?.held;
        not_withdrawn(&held)?;
        let mut writes = vec![Write::theme_withdrawn(&self.id, context.at, &context.actor.officer)];
        writes.extend(tell(context, reads, &held, EventKind::ThemeWithdrawn).await?);
        Ok(Change::new(&self.id, held.newest(), writes))
    }
}

async fn own(context: Context<'_>, reads: &mut Reads, id: &ThemeId) -> Result<ThemeRow> {
    let found = reads.theme_now(context.agency(), id, context.seal()).await?;
    Ok(found.ok_or(Rejected::NotFound("theme"))?)
}

fn not_withdrawn(held: &HeldTheme) -> Result<(), Rejected> {
    let withdrawn = "the theme was withdrawn, which is for good: draft another";
    if held.withdrawn.is_some() { Err(Rejected::WrongState(withdrawn)) } else { Ok(()) }
}

/// A version, if it may be written down.
async fn drafted(
    context: Context<'_>,
    reads: &mut Reads,
    version: i64,
    theme: &Theme,
    ids: &[IncidentId],
) -> Result<ThemeVersion> {
    let rule = context.node.theme_rule(reads, context.agency(), context.at).await?;
    let checked = check_sectors(theme).and_then(|()| theme.check(context.at));
    checked.map_err(|problem| Rejected::Invalid(problem.within("theme")))?;
    let rests_on: BTreeSet<IncidentId> = ids.iter().cloned().collect();
    let found = incidents(context, reads, rests_on.iter()).await?;
    let is_found = |id: &IncidentId| found.iter().any(|incident| incident.id == *id);
    if let Some(place) = ids.iter().position(|id| !is_found(id)) {
        let problem = "is not an incident that your agency holds";
        return Err(Rejected::invalid(format!("incident_ids[{place}]"), problem).into());
    }
    if let Some(unfit) = unfit(context, reads, theme, &found, rule).await? {
        return Err(unfit.in_request(ids, rule).into());
    }
    Ok(ThemeVersion {
        version,
        theme: theme.clone(),
        incidents: rests_on,
        drafted_by: context.actor.officer.clone(),
        drafted_at: context.at,
        confirmed: None,
    })
}

/// Sectors are the statistics' own: another word could name somebody.
fn check_sectors(theme: &Theme) -> Result<(), Invalid> {
    let Some(axis) = MENU.axes().iter().find(|axis| axis.id == "sector") else { return Ok(()) };
    let all: Vec<&str> = axis.values.iter().map(|(id, _)| id.as_str()).collect();
    let unknown = theme.sectors.iter().find(|sector| !all.contains(&sector.as_str()));
    let problem = |sector| Invalid::new("sectors", format!("`{sector}` is not a sector: one of {}", all.join(", ")));
    unknown.map_or(Ok(()), |sector| Err(problem(sector)))
}

/// Tells the agencies that a theme was shared with. That there is a new version, only those with which it still may be.
async fn tell(context: Context<'_>, reads: &mut Reads, held: &HeldTheme, kind: EventKind) -> Result<Vec<Write>> {
    let agreements = context.node.in_force(reads).await?;
    let agreements: Vec<_> = agreements.iter().map(Arc::as_ref).collect();
    let mut writes = Vec::new();
    for agency in reads.theme_recipients(&held.id).await? {
        let may_have = may_list(Activity::ShareThemes, &held.holder, &agency, &agreements, context.at);
        if may_have || kind == EventKind::ThemeWithdrawn {
            writes.push(Write::event(&Event {
                id: kind.id(&[held.id.as_str(), &held.newest().to_string(), agency.as_str()]),
                agency,
                kind,
                at: context.at,
                object: held.id.to_string(),
                detail: EventDetail::with(&held.holder),
            })?);
        }
    }
    Ok(writes)
}

/// A theme's words as the contract writes them.
pub(crate) fn content(theme: &Theme) -> v1::ThemeContent {
    v1::ThemeContent {
        title: theme.title.clone(),
        sectors: theme.sectors.iter().map(ToString::to_string).collect(),
        techniques: theme.techniques.iter().map(ToString::to_string).collect(),
        from_quarter: theme.from.to_string(),
        to_quarter: theme.to.to_string(),
        text: theme.text.clone(),
    }
}

/// A confirmed version as recipients get it, with its digest.
///
/// INVARIANT: the same arguments give the same bytes, in this version and in every later one: the digest is in the
/// ledger.
fn message(held: &HeldTheme, version: &ThemeVersion, confirmed: &Confirmation) -> (Digest, v1::Theme) {
    let Confirmation { threshold, largest_share, at, .. } = confirmed;
    let theme = v1::Theme {
        holder: held.holder.to_string(),
        id: held.id.to_string(),
        version: version.version,
        content: Some(content(&version.theme)),
        backing: format!(
            "It rests on incidents at no fewer than {threshold} organisations, none of which has more than one part in \
             {largest_share} of them."
        ),
        confirmed_at: Some(statement::timestamp(*at)),
    };
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, &theme.encode_to_vec()).as_ref());
    (Digest(sum), theme)
}

/// A theme that was confirmed, as asks are decided on it.
#[derive(Clone)]
pub(super) struct Confirmed {
    /// Whose it is.
    pub(super) holder: AgencyId,
    /// What the decision reads.
    pub(super) shared: SharedTheme,
    /// What would be shared.
    pub(super) content: (Digest, Shared),
}

/// Those of the themes that were confirmed. What one rests on is counted anew.
pub(super) async fn confirmed(
    node: &Node,
    reads: &mut Reads,
    ids: &BTreeSet<&ThemeId>,
) -> Result<BTreeMap<ThemeId, Result<Confirmed>>> {
    let rows = reads.confirmed_themes(ids, &node.seal).await?;
    let each: Vec<OrganisationId> = rows.iter().flat_map(|row| row.organisations.values().flatten()).cloned().collect();
    let survivors = survivors(reads, &each).await?;
    let confirmed = |row: ThemeRow| {
        let (version, confirmed) = row.held.confirmed()?;
        let each = row.organisations.get(&version.version).map(Vec::as_slice).unwrap_or_default();
        Some((row.held.id.clone(), as_shared(&row.held, version, confirmed, counted(each, &survivors))))
    };
    Ok(rows.into_iter().filter_map(confirmed).collect())
}

fn as_shared(
    held: &HeldTheme,
    version: &ThemeVersion,
    confirmed: &Confirmation,
    backing: Backing,
) -> Result<Confirmed> {
    let (digest, theme) = message(held, version, confirmed);
    if digest != confirmed.digest {
        return Err(Error::Internal("a theme is not what was confirmed"));
    }
    let shared = SharedTheme {
        version: version.version,
        digest,
        period_end: version.theme.to.end(),
        drafted_by: version.drafted_by.clone(),
        confirmed_by: confirmed.by.clone(),
        confirmed_at: confirmed.at,
        withdrawn_at: held.withdrawn.as_ref().map(|(at, _)| *at),
        backing,
        threshold: confirmed.threshold,
        largest_share: confirmed.largest_share,
    };
    Ok(Confirmed { holder: held.holder.clone(), shared, content: (digest, Shared::Theme(Box::new(theme))) })
}

impl Node {
    async fn theme_rule(&self, reads: &mut Reads, holder: &AgencyId, at: Instant) -> Result<Rule> {
        let agreements = self.in_force(reads).await?;
        let agreements: Vec<_> = agreements.iter().map(Arc::as_ref).collect();
        let none = "no agreement in force lets your agency share themes: an operator activates one first";
        Ok(publishing_rule(Activity::ShareThemes, holder, &agreements, at).ok_or(Rejected::WrongState(none))?)
    }
}

impl Exchange {
    /// One of the agency's own themes.
    pub async fn theme(&self, agency: AgencyId, id: ThemeId) -> Result<ThemeView> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let found = reads.theme(&agency, &id, &node.seal).await?.ok_or(Rejected::NotFound("theme"))?;
                let recipients = reads.theme_recipients(&id).await?;
                Ok(ThemeView { held: found.held, recipients })
            })
        })
        .await
    }

    /// A version of one of the agency's own themes as recipients got it from its confirmation on.
    pub async fn confirmed_theme(&self, agency: AgencyId, id: ThemeId, version: i64) -> Result<(Digest, v1::Theme)> {
        let held = self.theme(agency, id).await?.held;
        let found = held.versions.iter().find(|one| one.version == version);
        let confirmed = found.and_then(|version| Some((version, version.confirmed.as_ref()?)));
        let (version, confirmed) = confirmed.ok_or(Error::Internal("a theme was confirmed and is not"))?;
        Ok(message(&held, version, confirmed))
    }

    /// A holder's themes: one's own in every state, another's as far as the gate would share them now.
    pub async fn themes(&self, page: Page, holder: AgencyId) -> Result<Pages<HeldTheme>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read, now) = (page.after(node)?, page.rows()?, node.now(reads).await?);
                let agreements = node.in_force(reads).await?;
                let agreements: Vec<_> = agreements.iter().map(Arc::as_ref).collect();
                if !may_list(Activity::ShareThemes, &holder, &page.agency, &agreements, now) {
                    return Err(Rejected::NotFound("holder whose themes you may have").into());
                }
                let rows = if holder == page.agency {
                    reads.themes(&holder, &after, read, &node.seal).await?
                } else {
                    shared_with(node, reads, &holder, &page.agency, after, read, now).await?
                };
                let (rows, next) = page.turn(node, rows, read, |row| row.held.id.to_string())?;
                Ok((rows.into_iter().map(|row| row.held).collect(), next))
            })
        })
        .await
    }
}

/// A holder's themes after an id that the gate would share with an agency now, so many of them as are wanted.
///
/// How many others there are shows in nothing: a page is full, or it is the last.
async fn shared_with(
    node: &Node,
    reads: &mut Reads,
    holder: &AgencyId,
    agency: &AgencyId,
    mut after: String,
    wanted: i64,
    now: Instant,
) -> Result<Vec<ThemeRow>> {
    let requester = Requester::anyone_of(agency.clone());
    let most = usize::try_from(wanted).unwrap_or_default();
    let mut permitted = Vec::new();
    loop {
        let ids = reads.shareable_themes(holder, &after, wanted).await?;
        let Some(last) = ids.last() else { break };
        after = last.to_string();
        let ask = |id: &ThemeId| SharingAsk { holder: holder.clone(), item: Item::Theme(id.clone()) };
        let asks: Vec<SharingAsk> = ids.iter().map(ask).collect();
        let stock = Stock::read(node, reads, asks.iter()).await?;
        for (id, ask) in ids.iter().zip(&asks) {
            if stock.asked(requester.clone(), RequestId::known("-"), ask, now)?.is_permitted() {
                permitted.push(id.clone());
            }
        }
        if permitted.len() >= most || ids.len() < most {
            break;
        }
    }
    permitted.truncate(most);
    reads.confirmed_themes(&permitted.iter().collect(), &node.seal).await.map_err(Error::from)
}
