//! The task that looks at all counters once a second. Traffic pays for counting alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use connectors::Status;
use runtime::measure::Sizes;
use tokio::time::MissedTickBehavior;
use types::{ConnectionId, Timestamp};

use super::meter::Meter;
use super::series::{Flow, Level, Sample};
use crate::engine::Engine;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// Every so many looks it forgets what has not been used for long.
const FORGET_EVERY: u32 = 600;

/// Looks for as long as the program runs.
pub(crate) async fn run(engine: Engine) {
    let stopping = engine.runtime().tasks.stopping();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0_u32;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        look(&engine);
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(FORGET_EVERY) {
            engine.meters().forget(engine.runtime().clock.now());
        }
    }
}

/// One look at everything.
pub(crate) fn look(engine: &Engine) {
    let now = engine.runtime().clock.now();
    for (id, status, latency) in engine.measured() {
        let meter = engine.meters().connection(id);
        let waiting: usize = engine.queue().waiting(id).iter().sum();
        meter.series().push(of_connection(&meter, &status, latency, waiting as u64, now));
    }
    let mut windows: HashMap<_, _> = engine.sessions().windows().into_iter().collect();
    for (id, meter) in engine.meters().accounts() {
        let (window_used, window_limit) = windows.remove(&id).unwrap_or_default();
        let level = Level { window_used, window_limit, waiting: 0 };
        meter.series().push(of_account(&meter, level, now));
    }
}

fn of_connection(meter: &Arc<Meter>, status: &Status, latency: Sizes, waiting: u64, at: Timestamp) -> Sample {
    let counters = &status.counters;
    let sum = |of: fn(&connectors::BindStatus) -> usize| status.binds.iter().map(of).sum::<usize>() as u64;
    Sample {
        at,
        flow: Flow {
            sent: counters.submitted,
            received: counters.delivered,
            accepted: counters.accepted,
            refused: counters.refused,
            throttled: counters.throttled,
            unanswered: counters.timed_out + counters.lost,
        },
        level: Level {
            window_used: sum(|bind| bind.window_used),
            window_limit: sum(|bind| bind.window_limit),
            waiting,
        },
        latency,
        lag: meter.lag.sizes(),
        refusals: meter.refusals.counts(),
        receipts: meter.receipts.counts(),
    }
}

fn of_account(meter: &Meter, level: Level, at: Timestamp) -> Sample {
    let refusals = meter.refusals.counts();
    let load = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
    Sample {
        at,
        flow: Flow {
            sent: load(&meter.given),
            received: load(&meter.parts),
            accepted: load(&meter.accepted),
            refused: refusals.iter().map(|(_, n)| n).sum(),
            throttled: load(&meter.throttled),
            unanswered: 0,
        },
        level,
        refusals,
        ..Sample::default()
    }
}

/// Puts what each connection and account does into the metrics.
pub(crate) fn publish(engine: &Engine, names: &HashMap<ConnectionId, String>) {
    for (id, status, latency) in engine.measured() {
        let Some(name) = names.get(&id) else { continue };
        let meter = engine.meters().connection(id);
        let flow = meter.series().untold();
        for (outcome, n) in [
            ("submitted", flow.sent),
            ("accepted", flow.accepted),
            ("refused", flow.refused),
            ("throttled", flow.throttled),
            ("unanswered", flow.unanswered),
        ] {
            let labels = [("connection", name.clone()), ("outcome", outcome.to_owned())];
            metrics::counter!("switchboard_connection_parts_total", &labels).increment(n);
        }
        let of = [("connection", name.clone())];
        metrics::counter!("switchboard_connection_deliveries_total", &of).increment(flow.received);
        metrics::counter!("switchboard_connection_binds_total", &of)
            .increment(meter.bound.swap(0, Ordering::Relaxed));
        metrics::gauge!("switchboard_connection_bound", &of).set(super::bound(&status) as f64);
        let used: usize = status.binds.iter().map(|bind| bind.window_used).sum();
        let limit: usize = status.binds.iter().map(|bind| bind.window_limit).sum();
        metrics::gauge!("switchboard_connection_window_used", &of).set(used as f64);
        metrics::gauge!("switchboard_connection_window_limit", &of).set(limit as f64);
        for (intent, n) in crate::Intent::ALL.iter().zip(engine.queue().waiting(id)) {
            let labels = [("connection", name.clone()), ("lane", intent.as_str().to_owned())];
            metrics::gauge!("switchboard_connection_waiting", &labels).set(n as f64);
        }
        for (what, sizes, per_s) in
            [("answer", &latency, 1_000_000.0), ("receipt", &meter.lag.sizes(), 1_000.0)]
        {
            for (quantile, share) in [("0.5", 0.5), ("0.95", 0.95), ("0.99", 0.99)] {
                let Some(value) = sizes.quantile(share) else { continue };
                let labels = [
                    ("connection", name.clone()),
                    ("what", what.to_owned()),
                    ("quantile", quantile.to_owned()),
                ];
                metrics::gauge!("switchboard_connection_delay_seconds", &labels).set(value as f64 / per_s);
            }
        }
    }
    for (system_id, meter) in engine.sessions().meters() {
        let flow = meter.series().untold();
        for (outcome, n) in [
            ("submitted", flow.received),
            ("accepted", flow.accepted),
            ("refused", flow.refused),
            ("throttled", flow.throttled),
            ("given", flow.sent),
        ] {
            let labels = [("account", system_id.clone()), ("outcome", outcome.to_owned())];
            metrics::counter!("switchboard_account_parts_total", &labels).increment(n);
        }
    }
}
