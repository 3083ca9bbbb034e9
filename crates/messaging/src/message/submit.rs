//! Accepting messages: read, check, route, and leave them at the journal.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use runtime::Scope;
use runtime::scope::{Actor, Keyed};
use serde::{Deserialize, Serialize};
use sms::{Encoding, analysis};
use types::{Address, Code, Error, KeyId, MessageId, Permission, Result, TenantId, Timestamp, UserId};

use crate::engine::Engine;
use crate::gate::{self, Counted, Pass};
use crate::intent::Intent;
use crate::journal::{Accept, Entry, NewMessage, hex};
use crate::message::{Options, Outgoing, PartSet, State, Why};
use crate::route::Ask;

/// A message to be sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// Who receives: a number in international form, or a short code.
    #[schema(example = "+33612345678")]
    pub to: String,
    /// Who sends: a number, a short code, or a name of at most 11 characters.
    #[schema(example = "ACME")]
    pub from: Option<String>,
    /// What to say. Or `binary`, not both.
    #[schema(example = "Your table is ready.")]
    pub text: Option<String>,
    /// Octets in base 64, sent as 8-bit data; at most 140, the header of `udh` included.
    pub binary: Option<String>,
    /// The user data header before binary content, in base 64, with its length octet (3GPP TS 23.040 §9.2.3.24): a port, say.
    pub udh: Option<String>,
    /// How phones read binary content (3GPP TS 23.038 §4): 4 when not given; another that means octets, such as 245 for those
    /// of class 1.
    pub data_coding: Option<u8>,
    /// TP-PID (3GPP TS 23.040 §9.2.3.9): 64 for a message that no phone shows, 65 to 71 for one that replaces the last of the
    /// same kind; 0 when not given.
    pub protocol_id: Option<u8>,
    /// How urgent it is to the carrier (SMPP v5 §4.7.14), 0 to 3; as the connection says when not given.
    pub priority: Option<u8>,
    /// Which alphabet the text goes in: `auto` takes the 7-bit alphabet where it suffices, `gsm7` refuses a text that does
    /// not fit it, `ucs2` takes 16 bits a character; `auto` when not given.
    pub encoding: Option<Alphabet>,
    /// Whether typographic characters such as “ and … are replaced by plain ones where that keeps the text in the 7-bit
    /// alphabet; false when not given. A quote shows what would be replaced.
    pub replace: Option<bool>,
    /// Whether phones show the text at once and do not keep it: message class 0 (3GPP TS 23.038 §4); false when not given.
    pub flash: Option<bool>,
    /// What it is for; `transactional` when not given.
    pub intent: Option<Intent>,
    /// Your own reference, at most 100 characters; given back wherever the message is shown.
    pub client_ref: Option<String>,
    /// When to send it; now when not given.
    pub schedule_at: Option<Timestamp>,
    /// For how many seconds from then it is worth something.
    pub validity_s: Option<u64>,
    /// Where its end is posted to.
    pub callback_url: Option<String>,
}

/// Which alphabet a text goes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = MessageAlphabet)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    /// The 7-bit alphabet where it suffices, else UCS-2.
    #[default]
    Auto,
    /// The 7-bit alphabet of GSM, or nothing.
    Gsm7,
    /// UCS-2.
    Ucs2,
}

/// What became of a request to send: the message is durable and will be sent.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Accepted {
    /// The message's id.
    pub id: MessageId,
    /// Where it stands.
    pub state: State,
    /// Parts it takes on the wire, and on the bill.
    pub parts: u8,
    /// `gsm7`, `ucs2` or `binary`.
    pub encoding: &'static str,
    /// Your own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ref: Option<String>,
    /// When it goes, where working hours postponed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postponed_to: Option<Timestamp>,
    /// The firewall rule that holds it until a person releases it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
}

/// The longest reference of a caller.
const CLIENT_REF_CHARS_MAX: usize = 100;

