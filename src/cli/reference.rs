//! `concordat reference`: docs/reference.md, from the contract, the reasons, the roles and the bundled agreements.

mod signposts;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use concordat::menu::MENU;
use concordat::proto::{ANONYMISED, BUNDLED_AGREEMENTS, CATEGORIES};
use concordat::wire::REASONS;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::Verdict;
use super::contract::{Contract, Rpc};
use super::output::text;

/// What a clause says, in the order in which a reader asks; anything else follows by name.
const CLAUSE_KEYS: [&str; 10] = [
    "citation",
    "modality",
    "activity",
    "form",
    "purposes",
    "grounds",
    "categories",
    "consent",
    "onward",
    "obligations",
];

pub(super) fn run(contract: &Contract) -> anyhow::Result<Verdict> {
    text(&written(contract)?);
    Ok(Verdict::Well)
}

fn written(contract: &Contract) -> anyhow::Result<String> {
    let mut page = String::from(
        "<!-- Made by `concordat reference`: change what it is made from, then `just reference`. -->\n\n# Reference\n\n\
         Every RPC, message, enum, error reason, role, category, signpost and clause, as this version has them. The \
         words are those of the contract in `proto/concordat/v1` and of the files in `agreements` and `signposts`. How the commands take and \
         print all of it is in [cli.md](cli.md).\n\n\
         [RPCs](#rpcs) · [Messages](#messages) · [Enums](#enums) · [Error reasons](#error-reasons) · \
         [Roles](#roles) · [Categories](#categories) · [Fields](#fields) · [Signposts](#signposts) · \
         [Clocks](#clocks) · [Help](#help) · [Clauses](#clauses)\n",
    );
    rpcs(contract, &mut page)?;
    let (mut messages, mut enums) = (Vec::new(), Vec::new());
    for file in contract.files() {
        enums.extend(file.enums());
        for message in file.messages() {
            within(&message, &mut messages, &mut enums);
        }
    }
    page.push_str("\n## Messages\n");
    for message in &messages {
        self::message(contract, message, &mut page)?;
    }
    page.push_str("\n## Enums\n");
    for choices in &enums {
        self::choices(contract, choices, &mut page)?;
    }
    page.push_str("\n## Error reasons\n\nMore of each, and of the reasons why an ask is not covered, is in ");
    page.push_str(
        "[errors.md](errors.md); `concordat explain REASON` prints it.\n\n| Reason | It means |\n| --- | --- |\n",
    );
    for (reason, meaning) in REASONS {
        writeln!(page, "| `{reason}` | {} |", cell(meaning))?;
    }
    roles(contract, &mut page)?;
    categories(contract, &mut page)?;
    fields(&mut page)?;
    signposts::signposts(&mut page)?;
    page.push_str("\n## Clauses\n\nOur own words and ids, never the memoranda's wording or numbering.\n");
    for (_, terms, _) in BUNDLED_AGREEMENTS {
        agreement(terms, &mut page)?;
    }
    Ok(page)
}

fn rpcs(contract: &Contract, page: &mut String) -> anyhow::Result<()> {
    page.push_str("\n## RPCs\n");
    for service in contract.services() {
        let comment = contract.comment(&service.parent_file(), service.path());
        writeln!(page, "\n### {}\n\n{comment}", service.name())?;
        for rpc in contract.rpcs_of(&service) {
            let comment = contract.comment(&rpc.method.parent_file(), rpc.method.path());
            let stream = if rpc.method.is_server_streaming() { "a stream of " } else { "" };
            writeln!(
                page,
                "\n#### {}\n\n`concordat {} {}` · {} → {stream}{}\n\n{}\n\n{comment}",
                rpc.method.name(),
                rpc.noun,
                rpc.verb,
                link(&rpc.method.input()),
                link(&rpc.method.output()),
                rpc.callers(),
            )?;
        }
    }
    Ok(())
}

