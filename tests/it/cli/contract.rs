//! What the commands make of the contract without a node: each RPC, each field, each reason, each shell.

use std::collections::BTreeSet;
use std::fs;

use concordat::proto::DESCRIPTORS;
use concordat::wire::REASONS;
use prost_reflect::{DescriptorPool, Kind, MethodDescriptor};

use super::{concordat, exit};
use crate::architecture::{sources, workspace_file};

fn rpcs() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

fn printed(words: &[&str]) -> String {
    let output = concordat(words);
    assert_eq!(exit(&output), 0, "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the reference says is typed for an RPC.
fn typed(reference: &str, rpc: &MethodDescriptor) -> (String, String) {
    let section = reference.split(&format!("\n#### {}\n\n`concordat ", rpc.name())).nth(1);
    let section = section.unwrap_or_else(|| panic!("the reference has no {}", rpc.name()));
    let (noun, rest) = section.split_once(' ').unwrap();
    (noun.to_owned(), rest.split('`').next().unwrap().to_owned())
}

#[test]
fn each_rpc_is_a_command_and_each_field_a_flag() {
    let reference = printed(&["reference"]);
    let mut seen = BTreeSet::new();
    for rpc in rpcs() {
        let (noun, verb) = typed(&reference, &rpc);
        let help = printed(&[&noun, &verb, "--help"]);
        let name = format!("{}/{}", rpc.parent_service().name(), rpc.name());
        assert!(help.contains(&name), "`{noun} {verb}` is not {name}:\n{help}");
        assert!(seen.insert((noun.clone(), verb.clone())), "`{noun} {verb}` is two RPCs");
        assert!(help.contains("May be called by"), "{name} does not say who may call it");
        assert!(help.contains("Example:\n  concordat "), "{name} has no example");
        for field in rpc.input().fields() {
            let flag = format!("--{}", field.name().replace('_', "-"));
            let is_taken_apart = matches!(field.kind(), Kind::Message(_)) && !field.is_list();
            let found = help.contains(&format!("{flag} <")) || help.contains(&format!("{flag}[="));
            assert!(found || is_taken_apart && help.contains(&flag), "{name} has no {flag}");
        }
    }
}

#[test]
fn what_is_typed_for_an_rpc_reads_well() {
    let reference = printed(&["reference"]);
    let command = |name: &str| {
        let rpc = rpcs().into_iter().find(|rpc| rpc.name() == name).unwrap();
        let (noun, verb) = typed(&reference, &rpc);
        format!("{noun} {verb}")
    };
    assert_eq!(command("WithdrawConsent"), "consent withdraw");
    assert_eq!(command("ListAuthorisations"), "authorisation list");
    assert_eq!(command("RequestRelease"), "release request");
    assert_eq!(command("VerifyNotification"), "incident verify-notification");
    assert_eq!(command("GetEntry"), "ledger get-entry");
    assert!(printed(&["ledger", "--help"]).contains("\n  keygen"), "the fixed verbs stay");
}

#[test]
fn what_cannot_be_read_is_wrong_usage_that_names_the_flag_or_the_field() {
    for (words, names) in [
        (&["consent", "record", "--scope.valid-until", "tomorrow"][..], "--scope.valid-until"),
        (&["consent", "verify", "--version", "two"], "--version"),
        (&["consent", "record", "--evidence.digest", "xyz"], "--evidence.digest"),
        (&["organisation", "register", "--identifiers", "schema=gb-coh"], "there are scheme, value"),
        (&["release", "request", "--reference", "ref_one", "--organisation.ground", "any"], "--reference"),
        (&["incident", "register", "--json", r#"{"content": {"narrative": {"text": 5}}}"#], "`content.narrative.text`"),
        (&["incident", "register", "--json", r#"{"contents": {}}"#], "`contents`"),
        (&["incident", "register", "--json", "@no-such-file"], "no-such-file"),
        (&["incident", "register", "--json", "{"], "not JSON"),
        (&["consent", "withdra"], "'withdraw'"),
        (&["consen"], "'consent'"),
        (&["explain", "WRONG_STAT"], "'WRONG_STATE'"),
        (&["consent", "list", "--content"], "--content"),
        (&["call", "ConsentService/Withdraw"], "ConsentService/WithdrawConsent"),
    ] {
        let output = concordat(words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(exit(&output), 2, "{words:?}: {complaint}");
        assert!(complaint.contains(names), "{words:?} does not name {names}: {complaint}");
    }
}

#[test]
fn each_reason_has_a_page_and_each_page_a_reason() {
    let list = printed(&["explain", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let pages: Vec<(&str, &str)> = list["pages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|page| (page["name"].as_str().unwrap(), page["text"].as_str().unwrap()))
        .collect();
    let names: BTreeSet<&str> = pages.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), pages.len(), "a page is there twice");
    let mut reasons: BTreeSet<String> = REASONS.iter().map(|(reason, _)| (*reason).to_owned()).collect();
    reasons.extend(not_covered());
    let outcomes = ["released", "open", "not_covered", "shared", "not_published", "valid", "invalid", "cannot-decide"];
    reasons.extend(outcomes.map(str::to_owned));
    let reasons: BTreeSet<&str> = reasons.iter().map(String::as_str).collect();
    let (missing, idle): (Vec<_>, Vec<_>) =
        (reasons.difference(&names).collect(), names.difference(&reasons).collect());
    assert!(missing.is_empty(), "add `### `REASON`` to docs/errors.md for {missing:?}");
    assert!(idle.is_empty(), "nothing gives {idle:?}: take them out of docs/errors.md");
    for (name, text) in pages {
        assert!(text.len() > 40, "{name} is not explained: {text}");
        let page = printed(&["explain", &name.to_lowercase()]);
        assert!(page.starts_with(name) && page.contains(text), "{name}: {page}");
    }
    assert!(printed(&["explain"]).contains("\n  WRONG_STATE "));
}

/// Every reason for which an ask is not covered: the texts in upper snake case of the decision.
fn not_covered() -> Vec<String> {
    let decides = ["src/decision/coverage.rs", "src/decision/naming.rs", "src/decision/sharing.rs"];
    let texts = sources().into_iter().filter(|(path, _)| decides.contains(&path.as_str())).map(|(_, text)| text);
    let reasons: Vec<String> = texts
        .collect::<String>()
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|text| text.len() > 3 && text.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
        .map(str::to_owned)
        .collect();
    assert!(reasons.len() >= 6, "the reasons are no longer where this looks for them: {reasons:?}");
    reasons
}

#[test]
fn each_fixed_command_shows_an_example() {
    for words in [
        &["demo"][..],
        &["serve"],
        &["verify"],
        &["ledger", "init"],
        &["ledger", "check"],
        &["ledger", "keygen"],
        &["ledger", "receipt"],
        &["ledger", "keys"],
        &["ledger", "fingerprint"],
        &["ledger", "rotate-key"],
        &["ledger", "retire-key"],
        &["seal", "status"],
        &["seal", "rewrap"],
        &["signpost", "show"],
        &["statistics", "show"],
        &["certs", "init"],
        &["certs", "issue"],
        &["certs", "renew"],
        &["certs", "revoke"],
        &["certs", "inspect"],
        &["tls", "status"],
        &["explain"],
        &["call"],
        &["token"],
        &["completion"],
    ] {
        let help = printed(&[words, &["--help"]].concat());
        let example = help.split("Example").nth(1).unwrap_or_else(|| panic!("{words:?} shows no example"));
        assert!(example.contains("concordat"), "{words:?}: {example}");
    }
    assert!(printed(&["--help"]).contains("11  an ask: not covered"), "the exit codes are in --help");
}

/// What the documents tell people to type: the command is there, and so are its flags.
#[test]
fn each_command_in_the_documents_can_be_typed() {
    let mut typed = 0;
    let documents = fs::read_dir(workspace_file("docs")).unwrap().map(|entry| entry.unwrap().path());
    for document in
        documents.chain(["README.md", "ARCHITECTURE.md", "SECURITY.md", "certs/README.md"].map(workspace_file))
    {
        if document.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&document).unwrap().replace("\\\n", " ");
        for line in text.split("```sh\n").skip(1).filter_map(|block| block.split("```").next()).flat_map(str::lines) {
            for part in line.split(['|', '(', ')']).filter_map(|part| part.trim().strip_prefix("concordat ")) {
                let words: Vec<&str> =
                    part.split_whitespace().take_while(|word| !word.starts_with(['#', '>'])).collect();
                let command = words.iter().take(2).copied().filter(|word| !word.starts_with('-'));
                let output = concordat(&command.chain(["--help"]).collect::<Vec<_>>());
                let help = String::from_utf8(output.stdout.clone()).unwrap();
                assert_eq!(exit(&output), 0, "{}: `{part}`: {output:?}", document.display());
                for flag in words.iter().filter(|word| word.starts_with("--")) {
                    let flag = flag.split(['=', ')', '"']).next().unwrap();
                    assert!(help.contains(flag), "{}: `{part}` has no {flag}", document.display());
                }
                typed += 1;
            }
        }
    }
    assert!(typed > 20, "the documents' commands are no longer where this looks for them: {typed}");
}

#[test]
fn each_shell_completes_nouns_verbs_and_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["completion", shell]);
        for word in ["consent", "withdraw", "verify-notification", "consent-id", "scope.valid-until"] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
}

#[test]
fn the_reference_is_current() {
    let written = fs::read_to_string(workspace_file("docs/reference.md")).unwrap();
    let made = printed(&["reference"]);
    if written == made {
        return;
    }
    let differs = written.lines().zip(made.lines()).position(|(old, new)| old != new);
    let line = differs.unwrap_or(written.lines().count().min(made.lines().count()));
    panic!(
        "docs/reference.md is not current from line {}: renew it with `just reference`, or\n  \
         cargo run -q -- reference > docs/reference.md",
        line + 1
    );
}
