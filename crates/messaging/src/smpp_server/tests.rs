//! The server over real sockets, with the real engine behind it.

use std::time::Duration;

use serde_json::json;
use smpp::{
    Address, Bind, COctetString, CommandId, DataSm, Destination, Framer, Header, MessageState, Mode, Pdu,
    QuerySm, Sm, SubmitMulti, Version, decode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::account::{self, NewAccount};
use crate::connection::{self, NewConnection};
use crate::route::{self, NewRoute};
use crate::tests::{House, patch};

mod asked;

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
        system_id: "acme".to_owned(),
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
    sequence: u32,
}

impl Peer {
    async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        Self { socket, framer: Framer::new(smpp::DEFAULT_MAX_PDU), sequence: 0 }
    }

    async fn bound(address: SocketAddr) -> Self {
        let mut peer = Self::connect(address).await;
        let (header, _) = peer.ask(Pdu::BindTransceiver(bind(PASSWORD))).await;
        assert_eq!(header.status, smpp::Status::ROK);
        peer
    }

    async fn say(&mut self, pdu: &Pdu) -> u32 {
        self.sequence += 1;
        let mut out = Vec::new();
        pdu.encode(self.sequence, smpp::Status::ROK, &mut out).unwrap();
        self.socket.write_all(&out).await.unwrap();
        self.sequence
    }

    /// The next PDU; none when the server has closed.
    async fn hear(&mut self) -> Option<(Header, Pdu)> {
        loop {
            if let Some(octets) = self.framer.next_pdu().unwrap() {
                return Some(decode(octets, Mode::Lenient).unwrap());
            }
            let read = self.socket.read_buf(self.framer.buffer(4096));
            let read = tokio::time::timeout(Duration::from_secs(10), read).await.expect("an answer in time");
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn ask(&mut self, pdu: Pdu) -> (Header, Pdu) {
        let sequence = self.say(&pdu).await;
        let answer = self.hear().await.expect("an answer");
        assert_eq!(answer.0.sequence, sequence);
        answer
    }

    async fn status(&mut self, pdu: Pdu) -> smpp::Status {
        self.ask(pdu).await.0.status
    }
}

fn bind(password: &str) -> Bind {
    Bind { system_id: "acme".into(), password: password.into(), ..Bind::default() }
}

fn hello() -> Sm {
    Sm {
        source: Address::alphanumeric("ACME"),
        destination: Address::international("33612345678"),
        short_message: b"hello".to_vec(),
        ..Sm::default()
    }
}

#[tokio::test]
async fn a_session_from_bind_to_unbind() {
    let listening = listening(json!({})).await;
    let mut peer = Peer::bound(listening.address).await;
    let (header, response) = peer.ask(Pdu::SubmitSm(hello())).await;
    let Pdu::SubmitSmResp(response) = response else { panic!("{response:?}") };
    assert_eq!((header.status, response.message_id.len()), (smpp::Status::ROK, 13));

    let source = Address::alphanumeric("ACME");
    let query = QuerySm { message_id: response.message_id.clone(), source };
    let (_, found) = peer.ask(Pdu::QuerySm(query.clone())).await;
    let Pdu::QuerySmResp(found) = found else { panic!("{found:?}") };
    assert_eq!((found.message_state, found.final_date.len()), (MessageState::ENROUTE, 0));
    let unknown = QuerySm { message_id: "0000000000000".into(), ..query };
    assert_eq!(peer.status(Pdu::QuerySm(unknown)).await, smpp::Status::RQUERYFAIL);

    let seen = listening.engine.sessions().of(listening.account.id);
    assert_eq!((seen.len(), seen[0].kind, seen[0].submitted, seen[0].window_used), (1, "transceiver", 1, 0));
    // What was submitted before the unbind is answered before it.
    let (one, two) = (peer.say(&Pdu::SubmitSm(hello())).await, peer.say(&Pdu::Unbind).await);
    for (sequence, command) in [(one, CommandId::SUBMIT_SM_RESP), (two, CommandId::UNBIND_RESP)] {
        let (header, _) = peer.hear().await.unwrap();
        assert_eq!(
            (header.sequence, header.command_id, header.status),
            (sequence, command, smpp::Status::ROK)
        );
    }
    assert!(peer.hear().await.is_none());
    let events = async {
        while !listening.house.events().await.contains("account.unbound") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), events).await.unwrap();
    assert_eq!(listening.engine.sessions().count(), 0);
}

