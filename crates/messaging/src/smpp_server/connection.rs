//! One connection, from its first octet to its last.

use std::net::SocketAddr;
use std::time::Duration;

use runtime::tls::{self, Acceptor};
use runtime::wire::Outlet;
use smpp::{CommandId, Framer, Header, Role, State, Status, encode_header, session};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Hub, bind, session as bound};
use crate::sessions::Peer;

/// Room that a read is offered to a peer who sends much: some hundred PDUs of the usual size.
const READ_OCTETS: usize = 32 * 1024;
/// Room for a peer who has not filled it yet: most of a thousand idle binds need no more.
const FIRST_READ_OCTETS: usize = 512;
/// Octets that are read and thrown away after the last word, so that the peer can still read that word.
const LINGER_OCTETS: usize = 1 << 20;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The peer closed it, or the network did.
    Lost,
    /// No TLS could be agreed.
    Handshake,
    /// The stream cannot be cut into PDUs.
    Garbage,
    /// No bind came in time.
    NotBound,
    /// The peer sent an unbind.
    Unbound,
    /// We sent an unbind: the account was changed, or the program stops.
    Ended,
    /// Nothing was done for too long.
    Inactive,
    /// The peer leaves enquire_link unanswered.
    Silent,
}

impl End {
    /// In a few words, for events and metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "connection lost",
            Self::Handshake => "no TLS",
            Self::Garbage => "unreadable stream",
            Self::NotBound => "no bind in time",
            Self::Unbound => "unbound",
            Self::Ended => "ended by us",
            Self::Inactive => "inactive",
            Self::Silent => "enquire_link unanswered",
        }
    }
}

/// One half of a connection, encrypted or not.
type Reading = Box<dyn AsyncRead + Unpin + Send>;
type Writing = Box<dyn AsyncWrite + Unpin + Send>;

/// The reading half: octets in, PDUs out.
pub(super) struct Inlet {
    socket: Reading,
    pub(super) framer: Framer,
    outlet: Outlet,
    room: usize,
}

impl Inlet {
    fn new(socket: Reading, pdu_bytes_max: usize, outlet: Outlet) -> Self {
        Self { socket, framer: Framer::new(pdu_bytes_max), outlet, room: FIRST_READ_OCTETS }
    }

    /// Reads on, unless the peer does not read what we send: then its own next words wait. Safe to cancel.
    pub(super) async fn more(&mut self) -> Result<(), End> {
        self.outlet.room().await.map_err(|_| End::Lost)?;
        match self.socket.read_buf(self.framer.buffer(self.room)).await {
            Ok(0) | Err(_) => Err(End::Lost),
            Ok(read) => {
                if read >= self.room {
                    self.room = READ_OCTETS;
                }
                Ok(())
            }
        }
    }

    /// Reads to the peer's end of the stream. Closing with unread octets would reset the connection, and the peer would
    /// lose what was said last.
    async fn linger(&mut self) {
        let mut thrown_away = vec![0; 4096];
        let mut octets = 0;
        while octets < LINGER_OCTETS {
            match self.socket.read(&mut thrown_away).await {
                Ok(0) | Err(_) => return,
                Ok(read) => octets += read,
            }
        }
    }
}

/// Serves a connection to its end. `place` is its place among those that are not bound; it is encrypted where there is a
/// certificate to show.
pub(super) async fn run(
    hub: Hub,
    socket: TcpStream,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
    certificate: Option<Acceptor>,
) {
    let config = &hub.engine.runtime().config.smpp;
    // The handshake has its part of the time for a bind.
    let by = Instant::now() + Duration::from_millis(config.session_init_ms);
    let peer = Peer { address, local: socket.local_addr().ok(), encrypted: certificate.is_some() };
    match halves(&hub, socket, peer, certificate, by).await {
        Ok(halves) => serve(&hub, halves, peer, place, by).await,
        Err(end) => ended(end),
    }
}

