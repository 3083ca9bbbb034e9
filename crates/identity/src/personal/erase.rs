//! Erasing users where more than a statement is needed.

use std::collections::HashSet;

use db::{Tx, args, record, sql};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use runtime::Runtime;
use runtime::personal::{Named, clear_answers, delete_jobs, names, scrub_stream};
use serde_json::Value;
use types::{Error, GrantId, Result, TenantId, Timestamp, UserId};

/// Rows that one transaction erases.
const BATCH: i64 = 200;
/// Grants of a user whose lines in reviews are looked for.
const GRANTS_MAX: i64 = 10_000;

record! { struct Who { email_folded: String, name: String } }
record! { struct Given { id: GrantId } }

/// A user who is not erased yet.
async fn who(tx: &mut Tx, tenant: TenantId, value: &str) -> Result<Option<(UserId, Who)>> {
    let id = UserId::from_raw(value.parse().map_err(Error::internal)?);
    let who: Option<Who> = tx
        .optional(
            sql!("select email_folded, name from users where tenant_id = $1 and id = $2"),
            args![tenant, id],
        )
        .await?;
    Ok(who.filter(|who| who.email_folded.contains('@')).map(|who| (id, who)))
}

/// Takes a user's address and name out of the audited part of the event stream, of kept answers and of waiting work.
pub(super) fn events<'a>(
    _: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    value: &'a str,
    before: Timestamp,
) -> BoxFuture<'a, Result<u64>> {
    async move {
        let Some((id, Who { email_folded, name })) = who(tx, tenant, value).await? else { return Ok(0) };
        let id = id.to_string();
        let named = Named { id: &id, name: &name };
        let span = (Timestamp::from_unix_ms(0), before);
        let is_theirs = |value: Option<&Value>| value.and_then(Value::as_str) == Some(id.as_str());
        let mut done = scrub_stream(tx, tenant, (&email_folded, Some(named)), before).await?;
        done += clear_answers(tx, tenant, &email_folded, span, |one| names(one, &email_folded)).await?;
        done += clear_answers(tx, tenant, &id, span, |one| {
            ["id", "user", "user_id", "subject"].into_iter().any(|member| is_theirs(one.get(member)))
        })
        .await?;
        Ok(done + delete_jobs(tx, tenant, &email_folded).await?)
    }
    .boxed()
}

/// Overwrites what was noticed about a user. That it was noticed, when and how often, stays.
pub(super) fn noticed<'a>(
    _: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    value: &'a str,
    before: Timestamp,
) -> BoxFuture<'a, Result<u64>> {
    async move {
        let Some((id, Who { email_folded, .. })) = who(tx, tenant, value).await? else { return Ok(0) };
        let like = format!("%{}%", email_folded.replace(['%', '\\'], "_"));
        Ok(tx
            .execute(
                sql!(
                    "update security_event set subject = 'erased', detail = 'erased', note = null where tenant_id = $1 \
                     and id in (select id from security_event where tenant_id = $1 and first_at < $3 and ((user_id = $2 \
                     and (subject <> 'erased' or detail <> 'erased' or note is not null)) or lower(subject) like $4 \
                     or lower(detail) like $4 or lower(note) like $4) limit $5)"
                ),
                args![tenant, id, before, like, BATCH],
            )
            .await?)
    }
    .boxed()
}

/// Overwrites a user's name, and what was noted, in the lines of reviews that are about them or what they were given, and in kept answers
/// that tell such lines.
pub(super) fn reviewed<'a>(
    _: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    value: &'a str,
    before: Timestamp,
) -> BoxFuture<'a, Result<u64>> {
    async move {
        let Some((id, _)) = who(tx, tenant, value).await? else { return Ok(0) };
        let given: Vec<Given> = tx
            .all(
                sql!("select id from access_grant where tenant_id = $1 and user_id = $2 order by id limit $3"),
                args![tenant, id, GRANTS_MAX],
            )
            .await?;
        let given = given.into_iter().map(|given| given.id.to_string());
        let subjects: HashSet<String> = given.chain([id.to_string()]).collect();
        let span = (Timestamp::from_unix_ms(0), before);
        let mut done = clear_answers(tx, tenant, "\"subject\":", span, |one| {
            one.get("subject").and_then(Value::as_str).is_some_and(|subject| subjects.contains(subject))
        })
        .await?;
        for subject in &subjects {
            done += tx
                .execute(
                    sql!(
                        "update review_line set name = 'erased', note = null where tenant_id = $1 and subject = $2 \
                         and (name <> 'erased' or note is not null)"
                    ),
                    args![tenant, subject.as_str()],
                )
                .await?;
        }
        Ok(done)
    }
    .boxed()
}
