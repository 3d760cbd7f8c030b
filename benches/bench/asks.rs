//! What is sent to a node, and which answer there must be.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use concordat::proto::v1;
use concordat::proto::v1::request_release_request::Target;
use prost::Message;

use super::load::{Source, frame};
use super::world::{CATEGORIES, HOLDER, PURPOSE};

/// The number of the next ask of this run: no two have the same request id.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What an ask must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Released,
    Open,
}

/// Asks by reference, all alike but for their ids and the incidents that they are about.
pub(crate) struct Asks {
    template: Vec<u8>,
    request_id_at: usize,
    reference_at: usize,
    references: Vec<String>,
    expected: Expected,
}

impl Asks {
    pub(crate) fn new(references: Vec<String>, expected: Expected) -> Result<Self> {
        let request_id = request_id(0);
        let reference = references.first().context("there is nothing to ask about")?.clone();
        ensure!(references.iter().all(|other| other.len() == reference.len()), "references differ in length");
        let template = frame(&v1::RequestReleaseRequest {
            request_id: request_id.clone(),
            holder: HOLDER.into(),
            target: Some(Target::Reference(reference.clone())),
            purpose: PURPOSE.into(),
            categories: CATEGORIES.map(String::from).to_vec(),
            external_ref: "CASE-2026-00017".into(),
            ..v1::RequestReleaseRequest::default()
        })?;
        let place = |text: &str| template.windows(text.len()).position(|bytes| bytes == text.as_bytes());
        let request_id_at = place(&request_id).context("an encoded ask has no request id")?;
        let reference_at = place(&reference).context("an encoded ask has no reference")?;
        Ok(Self { template, request_id_at, reference_at, references, expected })
    }
}

/// Always as long.
fn request_id(number: u64) -> String {
    format!("bench-{number:016}")
}

impl Source for Asks {
    fn frame(&self) -> Bytes {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(number).unwrap_or_default() % self.references.len();
        let mut frame = self.template.clone();
        write_at(&mut frame, self.request_id_at, &request_id(number));
        if let Some(reference) = self.references.get(place) {
            write_at(&mut frame, self.reference_at, reference);
        }
        frame.into()
    }

    fn accepts(&self, message: &Bytes) -> bool {
        let Ok(answer) = OutcomeAlone::decode(message.clone()) else { return false };
        match self.expected {
            Expected::Released => answer
                .released
                .is_some_and(|released| ContentIncluded::decode(released).is_ok_and(|released| released.included)),
            Expected::Open => answer.open.is_some(),
        }
    }
}

fn write_at(frame: &mut [u8], at: usize, text: &str) {
    if let Some(place) = frame.get_mut(at..at + text.len()) {
        place.copy_from_slice(text.as_bytes());
    }
}

/// As much of `RequestReleaseResponse` as says what came of it; the rest is skipped.
#[derive(Clone, PartialEq, Message)]
struct OutcomeAlone {
    #[prost(bytes = "bytes", optional, tag = "2")]
    released: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    open: Option<Bytes>,
}

/// As much of `Released` as says that the content is there.
#[derive(Clone, PartialEq, Message)]
struct ContentIncluded {
    #[prost(bool, tag = "2")]
    included: bool,
}
