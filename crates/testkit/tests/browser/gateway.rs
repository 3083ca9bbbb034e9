//! Connections, routes and SMPP accounts.

use serde_json::json;
use testkit::House;
use testkit::browser::PATIENCE;

use crate::person::Person;

const NOW: &str = "#connection-live";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_stopped_and_started_and_the_page_follows() {
    let house = House::start().await;
    let connections = house.admin.get("/api/v1/connections").await.expect(200);
    let id = connections["items"][0]["id"].as_str().unwrap();
    let mut ana = Person::sign_in(&house).await;
    ana.open("/connections").await;
    ana.sees("Simulator").await;
    ana.judge_everywhere().await;
    ana.click(&format!("#connections a[href='/connections/{id}']")).await.unwrap();
    ana.sees("Answers to submits since the start").await;
    ana.judge_everywhere().await;

    ana.click(&format!("{NOW} form[action$='/stop'] button")).await.unwrap();
    ana.wait_for(&format!("{NOW} form[action$='/start']"), PATIENCE).await.unwrap();
    ana.judge().await;
    ana.click(&format!("{NOW} form[action$='/start'] button")).await.unwrap();
    ana.wait_for(&format!("{NOW} form[action$='/stop']"), PATIENCE).await.unwrap();
    ana.sees("Bound").await;

    // Somebody else does it, and nobody touches the page.
    ana.stay().await;
    house.admin.post(&format!("/api/v1/connections/{id}/stop"), &json!({})).await.expect(200);
    ana.sees("Stopped").await;
    house.admin.post(&format!("/api/v1/connections/{id}/start"), &json!({})).await.expect(200);
    ana.sees("Bound").await;
    ana.has_stayed().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_s_password_is_shown_once_and_routes_can_be_tried() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/accounts").await;
    ana.judge_everywhere().await;
    ana.click("main a[href='/accounts/new']").await.unwrap();
    ana.wait_for("#f-system_id", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.type_text("#f-system_id", "acme").await.unwrap();
    ana.type_text("#f-name", "ACME").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for("#password", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    let password = ana.text("#password").await.unwrap();
    assert!(!password.is_empty() && password.len() <= 8, "as SMPP 3.4 has room for: {password:?}");
    ana.click("main .actions a").await.unwrap();
    ana.sees("Nobody is bound.").await;
    assert!(!ana.text("main").await.unwrap().contains(&password));
    ana.judge_everywhere().await;

    ana.open("/routes").await;
    ana.judge().await;
    ana.type_text("#f-to", "+33612345678").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("Takes it").await;
    ana.sees("Nothing was sent.").await;
    ana.judge_everywhere().await;
    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!(sums["accepted"], 0, "a trial sends nothing");
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_over_http_begins_with_a_dialect_and_shows_its_request() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/connections").await;
    ana.click("a[href='/connections/http/new']").await.unwrap();
    ana.sees("Another provider").await;
    ana.judge_everywhere().await;
    ana.click("main a[href='/connections/http/new?dialect=twilio']").await.unwrap();
    ana.wait_for("#f-url", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.type_text("#f-name", "Provider").await.unwrap();
    ana.type_text("#f-system_id", "AC1").await.unwrap();
    ana.click("main form[action='/connections/http/new'] button[type=submit]").await.unwrap();
    ana.sees("Give the provider the addresses of its hooks.").await;
    assert!(ana.text("#hook-receipts").await.unwrap().contains("/hooks/connections/"));
    ana.judge_everywhere().await;
    ana.click("a[href$='/preview']").await.unwrap();
    ana.sees("/2010-04-01/Accounts/AC1/Messages.json HTTP/1.1").await;
    ana.judge_everywhere().await;

    let connections = house.admin.get("/api/v1/connections").await.expect(200);
    let id = connections["items"][0]["id"].as_str().unwrap();
    ana.open(&format!("/connections/{id}/edit")).await;
    let break_it = "(document.querySelector('#f-answers').value = '[', true)";
    assert!(ana.holds(break_it).await);
    ana.click(&format!("main form[action='/connections/{id}/http'] button[type=submit]")).await.unwrap();
    ana.sees("it cannot be read as JSON").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_are_staged_tried_published_and_brought_back() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/routes/new").await;
    ana.judge_everywhere().await;
    ana.open("/routes/draft").await;
    ana.sees("No draft").await;
    ana.judge().await;
    ana.click("form[action='/routes/draft/begin'] button").await.unwrap();
    ana.sees("Nothing is different.").await;
    ana.open("/routes/draft/new").await;
    ana.type_text("#f-name", "France").await.unwrap();
    ana.type_text("#f-priority", "900").await.unwrap();
    ana.type_text("#f-countries", "FR").await.unwrap();
    let connections = house.admin.get("/api/v1/connections").await.expect(200);
    let id = connections["items"][0]["id"].as_str().unwrap();
    let choose = format!("(document.querySelector('#f-target_1').value = '{id}', true)");
    assert!(ana.holds(&choose).await);
    ana.click("main form[action='/routes/draft/new'] button[type=submit]").await.unwrap();
    ana.sees("Added").await;
    ana.judge_everywhere().await;
    ana.open("/routes/draft?replay=1").await;
    ana.sees("messages would go elsewhere").await;
    ana.judge().await;

    ana.open("/routes?to=%2B33612345678&text=Your+code+is+482913&draft=true").await;
    ana.sees("by the route France").await;
    ana.sees("otp (").await;
    ana.judge_everywhere().await;

    ana.open("/routes/draft").await;
    ana.type_text("#f-comment", "France apart").await.unwrap();
    ana.click("form[action='/routes/draft/publish'] button[type=submit]").await.unwrap();
    ana.sees("The draft was published.").await;
    ana.open("/routes/versions").await;
    ana.sees("France apart").await;
    ana.judge_everywhere().await;
    ana.click("#versions tbody tr:last-child a").await.unwrap();
    ana.sees("What has been changed since").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_looked_up_and_a_plan_is_imported() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/lookups").await;
    ana.sees("No look-up services").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-csv", "33612,208,01,Orange,FR").await.unwrap();
    ana.click("form[action='/lookups/plan'] button[type=submit]").await.unwrap();
    ana.sees("Lines that the plan has now: 1.").await;
    ana.open("/lookups?number=%2B33612345678").await;
    ana.sees("208-01 (Orange)").await;
    ana.judge().await;
    ana.open("/lookups/new").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}
