//! Statistics: published once, under the strictest rule, and shared through the gate.

use std::collections::BTreeSet;

use concordat::client::OfficerChannel;
use concordat::domain::{AgencyId, Instant, Quarter};
use concordat::proto::v1;
use concordat::proto::v1::get_statistics_response::Outcome;
use concordat::proto::v1::statistics_service_client::StatisticsServiceClient;
use concordat::seal::Seal;
use concordat::statistics::Coordinates;
use concordat::store::{Options, Store};
use prost::Message;
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use crate::builders::assert_error;
use crate::harness::{World, on_both_databases, request_id};

/// So many that the total is shown, whatever the noise: it moves by twenty with a chance of one in a million.
const ORGANISATIONS: usize = 46;
const HOUR: i64 = 3_600;
const NOISE: i64 = 20;

/// Places in the menu's first dimension.
const NOT_KNOWN: u8 = 0;
const HEALTH: u8 = 2;

impl World {
    pub(crate) fn statistics(&self, agency: &str) -> StatisticsServiceClient<OfficerChannel> {
        StatisticsServiceClient::new(self.officer(agency, "sta", &["statistician"]))
    }

    pub(crate) async fn publish(&self, agency: &str, quarter: &str) -> Result<v1::PublishStatisticsResponse, Status> {
        let quarter = quarter.to_owned();
        let request = v1::PublishStatisticsRequest { request_id: request_id(), quarter, validate_only: false };
        Ok(self.statistics(agency).publish_statistics(request).await?.into_inner())
    }

    /// So many organisations of the ICO's, each with an incident, and the quarter in which that was.
    async fn incidents_at(&self, organisations: usize) -> Quarter {
        let quarter = Quarter::of(self.now());
        for _ in 0..organisations {
            let organisation = self.register_organisation("ico", vec![]).await;
            let request = self.incident_at(&organisation);
            self.incidents("ico").register_incident(request).await.unwrap();
        }
        assert_eq!(Quarter::of(self.now()), quarter);
        quarter
    }

    /// The quarter comes to its end, and the hour that follows it.
    fn end(&self, quarter: Quarter) {
        self.hand.set(quarter.end().plus_seconds(HOUR));
    }

    /// A published quarter in which the total is shown.
    async fn published(&self) -> (Quarter, v1::PublishStatisticsResponse) {
        let quarter = self.incidents_at(ORGANISATIONS).await;
        self.end(quarter);
        (quarter, self.publish("ico", &quarter.to_string()).await.unwrap())
    }

    /// Where the ICO's incidents of a quarter stand.
    async fn standings(&self, quarter: Quarter) -> Vec<Coordinates> {
        let store = Store::open(&Options::inspect(self.config.database_url())).await.unwrap();
        let seal = Seal::new(&self.config.node_secrets().unwrap()[0]).unwrap();
        let holder = AgencyId::known("ico");
        let found = store.reads().await.unwrap().standings(&holder, quarter, "", &seal).await.unwrap();
        store.close().await;
        found.into_iter().map(|one| one.coordinates).collect()
    }

    async fn ask_for_table(&self, request: v1::GetStatisticsRequest, agency: &str) -> v1::GetStatisticsResponse {
        self.statistics(agency).get_statistics(request).await.unwrap().into_inner()
    }
}

fn table_of(holder: &str, quarter: Quarter) -> v1::GetStatisticsRequest {
    let (quarter, table) = (quarter.to_string(), "total".to_owned());
    v1::GetStatisticsRequest { request_id: request_id(), holder: holder.into(), quarter, table }
}

fn agreement_with(recipient: &str) -> &'static str {
    if recipient == "ncsc" { "ico-ncsc-2023" } else { "ico-nca-2024" }
}

fn shared(response: v1::GetStatisticsResponse) -> v1::SharedStatistics {
    match response.outcome.unwrap() {
        Outcome::Shared(shared) => shared,
        other => panic!("not shared: {other:?}"),
    }
}

