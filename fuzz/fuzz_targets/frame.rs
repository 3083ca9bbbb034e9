//! A stream gives the same PDUs whether it comes at once or in pieces, and never more memory than it has octets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smpp::{FrameError, Framer};

const MAX: usize = 4096;

/// All PDUs of a stream that comes in pieces of at most `piece` octets, and the error that ends it, if one does.
fn framed(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut framer = Framer::new(MAX);
    let mut pdus = Vec::new();
    for octets in stream.chunks(piece) {
        framer.feed(octets);
        loop {
            match framer.next_pdu() {
                Ok(Some(pdu)) => pdus.push(pdu.to_vec()),
                Ok(None) => break,
                Err(error) => return (pdus, Some(error)),
            }
        }
        assert!(framer.pending() < MAX);
    }
    (pdus, None)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, stream) = input;
    let whole = framed(stream, stream.len().max(1));
    assert_eq!(whole, framed(stream, usize::from(piece).max(1)));
    assert_eq!(whole, framed(stream, 1));
    let framed_octets = whole.0.concat();
    assert!(stream.starts_with(&framed_octets));
});