/// Accepts one message: when this returns it is durable.
///
/// # Errors
/// A refusal naming the field; the gates' refusals; [`Code::NoRoute`]; [`Code::QueueFull`]. Nothing was accepted then.
pub async fn send(scope: &Scope, engine: &Engine, message: &SendMessage) -> Result<Accepted> {
    scope.require(Permission::MessageSend)?;
    engine.lookups().before_routing(scope.tenant(), std::iter::once(message.to.as_str())).await;
    let (new, accepted, counted) = prepare(&By::of(scope), engine, message)?;
    let answer = scope.key().map(|key| serde_json::to_string(&accepted).map(|body| (key.clone(), body)));
    let answer = answer.transpose().map_err(Error::internal)?;
    engine.accept(vec![new], answer, &[counted]).await?;
    Ok(accepted)
}

/// One message's fate in a batch.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum ItemResult {
    /// It was accepted.
    Accepted(Accepted),
    /// It was refused; the others were not held up.
    Refused {
        /// Why.
        error: web::problem::ProblemBody,
    },
}

/// Accepts many messages in one transaction. Each has its own result in the order of the request; those refused do
/// not hold up the others.
///
/// # Errors
/// When the batch is empty or too large, or cannot be made durable: nothing was accepted then.
pub async fn send_batch(scope: &Scope, engine: &Engine, messages: &[SendMessage]) -> Result<Vec<ItemResult>> {
    scope.require(Permission::MessageSend)?;
    check_batch(scope, messages.len())?;
    engine.lookups().before_routing(scope.tenant(), messages.iter().map(|message| message.to.as_str())).await;
    let (mut accepted, mut counts) = (Vec::new(), Vec::new());
    let mut results = Vec::with_capacity(messages.len());
    for (at, message) in messages.iter().enumerate() {
        match prepare(&By::of(scope), engine, message) {
            Ok((new, one, counted)) => {
                accepted.push(new);
                counts.push(counted);
                results.push(ItemResult::Accepted(one));
            }
            Err(error) => results.push(ItemResult::Refused { error: item_refused(at, error) }),
        }
    }
    let answer = scope.key().map(|key| serde_json::to_string(&results).map(|body| (key.clone(), body)));
    let answer = answer.transpose().map_err(Error::internal)?;
    if !accepted.is_empty() {
        engine.accept(accepted, answer, &counts).await?;
    }
    Ok(results)
}

/// On whose behalf a message is sent that is no SMPP account's.
pub(crate) struct By {
    /// Whose it is.
    pub(crate) tenant: TenantId,
    /// The person, themselves or by a key or an application of theirs.
    pub(crate) owner: Option<UserId>,
    /// The API key.
    pub(crate) key: Option<KeyId>,
    /// The network address.
    pub(crate) from: Option<IpAddr>,
    /// Whether only the simulator may take it.
    pub(crate) test: bool,
}

impl By {
    fn of(scope: &Scope) -> Self {
        Self {
            tenant: scope.tenant(),
            owner: scope.held().myself(),
            key: if let Actor::Key(key) = scope.actor() { Some(*key) } else { None },
            from: scope.origin().from.as_deref().and_then(|from| from.parse().ok()),
            test: scope.is_test(),
        }
    }
}

/// Refuses a batch of no or too many messages.
pub(super) fn check_batch(scope: &Scope, messages: usize) -> Result<()> {
    let max = scope.runtime().config.messaging.api_batch_max;
    if (1..=max).contains(&messages) {
        return Ok(());
    }
    Err(Error::invalid("messages", format!("a batch has 1 to {max} messages, not {messages}")))
}

/// The refusal of one message of a batch, at its place.
pub(super) fn item_refused(at: usize, error: Error) -> web::problem::ProblemBody {
    let place =
        error.place().map_or_else(|| format!("messages[{at}]"), |place| format!("messages[{at}].{place}"));
    web::problem::ProblemBody::of(&error.at(place))
}

