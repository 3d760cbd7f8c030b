//! Who may not call or receive for now: one agency's word, at its own node.

use std::fmt;

use super::{Actor, AgencyId, Instant, Invalid, OfficerId, Requester};

/// Who can be suspended: an agency, one officer of it, or whoever presents one of its certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspended {
    /// The agency.
    pub agency: AgencyId,
    /// What of it.
    pub part: Part,
}

/// What of an agency is suspended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Everybody.
    Whole,
    /// An officer, by the pseudonym, which the same officer has for ever; unit and roles are the token's to say and may be
    /// others tomorrow.
    Officer(String),
    /// A certificate, as [`certificate_name`] has it.
    Certificate(String),
}

/// A suspension that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// The agency that suspended.
    pub holder: AgencyId,
    /// Whom.
    pub suspended: Suspended,
    /// The officer, where it is one of the holder's own.
    pub officer: Option<OfficerId>,
    /// Since when.
    pub suspended_at: Instant,
    /// The holder's officer who did it.
    pub suspended_by: OfficerId,
}

/// The suspensions that stand against some officers and their agencies, as read in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Suspensions(pub Vec<Suspension>);

/// How many letters and digits follow the first word of a pseudonym.
const PSEUDONYM_LENGTH: usize = 20;

impl Suspended {
    /// An officer of another agency, by the pseudonym that this node showed.
    pub fn officer(agency: AgencyId, pseudonym: &str) -> Result<Self, Invalid> {
        let drawn = pseudonym.strip_prefix("officer-").unwrap_or_default();
        let is_drawn = drawn.len() == PSEUDONYM_LENGTH && drawn.chars().all(|c| matches!(c, 'a'..='z' | '2'..='7'));
        if is_drawn {
            return Ok(Self { agency, part: Part::Officer(pseudonym.to_owned()) });
        }
        let problem = "is not a pseudonym: for an officer of another agency it is `officer-` and 20 letters or digits, \
                       as a received request or an entry shows it";
        Err(Invalid::new("", problem))
    }

    /// From the text that it has as an entry's object.
    pub fn read(text: &str) -> Self {
        let (agency, part) = match text.split_once('/') {
            Some((agency, part)) if certificate_name(part).is_ok() => (agency, Part::Certificate(part.to_owned())),
            Some((agency, pseudonym)) => (agency, Part::Officer(pseudonym.to_owned())),
            None => (text, Part::Whole),
        };
        Self { agency: AgencyId::known(agency), part }
    }

    /// The officer's pseudonym, where one is suspended.
    pub fn pseudonym(&self) -> Option<&str> {
        if let Part::Officer(pseudonym) = &self.part { Some(pseudonym) } else { None }
    }

    /// The certificate's name, where one is suspended.
    pub fn certificate(&self) -> Option<&str> {
        if let Part::Certificate(name) = &self.part { Some(name) } else { None }
    }

    /// Whether it is about this officer, who calls through a system with this certificate, or about all of the agency.
    fn includes(&self, agency: &AgencyId, officer: &str, certificate: &[String]) -> bool {
        let is_included = match &self.part {
            Part::Whole => true,
            Part::Officer(pseudonym) => *pseudonym == officer,
            Part::Certificate(name) => certificate.contains(name),
        };
        self.agency == *agency && is_included
    }
}

/// A certificate's name: `sha256:` and the fingerprint over its DER, or `serial:` and its serial number without leading zero
/// octets, both in hexadecimal. Colons and upper case are taken as tools print them.
pub fn certificate_name(text: &str) -> Result<String, Invalid> {
    let is_hex = |hex: &str| hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    let plain = |hex: &str| hex.replace(':', "").to_lowercase();
    let name = match text.split_once(':') {
        Some(("sha256", hex)) => Some(("sha256", plain(hex))).filter(|(_, hex)| hex.len() == 64),
        Some(("serial", hex)) => Some(("serial", plain(hex).trim_start_matches("00").to_owned()))
            .filter(|(_, hex)| (2..=40).contains(&hex.len()) && hex.len() % 2 == 0),
        _ => None,
    };
    let problem = "is not a certificate: write `sha256:` and the 64 digits of its fingerprint, or `serial:` and its serial \
                   number, in hexadecimal, as `openssl x509 -noout -fingerprint -sha256 -serial` shows them";
    let name = name.filter(|(_, hex)| is_hex(hex)).ok_or_else(|| Invalid::new("", problem))?;
    Ok(format!("{}:{}", name.0, name.1))
}

impl fmt::Display for Suspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Part::Officer(part) | Part::Certificate(part) => write!(f, "{}/{part}", self.agency),
            Part::Whole => write!(f, "{}", self.agency),
        }
    }
}

impl Actor {
    /// Each way in which a suspension can name whoever calls: as an officer, and by the certificate.
    pub fn suspendable(&self) -> Vec<String> {
        let certificate = self.certificate.iter().map(|name| format!("{}/{name}", self.agency));
        Requester::from(self).suspendable().into_iter().chain(certificate).collect()
    }
}

impl Requester {
    /// Both ways in which a suspension can name this officer: with the whole agency, and alone.
    pub fn suspendable(&self) -> [String; 2] {
        [self.agency.to_string(), format!("{}/{}", self.agency, self.pseudonym)]
    }
}

