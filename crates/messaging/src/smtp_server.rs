//! The SMTP server: mail for phones, answers to mails about messages from phones, and notifications (RFC 5321, 6409).
//!
//! # Layout
//!
//! - [`listen`] takes connections, as many as the bounds allow
//! - `connection` reads, writes, keeps times, and begins TLS
//! - `desk` decides what the protocol asks: who may send, where, and what becomes of a mail
//! - `refusal` knows what a refusal is in reply codes
//!
//! The order of commands is the crate `smtp`'s. A mail is answered with 250 when all that it became is durable. It is taken as
//! a whole or not at all: SMTP has one answer for a mail, so what is wrong with one recipient is told at its RCPT where it
//! can be known, and refuses the mail where only the text tells.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runtime::tls::{Acceptor, Files};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::Result;

use crate::door::Door;
use crate::engine::Engine;

mod connection;
mod desk;
mod refusal;

pub use refusal::reply_code;

/// A listening server. It stops with the runtime's tasks: clients are told 421, and a mail that has come is answered.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where it listens, with the port that the system chose where 0 was asked for.
    pub address: SocketAddr,
    /// Where it listens for TLS from the first octet on, where the configuration says so.
    pub tls: Option<SocketAddr>,
}

/// What all connections share.
#[derive(Clone)]
struct Hub {
    engine: Engine,
    places: Arc<Semaphore>,
    /// Connections open from each address.
    of: Arc<Mutex<HashMap<IpAddr, usize>>>,
    certificate: Option<Acceptor>,
}

/// A connection's place among the others; free again when it is dropped.
struct Place {
    hub: Hub,
    address: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Hub {
    fn place(&self, address: IpAddr) -> Option<Place> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let open = of.entry(address).or_default();
        if *open >= self.engine.runtime().config.smtp.connections_per_address_max {
            return None;
        }
        *open += 1;
        drop(of);
        Some(Place { hub: self.clone(), address, _place: place })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of = self.hub.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = of.get_mut(&self.address) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                of.remove(&self.address);
            }
        }
    }
}

/// Listens for mail until the program stops.
///
/// # Errors
/// [`types::Code::Unavailable`] when an address cannot be listened on, or the certificate cannot be used.
pub async fn listen(engine: Engine) -> Result<Server> {
    let runtime = engine.runtime().clone();
    let config = &runtime.config.smtp;
    let certificate = match config.tls.is_on() {
        true => {
            let files = Files {
                certificate: config.tls.certificate.clone(),
                key: config.tls.key.clone(),
                client_ca: None,
            };
            let every = Duration::from_millis(config.tls.reload_ms);
            let (certificate, keep) = Acceptor::open(files, &[], every, runtime.tasks.stopping()).await?;
            runtime.tasks.spawn("smtp-certificate", keep);
            Some(certificate)
        }
        false => None,
    };
    let hub = Hub {
        places: Arc::new(Semaphore::new(config.connections_max.min(Semaphore::MAX_PERMITS))),
        of: Arc::default(),
        certificate,
        engine,
    };
    let tls = match config.tls.listen.0 {
        Some(address) => Some(open(hub.clone(), address, true).await?),
        None => None,
    };
    Ok(Server { address: open(hub, config.listen, false).await?, tls })
}

/// Opens one port, and gives its address.
async fn open(hub: Hub, address: SocketAddr, at_once: bool) -> Result<SocketAddr> {
    let tasks = hub.engine.runtime().tasks.clone();
    let within = tasks.clone();
    let welcome = move |socket, peer: SocketAddr| match hub.place(peer.ip()) {
        Some(place) => {
            let run = connection::run(hub.clone(), socket, peer, at_once);
            within.spawn("smtp-connection", async move {
                run.await;
                drop(place);
            });
        }
        None => {
            metrics::counter!("switchboard_smtp_connections_refused_total").increment(1);
            within.spawn("smtp-refusal", connection::refuse(socket));
        }
    };
    Door { protocol: "SMTP", task: "smtp-accept" }.open(address, &tasks, welcome).await
}
