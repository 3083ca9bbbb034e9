//! Applications that ask for tokens (OAuth 2.0, RFC 6749 §2).
//!
//! A confidential application has a secret and acts in its own name, within its permissions and what its owner may. A
//! public one runs where nothing can be kept secret, on phones and desktops, and acts for the people who let it.

use db::{Tx, args, record, sql};
use runtime::Scope;
use runtime::secrets::{sha256_hex, token};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{ClientId, Error, Event, Page, Permission, Result, TenantId, Timestamp, UserId};
use url::Url;
use web::Paging;

use crate::key::{self, FormerSecret, Rotation};
use crate::role::rights::{self, Reaching};
use crate::{consent, name, network};

pub mod api;
pub mod pages;

/// What the secrets of applications begin with.
const PREFIX: &str = "sb_app_";
/// Addresses that one application may be led back to.
const REDIRECTS_MAX: usize = 20;
/// The longest of them.
const REDIRECT_CHARS_MAX: usize = 500;

/// What kind of application it is (RFC 6749 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ClientKind)]
pub enum Kind {
    /// It keeps a secret: a server's program.
    #[default]
    Confidential,
    /// It cannot: a program on people's own machines.
    Public,
}

impl Kind {
    /// The name that rows and answers hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confidential => "confidential",
            Self::Public => "public",
        }
    }

    fn stored(name: &str) -> Self {
        if name == Self::Confidential.as_str() { Self::Confidential } else { Self::Public }
    }
}

record! {
    struct ClientRow {
        id: ClientId,
        name: String,
        kind: String,
        scopes: String,
        redirect_uris: String,
        networks: String,
        shown: Option<String>,
        rotated_at: Option<Timestamp>,
        former_shown: Option<String>,
        former_until: Option<Timestamp>,
        former_used_at: Option<Timestamp>,
        created_by: String,
        created_at: Timestamp,
        last_used_at: Option<Timestamp>,
        last_used_from: Option<String>,
        last_used_agent: Option<String>,
    }
}

/// An application, without its secret.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Client {
    /// Its id, which is its `client_id`.
    pub id: ClientId,
    /// What people call it.
    pub name: String,
    /// `confidential` or `public`.
    pub kind: Kind,
    /// The permissions that its tokens can have.
    pub scopes: Vec<String>,
    /// The addresses that people may be led back to.
    pub redirect_uris: Vec<String>,
    /// The networks that it may be used from; everywhere when there are none.
    pub networks: Vec<String>,
    /// The secret's first characters, where it has one.
    pub shown: Option<String>,
    /// When it got its present secret, where that is not its first.
    pub rotated_at: Option<Timestamp>,
    /// The secret before that, while it is let in.
    pub former: Option<FormerSecret>,
    /// Who registered it.
    pub created_by: String,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When one of its tokens was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From which address.
    pub last_used_from: Option<String>,
    /// By which program, in its own words.
    pub last_used_agent: Option<String>,
}

impl ClientRow {
    fn client(self, now: Timestamp) -> Client {
        let former = FormerSecret::stored(self.former_shown, self.former_until, self.former_used_at);
        Client {
            id: self.id,
            name: self.name,
            kind: Kind::stored(&self.kind),
            scopes: serde_json::from_str(&self.scopes).unwrap_or_default(),
            redirect_uris: serde_json::from_str(&self.redirect_uris).unwrap_or_default(),
            networks: serde_json::from_str(&self.networks).unwrap_or_default(),
            shown: self.shown,
            rotated_at: self.rotated_at,
            former: former.filter(|former| former.until > now),
            created_by: self.created_by,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            last_used_from: self.last_used_from,
            last_used_agent: self.last_used_agent,
        }
    }
}

/// An application to be registered.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    /// What people call it; they read it when they are asked to let it in.
    pub name: String,
    /// `confidential` when not given.
    #[serde(default)]
    pub kind: Kind,
    /// The permissions that its tokens can have; at least one, none that the caller lacks. A name that was split stands for its
    /// successors.
    #[serde(deserialize_with = "types::permission::names")]
    pub scopes: Vec<Permission>,
    /// The addresses that people may be led back to, at most 20: `https`, `http` on the machine itself
    /// (`http://127.0.0.1/…`, with any port), or a scheme of the application's own such as `com.example.app:/back`.
    /// A public application needs one.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// The networks that it may be used from, at most 50; everywhere when not given.
    #[serde(default)]
    pub networks: Vec<String>,
}

