//! From a message to what goes over one carrier's wire: coding, parts, addresses and parameters by the connection's dialect.

use smpp::{AddressRef, DataCoding, EsmClass, Npi, RegisteredDelivery, Sar, SmRef, SmppTime, Tag, Tlvs, Ton};
use sms::analysis::Options as Choice;
use sms::segment::{self, Options as Split};
use sms::{Encoding, Width};
use types::{Address, Timestamp};

use crate::Intent;
use crate::connection::{self, Alphabet, ConnectionSettings, LongMessages, Protocol, TimeFormat, Version};
use crate::message::Outgoing;

/// The dialect of one connection, made once for each link.
#[derive(Debug, Clone)]
pub struct Dialect {
    settings: ConnectionSettings,
    extra: Vec<(u16, Vec<u8>)>,
    /// Octets that short_message holds.
    short_max: usize,
    /// What a text may be coded in that would go as UCS-2.
    narrower: Choice,
}

/// What is common to a message's parts.
pub struct Assembled {
    parts: Vec<Piece>,
    data_coding: u8,
    esm_class: u8,
    validity: String,
    /// The recipient, where the carrier wants it in another form.
    recipient: Option<String>,
}

/// One part.
pub struct Piece {
    number: u8,
    content: Vec<u8>,
    tlvs: Tlvs,
    udhi: bool,
}

impl Dialect {
    /// The dialect of a connection.
    pub fn new(settings: &ConnectionSettings) -> Self {
        let extra =
            settings.extra.iter().map(|extra| (extra.tag, crate::journal::unhex(&extra.hex))).collect();
        Self {
            settings: settings.clone(),
            extra,
            short_max: if settings.version == Version::V50 { 255 } else { 254 },
            narrower: Choice {
                languages: settings
                    .national_tables
                    .iter()
                    .filter_map(|name| connection::language(name))
                    .collect(),
                latin1: false,
                replace: settings.smart_replace,
                width: if settings.long_messages == LongMessages::Udh16 {
                    Width::Bits16
                } else {
                    Width::Bits8
                },
            },
        }
    }

    /// Whether what is sent carries our own name for the message.
    pub fn names_messages(&self) -> bool {
        self.settings.protocol == Protocol::Http
    }

    /// Whether PDUs are kept.
    pub fn keeps_pdus(&self) -> bool {
        self.settings.keep_pdus
    }

    /// Splits and codes a message.
    ///
    /// # Errors
    /// Why it cannot be sent over this connection.
    pub fn assemble(&self, message: &Outgoing, now: Timestamp) -> Result<Assembled, String> {
        let options = message.options.as_deref();
        let esm_class = options.map_or(0, |options| options.esm_class);
        let passes_header = EsmClass(esm_class).udhi();
        let (body, encoding, data_coding) = self.coded(message)?;
        let mut tlvs = Tlvs::default();
        for (tag, value) in &self.extra {
            tlvs.push(Tag(*tag), value)
                .map_err(|_| "a parameter of the connection is too long".to_owned())?;
        }
        for (tag, value) in options.map_or(&[][..], |options| &options.tlvs) {
            tlvs.push(Tag(*tag), &crate::journal::unhex(value))
                .map_err(|_| "a parameter is too long".to_owned())?;
        }
        let split = self.split(message);
        let mail = self.settings.protocol == Protocol::Mail;
        let whole = passes_header || mail || self.settings.long_messages == LongMessages::Payload;
        let parts = if whole {
            vec![whole_piece(&body, tlvs, passes_header)?]
        } else {
            split_pieces(&body, encoding, &split, self.settings.long_messages, &tlvs)?
        };
        let parts = parts
            .into_iter()
            .filter(|piece| !message.parts_done.contains(piece.number))
            .map(|piece| self.fit(piece))
            .collect::<Result<Vec<_>, String>>()?;
        let validity = validity(message, self.settings.validity_format, now);
        Ok(Assembled { parts, data_coding, esm_class, validity, recipient: self.recipient(message) })
    }