pub(super) async fn a_published_table_is_shared(world: &World, recipient: &str) {
    let (quarter, published) = world.published().await;
    let response = world.ask_for_table(table_of("ico", quarter), recipient).await;
    let proven = world.verified(response.receipt.as_ref());
    let shared = shared(response);
    let table = shared.table.unwrap();
    let [cell] = table.cells.as_slice() else { panic!("a total has one cell: {table:?}") };
    let expected = i64::try_from(ORGANISATIONS).unwrap();
    assert!((cell.organisations.unwrap() - expected).abs() <= NOISE, "{cell:?}");
    assert!(table.rule.contains("fewer than 10 organisations"), "{}", table.rule);
    assert_eq!(shared.clauses, [format!("{}/statistics-to-{recipient}", agreement_with(recipient))]);
    assert_eq!(shared.obligations.len(), 2);

    assert_eq!(shared.digest, Sha256::digest(table.encode_to_vec()).to_vec());
    let outcome = proven.sharing_outcome.unwrap();
    assert_eq!((outcome.outcome.as_str(), &outcome.digest), ("shared", &shared.digest));
    let ask = proven.table_ask.unwrap();
    assert_eq!((ask.requester.as_str(), ask.table.as_str()), (recipient, "total"));
    let stated = world.verified(published.receipt.as_ref()).publication.unwrap();
    let total = stated.tables.iter().find(|table| table.id == "total").unwrap();
    assert_eq!(total.digest, shared.digest, "the publication's entry states the same table");
    assert_eq!((stated.threshold, stated.margin, stated.largest_share), (10, 15, 2));
}

pub(super) async fn what_is_not_published_is_told(world: &World, recipient: &str) {
    let quarter = Quarter::of(world.now());
    let response = world.ask_for_table(table_of("ico", quarter), recipient).await;
    let outcome = world.verified(response.receipt.as_ref()).sharing_outcome.unwrap();
    assert_eq!(outcome.outcome, "not-published");
    let Some(Outcome::NotPublished(told)) = response.outcome else { panic!("{:?}", response.outcome) };
    assert!(told.explanation.contains(&quarter.to_string()), "{}", told.explanation);
}

pub(super) async fn there_is_no_clause_the_other_way(world: &World, recipient: &str) {
    let response = world.ask_for_table(table_of(recipient, Quarter::of(world.now())), "ico").await;
    let Some(Outcome::NotCovered(told)) = response.outcome else { panic!("{:?}", response.outcome) };
    assert_eq!(told.reason, "NO_AGREEMENT");
}

pub(super) async fn a_repeat_is_decided_again(world: &World, recipient: &str) {
    let (quarter, _) = world.published().await;
    let request = table_of("ico", quarter);
    let first = world.ask_for_table(request.clone(), recipient).await;
    let index = first.receipt.clone().unwrap().index;
    let again = world.ask_for_table(request.clone(), recipient).await;
    assert_eq!(again.receipt.clone().unwrap().index, index);
    assert_eq!(shared(again).table, shared(first).table);

    let end = v1::EndAgreementRequest { request_id: request_id(), agreement_id: agreement_with(recipient).into() };
    world.agreements("ico", &["operator"]).end_agreement(end).await.unwrap();
    let last = world.ask_for_table(request, recipient).await;
    assert_eq!(last.receipt.clone().unwrap().index, index);
    assert_eq!(shared(last).table, None, "no agreement lets it be shared any more");
}