/// Reads, checks and routes a message. Nothing is kept yet but a place in memory and what the gates counted.
pub(crate) fn prepare(
    by: &By,
    engine: &Engine,
    message: &SendMessage,
) -> Result<(NewMessage, Accepted, Counted)> {
    let now = engine.runtime().clock.now();
    let recipient = Address::recipient(&message.to)?;
    let sender = message.from.as_deref().map_or_else(|| Ok(default_sender()), Address::sender)?;
    let content = content(engine, message)?;
    let schedule_at = schedule(engine, message.schedule_at, now)?;
    let expires_at = expiry(engine, message.validity_s, schedule_at.unwrap_or(now))?;
    check_references(engine, message)?;
    let intent = message.intent.unwrap_or_default();
    let way = Ask { test: by.test, ..content.way(by.tenant, &sender, &recipient, intent, schedule_at) };
    let ask = gate::Ask {
        key: by.key,
        from: by.from,
        named: message.from.is_some(),
        expires_at: message.validity_s.map(|_| expires_at),
        ..gate::Ask::of(&way, &sender)
    };
    let Let { mut pass, why } = engine.let_pass(&ask, &way, now)?;
    let sender = pass.sender.take().unwrap_or(sender);
    // A validity of its own counts from when it was asked for; the usual one from when the message goes.
    let expires_at = match pass.postponed_to {
        Some(at) if message.validity_s.is_none() => expiry(engine, None, at)?,
        _ => expires_at,
    };
    let mut options = Options { test: by.test, ..options(message, &content)? };
    let schedule_at = pass.leave(&mut options, pass.postponed_to.or(schedule_at), expires_at);
    let options = (options != Options::default()).then(|| Box::new(options));
    let id = engine.runtime().ids.next();
    let accepted = Accepted {
        id,
        state: if schedule_at.is_some() { State::Scheduled } else { State::Queued },
        parts: content.parts,
        encoding: content.name,
        client_ref: message.client_ref.clone(),
        postponed_to: pass.postponed_to,
        held_by: pass.held_by,
    };
    let outgoing = Outgoing {
        id,
        tenant: by.tenant,
        account: None,
        sender,
        recipient,
        body: content.body,
        encoding: content.encoding,
        data_coding: content.data_coding,
        parts: content.parts,
        intent,
        registered: 0,
        validity_chosen: message.validity_s.is_some(),
        options,
        accepted_at: now,
        expires_at,
        attempts: 0,
        maybe_twice: false,
        parts_done: PartSet::default(),
    };
    let new = engine.new_message(
        outgoing,
        content.text,
        content.octets,
        message.client_ref.clone(),
        schedule_at,
        why,
    );
    Ok((NewMessage { owner: by.owner, ..new }, accepted, pass.counted))
}

/// What only the caller has a use for: its reference, and where it wants to hear of the end.
fn check_references(engine: &Engine, message: &SendMessage) -> Result<()> {
    let unfit = |text: &str| text.chars().count() > CLIENT_REF_CHARS_MAX || text.contains('\0');
    if message.client_ref.as_deref().is_some_and(unfit) {
        return Err(Error::invalid(
            "client_ref",
            format!("it takes at most {CLIENT_REF_CHARS_MAX} characters"),
        ));
    }
    if let Some(url) = &message.callback_url {
        let refuse = |why: String| Error::new(Code::InvalidUrl, why).at("callback_url");
        engine.runtime().outbound.check_url(url).map_err(|error| refuse(error.to_string()))?;
    }
    Ok(())
}

/// The sender of a message that names none: the connection or the carrier puts its own.
pub(crate) fn default_sender() -> Address {
    Address { text: String::new(), ton: types::Ton::UNKNOWN, npi: types::Npi::UNKNOWN }
}

