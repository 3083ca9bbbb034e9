//! Septets are read in every alphabet without panic, packing loses nothing, and what was written is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sms::gsm::{self, Alphabet, Language};

fuzz_target!(|input: (u8, u8, u8, &[u8])| {
    let (locking, single, fill_bits, octets) = input;
    let alphabet = Alphabet { locking: Language::from_id(locking), single: Language::from_id(single) };

    let text = gsm::decode(octets, alphabet);
    if let Ok(strict) = gsm::decode_strict(octets, alphabet) {
        assert_eq!(strict, text);
    }
    if let Ok(septets) = gsm::encode(&text, alphabet) {
        assert_eq!(gsm::decode(&septets, alphabet), text);
        assert_eq!(gsm::encode_lossy(&text, alphabet), septets);
    }

    let septets: Vec<u8> = octets.iter().map(|octet| octet & 0x7F).collect();
    let unpacked = gsm::unpack(&gsm::pack(&septets, fill_bits), fill_bits);
    assert!(unpacked.starts_with(&septets) && unpacked.len() <= septets.len() + 1);
    let mut stripped = gsm::unpack(octets, fill_bits);
    gsm::strip_padding(&mut stripped, fill_bits);
});
