//! Reading a body: a reader that cannot leave the slice of its one PDU.

use crate::field::{Field, fields};
use crate::time::SmppTime;
use crate::tlvs::TlvsRef;
use crate::{AddressRef, Mode, Npi, Status, Tag, Ton};

/// What is wrong in a body: the status that says so, and the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: Status,
    pub(crate) field: &'static str,
}

impl Field {
    pub(crate) fn fault(self) -> Fault {
        Fault { status: self.status, field: self.name }
    }
}

/// Octets before a TLV's value: tag and length.
pub(crate) const TLV_HEADER: usize = 4;

/// Tag and value of the TLV at the front, and what follows; `None` where no whole TLV is left.
pub(crate) fn split_tlv(octets: &[u8]) -> Option<(Tag, &[u8], &[u8])> {
    let (&[tag_high, tag_low, len_high, len_low], rest) = octets.split_first_chunk::<TLV_HEADER>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([len_high, len_low])))?;
    Some((Tag(u16::from_be_bytes([tag_high, tag_low])), value, rest))
}

/// The part of a body that was not read yet.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    strict: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(body: &'a [u8], mode: Mode) -> Self {
        Self { rest: body, strict: mode == Mode::Strict }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn u8(&mut self, field: Field) -> Result<u8, Fault> {
        let (&octet, rest) = self.rest.split_first().ok_or(field.fault())?;
        self.rest = rest;
        Ok(octet)
    }

    pub(crate) fn u32(&mut self, field: Field) -> Result<u32, Fault> {
        let (octets, rest) = self.rest.split_first_chunk().ok_or(field.fault())?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*octets))
    }

    pub(crate) fn octets(&mut self, len: usize, field: Field) -> Result<&'a [u8], Fault> {
        let (octets, rest) = self.rest.split_at_checked(len).ok_or(field.fault())?;
        self.rest = rest;
        Ok(octets)
    }

    /// A C-octet string without its NUL. A lenient reader takes any length, and a string that ends with the PDU instead
    /// of a NUL.
    pub(crate) fn c_octets(&mut self, field: Field) -> Result<&'a [u8], Fault> {
        match self.rest.iter().position(|&octet| octet == 0) {
            Some(len) if !self.strict || len < field.max => {
                let string = &self.rest[..len];
                self.rest = &self.rest[len + 1..];
                Ok(string)
            }
            None if !self.strict && !self.rest.is_empty() => Ok(std::mem::take(&mut self.rest)),
            _ => Err(field.fault()),
        }
    }

    /// A time; a strict reader refuses what is no SMPP time.
    pub(crate) fn time(&mut self, field: Field) -> Result<&'a [u8], Fault> {
        let text = self.c_octets(field)?;
        if self.strict && !text.is_empty() && SmppTime::parse(text).is_err() {
            return Err(field.fault());
        }
        Ok(text)
    }

    pub(crate) fn address(&mut self, ton: Field, npi: Field, addr: Field) -> Result<AddressRef<'a>, Fault> {
        Ok(AddressRef { ton: Ton(self.u8(ton)?), npi: Npi(self.u8(npi)?), addr: self.c_octets(addr)? })
    }

    pub(crate) fn source(&mut self) -> Result<AddressRef<'a>, Fault> {
        self.address(fields::SOURCE_TON, fields::SOURCE_NPI, fields::SOURCE_ADDR)
    }

    pub(crate) fn destination(&mut self) -> Result<AddressRef<'a>, Fault> {
        self.address(fields::DEST_TON, fields::DEST_NPI, fields::DEST_ADDR)
    }

    /// short_message with its sm_length in front.
    pub(crate) fn short_message(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.u8(fields::SHORT_MESSAGE)?;
        self.octets(usize::from(len), fields::SHORT_MESSAGE)
    }

    /// The TLVs: all that is left.
    pub(crate) fn tlvs(&mut self) -> Result<TlvsRef<'a>, Fault> {
        TlvsRef::read(std::mem::take(&mut self.rest), self.strict)
    }
}
