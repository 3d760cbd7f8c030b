//! What the worlds are made of: who asks whom for what, and the words that can be wrong about it.

use super::records::Word;

/// Who asks whom, for what, and on which grounds that is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    pub(super) holder: Word,
    pub(super) requester: Word,
    pub(super) purposes: &'static [Word],
    pub(super) grounds: &'static [Word],
    pub(super) consents: bool,
}

pub(super) const S132: &[Word] = &["dpa-2018-s132-2-a", "dpa-2018-s132-2-c", "dpa-2018-s132-2-f"];
pub(super) const FLOWS: [(u64, Flow); 8] = [
    (
        30,
        flow(
            "ncsc",
            "ico",
            &["regulatory-assessment", "regulatory-enforcement", "harm-reduction"],
            &["isa-1994-s4-2-a"],
            true,
        ),
    ),
    (8, flow("ncsc", "ico", &["joint-enforcement", "harm-reduction"], &["isa-1994-s4-2-a", "joint-ground"], true)),
    (
        20,
        flow(
            "nca",
            "ico",
            &["regulatory-assessment", "regulatory-enforcement", "harm-reduction"],
            &["cca-2013-s7-4"],
            true,
        ),
    ),
    (14, flow("ico", "ncsc", &["harm-reduction", "nis-csirt", "joint-response"], S132, false)),
    (12, flow("ico", "ncsc", &["nis-csirt", "joint-response"], &["dpa-2018-s132-2-f", "joint-ground"], false)),
    (8, flow("nca", "ico", &["joint-enforcement", "harm-reduction"], &["cca-2013-s7-4", "joint-ground"], true)),
    (9, flow("ico", "nca", &["serious-organised-crime"], S132, false)),
    (4, flow("nca", "ncsc", &["joint-response"], &["joint-ground"], false)),
];

const fn flow(
    holder: Word,
    requester: Word,
    purposes: &'static [Word],
    grounds: &'static [Word],
    consents: bool,
) -> Flow {
    Flow { holder, requester, purposes, grounds, consents }
}

pub(super) const PURPOSES: [Word; 7] = [
    "regulatory-assessment",
    "regulatory-enforcement",
    "harm-reduction",
    "serious-organised-crime",
    "nis-csirt",
    "joint-response",
    "joint-enforcement",
];
pub(super) const GROUNDS: [Word; 6] =
    ["isa-1994-s4-2-a", "cca-2013-s7-4", "dpa-2018-s132-2-a", "dpa-2018-s132-2-f", "joint-ground", "no-such-ground"];
pub(super) const CATEGORIES: [Word; 6] =
    ["identity", "timeline", "impact", "ransom", "assessment", "technical-indicators"];
pub(super) const AGENCIES: [Word; 3] = ["ico", "ncsc", "nca"];
pub(super) const TLP: [Word; 8] = ["clear", "green", "amber", "amber+strict", "amber", "green", "amber+strict", "red"];
