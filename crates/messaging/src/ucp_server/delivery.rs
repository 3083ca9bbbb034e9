//! Writing the operations of a push: 53 for a receipt, 52 for an inbound message (EMI/UCP 5.2 §5.4, §5.5).

use sms::segment::{Options, segment};
use sms::{Alphabet, Encoding, gsm};
use types::{Address, Timestamp};
use ucp::{Body, Content, Operation, Originator, Pdu, ShortMessage, Time, Unfit, xser};

use crate::message::State;
use crate::push::{Push, PushKind};

/// A push as the operations it is given in.
pub(crate) struct Parts {
    operation: Operation,
    messages: Vec<ShortMessage>,
}

/// RSN where nobody knows better: delivery failed.
const DELIVERY_FAIL: &str = "108";

/// What is to be sent for a push.
///
/// # Errors
/// Why it can never be sent.
pub(crate) fn parts(push: &Push) -> Result<Parts, &'static str> {
    match &push.kind {
        PushKind::Receipt { state, error } => Ok(Parts {
            operation: Operation::NOTIFICATION,
            messages: vec![notification(push, *state, error.as_deref())],
        }),
        PushKind::Notice { error, .. } => Ok(Parts {
            operation: Operation::NOTIFICATION,
            messages: vec![notification(push, State::Sent, error.as_deref())],
        }),
        PushKind::Ack { .. } => Err("UCP has nothing for what a phone says of itself"),
        PushKind::Message { data_coding, body } => {
            let messages = deliveries(push, *data_coding, body)?;
            Ok(Parts { operation: Operation::DELIVER, messages })
        }
    }
}

impl Parts {
    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.messages.len()
    }

    /// Appends one of them, counted from 0, to `out`.
    ///
    /// # Errors
    /// A field that does not fit; `out` is as it was.
    pub(crate) fn encode(&self, part: usize, trn: u32, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let message = self.messages.get(part).ok_or(Unfit)?;
        let trn = u8::try_from(trn).map_err(|_| Unfit)?;
        Pdu::new(trn, Body::Message(self.operation, Box::new(message.clone()))).encode(out)
    }
}

/// The name of a message's moment: its second, in UTC.
pub(super) fn stamp(at: Timestamp) -> String {
    Time::from_unix_s(at.unix_ms().div_euclid(1_000)).unwrap_or_default().twelve_digits()
}

/// DST, RSN and words for a state.
pub(super) fn standing(state: State, error: Option<&str>) -> (&'static str, String, &'static str) {
    if state == State::Delivered {
        return ("0", "000".to_owned(), "has been delivered");
    }
    if !state.is_final() {
        return ("1", "000".to_owned(), "has been buffered");
    }
    let digits =
        |text: &&str| !text.is_empty() && text.len() <= 3 && text.bytes().all(|octet| octet.is_ascii_digit());
    let reason =
        error.map(str::trim).filter(digits).map_or(DELIVERY_FAIL.to_owned(), |code| format!("{code:0>3}"));
    ("2", reason, "has not been delivered")
}

fn notification(push: &Push, state: State, error: Option<&str>) -> ShortMessage {
    let (dst, rsn, words) = standing(state, error);
    let scts = stamp(push.accepted_at);
    let text = format!("Message for {}, with identification {scts} {words}", push.sender.text);
    let mut message = ShortMessage {
        // An address code has no letters: who sent under a name knows the message by the rest.
        adc: digits(&push.recipient),
        oadc: push.sender.text.clone(),
        scts,
        dst: dst.to_owned(),
        rsn,
        dscts: stamp(push.at),
        ..ShortMessage::default()
    };
    message.set_content(&Content::Text(gsm::encode_lossy(&text, Alphabet::DEFAULT)));
    message
}

fn digits(address: &Address) -> String {
    address.text.chars().filter(char::is_ascii_digit).collect()
}

