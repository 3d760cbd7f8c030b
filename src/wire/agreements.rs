//! `AgreementService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{AgreementId, Rejected};
use crate::exchange::{ActivateAgreement, EndAgreement};
use crate::proto::v1::agreement_service_server::AgreementService;
use crate::proto::v1::{
    ActivateAgreementRequest, ActivateAgreementResponse, EndAgreementRequest, EndAgreementResponse,
    GetAgreementRequest, GetAgreementResponse, ListAgreementsRequest, ListAgreementsResponse,
};

#[tonic::async_trait]
impl AgreementService for Desk {
    async fn list_agreements(
        &self,
        request: Request<ListAgreementsRequest>,
    ) -> Result<Response<ListAgreementsResponse>, Status> {
        let call = self.admit("AgreementService/ListAgreements", request)?;
        let page = call.page(call.message.page_size, &call.message.page_token, "");
        let (views, next_page_token) = call.exchange.agreements(page).await.map_err(failed)?;
        let agreements = views.iter().map(convert::agreement).collect();
        Ok(Response::new(ListAgreementsResponse { agreements, next_page_token }))
    }

    async fn get_agreement(
        &self,
        request: Request<GetAgreementRequest>,
    ) -> Result<Response<GetAgreementResponse>, Status> {
        let call = self.admit("AgreementService/GetAgreement", request)?;
        let id = convert::field("agreement_id", &call.message.agreement_id, AgreementId::parse).map_err(invalid)?;
        let (views, _) = call.exchange.agreements(call.page(200, "", "")).await.map_err(failed)?;
        let digest = match call.message.digest.as_slice() {
            [] => None,
            bytes => Some(convert::digest("digest", bytes).map_err(invalid)?),
        };
        let view = views
            .iter()
            .find(|view| *view.agreement.id() == id && digest.is_none_or(|digest| view.agreement.digest() == digest));
        let view = view.ok_or_else(|| failed(Rejected::NotFound("agreement").into()))?;
        Ok(Response::new(GetAgreementResponse { agreement: Some(convert::agreement(view)) }))
    }

    async fn activate_agreement(
        &self,
        request: Request<ActivateAgreementRequest>,
    ) -> Result<Response<ActivateAgreementResponse>, Status> {
        let call = self.admit("AgreementService/ActivateAgreement", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = convert::field("agreement_id", &call.message.agreement_id, AgreementId::parse).map_err(invalid)?;
        let digest = convert::digest("digest", &call.message.digest).map_err(invalid)?;
        let done = call.exchange.change(by, ActivateAgreement { id, digest }).await.map_err(failed)?;
        Ok(Response::new(ActivateAgreementResponse {
            agreement_id: done.object,
            digest: digest.as_bytes().to_vec(),
            receipt: done.receipt,
        }))
    }

    async fn end_agreement(
        &self,
        request: Request<EndAgreementRequest>,
    ) -> Result<Response<EndAgreementResponse>, Status> {
        let call = self.admit("AgreementService/EndAgreement", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = convert::field("agreement_id", &call.message.agreement_id, AgreementId::parse).map_err(invalid)?;
        let done = call.exchange.change(by, EndAgreement { id }).await.map_err(failed)?;
        Ok(Response::new(EndAgreementResponse { agreement_id: done.object, receipt: done.receipt }))
    }
}
