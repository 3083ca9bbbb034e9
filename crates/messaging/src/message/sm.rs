//! What a customer's system may ask over SMPP: submit, query, cancel, replace.

use std::net::IpAddr;
use std::sync::Arc;

use db::{Tenancy, args, record, sql};
use smpp::{SmRef, SmppTime, Status, Tag};
use sms::Encoding;
use tokio::sync::oneshot;
use types::{AccountId, Address, Code, Error, MessageId, Npi, Result, TenantId, Timestamp, Ton};

use crate::Intent;
use crate::account::{AccountSettings, RECEIPTS_KEEP_S};
use crate::engine::Engine;
use crate::gate::{self, Counted};
use crate::journal::{Accept, Entry, NewMessage, hex};
use crate::mail::notice::MailReturn;
use crate::message::replace::{self, NewContent};
use crate::message::submit::Let;
use crate::message::{Options, Outgoing, PartSet, State};
use crate::recover::MessageRecord;
use crate::route::traffic::Traffic;
use crate::route::{Ask, Tlvs};
use crate::sendsms::dlr::Dlr;
use crate::smpp_server;

/// A bound system that asks.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its account.
    pub account: AccountId,
    /// Its limits and defaults.
    pub settings: Arc<AccountSettings>,
    /// The network address that it bound from, where it is known.
    pub from: Option<IpAddr>,
}

/// A message that is on its way to the journal.
pub struct Submitted {
    /// Its id; give it to nobody before it is committed.
    pub id: MessageId,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// The parts it counts for in rates.
    pub parts: u8,
    /// Whether it is durable.
    pub committed: oneshot::Receiver<Result<()>>,
    /// What the gates counted for it; to be taken back when it does not become durable.
    pub counted: Counted,
}

/// To whom a message's end is reported beside its account.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    /// Where reports go by GET.
    pub(crate) dlr: Option<Dlr>,
    /// The sender of the mail that it came in.
    pub(crate) mail: Option<MailReturn>,
}

/// A message that may be accepted.
pub(crate) struct Prepared {
    /// The message.
    pub(crate) new: NewMessage,
    /// What the gates counted for it; to be taken back when it does not become durable.
    pub(crate) counted: Counted,
    /// The phone and the sender, where its account wants to hear when the phone is reachable again.
    alert: Option<(String, Address)>,
}

/// The times of a replace_sm as they came; an empty one keeps what is (SMPP v3.4 §4.10.1).
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplacedTimes<'a> {
    /// schedule_delivery_time.
    pub schedule: &'a [u8],
    /// validity_period.
    pub validity: &'a [u8],
}

/// What is known of a message, as query_sm_resp says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it stands.
    pub state: sms::MessageState,
    /// When it came to its end.
    pub done_at: Option<Timestamp>,
    /// The network's error, 0 for none.
    pub error: u8,
}

impl Engine {
    /// Accepts a submit_sm. It may be answered when [`Submitted::committed`] says so, and not before.
    ///
    /// # Errors
    /// The status for its response; nothing was accepted then.
    pub fn submit_sm(&self, from: &Sender, sm: &SmRef<'_>) -> Result<Submitted, Status> {
        self.take_sm(from, sm).map_err(|error| smpp_server::status(error.code()))
    }

    /// As [`Engine::submit_sm`], for a protocol with refusals of its own.
    ///
    /// # Errors
    /// Why nothing was accepted.
    pub fn take_sm(&self, from: &Sender, sm: &SmRef<'_>) -> Result<Submitted> {
        self.take_sm_reported(from, sm, None)
    }

    /// As [`Engine::take_sm`], for a message whose reports go to an address of its own.
    ///
    /// # Errors
    /// Why nothing was accepted.
    pub(crate) fn take_sm_reported(
        &self,
        from: &Sender,
        sm: &SmRef<'_>,
        dlr: Option<Dlr>,
    ) -> Result<Submitted> {
        self.accept_sm(from, sm, dlr).inspect_err(|error| {
            metrics::counter!("switchboard_submit_refused_total", "code" => error.code().as_str())
                .increment(1);
        })
    }

