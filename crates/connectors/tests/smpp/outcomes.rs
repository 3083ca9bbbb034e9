//! What becomes of a submit_sm.

use connectors::smpp::{Answer, NoAnswer, Refusal, Report, Settings, State};
use smpp::{CommandId, MessageIdResp, Pdu, Status};

use super::smsc::Smsc;
use super::{Ours, accepted, settings, sm};

#[tokio::test]
async fn answers_come_in_any_order_and_each_to_its_own() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    ours.submit(&["a", "b", "c", "d"]).await;
    let mut got = Vec::new();
    for _ in 0..4 {
        got.push(peer.submit().await);
    }
    assert_eq!(got.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    peer.accept(got[2].0, "id-c").await;
    peer.refuse(got[0].0, Status::RINVDSTADR).await;
    peer.header(CommandId::GENERIC_NACK, Status::RINVCMDID, got[3].0).await;
    peer.header(CommandId::SUBMIT_SM_RESP, Status::ROK, got[1].0).await;
    assert_eq!(ours.answered().await, ("c".into(), accepted("id-c")));
    assert_eq!(ours.answered().await, ("a".into(), Answer::refused(Refusal::Smpp(Status::RINVDSTADR))));
    assert_eq!(ours.answered().await, ("d".into(), Answer::refused(Refusal::Smpp(Status::RINVCMDID))));
    assert_eq!(ours.answered().await, ("b".into(), accepted("")), "a header alone is an answer");
    let status = ours.link.status();
    assert_eq!((status.state, status.binds[0].window_used), (State::Bound, 0));
    assert_eq!(status.binds[0].peer_system_id.as_deref(), Some("centre"));
    assert!(status.binds[0].last_round_trip_us.is_some());
    let counters = status.counters;
    assert_eq!((counters.submitted, counters.accepted, counters.refused), (4, 2, 2));
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!((&json["state"], &json["binds"][0]["kind"]), (&"bound".into(), &"transceiver".into()));
    assert_eq!(json["counters"]["submitted"], 4);
}

#[tokio::test]
async fn the_window_is_never_exceeded() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, Settings { window: 3, ..settings(smsc.port()) }).await;
    let mut places = ours.places(100).await;
    assert_eq!(places.len(), 3);
    for text in ["a", "b", "c"] {
        ours.link.submit(&mut places, &sm(text).view(), text.into()).unwrap();
    }
    assert_eq!(ours.link.submit(&mut places, &sm("d").view(), "d".into()), Err("d".into()));
    ours.no_places(30).await;
    let (first, _) = peer.submit().await;
    peer.submit().await;
    peer.submit().await;
    peer.silent(20).await;
    peer.accept(first, "1").await;
    assert_eq!(ours.answered().await.0, "a");
    let freed = ours.places(100).await;
    assert_eq!(freed.len(), 1);
    drop(freed);
    assert_eq!(ours.places(100).await.len(), 1, "places that are dropped come back");
}

#[tokio::test]
async fn a_timed_out_place_is_freed_and_a_late_answer_still_finds_its_message() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) =
        Ours::bound(&smsc, Settings { window: 1, response_timeout_ms: 80, ..settings(smsc.port()) }).await;
    ours.submit(&["slow"]).await;
    let (slow, _) = peer.submit().await;
    assert_eq!(ours.answered().await, ("slow".into(), Answer::NoAnswer(NoAnswer::TimedOut)));
    ours.submit(&["next"]).await;
    let (next, _) = peer.submit().await;
    peer.accept(slow, "late").await;
    peer.accept(slow, "twice").await;
    peer.accept(next, "n").await;
    match ours.report().await {
        Report::Late { tag, answer, .. } => assert_eq!((tag.as_str(), answer), ("slow", accepted("late"))),
        other => panic!("{other:?}"),
    }
    assert_eq!(ours.answered().await, ("next".into(), accepted("n")));
    let counters = ours.link.status().counters;
    assert_eq!((counters.timed_out, counters.late, counters.odd), (1, 1, 1));
}

