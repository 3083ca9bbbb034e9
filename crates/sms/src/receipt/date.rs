//! Dates of receipts: wall-clock digits of a centre that does not tell its zone.

use std::fmt;

/// A date and time as the centre's clock showed it, without zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Year in full. Two digits mean 2000–2099.
    pub year: u16,
    /// Month, 1–12.
    pub month: u8,
    /// Day of the month, 1–31.
    pub day: u8,
    /// Hour, 0–23.
    pub hour: u8,
    /// Minute, 0–59.
    pub minute: u8,
    /// Second, 0–59; 0 where the receipt does not tell.
    pub second: u8,
}

impl Date {
    /// Checks the numbers against the calendar.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        let valid = (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
        valid.then_some(Self { year, month, day, hour, minute, second })
    }

    /// Reads `YYMMDDhhmm`, `YYMMDDhhmmss`, `YYYYMMDDhhmm`, `YYYYMMDDhhmmss`, the SMPP time of 16 characters,
    /// and ISO 8601 date and time, with or without its punctuation. Twelve digits are read with two digits of
    /// year where that is a date. `None` for zeros and what is no date. A zone at the end is not interpreted.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = [0_u8; 14];
        let mut count = 0;
        let iso = text.as_bytes().get(4) == Some(&b'-');
        for (at, octet) in text.bytes().enumerate() {
            match octet {
                b'0'..=b'9' if count < digits.len() => {
                    digits[count] = octet - b'0';
                    count += 1;
                }
                // Tenths, quarter hours and sign of the SMPP time.
                b'0'..=b'9' => {}
                b'-' | b':' | b'T' | b't' | b' ' if iso && at < 19 => {}
                b'T' | b't' if count == 8 => {}
                // Fraction or zone.
                _ if count >= 10 => break,
                _ => return None,
            }
        }
        let two_digit_year = !iso && text.len() == 16;
        match count {
            10 => Self::with_short_year(&digits),
            12 if iso => Self::with_full_year(&digits),
            12 => Self::with_short_year(&digits).or_else(|| Self::with_full_year(&digits)),
            14 if two_digit_year => Self::with_short_year(&digits),
            14 => Self::with_full_year(&digits),
            _ => None,
        }
    }

    fn with_short_year(digits: &[u8; 14]) -> Option<Self> {
        let pair = |at: usize| digits[at] * 10 + digits[at + 1];
        Self::new(2000 + u16::from(pair(0)), pair(2), pair(4), pair(6), pair(8), pair(10))
    }

    fn with_full_year(digits: &[u8; 14]) -> Option<Self> {
        let pair = |at: usize| digits[at] * 10 + digits[at + 1];
        let year = u16::from(pair(0)) * 100 + u16::from(pair(2));
        if year == 0 { None } else { Self::new(year, pair(4), pair(6), pair(8), pair(10), pair(12)) }
    }
}

/// Length of the date at the start of a text: a word, and after an ISO 8601 date the next word with the time.
pub(super) fn length(text: &str) -> usize {
    let end = super::word(text);
    let iso_date = end == 10 && text.as_bytes().get(4) == Some(&b'-');
    match text[end..].strip_prefix(' ') {
        Some(after) if iso_date && after.as_bytes().get(2) == Some(&b':') => end + 1 + super::word(after),
        _ => end,
    }
}

/// The ten digits of appendix B, `YYMMDDhhmm`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, .. } = self;
        write!(f, "{:02}{month:02}{day:02}{hour:02}{minute:02}", year % 100)
    }
}