/// What a message says, as it goes out.
pub(super) struct Content {
    pub(super) text: Option<String>,
    pub(super) octets: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) encoding: Encoding,
    pub(super) data_coding: u8,
    pub(super) name: &'static str,
    pub(super) parts: u8,
    /// Whether a user data header begins the body.
    pub(super) udhi: bool,
}

impl Content {
    /// A message of this content as routes see it.
    fn way<'a>(
        &'a self,
        tenant: TenantId,
        sender: &'a Address,
        recipient: &'a Address,
        intent: Intent,
        at: Option<Timestamp>,
    ) -> Ask<'a> {
        Ask {
            text: self.text.as_deref(),
            octets: &self.body,
            encoding: self.encoding,
            parts: self.parts,
            at,
            ..Ask::new(tenant, None, &sender.text, &recipient.text, intent)
        }
    }
}

/// Octets of 8-bit data that one message carries (3GPP TS 23.040 §9.2.3.24).
const BINARY_OCTETS_MAX: usize = 140;

/// The highest priority_flag that all networks know (SMPP v5 §4.7.14).
const PRIORITY_MAX: u8 = 3;

/// Reads what a message says.
///
/// # Errors
/// A refusal naming the field.
pub(super) fn content(engine: &Engine, message: &SendMessage) -> Result<Content> {
    match (&message.text, &message.binary) {
        (Some(_), Some(_)) => {
            Err(Error::invalid("binary", "a message has a text or binary content, not both"))
        }
        (None, None) => {
            Err(Error::new(Code::EmptyText, "the message has neither text nor binary content").at("text"))
        }
        (Some(text), None) => {
            let binary_only =
                [("udh", message.udh.is_some()), ("data_coding", message.data_coding.is_some())];
            match binary_only.iter().find(|(_, given)| *given) {
                Some((field, _)) => {
                    Err(Error::invalid(field, "it goes with binary content, not with a text"))
                }
                None => text_content(engine, message, text),
            }
        }
        (None, Some(binary)) => binary_content(message, binary),
    }
}

fn binary_content(message: &SendMessage, binary: &str) -> Result<Content> {
    let octets = |field: &'static str, text: &str| {
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|error| Error::new(Code::InvalidBinary, format!("it is not base 64: {error}")).at(field))
    };
    let header = message.udh.as_deref().map_or_else(|| Ok(Vec::new()), |udh| octets("udh", udh))?;
    if message.udh.is_some() && header.first().is_none_or(|length| usize::from(*length) + 1 != header.len()) {
        let why = "the first octet of a user data header is the number of those behind it";
        return Err(Error::new(Code::InvalidBinary, why).at("udh"));
    }
    let body = [header.as_slice(), &octets("binary", binary)?].concat();
    if body.len() == header.len() || body.len() > BINARY_OCTETS_MAX {
        let why = format!("{} octets are not from 1 to {BINARY_OCTETS_MAX}", body.len());
        return Err(Error::new(Code::InvalidBinary, why).at("binary"));
    }
    let data_coding = message.data_coding.unwrap_or(Encoding::Binary.data_coding());
    if Encoding::from_data_coding(data_coding, Encoding::GSM7) != Encoding::Binary {
        let why = "it means a text; give one in `text`, or a scheme of octets here, such as 4 or 245";
        return Err(Error::invalid("data_coding", why));
    }
    Ok(Content {
        text: None,
        octets: Some(hex(&body)),
        body,
        encoding: Encoding::Binary,
        data_coding,
        name: "binary",
        parts: 1,
        udhi: !header.is_empty(),
    })
}

/// What is seldom asked for.
fn options(message: &SendMessage, content: &Content) -> Result<Options> {
    let priority = message.priority.unwrap_or_default();
    if priority > PRIORITY_MAX {
        return Err(Error::invalid("priority", format!("{priority} is not from 0 to {PRIORITY_MAX}")));
    }
    Ok(Options {
        callback_url: message.callback_url.clone(),
        esm_class: smpp::EsmClass::DEFAULT.with_udhi(content.udhi).0,
        protocol_id: message.protocol_id.unwrap_or_default(),
        priority,
        validity_chosen: message.validity_s.is_some(),
        ..Options::default()
    })
}

