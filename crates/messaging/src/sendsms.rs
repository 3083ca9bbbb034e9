//! A door for systems that speak to Kannel's smsbox: `/cgi-bin/sendsms`, with its parameters and its answers (Kannel 1.4 user
//! guide, "Using the SMSBox HTTP interface").
//!
//! Who asks is an SMPP account, named by system_id and password, with the account's rate, senders and defaults. A message
//! passes the same gates as any other, and is answered after its commit. Reports go by GET to the message's `dlr-url`.
//!
//! # Where this deviates from Kannel
//!
//! - A text without `coding` that the GSM alphabet cannot hold goes as UCS-2, and not with question marks.
//! - Long texts are always split; there is no `max-messages`.
//! - `smsc`, `account`, `binfo` and `mwi` are read and mean nothing: routes decide.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runtime::sighting::Door;
use sha2::{Digest, Sha256};
use smpp::{Address, DataCoding, EsmClass, Npi, Sm, Ton};
use sms::{Encoding, analysis};
use tokio::time::Instant;
use types::{AccountId, Code, Error, Result};

use crate::engine::Engine;
use crate::message::sm::{Sender, Submitted};
use crate::sessions::Peer;
use crate::smpp_server::bind::{Refusal, authenticate};
use crate::smpp_server::submit::parts;

pub mod api;
pub mod dlr;

use dlr::Dlr;

/// What is asked, by Kannel's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) from: String,
    pub(crate) to: String,
    /// Octets in `charset`.
    pub(crate) text: Vec<u8>,
    pub(crate) charset: String,
    pub(crate) coding: Option<String>,
    pub(crate) udh: Vec<u8>,
    pub(crate) mclass: Option<String>,
    pub(crate) priority: Option<String>,
    pub(crate) pid: Option<String>,
    pub(crate) validity: Option<String>,
    pub(crate) deferred: Option<String>,
    pub(crate) dlr_mask: Option<String>,
    pub(crate) dlr_url: String,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// The refusal's code, where it is one.
    pub(crate) code: Option<Code>,
}

/// Recipients of one request.
const RECIPIENTS_MAX: usize = 100;
/// Octets that a short_message holds; what is longer goes as message_payload.
const SHORT_OCTETS_MAX: usize = 254;

/// Who was let in of late, so that not every request costs a password's hash.
#[derive(Default)]
pub(crate) struct Guests {
    salt: [u8; 16],
    known: Mutex<HashMap<[u8; 32], (Sender, Instant)>>,
}

/// Guests that are remembered.
const GUESTS_MAX: usize = 1_000;
/// For how long.
const REMEMBERED: Duration = Duration::from_secs(30);

impl Guests {
    /// Nobody is known.
    pub(crate) fn new() -> Self {
        Self { salt: rand::random(), known: Mutex::default() }
    }

    fn key(&self, asked: &Asked, peer: Peer) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        let from = format!("{}\0{}\0", peer.address.ip(), peer.encrypted);
        for part in [from.as_str(), &asked.username, "\0", &asked.password] {
            hash.update(part.as_bytes());
        }
        hash.finalize().into()
    }

    fn find(&self, key: &[u8; 32]) -> Option<Sender> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(_, until)| Instant::now() < *until).map(|(sender, _)| sender.clone())
    }

    fn remember(&self, key: [u8; 32], sender: Sender) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= GUESTS_MAX {
            let now = Instant::now();
            known.retain(|_, (_, until)| now < *until);
        }
        if known.len() < GUESTS_MAX {
            known.insert(key, (sender, Instant::now() + REMEMBERED));
        }
    }

    /// Forgets an account that was changed.
    pub(crate) fn forget(&self, account: AccountId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (sender, _)| sender.account != account);
    }
}

fn refuse(status: u16, body: &str) -> Said {
    Said { status, body: body.to_owned(), code: None }
}

/// Takes a message for each recipient; what is answered is true when this returns.
pub(crate) async fn send(engine: &Engine, asked: &Asked, from: Option<IpAddr>, encrypted: bool) -> Said {
    let said = take(engine, asked, from, encrypted).await;
    metrics::counter!("switchboard_sendsms_total", "status" => said.status.to_string()).increment(1);
    said
}

