//! Who may import whom, as a table. Arrows point one way, so that a reader can take a module for what it says it is.
//!
//! Every file under `src/` is read as text, without its tests: what it takes from other modules of the crate and from
//! other crates must be in its module's row. A failure names file, line and rule.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a module may use.
struct Rule {
    module: &'static str,
    /// Modules of this crate.
    modules: &'static [&'static str],
    /// Other crates, besides std.
    crates: &'static [&'static str],
    /// Parts of std that reach outside the process or read a clock.
    outside: &'static [&'static str],
}

/// In the order of `lib.rs`: from the socket inwards, then what composes it and what calls it.
const RULES: &[Rule] = &[
    Rule {
        module: "connections",
        modules: &["identity", "tls"],
        crates: &[
            "arc_swap",
            "bytes",
            "http",
            "http_body",
            "hyper",
            "hyper_util",
            "tokio",
            "tokio_rustls",
            "tokio_util",
            "tonic",
            "tonic_types",
            "tower",
            "tracing",
        ],
        outside: &["io", "time"],
    },
    // Who calls: chain, token, keys and time come in as values.
    Rule {
        module: "identity",
        modules: &["domain"],
        crates: &[
            "arc_swap",
            "aws_lc_rs",
            "data_encoding",
            "jsonwebtoken",
            "moka",
            "serde",
            "serde_json",
            "thiserror",
            "x509_parser",
        ],
        outside: &["time"],
    },
    Rule {
        module: "pki",
        modules: &["domain"],
        crates: &["aws_lc_rs", "data_encoding", "rcgen", "time"],
        outside: &[],
    },
    Rule {
        module: "tls",
        modules: &["domain", "identity"],
        crates: &[
            "http",
            "hyper_util",
            "rustls",
            "thiserror",
            "tokio",
            "tokio_rustls",
            "tonic",
            "tower",
            "x509_parser",
        ],
        outside: &["fs", "io", "time"],
    },
    // The one clock.
    Rule { module: "clock", modules: &["domain"], crates: &[], outside: &["time"] },
    // Nouns and their rules: no I/O, no clock, no randomness, no format of the wire.
    Rule {
        module: "domain",
        modules: &[],
        crates: &["data_encoding", "serde", "thiserror", "time", "toml"],
        outside: &[],
    },
    // Arithmetic over bytes, to be lifted out by an auditor.
    Rule {
        module: "ledger",
        modules: &["domain", "proto"],
        crates: &[
            "aws_lc_rs",
            "data_encoding",
            "prost",
            "signature",
            "signed_note",
            "thiserror",
            "tlog_tiles",
            "zeroize",
        ],
        outside: &[],
    },
    Rule { module: "proto", modules: &[], crates: &["tonic"], outside: &[] },
    Rule {
        module: "veris",
        modules: &["domain", "proto"],
        crates: &["aws_lc_rs", "data_encoding", "prost", "prost_reflect", "serde_json", "time"],
        outside: &[],
    },
    Rule {
        module: "seal",
        modules: &["domain"],
        crates: &["aws_lc_rs", "data_encoding", "thiserror", "zeroize"],
        // Without random bytes there is nothing better to do than to stop.
        outside: &["process"],
    },
    // The same fields and wording give the same page.
    Rule {
        module: "papers",
        modules: &["domain", "proto"],
        crates: &["prost", "prost_reflect", "serde", "serde_json", "toml"],
        outside: &[],
    },
    // What a menu file says, and where content stands in it.
    Rule {
        module: "menu",
        modules: &["domain", "proto", "statistics"],
        crates: &["prost_reflect", "serde", "toml"],
        outside: &[],
    },
    // Facts about a victim in, whom to turn to out.
    Rule { module: "signpost", modules: &["domain"], crates: &["serde", "toml"], outside: &[] },
    // Incidents of a quarter in, tables out: what is published must be the same whoever computes it.
    Rule { module: "statistics", modules: &[], crates: &["serde"], outside: &[] },
    // Facts in, decision out: a decision must replay years later.
    Rule {
        module: "decision",
        modules: &["domain", "statistics"],
        crates: &["aws_lc_rs", "cedar_policy", "miette", "serde", "thiserror", "toml"],
        outside: &[],
    },
    Rule {
        module: "store",
        modules: &["decision", "domain", "ledger", "proto", "seal", "statistics"],
        // Bytes go into a set of a statement as text.
        crates: &["data_encoding", "prost", "rustix", "serde", "serde_json", "sqlx", "thiserror"],
        outside: &["fs", "time"],
    },
    // The use cases know neither the wire's framework nor the database's.
    Rule {
        module: "exchange",
        modules: &[
            "clock",
            "decision",
            "domain",
            "ledger",
            "menu",
            "papers",
            "proto",
            "release",
            "seal",
            "signpost",
            "statistics",
            "store",
        ],
        crates: &["aws_lc_rs", "prost", "prost_types", "serde", "serde_json", "thiserror", "tokio", "tracing"],
        // How long a batch may take.
        outside: &["time"],
    },
    Rule {
        module: "release",
        modules: &["decision", "domain", "proto", "seal", "store"],
        crates: &["thiserror"],
        outside: &[],
    },
    Rule {
        module: "wire",
        modules: &[
            "connections",
            "decision",
            "domain",
            "exchange",
            "identity",
            "ledger",
            "proto",
            "release",
            "signpost",
            "store",
        ],
        crates: &[
            "aws_lc_rs",
            "prost",
            "prost_types",
            "tokio",
            "tonic",
            "tonic_health",
            "tonic_reflection",
            "tonic_types",
            "tracing",
        ],
        outside: &["time"],
    },
    Rule {
        module: "config",
        modules: &["domain", "proto"],
        crates: &["data_encoding", "serde", "thiserror", "toml", "zeroize"],
        outside: &["fs", "net"],
    },
    // The only one that composes.
    Rule {
        module: "server",
        modules: &[
            "clock",
            "config",
            "connections",
            "decision",
            "domain",
            "exchange",
            "identity",
            "ledger",
            "proto",
            "seal",
            "store",
            "tls",
            "wire",
        ],
        crates: &["arc_swap", "tokio", "tokio_util", "tracing"],
        outside: &["fs", "net", "time"],
    },
    Rule {
        module: "client",
        modules: &["clock", "config", "domain", "identity", "tls"],
        crates: &["serde", "serde_json", "toml", "tonic"],
        // A context may name a program that prints the token.
        outside: &["fs", "process"],
    },
    Rule {
        module: "dev",
        modules: &["client", "config", "domain", "ledger", "pki", "proto", "seal", "store"],
        crates: &["data_encoding"],
        outside: &["fs", "io", "net"],
    },
];

/// Where a module may use another, but only these values of it.
const NARROW: &[(&str, &str, &[&str])] = &[
    // What the gate rests on is stored; nothing is decided here.
    ("store", "decision", &["Basis"]),
    // What was counted and what was published is stored; nothing is counted here.
    // What an agreement asks of statistics; nothing is counted where it is decided.
    ("decision", "statistics", &["Rule"]),
    ("store", "statistics", &["Coordinates", "Rule"]),
    // The contract's own description, not its messages.
    ("menu", "proto", &["ANONYMISED", "DESCRIPTORS"]),
    ("wire", "store", &["Answer", "Due", "PublicationRow", "QuestionRow", "ReleaseMade", "ReminderRow"]),
    ("wire", "decision", &["Activity", "Clause", "Modality"]),
    ("wire", "ledger", &["read_checkpoint"]),
    ("wire", "release", &["ReleasedIncident", "Shared"]),
    // Which roles there are; nothing of the contract's messages.
    ("config", "proto", &["ROLES"]),
    ("dev", "proto", &["ROLES"]),
];

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
