//! Telling a mail's sender what became of its messages: delivery status notifications (RFC 3464).

use std::sync::Arc;

use lettre::message::header::ContentType;
use lettre::message::{MultiPart, SinglePart};
use runtime::Runtime;
use runtime::job::{self, Handler, Outcome};
use runtime::mail::{self, Envelope, begun, mailbox, mark, one_line};
use serde::{Deserialize, Serialize};
use types::{Error, MessageId, Result, Timestamp};

use crate::journal::{After, Batch, Ending};
use crate::message::State;

/// The kind of these jobs.
pub const KIND: &str = "messaging.mail_notice";

/// How the sender of a mail hears of its message's end; kept with the message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailReturn {
    /// The mail's return path.
    pub to: String,
    /// The address that it was sent to.
    pub recipient: String,
    /// The address that it was sent to at first: ORCPT (RFC 3461 §4.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// The sender's name of the mail: ENVID (RFC 3461 §4.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_id: Option<String>,
    /// The mail's Message-ID, without brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The mail's subject.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Whether success is told.
    pub success: bool,
    /// Whether failure is told.
    pub failure: bool,
}

impl MailReturn {
    /// Whether its sender hears of such an end.
    fn wants(&self, to: State) -> bool {
        if to == State::Delivered { self.success } else { self.failure }
    }
}

/// A notification to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Notice {
    back: MailReturn,
    id: MessageId,
    phone: String,
    state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    accepted_at: Timestamp,
    done_at: Timestamp,
}

/// Enqueues a message's end for the mail's sender, in the transaction that ends it.
pub(crate) async fn enqueue(batch: &mut Batch, ending: &Ending, back: &MailReturn) -> Result<()> {
    if !back.wants(ending.to) {
        return Ok(());
    }
    let notice = Notice {
        back: back.clone(),
        id: ending.message,
        phone: ending.recipient.to_string(),
        state: ending.to,
        error: ending.error.clone(),
        accepted_at: ending.accepted_at,
        done_at: batch.now,
    };
    let (runtime, now) = (batch.runtime.clone(), batch.now);
    job::enqueue(&mut batch.tx, &runtime, ending.tenant, KIND, &notice, now).await?;
    batch.after.push(After::JobsWaiting);
    Ok(())
}

/// Sends notifications.
pub fn handler() -> Handler {
    Arc::new(|scope, payload, _attempt| {
        Box::pin(async move {
            let notice: Notice = match serde_json::from_str(&payload) {
                Ok(notice) => notice,
                Err(error) => return Outcome::Dead(format!("the payload cannot be read: {error}")),
            };
            let content = match written(scope.runtime(), &notice) {
                Ok(content) => content,
                Err(error) => return Outcome::Dead(error.message().to_owned()),
            };
            // From nobody: nothing is ever answered to a notification (RFC 3461 §6.2).
            let envelope = Envelope { from: String::new(), to: vec![notice.back.to.clone()], notify: false };
            match mail::send(scope.runtime(), &envelope, &content).await {
                Ok(()) => Outcome::Done,
                Err(sent) => sent.outcome(),
            }
        })
    })
}

/// Action and status of an end (RFC 3464 §2.3.3, RFC 3463).
fn action(state: State) -> (&'static str, &'static str) {
    match state {
        State::Delivered => ("delivered", "2.0.0"),
        State::Expired => ("failed", "4.4.7"),
        State::Rejected => ("failed", "5.7.1"),
        State::Cancelled => ("failed", "5.7.0"),
        State::Failed
        | State::Scheduled
        | State::Queued
        | State::Sent
        | State::Indeterminate
        | State::Received => ("failed", "5.0.0"),
    }
}

/// A time as mail writes it (RFC 5322 §3.3).
fn date(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.unix_ms()).unwrap_or_default();
    jiff::fmt::rfc2822::to_string(&at.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default()
}

