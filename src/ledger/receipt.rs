//! What a receipt proves, offline.

use aws_lc_rs::constant_time::verify_slices_are_equal as equal;
use prost::Message;

use super::entry::commit_to;
use super::{Checkpoint, Keyring, Kind, Signed, TrustedKey, Worth, tree};
use crate::domain::Instant;
use crate::proto::v1::{
    Act, AskStatement, ErasureStatement, ExistenceStatement, GroundsStatement, LedgerEntry, LedgerKeyStatement,
    NamingStatement, NoticeStatement, OfferStatement, Opening, OutcomeStatement, PaperStatement, PermissionStatement,
    ProposalStatement, PublicationStatement, Receipt, Slot, StatisticsAskStatement, StatisticsOutcomeStatement,
    SubjectStatement, ThemeAskStatement, ThemeStatement, WrongfulReleaseStatement,
};

/// What a receipt that verifies says.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The checkpoint that it leads to.
    pub checkpoint: Checkpoint,
    /// The trusted keys that signed it, those alone whose signature proves.
    pub signed_by: Vec<TrustedKey>,
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
    /// Which keys sign from here on, if this is a change of them.
    pub ledger_key: Option<LedgerKeyStatement>,
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
    /// It may be right, but whoever else had the key could have made it.
    #[error(
        "the key {0} that signed it may have been in other hands: fetch the entry from the node again, whose checkpoint \
         is signed with another key"
    )]
    Compromised(String),
}

/// Checks a receipt: entry in tree, tree in checkpoint, checkpoint signed by a trusted key, openings in entry.
pub fn verify(receipt: &Receipt, keys: &Keyring) -> Result<Verified, Invalidity> {
    let invalid = |problem: &str| Invalidity::Invalid(problem.to_owned());
    if !keys.knows(&receipt.origin) {
        return Err(Invalidity::UnknownLedger(receipt.origin.clone()));
    }
    let Signed { checkpoint, by } = keys.open(&receipt.checkpoint).map_err(|e| Invalidity::Invalid(e.to_string()))?;
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
    let mut verified = Verified {
        checkpoint,
        signed_by: proving(by, Instant::from_micros(entry.at_micros))?,
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
        ledger_key: None,
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
        verified.open(opening)?;
    }
    Ok(verified)
}

/// Those of these keys whose signature proves for an entry of this time.
fn proving(by: Vec<TrustedKey>, at: Instant) -> Result<Vec<TrustedKey>, Invalidity> {
    let doubtful = by.iter().find(|key| key.worth(at) == Worth::Doubtful).map(|key| key.short().to_owned());
    let ended = by.first().map(|key| key.short().to_owned()).unwrap_or_default();
    let proving: Vec<TrustedKey> = by.into_iter().filter(|key| key.worth(at) == Worth::Proves).collect();
    match (proving.is_empty(), doubtful) {
        (false, _) => Ok(proving),
        (true, Some(key)) => Err(Invalidity::Compromised(key)),
        (true, None) => {
            let problem = format!("the key {ended} that signed it was not in use any more at the entry's time");
            Err(Invalidity::Invalid(problem))
        }
    }
}

impl Verified {
    /// Reads an opening that belongs to the entry.
    fn open(&mut self, opening: &Opening) -> Result<(), Invalidity> {
        let payload = opening.payload.as_slice();
        match (opening.slot(), self.entry.kind()) {
            (Slot::Unspecified, _) => return Err(Invalidity::Invalid("an opening names no slot".to_owned())),
            (Slot::Act, Kind::Ask) => self.ask = read(payload)?,
            (Slot::Act, Kind::Statistics) => self.table_ask = read(payload)?,
            (Slot::Act, Kind::ThemeAsk) => self.theme_ask = read(payload)?,
            (Slot::Act, _) => self.act = read(payload)?,
            (Slot::Subject, _) => self.subject = read(payload)?,
            (Slot::Outcome, Kind::Offer) => self.offer = read(payload)?,
            (Slot::Outcome, Kind::Notice) => self.notice = read(payload)?,
            (Slot::Outcome, Kind::WrongfulRelease | Kind::Consent | Kind::Disclosure) => {
                self.wrongful_release = read(payload)?;
            }
            (Slot::Outcome, Kind::Permission) => self.permission = read(payload)?,
            (Slot::Outcome, Kind::Proposal) => self.proposal = read(payload)?,
            (Slot::Outcome, Kind::Naming) => self.naming = read(payload)?,
            (Slot::Outcome, Kind::Existence) => self.existence = read(payload)?,
            (Slot::Outcome, Kind::LedgerKey) => self.ledger_key = read(payload)?,
            (Slot::Outcome, Kind::Publication) => self.publication = read(payload)?,
            // Of the changes to an incident's record only an erasure states more than who did what.
            (Slot::Outcome, Kind::Incident) => self.erasure = read(payload)?,
            // Of what is done to an organisation's record only a page for it states more than who did what.
            (Slot::Outcome, Kind::Organisation) => self.paper = read(payload)?,
            (Slot::Outcome, Kind::Theme) => self.theme = read(payload)?,
            (Slot::Outcome, Kind::Statistics | Kind::ThemeAsk) => self.sharing_outcome = read(payload)?,
            (Slot::Outcome, _) => self.outcome = read(payload)?,
            (Slot::Grounds, _) => self.grounds = read(payload)?,
        }
        Ok(())
    }
}

fn read<M: Message + Default>(payload: &[u8]) -> Result<Option<M>, Invalidity> {
    M::decode(payload).map(Some).map_err(|_| Invalidity::Invalid("an opening cannot be read".to_owned()))
}
