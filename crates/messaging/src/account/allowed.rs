//! What an account's messages may carry: senders, and optional parameters that go on to the carrier (SMPP v3.4 §3.2.4).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smpp::Tag;
use types::Address;

use super::AccountSettings;

/// Which optional parameters are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TlvPolicy {
    /// All.
    #[default]
    Pass,
    /// Those of the list alone.
    Allow,
    /// All but those of the list.
    Deny,
}

/// The tag of an optional parameter, written as `0x1401`; read in decimal too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlvTag(pub u16);

impl fmt::Display for TlvTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

impl FromStr for TlvTag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = match text.trim().strip_prefix("0x") {
            Some(hex) => u16::from_str_radix(hex, 16),
            None => text.trim().parse(),
        };
        number.map(Self).map_err(|_| format!("{text:?} is no tag of a parameter, such as 0x1401"))
    }
}

impl Serialize for TlvTag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TlvTag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Without these the parts of a long message would no longer be one.
const ALWAYS: [Tag; 3] = [Tag::SAR_MSG_REF_NUM, Tag::SAR_TOTAL_SEGMENTS, Tag::SAR_SEGMENT_SEQNUM];

impl AccountSettings {
    /// Whether it may use a sender. Names are compared without regard to case, as phones show them.
    pub fn may_send_as(&self, sender: &Address) -> bool {
        self.senders.is_empty()
            || self.senders.iter().any(|known| known.eq_ignore_ascii_case(&sender.to_string()))
    }

    /// Whether a parameter of its messages goes on to the carrier.
    pub fn passes(&self, tag: Tag) -> bool {
        let listed = || self.tlv_tags.contains(&TlvTag(tag.0));
        match self.tlv_policy {
            TlvPolicy::Pass => true,
            TlvPolicy::Allow => listed() || ALWAYS.contains(&tag),
            TlvPolicy::Deny => !listed() || ALWAYS.contains(&tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_pass_as_the_list_says_and_parts_stay_together() {
        let settings = |policy: &str| -> AccountSettings {
            let text = format!(r#"{{"tlv_policy":"{policy}","tlv_tags":["0x1401","524"]}}"#);
            serde_json::from_str(&text).unwrap()
        };
        let passing = |policy| [0x1401, 0x1402, 0x020c].map(|tag| settings(policy).passes(Tag(tag)));
        assert_eq!(passing("pass"), [true, true, true]);
        assert_eq!(passing("allow"), [true, false, true]);
        assert_eq!(passing("deny"), [false, true, true]);
        let written = serde_json::to_value(settings("deny")).unwrap();
        assert_eq!(written["tlv_tags"], serde_json::json!(["0x1401", "0x020c"]));
        assert!("0x14011".parse::<TlvTag>().is_err() && "".parse::<TlvTag>().is_err());
    }
}
