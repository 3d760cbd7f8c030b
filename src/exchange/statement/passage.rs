//! The chain by which something came, written for other nodes and read from them.

use super::timestamp;
use crate::domain::{
    AgencyId, AgreementId, ConsentTerms, Instant, Markings, Onward, Passage, PermissionRule, Provenance, Purpose,
    Reference,
};
use crate::proto::v1;

/// Words of the contract for a few values.
pub(super) struct Words<T: 'static>(&'static [(T, &'static str)]);

pub(super) const ONWARD: Words<Onward> =
    Words(&[(Onward::No, "no"), (Onward::WithConsent, "with-consent"), (Onward::Yes, "yes")]);
const PERMISSION: Words<PermissionRule> =
    Words(&[(PermissionRule::Chain, "chain"), (PermissionRule::Originator, "originator")]);

impl<T: Copy + PartialEq> Words<T> {
    pub(super) fn word(&self, value: T) -> String {
        self.0.iter().find(|(one, _)| *one == value).map_or("", |(_, word)| word).to_owned()
    }

    fn read(&self, text: &str) -> Option<T> {
        self.0.iter().find(|(_, word)| *word == text).map(|(value, _)| *value)
    }
}

/// A chain as the contract writes it.
pub(crate) fn passages(chain: &Provenance) -> Vec<v1::Passage> {
    let passage = |one: &Passage| v1::Passage {
        from: one.from.to_string(),
        to: one.to.to_string(),
        reference: one.reference.to_string(),
        agreements: one.agreements.iter().map(ToString::to_string).collect(),
        permission: PERMISSION.word(one.permission),
        onward: ONWARD.word(one.onward),
        consent: one.consent.as_ref().map(|terms| v1::ConsentTerms {
            purposes: terms.purposes.iter().map(ToString::to_string).collect(),
            enforcement: terms.enforcement,
            onward: terms.onward,
            until: Some(timestamp(terms.until)),
        }),
        tlp: one.markings.tlp.as_str().to_owned(),
        pap: one.markings.pap.as_str().to_owned(),
        classification: one.markings.classification.as_str().to_owned(),
        caveats: one.caveats.clone(),
    };
    chain.passages().iter().map(passage).collect()
}

/// Reads a time that another node wrote.
pub(in crate::exchange) fn read_time(stated: &prost_types::Timestamp) -> Option<Instant> {
    let micros = stated.seconds.checked_mul(1_000_000)?.checked_add(i64::from(stated.nanos / 1_000))?;
    Some(Instant::from_micros(micros))
}

/// Reads a passage that another node wrote. None: something of it cannot be read, so it cannot be kept to.
pub(in crate::exchange) fn read_passage(stated: &v1::Passage) -> Option<Passage> {
    let consent = match &stated.consent {
        None => None,
        Some(terms) => {
            let purposes = terms.purposes.iter().map(|text| Purpose::parse(text.as_str()).ok());
            Some(ConsentTerms {
                purposes: purposes.collect::<Option<_>>()?,
                enforcement: terms.enforcement,
                onward: terms.onward,
                until: read_time(terms.until.as_ref()?)?,
            })
        }
    };
    let marked = !stated.tlp.is_empty() && !stated.pap.is_empty() && !stated.classification.is_empty();
    let markings = Markings::parse(&stated.tlp, &stated.pap, &stated.classification).ok().filter(|_| marked)?;
    let agreements = stated.agreements.iter().map(|text| AgreementId::parse(text.as_str()).ok());
    Some(Passage {
        from: AgencyId::parse(stated.from.as_str()).ok()?,
        to: AgencyId::parse(stated.to.as_str()).ok()?,
        reference: Reference::parse(stated.reference.as_str()).ok()?,
        agreements: agreements.collect::<Option<_>>()?,
        permission: PERMISSION.read(&stated.permission)?,
        onward: ONWARD.read(&stated.onward)?,
        consent,
        markings,
        caveats: stated.caveats.clone(),
    })
}
