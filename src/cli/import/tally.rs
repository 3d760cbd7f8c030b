//! What came of an import: counts, and one line of JSON for each incident that was rejected.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::drafts::Rejected;
use super::node::Kept;
use super::records::Place;
use crate::cli::output::{line, note, table};

/// What came of one record.
pub(super) struct Outcome {
    pub(super) place: Place,
    pub(super) key: String,
    /// For each of its incidents; `None`: it would be put to the node, and this is a dry run.
    pub(super) incidents: Vec<Result<Option<Kept>, Rejected>>,
}

/// Counts.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) records: u64,
    records_imported: u64,
    records_in_part: u64,
    pub(super) registered: u64,
    already_there: u64,
    ready: u64,
    pub(super) rejected: u64,
    reasons: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts a record, and writes down what of it was rejected.
    pub(super) fn add(&mut self, outcome: &Outcome, rejects: &mut Rejects) -> anyhow::Result<()> {
        let mut kept = 0;
        for (victim, incident) in outcome.incidents.iter().enumerate() {
            match incident {
                Ok(came) => {
                    kept += 1;
                    match came {
                        Some(Kept::Registered) => self.registered += 1,
                        Some(Kept::AlreadyThere) => self.already_there += 1,
                        None => self.ready += 1,
                    }
                }
                Err(rejected) => {
                    self.rejected += 1;
                    *self.reasons.entry(rejected.reason).or_default() += 1;
                    rejects.write(outcome, victim, rejected)?;
                }
            }
        }
        self.records += 1;
        self.records_imported += u64::from(kept == outcome.incidents.len());
        self.records_in_part += u64::from(kept > 0 && kept < outcome.incidents.len());
        Ok(())
    }

    fn records_rejected(&self) -> u64 {
        self.records - self.records_imported - self.records_in_part
    }

    /// The counts on stdout.
    pub(super) fn print_json(&self, finished: bool, dry_run: bool) {
        let incidents = if dry_run {
            json!({ "ready": self.ready, "rejected": self.rejected })
        } else {
            json!({ "registered": self.registered, "already_there": self.already_there, "rejected": self.rejected })
        };
        let records = json!({
            "read": self.records,
            "imported": self.records_imported,
            "in_part": self.records_in_part,
            "rejected": self.records_rejected(),
        });
        let all = json!({
            "finished": finished,
            "records": records,
            "incidents": incidents,
            "rejected_by_reason": self.reasons,
        });
        line(&all.to_string());
    }

    /// The counts on stdout, for people.
    pub(super) fn print_table(&self, dry_run: bool) {
        let mut rows = vec![
            ("records read".to_owned(), self.records),
            ("  imported".to_owned(), self.records_imported),
            ("  in part".to_owned(), self.records_in_part),
            ("  rejected".to_owned(), self.records_rejected()),
        ];
        if dry_run {
            rows.push(("incidents ready (dry run: nothing was sent)".to_owned(), self.ready));
        } else {
            rows.push(("incidents registered".to_owned(), self.registered));
            rows.push(("incidents already there".to_owned(), self.already_there));
        }
        rows.push(("incidents rejected".to_owned(), self.rejected));
        rows.extend(self.reasons.iter().map(|(reason, count)| (format!("  {reason}"), *count)));
        let mut all = table(&["import", "count"]);
        for (what, count) in rows {
            all.add_row([what, count.to_string()]);
        }
        line(&all.to_string());
    }
}

/// Where rejected incidents are written down: a file, or stderr.
pub(super) struct Rejects {
    file: Option<File>,
    bar: ProgressBar,
}

impl Rejects {
    /// Empties the file, if there is to be one.
    pub(super) fn new(file: Option<&Path>, bar: ProgressBar) -> anyhow::Result<Self> {
        let file = file.map(|file| File::create(file).with_context(|| format!("{}", file.display()))).transpose()?;
        Ok(Self { file, bar })
    }

    /// One line. It names nobody: place and key lead whoever has the file to the rest.
    fn write(&mut self, outcome: &Outcome, victim: usize, rejected: &Rejected) -> anyhow::Result<()> {
        let mut said = json!({ "key": outcome.key, "reason": rejected.reason, "says": rejected.says });
        let (name, number) = match outcome.place {
            Place::Line(number) => ("line", number),
            Place::Element(number) => ("element", number),
        };
        if let Value::Object(fields) = &mut said {
            fields.insert(name.to_owned(), number.into());
            if outcome.incidents.len() > 1 {
                fields.insert("victim".to_owned(), victim.into());
            }
        }
        if let Some(file) = &mut self.file {
            // Unbuffered: what was rejected is known even if the program is killed.
            return writeln!(file, "{said}").context("the rejects cannot be written");
        }
        self.bar.suspend(|| note(&said.to_string()));
        Ok(())
    }
}
