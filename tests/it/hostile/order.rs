//! Two asks in one packet: which of them is answered first tells nothing of what is held.
//!
//! An observer whose two requests arrive together needs no clock; the network cannot hide what the order shows.

use std::sync::Arc;

use concordat::clock::Clock;
use concordat::proto::v1;
use concordat::tls::{Credentials, certificates_from_file, client_config};
use prost::Message as _;

use super::raw::{DATA, END_HEADERS, END_STREAM, HEADERS, Line, Way, call_of, field, frame, window};
use crate::harness::{Engine, PURPOSES, World, request_id, run};
use crate::indistinguishable::Case;
use crate::replicas::times;

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

    /// Puts two kinds of ask together, each as often first as the other.
    async fn put_together(&mut self, one: &v1::RequestReleaseRequest, other: &v1::RequestReleaseRequest) -> Orders {
        let pairs = times("CONCORDAT_PAIRS", 16, 150);
        let anew =
            |ask: &v1::RequestReleaseRequest| v1::RequestReleaseRequest { request_id: request_id(), ..ask.clone() };
        let mut first = [0_usize; 2];
        for number in 0..pairs * 2 {
            // No two in a row more often the same way.
            let swapped = (number / 2 + number) % 2 == 1;
            let (a, b) = if swapped { (anew(other), anew(one)) } else { (anew(one), anew(other)) };
            first[usize::from(swapped)] += usize::from(self.first_is_first(&a, &b).await);
        }
        Orders { pairs, first }
    }
}

/// Of two kinds of ask, how often each was answered first when it was put first, and how often it was put first.
#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    pairs: usize,
    first: [usize; 2],
}

impl Orders {
    /// Both together.
    fn and(self, other: Self) -> Self {
        let [one, another] = self.first;
        Self { pairs: self.pairs + other.pairs, first: [one + other.first[0], another + other.first[1]] }
    }

    /// How far the shares lie apart, in standard deviations.
    fn apart(self) -> f64 {
        let number = |count: usize| f64::from(u32::try_from(count).unwrap());
        let [one, other] = self.first.map(|count| number(count) / number(self.pairs));
        let of_both = f64::midpoint(one, other);
        let deviation = (of_both * (1.0 - of_both) * 2.0 / number(self.pairs)).sqrt();
        if deviation == 0.0 { 0.0 } else { (one - other).abs() / deviation }
    }

    fn tell(self, what: &str) {
        println!(
            "{what}: first put, first answered: {:?} of {}; {:.1} deviations",
            self.first,
            self.pairs,
            self.apart()
        );
    }
}

/// Puts each case together with the first one, and looks at each pair, and at all of them together.
async fn alike(desk: &mut Desk, kind: &str, cases: &[Case]) {
    let (first, others) = cases.split_first().unwrap();
    let mut all = Orders::default();
    for other in others {
        let orders = desk.put_together(&first.ask, &other.ask).await;
        orders.tell(other.reason);
        assert!(orders.apart() < TOO_FAR, "the order tells `{}` from `{}`", other.reason, first.reason);
        all = all.and(orders);
    }
    all.tell(kind);
    assert!(all.apart() < TOO_FAR, "{kind}: the order tells `{}` from the others", first.reason);
}

#[test]
fn two_asks_in_one_packet_are_answered_in_an_order_that_says_nothing() {
    run(Engine::Sqlite, |world: World| async move {
        let (by_reference, by_name) =
            (Box::pin(world.cases_by_reference()).await, Box::pin(world.cases_by_name()).await);
        let mut desk = Desk::open(&world).await;
        alike(&mut desk, "by reference", &by_reference).await;
        alike(&mut desk, "by name", &by_name).await;
        // What is answered without the ledger does show: the measure finds what there is to find.
        let ask = &by_reference[0].ask;
        let at_the_door = v1::RequestReleaseRequest { categories: vec![], ..ask.clone() };
        let planted = desk.put_together(ask, &at_the_door).await;
        planted.tell("planted");
        assert!(planted.apart() > TOO_FAR, "a planted difference was not found");
        world
    });
}
