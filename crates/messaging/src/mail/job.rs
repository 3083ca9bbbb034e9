//! Messages from phones, sent on as mail that can be answered.

use std::sync::Arc;

use connectors::mail::{Letter, filled};
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use runtime::job::{Handler, Outcome};
use runtime::mail::{self, Envelope, begun, mailbox, mark, one_line};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::{Code, Error, MessageId, Result, Timestamp};

use super::address::ReplyTo;
use super::outgoing;
use crate::settings;

/// The kind of these jobs.
pub const KIND: &str = "messaging.received_mail";

/// A message from a phone to be sent on. One job for each address, so that one that does not work holds up no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Received {
    /// Where it goes.
    pub(crate) mail_to: String,
    /// What its subject is made of; empty for the usual.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) subject: String,
    pub(crate) id: MessageId,
    /// The phone.
    pub(crate) from: String,
    /// The number that it wrote to.
    pub(crate) to: String,
    /// What it wrote; its octets in hex where it is no text.
    pub(crate) text: String,
    pub(crate) received_at: Timestamp,
}

/// The subject where a rule names none.
pub const SUBJECT: &str = "Message from {from}";
/// Characters of a subject.
const SUBJECT_CHARS_MAX: usize = 200;

/// Addresses that one action names.
const ADDRESSES_MAX: usize = 20;

/// Refuses what cannot be sent to, or at all.
///
/// # Errors
/// [`Code::InvalidAddress`], [`Code::InvalidValue`] at the field.
pub(crate) fn check(runtime: &Runtime, field: &str, to: &[String], subject: Option<&str>) -> Result<()> {
    if !runtime.config.mail.is_on() {
        let hint = "name a server in the section mail of the configuration, then set this again";
        let why = "no mail can be sent: no mail server is configured";
        return Err(Error::invalid(field, why).hint(hint));
    }
    if to.is_empty() {
        return Err(Error::new(Code::InvalidAddress, "say where the mail goes").at(field));
    }
    settings::at_most(field, to, ADDRESSES_MAX)?;
    for address in to {
        outgoing::checked(field, address)?;
    }
    if subject.is_some_and(|subject| subject.chars().count() > SUBJECT_CHARS_MAX || subject.contains('\0')) {
        return Err(Error::invalid(field, format!("a subject has at most {SUBJECT_CHARS_MAX} characters")));
    }
    Ok(())
}

/// Sends messages from phones as mail.
pub fn handler() -> Handler {
    Arc::new(|scope, payload, _attempt| {
        Box::pin(async move {
            let received: Received = match serde_json::from_str(&payload) {
                Ok(received) => received,
                Err(error) => return Outcome::Dead(format!("the payload cannot be read: {error}")),
            };
            send(&scope, &received).await
        })
    })
}

async fn send(scope: &Scope, received: &Received) -> Outcome {
    let runtime = scope.runtime();
    let days = i64::from(runtime.config.smtp.reply_days);
    let until = received.received_at.plus_ms(days * 86_400_000);
    let reply = ReplyTo { tenant: scope.tenant(), message: received.id, until }.address(runtime);
    let content = match written(runtime, received, reply.as_deref()) {
        Ok(content) => content,
        Err(error) => return Outcome::Dead(error.message().to_owned()),
    };
    let from = runtime.config.mail.from.clone();
    let envelope = Envelope { from, to: vec![received.mail_to.clone()], notify: false };
    match mail::send(runtime, &envelope, &content).await {
        Ok(()) => Outcome::Done,
        Err(sent) => sent.outcome(),
    }
}

fn written(runtime: &Runtime, received: &Received, reply: Option<&str>) -> Result<Vec<u8>> {
    let letter = Letter { to: received.to.clone(), from: received.from.clone(), text: received.text.clone() };
    let template = if received.subject.is_empty() { SUBJECT } else { received.subject.as_str() };
    let subject = one_line(&filled(template, &letter), SUBJECT_CHARS_MAX);
    let mut builder = begun(runtime, &format!("{}.received", received.id.bare()), received.received_at)?
        .to(mailbox(&received.mail_to)?)
        .subject(subject);
    if let Some(reply) = reply {
        let address = mailbox(reply)?.email;
        builder = builder.reply_to(Mailbox::new(Some(received.from.clone()), address));
    }
    let mut body = format!(
        "{}\n\n-- \nFrom {} to {} at {}\n",
        received.text, received.from, received.to, received.received_at
    );
    if reply.is_some() {
        body += "Answer this mail, and your answer is sent to the phone.\n";
    }
    let mut message = builder.header(ContentType::TEXT_PLAIN).body(body).map_err(Error::internal)?;
    mark(&mut message, "auto-generated");
    Ok(message.formatted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_becomes_a_mail_with_an_address_to_answer_to() {
        let house = crate::tests::House::build_with(|config| {
            config.mail.from = "gateway@sms.example".to_owned();
            config.smtp.domain = "sms.example".to_owned();
            config.smtp.enabled = true;
        });
        let house = house.await;
        let received = Received {
            mail_to: "anna@example.com".to_owned(),
            subject: "{from}: {text}".to_owned(),
            id: MessageId::from_raw(7),
            from: "+33612345678".to_owned(),
            to: "+33700000000".to_owned(),
            text: "Où?\nX".to_owned(),
            received_at: Timestamp::from_unix_ms(1_000),
        };
        let reply = ReplyTo { tenant: house.ours.tenant(), message: received.id, until: house.ours.now() };
        let address = reply.address(&house.runtime).unwrap();
        let content = written(&house.runtime, &received, Some(&address)).unwrap();
        let mail = super::super::text::read(&content).unwrap();
        assert_eq!(mail.subject, "+33612345678: Où? X");
        assert!(mail.text.starts_with("Où?"), "{:?}", mail.text);
        assert!(mail.automatic.is_some());
        assert!(String::from_utf8(content).unwrap().contains(&address));
    }
}
