//! Signing in by steps, and what keeps an account safe.

use identity::factor::{self, backup, totp};
use identity::policy::{self, SignInPolicy};
use identity::sign_in::{self, Browser, Entered, second};
use identity::user::{self, UserChange};
use identity::{attempt, device, journal, key, link, proof, session};
use runtime::{Runtime, Scope};
use totp_rs::{Builder, Secret};
use types::{Code, Permission, UserId};
use web::Paging;

use crate::house::{House, PASSWORD, browser, code, inside, new_key, new_user, pending, refusal};

/// A person with a password, and what their authenticator shows.
struct Person {
    email: String,
    id: UserId,
    secret: String,
    codes: Vec<String>,
}

impl Person {
    /// Of the first tenant, signed in once to set a password.
    async fn new(house: &House, email: &str, role: &str) -> (Self, String) {
        let cli = house.cli().await;
        let made = user::create(&cli, new_user(email, role)).await.unwrap();
        let token = house.enter(&link::create(&cli, made.id).await.unwrap().path).await.unwrap();
        let scope = house.by_cookie(&token).await.unwrap();
        user::set_own_password(&scope, "", PASSWORD, Some(&token)).await.unwrap();
        (Self { email: email.to_owned(), id: made.id, secret: String::new(), codes: Vec::new() }, token)
    }

    /// With an authenticator.
    async fn with_app(house: &House, email: &str) -> (Self, String) {
        let (mut person, token) = Self::new(house, email, "developer").await;
        let scope = house.by_cookie(&token).await.unwrap();
        person.secret = totp::begin(&scope).await.unwrap().secret;
        person.codes = totp::confirm(&scope, &person.shown(house, 0)).await.unwrap();
        house.clock.advance_ms(60_000);
        (person, token)
    }

    /// What the app shows, so many steps away from now.
    fn shown(&self, house: &House, steps: i64) -> String {
        let secret = Secret::try_from_base32(&self.secret).unwrap();
        let app = Builder::new().with_secret(secret).with_account_name("x").build().unwrap();
        let at = house.clock.now().unix_ms() / 1_000 + steps * 30;
        app.generate(at as u64).to_string()
    }

    async fn first(&self, house: &House, browser: Browser) -> Entered {
        sign_in::by_password(&house.runtime, &self.email, PASSWORD, browser, "/audit").await.unwrap()
    }

    /// The token of a sign-in that waits.
    async fn begun(&self, house: &House) -> String {
        pending(self.first(house, browser()).await)
    }

    async fn second(&self, house: &House, token: &str, shown: &str) -> types::Result<String> {
        let (signed, back) = second::by_code(&house.runtime, token, shown, false, browser()).await?;
        assert_eq!(back, "/audit");
        Ok(signed.token.expose().to_owned())
    }
}

async fn history(scope: &Scope) -> Vec<String> {
    let page = journal::own(scope, &Paging::default()).await.unwrap();
    page.items.into_iter().map(|entry| entry.kind).collect()
}

#[tokio::test]
async fn an_authenticator_counts_when_a_code_was_shown_and_is_asked_from_then_on() {
    let house = House::build().await;
    let (mut ana, token) = Person::new(&house, "ana@example.com", "developer").await;
    let scope = house.by_cookie(&token).await.unwrap();
    assert_eq!(code(totp::confirm(&scope, "123456").await), Code::Conflict);
    ana.secret = totp::begin(&scope).await.unwrap().secret;
    assert_eq!(totp::begin(&scope).await.unwrap().secret, ana.secret, "shown again, it is the same");
    assert_eq!(code(totp::confirm(&scope, "000000").await), Code::CodeRefused);
    inside(ana.first(&house, browser()).await);
    let codes = totp::confirm(&scope, &ana.shown(&house, 0)).await.unwrap();
    assert_eq!(codes.len(), backup::CODES);
    assert_eq!(code(totp::begin(&scope).await), Code::Conflict);
    let begun = ana.begun(&house).await;
    assert_eq!(code(house.by_cookie(&begun).await), Code::Unauthenticated, "a pending sign-in opens nothing");
    // The code that has confirmed it is used up.
    assert_eq!(code(ana.second(&house, &begun, &ana.shown(&house, 0)).await), Code::CodeRefused);
    house.clock.advance_ms(60_000);
    let session = ana.second(&house, &begun, &ana.shown(&house, 0)).await.unwrap();
    let scope = house.by_cookie(&session).await.unwrap();
    assert!(history(&scope).await.contains(&"factor_added".to_owned()));
    assert_eq!(code(ana.second(&house, &begun, &ana.shown(&house, 1)).await), Code::SignInExpired);
    totp::remove(&scope).await.unwrap();
    inside(ana.first(&house, browser()).await);
    let left = factor::own(&scope).await.unwrap();
    assert_eq!((left.backup_codes, left.has_second_factor()), (0, false));
    let trail = house.trail().await;
    assert!(trail.contains("user.factor_changed") && trail.contains("password+totp"), "{trail}");
    for hidden in [ana.secret.as_str(), codes[0].as_str(), begun.as_str()] {
        assert!(!trail.contains(hidden));
    }
}

