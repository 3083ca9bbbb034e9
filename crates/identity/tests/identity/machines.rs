//! API keys: kinds, rotation, networks, rates.

use std::time::Duration;

use identity::client::{self, ClientPatch, NewClient};
use identity::key::{self, KeyPatch, Kind, NewKey, Rotation};
use identity::provider::{self, NewProvider};
use types::{Code, Permission};

use crate::house::{House, code, new_key, new_user, refusal};

#[tokio::test]
async fn a_test_key_reads_and_sends_and_nothing_else() {
    let house = House::build().await;
    let cli = house.cli().await;
    let test = |scopes: &[Permission]| NewKey { kind: Kind::Test, ..new_key(scopes) };
    let refused = refusal(key::create(&cli, test(&[Permission::UserCreate])).await);
    assert_eq!((refused.code(), refused.place()), (Code::InvalidValue, Some("scopes")));
    let made = key::create(&cli, test(&[Permission::MessageSend, Permission::MessageView])).await.unwrap();
    let secret = made.secret.unwrap();
    assert!(secret.starts_with("sb_test_") && made.key.shown.starts_with("sb_test_"), "{secret}");
    assert!(house.by_key(&secret).await.unwrap().is_test());
    let live = key::create(&cli, new_key(&[Permission::MessageSend])).await.unwrap().secret.unwrap();
    assert!(!house.by_key(&live).await.unwrap().is_test());
}

#[tokio::test]
async fn a_new_secret_counts_at_once_and_the_former_for_a_while() {
    let house = House::build().await;
    let cli = house.cli().await;
    let made = key::create(&cli, new_key(&[Permission::MessageView])).await.unwrap();
    let (id, first) = (made.key.id, made.secret.unwrap());
    house.by_key(&first).await.unwrap();
    let rotated = key::rotate(&cli, id, &Rotation { overlap_s: Some(3_600) }).await.unwrap();
    let second = rotated.secret.unwrap();
    assert_eq!(rotated.key.former.as_ref().unwrap().shown, made.key.shown);
    house.by_key(&second).await.unwrap();
    house.clock.advance_ms(60_000);
    house.by_key(&first).await.unwrap();
    house.identity.write_down().await.unwrap();
    let listed = key::get(&cli, id).await.unwrap();
    assert_eq!(listed.former.unwrap().last_used_at, Some(cli.now()), "somebody still uses it");
    assert_eq!(listed.last_used_from.as_deref(), Some("192.0.2.7"));
    assert_eq!(listed.last_used_agent.as_deref(), Some("a program"));
    // To the second, also for one that is remembered.
    house.clock.advance_ms(3_539_999);
    house.by_key(&first).await.unwrap();
    house.clock.advance_ms(1);
    assert_eq!(code(house.by_key(&first).await), Code::Unauthenticated);
    house.by_key(&second).await.unwrap();
    assert!(key::get(&cli, id).await.unwrap().former.is_none());
}

#[tokio::test]
async fn a_leaked_secret_ends_at_once_and_a_third_ends_the_first() {
    let house = House::build().await;
    let cli = house.cli().await;
    let made = key::create(&cli, new_key(&[Permission::MessageView])).await.unwrap();
    let (id, first) = (made.key.id, made.secret.unwrap());
    house.by_key(&first).await.unwrap();
    let second = key::rotate(&cli, id, &Rotation { overlap_s: Some(0) }).await.unwrap().secret.unwrap();
    assert_eq!(code(house.by_key(&first).await), Code::Unauthenticated);
    let third = key::rotate(&cli, id, &Rotation::default()).await.unwrap().secret.unwrap();
    let fourth = key::rotate(&cli, id, &Rotation::default()).await.unwrap().secret.unwrap();
    assert_eq!(code(house.by_key(&second).await), Code::Unauthenticated);
    house.by_key(&third).await.unwrap();
    key::end_former(&cli, id).await.unwrap();
    assert_eq!(code(house.by_key(&third).await), Code::Unauthenticated);
    house.by_key(&fourth).await.unwrap();
    let long = Rotation { overlap_s: Some(91 * 86_400) };
    assert_eq!(refusal(key::rotate(&cli, id, &long).await).place(), Some("overlap_s"));
    key::revoke(&cli, id).await.unwrap();
    assert_eq!(code(house.by_key(&fourth).await), Code::Unauthenticated);
    assert_eq!(code(key::rotate(&cli, id, &Rotation::default()).await), Code::Conflict);
}

