//! What a receipt proves, offline.

use aws_lc_rs::constant_time::verify_slices_are_equal as equal;
use prost::Message;

use super::entry::commit_to;
use super::{Checkpoint, Keyring, Kind, tree};
use crate::proto::v1::{
    Act, AskStatement, ErasureStatement, ExistenceStatement, GroundsStatement, LedgerEntry, NamingStatement,
    NoticeStatement, OfferStatement, OutcomeStatement, PaperStatement, PermissionStatement, ProposalStatement,
    PublicationStatement, Receipt, Slot, StatisticsAskStatement, StatisticsOutcomeStatement, SubjectStatement,
    ThemeAskStatement, ThemeStatement, WrongfulReleaseStatement,
};

/// What a receipt that verifies says.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The checkpoint that it leads to.
    pub checkpoint: Checkpoint,
    /// The entry.
    pub entry: LedgerEntry,
    /// What an officer did, if this is an act and it was opened.
    pub act: Option<Act>,
    /// What was asked, if this is an ask.
    pub ask: Option<AskStatement>,
    /// What it was about, if that was opened.
    pub subject: Option<SubjectStatement>,
    /// What came of it, if that was opened.
    pub outcome: Option<OutcomeStatement>,
    /// What was offered, if this is an offer and it was opened.
    pub offer: Option<OfferStatement>,
    /// The notice, or what its recipient said, if this is one and it was opened.
    pub notice: Option<NoticeStatement>,
    /// What was released wrongly, if this says so and it was opened.
    pub wrongful_release: Option<WrongfulReleaseStatement>,
    /// What was published, if this is a publication.
    pub publication: Option<PublicationStatement>,
    /// What was erased, if this is an erasure.
    pub erasure: Option<ErasureStatement>,
    /// Which page was made for an organisation, if this is that.
    pub paper: Option<PaperStatement>,
    /// Which table was asked for, if this is an ask for one.
    pub table_ask: Option<StatisticsAskStatement>,
    /// What was confirmed of a theme, if this is that.
    pub theme: Option<ThemeStatement>,
    /// Which theme was asked for, if this is an ask for one.
    pub theme_ask: Option<ThemeAskStatement>,
    /// What came of an ask for a table or a theme.
    pub sharing_outcome: Option<StatisticsOutcomeStatement>,
    /// What was said of passing on, if this is about a permission.
    pub permission: Option<PermissionStatement>,
    /// What happened to a proposal, if this is about one and it was opened.
    pub proposal: Option<ProposalStatement>,
    /// What was decided about naming an organisation, if this is that.
    pub naming: Option<NamingStatement>,
    /// What was decided about letting another agency see that something is held.
    pub existence: Option<ExistenceStatement>,
    /// Why, if that was opened.
    pub grounds: Option<GroundsStatement>,
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalidity {
    /// It is wrong in itself, or was changed.
    #[error("{0}")]
    Invalid(String),
    /// It may be right, but no key for its ledger is trusted here.
    #[error("no trusted key for the ledger `{0}`: pass its verifier key")]
    UnknownLedger(String),
}

