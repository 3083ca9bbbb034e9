//! Tags: the names of SMPP's optional parameters (TLVs, SMPP v5 §4.8) and the lengths their values may have.

use std::fmt;
use std::ops::RangeInclusive;

/// A TLV's tag. Unknown ones are kept; 0x1400 to 0x3FFF belong to vendors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u16);

macro_rules! tags {
    ($($name:ident = $value:literal, $text:literal, $lengths:expr;)*) => {
        impl Tag {
            $(#[doc = concat!("`", $text, "`")] pub const $name: Self = Self($value);)*

            /// Every tag of the specification, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in the specification, or `None` for an unknown or vendor tag.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    _ => None,
                }
            }

            /// How many octets the value may have; `None` for an unknown tag, whose value may be anything.
            ///
            /// Wider than the specification where widely used peers are: a node id of five digits, an
            /// alert_on_message_delivery of none.
            #[must_use]
            pub fn lengths(self) -> Option<RangeInclusive<usize>> {
                match self {
                    $(Self::$name => Some($lengths),)*
                    _ => None,
                }
            }
        }
    };
}

tags! {
    DEST_ADDR_SUBUNIT = 0x0005, "dest_addr_subunit", 1..=1;
    DEST_NETWORK_TYPE = 0x0006, "dest_network_type", 1..=1;
    DEST_BEARER_TYPE = 0x0007, "dest_bearer_type", 1..=1;
    DEST_TELEMATICS_ID = 0x0008, "dest_telematics_id", 2..=2;
    SOURCE_ADDR_SUBUNIT = 0x000D, "source_addr_subunit", 1..=1;
    SOURCE_NETWORK_TYPE = 0x000E, "source_network_type", 1..=1;
    SOURCE_BEARER_TYPE = 0x000F, "source_bearer_type", 1..=1;
    SOURCE_TELEMATICS_ID = 0x0010, "source_telematics_id", 1..=2;
    QOS_TIME_TO_LIVE = 0x0017, "qos_time_to_live", 4..=4;
    PAYLOAD_TYPE = 0x0019, "payload_type", 1..=1;
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D, "additional_status_info_text", 1..=256;
    RECEIPTED_MESSAGE_ID = 0x001E, "receipted_message_id", 1..=65;
    MS_MSG_WAIT_FACILITIES = 0x0030, "ms_msg_wait_facilities", 1..=1;
    PRIVACY_INDICATOR = 0x0201, "privacy_indicator", 1..=1;
    SOURCE_SUBADDRESS = 0x0202, "source_subaddress", 2..=23;
    DEST_SUBADDRESS = 0x0203, "dest_subaddress", 2..=23;
    USER_MESSAGE_REFERENCE = 0x0204, "user_message_reference", 2..=2;
    USER_RESPONSE_CODE = 0x0205, "user_response_code", 1..=1;
    SOURCE_PORT = 0x020A, "source_port", 2..=2;
    DESTINATION_PORT = 0x020B, "destination_port", 2..=2;
    SAR_MSG_REF_NUM = 0x020C, "sar_msg_ref_num", 2..=2;
    LANGUAGE_INDICATOR = 0x020D, "language_indicator", 1..=1;
    SAR_TOTAL_SEGMENTS = 0x020E, "sar_total_segments", 1..=1;
    SAR_SEGMENT_SEQNUM = 0x020F, "sar_segment_seqnum", 1..=1;
    SC_INTERFACE_VERSION = 0x0210, "sc_interface_version", 1..=1;
    CALLBACK_NUM_PRES_IND = 0x0302, "callback_num_pres_ind", 1..=1;
    CALLBACK_NUM_ATAG = 0x0303, "callback_num_atag", 0..=65;
    NUMBER_OF_MESSAGES = 0x0304, "number_of_messages", 1..=1;
    CALLBACK_NUM = 0x0381, "callback_num", 4..=19;
    DPF_RESULT = 0x0420, "dpf_result", 1..=1;
    SET_DPF = 0x0421, "set_dpf", 1..=1;
    MS_AVAILABILITY_STATUS = 0x0422, "ms_availability_status", 1..=1;
    NETWORK_ERROR_CODE = 0x0423, "network_error_code", 3..=3;
    MESSAGE_PAYLOAD = 0x0424, "message_payload", 0..=65535;
    DELIVERY_FAILURE_REASON = 0x0425, "delivery_failure_reason", 1..=1;
    MORE_MESSAGES_TO_SEND = 0x0426, "more_messages_to_send", 1..=1;
    MESSAGE_STATE = 0x0427, "message_state", 1..=1;
    CONGESTION_STATE = 0x0428, "congestion_state", 1..=1;
    USSD_SERVICE_OP = 0x0501, "ussd_service_op", 1..=1;
    BROADCAST_CHANNEL_INDICATOR = 0x0600, "broadcast_channel_indicator", 1..=1;
    BROADCAST_CONTENT_TYPE = 0x0601, "broadcast_content_type", 3..=3;
    BROADCAST_CONTENT_TYPE_INFO = 0x0602, "broadcast_content_type_info", 1..=255;
    BROADCAST_MESSAGE_CLASS = 0x0603, "broadcast_message_class", 1..=1;
    BROADCAST_REP_NUM = 0x0604, "broadcast_rep_num", 2..=2;
    BROADCAST_FREQUENCY_INTERVAL = 0x0605, "broadcast_frequency_interval", 3..=3;
    BROADCAST_AREA_IDENTIFIER = 0x0606, "broadcast_area_identifier", 1..=65535;
    BROADCAST_ERROR_STATUS = 0x0607, "broadcast_error_status", 4..=4;
    BROADCAST_AREA_SUCCESS = 0x0608, "broadcast_area_success", 1..=1;
    BROADCAST_END_TIME = 0x0609, "broadcast_end_time", 16..=17;
    BROADCAST_SERVICE_GROUP = 0x060A, "broadcast_service_group", 1..=255;
    BILLING_IDENTIFICATION = 0x060B, "billing_identification", 1..=1024;
    SOURCE_NETWORK_ID = 0x060D, "source_network_id", 1..=65;
    DEST_NETWORK_ID = 0x060E, "dest_network_id", 1..=65;
    SOURCE_NODE_ID = 0x060F, "source_node_id", 1..=6;
    DEST_NODE_ID = 0x0610, "dest_node_id", 1..=6;
    DEST_ADDR_NP_RESOLUTION = 0x0611, "dest_addr_np_resolution", 1..=1;
    DEST_ADDR_NP_INFORMATION = 0x0612, "dest_addr_np_information", 1..=10;
    DEST_ADDR_NP_COUNTRY = 0x0613, "dest_addr_np_country", 1..=5;
    DISPLAY_TIME = 0x1203, "display_time", 1..=1;
    SMS_SIGNAL = 0x1204, "sms_signal", 2..=2;
    MS_VALIDITY = 0x1205, "ms_validity", 1..=4;
    ALERT_ON_MESSAGE_DELIVERY = 0x130C, "alert_on_message_delivery", 0..=1;
    ITS_REPLY_TYPE = 0x1380, "its_reply_type", 1..=1;
    ITS_SESSION_INFO = 0x1383, "its_session_info", 2..=2;
}

impl Tag {
    /// True where the tag is in the range the specification leaves to vendors.
    #[must_use]
    pub fn is_vendor(self) -> bool {
        (0x1400..=0x3FFF).contains(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:04x}", self.0),
        }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(Tag(0x0424).name(), Some("message_payload"));
        assert_eq!(format!("{}", Tag(0x1401)), "0x1401");
        assert!(Tag(0x1401).is_vendor() && !Tag::SAR_MSG_REF_NUM.is_vendor());
        assert!(Tag::ALL.is_sorted());
    }
}
