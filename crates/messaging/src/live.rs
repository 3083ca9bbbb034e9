//! What is going on: the binds of each connection and each account, rates, windows, delays, errors, and what happened to
//! sessions.
//!
//! # Layout
//!
//! - `meter`: what is counted while traffic passes, in plain atomics
//! - `series`: rings and windows made of that, pure
//! - `sample`: the task that looks once a second
//!
//! All of it is in memory and begins anew with the program; what must be kept is in the tables and the event stream.

use std::sync::atomic::Ordering;

use connectors::{BindStatus, State, Status};
use db::{args, record, sql};
use runtime::Scope;
use serde::Serialize;
use types::{AccountId, ConnectionId, Permission, Result, Timestamp};

use crate::Intent;
use crate::account::{self, Account};
use crate::connection::{self, Connection};
use crate::engine::{Bound, Engine};

pub mod api;
pub mod meter;
pub mod pages;
pub(crate) mod sample;
pub mod series;
#[cfg(test)]
mod tests;

use meter::{Meter, SessionEvent, in_words};
use series::{Counts, Point, Window};

/// Connections, and accounts, that one look shows at most.
pub const SHOWN_MAX: i64 = 1_000;
/// Minutes that the mixes of errors and receipts look back.
pub const MIX_MINUTES: u32 = 15;
/// Receipts that wait for one account are counted up to here.
const WAITING_COUNTED_MAX: i64 = 100_000;

/// How often something came.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = LiveShare)]
pub struct Share {
    /// Its name: a status, a state.
    pub name: String,
    /// What it means.
    pub words: String,
    /// How often.
    pub n: u64,
    /// Which part of all of its kind, 0 to 1.
    pub share: f64,
}

/// Messages that wait for a connection, by what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = LiveWaiting)]
pub struct Waiting {
    /// One-time codes.
    pub otp: usize,
    /// Answers to what people did.
    pub transactional: usize,
    /// Advertising.
    pub marketing: usize,
}

impl Waiting {
    fn of(engine: &Engine, id: ConnectionId) -> Self {
        let lanes = engine.queue().waiting(id);
        let of = |intent: Intent| lanes.get(intent.lane()).copied().unwrap_or_default();
        Self {
            otp: of(Intent::Otp),
            transactional: of(Intent::Transactional),
            marketing: of(Intent::Marketing),
        }
    }

    /// All lanes together.
    pub fn all(self) -> usize {
        self.otp + self.transactional + self.marketing
    }
}

/// What a connection, or an account, does lately.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Lately {
    /// Per second over the last ten seconds, to the far side.
    pub sent_per_second: f64,
    /// Per second over the last ten seconds, from the far side.
    pub received_per_second: f64,
    /// The last 1, 5 and 15 minutes.
    pub windows: Vec<Window>,
}

impl Lately {
    fn of(meter: &Meter) -> Self {
        let series = meter.series();
        let (sent_per_second, received_per_second) = series.now();
        let windows = [1, 5, 15].into_iter().filter_map(|minutes| series.window(minutes)).collect();
        Self { sent_per_second, received_per_second, windows }
    }

    /// One of the windows.
    pub fn window(&self, minutes: u32) -> Option<&Window> {
        self.windows.iter().find(|window| window.minutes == minutes)
    }
}

/// A connection in one line.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ConnectionLine {
    /// Its id.
    pub id: ConnectionId,
    /// What people call it.
    pub name: String,
    /// `bound`, `throttled`, `binding`, `draining`, `down` or `stopped`.
    #[schema(value_type = String)]
    pub state: State,
    /// Sessions that are bound, and those that are wanted.
    pub bound: usize,
    /// Sessions that are wanted.
    pub binds: usize,
    /// Requests that await their answer.
    pub window_used: usize,
    /// How many may.
    pub window_limit: usize,
    /// Messages that wait for it.
    pub waiting: Waiting,
    /// Rates, delays, errors.
    pub lately: Lately,
    /// The most frequent error of the last minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_error: Option<Share>,
    /// Why a session was last lost or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// An account in one line.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AccountLine {
    /// Its id.
    pub id: AccountId,
    /// What people call it.
    pub name: String,
    /// What it binds with.
    pub system_id: String,
    /// Its sessions.
    pub bound: usize,
    /// Requests that await our answer.
    pub window_used: u64,
    /// How many may, over all its sessions.
    pub window_limit: u64,
    /// Rates and refusals; `received` are the parts that it submits.
    pub lately: Lately,
    /// The most frequent refusal of the last minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_error: Option<Share>,
    /// When its system did something last; absent where it has not since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_activity: Option<Timestamp>,
}

