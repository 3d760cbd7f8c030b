//! What a node holds and who makes it so: incidents, consents, authorisations.

use std::net::SocketAddr;
use std::ops::Range;

use anyhow::Result;
use concordat::client::OfficerChannel;
use concordat::clock::Clock;
use concordat::proto::v1;
use concordat::proto::v1::agreement_service_client::AgreementServiceClient;
use concordat::proto::v1::authorisation_service_client::AuthorisationServiceClient;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::incident_service_client::IncidentServiceClient;
use concordat::proto::v1::new_incident::Organisation;
use concordat::proto::v1::organisation_service_client::OrganisationServiceClient;
use concordat::seal::new_id;
use tokio::task::JoinSet;

use super::world::{CATEGORIES, HOLDER, PURPOSE, REQUESTER, World};

/// How many incidents are registered at a time.
const AT_ONCE: usize = 64;
const GROUND: &str = "isa-1994-s4-2-a";

/// What there is besides the incident itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permits {
    pub(crate) consent: bool,
    pub(crate) authorisation: bool,
}

impl Permits {
    /// All that a release needs.
    pub(crate) const ALL: Self = Self { consent: true, authorisation: true };
}

/// An incident that is held.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// The requester's reference.
    pub(crate) reference: String,
    /// The consent, if there is one.
    pub(crate) consent_id: String,
}

/// The holder's officers who make a release possible.
#[derive(Debug, Clone)]
pub(crate) struct Officers {
    recorder: OfficerChannel,
    verifier: OfficerChannel,
    authoriser: OfficerChannel,
}

impl Officers {
    pub(crate) fn of(world: &World, address: SocketAddr) -> Result<Self> {
        let officer = |role| world.officer(HOLDER, role, address);
        Ok(Self { recorder: officer("recorder")?, verifier: officer("verifier")?, authoriser: officer("authoriser")? })
    }

    /// Registers these incidents, many at a time, but not more than the node lets wait.
    pub(crate) async fn hold_all(&self, numbers: Range<usize>, permits: Permits) -> Result<Vec<Held>> {
        let mut registering = JoinSet::new();
        let mut all = Vec::new();
        for number in numbers {
            if registering.len() == AT_ONCE
                && let Some(held) = registering.join_next().await
            {
                all.push(held??);
            }
            let officers = self.clone();
            registering.spawn(async move { officers.hold(number, permits).await });
        }
        while let Some(held) = registering.join_next().await {
            all.push(held??);
        }
        Ok(all)
    }

    /// Registers an organisation and an incident at it; gives the ids of both.
    pub(crate) async fn register(&self, number: usize) -> Result<(String, String)> {
        let organisation = v1::RegisterOrganisationRequest {
            request_id: new_id("bench"),
            name: format!("Example Water {number} plc"),
            identifiers: vec![v1::Identifier { scheme: "gb-coh".into(), value: format!("{number:08}") }],
            ..v1::RegisterOrganisationRequest::default()
        };
        let mut organisations = OrganisationServiceClient::new(self.recorder.clone());
        let organisation_id = organisations.register_organisation(organisation).await?.into_inner().organisation_id;
        let incident = v1::RegisterIncidentRequest {
            request_id: new_id("bench"),
            organisation_id: organisation_id.clone(),
            occurred_from: Some(in_seconds(-30 * 86_400)),
            occurred_until: Some(in_seconds(-29 * 86_400)),
            content: Some(content(number)),
            ..v1::RegisterIncidentRequest::default()
        };
        let incident = IncidentServiceClient::new(self.recorder.clone()).register_incident(incident).await?;
        Ok((organisation_id, incident.into_inner().incident_id))
    }

    /// Registers organisations with an incident each, in one call, as an import does.
    pub(crate) async fn register_many(&self, numbers: Range<usize>) -> Result<()> {
        let organisation = |number: usize| v1::RegisterOrganisationRequest {
            request_id: new_id("bench"),
            name: format!("Example Water {number} plc"),
            identifiers: vec![v1::Identifier { scheme: "gb-coh".into(), value: format!("{number:08}") }],
            ..v1::RegisterOrganisationRequest::default()
        };
        let incident = |(place, number): (i32, usize)| v1::NewIncident {
            request_id: new_id("bench"),
            organisation: Some(Organisation::NewOrganisation(place)),
            occurred_from: Some(in_seconds(-30 * 86_400)),
            occurred_until: Some(in_seconds(-29 * 86_400)),
            content: Some(content(number)),
            ..v1::NewIncident::default()
        };
        let request = v1::RegisterIncidentsRequest {
            request_id: new_id("bench"),
            organisations: numbers.clone().map(organisation).collect(),
            incidents: (0..).zip(numbers).map(incident).collect(),
        };
        IncidentServiceClient::new(self.recorder.clone()).register_incidents(request).await?;
        Ok(())
    }

    /// Withdraws a consent. When this returns, the withdrawal is durable.
    pub(crate) async fn withdraw(&self, held: &Held) -> Result<()> {
        let (request_id, consent_id) = (new_id("bench"), held.consent_id.clone());
        let withdrawal = v1::WithdrawConsentRequest { request_id, consent_id };
        ConsentServiceClient::new(self.recorder.clone()).withdraw_consent(withdrawal).await?;
        Ok(())
    }

