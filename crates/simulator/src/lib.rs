#![doc = include_str!("../README.md")]

pub mod bench;
pub mod phones;
pub mod provider;
pub mod smsc;
pub mod text_centre;

use std::net::SocketAddr;

use tokio::net::TcpListener;
use types::{Code, Error, Result};

pub use phones::Phones;
pub use provider::Provider;
pub use smsc::{Settings, Smsc};
pub use text_centre::TextCentre;

/// Opens the port of a simulated carrier; port 0 lets the system choose. Gives the address that is heard on.
async fn listen(at: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let unavailable = |why: std::io::Error| {
        Error::new(Code::Unavailable, format!("the simulator cannot listen on {at}: {why}"))
            .hint("another program may use this port; choose another with simulator.listen (SWITCHBOARD__SIMULATOR__LISTEN), or set simulator.enabled to false")
    };
    let listener = TcpListener::bind(at).await.map_err(unavailable)?;
    let address = listener.local_addr().map_err(unavailable)?;
    Ok((listener, address))
}
