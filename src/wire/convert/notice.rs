//! Disclosures, notices, permissions and wrongful releases.

use super::timestamp;
use crate::domain::{Acknowledgement, Disclosure, Elsewhere, Notice, WrongfulRelease};
use crate::exchange::{Copy, NoticeView, PermissionView, WrongfulView};
use crate::proto::v1;

/// What a holder sees of a disclosure.
pub(crate) fn disclosure(made: Disclosure) -> v1::Disclosure {
    let terms = made.terms;
    let (means, ground, officer) = terms.elsewhere.map_or_else(Default::default, |elsewhere| {
        let Elsewhere { means, ground, officer, .. } = elsewhere;
        (means.to_string(), ground.to_string(), officer)
    });
    v1::Disclosure {
        id: made.id.to_string(),
        incident_id: made.incident.to_string(),
        revision: made.revision,
        recipient: made.recipient.to_string(),
        disclosed_at: Some(timestamp(made.at)),
        categories: terms.categories.iter().map(ToString::to_string).collect(),
        is_release: made.index.is_some(),
        receipt_index: made.index.unwrap_or_default(),
        consent_id: terms.consent.map(|(id, _)| id.to_string()).unwrap_or_default(),
        authorisation_id: terms.authorisation.map(|id| id.to_string()).unwrap_or_default(),
        means,
        ground,
        officer,
    }
}

/// What a recipient sees of a notice: nothing of the holder's but what it was given by the release itself.
pub(crate) fn notice(view: &NoticeView) -> v1::Notice {
    let NoticeView { notice, overdue } = view;
    let about = &notice.about;
    v1::Notice {
        id: notice.id.to_string(),
        kind: notice.kind.as_str().to_owned(),
        issuer: about.holder.to_string(),
        recipient: about.recipient.to_string(),
        is_release: about.index.is_some(),
        receipt_index: about.index.unwrap_or_default(),
        reference: about.terms.reference.as_ref().map(ToString::to_string).unwrap_or_default(),
        disclosed_at: Some(timestamp(about.at)),
        means: about.terms.elsewhere.as_ref().map(|elsewhere| elsewhere.means.to_string()).unwrap_or_default(),
        issued_at: Some(timestamp(notice.issued_at)),
        due_at: Some(timestamp(notice.due_at)),
        state: notice.outcome.clone().unwrap_or_else(|| "issued".to_owned()),
        overdue: *overdue,
        entry_index: notice.index,
        categories: about.terms.categories.iter().map(ToString::to_string).collect(),
        acknowledgements: notice.acknowledged.iter().map(acknowledgement).collect(),
    }
}

fn acknowledgement(value: &Acknowledgement) -> v1::NoticeAcknowledgement {
    v1::NoticeAcknowledgement {
        version: value.version,
        outcome: value.said.outcome.clone(),
        reason: value.said.reason.clone(),
        passed_on_to: value.said.passed_on.iter().map(ToString::to_string).collect(),
        at: Some(timestamp(value.at)),
    }
}

/// What the agency that issued it sees of a notice.
pub(crate) fn issued_notice(view: &NoticeView) -> v1::IssuedNotice {
    let Notice { id, cause, by_hand, about, .. } = &view.notice;
    v1::IssuedNotice {
        id: id.to_string(),
        notice: Some(notice(view)),
        incident_id: about.incident.to_string(),
        disclosure_id: about.id.to_string(),
        cause: cause.clone(),
        by_hand: *by_hand,
    }
}

/// What the agency that was asked sees of a permission.
pub(crate) fn permission(view: PermissionView) -> v1::Permission {
    let PermissionView { asked, incident, at } = view;
    let (permitted, until) = asked.given.as_ref().map(|(categories, until)| (categories, *until)).unzip();
    v1::Permission {
        id: asked.id.to_string(),
        holder: asked.asker.agency.to_string(),
        unit: asked.asker.unit.to_string(),
        officer_pseudonym: asked.asker.pseudonym.clone(),
        incident_id: incident.map(|id| id.to_string()).unwrap_or_default(),
        recipient: asked.recipient.to_string(),
        purpose: asked.purpose.to_string(),
        categories: asked.categories.iter().map(ToString::to_string).collect(),
        asked_at: Some(timestamp(asked.asked_at)),
        state: asked.state(at).to_owned(),
        permitted: permitted.into_iter().flatten().map(ToString::to_string).collect(),
        valid_until: until.map(timestamp),
    }
}

/// A wrongful release without its copies.
pub(crate) fn wrongful_release(value: &WrongfulRelease) -> v1::WrongfulRelease {
    v1::WrongfulRelease {
        id: value.id.to_string(),
        cause: value.cause.clone(),
        reported_by: value.reported_by.to_string(),
        reported_at: Some(timestamp(value.reported_at)),
        aware_at: Some(timestamp(value.aware_at)),
        breach_due_at: Some(timestamp(value.breach_due_at())),
        state: if value.closed_at.is_some() { "closed" } else { "open" }.to_owned(),
        frozen: value.lifted_at.is_none(),
        closed_at: value.closed_at.map(timestamp),
        reason: value.reason.clone(),
        copies: Vec::new(),
    }
}

/// A wrongful release with every copy that is known of.
pub(crate) fn wrongful_view(view: WrongfulView) -> v1::WrongfulRelease {
    let WrongfulView { wrongful, copies } = view;
    let copy = |Copy { made, notices, permitted }| v1::WrongfulCopy {
        wrongful: wrongful.about.iter().any(|one| (&one.incident, &one.id) == (&made.incident, &made.id)),
        disclosure: Some(disclosure(made)),
        notices: notices.iter().map(issued_notice).collect(),
        permitted: permitted.into_iter().map(permission).collect(),
    };
    v1::WrongfulRelease { copies: copies.into_iter().map(copy).collect(), ..wrongful_release(&wrongful) }
}
