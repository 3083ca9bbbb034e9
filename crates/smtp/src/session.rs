//! One client's session: which command may come when, and what it is answered.

use smtp_proto::request::parser::Rfc5321Parser;
use smtp_proto::{
    AUTH_LOGIN, AUTH_PLAIN, Error, MAIL_BODY_7BIT, MAIL_BODY_8BITMIME, MAIL_RET_FULL, MAIL_RET_HDRS,
    MAIL_SMTPUTF8, MailFrom, RCPT_NOTIFY_DELAY, RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER, RCPT_NOTIFY_SUCCESS,
    RcptTo, Request,
};

use crate::auth::{self, Exchange, Step};
use crate::data::Data;
use crate::{Code, Reply, ehlo};

/// What the server offers, and its bounds.
#[derive(Debug, Clone)]
pub struct Offers {
    /// What it calls itself.
    pub host: String,
    /// Whether it can begin TLS.
    pub starttls: bool,
    /// Whether passwords are taken without TLS.
    pub plain_auth: bool,
    /// Whether it can tell senders what became of their mail (RFC 3461).
    pub dsn: bool,
    /// Octets of a mail.
    pub mail_bytes_max: usize,
    /// Recipients of a mail.
    pub recipients_max: usize,
    /// Commands that were refused as such, after which the session ends.
    pub errors_max: u32,
}

/// Where a mail comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sender {
    /// The address; empty for a notification, which is never answered (RFC 5321 §4.5.5).
    pub address: String,
    /// ENVID: the sender's own name of the mail, for notifications (RFC 3461 §4.4).
    pub envelope_id: Option<String>,
}

/// Of which ends a sender wants to hear (RFC 3461 §4.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notify {
    /// It was delivered.
    pub success: bool,
    /// It was not.
    pub failure: bool,
    /// The sender said so itself.
    pub chosen: bool,
}

/// Where a mail goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipient {
    /// The address.
    pub address: String,
    /// ORCPT: the mail address that it was sent to at first, without its type (RFC 3461 §4.2).
    pub original: Option<String>,
    /// Of which ends its sender wants to hear.
    pub notify: Notify,
}

/// A mail that has come whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Header and body, lines ended by CR LF.
    pub content: Vec<u8>,
}

/// What the session's owner must decide or do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Somebody signs in. [`Session::answer`] it.
    Login {
        /// Who.
        user: String,
        /// What proves it.
        password: String,
    },
    /// A mail begins. Answer it.
    From(Sender),
    /// It has a recipient. Answer it.
    To(Recipient),
    /// It has come whole. Answer it: yes means that it is kept.
    Letter(Letter),
    /// What was written so far is to be sent, then TLS begins; call [`Session::encrypted`] behind it.
    StartTls,
    /// What was written so far is to be sent, then the connection closed.
    Close,
}

/// What is awaited next.
#[derive(Debug)]
enum Mode {
    Commands,
    /// The rest of a line that is too long is thrown away.
    Overlong,
    Exchange(Exchange),
    Data(Data),
    /// The owner owes an answer.
    Owed(Owed),
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    Login,
    From,
    To,
    Letter,
    Tls,
}

/// Octets of a command line. Its parameters may be long (RFC 3461 §4, 4954 §4), so this is more than RFC 5321 §4.5.3.1.4.
const LINE_OCTETS_MAX: usize = 4_096;
/// Octets of a response to a challenge (RFC 4954 §4).
const RESPONSE_OCTETS_MAX: usize = 12_288;

/// A session.
#[derive(Debug)]
pub struct Session {
    offers: Offers,
    pending: Vec<u8>,
    mode: Mode,
    greeted: bool,
    encrypted: bool,
    known: bool,
    /// A mail has begun; how many recipients it has.
    mail: Option<usize>,
    errors: u32,
}

impl Session {
    /// A session that has just begun; `encrypted` where TLS came first.
    pub fn new(offers: Offers, encrypted: bool) -> Self {
        Self {
            offers,
            pending: Vec::new(),
            mode: Mode::Commands,
            greeted: false,
            encrypted,
            known: false,
            mail: None,
            errors: 0,
        }
    }

