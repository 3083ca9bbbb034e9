use super::{Encoding, message_class};
use crate::Unencodable;

const GSM7: Encoding = Encoding::GSM7;
const UCS2: Encoding = Encoding::Ucs2;
const BINARY: Encoding = Encoding::Binary;

#[test]
fn data_coding_tells_the_encoding_and_the_class() {
    let cases: [(u8, Encoding, Option<u8>); 28] = [
        (0x01, Encoding::Latin1, None),
        (0x02, BINARY, None),
        (0x03, Encoding::Latin1, None),
        (0x04, BINARY, None),
        (0x05, BINARY, None),
        (0x06, Encoding::Cyrillic, None),
        (0x07, Encoding::Hebrew, None),
        (0x08, UCS2, None),
        (0x0A, BINARY, None),
        (0x10, GSM7, Some(0)),
        (0x11, GSM7, Some(1)),
        (0x14, BINARY, Some(0)),
        (0x18, UCS2, Some(0)),
        (0x19, UCS2, Some(1)),
        (0x20, BINARY, None),
        (0x38, BINARY, Some(0)),
        (0x40, GSM7, None),
        (0x48, UCS2, None),
        (0x58, UCS2, Some(0)),
        (0xC0, GSM7, None),
        (0xC8, GSM7, None),
        (0xDF, GSM7, None),
        (0xE0, UCS2, None),
        (0xEF, UCS2, None),
        (0xF0, GSM7, Some(0)),
        (0xF3, GSM7, Some(3)),
        (0xF4, BINARY, Some(0)),
        (0xF5, BINARY, Some(1)),
    ];
    for (data_coding, encoding, class) in cases {
        assert_eq!(
            Encoding::from_data_coding(data_coding, Encoding::Cyrillic),
            encoding,
            "{data_coding:#04x}"
        );
        assert_eq!(message_class(data_coding), class, "{data_coding:#04x}");
    }
    for reserved in [0x00, 0x0B, 0x0F, 0x1C, 0x80, 0xBF] {
        assert_eq!(Encoding::from_data_coding(reserved, Encoding::Latin1), Encoding::Latin1);
    }
}

#[test]
fn a_flash_message_keeps_its_encoding() {
    for encoding in [GSM7, UCS2, BINARY] {
        for class in 0..4 {
            let data_coding = encoding.data_coding_of_class(class);
            assert_eq!(Encoding::from_data_coding(data_coding, GSM7), encoding);
            assert_eq!(message_class(data_coding), Some(class));
        }
    }
}

#[test]
fn ucs2_is_read_whatever_its_faults() {
    assert_eq!(UCS2.decode(&[0xFE, 0xFF, 0x00, 0x41]), "A");
    assert_eq!(UCS2.decode(&[0x00, 0x41, 0x00]), "A\u{FFFD}");
    assert_eq!(UCS2.decode(&[0xD8, 0x3D, 0x00, 0x41]), "\u{FFFD}A");
    let index = |octets: &[u8]| UCS2.decode_strict(octets).map_err(|error| error.index);
    assert_eq!(index(&[0xFE, 0xFF, 0x00, 0x41, 0xDE, 0x00]), Err(4));
    assert_eq!(index(&[0x00, 0x41, 0x00]), Err(2));
    assert_eq!(index(&[0xD8, 0x3D, 0xDE, 0x00]), Ok("😀".to_owned()));
}

#[test]
fn binary_is_hexadecimal_digits() {
    assert_eq!(BINARY.encode("00fFa5"), Ok(vec![0x00, 0xFF, 0xA5]));
    assert_eq!(BINARY.decode(&[0x00, 0xFF, 0xA5]), "00ffa5");
    assert_eq!(BINARY.encode("00f"), Err(Unencodable { index: 2, ch: 'f' }));
    assert_eq!(BINARY.encode("0x"), Err(Unencodable { index: 1, ch: 'x' }));
}

#[test]
fn the_sets_of_iso_8859_differ_above_the_middle() {
    let octets = [0x41, 0xA0, 0xAA, 0xD0, 0xE0, 0xF0];
    assert_eq!(Encoding::Latin1.decode(&octets), "A\u{A0}ªÐàð");
    assert_eq!(Encoding::Cyrillic.decode(&octets), "A\u{A0}Њар№");
    assert_eq!(Encoding::Hebrew.decode(&octets), "A\u{A0}×\u{FFFD}\u{05D0}\u{05E0}");
    assert_eq!(Encoding::Latin1.encode_lossy("a€é"), [b'a', b'?', 0xE9]);
}
