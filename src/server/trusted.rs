//! Checkpoints of this ledger that were kept apart from its database: what shows that a database is older than what was
//! acknowledged, as after a restore. The node itself cannot tell: whatever it finds is something that it once signed.

use std::path::PathBuf;

use crate::config::{self, Config};
use crate::ledger::{SigningKeys, read_checkpoint};
use crate::store::{CheckFailed, Store};

/// A checkpoint of this ledger, as a file has it.
#[derive(Debug)]
pub struct Trusted {
    /// The file.
    pub file: PathBuf,
    note: String,
    /// When its last entry took effect, where the file says so. Nobody signed that.
    said: Option<String>,
}

impl Trusted {
    /// Reads the files of `node.trusted_checkpoint_files`. Who signed them is looked at later: the database knows the keys.
    ///
    /// Fails if a file has no checkpoint, or one of another ledger.
    pub fn read(config: &Config, origin: &str) -> Result<Vec<Self>, config::Error> {
        let read = |file: &PathBuf| {
            let file = config.path(file);
            let wrong = |problem: String| config::Error::new(&file, problem);
            let text = std::fs::read_to_string(&file).map_err(|e| wrong(e.to_string()))?;
            let (note, said) = found(&text).ok_or_else(|| {
                wrong("no checkpoint: `concordat ledger checkpoint` and `ledger get-checkpoint` print them".to_owned())
            })?;
            let checkpoint = read_checkpoint(&note).map_err(|e| wrong(e.to_string()))?;
            if checkpoint.origin != origin {
                let problem = format!("a checkpoint of the ledger `{}`, and this is `{origin}`", checkpoint.origin);
                return Err(wrong(problem));
            }
            Ok(Self { file, note, said })
        };
        config.node.trusted_checkpoint_files.iter().map(read).collect()
    }

    /// Its entries must be the first ones of this database's ledger. Gives how many it has. Changes nothing.
    pub async fn check(&self, store: &Store, keys: &SigningKeys) -> Result<u64, CheckFailed> {
        store.check_extends(&self.note, keys).await.map_err(|failed| match failed {
            CheckFailed::Mismatch(problem) => {
                let until = self.said.as_ref().map(|at| format!(" (the last of {at}, as the file says)"));
                CheckFailed::Mismatch(format!("{}{}: {problem}", self.file.display(), until.unwrap_or_default()))
            }
            other @ CheckFailed::Store(_) => other,
        })
    }
}

/// The signed note of a text: it itself, or what a command printed that has one; and the time beside it.
fn found(text: &str) -> Option<(String, Option<String>)> {
    if !text.trim_start().starts_with('{') {
        return Some((text.to_owned(), None));
    }
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let at = |place: &str| json.pointer(place).and_then(serde_json::Value::as_str).map(str::to_owned);
    let note = ["/checkpoint/note", "/checkpoint", "/receipt/checkpoint"].into_iter().find_map(at)?;
    Some((note, at("/checkpoint/at")))
}
