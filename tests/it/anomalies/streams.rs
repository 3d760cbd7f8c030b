//! A9 and A12 on the stream of events.

use concordat::proto::v1;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use super::WITHIN;
use crate::builders::{assert_error, names};
use crate::harness::on_both_databases;

type Stream = Streaming<v1::WatchEventsResponse>;

/// The references of the next message that has events; heartbeats are passed by.
async fn references(stream: &mut Stream) -> Vec<String> {
    loop {
        let message = timeout(WITHIN, stream.message()).await.unwrap().unwrap().expect("the stream goes on");
        if !message.events.is_empty() {
            return message.events.into_iter().map(|event| event.reference).collect();
        }
    }
}

/// How a stream ends that tells of nothing any more.
async fn ended(mut stream: Stream) -> Result<(), Status> {
    loop {
        match timeout(WITHIN, stream.message()).await.unwrap()? {
            Some(message) => assert_eq!(message.events, [], "told to who may not be told"),
            None => return Ok(()),
        }
    }
}

on_both_databases! {
    async fn anomaly_a9_what_is_narrowed_before_its_turn_is_not_on_the_stream(world: World) {
        let (_, cursor) = world.since("ico", "").await;
        let first = world.permitted("ncsc").await;
        let second = world.permitted("ncsc").await;
        let third = world.permitted("ncsc").await;
        let mut stream = world.watch("ico", &cursor).await.unwrap();
        assert_eq!(stream.message().await.unwrap().unwrap().events, []);
        world.offer_incident(&first.held).await.unwrap();
        assert_eq!(references(&mut stream).await, [first.held.reference.as_str()]);

        // The offer and the narrowing are committed while nobody reads: the stream's next turn comes after both.
        drop(stream);
        let (_, cursor) = world.since("ico", &cursor).await;
        world.offer_incident(&second.held).await.unwrap();
        let scope = v1::ConsentScope { purposes: names(&["regulatory-assessment"]), ..world.scope(&second.held) };
        world.narrow_consent(&second.held, &second.consent, scope).await.unwrap();
        world.offer_incident(&third.held).await.unwrap();
        let mut stream = world.watch("ico", &cursor).await.unwrap();
        assert_eq!(references(&mut stream).await, [third.held.reference.as_str()], "what was narrowed is left out");
    }

    async fn anomaly_a12_who_is_suspended_is_told_nothing_more_on_the_stream(world: World) {
        let (_, cursor) = world.since("ico", "").await;
        let (one, two) = (world.permitted("ncsc").await.held, world.permitted("ncsc").await.held);
        let mut stream = world.watch("ico", &cursor).await.unwrap();
        assert_eq!(stream.message().await.unwrap().unwrap().events, []);
        world.offer_incident(&one).await.unwrap();
        assert_eq!(references(&mut stream).await, [one.reference.as_str()]);

        // By the agency whose the offer is: the stream is the ICO's own and goes on, without it.
        world.offer_incident(&two).await.unwrap();
        world.suspend_agency("ncsc", "ico").await.unwrap();
        let mut again = world.watch("ico", &cursor).await.unwrap();
        assert_eq!(again.message().await.unwrap().unwrap().events, [], "what is offered by who suspended it");

        // The officer: both streams end by themselves, as the next call would, and tell of nothing before.
        world.suspend_officer("ico", "ico", "desk").await.unwrap();
        let held = world.permitted("nca").await.held;
        world.offer_incident(&held).await.unwrap();
        assert_error(ended(again).await, Code::PermissionDenied, "SUSPENDED");
        assert_error(world.watch("ico", &cursor).await, Code::PermissionDenied, "SUSPENDED");
        world.resume_officer("ico", "ico", "desk").await.unwrap();
        let (events, _) = world.since("ico", &cursor).await;
        let told: Vec<&str> = events.iter().map(|event| event.reference.as_str()).collect();
        assert_eq!(told, [held.reference.as_str()], "nothing is lost; the NCSC's suspension stands");
    }
}
