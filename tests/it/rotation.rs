//! Certificates, roots, revocation lists and token keys that change while the node serves.

mod drill;
mod faults;
mod intermediates;
mod lasts;
mod renewed;
mod status;
mod suspended;
mod withdrawn;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use concordat::client::{Context, OfficerChannel};
use concordat::config::{AgencySection, Config, KeySection, RevocationPolicy};
use concordat::pki::{Authority, Issued, Profile, TokenKeyPair};
use concordat::proto::v1;
use concordat::proto::v1::event_service_client::EventServiceClient;
use concordat::proto::v1::ledger_service_client::LedgerServiceClient;
use concordat::rotation::Looked;
use concordat::tls::Credentials;
use rcgen::SanType;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::harness::{PURPOSES, World, on_both_databases, real_now, request_id, signing};

const WITHIN: Duration = Duration::from_secs(20);

fn of<'a>(config: &'a mut Config, agency: &str) -> &'a mut AgencySection {
    config.agency.iter_mut().find(|section| section.id.as_str() == agency).unwrap()
}

async fn call(officer: &OfficerChannel) -> Result<(), Status> {
    let mut ledger = LedgerServiceClient::new(officer.clone());
    ledger.get_checkpoint(v1::GetCheckpointRequest {}).await.map(|_| ())
}

impl World {
    fn put_file(&self, file: &str, text: &str) {
        fs::write(self.workspace.folder().join(file), text).unwrap();
    }

    fn authority_of(&self, agency: &str) -> &Authority {
        self.workspace.authority(agency).unwrap()
    }

    /// Another system of the agency, by this authority, and an officer who calls by it.
    fn system(&self, agency: &str, by: &Authority, name: &str) -> (Issued, OfficerChannel) {
        let issued = by.issue_client(name, real_now()).unwrap();
        let officer = self.by(agency, name, &issued);
        (issued, officer)
    }

    /// A system with this certificate, from a context in files of its own, as `name`.
    fn context_of(&self, agency: &str, name: &str, issued: &Issued) -> Context {
        let (chain, key) = (format!("{agency}/{name}.pem"), format!("{agency}/{name}.key"));
        self.put_file(&chain, &issued.chain_pem);
        self.put_secret(&key, &issued.key_pem);
        let context = self.workspace.context(agency, "watcher", &["auditor"], &PURPOSES, "one", self.node.address);
        Context { certificate_file: chain.into(), key_file: key.into(), ..context }
    }

    fn by(&self, agency: &str, name: &str, issued: &Issued) -> OfficerChannel {
        self.context_of(agency, name, issued).officer(self.workspace.folder(), self.clock.clone()).unwrap()
    }

