use super::*;
use crate::tcp::Wire as _;
use smpp::{DataCoding, RegisteredDelivery};

fn submitted(sm: &SmRef<'_>) -> ShortMessage {
    let mut out = Vec::new();
    Wire::submit(&Writer::default(), 7, sm, &mut out).unwrap();
    match Pdu::decode(&out[1..out.len() - 1]).unwrap() {
        Pdu { trn: 7, body: Body::Message(Operation::SUBMIT, message) } => *message,
        other => panic!("{other:?}"),
    }
}

fn sm<'a>(text: &'a [u8], coding: u8) -> SmRef<'a> {
    let sm = Sm {
        source: Address::alphanumeric("Shop"),
        destination: Address::international("+33612345678"),
        ..Sm::default()
    };
    let (source, destination) =
        (Box::leak(Box::new(sm.source)).view(), Box::leak(Box::new(sm.destination)).view());
    let registered_delivery = RegisteredDelivery(1);
    SmRef {
        source,
        destination,
        short_message: text,
        data_coding: DataCoding(coding),
        registered_delivery,
        ..SmRef::default()
    }
}

#[test]
fn a_text_goes_out_in_septets_with_its_sender_packed() {
    let message = submitted(&sm(b"hi\x00", 0));
    assert_eq!(
        (message.adc.as_str(), message.mt.as_str(), message.msg.as_str()),
        ("33612345678", "3", "686900")
    );
    assert_eq!(message.originator(), Originator::Alphanumeric(b"Shop".to_vec()));
    assert_eq!((message.nrq.as_str(), message.nt.as_str(), message.xser.as_str()), ("1", "3", ""));
}

#[test]
fn ucs2_and_headers_stand_in_xser() {
    let part = [5, 0, 3, 9, 2, 1, 0x04, 0x3F];
    let message = submitted(&SmRef { esm_class: EsmClass::UDHI, ..sm(&part, 8) });
    assert_eq!((message.mt.as_str(), message.nb.as_str(), message.msg.as_str()), ("4", "0016", "043F"));
    assert_eq!(message.xser, "0106050003090201020108");
    let binary = submitted(&sm(&[1, 2], 4));
    assert_eq!((binary.xser.as_str(), binary.msg.as_str()), ("", "0102"));
    let flash = submitted(&sm(b"x", 0xF0));
    assert_eq!(flash.xser, "0201F0");
}

#[test]
fn validity_is_in_the_centres_time() {
    let login = Login { utc_offset_minutes: 120, ..Login::default() };
    let until = message(&login, &SmRef { validity_period: b"261120101500000+", ..sm(b"x", 0) }).unwrap();
    assert_eq!(until.vp, "2011261215");
    assert!(message(&login, &SmRef { validity_period: b"soon", ..sm(b"x", 0) }).is_err());
}

fn heard(body: &str) -> Heard {
    let mut frame = format!("00/{:05}/{body}/", body.len() + 12 - 3 + 3);
    let length = frame.len() + 2;
    frame.replace_range(3..8, &format!("{length:05}"));
    let sum = ucp::checksum(frame.as_bytes());
    meaning(&Pdu::decode(format!("{frame}{sum:02X}").as_bytes()).unwrap())
}

#[test]
fn results_name_the_message_or_the_error() {
    let Heard::Answered { number: 0, answer, .. } = heard("R/51/A//0033612345678:201126101500") else {
        panic!("an answer")
    };
    assert_eq!(answer, Answer::Accepted { message_id: "201126101500:33612345678".into() });
    let Heard::Answered { answer, .. } = heard("R/51/N/04/slow down") else { panic!("an answer") };
    assert_eq!(answer, Answer::refused(Refusal::Ucp(ErrorCode::NOT_ALLOWED)));
    assert!(matches!(heard("R/60/A/"), Heard::LoggedIn { .. }));
    let Heard::LoginRefused { why, lasting: true } = heard("R/60/N/07/no such") else { panic!("a refusal") };
    assert_eq!(why, "session refused: 07 authentication failure no such");
    assert!(matches!(heard("R/60/N/04/"), Heard::LoginRefused { lasting: false, .. }));
    assert!(matches!(heard("R/31/A/0000"), Heard::Alive));
}

#[test]
fn a_notification_is_a_receipt_for_its_originator() {
    let fields = |status, reason| {
        format!(
            "O/53/10000/33612345678{}201126101500/{status}/{reason}/201126101501/3//44656C/////////////",
            "/".repeat(13)
        )
    };
    let Heard::Delivered(Content::Receipt(receipt), owed) = heard(fields(0, "000").trim_end_matches('/'))
    else {
        panic!("a receipt")
    };
    let expected = Receipt {
        phone: "33612345678".into(),
        sender: "10000".into(),
        message_id: "201126101500:33612345678".into(),
        state: MessageState::Delivered,
        error: None,
    };
    assert_eq!(receipt, expected);
    let mut out = Vec::new();
    owed(Verdict::Taken, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("/R/53/A//10000:201126101500/"), "{text}");
    let Heard::Delivered(Content::Receipt(receipt), owed) = heard(fields(2, "107").trim_end_matches('/'))
    else {
        panic!("a receipt")
    };
    assert_eq!((receipt.state, receipt.error.as_deref()), (MessageState::Undeliverable, Some("107")));
    let mut out = Vec::new();
    owed(Verdict::NotNow, &mut out);
    assert!(String::from_utf8(out).unwrap().contains("/R/53/N/04//"));
}

#[test]
fn messages_from_phones_come_in_every_form() {
    let fields = |rest: &str| format!("O/52/10000/33612345678{}201126101500////{rest}", "/".repeat(13));
    let received = |body: &str| match heard(body) {
        Heard::Delivered(Content::Sm(sm), _) => sm,
        _ => panic!("no message: {body}"),
    };
    let text = received(&fields("3//6869"));
    assert_eq!((text.short_message.as_slice(), text.data_coding.0), (&b"hi"[..], 0));
    assert_eq!(
        (text.source.addr.as_str().as_ref(), text.destination.addr.as_str().as_ref()),
        ("33612345678", "10000")
    );
    let long = received(&fields(&format!("4/16/043F{}0106050003090201020108", "/".repeat(10))));
    assert!(long.esm_class.udhi());
    assert_eq!((long.short_message.as_slice(), long.data_coding.0), (&[5, 0, 3, 9, 2, 1, 0x04, 0x3F][..], 8));
    let old = received("O/01/10000/33612345678//3/6869");
    assert_eq!(old.short_message, b"hi");
    assert!(matches!(heard(&fields("3//6")), Heard::Odd(answer) if !answer.is_empty()));
    assert!(matches!(heard("O/31/1/0539"), Heard::Asked(_)));
    assert!(matches!(heard("O/02/1/0539"), Heard::Odd(_)));
}