#[tokio::test]
async fn a_code_works_once_and_a_clock_may_be_one_step_off() {
    let house = House::build().await;
    let (ana, _) = Person::with_app(&house, "ana@example.com").await;
    for steps in [-2, 2] {
        let begun = ana.begun(&house).await;
        let shown = ana.shown(&house, steps);
        assert_eq!(code(ana.second(&house, &begun, &shown).await), Code::CodeRefused, "{steps} steps away");
    }
    let (begun, early) = (ana.begun(&house).await, ana.shown(&house, -1));
    ana.second(&house, &begun, &early).await.unwrap();
    let begun = ana.begun(&house).await;
    assert_eq!(code(ana.second(&house, &begun, &early).await), Code::CodeRefused, "it was used");
    // Grouped as apps show it; and ahead by one.
    let ahead = ana.shown(&house, 1);
    let grouped = format!("{} {}", &ahead[..3], &ahead[3..]);
    ana.second(&house, &begun, &grouped).await.unwrap();
    // After a later step the present one is of no use, as somebody may have looked over the shoulder.
    let begun = ana.begun(&house).await;
    assert_eq!(code(ana.second(&house, &begun, &ana.shown(&house, 0)).await), Code::CodeRefused);
}

#[tokio::test]
async fn of_many_at_once_one_uses_a_code() {
    let house = House::build().await;
    let (ana, _) = Person::with_app(&house, "ana@example.com").await;
    let (one, two) = (ana.begun(&house).await, ana.begun(&house).await);
    let shown = ana.shown(&house, 0);
    let (a, b) = tokio::join!(ana.second(&house, &one, &shown), ana.second(&house, &two, &shown));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    let begun = ana.begun(&house).await;
    let (a, b) =
        tokio::join!(ana.second(&house, &begun, &ana.codes[0]), ana.second(&house, &begun, &ana.codes[1]));
    assert!(a.is_ok() != b.is_ok(), "one sign-in opens one session: {a:?} {b:?}");
}

#[tokio::test]
async fn a_pending_sign_in_bears_few_tries_and_not_much_time() {
    let house = House::build().await;
    let (ana, _) = Person::with_app(&house, "ana@example.com").await;
    let (begun, fresh) = (ana.begun(&house).await, ana.begun(&house).await);
    for _ in 0..4 {
        assert_eq!(code(ana.second(&house, &begun, "000000").await), Code::CodeRefused);
    }
    // The account waits, whichever pending sign-in is tried.
    let wait = refusal(ana.second(&house, &fresh, &ana.shown(&house, 0)).await);
    assert_eq!(wait.code(), Code::TooManyRequests);
    house.clock.advance_ms(i64::from(wait.retry_after().unwrap()) * 1_000);
    assert_eq!(code(ana.second(&house, &begun, "000000").await), Code::CodeRefused);
    house.clock.advance_ms(60_000);
    assert_eq!(
        code(ana.second(&house, &begun, &ana.shown(&house, 0)).await),
        Code::SignInExpired,
        "five were its tries"
    );
    ana.second(&house, &fresh, &ana.shown(&house, 0)).await.unwrap();
    house.clock.advance_ms(16 * 60_000);
    let slow = ana.begun(&house).await;
    house.clock.advance_ms(10 * 60_000);
    assert_eq!(code(ana.second(&house, &slow, &ana.shown(&house, 0)).await), Code::SignInExpired);
    assert_eq!(code(ana.second(&house, "", &ana.shown(&house, 0)).await), Code::SignInExpired);
}

