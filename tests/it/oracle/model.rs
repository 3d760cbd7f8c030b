//! What must come of an ask, in the most naive words: the clause tables as they are written in `agreement.toml`, the
//! records of the world, and the rules of the design. No Cedar, and nothing of the gate: a test sees to that.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::records::{Authorisation, Consent, Incident, Micros, Name, Records, Scope, Word, Words};

/// An agreement as its file states it.
#[derive(Debug)]
pub(super) struct Agreement {
    pub(super) id: String,
    effective: (Micros, Option<Micros>),
    enforcement: Vec<String>,
    pub(super) clauses: Vec<Clause>,
}

#[derive(Debug)]
pub(super) struct Clause {
    pub(super) id: String,
    pub(super) modality: String,
    pub(super) activity: String,
    pub(super) disclosing: String,
    pub(super) receiving: String,
    purposes: Vec<String>,
    grounds: Vec<String>,
    categories: Vec<String>,
    pub(super) needs_consent: bool,
    onward: String,
    review_days: Option<i64>,
    retain_days: Option<i64>,
    notification: Option<String>,
    obligations: Vec<String>,
}

/// One ask.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) requester: Word,
    pub(super) holder: Word,
    pub(super) subject: Subject,
    pub(super) purpose: Word,
    pub(super) categories: Words,
    /// The agreement relied on, and whether by the digest of the text in force.
    pub(super) pinned: Option<(Word, bool)>,
}

#[derive(Debug, Clone)]
pub(super) enum Subject {
    /// None: one that nobody issued.
    Reference(Option<Name>),
    Named {
        identifiers: BTreeSet<usize>,
        period: (Micros, Micros),
        ground: Word,
    },
}

/// What must come of an ask.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    NotCovered(Word),
    Covered(Vec<Match>),
}

/// What must come of one incident that an ask matches.
#[derive(Debug, Clone)]
pub(super) struct Match {
    pub(super) incident: Name,
    /// One, or several where records of equal breadth could speak for it; none of them: it may stay unreleased.
    pub(super) may_be: Vec<Option<Release>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) incident: Name,
    pub(super) revision: i64,
    pub(super) categories: BTreeSet<String>,
    pub(super) clauses: BTreeSet<String>,
    pub(super) enforcement: bool,
    pub(super) onward: String,
    pub(super) tlp: String,
    pub(super) review_by: Micros,
    pub(super) dispose_by: Micros,
    pub(super) obligations: Vec<String>,
}

const DAY: Micros = 86_400_000_000;

