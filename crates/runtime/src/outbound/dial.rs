//! Connections of other protocols, whose hosts users choose.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::guard::Guard;
use super::{Outbound, OutboundError};

/// Which addresses a host may have that somebody named. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    guard: Option<Arc<Guard>>,
}

impl Dial {
    /// Any address: the operator named the host.
    pub fn anywhere() -> Self {
        Self { guard: None }
    }

    /// The addresses of a host that may be reached, with the port.
    ///
    /// # Errors
    /// [`OutboundError::Forbidden`] or [`OutboundError::Connect`].
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, OutboundError> {
        let forbidden = |reason| OutboundError::Forbidden { host: host.to_owned(), reason };
        let unknown = |error: std::io::Error| OutboundError::Connect {
            host: host.to_owned(),
            problem: error.to_string(),
        };
        let Some(guard) = &self.guard else {
            return Ok(tokio::net::lookup_host((host, port)).await.map_err(unknown)?.collect());
        };
        guard.judge_name(host).map_err(forbidden)?;
        let found = guard.addresses(host).await.map_err(unknown)?.map_err(forbidden)?;
        Ok(found.into_iter().map(|address| SocketAddr::new(address.ip(), port)).collect())
    }

    /// Opens a connection to the first address of a host that may be reached and answers. Whoever calls bounds the time.
    ///
    /// # Errors
    /// As [`Dial::addresses`].
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, OutboundError> {
        let addresses = self.addresses(host, port).await?;
        TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| OutboundError::Connect { host: host.to_owned(), problem: error.to_string() })
    }
}

impl Outbound {
    /// For hosts that users name: what their URLs may reach.
    pub fn dial(&self) -> Dial {
        Dial { guard: Some(Arc::clone(&self.guard)) }
    }
}
