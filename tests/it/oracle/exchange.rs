//! The whole gate without the wire: `Exchange::change`, `Exchange::ask`.

use concordat::domain::Onward;
use concordat::domain::{
    Actor, AgencyId, AgreementId, AuthorisationId, CallKey, Category, ConsentId, Digest, DisclosureId, Elsewhere,
    Evidence, Ground, Identifier, IncidentId, Instant, Markings, Means, NamedOrganisation, Occurred, OfficerId, Oral,
    OrganisationId, Profile, Purpose, Question, Reference, RequestId, Subject, Unit, Urgency, WrongfulReleaseId,
};
use concordat::exchange::{
    AmendIncident, AmendOrganisation, AskFor, By, CloseWrongfulRelease, EraseIncident, Error, Exchange,
    GiveAuthorisation, IssueReference, NarrowConsent, Outcome, ProposeErasure, ReconfirmConsent, RecordConsent,
    RecordDisclosure, RefuseConsent, RegisterIncident, RegisterOrganisation, ReportWrongfulRelease,
    RevokeAuthorisation, ScopeTerms, SeekConsent, VerifyConsent, VerifyNotification, WithdrawConsent, Wrongful,
};
use concordat::release::ReleasedIncident;
use tokio::sync::Semaphore;

use super::drive::{Answer, Door, Ids};
use super::model::{self, Ask, Release};
use super::records::{Change, Micros, Name, Records, Scope, Word, Words};
use crate::harness::request_id;

/// A node's use cases, and the digests of the agreements in force.
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) exchange: Exchange,
    pub(super) digests: Vec<(AgreementId, Digest)>,
    turns: Semaphore,
}

impl Direct {
    pub(super) fn new(exchange: Exchange, digests: Vec<(AgreementId, Digest)>) -> Self {
        // So that no agency has more changes waiting than the node lets wait.
        Self { exchange, digests, turns: Semaphore::new(60) }
    }
}

fn agency(word: Word) -> AgencyId {
    AgencyId::known(word)
}

fn at(micros: Micros) -> Instant {
    Instant::from_micros(micros)
}

fn by(of: Word, officer: Word, method: &'static str) -> By {
    let actor = Actor {
        agency: agency(of),
        officer: OfficerId::known(officer),
        unit: Unit::known("desk"),
        pseudonym: "officer-oracle".to_owned(),
        certificate: vec![],
    };
    let request_id = RequestId::known(request_id());
    By { actor, call: CallKey { agency: agency(of), method, request_id, digest: Digest([1; 32]) } }
}

fn set<T: Ord>(words: &Words, known: impl Fn(Word) -> T) -> std::collections::BTreeSet<T> {
    words.iter().map(|word| known(word)).collect()
}

/// What the content of a category says: whose it is, so that a release of another incident's would be seen.
pub(super) fn said(scene: usize, incident: Name, revision: i64, category: &str) -> String {
    format!("{scene} {incident} {revision} {category}")
}

/// Which incident and revision was released, by what its content says.
pub(super) fn read(scene: usize, category: &str, text: &str) -> Result<(Name, i64), String> {
    let parts: Vec<&str> = text.split(' ').collect();
    match parts.as_slice() {
        [of, incident, revision, what] if *of == scene.to_string() && *what == category => {
            Ok((incident.parse().unwrap(), revision.parse().unwrap()))
        }
        _ => Err(format!("`{category}` of scene {scene} says `{text}`")),
    }
}

fn content(ids: &Ids, incident: Name, revision: i64, categories: &Words) -> Vec<(Category, Vec<u8>)> {
    let of = |word: &&'static str| (Category::known(*word), said(ids.scene, incident, revision, word).into_bytes());
    categories.iter().map(of).collect()
}

/// A company number of a scene's own.
pub(super) fn company(scene: usize, number: usize) -> String {
    assert!(number < 100, "a scene has fewer identifiers");
    format!("{:08}", scene * 100 + number)
}

fn identifiers<'a>(ids: &Ids, numbers: impl IntoIterator<Item = &'a usize>) -> Vec<Identifier> {
    numbers.into_iter().map(|number| Identifier::parse("gb-coh", &company(ids.scene, *number)).unwrap()).collect()
}

fn profile<'a>(ids: &Ids, numbers: impl IntoIterator<Item = &'a usize>) -> Profile {
    Profile {
        name: "An organisation".into(),
        identifiers: identifiers(ids, numbers),
        former_names: vec![],
        trading_names: vec![],
        parents: vec![],
    }
}

