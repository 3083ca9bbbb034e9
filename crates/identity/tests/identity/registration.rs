//! Who may register by themselves, what a newcomer's role may allow, and that nothing of it is a user before its time.

use db::{Tenancy, args, record, sql};
use identity::registration::join::{self, NewRegistration};
use identity::registration::waiting;
use identity::registration::{self, DecideRegistration, RegistrationDecision, RegistrationPolicy};
use identity::role::custom::{self, NewRole, RolePatch};
use identity::user;
use runtime::Origin;
use runtime::config::Secret;
use runtime::job::Outcome;
use types::Code;
use web::Paging;

use crate::house::{House, PASSWORD, code, refusal};

async fn with_mail() -> House {
    House::with(|config| {
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.from = "console@sms.example".to_owned();
    })
    .await
}

fn newcomer(email: &str) -> NewRegistration {
    NewRegistration {
        email: email.to_owned(),
        name: "Eve".to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        language: "en".to_owned(),
    }
}

#[tokio::test]
async fn without_mail_nobody_can_register() {
    let house = House::build().await;
    let cli = house.cli().await;
    let open = RegistrationPolicy { open: true, ..RegistrationPolicy::default() };
    let refused = refusal(registration::set_policy(&cli, open).await);
    assert_eq!((refused.code(), refused.place()), (Code::Conflict, Some("open")));
    assert!(!registration::get_policy(&cli).await.unwrap().open);
}

#[tokio::test]
async fn a_newcomers_role_decides_nothing_about_who_gets_in() {
    let house = with_mail().await;
    let cli = house.cli().await;
    let wanted = |role: &str| RegistrationPolicy {
        open: true,
        role: role.to_owned(),
        ..RegistrationPolicy::default()
    };
    for role in ["platform_admin", "tenant_admin"] {
        let refused = refusal(registration::set_policy(&cli, wanted(role)).await);
        assert_eq!((refused.code(), refused.place()), (Code::InvalidValue, Some("role")), "{role}");
    }
    // What inherits from such a role is no better.
    let permissions = |set: serde_json::Value| serde_json::from_value(set).unwrap();
    let greeter = NewRole {
        name: "greeter".to_owned(),
        permissions: permissions(serde_json::json!({ "message.view": "all" })),
        ..NewRole::default()
    };
    let greeter = custom::create(&cli, greeter).await.unwrap();
    registration::set_policy(&cli, wanted("greeter")).await.unwrap();
    let heir =
        NewRole { name: "heir".to_owned(), parent: Some("tenant_admin".to_owned()), ..NewRole::default() };
    custom::create(&cli, heir).await.unwrap();
    assert_eq!(code(registration::set_policy(&cli, wanted("heir")).await), Code::InvalidValue);
    // The role was harmless when it was named; it is looked at again when somebody is let in.
    let own = identity::tenant::own(&cli).await.unwrap();
    let door = join::door(&house.runtime, None, Some(&own.slug)).await.unwrap();
    join::ask(&house.runtime, &door, newcomer("eve@example.com"), &Origin::default()).await.unwrap();
    house.verify_newcomers().await;
    let waits = registration::list(&cli, &Paging::default()).await.unwrap().items;
    let decided = DecideRegistration { registration: waits[0].id, decision: RegistrationDecision::Approve };
    let wider = RolePatch {
        revision: greeter.revision,
        permissions: Some(permissions(serde_json::json!({ "message.view": "all", "user.role": "all" }))),
        ..RolePatch::default()
    };
    custom::update(&cli, "greeter", wider).await.unwrap();
    assert_eq!(code(registration::decide(&cli, decided.clone()).await), Code::InvalidValue);
    assert_eq!(
        registration::list(&cli, &Paging::default()).await.unwrap().items.len(),
        1,
        "nothing was half done"
    );
    registration::set_policy(&cli, wanted("viewer")).await.unwrap();
    registration::decide(&cli, decided).await.unwrap();
    let users = user::list(&cli, &Paging::default()).await.unwrap().items;
    assert!(users.iter().any(|one| one.email == "eve@example.com" && one.role == "viewer"), "{users:?}");
}

#[tokio::test]
async fn a_tenant_is_closed_by_itself_and_what_waits_is_forgotten() {
    let house = with_mail().await;
    let (cli, neighbour) = (house.cli().await, house.neighbour().await);
    let slug = identity::tenant::own(&neighbour).await.unwrap().slug;
    assert_eq!(code(join::door(&house.runtime, None, Some(&slug)).await), Code::NotFound);
    let open = RegistrationPolicy { open: true, ..RegistrationPolicy::default() };
    registration::set_policy(&neighbour, open).await.unwrap();
    let door = join::door(&house.runtime, None, Some(&slug)).await.unwrap();
    // Asked thrice as often as can be used at the same time, three are kept.
    for _ in 0..4 {
        join::ask(&house.runtime, &door, newcomer("eve@example.com"), &Origin::default()).await.unwrap();
    }
    let users = user::list(&neighbour, &Paging::default()).await.unwrap().items;
    assert_eq!(users.len(), 1, "nobody is a user yet");
    assert_eq!(house.newcomers().await, 3);
    house.verify_newcomers().await;
    assert_eq!(registration::list(&neighbour, &Paging::default()).await.unwrap().items.len(), 3);
    assert!(registration::list(&cli, &Paging::default()).await.unwrap().items.is_empty(), "another tenant's");
    house.clock.advance_ms(91 * 86_400_000);
    house.identity.write_down().await.unwrap();
    assert_eq!(house.newcomers().await, 0);
    assert_eq!(
        code(join::confirm(&house.runtime, "no such token", &Origin::default()).await),
        Code::LinkUsed
    );
}

record! { struct Jobs { n: i64 } }

#[tokio::test]
async fn who_may_let_newcomers_in_is_told_once_of_all_who_wait() {
    let house = with_mail().await;
    let cli = house.cli().await;
    let jobs = async |kind: &str| {
        let mut tx = house.runtime.db.read(Tenancy::Tenant(cli.tenant())).await.unwrap();
        let counted = sql!("select count(*) as n from job where tenant_id = $1 and kind = $2");
        tx.one::<Jobs>(counted, args![cli.tenant(), kind]).await.unwrap().n
    };
    let run = async || waiting::handler()(cli.clone(), "null".to_owned(), 1).await;
    assert!(matches!(run().await, Outcome::Done));
    assert_eq!(jobs("identity.mail").await, 0, "nobody waits");
    let now = house.clock.now();
    for n in 1..=2 {
        let mut tx = house.runtime.db.write(Tenancy::Tenant(cli.tenant())).await.unwrap();
        let insert = sql!(
            "insert into registration (id, tenant_id, email, email_folded, name, language, password_hash, created_at, verified_at, \
             expires_at) values ($1, $2, $3, $3, 'Eve', 'en', '', $4, $4, $5)"
        );
        let email = format!("eve{n}@example.com");
        tx.execute(insert, args![n, cli.tenant(), email, now, now.plus_ms(86_400_000)]).await.unwrap();
        waiting::gather(&mut tx, &house.runtime, cli.tenant()).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(jobs(waiting::KIND).await, 1, "one for both");
    assert!(matches!(run().await, Outcome::Done));
    assert_eq!(jobs("identity.mail").await, 1, "to the one administrator");
}
