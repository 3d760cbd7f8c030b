//! What each RPC of the contract speaks of.

/// What a request speaks of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Object {
    /// Nothing that could be somebody else's.
    Nothing,
    /// The record that this field names: `NOT_FOUND` unless it is the caller's own agency's.
    Record(&'static str),
    /// The agreement that this field names: `NOT_FOUND` for this agency, which is no party to it.
    Agreement(&'static str, &'static str),
    /// The reference that this field names: what is not the caller's own is open, as nothing is.
    Reference(&'static str),
    /// The caller's own agency's list: nothing of it is in another's.
    List,
    /// The same, narrowed by this field to a record: another's narrows it to nothing.
    Filter(&'static str),
}

use Object::{Agreement, Filter, List, Nothing, Record, Reference};

/// An RPC, the variant of its valid request, and what that speaks of.
pub(super) const ROWS: &[(&str, usize, Object)] = &[
    ("ListAgreements", 0, Nothing),
    ("GetAgreement", 0, Agreement("agreement_id", "nca")),
    ("ActivateAgreement", 0, Agreement("agreement_id", "ncsc")),
    ("EndAgreement", 0, Agreement("agreement_id", "ncsc")),
    ("RegisterOrganisation", 0, Nothing),
    ("AmendOrganisation", 0, Record("organisation_id")),
    ("GetOrganisation", 0, Record("organisation_id")),
    ("ListOrganisations", 0, List),
    ("RegisterIncident", 0, Record("organisation_id")),
    ("RegisterIncidents", 1, Record("incidents.organisation_id")),
    ("AmendIncident", 0, Record("incident_id")),
    ("VerifyNotification", 0, Record("incident_id")),
    ("IssueReference", 0, Record("incident_id")),
    ("GetIncident", 0, Record("incident_id")),
    ("ListIncidents", 0, Filter("organisation_id")),
    ("SeekConsent", 0, Record("organisation_id")),
    ("RecordConsent", 0, Record("consent_id")),
    ("RecordConsent", 0, Record("organisation_id")),
    ("RecordConsent", 0, Record("scope.incident_id")),
    ("VerifyConsent", 0, Record("consent_id")),
    ("RefuseConsent", 0, Record("consent_id")),
    ("NarrowConsent", 0, Record("consent_id")),
    ("NarrowConsent", 0, Record("scope.incident_id")),
    ("ReconfirmConsent", 0, Record("consent_id")),
    ("ReconfirmConsent", 0, Record("scope.incident_id")),
    ("WithdrawConsent", 0, Record("consent_id")),
    ("GetConsent", 0, Record("consent_id")),
    ("ListConsents", 0, Filter("organisation_id")),
    ("GiveAuthorisation", 0, Record("incident_id")),
    ("ListReceivedRequests", 0, List),
    ("GetReceivedRequest", 0, Record("request")),
    ("PreviewRelease", 0, Record("incident_id")),
    ("OfferRelease", 0, Record("request")),
    ("OfferRelease", 1, Record("incident.incident_id")),
    ("DeclineRequest", 0, Record("request")),
    ("ListObligations", 0, List),
    ("ListEvents", 0, List),
    ("WatchEvents", 0, List),
    ("AcknowledgeEvents", 0, Nothing),
    ("ListAgencies", 0, Nothing),
    ("RecordMerger", 0, Record("organisation_id")),
    ("FindOrganisations", 0, Nothing),
    ("RevokeAuthorisation", 0, Record("authorisation_id")),
    ("ListAuthorisations", 0, Filter("incident_id")),
    ("RequestRelease", 0, Reference("reference")),
    ("RequestRelease", 2, Record("request")),
    ("GetRequest", 0, Record("request")),
    ("ListRequests", 0, List),
    ("GetCheckpoint", 0, Nothing),
    ("GetEntry", 0, Record("index")),
    ("ListEntries", 0, List),
    ("GetInclusionProof", 0, Nothing),
    ("GetConsistencyProof", 0, Nothing),
    ("MarkConsentInError", 0, Record("consent_id")),
    ("ListNotices", 0, List),
    ("GetNotice", 0, Record("notice_id")),
    ("AcknowledgeNotice", 0, Record("notice_id")),
    ("ListIssuedNotices", 0, List),
    ("RecordDisclosure", 0, Record("incident_id")),
    ("RecordDisclosure", 0, Record("consent_id")),
    ("RecordDisclosure", 0, Record("authorisation_id")),
    ("ListDisclosures", 0, Record("incident_id")),
    ("ReportWrongfulRelease", 2, Record("consent_id")),
    ("GetWrongfulRelease", 0, Record("wrongful_release_id")),
    ("ListWrongfulReleases", 0, List),
    ("CloseWrongfulRelease", 0, Record("wrongful_release_id")),
    ("RegisterReceived", 0, Record("organisation_id")),
    ("AskPermission", 1, Record("permission_id")),
    ("ListPermissions", 0, List),
    ("GivePermission", 0, Record("permission_id")),
    ("DeclinePermission", 0, Record("permission_id")),
    ("WithdrawPermission", 0, Record("permission_id")),
    ("PresentPermission", 0, Record("incident_id")),
    ("AskToName", 0, Record("organisation_id")),
    ("PresentWithdrawal", 0, Nothing),
    // A table or a theme that may not be shared is an outcome, and which are published is no secret to the parties.
    ("PublishStatistics", 0, Nothing),
    ("GetStatistics", 0, Nothing),
    ("GetPublication", 0, Nothing),
    ("ListPublications", 0, Nothing),
    ("DraftTheme", 0, Nothing),
    ("ReviseTheme", 0, Record("theme_id")),
    ("ConfirmTheme", 0, Record("theme_id")),
    ("WithdrawTheme", 0, Record("theme_id")),
    ("GetTheme", 0, Record("theme_id")),
    ("ListThemes", 0, Nothing),
    ("RequestTheme", 0, Nothing),
    ("ProposeErasure", 0, Record("incident_id")),
    ("EraseIncident", 0, Record("incident_id")),
    ("ListDue", 0, List),
    ("ConfirmDisposal", 0, Record("request")),
    ("ListDisposals", 0, List),
    // From here on somebody is suspended.
    ("SuspendOfficer", 0, Nothing),
    ("ResumeOfficer", 0, Nothing),
    ("SuspendAgency", 0, Nothing),
    ("ListSuspensions", 0, List),
    ("ResumeAgency", 0, Nothing),
];

/// Fields that look as if they named a record, and why it is nobody's.
pub(super) const NO_RECORD: &[(&str, &str)] = &[
    // Which text the caller relies on: an outcome says whether it is in force, to whoever may ask.
    ("RequestRelease", "agreement.agreement_id"),
    // INVALID_ARGUMENT in the same words unless it is of the caller's own register.
    ("RecordMerger", "into_organisation_id"),
    ("RegisterOrganisation", "parents.organisation_id"),
    ("AmendOrganisation", "parents.organisation_id"),
    ("RegisterIncidents", "organisations.parents.organisation_id"),
    ("RequestTheme", "theme_id"), // What is not shared, whyever, has one answer.
    // Of a release, in the receipt that comes with it.
    ("RegisterReceived", "reference"),
    ("AskPermission", "reference"),
    // A place in the tree, which is public.
    ("GetInclusionProof", "index"),
];
