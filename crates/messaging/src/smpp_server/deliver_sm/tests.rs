use super::*;
use smpp::{Mode, Pdu, decode};
use types::{AccountId, MessageId, TenantId};

fn push(kind: PushKind) -> Push {
    Push {
        id: 0x1234_5678,
        tenant: TenantId::from_raw(1),
        account: AccountId::from_raw(2),
        message: MessageId::from_raw(77),
        kind,
        sender: Address::international("33612345678".to_owned()),
        recipient: Address::sender("ACME").unwrap(),
        accepted_at: Timestamp::parse("2027-01-31T09:30:00Z").unwrap(),
        at: Timestamp::parse("2027-01-31T09:31:59Z").unwrap(),
        expires_at: Timestamp::MAX,
    }
}

fn written(push: &Push, version: Version) -> Vec<smpp::Sm> {
    let parts = parts(push, version, &AccountSettings::default()).unwrap();
    (0..parts.count())
        .map(|part| {
            let mut out = Vec::new();
            parts.encode(part, push, 5, &mut out).unwrap();
            match decode(&out, Mode::Strict).unwrap() {
                (header, Pdu::DeliverSm(sm)) if header.sequence == 5 => sm,
                other => panic!("{other:?}"),
            }
        })
        .collect()
}

fn receipt_of(state: State, error: Option<&str>) -> smpp::Sm {
    written(&push(PushKind::Receipt { state, error: error.map(str::to_owned) }), Version::V3_4).remove(0)
}

#[test]
fn a_receipt_is_appendix_b_to_the_letter() {
    let sm = receipt_of(State::Delivered, None);
    assert_eq!(
        String::from_utf8(sm.short_message).unwrap(),
        "id:000000000002d sub:001 dlvrd:001 submit date:2701310930 done date:2701310931 stat:DELIVRD err:000 text:"
    );
    assert_eq!((sm.esm_class, sm.data_coding), (EsmClass::RECEIPT, DataCoding::DEFAULT));
    assert_eq!((sm.source.ton, sm.source.addr.as_bytes()), (Ton::INTERNATIONAL, b"33612345678".as_slice()));
    assert_eq!((sm.destination.ton, sm.destination.addr.as_bytes()), (Ton::ALPHANUMERIC, b"ACME".as_slice()));
    assert_eq!(sm.tlvs.receipted_message_id().unwrap().as_bytes(), b"000000000002d");
    assert_eq!(sm.tlvs.message_state(), Some(MessageState::DELIVERED));
    assert_eq!(sm.tlvs.network_error_code(), None);
}

#[test]
fn a_failure_tells_its_error_in_both_places() {
    for (error, err, code) in [
        ("21", "err:021 ", Some((NETWORK_CENTRE, 21))),
        ("0A1", "err:0A1 ", None),
        ("refused: ESME_RINVDSTADR", "err:011 ", Some((NETWORK_SMPP, 11))),
        ("its validity ended", "err:255 ", None),
        ("", "err:255 ", None),
    ] {
        let sm = receipt_of(State::Failed, Some(error));
        let text = String::from_utf8(sm.short_message).unwrap();
        assert!(text.contains(err) && text.contains("dlvrd:000") && text.contains("stat:UNDELIV"), "{text}");
        let told = sm.tlvs.network_error_code().map(|told| (told.network, told.code));
        assert_eq!(told, code, "{error}");
    }
}

#[test]
fn what_is_not_the_end_is_an_intermediate_notification() {
    assert_eq!(receipt_of(State::Sent, None).esm_class, EsmClass(0x20));
}

#[test]
fn a_peer_of_3_3_gets_no_tlv() {
    let push = push(PushKind::Receipt { state: State::Expired, error: None });
    assert!(written(&push, Version::V3_3).remove(0).tlvs.is_empty());
}

#[test]
fn a_long_message_comes_in_parts_that_join_again() {
    let body: Vec<u8> = (0..400_u16).map(|n| b'a' + (n % 26) as u8).collect();
    let whole = push(PushKind::Message { data_coding: 0, body: body.clone() });
    let parts = written(&whole, Version::V3_4);
    assert_eq!(parts.len(), 3);
    let split: Vec<_> = parts.iter().map(|part| sms::udh::split(&part.short_message).unwrap()).collect();
    let places: Vec<_> = split.iter().map(|(header, _)| header.concatenation().unwrap()).collect();
    assert!(parts.iter().all(|part| part.esm_class == EsmClass::UDHI));
    assert!(places.iter().all(|place| place.reference == places[0].reference && place.total == 3));
    let joined = segment::join(3, places.iter().zip(&split).map(|(place, (_, text))| (place.part, *text)));
    assert_eq!(joined, Some(body));
}

