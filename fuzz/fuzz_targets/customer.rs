//! What a hostile customer sends, over TCP to the whole program with its database: nothing ends it, every request of a session
//! is answered once, and every connection comes to its end.
#![no_main]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use smpp::{Bind, CommandId, Framer, Header, Pdu, Status, Version};
use testkit::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

const SYSTEM_ID: &str = "customer";
const PASSWORD: &str = "secret12";
const PATIENCE: Duration = Duration::from_secs(10);
const PDU_MAX: usize = 8 * 1024;

struct World {
    runtime: Runtime,
    smpp: SocketAddr,
    ucp: SocketAddr,
    _house: House,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let house = runtime.block_on(async {
        let house = House::start_with(|config| {
            config.ucp.enabled = true;
            // A carrier that answers would fill the customer's line of receipts, which nobody here takes.
            config.simulator.enabled = false;
            config.smpp.bind_failure_delay_ms = 0;
            config.smpp.binds_max = 10_000;
        })
        .await;
        let settings = json!({ "host": "127.0.0.1", "port": 9, "system_id": "us" });
        let new = json!({ "name": "Nobody", "password": "secret", "settings": settings });
        let connection = house.admin.post("/api/v1/connections", &new).await.expect(201);
        let rule = json!({ "name": "All", "rule": { "targets": [connection["id"]] } });
        house.admin.post("/api/v1/routes", &rule).await.expect(201);
        let settings = json!({ "window_max": 50, "throughput": 0, "binds_max": 100 });
        let new = json!({ "system_id": SYSTEM_ID, "password": PASSWORD, "settings": settings });
        house.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
        house
    });
    let (smpp, ucp) = (house.server.smpp, house.server.ucp.expect("it is enabled"));
    World { runtime, smpp, ucp, _house: house }
});

/// A step: its kind, a number and octets.
type Step<'a> = (u8, u16, &'a [u8]);

const COMMANDS: [CommandId; 16] = [
    CommandId::SUBMIT_SM,
    CommandId::SUBMIT_SM,
    CommandId::SUBMIT_SM,
    CommandId::SUBMIT_MULTI,
    CommandId::DATA_SM,
    CommandId::QUERY_SM,
    CommandId::CANCEL_SM,
    CommandId::REPLACE_SM,
    CommandId::ENQUIRE_LINK,
    CommandId::BIND_TRANSMITTER,
    CommandId::DELIVER_SM_RESP,
    CommandId::GENERIC_NACK,
    CommandId::BROADCAST_SM,
    CommandId::DELIVER_SM,
    CommandId::OUTBIND,
    CommandId(0x99),
];

