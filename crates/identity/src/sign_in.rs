//! Signing in, a step at a time.
//!
//! The first step is a password, a link or a passkey. Who has a second factor, or must have one, is not in after a password
//! or a link: a pending sign-in waits for the second step ([`second`]). A passkey is both steps in one, because the
//! authenticator asks for a finger, a face or a number itself; a browser that its user asked to remember stands in for the
//! second step, never for the first.

use std::hash::{DefaultHasher, Hash, Hasher};

use db::{Tenancy, Tx, args, record, sql};
use runtime::secrets::sha256_hex;
use runtime::sighting::{self, Sighting};
use runtime::{Actor, Origin, Runtime, Scope, Write};
use tokio::time::Instant;
use types::event::Access;
use types::{Code, Error, Event, Result, TenantId, Timestamp, UserId};

use crate::attempt::{self, Attempts, Count, Step};
use crate::directory::Directory;
use crate::directory::enter::{self, Said};
use crate::factor::passkey;
use crate::journal::{self, Kind};
use crate::mail::{self, Letter, Mail};
use crate::session::{self, SignedIn};
use crate::{device, factor, name, password, policy, role, user};

pub mod pages;
pub mod recovery;
pub mod second;
pub(crate) mod texts;

/// What is kept of a browser's description of itself.
const AGENT_CHARS_MAX: usize = 200;
/// Tokens that a browser's cookie brings and are looked up.
const DEVICES_MAX: usize = 5;

/// Where a sign-in comes from.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    /// The request's marks.
    pub origin: Origin,
    /// The browser's description of itself.
    pub user_agent: Option<String>,
    /// The tokens by which it is known as one that people have signed in with.
    pub devices: Vec<String>,
    /// Whose own domain was asked, where it is somebody's: nobody else's people come in there.
    pub house: Option<TenantId>,
}

impl Browser {
    /// With what is too long cut, and what is too many left out.
    pub fn new(origin: Origin, user_agent: Option<String>, devices: Vec<String>) -> Self {
        let user_agent = user_agent.map(|agent| agent.chars().take(AGENT_CHARS_MAX).collect());
        Self { origin, user_agent, devices: devices.into_iter().take(DEVICES_MAX).collect(), house: None }
    }

    /// The same, on a tenant's own domain.
    #[must_use]
    pub fn at(self, house: Option<TenantId>) -> Self {
        Self { house, ..self }
    }
}

/// What a first step leads to.
#[derive(Debug)]
pub enum Entered {
    /// The person is in.
    In(SignedIn),
    /// The second step is still to be made.
    Second(second::Begun),
}

record! {
    /// Somebody who may be about to come in.
    #[derive(Debug, Clone)]
    pub(crate) struct Candidate {
        pub(crate) id: UserId,
        pub(crate) tenant_id: TenantId,
        pub(crate) email: String,
        pub(crate) name: String,
        pub(crate) role: String,
        pub(crate) language: String,
        pub(crate) status: String,
        pub(crate) tenant_status: String,
        pub(crate) password_hash: Option<String>,
        pub(crate) email_verified_at: Option<Timestamp>,
        pub(crate) failures: Option<u32>,
        pub(crate) failed_at: Option<Timestamp>,
    }
}

record! { struct Costliest { cost: Option<u32> } }

impl Candidate {
    /// Whether they may come in by this door.
    pub(crate) fn may_enter_at(&self, browser: &Browser) -> bool {
        self.may_enter() && browser.house.is_none_or(|house| house == self.tenant_id)
    }

    pub(crate) fn may_enter(&self) -> bool {
        self.status == user::Status::Active.as_str()
            && self.tenant_status == crate::tenant::Status::Active.as_str()
    }

    pub(crate) fn scope(&self, runtime: &Runtime, origin: Origin) -> Scope {
        let permissions = role::permissions(&self.role);
        Scope::grant(runtime.clone(), self.tenant_id, Actor::User(self.id), permissions, origin)
    }

    fn kept(&self) -> Option<Count> {
        Some(Count { failures: self.failures?, last: self.failed_at? })
    }

    /// By an address, folded already.
    pub(crate) async fn by_email(tx: &mut Tx, email: &str) -> Result<Option<Self>> {
        Ok(tx
            .optional(
                sql!(
                    "select u.id, u.tenant_id, u.email, u.name, u.role, u.language, u.status, t.status as tenant_status, \
                     u.password_hash, u.email_verified_at, f.failures, f.last_at as failed_at from users u \
                     join tenant t on t.id = u.tenant_id left join failed_sign_in f on f.user_id = u.id and f.step = 'first' \
                     where u.email_folded = $1 /* every tenant: the address says whose it is */"
                ),
                args![email],
            )
            .await?)
    }

