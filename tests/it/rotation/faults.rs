//! What one wrong file stops: itself, and nobody else.

use std::os::unix::fs::PermissionsExt as _;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use concordat::pki::List;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateRevocationListDer, PrivatePkcs8KeyDer};
use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::num_bigint::BigUint;

use super::*;

/// DER by hand, for what no library writes.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let length = match content.len() {
        0..128 => vec![low],
        128..256 => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [vec![tag], length, content.to_vec()].concat()
}

fn content(der: &[u8]) -> &[u8] {
    Any::from_der(der).unwrap().1.data
}

/// The values in a row, each as it is.
fn values(mut der: &[u8]) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    while !der.is_empty() {
        let (rest, _) = Any::from_der(der).unwrap();
        values.push(der[..der.len() - rest.len()].to_vec());
        der = rest;
    }
    values
}

fn der_of(pem: &str) -> Vec<u8> {
    CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

fn pem_of(der: &[u8]) -> String {
    format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", data_encoding::BASE64.encode(der))
}

/// The same list, well signed, with an extension that nobody knows and that says it must be known.
fn with_a_critical_extension(list: &str, authority: &Authority) -> String {
    let der = der_of(list);
    let whole = values(content(&der));
    let mut stated = values(content(&whole[0]));
    let extensions = stated.pop().unwrap();
    // 1.3.6.1.4.1.99999.1
    let oid = tlv(6, &[0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f, 1]);
    let unknown = tlv(0x30, &[oid, tlv(1, &[0xff]), tlv(4, &[5, 0])].concat());
    stated.push(tlv(0xa0, &tlv(0x30, &[content(content(&extensions)), &unknown].concat())));
    let stated = tlv(0x30, &stated.concat());
    let key = PrivatePkcs8KeyDer::from_pem_slice(authority.key_pem().as_bytes()).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.secret_pkcs8_der()).unwrap();
    let signature = key.sign(&SystemRandom::new(), &stated).unwrap();
    pem_of(&tlv(0x30, &[stated, whole[1].clone(), tlv(3, &[&[0], signature.as_ref()].concat())].concat()))
}

/// The same list, which says it is signed with SHA-224: no handshake here takes that.
fn with_another_algorithm(list: &str) -> String {
    let (mut der, known) = (der_of(list), [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]);
    for at in 0..der.len() - known.len() {
        if der[at..at + known.len()] == known {
            der[at + known.len() - 1] = 1;
        }
    }
    pem_of(&der)
}

/// A certificate of an authority of the same name and key that may not sign lists.
fn that_signs_no_lists(authority: &Authority) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "next development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.self_signed(&KeyPair::from_pem(&authority.key_pem()).unwrap()).unwrap().pem()
}

