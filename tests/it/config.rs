//! The configuration is read strictly: what cannot be meant is an error that names the place and what could be.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use concordat::config::{Config, LogFormat};
use concordat::proto::ROLES;
use serde_json::Value;

use crate::architecture::workspace_file;

const NODE: &str = r#"
[node]
listen = "127.0.0.1:0"
audience = "https://node.example"
database = "sqlite:node.db"
secret_file = "node.secret"
ledger_key_file = "ledger.key"

[tls]
certificate_file = "server.pem"
key_file = "server.key"

[[agency]]
id = "ico"
trust_domain = "ico.example"
roots_file = "root.pem"
REVOCATION

[agency.holds]
duty_desk = "desk"
correction_contact = "corrections@ico.example"
"#;

/// Reads a configuration whose one agency goes on like this.
fn load(rest: &str) -> Result<Config, String> {
    load_text(&format!("{}{rest}", NODE.replace("REVOCATION", "revocation = \"short-lived\"")))
}

fn load_text(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    fs::write(&file, text).unwrap();
    Config::load(&file).map_err(|error| error.to_string())
}

fn issuer(roles: &[&str]) -> String {
    format!("[[agency.issuer]]\nissuer = \"https://tokens.ico.example\"\nroles = {roles:?}\n{}", key("one"))
}

fn key(kid: &str) -> String {
    format!("[[agency.issuer.key]]\nkid = \"{kid}\"\npublic_key_file = \"token.pem\"\n")
}

#[test]
fn an_issuer_can_give_each_role_there_is_and_no_other() {
    let all: Vec<&str> = ROLES.iter().map(|(role, ..)| *role).collect();
    assert!(all.contains(&"communications-approver"), "{all:?}");
    load(&issuer(&all)).unwrap();
    let error = load(&issuer(&["requester", "requestor"])).unwrap_err();
    assert!(error.contains("agency `ico`: issuer[0].roles: has `requestor`"), "{error}");
    assert!(all.iter().all(|role| error.contains(role)), "it names those there are: {error}");
    let error = load(&issuer(&["requestor", "requester", "typist"])).unwrap_err();
    assert!(error.contains("has `requestor`, `typist`, which are not roles"), "{error}");
}

/// What `serve` turns away, and no other file is needed to see.
#[test]
fn agencies_that_contradict_each_other_or_themselves_are_told_all_at_once() {
    let problems = |rest: &str, node: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("node.toml");
        let text = NODE.replace("REVOCATION", "revocation = \"short-lived\"").replace("sqlite:node.db", node);
        fs::write(&file, text + rest).unwrap();
        Config::load_alone(&file).err().map(|error| error.problems().to_vec()).unwrap_or_default()
    };
    let second = |id: &str, domain: &str| {
        format!(
            "[[agency]]\nid = \"{id}\"\ntrust_domain = \"{domain}\"\nroots_file = \"r.pem\"\nrevocation = \"short-lived\"\n"
        )
    };
    let whole = issuer(&["requester"]) + &second("nca", "nca.example");
    assert_eq!(problems(&whole, "sqlite:node.db"), Vec::<String>::new());
    let keyless = "[[agency.issuer]]\nissuer = \"https://other.example\"\nroles = []\nkey = []\n";
    let name = "[[agency.name]]\ntext = \"A\"\nfrom = \"never\"\n";
    let all = issuer(&["requester"])
        + &key("one")
        + &key("")
        + keyless
        + name
        + &second("ico", "ico.example").replace("revocation =", "intermediates_file = \"i.pem\"\nrevocation =")
        + &issuer(&["requester"]);
    assert_eq!(
        problems(&all, "mysql://node@db/node"),
        [
            "node.database: is neither `sqlite:PATH` nor `postgres://user@host/database`",
            "agency `ico`: name[0].from: `never` is not a date: write 2023-09-12",
            "agency `ico`: issuer[0].key[1].kid: `one` is another key's: keep ids apart, also between an agency's issuers",
            "agency `ico`: issuer[0].key[2].kid: is empty: name the key as the issuer's tokens do",
            "agency `ico`: issuer[1].key: is empty: name at least one public key of it",
            "agency `ico`: revocation_lists_file: is there, or `intermediates_file` is, and nobody would read it: \
             `revocation` is `short-lived`",
            "agency `ico`: is there twice: keep one",
            "agency `ico`: trust_domain: `ico.example` is that of `ico`, too: each agency has one of its own",
            "agency `ico`: issuer[0].issuer: `https://tokens.ico.example` is registered for `ico` already: an issuer \
             vouches for one agency, in one place",
        ]
    );
}

