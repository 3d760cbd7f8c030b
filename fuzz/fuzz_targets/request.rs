//! A request of any RPC, put to a node that serves, by an officer with every role: whatever it says, it is answered, and not
//! by a fault of ours.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use bytes::{Buf as _, BufMut as _, Bytes};
use concordat::client::OfficerChannel;
use concordat::clock::Clock;
use concordat::config::Config;
use concordat::dev::{self, Workspace};
use concordat::proto::{DESCRIPTORS, ROLES};
use concordat::server::Running;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

const AGENCIES: [&str; 3] = ["ico", "ncsc", "nca"];

/// Each RPC's path, its request, and whether it goes on.
///
/// Without those that suspend: who suspends all officers is answered nothing any more.
static RPCS: LazyLock<Vec<(String, MessageDescriptor)>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("our own contract");
    let all = pool.services().flat_map(|service| {
        let path = |rpc: &str| format!("/{}/{rpc}", service.full_name());
        service.methods().map(|rpc| (path(rpc.name()), rpc.input())).collect::<Vec<_>>()
    });
    all.filter(|(path, _)| path.starts_with("/concordat.") && !path.contains("/Suspend")).collect()
});

/// A node that holds three agencies' records, and an officer of each.
struct World {
    runtime: tokio::runtime::Runtime,
    officers: Vec<OfficerChannel>,
    _node: Running,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let folder = std::env::temp_dir().join(format!("concordat-fuzz-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a folder");
    let clock = Clock::system();
    let (workspace, node) = runtime.block_on(async {
        let workspace = Workspace::create(&folder, clock.now()).expect("a workspace");
        let file = workspace.add_node("one", &AGENCIES, dev::loopback(0), None, clock.now()).await.expect("a node");
        let mut config = Config::load(&file).expect("its configuration");
        (config.limits.agency_calls_per_second, config.limits.officer_calls_per_second) = (1_000_000, 1_000_000);
        (workspace, Running::start(&config, clock.clone()).await.expect("it starts"))
    });
    let roles: Vec<&str> = ROLES.iter().map(|(role, ..)| *role).collect();
    let officers = AGENCIES.map(|agency| {
        let context = workspace.context(agency, "officer", &roles, &["harm-reduction"], "one", node.address);
        let _inside = runtime.enter();
        context.officer(&folder, clock.clone()).expect("a channel")
    });
    World { runtime, officers: officers.into(), _node: node }
});

/// Choices, from bytes.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> i64 {
        let now = Clock::system().now().micros() / 1_000_000;
        match self.next() % 8 {
            0 => 0,
            1 => 1,
            2 => i64::MAX,
            3 => i64::MIN,
            4 => -1,
            5 => now,
            6 => now + i64::from(self.next()) * 86_400,
            _ => i64::from(self.next()),
        }
    }

    fn text(&mut self) -> String {
        const WORDS: [&str; 24] = [
            "",
            "ico",
            "ncsc",
            "nca",
            "harm-reduction",
            "officer",
            "requester",
            "uk-companies-house",
            "01234567",
            "uk-charity",
            "identity",
            "narrative",
            "ico-ncsc-2023",
            "ico-nca-2024",
            "incident",
            "nis-regulations-2018",
            "2026-Q1",
            "GBP",
            "a.example",
            "2001:db8::1",
            "T1486",
            "../..",
            "\u{202e}\0",
            "%00'\"<>",
        ];
        match self.next() {
            // So that calls are new ones, and now and then the same again.
            number if number < 64 => format!("01890a5d-ac96-774b-bcce-b302099a80{:02x}", self.next()),
            number if number < 200 => WORDS[usize::from(number) % WORDS.len()].to_owned(),
            number if number < 204 => "x".repeat(usize::from(self.next()) << 8),
            _ => {
                let (length, rest) = (usize::from(self.next()) % 32, self.0);
                let (taken, rest) = rest.split_at(length.min(rest.len()));
                self.0 = rest;
                String::from_utf8_lossy(taken).into_owned()
            }
        }
    }

    fn message(&mut self, of: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(of.clone());
        for field in of.fields() {
            // Most of it is there: what is not hides the rest.
            if depth < 8 && self.next() % 8 != 0 {
                let value = self.field(&field, depth);
                message.set_field(&field, value);
            }
        }
        message
    }

    fn field(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        let many = usize::from(self.next() % 3);
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let value = entry.map_entry_value_field();
                Value::Map((0..many).map(|_| (MapKey::String(self.text()), self.one(&value, depth))).collect())
            }
            _ if field.is_list() => Value::List((0..many).map(|_| self.one(field, depth)).collect()),
            _ => self.one(field, depth),
        }
    }

    fn one(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        match field.kind() {
            Kind::Bool => Value::Bool(self.next() % 2 == 1),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(self.number() as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(self.number()),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.number() as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.number() as u64),
            Kind::Float => Value::F32(self.number() as f32),
            Kind::Double => Value::F64(self.number() as f64),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes(self.text().into()),
            Kind::Enum(_) => Value::EnumNumber(i32::from(self.next() % 16)),
            Kind::Message(inner) => Value::Message(self.message(&inner, depth + 1)),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let (path, request) = &RPCS[usize::from(choices.next()) % RPCS.len()];
    let (how, world) = (choices.next(), &*WORLD);
    let officer = world.officers[usize::from(how) % world.officers.len()].clone();
    let bytes = if how < 128 {
        choices.message(request, 0).encode_to_vec()
    } else {
        // As it is, where it can be read: otherwise tonic says so, and nobody else sees it.
        if DynamicMessage::decode(request.clone(), choices.0).is_err() {
            return;
        }
        choices.0.to_vec()
    };
    let code =
        world.runtime.block_on(call(officer, path, bytes.into())).map_or_else(|status| status.code(), |()| Code::Ok);
    let faults =
        [Code::Internal, Code::Unknown, Code::Unavailable, Code::DataLoss, Code::Unimplemented, Code::Unauthenticated];
    assert!(!faults.contains(&code), "{path}: {code:?}");
    tally(path, code);
});

/// With `CONCORDAT_TALLY`, says now and then how often each status was answered.
fn tally(path: &str, code: Code) {
    static ASKED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("CONCORDAT_TALLY").is_some());
    static TALLY: Mutex<BTreeMap<(String, String), u64>> = Mutex::new(BTreeMap::new());
    if !*ASKED {
        return;
    }
    let mut tally = TALLY.lock().expect("nobody panics with it");
    *tally.entry((path.to_owned(), format!("{code:?}"))).or_default() += 1;
    if tally.values().sum::<u64>() % 50_000 == 0 {
        eprintln!("{tally:#?}");
    }
}

/// The first message of the answer, if there is one.
async fn call(officer: OfficerChannel, path: &str, message: Bytes) -> Result<(), Status> {
    let mut grpc = Grpc::new(officer);
    grpc.ready().await.map_err(|error| Status::unavailable(format!("{error:?}")))?;
    let path = path.parse().expect("a path");
    let response = grpc.server_streaming(Request::new(message), path, Raw).await?;
    // Events go on for as long as somebody listens, and nobody knows when the next one comes.
    drop(response);
    Ok(())
}

/// Messages as they are.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