fn ended(end: End) {
    metrics::counter!("switchboard_smpp_connections_ended_total", "reason" => end.as_str()).increment(1);
}

/// Readies a connection, which is all that tells an encrypted one from another.
async fn halves(
    hub: &Hub,
    socket: TcpStream,
    peer: Peer,
    certificate: Option<Acceptor>,
    by: Instant,
) -> Result<(Reading, Writing), End> {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
    }
    let Some(certificate) = certificate else {
        let (read, write) = socket.into_split();
        return Ok((Box::new(read), Box::new(write)));
    };
    let stopping = hub.engine.runtime().tasks.stopping();
    let shaken = tokio::select! {
        shaken = tokio::time::timeout_at(by, certificate.accept(socket)) => shaken,
        () = stopping.cancelled() => return Err(End::Ended),
    };
    match shaken {
        Ok(Ok(stream)) => {
            let (read, write) = tokio::io::split(stream);
            Ok((Box::new(read), Box::new(write)))
        }
        Ok(Err(tls::Failure { why, .. })) => {
            tracing::info!(%peer, %why, "no TLS with an SMPP peer");
            Err(End::Handshake)
        }
        Err(_) => Err(End::NotBound),
    }
}

async fn serve(
    hub: &Hub,
    (read, write): (Reading, Writing),
    peer: Peer,
    place: OwnedSemaphorePermit,
    by: Instant,
) {
    let config = &hub.engine.runtime().config.smpp;
    let outlet = Outlet::new(config.write_queue_bytes_max);
    // A peer that never reads must not hold the writer for ever.
    let give_up = CancellationToken::new();
    let sent = CancellationToken::new();
    let pump = {
        let (outlet, give_up, sent) = (outlet.clone(), give_up.clone(), sent.clone().drop_guard());
        async move {
            tokio::select! {
                () = outlet.pump(write) => {}
                () = give_up.cancelled() => {}
            }
            drop(sent);
        }
    };
    hub.engine.runtime().tasks.spawn("smpp-writer", pump);
    let mut inlet = Inlet::new(read, config.pdu_bytes_max, outlet.clone());
    let end = match Box::pin(bind::introduce(hub, &mut inlet, &outlet, peer, by)).await {
        Ok(admitted) => {
            drop(place);
            bound::serve(hub, &mut inlet, &outlet, admitted).await
        }
        Err(end) => end,
    };
    ended(end);
    outlet.close();
    let patience = Duration::from_millis(config.unbind_timeout_ms);
    let last_words = async {
        sent.cancelled().await;
        if end != End::Lost {
            inlet.linger().await;
        }
    };
    drop(tokio::time::timeout(patience, last_words).await);
    give_up.cancel();
}

/// Says that the stream is lost: nothing tells where the next PDU would begin (SMPP v5 §4.7.24: sequence number 0).
pub(super) fn refuse_stream(outlet: &Outlet, error: smpp::FrameError) -> End {
    metrics::counter!("switchboard_smpp_malformed_total", "what" => "frame").increment(1);
    let _ = outlet.write(|out| encode_header(CommandId::GENERIC_NACK, error.status(), 0, out));
    End::Garbage
}

/// Answers what needs no thought in any state: enquire_link, and what is not allowed now. False where the PDU is another.
pub(super) fn answer_by_state(outlet: &Outlet, header: &Header, state: State) -> bool {
    let command = header.command_id;
    let status = if command == CommandId::ENQUIRE_LINK {
        Status::ROK
    } else {
        match session::refusal(Role::Esme, state, command) {
            Some(status) => status,
            None => return false,
        }
    };
    refuse(outlet, header, status);
    true
}

/// Answers a request with a status and no body: with its own response, or generic_nack where it has none.
pub(super) fn refuse(outlet: &Outlet, header: &Header, status: Status) {
    let response = header.command_id.response().unwrap_or(CommandId::GENERIC_NACK);
    // A closed outlet has nobody behind it who could miss the answer.
    let _ = outlet.write(|out| encode_header(response, status, header.sequence, out));
}
