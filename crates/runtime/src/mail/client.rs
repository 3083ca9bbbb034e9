//! SMTP submission, a step at a time: which step failed tells whether the mail may have left.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt};
use lettre::transport::smtp::extension::{
    ClientId, Extension, MailBodyParameter, MailParameter, RcptParameter,
};

use tokio::time::timeout;

use super::MailCode;
use crate::config::Encryption;
use crate::outbound::Dial;

/// A mail server that takes mail from us.
#[derive(Clone)]
pub struct Server {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Which addresses it may have.
    pub dial: Dial,
    /// How it is encrypted.
    pub encryption: Encryption,
    /// The name that its certificate must be for; `host` when empty.
    pub server_name: String,
    /// PEM text of who may have issued its certificate; empty for the roots of this machine.
    pub ca: String,
    /// Name to sign in with; empty for none.
    pub user: String,
    /// What proves it.
    pub password: String,
    /// What we call ourselves.
    pub hello: String,
    /// How long connecting, TLS and signing in may take together.
    pub connect_timeout_ms: u64,
    /// How long each answer is awaited.
    pub response_timeout_ms: u64,
}

/// A password does not belong in a log, so `Debug` leaves it out.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// Whom a mail is from and to, and what its server is asked for.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// The return path; empty for a notification (RFC 5321 §4.5.5).
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// Whether notifications of success and failure are asked for (RFC 3461), where the server offers them.
    pub notify: bool,
}

/// Why a mail was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the server answered, where it did.
    pub code: Option<MailCode>,
    /// In words.
    pub why: String,
    /// The content was sent, and no answer came: it may have been taken.
    pub unknown: bool,
    /// No answer came in time.
    pub timed_out: bool,
}

impl Failure {
    fn of(error: &lettre::transport::smtp::Error) -> Self {
        let code = error.status().map(|code| code.to_string().parse().unwrap_or(0));
        // The library's own words are about kinds; the cause has the server's words, or TLS's.
        let cause = error.source();
        let io = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
        let why = match (io, cause) {
            (Some(io), _) => crate::tls::why(io),
            (None, Some(cause)) => cause.to_string(),
            (None, None) => error.to_string(),
        };
        Self {
            code: code.map(|code| MailCode::read(code, &why)),
            why: code.map_or_else(|| why.clone(), |code| format!("{code} {why}")),
            unknown: false,
            timed_out: error.is_timeout(),
        }
    }

    fn words(why: impl Into<String>) -> Self {
        Self { code: None, why: why.into(), unknown: false, timed_out: false }
    }

    fn late(within_ms: u64) -> Self {
        Self { timed_out: true, ..Self::words(format!("no answer within {within_ms} ms")) }
    }

    /// Whether the same will fail again until somebody changes it.
    pub fn is_lasting(&self) -> bool {
        self.code.is_some_and(MailCode::is_permanent)
    }
}

/// An open session.
pub struct Session {
    connection: AsyncSmtpConnection,
    response_timeout_ms: u64,
    /// The server tells what became of mails (RFC 3461).
    notifies: bool,
    /// Nothing can be said on it any more.
    broken: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("broken", &self.broken).finish_non_exhaustive()
    }
}

impl Server {
    /// Connects, encrypts and signs in.
    ///
    /// # Errors
    /// Why there is no session.
    pub async fn open(&self) -> Result<Session, Failure> {
        let opening = timeout(Duration::from_millis(self.connect_timeout_ms), self.opened());
        opening.await.unwrap_or_else(|_| Err(Failure::late(self.connect_timeout_ms)))
    }

    async fn opened(&self) -> Result<Session, Failure> {
        let hello = ClientId::Domain(self.hello.clone());
        let tls = match self.encryption {
            Encryption::None => None,
            Encryption::Starttls | Encryption::Implicit => Some(self.tls().await?),
        };
        let at_once = tls.clone().filter(|_| self.encryption == Encryption::Implicit);
        let patience = Some(Duration::from_millis(self.connect_timeout_ms));
        // By address, so that what was judged is what is reached; TLS has the name by its parameters.
        let addresses = self.dial.addresses(&self.host, self.port).await;
        let addresses = addresses.map_err(|error| Failure::words(error.to_string()))?;
        let connecting =
            AsyncSmtpConnection::connect_tokio1(addresses.as_slice(), patience, &hello, at_once, None);
        let mut connection = connecting.await.map_err(|error| Failure::of(&error))?;
        if let Some(tls) = tls.filter(|_| self.encryption == Encryption::Starttls) {
            if !connection.can_starttls() {
                return Err(Failure::words("the server does not offer STARTTLS"));
            }
            connection.starttls(tls, &hello).await.map_err(|error| Failure::of(&error))?;
        }
        if !self.user.is_empty() {
            let who = Credentials::new(self.user.clone(), self.password.clone());
            let signing_in = connection.auth(&[Mechanism::Plain, Mechanism::Login], &who);
            signing_in.await.map_err(|error| Failure::of(&error))?;
        }
        // The library keeps only what it uses of a server's offers, and this is not among it.
        let offers = connection.command(Ehlo::new(hello)).await.map_err(|error| Failure::of(&error))?;
        let notifies = offers.message().any(|line| line.trim().eq_ignore_ascii_case("DSN"));
        Ok(Session { connection, response_timeout_ms: self.response_timeout_ms, notifies, broken: false })
    }

