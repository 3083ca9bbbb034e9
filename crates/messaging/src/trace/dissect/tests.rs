use proptest::prelude::*;
use smpp::{Bind, Pdu, Sm, Status};

use super::*;

fn field<'a>(dissected: &'a Dissected, name: &str) -> &'a str {
    dissected.fields.iter().find(|field| field.name == name).map_or("", |field| field.value.as_str())
}

#[test]
fn a_submit_sm_is_told_field_by_field_with_its_parameters() {
    let mut sm = Sm {
        source: smpp::Address::alphanumeric("Shop"),
        destination: smpp::Address::international("33612345678"),
        esm_class: smpp::EsmClass::UDHI,
        short_message: b"hello".to_vec(),
        ..Sm::default()
    };
    sm.tlvs.push(smpp::Tag(0x1401), &[0x0a, 0x0b]).unwrap();
    let mut octets = Vec::new();
    smpp::encode_submit_sm(7, &sm.view(), &mut octets).unwrap();
    let told = dissect(Protocol::Smpp, &octets);
    assert_eq!((told.name.as_str(), told.sequence, told.response), ("submit_sm", 7, false));
    for (name, value) in [
        ("source_addr_ton", "5 (alphanumeric)"),
        ("source_addr", "Shop"),
        ("destination_addr", "33612345678"),
        ("esm_class", "64 (message, user data header)"),
        ("short_message", "hello"),
        ("0x1401", "2571 (0x0a0b)"),
    ] {
        assert_eq!(field(&told, name), value, "{told:?}");
    }
    mask(Protocol::Smpp, &mut octets, Kind::Text);
    let covered = dissect(Protocol::Smpp, &octets);
    assert_eq!(field(&covered, "short_message"), "*****");
    assert_eq!(field(&covered, "destination_addr"), "33612345678");
}

#[test]
fn no_password_is_left_in_any_protocol() {
    let mut bind = Vec::new();
    let pdu = Bind { system_id: "us".into(), password: "secret".into(), ..Bind::default() };
    Pdu::BindTransceiver(pdu).encode(1, Status::ROK, &mut bind).unwrap();
    let ucp = b"\x0202/00059/O/60/07656765/2/1/1/736563726574//0100//////61\x03".to_vec();
    let cimd = b"\x0201:001\t010:user1\t011:secret\t7C\x03".to_vec();
    for (protocol, mut octets) in [(Protocol::Smpp, bind), (Protocol::Ucp, ucp), (Protocol::Cimd2, cimd)] {
        let length = octets.len();
        mask(protocol, &mut octets, Kind::Password);
        let text = format!("{}{:?}", printable(&octets), dissect(protocol, &octets));
        assert!(!text.contains("secret") && !text.contains("736563726574"), "{text}");
        assert_eq!(octets.len(), length);
    }
}

#[test]
fn results_say_how_they_ended() {
    let mut octets = Vec::new();
    smpp::encode_header(smpp::CommandId::SUBMIT_SM_RESP, Status::RTHROTTLED, 9, &mut octets);
    let told = dissect(Protocol::Smpp, &octets);
    assert!(told.response && told.status.unwrap().starts_with("ESME_RTHROTTLED: "));
    let told = dissect(Protocol::Ucp, b"\x0200/00022/R/51/N/04//07\x03");
    assert_eq!((told.name.as_str(), told.sequence, told.response), ("51 submit", 0, true));
    assert_eq!(told.status.as_deref(), Some("04 operation not allowed"));
    let told = dissect(Protocol::Cimd2, b"\x0253:009\t900:300\t00\x03");
    assert_eq!((told.name.as_str(), told.sequence), ("53 submit message response", 9));
    assert!(told.status.unwrap().starts_with("300 "));
}

#[test]
fn what_was_written_together_is_cut_into_pdus() {
    let mut octets = Vec::new();
    for sequence in [1, 2] {
        smpp::encode_header(smpp::CommandId::ENQUIRE_LINK, Status::ROK, sequence, &mut octets);
    }
    assert_eq!(pdus(Protocol::Smpp, &octets).len(), 2);
    assert_eq!(pdus(Protocol::Ucp, b"\x02a\x03\x02b\x03"), [b"\x02a\x03".to_vec(), b"\x02b\x03".to_vec()]);
    assert_eq!(
        pdus(Protocol::Cimd2, b"read without its frame"),
        [b"\x02read without its frame\x03".to_vec()]
    );
}

proptest! {
    #[test]
    fn any_octets_are_told_and_every_field_lies_within_them(
        octets in proptest::collection::vec(any::<u8>(), 0..200),
        command in 0_u32..0x20,
    ) {
        let mut framed = octets.clone();
        if framed.len() >= 8 {
            framed[4..8].copy_from_slice(&command.to_be_bytes());
        }
        for protocol in [Protocol::Smpp, Protocol::Ucp, Protocol::Cimd2] {
            for octets in [&octets, &framed] {
                for field in dissect(protocol, octets).fields {
                    prop_assert!(field.at.start <= field.at.end && field.at.end <= octets.len());
                }
                let mut covered = octets.clone();
                mask(protocol, &mut covered, Kind::Text);
                prop_assert_eq!(covered.len(), octets.len());
                let all: Vec<u8> = pdus(protocol, octets).concat();
                prop_assert!(all.len() >= octets.len());
            }
        }
    }
}
