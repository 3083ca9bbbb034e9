//! Passkeys (Web Authentication, Level 3): as the second step, and as the only one, because the authenticator itself asks for
//! a finger, a face or a number.
//!
//! A ceremony's state stays here, in memory, for a few minutes and one answer; a restart only asks people to touch again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use db::{Tenancy, args, record, sql};
use runtime::secrets::{sha256_hex, token};
use runtime::{Parts, Runtime, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use types::{Code, Error, PasskeyId, Result, TenantId, Timestamp, UserId};
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey as Credential, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder,
};

use super::{backup, changed, notice, tidy_up};
use crate::journal::Kind;
use crate::{name, user};

/// Passkeys of one user.
pub const PASSKEYS_MAX: i64 = 20;
/// Ceremonies that are open at once; beyond them the oldest is forgotten.
const CEREMONIES_MAX: usize = 10_000;
/// How long the browser may take for one.
const CEREMONY_MS: i64 = 300_000;

/// What the browser is asked, and the mark that its answer brings back.
#[derive(Debug, Clone, Serialize)]
pub struct Challenge {
    /// The ceremony's mark.
    pub ceremony: String,
    /// The options of `navigator.credentials`, octets in base64url.
    pub options: Value,
}

/// What the browser answers.
#[derive(Debug, Clone, Deserialize)]
pub struct Response {
    /// The ceremony's mark.
    pub ceremony: String,
    /// The credential that the browser gave, octets in base64url.
    pub credential: Value,
    /// What to call a new passkey.
    #[serde(default)]
    pub name: String,
    /// Whether the browser is not to be asked for the second step again.
    #[serde(default)]
    pub remember: bool,
    /// Where the person wants to go.
    #[serde(default)]
    pub back: String,
}

/// A passkey that somebody has just used.
#[derive(Debug, Clone)]
pub struct Used {
    /// Whose it is.
    pub tenant: TenantId,
    /// Whose it is.
    pub user: UserId,
    /// Which.
    pub id: PasskeyId,
    credential: Option<String>,
}

enum State {
    Register(UserId, Box<PasskeyRegistration>),
    Authenticate(Box<DiscoverableAuthentication>),
}

struct Ceremony {
    began: Timestamp,
    state: State,
}

/// The server as browsers know it, and its open ceremonies.
struct Ceremonies {
    server: Option<Webauthn>,
    open: Mutex<HashMap<String, Ceremony>>,
}

impl Ceremonies {
    fn new(parts: &Parts) -> Self {
        Self { server: server(&parts.config.public_url()), open: Mutex::default() }
    }

    fn server(&self) -> Result<&Webauthn> {
        self.server.as_ref().ok_or_else(|| {
            Error::new(Code::Unavailable, "passkeys need the console to have a name")
                .hint("An administrator sets public_url in the section http of the configuration.")
        })
    }

    fn put(&self, state: State, now: Timestamp) -> Result<String> {
        let mark = token(32).map_err(Error::internal)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= CEREMONIES_MAX {
            open.retain(|_, ceremony| now.since_ms(ceremony.began) < CEREMONY_MS);
        }
        if open.len() >= CEREMONIES_MAX {
            let oldest = open.iter().min_by_key(|(_, ceremony)| ceremony.began).map(|(mark, _)| mark.clone());
            oldest.map(|mark| open.remove(&mark));
        }
        open.insert(sha256_hex(&mark), Ceremony { began: now, state });
        Ok(mark)
    }

    /// Takes a ceremony away: it has one answer.
    fn take(&self, mark: &str, now: Timestamp) -> Result<State> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let found = open.remove(&sha256_hex(mark));
        let found = found.filter(|ceremony| now.since_ms(ceremony.began) < CEREMONY_MS);
        found
            .map(|ceremony| ceremony.state)
            .ok_or_else(|| refused("it took too long, or was answered before"))
    }
}

