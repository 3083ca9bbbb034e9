//! Whole PDUs: reading one out of its frame, and writing one.

use crate::read::{Fault, Reader};
use crate::write::{self, EncodeError};
use crate::{
    AlertNotification, Bind, BindResp, BroadcastSm, CancelBroadcastSm, CancelSm, CommandId, DataSm,
    HEADER_LEN, MessageIdResp, Outbind, QueryBroadcastSm, QuerySm, QuerySmResp, ReplaceSm, Sm, SmRef, Status,
    SubmitMulti, SubmitMultiResp, Tlvs, Version,
};
use std::fmt;

/// The header of every PDU (SMPP v5 §3.2.1): 16 octets, four big-endian integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Octets of the whole PDU, header included.
    pub command_length: u32,
    /// The operation.
    pub command_id: CommandId,
    /// 0 in requests.
    pub status: Status,
    /// Joins a response to its request. We use 1 to 0x7FFFFFFF; what a peer uses is echoed.
    pub sequence: u32,
}

impl Header {
    /// The header at the front of `octets`; `None` where fewer than 16 are there.
    #[must_use]
    pub fn read(octets: &[u8]) -> Option<Self> {
        octets.first_chunk().map(Self::from_octets)
    }

    fn from_octets(octets: &[u8; HEADER_LEN]) -> Self {
        let word =
            |at: usize| u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
        Self {
            command_length: word(0),
            command_id: CommandId(word(4)),
            status: Status(word(8)),
            sequence: word(12),
        }
    }
}

/// How much a reader forgives in requests. Responses are always read leniently: nothing can be answered to them, and what
/// they say about the message is worth more than their form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A server with its customers: a wrong field is refused with the status that names it.
    Strict,
    /// A client with its provider: over-long strings, odd times, TLVs of odd length and a truncated last TLV are taken.
    Lenient,
}

/// A PDU whose body cannot be used. The frame was whole, so the session goes on with the next PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The PDU's header.
    pub header: Header,
    /// The status that says what is wrong; ESME_RINVCMDID for an operation that is not known.
    pub status: Status,
    /// The name of the wrong field in the specification.
    pub field: &'static str,
}

impl DecodeError {
    /// True where the operation itself is not known.
    #[must_use]
    pub fn is_unknown_command(&self) -> bool {
        self.header.command_id.name().is_none()
    }

    /// What to answer, with the same sequence number and no body: the operation's own response for a wrong field,
    /// generic_nack for an operation that is unknown or has no response (SMPP v5 §2.8.2), `None` to a response.
    #[must_use]
    pub fn answer(&self) -> Option<(CommandId, Status)> {
        if self.header.command_id.is_response() {
            return None;
        }
        Some((self.header.command_id.response().unwrap_or(CommandId::GENERIC_NACK), self.status))
    }

    /// Appends the [`answer`](Self::answer) to `out`; false where there is none.
    pub fn encode_answer(&self, out: &mut Vec<u8>) -> bool {
        let Some((command, status)) = self.answer() else { return false };
        encode_header(command, status, self.header.sequence, out);
        true
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.header.command_id, self.field, self.status)
    }
}

impl std::error::Error for DecodeError {}

