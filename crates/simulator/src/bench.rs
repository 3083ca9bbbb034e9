//! A load generator that accounts for every message: it binds to any SMPP gateway, submits, and waits for
//! the receipts.
//!
//! Each text carries a marker `ID<number>`, so that the carrier behind the gateway can be asked what it
//! saw. Nothing is sent twice but what was answered with ESME_RTHROTTLED or ESME_RMSGQFUL: what was never
//! answered is `indeterminate`.

mod esme;
mod histogram;
mod http;
mod ledger;
mod plan;
mod process;
mod report;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::Tasks;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use types::{Error, Result};

pub use histogram::Latency;
pub use http::{HttpOptions, HttpReport, http};
pub use process::Usage;
pub use report::{Receipts, Report, Second};

use esme::{Esme, Role};
use ledger::Ledger;
use plan::Plan;
use process::Meter;

/// What to send, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Address and port of the gateway.
    pub target: String,
    /// At most 15 characters.
    pub system_id: String,
    /// At most 64 characters, though the specification allows 8.
    pub password: String,
    /// Binds that submit, 1 to 1,000.
    pub binds: usize,
    /// How they bind.
    pub bind_type: BindType,
    /// Unanswered submits on each.
    pub window: usize,
    /// Messages in all. `None`: until the time is over.
    pub count: Option<u64>,
    /// Seconds to send, after the warm-up. `None`: until all are sent.
    pub duration_s: Option<u64>,
    /// Messages a second, over all binds, by a plan that does not wait for the gateway; 0 for as fast as it
    /// takes them.
    pub rate: u32,
    /// The text, with `{n}` where the number goes. It must fit one part.
    pub text: String,
    /// Messages that are made long enough for two parts.
    pub long_percent: u32,
    /// Who sends: a number, or a name of at most 11 characters.
    pub source: String,
    /// The digits before the last eight of the recipients' numbers.
    pub destination: String,
    /// Different recipients.
    pub destinations: u32,
    /// The first message's number.
    pub first_id: u64,
    /// Whether receipts are asked for and waited for.
    pub receipts: bool,
    /// Milliseconds without any response or receipt after which no more receipts are waited for.
    pub receipt_timeout_ms: u64,
    /// Milliseconds after which a submit counts as never answered.
    pub response_timeout_ms: u64,
    /// Milliseconds at the start that count for the accounts but not for latencies, rates and CPU.
    pub warm_up_ms: u64,
    /// Milliseconds for which a lost connection is tried again: at most a day.
    pub reconnect_ms: u64,
    /// Milliseconds to listen for surplus receipts, when all have come.
    pub settle_ms: u64,
    /// The process under test, on this machine.
    pub pid: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: "127.0.0.1:2775".to_owned(),
            system_id: "bench".to_owned(),
            password: String::new(),
            binds: 1,
            bind_type: BindType::default(),
            window: 10,
            count: Some(10_000),
            duration_s: None,
            rate: 0,
            text: "Hello from the bench, this is message ID{n}.".to_owned(),
            long_percent: 0,
            source: "BENCH".to_owned(),
            destination: "336".to_owned(),
            destinations: 10_000,
            first_id: 0,
            receipts: true,
            receipt_timeout_ms: 15_000,
            response_timeout_ms: 30_000,
            warm_up_ms: 0,
            reconnect_ms: 30_000,
            settle_ms: 100,
            pid: None,
        }
    }
}

/// How the generator binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindType {
    /// One connection both ways.
    #[default]
    Transceiver,
    /// A transmitter and a receiver for each bind.
    Pair,
}

/// What the binds of a run share.
struct Run {
    options: Options,
    plan: Plan,
    ledger: Mutex<Ledger>,
    started: Instant,
    reconnects: AtomicU64,
    /// Microseconds that the rate's plan was missed by, at most.
    behind_us: AtomicU64,
    /// Done when the binds are to unbind.
    finish: CancellationToken,
}

impl Run {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn response_ms(&self) -> i64 {
        i64::try_from(self.options.response_timeout_ms).unwrap_or(i64::MAX)
    }

    fn reconnect_for(&self) -> Duration {
        Duration::from_millis(self.options.reconnect_ms.min(24 * 3_600 * 1_000))
    }