#[tokio::test]
async fn a_code_is_good_for_its_owner_alone() {
    let house = House::build().await;
    let (ana, _) = Person::with_app(&house, "ana@example.com").await;
    let (bob, _) = Person::with_app(&house, "bob@example.com").await;
    let begun = bob.begun(&house).await;
    for foreign in [ana.shown(&house, 0), ana.codes[0].clone()] {
        assert_eq!(code(bob.second(&house, &begun, &foreign).await), Code::CodeRefused);
    }
    bob.second(&house, &begun, &bob.shown(&house, 0)).await.unwrap();
}

#[tokio::test]
async fn a_backup_code_works_once_and_new_ones_replace_the_old() {
    let house = House::build().await;
    let (ana, token) = Person::with_app(&house, "ana@example.com").await;
    let begun = ana.begun(&house).await;
    ana.second(&house, &begun, &ana.codes[3].to_uppercase()).await.unwrap();
    let begun = ana.begun(&house).await;
    assert_eq!(code(ana.second(&house, &begun, &ana.codes[3]).await), Code::CodeRefused);
    let scope = house.by_cookie(&token).await.unwrap();
    assert_eq!(factor::own(&scope).await.unwrap().backup_codes, 9);
    let renewed = backup::renew(&scope).await.unwrap();
    assert_eq!(code(ana.second(&house, &begun, &ana.codes[4]).await), Code::CodeRefused);
    ana.second(&house, &begun, &renewed[0]).await.unwrap();
    let (_, plain) = Person::new(&house, "bob@example.com", "viewer").await;
    let plain = house.by_cookie(&plain).await.unwrap();
    assert_eq!(code(backup::renew(&plain).await), Code::Conflict);
}

#[tokio::test]
async fn a_remembered_browser_is_not_asked_and_only_its_own_user_is_spared() {
    let house = House::build().await;
    let (ana, token) = Person::with_app(&house, "ana@example.com").await;
    let begun = ana.begun(&house).await;
    let shown = ana.shown(&house, 0);
    let (signed, _) = second::by_code(&house.runtime, &begun, &shown, true, browser()).await.unwrap();
    let kept = signed.device.unwrap().expose().to_owned();
    let with =
        |token: &str| Browser::new(browser().origin, Some("a browser".to_owned()), vec![token.to_owned()]);
    let again = inside(ana.first(&house, with(&kept)).await);
    assert!(again.device.is_none(), "it is known already");
    pending(ana.first(&house, browser()).await);
    // Somebody else at the same browser is asked, and gets a token of their own.
    let (bob, _) = Person::with_app(&house, "bob@example.com").await;
    let theirs = pending(bob.first(&house, with(&kept)).await);
    let (signed, _) =
        second::by_code(&house.runtime, &theirs, &bob.shown(&house, 0), false, with(&kept)).await.unwrap();
    assert!(signed.device.is_some_and(|device| device.expose() != kept));
    let scope = house.by_cookie(&token).await.unwrap();
    let devices = device::list_own(&scope).await.unwrap();
    let trusted = devices.iter().find(|device| device.trusted_until.is_some()).unwrap();
    let others = house.neighbour().await;
    device::forget_own(&others, trusted.id).await.unwrap();
    inside(ana.first(&house, with(&kept)).await);
    device::forget_own(&scope, trusted.id).await.unwrap();
    pending(ana.first(&house, with(&kept)).await);
}

