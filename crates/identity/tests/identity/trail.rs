//! What the audit trail holds.

use identity::first_start::ADMIN_EMAIL;
use identity::user::{self, UserChange};
use identity::{audit, key, link};
use types::{Code, Permission};

use crate::house::{ADMIN_KEY, House, PASSWORD, code, new_key, new_user};

#[tokio::test]
async fn the_trail_has_before_and_after_and_no_secret() {
    let house = House::build().await;
    let token = house.enter_as_admin().await;
    let admin = house.by_cookie(&token).await.unwrap();
    user::set_own_password(&admin, "", PASSWORD, Some(&token)).await.unwrap();
    let made = key::create(&admin, new_key(&[Permission::MessageView])).await.unwrap();
    key::revoke(&admin, made.key.id).await.unwrap();
    let _refused = house.enter_by_password(ADMIN_EMAIL, "a wrong guess").await;
    let dev = user::create(&admin, new_user("dev@example.com", "developer")).await.unwrap();
    let link = link::create(&admin, dev.id).await.unwrap();
    let viewer = UserChange { role: Some("viewer".to_owned()), ..UserChange::default() };
    user::update(&admin, dev.id, viewer).await.unwrap();
    let mut trail = house.trail().await;
    for _ in 0..200 {
        if trail.contains("user.refused") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        trail = house.trail().await;
    }
    for kind in [
        "tenant.created",
        "user.created",
        "user.changed",
        "user.signed_in",
        "user.refused",
        "user.link_issued",
        "key.created",
        "key.revoked",
    ] {
        assert!(trail.contains(kind), "{kind} is missing in {trail}");
    }
    assert!(trail.contains(r#""role":"developer""#) && trail.contains(r#""role":"viewer""#));
    assert!(trail.contains(r#""request_id":"req-1""#) && trail.contains(r#""from":"192.0.2.7""#));
    let link_token = link.path.split_once("token=").unwrap().1;
    let secret = made.secret.unwrap();
    for hidden in [PASSWORD, "a wrong guess", link_token, &secret, &token, ADMIN_KEY, "argon2"] {
        assert!(!trail.contains(hidden), "{hidden} is in the trail");
    }
    let only = audit::Filter {
        kind: Some("key.revoked".to_owned()),
        limit: Some("1".to_owned()),
        ..audit::Filter::default()
    };
    let page = audit::list(&admin, &only).await.unwrap();
    assert_eq!((page.items.len(), page.items[0].actor.clone()), (1, admin.actor().to_string()));
    let nobody = audit::Filter { actor: Some("usr_0000000000000".to_owned()), ..audit::Filter::default() };
    assert!(audit::list(&admin, &nobody).await.unwrap().items.is_empty());
    let unknown = audit::Filter { kind: Some("key.eaten".to_owned()), ..audit::Filter::default() };
    assert_eq!(code(audit::list(&admin, &unknown).await), Code::InvalidFilter);
}

#[tokio::test]
async fn the_trail_is_read_in_pages_without_gap() {
    let house = House::build().await;
    let cli = house.cli().await;
    for n in 0..12 {
        user::create(&cli, new_user(&format!("u{n}@example.com"), "viewer")).await.unwrap();
    }
    let mut filter = audit::Filter { limit: Some("5".to_owned()), ..audit::Filter::default() };
    let mut seqs = Vec::new();
    loop {
        let page = audit::list(&cli, &filter).await.unwrap();
        seqs.extend(page.items.iter().map(|entry| entry.seq));
        let Some(next) = page.next else { break };
        filter.after = Some(next);
    }
    let last = seqs[0];
    assert_eq!(seqs, (1..=last).rev().collect::<Vec<_>>());
}