    fn reconnecting(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a bind that has sent `taken` messages may send the next, by the rate.
    ///
    /// # Errors
    /// The microseconds until it may.
    fn due(&self, taken: u64, now_us: u64) -> Result<(), u64> {
        if self.options.rate == 0 {
            return Ok(());
        }
        let share = 1e6 * self.options.binds as f64 / f64::from(self.options.rate);
        let due_us = (taken as f64 * share) as u64;
        if due_us > now_us {
            return Err(due_us - now_us);
        }
        if !self.plan.is_exhausted() {
            self.behind_us.fetch_max(now_us - due_us, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Runs the load and accounts for it. The carrier behind the gateway, if it is to be simulated, is started
/// by the caller.
///
/// # Errors
/// Options that make no sense, or a first bind that fails. What happens later is in the report.
pub async fn smpp(options: Options, tasks: &Tasks) -> Result<Report> {
    check(&options)?;
    let plan = Plan::new(&options)?;
    let expected = usize::try_from(options.count.unwrap_or(1_000_000)).unwrap_or(usize::MAX);
    let mut run = Run {
        ledger: Mutex::new(Ledger::new(expected, options.warm_up_ms.saturating_mul(1_000))),
        plan,
        started: Instant::now(),
        reconnects: AtomicU64::new(0),
        behind_us: AtomicU64::new(0),
        finish: tasks.stopping().child_token(),
        options,
    };
    // Binding is no part of what is measured: all are bound, and the clock starts.
    let roles: &[Role] = match run.options.bind_type {
        BindType::Transceiver => &[Role::Transceiver],
        BindType::Pair => &[Role::Receiver, Role::Transmitter],
    };
    let roles: Vec<Role> = (0..run.options.binds).flat_map(|_| roles.iter().copied()).collect();
    let mut bound = Vec::with_capacity(roles.len());
    for role in &roles {
        bound.push(esme::bind(&run.options, *role).await?);
    }
    run.started = Instant::now();
    let run = Arc::new(run);
    let (done, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
    for (role, bound) in roles.into_iter().zip(bound) {
        let (esme, done) = (Esme::new(Arc::clone(&run), role), done.clone());
        tasks.spawn("bench bind", async move {
            esme.work(bound).await;
            drop(done);
        });
    }
    drop(done);
    let measured = watch(&run).await;
    run.finish.cancel();
    // Ends when the last bind has dropped its end.
    all_done.recv().await;
    Ok(report(&run, &measured))
}

fn check(options: &Options) -> Result<()> {
    if !(1..=1_000).contains(&options.binds) {
        return Err(Error::invalid("binds", "1 to 1,000 binds"));
    }
    if !(1..=100_000).contains(&options.window) {
        return Err(Error::invalid("window", "1 to 100,000 unanswered submits"));
    }
    if options.count.is_none() && options.duration_s.is_none() {
        return Err(Error::invalid("count", "a number of messages or a duration is needed"));
    }
    if options.count.is_some_and(|count| count > ledger::UNITS_MAX as u64) {
        return Err(Error::invalid("count", format!("at most {} messages", ledger::UNITS_MAX)));
    }
    Ok(())
}

/// What the watcher of a run measured.
struct Measured {
    process: Option<Meter>,
    generator: Meter,
    /// When the CPU was looked at last, in microseconds since the start.
    until_us: u64,
}

/// Follows a run to its end: all sent, all answered, all receipts in or given up.
async fn watch(run: &Run) -> Measured {
    let options = &run.options;
    let mut measured = Measured {
        process: options.pid.map(Meter::new),
        generator: Meter::new(std::process::id()),
        until_us: 0,
    };
    let warm_up_us = options.warm_up_ms.saturating_mul(1_000);
    let stop_us =
        options.duration_s.map(|seconds| seconds.saturating_mul(1_000_000).saturating_add(warm_up_us));
    let mut meters_run = false;
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let mut sampled_us = 0;
    loop {
        tokio::select! { _ = tick.tick() => {}, () = run.finish.cancelled() => return measured }
        let now_us = run.now_us();
        if !meters_run && now_us >= warm_up_us {
            meters_run = true;
            measured.each(Meter::start);
        }
        if now_us.saturating_sub(sampled_us) > 200_000 {
            sampled_us = now_us;
            measured.each(Meter::sample);
        }
        if stop_us.is_some_and(|stop_us| now_us >= stop_us) {
            run.plan.stop();
        }
        if is_over(run, now_us) {
            break;
        }
    }
    measured.each(Meter::sample);
    measured.until_us = run.now_us();
    tokio::time::sleep(Duration::from_millis(options.settle_ms)).await;
    measured
}

impl Measured {
    fn each(&mut self, act: impl Fn(&mut Meter)) {
        self.process.iter_mut().chain([&mut self.generator]).for_each(act);
    }
}

fn is_over(run: &Run, now_us: u64) -> bool {
    let ledger = run.ledger();
    if !run.plan.is_exhausted() || ledger.unsettled() > 0 {
        return false;
    }
    let idle_us = now_us.saturating_sub(ledger.progress_us);
    !run.options.receipts
        || ledger.missing() == 0
        || idle_us > run.options.receipt_timeout_ms.saturating_mul(1_000)
}

fn report(run: &Run, measured: &Measured) -> Report {
    let options = &run.options;
    let mut ledger = run.ledger();
    let seconds = |micros: u64| micros as f64 / 1e6;
    let warm_up_us = options.warm_up_ms.saturating_mul(1_000);
    let rate = |until_us: u64| {
        let span = seconds(until_us.saturating_sub(warm_up_us));
        if span > 0.0 { ledger.measured as f64 / span } else { 0.0 }
    };
    let accepted_per_s = rate(ledger.last_response_us);
    let completed_per_s = options.receipts.then(|| rate(ledger.last_receipt_us.max(ledger.last_response_us)));
    let measured_s = seconds(measured.until_us.saturating_sub(warm_up_us));
    let receipts = ledger.close_receipts();
    Report {
        target: options.target.clone(),
        binds: options.binds,
        window: options.window,
        messages: run.plan.issued(),
        submits: ledger.submits(),
        accepted: ledger.accepted,
        rejected: ledger.rejected.iter().map(|(status, count)| (status.to_string(), *count)).collect(),
        indeterminate: ledger.indeterminate,
        unsent: ledger.unsent,
        throttled: ledger.throttled,
        queue_full: ledger.queue_full,
        late_responses: ledger.late_responses,
        repeated_ids: ledger.repeated_ids,
        receipts: options.receipts.then_some(receipts),
        inbound: ledger.inbound,
        reconnects: run.reconnects.load(Ordering::Relaxed),
        elapsed_s: seconds(measured.until_us),
        accepted_per_s,
        completed_per_s,
        behind_ms: run.behind_us.load(Ordering::Relaxed) / 1_000,
        response: ledger.response.latency(),
        receipt: ledger.receipt.latency(),
        process: measured.process.as_ref().and_then(|meter| meter.usage(ledger.measured, measured_s)),
        generator: measured.generator.usage(ledger.measured, measured_s),
        timeline: std::mem::take(&mut ledger.timeline),
    }
}