#[tokio::test]
async fn every_operation_is_answered_by_the_book() {
    let listening = listening(json!({})).await;
    let mut peer = Peer::connect(listening.address).await;
    assert_eq!(peer.status(Pdu::SubmitSm(hello())).await, smpp::Status::RINVBNDSTS);
    assert_eq!(peer.status(Pdu::EnquireLink).await, smpp::Status::ROK);
    let receiver = Bind { interface_version: Version::V3_3, ..bind(PASSWORD) };
    let (header, response) = peer.ask(Pdu::BindReceiver(receiver.clone())).await;
    assert_eq!(header.command_id, CommandId::BIND_RECEIVER_RESP);
    assert!(matches!(response, Pdu::BindReceiverResp(response) if response.version().is_none()));
    assert_eq!(peer.status(Pdu::BindReceiver(receiver)).await, smpp::Status::RALYBND);
    assert_eq!(peer.status(Pdu::SubmitSm(hello())).await, smpp::Status::RINVBNDSTS);

    let mut peer = Peer::bound(listening.address).await;
    let mut wrong = hello();
    wrong.destination = Address::international("not-digits");
    assert_eq!(peer.status(Pdu::SubmitSm(wrong)).await, smpp::Status::RINVDSTADR);
    let broadcast = Pdu::BroadcastSm(smpp::BroadcastSm::default());
    assert!(!peer.status(broadcast).await.is_ok());
    let mut data = DataSm { destination: hello().destination, ..DataSm::default() };
    data.tlvs.set_message_payload(b"hello").unwrap();
    let (header, answer) = peer.ask(Pdu::DataSm(data)).await;
    assert!(
        header.status.is_ok() && matches!(answer, Pdu::DataSmResp(answer) if answer.message_id.len() == 13)
    );
    let multi = SubmitMulti {
        destinations: vec![
            Destination::List(COctetString::from("friends")),
            Destination::Address(Address::international("33612345678")),
            Destination::Address(Address::international("x")),
        ],
        message: hello(),
    };
    let (_, answer) = peer.ask(Pdu::SubmitMulti(multi)).await;
    let Pdu::SubmitMultiResp(answer) = answer else { panic!("{answer:?}") };
    let failed: Vec<_> = answer.unsuccessful.iter().map(|failed| failed.status).collect();
    assert_eq!(failed, [smpp::Status::RINVDLNAME, smpp::Status::RINVDSTADR]);
    assert_eq!(answer.message_id.len(), 13);
}

#[tokio::test]
async fn malformed_pdus_are_named_and_the_session_lives_on() {
    let listening = listening(json!({})).await;
    let mut peer = Peer::bound(listening.address).await;
    // An operation that nobody knows; a submit_sm cut in its middle.
    for (octets, command, status) in [
        (
            &[0, 0, 0, 17, 0, 0, 0x77, 0x77, 0, 0, 0, 0, 0, 0, 0, 9, 1][..],
            CommandId::GENERIC_NACK,
            smpp::Status::RINVCMDID,
        ),
        (
            &[0, 0, 0, 18, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1],
            CommandId::SUBMIT_SM_RESP,
            smpp::Status::RINVSRCNPI,
        ),
    ] {
        peer.socket.write_all(octets).await.unwrap();
        let (header, _) = peer.hear().await.unwrap();
        assert_eq!((header.command_id, header.sequence), (command, 9));
        assert!(header.status == status || command == CommandId::SUBMIT_SM_RESP && !header.status.is_ok());
    }
    assert_eq!(peer.status(Pdu::EnquireLink).await, smpp::Status::ROK);
    // A length that cannot be true ends the stream, but not without a word.
    peer.socket.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let (header, _) = peer.hear().await.unwrap();
    assert_eq!(
        (header.command_id, header.status, header.sequence),
        (CommandId::GENERIC_NACK, smpp::Status::RINVCMDLEN, 0)
    );
    assert!(peer.hear().await.is_none());
    let mut neighbour = Peer::bound(listening.address).await;
    assert_eq!(neighbour.status(Pdu::SubmitSm(hello())).await, smpp::Status::ROK);
}