#[test]
fn limits_have_bounds_and_each_is_named() {
    let limits = |line: &str| load(&format!("[limits]\n{line}\n"));
    assert_eq!(load("").unwrap().limits.longest_deadline_seconds, 30);
    assert_eq!(limits("handshake_seconds = 1").unwrap().limits.handshake_seconds, 1);
    assert_eq!(limits("untaken_seconds = 1\n[events]\nheartbeat_seconds = 1").unwrap().limits.untaken_seconds, 1);
    for (line, problem) in [
        ("handshake_seconds = 0", "limits.handshake_seconds: must be 1 to 60"),
        ("untaken_seconds = 901", "limits.untaken_seconds: must be 1 to 900"),
        ("untaken_seconds = 19", "limits.untaken_seconds (19) must not be less than events.heartbeat_seconds (20)"),
        (
            "untaken_seconds = 60\n[events]\nheartbeat_seconds = 61",
            "limits.untaken_seconds (60) must not be less than events.heartbeat_seconds (61)",
        ),
        ("usual_deadline_seconds = 31", "limits.usual_deadline_seconds: must be 1 to 30"),
        ("longest_deadline_seconds = 301", "limits.longest_deadline_seconds: must be 1 to 300"),
        ("calls_per_agency = 0", "limits.calls_per_agency: must be 1 to 65536"),
        ("officer_calls_per_second = 0", "limits.officer_calls_per_second: must be 1 to 1000000"),
        ("calls_per_second = 7", "limits: there is no key `calls_per_second`"),
    ] {
        let said = limits(line).unwrap_err();
        assert!(said.contains(problem), "{line}: {said}");
    }
}

#[test]
fn an_agencys_names_are_dated_and_never_overlap() {
    let name = |from: &str, until: &str| format!("[[agency.name]]\ntext = \"A Name\"\nfrom = \"{from}\"\n{until}\n");
    let until = |date: &str| format!("until = \"{date}\"");
    let config = load(&format!("{}{}", name("2030-01-01", ""), name("2001-01-30", &until("2030-01-01")))).unwrap();
    assert_eq!(config.agency[0].names().unwrap().all().len(), 2);
    assert!(load("").unwrap().agency[0].names().unwrap().all().is_empty(), "names may be left out");
    for (names, problem) in [
        (name("30 January", ""), "name[0].from: `30 January` is not a date: write 2023-09-12"),
        (name("2001-01-30", &until("2001-02-30")), "name[0].until: `2001-02-30` is not a date"),
        (name("2001-01-30", &until("2001-01-30")), "name[0].until: must be later than `from`"),
        (name("2001-01-30", "") + &name("2030-01-01", ""), "name[1].from: must not be before `A Name` ends"),
        (name("2001-01-30", "to = \"2030-01-01\""), "agency[0].name[0]: there is no key `to`"),
    ] {
        let error = load(&names).unwrap_err();
        assert!(error.contains(problem), "expected `{problem}`, got: {error}");
    }
}

#[test]
fn an_agency_revokes_by_lists_unless_its_certificates_are_short_lived() {
    let with = |revocation: &str| load_text(&NODE.replace("REVOCATION", revocation));
    let lists = "revocation_lists_file = \"crls.pem\"";
    with(lists).unwrap();
    with(&format!("revocation = \"crl\"\n{lists}\nintermediates_file = \"below.pem\"")).unwrap();
    for (revocation, problem) in [
        ("", "revocation_lists_file: is not there"),
        ("revocation = \"crl\"", "revocation_lists_file: is not there"),
        (&format!("revocation = \"short-lived\"\n{lists}"), "nobody would read it"),
        ("revocation = \"short-lived\"\nintermediates_file = \"below.pem\"", "nobody would read it"),
        ("revocation = \"ocsp\"", "agency[0].revocation: there is no `ocsp`; there are crl, short-lived"),
    ] {
        let error = with(revocation).unwrap_err();
        assert!(error.contains(problem), "expected `{problem}`, got: {error}");
    }
    let text = NODE.replace("REVOCATION", lists);
    for seconds in [0, 61] {
        let every = format!("key_file = \"server.key\"\nreload_seconds = {seconds}");
        let error = load_text(&text.replace("key_file = \"server.key\"", &every)).unwrap_err();
        assert!(error.contains("tls.reload_seconds: must be 1 to 60"), "{error}");
    }
}