    /// By their id.
    pub(crate) async fn by_id(tx: &mut Tx, tenant: TenantId, id: UserId) -> Result<Option<Self>> {
        Ok(tx
            .optional(
                sql!(
                    "select u.id, u.tenant_id, u.email, u.name, u.role, u.language, u.status, t.status as tenant_status, \
                     u.password_hash, u.email_verified_at, f.failures, f.last_at as failed_at from users u \
                     join tenant t on t.id = u.tenant_id left join failed_sign_in f on f.user_id = u.id and f.step = 'first' \
                     where u.tenant_id = $1 and u.id = $2"
                ),
                args![tenant, id],
            )
            .await?)
    }
}

/// Makes the first step by e-mail address and password. Whether the address is known shows neither in the answer nor in its
/// time: both do the same look-ups and the same work on the password, and what is noted of a refusal is written beside the
/// answer.
///
/// # Errors
/// `sign_in_refused`, the same for every reason; `too_many_requests` after repeated failures.
pub async fn by_password(
    runtime: &Runtime,
    email: &str,
    given: &str,
    browser: Browser,
    back: &str,
) -> Result<Entered> {
    let began = Instant::now();
    let email = name::folded(email);
    let attempts = runtime.kept(Attempts::new);
    let from = browser.origin.from.clone();
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let candidate = Candidate::by_email(&mut tx, &email).await?;
    let leading = enter::leading(&mut tx, candidate.as_ref(), &email, &browser).await?;
    let costliest: Costliest = tx
        .one(
            sql!(
                "select max(imported_cost) as cost from users \
                 /* every tenant: each check does the work of the costliest hash there is */"
            ),
            args![],
        )
        .await?;
    drop(tx);
    let kept = candidate.as_ref().and_then(Candidate::kept);
    let failures = attempts.admit(Step::First, &email, from.as_deref(), runtime.clock.now(), kept)?;
    if let Some(directory) = &leading.directory {
        let tried = Tried { email: &email, given, failures, began };
        return by_directory(runtime, directory, candidate, tried, browser, back).await;
    }
    let hash = candidate.as_ref().and_then(|candidate| candidate.password_hash.clone());
    let right = password::verify_beside(runtime, given, hash, costliest.cost).await?;
    if leading.steps && !right {
        enter::wait_for_step(began).await;
    }
    match candidate {
        Some(candidate) if right && candidate.may_enter_at(&browser) => {
            attempts.forgive(Step::First, &email, from.as_deref());
            let scope = candidate.scope(runtime, browser.origin.clone());
            let renewed = renewed(runtime, &candidate, given).await?;
            let mut write = scope.write().await?;
            if let Some(hash) = renewed {
                renew(&mut write, &candidate, hash).await?;
            }
            go_in(write, &scope, &candidate, First { by: "password", whole: false }, browser, back).await
        }
        Some(candidate) => {
            let reason = if right { "user or tenant is not active" } else { "wrong password" };
            sight(runtime, Some(candidate.tenant_id), &email, &browser);
            note_refusal(runtime, candidate, (Step::First, failures), reason, browser);
            Err(refused())
        }
        None => {
            sight(runtime, None, &email, &browser);
            tracing::info!(from = browser.origin.from, "a sign-in with an unknown address was refused");
            Err(refused())
        }
    }
}

/// An address and a password that are tried.
struct Tried<'a> {
    email: &'a str,
    given: &'a str,
    failures: u32,
    began: Instant,
}

/// The first step by the password that somebody has in a directory of their tenant.
async fn by_directory(
    runtime: &Runtime,
    directory: &Directory,
    candidate: Option<Candidate>,
    tried: Tried<'_>,
    browser: Browser,
    back: &str,
) -> Result<Entered> {
    let Tried { email, given, failures, began } = tried;
    let (attempts, from) = (runtime.kept(Attempts::new), browser.origin.from.clone());
    let said = match enter::ask(runtime, directory, email, given).await {
        Ok(said) => said,
        Err(error) => {
            // That it does not answer is nobody's guess.
            attempts.take_back(Step::First, email, from.as_deref());
            enter::wait_for_step(began).await;
            return Err(error);
        }
    };
    let reason = match said {
        Said::Is(found) => {
            attempts.forgive(Step::First, email, from.as_deref());
            let user = enter::settle(runtime, directory, &found, browser.origin.clone()).await?;
            let person = (directory.tenant, user);
            match proven(runtime, person, "directory", false, browser.clone(), back).await {
                Err(error) if error.code() == Code::SignInRefused => "user or tenant is not active",
                entered => return entered,
            }
        }
        Said::No(reason) => reason,
    };
    enter::wait_for_step(began).await;
    sight(runtime, Some(directory.tenant), email, &browser);
    match candidate {
        Some(candidate) => note_refusal(runtime, candidate, (Step::First, failures), reason, browser),
        None => tracing::info!(from = browser.origin.from, reason, "a sign-in by a directory was refused"),
    }
    Err(refused())
}

