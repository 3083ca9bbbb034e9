//! Encodings of a short message: characters to octets and back, and `data_coding` (SMPP v3.4 §5.2.19,
//! 3GPP TS 23.038 §4).

use crate::gsm::{self, Alphabet, Undecodable, Unencodable};

/// How the octets of a short message stand for characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// GSM 7 bit, one septet in each octet.
    Gsm7(Alphabet),
    /// ISO 8859-1; also read for IA5, which it contains.
    Latin1,
    /// ISO 8859-5.
    Cyrillic,
    /// ISO 8859-8.
    Hebrew,
    /// UTF-16, most significant octet first.
    Ucs2,
    /// Octets without characters, written in texts as hexadecimal digits.
    Binary,
}

impl Encoding {
    /// GSM 7 bit with the default alphabet.
    pub const GSM7: Self = Self::Gsm7(Alphabet::DEFAULT);

    /// The `data_coding` that announces the encoding.
    #[must_use]
    pub const fn data_coding(self) -> u8 {
        match self {
            Self::Gsm7(_) => 0x00,
            Self::Latin1 => 0x03,
            Self::Binary => 0x04,
            Self::Cyrillic => 0x06,
            Self::Hebrew => 0x07,
            Self::Ucs2 => 0x08,
        }
    }

    /// The `data_coding` with a message class 0–3 (0 is a flash message). The eight bit character sets of
    /// SMPP have no form with a class; they are announced as eight bit data.
    #[must_use]
    pub const fn data_coding_of_class(self, class: u8) -> u8 {
        let class = class & 0x03;
        match self {
            Self::Gsm7(_) => 0xF0 | class,
            Self::Latin1 | Self::Cyrillic | Self::Hebrew | Self::Binary => 0xF4 | class,
            Self::Ucs2 => 0x18 | class,
        }
    }

    /// The encoding that a `data_coding` announces; `default` is what 0 means on the connection, and what a
    /// reserved value is read as. The multi-byte sets of Japan and Korea are kept as [`Encoding::Binary`].
    #[must_use]
    pub const fn from_data_coding(data_coding: u8, default: Self) -> Self {
        match data_coding {
            0x00 | 0x0B | 0x0C | 0x0F | 0x80..=0xBF => default,
            0x01 | 0x03 => Self::Latin1,
            0x06 => Self::Cyrillic,
            0x07 => Self::Hebrew,
            0x08 => Self::Ucs2,
            0x02 | 0x04 | 0x05 | 0x09 | 0x0A | 0x0D | 0x0E => Self::Binary,
            // General data coding and automatic deletion groups: bit 5 says compressed, bits 3–2 the
            // alphabet.
            0x10..=0x7F => match (data_coding & 0x20, data_coding & 0x0C) {
                (0, 0x00) => Self::GSM7,
                (0, 0x08) => Self::Ucs2,
                (0, 0x0C) => default,
                _ => Self::Binary,
            },
            // Message waiting indication groups.
            0xC0..=0xDF => Self::GSM7,
            0xE0..=0xEF => Self::Ucs2,
            // Data coding and message class: bit 2 says eight bit.
            0xF0..=0xFF => {
                if data_coding & 0x04 == 0 {
                    Self::GSM7
                } else {
                    Self::Binary
                }
            }
        }
    }

