//! How long a withdrawal takes until it is acknowledged, while the node is as busy as it can be.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_request::Target as About;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::seal::new_id;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::bench::{Asks, CATEGORIES, Expected, HOLDER, Held, INCIDENTS, Load, Officers, PURPOSE, Permits, REQUESTER};
use crate::bench::{percentile, say};
use crate::table::{Figure, Target};
use crate::{Arguments, Running, Site, import};

/// How often somebody withdraws.
const EVERY: Duration = Duration::from_millis(100);
/// How many releases are under way when they keep the node busy.
const MANY: usize = 64;

/// One round: times of withdrawals, and of releases in the same seconds.
struct Round {
    withdrawals: Vec<Duration>,
    releases: Vec<Duration>,
}

pub(crate) async fn measure(site: &Site, arguments: &Arguments) -> Result<Vec<Figure>> {
    let running = site.run().await?;
    let Running { world, node, asks, .. } = &running;
    let withdrawing = Withdrawing {
        officers: Officers::of(world, node.address)?,
        requester: ReleaseServiceClient::new(world.officer(REQUESTER, "requester", node.address)?),
    };
    // Over a connection of its own.
    let importers = Officers::of(world, node.address)?;
    let in_round = usize::try_from(arguments.seconds * 10)?;
    let needed = in_round * usize::try_from(arguments.rounds)? * 2;
    say(&format!("{}: recording and verifying {needed} consents to withdraw", site.database));
    let mut held = withdrawing.officers.hold_all(INCIDENTS..INCIDENTS + needed, Permits::ALL).await?;
    let references = held.iter().map(|held| held.reference.clone()).collect();
    let released = Arc::new(Asks::new(references, Expected::Released)?);
    Load::connect(world, node.address, MANY, released).await?.run(Duration::from_secs(2)).await?;

    let many = Load::connect(world, node.address, MANY, Arc::clone(asks)).await?;
    let one = Load::connect(world, node.address, 1, Arc::clone(asks)).await?;
    // A connection of which nothing comes is closed.
    one.run(Duration::from_secs(1)).await?;
    let (mut saturated, mut importing) = (Vec::new(), Vec::new());
    for number in 1..=arguments.rounds {
        let mut take = || held.split_off(held.len() - in_round);
        let (answered, withdrawals) = tokio::try_join!(many.run(arguments.length()), withdrawing.each(take()))?;
        world.verify(&answered)?;
        saturated.push(Round { withdrawals, releases: answered.latencies });
        let (answered, withdrawals, imported) = tokio::try_join!(
            one.run(arguments.length()),
            withdrawing.each(take()),
            import::run(&importers, arguments.length())
        )?;
        world.verify(&answered)?;
        importing.push(Round { withdrawals, releases: answered.latencies });
        say(&format!("{}, withdrawals, round {number}: {imported} incidents imported beside them", site.database));
    }
    running.stop().await?;

    let mut figures = figures(site, &format!("releases at c = {MANY}"), &saturated);
    figures.extend(self::figures(site, &format!("import at c = {}", import::AT_ONCE), &importing));
    Ok(figures)
}

fn figures(site: &Site, beside: &str, rounds: &[Round]) -> Vec<Figure> {
    let figure = |what: &str, of: &dyn Fn(&Round) -> f64| {
        Figure::new(site.database, format!("withdrawal, {beside}: {what}"), rounds.iter().map(of).collect())
    };
    let ratio =
        |percent| move |round: &Round| percentile(&round.withdrawals, percent) / percentile(&round.releases, percent);
    vec![
        figure("p50 / a release's p50", &ratio(50)),
        figure("p99 / a release's p99", &ratio(99)).target(Target::AtMost(2.0)),
        figure("p50, ms", &|round| percentile(&round.withdrawals, 50) / 1_000.0),
        figure("p99, ms", &|round| percentile(&round.withdrawals, 99) / 1_000.0),
        figure("p50 of a release, ms", &|round| percentile(&round.releases, 50) / 1_000.0),
        figure("p99 of a release, ms", &|round| percentile(&round.releases, 99) / 1_000.0),
    ]
}

/// Who withdraws, and who asks whether it holds.
struct Withdrawing {
    officers: Officers,
    requester: ReleaseServiceClient<OfficerChannel>,
}

impl Withdrawing {
    /// Withdraws one consent after the other at their times, however long each takes. Each is asked for as soon as its
    /// withdrawal is acknowledged, and must not be released.
    async fn each(&self, held: Vec<Held>) -> Result<Vec<Duration>> {
        let mut due = interval(EVERY);
        let mut under_way = JoinSet::new();
        for held in held {
            let due = due.tick().await;
            let (officers, requester) = (self.officers.clone(), self.requester.clone());
            under_way.spawn(async move {
                officers.withdraw(&held).await?;
                let took = due.elapsed();
                must_be_open(requester, held.reference).await?;
                anyhow::Ok(took)
            });
        }
        let mut times = Vec::new();
        while let Some(took) = under_way.join_next().await {
            times.push(took??);
        }
        ensure!(!times.is_empty(), "nothing was withdrawn");
        Ok(times)
    }
}

async fn must_be_open(mut requester: ReleaseServiceClient<OfficerChannel>, reference: String) -> Result<()> {
    let ask = v1::RequestReleaseRequest {
        request_id: new_id("bench"),
        holder: HOLDER.into(),
        target: Some(About::Reference(reference)),
        purpose: PURPOSE.into(),
        categories: CATEGORIES.map(String::from).to_vec(),
        ..v1::RequestReleaseRequest::default()
    };
    match requester.request_release(ask).await?.into_inner().outcome {
        Some(Outcome::Open(_)) => Ok(()),
        _ => bail!("something was released after its consent had been withdrawn"),
    }
}
