//! Taking a phone off distribution lists.

use db::{Tx, args, record, sql};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use runtime::Runtime;
use types::{DistributionListId, Error, Result, TenantId, Timestamp};

use crate::distribution::ListRule;
use crate::settings;

record! { struct List { id: DistributionListId, rule: String } }

/// Takes a phone off a batch of lists. A list has no time for its members: it may have been imported late, so all are looked at.
pub(super) fn members<'a>(
    _: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    phone: &'a str,
    _: Timestamp,
) -> BoxFuture<'a, Result<u64>> {
    async move {
        let shown = format!("+{phone}");
        let lists: Vec<List> = tx
            .all(
                sql!(
                    "select id, rule from distribution_list where tenant_id = $1 and rule like $2 order by id limit 100"
                ),
                args![tenant, format!("%\"{shown}\"%")],
            )
            .await?;
        let mut done = 0;
        for List { id, rule } in lists {
            let mut rule: ListRule = settings::stored(&rule)?;
            rule.members.retain(|member| *member != shown);
            let text = serde_json::to_string(&rule).map_err(Error::internal)?;
            done += tx
                .execute(
                    sql!(
                        "update distribution_list set rule = $3, revision = revision + 1 where tenant_id = $1 and id = $2"
                    ),
                    args![tenant, id, text],
                )
                .await?;
        }
        Ok(done)
    }
    .boxed()
}
