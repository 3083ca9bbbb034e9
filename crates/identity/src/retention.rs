//! What this crate keeps for a time.

use db::sql;
use runtime::personal::By;
use runtime::retention::{Bounds, Class, Forget, Walk, Whose};

use crate::{audit, device};

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
            forget: Forget::Statements(&[sql!(
                "delete from security_entry where tenant_id = $1 and id in (select r.k from rows(k bigint) r)"
            )]),
        },
    },
    Class {
        name: "session",
        title: "Signed-in browsers",
        about: "Sessions that nobody used for so long; counted from when one was last used. Each ends by itself when its time is \
                over, and one that is used is not touched.",
        tables: "session",
        purposes: &[],
        bounds: |config| {
            let most = config.security.session_ttl_h;
            // What is idle is signed out already; a term does not sign out earlier.
            Bounds { least_h: config.security.session_idle_m.div_ceil(60).clamp(1, most), most_h: Some(most) }
        },
        whose: Whose::One(By::User),
        recorded: false,
        walk: Walk::Rows {
            page: sql!(
                "select id as k, created_at as at, '' as purpose, cast(user_id as text) as who, \
                 case when last_seen_at < $4 then 'due' else 'open' end as standing from session \
                 where tenant_id = $1 and id > $2 and id < $3 order by id limit $5"
            ),
            forget: Forget::Statements(&[sql!(
                "delete from session where tenant_id = $1 and id in (select r.k from rows(k bigint) r)"
            )]),
        },
    },
    Class {
        name: "device",
        title: "Browsers that are remembered",
        about: "Browsers that a user has signed in with; counted from when one was last seen. One that is forgotten is asked for \
                the second step again, and is told of by mail as a new one.",
        tables: "device",
        purposes: &[],
        bounds: |_| Bounds::days(1, device::KNOWN_DAYS),
        whose: Whose::One(By::User),
        recorded: false,
        walk: Walk::Rows {
            page: sql!(
                "select id as k, created_at as at, '' as purpose, cast(user_id as text) as who, \
                 case when last_seen_at < $4 then 'due' else 'open' end as standing from device \
                 where tenant_id = $1 and id > $2 and id < $3 order by id limit $5"
            ),
            forget: Forget::Statements(&[sql!(
                "delete from device where tenant_id = $1 and id in (select r.k from rows(k bigint) r)"
            )]),
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
            forget: Forget::Statements(&[sql!(
                "delete from security_event where tenant_id = $1 and state = 'closed' and id in \
                 (select r.k from rows(k bigint) r)"
            )]),
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
