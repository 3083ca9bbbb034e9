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
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use types::{Code, Error, Result};

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

/// How long to wait when the system has no more connections to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens for customers' systems until the program stops.
///
/// # Errors
/// [`Code::Unavailable`] when the address cannot be listened on.
pub async fn listen(engine: Engine, address: SocketAddr) -> Result<Server> {
    let listening = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok::<_, std::io::Error>((listener, address))
    };
    let (listener, address) = listening.await.map_err(|error| {
        Error::new(Code::Unavailable, format!("cannot listen for UCP on {address}: {error}"))
    })?;
    let hub = Hub { sessions: Arc::clone(engine.sessions()), engine };
    let tasks = hub.engine.runtime().tasks.clone();
    tasks.spawn("ucp-accept", accept(hub, listener));
    Ok(Server { address })
}

async fn accept(hub: Hub, listener: TcpListener) {
    let runtime = hub.engine.runtime().clone();
    let stopping = runtime.tasks.stopping();
    // Places for connections without a session.
    let strangers = Arc::new(Semaphore::new(runtime.config.smpp.unbound_max));
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => match Arc::clone(&strangers).try_acquire_owned() {
                Ok(place) => {
                    runtime.tasks.spawn("ucp-connection", session::run(hub.clone(), socket, peer, place));
                }
                // Closed at once: who holds connections open without a session must not cost more than this.
                Err(_) => {
                    metrics::counter!("switchboard_ucp_connections_refused_total").increment(1);
                    drop(socket);
                }
            },
            Err(error) => {
                tracing::warn!(%error, "a UCP connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