/// Everything of a tenant, in one look.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Overview {
    /// When this was so.
    pub at: Timestamp,
    /// Its connections, by name.
    pub connections: Vec<ConnectionLine>,
    /// Its accounts, by name; none for those who may not see accounts.
    pub accounts: Vec<AccountLine>,
}

/// What there is to know of a connection now.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ConnectionMetrics {
    /// The connection in one line.
    #[serde(flatten)]
    pub line: ConnectionLine,
    /// Its sessions, windows and counters; absent while it is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub status: Option<Status>,
    /// Why the carrier refused submits over the last 15 minutes, the most frequent first.
    pub errors: Vec<Share>,
    /// What receipts said over the last 15 minutes.
    pub receipts: Vec<Share>,
    /// What happened to its sessions, the latest first; at most 50.
    pub sessions: Vec<SessionEvent>,
    /// The last two minutes by seconds, oldest first.
    pub seconds: Vec<Point>,
    /// The last four hours by minutes, oldest first.
    pub minutes: Vec<Point>,
}

/// What there is to know of an account now.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AccountMetrics {
    /// The account in one line.
    #[serde(flatten)]
    pub line: AccountLine,
    /// Its sessions.
    pub binds: Vec<Bound>,
    /// Why its submits were refused over the last 15 minutes, the most frequent first.
    pub refusals: Vec<Share>,
    /// Receipts and inbound messages that wait for its system; counted up to 100,000.
    pub waiting: i64,
    /// Since when the oldest of them waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Timestamp>,
    /// Receipts and messages that its system refused or left unanswered, since the start.
    pub not_taken: u64,
    /// What happened to its sessions, the latest first; at most 50.
    pub sessions: Vec<SessionEvent>,
    /// The last two minutes by seconds, oldest first.
    pub seconds: Vec<Point>,
    /// The last four hours by minutes, oldest first.
    pub minutes: Vec<Point>,
}

fn shares(counts: &Counts, words: impl Fn(Option<u64>) -> (String, String)) -> Vec<Share> {
    let all: u64 = counts.iter().map(|(_, n)| n).sum();
    let share = |(code, n): &(Option<u64>, u64)| {
        let (name, words) = words(*code);
        Share { name, words, n: *n, share: *n as f64 / all.max(1) as f64 }
    };
    counts.iter().map(share).collect()
}

/// The name of a receipt's state, and what it means (SMPP v5 §4.7.15).
fn receipt_in_words(code: Option<u64>) -> (String, String) {
    let number = code.and_then(|code| u8::try_from(code).ok()).unwrap_or_default();
    let state = sms::MessageState::from_number(number);
    let words = match crate::message::State::from_receipt(state) {
        Some(end) => format!("the message is {}", end.as_str()),
        None => "the message is still on its way".to_owned(),
    };
    (smpp::MessageState(number).abbreviation().unwrap_or("UNKNOWN").to_owned(), words)
}

fn bound(status: &Status) -> usize {
    status.binds.iter().filter(|bind| matches!(bind.state, State::Bound | State::Throttled)).count()
}

fn connection_line(engine: &Engine, connection: &Connection, status: Option<&Status>) -> ConnectionLine {
    let sum = |of: fn(&BindStatus) -> usize| status.map_or(0, |status| status.binds.iter().map(of).sum());
    let meter = engine.meters().known_connection(connection.id);
    let errors = meter.as_ref().map(|meter| meter.series().mixes(MIX_MINUTES).0).unwrap_or_default();
    ConnectionLine {
        id: connection.id,
        name: connection.name.clone(),
        state: status.map_or(State::Stopped, |status| status.state),
        bound: status.map_or(0, bound),
        binds: status.map_or(0, |status| status.binds.len()),
        window_used: sum(|bind| bind.window_used),
        window_limit: sum(|bind| bind.window_limit),
        waiting: Waiting::of(engine, connection.id),
        lately: meter.as_ref().map(|meter| Lately::of(meter)).unwrap_or_default(),
        top_error: shares(&errors, in_words).into_iter().next(),
        last_error: status.and_then(|status| status.binds.iter().find_map(|bind| bind.last_error.clone())),
    }
}

fn account_line(engine: &Engine, account: &Account) -> AccountLine {
    let binds = engine.account_binds(account.id);
    let meter = engine.meters().known_account(account.id);
    let errors = meter.as_ref().map(|meter| meter.series().mixes(MIX_MINUTES).0).unwrap_or_default();
    let active_ms = meter.as_ref().map_or(0, |meter| meter.active_ms.load(Ordering::Relaxed));
    AccountLine {
        id: account.id,
        name: account.name.clone(),
        system_id: account.system_id.clone(),
        bound: binds.len(),
        window_used: binds.iter().map(|bind| u64::from(bind.window_used)).sum(),
        window_limit: binds.len() as u64 * u64::from(account.settings.window_max),
        lately: meter.as_ref().map(|meter| Lately::of(meter)).unwrap_or_default(),
        top_error: shares(&errors, in_words).into_iter().next(),
        last_activity: Some(Timestamp::from_unix_ms(active_ms)).filter(|_| active_ms > 0),
    }
}

