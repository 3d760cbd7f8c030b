//! What the server keeps for a connection of which nothing comes any more.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::bench::{Idle, Load, say};
use crate::table::{Figure, Target};
use crate::{Arguments, Running, Site};

/// One agency may have 256.
const CONNECTIONS: u32 = 240;
/// Long enough that the allocator has given back what the handshakes took.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) async fn measure(site: &Site, arguments: &Arguments) -> Result<Vec<Figure>> {
    let mut rounds = Vec::new();
    for number in 1..=arguments.rounds {
        // A new process each time: what an earlier round left in the heap would be used again.
        let mut running = site.run().await?;
        running.restart()?;
        let Running { world, node, asks, .. } = &running;
        let warm = Load::connect(world, node.address, 4, asks.clone()).await?;
        // Long enough that the caches are full.
        world.verify(&warm.run(arguments.length()).await?)?;
        sleep(SETTLE).await;
        let (before, _) = node.memory()?;
        let idle = Idle::open(world, node.address, usize::try_from(CONNECTIONS)?, &**asks).await?;
        sleep(SETTLE).await;
        let (after, _) = node.memory()?;
        rounds.push(f64::from(u32::try_from(after.saturating_sub(before) / 1_024)?) / f64::from(CONNECTIONS));
        drop((idle, warm));
        running.stop().await?;
        say(&format!("{}, idle, round {number} of {}", site.database, arguments.rounds));
    }
    let what = "idle: server memory for a mutual-TLS connection, KiB";
    Ok(vec![Figure::new(site.database, what, rounds).target(Target::AtMost(48.0))])
}
