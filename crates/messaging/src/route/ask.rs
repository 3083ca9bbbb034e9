//! A message, as far as routes care, and the world that it is asked about in.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use runtime::Clock;
use smpp::TlvsRef;
use sms::Encoding;
use types::{AccountId, TenantId, Timestamp};

use super::rule::{Source, TlvMatch};
use super::traffic::{self, Detected};
use crate::intent::Intent;
use crate::lookup::{Network, Networks};
use crate::message::Outgoing;

/// A message, as far as routes care. What costs something to know, such as its text or its network, is found out when a
/// rule asks for it, and once.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// Whose it is.
    pub tenant: TenantId,
    /// The account that sends it; none for the API.
    pub account: Option<AccountId>,
    /// Its sender's digits without `+`, or name.
    pub sender: &'a str,
    /// Its recipient's digits without `+`.
    pub recipient: &'a str,
    /// What it is for.
    pub intent: Intent,
    /// Its text, where it has been read already.
    pub text: Option<&'a str>,
    /// Its content in its encoding.
    pub octets: &'a [u8],
    /// Whether the content begins with a user data header.
    pub udhi: bool,
    /// Its encoding.
    pub encoding: Encoding,
    /// Its parts.
    pub parts: u8,
    /// Its SMPP service type; empty for none.
    pub service_type: &'a str,
    /// Its optional parameters.
    pub tlvs: Tlvs<'a>,
    /// When it is to go; now when not given.
    pub at: Option<Timestamp>,
    /// Whether only the simulator may take it.
    pub test: bool,
    /// What was found out.
    pub(crate) found: Found<'a>,
}

/// What was found out about a message, because a rule asked for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found<'a> {
    text: OnceCell<Cow<'a, str>>,
    traffic: OnceCell<Detected>,
    pub(crate) network: OnceCell<Network>,
    moment: OnceCell<Timestamp>,
}

impl<'a> Ask<'a> {
    /// A message without content, which its rules see as one empty part.
    pub fn new(
        tenant: TenantId,
        account: Option<AccountId>,
        sender: &'a str,
        recipient: &'a str,
        intent: Intent,
    ) -> Self {
        Self {
            tenant,
            account,
            sender,
            recipient,
            intent,
            text: None,
            octets: &[],
            udhi: false,
            encoding: Encoding::GSM7,
            parts: 1,
            service_type: "",
            tlvs: Tlvs::None,
            at: None,
            test: false,
            found: Found::default(),
        }
    }

    /// The same message from another sender.
    pub(crate) fn by_another<'b>(&self, sender: &'b str) -> Ask<'b>
    where
        'a: 'b,
    {
        let Ask {
            tenant, account, recipient, intent, text, octets, udhi, encoding, parts, service_type, ..
        } = *self;
        let (tlvs, at, test) = (self.tlvs, self.at, self.test);
        let found = Found::default();
        Ask {
            tenant,
            account,
            sender,
            recipient,
            intent,
            text,
            octets,
            udhi,
            encoding,
            parts,
            service_type,
            tlvs,
            at,
            test,
            found,
        }
    }

    /// A message that was accepted before.
    pub fn of(message: &'a Outgoing) -> Self {
        let options = message.options.as_deref();
        Self {
            octets: &message.body,
            udhi: options.is_some_and(|options| smpp::EsmClass(options.esm_class).udhi()),
            encoding: message.encoding,
            parts: message.parts,
            service_type: options.map_or("", |options| options.service_type.as_str()),
            tlvs: options.map_or(Tlvs::None, |options| Tlvs::Kept(&options.tlvs)),
            test: options.is_some_and(|options| options.test),
            ..Self::new(
                message.tenant,
                message.account,
                &message.sender.text,
                &message.recipient.text,
                message.intent,
            )
        }
    }

    /// How it came in: what has an account came over SMPP.
    pub const fn source(&self) -> Source {
        match self.account {
            Some(_) => Source::Smpp,
            None => Source::Http,
        }
    }

    /// Its text; empty for binary content.
    pub fn text(&self) -> &str {
        self.found.text.get_or_init(|| match self.text {
            Some(text) => Cow::Borrowed(text),
            None if self.encoding == Encoding::Binary => Cow::Borrowed(""),
            None => {
                let split = self.udhi.then(|| sms::udh::split(self.octets).ok()).flatten();
                Cow::Owned(self.encoding.decode(split.map_or(self.octets, |(_, body)| body)))
            }
        })
    }

    /// What its text reads like.
    pub fn traffic(&self) -> &Detected {
        self.found.traffic.get_or_init(|| traffic::detect(self.text()))
    }

    /// The network of its recipient, as far as it is known without asking anybody.
    pub fn network(&self, world: &World) -> &Network {
        self.found.network.get_or_init(|| world.networks.of(self.tenant, self.recipient, world.clock.now()))
    }

    /// When it is to go.
    pub fn moment(&self, world: &World) -> Timestamp {
        *self.found.moment.get_or_init(|| self.at.unwrap_or_else(|| world.clock.now()))
    }
}

/// A message's optional parameters: as they came, or as they are kept with it.
#[derive(Debug, Clone, Copy)]
pub enum Tlvs<'a> {
    /// None at all.
    None,
    /// As they stand in a PDU.
    Wire(TlvsRef<'a>),
    /// Tag and octets in lower-case hex.
    Kept(&'a [(u16, String)]),
}

impl Tlvs<'_> {
    /// Whether a parameter is there, with the octets that are asked for.
    pub fn have(self, wanted: &TlvMatch) -> bool {
        match self {
            Self::None => false,
            Self::Wire(tlvs) => tlvs.iter().any(|(tag, octets)| {
                tag.0 == wanted.tag && wanted.hex.as_deref().is_none_or(|hex| same_octets(octets, hex))
            }),
            Self::Kept(tlvs) => tlvs.iter().any(|(tag, octets)| {
                *tag == wanted.tag && wanted.hex.as_deref().is_none_or(|hex| octets.eq_ignore_ascii_case(hex))
            }),
        }
    }
}

/// Whether octets are those that a lower-case hex text writes.
fn same_octets(octets: &[u8], hex: &str) -> bool {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let written =
        octets.iter().flat_map(|octet| [octet >> 4, octet & 15]).map(|digit| DIGITS[usize::from(digit)]);
    hex.len() == octets.len() * 2 && written.eq(hex.bytes())
}

/// What a decision may ask beside the message.
#[derive(Debug, Clone)]
pub struct World {
    /// What time it is.
    pub clock: Clock,
    /// Which network a number is of.
    pub networks: Arc<Networks>,
}

impl Default for World {
    fn default() -> Self {
        Self { clock: Clock::system(), networks: Arc::default() }
    }
}
