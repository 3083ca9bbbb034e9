use serde_json::json;

use super::trial::{Trial, try_out};
use super::*;
use crate::account::{self, NewAccount};
use crate::connection::{self, Connection, NewConnection};
use crate::queue::Queue;
use crate::tests::{House, patch};
use types::AccountId;

async fn carrier(scope: &Scope, name: &str) -> Connection {
    let settings = patch(json!({"host": "smsc.example", "system_id": "us"}));
    connection::create(scope, NewConnection { name: name.to_owned(), settings, ..NewConnection::default() })
        .await
        .unwrap()
}

fn new(name: &str, rule: serde_json::Value) -> NewRoute {
    NewRoute { name: name.to_owned(), rule: patch(rule), ..NewRoute::default() }
}

#[tokio::test]
async fn what_a_route_uses_stays() {
    let house = House::build().await;
    let carrier = carrier(&house.ours, "carrier").await;
    let account = NewAccount { system_id: "acme".to_owned(), ..NewAccount::default() };
    let account = account::create(&house.ours, account).await.unwrap().account;
    let route = create(&house.ours, new("all", json!({"targets": [carrier.id], "account": account.id})))
        .await
        .unwrap();

    let refused = connection::delete(&house.ours, carrier.id).await.unwrap_err();
    assert_eq!(refused.code(), Code::StillInUse);
    assert!(refused.message().contains("all"));
    assert_eq!(account::delete(&house.ours, account.id).await.unwrap_err().code(), Code::StillInUse);

    delete(&house.ours, route.id).await.unwrap();
    connection::delete(&house.ours, carrier.id).await.unwrap();
    account::delete(&house.ours, account.id).await.unwrap();
    assert_eq!(connection::load(&house.runtime, carrier.id).await.unwrap(), None);
    let events = house.events().await;
    for kind in ["route.created", "route.deleted", "connection.deleted", "account.deleted"] {
        assert!(events.contains(kind), "{kind}");
    }
}

#[tokio::test]
async fn a_rule_names_the_tenants_own_and_is_kept_in_its_normal_form() {
    let house = House::build().await;
    let (ours, theirs) = (carrier(&house.ours, "ours").await.id, carrier(&house.theirs, "theirs").await.id);
    let cases = [
        (json!({"targets": []}), Code::InvalidValue, "rule.targets"),
        (json!({"targets": [theirs]}), Code::InvalidValue, "rule.targets"),
        (json!({"targets": [ours], "account": AccountId::from_raw(1)}), Code::InvalidValue, "rule.accounts"),
        (
            json!({"targets": [ours], "recipient_prefixes": ["33x"]}),
            Code::InvalidValue,
            "rule.recipient_prefixes",
        ),
        (json!({"targets": [ours], "sender": "*"}), Code::InvalidValue, "rule.senders"),
        (json!({"targets": [ours], "sender": "A much too long name"}), Code::InvalidSender, "rule.senders"),
        (json!({"targets": [ours], "intents": ["spam"]}), Code::InvalidBody, "rule.intents[0]"),
        (json!({"targets": [ours], "countries": ["France"]}), Code::InvalidValue, "rule.countries"),
        (json!({"targets": [ours], "networks": ["208-1"]}), Code::InvalidValue, "rule.networks"),
        (json!({"targets": [ours], "patterns": ["(a"]}), Code::InvalidValue, "rule.patterns"),
        (json!({"targets": [ours], "patterns": ["(a{900}){900}"]}), Code::InvalidValue, "rule.patterns"),
        (json!({"targets": [ours], "times": [{"from": "25:00"}]}), Code::InvalidValue, "rule.times"),
        (json!({"targets": [ours], "tlvs": [{"tag": 5, "hex": "0"}]}), Code::InvalidValue, "rule.tlvs"),
        (json!({"targets": [ours], "tlvs": [{"tag": 0x0424}]}), Code::InvalidValue, "rule.tlvs"),
        (json!({"targets": [ours], "parts": {"min": 3, "max": 2}}), Code::InvalidValue, "rule.parts"),
        (json!({"targets": [ours], "encodings": ["ascii"]}), Code::InvalidValue, "rule.encodings"),
        (json!({"targets": [ours], "strategy": "best"}), Code::InvalidBody, "rule.strategy"),
        (
            json!({"targets": [{"connection": ours, "weight": 0}]}),
            Code::InvalidValue,
            "rule.targets[0].weight",
        ),
        (
            json!({"targets": [{"connection": ours, "cost": {"amount_milli": 1, "currency": "€"}}]}),
            Code::InvalidValue,
            "rule.targets[0].cost",
        ),
    ];
    for (rule, code, place) in cases {
        let refused = create(&house.ours, new("route", rule)).await.unwrap_err();
        assert_eq!((refused.code(), refused.place()), (code, Some(place)));
    }
    let rule = json!({"targets": [ours], "sender": "+336*", "recipient_prefixes": ["+44", "33", "44"]});
    let rule = create(&house.ours, new("route", rule)).await.unwrap().rule;
    assert_eq!(
        (rule.senders, rule.recipient_prefixes),
        (vec!["336*".to_owned()], vec!["33".to_owned(), "44".to_owned()])
    );
    assert_eq!(rule.targets, [Target::to(ours)]);
}