    fn accept_sm(&self, from: &Sender, sm: &SmRef<'_>, dlr: Option<Dlr>) -> Result<Submitted> {
        let Prepared { new, counted, alert } = self.prepare_sm(from, sm, Reported { dlr, mail: None })?;
        let (id, accepted_at, parts) = (new.message.id, new.message.accepted_at, new.message.parts);
        let accept = Accept { messages: vec![new], ..Accept::default() };
        let committed = self.journal().enqueue(Entry::Accept(Box::new(accept)));
        if let Some((phone, sender)) = alert {
            self.awaited().note(from.tenant, &phone, from.account, sender);
        }
        let committed = committed.inspect_err(|_| {
            self.queue().release(id);
            self.gates().take_back(&counted);
        })?;
        Ok(Submitted { id, accepted_at, parts, committed, counted })
    }

    /// Reads, checks and routes a message of an account. Nothing is kept yet but a place in memory and what the gates
    /// counted.
    pub(crate) fn prepare_sm(&self, from: &Sender, sm: &SmRef<'_>, reported: Reported) -> Result<Prepared> {
        let now = self.runtime().clock.now();
        let recipient = recipient(sm)?;
        let sender = sender(from, sm)?;
        if !from.settings.may_use(sm.service_type) {
            return Err(Error::new(Code::ServiceTypeNotAllowed, "the account may not use this service type"));
        }
        let content = Content::read(self, sm)?;
        let schedule_at = time(sm.schedule_delivery_time, now)
            .map_err(|()| Error::new(Code::InvalidSchedule, "schedule_delivery_time is no SMPP time"))?;
        let schedule_at = schedule_at.filter(|at| *at > now);
        let expires_at = self.validity(sm, schedule_at.unwrap_or(now))?;
        let way = way(from, sm, &content, &sender, &recipient, schedule_at);
        let intent = way.intent;
        // Its session waits for nobody: what is found out is there for the next message to this number.
        self.lookups().beside_routing(from.tenant, &recipient.text);
        let named = !sm.source.addr.is_empty();
        let ask = gate::Ask { from: from.from, named, expires_at, ..gate::Ask::of(&way, &sender) };
        let Let { mut pass, why } = self.let_pass(&ask, &way, now)?;
        let sender = pass.sender.take().unwrap_or(sender);
        let mut options = options(from, sm, expires_at.is_some());
        if reported.dlr.is_some() || reported.mail.is_some() {
            let options = options.get_or_insert_default();
            (options.dlr, options.mail) = (reported.dlr, reported.mail.map(Box::new));
        }
        let planned = pass.postponed_to.or(schedule_at);
        let expires_at = expires_at.unwrap_or_else(|| {
            let default_s = self.runtime().config.messaging.validity_default_s;
            planned.unwrap_or(now).plus_ms(i64::try_from(default_s).unwrap_or(86_400) * 1_000)
        });
        let schedule_at = if pass.held_by.is_some() || !pass.marks.is_empty() {
            pass.leave(options.get_or_insert_default(), planned, expires_at)
        } else {
            planned
        };
        let id = self.runtime().ids.next();
        let parts = content.parts;
        let asks_for_alert = from.settings.alerts || sm.tlvs.get(Tag::SET_DPF) == Some(&[1][..]);
        let alert = asks_for_alert.then(|| (recipient.text.clone(), sender.clone()));
        let outgoing = Outgoing {
            id,
            tenant: from.tenant,
            account: Some(from.account),
            sender,
            recipient,
            body: content.body,
            encoding: content.encoding,
            data_coding: sm.data_coding.0,
            parts,
            intent,
            registered: sm.registered_delivery.0,
            validity_chosen: options.as_ref().is_some_and(|options| options.validity_chosen),
            options: options.map(Box::new),
            accepted_at: now,
            expires_at,
            attempts: 0,
            maybe_twice: false,
            parts_done: PartSet::default(),
        };
        let new = self.new_message(outgoing, content.text, content.octets, None, schedule_at, why);
        Ok(Prepared { new, counted: pass.counted, alert })
    }

    /// When a submitted message is worth nothing any more, where its sender says so.
    fn validity(&self, sm: &SmRef<'_>, from: Timestamp) -> Result<Option<Timestamp>> {
        let config = &self.runtime().config.messaging;
        let latest = from.plus_ms(i64::try_from(config.validity_max_s).unwrap_or(i64::MAX / 1_000) * 1_000);
        // qos_time_to_live supersedes validity_period (SMPP v3.4 §5.3.2.9).
        if let Some(&[a, b, c, d]) = sm.tlvs.get(Tag::QOS_TIME_TO_LIVE) {
            return Ok(Some(from.plus_ms(i64::from(u32::from_be_bytes([a, b, c, d])) * 1_000).min(latest)));
        }
        let at = time(sm.validity_period, from)
            .map_err(|()| Error::new(Code::InvalidValidity, "validity_period is no SMPP time"))?;
        match at {
            Some(at) if at <= from => Err(Error::new(Code::InvalidValidity, "validity_period is past")),
            at => Ok(at.map(|at| at.min(latest))),
        }
    }

