//! The last revocation list of each authority: nothing brings an earlier one back, neither a restart nor another replica.

use std::collections::BTreeMap;

use concordat::domain::{LastList, ListStand};

use super::*;

impl World {
    /// The numbers that are kept, by agency, in their order.
    async fn kept(&self) -> BTreeMap<String, Vec<u64>> {
        let mut kept: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for LastList { agency, stand, .. } in self.node.exchange().last_lists().await.unwrap() {
            let number = *stand.number.last_chunk().unwrap();
            kept.entry(agency.to_string()).or_default().push(u64::from_be_bytes(number));
        }
        for numbers in kept.values_mut() {
            numbers.sort_unstable();
        }
        kept
    }

    /// Waits until these are the NCSC's.
    async fn until_kept(&self, numbers: &[u64]) {
        let kept = async { while self.kept().await.get("ncsc").map(Vec::as_slice) != Some(numbers) {} };
        timeout(WITHIN, kept).await.expect("the last lists are kept");
    }
}

on_both_databases! {
    async fn an_earlier_list_is_not_believed_after_a_restart_nor_when_its_authority_comes_back(world: World) {
        world = world.with_lists().await;
        world.until_kept(&[1]).await;
        let (stolen, thief) = world.system("ncsc", world.authority_of("ncsc"), "stolen");
        call(&thief).await.unwrap();
        world.publish_list(&[&stolen], 300);
        assert_eq!(world.looked().ended, 1);
        world.until_kept(&[300]).await;

        // The file of yesterday, from which the certificate is missing, and which still counts by itself.
        world.publish_list(&[], 2);
        world = world.restart().await;
        let thief = || world.by("ncsc", "stolen", &stolen);
        call(&thief()).await.expect_err("what was revoked stays so");
        call(&world.officer("ncsc", "watcher", &["auditor"])).await.expect_err("nobody knows what else was revoked");
        call(&world.officer("ico", "watcher", &["auditor"])).await.expect("nobody else is touched");
        let refused = world.refused();
        assert!(refused.contains("has the number 2, and 300 is known already"), "{refused}");
        assert_eq!(world.kept().await["ncsc"], [300]);

        // Another authority beside it, taken out, and put back with an earlier list after a restart.
        let next = Authority::new("next", "ncsc.example", real_now()).unwrap();
        let own = world.authority_of("ncsc");
        let list = |authority: &Authority, revoked: &[&Issued], number| authority.revoke(revoked, number, real_now()).unwrap();
        let both = [own.root_pem(), next.root_pem()].concat();
        let (left, leaver) = world.system("ncsc", &next, "left");
        world.put_file("ncsc/root.pem", &both);
        world.put_file("ncsc/lists.pem", &[list(own, &[&stolen], 300), list(&next, &[&left], 5)].concat());
        assert_eq!(world.looked().changed, [NCSC]);
        call(&leaver).await.unwrap_err();
        world.until_kept(&[5, 300]).await;
        world.put_file("ncsc/lists.pem", &list(own, &[&stolen], 300));
        let left_out = world.looked().refused.join("");
        assert!(left_out.contains("no list of CN=next development authority in the file counts"), "{left_out}");
        call(&leaver).await.expect_err("its last list counts");
        world.put_file("ncsc/root.pem", own.root_pem());
        world.put_file("ncsc/lists.pem", &list(own, &[&stolen], 301));
        assert_eq!(world.looked().changed, [NCSC]);
        let back = [list(own, &[&stolen], 301), list(&next, &[], 4)].concat();
        for restarted in [false, true] {
            if restarted {
                world.until_kept(&[5, 301]).await;
                world.put_file("ncsc/root.pem", own_root(&world));
                world = world.restart().await;
            }
            world.put_file("ncsc/root.pem", &both);
            world.put_file("ncsc/lists.pem", &back);
            let looked = world.looked();
            assert!(looked.refused.join("").contains("number 4, and 5 is known"), "{restarted}: {looked:?}");
            call(&world.by("ncsc", "left", &left)).await.expect_err("revoked by the list before it was taken out");
            call(&world.officer("ncsc", "watcher", &["auditor"])).await.expect("its own list counts");
        }

        // One that was built anew has another key, and begins with the first number again; under a name of its own beside it,
        // under the same one in its place.
        let anew = Authority::new("next", "ncsc.example", real_now()).unwrap();
        world.put_file("ncsc/root.pem", &[own_root(&world), anew.root_pem()].concat());
        world.put_file("ncsc/lists.pem", &[list(world.authority_of("ncsc"), &[&stolen], 301), list(&anew, &[], 1)].concat());
        let looked = world.looked();
        assert_eq!((looked.changed, looked.refused), (vec![NCSC.to_owned()], vec![]));
        call(&world.system("ncsc", &anew, "anew").1).await.unwrap();
        world.until_kept(&[1, 5, 301]).await;
    }

    async fn replicas_share_the_last_lists_and_none_makes_them_lower(world: World) {
        world = world.with_lists().await;
        world.until_kept(&[1]).await;
        let [mut one] = world.node.exchange().last_lists().await.unwrap().try_into().unwrap();
        let begun = one.stand.this_update;
        let at = |number: u64, later| {
            let mut octets = [0; 20];
            octets[12..].copy_from_slice(&number.to_be_bytes());
            ListStand { number: octets, this_update: begun.plus_seconds(later) }
        };
        let stands = [at(256, 0), at(255, 9), at(256, -1), at(256, 5), at(2, 99)];
        let mut highest = one.stand;
        for stand in stands {
            one.stand = stand;
            highest = highest.max(stand);
            world.node.exchange().note_last_lists(vec![one.clone()]).await.unwrap();
            assert_eq!(world.node.exchange().last_lists().await.unwrap()[0].stand, highest);
        }
        assert_eq!(highest, at(256, 5));

        // What another replica had in place is learned of; what is in place here stays, and no list before the other's is taken.
        assert_eq!(world.node.rotation.learn(&world.node.exchange().last_lists().await.unwrap()), []);
        call(&world.officer("ncsc", "watcher", &["auditor"])).await.unwrap();
        // A list after the one that is in place takes more back, though a yet later one is known elsewhere; a node that starts
        // is not to believe it.
        let (stolen, thief) = world.system("ncsc", world.authority_of("ncsc"), "stolen");
        call(&thief).await.unwrap();
        world.publish_list(&[&stolen], 255);
        assert_eq!(world.looked().changed, [NCSC]);
        call(&thief).await.expect_err("revoked by it");
        call(&world.officer("ncsc", "watcher", &["auditor"])).await.expect("by the list that is in place");
        world = world.restart().await;
        assert!(world.refused().contains("has the number 255, and 256 is known already"));
        call(&world.officer("ncsc", "watcher", &["auditor"])).await.expect_err("stopped");
        world.publish_list(&[&stolen], 257);
        assert_eq!(world.looked().changed, [NCSC]);
        world.until_kept(&[257]).await;
    }
}

fn own_root(world: &World) -> &str {
    world.authority_of("ncsc").root_pem()
}