fn terms(ids: &Ids, scope: &Scope) -> ScopeTerms {
    ScopeTerms {
        recipient: agency(scope.recipient),
        purposes: set(&scope.purposes, Purpose::known),
        enforcement: scope.enforcement,
        categories: set(&scope.categories, Category::known),
        incident: scope
            .incident
            .map(|(name, revision, updates)| (IncidentId::known(&ids.of[&name]), Some(revision), updates)),
        onward: scope.onward,
        valid_from: Some(at(scope.valid.0)),
        valid_until: Some(at(scope.valid.1)),
    }
}

fn evidence(scope: &Scope) -> Evidence {
    Evidence {
        signatory: "A. Director".to_owned(),
        authority: "company secretary".to_owned(),
        channel: if scope.spoken.is_some() { "oral" } else { "signed-letter" }.to_owned(),
        digest: Digest([7; 32]),
        received_at: at(scope.spoken.unwrap_or(0)),
        oral: scope.spoken.map(|said| Oral {
            taken_by: OfficerId::known("rec"),
            contact: Digest([9; 32]),
            called_back_at: at(said),
        }),
        mandate: None,
    }
}

fn markings(tlp: Word) -> Markings {
    Markings::parse(tlp, "", "").unwrap()
}

impl Door for Direct {
    #[expect(clippy::too_many_lines, reason = "a table: one arm for each kind of change")]
    async fn change(&self, ids: &Ids, records: &Records, change: &Change) -> Result<String, String> {
        let id = |name: &Name| ids.of.get(name).cloned().unwrap_or_else(|| format!("missing-{name}"));
        let holder = change.holder(records);
        let exchange = &self.exchange;
        let _turn = self.turns.acquire().await.unwrap();
        let done = match change {
            Change::Organisation { identifiers: numbers, .. } => {
                let change = RegisterOrganisation { profile: profile(ids, numbers) };
                exchange.change(by(holder, "rec", "OrganisationService/RegisterOrganisation"), change).await
            }
            Change::AmendOrganisation { name, identifiers: numbers } => {
                let change = AmendOrganisation {
                    id: OrganisationId::known(id(name)),
                    version: records.organisations[name].version,
                    profile: profile(ids, numbers),
                };
                exchange.change(by(holder, "rec", "OrganisationService/AmendOrganisation"), change).await
            }
            Change::Incident { name, organisation, occurred, tlp, categories, notified } => {
                let change = RegisterIncident {
                    organisation: OrganisationId::known(id(organisation)),
                    occurred: Occurred { from: at(occurred.0), until: at(occurred.1) },
                    markings: markings(tlp),
                    notification: notified.map(|kind| (kind.to_owned(), at(0))),
                    campaign: None,
                    retain_until: None,
                    content: content(ids, *name, 1, categories),
                };
                exchange.change(by(holder, "rec", "IncidentService/RegisterIncident"), change).await
            }
            Change::AmendIncident { name, tlp, categories } => {
                let revision = records.incidents[name].revision;
                let content = content(ids, *name, revision + 1, categories);
                let change =
                    AmendIncident { id: IncidentId::known(id(name)), revision, markings: markings(tlp), content };
                exchange.change(by(holder, "rec", "IncidentService/AmendIncident"), change).await
            }
            Change::VerifyNotification { name, officer } => {
                let change = VerifyNotification { id: IncidentId::known(id(name)) };
                exchange.change(by(holder, officer, "IncidentService/VerifyNotification"), change).await
            }
            Change::EraseIncident { name } => {
                let (id, ground) = (IncidentId::known(id(name)), Ground::known("registered-in-error"));
                let propose = ProposeErasure { id: id.clone(), ground: ground.clone() };
                let erase = EraseIncident { id, ground, only_due: false };
                match exchange.change(by(holder, "rec", "RetentionService/ProposeErasure"), propose).await {
                    Ok(_) => exchange.erase(by(holder, "ver", "RetentionService/EraseIncident"), erase).await,
                    turned_away => turned_away,
                }
            }
            Change::Reference { incident, recipient, .. } => {
                let change = IssueReference { id: IncidentId::known(id(incident)), recipient: agency(recipient) };
                exchange.change(by(holder, "rec", "IncidentService/IssueReference"), change).await
            }
            Change::Authorise { authorisation: given, .. } => {
                let change = GiveAuthorisation {
                    incident: IncidentId::known(id(&given.incident)),
                    revision: given.revision,
                    covers_updates: given.covers_updates,
                    recipient: agency(given.recipient),
                    purposes: set(&given.purposes, Purpose::known),
                    categories: set(&given.categories, Category::known),
                    ground: Ground::known(given.ground),
                    valid_until: Some(at(given.until)),
                    preview: None,
                    form: concordat::domain::Ask::ORGANISATION_SPECIFIC.to_owned(),
                };
                exchange.change(by(holder, "aut", "AuthorisationService/GiveAuthorisation"), change).await
            }
            Change::Revoke { name } => {
                let change = RevokeAuthorisation { id: AuthorisationId::known(id(name)) };
                exchange.change(by(holder, "aut", "AuthorisationService/RevokeAuthorisation"), change).await
            }
            Change::Freeze { incident, recipient, .. } => {
                let change = RecordDisclosure {
                    incident: IncidentId::known(id(incident)),
                    revision: None,
                    recipient: agency(recipient),
                    at: at(0),
                    categories: [Category::known("identity")].into(),
                    elsewhere: Elsewhere {
                        means: Means::known("meeting"),
                        ground: Ground::known("other"),
                        officer: "aut".into(),
                        purposes: std::collections::BTreeSet::new(),
                    },
                    consent: None,
                    authorisation: None,
                    permissions: std::collections::BTreeSet::new(),
                };
                let made = exchange.change(by(holder, "aut", "DisclosureService/RecordDisclosure"), change).await;
                let made = made.map_err(|error| rejected(&error))?.object;
                let disclosures = [DisclosureId::known(made)].into();
                let about = Wrongful::Named { indexes: std::collections::BTreeSet::new(), disclosures };
                let change = ReportWrongfulRelease { cause: "wrong-match".into(), about, aware_at: None };
                exchange.change(by(holder, "aut", "WrongfulReleaseService/ReportWrongfulRelease"), change).await
            }
            Change::Lift { name } => {
                let id = WrongfulReleaseId::known(id(name));
                let change = CloseWrongfulRelease { id, reason: "found".into(), lift: true };
                exchange.change(by(holder, "aut", "WrongfulReleaseService/CloseWrongfulRelease"), change).await
            }
            consent => self.change_consent(ids, records, consent, holder).await,
        };
        done.map(|done| done.object).map_err(|error| rejected(&error))
    }