    /// What is known of an account's message.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn query_sm(&self, from: &Sender, message_id: &str, source: &str) -> Result<Found> {
        let record = self.own(from, message_id, source).await?;
        let state = State::named(&record.state).ok_or_else(|| Error::not_found("message"))?;
        Ok(Found { state: state.receipt(), done_at: record.done_at, error: 0 })
    }

    /// Takes an account's message back before it leaves. With an empty id: all of them from `source` to `destination`.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::NotCancellable`].
    pub async fn cancel_sm(
        &self,
        from: &Sender,
        message_id: &str,
        source: &str,
        destination: &str,
    ) -> Result<()> {
        if !message_id.is_empty() {
            let record = self.own(from, message_id, source).await?;
            return self.take_back(from.tenant, record.id).await;
        }
        let mut tx = self.runtime().db.read(Tenancy::Tenant(from.tenant)).await?;
        let waiting: Vec<MessageRecord> = tx
            .all(
                sql!(
                    "select * from message where tenant_id = $1 and account_id = $2 and sender = $3 and recipient = $4 \
                     and wake_at is not null and state in ('queued', 'scheduled') order by id limit 1000"
                ),
                args![from.tenant, from.account, source.trim_start_matches('+'), destination.trim_start_matches('+')],
            )
            .await?;
        drop(tx);
        if waiting.is_empty() {
            return Err(Error::not_found("message"));
        }
        for record in waiting {
            self.take_back(from.tenant, record.id).await?;
        }
        Ok(())
    }

    /// Puts another text into an account's message that waits for its time, and another time and validity where they are
    /// not empty. Its id stays.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::NotCancellable`], [`Code::EmptyText`], [`Code::InvalidSchedule`],
    /// [`Code::InvalidValidity`].
    pub async fn replace_sm(
        &self,
        from: &Sender,
        message_id: &str,
        source: &str,
        text: &[u8],
        times: ReplacedTimes<'_>,
    ) -> Result<()> {
        let record = self.own(from, message_id, source).await?;
        if text.is_empty() {
            return Err(Error::new(Code::EmptyText, "the replacing text is empty"));
        }
        replace::refuse_started(&record)?;
        let now = self.runtime().clock.now();
        let encoding = Encoding::from_data_coding(record.data_coding, Encoding::GSM7);
        let parts = parts_of(self, text, encoding)?;
        let shown = encoding.decode(text).replace('\0', "\u{fffd}");
        replace::judge(self, &record, &shown, from.from)?;
        let new =
            NewContent { text: Some(shown), octets: Some(hex(text)), data_coding: record.data_coding, parts };
        let at = time(times.schedule, now)
            .map_err(|()| Error::new(Code::InvalidSchedule, "schedule_delivery_time is no SMPP time"))?;
        let goes_at = at.map(|at| at.max(now));
        let validity = time(times.validity, goes_at.unwrap_or(now))
            .map_err(|()| Error::new(Code::InvalidValidity, "validity_period is no SMPP time"))?;
        let again = replace::Again::of(&record, goes_at, validity, now)?;
        let mut tx = self.runtime().db.write(Tenancy::Tenant(from.tenant)).await?;
        replace::put(&mut tx, &record, Some(new), &again, now).await?;
        Ok(tx.commit().await?)
    }

    /// An account's own message, by the id that it was given; its source address must be the message's own (SMPP v3.4 §4.8).
    async fn own(&self, from: &Sender, message_id: &str, source: &str) -> Result<MessageRecord> {
        let id = from.settings.id_form.read(message_id)?;
        let mut tx = self.runtime().db.read(Tenancy::Tenant(from.tenant)).await?;
        let record: Option<MessageRecord> = tx
            .optional(
                sql!("select * from message where tenant_id = $1 and id = $2 and account_id = $3"),
                args![from.tenant, id, from.account],
            )
            .await?;
        let source = source.trim_start_matches('+');
        record
            .filter(|record| source.is_empty() || record.sender == source)
            .ok_or_else(|| Error::not_found("message"))
    }

    /// The bare id of an account's message that is known by its recipient and the second in which it was accepted; of several
    /// the first.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn named_by_time(&self, from: &Sender, recipient: &str, accepted_s: i64) -> Result<String> {
        let second = Timestamp::from_unix_ms(accepted_s.saturating_mul(1_000));
        // An id is made within a moment of the acceptance: it finds the place in the index.
        let (first, last) = (second.plus_ms(-NAMING_SLACK_MS), second.plus_ms(1_000 + NAMING_SLACK_MS));
        let mut tx = self.runtime().db.read(Tenancy::Tenant(from.tenant)).await?;
        let found: Option<Named> = tx
            .optional(
                sql!(
                    "select id from message where tenant_id = $1 and id >= $2 and id <= $3 and account_id = $4 \
                     and recipient = $5 and accepted_at >= $6 and accepted_at < $7 order by id limit 1"
                ),
                args![
                    from.tenant,
                    MessageId::from_parts(first, 0),
                    MessageId::from_parts(last, 0),
                    from.account,
                    recipient,
                    second,
                    second.plus_ms(1_000)
                ],
            )
            .await?;
        found.map(|named| named.id.bare()).ok_or_else(|| Error::not_found("message"))
    }

    /// Takes a message back that has not left.
    pub(crate) async fn take_back(&self, tenant: TenantId, message: MessageId) -> Result<()> {
        self.journal().write(Entry::Cancel { tenant, message }).await
    }
}

