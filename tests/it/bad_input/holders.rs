//! Valid requests for the RPCs of inbox, events, duties and administration.

use concordat::proto::v1;
use concordat::proto::v1::offer_release_request::Offered;
use prost::Message;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::builders::names;
use crate::harness::World;

/// A certificate that nobody has.
fn unseen_certificate() -> String {
    format!("serial:{:016x}", u64::from_be_bytes(concordat::seal::random()))
}

/// The pseudonym of an officer whom nobody has suspended.
fn unseen() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let digits = format!("{:08o}", LAST.fetch_add(1, Ordering::Relaxed));
    let letters: String = digits.bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
    format!("officer-abcdefghijkl{letters}")
}

/// A quarter that is long over and that nobody has published.
fn unpublished() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let quarter = LAST.fetch_add(1, Ordering::Relaxed) % 200;
    format!("{}-Q{}", 1970 + quarter / 4, 1 + quarter % 4)
}

impl World {
    #[expect(clippy::too_many_lines, reason = "a table: one arm for each RPC")]
    pub(super) async fn valid_holders_request(&self, rpc: &str, request_id: String, variant: usize) -> Option<Vec<u8>> {
        let page_size = 1;
        Some(match rpc {
            "ListReceivedRequests" => {
                drop(self.ask_of_ncsc().await);
                drop(self.ask_of_ncsc().await);
                let request = v1::ListReceivedRequestsRequest { page_size, page_token: String::new() };
                let first = self.inbox("ncsc").list_received_requests(request).await.unwrap().into_inner();
                v1::ListReceivedRequestsRequest { page_size, page_token: first.next_page_token }.encode_to_vec()
            }
            "GetReceivedRequest" => v1::GetReceivedRequestRequest { request: self.ask_of_ncsc().await }.encode_to_vec(),
            "PreviewRelease" => {
                let held = self.hold("ncsc", "ico").await;
                self.preview_request(&held, "isa-1994-s4-2-a").encode_to_vec()
            }
            "OfferRelease" => {
                let held = self.permitted("ncsc").await.held;
                let offered = if variant == 0 {
                    Offered::Request(self.put(&held, self.ask(&held)).await.unwrap().request)
                } else {
                    Offered::Incident(v1::OfferedIncident {
                        incident_id: held.incident,
                        recipient: "ico".into(),
                        purpose: "harm-reduction".into(),
                        categories: names(&["identity", "timeline"]),
                    })
                };
                v1::OfferReleaseRequest { request_id, offered: Some(offered) }.encode_to_vec()
            }
            "DeclineRequest" => {
                v1::DeclineRequestRequest { request_id, request: self.ask_of_ncsc().await }.encode_to_vec()
            }
            "ListEvents" => {
                drop(self.permitted_ask().await);
                drop(self.permitted_ask().await);
                let request = v1::ListEventsRequest { page_size, cursor: String::new() };
                let first = self.event_desk("ico").list_events(request).await.unwrap().into_inner();
                v1::ListEventsRequest { page_size, cursor: first.next_cursor }.encode_to_vec()
            }
            "WatchEvents" => {
                drop(self.permitted_ask().await);
                v1::WatchEventsRequest { cursor: Box::pin(self.since("ico", "")).await.1 }.encode_to_vec()
            }
            "AcknowledgeEvents" => {
                drop(self.permitted_ask().await);
                let event_ids = self.events("ico").await.into_iter().map(|event| event.id).take(1).collect();
                v1::AcknowledgeEventsRequest { request_id, event_ids }.encode_to_vec()
            }
            "ListObligations" => {
                drop(self.notified("nis-rdsp", "ncsc").await);
                drop(self.notified("nis-rdsp", "ncsc").await);
                let request = v1::ListObligationsRequest { page_size, page_token: String::new(), outstanding: true };
                let first = self.duties("ico").list_obligations(request.clone()).await.unwrap().into_inner();
                v1::ListObligationsRequest { page_token: first.next_page_token, ..request }.encode_to_vec()
            }
            "SuspendOfficer" => {
                let (agency, officer) = ("ncsc".to_owned(), unseen());
                v1::SuspendOfficerRequest { request_id, agency, officer }.encode_to_vec()
            }
            "ResumeOfficer" => {
                let (agency, officer) = ("ncsc".to_owned(), unseen());
                self.suspend_officer("ico", &agency, &officer).await.unwrap();
                v1::ResumeOfficerRequest { request_id, agency, officer }.encode_to_vec()
            }
            "SuspendAgency" => {
                // Nobody of this agency calls in these tests. It may be suspended by an earlier call.
                drop(self.resume_agency("ico", "nca").await);
                v1::SuspendAgencyRequest { request_id, agency: "nca".into() }.encode_to_vec()
            }
            "SuspendCertificate" => {
                let certificate = unseen_certificate();
                v1::SuspendCertificateRequest { request_id, agency: "ico".into(), certificate }.encode_to_vec()
            }
            "ResumeCertificate" => {
                let certificate = unseen_certificate();
                let agency = "ico".to_owned();
                let suspend = v1::SuspendCertificateRequest {
                    request_id: crate::harness::request_id(),
                    agency: agency.clone(),
                    certificate: certificate.clone(),
                };
                self.admin("ico").suspend_certificate(suspend).await.unwrap();
                v1::ResumeCertificateRequest { request_id, agency, certificate }.encode_to_vec()
            }
            "ResumeAgency" => {
                drop(self.suspend_agency("ico", "nca").await);
                v1::ResumeAgencyRequest { request_id, agency: "nca".into() }.encode_to_vec()
            }
            "ListSuspensions" => {
                self.suspend_officer("ico", "ncsc", &unseen()).await.unwrap();
                self.suspend_officer("ico", "ncsc", &unseen()).await.unwrap();
                let request = v1::ListSuspensionsRequest { page_size, page_token: String::new() };
                let first = self.admin("ico").list_suspensions(request).await.unwrap().into_inner();
                v1::ListSuspensionsRequest { page_size, page_token: first.next_page_token }.encode_to_vec()
            }
            "PublishStatistics" => {
                let validate_only = variant == 1;
                v1::PublishStatisticsRequest { request_id, quarter: unpublished(), validate_only }.encode_to_vec()
            }
            "GetStatistics" => {
                // Not covered, and answered.
                let (holder, quarter, table) = ("ncsc".into(), "2020-Q1".into(), "total".into());
                v1::GetStatisticsRequest { request_id, holder, quarter, table }.encode_to_vec()
            }
            "GetPublication" => {
                let quarter = unpublished();
                self.publish("ico", &quarter).await.unwrap();
                v1::GetPublicationRequest { quarter }.encode_to_vec()
            }
            "ListPublications" => {
                self.publish("ico", &unpublished()).await.unwrap();
                self.publish("ico", &unpublished()).await.unwrap();
                let (holder, page_token) = ("ico".to_owned(), String::new());
                let request = v1::ListPublicationsRequest { holder, page_size, page_token };
                let first = self.statistics("ico").list_publications(request.clone()).await.unwrap().into_inner();
                v1::ListPublicationsRequest { page_token: first.next_page_token, ..request }.encode_to_vec()
            }
            "DraftTheme" => {
                let (theme, incident_ids) = (Some(self.theme_words()), self.theme_backing().await);
                v1::DraftThemeRequest { request_id, theme, incident_ids }.encode_to_vec()
            }
            "ReviseTheme" => {
                let (theme_id, incident_ids) = self.drafted_theme().await;
                let (etag, theme) = ("1".to_owned(), Some(self.theme_words()));
                v1::ReviseThemeRequest { request_id, theme_id, etag, theme, incident_ids }.encode_to_vec()
            }
            "ConfirmTheme" => {
                let theme_id = self.drafted_theme().await.0;
                v1::ConfirmThemeRequest { request_id, theme_id, version: 1 }.encode_to_vec()
            }
            "WithdrawTheme" => {
                v1::WithdrawThemeRequest { request_id, theme_id: self.drafted_theme().await.0 }.encode_to_vec()
            }
            "GetTheme" => v1::GetThemeRequest { theme_id: self.drafted_theme().await.0 }.encode_to_vec(),
            "ListThemes" => {
                drop(self.drafted_theme().await);
                drop(self.drafted_theme().await);
                let (holder, page_token) = ("ico".to_owned(), String::new());
                let request = v1::ListThemesRequest { holder, page_size, page_token };
                let first = self.confirmer("ico").list_themes(request.clone()).await.unwrap().into_inner();
                v1::ListThemesRequest { page_token: first.next_page_token, ..request }.encode_to_vec()
            }
            "RequestTheme" => {
                // Not covered, and answered.
                let (holder, theme_id) = ("ncsc".into(), "theme-of-nobody".into());
                v1::RequestThemeRequest { request_id, holder, theme_id }.encode_to_vec()
            }
            "ProposeErasure" => {
                let (incident_id, ground) = (self.hold("ncsc", "ico").await.incident, "registered-in-error".into());
                v1::ProposeErasureRequest { request_id, incident_id, ground }.encode_to_vec()
            }
            "EraseIncident" => {
                // One that is past its time: any of the officers who may erase may erase that.
                let organisation = self.register_organisation("ncsc", vec![]).await;
                let retain_until = self.in_seconds(1);
                let incident = v1::RegisterIncidentRequest { retain_until, ..self.incident_at(&organisation) };
                let registered = self.incidents("ncsc").register_incident(incident).await.unwrap().into_inner();
                self.hand.advance_micros(1_000_000);
                let (incident_id, ground) = (registered.incident_id, "retention-ended".into());
                v1::EraseIncidentRequest { request_id, incident_id, ground }.encode_to_vec()
            }
            "ListDue" => {
                self.propose_erasure(&self.hold("ncsc", "ico").await).await.unwrap();
                self.propose_erasure(&self.hold("ncsc", "ico").await).await.unwrap();
                let request = v1::ListDueRequest { page_size, page_token: String::new() };
                let first = self.retention("ncsc", "rec", "recorder").list_due(request).await.unwrap().into_inner();
                v1::ListDueRequest { page_size, page_token: first.next_page_token }.encode_to_vec()
            }
            "ConfirmDisposal" => {
                let held = self.permitted("ncsc").await.held;
                let released = self.put(&held, self.ask(&held)).await.unwrap();
                let (request, entry_index) = (released.request, released.receipt.unwrap().index);
                let external_ref = "disposal 7".into();
                v1::ConfirmDisposalRequest { request_id, request, entry_index, external_ref }.encode_to_vec()
            }
            "ListDisposals" => {
                drop(self.permitted_ask().await);
                drop(self.permitted_ask().await);
                let request = v1::ListDisposalsRequest { page_size, page_token: String::new(), outstanding: true };
                let mut node = self.retention("ncsc", "rec", "recorder");
                let first = node.list_disposals(request.clone()).await.unwrap().into_inner();
                v1::ListDisposalsRequest { page_token: first.next_page_token, ..request }.encode_to_vec()
            }
            // A new RPC has its valid request to add here, in `requests`, in `remedies` or in `onward`.
            _ => match Box::pin(self.valid_remedy(rpc, request_id.clone(), variant)).await {
                Some(bytes) => bytes,
                None => match Box::pin(self.valid_deconfliction(rpc, request_id.clone(), variant)).await {
                    Some(bytes) => bytes,
                    None => return Box::pin(self.valid_onward_request(rpc, request_id, variant)).await,
                },
            },
        })
    }

