//! Mails become messages: all of a mail's recipients or none, once however often the mail comes.

use std::collections::HashSet;
use std::net::IpAddr;

use db::{Arg, args, record, sql};
use futures::future::join_all;
use runtime::scope::Keyed;
use sha2::{Digest as _, Sha256};
use smpp::{AddressRef, DataCoding, SmRef};
use sms::analysis;
use types::{Address, Code, Error, MessageId, Result, TenantId};

use super::address::ReplyTo;
use super::notice::MailReturn;
use super::text::{self, Mail};
use super::{GatewaySettings, ReceiptsTold, TooLong};
use crate::engine::Engine;
use crate::gate::Counted;
use crate::intent::Intent;
use crate::journal::{Accept, Entry, NewMessage, hex};
use crate::message::sm::{Reported, Sender};
use crate::message::submit::{By, SendMessage};

/// Somebody who may send mail for phones.
#[derive(Debug, Clone)]
pub(crate) struct From {
    /// The account that the messages are of.
    pub(crate) sender: Sender,
    /// How its mails are read.
    pub(crate) settings: GatewaySettings,
    /// The mail's return path; empty for a notification.
    pub(crate) address: String,
    /// ENVID.
    pub(crate) envelope_id: Option<String>,
}

/// A phone that a mail goes to.
#[derive(Debug, Clone)]
pub(crate) struct To {
    /// The phone.
    pub(crate) phone: Address,
    /// As the mail was addressed, and what its sender wants to hear.
    pub(crate) recipient: smtp::Recipient,
}

/// What is kept for a mail that has become a message.
const KEPT: u16 = 250;

/// The name of a mail for one recipient: the same for each of its copies. A mail without a Message-ID is known by all of it.
fn key(what: &str, mail: &Mail, content: &[u8], recipient: &str) -> String {
    let mut digest = Sha256::new();
    match &mail.message_id {
        Some(id) => digest.update(id.as_bytes()),
        None => digest.update(content),
    }
    digest.update([0]);
    digest.update(recipient.as_bytes());
    format!("mail {what} {}", hex(&digest.finalize()[..20]))
}

record! { struct Known { key: String } }

/// Which of these keys have become messages before.
async fn known(engine: &Engine, tenant: TenantId, keys: &[String]) -> Result<HashSet<String>> {
    let rows: Vec<_> = keys.iter().map(|key| serde_json::json!({ "key": key })).collect();
    let mut tx = engine.runtime().db.read(db::Tenancy::Tenant(tenant)).await?;
    let known: Vec<Known> = tx
        .all(
            sql!(
                "select key from idempotency where tenant_id = $1 \
                 and key in (select r.value ->> 'key' from json_rows($2) r)"
            ),
            args![tenant, Arg::json(&rows)?],
        )
        .await?;
    Ok(known.into_iter().map(|known| known.key).collect())
}

/// Refuses what a machine has sent by itself: two of them would talk to each other for ever, on somebody's bill.
pub(crate) fn refuse_machines(address: &str, mail: &Mail) -> Result<()> {
    if address.is_empty() {
        return Err(Error::new(Code::MailLoop, "a notification (a mail from nobody) is not sent to a phone"));
    }
    match &mail.automatic {
        Some(mark) => {
            let why = format!("the mail says that a machine sent it by itself ({mark})");
            Err(Error::new(Code::MailLoop, why))
        }
        None => Ok(()),
    }
}

/// The text of a mail's messages, as long as it may be.
fn text_of(engine: &Engine, settings: &GatewaySettings, mail: &Mail) -> Result<String> {
    let text = text::of_mail(mail, settings);
    if text.is_empty() {
        return Err(Error::new(Code::EmptyText, "the mail has no text to send"));
    }
    let allowed = engine.runtime().config.messaging.parts_max;
    let parts_max = settings.parts_max.map_or(allowed, |own| u32::from(own).min(allowed));
    let parts = sms::count(&text, &analysis::Options::default()).parts;
    if u32::try_from(parts).is_ok_and(|parts| parts <= parts_max) {
        return Ok(text);
    }
    match settings.too_long {
        TooLong::Shorten => Ok(text::shortened(&text, parts_max)),
        TooLong::Refuse => {
            let why = format!("the text needs {parts} parts, and {parts_max} are allowed");
            Err(Error::new(Code::TextTooLong, why))
        }
    }
}

