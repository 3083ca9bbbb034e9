//! Binding, draining, stopping.

use std::time::Duration;

use connectors::smpp::{Answer, BindKind, Login, NoAnswer, Report, Settings, State, Stopped};
use smpp::{CommandId, Pdu, Status};

use super::smsc::Smsc;
use super::{Ours, accepted, settings};

#[tokio::test]
async fn a_pair_submits_on_one_half_and_receives_on_the_other() {
    let smsc = Smsc::listen().await;
    let pair = Settings {
        bind: BindKind::TransmitterReceiver,
        login: Login { version: 0x50, ..settings(0).login },
        ..settings(smsc.port())
    };
    let mut ours = Ours::start(pair);
    let (one, two) = (smsc.bound().await, smsc.bound().await);
    let ((mut transmitter, _), (mut receiver, kind)) =
        if one.1 == CommandId::BIND_TRANSMITTER { (one, two) } else { (two, one) };
    assert_eq!(kind, CommandId::BIND_RECEIVER);
    ours.report().await;
    ours.report().await;
    ours.submit(&["a", "b"]).await;
    for _ in 0..2 {
        let (sequence, text) = transmitter.submit().await;
        transmitter.accept(sequence, "id").await;
        assert_eq!(ours.answered().await, (text, accepted("id")));
    }
    receiver.deliver("in", 1).await;
    let Report::Delivered(delivered) = ours.report().await else { panic!("no message") };
    delivered.accept();
    assert_eq!(receiver.next().await.0.command_id, CommandId::DELIVER_SM_RESP);
    // Without its transmitter the connection cannot do its work.
    drop((transmitter, smsc));
    ours.lost().await;
    assert_ne!(ours.link.status().state, State::Bound);
    ours.no_places(20).await;
    receiver.silent(5).await;
}

#[tokio::test]
async fn several_binds_share_the_work() {
    let smsc = Smsc::listen().await;
    let mut ours = Ours::start(Settings { binds: 3, window: 4, ..settings(smsc.port()) });
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(smsc.bound().await.0);
        ours.report().await;
    }
    let mut places = ours.places(100).await;
    assert_eq!(places.len(), 12);
    for n in 0..6 {
        ours.link.submit(&mut places, &super::sm("x").view(), n.to_string()).unwrap();
    }
    for peer in &mut peers {
        peer.submit().await;
        peer.submit().await;
        peer.silent(5).await;
    }
}

#[tokio::test]
async fn a_refused_bind_says_why_and_is_not_insisted_on() {
    let smsc = Smsc::listen().await;
    let slow = Settings { reconnect_min_ms: 1, reconnect_max_ms: 60_000, ..settings(smsc.port()) };
    let mut ours = Ours::start(slow);
    let mut peer = smsc.connection().await;
    let (header, pdu) = peer.next().await;
    let Pdu::BindTransceiver(bind) = pdu else { panic!("{pdu:?}") };
    assert_eq!((bind.system_id, bind.password), ("gateway".into(), "secret".into()));
    // It may be asked whether it lives before it is let in.
    peer.header(CommandId::ENQUIRE_LINK, Status::ROK, 3).await;
    assert_eq!(peer.next().await.0.command_id, CommandId::ENQUIRE_LINK_RESP);
    peer.header(CommandId::BIND_TRANSCEIVER_RESP, Status::RINVPASWD, header.sequence).await;
    assert_eq!(ours.lost().await, "bind refused: invalid password (ESME_RINVPASWD)");
    ours.until(State::Down).await;
    assert!(ours.link.status().binds[0].last_error.as_deref().unwrap().contains("invalid password"));
    assert!(tokio::time::timeout(Duration::from_millis(50), smsc.connection()).await.is_err());
}

