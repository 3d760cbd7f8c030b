//! A request of any RPC: what decodes is encoded to bytes that decode to the same.
#![no_main]

use std::sync::LazyLock;

use concordat::proto::DESCRIPTORS;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

static REQUESTS: LazyLock<Vec<MessageDescriptor>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("our own contract");
    pool.services().flat_map(|service| service.methods().map(|rpc| rpc.input()).collect::<Vec<_>>()).collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((which, message)) = data.split_first() else { return };
    let request = REQUESTS[usize::from(*which) % REQUESTS.len()].clone();
    let Ok(decoded) = DynamicMessage::decode(request.clone(), message) else { return };
    let again = DynamicMessage::decode(request, decoded.encode_to_vec().as_slice()).expect("what was encoded decodes");
    assert_eq!(again.encode_to_vec(), decoded.encode_to_vec());
});
