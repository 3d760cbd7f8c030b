//! That an agency deals with an organisation, and how agencies keep out of each other's way there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AgencyId, EngagementId, Identifier, IncidentId, Instant, OrganisationId, Purpose};

/// What agencies that see an engagement should know of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngagementTerms {
    /// The unit of the officer who leads it.
    pub unit: String,
    /// How to reach its duty desk.
    pub contact: String,
    /// The agency that should lead towards the organisation.
    pub lead: Option<AgencyId>,
    /// Until when the organisation is not to be asked what can wait, exclusive.
    pub pause_until: Option<Instant>,
}

/// Something that an agency asked an organisation.
#[derive(Clone, PartialEq, Eq)]
pub struct AskOfVictim {
    /// What, in short.
    pub text: String,
    /// Whether it could not wait for the end of containment.
    pub urgent: bool,
    /// When.
    pub asked_at: Instant,
}

/// An agency to which an engagement was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngagementPut {
    /// The agency.
    pub recipient: AgencyId,
    /// For what.
    pub purpose: Purpose,
    /// When.
    pub put_at: Instant,
    /// The version of the organisation's record that was put. It is shown to others only while it has that one.
    pub organisation_version: i64,
}

/// One agency's dealing with the organisation of one of its own incidents.
#[derive(Clone, PartialEq, Eq)]
pub struct Engagement {
    /// Its id, which says nothing.
    pub id: EngagementId,
    /// Whose it is.
    pub holder: AgencyId,
    /// The incident.
    pub incident: IncidentId,
    /// Since when.
    pub since: Instant,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// The rest.
    pub terms: EngagementTerms,
    /// What the organisation was asked, the latest first; read for the meeting list alone.
    pub asks: Vec<AskOfVictim>,
    /// To whom it was put.
    pub puts: Vec<EngagementPut>,
}

super::invalid::unprinted!(EngagementTerms, AskOfVictim, Engagement);

impl Engagement {
    /// Who should lead, as far as this agency may see: that a third one is engaged is not told by naming it.
    pub fn lead_for(&self, reader: &AgencyId) -> Option<&AgencyId> {
        let is_of_both = |lead: &&AgencyId| *reader == self.holder || **lead == self.holder || *lead == reader;
        self.terms.lead.as_ref().filter(is_of_both)
    }

    /// Until when it asks for a pause that runs at this time.
    pub fn pause(&self, at: Instant) -> Option<Instant> {
        self.terms.pause_until.filter(|until| at < *until)
    }
}

