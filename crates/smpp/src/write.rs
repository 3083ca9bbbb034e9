//! Writing a PDU: fields behind a header whose length is filled in last.

use crate::field::{Field, fields};
use crate::{AddressRef, CommandId, HEADER_LEN, Status};
use std::fmt;

/// A value that does not fit its field. The buffer is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// The field's name in the specification.
    pub field: &'static str,
    /// Why it does not fit.
    pub reason: Unfit,
}

/// Why a value does not fit its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// More octets (of a list: entries) than the field can have.
    TooLong {
        /// What was given.
        len: usize,
        /// What there is room for.
        max: usize,
    },
    /// A NUL inside a C-octet string would end it there.
    Nul,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Unfit::TooLong { len, max } => write!(f, "{}: {len} is more than the {max} that fit", self.field),
            Unfit::Nul => write!(f, "{}: a NUL cannot stand inside a C-octet string", self.field),
        }
    }
}

impl std::error::Error for EncodeError {}

/// Appends one PDU to `out`: header, what `body` writes, and at the end the true command_length.
#[inline]
pub(crate) fn pdu(
    out: &mut Vec<u8>,
    command: CommandId,
    status: Status,
    sequence: u32,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(&header(HEADER_LEN as u32, command, status, sequence));
    let written = body(out).and_then(|()| {
        let len = out.len() - start;
        u32::try_from(len).map_err(|_| too_long("command_length", len, u32::MAX as usize))
    });
    match written {
        Ok(len) => {
            out[start..start + 4].copy_from_slice(&len.to_be_bytes());
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// The sixteen octets of a header.
pub(crate) fn header(length: u32, command: CommandId, status: Status, sequence: u32) -> [u8; HEADER_LEN] {
    let mut octets = [0; HEADER_LEN];
    octets[..4].copy_from_slice(&length.to_be_bytes());
    octets[4..8].copy_from_slice(&command.0.to_be_bytes());
    octets[8..12].copy_from_slice(&status.0.to_be_bytes());
    octets[12..].copy_from_slice(&sequence.to_be_bytes());
    octets
}

#[cold]
pub(crate) fn too_long(field: &'static str, len: usize, max: usize) -> EncodeError {
    EncodeError { field, reason: Unfit::TooLong { len, max } }
}

/// Writes a C-octet string with its NUL. Most are empty or short, so the copy is worth more care than it looks.
#[inline]
pub(crate) fn c_octets(out: &mut Vec<u8>, octets: &[u8], field: Field) -> Result<(), EncodeError> {
    if octets.is_empty() {
        out.push(0);
        return Ok(());
    }
    if octets.len() >= field.max {
        return Err(too_long(field.name, octets.len(), field.max - 1));
    }
    // No early exit, so that it compares many octets at a time.
    if octets.iter().fold(false, |nul, &octet| nul | (octet == 0)) {
        return Err(EncodeError { field: field.name, reason: Unfit::Nul });
    }
    out.extend_from_slice(octets);
    out.push(0);
    Ok(())
}

#[inline]
pub(crate) fn address(out: &mut Vec<u8>, address: AddressRef<'_>, field: Field) -> Result<(), EncodeError> {
    out.extend_from_slice(&[address.ton.0, address.npi.0]);
    c_octets(out, address.addr, field)
}

/// short_message with its sm_length in front.
#[inline]
pub(crate) fn short_message(out: &mut Vec<u8>, octets: &[u8]) -> Result<(), EncodeError> {
    let field = fields::SHORT_MESSAGE;
    let len = u8::try_from(octets.len()).map_err(|_| too_long(field.name, octets.len(), field.max))?;
    out.push(len);
    out.extend_from_slice(octets);
    Ok(())
}

/// A count octet for a list of at most 255 entries.
pub(crate) fn count(out: &mut Vec<u8>, len: usize, field: Field) -> Result<(), EncodeError> {
    out.push(u8::try_from(len).map_err(|_| too_long(field.name, len, field.max))?);
    Ok(())
}
