//! Responses as tables, whatever the RPC: a list with a row for each record, anything else with a row for each field.

use std::fmt::Write as _;

use concordat::domain::Instant;
use concordat::ledger::{Keyring, verify};
use concordat::proto::v1::{LedgerEntry, Receipt, ReleasedIncident};
use data_encoding::HEXLOWER;
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};

use super::contract::Contract;
use super::flags::{TIMESTAMP, choice};
use super::{json, output};

const RECEIPT: &str = "concordat.v1.Receipt";
const RELEASED_INCIDENT: &str = "concordat.v1.ReleasedIncident";

/// How much of a text a list shows; a record of its own shows all of it.
const CELL_CHARACTERS: usize = 60;

/// How many bytes are shown in a list, and of a record: a digest is whole there.
const LIST_BYTES: usize = 6;
const RECORD_BYTES: usize = 32;

/// A response for people. With keys, its receipts are verified; what they prove otherwise is not said.
pub(super) fn response(
    contract: &Contract,
    response: &DynamicMessage,
    keys: Option<&Keyring>,
) -> anyhow::Result<String> {
    let view = View { contract, keys };
    let lists = response.descriptor().fields().find(|field| field.is_list() && is_message(field));
    if let Some(field) = lists.filter(|_| response.descriptor().get_field_by_name("next_page_token").is_some()) {
        let records = response.get_field(&field);
        return Ok(view.list(records.as_list().unwrap_or_default()));
    }
    let mut rows = Vec::new();
    if let Some(outcome) = json::outcome(response) {
        rows.push(("outcome".to_owned(), outcome.replace('_', " ")));
    }
    view.rows(String::new(), response, &mut rows)?;
    if rows.is_empty() {
        return Ok("(nothing is set)".to_owned());
    }
    Ok(lines(&["field", "value"], rows.into_iter().map(|(name, value)| vec![name, value])))
}

struct View<'a> {
    contract: &'a Contract,
    keys: Option<&'a Keyring>,
}