#[tokio::test]
async fn bounds_hold_and_a_change_ends_sessions() {
    let listening = listening(json!({"binds_max": 1, "throughput": 2})).await;
    let mut peer = Peer::bound(listening.address).await;
    let (mut second, mut stranger) =
        (Peer::connect(listening.address).await, Peer::connect(listening.address).await);
    let (full, wrong) = tokio::join!(
        second.status(Pdu::BindTransmitter(bind(PASSWORD))),
        stranger.status(Pdu::BindTransmitter(bind("wrong")))
    );
    assert_eq!((full, wrong), (smpp::Status::RALYBND, smpp::Status::RBINDFAIL));
    // The clock stands still, so the bucket of two is never filled again.
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(peer.status(Pdu::SubmitSm(hello())).await);
    }
    assert_eq!(statuses, [smpp::Status::ROK, smpp::Status::ROK, smpp::Status::RTHROTTLED]);
    listening.engine.sessions().end(listening.account.id);
    let (header, pdu) = peer.hear().await.unwrap();
    assert_eq!(pdu, Pdu::Unbind);
    let mut answer = Vec::new();
    Pdu::UnbindResp.encode(header.sequence, smpp::Status::ROK, &mut answer).unwrap();
    peer.socket.write_all(&answer).await.unwrap();
    assert!(peer.hear().await.is_none());
}

#[tokio::test]
async fn pushes_wait_in_the_table_and_go_when_they_are_taken() {
    let listening = listening(json!({})).await;
    let runtime = &listening.house.runtime;
    store_pushes(&listening, 3).await;
    let mut peer = Peer::bound(listening.address).await;
    for (number, status) in
        [(1, smpp::Status::ROK), (2, smpp::Status::RX_T_APPN), (3, smpp::Status::RX_P_APPN)]
    {
        let (header, pdu) = peer.hear().await.unwrap();
        let Pdu::DeliverSm(sm) = pdu else { panic!("{pdu:?}") };
        assert_eq!(sm.short_message, format!("message {number}").into_bytes());
        let mut answer = Vec::new();
        smpp::encode_deliver_sm_resp(header.sequence, status, &mut answer);
        peer.socket.write_all(&answer).await.unwrap();
    }
    let only_the_second_is_left = async {
        while stored_pushes(runtime).await != [2] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), only_the_second_is_left).await.unwrap();
    // The next session gets what is left, and nothing twice.
    assert_eq!(peer.status(Pdu::Unbind).await, smpp::Status::ROK);
    assert!(peer.hear().await.is_none());
    let mut peer = Peer::bound(listening.address).await;
    let (_, pdu) = peer.hear().await.unwrap();
    assert!(matches!(pdu, Pdu::DeliverSm(sm) if sm.short_message == b"message 2"));
    assert_eq!(peer.status(Pdu::EnquireLink).await, smpp::Status::ROK);
}

#[tokio::test]
async fn a_window_is_a_bound_and_answers_keep_their_order() {
    let listening = listening(json!({"window_max": 7})).await;
    let mut peer = Peer::bound(listening.address).await;
    let mut out = Vec::new();
    for sequence in 100..400 {
        Pdu::SubmitSm(hello()).encode(sequence, smpp::Status::ROK, &mut out).unwrap();
    }
    peer.socket.write_all(&out).await.unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for sequence in 100..400 {
        let (header, pdu) = peer.hear().await.unwrap();
        let Pdu::SubmitSmResp(response) = pdu else { panic!("{pdu:?}") };
        assert_eq!((header.sequence, header.status), (sequence, smpp::Status::ROK));
        ids.insert(response.message_id.as_str().into_owned());
        assert!(listening.engine.sessions().of(listening.account.id)[0].window_used <= 7);
    }
    assert_eq!(ids.len(), 300);
}

