//! The text of a receipt is read without panic, and all it says stands in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sms::receipt::{Receipt, text_of};

fuzz_target!(|input: (u8, &[u8], Option<&[u8]>, Option<u8>)| {
    let (data_coding, octets, id, state) = input;
    let text = text_of(octets, data_coding);
    let receipt = Receipt::parse(&text);
    for field in [receipt.text_id, receipt.stat, receipt.err, receipt.text].into_iter().flatten() {
        assert!(text.contains(field));
    }
    let with_tlvs = receipt.clone().with_tlvs(id, state);
    assert_eq!(with_tlvs.text_id, receipt.text_id);
    assert!(state.is_none() || with_tlvs.state.is_some());
});
