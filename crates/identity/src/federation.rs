//! Signing in with another service: OpenID Connect Core 1.0, authorization code flow (§3.1) with PKCE (RFC 7636).
//!
//! What ties the answer to the question (state, nonce, verifier) is sealed into a cookie of the browser that asked, so nobody
//! else's browser can finish it and nothing is kept here meanwhile.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use db::{Tx, args, record, sql};
use ring::digest::{SHA256, digest};
use runtime::secrets::token;
use runtime::{Actor, Origin, Runtime, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::event::Access;
use types::{Error, Event, Permission, Permissions, ProviderId, Result, UserId};
use url::Url;

use crate::domain::Door;
use crate::provider::{self, Provider, redirect_uri, subject};
use crate::role::rights;
use crate::sign_in::{self, Browser, Entered};
use crate::user::{self, NewUser};
use crate::{encryption, name, role};

pub(crate) mod foreign;
pub mod pages;

use foreign::{Expected, failed};

/// How long a person may take at the other service.
pub(crate) const ATTEMPT_S: i64 = 600;
/// Groups of a person that are looked at.
const GROUPS_MAX: usize = 1_000;
/// Ways of recognising a person that are looked at.
const METHODS_MAX: usize = 50;
/// The part of the product that the trail names.
const ACTOR: Actor = Actor::System("sign-in");

/// A sign-in that has begun.
#[derive(Debug, Serialize, Deserialize)]
struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
    back: String,
    /// Where the service leads back to, which it is told again with the code (RFC 6749 §4.1.3).
    redirect_uri: String,
    expires_ms: i64,
}

/// Where the person goes, and what their browser keeps meanwhile.
pub(crate) struct Begun {
    pub(crate) to: String,
    pub(crate) kept: String,
}

/// What the other service says when it leads a person back (OpenID Connect Core 1.0 §3.1.2.5, RFC 9207).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Led {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Who a person is at the other service.
#[derive(Debug, Default)]
struct Person {
    subject: String,
    email: Option<String>,
    verified: bool,
    name: Option<String>,
    groups: Vec<String>,
    /// How the service has recognised them: its `amr` and `acr`.
    methods: Vec<String>,
}

fn endpoint<'a>(metadata: &'a Value, name: &str) -> Result<&'a str> {
    metadata[name].as_str().ok_or_else(|| failed(format!("the service names no {name}")))
}

fn acting(runtime: &Runtime, provider: &Provider, origin: Origin) -> Scope {
    Scope::grant(runtime.clone(), provider.tenant, ACTOR, Permissions::all_of_a_tenant(), origin)
}

/// Begins a sign-in at a door, to which the service leads back.
pub(crate) async fn begin(
    runtime: &Runtime,
    id: ProviderId,
    back: &str,
    door: &Door,
    origin: Origin,
) -> Result<Begun> {
    let provider = provider::open(runtime, id).await?;
    if !door.is_for(provider.tenant) {
        return Err(Error::not_found("identity provider"));
    }
    let metadata = foreign::metadata(runtime, &provider.issuer).await?;
    let random = || token(32).map_err(Error::internal);
    let attempt = Attempt {
        state: random()?,
        nonce: random()?,
        verifier: random()?,
        back: back.to_owned(),
        redirect_uri: redirect_uri(&door.url),
        expires_ms: runtime.clock.now().unix_ms() + ATTEMPT_S * 1_000,
    };
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, attempt.verifier.as_bytes()));
    let mut to = Url::parse(endpoint(&metadata, "authorization_endpoint")?)
        .map_err(|_| failed("the service's authorization_endpoint is no address"))?;
    if !matches!(to.scheme(), "http" | "https") {
        return Err(failed("the service's authorization_endpoint is no web address"));
    }
    to.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", &provider.client_id),
        ("redirect_uri", &attempt.redirect_uri),
        ("scope", &provider.settings.scopes.join(" ")),
        ("state", &attempt.state),
        ("nonce", &attempt.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let scope = acting(runtime, &provider, origin);
    let text = serde_json::to_string(&attempt).map_err(Error::internal)?;
    let sealed = encryption::seal(&scope, "identity_provider", "attempt", &id.to_string(), &text).await?;
    Ok(Begun { to: to.into(), kept: format!("{id}.{sealed}") })
}

