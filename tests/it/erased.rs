//! What was erased is looked for in every byte that the database leaves behind: files, write-ahead file, dump.
//!
//! Plaintext is never there; what erasing takes away is the keys. On PostgreSQL the server's own files are not searched:
//! docs/operations.md says what becomes of those.

use std::fs;
use std::path::Path;

use concordat::proto::v1;
use concordat::store::{Options, Store};
use sqlx::{Connection as _, SqliteConnection};

use crate::builders::{Permitted, assert_released, content};
use crate::cli::execute;
use crate::harness::{World, on_both_databases};
use crate::postgres;

const CONTENT: &str = "canary-of-content-58213";
const EVIDENCE: &str = "canary-of-evidence-58213";
const OFFICER: &str = "canary-of-officer-58213";
const AGENT: &str = "canary-of-an-agent-58213";
const CAMPAIGN: &str = "canary-of-campaign-58213";
const CAVEAT: &str = "canary-of-a-caveat-58213";

impl World {
    /// A released incident with canaries in all that was told.
    async fn with_canaries(&self) -> Permitted {
        let organisation = self.register_organisation("ncsc", vec![]).await;
        let narrative = Some(v1::Narrative { text: CONTENT.into() });
        let timeline = Some(v1::Timeline { discovery: CONTENT.into(), ..v1::Timeline::default() });
        let request = v1::RegisterIncidentRequest {
            campaign: CAMPAIGN.into(),
            content: Some(v1::IncidentContent { narrative, timeline, ..content() }),
            ..self.incident_at(&organisation)
        };
        let incident = self.incidents("ncsc").register_incident(request).await.unwrap().into_inner().incident_id;
        let held = self.hold_incident("ncsc", "ico", organisation, incident).await;
        let mandate = v1::Agent { name: AGENT.into(), kind: "law-firm".into(), contact: AGENT.into() };
        let mandate = v1::RecordMandateRequest { agent: Some(mandate), ..self.mandate_of(&held) };
        self.mandates("ncsc").record_mandate(mandate).await.unwrap();
        let evidence = v1::ConsentEvidence { signatory: EVIDENCE.into(), ..self.evidence() };
        let request = v1::RecordConsentRequest { evidence: Some(evidence), ..self.consent_to_record(&held) };
        let consent = self.consents("ncsc").record_consent(request).await.unwrap().into_inner().consent_id;
        self.verify_consent(&held, &consent, 1).await.unwrap();
        let authorisation = self.authorise(&held).await;
        let engagement = self.engaged(&held).await;
        let terms = v1::EngagementTerms { contact: CONTENT.into(), ..crate::deconfliction::plain_terms() };
        self.amend_engagement("ncsc", &engagement, terms).await;
        self.ask_victim("ncsc", &engagement, CONTENT).await;
        self.let_see(&held, &engagement).await;
        assert_released(&self.outcome(&held).await, &["identity", "timeline"]);
        Permitted { held, consent, authorisation }
    }

    /// The wrapped keys of all that contains the incident or goes with it: content, the release's facts, the consent's evidence, the
    /// mandate.
    async fn keys_of(&self, permitted: &Permitted) -> Vec<Vec<u8>> {
        let (incident, consent) = (&permitted.held.incident, &permitted.consent);
        let last = self.size().await - 1;
        let mut keys = Vec::new();
        for of in [
            format!("incident_revision WHERE incident_id = '{incident}'"),
            format!("consent WHERE id = '{consent}'"),
            format!("mandate WHERE organisation_id = '{}'", permitted.held.organisation),
            format!("entry WHERE idx = {last}"),
        ] {
            keys.extend(self.all_bytes(&format!("SELECT wrapped_key FROM {of} AND wrapped_key IS NOT NULL")).await);
        }
        keys
    }

    /// Every byte that the database leaves where others could find it; a dump has bytes as hexadecimal.
    pub(crate) fn left_behind(&self) -> Vec<u8> {
        let url = self.config.database_url();
        match url.strip_prefix("sqlite:") {
            Some(path) => files(Path::new(path).parent().unwrap()),
            None => postgres::dump(&url),
        }
    }
}

fn files(folder: &Path) -> Vec<u8> {
    let all = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file());
    all.flat_map(|path| fs::read(path).unwrap()).collect()
}

pub(crate) fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    let hex = data_encoding::HEXLOWER.encode(wanted);
    [wanted, hex.as_bytes()].iter().any(|form| bytes.windows(form.len()).any(|part| part == *form))
}

