//! The personal data of this crate's own tables.

use db::{Tx, sql};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use types::{Result, TenantId, Timestamp};

use super::{Basis, By, Erasure, Kept, Personal, Way, clear_answers, names};
use crate::Runtime;

fn events<'a>(
    _: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    value: &'a str,
    before: Timestamp,
) -> BoxFuture<'a, Result<u64>> {
    async move { super::scrub_stream(tx, tenant, (value, None), before).await }.boxed()
}

const SCRUB_EVENTS: Erasure = Erasure::Code(events);
fn answers<'a>(
    _: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    value: &'a str,
    before: Timestamp,
) -> BoxFuture<'a, Result<u64>> {
    async move {
        let span = (Timestamp::from_unix_ms(0), before);
        clear_answers(tx, tenant, value, span, |object| names(object, value)).await
    }
    .boxed()
}

const SCRUB_ANSWERS: Erasure = Erasure::Code(answers);
const DELETE_JOBS: Erasure = Erasure::Sql(sql!(
    "delete from job where tenant_id = $1 and id in (select id from job where tenant_id = $1 \
     and payload like '%' || cast($2 as text) || '%' and kind not like 'privacy.%' and cast($3 as bigint) > 0 limit $4)"
));

const fn way(by: By, erase: Erasure) -> Way {
    Way { by, count: "", export: None, erase, names: None }
}

/// What this crate keeps about persons: what stands in events, kept answers and waiting work.
pub const PERSONAL: &[Personal] = &[
    Personal::none("event_head", "tenant_id seq"),
    Personal {
        table: "event_page",
        title: "What happened, as programs read it",
        subjects: "recipients and users whom a change names",
        purpose: "following what happens",
        basis: Basis::LegitimateInterest,
        kept: Kept::For(&["event", "audit"]),
        columns: "events from_address",
        others: "tenant_id last_seq first_seq at actor request_id audited",
        ways: &[way(By::Phone, SCRUB_EVENTS), way(By::Mail, SCRUB_EVENTS)],
    },
    Personal {
        table: "idempotency",
        title: "Answers kept for repetitions",
        subjects: "recipients and users whom an answer names",
        purpose: "answering a repeated request as before",
        basis: Basis::Contract,
        kept: Kept::For(&["answer"]),
        columns: "body",
        others: "tenant_id key request_hash status at",
        ways: &[way(By::Phone, SCRUB_ANSWERS), way(By::Mail, SCRUB_ANSWERS)],
    },
    Personal {
        table: "job",
        title: "Work that waits",
        subjects: "recipients and users whom the work is about",
        purpose: "doing what was accepted",
        basis: Basis::Contract,
        kept: Kept::For(&["dead_job"]),
        columns: "payload last_error",
        others: "id tenant_id kind run_at attempts leased_until dead",
        ways: &[way(By::Phone, DELETE_JOBS), way(By::Mail, DELETE_JOBS)],
    },
];
