//! Operations (CIMD2 3-0 §4): a response is its request and 50.

use std::fmt;

/// The two digits of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation(pub u8);

/// Between a request and its response.
const RESPONSE: u8 = 50;

impl Operation {
    /// 01, login.
    pub const LOGIN: Self = Self(1);
    /// 02, logout.
    pub const LOGOUT: Self = Self(2);
    /// 03, submit message.
    pub const SUBMIT: Self = Self(3);
    /// 04, enquire message status.
    pub const ENQUIRE: Self = Self(4);
    /// 05, delivery request: asks for what waits.
    pub const DELIVERY_REQUEST: Self = Self(5);
    /// 06, cancel message.
    pub const CANCEL: Self = Self(6);
    /// 08, set parameter.
    pub const SET: Self = Self(8);
    /// 09, get parameter.
    pub const GET: Self = Self(9);
    /// 20, deliver message.
    pub const DELIVER: Self = Self(20);
    /// 23, deliver status report.
    pub const STATUS_REPORT: Self = Self(23);
    /// 40, alive: from either side.
    pub const ALIVE: Self = Self(40);
    /// 98, general error response.
    pub const GENERAL_ERROR: Self = Self(98);
    /// 99, nack: the packet could not be read.
    pub const NACK: Self = Self(99);

    /// The response to this request; `None` for what is no request.
    #[must_use]
    pub fn response(self) -> Option<Self> {
        (self.0 < RESPONSE).then_some(Self(self.0 + RESPONSE))
    }

    /// Whether it answers something, general error and nack included.
    #[must_use]
    pub fn is_response(self) -> bool {
        self.0 >= RESPONSE
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}
