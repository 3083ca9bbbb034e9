//! The GSM 7 bit alphabets: characters to septets, septets to octets (3GPP TS 23.038 §6).

#[rustfmt::skip]
mod national;
mod tables;

use std::fmt;

use tables::{ABSENT, DIRECT, EXTENDED, UNASSIGNED};

/// The septet that announces a character of the single shift (or extension) table.
pub const ESC: u8 = 0x1B;

/// The septet that pads a packed text, where seven zero bits would read as `@`.
pub const CR: u8 = 0x0D;

/// A national language, by its identifier in TS 23.038 §6.2.1.2.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
#[expect(missing_docs, reason = "the variants are the names of the languages")]
pub enum Language {
    /// No language: the default alphabet and its extension table.
    #[default]
    Default = 0,
    Turkish = 1,
    /// Single shift only; as a locking shift it is the default alphabet.
    Spanish = 2,
    Portuguese = 3,
    Bengali = 4,
    Gujarati = 5,
    Hindi = 6,
    Kannada = 7,
    Malayalam = 8,
    Oriya = 9,
    Punjabi = 10,
    Tamil = 11,
    Telugu = 12,
    Urdu = 13,
}

impl Language {
    /// Every language with a table of its own, in the order of the identifiers.
    pub const NATIONAL: [Self; 13] = [
        Self::Turkish,
        Self::Spanish,
        Self::Portuguese,
        Self::Bengali,
        Self::Gujarati,
        Self::Hindi,
        Self::Kannada,
        Self::Malayalam,
        Self::Oriya,
        Self::Punjabi,
        Self::Tamil,
        Self::Telugu,
        Self::Urdu,
    ];

    /// The language of an identifier. An identifier not assigned is read with the default tables, as the
    /// standard asks of a receiver that lacks a table.
    #[must_use]
    pub fn from_id(id: u8) -> Self {
        usize::from(id).checked_sub(1).and_then(|at| Self::NATIONAL.get(at)).copied().unwrap_or_default()
    }

    /// The identifier, 0–13.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// Whether a locking shift table exists for it.
    #[must_use]
    pub const fn has_locking_shift(self) -> bool {
        !matches!(self, Self::Default | Self::Spanish)
    }
}

/// The pair of tables that a text is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Alphabet {
    /// The table of bare septets.
    pub locking: Language,
    /// The table of septets after [`ESC`].
    pub single: Language,
}

impl Alphabet {
    /// The default alphabet with its extension table: what every handset reads without a header.
    pub const DEFAULT: Self = Self { locking: Language::Default, single: Language::Default };

    /// Octets that its information elements take in a user data header: three for each table.
    #[must_use]
    pub const fn header_octets(self) -> usize {
        3 * (self.locking.has_locking_shift() as usize + !matches!(self.single, Language::Default) as usize)
    }

    /// Septets that a character takes: 1, 2 with [`ESC`], or `None` where the alphabet lacks it.
    #[must_use]
    pub fn septets(self, ch: char) -> Option<usize> {
        self.lookup(ch).map(|found| if found & EXTENDED == 0 { 1 } else { 2 })
    }

    /// The septet of a character, with [`EXTENDED`] set where it follows ESC.
    fn lookup(self, ch: char) -> Option<u8> {
        if self == Self::DEFAULT && u32::from(ch) < 256 {
            return Some(DIRECT[ch as usize]).filter(|&found| found != ABSENT);
        }
        tables::find(tables::locking(self.locking), ch)
            .or_else(|| tables::find(tables::single(self.single), ch).map(|septet| septet | EXTENDED))
    }
}

/// A character that the encoding lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unencodable {
    /// Its offset in the text, in characters.
    pub index: usize,
    /// The character.
    pub ch: char,
}

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, ch } = *self;
        write!(f, "character {ch:?} (U+{:04X}) at offset {index} is not in the encoding", u32::from(ch))
    }
}

impl std::error::Error for Unencodable {}

/// Octets that are not text in the encoding, found by a strict reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecodable {
    /// Offset of the first octet that cannot be read.
    pub index: usize,
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the octets are no text of the encoding from offset {}", self.index)
    }
}

impl std::error::Error for Undecodable {}

/// Writes a text as septets, one in each octet: the form in which SMPP carries it.
///
/// # Errors
///
/// [`Unencodable`] names the first character that the alphabet lacks.
pub fn encode(text: &str, alphabet: Alphabet) -> Result<Vec<u8>, Unencodable> {
    let mut septets = Vec::with_capacity(text.len());
    for (index, ch) in text.chars().enumerate() {
        let found = alphabet.lookup(ch).ok_or(Unencodable { index, ch })?;
        if found & EXTENDED != 0 {
            septets.push(ESC);
        }
        septets.push(found & !EXTENDED);
    }
    Ok(septets)
}

/// Writes a text as septets with `?` for each character that the alphabet lacks.
#[must_use]
pub fn encode_lossy(text: &str, alphabet: Alphabet) -> Vec<u8> {
    let mut septets = Vec::with_capacity(text.len());
    for ch in text.chars() {
        let found = alphabet.lookup(ch).unwrap_or(b'?');
        if found & EXTENDED != 0 {
            septets.push(ESC);
        }
        septets.push(found & !EXTENDED);
    }
    septets
}

