//! The node, over the same contract as everybody: each call is put until it is answered.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::time::Duration;

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::incident_service_client::IncidentServiceClient;
use concordat::proto::v1::ledger_service_client::LedgerServiceClient;
use concordat::proto::v1::organisation_service_client::OrganisationServiceClient;
use prost::Message as _;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use super::drafts::{Affected, Rejected};

/// How often a call is put, and how long is waited between; a node that says how long is waited for that long.
const MOST_TRIES: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// A call that has no answer after this long is put again.
const LONGEST_CALL: Duration = Duration::from_secs(30);

/// What became of an incident that is in the node's ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// By this run.
    Registered,
    /// Before it.
    AlreadyThere,
}

/// Why a call was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// It cannot be, as it is.
    Rejected {
        /// Why.
        rejected: Rejected,
        /// The field that the node names, if it names one.
        field: String,
    },
    /// Nothing can be put to the node any more.
    Stopped(String),
}

/// The node, as one officer meets it.
pub(super) struct Node {
    organisations: OrganisationServiceClient<OfficerChannel>,
    incidents: IncidentServiceClient<OfficerChannel>,
    /// The ledger's size before this run: an entry below it was there.
    before: u64,
    /// The agency's own organisations by what makes two the same; without an id where that is not one of them.
    listed: OnceCell<HashMap<String, Option<String>>>,
    stop: CancellationToken,
}

impl Node {
    /// Meets the node; fails at once if that is not possible.
    pub(super) async fn meet(channel: OfficerChannel, stop: CancellationToken) -> Result<Self, Status> {
        let mut ledger = LedgerServiceClient::new(channel.clone());
        let checkpoint = ledger.get_checkpoint(v1::GetCheckpointRequest {}).await?.into_inner().checkpoint;
        Ok(Self {
            organisations: OrganisationServiceClient::new(channel.clone()),
            incidents: IncidentServiceClient::new(channel),
            before: checkpoint.map(|checkpoint| checkpoint.size).unwrap_or_default(),
            listed: OnceCell::new(),
            stop,
        })
    }

    /// Puts incidents together; gives what became of each, in their order.
    pub(super) async fn put_many(&self, request: v1::RegisterIncidentsRequest) -> Result<Vec<Kept>, Failure> {
        let call = || {
            let (mut incidents, request) = (self.incidents.clone(), request.clone());
            async move { incidents.register_incidents(request).await }
        };
        let response = self.put(call).await?;
        // The entry names what it registered; everything else was there.
        let receipt = response.receipt.filter(|receipt| receipt.index >= self.before).unwrap_or_default();
        let act = receipt.openings.iter().find(|opening| opening.slot() == v1::Slot::Act);
        let act = act.and_then(|opening| v1::Act::decode(opening.payload.as_slice()).ok()).unwrap_or_default();
        let new: HashSet<String> = act.incidents.into_iter().collect();
        let kept = |id: &String| if new.contains(id) { Kept::Registered } else { Kept::AlreadyThere };
        Ok(response.incident_ids.iter().map(kept).collect())
    }

    /// The one organisation of the agency's register that is the same as this.
    pub(super) async fn registered(&self, affected: &Affected) -> Result<Option<String>, Failure> {
        let listed = self.listed.get_or_try_init(|| self.list()).await?;
        Ok(listed.get(&affected.same).cloned().flatten())
    }

    async fn list(&self) -> Result<HashMap<String, Option<String>>, Failure> {
        let mut all = HashMap::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListOrganisationsRequest { page_size: 200, page_token };
            let call = || {
                let (mut organisations, request) = (self.organisations.clone(), request.clone());
                async move { organisations.list_organisations(request).await }
            };
            let page = self.put(call).await?;
            for organisation in page.organisations {
                if let Ok(affected) = Affected::new(&organisation.name, organisation.identifiers) {
                    let id = Some(organisation.id);
                    all.entry(affected.same).and_modify(|other| *other = None).or_insert(id);
                }
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Puts a call until it is answered. Each has a `request_id` or only reads, so putting it again does nothing twice.
    async fn put<T, F>(&self, call: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut wait = FIRST_WAIT;
        let mut tries = 1;
        loop {
            let answer = tokio::time::timeout(LONGEST_CALL, call()).await;
            let status = match answer.unwrap_or_else(|_| Err(Status::unavailable("no answer within 30 seconds"))) {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            let details = status.get_error_details();
            let reason = details.error_info().map(|info| info.reason.as_str());
            match judge(status.code(), reason) {
                Judgement::Reject(reason) => {
                    let metadata = details.error_info().map(|info| &info.metadata);
                    let field = metadata.and_then(|named| named.get("field")).cloned().unwrap_or_default();
                    return Err(Failure::Rejected { rejected: Rejected::new(reason, own_words(&status)), field });
                }
                Judgement::Again if tries < MOST_TRIES && !self.stop.is_cancelled() => {}
                Judgement::Again | Judgement::Stop => return Err(Failure::Stopped(said(&status))),
            }
            let asked = details.retry_info().and_then(|info| info.retry_delay).unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(wait.max(asked)) => {}
                () = self.stop.cancelled() => return Err(Failure::Stopped(said(&status))),
            }
            wait = (wait * 2).min(LONGEST_WAIT);
            tries += 1;
        }
    }
}

/// An error's message without the record's place in its call, which means nothing to whoever has the file.
fn own_words(status: &Status) -> &str {
    let message = status.message();
    let placed = ["incidents[", "organisations["].iter().any(|list| message.starts_with(list));
    message.split_once("].").filter(|_| placed).map_or(message, |(_, rest)| rest)
}

/// What follows from an error.
enum Judgement {
    /// This incident cannot be registered; the next may.
    Reject(&'static str),
    /// The same call may be answered later.
    Again,
    /// Nor will any other be.
    Stop,
}

/// An error of the node has one of its reasons; one without comes from the layers below. A broken connection may pass.
fn judge(code: Code, reason: Option<&str>) -> Judgement {
    match reason {
        None if matches!(code, Code::OutOfRange | Code::InvalidArgument) => Judgement::Reject("turned-away"),
        None if code == Code::Unimplemented => Judgement::Stop,
        None | Some("OVERLOADED" | "RATE_LIMITED" | "STORE_UNAVAILABLE" | "CLOCK" | "DEADLINE") => Judgement::Again,
        Some("UNAUTHENTICATED" | "ROLE_MISSING" | "NOT_THIS_NODE" | "INTERNAL") => Judgement::Stop,
        Some("KEY_REUSED") => Judgement::Reject("KEY_REUSED"),
        Some("WRONG_STATE") => Judgement::Reject("WRONG_STATE"),
        Some(_) => Judgement::Reject("turned-away"),
    }
}

/// An error in the node's words, with what its reason means.
pub(super) fn said(status: &Status) -> String {
    let details = status.get_error_details();
    let meaning = details.error_info().and_then(|info| {
        concordat::wire::REASONS.iter().find(|(reason, _)| *reason == info.reason).map(|(_, text)| *text)
    });
    match meaning {
        Some(meaning) => format!("{}. {meaning}", status.message()),
        None => format!("{:?}: {}", status.code(), status.message()),
    }
}
