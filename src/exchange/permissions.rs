//! Permissions to pass on: asked, given, declined and withdrawn on the upstream agency's node; presented on the node that
//! passes on. Nodes don't talk to each other: what one says travels as a receipt.

use std::collections::BTreeSet;

use prost::Message;

use crate::domain::{
    AgencyId, Category, IncidentId, Instant, NoticeKind, Passage, Permission, PermissionId, Purpose, Rejected,
    Requester,
};
use crate::ledger::Kind;
use crate::proto::v1::PermissionStatement;
use crate::seal;
use crate::store::{AskedPermission, Reads, Write};

use super::peers::Attested;
use super::plan::{Change, Context, Plan};
use super::reading::{Page, Pages};
use super::{Error, Exchange, Result, incidents, notices};

mod standing;

use standing::standing;

/// How long a permission lasts unless it says otherwise.
const DEFAULT_DAYS: i64 = 90;

/// The most permissions that an incident keeps, and the most incidents for which one is kept.
const MOST_SHOWN: usize = 64;

/// Asks whether what was released may be passed on.
#[derive(Debug)]
pub struct AskPermission {
    /// The agency asked.
    pub upstream: AgencyId,
    /// The encoded receipt of the release.
    pub receipt: Vec<u8>,
    /// The asker's reference for it; empty for the only one.
    pub reference: String,
    /// To whom it is to be passed on.
    pub recipient: AgencyId,
    /// For which purpose.
    pub purpose: Purpose,
    /// Which categories.
    pub categories: BTreeSet<Category>,
}

/// Asks for a receipt of what was asked before.
#[derive(Debug)]
pub struct AskPermissionAgain {
    /// The permission.
    pub id: PermissionId,
    /// The purposes that the token allows.
    pub purposes: BTreeSet<Purpose>,
}

/// Permits what was asked.
#[derive(Debug)]
pub struct GivePermission {
    /// The permission.
    pub id: PermissionId,
    /// Which of the categories asked for; empty for all.
    pub categories: BTreeSet<Category>,
    /// Until when.
    pub valid_until: Option<Instant>,
}

/// Closes what was asked.
#[derive(Debug)]
pub struct DeclinePermission {
    /// The permission.
    pub id: PermissionId,
}

/// Takes a permission back.
#[derive(Debug)]
pub struct WithdrawPermission {
    /// The permission.
    pub id: PermissionId,
}

/// Shows a permission to the node that would pass on.
#[derive(Debug)]
pub struct PresentPermission {
    /// The encoded receipt.
    pub receipt: Vec<u8>,
    /// The incident that is to be passed on.
    pub incident: IncidentId,
}

/// Tells the node that would pass on of a withdrawal.
#[derive(Debug)]
pub struct PresentWithdrawal {
    /// The encoded receipt.
    pub receipt: Vec<u8>,
}

/// What was asked of an agency, for its own officers.
#[derive(Debug, Clone)]
pub struct PermissionView {
    /// What was asked, and what came of it.
    pub asked: AskedPermission,
    /// The agency's own incident, if the reference still leads to one.
    pub incident: Option<IncidentId>,
    /// The time at which it was read.
    pub at: Instant,
}

/// The statement about a permission; `categories` are those asked for, or those permitted.
///
/// Only one that is given names the release: no other is presented for a record, and an erasure takes the reference away
/// here, which the asker would see.
fn stated(asked: &AskedPermission, state: &str, categories: &BTreeSet<Category>, until: Option<Instant>) -> Vec<u8> {
    PermissionStatement {
        state: state.to_owned(),
        permission: asked.id.to_string(),
        upstream: asked.upstream.to_string(),
        holder: asked.asker.agency.to_string(),
        reference: if state == "given" { asked.passage.reference.to_string() } else { String::new() },
        recipient: asked.recipient.to_string(),
        purpose: asked.purpose.to_string(),
        categories: categories.iter().map(ToString::to_string).collect(),
        until_micros: until.map_or(0, Instant::micros),
    }
    .encode_to_vec()
}

/// What an asker is told: one answer while there is no permission, whatever the reason.
fn pending(asked: &AskedPermission) -> Vec<u8> {
    stated(asked, "pending", &asked.categories, None)
}

