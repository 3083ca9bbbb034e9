//! Framing: cuts a stream of octets into frames between STX and ETX (CIMD2 3-0 §3.1).

/// Begins a frame.
pub const STX: u8 = 0x02;
/// Ends a frame.
pub const ETX: u8 = 0x03;

/// The usual limit of one packet: a submit with a long text and many destinations stays far below.
pub const DEFAULT_MAX_FRAME: usize = 4 * 1024;

/// An empty buffer larger than this is given back.
const RETAINED: usize = 16 * 1024;

/// Collects what a connection reads and yields one frame after the other.
///
/// Read into [`buffer`](Self::buffer) (or [`feed`](Self::feed) a slice), then call [`next_frame`](Self::next_frame) until
/// it gives `None`. Held octets are then fewer than `max`. What stands outside of frames is skipped and counted; a frame
/// that grows too long, or in which another begins, is skipped as well. So no stream is ever lost.
#[derive(Debug)]
pub struct Framer {
    octets: Vec<u8>,
    /// Octets at the front that were already yielded or skipped.
    consumed: usize,
    /// Octets behind `consumed` that hold no ETX.
    searched: usize,
    max: usize,
    skipped: u64,
}

impl Framer {
    /// A framer for frames of at most `max` octets between STX and ETX.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { octets: Vec::new(), consumed: 0, searched: 0, max, skipped: 0 }
    }

    /// The buffer to append the next read to, with room for at least `room` more octets. Append only.
    pub fn buffer(&mut self, room: usize) -> &mut Vec<u8> {
        self.forget_consumed();
        self.octets.reserve(room);
        &mut self.octets
    }

    /// Appends octets that were read elsewhere.
    pub fn feed(&mut self, octets: &[u8]) {
        self.forget_consumed();
        self.octets.extend_from_slice(octets);
    }

    /// The octets between the next STX and its ETX, or `None` until more is read.
    pub fn next_frame(&mut self) -> Option<&[u8]> {
        loop {
            let held = &self.octets[self.consumed..];
            if held.first() != Some(&STX) {
                let noise = held.iter().position(|octet| *octet == STX).unwrap_or(held.len());
                self.skip(noise);
                if self.octets.len() == self.consumed {
                    return None;
                }
                continue;
            }
            let from = self.searched.max(1);
            let ends = |octet: &u8| matches!(*octet, STX | ETX);
            let Some(end) = held.get(from..)?.iter().position(ends).map(|at| from + at) else {
                if held.len() > self.max + 1 {
                    self.skip(held.len());
                } else {
                    self.searched = held.len();
                }
                return None;
            };
            if held[end] == STX || end > self.max + 1 {
                self.skip(end);
                continue;
            }
            let start = self.consumed + 1;
            self.consumed += end + 1;
            self.searched = 0;
            return Some(&self.octets[start..start + end - 1]);
        }
    }

    /// Octets that were read and not yet yielded.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.octets.len() - self.consumed
    }

    /// Octets that belonged to no frame, so far. The specification lets a peer send anything there.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn skip(&mut self, octets: usize) {
        self.consumed += octets;
        self.searched = 0;
        self.skipped = self.skipped.saturating_add(octets as u64);
    }

    fn forget_consumed(&mut self) {
        if self.consumed == self.octets.len() {
            self.octets.clear();
            if self.octets.capacity() > RETAINED {
                self.octets = Vec::new();
            }
        } else if self.consumed > 0 {
            self.octets.drain(..self.consumed);
        }
        self.consumed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(framer: &mut Framer) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(frame) = framer.next_frame() {
            found.push(String::from_utf8_lossy(frame).into_owned());
        }
        found
    }

    #[test]
    fn yields_each_frame_once_whole_and_skips_what_is_between() {
        let mut framer = Framer::new(8);
        framer.feed(b"noise\x02ab");
        assert_eq!(frames(&mut framer), [""; 0]);
        framer.feed(b"c\x03\r\n\x02d\x03\x02");
        assert_eq!(frames(&mut framer), ["abc", "d"]);
        assert_eq!((framer.pending(), framer.skipped()), (1, 7));
    }

    #[test]
    fn begins_anew_at_each_start() {
        let mut framer = Framer::new(8);
        framer.feed(b"\x02cut \x02whole\x03");
        assert_eq!(frames(&mut framer), ["whole"]);
    }

    #[test]
    fn a_frame_that_is_too_long_is_skipped_and_holds_no_memory() {
        let mut framer = Framer::new(8);
        framer.feed(b"\x0212345678\x03\x02123456789\x03\x02next\x03");
        assert_eq!(frames(&mut framer), ["12345678", "next"]);
        framer.feed(b"\x02");
        for _ in 0..100 {
            framer.feed(b"12345");
            assert_eq!(framer.next_frame(), None);
            assert!(framer.pending() <= 9);
        }
        framer.feed(b"\x02ok\x03");
        assert_eq!(frames(&mut framer), ["ok"]);
    }
}
