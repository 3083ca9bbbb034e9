//! What is going on: the traffic, a trace of PDUs, the system and its configuration.

use serde_json::json;
use testkit::House;
use testkit::browser::PATIENCE;

use crate::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_is_watched_and_pdus_are_traced() {
    let house = House::start().await;
    let connections = house.admin.get("/api/v1/connections").await.expect(200);
    let id = connections["items"][0]["id"].as_str().unwrap().to_owned();
    let mut ana = Person::sign_in(&house).await;
    ana.open("/traces/new").await;
    ana.judge_everywhere().await;
    ana.click("main form.form button[type=submit]").await.unwrap();
    ana.sees("Nothing has passed yet.").await;
    ana.judge_everywhere().await;

    ana.stay().await;
    for n in 0..3 {
        let body = json!({ "to": "+33612345678", "text": format!("traced {n}") });
        house.admin.post("/api/v1/messages", &body).await.expect(202);
    }
    // Nobody touches the page.
    ana.sees("deliver_sm_resp").await;
    ana.has_stayed().await;
    ana.judge_everywhere().await;
    ana.click("#pdus a").await.unwrap();
    ana.sees("command_length").await;
    ana.judge_everywhere().await;

    ana.open("/traffic").await;
    ana.sees("Simulator").await;
    ana.judge_everywhere().await;
    ana.open(&format!("/connections/{id}")).await;
    ana.sees("DELIVRD").await;
    ana.sees("Rates and delays").await;
    ana.judge_everywhere().await;
    ana.click("#binds form[action$='/renew'] button").await.unwrap();
    ana.sees("comes back").await;
    ana.open("/traces").await;
    ana.sees("Running").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_system_is_seen_and_its_configuration_read_again() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/system").await;
    ana.sees("smpp.window_default").await;
    ana.judge_everywhere().await;
    ana.click("main form[action='/system/reload'] button").await.unwrap();
    ana.wait_for("#configuration", PATIENCE).await.unwrap();
    ana.sees("Last reload").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}
