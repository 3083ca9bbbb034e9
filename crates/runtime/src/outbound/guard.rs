//! Which addresses users' URLs may reach: what the public internet routes, and what the operator has allowed.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::config::Network;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// IPv4 that is not for the public (RFC 6890 and the IANA special-purpose registry), and services of clouds
/// that answer to any program on the machine. The first match gives the reason.
const REFUSED_V4: &[(Network, &str)] = &[
    (Network::v4(Ipv4Addr::new(169, 254, 169, 254), 32), "a cloud metadata service"),
    (Network::v4(Ipv4Addr::new(100, 100, 100, 200), 32), "a cloud metadata service"),
    (Network::v4(Ipv4Addr::new(168, 63, 129, 16), 32), "a cloud metadata service"),
    (Network::v4(Ipv4Addr::new(192, 0, 0, 192), 32), "a cloud metadata service"),
    (Network::v4(Ipv4Addr::new(0, 0, 0, 0), 8), "an unspecified address"),
    (Network::v4(Ipv4Addr::new(10, 0, 0, 0), 8), "a private address"),
    (Network::v4(Ipv4Addr::new(100, 64, 0, 0), 10), "a shared address of a carrier-grade NAT"),
    (Network::v4(Ipv4Addr::new(127, 0, 0, 0), 8), "a loopback address"),
    (Network::v4(Ipv4Addr::new(169, 254, 0, 0), 16), "a link-local address"),
    (Network::v4(Ipv4Addr::new(172, 16, 0, 0), 12), "a private address"),
    (Network::v4(Ipv4Addr::new(192, 0, 0, 0), 24), "a reserved address"),
    (Network::v4(Ipv4Addr::new(192, 0, 2, 0), 24), "an address for documentation"),
    (Network::v4(Ipv4Addr::new(192, 88, 99, 0), 24), "a reserved address"),
    (Network::v4(Ipv4Addr::new(192, 168, 0, 0), 16), "a private address"),
    (Network::v4(Ipv4Addr::new(198, 18, 0, 0), 15), "an address for benchmarks"),
    (Network::v4(Ipv4Addr::new(198, 51, 100, 0), 24), "an address for documentation"),
    (Network::v4(Ipv4Addr::new(203, 0, 113, 0), 24), "an address for documentation"),
    (Network::v4(Ipv4Addr::new(224, 0, 0, 0), 4), "a multicast address"),
    (Network::v4(Ipv4Addr::new(240, 0, 0, 0), 4), "a reserved address"),
];

/// A name has resolved to nothing that may be reached. Travels through the HTTP client, which keeps it as a
/// cause.
#[derive(Debug)]
struct Refused(&'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Refused {}

/// The judge of addresses; as the client's resolver it sees every name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Guard {
    allowed: Vec<Network>,
}

impl Guard {
    pub(super) fn new(allowed: &[Network]) -> Guard {
        Guard { allowed: allowed.to_vec() }
    }

    /// Says why the address may not be reached.
    pub(super) fn judge(&self, address: IpAddr) -> Result<(), &'static str> {
        let allowed = |address: IpAddr| self.allowed.iter().any(|network| network.contains(address));
        match address {
            IpAddr::V4(v4) => {
                judge_v4(v4).or_else(|reason| if allowed(v4.into()) { Ok(()) } else { Err(reason) })
            }
            IpAddr::V6(v6) if allowed(v6.into()) => Ok(()),
            IpAddr::V6(v6) => match embedded(v6) {
                Some(v4) => self.judge(v4.into()),
                None => judge_v6(v6),
            },
        }
    }

    /// Judges a name before it is resolved: those of this machine itself (RFC 6761, section 6.3) need no
    /// question.
    pub(super) fn judge_name(&self, name: &str) -> Result<(), &'static str> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if name != "localhost" && !name.ends_with(".localhost") {
            return Ok(());
        }
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        if loopback.iter().any(|address| self.judge(*address).is_ok()) {
            return Ok(());
        }
        Err("a loopback address")
    }

    /// The addresses of a name, or of an address written as one, that may be reached; or why none of them may.
    pub(super) async fn addresses(&self, name: &str) -> io::Result<Result<Vec<SocketAddr>, &'static str>> {
        let found: Vec<SocketAddr> = if name.ends_with(".localhost") {
            // This machine's own by definition (RFC 6761, section 6.3); not every resolver knows.
            vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]
        } else {
            tokio::net::lookup_host((name, 0)).await?.take(ADDRESSES_MAX).collect()
        };
        let (mut reachable, mut reason) = (Vec::new(), "it has no address");
        for address in found {
            match self.judge(address.ip()) {
                Ok(()) => reachable.push(address),
                Err(refused) => reason = refused,
            }
        }
        Ok(if reachable.is_empty() { Err(reason) } else { Ok(reachable) })
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Guard::new(&self.allowed);
        Box::pin(async move {
            let reachable = guard.addresses(name.as_str()).await?.map_err(Refused)?;
            let addresses: Addrs = Box::new(reachable.into_iter());
            Ok(addresses)
        })
    }
}

/// The guard's refusal among the causes of a client's error.
pub(super) fn refusal(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if let Some(Refused(reason)) = inner.downcast_ref() {
            return Some(reason);
        }
        cause = inner.source();
    }
    None
}

fn judge_v4(address: Ipv4Addr) -> Result<(), &'static str> {
    match REFUSED_V4.iter().find(|(network, _)| network.contains(address.into())) {
        Some((_, reason)) => Err(reason),
        None => Ok(()),
    }
}

fn judge_v6(address: Ipv6Addr) -> Result<(), &'static str> {
    let segments = address.segments();
    match segments {
        _ if address.is_loopback() => Err("a loopback address"),
        _ if address.is_unspecified() => Err("an unspecified address"),
        _ if address.is_multicast() => Err("a multicast address"),
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] => Err("a cloud metadata service"),
        _ if address.is_unique_local() => Err("a private address"),
        _ if address.is_unicast_link_local() => Err("a link-local address"),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Err("an address for documentation"),
        // RFC 2928: protocols, not hosts; Teredo among them.
        [0x2001, 0..=0x01ff, ..] => Err("a reserved address"),
        // All that is routed so far (RFC 4291, section 2.4).
        [0x2000..=0x3fff, ..] => Ok(()),
        _ => Err("a reserved address"),
    }
}

/// The IPv4 address that a packet to this IPv6 address would reach in the end: mapped (RFC 4291, section
/// 2.5.5.2), compatible (2.5.5.1), translated by NAT64 (RFC 6052) or SIIT (RFC 2765), tunnelled by 6to4 (RFC
/// 3056) or ISATAP (RFC 5214).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => v4(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        [0x2000..=0x3fff, _, _, _, 0 | 0x0200, 0x5efe, high, low] => v4(high, low),
        _ => None,
    }
}
