//! What is noticed, what people do about it, and who is told.

use identity::alert::{self, AlertRulePatch, NewAlertRule};
use identity::first_start::ADMIN_EMAIL;
use identity::key;
use identity::security_event::{
    self, Filter, Finding, Handling, Kind, PLATFORM, SecurityEvent, Severity, watch,
};
use identity::sign_in::{self, Browser};
use identity::user::{self, UserChange};
use identity::value_list::{self, Item, NewValueList, Titles, ValueListPatch};
use runtime::retention::{self, Walk};
use runtime::sighting::{self, Door};
use runtime::{Origin, Scope};
use types::{Code, Permission};
use web::Paging;

use crate::house::{House, PASSWORD, code, new_key, new_user};

async fn listed(scope: &Scope, kind: Kind) -> Vec<SecurityEvent> {
    let filter = Filter { kind: Some(kind.as_str().to_owned()), ..Filter::default() };
    security_event::list(scope, &filter).await.unwrap().items
}

async fn of_platform(scope: &Scope) -> Vec<SecurityEvent> {
    let filter = Filter { platform: Some("true".to_owned()), ..Filter::default() };
    security_event::list(scope, &filter).await.unwrap().items
}

/// The event of this kind, once the notes that are written beside an answer are there.
async fn noticed(house: &House, scope: &Scope, kind: Kind) -> SecurityEvent {
    for _ in 0..400 {
        watch::round(&house.runtime).await.unwrap();
        if let Some(event) = listed(scope, kind).await.into_iter().next() {
            return event;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{kind:?} was not noticed");
}

fn from(address: &str) -> Browser {
    let origin = Origin { request_id: None, from: Some(address.to_owned()) };
    Browser::new(origin, Some("a browser".to_owned()), Vec::new())
}

fn handling(state: &str, reason: Option<&str>) -> Handling {
    Handling { state: state.to_owned(), reason: reason.map(str::to_owned), ..Handling::default() }
}

#[tokio::test]
async fn guessing_is_noticed_kept_once_and_closed_with_a_reason() {
    let house = House::with(|config| config.watch.failures_max = 3).await;
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    for _ in 0..4 {
        drop(house.enter_by_password(ADMIN_EMAIL, "wrong").await);
    }
    let event = noticed(&house, &admin, Kind::BruteForce).await;
    assert_eq!((event.subject.as_str(), event.state.as_str()), (ADMIN_EMAIL, "open"));
    assert_eq!(event.user_id.map(|id| id.to_string()), Some(admin.actor().to_string()));
    // Noticed again it is the same event; a neighbour sees nothing of it.
    house.clock.advance_ms(300_000);
    drop(house.enter_by_password(ADMIN_EMAIL, "wrong").await);
    for _ in 0..400 {
        watch::round(&house.runtime).await.unwrap();
        if listed(&admin, Kind::BruteForce).await[0].count > event.count {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let again = listed(&admin, Kind::BruteForce).await;
    assert_eq!(again.len(), 1);
    assert!(again[0].count > event.count && again[0].last_at > event.last_at);
    let neighbour = house.neighbour().await;
    assert!(listed(&neighbour, Kind::BruteForce).await.is_empty());
    assert_eq!(code(security_event::get(&neighbour, event.id).await), Code::NotFound);
    let theirs = security_event::handle(&neighbour, event.id, handling("acknowledged", None)).await;
    assert_eq!(code(theirs), Code::NotFound);
    // One's own page has it too.
    assert_eq!(security_event::own(&admin, &Paging::default()).await.unwrap().items.len(), 1);
    let taken = security_event::handle(&admin, event.id, handling("acknowledged", None)).await.unwrap();
    assert_eq!((taken.state.as_str(), taken.revision), ("acknowledged", 2));
    for reason in [None, Some("because")] {
        let refused = security_event::handle(&admin, event.id, handling("closed", reason)).await;
        assert_eq!(code(refused), Code::InvalidValue);
    }
    let late = Handling { revision: Some(1), ..handling("closed", Some("false_alarm")) };
    assert_eq!(code(security_event::handle(&admin, event.id, late).await), Code::Conflict);
    let closed =
        security_event::handle(&admin, event.id, handling("closed", Some("false_alarm"))).await.unwrap();
    assert_eq!(closed.reason.as_deref(), Some("false_alarm"));
    assert!(house.trail().await.contains("security_event.handled"));
    // What comes after it was closed is another one.
    let finding = Finding {
        tenant: admin.tenant(),
        kind: Kind::BruteForce,
        severity: Severity::Low,
        subject: ADMIN_EMAIL.to_owned(),
        user: None,
        detail: "again".to_owned(),
        count: 1,
        at: admin.now(),
    };
    security_event::raise_now(&house.runtime, &finding).await.unwrap();
    assert_eq!(listed(&admin, Kind::BruteForce).await.len(), 2);
    let key = key::create(&admin, new_key(&[Permission::MessageSend])).await.unwrap().secret.unwrap();
    let powerless = house.by_key(&key).await.unwrap();
    assert_eq!(code(security_event::list(&powerless, &Filter::default()).await), Code::Forbidden);
    assert_eq!(code(security_event::get(&powerless, event.id).await), Code::Forbidden);
    assert_eq!(code(security_event::own(&powerless, &Paging::default()).await), Code::Forbidden);
    house.clock.advance_ms(1_000);
    let gone = forget_closed(&admin).await;
    assert_eq!((gone, listed(&admin, Kind::BruteForce).await.len()), (1, 1), "the closed one alone");
}

/// What retention does to closed events from before now.
async fn forget_closed(admin: &Scope) -> u64 {
    let class = identity::RETENTION.iter().find(|class| class.name == "security_event").unwrap();
    let Walk::Rows { page, forget } = class.walk else { panic!("events are rows") };
    let (runtime, tenant) = (admin.runtime(), admin.tenant());
    let look = retention::look(runtime, tenant, (page, class.whose), "", (0, admin.now()), &|_, _| false);
    let due = look.await.unwrap().due;
    let mut tx = runtime.db.write(db::Tenancy::Tenant(tenant)).await.unwrap();
    let gone = forget.run(runtime, &mut tx, tenant, &due).await.unwrap();
    tx.commit().await.unwrap();
    gone
}

#[tokio::test]
async fn what_could_not_be_written_is_not_counted_again() {
    let house = House::with(|config| {
        config.watch.failures_max = 4;
        config.security.login_attempts_max = 100;
    })
    .await;
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    watch::round(&house.runtime).await.unwrap();
    let change = async |text: &'static str| {
        let mut tx = house.runtime.db.write(db::Tenancy::Every).await.unwrap();
        tx.execute(text, Vec::new()).await.unwrap();
        tx.commit().await.unwrap();
    };
    change("create trigger full before update on security_watch begin select raise(abort, 'full'); end")
        .await;
    for _ in 0..3 {
        drop(house.enter_by_password(ADMIN_EMAIL, "wrong").await);
    }
    let mut failed = 0;
    while failed < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        failed += u32::from(watch::round(&house.runtime).await.is_err());
    }
    change("drop trigger full").await;
    watch::round(&house.runtime).await.unwrap();
    assert!(listed(&admin, Kind::BruteForce).await.is_empty(), "three are not four");
    drop(house.enter_by_password(ADMIN_EMAIL, "wrong").await);
    assert_eq!(noticed(&house, &admin, Kind::BruteForce).await.count, 4);
}

#[tokio::test]
async fn strangers_belong_to_the_platform_alone() {
    let house = House::with(|config| config.watch.strangers_max = 3).await;
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    let neighbour = house.neighbour().await;
    for _ in 0..3 {
        sighting::turned_away(&house.runtime, Door::Smpp, "203.0.113.5".parse().unwrap());
    }
    watch::round(&house.runtime).await.unwrap();
    let events = of_platform(&admin).await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind.as_str(), events[0].subject.as_str()), ("scanning", "203.0.113.5"));
    assert!(listed(&admin, Kind::Scanning).await.is_empty(), "it is not the tenant's");
    let filter = Filter { platform: Some("true".to_owned()), ..Filter::default() };
    assert_eq!(code(security_event::list(&neighbour, &filter).await), Code::Forbidden);
    assert_eq!(code(security_event::get(&neighbour, events[0].id).await), Code::NotFound);
    let closed =
        security_event::handle(&admin, events[0].id, handling("closed", Some("test"))).await.unwrap();
    assert_eq!(closed.state, "closed");
    assert_eq!(security_event::summary(&admin, true).await.unwrap().days.last().unwrap().events, 1);
    assert_eq!(code(security_event::summary(&neighbour, true).await), Code::Forbidden);
}

