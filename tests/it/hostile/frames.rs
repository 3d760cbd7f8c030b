//! What a system that was admitted can send: a table of attacks by frames, each with what has to come of it.

use super::raw::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Heard, Line, PING, PRIORITY, RESET, SETTINGS, Way, call,
    call_of, field, frame, window,
};

/// `ENHANCE_YOUR_CALM`.
const CALM: u32 = 11;

/// `STREAM_CLOSED`.
const STREAM_CLOSED: u32 = 5;

/// `REFUSED_STREAM`.
const REFUSED: u32 = 7;

/// `PROTOCOL_ERROR`.
const PROTOCOL: u32 = 1;

/// The flag of HEADERS that begin with what the stream depends on.
const HAS_PRIORITY: u8 = 0x20;

/// What is done on connections of its own.
pub(super) enum Attack {
    /// This is said, once.
    Once(Vec<u8>),
    /// This is said before anything else, instead of HTTP/2's preface.
    First(&'static [u8]),
    /// After this, the frames for each number, up to so many times.
    Flood(Vec<u8>, usize, Frames),
    /// The same on so many connections at the same time, without anything before.
    FloodOn(usize, usize, Frames),
}

/// The frames for a number.
type Frames = fn(usize) -> Vec<u8>;

/// What comes of it on each of the connections.
pub(super) enum Expected {
    /// It ends, and not as if all had been well.
    Ended,
    /// It is told to be calm, and ends.
    Calmed,
    /// It ends, and if there is a reason then that one.
    CalmedOrCut,
    /// It ends before so many frames of this kind were sent to it.
    EndedBefore(u8, usize),
    /// It ends, or the stream does, for this reason.
    Reset(u32),
    /// So many requests are answered, or one is turned away, or it ends.
    Answered(usize),
}

/// One way to misbehave.
pub(super) type Row = (&'static str, Attack, Expected);

/// The number of the stream that a client opens next but this many.
pub(super) fn stream(number: usize) -> u32 {
    u32::try_from(number).unwrap() * 2 + 1
}

/// The headers of a call on a stream of its own.
pub(super) fn opened(number: usize, flags: u8) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream(number), &call())
}

/// A call that says how long it is, and is not.
fn of_another_length(number: usize) -> Vec<u8> {
    let headers = [call(), field(0, "content-length", "5")].concat();
    let headers = frame(HEADERS, END_HEADERS, stream(number), &headers);
    [headers, frame(DATA, END_STREAM, stream(number), b"x")].concat()
}

/// A stream that depends on itself, in a frame of this kind.
fn on_itself(kind: u8, number: usize) -> Vec<u8> {
    let dependency = [stream(number).to_be_bytes().as_slice(), &[1]].concat();
    if kind == PRIORITY {
        return [opened(number, END_STREAM), frame(PRIORITY, 0, stream(number), &dependency)].concat();
    }
    let flags = END_HEADERS | END_STREAM | HAS_PRIORITY;
    frame(HEADERS, flags, stream(number), &[dependency, call()].concat())
}

/// A message for the probe that says it is 4 MiB long, of which one byte comes.
fn claims_too_much(number: usize) -> Vec<u8> {
    [opened(number, 0), frame(DATA, 0, stream(number), &[0, 0, 0x40, 0, 0, 7])].concat()
}

/// The same of 512 KiB for reflection, which answers before it has read anything.
fn claims_too_much_of_reflection(number: usize) -> Vec<u8> {
    let headers = call_of("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    let headers = frame(HEADERS, END_HEADERS, stream(number), &headers);
    [headers, frame(DATA, 0, stream(number), &[0, 0, 8, 0, 0, 7])].concat()
}

/// A message that says it is as long as it may be, of which one byte comes.
fn claims_much(number: usize) -> Vec<u8> {
    let headers =
        frame(HEADERS, END_HEADERS, stream(number), &call_of("/concordat.v1.AgreementService/ListAgreements"));
    [headers, frame(DATA, 0, stream(number), &[0, 0, 8, 0, 0, 7])].concat()
}

/// One remembered field of 4,000 bytes, named ten thousand times by one byte each.
fn bomb(number: usize) -> Vec<u8> {
    let mut headers = call();
    headers.extend(field(0x40, "x-bomb", &"y".repeat(3_900)));
    headers.extend([0xbe; 10_000]);
    frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &headers)
}

