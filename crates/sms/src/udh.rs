//! User data headers (3GPP TS 23.040 §9.2.3.24): information elements before the text.

use std::fmt;

use crate::{Alphabet, Language};

/// Concatenation with an 8 bit reference.
pub const CONCATENATED_8: u8 = 0x00;
/// Application ports of 8 bits.
pub const PORTS_8: u8 = 0x04;
/// Application ports of 16 bits.
pub const PORTS_16: u8 = 0x05;
/// Concatenation with a 16 bit reference.
pub const CONCATENATED_16: u8 = 0x08;
/// National language single shift.
pub const SINGLE_SHIFT: u8 = 0x24;
/// National language locking shift.
pub const LOCKING_SHIFT: u8 = 0x25;

/// Width of the reference number of a concatenated message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Width {
    /// Element 0x00; a header of 6 octets.
    #[default]
    Bits8,
    /// Element 0x08; a header of 7 octets.
    Bits16,
}

impl Width {
    /// Octets of the concatenation element, identifier and length included.
    #[must_use]
    pub const fn element_octets(self) -> usize {
        match self {
            Self::Bits8 => 5,
            Self::Bits16 => 6,
        }
    }
}

/// Where a part belongs. Parts of one message have source, destination, reference, width and total in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConcatRef {
    /// The reference that all parts share.
    pub reference: u16,
    /// How the reference was carried; 8 and 16 bit references with one value are different messages.
    pub width: Width,
    /// Parts of the message, 1–255.
    pub total: u8,
    /// This part, 1–`total`.
    pub part: u8,
}

impl ConcatRef {
    /// A reference with checked numbers; `None` where a receiver has to ignore it (§9.2.3.24.1): no parts,
    /// part 0 or a part past the last. An 8 bit reference keeps the low octet.
    #[must_use]
    pub const fn new(reference: u16, width: Width, total: u8, part: u8) -> Option<Self> {
        if part == 0 || part > total {
            return None;
        }
        let reference = match width {
            Width::Bits8 => reference & 0xFF,
            Width::Bits16 => reference,
        };
        Some(Self { reference, width, total, part })
    }

    /// Appends the information element.
    fn write(self, octets: &mut Vec<u8>) {
        let [high, low] = self.reference.to_be_bytes();
        match self.width {
            Width::Bits8 => octets.extend([CONCATENATED_8, 3, low]),
            Width::Bits16 => octets.extend([CONCATENATED_16, 4, high, low]),
        }
        octets.extend([self.total, self.part]);
    }
}

/// One information element, borrowed from the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// The identifier; values not known here are kept.
    pub id: u8,
    /// The octets after identifier and length.
    pub data: &'a [u8],
}

/// A user data header, borrowed from the message: the octets between the length octet and the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header<'a> {
    octets: &'a [u8],
}

/// User data whose header is longer than the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated {
    /// What the length octet says.
    pub declared: usize,
    /// Octets that follow it.
    pub present: usize,
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user data header of {} octets, but only {} follow", self.declared, self.present)
    }
}

impl std::error::Error for Truncated {}

/// Splits user data whose message has the UDHI flag into header and text.
///
/// # Errors
///
/// [`Truncated`] where the header's length passes the end. Empty data has an empty header.
pub fn split(user_data: &[u8]) -> Result<(Header<'_>, &[u8]), Truncated> {
    let Some((&length, rest)) = user_data.split_first() else {
        return Ok((Header::default(), user_data));
    };
    rest.split_at_checked(usize::from(length))
        .map(|(octets, text)| (Header { octets }, text))
        .ok_or(Truncated { declared: usize::from(length), present: rest.len() })
}

impl<'a> Header<'a> {
    /// The octets of the elements, without the length octet.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The elements in their order. Stops at an element that passes the end of the header.
    pub fn elements(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let mut rest = self.octets;
        std::iter::from_fn(move || {
            let (&[id, length], after) = rest.split_first_chunk::<2>()?;
            let (data, after) = after.split_at_checked(usize::from(length))?;
            rest = after;
            Some(Element { id, data })
        })
    }

    /// The concatenation, from the last valid element of either width: where an element is repeated the last
    /// one counts (§9.2.3.24). Elements with impossible numbers are ignored.
    #[must_use]
    pub fn concatenation(&self) -> Option<ConcatRef> {
        self.elements().filter_map(|element| element.concatenation()).last()
    }

    /// The application ports `(destination, source)`.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        self.elements()
            .filter_map(|element| match (element.id, element.data) {
                (PORTS_8, &[destination, source]) => Some((u16::from(destination), u16::from(source))),
                (PORTS_16, &[d1, d0, s1, s0]) => {
                    Some((u16::from_be_bytes([d1, d0]), u16::from_be_bytes([s1, s0])))
                }
                _ => None,
            })
            .last()
    }

    /// The tables that a GSM 7 bit text behind the header is read with.
    #[must_use]
    pub fn alphabet(&self) -> Alphabet {
        let mut alphabet = Alphabet::DEFAULT;
        for element in self.elements() {
            match (element.id, element.data) {
                (SINGLE_SHIFT, &[id]) => alphabet.single = Language::from_id(id),
                (LOCKING_SHIFT, &[id]) => alphabet.locking = Language::from_id(id),
                _ => {}
            }
        }
        alphabet
    }
}

impl Element<'_> {
    /// The concatenation that the element tells, if it is one and its numbers are possible.
    #[must_use]
    pub fn concatenation(&self) -> Option<ConcatRef> {
        match (self.id, self.data) {
            (CONCATENATED_8, &[reference, total, part]) => {
                ConcatRef::new(u16::from(reference), Width::Bits8, total, part)
            }
            (CONCATENATED_16, &[high, low, total, part]) => {
                ConcatRef::new(u16::from_be_bytes([high, low]), Width::Bits16, total, part)
            }
            _ => None,
        }
    }
}

/// Builds a header, length octet first: concatenation, then the elements of the alphabet (single shift before
/// locking shift), then `further` elements as they are. Empty where there is nothing to tell, and then UDHI
/// is off.
///
/// `further` past what the length octet can count (255 octets in all) is left out.
#[must_use]
pub fn build(concatenation: Option<ConcatRef>, alphabet: Alphabet, further: &[u8]) -> Vec<u8> {
    let mut header = vec![0];
    if let Some(concatenation) = concatenation {
        concatenation.write(&mut header);
    }
    if alphabet.single != Language::Default {
        header.extend([SINGLE_SHIFT, 1, alphabet.single.id()]);
    }
    if alphabet.locking.has_locking_shift() {
        header.extend([LOCKING_SHIFT, 1, alphabet.locking.id()]);
    }
    if header.len() + further.len() <= 256 {
        header.extend_from_slice(further);
    }
    match u8::try_from(header.len() - 1) {
        Ok(0) | Err(_) => Vec::new(),
        Ok(length) => {
            header[0] = length;
            header
        }
    }
}

/// Whether user data without the UDHI flag starts with a concatenation header all the same: some senders
/// forget the flag. To be asked for text only: hardly any text starts with these octets (`é@¥` in GSM 7 bit),
/// binary data may.
#[must_use]
pub fn looks_like_concatenation(user_data: &[u8]) -> bool {
    let only_concatenation =
        user_data.starts_with(&[5, CONCATENATED_8, 3]) || user_data.starts_with(&[6, CONCATENATED_16, 4]);
    only_concatenation && split(user_data).is_ok_and(|(header, _)| header.concatenation().is_some())
}

#[cfg(test)]
mod tests;
