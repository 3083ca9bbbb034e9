//! The centre as an ESME meets it, PDU by PDU.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use runtime::{Clock, Tasks};
use simulator::phones::Direction;
use simulator::smsc::{Delay, ReceiptPath, ReceiptStyle};
use simulator::{Settings, Smsc};
use smpp::{
    Address, Bind, CancelSm, CommandId, DataSm, Destination, Framer, Header, MessageState, MessageType, Mode,
    Pdu, QuerySm, RegisteredDelivery, ReplaceSm, Sm, Status, SubmitMulti,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn start(settings: Settings) -> Smsc {
    Smsc::start(settings, &Tasks::new(), Clock::system()).await.unwrap()
}

/// A hand-held ESME.
struct Esme {
    socket: TcpStream,
    framer: Framer,
    sequence: u32,
}

impl Esme {
    async fn connect(smsc: &Smsc) -> Self {
        let socket = TcpStream::connect(smsc.address()).await.unwrap();
        Self { socket, framer: Framer::new(smpp::DEFAULT_MAX_PDU), sequence: 0 }
    }

    async fn bound(smsc: &Smsc) -> Self {
        let mut esme = Self::connect(smsc).await;
        let (status, _) = esme.ask(Pdu::BindTransceiver(bind())).await;
        assert_eq!(status, Status::ROK);
        esme
    }

    async fn send(&mut self, pdu: Pdu, sequence: u32, status: Status) {
        let mut out = Vec::new();
        pdu.encode(sequence, status, &mut out).unwrap();
        self.socket.write_all(&out).await.unwrap();
    }

    /// The next PDU; `None` when the centre closes.
    async fn next(&mut self) -> Option<(Header, Pdu)> {
        loop {
            if let Some(octets) = self.framer.next_pdu().unwrap() {
                return Some(smpp::decode(octets, Mode::Strict).unwrap());
            }
            let read = self.socket.read_buf(self.framer.buffer(1_000));
            let read = tokio::time::timeout(Duration::from_secs(5), read).await.expect("no PDU came");
            if !matches!(read, Ok(1..)) {
                return None;
            }
        }
    }

    /// Sends a request and gives the answer to it.
    async fn ask(&mut self, pdu: Pdu) -> (Status, Pdu) {
        self.sequence += 1;
        self.send(pdu, self.sequence, Status::ROK).await;
        let (header, answer) = self.next().await.unwrap();
        assert_eq!(header.sequence, self.sequence, "{answer:?}");
        (header.status, answer)
    }

    async fn submit(&mut self, sm: Sm) -> smpp::COctetString {
        match self.ask(Pdu::SubmitSm(sm)).await {
            (Status::ROK, Pdu::SubmitSmResp(response)) => response.message_id,
            other => panic!("{other:?}"),
        }
    }

    /// The next deliver_sm, answered with a status.
    async fn delivered(&mut self, status: Status) -> Sm {
        match self.next().await {
            Some((header, Pdu::DeliverSm(sm))) => {
                self.send(Pdu::DeliverSmResp(smpp::MessageIdResp::default()), header.sequence, status).await;
                sm
            }
            other => panic!("{other:?}"),
        }
    }
}

fn bind() -> Bind {
    Bind { system_id: "acme".into(), ..Bind::default() }
}

fn message(text: &str) -> Sm {
    Sm {
        source: Address::alphanumeric("ACME"),
        destination: Address::international("33612345678"),
        registered_delivery: RegisteredDelivery::FINAL,
        short_message: text.into(),
        ..Sm::default()
    }
}

fn slow() -> Settings {
    Settings { receipt_delay: Delay::of_ms(150), ..Settings::default() }
}

#[tokio::test]
async fn a_message_can_be_asked_for_replaced_and_cancelled() {
    let smsc = start(slow()).await;
    let mut esme = Esme::bound(&smsc).await;
    let source = Address::alphanumeric("ACME");
    let message_id = esme.submit(message("first text")).await;
    let query = Pdu::QuerySm(QuerySm { message_id: message_id.clone(), source: source.clone() });
    let (_, Pdu::QuerySmResp(answer)) = esme.ask(query.clone()).await else { panic!() };
    assert_eq!((answer.message_state, answer.final_date.len()), (MessageState::ENROUTE, 0));
    let replace = ReplaceSm {
        message_id: message_id.clone(),
        source: source.clone(),
        short_message: b"second text".to_vec(),
        ..ReplaceSm::default()
    };
    assert_eq!(esme.ask(Pdu::ReplaceSm(replace.clone())).await.0, Status::ROK);
    let receipt = esme.delivered(Status::ROK).await;
    assert!(String::from_utf8_lossy(&receipt.short_message).ends_with("text:second text"));
    assert_eq!(smsc.phones().screen("33612345678")[0].text, "second text");
    let (_, Pdu::QuerySmResp(answer)) = esme.ask(query).await else { panic!() };
    assert_eq!((answer.message_state, answer.final_date.len()), (MessageState::DELIVERED, 16));
    assert_eq!(esme.ask(Pdu::ReplaceSm(replace)).await.0, Status::RREPLACEFAIL);

    let message_id = esme.submit(message("to be cancelled")).await;
    let cancel = CancelSm { message_id, source, ..CancelSm::default() };
    assert_eq!(esme.ask(Pdu::CancelSm(cancel.clone())).await.0, Status::ROK);
    assert_eq!(esme.delivered(Status::ROK).await.tlvs.message_state(), Some(MessageState::DELETED));
    assert_eq!(esme.ask(Pdu::CancelSm(cancel)).await.0, Status::RCANCELFAIL);
    assert_eq!(smsc.phones().screen("33612345678").len(), 1);
    let nothing = Pdu::QuerySm(QuerySm { message_id: "17".into(), source: Address::default() });
    assert_eq!(esme.ask(nothing).await.0, Status::RQUERYFAIL);
}

#[tokio::test]
async fn data_sm_and_submit_multi_are_messages_too() {
    let smsc = start(slow()).await;
    let mut esme = Esme::bound(&smsc).await;
    let mut data = DataSm { destination: Address::international("33600000001"), ..DataSm::default() };
    data.tlvs.set_message_payload(b"payload ID5").unwrap();
    let (status, Pdu::DataSmResp(response)) = esme.ask(Pdu::DataSm(data)).await else { panic!() };
    assert!(status.is_ok() && !response.message_id.is_empty());
    let multi = SubmitMulti {
        destinations: vec![
            Destination::Address(Address::international("33600000002")),
            Destination::List("friends".into()),
            Destination::Address(Address::international("33600000003")),
        ],
        message: Sm { destination: Address::default(), ..message("to many ID6") },
    };
    let (_, Pdu::SubmitMultiResp(response)) = esme.ask(Pdu::SubmitMulti(multi)).await else { panic!() };
    assert_eq!(response.unsuccessful.len(), 1);
    assert_eq!(response.unsuccessful[0].status, Status::RINVDLNAME);
    for _ in 0..2 {
        let receipt = esme.delivered(Status::ROK).await;
        assert_eq!(receipt.tlvs.receipted_message_id(), Some(response.message_id.clone()));
    }
    let seen = smsc.seen();
    assert_eq!((seen.total, seen.duplicates), (3, vec![(6, 2)]));
    assert_eq!(smsc.phones().list().len(), 3);
}

#[tokio::test]
async fn receipts_that_were_not_answered_come_again() {
    let smsc = start(Settings::default()).await;
    let mut esme = Esme::bound(&smsc).await;
    let message_id = esme.submit(message("x")).await;
    let (_, Pdu::DeliverSm(_)) = esme.next().await.unwrap() else { panic!() };
    drop(esme);
    let mut esme = Esme::bound(&smsc).await;
    let again = esme.delivered(Status::RX_T_APPN).await;
    assert_eq!(again.tlvs.receipted_message_id(), Some(message_id.clone()));
    // Put off, so once more after a second; refused for good, and never again.
    let again = esme.delivered(Status::RX_R_APPN).await;
    assert_eq!(again.tlvs.receipted_message_id(), Some(message_id));
    assert_eq!(esme.ask(Pdu::EnquireLink).await.0, Status::ROK);
    let counts = smsc.counts();
    assert_eq!((counts.receipts, counts.undeliverable, counts.waiting), (3, 1, 0));
}

#[tokio::test]
async fn receipts_take_the_submitters_bind_or_all_in_turns() {
    let smsc = start(Settings { receipt_path: ReceiptPath::Same, ..Settings::default() }).await;
    let (mut one, mut two) = (Esme::bound(&smsc).await, Esme::bound(&smsc).await);
    for _ in 0..3 {
        one.submit(message("x")).await;
        one.delivered(Status::ROK).await;
    }
    smsc.change(|settings| settings.receipt_path = ReceiptPath::Any);
    for _ in 0..2 {
        smsc.inject_mo("33611111111", "12345", "y").unwrap();
    }
    one.delivered(Status::ROK).await;
    two.delivered(Status::ROK).await;
}

#[tokio::test]
async fn phones_write_and_reply() {
    let smsc = start(Settings { inbound_sar: true, ..Settings::default() }).await;
    let phones = smsc.phones();
    let mut changes = phones.changes();
    // Nobody is bound yet: it waits.
    assert_eq!(smsc.inject_mo("+33611111111", "12345", "Привет").unwrap(), 1);
    let mut esme = Esme::bound(&smsc).await;
    let first = esme.delivered(Status::ROK).await;
    assert_eq!(first.esm_class.message_type(), MessageType::Default);
    assert_eq!(first.source, Address::international("33611111111"));
    assert_eq!(sms::Encoding::Ucs2.decode(&first.short_message), "Привет");
    let none = Sm { registered_delivery: RegisteredDelivery::NONE, ..message("How are you?") };
    esme.submit(none).await;
    changes.changed().await.unwrap();
    let number = phones.list()[0].number.clone();
    phones.reply(&number, "ACME", &"fine ".repeat(40)).unwrap();
    let parts = [esme.delivered(Status::ROK).await, esme.delivered(Status::ROK).await];
    assert_eq!(parts[1].tlvs.sar().map(|sar| (sar.sequence, sar.total)), Some((2, 2)));
    let screen = phones.screen(&format!("+{number}"));
    let shown: Vec<_> = screen.iter().map(|message| (message.direction, message.peer.as_str())).collect();
    assert_eq!(shown, [(Direction::Received, "ACME"), (Direction::Sent, "ACME")]);
    assert!(phones.reply(&number, "", "x").is_err());
    phones.clear();
    assert!(phones.list().is_empty());
}

#[tokio::test]
async fn states_and_malformed_requests_get_their_status() {
    let smsc = start(Settings::default()).await;
    let mut esme = Esme::connect(&smsc).await;
    assert_eq!(esme.ask(Pdu::EnquireLink).await.0, Status::ROK);
    assert_eq!(esme.ask(Pdu::SubmitSm(message("x"))).await.0, Status::RINVBNDSTS);
    assert_eq!(esme.ask(Pdu::BindReceiver(bind())).await.0, Status::ROK);
    assert_eq!(esme.ask(Pdu::BindReceiver(bind())).await.0, Status::RALYBND);
    assert_eq!(esme.ask(Pdu::SubmitSm(message("x"))).await.0, Status::RINVBNDSTS);

    let mut esme = Esme::bound(&smsc).await;
    assert_eq!(esme.ask(Pdu::SubmitSm(Sm::default())).await.0, Status::RINVDSTADR);
    // An unknown operation, and a submit_sm that is cut short; then all is well again.
    for (command, status) in [(0x999, Status::RINVCMDID), (CommandId::SUBMIT_SM.0, Status::RINVSERTYP)] {
        let words = [18, command, 0, 7].map(u32::to_be_bytes).concat();
        esme.socket.write_all(&[&words, &b"xx"[..]].concat()).await.unwrap();
        assert_eq!(esme.next().await.unwrap().0.status, status);
    }
    esme.submit(message("x")).await;
    esme.delivered(Status::ROK).await;
    let (_, Pdu::UnbindResp) = esme.ask(Pdu::Unbind).await else { panic!() };
    assert!(esme.next().await.is_none(), "closed after the unbind");
}

#[tokio::test]
async fn noise_ends_a_connection_and_nothing_else() {
    let smsc = start(Settings::default()).await;
    let mut good = Esme::bound(&smsc).await;
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 3, 9, 9], &[0xFF; 4000]] {
        let mut bad = Esme::connect(&smsc).await;
        bad.socket.write_all(noise).await.unwrap();
        let (header, pdu) = bad.next().await.unwrap();
        assert_eq!((header.status, pdu), (Status::RINVCMDLEN, Pdu::GenericNack));
        assert!(bad.next().await.is_none());
    }
    good.submit(message("still here")).await;
    good.delivered(Status::ROK).await;
    smsc.disconnect();
    assert!(good.next().await.is_none());
}

