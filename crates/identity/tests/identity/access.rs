//! Who gets in, and what they may do.

use identity::encryption;
use identity::first_start::{self, ADMIN_EMAIL};
use identity::key::{self, NewKey};
use identity::tenant::tree::{self, Listing};
use identity::tenant::{self, NewTenant, TenantChange};
use identity::user::{self, UserChange};
use identity::{audit, link, session};
use runtime::{Origin, Runtime, Scope};
use types::{Code, Permission, Permissions};
use web::Paging;

use crate::house::{ADMIN_KEY, House, PASSWORD, code, new_key, new_user, refusal};

#[tokio::test]
async fn the_first_start_happens_once_and_its_keys_work() {
    let house = House::build().await;
    let again = first_start::run(&house.runtime).await.unwrap();
    assert_eq!((again.tenant, again.administrator.as_deref()), (house.start.tenant, Some(ADMIN_EMAIL)));
    assert!(again.made.is_none());
    let cli = house.cli().await;
    // Over all tenants it holds what is the platform's own.
    let all = Permissions::all().without(Permissions::of_a_reseller());
    assert_eq!(cli.permissions(), all);
    assert_eq!(tree::list(&cli, &Listing::default()).await.unwrap().items.len(), 1);
    assert_eq!(house.by_key(ADMIN_KEY).await.unwrap().permissions(), all);
    let shown: Vec<_> =
        key::list(&cli, &Paging::default()).await.unwrap().items.into_iter().map(|key| key.shown).collect();
    assert!(shown.contains(&"an-a".to_owned()), "{shown:?}");
    assert!(shown.iter().any(|shown| shown.starts_with("sb_live_") && shown.len() == 12), "{shown:?}");
}

#[tokio::test]
async fn a_link_opens_once_and_not_for_ever() {
    let house = House::build().await;
    let path = house.start.made.as_ref().unwrap().link.path.clone();
    let token = house.enter(&path).await.unwrap();
    let all = Permissions::all().without(Permissions::of_a_reseller());
    assert_eq!(house.by_cookie(&token).await.unwrap().permissions(), all);
    assert_eq!(code(house.enter(&path).await), Code::LinkUsed);
    let late = first_start::new_link(&house.runtime, "Admin@LOCALHOST").await.unwrap();
    house.clock.advance_ms(30 * 60_000);
    assert_eq!(code(house.enter(&late.path).await), Code::LinkUsed);
    assert_eq!(code(first_start::new_link(&house.runtime, "nobody@example.com").await), Code::NotFound);
}

#[tokio::test]
async fn two_at_once_do_not_both_use_a_link() {
    let house = House::build().await;
    let path = house.start.made.as_ref().unwrap().link.path.clone();
    let (one, two) = tokio::join!(house.enter(&path), house.enter(&path));
    assert!(one.is_ok() != two.is_ok());
}

