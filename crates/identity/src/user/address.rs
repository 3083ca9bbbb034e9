//! Changing one's own e-mail address: the new one is shown to be one's own by a mailed link, and the old one is told.

use std::sync::Arc;

use db::{OnConflict, Tenancy, args, record, sql};
use runtime::job::{self, Handler, Outcome};
use runtime::secrets::sha256_hex;
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::{Code, Error, Event, Result, TenantId, UserId};

use crate::attempt::MailAsks;
use crate::journal::{self, Kind};
use crate::mail::{self, Account, Letter, Mail};
use crate::sign_in::recovery::{self, used};
use crate::sign_in::{Browser, Candidate};
use crate::{domain, name, user};

/// The kind of the jobs that look up whose the new address is.
pub const KIND: &str = "identity.address";
/// What the mailed token is for.
const PURPOSE: &str = "address";

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    user: UserId,
    email: String,
}

/// Asks to change one's own address. The answer is the same whether anybody has the new one: it is told by mail.
///
/// # Errors
/// `forbidden` for a program, and for who acts as another; `step_up_required`; `unavailable` where no mail can be sent;
/// `invalid_value` at `email`; `conflict` for the present one; `too_many_requests`.
pub async fn ask(scope: &Scope, email: &str) -> Result<()> {
    let id = user::person(scope)?;
    let runtime = scope.runtime();
    mail::require(runtime)?;
    scope.require_fresh()?;
    let email = name::email(email)?;
    let own = user::own(scope).await?;
    if name::folded(&email) == name::folded(&own.email) {
        return Err(Error::new(Code::Conflict, "this is your address already").at("email"));
    }
    runtime.kept(MailAsks::new).admit(&name::folded(&email), scope.origin().from.as_deref(), scope.now())?;
    let mut write = scope.write().await?;
    job::enqueue(&mut write, runtime, scope.tenant(), KIND, &Asked { user: id, email }, scope.now()).await?;
    journal::note(&mut write, scope, id, Kind::MailAsked, Some("change of address".to_owned()), None).await?;
    write.commit(()).await?;
    runtime.job_wake.notify_one();
    Ok(())
}

/// Looks up whose the new address is, and puts the mail down.
pub fn handler() -> Handler {
    Arc::new(|scope, payload, _attempt| {
        Box::pin(async move {
            let asked: Asked = match serde_json::from_str(&payload) {
                Ok(asked) => asked,
                Err(error) => return Outcome::Dead(format!("the payload cannot be read: {error}")),
            };
            match answer(&scope, &asked).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry(error.message().to_owned()),
            }
        })
    })
}

async fn answer(scope: &Scope, asked: &Asked) -> Result<()> {
    let runtime = scope.runtime();
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let own = Candidate::by_id(&mut tx, scope.tenant(), asked.user).await?;
    let known = Candidate::by_email(&mut tx, &name::folded(&asked.email)).await?;
    drop(tx);
    let Some(own) = own.filter(Candidate::may_enter) else { return Ok(()) };
    let mut write = scope.write().await?;
    let base = domain::public_url(&mut write, runtime, scope.tenant()).await?;
    let mail = match &known {
        Some(_) => {
            let url = format!("{base}/sign-in");
            Mail::written(scope, &asked.email, &own.language, &Letter::Account(Account::Known { url: &url }))
                .await?
        }
        None => {
            let folded = name::folded(&asked.email);
            let token = recovery::issue(&mut write, scope, &own, (PURPOSE, &folded)).await?;
            let url = format!("{base}/sign-in/address?token={token}");
            let letter = Letter::Verify { url: &url, minutes: runtime.config.security.link_ttl_m };
            Mail::written(scope, &asked.email, &own.language, &letter).await?
        }
    };
    mail::enqueue(mail.as_ref(), &mut write, runtime).await?;
    write.commit(()).await?;
    runtime.job_wake.notify_one();
    Ok(())
}

record! { struct TokenRow { tenant_id: TenantId, user_id: UserId, email_folded: String } }

/// Changes the address by the token that was mailed to the new one, which is used up by it. The old address is told, and what
/// was mailed there opens nothing any more.
///
/// # Errors
/// `link_used`, also when somebody has the new address by now.
pub async fn confirm(runtime: &Runtime, token: &str, browser: &Browser) -> Result<String> {
    let hash = sha256_hex(token);
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let row: Option<TokenRow> = tx
        .optional(
            sql!(
                "select tenant_id, user_id, email_folded from mailed_token where token_hash = $1 and purpose = $2 \
                 and expires_at > $3 /* every tenant: the token says whose it is */"
            ),
            args![&hash, PURPOSE, runtime.clock.now()],
        )
        .await?;
    let row = row.ok_or_else(used)?;
    let candidate = Candidate::by_id(&mut tx, row.tenant_id, row.user_id).await?;
    drop(tx);
    let candidate = candidate.filter(|one| one.may_enter_at(browser)).ok_or_else(used)?;
    let scope = candidate.scope(runtime, browser.origin.clone());
    let (tenant, id, email) = (row.tenant_id, row.user_id, row.email_folded);
    let at = scope.now().to_minute();
    let from = browser.origin.from.clone().unwrap_or_default();
    let letter = Letter::Account(Account::AddressChanged { to: &email, from: &from, at: &at });
    let notice = Mail::written(&scope, &candidate.email, &candidate.language, &letter).await?;
    let mut write = scope.write().await?;
    recovery::use_up(&mut write, &scope, token).await?;
    let before = user::find(&mut write, tenant, id).await?;
    write
        .execute(
            sql!(
                "update users set email = $3, email_folded = $3, email_verified_at = $4 where tenant_id = $1 and id = $2"
            ),
            args![tenant, id, &email, scope.now()],
        )
        .await
        .on_unique(used)?;
    for text in [
        sql!("delete from mailed_token where tenant_id = $1 and user_id = $2"),
        sql!("delete from sign_in_link where tenant_id = $1 and user_id = $2"),
        sql!("delete from pending_sign_in where tenant_id = $1 and user_id = $2"),
    ] {
        write.execute(text, args![tenant, id]).await?;
    }
    let after = user::find(&mut write, tenant, id).await?;
    let detail = format!("from {} to {email}", before.email);
    journal::note(&mut write, &scope, id, Kind::EmailChanged, Some(detail), browser.user_agent.as_deref())
        .await?;
    write.happened(Event::UserEmailChanged(user::change(&after, Some(&before))));
    mail::enqueue(notice.as_ref(), &mut write, runtime).await?;
    write.commit(()).await?;
    runtime.job_wake.notify_one();
    Ok(email)
}
