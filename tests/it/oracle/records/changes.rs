//! What can be asked of a holder's records.

use std::collections::BTreeSet;

use super::{Authorisation, Micros, Name, Records, Scope, Word, Words};

/// A change that an officer of the holder asks for.
#[derive(Debug, Clone)]
pub(in crate::oracle) enum Change {
    Organisation {
        name: Name,
        holder: Word,
        identifiers: BTreeSet<usize>,
    },
    AmendOrganisation {
        name: Name,
        identifiers: BTreeSet<usize>,
    },
    Incident {
        name: Name,
        organisation: Name,
        occurred: (Micros, Micros),
        tlp: Word,
        categories: Words,
        notified: Option<Word>,
    },
    AmendIncident {
        name: Name,
        tlp: Word,
        categories: Words,
    },
    VerifyNotification {
        name: Name,
        officer: Word,
    },
    /// By two officers.
    EraseIncident {
        name: Name,
    },
    Reference {
        name: Name,
        incident: Name,
        recipient: Word,
    },
    SeekConsent {
        name: Name,
        organisation: Name,
        recipient: Word,
    },
    /// Of one that was sought, if it is there already.
    RecordConsent {
        name: Name,
        organisation: Name,
        scope: Scope,
        officer: Word,
    },
    VerifyConsent {
        name: Name,
        officer: Word,
    },
    NarrowConsent {
        name: Name,
        scope: Scope,
    },
    ReconfirmConsent {
        name: Name,
        scope: Scope,
        officer: Word,
    },
    RefuseConsent {
        name: Name,
    },
    WithdrawConsent {
        name: Name,
    },
    Authorise {
        name: Name,
        authorisation: Authorisation,
    },
    Revoke {
        name: Name,
    },
    /// A wrongful release is reported.
    Freeze {
        name: Name,
        incident: Name,
        recipient: Word,
    },
    Lift {
        name: Name,
    },
}

impl Change {
    /// The record that it makes or changes.
    pub(in crate::oracle) fn name(&self) -> Name {
        match self {
            Self::Organisation { name, .. }
            | Self::AmendOrganisation { name, .. }
            | Self::Incident { name, .. }
            | Self::AmendIncident { name, .. }
            | Self::VerifyNotification { name, .. }
            | Self::EraseIncident { name }
            | Self::Reference { name, .. }
            | Self::SeekConsent { name, .. }
            | Self::RecordConsent { name, .. }
            | Self::VerifyConsent { name, .. }
            | Self::NarrowConsent { name, .. }
            | Self::ReconfirmConsent { name, .. }
            | Self::RefuseConsent { name }
            | Self::WithdrawConsent { name }
            | Self::Authorise { name, .. }
            | Self::Freeze { name, .. }
            | Self::Lift { name }
            | Self::Revoke { name } => *name,
        }
    }

    /// The agency whose officer asks for it.
    pub(in crate::oracle) fn holder(&self, records: &Records) -> Word {
        match self {
            Self::Organisation { holder, .. } => holder,
            Self::AmendOrganisation { name, .. } => records.organisations[name].holder,
            Self::Incident { organisation, .. }
            | Self::SeekConsent { organisation, .. }
            | Self::RecordConsent { organisation, .. } => records.organisations[organisation].holder,
            Self::AmendIncident { name, .. } | Self::VerifyNotification { name, .. } | Self::EraseIncident { name } => {
                records.incidents[name].holder
            }
            Self::Reference { incident, .. } | Self::Freeze { incident, .. } => records.incidents[incident].holder,
            Self::Lift { name } => records.incidents[&records.freezes[name].incident].holder,
            Self::VerifyConsent { name, .. }
            | Self::NarrowConsent { name, .. }
            | Self::ReconfirmConsent { name, .. }
            | Self::RefuseConsent { name }
            | Self::WithdrawConsent { name } => records.consents[name].holder,
            Self::Authorise { authorisation, .. } => records.incidents[&authorisation.incident].holder,
            Self::Revoke { name } => records.incidents[&records.authorisations[name].incident].holder,
        }
    }
}