/// What to change of an application; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientPatch {
    /// What people call it.
    pub name: Option<String>,
    /// The permissions that its tokens can have; tokens that have more lose it at once.
    pub scopes: Option<Vec<Permission>>,
    /// The addresses that people may be led back to.
    pub redirect_uris: Option<Vec<String>>,
    /// The networks that it may be used from; an empty list for everywhere.
    pub networks: Option<Vec<String>>,
}

/// An application that was just registered, or got a new secret.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CreatedClient {
    /// The application.
    #[serde(flatten)]
    pub client: Client,
    /// The secret, shown this once; absent for a public application, and when the answer is a repetition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// The tenant's applications, newest first.
///
/// # Errors
/// Without `client.view`; a malformed cursor or limit.
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Client>> {
    scope.require(Permission::ClientView)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let reaching = Reaching::of(scope, Permission::ClientView)?;
    let rows = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, name, kind, scopes, redirect_uris, networks, shown, rotated_at, former_shown, former_until, \
                 former_used_at, created_by, created_at, last_used_at, last_used_from, last_used_agent from oauth_client \
                 where tenant_id = $1 and id < $2 and ($4 or owner_id in \
                 (select cast(r.value ->> 'id' as bigint) from json_rows($5) r)) order by id desc limit $3"
            ),
            args![scope.tenant(), behind, limit as i64 + 1, reaching.all, reaching.people],
        )
        .await?;
    let now = scope.now();
    Ok(Page::from_overfull(rows, limit, |row: &ClientRow| row.id.raw()).map(|row| row.client(now)))
}

/// An application by its id.
///
/// # Errors
/// Without `client.view`; `not_found`.
pub async fn get(scope: &Scope, id: ClientId) -> Result<Client> {
    scope.require(Permission::ClientView)?;
    let mut tx = scope.read().await?;
    let client = find(&mut tx, scope, id).await?;
    match scope.held().allows(Permission::ClientView, owner_of(&mut tx, scope.tenant(), id).await?) {
        true => Ok(client),
        false => Err(Error::not_found("application")),
    }
}

async fn find(tx: &mut Tx, scope: &Scope, id: ClientId) -> Result<Client> {
    let row: Option<ClientRow> = tx
        .optional(
            sql!(
                "select id, name, kind, scopes, redirect_uris, networks, shown, rotated_at, former_shown, former_until, \
                 former_used_at, created_by, created_at, last_used_at, last_used_from, last_used_agent from oauth_client \
                 where tenant_id = $1 and id = $2"
            ),
            args![scope.tenant(), id],
        )
        .await?;
    row.map(|row| row.client(scope.now())).ok_or_else(|| Error::not_found("application"))
}

record! { struct Owner { owner_id: Option<UserId> } }

/// Whose rights bound an application's own; nobody's for one that is not there.
pub(crate) async fn owner_of(tx: &mut Tx, tenant: TenantId, id: ClientId) -> Result<Option<UserId>> {
    let owner: Option<Owner> = tx
        .optional(
            sql!("select owner_id from oauth_client where tenant_id = $1 and id = $2"),
            args![tenant, id],
        )
        .await?;
    Ok(owner.and_then(|owner| owner.owner_id))
}

/// As [`owner_of`], but an application that is not there is refused.
pub(crate) async fn owner_if_there(tx: &mut Tx, scope: &Scope, id: ClientId) -> Result<Option<UserId>> {
    find(tx, scope, id).await?;
    owner_of(tx, scope.tenant(), id).await
}

/// Whoever changes an application must be able to do all that it may in its own name; else that would be a way up.
async fn may_govern(tx: &mut Tx, scope: &Scope, id: ClientId) -> Result<()> {
    let owner = owner_of(tx, scope.tenant(), id).await?;
    scope.require_for(Permission::ClientChange, owner)?;
    let facts = rights::of_client(tx, scope.tenant(), id, scope.now()).await?;
    key::may_use(scope, &facts.held(scope.now()), "this application")
}

