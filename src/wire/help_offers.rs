//! `HelpOfferService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{AgencyId, HelpId, HelpOffer, HelpState, Invalid, OrganisationId};
use crate::exchange::RecordHelpOffer;
use crate::proto::v1;
use crate::proto::v1::help_offer_service_server::HelpOfferService;
use crate::proto::v1::{
    Help, ListHelpOffersRequest, ListHelpOffersResponse, ListHelpRequest, ListHelpResponse, RecordHelpOfferRequest,
    RecordHelpOfferResponse,
};
use crate::signpost::{CATALOGUE, Dated as _, version_at};

fn record(message: &RecordHelpOfferRequest) -> Result<RecordHelpOffer, Invalid> {
    let state = |text: String| {
        let one_of = || HelpState::ALL.map(HelpState::as_str).join(", ");
        HelpState::parse(&text).ok_or_else(|| Invalid::new("", format!("must be one of {}", one_of())))
    };
    Ok(RecordHelpOffer {
        organisation: convert::field("organisation_id", &message.organisation_id, OrganisationId::parse)?,
        help: convert::field("help_id", &message.help_id, HelpId::parse)?,
        state: convert::field("state", &message.state, state)?,
    })
}

fn help_offer(offer: &HelpOffer) -> v1::HelpOffer {
    v1::HelpOffer {
        id: offer.id.to_string(),
        organisation_id: offer.organisation.to_string(),
        help_id: offer.help.to_string(),
        state: offer.state.as_str().to_owned(),
        version: offer.version,
        offered_at: Some(convert::timestamp(offer.offered_at)),
        answered_at: offer.answered_at.map(convert::timestamp),
    }
}

#[tonic::async_trait]
impl HelpOfferService for Desk {
    async fn list_help(&self, request: Request<ListHelpRequest>) -> Result<Response<ListHelpResponse>, Status> {
        let call = self.admit("HelpOfferService/ListHelp", request)?;
        let agency = convert::optional("agency", &call.message.agency, AgencyId::parse).map_err(invalid)?;
        let stated = convert::instant("as_of", call.message.as_of).map_err(invalid)?;
        let now = call.exchange.time().await.map_err(failed)?;
        let wanted =
            CATALOGUE.help().iter().filter(|help| agency.as_ref().is_none_or(|agency| help.agency == agency.as_str()));
        let on_offer = wanted.filter_map(|help| Some((help, version_at(&help.versions, stated.unwrap_or(now))?)));
        let help = on_offer.map(|(help, version)| Help {
            id: help.id.clone(),
            agency: help.agency.clone(),
            title: version.title.clone(),
            text: version.text.clone(),
            valid_from: Some(convert::timestamp(version.validity().from)),
            valid_until: version.validity().until.map(convert::timestamp),
            source: version.source.clone(),
        });
        Ok(Response::new(ListHelpResponse { help: help.collect() }))
    }

    async fn record_help_offer(
        &self,
        request: Request<RecordHelpOfferRequest>,
    ) -> Result<Response<RecordHelpOfferResponse>, Status> {
        let call = self.admit("HelpOfferService/RecordHelpOffer", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = record(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        let (help_offer_id, version, receipt) = (done.object, done.version, done.receipt);
        Ok(Response::new(RecordHelpOfferResponse { help_offer_id, version, receipt }))
    }

    async fn list_help_offers(
        &self,
        request: Request<ListHelpOffersRequest>,
    ) -> Result<Response<ListHelpOffersResponse>, Status> {
        let call = self.admit("HelpOfferService/ListHelpOffers", request)?;
        let organisation = convert::optional("organisation_id", &call.message.organisation_id, OrganisationId::parse);
        let filter = organisation.map_err(invalid)?.map(|id| id.to_string()).unwrap_or_default();
        let page = call.page(call.message.page_size, &call.message.page_token, &filter);
        let (found, next_page_token) = call.exchange.help_offers(page).await.map_err(failed)?;
        let help_offers = found.iter().map(help_offer).collect();
        Ok(Response::new(ListHelpOffersResponse { help_offers, next_page_token }))
    }
}