impl Suspensions {
    /// Who suspended this officer, or the certificate that calls for it, so that nothing may be called here: its own agency,
    /// or, where its agency is a guest, any agency whose records are here.
    ///
    /// An agency's work on its own records goes on whatever another one says that shares the node with it: no agency can
    /// stop another's withdrawals.
    pub fn of_caller(&self, caller: &Actor, is_guest: bool) -> Option<&AgencyId> {
        let stops = |one: &&Suspension| {
            one.suspended.includes(&caller.agency, &caller.pseudonym, &caller.certificate)
                && (is_guest || one.holder == caller.agency)
        };
        self.0.iter().find(stops).map(|one| &one.holder)
    }

    /// Who suspended this officer so that nothing of the holder's may reach it: the holder, or its own agency.
    pub fn between(&self, holder: &AgencyId, requester: &Requester) -> Option<&AgencyId> {
        let stops = |one: &&Suspension| {
            one.suspended.includes(&requester.agency, &requester.pseudonym, &[])
                && (one.holder == *holder || one.holder == requester.agency)
        };
        self.0.iter().find(stops).map(|one| &one.holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Unit;

    const PSEUDONYM: &str = "officer-abcdefghijklmnopqrst";

    fn officer(agency: &str, pseudonym: &str) -> Requester {
        Requester { agency: AgencyId::known(agency), unit: Unit::known("desk"), pseudonym: pseudonym.into() }
    }

    fn caller(agency: &str, certificate: &[String]) -> Actor {
        let Requester { agency, unit, pseudonym } = officer(agency, PSEUDONYM);
        Actor { agency, officer: OfficerId::known("rec"), unit, pseudonym, certificate: certificate.to_vec() }
    }

    fn standing(holder: &str, suspended: &str) -> Suspensions {
        Suspensions(vec![Suspension {
            holder: AgencyId::known(holder),
            suspended: Suspended::read(suspended),
            officer: None,
            suspended_at: Instant::from_micros(0),
            suspended_by: OfficerId::known("op"),
        }])
    }

    #[test]
    fn an_officer_is_suspended_alone_or_with_the_agency() {
        let one = officer("ico", PSEUDONYM);
        let other = officer("ico", "officer-2222222222222222222a");
        let (alone, all) = (standing("ncsc", &format!("ico/{PSEUDONYM}")), standing("ncsc", "ico"));
        let ncsc = AgencyId::known("ncsc");
        assert_eq!(alone.between(&ncsc, &one), Some(&ncsc));
        assert_eq!(alone.between(&ncsc, &other), None);
        assert_eq!(all.between(&ncsc, &other), Some(&ncsc));
        assert_eq!(all.between(&ncsc, &officer("nca", PSEUDONYM)), None, "the pseudonym of another agency's officer");
        let suspended = Suspended::officer(AgencyId::known("ico"), PSEUDONYM).unwrap();
        assert_eq!(Suspended::read(&suspended.to_string()), suspended);
        assert!(one.suspendable().contains(&suspended.to_string()));
    }

    #[test]
    fn a_certificate_is_suspended_for_whoever_presents_it() {
        let ico = AgencyId::known("ico");
        let names = [format!("sha256:{}", "0f".repeat(32)), "serial:4f01".to_owned()];
        for name in names.clone() {
            let suspended =
                Suspended { agency: ico.clone(), part: Part::Certificate(certificate_name(&name).unwrap()) };
            assert_eq!(Suspended::read(&suspended.to_string()), suspended);
            let standing = standing("ico", &suspended.to_string());
            assert_eq!(standing.of_caller(&caller("ico", &names), false), Some(&ico));
            assert!(caller("ico", &names).suspendable().contains(&suspended.to_string()));
            assert!(standing.of_caller(&caller("ico", &["serial:4f02".to_owned()]), true).is_none(), "by another one");
            assert!(standing.of_caller(&caller("nca", &names), true).is_none(), "another agency's with that number");
            assert!(standing.between(&ico, &officer("ico", PSEUDONYM)).is_none(), "no officer, whoever calls for them");
        }
        assert_eq!(certificate_name("serial:00:C0:FF:EE").unwrap(), "serial:c0ffee");
        let printed = format!("sha256:{}", ["AB"; 32].join(":"));
        assert_eq!(certificate_name(&printed).unwrap(), format!("sha256:{}", "ab".repeat(32)));
        for wrong in ["", "serial:", "serial:4", "serial:00", "serial:xy", "sha256:00", "sha1:00", "4f01"] {
            assert!(certificate_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_agency_stops_another_ones_own_work() {
        let (ico, one) = (AgencyId::known("ico"), officer("ico", PSEUDONYM));
        let by_another = standing("ncsc", "ico");
        assert!(by_another.of_caller(&caller("ico", &[]), false).is_none(), "its records are here");
        assert!(by_another.of_caller(&caller("ico", &[]), true).is_some(), "it is a guest");
        assert!(by_another.between(&AgencyId::known("nca"), &one).is_none(), "a third agency's records");
        let by_its_own = standing("ico", &format!("ico/{PSEUDONYM}"));
        assert_eq!(by_its_own.of_caller(&caller("ico", &[]), false), Some(&ico));
        assert_eq!(by_its_own.between(&AgencyId::known("nca"), &one), Some(&ico));
    }

    #[test]
    fn what_is_no_pseudonym_names_no_officer_of_another_agency() {
        let ico = || AgencyId::known("ico");
        for wrong in
            ["", "officer", "officer-", "j.smith", "officer-abcdefghijklmnopqrs", "officer-ABCDEFGHIJKLMNOPQRST"]
        {
            assert!(Suspended::officer(ico(), wrong).is_err(), "{wrong}");
        }
    }
}
