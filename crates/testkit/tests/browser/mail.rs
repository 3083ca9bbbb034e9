//! Mail gateways and a test mail: as people set them up, by keyboard and mouse.

use testkit::House;
use testkit::browser::PATIENCE;
use testkit::mail::Sink;

use crate::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_gateway_is_added_and_a_test_mail_sent() {
    let sink = Sink::start().await;
    let port = sink.address.port();
    let house = House::start_with(move |config| {
        config.smtp.enabled = true;
        config.smtp.domain = "sms.example".to_owned();
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.port = port;
        config.mail.tls = runtime::config::Encryption::None;
        config.mail.from = "gateway@sms.example".to_owned();
    })
    .await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/mail").await;
    ana.sees("No mail gateway yet").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-to", "nobody@x.example").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("Nobody of that name").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge().await;
    ana.eval("document.querySelector('#f-to').value = ''").await.unwrap();
    ana.type_text("#f-to", "anna@x.example").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("took the mail to anna@x.example").await;

    ana.click("main a[href='/mail/new']").await.unwrap();
    ana.wait_for("#f-subdomain", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.type_text("#f-subdomain", "acme").await.unwrap();
    ana.type_text("#f-sender", "much too long a name").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for("#f-sender-error", PATIENCE).await.unwrap();
    ana.expect_problem("422").await.unwrap();
    ana.judge().await;
    ana.eval("document.querySelector('#f-sender').value = ''").await.unwrap();
    ana.type_text("#f-sender", "ACME").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("Mail gateway added.").await;
    ana.sees("NUMBER@acme.sms.example").await;
    ana.judge_everywhere().await;
    ana.click("main tbody a").await.unwrap();
    ana.wait_for("button[commandfor=delete]", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}
