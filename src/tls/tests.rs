use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType};
use rustls::crypto::SupportedKxGroup;
use rustls::pki_types::{CertificateRevocationListDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, NamedGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::*;
use crate::domain::{AgencyId, Instant};
use crate::pki::{Authority, Issued, Profile};

/// Handshakes are judged by the system's clock, so here certificates are too.
fn now() -> Instant {
    Instant::from_micros(0).plus_seconds(UnixTime::now().as_secs().try_into().expect("a time before the sun burns out"))
}

struct World {
    ico: Authority,
    ncsc: Authority,
    acceptor: Acceptor,
}

fn trusted(agency: &str, authority: &Authority) -> TrustedAgency {
    TrustedAgency {
        agency: AgencyId::known(agency),
        trust_domain: authority.trust_domain().to_owned(),
        roots: certificates(authority.root_pem().as_bytes()).expect("a root"),
        revocation: Revocation::ShortLived,
    }
}

fn credentials(issued: &Issued) -> Credentials {
    Credentials::from_pem(&issued.chain_pem, &issued.key_pem).expect("credentials")
}

fn world_with(adjust: impl FnOnce(&mut TrustedAgency, &Authority)) -> World {
    let ico = Authority::new("ico", "ico.example", now()).expect("an authority");
    let ncsc = Authority::new("ncsc", "ncsc.example", now()).expect("an authority");
    let mut trusted_ico = trusted("ico", &ico);
    adjust(&mut trusted_ico, &ico);
    let trust = Trust::new([trusted_ico, trusted("ncsc", &ncsc)]).expect("trust");
    let server = ncsc.issue_server(&["node.ncsc.example"], now()).expect("a certificate");
    World { acceptor: Acceptor::new(trust, credentials(&server)).expect("an acceptor"), ico, ncsc }
}

fn world() -> World {
    world_with(|_, _| {})
}

impl World {
    fn client(&self, presented: Option<Credentials>) -> ClientConfig {
        let roots = certificates(self.ncsc.root_pem().as_bytes()).expect("a root");
        Arc::unwrap_or_clone(client_config(roots, presented).expect("a client"))
    }

    /// What the server makes of a handshake, and what the client is told.
    async fn shake(&self, client: ClientConfig) -> (io::Result<(HandshakeKind, NamedGroup, Peer)>, io::Result<()>) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let server = async {
            let (mut stream, peer) = self.acceptor.accept(ours).await?;
            let tls = stream.get_ref().1;
            let kind = tls.handshake_kind().expect("a finished handshake");
            let group = tls.negotiated_key_exchange_group().expect("a group").name();
            stream.write_all(b"!").await?;
            Ok((kind, group, peer))
        };
        let client = async {
            let name = ServerName::try_from("node.ncsc.example").expect("a name");
            let mut stream = TlsConnector::from(Arc::new(client)).connect(name, theirs).await?;
            stream.read_u8().await.map(|_| ())
        };
        tokio::join!(server, client)
    }

    /// What a client that presents this is told when it is turned away.
    async fn told(&self, presented: Option<Credentials>) -> String {
        let (server, client) = self.shake(self.client(presented)).await;
        assert!(server.is_err(), "the server admitted it");
        client.expect_err("the client was let in").to_string()
    }

    fn issue(&self, adjust: impl FnOnce(&mut Profile)) -> Credentials {
        let mut profile = Profile::client("spiffe://ico.example/gateway", now()).expect("a profile");
        adjust(&mut profile);
        credentials(&self.ico.issue(&profile).expect("a certificate"))
    }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

const ONE_ALERT: &str = "received fatal alert: CertificateUnknown";

#[tokio::test]
async fn a_trusted_system_is_admitted_as_its_agency() {
    let world = world();
    let issued = world.ico.issue_client("gateway", now()).expect("a certificate");
    let presented = credentials(&issued);
    let fingerprint = presented.fingerprint();
    let (server, client) = world.shake(world.client(Some(presented))).await;
    client.expect("the client is let in");
    let (kind, group, peer) = server.expect("the server admits it");
    assert_eq!((kind, group), (HandshakeKind::Full, NamedGroup::X25519MLKEM768));
    assert_eq!(peer.agency().as_str(), "ico");
    assert_eq!(peer.spiffe_id().to_string(), "spiffe://ico.example/gateway");
    assert_eq!(*peer.fingerprint(), fingerprint);
    assert_eq!(peer.serial().len(), 32);
    assert!(peer.not_after() > now() && peer.not_after() <= now().plus_days(1));
}

/// rustls by itself takes the first group of the client's that it has, too.
#[tokio::test]
async fn who_can_agree_on_keys_in_a_post_quantum_way_does_whatever_it_names_first() {
    let mut world = world();
    let client = |world: &World, groups: &[&'static dyn SupportedKxGroup]| {
        let presented = world.issue(|_| {});
        let mut store = rustls::RootCertStore::empty();
        store.add_parsable_certificates(certificates(world.ncsc.root_pem().as_bytes()).expect("a root"));
        let provider = CryptoProvider { kx_groups: groups.to_vec(), ..Arc::unwrap_or_clone(provider()) };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(store)
            .with_client_auth_cert(presented.chain, presented.key)
            .expect("a client");
        config.alpn_protocols = vec![ALPN.to_vec()];
        config
    };
    let (mut reversed, classical) = (provider().kx_groups.clone(), [kx_group::SECP384R1, kx_group::X25519]);
    reversed.reverse();
    let agreed = |shaken: (io::Result<(HandshakeKind, NamedGroup, Peer)>, io::Result<()>)| {
        shaken.1.expect("the client is let in");
        let (kind, group, _) = shaken.0.expect("the server admits it");
        (kind, group)
    };
    // A share of the first group alone is in the hello, so the node asks for the other.
    let (_, group) = agreed(world.shake(client(&world, &reversed)).await);
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    let (kind, group) = agreed(world.shake(client(&world, &provider().kx_groups)).await);
    assert_eq!((kind, group), (HandshakeKind::Full, NamedGroup::X25519MLKEM768), "asked for nothing");
    let (_, group) = agreed(world.shake(client(&world, &classical)).await);
    assert!(!is_post_quantum(group), "{group:?}");

    let trust = Trust::new([trusted("ico", &world.ico)]).expect("trust");
    let server = credentials(&world.ncsc.issue_server(&["node.ncsc.example"], now()).expect("a certificate"));
    world.acceptor = Acceptor::agreeing(trust, server, KeyExchange::PostQuantumOnly).expect("an acceptor");
    let (_, group) = agreed(world.shake(client(&world, &reversed)).await);
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    world.shake(client(&world, &classical)).await.0.expect_err("turned away where that is required");
}

#[tokio::test]
async fn no_authority_names_a_system_of_another_agency() {
    let world = world();
    let minted = Profile::client("spiffe://ico.example/gateway", now()).expect("a profile");
    let minted = world.ncsc.issue(&minted).expect("a certificate");
    assert_eq!(world.told(Some(credentials(&minted))).await, ONE_ALERT);
    let own = world.ncsc.issue_client("gateway", now()).expect("a certificate");
    world.shake(world.client(Some(credentials(&own)))).await.0.expect("its own system is admitted");
}

#[tokio::test]
async fn every_unacceptable_certificate_gets_the_same_alert() {
    let world = world_with(|ico, authority| {
        let list = authority.revoke(&[], 1, now()).expect("a list");
        ico.revocation = Revocation::Lists(lists(authority, &list));
    });
    let stranger = Authority::new("stranger", "stranger.example", now()).expect("an authority");
    let stranger = credentials(&stranger.issue_client("gateway", now()).expect("a certificate"));
    let mut long = world.issue(|_| {});
    long.chain = std::iter::repeat_n(long.chain[0].clone(), 5).collect();
    let day = |days: i64| now().plus_days(days);
    let dns = |n: u32| SanType::DnsName(format!("{n:040}.example").try_into().expect("ASCII"));
    let cases: Vec<(&str, Credentials)> = vec![
        ("unknown authority and domain", stranger),
        ("unknown domain", world.issue(|p| p.names = vec![uri("spiffe://nobody.example/gateway")])),
        ("two URIs", world.issue(|p| p.names.push(uri("spiffe://ico.example/other")))),
        ("the same URI twice", world.issue(|p| p.names.push(uri("spiffe://ico.example/gateway")))),
        ("no URI", world.issue(|p| p.names = vec![SanType::DnsName("ico.example".try_into().expect("ASCII"))])),
        ("no name at all", world.issue(|p| p.names.clear())),
        ("an upper-case domain", world.issue(|p| p.names = vec![uri("spiffe://ICO.example/gateway")])),
        ("a port", world.issue(|p| p.names = vec![uri("spiffe://ico.example:443/gateway")])),
        ("no path", world.issue(|p| p.names = vec![uri("spiffe://ico.example")])),
        ("another scheme", world.issue(|p| p.names = vec![uri("https://ico.example/gateway")])),
        ("no extended key usage", world.issue(|p| p.extended_key_usages.clear())),
        ("a server's", world.issue(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])),
        ("any usage", world.issue(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any])),
        ("no key usage", world.issue(|p| p.key_usages.clear())),
        ("no signatures", world.issue(|p| p.key_usages = vec![KeyUsagePurpose::KeyAgreement])),
        ("signs certificates", world.issue(|p| p.key_usages.push(KeyUsagePurpose::KeyCertSign))),
        ("an authority's", world.issue(|p| p.is_authority = true)),
        ("expired", world.issue(|p| (p.not_before, p.not_after) = (day(-2), day(-1)))),
        ("not valid yet", world.issue(|p| (p.not_before, p.not_after) = (day(1), day(2)))),
        ("valid for 91 days", world.issue(|p| (p.not_before, p.not_after) = (day(-1), day(90)))),
        ("a long chain", long),
        ("a large chain", world.issue(|p| p.names.extend((0..400).map(dns)))),
    ];
    for (case, presented) in cases {
        assert_eq!(world.told(Some(presented)).await, ONE_ALERT, "{case}");
    }
    let longest = world.issue(|p| (p.not_before, p.not_after) = (day(-1), day(89)));
    world.shake(world.client(Some(longest))).await.0.expect("90 days are accepted");
}