fn words(table: &Table, key: &str) -> Vec<String> {
    let list = table.get(key).and_then(Value::as_array).into_iter().flatten();
    list.map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn word(table: &Table, key: &str) -> Option<String> {
    table.get(key).map(|word| word.as_str().unwrap().to_owned())
}

/// Midnight UTC.
fn date(text: &str) -> Micros {
    let form = time::macros::format_description!("[year]-[month]-[day]");
    time::Date::parse(text, form).unwrap().midnight().assume_utc().unix_timestamp() * 1_000_000
}

impl Agreement {
    pub(super) fn read(text: &str) -> Self {
        let table: Table = text.parse().unwrap();
        let tables = |key: &str| table[key].as_array().unwrap().iter().map(|item| item.as_table().unwrap().clone());
        let is_enforcement = |purpose: &Table| purpose.get("enforcement").is_some_and(|is| is.as_bool().unwrap());
        Self {
            id: word(&table, "id").unwrap(),
            effective: (
                date(&word(&table, "effective_from").unwrap()),
                word(&table, "effective_until").map(|until| date(&until)),
            ),
            enforcement: tables("purpose").filter(is_enforcement).map(|one| word(&one, "id").unwrap()).collect(),
            // Of no interest to an ask about an incident: what is shared is about none.
            clauses: tables("clause")
                .filter(|clause| !word(clause, "activity").unwrap().starts_with("share-"))
                .map(|clause| Clause::read(&clause))
                .collect(),
        }
    }

    fn is_effective(&self, at: Micros) -> bool {
        self.effective.0 <= at && self.effective.1.is_none_or(|until| at < until)
    }
}

impl Clause {
    fn read(table: &Table) -> Self {
        assert_eq!(table["form"].as_str(), Some("organisation-specific"), "the one form there is");
        Self {
            id: word(table, "id").unwrap(),
            modality: word(table, "modality").unwrap(),
            activity: word(table, "activity").unwrap(),
            disclosing: word(table, "disclosing").unwrap(),
            receiving: word(table, "receiving").unwrap(),
            purposes: words(table, "purposes"),
            grounds: words(table, "grounds"),
            categories: words(table, "categories"),
            needs_consent: word(table, "consent").is_some_and(|consent| consent == "required"),
            onward: word(table, "onward").unwrap_or("no".to_owned()),
            review_days: table.get("review_days").map(|days| days.as_integer().unwrap()),
            retain_days: table.get("retain_days").map(|days| days.as_integer().unwrap()),
            notification: word(table, "notification"),
            obligations: words(table, "obligations"),
        }
    }

    fn discloses(&self, ask: &Ask) -> bool {
        self.activity == "disclose" && self.disclosing == ask.holder && self.receiving == ask.requester
    }

    fn is(&self, modality: &str) -> bool {
        self.modality == modality
    }
}

fn has(words: &[String], wanted: &str) -> bool {
    words.iter().any(|word| word == wanted)
}

/// What agreements say of one ask.
struct Law<'a> {
    /// The clauses that can permit it.
    powers_and_duties: Vec<&'a Clause>,
    /// Whether one says "without consent, nothing".
    consent_first: bool,
    enforcement: bool,
}

/// Section 5, "not covered": depends on the ask and the agreements alone.
fn law<'a>(agreements: &[&'a Agreement], ask: &Ask, at: Micros) -> Result<Law<'a>, Word> {
    let effective: Vec<&Agreement> = agreements.iter().copied().filter(|one| one.is_effective(at)).collect();
    let between: Vec<&Agreement> =
        effective.iter().copied().filter(|one| one.clauses.iter().any(|clause| clause.discloses(ask))).collect();
    if between.is_empty() {
        return Err("NO_AGREEMENT");
    }
    if let Some((id, is_right)) = ask.pinned
        && !(is_right && between.iter().any(|one| one.id == id))
    {
        return Err("AGREEMENT_DIFFERS");
    }
    let clauses: Vec<&Clause> = between.iter().flat_map(|one| &one.clauses).filter(|one| one.discloses(ask)).collect();
    let mut covering: Vec<&Clause> = clauses.iter().copied().filter(|one| !one.is("prohibition")).collect();
    covering.retain(|one| has(&one.purposes, ask.purpose));
    if covering.is_empty() {
        return Err("PURPOSE_NOT_COVERED");
    }
    covering.retain(|one| ask.categories.iter().any(|category| has(&one.categories, category)));
    if covering.is_empty() {
        return Err("CATEGORY_NOT_COVERED");
    }
    if let Subject::Named { ground, .. } = ask.subject {
        let names = |one: &&Clause| {
            let directed = one.disclosing == ask.requester && one.receiving == ask.holder;
            one.activity == "name-in-request" && directed && !one.is("prohibition")
        };
        let naming: Vec<&Clause> = effective.iter().flat_map(|one| &one.clauses).filter(names).collect();
        if naming.is_empty() {
            return Err("NAMING_NOT_COVERED");
        }
        let mut on_ground = naming.iter().filter(|one| has(&one.purposes, ask.purpose) && has(&one.grounds, ground));
        if on_ground.clone().next().is_none() {
            return Err("NAMING_GROUND_NOT_COVERED");
        }
        // Nobody in these worlds shows a receipt that it has the organisation's consent to being named.
        if on_ground.all(|one| one.needs_consent) {
            return Err("NAMING_RECEIPT_REQUIRED");
        }
    }
    Ok(Law {
        powers_and_duties: covering,
        consent_first: clauses.iter().any(|one| one.is("prohibition")),
        enforcement: between.iter().any(|one| has(&one.enforcement, ask.purpose)),
    })
}

