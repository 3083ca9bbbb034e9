//! Where a message comes from or goes to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Code, Error, Result};

/// Type of number (SMPP v3.4 §5.2.5). Values outside the table are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ton(pub u8);

/// Numbering plan indicator (SMPP v3.4 §5.2.6). Values outside the table are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Npi(pub u8);

impl Ton {
    /// Unknown.
    pub const UNKNOWN: Self = Self(0);
    /// International: the digits begin with a country code.
    pub const INTERNATIONAL: Self = Self(1);
    /// National.
    pub const NATIONAL: Self = Self(2);
    /// Network specific; short codes often travel so.
    pub const NETWORK: Self = Self(3);
    /// Alphanumeric: a name.
    pub const ALPHANUMERIC: Self = Self(5);
}

impl Npi {
    /// Unknown.
    pub const UNKNOWN: Self = Self(0);
    /// ISDN telephone numbering, E.164.
    pub const ISDN: Self = Self(1);
}

/// An address as the wire carries it. A phone number is held as its digits without `+`, with [`Ton::INTERNATIONAL`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// Digits, or a name.
    pub text: String,
    /// Type of number.
    pub ton: Ton,
    /// Numbering plan.
    pub npi: Npi,
}

/// The most digits an E.164 number has.
const E164_DIGITS_MAX: usize = 15;
/// The fewest digits we take for a full number; anything shorter is a short code.
const FULL_NUMBER_DIGITS_MIN: usize = 7;
/// The most characters an alphanumeric sender has (3GPP TS 23.040 §9.1.2.5: 7 bits each in 10 octets).
const NAME_CHARS_MAX: usize = 11;

impl Address {
    /// Reads a recipient: a number in international form with or without `+` or `00`, blanks, dots, dashes and
    /// brackets allowed between digits; or a short code of 3 to 6 digits.
    ///
    /// # Errors
    /// [`Code::InvalidRecipient`] naming what is wrong.
    pub fn recipient(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            Error::new(Code::InvalidRecipient, format!("{text:?} {why}"))
                .at("to")
                .hint("give the number in international form, such as +33612345678")
        };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(refuse("is empty"));
        }
        let (plus, rest) = match trimmed.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, trimmed),
        };
        let mut digits = String::with_capacity(E164_DIGITS_MAX);
        for ch in rest.chars() {
            match ch {
                '0'..='9' => digits.push(ch),
                ' ' | '.' | '-' | '(' | ')' | '\u{a0}' => {}
                other => return Err(refuse(&format!("holds {other:?}, which no phone number does"))),
            }
            if digits.len() > E164_DIGITS_MAX + 2 {
                return Err(refuse("has more than the 15 digits that a phone number can have"));
            }
        }
        let digits = match digits.strip_prefix("00") {
            Some(rest) if !plus => rest.to_owned(),
            _ => digits,
        };
        match digits.len() {
            0..=2 => Err(refuse("has too few digits for a phone number or a short code")),
            3..FULL_NUMBER_DIGITS_MIN if !plus => Ok(Self::short_code(digits)),
            3..FULL_NUMBER_DIGITS_MIN => Err(refuse("has too few digits for an international number")),
            len if len > E164_DIGITS_MAX => {
                Err(refuse("has more than the 15 digits that a phone number can have"))
            }
            _ if digits.starts_with('0') => Err(refuse("begins with 0, which no country code does")),
            _ => Ok(Self::international(digits)),
        }
    }

    /// Reads a sender: a number, a short code, or a name of up to 11 characters.
    ///
    /// # Errors
    /// [`Code::InvalidSender`] naming what is wrong.
    pub fn sender(text: &str) -> Result<Self> {
        let trimmed = text.trim();
        let refuse = |why: &str| {
            Error::new(Code::InvalidSender, format!("{text:?} {why}"))
                .at("from")
                .hint("give a number, a short code, or a name of at most 11 letters, digits and blanks")
        };
        if trimmed.is_empty() {
            return Err(refuse("is empty"));
        }
        if trimmed.starts_with('+') || trimmed.chars().all(|ch| ch.is_ascii_digit()) {
            return Self::recipient(trimmed).map_err(|error| refuse(error.message()));
        }
        if trimmed.chars().count() > NAME_CHARS_MAX {
            return Err(refuse("is longer than the 11 characters a sender's name can have"));
        }
        if let Some(ch) = trimmed.chars().find(|ch| !(' '..='~').contains(ch)) {
            return Err(refuse(&format!("holds {ch:?}; a sender's name is plain ASCII")));
        }
        Ok(Self { text: trimmed.to_owned(), ton: Ton::ALPHANUMERIC, npi: Npi::UNKNOWN })
    }

    /// An international number from its digits.
    pub fn international(digits: String) -> Self {
        Self { text: digits, ton: Ton::INTERNATIONAL, npi: Npi::ISDN }
    }

    /// A short code from its digits.
    pub fn short_code(digits: String) -> Self {
        Self { text: digits, ton: Ton::NETWORK, npi: Npi::UNKNOWN }
    }
}

/// As people write it: an international number with `+`, all else as it is.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ton == Ton::INTERNATIONAL && !self.text.starts_with('+') {
            f.write_str("+")?;
        }
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn recipients_read_as_people_write_them() {
        for text in ["+33612345678", "0033 6 12 34 56 78", "33612345678", "+33 (6) 12.34.56-78"] {
            assert_eq!(Address::recipient(text).unwrap().to_string(), "+33612345678", "{text}");
        }
        assert_eq!(Address::recipient("32665").unwrap().ton, Ton::NETWORK);
    }

    #[test]
    fn refusals_say_why() {
        for (text, why) in [
            ("", "empty"),
            ("12", "too few"),
            ("+12345", "too few"),
            ("0612345678", "begins with 0"),
            ("1234567890123456", "more than the 15"),
            ("+3361234x678", "'x'"),
        ] {
            let error = Address::recipient(text).unwrap_err();
            assert_eq!(error.code(), Code::InvalidRecipient);
            assert!(error.message().contains(why), "{text}: {}", error.message());
        }
    }

    #[test]
    fn senders_may_be_names() {
        assert_eq!(Address::sender("ACME Bank").unwrap().ton, Ton::ALPHANUMERIC);
        assert_eq!(Address::sender("+33612345678").unwrap().ton, Ton::INTERNATIONAL);
        assert!(Address::sender("A much too long name").is_err());
        assert!(Address::sender("Café").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = (Address::recipient(&text), Address::sender(&text));
        }
    }
}
