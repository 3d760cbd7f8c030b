//! What is not turned away as `INVALID_ARGUMENT` under the field's own name, and why that is right.

use std::collections::BTreeSet;

use tonic::Code;

use super::mutants::Mutant;

/// What must come of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// It is a valid request, too.
    Accepted,
    /// The same, and a notice is due at once, which has an entry of its own.
    AcceptedWithNotice,
    /// `INVALID_ARGUMENT`, naming this field or a parent; none: the mutated one.
    Invalid(Option<&'static str>),
    /// Another status: the value is well-formed.
    Status(Code),
}

use Expected::{Accepted, AcceptedWithNotice, Invalid, Status};

/// The RPC (`*`: any; `Name/1`: of its second variant), the field (`**` at its end: all within), what was put there, and what comes of it. The
/// first that fits holds.
type Exception = (&'static str, &'static str, &'static [&'static str], Expected);

/// Text on one line may be anything printable.
const PRINTABLE: &[&str] = &["blank", "spaces", "upper", "unknown", "number", "negative", "unicode", "sql", "path"];
/// What an id of this node may look like.
const VISIBLE: &[&str] = &["upper", "unknown", "number", "negative"];
/// What a name that data defines may look like.
const SLUG: &[&str] = &["unknown", "number"];
const ABSENT: &[&str] = &["absent"];
const EMPTY: &[&str] = &["absent", "empty", "empty message"];
const OVER: &[&str] = &["absent", "turned over"];

