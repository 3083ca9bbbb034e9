//! How people sign in: the pages that everybody meets first.

use testkit::House;
use testkit::browser::PATIENCE;
use totp_rs::{Builder, Secret};

use crate::person::Person;

const PASSWORD: &str = "correct horse battery";

/// What the app shows in so many steps.
fn shown(house: &House, secret: &str, steps: i64) -> String {
    let now = house.server.runtime.clock.now().unix_ms() / 1_000 + steps * 30;
    let secret = Secret::try_from_base32(secret.trim()).unwrap();
    let app = Builder::new().with_secret(secret).with_account_name("x").build().unwrap();
    app.generate(now as u64).to_string()
}

async fn set_password(ana: &mut Person) {
    ana.open("/account/security").await;
    // Script has shown what needs it: nothing moves under the mouse any more.
    ana.wait_for("[data-create] button", PATIENCE).await.unwrap();
    ana.type_text("#f-password", PASSWORD).await.unwrap();
    ana.type_text("#f-repeated", PASSWORD).await.unwrap();
    assert!(ana.holds("document.querySelector('#f-repeated').value.length > 0").await);
    ana.press("Enter").await.unwrap();
    ana.sees("The password is set.").await;
}

async fn sign_out(ana: &mut Person) {
    ana.click("details.account summary").await.unwrap();
    ana.click("form[action='/sign-out'] button").await.unwrap();
    ana.wait_for("#f-password", PATIENCE).await.unwrap();
}

