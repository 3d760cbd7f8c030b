//! Random graphs of agencies, material that wanders through them, and a judge of its own.
//!
//! The judge keeps what happened as flat rows and reads the rules from the design: it shares nothing with the module but
//! the rows' types.

use super::*;

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }

    fn chance(&mut self, of_hundred: usize) -> bool {
        self.below(100) < of_hundred
    }
}

const PURPOSES: [&str; 3] = ["harm-reduction", "regulatory-assessment", "regulatory-enforcement"];
const ENFORCEMENT: &str = "regulatory-enforcement";

fn agency(number: usize) -> AgencyId {
    AgencyId::known(["a", "b", "c", "d", "e", "f"][number])
}

fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}

/// What the agreement between two agencies says.
#[derive(Clone, Copy)]
struct Edge {
    onward: Onward,
    permission: PermissionRule,
    asks_consent: bool,
}

/// One passing-on that happened, as the judge keeps it.
#[derive(Clone)]
struct Row {
    from: usize,
    to: usize,
    edge: Edge,
    consent: Option<ConsentTerms>,
}

fn edge(dice: &mut Dice) -> Edge {
    Edge {
        onward: match dice.below(10) {
            0 => Onward::No,
            1 => Onward::Yes,
            _ => Onward::WithConsent,
        },
        permission: if dice.chance(30) { PermissionRule::Originator } else { PermissionRule::Chain },
        asks_consent: dice.chance(50),
    }
}

fn terms(dice: &mut Dice) -> ConsentTerms {
    ConsentTerms {
        purposes: PURPOSES.iter().filter(|_| dice.chance(80)).map(|purpose| Purpose::known(*purpose)).collect(),
        enforcement: dice.chance(60),
        onward: dice.chance(80),
        until: Instant::from_micros(5 + i64::try_from(dice.below(20)).unwrap()),
    }
}

fn passage(row: &Row) -> Passage {
    Passage {
        from: agency(row.from),
        to: agency(row.to),
        reference: Reference::known("ref_any"),
        agreements: set([AgreementId::known("between")]),
        permission: row.edge.permission,
        onward: row.edge.onward,
        consent: row.consent.clone(),
        markings: Markings::default(),
        caveats: Vec::new(),
    }
}

/// Whether this passing-on of what came by these rows lacks nothing. From the design, row by row.
fn judge(rows: &[Row], to: usize, permitted: &[bool], purpose: &str, at: i64) -> bool {
    let (origin, holder) = (rows[0].from, rows[rows.len() - 1].to);
    for row in rows {
        // Giving back what one was given tells its giver nothing; the originator knows every hop that ended with it.
        if row.from == to || (to == origin && row.to == to) {
            continue;
        }
        if row.edge.onward == Onward::No {
            return false;
        }
        if row.edge.onward == Onward::WithConsent {
            let mut whose = vec![origin];
            if row.edge.permission == PermissionRule::Chain {
                whose.push(row.from);
            }
            for one in whose {
                if one != to && one != holder && !permitted[one] {
                    return false;
                }
            }
        }
        if let Some(consent) = &row.consent {
            let stated = consent.purposes.iter().any(|one| one.as_str() == purpose);
            let enforceable = purpose != ENFORCEMENT || consent.enforcement;
            if !stated || !enforceable || !consent.onward || at >= consent.until.micros() {
                return false;
            }
        }
    }
    true
}

/// What the module says to the same.
fn allows(chain: &Provenance, to: usize, permitted: &[bool], purpose: &str, at: i64) -> bool {
    let to = agency(to);
    let has = |needed: &AgencyId| (0..permitted.len()).any(|one| permitted[one] && agency(one) == *needed);
    chain.onward(&to) != Onward::No
        && chain.permissions_needed(&to).into_iter().all(has)
        && chain.consent(&to).is_none_or(|terms| {
            terms.purposes.contains(&Purpose::known(purpose))
                && (purpose != ENFORCEMENT || terms.enforcement)
                && terms.onward
                && at < terms.until.micros()
        })
}

#[derive(Default, Debug)]
struct Seen {
    passed: usize,
    stopped: usize,
    returned: usize,
    longest: usize,
}

