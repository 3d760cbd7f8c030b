//! Streams: what comes, as it comes.

use std::time::Duration;

use concordat::ledger::Keyring;
use prost_reflect::{FieldDescriptor, ReflectMessage as _, Value};
use tokio::time::sleep;
use tonic::{Code, Status};

use super::Verdict;
use super::call::{Call, Line};
use super::json;
use super::output::{DIM, Format, KEY, line as print, note};

/// How long to wait before the first try to watch again that comes after one which brought nothing; twice as long before
/// each that follows, up to the longest.
const WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Follows a stream to its end. One that has a cursor has none: whenever it ends, it is watched again from where it was,
/// unless the node turns the caller away. Each thing that such a stream tells of is one line.
pub(super) async fn follow(
    call: &Call<'_>,
    line: &mut Line,
    keys: Option<&Keyring>,
) -> Result<anyhow::Result<Verdict>, Status> {
    let (input, output) = (call.method.input(), call.method.output());
    let cursors = input.get_field_by_name("cursor").zip(output.get_field_by_name("cursor"));
    let items = output.fields().find(FieldDescriptor::is_list);
    let (Some((to, from)), Some(items)) = (cursors, items) else {
        return once(call, line, keys).await;
    };
    let (mut request, mut has_begun, mut wait) = (call.request.clone(), false, WAIT);
    loop {
        let mut told = false;
        let ended = async {
            let mut stream = line.stream(call.method, request.clone()).await?;
            while let Some(message) = stream.message().await? {
                told = true;
                for item in message.get_field(&items).as_list().unwrap_or_default() {
                    if let Err(error) = show(item, call.format) {
                        return Ok(Err(error));
                    }
                }
                request.set_field(&to, message.get_field(&from).into_owned());
            }
            Ok(Ok(()))
        };
        match ended.await {
            Ok(Err(error)) => return Ok(Err(error)),
            Err(status) if is_final(&status, has_begun || told, told) => return Err(status),
            Err(status) => note(&format!("{DIM}{:?}: watching again{DIM:#}", status.code())),
            Ok(Ok(())) => {}
        }
        has_begun |= told;
        if told {
            wait = WAIT;
        } else {
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

/// A stream without a cursor: each message, to its end.
async fn once(call: &Call<'_>, line: &mut Line, keys: Option<&Keyring>) -> Result<anyhow::Result<Verdict>, Status> {
    let mut stream = line.stream(call.method, call.request.clone()).await?;
    let mut verdict = Verdict::Well;
    while let Some(message) = stream.message().await? {
        match call.show(&message, keys) {
            Ok(Verdict::Well) => {}
            Ok(other) => verdict = other,
            failed @ Err(_) => return Ok(failed),
        }
    }
    Ok(Ok(verdict))
}

/// Whether it is of no use to try again. What never worked is told at once; a token that was not accepted has expired
/// if it was before.
fn is_final(status: &Status, has_begun: bool, told: bool) -> bool {
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented => true,
        Code::Unauthenticated => !told,
        _ => !has_begun,
    }
}

fn show(item: &Value, format: Format) -> anyhow::Result<()> {
    let Some(item) = item.as_message() else { return Ok(()) };
    let shown = json::of(item)?;
    if format == Format::Json {
        print(&shown.to_string());
        return Ok(());
    }
    let word = |field: FieldDescriptor| {
        let value = shown.get(field.name())?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(format!("{KEY}{}{KEY:#} {}", field.name(), json::harmless(&text).replace('\n', " ")))
    };
    let descriptor = item.descriptor();
    print(&descriptor.fields().filter_map(word).collect::<Vec<_>>().join("  "));
    Ok(())
}