const EXCEPTIONS: &[Exception] = &[
    // The key is the caller's own.
    ("*", "request_id", &["upper", "unknown", "negative"], Accepted),
    // Well-formed names of what is not there, or not the caller's.
    ("*", "agreement_id", SLUG, Status(Code::NotFound)),
    ("GetAgreement", "digest", &["other"], Status(Code::NotFound)),
    ("GetAgreement", "digest", ABSENT, Accepted),
    ("ListIncidents", "organisation_id", VISIBLE, Invalid(Some("page_token"))),
    ("ListConsents", "organisation_id", VISIBLE, Invalid(Some("page_token"))),
    ("ListMandates", "organisation_id", VISIBLE, Invalid(Some("page_token"))),
    ("ListAuthorisations", "incident_id", VISIBLE, Invalid(Some("page_token"))),
    ("ListDisclosures/1", "incident_id", VISIBLE, Invalid(Some("page_token"))),
    ("ListHelpOffers", "organisation_id", VISIBLE, Invalid(Some("page_token"))),
    ("ListHelpOffers", "organisation_id", ABSENT, Invalid(Some("page_token"))),
    ("ListRecommendations", "incident_id", VISIBLE, Invalid(Some("page_token"))),
    ("ListRecommendations", "incident_id", ABSENT, Invalid(Some("page_token"))),
    ("*", "organisation_id", VISIBLE, Status(Code::NotFound)),
    ("*", "incident_id", VISIBLE, Status(Code::NotFound)),
    ("*", "scope.incident_id", VISIBLE, Status(Code::NotFound)),
    ("*", "consent_id", VISIBLE, Status(Code::NotFound)),
    ("*", "authorisation_id", VISIBLE, Status(Code::NotFound)),
    ("*", "request", VISIBLE, Status(Code::NotFound)),
    ("VerifyConsent", "version", &["largest", "large"], Status(Code::FailedPrecondition)),
    ("GiveAuthorisation", "revision", &["largest", "large"], Status(Code::FailedPrecondition)),
    ("*", "etag", &["number", "negative"], Status(Code::Aborted)),
    ("AcknowledgeEvents", "event_ids", &["upper", "unknown", "number", "negative"], Status(Code::NotFound)),
    ("OfferRelease", "incident.incident_id", VISIBLE, Status(Code::NotFound)),
    // Entry 0 is the first one; to others the caller is no party, or they are not there.
    ("GetEntry", "index", ABSENT, Accepted),
    ("GetEntry", "index", &["largest", "past i64", "i64", "large"], Status(Code::NotFound)),
    ("GetInclusionProof", "index", ABSENT, Accepted),
    ("*", "size", ABSENT, Accepted),
    // Lists: no size is the usual one, a large one the largest; a token belongs to its filter.
    ("*", "page_size", &["absent", "largest", "large"], Accepted),
    ("*", "page_token", ABSENT, Accepted),
    ("*", "cursor", ABSENT, Accepted),
    ("ListObligations", "outstanding", OVER, Invalid(Some("page_token"))),
    ("ListIncidents", "organisation_id", ABSENT, Invalid(Some("page_token"))),
    ("ListConsents", "organisation_id", ABSENT, Invalid(Some("page_token"))),
    ("ListMandates", "organisation_id", ABSENT, Invalid(Some("page_token"))),
    ("ListAuthorisations", "incident_id", ABSENT, Invalid(Some("page_token"))),
    // The register. Number 7 is a company number, and by then another organisation's. What is looked for may be one
    // or the other, and no name is the same as none.
    ("*", "name", NOT_BLANK, Accepted),
    ("FindOrganisations", "name", ABSENT, Accepted),
    ("FindOrganisations", "identifiers.value", &["number"], Accepted),
    ("AskToName", "identifiers", ABSENT, Invalid(None)),
    ("*", "identifiers", ABSENT, Accepted),
    ("*", "former_names", ABSENT, Accepted),
    ("*", "former_names.name", NOT_BLANK, Accepted),
    ("*", "former_names.from", &["absent", "year 1970"], Accepted),
    ("*", "former_names.from", &["year 9999"], Invalid(Some("former_names[0].until"))),
    ("*", "former_names.until", &["absent", "year 9999"], Accepted),
    ("*", "trading_names", ABSENT, Accepted),
    ("*", "trading_names.name", NOT_BLANK, Accepted),
    ("*", "trading_names.from", &["absent", "year 1970"], Accepted),
    ("*", "trading_names.from", &["year 9999"], Invalid(Some("trading_names[0].until"))),
    ("*", "trading_names.until", &["absent", "year 9999"], Accepted),
    ("*", "parents", ABSENT, Accepted),
    ("*", "parents.from", &["absent", "year 1970"], Accepted),
    ("*", "parents.from", &["year 9999"], Invalid(Some("parents[0].until"))),
    ("*", "parents.until", &["absent", "year 9999"], Accepted),
    ("RecordMerger", "merged_at", &["year 1970"], Accepted),
    ("RegisterOrganisation", "identifiers.value", &["number"], Accepted),
    ("AmendOrganisation", "identifiers.value", &["number"], Status(Code::FailedPrecondition)),
    // An incident. What is not stated takes its default, and only the node says whether it was verified.
    ("RegisterIncident", "occurred_from", &["year 1970"], Accepted),
    ("RegisterIncident", "occurred_from", &["year 9999"], Invalid(Some("occurred_until"))),
    ("RegisterIncident", "occurred_until", &["year 9999"], Accepted),
    ("*", "markings", EMPTY, Accepted),
    ("*", "markings.tlp", ABSENT, Accepted),
    ("*", "markings.pap", ABSENT, Accepted),
    ("*", "markings.classification", ABSENT, Accepted),
    ("RegisterIncident", "notification", ABSENT, Accepted),
    ("RegisterIncident", "notification.kind", SLUG, Accepted),
    ("RegisterIncident", "notification.received_at", &["year 1970"], Accepted),
    ("RegisterIncident", "notification.verified", OVER, Accepted),
    ("RegisterIncident", "campaign", PRINTABLE, Accepted),
    ("RegisterIncident", "campaign", ABSENT, Accepted),
    ("RegisterIncident", "retain_until", &["absent", "year 9999"], Accepted),
    // Many: each record as the call for it alone has it, with the keys that such calls have used up. Number 7 is taken.
    ("RegisterIncidents", "incidents", &["a thousand"], Status(Code::OutOfRange)),
    ("RegisterIncidents", "incidents.request_id", &["upper", "unknown", "negative"], Invalid(None)),
    ("RegisterIncidents", "incidents.organisation_id", ABSENT, Invalid(Some("organisation"))),
    ("RegisterIncidents", "incidents.new_organisation", ABSENT, Invalid(Some("organisation"))),
    ("RegisterIncidents", "organisations", ABSENT, Invalid(Some("incidents[0].new_organisation"))),
    ("RegisterIncidents", "organisations.request_id", &["upper", "unknown", "negative"], Invalid(None)),
    ("RegisterIncidents", "organisations.identifiers.value", &["number"], Status(Code::FailedPrecondition)),
    // Its content. Nothing of it is required, its words are the holder's, and two of them are accounts.
    ("*", "content", EMPTY, Invalid(None)),
    ("*", "content.identity.identifiers", EMPTY_MESSAGE, Invalid(None)),
    ("*", "content.identity.identifiers.scheme", &["number"], Invalid(None)),
    ("*", "content.identity.identifiers.value", &["number"], Accepted),
    ("*", "content.identity.identifiers.scheme", ANY, Invalid(None)),
    ("*", "content.identity.identifiers.value", ANY, Invalid(None)),
    ("*", "content.assessment.ncsc_category", PRINTABLE, Invalid(None)),
    ("*", "content.**", EMPTY, Accepted),
    ("*", "content.**", PRINTABLE, Accepted),
    ("*", "content.narrative.text", &["line feed"], Accepted),
    ("*", "content.assessment.text", &["line feed"], Accepted),
    ("*", "content.technical_indicators.indicators", &["a thousand"], Accepted),
    ("*", "content.timeline.aware_at", &["year 1970", "year 9999"], Accepted),
    ("*", "content.timeline.reported_at", &["year 1970", "year 9999"], Accepted),
    ("*", "content.timeline.contained_at", &["year 1970", "year 9999"], Accepted),
    ("*", "content.impact.people_affected", &["largest", "large"], Accepted),
    ("*", "content.ransom.amount_minor", &["largest", "large"], Accepted),
    ("*", "content.ransom.demanded", OVER, Accepted),
    // A consent. Purposes are the agreements' to define: an unknown one permits nothing. A scope within the present
    // one is no news, and what is not stated stays.
    ("RecordConsent", "consent_id", ABSENT, Accepted),
    // One by word of mouth is about one incident, and over after a day.
    ("RecordConsent/1", "scope.incident_id", ABSENT, Invalid(None)),
    ("RecordConsent/1", "evidence.received_at", &["year 1970"], Invalid(None)),
    ("RecordConsent/1", "evidence.channel", NOT_BLANK, Invalid(None)),
    ("ReconfirmConsent/1", "scope.incident_id", ABSENT, Invalid(None)),
    ("ReconfirmConsent/1", "evidence.received_at", &["year 1970"], Invalid(None)),
    ("ReconfirmConsent/1", "evidence.channel", NOT_BLANK, Invalid(None)),
    ("*", "evidence.oral.taken_by", NOT_BLANK, Accepted),
    ("*", "evidence.oral.contact_digest", &["other"], Accepted),
    ("NarrowConsent", "scope.purposes", SLUG, Invalid(None)),
    ("*", "scope.purposes", SLUG, Accepted),
    ("*", "scope.enforcement", OVER, Accepted),
    ("*", "scope.incident_id", ABSENT, Invalid(Some("scope.revision"))),
    ("*", "scope.revision", ABSENT, Accepted),
    ("*", "scope.covers_updates", OVER, Accepted),
    ("*", "scope.onward", OVER, Accepted),
    ("*", "scope.valid_from", ABSENT, Accepted),
    ("*", "scope.valid_from", &["year 1970", "year 9999"], Invalid(Some("scope.valid_until"))),
    ("*", "scope.valid_until", ABSENT, Accepted),
    ("*", "evidence.signatory", NOT_BLANK, Accepted),
    ("*", "evidence.authority", NOT_BLANK, Accepted),
    ("*", "evidence.channel", NOT_BLANK, Accepted),
    ("*", "evidence.digest", &["other"], Accepted),
    ("*", "evidence.received_at", &["year 1970"], Accepted),
    // Mandates. One that another organisation gave is as one that is not there.
    ("*", "mandate_id", VISIBLE, Status(Code::NotFound)),
    ("*", "evidence.mandate_id", ABSENT, Accepted),
    ("RecordMandate", "agent.name", NOT_BLANK, Accepted),
    ("RecordMandate", "agent.kind", SLUG, Accepted),
    ("RecordMandate", "agent.contact", NOT_BLANK, Accepted),
    ("RecordMandate", "valid_from", &["absent", "year 1970"], Accepted),
    ("RecordMandate", "valid_from", &["year 9999"], Invalid(Some("valid_until"))),
    ("RecordMandate", "valid_until", &["absent", "year 1970", "year 9999"], Accepted),
    // Papers.
    ("StateToOrganisation", "from", &["absent", "year 1970"], Accepted),
    ("StateToOrganisation", "from", &["year 9999"], Invalid(Some("until"))),
    ("StateToOrganisation", "until", &["absent", "year 9999"], Accepted),
    ("StateToOrganisation", "leave_out", ABSENT, Accepted),
    ("StateToOrganisation", "include", ABSENT, Accepted),
    // An authorisation that cites a preview is held against what would leave.
    ("GiveAuthorisation/1", "purposes", SLUG, Status(Code::FailedPrecondition)),
    ("GiveAuthorisation/1", "ground", SLUG, Status(Code::FailedPrecondition)),
    ("GiveAuthorisation/1", "preview_digest", &["other"], Status(Code::FailedPrecondition)),
    ("GiveAuthorisation/1", "preview_digest", ABSENT, Accepted),
    // An authorisation: so are its purposes, and its ground is judged when a release is.
    ("GiveAuthorisation", "covers_updates", OVER, Accepted),
    ("GiveAuthorisation", "purposes", SLUG, Accepted),
    ("GiveAuthorisation", "ground", SLUG, Accepted),
    ("GiveAuthorisation", "valid_until", &["absent", "year 9999"], Accepted),
    // Who was not suspended cannot be resumed.
    ("ResumeOfficer", "agency", SLUG, Status(Code::NotFound)),
    ("ResumeCertificate", "agency", SLUG, Status(Code::NotFound)),
    ("ResumeAgency", "agency", SLUG, Status(Code::NotFound)),
    // Passing on. What was received is as its receipt says; a permission is asked for with the token's purposes.
    ("RegisterReceived", "occurred_from", &["year 1970"], Accepted),
    ("RegisterReceived", "occurred_from", &["year 9999"], Invalid(Some("occurred_until"))),
    ("RegisterReceived", "occurred_until", &["year 9999"], Accepted),
    ("RegisterReceived", "campaign", PRINTABLE, Accepted),
    ("RegisterReceived", "campaign", ABSENT, Accepted),
    ("RegisterReceived", "retain_until", ABSENT, Accepted),
    ("RegisterReceived", "categories.salt", &["other"], Invalid(Some("categories[0].content"))),
    ("RegisterReceived", "reference", ABSENT, Accepted),
    ("AskPermission", "reference", ABSENT, Accepted),
    ("AskPermission", "permission_id", ABSENT, Invalid(Some("upstream"))),
    ("*", "permission_id", VISIBLE, Status(Code::NotFound)),
    ("AskPermission", "purpose", SLUG, Status(Code::PermissionDenied)),
    ("GivePermission", "categories", ABSENT, Accepted),
    ("GivePermission", "valid_until", &["absent", "year 9999"], Accepted),
    // Naming. Which clauses there are for it is an outcome; number 7 is another organisation's.
    ("AskToName", "ground", SLUG, Accepted),
    ("AskToName", "purpose", SLUG, Status(Code::PermissionDenied)),
    ("RequestRelease", "naming_receipt", ABSENT, Accepted),
    // Deconfliction. An engagement is put for one of the token's purposes.
    ("*", "engagement_id", VISIBLE, Status(Code::NotFound)),
    ("DeclareEngagement", "since", &["year 1970"], Accepted),
    ("DeclareEngagement", "terms", &["empty message"], Invalid(Some("terms.unit"))),
    ("AmendEngagement", "terms", &["empty message"], Invalid(Some("terms.unit"))),
    ("*", "terms.unit", NOT_BLANK, Accepted),
    ("*", "terms.contact", NOT_BLANK, Accepted),
    ("*", "terms.lead", ABSENT, Accepted),
    ("*", "terms.pause_until", &["absent", "year 1970", "year 9999"], Accepted),
    ("RecordAskOfVictim", "text", NOT_BLANK, Accepted),
    ("RecordAskOfVictim", "urgent", OVER, Accepted),
    ("RecordAskOfVictim", "asked_at", &["absent", "year 1970"], Accepted),
    ("PutEngagement", "purpose", SLUG, Status(Code::PermissionDenied)),
    // The inbox. A preview of what cannot pass says so; an offer of it is turned away.
    ("PreviewRelease", "recipient", SLUG, Accepted),
    ("PreviewRelease", "purpose", SLUG, Accepted),
    ("PreviewRelease", "categories", ABSENT, Accepted),
    ("PreviewRelease", "ground", ABSENT, Accepted),
    ("PreviewRelease", "ground", SLUG, Accepted),
    ("OfferRelease", "request", ABSENT, Invalid(Some("offered"))),
    ("OfferRelease", "incident", ABSENT, Invalid(Some("offered"))),
    ("OfferRelease", "incident.purpose", SLUG, Status(Code::FailedPrecondition)),
    // Signposting. What is not stated leaves nothing out. Aware, it was before the time that is asked about.
    ("*", "nation", ABSENT, Accepted),
    ("*", "sector", ABSENT, Accepted),
    ("*", "facts", ABSENT, Accepted),
    ("FindSignposts", "aware_at", &["absent", "year 1970"], Accepted),
    ("FindSignposts", "as_of", &["year 1970"], Invalid(Some("aware_at"))),
    ("*", "as_of", &["absent", "year 1970", "year 9999"], Accepted),
    ("ListHelp", "agency", &["absent", "unknown", "number"], Accepted),
    // Advice. Why is in the agency's own words, and by what means, too.
    ("*", "recommendation_id", VISIBLE, Status(Code::NotFound)),
    ("RecordReminder", "channel", SLUG, Accepted),
    ("RecordReminder/1", "reason", NOT_BLANK, Accepted),
    ("ListReminders", "due_only", OVER, Invalid(Some("page_token"))),
    ("RecordRecommendation", "words", NOT_BLANK, Accepted),
    ("RecordRecommendation", "channel", SLUG, Accepted),
    // Retention. A ground is the holder's own word.
    ("ProposeErasure", "ground", SLUG, Accepted),
    ("EraseIncident", "ground", SLUG, Accepted),
    ("ConfirmDisposal", "external_ref", PRINTABLE, Accepted),
    ("ConfirmDisposal", "external_ref", ABSENT, Accepted),
    ("ListDisposals", "outstanding", OVER, Invalid(Some("page_token"))),
    // Putting mistakes right. An agency need not be known here to have been told something.
    ("*", "notice_id", VISIBLE, Status(Code::NotFound)),
    ("*", "wrongful_release_id", VISIBLE, Status(Code::NotFound)),
    ("ListNotices", "outstanding", OVER, Invalid(Some("page_token"))),
    ("ListIssuedNotices", "outstanding", OVER, Invalid(Some("page_token"))),
    ("AcknowledgeNotice", "reason", NOT_BLANK, Accepted),
    ("AcknowledgeNotice", "passed_on_to", SLUG, Accepted),
    ("AcknowledgeNotice", "passed_on_to", ABSENT, Accepted),
    ("RecordDisclosure/1", "recipient", SLUG, Accepted),
    ("RecordDisclosure", "permission_ids", ABSENT, Accepted),
    ("RecordDisclosure", "recipient", SLUG, Invalid(Some("authorisation_id"))),
    ("RecordDisclosure", "revision", ABSENT, Accepted),
    ("RecordDisclosure/1", "disclosed_at", &["year 1970"], Accepted),
    // Before its consent was given.
    ("RecordDisclosure", "disclosed_at", &["year 1970"], AcceptedWithNotice),
    ("RecordDisclosure", "ground", SLUG, Accepted),
    ("RecordDisclosure", "means", SLUG, Accepted),
    ("RecordDisclosure", "officer", NOT_BLANK, Accepted),
    ("RecordDisclosure", "consent_id", ABSENT, Accepted),
    ("RecordDisclosure", "authorisation_id", ABSENT, Accepted),
    ("ReportWrongfulRelease", "receipt_indexes", &["largest", "past i64", "i64", "large"], Status(Code::NotFound)),
    ("ReportWrongfulRelease", "disclosure_ids", VISIBLE, Status(Code::NotFound)),
    ("ReportWrongfulRelease", "disclosure_ids", ABSENT, Invalid(Some("receipt_indexes"))),
    ("ReportWrongfulRelease", "consent_id", ABSENT, Invalid(Some("receipt_indexes"))),
    ("ReportWrongfulRelease", "aware_at", &["absent", "year 1970"], Accepted),
    ("CloseWrongfulRelease", "reason", NOT_BLANK, Accepted),
    ("CloseWrongfulRelease", "lift_freeze", OVER, Accepted),
    // Statistics. A table that is not there is not published, and looking first is another call.
    ("GetStatistics", "table", NOT_BLANK, Accepted),
    ("PublishStatistics", "validate_only", OVER, Accepted),
    // Themes. One that is not there is not shared; its words are the holder's.
    ("RequestTheme", "theme_id", VISIBLE, Accepted),
    ("*", "theme_id", VISIBLE, Status(Code::NotFound)),
    ("*", "theme.title", NOT_BLANK, Accepted),
    ("*", "theme.text", NOT_BLANK, Accepted),
    ("*", "theme.text", &["line feed"], Accepted),
    ("*", "theme.techniques", ABSENT, Accepted),
    ("ConfirmTheme", "version", &["largest", "large"], Status(Code::FailedPrecondition)),
    // Proposals. A text is its agency's own words, as is what is answered and written; what is not there is not found.
    ("*", "proposal_id", VISIBLE, Status(Code::NotFound)),
    ("*", "proposal.title", NOT_BLANK, Accepted),
    ("*", "proposal.text", NOT_BLANK, Accepted),
    ("*", "proposal.text", &["line feed"], Accepted),
    ("*", "proposal.embargo_until", &["absent", "year 1970", "year 9999"], Accepted),
    ("*", "proposal.due_at", &["absent", "year 9999"], Accepted),
    ("*", "proposal.citations", ABSENT, Accepted),
    ("*", "proposal.citations", &["empty message"], Invalid(Some("proposal.citations[0].title"))),
    ("*", "proposal.citations.agency", ABSENT, Invalid(Some("proposal.citations[0].document_id"))),
    ("*", "proposal.citations.title", NOT_BLANK, Accepted),
    ("*", "proposal.citations.publisher", NOT_BLANK, Accepted),
    ("PutProposal", "version", &["largest", "large"], Status(Code::FailedPrecondition)),
    ("PutProposal", "purpose", SLUG, Status(Code::PermissionDenied)),
    ("PutProposal", "answer_by", ABSENT, Accepted),
    ("PutProposal/0", "answer_by", &["year 9999"], Accepted),
    ("AnswerProposal", "digest", &["other"], Status(Code::Aborted)),
    ("AnswerProposal", "text", PRINTABLE, Accepted),
    ("AnswerProposal", "text", &["absent", "line feed"], Accepted),
    ("SendMessage", "text", NOT_BLANK, Accepted),
    ("SendMessage", "text", &["line feed"], Accepted),
    ("SendMessage", "attachments", ABSENT, Accepted),
    ("SendMessage", "attachments.name", NOT_BLANK, Accepted),
    ("SendMessage", "attachments.content", &["short", "long", "other", "huge"], Invalid(Some("attachments[0].digest"))),
    ("ConcludeProposal/1", "why", NOT_BLANK, Accepted),
    ("ConcludeProposal/1", "why", &["line feed"], Accepted),
    ("ListProposals", "kind", SLUG, Invalid(Some("page_token"))),
    ("ListProposals", "kind", ABSENT, Invalid(Some("page_token"))),
    ("ListProposals", "state", ABSENT, Invalid(Some("page_token"))),
    ("ListProposals", "put_to", SLUG, Invalid(Some("page_token"))),
    ("ListProposals", "put_to", ABSENT, Invalid(Some("page_token"))),
    ("ListProposals", "documents", OVER, Invalid(Some("page_token"))),
    ("ListProposals", "cites", PRINTABLE, Invalid(Some("page_token"))),
    ("ListProposals", "cites", ABSENT, Invalid(Some("page_token"))),
    ("GetAttachment", "agency", SLUG, Status(Code::NotFound)),
    ("GetAttachment", "message", &["largest", "large"], Status(Code::NotFound)),
    ("GetAttachment", "place", &["largest", "large"], Status(Code::NotFound)),
    // Looking first: with nobody named, naming is looked at by its ground alone.
    ("RequestRelease/3", "organisation", ABSENT, Accepted),
    ("RequestRelease/3", "validate_only", OVER, Invalid(Some("organisation.identifiers"))),
    // An ask. A reference says nothing by its look, so an unknown one is "open"; what no clause covers is an outcome.
    ("RequestRelease", "reference", &["upper", "unknown", "negative"], Accepted),
    ("RequestRelease", "reference", ABSENT, Invalid(Some("target"))),
    ("RequestRelease", "organisation", ABSENT, Invalid(Some("target"))),
    ("RequestRelease", "organisation.identifiers.value", &["number"], Accepted),
    ("RequestRelease", "organisation.from", &["year 1970", "year 9999"], Invalid(Some("organisation.until"))),
    ("RequestRelease", "organisation.ground", SLUG, Accepted),
    ("RequestRelease", "purpose", SLUG, Status(Code::PermissionDenied)),
    ("RequestRelease", "agreement", ABSENT, Accepted),
    ("RequestRelease", "agreement.agreement_id", SLUG, Accepted),
    ("RequestRelease", "agreement.digest", &["other"], Accepted),
    ("RequestRelease", "external_ref", PRINTABLE, Accepted),
    ("RequestRelease", "external_ref", ABSENT, Accepted),
    ("RequestRelease", "urgency", ABSENT, Accepted),
    ("RequestRelease", "form", ABSENT, Accepted),
    ("GiveAuthorisation/1", "form", ABSENT, Accepted),
    ("RequestRelease", "request", ABSENT, Invalid(Some("holder"))),
];

