//! Telling: what a rule's people and its webhook get, and the jobs that bring it.

use std::sync::Arc;

use db::{Tx, args, sql};
use runtime::job::{self, Handler, NewJob, Outcome};
use runtime::outbound::{Answer, OutboundError};
use runtime::{Runtime, Scope, webhook};
use serde::{Deserialize, Serialize};
use serde_json::json;
use types::{AlertRuleId, Code, Error, Permission, Result, SecurityEventId, TenantId, UserId};

use super::{RULES_MAX, SEALED, Stored, stored};
use crate::encryption;
use crate::mail::{self, Letter, Mail};
use crate::security_event::{self, Kind, PLATFORM, SecurityEvent, Severity};
use crate::user;

/// The kind of these jobs.
pub const KIND: &str = "identity.alert";
/// Rules that are asked for one event, over all tenants.
const ASKED_MAX: i64 = 1_000;

/// What came of a trial.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AlertTrial {
    /// Mails that were put on their way.
    pub mails: usize,
    /// What the webhook's receiver answered, in words; absent where the rule posts nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}

/// Tells a rule's people and its webhook of an event that did not happen, so that one sees whether it arrives.
///
/// # Errors
/// Without `alert_rule.change`; `not_found`.
pub async fn test(scope: &Scope, id: AlertRuleId) -> Result<AlertTrial> {
    scope.require(Permission::AlertRuleChange)?;
    let row = stored(&mut scope.read().await?, scope.tenant(), id).await?;
    let now = scope.now();
    let event = SecurityEvent {
        id: scope.runtime().ids.next(),
        kind: "test".to_owned(),
        severity: Severity::Low.as_str().to_owned(),
        subject: row.name.clone(),
        user_id: None,
        detail: "a trial of the alert rule; nothing happened".to_owned(),
        first_at: now,
        last_at: now,
        count: 1,
        state: "closed".to_owned(),
        reason: None,
        note: None,
        handled_by: None,
        handled_at: None,
        revision: 1,
    };
    let webhook = match row.url.is_empty() {
        true => None,
        false => Some(match post(scope, &row, "alert_rule.test", &event).await? {
            Outcome::Done => "it was taken".to_owned(),
            Outcome::Retry(why) | Outcome::Dead(why) => why,
        }),
    };
    let mut mails = 0;
    for person in row.rule().people {
        mails += usize::from(write_to(scope, person, &event).await?);
    }
    Ok(AlertTrial { mails, webhook })
}

/// A telling that waits.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    rule: AlertRuleId,
    event: SecurityEventId,
    platform: bool,
    /// To whom by mail; nobody: the webhook.
    to: Option<UserId>,
}

/// Puts the tellings of an event into the transaction that raises it. Rules about the platform's own events are of whichever
/// tenant the people are in who may see them.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn enqueue(
    tx: &mut Tx,
    runtime: &Runtime,
    tenant: TenantId,
    event: &SecurityEvent,
) -> Result<()> {
    let platform = tenant == PLATFORM;
    let rules: Vec<Stored> = match platform {
        true => {
            tx.all(
                sql!(
                    "select id, tenant_id, name, active, platform, kinds, severity, people, url, secret_sealed, revision, \
                     created_at, changed_at from alert_rule where platform and active order by id limit $1 \
                     /* every tenant: a stranger at the door belongs to none */"
                ),
                args![ASKED_MAX],
            )
            .await?
        }
        false => {
            tx.all(
                sql!(
                    "select id, tenant_id, name, active, platform, kinds, severity, people, url, secret_sealed, revision, \
                     created_at, changed_at from alert_rule where tenant_id = $1 and not platform and active \
                     order by id limit $2"
                ),
                args![tenant, RULES_MAX],
            )
            .await?
        }
    };
    let mut jobs = Vec::new();
    for row in rules {
        let whose = row.tenant_id;
        let rule = row.rule();
        if !rule.wants(event) {
            continue;
        }
        let hook = (!rule.url.is_empty()).then_some(None);
        for to in rule.people.iter().copied().map(Some).chain(hook) {
            let waiting = Waiting { rule: rule.id, event: event.id, platform, to };
            jobs.push(NewJob::new(whose, KIND, &waiting)?);
        }
    }
    if jobs.is_empty() {
        return Ok(());
    }
    job::enqueue_all(tx, runtime, jobs, runtime.clock.now()).await
}

