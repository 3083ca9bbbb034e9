//! What a provider sends to our hooks: receipts and messages from phones. It is verified, then read; nothing here keeps it.

use std::borrow::Cow;

use serde_json::Value;
use smpp::{Address, EsmClass, Npi, Sm, Ton};
use sms::{ConcatRef, Encoding, MessageState, Width, analysis};

use super::Flaw;
use super::description::{Description, HookReply, Signature, Standing};
use super::sign::{self, Coding, Hash};
use super::source::{self, Came, Source};
use super::template::{Template, Values, unhex};
use crate::report::Receipt;

/// Receipts or messages in one request.
const LIST_MAX: usize = 1_000;
/// The longest reason that is kept.
const ERROR_CHARS_MAX: usize = 200;
/// Fields of one request.
const FIELDS_MAX: usize = 200;

/// A request to a hook.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The hook's whole address as the provider knows it, with the query.
    pub url: &'a str,
    /// The query.
    pub query: &'a str,
    /// Its headers.
    pub headers: &'a [(String, String)],
    /// Its body.
    pub body: &'a [u8],
    /// Our time, Unix seconds.
    pub now_s: i64,
}

/// Why nothing was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It does not prove where it is from.
    Unproven(String),
    /// It cannot be read.
    Unreadable(String),
    /// The connection's description reads nothing of the kind.
    NotDescribed,
}

/// What a connection's hooks take, ready for use.
#[derive(Debug, Clone)]
pub struct Hooks {
    secret: String,
    proof: Proof,
    receipts: Option<ReceiptPlan>,
    inbound: Option<InboundPlan>,
    reply: HookReply,
}

#[derive(Debug, Clone)]
enum Proof {
    None,
    Basic(String),
    Token {
        at: Source,
        prefix: String,
    },
    Hmac {
        hash: Hash,
        over: Template,
        at: Source,
        prefix: String,
        coding: Coding,
        timestamp: Source,
        tolerance_s: i64,
    },
}

#[derive(Debug, Clone)]
struct ReceiptPlan {
    list: String,
    id: Source,
    state: Source,
    detail: Source,
    states: std::collections::BTreeMap<String, Standing>,
    error: Source,
    to: Source,
    from: Source,
}

#[derive(Debug, Clone)]
struct InboundPlan {
    list: String,
    from: Source,
    to: Source,
    text: Source,
    charset: Source,
    binary: Source,
    data_coding: Source,
    udh: Source,
    reference: Source,
    parts: Source,
    part: Source,
}

fn place(at: &str, text: &str) -> Result<Source, Flaw> {
    let flaw = |why: String| Flaw { at: at.to_owned(), why };
    match Source::read(text).map_err(flaw)? {
        Source::Reference => Err(flaw("the name that we gave stands in answers only".to_owned())),
        source => Ok(source),
    }
}

fn list(at: &str, text: &str) -> Result<String, Flaw> {
    if text.is_empty() || text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(Flaw { at: at.to_owned(), why: format!("{text:?} is no JSON Pointer, such as /results") })
}