on_both_databases! {
    async fn a_quarter_is_published_once(world: World) {
        let quarter = world.incidents_at(1).await;
        let name = quarter.to_string();
        assert_error(world.publish("ico", &name).await, Code::FailedPrecondition, "WRONG_STATE");
        world.hand.set(Instant::from_micros(quarter.end().plus_seconds(HOUR).micros() - 1));
        assert_error(world.publish("ico", &name).await, Code::FailedPrecondition, "WRONG_STATE");
        world.end(quarter);

        let request =
            v1::PublishStatisticsRequest { request_id: request_id(), quarter: name.clone(), validate_only: false };
        let publish = async || world.statistics("ico").publish_statistics(request.clone()).await.unwrap().into_inner();
        let first = publish().await;
        let again = publish().await;
        assert_eq!(again.receipt.as_ref().unwrap().index, first.receipt.as_ref().unwrap().index);
        assert_eq!((again.publication, again.tables), (first.publication, first.tables));
        assert_error(world.publish("ico", &name).await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn looking_first_shows_what_would_be_published_and_publishes_nothing(world: World) {
        let quarter = world.incidents_at(ORGANISATIONS).await;
        world.end(quarter);
        let look = v1::PublishStatisticsRequest {
            request_id: request_id(),
            quarter: quarter.to_string(),
            validate_only: true,
        };
        let before = world.size().await;
        let seen = world.statistics("ico").publish_statistics(look).await.unwrap().into_inner();
        assert_eq!((world.size().await, seen.receipt.clone()), (before, None));
        let published = world.publish("ico", &quarter.to_string()).await.unwrap();
        assert_eq!(seen.tables, published.tables, "the same organisations get the same noise");
    }

    async fn few_organisations_show_nothing(world: World) {
        let quarter = world.incidents_at(9).await;
        world.end(quarter);
        let published = world.publish("ico", &quarter.to_string()).await.unwrap();
        assert!(published.tables.len() > 1);
        let mut cells = published.tables.iter().flat_map(|table| &table.cells);
        assert!(cells.all(|cell| cell.organisations.is_none()));
    }

    async fn an_organisation_counts_once_however_many_incidents_it_had(world: World) {
        let quarter = world.incidents_at(9).await;
        let organisation = world.register_organisation("ico", vec![]).await;
        for _ in 0..ORGANISATIONS {
            world.incidents("ico").register_incident(world.incident_at(&organisation)).await.unwrap();
        }
        world.end(quarter);
        let published = world.publish("ico", &quarter.to_string()).await.unwrap();
        let mut cells = published.tables.iter().flat_map(|table| &table.cells);
        assert!(cells.all(|cell| cell.organisations.is_none()));
    }

    async fn an_agency_that_may_share_with_nobody_publishes_nothing(world: World) {
        let quarter = Quarter::of(world.now());
        world.end(quarter);
        let published = world.publish("ncsc", &quarter.to_string()).await;
        assert_error(published, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn which_quarters_are_published_is_told_to_the_parties_alone(world: World) {
        let quarter = Quarter::of(world.now());
        world.end(quarter);
        let published = world.publish("ico", &quarter.to_string()).await.unwrap().publication.unwrap();
        let list = async |agency: &str, holder: &str| {
            let request = v1::ListPublicationsRequest { holder: holder.into(), ..Default::default() };
            Ok(world.statistics(agency).list_publications(request).await?.into_inner().publications)
        };
        for agency in ["ico", "ncsc", "nca"] {
            assert_eq!(list(agency, "ico").await.map_err(|status: Status| status.code()), Ok(vec![published.clone()]));
        }
        assert_error(list("nca", "ncsc").await, Code::NotFound, "NOT_FOUND");
        let own = v1::GetPublicationRequest { quarter: quarter.to_string() };
        let read = world.statistics("ico").get_publication(own.clone()).await.unwrap().into_inner();
        assert_eq!(read.publication, Some(published));
        assert_error(world.statistics("nca").get_publication(own).await, Code::NotFound, "NOT_FOUND");
    }

    async fn an_amended_incident_counts_by_its_new_content_until_its_quarter_has_ended(world: World) {
        let quarter = world.incidents_at(1).await;
        let mut incidents = world.incidents("ico");
        let list = incidents.list_incidents(v1::ListIncidentsRequest::default()).await.unwrap().into_inner();
        let [incident] = list.incidents.try_into().unwrap();
        let sector_of = async || world.standings(quarter).await.iter().map(|one| one[0]).collect::<Vec<u8>>();
        let mut amended = async |etag: &str, code: &str| {
            let sector = v1::Sector { scheme: "naics".into(), code: code.into(), ..v1::Sector::default() };
            let amend = v1::AmendIncidentRequest {
                request_id: request_id(),
                incident_id: incident.id.clone(),
                etag: etag.into(),
                content: Some(v1::IncidentContent { sector: Some(sector), ..v1::IncidentContent::default() }),
                ..v1::AmendIncidentRequest::default()
            };
            incidents.amend_incident(amend).await.unwrap();
        };
        assert_eq!(sector_of().await, [NOT_KNOWN]);
        amended("1", "622110").await;
        assert_eq!(sector_of().await, [HEALTH]);
        world.end(quarter);
        amended("2", "611110").await;
        assert_eq!(sector_of().await, [HEALTH], "it may be counted at any moment");
        world.publish("ico", &quarter.to_string()).await.unwrap();
        amended("3", "611110").await;
        assert_eq!(sector_of().await, [HEALTH], "what was published was counted by this");
    }

    async fn where_incidents_stand_is_sealed_and_all_sealed_values_are_as_long(world: World) {
        world.incidents_at(3).await;
        let sealed = world.all_bytes("SELECT sealed FROM incident_statistic ORDER BY incident_id").await;
        assert_eq!(sealed.iter().map(Vec::len).collect::<Vec<_>>(), [44; 3], "name of the secret, nonce, eight values, tag");
        let different: BTreeSet<&Vec<u8>> = sealed.iter().collect();
        assert_eq!(different.len(), 3, "the same values are not the same bytes");
    }
}
