//! A customer's system over SMPP, PDU by PDU: for what the load generator and foreign libraries never do.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use smpp::{Address, Bind, Framer, Header, Mode, Pdu, RegisteredDelivery, Sm, Status, decode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long anything is awaited.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection of a customer's system.
#[derive(Debug)]
pub struct Customer {
    /// The connection, to be broken as the test likes.
    pub socket: TcpStream,
    framer: Framer,
    sequence: u32,
}

impl Customer {
    /// Connects and binds as a transceiver.
    ///
    /// # Errors
    /// When nobody listens or the connection breaks; a refused bind is one of kind `PermissionDenied`.
    pub async fn bound(address: SocketAddr, system_id: &str, password: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let mut customer = Self { socket, framer: Framer::new(smpp::DEFAULT_MAX_PDU), sequence: 0 };
        let bind = Bind { system_id: system_id.into(), password: password.into(), ..Bind::default() };
        customer.say(&[Pdu::BindTransceiver(bind)]).await?;
        match customer.hear().await {
            Some((header, _)) if header.status.is_ok() => Ok(customer),
            Some((header, _)) => {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, header.status.to_string()))
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Sends requests in one piece; gives the number of the first, which the others follow.
    ///
    /// # Errors
    /// When the connection is broken.
    ///
    /// # Panics
    /// When a request does not fit.
    pub async fn say(&mut self, requests: &[Pdu]) -> io::Result<u32> {
        let first = self.sequence + 1;
        let mut out = Vec::new();
        for request in requests {
            self.sequence += 1;
            request.encode(self.sequence, Status::ROK, &mut out).expect("a request that fits");
        }
        self.socket.write_all(&out).await?;
        Ok(first)
    }

    /// Takes a deliver_sm over.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn take(&mut self, deliver_sm: &Header) -> io::Result<()> {
        let mut out = Vec::new();
        smpp::encode_deliver_sm_resp(deliver_sm.sequence, Status::ROK, &mut out);
        self.socket.write_all(&out).await
    }

    /// The next PDU; nothing when the connection has ended.
    ///
    /// # Panics
    /// When nothing comes in 20 seconds, or what comes is no SMPP.
    pub async fn hear(&mut self) -> Option<(Header, Pdu)> {
        tokio::time::timeout(PATIENCE, self.next()).await.expect("something within 20 seconds")
    }

    /// The next PDU that comes within a time; nothing when none does or the connection has ended.
    ///
    /// # Panics
    /// When what comes is no SMPP.
    pub async fn hear_within(&mut self, time: Duration) -> Option<(Header, Pdu)> {
        tokio::time::timeout(time, self.next()).await.ok().flatten()
    }

    async fn next(&mut self) -> Option<(Header, Pdu)> {
        loop {
            if let Some(octets) = self.framer.next_pdu().expect("PDUs") {
                return Some(decode(octets, Mode::Lenient).expect("a PDU"));
            }
            // A reset is an end, too.
            if !matches!(self.socket.read_buf(self.framer.buffer(4096)).await, Ok(1..)) {
                return None;
            }
        }
    }
}

/// A message with `ID<number>` in its text, to a phone of its own, whose receipt is wanted.
#[must_use]
pub fn numbered(number: u64) -> Pdu {
    Pdu::SubmitSm(Sm {
        source: Address::alphanumeric("ACME"),
        destination: Address::international(format!("49151{number:09}").as_str()),
        short_message: format!("ID{number}").into_bytes(),
        registered_delivery: RegisteredDelivery::FINAL,
        ..Sm::default()
    })
}

/// The message that a receipt is about, by the id that its submit was answered with; nothing for any other PDU.
#[must_use]
pub fn receipted(pdu: &Pdu) -> Option<String> {
    let Pdu::DeliverSm(sm) = pdu else { return None };
    sm.tlvs.receipted_message_id().map(|id| id.as_str().into_owned())
}
