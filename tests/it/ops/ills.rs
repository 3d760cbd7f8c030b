//! Each ill that `concordat doctor` knows, made on purpose: it is found, and what to do about it is the remedy for that.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use concordat::config::{Config, RevocationPolicy};
use concordat::dev::loopback;
use concordat::pki::List;
use serde_json::Value;
use x509_parser::num_bigint::BigUint;

use super::doctor::{said, word};
use super::{free, with_ops};
use crate::cli::{concordat, execute, exit, text};
use crate::harness::{World, on_both_databases, real_now};

/// What is spoilt, how, and what the doctor is to say: of what, how that is, and a part of the remedy.
type Ill<'a> = (&'a str, &'a (dyn Fn(&mut Config) + Sync), [&'a str; 3]);

/// The doctor finds each ill in the configuration that has it, and says what to do.
async fn assert_found(config: &Config, file: &Path, ills: &[Ill<'_>]) {
    for (spoilt, spoil, told) in ills {
        let mut config = config.clone();
        spoil(&mut config);
        config.write(file).unwrap();
        assert_told(file, spoilt, *told).await;
    }
}

async fn assert_told(file: &Path, spoilt: &str, [what, state, remedy]: [&str; 3]) {
    let (code, checks) = said(file, &[]).await;
    let is_told = |check: &Value| {
        word(check, "what") == what && word(check, "state") == state && word(check, "remedy").contains(remedy)
    };
    assert!(
        checks.iter().any(is_told),
        "{spoilt}: {what} is not said to be {state}, or not with `{remedy}`: {checks:#?}"
    );
    let has = |state: &str| checks.iter().any(|check| word(check, "state") == state);
    let exits = match (has("not well"), has("unknown")) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 0,
    };
    assert_eq!(code, exits, "{spoilt}: {checks:#?}");
}

/// Lists of the NCSC's authority, from as many seconds ago until in so many.
fn lists(world: &World, number: u32, from: i64, until: i64) -> String {
    let (list, now) = (List { number: BigUint::from(number), revoked: vec![] }, real_now());
    let authority = world.workspace.authority("ncsc").unwrap();
    authority.publish(&list, now.plus_seconds(until), now.plus_seconds(-from)).unwrap()
}

fn ncsc(config: &mut Config) -> &mut concordat::config::AgencySection {
    config.agency.iter_mut().find(|agency| agency.id.as_str() == "ncsc").unwrap()
}

/// By a list in the NCSC's folder.
fn by_list(config: &mut Config, file: &str) {
    ncsc(config).revocation = RevocationPolicy::Crl;
    ncsc(config).revocation_lists_file = Some(format!("../ncsc/{file}").into());
}

/// Writes a file into the NCSC's folder.
fn put(world: &World, file: &str, pem: &str) {
    fs::write(world.workspace.folder().join("ncsc").join(file), pem).unwrap();
}

/// Puts a text into force that no program can read.
async fn spoil_a_text(url: &str) {
    let statements = |zeros: String, text: &str| {
        [
            format!("INSERT INTO agreement_text (digest, text) VALUES ({zeros}, {text})"),
            format!("UPDATE agreement SET digest = {zeros} WHERE id = 'nis-regulations-2018'"),
        ]
    };
    let zeros = "00".repeat(32);
    let postgres = statements(format!("'\\x{zeros}'::bytea"), "'spoilt'::bytea");
    let sqlite = statements(format!("x'{zeros}'"), "x'00'");
    execute(url, &postgres.each_ref().map(String::as_str), &sqlite.each_ref().map(String::as_str)).await;
}

