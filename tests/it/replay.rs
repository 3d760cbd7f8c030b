//! Decisions are made again from what was sealed with them: they come out the same whatever has changed since, and
//! whatever was changed in the database is named.

use concordat::seal::Seal;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use crate::builders::{Held, assert_not_covered, assert_open, assert_released, identifier};
use crate::cli::{concordat, execute, exit, text};
use crate::harness::{World, on_both_databases, request_id};

impl World {
    /// What `concordat ledger replay` says with these arguments, beside the serving node, and how it exits.
    pub(crate) fn replayed(&self, arguments: &[&str]) -> (i32, Value) {
        let file = self.workspace.folder().join("node-one/node.toml");
        let command = ["ledger", "replay", "--config", text(&file)];
        let output = concordat(&[command.as_slice(), arguments].concat());
        (exit(&output), serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// Puts `bytes` where a statement says, as somebody with the database's own rights could.
    async fn put_bytes(&self, update: &str, bytes: Vec<u8>) {
        let (url, update) = (self.config.database_url(), AssertSqlSafe(update.to_owned()));
        let changed = if url.starts_with("postgres") {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            sqlx::query(update).bind(bytes).execute(&mut connection).await.unwrap().rows_affected()
        } else {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            sqlx::query(update).bind(bytes).execute(&mut connection).await.unwrap().rows_affected()
        };
        assert_eq!(changed, 1, "one row is changed");
    }

    async fn bytes(&self, select: &str) -> Vec<u8> {
        self.all_bytes(select).await.remove(0)
    }

    /// What one column of bytes has, row by row.
    pub(crate) async fn all_bytes(&self, select: &str) -> Vec<Vec<u8>> {
        let (url, select) = (self.config.database_url(), AssertSqlSafe(select.to_owned()));
        if url.starts_with("postgres") {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let rows = sqlx::query(select).fetch_all(&mut connection).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        } else {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            let rows = sqlx::query(select).fetch_all(&mut connection).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        }
    }

    /// Changes the bytes in one place of the database, replays one entry, and puts them back.
    async fn replayed_with(&self, index: u64, place: &Place, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> (i32, String) {
        let was = self.bytes(&format!("SELECT {} FROM {}", place.column, place.rows)).await;
        let update = format!("UPDATE {} SET {} = $1 WHERE {}", place.table(), place.column, place.condition());
        self.put_bytes(&update, change(was.clone())).await;
        let (from, until) = (index.to_string(), (index + 1).to_string());
        let (code, said) = self.replayed(&["--from", &from, "--until", &until]);
        self.put_bytes(&update, was).await;
        (code, said["faults"].to_string())
    }
}

/// One cell of the database: `rows` is `table WHERE condition`.
struct Place {
    column: &'static str,
    rows: String,
}

impl Place {
    fn table(&self) -> &str {
        self.rows.split_once(" WHERE ").unwrap().0
    }

    fn condition(&self) -> &str {
        self.rows.split_once(" WHERE ").unwrap().1
    }
}

/// The same with every `from` replaced, which must be there; both have the same length, as texts state theirs.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let place = bytes.windows(from.len()).position(|part| part == from.as_bytes());
    let place = place.unwrap_or_else(|| panic!("`{from}` is not in {}", String::from_utf8_lossy(bytes)));
    [&bytes[..place], to.as_bytes(), &bytes[place + from.len()..]].concat()
}

on_both_databases! {
    async fn every_decision_comes_out_the_same_whatever_has_changed_since(world: World) {
        let permitted = world.permitted("ncsc").await;
        let held = permitted.held.clone();
        let ask = world.ask(&held);
        let first = world.put(&held, ask.clone()).await.unwrap();
        assert_released(first.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        // A repeat is no decision of its own.
        world.put(&held, ask).await.unwrap();
        let again = concordat::proto::v1::RequestReleaseRequest {
            request_id: request_id(),
            request: first.request.clone(),
            ..Default::default()
        };
        assert_released(world.put(&held, again).await.unwrap().outcome.as_ref().unwrap(), &["identity", "timeline"]);

        // By name, with a reference made for it.
        let organisation = world.register_organisation("ncsc", vec![identifier(1)]).await;
        let incident = world.incident_at(&organisation);
        let incident = world.incidents("ncsc").register_incident(incident).await.unwrap().into_inner().incident_id;
        let named = Held { organisation, incident, reference: String::new(), ..held.clone() };
        let named = world.permit(named).await;
        for _ in 0..2 {
            let outcome = world.put(&named.held, world.ask_by_name("ncsc", vec![identifier(1)])).await.unwrap().outcome;
            assert_released(&outcome.unwrap(), &["identity", "timeline"]);
        }
        // Nothing held, and not covered.
        let nothing = world.put(&held, world.ask_by_name("ncsc", vec![identifier(2)])).await.unwrap();
        assert_open(nothing.outcome.as_ref().unwrap());
        let mut elsewhere = world.ask(&held);
        elsewhere.purpose = "serious-organised-crime".into();
        assert_not_covered(&world.put(&held, elsewhere).await.unwrap().outcome.unwrap(), "PURPOSE_NOT_COVERED");

        // All that those decisions read changes.
        world.withdraw_consent(&held, &permitted.consent).await.unwrap();
        world.revoke(&named.held, &named.authorisation).await.unwrap();
        world.amend(&named.held).await;
        world.end_agreement("ico-ncsc-2023").await.unwrap();
        world.hand.set(concordat::domain::Instant::from_micros(world.now().micros() + 40 * 86_400_000_000));
        world.put(&held, world.ask(&held)).await.unwrap();

        let size = world.size().await;
        let (code, said) = world.replayed(&[]);
        assert_eq!((code, &said["same"]), (0, &Value::from(7)), "{said}");
        let others: u64 = said["no_decision"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(others + 7, size, "every entry is accounted for: {said}");
        assert!(said["no_decision"]["consent"].as_u64().unwrap() >= 5, "{said}");

        let index = first.receipt.unwrap().index.to_string();
        let (code, said) = world.replayed(&["--from", &index, "--until", &index]);
        assert_eq!((code, &said["same"]), (0, &Value::from(0)), "an empty range");
        let (code, said) = world.replayed(&["--from", &index, "-o", "json"]);
        assert_eq!((code, &said["same"]), (0, &Value::from(7)), "{said}");
        assert_eq!(world.replayed(&["--until", &(size + 1).to_string()]).0, 3, "beyond the ledger's end");
    }

    async fn what_was_changed_since_is_named(world: World) {
        let permitted = world.permitted("ncsc").await;
        let response = world.put(&permitted.held, world.ask(&permitted.held)).await.unwrap();
        let (index, question) = (response.receipt.unwrap().index, response.request);
        let drop = ["DROP TRIGGER entry_append_only ON entry"];
        execute(&world.config.database_url(), &drop, &["DROP TRIGGER entry_never_changed"]).await;
        let entry = |column| Place { column, rows: format!("entry WHERE idx = {index}") };
        let flipped = |mut bytes: Vec<u8>| {
            *bytes.last_mut().unwrap() ^= 1;
            bytes
        };
        // Somebody with the database and the node's secret.
        let seal = Seal::new(&world.config.node_secrets().unwrap()[0]).unwrap();
        let name = format!("entry {index}");
        let wrapped = world.bytes(&format!("SELECT wrapped_key FROM entry WHERE idx = {index}")).await;
        let key = seal.unwrap_key(&name, &wrapped).unwrap();
        let resealed = |from: &'static str, to: &'static str| {
            let (key, name) = (&key, &name);
            move |sealed: Vec<u8>| {
                let facts = key.open(&[name, "facts"], &sealed).unwrap();
                key.seal(&[name, "facts"], &replaced(&facts, from, to)).unwrap()
            }
        };

        let (code, said) = world.replayed_with(index, &entry("facts"), flipped).await;
        assert!(code == 3 && said.contains("does not open"), "{code} {said}");
        let (code, said) = world.replayed_with(index, &entry("openings"), flipped).await;
        assert!(code == 3 && said.contains("does not open"), "{code} {said}");
        let (code, said) = world.replayed_with(index, &entry("leaf"), flipped).await;
        assert!(code == 1 && said.contains("openings: "), "{code} {said}");

        let facts = resealed("\"state\":\"given\"", "\"state\":\"recorded\"");
        let (code, said) = world.replayed_with(index, &entry("facts"), facts).await;
        assert!(code == 1 && said.contains("facts: they are not the ones"), "{code} {said}");
        assert!(said.contains("outcome: `released` was committed to, the facts give `open`"), "{said}");
        assert!(said.contains("answer: "), "{said}");
        let facts = resealed("\"format\":2", "\"format\":7");
        let (code, said) = world.replayed_with(index, &entry("facts"), facts).await;
        assert!(code == 3 && said.contains("does not know facts of format 7"), "{code} {said}");

        let terms = Place { column: "text", rows: "agreement_text WHERE digest = (SELECT digest FROM agreement \
            WHERE id = 'ico-ncsc-2023' AND state = 'in-force')".to_owned() };
        let changed = |text: Vec<u8>| replaced(&text, "harm-reduction", "harm-reductiom");
        let (code, said) = world.replayed_with(index, &terms, changed).await;
        assert!(code == 1 && said.contains("is another text"), "{code} {said}");

        let url = world.config.database_url();
        let both = |statements: [String; 2]| {
            let url = url.clone();
            async move {
                let statements = [statements[0].as_str(), &statements[1]];
                execute(&url, &statements, &statements).await;
            }
        };
        both([
            format!("CREATE TABLE kept AS SELECT answer FROM call WHERE idx = {index}"),
            format!("UPDATE call SET answer = '{{\"outcome\":\"open\"}}' WHERE idx = {index}"),
        ]).await;
        let (code, said) = world.replayed(&[]);
        assert!(code == 1 && said["faults"].to_string().contains("answer: "), "{code} {said}");
        both([
            format!("UPDATE call SET answer = (SELECT answer FROM kept) WHERE idx = {index}"),
            format!("UPDATE request SET open_until = open_until + 1 WHERE id = '{question}'"),
        ]).await;
        let (code, said) = world.replayed(&[]);
        assert!(code == 1 && said["faults"].to_string().contains("other particulars"), "{code} {said}");
        both([
            format!("UPDATE request SET open_until = open_until - 1 WHERE id = '{question}'"),
            "CREATE TABLE texts AS SELECT * FROM agreement_text".to_owned(),
        ]).await;
        both(["DELETE FROM agreement_text".to_owned(), "DROP TABLE kept".to_owned()]).await;
        let (code, said) = world.replayed(&[]);
        assert!(code == 3 && said["faults"].to_string().contains("is missing"), "{code} {said}");
        both(["INSERT INTO agreement_text SELECT * FROM texts".to_owned(), "DROP TABLE texts".to_owned()]).await;
        assert_eq!(world.replayed(&[]).0, 0, "all is as it was");
    }

    async fn a_decision_on_what_no_act_brought_about_is_found(world: World) {
        let url = world.config.database_url();
        let withdrawn = world.permitted("ncsc").await;
        world.withdraw_consent(&withdrawn.held, &withdrawn.consent).await.unwrap();
        let revoked = world.permitted("ncsc").await;
        world.revoke(&revoked.held, &revoked.authorisation).await.unwrap();
        let unknown = world.permitted("ncsc").await;
        let forged = Held { reference: "forged-reference".into(), ..unknown.held.clone() };
        assert_eq!(world.replayed(&[]).0, 0);
        // As somebody with the database's own rights could, and without the node's secret.
        let changes = [
            format!("UPDATE consent SET state = 'given' WHERE id = '{}'", withdrawn.consent),
            format!("UPDATE authorisation SET revoked_at = NULL WHERE id = '{}'", revoked.authorisation),
            format!("INSERT INTO reference SELECT 'forged-reference', incident_id, holder, recipient, issued_at
                     FROM reference WHERE reference = '{}'", unknown.held.reference),
        ];
        let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
        execute(&url, &changes, &changes).await;
        let mut asked = Vec::new();
        for held in [&withdrawn.held, &revoked.held, &forged] {
            let response = world.put(held, world.ask(held)).await.unwrap();
            // The gate reads its rows. That is why it has to be found afterwards.
            assert_released(response.outcome.as_ref().unwrap(), &["identity", "timeline"]);
            asked.push(response.receipt.unwrap().index);
        }
        let (frozen, index) = world.released_to_ico().await;
        world.report_releases("ncsc", &[index]).await.unwrap();
        let thawed = ["UPDATE incident SET frozen = NULL WHERE id <> '-'"];
        execute(&url, &thawed, &thawed).await;
        asked.push(world.release_to_recipient(&frozen.held).await);
        world.suspend_agency("ncsc", "ico").await.unwrap();
        let lifted = ["DELETE FROM suspension"];
        execute(&url, &lifted, &lifted).await;
        let response = world.put(&unknown.held, world.ask(&unknown.held)).await.unwrap();
        assert_released(response.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        asked.push(response.receipt.unwrap().index);
        let (code, said) = world.replayed(&[]);
        let faults = said["faults"].as_array().unwrap();
        assert_eq!((code, faults.len()), (1, 5), "{said}");
        let expected = [
            "was read as given, by the acts it is withdrawn",
            "brought about authorisation",
            "reference was never issued",
            "was read as not frozen, by the acts it is frozen",
            "although the requester was suspended",
        ];
        for ((fault, index), problem) in faults.iter().zip(&asked).zip(expected) {
            assert_eq!(fault["entry"], *index);
            assert!(fault["problems"].to_string().contains(problem), "expected `{problem}`: {fault}");
        }
        // Who begins later has not seen the acts.
        assert_eq!(world.replayed(&["--from", "1"]).0, 0);
        // Not for other tests' eyes: a ledger with such entries in it does not replay any more.
        let erase: Vec<String> =
            asked.iter().map(|index| format!("UPDATE entry SET wrapped_key = NULL WHERE idx = {index}")).collect();
        let erase: Vec<&str> = erase.iter().map(String::as_str).collect();
        execute(&url, &erase, &erase).await;
    }

    async fn a_naming_is_decided_again_and_on_what_acts_brought_about(world: World) {
        let url = world.config.database_url();
        let (known, consent) = world.nameable("ncsc", vec![identifier(1)]).await;
        let name = async || world.ask_to_name("ncsc", world.naming_of(&known, vec![identifier(1)])).await.unwrap();
        let index = name().await.receipt.unwrap().index;
        let (code, said) = world.replayed(&[]);
        assert_eq!((code, &said["same"]), (0, &Value::from(1)), "{said}");

        let seal = Seal::new(&world.config.node_secrets().unwrap()[0]).unwrap();
        let entry = format!("entry {index}");
        let wrapped = world.bytes(&format!("SELECT wrapped_key FROM entry WHERE idx = {index}")).await;
        let key = seal.unwrap_key(&entry, &wrapped).unwrap();
        let unverified = |sealed: Vec<u8>| {
            let facts = key.open(&[&entry, "facts"], &sealed).unwrap();
            key.seal(&[&entry, "facts"], &replaced(&facts, "\"state\":\"given\"", "\"state\":\"recorded\"")).unwrap()
        };
        let drop = ["DROP TRIGGER entry_append_only ON entry"];
        execute(&url, &drop, &["DROP TRIGGER entry_never_changed"]).await;
        let facts = Place { column: "facts", rows: format!("entry WHERE idx = {index}") };
        let (code, said) = world.replayed_with(index, &facts, unverified).await;
        assert!(code == 1 && said.contains("outcome: ") && said.contains("grounds: "), "{code} {said}");

        world.withdraw_consent(&known, &consent).await.unwrap();
        let given = format!("UPDATE consent SET state = 'given' WHERE id = '{consent}'");
        execute(&url, &[&given], &[&given]).await;
        let forged = name().await;
        assert_eq!(forged.answer, "given");
        let (code, said) = world.replayed(&[]);
        let faults = said["faults"].to_string();
        assert!(code == 1 && faults.contains("was read as given, by the acts it is withdrawn"), "{code} {said}");
        let erase = format!("UPDATE entry SET wrapped_key = NULL WHERE idx = {}", forged.receipt.unwrap().index);
        execute(&url, &[&erase], &[&erase]).await;
    }

    async fn a_put_of_a_statement_is_decided_again_and_on_what_acts_brought_about(world: World) {
        let url = world.config.database_url();
        let permitted = world.permitted("ncsc").await;
        let opening = world.opening("statement", &permitted.held.incident);
        let opened = world.proposals("ncsc").open_proposal(opening.clone()).await.unwrap().into_inner();
        let put = world.put_statement("ncsc", &opened, "ico").await;
        assert_eq!(put.answer, "put");
        let index = put.receipt.unwrap().index;
        let (code, said) = world.replayed(&[]);
        assert_eq!((code, &said["same"]), (0, &Value::from(1)), "{said}");

        let seal = Seal::new(&world.config.node_secrets().unwrap()[0]).unwrap();
        let entry = format!("entry {index}");
        let wrapped = world.bytes(&format!("SELECT wrapped_key FROM entry WHERE idx = {index}")).await;
        let key = seal.unwrap_key(&entry, &wrapped).unwrap();
        let unverified = |sealed: Vec<u8>| {
            let facts = key.open(&[&entry, "facts"], &sealed).unwrap();
            key.seal(&[&entry, "facts"], &replaced(&facts, "\"state\":\"given\"", "\"state\":\"recorded\"")).unwrap()
        };
        let drop = ["DROP TRIGGER entry_append_only ON entry"];
        execute(&url, &drop, &["DROP TRIGGER entry_never_changed"]).await;
        let facts = Place { column: "facts", rows: format!("entry WHERE idx = {index}") };
        let (code, said) = world.replayed_with(index, &facts, unverified).await;
        assert!(code == 1 && said.contains("outcome: ") && said.contains("grounds: "), "{code} {said}");
        // That it was put is in the entry's own openings.
        let openings = Place { column: "openings", rows: facts.rows.clone() };
        let another_step = |sealed: Vec<u8>| {
            let openings = key.open(&[&entry, "openings"], &sealed).unwrap();
            key.seal(&[&entry, "openings"], &replaced(&openings, "put", "not")).unwrap()
        };
        let (code, said) = world.replayed_with(index, &openings, another_step).await;
        assert!(code == 1 && said.contains("openings: "), "{code} {said}");

        // A consent that was withdrawn is written back as given, and the next text is put.
        world.withdraw_consent(&permitted.held, &permitted.consent).await.unwrap();
        let given = format!("UPDATE consent SET state = 'given' WHERE id = '{}'", permitted.consent);
        execute(&url, &[&given], &[&given]).await;
        let next = world.amend_as(world.proposals("ncsc"), &opened, opening.proposal.unwrap()).await;
        let forged = world.put_statement("ncsc", &next, "ico").await;
        assert_eq!(forged.answer, "put");
        let (code, said) = world.replayed(&[]);
        let faults = said["faults"].to_string();
        assert!(code == 1 && faults.contains("was read as given, by the acts it is withdrawn"), "{code} {said}");
        let erase = format!("UPDATE entry SET wrapped_key = NULL WHERE idx = {}", forged.receipt.unwrap().index);
        execute(&url, &[&erase], &[&erase]).await;
    }

    async fn what_was_erased_says_so_and_still_verifies(world: World) {
        let permitted = world.permitted("ncsc").await;
        let response = world.put(&permitted.held, world.ask(&permitted.held)).await.unwrap();
        let receipt = response.receipt.unwrap();
        let erase = format!("UPDATE entry SET wrapped_key = NULL WHERE idx = {}", receipt.index);
        execute(&world.config.database_url(), &[&erase], &[&erase]).await;
        let (code, said) = world.replayed(&[]);
        assert_eq!((code, &said["erased"], &said["same"]), (0, &Value::from(1), &Value::from(0)), "{said}");
        world.verified(Some(&receipt));
    }

    async fn another_node_secret_replays_nothing(world: World) {
        let file = world.workspace.folder().join("node-one/node.secret");
        let secret = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, "5a".repeat(32)).unwrap();
        assert_eq!(world.replayed(&[]).0, 3);
        std::fs::write(&file, secret).unwrap();
    }
}
