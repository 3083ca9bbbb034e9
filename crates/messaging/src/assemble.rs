//! From a message to what goes over one carrier's wire: coding, parts, addresses and parameters by the connection's dialect.

use smpp::{AddressRef, DataCoding, EsmClass, Npi, RegisteredDelivery, Sar, SmRef, Tag, Tlvs, Ton};
use sms::segment::{self, Options as Split};
use sms::{Encoding, Width};
use types::Address;

use crate::connection::{Alphabet, ConnectionSettings, LongMessages, Protocol, ReceiptIds, Version};
use crate::message::Outgoing;

/// The dialect of one connection, made once for each link.
#[derive(Debug, Clone)]
pub struct Dialect {
    settings: ConnectionSettings,
    extra: Vec<(u16, Vec<u8>)>,
    /// Octets that short_message holds.
    short_max: usize,
}

/// What is common to a message's parts.
pub struct Assembled {
    parts: Vec<Piece>,
    data_coding: u8,
    esm_class: u8,
    validity: String,
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
        }
    }

    /// How the ids in the carrier's receipts relate to those in its responses.
    pub fn receipt_ids(&self) -> ReceiptIds {
        self.settings.receipt_ids
    }

    /// Splits and codes a message.
    ///
    /// # Errors
    /// Why it cannot be sent over this connection.
    pub fn assemble(&self, message: &Outgoing) -> Result<Assembled, String> {
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
        let whole = passes_header || self.settings.long_messages == LongMessages::Payload;
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
        Ok(Assembled { parts, data_coding, esm_class, validity: validity(message) })
    }

    /// The body in what the carrier takes the coding for.
    fn coded<'a>(&self, message: &'a Outgoing) -> Result<(std::borrow::Cow<'a, [u8]>, Encoding, u8), String> {
        let own = (message.body.as_slice().into(), message.encoding, message.data_coding);
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

    fn source<'a>(&self, address: &'a Address) -> AddressRef<'a> {
        AddressRef {
            ton: Ton(self.settings.source_ton.unwrap_or(address.ton.0)),
            npi: Npi(self.settings.source_npi.unwrap_or(address.npi.0)),
            addr: address.text.as_bytes(),
        }
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
                ton: Ton(message.recipient.ton.0),
                npi: Npi(message.recipient.npi.0),
                addr: message.recipient.text.as_bytes(),
            },
            // The message type bits are for receipts and acknowledgements, which are not a submit's to set.
            esm_class: EsmClass(assembled.esm_class & 0x83).with_udhi(piece.udhi),
            protocol_id: options.map_or(0, |options| options.protocol_id),
            priority_flag: options.map_or(0, |options| options.priority),
            validity_period: assembled.validity.as_bytes(),
            // Always asked for: what became of a message is known even where its sender did not ask.
            registered_delivery: RegisteredDelivery(self.settings.registered_delivery.unwrap_or(1)),
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

/// What is left of a validity that its sender chose, as SMPP writes it; the carrier's own default otherwise.
fn validity(message: &Outgoing) -> String {
    if !message.validity_chosen {
        return String::new();
    }
    smpp::time::format_absolute(message.expires_at.unix_ms(), 0)
        .map(|text| text.as_str().into_owned())
        .unwrap_or_default()
}
