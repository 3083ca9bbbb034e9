//! Taking a message back.

use runtime::Scope;
use types::{MessageId, Permission, Result};

use super::query::{self, Message};
use crate::engine::Engine;

/// Takes a message back that has not left.
///
/// # Errors
/// [`types::Code::NotFound`], also for one that whoever asks may not see; [`types::Code::NotCancellable`].
pub async fn cancel(scope: &Scope, engine: &Engine, id: MessageId) -> Result<Message> {
    scope.require(Permission::MessageCancel)?;
    let owner = query::record(scope, id).await?.owner_id;
    scope.require_for(Permission::MessageCancel, owner)?;
    engine.take_back(scope.tenant(), id).await?;
    query::get(scope, id).await
}