/// The server under its public address. Passkeys belong to a name: an address of this machine goes as `localhost`, and
/// another address without a name has none.
fn server(public_url: &str) -> Option<Webauthn> {
    let mut url = Url::parse(public_url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let mut any_port = false;
    if let Ok(address) = host.parse::<IpAddr>() {
        if !address.is_loopback() && !address.is_unspecified() {
            return None;
        }
        url.set_host(Some("localhost")).ok()?;
        any_port = true;
    }
    let id = url.host_str()?.to_owned();
    let builder = WebauthnBuilder::new(&id, &url).ok()?.rp_name("Switchboard").allow_any_port(any_port);
    builder.build().ok()
}

/// Whether passkeys can be used here.
pub fn are_possible(runtime: &Runtime) -> bool {
    runtime.kept(Ceremonies::new).server.is_some()
}

fn refused(why: &str) -> Error {
    Error::new(Code::PasskeyRefused, format!("the passkey was not accepted: {why}"))
}

/// The user as authenticators know them: random to everybody else, and the same for ever.
fn handle(tenant: TenantId, user: UserId) -> Uuid {
    Uuid::from_u64_pair(tenant.raw() as u64, user.raw() as u64)
}

record! { struct Known { credential_id: String } }

async fn known(scope: &Scope, user: UserId) -> Result<Vec<String>> {
    let known: Vec<Known> = scope
        .read()
        .await?
        .all(
            sql!(
                "select credential_id from passkey where tenant_id = $1 and user_id = $2 order by id limit $3"
            ),
            args![scope.tenant(), user, PASSKEYS_MAX],
        )
        .await?;
    Ok(known.into_iter().map(|known| known.credential_id).collect())
}

/// Asks the browser for a new passkey of one's own.
///
/// # Errors
/// `forbidden` for a program; `step_up_required`; `conflict` when there are too many; `unavailable` without a name.
pub async fn begin(scope: &Scope) -> Result<Challenge> {
    let id = user::person(scope)?;
    scope.require_fresh()?;
    let runtime = scope.runtime();
    let ceremonies = runtime.kept(Ceremonies::new);
    let user = user::find(&mut scope.read().await?, scope.tenant(), id).await?;
    let known = known(scope, id).await?;
    if known.len() as i64 >= PASSKEYS_MAX {
        return Err(Error::new(Code::Conflict, format!("{PASSKEYS_MAX} passkeys are the most"))
            .hint("Remove one that you do not use."));
    }
    let (options, state) = ceremonies
        .server()?
        .start_passkey_registration(handle(scope.tenant(), id), &user.email, &user.name, None)
        .map_err(|error| Error::internal(error.to_string()))?;
    let mut options = serde_json::to_value(&options).map_err(Error::internal)?;
    let asked = &mut options["publicKey"];
    // One that is found by itself signs in without a name being typed. Nothing else in the ceremony depends on it.
    asked["authenticatorSelection"]["residentKey"] = json!("required");
    asked["authenticatorSelection"]["requireResidentKey"] = json!(true);
    asked["excludeCredentials"] = described(&known);
    let ceremony = ceremonies.put(State::Register(id, Box::new(state)), scope.now())?;
    Ok(Challenge { ceremony, options })
}

fn described(ids: &[String]) -> Value {
    ids.iter().map(|id| json!({ "type": "public-key", "id": id })).collect()
}

/// Adds the passkey that the browser has made. Whoever had no second factor before gets backup codes, shown this once.
///
/// # Errors
/// `passkey_refused`; `invalid_value` at `name`; `already_exists` when it is somebody's already.
pub async fn finish(scope: &Scope, response: Response) -> Result<(super::Passkey, Vec<String>)> {
    let id = user::person(scope)?;
    scope.require_fresh()?;
    let runtime = scope.runtime();
    let ceremonies = runtime.kept(Ceremonies::new);
    let given = if response.name.trim().is_empty() { "Passkey" } else { response.name.as_str() };
    let called = name::given("name", given)?;
    let state = match ceremonies.take(&response.ceremony, scope.now())? {
        State::Register(owner, state) if owner == id => state,
        _ => return Err(refused("it was begun by somebody else")),
    };
    let credential: RegisterPublicKeyCredential =
        serde_json::from_value(response.credential).map_err(|error| refused(&error.to_string()))?;
    let made = ceremonies
        .server()?
        .finish_passkey_registration(&credential, &state)
        .map_err(|error| refused(&error.to_string()))?;
    let user = user::find(&mut scope.read().await?, scope.tenant(), id).await?;
    let notice = notice(scope, &user, &format!("passkey {called} added")).await?;
    let passkey =
        super::Passkey { id: runtime.ids.next(), name: called, created_at: scope.now(), last_used_at: None };
    let mut write = scope.write().await?;
    let had = super::has_any(&mut write, scope.tenant(), id).await?;
    write
        .execute(
            sql!(
                "insert into passkey (id, tenant_id, user_id, name, credential_id, credential, created_at) \
                 values ($1, $2, $3, $4, $5, $6, $7)"
            ),
            args![
                passkey.id,
                scope.tenant(),
                id,
                &passkey.name,
                BASE64.encode(made.cred_id()),
                serde_json::to_string(&made).map_err(Error::internal)?,
                passkey.created_at
            ],
        )
        .await
        .map_err(Error::from)?;
    let codes = if had { Vec::new() } else { backup::insert(&mut write, scope, id).await? };
    let what = format!("passkey {}", passkey.name);
    changed(&mut write, scope, &user, Kind::FactorAdded, &what, notice.as_ref()).await?;
    write.commit(()).await?;
    Ok((passkey, codes))
}

/// Removes one of one's own passkeys.
///
/// # Errors
/// `forbidden` for a program; `step_up_required`; `not_found`; `conflict` where it is the last second factor and the tenant
/// demands one.
pub async fn remove(scope: &Scope, passkey: PasskeyId) -> Result<()> {
    let id = user::person(scope)?;
    scope.require_fresh()?;
    let mut tx = scope.read().await?;
    let user = user::find(&mut tx, scope.tenant(), id).await?;
    let all = super::passkeys(&mut tx, scope.tenant(), id).await?;
    drop(tx);
    let held = all.into_iter().find(|held| held.id == passkey).ok_or_else(|| Error::not_found("passkey"))?;
    let what = format!("passkey {}", held.name);
    let notice = notice(scope, &user, &format!("{what} removed")).await?;
    let mut write = scope.write().await?;
    let gone = write
        .execute(
            sql!("delete from passkey where tenant_id = $1 and user_id = $2 and id = $3"),
            args![scope.tenant(), id, passkey],
        )
        .await?;
    if gone == 0 {
        return Err(Error::not_found("passkey"));
    }
    super::keep_demanded(&mut write, scope, &user).await?;
    tidy_up(&mut write, scope.tenant(), id).await?;
    changed(&mut write, scope, &user, Kind::FactorRemoved, &what, notice.as_ref()).await?;
    write.commit(()).await
}

/// Asks a browser for a passkey, of whoever sits before it.
///
/// # Errors
/// `unavailable` without a name.
pub fn ask(runtime: &Runtime) -> Result<Challenge> {
    ask_for(runtime, &[])
}

/// Asks a browser for a passkey of a known user.
///
/// # Errors
/// `unavailable` without a name.
pub(crate) async fn ask_of(scope: &Scope, user: UserId) -> Result<Challenge> {
    ask_for(scope.runtime(), &known(scope, user).await?)
}

fn ask_for(runtime: &Runtime, allowed: &[String]) -> Result<Challenge> {
    let ceremonies = runtime.kept(Ceremonies::new);
    let (options, state) = ceremonies
        .server()?
        .start_discoverable_authentication()
        .map_err(|error| Error::internal(error.to_string()))?;
    let mut options = serde_json::to_value(&options).map_err(Error::internal)?;
    options["publicKey"]["allowCredentials"] = described(allowed);
    let ceremony = ceremonies.put(State::Authenticate(Box::new(state)), runtime.clock.now())?;
    Ok(Challenge { ceremony, options })
}

record! {
    struct Stored {
        id: PasskeyId,
        tenant_id: TenantId,
        user_id: UserId,
        credential: String,
    }
}

/// Whose passkey has answered.
///
/// # Errors
/// `passkey_refused`, for every reason.
pub(crate) async fn answered(runtime: &Runtime, response: &Response) -> Result<Used> {
    let ceremonies = runtime.kept(Ceremonies::new);
    let state = match ceremonies.take(&response.ceremony, runtime.clock.now())? {
        State::Authenticate(state) => *state,
        State::Register(..) => return Err(refused("it was begun for something else")),
    };
    let answer: PublicKeyCredential =
        serde_json::from_value(response.credential.clone()).map_err(|error| refused(&error.to_string()))?;
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let stored: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, user_id, credential from passkey where credential_id = $1 \
                 /* every tenant: the passkey says whose it is */"
            ),
            args![BASE64.encode(answer.get_credential_id())],
        )
        .await?;
    drop(tx);
    let stored = stored.ok_or_else(|| refused("it is not known here; it may have been removed"))?;
    let mut credential: Credential = serde_json::from_str(&stored.credential).map_err(Error::internal)?;
    if answer
        .get_user_unique_id()
        .is_some_and(|given| given != handle(stored.tenant_id, stored.user_id).as_bytes())
    {
        return Err(refused("it names somebody else"));
    }
    let result = ceremonies
        .server()?
        .finish_discoverable_authentication_v2(&answer, state, &credential)
        .map_err(|error| refused(&error.to_string()))?;
    let updated = credential.update_credential(&result) == Some(true);
    let updated = updated.then(|| serde_json::to_string(&credential)).transpose().map_err(Error::internal)?;
    Ok(Used { tenant: stored.tenant_id, user: stored.user_id, id: stored.id, credential: updated })
}

