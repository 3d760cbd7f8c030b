//! What a node says of its certificates, roots, lists and keys.

use concordat::pki::List;
use concordat::proto::v1::admin_service_client::AdminServiceClient;
use concordat::proto::v1::{AgencyTrust, GetTlsStatusRequest, GetTlsStatusResponse};
use concordat::tls::Life;

use super::*;
use crate::cli;

fn trust(status: &GetTlsStatusResponse, agency: &str) -> AgencyTrust {
    status.agencies.iter().find(|one| one.agency == agency).unwrap().clone()
}

fn counts(agency: &AgencyTrust) -> Vec<(Option<u32>, Option<u32>)> {
    agency.roots.iter().map(|root| (root.connections, root.post_quantum_connections)).collect()
}

on_both_databases! {
    async fn it_is_told_when_half_and_when_four_fifths_of_a_lists_life_are_over(world: World) {
        world = world.with_lists().await;
        assert_eq!(world.looked().ageing, []);
        let authority = world.authority_of("ncsc");
        let publish = |number: u8, hours_ago: i64, hours_left: i64| {
            let list = List { number: number.into(), revoked: vec![] };
            let hours = |hours: i64| real_now().plus_seconds(hours * 3_600);
            world.put_file("ncsc/lists.pem", &authority.publish(&list, hours(hours_left), hours(-hours_ago)).unwrap());
            let looked = world.looked();
            assert!(looked.refused.is_empty(), "{looked:?}");
            looked.ageing.into_iter().map(|(name, life)| (name.contains("list of ncsc"), life)).collect::<Vec<_>>()
        };
        assert_eq!(publish(2, 4, 6), []);
        assert_eq!(publish(3, 6, 4), [(true, Life::HalfOver)]);
        assert_eq!(publish(4, 6, 4), [], "once");
        assert_eq!(publish(5, 9, 1), [(true, Life::NearlyOver)]);
        assert_eq!(publish(6, 1, 9), [], "a new one");
        assert_eq!(publish(7, 6, 4), [(true, Life::HalfOver)], "whose life is told of as well");
    }

    async fn an_operator_sees_what_is_in_place_and_whether_the_old_root_may_go(world: World) {
        world = world.with_lists().await;
        let next = Authority::new("next", "ncsc.example", real_now()).unwrap();
        let old = world.authority_of("ncsc");
        world.put_file("ncsc/root.pem", &format!("{}{}", old.root_pem(), next.root_pem()));
        world.put_file("ncsc/lists.pem", &[old, &next].map(|one| one.revoke(&[], 7, real_now()).unwrap()).concat());
        world.looked();
        let (_, staying) = world.system("ncsc", world.authority_of("ncsc"), "staying");
        let (_, moved) = world.system("ncsc", &next, "moved");
        for officer in [&staying, &moved] {
            call(officer).await.unwrap();
        }
        let mut operator = world.admin("ncsc");
        let status = operator.get_tls_status(GetTlsStatusRequest {}).await.unwrap().into_inner();
        let ncsc = trust(&status, "ncsc");
        // The operator's own connection is by the old root, too.
        assert_eq!(counts(&ncsc), [(Some(2), Some(2)), (Some(1), Some(1))]);
        let lists: Vec<_> = ncsc.lists.iter().map(|list| (list.number.as_str(), list.life_passed_percent)).collect();
        assert_eq!(lists, [("7", 0), ("7", 0)]);
        assert_eq!((ncsc.token_keys.len(), ncsc.trust_files.as_ref().unwrap().problem.as_str()), (1, ""));
        assert_eq!(status.node.as_ref().unwrap().fingerprint.len(), 64);
        // Of another agency that keeps its records here: on what it relies, not how busy it is.
        assert_eq!(counts(&trust(&status, "ico")), [(None, None)]);
        assert!(!trust(&status, "ico").by_lists);
        assert_eq!(status.looked_too_long_ago, Some(false));

        let (rotation, looked_at) = (&world.node.rotation, world.node.rotation.status().looked_at);
        let every = i64::try_from(world.config.tls.reload_seconds).unwrap();
        assert!(rotation.has_looked_of_late(looked_at.plus_seconds(3 * every)));
        assert!(!rotation.has_looked_of_late(looked_at.plus_seconds(3 * every + 30)), "a volume that hangs is noticed");

        // One who has moved needs the old root no more; what cannot be used is said with what to do.
        drop(staying);
        world.put_file("ncsc/lists.pem", "");
        world.looked();
        let gone = async {
            loop {
                let status = operator.get_tls_status(GetTlsStatusRequest {}).await.unwrap().into_inner();
                let ncsc = trust(&status, "ncsc");
                if counts(&ncsc)[0].0 == Some(1) {
                    return ncsc;
                }
            }
        };
        let ncsc = timeout(WITHIN, gone).await.expect("its connection is gone");
        let files = ncsc.trust_files.unwrap();
        assert!(files.problem.contains("there is no revocation list") && files.problem_since.is_some(), "{files:?}");
        assert_eq!(ncsc.lists.len(), 2, "the last ones count");
        let mut requester = AdminServiceClient::new(world.officer("ncsc", "req", &["requester"]));
        let turned_away = requester.get_tls_status(GetTlsStatusRequest {}).await;
        assert_eq!(turned_away.unwrap_err().code(), Code::PermissionDenied);

        // The command's tokens are made by the machine's clock. The node's is ahead: none of them is from its future.
        world.hand.set(real_now().plus_seconds(150));
        let context = world.workspace.context("ncsc", "op", &["operator"], &PURPOSES, "one", world.node.address);
        let file = world.workspace.write_context("ncsc-op", &context).unwrap();
        let output = tokio::task::spawn_blocking(move || {
            ["json", "table"].map(|format| cli::concordat(&["tls", "status", "--context", cli::text(&file), "-o", format]))
        });
        let [json, table] = output.await.unwrap();
        assert_eq!(cli::exit(&json), 1, "not all is in place: {json:?}");
        let said: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(said["agencies"].as_array().unwrap().len(), 3, "{said}");
        let shown = String::from_utf8(table.stdout).unwrap();
        for part in ["may it go?", "post-quantum", "Not all that is on disk can be used"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}
