//! A stream gives the same packets however it comes, each is read or refused, and what was read is written the same again.
#![no_main]

use cimd::{Framer, Packet, parameter, text};
use libfuzzer_sys::fuzz_target;

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
    for frame in &whole {
        match Packet::decode(frame) {
            Ok(packet) => {
                let _ = (packet.error(), packet.octets(parameter::USER_DATA_BINARY), packet.text(parameter::DESTINATION));
                let wire = packet.encoded();
                assert_eq!(Packet::decode(&wire[1..wire.len() - 1]), Ok(packet));
            }
            Err(error) => drop(error.answer().encoded()),
        }
    }
    let septets = text::decode(stream);
    assert_eq!(text::decode(&text::encode(&septets)), septets);
});
