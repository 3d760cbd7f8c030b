//! The pieces of work, each on facts such as a release has.

use std::hint::black_box;

use anyhow::{Result, bail, ensure};
use concordat::decision::{Agreement, Decision, Facts, decide};
use concordat::domain::{AgencyId, ConsentState};
use concordat::ledger::{Draft, Growth, Kind, Salts, SigningKey, Slots};
use concordat::proto::v1;
use concordat::seal::Seal;
use prost::Message as _;

use crate::cedar::Question;
use crate::facts;

/// How often a piece is done before it counts.
pub(crate) const WARM_UP: u32 = 20;
/// How many calls are counted: so many that hash tables with random seeds average out.
pub(crate) const CALLS: u32 = 200;

/// A piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A permit under a memorandum, with consent and authorisation.
    DecideRelease,
    /// The same once the consent was withdrawn.
    DecideOpen,
    /// The same without anything that matches.
    DecideNothing,
    /// The same without a consent.
    DecideNoConsent,
    /// The same without an authorisation.
    DecideNoAuthorisation,
    /// A permit where two agreements speak of the ask.
    DecideTwo,
    /// Cedar alone, asked what `DecideRelease` asks it.
    Cedar,
    /// Statements, commitments and leaf of an ask's entry, and its openings.
    Entry,
    /// A category's content of 2 KB sealed under a new key, the key unwrapped, and the content opened.
    Seal,
    /// A tree that grows by one entry, its checkpoint signed, the entry's proof.
    Append,
}

impl Work {
    pub(crate) const ALL: [Self; 10] = [
        Self::DecideRelease,
        Self::DecideOpen,
        Self::DecideNothing,
        Self::DecideNoConsent,
        Self::DecideNoAuthorisation,
        Self::DecideTwo,
        Self::Cedar,
        Self::Entry,
        Self::Seal,
        Self::Append,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DecideRelease => "decide-release",
            Self::DecideOpen => "decide-open",
            Self::DecideNothing => "decide-nothing",
            Self::DecideNoConsent => "decide-no-consent",
            Self::DecideNoAuthorisation => "decide-no-authorisation",
            Self::DecideTwo => "decide-two",
            Self::Cedar => "cedar",
            Self::Entry => "entry",
            Self::Seal => "seal",
            Self::Append => "append",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|work| work.name() == name) {
            Some(work) => Ok(work),
            None => bail!("there is no work `{name}`"),
        }
    }

    /// Everything that is not counted, and then one call.
    pub(crate) fn prepare(self) -> Result<Box<dyn FnMut()>> {
        Ok(match self {
            Self::DecideRelease => deciding(facts::release(ConsentState::Given)?, vec![facts::agreement()?], true)?,
            Self::DecideOpen => deciding(facts::release(ConsentState::Withdrawn)?, vec![facts::agreement()?], false)?,
            Self::DecideNothing => {
                deciding(facts::without(|facts| facts.matches.clear())?, vec![facts::agreement()?], false)?
            }
            Self::DecideNoConsent => {
                let facts = facts::without(|facts| facts.matches.iter_mut().for_each(|found| found.consents.clear()))?;
                deciding(facts, vec![facts::agreement()?], false)?
            }
            Self::DecideNoAuthorisation => {
                let facts =
                    facts::without(|facts| facts.matches.iter_mut().for_each(|found| found.authorisations.clear()))?;
                deciding(facts, vec![facts::agreement()?], false)?
            }
            Self::DecideTwo => deciding(facts::release_to_ncsc()?, vec![facts::agreement()?, facts::statute()?], true)?,
            Self::Cedar => {
                let agreement = facts::agreement()?;
                let withdrawn = Question::new(&facts::release(ConsentState::Withdrawn)?, &agreement)?;
                ensure!(!withdrawn.is_allowed_by(&[]), "was allowed without consent");
                let question = Question::new(&facts::release(ConsentState::Given)?, &agreement)?;
                ensure!(question.is_allowed_by(&["ico-ncsc-2023/incident-to-ico"]), "was not allowed");
                Box::new(move || drop(black_box(black_box(&question).ask())))
            }
            Self::Entry => {
                let statements = Statements::of(&facts::release(ConsentState::Given)?);
                Box::new(move || drop(black_box(black_box(&statements).entry())))
            }
            Self::Seal => {
                let (seal, content) = (Seal::new(&[7; 32])?, vec![b'x'; 2048]);
                ensure!(reseal(&seal, &content) == Some(content.len()), "was not opened again");
                Box::new(move || _ = black_box(reseal(black_box(&seal), black_box(&content))))
            }
            Self::Append => {
                let key = SigningKey::from_seed("ncsc.example/ledger", &[7; 32])?;
                let frontier = frontier()?;
                ensure!(append(&frontier, &key).is_some(), "could not append");
                Box::new(move || drop(black_box(append(black_box(&frontier), black_box(&key)))))
            }
        })
    }
}

