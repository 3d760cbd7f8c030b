//! Whatever a caller writes into any field of any request is either accepted or turned away by that field's name, and
//! what is turned away leaves nothing behind.
//!
//! The fields come from the contract's own descriptors, so a new one is tested without anybody thinking of it: it
//! only has to be in a valid request in [`requests`]. What is accepted, or turned away otherwise than by its own
//! name, stands in [`exceptions`].

mod advice;
mod content;
mod deconfliction;
mod exceptions;
mod holders;
mod mutants;
mod onward;
mod papers;
mod proposals;
mod requests;
mod signposts;

use std::collections::BTreeSet;

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::{ACCESS, DESCRIPTORS};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, ReflectMessage as _, Value};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::harness::{World, on_both_databases, request_id};
use crate::raw;
use exceptions::Expected;
use mutants::Mutant;
pub(crate) use proposals::STATEMENT;

/// A request that must be accepted as it is.
struct Valid {
    message: DynamicMessage,
    officer: OfficerChannel,
}

pub(crate) struct Rpc {
    pub(crate) method: MethodDescriptor,
    pub(crate) path: String,
}

impl Rpc {
    /// As the contract's access option names it.
    pub(crate) fn name(&self) -> &str {
        self.method.name()
    }

    fn roles(&self) -> &'static [&'static str] {
        ACCESS.iter().find(|(path, ..)| *path == self.path).unwrap().1
    }

    /// A role that may call it.
    pub(crate) fn role(&self) -> &'static str {
        self.roles().first().copied().unwrap_or("auditor")
    }

    /// The agency whose records the valid requests speak of: duties are the ICO's, and so are statistics, themes and
    /// proposals, which the NCSC answers.
    pub(crate) fn owner(&self) -> &'static str {
        if self.method.parent_service().name() == "ProposalService" {
            return if self.name() == "AnswerProposal" { "ncsc" } else { "ico" };
        }
        if self.is_about_recommendations() {
            return "ico";
        }
        let asks = matches!(self.roles().first(), Some(&("requester" | "operator" | "statistician")));
        if asks || self.name() == "ListObligations" || self.is_about_themes() { "ico" } else { "ncsc" }
    }

    fn is_about_themes(&self) -> bool {
        self.method.parent_service().name() == "ThemeService"
    }

    fn is_about_recommendations(&self) -> bool {
        ["RecordRecommendation", "RecordOutcome", "ListRecommendations"].contains(&self.name())
    }

    /// Whether it is done only while an agreement is in force, which another call may end.
    pub(crate) fn needs_an_agreement(&self) -> bool {
        self.is_about_themes() || ["ProposalService", "AdviceService"].contains(&self.method.parent_service().name())
    }

    pub(crate) fn changes(&self) -> bool {
        self.method.input().get_field_by_name("request_id").is_some()
    }

    /// Whether another RPC of the contract undoes what this one does: of calls that arrive together either may be first.
    pub(crate) fn is_undone_by_another(&self) -> bool {
        ["ActivateAgreement", "EndAgreement", "SuspendAgency", "ResumeAgency"].contains(&self.name())
    }

    /// Makes the request valid for another time after one like it was done; false where it never will be.
    fn keep(&self, message: &mut DynamicMessage, answer: bytes::Bytes) -> bool {
        let answer = DynamicMessage::decode(self.method.output(), answer).unwrap();
        let etags = (message.descriptor().get_field_by_name("etag"), answer.get_field_by_name("etag"));
        if let (Some(field), Some(etag)) = etags {
            message.set_field(&field, etag.into_owned());
            // What was amended cannot take the same identifiers twice.
            return message.descriptor().get_field_by_name("identifiers").is_none();
        }
        let again = [
            "RecordRecommendation",
            "RegisterIncident",
            "IssueReference",
            "SeekConsent",
            "GiveAuthorisation",
            "RequestRelease",
            "OfferRelease",
            "AcknowledgeEvents",
            "GetStatistics",
            "DraftTheme",
            "RequestTheme",
            "AcknowledgeNotice",
            "RecordDisclosure",
            "AmendEngagement",
            "RecordAskOfVictim",
            "PutEngagement",
            "OpenProposal",
            "AnswerProposal",
            "SendMessage",
            "MakeConsentForm",
            "RecordMandate",
            "AcknowledgeConsent",
            "StateToOrganisation",
        ];
        !self.changes() || again.contains(&self.name())
    }
}

pub(crate) fn rpcs() -> Vec<Rpc> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let rpc = |method: MethodDescriptor| {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        Rpc { method, path }
    };
    methods.map(rpc).collect()
}

impl World {
    /// The ledger's size, asked of the database.
    pub(crate) async fn ledger_size(&self) -> u64 {
        self.node.exchange().checkpoint().await.unwrap().0
    }

