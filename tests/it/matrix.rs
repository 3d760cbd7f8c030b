//! Who gets what: every RPC × {own, another agency's, unknown} × every role.
//!
//! The RPCs and the roles that may call them come from the contract; what they speak of is said here. **A new RPC needs
//! a row in [`ROWS`]**, one line for each field that names a record (and its valid request in
//! `bad_input/requests.rs`). A new kind of record says in [`World::anothers`] how to make one of the NCA's. Whatever
//! is forgotten fails with the name of the RPC or the field.
//!
//! What must come:
//! - of a role that may not call: `ROLE_MISSING`, in the same bytes whatever the request speaks of;
//! - of an agency without records on the node, where that matters: `NOT_THIS_NODE`, in the same way;
//! - of a role that may call, for its own: success;
//! - for another's and for what is not there: the same bytes, for each field that names a record by itself, in an
//!   otherwise proper request, and for the whole request of somebody else.

mod rows;

use std::collections::BTreeSet;

use concordat::proto::{ACCESS, v1};
use prost::Message as _;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::bad_input::{Rpc, STATEMENT, fresh, rpcs};
use crate::harness::{World, to_its_end};
use crate::raw::{self, Answer};

use rows::Object::{self, Agreement, Filter, List, Nothing, Record, Reference};
use rows::{NO_RECORD, ROWS};

const ROLES: [&str; 9] = [
    "requester",
    "recorder",
    "verifier",
    "authoriser",
    "communications-approver",
    "auditor",
    "operator",
    "statistician",
    NEW_ROLE,
];
/// One that the agencies' issuers may give and that the contract does not know.
const NEW_ROLE: &str = "archivist";

/// An agency other than the one whose the records of the valid requests are.
const STRANGER: &str = "nca";

fn access(rpc: &Rpc) -> (&'static [&'static str], bool) {
    let (_, roles, own_agency) = ACCESS.iter().find(|(path, ..)| *path == rpc.path).unwrap();
    (roles, *own_agency)
}

/// Every set of roles that is tried: each by itself, and none.
fn each_role() -> impl Iterator<Item = Vec<&'static str>> {
    ROLES.into_iter().map(|role| vec![role]).chain([vec![]])
}

/// The fields of a request that name a record, by what they are called.
fn naming_fields(message: &MessageDescriptor, path: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for field in message.fields() {
        let name = field.name();
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match field.kind() {
            Kind::Message(inner) => found.extend(naming_fields(&inner, &path)),
            _ if name == "request_id" => {}
            _ if name.ends_with("_id") || ["request", "reference", "index"].contains(&name) => drop(found.insert(path)),
            _ => {}
        }
    }
    found
}

#[test]
fn each_rpc_and_each_field_that_names_a_record_has_a_row() {
    let rpcs = rpcs();
    for rpc in &rpcs {
        let rows: Vec<_> = ROWS.iter().filter(|(name, ..)| *name == rpc.name()).collect();
        assert!(
            !rows.is_empty(),
            "{} has no row: say in ROWS in tests/it/matrix/rows.rs what it speaks of",
            rpc.name()
        );
        for field in naming_fields(&rpc.method.input(), "") {
            let stated = rows.iter().any(|(.., object)| {
                matches!(object, Record(named) | Agreement(named, _) | Reference(named) | Filter(named) if *named == field)
            });
            let excused = NO_RECORD.contains(&(rpc.name(), field.as_str()));
            assert!(
                stated != excused,
                "{}: `{field}` looks as if it named a record: say in ROWS in tests/it/matrix/rows.rs whose",
                rpc.name()
            );
        }
    }
    for (name, ..) in ROWS {
        assert!(rpcs.iter().any(|rpc| rpc.name() == *name), "ROWS has {name}, and the contract has not");
    }
}

/// All that a caller can see of a status.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    code: Code,
    message: String,
    details: Vec<u8>,
    headers: Vec<(String, String)>,
}

fn seen(answer: Result<Answer, Status>) -> Result<Seen, Answer> {
    let Err(status) = answer else { return Err(answer.unwrap()) };
    let headers = status.metadata().clone().into_headers();
    let headers = headers.iter().filter(|(name, _)| *name != "date");
    Ok(Seen {
        code: status.code(),
        message: status.message().to_owned(),
        details: status.details().to_vec(),
        headers: headers.map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect(),
    })
}

fn reason(status: &Seen) -> String {
    let status = Status::with_details(status.code, status.message.clone(), status.details.clone().into());
    status.get_details_error_info().map(|found| found.reason).unwrap_or_default()
}

