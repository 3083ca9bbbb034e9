//! Data keys and root keys turn; nothing becomes unreadable, and nobody else's secrets are touched.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Tenancy, args, record, sql};
use identity::encryption::{self, Sealed, reseal, root};
use runtime::job::Outcome;
use runtime::secrets::{Vault, sealing_key_id};
use runtime::{Actor, Origin, Runtime, Scope};
use types::{Code, Permission, Permissions, TenantId};

use crate::house::{House, code};

/// The table of users stands for one with a sealed column: its names are sealed here.
const NAMES: Sealed = Sealed {
    title: "Names",
    table: "users",
    column: "name",
    row: |id| id.to_string(),
    count: sql!("select count(*) as n from users where tenant_id = $1 and name like $2"),
    walk: sql!(
        "select id, name as sealed from users where tenant_id = $1 and name like 'v1.%' and id > $2 order by id limit $3"
    ),
    replace: sql!(
        "update users set name = r.new from rows(id bigint, old text, new text) r \
         where users.tenant_id = $1 and users.id = r.id and users.name = r.old"
    ),
};

record! { struct Name { id: i64, name: String } }

/// Seals the names of `count` users of the scope's tenant.
async fn sealed_users(scope: &Scope, count: i64) {
    for n in 0..count {
        let id = scope.runtime().ids.next::<types::kind::User>().raw();
        let name = encryption::seal(scope, "users", "name", &id.to_string(), &format!("secret {n}")).await;
        let mut write = scope.write().await.unwrap();
        write
            .execute(
                sql!(
                    "insert into users (id, tenant_id, email, email_folded, name, role, language, status, created_at) \
                     values ($1, $2, $3, $3, $4, 'viewer', 'en', 'active', 0)"
                ),
                args![id, scope.tenant(), format!("{id}@example.com"), name.unwrap()],
            )
            .await
            .unwrap();
        write.commit(()).await.unwrap();
    }
}

async fn names(runtime: &Runtime, tenant: TenantId) -> Vec<Name> {
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await.unwrap();
    tx.all(
        sql!("select id, name from users where tenant_id = $1 and name like 'v1.%' order by id"),
        args![tenant],
    )
    .await
    .unwrap()
}

/// Every sealed name opens to what was sealed; the ids of the keys that seal them.
async fn all_open(runtime: &Runtime, tenant: TenantId) -> Vec<String> {
    let mut keys = Vec::new();
    for (n, Name { id, name }) in names(runtime, tenant).await.into_iter().enumerate() {
        let opened =
            encryption::open(runtime, tenant, "users", "name", &id.to_string(), &name).await.unwrap();
        assert_eq!(opened.expose(), format!("secret {n}"));
        keys.push(sealing_key_id(&name).unwrap().to_owned());
    }
    keys.dedup();
    keys
}

async fn run_job(scope: &Scope) {
    let outcome = reseal::handler()(scope.clone(), "null".to_owned(), 1).await;
    assert!(matches!(outcome, Outcome::Done), "{outcome:?}");
}

#[tokio::test]
async fn a_new_data_key_seals_everything_anew_and_the_old_one_goes_a_day_later() {
    let house = House::build().await;
    encryption::name_columns(&house.runtime, vec![NAMES]);
    let (admin, neighbour) = (house.cli().await, house.neighbour().await);
    // More than one page.
    sealed_users(&admin, 230).await;
    sealed_users(&neighbour, 2).await;
    let others = all_open(&house.runtime, neighbour.tenant()).await;
    let before = all_open(&house.runtime, admin.tenant()).await;

    let turned = encryption::turn(&admin).await.unwrap();
    assert_eq!(before, std::slice::from_ref(&turned.before));
    assert_eq!(all_open(&house.runtime, admin.tenant()).await, before, "not sealed anew yet, and readable");
    let shown = encryption::show(&admin).await.unwrap();
    assert_eq!(
        (shown.key.as_str(), shown.former[0].key.as_str()),
        (turned.key.as_str(), turned.before.as_str())
    );
    assert_eq!((shown.columns[0].sealed, shown.columns[0].current), (230, 0));

    run_job(&admin).await;
    assert_eq!(all_open(&house.runtime, admin.tenant()).await, std::slice::from_ref(&turned.key));
    let shown = encryption::show(&admin).await.unwrap();
    assert_eq!((shown.columns[0].current, shown.former.len()), (230, 1), "kept for who read before");
    assert_eq!(all_open(&house.runtime, neighbour.tenant()).await, others, "another tenant's key stays");

    house.clock.advance_ms(24 * 3_600_000);
    let admin = house.cli().await;
    run_job(&admin).await;
    assert!(encryption::show(&admin).await.unwrap().former.is_empty());
    assert_eq!(all_open(&house.runtime, admin.tenant()).await, [turned.key]);
    let trail = house.trail().await;
    assert!(trail.contains("encryption.key_turned") && trail.contains("encryption.key_removed"), "{trail}");
    assert!(!trail.contains("v1."), "no key is told");
}

