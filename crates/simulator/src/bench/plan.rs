//! Which messages a run sends, and how each is written.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use smpp::{
    Address, AddressRef, COctetString, DataCoding, EncodeError, EsmClass, Npi, RegisteredDelivery, SmRef, Ton,
};
use sms::Encoding;
use sms::segment::{Capacity, Options as Split, segment};
use types::{Error, Result};

use super::Options;

/// A part of a message that is to be sent, and the account it has in the ledger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    /// The message's place in the run.
    pub(super) message: u64,
    /// 0 for a message that is not split, else 1 on.
    pub(super) part: u8,
    pub(super) unit: u32,
}

/// Gives out messages until the run has enough, and writes them. The same message is always written the
/// same.
#[derive(Debug)]
pub(super) struct Plan {
    encoding: Encoding,
    /// The text before and after the number.
    head: String,
    tail: String,
    head_octets: Vec<u8>,
    tail_octets: Vec<u8>,
    /// What makes a text long enough for two parts.
    filler: String,
    long_percent: u64,
    source: Address,
    destination: String,
    destinations: u64,
    first_id: u64,
    count: Option<u64>,
    issued: AtomicU64,
    stopped: AtomicBool,
    receipts: RegisteredDelivery,
}

/// Octets that numbers in texts take at most: twenty digits, two octets each.
const NUMBER_OCTETS: usize = 40;

impl Plan {
    /// Checks the options that say what to send.
    ///
    /// # Errors
    /// A text without `{n}` or too long, or an address that does not fit.
    pub(super) fn new(options: &Options) -> Result<Self> {
        let (head, tail) = options
            .text
            .split_once("{n}")
            .ok_or_else(|| Error::invalid("text", "the text needs {n}, where the message's number goes"))?;
        let encoding = sms::count(&options.text, &sms::analysis::Options::default()).encoding;
        let (head_octets, tail_octets) = (encoding.encode_lossy(head), encoding.encode_lossy(tail));
        let single = Capacity::of(encoding, sms::Width::Bits8).single;
        let units = if encoding == Encoding::Ucs2 { 2 } else { 1 };
        if head_octets.len() + tail_octets.len() + NUMBER_OCTETS > single * units {
            return Err(Error::invalid("text", "the text must fit one part; long_percent makes long ones"));
        }
        if options.source.is_empty() || options.source.len() > 20 {
            return Err(Error::invalid("source", "an address has 1 to 20 characters"));
        }
        if options.destination.len() + 8 > 20 {
            return Err(Error::invalid("destination", "the prefix has at most 12 digits; eight more follow"));
        }
        let numeric = options.source.bytes().all(|octet| octet.is_ascii_digit());
        Ok(Self {
            encoding,
            head: head.to_owned(),
            tail: tail.to_owned(),
            head_octets,
            tail_octets,
            filler: "0123456789".repeat(single.div_ceil(10)),
            long_percent: u64::from(options.long_percent.min(100)),
            source: if numeric {
                Address::new(Ton::INTERNATIONAL, Npi::ISDN, options.source.as_str())
            } else {
                Address::alphanumeric(options.source.as_str())
            },
            destination: options.destination.clone(),
            destinations: u64::from(options.destinations.clamp(1, 100_000_000)),
            first_id: options.first_id,
            count: options.count,
            issued: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            receipts: if options.receipts { RegisteredDelivery::FINAL } else { RegisteredDelivery::NONE },
        })
    }

    /// The next message, with its number of parts; `None` when there are no more.
    pub(super) fn next(&self) -> Option<(u64, u8)> {
        if self.is_exhausted() {
            return None;
        }
        let message = self.issued.fetch_add(1, Ordering::Relaxed);
        if self.count.is_some_and(|count| message >= count) {
            self.issued.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        // Spread evenly, and the same in every run.
        let long = message.wrapping_mul(61) % 100 < self.long_percent;
        Some((message, if long { 2 } else { 1 }))
    }

    pub(super) fn issued(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }

    /// Gives out no more.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.count.is_some_and(|count| self.issued() >= count)
    }

