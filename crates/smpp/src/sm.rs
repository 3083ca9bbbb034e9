//! submit_sm and deliver_sm: the message itself (SMPP v5 §4.2.1, §4.3.1), and the responses that carry a message id.
//!
//! [`SmRef`] borrows all its fields: it is how a message is read without allocation and written straight from wherever
//! its parts stand. [`Sm`] owns them. Both are the same octets on the wire.

use crate::field::fields;
use crate::read::{Fault, Reader};
use crate::write::{self, EncodeError};
use crate::{
    Address, AddressRef, COctetString, CommandId, DataCoding, EsmClass, Mode, RegisteredDelivery, Status,
    Tag, Tlvs, TlvsRef,
};

/// The body of submit_sm and deliver_sm.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sm {
    /// At most 5 octets; empty for the default, or CMT, CPT, VMN, VMA, WAP, USSD, CBS, GUTS.
    pub service_type: COctetString,
    /// Who sends.
    pub source: Address,
    /// Who receives. In a [`SubmitMulti`](crate::SubmitMulti) it is not on the wire and stays empty.
    pub destination: Address,
    /// Mode, type and features.
    pub esm_class: EsmClass,
    /// TP-PID.
    pub protocol_id: u8,
    /// 0 lowest to 3 (4 in SMPP 5.0).
    pub priority_flag: u8,
    /// When to deliver first: see [`SmppTime`](crate::SmppTime); empty for at once.
    pub schedule_delivery_time: COctetString,
    /// Until when to try; empty for the centre's default.
    pub validity_period: COctetString,
    /// Which receipts are asked for.
    pub registered_delivery: RegisteredDelivery,
    /// 1: take the place of a pending message with the same source, destination and service_type.
    pub replace_if_present_flag: u8,
    /// How the text's octets are to be read.
    pub data_coding: DataCoding,
    /// A message stored at the centre, 0 for none.
    pub sm_default_msg_id: u8,
    /// 0 to 255 octets (254 before SMPP 5.0), user data header included.
    pub short_message: Vec<u8>,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl Sm {
    /// The text or data with its user data header: message_payload where it is present, else short_message
    /// (SMPP v5 §4.8.4.36).
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.tlvs.message_payload().unwrap_or(&self.short_message)
    }

    /// The same message, borrowed.
    #[must_use]
    pub fn view(&self) -> SmRef<'_> {
        SmRef {
            service_type: self.service_type.as_bytes(),
            source: self.source.view(),
            destination: self.destination.view(),
            esm_class: self.esm_class,
            protocol_id: self.protocol_id,
            priority_flag: self.priority_flag,
            schedule_delivery_time: self.schedule_delivery_time.as_bytes(),
            validity_period: self.validity_period.as_bytes(),
            registered_delivery: self.registered_delivery,
            replace_if_present_flag: self.replace_if_present_flag,
            data_coding: self.data_coding,
            sm_default_msg_id: self.sm_default_msg_id,
            short_message: &self.short_message,
            tlvs: self.tlvs.view(),
        }
    }
}

/// An [`Sm`] whose octets stand elsewhere; field by field the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SmRef<'a> {
    /// See [`Sm::service_type`].
    pub service_type: &'a [u8],
    /// See [`Sm::source`].
    pub source: AddressRef<'a>,
    /// See [`Sm::destination`].
    pub destination: AddressRef<'a>,
    /// See [`Sm::esm_class`].
    pub esm_class: EsmClass,
    /// See [`Sm::protocol_id`].
    pub protocol_id: u8,
    /// See [`Sm::priority_flag`].
    pub priority_flag: u8,
    /// See [`Sm::schedule_delivery_time`].
    pub schedule_delivery_time: &'a [u8],
    /// See [`Sm::validity_period`].
    pub validity_period: &'a [u8],
    /// See [`Sm::registered_delivery`].
    pub registered_delivery: RegisteredDelivery,
    /// See [`Sm::replace_if_present_flag`].
    pub replace_if_present_flag: u8,
    /// See [`Sm::data_coding`].
    pub data_coding: DataCoding,
    /// See [`Sm::sm_default_msg_id`].
    pub sm_default_msg_id: u8,
    /// See [`Sm::short_message`].
    pub short_message: &'a [u8],
    /// See [`Sm::tlvs`].
    pub tlvs: TlvsRef<'a>,
}

