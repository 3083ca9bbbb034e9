//! The 5x-series: submit, deliver, notify, modify, inquire, delete (EMI/UCP 5.2 §5).

use crate::originator::Originator;
use crate::{Time, hex, xser};

/// Declares the fields in the order of the wire.
macro_rules! fields {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// The 33 fields of the 5x-series as they stand on the wire; empty where not given.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct ShortMessage {
            $($(#[$doc])+ pub $name: String,)+
        }

        impl ShortMessage {
            /// How many fields there are.
            pub const FIELDS: usize = [$(stringify!($name)),+].len();

            /// Takes the fields in order; missing ones at the end stay empty.
            pub(crate) fn read<'a>(mut fields: impl Iterator<Item = &'a str>) -> Self {
                Self { $($name: fields.next().unwrap_or_default().to_owned(),)+ }
            }

            /// The fields in order.
            pub(crate) fn fields(&self) -> [&str; Self::FIELDS] {
                [$(&self.$name),+]
            }
        }
    };
}

fields! {
    /// Address code of the recipient.
    adc,
    /// Address code of the originator.
    oadc,
    /// Authentication code of the originator.
    ac,
    /// Notification request: 1 asks for one.
    nrq,
    /// Where notifications go, in place of the originator.
    nadc,
    /// Which notifications, as a sum of bits: 1 delivery, 2 non-delivery, 4 buffered.
    nt,
    /// Protocol of `nadc`.
    npid,
    /// Last resort address request.
    lrq,
    /// Last resort address.
    lrad,
    /// Protocol of `lrad`.
    lpid,
    /// Deferred delivery: 1 asks for it.
    dd,
    /// When to deliver, `DDMMYYHHMM`.
    ddt,
    /// Until when, `DDMMYYHHMM`.
    vp,
    /// Replacing protocol.
    rpid,
    /// The centre's time stamp, `DDMMYYHHMMSS`: with the recipient it names a message.
    scts,
    /// Delivery status; see [`DeliveryStatus`].
    dst,
    /// Reason of `dst`, three digits.
    rsn,
    /// When `dst` came about, `DDMMYYHHMMSS`.
    dscts,
    /// Message type: 2 numeric, 3 alphanumeric, 4 transparent.
    mt,
    /// Bits of a transparent message.
    nb,
    /// The message, in the form of `mt`.
    msg,
    /// More messages to send.
    mms,
    /// Priority requested.
    pr,
    /// Deprecated data coding scheme: 0 default alphabet, 1 eight bit.
    dcs,
    /// Message class.
    mcls,
    /// Reply path.
    rpi,
    /// Reserved for code page.
    cpg,
    /// Reserved for reply type.
    rply,
    /// Form of the originator: 1139 international, 5039 alphanumeric.
    otoa,
    /// Home network of the originator.
    hplmn,
    /// Extra services; see [`xser`].
    xser,
    /// Reserved.
    res4,
    /// Reserved.
    res5,
}

/// What a message carries, by MT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Digits (MT 2).
    Numeric(String),
    /// Septets of the GSM default alphabet, one in each octet, not packed (MT 3).
    Text(Vec<u8>),
    /// Octets (MT 4).
    Transparent(Vec<u8>),
}

/// What has become of a message: DST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// 0.
    Delivered,
    /// 1: it waits in the centre.
    Buffered,
    /// 2; RSN says why.
    NotDelivered,
    /// Any other digit.
    Other(u8),
}

impl DeliveryStatus {
    /// The digit of DST.
    #[must_use]
    pub fn digit(self) -> u8 {
        match self {
            Self::Delivered => 0,
            Self::Buffered => 1,
            Self::NotDelivered => 2,
            Self::Other(digit) => digit,
        }
    }
}

/// Which notifications are asked for: NRq with NT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Notifications {
    /// When it is delivered.
    pub delivery: bool,
    /// When it is not.
    pub non_delivery: bool,
    /// When it waits.
    pub buffered: bool,
}

impl ShortMessage {
    /// What the message carries; `None` for another type, or digits that are no hexadecimal.
    #[must_use]
    pub fn content(&self) -> Option<Content> {
        match self.mt.as_str() {
            "2" => Some(Content::Numeric(self.msg.clone())),
            "3" => hex::decode(&self.msg).map(Content::Text),
            "4" => hex::decode(&self.msg).map(Content::Transparent),
            _ => None,
        }
    }

    /// Sets MT, NB and the message.
    pub fn set_content(&mut self, content: &Content) {
        let (mt, nb, msg) = match content {
            Content::Numeric(digits) => ("2", String::new(), digits.clone()),
            Content::Text(septets) => ("3", String::new(), hex::encode(septets)),
            Content::Transparent(octets) => ("4", format!("{:04}", octets.len() * 8), hex::encode(octets)),
        };
        mt.clone_into(&mut self.mt);
        self.nb = nb;
        self.msg = msg;
    }