    async fn ask(&self, ids: &Ids, ask: &Ask, again: Option<&str>) -> Result<(String, Answer), String> {
        let pinned = ask.pinned.map(|(id, is_right)| {
            let found = self.digests.iter().find(|(one, _)| one.as_str() == id);
            found.filter(|_| is_right).cloned().unwrap_or((AgreementId::known(id), Digest([9; 32])))
        });
        let put = match again {
            Some(request) => AskFor::Again {
                question: Question::known(request),
                purposes: [Purpose::known(ask.purpose)].into(),
                pinned,
                naming: None,
            },
            None => AskFor::New {
                holder: agency(ask.holder),
                subject: match &ask.subject {
                    model::Subject::Reference(name) => {
                        let id = name.and_then(|name| ids.of.get(&name).cloned());
                        Subject::Reference(Reference::known(id.unwrap_or_else(|| "ref-nobody-issued-this".into())))
                    }
                    model::Subject::Named { identifiers: numbers, period, ground } => {
                        Subject::Organisation(NamedOrganisation {
                            identifiers: identifiers(ids, numbers).into_iter().collect(),
                            period: Occurred { from: at(period.0), until: at(period.1) },
                            ground: Ground::known(*ground),
                        })
                    }
                },
                urgency: Urgency::default(),
                purpose: Purpose::known(ask.purpose),
                categories: set(&ask.categories, Category::known),
                form: concordat::domain::Ask::ORGANISATION_SPECIFIC.to_owned(),
                external_ref: String::new(),
                pinned,
                naming: None,
            },
        };
        let by = by(ask.requester, "req", "ReleaseService/RequestRelease");
        let asked = self.exchange.ask(by, put).await.map_err(|error| format!("the ask failed: {error}"))?;
        let answer = match asked.outcome {
            Outcome::NotCovered { reason, .. } => Answer::NotCovered(reason),
            Outcome::Open => Answer::Open,
            Outcome::Released(None) => return Err("released without content".to_owned()),
            Outcome::Released(Some(incidents)) => {
                let released = incidents.into_iter().map(|incident| released(ids.scene, ask, incident));
                Answer::Released(released.collect::<Result<_, _>>()?)
            }
        };
        Ok((asked.question.to_string(), answer))
    }

