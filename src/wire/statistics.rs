//! `StatisticsService`.

use tonic::{Request, Response, Status};

use super::status::{failed, internal, invalid};
use super::{Desk, convert};
use crate::domain::{AgencyId, Digest, Invalid, Quarter, check};
use crate::exchange::{Exchange, Item, SharingAsk, Tables, Telling};
use crate::proto::v1;
use crate::proto::v1::get_statistics_response::Outcome;
use crate::proto::v1::statistics_service_server::StatisticsService;
use crate::release::Shared;
use crate::store::PublicationRow;

fn quarter(text: &str) -> Result<Quarter, Invalid> {
    check(!text.is_empty(), "quarter", "is required")?;
    convert::field("quarter", text, Quarter::parse)
}

pub(super) fn holder(text: &str, exchange: &Exchange) -> Result<AgencyId, Invalid> {
    let holder = convert::field("holder", text, AgencyId::parse)?;
    check(exchange.node().holds(&holder), "holder", "is not an agency whose records this node holds")?;
    Ok(holder)
}

fn publication(holder: &AgencyId, quarter: Quarter, rule: String, tables: &Tables) -> v1::Publication {
    let table = |(digest, table): &(Digest, v1::StatisticsTable)| v1::PublishedTable {
        id: table.id.clone(),
        title: table.title.clone(),
        digest: digest.as_bytes().to_vec(),
    };
    v1::Publication {
        holder: holder.to_string(),
        quarter: quarter.to_string(),
        published_at: None,
        rule,
        tables: tables.all().iter().map(table).collect(),
    }
}

fn published(row: &PublicationRow) -> Result<(v1::Publication, Tables), Status> {
    let tables = Tables::read(&row.tables).ok_or_else(|| internal("a publication cannot be read"))?;
    let publication = publication(&row.holder, row.quarter, row.rule.to_string(), &tables);
    Ok((v1::Publication { published_at: Some(convert::timestamp(row.published_at)), ..publication }, tables))
}

fn whole(tables: &Tables) -> Vec<v1::StatisticsTable> {
    tables.all().iter().map(|(_, table)| table.clone()).collect()
}

#[tonic::async_trait]
impl StatisticsService for Desk {
    async fn publish_statistics(
        &self,
        request: Request<v1::PublishStatisticsRequest>,
    ) -> Result<Response<v1::PublishStatisticsResponse>, Status> {
        let call = self.admit("StatisticsService/PublishStatistics", request)?;
        let by = call.by(&call.message.request_id)?;
        let quarter = quarter(&call.message.quarter).map_err(invalid)?;
        let agency = call.caller.agency().clone();
        if call.message.validate_only
            && let Some(prepared) = call.exchange.prepare_statistics(&agency, quarter).await.map_err(failed)?
        {
            let publication = publication(&agency, quarter, prepared.rule.to_string(), &prepared.tables);
            return Ok(Response::new(v1::PublishStatisticsResponse {
                publication: Some(publication),
                tables: whole(&prepared.tables),
                receipt: None,
            }));
        }
        // Looking at what is published already is told the same as publishing it again.
        let done = call.exchange.publish_statistics(by, quarter).await.map_err(failed)?;
        let row = call.exchange.publication(agency, quarter).await.map_err(failed)?;
        let (publication, tables) = published(&row)?;
        Ok(Response::new(v1::PublishStatisticsResponse {
            publication: Some(publication),
            tables: whole(&tables),
            receipt: done.receipt,
        }))
    }

    async fn get_statistics(
        &self,
        request: Request<v1::GetStatisticsRequest>,
    ) -> Result<Response<v1::GetStatisticsResponse>, Status> {
        let call = self.admit("StatisticsService/GetStatistics", request)?;
        let by = call.by(&call.message.request_id)?;
        let read = || {
            let holder = holder(&call.message.holder, &call.exchange)?;
            check(
                holder != *call.caller.agency(),
                "holder",
                "is your own agency: ListPublications lists what it published",
            )?;
            let table = convert::required("table", &call.message.table, 64)?;
            Ok(SharingAsk { holder, item: Item::Table(quarter(&call.message.quarter)?, table) })
        };
        let ask = read().map_err(invalid)?;
        let told = call.exchange.ask_to_share(by, ask).await.map_err(failed)?;
        let outcome = match told.outcome {
            Telling::Shared { content, digest, clauses, obligations } => Outcome::Shared(v1::SharedStatistics {
                table: content.and_then(|content| match content {
                    Shared::Table(table) => Some(table),
                    Shared::Theme(_) => None,
                }),
                digest: digest.as_bytes().to_vec(),
                clauses: clauses.iter().map(ToString::to_string).collect(),
                obligations,
            }),
            Telling::NotCovered { reason, explanation } => Outcome::NotCovered(v1::NotCovered { reason, explanation }),
            Telling::NotPublished { explanation } => Outcome::NotPublished(v1::NotPublished { explanation }),
        };
        Ok(Response::new(v1::GetStatisticsResponse { outcome: Some(outcome), receipt: told.receipt }))
    }

    async fn get_publication(
        &self,
        request: Request<v1::GetPublicationRequest>,
    ) -> Result<Response<v1::GetPublicationResponse>, Status> {
        let call = self.admit("StatisticsService/GetPublication", request)?;
        let quarter = quarter(&call.message.quarter).map_err(invalid)?;
        let row = call.exchange.publication(call.caller.agency().clone(), quarter).await.map_err(failed)?;
        let (publication, tables) = published(&row)?;
        Ok(Response::new(v1::GetPublicationResponse { publication: Some(publication), tables: whole(&tables) }))
    }

    async fn list_publications(
        &self,
        request: Request<v1::ListPublicationsRequest>,
    ) -> Result<Response<v1::ListPublicationsResponse>, Status> {
        let call = self.admit("StatisticsService/ListPublications", request)?;
        let holder = holder(&call.message.holder, &call.exchange).map_err(invalid)?;
        let page = call.page(call.message.page_size, &call.message.page_token, holder.as_str());
        let (rows, next_page_token) = call.exchange.publications(page, holder).await.map_err(failed)?;
        let publications = rows.iter().map(|row| published(row).map(|(publication, _)| publication));
        Ok(Response::new(v1::ListPublicationsResponse {
            publications: publications.collect::<Result<_, _>>()?,
            next_page_token,
        }))
    }
}
