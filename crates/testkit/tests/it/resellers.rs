//! Tenants beneath a tenant: what their reseller reaches, and what nobody reaches by that.

use serde_json::{Value, json};
use testkit::{Client, House};

/// A tenant with somebody in it who may do all that can be done there.
struct Party {
    id: String,
    key: Client,
}

impl Party {
    fn at(&self) -> String {
        format!("/api/v1/tenants/{}", self.id)
    }
}

/// Opens a tenant by somebody's hand, and enters it as its first administrator.
async fn open(by: &Client, name: &str, more: Value) -> Party {
    let mut new =
        json!({ "name": name, "administrator": { "email": format!("{name}@resold.example"), "name": name } });
    for (field, value) in more.as_object().unwrap() {
        new[field] = value.clone();
    }
    let made = by.post("/api/v1/tenants", &new).await.expect(201);
    let key = enter(by, made["link"]["url"].as_str().unwrap()).await;
    Party { id: text(&made["id"]), key }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A key with all that somebody may who comes in by a link.
async fn enter(by: &Client, link: &str) -> Client {
    let stranger = by.without_key();
    let cookie = stranger.sign_in(link).await;
    let headers = [("content-type", "application/json"), ("cookie", cookie.as_str())];
    let mine = stranger.ask("GET", "/api/v1/me", &headers, None).await.expect(200);
    let body = serde_json::to_vec(&json!({ "name": "all", "scopes": mine["permissions"] })).unwrap();
    let key = stranger.ask("POST", "/api/v1/api-keys", &headers, Some(body)).await.expect(201);
    stranger.with_key(key["secret"].as_str().unwrap())
}

/// Somebody with a role in a tenant.
async fn somebody(party: &Party, role: &str) -> (String, Client) {
    let new = json!({ "email": format!("{role}@{}.example", party.id.replace('_', "-")), "name": role, "role": role });
    let user = text(&party.key.post("/api/v1/users", &new).await.expect(201)["id"]);
    let link = party.key.post(&format!("/api/v1/users/{user}/link"), &json!({})).await.expect(201);
    let stranger = party.key.without_key();
    let cookie = stranger.sign_in(link["url"].as_str().unwrap()).await;
    (cookie, stranger)
}

/// A reseller, one beneath it that may resell, one beneath that, and one beside the first.
async fn family(house: &House) -> [Party; 4] {
    let reseller = open(&house.admin, "reseller", json!({ "reseller": true })).await;
    let child = open(&reseller.key, "child", json!({ "reseller": true })).await;
    let grandchild = open(&child.key, "grandchild", json!({})).await;
    let sibling = open(&house.admin, "sibling", json!({ "reseller": true })).await;
    [reseller, child, grandchild, sibling]
}

/// Names and depths of a list.
async fn listed(who: &Client, query: &str) -> Vec<(String, i64)> {
    let list = who.get(&format!("/api/v1/tenants{query}")).await.expect(200);
    let items = list["items"].as_array().unwrap().iter();
    items.map(|one| (text(&one["name"]), one["depth"].as_i64().unwrap())).collect()
}

fn named(pairs: &[(&str, i64)]) -> Vec<(String, i64)> {
    pairs.iter().map(|(name, depth)| ((*name).to_owned(), *depth)).collect()
}

#[tokio::test]
async fn whoever_stands_above_sees_the_tree_beneath() {
    let house = House::start().await;
    let [reseller, child, _, sibling] = family(&house).await;
    assert_eq!(listed(&reseller.key, "").await, named(&[("child", 0), ("grandchild", 1)]));
    assert_eq!(listed(&child.key, "").await, named(&[("grandchild", 0)]));
    assert_eq!(listed(&sibling.key, "").await, named(&[]));
    let all = [("sibling", 0), ("reseller", 0), ("child", 1), ("grandchild", 2), ("Demo", 0)];
    let all: Vec<_> = named(&all);
    let seen = listed(&house.admin, "").await;
    assert_eq!(seen[..4], all[..4], "{seen:?}");
    assert_eq!(
        listed(&house.admin, &format!("?beneath={}", reseller.id)).await,
        named(&[("child", 0), ("grandchild", 1)])
    );
    // Page by page it is the same tree.
    let mut pages = Vec::new();
    let mut next = String::new();
    loop {
        let page = house.admin.get(&format!("/api/v1/tenants?limit=1{next}")).await.expect(200);
        pages.extend(page["items"].as_array().unwrap().iter().map(|one| text(&one["name"])));
        let Some(after) = page["next"].as_str() else { break };
        next = format!("&after={after}");
    }
    assert_eq!(pages, seen.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());

    house.stop().await;
}

#[tokio::test]
async fn a_reseller_touches_nobody_else() {
    let house = House::start().await;
    let [reseller, child, grandchild, sibling] = family(&house).await;
    let renamed = json!({ "name": "Renamed", "locale": "fr", "currency": "eur" });
    let changed = reseller.key.send("PATCH", &grandchild.at(), &renamed).await.expect(200);
    assert_eq!((&changed["name"], &changed["parent"]), (&json!("Renamed"), &json!(child.id)));
    // Those above see it; nobody beneath, beside or above is there for whoever stands elsewhere.
    let platform = text(&house.admin.get("/api/v1/organisation").await.expect(200)["id"]);
    let first = json!({ "email": "x@elsewhere.example", "name": "X" });
    for (who, hidden) in [
        (&reseller, [&reseller.id, &sibling.id, &platform]),
        (&child, [&child.id, &reseller.id, &sibling.id]),
        (&sibling, [&child.id, &grandchild.id, &reseller.id]),
    ] {
        for id in hidden {
            let at = format!("/api/v1/tenants/{id}");
            for (method, path, body) in [
                ("GET", at.clone(), Value::Null),
                ("PATCH", at.clone(), json!({ "name": "Taken" })),
                ("POST", format!("{at}/administrator"), first.clone()),
            ] {
                let answer = who.key.send(method, &path, &body).await;
                assert_eq!(
                    (answer.status, answer.problem().as_str()),
                    (404, "not_found"),
                    "{method} {path}: {}",
                    answer.text
                );
            }
            let placed = json!({ "name": format!("Placed by {}", who.id), "parent": id });
            let answer = who.key.post("/api/v1/tenants", &placed).await;
            let own = *id == who.id;
            assert_eq!(answer.status, if own { 201 } else { 422 }, "{}", answer.text);
            let beneath = who.key.get(&format!("/api/v1/tenants?beneath={id}")).await;
            assert_eq!(beneath.status, if own { 200 } else { 400 }, "{}", beneath.text);
        }
    }
    // What is the platform's stays with it, also for what stands beneath.
    for (method, path) in [("POST", "erasure"), ("POST", "suitcases"), ("GET", "hashes"), ("PUT", "parent")] {
        let path = format!("{}/{path}", child.at());
        let body = server::isolation::knowledge::plausible(method, &path.replace(&child.id, "{id}"));
        let answer = reseller.key.send(method, &path, &body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (403, "forbidden"), "{path}: {}", answer.text);
    }
    // It sees nothing of what they do, and they do not see who stands above.
    let users = reseller.key.get("/api/v1/users").await;
    assert!(users.text.contains("reseller@resold") && !users.text.contains("child@resold"), "{}", users.text);
    for path in ["/api/v1/organisation", "/api/v1/me", "/api/v1/events", "/api/v1/audit"] {
        let answer = child.key.get(path).await;
        assert!(!answer.text.contains(&reseller.id) && answer.status == 200, "{path}: {}", answer.text);
    }
    house.stop().await;
}

#[tokio::test]
async fn the_rights_of_a_reseller_are_those_of_a_tenant_that_may_resell() {
    let house = House::start().await;
    let [reseller, child, grandchild, sibling] = family(&house).await;
    for path in ["/api/v1/tenants".to_owned(), child.at()] {
        assert_eq!(grandchild.key.get(&path).await.problem(), "forbidden");
    }
    assert_eq!(grandchild.key.post("/api/v1/tenants", &json!({ "name": "No" })).await.problem(), "forbidden");
    let mine = grandchild.key.get("/api/v1/me").await.expect(200);
    assert!(!mine["permissions"].to_string().contains("subtenant."), "{mine}");
    // Its administrators are administrators nevertheless, and give what they hold.
    let (_, _) = somebody(&grandchild, "tenant_admin").await;
    let role = json!({ "name": "over", "permissions": { "subtenant.view": "all" } });
    assert_eq!(grandchild.key.post("/api/v1/roles", &role).await.problem(), "forbidden");
    reseller.key.post("/api/v1/roles", &role).await.expect(201);

    let by = |cookie: String| [("content-type", "application/json".to_owned()), ("cookie", cookie)];
    let (cookie, browser) = somebody(&reseller, "reseller").await;
    let headers = by(cookie);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let tenants = browser.ask("GET", "/api/v1/tenants", &headers, None).await.expect(200);
    assert_eq!(tenants["items"].as_array().unwrap().len(), 2);
    for path in ["messages", "users", "api-keys", "audit", "queue", "events"] {
        let answer = browser.ask("GET", &format!("/api/v1/{path}"), &headers, None).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
    }
    let (cookie, browser) = somebody(&grandchild, "reseller").await;
    let headers = by(cookie);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(browser.ask("GET", "/api/v1/tenants", &headers, None).await.status, 403);

    let explained = async |who: &Client, query: &str| {
        let answer =
            who.get(&format!("/api/v1/explain?permission=subtenant.change{query}")).await.expect(200);
        let barred = answer["barred_by"].as_array().unwrap().iter().map(|one| text(&one["kind"]));
        (answer["allowed"].as_bool().unwrap(), barred.collect::<Vec<_>>())
    };
    assert_eq!(explained(&reseller.key, "").await, (true, Vec::new()));
    assert_eq!(explained(&reseller.key, &format!("&record={}", grandchild.id)).await, (true, Vec::new()));
    let (allowed, barred) = explained(&reseller.key, &format!("&record={}", sibling.id)).await;
    assert!(!allowed && barred == ["not_beneath"], "{barred:?}");
    let (allowed, barred) = explained(&grandchild.key, "").await;
    assert!(!allowed && barred.contains(&"no_reseller".to_owned()), "{barred:?}");

    // What waits of those beneath is counted for their reseller, as it is for the platform of all.
    let later = runtime::Clock::system().now().plus_ms(3_600_000).to_string();
    for party in [&child, &sibling] {
        let over_http = json!({ "protocol": "http", "http": { "dialect": "twilio" } });
        let over_http = json!({ "name": "Carrier", "settings": over_http });
        let connection = party.key.post("/api/v1/connections", &over_http).await.expect(201);
        let rule = json!({ "targets": [{ "connection": connection["id"] }] });
        party.key.post("/api/v1/routes", &json!({ "name": "All", "rule": rule })).await.expect(201);
        let message = json!({ "to": "+33612345678", "text": "later", "schedule_at": later });
        party.key.post("/api/v1/messages", &message).await.expect(202);
    }
    let queue = reseller.key.get("/api/v1/queue").await.expect(200);
    let counted: Vec<_> =
        queue["tenants"].as_array().unwrap().iter().map(|one| text(&one["tenant"])).collect();
    assert_eq!(counted, std::slice::from_ref(&child.id));

    // Taken away, it counts from the next request on; those beneath go on.
    house.admin.send("PATCH", &reseller.at(), &json!({ "reseller": false })).await.expect(200);
    assert_eq!(reseller.key.get("/api/v1/tenants").await.problem(), "forbidden");
    assert_eq!(child.key.get("/api/v1/tenants").await.status, 200);
    let own = text(&house.admin.get("/api/v1/organisation").await.expect(200)["id"]);
    let refused =
        house.admin.send("PATCH", &format!("/api/v1/tenants/{own}"), &json!({ "reseller": true })).await;
    assert_eq!((refused.status, &refused.json()["at"]), (409, &json!("reseller")), "{}", refused.text);
    house.stop().await;
}

#[tokio::test]
async fn a_suspended_resellers_tenants_go_on_and_what_came_from_above_stays() {
    let house = House::start().await;
    let [reseller, child, grandchild, _] = family(&house).await;
    let state = async |by: &Client, of: &Party, status: &str| {
        by.send("PATCH", &of.at(), &json!({ "status": status })).await
    };
    let enters = async |party: &Party| party.key.get("/api/v1/me").await.status == 200;
    state(&reseller.key, &child, "suspended").await.expect(200);
    assert!(!enters(&child).await && enters(&grandchild).await);
    state(&reseller.key, &child, "active").await.expect(200);
    assert!(enters(&child).await);
    // What somebody beneath has shut, whoever stands above opens.
    state(&child.key, &grandchild, "suspended").await.expect(200);
    state(&reseller.key, &grandchild, "active").await.expect(200);
    // And not the other way: the platform over the reseller, the reseller over the one beneath.
    for (above, below) in [(&house.admin, &reseller.key), (&reseller.key, &child.key)] {
        state(above, &grandchild, "suspended").await.expect(200);
        let refused = state(below, &grandchild, "active").await;
        assert_eq!((refused.status, &refused.json()["at"]), (403, &json!("status")), "{}", refused.text);
        // Nor by shutting it once more.
        state(below, &grandchild, "suspended").await.expect(200);
        assert_eq!(state(below, &grandchild, "active").await.status, 403);
        below.send("PATCH", &grandchild.at(), &json!({ "name": "Still ours" })).await.expect(200);
        assert!(!enters(&grandchild).await);
        state(above, &grandchild, "active").await.expect(200);
        assert!(enters(&grandchild).await);
    }
    state(&house.admin, &reseller, "suspended").await.expect(200);
    assert!(!enters(&reseller).await && enters(&child).await && enters(&grandchild).await);
    house.stop().await;
}

#[tokio::test]
async fn tenants_move_with_all_beneath_them_and_never_in_a_circle() {
    let house = House::start().await;
    let [reseller, child, grandchild, sibling] = family(&house).await;
    let moved = async |of: &Party, parent: Value| {
        house.admin.send("PUT", &format!("{}/parent", of.at()), &json!({ "parent": parent })).await
    };
    for (of, parent, status) in [
        (&reseller, json!(child.id), 409),
        (&reseller, json!(reseller.id), 409),
        (&child, json!(grandchild.id), 409),
        (&sibling, json!(grandchild.id), 409),
        (&child, json!("ten_0000000000001"), 422),
    ] {
        let answer = moved(of, parent).await;
        assert_eq!((answer.status, &answer.json()["at"]), (status, &json!("parent")), "{}", answer.text);
    }
    let nothing = house.admin.send("PUT", &format!("{}/parent", child.at()), &json!({})).await;
    assert_eq!(nothing.status, 400, "nobody is moved by leaving something out: {}", nothing.text);
    let platform = text(&house.admin.get("/api/v1/organisation").await.expect(200)["id"]);
    let own = format!("/api/v1/tenants/{platform}/parent");
    assert_eq!(house.admin.send("PUT", &own, &json!({ "parent": reseller.id })).await.status, 409);

    moved(&child, json!(sibling.id)).await.expect(200);
    assert_eq!(listed(&reseller.key, "").await, named(&[]));
    assert_eq!(listed(&sibling.key, "").await, named(&[("child", 0), ("grandchild", 1)]));
    assert_eq!(reseller.key.get(&grandchild.at()).await.status, 404);
    // The platform's own tenant is another name of the root.
    let root = moved(&child, json!(platform)).await.expect(200);
    assert!(root["parent"].is_null() && sibling.key.get(&child.at()).await.status == 404);

    // Two at once would make a circle of the two: one of them comes too late, whichever.
    for _ in 0..6 {
        let (one, two) = tokio::join!(moved(&child, json!(sibling.id)), moved(&sibling, json!(child.id)));
        let mut both = [one.status, two.status];
        both.sort_unstable();
        assert_eq!(both, [200, 409], "{} {}", one.text, two.text);
        moved(&child, Value::Null).await.expect(200);
        moved(&sibling, Value::Null).await.expect(200);
    }

    // At most eight stand one beneath the other.
    let mut lowest = reseller.id.clone();
    for level in 2..=8 {
        let new = json!({ "name": format!("level {level}"), "parent": lowest, "reseller": true });
        lowest = text(&house.admin.post("/api/v1/tenants", &new).await.expect(201)["id"]);
    }
    let deeper = json!({ "name": "too deep", "parent": lowest });
    let refused = house.admin.post("/api/v1/tenants", &deeper).await;
    assert_eq!((refused.status, &refused.json()["at"]), (409, &json!("parent")), "{}", refused.text);
    let under = reseller.key.get("/api/v1/tenants?limit=200").await.expect(200);
    let seventh = under["items"].as_array().unwrap().iter().find(|one| one["name"] == "level 7").unwrap();
    // A line of two does not fit where one does.
    assert_eq!(moved(&child, seventh["id"].clone()).await.status, 409);
    moved(&sibling, seventh["id"].clone()).await.expect(200);
    house.stop().await;
}

#[tokio::test]
async fn whoever_has_others_beneath_is_not_erased() {
    let house = House::start().await;
    let [reseller, child, grandchild, _] = family(&house).await;
    let erasure = json!({ "name": "reseller", "grace_h": 0 });
    let path = format!("{}/erasure", reseller.at());
    let refused = house.admin.post(&path, &erasure).await;
    assert_eq!((refused.status, refused.problem().as_str()), (409, "conflict"), "{}", refused.text);
    assert!(refused.text.contains("2 tenants stand beneath"), "{}", refused.text);
    let own = child.key.post("/api/v1/organisation/erasure", &json!({ "name": "child" })).await;
    assert_eq!(own.status, 409, "{}", own.text);
    house.admin.send("PUT", &format!("{}/parent", child.at()), &json!({ "parent": null })).await.expect(200);
    house.admin.post(&path, &json!({ "name": "reseller", "grace_h": 48 })).await.expect(202);
    // Nothing comes beneath what is to go.
    let late = reseller.key.post("/api/v1/tenants", &json!({ "name": "late" })).await;
    assert_eq!((late.status, &late.json()["at"]), (409, &json!("parent")), "{}", late.text);
    let into =
        house.admin.send("PUT", &format!("{}/parent", child.at()), &json!({ "parent": reseller.id })).await;
    assert_eq!(into.status, 409, "{}", into.text);
    house.admin.send("DELETE", &path, &json!({})).await.expect(200);
    house.admin.post(&path, &erasure).await.expect(202);
    house.until("the reseller is erased", async || house.admin.get(&reseller.at()).await.status == 404).await;
    assert_eq!(child.key.get(&grandchild.at()).await.status, 200);
    house.stop().await;
}

#[tokio::test]
async fn the_trails_tell_of_it_and_bounds_hold() {
    let house = House::start_with(|config| config.tenants.beneath_max = 3).await;
    let [reseller, child, grandchild, _] = family(&house).await;
    reseller.key.send("PATCH", &grandchild.at(), &json!({ "status": "suspended" })).await.expect(200);
    reseller.key.send("PATCH", &grandchild.at(), &json!({ "status": "active" })).await.expect(200);
    let told = async |who: &Client, kind: &str, of: &Party| {
        let of = &of.id;
        let trail = who.get(&format!("/api/v1/audit?type={kind}&subject={of}&limit=200")).await.expect(200);
        trail["items"].as_array().unwrap().len()
    };
    for who in [&reseller.key, &house.admin, &child.key] {
        assert_eq!(told(who, "tenant.changed", &grandchild).await, 2);
    }
    assert_eq!(
        told(&grandchild.key, "tenant.changed", &grandchild).await,
        2,
        "it reads who shut it and let it in"
    );
    for who in [&reseller.key, &house.admin] {
        assert_eq!(told(who, "tenant.created", &child).await, 1);
    }
    assert_eq!(told(&reseller.key, "tenant.created", &grandchild).await, 0, "that was the child's own doing");
    house.admin.send("PUT", &format!("{}/parent", child.at()), &json!({ "parent": null })).await.expect(200);
    for who in [&reseller.key, &house.admin, &child.key] {
        assert_eq!(told(who, "tenant.moved", &child).await, 1);
    }
    house
        .admin
        .send("PUT", &format!("{}/parent", child.at()), &json!({ "parent": reseller.id }))
        .await
        .expect(200);

    // Three beneath the one at the root, whoever opens them; the platform opens more.
    child.key.post("/api/v1/tenants", &json!({ "name": "third" })).await.expect(201);
    for who in [&child.key, &reseller.key] {
        let refused = who.post("/api/v1/tenants", &json!({ "name": "fourth" })).await;
        assert_eq!((refused.status, &refused.json()["at"]), (409, &json!("parent")), "{}", refused.text);
    }
    let fourth = json!({ "name": "fourth", "parent": child.id });
    let fourth = house.admin.post("/api/v1/tenants", &fourth).await.expect(201);

    // Its first administrator is invited for as long as nobody was let in.
    let path = format!("/api/v1/tenants/{}/administrator", text(&fourth["id"]));
    let first = json!({ "email": "first@fourth.example", "name": "First" });
    let one = reseller.key.post(&path, &first).await.expect(201);
    let two = child.key.post(&path, &first).await.expect(201);
    assert_eq!(one["administrator"]["id"], two["administrator"]["id"], "the same person gets a fresh link");
    assert_eq!(two["administrator"]["role"], "tenant_admin");
    enter(&house.admin, two["link"]["url"].as_str().unwrap()).await;
    for who in [&reseller.key, &house.admin] {
        let late = who.post(&path, &json!({ "email": "me@reseller.example", "name": "Me" })).await;
        assert_eq!((late.status, late.problem().as_str()), (409, "conflict"), "{}", late.text);
    }
    house.stop().await;
}
