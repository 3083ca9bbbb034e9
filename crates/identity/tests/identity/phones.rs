//! Codes that go to people's phones.

use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use identity::factor::phone::{self, CodeMessage, Courier};
use identity::factor::{self, totp};
use identity::policy::{self, SignInPolicy};
use identity::sign_in::{self, second};
use identity::user;
use identity::{journal, link, session};
use runtime::Scope;
use totp_rs::{Builder, Secret};
use types::{Code, Error, Result, UserId};
use web::Paging;

use crate::house::{House, PASSWORD, browser, code, inside, new_user, pending};

/// A gateway that keeps what it was given.
#[derive(Default)]
struct Gateway {
    taken: Mutex<Vec<(String, CodeMessage)>>,
    shut: Mutex<bool>,
}

impl Courier for Gateway {
    fn accept<'a>(&'a self, scope: &'a Scope, given: &'a CodeMessage) -> BoxFuture<'a, Result<()>> {
        let CodeMessage { to, from, text, shown, validity_s } = given;
        let (to, from) = (to.clone(), from.clone());
        let copy =
            CodeMessage { to, from, text: text.clone(), shown: shown.clone(), validity_s: *validity_s };
        async move {
            if *self.shut.lock().unwrap() {
                return Err(Error::new(Code::NoRoute, "no route leads there"));
            }
            self.taken.lock().unwrap().push((scope.tenant().to_string(), copy));
            Ok(())
        }
        .boxed()
    }
}

impl Gateway {
    fn of(house: &House) -> Arc<Self> {
        let gateway = Arc::new(Self::default());
        phone::name_courier(&house.runtime, gateway.clone());
        gateway
    }

    fn count(&self) -> usize {
        self.taken.lock().unwrap().len()
    }

    /// The code of the last message.
    fn last(&self) -> String {
        let taken = self.taken.lock().unwrap();
        let text = &taken.last().unwrap().1.text;
        text.split(|ch: char| !ch.is_ascii_digit()).find(|word| word.len() == 6).unwrap().to_owned()
    }
}

const NUMBER: &str = "+33612345678";

fn by_sms(alone: bool) -> SignInPolicy {
    SignInPolicy {
        sms_codes: true,
        sms_alone: alone,
        sms_prefixes: vec!["33".to_owned()],
        sms_sender: Some("ACME".to_owned()),
        ..SignInPolicy::default()
    }
}

/// Another code than this one.
fn other(code: &str) -> &'static str {
    if code == "111111" { "222222" } else { "111111" }
}

async fn person(house: &House, email: &str, role: &str) -> (UserId, Scope) {
    let cli = house.cli().await;
    let made = user::create(&cli, new_user(email, role)).await.unwrap();
    let token = house.enter(&link::create(&cli, made.id).await.unwrap().path).await.unwrap();
    let scope = house.by_cookie(&token).await.unwrap();
    user::set_own_password(&scope, "", PASSWORD, Some(&token)).await.unwrap();
    (made.id, scope)
}

/// With an authenticator beside.
async fn add_app(house: &House, scope: &Scope) {
    let secret = Secret::try_from_base32(&totp::begin(scope).await.unwrap().secret).unwrap();
    let app = Builder::new().with_secret(secret).with_account_name("x").build().unwrap();
    let shown = app.generate((house.clock.now().unix_ms() / 1_000) as u64).to_string();
    assert_eq!(totp::confirm(scope, &shown).await.unwrap().len(), 10);
}

async fn begun(house: &House, email: &str) -> String {
    pending(sign_in::by_password(&house.runtime, email, PASSWORD, browser(), "/").await.unwrap())
}

async fn enter(house: &House, token: &str, code: &str) -> Result<session::SignedIn> {
    second::by_code(&house.runtime, token, code, false, browser()).await.map(|(signed, _)| signed)
}