#[tokio::test]
async fn a_remembered_browser_is_asked_again_in_time_and_after_a_new_password() {
    let house = House::build().await;
    let (ana, _) = Person::with_app(&house, "ana@example.com").await;
    let remembered = async || {
        house.clock.advance_ms(60_000);
        let begun = ana.begun(&house).await;
        let shown = ana.shown(&house, 0);
        let (signed, _) = second::by_code(&house.runtime, &begun, &shown, true, browser()).await.unwrap();
        let kept = signed.device.unwrap().expose().to_owned();
        (Browser::new(browser().origin, None, vec![kept]), signed.token.expose().to_owned())
    };
    let (kept, _) = remembered().await;
    house.clock.advance_ms(29 * 86_400_000);
    inside(ana.first(&house, kept.clone()).await);
    house.clock.advance_ms(2 * 86_400_000);
    pending(ana.first(&house, kept).await);
    let (kept, token) = remembered().await;
    let scope = house.by_cookie(&token).await.unwrap();
    user::set_own_password(&scope, PASSWORD, "another horse entirely", None).await.unwrap();
    let entered =
        sign_in::by_password(&house.runtime, &ana.email, "another horse entirely", kept, "/").await.unwrap();
    pending(entered);
}

#[tokio::test]
async fn who_must_have_a_second_factor_adds_one_before_anything_else() {
    let house = House::build().await;
    let (ana, token) = Person::new(&house, "ana@example.com", "developer").await;
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    let wanted = |roles: &[&str]| SignInPolicy {
        second_factor_roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..SignInPolicy::default()
    };
    assert_eq!(code(policy::set(&admin, wanted(&["emperor"])).await), Code::InvalidValue);
    let shut = refusal(policy::set(&admin, wanted(&["platform_admin"])).await);
    assert_eq!((shut.code(), shut.place()), (Code::Conflict, Some("second_factor_roles")));
    let viewer = house.by_cookie(&token).await.unwrap();
    assert_eq!(code(policy::set(&viewer, wanted(&[])).await), Code::Forbidden);
    policy::set(&admin, wanted(&["developer"])).await.unwrap();
    assert_eq!(code(house.by_cookie(&token).await), Code::Unauthenticated, "sessions without one end");
    let begun = ana.begun(&house).await;
    assert_eq!(code(house.by_cookie(&begun).await), Code::Unauthenticated);
    let waiting = second::find(&house.runtime, &begun, &browser()).await.unwrap();
    assert!(waiting.enrol && !waiting.may_mail);
    let mut ana = ana;
    ana.secret = second::enrolment(&waiting).await.unwrap().secret;
    let wrong = second::enrol(&house.runtime, &begun, "000000", browser()).await;
    assert_eq!(code(wrong), Code::CodeRefused);
    let (signed, back, codes) =
        second::enrol(&house.runtime, &begun, &ana.shown(&house, 0), browser()).await.unwrap();
    assert_eq!((back.as_str(), codes.len()), ("/audit", 10));
    let scope = house.by_cookie(signed.token.expose()).await.unwrap();
    assert_eq!(
        code(totp::remove(&scope).await),
        Code::Conflict,
        "the last one stays while the role needs it"
    );
    // Another tenant is not concerned.
    let other = house.neighbour().await;
    assert_eq!(policy::get(&other).await.unwrap(), SignInPolicy::default());
}