#[tokio::test]
async fn absurd_settings_break_nothing() {
    let eternal = Delay { ms: u64::MAX, jitter_ms: u64::MAX };
    let smsc = start(Settings {
        system_id: "a name that is far too long\0".to_owned(),
        receipt_delay: eternal,
        delivery_window: usize::MAX,
        throughput: u32::MAX,
        duplicate_receipt_percent: f64::NAN,
        undelivered_percent: f64::INFINITY,
        ..Settings::default()
    })
    .await;
    let mut esme = Esme::connect(&smsc).await;
    let (_, Pdu::BindTransceiverResp(response)) = esme.ask(Pdu::BindTransceiver(bind())).await else {
        panic!()
    };
    assert_eq!(response.system_id, "a name that is ");
    esme.submit(message("x")).await;
    smsc.change(|settings| {
        (settings.latency, settings.receipt_first_percent) = (eternal, 100.0);
        settings.pending_max = 0;
    });
    esme.send(Pdu::SubmitSm(message("y")), 99, Status::ROK).await;
    assert_eq!(esme.ask(Pdu::EnquireLink).await.0, Status::ROK);
    assert_eq!(smsc.counts().accepted, 2);
}

#[tokio::test]
async fn an_old_peer_gets_no_tlvs() {
    let smsc = start(Settings { receipt_style: ReceiptStyle::Standard, ..Settings::default() }).await;
    let mut esme = Esme::connect(&smsc).await;
    let old = Bind { interface_version: smpp::Version::V3_3, ..bind() };
    let (_, Pdu::BindTransceiverResp(response)) = esme.ask(Pdu::BindTransceiver(old)).await else { panic!() };
    assert!(response.tlvs.is_empty());
    esme.submit(message("x")).await;
    assert!(esme.delivered(Status::ROK).await.tlvs.is_empty());
}
