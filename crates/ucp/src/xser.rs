//! Extra services: XSer, a list of type, length and data in hexadecimal (EMI/UCP 5.2 §5.1.2).

use crate::hex;

/// User data header, its length octet included (01).
pub const UDH: u8 = 0x01;
/// Data coding scheme (02).
pub const DCS: u8 = 0x02;
/// Billing identifier (0C).
pub const BILLING: u8 = 0x0C;

/// The elements in order. What follows a damaged one is left out.
pub fn elements(field: &str) -> impl Iterator<Item = (u8, Vec<u8>)> {
    let octets = hex::decode(field).unwrap_or_default();
    let mut at = 0;
    std::iter::from_fn(move || {
        let (kind, length) = (*octets.get(at)?, usize::from(*octets.get(at + 1)?));
        let data = octets.get(at + 2..at + 2 + length)?.to_vec();
        at += 2 + length;
        Some((kind, data))
    })
}

/// The first element of a type.
#[must_use]
pub fn find(field: &str, kind: u8) -> Option<Vec<u8>> {
    elements(field).find(|(found, _)| *found == kind).map(|(_, data)| data)
}

/// Appends an element. Data of more than 255 octets has no place in one and is refused with `false`.
pub fn push(field: &mut String, kind: u8, data: &[u8]) -> bool {
    let Ok(length) = u8::try_from(data.len()) else { return false };
    field.push_str(&hex::encode(&[kind, length]));
    field.push_str(&hex::encode(data));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_until_one_is_damaged() {
        let mut field = String::new();
        assert!(push(&mut field, UDH, &[5, 0, 3, 7, 2, 1]) && push(&mut field, DCS, &[8]));
        assert_eq!(field, "0106050003070201020108");
        assert_eq!(find(&field, DCS), Some(vec![8]));
        assert_eq!(find(&field, BILLING), None);
        assert_eq!(elements("0201080C05").count(), 1);
        assert_eq!(elements("zz").count(), 0);
        assert!(!push(&mut field, BILLING, &[0; 256]));
    }
}
