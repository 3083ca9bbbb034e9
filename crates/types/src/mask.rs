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

/// Running text in which phones and mail addresses are masked wherever they stand alone. What is part of a word, such as an id,
/// stays.
pub fn text(text: &str) -> String {
    let word = |one: char| one.is_alphanumeric() || matches!(one, '_' | '.' | '%' | '+' | '-' | '@');
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(from) = rest.find(word) {
        let (before, run) = rest.split_at(from);
        let (run, behind) = run.split_at(run.find(|one| !word(one)).unwrap_or(run.len()));
        masked.push_str(before);
        // What ends or joins sentences and lists is no part of what it stands beside.
        let core = run.trim_end_matches(['.', '-', '+', '%']);
        masked.push_str(&pieces(core));
        masked.push_str(&run[core.len()..]);
        rest = behind;
    }
    masked.push_str(rest);
    masked
}

/// A run of word characters: an address, or phones between what joins words.
fn pieces(run: &str) -> String {
    if run.contains('@') {
        let address = run.rsplit_once('@').is_some_and(|(name, domain)| {
            !name.is_empty() && domain.contains(|one: char| one.is_alphanumeric())
        });
        return if address { identifier(run) } else { run.to_owned() };
    }
    let parts = run.split_inclusive(['.', '%', '-']);
    parts
        .map(|part| {
            let core = part.trim_end_matches(['.', '%', '-']);
            identifier(core) + &part[core.len()..]
        })
        .collect()
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

    #[test]
    fn running_text_is_masked_where_a_phone_or_an_address_stands_alone() {
        for (whole, masked) in [
            ("to +33612345678, twice: 33612345678.", "to +336******78, twice: 336******78."),
            ("Anna <anna@example.org>;", "Anna <a***@example.org>;"),
            ("msg_0612345678901 of 2026-11-30", "msg_0612345678901 of 2026-11-30"),
            ("@example.org and ab12345678", "@example.org and ab12345678"),
            ("33612345678-33612345679", "336******78-336******79"),
            ("10000 é 12 %", "10000 é 12 %"),
        ] {
            assert_eq!(text(whole), masked);
        }
    }
}
