//! The UCP/EMI server: customers' systems open a session with us (EMI/UCP 4.6 to 5.2).
//!
//! # Layout
//!
//! - [`listen`] takes connections, as many as the bounds of SMPP's server allow
//! - `session` sees a connection from its first octet to its last, and answers every operation
//! - `submit` takes messages, answered after their commit; `stored` asks after, takes back and changes them
//! - `delivery` writes receipts (53) and inbound messages (52), `refusal` knows what a refusal is on the wire
//!
//! Accounts, sessions, rates and what is given to whom are those of the SMPP server: a system may bind either way.
//!
//! # Where this deviates from the specification
//!
//! - A message is named by its recipient and the second in which it was accepted. Messages to one recipient within one
//!   second have one name; their receipts come in the order of their ends.
//! - All times are in UTC.
//! - The server asks with operation 31 whether a silent peer is there, which the specification has the other way round;
//!   any answer will do.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;
use types::Result;

use crate::door::Door;
use crate::engine::Engine;
use crate::sessions::Sessions;

pub(crate) mod delivery;
mod refusal;
mod session;
mod stored;
mod submit;

pub use refusal::error_code;

/// A listening server. It stops with the runtime's tasks, when what was submitted is answered.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where it listens, with the port that the system chose where 0 was asked for.
    pub address: SocketAddr,
}

/// What all connections share.
#[derive(Clone)]
struct Hub {
    engine: Engine,
    sessions: Arc<Sessions>,
}

/// Listens for customers' systems until the program stops.
///
/// # Errors
/// [`types::Code::Unavailable`] when the address cannot be listened on.
pub async fn listen(engine: Engine, address: SocketAddr) -> Result<Server> {
    let runtime = engine.runtime().clone();
    let hub = Hub { sessions: Arc::clone(engine.sessions()), engine };
    // Places for connections without a session.
    let strangers = Arc::new(Semaphore::new(runtime.config.smpp.unbound_max));
    let within = runtime.tasks.clone();
    let welcome = move |socket, peer| match Arc::clone(&strangers).try_acquire_owned() {
        Ok(place) => within.spawn("ucp-connection", session::run(hub.clone(), socket, peer, place)),
        // Closed at once: who holds connections open without a session must not cost more than this.
        Err(_) => metrics::counter!("switchboard_ucp_connections_refused_total").increment(1),
    };
    let door = Door { protocol: "UCP", task: "ucp-accept" };
    Ok(Server { address: door.open(address, &runtime.tasks, welcome).await? })
}

#[cfg(test)]
mod tests;
