//! What an organisation says of itself, its own domains, and the end of a tenant, in the console.

use serde_json::json;
use testkit::House;
use testkit::browser::PATIENCE;

use crate::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organisation_chooses_its_colour_and_adds_a_domain() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/organisation").await;
    ana.judge_everywhere().await;
    // A colour that nobody could read is told at its field, and what was typed stays.
    ana.type_text("#f-accent", "#ffee00").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for("#f-accent[aria-invalid]", PATIENCE).await.unwrap();
    ana.expect_problem("422").await.unwrap();
    assert!(ana.holds("document.querySelector('#f-accent').value === '#ffee00'").await);
    ana.judge_everywhere().await;
    ana.eval("document.querySelector('#f-accent').value = '#8a1c4a'").await.unwrap();
    ana.eval("document.querySelector('#f-accent').form.requestSubmit()").await.unwrap();
    ana.sees("Saved.").await;
    assert!(ana.holds("document.querySelector('link[href=\"/brand/accent/8a1c4a.css\"]') !== null").await);
    ana.judge_everywhere().await;

    ana.click("main a[href='/domains'], .page-head a[href='/domains']").await.unwrap();
    ana.sees("No domain of your own").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-host", "sms.demo.example").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("sms.demo.example is added").await;
    ana.sees("/.well-known/switchboard-domain.txt").await;
    ana.judge_everywhere().await;
    ana.click("button[commandfor^='remove-']").await.unwrap();
    ana.wait_for("dialog[open]", PATIENCE).await.unwrap();
    ana.judge().await;
    ana.click("dialog[open] button[type=submit]").await.unwrap();
    ana.sees("The domain is removed.").await;
    // The installation's own tenant keeps the certificates of the others.
    ana.open("/organisation/erasure").await;
    ana.sees("cannot be erased").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_erased_by_its_name_and_leaves_a_certificate() {
    let house = House::start().await;
    let (tenant, _) = house.neighbour().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/erasures").await;
    ana.sees("No tenant was erased").await;
    ana.judge_everywhere().await;
    let at = format!("/tenants/{tenant}/erasure");
    ana.open(&at).await;
    ana.judge_everywhere().await;
    ana.type_text("#f-name", "Another").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for("#f-name[aria-invalid]", PATIENCE).await.unwrap();
    ana.expect_problem("422").await.unwrap();
    ana.judge_everywhere().await;
    ana.eval("document.querySelector('#f-name').value = 'Neighbour'").await.unwrap();
    ana.eval("document.querySelector('#f-name').form.requestSubmit()").await.unwrap();
    ana.sees("Neighbour is to be erased").await;
    ana.judge_everywhere().await;
    ana.click("form[action$='/call-off'] button").await.unwrap();
    ana.sees("The erasure is called off.").await;
    ana.open("/erasures").await;
    ana.sees("called off").await;

    let asked = json!({ "name": "Neighbour", "grace_h": 0 });
    let asked = house.admin.post(&format!("/api/v1{at}"), &asked).await.expect(202);
    let path = format!("/api/v1/erasures/{}", asked["id"].as_str().unwrap());
    let erased = async || house.admin.get(&path).await.json()["erased_at"].is_string();
    house.until("the tenant is erased", erased).await;
    ana.open("/erasures").await;
    ana.judge_everywhere().await;
    ana.click("main a[href^='/erasures/']").await.unwrap();
    ana.sees("Rows by table").await;
    ana.sees("event_page").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}
