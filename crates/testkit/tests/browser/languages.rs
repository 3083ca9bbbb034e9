//! Languages that read the other way.

use serde_json::json;
use testkit::House;

use crate::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arabic_reads_from_right_to_left() {
    let house = House::start().await;
    let new = json!({ "to": "+33612345678", "from": "10000", "text": "مرحبا" });
    house.admin.post("/api/v1/messages", &new).await.expect(202);
    let mut ana = Person::sign_in(&house).await;
    ana.open("/account").await;
    ana.tab_to("#f-language").await;
    ana.press("End").await.unwrap();
    ana.tab_to("form[action='/account'] button[type=submit]").await;
    ana.press("Enter").await.unwrap();
    ana.sees("Saved.").await;
    ana.open("/").await;
    ana.sees("مرحبا").await;
    assert!(
        ana.holds("document.documentElement.dir === 'rtl' && document.documentElement.lang === 'ar'").await
    );
    assert!(
        ana.holds("document.querySelector('#nav').getBoundingClientRect().left > innerWidth / 2").await,
        "the navigation is at the beginning of the line"
    );
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}