fn with(message: &DynamicMessage, path: &str, value: Value) -> DynamicMessage {
    let mut changed = message.clone();
    match path.split_once('.') {
        None => changed.set_field_by_name(path, value),
        Some((outer, rest)) => {
            let inner = message.get_field_by_name(outer).unwrap();
            let within = |inner: &Value| Value::Message(with(inner.as_message().unwrap(), rest, value.clone()));
            // Of several, the first.
            let inner = match inner.as_list() {
                Some([first, others @ ..]) => Value::List([&[within(first)], others].concat()),
                _ => within(&inner),
            };
            changed.set_field_by_name(outer, inner);
        }
    }
    changed
}

/// A well-formed name of what is not there.
fn unknown(field: &str) -> Value {
    if field == "index" { Value::U64(1_000_000) } else { Value::String("unknown-thing-0001".to_owned()) }
}

/// The ids of what a list shows.
fn listed(rpc: &Rpc, answer: &Answer) -> BTreeSet<String> {
    let answer = DynamicMessage::decode(rpc.method.output(), answer.message.clone()).unwrap();
    let lists = answer.fields().filter_map(|(_, value)| value.as_list().map(<[Value]>::to_vec));
    let id = |item: &Value| {
        let item = item.as_message().unwrap();
        let field = ["id", "index", "request", "incident_id", "engagements"]
            .into_iter()
            .find(|field| item.has_field_by_name(field));
        let field = field.or(item.fields().next().map(|_| "id")).unwrap();
        // An organisation of the meeting list has no id: it is known by its engagements.
        item.get_field_by_name(field).map(|id| format!("{id:?}")).unwrap()
    };
    lists.flatten().map(|item| id(&item)).collect()
}

/// An outcome without what is each call's own.
fn masked(answer: &Answer) -> v1::RequestReleaseResponse {
    let mut response = v1::RequestReleaseResponse::decode(answer.message.clone()).unwrap();
    (response.request, response.receipt) = (String::new(), None);
    response
}

impl World {
    /// A node that holds the records of the ICO and the NCSC, and of the NCA if it is to; every issuer may give a role
    /// that the contract does not know.
    async fn for_matrix(engine: crate::harness::Engine, holds_stranger: bool) -> Option<Self> {
        let world = Self::start_with(engine, |config| {
            for agency in &mut config.agency {
                for issuer in &mut agency.issuer {
                    issuer.roles.insert(concordat::domain::Role::known(NEW_ROLE));
                }
                if agency.id.as_str() == STRANGER && !holds_stranger {
                    agency.holds = None;
                }
            }
        })
        .await?;
        for id in ["ico-ncsc-2023", "ico-nca-2024", "nis-regulations-2018"] {
            world.activate(id).await;
        }
        Some(world)
    }

