use serde_json::json;

use super::*;
use crate::connection::{self, NewConnection};
use crate::queue::Queue;
use crate::route::draft::{DraftRoute, NewDraft, Publish};
use crate::route::replay::{self, Replay};
use crate::route::trial::{Trial, try_out};
use crate::route::{Liveness, NewRoute, RoutePatch, change, create, delete, list as routes};
use crate::tests::{House, patch};

async fn carrier(scope: &Scope, name: &str) -> types::ConnectionId {
    let settings = patch(json!({"host": "smsc.example", "system_id": "us"}));
    let new = NewConnection { name: name.to_owned(), settings, ..NewConnection::default() };
    connection::create(scope, new).await.unwrap().id
}

fn new(name: &str, rule: serde_json::Value) -> NewRoute {
    NewRoute { name: name.to_owned(), rule: patch(rule), ..NewRoute::default() }
}

async fn names(scope: &Scope) -> Vec<String> {
    routes(scope).await.unwrap().items.into_iter().map(|route| route.name).collect()
}

#[tokio::test]
async fn each_change_is_a_version_and_any_can_be_brought_back() {
    let house = House::build().await;
    let ours = &house.ours;
    let carrier = carrier(ours, "carrier").await;
    let first = create(ours, new("first", json!({"targets": [carrier]}))).await.unwrap();
    let second = create(ours, new("second", json!({"targets": [carrier], "sender": "A"}))).await.unwrap();
    let swapped = RoutePatch { name: Some("third".to_owned()), priority: Some(7), ..RoutePatch::default() };
    change(ours, first.id, swapped).await.unwrap();
    delete(ours, second.id).await.unwrap();
    let page = list(ours, &Paging::default()).await.unwrap().items;
    let told: Vec<_> =
        page.iter().map(|version| (version.number, version.comment.as_str(), version.n)).collect();
    assert_eq!(
        told,
        [
            (4, "second was deleted", 1),
            (3, "third was changed", 2),
            (2, "second was added", 2),
            (1, "first was added", 1)
        ]
    );

    let changed = compare(ours, "3", None).await.unwrap();
    let fields: Vec<_> = changed.changed[0].fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["name", "priority"]);
    assert_eq!(compare(ours, "2", Some("live")).await.unwrap().removed[0].name, "second");
    assert_eq!(compare(ours, "4", Some("2")).await.unwrap().added[0].name, "second");

    let back = roll_back(ours, "2").await.unwrap();
    assert_eq!((back.number, back.comment.as_str(), back.n), (5, "Back to version 2", 2));
    let live = routes(ours).await.unwrap().items;
    assert_eq!((live[0].id, live[1].id), (first.id, second.id));
    assert!(live.iter().all(|route| route.revision > 2), "their revisions are new");
    assert_eq!(live[1].rule, second.rule);
    assert!(compare(ours, "2", Some("live")).await.unwrap().is_empty());
    assert!(house.events().await.contains("route.replaced"));

    for name in ["2", &page[0].id.to_string()] {
        assert_eq!(get(&house.theirs, name).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(roll_back(&house.theirs, name).await.unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(get(ours, "x").await.unwrap_err().code(), Code::InvalidId);
}

#[tokio::test]
async fn what_was_before_the_first_version_can_be_brought_back_and_old_ones_are_forgotten() {
    let house = House::build_with(|config| config.messaging.route_versions_max = 3).await;
    let ours = house.ours.clone();
    let carrier = carrier(&ours, "carrier").await;
    let route = create(&ours, new("old", json!({"targets": [carrier]}))).await.unwrap();
    // A database from before there were versions has routes and no head.
    let mut write = ours.write().await.unwrap();
    write.execute(sql!("delete from route_head where tenant_id = $1"), args![ours.tenant()]).await.unwrap();
    write
        .execute(sql!("delete from route_version where tenant_id = $1"), args![ours.tenant()])
        .await
        .unwrap();
    write.commit(()).await.unwrap();
    delete(&ours, route.id).await.unwrap();
    assert_eq!(get(&ours, "1").await.unwrap().version.comment, "As it was before");
    roll_back(&ours, "1").await.unwrap();
    assert_eq!(names(&ours).await, ["old"]);
    roll_back(&ours, "2").await.unwrap();
    let kept: Vec<_> =
        list(&ours, &Paging::default()).await.unwrap().items.iter().map(|one| one.number).collect();
    assert_eq!(kept, [4, 3, 2]);
}

#[tokio::test]
async fn names_may_be_swapped_and_what_is_gone_is_named() {
    let house = House::build().await;
    let ours = &house.ours;
    let (stays, goes) = (carrier(ours, "stays").await, carrier(ours, "goes").await);
    let a = create(ours, new("a", json!({"targets": [goes]}))).await.unwrap();
    let b = create(ours, new("b", json!({"targets": [stays]}))).await.unwrap();
    let draft = json!({ "routes": [
        { "id": a.id, "name": "b", "rule": { "targets": [stays] } },
        { "id": b.id, "name": "a", "rule": { "targets": [stays] } },
    ]});
    draft::put(ours, serde_json::from_value(draft).unwrap()).await.unwrap();
    draft::publish(ours, &Publish::default()).await.unwrap();
    assert_eq!(names(ours).await, ["b", "a"]);
    connection::delete(ours, goes).await.unwrap();
    let refused = roll_back(ours, "2").await.unwrap_err();
    assert_eq!((refused.code(), refused.place()), (Code::InvalidValue, Some("rule.targets")));
    assert!(refused.message().contains("\"a\""));
    assert_eq!(names(ours).await, ["b", "a"], "nothing was changed");
}

#[tokio::test]
async fn a_draft_is_tried_compared_and_published() {
    let house = House::build().await;
    let ours = &house.ours;
    let (old, next) = (carrier(ours, "old").await, carrier(ours, "next").await);
    let queue = Queue::new(1);
    for id in [old, next] {
        queue.set_alive(id, Liveness::Up);
    }
    let all = create(ours, new("all", json!({"targets": [old]}))).await.unwrap();
    assert_eq!(draft::get(ours).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(draft::begin(ours).await.unwrap().base, 1);
    assert!(draft::compare(ours).await.unwrap().is_empty());
    let route = DraftRoute {
        name: "France".to_owned(),
        priority: Some(500),
        rule: patch(json!({"targets": [next], "countries": ["FR"]})),
        ..DraftRoute::default()
    };
    let draft = draft::put_route(ours, route).await.unwrap();
    assert_eq!(draft::compare(ours).await.unwrap().added[0].name, "France");

    let trial = |draft| Trial { to: "+33612345678".to_owned(), draft, ..Trial::default() };
    let chosen = async |draft| {
        try_out(ours, &trial(draft), &queue).await.unwrap().decision.chosen.map(|chosen| chosen.connection)
    };
    assert_eq!((chosen(false).await, chosen(true).await), (Some(old), Some(next)));
    let nothing = replay::replay(ours, &Replay::default(), &queue).await.unwrap();
    assert_eq!((nothing.messages, nothing.moved), (0, 0));
    assert_eq!(draft::get(&house.theirs).await.unwrap_err().code(), Code::NotFound);

    // Somebody else was faster: their change is not undone unless that is asked for.
    change(ours, all.id, RoutePatch { priority: Some(1), ..RoutePatch::default() }).await.unwrap();
    assert_eq!(draft::publish(ours, &Publish::default()).await.unwrap_err().code(), Code::Conflict);
    let how = Publish { comment: Some("France apart".to_owned()), anyway: true };
    let version = draft::publish(ours, &how).await.unwrap();
    assert_eq!((version.comment.as_str(), version.n), ("France apart", 2));
    assert_eq!(names(ours).await, ["France", "all"]);
    assert_eq!(draft::get(ours).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(chosen(false).await, Some(next));
    assert_eq!(draft.routes.len(), 2);
    let twice: NewDraft = serde_json::from_value(json!({ "routes": [
        { "name": "x", "rule": { "targets": [next] } }, { "name": "x", "rule": { "targets": [next] } },
    ]}))
    .unwrap();
    let refused = draft::put(ours, twice).await.unwrap_err();
    assert_eq!((refused.code(), refused.place()), (Code::AlreadyExists, Some("routes[1].name")));
    draft::begin(ours).await.unwrap();
    draft::discard(ours).await.unwrap();
    assert_eq!(draft::discard(ours).await.unwrap_err().code(), Code::NotFound);
}
