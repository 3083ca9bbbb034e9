//! Acting as another user: who may, what is closed, what the trail says, and how it ends.

use identity::impersonation::{self, ImpersonationFilter, NewImpersonation};
use identity::role::custom::{self, NewRole};
use identity::user::{self, User, UserChange};
use identity::{factor, grant, journal, key, link, session};
use runtime::{Actor, Scope};
use types::{Code, Permission, UserId};
use web::Paging;

use crate::house::{House, PASSWORD, code, new_key, new_user};

fn wanted(minutes: u32) -> NewImpersonation {
    NewImpersonation { reason: "Ticket 4711: cannot see her messages".to_owned(), minutes: Some(minutes) }
}

/// An administrator's session, and a supervisor whom they help.
async fn both(house: &House) -> (String, Scope, User) {
    let token = house.enter_as_admin().await;
    let admin = house.by_cookie(&token).await.unwrap();
    let anna = user::create(&admin, new_user("anna@example.com", "supervisor")).await.unwrap();
    (token, admin, anna)
}

fn own(scope: &Scope) -> UserId {
    match scope.actor() {
        Actor::User(id) => *id,
        actor => panic!("{actor} is no person in their own name"),
    }
}

#[tokio::test]
async fn who_acts_as_another_has_their_rights_and_both_are_named() {
    let house = House::build().await;
    let (token, admin, anna) = both(&house).await;
    let bob = own(&admin);
    let begun = impersonation::start(&admin, anna.id, wanted(20)).await.unwrap();
    assert_eq!((begun.by, begun.user, begun.active), (bob, anna.id, true));
    let acting = house.by_cookie(&token).await.unwrap();
    assert_eq!(*acting.actor(), Actor::As { user: anna.id, by: bob });
    assert_eq!(acting.actor().to_string(), format!("{} by {bob}", anna.id));
    let theirs = identity::role::permissions("supervisor");
    assert!(theirs.covers(acting.permissions()) && acting.permissions().contains(Permission::MessageSend));
    assert!(!acting.permissions().contains(Permission::TenantView));

    // What is done so stands in the trail under both names, and is found by either.
    let mut write = acting.write().await.unwrap();
    write.happened(types::Event::UserUnlocked(types::event::Access {
        who: "somebody".to_owned(),
        by: "a test".to_owned(),
        reason: None,
    }));
    write.commit(()).await.unwrap();
    for actor in [anna.id, bob] {
        let filter = identity::audit::Filter {
            actor: Some(actor.to_string()),
            kind: Some("user.unlocked".to_owned()),
            ..Default::default()
        };
        let found = identity::audit::list(&admin, &filter).await.unwrap().items;
        assert_eq!(found.len(), 1, "{actor}");
        assert_eq!(found[0].actor, format!("{} by {bob}", anna.id));
    }
    // A pattern is no actor.
    let filter = identity::audit::Filter { actor: Some("%".to_owned()), ..Default::default() };
    assert!(identity::audit::list(&admin, &filter).await.unwrap().items.is_empty());

    // She reads it in her own history.
    let path = link::create(&admin, anna.id).await.unwrap().path;
    let hers = house.by_cookie(&house.enter(&path).await.unwrap()).await.unwrap();
    let history = journal::own(&hers, &Paging::default()).await.unwrap().items;
    let entry = history.iter().find(|entry| entry.kind == "impersonated").unwrap();
    assert_eq!(entry.done_by.as_deref(), Some(bob.to_string().as_str()));
    assert!(entry.detail.as_deref().unwrap().contains("Ticket 4711"), "{entry:?}");
    assert_eq!(impersonation::list_own(&hers, &Paging::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn nobody_gains_rights_by_it() {
    let house = House::build().await;
    let (token, admin, anna) = both(&house).await;
    let refused = async |scope: &Scope, id| code(impersonation::start(scope, id, wanted(10)).await);
    // A role that may act as others, but may do less than the supervisor.
    let role = NewRole {
        name: "helper".to_owned(),
        permissions: serde_json::from_value(
            serde_json::json!({ "user.impersonate": "all", "user.view": "all" }),
        )
        .unwrap(),
        ..NewRole::default()
    };
    custom::create(&admin, role).await.unwrap();
    let helper = user::create(&admin, new_user("helper@example.com", "helper")).await.unwrap();
    let guest = user::create(&admin, new_user("guest@example.com", "agent")).await.unwrap();
    let path = link::create(&admin, helper.id).await.unwrap().path;
    let weak = house.by_cookie(&house.enter(&path).await.unwrap()).await.unwrap();
    assert_eq!(refused(&weak, anna.id).await, Code::Forbidden, "she may do more");
    assert_eq!(refused(&weak, guest.id).await, Code::Forbidden, "so may an agent");
    assert_eq!(refused(&admin, helper.id).await, Code::Forbidden, "no chains");
    assert_eq!(refused(&admin, own(&admin)).await, Code::Conflict, "oneself");
    // Roles that answer do not have it; keys have no browser.
    let agent = link::create(&admin, guest.id).await.unwrap().path;
    let agent = house.by_cookie(&house.enter(&agent).await.unwrap()).await.unwrap();
    assert_eq!(refused(&agent, anna.id).await, Code::Forbidden);
    for name in ["supervisor", "operator", "developer", "agent", "support", "analyst", "auditor", "viewer"] {
        assert!(!identity::role::permissions(name).contains(Permission::UserImpersonate), "{name}");
    }
    assert_eq!(refused(&house.cli().await, anna.id).await, Code::Forbidden, "a key");
    // Another tenant's people do not exist.
    let neighbour = house.neighbour().await;
    assert_eq!(refused(&neighbour, anna.id).await, Code::NotFound);
    assert_eq!(code(impersonation::end(&neighbour, anna.id).await), Code::NotFound);
    // Without a reason, or for too long.
    for (reason, minutes) in [("  x ", 10), ("long enough", 0), ("long enough", 61)] {
        let wanted = NewImpersonation { reason: reason.to_owned(), minutes: Some(minutes) };
        assert_eq!(code(impersonation::start(&admin, anna.id, wanted).await), Code::InvalidValue);
    }
    // With an old proof.
    house.clock.advance_ms(11 * 60_000);
    let stale = house.by_cookie(&token).await.unwrap();
    assert_eq!(refused(&stale, anna.id).await, Code::StepUpRequired);
}

#[tokio::test]
async fn the_account_of_the_other_stays_closed() {
    let house = House::build().await;
    let (token, admin, anna) = both(&house).await;
    let dev = user::create(&admin, new_user("dev@example.com", "developer")).await.unwrap();
    impersonation::start(&admin, dev.id, wanted(20)).await.unwrap();
    let acting = house.by_cookie(&token).await.unwrap();
    let closed = |code: Code| assert_eq!(code, Code::Forbidden);
    closed(code(user::set_own_password(&acting, "", PASSWORD, None).await));
    closed(code(user::update_own(&acting, "Mallory", "en").await));
    closed(code(session::list_own(&acting, None).await));
    closed(code(session::revoke_others(&acting, &token).await));
    closed(code(factor::own(&acting).await));
    closed(code(factor::totp::begin(&acting).await));
    closed(code(journal::own(&acting, &Paging::default()).await));
    closed(code(identity::consent::list_own(&acting).await));
    closed(code(key::create(&acting, new_key(&[Permission::MessageSend])).await));
    closed(code(key::list(&acting, &Paging::default()).await));
    closed(code(identity::proof::by_password(&acting, PASSWORD).await));
    closed(code(acting.require_fresh()));
    // No second one on top of it.
    closed(code(impersonation::start(&acting, anna.id, wanted(5)).await));
    impersonation::stop(&acting).await.unwrap();
    // As one who may see users: hers is closed, others' are not.
    let admin = house.by_cookie(&token).await.unwrap();
    impersonation::start(&admin, anna.id, wanted(20)).await.unwrap();
    let acting = house.by_cookie(&token).await.unwrap();
    closed(code(factor::of(&acting, anna.id).await));
    closed(code(journal::of(&acting, anna.id, &Paging::default()).await));
    factor::of(&acting, dev.id).await.unwrap();
}

#[tokio::test]
async fn it_ends_by_a_click_by_itself_and_with_what_it_rests_on() {
    let house = House::build().await;
    let (token, admin, anna) = both(&house).await;
    let bob = own(&admin);
    let who = async || house.by_cookie(&token).await.unwrap().actor().clone();
    let begin = async || {
        let admin = house.by_cookie(&token).await.unwrap();
        impersonation::start(&admin, anna.id, wanted(5)).await.unwrap();
        assert_eq!(who().await, Actor::As { user: anna.id, by: bob });
    };
    begin().await;
    impersonation::stop(&house.by_cookie(&token).await.unwrap()).await.unwrap();
    assert_eq!(who().await, Actor::User(bob));
    // By itself.
    begin().await;
    house.clock.advance_ms(5 * 60_000);
    assert_eq!(who().await, Actor::User(bob));
    impersonation::note_ended(&house.runtime).await.unwrap();
    assert_eq!(house.trail().await.matches("\"user.impersonation_ended\"").count(), 2);
    // By herself, at once.
    let path = link::create(&house.cli().await, anna.id).await.unwrap().path;
    let hers = house.by_cookie(&house.enter(&path).await.unwrap()).await.unwrap();
    begin().await;
    impersonation::end(&hers, anna.id).await.unwrap();
    assert_eq!(who().await, Actor::User(bob));
    // For good when she is shut out, or has another role than when it began.
    let cli = house.cli().await;
    let status = |status| UserChange { status: Some(status), ..UserChange::default() };
    let role = |role: &str| UserChange { role: Some(role.to_owned()), ..UserChange::default() };
    begin().await;
    user::update(&cli, anna.id, status(user::Status::Disabled)).await.unwrap();
    assert_eq!(who().await, Actor::User(bob));
    user::update(&cli, anna.id, status(user::Status::Active)).await.unwrap();
    assert_eq!(who().await, Actor::User(bob));
    begin().await;
    user::update(&cli, anna.id, role("tenant_admin")).await.unwrap();
    assert_eq!(who().await, Actor::User(bob));
    user::update(&cli, anna.id, role("supervisor")).await.unwrap();
    // When she is given more for a time than whoever acts as her holds, or the right to act as others.
    begin().await;
    let given = grant::NewGrant {
        user: anna.id,
        role: Some("tenant_admin".to_owned()),
        permissions: None,
        reason: "a test".to_owned(),
        ends_at: house.clock.now().plus_ms(3_600_000),
    };
    let given = grant::create(&cli, given).await.unwrap();
    assert_eq!(who().await, Actor::User(bob));
    grant::end(&cli, given.id).await.unwrap();
    // When the right to it is gone.
    impersonation::end(&cli, anna.id).await.unwrap();
    begin().await;
    user::update(&cli, bob, role("supervisor")).await.unwrap();
    assert_eq!(who().await, Actor::User(bob));
    user::update(&cli, bob, role("platform_admin")).await.unwrap();
    assert_eq!(who().await, Actor::User(bob));
    begin().await;
    // With the session: signing out is signing out, not only stopping.
    let acting = house.by_cookie(&token).await.unwrap();
    session::sign_out(&acting, &token).await.unwrap();
    assert_eq!(code(house.by_cookie(&token).await), Code::Unauthenticated);
    impersonation::note_ended(&house.runtime).await.unwrap();
    let all = impersonation::list(&cli, &ImpersonationFilter::default()).await.unwrap().items;
    assert!(all.iter().all(|one| one.ended_at.is_some()), "{all:?}");
}
