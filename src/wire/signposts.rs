//! `SignpostService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{IncidentId, Instant, Invalid, UkTime, check};
use crate::proto::v1::signpost_service_server::SignpostService;
use crate::proto::v1::{
    FindSignpostsRequest, FindSignpostsResponse, ListClocksRequest, ListClocksResponse, ReportingClock, Signpost,
    SignpostMeans,
};
use crate::signpost::{CATALOGUE, Clock, Direction};

/// The answer to a request at a time, from the data of this program alone: what a node says, and what the command says
/// without one.
pub fn find_signposts(request: &FindSignpostsRequest, now: Instant) -> Result<FindSignpostsResponse, Invalid> {
    let situation = CATALOGUE.situation(&request.nation, &request.sector, &request.facts)?;
    let as_of = convert::instant("as_of", request.as_of)?.unwrap_or(now);
    let aware_at = convert::instant("aware_at", request.aware_at)?;
    check(
        aware_at.is_none_or(|aware_at| aware_at <= as_of),
        "aware_at",
        "must not be later than now, or than `as_of`",
    )?;
    Ok(FindSignpostsResponse {
        signposts: CATALOGUE.directions(&situation, as_of).iter().map(signpost).collect(),
        clocks: CATALOGUE.clocks(&situation, aware_at, as_of).iter().map(|found| clock(found, as_of)).collect(),
        as_of: Some(convert::timestamp(as_of)),
    })
}

fn signpost(direction: &Direction<'_>) -> Signpost {
    let Direction { signpost, contact, validity } = direction;
    let means = contact.means.iter().map(|means| SignpostMeans {
        kind: means.kind.clone(),
        value: means.value.clone(),
        note: means.note.clone(),
    });
    Signpost {
        id: signpost.id.clone(),
        contact_id: signpost.contact.clone(),
        name: contact.name.clone(),
        why: signpost.why.clone(),
        means: means.collect(),
        valid_from: Some(convert::timestamp(validity.from)),
        valid_until: validity.until.map(convert::timestamp),
        source: signpost.source.clone(),
    }
}

fn clock(clock: &Clock<'_>, at: Instant) -> ReportingClock {
    let in_force = clock.in_force();
    let (addressee_ids, addressees) =
        clock.addressees.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).unzip();
    ReportingClock {
        regime: clock.regime.id.clone(),
        title: clock.regime.title.clone(),
        who: clock.regime.who.clone(),
        starts: clock.regime.starts.as_str().to_owned(),
        hours: i64::from(clock.version.hours),
        addressee_ids,
        addressees,
        in_force_from: Some(convert::timestamp(in_force.from)),
        in_force_until: in_force.until.map(convert::timestamp),
        source: clock.version.source.clone(),
        aware_at: clock.countdown.map(|countdown| convert::timestamp(countdown.aware_at)),
        ends_at: clock.countdown.map(|countdown| convert::timestamp(countdown.ends_at)),
        ends_at_uk: clock.countdown.map(|countdown| UkTime(countdown.ends_at).to_string()).unwrap_or_default(),
        seconds_left: clock.countdown.map(|countdown| countdown.left(at)).unwrap_or_default(),
    }
}

#[tonic::async_trait]
impl SignpostService for Desk {
    async fn find_signposts(
        &self,
        request: Request<FindSignpostsRequest>,
    ) -> Result<Response<FindSignpostsResponse>, Status> {
        let call = self.admit("SignpostService/FindSignposts", request)?;
        let now = call.exchange.time().await.map_err(failed)?;
        Ok(Response::new(find_signposts(&call.message, now).map_err(invalid)?))
    }

    async fn list_clocks(&self, request: Request<ListClocksRequest>) -> Result<Response<ListClocksResponse>, Status> {
        let call = self.admit("SignpostService/ListClocks", request)?;
        let ListClocksRequest { incident_id, nation, sector, facts } = &call.message;
        let id = convert::field("incident_id", incident_id, IncidentId::parse).map_err(invalid)?;
        let situation = CATALOGUE.situation(nation, sector, facts).map_err(invalid)?;
        let awareness = call.exchange.awareness(call.caller.agency().clone(), id);
        let (aware_at, now) = awareness.await.map_err(failed)?;
        let clocks = CATALOGUE.clocks(&situation, aware_at, now);
        let clocks = clocks.iter().map(|found| clock(found, now)).collect();
        Ok(Response::new(ListClocksResponse { clocks, as_of: Some(convert::timestamp(now)) }))
    }
}
