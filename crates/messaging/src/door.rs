//! Ports that customers' systems come to.

use std::net::SocketAddr;
use std::time::Duration;

use runtime::Tasks;
use tokio::net::{TcpListener, TcpStream};
use types::{Code, Error, Result};

/// How long to wait when the system has no more connections to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port's names: of what is spoken there, for people, and of the task that listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    pub(crate) protocol: &'static str,
    pub(crate) task: &'static str,
}

impl Door {
    /// Listens until the program stops, hands each connection to `welcome`, and gives the address, with the port that the
    /// system chose where 0 was asked for.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the address cannot be listened on.
    pub(crate) async fn open(
        self,
        address: SocketAddr,
        tasks: &Tasks,
        welcome: impl FnMut(TcpStream, SocketAddr) + Send + 'static,
    ) -> Result<SocketAddr> {
        let listening = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok::<_, std::io::Error>((listener, address))
        };
        let protocol = self.protocol;
        let (listener, address) = listening.await.map_err(|error| {
            Error::new(Code::Unavailable, format!("cannot listen for {protocol} on {address}: {error}"))
                .hint("another program may use this port; choose another in the configuration")
        })?;
        tasks.spawn(self.task, self.accept(listener, tasks.clone(), welcome));
        Ok(address)
    }

    async fn accept(
        self,
        listener: TcpListener,
        tasks: Tasks,
        mut welcome: impl FnMut(TcpStream, SocketAddr) + Send + 'static,
    ) {
        let stopping = tasks.stopping();
        loop {
            let accepted = tokio::select! {
                () = stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => welcome(socket, peer),
                Err(error) => {
                    tracing::warn!(%error, protocol = self.protocol, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}
