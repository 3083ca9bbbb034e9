//! The server over real sockets, with the real engine behind it.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use ucp::{
    Alert, Body, Content, ErrorCode, Framer, Operation, Originator, Outcome, Pdu, Session, ShortMessage,
};

use super::*;
use crate::account::{self, NewAccount};
use crate::connection::{self, NewConnection};
use crate::route::{self, NewRoute};
use crate::tests::{House, patch};

const PASSWORD: &str = "secret12";

/// A house with an account, a route to a carrier that does not answer, and a server.
struct Listening {
    house: House,
    engine: Engine,
    account: account::Account,
    address: SocketAddr,
}

async fn listening(settings: serde_json::Value) -> Listening {
    let house = House::build().await;
    let carrier = patch(json!({"host": "127.0.0.1", "port": 9, "system_id": "us"}));
    let carrier = NewConnection { name: "carrier".to_owned(), settings: carrier, ..NewConnection::default() };
    let carrier = connection::create(&house.ours, carrier).await.unwrap();
    let rule = patch(json!({"targets": [carrier.id]}));
    route::create(&house.ours, NewRoute { name: "all".to_owned(), rule, ..NewRoute::default() })
        .await
        .unwrap();
    let account = NewAccount {
        system_id: "10000".to_owned(),
        password: Some(PASSWORD.to_owned()),
        settings: patch(settings),
        ..NewAccount::default()
    };
    let account = account::create(&house.ours, account).await.unwrap().account;
    let engine = Engine::start(&house.runtime).await.unwrap();
    let address = listen(engine.clone(), "127.0.0.1:0".parse().unwrap()).await.unwrap().address;
    Listening { house, engine, account, address }
}

/// A customer's system.
struct Peer {
    socket: TcpStream,
    framer: Framer,
}

impl Peer {
    async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        Self { socket, framer: Framer::new(ucp::DEFAULT_MAX_FRAME) }
    }

    async fn opened(address: SocketAddr) -> Self {
        let mut peer = Self::connect(address).await;
        assert!(matches!(peer.open(PASSWORD).await, Outcome::Ack { .. }));
        peer
    }

    async fn open(&mut self, password: &str) -> Outcome {
        self.ask(0, Body::Session(Operation::SESSION, Session::open("10000", password))).await
    }

    async fn send(&mut self, trn: u8, body: Body) {
        let mut out = Vec::new();
        Pdu::new(trn, body).encode(&mut out).unwrap();
        self.socket.write_all(&out).await.unwrap();
    }

    /// The next PDU; nothing when the server has closed.
    async fn next(&mut self) -> Option<Pdu> {
        loop {
            if let Some(frame) = self.framer.next_frame() {
                return Some(Pdu::decode(frame).unwrap());
            }
            let read = self.socket.read_buf(self.framer.buffer(1024));
            match tokio::time::timeout(Duration::from_secs(5), read).await.expect("an answer in time") {
                Ok(1..) => {}
                _ => return None,
            }
        }
    }

    async fn ask(&mut self, trn: u8, body: Body) -> Outcome {
        self.send(trn, body).await;
        match self.next().await {
            Some(Pdu { trn: answered, body: Body::Result(_, outcome) }) if answered == trn => outcome,
            other => panic!("{other:?}"),
        }
    }

    async fn submit(&mut self, trn: u8, message: ShortMessage) -> Outcome {
        self.ask(trn, Body::Message(Operation::SUBMIT, Box::new(message))).await
    }
}

fn message(to: &str, text: &[u8]) -> ShortMessage {
    let mut message = ShortMessage { adc: to.into(), oadc: "10000".into(), ..ShortMessage::default() };
    message.set_content(&Content::Text(text.to_vec()));
    message
}

fn error_of(outcome: &Outcome) -> Option<ErrorCode> {
    match outcome {
        Outcome::Nack { error, .. } => Some(*error),
        Outcome::Ack { .. } => None,
    }
}

#[tokio::test]
async fn what_is_submitted_is_named_and_can_be_asked_after_changed_and_taken_back() {
    let our = listening(json!({})).await;
    let mut peer = Peer::opened(our.address).await;
    let Outcome::Ack { message: name, .. } = peer.submit(1, message("33612345678", b"hello")).await else {
        panic!("refused")
    };
    let (adc, scts) = name.split_once(':').unwrap();
    assert_eq!((adc, scts.len()), ("33612345678", 12));
    let named = |operation, scts: &str| {
        let asked =
            ShortMessage { adc: "0033612345678".into(), scts: scts.into(), ..ShortMessage::default() };
        Body::Message(operation, Box::new(asked))
    };
    assert_eq!(error_of(&peer.ask(2, named(Operation::INQUIRY, scts)).await), None);
    let Some(Pdu { body: Body::Message(Operation::INQUIRY_RESPONSE, told), .. }) = peer.next().await else {
        panic!("no response to the inquiry")
    };
    assert_eq!((told.dst.as_str(), told.scts.as_str()), ("1", scts));
    let unknown = peer.ask(3, named(Operation::INQUIRY, "010120000000")).await;
    assert_eq!(error_of(&unknown), Some(ErrorCode::NOT_FOUND));
    assert_eq!(error_of(&peer.ask(4, named(Operation::DELETE, "soon")).await), Some(ErrorCode::NOT_FOUND));
    let sent = our.house.runtime.clock.now().plus_ms(3_600_000).unix_ms() / 1_000;
    let later = ShortMessage {
        dd: "1".into(),
        ddt: ucp::Time::from_unix_s(sent).unwrap().ten_digits(),
        ..message("33612345679", b"later")
    };
    let Outcome::Ack { message: name, .. } = peer.submit(5, later).await else { panic!("refused") };
    let scts = name.split_once(':').unwrap().1.to_owned();
    let changed = ShortMessage { scts: scts.clone(), ..message("33612345679", b"other") };
    assert_eq!(
        error_of(&peer.ask(6, Body::Message(Operation::MODIFY, Box::new(changed.clone()))).await),
        None
    );
    assert_eq!(error_of(&peer.ask(7, Body::Message(Operation::DELETE, Box::new(changed))).await), None);
    assert!(matches!(
        peer.next().await,
        Some(Pdu { body: Body::Message(Operation::DELETE_RESPONSE, told), .. }) if told.dst == "2"
    ));
    assert_eq!(our.engine.account_binds(our.account.id)[0].submitted, 2);
    assert_eq!(our.engine.account_binds(our.account.id)[0].kind, "ucp");
}

