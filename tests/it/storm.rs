//! Every RPC of the contract with deadlines too short to keep, with streams that are reset, and many at once: what was
//! acknowledged is there, a repeat gives the same, and afterwards the node answers as before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DynamicMessage, Value};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Code;

use crate::bad_input::{Rpc, fresh, rpcs};
use crate::cancelled::{LONG, Watch, Wire};
use crate::harness::{World, on_both_databases};

/// The deadlines, in milliseconds.
const DEADLINES: [u64; 7] = [0, 1, 2, 5, 10, 20, 50];
const ENTRIES: &str = "/concordat.v1.LedgerService/ListEntries";

/// One RPC in the storm: a valid request, and a connection of its officer's own.
struct Target {
    rpc: Rpc,
    wire: Wire,
    message: DynamicMessage,
}

/// A call of the storm.
struct Call {
    target: Arc<Target>,
    message: DynamicMessage,
    /// Its status and answer; none where the caller went away.
    answer: Option<(Code, Bytes)>,
}

/// How a call ends that nobody waits out.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// The node keeps this deadline.
    Deadline(Duration),
    /// The caller resets the stream after this time.
    Reset(Duration),
    None,
}

impl World {
    async fn targets(&self) -> Vec<Arc<Target>> {
        let mut requests = Vec::new();
        // A stream has no end to wait for.
        for rpc in rpcs().into_iter().filter(|rpc| !rpc.method.is_server_streaming()) {
            let bytes = self.valid_request(rpc.name(), 0).await.expect("a valid request for each RPC");
            let message = DynamicMessage::decode(rpc.method.input(), bytes.as_slice()).unwrap();
            requests.push((rpc, message));
        }
        // The node closes a connection on which nothing is said.
        let mut targets = Vec::new();
        for (rpc, message) in requests {
            let wire = self.wire(rpc.owner(), rpc.role(), &[rpc.role()]).await;
            targets.push(Arc::new(Target { rpc, wire, message }));
        }
        targets
    }
}

impl Target {
    async fn put(&self, message: &DynamicMessage, deadline: Duration) -> (Code, Bytes) {
        self.wire.call(&self.rpc.path, &message.encode_to_vec(), deadline).await
    }

    /// What the answer to a change says of it: its entry, and the records that it made or changed.
    fn stated(&self, answer: &Bytes) -> Vec<(String, Value)> {
        let answer = DynamicMessage::decode(self.rpc.method.output(), answer.clone()).unwrap();
        let mut stated: Vec<(String, Value)> = Vec::new();
        for (field, value) in answer.fields() {
            match value {
                Value::Message(receipt) if field.name() == "receipt" => {
                    stated.push(("index".into(), receipt.get_field_by_name("index").unwrap().into_owned()));
                }
                Value::String(_) | Value::I64(_) => stated.push((field.name().into(), value.clone())),
                _ => {}
            }
        }
        stated
    }
}

/// Another call like this one: its records, too, have keys of their own, for what was registered before has no entry.
fn another(message: &DynamicMessage) -> DynamicMessage {
    let mut call = fresh(message);
    for (field, value) in message.fields() {
        let Some(all) = value.as_list() else { continue };
        let anew = |one: &Value| one.as_message().map_or_else(|| one.clone(), |one| Value::Message(fresh(one)));
        call.set_field(&field, Value::List(all.iter().map(anew).collect()));
    }
    call
}

async fn put(target: Arc<Target>, cut: Cut) -> Call {
    let message = another(&target.message);
    let answer = match cut {
        Cut::Deadline(deadline) => Some(target.put(&message, deadline).await),
        Cut::Reset(after) => timeout(after, target.put(&message, LONG)).await.ok(),
        Cut::None => Some(target.put(&message, LONG).await),
    };
    Call { target, message, answer }
}

/// Repeats a call until it is not turned away because too many of its agency's are queued.
async fn again(target: &Target, message: &DynamicMessage) -> (Code, Bytes) {
    loop {
        let answer = target.put(message, LONG).await;
        if answer.0 != Code::ResourceExhausted {
            return answer;
        }
    }
}