#[tokio::test]
async fn without_a_certificate_nobody_gets_in() {
    assert_eq!(world().told(None).await, "received fatal alert: CertificateRequired");
}

/// What is accepted of a PEM text as an authority's lists.
fn lists(authority: &Authority, pem: &str) -> Vec<RevocationList> {
    let roots = certificates(authority.root_pem().as_bytes()).expect("a root");
    let read = |der: CertificateRevocationListDer<'_>| RevocationList::read(&der, &roots, now()).expect("a list");
    revocation_lists(pem.as_bytes()).into_iter().map(|der| read(der.expect("PEM"))).collect()
}

#[tokio::test]
async fn a_revoked_certificate_looks_like_any_other_bad_one() {
    let mut revoked = None;
    let world = world_with(|ico, authority| {
        let issued = authority.issue_client("gateway", now()).expect("a certificate");
        let list = authority.revoke(&[&issued], 1, now()).expect("a list");
        ico.revocation = Revocation::Lists(lists(authority, &list));
        revoked = Some(credentials(&issued));
    });
    assert_eq!(world.told(revoked).await, ONE_ALERT);
    world.shake(world.client(Some(world.issue(|_| {})))).await.0.expect("another certificate is admitted");
    let a_month = world.issue(|p| p.not_after = now().plus_days(30));
    world.shake(world.client(Some(a_month))).await.0.expect("what can be revoked may last");
}

