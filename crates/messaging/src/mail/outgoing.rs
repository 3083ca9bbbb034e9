//! A mail to try the settings of `[mail]` with, and what addresses of our own settings look like.

use runtime::Scope;
use runtime::mail::{self, Envelope, Sent, begun, mailbox, mark};
use serde::{Deserialize, Serialize};
use types::{Code, Error, Permission, Result};

/// A mail to try the configuration with.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestMail {
    /// Where it goes.
    #[schema(example = "anna@example.com")]
    pub to: String,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TestMailSent {
    /// Where it went.
    pub to: String,
    /// Through which server.
    pub server: String,
}

/// Sends a test mail at once and says what the server answered.
///
/// # Errors
/// [`Code::InvalidAddress`]; [`Code::Unavailable`] with the server's words.
pub async fn test(scope: &Scope, test: &TestMail) -> Result<TestMailSent> {
    scope.require(Permission::MailTest)?;
    let runtime = scope.runtime();
    let to = checked("to", &test.to)?;
    // Before anything is made: without a server there is no sender either.
    let config = &runtime.config.mail;
    if !config.is_on() {
        mail::server(runtime).await?;
    }
    let name = format!("test.{}", runtime.ids.next::<types::kind::Job>().bare());
    let mut message = begun(runtime, &name, scope.now())?
        .to(mailbox(&to)?)
        .subject("Test mail from Switchboard")
        .body(
            "This mail was sent to try the mail settings of Switchboard. There is nothing to do.\n"
                .to_owned(),
        )
        .map_err(Error::internal)?;
    mark(&mut message, "auto-generated");
    let envelope = Envelope { from: config.from.clone(), to: vec![to.clone()], notify: false };
    mail::send(runtime, &envelope, &message.formatted()).await.map_err(Sent::error)?;
    Ok(TestMailSent { to, server: format!("{}:{}", config.host, config.port) })
}

/// Characters of an address (RFC 5321 §4.5.3.1.3).
const ADDRESS_CHARS_MAX: usize = 254;

/// An address as somebody has written it.
///
/// # Errors
/// [`Code::InvalidAddress`] at the field.
pub(crate) fn checked(field: &str, text: &str) -> Result<String> {
    let address = text.trim();
    let fits =
        address.chars().count() <= ADDRESS_CHARS_MAX && smtp::is_address(address) && mailbox(address).is_ok();
    if fits {
        return Ok(address.to_owned());
    }
    Err(Error::new(Code::InvalidAddress, format!("{text:?} is no e-mail address")).at(field))
}