    /// Nobody asks itself: the wire turns that away before it becomes an ask.
    fn takes(&self, ask: &Ask) -> bool {
        ask.requester != ask.holder
    }
}

impl Direct {
    async fn change_consent(
        &self,
        ids: &Ids,
        records: &Records,
        change: &Change,
        holder: Word,
    ) -> Result<concordat::exchange::Done, Error> {
        let id = |name: &Name| ConsentId::known(ids.of.get(name).cloned().unwrap_or_else(|| format!("missing-{name}")));
        let organisation = |name: &Name| OrganisationId::known(ids.of[name].clone());
        let exchange = &self.exchange;
        match change {
            Change::SeekConsent { organisation: of, recipient, .. } => {
                let change = SeekConsent { organisation: organisation(of), recipient: agency(recipient) };
                exchange.change(by(holder, "rec", "ConsentService/SeekConsent"), change).await
            }
            Change::RecordConsent { name, organisation: of, scope, officer } => {
                let id = ids.of.contains_key(name).then(|| id(name));
                let (organisation, evidence, scope) = (organisation(of), evidence(scope), terms(ids, scope));
                let change = RecordConsent { id, organisation, scope, evidence };
                exchange.change(by(holder, officer, "ConsentService/RecordConsent"), change).await
            }
            Change::VerifyConsent { name, officer } => {
                let change = VerifyConsent { id: id(name), version: records.consents[name].version_to_verify() };
                exchange.change(by(holder, officer, "ConsentService/VerifyConsent"), change).await
            }
            Change::NarrowConsent { name, scope } => {
                let change = NarrowConsent { id: id(name), scope: terms(ids, scope) };
                exchange.change(by(holder, "rec", "ConsentService/NarrowConsent"), change).await
            }
            Change::ReconfirmConsent { name, scope, officer } => {
                let change = ReconfirmConsent { id: id(name), scope: terms(ids, scope), evidence: evidence(scope) };
                exchange.change(by(holder, officer, "ConsentService/ReconfirmConsent"), change).await
            }
            Change::RefuseConsent { name } => {
                exchange.change(by(holder, "rec", "ConsentService/RefuseConsent"), RefuseConsent { id: id(name) }).await
            }
            Change::WithdrawConsent { name } => {
                let change = WithdrawConsent { id: id(name) };
                exchange.change(by(holder, "rec", "ConsentService/WithdrawConsent"), change).await
            }
            _ => unreachable!("the other changes are none of a consent"),
        }
    }
}

/// Only a rule of the domain turns a change away; anything else is a fault and ends the test.
fn rejected(error: &Error) -> String {
    assert!(matches!(error, Error::Rejected(_)), "a change failed: {error}");
    error.to_string()
}

fn released(scene: usize, ask: &Ask, incident: ReleasedIncident) -> Result<(String, Release), String> {
    let mut found = None;
    for one in &incident.categories {
        let text = String::from_utf8_lossy(&one.content);
        let of = read(scene, one.category.as_str(), &text)?;
        if *found.get_or_insert(of) != of {
            return Err("a release of one incident has content of two".to_owned());
        }
    }
    let (name, revision) = found.ok_or("a release without content")?;
    let handling = incident.handling;
    if handling.purpose.as_str() != ask.purpose {
        return Err(format!("released for {}", handling.purpose));
    }
    let release = Release {
        incident: name,
        revision,
        categories: incident.categories.iter().map(|one| one.category.to_string()).collect(),
        clauses: handling.clauses.iter().map(ToString::to_string).collect(),
        enforcement: handling.enforcement,
        onward: match handling.onward {
            Onward::No => "no",
            Onward::WithConsent => "with-consent",
            Onward::Yes => "yes",
        }
        .to_owned(),
        tlp: handling.markings.tlp.as_str().to_owned(),
        review_by: handling.review_by.micros(),
        dispose_by: handling.disposal.and_then(concordat::decision::Disposal::by).unwrap().micros(),
        obligations: handling.obligations,
    };
    let reference = incident.reference.map(|reference| reference.to_string()).unwrap_or_default();
    Ok((reference, release))
}
