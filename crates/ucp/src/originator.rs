//! Who a message is from: OAdC with OTOA (EMI/UCP 5.2 §5.1).

use crate::hex;

/// OTOA of an international number.
pub(crate) const INTERNATIONAL: &str = "1139";
/// OTOA of an alphanumeric originator.
pub(crate) const ALPHANUMERIC: &str = "5039";

/// An originating address, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Originator {
    /// Digits, or whatever stands in OAdC where OTOA says nothing of letters.
    Number {
        /// As it stands in OAdC.
        digits: String,
        /// OTOA is 1139.
        international: bool,
    },
    /// Up to 11 septets of the GSM default alphabet, one in each octet.
    Alphanumeric(Vec<u8>),
}

/// Septets that an alphanumeric originator has at most (3GPP TS 23.040 §9.1.2.5).
const SEPTETS_MAX: usize = 11;

impl Originator {
    /// Reads OAdC by OTOA. Packed septets that cannot be read are taken for a number, so that nothing is lost.
    #[must_use]
    pub fn read(oadc: &str, otoa: &str) -> Self {
        let packed = if otoa == ALPHANUMERIC { unpacked(oadc) } else { None };
        match packed {
            Some(septets) => Self::Alphanumeric(septets),
            None => Self::Number { digits: oadc.to_owned(), international: otoa == INTERNATIONAL },
        }
    }

    /// OAdC and OTOA. Septets beyond the eleventh are cut.
    #[must_use]
    pub fn write(&self) -> (String, &'static str) {
        match self {
            Self::Number { digits, international: true } => (digits.clone(), INTERNATIONAL),
            Self::Number { digits, international: false } => (digits.clone(), ""),
            Self::Alphanumeric(septets) => {
                let septets = &septets[..septets.len().min(SEPTETS_MAX)];
                // The first octet counts the half-octets that are used.
                let half_octets = u8::try_from((septets.len() * 7).div_ceil(4)).unwrap_or(u8::MAX);
                (format!("{half_octets:02X}{}", hex::encode(&pack(septets))), ALPHANUMERIC)
            }
        }
    }
}

fn unpacked(oadc: &str) -> Option<Vec<u8>> {
    let octets = hex::decode(oadc)?;
    let (half_octets, packed) = octets.split_first()?;
    let count = usize::from(*half_octets) * 4 / 7;
    (packed.len() == usize::from(*half_octets).div_ceil(2)).then(|| unpack(packed, count))
}

/// Eight septets in seven octets, the first in the lowest bits (3GPP TS 23.038 §6.1.2.1).
fn pack(septets: &[u8]) -> Vec<u8> {
    let mut octets = vec![0_u8; (septets.len() * 7).div_ceil(8)];
    for (place, septet) in septets.iter().enumerate() {
        let (octet, shift) = (place * 7 / 8, place * 7 % 8);
        let bits = u16::from(septet & 0x7F) << shift;
        octets[octet] |= (bits & 0xFF) as u8;
        if let Some(next) = octets.get_mut(octet + 1) {
            *next |= (bits >> 8) as u8;
        }
    }
    octets
}

fn unpack(octets: &[u8], count: usize) -> Vec<u8> {
    let octet = |at: usize| u16::from(octets.get(at).copied().unwrap_or(0));
    let septet = |place: usize| {
        let (at, shift) = (place * 7 / 8, place * 7 % 8);
        ((octet(at) | octet(at + 1) << 8) >> shift & 0x7F) as u8
    };
    (0..count).map(septet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_packed_and_counted_in_half_octets() {
        let name = Originator::Alphanumeric(b"ALPHA\0NUM".to_vec());
        let (oadc, otoa) = name.write();
        assert_eq!((oadc.as_str(), otoa), ("10412614190438AB4D", "5039"));
        assert_eq!(Originator::read(&oadc, otoa), name);
    }

    #[test]
    fn numbers_stay_as_they_are() {
        let number = Originator::read("447700900123", "1139");
        assert_eq!(number, Originator::Number { digits: "447700900123".into(), international: true });
        assert_eq!(number.write(), ("447700900123".into(), "1139"));
        assert!(matches!(Originator::read("12345", ""), Originator::Number { international: false, .. }));
        assert!(matches!(Originator::read("0Fzz", "5039"), Originator::Number { .. }));
        assert!(matches!(Originator::read("FF41", "5039"), Originator::Number { .. }));
    }

    #[test]
    fn every_length_reads_back() {
        for length in 0..=SEPTETS_MAX {
            let septets: Vec<u8> = (0..length).map(|at| 127 - at as u8).collect();
            let (oadc, otoa) = Originator::Alphanumeric(septets.clone()).write();
            assert_eq!(Originator::read(&oadc, otoa), Originator::Alphanumeric(septets), "{oadc}");
        }
    }
}
