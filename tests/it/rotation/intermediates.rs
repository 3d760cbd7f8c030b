//! An agency whose systems' certificates are by an authority below its root.

use concordat::pki::{List, Revoked};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::*;

/// An authority's certificate, which others may be below, with its key.
pub(super) fn params(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![SanType::URI("spiffe://ncsc.example".try_into().unwrap())];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    (params, KeyPair::generate().unwrap())
}

/// A root, and an authority below it with this serial number.
fn root_and_intermediate(serial: &[u8]) -> (Authority, Authority) {
    let (above, root_key) = params("the NCSC's root");
    let root = Authority::read(&above.self_signed(&root_key).unwrap().pem(), &root_key.serialize_pem()).unwrap();
    let (mut below, key) = params("the NCSC's systems");
    below.serial_number = Some(serial.to_vec().into());
    let pem = below.signed_by(&key, &Issuer::new(above, root_key)).unwrap().pem();
    (root, Authority::read(&pem, &key.serialize_pem()).unwrap())
}

on_both_databases! {
    async fn an_authority_below_a_root_vouches_while_both_their_lists_say_so(world: World) {
        let serial = vec![0x42, 1];
        let (root, below) = root_and_intermediate(&serial);
        let now = real_now();
        let publish = |world: &World, roots: &List, belows: &List| {
            let lists = [(&root, roots), (&below, belows)];
            let lists = lists.map(|(by, list)| by.publish(list, now.plus_days(1), now).unwrap());
            world.put_file("ncsc/lists.pem", &lists.concat());
        };
        let revoking = |number: u8, serial: &[u8]| List {
            number: number.into(),
            revoked: vec![Revoked { serial: serial.to_vec(), at: now }],
        };
        world.put_file("ncsc/root.pem", root.root_pem());
        world.put_file("ncsc/intermediates.pem", below.root_pem());
        publish(&world, &List::first(), &List::first());
        let with_intermediates = |config: &mut Config| {
            by_lists(config);
            of(config, "ncsc").intermediates_file = Some("../ncsc/intermediates.pem".into());
        };
        world = world.stop().await.start_with(with_intermediates).await;
        let issue = |world: &World, name: &str| {
            let alone = below.issue_client(name, now).unwrap();
            let chained = Issued { chain_pem: format!("{}{}", alone.chain_pem, below.root_pem()), ..alone.clone() };
            (world.by("ncsc", &format!("{name}-alone"), &alone), world.by("ncsc", name, &chained), alone)
        };
        let (unchained, first, leaf) = issue(&world, "first");
        let (_, second, _) = issue(&world, "second");
        call(&unchained).await.expect_err("nobody is trusted for being in the file");
        for officer in [&first, &second] {
            call(officer).await.unwrap();
        }
        publish(&world, &List::first(), &revoking(2, &leaf.serial));
        assert_eq!(world.looked(), Looked { changed: vec![NCSC.into()], refused: vec![], ended: 1, ageing: vec![] });
        call(&first).await.expect_err("the authority below revoked it");
        call(&second).await.unwrap();

        // Its list is not there any more: the last one counts.
        world.put_file("ncsc/lists.pem", &root.publish(&List::first(), now.plus_days(1), now).unwrap());
        assert_eq!(world.looked().ended, 0);
        call(&second).await.unwrap();
        publish(&world, &revoking(2, &serial), &revoking(4, &leaf.serial));
        assert_eq!(world.looked().ended, 1);
        call(&second).await.expect_err("the root revoked the authority below it");
        call(&issue(&world, "third").1).await.expect_err("and all that it vouches for");

        // Every chain ends at the root: without its list nobody is admitted, whatever the other one says.
        let is_stopped = |world: &World| {
            let status = world.node.rotation.status();
            status.agencies.iter().find(|one| one.agency.as_str() == "ncsc").unwrap().is_stopped(real_now())
        };
        assert!(!is_stopped(&world));
        world.put_file("ncsc/lists.pem", &below.publish(&revoking(4, &leaf.serial), now.plus_days(1), now).unwrap());
        world = world.restart().await;
        assert!(is_stopped(&world));
        call(&second).await.expect_err("no list of the root counts");
    }
}
