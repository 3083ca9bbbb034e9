//! What this crate keeps for a time.

use db::{Tx, args, sql};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use runtime::Runtime;
use runtime::personal::By;
use runtime::retention::{Bounds, Class, Walk, Whose, numbers};
use types::{Result, TenantId};

use crate::audit;

fn closed<'a>(_: &'a Runtime, tx: &'a mut Tx, tenant: TenantId, ks: &'a [i64]) -> BoxFuture<'a, Result<u64>> {
    async move {
        Ok(tx
            .execute_rows(
                sql!(
                    "delete from security_event where tenant_id = $1 and state = 'closed' and id in \
                     (select r.k from rows(k bigint) r)"
                ),
                args![tenant],
                numbers(ks),
            )
            .await?)
    }
    .boxed()
}

fn entries<'a>(
    _: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    ks: &'a [i64],
) -> BoxFuture<'a, Result<u64>> {
    async move {
        Ok(tx
            .execute_rows(
                sql!(
                    "delete from security_entry where tenant_id = $1 and id in (select r.k from rows(k bigint) r)"
                ),
                args![tenant],
                numbers(ks),
            )
            .await?)
    }
    .boxed()
}

/// What this crate keeps for a time.
pub const CLASSES: &[Class] = &[
    Class {
        name: "sign_in",
        title: "Sign-in history",
        about: "What each user sees of how they signed in, and of changes to their sign-in.",
        tables: "security_entry",
        purposes: &[],
        bounds: |config| Bounds::days(config.retention.security_days_min, 0),
        whose: Whose::One(By::User),
        recorded: false,
        walk: Walk::Rows {
            page: sql!(
                "select id as k, at, '' as purpose, cast(user_id as text) as who, \
                 case when at < $4 then 'due' else 'open' end as standing from security_entry \
                 where tenant_id = $1 and id > $2 and id < $3 order by id limit $5"
            ),
            forget: entries,
        },
    },
    Class {
        name: "security_event",
        title: "Security events",
        about: "What was noticed and is closed; counted from when it was closed. What is open stays.",
        tables: "security_event",
        purposes: &[],
        bounds: |config| Bounds::days(config.retention.security_days_min, config.watch.keep_days),
        whose: Whose::Many,
        recorded: false,
        walk: Walk::Rows {
            page: sql!(
                "select id as k, first_at as at, '' as purpose, '' as who, \
                 case when state = 'closed' and handled_at < $4 then 'due' else 'open' end as standing \
                 from security_event where tenant_id = $1 and id > $2 and id < $3 order by id limit $5"
            ),
            forget: closed,
        },
    },
    Class {
        name: "audit",
        title: "The audit trail",
        about: "Who did what. The trail is cut at a signed checkpoint, which is then its beginning, and goes on verifying.",
        tables: "audit_row event_page",
        purposes: &[],
        bounds: |config| Bounds::days(config.retention.audit_days_min, config.audit.keep_days),
        whose: Whose::Many,
        recorded: true,
        walk: Walk::Whole {
            count: sql!(
                "select count(*) as n, min(x.at) as oldest from (select r.at from audit_row r where r.tenant_id = $1 \
                 and r.number <= (select coalesce(max(p.number), 0) from audit_checkpoint p where p.tenant_id = $1 \
                 and p.at < $2) order by r.number limit $3) x"
            ),
            forget: audit::keep::forget,
        },
    },
];
