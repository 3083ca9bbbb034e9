//! What holds for every packet and every stream.

use cimd::{DEFAULT_MAX_FRAME, ErrorCode, Framer, Operation, Packet, Parameter, parameter, text};
use proptest::prelude::*;

fn value() -> impl Strategy<Value = Vec<u8>> {
    let octet = any::<u8>().prop_filter("separators", |octet| !matches!(octet, 0 | 2 | 3 | 9));
    prop::collection::vec(octet, 0..200)
}

fn packet() -> impl Strategy<Value = Packet> {
    let parameters = prop::collection::vec((0_u16..1000, value()), 0..20);
    (0_u8..100, any::<u8>(), parameters).prop_map(|(operation, number, parameters)| {
        let parameters = parameters.into_iter().map(|(code, value)| Parameter { code, value }).collect();
        Packet { operation: Operation(operation), number, parameters }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_the_same(packet in packet(), with_checksum: bool) {
        let mut wire = b"between".to_vec();
        packet.encode(with_checksum, &mut wire);
        let mut framer = Framer::new(DEFAULT_MAX_FRAME);
        framer.feed(&wire);
        prop_assert_eq!(Packet::decode(framer.next_frame().unwrap()), Ok(packet));
    }

    #[test]
    fn a_wrong_octet_is_seen_by_the_checksum(packet in packet(), at in any::<prop::sample::Index>(), other in any::<u8>()) {
        let wire = packet.encoded();
        let mut frame = wire[1..wire.len() - 1].to_vec();
        // Behind the last TAB stands the checksum itself, which may be left out as a whole.
        let at = at.index(frame.len() - 3);
        prop_assume!(frame[at] != other);
        frame[at] = other;
        prop_assert!(Packet::decode(&frame).is_err());
    }

    #[test]
    fn texts_go_both_ways(septets in prop::collection::vec(0_u8..128, 0..160)) {
        let written = text::encode(&septets);
        prop_assert_eq!(text::decode(&written), &septets[..]);
        let mut packet = Packet::new(Operation::SUBMIT, 1);
        prop_assert!(packet.push(parameter::USER_DATA, written).is_ok());
    }

    #[test]
    fn nothing_that_comes_breaks_the_codec(stream in prop::collection::vec(prop_oneof![Just(2_u8), Just(3_u8), Just(9_u8), any::<u8>()], 0..300), piece in 1_usize..20) {
        let read = |piece: usize| {
            let mut framer = Framer::new(32);
            let mut found = Vec::new();
            for octets in stream.chunks(piece) {
                framer.feed(octets);
                while let Some(frame) = framer.next_frame() {
                    assert!(frame.len() <= 32);
                    found.push(Packet::decode(frame).map_err(cimd::DecodeError::answer));
                }
                assert!(framer.pending() <= 33);
            }
            found
        };
        prop_assert_eq!(read(stream.len().max(1)), read(piece));
        let _ = text::decode(&stream);
        let _ = ErrorCode(u16::try_from(stream.len()).unwrap()).to_string();
    }
}