/// What the mail's sender is told of a message's end; nothing where nothing can be told, or is wanted.
fn told(engine: &Engine, from: &From, to: &To, mail: &Mail) -> Option<MailReturn> {
    let asked = to.recipient.notify;
    let (success, failure) = match from.settings.receipts {
        ReceiptsTold::Never => (false, false),
        // NOTIFY=NEVER.
        _ if asked.chosen && !asked.success && !asked.failure => (false, false),
        ReceiptsTold::Always => (true, true),
        ReceiptsTold::Asked if asked.chosen => (asked.success, asked.failure),
        ReceiptsTold::Asked => (false, true),
    };
    let can = engine.runtime().config.mail.is_on() && !from.address.is_empty();
    (can && (success || failure)).then(|| MailReturn {
        to: from.address.clone(),
        recipient: to.recipient.address.clone(),
        original: to.recipient.original.clone(),
        envelope_id: from.envelope_id.clone(),
        message_id: mail.message_id.clone(),
        subject: mail.subject.chars().take(SUBJECT_CHARS_KEPT).collect(),
        success,
        failure,
    })
}

/// Characters of a subject that are kept for notifications.
const SUBJECT_CHARS_KEPT: usize = 200;

/// A message that may be accepted.
struct Ready {
    new: NewMessage,
    counted: Counted,
    key: String,
}

impl Engine {
    /// Gives back what was taken for messages that are not accepted after all.
    fn forget(&self, ready: Vec<Ready>) {
        for one in ready {
            self.queue().release(one.new.message.id);
            self.gates().take_back(&one.counted);
        }
    }

    /// Accepts a mail for phones: when this returns, a message for each of them is durable, and none twice. `may_send` is
    /// asked for leave for so many parts.
    ///
    /// # Errors
    /// Why the mail is not taken; none of its messages is accepted then, but for what became durable before something broke,
    /// which the mail's repetition finds.
    pub(crate) async fn accept_mail(
        &self,
        from: &From,
        to: &[To],
        content: &[u8],
        may_send: impl FnOnce(u32) -> bool,
    ) -> Result<Vec<MessageId>> {
        let mail = text::read(content)?;
        refuse_machines(&from.address, &mail)?;
        let tenant = from.sender.tenant;
        let account = from.sender.account.bare();
        let keys: Vec<String> = to.iter().map(|to| key(&account, &mail, content, &to.phone.text)).collect();
        let known = known(self, tenant, &keys).await?;
        let mut seen = HashSet::new();
        let wanted: Vec<(&To, String)> =
            to.iter().zip(keys).filter(|(_, key)| !known.contains(key) && seen.insert(key.clone())).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let text = text_of(self, &from.settings, &mail)?;
        let phones = wanted.iter().map(|(to, _)| to.phone.text.as_str());
        self.lookups().before_routing(tenant, phones).await;
        let parts = sms::count(&text, &analysis::Options::default()).parts.saturating_mul(wanted.len());
        if !may_send(u32::try_from(parts).unwrap_or(u32::MAX)) {
            return Err(Error::new(Code::TooManyRequests, "the account is above its rate"));
        }
        let mut ready = Vec::with_capacity(wanted.len());
        for (to, key) in wanted {
            match self.ready(from, to, &text, &mail) {
                Ok((new, counted)) => ready.push(Ready { new, counted, key }),
                Err(error) => {
                    self.forget(ready);
                    let why = format!("{}: {}", to.phone, error.message());
                    return Err(Error::new(error.code(), why));
                }
            }
        }
        self.accept_ready(ready).await
    }

    fn ready(&self, from: &From, to: &To, text: &str, mail: &Mail) -> Result<(NewMessage, Counted)> {
        let count = sms::count(text, &analysis::Options::default());
        let body = count.encoding.encode_lossy(text);
        let own = from.settings.sender_for(&from.address);
        let source = own.map(Address::sender).transpose()?;
        let address = |address: &Address| (smpp::Ton(address.ton.0), smpp::Npi(address.npi.0));
        let sm = SmRef {
            source: source.as_ref().map_or_else(AddressRef::default, |source| AddressRef {
                ton: address(source).0,
                npi: address(source).1,
                addr: source.text.as_bytes(),
            }),
            destination: AddressRef {
                ton: address(&to.phone).0,
                npi: address(&to.phone).1,
                addr: to.phone.text.as_bytes(),
            },
            data_coding: DataCoding(count.encoding.data_coding()),
            short_message: &body,
            ..SmRef::default()
        };
        let prepared =
            self.prepare_sm(&from.sender, &sm, Reported { dlr: None, mail: told(self, from, to, mail) })?;
        Ok((prepared.new, prepared.counted))
    }

