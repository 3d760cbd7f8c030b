//! `concordat NOUN VERB` against a node: what flags become, what is printed, and how it exits.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{exit, text};
use crate::harness::{Engine, PURPOSES, World, real_now, run};

/// A world whose officers type.
pub(super) struct Desk {
    pub(super) world: World,
    ico: PathBuf,
    ncsc: PathBuf,
}

impl Desk {
    pub(super) fn of(world: World) -> Self {
        let file = |agency: &str, roles: &[&str]| {
            let context = world.workspace.context(agency, "typing", roles, &PURPOSES, "one", world.node.address);
            world.workspace.write_context(agency, &context).unwrap()
        };
        let ico = file("ico", &["requester", "auditor"]);
        let ncsc = file("ncsc", &["recorder", "authoriser", "auditor"]);
        let desk = Self { world, ico, ncsc };
        desk.keep_time();
        desk
    }

    /// The command's tokens are made by the machine's clock, and not before the node's time even on a slow machine.
    fn keep_time(&self) {
        self.world.hand.set(real_now().plus_seconds(60));
    }

    /// What the words come to, typed by an officer of the ICO or the NCSC, with this on stdin.
    pub(super) async fn types_with(&self, context: &PathBuf, words: &[&str], stdin: &str) -> Output {
        self.keep_time();
        let mut command = super::command();
        command.args(words).env("CONCORDAT_CONTEXT", context);
        piped(command, stdin.to_owned()).await
    }

    async fn ico(&self, words: &[&str]) -> Output {
        self.types_with(&self.ico, words, "").await
    }

    async fn ncsc(&self, words: &[&str]) -> Output {
        self.types_with(&self.ncsc, words, "").await
    }

    fn key(&self) -> String {
        text(&self.world.workspace.folder().join("node-one/ledger.pub")).to_owned()
    }
}

async fn piped(mut command: Command, stdin: String) -> Output {
    let typed = move || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that reads no stdin may be gone already.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(typed).await.unwrap()
}