#[tokio::test]
async fn without_the_list_of_its_authority_nobody_is_admitted() {
    let none = world_with(|ico, _| ico.revocation = Revocation::Lists(Vec::new()));
    assert_eq!(none.told(Some(none.issue(|_| {}))).await, ONE_ALERT);
    let theirs = world_with(|ico, _| {
        let other = Authority::new("other", "ico.example", now()).expect("an authority");
        ico.roots.extend(certificates(other.root_pem().as_bytes()).expect("a root"));
        let list = other.revoke(&[], 1, now()).expect("a list");
        ico.revocation = Revocation::Lists(lists(&other, &list));
    });
    assert_eq!(theirs.told(Some(theirs.issue(|_| {}))).await, ONE_ALERT, "a list of another of its authorities");
}

#[test]
fn a_chain_is_vouched_for_until_what_it_needs_ends_and_what_it_does_not_need_counts_for_nothing() {
    let ico = Authority::new("ico", "ico.example", now()).expect("an authority");
    let other = Authority::new("other", "ico.example", now()).expect("an authority");
    let list = |authority: &Authority, seconds: i64| {
        let none = crate::pki::List { number: 1_u8.into(), revoked: Vec::new() };
        lists(authority, &authority.publish(&none, now().plus_seconds(seconds), now()).expect("a list"))
    };
    let mut ended = Profile::client("spiffe://ico.example/other", now()).expect("a profile");
    (ended.not_before, ended.not_after) = (now().plus_days(-2), now().plus_days(-1));
    let ended = credentials(&ico.issue(&ended).expect("a certificate")).chain;
    let until = |own: i64, others: i64, at: Instant| {
        let mut agency = trusted("ico", &ico);
        agency.roots.extend(certificates(other.root_pem().as_bytes()).expect("a root"));
        agency.revocation = Revocation::Lists([list(&ico, own), list(&other, others)].concat());
        let mut chain = credentials(&ico.issue_client("gateway", now()).expect("a certificate")).chain;
        chain.extend(ended.clone());
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_micros(at.micros().unsigned_abs()));
        Trust::new([agency]).expect("trust").admit(&chain, at).map(|peer| peer.vouching().until)
    };
    let hours = |hours: i64| now().plus_seconds(3_600 * hours);
    let about = |until: Instant, wanted: Instant| (until.micros() - wanted.micros()).abs() < 60_000_000;
    assert!(about(until(7_200, 3_600, now()).expect("admitted"), hours(2)), "not the other authority's list");
    assert!(about(until(7_200, 60, hours(1)).expect("admitted"), hours(2)), "that has ended");
    until(60, 7_200, hours(1)).expect_err("its own has ended");
    let leaf = until(48 * 3_600, 48 * 3_600, now()).expect("admitted");
    assert!(leaf > hours(23) && leaf <= hours(24), "the certificate's own end");
}

