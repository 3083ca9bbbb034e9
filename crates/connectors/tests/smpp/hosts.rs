//! A centre with several hosts: binds are dealt out, stand in for each other, and come back.

use std::sync::Arc;
use std::time::Duration;

use connectors::smpp::{Answer, Class, Report, State};
use connectors::{Classed, Host, Reach};
use smpp::{AlertNotification, CommandId, Pdu, Status};
use tokio::net::TcpListener;

use super::smsc::{Peer, Smsc};
use super::{Ours, accepted, settings};

fn host(port: u16) -> Host {
    Host { name: "localhost".into(), port }
}

/// A port on which nobody listens.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    listener.local_addr().expect("bound").port()
}

/// Answers whatever is submitted, until the session is over; an unbind is answered.
async fn oblige(mut peer: Peer, name: &str) {
    while let Some((header, pdu)) = peer.try_next().await {
        match pdu {
            Pdu::SubmitSm(_) => peer.accept(header.sequence, name).await,
            Pdu::Unbind => {
                peer.header(CommandId::UNBIND_RESP, Status::ROK, header.sequence).await;
                return;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn binds_are_dealt_out_over_the_hosts() {
    let (one, two) = (Smsc::listen().await, Smsc::listen().await);
    let reach = Reach { hosts: vec![host(two.port())], ..Reach::default() };
    let ours = Ours::start(connectors::smpp::Settings { binds: 4, reach, ..settings(one.port()) });
    let mut peers = Vec::new();
    for smsc in [&one, &one, &two, &two] {
        peers.push(smsc.bound().await);
    }
    ours.until(State::Bound).await;
    let hosts: Vec<String> = ours.link.status().binds.into_iter().map(|bind| bind.host).collect();
    let (one, two) = (host(one.port()).to_string(), host(two.port()).to_string());
    assert_eq!(hosts, [one.clone(), two.clone(), one, two]);
}

#[tokio::test]
async fn a_host_that_is_down_is_stood_in_for_and_has_its_bind_back() {
    let (down, up) = (closed_port().await, Smsc::listen().await);
    let reach = Reach { hosts: vec![host(up.port())], rebalance_ms: 50, ..Reach::default() };
    let mut ours = Ours::start(connectors::smpp::Settings { reach, ..settings(down) });
    let (mut peer, _) = up.bound().await;
    assert!(matches!(ours.report().await, Report::Lost { .. }), "the first host is not there");
    assert!(matches!(ours.report().await, Report::Bound { .. }));
    ours.submit(&["a"]).await;
    let (sequence, _) = peer.submit().await;
    // Its own host is back while a message is open: that is answered before anybody leaves.
    let listener = TcpListener::bind(("127.0.0.1", down)).await.expect("the port is free again");
    peer.silent(200).await;
    peer.accept(sequence, "1").await;
    assert_eq!(ours.answered().await, ("a".into(), accepted("1")));
    let (header, pdu) = peer.next().await;
    assert!(matches!(pdu, Pdu::Unbind));
    peer.header(CommandId::UNBIND_RESP, Status::ROK, header.sequence).await;
    assert_eq!(ours.lost().await, "its own host is back");
    let home = Smsc::of(listener);
    let bound = tokio::time::timeout(Duration::from_secs(5), home.bound_at_last()).await;
    bound.expect("a bind at its own host");
    assert!(matches!(ours.report().await, Report::Bound { .. }));
}

#[tokio::test]
async fn a_warm_standby_is_bound_and_used_only_when_nobody_else_can_send() {
    let (first, spare) = (Smsc::listen().await, Smsc::listen().await);
    let reach = Reach { standby: vec![host(spare.port())], warm: true, ..Reach::default() };
    let mut ours = Ours::start(connectors::smpp::Settings { reach, ..settings(first.port()) });
    let (mut peer, _) = first.bound().await;
    let (spare_peer, _) = spare.bound().await;
    for _ in 0..2 {
        assert!(matches!(ours.report().await, Report::Bound { .. }));
    }
    ours.tasks.spawn("spare", async move { oblige(spare_peer, "spare").await });
    ours.submit(&["a"]).await;
    let (sequence, _) = peer.submit().await;
    peer.accept(sequence, "first").await;
    assert_eq!(ours.answered().await.1, accepted("first"));
    drop(peer);
    assert_eq!(ours.lost().await, "the peer closed the connection");
    ours.submit(&["b"]).await;
    assert_eq!(ours.answered().await.1, accepted("spare"));
    let (mut peer, _) = first.bound().await;
    assert!(matches!(ours.report().await, Report::Bound { .. }));
    ours.submit(&["c"]).await;
    let (sequence, text) = peer.submit().await;
    assert_eq!(text, "c", "the first is back, and the spare one is left alone");
    peer.accept(sequence, "first").await;
}

#[tokio::test]
async fn a_cold_standby_is_bound_when_it_is_needed_and_leaves_when_it_is_not() {
    let (down, spare) = (closed_port().await, Smsc::listen().await);
    let reach = Reach { standby: vec![host(spare.port())], standby_after_ms: 100, ..Reach::default() };
    let mut ours = Ours::start(connectors::smpp::Settings { reach, ..settings(down) });
    let (spare_peer, _) = spare.bound().await;
    let (left, has_left) = tokio::sync::oneshot::channel();
    ours.tasks.spawn("spare", async move {
        oblige(spare_peer, "spare").await;
        left.send(()).expect("somebody waits");
    });
    ours.until(State::Bound).await;
    ours.submit(&["a"]).await;
    let mut answered = false;
    while !answered {
        if let Report::Answered { answer, .. } = ours.report().await {
            assert_eq!(answer, accepted("spare"));
            answered = true;
        }
    }
    let first = Smsc::of(TcpListener::bind(("127.0.0.1", down)).await.expect("the port is free again"));
    let (_peer, _) = first.bound().await;
    tokio::time::timeout(Duration::from_secs(5), has_left).await.expect("an unbind").expect("it has left");
    let status = ours.link.status();
    assert_eq!((status.binds[0].standby, status.binds[1].standby), (false, true));
}

#[tokio::test]
async fn a_carriers_refusals_mean_what_its_table_says() {
    let smsc = Smsc::listen().await;
    let classes: Arc<[Classed]> = Arc::new([
        Classed { codes: 0x400..=0x4FF, class: Some(Class::Throttled) },
        Classed { codes: 0x45..=0x45, class: None },
        Classed { codes: 0x0B..=0x0B, class: Some(Class::Blocked) },
    ]);
    let (mut ours, mut peer) =
        Ours::bound(&smsc, connectors::smpp::Settings { classes, ..settings(smsc.port()) }).await;
    ours.submit(&["a", "b"]).await;
    for status in [Status::RSUBMITFAIL, Status::RINVDSTADR] {
        let (sequence, _) = peer.submit().await;
        peer.refuse(sequence, status).await;
    }
    assert_eq!(ours.answered().await, ("a".into(), accepted("")));
    let (_, answer) = ours.answered().await;
    assert!(matches!(answer, Answer::Refused { class: Class::Blocked, .. }), "{answer:?}");
    ours.submit(&["c"]).await;
    let (sequence, _) = peer.submit().await;
    peer.refuse(sequence, Status(0x402)).await;
    let (_, answer) = ours.answered().await;
    assert!(matches!(answer, Answer::Refused { class: Class::Throttled, .. }), "{answer:?}");
    ours.no_places(50).await;
    let counters = ours.link.status().counters;
    assert_eq!((counters.accepted, counters.refused, counters.throttled), (1, 2, 1));
}

#[tokio::test]
async fn a_phone_that_is_back_is_told() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    let alert = AlertNotification {
        source: smpp::Address::international("15550100"),
        ..AlertNotification::default()
    };
    peer.send(Pdu::AlertNotification(alert), 7).await;
    assert!(matches!(ours.report().await, Report::Reachable { phone } if phone == "15550100"));
}