    /// What TLS is spoken with. Reading the machine's roots blocks.
    async fn tls(&self) -> Result<TlsParameters, Failure> {
        let name = if self.server_name.is_empty() { &self.host } else { &self.server_name };
        let (name, ca) = (name.clone(), self.ca.clone());
        let make = move || {
            let mut builder = TlsParameters::builder(name);
            if !ca.is_empty() {
                builder = builder.certificate_store(CertificateStore::None);
                builder = builder.add_root_certificate(Certificate::from_pem(ca.as_bytes())?);
            }
            builder.build_rustls()
        };
        let made = tokio::task::spawn_blocking(make).await;
        match made {
            Ok(made) => made.map_err(|error| Failure::of(&error)),
            Err(_) => Err(Failure::words("no TLS: the roots of this machine cannot be read")),
        }
    }
}

/// One step, in its time.
async fn step<T>(
    within_ms: u64,
    step: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, Failure> {
    match timeout(Duration::from_millis(within_ms), step).await {
        Ok(done) => done.map_err(|error| Failure::of(&error)),
        Err(_) => Err(Failure::late(within_ms)),
    }
}

impl Session {
    /// Hands over a mail; its return path and all recipients are taken, or none. `content_left` is called when the content
    /// begins to leave: from then on it may have been taken, whatever comes.
    ///
    /// # Errors
    /// Why it was not taken, or is not known to be.
    pub async fn send(
        &mut self,
        envelope: &Envelope,
        content: &[u8],
        content_left: impl FnOnce() + Send,
    ) -> Result<(), Failure> {
        let sent = self.try_send(envelope, content, content_left).await;
        if let Err(failure) = &sent {
            self.broken |= failure.code.is_none_or(|code| code.code == 421);
            if !self.broken {
                // The next mail begins anew.
                self.broken |=
                    step(self.response_timeout_ms, self.connection.command("RSET\r\n")).await.is_err();
            }
        }
        sent
    }

    async fn try_send(
        &mut self,
        envelope: &Envelope,
        content: &[u8],
        content_left: impl FnOnce() + Send,
    ) -> Result<(), Failure> {
        let within_ms = self.response_timeout_ms;
        let mut from = Vec::new();
        let server = self.connection.server_info();
        let mut addresses = std::iter::once(&envelope.from).chain(&envelope.to);
        if addresses.any(|address| !address.is_ascii()) {
            if !server.supports_feature(Extension::SmtpUtfEight) {
                return Err(Failure {
                    code: Some(MailCode { code: 553, class: 5, subject: 6, detail: 7 }),
                    ..Failure::words("the server takes no addresses beyond ASCII (SMTPUTF8)")
                });
            }
            from.push(MailParameter::SmtpUtfEight);
        }
        if !content.is_ascii() && server.supports_feature(Extension::EightBitMime) {
            from.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let path = match envelope.from.as_str() {
            "" => None,
            path => Some(address(path)?),
        };
        step(within_ms, self.connection.command(Mail::new(path, from))).await?;
        for to in &envelope.to {
            let mut wishes = Vec::new();
            if envelope.notify && self.notifies {
                wishes.push(RcptParameter::Other {
                    keyword: "NOTIFY".to_owned(),
                    value: Some("SUCCESS,FAILURE".to_owned()),
                });
            }
            step(within_ms, self.connection.command(Rcpt::new(address(to)?, wishes))).await?;
        }
        step(within_ms, self.connection.command(Data)).await?;
        content_left();
        step(within_ms, self.connection.message(content))
            .await
            .map(drop)
            .map_err(|failure| Failure { unknown: failure.code.is_none(), ..failure })
    }

    /// Whether another mail can go over it.
    pub fn is_usable(&self) -> bool {
        !self.broken && !self.connection.has_broken()
    }

    /// Leaves politely.
    pub async fn quit(mut self) {
        if self.is_usable() {
            // Whatever it answers, it is over.
            drop(step(self.response_timeout_ms.min(QUIT_MS_MAX), self.connection.quit()).await);
        }
    }
}

/// How long a good bye may take.
const QUIT_MS_MAX: u64 = 2_000;

fn address(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|_| Failure {
        code: Some(MailCode { code: 553, class: 5, subject: 1, detail: 3 }),
        ..Failure::words(format!("{text:?} is no address"))
    })
}