#[tokio::test]
async fn whose_agency_revokes_nothing_has_a_certificate_for_a_day_at_most() {
    let world = world();
    let longer = world.issue(|p| p.not_after = p.not_before.plus_seconds(86_401));
    assert_eq!(world.told(Some(longer)).await, ONE_ALERT);
    let a_day = world.issue(|p| p.not_after = p.not_before.plus_seconds(86_400));
    world.shake(world.client(Some(a_day))).await.0.expect("a day is admitted");
}

#[test]
fn a_life_is_told_of_at_its_half_at_four_fifths_and_at_its_end() {
    let at = |seconds: i64| Instant::from_micros(0).plus_seconds(seconds);
    for (now, life) in [(0, Life::Fresh), (499, Life::Fresh), (500, Life::HalfOver), (799, Life::HalfOver)] {
        assert_eq!(Life::between(at(0), at(1_000), at(now)), life, "{now}");
    }
    for (now, life) in [(800, Life::NearlyOver), (999, Life::NearlyOver), (1_000, Life::Over), (2_000, Life::Over)] {
        assert_eq!(Life::between(at(0), at(1_000), at(now)), life, "{now}");
    }
}

#[tokio::test]
async fn only_http2_is_spoken() {
    let world = world();
    for protocols in [vec![], vec![b"http/1.1".to_vec()], vec![b"h2c".to_vec()]] {
        let mut client = world.client(Some(world.issue(|_| {})));
        client.alpn_protocols.clone_from(&protocols);
        let (server, client) = world.shake(client).await;
        assert!(server.is_err() && client.is_err(), "{protocols:?}");
    }
}

#[tokio::test]
async fn nothing_is_resumed() {
    let world = world();
    let mut client = world.client(Some(world.issue(|_| {})));
    client.resumption = rustls::client::Resumption::in_memory_sessions(8);
    for _ in 0..2 {
        let (server, _) = world.shake(client.clone()).await;
        assert_eq!(server.expect("admitted").0, HandshakeKind::Full);
    }
}