async fn first_step(ana: &mut Person) {
    ana.type_text("#f-email", "admin@localhost").await.unwrap();
    ana.type_text("#f-password", PASSWORD).await.unwrap();
    ana.press("Enter").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authenticator_is_added_and_asked_for() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    set_password(&mut ana).await;
    ana.judge_everywhere().await;
    ana.click("main a[href='/account/security/totp']").await.unwrap();
    ana.wait_for(".qr svg", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    let secret = ana.text("#secret").await.unwrap();
    ana.type_text("#f-code", "000000").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("wrong, or was used before").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge().await;
    ana.type_text("#f-code", &shown(&house, &secret, 0)).await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for("#backup-codes", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    let codes = ana.text("#backup-codes").await.unwrap();
    let code = codes.lines().next().unwrap().to_owned();
    ana.click("main .actions a").await.unwrap();
    ana.sees("10 are left.").await;
    ana.judge_everywhere().await;
    sign_out(&mut ana).await;
    first_step(&mut ana).await;
    ana.wait_for("#f-code:focus", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.type_text("#f-code", &shown(&house, &secret, 1)).await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for("details.account", PATIENCE).await.unwrap();
    sign_out(&mut ana).await;
    first_step(&mut ana).await;
    ana.type_text("#f-code", &code).await.unwrap();
    ana.click("#f-remember").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for("details.account", PATIENCE).await.unwrap();
    ana.open("/account/security").await;
    ana.sees("9 are left.").await;
    ana.sees("not asked until").await;
    ana.open("/account/security/history").await;
    ana.sees("Backup code used").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_is_added_and_signs_in_alone_and_as_the_second_step() {
    let house = House::start().await;
    let mut ana = Person::sign_in_by_name(&house).await;
    let key = ana.plug_authenticator().await.unwrap();
    set_password(&mut ana).await;
    ana.type_text("#f-passkey_name", "Laptop").await.unwrap();
    ana.click("[data-create] button[type=button]").await.unwrap();
    ana.wait_for("#backup-codes", PATIENCE).await.unwrap();
    ana.judge().await;
    ana.click("[data-create] a").await.unwrap();
    ana.sees("Laptop").await;
    ana.judge_everywhere().await;

    // Passwordless: nothing is typed, and the browser offers the passkey by itself.
    ana.click("details.account summary").await.unwrap();
    ana.click("form[action='/sign-out'] button").await.unwrap();
    ana.until("location.pathname === '/' && document.querySelector('details.account') !== null").await;
    ana.open("/account/security/history").await;
    ana.sees("passkey").await;
    ana.sees("Signed out").await;

    // Behind the password.
    ana.touch(&key, false).await.unwrap();
    sign_out(&mut ana).await;
    ana.judge_everywhere().await;
    first_step(&mut ana).await;
    ana.wait_for("[data-passkey='/sign-in/second/passkey'] button", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.touch(&key, true).await.unwrap();
    ana.click("[data-passkey] button[type=button]").await.unwrap();
    ana.wait_for("details.account", PATIENCE).await.unwrap();
    ana.open("/account/security/history").await;
    ana.sees("password+passkey").await;

    // As a proof.
    ana.open("/step-up?back=%2Fusers").await;
    ana.judge_everywhere().await;
    ana.click("[data-passkey] button[type=button]").await.unwrap();
    ana.until("location.pathname === '/users'").await;

    // Removed, it opens nothing any more.
    ana.open("/account/security").await;
    ana.click("form[action$='/remove'] button").await.unwrap();
    ana.sees("The passkey is removed.").await;
    ana.touch(&key, false).await.unwrap();
    sign_out(&mut ana).await;
    ana.touch(&key, true).await.unwrap();
    ana.click("[data-passkey] button[type=button]").await.unwrap();
    ana.sees("The passkey was not accepted.").await;
    ana.expect_problem("422").await.unwrap();
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_acts_as_another_sees_it_on_every_page_and_stops_by_a_click() {
    let house = House::start().await;
    let new = serde_json::json!({ "email": "anna@example.com", "name": "Anna", "role": "supervisor" });
    let anna = house.admin.send("POST", "/api/v1/users", &new).await.expect(201);
    let page = format!("/users/{}", anna["id"].as_str().unwrap());
    let mut ana = Person::sign_in(&house).await;
    ana.open(&page).await;
    ana.sees("Act as this user").await;
    ana.type_text("#f-acting_reason", "Ticket 4711: cannot see her messages").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for(".acting", PATIENCE).await.unwrap();
    ana.sees("You act as Anna").await;
    ana.judge_everywhere().await;
    for path in ["/messages", "/users", "/queue"] {
        ana.open(path).await;
        ana.sees("You act as Anna").await;
        // It stays in sight, however far down the page is read.
        ana.eval("window.scrollTo(0, document.body.scrollHeight)").await.unwrap();
        assert!(
            ana.holds("document.querySelector('.acting').getBoundingClientRect().top >= 0").await,
            "{path}"
        );
    }
    ana.tab_to(".acting button").await;
    ana.press("Enter").await.unwrap();
    ana.sees("You are yourself again.").await;
    assert!(ana.holds("document.querySelector('.acting') === null").await);
    ana.sees("Ticket 4711").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registration_is_opened_and_its_page_speaks_the_languages() {
    let house = House::start_with(|config| {
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.from = "console@sms.example".to_owned();
    })
    .await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/registrations").await;
    ana.sees("Nobody waits").await;
    ana.judge_everywhere().await;
    ana.click("#f-open").await.unwrap();
    ana.click("form[action='/registrations/policy'] button").await.unwrap();
    ana.sees("Saved.").await;
    let page = ana.text("main code").await.unwrap();
    ana.open("/account").await;
    ana.sees("Change address").await;
    ana.judge_everywhere().await;
    sign_out(&mut ana).await;
    for (languages, title) in [("ar", "إنشاء حساب"), ("fr", "Créer un compte"), ("en", "Create an account")]
    {
        ana.set_languages(languages).await.unwrap();
        ana.open(&page).await;
        ana.sees(title).await;
        ana.judge_everywhere().await;
    }
    ana.type_text("#f-name", "Eve").await.unwrap();
    ana.type_text("#f-email", "eve@example.com").await.unwrap();
    ana.type_text("#f-password", "short").await.unwrap();
    ana.type_text("#f-repeated", "short").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for(".error-summary, [aria-invalid=true]", PATIENCE).await.unwrap();
    ana.expect_problem("422").await.unwrap();
    ana.judge().await;
    ana.type_text("#f-password", PASSWORD).await.unwrap();
    ana.type_text("#f-repeated", PASSWORD).await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("a mail with a link is on its way").await;
    ana.judge().await;
    ana.open("/registration?token=x").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sign_in_page_speaks_the_languages_and_says_what_is_wrong() {
    let house = House::start_with(|config| {
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.from = "console@sms.example".to_owned();
    })
    .await;
    let mut ana = Person::sign_in(&house).await;
    sign_out(&mut ana).await;
    for (languages, title) in [("ar", "تسجيل الدخول"), ("fr", "Se connecter"), ("en", "Sign in")] {
        ana.set_languages(languages).await.unwrap();
        for path in [
            "/sign-in",
            "/sign-in/mail?wanted=link",
            "/sign-in/mail?wanted=reset",
            "/sign-in/link?token=x",
            "/sign-in/verify?token=x",
        ] {
            ana.open(path).await;
            ana.judge_everywhere().await;
        }
        ana.open("/sign-in").await;
        ana.sees(title).await;
        assert!(
            ana.holds(&format!("document.dir === '{}'", if languages == "ar" { "rtl" } else { "ltr" })).await
        );
    }
    first_step(&mut ana).await;
    ana.sees("The e-mail address or the password is wrong").await;
    assert!(ana.holds("document.querySelector('#f-email').value === 'admin@localhost'").await);
    ana.expect_problem("401").await.unwrap();
    ana.judge_everywhere().await;
    ana.open("/sign-in/reset?token=x").await;
    ana.sees("This link is of no use").await;
    ana.expect_problem("401").await.unwrap();
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_says_who_needs_a_second_step() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    ana.open("/sign-in-policy").await;
    ana.judge_everywhere().await;
    ana.click("#f-role_platform_admin").await.unwrap();
    ana.click("main form button[type=submit]").await.unwrap();
    ana.sees("you have no second factor yourself").await;
    ana.expect_problem("422").await.unwrap();
    ana.judge().await;
    ana.click("#f-role_platform_admin").await.unwrap();
    ana.click("#f-role_developer").await.unwrap();
    ana.click("main form button[type=submit]").await.unwrap();
    ana.sees("Saved.").await;
    assert!(ana.holds("document.querySelector('#f-role_developer').checked").await);
    ana.open("/users").await;
    ana.click("main tbody a").await.unwrap();
    ana.sees("Failed attempts").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_is_added_and_its_code_signs_in() {
    let house = House::start().await;
    let mut ana = Person::sign_in(&house).await;
    set_password(&mut ana).await;
    ana.open("/sign-in-policy").await;
    ana.judge_everywhere().await;
    ana.click("#f-sms_codes").await.unwrap();
    ana.click("#f-sms_alone").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.expect_problem("422").await.unwrap();
    ana.sees("need the countries").await;
    ana.judge().await;
    ana.type_text("#f-sms_prefixes", "+33").await.unwrap();
    ana.type_text("#f-sms_sender", "ACME").await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.sees("Saved.").await;
    ana.judge_everywhere().await;

    // By the keyboard alone.
    ana.open("/account/security").await;
    ana.judge_everywhere().await;
    ana.tab_to("main a[href='/account/security/phone']").await;
    ana.press("Enter").await.unwrap();
    ana.wait_for("#f-phone:focus", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.keys("+33 6 12 34 56 78").await;
    ana.press("Enter").await.unwrap();
    ana.wait_for("#f-code:focus", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.keys(&texted(&house, 1).await).await;
    ana.press("Enter").await.unwrap();
    ana.wait_for("#backup-codes", PATIENCE).await.unwrap();
    ana.click("main .actions a").await.unwrap();
    ana.sees("+336******78").await;
    ana.judge_everywhere().await;

    sign_out(&mut ana).await;
    first_step(&mut ana).await;
    ana.wait_for("form[action='/sign-in/second/phone'] button", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.click("form[action='/sign-in/second/phone'] button").await.unwrap();
    ana.sees("on its way to your phone").await;
    ana.judge_everywhere().await;
    let code = texted(&house, 2).await;
    ana.type_text("#f-code", if code == "000000" { "111111" } else { "000000" }).await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.expect_problem("422").await.unwrap();
    ana.sees("wrong, or was used before").await;
    ana.type_text("#f-code", &code).await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for("details.account", PATIENCE).await.unwrap();
    ana.open("/messages").await;
    ana.sees("for its recipient alone").await;
    ana.judge().await;

    // And from right to left.
    ana.open("/account").await;
    ana.tab_to("#f-language").await;
    ana.press("End").await.unwrap();
    ana.tab_to("form[action='/account'] button[type=submit]").await;
    ana.press("Enter").await.unwrap();
    ana.sees("Saved.").await;
    sign_out(&mut ana).await;
    first_step(&mut ana).await;
    ana.wait_for("[dir=rtl] form[action='/sign-in/second/phone'] button", PATIENCE).await.unwrap();
    ana.judge_everywhere().await;
    ana.click("form[action='/sign-in/second/phone'] button").await.unwrap();
    ana.sees("الرمز في طريقه إلى هاتفك").await;
    ana.judge_everywhere().await;
    ana.type_text("#f-code", &texted(&house, 3).await).await.unwrap();
    ana.press("Enter").await.unwrap();
    ana.wait_for("details.account", PATIENCE).await.unwrap();
    ana.leave().await;
    house.stop().await;
}

/// The code in the so-many-th message on the simulator's phone.
async fn texted(house: &House, number: usize) -> String {
    let phones = house.server.simulator.as_ref().unwrap().phones();
    house.until("the code has come", async || phones.screen("33612345678").len() >= number).await;
    let text = phones.screen("33612345678")[number - 1].text.clone();
    text.split(|ch: char| !ch.is_ascii_digit()).find(|word| word.len() == 6).unwrap().to_owned()
}
