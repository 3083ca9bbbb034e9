//! The optional parameters of one PDU: an ordered list of tag and value, kept octet for octet as it came.

use crate::read::{Fault, TLV_HEADER, split_tlv};
use crate::{COctetString, MessageState, NetworkErrorCode, Status, Tag};
use std::fmt;

/// A TLV that cannot be added: its value is longer than the 65535 octets a length field can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlvTooLong {
    /// The tag of the refused value.
    pub tag: Tag,
    /// Its length in octets.
    pub len: usize,
}

impl fmt::Display for TlvTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} octets is longer than the 65535 a TLV can hold", self.tag, self.len)
    }
}

impl std::error::Error for TlvTooLong {}

/// TLVs as they stand in a PDU that is still in its buffer.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct TlvsRef<'a> {
    /// Always whole TLVs, one after the other.
    octets: &'a [u8],
}

impl<'a> TlvsRef<'a> {
    /// Takes the whole TLVs at the start of `octets`. What is left over makes a strict reader refuse, and is dropped by
    /// a lenient one.
    pub(crate) fn read(octets: &'a [u8], strict: bool) -> Result<Self, Fault> {
        let mut rest = octets;
        while let Some((tag, value, after)) = split_tlv(rest) {
            if strict && tag.lengths().is_some_and(|lengths| !lengths.contains(&value.len())) {
                return Err(Fault { status: Status::RINVTLVLEN, field: tag.name().unwrap_or("tlv") });
            }
            rest = after;
        }
        if strict && !rest.is_empty() {
            return Err(Fault { status: Status::RINVTLVSTREAM, field: "tlv" });
        }
        Ok(Self { octets: &octets[..octets.len() - rest.len()] })
    }

    /// The TLVs in their order on the wire.
    pub fn iter(self) -> impl Iterator<Item = (Tag, &'a [u8])> {
        let mut rest = self.octets;
        std::iter::from_fn(move || {
            let (tag, value, after) = split_tlv(rest)?;
            rest = after;
            Some((tag, value))
        })
    }

    /// The value of the first TLV with this tag.
    #[must_use]
    pub fn get(self, tag: Tag) -> Option<&'a [u8]> {
        self.iter().find_map(|(found, value)| (found == tag).then_some(value))
    }

    /// True where there is no TLV.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.octets.is_empty()
    }

    /// The TLVs as they stand on the wire.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.octets
    }

    /// A copy that outlives the buffer.
    #[must_use]
    pub fn to_owned(self) -> Tlvs {
        Tlvs { octets: self.octets.to_vec() }
    }
}

impl fmt::Debug for TlvsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(tag, value)| (tag, Hex(value)))).finish()
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// The TLVs of a PDU. Unknown tags, repeated tags, order and odd values all survive.
///
/// Held as one run of octets, as on the wire: reading them costs one allocation however many there are, writing them one
/// copy. A typed getter gives `None` where the TLV is absent or its value has not the length that its type needs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tlvs {
    octets: Vec<u8>,
}

impl Tlvs {
    /// No TLV.
    #[must_use]
    pub const fn new() -> Self {
        Self { octets: Vec::new() }
    }