/// What keeps the ask from finding the incident. Each is one condition that does not hold.
fn missed(records: &Records, name: Name, incident: &Incident, ask: &Ask) -> Vec<Word> {
    let mut missed = Vec::new();
    if incident.holder != ask.holder {
        missed.push("held by another");
    }
    match &ask.subject {
        Subject::Reference(reference) => match reference.and_then(|name| records.references.get(&name)) {
            None => missed.push("unknown reference"),
            Some(found) if found.incident != name => missed.push("reference to another incident"),
            Some(found) if found.recipient != ask.requester => missed.push("another's reference"),
            Some(_) => {}
        },
        Subject::Named { identifiers, period, .. } => {
            if records.organisations[&incident.organisation].identifiers.is_disjoint(identifiers) {
                missed.push("other identifiers");
            }
            if incident.occurred.0 >= period.1 || period.0 >= incident.occurred.1 {
                missed.push("another period");
            }
        }
    }
    missed
}

/// Section 7: what keeps a consent from permitting.
fn consent_faults(
    consent: &Consent,
    scope: Option<&Scope>,
    incident: (Name, &Incident),
    ask: &Ask,
    law: &Law<'_>,
    at: Micros,
) -> Vec<Word> {
    let mut faults = Vec::new();
    if consent.given.is_none() {
        faults.push(match consent.state {
            "sought" => "consent only sought",
            "recorded" => "consent only recorded",
            "refused" => "consent refused",
            _ => "consent withdrawn",
        });
    }
    if consent.organisation != incident.1.organisation {
        faults.push("another organisation's consent");
    }
    if consent.holder != ask.holder {
        faults.push("consent to another holder");
    }
    if consent.recipient != ask.requester {
        faults.push("consent for another recipient");
    }
    let Some(scope) = scope else { return faults };
    if !scope.purposes.contains(ask.purpose) {
        faults.push("consent for another purpose");
    }
    if law.enforcement && !scope.enforcement {
        faults.push("consent not for enforcement");
    }
    if at < scope.valid.0 {
        faults.push("consent not valid yet");
    }
    if at >= scope.valid.1 {
        faults.push("consent expired");
    }
    // Given by word of mouth it is over after a day, whatever else it says.
    if scope.spoken.is_some_and(|said| at >= said + DAY) && at < scope.valid.1 {
        faults.push("oral consent over");
    }
    if let Some((name, revision, updates)) = scope.incident {
        if name != incident.0 {
            faults.push("consent about another incident");
        } else if !(revision == incident.1.revision || (updates && revision < incident.1.revision)) {
            faults.push("consent about another revision");
        }
    }
    faults
}

/// Section 3, authorisation: incident at a revision, recipient, purpose, ground; until; revocable.
fn authorisation_faults(
    given: &Authorisation,
    incident: (Name, &Incident),
    ask: &Ask,
    law: &Law<'_>,
    at: Micros,
) -> Vec<Word> {
    let mut faults = Vec::new();
    if given.incident != incident.0 {
        faults.push("authorisation of another incident");
    } else if !(given.revision == incident.1.revision || (given.covers_updates && given.revision < incident.1.revision))
    {
        faults.push("authorisation of another revision");
    }
    if given.recipient != ask.requester {
        faults.push("authorisation for another recipient");
    }
    if !given.purposes.contains(ask.purpose) {
        faults.push("authorisation for another purpose");
    }
    if !law.powers_and_duties.iter().any(|clause| has(&clause.grounds, given.ground)) {
        faults.push("authorisation on another ground");
    }
    if at >= given.until {
        faults.push("authorisation expired");
    }
    if given.revoked {
        faults.push("authorisation revoked");
    }
    faults
}