#[tokio::test]
async fn a_wrong_password_on_many_is_spraying_and_widened_rights_are_noticed() {
    let house = House::with(|config| config.watch.sprayed_users_max = 4).await;
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    for n in 0..4 {
        let email = format!("p{n}@example.com");
        user::create(&admin, new_user(&email, "viewer")).await.unwrap();
        drop(sign_in::by_password(&house.runtime, &email, "Summer2026", from("203.0.113.9"), "/").await);
    }
    let sprayed = noticed(&house, &admin, Kind::PasswordSpraying).await;
    assert_eq!((sprayed.subject.as_str(), sprayed.severity.as_str()), ("203.0.113.9", "high"));
    let boss = user::create(&admin, new_user("boss@example.com", "viewer")).await.unwrap();
    let wider = UserChange { role: Some("tenant_admin".to_owned()), ..UserChange::default() };
    user::update(&admin, boss.id, wider).await.unwrap();
    let widened = noticed(&house, &admin, Kind::PrivilegeChange).await;
    assert_eq!((widened.severity.as_str(), widened.user_id), ("high", Some(boss.id)));
    let filter = Filter { severity: Some("high".to_owned()), ..Filter::default() };
    let bad = security_event::list(&admin, &filter).await.unwrap().items;
    assert!(bad.len() >= 2 && bad.iter().all(|event| event.severity == "high"));
    let unknown = Filter { state: Some("gone".to_owned()), ..Filter::default() };
    assert_eq!(code(security_event::list(&admin, &unknown).await), Code::InvalidFilter);
}

