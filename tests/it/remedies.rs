//! What puts mistakes right: notices, wrongful releases, disclosures made elsewhere, for tests about them.

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::disclosure_service_client::DisclosureServiceClient;
use concordat::proto::v1::notice_service_client::NoticeServiceClient;
use concordat::proto::v1::wrongful_release_service_client::WrongfulReleaseServiceClient;
use prost::Message as _;
use tonic::Status;

use crate::builders::{Held, Permitted, assert_released, names};
use crate::harness::{World, request_id};

impl World {
    pub(crate) fn notice_desk(&self, agency: &str) -> NoticeServiceClient<OfficerChannel> {
        NoticeServiceClient::new(self.officer(agency, "desk", &["requester", "authoriser"]))
    }

    /// The notices to an agency.
    pub(crate) async fn notices(&self, agency: &str) -> Vec<v1::Notice> {
        let request = v1::ListNoticesRequest { page_size: 200, ..v1::ListNoticesRequest::default() };
        self.notice_desk(agency).list_notices(request).await.unwrap().into_inner().notices
    }

    /// The kinds of the notices to an agency, the oldest first.
    pub(crate) async fn kinds(&self, agency: &str) -> Vec<String> {
        self.notices(agency).await.into_iter().map(|notice| notice.kind).collect()
    }

    /// The notices that an agency issued.
    pub(crate) async fn issued(&self, agency: &str) -> Vec<v1::IssuedNotice> {
        let request = v1::ListIssuedNoticesRequest { page_size: 200, ..v1::ListIssuedNoticesRequest::default() };
        self.notice_desk(agency).list_issued_notices(request).await.unwrap().into_inner().notices
    }

