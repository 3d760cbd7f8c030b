//! `MandateService`.

use std::collections::BTreeSet;

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{Invalid, MandateId, MandateTerms, MandatedAct, Means, Oral, OrganisationId, check};
use crate::exchange::{EndMandate, MandateView, RecordMandate};
use crate::proto::v1;
use crate::proto::v1::mandate_service_server::MandateService;
use crate::proto::v1::{
    EndMandateRequest, EndMandateResponse, ListMandatesRequest, ListMandatesResponse, RecordMandateRequest,
    RecordMandateResponse,
};

fn terms(message: &RecordMandateRequest) -> Result<MandateTerms, Invalid> {
    let agent = message.agent.as_ref().ok_or_else(|| Invalid::new("agent", "is required"))?;
    let evidence = message.evidence.as_ref().ok_or_else(|| Invalid::new("evidence", "is required"))?;
    let channel = convert::required("evidence.channel", &evidence.channel, 100)?;
    let in_writing = !Oral::is_oral(&channel) && !Oral::is_spoken(&channel);
    check(in_writing, "evidence.channel", "is spoken: a mandate is in writing")?;
    let act = |text: String| {
        MandatedAct::parse(&text).ok_or_else(|| Invalid::new("", "must be `give`, `narrow` or `withdraw`"))
    };
    let acts: BTreeSet<MandatedAct> = convert::set("acts", &message.acts, act)?;
    Ok(MandateTerms {
        name: convert::required("agent.name", &agent.name, 200)?,
        kind: convert::field("agent.kind", &agent.kind, Means::parse)?.to_string(),
        contact: convert::required("agent.contact", &agent.contact, 200)?,
        acts,
        signatory: convert::required("evidence.signatory", &evidence.signatory, 200)?,
        authority: convert::required("evidence.authority", &evidence.authority, 200)?,
        channel,
        digest: convert::digest("evidence.digest", &evidence.digest)?,
        received_at: convert::required_instant("evidence.received_at", evidence.received_at)?,
    })
}

fn change(message: &RecordMandateRequest) -> Result<RecordMandate, Invalid> {
    Ok(RecordMandate {
        organisation: convert::field("organisation_id", &message.organisation_id, OrganisationId::parse)?,
        terms: terms(message)?,
        valid_from: convert::instant("valid_from", message.valid_from)?,
        valid_until: convert::instant("valid_until", message.valid_until)?,
    })
}

fn mandate(MandateView { mandate, stands }: MandateView) -> v1::Mandate {
    let MandateTerms { name, kind, contact, acts, signatory, authority, channel, digest, received_at } = mandate.terms;
    v1::Mandate {
        id: mandate.id.to_string(),
        organisation_id: mandate.organisation.to_string(),
        agent: Some(v1::Agent { name, kind, contact }),
        acts: acts.into_iter().map(|act| act.as_str().to_owned()).collect(),
        valid_from: Some(convert::timestamp(mandate.valid_from)),
        valid_until: Some(convert::timestamp(mandate.valid_until)),
        evidence: Some(v1::MandateEvidence {
            signatory,
            authority,
            channel,
            digest: digest.as_bytes().to_vec(),
            received_at: Some(convert::timestamp(received_at)),
        }),
        recorded_at: Some(convert::timestamp(mandate.recorded_at)),
        ended_at: mandate.ended_at.map(convert::timestamp),
        stands,
    }
}

#[tonic::async_trait]
impl MandateService for Desk {
    async fn record_mandate(
        &self,
        request: Request<RecordMandateRequest>,
    ) -> Result<Response<RecordMandateResponse>, Status> {
        let call = self.admit("MandateService/RecordMandate", request)?;
        let by = call.by(&call.message.request_id)?;
        let done = call.exchange.change(by, change(&call.message).map_err(invalid)?).await.map_err(failed)?;
        Ok(Response::new(RecordMandateResponse { mandate_id: done.object, receipt: done.receipt }))
    }

    async fn end_mandate(&self, request: Request<EndMandateRequest>) -> Result<Response<EndMandateResponse>, Status> {
        let call = self.admit("MandateService/EndMandate", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = convert::field("mandate_id", &call.message.mandate_id, MandateId::parse).map_err(invalid)?;
        let (done, under) = call.exchange.end_mandate(by, EndMandate { id }).await.map_err(failed)?;
        let (mandate_id, receipt) = (done.object, done.receipt);
        Ok(Response::new(EndMandateResponse { mandate_id, consent_ids: under.consents, receipt, more: under.more }))
    }

    async fn list_mandates(
        &self,
        request: Request<ListMandatesRequest>,
    ) -> Result<Response<ListMandatesResponse>, Status> {
        let call = self.admit("MandateService/ListMandates", request)?;
        let message = &call.message;
        convert::optional("organisation_id", &message.organisation_id, OrganisationId::parse).map_err(invalid)?;
        let page = call.page(message.page_size, &message.page_token, &message.organisation_id);
        let (found, next_page_token) = call.exchange.mandates(page).await.map_err(failed)?;
        Ok(Response::new(ListMandatesResponse { mandates: found.into_iter().map(mandate).collect(), next_page_token }))
    }
}
