//! `NoticeService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{AgencyId, Invalid, NoticeId, Said};
use crate::exchange::AcknowledgeNotice;
use crate::proto::v1::notice_service_server::NoticeService;
use crate::proto::v1::{
    AcknowledgeNoticeRequest, AcknowledgeNoticeResponse, GetNoticeRequest, GetNoticeResponse, ListIssuedNoticesRequest,
    ListIssuedNoticesResponse, ListNoticesRequest, ListNoticesResponse,
};

fn filter(outstanding: bool) -> &'static str {
    if outstanding { "outstanding" } else { "" }
}

fn acknowledge(message: &AcknowledgeNoticeRequest) -> Result<AcknowledgeNotice, Invalid> {
    let passed_on = if message.passed_on_to.is_empty() {
        std::collections::BTreeSet::new()
    } else {
        convert::set("passed_on_to", &message.passed_on_to, AgencyId::parse)?
    };
    Ok(AcknowledgeNotice {
        id: convert::field("notice_id", &message.notice_id, NoticeId::parse)?,
        said: Said {
            outcome: convert::required("outcome", &message.outcome, 32)?,
            reason: convert::text("reason", &message.reason, 500)?,
            passed_on,
        },
    })
}

#[tonic::async_trait]
impl NoticeService for Desk {
    async fn list_notices(
        &self,
        request: Request<ListNoticesRequest>,
    ) -> Result<Response<ListNoticesResponse>, Status> {
        let call = self.admit("NoticeService/ListNotices", request)?;
        let page = call.page(call.message.page_size, &call.message.page_token, filter(call.message.outstanding));
        let (found, next_page_token) = call.exchange.notices(page).await.map_err(failed)?;
        let notices = found.iter().map(convert::notice).collect();
        Ok(Response::new(ListNoticesResponse { notices, next_page_token }))
    }

    async fn get_notice(&self, request: Request<GetNoticeRequest>) -> Result<Response<GetNoticeResponse>, Status> {
        let call = self.admit("NoticeService/GetNotice", request)?;
        let id = convert::field("notice_id", &call.message.notice_id, NoticeId::parse).map_err(invalid)?;
        let (view, receipt) = call.exchange.notice(call.caller.agency().clone(), id).await.map_err(failed)?;
        Ok(Response::new(GetNoticeResponse { notice: Some(convert::notice(&view)), receipt: Some(receipt) }))
    }

    async fn acknowledge_notice(
        &self,
        request: Request<AcknowledgeNoticeRequest>,
    ) -> Result<Response<AcknowledgeNoticeResponse>, Status> {
        let call = self.admit("NoticeService/AcknowledgeNotice", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = acknowledge(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        let (notice_id, version, receipt) = (done.object, done.version, done.receipt);
        Ok(Response::new(AcknowledgeNoticeResponse { notice_id, version, receipt }))
    }

    async fn list_issued_notices(
        &self,
        request: Request<ListIssuedNoticesRequest>,
    ) -> Result<Response<ListIssuedNoticesResponse>, Status> {
        let call = self.admit("NoticeService/ListIssuedNotices", request)?;
        let page = call.page(call.message.page_size, &call.message.page_token, filter(call.message.outstanding));
        let (found, next_page_token) = call.exchange.issued_notices(page).await.map_err(failed)?;
        let notices = found.iter().map(convert::issued_notice).collect();
        Ok(Response::new(ListIssuedNoticesResponse { notices, next_page_token }))
    }
}