    /// Incidents on which themes rest, the same for all of them, while the agreement is in force that lets the ICO share
    /// themes.
    async fn theme_backing(&self) -> Vec<String> {
        if self.known_agreement("ico-nca-2024").await.state != "in-force" {
            self.activate("ico-nca-2024").await;
        }
        let request = v1::ListThemesRequest { holder: "ico".into(), page_size: 1, page_token: String::new() };
        let listed = self.confirmer("ico").list_themes(request).await.unwrap().into_inner().themes;
        let Some(first) = listed.into_iter().next() else { return self.backing().await };
        let request = v1::GetThemeRequest { theme_id: first.id };
        let theme = self.confirmer("ico").get_theme(request).await.unwrap().into_inner().theme.unwrap();
        theme.versions[0].incident_ids.clone()
    }

    /// A theme that nobody has confirmed, and what it rests on.
    async fn drafted_theme(&self) -> (String, Vec<String>) {
        let backing = self.theme_backing().await;
        (self.draft(self.theme_words(), backing.clone()).await.unwrap().theme_id, backing)
    }

    /// A request that the NCSC's officers see.
    async fn ask_of_ncsc(&self) -> String {
        let held = self.hold("ncsc", "ico").await;
        self.put(&held, self.ask(&held)).await.unwrap().request
    }

    /// A release to the ICO.
    async fn permitted_ask(&self) -> String {
        let held = self.permitted("ncsc").await.held;
        self.put(&held, self.ask(&held)).await.unwrap().request
    }
}
