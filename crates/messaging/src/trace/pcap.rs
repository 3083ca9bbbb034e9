//! A trace as a file that Wireshark reads: pcapng (draft-ietf-opsawg-pcapng), raw IP packets with TCP headers that are made
//! up so that each session is one stream.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use runtime::trace::Direction;

use super::Kept;

/// LINKTYPE_RAW: packets begin with their IP header.
const LINK_TYPE: u16 = 101;
/// Octets of one segment, so that lengths fit the headers of IP.
const SEGMENT_MAX: usize = 32_768;
/// FIN, SYN … (RFC 9293 §3.1): PSH and ACK.
const FLAGS: u8 = 0x18;
const WINDOW: u16 = 65_535;

/// The whole file.
pub(super) fn file<'a>(pdus: impl Iterator<Item = &'a Kept>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut header = Vec::new();
    header.extend(0x1A2B_3C4D_u32.to_le_bytes());
    header.extend(1_u16.to_le_bytes());
    header.extend(0_u16.to_le_bytes());
    // The section's length is not said.
    header.extend(u64::MAX.to_le_bytes());
    block(&mut out, 0x0A0D_0D0A, &header);
    let mut interface = Vec::new();
    interface.extend(LINK_TYPE.to_le_bytes());
    interface.extend(0_u16.to_le_bytes());
    // No limit on a packet's length; time stamps are microseconds unless said otherwise.
    interface.extend(0_u32.to_le_bytes());
    block(&mut out, 1, &interface);
    let mut sent: HashMap<(SocketAddr, SocketAddr), u32> = HashMap::new();
    for pdu in pdus {
        let (from, to) = match pdu.direction {
            Direction::Out => (pdu.line.ours, pdu.line.peer),
            Direction::In => (pdu.line.peer, pdu.line.ours),
        };
        for segment in pdu.octets.chunks(SEGMENT_MAX) {
            let acknowledged = *sent.get(&(to, from)).unwrap_or(&1);
            let sequence = sent.entry((from, to)).or_insert(1);
            let packet = packet(from, to, (*sequence, acknowledged), segment);
            *sequence = sequence.wrapping_add(u32::try_from(segment.len()).unwrap_or(0));
            enhanced(&mut out, pdu.at.unix_ms(), &packet);
        }
    }
    out
}

/// A block: type, length, body, length again; all in units of four octets.
fn block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let padding = body.len().next_multiple_of(4) - body.len();
    let length = u32::try_from(body.len() + padding + 12).unwrap_or(u32::MAX);
    out.extend(kind.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(body);
    out.extend(std::iter::repeat_n(0, padding));
    out.extend(length.to_le_bytes());
}

/// An Enhanced Packet Block.
fn enhanced(out: &mut Vec<u8>, at_ms: i64, packet: &[u8]) {
    let at_us = u64::try_from(at_ms).unwrap_or(0).saturating_mul(1_000);
    let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
    let mut body = Vec::with_capacity(packet.len() + 20);
    body.extend(0_u32.to_le_bytes());
    body.extend(((at_us >> 32) as u32).to_le_bytes());
    body.extend(((at_us & 0xFFFF_FFFF) as u32).to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(packet);
    block(out, 6, &body);
}

fn packet(from: SocketAddr, to: SocketAddr, (sequence, acknowledged): (u32, u32), content: &[u8]) -> Vec<u8> {
    let mut tcp = Vec::with_capacity(20 + content.len());
    tcp.extend(from.port().to_be_bytes());
    tcp.extend(to.port().to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(acknowledged.to_be_bytes());
    tcp.extend([5 << 4, FLAGS]);
    tcp.extend(WINDOW.to_be_bytes());
    // Checksum and urgent pointer.
    tcp.extend([0; 4]);
    tcp.extend(content);
    let length = u16::try_from(tcp.len()).unwrap_or(u16::MAX);
    let (mut ip, pseudo) = match (from.ip().to_canonical(), to.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut ip = vec![0x45, 0];
            ip.extend((length + 20).to_be_bytes());
            // No identification; do not fragment; 64 hops; TCP; checksum below.
            ip.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
            ip.extend(from.octets());
            ip.extend(to.octets());
            let sum = checksum(&[&ip]);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            (ip, [&from.octets()[..], &to.octets()[..]].concat())
        }
        (from, to) => {
            let (from, to) = (wide(from), wide(to));
            let mut ip = vec![0x60, 0, 0, 0];
            ip.extend(length.to_be_bytes());
            ip.extend([6, 64]);
            ip.extend(from.octets());
            ip.extend(to.octets());
            (ip, [&from.octets()[..], &to.octets()[..]].concat())
        }
    };
    let sum = checksum(&[&pseudo, &[0, 6], &length.to_be_bytes(), &tcp]);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    ip.extend(tcp);
    ip
}

fn wide(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// The Internet checksum (RFC 1071) of pieces of which all but the last are even.
fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for piece in pieces {
        for pair in piece.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        }
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_internet_checksum_is_that_of_its_example() {
        // RFC 1071 §3.
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
    }

    #[test]
    fn blocks_are_padded_and_say_their_length_twice() {
        let mut out = Vec::new();
        block(&mut out, 7, b"abcde");
        assert_eq!(out.len(), 20);
        assert_eq!((&out[4..8], &out[16..20]), (&20_u32.to_le_bytes()[..], &20_u32.to_le_bytes()[..]));
    }
}
