//! One connection, from its first octet to its last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use runtime::sighting::{self, Door};
use runtime::trace::Tap;
use runtime::wire::Outlet;
use smpp::{Enquire, EnquireAction, State, Status};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use types::Event;
use types::event::Link;
use ucp::{Alert, Body, ErrorCode, Framer, Operation, Outcome, Pdu};

use super::submit::{Submits, of_call, of_transfer, refusal};
use super::{Hub, stored};
use crate::connection::Protocol;
use crate::deliver::{Deliver, Form};
use crate::engine::Engine;
use crate::sessions::{Peer, Seat, Session};
use crate::smpp_server::bind::{Refusal, authenticate};

/// Room that a read is offered.
const READ_OCTETS: usize = 8 * 1024;
/// Octets that may stand between frames, over a connection's life, before the stream is no UCP.
const NOISE_MAX: u64 = 64 * 1024;
/// Frames that may be unreadable, over a connection's life.
const UNREADABLE_MAX: u32 = 100;
/// PID of our own operation 31: a computer over TCP/IP.
const ALERT_PID: &str = "0539";

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The peer closed it, or the network did.
    Lost,
    /// The stream is no UCP.
    Garbage,
    /// No session in time.
    NotOpened,
    /// The account was changed, a delivery was left unanswered, or the program stops.
    Ended,
    /// Nothing was done for too long.
    Inactive,
    /// The peer leaves operation 31 unanswered.
    Silent,
}

impl End {
    /// In a few words, for events and metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "connection lost",
            Self::Garbage => "unreadable stream",
            Self::NotOpened => "no session in time",
            Self::Ended => "ended by us",
            Self::Inactive => "inactive",
            Self::Silent => "alert unanswered",
        }
    }
}

/// The reading half: octets in, frames out.
struct Inlet {
    socket: OwnedReadHalf,
    framer: Framer,
    outlet: Outlet,
    unreadable: u32,
    /// Once a session is open: what its octets are shown to.
    tap: Option<Tap>,
}

impl Inlet {
    /// Reads on, unless the peer does not read what we send. Safe to cancel.
    async fn more(&mut self) -> Result<(), End> {
        self.outlet.room().await.map_err(|_| End::Lost)?;
        match self.socket.read_buf(self.framer.buffer(READ_OCTETS)).await {
            Ok(0) | Err(_) => Err(End::Lost),
            Ok(_) => Ok(()),
        }
    }

    /// The next PDU that can be read; one that cannot is answered.
    fn next(&mut self) -> Result<Option<Pdu>, End> {
        loop {
            if self.framer.skipped() > NOISE_MAX || self.unreadable > UNREADABLE_MAX {
                return Err(End::Garbage);
            }
            let Some(frame) = self.framer.next_frame() else { return Ok(None) };
            if let Some(tap) = &self.tap {
                tap.read(frame);
            }
            match Pdu::decode(frame) {
                Ok(pdu) => return Ok(Some(pdu)),
                Err(error) => {
                    metrics::counter!("switchboard_ucp_malformed_total").increment(1);
                    self.unreadable += 1;
                    if !error.is_result {
                        say(&self.outlet, &error.answer());
                    }
                }
            }
        }
    }
}

/// Writes a PDU. A closed outlet has nobody behind it; what is made here, or repeats what was read, fits.
fn say(outlet: &Outlet, pdu: &Pdu) {
    let _ = outlet.write(|out| pdu.encode(out));
}

/// A PDU as it stands on the wire.
fn written(pdu: &Pdu) -> Vec<u8> {
    let mut out = Vec::new();
    // What was read can be written.
    let _ = pdu.encode(&mut out);
    out
}

/// Serves a connection to its end. `place` is its place among those without a session.
pub(super) async fn run(hub: Hub, socket: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
    let config = &hub.engine.runtime().config.smpp;
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
    }
    let local = socket.local_addr().ok();
    let (read, write) = socket.into_split();
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
    hub.engine.runtime().tasks.spawn("ucp-writer", pump);
    let framer = Framer::new(ucp::DEFAULT_MAX_FRAME.min(config.pdu_bytes_max));
    let mut inlet = Inlet { socket: read, framer, outlet: outlet.clone(), unreadable: 0, tap: None };
    // There is no TLS for UCP.
    let peer = Peer { address: peer, local, encrypted: false };
    let end = match introduce(&hub, &mut inlet, peer).await {
        Ok(seat) => {
            drop(place);
            serve(&hub, &mut inlet, seat).await
        }
        Err(end) => {
            if end == End::Garbage {
                sighting::turned_away(hub.engine.runtime(), Door::Ucp, peer.address.ip());
            }
            end
        }
    };
    metrics::counter!("switchboard_ucp_connections_ended_total", "reason" => end.as_str()).increment(1);
    outlet.close();
    drop(tokio::time::timeout(Duration::from_millis(config.unbind_timeout_ms), sent.cancelled()).await);
    give_up.cancel();
}

