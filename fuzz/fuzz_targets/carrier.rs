//! What a hostile carrier says, as our sides of SMPP, UCP and CIMD2 hear it: the same however the stream is cut, and every
//! answer that we owe can be read.
#![no_main]

use connectors::tcp::{Heard, Settings, Wire};
use connectors::{BindKind, Content, Verdict, cimd, smpp as smpp_link, ucp as ucp_link};
use libfuzzer_sys::fuzz_target;

const PDU_MAX: usize = 2048;
const ROOM: usize = 256;
/// Things heard, above which one input is no longer interesting.
const HEARD_MAX: usize = 256;

fn settings<L: Default>() -> Settings<L> {
    Settings {
        name: "carrier".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: 1,
        system_id: "us".to_owned(),
        password: "secret".to_owned(),
        bind: BindKind::Transceiver,
        binds: 1,
        window: 10,
        throughput: 0,
        enquire_link_ms: 1,
        enquire_missed_max: 1,
        response_timeout_ms: 1,
        tls: None,
        connect_timeout_ms: 1,
        reconnect_min_ms: 1,
        reconnect_max_ms: 1,
        throttle_min_ms: 1,
        throttle_max_ms: 1,
        pdu_bytes_max: PDU_MAX,
        write_queue_bytes_max: 1,
        login: L::default(),
    }
}

/// What was heard, and which answers of ours it brings about.
fn told(heard: Heard, verdict: Verdict, answers: &mut Vec<u8>) -> String {
    match heard {
        Heard::LoggedIn { peer } => format!("logged in {peer:?}"),
        Heard::LoginRefused { why, lasting } => format!("refused {why} {lasting}"),
        Heard::Answered { number, answer, congestion } => format!("answered {number} {answer:?} {congestion:?}"),
        Heard::Delivered(content, owed) => {
            owed(verdict, answers);
            match content {
                Content::Sm(sm) => format!("message {sm:?}"),
                Content::Receipt(receipt) => format!("receipt {receipt:?}"),
            }
        }
        Heard::Asked(answer) => {
            answers.extend(answer);
            "asked".to_owned()
        }
        Heard::Odd(answer) => {
            answers.extend(answer);
            "odd".to_owned()
        }
        Heard::Left(answer) => {
            answers.extend(answer);
            "left".to_owned()
        }
        Heard::Notice => "notice".to_owned(),
        Heard::Alive => "alive".to_owned(),
        Heard::MayLeave => "may leave".to_owned(),
    }
}

/// All that a stream says when it comes in pieces of at most `piece` octets, and what we answer.
fn hear<W: Wire>(stream: &[u8], piece: usize, kind: BindKind, verdict: Verdict) -> (Vec<String>, Vec<u8>)
where
    W::Login: Default,
{
    let mut wire = W::begin(&settings());
    let (mut all, mut answers) = (Vec::new(), Vec::new());
    for octets in stream.chunks(piece) {
        wire.buffer(ROOM).extend_from_slice(octets);
        loop {
            match wire.heard(kind) {
                Ok(Some(heard)) => all.push(told(heard, verdict, &mut answers)),
                Ok(None) => break,
                Err(lost) => {
                    all.push(format!("lost: {}", lost.why));
                    answers.extend(lost.last_word);
                    return (all, answers);
                }
            }
        }
        if all.len() > HEARD_MAX {
            break;
        }
    }
    (all, answers)
}

fn check<W: Wire>(stream: &[u8], piece: usize, kind: BindKind, verdict: Verdict) -> Vec<u8>
where
    W::Login: Default,
{
    let (whole, answers) = hear::<W>(stream, stream.len().max(1), kind, verdict);
    if whole.len() <= HEARD_MAX {
        assert_eq!((whole, answers.clone()), hear::<W>(stream, piece, kind, verdict));
    }
    answers
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (how, piece, stream) = input;
    let piece = usize::from(piece).max(1);
    let kind = [BindKind::Transceiver, BindKind::Transmitter, BindKind::Receiver][usize::from(how >> 4) % 3];
    let verdict = [Verdict::Taken, Verdict::NotNow, Verdict::Never][usize::from(how >> 2) % 3];
    match how % 3 {
        0 => {
            let answers = check::<smpp_link::Wire>(stream, piece, kind, verdict);
            let mut framer = smpp::Framer::new(PDU_MAX);
            framer.feed(&answers);
            while let Some(answer) = framer.next_pdu().expect("our answers are whole") {
                smpp::decode(answer, smpp::Mode::Strict).expect("our answers can be read");
            }
            assert_eq!(framer.pending(), 0);
        }
        1 => {
            let answers = check::<ucp_link::Wire>(stream, piece, kind, verdict);
            let mut framer = ucp::Framer::new(PDU_MAX);
            framer.feed(&answers);
            while let Some(answer) = framer.next_frame() {
                ucp::Pdu::decode(answer).expect("our answers can be read");
            }
            assert_eq!((framer.pending(), framer.skipped()), (0, 0));
        }
        _ => {
            let answers = check::<cimd::Wire>(stream, piece, kind, verdict);
            let mut framer = ::cimd::Framer::new(PDU_MAX);
            framer.feed(&answers);
            while let Some(answer) = framer.next_frame() {
                ::cimd::Packet::decode(answer).expect("our answers can be read");
            }
            assert_eq!(framer.pending(), 0);
        }
    }
});