impl<'a> SmRef<'a> {
    /// The text or data with its user data header: message_payload where it is present, else short_message.
    #[must_use]
    pub fn content(&self) -> &'a [u8] {
        self.tlvs.get(Tag::MESSAGE_PAYLOAD).unwrap_or(self.short_message)
    }

    /// A copy that outlives the buffer: one allocation for the text, one for the TLVs, and none for addresses.
    #[must_use]
    pub fn to_owned(&self) -> Sm {
        Sm {
            service_type: self.service_type.into(),
            source: self.source.to_owned(),
            destination: self.destination.to_owned(),
            esm_class: self.esm_class,
            protocol_id: self.protocol_id,
            priority_flag: self.priority_flag,
            schedule_delivery_time: self.schedule_delivery_time.into(),
            validity_period: self.validity_period.into(),
            registered_delivery: self.registered_delivery,
            replace_if_present_flag: self.replace_if_present_flag,
            data_coding: self.data_coding,
            sm_default_msg_id: self.sm_default_msg_id,
            short_message: self.short_message.to_vec(),
            tlvs: self.tlvs.to_owned(),
        }
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let start = Self {
            service_type: reader.c_octets(fields::SERVICE_TYPE)?,
            source: reader.source()?,
            destination: reader.destination()?,
            ..Self::default()
        };
        start.read_rest(reader)
    }

    /// Reads what follows the destination, or in a submit_multi the destinations.
    pub(crate) fn read_rest(self, reader: &mut Reader<'a>) -> Result<Self, Fault> {
        Ok(Self {
            esm_class: EsmClass(reader.u8(fields::ESM_CLASS)?),
            protocol_id: reader.u8(fields::PROTOCOL_ID)?,
            priority_flag: reader.u8(fields::PRIORITY_FLAG)?,
            schedule_delivery_time: reader.time(fields::SCHEDULE)?,
            validity_period: reader.time(fields::VALIDITY)?,
            registered_delivery: RegisteredDelivery(reader.u8(fields::REGISTERED)?),
            replace_if_present_flag: reader.u8(fields::REPLACE_FLAG)?,
            data_coding: DataCoding(reader.u8(fields::DATA_CODING)?),
            sm_default_msg_id: reader.u8(fields::DEFAULT_MSG)?,
            short_message: reader.short_message()?,
            tlvs: reader.tlvs()?,
            ..self
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.reserve(128 + self.short_message.len() + self.tlvs.as_bytes().len());
        write::c_octets(out, self.service_type, fields::SERVICE_TYPE)?;
        write::address(out, self.source, fields::SOURCE_ADDR)?;
        write::address(out, self.destination, fields::DEST_ADDR)?;
        self.write_rest(out)
    }

    pub(crate) fn write_rest(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(&[self.esm_class.0, self.protocol_id, self.priority_flag]);
        write::c_octets(out, self.schedule_delivery_time, fields::SCHEDULE)?;
        write::c_octets(out, self.validity_period, fields::VALIDITY)?;
        out.extend_from_slice(&[
            self.registered_delivery.0,
            self.replace_if_present_flag,
            self.data_coding.0,
            self.sm_default_msg_id,
        ]);
        write::short_message(out, self.short_message)?;
        out.extend_from_slice(self.tlvs.as_bytes());
        Ok(())
    }
}

/// Reads the body of a submit_sm or deliver_sm without allocating; `body` is what follows the header.
///
/// # Errors
/// The status and the name of the first field that is wrong.
pub fn decode_sm(body: &[u8], mode: Mode) -> Result<SmRef<'_>, (Status, &'static str)> {
    SmRef::read(&mut Reader::new(body, mode)).map_err(|fault| (fault.status, fault.field))
}

/// Appends a submit_sm to `out`, straight from borrowed fields.
///
/// # Errors
/// A field that does not fit; `out` is as it was before.
pub fn encode_submit_sm(sequence: u32, sm: &SmRef<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    write::pdu(out, CommandId::SUBMIT_SM, Status::ROK, sequence, |out| sm.write(out))
}

/// Appends a deliver_sm to `out`, straight from borrowed fields.
///
/// # Errors
/// A field that does not fit; `out` is as it was before.
pub fn encode_deliver_sm(sequence: u32, sm: &SmRef<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    write::pdu(out, CommandId::DELIVER_SM, Status::ROK, sequence, |out| sm.write(out))
}