on_both_databases! {
    async fn a_list_that_tls_does_not_take_stops_its_own_authority_and_no_other(world: World) {
        world = world.with_lists().await;
        let next = Authority::new("next", "ncsc.example", real_now()).unwrap();
        let good = next.revoke(&[], 5, real_now()).unwrap();
        let number = List { number: BigUint::from_bytes_be(&[0x7f; 21]), revoked: vec![] };
        let long = next.publish(&number, real_now().plus_days(1), real_now()).unwrap();
        let own = world.authority_of("ncsc").root_pem().to_owned();
        let (plain, mute) = (next.root_pem().to_owned(), that_signs_no_lists(&next));
        let cases = [
            (&plain, with_a_critical_extension(&good, &next), "is not taken by TLS"),
            (&plain, long, "is not taken by TLS"),
            (&plain, with_another_algorithm(&good), "signed in a way that TLS does not take"),
            (&mute, good.clone(), "lacks cRLSign"),
            (&plain, good.replacen("CRL-----\nMI", "CRL-----\n!!", 1), "damaged"),
        ];
        for (number, (root, bad, problem)) in (2..).zip(cases) {
            // As it is met while the node serves: what a list beside it revokes is revoked.
            let (stolen, thief) = world.system("ncsc", world.authority_of("ncsc"), "stolen");
            let (_, other) = world.system("ncsc", world.authority_of("ncsc"), "other");
            for officer in [&thief, &other] {
                call(officer).await.unwrap();
            }
            world.put_file("ncsc/root.pem", &format!("{own}{root}"));
            let revoking = world.authority_of("ncsc").revoke(&[&stolen], number, real_now()).unwrap();
            world.put_file("ncsc/lists.pem", &format!("{bad}{revoking}"));
            let looked = world.looked();
            assert_eq!((looked.changed.as_slice(), looked.ended), ([NCSC.to_owned()].as_slice(), 1), "{looked:?}");
            assert!(looked.refused.join("").contains(problem), "{problem}: {looked:?}");
            call(&thief).await.expect_err("revoked");
            call(&other).await.expect("nobody else is touched");
            call(&world.system("ncsc", &next, "next").1).await.expect_err("nobody knows what its authority revoked");

            // As it is met at start.
            world = world.restart().await;
            call(&world.officer("ico", "watcher", &["auditor"])).await.unwrap();
            call(&world.system("ncsc", world.authority_of("ncsc"), "again").1).await.unwrap();
        }
        world.put_file("ncsc/root.pem", &format!("{own}{plain}"));
        world.put_file("ncsc/lists.pem", &(good + &world.authority_of("ncsc").revoke(&[], 9, real_now()).unwrap()));
        assert_eq!(world.looked(), Looked { changed: vec![NCSC.into()], ..Looked::default() });
        call(&world.system("ncsc", &next, "next").1).await.expect("now that its list is one");
    }

    async fn what_is_no_file_is_not_read_and_who_may_read_a_key_is_looked_at_each_time(world: World) {
        world = world.with_lists().await;
        let key = world.workspace.folder().join("node-one/server.key");
        let mode = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        assert!(world.refused().contains("every user of this machine may use it (mode 644)"));
        call(&world.officer("ico", "watcher", &["auditor"])).await.expect("the last one is in place");
        mode(0o600);
        assert_eq!(world.looked().refused, [""; 0]);

        let lists = world.workspace.folder().join("ncsc/lists.pem");
        fs::File::options().write(true).open(&lists).unwrap().set_len(17 << 20).unwrap();
        assert!(world.refused().contains("more than 16 MiB"));
        fs::remove_file(&lists).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&lists).status().unwrap().success());
        assert!(world.refused().contains("it is not a file"));
        call(&world.officer("ncsc", "watcher", &["auditor"])).await.expect("by the last list");
    }

    async fn a_connection_ends_with_its_root_and_with_the_list_of_its_authority(world: World) {
        let now = real_now();
        // Certificates know no parts of seconds.
        let ends = concordat::domain::Instant::from_micros(now.micros() / 1_000_000 * 1_000_000).plus_seconds(7);
        let mortal = Authority::establish("mortal", "ncsc.example", ends, now).unwrap();
        let listed = Authority::new("listed", "ncsc.example", now).unwrap();
        let own = world.authority_of("ncsc");
        world.put_file("ncsc/root.pem", &[own.root_pem(), mortal.root_pem(), listed.root_pem()].concat());
        let tomorrow = now.plus_days(1);
        let lists = [(own, tomorrow), (&mortal, tomorrow), (&listed, ends)];
        world.put_file("ncsc/lists.pem", &lists.map(|(by, until)| by.publish(&List::first(), until, now).unwrap()).concat());
        world = world.stop().await.start_with(by_lists).await;
        let (_, by_root) = world.system("ncsc", &mortal, "mortal");
        let (_, by_list) = world.system("ncsc", &listed, "listed");
        let (_, other) = world.system("ncsc", world.authority_of("ncsc"), "other");
        for officer in [&by_root, &by_list, &other] {
            call(officer).await.unwrap();
        }
        let request = v1::WatchEventsRequest { cursor: String::new() };
        let mut stream = EventServiceClient::new(by_list.clone()).watch_events(request).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        let both = async {
            let mut ended = 0;
            while ended < 2 {
                ended += world.looked().ended;
                call(&other).await.unwrap();
            }
        };
        timeout(WITHIN, both).await.expect("they end");
        assert!(real_now() >= ends, "not before");
        assert!(timeout(WITHIN, stream.message()).await.expect("the stream ends").is_err());
        for officer in [&by_root, &by_list] {
            call(officer).await.unwrap_err();
        }
        call(&world.system("ncsc", &mortal, "later").1).await.expect_err("its root has ended");
        call(&world.system("ncsc", &listed, "later").1).await.expect_err("its list has ended");
        call(&other).await.unwrap();
    }

    async fn a_serial_number_with_its_high_bit_is_the_same_however_it_is_written(world: World) {
        world = world.with_lists().await;
        let issue = |serial: &[u8]| {
            let profile = Profile::client("spiffe://ncsc.example/high", real_now()).unwrap();
            world.authority_of("ncsc").issue(&Profile { serial: Some(serial.to_vec()), ..profile }).unwrap()
        };
        let [revoked, suspended] = [issue(&[0xff, 1, 2, 3]), issue(&[0x80, 0, 0, 1])];
        let [by_list, by_name] = [world.by("ncsc", "revoked", &revoked), world.by("ncsc", "suspended", &suspended)];
        for officer in [&by_list, &by_name] {
            call(officer).await.unwrap();
        }
        world.publish_list(&[&revoked], 2);
        assert_eq!(world.looked().ended, 1);
        call(&by_list).await.unwrap_err();
        call(&by_name).await.unwrap();
        let (agency, certificate) = ("ncsc".to_owned(), "serial:00:80:00:00:01".to_owned());
        let request = v1::SuspendCertificateRequest { request_id: request_id(), agency, certificate };
        world.admin("ncsc").suspend_certificate(request).await.unwrap();
        let ended = async { while call(&by_name).await.is_ok() {} };
        timeout(WITHIN, ended).await.expect("its connection ends");
        call(&world.by("ncsc", "suspended", &suspended)).await.expect_err("and it makes no other");
    }
}
