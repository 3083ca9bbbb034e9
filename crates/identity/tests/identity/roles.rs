//! Roles of a tenant's own, what is given for a time, whose records are reached, and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use db::Tx;
use futures::FutureExt;
use futures::future::BoxFuture;
use identity::client::{self, ClientPatch};
use identity::grant::{self, GrantFilter, NewGrant};
use identity::key::{self, KeyPatch, NewKey};
use identity::role::custom::{self, Grantable, NewRole, RolePatch};
use identity::role::explain::{self, Kind, Owners, Question};
use identity::team::{self, NewTeam, TeamPatch};
use identity::tenant::{self, TenantChange};
use identity::user::{self, Status, User, UserChange};
use identity::{audit, consent, link};
use runtime::Scope;
use types::{
    ClientId, Code, Error, KeyId, MessageId, Permission, Reach, Result, TenantId, Timestamp, UserId,
};
use web::Paging;

use crate::house::{House, code, new_key, new_user, refusal};
use crate::oauth;

fn given(pairs: &[(Permission, Reach)]) -> Grantable {
    Grantable(pairs.iter().map(|(one, reach)| (one.as_str().to_owned(), *reach)).collect())
}

fn role(name: &str, parent: Option<&str>, pairs: &[(Permission, Reach)]) -> NewRole {
    NewRole {
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
        permissions: given(pairs),
        ..NewRole::default()
    }
}

/// A user of a role who has signed in: their scope, their session's token, themselves.
async fn enter(house: &House, admin: &Scope, email: &str, role: &str) -> (Scope, String, User) {
    let user = user::create(admin, new_user(email, role)).await.unwrap();
    let link = link::create(admin, user.id).await.unwrap();
    let token = house.enter(&link.path).await.unwrap();
    (house.by_cookie(&token).await.unwrap(), token, user)
}

async fn admin(house: &House) -> Scope {
    house.by_cookie(&house.enter_as_admin().await).await.unwrap()
}

