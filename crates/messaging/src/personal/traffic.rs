//! What is on its way to a phone when its person is erased or restricted, and what memory holds of them.

use db::{args, record, sql};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use privacy::request::job::Traffic;
use runtime::Scope;
use types::{MessageId, OptOutId, Result, Timestamp};

use crate::engine::Engine;
use crate::opt_out::Noted;
use crate::queue::steer::{self, Action, STEERED_MAX, Selection};

/// The gateway, as requests of persons see it.
pub struct Gateway(pub Engine);

record! { struct Open { id: MessageId } }
record! { struct Count { n: i64 } }
record! { struct Entry { id: OptOutId } }

impl Traffic for Gateway {
    fn settle<'a>(
        &'a self,
        scope: &'a Scope,
        phones: &'a [String],
        before: Timestamp,
    ) -> BoxFuture<'a, Result<u64>> {
        async move {
            let mut left = 0;
            for phone in phones {
                let mut tx = scope.read().await?;
                let waiting: Vec<Open> = tx
                    .all(
                        sql!(
                            "select id from message where tenant_id = $1 and direction = 'out' and recipient = $2 \
                             and state in ('scheduled', 'queued') and accepted_at < $3 order by id limit $4"
                        ),
                        args![scope.tenant(), phone.as_str(), before, STEERED_MAX as i64],
                    )
                    .await?;
                drop(tx);
                if !waiting.is_empty() {
                    let ids = waiting.into_iter().map(|open| open.id).collect();
                    steer::steer(scope, &self.0, Action::Cancel, &Selection { ids, ..Selection::default() })
                        .await?;
                }
                let mut tx = scope.read().await?;
                let Count { n } = tx
                    .one(
                        sql!(
                            "select count(*) as n from message where tenant_id = $1 and direction = 'out' and recipient = $2 \
                             and wake_at is not null and accepted_at < $3"
                        ),
                        args![scope.tenant(), phone.as_str(), before],
                    )
                    .await?;
                left += u64::try_from(n).unwrap_or(0);
                // What a customer's system has still to be told of reads its message when it is told.
                let Count { n } = tx
                    .one(
                        sql!(
                            "select count(*) as n from push p join message m on m.tenant_id = p.tenant_id and m.id = p.message_id \
                             where m.tenant_id = $1 and m.accepted_at < $3 and ((m.direction = 'out' and m.recipient = $2) \
                             or (m.direction = 'in' and m.sender = $2))"
                        ),
                        args![scope.tenant(), phone.as_str(), before],
                    )
                    .await?;
                left += u64::try_from(n).unwrap_or(0);
            }
            Ok(left)
        }
        .boxed()
    }

    fn opted_out<'a>(&'a self, scope: &'a Scope, phones: &'a [String]) -> BoxFuture<'a, Result<bool>> {
        async move { Ok(phones.iter().any(|phone| self.0.opt_outs().of(scope.tenant(), phone).is_some())) }
            .boxed()
    }

    fn forget<'a>(&'a self, scope: &'a Scope, phones: &'a [String]) -> BoxFuture<'a, Result<()>> {
        async move {
            let tenant = scope.tenant();
            for phone in phones {
                let mut tx = scope.read().await?;
                let left: Vec<Entry> = tx
                    .all(
                        sql!("select id from opt_out where tenant_id = $1 and phone = $2 limit 1000"),
                        args![tenant, phone.as_str()],
                    )
                    .await?;
                // One that came in meanwhile is the person's newest word and stays.
                let stays: Vec<OptOutId> = left.into_iter().map(|entry| entry.id).collect();
                for id in self.0.opt_outs().entries(tenant, phone) {
                    if !stays.contains(&id) {
                        self.0.opt_outs().note(&[Noted::Removed { tenant, id, phone: phone.clone() }]);
                    }
                }
            }
            self.0.gates_changed(tenant).await
        }
        .boxed()
    }
}
