//! The values of single fields. Each is the octet from the wire with names for what the specification says about it;
//! other values are kept.

use crate::{COctetString, Status};
use std::fmt;

macro_rules! octets {
    ($($(#[$doc:meta])* $type:ident { $($name:ident = $value:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
            pub struct $type(pub u8);

            impl $type {
                $(#[doc = concat!("`", stringify!($value), "`")] pub const $name: Self = Self($value);)*
            }
        )*
    };
}

octets! {
    /// Type of number (SMPP v5 §4.7.1).
    Ton {
        UNKNOWN = 0, INTERNATIONAL = 1, NATIONAL = 2, NETWORK_SPECIFIC = 3, SUBSCRIBER = 4, ALPHANUMERIC = 5,
        ABBREVIATED = 6,
    }
    /// Numbering plan indicator (SMPP v5 §4.7.2).
    Npi {
        UNKNOWN = 0, ISDN = 1, DATA = 3, TELEX = 4, LAND_MOBILE = 6, NATIONAL = 8, PRIVATE = 9, ERMES = 10,
        INTERNET = 14, WAP = 18,
    }
    /// data_coding: how the text's octets are to be read (SMPP v5 §4.7.7, TS 23.038 §4).
    DataCoding {
        DEFAULT = 0, IA5 = 1, BINARY_ALIAS = 2, LATIN1 = 3, BINARY = 4, JIS = 5, CYRILLIC = 6, HEBREW = 7, UCS2 = 8,
        PICTOGRAM = 9, ISO_2022_JP = 10, EXTENDED_KANJI = 13, KS_C_5601 = 14,
        FLASH = 0xF0, FLASH_GENERAL = 0x10, FLASH_UCS2 = 0x18,
    }
    /// esm_class: mode, type and features of a message (SMPP v5 §4.7.12).
    EsmClass { DEFAULT = 0, DATAGRAM = 1, FORWARD = 2, STORE_AND_FORWARD = 3, RECEIPT = 4, UDHI = 0x40, REPLY_PATH = 0x80, }
    /// registered_delivery: which receipts are asked for (SMPP v5 §4.7.21).
    RegisteredDelivery { NONE = 0, FINAL = 1, FAILURE = 2, SUCCESS = 3, INTERMEDIATE = 0x10, }
    /// message_state: what became of a message (SMPP v5 §4.7.15).
    MessageState {
        SCHEDULED = 0, ENROUTE = 1, DELIVERED = 2, EXPIRED = 3, DELETED = 4, UNDELIVERABLE = 5, ACCEPTED = 6,
        UNKNOWN = 7, REJECTED = 8, SKIPPED = 9,
    }
}

/// The type bits 2 to 5 of esm_class in a deliver_sm or data_sm from the message centre (SMPP v5 §4.7.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// An ordinary message.
    Default,
    /// A delivery receipt of the message centre (0x04).
    Receipt,
    /// A delivery acknowledgement of the receiving device (0x08).
    DeliveryAck,
    /// An acknowledgement of the receiving person (0x10).
    UserAck,
    /// Conversation abort, Korean CDMA (0x18).
    ConversationAbort,
    /// An intermediate notification (0x20).
    Intermediate,
    /// Any other combination of the four bits, unshifted.
    Other(u8),
}

impl EsmClass {
    /// The type of the message: bits 2 to 5 alone, so that a receipt with reply path or header is a receipt.
    #[must_use]
    pub fn message_type(self) -> MessageType {
        match self.0 & 0x3C {
            0x00 => MessageType::Default,
            0x04 => MessageType::Receipt,
            0x08 => MessageType::DeliveryAck,
            0x10 => MessageType::UserAck,
            0x18 => MessageType::ConversationAbort,
            0x20 => MessageType::Intermediate,
            other => MessageType::Other(other),
        }
    }

    /// Mode bits 0 and 1: 0 default, 1 datagram, 2 forward, 3 store and forward.
    #[must_use]
    pub fn mode(self) -> u8 {
        self.0 & 0x03
    }

    /// The text begins with a user data header (TS 23.040 §9.2.3.24).
    #[must_use]
    pub fn udhi(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// The reply path bit.
    #[must_use]
    pub fn reply_path(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// The same with the user data header bit set or not.
    #[must_use]
    pub fn with_udhi(self, udhi: bool) -> Self {
        Self(if udhi { self.0 | 0x40 } else { self.0 & !0x40 })
    }
}

impl RegisteredDelivery {
    /// A receipt is asked for when the message was delivered.
    #[must_use]
    pub fn on_success(self) -> bool {
        matches!(self.0 & 0x03, 1 | 3)
    }

    /// A receipt is asked for when the message failed.
    #[must_use]
    pub fn on_failure(self) -> bool {
        matches!(self.0 & 0x03, 1 | 2)
    }

    /// Intermediate notifications are asked for.
    #[must_use]
    pub fn intermediate(self) -> bool {
        self.0 & 0x10 != 0
    }
}

impl MessageState {
    /// The abbreviation in the text of receipts (SMPP v3.4 appendix B), or `None` for a value without one.
    #[must_use]
    pub fn abbreviation(self) -> Option<&'static str> {
        Some(match self {
            Self::SCHEDULED => "SCHEDLD",
            Self::ENROUTE => "ENROUTE",
            Self::DELIVERED => "DELIVRD",
            Self::EXPIRED => "EXPIRED",
            Self::DELETED => "DELETED",
            Self::UNDELIVERABLE => "UNDELIV",
            Self::ACCEPTED => "ACCEPTD",
            Self::UNKNOWN => "UNKNOWN",
            Self::REJECTED => "REJECTD",
            Self::SKIPPED => "SKIPPED",
            _ => return None,
        })
    }
}

/// network_error_code (SMPP v5 §4.8.4.42).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkErrorCode {
    /// 1 ANSI-136 access denied, 2 IS-95 access denied, 3 GSM, 4 ANSI-136 cause, 5 IS-95 cause, 6 ANSI-41, 7 SMPP,
    /// 8 the message centre's own.
    pub network: u8,
    /// The error within that network.
    pub code: u16,
}

/// An address: type, plan and digits or text (SMPP v5 §4.7.1, §4.7.2, §4.7.29).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Address {
    /// Type of number.
    pub ton: Ton,
    /// Numbering plan.
    pub npi: Npi,
    /// The address as octets: at most 20, or 64 in data_sm and alert_notification.
    pub addr: COctetString,
}