impl Plan for AskPermission {
    const KIND: Kind = Kind::Permission;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        context.node.turn_away_between(reads, context.actor, &self.upstream).await?;
        context.check_recipient("recipient", &self.recipient)?;
        let receipt = context.node.attested("receipt", &self.receipt)?;
        receipt.check_outcome_alone("receipt")?;
        let (released, chain) = receipt.released(context.agency(), &self.reference, "receipt")?;
        if !chain.permissions_needed(&self.recipient).contains(&self.upstream) {
            let problem = "is not an agency whose permission this takes: see the provenance of the release";
            return Err(Rejected::invalid("upstream", problem).into());
        }
        receipt.check_all_came_by(&self.upstream, "receipt")?;
        let was_released =
            |category: &Category| released.categories.iter().any(|one| one.category == category.as_str());
        if !self.categories.iter().all(was_released) {
            return Err(Rejected::invalid("categories", "were not all released").into());
        }
        // The last: what it released most recently is what this copy is of.
        let passage = chain.passages().iter().rev().find(|passage| passage.from == self.upstream);
        let passage: Passage = passage.cloned().ok_or(Error::Internal("a needed permission has no passage"))?;
        let asked = AskedPermission {
            id: PermissionId::known(seal::new_id("per")),
            upstream: self.upstream.clone(),
            asker: Requester::from(context.actor),
            passage,
            recipient: self.recipient.clone(),
            purpose: self.purpose.clone(),
            categories: self.categories.clone(),
            asked_at: context.at,
            given: None,
            declined_at: None,
            withdrawn_at: None,
        };
        let mut change = Change::new(&asked.id, 1, vec![Write::permission(&asked)?]);
        change.outcome = pending(&asked);
        change.told = vec![asked.upstream];
        Ok(change)
    }
}

impl Plan for AskPermissionAgain {
    const KIND: Kind = Kind::Permission;
    const RELEASES: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let asked = reads.permission(&self.id).await?.filter(|asked| asked.asker.agency == *context.agency());
        let asked = asked.ok_or(Rejected::NotFound("permission"))?;
        context.node.turn_away_between(reads, context.actor, &asked.upstream).await?;
        if !self.purposes.contains(&asked.purpose) {
            return Err(Error::PurposeNotInToken(asked.purpose.to_string()));
        }
        let mut stands = standing(context, reads, &asked).await?.unwrap_or_default();
        let mut change = Change::new(&asked.id, 1, Vec::new());
        change.outcome = match asked.given.as_ref().filter(|_| asked.state(context.at) == "given") {
            Some((given, until)) => {
                stands.retain(|category, _| given.contains(category));
                // No longer than what it rests on is known to last.
                let ends = stands.values().min().map(|ends| Permission::longest(context.at).min(*until).min(*ends));
                match ends {
                    Some(ends) => stated(&asked, "given", &stands.into_keys().collect(), Some(ends)),
                    None => pending(&asked),
                }
            }
            None => pending(&asked),
        };
        change.told = vec![asked.upstream];
        Ok(change)
    }
}

/// What was asked of the caller's agency.
async fn asked_of(context: Context<'_>, reads: &mut Reads, id: &PermissionId) -> Result<AskedPermission> {
    let asked = reads.permission(id).await?.filter(|asked| asked.upstream == *context.agency());
    Ok(asked.ok_or(Rejected::NotFound("permission"))?)
}

impl Plan for GivePermission {
    const KIND: Kind = Kind::Permission;
    const RELEASES: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let asked = asked_of(context, reads, &self.id).await?;
        if asked.state(context.at) != "asked" {
            return Err(Rejected::WrongState("it was given, declined or withdrawn already").into());
        }
        if !self.categories.is_subset(&asked.categories) {
            return Err(Rejected::invalid("categories", "were not all asked for").into());
        }
        let until = self.valid_until.unwrap_or_else(|| context.at.plus_days(DEFAULT_DAYS));
        if until <= context.at {
            return Err(Rejected::invalid("valid_until", "must be in the future").into());
        }
        let categories = if self.categories.is_empty() { &asked.categories } else { &self.categories };
        let stands = standing(context, reads, &asked).await?.map_err(Rejected::WrongState)?;
        if !categories.iter().any(|category| stands.contains_key(category)) {
            return Err(Rejected::WrongState("no consent in force allows any of these categories onward").into());
        }
        Ok(Change::new(&asked.id, 2, vec![Write::give_permission(&asked.id, categories, until)?]))
    }
}

