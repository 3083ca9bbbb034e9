//! Text and octets in hexadecimal: two upper-case digits for each (EMI/UCP 5.2 §3.3).

/// Octets as upper-case hexadecimal digits.
#[must_use]
pub fn encode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 2);
    for octet in octets {
        for digit in [octet >> 4, octet & 0x0F] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
        }
    }
    text
}

/// The octets that digits of either case stand for; `None` where they are no whole pairs of digits.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |octet: u8| char::from(octet).to_digit(16);
    digits.chunks(2).map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_digits_in_either_case() {
        assert_eq!(encode(&[0x00, 0x4D, 0xFF]), "004DFF");
        assert_eq!(decode("004dFf"), Some(vec![0x00, 0x4D, 0xFF]));
        assert_eq!(decode(""), Some(vec![]));
        for wrong in ["0", "0g", "+1", "é"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
