//! Putting a wrongful release right: stop more of the same, call back, follow what comes of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    AgencyId, Consent, ConsentId, ConsentState, Disclosure, DisclosureId, Event, EventDetail, EventKind, Frozen,
    IncidentId, Instant, Notice, NoticeKind, Rejected, WrongfulRelease, WrongfulReleaseId,
};
use crate::ledger::Kind;
use crate::seal;
use crate::store::{Reads, Write};

use super::notices::NoticeView;
use super::permissions::{self, PermissionView};
use super::plan::{Change, Context, Plan};
use super::reading::{Page, Pages};
use super::{Exchange, Result, disclosures, notices, owed, statement};

/// The cause of one that comes of a consent by itself.
const IN_ERROR: &str = "consent-entered-in-error";

/// The cause of one of which no more is known.
const OTHER: &str = "other";

/// What was released wrongly.
#[derive(Debug)]
pub enum Wrongful {
    /// All that relied on a consent.
    Consent(ConsentId),
    /// These.
    Named {
        /// The entries of releases.
        indexes: BTreeSet<u64>,
        /// Disclosures made elsewhere.
        disclosures: BTreeSet<DisclosureId>,
    },
}

/// Reports a wrongful release.
#[derive(Debug)]
pub struct ReportWrongfulRelease {
    /// What it came of.
    pub cause: String,
    /// What was released.
    pub about: Wrongful,
    /// When the holder became aware; none: now.
    pub aware_at: Option<Instant>,
}

/// Closes a wrongful release.
#[derive(Debug)]
pub struct CloseWrongfulRelease {
    /// Which.
    pub id: WrongfulReleaseId,
    /// Why, where a recall is outstanding; otherwise it may be empty.
    pub reason: String,
    /// Whether the incidents may be released to those recipients again.
    pub lift: bool,
}

/// A wrongful release with every copy that is known of.
#[derive(Debug)]
pub struct WrongfulView {
    /// The wrongful release.
    pub wrongful: WrongfulRelease,
    /// Each disclosure of its incidents.
    pub copies: Vec<Copy>,
}

/// A disclosure of an incident that was disclosed wrongly, and where more copies of it may be.
#[derive(Debug)]
pub struct Copy {
    /// The disclosure.
    pub made: Disclosure,
    /// Every notice about it, with what its recipient said.
    pub notices: Vec<NoticeView>,
    /// What the holder permitted to be passed on of it, whether that still stands or not.
    pub permitted: Vec<PermissionView>,
}

/// Opens a wrongful release as a part of a change; does nothing where all of it was recalled before.
pub(super) async fn open(
    context: Context<'_>,
    reads: &mut Reads,
    cause: &str,
    aware_at: Instant,
    about: Vec<Disclosure>,
    change: &mut Change,
) -> Result<Option<WrongfulReleaseId>> {
    let about = not_recalled(reads, about).await?;
    if about.is_empty() {
        return Ok(None);
    }
    let wrongful = WrongfulRelease {
        id: WrongfulReleaseId::known(seal::new_id_at("wrg", context.at)),
        holder: context.agency().clone(),
        cause: cause.to_owned(),
        reported_by: context.actor.officer.clone(),
        reported_at: context.at,
        aware_at,
        closed_at: None,
        lifted_at: None,
        reason: String::new(),
        about,
    };
    change.writes.extend(Write::wrongful_release(&wrongful));
    change.writes.push(freeze(reads, &wrongful, context.at).await?);
    let kind = EventKind::WrongfulRelease;
    change.writes.push(Write::event(&Event {
        id: kind.id(&[wrongful.id.as_str()]),
        agency: wrongful.holder.clone(),
        kind,
        at: context.at,
        object: wrongful.id.to_string(),
        detail: EventDetail { ends_at: Some(wrongful.breach_due_at()), ..EventDetail::default() },
    })?);
    let (cause, about) = (WrongfulRelease::cause_of(&wrongful.id), wrongful.about.clone());
    change.notices.extend(notices::due(context, reads, NoticeKind::Recall, &cause, about).await?);
    change.outcome = statement::wrongful_release(&wrongful, false, false);
    Ok(Some(wrongful.id))
}

