//! The headers of HTTP/2's frames as they pass, whatever pieces they come in (RFC 9113, section 4.1).

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;

/// On DATA and HEADERS: the last of its stream in this direction.
pub(super) const END_STREAM: u8 = 1;

/// What a client says before its first frame.
const PREFACE: usize = 24;

/// One frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Of the payload, in bytes.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// How much comes before the next header.
    before: usize,
    header: [u8; 9],
    /// How much of the header was seen.
    seen: usize,
}

impl Frames {
    /// What a client sends.
    pub(super) fn of_client() -> Self {
        Self { before: PREFACE, ..Self::default() }
    }

    /// Passes over the bytes, and tells of each header that they complete.
    pub(super) fn follow(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let (passed, rest) = bytes.split_at(self.before.min(bytes.len()));
            self.before -= passed.len();
            let missing = self.header.len() - self.seen;
            let (part, rest) = rest.split_at(missing.min(rest.len()));
            for (place, byte) in self.header.iter_mut().skip(self.seen).zip(part) {
                *place = *byte;
            }
            self.seen += part.len();
            if self.seen == self.header.len() {
                let [high, middle, low, kind, flags, stream @ ..] = self.header;
                self.before = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                self.seen = 0;
                tell(Frame { length: self.before, kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff });
            }
            bytes = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_of_once_whatever_pieces_they_come_in() {
        let mut bytes = vec![b'.'; PREFACE];
        bytes.extend([0, 0, 3, DATA, END_STREAM, 0, 0, 0, 1, 7, 7, 7]);
        bytes.extend([0, 0, 0, 4, 0, 0x80, 0, 0, 0]);
        bytes.extend([0, 1, 0, HEADERS, 4, 0, 0, 0, 3]);
        bytes.extend([9; 256]);
        let expected = [
            Frame { length: 3, kind: DATA, flags: END_STREAM, stream: 1 },
            Frame { length: 0, kind: 4, flags: 0, stream: 0 },
            Frame { length: 256, kind: HEADERS, flags: 4, stream: 3 },
        ];
        for size in [1, 2, 5, 9, 10, 31, 1_000] {
            let (mut frames, mut told) = (Frames::of_client(), Vec::new());
            for piece in bytes.chunks(size) {
                frames.follow(piece, |frame| told.push(frame));
            }
            assert_eq!(told, expected, "{size} bytes at once");
        }
    }
}
