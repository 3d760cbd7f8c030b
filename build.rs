//! Turns `proto/` into Rust, a descriptor set, the table of roles, and the two tables that the contract's own options
//! define: who may call which RPC, which field of an incident's content is which category, and how each passes
//! anonymised. Then it lists `agreements/`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, Value};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=agreements");
    println!("cargo:rerun-if-changed={MENU}");
    println!("cargo:rerun-if-changed=migrations");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(files("proto", "proto")?.iter().map(|f| f.strip_prefix("proto").unwrap_or(f)))?;
    // These bytes keep our options; the same set after a round trip through prost-types would have lost them.
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), &descriptors)?;

    tonic_prost_build::configure()
        .build_transport(false)
        // What incidents contain is never printed, not even by accident: these messages have no `Debug` of prost's.
        .skip_debug(UNPRINTED)
        .compile_fds(compiler.file_descriptor_set())?;

    let pool = DescriptorPool::decode(descriptors.as_slice())?;
    let roles = roles()?;
    fs::write(out.join("roles.rs"), format!("&{roles:#?}\n"))?;
    fs::write(out.join("access.rs"), access_table(&pool, &roles)?)?;
    fs::write(out.join("categories.rs"), category_table(&pool)?)?;
    fs::write(out.join("anonymised.rs"), anonymised_table(&pool)?)?;
    fs::write(out.join("bundled.rs"), bundled_agreements()?)?;
    Ok(())
}

/// Messages that carry what an organisation told in confidence.
const UNPRINTED: [&str; 37] = [
    "concordat.v1.IncidentContent",
    "concordat.v1.Identity",
    "concordat.v1.Identifier",
    "concordat.v1.Contact",
    "concordat.v1.Timeline",
    "concordat.v1.TechnicalIndicators",
    "concordat.v1.Indicator",
    "concordat.v1.RootCause",
    "concordat.v1.Impact",
    "concordat.v1.Ransom",
    "concordat.v1.Narrative",
    "concordat.v1.Assessment",
    "concordat.v1.Sector",
    "concordat.v1.ReleasedCategory",
    "concordat.v1.AnonymisedRecord",
    "concordat.v1.AnonymisedValue",
    "concordat.v1.Agent",
    "concordat.v1.ConsentEvidence",
    "concordat.v1.MandateEvidence",
    "concordat.v1.SubjectStatement",
    "concordat.v1.Opening",
    "concordat.v1.Paper",
    "concordat.v1.Reminder",
    "concordat.v1.RecordReminderRequest",
    "concordat.v1.Recommendation",
    "concordat.v1.RecordRecommendationRequest",
    "concordat.v1.ThemeContent",
    "concordat.v1.EngagedOrganisation",
    "concordat.v1.Engagement",
    "concordat.v1.EngagementTerms",
    "concordat.v1.AskOfVictim",
    "concordat.v1.RecordAskOfVictimRequest",
    "concordat.v1.ProposalContent",
    "concordat.v1.Citation",
    "concordat.v1.ProposalAnswer",
    "concordat.v1.ProposalMessage",
    "concordat.v1.Attachment",
];

/// `(id, what it is for, whether it may see content)` for each role.
type Role = (String, String, bool);

/// Every role, from `proto/roles.toml`.
fn roles() -> Result<Vec<Role>, Failure> {
    const FILE: &str = "proto/roles.toml";
    let table: toml::Table = fs::read_to_string(FILE)?.parse().map_err(|e| format!("{FILE}: {e}"))?;
    let rows = table.get("role").and_then(toml::Value::as_array).ok_or(format!("{FILE} has no [[role]]"))?;
    let mut roles: Vec<Role> = Vec::new();
    for row in rows {
        let text = |key| row.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        let (id, words, sees_content) = (text("id"), text("text"), row.get("sees_content"));
        let sees_content = sees_content.and_then(toml::Value::as_bool);
        let sees_content = sees_content.ok_or(format!("{FILE}: `{id}` does not say `sees_content`"))?;
        if id.is_empty() || words.is_empty() || roles.iter().any(|(other, ..)| *other == id) {
            return Err(format!("{FILE}: `{id}` is empty, has no `text` or is there twice").into());
        }
        roles.push((id, words, sees_content));
    }
    Ok(roles)
}

