//! Names of things, each a type of its own, each checked where it enters.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Invalid;

/// Whether `text` is 1 to `most` of `a-z 0-9` and the given marks, beginning with a letter or digit.
fn is_slug(text: &str, most: usize, marks: &str) -> bool {
    let mut letters = text.chars();
    text.len() <= most
        && letters.next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || marks.contains(c))
}

fn is_visible(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn is_technique(text: &str) -> bool {
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    let (number, part) = text.split_once('.').map_or((text, None), |(number, part)| (number, Some(part)));
    number.strip_prefix('T').is_some_and(|number| digits(number, 4)) && part.is_none_or(|part| digits(part, 3))
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $accepts:expr, $problem:literal;)+) => { $(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks the form; whether such a thing exists is another question.
            pub fn parse(text: impl Into<String>) -> Result<Self, Invalid> {
                let text = text.into();
                let accepts: fn(&str) -> bool = $accepts;
                if text.is_empty() {
                    return Err(Invalid::new("", "is required"));
                }
                if accepts(&text) { Ok(Self(text)) } else { Err(Invalid::new("", $problem)) }
            }

            /// A name that this program made or has checked before.
            pub fn known(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+ };
}

names! {
    /// An agency, such as `ico`. Stable while the agency's name changes.
    AgencyId: |t| is_slug(t, 32, "-"), "is not an agency id: 1 to 32 of a-z, 0-9 and `-`";
    /// An agreement, such as `ico-ncsc-2023`.
    AgreementId: |t| is_slug(t, 64, "-"), "is not an agreement id: 1 to 64 of a-z, 0-9 and `-`";
    /// A clause, such as `ico-ncsc-2023/incident-to-ico`.
    ClauseId: |t| is_slug(t, 128, "-/"), "is not a clause id: 1 to 128 of a-z, 0-9, `-` and `/`";
    /// What an agency believes of an incident, such as `suspected-nationally-significant`; defined by the agreements.
    Belief: |t| is_slug(t, 64, "-"), "is not a belief: 1 to 64 of a-z, 0-9 and `-`";
    /// A recommendation that a holder made to an organisation.
    RecommendationId: |t| is_visible(t, 1, 64), "is not a recommendation id";
    /// A purpose, such as `harm-reduction`; defined by the agreements.
    Purpose: |t| is_slug(t, 64, "-"), "is not a purpose: 1 to 64 of a-z, 0-9 and `-`";
    /// A legal ground, such as `dpa-2018-s132-2-f`; defined by the agreements.
    Ground: |t| is_slug(t, 64, "-"), "is not a ground: 1 to 64 of a-z, 0-9 and `-`";
    /// A category of an incident's content, such as `timeline`; defined by the contract.
    Category: |t| is_slug(t, 64, "-"), "is not a category: 1 to 64 of a-z, 0-9 and `-`";
    /// A role of an officer, such as `recorder`.
    Role: |t| is_slug(t, 32, "-"), "is not a role: 1 to 32 of a-z, 0-9 and `-`";
    /// An officer as the token names them. Never shown to another agency.
    OfficerId: |t| t.len() <= 200 && !t.chars().any(char::is_control), "is not an officer: at most 200 characters";
    /// The part of an agency that an officer belongs to; may be shown to other agencies.
    Unit: |t| t.len() <= 100 && !t.chars().any(char::is_control), "is not a unit: at most 100 characters";
    /// A caller's idempotency key.
    RequestId: |t| is_visible(t, 8, 64), "must be 8 to 64 letters, digits, `-`, `_` or `.`; a UUID fits";
    /// A holder's mandate record.
    MandateId: |t| is_visible(t, 1, 64), "is not a mandate id";
    /// A holder's organisation record.
    OrganisationId: |t| is_visible(t, 1, 64), "is not an organisation id";
    /// A holder's incident record. Never shown to another agency.
    IncidentId: |t| is_visible(t, 1, 64), "is not an incident id";
    /// A holder's consent record.
    ConsentId: |t| is_visible(t, 1, 64), "is not a consent id";
    /// A holder's authorisation record.
    AuthorisationId: |t| is_visible(t, 1, 64), "is not an authorisation id";
    /// A random string that resolves to one incident, for one agency only.
    Reference: |t| is_visible(t, 8, 64), "is not a reference: 8 to 64 letters, digits, `-`, `_` or `.`";
    /// A request to a holder.
    Question: |t| is_visible(t, 1, 64), "is not a request";
    /// An event, the same for ever.
    EventId: |t| is_visible(t, 1, 128), "is not an event id";
    /// A holder's theme.
    ThemeId: |t| is_visible(t, 1, 64), "is not a theme id";
    /// A sector, as the statistics name it.
    Sector: |t| is_slug(t, 32, "-"), "is not a sector: 1 to 32 of a-z, 0-9 and `-`";
    /// A MITRE ATT&CK technique or sub-technique, such as `T1566.001`; whether there is such a one is not looked up.
    Technique: is_technique, "is not a technique: write T1486 or T1566.001";
    /// An agency's proposal to others.
    ProposalId: |t| is_visible(t, 1, 64), "is not a proposal id";
    /// A kind of proposal, such as `statement`; defined by the agreements.
    ProposalKind: |t| is_slug(t, 64, "-"), "is not a kind of proposal: 1 to 64 of a-z, 0-9 and `-`";
    /// An agency's permission to pass on what came from it.
    PermissionId: |t| is_visible(t, 1, 64), "is not a permission id";
    /// Help that an agency has on offer, such as `nca-motives`; defined by `signposts/help.toml`.
    HelpId: |t| is_slug(t, 64, "-"), "is not help: 1 to 64 of a-z, 0-9 and `-`";
    /// An offer of help to one of a holder's organisations.
    HelpOfferId: |t| is_visible(t, 1, 64), "is not the id of an offer of help";
    /// A holder's obligation.
    ObligationId: |t| is_visible(t, 1, 64), "is not an obligation id";
    /// A release or a recorded disclosure of a holder's.
    DisclosureId: |t| is_visible(t, 1, 64), "is not a disclosure id";
    /// An agency's dealing with an organisation; shown to those to whom it was put.
    EngagementId: |t| is_visible(t, 1, 64), "is not an engagement id";
    /// By what means something was disclosed elsewhere, such as `telephone`.
    Means: |t| is_slug(t, 64, "-"), "is not a means: 1 to 64 of a-z, 0-9 and `-`";
    /// A notice.
    NoticeId: |t| is_visible(t, 1, 64), "is not a notice id";
    /// A holder's wrongful release.
    WrongfulReleaseId: |t| is_visible(t, 1, 64), "is not the id of a wrongful release";
}

impl Category {
    /// Who the organisation is.
    pub const IDENTITY: &'static str = "identity";
}
