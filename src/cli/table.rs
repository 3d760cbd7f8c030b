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
const CELL_CHARACTERS: usize = 40;

/// How wide a table is where there is no terminal to fill.
const WIDTH: u16 = 160;

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
    view.rows("", response, &mut rows)?;
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
    fn rows(&self, before: &str, message: &DynamicMessage, rows: &mut Vec<(String, String)>) -> anyhow::Result<()> {
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
            self.rows(&format!("{before}content."), &json::content(self.contract, &incident)?, rows)?;
            return match message.get_field_by_name("handling").as_deref() {
                Some(Value::Message(handling)) => self.rows(&format!("{before}handling."), handling, rows),
                _ => Ok(()),
            };
        }
        // What the whole answer is about needs no name before it, nor does the outcome that was said already.
        let is_only = before.is_empty() && message.fields().filter(|(field, _)| is_message(field)).count() == 1;
        for field in message.descriptor().fields() {
            // What is not set is not there, but for a no: whether something may be done is never left out.
            let is_no = field.kind() == Kind::Bool && !field.is_list() && !field.supports_presence();
            if !message.has_field(&field) && !is_no {
                continue;
            }
            let value = message.get_field(&field);
            let is_outcome = field.containing_oneof().is_some_and(|oneof| oneof.name() == "outcome");
            let path = format!("{before}{}", field.name());
            match value.as_ref() {
                Value::Message(inner) if is_outcome || (is_only && !is_brief(inner)) => {
                    self.rows(before, inner, rows)?;
                }
                Value::Message(inner) => self.rows(&format!("{path}."), inner, rows)?,
                Value::List(items) if is_message(&field) => {
                    for (place, item) in items.iter().enumerate() {
                        if let Value::Message(inner) = item {
                            self.rows(&format!("{path}.{}.", place + 1), inner, rows)?;
                        }
                    }
                }
                value => rows.push((path, text(&field, value, RECORD_BYTES))),
            }
        }
        Ok(())
    }

    /// A row for each record, a column for each field that one of them has, as far as there is room.
    fn list(&self, records: &[Value]) -> String {
        let records: Vec<&DynamicMessage> = records.iter().filter_map(Value::as_message).collect();
        let many = |field: &FieldDescriptor| {
            records.iter().any(|record| record.get_field(field).as_list().is_some_and(|items| items.len() > 1))
        };
        let rows: Vec<Vec<(String, String)>> = records.iter().map(|record| self.cells(record, &many)).collect();
        let mut columns: Vec<(String, Vec<String>)> = Vec::new();
        for (name, _) in rows.iter().flatten() {
            if columns.iter().all(|(known, _)| known != name) {
                let cell = |row: &Vec<(String, String)>| row.iter().find(|(other, _)| other == name).cloned();
                let cells = rows.iter().map(|row| cell(row).map(|(_, text)| shortened(&text)).unwrap_or_default());
                columns.push((name.clone(), cells.collect()));
            }
        }
        if columns.is_empty() {
            return "(none)".to_owned();
        }
        let mut room = usize::from(output::table(&[]).width().unwrap_or(WIDTH)).saturating_sub(1);
        let (shown, left_out): (Vec<_>, Vec<_>) = columns.into_iter().partition(|(name, cells)| {
            let width = 3 + cells.iter().chain([name]).map(|cell| cell.chars().count()).max().unwrap_or_default();
            let fits = width <= room;
            room = if fits { room - width } else { room };
            fits
        });
        let head: Vec<&str> = shown.iter().map(|(name, _)| name.as_str()).collect();
        let row = |place: usize| shown.iter().filter_map(|(_, cells)| cells.get(place).cloned()).collect();
        let table = lines(&head, (0..rows.len()).map(row));
        if left_out.is_empty() {
            return table;
        }
        let names: Vec<&str> = left_out.iter().map(|(name, _)| name.as_str()).collect();
        format!("{table}\nNo room for: {}. `-o json` has everything.", names.join(", "))
    }

    /// What fits into cells: values, times and receipts, and of a list within that nobody has `many` of, the one.
    fn cells(&self, record: &DynamicMessage, many: &dyn Fn(&FieldDescriptor) -> bool) -> Vec<(String, String)> {
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
                    if let ([Value::Message(only)], false) = (items.as_slice(), many(&field)) {
                        let known: Vec<String> = cells.iter().map(|(name, _)| name.clone()).collect();
                        let inner = self.cells(only, &|_| true);
                        cells.extend(inner.into_iter().filter(|(name, _)| !known.contains(name)));
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
pub(super) fn lines(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = output::table(head);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
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
            Some(first) if most_bytes == LIST_BYTES => format!("{}…", HEXLOWER.encode(first)),
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
            let items: Vec<String> = items.iter().map(|item| text(field, item, most_bytes)).collect();
            // Sentences each have their line, names share one.
            items.join(if items.iter().any(|item| item.ends_with('.')) { "\n" } else { ", " })
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
