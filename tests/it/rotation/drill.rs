//! The drill: everything that can rotate does, again and again, under calls that never fail; and whoever is left
//! behind is turned away each time.
//!
//! The node finds by itself what has changed: it looks every second, and says what is in place once a look is
//! through. From that moment on no call is accepted that what it found turns away.

mod family;
mod keys;
mod load;
mod outcasts;

use std::collections::BTreeMap;
use std::time::Instant;

use concordat::domain::Digest;
use concordat::rotation::{AgencyStatus, Status as InPlace};
use concordat::tls::Credentials;
use tokio::time::sleep;

use self::family::Family;
use self::load::{Edition, Load};
use self::outcasts::Outcast;
use super::*;
use crate::replicas::times;

/// How long callers wait between two calls, so that it is the node that is kept busy.
const PACE: Duration = Duration::from_millis(20);

/// How long after a look nobody is answered or connected any more whom it turns away.
const PROMISED: Duration = Duration::from_secs(1);

/// How much longer it may be once, where the machine has others to serve.
const BUSY: u32 = 4;

/// The keys that sign the NCSC's tokens in turn: `kid`, public half and private half.
const KEYS: [(&str, &str, &str); 2] =
    [("ncsc-1", "ncsc/token.pem", "ncsc/token.key"), ("ncsc-2", "ncsc/token-2.pem", "ncsc/token-2.key")];

/// How long each thing took of each kind that was turned away.
#[derive(Debug, Default)]
struct Measured(BTreeMap<(&'static str, &'static str), Vec<Duration>>);

impl Measured {
    fn add(&mut self, kind: &'static str, what: &'static str, took: Duration) {
        self.0.entry((kind, what)).or_default().push(took);
    }

    /// Prints a line of JSON for each kind, and holds what is measured from a look to what is promised.
    fn tell(mut self) {
        let mut lines: BTreeMap<&str, serde_json::Value> = BTreeMap::new();
        for ((kind, what), times) in &mut self.0 {
            times.sort();
            let (half, most) = (times[times.len() / 2], *times.last().unwrap());
            let line = lines.entry(*kind).or_insert_with(|| serde_json::json!({ "drill": kind, "n": times.len() }));
            line[format!("{what}, ms")] = serde_json::json!({ "p50": half.as_millis(), "max": most.as_millis() });
            let is_promised = !what.starts_with("from the look") || half <= PROMISED && most <= PROMISED * BUSY;
            assert!(is_promised, "{kind}, {what}: {half:?}, at most {most:?}");
        }
        for line in lines.values() {
            println!("{line}");
        }
    }
}

impl World {
    /// Puts a file in the place of another whole, as docs/rotation.md has it.
    fn replace(&self, file: &str, text: &str) {
        let beside = format!("{file}.new");
        self.put_secret(&beside, text);
        let folder = self.workspace.folder();
        fs::rename(folder.join(beside), folder.join(file)).unwrap();
    }