macro_rules! pdus {
    ($($(#[$doc:meta])* $variant:ident $(($body:ty))? = $command:ident;)*) => {
        /// Every operation of SMPP 3.4 and 5.0 with its body.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Pdu {
            $($(#[$doc])* $variant $(($body))?,)*
        }

        impl Pdu {
            /// The command_id it is sent with.
            #[must_use]
            pub fn command_id(&self) -> CommandId {
                match self {
                    $(Self::$variant { .. } => CommandId::$command,)*
                }
            }
        }
    };
}

pdus! {
    /// bind_transmitter
    BindTransmitter(Bind) = BIND_TRANSMITTER;
    /// bind_transmitter_resp
    BindTransmitterResp(BindResp) = BIND_TRANSMITTER_RESP;
    /// bind_receiver
    BindReceiver(Bind) = BIND_RECEIVER;
    /// bind_receiver_resp
    BindReceiverResp(BindResp) = BIND_RECEIVER_RESP;
    /// bind_transceiver
    BindTransceiver(Bind) = BIND_TRANSCEIVER;
    /// bind_transceiver_resp
    BindTransceiverResp(BindResp) = BIND_TRANSCEIVER_RESP;
    /// outbind, which has no response
    Outbind(Outbind) = OUTBIND;
    /// unbind
    Unbind = UNBIND;
    /// unbind_resp
    UnbindResp = UNBIND_RESP;
    /// enquire_link
    EnquireLink = ENQUIRE_LINK;
    /// enquire_link_resp
    EnquireLinkResp = ENQUIRE_LINK_RESP;
    /// generic_nack, whose status says what could not be read
    GenericNack = GENERIC_NACK;
    /// submit_sm
    SubmitSm(Sm) = SUBMIT_SM;
    /// submit_sm_resp
    SubmitSmResp(MessageIdResp) = SUBMIT_SM_RESP;
    /// deliver_sm
    DeliverSm(Sm) = DELIVER_SM;
    /// deliver_sm_resp
    DeliverSmResp(MessageIdResp) = DELIVER_SM_RESP;
    /// data_sm
    DataSm(DataSm) = DATA_SM;
    /// data_sm_resp
    DataSmResp(MessageIdResp) = DATA_SM_RESP;
    /// submit_multi
    SubmitMulti(SubmitMulti) = SUBMIT_MULTI;
    /// submit_multi_resp
    SubmitMultiResp(SubmitMultiResp) = SUBMIT_MULTI_RESP;
    /// query_sm
    QuerySm(QuerySm) = QUERY_SM;
    /// query_sm_resp
    QuerySmResp(QuerySmResp) = QUERY_SM_RESP;
    /// cancel_sm
    CancelSm(CancelSm) = CANCEL_SM;
    /// cancel_sm_resp
    CancelSmResp = CANCEL_SM_RESP;
    /// replace_sm
    ReplaceSm(ReplaceSm) = REPLACE_SM;
    /// replace_sm_resp
    ReplaceSmResp = REPLACE_SM_RESP;
    /// alert_notification, which has no response
    AlertNotification(AlertNotification) = ALERT_NOTIFICATION;
    /// broadcast_sm
    BroadcastSm(BroadcastSm) = BROADCAST_SM;
    /// broadcast_sm_resp
    BroadcastSmResp(MessageIdResp) = BROADCAST_SM_RESP;
    /// query_broadcast_sm
    QueryBroadcastSm(QueryBroadcastSm) = QUERY_BROADCAST_SM;
    /// query_broadcast_sm_resp, whose answer stands in TLVs
    QueryBroadcastSmResp(MessageIdResp) = QUERY_BROADCAST_SM_RESP;
    /// cancel_broadcast_sm
    CancelBroadcastSm(CancelBroadcastSm) = CANCEL_BROADCAST_SM;
    /// cancel_broadcast_sm_resp
    CancelBroadcastSmResp = CANCEL_BROADCAST_SM_RESP;
}

/// Reads one whole PDU as the [`Framer`](crate::Framer) yields it.
///
/// Octets after the last field of an operation without TLVs are ignored. A response that is a header alone gives an empty
/// body, whatever its status; so does the unreadable body of a response that says an error, since it should not be there.
///
/// # Errors
/// The first field that is wrong, with the status to answer. `octets` that are not one whole PDU are blamed on
/// command_length; with fewer than 16 of them the missing ones count as zero.
pub fn decode(octets: &[u8], mode: Mode) -> Result<(Header, Pdu), DecodeError> {
    let header = Header::read(octets).unwrap_or_else(|| {
        let mut padded = [0; HEADER_LEN];
        padded[..octets.len()].copy_from_slice(octets);
        Header::from_octets(&padded)
    });
    let whole = octets.len() >= HEADER_LEN && header.command_length as usize == octets.len();
    let pdu = if whole { decode_body(&header, &octets[HEADER_LEN..], mode) } else { Err(NOT_ONE_PDU) };
    match pdu {
        Ok(pdu) => Ok((header, pdu)),
        Err(Fault { status, field }) => Err(DecodeError { header, status, field }),
    }
}

const NOT_ONE_PDU: Fault = Fault { status: Status::RINVCMDLEN, field: "command_length" };

fn decode_body(header: &Header, body: &[u8], mode: Mode) -> Result<Pdu, Fault> {
    if !header.command_id.is_response() {
        return request(header.command_id, &mut Reader::new(body, mode));
    }
    let pdu = if body.is_empty() {
        None
    } else {
        Some(response(header.command_id, &mut Reader::new(body, Mode::Lenient)))
    };
    match pdu {
        Some(Ok(pdu)) => Ok(pdu),
        Some(Err(fault)) if header.status.is_ok() => Err(fault),
        _ => empty_response(header.command_id),
    }
}

const UNKNOWN_COMMAND: Fault = Fault { status: Status::RINVCMDID, field: "command_id" };

fn request(command: CommandId, reader: &mut Reader<'_>) -> Result<Pdu, Fault> {
    Ok(match command {
        CommandId::SUBMIT_SM => Pdu::SubmitSm(SmRef::read(reader)?.to_owned()),
        CommandId::DELIVER_SM => Pdu::DeliverSm(SmRef::read(reader)?.to_owned()),
        CommandId::ENQUIRE_LINK => Pdu::EnquireLink,
        CommandId::UNBIND => Pdu::Unbind,
        CommandId::DATA_SM => Pdu::DataSm(DataSm::read(reader)?),
        CommandId::BIND_TRANSMITTER => Pdu::BindTransmitter(Bind::read(reader)?),
        CommandId::BIND_RECEIVER => Pdu::BindReceiver(Bind::read(reader)?),
        CommandId::BIND_TRANSCEIVER => Pdu::BindTransceiver(Bind::read(reader)?),
        CommandId::OUTBIND => Pdu::Outbind(Outbind::read(reader)?),
        CommandId::SUBMIT_MULTI => Pdu::SubmitMulti(SubmitMulti::read(reader)?),
        CommandId::QUERY_SM => Pdu::QuerySm(QuerySm::read(reader)?),
        CommandId::CANCEL_SM => Pdu::CancelSm(CancelSm::read(reader)?),
        CommandId::REPLACE_SM => Pdu::ReplaceSm(ReplaceSm::read(reader)?),
        CommandId::ALERT_NOTIFICATION => Pdu::AlertNotification(AlertNotification::read(reader)?),
        CommandId::BROADCAST_SM => Pdu::BroadcastSm(BroadcastSm::read(reader)?),
        CommandId::QUERY_BROADCAST_SM => Pdu::QueryBroadcastSm(QueryBroadcastSm::read(reader)?),
        CommandId::CANCEL_BROADCAST_SM => Pdu::CancelBroadcastSm(CancelBroadcastSm::read(reader)?),
        _ => return Err(UNKNOWN_COMMAND),
    })
}

fn response(command: CommandId, reader: &mut Reader<'_>) -> Result<Pdu, Fault> {
    Ok(match command {
        CommandId::SUBMIT_SM_RESP => Pdu::SubmitSmResp(MessageIdResp::read(reader)?),
        CommandId::DELIVER_SM_RESP => Pdu::DeliverSmResp(MessageIdResp::read(reader)?),
        CommandId::DATA_SM_RESP => Pdu::DataSmResp(MessageIdResp::read(reader)?),
        CommandId::BROADCAST_SM_RESP => Pdu::BroadcastSmResp(MessageIdResp::read(reader)?),
        CommandId::QUERY_BROADCAST_SM_RESP => Pdu::QueryBroadcastSmResp(MessageIdResp::read(reader)?),
        CommandId::BIND_TRANSMITTER_RESP => Pdu::BindTransmitterResp(BindResp::read(reader)?),
        CommandId::BIND_RECEIVER_RESP => Pdu::BindReceiverResp(BindResp::read(reader)?),
        CommandId::BIND_TRANSCEIVER_RESP => Pdu::BindTransceiverResp(BindResp::read(reader)?),
        CommandId::SUBMIT_MULTI_RESP => Pdu::SubmitMultiResp(SubmitMultiResp::read(reader)?),
        CommandId::QUERY_SM_RESP => Pdu::QuerySmResp(QuerySmResp::read(reader)?),
        _ => return empty_response(command),
    })
}

fn empty_response(command: CommandId) -> Result<Pdu, Fault> {
    Ok(match command {
        CommandId::SUBMIT_SM_RESP => Pdu::SubmitSmResp(MessageIdResp::default()),
        CommandId::DELIVER_SM_RESP => Pdu::DeliverSmResp(MessageIdResp::default()),
        CommandId::DATA_SM_RESP => Pdu::DataSmResp(MessageIdResp::default()),
        CommandId::BROADCAST_SM_RESP => Pdu::BroadcastSmResp(MessageIdResp::default()),
        CommandId::QUERY_BROADCAST_SM_RESP => Pdu::QueryBroadcastSmResp(MessageIdResp::default()),
        CommandId::BIND_TRANSMITTER_RESP => Pdu::BindTransmitterResp(BindResp::default()),
        CommandId::BIND_RECEIVER_RESP => Pdu::BindReceiverResp(BindResp::default()),
        CommandId::BIND_TRANSCEIVER_RESP => Pdu::BindTransceiverResp(BindResp::default()),
        CommandId::SUBMIT_MULTI_RESP => Pdu::SubmitMultiResp(SubmitMultiResp::default()),
        CommandId::QUERY_SM_RESP => Pdu::QuerySmResp(QuerySmResp::default()),
        CommandId::ENQUIRE_LINK_RESP => Pdu::EnquireLinkResp,
        CommandId::UNBIND_RESP => Pdu::UnbindResp,
        CommandId::GENERIC_NACK => Pdu::GenericNack,
        CommandId::CANCEL_SM_RESP => Pdu::CancelSmResp,
        CommandId::REPLACE_SM_RESP => Pdu::ReplaceSmResp,
        CommandId::CANCEL_BROADCAST_SM_RESP => Pdu::CancelBroadcastSmResp,
        _ => return Err(UNKNOWN_COMMAND),
    })
}

/// Appends a PDU that is a header alone, such as an error response or a generic_nack.
pub fn encode_header(command: CommandId, status: Status, sequence: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&write::header(HEADER_LEN as u32, command, status, sequence));
}

impl Pdu {
    /// Appends the PDU to `out`. A response with an error status is written as a header alone (SMPP v5 §3.2.1.3).
    ///
    /// # Errors
    /// A field that does not fit; `out` is as it was before.
    pub fn encode(&self, sequence: u32, status: Status, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !status.is_ok() && self.command_id().is_response() {
            encode_header(self.command_id(), status, sequence, out);
            return Ok(());
        }
        self.encode_with_body(sequence, status, out)
    }

    /// As [`encode`](Self::encode), but with the body whatever the status: some peers cannot read a response without.
    ///
    /// # Errors
    /// A field that does not fit; `out` is as it was before.
    pub fn encode_with_body(
        &self,
        sequence: u32,
        status: Status,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        write::pdu(out, self.command_id(), status, sequence, |out| self.write_body(out))
    }

    fn write_body(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::SubmitSm(sm) | Self::DeliverSm(sm) => sm.view().write(out),
            Self::SubmitSmResp(body)
            | Self::DeliverSmResp(body)
            | Self::DataSmResp(body)
            | Self::BroadcastSmResp(body)
            | Self::QueryBroadcastSmResp(body) => body.write(out),
            Self::BindTransmitter(body) | Self::BindReceiver(body) | Self::BindTransceiver(body) => {
                body.write(out)
            }
            Self::BindTransmitterResp(body)
            | Self::BindReceiverResp(body)
            | Self::BindTransceiverResp(body) => body.write(out),
            Self::Outbind(body) => body.write(out),
            Self::DataSm(body) => body.write(out),
            Self::SubmitMulti(body) => body.write(out),
            Self::SubmitMultiResp(body) => body.write(out),
            Self::QuerySm(body) => body.write(out),
            Self::QuerySmResp(body) => body.write(out),
            Self::CancelSm(body) => body.write(out),
            Self::ReplaceSm(body) => body.write(out),
            Self::AlertNotification(body) => body.write(out),
            Self::BroadcastSm(body) => body.write(out),
            Self::QueryBroadcastSm(body) => body.write(out),
            Self::CancelBroadcastSm(body) => body.write(out),
            Self::Unbind
            | Self::UnbindResp
            | Self::EnquireLink
            | Self::EnquireLinkResp
            | Self::GenericNack
            | Self::CancelSmResp
            | Self::ReplaceSmResp
            | Self::CancelBroadcastSmResp => Ok(()),
        }
    }

    /// Makes the PDU one that a peer of `version` can read: before SMPP 3.4 there are no TLVs, so they are removed, and a
    /// text in message_payload moves to short_message.
    ///
    /// # Errors
    /// A message_payload too long to move, or beside a short_message; the PDU is unchanged.
    pub fn fit_version(&mut self, version: Version) -> Result<(), EncodeError> {
        if version.has_tlvs() {
            return Ok(());
        }
        if let Self::SubmitSm(sm) | Self::DeliverSm(sm) = self
            && let Some(payload) = sm.tlvs.message_payload()
        {
            let max = if sm.short_message.is_empty() { version.max_short_message() } else { 0 };
            if payload.len() > max {
                return Err(write::too_long("message_payload", payload.len(), max));
            }
            sm.short_message = payload.to_vec();
        }
        if let Some(tlvs) = self.tlvs_mut() {
            tlvs.clear();
        }
        Ok(())
    }

    /// The optional parameters, where the operation can have any.
    pub fn tlvs_mut(&mut self) -> Option<&mut Tlvs> {
        match self {
            Self::SubmitSm(body) | Self::DeliverSm(body) => Some(&mut body.tlvs),
            Self::SubmitSmResp(body)
            | Self::DeliverSmResp(body)
            | Self::DataSmResp(body)
            | Self::BroadcastSmResp(body)
            | Self::QueryBroadcastSmResp(body) => Some(&mut body.tlvs),
            Self::BindTransmitterResp(body)
            | Self::BindReceiverResp(body)
            | Self::BindTransceiverResp(body) => Some(&mut body.tlvs),
            Self::DataSm(body) => Some(&mut body.tlvs),
            Self::SubmitMulti(body) => Some(&mut body.message.tlvs),
            Self::SubmitMultiResp(body) => Some(&mut body.tlvs),
            Self::ReplaceSm(body) => Some(&mut body.tlvs),
            Self::AlertNotification(body) => Some(&mut body.tlvs),
            Self::BroadcastSm(body) => Some(&mut body.tlvs),
            Self::QueryBroadcastSm(body) => Some(&mut body.tlvs),
            Self::CancelBroadcastSm(body) => Some(&mut body.tlvs),
            _ => None,
        }
    }
}
