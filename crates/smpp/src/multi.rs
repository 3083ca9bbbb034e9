//! submit_multi: one message to many (SMPP v5 §4.2.3).

use crate::field::fields;
use crate::read::{Fault, Reader};
use crate::write::{self, EncodeError};
use crate::{Address, COctetString, Sm, SmRef, Status, Tlvs};

/// One receiver of a submit_multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// dest_flag 1: an address.
    Address(Address),
    /// dest_flag 2: a distribution list of the message centre, at most 20 octets.
    List(COctetString),
}

/// submit_multi.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SubmitMulti {
    /// At most 255 (254 before SMPP 5.0).
    pub destinations: Vec<Destination>,
    /// The message; its `destination` is not on the wire and stays empty.
    pub message: Sm,
}

impl SubmitMulti {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let start = SmRef {
            service_type: reader.c_octets(fields::SERVICE_TYPE)?,
            source: reader.source()?,
            ..SmRef::default()
        };
        let count = reader.u8(fields::NUMBER_OF_DESTS)?;
        let destinations = (0..count).map(|_| Destination::read(reader)).collect::<Result<_, _>>()?;
        Ok(Self { destinations, message: start.read_rest(reader)?.to_owned() })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let message = self.message.view();
        write::c_octets(out, message.service_type, fields::SERVICE_TYPE)?;
        write::address(out, message.source, fields::SOURCE_ADDR)?;
        write::count(out, self.destinations.len(), fields::NUMBER_OF_DESTS)?;
        for destination in &self.destinations {
            destination.write(out)?;
        }
        message.write_rest(out)
    }
}

impl Destination {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.u8(fields::DEST_FLAG)? {
            1 => Ok(Self::Address(reader.destination()?.to_owned())),
            2 => Ok(Self::List(reader.c_octets(fields::DL_NAME)?.into())),
            // What follows another flag has no known length.
            _ => Err(fields::DEST_FLAG.fault()),
        }
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Address(address) => {
                out.push(1);
                write::address(out, address.view(), fields::DEST_ADDR)
            }
            Self::List(name) => {
                out.push(2);
                write::c_octets(out, name.as_bytes(), fields::DL_NAME)
            }
        }
    }
}

/// A receiver of a submit_multi for whom it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsuccessful {
    /// The receiver.
    pub address: Address,
    /// Why.
    pub status: Status,
}

/// submit_multi_resp.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SubmitMultiResp {
    /// The id of the message; empty where the peer sent only a header.
    pub message_id: COctetString,
    /// The receivers for whom it failed, at most 255.
    pub unsuccessful: Vec<Unsuccessful>,
    /// Optional parameters.
    pub tlvs: Tlvs,
}

impl SubmitMultiResp {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let message_id = reader.c_octets(fields::MESSAGE_ID)?.into();
        // Some peers end here where nobody failed.
        let count = if reader.is_empty() { 0 } else { reader.u8(fields::NO_UNSUCCESS)? };
        let unsuccessful = (0..count)
            .map(|_| {
                let address = reader.destination()?.to_owned();
                Ok(Unsuccessful { address, status: Status(reader.u32(fields::ERROR_STATUS)?) })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { message_id, unsuccessful, tlvs: reader.tlvs()?.to_owned() })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.message_id.as_bytes(), fields::MESSAGE_ID)?;
        write::count(out, self.unsuccessful.len(), fields::NO_UNSUCCESS)?;
        for failed in &self.unsuccessful {
            write::address(out, failed.address.view(), fields::DEST_ADDR)?;
            out.extend_from_slice(&failed.status.0.to_be_bytes());
        }
        out.extend_from_slice(self.tlvs.view().as_bytes());
        Ok(())
    }
}
