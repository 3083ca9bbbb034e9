//! Readings of directories that nothing carries out any more come to their end.

use db::{Tenancy, args};
use serde_json::{Value, json};
use testkit::House;

async fn run(house: &House, text: &'static str) {
    let mut tx = house.server.runtime.db.write(Tenancy::Every).await.unwrap();
    tx.execute(text, args![]).await.unwrap();
    tx.commit().await.unwrap();
}

async fn newest(house: &House, runs: &str) -> Value {
    house.admin.get(runs).await.expect(200)["items"][0].clone()
}

#[tokio::test]
async fn a_reading_whose_job_is_gone_ends_and_one_that_waits_for_its_server_does_not() {
    let house = House::start().await;
    let new = json!({
        "name": "Company", "bind_password": "secret", "active": true,
        "settings": { "servers": ["ldaps://192.0.2.1"], "bind_dn": "cn=reader", "base": "dc=example,dc=com" },
    });
    let made = house.admin.post("/api/v1/directories", &new).await.expect(201);
    let runs = format!("/api/v1/directories/{}/runs", made["id"].as_str().unwrap());
    let dry = json!({ "dry": true });
    house.admin.post(&runs, &dry).await.expect(202);
    let ended = async || !newest(&house, &runs).await["ended_at"].is_null();
    house.until("the reading has ended", ended).await;

    // A server was killed in the middle of it: its job waits to be taken up again, and another cannot begin beside it.
    run(
        &house,
        "insert into job (id, tenant_id, kind, payload, run_at, attempts, leased_until, dead) \
         select job_id, tenant_id, 'identity.directory', '{}', 9000000000000, 1, 9000000000000, false from directory_run",
    )
    .await;
    run(&house, "update directory_run set state = 'running', ended_at = null").await;
    identity::directory::end_lost(&house.server.runtime).await.unwrap();
    assert_eq!(newest(&house, &runs).await["state"], "running");
    assert_eq!(house.admin.post(&runs, &dry).await.status, 409);

    // The work was given up: the reading is over, and says so once.
    run(&house, "update job set dead = true where kind = 'identity.directory'").await;
    identity::directory::end_lost(&house.server.runtime).await.unwrap();
    identity::directory::end_lost(&house.server.runtime).await.unwrap();
    let lost = newest(&house, &runs).await;
    assert_eq!((&lost["state"], lost["ended_at"].is_string()), (&json!("failed"), true), "{lost}");
    assert!(lost["outcome"]["reason"].as_str().unwrap().contains("given up"), "{lost}");
    let told = house.admin.get("/api/v1/audit?type=directory.read").await.expect(200);
    assert_eq!(told["items"].as_array().unwrap().len(), 2, "the first end, and this one");
    house.admin.post(&runs, &dry).await.expect(202);
    house.stop().await;
}