/// Everything of the tenant, in one look.
///
/// # Errors
/// [`types::Code::Forbidden`] without the right to see connections.
pub async fn overview(scope: &Scope, engine: &Engine) -> Result<Overview> {
    let connections = connection::all(scope, SHOWN_MAX).await?;
    let accounts = match scope.permissions().contains(Permission::AccountView) {
        true => account::all(scope, SHOWN_MAX).await?,
        false => Vec::new(),
    };
    let connections = connections
        .iter()
        .map(|one| connection_line(engine, one, engine.connection_status(one.id).as_ref()))
        .collect();
    let accounts = accounts.iter().map(|one| account_line(engine, one)).collect();
    Ok(Overview { at: scope.now(), connections, accounts })
}

/// What there is to know of a connection now.
///
/// # Errors
/// [`types::Code::NotFound`].
pub async fn of_connection(scope: &Scope, engine: &Engine, id: ConnectionId) -> Result<ConnectionMetrics> {
    let connection = connection::get(scope, id).await?;
    let status = engine.connection_status(id);
    let line = connection_line(engine, &connection, status.as_ref());
    let Some(meter) = engine.meters().known_connection(id) else {
        let (errors, receipts, sessions, seconds, minutes) = Default::default();
        return Ok(ConnectionMetrics { line, status, errors, receipts, sessions, seconds, minutes });
    };
    let series = meter.series();
    let (errors, receipts) = series.mixes(MIX_MINUTES);
    Ok(ConnectionMetrics {
        line,
        status,
        errors: shares(&errors, in_words),
        receipts: shares(&receipts, receipt_in_words),
        sessions: meter.sessions(),
        seconds: series.seconds(),
        minutes: series.minutes(),
    })
}

record! { struct Kept { n: i64, since: Option<Timestamp> } }

/// What there is to know of an account now.
///
/// # Errors
/// [`types::Code::NotFound`].
pub async fn of_account(scope: &Scope, engine: &Engine, id: AccountId) -> Result<AccountMetrics> {
    let account = account::get(scope, id).await?;
    let kept: Kept = scope
        .read()
        .await?
        .one(
            sql!(
                "select count(*) as n, min(at) as since from \
                 (select at from push where tenant_id = $1 and account_id = $2 order by id limit $3) waiting"
            ),
            args![scope.tenant(), id, WAITING_COUNTED_MAX],
        )
        .await?;
    let line = account_line(engine, &account);
    let meter = engine.meters().known_account(id).unwrap_or_default();
    let series = meter.series();
    Ok(AccountMetrics {
        line,
        binds: engine.account_binds(id),
        refusals: shares(&series.mixes(MIX_MINUTES).0, in_words),
        waiting: kept.n,
        waiting_since: kept.since,
        not_taken: meter.not_given.load(Ordering::Relaxed),
        sessions: meter.sessions(),
        seconds: series.seconds(),
        minutes: series.minutes(),
    })
}

/// Ends one session of a connection when nothing is open on it; it comes back at once.
///
/// # Errors
/// [`types::Code::NotFound`], also for a session that there is not.
pub async fn renew(scope: &Scope, engine: &Engine, id: ConnectionId, bind: u64) -> Result<()> {
    scope.require(Permission::ConnectionOperate)?;
    let connection = connection::get(scope, id).await?;
    if !engine.renew(id, bind) {
        return Err(types::Error::not_found("bind").at("bind"));
    }
    let mut write = scope.write().await?;
    write.happened(types::Event::ConnectionRenewed(ended(id.to_string(), connection.name, bind)));
    write.commit(()).await
}

/// Ends one session of an account, by its number: it is sent an unbind, and what it has submitted is answered first.
///
/// # Errors
/// [`types::Code::NotFound`], also for a session that there is not.
pub async fn end(scope: &Scope, engine: &Engine, id: AccountId, bind: u64) -> Result<()> {
    scope.require(Permission::AccountManage)?;
    let account = account::get(scope, id).await?;
    if !engine.sessions().end_one(id, bind) {
        return Err(types::Error::not_found("bind").at("bind"));
    }
    let mut write = scope.write().await?;
    write.happened(types::Event::AccountEnded(ended(id.to_string(), account.name, bind)));
    write.commit(()).await
}

fn ended(id: String, name: String, bind: u64) -> types::event::Change {
    types::event::Change { id, name, before: Some(serde_json::json!({ "bind": bind })), after: None }
}
