//! Lives through scenes on a real node, many at a time so that their calls meet in batches, and compares what comes of
//! each step with what the model says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::future::Future;
use std::sync::{Arc, LazyLock};

use tokio::task::JoinSet;

use super::model::{Agreement, Ask, Match, Outcome, Release, Subject, distance, outcome};
use super::records::{Change, Micros, Name, Records, Taken, Word};
use super::share::{Share, tell};
use super::timeline::{TICKS, Timeline};
use super::worlds::{Scene, Step};

/// What a node calls the records of a scene, and what a scene keeps of its answers.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pub(super) scene: usize,
    pub(super) of: BTreeMap<Name, String>,
    /// The requests that asks made, by the ask's place.
    pub(super) requests: BTreeMap<usize, String>,
}

/// What came of an ask.
#[derive(Debug)]
pub(super) enum Answer {
    NotCovered(String),
    Open,
    /// Each with the reference that it came under.
    Released(Vec<(String, Release)>),
}

/// A way into a node.
pub(super) trait Door: Send + Sync + 'static {
    /// Does a change: the id of what it made or changed. Err: it was turned away.
    fn change(
        &self,
        ids: &Ids,
        records: &Records,
        change: &Change,
    ) -> impl Future<Output = Result<String, String>> + Send;

    /// Puts an ask, or an earlier request again: the request's id and what came of it.
    fn ask(
        &self,
        ids: &Ids,
        ask: &Ask,
        again: Option<&str>,
    ) -> impl Future<Output = Result<(String, Answer), String>> + Send;

    /// Whether this ask can be put through this door at all.
    fn takes(&self, ask: &Ask) -> bool;
}

/// Where gate and model part.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) scene: Arc<Scene>,
    pub(super) place: usize,
    pub(super) what: String,
}

/// A scene being lived through.
struct Life {
    scene: Arc<Scene>,
    ids: Ids,
    records: Records,
    /// The references that are each agency's for each incident.
    given: BTreeMap<(Name, Word), BTreeSet<String>>,
    next: usize,
    share: Share,
}

/// What every life needs.
#[derive(Debug)]
pub(super) struct Setting<D> {
    pub(super) door: D,
    pub(super) agreements: Arc<Vec<Agreement>>,
    pub(super) timeline: Arc<Timeline>,
}

/// Lives through the scenes of one group; `begin` is called before each tick, with its number.
pub(super) async fn live<D: Door>(
    setting: &Arc<Setting<D>>,
    scenes: Vec<Arc<Scene>>,
    group: usize,
    mut begin: impl AsyncFnMut(usize),
) -> Result<Share, Difference> {
    let mut lives: Vec<Life> = scenes.into_iter().map(Life::new).collect();
    let mut share = Share::default();
    for tick in group * TICKS..(group + 1) * TICKS {
        begin(tick).await;
        let mut running = JoinSet::new();
        for mut life in lives.drain(..) {
            let setting = Arc::clone(setting);
            running.spawn(async move { life.tick(&setting, tick).await.map(|()| life) });
        }
        for life in running.join_all().await {
            lives.push(life?);
        }
    }
    for life in &lives {
        share.add(&life.share);
    }
    Ok(share)
}

impl Life {
    fn new(scene: Arc<Scene>) -> Self {
        let ids = Ids { scene: scene.number, ..Ids::default() };
        let (records, given, share) = (Records::default(), BTreeMap::new(), Share::default());
        Self { scene, ids, records, given, next: 0, share }
    }

    async fn tick<D: Door>(&mut self, setting: &Setting<D>, tick: usize) -> Result<(), Difference> {
        let scene = Arc::clone(&self.scene);
        while let Some((at_tick, step)) = scene.steps.get(self.next)
            && *at_tick == tick
        {
            let place = self.next;
            self.next += 1;
            let done = match step {
                Step::LeftOut => Ok(()),
                Step::Change(change) => self.change(setting, change, setting.timeline.ticks[tick]).await,
                Step::Ask(ask) => self.ask(setting, ask, tick, place, None).await,
                Step::Again(earlier, ask) => match self.ids.requests.get(earlier).cloned() {
                    Some(request) => self.ask(setting, ask, tick, place, Some(request)).await,
                    None => Ok(()),
                },
            };
            done.map_err(|what| Difference { scene: Arc::clone(&scene), place, what })?;
        }
        Ok(())
    }

    async fn change<D: Door>(&mut self, setting: &Setting<D>, change: &Change, at: Micros) -> Result<(), String> {
        let before = self.records.clone();
        let taken = self.records.apply(change, at);
        if taken == Taken::Nonsense {
            return Ok(());
        }
        match (taken, setting.door.change(&self.ids, &before, change).await) {
            (Taken::Done, Ok(id)) => {
                self.share.count("change done");
                if let Change::Reference { incident, recipient, .. } = change {
                    self.given.entry((*incident, recipient)).or_default().insert(id.clone());
                }
                self.ids.of.insert(change.name(), id);
                Ok(())
            }
            (Taken::TurnedAway, Err(_)) => {
                self.share.count("change turned away");
                if let Some(one) = before.only_beyond(change) {
                    self.share.count(format!("narrowing turned away only for: {one}"));
                }
                Ok(())
            }
            (expected, got) => Err(format!("the change is {expected:?} by the model, and was {got:?}")),
        }
    }