/// Those that no recall was issued for, or only one whose freeze has been lifted: then the same was released anew.
async fn not_recalled(reads: &mut Reads, about: Vec<Disclosure>) -> Result<Vec<Disclosure>> {
    let incidents: BTreeSet<&IncidentId> = about.iter().map(|made| &made.incident).collect();
    let incidents: Vec<&IncidentId> = incidents.into_iter().collect();
    let mut recalls = reads.notices_of(&incidents).await?;
    recalls.retain(|notice| notice.kind == NoticeKind::Recall);
    let standing = standing(reads, &incidents).await?;
    recalls.retain(|notice| standing.contains(&notice.cause));
    let recalled: BTreeSet<_> = recalls.iter().map(|notice| (&notice.about.incident, &notice.about.id)).collect();
    let mut unique = BTreeSet::new();
    let not_recalled = about
        .iter()
        .filter(|made| !recalled.contains(&(&made.incident, &made.id)) && unique.insert((&made.incident, &made.id)));
    Ok(not_recalled.cloned().collect())
}

/// The causes of recalls whose freeze has not been lifted from any of these incidents.
pub(super) async fn standing(reads: &mut Reads, incidents: &[&IncidentId]) -> Result<BTreeSet<String>> {
    let frozen = reads.frozen(incidents).await?.into_values().flat_map(BTreeMap::into_values);
    Ok(frozen.flat_map(BTreeMap::into_keys).map(|id| WrongfulRelease::cause_of(&id)).collect())
}

/// Lets its incidents be released to its recipients no more; decisions read that with the incidents.
async fn freeze(reads: &mut Reads, wrongful: &WrongfulRelease, at: Instant) -> Result<Write> {
    let pairs = wrongful.freezes();
    let mut all = frozen(reads, &pairs).await?;
    for (incident, recipient) in pairs {
        all.entry(incident).or_default().entry(recipient).or_default().insert(wrongful.id.clone(), at);
    }
    Ok(Write::frozen(&all)?)
}

/// The same again, as far as nothing else forbids it.
async fn lift(reads: &mut Reads, wrongful: &WrongfulRelease) -> Result<Write> {
    let mut all = frozen(reads, &wrongful.freezes()).await?;
    for frozen in all.values_mut() {
        for by in frozen.values_mut() {
            by.remove(&wrongful.id);
        }
        frozen.retain(|_, by| !by.is_empty());
    }
    Ok(Write::frozen(&all)?)
}

/// What stands on these incidents, whomever it keeps them from.
async fn frozen(reads: &mut Reads, pairs: &BTreeSet<(IncidentId, AgencyId)>) -> Result<BTreeMap<IncidentId, Frozen>> {
    let incidents: BTreeSet<&IncidentId> = pairs.iter().map(|(incident, _)| incident).collect();
    Ok(reads.frozen(&incidents.into_iter().collect::<Vec<_>>()).await?)
}

impl Wrongful {
    /// What it names, of the caller's own agency's.
    async fn disclosures(&self, context: Context<'_>, reads: &mut Reads, cause: &str) -> Result<Vec<Disclosure>> {
        let (indexes, elsewhere) = match self {
            Self::Consent(id) => {
                let versions = reads.consent(context.agency(), id, context.seal()).await?;
                let newest = versions.first().ok_or(Rejected::NotFound("consent"))?;
                let mut made = reads.disclosures_on(&newest.id).await?;
                if cause == IN_ERROR {
                    // What relied on what was said since was given.
                    made.retain(|made| relied_on_error(&versions, made));
                }
                return Ok(made);
            }
            Self::Named { indexes, disclosures } => (indexes, disclosures),
        };
        let mut found = disclosures::released_at(context, reads, indexes).await?;
        let ids: Vec<DisclosureId> = elsewhere.iter().cloned().collect();
        let recorded = reads.disclosures_elsewhere(&ids).await?;
        let own = recorded.into_iter().filter(|made| made.holder == *context.agency());
        let before = found.len();
        found.extend(own);
        if found.len() - before != ids.len() {
            return Err(Rejected::NotFound("disclosure").into());
        }
        Ok(found)
    }
}

