use super::{Alphabet, CR, ESC, Language, Unencodable};
use super::{decode, decode_strict, encode, fill_bits, pack, pack_with_cr, strip_padding, unpack};

fn every_alphabet() -> impl Iterator<Item = Alphabet> {
    let languages = || [Language::Default].into_iter().chain(Language::NATIONAL);
    languages().flat_map(move |locking| languages().map(move |single| Alphabet { locking, single }))
}

#[test]
fn every_character_of_every_alphabet_is_written_and_read() {
    for alphabet in every_alphabet() {
        for septet in 0..128 {
            for octets in [vec![septet], vec![ESC, septet]] {
                let Ok(text) = decode_strict(&octets, alphabet) else { continue };
                let written = encode(&text, alphabet).expect("a character of the alphabet");
                assert_eq!(decode(&written, alphabet), text, "{alphabet:?} {octets:02x?}");
                assert!(written.len() <= octets.len(), "{alphabet:?} {octets:02x?}");
            }
        }
    }
}

#[test]
fn every_single_shift_table_extends_the_extension_table() {
    for single in Language::NATIONAL {
        let alphabet = Alphabet { single, ..Alphabet::DEFAULT };
        for ch in "\u{0C}^{}\\[~]|€".chars() {
            let text = ch.to_string();
            assert_eq!(encode(&text, alphabet), encode(&text, Alphabet::DEFAULT), "{single:?} {ch}");
        }
    }
}

#[test]
fn each_language_has_its_letters() {
    let locking = [
        (Language::Turkish, "€ığŞşİç"),
        (Language::Portuguese, "êúíóçÔôÁáªÇÀ∞^\\€Ó|ÂâÊºÍÃÕÚ~ãõ`"),
        (Language::Bengali, "ঁঅহ\u{09BC}ৱ"),
        (Language::Gujarati, "ઁઅહ\u{0ABC}૱"),
        (Language::Hindi, "\u{0901}\u{0902}\u{0903}अहॐॲॿ"),
        (Language::Kannada, "ಂಅಹೕೣ"),
        (Language::Malayalam, "ംഅഹൗ൹"),
        (Language::Oriya, "ଁଅହୖୣ"),
        (Language::Punjabi, "ਁਅਹੑੴ"),
        (Language::Tamil, "ஂஅஹௐ௹"),
        (Language::Telugu, "ఁఅహౕౣ"),
        (Language::Urdu, "\u{0627}\u{0622}\u{0628}\u{06D2}\u{0654}"),
    ];
    for (language, letters) in locking {
        let alphabet = Alphabet { locking: language, single: Language::Default };
        let septets = encode(letters, alphabet).expect("its own letters");
        assert_eq!(septets.len(), letters.chars().count(), "{language:?}");
    }
    let single = [
        (Language::Turkish, "ĞİŞçğış"),
        (Language::Spanish, "çÁÍÓÚáíóú"),
        (Language::Portuguese, "êçÔôÁáΦΓΩΠΨΣΘÊÀÍÓÚÃÕÂíóúãõâ"),
        (Language::Bengali, "০৯৺"),
        (Language::Gujarati, "।॥૦૯"),
        (Language::Hindi, "।॥०९ॱ"),
        (Language::Kannada, "।॥೦೯ೲ"),
        (Language::Malayalam, "।॥൦൯ൿ"),
        (Language::Oriya, "।॥୦୯ୱ"),
        (Language::Punjabi, "।॥੦੯ੵ"),
        (Language::Tamil, "।॥௦௯௺"),
        (Language::Telugu, "౦౯౿"),
        (Language::Urdu, "\u{0600}۰۹؟۔"),
    ];
    for (language, letters) in single {
        let alphabet = Alphabet { locking: Language::Default, single: language };
        assert!(encode(letters, alphabet).is_ok(), "{language:?}");
    }
}

#[test]
fn a_language_without_a_table_is_the_default() {
    assert_eq!(Language::from_id(0), Language::Default);
    assert_eq!(Language::from_id(14), Language::Default);
    assert_eq!(Language::from_id(255), Language::Default);
    for language in Language::NATIONAL {
        assert_eq!(Language::from_id(language.id()), language);
    }
    let spanish = Alphabet { locking: Language::Spanish, single: Language::Default };
    assert_eq!((decode(&[0x09], spanish).as_str(), spanish.header_octets()), ("Ç", 0));
}

#[test]
fn what_is_lacking_is_named_by_character_not_octet() {
    assert_eq!(encode("€é\u{1B}", Alphabet::DEFAULT), Err(Unencodable { index: 2, ch: '\u{1B}' }));
    assert_eq!(encode("€éç", Alphabet::DEFAULT), Err(Unencodable { index: 2, ch: 'ç' }));
    let message = Unencodable { index: 2, ch: 'ç' }.to_string();
    assert_eq!(message, "character 'ç' (U+00E7) at offset 2 is not in the encoding");
}

#[test]
fn a_lenient_reader_shows_what_a_handset_shows() {
    assert_eq!(decode(&[b'a', ESC, b'b', ESC, ESC, ESC], Alphabet::DEFAULT), "ab  ");
    assert_eq!(decode(&[b'a', 0x80, 0xFF], Alphabet::DEFAULT), "a\u{FFFD}\u{FFFD}");
    assert_eq!(decode(&[ESC, 0x80], Alphabet::DEFAULT), "\u{FFFD}");
    assert_eq!(decode_strict(&[b'a', ESC], Alphabet::DEFAULT).map_err(|error| error.index), Err(1));
}

#[test]
fn seven_spare_bits_hold_cr() {
    let seven = encode("1234567", Alphabet::DEFAULT).expect("digits");
    assert_eq!(pack(&seven, 0).last(), Some(&0x00));
    let packed = pack_with_cr(&seven, 0);
    assert_eq!(packed, [0x31, 0xD9, 0x8C, 0x56, 0xB3, 0xDD, 0x1A]);
    let mut unpacked = unpack(&packed, 0);
    assert_eq!(unpacked.last(), Some(&CR));
    strip_padding(&mut unpacked, 0);
    assert_eq!(unpacked, seven);
    let ending_in_cr = encode("1234567\r", Alphabet::DEFAULT).expect("digits");
    assert_eq!(unpack(&pack_with_cr(&ending_in_cr, 0), 0), [ending_in_cr.as_slice(), &[CR]].concat());
}

#[test]
fn fill_bits_align_the_text_to_a_septet() {
    assert_eq!([0, 4, 6, 7, 8, 9, 10, 12, 13].map(fill_bits), [0, 3, 1, 0, 6, 5, 4, 2, 1]);
}
