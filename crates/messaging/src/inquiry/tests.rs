use serde_json::json;
use types::Permissions;

use super::*;
use crate::tests::House;

const SECOND: i64 = 1_000;

fn settings(value: serde_json::Value) -> ConnectionSettings {
    serde_json::from_value(value).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(seconds * SECOND)
}

#[test]
fn a_message_is_asked_for_as_often_as_the_settings_say() {
    assert_eq!(Rules::of(&ConnectionSettings::default()), None);
    let rules = Rules::of(&settings(json!({ "query_after_s": 60, "query_every_s": 100, "query_times": 3 })));
    let rules = rules.unwrap();
    let sent = at(1_000);
    for (now, next) in
        [(1_000, Some(1_060)), (1_060, Some(1_160)), (1_159, Some(1_160)), (1_160, Some(1_260))]
    {
        assert_eq!(rules.next(sent, at(now)), next.map(at), "{now}");
    }
    // What passed while nobody was there is not made up for.
    for now in [1_260, 9_000] {
        assert_eq!(rules.next(sent, at(now)), None, "{now}");
    }
}

#[test]
fn nothing_is_kept_for_a_connection_that_is_not_asked() {
    let (inquiries, connection) = (Inquiries::default(), ConnectionId::from_raw(7));
    let asked = Asked {
        tenant: TenantId::from_raw(1),
        message: MessageId::from_raw(2),
        part: 0,
        provider_id: "4711".to_owned(),
        sender: types::Address::sender("ACME").unwrap(),
        recipient: "33612345678".to_owned(),
    };
    inquiries.put(connection, asked.clone());
    assert!(inquiries.lock().is_empty());
    assert_eq!(inquiries.first(connection, at(0), at(100)), None);
    inquiries.follow(connection, Some(&settings(json!({ "query_after_s": 60 }))));
    assert_eq!(inquiries.first(connection, at(0), at(100)), Some(at(60)));
    assert_eq!(inquiries.first(connection, at(0), at(60)), None, "its validity ends before");
    for _ in 0..=WAITING_MAX {
        inquiries.put(connection, asked.clone());
    }
    assert_eq!(inquiries.of(connection).asked().len(), WAITING_MAX);
    inquiries.follow(connection, None);
    assert!(inquiries.lock().is_empty());
}

#[tokio::test]
async fn only_who_may_asks_and_only_for_what_a_carrier_has() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let id = house.send(&engine, json!({ "to": "+33612345678", "text": "Hello" })).await;
    let viewer = house.scope(house.ours.tenant(), [Permission::MessageView].into_iter().collect());
    let operator = house.scope(house.ours.tenant(), [Permission::ConnectionOperate].into_iter().collect());
    let nobody = house.scope(house.ours.tenant(), Permissions::NONE);
    for scope in [&viewer, &operator, &nobody] {
        assert_eq!(ask(scope, &engine, id).await.unwrap_err().code(), Code::Forbidden);
    }
    assert_eq!(ask(&house.theirs, &engine, id).await.unwrap_err().code(), Code::NotFound);
    let error = ask(&house.ours, &engine, id).await.unwrap_err();
    assert_eq!((error.code(), error.message().contains("no carrier has an id")), (Code::Conflict, true));
}