    /// Writes the server's first line.
    pub fn greet(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("220 {} ESMTP\r\n", self.offers.host).as_bytes());
    }

    /// Takes octets from the client; none after the session's end. Give more only when [`Session::next`] has nothing left to
    /// ask: so little waits here.
    pub fn feed(&mut self, octets: &[u8]) {
        if !self.is_closed() {
            self.pending.extend_from_slice(octets);
        }
    }

    /// Whether the client is in the middle of a mail's content.
    pub fn is_in_data(&self) -> bool {
        matches!(self.mode, Mode::Data(_))
    }

    /// Goes on until the owner is asked something; nothing when more octets are needed. Replies are written to `out`.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Option<Asked> {
        loop {
            if let Mode::Owed(_) | Mode::Closed = self.mode {
                return None;
            }
            if let Mode::Data(data) = &mut self.mode {
                let end = data.take(&self.pending);
                let taken = end.unwrap_or(self.pending.len());
                self.pending.drain(..taken);
                end?;
                if let Some(asked) = self.letter(out) {
                    return Some(asked);
                }
                continue;
            }
            let line = self.line(out)?;
            if let Some(asked) = self.take(&line, out) {
                return Some(asked);
            }
        }
    }

    /// Cuts a line off, with its end.
    fn line(&mut self, out: &mut Vec<u8>) -> Option<Vec<u8>> {
        loop {
            let max =
                if matches!(self.mode, Mode::Exchange(_)) { RESPONSE_OCTETS_MAX } else { LINE_OCTETS_MAX };
            let end = self.pending.iter().position(|octet| *octet == b'\n').map(|at| at + 1);
            if let Mode::Overlong = self.mode {
                let Some(end) = end else {
                    self.pending.clear();
                    return None;
                };
                self.pending.drain(..end);
                self.mode = Mode::Commands;
                self.complain(&Reply::new(Code::UNREADABLE, "The line is too long"), out);
                if let Mode::Closed = self.mode {
                    return None;
                }
                continue;
            }
            match end {
                Some(end) if end <= max => return Some(self.pending.drain(..end).collect()),
                None if self.pending.len() <= max => return None,
                _ => self.mode = Mode::Overlong,
            }
        }
    }

    fn take(&mut self, line: &[u8], out: &mut Vec<u8>) -> Option<Asked> {
        if let Mode::Exchange(_) = self.mode {
            let Mode::Exchange(exchange) = std::mem::replace(&mut self.mode, Mode::Commands) else {
                return None;
            };
            let text = String::from_utf8_lossy(line);
            let text = text.trim_end_matches(['\r', '\n']);
            if text == "*" {
                self.complain(&Reply::new(Code(501, "5.7.0"), "The sign-in was given up"), out);
                return self.closing();
            }
            return self.step(exchange.respond(text), out);
        }
        let request = Request::parse(&mut line.iter());
        let asked = match request {
            Ok(request) => self.request(request.into_owned(), out),
            Err(error) => {
                self.unreadable(&error, out);
                None
            }
        };
        asked.or_else(|| self.closing())
    }

    /// Too many errors have ended the session.
    fn closing(&self) -> Option<Asked> {
        matches!(self.mode, Mode::Closed).then_some(Asked::Close)
    }

    fn unreadable(&mut self, error: &Error, out: &mut Vec<u8>) {
        let reply = match error {
            Error::UnknownCommand | Error::NeedsMoreData { .. } => {
                Reply::new(Code::UNREADABLE, "The command is not known")
            }
            Error::InvalidSenderAddress => {
                Reply::new(Code(501, "5.1.7"), "The sender's address cannot be read")
            }
            Error::InvalidRecipientAddress => {
                Reply::new(Code(501, "5.1.3"), "The recipient's address cannot be read")
            }
            Error::SyntaxError { syntax } => Reply::new(Code::BAD_ARGUMENT, format!("Write: {syntax}")),
            Error::UnsupportedParameter { param } => {
                Reply::new(Code::BAD_PARAMETER, format!("The parameter {param} is not known"))
            }
            Error::InvalidParameter { param } => {
                Reply::new(Code::BAD_ARGUMENT, format!("The parameter {param} cannot be read"))
            }
            Error::ResponseTooLong | Error::InvalidResponse { .. } => {
                Reply::new(Code::UNREADABLE, "The command cannot be read")
            }
        };
        self.complain(&reply, out);
    }

    /// Says that a command is wrong; a client that says nothing right is sent away.
    fn complain(&mut self, reply: &Reply, out: &mut Vec<u8>) {
        self.errors += 1;
        if self.errors > self.offers.errors_max {
            Reply::new(Code(421, "4.7.0"), "Too many errors; closing").write(out);
            self.mode = Mode::Closed;
        } else {
            reply.write(out);
        }
    }

    fn request(&mut self, request: Request<String>, out: &mut Vec<u8>) -> Option<Asked> {
        match request {
            Request::Ehlo { .. } => {
                self.begin();
                ehlo::write(&self.offers, self.encrypted, self.known, out);
            }
            Request::Helo { .. } => {
                self.begin();
                out.extend_from_slice(format!("250 {}\r\n", self.offers.host).as_bytes());
            }
            Request::Noop { .. } => Reply::new(Code::OK, "Fine").write(out),
            Request::Rset => {
                self.mail = None;
                Reply::new(Code::OK, "Forgotten").write(out);
            }
            Request::Quit => {
                Reply::new(Code(221, "2.0.0"), "Good bye").write(out);
                self.mode = Mode::Closed;
                return Some(Asked::Close);
            }
            Request::Vrfy { .. } => {
                Reply::new(Code(252, "2.5.2"), "Whether it can be reached is told at RCPT").write(out);
            }
            Request::Help { .. } => {
                let text = "A mail to NUMBER@DOMAIN is sent to the phone of that number";
                Reply::new(Code(214, "2.0.0"), text).write(out);
            }
            Request::StartTls => return self.start_tls(out),
            Request::Auth { mechanism, initial_response } => {
                return self.authenticate(mechanism, &initial_response, out);
            }
            Request::Mail { from } => return self.mail(from, out),
            Request::Rcpt { to } => return self.rcpt(to, out),
            Request::Data => self.data(out),
            Request::Lhlo { .. }
            | Request::Bdat { .. }
            | Request::Expn { .. }
            | Request::Etrn { .. }
            | Request::Atrn { .. }
            | Request::Burl { .. } => {
                self.complain(&Reply::new(Code::NOT_HERE, "The command is not spoken here"), out);
            }
        }
        None
    }

    fn begin(&mut self) {
        self.greeted = true;
        self.mail = None;
    }

    fn start_tls(&mut self, out: &mut Vec<u8>) -> Option<Asked> {
        if !self.offers.starttls || self.encrypted {
            self.complain(&Reply::new(Code::WRONG_ORDER, "TLS cannot begin here"), out);
            return None;
        }
        // What was sent before the handshake may be somebody else's (RFC 3207 §4.2).
        if !self.pending.is_empty() {
            Reply::new(Code(554, "5.7.0"), "Nothing may follow STARTTLS before TLS; closing").write(out);
            self.mode = Mode::Closed;
            return Some(Asked::Close);
        }
        Reply::new(Code(220, "2.0.0"), "Begin").write(out);
        self.mode = Mode::Owed(Owed::Tls);
        Some(Asked::StartTls)
    }

    /// TLS has begun: the client says everything anew.
    pub fn encrypted(&mut self) {
        self.encrypted = true;
        self.greeted = false;
        self.mail = None;
        self.mode = Mode::Commands;
    }

    fn authenticate(&mut self, mechanism: u64, initial: &str, out: &mut Vec<u8>) -> Option<Asked> {
        if !self.greeted || self.known || self.mail.is_some() {
            self.complain(&Reply::new(Code::WRONG_ORDER, "Nobody can sign in at this moment"), out);
            return None;
        }
        if !self.encrypted && !self.offers.plain_auth {
            self.complain(&Reply::new(Code(538, "5.7.11"), "A password is taken over TLS only"), out);
            return None;
        }
        let exchange = match mechanism {
            AUTH_PLAIN => Exchange::Plain,
            AUTH_LOGIN => Exchange::LoginUser,
            _ => {
                self.complain(&Reply::new(Code(504, "5.5.4"), "Sign in by PLAIN or LOGIN"), out);
                return None;
            }
        };
        if initial.is_empty() {
            let challenge = if mechanism == AUTH_LOGIN { auth::ASK_USER } else { "" };
            return self.step(Step::Challenge(exchange, challenge), out);
        }
        self.step(exchange.respond(initial), out)
    }

    fn step(&mut self, step: Step, out: &mut Vec<u8>) -> Option<Asked> {
        match step {
            Step::Challenge(exchange, challenge) => {
                out.extend_from_slice(format!("334 {challenge}\r\n").as_bytes());
                self.mode = Mode::Exchange(exchange);
                None
            }
            Step::Done { user, password } => {
                self.mode = Mode::Owed(Owed::Login);
                Some(Asked::Login { user, password })
            }
            Step::Unreadable => {
                self.complain(&Reply::new(Code(501, "5.5.2"), "The response cannot be read"), out);
                self.closing()
            }
        }
    }

    fn mail(&mut self, from: MailFrom<String>, out: &mut Vec<u8>) -> Option<Asked> {
        if !self.greeted || self.mail.is_some() {
            let why = if self.greeted { "A mail has begun already" } else { "Say EHLO first" };
            self.complain(&Reply::new(Code::WRONG_ORDER, why), out);
            return None;
        }
        let spoken = MAIL_BODY_7BIT | MAIL_BODY_8BITMIME | MAIL_SMTPUTF8;
        let spoken = if self.offers.dsn { spoken | MAIL_RET_FULL | MAIL_RET_HDRS } else { spoken };
        let strange = from.flags & !spoken != 0
            || (from.env_id.is_some() && !self.offers.dsn)
            || from.trans_id.is_some()
            || from.solicit.is_some()
            || from.mtrk.is_some();
        if strange || from.by != 0 || from.hold_for != 0 || from.hold_until != 0 || from.mt_priority != 0 {
            self.complain(&Reply::new(Code::BAD_PARAMETER, "A parameter of MAIL is not spoken here"), out);
            return None;
        }
        if from.size > self.offers.mail_bytes_max {
            let text = format!("A mail has at most {} octets", self.offers.mail_bytes_max);
            Reply::new(Code(552, "5.3.4"), text).write(out);
            return None;
        }
        self.mode = Mode::Owed(Owed::From);
        Some(Asked::From(Sender { address: from.address, envelope_id: from.env_id }))
    }

    fn rcpt(&mut self, to: RcptTo<String>, out: &mut Vec<u8>) -> Option<Asked> {
        let Some(recipients) = self.mail else {
            self.complain(&Reply::new(Code::WRONG_ORDER, "Say MAIL first"), out);
            return None;
        };
        let wishes = RCPT_NOTIFY_SUCCESS | RCPT_NOTIFY_FAILURE | RCPT_NOTIFY_DELAY | RCPT_NOTIFY_NEVER;
        let spoken = if self.offers.dsn { wishes } else { 0 };
        if to.flags & !spoken != 0 || to.rrvs != 0 || (to.orcpt.is_some() && !self.offers.dsn) {
            self.complain(&Reply::new(Code::BAD_PARAMETER, "A parameter of RCPT is not spoken here"), out);
            return None;
        }
        if recipients >= self.offers.recipients_max {
            let text = format!("A mail has at most {} recipients", self.offers.recipients_max);
            Reply::new(Code(452, "4.5.3"), text).write(out);
            return None;
        }
        let has = |flag: u64| to.flags & flag != 0;
        let notify = Notify {
            success: has(RCPT_NOTIFY_SUCCESS),
            failure: has(RCPT_NOTIFY_FAILURE),
            chosen: to.flags & wishes != 0,
        };
        self.mode = Mode::Owed(Owed::To);
        Some(Asked::To(Recipient { address: to.address, original: to.orcpt, notify }))
    }

    fn data(&mut self, out: &mut Vec<u8>) {
        match self.mail {
            None => self.complain(&Reply::new(Code::WRONG_ORDER, "Say MAIL first"), out),
            Some(0) => self.complain(&Reply::new(Code(554, "5.5.1"), "No recipient was taken"), out),
            Some(_) => {
                out.extend_from_slice(b"354 Go on, and end it with a dot\r\n");
                self.mode = Mode::Data(Data::new(self.offers.mail_bytes_max));
            }
        }
    }

    fn letter(&mut self, out: &mut Vec<u8>) -> Option<Asked> {
        let Mode::Data(data) = std::mem::replace(&mut self.mode, Mode::Commands) else { return None };
        match data.content() {
            Some(content) => {
                self.mode = Mode::Owed(Owed::Letter);
                Some(Asked::Letter(Letter { content }))
            }
            None => {
                self.mail = None;
                let text = format!("A mail has at most {} octets", self.offers.mail_bytes_max);
                Reply::new(Code(552, "5.3.4"), text).write(out);
                None
            }
        }
    }

    /// The owner's answer to what was asked last; the session goes on by its code.
    pub fn answer(&mut self, reply: &Reply, out: &mut Vec<u8>) {
        let Mode::Owed(owed) = self.mode else { return };
        self.mode = Mode::Commands;
        let yes = reply.code.is_yes();
        match owed {
            Owed::Login => self.known = yes,
            Owed::From => self.mail = yes.then_some(0),
            Owed::To if yes => self.mail = self.mail.map(|recipients| recipients + 1),
            Owed::Letter => self.mail = None,
            Owed::To | Owed::Tls => {}
        }
        reply.write(out);
        if reply.code.0 == 421 {
            self.mode = Mode::Closed;
        }
    }

    /// As [`Session::answer`] where the refusal counts as an error of the client's; gives what follows.
    pub fn blame(&mut self, reply: &Reply, out: &mut Vec<u8>) -> Option<Asked> {
        let Mode::Owed(_) = self.mode else { return None };
        self.mode = Mode::Commands;
        self.complain(reply, out);
        self.closing()
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.mode, Mode::Closed)
    }
}

/// Whether the library's parser takes the text for one address in angle brackets; used where an address comes in a setting.
pub fn is_address(text: &str) -> bool {
    let octets = format!("{text}>");
    let mut octets = octets.as_bytes().iter();
    let parsed = Rfc5321Parser::new(&mut octets).address();
    // An empty domain passes there.
    matches!(parsed, Ok(Some(address)) if address == text && !text.is_empty() && !text.ends_with('@'))
}

#[cfg(test)]
mod tests;
