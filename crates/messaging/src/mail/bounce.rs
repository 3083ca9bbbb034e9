//! Notifications about mails that carried messages (RFC 3464): what became of them, in their return path.

use mail_parser::{MessageParser, MimeHeaders};
use runtime::Runtime;
use types::{ConnectionId, Result};

use crate::connection::{self, ReceiptIds};
use crate::engine::Engine;
use crate::journal::{CarrierReceipt, Entry};

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Delivered, or given up.
    pub state: sms::MessageState,
    /// Why, in the numbers of RFC 3463.
    pub error: Option<String>,
}

/// Fields that are looked at, so that a notification cannot be endless.
const LINES_MAX: usize = 1_000;

/// Reads a notification; nothing for any other mail, and for one that says nothing final.
pub fn read(content: &[u8]) -> Option<Told> {
    let mail = MessageParser::default().parse(content)?;
    let status = mail.parts.iter().find(|part| {
        part.content_type().is_some_and(|kind| {
            kind.ctype().eq_ignore_ascii_case("message")
                && kind.subtype().is_some_and(|sub| {
                    sub.eq_ignore_ascii_case("delivery-status")
                        || sub.eq_ignore_ascii_case("global-delivery-status")
                })
        })
    })?;
    fields(&String::from_utf8_lossy(status.contents()))
}

/// The fields of the recipient: there is one, because each mail has one.
fn fields(text: &str) -> Option<Told> {
    let (mut action, mut status) = (String::new(), None);
    for line in text.lines().take(LINES_MAX) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.split('(').next().unwrap_or_default().trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "action" => action = value.to_ascii_lowercase(),
            "status" => status = Some(value.chars().take(20).collect::<String>()),
            _ => {}
        }
    }
    let error = || status.clone().map(|status| format!("SMTP {status}"));
    match action.as_str() {
        // Handed on to where nothing more will be heard of it (RFC 3464 §2.3.3).
        "delivered" | "relayed" | "expanded" => {
            Some(Told { state: sms::MessageState::Delivered, error: None })
        }
        "failed" => Some(Told { state: sms::MessageState::Undeliverable, error: error() }),
        _ => None,
    }
}

/// Takes a mail that came to the return path of a message: a notification is the message's receipt, and durable when this
/// returns. Any other mail, such as a holiday notice, is nothing to us.
///
/// # Errors
/// When it cannot be made durable.
pub(crate) async fn take(
    engine: &Engine,
    connection: ConnectionId,
    provider_id: &str,
    content: &[u8],
) -> Result<()> {
    let Some(told) = read(content) else { return Ok(()) };
    let Some(tenant) = tenant_of(engine.runtime(), connection).await? else { return Ok(()) };
    let receipt = CarrierReceipt {
        tenant,
        connection,
        // Its name is found; the addresses are for those that have none.
        phone: String::new(),
        sender: String::new(),
        provider_id: provider_id.to_owned(),
        state: told.state.number(),
        error: told.error,
        ids: ReceiptIds::Same,
        retry_s: Vec::new(),
        blocks: false,
        asked: None,
        raw: None,
        ack: None,
    };
    engine.journal().write(Entry::Receipt(Box::new(receipt), None)).await
}

async fn tenant_of(runtime: &Runtime, id: ConnectionId) -> Result<Option<types::TenantId>> {
    Ok(connection::load(runtime, id).await?.map(|connection| connection.tenant))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(fields: &str) -> Vec<u8> {
        format!(
            "From: <mailer@x.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; \
             boundary=q\r\n\r\n--q\r\n\r\nwords\r\n--q\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; \
             x.example\r\n\r\nFinal-Recipient: rfc822; a@x.example\r\n{fields}\r\n--q--\r\n"
        )
        .into_bytes()
    }

    #[test]
    fn notifications_say_what_became_of_a_mail() {
        let read = |fields: &str| read(&notification(fields));
        let failed = Told { state: sms::MessageState::Undeliverable, error: Some("SMTP 5.1.1".to_owned()) };
        assert_eq!(read("Action: failed\r\nStatus: 5.1.1 (nobody)\r\n"), Some(failed));
        let delivered = Told { state: sms::MessageState::Delivered, error: None };
        assert_eq!(read("Action: Relayed\r\nStatus: 2.0.0\r\n"), Some(delivered));
        assert_eq!(read("Action: delayed\r\nStatus: 4.4.1\r\n"), None);
        assert_eq!(read(""), None);
        assert_eq!(super::read(b"Subject: away\r\n\r\nAction: failed\r\n"), None, "no notification");
        assert_eq!(super::read(b""), None);
    }
}