    async fn ask<D: Door>(
        &mut self,
        setting: &Setting<D>,
        ask: &Ask,
        tick: usize,
        place: usize,
        again: Option<String>,
    ) -> Result<(), String> {
        if !setting.door.takes(ask) {
            return Ok(());
        }
        let at = setting.timeline.ticks[tick];
        let in_force = setting.timeline.in_force(tick, &setting.agreements);
        let expected = outcome(&self.records, &in_force, ask, at);
        let answer = setting.door.ask(&self.ids, ask, again.as_deref()).await;
        if setting.timeline.suspended[tick] == Some((ask.holder, ask.requester)) {
            self.share.count("ask turned away: the requester is suspended");
            return match answer {
                Err(why) if why.contains("suspended here by") => Ok(()),
                other => Err(format!("the requester is suspended, and got {other:?}")),
            };
        }
        let (request, answer) = answer?;
        self.ids.requests.insert(place, request);
        let judged = judge(&expected, &answer).and_then(|()| self.judge_references(ask, &answer));
        judged.map_err(|what| format!("{what}\n  by the model: {expected:?}\n  by the gate: {answer:?}"))?;
        let distance = || distance(&self.records, &in_force, ask, at);
        tell(&mut self.share, ask, &expected, &answer, distance);
        Ok(())
    }

    /// Whoever asks by a reference hears of that one; whoever names an organisation, of its own.
    fn judge_references(&mut self, ask: &Ask, answer: &Answer) -> Result<(), String> {
        let Answer::Released(released) = answer else { return Ok(()) };
        for (reference, release) in released {
            let own = self.given.entry((release.incident, ask.requester)).or_default();
            let is_right = match &ask.subject {
                Subject::Reference(name) => self.ids.of.get(&name.unwrap()) == Some(reference),
                Subject::Named { .. } => own.is_empty() || own.contains(reference),
            };
            if !is_right {
                return Err(format!("the release is under the reference {reference}"));
            }
            own.insert(reference.clone());
        }
        Ok(())
    }
}

/// Whether what came is what must come.
fn judge(expected: &Outcome, answer: &Answer) -> Result<(), String> {
    let fits = match (expected, answer) {
        (Outcome::NotCovered(reason), Answer::NotCovered(given)) => reason == given,
        (Outcome::Covered(matches), Answer::Open) => matches.iter().all(|one| one.may_be.contains(&None)),
        (Outcome::Covered(matches), Answer::Released(released)) => {
            let of = |one: &Match| released.iter().find(|(_, release)| release.incident == one.incident);
            let each = matches.iter().all(|one| one.may_be.contains(&of(one).map(|(_, release)| release.clone())));
            let none_else =
                released.iter().all(|(_, release)| matches.iter().any(|one| one.incident == release.incident));
            each && none_else && !released.is_empty()
        }
        _ => false,
    };
    let counts = || !*WRONG_RELEASES_ONLY || is_wrong_release(expected, answer);
    if fits || !counts() { Ok(()) } else { Err("gate and model differ".to_owned()) }
}

/// Whether an incident or a category came that must not.
fn is_wrong_release(expected: &Outcome, answer: &Answer) -> bool {
    let Answer::Released(released) = answer else { return false };
    let may_come = |release: &Release| match expected {
        Outcome::NotCovered(_) => false,
        Outcome::Covered(matches) => matches
            .iter()
            .filter(|one| one.incident == release.incident)
            .flat_map(|one| one.may_be.iter().flatten())
            .any(|may_be| release.categories.is_subset(&may_be.categories)),
    };
    !released.iter().all(|(_, release)| may_come(release))
}

/// Set where a condition is held twice, and with one of the two broken only the harm counts.
static WRONG_RELEASES_ONLY: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os("CONCORDAT_ORACLE_WRONG_RELEASES_ONLY").is_some());

impl Difference {
    /// The same scene with nothing but the failing step and those in `kept` before it.
    pub(super) fn only(&self, kept: &BTreeSet<usize>) -> Scene {
        let mut scene = (*self.scene).clone();
        scene.steps.truncate(self.place + 1);
        for (place, (_, step)) in scene.steps.iter_mut().enumerate() {
            if place != self.place && !kept.contains(&place) {
                *step = Step::LeftOut;
            }
        }
        scene
    }

    /// The world, to be read.
    pub(super) fn told(&self, timeline: &Timeline) -> String {
        let mut told = format!("scene {}\n", self.scene.number);
        let mut last = None;
        for (tick, step) in &self.scene.steps[..=self.place] {
            if matches!(step, Step::LeftOut) {
                continue;
            }
            if last.replace(tick) != Some(tick) {
                writeln!(told, " at {} (tick {tick}):", timeline.ticks[*tick]).unwrap();
            }
            writeln!(told, "  {step:?}").unwrap();
        }
        told + &format!("{}\n", self.what)
    }
}
