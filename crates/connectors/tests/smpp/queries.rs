//! query_sm towards a carrier.

use connectors::smpp::{NoAnswer, Queried, Refusal, Settings};
use smpp::{Address, CommandId, MessageState, Pdu, QuerySmResp, Status};

use super::smsc::Smsc;
use super::{Ours, settings};

/// Asks in a task of its own, as the link's owner does.
#[expect(clippy::disallowed_methods, reason = "the test waits for the task itself")]
fn ask(ours: &Ours, id: &'static str) -> tokio::task::JoinHandle<Queried> {
    let link = ours.link.clone();
    tokio::spawn(async move {
        let mut places = link.places(1).await.expect("an open connection");
        link.query(&mut places, (id, &Address::alphanumeric("shop"))).await
    })
}

#[tokio::test]
async fn a_question_has_a_place_in_the_window_and_its_answer_comes_back() {
    let smsc = Smsc::listen().await;
    let (mut ours, mut peer) = Ours::bound(&smsc, Settings { window: 2, ..settings(smsc.port()) }).await;
    let asked = ask(&ours, "4711");
    let (header, Pdu::QuerySm(query)) = peer.next().await else { panic!("no query_sm") };
    assert_eq!((query.message_id.as_str().as_ref(), query.source.addr.as_str().as_ref()), ("4711", "shop"));
    assert_eq!(ours.places(9).await.len(), 1, "the other place");
    ours.submit(&["a"]).await;
    let (submitted, _) = peer.submit().await;
    let answer = QuerySmResp {
        message_id: query.message_id,
        final_date: "261130120000000+".into(),
        message_state: MessageState::UNDELIVERABLE,
        error_code: 12,
    };
    peer.send(Pdu::QuerySmResp(answer), header.sequence).await;
    let told = Queried::Told {
        state: sms::MessageState::Undeliverable,
        final_date: "261130120000000+".to_owned(),
        error_code: 12,
    };
    assert_eq!(asked.await.unwrap(), told);
    peer.accept(submitted, "id").await;
    assert_eq!(ours.answered().await.0, "a");
    let status = ours.link.status();
    assert_eq!((status.counters.submitted, status.binds[0].submitted), (1, 1), "a question is no message");
    assert_eq!((status.binds[0].window_used, status.counters.odd), (0, 0));
}

#[tokio::test]
async fn each_way_of_not_answering_is_told_and_frees_the_place() {
    let smsc = Smsc::listen().await;
    let quick = Settings { window: 1, response_timeout_ms: 80, ..settings(smsc.port()) };
    let (ours, mut peer) = Ours::bound(&smsc, quick).await;
    for (command, status) in [
        (CommandId::QUERY_SM_RESP, Status::RQUERYFAIL),
        (CommandId::GENERIC_NACK, Status::RINVCMDID),
        (CommandId::QUERY_SM_RESP, Status::RTHROTTLED),
    ] {
        let asked = ask(&ours, "1");
        let (header, _) = peer.next().await;
        peer.header(command, status, header.sequence).await;
        assert_eq!(asked.await.unwrap(), Queried::Refused(Refusal::Smpp(status)));
    }
    ours.no_places(50).await;
    let asked = ask(&ours, "2");
    let (late, _) = peer.next().await;
    assert_eq!(asked.await.unwrap(), Queried::NoAnswer(NoAnswer::TimedOut));
    let asked = ask(&ours, "3");
    peer.next().await;
    peer.send(Pdu::QuerySmResp(QuerySmResp::default()), late.sequence).await;
    drop(peer);
    assert_eq!(asked.await.unwrap(), Queried::NoAnswer(NoAnswer::BindLost));
}