#[tokio::test]
async fn strangers_are_told_nothing_and_get_nothing() {
    let our = listening(json!({})).await;
    let mut peer = Peer::connect(our.address).await;
    let refused = Some(ErrorCode::AUTHENTICATION);
    assert_eq!(error_of(&peer.submit(1, message("33612345678", b"x")).await), refused);
    assert_eq!(error_of(&peer.ask(2, Body::Alert(Alert::default())).await), refused);
    assert_eq!(error_of(&peer.open("wrong").await), refused);
    assert!(our.engine.account_binds(our.account.id).is_empty());
    assert_eq!(error_of(&peer.open(PASSWORD).await), None);
}

#[tokio::test]
async fn each_refusal_has_its_code() {
    let our = listening(json!({"senders": ["10000"], "throughput": 0})).await;
    let mut peer = Peer::opened(our.address).await;
    let mut of_stranger = message("33612345678", b"x");
    of_stranger.set_originator(&Originator::Alphanumeric(b"Shop".to_vec()));
    for (trn, refused, code) in [
        (1, message("call me".replace(' ', "").as_str(), b"x"), ErrorCode::ADC_INVALID),
        (3, ShortMessage { vp: "9".into(), ..message("33612345678", b"x") }, ErrorCode::TIME_INVALID),
        (4, of_stranger, ErrorCode::BARRED),
        (5, ShortMessage { msg: "4".into(), ..message("33612345678", b"x") }, ErrorCode::TOO_LONG),
    ] {
        assert_eq!(error_of(&peer.submit(trn, refused).await), Some(code), "{trn}");
    }
    let other = Body::Other(Operation::CALL_SUPPLEMENTARY, vec![String::new()]);
    assert_eq!(error_of(&peer.ask(6, other).await), Some(ErrorCode::NOT_SUPPORTED));
    assert_eq!(error_of(&peer.open(PASSWORD).await), Some(ErrorCode::NOT_ALLOWED));
    assert_eq!(error_of(&peer.ask(7, Body::Alert(Alert::default())).await), None);
}

#[tokio::test]
async fn an_account_above_its_rate_is_told_to_slow_down() {
    let our = listening(json!({"throughput": 1})).await;
    let mut peer = Peer::opened(our.address).await;
    let mut codes = Vec::new();
    for trn in 1..5 {
        codes.push(error_of(&peer.submit(trn, message("33612345678", b"x")).await));
    }
    assert!(codes.contains(&Some(ErrorCode::NOT_ALLOWED)) && codes[0].is_none(), "{codes:?}");
}

#[tokio::test]
async fn damaged_frames_are_answered_and_noise_ends_the_connection() {
    let our = listening(json!({})).await;
    let mut peer = Peer::opened(our.address).await;
    peer.socket.write_all(b"\r\n\x0202/00035/O/31/0234765439845/0139/A1\x03").await.unwrap();
    let Some(Pdu { trn: 2, body: Body::Result(Operation::ALERT, outcome) }) = peer.next().await else {
        panic!("no answer")
    };
    assert_eq!(error_of(&outcome), Some(ErrorCode::CHECKSUM));
    assert_eq!(error_of(&peer.submit(3, message("33612345678", b"still here")).await), None);
    let noise = vec![b'x'; 70_000];
    // It may close before all is written.
    let _ = peer.socket.write_all(&noise).await;
    assert!(peer.next().await.is_none());
}

#[tokio::test]
async fn sessions_that_are_ended_give_all_their_places_back() {
    let our = listening(json!({"binds_max": 1})).await;
    let mut peer = Peer::opened(our.address).await;
    let mut second = Peer::connect(our.address).await;
    assert_eq!(error_of(&second.open(PASSWORD).await), Some(ErrorCode::AUTHENTICATION));
    our.engine.account_changed(our.account.id).await.unwrap();
    assert_eq!(our.engine.account_binds(our.account.id).len(), 1, "it could bind under what was changed");
    our.engine.sessions().end(our.account.id);
    assert!(peer.next().await.is_none());
    drop(peer);
    for _ in 0..100 {
        if our.engine.account_binds(our.account.id).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(error_of(&second.open(PASSWORD).await), None);
}
