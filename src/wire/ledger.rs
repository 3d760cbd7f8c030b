//! `LedgerService`.

use tonic::{Request, Response, Status};

use super::status::{failed, internal};
use super::{Desk, convert};
use crate::ledger::read_checkpoint;
use crate::proto::v1::ledger_service_server::LedgerService;
use crate::proto::v1::{
    CheckpointView, GetCheckpointRequest, GetCheckpointResponse, GetConsistencyProofRequest,
    GetConsistencyProofResponse, GetEntryRequest, GetEntryResponse, GetInclusionProofRequest,
    GetInclusionProofResponse, ListEntriesRequest, ListEntriesResponse,
};

#[tonic::async_trait]
impl LedgerService for Desk {
    async fn get_checkpoint(
        &self,
        request: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let call = self.admit("LedgerService/GetCheckpoint", request)?;
        let (_, note, at) = call.exchange.checkpoint().await.map_err(failed)?;
        let checkpoint = read_checkpoint(&note).map_err(|_| internal("a stored checkpoint cannot be read"))?;
        Ok(Response::new(GetCheckpointResponse {
            checkpoint: Some(CheckpointView {
                origin: checkpoint.origin,
                size: checkpoint.size,
                root: checkpoint.root.to_vec(),
                note,
                at: Some(convert::timestamp(at)),
            }),
        }))
    }

    async fn get_entry(&self, request: Request<GetEntryRequest>) -> Result<Response<GetEntryResponse>, Status> {
        let call = self.admit("LedgerService/GetEntry", request)?;
        let receipt = call.exchange.receipt(call.caller.agency(), call.message.index).await.map_err(failed)?;
        Ok(Response::new(GetEntryResponse { receipt: Some(receipt) }))
    }

    async fn list_entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Result<Response<ListEntriesResponse>, Status> {
        let call = self.admit("LedgerService/ListEntries", request)?;
        let page = call.page(call.message.page_size, &call.message.page_token, "");
        let (receipts, next_page_token) = call.exchange.receipts(page).await.map_err(failed)?;
        Ok(Response::new(ListEntriesResponse { receipts, next_page_token }))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<GetInclusionProofRequest>,
    ) -> Result<Response<GetInclusionProofResponse>, Status> {
        let call = self.admit("LedgerService/GetInclusionProof", request)?;
        let (size, hashes) = call.exchange.inclusion(call.message.index, call.message.size).await.map_err(failed)?;
        Ok(Response::new(GetInclusionProofResponse { size, hashes }))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<GetConsistencyProofRequest>,
    ) -> Result<Response<GetConsistencyProofResponse>, Status> {
        let call = self.admit("LedgerService/GetConsistencyProof", request)?;
        let (from, size) = (call.message.from_size, call.message.size);
        let (size, hashes) = call.exchange.consistency(from, size).await.map_err(failed)?;
        Ok(Response::new(GetConsistencyProofResponse { size, hashes }))
    }
}
