//! The reasons for "open", one by one.

use concordat::proto::v1;
use concordat::proto::v1::request_release_request::Target;

use crate::builders::{Held, assert_released, identifier};
use crate::harness::{World, request_id};

/// One reason for nothing being released.
pub(crate) struct Case {
    pub(crate) reason: &'static str,
    pub(crate) ask: v1::RequestReleaseRequest,
    /// What the holder's grounds name; empty: that nothing is held.
    pub(super) grounds: &'static [&'static str],
}

pub(super) const CONSENT: &str = "consent-first";
pub(super) const AUTHORISATION: &str = "limit/authorisation-or-duty";
pub(super) const MARKING: &str = "limit/marking";
pub(super) const NO_CATEGORY: &str = "no category";
pub(super) const NO_CLAUSE: &str = "no clause";

pub(super) type Change<T> = Box<dyn Fn(&mut T)>;

/// How [`World::case`] differs from what would be released.
#[derive(Default)]
pub(super) struct But {
    pub(super) consent: Option<&'static str>,
    pub(super) scope: Option<Change<v1::ConsentScope>>,
    pub(super) authorisation: Option<&'static str>,
    pub(super) grant: Option<Change<v1::GiveAuthorisationRequest>>,
    pub(super) tlp: &'static str,
    pub(super) amended: bool,
    pub(super) merged: bool,
}

fn scope(change: impl Fn(&mut v1::ConsentScope) + 'static) -> But {
    But { scope: Some(Box::new(change)), ..But::default() }
}

fn grant(change: impl Fn(&mut v1::GiveAuthorisationRequest) + 'static) -> But {
    But { grant: Some(Box::new(change)), ..But::default() }
}

