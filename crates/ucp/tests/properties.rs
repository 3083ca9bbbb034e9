//! What holds for every PDU and every stream.

use proptest::prelude::*;
use ucp::{
    Alert, Body, Call, Content, DEFAULT_MAX_FRAME, ErrorCode, Framer, Operation, Originator, Outcome, Pdu,
    Session, ShortMessage, Time, Transfer, xser,
};

fn field() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[ -.0-~]{0,40}"]
}

fn message() -> impl Strategy<Value = ShortMessage> {
    let content = prop_oneof![
        "[0-9]{0,40}".prop_map(Content::Numeric),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Content::Text),
        prop::collection::vec(any::<u8>(), 0..140).prop_map(Content::Transparent),
    ];
    let texts = (field(), field(), field(), field(), field());
    let header = prop::collection::vec(any::<u8>(), 0..20);
    (texts, content, header).prop_map(|((adc, oadc, scts, rsn, vp), content, header)| {
        let mut message = ShortMessage { adc, oadc, scts, rsn, vp, ..ShortMessage::default() };
        message.set_content(&content);
        assert_eq!(message.content(), Some(content));
        xser::push(&mut message.xser, xser::UDH, &header);
        message
    })
}

fn body() -> impl Strategy<Value = Body> {
    let texts = || (field(), field(), field(), field());
    prop_oneof![
        texts().prop_map(|(adc, oadc, mt, msg)| Body::Call(Call { adc, oadc, mt, msg, ..Call::default() })),
        texts().prop_map(|(adc, oadc, vp, amsg)| {
            Body::Transfer(Transfer { adc, oadc, vp, amsg, ..Transfer::default() })
        }),
        (field(), field()).prop_map(|(adc, pid)| Body::Alert(Alert { adc, pid })),
        (51_u8..=58, message()).prop_map(|(ot, message)| Body::Message(Operation(ot), Box::new(message))),
        (60_u8..=61, texts()).prop_map(|(ot, (oadc, pwd, vers, res1))| {
            Body::Session(Operation(ot), Session { oadc, pwd, vers, res1, ..Session::default() })
        }),
        (70_u8..=99, prop::collection::vec(field(), 1..9))
            .prop_map(|(ot, fields)| Body::Other(Operation(ot), fields)),
        (0_u8..=99, field()).prop_map(|(ot, message)| Body::Result(Operation(ot), Outcome::ack(message))),
        (0_u8..=99, 0_u8..=99, field()).prop_map(|(ot, error, message)| {
            Body::Result(Operation(ot), Outcome::Nack { error: ErrorCode(error), message })
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_the_same(trn in 0_u8..100, body in body()) {
        let pdu = Pdu::new(trn, body);
        let mut wire = b"noise".to_vec();
        pdu.encode(&mut wire).unwrap();
        let mut framer = Framer::new(DEFAULT_MAX_FRAME);
        framer.feed(&wire);
        let read = Pdu::decode(framer.next_frame().unwrap());
        prop_assert_eq!(read, Ok(pdu));
        prop_assert_eq!(framer.pending(), 0);
    }

    #[test]
    fn one_wrong_octet_is_never_taken_for_another_pdu(body in body(), at in any::<prop::sample::Index>(), other in any::<u8>()) {
        let pdu = Pdu::new(7, body);
        let mut wire = Vec::new();
        pdu.encode(&mut wire).unwrap();
        let mut frame = wire[1..wire.len() - 1].to_vec();
        let at = at.index(frame.len());
        prop_assume!(frame[at] != other && frame[at].to_ascii_lowercase() != other);
        frame[at] = other;
        prop_assert!(Pdu::decode(&frame).is_err());
    }

    #[test]
    fn any_stream_in_any_pieces_gives_the_same_frames(stream in prop::collection::vec(prop_oneof![Just(2_u8), Just(3_u8), any::<u8>()], 0..300), piece in 1_usize..20) {
        let frames = |piece: usize| {
            let mut framer = Framer::new(16);
            let mut found = Vec::new();
            for octets in stream.chunks(piece) {
                framer.feed(octets);
                while let Some(frame) = framer.next_frame() {
                    assert!(frame.len() <= 16);
                    found.push(frame.to_vec());
                }
                assert!(framer.pending() <= 17);
            }
            found
        };
        prop_assert_eq!(frames(stream.len().max(1)), frames(piece));
    }

    #[test]
    fn nothing_that_comes_breaks_the_codec(frame in prop::collection::vec(any::<u8>(), 0..200), text in "[0-9/ORAN]{0,80}") {
        for frame in [&frame[..], text.as_bytes()] {
            if let Ok(pdu) = Pdu::decode(frame) {
                let mut out = Vec::new();
                let _ = pdu.encode(&mut out);
            }
        }
        let text = String::from_utf8_lossy(&frame);
        let _ = (Time::parse(&text), xser::elements(&text).count(), Originator::read(&text, "5039"));
    }

    #[test]
    fn what_is_read_is_written_so_that_it_is_read_the_same(trn in 0_u8..100, ot in 0_u8..100, kind in "[OR]", data in "[AN0-9]{0,3}(/[ -.0-9A-Z]{0,4}){0,40}") {
        let len = 14 + data.len() + 3;
        let head = format!("{trn:02}/{len:05}/{kind}/{ot:02}/{data}/");
        let frame = format!("{head}{:02X}", ucp::checksum(head.as_bytes()));
        if let Ok(pdu) = Pdu::decode(frame.as_bytes()) {
            let mut out = Vec::new();
            pdu.encode(&mut out).unwrap();
            prop_assert_eq!(Pdu::decode(&out[1..out.len() - 1]), Ok(pdu));
        } else {
            prop_assert_eq!(kind, "R", "only a result can be neither A nor N");
        }
    }

    #[test]
    fn times_go_both_ways(unix_s in 0_i64..3_155_760_000) {
        let time = Time::from_unix_s(unix_s).unwrap();
        prop_assert_eq!(time.unix_s(), unix_s);
        prop_assert_eq!(Time::parse(&time.twelve_digits()), Some(time));
    }
}
