//! A record in VERIS' JSON: never empty, and the same every time.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(record) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    let read = concordat::veris::read(&record);
    assert!(!read.is_empty());
    assert_eq!(read.len(), concordat::veris::read(&record).len());
});