/// More headers than a request may have, in two frames.
fn many_headers() -> Vec<u8> {
    let many: Vec<u8> = (0..150).flat_map(|n| field(0, &format!("x-{n}"), &"y".repeat(100))).collect();
    let (first, rest) = many.split_at(many.len() / 2);
    let headers = frame(HEADERS, END_STREAM, 1, &[call(), first.to_vec()].concat());
    [headers, frame(CONTINUATION, END_HEADERS, 1, rest)].concat()
}

/// What is sent over and over.
fn floods() -> Vec<Row> {
    let flood = |times, frames| Attack::Flood(vec![], times, frames);
    // What the node has to reset itself, for each error (CVE-2025-8671).
    let resets = || Expected::EndedBefore(RESET, 5_000);
    // What costs it an answer, or nothing at all.
    let answers = || Expected::EndedBefore(PING, 20_000);
    vec![
        (
            "opened and taken back (CVE-2023-44487)",
            flood(20_000, |n| [opened(n, END_STREAM), frame(RESET, 0, stream(n), &8_u32.to_be_bytes())].concat()),
            Expected::CalmedOrCut,
        ),
        (
            "window overflow",
            flood(20_000, |n| [opened(n, END_STREAM), window(stream(n), 0x7fff_ffff)].concat()),
            resets(),
        ),
        ("a window of nothing", flood(20_000, |n| [opened(n, END_STREAM), window(stream(n), 0)].concat()), resets()),
        (
            "no path",
            flood(20_000, |n| frame(HEADERS, END_HEADERS | END_STREAM, stream(n), &field(0, ":method", "POST"))),
            resets(),
        ),
        ("another length than it says", flood(20_000, of_another_length), resets()),
        ("a stream that comes to depend on itself", flood(20_000, |n| on_itself(PRIORITY, n)), resets()),
        ("a stream that depends on itself", flood(20_000, |n| on_itself(HEADERS, n)), resets()),
        (
            "data after the end",
            flood(20_000, |n| [opened(n, END_STREAM), frame(DATA, 0, stream(n), b"x")].concat()),
            resets(),
        ),
        ("headers after headers", flood(20_000, |n| [opened(n, 0), opened(n, 0)].concat()), resets()),
        ("pings", flood(100_000, |_| frame(PING, 0, 0, &[7; 8])), answers()),
        ("settings", flood(100_000, |_| frame(SETTINGS, 0, 0, &[])), answers()),
        ("priorities", flood(100_000, |n| frame(PRIORITY, 0, stream(n % 100), &[0, 0, 0, 0, 1])), answers()),
        ("window updates", flood(100_000, |_| window(0, 1)), answers()),
        ("empty data", Attack::Flood(opened(0, 0), 100_000, |_| frame(DATA, 0, 1, &[])), Expected::CalmedOrCut),
        ("a byte at a time", Attack::Flood(opened(0, 0), 100_000, |_| frame(DATA, 0, 1, &[0])), Expected::CalmedOrCut),
        (
            "continuations",
            Attack::Flood(frame(HEADERS, 0, 1, &call()), 20_000, |_| {
                frame(CONTINUATION, 0, 1, &field(0, "x-more", &"y".repeat(100)))
            }),
            Expected::Calmed,
        ),
        ("more streams than there may be, without an end", flood(2_000, |n| opened(n, 0)), Expected::Reset(REFUSED)),
        (
            "4 MiB announced on each of 3,000 streams",
            Attack::FloodOn(12, 250, claims_too_much),
            Expected::Answered(250),
        ),
        (
            "512 KiB announced to reflection on each of 3,000 streams",
            Attack::FloodOn(12, 250, claims_too_much_of_reflection),
            Expected::Answered(250),
        ),
        ("headers that are small on the wire", flood(50, bomb), Expected::Answered(50)),
    ]
}

/// More than there is room for, of which next to nothing comes.
pub(super) fn announced() -> Row {
    ("512 KiB announced on each of 3,000 streams", Attack::FloodOn(12, 250, claims_much), Expected::Answered(250))
}

