//! Splitting a long message into parts and joining parts again (3GPP TS 23.040 §9.2.3.24.1).

use std::fmt;
use std::ops::Range;

use crate::gsm::ESC;
use crate::udh::{self, ConcatRef, Width};
use crate::{Alphabet, Encoding};

/// User data that one short message carries, header included (TS 23.040 §9.2.3.16).
pub const USER_DATA_OCTETS: usize = 140;

/// Parts that a message can have: the count is one octet.
pub const MAX_PARTS: usize = 255;

/// How a message is split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The reference that the parts share; an 8 bit one keeps its low octet.
    pub reference: u16,
    /// Width of the reference.
    pub width: Width,
    /// Octets of user data in one part, header included: [`USER_DATA_OCTETS`], or less where a centre wants
    /// so.
    pub user_data_octets: usize,
    /// Information elements (ports, say) that stand in every part after those that splitting needs.
    pub elements: Vec<u8>,
}

impl Default for Options {
    fn default() -> Self {
        Self { reference: 0, width: Width::Bits8, user_data_octets: USER_DATA_OCTETS, elements: Vec::new() }
    }
}

/// How many units fit, for an encoding and a width of reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Units of a message that is not split: septets, octets, or UTF-16 units.
    pub single: usize,
    /// Units of each part of a split one.
    pub part: usize,
}

impl Capacity {
    /// The capacity with the standard [`USER_DATA_OCTETS`] and no further elements: 160 and 153 septets, 140
    /// and 134 octets, 70 and 67 UTF-16 units, less with 16 bit references or national tables.
    #[must_use]
    pub const fn of(encoding: Encoding, width: Width) -> Self {
        Self::within(encoding, width, USER_DATA_OCTETS, 0)
    }

    /// The capacity within `user_data_octets`, of which `element_octets` hold further elements.
    #[must_use]
    pub const fn within(
        encoding: Encoding,
        width: Width,
        user_data_octets: usize,
        element_octets: usize,
    ) -> Self {
        let elements = element_octets
            + match encoding {
                Encoding::Gsm7(alphabet) => alphabet.header_octets(),
                _ => 0,
            };
        let single_header = if elements == 0 { 0 } else { 1 + elements };
        let part_header = 1 + width.element_octets() + elements;
        Self {
            single: units_in(encoding, user_data_octets.saturating_sub(single_header)),
            part: units_in(encoding, user_data_octets.saturating_sub(part_header)),
        }
    }
}

/// Units of an encoding that fit in octets of user data.
const fn units_in(encoding: Encoding, octets: usize) -> usize {
    match encoding {
        Encoding::Gsm7(_) => octets.saturating_mul(8) / 7,
        Encoding::Ucs2 => octets / 2,
        _ => octets,
    }
}

/// One part of a message, ready for one protocol unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its place, where the message has more than one part.
    pub concatenation: Option<ConcatRef>,
    /// The user data header with its length octet; empty where none is needed. Who tells the place by SAR
    /// TLVs instead leaves it out, and sends [`udh::build`] without concatenation where the alphabet needs a
    /// header.
    pub header: Vec<u8>,
    /// The text in the encoding, septets unpacked.
    pub payload: &'a [u8],
}

impl Part<'_> {
    /// Whether the message has to carry the UDHI flag.
    #[must_use]
    pub const fn has_header(&self) -> bool {
        !self.header.is_empty()
    }

    /// `short_message` for SMPP: header and text.
    #[must_use]
    pub fn short_message(&self) -> Vec<u8> {
        [self.header.as_slice(), self.payload].concat()
    }
}

/// Why a message cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsplittable {
    /// It needs more than [`MAX_PARTS`] parts.
    TooLong {
        /// Octets of the message.
        octets: usize,
    },
    /// The header leaves no room for a character.
    NoRoom,
}

impl fmt::Display for Unsplittable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { octets } => write!(f, "{octets} octets need more than {MAX_PARTS} parts"),
            Self::NoRoom => f.write_str("the header leaves no room for text"),
        }
    }
}

impl std::error::Error for Unsplittable {}