/// Notes a passkey's use, in the transaction that it opens the door in; `false` when it was removed meanwhile.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn note_use(tx: &mut db::Tx, scope: &Scope, used: &Used) -> Result<bool> {
    let noted = tx
        .execute(
            sql!(
                "update passkey set last_used_at = $4, credential = coalesce($5, credential) \
                 where tenant_id = $1 and user_id = $2 and id = $3"
            ),
            args![scope.tenant(), used.user, used.id, scope.now(), used.credential.clone()],
        )
        .await?;
    Ok(noted == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passkey_belongs_to_a_name() {
        assert!(server("https://console.example").is_some());
        assert!(server("http://127.0.0.1:8080").is_some(), "as localhost");
        assert!(server("http://[::1]:8080").is_some());
        assert!(server("http://localhost:8080").is_some());
        assert!(server("http://192.0.2.1:8080").is_none());
        assert!(server("nonsense").is_none());
    }

    #[test]
    fn a_ceremony_has_one_answer_and_not_for_ever_and_the_memory_has_a_bound() {
        let ceremonies = Ceremonies { server: server("http://localhost"), open: Mutex::default() };
        let begin = || {
            let (_, state) = ceremonies.server().unwrap().start_discoverable_authentication().unwrap();
            State::Authenticate(Box::new(state))
        };
        let at = Timestamp::from_unix_ms;
        let mark = ceremonies.put(begin(), at(0)).unwrap();
        assert!(ceremonies.take(&mark, at(1)).is_ok());
        assert!(ceremonies.take(&mark, at(1)).is_err());
        let mark = ceremonies.put(begin(), at(0)).unwrap();
        assert!(ceremonies.take(&mark, at(CEREMONY_MS)).is_err());
        let first = ceremonies.put(begin(), at(0)).unwrap();
        let (_, state) = ceremonies.server().unwrap().start_discoverable_authentication().unwrap();
        for _ in 0..CEREMONIES_MAX {
            ceremonies.put(State::Authenticate(Box::new(state.clone())), at(1)).unwrap();
        }
        assert_eq!(ceremonies.open.lock().unwrap().len(), CEREMONIES_MAX);
        assert!(ceremonies.take(&first, at(2)).is_err(), "the oldest went");
    }
}