/// What may lie between a message's acceptance and its id.
const NAMING_SLACK_MS: i64 = 5_000;

record! { struct Named { id: MessageId } }

/// A recipient as it was submitted: digits, perhaps with `+`, at most 20 octets.
fn recipient(sm: &SmRef<'_>) -> Result<Address> {
    let refuse = || Error::new(Code::InvalidRecipient, "the destination address is not digits");
    let octets = sm.destination.addr.strip_prefix(b"+").unwrap_or(sm.destination.addr);
    if octets.is_empty() || octets.len() > 20 || !octets.iter().all(u8::is_ascii_digit) {
        return Err(refuse());
    }
    let text = std::str::from_utf8(octets).map_err(|_| refuse())?;
    Ok(Address { text: text.to_owned(), ton: Ton(sm.destination.ton.0), npi: Npi(sm.destination.npi.0) })
}

/// A sender as it was submitted, or the account's own; refused where the account may not send so.
fn sender(from: &Sender, sm: &SmRef<'_>) -> Result<Address> {
    let refuse = |why: &str| Error::new(Code::InvalidSender, why);
    if sm.source.addr.is_empty() {
        return match &from.settings.sender_default {
            Some(sender) => Address::sender(sender),
            None => Ok(Address { text: String::new(), ton: Ton::UNKNOWN, npi: Npi::UNKNOWN }),
        };
    }
    let octets = sm.source.addr.strip_prefix(b"+").unwrap_or(sm.source.addr);
    let text = std::str::from_utf8(octets).map_err(|_| refuse("the source address is not text"))?;
    if text.chars().any(char::is_control) {
        return Err(refuse("the source address holds a control character"));
    }
    let sender = Address { text: text.to_owned(), ton: Ton(sm.source.ton.0), npi: Npi(sm.source.npi.0) };
    if !from.settings.may_send_as(&sender) {
        return Err(Error::new(Code::SenderNotAllowed, "the account may not send as this"));
    }
    Ok(sender)
}

/// An SMPP time as an instant; none when the field is empty.
fn time(field: &[u8], from: Timestamp) -> Result<Option<Timestamp>, ()> {
    if field.is_empty() {
        return Ok(None);
    }
    let time = SmppTime::parse(field).map_err(|_| ())?;
    Ok(Some(Timestamp::from_unix_ms(time.resolve(from.unix_ms()))))
}

/// TLVs that say what the other fields or we ourselves say; all others are passed on as they are.
pub(crate) const OUR_TLVS: [Tag; 3] =
    [Tag::MESSAGE_PAYLOAD, Tag::QOS_TIME_TO_LIVE, Tag::SC_INTERFACE_VERSION];

/// A submitted message as routes see it.
fn way<'a>(
    from: &Sender,
    sm: &SmRef<'a>,
    content: &'a Content,
    sender: &'a Address,
    recipient: &'a Address,
    at: Option<Timestamp>,
) -> Ask<'a> {
    let (account, intent) = (Some(from.account), from.settings.intent_default);
    let mut way = Ask {
        text: content.text.as_deref(),
        octets: &content.body,
        udhi: sm.esm_class.udhi(),
        encoding: content.encoding,
        parts: content.parts,
        service_type: std::str::from_utf8(sm.service_type).unwrap_or_default(),
        tlvs: if sm.tlvs.is_empty() { Tlvs::None } else { Tlvs::Wire(sm.tlvs) },
        at,
        ..Ask::new(from.tenant, account, &sender.text, &recipient.text, intent)
    };
    if from.settings.detect_otp && way.traffic().traffic == Traffic::Otp {
        way.intent = Intent::Otp;
    }
    way
}

