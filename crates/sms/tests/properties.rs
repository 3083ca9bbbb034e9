//! What holds for every text and every run of octets.

use proptest::prelude::*;
use sms::analysis::{self, analyse, count};
use sms::receipt::{Date, Receipt, text_of};
use sms::segment::{self, Capacity, Options, segment};
use sms::{Alphabet, Encoding, Language, MessageState, Width, gsm, id, text, udh};

/// Texts that mix what is cheap, what needs an escape, national letters and surrogate pairs.
fn any_text() -> impl Strategy<Value = String> {
    let ch = prop_oneof![
        8 => proptest::char::range(' ', '~'),
        2 => proptest::sample::select("€{}[]^\\~|\u{0C}\n\rÀàÇçğİŞΔΩ".chars().collect::<Vec<_>>()),
        1 => proptest::sample::select("“”’–…\u{A0}а中ب😁🐳আहத".chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ];
    proptest::collection::vec(ch, 0..700).prop_map(|chars| chars.into_iter().collect())
}

fn cheap_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select("abcXYZ 0123€{[".chars().collect::<Vec<_>>()), 0..900)
        .prop_map(|chars| chars.into_iter().collect())
}

fn any_encoding() -> impl Strategy<Value = Encoding> {
    prop_oneof![
        3 => Just(Encoding::GSM7),
        3 => (0..16_u8, 0..16_u8).prop_map(|(locking, single)| Encoding::Gsm7(Alphabet {
            locking: Language::from_id(locking),
            single: Language::from_id(single),
        })),
        3 => Just(Encoding::Ucs2),
        1 => Just(Encoding::Latin1),
        1 => Just(Encoding::Cyrillic),
        1 => Just(Encoding::Hebrew),
        1 => Just(Encoding::Binary),
    ]
}

fn any_width() -> impl Strategy<Value = Width> {
    prop_oneof![Just(Width::Bits8), Just(Width::Bits16)]
}

/// Keeps what the encoding can hold, so that most cases are not thrown away.
fn encodable(text: &str, encoding: Encoding) -> String {
    text.chars().filter(|ch| encoding.encode(ch.encode_utf8(&mut [0; 4])).is_ok()).collect()
}