    pub(crate) async fn notice(&self, agency: &str, id: &str) -> Result<v1::GetNoticeResponse, Status> {
        let request = v1::GetNoticeRequest { notice_id: id.into() };
        self.notice_desk(agency).get_notice(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn say(&self, agency: &str, notice: &str, outcome: &str) -> Result<v1::Receipt, Status> {
        self.say_all(agency, notice, outcome, "", &[]).await
    }

    pub(crate) async fn say_all(
        &self,
        agency: &str,
        notice: &str,
        outcome: &str,
        reason: &str,
        passed_on: &[&str],
    ) -> Result<v1::Receipt, Status> {
        let request = v1::AcknowledgeNoticeRequest {
            request_id: request_id(),
            notice_id: notice.into(),
            outcome: outcome.into(),
            reason: reason.into(),
            passed_on_to: names(passed_on),
        };
        Ok(self.notice_desk(agency).acknowledge_notice(request).await?.into_inner().receipt.unwrap())
    }

    /// A release to the recipient, and its entry.
    pub(crate) async fn release_to_recipient(&self, held: &Held) -> u64 {
        let response = self.put(held, self.ask(held)).await.unwrap();
        assert_released(response.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        response.receipt.unwrap().index
    }

    /// An incident of which the ICO was released something, and the entry of that.
    pub(crate) async fn released_to_ico(&self) -> (Permitted, u64) {
        let permitted = self.permitted("ncsc").await;
        let index = self.release_to_recipient(&permitted.held).await;
        (permitted, index)
    }

    pub(crate) fn disclosure_desk(&self, agency: &str) -> DisclosureServiceClient<OfficerChannel> {
        DisclosureServiceClient::new(self.officer(agency, "desk", &["authoriser"]))
    }

    /// What would be written down of a telephone call.
    pub(crate) fn telephone_call(&self, held: &Held, recipient: &str) -> v1::RecordDisclosureRequest {
        v1::RecordDisclosureRequest {
            request_id: request_id(),
            incident_id: held.incident.clone(),
            recipient: recipient.into(),
            disclosed_at: self.in_seconds(-3_600),
            categories: names(&["identity"]),
            ground: "isa-1994-s4-2-a".into(),
            means: "telephone".into(),
            officer: "A. Duty".into(),
            ..v1::RecordDisclosureRequest::default()
        }
    }

    pub(crate) async fn record_disclosure(
        &self,
        holder: &str,
        request: v1::RecordDisclosureRequest,
    ) -> Result<String, Status> {
        Ok(self.disclosure_desk(holder).record_disclosure(request).await?.into_inner().disclosure_id)
    }

    pub(crate) async fn disclosures(&self, held: &Held) -> Vec<v1::Disclosure> {
        let request =
            v1::ListDisclosuresRequest { incident_id: held.incident.clone(), ..v1::ListDisclosuresRequest::default() };
        self.disclosure_desk(&held.holder).list_disclosures(request).await.unwrap().into_inner().disclosures
    }

    pub(crate) fn wrongful_desk(&self, agency: &str) -> WrongfulReleaseServiceClient<OfficerChannel> {
        WrongfulReleaseServiceClient::new(self.officer(agency, "desk", &["authoriser"]))
    }

    pub(crate) async fn report(
        &self,
        holder: &str,
        request: v1::ReportWrongfulReleaseRequest,
    ) -> Result<String, Status> {
        let request = v1::ReportWrongfulReleaseRequest { request_id: request_id(), ..request };
        Ok(self.wrongful_desk(holder).report_wrongful_release(request).await?.into_inner().wrongful_release_id)
    }

    /// Reports releases that went to the wrong recipient.
    pub(crate) async fn report_releases(&self, holder: &str, indexes: &[u64]) -> Result<String, Status> {
        let request = v1::ReportWrongfulReleaseRequest {
            cause: "wrong-recipient".into(),
            receipt_indexes: indexes.to_vec(),
            ..v1::ReportWrongfulReleaseRequest::default()
        };
        self.report(holder, request).await
    }

    /// Reports a disclosure made elsewhere.
    pub(crate) async fn report_disclosure(&self, holder: &str, id: &str) -> Result<String, Status> {
        let request = v1::ReportWrongfulReleaseRequest {
            cause: "wrong-match".into(),
            disclosure_ids: names(&[id]),
            ..v1::ReportWrongfulReleaseRequest::default()
        };
        self.report(holder, request).await
    }

    pub(crate) async fn wrongful(&self, holder: &str, id: &str) -> v1::WrongfulRelease {
        let request = v1::GetWrongfulReleaseRequest { wrongful_release_id: id.into() };
        let got = self.wrongful_desk(holder).get_wrongful_release(request).await.unwrap().into_inner();
        got.wrongful_release.unwrap()
    }

    pub(crate) async fn wrongful_releases(&self, holder: &str) -> Vec<v1::WrongfulRelease> {
        let request = v1::ListWrongfulReleasesRequest::default();
        self.wrongful_desk(holder).list_wrongful_releases(request).await.unwrap().into_inner().wrongful_releases
    }

    pub(crate) async fn close(&self, holder: &str, id: &str, reason: &str, lift: bool) -> Result<v1::Receipt, Status> {
        let request = v1::CloseWrongfulReleaseRequest {
            request_id: request_id(),
            wrongful_release_id: id.into(),
            reason: reason.into(),
            lift_freeze: lift,
        };
        Ok(self.wrongful_desk(holder).close_wrongful_release(request).await?.into_inner().receipt.unwrap())
    }

    pub(crate) async fn mark_in_error(&self, held: &Held, consent: &str) -> Result<v1::Receipt, Status> {
        let mut consents: ConsentServiceClient<_> = self.consents(&held.holder);
        let request = v1::MarkConsentInErrorRequest { request_id: request_id(), consent_id: consent.into() };
        Ok(consents.mark_consent_in_error(request).await?.into_inner().receipt.unwrap())
    }

    /// The receipt of an entry as one agency has it.
    pub(crate) async fn entry(&self, agency: &str, index: u64) -> Result<v1::Receipt, Status> {
        let got = self.ledger(agency).get_entry(v1::GetEntryRequest { index }).await?.into_inner();
        Ok(got.receipt.unwrap())
    }

    pub(crate) async fn valid_remedy(&self, rpc: &str, request_id: String, variant: usize) -> Option<Vec<u8>> {
        let page_size = 1;
        Some(match rpc {
            "MarkConsentInError" => {
                let held = self.hold("ncsc", "ico").await;
                let consent_id = self.give_consent(&held, self.scope(&held)).await;
                v1::MarkConsentInErrorRequest { request_id, consent_id }.encode_to_vec()
            }
            "ListNotices" => {
                drop(self.stopped_by("ncsc").await);
                drop(self.stopped_by("ncsc").await);
                let request = v1::ListNoticesRequest { page_size, page_token: String::new(), outstanding: true };
                let first = self.notice_desk("ico").list_notices(request.clone()).await.unwrap().into_inner();
                v1::ListNoticesRequest { page_token: first.next_page_token, ..request }.encode_to_vec()
            }
            "GetNotice" => v1::GetNoticeRequest { notice_id: self.stopped_by("ncsc").await }.encode_to_vec(),
            "AcknowledgeNotice" => v1::AcknowledgeNoticeRequest {
                request_id,
                notice_id: self.stopped_by("ncsc").await,
                outcome: "kept".into(),
                reason: "a court asked for it".into(),
                passed_on_to: names(&["met-police"]),
            }
            .encode_to_vec(),
            "ListIssuedNotices" => {
                drop(self.stopped_by("ncsc").await);
                drop(self.stopped_by("ncsc").await);
                let request = v1::ListIssuedNoticesRequest { page_size, page_token: String::new(), outstanding: true };
                let first = self.notice_desk("ncsc").list_issued_notices(request.clone()).await.unwrap().into_inner();
                v1::ListIssuedNoticesRequest { page_token: first.next_page_token, ..request }.encode_to_vec()
            }
            "RecordDisclosure" if variant == 1 => {
                let held = self.hold("ico", "ncsc").await;
                self.authorise(&held).await;
                let release = self.put(&held, self.ask(&held)).await.unwrap();
                let received = self.receive("ncsc", release, "nca").await;
                let (permission, receipt) = self.permitted_to_pass_on(&received, "ico").await;
                self.present(&received.held, receipt).await.unwrap();
                let (permission_ids, call) = (vec![permission], self.telephone_call(&received.held, "nca"));
                v1::RecordDisclosureRequest { request_id, revision: 1, permission_ids, ..call }.encode_to_vec()
            }
            "RecordDisclosure" => {
                let Permitted { held, consent, authorisation } = self.permitted("ncsc").await;
                // The consent must have been given by then, or this stops it as well.
                let disclosed_at = self.in_seconds(0);
                let call = v1::RecordDisclosureRequest { disclosed_at, ..self.telephone_call(&held, "ico") };
                let (consent_id, authorisation_id) = (consent, authorisation);
                v1::RecordDisclosureRequest { request_id, revision: 1, consent_id, authorisation_id, ..call }
                    .encode_to_vec()
            }
            "ListDisclosures" => {
                let held = self.hold("ncsc", "ico").await;
                self.record_disclosure("ncsc", self.telephone_call(&held, "ico")).await.unwrap();
                self.record_disclosure("ncsc", self.telephone_call(&held, "met-police")).await.unwrap();
                let request =
                    v1::ListDisclosuresRequest { page_size, page_token: String::new(), incident_id: held.incident };
                let first = self.disclosure_desk("ncsc").list_disclosures(request.clone()).await.unwrap().into_inner();
                // A token belongs to its incident.
                let page_token = if variant == 0 { String::new() } else { first.next_page_token };
                v1::ListDisclosuresRequest { page_token, ..request }.encode_to_vec()
            }
            "ReportWrongfulRelease" => {
                let mut request = v1::ReportWrongfulReleaseRequest { request_id, ..Default::default() };
                request.cause = "wrong-match".into();
                if variant == 1 {
                    request.receipt_indexes = vec![self.released_to_ico().await.1];
                } else if variant == 2 {
                    request.consent_id = self.released_to_ico().await.0.consent;
                } else {
                    let held = self.hold("ncsc", "ico").await;
                    let call = self.telephone_call(&held, "met-police");
                    request.disclosure_ids = vec![self.record_disclosure("ncsc", call).await.unwrap()];
                    request.aware_at = self.in_seconds(-60);
                }
                request.encode_to_vec()
            }
            "GetWrongfulRelease" => {
                v1::GetWrongfulReleaseRequest { wrongful_release_id: self.reported("ncsc").await }.encode_to_vec()
            }
            "ListWrongfulReleases" => {
                drop(self.reported("ncsc").await);
                drop(self.reported("ncsc").await);
                let request = v1::ListWrongfulReleasesRequest { page_size, page_token: String::new() };
                let first = self.wrongful_desk("ncsc").list_wrongful_releases(request).await.unwrap().into_inner();
                v1::ListWrongfulReleasesRequest { page_size, page_token: first.next_page_token }.encode_to_vec()
            }
            "CloseWrongfulRelease" => v1::CloseWrongfulReleaseRequest {
                request_id,
                wrongful_release_id: self.reported("ncsc").await,
                reason: "the letter came back unopened".into(),
                lift_freeze: true,
            }
            .encode_to_vec(),
            _ => return None,
        })
    }

    /// A notice to the ICO that a holder has just issued.
    pub(crate) async fn stopped_by(&self, holder: &str) -> String {
        let permitted = self.permitted(holder).await;
        self.release_to_recipient(&permitted.held).await;
        self.withdraw_consent(&permitted.held, &permitted.consent).await.unwrap();
        let mut notices = self.notices("ico").await;
        notices.retain(|notice| notice.reference == permitted.held.reference);
        notices.remove(0).id
    }

    /// A notice of the ICO's to this agency.
    pub(crate) async fn stopped_for(&self, recipient: &str) -> String {
        let held = self.hold("ico", recipient).await;
        let authorisation = self.authorise(&held).await;
        self.release_to_recipient(&held).await;
        self.revoke(&held, &authorisation).await.unwrap();
        self.notices(recipient).await.remove(0).id
    }

    /// A wrongful disclosure of a holder's to an agency that has no system here.
    pub(crate) async fn reported(&self, holder: &str) -> String {
        let held = self.hold(holder, "ico").await;
        let made = self.record_disclosure(holder, self.telephone_call(&held, "met-police")).await.unwrap();
        self.report_disclosure(holder, &made).await.unwrap()
    }
}
