//! What peers send that the specification does not have, and what becomes of it.

use smpp::{
    Address, CommandId, DecodeError, EncodeError, Header, MessageIdResp, MessageState, Mode, Pdu, Sm, Status,
    Tag, Version, decode,
};

/// A PDU with this body and a true command_length.
fn pdu(command: CommandId, status: Status, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    smpp::encode_header(command, status, 1, &mut octets);
    octets.extend_from_slice(body);
    let len = octets.len() as u32;
    octets[..4].copy_from_slice(&len.to_be_bytes());
    octets
}

fn read(command: CommandId, status: Status, body: &[u8], mode: Mode) -> Result<Pdu, DecodeError> {
    decode(&pdu(command, status, body), mode).map(|(_, pdu)| pdu)
}

/// The body of a receipt, with these octets after its text.
fn receipt(tail: &[u8]) -> Vec<u8> {
    let sm = Sm {
        source: Address::international("447700900123"),
        destination: Address::alphanumeric("ACME"),
        esm_class: smpp::EsmClass::RECEIPT,
        short_message: b"id:1 stat:DELIVRD".to_vec(),
        ..Sm::default()
    };
    let mut octets = Vec::new();
    smpp::encode_deliver_sm(1, &sm.view(), &mut octets).expect("it fits");
    [&octets[smpp::HEADER_LEN..], tail].concat()
}

#[test]
fn a_response_may_be_a_header_alone_whatever_its_status() {
    for status in [Status::ROK, Status::RTHROTTLED, Status(0x22)] {
        let resp = read(CommandId::SUBMIT_SM_RESP, status, b"", Mode::Strict);
        assert_eq!(resp, Ok(Pdu::SubmitSmResp(MessageIdResp::default())));
        assert!(read(CommandId::BIND_TRANSCEIVER_RESP, status, b"", Mode::Strict).is_ok());
        assert!(read(CommandId::QUERY_SM_RESP, status, b"", Mode::Strict).is_ok());
        assert!(read(CommandId::SUBMIT_MULTI_RESP, status, b"", Mode::Strict).is_ok());
    }
}

#[test]
fn the_body_of_an_error_response_is_read_if_it_can_be() {
    let body = |octets: &[u8]| read(CommandId::DATA_SM_RESP, Status::RMSGQFUL, octets, Mode::Lenient);
    assert_eq!(body(b"0123\0"), Ok(Pdu::DataSmResp(MessageIdResp::new("0123"))));
    let broken = |status| read(CommandId::QUERY_SM_RESP, status, b"1\0", Mode::Lenient);
    assert!(broken(Status::RQUERYFAIL).is_ok());
    let refused = broken(Status::ROK).expect_err("a state is missing");
    assert_eq!((refused.field, refused.answer()), ("final_date", None));
}

#[test]
fn a_message_id_may_lack_its_nul() {
    for mode in [Mode::Strict, Mode::Lenient] {
        let resp = read(CommandId::SUBMIT_SM_RESP, Status::ROK, b"1f", mode);
        assert_eq!(resp, Ok(Pdu::SubmitSmResp(MessageIdResp::new("1f"))));
    }
}

#[test]
fn operations_without_body_ignore_one() {
    for (command, expected) in [
        (CommandId::ENQUIRE_LINK, Pdu::EnquireLink),
        (CommandId::ENQUIRE_LINK_RESP, Pdu::EnquireLinkResp),
        (CommandId::UNBIND, Pdu::Unbind),
        (CommandId::UNBIND_RESP, Pdu::UnbindResp),
        (CommandId::GENERIC_NACK, Pdu::GenericNack),
        (CommandId::CANCEL_SM_RESP, Pdu::CancelSmResp),
        (CommandId::REPLACE_SM_RESP, Pdu::ReplaceSmResp),
    ] {
        let read = read(command, Status::ROK, b"\0extra", Mode::Strict);
        assert_eq!(read.as_ref(), Ok(&expected));
        let mut written = Vec::new();
        expected.encode(1, Status::ROK, &mut written).expect("it fits");
        assert_eq!(written.len(), smpp::HEADER_LEN, "{command} is written without a body");
    }
}

#[test]
fn a_truncated_last_tlv_is_dropped_from_a_receipt_and_refused_in_a_request() {
    let whole = [0x04, 0x27, 0, 1, 2];
    for cut in [&[0u8][..], &[0, 0x1e, 0], &[0, 0x1e, 0, 9, b'1']] {
        let body = receipt(&[&whole, cut].concat());
        let read_it = |mode| read(CommandId::DELIVER_SM, Status::ROK, &body, mode);
        let Ok(Pdu::DeliverSm(sm)) = read_it(Mode::Lenient) else { panic!("{cut:?}") };
        assert_eq!(sm.tlvs.iter().count(), 1);
        assert_eq!(sm.tlvs.message_state(), Some(MessageState::DELIVERED));
        let refused = read_it(Mode::Strict).map_err(|error| error.answer());
        assert_eq!(refused, Err(Some((CommandId::DELIVER_SM_RESP, Status::RINVTLVSTREAM))));
    }
}