/// A name that is all spaces is no name.
const NOT_BLANK: &[&str] = &["spaces", "upper", "unknown", "number", "negative", "unicode", "sql", "path"];
const EMPTY_MESSAGE: &[&str] = &["empty message"];
/// Every value for text that is not printable in the scheme's own way.
const ANY: &[&str] = &["absent", "blank", "spaces", "upper", "unknown", "negative", "unicode", "sql", "path"];

/// What must come of this mutant.
pub(super) fn find(rpc: &str, variant: usize, mutant: &Mutant, used: &mut BTreeSet<usize>) -> Expected {
    let fits = |rpc: &str, field: &str, (at_rpc, place, labels, _): &Exception| {
        let inside = match place.strip_suffix("**") {
            Some(parent) => field.starts_with(parent),
            None => field == *place,
        };
        let this_variant = format!("{rpc}/{variant}");
        ["*", rpc, this_variant.as_str()].contains(at_rpc) && inside && labels.contains(&mutant.label)
    };
    let found = EXCEPTIONS.iter().position(|one| fits(rpc, &mutant.place, one));
    // One record of many is judged as the call for it alone.
    let alone = [("incidents.", "RegisterIncident"), ("organisations.", "RegisterOrganisation")].into_iter();
    let mut alone = alone.filter(|_| rpc == "RegisterIncidents");
    let alone = alone.find_map(|(list, rpc)| Some((rpc, mutant.place.strip_prefix(list)?)));
    let found = found.or_else(|| {
        let (rpc, field) = alone?;
        EXCEPTIONS.iter().position(|one| fits(rpc, field, one))
    });
    match found {
        Some(number) => {
            used.insert(number);
            EXCEPTIONS[number].3
        }
        None => Invalid(None),
    }
}

/// Exceptions that no mutant needed.
pub(super) fn idle(used: &BTreeSet<usize>) -> Vec<Exception> {
    (0..EXCEPTIONS.len()).filter(|number| !used.contains(number)).map(|number| EXCEPTIONS[number]).collect()
}
