//! Two asks in one packet: which of them is answered first tells nothing of what is held.
//!
//! An observer whose two requests arrive together needs no clock; the network cannot hide what the order shows.

use std::sync::Arc;

use concordat::clock::Clock;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::{self};
use concordat::tls::{Credentials, certificates_from_file, client_config};
use prost::Message as _;

use super::raw::{DATA, END_HEADERS, END_STREAM, HEADERS, Line, Way, call_of, field, frame, window};
use crate::harness::{Engine, PURPOSES, World, request_id, run};

const PAIRS: usize = 150;

/// Beyond it, two shares are not the same by chance: once in a hundred and fifty thousand.
const TOO_FAR: f64 = 4.5;

/// A connection on which this requester asks by hand.
struct Desk {
    line: Line,
    token: String,
    next: u32,
}

impl Desk {
    async fn open(world: &World) -> Self {
        let folder = world.workspace.folder();
        let context = world.workspace.context("ico", "req", &["requester"], &PURPOSES, "one", world.node.address);
        let roots = certificates_from_file(&folder.join(&context.roots_file)).unwrap();
        let (chain, key) = (folder.join(&context.certificate_file), folder.join(&context.key_file));
        let config = client_config(roots, Some(Credentials::from_files(&chain, &key).unwrap())).unwrap();
        let clock: Clock = world.clock.clone();
        let token = context.token_maker(folder, clock).unwrap().token().unwrap();
        let mut line = Way { node: world.node.address, config: Arc::clone(&config) }.open(&[]).await;
        line.send(&window(0, 0x7fff_0000)).await;
        Self { line, token: token.clone(), next: 1 }
    }

    fn put(&mut self, ask: &v1::RequestReleaseRequest) -> (u32, Vec<u8>) {
        let stream = self.next;
        self.next += 2;
        let headers = [
            call_of("/concordat.v1.ReleaseService/RequestRelease"),
            field(0, "authorization", &format!("Bearer {}", self.token)),
        ]
        .concat();
        let message = ask.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let body = [&[0], length.as_slice(), &message].concat();
        (stream, [frame(HEADERS, END_HEADERS, stream, &headers), frame(DATA, END_STREAM, stream, &body)].concat())
    }

    /// Whether the first of two asks, put in one packet, is answered first.
    async fn first_is_first(&mut self, first: &v1::RequestReleaseRequest, second: &v1::RequestReleaseRequest) -> bool {
        let (one, bytes) = self.put(first);
        let (other, more) = self.put(second);
        assert!(self.line.send(&[bytes, more].concat()).await);
        let both = |answered: &[u32]| answered.contains(&one) && answered.contains(&other);
        let heard = self.line.until(|heard| heard.closed || both(&heard.answered)).await;
        let at = |stream| heard.answered.iter().position(|answered| *answered == stream).expect("an answer");
        at(one) < at(other)
    }

    /// How far the shares lie apart in which each of two kinds of ask is answered first when it is put first, in
    /// standard deviations.
    async fn apart(
        &mut self,
        one: impl Fn() -> v1::RequestReleaseRequest,
        other: impl Fn() -> v1::RequestReleaseRequest,
    ) -> f64 {
        let mut first = [0_u32; 2];
        for number in 0..PAIRS * 2 {
            // Each as often first as the other, and no two in a row more often the same way.
            let swapped = (number / 2 + number) % 2 == 1;
            let (a, b) = if swapped { (other(), one()) } else { (one(), other()) };
            first[usize::from(swapped)] += u32::from(self.first_is_first(&a, &b).await);
        }
        let pairs = f64::from(u32::try_from(PAIRS).unwrap());
        let [one, other] = first.map(|count| f64::from(count) / pairs);
        let of_both = f64::midpoint(one, other);
        let deviation = (of_both * (1.0 - of_both) * 2.0 / pairs).sqrt();
        println!("first put, first answered: {one:.3} and {other:.3}");
        if deviation == 0.0 { 0.0 } else { (one - other).abs() / deviation }
    }
}

#[test]
fn two_asks_in_one_packet_are_answered_in_an_order_that_says_nothing() {
    run(Engine::Sqlite, |world: World| async move {
        let held = world.hold("ncsc", "ico").await;
        let mut desk = Desk::open(&world).await;
        let is_held = || world.ask(&held);
        let is_not = || v1::RequestReleaseRequest {
            request_id: request_id(),
            target: Some(Target::Reference(concordat::seal::new_id("ref"))),
            ..world.ask(&held)
        };
        let apart = desk.apart(is_held, is_not).await;
        assert!(apart < TOO_FAR, "the order tells what is held: {apart:.1} deviations");
        // What is answered without the ledger does show: the measure finds what there is to find.
        let at_the_door = || v1::RequestReleaseRequest { categories: vec![], ..is_not() };
        let apart = desk.apart(is_held, at_the_door).await;
        assert!(apart > TOO_FAR, "a planted difference was not found: {apart:.1} deviations");
        world
    });
}