    /// Registers one incident with what permits its release.
    async fn hold(self, number: usize, permits: Permits) -> Result<Held> {
        let (organisation_id, incident_id) = self.register(number).await?;
        let mut incidents = IncidentServiceClient::new(self.recorder.clone());
        let reference = v1::IssueReferenceRequest {
            request_id: new_id("bench"),
            incident_id: incident_id.clone(),
            recipient: REQUESTER.into(),
        };
        let reference = incidents.issue_reference(reference).await?.into_inner().reference;

        let consent_id =
            if permits.consent { self.consent(organisation_id, incident_id.clone()).await? } else { String::new() };
        if permits.authorisation {
            self.authorise(incident_id).await?;
        }
        Ok(Held { reference, consent_id })
    }

    async fn consent(&self, organisation_id: String, incident_id: String) -> Result<String> {
        let consent = v1::RecordConsentRequest {
            request_id: new_id("bench"),
            consent_id: String::new(),
            organisation_id,
            scope: Some(v1::ConsentScope {
                recipient: REQUESTER.into(),
                purposes: vec![PURPOSE.into()],
                categories: CATEGORIES.map(String::from).to_vec(),
                incident_id,
                ..v1::ConsentScope::default()
            }),
            evidence: Some(v1::ConsentEvidence {
                signatory: "A. Director".into(),
                authority: "company secretary".into(),
                channel: "signed-letter".into(),
                digest: vec![7; 32],
                received_at: Some(in_seconds(-60)),
                oral: None,
                mandate_id: String::new(),
            }),
        };
        let recorded = ConsentServiceClient::new(self.recorder.clone()).record_consent(consent).await?.into_inner();
        let consent_id = recorded.consent_id.clone();
        let verification = v1::VerifyConsentRequest { request_id: new_id("bench"), consent_id, version: 1 };
        ConsentServiceClient::new(self.verifier.clone()).verify_consent(verification).await?;
        Ok(recorded.consent_id)
    }

    async fn authorise(&self, incident_id: String) -> Result<()> {
        let authorisation = v1::GiveAuthorisationRequest {
            request_id: new_id("bench"),
            incident_id,
            revision: 1,
            covers_updates: false,
            recipient: REQUESTER.into(),
            purposes: vec![PURPOSE.into()],
            categories: CATEGORIES.map(String::from).to_vec(),
            ground: GROUND.into(),
            valid_until: None,
            ..v1::GiveAuthorisationRequest::default()
        };
        AuthorisationServiceClient::new(self.authoriser.clone()).give_authorisation(authorisation).await?;
        Ok(())
    }
}

/// Puts every agreement that the node proposes into force.
pub(crate) async fn activate_agreements(world: &World, address: SocketAddr) -> Result<()> {
    let mut operator = AgreementServiceClient::new(world.officer(HOLDER, "operator", address)?);
    let listed = operator.list_agreements(v1::ListAgreementsRequest::default()).await?.into_inner();
    for agreement in listed.agreements {
        let request = v1::ActivateAgreementRequest {
            request_id: new_id("bench"),
            agreement_id: agreement.id,
            digest: agreement.digest,
        };
        operator.activate_agreement(request).await?;
    }
    Ok(())
}

/// A time so many seconds from now, as the contract writes it.
fn in_seconds(seconds: i64) -> prost_types::Timestamp {
    let seconds = Clock::system().now().plus_seconds(seconds).micros().div_euclid(1_000_000);
    prost_types::Timestamp { seconds, nanos: 0 }
}

/// Some 1 KiB of what is released and a little that is not. Invented.
pub(crate) fn content(number: usize) -> v1::IncidentContent {
    let indicator = |kind: &str, value: &str| v1::Indicator { kind: kind.into(), value: value.into() };
    v1::IncidentContent {
        identity: Some(v1::Identity {
            name: format!("Example Water {number} plc"),
            identifiers: vec![v1::Identifier { scheme: "gb-coh".into(), value: format!("{number:08}") }],
            countries: vec!["GB".into()],
        }),
        contact: Some(v1::Contact { name: "A. Director".into(), ..v1::Contact::default() }),
        timeline: Some(v1::Timeline {
            discovery: "an operator noticed that a backup job had been switched off".into(),
            ..v1::Timeline::default()
        }),
        technical_indicators: Some(v1::TechnicalIndicators {
            indicators: vec![
                indicator("domain", "update.example.net"),
                indicator("ipv4", "192.0.2.17"),
                indicator("sha-256", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
            ],
            techniques: vec!["T1190".into(), "T1486".into()],
            assets: vec!["billing".into()],
        }),
        impact: Some(v1::Impact { people_affected: Some(12_000), ..v1::Impact::default() }),
        narrative: Some(v1::Narrative {
            text: "The intruder came in through a gateway whose maintenance had lapsed, stayed for nine days, and \
                   moved by accounts that several teams shared. Backups were switched off before files were \
                   encrypted; billing stopped, the water supply did not. The organisation isolated the network \
                   within four hours, restored from copies kept off the site, and changed every shared account. A \
                   sample of the encryptor was kept. Nothing shows that the control systems were reached, and \
                   nothing yet shows how the gateway's credentials were known."
                .into(),
        }),
        ..v1::IncidentContent::default()
    }
}
