//! What the carrier was sent, counted by the markers in the texts.

use std::collections::HashMap;
use std::ops::Range;

use serde::Serialize;
use smpp::DataCoding;

/// Markers of one page.
const PAGE: u64 = 4096;
/// Pages kept: sixteen million markers that stand close together.
const PAGES_MAX: usize = 4096;
/// Entries of the lists that are given out.
const LISTED_MAX: usize = 10_000;

/// How often each text marked `ID<digits>` was taken.
///
/// Counters are one octet each and stop at 255; they stand in pages, so that any range of numbers is
/// compact.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pages: HashMap<u64, Box<[u8; PAGE as usize]>>,
    total: u64,
    distinct: u64,
    repeated: u64,
    beyond: u64,
}

/// What the carrier was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Seen {
    /// Marked texts that were taken, repetitions included.
    pub total: u64,
    /// Different markers among them.
    pub distinct: u64,
    /// Markers that came more than once, with how often, ascending: at most 10,000.
    pub duplicates: Vec<(u64, u8)>,
    /// Texts that came again after the first of their marker: `total - distinct`.
    pub repeated: u64,
    /// Texts whose marker could not be counted, as the ledger is full.
    pub beyond: u64,
}

impl Ledger {
    /// Counts a text, if it has a marker.
    pub(crate) fn count(&mut self, content: &[u8], coding: DataCoding) {
        let Some(id) = marker(content, coding) else { return };
        self.total += 1;
        if self.pages.len() >= PAGES_MAX && !self.pages.contains_key(&(id / PAGE)) {
            self.beyond += 1;
            return;
        }
        let page = self.pages.entry(id / PAGE).or_insert_with(|| Box::new([0; PAGE as usize]));
        let counter = &mut page[(id % PAGE) as usize];
        if *counter == 0 {
            self.distinct += 1;
        } else {
            self.repeated += 1;
        }
        *counter = counter.saturating_add(1);
    }

    pub(crate) fn seen(&self) -> Seen {
        let mut pages: Vec<_> = self.pages.iter().collect();
        pages.sort_by_key(|(number, _)| **number);
        let duplicates = pages
            .into_iter()
            .flat_map(|(number, page)| (number * PAGE..).zip(page.iter().copied()))
            .filter(|(_, count)| *count > 1)
            .take(LISTED_MAX)
            .collect();
        let Self { total, distinct, repeated, beyond, .. } = *self;
        Seen { total, distinct, duplicates, repeated, beyond }
    }

    /// How often a marker was taken, up to 255.
    pub(crate) fn times(&self, id: u64) -> u8 {
        self.pages.get(&(id / PAGE)).map_or(0, |page| page[(id % PAGE) as usize])
    }

    /// The markers of a range that never came: at most 10,000.
    pub(crate) fn missing(&self, range: Range<u64>) -> Vec<u64> {
        range.filter(|id| self.times(*id) == 0).take(LISTED_MAX).collect()
    }
}

/// The number of the first `ID<digits>` of a text. Only these characters are looked at, and they are the
/// same octets in GSM 7 bit, ASCII and Latin-1.
fn marker(content: &[u8], coding: DataCoding) -> Option<u64> {
    let ucs2 = sms::Encoding::from_data_coding(coding.0, sms::Encoding::GSM7) == sms::Encoding::Ucs2;
    if ucs2 {
        let narrow: Vec<u8> =
            content.chunks_exact(2).map(|unit| if unit[0] == 0 { unit[1] } else { 0 }).collect();
        // A user data header of odd length shifts the units by one octet.
        return narrow_marker(&narrow).or_else(|| {
            let shifted = content.get(1..)?;
            let narrow: Vec<u8> =
                shifted.chunks_exact(2).map(|unit| if unit[0] == 0 { unit[1] } else { 0 }).collect();
            narrow_marker(&narrow)
        });
    }
    narrow_marker(content)
}

fn narrow_marker(text: &[u8]) -> Option<u64> {
    let start = text.windows(3).position(|at| at[0] == b'I' && at[1] == b'D' && at[2].is_ascii_digit())? + 2;
    let digits = text[start..].iter().take_while(|octet| octet.is_ascii_digit());
    digits
        .into_iter()
        .try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow(text: &str) -> Option<u64> {
        marker(text.as_bytes(), DataCoding::DEFAULT)
    }

    #[test]
    fn markers_are_found_anywhere() {
        assert_eq!(narrow("Hello ID42 you"), Some(42));
        assert_eq!(narrow("IDs and ID007"), Some(7));
        assert_eq!(narrow("ID"), None);
        assert_eq!(narrow("ID99999999999999999999999"), None);
        let ucs2: Vec<u8> = "Приве́т ID815!".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(marker(&ucs2, DataCoding::UCS2), Some(815));
        let behind_odd_header = [&[6, 8, 4, 0, 1, 2, 1][..], &ucs2].concat();
        assert_eq!(marker(&behind_odd_header, DataCoding::UCS2), Some(815));
    }

    #[test]
    fn repetitions_and_gaps_are_told() {
        let mut ledger = Ledger::default();
        for text in ["ID1", "ID2", "ID1", "no marker", "ID5000", "ID1"] {
            ledger.count(text.as_bytes(), DataCoding::DEFAULT);
        }
        let seen = ledger.seen();
        assert_eq!((seen.total, seen.distinct, seen.repeated), (5, 3, 2));
        assert_eq!(seen.duplicates, [(1, 3)]);
        assert_eq!(ledger.missing(0..4), [0, 3]);
        assert_eq!(ledger.times(5000), 1);
    }

    #[test]
    fn scattered_markers_do_not_fill_the_memory() {
        let mut ledger = Ledger::default();
        for page in 0..PAGES_MAX as u64 + 5 {
            ledger.count(format!("ID{}", page * PAGE).as_bytes(), DataCoding::DEFAULT);
        }
        assert_eq!((ledger.seen().beyond, ledger.pages.len()), (5, PAGES_MAX));
    }
}