#[tokio::test]
async fn attempts_go_on_until_the_peer_is_there_and_are_told_once() {
    let smsc = Smsc::listen().await;
    let mut ours = Ours::start(Settings { response_timeout_ms: 30, ..settings(smsc.port()) });
    // A peer that takes connections and does not answer, then one that hangs up, then a good one.
    let (mute, again) = (smsc.connection().await, smsc.connection().await);
    drop((mute, again, smsc.connection().await));
    let (_peer, _) = loop {
        let mut peer = smsc.connection().await;
        if let Some((header, _)) = peer.try_next().await {
            peer.accept_bind(header).await;
            break (peer, header);
        }
    };
    let mut reasons = Vec::new();
    loop {
        match ours.report().await {
            Report::Lost { why, .. } => reasons.push(why),
            Report::Bound { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(reasons[0].contains("no answer to the bind"), "{reasons:?}");
    assert!(reasons.windows(2).all(|pair| pair[0] != pair[1]), "{reasons:?}");
}

#[tokio::test]
async fn draining_takes_nothing_more_and_waits_for_what_is_open() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    ours.submit(&["a"]).await;
    let mut held = ours.places(2).await;
    ours.link.drain();
    assert_eq!(ours.link.places(1).await.unwrap_err(), Stopped);
    assert_eq!(ours.link.submit(&mut held, &super::sm("b").view(), "b".into()), Err("b".into()));
    assert_eq!(ours.link.status().state, State::Draining);
    let (sequence, _) = peer.submit().await;
    peer.silent(10).await;
    peer.accept(sequence, "1").await;
    assert_eq!(ours.answered().await, ("a".into(), accepted("1")));
    peer.deliver("a receipt", 1).await;
    assert!(matches!(ours.report().await, Report::Delivered(_)));
}

#[tokio::test]
async fn stopping_waits_for_answers_then_unbinds_and_ends_the_reports() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    ours.submit(&["a"]).await;
    let (sequence, _) = peer.submit().await;
    let link = ours.link.clone();
    let centre = async {
        peer.silent(20).await;
        peer.accept(sequence, "1").await;
        let (header, _) = peer.next().await;
        assert_eq!(header.command_id, CommandId::UNBIND);
        peer.header(CommandId::UNBIND_RESP, Status::ROK, header.sequence).await;
        assert!(peer.try_next().await.is_none());
    };
    tokio::join!(link.stop(Duration::from_secs(5)), centre);
    assert_eq!(ours.answered().await, ("a".into(), accepted("1")));
    assert_eq!(ours.lost().await, "unbound");
    assert!(ours.reports.recv().await.is_none());
    assert_eq!(ours.link.status().state, State::Stopped);
}

#[tokio::test]
async fn a_stop_that_runs_out_of_time_reports_what_is_open() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    ours.submit(&["a"]).await;
    peer.submit().await;
    let began = tokio::time::Instant::now();
    ours.link.stop(Duration::from_millis(50)).await;
    assert!(began.elapsed() < Duration::from_millis(1_000));
    assert_eq!(peer.next().await.0.command_id, CommandId::UNBIND);
    assert_eq!(ours.answered().await, ("a".into(), Answer::NoAnswer(NoAnswer::BindLost)));
    ours.lost().await;
    assert!(ours.reports.recv().await.is_none());
}

#[tokio::test]
async fn it_stops_while_it_cannot_connect() {
    let smsc = Smsc::listen().await;
    let port = smsc.port();
    drop(smsc);
    let ours = Ours::start(Settings { reconnect_min_ms: 60_000, reconnect_max_ms: 60_000, ..settings(port) });
    ours.until(State::Down).await;
    ours.link.stop(Duration::from_secs(5)).await;
    assert_eq!(ours.link.status().state, State::Stopped);
}

#[tokio::test]
async fn dropping_the_link_unbinds_and_still_reports() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    ours.submit(&["a"]).await;
    let (sequence, _) = peer.submit().await;
    drop(ours.link);
    peer.accept(sequence, "1").await;
    assert!(matches!(ours.reports.recv().await, Some(Report::Answered { .. })));
    assert_eq!(peer.next().await.0.command_id, CommandId::UNBIND);
    drop(peer);
    assert!(matches!(ours.reports.recv().await, Some(Report::Lost { .. })));
    assert!(ours.reports.recv().await.is_none());
}

#[tokio::test]
async fn the_end_of_the_program_or_of_its_listener_ends_the_tasks() {
    let smsc = Smsc::listen().await;
    let (ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    drop(ours.reports);
    assert_eq!(peer.next().await.0.command_id, CommandId::UNBIND);
    drop(peer);
    let (second, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    let centre = async {
        assert_eq!(peer.next().await.0.command_id, CommandId::UNBIND);
        drop(peer);
    };
    let (ended, ()) = tokio::join!(second.tasks.stop(Duration::from_secs(5)), centre);
    assert!(ended);
    assert!(ours.tasks.stop(Duration::from_secs(5)).await);
}
