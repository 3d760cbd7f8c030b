//! Many incidents, and the organisations that are new with them, in one change with one entry.
//!
//! Each record has the key of the call that would register it alone, and from that its id. So it is registered once,
//! however it is put, and a record that refers to a new one can name it before either is there.

use std::collections::BTreeMap;

use crate::domain::{CallKey, IncidentId, OrganisationId, Profile};
use crate::ledger::Kind;
use crate::store::{KnownCall, Reads};

use super::incidents::{self, Registering};
use super::organisations;
use super::plan::{Change, Context, Keyed, Plan};
use super::{Error, Exchange, RegisterIncident, RegisterOrganisation, Result};

/// Records incidents, and organisations before them: all or nothing.
#[derive(Debug)]
pub struct RegisterIncidents {
    /// Organisations that are new with them.
    pub organisations: Vec<NewOrganisation>,
    /// The incidents.
    pub incidents: Vec<NewIncident>,
}

/// One of the organisations.
#[derive(Debug)]
pub struct NewOrganisation {
    /// What it will be called.
    pub id: OrganisationId,
    /// The key of the call that it stands for.
    pub call: CallKey,
    /// What is stated of it.
    pub profile: Profile,
}

/// One of the incidents.
#[derive(Debug)]
pub struct NewIncident {
    /// What it will be called.
    pub id: IncidentId,
    /// The key of the call that it stands for.
    pub call: CallKey,
    /// The incident.
    pub incident: RegisterIncident,
}

impl RegisterIncidents {
    /// The most records of each kind: what has the lock for less than 50 ms, so that a withdrawal does not wait for it.
    pub const MOST: usize = 48;
    /// The RPC of the call that an organisation stands for.
    pub const ORGANISATION: &str = "OrganisationService/RegisterOrganisation";
    /// The RPC of the call that an incident stands for.
    pub const INCIDENT: &str = "IncidentService/RegisterIncident";
}

impl Exchange {
    /// An organisation to be registered with others, under the id that its call gives it.
    pub fn new_organisation(&self, call: CallKey, profile: Profile) -> NewOrganisation {
        let id = OrganisationId::known(self.node().seal().record_id(RegisterOrganisation::PREFIX, &call));
        NewOrganisation { id, call, profile }
    }

    /// An incident to be registered with others, under the id that its call gives it.
    pub fn new_incident(&self, call: CallKey, incident: RegisterIncident) -> NewIncident {
        let id = IncidentId::known(self.node().seal().record_id(RegisterIncident::PREFIX, &call));
        NewIncident { id, call, incident }
    }
}

impl Plan for RegisterIncidents {
    const KIND: Kind = Kind::Incident;
    const BULK: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let calls = self.organisations.iter().map(|one| &one.call).chain(self.incidents.iter().map(|one| &one.call));
        let keys: Vec<String> = calls.map(CallKey::stored).collect();
        let known = Known { calls: reads.calls(&keys).await?, last: None };
        self.change(context, reads, known).await
    }
}

/// Which of the records were registered before.
struct Known {
    calls: BTreeMap<String, KnownCall>,
    /// The last entry that registered any of them.
    last: Option<u64>,
}

impl Known {
    /// Whether a record was registered before; an error if its key was used for another one.
    fn has(&mut self, call: &CallKey, id: &str, path: &str) -> Result<bool> {
        let Some(earlier) = self.calls.get(&call.stored()) else { return Ok(false) };
        if earlier.digest != call.digest || earlier.object != id {
            return Err(Error::KeyReused { field: format!("{path}.request_id") });
        }
        self.last = self.last.max(Some(earlier.index));
        Ok(true)
    }
}

impl RegisterIncidents {
    async fn change(&self, context: Context<'_>, reads: &mut Reads, mut known: Known) -> Result<Change> {
        let keyed = |call: &CallKey, id: &str| Keyed { call: call.clone(), object: id.to_owned() };
        let mut change = Change::new(&"", 1, Vec::new());
        let mut added = Vec::new();
        for (i, NewOrganisation { id, call, profile }) in self.organisations.iter().enumerate() {
            let path = format!("organisations[{i}]");
            if !known.has(call, id.as_str(), &path)? {
                change.organisations.push(keyed(call, id.as_str()));
                added.push((path, organisations::new(context, id.clone(), profile.clone())));
            }
        }
        let mut new = Vec::new();
        for (i, NewIncident { id, call, incident: terms }) in self.incidents.iter().enumerate() {
            let path = format!("incidents[{i}]");
            if !known.has(call, id.as_str(), &path)? {
                change.incidents.push(keyed(call, id.as_str()));
                new.push(Registering { path, id: id.clone(), terms });
            }
        }
        if added.is_empty() && new.is_empty() {
            change.earlier = known.last;
            return Ok(change);
        }
        let added: Vec<_> = added.iter().map(|(path, organisation)| (path.clone(), organisation)).collect();
        change.writes = organisations::rows(context, reads, &added).await?;
        let added: Vec<_> = added.into_iter().map(|(_, organisation)| organisation).collect();
        incidents::register(context, reads, &new, &added, &mut change).await?;
        Ok(change)
    }
}
