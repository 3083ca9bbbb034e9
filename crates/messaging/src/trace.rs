//! Traces: the PDUs of a connection, an account, or one bind of them, both ways, for a while.
//!
//! # Layout
//!
//! - `dissect`: a PDU field by field, and what of it is covered
//! - `pcap`: a trace as a file for Wireshark
//!
//! A trace is in memory alone, bounded in PDUs, octets and time, and is gone with the program. Passwords are covered before
//! anything is kept, and so are codes to sign in; texts are covered for those who may not see messages.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::trace::{Direction, Line, Packet, Point};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use types::event::Change;
use types::{AccountId, Code, ConnectionId, Error, Event, Permission, Result, TenantId, Timestamp, TraceId};

use crate::engine::Engine;
use crate::live::meter::Board;
use crate::message::confidential::Hushed;
use crate::message::query;
use crate::{account, connection};

pub mod api;
pub mod dissect;
pub mod pages;
mod pcap;
#[cfg(test)]
mod tests;

use dissect::{Dissected, Kind, dissect, mask};

/// Traces that a tenant keeps; a new one takes the place of the oldest that has ended.
const KEPT_MAX: usize = 20;
/// Traces of a tenant that run at once.
const RUNNING_MAX: usize = 5;
/// PDUs that a trace may hold.
const PDUS_MAX: usize = 20_000;
/// PDUs that it holds where nobody says.
const PDUS_DEFAULT: usize = 1_000;
/// Octets that it may hold.
const OCTETS_MAX: usize = 8 << 20;
/// Minutes that it may run.
const MINUTES_MAX: u32 = 60;
/// Minutes that it runs where nobody says.
const MINUTES_DEFAULT: u32 = 10;
/// Packets that wait for the trace; what comes above is missed, and counted.
const PACKETS_WAITING_MAX: usize = 4_096;
/// Requests whose answers are awaited by a trace that is narrowed to an address.
const ASKED_MAX: usize = 10_000;
/// Looks at whether a trace that was stopped has ended.
const STOP_LOOKS_MAX: usize = 200;
/// PDUs in one answer.
const PAGE_MAX: usize = 500;

/// What to trace. Exactly one of `connection` and `account`.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrace {
    /// A connection to a carrier.
    pub connection: Option<ConnectionId>,
    /// A customer's account.
    pub account: Option<AccountId>,
    /// Only the bind of this number.
    pub bind: Option<u64>,
    /// Only PDUs whose sender or recipient holds this, and the answers to them.
    pub address: Option<String>,
    /// For how long, 1 to 60 minutes; 10 when not given.
    pub minutes: Option<u32>,
    /// How many PDUs, 1 to 20,000; 1,000 when not given.
    pub pdus: Option<usize>,
}

/// A trace.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// The connection that is traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The account that is traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// What people call it.
    pub name: String,
    /// Only the bind of this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<u64>,
    /// Only PDUs with this address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When it began.
    pub began_at: Timestamp,
    /// When it ends at the latest.
    pub until: Timestamp,
    /// When it ended; absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
    /// PDUs that it holds.
    pub pdus: usize,
    /// PDUs that it may hold.
    pub pdus_max: usize,
    /// PDUs that came faster than they could be kept.
    pub missed: u64,
}

/// A PDU of a trace, read.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TracedPdu {
    /// 1, 2, 3 … within its trace.
    pub number: u64,
    /// When it was read or written.
    pub at: Timestamp,
    /// `in` to us, `out` from us.
    #[schema(value_type = String)]
    pub direction: Direction,
    /// The number of its bind.
    pub bind: u64,
    /// The kind of its bind.
    pub kind: &'static str,
    /// The far side's address.
    pub peer: String,
    /// What it is, and its fields.
    #[serde(flatten)]
    pub pdu: Dissected,
    /// The whole PDU in hex.
    pub hex: String,
    #[serde(skip)]
    octets: Vec<u8>,
}

/// PDUs of a trace.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TracedPdus {
    /// The PDUs.
    pub items: Vec<TracedPdu>,
    /// Pass it as `after` to go on; the same as before when nothing is new.
    pub after: u64,
    /// Whether the trace still runs.
    pub running: bool,
}

/// A PDU as it is kept.
#[derive(Debug, Clone)]
struct Kept {
    at: Timestamp,
    direction: Direction,
    line: Arc<Line>,
    octets: Vec<u8>,
}