impl Hooks {
    /// Reads what a description says of them; `secret` is what proves a sender.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(described: &Description, secret: &str) -> Result<Self, Flaw> {
        let receipts = &described.receipts;
        let inbound = &described.inbound;
        let receipt_plan = ReceiptPlan {
            list: list("receipts.list", &receipts.list)?,
            id: place("receipts.id", &receipts.id)?,
            state: place("receipts.state", &receipts.state)?,
            detail: place("receipts.detail", &receipts.detail)?,
            states: receipts.states.clone(),
            error: place("receipts.error", &receipts.error)?,
            to: place("receipts.to", &receipts.to)?,
            from: place("receipts.from", &receipts.from)?,
        };
        let inbound_plan = InboundPlan {
            list: list("inbound.list", &inbound.list)?,
            from: place("inbound.from", &inbound.from)?,
            to: place("inbound.to", &inbound.to)?,
            text: place("inbound.text", &inbound.text)?,
            charset: place("inbound.charset", &inbound.charset)?,
            binary: place("inbound.binary", &inbound.binary)?,
            data_coding: place("inbound.data_coding", &inbound.data_coding)?,
            udh: place("inbound.udh", &inbound.udh)?,
            reference: place("inbound.reference", &inbound.reference)?,
            parts: place("inbound.parts", &inbound.parts)?,
            part: place("inbound.part", &inbound.part)?,
        };
        Ok(Self {
            secret: secret.to_owned(),
            proof: proof(&described.signature)?,
            receipts: receipt_plan.id.is_somewhere().then_some(receipt_plan),
            inbound: inbound_plan.from.is_somewhere().then_some(inbound_plan),
            reply: described.reply.clone(),
        })
    }

    /// What is answered when all is kept.
    pub fn reply(&self) -> &HookReply {
        &self.reply
    }

    /// Whether receipts are read.
    pub fn has_receipts(&self) -> bool {
        self.receipts.is_some()
    }

    /// Whether messages from phones are read.
    pub fn has_inbound(&self) -> bool {
        self.inbound.is_some()
    }

    /// The receipts in a request.
    ///
    /// # Errors
    /// [`Refused`]: nothing was taken.
    pub fn receipts(&self, request: &Request<'_>) -> Result<Vec<Receipt>, Refused> {
        let plan = self.receipts.as_ref().ok_or(Refused::NotDescribed)?;
        self.each(request, &plan.list, |came| plan.read(came))
    }

    /// The messages from phones in a request, in the fields of deliver_sm.
    ///
    /// # Errors
    /// [`Refused`]: nothing was taken.
    pub fn inbound(&self, request: &Request<'_>) -> Result<Vec<Sm>, Refused> {
        let plan = self.inbound.as_ref().ok_or(Refused::NotDescribed)?;
        self.each(request, &plan.list, |came| plan.read(came))
    }

    fn each<T>(
        &self,
        request: &Request<'_>,
        list: &str,
        read: impl Fn(&Came<'_>) -> Result<T, String>,
    ) -> Result<Vec<T>, Refused> {
        let content_type = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let form =
            content_type.is_some_and(|(_, value)| value.starts_with("application/x-www-form-urlencoded"));
        let of_query = source::fields(request.query.as_bytes());
        let of_form = if form { source::fields(request.body) } else { Vec::new() };
        let fields = [of_query.as_slice(), of_form.as_slice()].concat();
        if fields.len() > FIELDS_MAX {
            return Err(Refused::Unreadable(format!("it has more than {FIELDS_MAX} fields")));
        }
        let json: Option<Value> = if form { None } else { serde_json::from_slice(request.body).ok() };
        let came = Came {
            fields: &fields,
            json: json.as_ref(),
            headers: request.headers,
            body: request.body,
            reference: "",
        };
        self.verify(request, &came, &of_form)?;
        if list.is_empty() {
            return read(&came).map(|one| vec![one]).map_err(Refused::Unreadable);
        }
        let found = json.as_ref().and_then(|json| json.pointer(list)).and_then(Value::as_array);
        let found = found.ok_or_else(|| Refused::Unreadable(format!("there is no list at {list}")))?;
        if found.len() > LIST_MAX {
            return Err(Refused::Unreadable(format!("it has more than {LIST_MAX} entries")));
        }
        found.iter().map(|one| read(&Came { json: Some(one), ..came }).map_err(Refused::Unreadable)).collect()
    }

    fn verify(
        &self,
        request: &Request<'_>,
        came: &Came<'_>,
        of_form: &[(String, Vec<u8>)],
    ) -> Result<(), Refused> {
        let unproven = |why: &str| Err(Refused::Unproven(why.to_owned()));
        match &self.proof {
            Proof::None => Ok(()),
            Proof::Basic(user) => {
                let pair = format!("{user}:{}", self.secret);
                let given = Source::Header("authorization".to_owned()).text(came).unwrap_or_default();
                let given = given.strip_prefix("Basic ").and_then(sign::unbase64).unwrap_or_default();
                match sign::same(&pair, &String::from_utf8_lossy(&given)) {
                    true => Ok(()),
                    false => unproven("the name or password is wrong"),
                }
            }
            Proof::Token { at, prefix } => {
                let given = at.text(came).unwrap_or_default();
                match given.strip_prefix(prefix.as_str()).is_some_and(|given| sign::same(&self.secret, given))
                {
                    true => Ok(()),
                    false => unproven("the token is missing or wrong"),
                }
            }
            Proof::Hmac { hash, over, at, prefix, coding, timestamp, tolerance_s } => {
                let given = at.text(came).unwrap_or_default();
                let Some(given) = given.strip_prefix(prefix.as_str()) else {
                    return unproven("the signature is missing");
                };
                let told = timestamp.text(came).unwrap_or_default();
                let signed = Signed { request, came, of_form, at, timestamp: &told };
                let message =
                    over.render(&signed, |value, out| out.extend_from_slice(value)).unwrap_or_default();
                if !hash.is_signed(&self.secret, &message, *coding, given) {
                    return unproven("the signature is wrong");
                }
                if timestamp.is_somewhere() {
                    let at_s: Option<i64> = told.parse().ok();
                    if at_s.is_none_or(|at_s| (at_s - request.now_s).abs() > *tolerance_s) {
                        return unproven("it was signed too long ago");
                    }
                }
                Ok(())
            }
        }
    }
}

