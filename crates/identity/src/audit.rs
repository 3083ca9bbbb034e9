//! Who did what: the audited part of the event stream.

use std::collections::HashMap;

use db::{Arg, record, sql};
use runtime::{Scope, outbox};
use serde::{Deserialize, Serialize};
use types::event::Recorded;
use types::{Cursor, KeyId, Page, Permission, Result, UserId, event};
use web::Paging;

pub mod api;
pub mod pages;

/// Entries read at most for one page: a filter that nothing passes gives an early, empty page with a way on.
const SCANNED_MAX: usize = 2_000;
/// Entries read at a time.
const SCANNED_AT_ONCE: usize = 200;

/// Which entries are wanted, and how many.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only what this actor did: `usr_…`, `key_…`.
    pub actor: Option<String>,
    /// Only this kind, such as `key.created`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `next` of the page before: entries before that one.
    pub after: Option<String>,
    /// Entries on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
}

/// The tenant's audit trail, newest first.
///
/// # Errors
/// Without `audit.view`; a malformed cursor or limit, a kind that no event has.
pub async fn list(scope: &Scope, filter: &Filter) -> Result<Page<Recorded>> {
    scope.require(Permission::AuditView)?;
    let paging = Paging { after: filter.after.clone(), limit: filter.limit.clone() };
    let (limit, mut before) = (paging.limit()?, paging.behind(i64::MAX)?);
    let kind = filter.kind.as_deref().map(event::kind_named).transpose()?;
    let wanted = |entry: &Recorded| {
        filter.actor.as_ref().is_none_or(|actor| *actor == entry.actor)
            && kind.is_none_or(|kind| kind == entry.event.kind())
    };
    let (mut items, mut scanned) = (Vec::new(), 0);
    loop {
        let entries =
            outbox::audit_before(&scope.runtime().db, scope.tenant(), before, SCANNED_AT_ONCE).await?;
        let Some(last) = entries.last() else { return Ok(Page { items, next: None }) };
        before = last.seq;
        scanned += entries.len();
        items.extend(entries.into_iter().filter(wanted));
        if items.len() > limit {
            return Ok(Page::from_overfull(items, limit, |entry| entry.seq));
        }
        if scanned >= SCANNED_MAX {
            return Ok(Page { items, next: Some(Cursor::at(before).to_string()) });
        }
    }
}

record! { struct UserName { id: UserId, name: String } }
record! { struct KeyName { id: KeyId, name: String } }

#[derive(Serialize)]
struct Asked {
    id: i64,
}

/// What people call the users and keys that acted, by the actor's text.
pub(crate) async fn actors(scope: &Scope, entries: &[Recorded]) -> Result<HashMap<String, String>> {
    scope.require(Permission::AuditView)?;
    let users = entries
        .iter()
        .filter_map(|entry| entry.actor.parse::<UserId>().ok())
        .map(|id| Asked { id: id.raw() });
    let keys =
        entries.iter().filter_map(|entry| entry.actor.parse::<KeyId>().ok()).map(|id| Asked { id: id.raw() });
    let (users, keys): (Vec<_>, Vec<_>) = (users.collect(), keys.collect());
    let mut tx = scope.read().await?;
    let users: Vec<UserName> = tx
        .all(
            sql!(
                "select id, name from users where tenant_id = $1 \
                 and id in (select cast(r.value ->> 'id' as bigint) from json_rows($2) r)"
            ),
            vec![scope.tenant().into(), Arg::json(&users)?],
        )
        .await?;
    let keys: Vec<KeyName> = tx
        .all(
            sql!(
                "select id, name from api_key where tenant_id = $1 \
                 and id in (select cast(r.value ->> 'id' as bigint) from json_rows($2) r)"
            ),
            vec![scope.tenant().into(), Arg::json(&keys)?],
        )
        .await?;
    let users = users.into_iter().map(|user| (user.id.to_string(), user.name));
    Ok(users.chain(keys.into_iter().map(|key| (key.id.to_string(), key.name))).collect())
}