/// A trace that is kept.
struct Running {
    about: Trace,
    point: Point,
    stop: CancellationToken,
    recorded: Mutex<Recorded>,
}

#[derive(Default)]
struct Recorded {
    pdus: Vec<Kept>,
    octets: usize,
    /// Requests that fitted the address: bind, direction and number.
    asked: HashSet<(u64, Direction, u32)>,
    ended: Option<(Timestamp, &'static str)>,
    missed: u64,
}

impl Running {
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> Trace {
        let recorded = self.recorded();
        let missed = if recorded.ended.is_some() { recorded.missed } else { self.point.missed() };
        Trace {
            ended_at: recorded.ended.map(|(at, _)| at),
            why: recorded.ended.map(|(_, why)| why),
            pdus: recorded.pdus.len(),
            missed,
            ..self.about.clone()
        }
    }

    fn is_running(&self) -> bool {
        self.recorded().ended.is_none()
    }

    /// Keeps what fits. Why the trace ends, where it is full.
    fn take(&self, packet: &Packet, hushed: &Hushed) -> Option<&'static str> {
        if self.about.bind.is_some_and(|bind| bind != packet.line.bind) {
            return None;
        }
        let protocol = packet.line.protocol;
        let mut recorded = self.recorded();
        for mut octets in dissect::pdus(protocol, &packet.octets) {
            if !self.fits(&mut recorded, packet, &octets) {
                continue;
            }
            mask(protocol, &mut octets, Kind::Password);
            if !hushed.is_empty() && names(&dissect(protocol, &octets), |it| hushed.has(it, packet.at)) {
                mask(protocol, &mut octets, Kind::Text);
            }
            recorded.octets += octets.len();
            let Packet { at, direction, .. } = *packet;
            recorded.pdus.push(Kept { at, direction, line: packet.line.clone(), octets });
            if recorded.pdus.len() >= self.about.pdus_max {
                return Some("it holds as many PDUs as it may");
            }
            if recorded.octets >= OCTETS_MAX {
                return Some("it holds as many octets as it may");
            }
        }
        None
    }

    fn fits(&self, recorded: &mut Recorded, packet: &Packet, octets: &[u8]) -> bool {
        let Some(wanted) = &self.about.address else { return true };
        let told = dissect(packet.line.protocol, octets);
        if told.response {
            let asked = match packet.direction {
                Direction::In => Direction::Out,
                Direction::Out => Direction::In,
            };
            return recorded.asked.remove(&(packet.line.bind, asked, told.sequence));
        }
        let fits = names(&told, |address| address.contains(wanted));
        if fits && recorded.asked.len() < ASKED_MAX {
            recorded.asked.insert((packet.line.bind, packet.direction, told.sequence));
        }
        fits
    }
}

/// Whether one of a PDU's addresses is such.
fn names(pdu: &Dissected, such: impl Fn(&str) -> bool) -> bool {
    pdu.fields.iter().any(|field| field.kind == Kind::Address && such(&field.value))
}

/// All traces that are kept, the oldest first.
#[derive(Default)]
struct Traces(Mutex<HashMap<TenantId, VecDeque<Arc<Running>>>>);