fn options(from: &Sender, sm: &SmRef<'_>, validity_chosen: bool) -> Option<Options> {
    let options = Options {
        service_type: match String::from_utf8_lossy(sm.service_type) {
            none if none.is_empty() => from.settings.service_type_default.clone(),
            named => named.into_owned(),
        },
        protocol_id: sm.protocol_id,
        esm_class: sm.esm_class.0,
        priority: sm.priority_flag,
        tlvs: sm
            .tlvs
            .iter()
            .filter(|(tag, _)| !OUR_TLVS.contains(tag) && from.settings.passes(*tag))
            .map(|(tag, value)| (tag.0, hex(value)))
            .collect(),
        validity_chosen,
        receipts_keep_s: Some(from.settings.receipts_keep_s).filter(|keep_s| *keep_s != RECEIPTS_KEEP_S),
        callback_url: from.settings.callback_url.clone(),
        ..Options::default()
    };
    (options != Options::default()).then_some(options)
}

struct Content {
    text: Option<String>,
    octets: Option<String>,
    body: Vec<u8>,
    encoding: Encoding,
    parts: u8,
}

impl Content {
    /// The submitted content. What the customer has split is passed on as it is and counts as the one part it is; what is
    /// longer than one part is split by us.
    fn read(engine: &Engine, sm: &SmRef<'_>) -> Result<Self> {
        let octets = sm.content();
        let encoding = Encoding::from_data_coding(sm.data_coding.0, Encoding::GSM7);
        let split_already = sm.esm_class.udhi() || sm.tlvs.get(Tag::SAR_MSG_REF_NUM).is_some();
        let parts = if split_already { 1 } else { parts_of(engine, octets, encoding)? };
        if let Some(text) = plain(octets, encoding, sm.esm_class.udhi()) {
            return Ok(Self {
                text: Some(text.to_owned()),
                octets: None,
                body: octets.to_vec(),
                encoding,
                parts,
            });
        }
        let readable = if sm.esm_class.udhi() {
            sms::udh::split(octets).map_or(octets, |(_, text)| text)
        } else {
            octets
        };
        let text =
            (encoding != Encoding::Binary).then(|| encoding.decode(readable).replace('\0', "\u{fffd}"));
        let given_back = !sm.esm_class.udhi()
            && text.as_deref().is_some_and(|text| encoding.encode(text).is_ok_and(|again| again == octets));
        Ok(Self { text, octets: (!given_back).then(|| hex(octets)), body: octets.to_vec(), encoding, parts })
    }
}

/// The text of GSM octets that are the same in ASCII: what most messages are. Nothing has to be decoded then.
fn plain(octets: &[u8], encoding: Encoding, udhi: bool) -> Option<&str> {
    let same =
        |octet: &u8| matches!(octet, b'\n' | b'\r' | b' '..=b'#' | b'%'..=b'?' | b'A'..=b'Z' | b'a'..=b'z');
    (encoding == Encoding::GSM7 && !udhi && octets.iter().all(same))
        .then(|| std::str::from_utf8(octets).ok())
        .flatten()
}

fn parts_of(engine: &Engine, octets: &[u8], encoding: Encoding) -> Result<u8> {
    let capacity = sms::segment::Capacity::of(encoding, sms::Width::Bits8);
    let units = if encoding == Encoding::Ucs2 { octets.len().div_ceil(2) } else { octets.len() };
    // Escapes count two, and are two octets here; what fits one part needs no closer look.
    if units <= capacity.single {
        return Ok(1);
    }
    let parts_max = engine.runtime().config.messaging.parts_max;
    let parts = sms::segment(octets, encoding, &sms::segment::Options::default()).map(|parts| parts.len());
    parts
        .ok()
        .and_then(|parts| u8::try_from(parts).ok())
        .filter(|parts| u32::from(*parts) <= parts_max)
        .ok_or_else(|| {
            Error::new(
                Code::TextTooLong,
                format!("the text needs more than the {parts_max} parts that are allowed"),
            )
        })
}