    /// The same TLVs, borrowed.
    #[must_use]
    pub fn view(&self) -> TlvsRef<'_> {
        TlvsRef { octets: &self.octets }
    }

    /// The TLVs in their order on the wire.
    pub fn iter(&self) -> impl Iterator<Item = (Tag, &[u8])> {
        self.view().iter()
    }

    /// The value of the first TLV with this tag.
    #[must_use]
    pub fn get(&self, tag: Tag) -> Option<&[u8]> {
        self.view().get(tag)
    }

    /// True where there is no TLV.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Removes all TLVs.
    pub fn clear(&mut self) {
        self.octets.clear();
    }

    /// Adds a TLV at the end, whether or not the tag is there already.
    ///
    /// # Errors
    /// A value of more than 65535 octets; nothing is changed then.
    pub fn push(&mut self, tag: Tag, value: &[u8]) -> Result<(), TlvTooLong> {
        let len = u16::try_from(value.len()).map_err(|_| TlvTooLong { tag, len: value.len() })?;
        self.append(tag, len, value);
        Ok(())
    }

    /// Replaces every TLV with this tag by one at the end.
    ///
    /// # Errors
    /// A value of more than 65535 octets; nothing is changed then.
    pub fn set(&mut self, tag: Tag, value: &[u8]) -> Result<(), TlvTooLong> {
        let len = u16::try_from(value.len()).map_err(|_| TlvTooLong { tag, len: value.len() })?;
        self.remove(tag);
        self.append(tag, len, value);
        Ok(())
    }

    /// Removes every TLV with this tag; true where there was one.
    pub fn remove(&mut self, tag: Tag) -> bool {
        let had = self.get(tag).is_some();
        if had {
            self.retain(|found, _| found != tag);
        }
        had
    }

    /// Keeps only the TLVs for which `keep` says true, in their order.
    pub fn retain(&mut self, mut keep: impl FnMut(Tag, &[u8]) -> bool) {
        let mut kept = Vec::with_capacity(self.octets.len());
        let mut rest = self.octets.as_slice();
        while let Some((tag, value, after)) = split_tlv(rest) {
            if keep(tag, value) {
                kept.extend_from_slice(&rest[..TLV_HEADER + value.len()]);
            }
            rest = after;
        }
        self.octets = kept;
    }

    fn append(&mut self, tag: Tag, len: u16, value: &[u8]) {
        self.octets.extend_from_slice(&tag.0.to_be_bytes());
        self.octets.extend_from_slice(&len.to_be_bytes());
        self.octets.extend_from_slice(value);
    }

    fn set_fixed<const N: usize>(&mut self, tag: Tag, value: [u8; N]) {
        self.remove(tag);
        self.append(tag, N as u16, &value);
    }

    fn fixed<const N: usize>(&self, tag: Tag) -> Option<[u8; N]> {
        self.get(tag)?.try_into().ok()
    }
}

macro_rules! integers {
    ($($get:ident, $set:ident, $tag:ident, $type:ty;)*) => {
        /// TLVs that are one unsigned integer, big-endian on the wire.
        impl Tlvs {
            $(
                #[doc = concat!("The value of `", stringify!($get), "`.")]
                #[must_use]
                pub fn $get(&self) -> Option<$type> {
                    self.fixed(Tag::$tag).map(<$type>::from_be_bytes)
                }

                #[doc = concat!("Sets `", stringify!($get), "`.")]
                pub fn $set(&mut self, value: $type) {
                    self.set_fixed(Tag::$tag, value.to_be_bytes());
                }
            )*
        }
    };
}

integers! {
    sar_msg_ref_num, set_sar_msg_ref_num, SAR_MSG_REF_NUM, u16;
    sar_total_segments, set_sar_total_segments, SAR_TOTAL_SEGMENTS, u8;
    sar_segment_seqnum, set_sar_segment_seqnum, SAR_SEGMENT_SEQNUM, u8;
    user_message_reference, set_user_message_reference, USER_MESSAGE_REFERENCE, u16;
    user_response_code, set_user_response_code, USER_RESPONSE_CODE, u8;
    source_port, set_source_port, SOURCE_PORT, u16;
    destination_port, set_destination_port, DESTINATION_PORT, u16;
    congestion_state, set_congestion_state, CONGESTION_STATE, u8;
    qos_time_to_live, set_qos_time_to_live, QOS_TIME_TO_LIVE, u32;
    sc_interface_version, set_sc_interface_version, SC_INTERFACE_VERSION, u8;
    payload_type, set_payload_type, PAYLOAD_TYPE, u8;
    privacy_indicator, set_privacy_indicator, PRIVACY_INDICATOR, u8;
    language_indicator, set_language_indicator, LANGUAGE_INDICATOR, u8;
    more_messages_to_send, set_more_messages_to_send, MORE_MESSAGES_TO_SEND, u8;
    delivery_failure_reason, set_delivery_failure_reason, DELIVERY_FAILURE_REASON, u8;
    dpf_result, set_dpf_result, DPF_RESULT, u8;
    set_dpf, set_set_dpf, SET_DPF, u8;
    ms_availability_status, set_ms_availability_status, MS_AVAILABILITY_STATUS, u8;
    ussd_service_op, set_ussd_service_op, USSD_SERVICE_OP, u8;
    its_reply_type, set_its_reply_type, ITS_REPLY_TYPE, u8;
    its_session_info, set_its_session_info, ITS_SESSION_INFO, u16;
    dest_addr_np_resolution, set_dest_addr_np_resolution, DEST_ADDR_NP_RESOLUTION, u8;
    source_network_type, set_source_network_type, SOURCE_NETWORK_TYPE, u8;
    dest_network_type, set_dest_network_type, DEST_NETWORK_TYPE, u8;
    number_of_messages, set_number_of_messages, NUMBER_OF_MESSAGES, u8;
    broadcast_rep_num, set_broadcast_rep_num, BROADCAST_REP_NUM, u16;
}

