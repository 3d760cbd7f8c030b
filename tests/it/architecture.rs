//! Who may import whom, as a table. Arrows point one way, so that a reader can take a module for what it says it is.
//!
//! Every file under `src/` is read as text, without its tests: what it takes from other modules of the crate and from
//! other crates must be in its module's row. A failure names file, line and rule.

mod rules;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rules::{NARROW, RULES, Rule};

/// What composes and is composed by nothing: the programs, which may use everything.
const PROGRAMS: [&str; 2] = ["cli", "main"];

/// The parts of std that reach outside the process.
const OUTSIDE: [&str; 7] = ["env", "fs", "io", "net", "process", "thread", "time"];

/// One line of code, without comments and tests.
struct Line<'a> {
    file: &'a str,
    number: usize,
    text: String,
}

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.number)
    }
}

#[test]
fn each_module_uses_only_what_its_row_allows() {
    let mut broken = Vec::new();
    let crates = dependencies();
    for (path, text) in sources() {
        let module = module_of(&path);
        if PROGRAMS.contains(&module) || module == "lib" {
            continue;
        }
        let Some(rule) = RULES.iter().find(|rule| rule.module == module) else {
            broken.push(format!("{path}: the module `{module}` has no row in the table"));
            continue;
        };
        for line in code(&path, &text) {
            broken.extend(check(&line, rule, &crates));
        }
    }
    assert!(broken.is_empty(), "{} breaches:\n{}", broken.len(), broken.join("\n"));
}

fn check(line: &Line<'_>, rule: &Rule, crates: &[String]) -> Vec<String> {
    let mut broken = Vec::new();
    for (other, rest) in after(&line.text, "crate::") {
        if other == rule.module {
            continue;
        }
        if !rule.modules.contains(&other.as_str()) {
            broken.push(format!("{line}: `{}` must not use `{other}`", rule.module));
        }
        let narrow = NARROW.iter().find(|(from, to, _)| *from == rule.module && *to == other);
        if let Some((.., values)) = narrow {
            let named = names(rest.strip_prefix("::").unwrap_or(""));
            for name in named.iter().filter(|name| !values.contains(&name.as_str())) {
                broken.push(format!("{line}: of `{other}`, `{}` may use only {values:?}, not `{name}`", rule.module));
            }
        }
    }
    for (_, to, values) in NARROW.iter().filter(|(from, ..)| *from == rule.module) {
        // A module imported as a whole and then named.
        for (name, _) in after(&line.text, &format!("{to}::")) {
            if !line.text.contains("crate::") && !values.contains(&name.as_str()) {
                broken.push(format!("{line}: of `{to}`, `{}` may use only {values:?}, not `{name}`", rule.module));
            }
        }
    }
    for vendor in crates.iter().filter(|vendor| !rule.crates.contains(&vendor.as_str())) {
        if uses(&line.text, vendor) {
            broken.push(format!("{line}: `{}` must not use the crate `{vendor}`", rule.module));
        }
    }
    for (part, _) in after(&line.text, "std::") {
        if OUTSIDE.contains(&part.as_str()) && !rule.outside.contains(&part.as_str()) {
            broken.push(format!("{line}: `{}` must not use `std::{part}`", rule.module));
        }
    }
    if rule.module == "wire" && line.text.contains(".store()") {
        broken.push(format!("{line}: `wire` must not reach the store through the node"));
    }
    broken
}

#[test]
fn the_table_lists_nothing_that_is_not_there() {
    let mut used: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let (all, crates) = (sources(), dependencies());
    for (path, text) in &all {
        let found = used.entry(module_of(path)).or_default();
        for line in code(path, text) {
            for start in ["crate::", "std::"] {
                found.extend(after(&line.text, start).into_iter().map(|(name, _)| format!("{start}{name}")));
            }
            let named = crates.iter().filter(|name| uses(&line.text, name));
            found.extend(named.cloned());
        }
    }
    let mut idle = Vec::new();
    for rule in RULES {
        let Some(found) = used.get(rule.module) else {
            idle.push(format!("the module `{}` is not there", rule.module));
            continue;
        };
        let modules = rule.modules.iter().map(|name| format!("crate::{name}"));
        let outside = rule.outside.iter().map(|name| format!("std::{name}"));
        let listed = modules.chain(outside).chain(rule.crates.iter().map(ToString::to_string));
        idle.extend(
            listed.filter(|name| !found.contains(name)).map(|name| format!("`{}` uses no `{name}`", rule.module)),
        );
    }
    assert!(idle.is_empty(), "take these out of the table:\n{}", idle.join("\n"));
}