/// `(path, roles, own agency only)` for each RPC, from its `access` option.
fn access_table(pool: &DescriptorPool, known: &[Role]) -> Result<String, Failure> {
    let access = pool.get_extension_by_name("concordat.v1.access").ok_or("no extension concordat.v1.access")?;
    let mut rows = String::new();
    for service in pool.services() {
        for method in service.methods() {
            let options = method.options();
            if !options.has_extension(&access) {
                return Err(format!("{} has no (access) option: say who may call it", method.full_name()).into());
            }
            let value = options.get_extension(&access);
            let access = value.as_message().ok_or("(access) is not a message")?;
            let field = |name| access.get_field_by_name(name).ok_or("Access lacks a field");
            let (roles, own_agency) = (field("roles")?, field("own_agency")?);
            let roles: Vec<&str> = roles.as_list().unwrap_or_default().iter().filter_map(Value::as_str).collect();
            if let Some(role) = roles.iter().find(|role| known.iter().all(|(id, ..)| id != *role)) {
                let known: Vec<&str> = known.iter().map(|(id, ..)| id.as_str()).collect();
                let name = method.full_name();
                return Err(format!("{name}: proto/roles.toml has no role `{role}`, only {}", known.join(", ")).into());
            }
            let own_agency = own_agency.as_bool().unwrap_or_default();
            writeln!(rows, "    (\"/{}/{}\", &{roles:?}, {own_agency}),", service.full_name(), method.name())?;
        }
    }
    Ok(format!("&[\n{rows}]\n"))
}

/// `(category, field number)` for each field of `IncidentContent`, from its `category` option.
fn category_table(pool: &DescriptorPool) -> Result<String, Failure> {
    let category = pool.get_extension_by_name("concordat.v1.category").ok_or("no extension concordat.v1.category")?;
    let content = pool.get_message_by_name("concordat.v1.IncidentContent").ok_or("no IncidentContent")?;
    let mut rows = String::new();
    for field in content.fields() {
        let options = field.options();
        if !options.has_extension(&category) {
            return Err(format!("{} has no (category) option: it could never be released", field.full_name()).into());
        }
        let value = options.get_extension(&category);
        let name = value.as_str().unwrap_or_default();
        writeln!(rows, "    (\"{name}\", {}),", field.number())?;
    }
    Ok(format!("&[\n{rows}]\n"))
}

/// The statistics' menu, which says in which bands a field passes.
const MENU: &str = "statistics/menu.toml";