impl Address {
    /// An address from its three parts.
    pub fn new(ton: Ton, npi: Npi, addr: impl Into<COctetString>) -> Self {
        Self { ton, npi, addr: addr.into() }
    }

    /// An E.164 number without its plus sign.
    pub fn international(digits: impl Into<COctetString>) -> Self {
        Self::new(Ton::INTERNATIONAL, Npi::ISDN, digits)
    }

    /// A name such as `ACME` as source.
    pub fn alphanumeric(name: impl Into<COctetString>) -> Self {
        Self::new(Ton::ALPHANUMERIC, Npi::UNKNOWN, name)
    }

    /// The same address, borrowed.
    #[must_use]
    pub fn view(&self) -> AddressRef<'_> {
        AddressRef { ton: self.ton, npi: self.npi, addr: self.addr.as_bytes() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.ton.0, self.npi.0, self.addr)
    }
}

/// An [`Address`] whose octets stand elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AddressRef<'a> {
    /// Type of number.
    pub ton: Ton,
    /// Numbering plan.
    pub npi: Npi,
    /// The address as octets, without NUL.
    pub addr: &'a [u8],
}

impl AddressRef<'_> {
    /// A copy that outlives the buffer.
    #[must_use]
    pub fn to_owned(self) -> Address {
        Address { ton: self.ton, npi: self.npi, addr: COctetString::new(self.addr) }
    }
}

/// A version of the protocol, as interface_version and sc_interface_version say it (SMPP v5 §4.7.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u8);

impl Version {
    /// SMPP 3.3: whatever is below 0x34.
    pub const V3_3: Self = Self(0x33);
    /// SMPP 3.4.
    pub const V3_4: Self = Self(0x34);
    /// SMPP 5.0.
    pub const V5_0: Self = Self(0x50);

    /// TLVs may be sent to a peer of this version (SMPP v5 §2.11.2).
    #[must_use]
    pub fn has_tlvs(self) -> bool {
        self >= Self::V3_4
    }

    /// The longest message id to give to a peer of this version, in octets without NUL.
    #[must_use]
    pub fn max_message_id(self) -> usize {
        if self.has_tlvs() { 64 } else { 8 }
    }

    /// The longest short_message to send to a peer of this version, in octets.
    #[must_use]
    pub fn max_short_message(self) -> usize {
        if self >= Self::V5_0 { 255 } else { 254 }
    }
}

/// How one field is read and written: its name, its limit, and the status that blames it.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// Octets on the wire, final NUL included.
    pub(crate) max: usize,
    pub(crate) status: Status,
}

/// Every mandatory field of SMPP v5 §4.7, with the octets it may have on the wire.
pub(crate) mod fields {
    use super::Field;
    use crate::Status;

    const fn field(name: &'static str, max: usize, status: Status) -> Field {
        Field { name, max, status }
    }

