//! SMPP as a connection speaks it.

use runtime::Clock;
use runtime::trace::{Protocol, Tap};
use smpp::session::{State as Bound, refusal};
use smpp::{
    Address, Bind, CommandId, DataSm, DecodeError, Framer, Header, MessageIdResp, Mode, Npi, Pdu, QuerySm,
    QuerySmResp, RetryClass, Role, Sequence, Sm, SmRef, Status, Ton, Version, decode, encode_deliver_sm_resp,
    encode_header, encode_submit_sm,
};

use super::Settings;
use crate::report::{Answer, Content, NoAnswer, Owed, Queried, Refusal, Verdict};
use crate::tcp::{self, BindKind, Heard, Lost};

/// What SMPP adds to the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// At most 12 octets; mostly empty.
    pub system_type: String,
    /// `interface_version` of the bind: 0x34 or 0x50.
    pub version: u8,
    /// The addresses that we serve; mostly empty.
    pub address_range: String,
    /// Type of number of `address_range`.
    pub addr_ton: u8,
    /// Numbering plan of `address_range`.
    pub addr_npi: u8,
}

/// The reading side of a bind.
pub struct Wire {
    framer: Framer,
    tap: Tap,
}

impl tcp::Wire for Wire {
    type Login = Login;
    type Writer = ();
    type Numbers = Sequence;

    const NAME: &'static str = "SMPP";
    const TRACED: Protocol = Protocol::Smpp;
    const LEFT: &'static str = "unbound";
    const LOGIN: &'static str = "bind";
    const QUESTION: &'static str = "enquire_link";
    const WINDOW_MAX: u16 = u16::MAX;
    const NUMBERS_RECUR: bool = false;

    fn begin(settings: &Settings, tap: Tap) -> Self {
        Self { framer: Framer::new(settings.pdu_bytes_max), tap }
    }

    fn numbers() -> Sequence {
        // The bind itself was number 1.
        Sequence::starting_at(2)
    }

    fn take_number(numbers: &mut Sequence, _in_use: impl Fn(u32) -> bool) -> Option<u32> {
        Some(numbers.take())
    }

    fn writer(_settings: &Settings, _clock: &Clock) {}

    fn log_in(settings: &Settings, kind: BindKind, out: &mut Vec<u8>) -> Result<bool, String> {
        let bind = bind_pdu(settings, kind);
        bind.encode(1, Status::ROK, out).map(|()| true).map_err(|error| error.to_string())
    }

    fn submit((): &(), number: u32, sm: &SmRef<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        encode_submit_sm(number, sm, out).map_err(|error| error.to_string())
    }

    fn query(
        (): &(),
        number: u32,
        (id, source): (&str, &Address),
        out: &mut Vec<u8>,
    ) -> Result<bool, String> {
        let query = Pdu::QuerySm(QuerySm { message_id: id.into(), source: source.clone() });
        query.encode(number, Status::ROK, out).map(|()| true).map_err(|error| error.to_string())
    }

    fn ask((): &(), number: u32, out: &mut Vec<u8>) {
        encode_header(CommandId::ENQUIRE_LINK, Status::ROK, number, out);
    }

    fn log_out(number: u32, out: &mut Vec<u8>) -> bool {
        encode_header(CommandId::UNBIND, Status::ROK, number, out);
        true
    }

    fn buffer(&mut self, room: usize) -> &mut Vec<u8> {
        self.framer.buffer(room)
    }

