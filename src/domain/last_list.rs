//! How far an agency's authority has got with its revocation lists.

use super::{AgencyId, Digest, Instant};

/// The last list of an authority that was put in place: what is before it is never believed again, or what it revoked would
/// come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastList {
    /// The agency.
    pub agency: AgencyId,
    /// SHA-256 over the authority's `SubjectPublicKeyInfo`: an authority that begins again has another key.
    pub authority: Digest,
    /// The list's number, and from when it counts. The later list has the greater of the two.
    pub stand: ListStand,
}

/// Where a list stands among those of its authority: by its number, and by its time among those of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListStand {
    /// Big-endian. RFC 5280, section 5.2.3, has 20 octets at most.
    pub number: [u8; 20],
    /// From when it counts.
    pub this_update: Instant,
}
