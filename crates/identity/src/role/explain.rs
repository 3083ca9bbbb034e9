//! Why somebody may do something, or may not.
//!
//! The verdict is [`Facts::allows`] over the facts that authentication itself reads; what is listed beside it says what it
//! rests on, and where that can be changed.

use db::Tx;
use runtime::{Actor, Held, Scope};
use serde::{Deserialize, Serialize};
use types::{Code, Error, KeyId, Permission, Reach, Result, Timestamp, UserId};

use super::rights::{self, By, Facts, Shut};
use crate::key;

/// Who, what, and about which record.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Question {
    /// A user or an API key: `usr_…`, `key_…`; who asks when not given.
    pub who: Option<String>,
    /// The permission's name.
    pub permission: String,
    /// A record's id. It matters where records have an owner: users and API keys.
    pub record: Option<String>,
}

/// What a ground is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The user's own role.
    Role,
    /// A role above the user's own.
    InheritedRole,
    /// Something given for a time.
    Grant,
    /// The key's scopes.
    KeyScopes,
    /// About whose records the permission is held.
    Reach,
    /// Whose rights bound the key's.
    Owner,
    /// The tenant is suspended.
    TenantSuspended,
    /// The user is disabled.
    UserDisabled,
    /// The key was revoked.
    KeyRevoked,
    /// The key has expired.
    KeyExpired,
    /// The other user may do more.
    Outranked,
    /// Nothing gives it.
    NotGiven,
}

/// Something that a verdict rests on.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Ground {
    /// What it is.
    pub kind: Kind,
    /// In words.
    pub detail: String,
    /// About whose records, for what gives a permission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// Until when, for what ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Where it is seen and changed in the console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
}

/// A verdict, and what it rests on.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    /// The user or key.
    pub who: String,
    /// What it is called.
    pub name: String,
    /// The permission.
    pub permission: Permission,
    /// What it allows, in words.
    pub title: &'static str,
    /// The record, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Whether it is allowed at this moment.
    pub allowed: bool,
    /// What gives it.
    pub given_by: Vec<Ground>,
    /// What stands in its way.
    pub barred_by: Vec<Ground>,
}

/// Explains a permission of a user or key of the tenant. Everybody may ask about themselves.
///
/// # Errors
/// Without `access.explain` for others; `invalid_filter`, `invalid_id`; `not_found` for a user, key or record that is not
/// there.
pub async fn explain(scope: &Scope, question: &Question) -> Result<Explanation> {
    let oneself = scope.actor().to_string();
    let who = question.who.as_deref().map(str::trim).filter(|who| !who.is_empty() && *who != "me");
    let who = who.unwrap_or(&oneself).to_owned();
    if who != oneself {
        scope.require(Permission::AccessExplain)?;
    }
    let permission = Permission::named(question.permission.trim()).ok_or_else(|| {
        Error::new(Code::InvalidFilter, format!("{:?} is no permission", question.permission))
            .at("permission")
            .hint("GET /api/v1/permissions lists them")
    })?;
    let mut tx = scope.read().await?;
    let facts = facts(&mut tx, scope, &who).await?;
    let record = question.record.as_deref().map(str::trim).filter(|record| !record.is_empty());
    let owner = match record {
        Some(record) => Some(owner(&mut tx, scope, record).await?),
        None => None,
    };
    let outranked = match record.and_then(|record| record.parse::<UserId>().ok()) {
        Some(user) if governs(permission) => outranked(&mut tx, scope, &facts, user).await?,
        _ => false,
    };
    let now = scope.now();
    let (given_by, mut barred_by) = (given(&facts, permission, now), barred(&facts, permission, owner, now));
    if outranked {
        barred_by.push(ground(Kind::Outranked, "this user may do more than who asks".to_owned()));
    }
    let name = match (&facts.key, &facts.person) {
        (Some(key), _) => key.name.clone(),
        (None, Some(person)) => person.name.clone(),
        (None, None) => String::new(),
    };
    Ok(Explanation {
        who,
        name,
        permission,
        title: permission.title(),
        record: record.map(str::to_owned),
        allowed: facts.allows(permission, owner, now) && !outranked,
        given_by,
        barred_by,
    })
}

/// Whether a permission on a user asks beside it that the other may do no more.
const fn governs(permission: Permission) -> bool {
    matches!(
        permission,
        Permission::UserChange | Permission::UserRole | Permission::UserLink | Permission::UserSecurity
    )
}

async fn facts(tx: &mut Tx, scope: &Scope, who: &str) -> Result<Facts> {
    let (tenant, now) = (scope.tenant(), scope.now());
    if let Ok(user) = who.parse::<UserId>() {
        return rights::of_user(tx, tenant, user, now).await;
    }
    match who.parse::<KeyId>() {
        Ok(key) => rights::of_key(tx, tenant, key, now).await,
        Err(error) if matches!(scope.actor(), Actor::User(_) | Actor::Key(_)) => {
            Err(error.at("who").hint("give usr_… or key_…"))
        }
        Err(_) => Err(Error::new(Code::Forbidden, "only a user or an API key has rights to explain")),
    }
}