#[test]
fn a_short_message_comes_as_its_octets() {
    let sm =
        written(&push(PushKind::Message { data_coding: 4, body: vec![0, 0xff] }), Version::V3_4).remove(0);
    assert_eq!((sm.esm_class, sm.data_coding.0), (EsmClass::DEFAULT, 4));
    assert_eq!(sm.short_message, [0, 0xff]);
}

#[test]
fn what_no_parts_can_hold_stands_in_message_payload() {
    let body = vec![7; 140 * 256];
    let long = push(PushKind::Message { data_coding: 4, body: body.clone() });
    let sm = written(&long, Version::V3_4).remove(0);
    assert_eq!((sm.short_message.len(), sm.content()), (0, body.as_slice()));
    assert!(parts(&long, Version::V3_3, &AccountSettings::default()).is_err());
}

/// The one PDU of a receipt, as an account wants it.
fn as_wanted(settings: &AccountSettings, kind: PushKind, version: Version) -> Pdu {
    let push = push(kind);
    let parts = parts(&push, version, settings).unwrap();
    let mut out = Vec::new();
    parts.encode(0, &push, 5, &mut out).unwrap();
    decode(&out, Mode::Strict).unwrap().1
}

#[test]
fn an_account_chooses_the_form_of_its_receipts() {
    use crate::account::{IdForm, ReceiptErrors};
    let failed =
        || PushKind::Receipt { state: State::Failed, error: Some("27 [absent_subscriber]".to_owned()) };
    let settings = |format| AccountSettings {
        id_form: IdForm::Decimal,
        receipt_format: format,
        receipt_dates: ReceiptDates::Seconds,
        receipt_errors: ReceiptErrors::Fault,
        ..AccountSettings::default()
    };
    let Pdu::DeliverSm(text) = as_wanted(&settings(ReceiptFormat::Text), failed(), Version::V3_4) else {
        panic!()
    };
    assert_eq!(
        String::from_utf8(text.short_message).unwrap(),
        "id:77 sub:001 dlvrd:000 submit date:270131093000 done date:270131093159 stat:UNDELIV err:002 text:"
    );
    assert!(text.tlvs.is_empty());
    let Pdu::DeliverSm(tlvs) = as_wanted(&settings(ReceiptFormat::Tlvs), failed(), Version::V3_4) else {
        panic!()
    };
    assert!(tlvs.short_message.is_empty());
    assert_eq!(tlvs.tlvs.receipted_message_id().unwrap().as_bytes(), b"77");
    let code = tlvs.tlvs.network_error_code().unwrap();
    assert_eq!((code.network, code.code), (NETWORK_CENTRE, 27), "the carrier's own error");
    let Pdu::DeliverSm(old) = as_wanted(&settings(ReceiptFormat::Tlvs), failed(), Version::V3_3) else {
        panic!()
    };
    assert!(!old.short_message.is_empty(), "a peer of 3.3 knows no parameters");
    let data = AccountSettings { receipts_in: ReceiptsIn::DataSm, ..AccountSettings::default() };
    let Pdu::DataSm(data) = as_wanted(&data, failed(), Version::V3_4) else { panic!() };
    assert_eq!(data.esm_class, EsmClass::RECEIPT);
    assert!(data.tlvs.message_payload().unwrap().starts_with(b"id:"));
}

#[test]
fn what_is_on_its_way_is_an_intermediate_notification() {
    let notice = PushKind::Notice { state: sms::MessageState::Accepted, error: None };
    let Pdu::DeliverSm(sm) = as_wanted(&AccountSettings::default(), notice, Version::V3_4) else { panic!() };
    assert_eq!(sm.esm_class, EsmClass(0x20));
    assert_eq!(sm.tlvs.message_state(), Some(MessageState::ACCEPTED));
    assert!(String::from_utf8(sm.short_message).unwrap().contains("dlvrd:000"));
}

#[test]
fn a_phones_acknowledgement_has_its_own_class_and_the_messages_id() {
    for (by, class) in [(By::Device, 0x08), (By::Person, 0x10)] {
        let ack = || PushKind::Ack { by, words: "on my way".to_owned() };
        let sm = written(&push(ack()), Version::V3_4).remove(0);
        assert_eq!((sm.esm_class, sm.short_message.as_slice()), (EsmClass(class), b"on my way".as_slice()));
        assert_eq!(sm.tlvs.receipted_message_id().unwrap().as_bytes(), b"000000000002d");
        let old = written(&push(ack()), Version::V3_3).remove(0);
        assert_eq!(old.short_message, b"id:000000000002d text:on my way");
        assert_eq!((old.esm_class, old.tlvs.receipted_message_id()), (EsmClass(class), None));
    }
}
