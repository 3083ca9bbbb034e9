//! The writing half of a long-lived connection that many tasks write to.
//!
//! Each writer encodes straight into one pending buffer, and one task sends what has gathered: a busy session costs one
//! system call for many PDUs, an idle one has no delay, and no PDU waits behind a channel of its own.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use crate::trace::Tap;

/// The session is closed, or closing: nothing more can be written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the session is closed")
    }
}

impl std::error::Error for Closed {}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Rung when there is something to send, or when the outlet is closed.
    filled: Notify,
    /// Rung when the pending buffer was taken, or when the outlet is closed.
    emptied: Notify,
    bytes_max: usize,
    /// Shown what is sent, where the session can be traced.
    tap: OnceLock<Tap>,
}

#[derive(Debug, Default)]
struct State {
    pending: Vec<u8>,
    closed: bool,
}

/// The entrance. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Outlet {
    shared: Arc<Shared>,
}

impl Outlet {
    /// An outlet that asks its writers to pause above so many pending octets.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                filled: Notify::new(),
                emptied: Notify::new(),
                bytes_max,
                tap: OnceLock::new(),
            }),
        }
    }

    /// Shows what is sent from now on to this tap; the first one stays.
    pub fn set_tap(&self, tap: Tap) {
        let _ = self.shared.tap.set(tap);
    }

    /// Appends to what will be sent. `encode` must leave whole frames only. The bound is kept by those who call
    /// [`Outlet::room`] before they produce more.
    ///
    /// # Errors
    /// [`Closed`]: nothing was appended.
    pub fn write<T>(&self, encode: impl FnOnce(&mut Vec<u8>) -> T) -> Result<T, Closed> {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(Closed);
        }
        let was_empty = state.pending.is_empty();
        let result = encode(&mut state.pending);
        let ring = was_empty && !state.pending.is_empty();
        drop(state);
        if ring {
            self.shared.filled.notify_one();
        }
        Ok(result)
    }

    /// Waits until less than the bound is pending. A reader calls it before it reads on, so that a peer that sends but
    /// does not read stalls itself and not our memory.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn room(&self) -> Result<(), Closed> {
        loop {
            let emptied = self.shared.emptied.notified();
            {
                let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.closed {
                    return Err(Closed);
                }
                if state.pending.len() < self.shared.bytes_max {
                    return Ok(());
                }
            }
            emptied.await;
        }
    }

    /// Lets no more be written. What is pending is still sent, then the connection's writing half is shut.
    pub fn close(&self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.filled.notify_one();
        self.shared.emptied.notify_waiters();
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    /// Sends what gathers until the outlet is closed or the peer is gone. Spawn it beside the reader.
    pub async fn pump(self, mut socket: impl AsyncWrite + Unpin) {
        let mut sending = Vec::new();
        loop {
            let closed = {
                let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::swap(&mut state.pending, &mut sending);
                state.closed
            };
            if sending.is_empty() {
                if closed {
                    // The peer may be gone already; there is nothing left to tell it.
                    drop(socket.shutdown().await);
                    return;
                }
                self.shared.filled.notified().await;
                continue;
            }
            self.shared.emptied.notify_waiters();
            if let Some(tap) = self.shared.tap.get() {
                tap.written(&sending);
            }
            // A socket with TLS keeps what the network does not take at once until it is flushed.
            let sent = async {
                socket.write_all(&sending).await?;
                socket.flush().await
            };
            if sent.await.is_err() {
                self.close();
                return;
            }
            sending.clear();
            // One burst must not keep its memory for the rest of a long session.
            if sending.capacity() > 1 << 20 {
                sending = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn everything_written_before_close_arrives_in_order() {
        let (ours, mut theirs) = tokio::io::duplex(7);
        let outlet = Outlet::new(1_000);
        let writer = outlet.clone();
        let produce = async move {
            for n in 0..100_u8 {
                writer.write(|buffer| buffer.push(n)).unwrap();
                tokio::task::yield_now().await;
            }
            writer.close();
            assert_eq!(writer.write(|buffer| buffer.push(0)), Err(Closed));
        };
        let mut received = Vec::new();
        let (_, (), read) = tokio::join!(produce, outlet.pump(ours), theirs.read_to_end(&mut received));
        assert_eq!(read.unwrap(), 100);
        assert_eq!(received, (0..100).collect::<Vec<u8>>());
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_makes_the_writer_wait() {
        let (ours, theirs) = tokio::io::duplex(4);
        let outlet = Outlet::new(10);
        outlet.write(|buffer| buffer.extend([0; 20])).unwrap();
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(20), outlet.room());
        assert!(waiting.await.is_err());
        drop(theirs);
        let closed = async {
            outlet.clone().pump(ours).await;
        };
        let (room, ()) = tokio::join!(outlet.room(), closed);
        assert!(room.is_err() || outlet.is_closed());
    }
}