    /// An officer whom the contract lets call this.
    pub(crate) fn officer_of(&self, rpc: &Rpc) -> OfficerChannel {
        self.officer(rpc.owner(), rpc.role(), &[rpc.role()])
    }

    async fn valid(&self, rpc: &Rpc, variant: usize, officer: &OfficerChannel) -> Option<Valid> {
        let bytes = self.valid_request(rpc.name(), variant).await?;
        let message = DynamicMessage::decode(rpc.method.input(), bytes.as_slice()).unwrap();
        Some(Valid { message, officer: officer.clone() })
    }

    /// Sends every mutant of every variant of an RPC's valid requests; gives what went otherwise than expected.
    async fn batter(&self, rpc: &Rpc, used: &mut BTreeSet<usize>) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut set = BTreeSet::new();
        let officer = self.officer_of(rpc);
        for variant in 0.. {
            let Some(mut valid) = self.valid(rpc, variant, &officer).await else {
                assert!(variant > 0, "{}: there is no valid request to start from", rpc.path);
                break;
            };
            fields_set(&valid.message, &mut set);
            // Accepted keys are used up by the first variant.
            let again = |mutant: &Mutant| variant > 0 && mutant.place.ends_with("request_id");
            for mutant in mutants::of(&valid.message).into_iter().filter(|mutant| !again(mutant)) {
                let before = self.ledger_size().await;
                let mutated = mutant.applied_to(&fresh(&valid.message));
                let answer = raw::call(valid.officer.clone(), &rpc.path, mutated.encode_to_vec()).await;
                let grown = self.ledger_size().await - before;
                let accepted = answer.as_ref().ok().map(|answer| answer.message.clone());
                // Looking first changes nothing.
                let looks = mutated.get_field_by_name("validate_only").is_some_and(|it| it.as_bool() == Some(true));
                let written = u64::from(rpc.changes() && !looks);
                if let Err(problem) = judge((rpc, variant), &mutant, answer.map(|_| ()), (grown, written), used) {
                    wrong.push(format!("{} {mutant}: {problem}", rpc.name()));
                }
                if accepted.is_some_and(|answer| !rpc.keep(&mut valid.message, answer)) {
                    valid = self.valid(rpc, variant, &officer).await.unwrap();
                }
            }
            // And what all of them were made from is right, still.
            let answer = raw::call(valid.officer.clone(), &rpc.path, fresh(&valid.message).encode_to_vec()).await;
            assert!(answer.is_ok(), "{}: the valid request: {:?}", rpc.path, answer.err());
        }
        let untouched: Vec<String> = all_fields(&rpc.method.input()).difference(&set).cloned().collect();
        assert!(untouched.is_empty(), "{}: no valid request sets {untouched:?}", rpc.path);
        wrong
    }
}

/// The same call with an idempotency key of its own.
pub(crate) fn fresh(message: &DynamicMessage) -> DynamicMessage {
    let mut message = message.clone();
    if message.descriptor().get_field_by_name("request_id").is_some() {
        message.set_field_by_name("request_id", Value::String(request_id()));
    }
    message
}

/// Whether the answer is what the exceptions allow, or else names the field.
fn judge(
    (rpc, variant): (&Rpc, usize),
    mutant: &Mutant,
    answer: Result<(), Status>,
    (grown, written): (u64, u64),
    used: &mut BTreeSet<usize>,
) -> Result<(), String> {
    let expected = exceptions::find(rpc.name(), variant, mutant, used);
    let Err(status) = answer else {
        return match expected {
            Expected::Accepted if grown == written => Ok(()),
            Expected::AcceptedWithNotice if grown == written + 1 => Ok(()),
            Expected::Accepted | Expected::AcceptedWithNotice => Err(format!("was accepted with {grown} entries")),
            _ => Err("was accepted".to_owned()),
        };
    };
    if grown != 0 {
        return Err(format!("was turned away, and wrote {grown} entries: {status:?}"));
    }
    let shown = || format!("{:?} `{}`, expected {expected:?}", status.code(), status.message());
    match expected {
        Expected::Status(code) if status.code() == code => Ok(()),
        Expected::Accepted | Expected::AcceptedWithNotice | Expected::Status(_) => Err(shown()),
        Expected::Invalid(named) => {
            let violations = status.get_details_bad_request().map(|found| found.field_violations).unwrap_or_default();
            let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
            let [field] = fields.as_slice() else { return Err(format!("names {fields:?}: {}", shown())) };
            let path =
                &named.map_or_else(|| mutant.path.clone(), |named| format!("{}{named}", mutant.record(rpc.name())));
            let is_within = |whole: &str, part: &str| {
                part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            // Of a message without fields it may be any of them that is missed.
            let named = is_within(field, path) || (mutant.label == "empty message" && is_within(path, field));
            let named = status.code() == Code::InvalidArgument && named && !field.is_empty();
            if !named {
                return Err(format!("names {fields:?}, not `{path}`: {}", shown()));
            }
            let violation = &violations[0];
            if violation.description.is_empty() || violation.description.len() > 400 {
                return Err(format!("explains itself with {} characters", violation.description.len()));
            }
            Ok(())
        }
    }
}

/// Every field that a request can have, by message and name, as deep as it goes.
fn all_fields(message: &MessageDescriptor) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for field in message.fields() {
        fields.insert(field.full_name().to_owned());
        if let Some(inner) = field.kind().as_message().filter(|inner| !mutants::is_time(inner)) {
            fields.extend(all_fields(inner));
        }
    }
    fields
}

