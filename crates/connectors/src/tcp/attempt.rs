//! Keeping one session alive: connect, log in, live, and try again after a pause.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use runtime::trace::{Line, Tap};
use runtime::{Clock, tls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::backoff::Backoff;
use super::hosts::{needed, relieve};
use super::session::{READ_BYTES, RENEWED, Session};
use super::shared::{Phase, Rules, Shared};
use super::wire::{Heard, Wire};
use super::{BindKind, Host, Settings};
use crate::{Report, State};

/// A connection, encrypted or not.
struct Halves {
    reading: Box<dyn AsyncRead + Unpin + Send>,
    writing: Box<dyn AsyncWrite + Unpin + Send>,
    ours: SocketAddr,
}

/// A connection on which the peer has let us in.
struct Bound<W> {
    halves: Halves,
    peer: SocketAddr,
    /// May hold what came right after the answer.
    wire: W,
    peer_system_id: String,
    tap: Tap,
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
pub(super) async fn keep_bound<T: Clone + Send + 'static, W: Wire>(
    shared: Arc<Shared<T, W>>,
    bind: usize,
    kind: BindKind,
    reports: mpsc::Sender<Report<T>>,
    _alive: TaskTrackerToken,
) {
    let lane = shared.lane(bind);
    let mut phase = shared.phase.subscribe();
    let mut rules = shared.rules.load_full();
    let mut backoff = Backoff::new(rules.settings.reconnect_min_ms, rules.settings.reconnect_max_ms);
    let mut told = String::new();
    let entry = shared.entry(bind);
    let home = entry.home(shared.hosts(entry.standby).len());
    let mut at = home;
    loop {
        if shared.leaves(bind, false) {
            return;
        }
        tokio::select! {
            biased;
            () = stopping(&mut phase) => break,
            () = needed(&shared, &entry) => {}
        }
        // Whatever is changed behind this line asks for another session.
        let _ = (lane.is_to_renew(), lane.is_to_refresh());
        follow(&shared, &mut rules, &mut backoff);
        let settings = &rules.settings;
        let hosts = shared.hosts(entry.standby);
        shared.note(bind, State::Binding, |entry| entry.at = at);
        let attempt = tokio::select! {
            biased;
            () = stopping(&mut phase) => break,
            attempt = establish::<W>(settings, &hosts[at], (bind, kind), &shared.clock) => attempt,
        };
        match attempt {
            Ok(bound) => {
                let (began, peer) = (Instant::now(), bound.peer);
                told.clear();
                let why = live(&shared, bind, kind, &reports, bound).await;
                if began.elapsed() >= Duration::from_millis(settings.reconnect_max_ms) {
                    backoff.reset();
                }
                at = home;
                note_down(&shared, bind, &why);
                let renewed = why == RENEWED;
                let _ = reports.send(Report::Lost { kind, peer: Some(peer.to_string()), why }).await;
                if renewed {
                    continue;
                }
            }
            Err(failure) => {
                if failure.lasting {
                    backoff.skip_to_longest();
                }
                note_down(&shared, bind, &failure.why);
                if told != failure.why {
                    told.clone_from(&failure.why);
                    tell(failure, W::NAME, (&settings.name, kind), &reports).await;
                }
                at = (at + 1) % hosts.len();
                if at != home {
                    // Another host is asked before anybody waits.
                    continue;
                }
            }
        }
        let pause = Duration::from_millis(backoff.next(rand::random()));
        tokio::select! {
            biased;
            () = stopping(&mut phase) => break,
            () = tokio::time::sleep(pause) => {}
            // Somebody wants it anew, or not at all.
            () = lane.renewal() => {}
        }
    }
    shared.leaves(bind, true);
}

/// Goes on by the rules that are now; with others the pauses begin anew.
fn follow<T, W: Wire>(shared: &Shared<T, W>, rules: &mut Arc<Rules<W>>, backoff: &mut Backoff) {
    let now = shared.rules.load_full();
    if !Arc::ptr_eq(&now, rules) {
        *backoff = Backoff::new(now.settings.reconnect_min_ms, now.settings.reconnect_max_ms);
        *rules = now;
    }
}

/// Tells that there is no session, and why.
async fn tell<T>(
    Failure { peer, why, .. }: Failure,
    protocol: &str,
    (connection, kind): (&str, BindKind),
    reports: &mpsc::Sender<Report<T>>,
) {
    tracing::warn!(connection, protocol, bind = %kind, %why, "no session");
    let peer = peer.map(|peer| peer.to_string());
    let _ = reports.send(Report::Lost { kind, peer, why }).await;
}

/// From a bound connection to the end of its session, whose reason it gives.
async fn live<T: Clone + Send + 'static, W: Wire>(
    shared: &Arc<Shared<T, W>>,
    bind: usize,
    kind: BindKind,
    reports: &mpsc::Sender<Report<T>>,
    bound: Bound<W>,
) -> String {
    let Bound { halves, peer, wire, peer_system_id, tap } = bound;
    let name = shared.rules.load().settings.name.clone();
    tracing::info!(connection = %name, bind = %kind, %peer, "bound");
    // Told before anything is answered on it.
    let _ = reports.send(Report::Bound { kind, peer: peer.to_string() }).await;
    shared.note(bind, State::Bound, |entry| {
        entry.peer = Some(peer);
        entry.peer_system_id = Some(peer_system_id);
    });
    let session = Session::begin(Arc::clone(shared), reports.clone(), bind, kind, (peer, tap));
    let entry = shared.entry(bind);
    let regular = usize::from(shared.is_regular(&entry));
    shared.regulars.send_modify(|regulars| *regulars += regular);
    let why = tokio::select! {
        why = session.run(halves.reading, halves.writing, wire) => why,
        never = relieve(shared, bind, &entry) => match never {},
    };
    shared.regulars.send_modify(|regulars| *regulars -= regular);
    tracing::info!(connection = %name, bind = %kind, %peer, %why, "bind ended");
    why
}

