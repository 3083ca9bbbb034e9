use std::time::Duration;

use serde_json::{Value, json};
use types::{Code, MessageId, Permission, Permissions};

use super::steer::{Action, Selection, Steered, steer};
use super::view::view;
use crate::engine::Engine;
use crate::message::State;
use crate::message::query;
use crate::pause::{self, NewPause};
use crate::tests::House;
use crate::{accounting, gate};

async fn paused(house: &House, engine: &Engine, what: Value) -> pause::Pause {
    let new: NewPause = serde_json::from_value(what).unwrap();
    let made = pause::create(&house.ours, new).await.unwrap();
    engine.pauses_changed().await.unwrap();
    made
}

async fn message(house: &House, id: MessageId) -> query::Message {
    query::get(&house.ours, id).await.unwrap()
}

/// Waits for the journal's next looks.
async fn until(what: &str, so: impl AsyncFn() -> bool) {
    for _ in 0..100 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it is still not so that {what}");
}

fn text(to: &str) -> Value {
    json!({ "to": to, "text": "Hello" })
}

#[tokio::test]
async fn a_pause_keeps_what_waits_and_what_comes_and_lets_it_go() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let before = house.send(&engine, text("+33612345678")).await;
    let pause =
        paused(&house, &engine, json!({ "kind": "account", "target": "api", "reason": "Look" })).await;
    let after = house.send(&engine, text("+33612345679")).await;
    until("both rest in the table", async || {
        message(&house, before).await.paused_by.is_some() && message(&house, after).await.paused_by.is_some()
    })
    .await;
    assert_eq!(engine.queue().taken(), 0, "what is paused has no place in memory");
    let kept = message(&house, after).await;
    assert_eq!((kept.state, kept.paused_by), (State::Queued, Some(pause.id)));
    let why = query::why(&house.ours, &engine, after).await.unwrap().paused.unwrap();
    assert_eq!((why.reason.as_str(), why.by.as_str(), why.since), ("Look", "system test", pause.since));
    let seen = view(&house.ours, &engine).await.unwrap();
    assert_eq!((seen.waiting.paused, seen.waiting.ready(), seen.pauses.len()), (2, 0, 1));
    let books = accounting::check(&house.ours, &engine).await.unwrap();
    assert!(books.balanced, "{:?}", books.discrepancies);

    pause::end(&house.ours, pause.id).await.unwrap();
    engine.pauses_changed().await.unwrap();
    until("both are back in memory", async || {
        view(&house.ours, &engine).await.unwrap().waiting.in_memory == 2
    })
    .await;
    assert_eq!(message(&house, before).await.paused_by, None);
    let seen = view(&house.ours, &engine).await.unwrap();
    assert_eq!((seen.waiting.paused, seen.waiting.in_memory), (0, 2));
    assert!(accounting::check(&house.ours, &engine).await.unwrap().balanced);
}

#[tokio::test]
async fn a_pause_survives_a_restart_and_another_takes_over() {
    let mut house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let tenant = paused(&house, &engine, json!({ "kind": "tenant" })).await;
    let intent = paused(&house, &engine, json!({ "kind": "intent", "target": "marketing" })).await;
    let offer = json!({ "to": "+33612345678", "text": "Offer", "intent": "marketing" });
    let (offer, plain) = (house.send(&engine, offer).await, house.send(&engine, text("+33612345679")).await);
    until("both rest", async || {
        message(&house, offer).await.paused_by.is_some() && message(&house, plain).await.paused_by.is_some()
    })
    .await;
    engine.stop().await;
    for tasks in [&house.runtime.tasks, &house.runtime.writers] {
        tasks.stop(Duration::from_secs(5)).await;
    }
    house.reconfigure(|_| {});
    // The pause ends while nothing runs.
    pause::end(&house.ours, tenant.id).await.unwrap();
    let engine = Engine::start(&house.runtime).await.unwrap();
    until("one goes on and the other waits for the other pause", async || {
        message(&house, plain).await.paused_by.is_none()
            && message(&house, offer).await.paused_by == Some(intent.id)
    })
    .await;
    until("the first is in memory", async || engine.queue().has_place(plain)).await;
    assert!(!engine.queue().has_place(offer));
}

#[tokio::test]
async fn a_pause_is_about_what_the_tenant_has_and_once() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let connections = crate::connection::list(&house.ours, &web::Paging::default()).await.unwrap();
    let connection = json!({ "kind": "connection", "target": connections.items[0].id });
    let made = paused(&house, &engine, connection.clone()).await;
    let create = async |scope, what: &Value| {
        pause::create(scope, serde_json::from_value(what.clone()).unwrap()).await.map(|made| made.id)
    };
    assert_eq!(create(&house.ours, &connection).await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(create(&house.theirs, &connection).await.unwrap_err().place(), Some("target"));
    for wrong in [json!({ "kind": "intent", "target": "spam" }), json!({ "kind": "route" })] {
        assert_eq!(create(&house.ours, &wrong).await.unwrap_err().place(), Some("target"));
    }
    assert_eq!(pause::end(&house.theirs, made.id).await.unwrap_err().code(), Code::NotFound);
    let viewer = house.scope(house.ours.tenant(), [Permission::PauseView].into_iter().collect());
    assert_eq!(pause::end(&viewer, made.id).await.unwrap_err().code(), Code::Forbidden);
    let events = house.events().await;
    assert!(events.contains("pause.created") && !events.contains("pause.ended"), "{events}");
}

#[tokio::test]
async fn what_a_person_holds_stays_until_a_person_releases_it() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let (held, other) =
        (house.send(&engine, text("+33612345678")).await, house.send(&engine, text("+33612345679")).await);
    let nothing = Selection::default();
    let refused = steer(&house.ours, &engine, Action::Hold, &nothing).await.unwrap_err();
    assert_eq!(refused.place(), Some("all"));
    let to = Selection { to: Some("+33612345678".to_owned()), ..Selection::default() };
    let theirs = steer(&house.theirs, &engine, Action::Hold, &to).await.unwrap();
    assert_eq!(theirs.done, 0, "another tenant's messages do not fit");
    let done = steer(&house.ours, &engine, Action::Hold, &to).await.unwrap();
    assert_eq!(done, Steered { done: 1, passed_over: 0, more: false });
    let now = message(&house, held).await;
    assert_eq!((now.state, now.held_by.as_deref()), (State::Scheduled, Some("system test")));
    assert_eq!(engine.queue().taken(), 1);
    assert!(accounting::check(&house.ours, &engine).await.unwrap().balanced);
    assert_eq!(view(&house.ours, &engine).await.unwrap().waiting.held, 1);

    let operator = [Permission::QueueRelease, Permission::QueueView].into_iter().collect::<Permissions>();
    let operator = house.scope(house.ours.tenant(), operator);
    let all = Selection { all: true, ..Selection::default() };
    let done = steer(&operator, &engine, Action::Release, &all).await.unwrap();
    assert_eq!(done.done, 1, "what is not held is not released");
    until("it waits in memory again", async || engine.queue().has_place(held)).await;

    let done = steer(&house.ours, &engine, Action::Cancel, &all).await.unwrap();
    assert_eq!(done.done, 2);
    assert_eq!(message(&house, other).await.state, State::Cancelled);
    let books = accounting::check(&house.ours, &engine).await.unwrap();
    assert!(books.balanced, "{:?}", books.discrepancies);
    let refused = gate::held::release(&house.ours, held).await.unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
}
