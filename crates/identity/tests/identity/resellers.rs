//! Tenants beneath a tenant: what the operations themselves let a reseller reach.

use identity::tenant::tree::{self, Listing};
use identity::tenant::{self, CreatedTenant, FirstUser, NewTenant, TenantChange};
use runtime::Scope;
use types::{Code, Permission};

use crate::house::{House, code};

async fn open(by: &Scope, name: &str, reseller: bool) -> CreatedTenant {
    let administrator = FirstUser { email: format!("{name}@example.com"), name: name.to_owned() };
    let new = NewTenant {
        name: name.to_owned(),
        reseller,
        administrator: Some(administrator),
        ..NewTenant::default()
    };
    tenant::create(by, new).await.unwrap()
}

async fn enter(house: &House, made: &CreatedTenant) -> Scope {
    let token = house.enter(&made.link.as_ref().unwrap().path).await.unwrap();
    house.by_cookie(&token).await.unwrap()
}

#[tokio::test]
async fn a_reseller_reaches_what_stands_beneath_and_no_neighbour() {
    let house = House::build().await;
    let platform = house.cli().await;
    let (one, other) = (open(&platform, "one", true).await, open(&platform, "other", true).await);
    let (ours, theirs) = (enter(&house, &one).await, enter(&house, &other).await);
    let beneath = open(&ours, "beneath", false).await;
    assert_eq!(beneath.tenant.parent, Some(ours.tenant()));
    let below = enter(&house, &beneath).await;
    assert!(!below.permissions().contains(Permission::SubtenantView), "nobody holds it where none may be");

    let id = beneath.tenant.id;
    assert_eq!(tenant::get(&ours, id).await.unwrap().id, id);
    let renamed = || TenantChange { name: Some("Renamed".to_owned()), ..TenantChange::default() };
    let first = || FirstUser { email: "x@example.com".to_owned(), name: "X".to_owned() };
    for hidden in [id, ours.tenant(), platform.tenant(), theirs.tenant()] {
        assert_eq!(code(tenant::get(&theirs, hidden).await), Code::NotFound);
        assert_eq!(code(tenant::update(&theirs, hidden, renamed()).await), Code::NotFound);
        assert_eq!(code(tenant::invite(&theirs, hidden, first()).await), Code::NotFound);
    }
    assert!(tree::list(&theirs, &Listing::default()).await.unwrap().items.is_empty());
    assert_eq!(code(tenant::get(&below, id).await), Code::Forbidden);
    tenant::update(&ours, id, renamed()).await.unwrap();
    // A right that is taken from the tenant is taken from all who held it, at once.
    let no_more = TenantChange { reseller: Some(false), ..TenantChange::default() };
    tenant::update(&platform, ours.tenant(), no_more).await.unwrap();
    let link = identity::link::create(&ours, one.administrator.as_ref().unwrap().id).await.unwrap();
    let again = house.by_cookie(&house.enter(&link.path).await.unwrap()).await.unwrap();
    assert_eq!(code(tenant::get(&again, id).await), Code::Forbidden);
}
