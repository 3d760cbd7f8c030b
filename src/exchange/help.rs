//! Help that the holder offers to organisations of its register. What came of it is the holder's and the organisation's
//! business: no other agency has an event, an entry or a list of it.

use crate::domain::{HelpId, HelpOffer, HelpOfferId, HelpState, OrganisationId, Rejected};
use crate::ledger::Kind;
use crate::seal;
use crate::signpost::CATALOGUE;
use crate::store::{Reads, Write};

use super::plan::{Change, Context, Plan};
use super::reading::{Page, Pages};
use super::{Exchange, Result};

/// Records one step of an offer of help.
#[derive(Debug)]
pub struct RecordHelpOffer {
    /// To which organisation.
    pub organisation: OrganisationId,
    /// Which help.
    pub help: HelpId,
    /// What happened.
    pub state: HelpState,
}

impl Plan for RecordHelpOffer {
    const KIND: Kind = Kind::Organisation;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let organisation = reads.organisation(context.agency(), &self.organisation, context.seal()).await?;
        organisation.ok_or(Rejected::NotFound("organisation"))?;
        let is_on_offer = CATALOGUE.help_of(context.agency(), &self.help, context.at).is_some();
        let present = reads.help_offer(context.agency(), &self.organisation, &self.help).await?;
        // What was offered can be answered, whatever became of the catalogue since.
        if !is_on_offer && (present.is_none() || self.state == HelpState::Offered) {
            let problem = "is not help that your agency has on offer now: HelpOfferService/ListHelp lists it";
            return Err(Rejected::invalid("help_id", problem).into());
        }
        let offer = match present {
            Some(present) => present.step(self.state, context.at)?,
            None if self.state == HelpState::Offered => HelpOffer {
                id: HelpOfferId::known(seal::new_id_at("help", context.at)),
                holder: context.agency().clone(),
                organisation: self.organisation.clone(),
                help: self.help.clone(),
                state: self.state,
                version: 1,
                offered_at: context.at,
                answered_at: None,
            },
            None => return Err(Rejected::WrongState("it was not offered: record the offer first").into()),
        };
        Ok(Change::new(&offer.id, offer.version, vec![Write::help_offer(&offer)]))
    }
}

impl Exchange {
    /// The agency's own offers of help; `filter` is an organisation.
    pub async fn help_offers(&self, page: Page) -> Result<Pages<HelpOffer>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let rows = reads.help_offers(&page.agency, &after, read, &page.filter).await?;
                page.turn(node, rows, read, |row| row.id.to_string())
            })
        })
        .await
    }
}