/// `reg12_8`: what keeps a notification from standing for consent and authorisation both.
fn notification_fault(incident: &Incident, clause: &Clause, at: Micros) -> Option<Word> {
    match &incident.notification {
        None => Some("no notification"),
        Some(found) if Some(found.kind) != clause.notification.as_deref() => Some("notification of another kind"),
        Some(found) if found.verified_at.is_none_or(|verified| verified > at) => Some("notification not verified"),
        Some(_) => None,
    }
}

/// Those that permit the most of what was asked; none, if there are none.
fn broadest<'a, T>(found: Vec<&'a T>, categories: impl Fn(&T) -> &Words, ask: &Ask) -> Vec<Option<&'a T>> {
    let breadth = |one: &T| categories(one).intersection(&ask.categories).count();
    let Some(most) = found.iter().map(|one| breadth(one)).max() else { return vec![None] };
    found.into_iter().filter(|one| breadth(one) == most).map(Some).collect()
}

/// What was released to an agency wrongly is not released to it again until that is lifted.
fn is_frozen(records: &Records, incident: Name, ask: &Ask) -> bool {
    records.freezes.values().any(|one| !one.lifted && one.incident == incident && one.recipient == ask.requester)
}

/// What one incident releases under one consent and one authorisation.
fn release(
    (name, incident): (Name, &Incident),
    (consent, authorisation): (Option<&Scope>, Option<&Authorisation>),
    ask: &Ask,
    law: &Law<'_>,
    at: Micros,
) -> Option<Release> {
    let duty = |clause: &&&Clause| clause.is("duty") && notification_fault(incident, clause, at).is_none();
    let has_duty = law.powers_and_duties.iter().any(|clause| duty(&clause));
    // The hard limits, whatever a clause says.
    if !has_duty && (authorisation.is_none() || incident.tlp == "red") {
        return None;
    }
    if ask.requester == ask.holder || (law.consent_first && consent.is_none()) {
        return None;
    }
    let mut categories = BTreeSet::new();
    let mut permitting: Vec<&Clause> = Vec::new();
    for clause in &law.powers_and_duties {
        let of_clause = ask.categories.iter().copied().filter(|category| {
            incident.categories.contains(category)
                && has(&clause.categories, category)
                && (!clause.needs_consent || consent.is_some_and(|scope| scope.categories.contains(category)))
                && if clause.is("duty") {
                    notification_fault(incident, clause, at).is_none()
                } else {
                    authorisation
                        .is_some_and(|given| has(&clause.grounds, given.ground) && given.categories.contains(category))
                }
        });
        let of_clause: Vec<String> = of_clause.map(str::to_owned).collect();
        if !of_clause.is_empty() {
            permitting.push(clause);
            categories.extend(of_clause);
        }
    }
    if categories.is_empty() {
        return None;
    }
    let refused_onward = permitting.iter().any(|clause| clause.needs_consent) && !consent.is_some_and(|c| c.onward);
    let strictest =
        ["no", "with-consent", "yes"].into_iter().find(|word| permitting.iter().any(|one| one.onward == *word));
    let days = permitting.iter().filter_map(|clause| clause.review_days).min().unwrap_or(90);
    let retained = permitting.iter().filter_map(|clause| clause.retain_days).min();
    let mut obligations: Vec<String> = Vec::new();
    for obligation in permitting.iter().flat_map(|clause| &clause.obligations) {
        if !obligations.contains(obligation) {
            obligations.push(obligation.clone());
        }
    }
    Some(Release {
        incident: name,
        revision: incident.revision,
        categories,
        clauses: permitting.iter().map(|clause| clause.id.clone()).collect(),
        enforcement: law.enforcement,
        onward: if refused_onward { "no" } else { strictest.unwrap() }.to_owned(),
        tlp: incident.tlp.to_owned(),
        review_by: at + days * DAY,
        dispose_by: retained.map_or(incident.kept_until, |days| incident.kept_until.min(at + days * DAY)),
        obligations,
    })
}

