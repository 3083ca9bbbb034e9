//! A PDU is read or refused, and what was read and can be written is read the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smpp::{Mode, Pdu, Status, decode};

fn check(octets: &[u8], mode: Mode) -> Option<Pdu> {
    match decode(octets, mode) {
        Ok((header, pdu)) => {
            assert_eq!(header.command_id, pdu.command_id());
            let mut out = b"before".to_vec();
            match pdu.encode_with_body(header.sequence, header.status, &mut out) {
                Ok(()) => assert_eq!(
                    decode(&out[6..], Mode::Lenient),
                    Ok((smpp::Header::read(&out[6..])?, pdu.clone()))
                ),
                Err(_) => assert_eq!(out, b"before"),
            }
            Some(pdu)
        }
        Err(error) => {
            assert_ne!(error.status, Status::ROK);
            let mut answer = Vec::new();
            assert_eq!(error.encode_answer(&mut answer), !answer.is_empty());
            None
        }
    }
}

fuzz_target!(|octets: &[u8]| {
    let mut octets = octets.to_vec();
    // The framer gives PDUs whose length is true; a false one would end each try at its fourth octet.
    let len = octets.len() as u32;
    if let Some(length) = octets.first_chunk_mut() {
        *length = len.to_be_bytes();
    }
    let lenient = check(&octets, Mode::Lenient);
    if let Some(strict) = check(&octets, Mode::Strict) {
        assert_eq!(Some(strict), lenient, "a strict reader takes no more than a lenient one");
    }
});
