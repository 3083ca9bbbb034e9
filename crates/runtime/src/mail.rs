//! Mail that we send ourselves: SMTP submission, and what all our mail begins with.

use std::fmt;
use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use types::{Code, Error, Result, Timestamp};

use crate::Runtime;
use crate::job::Outcome;
use crate::outbound::Dial;

mod client;

pub use client::{Envelope, Failure, Server, Session};

/// A reply code of SMTP (RFC 5321 §4.2) with its enhanced status code (RFC 3463).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailCode {
    /// The reply code, such as 550.
    pub code: u16,
    /// The first number of the enhanced status code; 0 where there is none.
    pub class: u16,
    /// Its second.
    pub subject: u16,
    /// Its third.
    pub detail: u16,
}

impl MailCode {
    /// A reply's code, and the enhanced one that its text begins with.
    pub fn read(code: u16, text: &str) -> Self {
        let enhanced = text.split_whitespace().next().unwrap_or_default();
        let mut numbers = enhanced.split('.').map(|number| number.parse::<u16>().ok());
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Some(class @ (2 | 4 | 5))), Some(Some(subject)), Some(Some(detail)), None) => {
                Self { code, class, subject, detail }
            }
            _ => Self { code, ..Self::default() },
        }
    }

    /// Whether the same will be refused again (RFC 5321 §4.2.1).
    pub fn is_permanent(self) -> bool {
        self.code >= 500
    }
}

impl fmt::Display for MailCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        match self.class {
            0 => Ok(()),
            class => write!(f, " {class}.{}.{}", self.subject, self.detail),
        }
    }
}

/// The server of the configuration.
///
/// # Errors
/// [`Code::Unavailable`] where none is configured, or its certificates cannot be read.
pub async fn server(runtime: &Runtime) -> Result<Server> {
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
        dial: Dial::anywhere(),
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
pub fn hello(runtime: &Runtime) -> String {
    let config = &runtime.config;
    let own = config.mail.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let name = if config.smtp.domain.is_empty() { own } else { &config.smtp.domain };
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// The beginning of every mail of ours. `name` is the same for each try of the same mail, so that whoever gets it twice
/// knows.
pub fn begun(runtime: &Runtime, name: &str, at: Timestamp) -> Result<MessageBuilder> {
    let from = mailbox(&runtime.config.mail.from)?;
    let since = Duration::from_millis(u64::try_from(at.unix_ms()).unwrap_or(0));
    Ok(Message::builder()
        .from(from)
        .message_id(Some(format!("<{name}@{}>", hello(runtime))))
        .date(SystemTime::UNIX_EPOCH + since))
}

/// An address for a header.
pub fn mailbox(address: &str) -> Result<Mailbox> {
    address.parse().map_err(|_| Error::new(Code::InvalidAddress, format!("{address:?} is no e-mail address")))
}

/// Says that no person wrote the mail (RFC 3834 §5), so that no machine answers it.
pub fn mark(message: &mut Message, how: &str) {
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    message.headers_mut().insert_raw(HeaderValue::new(name, how.to_owned()));
}

/// A text in one line, as headers hold it.
pub fn one_line(text: &str, chars_max: usize) -> String {
    text.chars().map(|ch| if ch.is_control() { ' ' } else { ch }).take(chars_max).collect()
}

/// Sends a mail.
///
/// # Errors
/// [`Code::Unavailable`] where no server is configured; what the server said, in words.
pub async fn send(runtime: &Runtime, envelope: &Envelope, content: &[u8]) -> Result<(), Sent> {
    let server = server(runtime).await.map_err(Sent::Config)?;
    let mut session = server.open().await.map_err(Sent::Refused)?;
    let sent = session.send(envelope, content, || ()).await;
    session.quit().await;
    sent.map_err(Sent::Refused)
}

/// Why a mail was not sent.
#[derive(Debug)]
pub enum Sent {
    /// There is no way to send any.
    Config(Error),
    /// The server did not take it.
    Refused(Failure),
}

impl Sent {
    /// What becomes of the job. A mail that may have been taken goes out again, under the same Message-ID.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Config(error) => Outcome::Retry(error.message().to_owned()),
            Self::Refused(failure) if failure.is_lasting() => Outcome::Dead(failure.why),
            Self::Refused(failure) => Outcome::Retry(failure.why),
        }
    }

    /// What a person is told.
    pub fn error(self) -> Error {
        match self {
            Self::Config(error) => error,
            Self::Refused(failure) => {
                Error::new(Code::Unavailable, format!("the mail server did not take it: {}", failure.why))
                    .hint("check the section mail of the configuration, and the server's log")
            }
        }
    }
}
