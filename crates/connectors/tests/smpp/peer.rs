//! What a peer may do to us.

use std::time::Duration;

use connectors::smpp::{Answer, NoAnswer, Report, Settings, Verdict};
use smpp::{Address, AlertNotification, CommandId, DataSm, Outbind, Pdu, Status};

use super::smsc::Smsc;
use super::{Ours, accepted, settings};

#[tokio::test]
async fn a_delivered_message_is_answered_on_its_bind_as_the_owner_says() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    for (sequence, expected) in [(71, Status::ROK), (0x8000_0001, Status::RX_R_APPN), (0, Status::RX_T_APPN)]
    {
        peer.deliver("hello", sequence).await;
        let Report::Delivered(delivered) = ours.report().await else { panic!("no message") };
        assert_eq!(super::content(&delivered), b"hello");
        match expected {
            Status::ROK => delivered.accept(),
            Status::RX_R_APPN => delivered.refuse(Verdict::Never),
            _ => drop(delivered),
        }
        let (header, _) = peer.next().await;
        assert_eq!(
            (header.command_id, header.status, header.sequence),
            (CommandId::DELIVER_SM_RESP, expected, sequence)
        );
    }
    let mut data = DataSm { source: Address::international("15550100"), ..DataSm::default() };
    data.tlvs.set_message_payload(b"by data_sm").unwrap();
    peer.send(Pdu::DataSm(data), 9).await;
    let Report::Delivered(delivered) = ours.report().await else { panic!("no message") };
    assert_eq!(super::content(&delivered), b"by data_sm");
    delivered.accept();
    let (header, pdu) = peer.next().await;
    assert_eq!((pdu.command_id(), header.sequence), (CommandId::DATA_SM_RESP, 9));
    assert_eq!(ours.link.status().counters.delivered, 4);
}

#[tokio::test]
async fn odd_pdus_are_answered_by_the_book_and_do_not_touch_the_next() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    ours.submit(&["a"]).await;
    let (sequence, _) = peer.submit().await;
    let expect = |header: smpp::Header| (header.command_id, header.status, header.sequence);
    // A deliver_sm whose body ends in the middle.
    peer.write(&[0, 0, 0, 18, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1]).await;
    let (header, _) = peer.next().await;
    assert_eq!((header.command_id, header.sequence), (CommandId::DELIVER_SM_RESP, 7));
    assert!(!header.status.is_ok());
    // An operation nobody knows, one that a centre does not send, and one too late.
    peer.header(CommandId(0x777), Status::ROK, 8).await;
    assert_eq!(expect(peer.next().await.0), (CommandId::GENERIC_NACK, Status::RINVCMDID, 8));
    peer.send(Pdu::SubmitSm(super::sm("wrong way")), 9).await;
    assert_eq!(expect(peer.next().await.0), (CommandId::SUBMIT_SM_RESP, Status::RINVBNDSTS, 9));
    // No answer to these: the next is for the enquire_link.
    peer.send(Pdu::AlertNotification(AlertNotification::default()), 10).await;
    peer.send(Pdu::Outbind(Outbind::default()), 11).await;
    peer.header(CommandId(0x8000_0777), Status::ROK, 12).await;
    peer.accept(4_711, "nobody's").await;
    peer.header(CommandId::ENQUIRE_LINK, Status::ROK, 13).await;
    assert_eq!(expect(peer.next().await.0), (CommandId::ENQUIRE_LINK_RESP, Status::ROK, 13));
    peer.accept(sequence, "1").await;
    assert_eq!(ours.answered().await, ("a".into(), accepted("1")));
    let counters = ours.link.status().counters;
    assert_eq!((counters.notices, counters.odd), (2, 5));
}