impl View<'_> {
    /// A row for each field that is set, those of messages within under their paths.
    fn rows(
        &self,
        before: String,
        message: &DynamicMessage,
        rows: &mut Vec<(String, String)>,
    ) -> anyhow::Result<()> {
        let name = message.descriptor().full_name().to_owned();
        if name == TIMESTAMP || name == RECEIPT {
            rows.push((before.trim_end_matches('.').to_owned(), self.brief(message)));
            return Ok(());
        }
        if name == RELEASED_INCIDENT {
            let incident: ReleasedIncident = message.transcode_to()?;
            rows.push((format!("{before}reference"), json::harmless(&incident.reference)));
            let categories: Vec<&str> = incident.categories.iter().map(|c| c.category.as_str()).collect();
            rows.push((format!("{before}categories"), json::harmless(&categories.join(", "))));
            self.rows(format!("{before}content."), &json::content(self.contract, &incident)?, rows)?;
            return match message.get_field_by_name("handling").as_deref() {
                Some(Value::Message(handling)) => self.rows(format!("{before}handling."), handling, rows),
                _ => Ok(()),
            };
        }
        // What the whole answer is about needs no name before it, nor does the outcome that was said already.
        let is_only = before.is_empty() && message.fields().filter(|(field, _)| is_message(field)).count() == 1;
        for (field, value) in message.fields() {
            let is_outcome = field.containing_oneof().is_some_and(|oneof| oneof.name() == "outcome");
            let path = format!("{before}{}", field.name());
            match value {
                Value::Message(inner) if is_outcome || (is_only && !is_brief(inner)) => {
                    self.rows(before.clone(), inner, rows)?;
                }
                Value::Message(inner) => self.rows(format!("{path}."), inner, rows)?,
                Value::List(items) if is_message(&field) => {
                    for (place, item) in items.iter().enumerate() {
                        if let Value::Message(inner) = item {
                            self.rows(format!("{path}.{}.", place + 1), inner, rows)?;
                        }
                    }
                }
                value => rows.push((path, text(&field, value, RECORD_BYTES))),
            }
        }
        Ok(())
    }

    /// A row for each record, a column for each field that one of them has and that fits into a cell.
    fn list(&self, records: &[Value]) -> String {
        let rows: Vec<Vec<(String, String)>> =
            records.iter().filter_map(Value::as_message).map(|record| self.cells(record)).collect();
        let mut columns: Vec<String> = Vec::new();
        for (name, _) in rows.iter().flatten() {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        if columns.is_empty() {
            return "(none)".to_owned();
        }
        let cell = |row: &Vec<(String, String)>, column: &String| {
            row.iter().find(|(name, _)| name == column).map(|(_, text)| shortened(text)).unwrap_or_default()
        };
        let head: Vec<&str> = columns.iter().map(String::as_str).collect();
        lines(&head, rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()))
    }

    fn cells(&self, record: &DynamicMessage) -> Vec<(String, String)> {
        if record.descriptor().full_name() == RECEIPT {
            return self.receipt(record);
        }
        let mut cells = Vec::new();
        // In the contract's order, so that the columns of two pages agree.
        for field in record.descriptor().fields().filter(|field| record.has_field(field)) {
            match record.get_field(&field).as_ref() {
                Value::Message(inner) if is_brief(inner) => cells.push((field.name().to_owned(), self.brief(inner))),
                // Such as a consent's newest version.
                Value::List(items) if is_message(&field) => {
                    if let [Value::Message(only)] = items.as_slice() {
                        let known: Vec<String> = cells.iter().map(|(name, _)| name.clone()).collect();
                        cells.extend(self.cells(only).into_iter().filter(|(name, _)| !known.contains(name)));
                    }
                }
                Value::Message(_) => {}
                value => cells.push((field.name().to_owned(), text(&field, value, LIST_BYTES))),
            }
        }
        cells
    }

    /// A message that is one cell: a time, or a receipt.
    fn brief(&self, message: &DynamicMessage) -> String {
        if message.descriptor().full_name() == TIMESTAMP {
            return message.transcode_to().map(|stamp| time(&stamp)).unwrap_or_default();
        }
        let said = self.receipt(message);
        let mut text = String::new();
        for (name, value) in &said {
            let _ = match name.as_str() {
                "entry" => write!(text, "entry {value}"),
                "ledger" => write!(text, " of {value}"),
                "verified" if self.keys.is_none() => write!(text, ", {value}: --key verifies it"),
                "verified" => write!(text, ", {value}"),
                _ => Ok(()),
            };
        }
        text
    }

    /// What a receipt says of its entry, and whether that was verified.
    fn receipt(&self, message: &DynamicMessage) -> Vec<(String, String)> {
        let Ok(receipt) = message.transcode_to::<Receipt>() else { return Vec::new() };
        let entry = LedgerEntry::decode(receipt.entry.as_slice()).unwrap_or_default();
        let about = entry.kind().as_str_name().trim_start_matches("ENTRY_KIND_").to_lowercase();
        let verified = match self.keys.map(|keys| verify(&receipt, keys)) {
            None => "not verified".to_owned(),
            Some(Ok(_)) => "verified offline".to_owned(),
            Some(Err(problem)) => format!("NOT VALID: {problem}"),
        };
        [
            ("entry", receipt.index.to_string()),
            ("at", whole_seconds(Instant::from_micros(entry.at_micros))),
            ("about", about),
            ("ledger", json::harmless(&receipt.origin)),
            ("verified", json::harmless(&verified)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// A table without colours: it may go to a file.
fn lines(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = output::table(head);
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

fn is_message(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(_)) && !field.is_map()
}

fn is_brief(message: &DynamicMessage) -> bool {
    matches!(message.descriptor().full_name(), TIMESTAMP | RECEIPT)
}

fn shortened(text: &str) -> String {
    let text = text.replace('\n', " ");
    match text.char_indices().nth(CELL_CHARACTERS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// A value that is no message.
fn text(field: &FieldDescriptor, value: &Value, most_bytes: usize) -> String {
    match value {
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::F32(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        Value::String(text) => json::harmless(text),
        Value::Bytes(bytes) => match bytes.get(..most_bytes).filter(|_| bytes.len() > most_bytes) {
            Some(first) => format!("{}… ({} bytes)", HEXLOWER.encode(first), bytes.len()),
            None => HEXLOWER.encode(bytes),
        },
        Value::EnumNumber(number) => match field.kind() {
            Kind::Enum(choices) => {
                choices.get_value(*number).map_or(number.to_string(), |value| choice(&choices, value.name()))
            }
            _ => number.to_string(),
        },
        Value::List(items) => {
            items.iter().map(|item| text(field, item, most_bytes)).collect::<Vec<_>>().join(", ")
        }
        Value::Map(_) | Value::Message(_) => "…".to_owned(),
    }
}

fn time(stamp: &prost_types::Timestamp) -> String {
    whole_seconds(Instant::from_micros(stamp.seconds.saturating_mul(1_000_000)))
}

/// As the flags read it, without what nobody reads.
fn whole_seconds(at: Instant) -> String {
    Instant::from_micros(at.micros().div_euclid(1_000_000) * 1_000_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::json::harmless;

    #[test]
    fn a_text_from_elsewhere_steers_no_terminal() {
        assert_eq!(harmless("plain – text\nand more"), "plain – text\nand more");
        assert_eq!(harmless("\u{1b}[2J\u{202e}x"), "\\u{1b}[2J\\u{202e}x");
    }
}
