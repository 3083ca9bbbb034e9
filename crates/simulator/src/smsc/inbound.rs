//! Messages from phones to the ESME.

use std::sync::Arc;

use smpp::{Address, COctetString, DataCoding, EsmClass, Npi, Sar, Sm, Ton};
use sms::segment::{Options, segment};
use types::{Code, Error, Result};

/// Makes the deliver_sm of a text, one for each part.
///
/// # Errors
/// An address of more than 20 octets, or a text of more than 255 parts.
pub(super) fn parts(from: &str, to: &str, text: &str, reference: u16, sar: bool) -> Result<Vec<Arc<Sm>>> {
    let (source, destination) = (address(from, "from")?, address(to, "to")?);
    let encoding = sms::count(text, &sms::analysis::Options::default()).encoding;
    let body = encoding.encode_lossy(text);
    let options = Options { reference, ..Options::default() };
    let parts = segment(&body, encoding, &options)
        .map_err(|why| Error::new(Code::TextTooLong, why.to_string()).at("text"))?;
    let deliver = |part: sms::Part<'_>| {
        let mut sm = Sm {
            source: source.clone(),
            destination: destination.clone(),
            data_coding: DataCoding(encoding.data_coding()),
            ..Sm::default()
        };
        match part.concatenation {
            Some(place) if sar => {
                sm.short_message = part.payload.to_vec();
                sm.tlvs.set_sar(Sar { reference, total: place.total, sequence: place.part });
            }
            _ => {
                sm.esm_class = EsmClass::DEFAULT.with_udhi(part.has_header());
                sm.short_message = part.short_message();
            }
        }
        Arc::new(sm)
    };
    Ok(parts.into_iter().map(deliver).collect())
}

fn address(text: &str, field: &str) -> Result<Address> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || digits.len() > 20 || digits.contains('\0') {
        return Err(Error::invalid(field, "an address has 1 to 20 characters"));
    }
    let octets = COctetString::from(digits);
    Ok(match digits.len() {
        _ if !digits.bytes().all(|octet| octet.is_ascii_digit()) => Address::alphanumeric(octets),
        7.. => Address::international(octets),
        _ => Address::new(Ton::NETWORK_SPECIFIC, Npi::UNKNOWN, octets),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_split_either_way() {
        let text = "x".repeat(200);
        let udh = parts("+33612345678", "12345", &text, 7, false).unwrap();
        assert_eq!(udh.len(), 2);
        assert!(udh.iter().all(|part| part.esm_class.udhi()));
        assert_eq!(udh[0].source.ton, Ton::INTERNATIONAL);
        assert_eq!(udh[0].destination.ton, Ton::NETWORK_SPECIFIC);
        let sar = parts("33612345678", "SHOP", &text, 7, true).unwrap();
        assert_eq!(sar[1].tlvs.sar(), Some(Sar { reference: 7, total: 2, sequence: 2 }));
        assert!(!sar[1].esm_class.udhi());
        assert_eq!(sar[0].destination.ton, Ton::ALPHANUMERIC);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        assert!(parts("", "1", "x", 0, false).is_err());
        assert!(parts("1", "123456789012345678901", "x", 0, false).is_err());
        assert!(parts("1", "2", &"x".repeat(50_000), 0, false).is_err());
    }
}
