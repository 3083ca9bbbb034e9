//! A connection that hands messages over as mail: SMTP submission (RFC 6409) to an address that a template makes of the
//! recipient.
//!
//! - One mail for each message, whole: mail has no parts.
//! - 250 behind the content is the acceptance; 4xx is tried again, 5xx is not. Where the connection breaks behind the
//!   content its fate is unknown, and nothing of it is sent again by itself.
//! - A session is kept for a while after a mail and closed politely; the next mail opens a new one. The connection counts as
//!   up while the last attempt to reach the server went well.
//! - What became of a mail comes back to a return path that names it ([`ReturnPath`]), to our own SMTP server.

mod letter;
mod link;

pub use letter::{Letter, filled};
pub use link::Link;

use std::sync::Arc;

use runtime::Clock;
use runtime::mail::Server;
use runtime::signed::Signer;
use smpp::SmRef;

use crate::Classed;

/// What a receipt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipts {
    /// The server's 250: it is taken for delivered.
    Accepted,
    /// A notification, which the server is asked for (RFC 3461). One that does not offer them tells of failures alone.
    Notification,
}

/// Where the mail server's notifications come back to.
#[derive(Clone, Debug)]
pub struct ReturnPath {
    /// The domain that our SMTP server takes mail for.
    pub domain: String,
    /// Signs the path.
    pub signer: Signer,
    /// The connection that the message went through.
    pub connection: i64,
}

/// What marks a return path's local part; the signed word follows.
pub const RETURN_PREFIX: &str = "b.";

impl ReturnPath {
    /// The path of the mail of this name.
    fn of(&self, name: u64) -> String {
        let octets = [self.connection.to_be_bytes(), name.to_be_bytes()].concat();
        format!("{RETURN_PREFIX}{}@{}", self.signer.sign(&octets), self.domain)
    }

    /// The connection, and the name that the carrier's answer gave the message, of a return path's word; nothing for one that
    /// is not ours.
    pub fn read(signer: &Signer, word: &str) -> Option<(i64, String)> {
        let octets = signer.read(word)?;
        let (connection, name) = octets.split_at_checked(8)?;
        let (connection, name) = (connection.try_into().ok()?, name.try_into().ok()?);
        Some((i64::from_be_bytes(connection), shown(u64::from_be_bytes(name))))
    }
}

/// A mail's name as messages keep it.
fn shown(name: u64) -> String {
    format!("{name:016x}")
}

/// One connection to a mail server. Zero counts as one where zero would make no sense.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The connection's name, for logs.
    pub name: String,
    /// The server.
    pub server: Server,
    /// Sessions at once.
    pub sessions: u16,
    /// Messages that wait for each of them.
    pub window: u16,
    /// Messages per second over all sessions together, 0 for no limit of ours.
    pub throughput: u32,
    /// Silence after which a session is closed.
    pub idle_ms: u64,
    /// First pause before the server is tried again.
    pub reconnect_min_ms: u64,
    /// Longest pause before the server is tried again.
    pub reconnect_max_ms: u64,
    /// First pause after the server said that it takes no more now.
    pub throttle_min_ms: u64,
    /// Longest pause after that.
    pub throttle_max_ms: u64,
    /// What reply codes mean, where that is not what SMTP says.
    pub classes: Arc<[Classed]>,
    /// The address that mail comes from.
    pub from: String,
    /// What makes the recipient's address: `{to}` is the recipient's digits, `{from}` the sender.
    pub to: String,
    /// What makes the subject: `{to}`, `{from}`, `{text}`.
    pub subject: String,
    /// What makes the body.
    pub body: String,
    /// What a receipt is.
    pub receipts: Receipts,
    /// Where notifications come back to; `from` where there is none.
    pub return_path: Option<ReturnPath>,
}

/// A message as it goes over this connection.
///
/// # Errors
/// What no mail can hold, in words.
pub(crate) fn written(
    settings: &Settings,
    clock: &Clock,
    named: (&str, u8),
    sm: &SmRef<'_>,
) -> Result<Vec<u8>, String> {
    let letter = Letter::of(sm);
    letter.written(settings, &filled(&settings.to, &letter), &named_so(named), clock.now())
}

/// What stands before the `@` of a Message-ID: our name for the message, and the part's number.
fn named_so((message, part): (&str, u8)) -> String {
    format!("{message}.{part}")
}

#[cfg(test)]
mod tests {
    use runtime::secrets::Vault;

    use super::*;

    #[test]
    fn a_return_path_names_connection_and_mail() {
        let signer = Signer::new(&Vault::from_key([7; 32]), "receipts");
        let path = ReturnPath { domain: "sms.example".to_owned(), signer: signer.clone(), connection: 42 };
        let address = path.of(0xabc);
        let (local, domain) = address.split_once('@').unwrap();
        assert!(local.len() <= 64 && domain == "sms.example", "{address}");
        let word = local.strip_prefix(RETURN_PREFIX).unwrap();
        assert_eq!(ReturnPath::read(&signer, word), Some((42, "0000000000000abc".to_owned())));
        assert_eq!(ReturnPath::read(&signer, &signer.sign(b"short")), None);
        assert_eq!(ReturnPath::read(&signer, "abc"), None);
    }
}
