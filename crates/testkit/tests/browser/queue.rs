//! The queue: paused and resumed, held and cancelled, and what is dead sent again.

use serde_json::json;
use testkit::House;

use crate::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_is_paused_steered_and_resumed() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/queue").await;
    ana.sees("Nothing is paused").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-reason", "The carrier asked").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("Paused.").await;
    ana.sees("The carrier asked").await;
    ana.judge_everywhere().await;
    // Once more is refused at its field.
    ana.click("main form[action='/queue/pauses'] button[type=submit]").await.unwrap();
    ana.sees("it is paused already").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge().await;

    for to in ["+33612345678", "+33612345679"] {
        house.admin.post("/api/v1/messages", &json!({ "to": to, "text": "Hello" })).await.expect(202);
    }
    ana.open("/queue").await;
    ana.type_text("#f-to", "+33612345678").await.unwrap();
    ana.click("main form#steer button[value=hold]").await.unwrap();
    ana.sees("1 messages held.").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-to", "+33612345678").await.unwrap();
    ana.click("main form#steer button[commandfor=cancel-messages]").await.unwrap();
    ana.sees("Cancel what fits?").await;
    ana.judge().await;
    ana.press("Escape").await.unwrap();
    ana.click("main form[action$='/resume'] button").await.unwrap();
    ana.sees("Resumed.").await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_sent_again() {
    let house = House::start().await;
    let pause = house.admin.post("/api/v1/pauses", &json!({ "kind": "tenant" })).await.expect(201);
    let body = json!({ "to": "+33612345678", "text": "Late", "validity_s": 1 });
    house.admin.post("/api/v1/messages", &body).await.expect(202);
    house
        .until("it is dead", async || {
            house.admin.get("/api/v1/dead-letters").await.json()["items"][0]["id"].is_string()
        })
        .await;
    house.admin.delete(&format!("/api/v1/pauses/{}", pause["id"].as_str().unwrap())).await.expect(204);
    let mut ana = Person::sign_in(&house).await;
    ana.open("/queue/dead-letters").await;
    ana.sees("Its validity ended before it left").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-validity_s", "600").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("1 messages sent again.").await;
    ana.sees("sent again").await;
    ana.judge_everywhere().await;
    ana.open("/queue/dead-jobs").await;
    ana.sees("No dead job").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}
