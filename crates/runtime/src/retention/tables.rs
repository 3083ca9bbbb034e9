//! The classes of this crate's own tables.

use db::{Arg, Rows, Tx, args, sql};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use types::{Event, Result, TenantId, Timestamp};

use super::{Bounds, Class, Forget, ROWS_MAX, Walk, Whose};
use crate::Runtime;

/// Numbers of rows as a batch.
pub fn numbers(ks: &[i64]) -> Rows {
    ks.iter().map(|k| [Arg::from(*k)]).collect()
}

/// Forgets a batch of answers from before an instant.
fn answers<'a>(
    _: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    before: Timestamp,
    _: &'a mut Vec<Event>,
) -> BoxFuture<'a, Result<u64>> {
    async move {
        Ok(tx
            .execute(
                sql!(
                    "delete from idempotency where tenant_id = $1 and key in (select key from idempotency \
                     where tenant_id = $1 and at < $2 order by at limit $3)"
                ),
                args![tenant, before, ROWS_MAX as i64],
            )
            .await?)
    }
    .boxed()
}

/// What this crate keeps for a time.
pub const CLASSES: &[Class] = &[
    Class {
        name: "event",
        title: "Events of the traffic",
        about: "What happened to messages, as programs read it. What people and programs did stays as long as the audit trail.",
        tables: "event_page",
        purposes: &[],
        bounds: |config| Bounds::days(0, config.messaging.keep_days),
        whose: Whose::Nobody,
        recorded: true,
        walk: Walk::Rows {
            page: sql!(
                "select last_seq as k, at, '' as purpose, '' as who, 'due' as standing from event_page \
                 where tenant_id = $1 and last_seq > $2 and not audited and at < $4 and cast($3 as bigint) > 0 \
                 order by last_seq limit $5"
            ),
            forget: Forget::Statements(&[sql!(
                "delete from event_page where tenant_id = $1 and not audited and last_seq in \
                 (select r.k from rows(k bigint) r)"
            )]),
        },
    },
    Class {
        name: "dead_job",
        title: "Work that failed for good",
        about: "Callbacks and mails that were given up, with what they were to say; counted from when they were given up.",
        tables: "job",
        purposes: &[],
        bounds: |config| {
            let most = config.jobs.keep_h.max(1);
            Bounds { least_h: 1, most_h: Some(most) }
        },
        whose: Whose::Many,
        recorded: false,
        walk: Walk::Rows {
            page: sql!(
                "select id as k, leased_until as at, '' as purpose, '' as who, \
                 case when dead and leased_until < $4 then 'due' else 'open' end as standing from job \
                 where tenant_id = $1 and id > $2 and id < $3 order by id limit $5"
            ),
            forget: Forget::Statements(&[sql!(
                "delete from job where tenant_id = $1 and dead and id in (select r.k from rows(k bigint) r)"
            )]),
        },
    },
    Class {
        name: "answer",
        title: "Answers kept for repetitions",
        about: "Copies of answers, by which a request that is sent again with its Idempotency-Key gets the same one and does \
                nothing twice. A repetition that comes later is a new request.",
        tables: "idempotency",
        purposes: &[],
        bounds: |config| Bounds { least_h: 1, most_h: Some(config.messaging.idempotency_keep_h) },
        whose: Whose::Nobody,
        recorded: false,
        walk: Walk::Whole {
            count: sql!(
                "select count(*) as n, min(x.at) as oldest from (select at from idempotency \
                 where tenant_id = $1 and at < $2 order by at limit $3) x"
            ),
            forget: answers,
        },
    },
];
