//! Cell broadcast: the operations that only SMPP 5.0 has (SMPP v5 §4.4, §4.6).

use crate::field::fields;
use crate::read::{Fault, Reader};
use crate::write::{self, EncodeError};
use crate::{Address, COctetString, DataCoding, Tlvs};

/// broadcast_sm. Area, content type, repetitions and interval are TLVs that must be present.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BroadcastSm {
    /// At most 5 octets.
    pub service_type: COctetString,
    /// Who sends.
    pub source: Address,
    /// The id of an earlier broadcast to replace; else empty.
    pub message_id: COctetString,
    /// 0 lowest to 4.
    pub priority_flag: u8,
    /// When to begin; empty for at once.
    pub schedule_delivery_time: COctetString,
    /// When to end; empty for the centre's default.
    pub validity_period: COctetString,
    /// 1: take the place of the earlier broadcast.
    pub replace_if_present_flag: u8,
    /// How the text's octets are to be read.
    pub data_coding: DataCoding,
    /// A message stored at the centre, 0 for none.
    pub sm_default_msg_id: u8,
    /// Optional parameters, and those that must be present.
    pub tlvs: Tlvs,
}

impl BroadcastSm {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            service_type: reader.c_octets(fields::SERVICE_TYPE)?.into(),
            source: reader.source()?.to_owned(),
            message_id: reader.c_octets(fields::MESSAGE_ID)?.into(),
            priority_flag: reader.u8(fields::PRIORITY_FLAG)?,
            schedule_delivery_time: reader.time(fields::SCHEDULE)?.into(),
            validity_period: reader.time(fields::VALIDITY)?.into(),
            replace_if_present_flag: reader.u8(fields::REPLACE_FLAG)?,
            data_coding: DataCoding(reader.u8(fields::DATA_CODING)?),
            sm_default_msg_id: reader.u8(fields::DEFAULT_MSG)?,
            tlvs: reader.tlvs()?.to_owned(),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.service_type.as_bytes(), fields::SERVICE_TYPE)?;
        write::address(out, self.source.view(), fields::SOURCE_ADDR)?;
        write::c_octets(out, self.message_id.as_bytes(), fields::MESSAGE_ID)?;
        out.push(self.priority_flag);
        write::c_octets(out, self.schedule_delivery_time.as_bytes(), fields::SCHEDULE)?;
        write::c_octets(out, self.validity_period.as_bytes(), fields::VALIDITY)?;
        out.extend_from_slice(&[self.replace_if_present_flag, self.data_coding.0, self.sm_default_msg_id]);
        out.extend_from_slice(self.tlvs.view().as_bytes());
        Ok(())
    }
}

/// query_broadcast_sm.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct QueryBroadcastSm {
    /// The id of the broadcast.
    pub message_id: COctetString,
    /// The source it was sent with.
    pub source: Address,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl QueryBroadcastSm {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            message_id: reader.c_octets(fields::MESSAGE_ID)?.into(),
            source: reader.source()?.to_owned(),
            tlvs: reader.tlvs()?.to_owned(),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.message_id.as_bytes(), fields::MESSAGE_ID)?;
        write::address(out, self.source.view(), fields::SOURCE_ADDR)?;
        out.extend_from_slice(self.tlvs.view().as_bytes());
        Ok(())
    }
}

/// cancel_broadcast_sm: one broadcast by its id, or with an empty id all that fit the rest.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CancelBroadcastSm {
    /// At most 5 octets.
    pub service_type: COctetString,
    /// The id of the broadcast, or empty.
    pub message_id: COctetString,
    /// The source it was sent with.
    pub source: Address,
    /// Optional parameters, broadcast_content_type among them.
    pub tlvs: Tlvs,
}

impl CancelBroadcastSm {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            service_type: reader.c_octets(fields::SERVICE_TYPE)?.into(),
            message_id: reader.c_octets(fields::MESSAGE_ID)?.into(),
            source: reader.source()?.to_owned(),
            tlvs: reader.tlvs()?.to_owned(),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.service_type.as_bytes(), fields::SERVICE_TYPE)?;
        write::c_octets(out, self.message_id.as_bytes(), fields::MESSAGE_ID)?;
        write::address(out, self.source.view(), fields::SOURCE_ADDR)?;
        out.extend_from_slice(self.tlvs.view().as_bytes());
        Ok(())
    }
}