#[tokio::test]
async fn a_password_signs_in_and_guesses_are_slowed() {
    let house = House::build().await;
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    assert_eq!(code(user::set_own_password(&admin, "", "short", None).await), Code::WeakPassword);
    user::set_own_password(&admin, "", PASSWORD, None).await.unwrap();
    let token = house.enter_by_password(" ADMIN@localhost", PASSWORD).await.unwrap();
    let admin = house.by_cookie(&token).await.unwrap();
    assert_eq!(
        code(user::set_own_password(&admin, "wrong", "another long one", None).await),
        Code::InvalidValue
    );
    // The same words, known or not.
    let wrong = house.enter_by_password(ADMIN_EMAIL, "wrong").await.unwrap_err();
    let nobody = house.enter_by_password("nobody@example.com", "wrong").await.unwrap_err();
    assert_eq!((wrong.code(), wrong.to_string()), (nobody.code(), nobody.to_string()));
    assert_eq!(wrong.code(), Code::SignInRefused);
    for _ in 0..8 {
        let _refused = house.enter_by_password(ADMIN_EMAIL, "wrong").await;
    }
    let refused = house.enter_by_password(ADMIN_EMAIL, PASSWORD).await.unwrap_err();
    assert_eq!(refused.code(), Code::TooManyRequests);
    house.clock.advance_ms(i64::from(refused.retry_after().unwrap()) * 1_000);
    house.enter_by_password(ADMIN_EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let house = House::build().await;
    let (one, two) = (house.enter_as_admin().await, house.enter_as_admin().await);
    let admin = house.by_cookie(&one).await.unwrap();
    house.by_cookie(&two).await.unwrap();
    user::set_own_password(&admin, "", PASSWORD, Some(&one)).await.unwrap();
    assert_eq!(code(house.by_cookie(&two).await), Code::Unauthenticated);
    house.by_cookie(&one).await.unwrap();
    session::sign_out(&admin, &one).await.unwrap();
    assert_eq!(code(house.by_cookie(&one).await), Code::Unauthenticated);
}

#[tokio::test]
async fn a_new_user_reads_what_their_tenant_speaks() {
    let house = House::build().await;
    let admin = house.by_key(ADMIN_KEY).await.unwrap();
    for (locale, language) in [("fr-DZ", "fr"), ("ar", "ar"), ("de-AT", "en")] {
        let change = TenantChange { locale: Some(locale.to_owned()), ..TenantChange::default() };
        tenant::update(&admin, admin.tenant(), change).await.unwrap();
        let made =
            user::create(&admin, new_user(&format!("{language}@example.com"), "viewer")).await.unwrap();
        assert_eq!(made.language, language);
    }
}

#[tokio::test]
async fn an_administrator_sees_where_a_user_is_signed_in_and_ends_it() {
    let house = House::build().await;
    let admin_token = house.enter_as_admin().await;
    let admin = house.by_cookie(&admin_token).await.unwrap();
    let dev = user::create(&admin, new_user("dev@example.com", "developer")).await.unwrap();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let link = link::create(&admin, dev.id).await.unwrap();
        tokens.push(house.enter(&link.path).await.unwrap());
    }
    let unused = link::create(&admin, dev.id).await.unwrap();
    let seen = session::list_of(&admin, dev.id).await.unwrap();
    assert_eq!((seen.len(), seen.iter().any(|one| one.current)), (2, false));
    let theirs = house.by_cookie(&tokens[0]).await.unwrap();
    assert_eq!(code(session::end_of(&theirs, dev.id).await), Code::Forbidden, "a developer may not");
    let neighbour = house.neighbour().await;
    assert_eq!(code(session::list_of(&neighbour, dev.id).await), Code::NotFound);
    assert_eq!(code(session::end_of(&neighbour, dev.id).await), Code::NotFound);
    let own = user::own(&admin).await.unwrap().id;
    assert_eq!(code(session::end_of(&admin, own).await), Code::Conflict);
    assert_eq!(session::list_of(&admin, dev.id).await.unwrap().len(), 2, "nothing of a refusal happened");
    assert!(session::end_of(&admin, dev.id).await.unwrap().is_empty());
    for token in &tokens {
        assert_eq!(code(house.by_cookie(token).await), Code::Unauthenticated);
    }
    assert!(house.enter(&unused.path).await.is_err(), "a link that was not used yet ends too");
    house.by_cookie(&admin_token).await.unwrap();
}

#[tokio::test]
async fn sessions_are_listed_revoked_and_end_by_themselves() {
    let house = House::build().await;
    let (one, two) = (house.enter_as_admin().await, house.enter_as_admin().await);
    let admin = house.by_cookie(&one).await.unwrap();
    house.by_cookie(&two).await.unwrap();
    let sessions = session::list_own(&admin, Some(&one)).await.unwrap();
    let current: Vec<_> = sessions.iter().map(|session| session.current).collect();
    assert_eq!(current, [false, true]);
    session::revoke_own(&admin, sessions[0].id).await.unwrap();
    assert_eq!(code(house.by_cookie(&two).await), Code::Unauthenticated);
    // Used every ten hours it lives on; then it rests for longer than twelve.
    for _ in 0..2 {
        house.clock.advance_ms(10 * 3_600_000);
        house.by_cookie(&one).await.unwrap();
        house.identity.write_down().await.unwrap();
    }
    house.clock.advance_ms(13 * 3_600_000);
    assert_eq!(code(house.by_cookie(&one).await), Code::Unauthenticated);
    // However busy, a week is the end.
    let busy = house.enter_as_admin().await;
    for _ in 0..16 {
        house.by_cookie(&busy).await.unwrap();
        house.clock.advance_ms(10 * 3_600_000);
    }
    house.by_cookie(&busy).await.unwrap();
    house.clock.advance_ms(8 * 3_600_000);
    assert_eq!(code(house.by_cookie(&busy).await), Code::Unauthenticated);
}

