use super::{ConcatRef, Element, Truncated, Width, build, looks_like_concatenation, split};
use crate::{Alphabet, Language};

#[test]
fn elements_are_kept_in_order_with_their_octets() {
    let message = [0x0E, 0x05, 4, 0x0B, 0x84, 0x23, 0xF0, 0x00, 3, 0x2A, 2, 1, 0x7F, 1, 9, b'h', b'i'];
    let (header, body) = split(&message).expect("a header");
    assert_eq!(body, b"hi");
    let elements: Vec<_> = header.elements().collect();
    assert_eq!(elements.iter().map(|element| element.id).collect::<Vec<_>>(), [0x05, 0x00, 0x7F]);
    assert_eq!(elements[2], Element { id: 0x7F, data: &[9] });
    assert_eq!(header.ports(), Some((0x0B84, 0x23F0)));
    assert_eq!(header.concatenation(), ConcatRef::new(0x2A, Width::Bits8, 2, 1));
    assert_eq!(header.octets(), &message[1..15]);
}

#[test]
fn impossible_concatenations_are_ignored() {
    for (total, part) in [(0, 0), (0, 1), (2, 0), (2, 3)] {
        let message = [5, 0, 3, 7, total, part];
        let (header, _) = split(&message).expect("a header");
        assert_eq!(header.concatenation(), None, "part {part} of {total}");
    }
    // A wrong length makes it another element; a good one of the other width still counts.
    let message = [11, 0, 2, 7, 2, 0x08, 4, 1, 2, 2, 2, 0];
    let (header, _) = split(&message).expect("a header");
    assert_eq!(header.concatenation(), ConcatRef::new(0x0102, Width::Bits16, 2, 2));
}

#[test]
fn a_header_that_passes_the_end_is_an_error() {
    assert_eq!(split(&[5, 0, 3]).map(|(_, body)| body), Err(Truncated { declared: 5, present: 2 }));
    assert_eq!(split(&[]).map(|(header, body)| (header.octets(), body)), Ok((&[][..], &[][..])));
    // An element that passes the end of the header ends the reading.
    let (header, body) = split(&[3, 0, 9, 1, b'x']).expect("a header");
    assert_eq!((header.elements().count(), body), (0, &b"x"[..]));
}

#[test]
fn languages_are_read_and_built() {
    let alphabet = Alphabet { single: Language::Urdu, locking: Language::Hindi };
    let header = build(None, alphabet, &[]);
    assert_eq!(header, [6, 0x24, 1, 13, 0x25, 1, 6]);
    assert_eq!(split(&header).map(|(header, _)| header.alphabet()), Ok(alphabet));
    assert_eq!(build(None, Alphabet::DEFAULT, &[]), []);
    let unknown = split(&[3, 0x24, 1, 99]).map(|(header, _)| header.alphabet());
    assert_eq!(unknown, Ok(Alphabet::DEFAULT));
}

#[test]
fn a_forgotten_flag_is_noticed() {
    assert!(looks_like_concatenation(&[5, 0, 3, 1, 2, 1, b'a']));
    assert!(looks_like_concatenation(&[6, 8, 4, 0, 1, 2, 1]));
    assert!(!looks_like_concatenation(&[5, 0, 3, 1, 2, 3]));
    assert!(!looks_like_concatenation(&[5, 0, 3, 1]));
    assert!(!looks_like_concatenation(b"hello"));
}
