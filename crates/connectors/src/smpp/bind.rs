//! Keeping one bind alive: connect, bind, live, and try again after a pause.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smpp::{
    Bind, CommandId, Framer, Mode, Npi, Pdu, RetryClass, Sequence, Status, Ton, Version, decode,
    encode_header,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::backoff::Backoff;
use super::session::{READ_BYTES, Session};
use super::shared::{Phase, Shared};
use super::{BindKind, Report, Settings, State};

/// A connection on which the peer has accepted our bind.
struct Bound {
    stream: TcpStream,
    peer: SocketAddr,
    /// May hold PDUs that came right after the response.
    framer: Framer,
    peer_system_id: String,
}

/// Why it did not come to a bind.
#[derive(Debug)]
struct Failure {
    peer: Option<SocketAddr>,
    why: String,
    /// The same attempt will fail again until somebody changes the settings, here or there.
    lasting: bool,
}

/// Keeps one session alive until the connection is to stop. `_alive` tells the end by being dropped.
pub(super) async fn keep_bound<T: Clone + Send + 'static>(
    shared: Arc<Shared<T>>,
    bind: usize,
    kind: BindKind,
    reports: mpsc::Sender<Report<T>>,
    _alive: TaskTrackerToken,
) {
    let settings = &shared.settings;
    let mut phase = shared.phase.subscribe();
    let mut backoff = Backoff::new(settings.reconnect_min_ms, settings.reconnect_max_ms);
    let mut told = String::new();
    loop {
        shared.note(bind, State::Binding, |_| ());
        let attempt = tokio::select! {
            biased;
            () = stopping(&mut phase) => break,
            attempt = establish(settings, kind) => attempt,
        };
        match attempt {
            Ok(bound) => {
                let (began, peer) = (Instant::now(), bound.peer);
                told.clear();
                let why = live(&shared, bind, kind, &reports, bound).await;
                if began.elapsed() >= Duration::from_millis(settings.reconnect_max_ms) {
                    backoff.reset();
                }
                note_down(&shared, bind, &why);
                let _ = reports.send(Report::Lost { kind, peer: Some(peer), why }).await;
            }
            Err(Failure { peer, why, lasting }) => {
                if lasting {
                    backoff.skip_to_longest();
                }
                note_down(&shared, bind, &why);
                if told != why {
                    tracing::warn!(connection = %settings.name, bind = %kind, %why, "no bind");
                    told.clone_from(&why);
                    let _ = reports.send(Report::Lost { kind, peer, why }).await;
                }
            }
        }
        let pause = Duration::from_millis(backoff.next(rand::random()));
        tokio::select! {
            biased;
            () = stopping(&mut phase) => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    shared.note(bind, State::Stopped, |_| ());
}

/// From a bound connection to the end of its session, whose reason it gives.
async fn live<T: Clone + Send + 'static>(
    shared: &Arc<Shared<T>>,
    bind: usize,
    kind: BindKind,
    reports: &mpsc::Sender<Report<T>>,
    bound: Bound,
) -> String {
    let Bound { stream, peer, framer, peer_system_id } = bound;
    tracing::info!(connection = %shared.settings.name, bind = %kind, %peer, "bound");
    // Told before anything is answered on it.
    let _ = reports.send(Report::Bound { kind, peer }).await;
    shared.note(bind, State::Bound, |entry| {
        entry.peer = Some(peer);
        entry.peer_system_id = Some(peer_system_id);
    });
    // The bind itself was number 1.
    let sequence = Sequence::starting_at(2);
    let session = Session::begin(Arc::clone(shared), reports.clone(), bind, kind, peer, sequence);
    let (reader, writer) = stream.into_split();
    let why = session.run(reader, writer, framer).await;
    tracing::info!(connection = %shared.settings.name, bind = %kind, %peer, %why, "bind ended");
    why
}

fn note_down<T>(shared: &Shared<T>, bind: usize, why: &str) {
    shared.note(bind, State::Down, |entry| {
        entry.peer = None;
        entry.peer_system_id = None;
        entry.last_error = Some(why.to_owned());
    });
}

/// Done when the connection is to stop.
async fn stopping(phase: &mut watch::Receiver<Phase>) {
    // The sender is in `Shared`, which every task of the connection holds.
    let _ = phase.wait_for(|phase| matches!(phase, Phase::Stopping { .. })).await;
}

/// Connects and binds.
async fn establish(settings: &Settings, kind: BindKind) -> Result<Bound, Failure> {
    let mut peer = None;
    let failed = |peer, why: String| Failure { peer, why, lasting: false };
    let connecting = TcpStream::connect((settings.host.as_str(), settings.port));
    let stream = timeout(Duration::from_millis(settings.connect_timeout_ms), connecting)
        .await
        .map_err(|_| failed(None, format!("no connection within {} ms", settings.connect_timeout_ms)))?
        .and_then(|stream| {
            peer = Some(stream.peer_addr()?);
            // A PDU must not wait for the acknowledgement of the one before.
            stream.set_nodelay(true)?;
            Ok(stream)
        })
        .map_err(|error| failed(peer, format!("cannot connect: {error}")))?;
    let peer = stream.peer_addr().map_err(|error| failed(peer, format!("cannot connect: {error}")))?;
    timeout(Duration::from_millis(settings.response_timeout_ms), request_bind(settings, kind, stream, peer))
        .await
        .unwrap_or_else(|_| {
            let why = format!("no answer to the bind within {} ms", settings.response_timeout_ms);
            Err(failed(Some(peer), why))
        })
}

/// Sends the bind and reads until it is answered.
async fn request_bind(
    settings: &Settings,
    kind: BindKind,
    mut stream: TcpStream,
    peer: SocketAddr,
) -> Result<Bound, Failure> {
    let broken = |why: String| Failure { peer: Some(peer), why, lasting: false };
    let mut out = Vec::new();
    bind_pdu(settings, kind).encode(1, Status::ROK, &mut out).map_err(|error| Failure {
        peer: Some(peer),
        why: format!("the settings do not fit a bind: {error}"),
        lasting: true,
    })?;
    let mut framer = Framer::new(settings.pdu_bytes_max);
    loop {
        stream.write_all(&out).await.map_err(|error| broken(format!("the connection broke: {error}")))?;
        out.clear();
        while let Some(octets) =
            framer.next_pdu().map_err(|error| broken(format!("what the peer sends is no SMPP: {error}")))?
        {
            let (header, pdu) = match decode(octets, Mode::Lenient) {
                Ok((header, pdu)) => (header, Some(pdu)),
                // Even of a response that cannot be read, the header says how it went.
                Err(error) => (error.header, None),
            };
            match header.command_id {
                CommandId::BIND_TRANSCEIVER_RESP
                | CommandId::BIND_TRANSMITTER_RESP
                | CommandId::BIND_RECEIVER_RESP
                    if header.status.is_ok() =>
                {
                    return Ok(Bound { stream, peer, framer, peer_system_id: system_id(pdu) });
                }
                CommandId::BIND_TRANSCEIVER_RESP
                | CommandId::BIND_TRANSMITTER_RESP
                | CommandId::BIND_RECEIVER_RESP
                | CommandId::GENERIC_NACK => return Err(refused(peer, header.status)),
                CommandId::ENQUIRE_LINK => {
                    encode_header(CommandId::ENQUIRE_LINK_RESP, Status::ROK, header.sequence, &mut out);
                }
                CommandId::UNBIND => return Err(broken("the peer unbound instead of binding".to_owned())),
                // Nothing else means anything before the bind.
                _ => {}
            }
        }
        if out.is_empty() {
            let read = stream.read_buf(framer.buffer(READ_BYTES)).await;
            match read.map_err(|error| broken(format!("the connection broke: {error}")))? {
                0 => return Err(broken("the peer closed the connection instead of binding".to_owned())),
                _ => continue,
            }
        }
    }
}

fn bind_pdu(settings: &Settings, kind: BindKind) -> Pdu {
    let bind = Bind {
        system_id: settings.system_id.as_str().into(),
        password: settings.password.as_str().into(),
        system_type: settings.system_type.as_str().into(),
        interface_version: Version(settings.version),
        addr_ton: Ton(settings.addr_ton),
        addr_npi: Npi(settings.addr_npi),
        address_range: settings.address_range.as_str().into(),
    };
    match kind {
        BindKind::Transmitter => Pdu::BindTransmitter(bind),
        BindKind::Receiver => Pdu::BindReceiver(bind),
        BindKind::Transceiver | BindKind::TransmitterReceiver => Pdu::BindTransceiver(bind),
    }
}

/// What the peer calls itself in its bind response; empty where it does not say.
fn system_id(pdu: Option<Pdu>) -> String {
    match pdu {
        Some(
            Pdu::BindTransceiverResp(body) | Pdu::BindTransmitterResp(body) | Pdu::BindReceiverResp(body),
        ) => body.system_id.as_str().into_owned(),
        _ => String::new(),
    }
}

/// A refusal in words. Wrong credentials stay wrong, and many carriers lock out who insists; a bind that is still taken, or
/// a peer that has troubles of its own, may do better soon.
fn refused(peer: SocketAddr, status: Status) -> Failure {
    let lasting = status.class() == RetryClass::Permanent && status != Status::RALYBND;
    Failure { peer: Some(peer), why: format!("bind refused: {} ({status})", status.describe()), lasting }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_that_somebody_must_mend_are_lasting() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        for (status, lasting) in [
            (Status::RINVPASWD, true),
            (Status::RINVSYSID, true),
            (Status::RALYBND, false),
            (Status::RBINDFAIL, false),
            (Status::RSYSERR, false),
            (Status::RTHROTTLED, false),
        ] {
            let failure = refused(peer, status);
            assert_eq!(failure.lasting, lasting, "{}", failure.why);
        }
        assert_eq!(refused(peer, Status::RINVPASWD).why, "bind refused: invalid password (ESME_RINVPASWD)");
    }
}
