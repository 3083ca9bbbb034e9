//! A small message centre on loopback that does what a test tells it, PDU by PDU.

use std::time::Duration;

use smpp::{
    BindResp, CommandId, Framer, Header, MessageIdResp, Mode, Pdu, Sm, Status, decode, encode_header,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longer than anything in these tests takes.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Smsc {
    listener: TcpListener,
}

impl Smsc {
    pub(crate) async fn listen() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("loopback") }
    }

    pub(crate) fn of(listener: TcpListener) -> Self {
        Self { listener }
    }

    /// The next connection that binds; one that only looks whether somebody is here is passed over.
    pub(crate) async fn bound_at_last(&self) -> (Peer, CommandId) {
        loop {
            let mut peer = self.connection().await;
            if let Some((header, _)) = peer.try_next().await {
                peer.accept_bind(header).await;
                return (peer, header.command_id);
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().expect("bound").port()
    }

    /// The next connection, whatever it says first.
    pub(crate) async fn connection(&self) -> Peer {
        let (socket, _) = tokio::time::timeout(PATIENCE, self.listener.accept())
            .await
            .expect("a connection")
            .expect("accept");
        Peer { socket, framer: Framer::new(1 << 20) }
    }

    /// The next connection, bound. Gives which bind it asked for.
    pub(crate) async fn bound(&self) -> (Peer, CommandId) {
        let mut peer = self.connection().await;
        let (header, _) = peer.next().await;
        peer.accept_bind(header).await;
        (peer, header.command_id)
    }
}

/// The message centre's end of one connection.
pub(crate) struct Peer {
    pub(crate) socket: TcpStream,
    framer: Framer,
}

impl Peer {
    /// The next PDU; `None` at the end of the connection.
    pub(crate) async fn try_next(&mut self) -> Option<(Header, Pdu)> {
        loop {
            if let Some(octets) = self.framer.next_pdu().expect("frames of ours") {
                return Some(decode(octets, Mode::Strict).expect("PDUs of ours"));
            }
            let read = self.socket.read_buf(self.framer.buffer(4096));
            match tokio::time::timeout(PATIENCE, read).await.expect("octets") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn next(&mut self) -> (Header, Pdu) {
        self.try_next().await.expect("a PDU")
    }

    /// The next submit_sm, given back by its text.
    pub(crate) async fn submit(&mut self) -> (u32, String) {
        loop {
            match self.next().await {
                (header, Pdu::SubmitSm(sm)) => {
                    return (header.sequence, String::from_utf8(sm.short_message).expect("text"));
                }
                (header, Pdu::EnquireLink) => {
                    self.header(CommandId::ENQUIRE_LINK_RESP, Status::ROK, header.sequence).await;
                }
                other => panic!("no submit_sm: {other:?}"),
            }
        }
    }

    /// Nothing comes for so long.
    pub(crate) async fn silent(&mut self, ms: u64) {
        let next = tokio::time::timeout(Duration::from_millis(ms), self.next()).await;
        assert!(next.is_err(), "{next:?}");
    }

    pub(crate) async fn write(&mut self, octets: &[u8]) {
        self.socket.write_all(octets).await.expect("written");
    }

    pub(crate) async fn send(&mut self, pdu: Pdu, sequence: u32) {
        let mut out = Vec::new();
        pdu.encode(sequence, Status::ROK, &mut out).expect("fits");
        self.write(&out).await;
    }

    pub(crate) async fn header(&mut self, command: CommandId, status: Status, sequence: u32) {
        let mut out = Vec::new();
        encode_header(command, status, sequence, &mut out);
        self.write(&out).await;
    }

    pub(crate) async fn accept_bind(&mut self, header: Header) {
        let body = BindResp { system_id: "centre".into(), ..BindResp::default() };
        let resp = match header.command_id {
            CommandId::BIND_TRANSMITTER => Pdu::BindTransmitterResp(body),
            CommandId::BIND_RECEIVER => Pdu::BindReceiverResp(body),
            CommandId::BIND_TRANSCEIVER => Pdu::BindTransceiverResp(body),
            other => panic!("no bind: {other}"),
        };
        self.send(resp, header.sequence).await;
    }

    pub(crate) async fn accept(&mut self, sequence: u32, id: &str) {
        self.send(Pdu::SubmitSmResp(MessageIdResp::new(id)), sequence).await;
    }

    pub(crate) async fn refuse(&mut self, sequence: u32, status: Status) {
        self.header(CommandId::SUBMIT_SM_RESP, status, sequence).await;
    }

    pub(crate) async fn deliver(&mut self, text: &str, sequence: u32) {
        let sm = Sm { short_message: text.into(), ..Sm::default() };
        self.send(Pdu::DeliverSm(sm), sequence).await;
    }
}