/// The stream of an SMPP customer. Numbers count up, so that an answer tells its request.
fn smpp_stream(bind: u8, steps: &[Step<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    if bind != 0 {
        let who = Bind {
            system_id: SYSTEM_ID.into(),
            password: PASSWORD.into(),
            interface_version: Version([0x33, 0x34, 0x50][usize::from(bind >> 4) % 3]),
            ..Bind::default()
        };
        let pdu = match bind % 3 {
            0 => Pdu::BindTransceiver(who),
            1 => Pdu::BindTransmitter(who),
            _ => Pdu::BindReceiver(who),
        };
        pdu.encode(1, Status::ROK, &mut out).expect("a bind fits");
    }
    for (sequence, (kind, number, octets)) in (2..).zip(steps) {
        let body = &octets[..octets.len().min(PDU_MAX - 16)];
        let length = body.len() as u32 + 16;
        match kind % 8 {
            0 => out.extend_from_slice(octets),
            1 => {
                let mut sm = smpp::Sm {
                    source: smpp::Address::alphanumeric("ACME"),
                    destination: smpp::Address::international("33612345678"),
                    short_message: octets[..octets.len().min(254)].to_vec(),
                    ..smpp::Sm::default()
                };
                sm.esm_class.0 = number.to_be_bytes()[0];
                sm.data_coding.0 = number.to_be_bytes()[1];
                Pdu::SubmitSm(sm).encode(sequence, Status::ROK, &mut out).expect("it fits");
            }
            _ => {
                let command = COMMANDS[usize::from(*number) % COMMANDS.len()];
                for word in [length, command.0, 0, sequence] {
                    out.extend_from_slice(&word.to_be_bytes());
                }
                out.extend_from_slice(body);
            }
        }
    }
    out
}

/// The requests of a stream by their numbers; nothing where it cannot be cut into PDUs to its end or leaves early.
fn requests(stream: &[u8]) -> Option<BTreeMap<u32, usize>> {
    let mut framer = Framer::new(PDU_MAX);
    framer.feed(stream);
    let mut asked = BTreeMap::new();
    while let Some(pdu) = framer.next_pdu().ok()? {
        let header = Header::read(pdu)?;
        if header.command_id == CommandId::UNBIND {
            return None;
        }
        if !header.command_id.is_response() {
            *asked.entry(header.sequence).or_insert(0) += 1;
        }
    }
    (framer.pending() == 0).then_some(asked)
}

/// A customer over SMPP.
async fn customer(address: SocketAddr, stream: Vec<u8>) {
    let mut socket = TcpStream::connect(address).await.expect("the port is open");
    let mut left = requests(&stream).unwrap_or_default();
    let mut awaited: usize = left.values().sum();
    // The server may have closed in the middle.
    let _ = socket.write_all(&stream).await;
    if awaited == 0 {
        let _ = socket.shutdown().await;
    }
    let mut framer = Framer::new(64 * 1024);
    let mut ended = false;
    while !ended {
        ended = !matches!(socket.read_buf(framer.buffer(4096)).await, Ok(1..));
        while let Some(octets) = framer.next_pdu().expect("what the server says is whole") {
            let (header, pdu) = smpp::decode(octets, smpp::Mode::Strict).expect("what the server says can be read");
            if pdu.command_id().is_response() && awaited > 0 {
                let open = left.get_mut(&header.sequence).filter(|open| **open > 0);
                *open.unwrap_or_else(|| panic!("{header:?} answers nothing")) -= 1;
                awaited -= 1;
                ended |= awaited == 0;
            }
        }
    }
    assert_eq!(awaited, 0, "without an answer: {left:?}");
}

/// A customer over UCP.
async fn ucp_customer(address: SocketAddr, login: bool, steps: &[Step<'_>]) {
    let mut stream = Vec::new();
    if login {
        let session = ucp::Session::open(SYSTEM_ID, PASSWORD);
        ucp::Pdu::new(0, ucp::Body::Session(ucp::Operation::SESSION, session)).encode(&mut stream).expect("it fits");
    }
    for (kind, number, octets) in steps {
        match kind % 3 {
            0 => stream.extend_from_slice(octets),
            _ => {
                // A frame whose length and checksum are true.
                let operation = [51, 51, 51, 31, 1, 2, 3, 55, 56, 54, 30, 60, 61, 52][usize::from(*number) % 14];
                let fields: String = String::from_utf8_lossy(octets).replace(['\u{2}', '\u{3}'], "");
                let length = 14 + fields.len() + 3;
                let mut frame = format!("{:02}/{length:05}/O/{operation:02}/{fields}/", number % 100);
                let sum: u32 = frame.bytes().map(u32::from).sum();
                frame.push_str(&format!("{:02X}", sum & 0xFF));
                stream.push(2);
                stream.extend_from_slice(frame.as_bytes());
                stream.push(3);
            }
        }
    }
    let mut socket = TcpStream::connect(address).await.expect("the port is open");
    let _ = socket.write_all(&stream).await;
    let _ = socket.shutdown().await;
    let mut framer = ucp::Framer::new(64 * 1024);
    while let Ok(1..) = socket.read_buf(framer.buffer(4096)).await {
        while let Some(frame) = framer.next_frame() {
            ucp::Pdu::decode(frame).expect("what the server says can be read");
        }
    }
    assert_eq!(framer.skipped(), 0);
}

fuzz_target!(|input: (u8, u8, Vec<Step<'_>>)| {
    let (door, bind, steps) = input;
    let world = &*WORLD;
    let visit = async {
        match door % 3 {
            0 => ucp_customer(world.ucp, bind != 0, &steps).await,
            _ => customer(world.smpp, smpp_stream(bind, &steps)).await,
        }
    };
    world.runtime.block_on(async {
        tokio::time::timeout(PATIENCE, visit).await.expect("the connection comes to its end");
    });
});