/// A message and what is defined within it.
fn within(message: &MessageDescriptor, messages: &mut Vec<MessageDescriptor>, enums: &mut Vec<EnumDescriptor>) {
    if message.is_map_entry() {
        return;
    }
    enums.extend(message.child_enums());
    messages.push(message.clone());
    for inner in message.child_messages() {
        within(&inner, messages, enums);
    }
}

fn message(contract: &Contract, message: &MessageDescriptor, page: &mut String) -> anyhow::Result<()> {
    let comment = contract.comment(&message.parent_file(), message.path());
    writeln!(page, "\n### {}\n\n{comment}", short(message.full_name()))?;
    if message.fields().len() == 0 {
        return Ok(());
    }
    page.push_str("\n| Field | Type | |\n| --- | --- | --- |\n");
    for field in message.fields() {
        let comment = contract.comment(&field.parent_file(), field.path());
        let one_of = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        let one_of = one_of.map(|oneof| format!("One of `{}`. ", oneof.name())).unwrap_or_default();
        writeln!(page, "| `{}` | {} | {one_of}{} |", field.name(), kind(&field), cell(comment))?;
    }
    Ok(())
}

fn choices(contract: &Contract, choices: &EnumDescriptor, page: &mut String) -> anyhow::Result<()> {
    let comment = contract.comment(&choices.parent_file(), choices.path());
    writeln!(page, "\n### {}\n\n{comment}\n", short(choices.full_name()))?;
    page.push_str("| Value | Number | |\n| --- | --- | --- |\n");
    for value in choices.values() {
        let comment = contract.comment(&choices.parent_file(), value.path());
        writeln!(page, "| `{}` | {} | {} |", value.name(), value.number(), cell(comment))?;
    }
    Ok(())
}

/// Who may call what, the other way round.
fn roles(contract: &Contract, page: &mut String) -> anyhow::Result<()> {
    page.push_str("\n## Roles\n\nWhat an officer's token must carry; of several roles, one is enough.\n\n");
    page.push_str("| Role | RPCs |\n| --- | --- |\n");
    let mut roles: BTreeMap<&str, Vec<&Rpc>> = BTreeMap::new();
    for rpc in contract.rpcs() {
        if rpc.roles.is_empty() {
            roles.entry("").or_default().push(rpc);
        }
        for role in rpc.roles {
            roles.entry(role).or_default().push(rpc);
        }
    }
    for (role, rpcs) in roles {
        let role = if role.is_empty() { "any officer".to_owned() } else { format!("`{role}`") };
        let names: Vec<&str> = rpcs.iter().map(|rpc| rpc.method.name()).collect();
        writeln!(page, "| {role} | {} |", names.join(", "))?;
    }
    Ok(())
}

fn categories(contract: &Contract, page: &mut String) -> anyhow::Result<()> {
    page.push_str("\n## Categories\n\nWhat an incident's content is made of, sealed and released one by one.\n\n");
    page.push_str("| Category | Message | |\n| --- | --- | --- |\n");
    let content = contract.pool().get_message_by_name("concordat.v1.IncidentContent").context("no IncidentContent")?;
    for (category, number) in CATEGORIES {
        let field = content.get_field(*number).context("a category has no field")?;
        let comment = contract.comment(&field.parent_file(), field.path());
        writeln!(page, "| `{category}` | {} | {} |", kind(&field), cell(comment))?;
    }
    Ok(())
}

/// In which form what passes of each field.
fn fields(page: &mut String) -> anyhow::Result<()> {
    page.push_str(
        "\n## Fields\n\nWhat passes of each field of an incident, by form. *Organisation-specific*: as it is, where \
         the category is released. *Anonymised record*: as a value of the dimension named, and only in a look that \
         enough organisations' records share; everything else never. *Statistics*: the tables that count organisations \
         by it. [disclosure-control.md](disclosure-control.md) says how the last two are controlled.\n\n\
         | Field | Category | Organisation-specific | Anonymised record | Statistics |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for (path, category, how, dimension) in ANONYMISED {
        let place = MENU.axes().iter().position(|axis| axis.id == *dimension);
        let counted =
            MENU.menu().tables().iter().filter(|table| place.is_some_and(|place| table.over.contains(&place)));
        let tables: Vec<String> = counted.map(|table| format!("`{}`", table.id)).collect();
        let passes = match *how {
            "withheld" => "withheld".to_owned(),
            "exact" => format!("as it is: `{dimension}`"),
            _ => format!("in bands: `{dimension}`"),
        };
        let tables = if tables.is_empty() { "no table".to_owned() } else { tables.join(", ") };
        writeln!(page, "| `{path}` | `{category}` | as it is | {passes} | {tables} |")?;
    }
    Ok(())
}

