//! `PermissionService`.

use prost::Message as _;
use tonic::{Request, Response, Status};

use super::status::{failed, internal, invalid, purpose_not_in_token};
use super::{Desk, convert};
use crate::domain::{AgencyId, Ground, IncidentId, Instant, Invalid, OrganisationId, PermissionId, Purpose, check};
use crate::exchange::{
    AskPermission, AskPermissionAgain, AskToName, DeclinePermission, Exchange, GivePermission, PresentPermission,
    PresentWithdrawal, WithdrawPermission,
};
use crate::proto::v1;
use crate::proto::v1::permission_service_server::PermissionService;

fn permission_id(text: &str) -> Result<PermissionId, Status> {
    convert::field("permission_id", text, PermissionId::parse).map_err(invalid)
}

/// What a receipt's outcome says of a permission, or of naming.
fn said<T: prost::Message + Default>(receipt: Option<&v1::Receipt>) -> Result<T, Status> {
    let openings = receipt.map(|receipt| receipt.openings.as_slice()).unwrap_or_default();
    let outcome = openings.iter().find(|opening| opening.slot() == v1::Slot::Outcome);
    let outcome = outcome.ok_or_else(|| internal("a permission's entry has no outcome"))?;
    T::decode(outcome.payload.as_slice()).map_err(|_| internal("a permission's outcome cannot be read"))
}

fn new(message: &v1::AskPermissionRequest, exchange: &Exchange) -> Result<AskPermission, Invalid> {
    let upstream = convert::field("upstream", &message.upstream, AgencyId::parse)?;
    check(exchange.node().holds(&upstream), "upstream", "is not an agency whose records this node holds")?;
    Ok(AskPermission {
        upstream,
        receipt: receipt(&message.receipt)?,
        reference: convert::text("reference", &message.reference, 64)?,
        recipient: convert::field("recipient", &message.recipient, AgencyId::parse)?,
        purpose: convert::field("purpose", &message.purpose, Purpose::parse)?,
        categories: convert::categories("categories", &message.categories)?,
    })
}

fn again(message: &v1::AskPermissionRequest) -> Result<(), Invalid> {
    let unset = "must not be set when a permission is asked for again";
    check(message.upstream.is_empty(), "upstream", unset)?;
    check(message.receipt.is_empty(), "receipt", unset)?;
    check(message.reference.is_empty(), "reference", unset)?;
    check(message.recipient.is_empty(), "recipient", unset)?;
    check(message.purpose.is_empty(), "purpose", unset)?;
    check(message.categories.is_empty(), "categories", unset)
}

fn to_name(message: &v1::AskToNameRequest) -> Result<AskToName, Invalid> {
    check(!message.identifiers.is_empty(), "identifiers", "is required: at least one")?;
    Ok(AskToName {
        organisation: convert::field("organisation_id", &message.organisation_id, OrganisationId::parse)?,
        identifiers: convert::identifiers("identifiers", &message.identifiers)?,
        recipient: convert::field("recipient", &message.recipient, AgencyId::parse)?,
        purpose: convert::field("purpose", &message.purpose, Purpose::parse)?,
        ground: convert::field("ground", &message.ground, Ground::parse)?,
    })
}

fn receipt(encoded: &[u8]) -> Result<Vec<u8>, Invalid> {
    check(!encoded.is_empty(), "receipt", "is required")?;
    Ok(encoded.to_vec())
}

#[tonic::async_trait]
impl PermissionService for Desk {
    async fn ask_permission(
        &self,
        request: Request<v1::AskPermissionRequest>,
    ) -> Result<Response<v1::AskPermissionResponse>, Status> {
        let call = self.admit("PermissionService/AskPermission", request)?;
        let by = call.by(&call.message.request_id)?;
        let done = if call.message.permission_id.is_empty() {
            let ask = new(&call.message, &call.exchange).map_err(invalid)?;
            if !call.caller.may_state(&ask.purpose) {
                return Err(purpose_not_in_token(ask.purpose.as_str()));
            }
            call.exchange.change(by, ask).await
        } else {
            again(&call.message).map_err(invalid)?;
            let id = permission_id(&call.message.permission_id)?;
            call.exchange.change(by, AskPermissionAgain { id, purposes: call.caller.purposes().clone() }).await
        };
        let done = done.map_err(failed)?;
        // By the entry: a repeat is answered as the call was.
        let answer = said::<v1::PermissionStatement>(done.receipt.as_ref())?.state;
        Ok(Response::new(v1::AskPermissionResponse { permission_id: done.object, answer, receipt: done.receipt }))
    }