#[tokio::test]
async fn what_is_dangerous_asks_for_a_fresh_proof() {
    let house = House::build().await;
    let admin_token = house.enter_as_admin().await;
    let admin = house.by_cookie(&admin_token).await.unwrap();
    user::set_own_password(&admin, "", PASSWORD, Some(&admin_token)).await.unwrap();
    let dev = user::create(&admin, new_user("dev@example.com", "developer")).await.unwrap();
    link::create(&admin, dev.id).await.unwrap();
    house.clock.advance_ms(11 * 60_000);
    let stale = house.by_cookie(&admin_token).await.unwrap();
    let viewer = UserChange { role: Some("viewer".to_owned()), ..UserChange::default() };
    for refused in [
        code(link::create(&stale, dev.id).await),
        code(user::update(&stale, dev.id, viewer.clone()).await),
        code(key::create(&stale, new_key(&[Permission::MessageView])).await),
        code(totp::begin(&stale).await),
        code(backup::renew(&stale).await),
        code(factor::take_away(&stale, dev.id).await),
        code(policy::set(&stale, SignInPolicy::default()).await),
        code(factor::passkey::begin(&stale).await),
    ] {
        assert_eq!(refused, Code::StepUpRequired);
    }
    let renamed = UserChange { name: Some("Dev".to_owned()), ..UserChange::default() };
    user::update(&stale, dev.id, renamed).await.unwrap();
    // A program proves itself with each request.
    link::create(&house.cli().await, dev.id).await.unwrap();
    assert_eq!(code(proof::by_password(&stale, "wrong").await), Code::InvalidValue);
    proof::by_password(&stale, PASSWORD).await.unwrap();
    let fresh = house.by_cookie(&admin_token).await.unwrap();
    link::create(&fresh, dev.id).await.unwrap();
    // Of this session alone.
    let other = inside(
        sign_in::by_password(&house.runtime, "admin@localhost", PASSWORD, browser(), "/").await.unwrap(),
    );
    house.clock.advance_ms(11 * 60_000);
    proof::by_password(&house.by_cookie(&admin_token).await.unwrap(), PASSWORD).await.unwrap();
    let other = house.by_cookie(other.token.expose()).await.unwrap();
    assert_eq!(code(link::create(&other, dev.id).await), Code::StepUpRequired);
    assert_eq!(code(proof::by_password(&house.cli().await, PASSWORD).await), Code::Forbidden);
}

#[tokio::test]
async fn a_code_proves_once() {
    let house = House::build().await;
    let (ana, token) = Person::with_app(&house, "ana@example.com").await;
    house.clock.advance_ms(11 * 60_000);
    let scope = house.by_cookie(&token).await.unwrap();
    let shown = ana.shown(&house, 0);
    proof::by_code(&scope, &shown).await.unwrap();
    assert_eq!(code(proof::by_code(&scope, &shown).await), Code::CodeRefused);
    let begun = ana.begun(&house).await;
    assert_eq!(code(ana.second(&house, &begun, &shown).await), Code::CodeRefused);
    proof::by_code(&scope, &ana.codes[0]).await.unwrap();
    assert_eq!(code(proof::by_code(&scope, &ana.codes[0]).await), Code::CodeRefused);
}

#[tokio::test]
async fn an_administrator_takes_lost_factors_away_and_nobody_else_does() {
    let house = House::build().await;
    let (ana, token) = Person::with_app(&house, "ana@example.com").await;
    let own = house.by_cookie(&token).await.unwrap();
    let other = house.neighbour().await;
    assert_eq!(code(factor::take_away(&other, ana.id).await), Code::NotFound);
    assert_eq!(code(factor::of(&other, ana.id).await), Code::NotFound);
    assert_eq!(code(journal::of(&other, ana.id, &Paging::default()).await), Code::NotFound);
    assert_eq!(code(attempt::unlock(&other, ana.id).await), Code::NotFound);
    assert_eq!(code(factor::take_away(&own, ana.id).await), Code::Forbidden);
    let begun = ana.begun(&house).await;
    let cli = house.cli().await;
    let left = factor::take_away(&cli, ana.id).await.unwrap();
    assert!(!left.has_second_factor() && left.backup_codes == 0);
    assert_eq!(code(ana.second(&house, &begun, &ana.codes[0]).await), Code::SignInExpired);
    let session = inside(ana.first(&house, browser()).await);
    assert!(
        history(&house.by_cookie(session.token.expose()).await.unwrap())
            .await
            .contains(&"factors_taken".to_owned())
    );
    let (bob, _) = Person::with_app(&house, "bob@example.com").await;
    factor::take_away_offline(&house.runtime, "BOB@example.com").await.unwrap();
    inside(bob.first(&house, browser()).await);
    // An administrator of the tenant does not reach up to the platform's.
    let (_, boss) = Person::new(&house, "boss@example.com", "tenant_admin").await;
    let boss = house.by_cookie(&boss).await.unwrap();
    let admin = user::list(&cli, &Paging::default()).await.unwrap().items;
    let admin = admin.iter().find(|user| user.role == "platform_admin").unwrap();
    assert_eq!(code(factor::take_away(&boss, admin.id).await), Code::Forbidden);
    assert_eq!(code(attempt::unlock(&boss, admin.id).await), Code::Forbidden);
}