#[tokio::test]
async fn a_phone_stands_in_for_an_authenticator_and_a_code_opens_once() {
    let house = House::build().await;
    let gateway = Gateway::of(&house);
    let (_, ana) = person(&house, "ana@example.com", "developer").await;
    add_app(&house, &ana).await;
    assert_eq!(
        code(phone::begin(&ana, NUMBER).await),
        Code::Conflict,
        "it is off unless a tenant turns it on"
    );
    policy::set(&house.cli().await, by_sms(false)).await.unwrap();
    phone::begin(&ana, NUMBER).await.unwrap();
    {
        let taken = gateway.taken.lock().unwrap();
        let (tenant, message) = taken.first().unwrap();
        assert_eq!(*tenant, house.start.tenant.to_string());
        assert_eq!((message.to.as_str(), message.from.as_deref()), ("33612345678", Some("ACME")));
        assert_eq!(message.validity_s, 300);
        assert!(message.shown.contains("000000") && message.shown != message.text);
    }
    let right = gateway.last();
    assert_eq!(code(phone::confirm(&ana, other(&right)).await), Code::CodeRefused);
    assert!(factor::own(&ana).await.unwrap().phone.is_none(), "a number counts when its code was shown");
    assert!(phone::confirm(&ana, &right).await.unwrap().backup_codes.is_empty(), "they have some");
    let held = factor::own(&ana).await.unwrap().phone.unwrap();
    assert_eq!((held.number.as_str(), held.in_use, held.alone), ("+336******78", true, false));

    let token = begun(&house, "ana@example.com").await;
    let waiting = second::find(&house.runtime, &token, &browser()).await.unwrap();
    assert_eq!((waiting.phone.as_deref(), waiting.texted), (Some("+336******78"), false));
    second::text_code(&house.runtime, &token, &browser()).await.unwrap();
    let first = gateway.last();
    assert_eq!(code(enter(&house, &token, other(&first)).await), Code::CodeRefused);
    // Another sign-in of the same person has nothing of this one's code.
    let elsewhere = begun(&house, "ana@example.com").await;
    assert_eq!(code(enter(&house, &elsewhere, &first).await), Code::CodeRefused);
    second::text_code(&house.runtime, &token, &browser()).await.unwrap();
    let second_code = gateway.last();
    if first != second_code {
        assert_eq!(code(enter(&house, &token, &first).await), Code::CodeRefused, "a newer one has its place");
    }
    let signed = enter(&house, &token, &second_code).await.unwrap();
    assert_eq!(code(enter(&house, &token, &second_code).await), Code::SignInExpired, "it is used up");
    let scope = house.by_cookie(signed.token.expose()).await.unwrap();
    let page = Paging { limit: Some("50".to_owned()), after: None };
    let history = journal::own(&scope, &page).await.unwrap().items;
    assert!(history.iter().any(|entry| entry.detail.as_deref() == Some("password+sms code")));
    assert!(history.iter().any(|entry| entry.kind == "code_texted"));
    assert!(factor::own(&scope).await.unwrap().phone.unwrap().last_used_at.is_some());
    assert!(!house.trail().await.contains("33612345678"), "the trail has the number masked");
}

#[tokio::test]
async fn a_code_is_good_for_minutes_and_refused_in_the_same_words_whatever_is_wrong() {
    let house = House::build().await;
    let gateway = Gateway::of(&house);
    policy::set(&house.cli().await, by_sms(true)).await.unwrap();
    let (_, ana) = person(&house, "ana@example.com", "developer").await;
    phone::begin(&ana, NUMBER).await.unwrap();
    let codes = phone::confirm(&ana, &gateway.last()).await.unwrap().backup_codes;
    assert_eq!(codes.len(), 10, "it is the first second factor");
    let token = begun(&house, "ana@example.com").await;
    let none = enter(&house, &token, "123456").await.unwrap_err();
    second::text_code(&house.runtime, &token, &browser()).await.unwrap();
    let right = gateway.last();
    let wrong = enter(&house, &token, other(&right)).await.unwrap_err();
    house.clock.advance_ms(5 * 60_000);
    let late = enter(&house, &token, &right).await.unwrap_err();
    for error in [&none, &wrong, &late] {
        assert_eq!((error.code(), error.message()), (Code::CodeRefused, none.message()));
    }
    // Forbidden between the code and its return.
    let token = begun(&house, "ana@example.com").await;
    second::text_code(&house.runtime, &token, &browser()).await.unwrap();
    let right = gateway.last();
    policy::set(&house.cli().await, SignInPolicy { sms_prefixes: vec!["+216".to_owned()], ..by_sms(true) })
        .await
        .unwrap();
    assert_eq!(code(enter(&house, &token, &right).await), Code::CodeRefused);
    policy::set(&house.cli().await, by_sms(true)).await.unwrap();
    house.clock.advance_ms(60_000);
    enter(&house, &token, &right).await.unwrap();
}