#[tokio::test]
async fn a_text_that_was_sealed_while_the_key_turned_is_found_before_the_key_goes() {
    let house = House::build().await;
    encryption::name_columns(&house.runtime, vec![NAMES]);
    let admin = house.cli().await;
    sealed_users(&admin, 1).await;
    let late = names(&house.runtime, admin.tenant()).await.remove(0);
    let turned = encryption::turn(&admin).await.unwrap();
    run_job(&admin).await;
    // A transaction that had read the row before ends only now, and puts the old text back.
    let mut write = admin.write().await.unwrap();
    write
        .execute(
            sql!("update users set name = $3 where tenant_id = $1 and id = $2"),
            args![admin.tenant(), late.id, late.name],
        )
        .await
        .unwrap();
    write.commit(()).await.unwrap();
    assert_eq!(all_open(&house.runtime, admin.tenant()).await, [turned.before]);
    house.clock.advance_ms(24 * 3_600_000);
    run_job(&admin).await;
    assert_eq!(all_open(&house.runtime, admin.tenant()).await, [turned.key]);
}

#[tokio::test]
async fn former_keys_are_bounded_and_columns_must_be_named() {
    let house = House::build().await;
    let admin = house.cli().await;
    let outcome = reseal::handler()(admin.clone(), "null".to_owned(), 1).await;
    assert!(matches!(outcome, Outcome::Retry(_)), "no key goes while nobody knows what it has sealed");
    for _ in 0..16 {
        encryption::turn(&admin).await.unwrap();
    }
    assert_eq!(code(encryption::turn(&admin).await), Code::Conflict);
}

/// The same database under other root keys, as another start has it.
fn under(house: &House, vault: Vault) -> Runtime {
    let of = &house.runtime;
    Runtime::new(runtime::Parts {
        config: runtime::config::reload::InForce::new(Clone::clone(&*of.config)),
        db: of.db.clone(),
        clock: of.clock.clone(),
        ids: runtime::Ids::new(of.clock.clone(), 1),
        tasks: runtime::Tasks::new(),
        writers: runtime::Tasks::new(),
        live: runtime::Live::new(16),
        outbound: runtime::config::reload::InForce::new(
            runtime::outbound::Outbound::new(&of.config.outbound).unwrap(),
        ),
        vault,
        telemetry: of.telemetry.clone(),
        job_wake: std::sync::Arc::default(),
    })
}

#[tokio::test]
async fn a_start_finishes_a_new_root_key_and_refuses_a_foreign_one() {
    let house = House::build().await;
    let (admin, neighbour) = (house.cli().await, house.neighbour().await);
    sealed_users(&admin, 2).await;
    encryption::turn(&neighbour).await.unwrap();
    assert_eq!(code(root::turn(&admin, None).await), Code::Conflict, "the house's key is handed over");

    let old = house.runtime.vault.key_id();
    let foreign = under(&house, Vault::from_key([9; 32]));
    let refused = root::finish(&foreign, admin.tenant()).await.unwrap_err();
    assert!(refused.message().contains("cannot be wrapped anew"), "{refused}");
    assert_eq!(all_open(&house.runtime, admin.tenant()).await.len(), 1, "and nothing has changed");

    let line = |octets: [u8; 32]| {
        let vault = Vault::from_key(octets);
        format!("v1.{}.{}", vault.key_id(), URL_SAFE_NO_PAD.encode(octets))
    };
    let both = under(&house, Vault::from_text(&format!("{} {}", line([9; 32]), line([7; 32]))).unwrap());
    assert_eq!(both.vault.former_key_ids(), [old]);
    let platform = Scope::grant(
        both.clone(),
        admin.tenant(),
        Actor::System("test"),
        Permissions::all(),
        Origin::default(),
    );
    assert_eq!(root::show(&platform).await.unwrap().to_wrap, 3, "two tenants' keys and a former one");
    root::finish(&both, admin.tenant()).await.unwrap();
    assert_eq!(root::show(&platform).await.unwrap().to_wrap, 0);
    let alone = under(&house, Vault::from_key([9; 32]));
    assert_eq!(all_open(&alone, admin.tenant()).await.len(), 1);
    assert_eq!(encryption::show(&neighbour_of(&alone, &neighbour)).await.unwrap().former.len(), 1);
    assert!(house.trail().await.contains("encryption.root_key_turned"));
}

fn neighbour_of(runtime: &Runtime, scope: &Scope) -> Scope {
    Scope::grant(
        runtime.clone(),
        scope.tenant(),
        scope.actor().clone(),
        scope.permissions(),
        Origin::default(),
    )
}

#[tokio::test]
async fn keys_are_turned_by_who_may() {
    let house = House::build().await;
    let (admin, neighbour) = (house.cli().await, house.neighbour().await);
    let viewer = Scope::grant(
        house.runtime.clone(),
        admin.tenant(),
        admin.actor().clone(),
        [Permission::EncryptionView].into_iter().collect::<Permissions>(),
        Origin::default(),
    );
    assert!(encryption::show(&viewer).await.is_ok());
    assert_eq!(code(encryption::turn(&viewer).await), Code::Forbidden);
    assert_eq!(code(root::show(&viewer).await), Code::Forbidden);
    assert_eq!(
        code(root::turn(&neighbour, None).await),
        Code::Forbidden,
        "a tenant's administrator is not the platform's"
    );
    assert_eq!(code(root::forget(&neighbour).await), Code::Forbidden);
}