/// `(path, category, how, dimension)` for each field within a category of `IncidentContent`, from its `anonymised`
/// option: `withheld`, `banded` or `exact`, and the dimension of the menu that has its values; empty if withheld.
fn anonymised_table(pool: &DescriptorPool) -> Result<String, Failure> {
    let anonymised = pool.get_extension_by_name("concordat.v1.anonymised").ok_or("no extension anonymised")?;
    let category = pool.get_extension_by_name("concordat.v1.category").ok_or("no extension concordat.v1.category")?;
    let content = pool.get_message_by_name("concordat.v1.IncidentContent").ok_or("no IncidentContent")?;
    let counted = counted_fields()?;
    let mut rows = String::new();
    let mut categories: Vec<(String, String)> = Vec::new();
    for (path, field) in leaves(&content, "") {
        let name = field.full_name();
        let options = field.options();
        let said = options.get_extension(&anonymised);
        let (how, dimension) =
            said.as_str().unwrap_or_default().split_once(':').unwrap_or((said.as_str().unwrap_or_default(), ""));
        let top =
            path.split('.').next().and_then(|top| content.get_field_by_name(top)).ok_or("a path without a field")?;
        let category = top.options().get_extension(&category).as_str().unwrap_or_default().to_owned();
        match (how, dimension.is_empty()) {
            ("withheld", true) | ("banded", false) => {}
            // A text as it is could say anything, and a number or a time as it is singles out.
            ("exact", false) if field.kind() == Kind::Bool && !field.is_list() => {}
            ("exact", false) => return Err(format!("{name} may not pass exactly: only yes or no may").into()),
            _ => {
                let wanted = "`withheld`, `banded:D` or `exact:D`, with a dimension D of the menu";
                return Err(format!("{name} must have an (anonymised) option: {wanted}").into());
            }
        }
        let counts = |(id, field): &(String, String)| *id == dimension && *field == path;
        if !dimension.is_empty() && !counted.iter().any(counts) {
            return Err(format!("{name}: the dimension `{dimension}` of {MENU} does not come from `{path}`").into());
        }
        if let Some((_, other)) = categories.iter().find(|(id, other)| *id == dimension && *other != category) {
            return Err(format!("{name}: the dimension `{dimension}` is of the category `{other}` too").into());
        }
        if !dimension.is_empty() {
            categories.push((dimension.to_owned(), category.clone()));
        }
        writeln!(rows, "    (\"{path}\", \"{category}\", \"{how}\", \"{dimension}\"),")?;
    }
    Ok(format!("&[\n{rows}]\n"))
}

/// The fields below a message that have no fields of their own, each with its path. A time is one field.
fn leaves(message: &MessageDescriptor, within: &str) -> Vec<(String, FieldDescriptor)> {
    let of_field = |field: FieldDescriptor| {
        let path = format!("{within}{}", field.name());
        match field.kind().as_message().filter(|message| message.package_name() == "concordat.v1") {
            Some(message) => leaves(message, &format!("{path}.")),
            None => vec![(path, field)],
        }
    };
    message.fields().flat_map(of_field).collect()
}

/// The id of each dimension of the menu with each field from which it comes.
fn counted_fields() -> Result<Vec<(String, String)>, Failure> {
    let menu: toml::Table = fs::read_to_string(MENU)?.parse().map_err(|e| format!("{MENU}: {e}"))?;
    let dimensions =
        menu.get("dimension").and_then(toml::Value::as_array).ok_or(format!("{MENU} has no [[dimension]]"))?;
    let mut fields = Vec::new();
    for dimension in dimensions {
        let id = dimension.get("id").and_then(toml::Value::as_str).unwrap_or_default();
        let from = dimension.get("from").ok_or(format!("{MENU}: `{id}` has no `from`"))?;
        texts(from, &mut |field| fields.push((id.to_owned(), field.to_owned())));
    }
    Ok(fields)
}

/// Every text in a value.
fn texts(value: &toml::Value, found: &mut impl FnMut(&str)) {
    match value {
        toml::Value::String(text) => found(text),
        toml::Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        toml::Value::Table(values) => values.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

/// The agreements that ship with the binary: `(folder, terms, clauses)`.
fn bundled_agreements() -> Result<String, Failure> {
    let root =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?).join("agreements");
    let mut folders: Vec<PathBuf> = fs::read_dir(&root)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.join("agreement.toml").is_file())
        .collect();
    folders.sort();
    let mut rows = String::new();
    for folder in folders {
        let name = folder.file_name().and_then(|name| name.to_str()).ok_or("a folder name is not UTF-8")?.to_owned();
        let (terms, clauses) = (folder.join("agreement.toml"), folder.join("clauses.cedar"));
        writeln!(
            rows,
            "    (\"{name}\", include_str!(\"{}\"), include_str!(\"{}\")),",
            terms.display(),
            clauses.display()
        )?;
    }
    Ok(format!("&[\n{rows}]\n"))
}

fn files(folder: impl AsRef<Path>, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