pub(super) fn json(output: &Output) -> Value {
    assert_eq!(exit(output), 0, "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

pub(super) fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(super) fn complained(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn an_asks_exit_code_is_its_outcome_and_others_tell_turned_away_from_not_asked() {
    run(Engine::Sqlite, |world: World| async move {
        let desk = Desk::of(world);
        let held = desk.world.hold("ncsc", "ico").await;
        let ask = |purpose, categories| {
            ["release", "request", "--holder", "ncsc", "--reference", &held.reference, "--purpose", purpose]
                .into_iter()
                .chain(["--categories", categories])
                .collect::<Vec<&str>>()
        };
        let open = desk.ico(&ask("harm-reduction", "timeline,narrative")).await;
        assert_eq!(exit(&open), 10, "{open:?}");
        let answer: Value = serde_json::from_slice(&open.stdout).unwrap();
        assert!(answer["open"]["duty_desk"].is_string(), "piped output is JSON: {answer}");

        desk.world.give_consent(&held, desk.world.scope(&held)).await;
        desk.world.authorise(&held).await;
        let released = desk.ico(&ask("harm-reduction", "timeline,narrative")).await;
        assert_eq!(exit(&released), 0, "{released:?}");
        let again = desk.ico(&["release", "request", "--request", answer["request"].as_str().unwrap()]).await;
        assert_eq!(exit(&again), 0, "the same request, asked again: {again:?}");

        let not_covered = desk.ico(&ask("nis-csirt", "timeline")).await;
        assert_eq!(exit(&not_covered), 11, "{not_covered:?}");

        let no_category = desk.ico(&ask("harm-reduction", "gossip")).await;
        assert_eq!(exit(&no_category), 1, "turned away: {no_category:?}");
        assert!(complained(&no_category).contains("categories[0] (--categories): "), "{no_category:?}");
        assert!(complained(&no_category).contains("concordat explain INVALID_FIELD"), "{no_category:?}");
        let no_role = desk.ico(&["consent", "withdraw", "--consent-id", "con_other"]).await;
        assert_eq!(exit(&no_role), 1, "{no_role:?}");
        assert!(complained(&no_role).contains("concordat explain ROLE_MISSING"), "{no_role:?}");
        let no_key = desk.ico(&[&ask("harm-reduction", "timeline")[..], &["--key", "no-such-key"]].concat()).await;
        assert_eq!(exit(&no_key), 3, "{no_key:?}");

        let mut context = desk.world.workspace.context("ico", "req", &["requester"], &PURPOSES, "one", nowhere());
        let unreachable = desk.world.workspace.write_context("unreachable", &context).unwrap();
        let output = desk.types_with(&unreachable, &ask("harm-reduction", "timeline"), "").await;
        assert_eq!(exit(&output), 3, "{output:?}");
        assert!(complained(&output).contains("Put it again with request_id call_"), "{output:?}");
        context.server = desk.world.node.address.to_string();
        crate::harness::signing(&mut context).audience = "https://another.example".to_owned();
        let stranger = desk.world.workspace.write_context("stranger", &context).unwrap();
        let output = desk.types_with(&stranger, &ask("harm-reduction", "timeline"), "").await;
        assert_eq!(exit(&output), 3, "{output:?}");
        assert!(complained(&output).contains("concordat explain UNAUTHENTICATED"), "{output:?}");
        desk.world
    });
}

/// An address where nobody listens.
fn nowhere() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn flags_and_the_json_under_them_make_the_request() {
    run(Engine::Sqlite, |world: World| async move {
        let desk = Desk::of(world);
        let identifiers = ["--identifiers", "scheme=gb-coh,value=01234567", "--identifiers"];
        let more = r#"{"scheme": "domain", "value": "water.example"}"#;
        let words = ["organisation", "register", "--name", "Example Water plc"];
        let registered = json(&desk.ncsc(&[&words[..], &identifiers, &[more]].concat()).await);
        let organisation = registered["organisation_id"].as_str().unwrap();
        let got = json(&desk.ncsc(&["organisation", "get", "--organisation-id", organisation]).await);
        assert_eq!(got["organisation"]["identifiers"][0]["value"], "01234567");
        assert_eq!(got["organisation"]["identifiers"][1]["value"], "water.example");

        let under = r#"{"campaign": "from stdin", "organisationId": "org_from_stdin",
            "content": {"narrative": {"text": "from stdin"}, "timeline": {"discovery": "from stdin"}}}"#;
        let flags = ["--occurred-from", "-3d", "--occurred-until=2020-01-01T00:00:00+01:00", "--markings.tlp", "red"];
        let content = [
            "--content.root-cause.vectors=phishing,vpn",
            "--content.root-cause.vectors=usb",
            "--content.timeline.discovery=an operator",
            "--content.timeline.occurred.year=2019",
            "--content.impact.people-affected=40000000000",
            "--content.ransom.demanded",
        ];
        let words = ["incident", "register", "--json", "-", "--organisation-id", organisation];
        let typed = [&words[..], &flags, &content].concat();
        let backwards = desk.types_with(&desk.ncsc, &typed, under).await;
        assert_eq!(exit(&backwards), 1, "it ended before it began: {backwards:?}");
        assert!(complained(&backwards).contains("occurred_until (--occurred-until): "), "{backwards:?}");
        let typed = [&typed[..], &["--occurred-until=now"]].concat();
        let twice = desk.types_with(&desk.ncsc, &typed, under).await;
        assert_eq!(exit(&twice), 2, "one time, not two: {twice:?}");
        let typed: Vec<&str> = typed.into_iter().filter(|word| !word.contains("2020-01-01")).collect();
        let registered = json(&desk.types_with(&desk.ncsc, &typed, under).await);
        let got =
            json(&desk.ncsc(&["incident", "get", "--incident-id", registered["incident_id"].as_str().unwrap()]).await);
        let (incident, content) = (&got["incident"], &got["incident"]["content"]);
        assert_eq!(incident["organisation_id"], organisation, "a flag goes before the JSON");
        assert_eq!(incident["campaign"], "from stdin");
        assert_eq!(incident["markings"]["tlp"], "red");
        assert_eq!(content["narrative"]["text"], "from stdin");
        assert_eq!(content["timeline"]["discovery"], "an operator");
        assert_eq!(content["timeline"]["occurred"]["year"], 2019);
        assert_eq!(content["root_cause"]["vectors"], serde_json::json!(["phishing", "vpn", "usb"]));
        assert_eq!(content["impact"]["people_affected"], "40000000000");
        assert_eq!(content["ransom"]["demanded"], true);
        let time = |name: &str| {
            let at = incident[name].as_str().unwrap();
            time::OffsetDateTime::parse(at, &time::format_description::well_known::Rfc3339).unwrap()
        };
        let days = (time("occurred_until") - time("occurred_from")).whole_hours();
        assert!((71..=72).contains(&days), "-3d until now: {incident}");
        desk.world
    });
}

#[test]
fn the_same_request_id_typed_again_gives_the_same_entry() {
    run(Engine::Sqlite, |world: World| async move {
        let desk = Desk::of(world);
        let words = ["organisation", "register", "--name", "Example Gas plc", "--request-id", "typed-once-or-twice"];
        let (first, second) = (json(&desk.ncsc(&words).await), json(&desk.ncsc(&words).await));
        assert_eq!(first["organisation_id"], second["organisation_id"]);
        assert_eq!(first["receipt"]["index"], second["receipt"]["index"]);
        let other = desk.ncsc(&["organisation", "register", "--name", "Other", "--request-id", "typed-once-or-twice"]);
        let other = other.await;
        assert_eq!(exit(&other), 1);
        assert!(complained(&other).contains("concordat explain KEY_REUSED"), "{other:?}");
        desk.world
    });
}

#[test]
fn a_table_says_what_was_released_and_steers_no_terminal() {
    run(Engine::Sqlite, |world: World| async move {
        let desk = Desk::of(world);
        let held = desk.world.hold("ncsc", "ico").await;
        desk.world.give_consent(&held, desk.world.scope(&held)).await;
        desk.world.authorise(&held).await;
        let ask = ["release", "request", "--holder=ncsc", "--reference", &held.reference, "--purpose=harm-reduction"];
        let ask = [&ask[..], &["--categories=timeline"]].concat();
        let table = desk.ico(&[&ask[..], &["-o", "table", "--key", &desk.key()]].concat()).await;
        assert_eq!(exit(&table), 0, "{table:?}");
        let shown = said(&table);
        for row in [
            "outcome ┆ released",
            "content.timeline.discovery ┆ an operator noticed",
            "handling.purposes ┆ harm-reduction",
            "handling.enforcement ┆ no",
            "receipt ┆ entry",
            "of one.concordat.example, verified offline",
        ] {
            let squeezed = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(squeezed.contains(row), "no `{row}` in\n{shown}");
        }
        assert!(shown.chars().all(|letter| letter == '\n' || !letter.is_control()), "{shown:?}");
        assert!(complained(&table).chars().all(|letter| letter == '\n' || !letter.is_control()), "{table:?}");

        let unverified = said(&desk.ico(&[&ask[..], &["-o", "table"]].concat()).await);
        assert!(unverified.contains("not verified: --key verifies it"), "{unverified}");
        let content = json(&desk.ico(&[&ask[..], &["--content"]].concat()).await);
        assert_eq!(content[0]["timeline"]["discovery"], "an operator noticed");

        let other = super::concordat(&["ledger", "keygen", "other.example"]);
        let other = String::from_utf8(other.stdout).unwrap().lines().last().unwrap().to_owned();
        let undecided = desk.ico(&[&ask[..], &["--key", &other]].concat()).await;
        assert_eq!(exit(&undecided), 3, "no key for this ledger: {undecided:?}");
        assert!(complained(&undecided).contains("concordat explain cannot-decide"), "{undecided:?}");
        desk.world
    });
}

#[test]
fn a_receipt_is_carried_to_another_node_as_a_flag() {
    run(Engine::Sqlite, |world: World| async move {
        let desk = Desk::of(world);
        let held = desk.world.hold("ncsc", "ico").await;
        desk.world.give_consent(&held, desk.world.onward_scope(&held)).await;
        desk.world.authorise(&held).await;
        let ask = ["release", "request", "--holder=ncsc", "--reference", &held.reference, "--purpose=harm-reduction"];
        let released = desk.ico(&[&ask[..], &["--categories=timeline"]].concat()).await;
        assert_eq!(exit(&released), 0, "{released:?}");

        let printed = async |words: &[&str]| {
            let words = [&["ledger", "receipt", "-"][..], words].concat();
            let output = desk.types_with(&desk.ico, &words, &said(&released)).await;
            assert_eq!(exit(&output), 0, "{output:?}");
            said(&output).trim().to_owned()
        };
        let permission = async |receipt: &str| {
            let words =
                ["permission", "ask", "--upstream=ncsc", "--recipient=nca", "--purpose=serious-organised-crime"];
            desk.ico(&[&words[..], &["--categories=timeline", "--receipt", receipt]].concat()).await
        };
        let whole = permission(&printed(&[]).await).await;
        assert_eq!(exit(&whole), 1, "it opens what was asked and by whom: {whole:?}");
        assert!(complained(&whole).contains("--receipt"), "{whole:?}");
        let asked = json(&permission(&printed(&["--outcome-alone"]).await).await);
        assert_eq!(asked["answer"], "pending");
        desk.world
    });
}

#[test]
fn a_list_comes_in_pages_or_whole() {
    run(Engine::Sqlite, |world: World| async move {
        let desk = Desk::of(world);
        for name in ["One", "Two", "Three"] {
            json(&desk.ncsc(&["organisation", "register", "--name", name]).await);
        }
        let list = ["organisation", "list", "--page-size", "2"];
        let first = desk.ncsc(&list).await;
        let page = json(&first);
        assert_eq!(page["organisations"].as_array().unwrap().len(), 2);
        let token = page["next_page_token"].as_str().unwrap();
        assert!(complained(&first).contains(&format!("--page-token {token}")), "{first:?}");
        let second = json(&desk.ncsc(&[&list[..], &["--page-token", token]].concat()).await);
        assert_eq!(second["organisations"].as_array().unwrap().len(), 1);
        // What comes first in a token is chance: it may be a hyphen.
        let wrong = desk.ncsc(&[&list[..], &["--page-token", "-x"]].concat()).await;
        assert_eq!(exit(&wrong), 1, "{wrong:?}");
        let all = desk.ncsc(&[&list[..], &["--all"]].concat()).await;
        assert_eq!(json(&all)["organisations"].as_array().unwrap().len(), 3);
        assert!(json(&all).get("next_page_token").is_none() && complained(&all).is_empty(), "{all:?}");
        let table = said(&desk.ncsc(&[&list[..], &["--all", "-o", "table"]].concat()).await);
        assert_eq!(table.lines().filter(|line| line.contains("org_")).count(), 3, "{table}");
        assert!(table.lines().nth(1).unwrap().contains("name"), "{table}");
        desk.world
    });
}

#[test]
fn the_context_is_the_one_named_else_the_shells_else_the_users() {
    run(Engine::Sqlite, |world: World| async move {
        let desk = Desk::of(world);
        let home = desk.world.workspace.folder().join("home");
        let typed = |words: &[&str]| {
            desk.keep_time();
            let mut command = super::command();
            command.args(words).env("XDG_CONFIG_HOME", &home).env_remove("CONCORDAT_CONTEXT");
            piped(command, String::new())
        };
        let none = typed(&["agreement", "list"]).await;
        assert_eq!(exit(&none), 2, "{none:?}");
        let expected = home.join("concordat/context.toml");
        assert!(complained(&none).contains(text(&expected)), "it says which file: {none:?}");
        assert!(complained(&none).contains("server_name = "), "and what to write: {none:?}");
        let example = complained(&none).split_once("\n\n").unwrap().1.to_owned();
        let named = typed(&["agreement", "list", "--context", text(&desk.ico)]).await;
        assert_eq!(exit(&named), 0, "{named:?}");

        // Where the file is, its relative paths hold, so this one has absolute ones.
        let mut context = desk.world.workspace.context("ico", "home", &[], &[], "one", desk.world.node.address);
        let folder = desk.world.workspace.folder();
        for file in [&mut context.roots_file, &mut context.certificate_file, &mut context.key_file] {
            *file = folder.join(&*file);
        }
        let token = crate::harness::signing(&mut context);
        token.key_file = folder.join(&token.key_file);
        std::fs::create_dir_all(home.join("concordat")).unwrap();
        context.write(&expected).unwrap();
        assert_eq!(exit(&typed(&["agreement", "list"]).await), 0);
        std::fs::write(&expected, example).unwrap();
        let incomplete = typed(&["agreement", "list"]).await;
        assert_eq!(exit(&incomplete), 3, "the example is a context, of files that are not there: {incomplete:?}");
        assert!(complained(&incomplete).contains("client.pem"), "{incomplete:?}");
        desk.world
    });
}