    /// Appends the submit_sm of a job; `text` is a buffer to be used again.
    pub(super) fn write(
        &self,
        job: Job,
        sequence: u32,
        text: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), EncodeError> {
        let number = itoa(self.first_id.wrapping_add(job.message));
        let digits = number.digits();
        text.clear();
        if job.part == 0 {
            text.extend_from_slice(&self.head_octets);
            match self.encoding {
                Encoding::Ucs2 => text.extend(digits.iter().flat_map(|&digit| [0, digit])),
                _ => text.extend_from_slice(digits),
            }
            text.extend_from_slice(&self.tail_octets);
        } else {
            self.write_part(job, digits, text);
        }
        // Nine digits, of which the first only keeps the zeros.
        let place = itoa(100_000_000 + job.message % self.destinations);
        let to = [self.destination.as_bytes(), &place.digits()[1..]].concat();
        let submit = SmRef {
            source: self.source.view(),
            destination: AddressRef { ton: Ton::INTERNATIONAL, npi: Npi::ISDN, addr: &to },
            esm_class: EsmClass::DEFAULT.with_udhi(job.part > 0),
            registered_delivery: self.receipts,
            data_coding: DataCoding(self.encoding.data_coding()),
            short_message: text,
            ..SmRef::default()
        };
        smpp::encode_submit_sm(sequence, &submit, out)
    }

    fn write_part(&self, job: Job, digits: &[u8], text: &mut Vec<u8>) {
        let number = COctetString::new(digits);
        let whole = [&self.head, &*number.as_str(), &self.tail, " ", &self.filler].concat();
        let body = self.encoding.encode_lossy(&whole);
        let options = Split { reference: (job.message & 0xFF) as u16, ..Split::default() };
        // Two parts always fit, and always are needed.
        let parts = segment(&body, self.encoding, &options).unwrap_or_default();
        if let Some(part) = parts.get(usize::from(job.part) - 1) {
            text.extend_from_slice(&part.header);
            text.extend_from_slice(part.payload);
        }
    }
}

/// A number's decimal digits, without an allocation.
struct Digits {
    octets: [u8; 20],
    start: usize,
}

fn itoa(mut number: u64) -> Digits {
    let mut digits = Digits { octets: [b'0'; 20], start: 20 };
    loop {
        digits.start -= 1;
        digits.octets[digits.start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return digits;
        }
    }
}

impl Digits {
    fn digits(&self) -> &[u8] {
        &self.octets[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use smpp::{HEADER_LEN, Mode};

    use super::*;

    fn written(plan: &Plan, message: u64, part: u8) -> smpp::Sm {
        let mut out = Vec::new();
        plan.write(Job { message, part, unit: 0 }, 1, &mut Vec::new(), &mut out).unwrap();
        smpp::decode_sm(&out[HEADER_LEN..], Mode::Strict).unwrap().to_owned()
    }

    #[test]
    fn texts_carry_their_number() {
        let options = Options { first_id: 40, text: "Hi ID{n}.".to_owned(), ..Options::default() };
        let plan = Plan::new(&options).unwrap();
        let sm = written(&plan, 2, 0);
        assert_eq!(sm.short_message, b"Hi ID42.");
        assert_eq!(sm.destination.addr.len(), options.destination.len() + 8);
        assert!(!sm.esm_class.udhi());
        let wide = Plan::new(&Options { text: "Да ID{n}".to_owned(), ..Options::default() }).unwrap();
        let sm = written(&wide, 7, 0);
        assert_eq!(Encoding::Ucs2.decode(&sm.short_message), "Да ID7");
    }

    #[test]
    fn long_messages_have_two_parts() {
        let plan = Plan::new(&Options { long_percent: 100, ..Options::default() }).unwrap();
        assert_eq!(plan.next().map(|(_, parts)| parts), Some(2));
        let parts = [written(&plan, 5, 1), written(&plan, 5, 2)];
        let texts: Vec<_> = parts.iter().map(|sm| sms::udh::split(&sm.short_message).unwrap()).collect();
        assert_eq!(texts[0].0.concatenation().map(|place| (place.part, place.total)), Some((1, 2)));
        assert_eq!(texts[1].0.concatenation().map(|place| (place.part, place.total)), Some((2, 2)));
        assert!(texts[0].1.windows(3).any(|at| at == b"ID5"));
    }

    #[test]
    fn so_many_are_given_out_and_no_more() {
        let plan = Plan::new(&Options { count: Some(200), long_percent: 25, ..Options::default() }).unwrap();
        let parts: Vec<u8> = std::iter::from_fn(|| plan.next()).map(|(_, parts)| parts).collect();
        assert_eq!((parts.len(), parts.iter().filter(|&&parts| parts == 2).count()), (200, 50));
        assert!(plan.is_exhausted());
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for text in ["no number".to_owned(), format!("{{n}}{}", "x".repeat(160))] {
            assert!(Plan::new(&Options { text, ..Options::default() }).is_err());
        }
        assert!(Plan::new(&Options { source: String::new(), ..Options::default() }).is_err());
        let destination = "1".repeat(13);
        assert!(Plan::new(&Options { destination, ..Options::default() }).is_err());
    }
}