#[tokio::test]
async fn what_a_lost_session_did_not_answer_goes_to_the_next() {
    let listening = listening(json!({})).await;
    store_pushes(&listening, 2).await;
    let mut lost = Peer::bound(listening.address).await;
    for _ in 0..2 {
        assert!(matches!(lost.hear().await, Some((_, Pdu::DeliverSm(_)))));
    }
    let mut next = Peer::bound(listening.address).await;
    assert_eq!(next.status(Pdu::EnquireLink).await, smpp::Status::ROK);
    drop(lost);
    for number in 1..=2 {
        let (_, pdu) = next.hear().await.unwrap();
        assert!(
            matches!(pdu, Pdu::DeliverSm(sm) if sm.short_message == format!("message {number}").into_bytes())
        );
    }
}

#[tokio::test]
async fn a_throttled_session_pauses_and_another_takes_over() {
    let listening = listening(json!({})).await;
    let mut slow = Peer::bound(listening.address).await;
    let mut other = Peer::connect(listening.address).await;
    store_pushes(&listening, 1).await;
    // Whether the session reads the table before or after, it is given once.
    listening.engine.pushes().put(push(&listening, 1));
    let (header, pdu) = slow.hear().await.unwrap();
    assert!(matches!(pdu, Pdu::DeliverSm(_)));
    let mut answer = Vec::new();
    smpp::encode_deliver_sm_resp(header.sequence, smpp::Status::RTHROTTLED, &mut answer);
    slow.socket.write_all(&answer).await.unwrap();
    assert_eq!(slow.status(Pdu::EnquireLink).await, smpp::Status::ROK);
    assert_eq!(other.status(Pdu::BindReceiver(bind(PASSWORD))).await, smpp::Status::ROK);
    assert!(matches!(other.hear().await, Some((_, Pdu::DeliverSm(_)))));
}

fn push(listening: &Listening, id: i64) -> crate::push::Push {
    crate::push::Push {
        id,
        tenant: listening.account.tenant,
        account: listening.account.id,
        message: types::MessageId::from_raw(id),
        kind: crate::push::PushKind::Message { data_coding: 0, body: format!("message {id}").into_bytes() },
        sender: types::Address::international("33612345678".to_owned()),
        recipient: types::Address::short_code("12345".to_owned()),
        accepted_at: types::Timestamp::from_unix_ms(7),
        at: types::Timestamp::from_unix_ms(8),
        expires_at: types::Timestamp::MAX,
    }
}

#[tokio::test]
async fn connections_without_a_bind_are_bounded() {
    let listening = listening(json!({})).await;
    let hub = Hub {
        engine: listening.engine.clone(),
        sessions: Arc::clone(listening.engine.sessions()),
        unbound: Arc::new(Semaphore::new(1)),
    };
    let address = open(hub, SocketAddr::from(([127, 0, 0, 1], 0)), None).await.unwrap();
    let mut first = Peer::connect(address).await;
    assert_eq!(first.status(Pdu::EnquireLink).await, smpp::Status::ROK);
    assert!(Peer::connect(address).await.hear().await.is_none(), "the one place is taken");
    assert_eq!(first.status(Pdu::BindTransmitter(bind(PASSWORD))).await, smpp::Status::ROK);
    Peer::bound(address).await;
}