/// Waits until what is written beside the answer is there.
async fn until(so: impl AsyncFn() -> bool) {
    for _ in 0..400 {
        if so().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("it does not come to be");
}

#[tokio::test]
async fn a_restart_forgives_nobody_and_an_administrator_can() {
    let house = House::build().await;
    let (ana, token) = Person::new(&house, "ana@example.com", "developer").await;
    for _ in 0..4 {
        assert_eq!(code(house.enter_by_password(&ana.email, "wrong").await), Code::SignInRefused);
    }
    assert_eq!(code(house.enter_by_password(&ana.email, PASSWORD).await), Code::TooManyRequests);
    let cli = house.cli().await;
    let failures =
        async || factor::of(&cli, ana.id).await.unwrap().lockout.map_or(0, |lockout| lockout.failures);
    until(async || failures().await == 4).await;
    let lockout = factor::of(&cli, ana.id).await.unwrap().lockout.unwrap();
    assert!(lockout.until.is_some_and(|until| until > house.clock.now()));
    // Another process, with nothing in memory.
    let restarted =
        Runtime::for_tests(house.runtime.config.clone(), house.runtime.db.clone(), house.clock.clone())
            .unwrap();
    let elsewhere = Browser::new(runtime::Origin::default(), None, Vec::new());
    let refused = sign_in::by_password(&restarted, &ana.email, PASSWORD, elsewhere, "/").await;
    assert_eq!(code(refused), Code::TooManyRequests);
    let trail = house.trail().await;
    assert!(trail.contains("user.locked_out"), "{trail}");
    attempt::unlock(&cli, ana.id).await.unwrap();
    assert_eq!(failures().await, 0);
    inside(
        sign_in::by_password(&house.runtime, &ana.email, PASSWORD, Browser::default(), "/").await.unwrap(),
    );
    let kinds = history(&house.by_cookie(&token).await.unwrap()).await;
    for kind in ["refused", "locked_out", "unlocked", "signed_in", "password_changed"] {
        assert!(kinds.contains(&kind.to_owned()), "{kind} is missing in {kinds:?}");
    }
}

#[tokio::test]
async fn a_new_browser_is_noted_and_the_first_is_none() {
    let house = House::build().await;
    let (ana, token) = Person::new(&house, "ana@example.com", "developer").await;
    let scope = house.by_cookie(&token).await.unwrap();
    assert!(!history(&scope).await.contains(&"new_device".to_owned()));
    let signed = inside(ana.first(&house, browser()).await);
    assert!(history(&scope).await.contains(&"new_device".to_owned()));
    assert!(house.trail().await.contains("user.new_device"));
    let known = device::list_own(&scope).await.unwrap().len();
    let kept = signed.device.unwrap().expose().to_owned();
    inside(ana.first(&house, Browser::new(browser().origin, None, vec!["x".to_owned(), kept])).await);
    assert_eq!(device::list_own(&scope).await.unwrap().len(), known);
}

#[tokio::test]
async fn an_imported_hash_signs_in_and_is_hashed_anew() {
    let house = House::build().await;
    let cli = house.cli().await;
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let mut new = new_user("old@example.com", "developer");
    new.password_hash = Some("plain text".to_owned());
    let refused = refusal(user::create(&cli, new.clone()).await);
    assert_eq!((refused.code(), refused.place()), (Code::InvalidValue, Some("password_hash")));
    new.password_hash = Some(hash.clone());
    let made = user::create(&cli, new).await.unwrap();
    assert!(made.has_password);
    assert_eq!(code(house.enter_by_password("old@example.com", "wrong").await), Code::SignInRefused);
    let kept = async || {
        let mut tx = house.runtime.db.read(db::Tenancy::Every).await.unwrap();
        let rows: Vec<HashRow> = tx
            .all(
                db::sql!("select coalesce(password_hash, '') as hash, imported_cost as cost from users /* every tenant: a test */"),
                db::args![],
            )
            .await
            .unwrap();
        rows.into_iter()
            .filter(|row| !row.hash.is_empty())
            .map(|row| (row.hash, row.cost))
            .collect::<Vec<_>>()
    };
    assert_eq!(kept().await, [(hash, Some(4))]);
    house.enter_by_password("old@example.com", PASSWORD).await.unwrap();
    let after = kept().await;
    assert!(after[0].0.starts_with("$argon2id$") && after[0].1.is_none(), "{after:?}");
    house.enter_by_password("old@example.com", PASSWORD).await.unwrap();
    assert!(!house.trail().await.contains("$2b$"));
}

db::record! { struct HashRow { hash: String, cost: Option<i64> } }

#[tokio::test]
async fn former_passwords_and_guessable_ones_are_refused() {
    let house = House::build().await;
    let (_, token) = Person::new(&house, "anastasia@example.com", "developer").await;
    let scope = house.by_cookie(&token).await.unwrap();
    let change = async |from: &str, to: &str| user::set_own_password(&scope, from, to, Some(&token)).await;
    assert_eq!(code(change(PASSWORD, PASSWORD).await), Code::WeakPassword);
    assert_eq!(code(change(PASSWORD, "anastasia-forever").await), Code::WeakPassword);
    assert_eq!(code(change(PASSWORD, "Password12345!").await), Code::WeakPassword);
    change(PASSWORD, "the second of them").await.unwrap();
    assert_eq!(code(change("the second of them", PASSWORD).await), Code::WeakPassword);
    for n in 0..6 {
        let from = if n == 0 { "the second of them".to_owned() } else { format!("number {n} in the row") };
        change(&from, &format!("number {} in the row", n + 1)).await.unwrap();
    }
    change("number 6 in the row", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_user_proved_elsewhere_gets_in_or_is_asked_for_the_second_step() {
    let house = House::build().await;
    let (ana, _) = Person::with_app(&house, "ana@example.com").await;
    let tenant = house.cli().await.tenant();
    let proven = async |whole: bool| {
        sign_in::proven(&house.runtime, (tenant, ana.id), "oidc", whole, browser(), "/audit").await
    };
    let begun = pending(proven(false).await.unwrap());
    ana.second(&house, &begun, &ana.shown(&house, 0)).await.unwrap();
    inside(proven(true).await.unwrap());
    assert!(house.trail().await.contains("oidc+totp"));
    let disabled = UserChange { status: Some(user::Status::Disabled), ..UserChange::default() };
    user::update(&house.cli().await, ana.id, disabled).await.unwrap();
    assert_eq!(code(proven(true).await), Code::SignInRefused);
}

#[tokio::test]
async fn the_other_sessions_end_at_once() {
    let house = House::build().await;
    let (ana, token) = Person::new(&house, "ana@example.com", "developer").await;
    let other = inside(ana.first(&house, browser()).await).token.expose().to_owned();
    let scope = house.by_cookie(&token).await.unwrap();
    house.by_cookie(&other).await.unwrap();
    session::revoke_others(&scope, &token).await.unwrap();
    assert_eq!(code(house.by_cookie(&other).await), Code::Unauthenticated);
    house.by_cookie(&token).await.unwrap();
}

/// The medians of many refusals in turn, known and unknown, in microseconds.
#[tokio::test]
async fn a_known_address_is_refused_in_the_time_of_an_unknown_one() {
    let house = House::with(|config| {
        config.security.login_attempts_max = 10_000;
        config.security.argon2_memory_kib = 4_096;
        config.security.argon2_passes = 2;
    })
    .await;
    let (ana, _) = Person::new(&house, "ana@example.com", "developer").await;
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..120 {
        let at = n % 2;
        let email = [ana.email.as_str(), "nobody@example.com"][at];
        let begun = std::time::Instant::now();
        assert_eq!(code(house.enter_by_password(email, "wrong").await), Code::SignInRefused);
        times[at].push(begun.elapsed().as_micros());
        // What is noted beside the answer is no part of it.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let [known, unknown] = times.map(|mut all| {
        all.sort_unstable();
        all[all.len() / 2] as f64
    });
    assert!(known / unknown < 1.5 && unknown / known < 1.5, "known {known} µs, unknown {unknown} µs");
}
