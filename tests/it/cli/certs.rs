//! `concordat certs`: what it makes is what a node takes, and what it says is what the node does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use concordat::client::{Context, OfficerChannel};
use concordat::config::RevocationPolicy;
use concordat::pki::{Authority, List};
use concordat::proto::v1::GetCheckpointRequest;
use concordat::proto::v1::ledger_service_client::LedgerServiceClient;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use x509_parser::num_bigint::BigUint;

use super::{command, exit};
use crate::harness::{Engine, PURPOSES, World, real_now, run};

fn certs(folder: &Path, arguments: &[&str]) -> Output {
    command().arg("certs").args(arguments).current_dir(folder).output().unwrap()
}

/// The JSON of a command that did what it was asked.
fn done(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = certs(folder, arguments);
    assert_eq!(exit(&output), 0, "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is said of the first thing that a command inspects.
fn inspected(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = certs(folder, &[&["inspect"], arguments].concat());
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let first = &said["found"][0];
    let text = |name: &str| first[name].as_str().unwrap_or_default().to_owned();
    (exit(&output), text("verdict"), format!("{}{}", text("why"), String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn nothing_is_replaced_unasked_and_no_key_is_readable_by_others() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let made = done(at, &["init", "--trust-domain", "ncsc.example"]);
    assert_eq!(made["fingerprint"].as_str().unwrap().len(), 64, "{made}");
    done(at, &["issue", "north/case-system"]);
    for key in ["authority/authority.key", "case-system.key"] {
        assert_eq!(fs::metadata(at.join(key)).unwrap().permissions().mode() & 0o777, 0o600, "{key}");
    }
    let before = fs::read(at.join("authority/authority.key")).unwrap();
    for again in [
        ["init", "--trust-domain", "ncsc.example"].as_slice(),
        &["issue", "case-system"],
        &["renew", "case-system.pem"],
    ] {
        let output = certs(at, again);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            exit(&output) == 2 && said.contains("is there already") && said.contains("--force"),
            "{again:?}: {said}"
        );
    }
    assert_eq!(fs::read(at.join("authority/authority.key")).unwrap(), before);
    for (wrong, said) in [
        (["issue", "a", "--authority", "nowhere"].as_slice(), "concordat certs init"),
        (&["issue", "a b"], "no name of a system"),
        (&["issue", "a", "--valid", "91d"], "at most 90d"),
        (&["init", "--trust-domain", "NCSC", "--authority", "x"], "--trust-domain"),
        (&["revoke", "--serial", "xyz"], "hexadecimal"),
        (&["inspect", "authority/authority.key", "--lists", "authority/lists.pem"], "--roots"),
    ] {
        let output = certs(at, wrong);
        assert_eq!(exit(&output), 2, "{wrong:?}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{wrong:?}: {output:?}");
    }

    // What it says of its own: by form alone, by roots, and of a key that is another's or everybody's.
    assert_eq!(inspected(at, &["case-system.pem"]).1, "not judged");
    let by = ["--roots", "authority/authority.pem", "--lists", "authority/lists.pem"];
    let judged = inspected(at, &[&["case-system.pem", "--key", "case-system.key"], by.as_slice()].concat());
    assert_eq!((judged.0, judged.1.as_str()), (0, "accepted"), "{judged:?}");
    let (code, verdict, why) = inspected(at, &["case-system.pem", "--roots", "authority/authority.pem"]);
    assert_eq!((code, verdict.as_str()), (1, "turned away"));
    assert!(why.contains("more than 24 hours"), "{why}");
    let other = inspected(at, &["case-system.pem", "--key", "authority/authority.key"]);
    assert!(other.0 == 1 && other.2.contains("isn't its key"), "{other:?}");
    assert_eq!(inspected(at, &[&["authority/lists.pem"], by.as_slice()].concat()).1, "accepted");
    fs::set_permissions(at.join("case-system.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let open = inspected(at, &["case-system.key"]);
    assert!(open.0 == 1 && open.2.contains("every user of this machine"), "{open:?}");

    // A node's certificate, and one that is renewed: the same names, another key.
    done(at, &["issue", "node", "--address", "localhost,127.0.0.1", "--valid", "24h", "--out", "server"]);
    let server = inspected(at, &["server.pem", "--key", "server.key"]);
    assert!(server.0 == 0 && server.2.contains("as a node's own certificate"), "{server:?}");
    let (old, new) = (done(at, &["inspect", "server.pem"]), done(at, &["renew", "server.pem", "--out", "server-2"]));
    assert_eq!(old["found"][0]["names"], new["names"]);
    assert_ne!(old["found"][0]["fingerprint"], new["fingerprint"]);
}

/// What a node refuses it would leave out, and what was revoked last would count nowhere.
#[test]
fn a_list_that_no_node_would_take_is_not_published() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    done(at, &["init", "--trust-domain", "ncsc.example"]);
    let file = at.join("authority/lists.pem");
    let [root, key] =
        ["authority.pem", "authority.key"].map(|name| fs::read_to_string(at.join("authority").join(name)));
    let authority = Authority::read(&root.unwrap(), &key.unwrap()).unwrap();
    // The next number has more octets than a list's number may have.
    let last = List { number: (BigUint::from(1_u8) << 160_u32) - 1_u8, revoked: Vec::new() };
    fs::write(&file, authority.publish(&last, real_now().plus_days(1), real_now()).unwrap()).unwrap();
    let before = fs::read(&file).unwrap();
    let output = certs(at, &["revoke", "--serial", "01:02"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(exit(&output) == 3 && said.contains("no node would take the new list"), "{said}");
    assert!(said.contains("is not taken by TLS"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), before, "the list before stays");
}

#[test]
fn a_node_does_what_inspect_says_of_what_certs_made() {
    run(Engine::Sqlite, |world: World| async move {
        let home = world.workspace.folder().join("ncsc");
        done(&home, &["init", "--trust-domain", "ncsc.example"]);
        done(&home, &["issue", "case-system", "--out", "made"]);
        let world = world
            .stop()
            .await
            .start_with(|config| {
                config.tls.reload_seconds = 60;
                let ncsc = config.agency.iter_mut().find(|agency| agency.id.as_str() == "ncsc").unwrap();
                ncsc.revocation = RevocationPolicy::Crl;
                ncsc.roots_file = "../ncsc/authority/authority.pem".into();
                ncsc.revocation_lists_file = Some("../ncsc/authority/lists.pem".into());
            })
            .await;
        let file = world.workspace.folder().join("node-one/inspected.toml");
        world.config.write(&file).unwrap();
        let config = ["--config", file.to_str().unwrap()];
        let context = world.workspace.context("ncsc", "watcher", &["auditor"], &PURPOSES, "one", world.node.address);
        let context = Context { certificate_file: "ncsc/made.pem".into(), key_file: "ncsc/made.key".into(), ..context };
        let officer = || context.officer(world.workspace.folder(), world.clock.clone()).unwrap();
        let calls = async |officer: OfficerChannel| {
            LedgerServiceClient::new(officer).get_checkpoint(GetCheckpointRequest {}).await
        };

        let (code, verdict, why) = inspected(&home, &[&["made.pem"], config.as_slice()].concat());
        assert_eq!((code, verdict.as_str()), (0, "accepted"), "{why}");
        assert!(why.contains("as a system of ncsc until"), "{why}");
        let open = officer();
        calls(open.clone()).await.expect("so says the node");

        let published = done(&home, &["revoke", "made.pem"]);
        assert_eq!((published["number"].as_str(), published["revoked"].as_u64()), (Some("2"), Some(1)), "{published}");
        assert_eq!(done(&home, &["revoke", "made.pem", "--serial", "01:02"])["revoked"], 2, "each once");
        let (code, verdict, why) = inspected(&home, &[&["made.pem"], config.as_slice()].concat());
        assert_eq!((code, verdict.as_str()), (1, "turned away"), "{why}");
        assert!(why.contains("Revoked"), "{why}");
        let looked = world.node.rotation.look();
        assert_eq!((looked.refused.len(), looked.ended), (0, 1), "{looked:?}");
        calls(open).await.expect_err("so says the node");
        calls(officer()).await.expect_err("on a new connection, too");

        done(&home, &["renew", "made.pem", "--force"]);
        calls(officer()).await.expect("renewed, it is another certificate");
        world
    });
}

/// A certificate of another name over the same key.
fn renamed(authority: &Authority) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "somebody else");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.self_signed(&KeyPair::from_pem(&authority.key_pem()).unwrap()).unwrap().pem()
}

#[test]
fn inspect_says_of_an_agencys_next_files_what_the_node_says_when_they_are_there() {
    run(Engine::Sqlite, |world: World| async move {
        let at = world.workspace.folder().to_owned();
        let put = |file: &str, text: &str| fs::write(at.join(file), text).unwrap();
        let authority = |agency: &str| world.workspace.authority(agency).unwrap();
        let list = |by: &Authority, number| by.revoke(&[], number, real_now()).unwrap();
        for agency in ["ncsc", "nca", "ico"] {
            put(&format!("{agency}/lists.pem"), &list(authority(agency), 7));
        }
        let [own, root] = ["ncsc", "ico"].map(|agency| authority(agency).root_pem().to_owned());
        let shared = renamed(authority("ico"));
        let next = Authority::new("next", "ncsc.example", real_now()).unwrap();
        for (file, text) in [
            ("shared.pem", shared.as_str()),
            ("ico.pem", root.as_str()),
            ("next.pem", next.root_pem()),
            ("first.pem", list(&next, 1).as_str()),
            ("earlier.pem", list(authority("ncsc"), 6).as_str()),
            ("later.pem", list(authority("ncsc"), 8).as_str()),
            ("moved.pem", next.issue_client("moved", real_now()).unwrap().chain_pem.as_str()),
        ] {
            put(file, text);
        }
        let world = world
            .stop()
            .await
            .start_with(|config| {
                config.tls.reload_seconds = 60;
                for agency in config.agency.iter_mut().filter(|agency| agency.id.as_str() != "ico") {
                    agency.revocation = RevocationPolicy::Crl;
                    agency.revocation_lists_file = Some(format!("../{}/lists.pem", agency.id).into());
                }
            })
            .await;
        let file = at.join("node-one/inspected.toml");
        world.config.write(&file).unwrap();
        let config = ["--config", file.to_str().unwrap()];
        let inspect = |files: &[&str]| inspected(&at, &[files, config.as_slice()].concat());
        let for_ncsc = |files: &[&str]| inspected(&at, &[files, config.as_slice(), &["--agency", "ncsc"]].concat());
        let expect = |(code, verdict, why): (i32, String, String), expected: (i32, &str), words: &str| {
            assert_eq!((code, verdict.as_str()), expected, "{why}");
            assert!(why.contains(words), "{words}: {why}");
            why
        };
        let (well, unjudged, refused) = ((0, "accepted"), (0, "not judged"), (1, "turned away"));

        // A root that another agency has, by its key.
        expect(inspect(&["ico.pem"]), well, "it is a root of ico");
        expect(inspect(&["shared.pem"]), unjudged, "--agency");
        for shared in ["ico.pem", "shared.pem"] {
            let why = expect(for_ncsc(&[shared]), refused, "whoever has the key of");
            put("ncsc/root.pem", &[own.as_str(), &fs::read_to_string(at.join(shared)).unwrap()].concat());
            let said = world.node.rotation.look().refused.join("");
            let told = said.split_once(": ").unwrap().1;
            assert!(why.contains(told), "{shared}: the node says {said}, and inspect {why}");
            put("ncsc/root.pem", &own);
        }

        // A list counts for the agency whose authority signed it, and for no other.
        expect(inspect(&["nca/lists.pem"]), well, "it counts for nca until");
        expect(for_ncsc(&["nca/lists.pem"]), refused, "by none of the agency's authorities");
        expect(inspect(&["ico/lists.pem"]), refused, "short-lived");
        expect(inspect(&["earlier.pem"]), refused, "has the number 6, and 7 is known already");
        expect(for_ncsc(&["later.pem"]), well, "it counts for ncsc until");
        expect(inspect(&["first.pem"]), refused, "by no authority of any agency");

        // The next root, with its list and without, and a system that it issued.
        expect(for_ncsc(&["next.pem"]), well, "but");
        expect(for_ncsc(&["first.pem"]), refused, "by none of the agency's authorities");
        expect(for_ncsc(&["next.pem", "first.pem"]), well, "but");
        let why = expect(for_ncsc(&["next.pem", "first.pem", "ncsc/lists.pem"]), well, "in `roots_file` of ncsc");
        assert!(!why.contains("but"), "{why}");
        expect(for_ncsc(&["first.pem", "next.pem"]), well, "it counts for ncsc until");
        expect(for_ncsc(&["moved.pem"]), refused, "");
        expect(for_ncsc(&["moved.pem", "next.pem", "first.pem"]), well, "as a system of ncsc until");
        put("ncsc/root.pem", &[own.as_str(), next.root_pem()].concat());
        let lists = fs::read_to_string(at.join("ncsc/lists.pem")).unwrap();
        put("ncsc/lists.pem", &list(&next, 1));
        let left_out = world.node.rotation.look().refused.join("");
        assert!(left_out.contains("no list of CN=ncsc development authority in the file counts"), "{left_out}");
        put("ncsc/lists.pem", &[lists, list(&next, 1)].concat());
        assert_eq!(world.node.rotation.look().refused, [""; 0]);

        assert_eq!(for_ncsc(&["ico.pem", "--roots", "ico.pem"]).0, 2);
        assert_eq!(inspected(&at, &["ico.pem", "--agency", "ncsc"]).0, 2);
        let unknown = inspected(&at, &[&["ico.pem"], config.as_slice(), &["--agency", "ofcom"]].concat());
        assert!(unknown.0 == 2 && unknown.2.contains("knows no `ofcom`, but ico, ncsc, nca"), "{unknown:?}");
        world
    });
}
