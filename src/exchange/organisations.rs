//! The holder's register of organisations.

use crate::domain::{Identifier, Incident, Organisation, OrganisationId, Rejected};
use crate::ledger::Kind;
use crate::seal;
use crate::store::{Reads, Write};

use super::plan::{Change, Context, Plan};
use super::{Result, events};

/// Adds an organisation.
#[derive(Debug)]
pub struct RegisterOrganisation {
    /// The name it is known by.
    pub name: String,
    /// Its identifiers.
    pub identifiers: Vec<Identifier>,
}

/// Replaces an organisation's name and identifiers.
#[derive(Debug)]
pub struct AmendOrganisation {
    /// The organisation.
    pub id: OrganisationId,
    /// The version that the caller read.
    pub version: i64,
    /// The name it is known by.
    pub name: String,
    /// All its identifiers.
    pub identifiers: Vec<Identifier>,
}

impl Plan for RegisterOrganisation {
    const KIND: Kind = Kind::Organisation;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let organisation = Organisation {
            id: OrganisationId::known(seal::new_id("org")),
            holder: context.agency().clone(),
            version: 1,
            name: self.name.clone(),
            identifiers: self.identifiers.clone(),
        };
        keep(context, reads, organisation).await
    }
}

impl Plan for AmendOrganisation {
    const KIND: Kind = Kind::Organisation;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let present = reads.organisation(context.agency(), &self.id, context.seal()).await?;
        let present = present.ok_or(Rejected::NotFound("organisation"))?;
        if present.version != self.version {
            return Err(Rejected::Changed.into());
        }
        let organisation = Organisation {
            version: present.version + 1,
            name: self.name.clone(),
            identifiers: self.identifiers.clone(),
            ..present
        };
        keep(context, reads, organisation).await
    }
}

/// No identifier may belong to two organisations of one holder: a match would name the wrong one.
async fn keep(context: Context<'_>, reads: &mut Reads, organisation: Organisation) -> Result<Change> {
    Organisation::check(&organisation.name, &organisation.identifiers).map_err(Rejected::Invalid)?;
    let lookups: Vec<String> =
        organisation.identifiers.iter().map(|id| context.seal().lookup(&organisation.holder, id)).collect();
    let taken = reads.identifiers(&lookups).await?;
    if taken.iter().any(|(_, other)| *other != organisation.id) {
        let problem = "an identifier is already registered for another organisation: amend that one";
        return Err(Rejected::WrongState(problem).into());
    }
    let mut writes = Write::organisation(&organisation, context.seal())?;
    if organisation.version > 1 {
        // Open requests may name what it is known by from now on.
        let all = reads.incidents(&organisation.holder, "", i64::MAX, organisation.id.as_str()).await?;
        let incidents: Vec<&Incident> = all.iter().collect();
        writes.extend(events::matched_later(context, reads, &organisation.identifiers, &incidents).await?);
    }
    Ok(Change::new(&organisation.id, organisation.version, writes))
}
