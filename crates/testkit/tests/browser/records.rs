//! Call detail records: switched on, written, closed and downloaded by a person.

use serde_json::json;
use testkit::House;

use crate::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_switched_on_written_and_closed() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/records").await;
    ana.sees("Settings").await;
    ana.judge_everywhere().await;
    ana.open("/records/settings").await;
    ana.eval("document.querySelector('main form.form [name=active]').click()").await.unwrap();
    ana.judge_everywhere().await;
    ana.click("main form.form button[type=submit]").await.unwrap();
    ana.sees("Close the open file").await;
    let body = json!({ "to": "+33612345678", "from": "Bakery", "text": "Two parts? One." });
    house.admin.post("/api/v1/messages", &body).await.expect(202);
    house
        .until("the record is written", async || {
            let rows = house.admin.get("/api/v1/cdrs").await.json();
            rows["items"].as_array().is_some_and(|rows| rows.len() == 1)
        })
        .await;
    ana.open("/records").await;
    ana.click("main form[action='/records/rotate'] button").await.unwrap();
    ana.sees("asked").await;
    ana.judge_everywhere().await;
    let href = ana
        .eval("document.querySelector('main table a[href^=\"/records/cdr_\"]').getAttribute('href')")
        .await;
    assert!(href.unwrap().as_str().is_some_and(|href| href.starts_with("/records/cdr_")));
    ana.leave().await;
    house.stop().await;
}
