//! A user data header is split without panic, and no octet of the message is lost or made up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sms::udh;

fuzz_target!(|user_data: &[u8]| {
    let repairable = udh::looks_like_concatenation(user_data);
    let Ok((header, text)) = udh::split(user_data) else {
        assert!(!repairable);
        return;
    };
    assert!(user_data.ends_with(text));
    let octets: usize = header.elements().map(|element| 2 + element.data.len()).sum();
    assert!(octets + text.len() <= user_data.len());
    let (concatenation, alphabet) = (header.concatenation(), header.alphabet());
    let _ = header.ports();

    let built = udh::build(concatenation, alphabet, &[]);
    if built.is_empty() {
        assert_eq!(concatenation, None);
        return;
    }
    let (header, rest) = udh::split(&built).expect("what was built is whole");
    assert!(rest.is_empty());
    assert_eq!(header.concatenation(), concatenation);
});