/// Shows a refused sign-in to the watch; in memory alone, so that it takes as long for every address.
fn sight(runtime: &Runtime, tenant: Option<TenantId>, email: &str, browser: &Browser) {
    let Some(from) = browser.origin.from.as_deref().and_then(|from| from.parse().ok()) else { return };
    let mut hasher = DefaultHasher::new();
    email.hash(&mut hasher);
    sighting::note(runtime, Sighting::SignInRefused { tenant, who: hasher.finish(), from });
}

fn refused() -> Error {
    Error::new(Code::SignInRefused, "the e-mail address or the password is wrong")
}

/// The hash of argon2id that takes the place of one that another system has made.
async fn renewed(runtime: &Runtime, candidate: &Candidate, given: &str) -> Result<Option<String>> {
    match &candidate.password_hash {
        Some(hash) if hash.starts_with("$2") => Ok(Some(password::hash(runtime, given).await?)),
        _ => Ok(None),
    }
}

async fn renew(tx: &mut Tx, candidate: &Candidate, hash: String) -> Result<()> {
    tx.execute(
        sql!(
            "update users set password_hash = $3, imported_cost = null where tenant_id = $1 and id = $2 \
             and password_hash = $4"
        ),
        args![candidate.tenant_id, candidate.id, hash, candidate.password_hash.clone()],
    )
    .await?;
    Ok(())
}

/// Writes a refusal beside the answer, not before it: only a known address has a trail to write to, and the time that takes
/// would tell.
pub(crate) fn note_refusal(
    runtime: &Runtime,
    candidate: Candidate,
    (step, failures): (Step, u32),
    reason: &'static str,
    browser: Browser,
) {
    let scope = candidate.scope(runtime, browser.origin.clone());
    let locked = runtime.kept(Attempts::new).is_threshold(failures);
    runtime.tasks.spawn("note a refused sign-in", async move {
        if let Err(error) =
            refusal_noted(&scope, &candidate, (step, failures), reason, &browser, locked).await
        {
            tracing::error!(?error, "a refused sign-in could not be noted");
        }
    });
}

async fn refusal_noted(
    scope: &Scope,
    candidate: &Candidate,
    (step, failures): (Step, u32),
    reason: &str,
    browser: &Browser,
    locked: bool,
) -> Result<()> {
    let (id, email, now) = (candidate.id, &candidate.email, scope.now());
    let from = browser.origin.from.clone().unwrap_or_default();
    let letter = Letter::LockedOut { from: &from, at: &now.to_minute() };
    let alarm = match locked {
        true => Mail::written(scope, email, &candidate.language, &letter).await?,
        false => None,
    };
    let by = match step {
        Step::First => "password",
        Step::Second => "second step",
    };
    let agent = browser.user_agent.as_deref();
    let mut write = scope.write().await?;
    attempt::keep(&mut write, scope.tenant(), id, step, Count { failures, last: now }).await?;
    journal::note(&mut write, scope, id, Kind::Refused, Some(reason.to_owned()), agent).await?;
    write.happened(Event::UserRefused(Access {
        who: email.clone(),
        by: by.to_owned(),
        reason: Some(reason.to_owned()),
    }));
    if locked {
        journal::note(&mut write, scope, id, Kind::LockedOut, Some(format!("{failures} failures")), agent)
            .await?;
        write.happened(Event::UserLockedOut(Access {
            who: email.clone(),
            by: by.to_owned(),
            reason: Some(format!("{failures} failed attempts in a row, the last from {from}")),
        }));
        mail::enqueue(alarm.as_ref(), &mut write, scope.runtime()).await?;
    }
    write.commit(()).await?;
    scope.runtime().job_wake.notify_one();
    Ok(())
}

record! { struct LinkRow { tenant_id: TenantId, user_id: UserId, mailed_to: Option<String> } }