fn agreement(terms: &str, page: &mut String) -> anyhow::Result<()> {
    let terms: toml::Table = terms.parse()?;
    let said = |key: &str| terms.get(key).map(value).unwrap_or_default();
    writeln!(page, "\n### {}\n\n{}\n\n{}.", said("id"), said("title"), said("citation"))?;
    let rows = |key: &str| terms.get(key).and_then(toml::Value::as_array).into_iter().flatten();
    if terms.contains_key("interpretations") {
        page.push_str("\nAs read here:\n\n");
        for reading in rows("interpretations") {
            writeln!(page, "- {}", value(reading))?;
        }
    }
    if terms.contains_key("purpose") {
        page.push_str("\n| Purpose | |\n| --- | --- |\n");
        for purpose in rows("purpose").filter_map(toml::Value::as_table) {
            let enforcement = purpose.get("enforcement").and_then(toml::Value::as_bool).unwrap_or_default();
            let enforcement = if enforcement { " (enforcement)" } else { "" };
            let part = |key: &str| purpose.get(key).map(value).unwrap_or_default();
            writeln!(page, "| `{}` | {}{enforcement} |", part("id"), cell(&part("text")))?;
        }
    }
    for clause in rows("clause").filter_map(toml::Value::as_table) {
        clause_of(clause, page)?;
    }
    Ok(())
}

fn clause_of(clause: &toml::Table, page: &mut String) -> anyhow::Result<()> {
    let part = |key: &str| clause.get(key).map(value).unwrap_or_default();
    writeln!(page, "\n#### {}\n\n{}\n", part("id"), part("text"))?;
    writeln!(page, "- direction: {} → {}", part("disclosing"), part("receiving"))?;
    let mut others: Vec<&str> = clause.keys().map(String::as_str).collect();
    others.retain(|key| !CLAUSE_KEYS.contains(key) && !["id", "text", "disclosing", "receiving"].contains(key));
    others.sort_unstable();
    for key in CLAUSE_KEYS.into_iter().chain(others).filter(|key| clause.contains_key(*key)) {
        writeln!(page, "- {}: {}", key.replace('_', " "), part(key))?;
    }
    Ok(())
}

fn value(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => {
            let items: Vec<String> = items.iter().map(self::value).collect();
            // Sentences stand for themselves, names are a list.
            items.join(if items.iter().any(|item| item.ends_with('.')) { " " } else { ", " })
        }
        other => other.to_string(),
    }
}

/// A field's type, with a link where this page has it.
fn kind(field: &FieldDescriptor) -> String {
    let name = match field.kind() {
        Kind::Message(message) if field.is_map() => format!("map `{}`", message.name()),
        Kind::Message(message) => link(&message),
        Kind::Enum(choices) => format!("[{0}](#{1})", short(choices.full_name()), anchor(choices.full_name())),
        scalar => format!("`{}`", format!("{scalar:?}").to_lowercase()),
    };
    if field.is_list() { format!("repeated {name}") } else { name }
}

fn link(message: &MessageDescriptor) -> String {
    match message.full_name().strip_prefix("concordat.v1.") {
        Some(_) => format!("[{}](#{})", short(message.full_name()), anchor(message.full_name())),
        None => format!("`{}`", message.full_name()),
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix("concordat.v1.").unwrap_or(name)
}

fn anchor(name: &str) -> String {
    short(name).to_lowercase().replace('.', "")
}

/// A text on one line of a table.
fn cell(text: &str) -> String {
    text.replace("\n\n", " ").replace('\n', " ").replace('|', "\\|")
}
