//! What persons ask by data protection law, as the one who answers for it handles it.

use serde_json::json;
use testkit::House;
use testkit::browser::PATIENCE;

use crate::person::Person;

const PHONE: &str = "+33612345678";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_erased_and_the_page_follows() {
    let house = House::start().await;
    let message = json!({ "to": PHONE, "text": "Your parcel is with your neighbour" });
    house.admin.post("/api/v1/messages", &message).await.expect(202);
    let sums = async || house.admin.get("/api/v1/messages/sums").await.expect(200);
    house.until("it is delivered", async || sums().await["states"][0]["name"] == "delivered").await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/privacy").await;
    ana.sees("No requests yet").await;
    ana.judge_everywhere().await;
    ana.click("main a[href='/privacy/requests/new']").await.unwrap();
    ana.wait_for("#f-identifiers", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.eval("document.querySelector('#f-kind').value = 'erasure'").await.unwrap();
    ana.type_text("#f-identifiers", "nobody").await.unwrap();
    ana.click("main form .actions button").await.unwrap();
    ana.sees("which no phone number does").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge_everywhere().await;
    ana.eval(&format!("document.querySelector('#f-identifiers').value = '{PHONE}'")).await.unwrap();
    ana.click("main form .actions button").await.unwrap();
    ana.sees("Taken in; the clock runs.").await;
    ana.sees("not checked yet").await;
    // What is kept now, by table.
    ana.sees("Messages").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-reason", "Passport seen at the desk").await.unwrap();
    ana.click("button[name=what][value=check]").await.unwrap();
    ana.sees("Noted.").await;
    ana.sees("Passport seen at the desk").await;
    ana.click("button[commandfor=carry-out][aria-haspopup]").await.unwrap();
    ana.sees("This cannot be undone.").await;
    ana.judge_everywhere().await;
    ana.click("#carry-out form button[type=submit]").await.unwrap();
    ana.sees("The system carries it out now.").await;
    ana.stay().await;
    ana.sees("erased person").await;
    ana.wait_for("main a[href$='/certificate']", PATIENCE).await.unwrap();
    ana.has_stayed().await;
    ana.judge_everywhere().await;
    assert!(!ana.text("main").await.unwrap().contains(PHONE));
    let after = sums().await;
    assert_eq!((&after["accepted"], &after["balanced"]), (&json!(1), &json!(true)), "sums stand");
    for page in ["/privacy", "/privacy/consents", "/privacy/breaches", "/privacy/register"] {
        ana.open(page).await;
        ana.judge_everywhere().await;
    }
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_term_is_set_after_one_has_seen_what_would_go() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/privacy/retention").await;
    ana.sees("Texts of messages: one-time codes").await;
    ana.judge_everywhere().await;
    ana.click("main a[href$='class=message.text&purpose=otp']").await.unwrap();
    ana.sees("counted from its end").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-keep", "0").await.unwrap();
    ana.eval("document.querySelector('#f-keep').min = ''").await.unwrap();
    ana.click("main form[method=get] .actions button").await.unwrap();
    ana.sees("is kept for 1 hour at least").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge_everywhere().await;
    ana.eval("document.querySelector('#f-keep').value = '2'").await.unwrap();
    ana.click("main form[method=get] .actions button").await.unwrap();
    ana.sees("Nothing would go").await;
    ana.judge_everywhere().await;
    ana.click("button[name=act][value=set]").await.unwrap();
    ana.sees("what is older goes now").await;
    ana.sees("this organisation").await;
    ana.judge_everywhere().await;
    ana.open("/privacy/register").await;
    ana.sees("otp 2 days").await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breach_has_its_clock_and_its_steps() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/privacy/breaches/new").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-title", "A laptop was stolen").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("A laptop was stolen").await;
    ana.sees("Nothing yet.").await;
    ana.judge_everywhere().await;
    ana.eval("document.querySelector('#f-step').value = 'authority_told'").await.unwrap();
    ana.type_text("#f-note", "By their form").await.unwrap();
    ana.click("main form .actions button").await.unwrap();
    ana.sees("Authority told:").await;
    ana.sees("(Administrator)").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}