/// A node's configuration with nothing wrong in it.
fn node_file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    fs::write(&file, NODE.replace("REVOCATION", "revocation = \"short-lived\"")).unwrap();
    (folder, file)
}

fn load_with(file: &Path, settings: &[(&str, &str)]) -> Result<Config, concordat::config::Error> {
    Config::load_with(file, settings.iter().map(|(name, value)| ((*name).into(), (*value).into())))
}

#[test]
fn the_environment_comes_before_the_file() {
    let (folder, file) = node_file();
    let load = |settings: &[(&str, &str)]| load_with(&file, settings);
    let mut config = load(&[
        ("CONCORDAT__NODE__DATABASE", "postgres://node@db/node"),
        ("CONCORDAT__NODE__DATABASE_PASSWORD_FILE", "password"),
        ("CONCORDAT__NODE__MIGRATE", "false"),
        ("CONCORDAT__OPS__LISTEN", "127.0.0.1:9"),
        ("CONCORDAT__OPS__SHUTDOWN_DELAY_SECONDS", "7"),
        ("CONCORDAT__LOG__FORMAT", "json"),
        ("CONCORDAT_CONTEXT", "is another one's"),
    ])
    .unwrap();
    assert_eq!((config.node.migrate, config.ops.shutdown_delay_seconds), (false, 7));
    assert_eq!((config.ops.listen.to_string().as_str(), config.log.format), ("127.0.0.1:9", LogFormat::Json));
    fs::write(folder.path().join("password"), "s:p@ce\n").unwrap();
    let allowed = load(&[("CONCORDAT__TLS__ALLOW_READABLE_KEYS", "true")]).unwrap();
    assert!(allowed.tls.allow_readable_keys);
    config.tls = allowed.tls;
    assert_eq!(config.database_login().unwrap().as_str(), "postgres://node:s%3Ap%40ce@db/node");
    assert!(!config.database_url().contains("p@ce") && !config.shown().node.database.contains("p@ce"));

    assert_eq!(config.database_shown(), "postgres://db/node");
    for (shown, database) in [
        ("postgres://db:5432/node", "postgres://node:p@ce@db:5432/node?sslmode=verify-full&user=x"),
        ("postgres://…", "postgres://node:p?ce@db/node"),
        ("postgres://db/node", "postgres://node:p/ce@db/node"),
    ] {
        let config = load(&[("CONCORDAT__NODE__DATABASE", database)]).unwrap();
        assert_eq!((config.database_shown().as_str(), config.shown().node.database.as_str()), (shown, shown));
    }
    for (name, value, problem) in [
        (
            "CONCORDAT__NODE__DATABASE",
            "postgres://db/node?sslmode=require&password=p",
            "node.database: must have no pass",
        ),
        ("CONCORDAT__NODE__DATABASE", "postgres://db/node?p%61ssword=p", "node.database: must have no password"),
        ("CONCORDAT__NODE__MIGRATE", "false", "node.migrate: cannot be false with SQLite"),
        ("CONCORDAT__LOG__LEVEL", "inof", "log.level: there is no level `inof`"),
        ("CONCORDAT__LOG__LEVEL", "warn,concordat=loud", "log.level: "),
        ("CONCORDAT__LIMITS__CALLS_PER_AGENCY", "0", "limits.calls_per_agency: must be 1 to 65536"),
    ] {
        let said = load(&[(name, value)]).unwrap_err().to_string();
        assert!(said.contains(problem), "expected `{problem}`, got: {said}");
    }
    load(&[("CONCORDAT__LOG__LEVEL", "warn,concordat=debug")]).unwrap();
    // What is not ours need not be text; what is ours must be.
    let no_text = || OsString::from_vec(vec![0xff]);
    let load_os = |name: &str| Config::load_with(&file, [(name.into(), no_text()), (no_text(), no_text())].into_iter());
    load_os("SOMEBODY_ELSES").unwrap();
    let said = load_os("CONCORDAT__NODE__LISTEN").unwrap_err().to_string();
    assert!(said.contains("CONCORDAT__NODE__LISTEN (environment): is not UTF-8"), "{said}");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let (_folder, file) = node_file();
    let load = |settings: &[(&str, &str)]| load_with(&file, settings);
    let error = load(&[
        ("CONCORDAT__NODE__LISTENS", "127.0.0.1:9"),
        ("CONCORDAT__AGENCY__ID", "ico"),
        ("CONCORDAT__NODE", "x"),
        ("CONCORDAT__EVENTS__HEARTBEAT_SECONDS", "soon"),
    ])
    .unwrap_err();
    assert_eq!(
        error.problems(),
        [
            "CONCORDAT__AGENCY__ID (environment): `agency` is no section that the environment can set",
            "CONCORDAT__EVENTS__HEARTBEAT_SECONDS (environment): must be a whole number",
            "CONCORDAT__NODE (environment): write CONCORDAT__SECTION__KEY",
            "CONCORDAT__NODE__LISTENS (environment): there is no key `listens`: did you mean `listen`?",
        ]
    );

    let said = load(&[("CONCORDAT__NOD__LISTEN", "127.0.0.1:9"), ("CONCORDAT__X__Y", "")]).unwrap_err();
    let [misspelt, none] = said.problems() else { panic!("{said}") };
    assert_eq!(misspelt, "CONCORDAT__NOD__LISTEN (environment): there is no section `nod`: did you mean `node`?");
    let sections = "events, filler, limits, log, node, ops, tls, traces";
    assert_eq!(*none, format!("CONCORDAT__X__Y (environment): there is no section `x`; there are {sections}"));

    // Values of several sections, though the shape of each is right.
    let error = load(&[
        ("CONCORDAT__NODE__LISTEN", "8443"),
        ("CONCORDAT__OPS__LISTEN", "localhost"),
        ("CONCORDAT__TLS__RELOAD_SECONDS", "61"),
        ("CONCORDAT__LIMITS__CALLS_PER_AGENCY", "-1"),
        ("CONCORDAT__EVENTS__HEARTBEAT_SECONDS", "301"),
        ("CONCORDAT__LOG__LEVEL", "inof"),
        ("CONCORDAT__FILLER__EVERY_SECONDS", "4294967296"),
    ])
    .unwrap_err();
    assert_eq!(
        error.problems(),
        [
            "events.heartbeat_seconds: must be 1 to 300",
            "filler.every_seconds: must be 0 to 86400",
            "limits.calls_per_agency: must be at least 0",
            "tls.reload_seconds: must be 1 to 60",
            "node.listen: invalid socket address syntax",
            "ops.listen: invalid socket address syntax",
            "log.level: there is no level `inof`; there are off, error, warn, info, debug, trace",
        ]
    );

    let wrong = "rolls = []\n[events]\nheartbeat_seconds = 0\n[tls]\nreload_second = 2\n[[agency]]\nid = \"ico\"\n";
    fs::write(&file, wrong).unwrap();
    let problems = load(&[]).unwrap_err().to_string();
    for problem in [
        "there is no key `rolls`; there are agency, ",
        "tls: there is no key `reload_second`: did you mean `reload_seconds`?",
        "tls.certificate_file: is not there",
        "agency[0].trust_domain: is not there",
        "\n  node: is not there",
    ] {
        assert!(problems.contains(problem), "expected `{problem}`, got: {problems}");
    }
}