/// Ends a sign-in: the session or the second step that is still to be made, and where the person wanted to go.
pub(crate) async fn finish(
    runtime: &Runtime,
    led: Led,
    kept: &str,
    browser: Browser,
) -> Result<(Entered, String, ProviderId)> {
    let lost = || {
        failed("this browser has begun no such sign-in, or too long ago")
            .hint("Begin again, in the same browser and within ten minutes; cookies must be allowed.")
    };
    let (id, sealed) = kept.split_once('.').ok_or_else(lost)?;
    let provider = provider::open(runtime, id.parse().map_err(|_| lost())?).await?;
    let opened = encryption::open(runtime, provider.tenant, "identity_provider", "attempt", id, sealed).await;
    let attempt: Attempt = serde_json::from_str(opened.map_err(|_| lost())?.expose()).map_err(|_| lost())?;
    if browser.house.is_some_and(|house| house != provider.tenant) {
        return Err(lost());
    }
    if attempt.expires_ms <= runtime.clock.now().unix_ms() || led.state.as_deref() != Some(&attempt.state) {
        return Err(lost());
    }
    if let Some(error) = led.error {
        let why = led.error_description.unwrap_or_default();
        return Err(failed(format!("{} says: {error} {why}", provider.name)));
    }
    if led.iss.is_some_and(|iss| iss != provider.issuer) {
        return Err(failed("the answer comes from another service than was asked"));
    }
    let code = led.code.ok_or_else(|| failed("the service has sent no code"))?;
    let person = person(runtime, &provider, &attempt, &code).await?;
    let entered = enter(runtime, &provider, &person, browser, &attempt.back).await?;
    Ok((entered, attempt.back, provider.id))
}

/// Where a person ends their session at the service too (OpenID Connect RP-Initiated Logout 1.0), and what that is called;
/// nothing where the service has no such place or cannot be asked now.
pub(crate) async fn way_out(runtime: &Runtime, id: &str) -> Option<(String, String)> {
    let provider = provider::open(runtime, id.parse().ok()?).await.ok()?;
    let metadata = foreign::metadata(runtime, &provider.issuer).await.ok()?;
    let mut url = Url::parse(metadata["end_session_endpoint"].as_str()?).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.query_pairs_mut().append_pair("client_id", &provider.client_id);
    Some((provider.name, url.into()))
}

/// Makes the code into who the person is.
async fn person(runtime: &Runtime, provider: &Provider, attempt: &Attempt, code: &str) -> Result<Person> {
    let metadata = foreign::metadata(runtime, &provider.issuer).await?;
    let tokens = exchange(runtime, provider, &metadata, attempt, code).await?;
    let id_token = tokens["id_token"].as_str().ok_or_else(|| failed("the service has sent no id_token"))?;
    let expected = Expected {
        issuer: &provider.issuer,
        audience: &provider.client_id,
        keys: endpoint(&metadata, "jwks_uri")?,
    };
    let claims: Value = foreign::verify(runtime, id_token, &expected).await?;
    // OpenID Connect Core 1.0 §3.1.3.7: the rest of what must be looked at.
    if claims["nonce"].as_str() != Some(&attempt.nonce) {
        return Err(failed("the token is not the answer to this sign-in"));
    }
    if claims.get("azp").is_some_and(|azp| azp.as_str() != Some(&provider.client_id)) {
        return Err(failed("the token was made for another application"));
    }
    let mut person = read(provider, &claims);
    let wants_groups = !provider.settings.group_roles.is_empty() && person.groups.is_empty();
    if person.email.is_none() || wants_groups {
        // Many services tell these at the userinfo endpoint alone (§5.4).
        let more = userinfo(runtime, &metadata, &tokens, &person.subject).await?;
        let more = more.map(|claims| read(provider, &claims)).unwrap_or_default();
        if person.email.is_none() {
            (person.email, person.verified) = (more.email, more.verified);
        }
        person.name = person.name.or(more.name);
        if person.groups.is_empty() {
            person.groups = more.groups;
        }
    }
    Ok(person)
}

