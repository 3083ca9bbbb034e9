//! What this crate keeps for a time: evidence of what persons asked and agreed to, and of what went wrong.

use db::sql;
use runtime::Config;
use runtime::retention::{Bounds, Class, Forget, Walk, Whose};

fn evidence(config: &Config) -> Bounds {
    Bounds::days(config.retention.evidence_days_min, 0)
}

/// What this crate keeps for a time. Who is held is known by their row here.
pub const CLASSES: &[Class] = &[
    Class {
        name: "privacy_request",
        title: "Requests of persons",
        about: "Answered requests with their steps, files and certificates; counted from their end. One whose restriction or \
                objection stands stays.",
        tables: "privacy_request privacy_step privacy_file",
        purposes: &[],
        bounds: evidence,
        whose: Whose::Nobody,
        recorded: false,
        walk: Walk::Rows {
            page: sql!(
                "select q.id as k, q.opened_at as at, '' as purpose, '' as who, \
                 case when q.ended_at is null or q.ended_at >= $4 then 'open' when p.held_at is not null then 'held' \
                 when (q.kind = 'restriction' and p.restricted_at is not null) \
                 or (q.kind = 'objection' and p.objected_at is not null) then 'open' else 'due' end as standing \
                 from privacy_request q join person p on p.tenant_id = q.tenant_id and p.id = q.person_id \
                 where q.tenant_id = $1 and q.id > $2 and q.id < $3 order by q.id limit $5"
            ),
            forget: Forget::Statements(&[
                sql!(
                    "delete from privacy_file where tenant_id = $1 and request_id in (select r.k from rows(k bigint) r)"
                ),
                sql!(
                    "delete from privacy_step where tenant_id = $1 and request_id in (select r.k from rows(k bigint) r)"
                ),
                sql!(
                    "delete from privacy_request where tenant_id = $1 and id in (select r.k from rows(k bigint) r)"
                ),
            ]),
        },
    },
    Class {
        name: "consent",
        title: "Consents that were withdrawn",
        about: "A withdrawal, and what it withdrew; counted from the withdrawal. A consent that stands stays.",
        tables: "consent",
        purposes: &[],
        bounds: evidence,
        whose: Whose::Nobody,
        recorded: false,
        walk: Walk::Rows {
            page: sql!(
                "select c.id as k, c.at, '' as purpose, '' as who, case when p.held_at is not null then 'held' \
                 when exists (select 1 from consent w where w.tenant_id = c.tenant_id and w.person_id = c.person_id \
                 and w.purpose = c.purpose and w.channel = c.channel and w.id >= c.id and not w.given and w.at < $4 \
                 and not exists (select 1 from consent l where l.tenant_id = c.tenant_id and l.person_id = c.person_id \
                 and l.purpose = c.purpose and l.channel = c.channel and l.id > w.id)) then 'due' else 'open' end as standing \
                 from consent c join person p on p.tenant_id = c.tenant_id and p.id = c.person_id \
                 where c.tenant_id = $1 and c.id > $2 and c.id < $3 order by c.id limit $5"
            ),
            forget: Forget::Statements(&[sql!(
                "delete from consent where tenant_id = $1 and id in (select r.k from rows(k bigint) r)"
            )]),
        },
    },
    Class {
        name: "breach",
        title: "Breaches of personal data",
        about: "Closed breaches with what was done about them; counted from when they were closed.",
        tables: "breach breach_step",
        purposes: &[],
        bounds: evidence,
        whose: Whose::Nobody,
        recorded: false,
        walk: Walk::Rows {
            page: sql!(
                "select id as k, discovered_at as at, '' as purpose, '' as who, \
                 case when closed_at < $4 then 'due' else 'open' end as standing from breach \
                 where tenant_id = $1 and id > $2 and id < $3 order by id limit $5"
            ),
            forget: Forget::Statements(&[
                sql!(
                    "delete from breach_step where tenant_id = $1 and breach_id in (select r.k from rows(k bigint) r)"
                ),
                sql!("delete from breach where tenant_id = $1 and id in (select r.k from rows(k bigint) r)"),
            ]),
        },
    },
];
