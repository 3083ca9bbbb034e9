//! Parameters (CIMD2 3-0 §5): three digits, a colon, a value.

/// One parameter of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its number, 0 to 999.
    pub code: u16,
    /// Its value as it stands on the wire.
    pub value: Vec<u8>,
}

/// User identity.
pub const USER: u16 = 10;
/// Password.
pub const PASSWORD: u16 = 11;
/// Subaddress: which of a user's connections this is.
pub const SUBADDRESS: u16 = 12;
/// Window size, 1 to 128.
pub const WINDOW_SIZE: u16 = 19;
/// Destination address.
pub const DESTINATION: u16 = 21;
/// Originating address.
pub const ORIGINATOR: u16 = 23;
/// Originating IMSI.
pub const ORIGINATING_IMSI: u16 = 26;
/// Alphanumeric originating address.
pub const ALPHANUMERIC_ORIGINATOR: u16 = 27;
/// Originated visited MSC.
pub const VISITED_MSC: u16 = 28;
/// Data coding scheme (3GPP TS 23.038 §4), decimal.
pub const DATA_CODING: u16 = 30;
/// User data header in hexadecimal, its length octet included.
pub const USER_DATA_HEADER: u16 = 32;
/// User data: text; see [`text`](crate::text).
pub const USER_DATA: u16 = 33;
/// Binary user data in hexadecimal.
pub const USER_DATA_BINARY: u16 = 34;
/// More messages to send.
pub const MORE_MESSAGES: u16 = 44;
/// Validity period, relative; see [`period`](crate::period).
pub const VALIDITY_RELATIVE: u16 = 50;
/// Validity period, absolute, `yymmddhhmmss`.
pub const VALIDITY_ABSOLUTE: u16 = 51;
/// Protocol identifier.
pub const PROTOCOL_ID: u16 = 52;
/// First delivery time, relative; see [`period`](crate::period).
pub const FIRST_DELIVERY_RELATIVE: u16 = 53;
/// First delivery time, absolute, `yymmddhhmmss`.
pub const FIRST_DELIVERY_ABSOLUTE: u16 = 54;
/// Reply path.
pub const REPLY_PATH: u16 = 55;
/// Which status reports, as a sum of bits: 1 temporary error, 2 expired, 4 failed, 8 delivered, 16 cancelled, 32 deleted.
pub const STATUS_REPORT_REQUEST: u16 = 56;
/// Whether the message can be cancelled.
pub const CANCEL_ENABLED: u16 = 58;
/// Which messages to cancel.
pub const CANCEL_MODE: u16 = 59;
/// The centre's time stamp, `yymmddhhmmss`: with the destination it names a message.
pub const TIME_STAMP: u16 = 60;
/// Status; see [`StatusCode`](crate::StatusCode).
pub const STATUS: u16 = 61;
/// The network's error behind a status.
pub const STATUS_ERROR: u16 = 62;
/// When the message came to its end, `yymmddhhmmss`.
pub const DISCHARGE_TIME: u16 = 63;
/// Tariff class.
pub const TARIFF_CLASS: u16 = 64;
/// Service description.
pub const SERVICE_DESCRIPTION: u16 = 65;
/// How many messages wait.
pub const MESSAGE_COUNT: u16 = 66;
/// Priority, 1 to 9.
pub const PRIORITY: u16 = 67;
/// What a delivery request asks for.
pub const DELIVERY_REQUEST_MODE: u16 = 68;
/// Service centre address.
pub const SERVICE_CENTRE: u16 = 69;
/// Which parameter a get asks for.
pub const GET_PARAMETER: u16 = 500;
/// The centre's time.
pub const CENTRE_TIME: u16 = 501;
/// Error; see [`ErrorCode`](crate::ErrorCode).
pub const ERROR: u16 = 900;
/// Error in words.
pub const ERROR_TEXT: u16 = 901;

/// Octets that a value has at most; for parameters that are not known what any value may have.
#[must_use]
pub fn value_max(code: u16) -> usize {
    match code {
        USER | PASSWORD => 32,
        SUBADDRESS
        | DATA_CODING
        | WINDOW_SIZE
        | VALIDITY_RELATIVE
        | PROTOCOL_ID
        | FIRST_DELIVERY_RELATIVE
        | STATUS_ERROR
        | MESSAGE_COUNT
        | GET_PARAMETER
        | ERROR => 3,
        DESTINATION | ORIGINATOR | ORIGINATING_IMSI | VISITED_MSC | SERVICE_CENTRE => 20,
        // Eleven characters, each of which may be a combination of three.
        ALPHANUMERIC_ORIGINATOR => 33,
        USER_DATA_HEADER | USER_DATA_BINARY => 280,
        USER_DATA => 480,
        MORE_MESSAGES | REPLY_PATH | CANCEL_ENABLED | CANCEL_MODE | PRIORITY | DELIVERY_REQUEST_MODE => 1,
        VALIDITY_ABSOLUTE | FIRST_DELIVERY_ABSOLUTE | TIME_STAMP | DISCHARGE_TIME | CENTRE_TIME => 12,
        STATUS_REPORT_REQUEST | STATUS | TARIFF_CLASS | SERVICE_DESCRIPTION => 2,
        ERROR_TEXT => 64,
        _ => 480,
    }
}