#[tokio::test]
async fn a_key_is_let_in_from_its_networks_alone_and_the_trail_tells() {
    let house = House::build().await;
    let cli = house.cli().await;
    let networks = vec!["198.51.100.0/24".to_owned(), "2001:db8::/32".to_owned()];
    let new = NewKey { networks, ..new_key(&[Permission::MessageView]) };
    let made = key::create(&cli, new).await.unwrap();
    let (id, secret) = (made.key.id, made.secret.unwrap());
    house.by_key_from(&secret, "198.51.100.9").await.unwrap();
    house.by_key_from(&secret, "2001:db8:1::1").await.unwrap();
    for _ in 0..3 {
        assert_eq!(code(house.by_key_from(&secret, "203.0.113.1").await), Code::NetworkNotAllowed);
    }
    let told = async || house.trail().await.matches("key.refused").count();
    for _ in 0..200 {
        if told().await > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(told().await, 1, "once a minute, however often it is tried");
    let open = KeyPatch { networks: Some(Vec::new()), ..KeyPatch::default() };
    key::update(&cli, id, open).await.unwrap();
    house.by_key_from(&secret, "203.0.113.1").await.unwrap();
    let wrong = KeyPatch { networks: Some(vec!["10.0.0.1/8".to_owned()]), ..KeyPatch::default() };
    assert_eq!(refusal(key::update(&cli, id, wrong).await).place(), Some("networks"));
}

#[tokio::test]
async fn rates_are_checked_and_can_be_taken_away() {
    let house = House::build().await;
    let cli = house.cli().await;
    let new = |per_second, burst| NewKey {
        rate_per_second: per_second,
        rate_burst: burst,
        ..new_key(&[Permission::MessageView])
    };
    assert_eq!(refusal(key::create(&cli, new(Some(0), None)).await).place(), Some("rate_per_second"));
    assert_eq!(refusal(key::create(&cli, new(None, Some(5))).await).place(), Some("rate_burst"));
    let key = key::create(&cli, new(Some(10), None)).await.unwrap().key;
    assert_eq!((key.rate_per_second, key.rate_burst), (Some(10), Some(10)));
    let free = KeyPatch { rate_per_second: Some(0), ..KeyPatch::default() };
    let key = key::update(&cli, key.id, free).await.unwrap();
    assert_eq!((key.rate_per_second, key.rate_burst), (None, None));
}

#[tokio::test]
async fn nobody_gets_the_secret_of_a_key_that_may_do_more_and_tenants_do_not_meet() {
    let house = House::build().await;
    let cli = house.cli().await;
    let strong = key::create(&cli, new_key(&[Permission::UserCreate, Permission::KeyChange])).await.unwrap();
    let user = identity::user::create(&cli, new_user("dev@example.com", "developer")).await.unwrap();
    let link = identity::link::create(&cli, user.id).await.unwrap();
    let developer = house.by_cookie(&house.enter(&link.path).await.unwrap()).await.unwrap();
    let rotation = Rotation::default();
    assert_eq!(code(key::rotate(&developer, strong.key.id, &rotation).await), Code::Forbidden);
    assert_eq!(code(key::update(&developer, strong.key.id, KeyPatch::default()).await), Code::Forbidden);
    let neighbour = house.neighbour().await;
    assert_eq!(code(key::rotate(&neighbour, strong.key.id, &rotation).await), Code::NotFound);
    assert_eq!(code(key::update(&neighbour, strong.key.id, KeyPatch::default()).await), Code::NotFound);
    assert_eq!(code(key::end_former(&neighbour, strong.key.id).await), Code::NotFound);
}

#[tokio::test]
async fn at_an_abandoned_screen_nobody_gets_a_secret_or_lets_a_program_in() {
    let house = House::build().await;
    let cli = house.cli().await;
    let key = key::create(&cli, new_key(&[Permission::MessageView])).await.unwrap().key.id;
    let new =
        NewClient { name: "App".to_owned(), scopes: vec![Permission::MessageView], ..NewClient::default() };
    let app = client::create(&cli, new.clone()).await.unwrap().client.id;
    let session = house.enter_as_admin().await;
    let fresh = house.by_cookie(&session).await.unwrap();
    let rotation = Rotation::default();
    key::rotate(&fresh, key, &rotation).await.unwrap();
    house.clock.advance_ms(11 * 60_000);
    let stale = house.by_cookie(&session).await.unwrap();
    let provider = NewProvider {
        name: "P".to_owned(),
        issuer: "https://login.example".to_owned(),
        client_id: "x".to_owned(),
        ..NewProvider::default()
    };
    for asked in [
        code(key::rotate(&stale, key, &rotation).await),
        code(key::update(&stale, key, KeyPatch::default()).await),
        code(client::create(&stale, new).await),
        code(client::update(&stale, app, ClientPatch::default()).await),
        code(client::rotate(&stale, app, &rotation).await),
        code(client::delete(&stale, app).await),
        code(provider::create(&stale, provider).await),
    ] {
        assert_eq!(asked, Code::StepUpRequired);
    }
}