#[test]
fn tlvs_of_odd_length() {
    // A node id of five digits, and an alert of no octet.
    let body = receipt(&[0x06, 0x0f, 0, 5, b'1', b'2', b'3', b'4', b'5', 0x13, 0x0c, 0, 0]);
    for mode in [Mode::Strict, Mode::Lenient] {
        let Ok(Pdu::DeliverSm(sm)) = read(CommandId::DELIVER_SM, Status::ROK, &body, mode) else {
            panic!("refused by {mode:?}")
        };
        assert_eq!(sm.tlvs.get(Tag::SOURCE_NODE_ID), Some(&b"12345"[..]));
        assert_eq!(sm.tlvs.alert_on_message_delivery(), Some(0));
    }
    let body = receipt(&[0x04, 0x27, 0, 2, 0, 2]);
    let Ok(Pdu::DeliverSm(sm)) = read(CommandId::DELIVER_SM, Status::ROK, &body, Mode::Lenient) else {
        panic!("refused")
    };
    assert_eq!((sm.tlvs.message_state(), sm.tlvs.get(Tag::MESSAGE_STATE)), (None, Some(&[0, 2][..])));
    let refused = read(CommandId::DELIVER_SM, Status::ROK, &body, Mode::Strict).map_err(|error| error.status);
    assert_eq!(refused, Err(Status::RINVTLVLEN));
}

#[test]
fn each_field_of_a_bind_has_its_status() {
    let long = |len: usize| [vec![b'a'; len], vec![0]].concat();
    let bind = |system_id, password, system_type| {
        let body = [long(system_id), long(password), long(system_type), vec![0x34, 0, 0, 0]].concat();
        let strict = read(CommandId::BIND_TRANSCEIVER, Status::ROK, &body, Mode::Strict);
        assert!(read(CommandId::BIND_TRANSCEIVER, Status::ROK, &body, Mode::Lenient).is_ok());
        strict.map(drop).map_err(|error| error.answer())
    };
    let answer = |status| Err(Some((CommandId::BIND_TRANSCEIVER_RESP, status)));
    assert_eq!(bind(15, 8, 12), Ok(()));
    assert_eq!(bind(16, 8, 12), answer(Status::RINVSYSID));
    assert_eq!(bind(15, 9, 12), answer(Status::RINVPASWD));
    assert_eq!(bind(15, 8, 13), answer(Status::RINVSYSTYP));
}

#[test]
fn a_body_that_ends_anywhere_is_blamed_on_the_field_that_is_missing() {
    let body = receipt(b"");
    let mut blamed: Vec<&str> = (0..body.len())
        .filter_map(|len| read(CommandId::DELIVER_SM, Status::ROK, &body[..len], Mode::Strict).err())
        .map(|error| error.field)
        .collect();
    blamed.dedup();
    // sm_length is blamed as part of short_message.
    assert_eq!(blamed.len(), 17, "{blamed:?}");
    assert_eq!((blamed[0], blamed[16]), ("service_type", "short_message"));
}

#[test]
fn octets_that_are_not_one_pdu_are_refused() {
    let whole = pdu(CommandId::ENQUIRE_LINK, Status::ROK, b"");
    for octets in [&[][..], &whole[..3], &whole[..15], &[&whole[..], &whole[..]].concat()] {
        let error = decode(octets, Mode::Lenient).expect_err("not one PDU");
        assert_eq!(error.status, Status::RINVCMDLEN);
    }
    assert_eq!(Header::read(&whole[..15]), None);
}

#[test]
fn a_peer_before_3_4_gets_no_tlvs() {
    let mut sm = Sm::default();
    sm.tlvs.set_message_payload(b"hello").expect("short");
    sm.tlvs.set_user_message_reference(7);
    let mut pdu = Pdu::SubmitSm(sm.clone());
    assert_eq!(pdu.fit_version(Version::V3_4), Ok(()));
    assert_eq!(pdu, Pdu::SubmitSm(sm.clone()));
    assert_eq!(pdu.fit_version(Version::V3_3), Ok(()));
    assert_eq!(pdu, Pdu::SubmitSm(Sm { short_message: b"hello".to_vec(), ..Sm::default() }));

    sm.tlvs.set_message_payload(&[b'a'; 255]).expect("short");
    let mut pdu = Pdu::SubmitSm(sm.clone());
    let refused: Result<(), EncodeError> = pdu.fit_version(Version::V3_3);
    assert_eq!(refused.map_err(|error| error.field), Err("message_payload"));
    assert_eq!(pdu, Pdu::SubmitSm(sm));
}

#[test]
fn a_time_that_does_not_exist_is_refused_by_a_server_and_kept_by_a_client() {
    let refusal = |schedule: &str, validity: &str| {
        let sm =
            Sm { schedule_delivery_time: schedule.into(), validity_period: validity.into(), ..Sm::default() };
        let mut octets = Vec::new();
        smpp::encode_submit_sm(1, &sm.view(), &mut octets).expect("it fits");
        assert_eq!(decode(&octets, Mode::Lenient).map(|(_, pdu)| pdu), Ok(Pdu::SubmitSm(sm)));
        decode(&octets, Mode::Strict).err().map(|error| error.status)
    };
    assert_eq!(refusal("250228000000000+", "000007000000000R"), None);
    assert_eq!(refusal("250229000000000+", ""), Some(Status::RINVSCHED));
    assert_eq!(refusal("", "2025-01-01"), Some(Status::RINVEXPIRY));
}
