//! Files that are written whole, and never over others unasked.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::Usage;

/// Who may read a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Readable {
    ByAll,
    ByOwner,
}

impl Readable {
    fn mode(self) -> u32 {
        match self {
            Self::ByAll => 0o644,
            Self::ByOwner => 0o600,
        }
    }
}

/// Turns a list of files away of which one is there, unless they may be replaced.
pub(super) fn check_free(files: &[&Path], force: bool) -> Result<(), Usage> {
    match files.iter().find(|file| !force && file.exists()) {
        None => Ok(()),
        Some(file) => {
            Err(Usage(format!("{} is there already: name another place, or replace it with --force", file.display())))
        }
    }
}

/// Puts a file in place as a whole: whoever reads it meanwhile finds the old one or the new one.
pub(super) fn put(file: &Path, text: &str, readable: Readable) -> anyhow::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).context(beside.display().to_string()),
        _ => {}
    }
    let written = (|| {
        let mut opened = OpenOptions::new().write(true).create_new(true).mode(readable.mode()).open(&beside)?;
        opened.write_all(text.as_bytes())?;
        opened.sync_all()?;
        fs::rename(&beside, file)
    })();
    written.with_context(|| format!("{} cannot be written: name a place where you may write", file.display()))
}

/// A file's text, or what to do.
pub(super) fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}