#[tokio::test]
async fn a_key_may_what_its_scopes_say_and_its_owner_still_may() {
    let house = House::build().await;
    let cli = house.cli().await;
    let dev = user::create(&cli, new_user("dev@example.com", "developer")).await.unwrap();
    let token = house.enter(&link::create(&cli, dev.id).await.unwrap().path).await.unwrap();
    let scope = house.by_cookie(&token).await.unwrap();
    let forbidden = key::create(&scope, new_key(&[Permission::MessageSend, Permission::RouteChange])).await;
    assert_eq!(code(forbidden), Code::Forbidden);
    assert_eq!(code(key::create(&scope, new_key(&[])).await), Code::InvalidValue);
    let made =
        key::create(&scope, new_key(&[Permission::MessageSend, Permission::MessageView])).await.unwrap();
    let secret = made.secret.unwrap();
    let by_key = house.by_key(&secret).await.unwrap();
    assert!(by_key.permissions().contains(Permission::MessageSend));
    assert_eq!(code(key::create(&by_key, new_key(&[Permission::MessageView])).await), Code::Forbidden);
    // The owner becomes a viewer: the key, though remembered, may no longer send.
    let viewer = UserChange { role: Some("viewer".to_owned()), ..UserChange::default() };
    user::update(&cli, dev.id, viewer).await.unwrap();
    let by_key = house.by_key(&secret).await.unwrap();
    assert_eq!(by_key.permissions(), [Permission::MessageView].into_iter().collect());
    let disabled = UserChange { status: Some(user::Status::Disabled), ..UserChange::default() };
    user::update(&cli, dev.id, disabled).await.unwrap();
    assert_eq!(code(house.by_key(&secret).await), Code::Unauthenticated);
    assert_eq!(code(house.by_cookie(&token).await), Code::Unauthenticated);
}

#[tokio::test]
async fn revoked_and_expired_keys_are_refused_at_once() {
    let house = House::build().await;
    let cli = house.cli().await;
    let made = key::create(&cli, new_key(&[Permission::MessageView])).await.unwrap();
    let secret = made.secret.unwrap();
    house.by_key(&secret).await.unwrap();
    key::revoke(&cli, made.key.id).await.unwrap();
    let revoked = refusal(house.by_key(&secret).await);
    let never = refusal(house.by_key("sb_live_never").await);
    assert_eq!((revoked.code(), revoked.to_string()), (never.code(), never.to_string()));
    let until = Some(house.clock.now().plus_ms(3_000));
    let short =
        key::create(&cli, NewKey { expires_at: until, ..new_key(&[Permission::MessageView]) }).await.unwrap();
    let secret = short.secret.unwrap();
    house.by_key(&secret).await.unwrap();
    house.clock.advance_ms(3_000);
    assert_eq!(code(house.by_key(&secret).await), Code::Unauthenticated);
    house.identity.write_down().await.unwrap();
    assert!(key::get(&cli, short.key.id).await.unwrap().last_used_at.is_some());
    assert_eq!(code(house.by_key(&"x".repeat(10_000)).await), Code::Unauthenticated);
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let house = House::build().await;
    let cli = house.cli().await;
    let other = house.neighbour().await;
    assert_ne!(other.tenant(), cli.tenant());
    let key = key::create(&cli, new_key(&[Permission::MessageView])).await.unwrap().key;
    let users = user::list(&cli, &Paging::default()).await.unwrap().items;
    let paging = Paging::default();
    assert!(key::list(&other, &paging).await.unwrap().items.is_empty());
    assert_eq!(code(key::get(&other, key.id).await), Code::NotFound);
    assert_eq!(code(key::revoke(&other, key.id).await), Code::NotFound);
    let theirs = user::list(&other, &paging).await.unwrap().items;
    assert_eq!(theirs.iter().map(|user| user.email.as_str()).collect::<Vec<_>>(), ["neighbour@example.com"]);
    for user in &users {
        assert_eq!(code(user::get(&other, user.id).await), Code::NotFound);
        assert_eq!(code(user::update(&other, user.id, UserChange::default()).await), Code::NotFound);
        assert_eq!(code(link::create(&other, user.id).await), Code::NotFound);
    }
    assert_eq!(code(tree::list(&other, &Listing::default()).await), Code::Forbidden);
    assert_eq!(code(tenant::get(&other, cli.tenant()).await), Code::Forbidden);
    assert_eq!(
        code(tenant::create(&other, NewTenant { name: "X".to_owned(), ..NewTenant::default() }).await),
        Code::Forbidden
    );
    assert_eq!(code(tenant::update(&other, other.tenant(), TenantChange::default()).await), Code::Forbidden);
    let trail = audit::list(&other, &audit::Filter::default()).await.unwrap();
    let text = serde_json::to_string(&trail.items).unwrap();
    assert!(text.contains("neighbour@example.com") && !text.contains(ADMIN_EMAIL), "{text}");
}

#[tokio::test]
async fn a_suspended_tenant_is_shut_at_once_and_opens_again() {
    let house = House::build().await;
    let cli = house.cli().await;
    let other = house.neighbour().await;
    let secret = key::create(&other, new_key(&[Permission::MessageView])).await.unwrap().secret.unwrap();
    house.by_key(&secret).await.unwrap();
    let to = |status| TenantChange { status: Some(status), ..TenantChange::default() };
    tenant::update(&cli, other.tenant(), to(tenant::Status::Suspended)).await.unwrap();
    assert_eq!(code(house.by_key(&secret).await), Code::Unauthenticated);
    tenant::update(&cli, other.tenant(), to(tenant::Status::Active)).await.unwrap();
    house.by_key(&secret).await.unwrap();
    assert_eq!(code(tenant::update(&cli, cli.tenant(), to(tenant::Status::Suspended)).await), Code::Conflict);
}

