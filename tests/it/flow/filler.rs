//! A padded ledger: who sees how far it has grown does not see what was done in it, but for what the pages say remains.

use std::time::Duration;

use concordat::domain::Instant;
use concordat::ledger::{Draft, Kind, Salts};
use concordat::proto::v1;
use concordat::server::Running;
use tonic::Code;

use crate::builders::{Held, assert_error};
use crate::harness::{Engine, World, on_both_databases, on_postgres, run};

const TICK: u32 = 3_600;
const LANE: u32 = 5;
/// By so much the ledger grows in a tick.
const GROWTH: u64 = 2 * LANE as u64;

/// Where an ask stood in the ledger, and how large that was then.
type Peek = (u64, u64);

impl World {
    async fn padded(self, every_seconds: u32) -> Self {
        let pad = |config: &mut concordat::config::Config| {
            (config.filler.every_seconds, config.filler.entries) = (every_seconds, LANE);
        };
        self.stop().await.start_with(pad).await
    }

    fn to_next_tick(&self) {
        let tick = i64::from(TICK) * 1_000_000;
        self.hand.advance_micros(tick - self.now().micros().rem_euclid(tick));
    }

    /// What the ICO sees by asking.
    async fn peek(&self, held: &Held) -> Peek {
        let response = self.put(held, self.ask(held)).await.unwrap();
        let receipt = response.receipt.unwrap();
        (receipt.index, self.verified(Some(&receipt)).checkpoint.size)
    }

    /// What it sees of the tick in between, by asking in the one before and in the one after.
    async fn across(&self, held: &Held, in_between: impl AsyncFnOnce()) -> Peek {
        self.to_next_tick();
        let before = self.peek(held).await;
        self.to_next_tick();
        in_between().await;
        self.to_next_tick();
        let after = self.peek(held).await;
        (after.0 - before.0, after.1 - before.1)
    }

    async fn register_some(&self, how_many: u32) {
        for _ in 0..how_many {
            self.register_organisation("ncsc", vec![]).await;
        }
    }
}

on_both_databases! {
    async fn whether_consent_was_given_and_withdrawn_does_not_show_before_and_after(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world = world.padded(TICK).await;
        let quiet = world.across(&held, async || ()).await;
        let consent = async || {
            let consent = world.give_consent(&held, world.scope(&held)).await;
            world.withdraw_consent(&held, &consent).await.unwrap();
        };
        assert_eq!(world.across(&held, consent).await, quiet, "a consent shows by what the ledger grew");
        assert_eq!(quiet, (2 * GROWTH, 2 * GROWTH));

        // Whoever asks more than there is room for uses up the room of asks alone.
        let flood = async |also: u32| {
            for _ in 0..LANE + 3 {
                world.peek(&held).await;
            }
            world.register_some(also).await;
        };
        let asked = world.across(&held, async || flood(0).await).await;
        assert_eq!(asked.0, 2 * GROWTH + 3);
        assert_eq!(world.across(&held, async || flood(LANE).await).await, asked, "a flood of asks uncovers the rest");

        // What remains: what goes beyond the room, and what is done within a tick before it is looked at.
        assert_eq!(world.across(&held, async || world.register_some(LANE + 2).await).await.0, 2 * GROWTH + 2);
        let (first, _) = world.peek(&held).await;
        world.register_some(1).await;
        assert_eq!(world.peek(&held).await.0, first + 2);

        // Nobody is a party to a filler: to everybody it is an entry of somebody else's.
        world.to_next_tick();
        let (index, _) = world.peek(&held).await;
        for agency in ["ico", "ncsc", "nca"] {
            let got = world.ledger(agency).get_entry(v1::GetEntryRequest { index: index - 1 }).await;
            assert_error(got, Code::NotFound, "NOT_FOUND");
        }
    }

    async fn ticks_that_went_by_unfilled_are_made_up_for(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world = world.padded(TICK).await;
        world.to_next_tick();
        let (before, _) = world.peek(&held).await;
        world.register_some(1).await;
        let stopped = world.stop().await;
        world = stopped.start().await;
        (0..4).for_each(|_| world.to_next_tick());
        // By itself, and not a second time by whoever calls next.
        world.node.exchange().fill().await.unwrap();
        assert_eq!(world.size().await, before + 4 * GROWTH);
        world.node.exchange().fill().await.unwrap();
        let (after, size) = world.peek(&held).await;
        assert_eq!((after, size), (before + 4 * GROWTH, before + 4 * GROWTH + 1));

        // After weeks nobody waits for what all of it takes; whole ticks are made up for, whatever was done before.
        let mut grown = Vec::new();
        for done in [0, LANE] {
            world.to_next_tick();
            let (before, _) = world.peek(&held).await;
            world.register_some(done).await;
            world.hand.advance_micros(20 * 86_400 * 1_000_000);
            grown.push(world.peek(&held).await.0 - before);
        }
        assert_eq!(grown, [GROWTH + 4_096 / GROWTH * GROWTH; 2]);
    }
}

on_postgres! {
    async fn replicas_fill_a_tick_once(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world = world.padded(TICK).await;
        let other = Running::start(&world.config, world.clock.clone()).await.unwrap();
        world.to_next_tick();
        let (before, _) = world.peek(&held).await;
        for tick in 1..=5 {
            world.to_next_tick();
            let (here, there) = (world.node.exchange(), other.exchange());
            let (one, another, seen) = tokio::join!(here.fill(), there.fill(), world.peek(&held));
            one.and(another).unwrap();
            assert_eq!(seen.0, before + tick * GROWTH);
        }
        other.stop().await;
    }
}

#[test]
fn a_padded_ledger_grows_where_nobody_calls() {
    run(Engine::Sqlite, |world: World| async move {
        let world = world.padded(1).await;
        let before = world.size().await;
        world.hand.advance_micros(3_000_000);
        let filled = async {
            while world.size().await < before + 2 * GROWTH {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), filled).await.expect("fillers, by themselves");
        world
    });
}

/// Its neighbour's hash is in a receipt's proof; of the leaf itself nothing but the kind could tell.
#[test]
fn a_fillers_leaf_has_the_shape_of_every_other() {
    let draft = |kind, payload: &[u8]| Draft {
        kind,
        act: payload.to_vec(),
        subject: payload.to_vec(),
        outcome: payload.to_vec(),
        grounds: payload.to_vec(),
        salts: Salts::from_seed(&[7; 32]),
        parties: vec![],
    };
    let length = |draft: Draft| draft.entry(Instant::from_micros(1_800_000_000_000_000)).unwrap().leaf.len();
    assert_eq!(length(draft(Kind::Filler, &[])), length(draft(Kind::Consent, &[1; 100])));
}
