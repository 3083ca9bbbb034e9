use smpp::{Address, EsmClass, Sar, Sm};

use super::*;

fn arrival(to: &str, text: &[u8], change: impl FnOnce(&mut Sm)) -> Arrival {
    let mut sm = Sm {
        source: Address::alphanumeric("ACME"),
        destination: Address::international(to),
        short_message: text.to_vec(),
        ..Sm::default()
    };
    change(&mut sm);
    Arrival::of(&sm.view(), 1_000)
}

fn texts(screens: &Screens, number: &str) -> Vec<String> {
    screens.screen(number).into_iter().map(|message| message.text).collect()
}

#[test]
fn parts_are_joined_in_any_order_by_header_and_by_tlv() {
    let screens = Screens::new(10);
    for part in [2_u8, 1, 2] {
        let text = [&[5, 0, 3, 9, 2, part][..], if part == 1 { b"Hello " } else { b"world" }].concat();
        let arrival = arrival("33611", &text, |sm| sm.esm_class = EsmClass::UDHI);
        screens.receive([arrival].into_iter());
    }
    assert_eq!(texts(&screens, "33611"), ["Hello world"]);
    assert_eq!(screens.screen("33611")[0].parts, 2);
    for sequence in [1, 2] {
        let arrival = arrival("33612", &[b'0' + sequence], |sm| {
            sm.tlvs.set_sar(Sar { reference: 300, total: 2, sequence });
        });
        screens.receive([arrival].into_iter());
    }
    assert_eq!(texts(&screens, "33612"), ["12"]);
    let listed: Vec<String> = screens.list().into_iter().map(|phone| phone.number).collect();
    assert_eq!(listed, ["33612", "33611"]);
}

#[test]
fn the_coding_is_read_and_flash_is_marked() {
    let screens = Screens::new(10);
    let ucs2: Vec<u8> = "Привет".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let flash = arrival("1", &ucs2, |sm| sm.data_coding = DataCoding::FLASH_UCS2);
    let payload = arrival("1", b"", |sm| sm.tlvs.set_message_payload(b"in the payload").unwrap());
    screens.receive([flash, payload].into_iter());
    let screen = screens.screen("1");
    assert_eq!((screen[0].text.as_str(), screen[0].flash), ("Привет", true));
    assert_eq!((screen[1].text.as_str(), screen[1].flash), ("in the payload", false));
    assert_eq!(*screens.changes.borrow(), 1, "told once");
}

#[test]
fn the_oldest_messages_and_empty_phones_go() {
    let screens = Screens::new(3);
    for number in 0..10 {
        screens.receive([arrival(&number.to_string(), b"x", |_| ())].into_iter());
    }
    assert_eq!(screens.list().len(), 3);
    assert!(screens.screen("6").is_empty() && !screens.screen("7").is_empty());
    for number in 100..200 {
        let part = arrival(&number.to_string(), &[5, 0, 3, 9, 2, 1], |sm| sm.esm_class = EsmClass::UDHI);
        screens.receive([part].into_iter());
    }
    assert_eq!(screens.state().phones.len(), 6, "as many begun ones as messages");
    let last = arrival("199", &[5, 0, 3, 9, 2, 2, b'y'], |sm| sm.esm_class = EsmClass::UDHI);
    screens.receive([last].into_iter());
    assert_eq!(texts(&screens, "199"), ["y"], "a full house takes a new phone's long message");
    screens.set_bound(0);
    assert!(screens.state().phones.is_empty());
}

#[test]
fn a_header_that_lies_is_shown_as_text() {
    let screens = Screens::new(3);
    screens.receive([arrival("1", &[200, b'a'], |sm| sm.esm_class = EsmClass::UDHI)].into_iter());
    assert_eq!(screens.screen("1").len(), 1);
}