/// Registers an application. Its owner is the person who does it, or the owner of the key that does.
///
/// # Errors
/// Without `client.create`; `step_up_required`; `forbidden` for a scope that the caller lacks; `invalid_value`.
pub async fn create(scope: &Scope, new: NewClient) -> Result<CreatedClient> {
    scope.require(Permission::ClientCreate)?;
    scope.require_fresh()?;
    key::check_scopes(scope, &new.scopes)?;
    let redirect_uris = redirects(new.kind, &new.redirect_uris)?;
    let networks = network::checked(&new.networks)?;
    let secret = match new.kind {
        Kind::Confidential => Some(format!("{PREFIX}{}", token(32).map_err(Error::internal)?)),
        Kind::Public => None,
    };
    let mut write = scope.write().await?;
    let owner = key::owner(&mut write, scope).await?;
    let client = Client {
        id: scope.runtime().ids.next(),
        name: name::given("name", &new.name)?,
        kind: new.kind,
        scopes: key::names(new.scopes.into_iter().collect()),
        redirect_uris,
        networks,
        shown: secret.as_deref().map(key::shown),
        rotated_at: None,
        former: None,
        created_by: scope.actor().to_string(),
        created_at: scope.now(),
        last_used_at: None,
        last_used_from: None,
        last_used_agent: None,
    };
    let list = |items: &[String]| serde_json::to_string(items).map_err(Error::internal);
    write
        .execute(
            sql!(
                "insert into oauth_client (id, tenant_id, name, kind, scopes, redirect_uris, networks, owner_id, \
                 secret_hash, shown, created_by, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
            ),
            args![
                client.id,
                scope.tenant(),
                &client.name,
                client.kind.as_str(),
                list(&client.scopes)?,
                list(&client.redirect_uris)?,
                list(&client.networks)?,
                owner,
                secret.as_deref().map(sha256_hex),
                client.shown.as_deref(),
                &client.created_by,
                client.created_at
            ],
        )
        .await?;
    write.happened(Event::ClientCreated(change(&client, None)));
    write.commit_keeping(&CreatedClient { client: client.clone(), secret: None }).await?;
    Ok(CreatedClient { client, secret })
}

/// Changes an application. Its tokens are judged by what is new from the next request on.
///
/// # Errors
/// Without `client.change`; `step_up_required`; `not_found`; `forbidden` for an application, or a scope, beyond the caller; `invalid_value`.
pub async fn update(scope: &Scope, id: ClientId, wanted: ClientPatch) -> Result<Client> {
    scope.require(Permission::ClientChange)?;
    scope.require_fresh()?;
    if let Some(scopes) = &wanted.scopes {
        key::check_scopes(scope, scopes)?;
    }
    let mut write = scope.write().await?;
    let before = find(&mut write, scope, id).await?;
    may_govern(&mut write, scope, id).await?;
    let mut after = before.clone();
    if let Some(name) = wanted.name {
        after.name = name::given("name", &name)?;
    }
    if let Some(scopes) = wanted.scopes {
        after.scopes = key::names(scopes.into_iter().collect());
    }
    if let Some(uris) = wanted.redirect_uris {
        after.redirect_uris = redirects(before.kind, &uris)?;
    }
    if let Some(networks) = wanted.networks {
        after.networks = network::checked(&networks)?;
    }
    let list = |items: &[String]| serde_json::to_string(items).map_err(Error::internal);
    write
        .execute(
            sql!(
                "update oauth_client set name = $3, scopes = $4, redirect_uris = $5, networks = $6 \
                 where tenant_id = $1 and id = $2"
            ),
            args![
                scope.tenant(),
                id,
                &after.name,
                list(&after.scopes)?,
                list(&after.redirect_uris)?,
                list(&after.networks)?
            ],
        )
        .await?;
    write.happened(Event::ClientChanged(change(&after, Some(&before))));
    write.commit(after).await
}

/// Gives a confidential application a new secret, as [`key::rotate`] does for keys.
///
/// # Errors
/// As [`update`]; `invalid_value` for a public one, which has no secret.
pub async fn rotate(scope: &Scope, id: ClientId, rotation: &Rotation) -> Result<CreatedClient> {
    scope.require(Permission::ClientChange)?;
    scope.require_fresh()?;
    let now = scope.now();
    let until = key::keep_until(rotation, now)?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope, id).await?;
    may_govern(&mut write, scope, id).await?;
    if before.kind == Kind::Public {
        return Err(Error::invalid("id", "a public application has no secret"));
    }
    let secret = format!("{PREFIX}{}", token(32).map_err(Error::internal)?);
    write
        .execute(
            sql!(
                "update oauth_client set former_hash = case when cast($5 as bigint) is null then null else secret_hash end, \
                 former_shown = case when cast($5 as bigint) is null then null else shown end, former_until = $5, \
                 former_used_at = null, secret_hash = $3, shown = $4, rotated_at = $6 where tenant_id = $1 and id = $2"
            ),
            args![scope.tenant(), id, sha256_hex(&secret), key::shown(&secret), until, now],
        )
        .await?;
    let after = find(&mut write, scope, id).await?;
    write.happened(Event::ClientChanged(change(&after, Some(&before))));
    write.commit_keeping(&CreatedClient { client: after.clone(), secret: None }).await?;
    Ok(CreatedClient { client: after, secret: Some(secret) })
}