    async fn list_permissions(
        &self,
        request: Request<v1::ListPermissionsRequest>,
    ) -> Result<Response<v1::ListPermissionsResponse>, Status> {
        let call = self.admit("PermissionService/ListPermissions", request)?;
        let page = call.page(call.message.page_size, &call.message.page_token, "");
        let (found, next_page_token) = call.exchange.permissions(page).await.map_err(failed)?;
        let permissions = found.into_iter().map(convert::permission).collect();
        Ok(Response::new(v1::ListPermissionsResponse { permissions, next_page_token }))
    }

    async fn give_permission(
        &self,
        request: Request<v1::GivePermissionRequest>,
    ) -> Result<Response<v1::GivePermissionResponse>, Status> {
        let call = self.admit("PermissionService/GivePermission", request)?;
        let by = call.by(&call.message.request_id)?;
        let message = &call.message;
        let categories = match message.categories.as_slice() {
            [] => Ok(std::collections::BTreeSet::new()),
            some => convert::categories("categories", some),
        };
        let change = GivePermission {
            id: permission_id(&message.permission_id)?,
            categories: categories.map_err(invalid)?,
            valid_until: convert::instant("valid_until", message.valid_until).map_err(invalid)?,
        };
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(v1::GivePermissionResponse { permission_id: done.object, receipt: done.receipt }))
    }

    async fn decline_permission(
        &self,
        request: Request<v1::DeclinePermissionRequest>,
    ) -> Result<Response<v1::DeclinePermissionResponse>, Status> {
        let call = self.admit("PermissionService/DeclinePermission", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = permission_id(&call.message.permission_id)?;
        let done = call.exchange.change(by, DeclinePermission { id }).await.map_err(failed)?;
        Ok(Response::new(v1::DeclinePermissionResponse { permission_id: done.object, receipt: done.receipt }))
    }

    async fn withdraw_permission(
        &self,
        request: Request<v1::WithdrawPermissionRequest>,
    ) -> Result<Response<v1::WithdrawPermissionResponse>, Status> {
        let call = self.admit("PermissionService/WithdrawPermission", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = permission_id(&call.message.permission_id)?;
        let done = call.exchange.change(by, WithdrawPermission { id }).await.map_err(failed)?;
        Ok(Response::new(v1::WithdrawPermissionResponse { permission_id: done.object, receipt: done.receipt }))
    }

    async fn present_permission(
        &self,
        request: Request<v1::PresentPermissionRequest>,
    ) -> Result<Response<v1::PresentPermissionResponse>, Status> {
        let call = self.admit("PermissionService/PresentPermission", request)?;
        let by = call.by(&call.message.request_id)?;
        let incident = convert::field("incident_id", &call.message.incident_id, IncidentId::parse).map_err(invalid)?;
        let receipt = receipt(&call.message.receipt).map_err(invalid)?;
        let presented = v1::Receipt::decode(receipt.as_slice()).ok();
        let done = call.exchange.change(by, PresentPermission { receipt, incident }).await.map_err(failed)?;
        let until = said::<v1::PermissionStatement>(presented.as_ref())?.until_micros;
        Ok(Response::new(v1::PresentPermissionResponse {
            permission_id: done.object,
            until: Some(convert::timestamp(Instant::from_micros(until))),
            receipt: done.receipt,
        }))
    }

    async fn present_withdrawal(
        &self,
        request: Request<v1::PresentWithdrawalRequest>,
    ) -> Result<Response<v1::PresentWithdrawalResponse>, Status> {
        let call = self.admit("PermissionService/PresentWithdrawal", request)?;
        let by = call.by(&call.message.request_id)?;
        let receipt = receipt(&call.message.receipt).map_err(invalid)?;
        let done = call.exchange.change(by, PresentWithdrawal { receipt }).await.map_err(failed)?;
        Ok(Response::new(v1::PresentWithdrawalResponse { permission_id: done.object, receipt: done.receipt }))
    }

    async fn ask_to_name(
        &self,
        request: Request<v1::AskToNameRequest>,
    ) -> Result<Response<v1::AskToNameResponse>, Status> {
        let call = self.admit("PermissionService/AskToName", request)?;
        let by = call.by(&call.message.request_id)?;
        let ask = to_name(&call.message).map_err(invalid)?;
        if !call.caller.may_state(&ask.purpose) {
            return Err(purpose_not_in_token(ask.purpose.as_str()));
        }
        let mut done = call.exchange.change(by, ask).await.map_err(failed)?;
        // By the entry: a repeat is answered as the call was.
        let said: v1::NamingStatement = said(done.receipt.as_ref())?;
        // As another agency's node wants to see it.
        if let Some(receipt) = &mut done.receipt {
            receipt.openings.retain(|opening| opening.slot() == v1::Slot::Outcome);
        }
        let until = (said.until_micros > 0).then(|| convert::timestamp(Instant::from_micros(said.until_micros)));
        let v1::NamingStatement { answer, reason, explanation, .. } = said;
        Ok(Response::new(v1::AskToNameResponse { answer, reason, explanation, until, receipt: done.receipt }))
    }
}