impl Traces {
    fn of(runtime: &Runtime) -> Arc<Self> {
        runtime.kept(|_| Self::default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, VecDeque<Arc<Running>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, tenant: TenantId, id: TraceId) -> Result<Arc<Running>> {
        let found =
            self.lock().get(&tenant).and_then(|all| all.iter().find(|one| one.about.id == id).cloned());
        found.ok_or_else(|| Error::not_found("trace"))
    }

    /// Keeps a trace, in the place of the oldest that has ended where there are many.
    fn keep(&self, trace: Arc<Running>) -> Result<()> {
        let mut traces = self.lock();
        let all = traces.entry(trace.about.tenant).or_default();
        let running = all.iter().filter(|one| one.is_running()).count();
        if running >= RUNNING_MAX {
            return Err(Error::new(Code::Conflict, format!("{running} traces run already"))
                .hint("stop one of them, or wait until it ends"));
        }
        if all.len() >= KEPT_MAX
            && let Some(oldest) = all.iter().position(|one| !one.is_running())
        {
            all.remove(oldest);
        }
        all.push_back(trace);
        Ok(())
    }
}

/// The subject of a trace: what people call it, and where it can be listened to.
async fn subject(scope: &Scope, engine: &Engine, new: &NewTrace) -> Result<(String, Point)> {
    let board: &Board = engine.meters();
    match (new.connection, new.account) {
        (Some(id), None) => {
            let connection = connection::get(scope, id).await?;
            if connection.settings.protocol == connection::Protocol::Http {
                return Err(Error::invalid("connection", "a connection over HTTP sends no PDUs"));
            }
            Ok((connection.name, board.connection(id).point.clone()))
        }
        (None, Some(id)) => Ok((account::get(scope, id).await?.name, board.account(id).point.clone())),
        _ => Err(Error::invalid("connection", "a trace is of one connection or of one account")
            .hint("give either connection or account")),
    }
}

fn within<T: Copy + PartialOrd + std::fmt::Display>(
    at: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<T> {
    if value < least || value > most {
        return Err(Error::invalid(at, format!("{value} is not from {least} to {most}")));
    }
    Ok(value)
}

/// Begins a trace. It runs until it is stopped, its time is over, or it is full.
///
/// # Errors
/// [`Code::NotFound`] for a connection or account that there is not; [`Code::Conflict`] where it is traced already, or where
/// as many traces run as may; refusals of its values.
pub async fn start(scope: &Scope, engine: &Engine, new: NewTrace) -> Result<Trace> {
    scope.require(Permission::TraceStart)?;
    let minutes = within("minutes", new.minutes.unwrap_or(MINUTES_DEFAULT), 1, MINUTES_MAX)?;
    let pdus_max = within("pdus", new.pdus.unwrap_or(PDUS_DEFAULT), 1, PDUS_MAX)?;
    let address = new.address.as_deref().map(|text| text.trim().trim_start_matches('+').to_owned());
    let address = address.filter(|text| !text.is_empty());
    let (name, point) = subject(scope, engine, &new).await?;
    let runtime = scope.runtime();
    let now = scope.now();
    let about = Trace {
        id: runtime.ids.next(),
        tenant: scope.tenant(),
        connection: new.connection,
        account: new.account,
        name,
        bind: new.bind,
        address,
        began_at: now,
        until: now.plus_ms(i64::from(minutes) * 60_000),
        ended_at: None,
        why: None,
        pdus: 0,
        pdus_max,
        missed: 0,
    };
    // Told before the first PDU is heard.
    let mut write = scope.write().await?;
    write.happened(Event::TraceStarted(audited(&about)?));
    let Some(packets) = point.listen(PACKETS_WAITING_MAX) else {
        return Err(Error::new(Code::Conflict, format!("{:?} is traced already", about.name))
            .hint("stop the trace that runs, or wait until it ends"));
    };
    let (stop, recorded) = (runtime.tasks.stopping().child_token(), Mutex::default());
    let trace = Arc::new(Running { about: about.clone(), point, stop, recorded });
    Traces::of(runtime).keep(trace.clone())?;
    let until = Instant::now() + Duration::from_secs(u64::from(minutes) * 60);
    runtime.tasks.spawn("trace", record(trace.clone(), packets, until, runtime.clone()));
    let committed = write.commit(about).await;
    if committed.is_err() {
        trace.stop.cancel();
    }
    committed
}

/// Takes what is heard until the trace ends.
async fn record(trace: Arc<Running>, mut packets: mpsc::Receiver<Packet>, until: Instant, runtime: Runtime) {
    let hushed = Hushed::of(&runtime);
    let why = loop {
        tokio::select! {
            () = trace.stop.cancelled() => break "it was stopped",
            () = tokio::time::sleep_until(until) => break "its time was over",
            packet = packets.recv() => match packet {
                Some(packet) => if let Some(full) = trace.take(&packet, &hushed) { break full },
                None => break "it was stopped",
            },
        }
    };
    let missed = trace.point.missed();
    let mut recorded = trace.recorded();
    recorded.missed = missed;
    recorded.ended = Some((runtime.clock.now(), why));
}

/// The traces of the tenant that are kept, the latest first.
///
/// # Errors
/// [`Code::Forbidden`].
pub fn list(scope: &Scope) -> Result<Vec<Trace>> {
    scope.require(Permission::TraceView)?;
    let traces = Traces::of(scope.runtime());
    let all = traces.lock().get(&scope.tenant()).cloned().unwrap_or_default();
    Ok(all.iter().rev().map(|trace| trace.shown()).collect())
}

/// One trace.
///
/// # Errors
/// [`Code::NotFound`].
pub fn get(scope: &Scope, id: TraceId) -> Result<Trace> {
    scope.require(Permission::TraceView)?;
    Ok(Traces::of(scope.runtime()).find(scope.tenant(), id)?.shown())
}

/// Ends a trace; what it holds stays.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn stop(scope: &Scope, id: TraceId) -> Result<Trace> {
    scope.require(Permission::TraceStop)?;
    let trace = Traces::of(scope.runtime()).find(scope.tenant(), id)?;
    trace.stop.cancel();
    // The task that listens ends it in a moment; where the program stops, nobody does.
    for _ in 0..STOP_LOOKS_MAX {
        if !trace.is_running() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(trace.shown())
}

/// Ends a trace and throws away what it holds.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(scope: &Scope, id: TraceId) -> Result<()> {
    let trace = stop(scope, id).await?;
    let mut write = scope.write().await?;
    write.happened(Event::TraceDeleted(audited(&trace)?));
    write.commit(()).await?;
    if let Some(all) = Traces::of(scope.runtime()).lock().get_mut(&scope.tenant()) {
        all.retain(|one| one.about.id != id);
    }
    Ok(())
}

/// What a trace holds behind a number, as its viewer may see it.
fn visible(scope: &Scope, trace: &Running, after: u64, limit: usize) -> Vec<(u64, Kept)> {
    // A PDU does not say whose message it carries.
    let texts = query::sees_all(scope) && scope.permissions().contains(Permission::ContentView);
    let skip = usize::try_from(after).unwrap_or(usize::MAX);
    let held: Vec<Kept> = trace.recorded().pdus.iter().skip(skip).take(limit).cloned().collect();
    let covered = |(n, mut kept): (u64, Kept)| {
        if !texts {
            mask(kept.line.protocol, &mut kept.octets, Kind::Text);
        }
        (n, kept)
    };
    (after + 1..).zip(held).map(covered).collect()
}

fn told((number, kept): (u64, Kept)) -> TracedPdu {
    let Kept { at, direction, line, octets } = kept;
    TracedPdu {
        number,
        at,
        direction,
        bind: line.bind,
        kind: line.kind,
        peer: line.peer.to_string(),
        pdu: dissect(line.protocol, &octets),
        hex: crate::journal::hex(&octets),
        octets,
    }
}

/// The PDUs of a trace behind a number, read. Phones stand in them, so they need `identifier.view` too; texts are covered for
/// those who may not read them.
///
/// # Errors
/// [`Code::NotFound`].
pub fn pdus(scope: &Scope, id: TraceId, after: u64, limit: usize) -> Result<TracedPdus> {
    scope.require(Permission::TraceView)?;
    scope.require(Permission::IdentifierView)?;
    let limit = within("limit", limit, 1, PAGE_MAX)?;
    let trace = Traces::of(scope.runtime()).find(scope.tenant(), id)?;
    // Asked first: what comes between is then read by the next question.
    let running = trace.is_running();
    let items: Vec<TracedPdu> = visible(scope, &trace, after, limit).into_iter().map(told).collect();
    Ok(TracedPdus { after: items.last().map_or(after, |last| last.number), items, running })
}

/// How a trace is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// pcapng, for Wireshark.
    Pcapng,
    /// A JSON object for each line.
    JsonLines,
}

/// A whole trace as a file.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn file(scope: &Scope, id: TraceId, format: Format) -> Result<Vec<u8>> {
    scope.require(Permission::TraceDownload)?;
    scope.require(Permission::IdentifierView)?;
    let trace = Traces::of(scope.runtime()).find(scope.tenant(), id)?;
    let mut write = scope.write().await?;
    write.happened(Event::TraceDownloaded(audited(&trace.shown())?));
    write.commit(()).await?;
    let held = visible(scope, &trace, 0, usize::MAX);
    Ok(match format {
        Format::Pcapng => pcap::file(held.iter().map(|(_, kept)| kept)),
        Format::JsonLines => {
            let mut lines = Vec::new();
            for one in held {
                serde_json::to_writer(&mut lines, &told(one)).map_err(Error::internal)?;
                lines.push(b'\n');
            }
            lines
        }
    })
}

fn audited(trace: &Trace) -> Result<Change> {
    let after = Some(serde_json::to_value(trace).map_err(Error::internal)?);
    Ok(Change { id: trace.id.to_string(), name: trace.name.clone(), before: None, after })
}