#[test]
fn rules_of_an_older_version_are_read() {
    let (account, connection) = (AccountId::from_raw(7), types::ConnectionId::from_raw(9));
    let old = json!({
        "account": account, "sender": "ACME*", "recipient_prefixes": ["33"], "intents": ["otp"], "targets": [connection]
    });
    let rule = RouteRule::stored(&old.to_string()).unwrap();
    let expected = RouteRule {
        accounts: vec![account],
        senders: vec!["ACME*".to_owned()],
        recipient_prefixes: vec!["33".to_owned()],
        intents: vec![crate::intent::Intent::Otp],
        targets: vec![Target::to(connection)],
        ..RouteRule::default()
    };
    assert_eq!(rule, expected);
    let open = json!({ "account": null, "sender": null, "recipient_prefixes": [], "intents": [], "targets": [connection] });
    let rule = RouteRule::stored(&open.to_string()).unwrap();
    assert_eq!(rule, RouteRule { targets: vec![Target::to(connection)], ..RouteRule::default() });
    assert_eq!(RouteRule::stored(&serde_json::to_string(&expected).unwrap()).unwrap(), expected);
}

#[tokio::test]
async fn tenants_never_meet_and_revisions_are_kept() {
    let house = House::build().await;
    let carrier = carrier(&house.ours, "carrier").await.id;
    let route = create(&house.ours, new("all", json!({"targets": [carrier]}))).await.unwrap();
    assert_eq!((route.priority, route.revision), (100, 1));
    assert_eq!(get(&house.theirs, route.id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(
        change(&house.theirs, route.id, RoutePatch::default()).await.unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(delete(&house.theirs, route.id).await.unwrap_err().code(), Code::NotFound);
    assert!(list(&house.theirs).await.unwrap().items.is_empty());

    let wanted =
        RoutePatch { priority: Some(5), active: Some(false), revision: Some(1), ..RoutePatch::default() };
    let changed = change(&house.ours, route.id, wanted.clone()).await.unwrap();
    assert_eq!((changed.priority, changed.active, changed.revision), (5, false, 2));
    assert_eq!(change(&house.ours, route.id, wanted).await.unwrap_err().code(), Code::Conflict);
    assert_eq!(load_all(&house.runtime).await.unwrap(), [changed]);
}

#[tokio::test]
async fn a_trial_says_where_and_why() {
    let house = House::build().await;
    let (first, second) = (carrier(&house.ours, "first").await.id, carrier(&house.ours, "second").await.id);
    let france = json!({"targets": [first], "recipient_prefixes": ["33"]});
    create(&house.ours, NewRoute { priority: Some(200), ..new("France", france) }).await.unwrap();
    create(&house.ours, new("rest", json!({"targets": [second]}))).await.unwrap();
    let trial = |to: &str| Trial { to: to.to_owned(), ..Trial::default() };
    let queue = Queue::new(1);
    for id in [first, second] {
        queue.set_alive(id, Liveness::Up);
    }

    let decision = try_out(&house.ours, &trial("+44 7700 900123"), &queue).await.unwrap();
    assert_eq!(decision.summary, "It would go through second, by the route rest.");
    let decision = decision.decision;
    assert_eq!(decision.chosen.map(|chosen| chosen.connection), Some(second));
    let verdicts: Vec<_> =
        decision.looked_at.iter().map(|looked| (looked.name.as_str(), looked.verdict)).collect();
    assert_eq!(verdicts, [("France", Verdict::OtherRecipient), ("rest", Verdict::Takes)]);
    let refused = try_out(&house.ours, &trial("12"), &queue).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidRecipient);
    let none = try_out(&house.theirs, &trial("+44 7700 900123"), &queue).await.unwrap();
    assert_eq!(
        (none.decision.chosen, none.summary.as_str()),
        (None, "It would be refused: there are no routes.")
    );
}