/// Removes an application: its tokens are refused from the next request on, and what people let it do has ended.
///
/// # Errors
/// Without `client.delete`; `step_up_required`; `not_found`.
pub async fn delete(scope: &Scope, id: ClientId) -> Result<()> {
    scope.require(Permission::ClientDelete)?;
    scope.require_fresh()?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope, id).await?;
    let owner = owner_of(&mut write, scope.tenant(), id).await?;
    scope.require_for(Permission::ClientDelete, owner)?;
    consent::forget_client(&mut write, scope.tenant(), id).await?;
    write
        .execute(sql!("delete from oauth_client where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    let gone = Change { before: change(&before, None).after, after: None, ..change(&before, None) };
    write.happened(Event::ClientDeleted(gone));
    write.commit(()).await
}

/// Checks the addresses that people may be led back to (RFC 6749 §3.1.2, RFC 8252 §7).
fn redirects(kind: Kind, uris: &[String]) -> Result<Vec<String>> {
    let refuse = |why: String| {
        Error::invalid("redirect_uris", why).hint(
            "give https://app.example/back, http://127.0.0.1/back, or a scheme of your own such as com.example.app:/back.",
        )
    };
    if uris.len() > REDIRECTS_MAX {
        return Err(refuse(format!("an application has at most {REDIRECTS_MAX} addresses")));
    }
    if uris.is_empty() && kind == Kind::Public {
        return Err(refuse("a public application needs an address that people are led back to".to_owned()));
    }
    for text in uris {
        let fits =
            text.len() <= REDIRECT_CHARS_MAX && !text.contains(|ch: char| ch.is_control() || ch == ' ');
        let url = Url::parse(text).ok().filter(|_| fits);
        let url = url.ok_or_else(|| refuse(format!("{text:?} is no address")))?;
        let whole = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        let sure = match url.scheme() {
            "https" => url.host_str().is_some(),
            "http" => is_loopback(&url),
            // RFC 8252 §7.1: a domain turned round, so that it is the application's own.
            own => own.contains('.'),
        };
        if !(whole && sure) {
            return Err(refuse(format!("{text:?} is not one that a token may be sent to")));
        }
    }
    Ok(uris.to_vec())
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "[::1]"))
}

/// Whether people may be led back to an address: it must be one of the registered, octet for octet; on the machine itself
/// the port may differ (RFC 8252 §7.3).
pub(crate) fn leads_back(registered: &[String], asked: &str) -> bool {
    let without_port = |text: &str| {
        let mut url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && is_loopback(url))?;
        url.set_port(None).ok()?;
        Some(url)
    };
    registered.iter().any(|known| {
        known == asked
            || without_port(known)
                .is_some_and(|known| without_port(asked).is_some_and(|asked| asked == known))
    })
}

/// What the audit trail keeps of a change to an application.
fn change(client: &Client, before: Option<&Client>) -> Change {
    Change {
        id: client.id.to_string(),
        name: client.name.clone(),
        before: before.and_then(|before| serde_json::to_value(before).ok()),
        after: serde_json::to_value(client).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_to_safe_places_alone() {
        let check = |uri: &str| redirects(Kind::Public, &[uri.to_owned()]).is_ok();
        for good in
            ["https://app.example/back", "http://127.0.0.1/back", "http://[::1]:0/x", "com.example.app:/back"]
        {
            assert!(check(good), "{good}");
        }
        for bad in [
            "http://app.example/back",
            "https://app.example/back#x",
            "https://user@app.example/",
            "javascript:alert(1)",
            "app:/back",
            "back",
        ] {
            assert!(!check(bad), "{bad}");
        }
        assert!(redirects(Kind::Public, &[]).is_err());
        assert!(redirects(Kind::Confidential, &[]).is_ok());
    }

    #[test]
    fn people_are_led_back_to_what_is_registered() {
        let registered = ["https://app.example/back".to_owned(), "http://127.0.0.1/back".to_owned()];
        assert!(leads_back(&registered, "https://app.example/back"));
        assert!(leads_back(&registered, "http://127.0.0.1:4711/back"), "another port on the machine itself");
        for bad in [
            "https://app.example/back/",
            "https://app.example:444/back",
            "https://app.example/back?x=1",
            "http://127.0.0.1:4711/other",
            "https://evil.example/back",
        ] {
            assert!(!leads_back(&registered, bad), "{bad}");
        }
    }
}
