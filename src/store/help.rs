//! Offers of help, and what came of them.

use crate::domain::{AgencyId, HelpId, HelpOffer, HelpOfferId, HelpState, Instant, OrganisationId};

use super::write::{Table, Write};
use super::{Reads, Result, Tx, inconsistent, on, row, rows, sql};

const HELP_OFFER: Table = Table {
    name: "help_offer",
    columns: &["id", "holder", "organisation_id", "help", "state", "version", "offered_at", "answered_at"],
    keep_existing: false,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    holder: String,
    organisation_id: String,
    help: String,
    state: String,
    version: i64,
    offered_at: i64,
    answered_at: Option<i64>,
}

fn offer(row: Row) -> Result<HelpOffer> {
    Ok(HelpOffer {
        state: HelpState::parse(&row.state)
            .ok_or_else(|| inconsistent("help_offer", &row.id, "has an unknown state"))?,
        id: HelpOfferId::known(row.id),
        holder: AgencyId::known(row.holder),
        organisation: OrganisationId::known(row.organisation_id),
        help: HelpId::known(row.help),
        version: row.version,
        offered_at: Instant::from_micros(row.offered_at),
        answered_at: row.answered_at.map(Instant::from_micros),
    })
}

impl Reads {
    /// The holder's offer of this help to this organisation.
    pub async fn help_offer(
        &mut self,
        holder: &AgencyId,
        organisation: &OrganisationId,
        help: &HelpId,
    ) -> Result<Option<HelpOffer>> {
        let found = row!(self, sql::HELP_OFFER, Row, holder.as_str(), organisation.as_str(), help.as_str());
        found.map(offer).transpose()
    }

    /// The holder's own offers after an id, to one organisation or (empty) to any.
    pub async fn help_offers(
        &mut self,
        holder: &AgencyId,
        after: &str,
        most: i64,
        organisation: &str,
    ) -> Result<Vec<HelpOffer>> {
        let found = rows!(self, sql::HELP_OFFERS, Row, holder.as_str(), after, most, organisation);
        found.into_iter().map(offer).collect()
    }
}

impl Write {
    /// Keeps an offer as it stands now: its first version is added, each later one replaces the one before.
    pub(crate) fn help_offer(offer: &HelpOffer) -> Self {
        let (state, version) = (offer.state.as_str(), offer.version);
        let (offered_at, answered_at) = (offer.offered_at.micros(), offer.answered_at.map(Instant::micros));
        if version > 1 {
            let cells =
                vec![state.into(), version.into(), offered_at.into(), answered_at.into(), offer.id.as_str().into()];
            return Self::change_one("help_offer", sql::CHANGE_HELP_OFFER, cells);
        }
        let row = vec![
            offer.id.as_str().into(),
            offer.holder.as_str().into(),
            offer.organisation.as_str().into(),
            offer.help.as_str().into(),
            state.into(),
            version.into(),
            offered_at.into(),
            answered_at.into(),
        ];
        Self::insert(&HELP_OFFER, row)
    }
}
