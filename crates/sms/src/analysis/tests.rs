use super::{Options, Replacement, analyse, count, replace};
use crate::{Alphabet, Encoding, Language, Width};

fn sizes(text: &str, options: &Options) -> (usize, usize, usize, usize) {
    let count = count(text, options);
    (count.units, count.parts, count.per_part, count.remaining_in_last)
}

#[test]
fn parts_follow_the_standard_sizes() {
    let options = Options::default();
    assert_eq!(sizes("", &options), (0, 1, 160, 160));
    assert_eq!(sizes(&"a".repeat(160), &options), (160, 1, 160, 0));
    assert_eq!(sizes(&"a".repeat(161), &options), (161, 2, 153, 145));
    assert_eq!(sizes(&"ع".repeat(70), &options), (70, 1, 70, 0));
    assert_eq!(sizes(&"ع".repeat(71), &options), (71, 2, 67, 63));
    let wide = Options { width: Width::Bits16, ..Options::default() };
    assert_eq!(sizes(&"a".repeat(305), &wide), (305, 3, 152, 151));
    assert_eq!(sizes(&"ع".repeat(133), &wide), (133, 3, 66, 65));
    // An escape that does not fit leaves a septet of each part empty.
    assert_eq!(sizes(&"€".repeat(81), &options), (162, 2, 153, 143));
    assert_eq!(sizes(&"😀".repeat(67), &options), (134, 3, 67, 65));
}

#[test]
fn the_characters_that_force_ucs2_are_shown() {
    let analysis = analyse("Héllo €ç “а”", &Options::default());
    assert_eq!(analysis.count.encoding, Encoding::Ucs2);
    assert_eq!(analysis.forcing, [(7, 'ç'), (9, '“'), (10, 'а'), (11, '”')]);
    assert!(analyse("Héllo €", &Options::default()).forcing.is_empty());
}

#[test]
fn typography_is_replaced_only_where_that_helps() {
    let options = Options { replace: true, ..Options::default() };
    let analysis = analyse("“It’s” –\u{A0}ok…", &options);
    assert_eq!(analysis.count.encoding, Encoding::GSM7);
    assert_eq!(analysis.count.units, "\"It's\" - ok...".len());
    assert_eq!(analysis.replacements.len(), 6);
    assert_eq!(analysis.replacements[1], Replacement { index: 3, from: '’', to: "'" });
    assert!(analysis.forcing.is_empty());
    assert_eq!(replace("“It’s” –\u{A0}ok…"), "\"It's\" - ok...");

    let arabic = analyse("“سلام”", &options);
    assert_eq!(arabic.count.encoding, Encoding::Ucs2);
    assert!(arabic.replacements.is_empty());
    assert_eq!(replace("“سلام”"), "“سلام”");
}

#[test]
fn national_tables_are_used_where_allowed_and_cheaper() {
    let turkish = "ğ".repeat(77);
    assert_eq!(count(&turkish, &Options::default()).encoding, Encoding::Ucs2);
    let options = Options { languages: vec![Language::Spanish, Language::Turkish], ..Options::default() };
    let single = Alphabet { single: Language::Turkish, ..Alphabet::DEFAULT };
    let counted = count(&turkish, &options);
    assert_eq!((counted.encoding, counted.units, counted.parts), (Encoding::Gsm7(single), 154, 1));
    assert_eq!(counted.per_part, 155);
    let locking = Alphabet { locking: Language::Turkish, ..Alphabet::DEFAULT };
    let counted = count(&"ğ".repeat(150), &options);
    assert_eq!((counted.encoding, counted.parts), (Encoding::Gsm7(locking), 1));
    assert_eq!(count("ع", &options).encoding, Encoding::Ucs2);
}

#[test]
fn latin1_is_taken_before_ucs2_where_allowed() {
    let options = Options { latin1: true, ..Options::default() };
    assert_eq!(count("façade", &options).encoding, Encoding::Latin1);
    assert_eq!(count("fa€ade", &options).encoding, Encoding::GSM7);
    assert_eq!(count("façade €", &options).encoding, Encoding::Ucs2);
}
