//! A stream gives the same frames however it comes, each is read or refused, and what was read is written the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ucp::{Body, Framer, Pdu, xser};

fn framed(stream: &[u8], piece: usize) -> Vec<Vec<u8>> {
    const MAX: usize = 1024;
    let mut framer = Framer::new(MAX);
    let mut frames = Vec::new();
    for octets in stream.chunks(piece) {
        framer.feed(octets);
        while let Some(frame) = framer.next_frame() {
            frames.push(frame.to_vec());
        }
        assert!(framer.pending() <= MAX + 1);
    }
    frames
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, stream) = input;
    let whole = framed(stream, stream.len().max(1));
    assert_eq!(whole, framed(stream, usize::from(piece).max(1)));
    for frame in whole.iter().map(Vec::as_slice).chain([stream]) {
        match Pdu::decode(frame) {
            Ok(pdu) => {
                if let Body::Message(_, message) = &pdu.body {
                    let _ = (message.content(), message.originator(), message.data_coding(), message.time_stamp());
                    assert!(xser::elements(&message.xser).count() <= message.xser.len());
                }
                let mut out = Vec::new();
                // A shorter form of the same may come out: a peer leaves empty fields away.
                if pdu.encode(&mut out).is_ok() {
                    assert_eq!(Pdu::decode(&out[1..out.len() - 1]), Ok(pdu));
                }
            }
            Err(error) => {
                let _ = error.answer().encode(&mut Vec::new());
            }
        }
    }
});
