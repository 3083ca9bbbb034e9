//! Security events, alerts, reviews and value lists, as a person handles them.

use serde_json::json;
use testkit::House;
use testkit::browser::PATIENCE;

use crate::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_read_and_closed_with_a_reason() {
    let house = House::start().await;
    let boss = json!({ "email": "boss@example.com", "name": "Boss", "role": "tenant_admin" });
    house.admin.post("/api/v1/users", &boss).await.expect(201);
    let items = async || house.admin.get("/api/v1/security-events?severity=high").await.expect(200);
    house.until("it is noticed", async || items().await["items"][0].is_object()).await;
    let id = items().await["items"][0]["id"].as_str().unwrap().to_owned();
    let mut ana = Person::sign_in(&house).await;
    ana.open("/security-events").await;
    ana.sees("Rights were widened").await;
    ana.judge_everywhere().await;
    ana.open("/security-events?platform=true").await;
    ana.sees("The platform's own").await;
    ana.judge_everywhere().await;
    ana.open(&format!("/security-events/{id}")).await;
    ana.judge_everywhere().await;
    ana.click("#f-state-closed, input[name=state][value=closed]").await.unwrap();
    ana.click("main form .actions button[type=submit]").await.unwrap();
    ana.sees("say why it is closed").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge_everywhere().await;
    ana.eval("document.querySelector('select[name=reason]').value = 'expected'").await.unwrap();
    ana.click("main form .actions button[type=submit]").await.unwrap();
    ana.sees("Saved.").await;
    ana.sees("Was expected").await;
    ana.judge_everywhere().await;

    ana.open("/alert-rules/new").await;
    ana.judge_everywhere().await;
    ana.click("#f-name").await.unwrap();
    ana.keys("Urgent").await;
    ana.click("[id^='f-person_']").await.unwrap();
    ana.click("main form .actions button[type=submit]").await.unwrap();
    ana.sees("Saved.").await;
    ana.judge_everywhere().await;
    ana.open("/alert-rules").await;
    ana.sees("Urgent").await;
    ana.judge_everywhere().await;

    ana.open("/value-lists").await;
    ana.judge_everywhere().await;
    ana.open("/value-lists/security_closing").await;
    ana.judge_everywhere().await;
    ana.eval("document.querySelector('button[name=down][value=resolved]').focus()").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("Saved.").await;
    ana.wait_for("button[name=down][value=resolved]:focus", PATIENCE).await.unwrap();
    let list = house.admin.get("/api/v1/value-lists/security_closing").await.expect(200);
    assert_eq!(list["values"][1]["code"], "resolved");

    ana.open("/reviews").await;
    ana.judge_everywhere().await;
    ana.click("form[action='/reviews'] button[type=submit]").await.unwrap();
    ana.sees("Review opened.").await;
    ana.judge_everywhere().await;
    ana.click("main form button[value=keep]").await.unwrap();
    ana.sees(": kept.").await;
    ana.open("/account/security").await;
    ana.sees("Noticed").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}
