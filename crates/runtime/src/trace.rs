//! Listening in on sessions of wire protocols, on demand.
//!
//! Each connection and each account has a [`Point`]; its sessions hold a [`Tap`] of it and show it what they read and
//! write. While nobody listens that costs one relaxed load for each PDU read, and one for each bunch written. Who listens
//! gets the octets through a bounded queue, and traffic never waits for it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use types::Timestamp;

use crate::Clock;

/// What a session speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// SMPP 3.3 to 5.0.
    Smpp,
    /// UCP/EMI.
    Ucp,
    /// CIMD2.
    Cimd2,
}

/// Which way octets went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To us.
    In,
    /// From us.
    Out,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number within its connection or account.
    pub bind: u64,
    /// Its kind, as people call it: transceiver.
    pub kind: &'static str,
    /// What it speaks.
    pub protocol: Protocol,
    /// Our end.
    pub ours: SocketAddr,
    /// The far end.
    pub peer: SocketAddr,
}

/// Octets that went over a session: one PDU that was read, or some that were written together.
#[derive(Debug, Clone)]
pub struct Packet {
    /// Over which session.
    pub line: Arc<Line>,
    /// Which way.
    pub direction: Direction,
    /// When.
    pub at: Timestamp,
    /// The octets; of UCP and CIMD2 what was read comes without STX and ETX.
    pub octets: Vec<u8>,
}

/// Where the sessions of a connection or an account can be listened to. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Point {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    on: AtomicBool,
    listener: Mutex<Option<mpsc::Sender<Packet>>>,
    missed: AtomicU64,
}

/// Two points are the same only where they are shared.
impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Point {}

impl Point {
    /// Listens from now on, to at most `waiting_max` packets that nobody has taken yet; until the receiver is dropped.
    /// Nothing where somebody listens already.
    pub fn listen(&self, waiting_max: usize) -> Option<mpsc::Receiver<Packet>> {
        let mut listener = self.shared.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if listener.as_ref().is_some_and(|listener| !listener.is_closed()) {
            return None;
        }
        let (sender, receiver) = mpsc::channel(waiting_max.max(1));
        *listener = Some(sender);
        self.shared.missed.store(0, Ordering::Relaxed);
        self.shared.on.store(true, Ordering::Relaxed);
        Some(receiver)
    }

    /// Packets that whoever listens was too slow for.
    pub fn missed(&self) -> u64 {
        self.shared.missed.load(Ordering::Relaxed)
    }

    fn is_on(&self) -> bool {
        self.shared.on.load(Ordering::Relaxed)
    }

    #[cold]
    fn tell(&self, packet: Packet) {
        let mut listener = self.shared.listener.lock().unwrap_or_else(PoisonError::into_inner);
        match listener.as_ref().map(|listener| listener.try_send(packet)) {
            Some(Ok(())) => {}
            Some(Err(mpsc::error::TrySendError::Full(_))) => {
                self.shared.missed.fetch_add(1, Ordering::Relaxed);
            }
            Some(Err(mpsc::error::TrySendError::Closed(_))) | None => {
                *listener = None;
                self.shared.on.store(false, Ordering::Relaxed);
            }
        }
    }
}

/// What a session shows its octets to.
#[derive(Debug, Clone)]
pub struct Tap {
    point: Point,
    line: Arc<Line>,
    clock: Clock,
}

impl Tap {
    /// The tap of a session.
    pub fn new(point: &Point, line: Line, clock: &Clock) -> Self {
        Self { point: point.clone(), line: Arc::new(line), clock: clock.clone() }
    }

    /// Octets that were read: one PDU.
    pub fn read(&self, octets: &[u8]) {
        if self.point.is_on() {
            self.tell(Direction::In, octets);
        }
    }

    /// Octets that are written: whole PDUs.
    pub fn written(&self, octets: &[u8]) {
        if self.point.is_on() {
            self.tell(Direction::Out, octets);
        }
    }

    #[cold]
    fn tell(&self, direction: Direction, octets: &[u8]) {
        let (line, at) = (self.line.clone(), self.clock.now());
        self.point.tell(Packet { line, direction, at, octets: octets.to_vec() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_listens_at_a_time_and_traffic_does_not_wait() {
        let (point, address) = (Point::default(), SocketAddr::from(([127, 0, 0, 1], 1)));
        let line = Line { bind: 1, kind: "receiver", protocol: Protocol::Smpp, ours: address, peer: address };
        let tap = Tap::new(&point, line, &Clock::system());
        tap.read(b"nobody listens");
        let mut listener = point.listen(2).unwrap();
        assert!(point.listen(2).is_none());
        tap.read(b"a");
        tap.written(b"b");
        tap.written(b"too many");
        assert_eq!(point.missed(), 1);
        let heard = [listener.recv().await.unwrap(), listener.recv().await.unwrap()];
        assert_eq!(
            heard.map(|packet| (packet.direction, packet.octets)),
            [(Direction::In, b"a".to_vec()), (Direction::Out, b"b".to_vec())]
        );
        drop(listener);
        tap.read(b"c");
        assert!(!point.is_on());
        assert!(point.listen(1).is_some(), "another may listen now");
    }
}
