//! Mail to the people who sign in: links, codes, and what they should know about their account. Each mail is a job in the
//! transaction of what it tells, so that it goes out if, and only if, that has happened; its text is sealed while it waits,
//! because links and codes open doors.

use std::sync::Arc;

use db::{Tenancy, Tx};
use runtime::job::{self, Handler, Outcome};
use runtime::mail::{self as outgoing, Envelope, begun, mailbox, mark};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::{Code, Error, JobId, Result, TenantId};

use crate::{domain, encryption};

mod texts;

pub(crate) use texts::{Account, Letter};

/// The kind of these jobs.
pub const KIND: &str = "identity.mail";

/// A mail that waits.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    /// What it is called in its Message-ID, the same at each try, and the row that its text is sealed for.
    name: String,
    to: String,
    /// Subject and text, sealed with the tenant's key.
    sealed: String,
}

#[derive(Serialize, Deserialize)]
struct Content {
    subject: String,
    text: String,
}

/// A mail to a person.
pub(crate) struct Mail {
    tenant: TenantId,
    waiting: Waiting,
}

/// Whether mail can be sent.
pub(crate) fn is_on(runtime: &Runtime) -> bool {
    runtime.config.mail.is_on()
}

/// Refuses what needs mail where none can be sent.
///
/// # Errors
/// [`Code::Unavailable`].
pub(crate) fn require(runtime: &Runtime) -> Result<()> {
    if is_on(runtime) {
        return Ok(());
    }
    Err(Error::new(Code::Unavailable, "no mail can be sent: no mail server is configured")
        .hint("An administrator can make you a sign-in link."))
}

impl Mail {
    /// Writes and seals a mail for a user of the scope's tenant; nothing where no mail can be sent.
    ///
    /// # Errors
    /// When the tenant's key cannot be had.
    pub(crate) async fn written(
        scope: &Scope,
        to: &str,
        language: &str,
        letter: &Letter<'_>,
    ) -> Result<Option<Self>> {
        Self::written_for(scope.runtime(), scope.tenant(), to, language, letter).await
    }

    /// As [`Mail::written`], for what the product itself tells a tenant's people.
    ///
    /// # Errors
    /// When the tenant's key cannot be had.
    pub(crate) async fn written_for(
        runtime: &Runtime,
        tenant: TenantId,
        to: &str,
        language: &str,
        letter: &Letter<'_>,
    ) -> Result<Option<Self>> {
        if !is_on(runtime) {
            return Ok(None);
        }
        let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
        let console = domain::public_url(&mut tx, runtime, tenant).await?;
        let whose = domain::signature(&mut tx, tenant).await?;
        drop(tx);
        let (subject, text) = letter.written(language, &console, &whose);
        let name = runtime.ids.next::<types::kind::Job>().bare().to_string();
        let content = serde_json::to_string(&Content { subject, text }).map_err(Error::internal)?;
        let sealed = encryption::seal_for(runtime, tenant, "job", "payload", &name, &content).await?;
        let waiting = Waiting { name, to: to.to_owned(), sealed };
        Ok(Some(Self { tenant, waiting }))
    }

    /// Puts it into the transaction of what it tells.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) async fn enqueue(&self, tx: &mut Tx, runtime: &Runtime) -> Result<JobId> {
        job::enqueue(tx, runtime, self.tenant, KIND, &self.waiting, runtime.clock.now()).await
    }
}

/// Puts a mail, where there is one, into a transaction.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn enqueue(mail: Option<&Mail>, tx: &mut Tx, runtime: &Runtime) -> Result<()> {
    if let Some(mail) = mail {
        mail.enqueue(tx, runtime).await?;
    }
    Ok(())
}

/// Sends them.
pub fn handler() -> Handler {
    Arc::new(|scope, payload, _attempt| Box::pin(async move { send(&scope, &payload).await }))
}

async fn send(scope: &Scope, payload: &str) -> Outcome {
    let waiting: Waiting = match serde_json::from_str(payload) {
        Ok(waiting) => waiting,
        Err(error) => return Outcome::Dead(format!("the payload cannot be read: {error}")),
    };
    let content = match written(scope, &waiting).await {
        Ok(content) => content,
        Err(error) if error.code().status() >= 500 => return Outcome::Retry(error.message().to_owned()),
        Err(error) => return Outcome::Dead(error.message().to_owned()),
    };
    let runtime = scope.runtime();
    let envelope = Envelope { from: runtime.config.mail.from.clone(), to: vec![waiting.to], notify: false };
    match outgoing::send(runtime, &envelope, &content).await {
        Ok(()) => Outcome::Done,
        Err(sent) => sent.outcome(),
    }
}

async fn written(scope: &Scope, waiting: &Waiting) -> Result<Vec<u8>> {
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let opened = encryption::open(runtime, tenant, "job", "payload", &waiting.name, &waiting.sealed).await?;
    let content: Content = serde_json::from_str(opened.expose()).map_err(Error::internal)?;
    let mut message = begun(runtime, &waiting.name, scope.now())?
        .to(mailbox(&waiting.to)?)
        .subject(content.subject)
        .header(lettre::message::header::ContentType::TEXT_PLAIN)
        .body(content.text)
        .map_err(Error::internal)?;
    mark(&mut message, "auto-generated");
    Ok(message.formatted())
}