    fn heard(&mut self, kind: BindKind) -> Result<Option<Heard>, Lost> {
        match self.framer.next_pdu() {
            Ok(Some(octets)) => {
                self.tap.read(octets);
                Ok(Some(match decode(octets, Mode::Lenient) {
                    Ok((header, pdu)) => meaning(kind, header, pdu),
                    Err(error) => unreadable(error),
                }))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(Lost {
                why: format!("what the peer sends is no SMPP: {error}"),
                last_word: header(CommandId::GENERIC_NACK, error.status(), 0),
            }),
        }
    }
}

fn bind_pdu(settings: &Settings, kind: BindKind) -> Pdu {
    let login = &settings.login;
    let bind = Bind {
        system_id: settings.system_id.as_str().into(),
        password: settings.password.as_str().into(),
        system_type: login.system_type.as_str().into(),
        interface_version: Version(login.version),
        addr_ton: Ton(login.addr_ton),
        addr_npi: Npi(login.addr_npi),
        address_range: login.address_range.as_str().into(),
    };
    match kind {
        BindKind::Transmitter => Pdu::BindTransmitter(bind),
        BindKind::Receiver => Pdu::BindReceiver(bind),
        BindKind::Transceiver | BindKind::TransmitterReceiver => Pdu::BindTransceiver(bind),
    }
}

/// One whole PDU of the peer.
fn meaning(kind: BindKind, header: Header, pdu: Pdu) -> Heard {
    match pdu {
        Pdu::SubmitSmResp(body) => answered(header, &body),
        Pdu::QuerySmResp(body) => told(header, Some(&body)),
        Pdu::GenericNack => {
            // A nack that says ESME_ROK refuses all the same.
            let status = if header.status.is_ok() { Status::RUNKNOWNERR } else { header.status };
            // Number 1 was the bind.
            if header.sequence == 1 { refused(status) } else { answered_with(header.sequence, status) }
        }
        Pdu::DeliverSm(sm) => delivered(header, sm),
        Pdu::DataSm(data) => delivered(header, as_sm(data)),
        Pdu::BindTransceiverResp(body) | Pdu::BindTransmitterResp(body) | Pdu::BindReceiverResp(body) => {
            if header.status.is_ok() {
                Heard::LoggedIn { peer: body.system_id.as_str().into_owned() }
            } else {
                refused(header.status)
            }
        }
        Pdu::EnquireLink => {
            Heard::Asked(self::header(CommandId::ENQUIRE_LINK_RESP, Status::ROK, header.sequence))
        }
        Pdu::EnquireLinkResp => Heard::Alive,
        Pdu::Unbind => Heard::Left(self::header(CommandId::UNBIND_RESP, Status::ROK, header.sequence)),
        Pdu::UnbindResp => Heard::MayLeave,
        Pdu::AlertNotification(alert) if !alert.source.addr.is_empty() => {
            Heard::Reachable { phone: alert.source.addr.as_str().into_owned() }
        }
        Pdu::AlertNotification(_) | Pdu::Outbind(_) => Heard::Notice,
        _ => out_of_place(kind, header),
    }
}

/// A PDU that has no place here: a request is refused as the specification says, a response is counted.
fn out_of_place(kind: BindKind, header: Header) -> Heard {
    let state = match kind {
        BindKind::Transmitter => Bound::BoundTx,
        BindKind::Receiver => Bound::BoundRx,
        BindKind::Transceiver | BindKind::TransmitterReceiver => Bound::BoundTrx,
    };
    Heard::Odd(match refusal(Role::Mc, state, header.command_id) {
        Some(status) => {
            let command = header.command_id.response().unwrap_or(CommandId::GENERIC_NACK);
            self::header(command, status, header.sequence)
        }
        None => Vec::new(),
    })
}

/// A PDU whose frame is whole and whose body is not. The next one is not touched by it, and the header says what counts of
/// a response.
fn unreadable(error: DecodeError) -> Heard {
    tracing::debug!(%error, "unreadable PDU");
    match error.header.command_id {
        CommandId::SUBMIT_SM_RESP => answered(error.header, &MessageIdResp::default()),
        CommandId::QUERY_SM_RESP => told(error.header, None),
        CommandId::BIND_TRANSCEIVER_RESP
        | CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_RECEIVER_RESP => {
            if error.header.status.is_ok() {
                Heard::LoggedIn { peer: String::new() }
            } else {
                refused(error.header.status)
            }
        }
        _ => {
            let mut answer = Vec::new();
            error.encode_answer(&mut answer);
            Heard::Odd(answer)
        }
    }
}

fn answered(header: Header, body: &MessageIdResp) -> Heard {
    let answer = match header.status {
        Status::ROK => Answer::Accepted { message_id: body.message_id.as_str().into_owned() },
        status => Answer::refused(Refusal::Smpp(status)),
    };
    Heard::Answered { number: header.sequence, answer, congestion: body.tlvs.congestion_state() }
}

/// The answer to a query_sm; `None` where its body cannot be read.
fn told(header: Header, body: Option<&QuerySmResp>) -> Heard {
    let told = match (header.status, body) {
        (Status::ROK, Some(body)) => Queried::Told {
            state: sms::MessageState::from_number(body.message_state.0),
            final_date: body.final_date.as_str().into_owned(),
            error_code: body.error_code,
        },
        (Status::ROK, None) => Queried::NoAnswer(NoAnswer::Unclear),
        (status, _) => Queried::Refused(Refusal::Smpp(status)),
    };
    Heard::Told { number: header.sequence, told }
}

fn answered_with(number: u32, status: Status) -> Heard {
    Heard::Answered { number, answer: Answer::refused(Refusal::Smpp(status)), congestion: None }
}

/// A refusal in words. Wrong credentials stay wrong, and many carriers lock out who insists; a bind that is still taken, or
/// a peer that has troubles of its own, may do better soon.
fn refused(status: Status) -> Heard {
    let lasting = status.class() == RetryClass::Permanent && status != Status::RALYBND;
    Heard::LoginRefused { why: format!("bind refused: {} ({status})", status.describe()), lasting }
}

fn delivered(header: Header, sm: Sm) -> Heard {
    let owed: Owed = Box::new(move |verdict, out| {
        let status = match verdict {
            Verdict::Taken => Status::ROK,
            Verdict::NotNow => Status::RX_T_APPN,
            Verdict::Never => Status::RX_R_APPN,
        };
        match header.command_id {
            CommandId::DATA_SM => {
                let resp = Pdu::DataSmResp(MessageIdResp::default());
                // The empty id of the response always fits.
                resp.encode(header.sequence, status, out).unwrap_or_default();
            }
            _ => encode_deliver_sm_resp(header.sequence, status, out),
        }
    });
    Heard::Delivered(Content::Sm(Box::new(sm)), owed)
}

/// A data_sm as the message it carries.
fn as_sm(data: DataSm) -> Sm {
    Sm {
        service_type: data.service_type,
        source: data.source,
        destination: data.destination,
        esm_class: data.esm_class,
        registered_delivery: data.registered_delivery,
        data_coding: data.data_coding,
        tlvs: data.tlvs,
        ..Sm::default()
    }
}

fn header(command: CommandId, status: Status, sequence: u32) -> Vec<u8> {
    let mut out = Vec::new();
    encode_header(command, status, sequence, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_that_somebody_must_mend_are_lasting() {
        for (status, lasting) in [
            (Status::RINVPASWD, true),
            (Status::RINVSYSID, true),
            (Status::RALYBND, false),
            (Status::RBINDFAIL, false),
            (Status::RSYSERR, false),
            (Status::RTHROTTLED, false),
        ] {
            let Heard::LoginRefused { why, lasting: told } = refused(status) else { panic!("a refusal") };
            assert_eq!(told, lasting, "{why}");
        }
        let Heard::LoginRefused { why, .. } = refused(Status::RINVPASWD) else { panic!("a refusal") };
        assert_eq!(why, "bind refused: invalid password (ESME_RINVPASWD)");
    }
}
