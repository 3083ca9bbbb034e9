//! Types of single settings: secrets that never print, networks, and the closed choices.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Shown in place of anything secret.
const MASK: &str = "***";

/// A text that is never shown: `Debug` and `Serialize` print `***`, and the memory is wiped when it is
/// dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: String) -> Self {
        Secret(Zeroizing::new(text))
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing was set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Secret(none)" } else { "Secret(***)" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { MASK })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

/// Address of a database. `Debug` and `Serialize` show it without the password.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Wraps an address: `sqlite:PATH`, `postgres://…`, or nothing for the SQLite file in the data folder.
    pub fn new(url: impl Into<String>) -> Self {
        DatabaseUrl(url.into())
    }

    /// The address with its password, for the connection alone.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The address as it may be shown. What cannot be read as a URL is hidden whole, as a password may be
    /// anywhere in it.
    pub fn masked(&self) -> String {
        if self.0.is_empty() || self.0.starts_with("sqlite:") {
            return self.0.clone();
        }
        let Some(mut url) = url::Url::parse(&self.0).ok().filter(|url| !url.cannot_be_a_base()) else {
            return MASK.to_owned();
        };
        if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
            return MASK.to_owned();
        }
        // libpq takes the password as a parameter too.
        let secret = |name: &str| name.contains("password") || name.contains("key");
        if url.query_pairs().any(|(name, _)| secret(&name)) {
            let kept: Vec<(String, String)> = url
                .query_pairs()
                .map(|(name, value)| {
                    let shown = if secret(&name) { MASK.to_owned() } else { value.into_owned() };
                    (name.into_owned(), shown)
                })
                .collect();
            url.query_pairs_mut().clear().extend_pairs(kept);
        }
        url.into()
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({:?})", self.masked())
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

/// An address to listen on, or none, which is written as an empty text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Listen(pub Option<SocketAddr>);

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(address) => serializer.collect_str(&address),
            None => serializer.serialize_str(""),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "" => Ok(Self(None)),
            text => text.parse().map(|address| Self(Some(address))).map_err(serde::de::Error::custom),
        }
    }
}

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Not at all.
    None,
    /// From STARTTLS on (RFC 3207), which the server must know.
    Starttls,
    /// From the first octet on (RFC 8314).
    Implicit,
}

/// What a key management service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KmsProvider {
    /// There is none.
    Off,
    /// AWS KMS.
    Aws,
    /// The transit engine of HashiCorp Vault or OpenBao.
    Vault,
}

/// How much SQLite waits for the disk at each commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// Survives a power cut.
    Full,
    /// Survives a crash of the program only.
    Normal,
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// A network in CIDR form (RFC 4632, RFC 4291 section 2.3), e.g. `10.0.0.0/8` or `fd00::/8`. A bare address
/// is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address lies in the network. An IPv4-mapped IPv6 address counts as the IPv4 address that
    /// it carries.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }

    /// Whether the network holds every address of its family.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// The network from `address` with the given number of leading bits.
    pub(crate) const fn v4(address: Ipv4Addr, prefix: u8) -> Self {
        Network { address: IpAddr::V4(address), prefix }
    }
}

impl FromStr for Network {
    type Err = String;

    /// Reads `ADDRESS` or `ADDRESS/PREFIX`. Bits after the prefix must be zero: `10.0.0.1/8` is more often a
    /// slip than meant.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr =
            address.trim().parse().map_err(|_| format!("{text:?} does not begin with an IP address"))?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(digits) => digits
                .trim()
                .parse()
                .ok()
                .filter(|prefix| *prefix <= bits)
                .ok_or_else(|| format!("{text:?} needs a prefix of 0 to {bits}"))?,
        };
        let network = Network { address, prefix };
        let beyond = match address {
            IpAddr::V4(a) => u128::from(a.to_bits().checked_shl(u32::from(prefix)).unwrap_or(0)),
            IpAddr::V6(a) => a.to_bits().checked_shl(u32::from(prefix)).unwrap_or(0),
        };
        if beyond != 0 {
            return Err(format!("{text:?} has bits set after its prefix of {prefix}"));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_other() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "2001:db8::1", true),
        ];
        for (network, address, inside) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network} {address}");
        }
    }

    #[test]
    fn a_network_that_cannot_be_meant_is_refused() {
        for text in [
            "",
            "10",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.1/8",
            "::1/64",
            "fd00::/129",
            "localhost/8",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = Secret::new("correct horse".into());
        assert_eq!(format!("{secret:?} {}", serde_json::to_string(&secret).unwrap()), "Secret(***) \"***\"");
        assert_eq!(secret.expose(), "correct horse");
        let shown = [
            ("postgres://u:hunter2@db/sms", "postgres://u:***@db/sms"),
            ("postgres://db/sms?user=u&password=hunter2", "postgres://db/sms?user=u&password=***"),
            ("postgres://u@db/sms", "postgres://u@db/sms"),
            ("sqlite:/var/lib/sms.db", "sqlite:/var/lib/sms.db"),
            ("u:hunter2 at db", "***"),
            ("", ""),
        ];
        for (url, masked) in shown {
            assert_eq!(DatabaseUrl::new(url).masked(), masked);
            assert!(!format!("{:?}", DatabaseUrl::new(url)).contains("hunter2"));
        }
    }
}
