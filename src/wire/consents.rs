//! `ConsentService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{AgencyId, ConsentId, OrganisationId, check};
use crate::exchange::{
    MarkConsentInError, NarrowConsent, ReconfirmConsent, RecordConsent, RefuseConsent, SeekConsent, VerifyConsent,
    WithdrawConsent,
};
use crate::proto::v1::consent_service_server::ConsentService;
use crate::proto::v1::{
    GetConsentRequest, GetConsentResponse, ListConsentsRequest, ListConsentsResponse, MarkConsentInErrorRequest,
    MarkConsentInErrorResponse, NarrowConsentRequest, NarrowConsentResponse, ReconfirmConsentRequest,
    ReconfirmConsentResponse, RecordConsentRequest, RecordConsentResponse, RefuseConsentRequest, RefuseConsentResponse,
    SeekConsentRequest, SeekConsentResponse, VerifyConsentRequest, VerifyConsentResponse, WithdrawConsentRequest,
    WithdrawConsentResponse,
};

/// A changing RPC: admit, read the change, do it, answer with the consent's id, version and receipt.
macro_rules! changes {
    ($desk:ident, $request:ident, $method:literal, $response:ident, |$message:ident| $change:expr) => {{
        let call = $desk.admit($method, $request)?;
        let by = call.by(&call.message.request_id)?;
        let $message = &call.message;
        let done = call.exchange.change(by, $change).await.map_err(failed)?;
        Ok(Response::new($response { consent_id: done.object, version: done.version, receipt: done.receipt }))
    }};
}

fn organisation(text: &str) -> Result<OrganisationId, Status> {
    convert::field("organisation_id", text, OrganisationId::parse).map_err(invalid)
}

fn consent(text: &str) -> Result<ConsentId, Status> {
    convert::consent_id(text).map_err(invalid)
}

#[tonic::async_trait]
impl ConsentService for Desk {
    async fn seek_consent(
        &self,
        request: Request<SeekConsentRequest>,
    ) -> Result<Response<SeekConsentResponse>, Status> {
        changes!(self, request, "ConsentService/SeekConsent", SeekConsentResponse, |message| SeekConsent {
            organisation: organisation(&message.organisation_id)?,
            recipient: convert::field("recipient", &message.recipient, AgencyId::parse).map_err(invalid)?,
        })
    }

    async fn record_consent(
        &self,
        request: Request<RecordConsentRequest>,
    ) -> Result<Response<RecordConsentResponse>, Status> {
        changes!(self, request, "ConsentService/RecordConsent", RecordConsentResponse, |message| RecordConsent {
            id: convert::optional("consent_id", &message.consent_id, ConsentId::parse).map_err(invalid)?,
            organisation: organisation(&message.organisation_id)?,
            scope: convert::scope(message.scope.as_ref()).map_err(invalid)?,
            evidence: convert::evidence(message.evidence.as_ref()).map_err(invalid)?,
        })
    }

    async fn verify_consent(
        &self,
        request: Request<VerifyConsentRequest>,
    ) -> Result<Response<VerifyConsentResponse>, Status> {
        changes!(self, request, "ConsentService/VerifyConsent", VerifyConsentResponse, |message| VerifyConsent {
            id: consent(&message.consent_id)?,
            version: {
                check(message.version > 0, "version", "is required: the version that was checked").map_err(invalid)?;
                message.version
            },
        })
    }

    async fn refuse_consent(
        &self,
        request: Request<RefuseConsentRequest>,
    ) -> Result<Response<RefuseConsentResponse>, Status> {
        changes!(self, request, "ConsentService/RefuseConsent", RefuseConsentResponse, |message| RefuseConsent {
            id: consent(&message.consent_id)?,
        })
    }

    async fn narrow_consent(
        &self,
        request: Request<NarrowConsentRequest>,
    ) -> Result<Response<NarrowConsentResponse>, Status> {
        changes!(self, request, "ConsentService/NarrowConsent", NarrowConsentResponse, |message| NarrowConsent {
            id: consent(&message.consent_id)?,
            scope: convert::scope(message.scope.as_ref()).map_err(invalid)?,
        })
    }

    async fn reconfirm_consent(
        &self,
        request: Request<ReconfirmConsentRequest>,
    ) -> Result<Response<ReconfirmConsentResponse>, Status> {
        changes!(self, request, "ConsentService/ReconfirmConsent", ReconfirmConsentResponse, |message| {
            ReconfirmConsent {
                id: consent(&message.consent_id)?,
                scope: convert::scope(message.scope.as_ref()).map_err(invalid)?,
                evidence: convert::evidence(message.evidence.as_ref()).map_err(invalid)?,
            }
        })
    }

    async fn withdraw_consent(
        &self,
        request: Request<WithdrawConsentRequest>,
    ) -> Result<Response<WithdrawConsentResponse>, Status> {
        changes!(self, request, "ConsentService/WithdrawConsent", WithdrawConsentResponse, |message| {
            WithdrawConsent { id: consent(&message.consent_id)? }
        })
    }

    async fn mark_consent_in_error(
        &self,
        request: Request<MarkConsentInErrorRequest>,
    ) -> Result<Response<MarkConsentInErrorResponse>, Status> {
        changes!(self, request, "ConsentService/MarkConsentInError", MarkConsentInErrorResponse, |message| {
            MarkConsentInError { id: consent(&message.consent_id)? }
        })
    }

    async fn get_consent(&self, request: Request<GetConsentRequest>) -> Result<Response<GetConsentResponse>, Status> {
        let call = self.admit("ConsentService/GetConsent", request)?;
        let id = consent(&call.message.consent_id)?;
        let versions = call.exchange.consent(call.caller.agency().clone(), id).await.map_err(failed)?;
        let at = call.exchange.node().clock().now();
        let consent = convert::consent(versions, at).map_err(|rejected| failed(rejected.into()))?;
        Ok(Response::new(GetConsentResponse { consent: Some(consent) }))
    }

    async fn list_consents(
        &self,
        request: Request<ListConsentsRequest>,
    ) -> Result<Response<ListConsentsResponse>, Status> {
        let call = self.admit("ConsentService/ListConsents", request)?;
        let message = &call.message;
        convert::optional("organisation_id", &message.organisation_id, OrganisationId::parse).map_err(invalid)?;
        let page = call.page(message.page_size, &message.page_token, &message.organisation_id);
        let (found, next_page_token) = call.exchange.consents(page).await.map_err(failed)?;
        let at = call.exchange.node().clock().now();
        let consents = found.into_iter().filter_map(|newest| convert::consent(vec![newest], at).ok()).collect();
        Ok(Response::new(ListConsentsResponse { consents, next_page_token }))
    }
}