impl Plan for DeclinePermission {
    const KIND: Kind = Kind::Permission;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let asked = asked_of(context, reads, &self.id).await?;
        if asked.state(context.at) != "asked" {
            return Err(Rejected::WrongState("it was given, declined or withdrawn already").into());
        }
        Ok(Change::new(&asked.id, 2, vec![Write::decline_permission(&asked.id, context.at)]))
    }
}

impl Plan for WithdrawPermission {
    const KIND: Kind = Kind::Permission;
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let asked = asked_of(context, reads, &self.id).await?;
        let Some((categories, _)) = asked.given.as_ref().filter(|_| asked.withdrawn_at.is_none()) else {
            return Err(Rejected::WrongState("it was not given, or is withdrawn already").into());
        };
        let mut change = Change::new(&asked.id, 3, vec![Write::withdraw_permission(&asked.id, context.at)]);
        change.outcome = stated(&asked, "withdrawn", categories, None);
        // Whoever had it may tell its own node.
        change.told = vec![asked.asker.agency.clone()];
        Ok(change)
    }
}

/// A permission as its receipt states it.
struct Presented {
    said: PermissionStatement,
    upstream: AgencyId,
    holder: AgencyId,
    id: PermissionId,
    receipt: Attested,
}

impl Presented {
    fn read(context: Context<'_>, encoded: &[u8], state: &str) -> Result<Self, Rejected> {
        let wrong = |problem: &str| Rejected::invalid("receipt", problem);
        let receipt = context.node.attested("receipt", encoded)?;
        let said = receipt.said.permission.clone();
        let said = said.ok_or_else(|| wrong("is not about a permission, or its outcome is not opened"))?;
        if said.state != state {
            return Err(wrong(&format!("says that the permission is `{}`, not that it is {state}", said.state)));
        }
        let agency = |text: &str| AgencyId::parse(text).map_err(|_| wrong("names no agency"));
        let (upstream, holder) = (agency(&said.upstream)?, agency(&said.holder)?);
        if !receipt.is_of(&upstream) {
            return Err(wrong("is not from the ledger of the agency whose permission it is about"));
        }
        let id = PermissionId::parse(said.permission.as_str()).map_err(|_| wrong("names no permission"))?;
        Ok(Self { said, upstream, holder, id, receipt })
    }

    /// The permission as the limits look at it. A receipt never counts for longer than an hour, whatever it says.
    fn permission(&self) -> Result<Permission, Rejected> {
        let wrong = |_| Rejected::invalid("receipt", "has a recipient, purpose or category that cannot be read");
        let categories = self.said.categories.iter().map(|text| Category::parse(text.as_str()));
        Ok(Permission {
            id: self.id.clone(),
            of: self.upstream.clone(),
            recipient: AgencyId::parse(self.said.recipient.as_str()).map_err(wrong)?,
            purpose: Purpose::parse(self.said.purpose.as_str()).map_err(wrong)?,
            categories: categories.collect::<Result<_, _>>().map_err(wrong)?,
            shown_at: self.receipt.at,
            until: Permission::longest(self.receipt.at).min(Instant::from_micros(self.said.until_micros)),
            withdrawn_at: None,
        })
    }
}