/// What must come of the ask at this time under these agreements in force.
pub(super) fn outcome(records: &Records, agreements: &[&Agreement], ask: &Ask, at: Micros) -> Outcome {
    let law = match law(agreements, ask, at) {
        Ok(law) => law,
        Err(reason) => return Outcome::NotCovered(reason),
    };
    let found = records.incidents.iter().filter(|(name, one)| missed(records, **name, one, ask).is_empty());
    let found: Vec<(Name, &Incident)> = found.map(|(name, incident)| (*name, incident)).collect();
    // The cap on matches: above it, nothing.
    let too_many = found.len() > 16;
    let outcome_of = |incident: (Name, &Incident)| {
        let consents = records.consents.values().filter_map(|consent| {
            let (_, scope) = consent.given.as_ref()?;
            consent_faults(consent, Some(scope), incident, ask, &law, at).is_empty().then_some(scope)
        });
        let authorisations = records.authorisations.values();
        let authorisations = authorisations.filter(|one| authorisation_faults(one, incident, ask, &law, at).is_empty());
        let consents = broadest(consents.collect(), |scope| &scope.categories, ask);
        let authorisations = broadest(authorisations.collect(), |given| &given.categories, ask);
        let nothing = too_many || is_frozen(records, incident.0, ask);
        let mut may_be = Vec::new();
        for consent in &consents {
            for authorisation in &authorisations {
                let release = release(incident, (*consent, *authorisation), ask, &law, at).filter(|_| !nothing);
                if !may_be.contains(&release) {
                    may_be.push(release);
                }
            }
        }
        Match { incident: incident.0, may_be }
    };
    Outcome::Covered(found.into_iter().map(outcome_of).collect())
}

/// The fewest conditions that would have to hold as well for something to be released: how far a world that is open
/// is from a release. This judges the worlds, not the gate.
pub(super) fn distance(records: &Records, agreements: &[&Agreement], ask: &Ask, at: Micros) -> Vec<Word> {
    let Ok(law) = law(agreements, ask, at) else { return vec!["not covered"] };
    let matched = records.incidents.iter().filter(|(name, one)| missed(records, **name, one, ask).is_empty()).count();
    let of_incident = |(name, incident): (&Name, &Incident)| {
        let mut faults = missed(records, *name, incident, ask);
        faults.extend(is_frozen(records, *name, ask).then_some("frozen"));
        let incident = (*name, incident);
        let consents = records.consents.values().map(|consent| {
            let scope = consent.given.as_ref().map(|(_, scope)| scope).or(consent.last.as_ref());
            consent_faults(consent, scope, incident, ask, &law, at)
        });
        let authorisations = records.authorisations.values();
        let authorisations = authorisations.map(|given| authorisation_faults(given, incident, ask, &law, at));
        let fewest = |all: Vec<Vec<Word>>, none| all.into_iter().min_by_key(Vec::len).unwrap_or(vec![none]);
        if law.consent_first {
            faults.extend(fewest(consents.collect(), "no consent"));
        }
        let duty = law.powers_and_duties.iter().find(|clause| clause.is("duty"));
        let of_duty: Option<Vec<Word>> =
            duty.map(|clause| notification_fault(incident.1, clause, at).into_iter().collect());
        let mut of_power = fewest(authorisations.collect(), "no authorisation");
        of_power.extend((incident.1.tlp == "red").then_some("TLP red"));
        let has_power = law.powers_and_duties.iter().any(|clause| !clause.is("duty"));
        faults.extend(match of_duty {
            Some(of_duty) if !has_power || of_duty.len() <= of_power.len() => of_duty,
            _ => of_power,
        });
        faults.extend((ask.requester == ask.holder).then_some("the recipient is the holder"));
        faults.extend((matched > 16).then_some("too many matches"));
        if faults.is_empty() { vec!["no category in all of them"] } else { faults }
    };
    records.incidents.iter().map(of_incident).min_by_key(Vec::len).unwrap_or(vec!["nothing held"])
}
