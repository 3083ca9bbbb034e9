//! What a review lists: every user, key and temporary grant, and what speaks for a second look.

use db::{Tx, args, record, sql};
use types::{GrantId, KeyId, Permission, Permissions, Result, TenantId, Timestamp, UserId};

use super::{DAY_MS, DORMANT_DAYS, LINES_MAX};
use crate::key;
use crate::role::rights;

record! {
    struct Person {
        id: UserId, name: String, email: String, role: String, created_at: Timestamp, last_sign_in_at: Option<Timestamp>,
    }
}
record! {
    struct Program {
        id: KeyId, name: String, scopes: String, owner_id: Option<UserId>, created_at: Timestamp,
        expires_at: Option<Timestamp>, last_used_at: Option<Timestamp>,
    }
}
record! {
    struct Given {
        id: GrantId, user_name: String, role: Option<String>, permissions: Option<String>, reason: String,
        created_at: Timestamp, ends_at: Timestamp,
    }
}
record! { struct Busy { actor: String } }

/// A line in the making.
pub(super) struct Line {
    pub(super) kind: &'static str,
    pub(super) subject: String,
    pub(super) name: String,
    pub(super) held: String,
    pub(super) since: Timestamp,
    pub(super) last_used_at: Option<Timestamp>,
    pub(super) ends_at: Option<Timestamp>,
    pub(super) remarks: Vec<&'static str>,
}

/// What speaks for a second look at when something was last used.
fn rest(since: Timestamp, last: Option<Timestamp>, now: Timestamp) -> Option<&'static str> {
    let dormant = |at: Timestamp| now.since_ms(at) > DORMANT_DAYS * DAY_MS;
    match last {
        None if dormant(since) => Some("never_used"),
        Some(last) if dormant(last) => Some("dormant"),
        _ => None,
    }
}

/// Whether rights reach over people and keys, or are all that there are.
fn is_wide(held: Permissions) -> bool {
    [Permission::UserRole, Permission::RoleChange, Permission::GrantCreate, Permission::KeyCreate]
        .into_iter()
        .any(|one| held.contains(one))
}

/// Whether rights allow to change something.
fn changes(held: Permissions) -> bool {
    held.iter().any(|one| !one.as_str().ends_with(".view") && !one.as_str().ends_with(".export"))
}

/// Everything that is held in a tenant at this moment.
pub(super) async fn lines(tx: &mut Tx, tenant: TenantId, now: Timestamp) -> Result<Vec<Line>> {
    let customs = rights::customs(tx, tenant).await?;
    let busy: Vec<Busy> = tx
        .all(
            sql!("select distinct actor from audit_row where tenant_id = $1 and at >= $2 and kind not like 'user.%' limit $3"),
            args![tenant, now.plus_ms(-DORMANT_DAYS * DAY_MS), LINES_MAX],
        )
        .await?;
    let is_busy = |actor: &str| busy.iter().any(|one| one.actor == actor);
    let people: Vec<Person> = tx
        .all(
            sql!(
                "select id, name, email, role, created_at, last_sign_in_at from users where tenant_id = $1 \
                 and status = 'active' order by name, id limit $2"
            ),
            args![tenant, LINES_MAX],
        )
        .await?;
    let mut lines = Vec::new();
    for person in people {
        let held = rights::held_by_role(&customs, &person.role).permissions();
        let old = now.since_ms(person.created_at) > DORMANT_DAYS * DAY_MS;
        let idle = old && changes(held) && !is_busy(&person.id.to_string());
        let remarks = rest(person.created_at, person.last_sign_in_at, now)
            .into_iter()
            .chain(is_wide(held).then_some("wide"))
            .chain(idle.then_some("idle_rights"));
        lines.push(Line {
            kind: "user",
            subject: person.id.to_string(),
            name: format!("{} <{}>", person.name, person.email),
            held: person.role,
            since: person.created_at,
            last_used_at: person.last_sign_in_at,
            ends_at: None,
            remarks: remarks.collect(),
        });
    }
    lines.extend(programs(tx, tenant, now).await?);
    lines.extend(given(tx, tenant, now).await?);
    lines.truncate(usize::try_from(LINES_MAX).unwrap_or(usize::MAX));
    Ok(lines)
}

async fn programs(tx: &mut Tx, tenant: TenantId, now: Timestamp) -> Result<Vec<Line>> {
    let keys: Vec<Program> = tx
        .all(
            sql!(
                "select id, name, scopes, owner_id, created_at, expires_at, last_used_at from api_key where tenant_id = $1 \
                 and revoked_at is null and (expires_at is null or expires_at > $2) order by name, id limit $3"
            ),
            args![tenant, now, LINES_MAX],
        )
        .await?;
    let line = |program: Program| {
        let names: Vec<String> = serde_json::from_str(&program.scopes).unwrap_or_default();
        let remarks = rest(program.created_at, program.last_used_at, now)
            .into_iter()
            .chain(is_wide(key::permissions(&program.scopes)).then_some("wide"))
            .chain(program.expires_at.is_none().then_some("no_end"))
            .chain(program.owner_id.is_none().then_some("ownerless"));
        Line {
            kind: "key",
            subject: program.id.to_string(),
            name: program.name,
            held: names.join(", "),
            since: program.created_at,
            last_used_at: program.last_used_at,
            ends_at: program.expires_at,
            remarks: remarks.collect(),
        }
    };
    Ok(keys.into_iter().map(line).collect())
}

async fn given(tx: &mut Tx, tenant: TenantId, now: Timestamp) -> Result<Vec<Line>> {
    let grants: Vec<Given> = tx
        .all(
            sql!(
                "select g.id, u.name as user_name, g.role, g.permissions, g.reason, g.created_at, g.ends_at \
                 from access_grant g join users u on u.id = g.user_id and u.tenant_id = g.tenant_id where g.tenant_id = $1 \
                 and g.ended_at is null and g.ends_at > $2 order by g.id limit $3"
            ),
            args![tenant, now, LINES_MAX],
        )
        .await?;
    let line = |grant: Given| Line {
        kind: "grant",
        subject: grant.id.to_string(),
        name: format!("{}: {}", grant.user_name, grant.reason),
        held: grant.role.or(grant.permissions).unwrap_or_default(),
        since: grant.created_at,
        last_used_at: None,
        ends_at: Some(grant.ends_at),
        remarks: Vec::new(),
    };
    Ok(grants.into_iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rests_is_dormant_and_what_is_new_is_not() {
        let day = |day: i64| Timestamp::from_unix_ms(day * DAY_MS);
        assert_eq!(rest(day(0), None, day(91)), Some("never_used"));
        assert_eq!(rest(day(80), None, day(91)), None);
        assert_eq!(rest(day(0), Some(day(0)), day(91)), Some("dormant"));
        assert_eq!(rest(day(0), Some(day(50)), day(91)), None);
    }
}
