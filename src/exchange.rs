//! The use cases. `gate` is the one that everything else hangs off: START THERE.
//!
//! Every change and every ask goes through one task, `batch`, which takes the ledger's head once for whatever has
//! queued up. Plans are read and worked out before anything of them is written, so a call that is turned away
//! leaves nothing behind.

mod acts;
mod advice;
mod agreements;
mod anonymised;
mod asks;
mod authorisations;
mod awareness;
mod batch;
mod consents;
#[cfg(feature = "control-reads-before-lock")]
mod control;
mod deconfliction;
mod disclosures;
mod docket;
mod error;
mod events;
mod existence;
mod filler;
mod gate;
mod gather;
mod health;
mod help;
mod inbox;
mod incidents;
mod last_lists;
mod ledger_keys;
mod mandates;
mod naming;
mod node;
mod notices;
mod nudges;
mod obligations;
mod offers;
mod oral;
mod organisations;
mod owed;
mod papers;
mod peers;
mod permissions;
mod plan;
mod preview;
mod proposals;
mod queue;
mod reading;
mod received;
mod registration;
mod replay;
mod retention;
mod sharing;
mod statement;
mod statistics;
mod suspensions;
mod tables;
mod themes;
mod wrongful;

pub use advice::{RecordOutcome, RecordRecommendation, RecordReminder, SetCategory, StatedReminder, Wording, wording};
pub use agreements::{ActivateAgreement, AgreementView, EndAgreement};
pub use asks::{AskFor, Asked, Outcome};
pub use authorisations::{GiveAuthorisation, RevokeAuthorisation};
pub use consents::{
    MarkConsentInError, NarrowConsent, ReconfirmConsent, RecordConsent, RefuseConsent, ScopeTerms, SeekConsent,
    VerifyConsent, WithdrawConsent,
};
pub use deconfliction::{
    AmendEngagement, DeclareEngagement, EndEngagement, EngagedView, EngagementView, PutEngagement, RecordAskOfVictim,
};
pub use disclosures::RecordDisclosure;
pub use error::Error;
pub use events::{AcknowledgeEvents, EventPage};
pub use health::Commits;
pub use help::RecordHelpOffer;
pub use inbox::{DeclineRequest, Received};
pub use incidents::{AmendIncident, IssueReference, RegisterIncident, VerifyNotification};
pub use ledger_keys::{KeysInUse, change_ledger_keys};
pub use mandates::{EndMandate, MandateView, RecordMandate, SaidUnder};
pub use naming::AskToName;
pub use node::{Node, Setup};
pub use notices::{AcknowledgeNotice, NoticeView};
pub use obligations::ObligationView;
pub use offers::OfferFor;
pub use organisations::{AmendOrganisation, RecordMerger, RegisterOrganisation};
pub use papers::{Paper, PaperFor};
pub use peers::LedgerKey;
pub use permissions::{
    AskPermission, AskPermissionAgain, DeclinePermission, GivePermission, PermissionView, PresentPermission,
    PresentWithdrawal, WithdrawPermission,
};
pub use plan::{By, Done};
pub use preview::{Covering, Preview, PreviewFor};
pub use proposals::{
    AmendProposal, AnswerProposal, ConcludeProposal, EraseProposal, OpenProposal, ProposalFilter, ProposalView,
    PublishProposal, PutProposal, Reader, SendMessage,
};
pub(crate) use proposals::{content as proposal_content, message as proposal_message};
pub use reading::{Page, Pages};
pub use received::{ReceivedCategory, RegisterReceived};
pub use registration::{NewIncident, NewOrganisation, RegisterIncidents};
pub use replay::{Replay, Replayed, replay};
pub use retention::{ConfirmDisposal, EraseIncident, ProposeErasure};
pub use sharing::{Item, SharingAsk, Telling, Told};
pub(crate) use statement::{anonymised as anonymised_record, handling, passages, timestamp};
pub use statistics::Prepared;
pub use suspensions::{Resume, Suspend, SuspendedSystems};
pub use tables::Tables;
pub(crate) use themes::content as theme_content;
pub use themes::{ConfirmTheme, DraftTheme, ReviseTheme, ThemeView, WithdrawTheme};
pub use wrongful::{CloseWrongfulRelease, Copy, ReportWrongfulRelease, Wrongful, WrongfulView};

