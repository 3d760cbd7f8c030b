//! A receipt as `concordat verify` reads it.

use std::sync::LazyLock;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use crate::proto::DESCRIPTORS;
use crate::proto::v1::Receipt;

static RECEIPT: LazyLock<Option<MessageDescriptor>> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok()?.get_message_by_name("concordat.v1.Receipt"));

/// Protobuf's JSON, on one line.
pub(super) fn json(receipt: &Receipt) -> String {
    let written = RECEIPT.clone().and_then(|descriptor| {
        let message = DynamicMessage::decode(descriptor, receipt.encode_to_vec().as_slice()).ok()?;
        serde_json::to_string(&message).ok()
    });
    // The contract has receipts, and each can be written.
    written.unwrap_or_else(|| unreachable!("a receipt of this program's own contract"))
}