fn deliveries(push: &Push, data_coding: u8, body: &[u8]) -> Result<Vec<ShortMessage>, &'static str> {
    let encoding = Encoding::from_data_coding(data_coding, Encoding::GSM7);
    let (body, encoding, data_coding) = match encoding {
        Encoding::Gsm7(_) | Encoding::Ucs2 | Encoding::Binary => (body.into(), encoding, data_coding),
        // UCP knows the alphabets of 3GPP TS 23.038 and no others.
        other => (Encoding::Ucs2.encode_lossy(&other.decode(body)), Encoding::Ucs2, 0x08),
    };
    let body: Vec<u8> = body;
    let options = Options { reference: ((push.id >> 21) ^ push.id) as u16, ..Options::default() };
    let parts = segment(&body, encoding, &options).map_err(|_| "longer than any message can be")?;
    let deliver = |part: &sms::Part<'_>| {
        let mut message = ShortMessage {
            adc: digits(&push.recipient),
            scts: stamp(push.accepted_at),
            ..ShortMessage::default()
        };
        message.set_originator(&originator(&push.sender));
        message.set_content(&match encoding {
            Encoding::Gsm7(_) => Content::Text(part.payload.to_vec()),
            _ => Content::Transparent(part.payload.to_vec()),
        });
        if part.has_header() {
            let whole = part.short_message();
            xser::push(&mut message.xser, xser::UDH, &whole[..whole.len() - part.payload.len()]);
        }
        let dcs = match encoding {
            _ if data_coding >= 0x10 => data_coding,
            Encoding::Gsm7(_) => 0x00,
            Encoding::Ucs2 => 0x08,
            _ => 0x04,
        };
        if dcs != message.data_coding() {
            xser::push(&mut message.xser, xser::DCS, &[dcs]);
        }
        message
    };
    Ok(parts.iter().map(deliver).collect())
}

fn originator(address: &Address) -> Originator {
    if address.text.bytes().all(|octet| octet.is_ascii_digit()) {
        Originator::Number { digits: address.text.clone(), international: false }
    } else {
        Originator::Alphanumeric(gsm::encode_lossy(&address.text, Alphabet::DEFAULT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{AccountId, MessageId, TenantId};
    use ucp::DeliveryStatus;

    fn push(kind: PushKind) -> Push {
        Push {
            id: 0x1234_5678,
            tenant: TenantId::from_raw(1),
            account: AccountId::from_raw(2),
            message: MessageId::from_raw(77),
            kind,
            sender: Address::international("33612345678".to_owned()),
            recipient: Address::international("10000".to_owned()),
            accepted_at: Timestamp::parse("2027-01-31T09:30:00Z").unwrap(),
            at: Timestamp::parse("2027-01-31T09:31:59Z").unwrap(),
            expires_at: Timestamp::MAX,
        }
    }

    fn inbound(data_coding: u8, body: Vec<u8>) -> Push {
        push(PushKind::Message { data_coding, body })
    }

    #[test]
    fn a_receipt_names_the_message_and_says_how_it_went() {
        let push = push(PushKind::Receipt { state: State::Delivered, error: None });
        let parts = parts(&push).unwrap();
        let message = &parts.messages[0];
        assert_eq!((parts.operation, parts.count()), (Operation::NOTIFICATION, 1));
        assert_eq!(message.oadc, push.sender.text);
        assert_eq!((message.scts.as_str(), message.dscts.as_str()), ("310127093000", "310127093159"));
        assert_eq!(message.delivery_status(), Some(DeliveryStatus::Delivered));
        for (state, error, dst, rsn) in [
            (State::Failed, Some("7"), "2", "007"),
            (State::Expired, None, "2", "108"),
            (State::Rejected, Some("ESME_RINVDSTADR"), "2", "108"),
            (State::Sent, None, "1", "000"),
        ] {
            let message = notification(&push, state, error);
            assert_eq!((message.dst.as_str(), message.rsn.as_str()), (dst, rsn), "{state:?}");
        }
    }

    #[test]
    fn an_inbound_message_is_given_as_a_phone_would_have_sent_it() {
        let short = parts(&inbound(0, b"hi".to_vec())).unwrap();
        assert_eq!(short.messages[0].content(), Some(Content::Text(b"hi".to_vec())));
        let long = parts(&inbound(8, [0x04, 0x3F].repeat(100))).unwrap();
        assert_eq!((long.operation, long.count()), (Operation::DELIVER, 2));
        assert!(
            long.messages.iter().all(|part| part.user_data_header().is_some() && part.data_coding() == 8)
        );
        let latin = parts(&inbound(3, b"caf\xe9".to_vec())).unwrap();
        assert_eq!(latin.messages[0].data_coding(), 8);
    }
}
