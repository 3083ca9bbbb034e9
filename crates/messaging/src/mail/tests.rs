use serde_json::json;
use types::{Permission, Permissions};

use super::*;
use crate::account::{self, NewAccount};
use crate::tests::{House, patch};

async fn account(house: &House, scope: &Scope, name: &str) -> AccountId {
    let _ = house;
    let new = NewAccount { system_id: name.to_owned(), ..NewAccount::default() };
    account::create(scope, new).await.unwrap().account.id
}

fn new(account: AccountId, subdomain: &str) -> NewMailGateway {
    NewMailGateway {
        account,
        subdomain: subdomain.to_owned(),
        name: None,
        active: None,
        settings: Patch::default(),
    }
}

#[tokio::test]
async fn tenants_do_not_meet_and_names_are_unique_over_all() {
    let house = House::build().await;
    let ours = account(&house, &house.ours, "ours").await;
    let theirs = account(&house, &house.theirs, "theirs").await;
    let gateway = create(&house.ours, new(ours, "Acme")).await.unwrap();
    assert_eq!((gateway.subdomain.as_str(), gateway.name.as_str()), ("acme", "acme"));
    assert_eq!(get(&house.ours, gateway.id).await.unwrap(), gateway);
    for error in [
        get(&house.theirs, gateway.id).await.unwrap_err(),
        change(&house.theirs, gateway.id, MailGatewayPatch::default()).await.unwrap_err(),
        delete(&house.theirs, gateway.id).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Code::NotFound);
    }
    assert!(list(&house.theirs).await.unwrap().items.is_empty());
    assert_eq!(create(&house.theirs, new(theirs, "ACME")).await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(create(&house.theirs, new(ours, "other")).await.unwrap_err().place(), Some("account"));
    assert_eq!(create(&house.ours, new(ours, "second")).await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(by_subdomain(&house.runtime, "acme").await.unwrap(), Some(gateway.clone()));
    account::delete(&house.ours, ours).await.unwrap();
    assert_eq!(by_subdomain(&house.runtime, "acme").await.unwrap(), None, "it goes with its account");
}

#[tokio::test]
async fn changes_are_checked_and_told() {
    let house = House::build().await;
    let id = account(&house, &house.ours, "ours").await;
    let gateway = create(&house.ours, new(id, "acme")).await.unwrap();
    let change_to = async |settings| {
        let change_to = MailGatewayPatch { settings: patch(settings), ..MailGatewayPatch::default() };
        change(&house.ours, gateway.id, change_to).await
    };
    for (settings, place) in [
        (json!({ "networks": ["0.0.0.0/0"], "senders": ["@a.example"] }), "settings.networks"),
        (json!({ "networks": ["10.0.0.0/8"] }), "settings.senders"),
        (json!({ "senders": ["nobody"] }), "settings.senders"),
        (json!({ "senders": ["@no domain"] }), "settings.senders"),
        (json!({ "sender": "much too long a name" }), "settings.sender"),
        (json!({ "sender_of": [{ "address": "x", "sender": "A" }] }), "settings.sender_of"),
        (json!({ "cut_at": [" "] }), "settings.cut_at"),
        (json!({ "parts_max": 0 }), "settings.parts_max"),
    ] {
        assert_eq!(change_to(settings).await.unwrap_err().place(), Some(place));
    }
    let settings = json!({ "networks": ["10.0.0.0/8"], "senders": ["@A.example", "bob@b.example"] });
    let changed = change_to(settings).await.unwrap();
    assert_eq!(changed.revision, 2);
    let admits = |from: &str, sender: &str| changed.settings.admits(from.parse().unwrap(), sender);
    assert!(admits("10.1.2.3", "Anna@a.example") && admits("10.1.2.3", "bob@b.example"));
    assert!(!admits("11.1.2.3", "anna@a.example") && !admits("10.1.2.3", "eve@b.example"));
    assert!(!admits("10.1.2.3", "anna@sub.a.example") && !admits("10.1.2.3", ""));
    let outdated = MailGatewayPatch { revision: Some(1), ..MailGatewayPatch::default() };
    assert_eq!(change(&house.ours, gateway.id, outdated).await.unwrap_err().code(), Code::Conflict);
    delete(&house.ours, gateway.id).await.unwrap();
    let events = house.events().await;
    for name in ["mail_gateway.created", "mail_gateway.changed", "mail_gateway.deleted"] {
        assert!(events.contains(name), "{name}");
    }
    let reader = house.scope(house.ours.tenant(), Permissions::from_iter([Permission::MailView]));
    assert!(list(&reader).await.is_ok());
    assert_eq!(create(&reader, new(id, "more")).await.unwrap_err().code(), Code::Forbidden);
}

#[test]
fn single_addresses_have_senders_of_their_own() {
    let settings = GatewaySettings {
        sender: Some("ACME".to_owned()),
        sender_of: vec![
            SenderOf { address: "anna@a.example".to_owned(), sender: "Anna".to_owned() },
            SenderOf { address: "@b.example".to_owned(), sender: "Shop".to_owned() },
        ],
        ..GatewaySettings::default()
    };
    assert_eq!(settings.sender_for("ANNA@a.example"), Some("Anna"));
    assert_eq!(settings.sender_for("x@b.example"), Some("Shop"));
    assert_eq!(settings.sender_for("x@c.example"), Some("ACME"));
    assert_eq!(GatewaySettings::default().sender_for("x@c.example"), None);
}

#[tokio::test]
async fn a_test_mail_without_a_server_says_what_is_missing() {
    let house = House::build().await;
    let test = |to: &str| outgoing::TestMail { to: to.to_owned() };
    let error = outgoing::test(&house.ours, &test("anna@example.com")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    let error = outgoing::test(&house.ours, &test("anna")).await.unwrap_err();
    assert_eq!((error.code(), error.place()), (Code::InvalidAddress, Some("to")));
}
