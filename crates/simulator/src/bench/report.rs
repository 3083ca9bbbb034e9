//! What a run found.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::histogram::Latency;
use super::process::Usage;

/// The result of a run. Every submit is in exactly one of `accepted`, `rejected`, `indeterminate` and
/// `unsent`; every accepted one in exactly one of the receipts' `delivered`, `failed` and `missing`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Where it was sent.
    pub target: String,
    /// Binds, each with its window.
    pub binds: usize,
    /// Unanswered submits on each bind.
    pub window: usize,
    /// Messages; a long one counts once.
    pub messages: u64,
    /// submit_sm: messages and parts of long ones.
    pub submits: u64,
    /// Answered with ESME_ROK.
    pub accepted: u64,
    /// Refused for good, by status.
    pub rejected: BTreeMap<String, u64>,
    /// Never answered, as the connection broke or the time ran out: the peer may have them or not.
    pub indeterminate: u64,
    /// Not sent, as the run ended before.
    pub unsent: u64,
    /// Times that ESME_RTHROTTLED was answered; each was sent again.
    pub throttled: u64,
    /// Times that ESME_RMSGQFUL was answered; each was sent again.
    pub queue_full: u64,
    /// Responses that came after their time had run out.
    pub late_responses: u64,
    /// Responses with an id that another response had before.
    pub repeated_ids: u64,
    /// Receipts; `None` when none were waited for.
    pub receipts: Option<Receipts>,
    /// Inbound messages that are no receipts.
    pub inbound: u64,
    /// Times that a connection was made anew.
    pub reconnects: u64,
    /// From the first submit to the end of the waiting, in seconds.
    pub elapsed_s: f64,
    /// Accepted a second, from the end of the warm-up to the last response.
    pub accepted_per_s: f64,
    /// Accepted a second, to the last receipt: what went through in full. `None` when none were waited for.
    pub completed_per_s: Option<f64>,
    /// The most that a fixed rate fell behind its plan, in milliseconds.
    pub behind_ms: u64,
    /// From a submit to its response.
    pub response: Latency,
    /// From a submit to its receipt.
    pub receipt: Latency,
    /// The process under test, where its id was given.
    pub process: Option<Usage>,
    /// This process: the generator, and the simulator where it runs beside.
    pub generator: Option<Usage>,
    /// What happened in each second.
    pub timeline: Vec<Second>,
}

/// What became of the receipts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Receipts {
    /// Accepted submits that were reported as delivered.
    pub delivered: u64,
    /// Accepted submits that were reported with another final state.
    pub failed: u64,
    /// Accepted submits without a final receipt: lost, if the time was enough.
    pub missing: u64,
    /// Final receipts of submits that had one.
    pub duplicate: u64,
    /// Receipts for ids that no response had.
    pub unknown: u64,
    /// Receipts of states that are not final.
    pub intermediate: u64,
    /// Receipts that came before their response.
    pub early: u64,
    /// Receipts without a readable id or state.
    pub unreadable: u64,
    /// The first of the submits without a receipt, by their order.
    pub missing_submits: Vec<u64>,
    /// The first of the ids that were not known when they came.
    pub unknown_ids: Vec<String>,
}

/// What happened in one second of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Second {
    /// Submits sent.
    pub submits: u32,
    /// Submits accepted.
    pub accepted: u32,
    /// Receipts that came.
    pub receipts: u32,
}

impl Report {
    /// Whether nothing was lost, doubled, refused or left open.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let receipts = self.receipts.as_ref().is_none_or(|receipts| {
            receipts.missing + receipts.duplicate + receipts.unknown + receipts.unreadable == 0
        });
        receipts && self.accepted == self.submits
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, binds, window, messages, submits, .. } = self;
        writeln!(f, "{target}: {binds} binds, window {window}, {:.1} s", self.elapsed_s)?;
        writeln!(f, "messages    {messages:>10}   submits {submits}")?;
        writeln!(f, "accepted    {:>10}   {:.0}/s", self.accepted, self.accepted_per_s)?;
        for (status, count) in &self.rejected {
            writeln!(f, "rejected    {count:>10}   {status}")?;
        }
        let others = [
            ("indeterminate", self.indeterminate),
            ("unsent", self.unsent),
            ("throttled", self.throttled),
            ("queue full", self.queue_full),
            ("late", self.late_responses),
            ("repeated ids", self.repeated_ids),
            ("reconnects", self.reconnects),
            ("inbound", self.inbound),
            ("behind, ms", self.behind_ms),
        ];
        for (name, count) in others.into_iter().filter(|(_, count)| *count > 0) {
            writeln!(f, "{name:<12}{count:>10}")?;
        }
        if let Some(receipts) = &self.receipts {
            let rate = self.completed_per_s.unwrap_or_default();
            writeln!(f, "delivered   {:>10}   {rate:.0}/s complete", receipts.delivered)?;
            let Receipts { failed, missing, duplicate, unknown, .. } = receipts;
            writeln!(f, "failed {failed}, missing {missing}, duplicate {duplicate}, unknown {unknown}")?;
            let Receipts { intermediate, early, unreadable, .. } = receipts;
            writeln!(f, "intermediate {intermediate}, before response {early}, unreadable {unreadable}")?;
        }
        writeln!(f, "ms              mean     p50     p90     p99   p99.9     max")?;
        for (name, latency) in [("response", &self.response), ("receipt", &self.receipt)] {
            writeln!(f, "{}", latency.line(name))?;
        }
        for (name, usage) in [("under test", &self.process), ("generator", &self.generator)] {
            if let Some(usage) = usage {
                writeln!(f, "{}", usage.line(name))?;
            }
        }
        Ok(())
    }
}