/// Checks a receipt: entry in tree, tree in checkpoint, checkpoint signed by a trusted key, openings in entry.
pub fn verify(receipt: &Receipt, keys: &Keyring) -> Result<Verified, Invalidity> {
    let invalid = |problem: &str| Invalidity::Invalid(problem.to_owned());
    if !keys.knows(&receipt.origin) {
        return Err(Invalidity::UnknownLedger(receipt.origin.clone()));
    }
    let checkpoint = keys.open(&receipt.checkpoint).map_err(|e| Invalidity::Invalid(e.to_string()))?;
    if checkpoint.origin != receipt.origin {
        return Err(invalid("the checkpoint is of another ledger"));
    }
    let included =
        tree::is_included(&receipt.inclusion, checkpoint.size, checkpoint.root, receipt.index, &receipt.entry);
    if !included {
        return Err(invalid("the entry is not in the tree that the checkpoint signs"));
    }
    let entry = LedgerEntry::decode(receipt.entry.as_slice()).map_err(|_| invalid("the entry cannot be read"))?;
    if entry.format != 1 {
        let problem = format!("the entry has format {}, which this verifier doesn't know", entry.format);
        return Err(Invalidity::Invalid(problem));
    }
    let kind = entry.kind();
    let mut verified = Verified {
        checkpoint,
        entry,
        act: None,
        ask: None,
        subject: None,
        outcome: None,
        offer: None,
        notice: None,
        wrongful_release: None,
        publication: None,
        erasure: None,
        paper: None,
        table_ask: None,
        theme: None,
        theme_ask: None,
        sharing_outcome: None,
        permission: None,
        proposal: None,
        naming: None,
        existence: None,
        grounds: None,
    };
    for opening in &receipt.openings {
        let place = usize::try_from(opening.slot - 1).ok();
        let promised = place.and_then(|place| verified.entry.commitments.get(place));
        let opened = commit_to(&opening.salt, &opening.payload);
        let holds = opening.salt.len() == 32 && promised.is_some_and(|promised| equal(promised, &opened).is_ok());
        if !holds {
            return Err(invalid("an opening does not belong to the entry"));
        }
        let unreadable = |_| invalid("an opening cannot be read");
        let payload = opening.payload.as_slice();
        match (opening.slot(), kind) {
            (Slot::Unspecified, _) => return Err(invalid("an opening names no slot")),
            (Slot::Act, Kind::Ask) => verified.ask = Some(AskStatement::decode(payload).map_err(unreadable)?),
            (Slot::Act, Kind::Statistics) => {
                verified.table_ask = Some(StatisticsAskStatement::decode(payload).map_err(unreadable)?);
            }
            (Slot::Act, Kind::ThemeAsk) => {
                verified.theme_ask = Some(ThemeAskStatement::decode(payload).map_err(unreadable)?);
            }
            (Slot::Act, _) => verified.act = Some(Act::decode(payload).map_err(unreadable)?),
            (Slot::Subject, _) => verified.subject = Some(SubjectStatement::decode(payload).map_err(unreadable)?),
            (Slot::Outcome, Kind::Offer) => {
                verified.offer = Some(OfferStatement::decode(payload).map_err(unreadable)?);
            }
            (Slot::Outcome, Kind::Notice) => {
                verified.notice = Some(NoticeStatement::decode(payload).map_err(unreadable)?);
            }
            (Slot::Outcome, Kind::WrongfulRelease | Kind::Consent | Kind::Disclosure) => {
                verified.wrongful_release = Some(WrongfulReleaseStatement::decode(payload).map_err(unreadable)?);
            }
            (Slot::Outcome, Kind::Permission) => {
                verified.permission = Some(PermissionStatement::decode(payload).map_err(unreadable)?);
            }
            (Slot::Outcome, Kind::Proposal) => {
                verified.proposal = Some(ProposalStatement::decode(payload).map_err(unreadable)?);
            }
            (Slot::Outcome, Kind::Naming) => {
                verified.naming = Some(NamingStatement::decode(payload).map_err(unreadable)?);
            }
            (Slot::Outcome, Kind::Existence) => {
                verified.existence = Some(ExistenceStatement::decode(payload).map_err(unreadable)?);
            }
            (Slot::Outcome, Kind::Publication) => {
                verified.publication = Some(PublicationStatement::decode(payload).map_err(unreadable)?);
            }
            // Of the changes to an incident's record only an erasure states more than who did what.
            (Slot::Outcome, Kind::Incident) => {
                verified.erasure = Some(ErasureStatement::decode(payload).map_err(unreadable)?);
            }
            // Of what is done to an organisation's record only a page for it states more than who did what.
            (Slot::Outcome, Kind::Organisation) => {
                verified.paper = Some(PaperStatement::decode(payload).map_err(unreadable)?);
            }
            (Slot::Outcome, Kind::Theme) => {
                verified.theme = Some(ThemeStatement::decode(payload).map_err(unreadable)?);
            }
            (Slot::Outcome, Kind::Statistics | Kind::ThemeAsk) => {
                verified.sharing_outcome = Some(StatisticsOutcomeStatement::decode(payload).map_err(unreadable)?);
            }
            (Slot::Outcome, _) => verified.outcome = Some(OutcomeStatement::decode(payload).map_err(unreadable)?),
            (Slot::Grounds, _) => verified.grounds = Some(GroundsStatement::decode(payload).map_err(unreadable)?),
        }
    }
    Ok(verified)
}