use std::sync::Arc;

use tokio::sync::{Mutex, watch};

use crate::domain::{Actor, AgencyId, Requester};

/// A result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One node's use cases.
#[derive(Debug, Clone)]
pub struct Exchange {
    node: Arc<Node>,
    queue: batch::Queue,
    /// Held while a quarter is counted: a million incidents take memory, so one at a time.
    counting: Arc<Mutex<()>>,
    /// For whom is read. None: for the node itself.
    caller: Option<Arc<Actor>>,
}

impl Exchange {
    /// Starts the batching task. It ends when the last `Exchange` is dropped.
    pub fn start(node: Node) -> Self {
        #[cfg(feature = "control-reads-before-lock")]
        control::announce();
        let node = Arc::new(node);
        let queue = batch::Queue::start(Arc::clone(&node));
        Self { node, queue, counting: Arc::default(), caller: None }
    }

    /// The same for one caller: nothing is read for it while it is suspended here.
    #[must_use]
    pub fn on_behalf_of(&self, caller: &Actor) -> Self {
        Self { caller: Some(Arc::new(caller.clone())), ..self.clone() }
    }

    /// Who reads: the caller, or anybody of the agency where no caller is known.
    fn reader(&self, agency: &AgencyId) -> Requester {
        self.caller.as_deref().map_or_else(|| Requester::anyone_of(agency.clone()), Requester::from)
    }

    /// What the node is made of.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Told of each commit of this process: whoever waits for what a commit may have brought can look then. Another
    /// replica's are not told of.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.queue.commits()
    }

    /// How many calls wait for the next batch.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Does one change, once: a repeat of the same call gives the first result.
    ///
    /// When this returns, the change and its ledger entry are durable.
    pub async fn change<T: plan::Plan>(&self, by: By, change: T) -> Result<Done> {
        let done = self.queue.change(Box::new(plan::Command { by: by.clone(), change })).await?;
        self.with_receipt(&by, done).await
    }

    /// Offers something to an agency, if the gate permits its release now.
    ///
    /// When this returns, the offer's entry is durable and the agency's next reading of its events shows it.
    pub async fn offer(&self, by: By, offer: OfferFor) -> Result<Done> {
        let done = self.queue.offer(Box::new(offers::OfferCall { by: by.clone(), offer })).await?;
        self.with_receipt(&by, done).await
    }

    /// Puts an ask to the gate.
    ///
    /// When this returns, the entry is durable. What it was permitted has been opened, by `release` and nowhere else.
    pub async fn ask(&self, by: By, ask: AskFor) -> Result<Asked> {
        let agency = by.actor.agency.clone();
        let mut asked = self.queue.ask(Box::new(asks::AskCall { by, ask })).await?;
        if asked.receipt.is_none() {
            asked.receipt = Some(self.receipt(&agency, asked.index).await?);
        }
        Ok(asked)
    }

    /// Asks for a table of a holder's statistics, or for a theme.
    ///
    /// When this returns, the entry is durable. The content comes with it if it was permitted, by `release` and nowhere
    /// else.
    pub async fn ask_to_share(&self, by: By, ask: SharingAsk) -> Result<Told> {
        let agency = by.actor.agency.clone();
        let mut told = self.queue.ask_to_share(Box::new(sharing::SharingCall { by, ask })).await?;
        if told.receipt.is_none() {
            told.receipt = Some(self.receipt(&agency, told.index).await?);
        }
        Ok(told)
    }

    async fn with_receipt(&self, by: &By, mut done: Done) -> Result<Done> {
        if done.receipt.is_none() {
            done.receipt = Some(self.receipt(&by.actor.agency, done.index).await?);
        }
        Ok(done)
    }
}