on_both_databases! {
    async fn what_was_erased_is_found_nowhere(world: World) {
        let permitted = world.with_canaries().await;
        let other = world.with_canaries().await;
        let last = world.size().await - 2;
        let keys = world.keys_of(&other).await;
        assert_eq!(keys.len(), 4);
        let before = world.left_behind();
        assert!(keys.iter().all(|key| has(&before, key)), "the search finds what is there");
        assert!(has(&before, CAMPAIGN.as_bytes()), "and what is not sealed");
        assert!(![CONTENT, EVIDENCE, AGENT].iter().any(|canary| has(&before, canary.as_bytes())), "it is all sealed");

        world.erase(&other.held).await;
        world.erase(&permitted.held).await;

        let live = "SELECT wrapped_key FROM incident_revision WHERE wrapped_key IS NOT NULL";
        assert!(world.all_bytes(live).await.is_empty());
        let after = world.left_behind();
        for key in &keys {
            assert!(!has(&after, key), "a key was left behind");
        }
        for canary in [CONTENT, EVIDENCE, CAMPAIGN] {
            assert!(!has(&after, canary.as_bytes()), "`{canary}` was left behind");
        }
        assert!(world.size().await > last, "the ledger only grows");
    }

    async fn what_was_received_leaves_nothing_of_its_chain_when_it_is_erased(world: World) {
        let (release, upstream, _) = world.received_by_ico("nca", World::onward_scope).await;
        let received = world.receive("ico", release, "ncsc").await;
        let (_, receipt) = world.permitted_to_pass_on(&received, "nca").await;
        world.present(&received.held, receipt).await.unwrap();
        // What the agreement obliges to is in its text, too: so one that is not.
        let obliged = format!(
            "UPDATE incident SET provenance = REPLACE(provenance, '\"caveats\":[', '\"caveats\":[\"{CAVEAT}\",')
             WHERE id = '{}'",
            received.held.incident
        );
        execute(&world.config.database_url(), &[&obliged], &[&obliged]).await;
        let asked = "SELECT CAST(passage AS bytea) FROM permission";
        let asked = if world.config.database_url().starts_with("postgres") {
            asked.to_owned()
        } else {
            asked.replace("bytea", "blob")
        };
        assert!(has(&world.all_bytes(&asked).await[0], upstream.reference.as_bytes()));
        assert!(has(&world.left_behind(), CAVEAT.as_bytes()), "the search finds what is there");
        world.erase(&received.held).await;
        world.erase(&upstream).await;
        assert!(!has(&world.all_bytes(&asked).await[0], upstream.reference.as_bytes()), "by this it was asked about");
        assert!(!has(&world.left_behind(), CAVEAT.as_bytes()), "the chain was left behind");
    }

    async fn reasons_and_names_go_with_the_incident(world: World) {
        let held = world.permitted("ncsc").await.held;
        let index = world.release_to_recipient(&held).await;
        let call = v1::RecordDisclosureRequest { officer: OFFICER.into(), ..world.telephone_call(&held, "nca") };
        world.record_disclosure("ncsc", call).await.unwrap();
        let wrongful = world.report_releases("ncsc", &[index]).await.unwrap();
        let [notice] = world.notices("ico").await.try_into().unwrap();
        let answered = world.say_all("ico", &notice.id, "kept", "a court asked for it", &["met-police"]).await.unwrap();
        let closed = world.close("ncsc", &wrongful, "they wrote that it is gone", false).await.unwrap();
        let mut keys = Vec::new();
        for table in ["notice_acknowledgement", "wrongful_release"] {
            keys.extend(world.all_bytes(&format!("SELECT wrapped_key FROM {table}")).await);
        }
        for entry in [answered.index, closed.index] {
            keys.extend(world.all_bytes(&format!("SELECT wrapped_key FROM entry WHERE idx = {entry}")).await);
        }
        assert_eq!(keys.len(), 4);
        assert!(has(&world.left_behind(), OFFICER.as_bytes()));

        world.erase(&held).await;
        let after = world.left_behind();
        assert!(!keys.iter().any(|key| has(&after, key)), "a key was left behind");
        assert!(!has(&after, OFFICER.as_bytes()), "the officer's name was left behind");
        let [notice] = world.notices("ico").await.try_into().unwrap();
        let said = &notice.acknowledgements[0];
        assert_eq!((notice.state.as_str(), said.outcome.as_str(), said.reason.as_str()), ("kept", "kept", ""));
        assert_eq!(world.wrongful("ncsc", &wrongful).await.reason, "");
        for (agency, entry) in [("ico", answered.index), ("ncsc", answered.index), ("ncsc", closed.index)] {
            let receipt = world.entry(agency, entry).await.unwrap();
            assert_eq!(receipt.openings.len(), 0, "the entry says why");
        }
    }

    async fn a_crash_before_the_write_ahead_file_is_emptied_leaves_nothing_after_the_next_start(world: World) {
        let url = world.config.database_url();
        if let Some(path) = url.strip_prefix("sqlite:") {
            let permitted = world.with_canaries().await;
            let keys = world.keys_of(&permitted).await;
            // Somebody reads, so that it cannot be emptied.
            let mut reader = SqliteConnection::connect(&url).await.unwrap();
            let mut reading = reader.begin().await.unwrap();
            sqlx::query("SELECT id FROM incident").fetch_all(&mut *reading).await.unwrap();
            world.erase(&permitted.held).await;

            // What a crash would leave now.
            let image = tempfile::tempdir().unwrap();
            for end in ["", "-wal"] {
                fs::copy(format!("{path}{end}"), image.path().join(format!("node.db{end}"))).unwrap();
            }
            drop(reading);
            assert!(keys.iter().any(|key| has(&files(image.path()), key)), "this test shows nothing");
            let options = Options::serve(format!("sqlite:{}", image.path().join("node.db").display()));
            let store = Store::open(&options).await.unwrap();
            assert!(!keys.iter().any(|key| has(&files(image.path()), key)), "a key was left in a file");
            store.close().await;
        }
    }
}