/// Appends a submit_sm_resp to `out`: with the id for ESME_ROK, else the header alone (SMPP v5 §3.2.1.3).
///
/// # Errors
/// An id of more than 64 octets or with a NUL; `out` is as it was before.
pub fn encode_submit_sm_resp(
    sequence: u32,
    status: Status,
    message_id: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    write::pdu(out, CommandId::SUBMIT_SM_RESP, status, sequence, |out| {
        if status.is_ok() { write::c_octets(out, message_id, fields::MESSAGE_ID) } else { Ok(()) }
    })
}

/// As [`encode_submit_sm_resp`], with congestion_state (SMPP v5 §4.8.4.18) behind the id, 0 to 100: how much of its room the
/// centre has in use. For peers that speak 5.0.
///
/// # Errors
/// An id of more than 64 octets or with a NUL; `out` is as it was before.
pub fn encode_submit_sm_resp_congested(
    sequence: u32,
    status: Status,
    message_id: &[u8],
    congestion_state: u8,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    write::pdu(out, CommandId::SUBMIT_SM_RESP, status, sequence, |out| {
        if status.is_ok() {
            write::c_octets(out, message_id, fields::MESSAGE_ID)?;
            out.extend_from_slice(&Tag::CONGESTION_STATE.0.to_be_bytes());
            out.extend_from_slice(&[0, 1, congestion_state]);
        }
        Ok(())
    })
}

/// Appends a deliver_sm_resp to `out`: with the empty id for ESME_ROK, else the header alone.
pub fn encode_deliver_sm_resp(sequence: u32, status: Status, out: &mut Vec<u8>) {
    let length = if status.is_ok() { 17 } else { 16 };
    out.extend_from_slice(&write::header(length, CommandId::DELIVER_SM_RESP, status, sequence));
    if status.is_ok() {
        out.push(0);
    }
}

/// The body of submit_sm_resp, deliver_sm_resp, data_sm_resp and broadcast_sm_resp.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MessageIdResp {
    /// The id the receiver gave the message; empty in a deliver_sm_resp, and where the peer sent only a header.
    pub message_id: COctetString,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl MessageIdResp {
    /// A response with this id and no TLVs.
    pub fn new(message_id: impl Into<COctetString>) -> Self {
        Self { message_id: message_id.into(), tlvs: Tlvs::new() }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self { message_id: reader.c_octets(fields::MESSAGE_ID)?.into(), tlvs: reader.tlvs()?.to_owned() })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.message_id.as_bytes(), fields::MESSAGE_ID)?;
        out.extend_from_slice(self.tlvs.view().as_bytes());
        Ok(())
    }
}

/// data_sm (SMPP v5 §4.2.2): its text stands in message_payload, and its addresses may have 64 octets.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DataSm {
    /// See [`Sm::service_type`].
    pub service_type: COctetString,
    /// Who sends.
    pub source: Address,
    /// Who receives.
    pub destination: Address,
    /// Mode, type and features.
    pub esm_class: EsmClass,
    /// Which receipts are asked for.
    pub registered_delivery: RegisteredDelivery,
    /// How the text's octets are to be read.
    pub data_coding: DataCoding,
    /// Optional parameters, message_payload among them.
    pub tlvs: Tlvs,
}

impl DataSm {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            service_type: reader.c_octets(fields::SERVICE_TYPE)?.into(),
            source: reader
                .address(fields::SOURCE_TON, fields::SOURCE_NPI, fields::LONG_SOURCE_ADDR)?
                .to_owned(),
            destination: reader
                .address(fields::DEST_TON, fields::DEST_NPI, fields::LONG_DEST_ADDR)?
                .to_owned(),
            esm_class: EsmClass(reader.u8(fields::ESM_CLASS)?),
            registered_delivery: RegisteredDelivery(reader.u8(fields::REGISTERED)?),
            data_coding: DataCoding(reader.u8(fields::DATA_CODING)?),
            tlvs: reader.tlvs()?.to_owned(),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.service_type.as_bytes(), fields::SERVICE_TYPE)?;
        write::address(out, self.source.view(), fields::LONG_SOURCE_ADDR)?;
        write::address(out, self.destination.view(), fields::LONG_DEST_ADDR)?;
        out.extend_from_slice(&[self.esm_class.0, self.registered_delivery.0, self.data_coding.0]);
        out.extend_from_slice(self.tlvs.view().as_bytes());
        Ok(())
    }
}
