//! command_status: how an operation went (SMPP v5 §4.7.6), and what a sender should do about it.

use std::fmt;

/// A command_status. Values outside the specification are kept: peers use their own, and 0x400 to 0x4FF belong to them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Status(pub u32);

macro_rules! statuses {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        impl Status {
            $(#[doc = concat!("ESME_", stringify!($name), ": ", $text)] pub const $name: Self = Self($value);)*

            /// Every status of the specification, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The specification's name with its prefix, such as `ESME_RTHROTTLED`; `None` for an unknown value.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(concat!("ESME_", stringify!($name))),)*
                    _ => None,
                }
            }

            /// What it means, as a short English phrase.
            #[must_use]
            pub fn describe(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self(0x400..=0x4FF) => "an error of this provider",
                    _ => "reserved status",
                }
            }
        }
    };
}

statuses! {
    ROK = 0x00, "no error";
    RINVMSGLEN = 0x01, "message length is invalid";
    RINVCMDLEN = 0x02, "command length is invalid";
    RINVCMDID = 0x03, "command id is invalid";
    RINVBNDSTS = 0x04, "incorrect bind status for this command";
    RALYBND = 0x05, "ESME already bound";
    RINVPRTFLG = 0x06, "invalid priority flag";
    RINVREGDLVFLG = 0x07, "invalid registered delivery flag";
    RSYSERR = 0x08, "system error";
    RINVSRCADR = 0x0A, "invalid source address";
    RINVDSTADR = 0x0B, "invalid destination address";
    RINVMSGID = 0x0C, "message id is invalid";
    RBINDFAIL = 0x0D, "bind failed";
    RINVPASWD = 0x0E, "invalid password";
    RINVSYSID = 0x0F, "invalid system id";
    RCANCELFAIL = 0x11, "cancel_sm failed";
    RREPLACEFAIL = 0x13, "replace_sm failed";
    RMSGQFUL = 0x14, "message queue full";
    RINVSERTYP = 0x15, "invalid service type";
    RINVNUMDESTS = 0x33, "invalid number of destinations";
    RINVDLNAME = 0x34, "invalid distribution list name";
    RINVDESTFLAG = 0x40, "invalid destination flag";
    RINVSUBREP = 0x42, "submit with replace is not supported here";
    RINVESMCLASS = 0x43, "invalid esm_class";
    RCNTSUBDL = 0x44, "cannot submit to a distribution list";
    RSUBMITFAIL = 0x45, "submit failed";
    RINVSRCTON = 0x48, "invalid source type of number";
    RINVSRCNPI = 0x49, "invalid source numbering plan";
    RINVDSTTON = 0x50, "invalid destination type of number";
    RINVDSTNPI = 0x51, "invalid destination numbering plan";
    RINVSYSTYP = 0x53, "invalid system type";
    RINVREPFLAG = 0x54, "invalid replace_if_present flag";
    RINVNUMMSGS = 0x55, "invalid number of messages";
    RTHROTTLED = 0x58, "throttled: the allowed rate is exceeded";
    RINVSCHED = 0x61, "invalid scheduled delivery time";
    RINVEXPIRY = 0x62, "invalid validity period";
    RINVDFTMSGID = 0x63, "predefined message is invalid or not found";
    RX_T_APPN = 0x64, "receiver: temporary application error";
    RX_P_APPN = 0x65, "receiver: permanent application error";
    RX_R_APPN = 0x66, "receiver: message rejected";
    RQUERYFAIL = 0x67, "query_sm failed";
    RINVTLVSTREAM = 0xC0, "the optional parameters cannot be read";
    RTLVNOTALLWD = 0xC1, "an optional parameter is not allowed";
    RINVTLVLEN = 0xC2, "an optional parameter has a wrong length";
    RMISSINGTLV = 0xC3, "an expected optional parameter is missing";
    RINVTLVVAL = 0xC4, "an optional parameter has a wrong value";
    RDELIVERYFAILURE = 0xFE, "delivery failed";
    RUNKNOWNERR = 0xFF, "unknown error";
    RSERTYPUNAUTH = 0x100, "not authorised for this service type";
    RPROHIBITED = 0x101, "not authorised for this operation";
    RSERTYPUNAVAIL = 0x102, "service type unavailable";
    RSERTYPDENIED = 0x103, "service type denied";
    RINVDCS = 0x104, "invalid data coding";
    RINVSRCADDRSUBUNIT = 0x105, "invalid source address subunit";
    RINVDSTADDRSUBUNIT = 0x106, "invalid destination address subunit";
    RINVBCASTFREQINT = 0x107, "invalid broadcast frequency interval";
    RINVBCASTALIAS_NAME = 0x108, "invalid broadcast alias name";
    RINVBCASTAREAFMT = 0x109, "invalid broadcast area format";
    RINVNUMBCAST_AREAS = 0x10A, "invalid number of broadcast areas";
    RINVBCASTCNTTYPE = 0x10B, "invalid broadcast content type";
    RINVBCASTMSGCLASS = 0x10C, "invalid broadcast message class";
    RBCASTFAIL = 0x10D, "broadcast_sm failed";
    RBCASTQUERYFAIL = 0x10E, "query_broadcast_sm failed";
    RBCASTCANCELFAIL = 0x10F, "cancel_broadcast_sm failed";
    RINVBCAST_REP = 0x110, "invalid number of repeated broadcasts";
    RINVBCASTSRVGRP = 0x111, "invalid broadcast service group";
    RINVBCASTCHANIND = 0x112, "invalid broadcast channel indicator";
}

