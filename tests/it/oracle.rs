//! An independent, dumb model against the whole gate, on thousands of random worlds and both databases.
//!
//! A world is one ask and the records that it meets. The model reads the clause tables and states the rules of the
//! design in the most naive words; it shares no code with the gate. To replay a run, give its seed:
//! `CONCORDAT_ORACLE_SEED=… cargo test --test it -- oracle`. `CONCORDAT_ORACLE_WORLDS` says how many worlds.
//!
//! `tests/conjuncts` breaks the gate, one condition at a time, to see this go red. For it, a set
//! `CONCORDAT_ORACLE_CLAUSES` is a folder whose `<agreement>.cedar` stand for the clauses that ship, and
//! `CONCORDAT_ORACLE_BRIEF` leaves out making the world smaller, and the shares; with
//! `CONCORDAT_ORACLE_WRONG_RELEASES_ONLY` it goes red only for what came and must not.

mod drive;
mod exchange;
mod flows;
mod model;
mod records;
mod share;
mod timeline;
mod wire;
mod worlds;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use concordat::domain::{AgreementId, Instant};
use concordat::exchange::Page;
use concordat::proto::v1;

use crate::architecture::workspace_file;
use crate::builders::{names, only_incident};
use crate::harness::{Engine, World, real_now};
use drive::{Difference, Door, Setting, live};
use exchange::Direct;
use model::Agreement;
use share::Share;
use timeline::{DAY, Dice, TICKS, Timeline};
use wire::Wire;
use worlds::Scene;

/// How many worlds each database sees.
const WORLDS: usize = 20_000;
/// How many scenes are lived through at the same time.
const AT_ONCE: usize = 200;
/// How many scenes come through the wire.
const ON_THE_WIRE: usize = 20;
/// About how many worlds a scene has.
const A_SCENE: usize = 20;
/// One in so many worlds, at the least, must be each outcome, under each clause, and open for each condition alone.
const ONE_IN: usize = 2_000;

const BUNDLED: [&str; 3] = ["ico-ncsc-2023", "ico-nca-2024", "nis-regulations-2018"];
const INVENTED: &str = "oracle-overlap";

