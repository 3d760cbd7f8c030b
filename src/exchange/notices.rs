//! Notices: which changes give rise to them, how they are issued, and what their recipients say.
//!
//! A notice is issued in the transaction of the change that causes it, and says nothing of that change.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::decision::Agreement;
use crate::domain::{
    Acknowledgement, AgencyId, Consent, ConsentScope, Disclosure, DisclosureId, Event, EventDetail, EventKind,
    IncidentId, Notice, NoticeDays, NoticeId, NoticeKind, Rejected, Said,
};
use crate::ledger::{Draft, Kind, Salts, Slots};
use crate::proto::v1::Receipt;
use crate::seal;
use crate::store::{Reads, Store, Write};

use super::plan::{Change, Context, Plan};
use super::reading::{Page, Pages};
use super::{Error, Exchange, Result, nudges, owed, statement, wrongful};

/// Says what a recipient did.
#[derive(Debug)]
pub struct AcknowledgeNotice {
    /// The notice.
    pub id: NoticeId,
    /// What it did.
    pub said: Said,
}

/// A notice, and whether it should have been acknowledged by now.
#[derive(Debug, Clone)]
pub struct NoticeView {
    /// The notice.
    pub notice: Notice,
    /// Whether it is overdue.
    pub overdue: bool,
}

/// The notices that are due about these disclosures: one of a kind for each and each cause, however often that comes up.
///
/// Of a copy that is called back, or that its recipient returned or deleted, nothing but a recall is said: another notice
/// would tell an agency that it was not meant for what became of the record. What was not said for that reason is said by
/// [`super::owed`] once it is kept after all. A record is never stopped: notices to several of its recipients at once would
/// tell that their records are of one incident, and it names no organisation that could take anything back.
pub(super) async fn due(
    context: Context<'_>,
    reads: &mut Reads,
    kind: NoticeKind,
    cause: &str,
    made: Vec<Disclosure>,
) -> Result<Vec<Notice>> {
    due_but(context, reads, (kind, cause), made, &|_| false).await
}

/// The same, as if some notices did not keep anything from being said any more.
pub(super) async fn due_but(
    context: Context<'_>,
    reads: &mut Reads,
    (kind, cause): (NoticeKind, &str),
    mut made: Vec<Disclosure>,
    is_over: &(dyn Fn(&Notice) -> bool + Sync),
) -> Result<Vec<Notice>> {
    if kind == NoticeKind::StopFurtherUse {
        made.retain(|made| !made.terms.anonymised);
    }
    if made.is_empty() {
        return Ok(Vec::new());
    }
    let incidents: BTreeSet<&IncidentId> = made.iter().map(|one| &one.incident).collect();
    let incidents: Vec<&IncidentId> = incidents.into_iter().collect();
    let issued = reads.notices_of(&incidents).await?;
    let standing = wrongful::standing(reads, &incidents).await?;
    let is_gone = |notice: &Notice| {
        let is_kept = notice.outcome.as_deref() == Some("kept");
        // After a freeze is lifted the same may have been released anew.
        let is_called_back = || !is_kept && standing.contains(&notice.cause);
        let gone = if notice.kind == NoticeKind::Recall { is_called_back() } else { notice.is_gone() };
        gone && !is_over(notice)
    };
    let settled: HashSet<(&IncidentId, &DisclosureId)> = issued
        .iter()
        .filter(|notice| {
            (notice.kind, notice.cause.as_str()) == (kind, cause) || (kind != NoticeKind::Recall && is_gone(notice))
        })
        .map(|notice| (&notice.about.incident, &notice.about.id))
        .collect();
    let agreements = context.node.in_force(reads).await?;
    let notice = |about: Disclosure| Notice {
        id: NoticeId::known(seal::new_id_at("ntc", context.at)),
        kind,
        cause: cause.to_owned(),
        by_hand: !context.node.known.contains_key(&about.recipient),
        issued_at: context.at,
        due_at: context.at.plus_days(days(&agreements, &about, kind)),
        // Known once it is issued.
        index: 0,
        outcome: None,
        acknowledged: Vec::new(),
        about,
    };
    let is_due = |about: &Disclosure| !settled.contains(&(&about.incident, &about.id));
    Ok(made.iter().filter(|about| is_due(about)).cloned().map(notice).collect())
}

/// What the agreements say under which it was released; the shortest.
fn days(agreements: &[Arc<Agreement>], about: &Disclosure, kind: NoticeKind) -> i64 {
    let is_under = |agreement: &Agreement| agreement.clauses().any(|clause| about.terms.clauses.contains(&clause.id));
    let stated = agreements.iter().filter(|agreement| is_under(agreement));
    stated.map(|agreement| agreement.notice_days().of(kind)).min().unwrap_or(NoticeDays::default().of(kind))
}

/// What relied on a consent and is permitted by it no more, where `permits` is all that it permits now.
pub(super) async fn no_longer_consented(
    context: Context<'_>,
    reads: &mut Reads,
    consent: &Consent,
    permits: Option<&ConsentScope>,
) -> Result<Vec<Notice>> {
    let mut made = reads.disclosures_on(&consent.id).await?;
    made.retain(|made| !permits.is_some_and(|scope| scope.still_permits(made, context.at)));
    due(context, reads, NoticeKind::StopFurtherUse, &format!("consent {}", consent.id), made).await
}

