//! Organisations of the register: the contract's messages as domain values, and back.

use super::{field, instant, timestamp};
use crate::domain::{
    Candidate, DatedName, Identifier, Invalid, Organisation, OrganisationId, ParentLink, Profile, Span, check,
};
use crate::proto::v1;

/// The longest list that is read. The register has limits of its own, at most as high.
const MOST: usize = 16;

pub(in crate::wire) fn identifier(value: &Identifier) -> v1::Identifier {
    v1::Identifier { scheme: value.scheme().to_owned(), value: value.value().to_owned() }
}

/// Reads identifiers.
pub(in crate::wire) fn identifiers(name: &str, values: &[v1::Identifier]) -> Result<Vec<Identifier>, Invalid> {
    each(name, values, |value| Identifier::parse(&value.scheme, &value.value))
}

/// Reads what is stated of an organisation, and checks it as far as it can be checked by itself.
pub(in crate::wire) fn profile(
    name: &str,
    identified: &[v1::Identifier],
    former_names: &[v1::DatedName],
    trading_names: &[v1::DatedName],
    parents: &[v1::ParentLink],
) -> Result<Profile, Invalid> {
    let dated = |dated: &v1::DatedName| {
        let span = Span { from: instant("from", dated.from)?, until: instant("until", dated.until)? };
        Ok(DatedName { name: dated.name.clone(), span })
    };
    let link = |link: &v1::ParentLink| {
        let parent = field("organisation_id", &link.organisation_id, OrganisationId::parse)?;
        let span = Span { from: instant("from", link.from)?, until: instant("until", link.until)? };
        Ok(ParentLink { parent, span })
    };
    let profile = Profile {
        name: name.to_owned(),
        identifiers: identifiers("identifiers", identified)?,
        former_names: each("former_names", former_names, dated)?,
        trading_names: each("trading_names", trading_names, dated)?,
        parents: each("parents", parents, link)?,
    };
    profile.check()?;
    Ok(profile)
}

fn each<T, U>(name: &str, values: &[T], read: impl Fn(&T) -> Result<U, Invalid>) -> Result<Vec<U>, Invalid> {
    check(values.len() <= MOST, name, format!("must be at most {MOST}"))?;
    let place = |(i, value)| read(value).map_err(|problem| problem.within(&format!("{name}[{i}]")));
    values.iter().enumerate().map(place).collect()
}

pub(in crate::wire) fn organisation(value: Organisation) -> v1::Organisation {
    let Profile { name, identifiers, former_names, trading_names, parents } = value.profile;
    let dated = |names: Vec<DatedName>| {
        let one = |dated: DatedName| v1::DatedName {
            name: dated.name,
            from: dated.span.from.map(timestamp),
            until: dated.span.until.map(timestamp),
        };
        names.into_iter().map(one).collect()
    };
    v1::Organisation {
        id: value.id.to_string(),
        name,
        identifiers: identifiers.iter().map(identifier).collect(),
        etag: value.version.to_string(),
        former_names: dated(former_names),
        trading_names: dated(trading_names),
        parents: parents
            .into_iter()
            .map(|link| v1::ParentLink {
                organisation_id: link.parent.to_string(),
                from: link.span.from.map(timestamp),
                until: link.span.until.map(timestamp),
            })
            .collect(),
        merger: value.merger.map(|merger| v1::Merger {
            into_organisation_id: merger.into.to_string(),
            merged_at: Some(timestamp(merger.at)),
        }),
        merger_recorded_at: value.merger_recorded_at.map(timestamp),
    }
}

/// An organisation that was found, and why.
pub(in crate::wire) fn found((record, candidate): (Organisation, Candidate)) -> v1::FoundOrganisation {
    v1::FoundOrganisation {
        exact: candidate.is_exact(),
        reasons: candidate
            .reasons
            .iter()
            .map(|reason| v1::FoundReason {
                reason: reason.as_str().to_owned(),
                through_organisation_id: reason.through().map(ToString::to_string).unwrap_or_default(),
            })
            .collect(),
        organisation: Some(organisation(record)),
    }
}
