//! A node's configuration: what is read is written so that it can be read again.
#![no_main]

use concordat::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(config) = toml::from_str::<Config>(text) else { return };
    drop(config.own_agencies());
    drop(config.database_shown());
    for agency in &config.agency {
        drop(agency.names());
    }
    let written = toml::to_string(&config).expect("what was read can be written");
    toml::from_str::<Config>(&written).expect("what was written can be read");
});