#[tokio::test]
async fn no_octets_break_the_server() {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    let listening = listening(json!({"binds_max": 100})).await;
    let mut random = StdRng::seed_from_u64(5);
    let mut whole = Vec::new();
    Pdu::SubmitSm(hello()).encode(1, smpp::Status::ROK, &mut whole).unwrap();
    for round in 0..60 {
        let mut peer = if round % 3 == 0 {
            Peer::connect(listening.address).await
        } else {
            Peer::bound(listening.address).await
        };
        for _ in 0..20 {
            let mut octets = whole.clone();
            // Any command with any body; sometimes a length that lies.
            octets[7] = random.random_range(0..0x22);
            octets[4] = if random.random_range(0..4) == 0 { 0x80 } else { 0 };
            for _ in 0..random.random_range(0..6) {
                let at = random.random_range(if round % 10 == 0 { 0 } else { 8 }..octets.len());
                octets[at] = random.random();
            }
            if peer.socket.write_all(&octets).await.is_err() {
                break;
            }
        }
    }
    let mut neighbour = Peer::bound(listening.address).await;
    assert_eq!(neighbour.status(Pdu::SubmitSm(hello())).await, smpp::Status::ROK);
}

#[tokio::test]
async fn a_stopping_server_takes_its_leave() {
    let listening = listening(json!({})).await;
    let mut peer = Peer::bound(listening.address).await;
    let tasks = listening.house.runtime.tasks.clone();
    let leaving = async {
        let (header, pdu) = peer.hear().await.unwrap();
        assert_eq!(pdu, Pdu::Unbind);
        let mut answer = Vec::new();
        Pdu::UnbindResp.encode(header.sequence, smpp::Status::ROK, &mut answer).unwrap();
        peer.socket.write_all(&answer).await.unwrap();
        assert!(peer.hear().await.is_none());
    };
    tokio::join!(tasks.stop(Duration::from_millis(200)), leaving);
    assert_eq!(listening.engine.sessions().count(), 0);
}

async fn store_pushes(listening: &Listening, count: i64) {
    use db::{Tenancy, args, sql};
    let tenant = listening.account.tenant;
    let mut tx = listening.house.runtime.db.write(Tenancy::Tenant(tenant)).await.unwrap();
    for id in 1..=count {
        tx.execute(
            sql!(
                "insert into message (id, tenant_id, direction, state, sender, sender_kind, recipient, recipient_kind, text, \
                 data_coding, parts, intent, lane, registered, attempts, maybe_twice, accepted_at, expires_at, updated_at) \
                 values ($1, $2, 'in', 'received', '33612345678', 257, '12345', 768, $3, 0, 1, 'transactional', 1, 0, 0, false, 7, 9, 7)"
            ),
            args![id, tenant, format!("message {id}")],
        )
        .await
        .unwrap();
        tx.execute(
            sql!(
                "insert into push (id, tenant_id, account_id, message_id, kind, state, at, expires_at) \
                 values ($1, $2, $3, $1, 'message', 'received', 8, 9000000000000)"
            ),
            args![id, tenant, listening.account.id],
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
}

async fn stored_pushes(runtime: &runtime::Runtime) -> Vec<i64> {
    use db::{Tenancy, args, record, sql};
    record! { struct Stored { id: i64 } }
    let mut tx = runtime.db.read(Tenancy::Every).await.unwrap();
    let stored: Vec<Stored> =
        tx.all(sql!("select id from push order by id /* every tenant: a test */"), args![]).await.unwrap();
    stored.into_iter().map(|stored| stored.id).collect()
}

#[tokio::test]
async fn peers_of_5_0_are_told_how_busy_we_are() {
    let listening = listening(json!({})).await;
    for (version, told) in [(Version::V3_4, false), (Version::V5_0, true)] {
        let mut peer = Peer::connect(listening.address).await;
        let newer = Bind { interface_version: version, ..bind(PASSWORD) };
        assert!(peer.status(Pdu::BindTransceiver(newer)).await.is_ok());
        let (_, Pdu::SubmitSmResp(response)) = peer.ask(Pdu::SubmitSm(hello())).await else { panic!() };
        assert_eq!(response.tlvs.congestion_state().is_some_and(|state| state < 100), told);
        let mut data = DataSm { destination: hello().destination, ..DataSm::default() };
        data.tlvs.set_message_payload(b"hello").unwrap();
        let (_, Pdu::DataSmResp(response)) = peer.ask(Pdu::DataSm(data)).await else { panic!() };
        assert_eq!(response.tlvs.congestion_state().is_some(), told);
    }
}
