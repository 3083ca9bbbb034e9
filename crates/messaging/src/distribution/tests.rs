use serde_json::json;

use super::*;
use crate::tests::{House, patch};

fn friends(rule: serde_json::Value) -> NewDistributionList {
    NewDistributionList { name: "friends".to_owned(), rule: patch(rule) }
}

#[tokio::test]
async fn a_list_is_its_tenants_alone() {
    let house = House::build().await;
    let members = json!({"members": ["+33612345678", "33612345679", "+33612345678"]});
    let made = create(&house.ours, friends(members)).await.unwrap();
    assert_eq!(made.rule.members, ["+33612345678", "+33612345679"], "each once, in one form");
    assert_eq!(create(&house.ours, friends(json!({}))).await.unwrap_err().code(), Code::AlreadyExists);
    create(&house.theirs, friends(json!({}))).await.unwrap();
    assert_eq!(get(&house.theirs, made.id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(delete(&house.theirs, made.id).await.unwrap_err().code(), Code::NotFound);
    let patch_of = |revision| DistributionListPatch {
        rule: patch(json!({"members": null})),
        revision: Some(revision),
        ..DistributionListPatch::default()
    };
    assert_eq!(change(&house.theirs, made.id, patch_of(1)).await.unwrap_err().code(), Code::NotFound);
    let changed = change(&house.ours, made.id, patch_of(1)).await.unwrap();
    assert_eq!((changed.revision, changed.rule.members.len()), (2, 0));
    assert_eq!(change(&house.ours, made.id, patch_of(1)).await.unwrap_err().code(), Code::Conflict);
    delete(&house.ours, made.id).await.unwrap();
    assert_eq!(list(&house.ours, &Paging::default()).await.unwrap().items.len(), 0);
    assert!(house.events().await.contains("distribution_list.deleted"));
}

#[tokio::test]
async fn an_account_finds_the_lists_that_it_may_use() {
    let house = House::build().await;
    let (one, other) = (AccountId::from_raw(1), AccountId::from_raw(2));
    create(&house.ours, friends(json!({"members": ["+33612345678"], "accounts": [one]}))).await.unwrap();
    let found = async |tenant, account, name| members(&house.runtime, tenant, account, name).await.unwrap();
    let ours = house.ours.tenant();
    assert_eq!(found(ours, one, "friends").await.as_deref(), Some(&["+33612345678".to_owned()][..]));
    assert_eq!(found(ours, other, "friends").await, None);
    assert_eq!(found(ours, one, "strangers").await, None);
    assert_eq!(found(house.theirs.tenant(), one, "friends").await, None);
}

#[test]
fn what_dl_name_or_a_list_cannot_hold_is_refused_at_its_place() {
    let rule = |members: Vec<String>| ListRule { members, ..ListRule::default() }.checked().unwrap_err();
    assert_eq!(rule(vec!["+33612345678".to_owned(), "you".to_owned()]).place(), Some("rule.members[1]"));
    assert_eq!(rule(vec!["+33612345678".to_owned(); 1_001]).place(), Some("rule.members"));
}
