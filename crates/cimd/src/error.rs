//! Why the centre refuses: parameter 900 (CIMD2 3-0 §6).

use std::fmt;

/// The number of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub u16);

/// What to do after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The same again will be refused again.
    Permanent,
    /// The same may be taken later.
    Temporary,
    /// Too much at once: slow down, then send the same again.
    Throttled,
}

/// All codes that have a name.
const TABLE: [(u16, Class, &str); 54] = [
    (0, Class::Permanent, "no error"),
    (1, Class::Temporary, "unexpected operation"),
    (2, Class::Permanent, "syntax error"),
    (3, Class::Permanent, "unsupported parameter"),
    (4, Class::Temporary, "connection to message centre lost"),
    (5, Class::Temporary, "no response from message centre"),
    (6, Class::Temporary, "general system error"),
    (7, Class::Permanent, "cannot find information"),
    (8, Class::Permanent, "parameter formatting error"),
    (9, Class::Temporary, "requested operation failed"),
    (10, Class::Throttled, "temporary congestion"),
    (100, Class::Permanent, "invalid login"),
    (101, Class::Permanent, "incorrect access type"),
    (102, Class::Temporary, "too many users with this login id"),
    (103, Class::Permanent, "login refused by message centre"),
    (104, Class::Permanent, "invalid window size"),
    (105, Class::Permanent, "windowing disabled"),
    (106, Class::Permanent, "barred by virtual message centre"),
    (107, Class::Permanent, "invalid subaddress"),
    (108, Class::Permanent, "alias account, login refused"),
    (300, Class::Permanent, "incorrect destination address"),
    (301, Class::Permanent, "incorrect number of destination addresses"),
    (302, Class::Permanent, "syntax error in user data"),
    (303, Class::Permanent, "incorrect combination of binary data, header and user data"),
    (304, Class::Permanent, "incorrect data coding scheme"),
    (305, Class::Permanent, "incorrect validity period"),
    (306, Class::Permanent, "incorrect originator address"),
    (307, Class::Permanent, "incorrect protocol identifier"),
    (308, Class::Permanent, "incorrect first delivery time"),
    (309, Class::Permanent, "incorrect reply path"),
    (310, Class::Permanent, "incorrect status report request"),
    (311, Class::Permanent, "incorrect cancel enabled"),
    (312, Class::Permanent, "incorrect priority"),
    (313, Class::Permanent, "incorrect tariff class"),
    (314, Class::Permanent, "incorrect service description"),
    (315, Class::Permanent, "incorrect transport type"),
    (316, Class::Permanent, "incorrect message type"),
    (318, Class::Permanent, "incorrect more messages to send"),
    (319, Class::Permanent, "incorrect operation timer"),
    (320, Class::Permanent, "incorrect dialogue id"),
    (321, Class::Permanent, "incorrect alphanumeric originator address"),
    (322, Class::Permanent, "invalid data for alphanumeric originator"),
    (400, Class::Permanent, "incorrect address to enquire"),
    (401, Class::Permanent, "incorrect time stamp to enquire"),
    (500, Class::Permanent, "incorrect time stamp of delivery request"),
    (501, Class::Permanent, "incorrect mode of delivery request"),
    (502, Class::Permanent, "incorrect combination of delivery request"),
    (600, Class::Permanent, "incorrect time stamp to cancel"),
    (601, Class::Permanent, "incorrect address to cancel"),
    (602, Class::Permanent, "incorrect mode to cancel"),
    (603, Class::Permanent, "incorrect combination to cancel"),
    (800, Class::Permanent, "changing password failed"),
    (801, Class::Permanent, "changing password not allowed"),
    (900, Class::Permanent, "unsupported item requested"),
];

impl ErrorCode {
    /// 1, unexpected operation: the peer is not logged in.
    pub const UNEXPECTED: Self = Self(1);
    /// 2, syntax error.
    pub const SYNTAX: Self = Self(2);
    /// 6, general system error.
    pub const SYSTEM: Self = Self(6);
    /// 10, temporary congestion.
    pub const CONGESTION: Self = Self(10);
    /// 100, invalid login.
    pub const INVALID_LOGIN: Self = Self(100);
    /// 300, incorrect destination address.
    pub const DESTINATION: Self = Self(300);
    /// 302, syntax error in user data.
    pub const USER_DATA: Self = Self(302);

    /// What it means; "unknown error" for a code without a name.
    #[must_use]
    pub fn describe(self) -> &'static str {
        self.entry().map_or("unknown error", |(_, _, text)| text)
    }

    /// What to do after it. Codes without a name are the centre's own, and mostly about the message: permanent.
    #[must_use]
    pub fn class(self) -> Class {
        self.entry().map_or(Class::Permanent, |(_, class, _)| *class)
    }

    fn entry(self) -> Option<&'static (u16, Class, &'static str)> {
        TABLE.iter().find(|(code, ..)| *code == self.0)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_words() {
        assert_eq!(ErrorCode::CONGESTION.class(), Class::Throttled);
        assert_eq!(ErrorCode::SYSTEM.class(), Class::Temporary);
        assert_eq!(ErrorCode::DESTINATION.class(), Class::Permanent);
        assert_eq!(ErrorCode(777).to_string(), "777 unknown error");
    }
}