fn whole_characters(payload: &[u8], encoding: Encoding) -> bool {
    match encoding {
        Encoding::Gsm7(_) => payload.iter().rev().take_while(|&&septet| septet == gsm::ESC).count() % 2 == 0,
        Encoding::Ucs2 => encoding.decode_strict(payload).is_ok(),
        _ => true,
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_again(text in any_text(), encoding in any_encoding()) {
        let text = encodable(&text, encoding);
        // A mark at the start of UCS-2 is not text.
        prop_assume!(encoding != Encoding::Ucs2 || !text.starts_with('\u{FEFF}'));
        let octets = encoding.encode(&text).expect("only what it can hold");
        prop_assert_eq!(encoding.decode(&octets), text.clone());
        prop_assert_eq!(encoding.decode_strict(&octets), Ok(text.clone()));
        prop_assert_eq!(encoding.encode_lossy(&text), octets);
    }

    #[test]
    fn what_is_refused_is_named(text in any_text(), encoding in any_encoding()) {
        if let Err(error) = encoding.encode(&text) {
            prop_assert_eq!(text.chars().nth(error.index), Some(error.ch));
        }
    }

    #[test]
    fn parts_are_whole_and_join_to_the_message(
        text in any_text(),
        encoding in any_encoding(),
        width in any_width(),
        reference in any::<u16>(),
    ) {
        let text = encodable(&text, encoding);
        let body = encoding.encode(&text).expect("only what it can hold");
        let options = Options { reference, width, ..Options::default() };
        let parts = segment(&body, encoding, &options).expect("700 characters are less than 255 parts");
        let capacity = Capacity::of(encoding, width);
        let limit = if parts.len() == 1 { capacity.single } else { capacity.part };
        let unit = if encoding == Encoding::Ucs2 { 2 } else { 1 };
        for part in &parts {
            prop_assert!(whole_characters(part.payload, encoding));
            prop_assert!(part.payload.len() <= limit * unit);
            let bits = if matches!(encoding, Encoding::Gsm7(_)) { 7 } else { 8 };
            let octets = part.header.len()
                + (usize::from(gsm::fill_bits(part.header.len())) * usize::from(bits == 7)
                    + part.payload.len() * bits).div_ceil(8);
            prop_assert!(octets <= segment::USER_DATA_OCTETS);
            if let Some(concatenation) = part.concatenation {
                let message = part.short_message();
                let (header, payload) = udh::split(&message).expect("a header of ours");
                prop_assert_eq!(header.concatenation(), Some(concatenation));
                prop_assert_eq!(payload, part.payload);
            }
        }
        let total = u8::try_from(parts.len()).expect("at most 255");
        let numbered = (1..=total).zip(parts.iter().map(|part| part.payload)).rev();
        prop_assert_eq!(segment::join(total, numbered), Some(body));
    }

    #[test]
    fn the_count_is_what_is_sent(
        text in prop_oneof![any_text(), cheap_text()],
        width in any_width(),
        latin1 in any::<bool>(),
        replace in any::<bool>(),
        national in any::<bool>(),
    ) {
        let languages = if national { Language::NATIONAL.to_vec() } else { Vec::new() };
        let options = analysis::Options { languages, latin1, replace, width };
        let counted = analyse(&text, &options).count;
        let sent = if replace { analysis::replace(&text) } else { text.as_str().into() };
        prop_assert_eq!(counted, count(&sent, &options));
        let body = counted.encoding.encode(&sent).expect("the encoding chosen holds the text");
        let split = Options { width, ..Options::default() };
        let parts = segment(&body, counted.encoding, &split).expect("fewer than 255 parts");
        prop_assert_eq!(counted.parts, parts.len());
        let unit = if counted.encoding == Encoding::Ucs2 { 2 } else { 1 };
        prop_assert_eq!(counted.units, body.len() / unit);
        let last = parts.last().map_or(0, |part| part.payload.len() / unit);
        prop_assert_eq!(counted.remaining_in_last, counted.per_part - last);
    }

    #[test]
    fn packing_keeps_septets(septets in proptest::collection::vec(0..128_u8, 0..400), fill in 0..7_u8) {
        let packed = gsm::pack(&septets, fill);
        if !septets.is_empty() {
            prop_assert_eq!(packed.len(), (usize::from(fill) + septets.len() * 7).div_ceil(8));
        }
        let mut unpacked = gsm::unpack(&packed, fill);
        prop_assert!(unpacked.len() <= septets.len() + 1);
        unpacked.truncate(septets.len());
        prop_assert_eq!(&unpacked, &septets);
    }

    #[test]
    fn padding_with_cr_is_removed(septets in proptest::collection::vec(1..128_u8, 1..80), fill in 0..7_u8) {
        let mut unpacked = gsm::unpack(&gsm::pack_with_cr(&septets, fill), fill);
        gsm::strip_padding(&mut unpacked, fill);
        let on_border = (usize::from(fill) + septets.len() * 7).is_multiple_of(8);
        let doubled = on_border && septets.last() == Some(&gsm::CR);
        if doubled {
            prop_assert_eq!(unpacked.pop(), Some(gsm::CR));
        }
        prop_assert_eq!(unpacked, septets);
    }

    #[test]
    fn no_octets_break_a_reader(
        octets in proptest::collection::vec(any::<u8>(), 0..300),
        data_coding in any::<u8>(),
        encoding in any_encoding(),
        limit in 0..200_usize,
    ) {
        let announced = Encoding::from_data_coding(data_coding, encoding);
        let _ = (announced.decode(&octets), announced.decode_strict(&octets));
        let _ = text::message_class(data_coding);
        let _ = (gsm::unpack(&octets, data_coding), gsm::pack(&octets, data_coding));
        let _ = udh::looks_like_concatenation(&octets);
        if let Ok((header, body)) = udh::split(&octets) {
            let _ = (header.concatenation(), header.ports(), encoding.decode(body));
            let _ = Encoding::Gsm7(header.alphabet()).decode(body);
        }
        let pieces: Vec<u8> =
            segment::pieces(&octets, announced, limit).flat_map(|piece| octets[piece].to_vec()).collect();
        prop_assert_eq!(&pieces, &octets);
        let options = Options { user_data_octets: limit, elements: octets.clone(), ..Options::default() };
        if let Ok(parts) = segment(&octets, encoding, &options) {
            prop_assert!(parts.iter().all(|part| !part.header.is_empty() || octets.is_empty()));
        }
        let text = text_of(&octets, data_coding);
        let receipt = Receipt::parse(&text).with_tlvs(Some(&octets), Some(data_coding));
        let _ = (receipt.to_string(), receipt.missing(), id::candidates(&text).count());
    }

    #[test]
    fn no_text_breaks_a_reader_of_receipts(
        pieces in proptest::collection::vec(prop_oneof![
            Just("id:".to_owned()), Just(" stat:".to_owned()), Just("submit date:".to_owned()),
            Just(" done_date: ".to_owned()), Just("text:".to_owned()), Just("DELIVRD".to_owned()),
            Just(",".to_owned()), Just("2024-01-01 12:00:00 ".to_owned()), "[0-9]{8,16}", ".{0,5}",
        ], 0..20),
    ) {
        let text = pieces.concat();
        let receipt = Receipt::parse(&text);
        if let Some(stat) = receipt.stat {
            prop_assert!(text.contains(stat) && !stat.is_empty());
        }
        let _ = Date::parse(&text);
    }

    #[test]
    fn receipts_of_ours_are_read_again(
        id in "[0-9a-zA-Z-]{1,40}",
        sub in 0..1000_u32,
        dlvrd in 0..1000_u32,
        state in 1..10_u8,
        err in "[0-9A-Z]{1,3}",
        excerpt in "[ -~]{0,40}",
        digits in (0..100_u16, 1..13_u8, 1..29_u8, 0..24_u8, 0..60_u8),
    ) {
        let (year, month, day, hour, minute) = digits;
        let date = Date::new(2000 + year, month, day, hour, minute, 0);
        let receipt = Receipt {
            id: Some(id.as_str().into()),
            text_id: Some(&id),
            sub: Some(sub),
            dlvrd: Some(dlvrd),
            submit_date: date,
            done_date: date,
            stat: Some(MessageState::from_number(state).text()),
            state: Some(MessageState::from_number(state)),
            err: Some(&err),
            text: Some(&excerpt[..excerpt.len().min(20)]),
        };
        let written = Receipt { text: Some(&excerpt), ..receipt.clone() }.to_string();
        prop_assert_eq!(Receipt::parse(&written), receipt);
    }

    #[test]
    fn both_bases_of_an_id_meet(number in 0..(1_u128 << 99), padding in 0..8_usize, upper in any::<bool>()) {
        let decimal = format!("{}{number}", "0".repeat(padding));
        let mut hexadecimal = format!("{}{number:x}", "0".repeat(padding));
        if upper {
            hexadecimal.make_ascii_uppercase();
        }
        let key = id::key(&hexadecimal);
        prop_assert!(id::candidates(&decimal).any(|candidate| candidate == key));
        let key = id::key(&decimal);
        prop_assert!(id::candidates(&hexadecimal).any(|candidate| candidate == key));
        prop_assert_eq!(
            id::canonical(&hexadecimal, id::Form::Hexadecimal),
            id::canonical(&decimal, id::Form::Decimal)
        );
    }
}
