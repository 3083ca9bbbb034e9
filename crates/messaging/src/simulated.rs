//! Which connections lead to the built-in simulator, so that a test's message can go nowhere else.
//!
//! It is told by the address alone: nobody can declare a carrier to be a simulator by mistake.

use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

use runtime::Runtime;
use types::{Code, Error};

use crate::connection::{self, Connection, ConnectionSettings, Protocol};
use crate::route::Ask;

#[derive(Default)]
struct BuiltIn(OnceLock<SocketAddr>);

/// Says where the built-in simulator listens; to be called before the engine starts.
pub fn listens_at(runtime: &Runtime, address: SocketAddr) {
    // There is one simulator in a process, and it does not move.
    let _first = runtime.kept(|_| BuiltIn::default()).0.set(address);
}

/// Whether every host of a connection is the built-in simulator.
pub(crate) fn leads_there(runtime: &Runtime, connection: &Connection) -> bool {
    let built_in = runtime.kept(|_| BuiltIn::default());
    built_in.0.get().is_some_and(|address| is_all(&connection.settings, *address))
}

/// No route leads to a message's recipient; for a test's message, none that ends at the simulator.
pub(crate) fn no_route(ask: &Ask<'_>) -> Error {
    let recipient = ask.recipient;
    let error = match ask.test {
        true => Error::new(Code::NoSimulator, format!("no route leads {recipient} to the simulator")),
        false => Error::new(Code::NoRoute, format!("no route leads to {recipient}")),
    };
    error.at("to")
}

fn is_all(settings: &ConnectionSettings, simulator: SocketAddr) -> bool {
    let first = connectors::Host { name: settings.host.clone(), port: settings.port };
    let mut more = settings.hosts.iter().chain(&settings.standby_hosts);
    settings.protocol == Protocol::Smpp
        && is_it(&first, simulator)
        && more.all(|text| connection::host("hosts", text).is_ok_and(|host| is_it(&host, simulator)))
}

/// Whether an address is the simulator's. One that listens on all addresses is certain on the loopback alone.
fn is_it(host: &connectors::Host, simulator: SocketAddr) -> bool {
    let Ok(address) = host.name.parse::<IpAddr>() else { return false };
    let here = match simulator.ip() {
        any if any.is_unspecified() => address.is_loopback(),
        ip => address == ip,
    };
    here && host.port == simulator.port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_must_be_the_simulator() {
        let simulator: SocketAddr = "127.0.0.1:2776".parse().unwrap();
        let to = |host: &str, port: u16, more: &[&str]| ConnectionSettings {
            host: host.to_owned(),
            port,
            hosts: more.iter().map(|host| (*host).to_owned()).collect(),
            ..ConnectionSettings::default()
        };
        assert!(is_all(&to("127.0.0.1", 2776, &[]), simulator));
        assert!(is_all(&to("127.0.0.1", 2776, &["127.0.0.1:2776"]), simulator));
        assert!(!is_all(&to("127.0.0.1", 2775, &[]), simulator), "another port");
        assert!(!is_all(&to("smsc.example", 2776, &[]), simulator), "a name may lead anywhere");
        assert!(!is_all(&to("127.0.0.1", 2776, &["192.0.2.1:2776"]), simulator), "a second host");
        let standby = ConnectionSettings {
            standby_hosts: vec!["192.0.2.1:2776".to_owned()],
            ..to("127.0.0.1", 2776, &[])
        };
        assert!(!is_all(&standby, simulator), "a standby host");
        let everywhere: SocketAddr = "0.0.0.0:2776".parse().unwrap();
        assert!(is_all(&to("127.0.0.1", 2776, &[]), everywhere));
        assert!(!is_all(&to("192.0.2.1", 2776, &[]), everywhere));
    }
}