impl ReportWrongfulRelease {
    /// A consent that was never given must permit nothing before anything of it is called back: otherwise the next incident
    /// would go out under it.
    async fn check_in_error(&self, context: Context<'_>, reads: &mut Reads, about: &[Disclosure]) -> Result<()> {
        let mut relied: BTreeSet<&ConsentId> =
            about.iter().filter_map(|made| made.terms.consent.as_ref()).map(|(id, _)| id).collect();
        if let Wrongful::Consent(id) = &self.about {
            relied.insert(id);
        }
        for id in relied {
            let versions = reads.consent(context.agency(), id, context.seal()).await?;
            let is_marked = versions.iter().any(|version| version.state == ConsentState::EnteredInError);
            let on_it = |made: &&Disclosure| made.terms.consent.as_ref().is_some_and(|(relied, _)| relied == id);
            if !is_marked || !about.iter().filter(on_it).all(|made| relied_on_error(&versions, made)) {
                let problem = "the consent still stands: mark it as entered in error, which opens this by itself";
                return Err(Rejected::WrongState(problem).into());
            }
        }
        Ok(())
    }
}

/// Whether a disclosure relied on a version of a consent that was entered in error, whatever the organisation said since.
fn relied_on_error(versions: &[Consent], made: &Disclosure) -> bool {
    let relied = made.terms.consent.as_ref().and_then(|(_, on)| versions.iter().find(|one| one.version == *on));
    relied.is_some_and(|version| version.state == ConsentState::EnteredInError)
}

impl Plan for ReportWrongfulRelease {
    const KIND: Kind = Kind::WrongfulRelease;
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let aware_at = self.aware_at.unwrap_or(context.at);
        if aware_at > context.at {
            return Err(Rejected::invalid("aware_at", "is in the future").into());
        }
        let about = self.about.disclosures(context, reads, &self.cause).await?;
        if self.cause == IN_ERROR {
            self.check_in_error(context, reads, &about).await?;
        }
        if about.is_empty() {
            return Err(Rejected::WrongState("nothing of an incident was released in reliance on it").into());
        }
        let mut change = Change::new(&"-", 1, Vec::new());
        let opened = open(context, reads, &self.cause, aware_at, about, &mut change).await?;
        let opened = opened.ok_or(Rejected::WrongState("all of it is recalled already"))?;
        Ok(Change { object: opened.to_string(), ..change })
    }
}

/// Opens one for all that relied on a consent that was never given.
pub(super) async fn entered_in_error(
    context: Context<'_>,
    reads: &mut Reads,
    consent: &Consent,
    change: &mut Change,
) -> Result<()> {
    let made = reads.disclosures_on(&consent.id).await?;
    in_error(context, reads, made, change).await
}

/// Opens one for what relied on such a consent.
pub(super) async fn in_error(
    context: Context<'_>,
    reads: &mut Reads,
    made: Vec<Disclosure>,
    change: &mut Change,
) -> Result<()> {
    open(context, reads, IN_ERROR, context.at, made, change).await.map(drop)
}

/// Opens one for what an officer writes down of an incident that is not released to that recipient for now: it is out as
/// wrongly as the rest, of the same cause.
pub(super) async fn written_down_late(
    context: Context<'_>,
    reads: &mut Reads,
    made: &Disclosure,
    change: &mut Change,
) -> Result<()> {
    let mut frozen = reads.frozen(&[&made.incident]).await?.remove(&made.incident).unwrap_or_default();
    let by = frozen.remove(&made.recipient).unwrap_or_default();
    let Some((first, _)) = by.first_key_value() else { return Ok(()) };
    let standing = reads.wrongful_release(&made.holder, first, context.seal()).await?;
    let cause = standing.map_or_else(|| OTHER.to_owned(), |standing| standing.cause);
    open(context, reads, &cause, context.at, vec![made.clone()], change).await.map(drop)
}

impl Plan for CloseWrongfulRelease {
    const KIND: Kind = Kind::WrongfulRelease;
    // What is made up at a lift is looked at copy by copy.
    const BULK: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let present = reads.wrongful_release(context.agency(), &self.id, context.seal()).await?;
        let present = present.ok_or(Rejected::NotFound("wrongful release"))?;
        if present.lifted_at.is_some() || (present.closed_at.is_some() && !self.lift) {
            return Err(Rejected::WrongState("it is closed already").into());
        }
        let recalls = recalls(context.node, reads, &present).await?;
        let outstanding = recalls.iter().any(|notice| notice.acknowledged.is_empty());
        if outstanding && self.reason.is_empty() && present.closed_at.is_none() {
            let problem = "is required: not every recall has been acknowledged";
            return Err(Rejected::invalid("reason", problem).into());
        }
        let reason = if self.reason.is_empty() { present.reason.clone() } else { self.reason.clone() };
        let closed = WrongfulRelease {
            closed_at: present.closed_at.or(Some(context.at)),
            lifted_at: self.lift.then_some(context.at),
            reason,
            ..present
        };
        let mut writes = vec![Write::close_wrongful_release(&closed, context.seal())?];
        // Whether the breach must be notified is not settled by closing: until then the event ends by acknowledging it.
        if closed.breach_due_at() <= context.at {
            writes.push(Write::drop_events(closed.id.as_str()));
        }
        let mut change = Change::new(&closed.id, 2, writes);
        if self.lift {
            change.writes.push(lift(reads, &closed).await?);
            change.notices = made_up(context, reads, &closed, &recalls).await?;
        }
        change.outcome = statement::wrongful_release(&closed, self.lift, true);
        Ok(change)
    }
}

