//! docs/coverage.md: what the agreements ask for, row by row, with the clauses, RPCs and tests that answer it. It is made
//! here of the sources, and fails where a row has no test, or a clause or an RPC no row.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::{env, fs};

use concordat::proto::{BUNDLED_AGREEMENTS, DESCRIPTORS};
use prost_reflect::DescriptorPool;
use serde::Deserialize;

use crate::architecture::{sources_in, workspace_file};

/// How a test begins that is a row's. In two parts, so that this file has none.
const BEGINS: &str = concat!("fn ", "row_");

/// Set to write the page anew.
const RENEW: &str = "CONCORDAT_RENEW";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Coverage {
    row: Vec<Row>,
    /// A service that serves every row, and why it is there.
    beside: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    agreement: String,
    text: String,
    #[serde(default)]
    clauses: Vec<String>,
    /// `Service`, or `Service/Rpc`.
    #[serde(default)]
    rpcs: Vec<String>,
}

#[derive(Deserialize)]
struct Terms {
    id: String,
    clause: Vec<Clause>,
    advice: Option<Advice>,
}

#[derive(Deserialize)]
struct Advice {
    #[serde(default)]
    recommendation: Vec<Clause>,
}

#[derive(Deserialize)]
struct Clause {
    id: String,
}

fn coverage() -> Coverage {
    toml::from_str(&fs::read_to_string(workspace_file("docs/coverage.toml")).unwrap()).unwrap()
}

/// Every bundled clause, and every provision by which an agency recommends something.
fn clauses() -> BTreeSet<String> {
    let agreements = BUNDLED_AGREEMENTS.iter().map(|(_, terms, _)| toml::from_str::<Terms>(terms).unwrap());
    let recommended = |advice: Option<Advice>| advice.map(|advice| advice.recommendation).unwrap_or_default();
    let all = agreements.flat_map(|terms| terms.clause.into_iter().chain(recommended(terms.advice)));
    all.map(|clause| clause.id).collect()
}

/// Every agreement that is bundled.
fn agreements() -> BTreeSet<String> {
    BUNDLED_AGREEMENTS.iter().map(|(_, terms, _)| toml::from_str::<Terms>(terms).unwrap().id).collect()
}

/// The RPCs of each service.
fn services() -> BTreeMap<String, BTreeSet<String>> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let rpcs = |service: prost_reflect::ServiceDescriptor| service.methods().map(|rpc| rpc.name().to_owned()).collect();
    pool.services().map(|service| (service.name().to_owned(), rpcs(service))).collect()
}

/// The tests of each row: file and name.
fn tests(rows: &[Row]) -> BTreeMap<&str, BTreeSet<(String, String)>> {
    let mut found: BTreeMap<&str, BTreeSet<(String, String)>> = BTreeMap::new();
    for (file, text) in sources_in("tests") {
        for name in text.split(BEGINS).skip(1).filter_map(|rest| rest.split(['(', '<']).next()) {
            let row = rows.iter().find(|row| name.strip_prefix(&row.id).is_some_and(|rest| rest.starts_with('_')));
            let row =
                row.unwrap_or_else(|| panic!("`row_{name}` in {file} is named after no row of docs/coverage.toml"));
            found.entry(&row.id).or_default().insert((file.clone(), format!("row_{name}")));
        }
    }
    found
}

fn page(rows: &[Row], beside: &BTreeMap<String, String>) -> String {
    let tests = tests(rows);
    let list = |words: &[String]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let mut page = String::from(
        "<!-- Made by the test `coverage`: change docs/coverage.toml or what it is made from, then `just coverage`. -->\n\n\
         # What the agreements ask for, and what answers it\n\n\
         Rows are ours, from the reports of the memoranda and from statute; so are the ids of the clauses. \
         [agreements.md](agreements.md) says how a clause is read, [reference.md](reference.md) what each RPC takes.\n\n\
         | Row | Asked for | Clauses | RPCs | Tests |\n| --- | --- | --- | --- | --- |\n",
    );
    for Row { id, text, clauses, rpcs, .. } in rows {
        let shown = match tests.get(id.as_str()) {
            Some(tests) => format!("[{}](#{id})", tests.len()),
            None => panic!("row {id} has no test: name one `row_{id}_…`"),
        };
        writeln!(page, "| {id} | {text} | {} | {} | {shown} |", list(clauses), list(rpcs)).unwrap();
    }
    page.push_str("\n## Tests\n\nThose that need a database run on SQLite and on PostgreSQL: `cargo test --test it -- row_n3a`.\n");
    for (id, tests) in rows.iter().filter_map(|row| tests.get_key_value(row.id.as_str())) {
        write!(page, "\n### {id}\n\n").unwrap();
        for (file, name) in tests {
            writeln!(page, "- [`{name}`](../{file})").unwrap();
        }
    }
    page.push_str("\n## Services for every row\n\n| Service | Why |\n| --- | --- |\n");
    for (service, why) in beside {
        writeln!(page, "| `{service}` | {why} |").unwrap();
    }
    page
}

#[test]
fn every_row_names_clauses_and_rpcs_that_there_are_and_none_is_left_over() {
    let Coverage { row: rows, beside } = coverage();
    let (agreements, mut clauses, services) = (agreements(), clauses(), services());
    let named: BTreeSet<&String> = rows.iter().flat_map(|row| &row.clauses).collect();
    let unknown: Vec<_> = named.iter().filter(|clause| !clauses.contains(**clause)).collect();
    assert!(unknown.is_empty(), "no bundled agreement has {unknown:?}");
    clauses.retain(|clause| !named.contains(clause));
    assert!(clauses.is_empty(), "in no row of docs/coverage.toml: {clauses:?}");

    let mut left: BTreeSet<(String, String)> =
        services.iter().flat_map(|(service, rpcs)| rpcs.iter().map(|rpc| (service.clone(), rpc.clone()))).collect();
    for named in rows.iter().flat_map(|row| &row.rpcs).chain(beside.keys()) {
        let (service, rpc) =
            named.split_once('/').map_or((named.as_str(), None), |(service, rpc)| (service, Some(rpc)));
        let rpcs = services.get(service).unwrap_or_else(|| panic!("there is no {service}"));
        assert!(rpc.is_none_or(|rpc| rpcs.contains(rpc)), "there is no {named}");
        left.retain(|(of, is)| of != service || rpc.is_some_and(|rpc| rpc != is));
    }
    assert!(left.is_empty(), "in no row of docs/coverage.toml, nor beside them: {left:?}");

    for Row { id, agreement, rpcs, .. } in &rows {
        assert!(agreements.contains(agreement), "row {id} is of `{agreement}`, which is not bundled");
        assert!(!rpcs.is_empty(), "row {id} does not say which RPCs answer it");
    }
}

#[test]
fn the_page_is_what_the_sources_make() {
    let Coverage { row: rows, beside } = coverage();
    let made = page(&rows, &beside);
    let file = workspace_file("docs/coverage.md");
    if env::var_os(RENEW).is_some() {
        fs::write(&file, &made).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(written == made, "docs/coverage.md is not what the sources make: `just coverage`");
}
