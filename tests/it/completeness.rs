//! Nothing was forgotten: rules, policies and lists that must grow together have grown together.

use std::collections::BTreeSet;
use std::fs;

use concordat::decision::{Agreement, Proposal};
use concordat::proto::{ACCESS, BUNDLED_AGREEMENTS, CATEGORIES, DESCRIPTORS, ROLES};
use concordat::wire::REASONS;
use prost_reflect::{DescriptorPool, MessageDescriptor};

use crate::architecture::{sources, workspace_file};

const MOST_LINES: usize = 500;

#[test]
fn each_source_file_can_be_read_at_one_sitting() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(path, lines)| format!("{path}: {lines} lines, more than {MOST_LINES}"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn each_source_file_says_what_it_is_for() {
    // A module's tests say it by their names.
    let all = sources().into_iter().filter(|(path, _)| !path.ends_with("/tests.rs") && path != "src/main.rs");
    let silent: Vec<String> = all.filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "without a first line `//! ...`: {silent:?}");
}

#[test]
fn each_rpc_has_an_access_rule_and_a_known_role() {
    let ruled: BTreeSet<&str> = ACCESS.iter().map(|(path, ..)| *path).collect();
    assert_eq!(ruled.len(), ACCESS.len(), "an RPC has two rules");
    assert_eq!(rpc_paths(), ruled.iter().map(ToString::to_string).collect());
    for (path, wanted, _) in ACCESS {
        assert!(
            wanted.iter().all(|role| ROLES.iter().any(|(id, ..)| id == role)),
            "{path}: a role in {wanted:?} does not exist"
        );
    }
}

/// A change says who made it: an RPC with an idempotency key is never open to every officer.
#[test]
fn each_rpc_that_changes_something_needs_a_role() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let changes = method.input().get_field_by_name("request_id").is_some();
        let (_, roles, _) = ACCESS.iter().find(|(rule, ..)| *rule == path).unwrap();
        assert!(!changes || !roles.is_empty(), "{path} changes something and any officer may call it");
    }
}

#[test]
fn each_role_is_documented() {
    let text = fs::read_to_string(workspace_file("docs/operations.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    for (role, _, sees_content) in ROLES {
        let row = rows.iter().find(|row| row.starts_with(&format!("| `{role}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/operations.md has no row for `{role}`"));
        assert!(row.ends_with(if *sees_content { "| yes |" } else { "| no |" }), "{row}");
    }
}

/// A role that may not see content is not let in where it could: not an operator, who runs the node and reads nothing.
#[test]
fn no_rpc_shows_content_to_a_role_that_may_not_see_it() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let content = pool.get_message_by_name("concordat.v1.IncidentContent").unwrap();
    let parts = content.fields().map(|field| field.kind().as_message().unwrap().full_name().to_owned());
    let others = [
        "IncidentContent",
        "ReleasedCategory",
        "Organisation",
        "Engagement",
        "ConsentEvidence",
        "Agent",
        "Paper",
        "ThemeContent",
        "ProposalContent",
        "ProposalMessage",
        "ProposalAnswer",
        "Attachment",
        "Reminder",
        "Recommendation",
    ];
    let content: BTreeSet<String> = parts.chain(others.iter().map(|name| format!("concordat.v1.{name}"))).collect();
    assert!(content.iter().all(|name| pool.get_message_by_name(name).is_some()), "{content:?}");
    let sees: BTreeSet<&str> = ROLES.iter().filter(|(.., sees_content)| *sees_content).map(|(id, ..)| *id).collect();
    assert!(!sees.contains("operator"));
    let mut showing = 0;
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let mut carried = BTreeSet::new();
        carries(&method.output(), &mut carried);
        if carried.is_disjoint(&content) {
            continue;
        }
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let (_, roles, _) = ACCESS.iter().find(|(rule, ..)| *rule == path).unwrap();
        assert!(!roles.is_empty(), "{path} can show content to any officer");
        assert!(roles.iter().all(|role| sees.contains(role)), "{path} can show content to one of {roles:?}");
        showing += 1;
    }
    assert!(showing >= 6, "only {showing} RPCs show content: are these the messages that carry it?");
}

/// Every message that a message can carry, itself included, however deep.
fn carries(message: &MessageDescriptor, found: &mut BTreeSet<String>) {
    if found.insert(message.full_name().to_owned()) {
        for field in message.fields() {
            if let Some(inner) = field.kind().as_message() {
                carries(inner, found);
            }
        }
    }
}