/// Talks to a peer until its session is open.
async fn introduce(hub: &Hub, inlet: &mut Inlet, peer: Peer) -> Result<Seat, End> {
    let runtime = hub.engine.runtime();
    let stopping = runtime.tasks.stopping();
    let talk = async {
        loop {
            while let Some(pdu) = inlet.next()? {
                let answer = match &pdu.body {
                    Body::Session(Operation::SESSION, session) if session.styp == "1" => {
                        let password = session.password().unwrap_or_default();
                        match admitted(hub, peer, &session.oadc, &password).await {
                            Some(seat) => {
                                let tap = seat.tap(runtime);
                                tap.read(&written(&pdu));
                                inlet.outlet.set_tap(tap.clone());
                                inlet.tap = Some(tap);
                                say(&inlet.outlet, &pdu.answer(Outcome::ack("BIND AUTHENTICATED")));
                                return Ok(seat);
                            }
                            None => pdu.answer(Outcome::nack(ErrorCode::AUTHENTICATION)),
                        }
                    }
                    Body::Result(..) => continue,
                    // Also a question whether we are there: strangers are told nothing.
                    _ => pdu.answer(Outcome::nack(ErrorCode::AUTHENTICATION)),
                };
                say(&inlet.outlet, &answer);
            }
            inlet.more().await?;
        }
    };
    tokio::select! {
        admitted = talk => admitted,
        () = tokio::time::sleep(Duration::from_millis(runtime.config.smpp.session_init_ms)) => Err(End::NotOpened),
        () = stopping.cancelled() => Err(End::Ended),
    }
}

/// A place for who names an account and its password; nothing where there is none, for whatever reason.
async fn admitted(hub: &Hub, peer: Peer, system_id: &str, password: &str) -> Option<Seat> {
    let runtime = hub.engine.runtime();
    let config = &runtime.config.smpp;
    let admitted = authenticate(runtime, Door::Ucp, (system_id, password), peer).await.and_then(|account| {
        let kind = (Protocol::Ucp, State::BoundTrx);
        let now = runtime.clock.now();
        hub.sessions.admit(account, kind, peer, now, config.binds_max).map_err(Refusal::Place)
    });
    match admitted {
        Ok(seat) => {
            metrics::counter!("switchboard_ucp_logins_total", "outcome" => "opened").increment(1);
            Some(seat)
        }
        Err(refusal) => {
            metrics::counter!("switchboard_ucp_logins_total", "outcome" => refusal.as_str()).increment(1);
            tracing::info!(%peer, system_id, reason = refusal.as_str(), "a UCP session was refused");
            if refusal != Refusal::Broken {
                tokio::time::sleep(Duration::from_millis(config.bind_failure_delay_ms)).await;
            }
            None
        }
    }
}

/// What the operations of a session work with.
struct Open {
    engine: Engine,
    session: Arc<Session>,
    outlet: Outlet,
    submits: Submits,
    deliver: Arc<Deliver>,
}

/// Serves an open session to its end.
async fn serve(hub: &Hub, inlet: &mut Inlet, seat: Seat) -> End {
    let (engine, outlet) = (hub.engine.clone(), inlet.outlet.clone());
    let session = Arc::clone(&seat);
    engine.happened(seat.tenant, Event::AccountBound(link(&seat, seat.kind()))).await;
    let open = Open {
        submits: Submits::start(&engine, &session, &outlet),
        deliver: Deliver::start(&engine, Arc::clone(&session), outlet.clone(), Form::Ucp),
        engine,
        session,
        outlet,
    };
    let end = open.live(inlet).await;
    open.deliver.stop();
    let patience = Duration::from_millis(open.engine.runtime().config.smpp.unbind_timeout_ms);
    // What was submitted is answered, where the peer still listens.
    drop(tokio::time::timeout(patience, open.session.room(|| 1)).await);
    open.deliver.finish();
    // The place is free before anything more is waited for: the customer may be coming back already.
    drop(seat);
    let now = open.engine.runtime().clock.now();
    open.session.note(now, "lost", Some(end.as_str().to_owned()));
    let unbound = Event::AccountUnbound(link(&open.session, end.as_str()));
    open.engine.happened(open.session.tenant, unbound).await;
    end
}

fn link(session: &Session, detail: &str) -> Link {
    Link {
        id: session.account.to_string(),
        name: session.name.clone(),
        peer: session.peer.to_string(),
        detail: detail.to_owned(),
    }
}

