//! What is shown of phones and mail addresses to those who may not see them in full: the one place that masks.

/// Digits of a phone number that are shown at its beginning, and at its end.
const SHOWN_FIRST: usize = 3;
const SHOWN_LAST: usize = 2;
/// A number with fewer digits is a short code, which is nobody's phone.
const PHONE_DIGITS_MIN: usize = 7;

/// An address as it is shown masked: `+336******78`, `a***@example.org`. Short codes and names of senders are no persons and
/// stay as they are.
pub fn identifier(text: &str) -> String {
    if let Some((name, domain)) = text.rsplit_once('@') {
        let first: String = name.chars().take(1).collect();
        return format!("{first}***@{domain}");
    }
    let digits = text.strip_prefix('+').unwrap_or(text);
    let phone = digits.len() >= PHONE_DIGITS_MIN && digits.bytes().all(|octet| octet.is_ascii_digit());
    if !phone {
        return text.to_owned();
    }
    let plus = if digits.len() < text.len() { "+" } else { "" };
    let stars = "*".repeat(digits.len() - SHOWN_FIRST - SHOWN_LAST);
    format!("{plus}{}{stars}{}", &digits[..SHOWN_FIRST], &digits[digits.len() - SHOWN_LAST..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_and_addresses_are_masked_and_senders_are_not() {
        for (whole, masked) in [
            ("+33612345678", "+336******78"),
            ("33612345678", "336******78"),
            ("anna@example.org", "a***@example.org"),
            ("10000", "10000"),
            ("ACME Bank", "ACME Bank"),
            ("", ""),
        ] {
            assert_eq!(identifier(whole), masked);
        }
    }
}