    /// Waits until the node has looked by itself and has this in place; gives the moment in which that was seen.
    async fn in_place(&self, so: impl Fn(&InPlace, &AgencyStatus) -> bool) -> Instant {
        let seen = async {
            loop {
                let status = self.node.rotation.status();
                if so(&status, status.agencies.iter().find(|one| one.agency.as_str() == "ncsc").unwrap()) {
                    return Instant::now();
                }
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(WITHIN, seen).await.unwrap_or_else(|_| panic!("never in place: {:?}", self.node.rotation.status()))
    }

    /// Waits until every system of the NCSC is connected by this certificate, as many as call there, but for this one.
    async fn moved(&self, to: &Digest, but: &Digest) {
        let moved = async {
            loop {
                let open = self.node.connections.list();
                let ours = || open.iter().filter(|(peer, _)| peer.agency().as_str() == "ncsc");
                let new = ours().filter(|(peer, _)| peer.fingerprint() == to).count();
                let old = ours().filter(|(peer, _)| ![to, but].contains(&peer.fingerprint())).count();
                if new >= Load::OF_NCSC && old == 0 {
                    return;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(WITHIN, moved).await.expect("each system moves to its new certificate");
    }

    /// The systems of the NCSC call with this certificate from the moment in which they find it.
    fn issue_to_systems(&self, family: &Family) -> Digest {
        let issued = family.issue(&family.systems, "case-system");
        self.replace("ncsc/client.pem", &issued.chain_pem);
        self.replace("ncsc/client.key", &issued.key_pem);
        fingerprint(&issued)
    }

    /// A context with this certificate, whose tokens this key signs.
    fn signing_context(&self, name: &str, issued: &Issued, (kid, key): (&str, &str)) -> Context {
        let mut context = self.context_of("ncsc", name, issued);
        let section = signing(&mut context);
        (section.kid, section.key_file) = (kid.to_owned(), key.into());
        context
    }
}

fn fingerprint(issued: &Issued) -> Digest {
    Credentials::from_pem(&issued.chain_pem, &issued.key_pem).unwrap().fingerprint()
}

/// How many lists with this number count.
fn lists(agency: &AgencyStatus, number: &str) -> usize {
    agency.lists.iter().flatten().filter(|list| list.number == number).count()
}

/// Everything is replaced once; gives who vouches for the NCSC's systems from then on.
async fn round(world: &World, load: &Load, old: Family, measured: &mut Measured) -> Family {
    let number = old.round + 1;
    let new = Family::new(number);
    let (in_use, idle) = (KEYS[load.edition().key], KEYS[1 - load.edition().key]);
    let context = |name: &str, issued: &Issued| world.signing_context(name, issued, (in_use.0, in_use.2));

    let revoked = old.issue(&old.root, "revoked");
    let below_revoked = old.issue(&old.fallen, "below-revoked");
    let laggard = old.issue(&old.root, "laggard");
    let former = old.issue(&old.systems, "former");
    world.put_secret("ncsc/former-token.key", &fs::read_to_string(world.workspace.folder().join(idle.2)).unwrap());
    let signer = world.signing_context("former", &former, (idle.0, "ncsc/former-token.key"));
    let turned_away = [
        ("a certificate that is revoked", Outcast::begin(world, context("revoked", &revoked), true).await),
        ("a revoked intermediate", Outcast::begin(world, context("below-revoked", &below_revoked), true).await),
        ("a token key that is replaced", Outcast::begin(world, signer, false).await),
    ];
    let left_behind = Outcast::begin(world, context("laggard", &laggard), true).await;

    // Both roots, the next intermediates, everybody's lists, another server certificate, and another key in the place
    // of the one that signed before this one.
    let (server, tokens) = (world.new_server(), TokenKeyPair::generate().unwrap());
    world.replace(idle.1, &tokens.public_pem);
    world.replace("node-one/server.pem", &server.chain_pem);
    world.replace("node-one/server.key", &server.key_pem);
    world.replace("ncsc/root.pem", &[old.root.root_pem(), new.root.root_pem()].concat());
    world.replace("ncsc/intermediates.pem", &[old.intermediates(), new.intermediates()].concat());
    world.replace("ncsc/lists.pem", &[old.lists(2, &[&revoked]), new.lists(1, &[])].concat());
    let (placed, server) = (Instant::now(), fingerprint(&server));
    let are_both = |ncsc: &AgencyStatus| ncsc.roots.len() == 2 && (lists(ncsc, "1"), lists(ncsc, "2")) == (3, 3);
    let looked = world.in_place(|status, ncsc| status.node.fingerprint == server && are_both(ncsc)).await;
    for (kind, outcast) in turned_away {
        outcast.turned_away(kind, (placed, looked), measured).await;
    }

    // The callers sign with the other key, then find their new certificates, below the new intermediate.
    world.replace(idle.2, &tokens.private_pem);
    load.move_to(Edition { key: 1 - load.edition().key, ..load.edition() }).await;
    let certificate = world.issue_to_systems(&new);
    world.moved(&certificate, &fingerprint(&laggard)).await;

    // Nobody but who did not follow is connected by the old root: it may go.
    world.replace("ncsc/lists.pem", &new.lists(1, &[]));
    world.replace("ncsc/intermediates.pem", &new.intermediates());
    world.replace("ncsc/root.pem", new.root.root_pem());
    let placed = Instant::now();
    let looked = world.in_place(|_, ncsc| ncsc.roots.len() == 1 && lists(ncsc, "1") == 3).await;
    left_behind.turned_away("a root that is gone", (placed, looked), measured).await;
    new
}

on_both_databases! {
    async fn nothing_fails_while_everything_rotates(world: World) {
        let mut family = Family::new(0);
        let pair = TokenKeyPair::generate().unwrap();
        world.put_file(KEYS[1].1, &pair.public_pem);
        world.put_secret(KEYS[1].2, &pair.private_pem);
        world.put_file("ncsc/root.pem", family.root.root_pem());
        world.put_file("ncsc/intermediates.pem", &family.intermediates());
        world.put_file("ncsc/lists.pem", &family.lists(1, &[]));
        world.issue_to_systems(&family);
        world = world
            .stop()
            .await
            .start_with(|config| {
                by_lists(config);
                config.tls.reload_seconds = 1;
                // Who says nothing is cut for nothing else.
                config.limits.first_request_seconds = 900;
                let ncsc = of(config, "ncsc");
                ncsc.intermediates_file = Some("../ncsc/intermediates.pem".into());
                let file = PathBuf::from("..").join(KEYS[1].1);
                ncsc.issuer[0].key.push(KeySection { kid: KEYS[1].0.into(), public_key_file: file });
            })
            .await;
        let load = Load::begin(&world, false).await;
        let (mut measured, rounds) = (Measured::default(), times("CONCORDAT_ROTATIONS", 3, 100));
        for _ in 0..rounds {
            family = round(&world, &load, family, &mut measured).await;
        }
        measured.tell();
        load.end(rounds).await;
    }
}
