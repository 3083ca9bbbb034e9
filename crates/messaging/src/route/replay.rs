//! Where the last messages would have gone by the draft.

use std::collections::BTreeMap;

use db::{args, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::{ConnectionId, Error, MessageId, Permission, Result};

use super::ask::{Ask, World};
use super::decide::{Liveness, Routes};
use super::{draft, of_tenant};
use crate::connection;
use crate::queue::Queue;
use crate::recover::MessageRecord;

/// How many messages are asked about.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The last so many, 1 to 1,000; 1,000 when not given.
    pub messages: Option<String>,
}

impl Replay {
    fn limit(&self) -> Result<i64> {
        let asked = self.messages.as_deref().map_or(Some(MESSAGES_MAX), |text| text.parse().ok());
        asked.filter(|asked| (1..=MESSAGES_MAX).contains(asked)).ok_or_else(|| {
            let why = format!("it takes 1 to {MESSAGES_MAX} messages");
            Error::new(types::Code::InvalidFilter, why).at("messages")
        })
    }
}

/// Where the last messages would have gone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Replayed {
    /// Messages that were asked about.
    pub messages: u64,
    /// Messages that would go elsewhere, or be refused, or no more be refused.
    pub moved: u64,
    /// For each connection, how many would go there.
    pub by_connection: Vec<Share>,
    /// Messages that the routes in use would refuse now.
    pub refused_before: u64,
    /// Messages that the draft would refuse.
    pub refused_after: u64,
    /// Some of those that would go elsewhere.
    pub examples: Vec<Moved>,
}

/// What a connection would get.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = ReplayShare)]
pub struct Share {
    /// The connection.
    pub connection: ConnectionId,
    /// What people call it.
    pub name: String,
    /// Messages by the routes in use.
    pub before: u64,
    /// Messages by the draft.
    pub after: u64,
}

/// A message that would go elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = ReplayMoved)]
pub struct Moved {
    /// The message.
    pub message: MessageId,
    /// Where the routes in use lead; none for a refusal.
    pub before: Option<ConnectionId>,
    /// Where the draft leads; none for a refusal.
    pub after: Option<ConnectionId>,
}

const MESSAGES_MAX: i64 = 1_000;
const EXAMPLES_MAX: usize = 20;

/// Asks the routes in use and the draft about the last messages, each at the time at which it was accepted. Whose turn it
/// is begins anew for both.
///
/// # Errors
/// [`types::Code::NotFound`] where there is no draft; [`types::Code::InvalidFilter`].
pub async fn replay(scope: &Scope, replay: &Replay, queue: &Queue) -> Result<Replayed> {
    scope.require(Permission::RouteReplay)?;
    // It plays everybody's messages.
    scope.require_for(Permission::MessageView, None)?;
    let limit = replay.limit()?;
    let tenant = scope.tenant();
    let mut tx = scope.read().await?;
    let draft = draft::present(&mut tx, tenant).await?;
    let live = of_tenant(&mut tx, tenant).await?;
    let records: Vec<MessageRecord> = tx
        .all(
            sql!(
                "select * from message where tenant_id = $1 and direction = 'out' order by id desc limit $2"
            ),
            args![tenant, limit],
        )
        .await?;
    drop(tx);
    let world: World = queue.routes().world().clone();
    let now = scope.now();
    let before = Routes::new(live, world.clone());
    let after = Routes::new(draft.routes.into_iter().map(|route| route.route(tenant, now)).collect(), world);
    let stands = |id: ConnectionId| match queue.alive(id) {
        Liveness::Down => Liveness::Up,
        other => other,
    };
    let mut shares: BTreeMap<ConnectionId, (u64, u64)> = BTreeMap::new();
    let mut replayed = Replayed { messages: records.len() as u64, ..Replayed::default() };
    for record in &records {
        let message = record.outgoing()?;
        let ask = Ask { at: Some(record.accepted_at), ..Ask::of(&message) };
        let was = before.decide(&ask, &stands).map(|chosen| chosen.connection);
        let would = after.decide(&ask, &stands).map(|chosen| chosen.connection);
        match was {
            Some(connection) => shares.entry(connection).or_default().0 += 1,
            None => replayed.refused_before += 1,
        }
        match would {
            Some(connection) => shares.entry(connection).or_default().1 += 1,
            None => replayed.refused_after += 1,
        }
        if was != would {
            replayed.moved += 1;
            if replayed.examples.len() < EXAMPLES_MAX {
                replayed.examples.push(Moved { message: record.id, before: was, after: would });
            }
        }
    }
    let names = connection::names(scope).await?;
    let name = |id| names.iter().find(|named| named.id == id).map_or("gone", |named| named.name.as_str());
    replayed.by_connection = shares
        .into_iter()
        .map(|(connection, (before, after))| Share {
            connection,
            name: name(connection).to_owned(),
            before,
            after,
        })
        .collect();
    Ok(replayed)
}
