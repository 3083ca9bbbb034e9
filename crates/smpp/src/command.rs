//! command_id: which operation a PDU carries (SMPP v5 §4.7.5).

use std::fmt;

/// A command_id; values outside the specification are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u32);

macro_rules! commands {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        impl CommandId {
            $(#[doc = concat!("`", $text, "`")] pub const $name: Self = Self($value);)*

            /// The operation's name in the specification, or `None` for an unknown one.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

commands! {
    GENERIC_NACK = 0x8000_0000, "generic_nack";
    BIND_RECEIVER = 0x01, "bind_receiver";
    BIND_RECEIVER_RESP = 0x8000_0001, "bind_receiver_resp";
    BIND_TRANSMITTER = 0x02, "bind_transmitter";
    BIND_TRANSMITTER_RESP = 0x8000_0002, "bind_transmitter_resp";
    QUERY_SM = 0x03, "query_sm";
    QUERY_SM_RESP = 0x8000_0003, "query_sm_resp";
    SUBMIT_SM = 0x04, "submit_sm";
    SUBMIT_SM_RESP = 0x8000_0004, "submit_sm_resp";
    DELIVER_SM = 0x05, "deliver_sm";
    DELIVER_SM_RESP = 0x8000_0005, "deliver_sm_resp";
    UNBIND = 0x06, "unbind";
    UNBIND_RESP = 0x8000_0006, "unbind_resp";
    REPLACE_SM = 0x07, "replace_sm";
    REPLACE_SM_RESP = 0x8000_0007, "replace_sm_resp";
    CANCEL_SM = 0x08, "cancel_sm";
    CANCEL_SM_RESP = 0x8000_0008, "cancel_sm_resp";
    BIND_TRANSCEIVER = 0x09, "bind_transceiver";
    BIND_TRANSCEIVER_RESP = 0x8000_0009, "bind_transceiver_resp";
    OUTBIND = 0x0B, "outbind";
    ENQUIRE_LINK = 0x15, "enquire_link";
    ENQUIRE_LINK_RESP = 0x8000_0015, "enquire_link_resp";
    SUBMIT_MULTI = 0x21, "submit_multi";
    SUBMIT_MULTI_RESP = 0x8000_0021, "submit_multi_resp";
    ALERT_NOTIFICATION = 0x102, "alert_notification";
    DATA_SM = 0x103, "data_sm";
    DATA_SM_RESP = 0x8000_0103, "data_sm_resp";
    BROADCAST_SM = 0x111, "broadcast_sm";
    BROADCAST_SM_RESP = 0x8000_0111, "broadcast_sm_resp";
    QUERY_BROADCAST_SM = 0x112, "query_broadcast_sm";
    QUERY_BROADCAST_SM_RESP = 0x8000_0112, "query_broadcast_sm_resp";
    CANCEL_BROADCAST_SM = 0x113, "cancel_broadcast_sm";
    CANCEL_BROADCAST_SM_RESP = 0x8000_0113, "cancel_broadcast_sm_resp";
}

impl CommandId {
    /// True for responses and generic_nack: bit 31 is set.
    #[must_use]
    pub fn is_response(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }

    /// The response to this request; `None` for responses and for operations that have none (outbind,
    /// alert_notification, unknown ones).
    #[must_use]
    pub fn response(self) -> Option<Self> {
        let response = Self(self.0 | 0x8000_0000);
        (self != response && response.name().is_some()).then_some(response)
    }

    /// True for bind_transmitter, bind_receiver and bind_transceiver.
    #[must_use]
    pub fn is_bind(self) -> bool {
        matches!(self, Self::BIND_TRANSMITTER | Self::BIND_RECEIVER | Self::BIND_TRANSCEIVER)
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "command 0x{:08x}", self.0),
        }
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_know_their_response() {
        assert_eq!(CommandId::SUBMIT_SM.response(), Some(CommandId::SUBMIT_SM_RESP));
        assert_eq!(CommandId::BROADCAST_SM.response(), Some(CommandId::BROADCAST_SM_RESP));
        for without in [
            CommandId::OUTBIND,
            CommandId::ALERT_NOTIFICATION,
            CommandId::SUBMIT_SM_RESP,
            CommandId::GENERIC_NACK,
            CommandId(0x110),
        ] {
            assert_eq!(without.response(), None, "{without}");
        }
    }
}