on_both_databases! {
    async fn each_ill_that_the_doctor_knows_is_found_and_has_its_remedy(world: World) {
        const DAY: i64 = 86_400;
        // The commands go by the machine's clock.
        world.hand.set(real_now());
        put(&world, "lists.pem", &lists(&world, 5, 0, DAY));
        put(&world, "ended.pem", &lists(&world, 5, 2 * DAY, -60));
        put(&world, "ends.pem", &lists(&world, 5, DAY, 3_600));
        put(&world, "spoilt.pem", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
        world = world.stop().await.start_with(|config| {
            with_ops(config);
            by_list(config, "lists.pem");
        }).await;
        let mut config = world.config.clone();
        (config.ops.listen, config.node.listen) = (world.node.ops.unwrap(), world.node.address);
        let folder = world.workspace.folder().join("node-one");
        let file = folder.join("ill.toml");
        config.write(&file).unwrap();
        let (code, checks) = said(&file, &[]).await;
        assert_eq!(code, 0, "nothing is spoilt yet: {checks:#?}");

        // A database that nobody began, and one in which nothing was put into force.
        drop(fs::File::create(folder.join("empty.db")).unwrap());
        let mut begun = config.clone();
        begun.node.database = "sqlite:begun.db".into();
        begun.write(&file).unwrap();
        assert_eq!(exit(&concordat(&["ledger", "init", "--config", text(&file)])), 0);
        let held = TcpListener::bind(loopback(0)).unwrap();
        let taken = held.local_addr().unwrap();
        let vouching = "what vouches for the systems of ncsc";
        let renew = "docs/rotation.md";
        let ills: [Ill<'_>; 11] = [
            ("a list that is not there", &|c: &mut Config| by_list(c, "no-such.pem"), [vouching, "not well", renew]),
            ("a list that ended", &|c: &mut Config| by_list(c, "ended.pem"), [vouching, "not well", renew]),
            ("no list at all", &|c: &mut Config| by_list(c, "spoilt.pem"), [vouching, "not well", renew]),
            (
                "token keys that are not there",
                &|c: &mut Config| ncsc(c).issuer[0].key[0].public_key_file = "no-such.pem".into(),
                ["the token keys of ncsc", "not well", renew],
            ),
            (
                "a server that is down",
                &|c: &mut Config| c.node.database = "postgres://concordat@127.0.0.1:1/none?sslmode=disable".into(),
                ["database", "not well", "see whether the database runs"],
            ),
            (
                "a file that is not there",
                &|c: &mut Config| c.node.database = "sqlite:no-such-folder/node.db".into(),
                ["database", "not well", "check the disk, its mount and the file's owner"],
            ),
            (
                "no tables",
                &|c: &mut Config| c.node.database = "sqlite:empty.db".into(),
                ["schema", "not well", "`concordat migrate`"],
            ),
            (
                "nothing in force",
                &|c: &mut Config| c.node.database = "sqlite:begun.db".into(),
                ["agreements", "soon", "an operator reads and activates them"],
            ),
            (
                "the port of another program",
                &|c: &mut Config| (c.node.listen, c.ops.listen) = (taken, free()),
                ["node.listen", "unknown", "stop what has the port"],
            ),
            (
                "the port for probes of another program",
                &|c: &mut Config| (c.node.listen, c.ops.listen) = (free(), taken),
                ["ops.listen", "unknown", "stop what has the port"],
            ),
            ("a node that listens elsewhere", &|c: &mut Config| c.node.listen = free(), ["node.listen", "not well", "the node's log"]),
        ];
        assert_found(&config, &file, &ills).await;
        drop(held);

        // What ends soon is well, and says so.
        let mut ends = config.clone();
        by_list(&mut ends, "ends.pem");
        ends.write(&file).unwrap();
        let (_, checks) = said(&file, &[]).await;
        let soon = checks.iter().find(|check| word(check, "state") == "soon").expect("four fifths of its life are over");
        assert!(word(soon, "what").starts_with("the revocation list of ncsc") && word(soon, "remedy").contains("renew it"));

        // Only the node that serves knows that it had a later one.
        config.write(&file).unwrap();
        put(&world, "lists.pem", &lists(&world, 4, 0, DAY));
        assert_eq!(world.node.rotation.look().refused.len(), 1);
        assert_told(&file, "a list that was rolled back", ["files in use", "not well", "a list that is older than the last"]).await;
        put(&world, "lists.pem", &lists(&world, 6, 0, DAY));
        world.node.rotation.look();

        // A text in force that no program can read.
        let url = world.config.database_url();
        spoil_a_text(&url).await;
        let unreadable = ["agreement nis-regulations-2018", "not well", "run a program that can read it"];
        assert_told(&file, "a text that cannot be read", unreadable).await;
        let undo = "UPDATE agreement SET digest = (SELECT digest FROM agreement_text WHERE length(text) > 100
            AND digest NOT IN (SELECT digest FROM agreement)) WHERE id = 'nis-regulations-2018'";
        execute(&url, &[undo], &[undo]).await;

        // The ledger's last entry is from when this machine's clock will be an hour further.
        world.hand.advance_micros(3_600 * 1_000_000);
        world.hold("ncsc", "ico").await;
        assert_told(&file, "a clock that lags", ["clock", "not well", "check time synchronisation"]).await;
    }
}