fn note_down<T, W: Wire>(shared: &Shared<T, W>, bind: usize, why: &str) {
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

/// Connects and logs in.
async fn establish<W: Wire>(
    settings: &Settings<W::Login>,
    host: &Host,
    (bind, kind): (usize, BindKind),
    clock: &Clock,
) -> Result<Bound<W>, Failure> {
    let mut peer = None;
    let connecting =
        timeout(Duration::from_millis(settings.connect_timeout_ms), connect(settings, host, &mut peer));
    let connected = connecting.await.unwrap_or_else(|_| {
        let what = if peer.is_some() { "no TLS" } else { "no connection" };
        Err(Failure {
            peer: None,
            why: format!("{what} within {} ms", settings.connect_timeout_ms),
            lasting: false,
        })
    });
    let (halves, address) = connected.map_err(|failure| Failure { peer, ..failure })?;
    let line = Line {
        bind: bind as u64 + 1,
        kind: kind.name(),
        protocol: W::TRACED,
        ours: halves.ours,
        peer: address,
    };
    let tap = Tap::new(&settings.point, line, clock);
    let patience = Duration::from_millis(settings.response_timeout_ms);
    timeout(patience, open_session(settings, kind, halves, (address, tap))).await.unwrap_or_else(|_| {
        let why = format!("no answer to the {} within {} ms", W::LOGIN, settings.response_timeout_ms);
        Err(Failure { peer, why, lasting: false })
    })
}

/// Connects, and encrypts the connection where it is to be. `peer` is told as soon as somebody is there.
async fn connect<L>(
    settings: &Settings<L>,
    host: &Host,
    peer: &mut Option<SocketAddr>,
) -> Result<(Halves, SocketAddr), Failure> {
    let stream = settings.dial.connect(&host.name, host.port).await.map_err(|error| Failure {
        peer: None,
        why: format!("cannot connect: {error}"),
        lasting: !error.is_temporary(),
    })?;
    let ready = || {
        // A PDU must not wait for the acknowledgement of the one before.
        stream.set_nodelay(true)?;
        let (ours, address) = (stream.local_addr()?, stream.peer_addr()?);
        Ok::<_, std::io::Error>((ours, address))
    };
    let (ours, address) = ready().map_err(|error| Failure {
        peer: None,
        why: format!("cannot connect: {error}"),
        lasting: false,
    })?;
    *peer = Some(address);
    let Some(wanted) = &settings.tls else {
        let (reading, writing) = stream.into_split();
        return Ok((Halves { reading: Box::new(reading), writing: Box::new(writing), ours }, address));
    };
    let server_name = if wanted.server_name.is_empty() { &host.name } else { &wanted.server_name };
    let stream = tls::connect(stream, server_name, &wanted.ca).await.map_err(|failure| Failure {
        peer: Some(address),
        why: format!("no TLS: {}", failure.why),
        lasting: failure.lasting,
    })?;
    let (reading, writing) = tokio::io::split(stream);
    Ok((Halves { reading: Box::new(reading), writing: Box::new(writing), ours }, address))
}

/// Logs in and reads until that is answered.
async fn open_session<W: Wire>(
    settings: &Settings<W::Login>,
    kind: BindKind,
    mut halves: Halves,
    (peer, tap): (SocketAddr, Tap),
) -> Result<Bound<W>, Failure> {
    let broken = |why: String| Failure { peer: Some(peer), why, lasting: false };
    let mut out = Vec::new();
    let awaited = W::log_in(settings, kind, &mut out).map_err(|error| Failure {
        peer: Some(peer),
        why: format!("the settings do not fit a {}: {error}", W::LOGIN),
        lasting: true,
    })?;
    let mut wire = W::begin(settings, tap.clone());
    if !awaited {
        return Ok(Bound { halves, peer, wire, peer_system_id: String::new(), tap });
    }
    loop {
        if !out.is_empty() {
            tap.written(&out);
        }
        let sent = async {
            halves.writing.write_all(&out).await?;
            halves.writing.flush().await
        };
        sent.await.map_err(|error| broken(broke(&error)))?;
        out.clear();
        while let Some(heard) = wire.heard(kind).map_err(|lost| broken(lost.why))? {
            match heard {
                Heard::LoggedIn { peer: name } => {
                    return Ok(Bound { halves, peer, wire, peer_system_id: name, tap });
                }
                Heard::LoginRefused { why, lasting } => {
                    return Err(Failure { peer: Some(peer), why, lasting });
                }
                Heard::Asked(answer) => out.extend_from_slice(&answer),
                Heard::Left(_) => {
                    let why = format!("the peer ended the session in place of an answer to the {}", W::LOGIN);
                    return Err(broken(why));
                }
                // Nothing else means anything before the session is open.
                _ => {}
            }
        }
        if out.is_empty() {
            let read = halves.reading.read_buf(wire.buffer(READ_BYTES)).await;
            match read.map_err(|error| broken(broke(&error)))? {
                0 => {
                    let why =
                        format!("the peer closed the connection in place of an answer to the {}", W::LOGIN);
                    return Err(broken(why));
                }
                _ => continue,
            }
        }
    }
}

/// Why a connection broke. Over TLS 1.3 a peer refuses our certificate only now.
fn broke(error: &std::io::Error) -> String {
    format!("the connection broke: {}", tls::why(error))
}
