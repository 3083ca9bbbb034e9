//! A PDU field by field: names, values, and where each stands. Pure; whatever the octets are, what can be read is read.

use std::ops::Range;

use runtime::trace::Protocol;
use serde::Serialize;

mod cimd2;
mod smpp34;
mod ucp;

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = TraceField)]
pub struct Field {
    /// Its name in its protocol.
    pub name: String,
    /// Its value, and what it means where that is known.
    pub value: String,
    /// Where it stands.
    #[serde(skip)]
    pub at: Range<usize>,
    /// Who may see it.
    #[serde(skip)]
    pub kind: Kind,
}

/// Who may see a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Whoever may see the trace.
    #[default]
    Plain,
    /// Nobody.
    Password,
    /// Who may see messages.
    Text,
    /// Whoever may see the trace; and it is an address, by which traces can be narrowed.
    Address,
}

/// What a PDU is, and its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Dissected {
    /// Its name: `submit_sm`, `51 submit`.
    pub name: String,
    /// Its number within the session.
    pub sequence: u32,
    /// Whether it answers another PDU.
    pub response: bool,
    /// How an answer ended, in words; absent for what is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Its fields, in the order of the octets.
    pub fields: Vec<Field>,
}

/// Reads a PDU.
pub fn dissect(protocol: Protocol, octets: &[u8]) -> Dissected {
    match protocol {
        Protocol::Smpp => smpp34::dissect(octets),
        Protocol::Ucp => ucp::dissect(octets),
        Protocol::Cimd2 => cimd2::dissect(octets),
    }
}

/// Cuts what was written together into PDUs. What is no whole PDU is given as it is.
pub fn pdus(protocol: Protocol, mut octets: &[u8]) -> Vec<Vec<u8>> {
    let mut pdus = Vec::new();
    while !octets.is_empty() {
        let length = match protocol {
            Protocol::Smpp => {
                ::smpp::first_pdu_len(octets, usize::MAX).ok().flatten().unwrap_or(octets.len())
            }
            Protocol::Ucp | Protocol::Cimd2 => {
                octets.iter().position(|octet| *octet == ETX).map_or(octets.len(), |end| end + 1)
            }
        };
        let (pdu, rest) = octets.split_at(length.min(octets.len()));
        pdus.push(framed(protocol, pdu));
        octets = rest;
    }
    pdus
}

const STX: u8 = 0x02;
const ETX: u8 = 0x03;

/// With STX and ETX, which readers leave away.
fn framed(protocol: Protocol, pdu: &[u8]) -> Vec<u8> {
    if protocol == Protocol::Smpp || pdu.first() == Some(&STX) {
        return pdu.to_vec();
    }
    [&[STX], pdu, &[ETX]].concat()
}

/// The mark in place of what is not shown. An octet for an octet, so that lengths stay true.
const MASK: u8 = b'*';

/// Covers the fields of a kind in a PDU's octets.
pub fn mask(protocol: Protocol, octets: &mut [u8], kind: Kind) {
    for field in dissect(protocol, octets).fields {
        if field.kind == kind
            && let Some(covered) = octets.get_mut(field.at)
        {
            covered.fill(MASK);
        }
    }
}

/// A text as it may be shown: what is not printable stands as a point.
fn printable(octets: &[u8]) -> String {
    let shown = |octet: &u8| if (b' '..=b'~').contains(octet) { char::from(*octet) } else { '.' };
    octets.iter().map(shown).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests;
