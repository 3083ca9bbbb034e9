//! Mail that we send ourselves, through the server of `[mail]`.

use std::time::{Duration, SystemTime};

use connectors::mail::{Envelope, Failure, Server};
use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use runtime::job::Outcome;
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::{Code, Error, Permission, Result, Timestamp};

/// The server of the configuration.
///
/// # Errors
/// [`Code::Unavailable`] where none is configured, or its certificates cannot be read.
async fn server(runtime: &Runtime) -> Result<Server> {
    let config = &runtime.config.mail;
    if !config.is_on() {
        let hint = "name a server in the section mail of the configuration";
        return Err(
            Error::new(Code::Unavailable, "no mail can be sent: no mail server is configured").hint(hint)
        );
    }
    let ca = if config.ca.as_os_str().is_empty() {
        String::new()
    } else {
        tokio::fs::read_to_string(&config.ca).await.map_err(|error| {
            Error::new(Code::Unavailable, format!("{} cannot be read: {error}", config.ca.display()))
        })?
    };
    Ok(Server {
        host: config.host.clone(),
        port: config.port,
        encryption: config.tls,
        server_name: String::new(),
        ca,
        user: config.user.clone(),
        password: config.password.expose().to_owned(),
        hello: hello(runtime),
        connect_timeout_ms: config.timeout_ms,
        response_timeout_ms: config.timeout_ms,
    })
}

/// What we call ourselves: the domain that we take mail for, or that of our sender's address.
pub(crate) fn hello(runtime: &Runtime) -> String {
    let config = &runtime.config;
    let own = config.mail.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let name = if config.smtp.domain.is_empty() { own } else { &config.smtp.domain };
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// The beginning of every mail of ours. `name` is the same for each try of the same mail, so that whoever gets it twice
/// knows.
pub(crate) fn begun(runtime: &Runtime, name: &str, at: Timestamp) -> Result<MessageBuilder> {
    let from = mailbox(&runtime.config.mail.from)?;
    let since = Duration::from_millis(u64::try_from(at.unix_ms()).unwrap_or(0));
    Ok(Message::builder()
        .from(from)
        .message_id(Some(format!("<{name}@{}>", hello(runtime))))
        .date(SystemTime::UNIX_EPOCH + since))
}

/// An address for a header.
pub(crate) fn mailbox(address: &str) -> Result<Mailbox> {
    address.parse().map_err(|_| Error::new(Code::InvalidAddress, format!("{address:?} is no e-mail address")))
}

/// Says that no person wrote the mail (RFC 3834 §5), so that no machine answers it.
pub(crate) fn mark(message: &mut Message, how: &str) {
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    message.headers_mut().insert_raw(HeaderValue::new(name, how.to_owned()));
}

/// A text in one line, as headers hold it.
pub(crate) fn one_line(text: &str, chars_max: usize) -> String {
    text.chars().map(|ch| if ch.is_control() { ' ' } else { ch }).take(chars_max).collect()
}

/// Sends a mail.
///
/// # Errors
/// [`Code::Unavailable`] where no server is configured; what the server said, in words.
pub(crate) async fn send(runtime: &Runtime, envelope: &Envelope, content: &[u8]) -> Result<(), Sent> {
    let server = server(runtime).await.map_err(Sent::Config)?;
    let mut session = server.open().await.map_err(Sent::Refused)?;
    let sent = session.send(envelope, content, || ()).await;
    session.quit().await;
    sent.map_err(Sent::Refused)
}

/// Why a mail was not sent.
#[derive(Debug)]
pub(crate) enum Sent {
    /// There is no way to send any.
    Config(Error),
    /// The server did not take it.
    Refused(Failure),
}

impl Sent {
    /// What becomes of the job. A mail that may have been taken goes out again, under the same Message-ID.
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Config(error) => Outcome::Retry(error.message().to_owned()),
            Self::Refused(failure) if failure.is_lasting() => Outcome::Dead(failure.why),
            Self::Refused(failure) => Outcome::Retry(failure.why),
        }
    }

    fn error(self) -> Error {
        match self {
            Self::Config(error) => error,
            Self::Refused(failure) => {
                Error::new(Code::Unavailable, format!("the mail server did not take it: {}", failure.why))
                    .hint("check the section mail of the configuration, and the server's log")
            }
        }
    }
}

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
        server(runtime).await?;
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
    send(runtime, &envelope, &message.formatted()).await.map_err(Sent::error)?;
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