async fn take(engine: &Engine, asked: &Asked, from: Option<IpAddr>, encrypted: bool) -> Said {
    let address = SocketAddr::from((from.unwrap_or(IpAddr::from([0, 0, 0, 0])), 0));
    let Some(sender) = guest(engine, asked, Peer { address, local: None, encrypted }).await else {
        return refuse(403, "Authorization failed for sendsms");
    };
    let recipients: Vec<&str> = asked.to.split([' ', ',']).filter(|to| !to.is_empty()).collect();
    if recipients.is_empty() {
        return refuse(400, "Missing receiver number, rejected");
    }
    if recipients.len() > RECIPIENTS_MAX {
        return refuse(400, "Too many receivers, rejected");
    }
    let read = message(engine, asked).and_then(|sm| Ok((sm, report(engine, asked)?)));
    let (sm, dlr) = match read {
        Ok(read) => read,
        Err(error) => return refused(&error),
    };
    let mut under_way: Vec<(&str, Result<Submitted>)> = Vec::with_capacity(recipients.len());
    for to in recipients {
        under_way.push((to, submit(engine, &sender, &sm, to, dlr.clone())));
    }
    let mut failed = Vec::new();
    let (mut accepted, mut first) = (0_usize, None);
    for (to, submitted) in under_way {
        match committed(engine, submitted).await {
            Ok(()) => accepted += 1,
            Err(error) => {
                failed.push(to);
                first.get_or_insert(error);
            }
        }
    }
    match first {
        None => refuse(202, "0: Accepted for delivery"),
        Some(error) if accepted == 0 => refused(&error),
        Some(_) => {
            refuse(202, &format!("0: Accepted for delivery. Denied receivers are: {}", failed.join(" ")))
        }
    }
}

/// Who asks; nothing where nobody is known by that, after the same pause that a bind has.
async fn guest(engine: &Engine, asked: &Asked, peer: Peer) -> Option<Sender> {
    let guests = engine.guests();
    let key = guests.key(asked, peer);
    if let Some(sender) = guests.find(&key) {
        return Some(sender);
    }
    let runtime = engine.runtime();
    match authenticate(runtime, Door::Http, (&asked.username, &asked.password), peer).await {
        Ok(account) => {
            let sender = Sender {
                tenant: account.tenant,
                account: account.id,
                settings: Arc::new(account.settings),
                from: Some(peer.address.ip()),
            };
            guests.remember(key, sender.clone());
            Some(sender)
        }
        Err(refusal) => {
            tracing::info!(%peer, username = asked.username, reason = refusal.as_str(), "a sendsms was refused");
            if refusal != Refusal::Broken {
                tokio::time::sleep(Duration::from_millis(runtime.config.smpp.bind_failure_delay_ms)).await;
            }
            None
        }
    }
}

fn submit(engine: &Engine, sender: &Sender, sm: &Sm, to: &str, dlr: Option<Dlr>) -> Result<Submitted> {
    let sm = Sm { destination: number(to), ..sm.clone() };
    let sm = sm.view();
    let now = engine.runtime().clock.now();
    if !engine.sessions().may_submit(sender.account, sender.settings.throughput, parts(&sm), now) {
        return Err(Error::new(Code::TooManyRequests, "the account is above its rate"));
    }
    engine.take_sm_reported(sender, &sm, dlr)
}

async fn committed(engine: &Engine, submitted: Result<Submitted>) -> Result<()> {
    let submitted = submitted?;
    let committed = submitted.committed.await;
    if !matches!(committed, Ok(Ok(()))) {
        engine.gates().take_back(&submitted.counted);
    }
    committed.map_err(|_| Error::new(Code::Unavailable, "the program stops"))?
}

/// A refusal in Kannel's words where it has any.
fn refused(error: &Error) -> Said {
    let status = error.code().status();
    let (status, body) = match error.code() {
        _ if status == 429 || status >= 500 => (503, "Temporal failure, try again later.".to_owned()),
        Code::NoRoute => (403, "Not routable. Do not try again.".to_owned()),
        _ if status == 403 => (403, format!("{}, rejected", error.message())),
        _ => (400, format!("{}, rejected", error.message())),
    };
    Said { status, body, code: Some(error.code()) }
}

fn whole<T: std::str::FromStr>(name: &str, text: Option<&String>) -> Result<Option<T>> {
    let Some(text) = text.map(|text| text.trim()).filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong = |_| Error::invalid(name, format!("{name} is {text:?} and no number that it takes"));
    text.parse().map(Some).map_err(wrong)
}

