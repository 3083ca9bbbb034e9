//! Every route of the API: described, closed to outsiders, closed to other tenants, and to keys without its permission.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use server::isolation::Asker;
use server::isolation::knowledge::{self, plausible};
use testkit::House;

/// Each operation of the OpenAPI document: method and path.
async fn operations(house: &House) -> Vec<(String, String, Value)> {
    let document = house.anonymous().get("/openapi.json").await.expect(200);
    assert_eq!(document["openapi"].as_str().map(|version| version.starts_with("3.1")), Some(true));
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                found.push((method.to_uppercase(), path.clone(), operation.clone()));
            }
        }
    }
    assert!(found.len() >= 40, "only {} operations are described", found.len());
    found
}

/// An id of the first tenant for each kind of record that a path can name.
async fn records(house: &House) -> BTreeMap<&'static str, String> {
    let (mut records, missing) = knowledge::records(&asker(house), None, "first").await.unwrap();
    assert_eq!(missing, Vec::<String>::new());
    let gone = house.admin.post("/api/v1/tenants", &json!({ "name": "Gone" })).await.expect(201);
    let erasure = format!("/api/v1/tenants/{}/erasure", gone["id"].as_str().unwrap());
    let erasure = house.admin.post(&erasure, &json!({ "name": "Gone" })).await.expect(202);
    records.insert("/api/v1/erasures", erasure["id"].as_str().unwrap().to_owned());
    let suitcase = house.admin.post("/api/v1/suitcases", &json!({})).await.expect(201);
    records.insert("/api/v1/suitcases", suitcase["id"].as_str().unwrap().to_owned());
    records
}

/// The first tenant's administrator, as the probe asks.
pub(crate) fn asker(house: &House) -> Asker {
    let base = format!("http://{}", house.server.http).parse().unwrap();
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    Asker::new(base, http, Some(runtime::config::Secret::new(testkit::house::ADMIN_KEY.to_owned())))
}

/// The path with the first tenant's id in it.
fn filled(path: &str, records: &BTreeMap<&'static str, String>) -> String {
    let Some((collection, _)) = path.split_once("/{id}") else { return path.to_owned() };
    if collection == "/api/v1/me/consents" {
        // One's own alone: a program has none, whatever the id.
        return path.replace("{id}", "cns_0000000000001");
    }
    if collection == "/api/v1/organisation/suitcases" {
        // The first tenant is the installation's own, which never leaves.
        return path.replace("{id}", "sui_0000000000001");
    }
    let id = records.get(collection).unwrap_or_else(|| panic!("give {path} a record in this test"));
    path.replace("{id}", id)
}

#[tokio::test]
async fn every_route_is_described() {
    let house = House::start().await;
    for (method, path, operation) in operations(&house).await {
        assert!(
            operation["summary"].as_str().is_some_and(|text| text.len() > 5),
            "{method} {path} has no summary"
        );
        assert!(
            operation["responses"].as_object().is_some_and(|all| !all.is_empty()),
            "{method} {path} has no response"
        );
        assert!(operation["tags"][0].is_string(), "{method} {path} has no tag");
        let too_fast = &operation["responses"]["429"]["headers"];
        assert!(too_fast["Retry-After"].is_object() && too_fast["RateLimit"].is_object(), "{method} {path}");
    }
    house.stop().await;
}

#[tokio::test]
async fn no_route_opens_for_an_outsider() {
    let house = House::start().await;
    let records = records(&house).await;
    let powerless = house.key(&["simulator.use"]).await;
    let mut missing = std::collections::BTreeSet::new();
    let wrong = house.anonymous().with_key("sb_live_of_nobody_at_all_0123456789abcdef");
    for (method, path, _) in operations(&house).await {
        let path = filled(&path, &records);
        for outsider in [house.anonymous(), wrong.clone()] {
            let answer = outsider.send(&method, &path, &json!({})).await;
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (401, "unauthenticated"),
                "{method} {path}"
            );
        }
        if ["/api/v1/me", "/api/v1/permissions"].contains(&path.as_str()) {
            continue;
        }
        let asked = match path.as_str() {
            "/api/v1/explain" => format!("{path}?who={}&permission=message.send", records["/api/v1/users"]),
            _ => path.clone(),
        };
        let answer = powerless.send(&method, &asked, &plausible(&method, &path)).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (403, "forbidden"),
            "{method} {path}: {}",
            answer.text
        );
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        missing.extend(detail.split_whitespace().find(|word| word.contains('.')).map(str::to_owned));
    }
    // What the API refuses for want of a permission is the catalogue: nothing stands in it that opens no door.
    let catalogue = house.admin.get("/api/v1/permissions").await.expect(200);
    let names = catalogue["permissions"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
    let idle: Vec<&str> = names.filter(|name| !missing.contains(*name) && !BESIDE.contains(name)).collect();
    assert!(idle.is_empty(), "no route asks for {idle:?}");
    house.stop().await;
}

/// Permissions that no route of the API asks for first: the console's phones, and what an operation asks for beside another
/// permission or for some of its requests.
const BESIDE: &[&str] = &[
    "simulator.use",
    "user.role",
    "lookup.ask",
    "held.release",
    "tenant.change",
    // Asked for where the platform's own permission is not held.
    "subtenant.view",
    "subtenant.create",
    "subtenant.change",
    "event.view",
    // They say how much is shown.
    "identifier.view",
    "content.view",
    // Asked for beside privacy.decide, and by what erases again.
    "privacy.erase",
];

#[tokio::test]
async fn no_route_shows_or_changes_another_tenants_record() {
    let house = House::start().await;
    let records = records(&house).await;
    let (_, neighbour) = house.neighbour().await;
    for (method, path, _) in operations(&house).await {
        let names_record = path.contains("{id}");
        let path = filled(&path, &records);
        if names_record {
            let answer = neighbour.send(&method, &path, &plausible(&method, &path)).await;
            let forbidden =
                ["/tenants/", "/erasures/", "/v1/suitcases/", "/me/"].iter().any(|part| path.contains(part));
            let closed = answer.status == 404 || (answer.status == 403 && forbidden);
            assert!(closed, "{method} {path}: {} {}", answer.status, answer.text);
        } else if method == "GET" {
            let answer = neighbour.get(&path).await;
            for (collection, id) in &records {
                assert!(
                    !answer.text.contains(id.as_str()),
                    "{path} shows the other tenant's {collection} {id}"
                );
            }
        }
    }
    for (collection, id) in &records {
        assert_eq!(
            house.admin.get(&format!("{collection}/{id}")).await.status,
            200,
            "{collection} is as it was"
        );
    }
    house.stop().await;
}