#[test]
fn trust_that_cannot_hold_is_not_built() {
    let ico = Authority::new("ico", "ico.example", now()).expect("an authority");
    let ncsc = Authority::new("ncsc", "ncsc.example", now()).expect("an authority");
    let problem = |agencies: Vec<TrustedAgency>| Trust::new(agencies).expect_err("a problem").to_string();
    let with = |adjust: &dyn Fn(&mut TrustedAgency)| {
        let mut agency = trusted("ico", &ico);
        adjust(&mut agency);
        agency
    };

    assert!(problem(vec![with(&|a| a.roots[0] = vec![0x30, 0].into())]).contains("root certificate 1 is not"));
    let leaf = credentials(&ico.issue_client("gateway", now()).expect("a certificate")).chain;
    assert!(problem(vec![with(&|a| a.roots.extend(leaf.clone()))]).contains("root certificate 2 is not"));
    assert!(problem(vec![with(&|a| a.roots.clear())]).starts_with("ico: no root"));
    assert!(
        problem(vec![with(&|a| a.trust_domain = "ICO.example".to_owned())]).contains("is not a SPIFFE trust domain")
    );
    assert!(problem(vec![with(&|_| {}), with(&|_| {})]).contains("configured twice"));
    let mut shared = trusted("ncsc", &ncsc);
    shared.roots.extend(trusted("ico", &ico).roots);
    let both = "ncsc and ico: whoever has the key of CN=ico development authority could name systems of both";
    assert!(problem(vec![with(&|_| {}), shared]).starts_with(both));
}

#[test]
fn no_key_vouches_for_two_agencies_in_whatever_certificates_it_is() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = |name: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.subject_alt_names = vec![uri("spiffe://some.example")];
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    };
    let with_roots = |agency: &str, roots: &[&rcgen::Certificate]| TrustedAgency {
        agency: AgencyId::known(agency),
        trust_domain: format!("{agency}.example"),
        roots: roots.iter().map(|root| root.der().clone()).collect(),
        revocation: Revocation::ShortLived,
    };
    let problem = |agencies: Vec<TrustedAgency>| match Trust::new(agencies) {
        Ok(_) => "none".to_owned(),
        Err(problem) => problem.to_string(),
    };
    let itself = |name: &str| params(name).self_signed(&key).expect("a certificate");
    let (first, second) = (itself("the first"), itself("the second"));
    let twice = with_roots("ico", &[&first, &second]);
    assert_eq!(problem(vec![twice.clone()]), "none", "one agency's authority may have several certificates");
    let both = "could name systems of both: each agency needs an authority of its own";
    let shared = problem(vec![with_roots("ico", &[&first]), with_roots("ncsc", &[&second])]);
    assert_eq!(shared, format!("ncsc and ico: whoever has the key of CN=the second {both}"));

    // An authority below another agency's root, as a root of its own.
    let above = rcgen::Issuer::new(params("the first"), key);
    let other = rcgen::KeyPair::generate().expect("a key");
    let below = params("below").signed_by(&other, &above).expect("a certificate");
    for order in [["ico", "ncsc"], ["ncsc", "ico"]] {
        let agencies = order.map(|agency| with_roots(agency, &[if agency == "ico" { &first } else { &below }]));
        let [one, then] = order;
        let said = format!("{then} and {one}: whoever has the key of CN=below {both}");
        assert_eq!(problem(agencies.into()), said);
    }
    let unrelated = params("below").self_signed(&other).expect("a certificate");
    assert_eq!(problem(vec![with_roots("ico", &[&first]), with_roots("ncsc", &[&unrelated])]), "none");

    // An authority below the roots of both: nobody vouches by it without its list.
    let [ico, ncsc] = ["ico", "ncsc"].map(|agency| {
        let root_key = rcgen::KeyPair::generate().expect("a key");
        let root = params(agency).self_signed(&root_key).expect("a certificate");
        let above = rcgen::Issuer::new(params(agency), root_key);
        let below = params("below").signed_by(&other, &above).expect("a certificate");
        let below = Authority::read(&below.pem(), &other.serialize_pem()).expect("an authority");
        let list = lists(&below, &below.revoke(&[], 1, now()).expect("a list"));
        TrustedAgency { revocation: Revocation::Lists(list), ..with_roots(agency, &[&root]) }
    });
    assert_eq!(problem(vec![ico, ncsc]), format!("ncsc and ico: whoever has the key of CN=below {both}"));
}

#[test]
fn a_file_that_does_not_load_is_named_with_a_remedy() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("roots.pem");
    let problem = || certificates_from_file(&path).expect_err("a problem").to_string();
    assert!(problem().contains("roots.pem: ") && problem().contains("give the path"), "{}", problem());
    std::fs::write(&path, "hello").expect("written");
    assert!(problem().contains("roots.pem: there is no certificate"), "{}", problem());
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").expect("written");
    assert!(problem().contains("roots.pem: there is no certificate"), "{}", problem());
    let key = Credentials::from_files(&path, &path).expect_err("a problem").to_string();
    assert!(key.contains("roots.pem"), "{key}");
}