fn text_content(engine: &Engine, message: &SendMessage, text: &str) -> Result<Content> {
    if text.is_empty() {
        return Err(Error::new(Code::EmptyText, "the text is empty").at("text"));
    }
    let text = match message.replace {
        Some(true) => analysis::replace(text),
        _ => text.into(),
    };
    let parts_max = engine.runtime().config.messaging.parts_max;
    let (encoding, parts) = coded(&text, message.encoding.unwrap_or_default())?;
    let parts = u8::try_from(parts).ok().filter(|parts| u32::from(*parts) <= parts_max).ok_or_else(|| {
        let why = format!("the text needs {parts} parts, and {parts_max} are allowed");
        Error::new(Code::TextTooLong, why).at("text")
    })?;
    let body = encoding.encode_lossy(&text);
    // PostgreSQL keeps no NUL in a text; the octets do.
    let octets = (text.contains('\0') || encoding.decode(&body) != text).then(|| hex(&body));
    let flash = message.flash == Some(true);
    Ok(Content {
        text: Some(text.replace('\0', "\u{fffd}")),
        octets,
        body,
        encoding,
        data_coding: if flash { flash_of(encoding) } else { encoding.data_coding() },
        name: encoding_name(encoding),
        parts,
        udhi: false,
    })
}

/// The encoding of a text and how many parts it takes in it.
fn coded(text: &str, wanted: Alphabet) -> Result<(Encoding, usize)> {
    let found = sms::analyse(text, &analysis::Options::default());
    match wanted {
        Alphabet::Auto => Ok((found.count.encoding, found.count.parts)),
        Alphabet::Gsm7 => match found.forcing.first() {
            None => Ok((found.count.encoding, found.count.parts)),
            Some((at, character)) => Err(Error::invalid(
                "encoding",
                format!("the 7-bit alphabet lacks {character:?}, which is character {at} of the text"),
            )
            .hint("let `encoding` be auto, or `replace` put plain characters in")),
        },
        Alphabet::Ucs2 => {
            let octets = Encoding::Ucs2.encode_lossy(text);
            let parts = sms::segment(&octets, Encoding::Ucs2, &sms::segment::Options::default());
            Ok((Encoding::Ucs2, parts.map_or(usize::MAX, |parts| parts.len())))
        }
    }
}

/// data_coding of message class 0 (3GPP TS 23.038 §4): general data coding with a class.
const fn flash_of(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::Ucs2 => 0x18,
        Encoding::Binary => 0x14,
        _ => 0x10,
    }
}

/// An encoding's name, as the API shows it.
pub fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Gsm7(_) => "gsm7",
        Encoding::Latin1 => "latin1",
        Encoding::Cyrillic => "cyrillic",
        Encoding::Hebrew => "hebrew",
        Encoding::Ucs2 => "ucs2",
        Encoding::Binary => "binary",
    }
}

/// When to send; a time that has just passed means now.
pub(super) fn schedule(engine: &Engine, at: Option<Timestamp>, now: Timestamp) -> Result<Option<Timestamp>> {
    const LATE_MS_MAX: i64 = 60_000;
    let Some(at) = at else { return Ok(None) };
    let refuse = |why: String| Err(Error::new(Code::InvalidSchedule, why).at("schedule_at"));
    let horizon_s = engine.runtime().config.messaging.schedule_max_s;
    if at.plus_ms(LATE_MS_MAX) < now {
        return refuse(format!("{at} is past"));
    }
    if at > now.plus_ms(i64::try_from(horizon_s).unwrap_or(i64::MAX / 1_000) * 1_000) {
        return refuse(format!("{at} is more than {horizon_s} seconds ahead"));
    }
    Ok(Some(at).filter(|at| *at > now))
}

