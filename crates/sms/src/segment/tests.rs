use super::{Capacity, Options, Unsplittable, join, pieces, segment};
use crate::{Alphabet, Encoding, Language, Width};

#[test]
fn capacities_are_those_of_the_standard() {
    let of = |encoding, width| {
        let Capacity { single, part } = Capacity::of(encoding, width);
        (single, part)
    };
    let one = Encoding::Gsm7(Alphabet { single: Language::Turkish, locking: Language::Default });
    let both = Encoding::Gsm7(Alphabet { single: Language::Turkish, locking: Language::Turkish });
    assert_eq!(of(Encoding::GSM7, Width::Bits8), (160, 153));
    assert_eq!(of(Encoding::GSM7, Width::Bits16), (160, 152));
    assert_eq!(of(Encoding::Binary, Width::Bits8), (140, 134));
    assert_eq!(of(Encoding::Latin1, Width::Bits16), (140, 133));
    assert_eq!(of(Encoding::Ucs2, Width::Bits8), (70, 67));
    assert_eq!(of(Encoding::Ucs2, Width::Bits16), (70, 66));
    assert_eq!(of(one, Width::Bits8), (155, 149));
    assert_eq!(of(both, Width::Bits8), (152, 146));
}

#[test]
fn a_part_carries_all_its_elements() {
    let alphabet = Alphabet { single: Language::Turkish, locking: Language::Portuguese };
    let options = Options {
        reference: 0x1234,
        width: Width::Bits16,
        elements: vec![5, 4, 0x0B, 0x84, 0, 0],
        ..Options::default()
    };
    let body = [0x61; 200];
    let parts = segment(&body, Encoding::Gsm7(alphabet), &options).expect("two parts");
    assert_eq!(parts.len(), 2);
    let header = [18, 8, 4, 0x12, 0x34, 2, 1, 0x24, 1, 1, 0x25, 1, 3, 5, 4, 0x0B, 0x84, 0, 0];
    assert_eq!(parts[0].header, header);
    assert_eq!(parts[0].short_message().len(), header.len() + parts[0].payload.len());
    assert_eq!(parts[0].payload.len(), (140 - header.len()) * 8 / 7);

    let single = segment(&body[..10], Encoding::Gsm7(alphabet), &Options::default()).expect("one part");
    assert_eq!(single[0].header, [6, 0x24, 1, 1, 0x25, 1, 3]);
    assert_eq!(single[0].concatenation, None);
}

#[test]
fn what_needs_more_than_255_parts_is_refused() {
    let body = vec![0x61; 255 * 153 + 1];
    let options = Options::default();
    assert_eq!(segment(&body[1..], Encoding::GSM7, &options).map(|parts| parts.len()), Ok(255));
    assert_eq!(
        segment(&body, Encoding::GSM7, &options).map(|parts| parts.len()),
        Err(Unsplittable::TooLong { octets: body.len() })
    );
}

#[test]
fn a_header_without_room_for_text_is_refused() {
    let split = |elements: usize, user_data_octets: usize, body: &[u8]| {
        let options = Options { elements: vec![0; elements], user_data_octets, ..Options::default() };
        segment(body, Encoding::Ucs2, &options).map(|parts| parts.len())
    };
    assert_eq!(split(0, 8, &[0; 10]), Err(Unsplittable::NoRoom));
    assert_eq!(split(0, 10, &[0; 12]), Ok(3));
    assert_eq!(split(140, 140, &[]), Err(Unsplittable::NoRoom));
    assert_eq!(split(139, 140, &[]), Ok(1));
    assert_eq!(split(300, 400, &[]), Err(Unsplittable::NoRoom));
}

#[test]
fn an_escape_that_is_a_character_itself_may_end_a_part() {
    let cut = |body: &[u8]| pieces(body, Encoding::GSM7, 4).map(|piece| piece.len()).collect::<Vec<_>>();
    assert_eq!(cut(&[0x61, 0x61, 0x61, 0x1B, 0x65, 0x61]), [3, 3]);
    assert_eq!(cut(&[0x61, 0x61, 0x1B, 0x1B, 0x65, 0x61]), [4, 2]);
    assert_eq!(cut(&[0x61, 0x1B, 0x1B, 0x1B, 0x65, 0x61]), [3, 3]);
}

#[test]
fn parts_are_joined_in_order_once_all_are_there() {
    let (one, two, three): (&[u8], &[u8], &[u8]) = (b"one", b"two", b"three");
    assert_eq!(join(3, [(3, three), (1, one), (1, two), (2, two)]), Some(b"onetwothree".to_vec()));
    assert_eq!(join(3, [(3, three), (1, one)]), None);
    assert_eq!(join(2, [(0, three), (1, one), (2, two), (7, three)]), Some(b"onetwo".to_vec()));
    assert_eq!(join(0, []), None);
}