/// The owner of a record; nobody of a record that has none.
async fn owner(tx: &mut Tx, scope: &Scope, record: &str) -> Result<Option<UserId>> {
    if let Ok(user) = record.parse::<UserId>() {
        return Ok(Some(crate::user::find(tx, scope.tenant(), user).await?.id));
    }
    if let Ok(id) = record.parse::<KeyId>() {
        return key::owner_if_there(tx, scope.tenant(), id).await;
    }
    Ok(None)
}

async fn outranked(tx: &mut Tx, scope: &Scope, facts: &Facts, user: UserId) -> Result<bool> {
    let theirs = rights::of_user(tx, scope.tenant(), user, scope.now()).await?;
    Ok(!facts.held(scope.now()).covers(&theirs.held(scope.now())))
}

fn ground(kind: Kind, detail: String) -> Ground {
    Ground { kind, detail, reach: None, until: None, href: None }
}

/// Everything that gives the permission, whatever stands in its way.
fn given(facts: &Facts, permission: Permission, now: Timestamp) -> Vec<Ground> {
    let mut grounds = Vec::new();
    for source in facts.sources(now).into_iter().filter(|source| source.permissions.contains(permission)) {
        let reach = Some(Held::default().with(source.permissions, source.reach))
            .and_then(|held| held.reach(permission));
        let (kind, detail, until, href) = match &source.by {
            By::Role(way) => {
                let last = way.last().cloned().unwrap_or_default();
                let (kind, detail) = match way.len() {
                    1 => (Kind::Role, format!("the role {last}")),
                    _ => (Kind::InheritedRole, format!("the role {last}, above {}", below(way))),
                };
                (kind, detail, None, format!("/roles/{last}"))
            }
            By::Grant(grant, way) => {
                let what = way.last().map_or_else(String::new, |role| format!(" of the role {role}"));
                let detail = format!("a temporary grant{what}: {}", grant.reason);
                let user = facts.person.as_ref().map(|person| person.id.to_string()).unwrap_or_default();
                (Kind::Grant, detail, Some(grant.ends_at), format!("/users/{user}"))
            }
        };
        grounds.push(Ground { kind, detail, reach, until, href: Some(href) });
    }
    if let Some(key) = facts.key.as_ref().filter(|key| key.scopes.contains(permission)) {
        let detail = match &facts.person {
            Some(person) => format!("the key's scopes, within what its owner {} may do", person.name),
            None => "the key's scopes; it has no owner".to_owned(),
        };
        grounds
            .push(Ground { href: Some(format!("/api-keys/{}", key.id)), ..ground(Kind::KeyScopes, detail) });
    }
    grounds
}

fn below(way: &[String]) -> String {
    way[..way.len().saturating_sub(1)].iter().rev().cloned().collect::<Vec<_>>().join(", above ")
}

/// Everything that stands in the way.
fn barred(
    facts: &Facts,
    permission: Permission,
    owner: Option<Option<UserId>>,
    now: Timestamp,
) -> Vec<Ground> {
    let mut grounds = Vec::new();
    let key_href = facts.key.as_ref().map(|key| format!("/api-keys/{}", key.id));
    let user_href = facts.person.as_ref().map(|person| format!("/users/{}", person.id));
    match facts.shut(now) {
        None => {}
        Some(Shut::Tenant) => {
            grounds.push(ground(Kind::TenantSuspended, "the tenant is suspended".to_owned()));
        }
        Some(Shut::Person) => grounds.push(Ground {
            href: user_href.clone(),
            ..ground(Kind::UserDisabled, "the user is disabled, and so are their keys".to_owned())
        }),
        Some(Shut::Revoked) => grounds.push(Ground {
            href: key_href.clone(),
            ..ground(Kind::KeyRevoked, "the key was revoked".to_owned())
        }),
        Some(Shut::Expired) => grounds.push(Ground {
            href: key_href.clone(),
            ..ground(Kind::KeyExpired, "the key has expired".to_owned())
        }),
        Some(Shut::Ownerless) => {
            grounds.push(ground(Kind::Owner, "the key's owner is no more".to_owned()));
        }
    }
    if let Some(key) = facts.key.as_ref().filter(|key| !key.scopes.contains(permission)) {
        let detail = format!("the key {} was not given {}", key.name, permission.as_str());
        grounds.push(Ground { href: key_href, ..ground(Kind::KeyScopes, detail) });
    }
    let held = facts.of_the_person().held(now);
    match (&facts.person, held.reach(permission)) {
        (Some(person), None) => {
            let whose = if facts.key.is_some() { "the key's owner " } else { "" };
            let detail =
                format!("neither {whose}{}'s role {} nor a grant gives it", person.name, person.role);
            grounds.push(Ground { href: user_href, ..ground(Kind::NotGiven, detail) });
        }
        (Some(_), Some(reach)) if owner.is_some_and(|owner| !held.allows(permission, owner)) => {
            let whose = if reach == Reach::Own { "their own records" } else { "their team's records" };
            let detail = format!("it is held for {whose} alone, and this is none of them");
            grounds.push(Ground { reach: Some(reach), href: user_href, ..ground(Kind::Reach, detail) });
        }
        _ => {}
    }
    grounds
}
