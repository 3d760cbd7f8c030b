//! The contract's services: decode, call a use case, encode. No rule lives here.
//!
//! Every handler begins with `Desk::admit`, which identifies the caller and checks the role that the contract's
//! `access` option asks for; without its result a handler has no request to work on.

mod admin;
mod admission;
mod advice;
mod agencies;
mod agreements;
mod allowance;
mod authorisations;
mod consents;
mod content;
mod convert;
mod deconfliction;
mod disclosures;
mod duties;
mod events;
mod health;
mod help_offers;
mod inbox;
mod incidents;
mod ledger;
mod look;
mod mandates;
mod notices;
mod organisations;
mod papers;
mod permissions;
mod proposals;
mod registration;
mod releases;
mod retention;
mod signposts;
mod statistics;
mod status;
mod themes;
mod tls;
mod watch;
mod wrongful;

use std::sync::Arc;

use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

use crate::exchange::Exchange;
use crate::identity::Tokens;
use crate::proto::{self, MOST_PROBE_BYTES, MOST_REQUEST_BYTES, v1};
use crate::rotation::Rotation;

use admission::vouched;
pub use advice::show_wording;
use allowance::Allowance;
pub use allowance::RateLimits;
pub use health::Readiness;
pub use signposts::find_signposts;
pub use status::REASONS;
pub use watch::StreamLimits;
use watch::Streams;

/// What every service works with.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    exchange: Exchange,
    tokens: Arc<Tokens>,
    streams: Arc<Streams>,
    rotation: Arc<Rotation>,
    allowance: Allowance,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

impl Desk {
    /// For one node.
    pub fn new(
        exchange: Exchange,
        tokens: Arc<Tokens>,
        streams: StreamLimits,
        rates: RateLimits,
        rotation: Arc<Rotation>,
    ) -> Self {
        let streams = Arc::new(Streams::new(streams));
        Self(Arc::new(Inner { exchange, tokens, streams, allowance: Allowance::new(rates), rotation }))
    }

    /// All services, with reflection, and with health as it is told there. Those two need no officer, and turn a system away
    /// for which nobody vouches any more.
    pub fn routes(&self, readiness: &Readiness) -> Result<Routes, tonic_reflection::server::Error> {
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?
            .max_decoding_message_size(MOST_PROBE_BYTES);
        macro_rules! routes {
            ($($server:path),+) => {{
                let clock = self.0.exchange.node().clock().clone();
                let vouched = move |request| vouched(request, clock.now());
                let mut routes = Routes::builder();
                routes
                    .add_service(InterceptedService::new(readiness.service(), vouched.clone()))
                    .add_service(InterceptedService::new(reflection, vouched));
                $({
                    use $server as Server;
                    let service = Server::new(self.clone()).max_decoding_message_size(MOST_REQUEST_BYTES);
                    routes.add_service(service);
                })+
                routes.routes().prepare()
            }};
        }
        Ok(routes!(
            v1::admin_service_server::AdminServiceServer,
            v1::agency_service_server::AgencyServiceServer,
            v1::agreement_service_server::AgreementServiceServer,
            v1::organisation_service_server::OrganisationServiceServer,
            v1::incident_service_server::IncidentServiceServer,
            v1::consent_service_server::ConsentServiceServer,
            v1::mandate_service_server::MandateServiceServer,
            v1::paper_service_server::PaperServiceServer,
            v1::authorisation_service_server::AuthorisationServiceServer,
            v1::release_service_server::ReleaseServiceServer,
            v1::permission_service_server::PermissionServiceServer,
            v1::inbox_service_server::InboxServiceServer,
            v1::duty_service_server::DutyServiceServer,
            v1::event_service_server::EventServiceServer,
            v1::advice_service_server::AdviceServiceServer,
            v1::signpost_service_server::SignpostServiceServer,
            v1::help_offer_service_server::HelpOfferServiceServer,
            v1::disclosure_service_server::DisclosureServiceServer,
            v1::deconfliction_service_server::DeconflictionServiceServer,
            v1::notice_service_server::NoticeServiceServer,
            v1::wrongful_release_service_server::WrongfulReleaseServiceServer,
            v1::statistics_service_server::StatisticsServiceServer,
            v1::theme_service_server::ThemeServiceServer,
            v1::proposal_service_server::ProposalServiceServer,
            v1::retention_service_server::RetentionServiceServer,
            v1::ledger_service_server::LedgerServiceServer
        ))
    }
}