#[tokio::test]
async fn codes_are_bounded_by_sign_in_person_tenant_and_country() {
    let house = House::with(|config| config.security.sms_codes_max = 6).await;
    let gateway = Gateway::of(&house);
    policy::set(&house.cli().await, SignInPolicy { sms_hour_max: 8, ..by_sms(true) }).await.unwrap();
    let (_, ana) = person(&house, "ana@example.com", "developer").await;
    for (number, wanted, place) in [
        ("+21620123456", Code::InvalidValue, "phone"),
        ("call me", Code::InvalidRecipient, "phone"),
        ("10000", Code::InvalidRecipient, "phone"),
    ] {
        let refused = phone::begin(&ana, number).await.unwrap_err();
        assert_eq!((refused.code(), refused.place()), (wanted, Some(place)), "{number}");
    }
    assert_eq!(gateway.count(), 0);
    phone::begin(&ana, NUMBER).await.unwrap();
    let right = gateway.last();
    for _ in 0..5 {
        assert_eq!(code(phone::confirm(&ana, other(&right)).await), Code::CodeRefused);
    }
    assert_eq!(code(phone::confirm(&ana, &right).await), Code::CodeRefused, "it was tried too often");
    phone::begin(&ana, NUMBER).await.unwrap();
    phone::confirm(&ana, &gateway.last()).await.unwrap();
    let token = begun(&house, "ana@example.com").await;
    for _ in 0..3 {
        second::text_code(&house.runtime, &token, &browser()).await.unwrap();
    }
    let more = second::text_code(&house.runtime, &token, &browser()).await;
    assert_eq!(code(more), Code::Conflict, "a sign-in has three");
    let token = begun(&house, "ana@example.com").await;
    second::text_code(&house.runtime, &token, &browser()).await.unwrap();
    house.clock.advance_ms(60_000);
    let more = second::text_code(&house.runtime, &token, &browser()).await;
    assert_eq!(code(more), Code::TooManyRequests, "a person has six within an hour");
    assert_eq!(gateway.count(), 6);
    // Somebody else has some left, until the tenant has none.
    let (_, bob) = person(&house, "bob@example.com", "developer").await;
    for n in 0..2 {
        house.clock.advance_ms(60_000);
        phone::begin(&bob, &format!("+3361234567{n}")).await.unwrap();
    }
    house.clock.advance_ms(120_000);
    assert_eq!(code(phone::begin(&bob, "+33612345675").await), Code::TooManyRequests, "eight within an hour");
    house.clock.advance_ms(3_600_000);
    let (_, max) = person(&house, "max@example.com", "developer").await;
    phone::begin(&max, "+33612345675").await.unwrap();
    assert_eq!(gateway.count(), 9);
}

#[tokio::test]
async fn a_phone_alone_counts_only_where_the_tenant_says_so() {
    let house = House::build().await;
    let gateway = Gateway::of(&house);
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    policy::set(&admin, by_sms(false)).await.unwrap();
    let (id, ana) = person(&house, "ana@example.com", "developer").await;
    phone::begin(&ana, NUMBER).await.unwrap();
    assert!(phone::confirm(&ana, &gateway.last()).await.unwrap().backup_codes.is_empty());
    inside(sign_in::by_password(&house.runtime, "ana@example.com", PASSWORD, browser(), "/").await.unwrap());
    let wanted =
        |alone: bool| SignInPolicy { second_factor_roles: vec!["developer".to_owned()], ..by_sms(alone) };
    policy::set(&admin, wanted(true)).await.unwrap();
    assert!(factor::own(&ana).await.unwrap().has_second_factor(), "her session goes on");
    let token = begun(&house, "ana@example.com").await;
    let waiting = second::find(&house.runtime, &token, &browser()).await.unwrap();
    assert!(!waiting.enrol && waiting.phone.is_some());
    assert_eq!(code(phone::remove(&ana).await), Code::Conflict, "the last one stays while the role needs it");
    policy::set(&admin, wanted(false)).await.unwrap();
    let token = begun(&house, "ana@example.com").await;
    let waiting = second::find(&house.runtime, &token, &browser()).await.unwrap();
    assert!(waiting.enrol && waiting.phone.is_none(), "she must add one now");
    assert_eq!(code(second::text_code(&house.runtime, &token, &browser()).await), Code::Conflict);

    // An administrator takes it away; another tenant's does not find her.
    let neighbour = house.neighbour().await;
    assert_eq!(code(factor::take_away(&neighbour, id).await), Code::NotFound);
    assert!(factor::of(&admin, id).await.unwrap().phone.is_some());
    assert!(factor::take_away(&admin, id).await.unwrap().phone.is_none());
}

#[tokio::test]
async fn another_number_takes_its_place_when_its_code_was_shown_and_programs_have_none() {
    let house = House::build().await;
    let gateway = Gateway::of(&house);
    policy::set(&house.cli().await, by_sms(true)).await.unwrap();
    assert_eq!(code(phone::begin(&house.cli().await, NUMBER).await), Code::Forbidden);
    let (_, ana) = person(&house, "ana@example.com", "developer").await;
    phone::begin(&ana, NUMBER).await.unwrap();
    phone::confirm(&ana, &gateway.last()).await.unwrap();
    let token = begun(&house, "ana@example.com").await;
    second::text_code(&house.runtime, &token, &browser()).await.unwrap();
    let former = gateway.last();
    phone::begin(&ana, "+33612345699").await.unwrap();
    assert_eq!(factor::own(&ana).await.unwrap().phone.unwrap().number, "+336******78");
    phone::confirm(&ana, &gateway.last()).await.unwrap();
    assert_eq!(factor::own(&ana).await.unwrap().phone.unwrap().number, "+336******99");
    assert_eq!(
        code(enter(&house, &token, &former).await),
        Code::CodeRefused,
        "the former phone opens nothing"
    );
    // The gateway refuses: nothing opens, and nobody is told why.
    *gateway.shut.lock().unwrap() = true;
    let refused = second::text_code(&house.runtime, &token, &browser()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(!refused.message().contains("route"));
    house.clock.advance_ms(11 * 60_000);
    assert_eq!(code(phone::begin(&ana, NUMBER).await), Code::StepUpRequired);
}