    pub(crate) const SYSTEM_ID: Field = field("system_id", 16, Status::RINVSYSID);
    pub(crate) const PASSWORD: Field = field("password", 9, Status::RINVPASWD);
    pub(crate) const SYSTEM_TYPE: Field = field("system_type", 13, Status::RINVSYSTYP);
    pub(crate) const INTERFACE_VERSION: Field = field("interface_version", 1, Status::RBINDFAIL);
    pub(crate) const ADDR_TON: Field = field("addr_ton", 1, Status::RBINDFAIL);
    pub(crate) const ADDR_NPI: Field = field("addr_npi", 1, Status::RBINDFAIL);
    pub(crate) const ADDRESS_RANGE: Field = field("address_range", 41, Status::RBINDFAIL);
    pub(crate) const SERVICE_TYPE: Field = field("service_type", 6, Status::RINVSERTYP);
    pub(crate) const SOURCE_TON: Field = field("source_addr_ton", 1, Status::RINVSRCTON);
    pub(crate) const SOURCE_NPI: Field = field("source_addr_npi", 1, Status::RINVSRCNPI);
    pub(crate) const SOURCE_ADDR: Field = field("source_addr", 21, Status::RINVSRCADR);
    pub(crate) const LONG_SOURCE_ADDR: Field = field("source_addr", 65, Status::RINVSRCADR);
    pub(crate) const DEST_TON: Field = field("dest_addr_ton", 1, Status::RINVDSTTON);
    pub(crate) const DEST_NPI: Field = field("dest_addr_npi", 1, Status::RINVDSTNPI);
    pub(crate) const DEST_ADDR: Field = field("destination_addr", 21, Status::RINVDSTADR);
    pub(crate) const LONG_DEST_ADDR: Field = field("destination_addr", 65, Status::RINVDSTADR);
    pub(crate) const ESME_ADDR: Field = field("esme_addr", 65, Status::RINVDSTADR);
    pub(crate) const ESM_CLASS: Field = field("esm_class", 1, Status::RINVESMCLASS);
    pub(crate) const PROTOCOL_ID: Field = field("protocol_id", 1, Status::RINVCMDLEN);
    pub(crate) const PRIORITY_FLAG: Field = field("priority_flag", 1, Status::RINVPRTFLG);
    pub(crate) const SCHEDULE: Field = field("schedule_delivery_time", 17, Status::RINVSCHED);
    pub(crate) const VALIDITY: Field = field("validity_period", 17, Status::RINVEXPIRY);
    pub(crate) const REGISTERED: Field = field("registered_delivery", 1, Status::RINVREGDLVFLG);
    pub(crate) const REPLACE_FLAG: Field = field("replace_if_present_flag", 1, Status::RINVREPFLAG);
    pub(crate) const DATA_CODING: Field = field("data_coding", 1, Status::RINVDCS);
    pub(crate) const DEFAULT_MSG: Field = field("sm_default_msg_id", 1, Status::RINVDFTMSGID);
    pub(crate) const SHORT_MESSAGE: Field = field("short_message", 255, Status::RINVMSGLEN);
    pub(crate) const MESSAGE_ID: Field = field("message_id", 65, Status::RINVMSGID);
    pub(crate) const FINAL_DATE: Field = field("final_date", 17, Status::RQUERYFAIL);
    pub(crate) const MESSAGE_STATE: Field = field("message_state", 1, Status::RQUERYFAIL);
    pub(crate) const ERROR_CODE: Field = field("error_code", 1, Status::RQUERYFAIL);
    pub(crate) const NUMBER_OF_DESTS: Field = field("number_of_dests", 255, Status::RINVNUMDESTS);
    pub(crate) const DEST_FLAG: Field = field("dest_flag", 1, Status::RINVDESTFLAG);
    pub(crate) const DL_NAME: Field = field("dl_name", 21, Status::RINVDLNAME);
    pub(crate) const NO_UNSUCCESS: Field = field("no_unsuccess", 255, Status::RSUBMITFAIL);
    pub(crate) const ERROR_STATUS: Field = field("error_status_code", 4, Status::RSUBMITFAIL);

    /// What is written where the operator set a password: centres do issue longer ones than eight characters, and a
    /// bind that cannot be tried helps nobody.
    pub(crate) const ISSUED_PASSWORD: Field = field("password", 65, Status::RINVPASWD);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_a_receipt_with_any_other_bit() {
        for class in [0x04, 0x44, 0x84, 0xC7] {
            assert_eq!(EsmClass(class).message_type(), MessageType::Receipt, "{class:#x}");
        }
        assert_eq!(EsmClass(0x43).message_type(), MessageType::Default);
        assert_eq!(EsmClass(0x24).message_type(), MessageType::Other(0x24));
        assert!(EsmClass(0x43).udhi() && EsmClass(0x83).reply_path());
        assert_eq!(EsmClass(3).with_udhi(true).with_udhi(false), EsmClass(3));
    }

    #[test]
    fn receipts_asked_for() {
        let asked = |octet| {
            let asked = RegisteredDelivery(octet);
            (asked.on_success(), asked.on_failure(), asked.intermediate())
        };
        assert_eq!(asked(0), (false, false, false));
        assert_eq!(asked(0x11), (true, true, true));
        assert_eq!(asked(2), (false, true, false));
        assert_eq!(asked(3), (true, false, false));
    }

    #[test]
    fn versions() {
        assert!(!Version(0).has_tlvs() && !Version::V3_3.has_tlvs() && Version::V3_4.has_tlvs());
        assert_eq!((Version(0x2c).max_message_id(), Version::V5_0.max_short_message()), (8, 255));
    }
}
