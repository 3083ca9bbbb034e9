//! Opening a session: the bind operations, their responses, and outbind (SMPP v5 §4.1.1).

use crate::field::fields;
use crate::read::{Fault, Reader};
use crate::write::{self, EncodeError};
use crate::{COctetString, Npi, Tlvs, Ton, Version};

/// bind_transmitter, bind_receiver and bind_transceiver.
#[derive(Clone, PartialEq, Eq)]
pub struct Bind {
    /// Who the ESME is: at most 15 octets.
    pub system_id: COctetString,
    /// At most 8 octets by the specification; up to 64 are written.
    pub password: COctetString,
    /// At most 12 octets; often empty.
    pub system_type: COctetString,
    /// The version the ESME speaks.
    pub interface_version: Version,
    /// Type of the addresses the ESME serves.
    pub addr_ton: Ton,
    /// Plan of the addresses the ESME serves.
    pub addr_npi: Npi,
    /// The addresses the ESME serves, at most 40 octets of a UNIX regular expression; mostly empty.
    pub address_range: COctetString,
}

impl Default for Bind {
    fn default() -> Self {
        Self {
            system_id: COctetString::EMPTY,
            password: COctetString::EMPTY,
            system_type: COctetString::EMPTY,
            interface_version: Version::V3_4,
            addr_ton: Ton::UNKNOWN,
            addr_npi: Npi::UNKNOWN,
            address_range: COctetString::EMPTY,
        }
    }
}

impl Bind {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            system_id: reader.c_octets(fields::SYSTEM_ID)?.into(),
            password: reader.c_octets(fields::PASSWORD)?.into(),
            system_type: reader.c_octets(fields::SYSTEM_TYPE)?.into(),
            interface_version: Version(reader.u8(fields::INTERFACE_VERSION)?),
            addr_ton: Ton(reader.u8(fields::ADDR_TON)?),
            addr_npi: Npi(reader.u8(fields::ADDR_NPI)?),
            address_range: reader.c_octets(fields::ADDRESS_RANGE)?.into(),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.system_id.as_bytes(), fields::SYSTEM_ID)?;
        write::c_octets(out, self.password.as_bytes(), fields::ISSUED_PASSWORD)?;
        write::c_octets(out, self.system_type.as_bytes(), fields::SYSTEM_TYPE)?;
        out.extend_from_slice(&[self.interface_version.0, self.addr_ton.0, self.addr_npi.0]);
        write::c_octets(out, self.address_range.as_bytes(), fields::ADDRESS_RANGE)
    }
}

/// A password does not belong in a log, so `Debug` leaves it out.
impl std::fmt::Debug for Bind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bind")
            .field("system_id", &self.system_id)
            .field("system_type", &self.system_type)
            .field("interface_version", &self.interface_version)
            .field("addr_ton", &self.addr_ton)
            .field("addr_npi", &self.addr_npi)
            .field("address_range", &self.address_range)
            .finish_non_exhaustive()
    }
}

/// The response to any of the binds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BindResp {
    /// Who the message centre is; empty where the peer sent only a header.
    pub system_id: COctetString,
    /// Optional parameters, sc_interface_version among them.
    pub tlvs: Tlvs,
}

impl BindResp {
    /// The version the message centre says it speaks. Many say none and speak 3.4 all the same.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.tlvs.sc_interface_version().map(Version)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self { system_id: reader.c_octets(fields::SYSTEM_ID)?.into(), tlvs: reader.tlvs()?.to_owned() })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.system_id.as_bytes(), fields::SYSTEM_ID)?;
        out.extend_from_slice(self.tlvs.view().as_bytes());
        Ok(())
    }
}

/// outbind: the message centre asks the ESME to bind. It has no response.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Outbind {
    /// Who the message centre is: at most 15 octets.
    pub system_id: COctetString,
    /// At most 8 octets by the specification; up to 64 are written.
    pub password: COctetString,
}

impl Outbind {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            system_id: reader.c_octets(fields::SYSTEM_ID)?.into(),
            password: reader.c_octets(fields::PASSWORD)?.into(),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::c_octets(out, self.system_id.as_bytes(), fields::SYSTEM_ID)?;
        write::c_octets(out, self.password.as_bytes(), fields::ISSUED_PASSWORD)
    }
}

/// A password does not belong in a log, so `Debug` leaves it out.
impl std::fmt::Debug for Outbind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbind").field("system_id", &self.system_id).finish_non_exhaustive()
    }
}
