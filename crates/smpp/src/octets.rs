//! C-octet strings: what SMPP calls "C-Octet String", without its NUL.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

/// How many octets stand in the value itself: addresses (at most 20 octets), times (16) and most message ids cost no
/// allocation.
const INLINE: usize = 22;

/// The octets of a C-octet string, **without** the final NUL (SMPP v5 §3.1.1).
///
/// They are octets, not text: peers send Latin-1 and worse, and an address must leave as it came. [`as_str`](Self::as_str)
/// gives a text for people. A value that holds a NUL cannot be written; encoding refuses it.
#[derive(Clone)]
pub struct COctetString(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, octets: [u8; INLINE] },
    Heap(Box<[u8]>),
}

impl COctetString {
    /// The empty string.
    pub const EMPTY: Self = Self(Repr::Inline { len: 0, octets: [0; INLINE] });

    /// Takes a copy of the octets; a final NUL is not expected.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        if octets.len() > INLINE {
            return Self(Repr::Heap(octets.into()));
        }
        let mut inline = [0; INLINE];
        inline[..octets.len()].copy_from_slice(octets);
        Self(Repr::Inline { len: octets.len() as u8, octets: inline })
    }

    /// The octets, without NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, octets } => &octets[..usize::from(*len)],
            Repr::Heap(octets) => octets,
        }
    }

    /// The octets as text: UTF-8 where they are UTF-8, else each octet as its Latin-1 character. Never fails.
    #[must_use]
    pub fn as_str(&self) -> Cow<'_, str> {
        let octets = self.as_bytes();
        match std::str::from_utf8(octets) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(octets.iter().map(|&octet| char::from(octet)).collect()),
        }
    }

    /// Number of octets, without NUL.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// True where there is no octet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for COctetString {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl PartialEq for COctetString {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for COctetString {}

impl PartialEq<str> for COctetString {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for COctetString {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Hash for COctetString {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for COctetString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

impl fmt::Display for COctetString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str())
    }
}

impl From<&[u8]> for COctetString {
    fn from(octets: &[u8]) -> Self {
        Self::new(octets)
    }
}

impl From<&str> for COctetString {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes())
    }
}

impl From<String> for COctetString {
    fn from(text: String) -> Self {
        Self::new(text.as_bytes())
    }
}

impl AsRef<[u8]> for COctetString {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_strings_are_alike() {
        for len in 0..64 {
            let octets: Vec<u8> = (1..=len).collect();
            let string = COctetString::new(&octets);
            assert_eq!(string.as_bytes(), octets);
            assert_eq!(string.len(), octets.len());
            assert_eq!(string, string.clone());
        }
    }

    #[test]
    fn text_is_never_lost() {
        assert_eq!(COctetString::from("Ünï").as_str(), "Ünï");
        assert_eq!(COctetString::new(b"caf\xe9").as_str(), "café");
        assert_eq!(format!("{:?}", COctetString::new(b"caf\xe9")), "\"caf\\xe9\"");
    }

    #[test]
    fn stays_small() {
        assert_eq!(size_of::<COctetString>(), 24);
    }
}
