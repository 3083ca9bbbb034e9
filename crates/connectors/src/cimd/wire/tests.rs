use super::*;
use smpp::{DataCoding, RegisteredDelivery};

fn submitted(sm: &SmRef<'_>, valid_s: Option<u64>) -> Packet {
    let mut packet = Packet::new(Operation::SUBMIT, 3);
    fill(&mut packet, sm, valid_s).unwrap();
    packet
}

fn sm(text: &[u8], coding: u8) -> SmRef<'_> {
    SmRef {
        source: smpp::AddressRef {
            ton: Ton::ALPHANUMERIC,
            addr: b"Caf\xc3\xa9",
            ..smpp::AddressRef::default()
        },
        destination: smpp::AddressRef { addr: b"33612345678", ..smpp::AddressRef::default() },
        short_message: text,
        data_coding: DataCoding(coding),
        registered_delivery: RegisteredDelivery(1),
        ..SmRef::default()
    }
}

#[test]
fn a_text_goes_out_in_combinations() {
    let packet = submitted(&sm(b"5 \x1b\x65 \x00", 0), Some(3_600));
    assert_eq!(packet.text(parameter::USER_DATA), "5 _XXe _Oa");
    assert_eq!(packet.text(parameter::DESTINATION), "33612345678");
    assert_eq!(packet.text(parameter::ALPHANUMERIC_ORIGINATOR), "Caf_e'");
    assert_eq!(packet.number_of(parameter::STATUS_REPORT_REQUEST), Some(14));
    assert_eq!(packet.number_of(parameter::VALIDITY_RELATIVE), Some(11));
    assert_eq!(packet.get(parameter::DATA_CODING), None);
}

#[test]
fn ucs2_goes_out_in_hex_with_its_header() {
    let part = [5, 0, 3, 9, 2, 1, 0x04, 0x3F];
    let packet = submitted(&SmRef { esm_class: EsmClass::UDHI, ..sm(&part, 8) }, None);
    assert_eq!(packet.number_of(parameter::DATA_CODING), Some(8));
    assert_eq!(packet.octets(parameter::USER_DATA_HEADER), Some(vec![5, 0, 3, 9, 2, 1]));
    assert_eq!(packet.octets(parameter::USER_DATA_BINARY), Some(vec![0x04, 0x3F]));
    assert_eq!(packet.get(parameter::VALIDITY_RELATIVE), None);
    let long = smpp::AddressRef { addr: &[b'1'; 21], ..smpp::AddressRef::default() };
    assert!(
        fill(&mut Packet::new(Operation::SUBMIT, 3), &SmRef { destination: long, ..sm(b"x", 0) }, None)
            .is_err()
    );
}

fn packet(octets: &str) -> Packet {
    Packet::decode(octets.as_bytes()).unwrap()
}

#[test]
fn responses_name_the_message_or_the_error() {
    let answer = |octets| match meaning(&packet(octets), true) {
        Heard::Answered { answer, .. } => answer,
        _ => panic!("no answer: {octets}"),
    };
    let taken = answer("53:003\t021:+33612345678\t060:261120101500\t");
    assert_eq!(taken, Answer::Accepted { message_id: "261120101500:33612345678".into() });
    for (octets, code) in [("53:003\t900:300\t", 300), ("98:003\t900:6\t", 6), ("99:003\t", 1)] {
        assert_eq!(answer(octets), Answer::refused(Refusal::Cimd(ErrorCode(code))));
    }
    assert!(matches!(meaning(&packet("90:005\t"), true), Heard::Alive));
    assert!(matches!(meaning(&packet("52:005\t"), true), Heard::MayLeave));
    assert!(
        matches!(meaning(&packet("40:004\t"), true), Heard::Asked(answer) if answer.starts_with(b"\x0290:004\t"))
    );
    assert!(
        matches!(meaning(&packet("21:004\t"), true), Heard::Odd(answer) if answer.starts_with(b"\x0271:004\t900:1\t"))
    );
}

#[test]
fn a_status_report_is_a_receipt() {
    let octets = "23:000\t021:33612345678\t023:10000\t060:261120101500\t061:3\t062:42\t063:261120101501\t";
    let Heard::Delivered(Content::Receipt(receipt), owed) = meaning(&packet(octets), false) else {
        panic!("a receipt")
    };
    assert_eq!(
        (receipt.message_id.as_str(), receipt.state),
        ("261120101500:33612345678", MessageState::Undeliverable)
    );
    assert_eq!((receipt.sender.as_str(), receipt.error.as_deref()), ("10000", Some("042")));
    let mut out = Vec::new();
    owed(Verdict::Taken, &mut out);
    assert_eq!(out, b"\x0273:000\t\x03");
}

#[test]
fn messages_from_phones_come_as_text_or_in_hex() {
    let received = |octets| match meaning(&packet(octets), true) {
        Heard::Delivered(Content::Sm(sm), _) => sm,
        _ => panic!("no message: {octets}"),
    };
    let text = received("20:002\t021:10000\t023:+33612345678\t060:261120101500\t033:a_Oab\t");
    assert_eq!(
        (text.short_message.as_slice(), text.source.addr.as_str().as_ref()),
        (&b"a\0b"[..], "33612345678")
    );
    let binary = received("20:002\t021:10000\t023:+33612345678\t030:8\t032:050003090201\t034:043F\t");
    assert!(binary.esm_class.udhi() && binary.data_coding.0 == 8);
    assert_eq!(binary.short_message, [5, 0, 3, 9, 2, 1, 0x04, 0x3F]);
    let odd = meaning(&packet("20:002\t021:10000\t023:1\t034:4\t"), true);
    assert!(matches!(odd, Heard::Odd(answer) if answer.starts_with(b"\x0270:002\t900:302\t")));
}
