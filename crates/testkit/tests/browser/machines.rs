//! Programs and other services in the console: keys with their guards, applications, consent, sign-in services.

use serde_json::json;
use testkit::House;
use testkit::browser::PATIENCE;

use crate::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_gets_a_new_secret_beside_the_former() {
    let house = House::start().await;
    let new = json!({ "name": "Billing", "scopes": ["message.view"], "networks": ["127.0.0.0/8"], "rate_per_second": 50 });
    let made = house.admin.post("/api/v1/api-keys", &new).await.expect(201);
    let former = house.anonymous().with_key(made["secret"].as_str().unwrap());
    let mut ana = Person::sign_in(&house).await;
    ana.open(&format!("/api-keys/{}", made["id"].as_str().unwrap())).await;
    ana.judge_everywhere().await;
    ana.click("form[action$='/rotate'] button[type=submit]").await.unwrap();
    ana.wait_for("#secret", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    let present = house.anonymous().with_key(&ana.text("#secret").await.unwrap());
    present.get("/api/v1/me").await.expect(200);
    former.get("/api/v1/me").await.expect(200);
    ana.click("main .actions a").await.unwrap();
    ana.sees("Former last used").await;
    ana.judge_everywhere().await;
    ana.click("form[action$='/end-former'] button").await.unwrap();
    ana.sees("The former secret has ended.").await;
    assert_eq!(former.get("/api/v1/me").await.status, 401);
    // A network that is none is told at its field, and nothing is lost.
    ana.eval("document.querySelector('#f-networks').value = '10.0.0.1/8'").await.unwrap();
    ana.eval("document.querySelector('#f-networks').form.requestSubmit()").await.unwrap();
    ana.wait_for("#f-networks[aria-invalid]", PATIENCE).await.unwrap();
    ana.expect_problem("422").await.unwrap();
    assert!(ana.holds("document.querySelector('#f-networks').value === '10.0.0.1/8'").await);
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_lets_an_application_in_and_ends_it() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/oauth-clients").await;
    ana.judge_everywhere().await;
    ana.click("main a[href='/oauth-clients/new']").await.unwrap();
    ana.wait_for("#f-name", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.type_text("#f-name", "Billing").await.unwrap();
    ana.click("[id='f-message.view']").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for("#secret", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.click("main .actions a").await.unwrap();
    ana.sees("New secret").await;
    ana.judge_everywhere().await;

    let new = json!({
        "name": "Phone", "kind": "public", "scopes": ["message.view"], "redirect_uris": ["http://127.0.0.1/docs"],
    });
    let app = house.admin.post("/api/v1/oauth-clients", &new).await.expect(201);
    let back = format!("http%3A%2F%2F{}%2Fdocs", house.server.http);
    let ask = format!(
        "/oauth/authorize?response_type=code&client_id={}&redirect_uri={back}&state=s&code_challenge={}&code_challenge_method=S256",
        app["id"].as_str().unwrap(),
        "x".repeat(43)
    );
    ana.open(&ask).await;
    ana.sees("Phone wants to act for you").await;
    ana.judge_everywhere().await;
    ana.click("main button[value=allow]").await.unwrap();
    ana.until("location.pathname === '/docs' && location.search.includes('code=')").await;
    ana.open("/account/applications").await;
    ana.sees("Phone").await;
    ana.judge_everywhere().await;
    ana.click("form[action$='/end'] button").await.unwrap();
    ana.sees("does not act for you any more").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_service_is_added_and_found_by_an_address() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/identity-providers").await;
    ana.judge_everywhere().await;
    ana.click("main a[href='/identity-providers/new']").await.unwrap();
    ana.wait_for("#f-name", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.type_text("#f-name", "Company").await.unwrap();
    ana.type_text("#f-issuer", "https://login.example/realms/company").await.unwrap();
    ana.type_text("#f-client_id", "switchboard").await.unwrap();
    ana.type_text("#f-domains", "example.com").await.unwrap();
    ana.eval("document.querySelector('#f-group_roles').value = 'operators = no-such-role'").await.unwrap();
    ana.eval("document.querySelector('#f-name').form.requestSubmit()").await.unwrap();
    ana.sees("no-such-role").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge_everywhere().await;
    ana.eval("document.querySelector('#f-group_roles').value = 'operators = operator'").await.unwrap();
    ana.eval("document.querySelector('#f-name').form.requestSubmit()").await.unwrap();
    ana.sees("People can sign in with Company.").await;
    ana.judge_everywhere().await;
    for path in ["/sign-in", "/sign-in/with"] {
        ana.open(path).await;
        ana.judge_everywhere().await;
    }
    ana.type_text("#f-email", "anna@nowhere.example").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("No service is known").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_is_added_tried_and_read() {
    let house = House::start_with(|config| {
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
        config.jobs.poll_ms = 50;
    })
    .await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/directories").await;
    ana.judge_everywhere().await;
    ana.click("main a[href='/directories/new']").await.unwrap();
    ana.wait_for("#f-servers", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    // What is wrong is told at its field.
    ana.type_text("#f-name", "Company").await.unwrap();
    ana.type_text("#f-servers", "https://directory.example").await.unwrap();
    ana.type_text("#f-base", "dc=example,dc=com").await.unwrap();
    ana.eval("document.querySelector('#f-servers').form.requestSubmit()").await.unwrap();
    ana.wait_for("#f-servers[aria-invalid]", PATIENCE).await.unwrap();
    ana.expect_problem("422").await.unwrap();
    ana.judge_everywhere().await;
    ana.eval("document.querySelector('#f-servers').value = 'ldaps://127.0.0.1:1'").await.unwrap();
    ana.eval("document.querySelector('#f-group_roles').value = 'cn=ops,dc=example,dc=com = operator'")
        .await
        .unwrap();
    ana.eval("document.querySelector('#f-servers').form.requestSubmit()").await.unwrap();
    ana.sees("Try it now").await;
    ana.judge_everywhere().await;
    // Nobody listens there, which the trial says in words, and so does a reading.
    ana.type_text("#f-login", "ana@example.com").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("It does not work yet.").await;
    ana.sees("no connection to 127.0.0.1").await;
    ana.judge_everywhere().await;
    ana.click("form[action$='/runs'] button[value=yes]").await.unwrap();
    ana.sees("failed").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}
