//! From the form to the phone and back.

use serde_json::json;
use testkit::House;
use testkit::browser::PATIENCE;

use crate::person::Person;

/// Receipts that take a moment, so that a message is seen before and after its own.
async fn house() -> House {
    House::start_with(|config| config.simulator.receipt_delay_ms = 2_000).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_sent_by_keyboard_and_becomes_delivered_in_sight() {
    let house = house().await;
    let mut ana = Person::sign_in(&house).await;
    assert_eq!(ana.path().await, "/");
    ana.sees("No message yet").await;
    ana.judge_everywhere().await;
    ana.keys("gs").await;
    ana.wait_for("#f-to:focus", PATIENCE).await.unwrap();
    ana.keys("+33612345678").await;
    ana.tab_to("#f-from").await;
    ana.keys("10000").await;
    ana.tab_to("#f-text").await;
    ana.keys("Hello").await;
    ana.sees("155").await;
    assert!(ana.text(".compose-count").await.unwrap().contains("GSM 7-bit"));
    ana.keys(" 😀").await;
    ana.sees("U+1F600").await;
    assert!(ana.text(".compose-count").await.unwrap().contains("UCS-2"));
    // The phone beside the form shows it.
    ana.until("document.querySelector('#phone').innerText.includes('Hello 😀')").await;
    ana.judge_everywhere().await;

    // And beside it stands where it would go.
    ana.until("document.querySelector('#forecast').innerText.includes('It would go through Simulator')")
        .await;

    ana.tab_to("main form .actions button[type=submit]").await;
    ana.press("Enter").await.unwrap();
    ana.sees("The message is accepted.").await;
    ana.stay().await;
    assert!(ana.path().await.starts_with("/messages/msg_"));
    assert!(!ana.text("main").await.unwrap().contains("Delivered"), "its receipt takes two seconds");
    ana.sees("Delivered").await;
    // What has arrived cannot be cancelled.
    ana.until("document.querySelector('[commandfor=cancel]') === null").await;
    ana.has_stayed().await;
    ana.judge_everywhere().await;

    ana.open("/").await;
    ana.sees("Where messages stand").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_shows_what_came_and_its_reply_comes_back() {
    let house = house().await;
    for (to, text) in [("+33600000001", "For the first"), ("+33600000002", "For the second")] {
        let new = json!({ "to": to, "from": "10000", "text": text });
        house.admin.post("/api/v1/messages", &new).await.expect(202);
    }
    let mut ana = Person::sign_in(&house).await;
    ana.open("/messages").await;
    ana.sees("For the first").await;
    ana.sees("For the second").await;
    ana.judge_everywhere().await;
    // The key that goes to a page's search.
    ana.keys("/").await;
    ana.keys("+33600000002").await;
    ana.press("Enter").await.unwrap();
    ana.sees("To: +33600000002").await;
    let rows = ana.text("#messages").await.unwrap();
    assert!(rows.contains("For the second") && !rows.contains("For the first"), "{rows}");
    ana.judge().await;

    ana.open("/phones").await;
    ana.sees("+33600000001").await;
    ana.judge_everywhere().await;
    ana.click("#phones a[href='/phones/33600000001']").await.unwrap();
    ana.sees("For the first").await;
    ana.judge_everywhere().await;
    ana.type_text("#phone-reply", "And back").await.unwrap();
    ana.press("Tab").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("Sent from the phone.").await;
    assert!(ana.text("#screen").await.unwrap().contains("And back"));
    ana.open("/messages?direction=in").await;
    ana.sees("And back").await;
    assert!(!ana.text("#messages").await.unwrap().contains("For the first"));
    ana.leave().await;
    house.stop().await;
}