    /// Who it is from, by OAdC and OTOA.
    #[must_use]
    pub fn originator(&self) -> Originator {
        Originator::read(&self.oadc, &self.otoa)
    }

    /// Sets OAdC and OTOA.
    pub fn set_originator(&mut self, originator: &Originator) {
        let (oadc, otoa) = originator.write();
        self.oadc = oadc;
        otoa.clone_into(&mut self.otoa);
    }

    /// Which notifications are asked for; without NT the centre's usual ones, which are the two final ones.
    #[must_use]
    pub fn notifications(&self) -> Notifications {
        if self.nrq != "1" {
            return Notifications::default();
        }
        let bits = self.nt.parse().unwrap_or(3_u8);
        Notifications { delivery: bits & 1 != 0, non_delivery: bits & 2 != 0, buffered: bits & 4 != 0 }
    }

    /// Sets NRq and NT.
    pub fn set_notifications(&mut self, wanted: Notifications) {
        let bits =
            u8::from(wanted.delivery) + u8::from(wanted.non_delivery) * 2 + u8::from(wanted.buffered) * 4;
        (self.nrq, self.nt) =
            if bits == 0 { (String::new(), String::new()) } else { ("1".to_owned(), bits.to_string()) };
    }

    /// The user data header, its length octet included.
    #[must_use]
    pub fn user_data_header(&self) -> Option<Vec<u8>> {
        xser::find(&self.xser, xser::UDH).filter(|header| !header.is_empty())
    }

    /// The data coding scheme (3GPP TS 23.038 §4): of XSer, else what MT and MCLs say.
    #[must_use]
    pub fn data_coding(&self) -> u8 {
        let own = xser::find(&self.xser, xser::DCS).and_then(|data| data.first().copied());
        own.unwrap_or_else(|| {
            let class = self.mcls.parse::<u8>().ok().filter(|class| *class <= 3);
            match (self.mt.as_str(), class) {
                ("4", None) => 0x04,
                ("4", Some(class)) => 0xF4 | class,
                (_, Some(class)) => 0xF0 | class,
                (_, None) => 0x00,
            }
        })
    }

    /// What DST says.
    #[must_use]
    pub fn delivery_status(&self) -> Option<DeliveryStatus> {
        let digit = self.dst.parse().ok()?;
        Some(match digit {
            0 => DeliveryStatus::Delivered,
            1 => DeliveryStatus::Buffered,
            2 => DeliveryStatus::NotDelivered,
            other => DeliveryStatus::Other(other),
        })
    }

    /// The centre's time stamp, where it is one.
    #[must_use]
    pub fn time_stamp(&self) -> Option<Time> {
        Time::parse(&self.scts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_33_fields() {
        assert_eq!(ShortMessage::FIELDS, 33);
    }

    #[test]
    fn contents_by_type() {
        let mut message = ShortMessage::default();
        for content in [
            Content::Numeric("0123".into()),
            Content::Text(vec![0, 0x1B, 0x65]),
            Content::Transparent(vec![0x04, 0x3F]),
        ] {
            message.set_content(&content);
            assert_eq!(message.content(), Some(content));
        }
        assert_eq!((message.mt.as_str(), message.nb.as_str(), message.msg.as_str()), ("4", "0016", "043F"));
        message.msg = "4".into();
        assert_eq!(message.content(), None);
    }

    #[test]
    fn data_coding_from_wherever_it_stands() {
        let mut message = ShortMessage { mt: "3".into(), ..ShortMessage::default() };
        assert_eq!(message.data_coding(), 0);
        message.mcls = "0".into();
        assert_eq!(message.data_coding(), 0xF0);
        message.mt = "4".into();
        assert_eq!(message.data_coding(), 0xF4);
        message.xser = "020108".into();
        assert_eq!(message.data_coding(), 8);
    }

    #[test]
    fn notifications_are_bits() {
        let mut message = ShortMessage { nrq: "1".into(), ..ShortMessage::default() };
        let both = Notifications { delivery: true, non_delivery: true, buffered: false };
        assert_eq!(message.notifications(), both);
        message.nt = "4".into();
        assert_eq!(message.notifications(), Notifications { buffered: true, ..Notifications::default() });
        message.set_notifications(both);
        assert_eq!((message.nrq.as_str(), message.nt.as_str()), ("1", "3"));
        message.set_notifications(Notifications::default());
        assert_eq!(message.notifications(), Notifications::default());
    }
}