/// The three sar_* TLVs, which count only together (SMPP v5 §4.8.4.51).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sar {
    /// sar_msg_ref_num: the same in all segments of one message.
    pub reference: u16,
    /// sar_total_segments: 1 to 255.
    pub total: u8,
    /// sar_segment_seqnum: 1 to `total`.
    pub sequence: u8,
}

impl Tlvs {
    /// message_payload: the text or data where it does not stand in short_message.
    #[must_use]
    pub fn message_payload(&self) -> Option<&[u8]> {
        self.get(Tag::MESSAGE_PAYLOAD)
    }

    /// Sets message_payload.
    ///
    /// # Errors
    /// More than 65535 octets.
    pub fn set_message_payload(&mut self, octets: &[u8]) -> Result<(), TlvTooLong> {
        self.set(Tag::MESSAGE_PAYLOAD, octets)
    }

    /// receipted_message_id: the id the message was given, without NUL. Peers leave the final NUL away or send two.
    #[must_use]
    pub fn receipted_message_id(&self) -> Option<COctetString> {
        self.c_octets(Tag::RECEIPTED_MESSAGE_ID)
    }

    /// Sets receipted_message_id, with its NUL.
    ///
    /// # Errors
    /// More than 65534 octets.
    pub fn set_receipted_message_id(&mut self, id: &COctetString) -> Result<(), TlvTooLong> {
        self.set(Tag::RECEIPTED_MESSAGE_ID, &[id.as_bytes(), b"\0"].concat())
    }

    /// additional_status_info_text: the peer's own words, without NUL.
    #[must_use]
    pub fn additional_status_info_text(&self) -> Option<COctetString> {
        self.c_octets(Tag::ADDITIONAL_STATUS_INFO_TEXT)
    }

    /// The value of a TLV that is a C-octet string: what stands before the first NUL.
    #[must_use]
    pub fn c_octets(&self, tag: Tag) -> Option<COctetString> {
        let value = self.get(tag)?;
        value.split(|&octet| octet == 0).next().map(COctetString::new)
    }

    /// message_state: what became of the message.
    #[must_use]
    pub fn message_state(&self) -> Option<MessageState> {
        self.fixed(Tag::MESSAGE_STATE).map(|[state]| MessageState(state))
    }

    /// Sets message_state.
    pub fn set_message_state(&mut self, state: MessageState) {
        self.set_fixed(Tag::MESSAGE_STATE, [state.0]);
    }

    /// network_error_code: network type and error.
    #[must_use]
    pub fn network_error_code(&self) -> Option<NetworkErrorCode> {
        let [network, high, low] = self.fixed(Tag::NETWORK_ERROR_CODE)?;
        Some(NetworkErrorCode { network, code: u16::from_be_bytes([high, low]) })
    }

    /// Sets network_error_code.
    pub fn set_network_error_code(&mut self, error: NetworkErrorCode) {
        let [high, low] = error.code.to_be_bytes();
        self.set_fixed(Tag::NETWORK_ERROR_CODE, [error.network, high, low]);
    }

    /// The concatenation of the sar_* TLVs; `None` unless all three are there and fit together.
    #[must_use]
    pub fn sar(&self) -> Option<Sar> {
        let sar = Sar {
            reference: self.sar_msg_ref_num()?,
            total: self.sar_total_segments()?,
            sequence: self.sar_segment_seqnum()?,
        };
        (1..=sar.total).contains(&sar.sequence).then_some(sar)
    }

