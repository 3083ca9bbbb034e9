//! The default alphabet and its extension table (3GPP TS 23.038 §6.2.1), and how tables are written and
//! searched.

use super::{ESC, Language, national};

/// 128 code points, indexed by septet. All of them lie in the Basic Multilingual Plane.
pub(super) type Table = [u16; 128];

/// A position without a character: no text can hold U+FFFF, so it never matches.
pub(super) const UNASSIGNED: u16 = 0xFFFF;

/// The default alphabet (§6.2.1). `Ç` is upper case: many published tables have `ç` at 0x09.
pub(super) const DEFAULT: Table = table(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1B}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);

/// The extension table (§6.2.1.1), reached through ESC.
pub(super) const EXTENSION: Table = overlay(
    &[UNASSIGNED; 128],
    &[
        (0x0A, 0x000C, 1),
        (0x14, 0x005E, 1),
        (0x28, 0x007B, 1),
        (0x29, 0x007D, 1),
        (0x2F, 0x005C, 1),
        (0x3C, 0x005B, 1),
        (0x3D, 0x007E, 1),
        (0x3E, 0x005D, 1),
        (0x40, 0x007C, 1),
        (0x65, 0x20AC, 1),
    ],
);

/// Reads a table from its 128 characters in order.
pub(super) const fn table(characters: &str) -> Table {
    let bytes = characters.as_bytes();
    let mut table = [UNASSIGNED; 128];
    let (mut at, mut septet) = (0, 0);
    while at < bytes.len() {
        let lead = bytes[at] as u16;
        // The characters are of one, two or three octets of UTF-8; `septet` past 127 stops the build.
        if lead < 0x80 {
            table[septet] = lead;
            at += 1;
        } else if lead < 0xE0 {
            table[septet] = (lead & 0x1F) << 6 | (bytes[at + 1] & 0x3F) as u16;
            at += 2;
        } else {
            table[septet] =
                (lead & 0x0F) << 12 | ((bytes[at + 1] & 0x3F) as u16) << 6 | (bytes[at + 2] & 0x3F) as u16;
            at += 3;
        }
        septet += 1;
    }
    assert!(septet == 128, "a table has 128 characters");
    table
}

/// Replaces runs `(septet, code point, count)` of a table.
pub(super) const fn overlay(base: &Table, runs: &[(u8, u16, u8)]) -> Table {
    let mut table = *base;
    let mut run = 0;
    while run < runs.len() {
        let (septet, code, count) = runs[run];
        let mut step = 0;
        while step < count {
            table[(septet + step) as usize] = code + step as u16;
            step += 1;
        }
        run += 1;
    }
    table
}

static LOCKING: [Table; 14] = [
    DEFAULT,
    national::TURKISH_LOCKING,
    DEFAULT,
    national::PORTUGUESE_LOCKING,
    national::BENGALI_LOCKING,
    national::GUJARATI_LOCKING,
    national::HINDI_LOCKING,
    national::KANNADA_LOCKING,
    national::MALAYALAM_LOCKING,
    national::ORIYA_LOCKING,
    national::PUNJABI_LOCKING,
    national::TAMIL_LOCKING,
    national::TELUGU_LOCKING,
    national::URDU_LOCKING,
];

static SINGLE: [Table; 14] = [
    EXTENSION,
    national::TURKISH_SINGLE,
    national::SPANISH_SINGLE,
    national::PORTUGUESE_SINGLE,
    national::BENGALI_SINGLE,
    national::GUJARATI_SINGLE,
    national::HINDI_SINGLE,
    national::KANNADA_SINGLE,
    national::MALAYALAM_SINGLE,
    national::ORIYA_SINGLE,
    national::PUNJABI_SINGLE,
    national::TAMIL_SINGLE,
    national::TELUGU_SINGLE,
    national::URDU_SINGLE,
];

/// The table that bare septets are read with. A language without its own has the default alphabet.
pub(super) fn locking(language: Language) -> &'static Table {
    &LOCKING[usize::from(language.id())]
}

/// The table that the septet after ESC is read with.
pub(super) fn single(language: Language) -> &'static Table {
    &SINGLE[usize::from(language.id())]
}

/// The first septet that holds `ch`. Letters and digits stand at their ASCII place in every table, so that
/// place is tried before the search.
pub(super) fn find(table: &Table, ch: char) -> Option<u8> {
    let code =
        u16::try_from(u32::from(ch)).ok().filter(|&code| code != UNASSIGNED && code != u16::from(ESC))?;
    if let Ok(same) = u8::try_from(code)
        && same < 128
        && table[usize::from(same)] == code
    {
        return Some(same);
    }
    table.iter().position(|&entry| entry == code).and_then(|at| u8::try_from(at).ok())
}

/// In [`DIRECT`]: the character is not in the default alphabet or its extension.
pub(super) const ABSENT: u8 = 0xFF;

/// In [`DIRECT`]: the character needs ESC before the septet in the low seven bits.
pub(super) const EXTENDED: u8 = 0x80;

/// The default alphabet and its extension, inverted for Latin-1: most text never leaves this table.
pub(super) static DIRECT: [u8; 256] = invert();

const fn invert() -> [u8; 256] {
    let mut direct = [ABSENT; 256];
    let mut septet: u8 = 0;
    while septet < 128 {
        let (plain, extended) = (DEFAULT[septet as usize], EXTENSION[septet as usize]);
        if plain < 256 && septet != ESC {
            direct[plain as usize] = septet;
        }
        if extended < 256 {
            direct[extended as usize] = EXTENDED | septet;
        }
        septet += 1;
    }
    direct
}
