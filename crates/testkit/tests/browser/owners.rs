//! The console of somebody who sees what they have sent and nothing else.

use serde_json::json;
use testkit::House;
use testkit::browser::PATIENCE;

use crate::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_sends_and_sees_their_own() {
    let house = House::start_with(|config| config.simulator.receipt_delay_ms = 1_000).await;
    for (name, role) in [("ana", "customer"), ("ben", "corporate"), ("cleo", "corporate")] {
        let new = json!({ "email": format!("{name}@example.com"), "name": name, "role": role });
        let made = house.admin.post("/api/v1/users", &new).await.expect(201);
        if name == "ben" {
            let team = json!({ "name": "Desk", "members": [made["id"]] });
            house.admin.post("/api/v1/teams", &team).await.expect(201);
        }
    }
    let others = json!({ "to": "+33698765432", "text": "of a system" });
    house.admin.post("/api/v1/messages", &others).await.expect(202);
    let mut ana = Person::sign_in_as(&house, "ana@example.com").await;
    ana.open("/").await;
    ana.sees("No message yet").await;
    ana.sees("You see what you have sent").await;
    ana.judge_everywhere().await;
    // Her menu has what she may use.
    for (href, there) in [
        ("/send", true),
        ("/messages", true),
        ("/api-keys", true),
        ("/queue", false),
        ("/conversations", false),
    ] {
        let link = format!("document.querySelector('nav a[href=\"{href}\"]') !== null");
        assert_eq!(ana.holds(&link).await, there, "{href}");
    }
    ana.open("/messages").await;
    ana.sees("No message yet").await;
    ana.judge_everywhere().await;
    ana.keys("gs").await;
    ana.wait_for("#f-to:focus", PATIENCE).await.unwrap();
    ana.keys("+33612345678").await;
    ana.tab_to("#f-text").await;
    ana.keys("of ana").await;
    ana.tab_to("main form .actions button[type=submit]").await;
    ana.press("Enter").await.unwrap();
    ana.sees("The message is accepted.").await;
    ana.sees("Sent by").await;
    // Her page hears of it although nobody tells her of messages.
    ana.stay().await;
    ana.sees("Delivered").await;
    ana.has_stayed().await;
    ana.judge_everywhere().await;
    for path in ["/", "/messages"] {
        ana.open(path).await;
        ana.sees("of ana").await;
        assert!(!ana.text("main").await.unwrap().contains("of a system"), "{path}");
        ana.judge_everywhere().await;
    }
    ana.leave().await;

    let mut ben = Person::sign_in_as(&house, "ben@example.com").await;
    ben.open("/messages").await;
    ben.sees("the people of your teams").await;
    assert!(!ben.text("main").await.unwrap().contains("of ana"));
    ben.judge_everywhere().await;
    ben.leave().await;
    house.stop().await;
}