impl Open {
    /// Takes operations and results until the session ends.
    async fn live(&self, inlet: &mut Inlet) -> End {
        let runtime = self.engine.runtime();
        let config = &runtime.config.smpp;
        let stopping = runtime.tasks.stopping();
        let began = Instant::now();
        let now_ms = || i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let mut enquire = Enquire::new(
            ms(config.enquire_link_ms),
            ms(config.response_timeout_ms),
            config.enquire_missed_max,
            0,
        );
        let mut active_ms = 0;
        loop {
            loop {
                match inlet.next() {
                    Ok(Some(pdu)) => {
                        if !matches!(pdu.operation(), Operation::ALERT) {
                            active_ms = now_ms();
                        }
                        if self.take(pdu).await.is_err() {
                            return End::Lost;
                        }
                    }
                    Ok(None) => break,
                    Err(end) => return end,
                }
            }
            let idle_until =
                if config.inactivity_ms == 0 { i64::MAX } else { active_ms + ms(config.inactivity_ms) };
            if now_ms() >= idle_until {
                return End::Inactive;
            }
            let until_ms = match enquire.poll(now_ms()) {
                EnquireAction::Wait { until_ms } => until_ms.min(idle_until),
                EnquireAction::Send => {
                    self.ask();
                    continue;
                }
                EnquireAction::Dead => return End::Silent,
            };
            let pause = Duration::from_millis(u64::try_from(until_ms - now_ms()).unwrap_or(0));
            tokio::select! {
                () = self.session.ending.cancelled() => return End::Ended,
                () = stopping.cancelled() => return End::Ended,
                read = inlet.more() => match read {
                    Ok(()) => enquire.heard(now_ms()),
                    Err(end) => return end,
                },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Asks whether the peer is there. With every number in use it is about to be heard of anyway.
    fn ask(&self) {
        if let Some(trn) = self.deliver.trn() {
            let alert = Alert { adc: String::new(), pid: ALERT_PID.to_owned() };
            say(&self.outlet, &Pdu::new(trn, Body::Alert(alert)));
        }
    }

    /// Takes one PDU.
    ///
    /// # Errors
    /// The session is over.
    async fn take(&self, pdu: Pdu) -> Result<(), ()> {
        let trn = pdu.trn;
        match &pdu.body {
            Body::Message(Operation::SUBMIT, message) => self.submit((trn, Operation::SUBMIT), message).await,
            Body::Call(call) => self.submit((trn, Operation::CALL), &of_call(call)).await,
            Body::Transfer(transfer) => self.submit((trn, Operation::TRANSFER), &of_transfer(transfer)).await,
            Body::Message(asked @ (Operation::MODIFY | Operation::INQUIRY | Operation::DELETE), message) => {
                let said =
                    stored::operation(&self.engine, &self.session.sender(), trn, *asked, message).await;
                say(&self.outlet, &said.result);
                if let Some((operation, message)) = said.follows
                    && let Some(trn) = self.deliver.trn()
                {
                    say(&self.outlet, &Pdu::new(trn, Body::Message(operation, Box::new(message))));
                }
                Ok(())
            }
            Body::Alert(_) => {
                say(&self.outlet, &pdu.answer(Outcome::ack("0000")));
                Ok(())
            }
            Body::Result(Operation::DELIVER | Operation::NOTIFICATION, outcome) => {
                self.deliver.answered(u32::from(trn), verdict(outcome)).await;
                Ok(())
            }
            // To our 31, 57 and 58; nothing depends on them.
            Body::Result(..) => Ok(()),
            Body::Session(Operation::SESSION, session) if session.styp == "1" => {
                say(
                    &self.outlet,
                    &refusal(trn, Operation::SESSION, ErrorCode::NOT_ALLOWED, "the session is open"),
                );
                Ok(())
            }
            Body::Session(..) | Body::Message(..) | Body::Other(..) => {
                say(&self.outlet, &pdu.answer(Outcome::nack(ErrorCode::NOT_SUPPORTED)));
                Ok(())
            }
        }
    }

    async fn submit(&self, asked: (u8, Operation), message: &ucp::ShortMessage) -> Result<(), ()> {
        if let Some(refusal) = self.submits.take(&self.engine, &self.session, asked, message).await? {
            say(&self.outlet, &refusal);
        }
        Ok(())
    }
}

/// What a result says about a delivery, in the words that all deliveries are judged by.
fn verdict(outcome: &Outcome) -> Status {
    match outcome {
        Outcome::Ack { .. } => Status::ROK,
        Outcome::Nack { error, .. } => match error.class() {
            ucp::Class::Permanent => Status::RX_P_APPN,
            ucp::Class::Temporary | ucp::Class::Throttled => Status::RX_T_APPN,
        },
    }
}
