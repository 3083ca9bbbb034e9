//! Why the other side refuses: EC (EMI/UCP 5.2 §7.2).

use std::fmt;

/// The two digits of EC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub u8);

/// What to do after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The same again will be refused again.
    Permanent,
    /// The same may be taken later.
    Temporary,
    /// Too fast, or too many unanswered: slow down, then send the same again.
    Throttled,
}

/// All codes that have a name.
const TABLE: [(u8, Class, &str); 36] = [
    (1, Class::Temporary, "checksum error"),
    (2, Class::Permanent, "syntax error"),
    (3, Class::Permanent, "operation not supported by system"),
    (4, Class::Throttled, "operation not allowed"),
    (5, Class::Permanent, "call barring active"),
    (6, Class::Permanent, "AdC invalid"),
    (7, Class::Permanent, "authentication failure"),
    (8, Class::Permanent, "legitimisation code for all calls, failure"),
    (9, Class::Permanent, "GA not valid"),
    (10, Class::Permanent, "repetition not allowed"),
    (11, Class::Permanent, "legitimisation code for repetition, failure"),
    (12, Class::Permanent, "priority call not allowed"),
    (13, Class::Permanent, "legitimisation code for priority call, failure"),
    (14, Class::Permanent, "urgent message not allowed"),
    (15, Class::Permanent, "legitimisation code for urgent message, failure"),
    (16, Class::Permanent, "reverse charging not allowed"),
    (17, Class::Permanent, "legitimisation code for reverse charging, failure"),
    (18, Class::Permanent, "deferred delivery not allowed"),
    (19, Class::Permanent, "new AC not valid"),
    (20, Class::Permanent, "new legitimisation code not valid"),
    (21, Class::Permanent, "standard text not valid"),
    (22, Class::Permanent, "time period not valid"),
    (23, Class::Permanent, "message type not supported by system"),
    (24, Class::Permanent, "message too long"),
    (25, Class::Permanent, "requested standard text not valid"),
    (26, Class::Permanent, "message type not valid for the pager type"),
    (27, Class::Permanent, "message not found"),
    (30, Class::Temporary, "subscriber hang-up"),
    (31, Class::Permanent, "fax group not supported"),
    (32, Class::Permanent, "fax message type not supported"),
    (33, Class::Permanent, "address already in list"),
    (34, Class::Permanent, "address not in list"),
    (35, Class::Permanent, "list full, cannot add address to list"),
    (36, Class::Permanent, "RPID already in use"),
    (37, Class::Permanent, "delivery in progress"),
    (38, Class::Permanent, "message forwarded"),
];

impl ErrorCode {
    /// 01, checksum error.
    pub const CHECKSUM: Self = Self(1);
    /// 02, syntax error.
    pub const SYNTAX: Self = Self(2);
    /// 03, operation not supported by system.
    pub const NOT_SUPPORTED: Self = Self(3);
    /// 04, operation not allowed: what centres answer to who sends too fast or has too many unanswered.
    pub const NOT_ALLOWED: Self = Self(4);
    /// 05, call barring active.
    pub const BARRED: Self = Self(5);
    /// 06, AdC invalid.
    pub const ADC_INVALID: Self = Self(6);
    /// 07, authentication failure.
    pub const AUTHENTICATION: Self = Self(7);
    /// 22, time period not valid.
    pub const TIME_INVALID: Self = Self(22);
    /// 23, message type not supported by system.
    pub const TYPE_NOT_SUPPORTED: Self = Self(23);
    /// 24, message too long.
    pub const TOO_LONG: Self = Self(24);
    /// 27, message not found in the centre.
    pub const NOT_FOUND: Self = Self(27);
    /// 37, the message is being delivered.
    pub const IN_PROGRESS: Self = Self(37);

    /// What it means, in the words of the specification; "unknown error" for a code without.
    #[must_use]
    pub fn describe(self) -> &'static str {
        self.entry().map_or("unknown error", |(_, _, text)| text)
    }

    /// What to do after it. Codes that the specification does not know are the centre's own, and mostly about the
    /// message: permanent.
    #[must_use]
    pub fn class(self) -> Class {
        self.entry().map_or(Class::Permanent, |(_, class, _)| *class)
    }

    fn entry(self) -> Option<&'static (u8, Class, &'static str)> {
        TABLE.iter().find(|(code, ..)| *code == self.0)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02} {}", self.0, self.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_words() {
        assert_eq!(ErrorCode::NOT_ALLOWED.class(), Class::Throttled);
        assert_eq!(ErrorCode::ADC_INVALID.class(), Class::Permanent);
        assert_eq!(ErrorCode::CHECKSUM.class(), Class::Temporary);
        assert_eq!(ErrorCode(99).class(), Class::Permanent);
        assert_eq!(ErrorCode(6).to_string(), "06 AdC invalid");
        assert_eq!(ErrorCode(99).to_string(), "99 unknown error");
    }
}
