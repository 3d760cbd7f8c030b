//! Proposals, as their readers may know them.

use super::timestamp;
use crate::domain::{
    Proposal, ProposalAnswer, ProposalKind, ProposalOutcome, ProposalPut, ProposalTerms, ProposalText, Role, Tlp,
};
use crate::exchange::{ProposalView, proposal_content};
use crate::proto::v1;

/// What an agreement says of a kind.
pub(super) fn terms((kind, terms): (&ProposalKind, &ProposalTerms)) -> v1::ProposalTerms {
    v1::ProposalTerms {
        kind: kind.to_string(),
        text: terms.text.clone(),
        opened_by: terms.opened_by.iter().map(ToString::to_string).collect(),
        put_to: terms.put_to.iter().map(ToString::to_string).collect(),
        answered_by: terms.answered_by.iter().map(Role::to_string).collect(),
        agreeing: terms.agreeing.iter().cloned().collect(),
        objecting: terms.objecting.iter().cloned().collect(),
        outcomes: terms.outcomes.iter().copied().map(ProposalOutcome::as_str).map(str::to_owned).collect(),
        answer_days: terms.answer_days,
        names_incident: terms.names_incident,
        opener_answers: terms.opener_answers,
        published: terms.published,
        retain_days: terms.retain_days,
        citation: terms.citation.clone(),
        document: terms.document,
    }
}

fn answer(answer: &ProposalAnswer) -> v1::ProposalAnswer {
    let said = answer.said.as_ref();
    v1::ProposalAnswer {
        agency: answer.agency.to_string(),
        number: answer.number,
        version: answer.version,
        answer: answer.word.clone(),
        text: said.map(|said| said.text.clone()).unwrap_or_default(),
        unit: said.map(|said| said.unit.clone()).unwrap_or_default(),
        officer_pseudonym: said.map(|said| said.pseudonym.clone()).unwrap_or_default(),
        at: Some(timestamp(answer.at)),
    }
}

/// A proposal for its reader.
pub(in crate::wire) fn proposal(view: &ProposalView) -> v1::Proposal {
    let (found, own) = (&view.proposal, view.is_own);
    let text = found.texts.first();
    let words = text.and_then(|text| text.words.as_ref());
    let put = |put: &ProposalPut| v1::ProposalPut {
        agency: put.agency.to_string(),
        version: put.version,
        put_at: Some(timestamp(put.at)),
        answer_by: put.answer_by.map(timestamp),
        late: found.is_late(put, view.at),
    };
    let concluded = found.concluded.as_ref();
    v1::Proposal {
        id: found.id.to_string(),
        opener: found.opener.to_string(),
        kind: found.kind.to_string(),
        state: view.state.to_owned(),
        content: words.map(proposal_content),
        version: text.map_or(0, |text| text.version),
        digest: text.map(|text| text.digest.as_bytes().to_vec()).unwrap_or_default(),
        puts: found.last_puts().into_values().map(put).collect(),
        answers: found.answers.iter().map(answer).collect(),
        concluded_at: concluded.map(|concluded| timestamp(concluded.at)),
        published_at: found.published_at.map(timestamp),
        etag: if own { found.newest().to_string() } else { String::new() },
        incident_id: found.incident.as_ref().filter(|_| own).map(ToString::to_string).unwrap_or_default(),
        opened_at: own.then(|| timestamp(found.opened_at)),
        why: concluded.filter(|_| own).map(|concluded| concluded.why.clone()).unwrap_or_default(),
        erase_from: view.erase_from.map(timestamp),
    }
}

/// A proposal in a list.
pub(in crate::wire) fn proposal_summary(view: &ProposalView) -> v1::ProposalSummary {
    let found: &Proposal = &view.proposal;
    let text = found.texts.first();
    let title = text.and_then(|text| text.words.as_ref()).map(|words| words.title.clone());
    let puts = found.last_puts();
    v1::ProposalSummary {
        id: found.id.to_string(),
        kind: found.kind.to_string(),
        state: view.state.to_owned(),
        title: title.unwrap_or_default(),
        version: text.map_or(0, |text| text.version),
        answer_by: puts.values().filter_map(|put| put.answer_by).max().map(timestamp),
        late: puts.values().any(|put| found.is_late(put, view.at)),
        tlp: text.and_then(ProposalText::tlp).map(Tlp::as_str).unwrap_or_default().to_owned(),
    }
}
