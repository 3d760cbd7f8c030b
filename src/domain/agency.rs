//! Agencies and their officers.

use serde::{Deserialize, Serialize};

use super::{AgencyId, Instant, Invalid, OfficerId, Unit, check};

/// An agency of which this node holds records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agency {
    /// Its id.
    pub id: AgencyId,
    /// Where a caller can turn to when nothing was released: told to every caller alike.
    pub duty_desk: String,
    /// Where a recipient sends corrections.
    pub correction_contact: String,
}

/// A name of an agency, for as long as it is the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgencyName {
    /// The name.
    pub text: String,
    /// From when, inclusive.
    pub from: Instant,
    /// Until when, exclusive; none: until there is another.
    pub until: Option<Instant>,
}

/// What an agency was, is and will be called. Its id stays the same.
///
/// INVARIANT: in order of time, and no two names at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgencyNames(Vec<AgencyName>);

impl AgencyNames {
    /// Puts names into the order of their time. Fields are named by their place in `names`.
    pub fn new(names: Vec<AgencyName>) -> Result<Self, Invalid> {
        let mut order: Vec<(usize, AgencyName)> = names.into_iter().enumerate().collect();
        for (place, name) in &order {
            let field = |field: &str| format!("[{place}].{field}");
            check(!name.text.trim().is_empty(), &field("text"), "is required")?;
            check(name.text.chars().count() <= 300, &field("text"), "must have at most 300 characters")?;
            check(!name.text.chars().any(char::is_control), &field("text"), "must not have control characters")?;
            check(name.until.is_none_or(|until| name.from < until), &field("until"), "must be later than `from`")?;
        }
        order.sort_by_key(|(_, name)| name.from);
        for ((_, earlier), (place, later)) in order.iter().zip(order.iter().skip(1)) {
            let apart = earlier.until.is_some_and(|until| until <= later.from);
            let problem = format!("must not be before `{}` ends: no agency has two names at once", earlier.text);
            check(apart, &format!("[{place}].from"), problem)?;
        }
        Ok(Self(order.into_iter().map(|(_, name)| name).collect()))
    }

    /// All of them, the first one first.
    pub fn all(&self) -> &[AgencyName] {
        &self.0
    }

    /// The name at a time, if there is one then.
    pub fn at(&self, at: Instant) -> Option<&str> {
        let is_name = |name: &&AgencyName| name.from <= at && name.until.is_none_or(|until| at < until);
        self.0.iter().find(is_name).map(|name| name.text.as_str())
    }
}

/// Who asks, as far as another agency may know it: no officer's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    /// The agency.
    pub agency: AgencyId,
    /// The officer's unit.
    pub unit: Unit,
    /// Stands for the officer.
    pub pseudonym: String,
}

impl Requester {
    /// No officer in particular of an agency: a suspension of the agency is about it, one of an officer is not.
    pub fn anyone_of(agency: AgencyId) -> Self {
        Self { agency, unit: Unit::known(""), pseudonym: String::new() }
    }
}

impl From<&Actor> for Requester {
    fn from(actor: &Actor) -> Self {
        Self { agency: actor.agency.clone(), unit: actor.unit.clone(), pseudonym: actor.pseudonym.clone() }
    }
}

/// Who acts: one officer of one agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The agency.
    pub agency: AgencyId,
    /// The officer, as their own agency knows them.
    pub officer: OfficerId,
    /// The officer's unit, which other agencies may see.
    pub unit: Unit,
    /// Stands for the officer wherever another agency may read it.
    pub pseudonym: String,
    /// The certificate of the system through which the officer calls, in each of the ways in which
    /// [`certificate_name`](super::certificate_name) writes it; none in the node's own process.
    pub certificate: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str, from: &str, until: Option<&str>) -> AgencyName {
        let date = |text| Instant::on_date(text).unwrap();
        AgencyName { text: text.into(), from: date(from), until: until.map(date) }
    }

    #[test]
    fn a_name_holds_from_its_first_instant_until_the_next_ones() {
        let (old, new) = (name("Old", "2001-01-30", Some("2030-01-01")), name("New", "2030-01-01", None));
        let names = AgencyNames::new(vec![new.clone(), old.clone()]).unwrap();
        assert_eq!(names.all(), [old, new], "in the order of time");
        let at = |date| names.at(Instant::on_date(date).unwrap());
        assert_eq!([at("2001-01-29"), at("2001-01-30")], [None, Some("Old")]);
        assert_eq!([at("2029-12-31"), at("2030-01-01"), at("2099-01-01")], [Some("Old"), Some("New"), Some("New")]);
    }

    #[test]
    fn no_agency_has_two_names_at_once() {
        let field = |names| AgencyNames::new(names).unwrap_err().field;
        let open = name("Old", "2001-01-30", None);
        assert_eq!(field(vec![open.clone(), name("New", "2030-01-01", None)]), "[1].from");
        assert_eq!(field(vec![name("New", "2030-01-01", None), open]), "[0].from");
        let long = name("Old", "2001-01-30", Some("2030-01-02"));
        assert_eq!(field(vec![long, name("New", "2030-01-01", None)]), "[1].from");
        assert_eq!(field(vec![name("Old", "2030-01-01", Some("2030-01-01"))]), "[0].until");
        assert_eq!(field(vec![name(" ", "2030-01-01", None)]), "[0].text");
    }
}
