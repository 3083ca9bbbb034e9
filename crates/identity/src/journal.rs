//! A user's security history: who came in and from where, what was refused, what was changed. The user reads their own,
//! administrators read everybody's; the audit trail has the same events for the tenant as a whole.

use db::{Tx, args, record, sql};
use runtime::{Actor, Scope};
use serde::Serialize;
use types::{Page, Permission, Result, SecurityEntryId, Timestamp, UserId};
use web::Paging;

use crate::{impersonation, user};

/// Entries of one user; the oldest go first.
const ENTRIES_MAX: i64 = 500;
/// What is kept of a detail.
const DETAIL_CHARS_MAX: usize = 200;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $text:literal $title:literal;)*) => {
        /// What an entry is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $($(#[$doc])* #[doc = $title] $name,)* }

        impl Kind {
            /// The name that rows and answers hold.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        /// What people call a kind; an unknown one goes by its name.
        pub fn title(kind: &str) -> &str {
            match kind { $($text => $title,)* other => other }
        }
    };
}

kinds! {
    SignedIn "signed_in" "Signed in";
    Refused "refused" "Sign-in refused";
    NewDevice "new_device" "New browser";
    DeviceRemembered "device_remembered" "Browser remembered";
    DeviceForgotten "device_forgotten" "Browser forgotten";
    SignedOut "signed_out" "Signed out";
    Proved "proved" "Proved again";
    LockedOut "locked_out" "Guessing slowed down";
    Unlocked "unlocked" "Let try again";
    PasswordChanged "password_changed" "Password changed";
    PasswordReset "password_reset" "Password reset by mail";
    FactorAdded "factor_added" "Second factor added";
    FactorRemoved "factor_removed" "Second factor removed";
    FactorsTaken "factors_taken" "Second factors taken away";
    BackupCodes "backup_codes" "Backup codes made";
    BackupCodeUsed "backup_code_used" "Backup code used";
    LinkIssued "link_issued" "Sign-in link made";
    CodeTexted "code_texted" "Code sent to a phone";
    MailAsked "mail_asked" "Mail asked for";
    Impersonated "impersonated" "Somebody acted as this user";
    ImpersonationEnded "impersonation_ended" "Acting as this user ended";
    EmailChanged "email_changed" "E-mail address changed";
    EmailVerified "email_verified" "E-mail address verified";
}

record! {
    /// Something that happened around a user's account.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct SecurityEntry {
        /// Its id.
        pub id: SecurityEntryId,
        /// When it was.
        pub at: Timestamp,
        /// What it was, such as `signed_in`.
        pub kind: String,
        /// More about it.
        pub detail: Option<String>,
        /// Who did it, where it was not the user.
        pub done_by: Option<String>,
        /// The network address it came from.
        pub from_address: Option<String>,
        /// The browser's description of itself.
        pub user_agent: Option<String>,
    }
}

/// Notes something in the transaction that does it.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn note(
    tx: &mut Tx,
    scope: &Scope,
    user: UserId,
    kind: Kind,
    detail: Option<String>,
    user_agent: Option<&str>,
) -> Result<()> {
    let done_by = match scope.actor() {
        Actor::User(actor) if *actor == user => None,
        actor => Some(actor.to_string()),
    };
    let detail = detail.map(|text| text.chars().take(DETAIL_CHARS_MAX).collect::<String>());
    let id: SecurityEntryId = scope.runtime().ids.next();
    tx.execute(
        sql!(
            "insert into security_entry (id, tenant_id, user_id, at, kind, detail, done_by, from_address, user_agent) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        ),
        args![
            id,
            scope.tenant(),
            user,
            scope.now(),
            kind.as_str(),
            detail,
            done_by,
            scope.origin().from.clone(),
            user_agent.map(str::to_owned)
        ],
    )
    .await?;
    tx.execute(
        sql!(
            "delete from security_entry where tenant_id = $1 and user_id = $2 and id <= \
             (select id from security_entry where tenant_id = $1 and user_id = $2 order by id desc limit 1 offset $3)"
        ),
        args![scope.tenant(), user, ENTRIES_MAX],
    )
    .await?;
    Ok(())
}

/// One's own history, newest first.
///
/// # Errors
/// `forbidden` for a program; a malformed cursor or limit.
pub async fn own(scope: &Scope, paging: &Paging) -> Result<Page<SecurityEntry>> {
    list(scope, user::person(scope)?, paging).await
}

/// A user's history, newest first.
///
/// # Errors
/// Without `user.view`; `not_found`; a malformed cursor or limit.
pub async fn of(scope: &Scope, id: UserId, paging: &Paging) -> Result<Page<SecurityEntry>> {
    scope.require(Permission::UserView)?;
    impersonation::refuse_on(scope, id)?;
    user::find(&mut scope.read().await?, scope.tenant(), id).await?;
    list(scope, id, paging).await
}

async fn list(scope: &Scope, id: UserId, paging: &Paging) -> Result<Page<SecurityEntry>> {
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let entries = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, at, kind, detail, done_by, from_address, user_agent from security_entry \
                 where tenant_id = $1 and user_id = $2 and id < $3 order by id desc limit $4"
            ),
            args![scope.tenant(), id, behind, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(entries, limit, |entry: &SecurityEntry| entry.id.raw()))
}
