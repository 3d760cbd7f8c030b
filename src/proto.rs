//! What the build makes of `proto/`: the messages, the services, and the tables that the contract's own options
//! define. Only `wire` speaks the services; `ledger` uses the messages that are hashed.

/// The messages and services of `concordat.v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    reason = "generated"
)]
pub mod v1 {
    tonic::include_proto!("concordat.v1");

    super::unprinted!(
        IncidentContent,
        Identity,
        Identifier,
        Contact,
        Timeline,
        TechnicalIndicators,
        Indicator,
        RootCause,
        Impact,
        Ransom,
        Narrative,
        Assessment,
        Sector,
        ReleasedCategory,
        AnonymisedRecord,
        AnonymisedValue,
        Agent,
        ConsentEvidence,
        MandateEvidence,
        SubjectStatement,
        Opening,
        Paper,
        Reminder,
        RecordReminderRequest,
        Recommendation,
        RecordRecommendationRequest,
        ThemeContent,
        EngagedOrganisation,
        Engagement,
        EngagementTerms,
        AskOfVictim,
        RecordAskOfVictimRequest,
        ProposalContent,
        Citation,
        ProposalAnswer,
        ProposalMessage,
        Attachment,
    );
}

/// Gives the messages that carry what was told in confidence a `Debug` that says nothing.
macro_rules! unprinted {
    ($($name:ident),+ $(,)?) => { $(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+ };
}
use unprinted;

/// The descriptor set with our options in it, for reflection and for the commands.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// A role: its id, what it is for, and whether it may see what incidents contain.
pub type Role = (&'static str, &'static str, bool);

/// Every role that there is, from `proto/roles.toml`.
pub const ROLES: &[Role] = include!(concat!(env!("OUT_DIR"), "/roles.rs"));

/// Who may call an RPC.
pub type Access = (&'static str, &'static [&'static str], bool);

/// What takes a permission away. A flood of anything else keeps none of these out: they are counted apart.
pub const TAKES_AWAY: [&str; 15] = [
    "EndAgreement",
    "EndMandate",
    "MarkConsentInError",
    "NarrowConsent",
    "PresentWithdrawal",
    "RecordMerger",
    "RefuseConsent",
    "ReportWrongfulRelease",
    "RevokeAuthorisation",
    "SuspendAgency",
    "SuspendCertificate",
    "SuspendOfficer",
    "WithdrawConsent",
    "WithdrawPermission",
    "WithdrawTheme",
];

/// The largest request: an incident with a full narrative fits many times over.
pub const MOST_REQUEST_BYTES: usize = 512 * 1024;

/// The largest request of health and of reflection, which say a name at most and need no officer.
pub const MOST_PROBE_BYTES: usize = 4 * 1024;

/// Whether a method, named as `Service/Method` or as its path, takes a permission away.
pub fn takes_away(method: &str) -> bool {
    method.rsplit_once('/').is_some_and(|(_, name)| TAKES_AWAY.contains(&name))
}

/// Each RPC's path, the roles of which its caller needs one (none: any officer), and whether only officers of an
/// agency whose records this node holds may call it.
pub const ACCESS: &[Access] = include!(concat!(env!("OUT_DIR"), "/access.rs"));

/// Each category of an incident's content and its field in `IncidentContent`.
pub const CATEGORIES: &[(&str, u32)] = include!(concat!(env!("OUT_DIR"), "/categories.rs"));

/// Each field within a category of an incident's content: its path, its category, how it passes in an anonymised record
/// (`withheld`, `banded` or `exact`), and the dimension of the statistics' menu that has its values, empty if withheld.
pub const ANONYMISED: &[(&str, &str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/anonymised.rs"));

/// The agreements that ship with the binary: folder, `agreement.toml`, `clauses.cedar`.
pub const BUNDLED_AGREEMENTS: &[(&str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));
