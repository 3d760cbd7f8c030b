//! Help that an agency offers to an organisation, and what the organisation says to it.

use super::{AgencyId, HelpId, HelpOfferId, Instant, OrganisationId, Rejected};

/// Where an offer of help stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelpState {
    /// The organisation has not answered.
    Offered,
    /// It takes the help.
    Accepted,
    /// It does not. That is nobody else's business, and no reason is asked for.
    Declined,
}

impl HelpState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Offered, Self::Accepted, Self::Declined];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
        }
    }

    /// Reads a state.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// One kind of help that was offered to one organisation. Of the same help to the same organisation there is one record.
#[derive(Debug, Clone)]
pub struct HelpOffer {
    /// Its id.
    pub id: HelpOfferId,
    /// The agency that offers.
    pub holder: AgencyId,
    /// To which organisation of its register.
    pub organisation: OrganisationId,
    /// Which help, as the agency's catalogue names it.
    pub help: HelpId,
    /// Where it stands.
    pub state: HelpState,
    /// From 1; one more with each step.
    pub version: i64,
    /// When it was offered last.
    pub offered_at: Instant,
    /// When the organisation's answer to that was recorded.
    pub answered_at: Option<Instant>,
}

impl HelpOffer {
    /// The offer after one more step.
    ///
    /// What was declined may be offered anew, and an organisation may change its mind either way.
    pub fn step(self, state: HelpState, at: Instant) -> Result<Self, Rejected> {
        let (offered_at, answered_at) = match (self.state, state) {
            (HelpState::Declined, HelpState::Offered) => (at, None),
            (_, HelpState::Offered) => return Err(Rejected::WrongState("it was offered already, and not declined")),
            (HelpState::Accepted, HelpState::Accepted) => {
                return Err(Rejected::WrongState("it was accepted already"));
            }
            (HelpState::Declined, HelpState::Declined) => {
                return Err(Rejected::WrongState("it was declined already"));
            }
            (_, HelpState::Accepted | HelpState::Declined) => (self.offered_at, Some(at)),
        };
        Ok(Self { state, version: self.version + 1, offered_at, answered_at, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_declined_may_be_offered_anew_and_a_mind_may_change() {
        let at = |day| Instant::from_micros(0).plus_days(day);
        let offer = HelpOffer {
            id: HelpOfferId::known("help_1"),
            holder: AgencyId::known("nca"),
            organisation: OrganisationId::known("org_1"),
            help: HelpId::known("nca-motives"),
            state: HelpState::Offered,
            version: 1,
            offered_at: at(1),
            answered_at: None,
        };
        let steps = [
            (HelpState::Offered, None),
            (HelpState::Declined, Some((1, Some(3)))),
            (HelpState::Declined, None),
            (HelpState::Accepted, Some((1, Some(5)))),
            (HelpState::Offered, None),
            (HelpState::Accepted, None),
            (HelpState::Declined, Some((1, Some(8)))),
            (HelpState::Offered, Some((9, None))),
            (HelpState::Accepted, Some((9, Some(10)))),
        ];
        let (mut now, mut versions) = (offer, 1);
        for (day, (state, expected)) in (2..).zip(steps) {
            match (now.clone().step(state, at(day)), expected) {
                (Err(Rejected::WrongState(_)), None) => {}
                (Ok(next), Some((offered, answered))) => {
                    versions += 1;
                    assert_eq!((next.state, next.version), (state, versions));
                    assert_eq!((next.offered_at, next.answered_at), (at(offered), answered.map(at)));
                    now = next;
                }
                (came, wanted) => panic!("day {day}, {state:?}: {came:?}, not {wanted:?}"),
            }
        }
    }
}