/// Every key below a part of the schema, as the documentation writes it.
fn keys(schema: &Value, root: &Value, path: &str, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(parts) => {
            if let Some(reference) = parts.get("$ref").and_then(Value::as_str) {
                let inside = reference.strip_prefix('#').expect("a reference to something in the schema itself");
                keys(root.pointer(inside).unwrap(), root, path, found);
            }
            for (key, inside) in parts.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                found.insert(name.clone());
                keys(inside, root, &name, found);
            }
            assert!(!parts.contains_key("properties") || parts["additionalProperties"] == false, "{path}");
            for part in ["items", "anyOf"] {
                keys(parts.get(part).unwrap_or(&Value::Null), root, path, found);
            }
        }
        Value::Array(parts) => parts.iter().for_each(|part| keys(part, root, path, found)),
        _ => {}
    }
}

#[test]
fn each_key_of_the_schema_is_documented_and_its_references_are_local() {
    let (schema, mut found) = (Config::schema(), BTreeSet::new());
    keys(&schema, &schema, "", &mut found);
    let page = fs::read_to_string(workspace_file("docs/operations.md")).unwrap();
    assert!(found.contains("ops.listen") && found.contains("agency.issuer.key.kid"), "{found:?}");
    for key in found {
        let (_, last) = key.rsplit_once('.').unwrap_or(("", &key));
        let is_there =
            [format!("`{key}`"), format!("`[[{key}]]`")].iter().any(|written| page.contains(written.as_str()));
        // What a row of the table says in its words, and sections by their keys.
        let is_said = page.contains(&format!("`{last}`"))
            || ["node", "tls", "events", "limits", "ops", "log", "traces"].contains(&key.as_str());
        assert!(is_there || is_said, "docs/operations.md does not say what `{key}` is");
    }
}