#[tokio::test]
async fn another_network_of_a_user_is_noticed_and_the_same_is_not() {
    let house = House::build().await;
    let token = house.enter_as_admin().await;
    let admin = house.by_cookie(&token).await.unwrap();
    user::set_own_password(&admin, "", PASSWORD, Some(&token)).await.unwrap();
    let enter = async |address: &str| {
        house.clock.advance_ms(1_000);
        sign_in::by_password(&house.runtime, ADMIN_EMAIL, PASSWORD, from(address), "/").await.unwrap();
        watch::round(&house.runtime).await.unwrap();
    };
    enter("192.0.2.200").await;
    assert!(listed(&admin, Kind::NewNetwork).await.is_empty(), "a neighbour of the first");
    enter("198.51.100.7").await;
    let events = listed(&admin, Kind::NewNetwork).await;
    assert_eq!(events.len(), 1);
    assert!(events[0].detail.contains("198.51.100.7"), "{}", events[0].detail);
    enter("198.51.100.8").await;
    assert_eq!(listed(&admin, Kind::NewNetwork).await[0].count, 1);
}

#[tokio::test]
async fn rules_tell_whom_they_name_and_nobody_elses_people() {
    let house = House::with(|config| {
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.from = "console@sms.example".to_owned();
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    let neighbour = house.neighbour().await;
    let me = user::own(&admin).await.unwrap().id;
    let stranger = user::own(&neighbour).await.unwrap().id;
    let new =
        |name: &str| NewAlertRule { name: name.to_owned(), people: vec![me], ..NewAlertRule::default() };
    let foreign = NewAlertRule { people: vec![stranger], ..new("foreign") };
    assert_eq!(code(alert::create(&admin, foreign).await), Code::InvalidValue);
    assert_eq!(
        code(alert::create(&admin, NewAlertRule { people: vec![], ..new("nobody") }).await),
        Code::InvalidValue
    );
    let inside = NewAlertRule { url: Some("http://10.1.2.3/".to_owned()), ..new("inside") };
    assert_eq!(code(alert::create(&admin, inside).await), Code::InvalidUrl);
    let over = NewAlertRule { platform: Some(true), people: vec![stranger], ..new("over") };
    assert_eq!(code(alert::create(&neighbour, over).await), Code::Forbidden);
    let wanted = NewAlertRule {
        kinds: vec![Kind::TollFraud],
        url: Some("http://127.0.0.1:9/hook".to_owned()),
        ..new("Fraud")
    };
    let made = alert::create(&admin, wanted).await.unwrap();
    assert!(made.secret.is_some());
    assert_eq!(code(alert::create(&admin, new("Fraud")).await), Code::AlreadyExists);
    assert_eq!(code(alert::get(&neighbour, made.rule.id).await), Code::NotFound);
    assert_eq!(code(alert::delete(&neighbour, made.rule.id).await), Code::NotFound);
    let finding = |kind, severity, tenant| Finding {
        tenant,
        kind,
        severity,
        subject: "acme, SO".to_owned(),
        user: None,
        detail: "much".to_owned(),
        count: 1,
        at: admin.now(),
    };
    let jobs = async || house.alert_jobs().await;
    let raise = async |kind, severity, tenant| {
        security_event::raise_now(&house.runtime, &finding(kind, severity, tenant)).await.unwrap();
    };
    raise(Kind::Scanning, Severity::High, admin.tenant()).await;
    raise(Kind::TollFraud, Severity::Low, admin.tenant()).await;
    raise(Kind::TollFraud, Severity::High, neighbour.tenant()).await;
    raise(Kind::TollFraud, Severity::High, PLATFORM).await;
    assert_eq!(jobs().await, 0, "another kind, too mild, another tenant, the platform");
    raise(Kind::TollFraud, Severity::High, admin.tenant()).await;
    assert_eq!(jobs().await, 2, "worse than what was told: a mail and a webhook");
    raise(Kind::TollFraud, Severity::High, admin.tenant()).await;
    assert_eq!(jobs().await, 2, "told once");
    let patch = AlertRulePatch { active: Some(false), revision: Some(7), ..AlertRulePatch::default() };
    assert_eq!(code(alert::update(&admin, made.rule.id, patch.clone()).await), Code::Conflict);
    let off =
        alert::update(&admin, made.rule.id, AlertRulePatch { revision: Some(1), ..patch }).await.unwrap();
    assert_eq!((off.rule.active, off.secret.is_some()), (false, false));
    let key = key::create(&admin, new_key(&[Permission::SecurityEventView])).await.unwrap().secret.unwrap();
    let reader = house.by_key(&key).await.unwrap();
    assert_eq!(alert::list(&reader).await.unwrap().items.len(), 1);
    assert_eq!(code(alert::delete(&reader, made.rule.id).await), Code::Forbidden);
    assert_eq!(code(alert::create(&reader, new("mine")).await), Code::Forbidden);
    let trail = house.trail().await;
    assert!(trail.contains("alert_rule.created") && !trail.contains("whsec_"));
    alert::delete(&admin, made.rule.id).await.unwrap();
}

#[tokio::test]
async fn lists_are_every_tenants_own_and_what_came_with_the_product_stays() {
    let house = House::build().await;
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    let neighbour = house.neighbour().await;
    let theirs = value_list::list(&neighbour).await.unwrap().items;
    let values: usize = theirs.iter().map(|list| list.values.len()).sum();
    assert!(values >= 35 && theirs.iter().all(|list| list.system));
    let list = value_list::get(&admin, security_event::CLOSING).await.unwrap();
    let mut values = list.values.clone();
    values.rotate_left(1);
    values[0].active = false;
    values[1].titles.insert("en".to_owned(), "Foreseen".to_owned());
    let own = Item {
        code: "own".to_owned(),
        titles: Titles::from([("en".to_owned(), "Our own".to_owned())]),
        active: true,
        // Said by who asks, and not believed.
        system: true,
    };
    values.push(own);
    let patch = |values| ValueListPatch { values: Some(values), ..ValueListPatch::default() };
    let after = value_list::update(&admin, &list.name, patch(values.clone())).await.unwrap();
    assert_eq!(after.values.last().map(|item| (item.code.as_str(), item.system)), Some(("own", false)));
    assert_eq!(after.values[0].code, list.values[1].code);
    let offered = value_list::offered(&admin, &list.name, "fr").await.unwrap();
    assert!(offered.iter().all(|(code, _)| *code != after.values[0].code));
    assert_eq!(offered.last().map(|(_, title)| title.as_str()), Some("Our own"), "English stands in");
    let without_own: Vec<_> = after.values[..after.values.len() - 1].to_vec();
    value_list::update(&admin, &list.name, patch(without_own.clone())).await.unwrap();
    assert_eq!(
        code(value_list::update(&admin, &list.name, patch(without_own[1..].to_vec())).await),
        Code::Conflict
    );
    let twice = [without_own.clone(), without_own[..1].to_vec()].concat();
    assert_eq!(code(value_list::update(&admin, &list.name, patch(twice)).await), Code::InvalidValue);
    let late = ValueListPatch { revision: Some(1), ..ValueListPatch::default() };
    assert_eq!(code(value_list::update(&admin, &list.name, late).await), Code::Conflict);
    assert_eq!(code(value_list::delete(&admin, &list.name).await), Code::Conflict);
    assert_eq!(
        value_list::get(&neighbour, &list.name).await.unwrap().revision,
        1,
        "the neighbour's is as it was"
    );
    let titles = Titles::from([("en".to_owned(), "Colours".to_owned())]);
    let new = NewValueList { name: "colours".to_owned(), titles, values: Vec::new() };
    value_list::create(&admin, new.clone()).await.unwrap();
    assert_eq!(code(value_list::create(&admin, new).await), Code::AlreadyExists);
    assert_eq!(code(value_list::get(&neighbour, "colours").await), Code::NotFound);
    assert_eq!(code(value_list::delete(&neighbour, "colours").await), Code::NotFound);
    value_list::delete(&admin, "colours").await.unwrap();
    let key = key::create(&admin, new_key(&[Permission::ValueListView])).await.unwrap().secret.unwrap();
    let reader = house.by_key(&key).await.unwrap();
    assert_eq!(
        code(value_list::update(&reader, &list.name, ValueListPatch::default()).await),
        Code::Forbidden
    );
    value_list::seed_all(&house.runtime).await.unwrap();
    assert_eq!(value_list::get(&admin, &list.name).await.unwrap().revision, 3, "a start changes nothing");
    assert!(house.trail().await.contains("value_list.changed"));
}
