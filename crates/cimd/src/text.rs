//! User data: septets of the GSM default alphabet (3GPP TS 23.038 §6.2.1) written in ASCII (CIMD2 3-0 §5.1).
//!
//! A character that ASCII lacks, or that would cut the packet, is a combination of `_` and two characters that suggest it:
//! `_e'` is é, `_gd` is Δ, `_XX` is the escape to the extension table, so `_XXe` is €. Peers may also send Latin-1 octets
//! as they are.

/// The combinations, by septet.
const COMBINATIONS: [(u8, &[u8; 2]); 44] = [
    (0x00, b"Oa"),
    (0x01, b"L-"),
    (0x03, b"Y-"),
    (0x04, b"e`"),
    (0x05, b"e'"),
    (0x06, b"u`"),
    (0x07, b"i`"),
    (0x08, b"o`"),
    (0x09, b"C,"),
    (0x0B, b"O/"),
    (0x0C, b"o/"),
    (0x0E, b"A*"),
    (0x0F, b"a*"),
    (0x10, b"gd"),
    (0x11, b"--"),
    (0x12, b"gf"),
    (0x13, b"gg"),
    (0x14, b"gl"),
    (0x15, b"go"),
    (0x16, b"gp"),
    (0x17, b"gi"),
    (0x18, b"gs"),
    (0x19, b"gt"),
    (0x1A, b"gx"),
    (0x1B, b"XX"),
    (0x1C, b"AE"),
    (0x1D, b"ae"),
    (0x1E, b"ss"),
    (0x1F, b"E'"),
    (0x22, b"qq"),
    (0x24, b"ox"),
    (0x40, b"!!"),
    (0x5B, b"A\""),
    (0x5C, b"O\""),
    (0x5D, b"N~"),
    (0x5E, b"U\""),
    (0x5F, b"so"),
    (0x60, b"??"),
    (0x7B, b"a\""),
    (0x7C, b"o\""),
    (0x7D, b"n~"),
    (0x7E, b"u\""),
    (0x7F, b"a`"),
    (0x02, b"$$"),
];

/// Latin-1 octets above ASCII that the alphabet has, with their septets.
const LATIN_1: [(u8, u8); 28] = [
    (0xA1, 0x40),
    (0xA3, 0x01),
    (0xA4, 0x24),
    (0xA5, 0x03),
    (0xA7, 0x5F),
    (0xBF, 0x60),
    (0xC4, 0x5B),
    (0xC5, 0x0E),
    (0xC6, 0x1C),
    (0xC7, 0x09),
    (0xC9, 0x1F),
    (0xD1, 0x5D),
    (0xD6, 0x5C),
    (0xD8, 0x0B),
    (0xDC, 0x5E),
    (0xDF, 0x1E),
    (0xE0, 0x7F),
    (0xE4, 0x7B),
    (0xE5, 0x0F),
    (0xE6, 0x1D),
    (0xE8, 0x04),
    (0xE9, 0x05),
    (0xEC, 0x07),
    (0xF1, 0x7D),
    (0xF2, 0x08),
    (0xF6, 0x7C),
    (0xF8, 0x0C),
    (0xFC, 0x7E),
];

const UNREADABLE: u8 = b'?';
const DOLLAR: u8 = 0x02;

/// Writes septets, one in each octet; the eighth bit is ignored. What comes out is ASCII without TAB, STX, ETX or NUL.
#[must_use]
pub fn encode(septets: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(septets.len());
    for septet in septets.iter().map(|septet| septet & 0x7F) {
        // The dollar sign is the one character that stands elsewhere in ASCII and needs no combination.
        if septet == DOLLAR {
            text.push(b'$');
            continue;
        }
        match COMBINATIONS.iter().find(|(code, _)| *code == septet) {
            Some((_, pair)) => text.extend_from_slice(&[b'_', pair[0], pair[1]]),
            None => text.push(septet),
        }
    }
    text
}

/// Reads what a peer wrote. A combination that nobody knows stays as the characters it is written in, with `_` as the
/// underscore; an octet that the alphabet lacks becomes `?`.
#[must_use]
pub fn decode(text: &[u8]) -> Vec<u8> {
    let mut septets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, behind)) = rest.split_first() {
        rest = behind;
        septets.push(match octet {
            b'_' => match behind.first_chunk::<2>().and_then(|pair| combination(*pair)) {
                Some(septet) => {
                    rest = &behind[2..];
                    septet
                }
                None => 0x11,
            },
            b'@' => 0x00,
            b'$' => DOLLAR,
            // Left over from the national form of ASCII in which the protocol began.
            b']' => 0x0E,
            b'}' => 0x0F,
            0x00..=0x7F => octet,
            latin => {
                LATIN_1.iter().find(|(code, _)| *code == latin).map_or(UNREADABLE, |(_, septet)| *septet)
            }
        });
    }
    septets
}

fn combination(pair: [u8; 2]) -> Option<u8> {
    COMBINATIONS.iter().find(|(_, known)| **known == pair).map(|(septet, _)| *septet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_septet_goes_both_ways_and_cuts_no_packet() {
        for septet in 0..128 {
            let text = encode(&[septet]);
            assert!(text.iter().all(|octet| matches!(octet, 0x0A | 0x0D | b' '..=b'~')), "{septet:#x}");
            assert_eq!(decode(&text), [septet], "{septet:#x}");
        }
    }

    #[test]
    fn the_known_combinations() {
        assert_eq!(encode(&[0x00, 0x01, 0x05, 0x11, 0x10, 0x1B, 0x65]), b"_Oa_L-_e'_--_gd_XXe");
        assert_eq!(decode(b"a_Oab_--c"), [b'a', 0x00, b'b', 0x11, b'c']);
        assert_eq!(decode(b"@$]}"), [0x00, 0x02, 0x0E, 0x0F]);
        assert_eq!(decode(&[0xE9, 0xFF]), [0x05, b'?']);
        assert_eq!(decode(b"_zz_"), [0x11, b'z', b'z', 0x11]);
    }
}