#[tokio::test]
async fn nobody_climbs() {
    let house = House::build().await;
    let other = house.neighbour().await;
    assert_eq!(
        code(user::create(&other, new_user("up@example.com", "platform_admin")).await),
        Code::Forbidden
    );
    assert_eq!(code(user::create(&other, new_user("up@example.com", "emperor")).await), Code::InvalidValue);
    let taken = user::create(&other, new_user("ADMIN@localhost", "viewer")).await;
    assert_eq!(code(taken), Code::AlreadyExists);
    let cli = house.cli().await;
    let boss = user::create(&cli, new_user("boss@example.com", "tenant_admin")).await.unwrap();
    let token = house.enter(&link::create(&cli, boss.id).await.unwrap().path).await.unwrap();
    let boss_scope = house.by_cookie(&token).await.unwrap();
    let users = user::list(&cli, &Paging::default()).await.unwrap().items;
    let admin = users.iter().find(|user| user.email == ADMIN_EMAIL).unwrap();
    assert_eq!(code(link::create(&boss_scope, admin.id).await), Code::Forbidden);
    let demoted = UserChange { role: Some("viewer".to_owned()), ..UserChange::default() };
    assert_eq!(code(user::update(&boss_scope, admin.id, demoted.clone()).await), Code::Forbidden);
    assert_eq!(code(user::update(&boss_scope, boss.id, demoted).await), Code::Conflict);
}

#[tokio::test]
async fn lists_are_paged() {
    let house = House::build().await;
    let cli = house.cli().await;
    for n in 0..5 {
        user::create(&cli, new_user(&format!("u{n}@example.com"), "viewer")).await.unwrap();
    }
    let mut paging = Paging { limit: Some("2".to_owned()), after: None };
    let mut seen = Vec::new();
    loop {
        let page = user::list(&cli, &paging).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.into_iter().map(|user| user.id));
        let Some(next) = page.next else { break };
        paging.after = Some(next);
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.is_sorted_by(|newer, older| newer > older));
}

#[tokio::test]
async fn a_sealed_secret_opens_in_its_place_alone() {
    let house = House::build().await;
    let (cli, other) = (house.cli().await, house.neighbour().await);
    let sealed = encryption::seal(&cli, "connection", "password", "con_1", "s3cret").await.unwrap();
    assert!(!sealed.contains("s3cret"));
    let opened = encryption::open(cli.runtime(), cli.tenant(), "connection", "password", "con_1", &sealed)
        .await
        .unwrap();
    assert_eq!(opened.expose(), "s3cret");
    assert_eq!(
        code(encryption::open(cli.runtime(), cli.tenant(), "connection", "password", "con_2", &sealed).await),
        Code::Internal
    );
    assert_eq!(
        code(
            encryption::open(other.runtime(), other.tenant(), "connection", "password", "con_1", &sealed)
                .await
        ),
        Code::Internal
    );
    // Another process unwraps the key that is stored.
    let fresh =
        Runtime::for_tests(house.runtime.config.clone(), house.runtime.db.clone(), house.clock.clone())
            .unwrap();
    let scope = Scope::grant(fresh, cli.tenant(), cli.actor().clone(), cli.permissions(), Origin::default());
    assert_eq!(
        encryption::open(scope.runtime(), scope.tenant(), "connection", "password", "con_1", &sealed)
            .await
            .unwrap()
            .expose(),
        "s3cret"
    );
}

#[tokio::test]
async fn operations_need_their_permission() {
    let house = House::build().await;
    let cli = house.cli().await;
    let viewer = Scope::grant(
        house.runtime.clone(),
        cli.tenant(),
        cli.actor().clone(),
        [Permission::MessageView].into_iter().collect::<Permissions>(),
        Origin::default(),
    );
    let paging = Paging::default();
    let id = user::list(&cli, &paging).await.unwrap().items[0].id;
    assert_eq!(code(user::list(&viewer, &paging).await), Code::Forbidden);
    assert_eq!(code(user::get(&viewer, id).await), Code::Forbidden);
    assert_eq!(code(user::create(&viewer, new_user("x@example.com", "viewer")).await), Code::Forbidden);
    assert_eq!(code(user::update(&viewer, id, UserChange::default()).await), Code::Forbidden);
    assert_eq!(code(link::create(&viewer, id).await), Code::Forbidden);
    assert_eq!(code(key::list(&viewer, &paging).await), Code::Forbidden);
    assert_eq!(code(key::create(&viewer, new_key(&[Permission::MessageView])).await), Code::Forbidden);
    assert_eq!(code(audit::list(&viewer, &audit::Filter::default()).await), Code::Forbidden);
    assert_eq!(code(user::own(&cli).await), Code::Forbidden);
}
