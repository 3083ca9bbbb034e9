//! Framing: cuts a stream of octets into PDUs by their command_length (SMPP v5 §3.2.1.1).
//!
//! A frame is the only thing that decides where the next PDU begins, so whatever stands inside one PDU cannot damage the
//! next. A command_length that cannot be true ends the stream: nothing says where the next PDU would begin.

use crate::Status;
use std::fmt;

/// Octets of the header: the shortest PDU there is.
pub const HEADER_LEN: usize = 16;

/// The usual limit of one PDU: 64 KiB of message_payload and 4 KiB for all the rest.
pub const DEFAULT_MAX_PDU: usize = 68 * 1024;

/// An empty buffer larger than this is given back, so that a thousand idle sessions that once saw a large PDU stay small.
const RETAINED: usize = 16 * 1024;

/// A command_length that cannot be true. Answer with generic_nack, [`FrameError::status`] and sequence number 0, then
/// close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The given command_length is below the 16 octets of the header.
    TooShort(u32),
    /// The given command_length is above the configured limit.
    TooLong(u32),
}

impl FrameError {
    /// The status to answer: always ESME_RINVCMDLEN.
    #[must_use]
    pub fn status(self) -> Status {
        Status::RINVCMDLEN
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(len) => {
                write!(f, "command_length {len} is shorter than the 16 octets of a header")
            }
            Self::TooLong(len) => write!(f, "command_length {len} is longer than this connection takes"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Length of the first PDU of `octets`, or `None` while fewer octets than that are there.
///
/// The length is judged as soon as its four octets are there, before anything is waited for or allocated.
///
/// # Errors
/// A command_length below 16 or above `max`.
pub fn first_pdu_len(octets: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some((length, _)) = octets.split_first_chunk() else { return Ok(None) };
    let declared = u32::from_be_bytes(*length);
    let len = usize::try_from(declared).map_err(|_| FrameError::TooLong(declared))?;
    if len < HEADER_LEN {
        return Err(FrameError::TooShort(declared));
    }
    if len > max {
        return Err(FrameError::TooLong(declared));
    }
    Ok((octets.len() >= len).then_some(len))
}

/// Collects what a connection reads and yields one whole PDU after the other.
///
/// Read into [`buffer`](Self::buffer) (or [`feed`](Self::feed) a slice), then call [`next_pdu`](Self::next_pdu) until it
/// gives `None`. Held octets are then fewer than one PDU of `max` octets; declared but unsent octets cost nothing.
#[derive(Debug)]
pub struct Framer {
    octets: Vec<u8>,
    /// Octets at the front that were already yielded; removed when room is next asked for, not at every PDU.
    consumed: usize,
    max: usize,
}

impl Framer {
    /// A framer for PDUs of at most `max` octets; see [`DEFAULT_MAX_PDU`].
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { octets: Vec::new(), consumed: 0, max }
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

    /// The next whole PDU, header included, or `None` until more is read.
    ///
    /// # Errors
    /// A command_length that cannot be true. The stream is lost: every further call gives the same error.
    pub fn next_pdu(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let start = self.consumed;
        let Some(len) = first_pdu_len(&self.octets[start..], self.max)? else { return Ok(None) };
        self.consumed += len;
        Ok(Some(&self.octets[start..start + len]))
    }

    /// Octets that were read and not yet yielded.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.octets.len() - self.consumed
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

    const ENQUIRE: [u8; 16] = [0, 0, 0, 16, 0, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 1];

    #[test]
    fn yields_each_pdu_once_whole() {
        let mut framer = Framer::new(DEFAULT_MAX_PDU);
        framer.feed(&ENQUIRE[..15]);
        assert_eq!(framer.next_pdu(), Ok(None));
        assert_eq!(framer.pending(), 15);
        framer.feed(&[&ENQUIRE[15..], &ENQUIRE, &ENQUIRE[..3]].concat());
        assert_eq!(framer.next_pdu(), Ok(Some(&ENQUIRE[..])));
        assert_eq!(framer.next_pdu(), Ok(Some(&ENQUIRE[..])));
        assert_eq!(framer.next_pdu(), Ok(None));
        assert_eq!(framer.pending(), 3);
    }

    #[test]
    fn refuses_impossible_lengths_at_the_fourth_octet_and_for_ever() {
        for (length, error) in [
            (0u32, FrameError::TooShort(0)),
            (15, FrameError::TooShort(15)),
            (65, FrameError::TooLong(65)),
            (u32::MAX, FrameError::TooLong(u32::MAX)),
        ] {
            let mut framer = Framer::new(64);
            framer.feed(&length.to_be_bytes()[..3]);
            assert_eq!(framer.next_pdu(), Ok(None));
            framer.feed(&length.to_be_bytes()[3..]);
            assert_eq!(framer.next_pdu(), Err(error));
            framer.feed(&ENQUIRE);
            assert_eq!(framer.next_pdu(), Err(error));
            assert!(framer.octets.capacity() < 128, "nothing is allocated for what was only declared");
        }
    }

    #[test]
    fn a_large_pdu_does_not_keep_its_memory() {
        let mut framer = Framer::new(DEFAULT_MAX_PDU);
        let mut large = vec![0; 60_000];
        large[..4].copy_from_slice(&60_000u32.to_be_bytes());
        framer.feed(&large);
        assert_eq!(framer.next_pdu().map(|pdu| pdu.map(<[u8]>::len)), Ok(Some(60_000)));
        framer.buffer(0);
        assert_eq!(framer.octets.capacity(), 0);
    }
}