/// Where reports go, where any are wanted.
fn report(engine: &Engine, asked: &Asked) -> Result<Option<Dlr>> {
    let mask: u8 = whole("dlr-mask", asked.dlr_mask.as_ref())?.unwrap_or(0);
    if mask == 0 || asked.dlr_url.is_empty() {
        return Ok(None);
    }
    let refuse = |why: String| Error::new(Code::InvalidUrl, format!("dlr-url: {why}")).at("dlr-url");
    engine.runtime().outbound.check_url(&asked.dlr_url).map_err(|error| refuse(error.to_string()))?;
    Ok(Some(Dlr { url: asked.dlr_url.clone(), mask }))
}

/// The message in the fields of submit_sm, but for its recipient.
fn message(engine: &Engine, asked: &Asked) -> Result<Sm> {
    let udhi = !asked.udh.is_empty();
    if udhi && asked.udh.first().is_none_or(|length| usize::from(*length) + 1 != asked.udh.len()) {
        return Err(Error::invalid("udh", "UDH field misformed"));
    }
    let class = whole::<u8>("mclass", asked.mclass.as_ref())?.filter(|class| *class <= 3);
    let coding: Option<u8> = whole("coding", asked.coding.as_ref())?;
    let (encoding, body) = content(asked, coding, udhi)?;
    let base = encoding.data_coding();
    let data_coding = match (class, encoding) {
        (None, _) => base,
        // 3GPP TS 23.038 §4: the group of messages with a class.
        (Some(class), Encoding::Ucs2) => 0x18 | class,
        (Some(class), Encoding::Binary) => 0xF4 | class,
        (Some(class), _) => 0xF0 | class,
    };
    let now_ms = engine.runtime().clock.now().unix_ms();
    let time = |minutes: Option<i64>| match minutes.filter(|minutes| *minutes > 0) {
        None => smpp::COctetString::EMPTY,
        Some(minutes) => {
            smpp::time::format_absolute(now_ms.saturating_add(minutes.saturating_mul(60_000)), 0)
                .unwrap_or(smpp::COctetString::EMPTY)
        }
    };
    let content = [asked.udh.as_slice(), &body].concat();
    let mut sm = Sm {
        source: if asked.from.is_empty() { Address::default() } else { source(&asked.from) },
        esm_class: EsmClass::DEFAULT.with_udhi(udhi),
        protocol_id: whole("pid", asked.pid.as_ref())?.unwrap_or(0),
        priority_flag: whole("priority", asked.priority.as_ref())?.unwrap_or(0),
        validity_period: time(whole("validity", asked.validity.as_ref())?),
        schedule_delivery_time: time(whole("deferred", asked.deferred.as_ref())?),
        data_coding: DataCoding(data_coding),
        ..Sm::default()
    };
    if content.len() > SHORT_OCTETS_MAX {
        sm.tlvs
            .set_message_payload(&content)
            .map_err(|_| Error::new(Code::TextTooLong, "the text is too long").at("text"))?;
    } else {
        sm.short_message = content;
    }
    Ok(sm)
}

/// Coding and octets: what `coding` says, 8 bit with a header where it says nothing, or whatever fits the text.
fn content(asked: &Asked, coding: Option<u8>, udhi: bool) -> Result<(Encoding, Vec<u8>)> {
    let coding = coding.or(udhi.then_some(1));
    if coding == Some(1) {
        return Ok((Encoding::Binary, asked.text.clone()));
    }
    let text = decoded(asked, coding)?;
    let encoding = match coding {
        Some(0) => Encoding::GSM7,
        Some(2) => Encoding::Ucs2,
        None => sms::count(&text, &analysis::Options::default()).encoding,
        Some(other) => {
            return Err(Error::invalid("coding", format!("coding {other} is none of 0, 1 and 2")));
        }
    };
    Ok((encoding, encoding.encode_lossy(&text)))
}

/// The text in its character set: UTF-8 when none is named, and for UCS-2 UTF-16 with the most significant octet first.
fn decoded(asked: &Asked, coding: Option<u8>) -> Result<String> {
    let named = asked.charset.to_ascii_uppercase();
    let charset = match named.as_str() {
        "" if coding == Some(2) => "UTF-16BE",
        "" => "UTF-8",
        named => named,
    };
    let each = |wide: fn(u8) -> char| asked.text.iter().map(|octet| wide(*octet)).collect::<String>();
    match charset {
        "UTF-8" | "UTF8" | "US-ASCII" | "ASCII" => Ok(String::from_utf8_lossy(&asked.text).into_owned()),
        "UTF-16BE" | "UTF-16" | "UCS-2" | "UCS-2BE" => Ok(Encoding::Ucs2.decode(&asked.text)),
        "ISO-8859-1" | "LATIN1" | "ISO8859-1" => Ok(each(char::from)),
        "WINDOWS-1252" | "CP1252" => Ok(each(windows_1252)),
        other => {
            let why = format!("charset {other:?} is none of UTF-8, UTF-16BE, ISO-8859-1 and WINDOWS-1252");
            Err(Error::invalid("charset", why))
        }
    }
}

