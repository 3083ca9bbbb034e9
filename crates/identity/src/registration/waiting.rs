//! Telling whoever may let newcomers in that somebody waits: one mail for all who have come within a few minutes, with how many
//! wait.

use std::sync::Arc;

use db::{Tx, args, record, sql};
use futures::FutureExt as _;
use runtime::job::{self, Handler, Outcome};
use runtime::{Runtime, Scope};
use types::{Permission, Result, TenantId};

use crate::mail::{self, Account, Letter, Mail};
use crate::{domain, review};

/// The kind of these jobs.
pub const KIND: &str = "identity.newcomers";
/// How long after the first who waits the mails leave, so that one tells of many.
const GATHERED_MS: i64 = 5 * 60_000;

record! { struct Few { n: i64 } }

/// Has those told who may let newcomers in, in the transaction that makes one wait. While mails are to leave already, no others are
/// put down.
///
/// # Errors
/// When the database refuses.
pub async fn gather(tx: &mut Tx, runtime: &Runtime, tenant: TenantId) -> Result<()> {
    if !mail::is_on(runtime) {
        return Ok(());
    }
    // Two who come at once see each other behind this row.
    tx.execute(
        sql!("update registration_policy set changed_at = changed_at where tenant_id = $1"),
        args![tenant],
    )
    .await?;
    let now = runtime.clock.now();
    let Few { n } = tx
        .one(
            sql!(
                "select count(*) as n from job where tenant_id = $1 and kind = $2 and not dead and run_at > $3"
            ),
            args![tenant, KIND, now],
        )
        .await?;
    if n == 0 {
        job::enqueue(tx, runtime, tenant, KIND, &(), now.plus_ms(GATHERED_MS)).await?;
    }
    Ok(())
}

/// What runs these jobs.
pub fn handler() -> Handler {
    Arc::new(|scope, _, _| {
        async move {
            match tell(&scope).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry(error.message().to_owned()),
            }
        }
        .boxed()
    })
}

async fn tell(scope: &Scope) -> Result<()> {
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let mut write = scope.write().await?;
    let Few { n } = write
        .one(
            sql!(
                "select count(*) as n from registration where tenant_id = $1 and verified_at is not null and expires_at > $2"
            ),
            args![tenant, scope.now()],
        )
        .await?;
    if n == 0 {
        return Ok(());
    }
    let base = domain::public_url(&mut write, runtime, tenant).await?;
    let url = format!("{base}/registrations");
    let letter = Letter::Account(Account::NewcomersWait { count: n, url: &url });
    for person in review::people_who_may(&mut write, tenant, Permission::UserCreate, scope.now()).await? {
        let mail = Mail::written(scope, &person.email, &person.language, &letter).await?;
        mail::enqueue(mail.as_ref(), &mut write, runtime).await?;
    }
    write.commit(()).await?;
    runtime.job_wake.notify_one();
    Ok(())
}