impl World {
    /// An ask by reference about an incident that would be released but for this.
    async fn case(&self, reason: &'static str, grounds: &'static [&'static str], but: But) -> Case {
        let organisation = self.register_organisation("ncsc", vec![]).await;
        let markings = v1::Markings { tlp: but.tlp.into(), ..v1::Markings::default() };
        let registration = v1::RegisterIncidentRequest { markings: Some(markings), ..self.incident_at(&organisation) };
        let registered = self.incidents("ncsc").register_incident(registration).await.unwrap().into_inner();
        let held = self.hold_incident("ncsc", "ico", organisation, registered.incident_id).await;
        self.prepare(&held, &but).await;
        if but.merged {
            self.merge_away(&held).await;
        }
        if but.amended {
            let amendment = v1::AmendIncidentRequest {
                request_id: request_id(),
                incident_id: held.incident.clone(),
                etag: registered.etag,
                content: Some(crate::builders::content()),
                ..v1::AmendIncidentRequest::default()
            };
            self.incidents("ncsc").amend_incident(amendment).await.unwrap();
        }
        Case { reason, ask: self.ask(&held), grounds }
    }

    /// Records that the organisation was merged into another; gives that one's identifier.
    async fn merge_away(&self, held: &Held) -> v1::Identifier {
        let left = identifier(90_000_000 + u32::try_from(self.size().await).unwrap());
        let request = v1::RecordMergerRequest {
            request_id: request_id(),
            organisation_id: held.organisation.clone(),
            etag: "1".into(),
            into_organisation_id: self.register_organisation("ncsc", vec![left.clone()]).await,
            merged_at: self.in_seconds(-86_400),
        };
        self.organisations("ncsc").record_merger(request).await.unwrap();
        left
    }

    pub(super) async fn prepare(&self, held: &Held, but: &But) {
        let mut scope = self.scope(held);
        if let Some(change) = &but.scope {
            change(&mut scope);
        }
        let recorded = match but.consent.unwrap_or("given") {
            "none" => None,
            "sought" => {
                let request = v1::SeekConsentRequest {
                    request_id: request_id(),
                    organisation_id: held.organisation.clone(),
                    recipient: "ico".into(),
                };
                self.consents("ncsc").seek_consent(request).await.unwrap();
                None
            }
            _ => Some(self.record_consent(held, scope).await.unwrap()),
        };
        match (but.consent.unwrap_or("given"), recorded) {
            ("refused", Some(consent_id)) => {
                let request = v1::RefuseConsentRequest { request_id: request_id(), consent_id };
                self.consents("ncsc").refuse_consent(request).await.unwrap();
            }
            ("given" | "withdrawn", Some(id)) => {
                self.verify_consent(held, &id, 1).await.unwrap();
                if but.consent == Some("withdrawn") {
                    self.withdraw_consent(held, &id).await.unwrap();
                }
            }
            _ => {}
        }
        if but.authorisation == Some("none") {
            return;
        }
        let mut grant = self.authorisation(held);
        if let Some(change) = &but.grant {
            change(&mut grant);
        }
        let mut authoriser = self.authorisations("ncsc");
        let authorisation_id = authoriser.give_authorisation(grant).await.unwrap().into_inner().authorisation_id;
        if but.authorisation == Some("revoked") {
            let request = v1::RevokeAuthorisationRequest { request_id: request_id(), authorisation_id };
            authoriser.revoke_authorisation(request).await.unwrap();
        }
    }

    /// Every reason that an ask by reference can meet, the clock standing from then on.
    pub(crate) async fn cases_by_reference(&self) -> Vec<Case> {
        // What must have expired comes first; then the clock stands.
        let (soon, tomorrow) = (self.in_seconds(60), self.in_seconds(86_400));
        let until_soon = scope(move |scope| scope.valid_until = soon);
        let expired = self.case("consent expired", &[CONSENT], until_soon).await;
        let until_soon = grant(move |grant| grant.valid_until = soon);
        let lapsed = self.case("authorisation expired", &[AUTHORISATION], until_soon).await;
        self.hand.advance_micros(61_000_000);

        let held = self.hold("ncsc", "ico").await;
        self.prepare(&held, &But::default()).await;
        assert_released(&self.outcome(&held).await, &["identity", "timeline"]);
        let unknown = v1::RequestReleaseRequest {
            request_id: request_id(),
            target: Some(Target::Reference(concordat::seal::new_id("ref"))),
            ..self.ask(&held)
        };
        let elsewhere = self.hold("ncsc", "nca").await;
        let other_agencys = v1::RequestReleaseRequest {
            request_id: request_id(),
            target: Some(Target::Reference(elsewhere.reference.clone())),
            ..self.ask(&held)
        };
        let at_another = self.hold("nca", "ico").await;
        let other_holders = v1::RequestReleaseRequest {
            request_id: request_id(),
            target: Some(Target::Reference(at_another.reference.clone())),
            ..self.ask(&held)
        };

        let gone = self.hold("ncsc", "ico").await;
        self.prepare(&gone, &But::default()).await;
        self.erase(&gone).await;

        let but = But::default;
        let mut cases = vec![
            Case { reason: "erased", ask: self.ask(&gone), grounds: &[] },
            Case { reason: "unknown reference", ask: unknown, grounds: &[] },
            Case { reason: "reference of another agency", ask: other_agencys, grounds: &[] },
            Case { reason: "reference of another holder", ask: other_holders, grounds: &[] },
            expired,
            lapsed,
        ];
        for (reason, consent) in [
            ("no consent", "none"),
            ("consent sought", "sought"),
            ("consent recorded", "recorded"),
            ("consent refused", "refused"),
            ("consent withdrawn", "withdrawn"),
        ] {
            cases.push(self.case(reason, &[CONSENT], But { consent: Some(consent), ..but() }).await);
        }
        let purposes = scope(|scope| scope.purposes = vec!["regulatory-assessment".into()]);
        let later = scope(move |scope| scope.valid_from = tomorrow);
        let nca = scope(|scope| scope.recipient = "nca".into());
        let narrative = scope(|scope| scope.categories = vec!["narrative".into()]);
        let otherwise = grant(|grant| grant.purposes = vec!["nis-csirt".into()]);
        let ground = grant(|grant| grant.ground = "dpa-2018-s132-2-f".into());
        let to_nca = grant(|grant| grant.recipient = "nca".into());
        let no = || But { authorisation: Some("none"), ..but() };
        cases.extend([
            self.case("consent for another purpose", &[CONSENT], purposes).await,
            self.case("consent from tomorrow on", &[CONSENT], later).await,
            self.case("consent to another agency", &[CONSENT], nca).await,
            self.case("consent for other categories", &[NO_CATEGORY], narrative).await,
            self.case("consent from before a merger", &[CONSENT], But { merged: true, ..but() }).await,
            self.case("a later revision", &[CONSENT, AUTHORISATION], But { amended: true, ..but() }).await,
            self.case("no authorisation", &[AUTHORISATION], no()).await,
            self.case("authorisation revoked", &[AUTHORISATION], But { authorisation: Some("revoked"), ..but() }).await,
            self.case("authorised for another purpose", &[AUTHORISATION], otherwise).await,
            self.case("authorised on another ground", &[NO_CLAUSE], ground).await,
            self.case("authorised for another agency", &[AUTHORISATION], to_nca).await,
            self.case("TLP red", &[MARKING], But { tlp: "red", ..but() }).await,
            self.case("neither", &[CONSENT, AUTHORISATION], But { consent: Some("none"), ..no() }).await,
        ]);
        cases
    }

    /// The same of an ask that names the organisation.
    pub(crate) async fn cases_by_name(&self) -> Vec<Case> {
        let named = |number: u32| v1::NamedOrganisation {
            identifiers: vec![identifier(number)],
            from: self.in_seconds(-40 * 86_400),
            until: self.in_seconds(0),
            ground: "dpa-2018-s132-2-f".into(),
        };
        let ask = |number: u32| v1::RequestReleaseRequest {
            request_id: request_id(),
            holder: "ncsc".into(),
            target: Some(Target::Organisation(named(number))),
            purpose: "harm-reduction".into(),
            categories: vec!["identity".into(), "timeline".into()],
            ..v1::RequestReleaseRequest::default()
        };
        let register = async |number: u32, days_ago: i64| {
            let organisation = self.register_organisation("ncsc", vec![identifier(number)]).await;
            let registration = v1::RegisterIncidentRequest {
                occurred_from: self.in_seconds(-days_ago * 86_400),
                occurred_until: self.in_seconds((1 - days_ago) * 86_400),
                ..self.incident_at(&organisation)
            };
            let incident = self.incidents("ncsc").register_incident(registration).await.unwrap().into_inner();
            self.hold_incident("ncsc", "ico", organisation, incident.incident_id).await
        };
        let mut cases = vec![Case { reason: "organisation unknown", ask: ask(1), grounds: &[] }];

        drop(self.register_organisation("ncsc", vec![identifier(2)]).await);
        cases.push(Case { reason: "without any incident", ask: ask(2), grounds: &[] });
        let before = register(3, 400).await;
        self.prepare(&before, &But::default()).await;
        cases.push(Case { reason: "without an incident in the period", ask: ask(3), grounds: &[] });
        drop(self.register_organisation("nca", vec![identifier(4)]).await);
        cases.push(Case { reason: "known to another holder", ask: ask(4), grounds: &[] });

        let but = But::default;
        for (number, reason, grounds, but) in [
            (5, "unauthorised", &[AUTHORISATION][..], But { authorisation: Some("none"), ..but() }),
            (6, "revoked", &[AUTHORISATION], But { authorisation: Some("revoked"), ..but() }),
            (7, "without consent", &[CONSENT], But { consent: Some("none"), ..but() }),
            (8, "consent withdrawn", &[CONSENT], But { consent: Some("withdrawn"), ..but() }),
        ] {
            let held = register(number, 30).await;
            self.prepare(&held, &but).await;
            cases.push(Case { reason, ask: ask(number), grounds });
        }
        let held = register(10, 30).await;
        self.prepare(&held, &But::default()).await;
        let left = self.merge_away(&held).await;
        cases.push(Case { reason: "consent from before a merger", ask: ask(10), grounds: &[CONSENT] });
        cases.push(Case { reason: "what it was merged into", ask: ask(left.value.parse().unwrap()), grounds: &[] });

        let held = register(9, 30).await;
        self.prepare(&held, &But::default()).await;
        assert_released(&self.put(&held, ask(9)).await.unwrap().outcome.unwrap(), &["identity", "timeline"]);
        cases
    }
}