    /// One of the NCA's, by the name of the field.
    async fn anothers(&self, field: &str) -> Value {
        let name = match field.rsplit('.').next().unwrap() {
            "organisation_id" => self.register_organisation(STRANGER, vec![]).await,
            "incident_id" => self.hold(STRANGER, "ico").await.incident,
            "consent_id" => self.seek_consent(&self.hold(STRANGER, "ico").await).await,
            "mandate_id" => self.mandated(&self.hold(STRANGER, "ico").await).await,
            "authorisation_id" => self.authorise(&self.hold(STRANGER, "ico").await).await,
            "request" => {
                let held = self.hold("ico", STRANGER).await;
                self.put(&held, self.ask(&held)).await.unwrap().request
            }
            "notice_id" => self.stopped_for(STRANGER).await,
            "wrongful_release_id" => self.reported(STRANGER).await,
            "engagement_id" => self.engaged(&self.hold(STRANGER, "ico").await).await,
            "permission_id" => self.asked_by_the_nca().await,
            "proposal_id" => self.open(STRANGER, "consultation").await.proposal_id,
            "reference" => self.hold("ncsc", STRANGER).await.reference,
            "theme_id" => {
                // No agreement lets the NCA share themes, so it cannot draft one.
                let id = concordat::seal::new_id("theme");
                let insert = format!("INSERT INTO theme (id, holder) VALUES ('{id}', '{STRANGER}')");
                crate::cli::execute(&self.config.database_url(), &[&insert], &[&insert]).await;
                id
            }
            "recommendation_id" => {
                // No agreement has the NCA recommend anything.
                let id = concordat::seal::new_id("rec");
                let insert = |bytes: &str| {
                    format!(
                        "INSERT INTO recommendation (id, holder, incident_id, clause, towards, channel, made_at,
                            recorded_by, version, wrapped_key, sealed)
                         VALUES ('{id}', '{STRANGER}', '-', '-', 'ico', 'telephone', 0, '-', 1, {bytes}, {bytes})"
                    )
                };
                let (sqlite, postgres) = (insert("x'00'"), insert("'\\x00'"));
                crate::cli::execute(&self.config.database_url(), &[&postgres], &[&sqlite]).await;
                id
            }
            "index" => {
                drop(self.hold(STRANGER, "ico").await);
                return Value::U64(self.size().await - 1);
            }
            field => panic!("say in World::anothers in tests/it/matrix.rs how to make one of the NCA's for `{field}`"),
        };
        Value::String(name)
    }

    async fn matrix_request(&self, rpc: &Rpc, variant: usize, object: Object) -> DynamicMessage {
        let bytes = self
            .valid_request(rpc.name(), variant)
            .await
            .unwrap_or_else(|| panic!("no valid request for {}/{variant}", rpc.name()));
        let mut message = DynamicMessage::decode(rpc.method.input(), bytes.as_slice()).unwrap();
        if matches!(object, List | Filter(_)) {
            for token in ["cursor", "page_token"] {
                message.clear_field_by_name(token);
            }
            if rpc.method.input().get_field_by_name("page_size").is_some() {
                message.set_field_by_name("page_size", Value::I32(200));
            }
        }
        message
    }

    async fn call_as(
        &self,
        agency: &str,
        roles: &[&str],
        rpc: &Rpc,
        message: &DynamicMessage,
    ) -> Result<Answer, Status> {
        let officer = self.officer(agency, roles.first().unwrap_or(&"nobody"), roles);
        raw::call(officer, &rpc.path, fresh(message).encode_to_vec()).await
    }

    /// The same request about its owner's, another's and nothing.
    async fn spoken_of(&self, message: &DynamicMessage, object: Object) -> Vec<DynamicMessage> {
        match object {
            Record(field) | Reference(field) | Filter(field) => {
                let anothers = self.anothers(field).await;
                vec![message.clone(), with(message, field, anothers), with(message, field, unknown(field))]
            }
            Agreement(field, _) => vec![message.clone(), with(message, field, unknown(field))],
            Nothing | List => vec![message.clone()],
        }
    }

    /// A role that may not call learns nothing but that.
    async fn turns_away(&self, rpc: &Rpc, owner: &str, all: &[DynamicMessage], wanted: &str, roles: &[&str]) {
        let mut statuses = Vec::new();
        for message in all {
            statuses.push(seen(self.call_as(owner, roles, rpc, message).await).unwrap_or_else(|_| {
                panic!("{}: {owner} with the roles {roles:?} got an answer instead of {wanted}", rpc.name())
            }));
        }
        let first = &statuses[0];
        assert_eq!((first.code, reason(first).as_str()), (Code::PermissionDenied, wanted), "{} {roles:?}", rpc.name());
        assert!(statuses.iter().all(|status| status == first), "{} {roles:?}: {statuses:?}", rpc.name());
    }

    /// A role that may call gets of everything that is not its own the same bytes.
    async fn tells_nothing(&self, rpc: &Rpc, owner: &str, object: Object, all: &[DynamicMessage], role: &[&str]) {
        let own = &all[0];
        let what = format!("{} {object:?} as {role:?}", rpc.name());
        match object {
            Nothing => {}
            Record(_) => {
                for (caller, one, other) in [(owner, &all[1], &all[2]), (STRANGER, own, &all[2])] {
                    self.same_not_found(&what, rpc, (caller, role), one, other).await;
                }
            }
            Agreement(_, stranger) => self.same_not_found(&what, rpc, (stranger, role), own, &all[1]).await,
            Reference(_) => {
                let anothers = masked(&self.call_as(owner, role, rpc, &all[1]).await.unwrap());
                let nothing = masked(&self.call_as(owner, role, rpc, &all[2]).await.unwrap());
                assert_eq!(anothers, nothing, "{what}");
            }
            List => {
                let strangers = listed(rpc, &self.call_as(STRANGER, role, rpc, own).await.unwrap());
                let own = listed(rpc, &self.call_as(owner, role, rpc, own).await.unwrap());
                assert!(!own.is_empty() && own.is_disjoint(&strangers), "{what}: {own:?} and {strangers:?}");
            }
            Filter(_) => {
                let answer = async |caller, message| self.call_as(caller, role, rpc, message).await.unwrap();
                assert!(!listed(rpc, &answer(owner, own).await).is_empty(), "{what}: nothing of its own");
                assert_eq!(answer(owner, &all[1]).await, answer(owner, &all[2]).await, "{what}");
                assert_eq!(answer(STRANGER, own).await, answer(STRANGER, &all[2]).await, "{what}");
            }
        }
    }

    async fn same_not_found(
        &self,
        what: &str,
        rpc: &Rpc,
        (caller, role): (&str, &[&str]),
        anothers: &DynamicMessage,
        nothing: &DynamicMessage,
    ) {
        let status = async |message| {
            seen(self.call_as(caller, role, rpc, message).await).unwrap_or_else(|_| panic!("{what}: {caller} got it"))
        };
        let (anothers, nothing) = (status(anothers).await, status(nothing).await);
        // A stranger's request may be wrong in itself, as where it names the stranger as recipient.
        let is_wrong = caller == STRANGER && nothing.code == Code::InvalidArgument;
        assert!(is_wrong || nothing.code == Code::NotFound, "{what} by {caller}: {nothing:?}");
        assert_eq!(anothers, nothing, "{what} by {caller}: another's can be told from nothing");
    }
}