#[tokio::test]
async fn garbage_closes_that_bind_only() {
    let smsc = Smsc::listen().await;
    let mut ours = Ours::start(Settings { binds: 2, ..settings(smsc.port()) });
    let (mut one, _) = smsc.bound().await;
    let (mut two, _) = smsc.bound().await;
    ours.report().await;
    ours.report().await;
    ours.submit(&["a", "b"]).await;
    let (_, first) = one.submit().await;
    let (sequence, second) = two.submit().await;
    one.write(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let (nack, _) = one.next().await;
    assert_eq!((nack.command_id, nack.status), (CommandId::GENERIC_NACK, Status::RINVCMDLEN));
    assert!(one.try_next().await.is_none());
    assert_eq!(ours.answered().await, (first, Answer::NoAnswer(NoAnswer::BindLost)));
    assert!(ours.lost().await.contains("no SMPP"));
    two.accept(sequence, "2").await;
    let mut answered = false;
    // The first bind may be back already.
    while !answered {
        answered = matches!(ours.report().await, Report::Answered { tag, .. } if tag == second);
    }
}

#[tokio::test]
async fn a_silent_peer_is_asked_and_given_up() {
    let smsc = Smsc::listen().await;
    let quick = Settings { enquire_link_ms: 40, response_timeout_ms: 40, ..settings(smsc.port()) };
    let (mut ours, mut peer) = Ours::bound(&smsc, quick).await;
    let (header, _) = peer.next().await;
    assert_eq!(header.command_id, CommandId::ENQUIRE_LINK);
    peer.header(CommandId::ENQUIRE_LINK_RESP, Status::ROK, header.sequence).await;
    for _ in 0..2 {
        assert_eq!(peer.next().await.0.command_id, CommandId::ENQUIRE_LINK);
    }
    assert!(peer.try_next().await.is_none());
    assert!(ours.lost().await.contains("enquire_link"));
}

#[tokio::test]
async fn the_peers_unbind_is_answered() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    peer.header(CommandId::UNBIND, Status::ROK, 5).await;
    let (header, _) = peer.next().await;
    assert_eq!((header.command_id, header.sequence), (CommandId::UNBIND_RESP, 5));
    assert!(peer.try_next().await.is_none());
    assert_eq!(ours.lost().await, "the peer unbound");
    smsc.bound().await;
}

#[tokio::test]
async fn a_peer_that_forgot_the_bind_is_bound_anew_when_the_window_is_answered() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, settings(smsc.port())).await;
    ours.submit(&["a", "b"]).await;
    let ((first, _), (second, _)) = (peer.submit().await, peer.submit().await);
    peer.refuse(first, Status::RINVBNDSTS).await;
    ours.answered().await;
    ours.no_places(20).await;
    peer.silent(5).await;
    peer.accept(second, "2").await;
    assert_eq!(ours.answered().await, ("b".into(), accepted("2")), "not lost by our haste");
    let (header, _) = peer.next().await;
    assert_eq!(header.command_id, CommandId::UNBIND);
    drop(peer);
    assert!(ours.lost().await.contains("ESME_RINVBNDSTS"));
    smsc.bound().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_gets_no_more_than_the_write_queue() {
    let smsc = Smsc::listen().await;
    let narrow = Settings { window: 60_000, write_queue_bytes_max: 2_000, ..settings(smsc.port()) };
    let (ours, _peer) = Ours::bound(&smsc, narrow).await;
    let text = "x".repeat(250);
    let mut sent = 0;
    while let Ok(places) = tokio::time::timeout(Duration::from_millis(200), ours.link.places(10)).await {
        let mut places = places.unwrap();
        while !places.is_empty() {
            ours.link.submit(&mut places, &super::sm(&text).view(), String::new()).unwrap();
            sent += 1;
        }
        // Let the writer take what it can.
        tokio::task::yield_now().await;
    }
    assert!(sent < 59_000, "the window was not what stopped it: {sent}");
}

#[tokio::test]
async fn a_slow_owner_slows_the_peer_and_is_not_held_against_it() {
    const MESSAGES: u32 = 3_000;
    let smsc = Smsc::listen().await;
    let hasty = Settings { response_timeout_ms: 150, ..settings(smsc.port()) };
    let (mut ours, mut peer) = Ours::bound(&smsc, hasty).await;
    ours.submit(&["a"]).await;
    let (answer, _) = peer.submit().await;
    // All at once, the answer last: it is there long before its time is over.
    let mut octets = Vec::new();
    for sequence in 1..=MESSAGES {
        smpp::encode_deliver_sm(sequence, &super::sm("receipt").view(), &mut octets).unwrap();
    }
    smpp::encode_submit_sm_resp(answer, Status::ROK, b"1", &mut octets).unwrap();
    peer.write(&octets).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let delivered = ours.link.status().counters.delivered;
    assert!(delivered < 1_100, "{delivered} were read without anybody to take them");
    for _ in 0..MESSAGES {
        let Report::Delivered(delivered) = ours.report().await else { panic!("no message") };
        delivered.accept();
    }
    assert_eq!(ours.answered().await, ("a".into(), accepted("1")), "it came in time");
}