/// Where Windows-1252 is not ISO 8859-1.
fn windows_1252(octet: u8) -> char {
    const FROM_80: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match octet {
        0x80..=0x9F => FROM_80[usize::from(octet - 0x80)],
        other => char::from(other),
    }
}

/// A number; what is none is refused behind.
fn number(text: &str) -> Address {
    let bare = text.strip_prefix('+').or_else(|| text.strip_prefix("00")).unwrap_or(text);
    if bare.len() > 6 { Address::international(bare) } else { Address::new(Ton::UNKNOWN, Npi::UNKNOWN, bare) }
}

fn source(text: &str) -> Address {
    let digits = text.trim_start_matches('+').bytes().all(|octet| octet.is_ascii_digit());
    if digits { number(text) } else { Address::alphanumeric(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &[u8], charset: &str, coding: Option<&str>) -> Asked {
        Asked {
            text: text.to_vec(),
            charset: charset.to_owned(),
            coding: coding.map(str::to_owned),
            ..Asked::default()
        }
    }

    fn read(asked: &Asked) -> (Encoding, Vec<u8>) {
        let coding = whole("coding", asked.coding.as_ref()).unwrap();
        content(asked, coding, !asked.udh.is_empty()).unwrap()
    }

    #[test]
    fn the_text_is_read_in_its_charset_and_coding() {
        assert_eq!(read(&asked("é€".as_bytes(), "", None)), (Encoding::GSM7, vec![0x05, 0x1B, 0x65]));
        assert_eq!(
            read(&asked(b"\xe9\x80", "windows-1252", Some("0"))),
            (Encoding::GSM7, vec![0x05, 0x1B, 0x65])
        );
        assert_eq!(read(&asked("Ж".as_bytes(), "UTF-8", None)), (Encoding::Ucs2, vec![0x04, 0x16]));
        assert_eq!(read(&asked("Ж".as_bytes(), "UTF-8", Some("0"))), (Encoding::GSM7, b"?".to_vec()));
        assert_eq!(read(&asked(&[0x04, 0x16], "", Some("2"))), (Encoding::Ucs2, vec![0x04, 0x16]));
        assert_eq!(read(&asked("Ж".as_bytes(), "UTF-8", Some("2"))), (Encoding::Ucs2, vec![0x04, 0x16]));
        assert_eq!(read(&asked(&[0, 0xFF], "", Some("1"))), (Encoding::Binary, vec![0, 0xFF]));
        let with_header = Asked { udh: vec![1, 0], ..asked(&[7], "", None) };
        assert_eq!(read(&with_header), (Encoding::Binary, vec![7]));
        assert_eq!(decoded(&asked(b"x", "EBCDIC", None), None).unwrap_err().place(), Some("charset"));
        assert_eq!(content(&asked(b"x", "", None), Some(3), false).unwrap_err().place(), Some("coding"));
    }

    #[test]
    fn refusals_are_in_kannels_words() {
        let told = |code| {
            let said = refused(&Error::new(code, "why"));
            (said.status, said.body)
        };
        assert_eq!(told(Code::QueueFull), (503, "Temporal failure, try again later.".to_owned()));
        assert_eq!(told(Code::Unavailable), (503, "Temporal failure, try again later.".to_owned()));
        assert_eq!(told(Code::NoRoute), (403, "Not routable. Do not try again.".to_owned()));
        assert_eq!(told(Code::InvalidRecipient), (400, "why, rejected".to_owned()));
    }

    #[test]
    fn numbers_are_read_in_every_form() {
        for text in ["+33612345678", "0033612345678", "33612345678"] {
            assert_eq!(number(text).addr.as_str(), "33612345678");
        }
        assert_eq!((source("ACME").ton, source("10000").ton), (Ton::ALPHANUMERIC, Ton::UNKNOWN));
    }
}
