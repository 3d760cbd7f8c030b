//! The three ways to an officer's token that `docs/tokens.md` describes, from end to end.

mod endpoint;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use concordat::client::{CommandSection, Context, TokenSection, TokenSource};
use concordat::config::{IssuerSection, KeySection};
use concordat::dev;
use concordat::domain::Role;
use concordat::pki::{Issued, TokenKeyPair};
use concordat::proto::v1::agreement_service_client::AgreementServiceClient;
use concordat::proto::v1::{Act, ListAgreementsRequest};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Request, Status};

use crate::harness::{Engine, PURPOSES, World, real_now, run};
use crate::postgres::all_tests_are_wanted;
use endpoint::{Endpoint, Provider};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs the program as people do, while this process's node answers it.
async fn concordat(arguments: &[&str]) -> Output {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let run = move || Command::new(env!("CARGO_BIN_EXE_concordat")).args(arguments).output().unwrap();
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// What `concordat call` printed, or what it said on standard error.
async fn call(context: &Path, method: &str, request: &Value) -> Result<Value, String> {
    let output = concordat(&["call", method, &request.to_string(), "--context", text(context)]).await;
    // 10: an ask that is open, which is an answer.
    if matches!(output.status.code(), Some(0 | 10)) {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

impl World {
    /// Puts the node's clock well ahead of the machine's: a token that a program makes while the test runs is then
    /// neither from the future nor expired.
    fn set_ahead(&self) {
        self.hand.set(real_now().plus_seconds(150));
    }

    /// The context of an officer of the NCSC, written to a file.
    fn ncsc_officer(&self, officer: &str, roles: &[&str]) -> PathBuf {
        let context = self.workspace.context("ncsc", officer, roles, &PURPOSES, "one", self.node.address);
        self.workspace.write_context(officer, &context).unwrap()
    }

    /// A context of the ICO whose tokens a command prints.
    fn ico_with(&self, name: &str, command: &[&str]) -> PathBuf {
        let mut context = self.workspace.context("ico", "nobody", &[], &[], "one", self.node.address);
        context.token =
            TokenSource::Command(CommandSection { command: command.iter().map(ToString::to_string).collect() });
        self.workspace.write_context(name, &context).unwrap()
    }

    /// A certificate of another system of the ICO, in two files.
    fn other_system(&self) -> (PathBuf, PathBuf) {
        let issued = self.workspace.authority("ico").unwrap().issue_client("other-system", real_now()).unwrap();
        let files = ("ico/other.pem".into(), "ico/other.key".into());
        self.write(&files, &issued);
        files
    }

    fn write(&self, (chain, key): &(PathBuf, PathBuf), issued: &Issued) {
        let folder = self.workspace.folder();
        std::fs::write(folder.join(chain), &issued.chain_pem).unwrap();
        std::fs::write(folder.join(key), &issued.key_pem).unwrap();
    }

    /// Calls with a header and nothing else of ours, as a client in another language would.
    async fn list_agreements(&self, context: &Context, token: &str) -> Result<usize, Status> {
        let channel = context.channel(self.workspace.folder()).unwrap();
        let mut request = Request::new(ListAgreementsRequest::default());
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let listed = AgreementServiceClient::new(channel).list_agreements(request).await?.into_inner();
        Ok(listed.agreements.len())
    }
}

/// The section of a context whose tokens a key signs.
fn section(context: &mut Context) -> &mut TokenSection {
    let TokenSource::Key(section) = &mut context.token else { panic!("the workspace's officers have keys") };
    section
}

#[test]
fn a_case_system_signs_with_its_registered_key_and_names_the_officer() {
    run(Engine::Sqlite, |world: World| async move {
        world.set_ahead();
        let held = world.hold("ncsc", "ico").await;
        let one = world.ncsc_officer("a.one", &["recorder", "verifier"]);
        let two = world.ncsc_officer("b.two", &["recorder", "verifier"]);
        let received_at = world.now().to_string();
        let record = json!({
            "organisation_id": held.organisation,
            "scope": {
                "recipient": "ico",
                "purposes": ["harm-reduction"],
                "categories": ["timeline"],
                "incident_id": held.incident,
            },
            "evidence": {
                "signatory": "A. Director (invented)",
                "authority": "company secretary",
                "channel": "signed-letter",
                "digest": "WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=",
                "received_at": received_at,
            },
        });
        let recorded = call(&one, "ConsentService/RecordConsent", &record).await.unwrap();
        let verify = json!({ "consent_id": recorded["consent_id"], "version": recorded["version"] });
        // The same system, key and certificate: it is the officer that the token names who counts.
        let same = call(&one, "ConsentService/VerifyConsent", &verify).await.unwrap_err();
        assert!(same.contains("SAME_OFFICER"), "{same}");
        let verified = call(&two, "ConsentService/VerifyConsent", &verify).await.unwrap();
        let opening = verified["receipt"]["openings"][0]["payload"].as_str().unwrap();
        let act = data_encoding::BASE64.decode(opening.as_bytes()).unwrap();
        assert_eq!(Act::decode(act.as_slice()).unwrap().officer, "b.two");
        world
    });
}

#[test]
fn a_key_is_replaced_by_registering_the_next_beside_it() {
    run(Engine::Sqlite, |mut world: World| async move {
        let next = TokenKeyPair::generate().unwrap();
        let folder = world.workspace.folder().join("ico");
        std::fs::write(folder.join("token-2.pem"), &next.public_pem).unwrap();
        std::fs::write(folder.join("token-2.key"), &next.private_pem).unwrap();
        let accepted = async |world: &World, kid: &str, key: &str| {
            let mut context =
                world.workspace.context("ico", "req", &["requester"], &PURPOSES, "one", world.node.address);
            (section(&mut context).kid, section(&mut context).key_file) = (kid.into(), key.into());
            let token = context.token_maker(world.workspace.folder(), world.clock.clone()).unwrap().token().unwrap();
            world.list_agreements(&context, &token).await.map_err(|status| status.code())
        };
        let keys = [("ico-1", "ico/token.key"), ("ico-2", "ico/token-2.key")];
        let [(old, old_key), (new, new_key)] = keys;
        assert_eq!(accepted(&world, new, new_key).await, Err(Code::Unauthenticated), "before it is registered");
        let registered = KeySection { kid: new.into(), public_key_file: "../ico/token-2.pem".into() };
        issuer(&mut world).key.push(registered);
        world = world.restart().await;
        assert!(accepted(&world, old, old_key).await.is_ok(), "both are good while both are registered");
        assert!(accepted(&world, new, new_key).await.is_ok(), "both are good while both are registered");
        assert_eq!(accepted(&world, new, old_key).await, Err(Code::Unauthenticated), "each id is of one key");
        issuer(&mut world).key.remove(0);
        world = world.restart().await;
        assert_eq!(accepted(&world, old, old_key).await, Err(Code::Unauthenticated), "once it is taken out");
        assert!(accepted(&world, new, new_key).await.is_ok());
        world
    });
}

/// The ICO's issuer in the node's configuration.
fn issuer(world: &mut World) -> &mut IssuerSection {
    let ico = world.config.agency.iter_mut().find(|agency| agency.id.as_str() == "ico").unwrap();
    &mut ico.issuer[0]
}

/// Registers an identity provider of the ICO with the node and starts its token endpoint.
async fn with_provider(mut world: World) -> (World, Endpoint) {
    let folder = world.workspace.folder().to_owned();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    std::fs::write(folder.join("ico/provider.pem"), key.public_key_pem()).unwrap();
    let ico = world.config.agency.iter_mut().find(|agency| agency.id.as_str() == "ico").unwrap();
    ico.issuer.push(IssuerSection {
        issuer: "https://login.ico.example".into(),
        roles: [Role::known("requester")].into(),
        key: vec![KeySection { kid: "login-7".into(), public_key_file: "../ico/provider.pem".into() }],
    });
    let world = world.restart().await;
    let authority = world.workspace.authority("ico").unwrap();
    let server = authority.issue_server(&["localhost", "127.0.0.1"], real_now()).unwrap();
    let provider = Provider {
        private_key: key.serialize_pem(),
        kid: "login-7".into(),
        claims: json!({
            "iss": "https://login.ico.example",
            "aud": dev::audience("one"),
            "sub": "case-system",
            "client_id": "case-system",
            "unit": "incident-desk",
            "roles": ["requester"],
            "purposes": ["harm-reduction"],
        }),
    };
    let endpoint = Endpoint::start(authority, &server, provider);
    (world, endpoint)
}

/// The command of `docs/tokens.md`.
fn curl(endpoint: &Endpoint, grant: &str) -> Vec<String> {
    let fixed = ["curl", "--silent", "--show-error", "--fail", "--max-time", "10"];
    let files = ["--cacert", "ico/root.pem", "--cert", "ico/client.pem", "--key", "ico/client.key"];
    let form = ["--data", "client_id=case-system", "--data", grant];
    let url = format!("https://localhost:{}/token", endpoint.address.port());
    fixed.iter().chain(&files).chain(&form).map(ToString::to_string).chain([url]).collect()
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn an_identity_provider_binds_the_token_to_the_certificate_that_it_saw() {
    if !is_curl_here() {
        return;
    }
    run(Engine::Sqlite, |world: World| async move {
        world.set_ahead();
        let (world, endpoint) = with_provider(world).await;
        let file = world.ico_with("provider", &strs(&curl(&endpoint, "grant_type=client_credentials")));

        // The commands.
        let listed = call(&file, "AgreementService/ListAgreements", &json!({})).await.unwrap();
        assert_eq!(listed["agreements"].as_array().unwrap().len(), 3, "{listed}");
        let ask = json!({
            "holder": "ncsc", "reference": "ref_from-the-victim",
            "purpose": "harm-reduction", "categories": ["timeline"],
        });
        let asked = call(&file, "ReleaseService/RequestRelease", &ask).await.unwrap();
        assert!(asked["open"].is_object(), "{asked}");

        // The same token on the certificate that it is bound to, and on another of the same agency.
        let printed = concordat(&["token", "--context", text(&file)]).await;
        let token = String::from_utf8(printed.stdout).unwrap();
        let (mut context, _) = Context::load(&file).unwrap();
        assert_eq!(world.list_agreements(&context, token.trim()).await.unwrap(), 3);
        (context.certificate_file, context.key_file) = world.other_system();
        let elsewhere = world.list_agreements(&context, token.trim()).await.unwrap_err();
        assert_eq!(elsewhere.code(), Code::Unauthenticated, "{elsewhere}");
        assert_eq!(endpoint.issued(), 3);

        // An endpoint that gives no token: the command says why, and nothing is called.
        let file = world.ico_with("wrong", &strs(&curl(&endpoint, "grant_type=password")));
        let said = call(&file, "AgreementService/ListAgreements", &json!({})).await.unwrap_err();
        assert!(said.contains("the token command `curl` failed") && said.contains("400"), "{said}");
        assert_eq!(endpoint.issued(), 3);
        world
    });
}

#[test]
fn a_printed_token_is_kept_until_shortly_before_it_expires() {
    run(Engine::Sqlite, |world: World| async move {
        // A program that prints what lies there, and leaves a line for each time that it ran.
        let folder = world.workspace.folder().to_owned();
        std::fs::write(folder.join("print"), "#!/bin/sh\necho run >>runs && cat \"$1\"\n").unwrap();
        let file = world.ico_with("printed", &["sh", "./print", "token"]);
        let (context, _) = Context::load(&file).unwrap();
        let signed = world.workspace.context("ico", "req", &["requester"], &PURPOSES, "one", world.node.address);
        let signed = signed.token_maker(&folder, world.clock.clone()).unwrap();
        let runs = || std::fs::read_to_string(folder.join("runs")).unwrap().lines().count();

        let officer = context.officer(&folder, world.clock.clone()).unwrap();
        let mut agreements = AgreementServiceClient::new(officer);
        let mut list = async || agreements.list_agreements(ListAgreementsRequest::default()).await.map(drop);
        std::fs::write(folder.join("token"), signed.token().unwrap()).unwrap();
        let began = world.now();
        list().await.unwrap();
        world.hand.set(began.plus_seconds(269));
        list().await.unwrap();
        assert_eq!(runs(), 1, "one token for both calls");
        // Thirty seconds before it expires the program is asked for another.
        world.hand.set(began.plus_seconds(271));
        std::fs::write(folder.join("token"), json!({ "access_token": signed.token().unwrap() }).to_string()).unwrap();
        list().await.unwrap();
        assert_eq!(runs(), 2, "another token before the first expires");
        world.hand.set(began.plus_seconds(400));
        list().await.unwrap();
        assert_eq!(runs(), 2);
        world
    });
}

#[test]
fn a_command_that_gives_no_token_is_named_and_what_it_printed_is_not_shown() {
    run(Engine::Sqlite, |world: World| async move {
        for (command, expected) in [
            (["no-such-program"].as_slice(), "the token command `no-such-program` cannot be run"),
            (&["sh", "-c", "echo hidden; exit 7"], "the token command `sh` failed: exit status: 7"),
            (&["echo", "hidden.in.this"], "printed no token"),
            (&["echo", "{\"error\": \"hidden\"}"], "printed no token"),
            (&[], "`token.command` is empty"),
        ] {
            let file = world.ico_with("broken", command);
            let said = concordat(&["token", "--context", text(&file)]).await;
            assert_eq!(said.status.code(), Some(3), "{said:?}");
            let said = String::from_utf8(said.stderr).unwrap();
            assert!(said.contains(expected) && !said.contains("hidden"), "{command:?}: {said}");
        }
        // A key that belongs to the other form is an error that names it.
        let file = world.workspace.folder().join("mixed.toml");
        let text_of = std::fs::read_to_string(world.ico_with("plain", &["true"])).unwrap();
        std::fs::write(&file, format!("{text_of}kid = \"ico-1\"\n")).unwrap();
        let said = concordat(&["token", "--context", text(&file)]).await;
        let said = String::from_utf8(said.stderr).unwrap();
        assert!(said.contains("unknown field `kid`") && said.contains("`command`"), "{said}");
        world
    });
}

#[test]
fn a_small_team_gives_the_printed_token_to_any_client() {
    run(Engine::Sqlite, |world: World| async move {
        world.set_ahead();
        let mut context = world.workspace.context("ico", "req", &["requester"], &PURPOSES, "one", world.node.address);
        let file = world.workspace.write_context("team", &context).unwrap();
        let printed = concordat(&["token", "--context", text(&file)]).await;
        let token = String::from_utf8(printed.stdout).unwrap();
        assert_eq!(world.list_agreements(&context, token.trim()).await.unwrap(), 3);
        (context.certificate_file, context.key_file) = world.other_system();
        let elsewhere = world.list_agreements(&context, token.trim()).await.unwrap_err();
        assert_eq!(elsewhere.code(), Code::Unauthenticated, "{elsewhere}");
        world
    });
}

#[test]
fn throw_away_token_keys_are_in_the_form_that_every_library_reads() {
    let key = TokenKeyPair::generate().unwrap().private_pem;
    let body: String = key.lines().filter(|line| !line.starts_with('-')).collect();
    let der = data_encoding::BASE64.decode(body.as_bytes()).unwrap();
    // RFC 5208's structure with version 0 and the seed alone; RFC 5958's version 1 has the public key after it.
    assert_eq!((der.len(), &der[..5]), (48, [0x30, 0x2e, 0x02, 0x01, 0x00].as_slice()));
}

/// Whether `curl` can be run; with `CONCORDAT_TESTS=all` it must be.
fn is_curl_here() -> bool {
    let here = Command::new("curl").arg("--version").output().is_ok();
    if !here {
        assert!(!all_tests_are_wanted(), "CONCORDAT_TESTS=all, but `curl` is missing");
        eprintln!("LEFT OUT: the identity provider's test, because there is no `curl`");
    }
    here
}
