//! Who owns a message, for the explainer of rights.

use db::{Tx, args, record, sql};
use futures::FutureExt;
use futures::future::BoxFuture;
use identity::role::explain::Owners;
use types::{Error, MessageId, Result, TenantId, UserId};

/// The owners of messages.
pub(crate) struct OfMessages;

record! { struct Owned { owner_id: Option<UserId> } }

impl Owners for OfMessages {
    fn owner<'a>(
        &'a self,
        tx: &'a mut Tx,
        tenant: TenantId,
        record: &'a str,
    ) -> BoxFuture<'a, Result<Option<Option<UserId>>>> {
        async move {
            let Ok(id) = record.parse::<MessageId>() else { return Ok(None) };
            let found: Option<Owned> = tx
                .optional(
                    sql!("select owner_id from message where tenant_id = $1 and id = $2"),
                    args![tenant, id],
                )
                .await?;
            found.map(|found| Some(found.owner_id)).ok_or_else(|| Error::not_found("message"))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
