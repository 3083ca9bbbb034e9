use smpp::{Address, HEADER_LEN, Mode};

use super::*;

fn message(state: MessageState) -> Message {
    Message {
        id: 1_790_000_000_000_123,
        account: 0,
        link: 0,
        source: Address::alphanumeric("ACME"),
        destination: Address::international("33612345678"),
        excerpt: COctetString::from("stat:UNDELIV id:7 ok"),
        submitted_ms: 1_790_000_000_000,
        done_ms: 1_790_000_061_000,
        state,
        receipt: true,
        arrival: None,
        open: 1,
    }
}

/// Writes in a style and reads with the product's own reader: id, state, and whether the class says
/// receipt.
fn round(style: ReceiptStyle, tlvs: bool, state: MessageState) -> (String, Option<u8>, bool) {
    let settings = Settings { receipt_style: style, ..Settings::default() };
    let mut out = Vec::new();
    Pen::default().write(&message(state), &settings, tlvs, 7, &mut out).unwrap();
    let (content, coding, class, id, number) = match smpp::decode(&out, Mode::Strict).unwrap().1 {
        Pdu::DeliverSm(_) => {
            let sm = smpp::decode_sm(&out[HEADER_LEN..], Mode::Strict).unwrap().to_owned();
            (sm.content().to_vec(), sm.data_coding, sm.esm_class, sm.tlvs.receipted_message_id(), sm.tlvs)
        }
        Pdu::DataSm(data) => {
            let content = data.tlvs.message_payload().unwrap().to_vec();
            (content, data.data_coding, data.esm_class, data.tlvs.receipted_message_id(), data.tlvs)
        }
        other => panic!("{other:?}"),
    };
    let text = sms::receipt::text_of(&content, coding.0);
    let id = id.map(|id| id.as_bytes().to_vec());
    let state = number.message_state().map(|state| state.0);
    let receipt = sms::Receipt::parse(&text).with_tlvs(id.as_deref(), state);
    let id = receipt.id.as_deref().unwrap_or_default().to_owned();
    (id, receipt.state.map(sms::MessageState::number), class.message_type() == smpp::MessageType::Receipt)
}

#[test]
fn every_style_is_read_by_the_products_reader() {
    for style in ReceiptStyle::ALL {
        for state in [MessageState::DELIVERED, MessageState::UNDELIVERABLE] {
            let (id, read, class) = round(style, true, state);
            assert_eq!(id, "1790000000000123", "{style:?}");
            assert_eq!(read, Some(state.0), "{style:?}");
            assert_eq!(class, style != ReceiptStyle::NoClass);
        }
    }
}

#[test]
fn old_peers_get_no_tlvs() {
    let mut out = Vec::new();
    let message = message(MessageState::DELIVERED);
    Pen::default().write(&message, &Settings::default(), false, 1, &mut out).unwrap();
    let sm = smpp::decode_sm(&out[HEADER_LEN..], Mode::Strict).unwrap();
    assert!(sm.tlvs.is_empty());
    assert_eq!(
        String::from_utf8_lossy(sm.short_message),
        "id:1790000000000123 sub:001 dlvrd:001 submit date:2609211413 done date:2609211414 stat:DELIVRD \
         err:000 text:stat:UNDELIV id:7 ok"
    );
}

#[test]
fn mixed_uses_every_style() {
    let settings = Settings { receipt_style: ReceiptStyle::Mixed, ..Settings::default() };
    let mut pen = Pen::default();
    let mut different = std::collections::HashSet::new();
    for _ in 0..12 {
        let mut out = Vec::new();
        pen.write(&message(MessageState::DELIVERED), &settings, true, 1, &mut out).unwrap();
        different.insert(out);
    }
    assert_eq!(different.len(), 12);
}

#[test]
fn the_excerpt_is_plain() {
    let ucs2: Vec<u8> = "Привет, world of texts".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(excerpt(&ucs2, false, DataCoding::UCS2), "......, world of tex");
    assert_eq!(excerpt(&[5, 0, 3, 1, 2, 1, b'h', b'i', 0x0D], true, DataCoding::DEFAULT), "hi.");
}
