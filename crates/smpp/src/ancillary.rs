//! The ancillary operations: query_sm, cancel_sm, replace_sm and alert_notification (SMPP v5 §4.5, §4.1.3).

use crate::field::fields;
use crate::read::{Fault, Reader};
use crate::write::{self, EncodeError};
use crate::{Address, COctetString, MessageState, RegisteredDelivery, Tlvs};

/// query_sm: what became of a message.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct QuerySm {
    /// The id the centre gave the message.
    pub message_id: COctetString,
    /// The source the message was sent with.
    pub source: Address,
}

impl QuerySm {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            message_id: reader.c_octets(fields::MESSAGE_ID)?.into(),
            source: reader.source()?.to_owned(),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.message_id.as_bytes(), fields::MESSAGE_ID)?;
        write::address(out, self.source.view(), fields::SOURCE_ADDR)
    }
}

/// query_sm_resp.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct QuerySmResp {
    /// The id asked for.
    pub message_id: COctetString,
    /// When the message reached its final state; empty while it has none.
    pub final_date: COctetString,
    /// Its state.
    pub message_state: MessageState,
    /// The network's error, 0 for none.
    pub error_code: u8,
}

impl QuerySmResp {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            message_id: reader.c_octets(fields::MESSAGE_ID)?.into(),
            final_date: reader.c_octets(fields::FINAL_DATE)?.into(),
            message_state: MessageState(reader.u8(fields::MESSAGE_STATE)?),
            error_code: reader.u8(fields::ERROR_CODE)?,
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.message_id.as_bytes(), fields::MESSAGE_ID)?;
        write::c_octets(out, self.final_date.as_bytes(), fields::FINAL_DATE)?;
        out.extend_from_slice(&[self.message_state.0, self.error_code]);
        Ok(())
    }
}

/// cancel_sm: one message by its id, or with an empty id all that fit source, destination and service_type.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CancelSm {
    /// At most 5 octets.
    pub service_type: COctetString,
    /// The id the centre gave the message, or empty.
    pub message_id: COctetString,
    /// The source the message was sent with.
    pub source: Address,
    /// Its destination; needed where the id is empty.
    pub destination: Address,
}

impl CancelSm {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            service_type: reader.c_octets(fields::SERVICE_TYPE)?.into(),
            message_id: reader.c_octets(fields::MESSAGE_ID)?.into(),
            source: reader.source()?.to_owned(),
            destination: reader.destination()?.to_owned(),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.service_type.as_bytes(), fields::SERVICE_TYPE)?;
        write::c_octets(out, self.message_id.as_bytes(), fields::MESSAGE_ID)?;
        write::address(out, self.source.view(), fields::SOURCE_ADDR)?;
        write::address(out, self.destination.view(), fields::DEST_ADDR)
    }
}

/// replace_sm: another text for a message that still waits. Its data_coding stays.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ReplaceSm {
    /// The id the centre gave the message.
    pub message_id: COctetString,
    /// The source the message was sent with.
    pub source: Address,
    /// A new first delivery time; empty to keep the old.
    pub schedule_delivery_time: COctetString,
    /// A new end; empty to keep the old.
    pub validity_period: COctetString,
    /// Which receipts are asked for now.
    pub registered_delivery: RegisteredDelivery,
    /// A message stored at the centre, 0 for none.
    pub sm_default_msg_id: u8,
    /// The new text.
    pub short_message: Vec<u8>,
    /// Optional parameters; SMPP 5.0 has message_payload here.
    pub tlvs: Tlvs,
}

impl ReplaceSm {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            message_id: reader.c_octets(fields::MESSAGE_ID)?.into(),
            source: reader.source()?.to_owned(),
            schedule_delivery_time: reader.time(fields::SCHEDULE)?.into(),
            validity_period: reader.time(fields::VALIDITY)?.into(),
            registered_delivery: RegisteredDelivery(reader.u8(fields::REGISTERED)?),
            sm_default_msg_id: reader.u8(fields::DEFAULT_MSG)?,
            short_message: reader.short_message()?.to_vec(),
            tlvs: reader.tlvs()?.to_owned(),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.message_id.as_bytes(), fields::MESSAGE_ID)?;
        write::address(out, self.source.view(), fields::SOURCE_ADDR)?;
        write::c_octets(out, self.schedule_delivery_time.as_bytes(), fields::SCHEDULE)?;
        write::c_octets(out, self.validity_period.as_bytes(), fields::VALIDITY)?;
        out.extend_from_slice(&[self.registered_delivery.0, self.sm_default_msg_id]);
        write::short_message(out, &self.short_message)?;
        out.extend_from_slice(self.tlvs.view().as_bytes());
        Ok(())
    }
}

/// alert_notification: a subscriber can be reached again. It has no response.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AlertNotification {
    /// The subscriber, at most 64 octets.
    pub source: Address,
    /// The ESME that had asked, at most 64 octets.
    pub esme: Address,
    /// Optional parameters, ms_availability_status among them.
    pub tlvs: Tlvs,
}

impl AlertNotification {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            source: reader
                .address(fields::SOURCE_TON, fields::SOURCE_NPI, fields::LONG_SOURCE_ADDR)?
                .to_owned(),
            esme: reader.address(fields::DEST_TON, fields::DEST_NPI, fields::ESME_ADDR)?.to_owned(),
            tlvs: reader.tlvs()?.to_owned(),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::address(out, self.source.view(), fields::LONG_SOURCE_ADDR)?;
        write::address(out, self.esme.view(), fields::ESME_ADDR)?;
        out.extend_from_slice(self.tlvs.view().as_bytes());
        Ok(())
    }
}
