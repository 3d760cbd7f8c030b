//! What a document cites: only what its writer can read, and only where its readers may know of it.

use crate::domain::{
    AgencyId, Citation, Digest, ProposalId, ProposalText, ProposalWords, Rejected, Requester, Tlp, check,
};
use crate::proto::v1;
use crate::store::Reads;

use super::super::Result;
use super::super::plan::Context;
use super::seen::{Kinds, may_know};

/// A citation as the contract writes it.
pub(super) fn citation(citation: &Citation) -> v1::Citation {
    match citation {
        Citation::Document { agency, id, digest } => v1::Citation {
            agency: agency.to_string(),
            document_id: id.to_string(),
            digest: digest.as_bytes().to_vec(),
            ..v1::Citation::default()
        },
        Citation::Outside { title, publisher } => {
            v1::Citation { title: title.clone(), publisher: publisher.clone(), ..v1::Citation::default() }
        }
    }
}

/// Fails unless each document of this node's agencies that is cited is one that the caller's agency can read, in this
/// version. No such document, not put to it and another version are one answer.
///
/// What the text before cited may stay: its document may have another version by now. What lies on another agency's node
/// cannot be looked at here.
pub(super) async fn check_readable(
    context: Context<'_>,
    reads: &mut Reads,
    kinds: &Kinds,
    words: &ProposalWords,
    cited: &[Citation],
) -> Result<()> {
    for (place, citation) in words.citations.iter().enumerate() {
        let Citation::Document { agency, id, digest } = citation else { continue };
        if cited.contains(citation) {
            continue;
        }
        let at = |field: &str| format!("proposal.citations[{place}]{field}");
        let unknown = "is not an agency that this node knows";
        check(context.node.known.contains_key(agency), &at(".agency"), unknown)?;
        if context.node.holds(agency) {
            let is_readable = marking(context, reads, kinds, agency, id, *digest).await?.is_some();
            check(is_readable, &at(""), "is not a document that your agency can read, in this version")?;
        }
    }
    Ok(())
}

/// Fails if the text cites a document of which this agency may not know.
///
/// To its own agency a document is no news. One of the caller's agency must have been put to this one, in this version.
/// A third one's, marked CLEAR, may be known to whoever this is put to; any other may not, whether it was put to this
/// agency as well or not: that is not the caller's to learn. GREEN stays in a community, and who is of it is not ours to say.
pub(super) async fn check_known_to(
    context: Context<'_>,
    reads: &mut Reads,
    kinds: &Kinds,
    text: &ProposalText,
    recipient: &AgencyId,
) -> Result<()> {
    for citation in text.citations() {
        let Citation::Document { agency, id, digest } = citation else { continue };
        let is_known = if agency == recipient {
            true
        } else if agency == context.agency() {
            let own = reads.proposal(id, context.seal()).await?.map(|row| row.proposal);
            own.is_some_and(|own| {
                let mut puts = own.puts.iter().filter(|put| put.agency == *recipient);
                puts.any(|put| own.text(put.version).is_some_and(|text| text.digest == *digest))
            })
        } else {
            let tlp = marking(context, reads, kinds, agency, id, *digest).await?;
            tlp.is_some_and(|tlp| tlp == Tlp::Clear)
        };
        if !is_known {
            let problem = "it cites a document of which that agency may not know: cite what was put to it";
            return Err(Rejected::WrongState(problem).into());
        }
    }
    Ok(())
}

/// The marking of one version of an agency's document, as far as the caller's agency can read it now.
async fn marking(
    context: Context<'_>,
    reads: &mut Reads,
    kinds: &Kinds,
    agency: &AgencyId,
    id: &ProposalId,
    digest: Digest,
) -> Result<Option<Tlp>> {
    let found = reads.proposal(id, context.seal()).await?.map(|row| row.proposal);
    let Some(found) = found.filter(|found| found.opener == *agency) else { return Ok(None) };
    let seen = if found.opener == *context.agency() {
        found
    } else if may_know(context.node, reads, kinds, &found, &Requester::from(context.actor)).await? {
        found.as_put_to(context.agency())
    } else {
        return Ok(None);
    };
    Ok(seen.texts.iter().find(|text| text.digest == digest).and_then(ProposalText::tlp))
}