fn fields_set(message: &DynamicMessage, set: &mut BTreeSet<String>) {
    for (field, value) in message.fields() {
        set.insert(field.full_name().to_owned());
        match value {
            Value::Message(inner) => fields_set(inner, set),
            Value::List(all) => all.iter().filter_map(Value::as_message).for_each(|inner| fields_set(inner, set)),
            _ => {}
        }
    }
}

on_both_databases! {
    async fn each_field_of_each_request_is_turned_away_by_its_name(world: World) {
        let mut wrong = Vec::new();
        let mut used = BTreeSet::new();
        for rpc in rpcs() {
            wrong.extend(world.batter(&rpc, &mut used).await);
        }
        let idle = exceptions::idle(&used);
        assert!(wrong.is_empty(), "{} mutants went wrong:\n{}", wrong.len(), wrong.join("\n"));
        assert!(idle.is_empty(), "exceptions that nothing needs: {idle:?}");
    }

    async fn bytes_that_are_no_request_break_nothing(world: World) {
        let mut answers = BTreeSet::new();
        for rpc in rpcs() {
            let officer = world.officer_of(&rpc);
            let before = world.ledger_size().await;
            let garbage: [&[u8]; 6] =
                [&[0xff; 64], &[0x0a], &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], b"GET / HTTP/1.1\r\n\r\n", &[0x0b], &[0x00]];
            for bytes in garbage {
                let status = raw::call(officer.clone(), &rpc.path, bytes.to_vec()).await.unwrap_err();
                answers.insert(format!("{:?}", status.code()));
            }
            if rpc.method.input().fields().any(|field| field.number() == 1 && field.kind().as_message().is_none()) {
                // Text that is not UTF-8, where the first field is text; a number under the wrong wire type elsewhere.
                let status = raw::call(officer.clone(), &rpc.path, vec![0x0a, 0x02, 0xc3, 0x28]).await.unwrap_err();
                answers.insert(format!("{:?}", status.code()));
            }
            let status = raw::call(officer.clone(), &rpc.path, vec![0_u8; 513 * 1_024]).await.unwrap_err();
            assert_eq!(status.code(), Code::OutOfRange, "{}: {status:?}", rpc.path);
            assert_eq!(world.ledger_size().await, before, "{}", rpc.path);
        }
        // gRPC's own table of statuses has INTERNAL for a message that cannot be parsed, and tonic follows it before
        // any of our code runs. It is the framework's answer, not a failure of ours.
        assert_eq!(answers, BTreeSet::from(["Internal".to_owned()]));
    }

    async fn fields_of_a_later_contract_are_passed_over(world: World) {
        for rpc in rpcs() {
            let officer = world.officer_of(&rpc);
            let valid = world.valid(&rpc, 0, &officer).await.unwrap();
            let mut bytes = fresh(&valid.message).encode_to_vec();
            // Field 1000, four bytes.
            bytes.extend_from_slice(&[0xc2, 0x3e, 0x04, 1, 2, 3, 4]);
            let answer = raw::call(officer, &rpc.path, bytes).await;
            assert!(answer.is_ok(), "{}: {:?}", rpc.path, answer.err());
        }
    }

    async fn nothing_may_be_stated_anew_when_a_request_is_put_again(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let first = world.put(&held, world.ask(&held)).await.unwrap().request;
        let again = || v1::RequestReleaseRequest {
            request_id: request_id(),
            request: first.clone(),
            ..v1::RequestReleaseRequest::default()
        };
        let ask = world.ask(&held);
        let before = world.ledger_size().await;
        for (field, request) in [
            ("holder", v1::RequestReleaseRequest { holder: ask.holder, ..again() }),
            ("target", v1::RequestReleaseRequest { target: ask.target, ..again() }),
            ("purpose", v1::RequestReleaseRequest { purpose: ask.purpose, ..again() }),
            ("categories", v1::RequestReleaseRequest { categories: ask.categories, ..again() }),
            ("external_ref", v1::RequestReleaseRequest { external_ref: "case 7".into(), ..again() }),
        ] {
            crate::builders::assert_invalid(world.put(&held, request).await, field);
        }
        assert_eq!(world.ledger_size().await, before);
        assert!(world.put(&held, again()).await.is_ok());
    }
}
