use serde_json::json;
use types::SecurityEventId;

use super::*;
use crate::tests::House;

const HOUR_MS: i64 = 3_600_000;

record! { struct Raised { id: SecurityEventId, subject: String, count: i64 } }

async fn raised(house: &House, tenant: TenantId) -> Vec<Raised> {
    let mut tx = house.runtime.db.read(Tenancy::Tenant(tenant)).await.unwrap();
    tx.all(
        sql!(
            "select id, subject, count from security_event where tenant_id = $1 and kind = 'toll_fraud' order by id limit 10"
        ),
        args![tenant],
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn a_burst_to_a_new_country_is_raised_and_habits_are_not() {
    let house = House::build_with(|config| config.watch.new_country_max = 5).await;
    let engine = house.engine_without_carrier().await;
    let send = async |to: &str| house.send(&engine, json!({ "to": to, "text": "x" })).await;
    let ours = house.ours.tenant();
    // An account that has just begun has no habits: whatever it does is learnt.
    for _ in 0..6 {
        send("+33612345678").await;
    }
    round(&house.runtime).await.unwrap();
    assert!(raised(&house, ours).await.is_empty());
    house.runtime.clock.advance_ms(48 * HOUR_MS);
    for _ in 0..6 {
        send("+33612345678").await;
    }
    for _ in 0..4 {
        send("+252612345678").await;
    }
    round(&house.runtime).await.unwrap();
    assert!(raised(&house, ours).await.is_empty(), "below the bound, and at home");
    send("+252612345678").await;
    round(&house.runtime).await.unwrap();
    round(&house.runtime).await.unwrap();
    let events = raised(&house, ours).await;
    assert_eq!(
        events.iter().map(|one| (one.subject.as_str(), one.count)).collect::<Vec<_>>(),
        [("the API, SO", 5)]
    );
    assert!(raised(&house, house.theirs.tenant()).await.is_empty());
    // A country that has been known for longer is a habit too.
    house.runtime.clock.advance_ms(48 * HOUR_MS);
    for _ in 0..9 {
        send("+252612345678").await;
    }
    round(&house.runtime).await.unwrap();
    assert_eq!(raised(&house, ours).await.len(), 1);
}

#[test]
fn the_memory_has_a_bound() {
    let mut counts = Counts::default();
    for account in 0..COUNTS_MAX as i64 + 9 {
        counts.hit((TenantId::from_raw(1), account, "FR"), 1, Timestamp::from_unix_ms(0), (1_000, 5));
    }
    assert_eq!(counts.0.len(), COUNTS_MAX);
}