/// What was not said of its copies while they were called back, and is due now that they are not any more; of those that
/// are returned or deleted there is nothing to say.
async fn made_up(
    context: Context<'_>,
    reads: &mut Reads,
    lifted: &WrongfulRelease,
    recalls: &[Notice],
) -> Result<Vec<Notice>> {
    let is_gone = |made: &Disclosure| {
        let about = |one: &&Notice| (&one.about.incident, &one.about.id) == (&made.incident, &made.id);
        recalls.iter().filter(about).any(Notice::is_gone)
    };
    let made = lifted.about.iter().filter(|made| !is_gone(made)).cloned().collect();
    let cause = WrongfulRelease::cause_of(&lifted.id);
    owed::by_now(context, reads, made, &|notice| notice.cause == cause).await
}

/// The recalls that it gave rise to, with what their recipients said.
async fn recalls(node: &super::Node, reads: &mut Reads, wrongful: &WrongfulRelease) -> Result<Vec<Notice>> {
    let incidents: Vec<&IncidentId> = wrongful.about.iter().map(|made| &made.incident).collect();
    let mut issued = reads.notices_of(&incidents).await?;
    let cause = WrongfulRelease::cause_of(&wrongful.id);
    issued.retain(|notice| notice.cause == cause);
    Ok(reads.with_what_was_said(issued, &node.seal).await?)
}

impl Copy {
    fn of(made: Disclosure, notices: &[Notice], permitted: &[PermissionView], at: Instant) -> Self {
        let about = notices.iter().filter(|one| (&one.about.incident, &one.about.id) == (&made.incident, &made.id));
        let notices = about.map(|one| NoticeView { overdue: one.is_overdue(at), notice: one.clone() }).collect();
        let of_it = |view: &&PermissionView| {
            view.asked.upstream == made.holder && Some(&view.asked.passage.reference) == made.terms.reference.as_ref()
        };
        let permitted = permitted.iter().filter(of_it).cloned().collect();
        Self { made, notices, permitted }
    }
}

impl Exchange {
    /// One of the agency's own wrongful releases, with every copy that is known of.
    pub async fn wrongful_release(&self, agency: AgencyId, id: WrongfulReleaseId) -> Result<WrongfulView> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let found = reads.wrongful_release(&agency, &id, &node.seal).await?;
                let wrongful = found.ok_or(Rejected::NotFound("wrongful release"))?;
                let at = node.now(reads).await?;
                let incidents: Vec<&IncidentId> = wrongful.about.iter().map(|made| &made.incident).collect();
                let made = reads.disclosures_of(&incidents).await?;
                let issued = reads.notices_of(&incidents).await?;
                let notices = reads.with_what_was_said(issued, &node.seal).await?;
                let references: Vec<_> = made.iter().filter_map(|made| made.terms.reference.as_ref()).collect();
                let asked = reads.permitted_of(&references).await?;
                let permitted = permissions::views(reads, asked, at).await?;
                let copies = made.into_iter().map(|made| Copy::of(made, &notices, &permitted, at)).collect();
                Ok(WrongfulView { wrongful, copies })
            })
        })
        .await
    }

    /// The agency's own wrongful releases, without what was disclosed.
    pub async fn wrongful_releases(&self, page: Page) -> Result<Pages<WrongfulRelease>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let rows = reads.wrongful_releases(&page.agency, &after, read, &node.seal).await?;
                page.turn(node, rows, read, |row| row.id.to_string())
            })
        })
        .await
    }
}
