//! Certificates that an operator suspends: nothing is answered or released to them from the acknowledgement on.

use concordat::client::{Context, OfficerChannel};
use concordat::pki::Issued;
use concordat::proto::v1;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::tls::Credentials;
use tokio::time::timeout;
use tonic::Code;

use super::{WITHIN, call};
use crate::builders::{assert_error, assert_invalid};
use crate::harness::{PURPOSES, World, on_both_databases, real_now, request_id};

/// As an operator names it.
fn named(issued: &Issued) -> String {
    format!("sha256:{}", Credentials::from_pem(&issued.chain_pem, &issued.key_pem).unwrap().fingerprint().to_hex())
}

impl World {
    /// A requester of the ICO's whose system has a certificate of its own.
    fn requester_by(&self, name: &str) -> (Issued, ReleaseServiceClient<OfficerChannel>) {
        let issued = self.authority_of("ico").issue_client(name, real_now()).unwrap();
        let Context { certificate_file, key_file, .. } = self.context_of("ico", name, &issued);
        let context = self.workspace.context("ico", "req", &["requester"], &PURPOSES, "one", self.node.address);
        let context = Context { certificate_file, key_file, ..context };
        let officer = context.officer(self.workspace.folder(), self.clock.clone()).unwrap();
        (issued, ReleaseServiceClient::new(officer))
    }
}

on_both_databases! {
    async fn a_suspended_certificate_connects_nowhere(world: World) {
        let (stolen, thief) = world.system("ncsc", world.authority_of("ncsc"), "stolen");
        let other = world.officer("ncsc", "watcher", &["auditor"]);
        for officer in [&thief, &other] {
            call(officer).await.unwrap();
        }
        let (agency, certificate) = ("ncsc".to_owned(), named(&stolen));
        let suspend = |by: &str| {
            let mut admin = world.admin(by);
            let (request_id, agency, certificate) = (request_id(), agency.clone(), certificate.clone());
            let request = v1::SuspendCertificateRequest { request_id, agency, certificate };
            async move { admin.suspend_certificate(request).await }
        };
        assert_invalid(suspend("ico").await, "agency");
        let suspended = suspend("ncsc").await.unwrap().into_inner();
        let act = world.verified(suspended.receipt.as_ref()).act.unwrap();
        assert_eq!(act.object, format!("{agency}/{certificate}"));
        assert_error(suspend("ncsc").await, Code::FailedPrecondition, "WRONG_STATE");
        let [listed] = world.suspensions("ncsc").await.try_into().unwrap();
        assert_eq!((listed.certificate, listed.pseudonym.as_str()), (certificate.clone(), ""));

        call(&thief).await.expect_err("nothing is answered after the suspension was acknowledged");
        let connected = async { while call(&world.by("ncsc", "stolen", &stolen)).await.is_ok() {} };
        timeout(WITHIN, connected).await.expect("it connects no more");
        call(&other).await.unwrap();

        let resume = v1::ResumeCertificateRequest { request_id: request_id(), agency, certificate };
        world.admin("ncsc").resume_certificate(resume.clone()).await.unwrap();
        assert_error(
            world.admin("ncsc").resume_certificate(v1::ResumeCertificateRequest { request_id: request_id(), ..resume }).await,
            Code::NotFound,
            "NOT_FOUND",
        );
        let back = async { while call(&world.by("ncsc", "stolen", &stolen)).await.is_err() {} };
        timeout(WITHIN, back).await.expect("it connects again");
    }

    async fn nothing_is_released_to_a_certificate_after_its_suspension(world: World) {
        let permitted = world.permitted("ncsc").await;
        // Each of them is asked on a connection that is open already, before anybody has looked for suspensions.
        for round in 0..5 {
            let (stolen, mut thief) = world.requester_by(&format!("stolen-{round}"));
            thief.request_release(world.ask(&permitted.held)).await.unwrap();
            let ask = world.ask(&permitted.held);
            let certificate = named(&stolen);
            let suspend =
                v1::SuspendCertificateRequest { request_id: request_id(), agency: "ico".into(), certificate };
            let suspended = world.admin("ico").suspend_certificate(suspend).await.unwrap().into_inner();
            let refused = thief.request_release(ask).await.unwrap_err();
            // By what is looked up with the decision, unless the connection was cut already.
            assert!(matches!(refused.code(), Code::PermissionDenied | Code::Unauthenticated | Code::Unavailable), "{refused}");
            assert_eq!(world.size().await, suspended.receipt.unwrap().index + 1, "an entry followed");
        }
        world.requester("ico").request_release(world.ask(&permitted.held)).await.expect("others of the agency");
    }
}
