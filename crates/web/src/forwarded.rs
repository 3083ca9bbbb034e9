//! Which address a request came from, where proxies stand in between.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use runtime::config::Network;

/// The most addresses of a header that are looked at: no honest chain of proxies is longer.
const HOPS_MAX: usize = 32;

/// The address of the client. Each proxy adds to the end of `X-Forwarded-For` whom it heard from, so the header is read
/// from its end, and only as long as the one who wrote is a proxy that we trust; whatever stands before that, anyone may
/// have made up.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let lines = headers.get_all("X-Forwarded-For").iter().rev();
    let hops = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        if !is_trusted(client) {
            break;
        }
        // What cannot be read ends the chain at the last proxy that is known.
        let Some(address) = address(hop.trim()) else { break };
        client = address.to_canonical();
    }
    client
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`: proxies write all of them.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, lines: &[&str]) -> String {
        let trusted: Vec<Network> = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).into();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("X-Forwarded-For", line.parse().unwrap());
        }
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_what_a_trusted_proxy_wrote_is_believed() {
        assert_eq!(from("192.0.2.9", &["198.51.100.1"]), "192.0.2.9", "a stranger's header");
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["203.0.113.66, 198.51.100.1"]), "198.51.100.1", "made up before it");
        assert_eq!(from("10.0.0.1", &["203.0.113.66, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(
            from("10.0.0.1", &["203.0.113.66", "198.51.100.1"]),
            "198.51.100.1",
            "the last line is the last hop"
        );
        assert_eq!(from("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3", "the request began inside");
    }

    #[test]
    fn addresses_with_ports_are_read_and_nonsense_ends_the_chain() {
        assert_eq!(from("fd00::1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(from("fd00::1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(from("fd00::1", &["192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(from("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(from("10.0.0.1", &[",,"]), "10.0.0.1");
    }
}