/// Lets material wander through one graph, as far as the module lets it.
fn wander(dice: &mut Dice, seen: &mut Seen) {
    let agencies = 2 + dice.below(5);
    let edges: Vec<Vec<Edge>> = (0..agencies).map(|_| (0..agencies).map(|_| edge(dice)).collect()).collect();
    let mut rows: Vec<Row> = Vec::new();
    let mut chain: Option<Provenance> = None;
    let mut holder = dice.below(agencies);
    for at in 0..12 {
        let to = (holder + 1 + dice.below(agencies - 1)) % agencies;
        let purpose = PURPOSES[dice.below(PURPOSES.len())];
        // Mostly everybody permits, so that material gets far.
        let permitted: Vec<bool> = (0..agencies).map(|_| dice.chance(85)).collect();
        if let Some(chain) = &chain {
            let (core, right) = (allows(chain, to, &permitted, purpose, at), judge(&rows, to, &permitted, purpose, at));
            assert_eq!(core, right, "to {to} for {purpose} at {at} with {permitted:?}: {chain:?}");
            assert_eq!(chain.originator(), Some(&agency(rows[0].from)), "nobody takes the originator's place");
            if !core {
                seen.stopped += 1;
                continue;
            }
            seen.returned += usize::from(rows.iter().any(|row| row.from == to));
            seen.passed += 1;
        }
        let edge = edges[holder][to];
        let consent = edge.asks_consent.then(|| terms(dice));
        rows.push(Row { from: holder, to, edge, consent });
        let longer = Provenance::extended(chain.as_ref(), passage(&rows[rows.len() - 1]));
        assert_eq!(longer.passages().len(), rows.len(), "a round trip makes the chain longer, never shorter");
        seen.longest = seen.longest.max(rows.len());
        chain = Some(longer);
        holder = to;
    }
}

/// How many graphs; `CONCORDAT_GRAPHS` says another number.
const GRAPHS: usize = 100_000;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads its own settings")]
fn no_path_lacks_a_permission_or_a_consent() {
    let graphs = std::env::var("CONCORDAT_GRAPHS").map_or(GRAPHS, |number| number.parse().unwrap());
    let mut seen = Seen::default();
    for seed in 0..graphs {
        wander(&mut Dice(seed as u64), &mut seen);
    }
    println!("{graphs} graphs: {seen:?}");
    assert!(seen.passed > graphs && seen.stopped > graphs && seen.returned > graphs / 10, "{seen:?}");
    assert!(seen.longest >= 8, "{seen:?}");
}

/// NCSC → NCA → ICO, as the bundled agreements have it.
fn ncsc_nca_ico() -> Vec<Passage> {
    let between = |from: &str, to: &str| Passage {
        from: AgencyId::known(from),
        to: AgencyId::known(to),
        reference: Reference::known(format!("ref_{from}")),
        agreements: set([AgreementId::known("any")]),
        permission: PermissionRule::Chain,
        onward: Onward::WithConsent,
        consent: None,
        markings: Markings::default(),
        caveats: vec![],
    };
    vec![between("ncsc", "nca"), between("nca", "ico")]
}

fn needed(chain: &Provenance, to: &str) -> Vec<String> {
    chain.permissions_needed(&AgencyId::known(to)).into_iter().map(ToString::to_string).collect()
}

#[test]
fn every_agency_in_the_chain_is_asked_whose_agreement_says_so() {
    let chain = Provenance::new(ncsc_nca_ico()).unwrap();
    assert_eq!(needed(&chain, "other"), ["nca", "ncsc"]);
    let mut originator = ncsc_nca_ico();
    originator[1].permission = PermissionRule::Originator;
    assert_eq!(needed(&Provenance::new(originator).unwrap(), "other"), ["ncsc"]);
    let mut freely = ncsc_nca_ico();
    freely[1].onward = Onward::Yes;
    assert_eq!(needed(&Provenance::new(freely).unwrap(), "other"), ["ncsc"]);
}

#[test]
fn back_to_the_originator_only_whose_part_it_would_learn_is_asked() {
    let chain = Provenance::new(ncsc_nca_ico()).unwrap();
    assert_eq!(needed(&chain, "ncsc"), ["nca"]);
    let direct = Provenance::new(ncsc_nca_ico()[..1].to_vec()).unwrap();
    assert!(needed(&direct, "ncsc").is_empty());
}

#[test]
fn back_to_an_earlier_holder_the_originator_is_still_asked() {
    let chain = Provenance::new(ncsc_nca_ico()).unwrap();
    assert_eq!(needed(&chain, "nca"), ["ncsc"]);
}

#[test]
fn the_strictest_marking_of_the_chain_wins() {
    let mut passages = ncsc_nca_ico();
    passages[0].markings = Markings::parse("red", "clear", "official").unwrap();
    passages[1].markings = Markings::parse("clear", "amber", "official-sensitive").unwrap();
    let markings = Provenance::new(passages).unwrap().markings();
    assert_eq!(markings, Some(Markings::parse("red", "amber", "official-sensitive").unwrap()));
}

#[test]
fn what_is_no_chain_is_turned_away() {
    let passages = ncsc_nca_ico();
    assert!(Provenance::new(vec![]).is_err());
    assert!(Provenance::new(vec![passages[1].clone(), passages[0].clone()]).is_err());
    let itself = Passage { to: passages[0].from.clone(), ..passages[0].clone() };
    assert!(Provenance::new(vec![itself]).is_err());
    assert!(Provenance::new(vec![passages[0].clone(); Provenance::MOST + 1]).is_err());
}
