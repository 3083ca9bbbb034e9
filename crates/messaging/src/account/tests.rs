use serde_json::json;
use types::Permissions;

use super::*;
use crate::tests::{House, patch};

fn new(system_id: &str) -> NewAccount {
    NewAccount { system_id: system_id.to_owned(), ..NewAccount::default() }
}

#[tokio::test]
async fn an_account_is_made_with_the_installations_defaults_and_a_password_that_binds() {
    let house = House::build().await;
    let made = create(&house.ours, new("acme")).await.unwrap();
    assert_eq!((made.account.name.as_str(), made.account.active, made.account.revision), ("acme", true, 1));
    assert_eq!(made.account.settings.binds_max, 4);
    assert_eq!(made.password.len(), 8);

    let found = find_for_bind(&house.runtime, "acme").await.unwrap().unwrap();
    assert_eq!((found.tenant, found.active, found.tenant_active), (house.ours.tenant(), true, true));
    assert!(password_matches(&house.runtime, &made.password, Some(&found)).await.unwrap());
    assert!(!password_matches(&house.runtime, "guess", Some(&found)).await.unwrap());
    assert!(!password_matches(&house.runtime, &made.password, None).await.unwrap());
    assert!(find_for_bind(&house.runtime, "nobody").await.unwrap().is_none());
}

#[tokio::test]
async fn a_password_is_told_once_and_stands_nowhere() {
    let house = House::build().await;
    let made = create(&house.ours, NewAccount { password: Some("hunter2!".to_owned()), ..new("acme") })
        .await
        .unwrap();
    let reset = reset_password(&house.ours, made.account.id).await.unwrap();
    let found = find_for_bind(&house.runtime, "acme").await.unwrap().unwrap();
    assert!(!password_matches(&house.runtime, "hunter2!", Some(&found)).await.unwrap());
    assert!(password_matches(&house.runtime, &reset.password, Some(&found)).await.unwrap());

    let events = house.events().await;
    let answer = serde_json::to_string(&get(&house.ours, made.account.id).await.unwrap()).unwrap();
    for text in [&events, &answer] {
        for secret in ["hunter2!", &reset.password, &found.password_hash] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(events.contains("account.created") && events.contains("account.changed"));
}

#[tokio::test]
async fn a_system_id_is_one_accounts_on_the_whole_platform() {
    let house = House::build().await;
    create(&house.ours, new("acme")).await.unwrap();
    let refused = create(&house.theirs, new("acme")).await.unwrap_err();
    assert_eq!((refused.code(), refused.place()), (Code::AlreadyExists, Some("system_id")));
    assert!(!refused.message().contains(&house.ours.tenant().to_string()));
}

#[tokio::test]
async fn tenants_never_meet() {
    let house = House::build().await;
    let id = create(&house.ours, new("acme")).await.unwrap().account.id;
    assert_eq!(get(&house.theirs, id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(change(&house.theirs, id, AccountPatch::default()).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(reset_password(&house.theirs, id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(delete(&house.theirs, id).await.unwrap_err().code(), Code::NotFound);
    assert!(list(&house.theirs, &Paging::default()).await.unwrap().items.is_empty());
    assert_eq!(get(&house.ours, id).await.unwrap().revision, 1);
}

#[tokio::test]
async fn a_change_on_an_old_revision_is_refused() {
    let house = House::build().await;
    let id = create(&house.ours, new("acme")).await.unwrap().account.id;
    let wanted = AccountPatch {
        name: Some("Acme".to_owned()),
        settings: patch(json!({"window_max": 7, "allow_from": ["203.0.113.0/24"]})),
        revision: Some(1),
        ..AccountPatch::default()
    };
    let changed = change(&house.ours, id, wanted.clone()).await.unwrap();
    assert_eq!((changed.revision, changed.name.as_str(), changed.settings.window_max), (2, "Acme", 7));
    assert_eq!(change(&house.ours, id, wanted).await.unwrap_err().code(), Code::Conflict);
    let back = AccountPatch { settings: patch(json!({"window_max": null})), ..AccountPatch::default() };
    let back = change(&house.ours, id, back).await.unwrap();
    assert_eq!((back.settings.window_max, back.settings.allow_from.len()), (100, 1));
    assert_eq!(get(&house.ours, id).await.unwrap(), back);
}

#[tokio::test]
async fn values_are_refused_at_their_place() {
    let house = House::build().await;
    let cases = [
        (json!({"binds_max": 0}), Code::InvalidValue, "settings.binds_max"),
        (json!({"window_max": 1001}), Code::InvalidValue, "settings.window_max"),
        (json!({"binds_max": 70_000}), Code::InvalidBody, "settings.binds_max"),
        (json!({"allow_from": ["10.0.0.1/8"]}), Code::InvalidBody, "settings.allow_from[0]"),
        (json!({"sender_default": "A much too long name"}), Code::InvalidSender, "settings.sender_default"),
        (
            json!({"sender_default": "ACME", "senders": ["OTHER"]}),
            Code::InvalidValue,
            "settings.sender_default",
        ),
        (json!({"numbers": ["12"]}), Code::InvalidRecipient, "settings.numbers"),
        (json!({"callback_url": "ftp://x"}), Code::InvalidUrl, "settings.callback_url"),
        (json!({"intent_default": "spam"}), Code::InvalidBody, "settings.intent_default"),
    ];
    for (settings, code, place) in cases {
        let refused =
            create(&house.ours, NewAccount { settings: patch(settings), ..new("acme") }).await.unwrap_err();
        assert_eq!((refused.code(), refused.place()), (code, Some(place)));
    }
    for system_id in ["", "sixteen_letters_", "a b", "é"] {
        assert_eq!(create(&house.ours, new(system_id)).await.unwrap_err().place(), Some("system_id"));
    }
}

#[tokio::test]
async fn a_number_is_one_accounts() {
    let house = House::build().await;
    let with = |system_id: &str| NewAccount {
        settings: patch(json!({"numbers": ["+33 6 12 34 56 78"]})),
        ..new(system_id)
    };
    let first = create(&house.ours, with("one")).await.unwrap();
    assert_eq!(first.account.settings.numbers, ["+33612345678"]);
    assert_eq!(create(&house.ours, with("two")).await.unwrap_err().place(), Some("settings.numbers"));
    assert!(create(&house.theirs, with("three")).await.is_ok());
}

#[tokio::test]
async fn rights_are_asked_for_and_pages_turn() {
    let house = House::build().await;
    let nobody = house.scope(house.ours.tenant(), Permissions::NONE);
    assert_eq!(create(&nobody, new("acme")).await.unwrap_err().code(), Code::Forbidden);
    assert_eq!(list(&nobody, &Paging::default()).await.unwrap_err().code(), Code::Forbidden);
    for system_id in ["one", "two", "three"] {
        create(&house.ours, new(system_id)).await.unwrap();
    }
    let first = list(&house.ours, &Paging { after: None, limit: Some("2".to_owned()) }).await.unwrap();
    let names = |page: &Page<Account>| page.items.iter().map(|one| one.system_id.clone()).collect::<Vec<_>>();
    assert_eq!(names(&first), ["three", "two"]);
    let rest = list(&house.ours, &Paging { after: first.next, limit: Some("2".to_owned()) }).await.unwrap();
    assert_eq!((names(&rest), rest.next), (vec!["one".to_owned()], None));
}
