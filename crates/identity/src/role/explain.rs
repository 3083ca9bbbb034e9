//! Why somebody may do something, or may not.
//!
//! The verdict is [`Facts::allows`] over the facts that authentication itself reads; what is listed beside it says what it
//! rests on, and where that can be changed.

use std::sync::{Arc, OnceLock};

use db::Tx;
use futures::future::BoxFuture;
use runtime::{Actor, Held, Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::{
    ClientId, Code, ConsentId, Error, KeyId, Permission, Reach, Result, TenantId, Timestamp, UserId,
};

use super::rights::{self, By, Facts, Means, Program, Shut};
use crate::tenant::tree;
use crate::{client, key};

/// Who, what, and about which record.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Question {
    /// A user, an API key, an application or what a person lets one do: `usr_…`, `key_…`, `app_…`, `cns_…`; who asks when
    /// not given.
    pub who: Option<String>,
    /// The permission's name.
    pub permission: String,
    /// A record's id. It matters where records have an owner: messages, users, API keys and applications; and for the tenants
    /// beneath one's own.
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
    /// The application's scopes, and what the person lets it do.
    ApplicationScopes,
    /// The access token that asks was made for less.
    TokenScopes,
    /// About whose records the permission is held.
    Reach,
    /// Whose rights bound the program's.
    Owner,
    /// The tenant is suspended.
    TenantSuspended,
    /// The tenant may have no tenants beneath it.
    NoReseller,
    /// The tenant that it is about does not stand beneath one's own.
    NotBeneath,
    /// The user is disabled.
    UserDisabled,
    /// The key was revoked.
    KeyRevoked,
    /// The key has expired.
    KeyExpired,
    /// What the person let the application do has ended.
    ConsentEnded,
    /// The user or program that it is about may do more.
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
    /// The user or program.
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

/// Explains a permission of a user or program of the tenant. Everybody may ask about themselves.
///
/// # Errors
/// Without `access.explain` for others; `invalid_filter`, `invalid_id`; `not_found` for a user, key or record that is not
/// there.
pub async fn explain(scope: &Scope, question: &Question) -> Result<Explanation> {
    let who = question.who.as_deref().map(str::trim).filter(|who| !who.is_empty() && *who != "me");
    let oneself = oneself(scope);
    let is_oneself = who.is_none() || who == oneself.as_deref();
    let who = who
        .map(str::to_owned)
        .or(oneself)
        .ok_or_else(|| Error::new(Code::Forbidden, "only a user or a program has rights to explain"))?;
    if !is_oneself {
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
    let elsewhere = match record.map(str::parse::<TenantId>) {
        Some(Ok(id)) if permission.is_of_reseller() => !tree::is_beneath(&mut tx, scope.tenant(), id).await?,
        _ => false,
    };
    let outranked = match record {
        Some(record) => outranked(&mut tx, scope, &facts, permission, record).await?,
        None => false,
    };
    let now = scope.now();
    let (given_by, mut barred_by) = (given(&facts, permission, now), barred(&facts, permission, owner, now));
    if outranked {
        barred_by.push(ground(Kind::Outranked, "it may do more than who asks".to_owned()));
    }
    if elsewhere {
        let detail = "the tenant does not stand beneath one's own".to_owned();
        barred_by.push(ground(Kind::NotBeneath, detail));
    }
    // A token may have been made for less than its application may have.
    let narrower = is_oneself
        && !scope.permissions().contains(permission)
        && facts.held(now).permissions().contains(permission);
    if narrower {
        let detail = format!("the token that asks was not made for {}", permission.as_str());
        barred_by.push(ground(Kind::TokenScopes, detail));
    }
    let name = match (&facts.program, &facts.person) {
        (Some(program), _) => program.name.clone(),
        (None, Some(person)) => person.name.clone(),
        (None, None) => String::new(),
    };
    Ok(Explanation {
        who,
        name,
        permission,
        title: permission.title(),
        record: record.map(str::to_owned),
        allowed: facts.allows(permission, owner, now) && !outranked && !narrower && !elsewhere,
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
    if let Ok(client) = who.parse::<ClientId>() {
        return rights::of_client(tx, tenant, client, now).await;
    }
    if let Ok(consent) = who.parse::<ConsentId>() {
        return rights::of_consent(tx, tenant, consent, now).await;
    }
    let key = who.parse::<KeyId>();
    let key = key.map_err(|error| error.at("who").hint("give usr_…, key_…, app_… or cns_…"))?;
    rights::of_key(tx, tenant, key, now).await
}

/// Who asks, as a question names them.
fn oneself(scope: &Scope) -> Option<String> {
    match scope.actor() {
        Actor::User(_) | Actor::Key(_) | Actor::Client(_) => Some(scope.actor().to_string()),
        Actor::As { user, .. } | Actor::Foreign { user, .. } => Some(user.to_string()),
        Actor::App { consent, .. } => Some(consent.to_string()),
        Actor::Account(_) | Actor::System(_) => None,
    }
}

/// Who owns records that are kept elsewhere: the gateway's messages.
pub trait Owners: Send + Sync {
    /// The owner of a record, nobody for one that has none. Nothing where the id is of another kind; an error for a record
    /// that is not there.
    fn owner<'a>(
        &'a self,
        tx: &'a mut Tx,
        tenant: TenantId,
        record: &'a str,
    ) -> BoxFuture<'a, Result<Option<Option<UserId>>>>;
}

#[derive(Default)]
struct Elsewhere(OnceLock<Arc<dyn Owners>>);

/// Names who knows the owners of records that are kept elsewhere. Called once, at the start.
pub fn name_owners(runtime: &Runtime, owners: Arc<dyn Owners>) {
    // A second call would be a second start of the same runtime; the first one's word stands.
    let _ = runtime.kept(|_| Elsewhere::default()).0.set(owners);
}

/// The owner of a record; nobody of a record that has none.
async fn owner(tx: &mut Tx, scope: &Scope, record: &str) -> Result<Option<UserId>> {
    if let Ok(user) = record.parse::<UserId>() {
        return Ok(Some(crate::user::find(tx, scope.tenant(), user).await?.id));
    }
    if let Ok(id) = record.parse::<KeyId>() {
        return key::owner_if_there(tx, scope, id).await;
    }
    if let Ok(id) = record.parse::<ClientId>() {
        return client::owner_if_there(tx, scope, id).await;
    }
    let elsewhere = scope.runtime().kept(|_| Elsewhere::default());
    match elsewhere.0.get() {
        Some(owners) => Ok(owners.owner(tx, scope.tenant(), record).await?.flatten()),
        None => Ok(None),
    }
}

/// Whether a record may do more than who would govern it.
async fn outranked(
    tx: &mut Tx,
    scope: &Scope,
    facts: &Facts,
    permission: Permission,
    record: &str,
) -> Result<bool> {
    let (tenant, now) = (scope.tenant(), scope.now());
    let theirs = match permission {
        one if governs(one) => match record.parse::<UserId>() {
            Ok(user) => rights::of_user(tx, tenant, user, now).await?,
            Err(_) => return Ok(false),
        },
        Permission::KeyChange => match record.parse::<KeyId>() {
            Ok(key) => rights::of_key(tx, tenant, key, now).await?,
            Err(_) => return Ok(false),
        },
        Permission::ClientChange => match record.parse::<ClientId>() {
            Ok(client) => rights::of_client(tx, tenant, client, now).await?,
            Err(_) => return Ok(false),
        },
        _ => return Ok(false),
    };
    Ok(!facts.held(now).covers(&theirs.held(now)))
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
    if let Some(program) = facts.program.as_ref().filter(|program| program.scopes.contains(permission)) {
        let whose = possessive(program);
        let detail = match &facts.person {
            Some(person) => format!("{whose} scopes, within what {} may do", person.name),
            None => format!("{whose} scopes; it has no owner"),
        };
        grounds.push(Ground { href: Some(href(program)), ..ground(scopes(program), detail) });
    }
    grounds
}

/// Where a program is seen and changed.
fn href(program: &Program) -> String {
    match program.means {
        Means::Key(id) => format!("/api-keys/{id}"),
        Means::Client(id) | Means::Consent(_, id) => format!("/oauth-clients/{id}"),
    }
}

fn possessive(program: &Program) -> &'static str {
    match program.means {
        Means::Key(_) => "the key's",
        Means::Client(_) | Means::Consent(..) => "the application's",
    }
}

fn scopes(program: &Program) -> Kind {
    match program.means {
        Means::Key(_) => Kind::KeyScopes,
        Means::Client(_) | Means::Consent(..) => Kind::ApplicationScopes,
    }
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
    let program_href = facts.program.as_ref().map(href);
    let is_key = facts.program.as_ref().is_some_and(|program| matches!(program.means, Means::Key(_)));
    let user_href = facts.person.as_ref().map(|person| format!("/users/{}", person.id));
    let (kind, detail, href) = match facts.shut(now) {
        None => (None, "", None),
        Some(Shut::Tenant) => (Some(Kind::TenantSuspended), "the tenant is suspended", None),
        Some(Shut::Person) => (
            Some(Kind::UserDisabled),
            "the user is disabled, and so are their keys and applications",
            user_href.clone(),
        ),
        Some(Shut::Revoked) if is_key => {
            (Some(Kind::KeyRevoked), "the key was revoked", program_href.clone())
        }
        Some(Shut::Expired) if is_key => {
            (Some(Kind::KeyExpired), "the key has expired", program_href.clone())
        }
        Some(Shut::Revoked) => {
            (Some(Kind::ConsentEnded), "what the person let it do was ended", program_href.clone())
        }
        Some(Shut::Expired) => {
            (Some(Kind::ConsentEnded), "what the person let it do has expired", program_href.clone())
        }
        Some(Shut::Ownerless) => (Some(Kind::Owner), "its owner is no more", None),
    };
    if let Some(kind) = kind {
        grounds.push(Ground { href, ..ground(kind, detail.to_owned()) });
    }
    if let Some(program) = facts.program.as_ref().filter(|program| !program.scopes.contains(permission)) {
        let detail = format!("{} was not given {}", program.name, permission.as_str());
        grounds.push(Ground { href: program_href, ..ground(scopes(program), detail) });
    }
    if permission.is_of_reseller() && !facts.is_reseller() {
        let detail = "the tenant may have no tenants beneath it".to_owned();
        grounds.push(ground(Kind::NoReseller, detail));
    }
    let held = facts.of_the_person().held(now);
    match (&facts.person, held.reach(permission)) {
        (Some(person), None) => {
            let whose = if facts.program.is_some() { "its owner " } else { "" };
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