    /// Sets all three sar_* TLVs. They must not stand beside a concatenation header in the text (SMPP v5 §4.7.12).
    pub fn set_sar(&mut self, sar: Sar) {
        self.set_sar_msg_ref_num(sar.reference);
        self.set_sar_total_segments(sar.total);
        self.set_sar_segment_seqnum(sar.sequence);
    }

    /// alert_on_message_delivery: present, with no octet or one; an absent octet counts as 0, the default alert.
    #[must_use]
    pub fn alert_on_message_delivery(&self) -> Option<u8> {
        let value = self.get(Tag::ALERT_ON_MESSAGE_DELIVERY)?;
        Some(value.first().copied().unwrap_or(0))
    }
}

impl fmt::Debug for Tlvs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_unknown_tags_survive() {
        let mut tlvs = Tlvs::new();
        tlvs.push(Tag(0x1403), b"b").expect("a short value");
        tlvs.push(Tag(0x1402), b"").expect("a short value");
        tlvs.push(Tag(0x1403), b"c").expect("a short value");
        let listed: Vec<_> = tlvs.iter().collect();
        assert_eq!(listed, [(Tag(0x1403), &b"b"[..]), (Tag(0x1402), b""), (Tag(0x1403), b"c")]);
        assert_eq!(tlvs.get(Tag(0x1403)), Some(&b"b"[..]));
        tlvs.set(Tag(0x1403), b"d").expect("a short value");
        assert_eq!(tlvs.iter().collect::<Vec<_>>(), [(Tag(0x1402), &b""[..]), (Tag(0x1403), b"d")]);
        assert!(tlvs.remove(Tag(0x1402)) && !tlvs.remove(Tag(0x1402)));
    }

    #[test]
    fn typed_values() {
        let mut tlvs = Tlvs::new();
        tlvs.set_qos_time_to_live(3600);
        tlvs.set_message_state(MessageState::DELIVERED);
        tlvs.set_network_error_code(NetworkErrorCode { network: 3, code: 0x0102 });
        tlvs.set_receipted_message_id(&"1f".into()).expect("a short value");
        assert_eq!(tlvs.qos_time_to_live(), Some(3600));
        assert_eq!(tlvs.message_state(), Some(MessageState::DELIVERED));
        assert_eq!(tlvs.network_error_code(), Some(NetworkErrorCode { network: 3, code: 0x0102 }));
        assert_eq!(tlvs.receipted_message_id(), Some("1f".into()));
        tlvs.set(Tag::MESSAGE_STATE, &[1, 2]).expect("a short value");
        assert_eq!(tlvs.message_state(), None, "a value of the wrong length is not guessed at");
    }

    #[test]
    fn sar_counts_only_when_whole() {
        let mut tlvs = Tlvs::new();
        tlvs.set_sar_msg_ref_num(7);
        tlvs.set_sar_total_segments(2);
        assert_eq!(tlvs.sar(), None);
        for (sequence, whole) in [(0, false), (1, true), (2, true), (3, false)] {
            tlvs.set_sar_segment_seqnum(sequence);
            assert_eq!(tlvs.sar().is_some(), whole, "{sequence}");
        }
    }

    #[test]
    fn a_value_too_long_changes_nothing() {
        let mut tlvs = Tlvs::new();
        tlvs.set_message_payload(b"first").expect("a short value");
        assert_eq!(tlvs.set_message_payload(&vec![0; 65536]).map_err(|error| error.len), Err(65536));
        assert_eq!(tlvs.message_payload(), Some(&b"first"[..]));
        assert!(tlvs.set_message_payload(&vec![0; 65535]).is_ok());
    }

    #[test]
    fn truncated_streams() {
        for len in 1..6 {
            let octets = &[0x04, 0x27, 0, 2, 1, 1][..len];
            assert_eq!(TlvsRef::read(octets, false).map(TlvsRef::is_empty).ok(), Some(len < 6));
            assert_eq!(TlvsRef::read(octets, true).map_err(|fault| fault.status), Err(Status::RINVTLVSTREAM));
        }
        let fault =
            TlvsRef::read(&[0x04, 0x27, 0, 2, 1, 1], true).map_err(|fault| (fault.status, fault.field));
        assert_eq!(fault, Err((Status::RINVTLVLEN, "message_state")));
    }
}
