//! `AgencyService`.

use tonic::{Request, Response, Status};

use super::status::failed;
use super::{Desk, convert};
use crate::proto::v1::agency_service_server::AgencyService;
use crate::proto::v1::{ListAgenciesRequest, ListAgenciesResponse};

#[tonic::async_trait]
impl AgencyService for Desk {
    async fn list_agencies(
        &self,
        request: Request<ListAgenciesRequest>,
    ) -> Result<Response<ListAgenciesResponse>, Status> {
        let call = self.admit("AgencyService/ListAgencies", request)?;
        call.exchange.check_caller().await.map_err(failed)?;
        let node = call.exchange.node();
        let now = node.clock().now();
        let known = node.known_agencies();
        let agencies = known.map(|(id, names)| convert::agency(id, names, node.agency(id), now)).collect();
        Ok(Response::new(ListAgenciesResponse { agencies }))
    }
}