/// Repeats the calls of one RPC, in their order; gives the keys of those that were acknowledged.
async fn repeat(calls: Vec<Call>) -> (usize, BTreeSet<String>) {
    let mut acknowledged = BTreeSet::new();
    let mut done = 0;
    for Call { target, message, answer } in calls {
        let path = &target.rpc.path;
        let first = again(&target, &message).await;
        let second = again(&target, &message).await;
        if first.0 == Code::Ok {
            done += 1;
            assert_eq!(second.0, Code::Ok, "{path}: a repeat has another status");
            assert_eq!(target.stated(&first.1), target.stated(&second.1), "{path}: a repeat says something else");
        }
        let Some((Code::Ok, before)) = answer else { continue };
        assert_eq!(first.0, Code::Ok, "{path}: what was acknowledged is lost");
        assert_eq!(target.stated(&before), target.stated(&first.1), "{path}: a repeat of what was acknowledged");
        acknowledged.insert(message.get_field_by_name("request_id").unwrap().as_str().unwrap().to_owned());
    }
    (done, acknowledged)
}

on_both_databases! {
    async fn a_storm_of_cut_calls_loses_nothing_and_leaves_nothing_open(world: World) {
        let targets = world.targets().await;
        let mut watch = Watch::new(&world).await;

        let mut calls: Vec<Call> = Vec::new();
        let (mut cut, mut answered) = (0, 0);
        for deadline in DEADLINES.map(Duration::from_millis) {
            let mut storm = JoinSet::new();
            for target in &targets {
                for how in [Cut::Deadline(deadline), Cut::Reset(deadline), Cut::None] {
                    storm.spawn(put(Arc::clone(target), how));
                }
            }
            calls.extend(storm.join_all().await);
            watch.settled().await;
        }

        // What each call gives when nothing cuts it.
        for target in &targets {
            let (usual, _) = target.put(&another(&target.message), LONG).await;
            let mut allowed = vec![Code::Ok, Code::DeadlineExceeded, Code::ResourceExhausted, usual];
            if target.rpc.is_undone_by_another() || target.rpc.needs_an_agreement() {
                allowed.extend([Code::FailedPrecondition, Code::NotFound]);
            }
            for call in calls.iter().filter(|call| Arc::ptr_eq(&call.target, target)) {
                match &call.answer {
                    Some((code, _)) if *code != Code::DeadlineExceeded => answered += 1,
                    _ => cut += 1,
                }
                if let Some((code, _)) = call.answer {
                    assert!(allowed.contains(&code), "{}: {code:?}, not one of {allowed:?}", target.rpc.path);
                }
            }
        }
        assert!(cut > targets.len() && answered > targets.len(), "{cut} cut, {answered} answered: nothing was tried");

        let mut repeats = JoinSet::new();
        for target in targets.iter().filter(|target| target.rpc.changes()) {
            let (of_this, others) = calls.into_iter().partition(|call| Arc::ptr_eq(&call.target, target));
            calls = others;
            repeats.spawn(repeat(of_this));
        }
        let (mut done, mut acknowledged) = (0, BTreeSet::new());
        for (of_this, keys) in repeats.join_all().await {
            done += of_this;
            acknowledged.extend(keys);
        }
        println!("{cut} cut, {answered} answered; {} changes acknowledged, {done} done in all", acknowledged.len());
        let mut entries = BTreeMap::new();
        for agency in ["ncsc", "ico", "nca"] {
            entries.extend(world.entries_by_key(agency).await);
        }
        for key in &acknowledged {
            assert_eq!(entries.get(key), Some(&1), "entries of {key}, which was acknowledged");
        }

        watch.settled().await;
        // More at once than there are connections to read with: none of them may be spoilt.
        let reader = targets.iter().find(|target| target.rpc.path == ENTRIES).unwrap();
        let mut reads = JoinSet::new();
        for _ in 0..16 {
            reads.spawn(put(Arc::clone(reader), Cut::None));
        }
        for read in reads.join_all().await {
            assert_eq!(read.answer.unwrap().0, Code::Ok, "the node answers as before");
        }
    }
}
