//! Operation types (EMI/UCP 5.2 §4 to §6).

use std::fmt;

/// The two digits of OT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation(pub u8);

impl Operation {
    /// 01, call input: the old way to submit, and to deliver.
    pub const CALL: Self = Self(1);
    /// 02, call input to several addresses.
    pub const CALL_MULTIPLE: Self = Self(2);
    /// 03, call input with supplementary services.
    pub const CALL_SUPPLEMENTARY: Self = Self(3);
    /// 30, SMS message transfer.
    pub const TRANSFER: Self = Self(30);
    /// 31, SMT alert: mostly used to see whether the other side is there.
    pub const ALERT: Self = Self(31);
    /// 51, submit short message.
    pub const SUBMIT: Self = Self(51);
    /// 52, deliver short message.
    pub const DELIVER: Self = Self(52);
    /// 53, deliver notification: a receipt.
    pub const NOTIFICATION: Self = Self(53);
    /// 54, modify message.
    pub const MODIFY: Self = Self(54);
    /// 55, inquiry message.
    pub const INQUIRY: Self = Self(55);
    /// 56, delete message.
    pub const DELETE: Self = Self(56);
    /// 57, response to an inquiry.
    pub const INQUIRY_RESPONSE: Self = Self(57);
    /// 58, response to a delete.
    pub const DELETE_RESPONSE: Self = Self(58);
    /// 60, session management.
    pub const SESSION: Self = Self(60);
    /// 61, list management.
    pub const LIST: Self = Self(61);

    /// Whether it is of the 5x-series, whose fields are those of [`ShortMessage`](crate::ShortMessage).
    #[must_use]
    pub fn is_message(self) -> bool {
        (51..=58).contains(&self.0)
    }

    /// Whether a positive result has a modified validity period (MVP) before its system message.
    #[must_use]
    pub fn acknowledges_validity(self) -> bool {
        self.is_message() || self == Self::TRANSFER
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}