#[tokio::test]
async fn a_lost_bind_reports_each_open_message_once_and_comes_back() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    ours.submit(&["a", "b", "c", "d"]).await;
    let (first, _) = peer.submit().await;
    for _ in 0..3 {
        peer.submit().await;
    }
    peer.accept(first, "1").await;
    drop(peer);
    assert_eq!(ours.answered().await, ("a".into(), accepted("1")), "what was answered before is no loss");
    for text in ["b", "c", "d"] {
        assert_eq!(ours.answered().await, (text.into(), Answer::NoAnswer(NoAnswer::BindLost)));
    }
    ours.lost().await;
    let (mut peer, _) = smsc.bound().await;
    assert!(matches!(ours.report().await, Report::Bound { .. }));
    ours.submit(&["e"]).await;
    let (sequence, text) = peer.submit().await;
    assert_eq!(text, "e", "nothing of the lost session is sent again");
    peer.accept(sequence, "5").await;
    assert_eq!(ours.answered().await, ("e".into(), accepted("5")));
    assert_eq!(ours.link.status().counters.lost, 3);
}

#[tokio::test]
async fn what_does_not_fit_is_reported_and_leaves_the_bind_alone() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, Settings { window: 1, ..settings(smsc.port()) }).await;
    ours.submit(&["x".repeat(300).as_str()]).await;
    match ours.answered().await {
        (_, Answer::Unfit(why)) => assert!(why.contains("short_message"), "{why}"),
        other => panic!("{other:?}"),
    }
    ours.submit(&["fits"]).await;
    assert_eq!(peer.submit().await.1, "fits");
}

#[tokio::test]
async fn throttling_pauses_all_binds_and_the_message_is_given_back() {
    let smsc = Smsc::listen().await;
    let mut ours = Ours::start(Settings { binds: 2, ..settings(smsc.port()) });
    let (mut one, _) = smsc.bound().await;
    let (mut two, _) = smsc.bound().await;
    ours.report().await;
    ours.report().await;
    ours.submit(&["a", "b"]).await;
    let (sequence, text) = one.submit().await;
    one.refuse(sequence, Status::RTHROTTLED).await;
    assert_eq!(ours.answered().await, (text, Answer::refused(Refusal::Smpp(Status::RTHROTTLED))));
    let status = ours.link.status();
    assert_eq!(status.state, State::Throttled);
    assert!((50..=200).contains(&status.pause_ms), "{}", status.pause_ms);
    ours.no_places(60).await;
    // An answer of the same burst does not end the pause.
    let (sequence, _) = two.submit().await;
    two.accept(sequence, "2").await;
    ours.answered().await;
    ours.no_places(20).await;
    assert_eq!(ours.places(1).await.len(), 1);
    assert_eq!(ours.link.status().state, State::Bound);
    assert_eq!(ours.link.status().counters.throttled, 1);
}

#[tokio::test]
async fn a_congested_peer_gets_a_smaller_window() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    ours.submit(&["a"]).await;
    let (sequence, _) = peer.submit().await;
    let mut body = MessageIdResp::new("1");
    body.tlvs.set_congestion_state(95);
    peer.send(Pdu::SubmitSmResp(body), sequence).await;
    ours.answered().await;
    assert_eq!(ours.places(100).await.len(), 5);
    assert_eq!(ours.link.status().binds[0].window_limit, 5);
}

#[tokio::test]
async fn the_rate_is_kept_over_all_binds() {
    let smsc = Smsc::listen().await;
    let ours = Ours::start(Settings { binds: 2, window: 1_000, throughput: 1_000, ..settings(smsc.port()) });
    let (_one, _) = smsc.bound().await;
    let (_two, _) = smsc.bound().await;
    ours.until(State::Bound).await;
    let (began, mut sent) = (tokio::time::Instant::now(), 0);
    while began.elapsed().as_millis() < 300 {
        let mut places = ours.places(500).await;
        while !places.is_empty() {
            ours.link.submit(&mut places, &sm("x").view(), String::new()).unwrap();
            sent += 1;
        }
    }
    // Up to two milliseconds are cut off by whole ones.
    let allowed = 50 + began.elapsed().as_millis() + 2;
    assert!((150..=allowed).contains(&sent), "{sent} of {allowed}");
}