fn terms(id: &str) -> String {
    fs::read_to_string(workspace_file(&format!("agreements/{id}/agreement.toml"))).unwrap()
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?.into_string().unwrap();
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// What a run is made from.
struct Run {
    seed: u64,
    groups: usize,
    timeline: Arc<Timeline>,
    agreements: Arc<Vec<Agreement>>,
    invented: [String; 2],
}

impl Run {
    fn new(seed: u64, worlds: usize) -> Self {
        let groups = worlds.div_ceil(AT_ONCE * A_SCENE);
        // The harness's clock starts a hundred days ago; from the midnight after that on, dates fall on instants.
        let start = real_now().micros() - 100 * DAY;
        let timeline = Timeline::new(&mut Dice(seed), (start / DAY + 1) * DAY, groups);
        let date = |micros: i64| Instant::from_micros(micros).to_string()[..10].to_owned();
        let terms = include_str!("oracle/agreement.toml")
            .replace("@FROM@", &date(timeline.effective.0))
            .replace("@UNTIL@", &date(timeline.effective.1));
        let bundled = BUNDLED.iter().map(|id| Agreement::read(&self::terms(id)));
        let agreements = bundled.chain([Agreement::read(&terms)]).collect();
        let invented = [terms, include_str!("oracle/clauses.cedar").to_owned()];
        Self { seed, groups, timeline: Arc::new(timeline), agreements: Arc::new(agreements), invented }
    }

    /// A node with all of the agreements in force, at the beginning of the timeline.
    async fn world(&self, engine: Engine) -> Option<World> {
        let proposals = crate::postgres::quick_folder("concordat-agreements-").unwrap();
        let propose = |id: &str, terms: &str, clauses: &str| {
            let folder = proposals.path().join(id);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("agreement.toml"), terms).unwrap();
            fs::write(folder.join("clauses.cedar"), clauses).unwrap();
        };
        propose(INVENTED, &self.invented[0], &self.invented[1]);
        if let Some(broken) = std::env::var_os("CONCORDAT_ORACLE_CLAUSES") {
            for id in BUNDLED {
                let clauses = fs::read_to_string(Path::new(&broken).join(format!("{id}.cedar"))).unwrap();
                propose(id, &terms(id), &clauses);
            }
        }
        let world =
            World::start_with(engine, |config| config.node.agreements = Some(proposals.path().to_owned())).await?;
        for id in BUNDLED.into_iter().chain([INVENTED]) {
            world.activate(id).await;
        }
        Some(world)
    }

    /// Sets the clock to a tick; ends and activates, suspends and resumes what is to be there.
    async fn begin(&self, world: &World, tick: usize) {
        world.hand.set(Instant::from_micros(self.timeline.ticks[tick]));
        let before = if tick == 0 { None } else { self.timeline.ended[tick - 1] };
        let now = self.timeline.ended[tick];
        if before != now {
            if let Some(id) = before {
                world.activate(id).await;
            }
            if let Some(id) = now {
                world.end_agreement(id).await.unwrap();
            }
        }
        let before = if tick == 0 { None } else { self.timeline.suspended[tick - 1] };
        let now = self.timeline.suspended[tick];
        if before != now {
            if let Some((holder, agency)) = before {
                world.resume_agency(holder, agency).await.unwrap();
            }
            if let Some((holder, agency)) = now {
                world.suspend_agency(holder, agency).await.unwrap();
            }
        }
    }

    async fn direct(&self, world: &World) -> Direct {
        let page = |agency: &str| Page {
            agency: concordat::domain::AgencyId::known(agency),
            list: "oracle",
            size: 0,
            token: String::new(),
            filter: String::new(),
            field: "page_token",
        };
        let exchange = world.node.exchange().clone();
        let (views, _) = exchange.agreements(page("ico")).await.unwrap();
        let digests: Vec<(AgreementId, _)> =
            views.iter().map(|view| (view.agreement.id().clone(), view.agreement.digest())).collect();
        Direct::new(exchange, digests)
    }

    /// Lives through one group of scenes.
    async fn group<D: Door>(
        &self,
        world: &World,
        door: D,
        scenes: Vec<Arc<Scene>>,
        group: usize,
    ) -> Result<Share, Difference> {
        let (agreements, timeline) = (Arc::clone(&self.agreements), Arc::clone(&self.timeline));
        let setting = Arc::new(Setting { door, agreements, timeline });
        live(&setting, scenes, group, async |tick| self.begin(world, tick).await).await
    }

    fn scenes(&self, group: usize) -> Vec<Arc<Scene>> {
        let numbers = group * AT_ONCE..(group + 1) * AT_ONCE;
        numbers
            .map(|number| Arc::new(Scene::make(self.seed, number, group, &self.timeline, &self.agreements)))
            .collect()
    }

    /// The difference with as few steps as it takes, each try on a node of its own.
    async fn shrunk(&self, mut difference: Difference) -> Difference {
        let group = difference.scene.steps[0].0 / TICKS;
        let mut kept: BTreeSet<usize> = (0..difference.place).collect();
        for place in (0..difference.place).rev() {
            let without: BTreeSet<usize> = kept.iter().copied().filter(|one| *one != place).collect();
            let world = self.world(Engine::Sqlite).await.unwrap();
            for tick in 0..group * TICKS {
                self.begin(&world, tick).await;
            }
            let scene = Arc::new(difference.only(&without));
            let door = self.direct(&world).await;
            let lived = self.group(&world, door, vec![scene], group).await;
            world.node.stop().await;
            if let Err(smaller) = lived {
                (kept, difference) = (without, smaller);
            }
        }
        difference
    }
}

