//! Message ids in the forms that centres use.

use std::io::Write;

use super::settings::IdForm;

/// Appends the id of a message.
pub(super) fn write(form: IdForm, number: u64, out: &mut Vec<u8>) {
    let written = match form {
        IdForm::Decimal => write!(out, "{number}"),
        IdForm::DecimalPadded => write!(out, "{number:020}"),
        IdForm::Hex => write!(out, "{number:x}"),
        IdForm::HexUpper => write!(out, "{number:X}"),
        IdForm::HexPadded => write!(out, "{number:016x}"),
        IdForm::Uuid => {
            // Looks like chance and is not: the same number always has the same id.
            let noise = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let (a, b, c) = (noise >> 32, noise >> 16 & 0xFFFF, noise & 0xFFF);
            write!(out, "{a:08x}-{b:04x}-4{c:03x}-{:04x}-{:012x}", number >> 48, number & 0xFFFF_FFFF_FFFF)
        }
    };
    written.expect("memory takes what is written to it");
}

/// The number of an id in this form, as a query brings it back.
pub(super) fn read(form: IdForm, id: &[u8]) -> Option<u64> {
    let id = std::str::from_utf8(id).ok()?;
    match form {
        IdForm::Decimal | IdForm::DecimalPadded => id.parse().ok(),
        IdForm::Hex | IdForm::HexUpper | IdForm::HexPadded => u64::from_str_radix(id, 16).ok(),
        IdForm::Uuid => {
            let (rest, low) = id.rsplit_once('-')?;
            let (_, high) = rest.rsplit_once('-')?;
            let digits = [high, low].concat();
            u64::from_str_radix(&digits, 16).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_reads_back() {
        let forms = [
            IdForm::Decimal,
            IdForm::DecimalPadded,
            IdForm::Hex,
            IdForm::HexUpper,
            IdForm::HexPadded,
            IdForm::Uuid,
        ];
        for form in forms {
            for number in [0, 1, 255, 1_790_000_000_000_123, u64::MAX] {
                let mut id = Vec::new();
                write(form, number, &mut id);
                assert!(id.len() <= 64);
                assert_eq!(read(form, &id), Some(number), "{form:?}");
            }
        }
        assert_eq!(read(IdForm::Uuid, b"no"), None);
        assert_eq!(read(IdForm::Decimal, b"\xff"), None);
    }

    #[test]
    fn forms_look_as_they_are_called() {
        let shown = |form| {
            let mut id = Vec::new();
            write(form, 0xABC_DEF0, &mut id);
            String::from_utf8(id).unwrap()
        };
        assert_eq!(shown(IdForm::HexPadded), "000000000abcdef0");
        assert_eq!(shown(IdForm::HexUpper), "ABCDEF0");
        assert_eq!(shown(IdForm::DecimalPadded), "00000000000180150000");
        assert_eq!(shown(IdForm::Uuid).len(), 36);
    }
}
