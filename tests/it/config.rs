//! The configuration is read strictly: what cannot be meant is an error that names the place and what could be.

use std::fs;

use concordat::config::Config;
use concordat::proto::ROLES;

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
    format!("[[agency.issuer]]\nissuer = \"https://tokens.ico.example\"\nroles = {roles:?}\nkey = []\n")
}

#[test]
fn an_issuer_can_give_each_role_there_is_and_no_other() {
    let all: Vec<&str> = ROLES.iter().map(|(role, ..)| *role).collect();
    assert!(all.contains(&"communications-approver"), "{all:?}");
    load(&issuer(&all)).unwrap();
    let error = load(&issuer(&["requester", "requestor"])).unwrap_err();
    assert!(error.contains("agency `ico`: issuer[0].roles: has `requestor`"), "{error}");
    assert!(all.iter().all(|role| error.contains(role)), "it names those there are: {error}");
}

#[test]
fn limits_have_bounds_and_each_is_named() {
    let limits = |line: &str| load(&format!("[limits]\n{line}\n"));
    assert_eq!(load("").unwrap().limits.longest_deadline_seconds, 30);
    assert_eq!(limits("handshake_seconds = 1").unwrap().limits.handshake_seconds, 1);
    for (line, problem) in [
        ("handshake_seconds = 0", "limits.handshake_seconds: must be 1 to 60"),
        ("untaken_seconds = 901", "limits.untaken_seconds: must be 1 to 900"),
        ("usual_deadline_seconds = 31", "limits.usual_deadline_seconds: must be 1 to 30"),
        ("longest_deadline_seconds = 301", "limits.longest_deadline_seconds: must be 1 to 300"),
        ("calls_per_agency = 0", "limits.calls_per_agency: must be 1 to 65536"),
        ("officer_calls_per_second = 0", "limits.officer_calls_per_second: must be 1 to 1000000"),
        ("calls_per_second = 7", "unknown field `calls_per_second`"),
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
        (name("2001-01-30", "to = \"2030-01-01\""), "unknown field `to`"),
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
        ("revocation = \"ocsp\"", "unknown variant `ocsp`"),
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