/// The agency whose the records of an RPC's valid request are.
async fn matrix(world: &World) {
    for (name, variant, object) in ROWS {
        let rpc = rpcs().into_iter().find(|rpc| rpc.name() == *name).unwrap();
        let (roles, _) = access(&rpc);
        let request = Box::pin(world.matrix_request(&rpc, *variant, *object)).await;
        let all = Box::pin(world.spoken_of(&request, *object)).await;
        let mut own = request.clone();
        for role in each_role() {
            if role == ["communications-approver"] && roles.contains(&role[0]) {
                // That one has a part in statements alone.
                let own = Box::pin(world.matrix_request(&rpc, STATEMENT, *object)).await;
                let all = Box::pin(world.spoken_of(&own, *object)).await;
                Box::pin(world.tells_nothing(&rpc, rpc.owner(), *object, &all, &role)).await;
                let answer = world.call_as(rpc.owner(), &role, &rpc, &own).await;
                assert!(answer.is_ok(), "{name} as {role:?}, of its own: {:?}", answer.err());
                continue;
            }
            if roles.is_empty() || role.iter().any(|role| roles.contains(role)) {
                Box::pin(world.tells_nothing(&rpc, rpc.owner(), *object, &all, &role)).await;
                let answer = world.call_as(rpc.owner(), &role, &rpc, &own).await;
                assert!(answer.is_ok(), "{name} as {role:?}, of its own: {:?}", answer.err());
                if rpc.changes() {
                    // It is done, and can be done again only to another.
                    own = world.matrix_request(&rpc, *variant, *object).await;
                }
                continue;
            }
            let before = world.ledger_size().await;
            for caller in [rpc.owner(), STRANGER] {
                world.turns_away(&rpc, caller, &all, "ROLE_MISSING", &role).await;
            }
            assert_eq!(world.ledger_size().await, before, "{name} wrote an entry for {role:?}");
        }
        // A role that the issuer may not give is no token at all.
        let status = world.call_as(rpc.owner(), &["president"], &rpc, &request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{name}: {status:?}");
    }
}

async fn matrix_of_a_guest(world: &World) {
    for (name, variant, object) in ROWS {
        let rpc = rpcs().into_iter().find(|rpc| rpc.name() == *name).unwrap();
        let (roles, own_agency) = access(&rpc);
        let own = world.matrix_request(&rpc, *variant, *object).await;
        let mut all = vec![own.clone()];
        if let Record(field) | Agreement(field, _) | Reference(field) | Filter(field) = object {
            all.push(with(&own, field, unknown(field)));
        }
        let before = world.ledger_size().await;
        for role in each_role() {
            if own_agency {
                world.turns_away(&rpc, STRANGER, &all, "NOT_THIS_NODE", &role).await;
            } else if !roles.is_empty() && !role.iter().any(|role| roles.contains(role)) {
                world.turns_away(&rpc, STRANGER, &all, "ROLE_MISSING", &role).await;
            } else if let Record(_) = object {
                world.same_not_found(name, &rpc, (STRANGER, &role), &all[0], &all[1]).await;
            }
        }
        assert_eq!(world.ledger_size().await, before, "{name} wrote an entry for a guest");
    }
}

fn run(engine: crate::harness::Engine, holds_stranger: bool) {
    to_its_end(|| async move {
        if let Some(world) = World::for_matrix(engine, holds_stranger).await {
            if holds_stranger {
                Box::pin(matrix(&world)).await;
            } else {
                Box::pin(matrix_of_a_guest(&world)).await;
            }
            world.finish().await;
        }
    });
}

mod each_rpc_gives_each_role_its_own_and_of_all_else_the_same_bytes {
    use crate::harness::Engine;

    #[test]
    fn sqlite() {
        super::run(Engine::Sqlite, true);
    }

    #[test]
    fn postgres() {
        super::run(Engine::Postgres, true);
    }
}

mod an_agency_without_records_here_is_told_so_whatever_it_speaks_of {
    use crate::harness::Engine;

    #[test]
    fn sqlite() {
        super::run(Engine::Sqlite, false);
    }

    #[test]
    fn postgres() {
        super::run(Engine::Postgres, false);
    }
}