fn written(runtime: &Runtime, notice: &Notice) -> Result<Vec<u8>> {
    let back = &notice.back;
    let (action, status) = action(notice.state);
    let host = mail::hello(runtime);
    // The fields of a notification are ASCII.
    let line = |text: &str| one_line(text, 500).replace(|ch: char| !ch.is_ascii(), "?");
    let mut fields = format!("Reporting-MTA: dns; {host}\r\n");
    if let Some(id) = &back.envelope_id {
        fields += &format!("Original-Envelope-Id: {}\r\n", line(id));
    }
    fields += &format!("Arrival-Date: {}\r\n\r\n", date(notice.accepted_at));
    if let Some(original) = &back.original {
        fields += &format!("Original-Recipient: rfc822; {}\r\n", line(original));
    }
    fields += &format!(
        "Final-Recipient: rfc822; {}\r\nAction: {action}\r\nStatus: {status}\r\n",
        line(&back.recipient)
    );
    if let Some(error) = &notice.error {
        fields += &format!("Diagnostic-Code: x-sms; {}\r\n", line(error));
    }
    fields += &format!("Last-Attempt-Date: {}\r\n", date(notice.done_at));
    let mut words = match notice.state {
        State::Delivered => format!("Your message to {} was delivered.\n", notice.phone),
        _ => format!("Your message to {} was not delivered.\n", notice.phone),
    };
    if let Some(error) = &notice.error {
        words += &format!("Reason: {}\n", line(error));
    }
    words += &format!("\nState: {}\nMessage: {}\n", notice.state.as_str(), notice.id);
    let mut original = String::new();
    if let Some(id) = &back.message_id {
        original += &format!("Message-ID: <{}>\r\n", line(id));
    }
    let subject = one_line(&back.subject, 200);
    if subject.is_ascii() && !subject.is_empty() {
        original += &format!("Subject: {subject}\r\n");
    }
    original += &format!("To: <{}>\r\n", line(&back.recipient));
    let kind = |text: &str| ContentType::parse(text).map_err(Error::internal);
    // The boundary is made of what no text of ours holds.
    let boundary = format!("notice-{}", notice.id.bare());
    let report = kind(&format!("multipart/report; report-type=delivery-status; boundary={boundary}"))?;
    let parts = MultiPart::builder()
        .header(report)
        .build()
        .singlepart(SinglePart::plain(words))
        .singlepart(SinglePart::builder().header(kind("message/delivery-status")?).body(fields))
        .singlepart(SinglePart::builder().header(kind("text/rfc822-headers")?).body(original));
    let what = if notice.state == State::Delivered { "Delivered" } else { "Not delivered" };
    let mut builder = begun(runtime, &format!("notice.{}", notice.id.bare()), notice.done_at)?
        .to(mailbox(&back.to)?)
        .subject(format!("{what}: message to {}", notice.phone));
    if let Some(id) = &back.message_id {
        builder = builder.in_reply_to(format!("<{}>", line(id)));
    }
    let mut message = builder.multipart(parts).map_err(Error::internal)?;
    mark(&mut message, "auto-replied");
    Ok(message.formatted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_notification_is_one_that_we_read_ourselves() {
        let house = crate::tests::House::build_with(|config| {
            config.mail.from = "gateway@sms.example".to_owned();
            config.smtp.domain = "sms.example".to_owned();
        });
        let runtime = house.await.runtime;
        let mut notice = Notice {
            back: MailReturn {
                to: "anna@example.com".to_owned(),
                recipient: "+33612345678@sms.example".to_owned(),
                original: Some("anna@x.example".to_owned()),
                envelope_id: Some("e1\r\nAction: delivered".to_owned()),
                message_id: Some("m1@example.com".to_owned()),
                subject: "Table".to_owned(),
                success: true,
                failure: true,
            },
            id: MessageId::from_raw(1),
            phone: "+33612345678".to_owned(),
            state: State::Failed,
            error: Some("UNDELIV".to_owned()),
            accepted_at: Timestamp::from_unix_ms(1_000),
            done_at: Timestamp::from_unix_ms(2_000),
        };
        let content = written(&runtime, &notice).unwrap();
        let text = String::from_utf8(content.clone()).unwrap();
        let told = super::super::bounce::read(&content).unwrap();
        assert_eq!(
            (told.state, told.error.as_deref()),
            (sms::MessageState::Undeliverable, Some("SMTP 5.0.0")),
            "{text}"
        );
        for part in
            ["Auto-Submitted: auto-replied", "In-Reply-To: <m1@example.com>", "Final-Recipient: rfc822; +336"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        notice.state = State::Delivered;
        let told = super::super::bounce::read(&written(&runtime, &notice).unwrap()).unwrap();
        assert_eq!(told.state, sms::MessageState::Delivered);
    }
}