/// The method that a handler admits is the one it handles, and every handler admits.
#[test]
fn each_rpc_is_admitted_under_its_own_name() {
    let wire: String =
        sources().into_iter().filter(|(path, _)| path.starts_with("src/wire/")).map(|(_, t)| t).collect();
    for path in rpc_paths() {
        let method = path.strip_prefix("/concordat.v1.").unwrap();
        assert_eq!(wire.matches(&format!("\"{method}\"")).count(), 1, "{method} must be admitted once, under its name");
        let function = snake_case(method.split('/').nth(1).unwrap());
        let body =
            wire.split(&format!("async fn {function}(")).nth(1).unwrap_or_else(|| panic!("no handler {function}"));
        let body = body.split("async fn ").next().unwrap();
        assert!(body.contains(&format!("\"{method}\"")), "{function} is admitted under another name");
    }
}

/// Loading checks this too; here it is asked of the files that ship.
#[test]
fn each_clause_has_a_policy_and_each_policy_a_clause() {
    for (folder, terms, clauses) in BUNDLED_AGREEMENTS {
        let parsed: toml::Table = terms.parse().unwrap();
        assert_eq!(parsed["id"].as_str(), Some(*folder), "the folder is named after the agreement");
        let listed = parsed["clause"].as_array().unwrap().iter();
        let ids: BTreeSet<&str> = listed.map(|clause| clause["id"].as_str().unwrap()).collect();
        let policies: BTreeSet<&str> =
            clauses.lines().filter_map(|line| line.strip_prefix("@id(\"")?.strip_suffix("\")")).collect();
        assert_eq!(ids, policies, "{folder}");
        let proposal = Proposal { terms: (*terms).to_owned(), clauses: (*clauses).to_owned() };
        assert_eq!(Agreement::load(&proposal.text()).unwrap().clauses().count(), ids.len());
    }
}

#[test]
fn an_agreement_whose_clause_has_no_policy_is_not_loaded() {
    let (_, terms, clauses) = BUNDLED_AGREEMENTS[0];
    let first = clauses.find("@id(").unwrap();
    let end = clauses[first..].find("};\n").unwrap() + first + 3;
    let without = format!("{}{}", &clauses[..first], &clauses[end..]);
    let proposal = Proposal { terms: terms.to_owned(), clauses: without };
    let error = Agreement::load(&proposal.text()).unwrap_err().to_string();
    assert!(error.contains("policy") || error.contains("clause"), "{error}");
}

#[test]
fn each_category_that_a_clause_names_is_one_of_the_contracts() {
    for (folder, terms, _) in BUNDLED_AGREEMENTS {
        let parsed: toml::Table = terms.parse().unwrap();
        for clause in parsed["clause"].as_array().unwrap() {
            let named = clause.get("categories").and_then(toml::Value::as_array).into_iter().flatten();
            for category in named.map(|category| category.as_str().unwrap()) {
                assert!(CATEGORIES.iter().any(|(known, _)| *known == category), "{folder}: `{category}`");
            }
        }
    }
}

#[test]
fn the_reasons_are_sorted_unique_and_each_is_used() {
    assert!(REASONS.is_sorted_by(|(one, _), (next, _)| one < next), "REASONS must be sorted, each once");
    let status = fs::read_to_string(workspace_file("src/wire/status.rs")).unwrap();
    let (table, code) = status.split_once("];\n").unwrap();
    assert!(table.contains("pub const REASONS"), "the table comes first in status.rs");
    let all: String =
        sources().into_iter().filter(|(path, _)| !path.ends_with("wire/status.rs")).map(|(_, t)| t).collect();
    for (reason, meaning) in REASONS {
        assert!(meaning.ends_with('.'), "{reason}: `{meaning}` is not a sentence");
        let quoted = format!("\"{reason}\"");
        assert!(code.contains(&quoted) || all.contains(&quoted), "{reason} is in REASONS, and nothing gives it");
    }
    // And the other way round: each reason that is given is in the table.
    for given in code.split('"').skip(1).step_by(2).filter(|text| is_reason(text)) {
        assert!(REASONS.iter().any(|(reason, _)| *reason == given), "{given} is given and not in REASONS");
    }
}

fn is_reason(text: &str) -> bool {
    text.len() > 3 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

fn rpc_paths() -> BTreeSet<String> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let path =
        |method: prost_reflect::MethodDescriptor| format!("/{}/{}", method.parent_service().full_name(), method.name());
    pool.services().flat_map(|service| service.methods().map(path).collect::<Vec<_>>()).collect()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