    /// The body in what the carrier takes the coding for.
    fn coded<'a>(&self, message: &'a Outgoing) -> Result<(std::borrow::Cow<'a, [u8]>, Encoding, u8), String> {
        let own = (message.body.as_slice().into(), message.encoding, message.data_coding);
        // Every text in the one coding that has all characters; whoever writes the mail codes it anew.
        let headed = message.options.as_deref().is_some_and(|options| EsmClass(options.esm_class).udhi());
        if self.settings.protocol == Protocol::Mail && message.encoding != Encoding::Binary && !headed {
            let text = message.encoding.decode(&message.body);
            return Ok((Encoding::Ucs2.encode_lossy(&text).into(), Encoding::Ucs2, 8));
        }
        if self.settings.protocol != Protocol::Smpp {
            return Ok(match message.encoding {
                Encoding::Gsm7(_) | Encoding::Ucs2 | Encoding::Binary => own,
                // They know the alphabets of 3GPP TS 23.038 and no others.
                other => {
                    let text = other.decode(&message.body);
                    match Encoding::GSM7.encode(&text) {
                        Ok(septets) => (septets.into(), Encoding::GSM7, 0),
                        Err(_) => (Encoding::Ucs2.encode_lossy(&text).into(), Encoding::Ucs2, 8),
                    }
                }
            });
        }
        if let Some(narrower) = self.narrower(message) {
            return Ok(narrower);
        }
        if message.data_coding != 0 || !matches!(message.encoding, Encoding::Gsm7(_)) {
            return Ok(own);
        }
        let text = || message.encoding.decode(&message.body);
        match self.settings.default_alphabet {
            Alphabet::Gsm7 => Ok(own),
            Alphabet::Gsm7Packed => {
                Err("packed septets can carry single parts only, and are not spoken here".to_owned())
            }
            Alphabet::Latin1 => match Encoding::Latin1.encode(&text()) {
                Ok(octets) => Ok((octets.into(), Encoding::Latin1, 0)),
                Err(_) => Ok((Encoding::Ucs2.encode_lossy(&text()).into(), Encoding::Ucs2, 8)),
            },
            Alphabet::Ucs2 => Ok((Encoding::Ucs2.encode_lossy(&text()).into(), Encoding::Ucs2, 0)),
        }
    }

    /// A UCS-2 text in GSM septets, where the connection allows that and it takes no more parts.
    fn narrower(&self, message: &Outgoing) -> Option<(std::borrow::Cow<'static, [u8]>, Encoding, u8)> {
        let headers = matches!(self.settings.long_messages, LongMessages::Udh8 | LongMessages::Udh16);
        let gsm = self.settings.default_alphabet == Alphabet::Gsm7;
        let allowed = gsm && (self.narrower.replace || (headers && !self.narrower.languages.is_empty()));
        let split_already = message.options.as_deref().is_some_and(|options| {
            EsmClass(options.esm_class).udhi()
                || options.tlvs.iter().any(|(tag, _)| *tag == Tag::SAR_MSG_REF_NUM.0)
        });
        if !allowed || split_already || message.data_coding != 8 || message.encoding != Encoding::Ucs2 {
            return None;
        }
        let text = message.encoding.decode(&message.body);
        let text = if self.narrower.replace { sms::analysis::replace(&text) } else { text.as_str().into() };
        let languages = if headers { self.narrower.languages.clone() } else { Vec::new() };
        let encoding = sms::count(&text, &Choice { languages, ..self.narrower.clone() }).encoding;
        let Encoding::Gsm7(_) = encoding else { return None };
        Some((encoding.encode(&text).ok()?.into(), encoding, 0))
    }

    fn split(&self, message: &Outgoing) -> Split {
        let width =
            if self.settings.long_messages == LongMessages::Udh16 { Width::Bits16 } else { Width::Bits8 };
        // From the id: the same at every try, and different between messages that follow each other.
        let raw = message.id.raw().unsigned_abs();
        Split { reference: (raw ^ (raw >> 21)) as u16, width, ..Split::default() }
    }

    /// Content that does not fit short_message goes into message_payload.
    fn fit(&self, mut piece: Piece) -> Result<Piece, String> {
        if piece.content.len() > self.short_max {
            piece
                .tlvs
                .set_message_payload(&piece.content)
                .map_err(|_| "the content is too long".to_owned())?;
            piece.content.clear();
        }
        Ok(piece)
    }

    /// A sender as this carrier is given it.
    pub(crate) fn sender(&self, address: &Address) -> smpp::Address {
        self.source(address).to_owned()
    }

    fn source<'a>(&self, address: &'a Address) -> AddressRef<'a> {
        AddressRef {
            ton: Ton(self.settings.source_ton.unwrap_or(address.ton.0)),
            npi: Npi(self.settings.source_npi.unwrap_or(address.npi.0)),
            addr: address.text.as_bytes(),
        }
    }

    /// The recipient as this carrier wants its numbers, where that is another form.
    fn recipient(&self, message: &Outgoing) -> Option<String> {
        let text = message.recipient.text.as_str();
        let (strip, prefix) = (self.settings.dest_strip.as_str(), self.settings.dest_prefix.as_str());
        if strip.is_empty() && prefix.is_empty() {
            return None;
        }
        text.strip_prefix(strip).map(|rest| format!("{prefix}{rest}"))
    }

    /// priority_flag: the message's own, or that of its intent.
    fn priority(&self, message: &Outgoing) -> u8 {
        let own = message.options.as_deref().map_or(0, |options| options.priority);
        let of_intent = match message.intent {
            Intent::Otp => self.settings.priority_otp,
            Intent::Transactional => self.settings.priority_transactional,
            Intent::Marketing => self.settings.priority_marketing,
        };
        if own == 0 { of_intent.unwrap_or(0) } else { own }
    }

    /// A part's PDU.
    pub fn sm<'a>(&'a self, message: &'a Outgoing, assembled: &'a Assembled, piece: &'a Piece) -> SmRef<'a> {
        let options = message.options.as_deref();
        SmRef {
            service_type: match options {
                Some(options) if !options.service_type.is_empty() => options.service_type.as_bytes(),
                _ => self.settings.service_type.as_bytes(),
            },
            source: self.source(&message.sender),
            destination: AddressRef {
                ton: Ton(self.settings.dest_ton.unwrap_or(message.recipient.ton.0)),
                npi: Npi(self.settings.dest_npi.unwrap_or(message.recipient.npi.0)),
                addr: assembled.recipient.as_ref().unwrap_or(&message.recipient.text).as_bytes(),
            },
            // The message type bits are for receipts and acknowledgements, which are not a submit's to set.
            esm_class: EsmClass(assembled.esm_class & 0x83).with_udhi(piece.udhi),
            protocol_id: self
                .settings
                .protocol_id
                .unwrap_or(options.map_or(0, |options| options.protocol_id)),
            priority_flag: self.priority(message),
            validity_period: assembled.validity.as_bytes(),
            replace_if_present_flag: u8::from(self.settings.replace_if_present),
            // Always asked for: what became of a message is known even where its sender did not ask. What comes on the way
            // and the phone's own acknowledgements are its sender's to ask for.
            registered_delivery: RegisteredDelivery(
                self.settings.registered_delivery.unwrap_or(FINAL | (message.registered & ASKED)),
            ),
            data_coding: DataCoding(assembled.data_coding),
            short_message: &piece.content,
            tlvs: piece.tlvs.view(),
            ..SmRef::default()
        }
    }
}