/// Tells.
pub fn handler() -> Handler {
    Arc::new(|scope, payload, _attempt| Box::pin(async move { tell(&scope, &payload).await }))
}

async fn tell(scope: &Scope, payload: &str) -> Outcome {
    let waiting: Waiting = match serde_json::from_str(payload) {
        Ok(waiting) => waiting,
        Err(error) => return Outcome::Dead(format!("the payload cannot be read: {error}")),
    };
    match told(scope, &waiting).await {
        Ok(outcome) => outcome,
        // The rule, the person or the event are gone: there is nobody to tell, or nothing.
        Err(error) if error.code() == Code::NotFound => Outcome::Done,
        Err(error) => Outcome::Retry(error.message().to_owned()),
    }
}

async fn told(scope: &Scope, waiting: &Waiting) -> Result<Outcome> {
    let row = stored(&mut scope.read().await?, scope.tenant(), waiting.rule).await?;
    let whose = if waiting.platform { PLATFORM } else { scope.tenant() };
    let mut tx = scope.runtime().db.read(db::Tenancy::Tenant(whose)).await?;
    let event = security_event::find(&mut tx, whose, waiting.event).await?;
    drop(tx);
    match waiting.to {
        Some(person) => write_to(scope, person, &event).await.map(|_| Outcome::Done),
        None => post(scope, &row, "security_event.raised", &event).await,
    }
}

/// Puts a mail to one of the tenant's people on its way, and gives whether there is one.
async fn write_to(scope: &Scope, person: UserId, event: &SecurityEvent) -> Result<bool> {
    let user = user::find(&mut scope.read().await?, scope.tenant(), person).await?;
    if user.status != user::Status::Active.as_str() {
        return Ok(false);
    }
    let title = Kind::named(&event.kind).map_or(event.kind.as_str(), |kind| kind.title());
    let url = format!("{}/security-events/{}", scope.runtime().config.public_url(), event.id);
    let at = event.last_at.to_minute();
    let letter = Letter::SecurityEvent {
        title,
        severity: &event.severity,
        subject: &event.subject,
        detail: &event.detail,
        at: &at,
        url: &url,
    };
    let Some(mail) = Mail::written(scope, &user.email, &user.language, &letter).await? else {
        return Ok(false);
    };
    let mut write = scope.write().await?;
    mail::enqueue(Some(&mail), &mut write, scope.runtime()).await?;
    write.commit(()).await?;
    scope.runtime().job_wake.notify_one();
    Ok(true)
}

/// Posts an event to a rule's webhook. Its name is the same at each try.
async fn post(scope: &Scope, row: &Stored, kind: &str, event: &SecurityEvent) -> Result<Outcome> {
    if row.url.is_empty() || row.secret_sealed.is_empty() {
        return Ok(Outcome::Done);
    }
    let runtime = scope.runtime();
    let rule = row.id.to_string();
    let opened =
        encryption::open(runtime, row.tenant_id, SEALED.table, SEALED.column, &rule, &row.secret_sealed);
    let secret = opened.await?;
    let body = json!({ "type": kind, "timestamp": event.last_at, "data": event });
    let body = serde_json::to_vec(&body).map_err(Error::internal)?;
    let name = format!("{}.{}", event.id, rule);
    let signed = webhook::headers(&secret, &name, runtime.clock.now(), &body)?;
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(signed.iter().map(|(name, value)| (*name, value.as_str())));
    Ok(outcome(runtime.outbound.post(&row.url, &headers, body).await))
}

/// Only the status counts, so a body that is too long to be read takes nothing from it.
fn outcome(answer: std::result::Result<Answer, OutboundError>) -> Outcome {
    let status = match answer {
        Ok(Answer { status, .. }) | Err(OutboundError::TooLarge { status, .. }) => status,
        Err(error) if error.is_temporary() => return Outcome::Retry(error.to_string()),
        Err(error) => return Outcome::Dead(error.to_string()),
    };
    match status {
        200..=299 => Outcome::Done,
        410 => Outcome::Dead("the receiver answered 410 Gone".to_owned()),
        _ => Outcome::Retry(format!("the receiver answered {status}")),
    }
}
