//! In which looks anonymised records come out.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{AgencyId, IncidentId, Quarter};
use crate::seal::Seal;
use crate::statistics::{Coordinates, Rule};

use super::publications::{bound_to, coordinates, quarter};
use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, key_set, on, rows, sql};

const LOOK: Table = Table { name: "anonymised_look", columns: &["look", "holder", "quarter"], keep_existing: false };

/// Where one incident stands, and whose it is.
#[derive(Debug, Clone)]
pub struct Stand {
    /// The holder.
    pub holder: AgencyId,
    /// The quarter in which it counts.
    pub quarter: Quarter,
    /// Its values.
    pub coordinates: Coordinates,
    /// Whether that quarter is published: what is not was never counted.
    pub published: bool,
}

impl Reads {
    /// Where these incidents stand; those from before there were statistics stand nowhere.
    pub async fn stands(&mut self, ids: &[&IncidentId], seal: &Seal) -> Result<BTreeMap<IncidentId, Stand>> {
        type Found = (String, String, String, Vec<u8>, Option<i64>);
        let found = rows!(self, sql::STANDINGS_OF, Found, key_set(ids.iter().map(|id| id.as_str())));
        let stand = |(incident, holder, text, sealed, published_at): Found| {
            let incident = IncidentId::known(incident);
            let opened = seal.open_statistic(&bound_to(&incident, &text), &sealed)?;
            let coordinates = coordinates(&incident, &opened)?;
            let quarter = quarter("incident_statistic", &text)?;
            let (holder, published) = (AgencyId::known(holder), published_at.is_some());
            Ok((incident, Stand { holder, quarter, coordinates, published }))
        };
        found.into_iter().map(stand).collect()
    }

    /// Those of these looks in which records come out, each with the rule under which they do.
    pub async fn looks(&mut self, looks: &[&str]) -> Result<BTreeMap<String, Rule>> {
        let found = rows!(self, sql::LOOKS, (String, String), key_set(looks.iter().copied()));
        let read = |(look, rule): (String, String)| {
            let rule = from_json("publication", &look, &rule)?;
            Ok((look, rule))
        };
        found.into_iter().map(read).collect()
    }

    /// The looks that came out with the publication of a quarter.
    pub async fn looks_of(&mut self, holder: &AgencyId, quarter: Quarter) -> Result<BTreeSet<String>> {
        let quarter = quarter.to_string();
        let found = rows!(self, sql::LOOKS_OF, (String,), holder.as_str(), quarter.as_str());
        Ok(found.into_iter().map(|(look,)| look).collect())
    }
}

impl Write {
    /// Lets records come out in this look, for good.
    pub(crate) fn look(look: &str, holder: &AgencyId, quarter: Quarter) -> Self {
        Self::insert(&LOOK, vec![look.into(), holder.as_str().into(), quarter.to_string().into()])
    }
}
