//! A node's configuration, and what the environment says instead of it: what is read is written so that it can be read again.
#![no_main]

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use concordat::config::Config;
use libfuzzer_sys::fuzz_target;

static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("concordat-fuzz-{}", std::process::id()));
    fs::create_dir(&folder).expect("a folder");
    folder.join("node.toml")
});

/// What follows the file's text, each as `NAME=VALUE` after this byte, which no text has.
const SAID: u8 = 0xff;

fn read(text: &[u8], environment: Vec<(OsString, OsString)>) -> Option<Config> {
    fs::write(&*FILE, text).expect("it is written");
    let read = Config::load_with(&FILE, environment.into_iter());
    read.inspect_err(|error| assert!(!error.problems().is_empty(), "it says what is wrong")).ok()
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|byte| *byte == SAID);
    let text = parts.next().unwrap_or_default();
    let environment = parts.map(|part| {
        let (name, value) = part.split_at(part.iter().position(|byte| *byte == b'=').unwrap_or(part.len()));
        let name = [b"CONCORDAT__", name].concat();
        (OsString::from_vec(name), OsString::from_vec(value.iter().skip(1).copied().collect()))
    });
    let Some(config) = read(text, environment.collect()) else { return };
    drop(config.own_agencies());
    drop(config.database_shown());
    for agency in &config.agency {
        drop(agency.names());
    }
    config.write(&FILE).expect("what was read can be written");
    let written = fs::read(&*FILE).expect("it was written");
    let again = read(&written, Vec::new()).expect("what was written can be read");
    assert_eq!(format!("{again:?}"), format!("{config:?}"));
});