    fn put_secret(&self, file: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.put_file(file, text);
        let path = self.workspace.folder().join(file);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The NCSC's authority publishes a list of what it has revoked.
    fn publish_list(&self, revoked: &[&Issued], number: u64) {
        self.put_file("ncsc/lists.pem", &self.authority_of("ncsc").revoke(revoked, number, real_now()).unwrap());
    }

    /// Restarts the node so that the NCSC revokes by lists, and so that it looks at files when the test says so.
    async fn with_lists(self) -> Self {
        self.publish_list(&[], 1);
        self.stop().await.start_with(by_lists).await
    }

    fn looked(&self) -> Looked {
        self.node.rotation.look()
    }

    /// What the node says of a file that it cannot use.
    fn refused(&self) -> String {
        let looked = self.looked();
        assert_eq!((looked.changed.as_slice(), looked.ended), ([].as_slice(), 0), "{looked:?}");
        let [refused] = looked.refused.try_into().unwrap();
        refused
    }

    /// A server certificate for the node, in place of the one that it has.
    fn serve_with(&self, issued: &Issued) {
        self.put_file("node-one/server.pem", &issued.chain_pem);
        self.put_secret("node-one/server.key", &issued.key_pem);
    }

    fn new_server(&self) -> Issued {
        self.authority_of("ico").issue_server(&["localhost", "127.0.0.1"], real_now()).unwrap()
    }
}

fn by_lists(config: &mut Config) {
    config.tls.reload_seconds = 60;
    let ncsc = of(config, "ncsc");
    ncsc.revocation = RevocationPolicy::Crl;
    ncsc.revocation_lists_file = Some("../ncsc/lists.pem".into());
}

const NCSC: &str = "what vouches for the systems of ncsc";
const NODE: &str = "the node's certificate";

on_both_databases! {
    async fn a_revoked_certificate_ends_its_connections_and_no_others(world: World) {
        world = world.with_lists().await;
        let (stolen, thief) = world.system("ncsc", world.authority_of("ncsc"), "stolen");
        let (_, other) = world.system("ncsc", world.authority_of("ncsc"), "other");
        let guest = world.officer("ico", "watcher", &["auditor"]);
        for officer in [&thief, &other, &guest] {
            call(officer).await.unwrap();
        }
        let request = v1::WatchEventsRequest { cursor: String::new() };
        let mut stream = EventServiceClient::new(thief.clone()).watch_events(request).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();

        world.publish_list(&[&stolen], 2);
        let looked = world.looked();
        assert_eq!((looked.changed, looked.refused, looked.ended), (vec![NCSC.to_owned()], vec![], 1));
        // From here on nothing that the thief asks is answered, on the open connection or on a new one.
        call(&thief).await.unwrap_err();
        let ended = timeout(WITHIN, stream.message()).await.expect("the stream ends");
        assert!(ended.is_err(), "{ended:?}");
        call(&world.by("ncsc", "stolen", &stolen)).await.unwrap_err();
        assert_eq!(world.looked(), Looked::default(), "once");
        let open = world.node.connections.list();
        for officer in [&other, &guest] {
            call(officer).await.unwrap();
        }
        let still = world.node.connections.list();
        assert!(open.iter().all(|(_, since)| still.iter().any(|(_, other)| other == since)), "the same connections");
    }

    async fn what_cannot_be_used_leaves_the_last_list_in_place(world: World) {
        world = world.with_lists().await;
        let (stolen, thief) = world.system("ncsc", world.authority_of("ncsc"), "stolen");
        let (_, other) = world.system("ncsc", world.authority_of("ncsc"), "other");
        world.publish_list(&[&stolen], 7);
        assert_eq!(world.looked().changed, [NCSC]);

        let now = real_now();
        let list = |authority: &Authority, number, at| authority.revoke(&[], number, at).unwrap();
        let ncsc = world.authority_of("ncsc");
        let stranger = Authority::new("ncsc", "ncsc.example", now).unwrap();
        for (text, problem) in [
            ("", "there is no revocation list"),
            ("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "no revocation list that can be read"),
            (list(world.authority_of("ico"), 8, now).as_str(), "by none of the agency's authorities"),
            (list(&stranger, 8, now).as_str(), "isn't signed with that authority's key"),
            (list(ncsc, 6, now).as_str(), "has the number 6, and 7 is known already"),
            (list(ncsc, 8, now.plus_days(-2)).as_str(), "ended at"),
            (list(ncsc, 8, now.plus_days(2)).as_str(), "still to come"),
        ] {
            world.put_file("ncsc/lists.pem", text);
            let refused = world.refused();
            assert!(refused.contains(problem) && refused.contains("lists.pem"), "{problem}: {refused}");
            call(&thief).await.expect_err("it stays revoked");
            call(&other).await.expect("nobody else is touched");
        }
        fs::remove_file(world.workspace.folder().join("ncsc/lists.pem")).unwrap();
        assert!(world.refused().contains("lists.pem: No such file"));
        call(&thief).await.unwrap_err();

        // A node that starts without a list that counts stops that agency, and serves the others.
        world.put_file("ncsc/lists.pem", &list(ncsc, 8, now.plus_days(-2)));
        world = world.restart().await;
        call(&world.officer("ncsc", "watcher", &["auditor"])).await.expect_err("nobody knows what was revoked");
        call(&world.officer("ico", "watcher", &["auditor"])).await.unwrap();
        world.publish_list(&[&stolen], 9);
        assert_eq!(world.looked().changed, [NCSC]);
        call(&world.officer("ncsc", "watcher", &["auditor"])).await.unwrap();
        call(&world.by("ncsc", "stolen", &stolen)).await.unwrap_err();
    }

    async fn what_is_wrong_with_one_set_or_list_holds_up_no_other(world: World) {
        world = world.with_lists().await;
        let (stolen, thief) = world.system("ncsc", world.authority_of("ncsc"), "stolen");
        call(&thief).await.unwrap();
        let ncsc = world.authority_of("ncsc");
        let next = Authority::new("next", "ncsc.example", real_now()).unwrap();
        world.put_file("ncsc/root.pem", &format!("{}{}", ncsc.root_pem(), next.root_pem()));
        let list = |authority: &Authority, revoked: &[&Issued], number, at| authority.revoke(revoked, number, at).unwrap();
        world.put_file("ncsc/lists.pem", &(list(ncsc, &[], 2, real_now()) + &list(&next, &[], 5, real_now())));
        assert_eq!(world.looked(), Looked { changed: vec![NCSC.into()], ..Looked::default() });
        let (_, moved) = world.system("ncsc", &next, "moved");
        call(&moved).await.unwrap();

        // The node's key is another certificate's, another agency's root is none, the second authority's list has ended,
        // and an older list stands before and after the one that revokes.
        world.put_secret("node-one/server.key", &world.new_server().key_pem);
        world.put_file("ico/root.pem", &world.new_server().chain_pem);
        let old = list(ncsc, &[], 1, real_now());
        let revoking = list(ncsc, &[&stolen], 3, real_now());
        let ended = list(&next, &[], 6, real_now().plus_days(-2));
        world.put_file("ncsc/lists.pem", &[old.as_str(), &revoking, &old, &ended].concat());
        let looked = world.looked();
        assert_eq!((looked.changed.as_slice(), looked.ended), ([NCSC.to_owned()].as_slice(), 1), "{looked:?}");
        let refused = looked.refused.join("\n");
        for problem in ["private key isn't", "root certificate 1 is not", "number 1, and 3 is known", "ended at"] {
            assert!(refused.contains(problem), "{problem}: {refused}");
        }
        call(&thief).await.expect_err("revoked");
        call(&moved).await.expect("by the last list of its authority, which counts");
        assert_eq!(world.looked().changed, [""; 0], "once");

        // An authority that is taken out is out, whatever its list; and no number is forgotten meanwhile.
        world.put_file("ncsc/root.pem", ncsc.root_pem());
        let looked = world.looked();
        assert_eq!((looked.changed, looked.ended), (vec![NCSC.to_owned()], 1));
        call(&moved).await.unwrap_err();
        world.put_file("ncsc/lists.pem", "");
        assert!(world.looked().refused.join("").contains("there is no revocation list"));
        world.publish_list(&[], 2);
        assert!(world.looked().refused.join("").contains("number 2, and 3 is known"));
        call(&world.by("ncsc", "stolen", &stolen)).await.unwrap_err();
    }

    async fn a_connection_ends_with_the_certificate_that_it_was_made_with(world: World) {
        let profile = Profile::client("spiffe://ncsc.example/short", real_now()).unwrap();
        let ends = real_now().plus_seconds(4);
        let issued = world.authority_of("ncsc").issue(&Profile { not_after: ends, ..profile }).unwrap();
        let (short, other) = (world.by("ncsc", "short", &issued), world.officer("ncsc", "watcher", &["auditor"]));
        for officer in [&short, &other] {
            call(officer).await.unwrap();
        }
        let ended = async {
            loop {
                // Only the machine's clock ends it: the node's own is a hundred days behind.
                if world.looked().ended > 0 {
                    break;
                }
                call(&other).await.unwrap();
            }
        };
        timeout(WITHIN, ended).await.expect("it ends");
        assert!(real_now() >= ends);
        call(&short).await.unwrap_err();
        call(&other).await.unwrap();
    }

    async fn an_authority_is_replaced_while_both_are_trusted(world: World) {
        world = world.stop().await.start_with(|config| config.tls.reload_seconds = 60).await;
        let new = Authority::new("ncsc 2", "ncsc.example", real_now()).unwrap();
        let old = world.officer("ncsc", "watcher", &["auditor"]);
        call(&old).await.unwrap();
        call(&world.system("ncsc", &new, "early").1).await.expect_err("nobody trusts it yet");

        let both = format!("{}{}", world.authority_of("ncsc").root_pem(), new.root_pem());
        world.put_file("ncsc/root.pem", &both);
        assert_eq!(world.looked(), Looked { changed: vec![NCSC.into()], ..Looked::default() });
        let (_, moved) = world.system("ncsc", &new, "moved");
        for officer in [&old, &moved] {
            call(officer).await.unwrap();
        }
        // An authority that is another agency's would name its systems: nothing of the file is taken.
        world.put_file("ncsc/root.pem", &format!("{both}{}", world.authority_of("ico").root_pem()));
        assert!(world.refused().contains("ncsc and ico: whoever has the key of"));

        world.put_file("ncsc/root.pem", new.root_pem());
        assert_eq!(world.looked(), Looked { changed: vec![NCSC.into()], refused: vec![], ended: 1, ageing: vec![] });
        call(&old).await.unwrap_err();
        call(&moved).await.unwrap();
    }

    async fn the_nodes_certificate_is_replaced_whole_or_not_at_all(world: World) {
        world = world.stop().await.start_with(|config| config.tls.reload_seconds = 60).await;
        let open = world.officer("ico", "watcher", &["auditor"]);
        call(&open).await.unwrap();
        let [first, second] = [world.new_server(), world.new_server()];
        let day = |days| real_now().plus_days(days);
        let server = |profile: Profile| world.authority_of("ico").issue(&profile).unwrap();
        let good = || Profile::server(&["localhost"], real_now()).unwrap();
        let expired = server(Profile { not_before: day(-2), not_after: day(-1), ..good() });
        let early = server(Profile { not_before: day(1), not_after: day(2), ..good() });
        let nameless = server(Profile { names: vec![SanType::URI("spiffe://ico.example/a".try_into().unwrap())], ..good() });
        let clients = world.authority_of("ico").issue_client("a", real_now()).unwrap();
        for (chain, key, problem) in [
            (&first.chain_pem, &second.key_pem, "private key isn't"),
            (&first.chain_pem, &first.chain_pem, "private key"),
            (&expired.chain_pem, &expired.key_pem, "has expired"),
            (&early.chain_pem, &early.key_pem, "isn't valid yet"),
            (&nameless.chain_pem, &nameless.key_pem, "no DNS name"),
            (&clients.chain_pem, &clients.key_pem, "no DNS name"),
        ] {
            world.put_file("node-one/server.pem", chain);
            world.put_secret("node-one/server.key", key);
            let refused = world.refused();
            assert!(refused.starts_with(NODE) && refused.contains(problem), "{problem}: {refused}");
            call(&world.officer("ncsc", "watcher", &["auditor"])).await.expect("the last one is shown");
        }
        world.serve_with(&first);
        assert_eq!(world.looked(), Looked { changed: vec![NODE.into()], ..Looked::default() });
        call(&open).await.expect("an open connection stays");
        // By an authority that clients of the context do not know, so that it shows which one they meet.
        let elsewhere = Authority::new("elsewhere", "elsewhere.example", real_now()).unwrap();
        world.serve_with(&elsewhere.issue_server(&["localhost"], real_now()).unwrap());
        assert_eq!(world.looked().changed, [NODE]);
        call(&world.officer("ico", "watcher", &["auditor"])).await.expect_err("the new one is met");
        call(&open).await.expect("an open connection stays");
    }

    async fn token_keys_are_replaced_while_both_are_known(world: World) {
        let [old, new] = [(); 2].map(|()| TokenKeyPair::generate().unwrap());
        world.put_file("ncsc/token-2.pem", &old.public_pem);
        world = world
            .stop()
            .await
            .start_with(|config| {
                config.tls.reload_seconds = 60;
                let key = KeySection { kid: "ncsc-2".into(), public_key_file: "../ncsc/token-2.pem".into() };
                of(config, "ncsc").issuer[0].key.push(key);
            })
            .await;
        let signed_by = |pair: &TokenKeyPair, name: &str| {
            world.put_secret(&format!("ncsc/{name}.key"), &pair.private_pem);
            let mut context = world.workspace.context("ncsc", "watcher", &["auditor"], &[], "one", world.node.address);
            let section = signing(&mut context);
            (section.key_file, section.kid) = (PathBuf::from(format!("ncsc/{name}.key")), "ncsc-2".into());
            context.officer(world.workspace.folder(), world.clock.clone()).unwrap()
        };
        let (by_old, by_new) = (signed_by(&old, "old"), signed_by(&new, "new"));
        call(&by_old).await.unwrap();
        assert_eq!(call(&by_new).await.unwrap_err().code(), Code::Unauthenticated);
        world.put_file("ncsc/token-2.pem", "not a key");
        assert!(world.refused().contains("token-2.pem"), "{:?}", world.looked());
        call(&by_old).await.unwrap();

        world.put_file("ncsc/token-2.pem", &new.public_pem);
        assert_eq!(world.looked().changed, ["the token keys of ncsc"]);
        assert_eq!(call(&by_old).await.unwrap_err().code(), Code::Unauthenticated);
        call(&by_new).await.unwrap();
        call(&world.officer("ncsc", "watcher", &["auditor"])).await.expect("the other key stays");
    }

    async fn a_key_that_everybody_can_read_is_not_taken(world: World) {
        use std::os::unix::fs::PermissionsExt;
        let key = world.workspace.folder().join("node-one/server.key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let stopped = world.stop().await;
        let problem = stopped.try_start().await.unwrap_err().to_string();
        assert!(problem.contains("server.key: every user of this machine may use it (mode 644)"), "{problem}");
        world = stopped.start_with(|config| config.tls.allow_readable_keys = true).await;
        call(&world.officer("ico", "watcher", &["auditor"])).await.unwrap();
    }
}

/// Prints how long something took: the median and the longest.
fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (half, longest) = (times.get(times.len() / 2), times.last());
    println!(
        "{what}: p50 {:?}, max {:?}, n {}",
        half.unwrap_or(&Duration::ZERO),
        longest.unwrap_or(&Duration::ZERO),
        times.len()
    );
}
