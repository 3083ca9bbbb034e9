//! Roles, teams, what is given for a time, the explainer, and the proof of who did what.

use serde_json::json;
use testkit::House;
use testkit::browser::PATIENCE;

use crate::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_made_given_explained_and_proved() {
    let house = House::start().await;
    let ben = json!({ "email": "ben@example.com", "name": "Ben", "role": "viewer" });
    let ben = house.admin.post("/api/v1/users", &ben).await.expect(201);
    let ben = ben["id"].as_str().unwrap();
    let mut ana = Person::sign_in(&house).await;
    ana.open("/roles").await;
    ana.sees("Who may do what").await;
    ana.judge_everywhere().await;
    ana.eval("document.querySelectorAll('main details').forEach(one => one.open = true)").await.unwrap();
    ana.judge_everywhere().await;
    ana.click("main a[href='/roles/new']").await.unwrap();
    ana.wait_for("#f-name:focus", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.keys("night-shift").await;
    ana.eval("document.querySelector('#f-parent').value = 'support'").await.unwrap();
    ana.eval("document.querySelector('[id=\"f-key.view\"]').value = 'own'").await.unwrap();
    ana.eval("document.querySelector('[id=\"f-queue.hold\"]').value = 'all'").await.unwrap();
    ana.click("main form .actions button[type=submit]").await.unwrap();
    ana.sees("Role created.").await;
    assert_eq!(ana.path().await, "/roles/night-shift");
    ana.sees("inherited").await;
    ana.judge_everywhere().await;
    let role = house.admin.get("/api/v1/roles/night-shift").await.expect(200);
    assert_eq!(role["own"], json!({ "key.view": "own", "queue.hold": "all" }));

    ana.open("/teams/new").await;
    ana.click(&format!("[id=\"f-{ben}\"]")).await.unwrap();
    ana.click("#f-name").await.unwrap();
    ana.keys("Night").await;
    ana.judge_everywhere().await;
    ana.press("Enter").await.unwrap();
    ana.sees("Team created.").await;
    ana.judge_everywhere().await;

    ana.open(&format!("/users/{ben}")).await;
    ana.sees("Given for a time").await;
    ana.eval("document.querySelector('#f-role[name=role], select[name=role]').value = 'night-shift'")
        .await
        .unwrap();
    ana.click("#f-reason").await.unwrap();
    ana.keys("holidays").await;
    ana.press("Enter").await.unwrap();
    ana.sees("Given, until its time is over.").await;
    ana.judge_everywhere().await;

    ana.open(&format!("/explain?who={ben}&permission=queue.hold")).await;
    ana.sees("Allowed: Ben").await;
    ana.sees("a temporary grant of the role night-shift: holidays").await;
    ana.judge_everywhere().await;
    ana.open(&format!("/explain?who={ben}&permission=route.publish")).await;
    ana.sees("Not allowed: Ben").await;
    ana.judge().await;

    ana.open("/audit?text=night").await;
    ana.sees("Role created").await;
    ana.judge_everywhere().await;
    ana.open("/audit/verify").await;
    ana.sees("The trail is whole").await;
    ana.judge_everywhere().await;
    ana.click("form[action='/audit/checkpoints'] button").await.unwrap();
    ana.sees("Checkpoint signed.").await;
    ana.leave().await;
    house.stop().await;
}