#[test]
fn a_breach_is_found_however_it_is_written() {
    let rule = RULES.iter().find(|rule| rule.module == "wire").unwrap();
    let crates = dependencies();
    let breaches = |text: &str| {
        let line = Line { file: "src/wire/any.rs", number: 7, text: text.to_owned() };
        check(&line, rule, &crates)
    };
    assert!(breaches("use crate::store::{Answer, QuestionRow};").is_empty());
    for text in [
        "use crate::store::Store;",
        "use crate::store::{Answer, Locked};",
        "use crate::{config, proto};",
        "let url = crate::config::Config::load(file);",
        "release::open(&store, &seal, &committed).await",
        "sqlx::query(\"SELECT 1\")",
        "use sqlx::{Row, query};",
        "use sqlx as _;",
        "use std::fs;",
        "use std::{env, fmt};",
        "call.exchange.node().store().reads().await",
    ] {
        let found = breaches(text);
        assert!(!found.is_empty(), "`{text}` passed");
        assert!(found.iter().all(|breach| breach.starts_with("src/wire/any.rs:7: ")), "{found:?}");
    }
}

/// Whether a line names a crate, by a path or in a `use` of its own.
fn uses(text: &str, vendor: &str) -> bool {
    let imports = after(text, "use ").iter().any(|(name, _)| name == vendor);
    imports || !after(text, &format!("{vendor}::")).is_empty()
}

/// What follows each `start` on the line that is not itself part of a longer path: the first name, or each of the
/// names in braces, with the text after it.
fn after<'a>(text: &'a str, start: &str) -> Vec<(String, &'a str)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(start) {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '.' | '$' | '"')) {
            continue;
        }
        let rest = &text[at + start.len()..];
        for name in names(rest) {
            let tail = rest.strip_prefix(&name).unwrap_or("");
            found.push((name, tail));
        }
    }
    found
}

/// The first name, or the first of each of the paths in braces.
fn names(text: &str) -> Vec<String> {
    let word = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let all = match text.strip_prefix('{') {
        Some(inside) => inside.split(['}', '{']).next().unwrap_or("").split(',').map(word).collect(),
        None => vec![word(text)],
    };
    all.into_iter().filter(|name| !name.is_empty()).collect()
}

/// A file's lines of code; a `use` over several lines is one. Tests may use what they like.
fn code<'a>(file: &'a str, text: &str) -> Vec<Line<'a>> {
    if file.ends_with("/tests.rs") {
        return Vec::new();
    }
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let (mut lines, mut in_use): (Vec<Line<'_>>, bool) = (Vec::new(), false);
    for (before, line) in text.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default().trim();
        match lines.last_mut() {
            Some(open) if in_use => open.text.push_str(line),
            _ => lines.push(Line { file, number: before + 1, text: line.to_owned() }),
        }
        let begins = line.starts_with("use ") || line.starts_with("pub use ") || line.starts_with("pub(");
        in_use = (in_use || (begins && line.contains("use "))) && !line.ends_with(';');
    }
    lines
}

fn module_of(path: &str) -> &str {
    path.strip_prefix("src/").unwrap_or(path).split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// The crates that ours depends on, as Rust names them.
fn dependencies() -> Vec<String> {
    let manifest: toml::Table = fs::read_to_string(workspace_file("Cargo.toml")).unwrap().parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_")).collect()
}

/// A file of the repository.
pub(crate) fn workspace_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every source file of the library with its text, by its path from the root of the repository.
pub(crate) fn sources() -> Vec<(String, String)> {
    sources_in("src")
}

/// The same of another folder.
pub(crate) fn sources_in(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&workspace_file(folder), &mut found);
    found.sort();
    let root = workspace_file("");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(&root).unwrap().display().to_string(), text)
    };
    found.into_iter().map(read).collect()
}
