//! A ledger entry: what decodes is encoded to bytes that decode to the same.
#![no_main]

use concordat::proto::v1::{AskStatement, LedgerEntry, OutcomeStatement, SubjectStatement};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fn round<M: Message + Default + PartialEq>(data: &[u8]) {
    if let Ok(decoded) = M::decode(data) {
        assert!(M::decode(decoded.encode_to_vec().as_slice()).is_ok_and(|again| again == decoded));
    }
}

fuzz_target!(|data: &[u8]| {
    round::<LedgerEntry>(data);
    round::<AskStatement>(data);
    round::<OutcomeStatement>(data);
    round::<SubjectStatement>(data);
});
