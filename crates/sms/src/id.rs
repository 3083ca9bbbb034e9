//! Message identifiers that a centre writes one way in its response and another way in its receipt.
//!
//! The forms met: hexadecimal here and decimal there, zeros in front up to 10 or 16 characters, either case.
//! Identifiers are texts: decimal ones of 20 to 30 digits, past any machine integer in common use, do occur.
//!
//! To match with a few look-ups, store [`key`] of the identifier in the response beside the identifier
//! itself, and look up each of [`candidates`] of the identifier in the receipt until one is found.

use std::borrow::Cow;

/// Characters, zeros in front aside, up to which an identifier is taken for a number. What is longer is a
/// UUID or a digest, for which the other base means nothing.
pub const MAX_NUMBER: usize = 30;

/// How a connection writes an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Form {
    /// A text, compared without regard to case and zeros in front.
    #[default]
    Text,
    /// A decimal number.
    Decimal,
    /// A hexadecimal number.
    Hexadecimal,
}

/// The form under which identifiers of one message are equal, where the forms on a connection are known: for
/// the two numeric forms the decimal number, else (and where the digits do not fit the form) the [`key`].
#[must_use]
pub fn canonical(id: &str, form: Form) -> Cow<'_, str> {
    let key = key(id);
    match form {
        Form::Text | Form::Decimal => key,
        Form::Hexadecimal => match hexadecimal_to_decimal(&key) {
            Some(decimal) => Cow::Owned(decimal),
            None => key,
        },
    }
}

/// The identifier in lower case without blanks around it and zeros in front; `0` where nothing else is left.
#[must_use]
pub fn key(id: &str) -> Cow<'_, str> {
    let id = trim(id);
    let stripped = id.trim_start_matches('0');
    // An empty identifier stays empty: it must not match the identifier 0.
    let stripped = if stripped.is_empty() && !id.is_empty() { "0" } else { stripped };
    if stripped.bytes().any(|octet| octet.is_ascii_uppercase()) {
        Cow::Owned(stripped.to_ascii_lowercase())
    } else {
        Cow::Borrowed(stripped)
    }
}

/// The stored forms that an identifier in a receipt may stand for, the most trusted first, none twice: as it
/// is, its [`key`], read as decimal and written in hexadecimal, read as hexadecimal and written in decimal.
/// Empty for an empty identifier.
pub fn candidates(id: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let exact = trim(id);
    let key = key(id);
    let hexadecimal = decimal_to_hexadecimal(&key).filter(|other| *other != key && other != exact);
    let decimal = hexadecimal_to_decimal(&key).filter(|other| *other != key && other != exact);
    let key = Some(key).filter(|key| key != exact);
    let exact = Some(exact).filter(|exact| !exact.is_empty());
    exact
        .map(Cow::Borrowed)
        .into_iter()
        .chain(key)
        .chain([hexadecimal, decimal].into_iter().flatten().map(Cow::Owned))
}

/// A decimal identifier in hexadecimal, lower case, without zeros in front. `None` where it is no decimal
/// number of at most [`MAX_NUMBER`] digits.
#[must_use]
pub fn decimal_to_hexadecimal(id: &str) -> Option<String> {
    number(id, 10).map(|number| format!("{number:x}"))
}

/// A hexadecimal identifier in decimal, without zeros in front. `None` where it is no hexadecimal number of
/// at most [`MAX_NUMBER`] digits.
#[must_use]
pub fn hexadecimal_to_decimal(id: &str) -> Option<String> {
    number(id, 16).map(|number| number.to_string())
}

/// A number as a receipt's `id` field has it (SMPP v3.4 appendix B): ten decimal digits, more where ten do
/// not suffice.
#[must_use]
pub fn ten_digits(number: u64) -> String {
    format!("{number:010}")
}

fn number(id: &str, radix: u32) -> Option<u128> {
    let digits = trim(id);
    // `from_str_radix` takes a sign; an identifier has none.
    let plain = digits.bytes().all(|octet| octet.is_ascii_alphanumeric());
    let significant = digits.trim_start_matches('0');
    (plain && significant.len() <= MAX_NUMBER).then(|| u128::from_str_radix(digits, radix).ok()).flatten()
}

/// Blanks and NULs around an identifier are carrier dirt.
fn trim(id: &str) -> &str {
    id.trim_matches(|ch: char| ch.is_whitespace() || ch == '\0')
}

#[cfg(test)]
mod tests;
