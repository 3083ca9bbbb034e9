//! Senders, the blacklist, the firewall and hours: as people set them up, by keyboard and mouse.

use serde_json::json;
use testkit::House;
use testkit::browser::PATIENCE;

use crate::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_firewall_rule_is_added_tried_and_holds_a_message() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/firewall").await;
    ana.sees("No rules yet").await;
    ana.judge_everywhere().await;
    ana.click("main a[href='/firewall/rules/new']").await.unwrap();
    ana.wait_for("#f-name", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.type_text("#f-name", "Look at casinos").await.unwrap();
    ana.eval("document.querySelector('#f-kind').value = 'words'").await.unwrap();
    ana.eval("document.querySelector('#f-action').value = 'hold'").await.unwrap();
    // Without a word the form comes back and says so at its field.
    ana.click("main form.form button[type=submit]").await.unwrap();
    ana.sees("it takes at least one entry").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge().await;
    ana.type_text("#f-entries", "casino").await.unwrap();
    ana.click("main form.form button[type=submit]").await.unwrap();
    ana.sees("Rule added.").await;
    ana.sees("Hold for a person").await;
    ana.judge_everywhere().await;

    ana.type_text("#f-to", "+33612345678").await.unwrap();
    ana.type_text("#f-text", "The best Casino").await.unwrap();
    ana.click("main form[action='/firewall'] button[type=submit]").await.unwrap();
    ana.sees("It would be held by the rule").await;
    ana.sees("Nothing was sent or counted.").await;
    ana.judge_everywhere().await;

    let body = json!({ "to": "+33612345678", "from": "Bakery", "text": "casino night" });
    house.admin.post("/api/v1/messages", &body).await.expect(202);
    ana.open("/firewall/held").await;
    ana.sees("casino night").await;
    ana.judge_everywhere().await;
    ana.click("main form[action$='/release'] button").await.unwrap();
    ana.sees("Message released.").await;
    ana.sees("Nothing is held").await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_blacklist_is_filled_and_a_refusal_is_found() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/blacklist").await;
    ana.sees("The blacklist is empty").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-value", "nobody").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("holds 'n'").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge().await;
    ana.open("/blacklist").await;
    ana.type_text("#f-list", "+33600000001,opt-out").await.unwrap();
    ana.click("main form[action='/blacklist/import'] button[type=submit]").await.unwrap();
    ana.sees("1 entries are on the list.").await;
    ana.sees("33600000001").await;
    ana.judge_everywhere().await;
    let body = json!({ "to": "+33600000001", "text": "x" });
    assert_eq!(house.admin.post("/api/v1/messages", &body).await.status, 422);
    house
        .until("the refusal is kept", async || {
            house.admin.get("/api/v1/refusals").await.text.contains("recipient_blacklisted")
        })
        .await;
    ana.open("/firewall/refusals").await;
    ana.sees("recipient_blacklisted").await;
    ana.judge_everywhere().await;
    ana.open("/firewall/refusals?code=content_blocked").await;
    ana.sees("Nothing was refused").await;
    ana.judge().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_and_senders_are_set_up() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/hours").await;
    ana.judge().await;
    ana.click("main a[href='/hours/new']").await.unwrap();
    ana.wait_for("#f-name", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.type_text("#f-name", "Shop").await.unwrap();
    ana.type_text("#f-on_monday", "8-20").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("is not a time of the day").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge().await;
    ana.eval("document.querySelector('#f-on_monday').value = '08:00-12:00, 22:00-02:00'").await.unwrap();
    ana.click("main form.form button[type=submit]").await.unwrap();
    ana.sees("Hours added.").await;
    ana.sees("08:00 to 12:00, 22:00 to 02:00").await;
    ana.judge_everywhere().await;

    ana.open("/senders/new").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-name", "ACME").await.unwrap();
    ana.type_text("#f-registrations", "FR approved 2020-01-01 to 2099-12-31 # reference 7").await.unwrap();
    ana.click("main form.form button[type=submit]").await.unwrap();
    ana.sees("Sender registered.").await;
    ana.sees("Approved").await;
    ana.open("/senders/pools/new").await;
    ana.judge().await;
    ana.type_text("#f-name", "France").await.unwrap();
    ana.type_text("#f-members", "FR: ACME").await.unwrap();
    ana.click("main form.form button[type=submit]").await.unwrap();
    ana.sees("Pool added.").await;
    ana.open("/senders/policy?whose=api").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-defaults", "FR: pool France").await.unwrap();
    ana.click("main form.form button[type=submit]").await.unwrap();
    ana.sees("Policy saved.").await;
    ana.sees("FR: pool France").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-to", "+33612345678").await.unwrap();
    ana.click("main form[action='/senders'] button[type=submit]").await.unwrap();
    ana.sees("so ACME sends it").await;
    ana.leave().await;
    house.stop().await;
}