fn read(provider: &Provider, claims: &Value) -> Person {
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    let mut groups = &claims[&provider.settings.groups_claim];
    if groups.is_null() {
        // A claim may lie deeper, as Keycloak's `realm_access.roles` does.
        let path = provider.settings.groups_claim.split('.');
        groups = path.fold(claims, |value, part| &value[part]);
    }
    let groups = match groups {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => {
            all.iter().take(GROUPS_MAX).filter_map(|one| one.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    };
    let amr = claims["amr"].as_array().map(Vec::as_slice).unwrap_or_default();
    let methods = amr.iter().take(METHODS_MAX).filter_map(Value::as_str).chain(claims["acr"].as_str());
    Person {
        methods: methods.map(str::to_owned).collect(),
        subject: text("sub").unwrap_or_default(),
        email: text("email"),
        verified: claims["email_verified"].as_bool().unwrap_or(claims["email_verified"] == "true"),
        name: text("name").or_else(|| text("preferred_username")),
        groups,
    }
}

async fn exchange(
    runtime: &Runtime,
    provider: &Provider,
    metadata: &Value,
    attempt: &Attempt,
    code: &str,
) -> Result<Value> {
    let secret = provider.secret(runtime).await?;
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &attempt.redirect_uri),
        ("code_verifier", &attempt.verifier),
    ];
    let methods = metadata["token_endpoint_auth_methods_supported"].as_array();
    // The header is the usual way where nothing is said (OpenID Connect Discovery 1.0 §3).
    let by_header = methods.is_none_or(|all| all.iter().any(|one| one == "client_secret_basic"));
    let mut headers =
        vec![("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
    let basic;
    match &secret {
        Some(secret) if by_header => {
            let encoded =
                |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let both = format!("{}:{}", encoded(&provider.client_id), encoded(secret.expose()));
            basic = format!("Basic {}", STANDARD.encode(both));
            headers.push(("authorization", &basic));
        }
        Some(secret) => {
            pairs.extend([("client_id", provider.client_id.as_str()), ("client_secret", secret.expose())]);
        }
        None => pairs.push(("client_id", &provider.client_id)),
    }
    let body = serde_urlencoded::to_string(&pairs).map_err(Error::internal)?;
    let answer = runtime.outbound.post(endpoint(metadata, "token_endpoint")?, &headers, body).await;
    let answer = answer.map_err(|error| failed(format!("the service cannot be reached: {error}")))?;
    let tokens: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status != 200 {
        let error = tokens["error"].as_str().unwrap_or("no reason");
        let why = tokens["error_description"].as_str().unwrap_or_default();
        return Err(failed(format!("the service gives no tokens ({}): {error} {why}", answer.status))
            .hint("An administrator should compare the client id and the secret on both sides."));
    }
    Ok(tokens)
}

async fn userinfo(
    runtime: &Runtime,
    metadata: &Value,
    tokens: &Value,
    subject: &str,
) -> Result<Option<Value>> {
    let (Some(url), Some(access)) = (metadata["userinfo_endpoint"].as_str(), tokens["access_token"].as_str())
    else {
        return Ok(None);
    };
    let bearer = format!("Bearer {access}");
    let headers = [("authorization", bearer.as_str()), ("accept", "application/json")];
    let answer = runtime.outbound.get(url, &headers).await;
    let answer = answer.map_err(|error| failed(format!("the service cannot be reached: {error}")))?;
    let claims: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    // §5.3.2: whose it is must be the same, or the claims are not used.
    Ok((answer.status == 200 && claims["sub"].as_str() == Some(subject)).then_some(claims))
}

record! {
    struct Linked { user_id: UserId, email: String, role: String }
}

/// Lets the person in: as the user they are tied to, tied to now, or become. A second step is asked of them as of everybody,
/// unless the service says that it has asked for one and is trusted with that.
async fn enter(
    runtime: &Runtime,
    provider: &Provider,
    person: &Person,
    browser: Browser,
    back: &str,
) -> Result<Entered> {
    let scope = acting(runtime, provider, browser.origin.clone());
    let mut write = scope.write().await?;
    let role = mapped(&mut write, provider, person).await?;
    let known = match known(&mut write, provider, person).await? {
        Some(known) => known,
        None => match tie(&mut write, &scope, provider, person).await? {
            Some(known) => known,
            None => become_user(&mut write, &scope, provider, person, role.as_deref()).await?,
        },
    };
    let follows = !provider.settings.group_roles.is_empty();
    if follows && !reaches_over(&mut write, &scope, known.user_id).await? {
        let role = role.ok_or_else(no_role)?;
        if role != known.role {
            let before = user::find(&mut write, provider.tenant, known.user_id).await?;
            write
                .execute(
                    sql!("update users set role = $3 where tenant_id = $1 and id = $2"),
                    args![provider.tenant, known.user_id, &role],
                )
                .await?;
            let after = user::find(&mut write, provider.tenant, known.user_id).await?;
            write.happened(Event::UserChanged(user::change(&after, Some(&before))));
        }
    }
    write.commit(()).await?;
    let trusted = &provider.settings.second_step_by;
    let whole = person.methods.iter().any(|method| trusted.contains(method));
    sign_in::proven(runtime, (provider.tenant, known.user_id), "oidc", whole, browser, back).await
}

/// The role that a person's groups give; a role that was deleted since gives nobody anything.
async fn mapped(tx: &mut Tx, provider: &Provider, person: &Person) -> Result<Option<String>> {
    let settings = &provider.settings;
    let by_group = settings.group_roles.iter().find(|one| person.groups.contains(&one.group));
    let role = by_group.map(|one| one.role.clone()).or_else(|| settings.default_role.clone());
    let Some(role) = role else { return Ok(None) };
    if role::Role::named(&role).is_none()
        && !rights::customs(tx, provider.tenant).await?.roles.contains_key(&role)
    {
        return Err(failed(format!("the role {role} that your groups give is no more"))
            .hint("An administrator should map your groups to another one."));
    }
    Ok(Some(role))
}

/// Whether a user reaches over all tenants, by their role or for a time.
pub(crate) async fn reaches_over(tx: &mut Tx, scope: &Scope, user: UserId) -> Result<bool> {
    let facts = rights::of_user(tx, scope.tenant(), user, scope.now()).await?;
    Ok(facts.held(scope.now()).permissions().iter().any(Permission::is_platform))
}

fn no_role() -> Error {
    failed("none of your groups has a role here")
        .hint("Ask an administrator to map one of your groups to a role, or to add you to one.")
}

async fn known(tx: &mut Tx, provider: &Provider, person: &Person) -> Result<Option<Linked>> {
    Ok(tx
        .optional(
            sql!(
                "select u.id as user_id, u.email, u.role from user_identity i \
                 join users u on u.id = i.user_id and u.tenant_id = i.tenant_id \
                 where i.tenant_id = $1 and i.provider_id = $2 and i.subject = $3"
            ),
            args![provider.tenant, provider.id, &person.subject],
        )
        .await?)
}

/// The address of a person, if the service stands for it.
fn verified(person: &Person) -> Result<&str> {
    match &person.email {
        Some(email) if person.verified => Ok(email),
        Some(_) => Err(failed("the service has not verified your e-mail address")
            .hint("Verify it there, then sign in again.")),
        None => Err(failed("the service does not tell your e-mail address")
            .hint("An administrator should let the scope email be given to Switchboard.")),
    }
}

/// Ties the person to the user of their verified address, where that is allowed. Never to one who reaches over all tenants:
/// whoever runs a tenant's service would have a way up.
async fn tie(
    tx: &mut runtime::Write,
    scope: &Scope,
    provider: &Provider,
    person: &Person,
) -> Result<Option<Linked>> {
    let email = verified(person)?;
    let found: Option<Linked> = tx
        .optional(
            sql!("select id as user_id, email, role from users where tenant_id = $1 and email_folded = $2"),
            args![provider.tenant, name::folded(email)],
        )
        .await?;
    let Some(found) = found else { return Ok(None) };
    if !provider.settings.link_by_email || reaches_over(tx, scope, found.user_id).await? {
        return Err(failed("a user with your e-mail address exists here, and is not tied to this service")
            .hint("Sign in as you did before; an administrator can allow to tie users by their address."));
    }
    link(tx, scope, provider, person, found.user_id, email).await?;
    Ok(Some(found))
}

async fn become_user(
    tx: &mut runtime::Write,
    scope: &Scope,
    provider: &Provider,
    person: &Person,
    role: Option<&str>,
) -> Result<Linked> {
    let settings = &provider.settings;
    let email = verified(person)?;
    if !settings.create_users {
        return Err(failed("you are no user here yet").hint("Ask an administrator to create a user for you."));
    }
    let domain = email.rsplit_once('@').map(|(_, domain)| domain.to_lowercase()).unwrap_or_default();
    if !settings.domains.is_empty() && !settings.domains.contains(&domain) {
        return Err(failed(format!("people of {domain} do not become users here")));
    }
    let role = role.ok_or_else(no_role)?;
    let new = NewUser {
        email: email.to_owned(),
        name: person
            .name
            .clone()
            .filter(|name| name::given("name", name).is_ok())
            .unwrap_or_else(|| email.to_owned()),
        role: role.to_owned(),
        language: None,
        password_hash: None,
    };
    let user = user::insert(tx, scope.runtime(), provider.tenant, new).await.map_err(|error| {
        failed("no user could be made for you")
            .hint(format!("An administrator should know: {}.", error.message()))
    })?;
    tx.happened(Event::UserCreated(user::change(&user, None)));
    link(tx, scope, provider, person, user.id, email).await?;
    Ok(Linked { user_id: user.id, email: user.email, role: user.role })
}

async fn link(
    tx: &mut runtime::Write,
    scope: &Scope,
    provider: &Provider,
    person: &Person,
    user: UserId,
    email: &str,
) -> Result<()> {
    subject::insert(tx, (provider.tenant, provider.id), &person.subject, user, scope.now()).await?;
    let event = Access { who: email.to_owned(), by: provider.name.clone(), reason: None };
    tx.happened(Event::UserLinked(event));
    Ok(())
}