#[tokio::test]
async fn a_role_inherits_and_counts_from_the_next_request_on() {
    let house = House::build().await;
    let admin = admin(&house).await;
    let night = role("night-shift", Some("support"), &[(Permission::QueueHold, Reach::All)]);
    let made = custom::create(&admin, night).await.unwrap();
    assert!(made.allows.0.contains_key("message.view") && made.own.0.len() == 1);
    let lead = role("night-lead", Some("night-shift"), &[(Permission::TraceStart, Reach::All)]);
    custom::create(&admin, lead).await.unwrap();
    let (ana, token, _) = enter(&house, &admin, "ana@example.com", "night-lead").await;
    for held in [Permission::TraceStart, Permission::QueueHold, Permission::MessageView] {
        ana.require(held).unwrap();
    }
    assert!(ana.require(Permission::RouteChange).is_err());
    let patch = RolePatch {
        permissions: Some(given(&[(Permission::RouteChange, Reach::All)])),
        revision: Some(1),
        ..RolePatch::default()
    };
    custom::update(&admin, "night-shift", patch.clone()).await.unwrap();
    assert_eq!(code(custom::update(&admin, "night-shift", patch).await), Code::Conflict, "the revision");
    let ana = house.by_cookie(&token).await.unwrap();
    ana.require(Permission::RouteChange).unwrap();
    assert!(ana.require(Permission::QueueHold).is_err());
    let circle = RolePatch { parent: Some("night-lead".to_owned()), ..RolePatch::default() };
    assert_eq!(refusal(custom::update(&admin, "night-shift", circle).await).place(), Some("parent"));
    for taken in ["viewer", "night-lead"] {
        assert_eq!(code(custom::create(&admin, role(taken, None, &[])).await), Code::AlreadyExists);
    }
    let above = role("above", Some("platform_admin"), &[]);
    assert_eq!(code(custom::create(&admin, above).await), Code::InvalidValue);
    assert_eq!(code(custom::update(&admin, "viewer", RolePatch::default()).await), Code::Conflict);
    let neighbour = house.neighbour().await;
    assert_eq!(code(custom::get(&neighbour, "night-lead").await), Code::NotFound);
    assert_eq!(
        code(user::create(&neighbour, new_user("n@example.com", "night-lead")).await),
        Code::InvalidValue
    );
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_hold() {
    let house = House::build().await;
    let admin = admin(&house).await;
    let pairs = [
        (Permission::RoleCreate, Reach::All),
        (Permission::RoleView, Reach::All),
        (Permission::RoleChange, Reach::All),
        (Permission::RoleDelete, Reach::All),
        (Permission::GrantCreate, Reach::All),
        (Permission::UserCreate, Reach::All),
        (Permission::UserView, Reach::All),
        (Permission::KeyView, Reach::Own),
    ];
    custom::create(&admin, role("half", None, &pairs)).await.unwrap();
    let (half, _, _) = enter(&house, &admin, "half@example.com", "half").await;
    let more = custom::create(&half, role("more", None, &[(Permission::MessageSend, Reach::All)])).await;
    assert_eq!(refusal(more).place(), Some("permissions/message.send"));
    let wider = custom::create(&half, role("wider", None, &[(Permission::KeyView, Reach::Team)])).await;
    assert_eq!(code(wider), Code::Forbidden);
    assert_eq!(
        refusal(custom::create(&half, role("heir", Some("viewer"), &[])).await).place(),
        Some("parent")
    );
    custom::create(&half, role("less", None, &[(Permission::KeyView, Reach::Own)])).await.unwrap();
    assert_eq!(code(user::create(&half, new_user("v@example.com", "viewer")).await), Code::Forbidden);
    let other = user::create(&half, new_user("l@example.com", "less")).await.unwrap();
    let new = |role: &str| NewGrant {
        user: other.id,
        role: Some(role.to_owned()),
        permissions: None,
        reason: "a test".to_owned(),
        ends_at: house.clock.now().plus_ms(60_000),
    };
    assert_eq!(code(grant::create(&half, new("viewer")).await), Code::Forbidden);
    grant::create(&half, new("less")).await.unwrap();
    // A role that allows more than one may is neither changed nor deleted.
    custom::create(&admin, role("strong", None, &[(Permission::MessageSend, Reach::All)])).await.unwrap();
    let weaker = RolePatch { permissions: Some(Grantable::default()), ..RolePatch::default() };
    assert_eq!(code(custom::update(&half, "strong", weaker).await), Code::Forbidden);
    assert_eq!(code(custom::delete(&half, "strong", None).await), Code::Forbidden);
}

#[tokio::test]
async fn a_role_in_use_goes_to_a_successor_or_stays() {
    let house = House::build().await;
    let admin = admin(&house).await;
    custom::create(&admin, role("old", None, &[(Permission::MessageSend, Reach::All)])).await.unwrap();
    custom::create(&admin, role("below", Some("old"), &[])).await.unwrap();
    let (_, token, ana) = enter(&house, &admin, "ana@example.com", "old").await;
    assert_eq!(
        code(custom::delete(&admin, "old", Some("viewer")).await),
        Code::Conflict,
        "it stands above another"
    );
    custom::delete(&admin, "below", None).await.unwrap();
    assert_eq!(refusal(custom::delete(&admin, "old", None).await).place(), Some("successor"));
    assert_eq!(refusal(custom::delete(&admin, "old", Some("nobody")).await).place(), Some("successor"));
    custom::delete(&admin, "old", Some("viewer")).await.unwrap();
    assert_eq!(user::get(&admin, ana.id).await.unwrap().role, "viewer");
    let scope = house.by_cookie(&token).await.unwrap();
    assert!(scope.require(Permission::MessageSend).is_err());
    scope.require(Permission::MessageView).unwrap();
    assert!(house.trail().await.contains("role.deleted"));
}

#[tokio::test]
async fn what_is_given_for_a_time_ends_to_the_instant_and_is_told() {
    let house = House::build().await;
    let admin = admin(&house).await;
    let (ana, token, user) = enter(&house, &admin, "ana@example.com", "viewer").await;
    let new = |ends_at: Timestamp| NewGrant {
        user: user.id,
        role: None,
        permissions: Some(given(&[(Permission::MessageSend, Reach::All)])),
        reason: "holidays of Ben".to_owned(),
        ends_at,
    };
    let now = house.clock.now();
    assert_eq!(refusal(grant::create(&admin, new(now)).await).place(), Some("ends_at"));
    assert_eq!(code(grant::create(&ana, new(now.plus_ms(1_000))).await), Code::Forbidden);
    let made = grant::create(&admin, new(now.plus_ms(4_000))).await.unwrap();
    house.by_cookie(&token).await.unwrap().require(Permission::MessageSend).unwrap();
    let asked =
        Question { who: Some(user.id.to_string()), permission: "message.send".to_owned(), record: None };
    let told = explain::explain(&admin, &asked).await.unwrap();
    assert!(told.allowed && told.given_by[0].kind == Kind::Grant, "{told:?}");
    assert_eq!(told.given_by[0].until, Some(made.ends_at));
    house.clock.advance_ms(3_999);
    house.by_cookie(&token).await.unwrap().require(Permission::MessageSend).unwrap();
    house.clock.advance_ms(1);
    assert!(house.by_cookie(&token).await.unwrap().require(Permission::MessageSend).is_err());
    grant::note_ended(&house.runtime).await.unwrap();
    grant::note_ended(&house.runtime).await.unwrap();
    let trail = house.trail().await;
    assert_eq!(trail.matches("\"type\":\"grant.ended\"").count(), 1, "{trail}");
    // One that is ended before its time.
    let made = grant::create(&admin, new(house.clock.now().plus_ms(60_000))).await.unwrap();
    house.by_cookie(&token).await.unwrap().require(Permission::MessageSend).unwrap();
    grant::end(&admin, made.id).await.unwrap();
    assert!(house.by_cookie(&token).await.unwrap().require(Permission::MessageSend).is_err());
    let neighbour = house.neighbour().await;
    assert_eq!(code(grant::end(&neighbour, made.id).await), Code::NotFound);
    assert!(grant::list(&neighbour, &GrantFilter::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn own_and_team_reach_no_further() {
    let house = House::build().await;
    let admin = admin(&house).await;
    let pairs = [
        (Permission::UserView, Reach::Team),
        (Permission::KeyView, Reach::Team),
        (Permission::KeyRevoke, Reach::Own),
        (Permission::KeyCreate, Reach::All),
        (Permission::UserLink, Reach::Own),
    ];
    custom::create(&admin, role("member", None, &pairs)).await.unwrap();
    let (_, ana_token, ana) = enter(&house, &admin, "ana@example.com", "member").await;
    let (ben_scope, _, ben) = enter(&house, &admin, "ben@example.com", "member").await;
    let (cid_scope, _, cid) = enter(&house, &admin, "cid@example.com", "member").await;
    let team = NewTeam { name: "Two".to_owned(), members: vec![ana.id, ben.id], ..NewTeam::default() };
    let team = team::create(&admin, team).await.unwrap();
    let of_ben = key::create(&ben_scope, new_key(&[Permission::KeyView])).await.unwrap();
    let of_cid = key::create(&cid_scope, new_key(&[Permission::KeyView])).await.unwrap();
    let ana_scope = house.by_cookie(&ana_token).await.unwrap();
    let mine = key::create(&ana_scope, new_key(&[Permission::KeyView])).await.unwrap();
    let seen = |keys: Vec<key::Key>| keys.into_iter().map(|key| key.id).collect::<Vec<_>>();
    let keys = key::list(&ana_scope, &Paging::default()).await.unwrap().items;
    assert_eq!(seen(keys), [mine.key.id, of_ben.key.id]);
    assert_eq!(code(key::get(&ana_scope, of_cid.key.id).await), Code::NotFound);
    key::get(&ana_scope, of_ben.key.id).await.unwrap();
    assert_eq!(code(key::revoke(&ana_scope, of_ben.key.id).await), Code::Forbidden);
    key::revoke(&ana_scope, mine.key.id).await.unwrap();
    let people = user::list(&ana_scope, &Paging::default()).await.unwrap().items;
    assert_eq!(people.iter().map(|user| user.id).collect::<Vec<_>>(), [ben.id, ana.id]);
    assert_eq!(code(user::get(&ana_scope, cid.id).await), Code::NotFound);
    link::create(&ana_scope, ana.id).await.unwrap();
    assert_eq!(code(link::create(&ana_scope, ben.id).await), Code::Forbidden);
    // A key reaches no further than its owner.
    let secret = key::create(&ana_scope, new_key(&[Permission::KeyView])).await.unwrap().secret.unwrap();
    let by_key = house.by_key(&secret).await.unwrap();
    assert_eq!(code(key::get(&by_key, of_cid.key.id).await), Code::NotFound);
    let alone = TeamPatch { members: Some(vec![ana.id]), ..TeamPatch::default() };
    team::update(&admin, team.id, alone).await.unwrap();
    let ana_scope = house.by_cookie(&ana_token).await.unwrap();
    assert_eq!(code(user::get(&ana_scope, ben.id).await), Code::NotFound);
    let neighbour = house.neighbour().await;
    assert_eq!(code(team::get(&neighbour, team.id).await), Code::NotFound);
    let stranger = NewTeam { name: "Three".to_owned(), members: vec![ana.id], ..NewTeam::default() };
    assert_eq!(refusal(team::create(&neighbour, stranger).await).place(), Some("members"));
}

#[tokio::test]
async fn names_that_were_split_go_on_working_in_keys() {
    let house = House::build().await;
    let admin = admin(&house).await;
    let new: NewKey =
        serde_json::from_str(r#"{ "name": "Old", "scopes": ["key.manage", "message.view"] }"#).unwrap();
    let made = key::create(&admin, new).await.unwrap();
    assert_eq!(made.key.scopes, ["message.view", "key.create", "key.revoke"]);
    // As a key of an earlier version lies in the table.
    let mut tx = house.runtime.db.write(db::Tenancy::Every).await.unwrap();
    tx.execute(
        db::sql!("update api_key set scopes = '[\"route.manage\"]' where tenant_id = $1 and id = $2"),
        db::args![admin.tenant(), made.key.id],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let scope = house.by_key(&made.secret.unwrap()).await.unwrap();
    for held in [Permission::RouteCreate, Permission::RouteDraft, Permission::LookupAsk] {
        scope.require(held).unwrap();
    }
    assert!(scope.require(Permission::MessageView).is_err());
    assert!(serde_json::from_str::<NewKey>(r#"{ "name": "Old", "scopes": ["key.eat"] }"#).is_err());
}

db::record! { struct Scopes { scopes: String } }

#[tokio::test]
async fn a_key_of_an_earlier_version_keeps_what_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let config = runtime::Config::for_tests(dir.path());
    let db = db::Db::open(config.database_url().expose(), &db::Options::default()).await.unwrap();
    let earlier = identity::MIGRATIONS.iter().take_while(|step| step.name != "identity/0015_roles").copied();
    let steps: Vec<_> = runtime::MIGRATIONS.iter().copied().chain(earlier).collect();
    db.migrate(&steps).await.unwrap();
    let mut tx = db.write(db::Tenancy::Every).await.unwrap();
    for text in [
        db::sql!(
            "insert into tenant (id, name, slug, locale, time_zone, status, data_key, created_at) \
             values (1, 'T', 't', 'en', 'UTC', 'active', '', 0)"
        ),
        db::sql!(
            "insert into api_key (id, tenant_id, name, secret_hash, shown, scopes, created_by, created_at) \
             values (2, 1, 'K', '', '', '[\"message.view\",\"queue.view\",\"route.manage\"]', 'x', 0)"
        ),
    ] {
        tx.execute(text, db::args![]).await.unwrap();
    }
    tx.commit().await.unwrap();
    db.migrate(&[runtime::MIGRATIONS, identity::MIGRATIONS].concat()).await.unwrap();
    let mut tx = db.read(db::Tenancy::Every).await.unwrap();
    let text = db::sql!("select scopes from api_key where tenant_id = $1");
    let Scopes { scopes } = tx.one(text, db::args![1_i64]).await.unwrap();
    let names: Vec<String> = serde_json::from_str(&scopes).unwrap();
    for name in ["message.view", "message.pdu", "conversation.view", "dead_letter.export", "route.manage"] {
        assert!(names.iter().any(|held| held == name), "{name} in {scopes}");
    }
    assert!(names.iter().all(|name| types::Permissions::named(name).is_some()), "{scopes}");
}

/// Chance that is the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn pairs(&mut self) -> BTreeMap<String, Reach> {
        let mut pairs = BTreeMap::new();
        for _ in 0..self.below(12) {
            let one = Permission::ALL[self.below(Permission::ALL.len())];
            let reach = [Reach::Own, Reach::Team, Reach::All][self.below(3)];
            if !one.is_platform() && !one.is_of_reseller() {
                pairs.insert(one.as_str().to_owned(), if one.has_owner() { reach } else { Reach::All });
            }
        }
        // What has an owner is what reaches differ for.
        let owned: Vec<_> = Permission::ALL.iter().filter(|one| one.has_owner()).collect();
        let reach = [Reach::Own, Reach::Team, Reach::All][self.below(3)];
        pairs.insert(owned[self.below(owned.len())].as_str().to_owned(), reach);
        pairs
    }
}

struct Asking {
    who: String,
    bearer: Option<String>,
    cookie: Option<String>,
}

/// Roles of the system and roles by chance.
async fn roles_by_chance(admin: &Scope, chance: &mut Chance) -> Vec<String> {
    let mut roles: Vec<String> =
        ["viewer", "support", "operator", "developer", "tenant_admin"].map(str::to_owned).to_vec();
    for n in 0..8 {
        let parent = (n % 2 == 1).then(|| roles[chance.below(roles.len().min(7))].clone());
        let new = NewRole {
            name: format!("role-{n}"),
            parent,
            permissions: Grantable(chance.pairs()),
            ..NewRole::default()
        };
        if custom::create(admin, new).await.is_ok() {
            roles.push(format!("role-{n}"));
        }
    }
    roles
}

/// People, keys and applications that have roles by chance: who asks, and the records that they ask about.
async fn crowd(house: &House, admin: &Scope, chance: &mut Chance) -> (Vec<Asking>, Vec<String>) {
    let roles = roles_by_chance(admin, chance).await;
    let (mut asking, mut records): (Vec<Asking>, Vec<String>) = (Vec::new(), Vec::new());
    let mut users: Vec<UserId> = Vec::new();
    for n in 0..14 {
        let role = roles[(n * 5 + chance.below(2)) % roles.len()].clone();
        let (_, token, user) = enter(house, admin, &format!("p{n}@example.com"), &role).await;
        if n % 3 == 0 {
            let new = NewGrant {
                user: user.id,
                role: None,
                permissions: Some(Grantable(chance.pairs())),
                reason: "by chance".to_owned(),
                ends_at: house.clock.now().plus_ms(if n == 6 { 1_000 } else { 3_600_000 }),
            };
            grant::create(admin, new).await.unwrap();
        }
        let mut scopes: Vec<Permission> = Permission::ALL.to_vec();
        scopes.retain(|_| chance.below(2) == 0);
        let scope = house.by_cookie(&token).await.unwrap();
        let held: Vec<_> = scopes.into_iter().filter(|one| scope.permissions().contains(*one)).collect();
        if scope.permissions().contains(Permission::KeyCreate) && !held.is_empty() {
            let made = key::create(&scope, new_key(&held)).await.unwrap();
            records.push(made.key.id.to_string());
            asking.push(Asking { who: made.key.id.to_string(), bearer: made.secret, cookie: None });
        }
        if scope.permissions().contains(Permission::ClientCreate) && !held.is_empty() {
            let made = client::create(&scope, oauth::server(&held)).await.unwrap();
            let token = oauth::server_token(house, &made).await.token("access_token");
            records.push(made.client.id.to_string());
            asking.push(Asking { who: made.client.id.to_string(), bearer: Some(token), cookie: None });
        }
        if n % 2 == 0 && !held.is_empty() {
            let wanted: Vec<_> = held.iter().copied().filter(|one| !one.is_platform()).collect();
            let app = client::create(admin, oauth::phone(&wanted)).await.unwrap().client.id.to_string();
            let code = oauth::code_of(house, &token, &app).await;
            let got = oauth::redeem(house, &app, &code, oauth::VERIFIER).await.token("access_token");
            let consent = consent::list_own(&scope).await.unwrap()[0].id;
            if n == 8 {
                consent::end_own(&scope, consent).await.unwrap();
            }
            asking.push(Asking { who: consent.to_string(), bearer: Some(got), cookie: None });
        }
        records.push(user.id.to_string());
        asking.push(Asking { who: user.id.to_string(), bearer: None, cookie: Some(token) });
        users.push(user.id);
    }
    for members in [vec![users[0], users[3], users[5]], vec![users[3], users[8]]] {
        let name = format!("team {}", members.len());
        team::create(admin, NewTeam { name, members, ..NewTeam::default() }).await.unwrap();
    }
    let disabled = UserChange { status: Some(Status::Disabled), ..UserChange::default() };
    user::update(admin, users[4], disabled).await.unwrap();
    let revoked: Vec<_> =
        asking.iter().filter(|one| one.who.starts_with("key_")).take(1).map(|one| one.who.clone()).collect();
    for key in revoked {
        key::revoke(admin, key.parse().unwrap()).await.unwrap();
    }
    house.clock.advance_ms(2_000);
    (asking, records)
}

/// Messages that the gateway would keep, and whose they are.
struct Letters(BTreeMap<MessageId, Option<UserId>>);

impl Letters {
    /// Some of each of these people, and some of nobody.
    fn of(people: &[UserId]) -> Self {
        let owners = people.iter().copied().map(Some).chain([None, None]);
        Self(owners.enumerate().map(|(n, owner)| (MessageId::from_raw(n as i64 + 1), owner)).collect())
    }
}

impl Owners for Letters {
    fn owner<'a>(
        &'a self,
        _: &'a mut Tx,
        _: TenantId,
        record: &'a str,
    ) -> BoxFuture<'a, Result<Option<Option<UserId>>>> {
        let found = match record.parse::<MessageId>() {
            Ok(id) => self.0.get(&id).copied().map(Some).ok_or_else(|| Error::not_found("message")),
            Err(_) => Ok(None),
        };
        std::future::ready(found).boxed()
    }
}

#[tokio::test]
async fn the_explainer_says_what_enforcement_does() {
    let house = House::build().await;
    let admin = admin(&house).await;
    let mut chance = Chance(7);
    let (asking, mut records) = crowd(&house, &admin, &mut chance).await;
    let people: Vec<UserId> = records.iter().filter_map(|record| record.parse().ok()).collect();
    let letters = Arc::new(Letters::of(&people));
    records.extend(letters.0.keys().map(ToString::to_string));
    explain::name_owners(&house.runtime, letters.clone());
    let (mut allowed, mut reached) = (0, 0);
    for _ in 0..20_000 {
        let one = &asking[chance.below(asking.len())];
        // Most of the questions are about what has an owner.
        let permission = match chance.below(4) {
            0 => Permission::ALL[chance.below(Permission::ALL.len())],
            _ => {
                let owned: Vec<_> = Permission::ALL.iter().filter(|one| one.has_owner()).collect();
                *owned[chance.below(owned.len())]
            }
        };
        let record = (chance.below(4) > 0).then(|| records[chance.below(records.len())].clone());
        let enforced = match house.signed(one.bearer.as_deref(), one.cookie.as_deref()).await {
            Err(_) => false,
            Ok(scope) => enforced(&house, &admin, &letters, &scope, permission, record.as_deref()).await,
        };
        let asked = Question {
            who: Some(one.who.clone()),
            permission: permission.as_str().to_owned(),
            record: record.clone(),
        };
        let told = explain::explain(&admin, &asked).await.unwrap();
        assert_eq!(told.allowed, enforced, "{asked:?} {told:?}");
        assert!(told.allowed || !told.barred_by.is_empty(), "{told:?}");
        assert!(!told.allowed || (!told.given_by.is_empty() && told.barred_by.is_empty()), "{told:?}");
        allowed += usize::from(enforced);
        reached += usize::from(told.barred_by.iter().any(|ground| ground.kind == Kind::Reach));
    }
    assert!((1_000..9_000).contains(&allowed) && reached > 100, "{allowed} allowed, {reached} out of reach");
}

/// What the operations themselves do: they require, and where a record has an owner they require for it.
async fn enforced(
    house: &House,
    admin: &Scope,
    letters: &Letters,
    scope: &Scope,
    permission: Permission,
    record: Option<&str>,
) -> bool {
    let Some(record) = record else { return scope.require(permission).is_ok() };
    if let Ok(id) = record.parse::<MessageId>() {
        return scope.held().allows(permission, letters.0[&id]);
    }
    let user: Option<UserId> = record.parse().ok();
    let (key, client) = (record.parse::<KeyId>().ok(), record.parse::<ClientId>().ok());
    let went = |result: Result<()>| result.map_or_else(|error| error.code() == Code::Conflict, |()| true);
    match (permission, user) {
        (Permission::UserView, Some(id)) => return user::get(scope, id).await.is_ok(),
        (Permission::UserLink, Some(id)) if user::get(admin, id).await.unwrap().status == "active" => {
            return link::create(scope, id).await.is_ok();
        }
        _ => {}
    }
    match (permission, key, client) {
        (Permission::KeyView, Some(id), _) => return key::get(scope, id).await.is_ok(),
        (Permission::KeyChange, Some(id), _) => {
            return went(key::update(scope, id, KeyPatch::default()).await.map(drop));
        }
        (Permission::ClientView, _, Some(id)) => return client::get(scope, id).await.is_ok(),
        (Permission::ClientChange, _, Some(id)) => {
            return went(client::update(scope, id, ClientPatch::default()).await.map(drop));
        }
        _ => {}
    }
    let owner = match user {
        Some(id) => Some(id),
        None => match (key, client) {
            (Some(id), _) => key::get(admin, id).await.unwrap().created_by.parse().ok(),
            (None, Some(id)) => client::get(admin, id).await.unwrap().created_by.parse().ok(),
            (None, None) => None,
        },
    };
    let governed = matches!(
        permission,
        Permission::UserChange | Permission::UserRole | Permission::UserLink | Permission::UserSecurity
    );
    let outranked = match user {
        Some(id) if governed => {
            let mut tx = scope.read().await.unwrap();
            let theirs = identity::role::rights::of_user(&mut tx, scope.tenant(), id, house.clock.now())
                .await
                .unwrap();
            !scope.held().covers(&theirs.held(house.clock.now()))
        }
        _ => false,
    };
    scope.require_for(permission, owner).is_ok() && !outranked
}

#[tokio::test]
async fn what_stands_in_the_way_is_said_with_a_link() {
    let house = House::build().await;
    let cli = house.cli().await;
    let neighbour = house.neighbour().await;
    let secret = key::create(&neighbour, new_key(&[Permission::MessageView])).await.unwrap();
    let ask = async |scope: &Scope, who: Option<String>, permission: &str| {
        let asked = Question { who, permission: permission.to_owned(), record: None };
        explain::explain(scope, &asked).await
    };
    let told = ask(&neighbour, Some(secret.key.id.to_string()), "message.send").await.unwrap();
    assert!(!told.allowed && told.barred_by[0].kind == Kind::KeyScopes);
    assert_eq!(told.barred_by[0].href, Some(format!("/api-keys/{}", secret.key.id)));
    let oneself = ask(&neighbour, None, "tenant.view").await.unwrap();
    assert!(!oneself.allowed && oneself.barred_by[0].kind == Kind::NotGiven);
    assert_eq!(code(ask(&neighbour, Some(cli.actor().to_string()), "message.send").await), Code::NotFound);
    assert_eq!(code(ask(&neighbour, None, "message.eat").await), Code::InvalidFilter);
    let by_key = house.by_key(&secret.secret.unwrap()).await.unwrap();
    assert!(ask(&by_key, None, "message.view").await.unwrap().allowed, "about oneself everybody may ask");
    let other = Some(neighbour.actor().to_string());
    assert_eq!(code(ask(&by_key, other.clone(), "message.view").await), Code::Forbidden);
    let suspended = TenantChange { status: Some(tenant::Status::Suspended), ..TenantChange::default() };
    tenant::update(&cli, neighbour.tenant(), suspended).await.unwrap();
    let told = ask(&neighbour, other, "message.view").await.unwrap();
    assert!(!told.allowed && told.barred_by[0].kind == Kind::TenantSuspended);
    assert!(audit::check(&neighbour).await.unwrap().whole);
}