/// Splits an encoded message. An empty one is one empty part.
///
/// `body` is what [`Encoding::encode`] gave. No part ends between ESC and its character or within a surrogate
/// pair.
///
/// # Errors
///
/// [`Unsplittable`] where 255 parts do not suffice or the options leave no room.
pub fn segment<'a>(
    body: &'a [u8],
    encoding: Encoding,
    options: &Options,
) -> Result<Vec<Part<'a>>, Unsplittable> {
    let alphabet = match encoding {
        Encoding::Gsm7(alphabet) => alphabet,
        _ => Alphabet::DEFAULT,
    };
    let room = options.user_data_octets.min(USER_DATA_OCTETS);
    if !options.elements.is_empty() && options.elements.len() >= room {
        return Err(Unsplittable::NoRoom);
    }
    let capacity = Capacity::within(encoding, options.width, room, options.elements.len());
    if body.len() <= capacity.single * unit_octets(encoding) {
        let header = udh::build(None, alphabet, &options.elements);
        return Ok(vec![Part { concatenation: None, header, payload: body }]);
    }
    // Two units hold any character: an escape or a surrogate pair.
    if capacity.part < 2 && !matches!(encoding, Encoding::Binary) || capacity.part == 0 {
        return Err(Unsplittable::NoRoom);
    }
    let pieces: Vec<_> = pieces(body, encoding, capacity.part).take(MAX_PARTS + 1).collect();
    let total = u8::try_from(pieces.len()).map_err(|_| Unsplittable::TooLong { octets: body.len() })?;
    let parts = (1..=total).zip(pieces).map(|(part, piece)| {
        let concatenation = ConcatRef::new(options.reference, options.width, total, part);
        Part {
            concatenation,
            header: udh::build(concatenation, alphabet, &options.elements),
            payload: &body[piece],
        }
    });
    Ok(parts.collect())
}

/// The greedy pieces of an encoded message, each of at most `limit` units (and at least one octet, so that it
/// ends).
pub fn pieces(body: &[u8], encoding: Encoding, limit: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let octets = limit.max(1).saturating_mul(unit_octets(encoding));
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= body.len() {
            return None;
        }
        let end = match start.checked_add(octets) {
            Some(end) if end < body.len() => cut(body, encoding, start, end),
            _ => body.len(),
        };
        let piece = start..end;
        start = end;
        Some(piece)
    })
}

/// Moves the end of a piece back where it would part what belongs together.
fn cut(body: &[u8], encoding: Encoding, start: usize, end: usize) -> usize {
    let back = match encoding {
        // Of a run of ESC septets every second one is a character itself: an odd run ends in one that
        // announces.
        Encoding::Gsm7(_) => body[start..end].iter().rev().take_while(|&&septet| septet == ESC).count() % 2,
        Encoding::Ucs2 if end - start >= 2 && matches!(body[end - 2], 0xD8..=0xDB) => {
            if matches!(body.get(end), Some(0xDC..=0xDF)) { 2 } else { 0 }
        }
        _ => 0,
    };
    if end - start > back { end - back } else { end }
}

const fn unit_octets(encoding: Encoding) -> usize {
    if matches!(encoding, Encoding::Ucs2) { 2 } else { 1 }
}

/// Joins the payloads of a message in the order of their numbers; the first of a number counts, as later ones
/// are repetitions. Decode after joining: foreign senders cut characters in two.
///
/// Returns `None` until every part from 1 to `total` is there.
#[must_use]
pub fn join<'a>(total: u8, parts: impl IntoIterator<Item = (u8, &'a [u8])>) -> Option<Vec<u8>> {
    let mut slots: Vec<Option<&[u8]>> = vec![None; usize::from(total)];
    for (number, payload) in parts {
        let slot = usize::from(number).checked_sub(1).and_then(|at| slots.get_mut(at));
        if let Some(slot @ None) = slot {
            *slot = Some(payload);
        }
    }
    let payloads: Vec<&[u8]> = slots.into_iter().collect::<Option<_>>()?;
    if payloads.is_empty() { None } else { Some(payloads.concat()) }
}

#[cfg(test)]
mod tests;