/// What is none of HTTP/2, each of which ends its connection and no other.
fn broken() -> Vec<Row> {
    let priority = |length: usize| frame(PRIORITY, 0, 1, &[0; 9][..length]);
    let upper = [call(), field(0, "X-Upper", "y")].concat();
    let once: Vec<(&'static str, Vec<u8>)> = vec![
        ("a connection window of nothing", window(0, 0)),
        ("too large a connection window", [window(0, 0x7fff_ffff), window(0, 0x7fff_ffff)].concat()),
        ("data on no stream", frame(DATA, 0, 0, b"x")),
        ("data on a stream that never was", frame(DATA, 0, 9, b"x")),
        ("a stream of ours", frame(HEADERS, END_HEADERS | END_STREAM, 2, &call())),
        ("a short ping", frame(PING, 0, 0, b"x")),
        ("settings on a stream", frame(SETTINGS, 0, 1, &[])),
        ("half a setting", frame(SETTINGS, 0, 0, &[0, 1, 0])),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &call())),
        ("a reset of nothing", frame(RESET, 0, 7, &8_u32.to_be_bytes())),
        ("a frame of 16 MiB", [0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1].to_vec()),
        ("headers that do not decode", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 40])),
        ("a header's name in upper case", frame(HEADERS, END_HEADERS | END_STREAM, 1, &upper)),
        ("a priority that is too short", priority(4)),
        ("a priority that is too long", priority(6)),
        ("a priority of no stream", frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 1])),
        ("another protocol", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
    ];
    once.into_iter().map(|(what, bytes)| (what, Attack::Once(bytes), Expected::Ended)).collect()
}

/// Every attack by frames.
pub(super) fn rows() -> Vec<Row> {
    let once = |what, bytes, expected| (what, Attack::Once(bytes), expected);
    let mut rows = floods();
    rows.extend(broken());
    let after_its_end = [opened(0, END_STREAM), frame(DATA, 0, 1, b"x")].concat();
    rows.extend([
        ("another protocol from the first byte on", Attack::First(b"GET / HTTP/1.1\r\n\r\n"), Expected::Ended),
        once("data after the end of one stream", after_its_end, Expected::Reset(STREAM_CLOSED)),
        once(
            "headers after the headers of one stream",
            [opened(0, 0), opened(0, 0)].concat(),
            Expected::Reset(PROTOCOL),
        ),
        once("one request of another length than it says", of_another_length(0), Expected::Reset(PROTOCOL)),
        once("one stream that depends on itself", on_itself(HEADERS, 0), Expected::Reset(PROTOCOL)),
        // 431, and nobody was asked.
        once("more headers than there may be", many_headers(), Expected::Answered(1)),
    ]);
    rows
}

impl Attack {
    /// Does it on connections of its own, and gives them.
    async fn begin(self, way: &Way) -> Vec<Line> {
        let mut lines = Vec::new();
        match self {
            Self::Once(bytes) => {
                lines.push(way.open(&[]).await);
                lines[0].send(&bytes).await;
            }
            Self::First(bytes) => {
                lines.push(way.silent().await);
                lines[0].listen();
                lines[0].send(bytes).await;
            }
            Self::Flood(first, times, frames) => {
                lines.push(way.open(&[]).await);
                lines[0].send(&first).await;
                lines[0].flood(times, frames).await;
            }
            Self::FloodOn(many, times, frames) => {
                for _ in 0..many {
                    let mut line = way.open(&[]).await;
                    line.flood(times, frames).await;
                    lines.push(line);
                }
            }
        }
        lines
    }
}

impl Expected {
    fn has_come(&self, heard: &Heard) -> bool {
        heard.closed
            || match self {
                Self::Reset(code) => heard.reset == Some(*code),
                Self::Answered(many) => heard.reset.is_some() || heard.frames[usize::from(HEADERS)] >= *many,
                _ => false,
            }
    }

    fn is(&self, heard: &Heard) -> bool {
        match self {
            Self::Ended => heard.goaway != Some(0),
            Self::Calmed => heard.goaway == Some(CALM),
            Self::CalmedOrCut => heard.goaway.is_none_or(|code| code == CALM),
            Self::EndedBefore(kind, most) => heard.frames[usize::from(*kind)] < *most,
            Self::Reset(_) | Self::Answered(_) => true,
        }
    }
}

/// Makes an attack and waits for what has to come of it.
pub(super) async fn meet(way: &Way, (what, attack, expected): Row) {
    for mut line in attack.begin(way).await {
        let heard = line.until(|heard| expected.has_come(heard)).await;
        assert!(expected.is(&heard), "{what}: {heard:?}");
    }
}
