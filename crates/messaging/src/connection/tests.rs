use serde_json::json;

use super::*;
use crate::tests::{House, patch};

pub(crate) fn new(name: &str) -> NewConnection {
    NewConnection {
        name: name.to_owned(),
        password: Some("hunter2!".to_owned()),
        settings: patch(json!({"host": "smsc.example", "system_id": "us"})),
        ..NewConnection::default()
    }
}

#[tokio::test]
async fn the_password_opens_for_the_link_and_shows_nowhere() {
    let house = House::build().await;
    let made = create(&house.ours, new("carrier")).await.unwrap();
    let connectors::Settings::Smpp(link) = link_settings(&house.runtime, &made).await.unwrap() else {
        panic!("SMPP unless said otherwise")
    };
    assert_eq!(
        (link.host.name.as_str(), link.password.as_str(), link.login.version, link.host.port),
        ("smsc.example", "hunter2!", 0x34, 2775)
    );
    assert!(!made.password_sealed.contains("hunter2!"));

    let changed = ConnectionPatch { password: Some("other".to_owned()), ..ConnectionPatch::default() };
    let changed = change(&house.ours, made.id, changed).await.unwrap();
    let connectors::Settings::Smpp(link) = link_settings(&house.runtime, &changed).await.unwrap() else {
        panic!("the protocol stays")
    };
    assert_eq!(link.password, "other");
    let texts = [serde_json::to_string(&changed).unwrap(), house.events().await];
    for text in &texts {
        assert!(
            !text.contains("hunter2!")
                && !text.contains("password_sealed")
                && !text.contains(&changed.password_sealed)
        );
    }
    assert!(texts[1].contains("connection.created") && texts[1].contains("connection.changed"));
}

#[tokio::test]
async fn each_protocol_gets_its_own_link_settings() {
    let house = House::build().await;
    let of = |protocol: &str| NewConnection {
        settings: patch(json!({
            "host": "smsc.example", "system_id": "10000", "protocol": protocol, "window": 50,
            "oton": 1, "utc_offset_minutes": -60, "subaddress": "2", "checksum": false,
        })),
        ..new(protocol)
    };
    let ucp = create(&house.ours, of("ucp")).await.unwrap();
    let connectors::Settings::Ucp(link) = link_settings(&house.runtime, &ucp).await.unwrap() else {
        panic!("not UCP")
    };
    assert_eq!((link.login.oton.as_str(), link.login.utc_offset_minutes, link.window), ("1", -60, 50));
    let cimd = create(&house.ours, of("cimd2")).await.unwrap();
    let connectors::Settings::Cimd(link) = link_settings(&house.runtime, &cimd).await.unwrap() else {
        panic!("not CIMD2")
    };
    assert_eq!((link.login.subaddress.as_str(), link.login.no_checksum), ("2", true));
    let refused = create(&house.ours, of("x25")).await.unwrap_err();
    assert_eq!(refused.place(), Some("settings.protocol"));
}

#[tokio::test]
async fn what_is_wanted_is_said_once() {
    let house = House::build().await;
    let made = create(&house.ours, new("carrier")).await.unwrap();
    assert_eq!((made.wanted, made.revision), (Wanted::Started, 1));
    assert_eq!(operate(&house.ours, made.id, Wanted::Started).await.unwrap().revision, 1);
    assert_eq!(operate(&house.ours, made.id, Wanted::Draining).await.unwrap().revision, 2);
    assert_eq!(load(&house.runtime, made.id).await.unwrap().unwrap().wanted, Wanted::Draining);
    let viewer = house.scope(house.ours.tenant(), [Permission::ConnectionChange].into_iter().collect());
    assert_eq!(operate(&viewer, made.id, Wanted::Stopped).await.unwrap_err().code(), Code::Forbidden);
}

#[tokio::test]
async fn tenants_never_meet_and_names_are_each_tenants_own() {
    let house = House::build().await;
    let id = create(&house.ours, new("carrier")).await.unwrap().id;
    assert!(create(&house.theirs, new("carrier")).await.is_ok());
    let refused = create(&house.ours, new("carrier")).await.unwrap_err();
    assert_eq!((refused.code(), refused.place()), (Code::AlreadyExists, Some("name")));

    assert_eq!(get(&house.theirs, id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(
        change(&house.theirs, id, ConnectionPatch::default()).await.unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(operate(&house.theirs, id, Wanted::Stopped).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(delete(&house.theirs, id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(list(&house.theirs, &Paging::default()).await.unwrap().items.len(), 1);
    assert_eq!(load_all(&house.runtime).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_change_on_an_old_revision_is_refused() {
    let house = House::build().await;
    let id = create(&house.ours, new("carrier")).await.unwrap().id;
    let wanted = ConnectionPatch {
        settings: patch(json!({"window": 50, "extra": [{"tag": 5121, "hex": "0102"}]})),
        revision: Some(1),
        ..ConnectionPatch::default()
    };
    let changed = change(&house.ours, id, wanted.clone()).await.unwrap();
    assert_eq!(
        (changed.revision, changed.settings.window, changed.settings.host.as_str()),
        (2, 50, "smsc.example")
    );
    assert_eq!(change(&house.ours, id, wanted).await.unwrap_err().code(), Code::Conflict);
    let hostless = ConnectionPatch { settings: patch(json!({"host": null})), ..ConnectionPatch::default() };
    assert_eq!(change(&house.ours, id, hostless).await.unwrap_err().place(), Some("settings.host"));
    assert_eq!(get(&house.ours, id).await.unwrap(), changed);
}
