//! The SMPP server: customers' systems bind to us (SMPP 3.4 and 5.0).
//!
//! # Layout
//!
//! - [`listen`] takes connections, as many as the bounds allow
//! - `connection` shakes hands where the port has TLS, frames what comes in and sees the connection through its end
//! - `bind` lets a customer's system in
//! - `session` answers every operation of a bound system by the state table, and watches its timers
//! - `submit` takes messages: read without a copy, answered in bunches after their commit
//! - `ancillary` asks, takes back and replaces
//! - `deliver_sm` writes receipts and inbound messages; who is bound, and what is given to whom, is common to all protocols
//!   ([`sessions`](crate::sessions), `deliver`)
//! - `outbind` calls systems that are to be called
//! - `refusal` knows what a refusal is on the wire
//!
//! # Where this deviates from the specification
//!
//! - A message id has 13 characters, also towards systems that say they speak SMPP 3.3, where the field holds 8: they are
//!   in practice 3.4 systems that say nothing, and a shorter id could not be told apart.
//! - The id in a submit_multi_resp is that of the first destination that was taken. Each destination is a message of its
//!   own, and its receipt carries that message's id.
//! - A bind is read leniently: passwords longer than 8 octets are in wide use.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use runtime::tls::{Acceptor, Files};
use tokio::sync::Semaphore;
use types::Result;

use crate::door::Door;
use crate::engine::Engine;
use crate::sessions::Sessions;

mod ancillary;
pub(crate) mod bind;
mod connection;
pub(crate) mod deliver_sm;
pub(crate) mod outbind;
mod refusal;
mod session;
pub(crate) mod submit;

pub use refusal::status;

/// A listening server. It stops with the runtime's tasks: peers are sent an unbind, and what they have submitted is
/// answered.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where it listens, with the port that the system chose where 0 was asked for.
    pub address: SocketAddr,
    /// Where it listens for TLS, where the configuration says so.
    pub tls: Option<SocketAddr>,
}

/// What all connections share.
#[derive(Clone)]
struct Hub {
    engine: Engine,
    sessions: Arc<Sessions>,
    /// Places for connections that are not bound yet.
    unbound: Arc<Semaphore>,
}

/// Listens for customers' systems until the program stops: without TLS on `address`, and with it where `[smpp.tls]` says.
///
/// # Errors
/// [`types::Code::Unavailable`] when an address cannot be listened on, or the certificate cannot be used.
pub async fn listen(engine: Engine, address: SocketAddr) -> Result<Server> {
    let runtime = engine.runtime().clone();
    let hub = Hub {
        sessions: Arc::clone(engine.sessions()),
        unbound: Arc::new(Semaphore::new(runtime.config.smpp.unbound_max)),
        engine,
    };
    let config = &runtime.config.smpp.tls;
    let tls = match config.listen.0 {
        Some(address) => {
            let client_ca = (!config.client_ca.as_os_str().is_empty()).then(|| config.client_ca.clone());
            let files = Files { certificate: config.certificate.clone(), key: config.key.clone(), client_ca };
            let every = Duration::from_millis(config.reload_ms);
            let (certificate, keep) = Acceptor::open(files, &[], every, runtime.tasks.stopping()).await?;
            runtime.tasks.spawn("smpp-certificate", keep);
            Some(open(hub.clone(), address, Some(certificate)).await?)
        }
        None => None,
    };
    runtime.tasks.spawn("smpp-outbinds", outbind::call(hub.clone()));
    Ok(Server { address: open(hub, address, None).await?, tls })
}

/// Opens one port, and gives its address.
async fn open(hub: Hub, address: SocketAddr, certificate: Option<Acceptor>) -> Result<SocketAddr> {
    let tasks = hub.engine.runtime().tasks.clone();
    let within = tasks.clone();
    let welcome = move |socket, peer| match Arc::clone(&hub.unbound).try_acquire_owned() {
        Ok(place) => {
            let run = connection::run(hub.clone(), socket, peer, place, certificate.clone());
            within.spawn("smpp-connection", run);
        }
        // Closed at once: who holds connections open without a bind must not cost more than this.
        Err(_) => metrics::counter!("switchboard_smpp_connections_refused_total").increment(1),
    };
    Door { protocol: "SMPP", task: "smpp-accept" }.open(address, &tasks, welcome).await
}

#[cfg(test)]
mod tests;
