//! A tenant leaves in a file and comes back by it, in the console.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use testkit::House;
use testkit::browser::PATIENCE;

use crate::person::Person;

const PASSPHRASE: &str = "six words that nobody would guess";
/// Octets of a piece: a small tenant is several.
const PIECE_BYTES: usize = 8_192;

/// The file that the browser saved, when it is whole.
async fn saved(folder: &Path) -> PathBuf {
    for _ in 0..200 {
        let found = std::fs::read_dir(folder).unwrap().filter_map(|entry| Some(entry.ok()?.path()));
        let whole = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "suitcase");
        if let Some(file) = found.into_iter().find(whole) {
            return file;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the browser saved nothing");
}

async fn submit(ana: &mut Person, field: &str) {
    ana.eval(&format!("document.querySelector('{field}').form.requestSubmit()")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_leaves_in_a_file_and_comes_back_by_it() {
    let house = House::start_with(|config| config.http.body_bytes_max = PIECE_BYTES).await;
    let (tenant, neighbour) = house.neighbour().await;
    for hundred in 0..10 {
        let numbers: Vec<_> = (0..100).map(|n| format!("+336{hundred:04}{:04}", n * 7919 % 10_000)).collect();
        neighbour.post("/api/v1/blacklist/import", &json!({ "text": numbers.join("\n") })).await.expect(200);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut ana = Person::sign_in(&house).await;
    ana.save_into(folder.path()).await.unwrap();

    ana.open(&format!("/tenants/{tenant}/suitcases")).await;
    ana.judge_everywhere().await;
    ana.type_text("#f-passphrase", "short").await.unwrap();
    submit(&mut ana, "#f-passphrase").await;
    ana.wait_for("#f-passphrase[aria-invalid]", PATIENCE).await.unwrap();
    ana.expect_problem("422").await.unwrap();
    ana.type_text("#f-passphrase", PASSPHRASE).await.unwrap();
    submit(&mut ana, "#f-passphrase").await;
    // It is told how far it is, and by itself that it is ready.
    ana.sees("The file is ready").await;
    ana.judge_everywhere().await;
    ana.click(".page-head a[href$='/file']").await.unwrap();
    let file = saved(folder.path()).await;
    let octets = std::fs::read(&file).unwrap();
    assert!(octets.len() > 2 * PIECE_BYTES, "{} octets are too few pieces", octets.len());

    let asked = json!({ "name": "Neighbour", "grace_h": 0 });
    let asked = house.admin.post(&format!("/api/v1/tenants/{tenant}/erasure"), &asked).await.expect(202);
    let path = format!("/api/v1/erasures/{}", asked["id"].as_str().unwrap());
    let erased = async || house.admin.get(&path).await.json()["erased_at"].is_string();
    house.until("the tenant is erased", erased).await;

    ana.open("/suitcases").await;
    ana.judge_everywhere().await;
    ana.click("form[action='/suitcases'] button").await.unwrap();
    ana.sees("Upload the file").await;
    ana.judge_everywhere().await;
    // A first piece came before the connection broke.
    let record = ana.path().await;
    let first = format!("/api/v1{record}/file?offset=0&total={}", octets.len());
    let headers = [("content-type", "application/octet-stream")];
    let piece = octets[..PIECE_BYTES].to_vec();
    house.admin.ask("PUT", &first, &headers, Some(piece)).await.expect(200);
    ana.open(&record).await;
    ana.sees("are here. Choose the same file").await;
    let other = folder.path().join("other");
    std::fs::write(&other, &octets[1..]).unwrap();
    ana.choose_file("#f-file", &other).await.unwrap();
    submit(&mut ana, "#f-file").await;
    ana.sees("another file than the one that was begun").await;
    ana.judge_everywhere().await;
    ana.choose_file("#f-file", &file).await.unwrap();
    submit(&mut ana, "#f-file").await;
    // The page comes again with the next step.
    ana.wait_for("#f-passphrase", PATIENCE).await.unwrap();
    assert_eq!(house.admin.get(&format!("/api/v1{record}")).await.expect(200)["bytes"], octets.len());
    ana.judge_everywhere().await;
    ana.type_text("#f-passphrase", "another passphrase").await.unwrap();
    submit(&mut ana, "#f-passphrase").await;
    ana.wait_for("#f-passphrase[aria-invalid], .notice[data-tone=bad], .error-summary", PATIENCE)
        .await
        .unwrap();
    ana.expect_problem("422").await.unwrap();
    ana.judge_everywhere().await;
    ana.type_text("#f-passphrase", PASSPHRASE).await.unwrap();
    submit(&mut ana, "#f-passphrase").await;
    ana.sees("The tenant is here").await;
    ana.judge_everywhere().await;
    let done = house.admin.get(&format!("/api/v1{record}")).await.expect(200);
    assert_eq!((&done["state"], &done["tenant"]), (&json!("done"), &json!(tenant.to_string())));
    ana.open("/suitcases").await;
    ana.sees("Neighbour").await;
    ana.judge_everywhere().await;
    ana.leave().await;
    house.stop().await;
}
