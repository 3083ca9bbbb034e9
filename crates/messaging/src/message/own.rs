//! Figures of some people's messages alone, for whoever sees no others.
//!
//! The sums that are kept with each change are the tenant's, so these are counted: of each person the newest messages, within
//! a bound.

use std::collections::BTreeMap;

use db::{args, sql};
use runtime::{Reached, Scope};
use types::{MessageId, Permission, Result, Timestamp, UserId};

use super::find::ONE_BY_ONE_MAX;
use super::query::{Flow, StateCount};

/// Messages of each person that are counted, the newest; older ones are not.
const COUNTED_MAX: i64 = 10_000;

/// The people whose messages are counted; beyond so many the others are not.
fn people(scope: &Scope) -> &[UserId] {
    match scope.held().reached(Permission::MessageView) {
        Reached::Only(people) => &people[..people.len().min(ONE_BY_ONE_MAX)],
        Reached::All => &[],
    }
}

/// How many messages are in each state.
pub(super) async fn states(scope: &Scope) -> Result<Vec<StateCount>> {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    let mut tx = scope.read().await?;
    for person in people(scope) {
        let found: Vec<StateCount> = tx
            .all(
                sql!(
                    "select w.state as name, count(*) as n from (select state from message where tenant_id = $1 \
                     and owner_id is not null and (owner_id, id) <= ($2, $4) and (owner_id, id) >= ($2, 0) \
                     order by owner_id desc, id desc limit $3) w group by w.state"
                ),
                args![scope.tenant(), *person, COUNTED_MAX, i64::MAX],
            )
            .await?;
        for StateCount { name, n } in found {
            *sums.entry(name).or_default() += n;
        }
    }
    Ok(sums.into_iter().map(|(name, n)| StateCount { name, n }).collect())
}

/// What happened in each minute to the messages that were accepted since an instant, oldest first.
pub(super) async fn flow_since(scope: &Scope, since: Timestamp) -> Result<Vec<Flow>> {
    let mut sums: BTreeMap<(Timestamp, String), i64> = BTreeMap::new();
    let mut tx = scope.read().await?;
    for person in people(scope) {
        let found: Vec<Flow> = tx
            .all(
                sql!(
                    "with w as materialized (select id, state, accepted_at, done_at, \
                     (select min(p.sent_at) from part p where p.message_id = m.id and p.tenant_id = $1) as sent_at \
                     from message m where tenant_id = $1 and owner_id is not null and (owner_id, id) <= ($2, $5) \
                     and (owner_id, id) >= ($2, $3) order by owner_id desc, id desc limit $4) \
                     select a.accepted_at / 60000 * 60000 as bucket, 'accepted' as name, count(*) as n from w a \
                     group by a.accepted_at / 60000 * 60000 union all \
                     select s.sent_at / 60000 * 60000 as bucket, 'sent' as name, count(*) as n from w s \
                     where s.sent_at is not null group by s.sent_at / 60000 * 60000 union all \
                     select d.done_at / 60000 * 60000 as bucket, d.state as name, count(*) as n from w d \
                     where d.done_at is not null group by d.done_at / 60000 * 60000, d.state"
                ),
                args![scope.tenant(), *person, MessageId::from_parts(since, 0), COUNTED_MAX, i64::MAX],
            )
            .await?;
        for Flow { bucket, name, n } in found {
            *sums.entry((bucket, name)).or_default() += n;
        }
    }
    Ok(sums.into_iter().map(|((bucket, name), n)| Flow { bucket, name, n }).collect())
}
