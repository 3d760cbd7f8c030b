//! How much is enough: calls in a second, and files that a process may have open.

use std::time::{Duration, Instant};

use concordat::client::OfficerChannel;
use concordat::proto::v1::authorisation_service_client::AuthorisationServiceClient;
use concordat::proto::v1::ledger_service_client::LedgerServiceClient;
use concordat::proto::v1::{GetCheckpointRequest, RevokeAuthorisationRequest};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::io::AsyncWriteExt as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::peers::Plan;
use crate::harness::{Engine, World, request_id, run, to_its_end};
use crate::program::Program;

async fn call(officer: &OfficerChannel) -> Result<(), Status> {
    LedgerServiceClient::new(officer.clone()).get_checkpoint(GetCheckpointRequest {}).await.map(drop)
}

/// How many calls went through before one was turned away, and whose limit that was.
async fn until_turned_away(officer: &OfficerChannel) -> (usize, String) {
    for count in 0..100 {
        let Err(status) = call(officer).await else { continue };
        let details = status.get_error_details();
        let (why, wait) = (details.error_info().unwrap(), details.retry_info().and_then(|told| told.retry_delay));
        assert_eq!((status.code(), &*why.reason), (Code::ResourceExhausted, "RATE_LIMITED"));
        assert!(wait.is_some_and(|wait| wait > Duration::ZERO && wait <= Duration::from_secs(1)), "{status:?}");
        return (count, why.metadata["who"].clone());
    }
    panic!("nobody was turned away");
}

#[test]
fn who_calls_too_often_is_told_so_and_nobody_else_is() {
    to_its_end(|| async {
        let limited = |config: &mut concordat::config::Config| {
            (config.limits.agency_calls_per_second, config.limits.officer_calls_per_second) = (2, 1);
        };
        let world = World::start_with(Engine::Sqlite, limited).await.unwrap();
        let officer = |agency: &str, name: &str| world.officer(agency, name, &["auditor"]);
        let (one, two, three) = (officer("ico", "one"), officer("ico", "two"), officer("ico", "three"));
        // Ten seconds' worth at once; what a slow machine gives back meanwhile comes on top.
        let (count, who) = until_turned_away(&one).await;
        assert!((10..20).contains(&count) && who == "officer", "{count} calls, by the limit of the {who}");
        call(&two).await.expect("another officer of the same agency");
        let (count, who) = until_turned_away(&two).await;
        assert!((5..20).contains(&count), "{count} calls, by the limit of the {who}");
        let (_, who) = until_turned_away(&three).await;
        assert_eq!(who, "agency", "two officers have used up what is for all");
        let revocation = RevokeAuthorisationRequest { request_id: request_id(), authorisation_id: "none".into() };
        let authoriser = world.officer("ico", "one", &["authoriser"]);
        let revoked = AuthorisationServiceClient::new(authoriser).revoke_authorisation(revocation).await.unwrap_err();
        assert_ne!(revoked.code(), Code::ResourceExhausted, "what takes a permission away is kept out by nothing else");
        call(&officer("ncsc", "one")).await.expect("another agency has its own");
        world.finish().await;
    });
}

#[test]
fn without_descriptors_the_node_makes_room_and_goes_on() {
    run(Engine::Sqlite, |world: World| async move {
        let file = world.workspace.folder().join("node-one/node.toml");
        let plan = Plan::of(&world);
        let stopped = world.stop().await;
        let program = Program::start(&file);
        let stage = plan.against(&program);
        call(&stage.officer).await.unwrap();
        let open = std::fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap().count() as u64;
        let pid = Pid::from_raw(i32::try_from(program.pid()).unwrap());
        let most = getrlimit(Resource::Nofile);
        prlimit(pid, Resource::Nofile, Rlimit { current: Some(open + 6), ..most }).unwrap();
        let mut held = Vec::new();
        for _ in 0..60 {
            let mut socket = stage.way.socket([127, 0, 0, 2]).await.unwrap();
            drop(socket.write_all(&[22, 3, 1]).await);
            held.push(socket);
        }
        let began = Instant::now();
        let newcomer = plan.against(&program).officer;
        while call(&newcomer).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(15), "nobody gets in any more");
        }
        call(&stage.officer).await.expect("who was connected before");
        prlimit(pid, Resource::Nofile, most).unwrap();
        let log = program.kill();
        assert!(log.contains("a connection couldn't be accepted"), "there were descriptors enough: {log}");
        stopped.start().await
    });
}
