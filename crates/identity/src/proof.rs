//! Proving again who one is: dangerous actions ask for it when the last proof of the session is older than the configuration
//! allows ([`Scope::require_fresh`]).

use db::{args, sql};
use runtime::Scope;
use types::event::Access;
use types::{Code, Error, Event, Result};

use crate::attempt::{self, Attempts, Step};
use crate::directory::enter;
use crate::factor::{backup, passkey, totp};
use crate::journal::{self, Kind};
use crate::sign_in::{Browser, Candidate, note_refusal};
use crate::{factor, name, password, user};

pub(crate) mod pages;

/// What a signed-in user can prove who they are with.
#[derive(Debug, Clone, Copy)]
pub struct Ways {
    /// Their password.
    pub password: bool,
    /// A code of their authenticator, or a backup code.
    pub code: bool,
    /// A passkey.
    pub passkey: bool,
}

/// What one can prove who one is with.
///
/// # Errors
/// `forbidden` for a program.
pub async fn ways(scope: &Scope) -> Result<Ways> {
    let security = factor::own(scope).await?;
    let directory = enter::of_user(&mut scope.read().await?, scope.tenant(), user::person(scope)?).await?;
    Ok(Ways {
        password: security.has_password || directory.is_some(),
        code: security.authenticator.is_some(),
        passkey: !security.passkeys.is_empty() && passkey::are_possible(scope.runtime()),
    })
}

async fn candidate(scope: &Scope) -> Result<Candidate> {
    let id = user::person(scope)?;
    let found = Candidate::by_id(&mut scope.read().await?, scope.tenant(), id).await?;
    found.ok_or_else(|| Error::not_found("user"))
}

fn admitted(scope: &Scope, candidate: &Candidate, step: Step) -> Result<u32> {
    let attempts = scope.runtime().kept(Attempts::new);
    attempts.admit(step, &name::folded(&candidate.email), scope.origin().from.as_deref(), scope.now(), None)
}

fn forgiven(scope: &Scope, candidate: &Candidate, step: Step) {
    let attempts = scope.runtime().kept(Attempts::new);
    attempts.forgive(step, &name::folded(&candidate.email), scope.origin().from.as_deref());
}

fn browser(scope: &Scope) -> Browser {
    Browser::new(scope.origin().clone(), None, Vec::new())
}

/// By one's password: that of the directory for who is tied to one.
///
/// # Errors
/// `directory_unavailable`; `invalid_value` at `password` for a wrong one; `too_many_requests` when it was guessed too often.
pub async fn by_password(scope: &Scope, given: &str) -> Result<()> {
    let candidate = candidate(scope).await?;
    let failures = admitted(scope, &candidate, Step::First)?;
    let directory = enter::of_user(&mut scope.read().await?, scope.tenant(), candidate.id).await?;
    let right = match &directory {
        Some(directory) => {
            enter::is_password_of(scope, directory, (candidate.id, &candidate.email), given).await?
        }
        None => password::verify(scope.runtime(), given, candidate.password_hash.clone()).await?,
    };
    if !right {
        note_refusal(
            scope.runtime(),
            candidate,
            (Step::First, failures),
            "wrong password in a session",
            browser(scope),
        );
        return Err(Error::invalid("password", "this is not your password"));
    }
    forgiven(scope, &candidate, Step::First);
    note(scope, &candidate, "password", async |_| Ok(true)).await
}

/// By a code of one's authenticator, or a backup code.
///
/// # Errors
/// `code_refused` at `code`; `too_many_requests` when it was guessed too often.
pub async fn by_code(scope: &Scope, code: &str) -> Result<()> {
    let candidate = candidate(scope).await?;
    let failures = admitted(scope, &candidate, Step::Second)?;
    let step = totp::step_of(scope, candidate.id, code).await?;
    let proved = note(scope, &candidate, "code", async |write| match step {
        Some(step) => totp::use_step(write, scope, candidate.id, step).await,
        None => backup::use_code(write, scope, candidate.id, code).await,
    });
    match proved.await {
        Err(error) if error.code() == Code::CodeRefused => {
            note_refusal(scope.runtime(), candidate, (Step::Second, failures), "wrong code", browser(scope));
            Err(error)
        }
        proved => {
            forgiven(scope, &candidate, Step::Second);
            proved
        }
    }
}

/// By one of one's passkeys.
///
/// # Errors
/// `passkey_refused`.
pub async fn by_passkey(scope: &Scope, response: &passkey::Response) -> Result<()> {
    let candidate = candidate(scope).await?;
    let used = passkey::answered(scope.runtime(), response).await?;
    if (used.tenant, used.user) != (scope.tenant(), candidate.id) {
        return Err(Error::new(
            Code::PasskeyRefused,
            "the passkey was not accepted: it is of another account",
        ));
    }
    note(scope, &candidate, "passkey", async |write| passkey::note_use(write, scope, &used).await).await
}

/// Asks the browser for one of one's passkeys.
///
/// # Errors
/// `forbidden` for a program; `unavailable` where passkeys cannot be used.
pub async fn ask_passkey(scope: &Scope) -> Result<passkey::Challenge> {
    passkey::ask_of(scope, user::person(scope)?).await
}

/// Marks the session, in one transaction with the use of what was shown.
async fn note(
    scope: &Scope,
    candidate: &Candidate,
    by: &str,
    used: impl AsyncFnOnce(&mut db::Tx) -> Result<bool>,
) -> Result<()> {
    let seat = scope
        .seat()
        .ok_or_else(|| Error::new(Code::Forbidden, "only a browser's session can be proved again"))?;
    let mut write = scope.write().await?;
    if !used(&mut write).await? {
        return Err(totp::refused());
    }
    let marked = write
        .execute(
            sql!("update session set proven_at = $4 where tenant_id = $1 and user_id = $2 and id = $3"),
            args![scope.tenant(), candidate.id, seat.session, scope.now()],
        )
        .await?;
    if marked == 0 {
        return Err(Error::new(Code::Unauthenticated, "this session is over"));
    }
    attempt::forget(&mut write, scope.tenant(), candidate.id, Step::First).await?;
    attempt::forget(&mut write, scope.tenant(), candidate.id, Step::Second).await?;
    journal::note(&mut write, scope, candidate.id, Kind::Proved, Some(by.to_owned()), None).await?;
    write.happened(Event::UserProved(Access {
        who: candidate.email.clone(),
        by: by.to_owned(),
        reason: None,
    }));
    write.commit(()).await
}