fn proof(signature: &Signature) -> Result<Proof, Flaw> {
    Ok(match signature {
        Signature::None => Proof::None,
        Signature::Basic { user } => Proof::Basic(user.clone()),
        Signature::Token { at, prefix } => {
            Proof::Token { at: place("signature.at", at)?, prefix: prefix.clone() }
        }
        Signature::Hmac { hash, over, at, prefix, coding, timestamp, tolerance_s } => {
            let signed = ["url", "body", "timestamp", "fields", "pairs"];
            let over = Template::read(over, |name| signed.contains(&name))
                .map_err(|why| Flaw { at: "signature.over".to_owned(), why })?;
            Proof::Hmac {
                hash: *hash,
                over,
                at: place("signature.at", at)?,
                prefix: prefix.clone(),
                coding: *coding,
                timestamp: place("signature.timestamp", timestamp)?,
                tolerance_s: i64::from(*tolerance_s),
            }
        }
    })
}

/// What a signature can be over.
struct Signed<'a> {
    request: &'a Request<'a>,
    came: &'a Came<'a>,
    of_form: &'a [(String, Vec<u8>)],
    at: &'a Source,
    timestamp: &'a str,
}

impl Values for Signed<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        Some(match name {
            "url" => Cow::Borrowed(self.request.url.as_bytes()),
            "body" => Cow::Borrowed(self.request.body),
            "timestamp" => Cow::Borrowed(self.timestamp.as_bytes()),
            "fields" => {
                let mut sorted = self.of_form.to_vec();
                sorted.sort();
                Cow::Owned(
                    sorted
                        .into_iter()
                        .flat_map(|(name, value)| [name.into_bytes(), value].concat())
                        .collect(),
                )
            }
            "pairs" => Cow::Owned(self.pairs()),
            _ => return None,
        })
    }
}

impl Signed<'_> {
    /// `&name=value` of each field but the signature's own, sorted by name.
    fn pairs(&self) -> Vec<u8> {
        let of_json = self.came.json.and_then(Value::as_object);
        let of_json = of_json.into_iter().flatten().map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), value.into_bytes())
        });
        let mut all: Vec<_> = self.came.fields.iter().cloned().chain(of_json).collect();
        all.retain(|(name, _)| !matches!(self.at, Source::Field(own) if own == name));
        all.sort();
        let plain = |octet: u8| if matches!(octet, b'&' | b'=') { b'_' } else { octet };
        all.into_iter()
            .flat_map(|(name, value)| {
                let value: Vec<u8> = value.into_iter().map(plain).collect();
                [b"&".to_vec(), name.into_bytes(), b"=".to_vec(), value].concat()
            })
            .collect()
    }
}

impl ReceiptPlan {
    fn read(&self, came: &Came<'_>) -> Result<Receipt, String> {
        let message_id = self.id.text(came).ok_or("a receipt names no message")?;
        let word = self.state.text(came).ok_or("a receipt names no state")?;
        let named = |word: &str| self.states.get(word).copied();
        let exact = self.detail.text(came).as_deref().and_then(named).or_else(|| named(&word));
        let begun = if exact.is_none() { self.beginning(&word) } else { None };
        let state = match exact.or(begun) {
            Some(Standing::Enroute) => MessageState::Enroute,
            Some(Standing::Delivered) => MessageState::Delivered,
            Some(Standing::Expired) => MessageState::Expired,
            Some(Standing::Deleted) => MessageState::Deleted,
            Some(Standing::Undeliverable) => MessageState::Undeliverable,
            Some(Standing::Rejected) => MessageState::Rejected,
            Some(Standing::Unknown) | None => MessageState::Unknown,
        };
        Ok(Receipt {
            phone: self.to.text(came).unwrap_or_default(),
            sender: self.from.text(came).unwrap_or_default(),
            message_id,
            state,
            error: match state {
                MessageState::Delivered | MessageState::Enroute => None,
                _ => {
                    let told = self.error.text(came).filter(|error| error.chars().any(|ch| ch != '0'));
                    // One of many names says more than the state that it stands for.
                    told.or_else(|| begun.map(|_| word))
                }
            }
            .map(|error| error.chars().filter(|ch| !ch.is_control()).take(ERROR_CHARS_MAX).collect()),
        })
    }