fn check(engine: Engine) {
    let seed =
        from_environment("CONCORDAT_ORACLE_SEED").unwrap_or_else(|| u64::from_be_bytes(concordat::seal::random()));
    let worlds = from_environment("CONCORDAT_ORACLE_WORLDS").map_or(WORLDS, |worlds| usize::try_from(worlds).unwrap());
    let is_brief = std::env::var_os("CONCORDAT_ORACLE_BRIEF").is_some();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let run = Run::new(seed, worlds);
        let Some(world) = run.world(engine).await else { return };
        let mut share = Share::default();
        for group in 0..run.groups {
            let door = run.direct(&world).await;
            match run.group(&world, door, run.scenes(group), group).await {
                Ok(lived) => share.add(&lived),
                Err(difference) => {
                    let whole = difference.told(&run.timeline);
                    eprintln!("CONCORDAT_ORACLE_SEED={seed}: {whole}");
                    assert!(!is_brief, "gate and model differ");
                    let small = run.shrunk(difference).await.told(&run.timeline);
                    panic!("CONCORDAT_ORACLE_SEED={seed} shows this again, with as few steps as it takes:\n{small}");
                }
            }
        }
        world.finish().await;
        for (what, count) in &share.0 {
            println!("{count:>7}  {what}");
        }
        assert!(share.of("worlds") >= worlds, "seed {seed}: only {} worlds", share.of("worlds"));
        println!("seed {seed}");
        if !is_brief {
            share.assert_each(&run.agreements, worlds / ONE_IN);
        }
    });
}

#[test]
fn gate_and_model_agree_on_every_world_on_sqlite() {
    check(Engine::Sqlite);
}

#[test]
fn gate_and_model_agree_on_every_world_on_postgres() {
    check(Engine::Postgres);
}

/// A few hundred worlds come through the wire, changes included: there is nothing to be lost in its translations.
fn check_wire(engine: Engine) {
    let seed =
        from_environment("CONCORDAT_ORACLE_SEED").unwrap_or_else(|| u64::from_be_bytes(concordat::seal::random()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let run = Run::new(seed, 1);
        let Some(world) = run.world(engine).await else { return };
        let door = Wire::new(&world, run.direct(&world).await.digests);
        let scenes = run.scenes(0).into_iter().take(ON_THE_WIRE).collect();
        match run.group(&world, door, scenes, 0).await {
            Ok(share) => assert!(share.of("worlds") > 200, "seed {seed}: only {} worlds", share.of("worlds")),
            Err(difference) => panic!("CONCORDAT_ORACLE_SEED={seed}: {}", difference.told(&run.timeline)),
        }
        world.finish().await;
    });
}

#[test]
fn gate_and_model_agree_over_the_wire_on_sqlite() {
    check_wire(Engine::Sqlite);
}

#[test]
fn gate_and_model_agree_over_the_wire_on_postgres() {
    check_wire(Engine::Postgres);
}

/// A clause that covers a category which was asked for and is not held gives nothing: neither its terms nor its name
/// belong to the release.
#[test]
fn a_release_rests_on_the_clauses_that_give_something_of_it_and_on_no_other() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let run = Run::new(1, 1);
        let world = run.world(Engine::Sqlite).await.unwrap();
        world.hand.set(Instant::from_micros(run.timeline.effective.0));
        let permitted = world.permitted("ncsc").await;
        let categories = names(&["identity", "timeline", "assessment"]);
        let usual =
            v1::GiveAuthorisationRequest { categories: categories.clone(), ..world.authorisation(&permitted.held) };
        world.authorise_as(&permitted.held, usual).await;
        let clauses = async |categories: &[&str]| {
            let ask = v1::RequestReleaseRequest { categories: names(categories), ..world.ask(&permitted.held) };
            let outcome = world.put(&permitted.held, ask).await.unwrap().outcome.unwrap();
            only_incident(&outcome).handling.clone().unwrap().clauses
        };
        assert_eq!(clauses(&["timeline", "assessment"]).await, ["ico-ncsc-2023/incident-to-ico"]);
        assert_eq!(
            clauses(&["timeline", "identity"]).await,
            ["ico-ncsc-2023/incident-to-ico", "oracle-overlap/to-ico"]
        );
        world.finish().await;
    });
}

/// What is compared with the gate must not be the gate.
#[test]
fn the_model_shares_nothing_with_the_gate() {
    for text in [include_str!("oracle/model.rs"), include_str!("oracle/records.rs")] {
        assert!(!text.contains("concordat::") && !text.contains("crate::") && !text.contains("cedar_policy"));
    }
}
