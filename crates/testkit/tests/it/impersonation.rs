//! Acting as another user, over the public doors: the console's bar, what is closed, the mail, and who is refused.

use serde_json::json;
use testkit::House;
use testkit::mail::Sink;

use crate::people::{Browser, admin, to, with_mail};

/// A user of this role: their id.
async fn person(house: &House, email: &str, role: &str) -> String {
    let new = json!({ "email": email, "name": "Anna", "role": role });
    let made = house.admin.send("POST", "/api/v1/users", &new).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn actor(browser: &mut Browser) -> String {
    browser.get("/api/v1/me").await.expect(200)["actor"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_administrator_acts_as_a_user_and_everything_says_so() {
    let sink = Sink::start().await;
    let house = with_mail(&sink).await;
    let mut bob = admin(&house).await;
    let bob_id = actor(&mut bob).await;
    let anna = person(&house, "anna@example.com", "supervisor").await;
    let page = bob.get(&format!("/users/{anna}")).await;
    assert!(page.text.contains("Act as this user") && !page.text.contains("class=\"acting\""));
    let refused =
        bob.post(&format!("/users/{anna}/impersonation"), "acting_reason=x&acting_minutes=15").await;
    assert!(refused.status == 422 && refused.text.contains("say why"), "{}", refused.text);
    let begun = bob
        .post(&format!("/users/{anna}/impersonation"), "acting_reason=Ticket+4711&acting_minutes=15")
        .await;
    assert_eq!(begun.status, 303, "{}", begun.text);
    assert_eq!(actor(&mut bob).await, format!("{anna} by {bob_id}"));

    // Each page has the bar; her account has no page.
    for path in ["/", "/messages", "/users", "/queue", "/connections"] {
        let page = bob.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(
            page.text.contains("class=\"acting\"") && page.text.contains("/impersonation/stop"),
            "{path}"
        );
    }
    for path in
        ["/account", "/account/security", "/account/security/history", "/account/applications", "/step-up"]
    {
        assert_eq!(bob.get(path).await.status, 403, "{path}");
    }
    for path in ["/api/v1/me/security-events", "/api/v1/me/consents"] {
        assert_eq!(bob.get(path).await.status, 403, "{path}");
    }
    let key = json!({ "name": "x", "scopes": ["message.send"] });
    assert_eq!(bob.json("POST", "/api/v1/api-keys", &key).await.status, 403);
    let cookies = bob.cookies();
    let followed = [("cookie", cookies.as_str()), ("accept", "text/event-stream")];
    let stream = bob.client.ask("GET", "/api/v1/events", &followed, None).await;
    assert_eq!(stream.status, 403, "a stream would outlive the time");

    // What is done is hers, by him.
    let sent = json!({ "to": "+33612345678", "text": "on her behalf" });
    let sent = bob.json("POST", "/api/v1/messages", &sent).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
    let audit = house.admin.get("/api/v1/audit?type=user.impersonated").await.expect(200);
    assert_eq!(audit["items"][0]["subject"], anna.as_str());
    assert_eq!(audit["items"][0]["data"]["after"]["by"], bob_id.as_str());

    // She is told.
    let to_her = |sink: &Sink| sink.taken().into_iter().find(|mail| mail.to == ["anna@example.com"]);
    house.until("the mail has come", async || to_her(&sink).is_some()).await;
    assert!(to_her(&sink).unwrap().content.contains("Ticket 4711"));

    let stopped = bob.post("/impersonation/stop", "").await;
    assert_eq!(stopped.status, 303);
    assert_eq!(actor(&mut bob).await, bob_id);
    assert!(!bob.get("/messages").await.text.contains("class=\"acting\""));
    let listed = house.admin.get(&format!("/api/v1/impersonations?user={anna}")).await.expect(200);
    assert_eq!(
        (&listed["items"][0]["active"], &listed["items"][0]["reason"]),
        (&json!(false), &json!("Ticket 4711"))
    );
    assert!(listed["items"][0]["ended_by"] == bob_id.as_str(), "{listed}");
    house.stop().await;
}

#[tokio::test]
async fn it_can_be_ended_from_elsewhere_at_once_and_never_begun_by_a_key() {
    let house = House::start().await;
    let mut bob = admin(&house).await;
    let bob_id = actor(&mut bob).await;
    let anna = person(&house, "anna@example.com", "agent").await;
    let path = format!("/api/v1/users/{anna}/impersonation");
    let wanted = json!({ "reason": "a test", "minutes": 5 });
    let by_key = house.admin.send("POST", &path, &wanted).await;
    assert_eq!((by_key.status, by_key.problem().as_str()), (403, "forbidden"));
    let (_, neighbour) = house.neighbour().await;
    assert_eq!(neighbour.send("POST", &path, &wanted).await.status, 404);

    let begun = bob.json("POST", &path, &wanted).await;
    assert_eq!(begun.status, 201, "{}", begun.text);
    assert_eq!(bob.json("POST", &path, &wanted).await.status, 403, "nobody acts twice");
    assert_eq!(neighbour.send("DELETE", &path, &json!({})).await.status, 404);
    assert_ne!(actor(&mut bob).await, bob_id, "another tenant ends nothing");
    let shown = neighbour.get("/api/v1/impersonations").await.expect(200);
    assert_eq!(shown["items"], json!([]));
    assert_eq!(house.admin.send("DELETE", &path, &json!({})).await.status, 204);
    assert_eq!(actor(&mut bob).await, bob_id);

    // The watch has noticed it.
    house
        .until("the security event is raised", async || {
            let events = house.admin.get("/api/v1/security-events?kind=impersonation").await.expect(200);
            events["items"].as_array().is_some_and(|items| !items.is_empty())
        })
        .await;

    // A disabled user is nobody to act as.
    assert_eq!(bob.json("POST", &path, &wanted).await.status, 201);
    let shut = json!({ "status": "disabled" });
    house.admin.send("PATCH", &format!("/api/v1/users/{anna}"), &shut).await.expect(200);
    assert_eq!(actor(&mut bob).await, bob_id);
    assert_eq!(bob.json("POST", &path, &wanted).await.status, 409);
    house.stop().await;
}

/// Whom the first form of a page says that it was shown to.
fn mark(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn in_two_tabs_each_form_is_carried_out_only_as_whom_it_was_shown_to() {
    let house = House::start().await;
    let mut bob = admin(&house).await;
    let bob_id = actor(&mut bob).await;
    let role = json!({ "name": "teams", "permissions": { "team.view": "all", "team.create": "all", "team.change": "all" } });
    house.admin.post("/api/v1/roles", &role).await.expect(201);
    let anna = person(&house, "anna@example.com", "teams").await;
    let teams =
        async || house.admin.get("/api/v1/teams").await.expect(200)["items"].as_array().unwrap().len();
    let form = |mark: &str, name: &str| {
        let mark: String = mark.replace(' ', "+");
        format!("csrf={mark}&name={name}")
    };
    let own = mark(&bob.get("/teams/new").await.text);
    assert_eq!(own, bob_id);
    let begun = bob
        .post(&format!("/users/{anna}/impersonation"), "acting_reason=Ticket+4711&acting_minutes=15")
        .await;
    assert_eq!(begun.status, 303, "{}", begun.text);
    // The second tab shows a page as her; the first one's form is still his.
    let hers = mark(&bob.get("/teams/new").await.text);
    assert_eq!(hers, format!("{anna} by {bob_id}"));
    let stale = bob.post("/teams", &form(&own, "His")).await;
    assert!(stale.status == 303 && to(&stale) == "/", "{} {}", stale.status, to(&stale));
    assert!(bob.get("/").await.text.contains("Nothing was done."));
    assert_eq!(teams().await, 0);
    assert!(to(&bob.post("/teams", &form(&hers, "Hers")).await).starts_with("/teams/"));
    assert_eq!(teams().await, 1);
    // And the other way round, whatever page was loaded last.
    assert_eq!(bob.post("/impersonation/stop", "").await.status, 303);
    bob.get("/teams/new").await;
    assert_eq!(to(&bob.post("/teams", &form(&hers, "Late")).await), "/");
    assert_eq!(teams().await, 1);
    assert!(to(&bob.post("/teams", &form(&own, "Own")).await).starts_with("/teams/"));
    // Anybody may sign out from any page.
    assert_eq!(to(&bob.post("/sign-out", &format!("csrf={}", hers.replace(' ', "+"))).await), "/sign-in");
    house.stop().await;
}