/// Reads septets, one in each octet. Never fails, as a handset never does: an extension code without a
/// character shows the character of the locking table (§6.2.1.1), ESC before ESC or at the end shows a space,
/// and what is no septet or has no character shows U+FFFD.
#[must_use]
pub fn decode(septets: &[u8], alphabet: Alphabet) -> String {
    let mut text = String::with_capacity(septets.len());
    let mut rest = septets.iter().copied();
    while let Some(septet) = rest.next() {
        if septet != ESC {
            text.push(plain(septet, alphabet).unwrap_or(char::REPLACEMENT_CHARACTER));
            continue;
        }
        text.push(match rest.next() {
            None | Some(ESC) => ' ',
            Some(code) => extended(code, alphabet).unwrap_or(char::REPLACEMENT_CHARACTER),
        });
    }
    text
}

/// Reads septets, one in each octet, refusing what a correct writer cannot have produced: octets above 0x7F,
/// ESC at the end, positions without a character. Unknown extension codes are read as the standard says.
///
/// # Errors
///
/// [`Undecodable`] tells where the text stops.
pub fn decode_strict(septets: &[u8], alphabet: Alphabet) -> Result<String, Undecodable> {
    let mut text = String::with_capacity(septets.len());
    let mut rest = septets.iter().copied().enumerate();
    while let Some((index, septet)) = rest.next() {
        let ch = if septet == ESC {
            match rest.next() {
                Some((_, ESC)) => Some(' '),
                Some((_, code)) => extended(code, alphabet),
                None => None,
            }
        } else {
            plain(septet, alphabet)
        };
        text.push(ch.ok_or(Undecodable { index })?);
    }
    Ok(text)
}

fn plain(septet: u8, alphabet: Alphabet) -> Option<char> {
    character(tables::locking(alphabet.locking), septet)
}

fn extended(septet: u8, alphabet: Alphabet) -> Option<char> {
    character(tables::single(alphabet.single), septet).or_else(|| plain(septet, alphabet))
}

fn character(table: &tables::Table, septet: u8) -> Option<char> {
    let code = *table.get(usize::from(septet))?;
    if code == UNASSIGNED { None } else { char::from_u32(u32::from(code)) }
}

/// Packs septets into octets, least significant bit first (§6.1.2.1).
///
/// `fill_bits` (0–6, taken modulo 7) zero bits precede the first septet, which aligns a text after a user
/// data header to a septet border: see [`fill_bits`]. Spare bits at the end are zero.
#[must_use]
pub fn pack(septets: &[u8], fill_bits: u8) -> Vec<u8> {
    let mut octets = Vec::with_capacity((septets.len() * 7 + 7).div_ceil(8));
    let (mut held, mut bits) = (0_u32, u32::from(fill_bits % 7));
    for &septet in septets {
        held |= u32::from(septet & 0x7F) << bits;
        bits += 7;
        while bits >= 8 {
            octets.push((held & 0xFF) as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 && !septets.is_empty() {
        octets.push((held & 0xFF) as u8);
    }
    octets
}

/// Packs septets for a carrier that tells octets but not septets (§6.1.2.3.1): where seven bits are left over
/// they hold [`CR`], and a text that itself ends in CR on an octet border is given a second one.
#[must_use]
pub fn pack_with_cr(septets: &[u8], fill_bits: u8) -> Vec<u8> {
    let bits = usize::from(fill_bits % 7) + septets.len() * 7;
    let spare_septet = bits % 8 == 1;
    let ends_in_cr = bits.is_multiple_of(8) && septets.last() == Some(&CR);
    if !spare_septet && !ends_in_cr {
        return pack(septets, fill_bits);
    }
    let mut padded = septets.to_vec();
    padded.push(CR);
    pack(&padded, fill_bits)
}

/// Unpacks every whole septet of the octets after `fill_bits` bits (0–6, taken modulo 7).
///
/// Seven spare bits at the end come out as a septet more; who knows the number of septets (UDL) truncates to
/// it, who does not calls [`strip_padding`].
#[must_use]
pub fn unpack(octets: &[u8], fill_bits: u8) -> Vec<u8> {
    let mut septets = Vec::with_capacity(octets.len() * 8 / 7);
    let (mut held, mut bits) = (0_u32, 0_u32);
    let mut skip = u32::from(fill_bits % 7);
    for &octet in octets {
        held |= u32::from(octet) << bits;
        bits += 8;
        held >>= skip;
        bits -= skip;
        skip = 0;
        while bits >= 7 {
            septets.push((held & 0x7F) as u8);
            held >>= 7;
            bits -= 7;
        }
    }
    septets
}

/// Removes the septet that is padding by [`pack_with_cr`]'s rule, or seven zero bits, from what [`unpack`]
/// gave.
pub fn strip_padding(septets: &mut Vec<u8>, fill_bits: u8) {
    let ends_on_border = (usize::from(fill_bits % 7) + septets.len() * 7).is_multiple_of(8);
    if ends_on_border && matches!(septets.last(), Some(&(CR | 0))) {
        septets.pop();
    }
}

/// Fill bits between a user data header of `header_octets` (its length octet included) and the first septet.
#[must_use]
pub const fn fill_bits(header_octets: usize) -> u8 {
    ((7 - (header_octets * 8) % 7) % 7) as u8
}

#[cfg(test)]
mod tests;