/// Makes the first step by a one-time link's token, which is used up by it.
///
/// # Errors
/// `link_used` when it is used, expired or was never made. Guessing needs no limit: a token has 256 random bits.
pub async fn by_link(runtime: &Runtime, token: &str, browser: Browser) -> Result<Entered> {
    let refused = || Error::new(Code::LinkUsed, "this sign-in link is used, expired or incomplete");
    let hash = sha256_hex(token);
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let link: Option<LinkRow> = tx
        .optional(
            sql!(
                "select tenant_id, user_id, mailed_to from sign_in_link where token_hash = $1 and expires_at > $2 \
                 /* every tenant: the token says whose it is */"
            ),
            args![&hash, runtime.clock.now()],
        )
        .await?;
    let link = link.ok_or_else(refused)?;
    let candidate = Candidate::by_id(&mut tx, link.tenant_id, link.user_id).await?;
    drop(tx);
    let candidate = candidate.filter(|one| one.may_enter_at(&browser)).ok_or_else(refused)?;
    let scope = candidate.scope(runtime, browser.origin.clone());
    let mut write = scope.write().await?;
    let used = write
        .execute(
            sql!("delete from sign_in_link where tenant_id = $1 and token_hash = $2"),
            args![candidate.tenant_id, &hash],
        )
        .await?;
    if used == 0 {
        // Another request was faster by a moment.
        return Err(refused());
    }
    if link.mailed_to.as_deref() == Some(name::folded(&candidate.email).as_str()) {
        recovery::verified(&mut write, &scope, &candidate).await?;
    }
    go_in(write, &scope, &candidate, First { by: "link", whole: false }, browser, "/").await
}

/// Signs in by a passkey alone, which is found by the browser.
///
/// # Errors
/// `passkey_refused`.
pub async fn by_passkey(
    runtime: &Runtime,
    response: &passkey::Response,
    browser: Browser,
) -> Result<SignedIn> {
    let used = passkey::answered(runtime, response).await?;
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let candidate = Candidate::by_id(&mut tx, used.tenant, used.user).await?;
    drop(tx);
    let gone = || Error::new(Code::PasskeyRefused, "the passkey was not accepted: its account is not active");
    let candidate = candidate.filter(|one| one.may_enter_at(&browser)).ok_or_else(gone)?;
    let scope = candidate.scope(runtime, browser.origin.clone());
    let mut write = scope.write().await?;
    if !passkey::note_use(&mut write, &scope, &used).await? {
        return Err(gone());
    }
    session::begin(write, &scope, &candidate, "passkey", browser, false).await
}

/// Turns a user whom another system has proved into a session, or into a sign-in that waits for its second step. `by` says
/// how, such as `oidc`; `whole` says that the other system has asked for a second step itself.
///
/// # Errors
/// `sign_in_refused` for a user or tenant that is not active.
pub async fn proven(
    runtime: &Runtime,
    (tenant, user): (TenantId, UserId),
    by: &str,
    whole: bool,
    browser: Browser,
    back: &str,
) -> Result<Entered> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let candidate = Candidate::by_id(&mut tx, tenant, user).await?;
    drop(tx);
    let candidate = candidate.filter(|one| one.may_enter_at(&browser));
    let candidate = candidate.ok_or_else(|| Error::new(Code::SignInRefused, "this account is not active"))?;
    let scope = candidate.scope(runtime, browser.origin.clone());
    let write = scope.write().await?;
    go_in(write, &scope, &candidate, First { by, whole }, browser, back).await
}

/// A first step that was made.
#[derive(Clone, Copy)]
struct First<'a> {
    by: &'a str,
    /// It is the second one too.
    whole: bool,
}

async fn go_in(
    mut write: Write,
    scope: &Scope,
    candidate: &Candidate,
    first: First<'_>,
    browser: Browser,
    back: &str,
) -> Result<Entered> {
    let (tenant, id) = (candidate.tenant_id, candidate.id);
    attempt::forget(&mut write, tenant, id, Step::First).await?;
    if first.whole {
        return Ok(Entered::In(session::begin(write, scope, candidate, first.by, browser, false).await?));
    }
    if factor::has_any(&mut write, tenant, id).await? {
        if device::is_trusted(&mut write, tenant, id, &browser, scope.now()).await? {
            let by = format!("{}+remembered", first.by);
            return Ok(Entered::In(session::begin(write, scope, candidate, &by, browser, false).await?));
        }
        return Ok(Entered::Second(second::begin(write, scope, candidate, first.by, back, false).await?));
    }
    if policy::read(&mut write, tenant).await?.needs_second(&candidate.role) {
        return Ok(Entered::Second(second::begin(write, scope, candidate, first.by, back, true).await?));
    }
    Ok(Entered::In(session::begin(write, scope, candidate, first.by, browser, false).await?))
}
