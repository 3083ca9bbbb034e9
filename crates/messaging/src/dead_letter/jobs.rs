//! Jobs that came to nothing: seen, run again, or thrown away by a person.

use db::{Arg, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::event::Change;
use types::{Error, Event, JobId, Page, Permission, Result, Timestamp};

/// A job that is dead.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DeadJob {
    /// Its id.
    pub id: JobId,
    /// What it was to do: `messaging.callback` posts a receipt, `messaging.received` a message from a phone.
    pub kind: String,
    /// The address that it was about, where it was about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The message that it was about, where it was about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was given up.
    pub error: String,
    /// Since when it is dead.
    pub dead_since: Timestamp,
}

/// Dead jobs. All that is given must hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadSelection {
    /// These, at most 1,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<JobId>,
    /// Of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// All that are dead: to be said where nothing else is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// What came of a change to dead jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = DeadJobsMoved)]
pub struct Moved {
    /// Jobs that were run again, or thrown away.
    pub done: u64,
    /// Whether more may fit: ask again.
    pub more: bool,
}

/// Jobs that one operation moves.
const MOVED_MAX: usize = 1_000;

record! {
    struct Stored {
        id: JobId, kind: String, payload: String, attempts: u32, leased_until: Timestamp, last_error: Option<String>,
    }
}

impl Stored {
    fn job(self) -> DeadJob {
        // What is in a payload is its handler's alone; only its address and its message are told.
        let payload: Value = serde_json::from_str(&self.payload).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        DeadJob {
            id: self.id,
            kind: self.kind,
            url: text(&payload["url"]).map(|url| without_secrets(&url)),
            message: text(&payload["body"]["id"]).or_else(|| text(&payload["message"])),
            attempts: self.attempts,
            error: self.last_error.unwrap_or_default(),
            dead_since: self.leased_until,
        }
    }
}

/// An address without its query and its password, which are its owner's secrets.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// The tenant's dead jobs before an id, the newest first.
///
/// # Errors
/// [`types::Code::Forbidden`].
pub async fn list(scope: &Scope, before: i64, limit: usize) -> Result<Page<DeadJob>> {
    scope.require(Permission::QueueView)?;
    let mut tx = scope.read().await?;
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, kind, payload, attempts, leased_until, last_error from job where tenant_id = $1 and id < $2 \
                 and dead order by id desc limit $3"
            ),
            args![scope.tenant(), before, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(stored, limit, |job| job.id.raw()).map(Stored::job))
}

/// Runs dead jobs again, with all their attempts before them; at most 1,000 at once.
///
/// # Errors
/// [`types::Code::Forbidden`]; a selection that names nothing.
pub async fn redrive(scope: &Scope, selection: &DeadSelection) -> Result<Moved> {
    let moved = act(
        scope,
        selection,
        "redrive",
        sql!(
            "update job set dead = false, attempts = 0, leased_until = 0, run_at = $5 where tenant_id = $1 and id in ( \
             select id from job where tenant_id = $1 and dead and (cast($2 as text) is null or kind = $2) \
             and ($3 = 0 or id in (select cast(r.value ->> 'id' as bigint) from json_rows($4) r)) order by id limit $6)"
        ),
    )
    .await?;
    scope.runtime().job_wake.notify_one();
    Ok(moved)
}

/// Throws dead jobs away; at most 1,000 at once.
///
/// # Errors
/// [`types::Code::Forbidden`]; a selection that names nothing.
pub async fn discard(scope: &Scope, selection: &DeadSelection) -> Result<Moved> {
    let text = sql!(
        "delete from job where tenant_id = $1 and id in ( \
         select id from job where tenant_id = $1 and dead and leased_until <= $5 and (cast($2 as text) is null or kind = $2) \
         and ($3 = 0 or id in (select cast(r.value ->> 'id' as bigint) from json_rows($4) r)) order by id limit $6)"
    );
    act(scope, selection, "discard", text).await
}

async fn act(
    scope: &Scope,
    selection: &DeadSelection,
    what: &'static str,
    text: &'static str,
) -> Result<Moved> {
    scope.require(Permission::QueueManage)?;
    if selection.ids.len() > MOVED_MAX {
        return Err(Error::invalid("ids", format!("at most {MOVED_MAX} jobs at once")));
    }
    if selection.ids.is_empty() && selection.kind.is_none() && !selection.all {
        return Err(Error::invalid("all", "the selection names nothing")
            .hint("say `\"all\": true` to mean everything that is dead"));
    }
    let ids: Vec<_> = selection.ids.iter().map(|id| serde_json::json!({ "id": id.raw() })).collect();
    let mut write = scope.write().await?;
    let done = write
        .execute(
            text,
            args![
                scope.tenant(),
                selection.kind.clone(),
                ids.len() as i64,
                Arg::json(&ids)?,
                scope.now(),
                MOVED_MAX as i64
            ],
        )
        .await?;
    write.happened(Event::QueueSteered(Change {
        id: String::new(),
        name: format!("{what} {done} dead jobs"),
        before: None,
        after: Some(serde_json::to_value(selection).map_err(Error::internal)?),
    }));
    write.commit(Moved { done, more: done == MOVED_MAX as u64 }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_what_is_secret_in_it() {
        let told = without_secrets("https://user:pass@example.org:8443/hook?token=secret#x");
        assert_eq!(told, "https://example.org:8443/hook");
        assert_eq!(without_secrets("https://example.org"), "https://example.org");
    }
}