    /// Leaves messages at the journal, each under its own key, and waits for all.
    async fn accept_ready(&self, ready: Vec<Ready>) -> Result<Vec<MessageId>> {
        let mut waiting = Vec::with_capacity(ready.len());
        let mut ids = Vec::with_capacity(ready.len());
        let mut ready = ready.into_iter();
        while let Some(one) = ready.next() {
            let id = one.new.message.id;
            let keyed = Keyed { key: one.key, request_hash: String::new(), status: KEPT };
            let answer = Some((keyed, id.to_string()));
            let accept = Accept { messages: vec![one.new], answer, ..Accept::default() };
            match self.journal().enqueue(Entry::Accept(Box::new(accept))) {
                Ok(committed) => waiting.push((id, one.counted, committed)),
                Err(error) => {
                    self.queue().release(id);
                    self.gates().take_back(&one.counted);
                    self.forget(ready.collect());
                    self.settle(waiting, &mut ids).await?;
                    return Err(error);
                }
            }
        }
        self.settle(waiting, &mut ids).await?;
        Ok(ids)
    }

    /// Waits for commits. Whoever came with the same mail at the same time has made the message.
    async fn settle(
        &self,
        waiting: Vec<(MessageId, Counted, tokio::sync::oneshot::Receiver<Result<()>>)>,
        ids: &mut Vec<MessageId>,
    ) -> Result<()> {
        let mut failed = None;
        let (names, commits): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|(id, counted, committed)| ((id, counted), committed)).unzip();
        for ((id, counted), committed) in names.into_iter().zip(join_all(commits).await) {
            let error = match committed {
                Ok(Ok(())) => {
                    ids.push(id);
                    continue;
                }
                Ok(Err(error)) => error,
                Err(_) => Error::new(Code::ShuttingDown, "the server is stopping"),
            };
            self.gates().take_back(&counted);
            if error.code() != Code::KeyInProgress {
                self.queue().release(id);
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Sends the answer to a mail about a message from a phone: from the number that the phone wrote to, back to it. When
    /// this returns it is durable, and none is sent twice.
    ///
    /// # Errors
    /// [`Code::NotFound`] where it cannot be answered any more; why the answer is not taken.
    pub(crate) async fn accept_reply(
        &self,
        reply: ReplyTo,
        (address, from): (&str, IpAddr),
        content: &[u8],
    ) -> Result<()> {
        let mail = text::read(content)?;
        refuse_machines(address, &mail)?;
        let received = self.answerable(reply).await?;
        let key = key(&format!("reply {}", reply.message.bare()), &mail, content, &received.sender);
        if known(self, reply.tenant, std::slice::from_ref(&key)).await?.contains(&key) {
            return Ok(());
        }
        let text = text_of(self, &GatewaySettings::default(), &mail)?;
        let message = SendMessage {
            to: crate::inbound::shown_number(&received.sender),
            from: Some(crate::inbound::shown_number(&received.recipient)),
            text: Some(text),
            intent: Some(Intent::Transactional),
            ..SendMessage::default()
        };
        let by = By { tenant: reply.tenant, owner: None, key: None, from: Some(from), test: false };
        let (new, _, counted) = crate::message::submit::prepare(&by, self, &message)?;
        self.accept_ready(vec![Ready { new, counted, key }]).await.map(drop)
    }

    /// The message from a phone that an address is the answer to.
    pub(crate) async fn answerable(&self, reply: ReplyTo) -> Result<Received> {
        if reply.until < self.runtime().clock.now() {
            return Err(Error::new(Code::NotFound, "it is too late to answer this message"));
        }
        let mut tx = self.runtime().db.read(db::Tenancy::Tenant(reply.tenant)).await?;
        let found: Option<Received> = tx
            .optional(
                sql!("select sender, recipient from message where tenant_id = $1 and id = $2 and direction = 'in'"),
                args![reply.tenant, reply.message],
            )
            .await?;
        found.ok_or_else(|| Error::new(Code::NotFound, "the message that this would answer is gone"))
    }
}

record! {
    /// A message from a phone: who wrote to which number.
    pub(crate) struct Received {
        /// The phone.
        pub(crate) sender: String,
        /// The number.
        pub(crate) recipient: String,
    }
}