fn deciding(facts: Facts, agreements: Vec<Agreement>, permits: bool) -> Result<Box<dyn FnMut()>> {
    let decided = decide(&facts, &agreements.iter().collect::<Vec<_>>());
    ensure!(matches!(decided, Decision::Permit(_)) == permits, "was decided otherwise");
    ensure!(!matches!(decided, Decision::NotCovered(_)), "was not covered");
    Ok(Box::new(move || {
        let agreements: Vec<&Agreement> = agreements.iter().collect();
        drop(black_box(decide(black_box(&facts), black_box(&agreements))));
    }))
}

/// What an ask's entry states.
struct Statements {
    act: v1::AskStatement,
    subject: v1::SubjectStatement,
    outcome: v1::OutcomeStatement,
    grounds: v1::GroundsStatement,
    facts: Facts,
}

impl Statements {
    fn of(facts: &Facts) -> Self {
        let ask = &facts.ask;
        let categories: Vec<String> = ask.categories.iter().map(ToString::to_string).collect();
        Self {
            act: v1::AskStatement {
                requester: ask.requester.agency.to_string(),
                unit: ask.requester.unit.to_string(),
                officer_pseudonym: ask.requester.pseudonym.clone(),
                holder: ask.holder.to_string(),
                purpose: ask.purpose.to_string(),
                form: ask.form.clone(),
                categories: categories.clone(),
                request_id: ask.request_id.to_string(),
                request: ask.question.to_string(),
                ..v1::AskStatement::default()
            },
            subject: v1::SubjectStatement {
                reference: "ref_2345672345672345672345672".to_owned(),
                ..v1::SubjectStatement::default()
            },
            outcome: v1::OutcomeStatement {
                outcome: "released".to_owned(),
                open_until_micros: facts.at.plus_days(90).micros(),
                released: vec![v1::ReleasedStatement {
                    reference: "ref_2345672345672345672345672".to_owned(),
                    categories: categories
                        .into_iter()
                        .map(|category| v1::CategoryStatement { category, commitment: vec![7; 32] })
                        .collect(),
                    handling: Some(v1::Handling {
                        purposes: vec![ask.purpose.to_string()],
                        onward: "with-consent".to_owned(),
                        correction_contact: "corrections@ncsc.example".to_owned(),
                        clauses: vec!["ico-ncsc-2023/incident-to-ico".to_owned()],
                        obligations: vec!["Use it only for the purposes stated.".to_owned()],
                        ..v1::Handling::default()
                    }),
                    record: None,
                }],
                ..v1::OutcomeStatement::default()
            },
            grounds: v1::GroundsStatement {
                facts_digest: vec![7; 32],
                reasons: vec!["inc_1: permitted by ico-ncsc-2023/incident-to-ico".to_owned()],
            },
            facts: facts.clone(),
        }
    }

    /// The facts as sealed beside it, the leaf, and every opening.
    fn entry(&self) -> Option<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        let draft = Draft {
            kind: Kind::Ask,
            act: self.act.encode_to_vec(),
            subject: self.subject.encode_to_vec(),
            outcome: self.outcome.encode_to_vec(),
            grounds: self.grounds.encode_to_vec(),
            salts: Salts::from_seed(&[7; 32]),
            parties: vec![
                (AgencyId::known(facts::REQUESTER), Slots::REQUESTER),
                (AgencyId::known(facts::HOLDER), Slots::ALL),
            ],
        };
        let sealed = serde_json::to_vec(&self.facts).ok()?;
        let entry = draft.entry(self.facts.at).ok()?;
        let openings =
            draft.openings(Slots::ALL).iter().flat_map(v1::Opening::encode_length_delimited_to_vec).collect();
        Some((sealed, entry.leaf, openings))
    }
}

/// How many bytes came back.
fn reseal(seal: &Seal, content: &[u8]) -> Option<usize> {
    let names = ["inc_1", "3", "narrative"];
    let (key, wrapped) = seal.new_key("inc_1 3").ok()?;
    let sealed = key.seal(&names, content).ok()?;
    let opened = seal.unwrap_key("inc_1 3", &wrapped).ok()?.open(&names, &sealed).ok()?;
    Some(opened.len())
}

/// Of a tree as old as a busy node's; its hashes are of no entries.
const SIZE: u64 = 1_000_003;

fn frontier() -> Result<Vec<u8>> {
    let bytes = vec![7; 32 * usize::try_from(SIZE.count_ones())?];
    Growth::from_frontier(SIZE, &bytes)?;
    Ok(bytes)
}

fn append(frontier: &[u8], key: &SigningKey) -> Option<(Vec<u8>, Vec<Vec<u8>>, String)> {
    let mut tree = Growth::from_frontier(SIZE, frontier).ok()?;
    let (index, _) = tree.append(&[7; 160]).ok()?;
    let note = key.sign_checkpoint(tree.size(), tree.root().ok()?).ok()?;
    Some((tree.frontier().ok()?, tree.prove(index).ok()?, note))
}