    /// What the longest beginning of a word stands for.
    fn beginning(&self, word: &str) -> Option<Standing> {
        let beginnings =
            self.states.iter().filter_map(|(name, state)| Some((name.strip_suffix('*')?, *state)));
        let fits = beginnings.filter(|(beginning, _)| word.starts_with(beginning));
        fits.max_by_key(|(beginning, _)| beginning.len()).map(|(_, state)| state)
    }
}

impl InboundPlan {
    fn read(&self, came: &Came<'_>) -> Result<Sm, String> {
        let from = self.from.text(came).ok_or("a message names no phone")?;
        let to = self.to.text(came).ok_or("a message names no number of ours")?;
        let header = match self.udh.text(came) {
            None => self.place_in_whole(came),
            Some(text) => match self.udh.find(came) {
                // Octets as they are, which begin with how many follow.
                Some(raw) if raw.first().is_some_and(|length| usize::from(*length) + 1 == raw.len()) => raw,
                _ => unhex(&text).ok_or("the user data header is not hexadecimal")?,
            },
        };
        let (data_coding, body) = match self.binary.text(came) {
            Some(text) => (self.scheme(came)?, unhex(&text).ok_or("the binary content is not hexadecimal")?),
            None => self.told_as_text(came),
        };
        Ok(Sm {
            source: address(&from),
            destination: address(&to),
            esm_class: EsmClass::DEFAULT.with_udhi(!header.is_empty()),
            data_coding: smpp::DataCoding(data_coding),
            short_message: [header, body].concat(),
            ..Sm::default()
        })
    }

    /// The data coding scheme of what stands in hexadecimal.
    fn scheme(&self, came: &Came<'_>) -> Result<u8, String> {
        if !self.data_coding.is_somewhere() {
            return Ok(Encoding::Binary.data_coding());
        }
        let found = self.data_coding.find(came).unwrap_or_default();
        match found.as_slice() {
            [] => Ok(0),
            // Jasmin sends the octet itself.
            [octet] if !octet.is_ascii_digit() => Ok(*octet),
            text => String::from_utf8_lossy(text)
                .trim()
                .parse()
                .map_err(|_| "the data coding scheme is not from 0 to 255".to_owned()),
        }
    }

    /// The data coding scheme and the octets of what stands as text.
    fn told_as_text(&self, came: &Came<'_>) -> (u8, Vec<u8>) {
        let octets = self.text.find(came).unwrap_or_default();
        let charset = self.charset.text(came).unwrap_or_default().to_ascii_uppercase();
        // By its name, or as data_coding or Kannel's coding numbers it.
        let text = match charset.as_str() {
            "8-BIT" | "BINARY" | "1" => return (Encoding::Binary.data_coding(), octets),
            "UCS2" | "UCS-2" | "8" | "2" => Encoding::Ucs2.decode(&octets),
            wide if wide.starts_with("UTF-16") => Encoding::Ucs2.decode(&octets),
            _ => String::from_utf8_lossy(&octets).into_owned(),
        };
        let encoding = sms::count(&text, &analysis::Options::default()).encoding;
        (encoding.data_coding(), encoding.encode_lossy(&text))
    }

    /// The user data header of a part whose place is told in fields; empty for a whole message.
    fn place_in_whole(&self, came: &Came<'_>) -> Vec<u8> {
        let number = |source: &Source| source.text(came).and_then(|text| text.parse::<u32>().ok());
        let place = || {
            let [low, high, ..] = number(&self.reference)?.to_le_bytes();
            let (total, part) =
                (u8::try_from(number(&self.parts)?).ok()?, u8::try_from(number(&self.part)?).ok()?);
            ConcatRef::new(u16::from_le_bytes([low, high]), Width::Bits16, total, part)
        };
        place().map(|place| sms::udh::build(Some(place), sms::Alphabet::DEFAULT, &[])).unwrap_or_default()
    }
}

fn address(text: &str) -> Address {
    let digits = text.trim_start_matches('+');
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Address::alphanumeric(text);
    }
    if digits.len() > 6 {
        Address::international(digits)
    } else {
        Address::new(Ton::UNKNOWN, Npi::UNKNOWN, digits)
    }
}
