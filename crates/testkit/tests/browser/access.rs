//! Keys, the audit trail, signing out, and what belongs to somebody else.

use serde_json::json;
use testkit::House;
use testkit::browser::PATIENCE;

use crate::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_made_revoked_and_on_record() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.keys("gk").await;
    ana.wait_for("main a[href='/api-keys/new']", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.click("main a[href='/api-keys/new']").await.unwrap();
    ana.wait_for("#f-name:focus", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.keys("Billing").await;
    ana.press("Enter").await.unwrap();
    ana.wait_for("#secret", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    let secret = ana.text("#secret").await.unwrap();
    let billing = house.anonymous().with_key(&secret);
    billing.get("/api/v1/me").await.expect(200);

    ana.click("main .actions a").await.unwrap();
    ana.wait_for("main table", PATIENCE).await.unwrap();
    assert!(!ana.holds(&format!("document.body.innerHTML.includes({secret:?})")).await, "it is shown once");
    let row = "[...document.querySelectorAll('main tbody a')].find(a => a.textContent === 'Billing').id = 'billing'";
    ana.eval(row).await.unwrap();
    ana.click("#billing").await.unwrap();
    ana.wait_for("button[commandfor=revoke]", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.click("button[commandfor=revoke]").await.unwrap();
    ana.wait_for("dialog#revoke[open]", PATIENCE).await.unwrap();
    assert!(
        ana.holds("document.activeElement.textContent === 'Cancel'").await,
        "the harmless choice has the focus"
    );
    ana.judge().await;
    ana.click("#revoke button[type=submit]").await.unwrap();
    ana.sees("The key Billing is revoked.").await;
    assert_eq!(billing.get("/api/v1/me").await.status, 401);

    ana.keys("gd").await;
    ana.sees("Key revoked").await;
    ana.sees("Key created").await;
    ana.sees("Billing").await;
    assert_eq!(ana.path().await, "/audit");
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_out_is_out() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    let keys = "[...document.querySelectorAll('#nav a[data-key]')].map(a => a.dataset.key)";
    assert!(ana.holds(&format!("(keys => new Set(keys).size === keys.length)({keys})")).await, "a key each");
    for path in ["/account", "/users", "/tenants", "/docs", "/docs/messages", "/style"] {
        ana.open(path).await;
        ana.judge_everywhere().await;
    }
    ana.open("/").await;
    ana.press("Control+k").await.unwrap();
    ana.wait_for("#palette[open] li", PATIENCE).await.unwrap();
    ana.judge().await;
    ana.press("Escape").await.unwrap();
    ana.click("details.account summary").await.unwrap();
    ana.judge().await;
    ana.click("form[action='/sign-out'] button").await.unwrap();
    ana.wait_for("#f-password", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.open("/messages").await;
    assert_eq!(ana.path().await, "/sign-in");
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenant_s_page_does_not_exist() {
    let house = House::start().await;
    let (_, neighbour) = house.neighbour().await;
    let new = json!({ "system_id": "theirs" });
    let account = neighbour.post("/api/v1/smpp-accounts", &new).await.expect(201);
    let keys = neighbour.get("/api/v1/api-keys").await.expect(200);
    let mut ana = Person::sign_in(&house).await;
    for (kind, id) in [("accounts", &account["id"]), ("api-keys", &keys["items"][0]["id"])] {
        ana.open(&format!("/{kind}/{}", id.as_str().unwrap())).await;
        assert_eq!(ana.status().await, Some(404));
        ana.expect_problem("404").await.unwrap();
        assert!(!ana.text("body").await.unwrap().contains("theirs"));
        ana.judge_everywhere().await;
    }
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_navigations_groups_stay_as_one_left_them() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    let open =
        "[...document.querySelectorAll('#nav details[open]')].map(group => group.dataset.group).join(' ')";
    assert!(ana.holds(&format!("{open} === 'gateway'")).await, "at first where one is, and nothing more");
    // By the keyboard, as everything.
    ana.eval("document.querySelector('#nav [data-group=gates] summary').focus()").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for("#nav a[href='/firewall']", PATIENCE).await.unwrap();
    ana.open("/users").await;
    assert!(
        ana.holds(&format!("{open} === 'gates access'")).await,
        "the page's own, and what one has opened"
    );
    ana.judge_everywhere().await;
    ana.click("#nav [data-group=gates] summary").await.unwrap();
    ana.open("/").await;
    assert!(ana.holds(&format!("{open} === 'gateway'")).await);
    ana.leave().await;
    house.stop().await;
}