/// Who leads towards an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead<'a> {
    /// Nobody is named.
    Open,
    /// One is named by some, and no other by anybody.
    Proposed(&'a AgencyId),
    /// Several agencies are engaged, and each names this one.
    Agreed(&'a AgencyId),
    /// Not the same one by all who name one.
    Disputed,
}

impl<'a> Lead<'a> {
    /// By what each engaged agency says in each of its engagements, as far as the reader may see it.
    pub fn of(said: &[(&AgencyId, Option<&'a AgencyId>)]) -> Self {
        let named: BTreeSet<&AgencyId> = said.iter().filter_map(|(_, lead)| *lead).collect();
        let engaged: BTreeSet<&AgencyId> = said.iter().map(|(agency, _)| *agency).collect();
        match (named.first(), named.len()) {
            (None, _) => Self::Open,
            (Some(_), 2..) => Self::Disputed,
            (Some(lead), _) if engaged.len() > 1 && said.iter().all(|(_, lead)| lead.is_some()) => Self::Agreed(lead),
            (Some(lead), _) => Self::Proposed(lead),
        }
    }
}

/// By what an engagement's organisation is told from others.
#[derive(Clone, PartialEq, Eq)]
pub struct Engaged {
    /// Whose record.
    pub holder: AgencyId,
    /// The record.
    pub organisation: OrganisationId,
    /// Its registered identifiers.
    pub identifiers: BTreeSet<Identifier>,
}

super::invalid::unprinted!(Engaged);

impl Engaged {
    fn is(&self, other: &Self) -> bool {
        let record = (&self.holder, &self.organisation) == (&other.holder, &other.organisation);
        record || !self.identifiers.is_disjoint(&other.identifiers)
    }
}

/// Which of these are about one organisation, by their places: one record of one agency, or the same registered identifier.
/// Names are never compared.
pub fn together(engaged: &[Engaged]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, one) in engaged.iter().enumerate() {
        let meets =
            |group: &Vec<usize>| group.iter().filter_map(|other| engaged.get(*other)).any(|other| one.is(other));
        let (met, mut apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(meets);
        let mut group: Vec<usize> = met.into_iter().flatten().chain([place]).collect();
        group.sort_unstable();
        apart.push(group);
        groups = apart;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agency(id: &str) -> AgencyId {
        AgencyId::known(id)
    }

    #[test]
    fn a_lead_is_agreed_once_each_agency_names_the_same() {
        let (ico, ncsc) = (agency("ico"), agency("ncsc"));
        assert_eq!(Lead::of(&[(&ico, None), (&ncsc, None)]), Lead::Open);
        assert_eq!(Lead::of(&[(&ico, Some(&ico))]), Lead::Proposed(&ico), "nobody else is engaged");
        assert_eq!(Lead::of(&[(&ico, Some(&ico)), (&ico, Some(&ico))]), Lead::Proposed(&ico), "of two incidents");
        assert_eq!(Lead::of(&[(&ico, Some(&ico)), (&ncsc, None)]), Lead::Proposed(&ico));
        assert_eq!(Lead::of(&[(&ico, Some(&ico)), (&ncsc, Some(&ico))]), Lead::Agreed(&ico));
        assert_eq!(Lead::of(&[(&ico, Some(&ico)), (&ncsc, Some(&ncsc))]), Lead::Disputed);
    }

    #[test]
    fn naming_a_third_agency_as_lead_tells_nobody_that_it_is_engaged() {
        let terms = |lead: &str| EngagementTerms {
            unit: "desk".to_owned(),
            contact: "desk".to_owned(),
            lead: Some(agency(lead)),
            pause_until: Some(Instant::from_micros(5)),
        };
        let engagement = |lead: &str| Engagement {
            id: EngagementId::known("eng_1"),
            holder: agency("ico"),
            incident: IncidentId::known("inc_1"),
            since: Instant::from_micros(0),
            ended_at: None,
            terms: terms(lead),
            asks: Vec::new(),
            puts: Vec::new(),
        };
        let seen = |lead: &str, reader: &str| engagement(lead).lead_for(&agency(reader)).is_some();
        assert!(seen("ncsc", "ico") && seen("ncsc", "ncsc") && seen("ico", "nca"));
        assert!(!seen("ncsc", "nca"));
        let pause = |at: i64| engagement("ico").pause(Instant::from_micros(at)).is_some();
        assert!(pause(4) && !pause(5));
    }

    #[test]
    fn engagements_meet_by_record_and_by_registered_identifier() {
        let engaged = |holder: &str, organisation: &str, numbers: &[&str]| Engaged {
            holder: agency(holder),
            organisation: OrganisationId::known(organisation),
            identifiers: numbers.iter().map(|number| Identifier::parse("gb-coh", number).unwrap()).collect(),
        };
        let all = [
            engaged("ico", "org_1", &[]),
            engaged("ncsc", "org_1", &[]),
            engaged("ncsc", "org_2", &["1"]),
            engaged("nca", "org_3", &["2"]),
            engaged("ico", "org_4", &["1", "2"]),
            engaged("ico", "org_1", &["3"]),
        ];
        let mut groups = together(&all);
        groups.sort();
        assert_eq!(groups, [vec![0, 5], vec![1], vec![2, 3, 4]]);
    }
}
