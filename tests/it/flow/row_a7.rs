//! A7: help on offer to victims, and what each organisation said to it. No other agency learns of either.

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::help_offer_service_client::HelpOfferServiceClient;
use tonic::{Code, Status};

use crate::builders::{assert_error, assert_invalid};
use crate::harness::{World, on_both_databases, request_id};

const MOTIVES: &str = "nca-motives";
const CHANNELS: &str = "nca-secure-channels";

impl World {
    pub(crate) fn help_offers(&self, agency: &str) -> HelpOfferServiceClient<OfficerChannel> {
        HelpOfferServiceClient::new(self.officer(agency, "rec", &["recorder"]))
    }

    /// Records one step of an offer of help.
    pub(crate) async fn record_help(
        &self,
        agency: &str,
        organisation: &str,
        help: &str,
        state: &str,
    ) -> Result<v1::RecordHelpOfferResponse, Status> {
        let request = v1::RecordHelpOfferRequest {
            request_id: request_id(),
            organisation_id: organisation.into(),
            help_id: help.into(),
            state: state.into(),
        };
        Ok(self.help_offers(agency).record_help_offer(request).await?.into_inner())
    }

    /// Help and state of each of the agency's offers, to one organisation or (empty) to any.
    async fn offered_help(&self, agency: &str, organisation: &str) -> Vec<(String, String)> {
        let request = v1::ListHelpOffersRequest { organisation_id: organisation.into(), ..<_>::default() };
        let listed = self.help_offers(agency).list_help_offers(request).await.unwrap().into_inner();
        let mut all: Vec<_> = listed.help_offers.into_iter().map(|offer| (offer.help_id, offer.state)).collect();
        all.sort();
        all
    }

    /// All that an agency can read of its own: entries, events, offers.
    async fn readable(&self, agency: &str) -> String {
        let page = v1::ListEntriesRequest { page_size: 200, page_token: String::new() };
        let entries = self.ledger(agency).list_entries(page).await.unwrap().into_inner().receipts;
        let indexes: Vec<u64> = entries.iter().map(|receipt| receipt.index).collect();
        format!("{indexes:?} {:?} {:?}", self.events(agency).await, self.offered_help(agency, "").await)
    }
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(help, state)| ((*help).to_owned(), (*state).to_owned())).collect()
}

on_both_databases! {
    async fn row_a7_help_is_offered_accepted_or_declined_and_no_other_agency_learns_of_it(world: World) {
        let mut anybody = world.help_offers("ico");
        let all = anybody.list_help(v1::ListHelpRequest::default()).await.unwrap().into_inner().help;
        let of_nca = v1::ListHelpRequest { agency: "nca".into(), as_of: None };
        let of_nca = anybody.list_help(of_nca).await.unwrap().into_inner().help;
        assert_eq!(of_nca.len(), 4, "advice, channels, motives, government and media: {of_nca:?}");
        assert!(["ico", "ncsc"].iter().all(|agency| all.iter().any(|help| help.agency == *agency)), "{all:?}");
        let before_it = v1::ListHelpRequest { agency: "nca".into(), as_of: Some(prost_types::Timestamp::default()) };
        assert!(anybody.list_help(before_it).await.unwrap().into_inner().help.is_empty());

        let held = world.hold("nca", "ico").await;
        let (victim, other) = (held.organisation.as_str(), world.register_organisation("nca", vec![]).await);
        let anothers = world.register_organisation("ico", vec![]).await;
        let (ico, ncsc) = (world.readable("ico").await, world.readable("ncsc").await);
        let step = async |organisation: &str, help, state| world.record_help("nca", organisation, help, state).await;

        let offered = step(victim, MOTIVES, "offered").await.unwrap();
        let act = world.verified(offered.receipt.as_ref()).act.unwrap();
        assert_eq!((act.object.as_str(), act.version), (offered.help_offer_id.as_str(), 1));
        let accepted = step(victim, MOTIVES, "accepted").await.unwrap();
        assert_eq!((accepted.help_offer_id, accepted.version), (offered.help_offer_id, 2));
        step(victim, CHANNELS, "offered").await.unwrap();
        step(victim, CHANNELS, "declined").await.unwrap();
        step(&other, CHANNELS, "offered").await.unwrap();
        assert_eq!(world.offered_help("nca", victim).await, pairs(&[(MOTIVES, "accepted"), (CHANNELS, "declined")]));
        assert_eq!(world.offered_help("nca", &other).await, pairs(&[(CHANNELS, "offered")]));

        // What cannot be is turned away, and writes nothing.
        let size = world.size().await;
        assert_error(step(victim, MOTIVES, "accepted").await, Code::FailedPrecondition, "WRONG_STATE");
        assert_error(step(victim, MOTIVES, "offered").await, Code::FailedPrecondition, "WRONG_STATE");
        assert_error(step(&other, MOTIVES, "declined").await, Code::FailedPrecondition, "WRONG_STATE");
        assert_error(step(&anothers, MOTIVES, "offered").await, Code::NotFound, "NOT_FOUND");
        assert_invalid(step(victim, "ncsc-early-warning", "offered").await, "help_id");
        assert_invalid(step(victim, MOTIVES, "refused").await, "state");
        assert_eq!(world.size().await, size);

        // Nobody else has an entry, an event or an offer of it; a list narrowed to the victim is as one of nothing.
        assert_eq!((world.readable("ico").await, world.readable("ncsc").await), (ico, ncsc));
        for agency in ["ico", "ncsc"] {
            assert_eq!(world.offered_help(agency, victim).await, world.offered_help(agency, "org_9").await);
        }

        // With its last incident an organisation is nobody's victim any more.
        world.erase(&held).await;
        assert_eq!(world.offered_help("nca", "").await, pairs(&[(CHANNELS, "offered")]), "the other organisation's");
    }

    async fn row_a7_one_of_two_offers_at_once_is_recorded(world: World) {
        let organisation = world.register_organisation("nca", vec![]).await;
        let before = world.size().await;
        let (one, two) = tokio::join!(
            world.record_help("nca", &organisation, MOTIVES, "offered"),
            world.record_help("nca", &organisation, MOTIVES, "offered"),
        );
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        assert_eq!(world.size().await, before + 1);
        // A repeat is the same step.
        let request = v1::RecordHelpOfferRequest {
            request_id: request_id(),
            organisation_id: organisation.clone(),
            help_id: MOTIVES.into(),
            state: "declined".into(),
        };
        let mut recorder = world.help_offers("nca");
        let first = recorder.record_help_offer(request.clone()).await.unwrap().into_inner();
        let again = recorder.record_help_offer(request).await.unwrap().into_inner();
        assert_eq!((first.version, first.receipt.unwrap().index), (again.version, again.receipt.unwrap().index));
        assert_eq!(world.size().await, before + 2);
        let anew = world.record_help("nca", &organisation, MOTIVES, "offered").await.unwrap();
        assert_eq!(anew.version, 3, "what was declined may be offered anew");
    }
}