impl Plan for PresentPermission {
    const KIND: Kind = Kind::Permission;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let presented = Presented::read(context, &self.receipt, "given")?;
        let incident = incidents::own(context, reads, &self.incident).await?;
        if presented.holder != *context.agency() {
            return Err(Rejected::invalid("receipt", "is of a permission that another agency asked for").into());
        }
        let reference = crate::domain::Reference::known(presented.said.reference.as_str());
        if !incident.provenance.as_ref().is_some_and(|chain| chain.has(&presented.upstream, &reference)) {
            return Err(Rejected::invalid("receipt", "is not of a permission for this incident").into());
        }
        let mut permission = presented.permission()?;
        if permission.shown_at > context.at {
            let problem = "is from a clock that is ahead of this node's: try again in a moment";
            return Err(Rejected::invalid("receipt", problem).into());
        }
        if permission.until <= context.at {
            return Err(Rejected::invalid("receipt", "has ended: ask for the permission again").into());
        }
        let shown = reads.permission_shown(&presented.upstream, &presented.id).await?;
        if shown.withdrawn_at.is_some() {
            return Err(Rejected::WrongState("the permission was withdrawn").into());
        }
        // Its withdrawal looks at each of them while it holds the ledger's head.
        if shown.incidents.len() >= MOST_SHOWN && !shown.incidents.contains(&incident.id) {
            return Err(Rejected::WrongState("the permission is shown for as many incidents as one can be").into());
        }
        let found = reads.incidents_by_id(&[incident.id.as_str()]).await?.pop();
        let mut all = found.map(|found| found.permissions).unwrap_or_default();
        let is_same = |one: &Permission| (&one.of, &one.id) == (&permission.of, &permission.id);
        // What the upstream agency said last counts, in whatever order it comes.
        let newer = all.iter().find(|one| is_same(one) && one.shown_at > permission.shown_at).cloned();
        all.retain(|one| !is_same(one) && context.at < one.until);
        permission = newer.unwrap_or(permission);
        if all.len() >= MOST_SHOWN {
            return Err(Rejected::WrongState("as many permissions as an incident can have are shown for it").into());
        }
        all.push(permission);
        let remembered = Write::permission_shown(&presented.upstream, &presented.id, &incident.id);
        Ok(Change::new(&presented.id, 1, vec![remembered, Write::permissions(&incident.id, &all)?]))
    }
}

impl Plan for PresentWithdrawal {
    const KIND: Kind = Kind::Permission;
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let presented = Presented::read(context, &self.receipt, "withdrawn")?;
        let agency = context.agency();
        if presented.holder != *agency {
            presented.receipt.check_outcome_alone("receipt").map_err(Rejected::from)?;
        }
        let concerns =
            [&presented.holder, &presented.upstream].contains(&agency) && context.node.holds(&presented.holder);
        if !concerns {
            return Err(
                Rejected::invalid("receipt", "is of no permission between your agency and one of this node").into()
            );
        }
        let shown = reads.permission_shown(&presented.upstream, &presented.id).await?;
        let withdrawn_at = shown.withdrawn_at.unwrap_or(context.at);
        let mut writes = vec![Write::permission_withdrawn(&presented.upstream, &presented.id, withdrawn_at)];
        let incidents: Vec<&str> = shown.incidents.iter().map(IncidentId::as_str).collect();
        for found in reads.incidents_by_id(&incidents).await? {
            let mut all = found.permissions;
            for one in all.iter_mut().filter(|one| (&one.of, &one.id) == (&presented.upstream, &presented.id)) {
                one.withdrawn_at = Some(withdrawn_at);
            }
            writes.push(Write::permissions(&found.incident.id, &all)?);
        }
        let incidents: Vec<&IncidentId> = shown.incidents.iter().collect();
        let mut made = reads.disclosures_of(&incidents).await?;
        made.retain(|made| made.terms.permissions.contains(&presented.id));
        let cause = format!("permission {} {}", presented.upstream, presented.id);
        let mut change = Change::new(&presented.id, 2, writes);
        change.notices = notices::due(context, reads, NoticeKind::StopFurtherUse, &cause, made).await?;
        Ok(change)
    }
}

/// What was asked of agencies, each for its own officers.
pub(super) async fn views(reads: &mut Reads, asked: Vec<AskedPermission>, at: Instant) -> Result<Vec<PermissionView>> {
    let references = asked.iter().map(|one| one.passage.reference.as_str()).collect();
    let found = reads.incidents_by_reference(&references).await?;
    let view = |asked: AskedPermission| {
        let reference = asked.passage.reference.as_str();
        let own = found.iter().find(|key| key.found_by == reference && key.incident.holder == asked.upstream);
        PermissionView { incident: own.map(|key| key.incident.id.clone()), asked, at }
    };
    Ok(asked.into_iter().map(view).collect())
}

impl Exchange {
    /// What was asked of the agency.
    pub async fn permissions(&self, page: Page) -> Result<Pages<PermissionView>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let at = node.now(reads).await?;
                let rows = reads.permissions(&page.agency, &after, read).await?;
                let views = views(reads, rows, at).await?;
                page.turn(node, views, read, |view| view.asked.id.to_string())
            })
        })
        .await
    }
}