/// The entry of a notice to another agency: what it says for both, what caused it for the holder alone.
pub(super) fn draft(notice: &Notice) -> Draft {
    Draft {
        kind: Kind::Notice,
        act: Vec::new(),
        subject: Vec::new(),
        outcome: statement::notice(notice, None),
        grounds: statement::cause(&notice.cause),
        salts: Salts::from_seed(&seal::random()),
        parties: vec![(notice.about.holder.clone(), Slots::HOLDER), (notice.about.recipient.clone(), Slots::OFFER)],
    }
}

/// What is written beside the entry, and the events by which whoever must act is told, and whoever waits for it.
pub(super) fn writes(notice: &Notice) -> Result<[Write; 3]> {
    let about = &notice.about;
    let (kind, agency, other) = if notice.by_hand {
        (EventKind::NoticeToSend, &about.holder, &about.recipient)
    } else {
        (EventKind::Notice, &about.recipient, &about.holder)
    };
    let event = Event {
        id: kind.id(&[notice.id.as_str()]),
        agency: agency.clone(),
        kind,
        at: notice.issued_at,
        object: notice.id.to_string(),
        detail: EventDetail {
            ends_at: Some(notice.due_at),
            entry: (!notice.by_hand).then_some(notice.index),
            ..EventDetail::with(other)
        },
    };
    Ok([Write::notice(notice), Write::event(&event)?, nudges::unacknowledged(notice)?])
}

impl Plan for AcknowledgeNotice {
    const KIND: Kind = Kind::Notice;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let found = reads.notice(&self.id, context.seal()).await?;
        let own = found.filter(|notice| notice.answers_for() == context.agency());
        let notice = own.ok_or(Rejected::NotFound("notice"))?;
        self.said.check(notice.kind)?;
        if self.said.passed_on.contains(&notice.about.holder) {
            return Err(Rejected::invalid("passed_on_to", "names the agency that issued the notice").into());
        }
        let version = notice.acknowledged.last().map_or(0, |last| last.version) + 1;
        let said = Acknowledgement { version, at: context.at, said: self.said.clone() };
        // Whoever was to act has acted.
        let mut writes = vec![Write::drop_events(notice.id.as_str())];
        writes.extend(Write::acknowledgement(&notice.id, &said, context.seal())?);
        let mut change = Change::new(&notice.id, version, Vec::new());
        change.outcome = statement::notice(&notice, Some(&said));
        if !notice.by_hand {
            let kind = EventKind::NoticeAcknowledged;
            writes.push(Write::event(&Event {
                id: kind.id(&[notice.id.as_str(), &version.to_string()]),
                agency: notice.about.holder.clone(),
                kind,
                at: context.at,
                object: notice.id.to_string(),
                detail: EventDetail::with(&notice.about.recipient),
            })?);
            change.told = vec![notice.about.holder.clone()];
        }
        change.writes = writes;
        if self.said.outcome == "kept" && (notice.kind == NoticeKind::Recall || notice.is_gone()) {
            let is_this = |other: &Notice| other.id == notice.id;
            change.notices = owed::by_now(context, reads, vec![notice.about.clone()], &is_this).await?;
        }
        Ok(change)
    }
}

impl Exchange {
    /// The notices to the agency; `filter` is empty for all.
    pub async fn notices(&self, page: Page) -> Result<Pages<NoticeView>> {
        self.listed(page, false).await
    }

    /// The notices that the agency issued; `filter` is empty for all.
    pub async fn issued_notices(&self, page: Page) -> Result<Pages<NoticeView>> {
        self.listed(page, true).await
    }

    async fn listed(&self, page: Page, issued: bool) -> Result<Pages<NoticeView>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read, at) = (page.after(node)?, page.rows()?, node.now(reads).await?);
                let rows = if issued {
                    reads.notices_by(&page.agency, &after, read, &page.filter, &node.seal).await?
                } else {
                    reads.notices_to(&page.agency, &after, read, &page.filter, &node.seal).await?
                };
                let (found, next) = page.turn(node, rows, read, |notice| notice.id.to_string())?;
                let view = |notice: Notice| NoticeView { overdue: notice.is_overdue(at), notice };
                Ok((found.into_iter().map(view).collect(), next))
            })
        })
        .await
    }

    /// One notice to the agency, with its receipt.
    pub async fn notice(&self, agency: AgencyId, id: NoticeId) -> Result<(NoticeView, Receipt)> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let found = reads.notice(&id, &node.seal).await?;
                let own = found.filter(|notice| notice.about.recipient == agency && !notice.by_hand);
                let notice = own.ok_or(Rejected::NotFound("notice"))?;
                let receipt = Store::receipt(reads, node.origin(), &agency, notice.index, &node.seal).await?;
                let receipt = receipt.ok_or(Error::Internal("a notice has no receipt"))?;
                let at = node.now(reads).await?;
                Ok((NoticeView { overdue: notice.is_overdue(at), notice }, receipt))
            })
        })
        .await
    }
}