/// What a status asks of the sender of a request. Providers differ; a connection may overrule it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// It went well.
    Success,
    /// Try the message again later; counts as an attempt.
    Temporary,
    /// Too fast: pause the whole bind and send the same message again; no attempt is counted.
    Throttled,
    /// The peer's queue for this destination is full: pause longer; counts as an attempt.
    QueueFull,
    /// This message will never be taken.
    Permanent,
    /// The destination takes nothing at all: end everything that is queued for it.
    DestinationBlocked,
    /// The session is not what both sides think it is: bind anew, then try again.
    ReconnectNeeded,
}

impl Status {
    /// True for ESME_ROK.
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == Self::ROK
    }

    /// What to do after this answer. Unknown and vendor statuses count as permanent, so that nothing is sent for ever.
    #[must_use]
    pub fn class(self) -> RetryClass {
        match self {
            Self::ROK => RetryClass::Success,
            Self::RTHROTTLED => RetryClass::Throttled,
            Self::RMSGQFUL => RetryClass::QueueFull,
            Self::RX_P_APPN => RetryClass::DestinationBlocked,
            Self::RINVBNDSTS | Self::RBINDFAIL => RetryClass::ReconnectNeeded,
            Self::RSYSERR | Self::RX_T_APPN | Self::RSERTYPUNAVAIL | Self::RDELIVERYFAILURE => {
                RetryClass::Temporary
            }
            _ => RetryClass::Permanent,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "status 0x{:08x}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_classes() {
        assert_eq!(Status(0x58).name(), Some("ESME_RTHROTTLED"));
        assert_eq!(Status(0x22).name(), None);
        assert_eq!(Status(0x401).describe(), "an error of this provider");
        assert!(Status::ALL.is_sorted());
        for (status, class) in [
            (Status::ROK, RetryClass::Success),
            (Status::RTHROTTLED, RetryClass::Throttled),
            (Status::RMSGQFUL, RetryClass::QueueFull),
            (Status::RX_P_APPN, RetryClass::DestinationBlocked),
            (Status::RX_R_APPN, RetryClass::Permanent),
            (Status::RX_T_APPN, RetryClass::Temporary),
            (Status::RBINDFAIL, RetryClass::ReconnectNeeded),
            (Status(0x4FF), RetryClass::Permanent),
        ] {
            assert_eq!(status.class(), class, "{status}");
        }
    }
}
