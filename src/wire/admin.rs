//! `AdminService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert, tls};
use crate::domain::{AgencyId, Invalid, OfficerId, Part, Suspended, certificate_name};
use crate::exchange::{Resume, Suspend};
use crate::proto::v1::admin_service_server::AdminService;
use crate::proto::v1::{
    GetTlsStatusRequest, GetTlsStatusResponse, ListSuspensionsRequest, ListSuspensionsResponse, ResumeAgencyRequest,
    ResumeAgencyResponse, ResumeCertificateRequest, ResumeCertificateResponse, ResumeOfficerRequest,
    ResumeOfficerResponse, SuspendAgencyRequest, SuspendAgencyResponse, SuspendCertificateRequest,
    SuspendCertificateResponse, SuspendOfficerRequest, SuspendOfficerResponse,
};
use crate::rotation;

impl Desk {
    /// One's own officers go by the name in the token, another agency's by pseudonym.
    fn officer(&self, own: &AgencyId, agency: &str, officer: &str) -> Result<(Suspended, Option<OfficerId>), Invalid> {
        let agency = convert::field("agency", agency, AgencyId::parse)?;
        if agency != *own {
            let named = convert::field("officer", officer, |text| Suspended::officer(agency.clone(), &text))?;
            return Ok((named, None));
        }
        let officer = convert::field("officer", officer, OfficerId::parse)?;
        let part = Part::Officer(self.0.tokens.pseudonym(&agency, &officer));
        Ok((Suspended { agency, part }, Some(officer)))
    }
}

/// A certificate of an agency.
fn certificate(agency: &str, certificate: &str) -> Result<Suspended, Invalid> {
    let agency = convert::field("agency", agency, AgencyId::parse)?;
    let name = convert::field("certificate", certificate, |text| certificate_name(&text))?;
    Ok(Suspended { agency, part: Part::Certificate(name) })
}

#[tonic::async_trait]
impl AdminService for Desk {
    async fn suspend_officer(
        &self,
        request: Request<SuspendOfficerRequest>,
    ) -> Result<Response<SuspendOfficerResponse>, Status> {
        let call = self.admit("AdminService/SuspendOfficer", request)?;
        let by = call.by(&call.message.request_id)?;
        let named = self.officer(call.caller.agency(), &call.message.agency, &call.message.officer);
        let (whom, officer) = named.map_err(invalid)?;
        let pseudonym = whom.pseudonym().unwrap_or_default().to_owned();
        let done = call.exchange.change(by, Suspend { whom, officer }).await.map_err(failed)?;
        Ok(Response::new(SuspendOfficerResponse { pseudonym, receipt: done.receipt }))
    }

    async fn resume_officer(
        &self,
        request: Request<ResumeOfficerRequest>,
    ) -> Result<Response<ResumeOfficerResponse>, Status> {
        let call = self.admit("AdminService/ResumeOfficer", request)?;
        let by = call.by(&call.message.request_id)?;
        let named = self.officer(call.caller.agency(), &call.message.agency, &call.message.officer);
        let (whom, _) = named.map_err(invalid)?;
        let done = call.exchange.change(by, Resume { whom }).await.map_err(failed)?;
        Ok(Response::new(ResumeOfficerResponse { receipt: done.receipt }))
    }

    async fn suspend_agency(
        &self,
        request: Request<SuspendAgencyRequest>,
    ) -> Result<Response<SuspendAgencyResponse>, Status> {
        let call = self.admit("AdminService/SuspendAgency", request)?;
        let by = call.by(&call.message.request_id)?;
        let agency = convert::field("agency", &call.message.agency, AgencyId::parse).map_err(invalid)?;
        let whom = Suspended { agency, part: Part::Whole };
        let done = call.exchange.change(by, Suspend { whom, officer: None }).await.map_err(failed)?;
        Ok(Response::new(SuspendAgencyResponse { receipt: done.receipt }))
    }

    async fn resume_agency(
        &self,
        request: Request<ResumeAgencyRequest>,
    ) -> Result<Response<ResumeAgencyResponse>, Status> {
        let call = self.admit("AdminService/ResumeAgency", request)?;
        let by = call.by(&call.message.request_id)?;
        let agency = convert::field("agency", &call.message.agency, AgencyId::parse).map_err(invalid)?;
        let whom = Suspended { agency, part: Part::Whole };
        let done = call.exchange.change(by, Resume { whom }).await.map_err(failed)?;
        Ok(Response::new(ResumeAgencyResponse { receipt: done.receipt }))
    }

    async fn suspend_certificate(
        &self,
        request: Request<SuspendCertificateRequest>,
    ) -> Result<Response<SuspendCertificateResponse>, Status> {
        let call = self.admit("AdminService/SuspendCertificate", request)?;
        let by = call.by(&call.message.request_id)?;
        let whom = certificate(&call.message.agency, &call.message.certificate).map_err(invalid)?;
        let done = call.exchange.change(by, Suspend { whom, officer: None }).await.map_err(failed)?;
        Ok(Response::new(SuspendCertificateResponse { receipt: done.receipt }))
    }

    async fn resume_certificate(
        &self,
        request: Request<ResumeCertificateRequest>,
    ) -> Result<Response<ResumeCertificateResponse>, Status> {
        let call = self.admit("AdminService/ResumeCertificate", request)?;
        let by = call.by(&call.message.request_id)?;
        let whom = certificate(&call.message.agency, &call.message.certificate).map_err(invalid)?;
        let done = call.exchange.change(by, Resume { whom }).await.map_err(failed)?;
        Ok(Response::new(ResumeCertificateResponse { receipt: done.receipt }))
    }

    async fn get_tls_status(
        &self,
        request: Request<GetTlsStatusRequest>,
    ) -> Result<Response<GetTlsStatusResponse>, Status> {
        let call = self.admit("AdminService/GetTlsStatus", request)?;
        // Nothing of it is in the database. This reads there, as every call does: a suspended officer is turned away.
        call.exchange.time().await.map_err(failed)?;
        let rotation = &self.0.rotation;
        let node = call.exchange.node();
        let may_count = |agency: &AgencyId| agency == call.caller.agency() || !node.holds(agency);
        let is_late = !rotation.has_looked_of_late(rotation::now());
        let counts = rotation.connections().by_root();
        Ok(Response::new(tls::status(&rotation.status(), is_late, &counts, may_count)))
    }

    async fn list_suspensions(
        &self,
        request: Request<ListSuspensionsRequest>,
    ) -> Result<Response<ListSuspensionsResponse>, Status> {
        let call = self.admit("AdminService/ListSuspensions", request)?;
        let page = call.page(call.message.page_size, &call.message.page_token, "");
        let (found, next_page_token) = call.exchange.suspensions(page).await.map_err(failed)?;
        let suspensions = found.into_iter().map(convert::suspension).collect();
        Ok(Response::new(ListSuspensionsResponse { suspensions, next_page_token }))
    }
}