/// When a message is worth nothing any more that goes at an instant.
pub(crate) fn expiry(engine: &Engine, validity_s: Option<u64>, from: Timestamp) -> Result<Timestamp> {
    let config = &engine.runtime().config.messaging;
    let validity_s = validity_s.unwrap_or(config.validity_default_s);
    if !(1..=config.validity_max_s).contains(&validity_s) {
        return Err(Error::new(
            Code::InvalidValidity,
            format!("{validity_s} seconds are not from 1 to {}", config.validity_max_s),
        )
        .at("validity_s"));
    }
    Ok(from.plus_ms(i64::try_from(validity_s).unwrap_or(i64::MAX / 1_000) * 1_000))
}

impl Engine {
    /// Leaves messages at the journal and gives back when they are durable. When they are refused, their places are free
    /// again and the gates have not counted them.
    async fn accept(
        &self,
        messages: Vec<NewMessage>,
        answer: Option<(Keyed, String)>,
        counted: &[Counted],
    ) -> Result<()> {
        self.accept_all(Accept { messages, answer, redrive_of: None }, counted).await
    }

    /// As [`Engine::accept`], with all that can be said of an acceptance.
    pub(crate) async fn accept_all(&self, accept: Accept, counted: &[Counted]) -> Result<()> {
        let ids: Vec<MessageId> = accept.messages.iter().map(|new| new.message.id).collect();
        let written = self.journal().write(Entry::Accept(Box::new(accept))).await;
        if written.is_err() {
            ids.into_iter().for_each(|id| self.queue().release(id));
            counted.iter().for_each(|counted| self.gates().take_back(counted));
        }
        written
    }

    /// Asks the gates about a message, then where it goes: `way` is the same message as routes see it.
    ///
    /// # Errors
    /// The gates' refusal, or [`Code::NoRoute`]; nothing was counted then.
    pub(crate) fn let_pass(&self, ask: &gate::Ask<'_>, way: &Ask<'_>, now: Timestamp) -> Result<Let> {
        let route = |sender: &str| self.queue().route_of(&way.by_another(sender));
        let pass = self.gates().judge(ask, &route, now).map_err(|refusal| refusal.error())?;
        let why = match (&pass.sender, pass.postponed_to) {
            (None, None) => self.route(way),
            (sender, postponed_to) => {
                let sender = sender.as_ref().map_or(way.sender, |sender| &sender.text);
                self.route(&Ask { at: postponed_to.or(way.at), ..way.by_another(sender) })
            }
        };
        let why = why.inspect_err(|_| self.gates().take_back(&pass.counted))?;
        Ok(Let { pass, why })
    }

    /// Where a new message goes, and why.
    ///
    /// # Errors
    /// [`Code::NoRoute`]; [`Code::NoSimulator`] for a test's message.
    pub(crate) fn route(&self, ask: &Ask<'_>) -> Result<Why> {
        self.queue().decide(ask).ok_or_else(|| crate::simulated::no_route(ask))
    }

    /// A message with its place in memory, if one is free and its time is now. Nobody owns it yet.
    pub(crate) fn new_message(
        &self,
        outgoing: Outgoing,
        text: Option<String>,
        octets: Option<String>,
        client_ref: Option<String>,
        schedule_at: Option<Timestamp>,
        why: Why,
    ) -> NewMessage {
        if schedule_at.is_none() {
            self.queue().reserve(outgoing.id);
        }
        NewMessage {
            message: Arc::new(outgoing),
            text,
            octets,
            client_ref,
            owner: None,
            schedule_at,
            connection: why.connection,
            why,
        }
    }
}

/// A message that the gates let pass, and where it goes.
pub(crate) struct Let {
    /// What the gates changed.
    pub(crate) pass: Pass,
    /// Where it goes, and why.
    pub(crate) why: Why,
}