impl Piece {
    /// Its number, from 1.
    pub fn number(&self) -> u8 {
        self.number
    }
}

impl Assembled {
    /// How many PDUs it takes.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Its parts that are still to be sent.
    pub fn pieces(&self) -> &[Piece] {
        &self.parts
    }

    /// Whether there is nothing left to send.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

fn whole_piece(body: &[u8], tlvs: Tlvs, udhi: bool) -> Result<Piece, String> {
    Ok(Piece { number: 1, content: body.to_vec(), tlvs, udhi })
}

fn split_pieces(
    body: &[u8],
    encoding: Encoding,
    split: &Split,
    form: LongMessages,
    tlvs: &Tlvs,
) -> Result<Vec<Piece>, String> {
    let parts = segment::segment(body, encoding, split).map_err(|error| error.to_string())?;
    let mut pieces = Vec::with_capacity(parts.len());
    for part in parts {
        let mut tlvs = tlvs.clone();
        let number = part.concatenation.map_or(1, |place| place.part);
        let (content, udhi) = match (form, part.concatenation) {
            (LongMessages::Sar, Some(place)) => {
                tlvs.set_sar(Sar { reference: place.reference, total: place.total, sequence: place.part });
                (part.payload.to_vec(), false)
            }
            _ => (part.short_message(), part.has_header()),
        };
        pieces.push(Piece { number, content, tlvs, udhi });
    }
    Ok(pieces)
}

/// registered_delivery: the final outcome (SMPP v5 §4.7.21).
const FINAL: u8 = 1;
/// And what a message may ask for besides: acknowledgements of the phone and its user, intermediate notifications.
const ASKED: u8 = 0b1_1100;

/// What is left of a validity that its sender chose, as SMPP writes it; the carrier's own default otherwise.
fn validity(message: &Outgoing, format: TimeFormat, now: Timestamp) -> String {
    let written = match format {
        _ if !message.validity_chosen => return String::new(),
        TimeFormat::None => return String::new(),
        TimeFormat::Absolute => smpp::time::format_absolute(message.expires_at.unix_ms(), 0).ok(),
        TimeFormat::Relative => {
            let left_s = (message.expires_at.since_ms(now) / 1_000).max(1);
            let part = |seconds: i64, of: i64| u8::try_from(left_s / seconds % of).unwrap_or(0);
            let days = u8::try_from(left_s / 86_400).unwrap_or(u8::MAX).min(99);
            let (hours, minutes, seconds) = (part(3_600, 24), part(60, 60), part(1, 60));
            SmppTime::Relative { years: 0, months: 0, days, hours, minutes, seconds }.format().ok()
        }
    };
    written.map(|text| text.as_str().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
