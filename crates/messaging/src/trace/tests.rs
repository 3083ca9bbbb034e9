use std::net::SocketAddr;

use runtime::trace::{Protocol, Tap};
use serde_json::json;
use types::{Permissions, TenantId};

use super::*;
use crate::connection::NewConnection;
use crate::tests::{House, patch};

async fn traced(house: &House) -> (Engine, ConnectionId, Tap) {
    let wanted = NewConnection {
        name: "carrier".to_owned(),
        wanted: Some(connection::Wanted::Stopped),
        settings: patch(json!({ "host": "smsc.example", "system_id": "us" })),
        ..NewConnection::default()
    };
    let id = connection::create(&house.ours, wanted).await.unwrap().id;
    let engine = Engine::start(&house.runtime).await.unwrap();
    let (ours, peer) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 1], 2)));
    let line = Line { bind: 1, kind: "transceiver", protocol: Protocol::Smpp, ours, peer };
    let tap = Tap::new(&engine.meters().connection(id).point, line, &house.runtime.clock);
    (engine, id, tap)
}

fn enquire_link(sequence: u32) -> Vec<u8> {
    let mut out = Vec::new();
    smpp::encode_header(smpp::CommandId::ENQUIRE_LINK, smpp::Status::ROK, sequence, &mut out);
    out
}

async fn ended(scope: &Scope, id: TraceId) -> Trace {
    for _ in 0..500 {
        let trace = get(scope, id).unwrap();
        if trace.ended_at.is_some() {
            return trace;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never ends");
}

#[tokio::test]
async fn a_trace_is_bounded_and_seen_by_its_tenant_alone() {
    let house = House::build().await;
    let (engine, connection, tap) = traced(&house).await;
    let new = NewTrace { connection: Some(connection), pdus: Some(3), ..NewTrace::default() };
    for refused in [
        NewTrace::default(),
        NewTrace { minutes: Some(0), ..new.clone() },
        NewTrace { minutes: Some(61), ..new.clone() },
        NewTrace { pdus: Some(20_001), ..new.clone() },
    ] {
        assert!(start(&house.ours, &engine, refused).await.is_err());
    }
    assert_eq!(start(&house.theirs, &engine, new.clone()).await.unwrap_err().code(), Code::NotFound);
    let nobody = house.scope(house.ours.tenant(), Permissions::NONE);
    assert_eq!(start(&nobody, &engine, new.clone()).await.unwrap_err().code(), Code::Forbidden);

    let trace = start(&house.ours, &engine, new.clone()).await.unwrap();
    assert_eq!(start(&house.ours, &engine, new.clone()).await.unwrap_err().code(), Code::Conflict);
    // Two PDUs that were written together, then one more than it may hold.
    tap.written(&[enquire_link(1), enquire_link(2)].concat());
    tap.read(&enquire_link(3));
    tap.read(&enquire_link(4));
    let full = ended(&house.ours, trace.id).await;
    assert_eq!((full.pdus, full.why), (3, Some("it holds as many PDUs as it may")));
    let held = pdus(&house.ours, trace.id, 1, 10).unwrap();
    let numbers: Vec<_> = held.items.iter().map(|pdu| (pdu.number, pdu.pdu.sequence)).collect();
    assert_eq!((numbers, held.after, held.running), (vec![(2, 2), (3, 3)], 3, false));
    assert_eq!(get(&house.theirs, trace.id).unwrap_err().code(), Code::NotFound);
    assert_eq!(delete(&house.theirs, trace.id).await.unwrap_err().code(), Code::NotFound);
    assert!(list(&house.theirs).unwrap().is_empty());

    // The connection can be traced again, and only so many traces run or are kept.
    let again = start(&house.ours, &engine, new).await.unwrap();
    let stopped = stop(&house.ours, again.id).await.unwrap();
    assert_eq!(stopped.why, Some("it was stopped"));
    delete(&house.ours, again.id).await.unwrap();
    assert_eq!(list(&house.ours).unwrap().len(), 1);
    let events = house.events().await;
    assert!(events.contains("trace.started") && events.contains("trace.deleted"));
}

#[tokio::test]
async fn old_traces_make_room_and_running_ones_do_not() {
    let house = House::build().await;
    let traces = Traces::of(&house.runtime);
    let keep = |n: i64, ended: bool| {
        let about = Trace {
            id: TraceId::from_raw(n),
            tenant: TenantId::from_raw(1),
            connection: None,
            account: None,
            name: String::new(),
            bind: None,
            address: None,
            began_at: Timestamp::default(),
            until: Timestamp::default(),
            ended_at: None,
            why: None,
            pdus: 0,
            pdus_max: 1,
            missed: 0,
        };
        let recorded =
            Recorded { ended: ended.then(|| (Timestamp::default(), "over")), ..Recorded::default() };
        let recorded = Mutex::new(recorded);
        let (point, stop) = (Point::default(), CancellationToken::new());
        traces.keep(Arc::new(Running { about, point, stop, recorded }))
    };
    for n in 0..KEPT_MAX as i64 + 5 {
        keep(n, true).unwrap();
    }
    assert_eq!(traces.lock()[&TenantId::from_raw(1)].len(), KEPT_MAX);
    for n in 0..RUNNING_MAX as i64 {
        keep(100 + n, false).unwrap();
    }
    assert_eq!(keep(200, false).unwrap_err().code(), Code::Conflict);
    assert_eq!(traces.lock()[&TenantId::from_raw(1)].len(), KEPT_MAX);
}
