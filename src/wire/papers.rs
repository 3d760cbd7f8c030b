//! `PaperService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{DisclosureId, Invalid, OrganisationId, check};
use crate::exchange::{Paper, PaperFor};
use crate::proto::v1;
use crate::proto::v1::paper_service_server::PaperService;
use crate::proto::v1::{
    AcknowledgeConsentRequest, AcknowledgeConsentResponse, MakeConsentFormRequest, MakeConsentFormResponse,
    StateToOrganisationRequest, StateToOrganisationResponse,
};

/// The most disclosures that can be named.
const MOST_NAMED: usize = 200;

fn paper(made: Paper) -> v1::Paper {
    let Paper { page, digest, wording, wording_digest, receipts } = made;
    v1::Paper { page: page.unwrap_or_default(), digest, wording, wording_digest, receipts }
}

fn organisation(text: &str) -> Result<OrganisationId, Invalid> {
    convert::field("organisation_id", text, OrganisationId::parse)
}

fn named(field: &str, ids: &[String]) -> Result<Vec<DisclosureId>, Invalid> {
    check(ids.len() <= MOST_NAMED, field, format!("must be at most {MOST_NAMED}"))?;
    let one = |(i, id): (usize, &String)| convert::field(&format!("{field}[{i}]"), id, DisclosureId::parse);
    ids.iter().enumerate().map(one).collect()
}

fn statement(message: &StateToOrganisationRequest) -> Result<PaperFor, Invalid> {
    let (from, until) = (convert::instant("from", message.from)?, convert::instant("until", message.until)?);
    let is_span = from.zip(until).is_none_or(|(from, until)| from < until);
    check(is_span, "until", "must be later than `from`")?;
    let (leave_out, include) = (named("leave_out", &message.leave_out)?, named("include", &message.include)?);
    let organisation = organisation(&message.organisation_id)?;
    Ok(PaperFor::Statement { organisation, from, until, leave_out, include })
}

#[tonic::async_trait]
impl PaperService for Desk {
    async fn make_consent_form(
        &self,
        request: Request<MakeConsentFormRequest>,
    ) -> Result<Response<MakeConsentFormResponse>, Status> {
        let call = self.admit("PaperService/MakeConsentForm", request)?;
        let by = call.by(&call.message.request_id)?;
        let wanted = PaperFor::ConsentForm {
            organisation: organisation(&call.message.organisation_id).map_err(invalid)?,
            scope: convert::scope(call.message.scope.as_ref()).map_err(invalid)?,
        };
        let (made, receipt) = call.exchange.make_paper(by, wanted).await.map_err(failed)?;
        Ok(Response::new(MakeConsentFormResponse { paper: Some(paper(made)), receipt }))
    }

    async fn acknowledge_consent(
        &self,
        request: Request<AcknowledgeConsentRequest>,
    ) -> Result<Response<AcknowledgeConsentResponse>, Status> {
        let call = self.admit("PaperService/AcknowledgeConsent", request)?;
        let by = call.by(&call.message.request_id)?;
        let wanted =
            PaperFor::Acknowledgement { consent: convert::consent_id(&call.message.consent_id).map_err(invalid)? };
        let (made, receipt) = call.exchange.make_paper(by, wanted).await.map_err(failed)?;
        Ok(Response::new(AcknowledgeConsentResponse { paper: Some(paper(made)), receipt }))
    }

    async fn state_to_organisation(
        &self,
        request: Request<StateToOrganisationRequest>,
    ) -> Result<Response<StateToOrganisationResponse>, Status> {
        let call = self.admit("PaperService/StateToOrganisation", request)?;
        let by = call.by(&call.message.request_id)?;
        let wanted = statement(&call.message).map_err(invalid)?;
        let (made, receipt) = call.exchange.make_paper(by, wanted).await.map_err(failed)?;
        Ok(Response::new(StateToOrganisationResponse { paper: Some(paper(made)), receipt }))
    }
}