    /// Writes a text in the encoding. [`Encoding::Binary`] takes pairs of hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`Unencodable`] names the first character that the encoding lacks.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, Unencodable> {
        match self {
            Self::Gsm7(alphabet) => gsm::encode(text, alphabet),
            Self::Ucs2 => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            Self::Binary => from_hex(text),
            Self::Latin1 | Self::Cyrillic | Self::Hebrew => text
                .chars()
                .enumerate()
                .map(|(index, ch)| self.octet(ch).ok_or(Unencodable { index, ch }))
                .collect(),
        }
    }

    /// Writes a text in the encoding with `?` for what it lacks; digits that [`Encoding::Binary`] cannot read
    /// are left out.
    #[must_use]
    pub fn encode_lossy(self, text: &str) -> Vec<u8> {
        match self {
            Self::Gsm7(alphabet) => gsm::encode_lossy(text, alphabet),
            Self::Latin1 | Self::Cyrillic | Self::Hebrew => {
                text.chars().map(|ch| self.octet(ch).unwrap_or(b'?')).collect()
            }
            Self::Ucs2 | Self::Binary => self.encode(text).unwrap_or_default(),
        }
    }

    /// Reads octets. Never fails: what is no character shows U+FFFD. A leading byte order mark of UCS-2 is
    /// removed, an odd last octet of it shows U+FFFD. [`Encoding::Binary`] gives lower-case hexadecimal
    /// digits.
    #[must_use]
    pub fn decode(self, octets: &[u8]) -> String {
        match self {
            Self::Gsm7(alphabet) => gsm::decode(octets, alphabet),
            Self::Ucs2 => {
                let (pairs, odd) = utf16(octets);
                let mut text: String = char::decode_utf16(pairs)
                    .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect();
                if odd {
                    text.push(char::REPLACEMENT_CHARACTER);
                }
                text
            }
            Self::Binary => to_hex(octets),
            Self::Latin1 | Self::Cyrillic | Self::Hebrew => octets
                .iter()
                .map(|&octet| self.character(octet).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect(),
        }
    }

    /// Reads octets and refuses what a correct writer cannot have produced.
    ///
    /// # Errors
    ///
    /// [`Undecodable`] tells where the text stops.
    pub fn decode_strict(self, octets: &[u8]) -> Result<String, Undecodable> {
        match self {
            Self::Gsm7(alphabet) => gsm::decode_strict(octets, alphabet),
            Self::Ucs2 => {
                let start = octets.len() - without_mark(octets).len();
                let (pairs, odd) = utf16(octets);
                let mut text = String::with_capacity(octets.len());
                let mut index = start;
                for unit in char::decode_utf16(pairs) {
                    let ch = unit.map_err(|_| Undecodable { index })?;
                    index += 2 * ch.len_utf16();
                    text.push(ch);
                }
                if odd { Err(Undecodable { index }) } else { Ok(text) }
            }
            Self::Binary => Ok(to_hex(octets)),
            Self::Latin1 | Self::Cyrillic | Self::Hebrew => octets
                .iter()
                .enumerate()
                .map(|(index, &octet)| self.character(octet).ok_or(Undecodable { index }))
                .collect(),
        }
    }

    /// The octet of a character in an eight bit set.
    fn octet(self, ch: char) -> Option<u8> {
        let code = u32::from(ch);
        if code < 0xA0 {
            return u8::try_from(code).ok();
        }
        match self {
            Self::Latin1 => u8::try_from(code).ok(),
            _ => (0xA0..=0xFF).find(|&octet| self.character(octet) == Some(ch)),
        }
    }

    /// The character of an octet in an eight bit set.
    fn character(self, octet: u8) -> Option<char> {
        let latin = char::from(octet);
        if octet <= 0xA0 {
            return Some(latin);
        }
        match (self, octet) {
            (Self::Cyrillic, 0xAD) => Some(latin),
            (Self::Cyrillic, 0xF0) => Some('№'),
            (Self::Cyrillic, 0xFD) => Some('§'),
            (Self::Cyrillic, _) => char::from_u32(0x0400 + u32::from(octet - 0xA0)),
            (Self::Hebrew, 0xAA) => Some('×'),
            (Self::Hebrew, 0xBA) => Some('÷'),
            (Self::Hebrew, 0xDF) => Some('\u{2017}'),
            (Self::Hebrew, 0xE0..=0xFA) => char::from_u32(0x05D0 + u32::from(octet - 0xE0)),
            (Self::Hebrew, 0xFD) => Some('\u{200E}'),
            (Self::Hebrew, 0xFE) => Some('\u{200F}'),
            (Self::Hebrew, 0xA1 | 0xBF..=0xFF) => None,
            _ => Some(latin),
        }
    }
}

/// The message class 0–3 of a `data_coding`, where it has one (TS 23.038 §4); 0 is a flash message.
#[must_use]
pub const fn message_class(data_coding: u8) -> Option<u8> {
    match data_coding {
        0x10..=0x1F | 0x30..=0x3F | 0x50..=0x5F | 0x70..=0x7F | 0xF0..=0xFF => Some(data_coding & 0x03),
        _ => None,
    }
}

fn without_mark(octets: &[u8]) -> &[u8] {
    octets.strip_prefix(&[0xFE, 0xFF]).unwrap_or(octets)
}

/// The units of UTF-16 without byte order mark, and whether an octet is left over.
fn utf16(octets: &[u8]) -> (impl Iterator<Item = u16> + '_, bool) {
    let (pairs, rest) = without_mark(octets).as_chunks::<2>();
    (pairs.iter().map(|&pair| u16::from_be_bytes(pair)), !rest.is_empty())
}

fn to_hex(octets: &[u8]) -> String {
    octets
        .iter()
        .flat_map(|octet| [octet >> 4, octet & 0x0F])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

fn from_hex(text: &str) -> Result<Vec<u8>, Unencodable> {
    let mut octets = Vec::with_capacity(text.len() / 2);
    let mut high: Option<(u8, usize, char)> = None;
    for (index, ch) in text.chars().enumerate() {
        let digit =
            ch.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(Unencodable { index, ch })?;
        match high.take() {
            None => high = Some((digit, index, ch)),
            Some((first, ..)) => octets.push(first << 4 | digit),
        }
    }
    match high {
        None => Ok(octets),
        Some((_, index, ch)) => Err(Unencodable { index, ch }),
    }
}

#[cfg(test)]
mod tests;
