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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_stand_as_a_tree_and_a_reseller_opens_one() {
    let house = House::start().await;
    let opened = async |name: &str, more: serde_json::Value| {
        let mut new = json!({ "name": name, "reseller": true });
        for (field, value) in more.as_object().unwrap() {
            new[field] = value.clone();
        }
        house.admin.post("/api/v1/tenants", &new).await.expect(201)
    };
    let first = json!({ "administrator": { "email": "rea@united.example", "name": "Rea" } });
    let reseller = opened("Resellers United", first).await;
    let child = opened("Corner Shop", json!({ "parent": reseller["id"] })).await;
    opened("Old town", json!({ "parent": child["id"] })).await;

    let mut ana = Person::sign_in(&house).await;
    ana.open("/tenants").await;
    ana.sees("Old town").await;
    assert!(ana.holds("document.querySelectorAll('tr.level-1, tr.level-2').length === 2").await);
    ana.judge_everywhere().await;
    ana.open(&format!("/tenants/{}", child["id"].as_str().unwrap())).await;
    ana.sees("Resellers United").await;
    ana.judge_everywhere().await;
    // A parent that is not there is told at its field.
    ana.type_text("#f-parent", "nobody").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for("#f-parent[aria-invalid]", PATIENCE).await.unwrap();
    ana.expect_problem("422").await.unwrap();
    ana.judge_everywhere().await;
    ana.eval("document.querySelector('#f-parent').value = ''").await.unwrap();
    ana.eval("document.querySelector('#f-parent').form.requestSubmit()").await.unwrap();
    ana.sees("Tenant moved.").await;
    ana.leave().await;

    let mut rea = Person::enter(&house, reseller["link"]["url"].as_str().unwrap()).await;
    assert!(rea.holds("document.querySelectorAll('nav a[href=\"/tenants\"]').length === 1").await);
    rea.open("/tenants").await;
    rea.sees("No tenants yet").await;
    rea.judge_everywhere().await;
    rea.click(".page-head a[href='/tenants/new']").await.unwrap();
    rea.type_text("#f-name", "Bakery").await.unwrap();
    rea.judge_everywhere().await;
    rea.press("Enter").await.unwrap();
    rea.sees("Tenant created.").await;
    rea.click("main a.row-link").await.unwrap();
    rea.sees("Nobody of this tenant was let in yet").await;
    rea.judge_everywhere().await;
    rea.eval("document.querySelector('#f-email').value = 'ben@bakery.example'").await.unwrap();
    rea.eval("document.querySelector('#f-email').form.requestSubmit()").await.unwrap();
    rea.sees("is invited").await;
    rea.judge().await;
    // What is not beneath is not there.
    rea.open(&format!("/tenants/{}", child["id"].as_str().unwrap())).await;
    rea.expect_problem("404").await.unwrap();
    rea.leave().await;
    house.stop().await;
}
