//! Programs that say who they are: test keys, networks, rates, and access tokens over the whole API.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testkit::House;
use testkit::client::Client;

async fn key(house: &House, more: Value) -> (String, Client) {
    let mut new = json!({ "name": "program", "scopes": ["message.send", "message.view"] });
    new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = house.admin.post("/api/v1/api-keys", &new).await.expect(201);
    let secret = made["secret"].as_str().unwrap();
    (made["id"].as_str().unwrap().to_owned(), house.anonymous().with_key(secret))
}

#[tokio::test]
async fn a_test_message_reaches_the_simulator_and_no_other_carrier() {
    let house = House::start().await;
    let (_, test) = key(&house, json!({ "kind": "test" })).await;
    let (_, live) = key(&house, json!({})).await;
    let message = json!({ "to": "+33612345678", "text": "a test" });
    let sent = test.post("/api/v1/messages", &message).await.expect(202);
    let path = format!("/api/v1/messages/{}", sent["id"].as_str().unwrap());
    house.until("it is delivered", async || test.get(&path).await.json()["state"] == "delivered").await;
    assert_eq!(test.get(&path).await.json()["test"], true);
    // Another carrier comes before the simulator: live messages wait for it, those of a test still go to the simulator.
    let settings = json!({ "host": "127.0.0.1", "port": 1, "system_id": "x" });
    let carrier = json!({ "name": "Carrier", "password": "secret", "settings": settings });
    let carrier = house.admin.post("/api/v1/connections", &carrier).await.expect(201)["id"].clone();
    let rule = json!({ "targets": [carrier] });
    let first = json!({ "name": "First", "priority": 900, "rule": rule });
    house.admin.post("/api/v1/routes", &first).await.expect(201);
    let waits = live.post("/api/v1/messages", &message).await.expect(202);
    let waits = live.get(&format!("/api/v1/messages/{}", waits["id"].as_str().unwrap())).await.json();
    assert_eq!((waits["connection"].clone(), waits["test"].clone()), (carrier.clone(), Value::Null));
    let sent = test.post("/api/v1/messages", &message).await.expect(202);
    let path = format!("/api/v1/messages/{}", sent["id"].as_str().unwrap());
    house.until("it is delivered too", async || test.get(&path).await.json()["state"] == "delivered").await;
    // Without a route to the simulator there is nowhere to go.
    let routes = house.admin.get("/api/v1/routes").await.json();
    let everything =
        routes["items"].as_array().unwrap().iter().find(|one| one["name"] == "Everything").unwrap();
    let path = format!("/api/v1/routes/{}", everything["id"].as_str().unwrap());
    house.admin.delete(&path).await;
    let refused = test.post("/api/v1/messages", &message).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "no_simulator"), "{}", refused.text);
    live.post("/api/v1/messages", &message).await.expect(202);
    house.stop().await;
}

#[tokio::test]
async fn a_test_message_does_not_follow_its_connection_to_a_carrier() {
    let house = House::start().await;
    let (_, test) = key(&house, json!({ "kind": "test" })).await;
    let connections = house.admin.get("/api/v1/connections").await.json();
    let simulator = connections["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/connections/{simulator}");
    let pause = json!({ "kind": "connection", "target": simulator });
    let pause = house.admin.post("/api/v1/pauses", &pause).await.expect(201)["id"].clone();
    let message = json!({ "to": "+33612345678", "text": "a test" });
    let sent = test.post("/api/v1/messages", &message).await.expect(202);
    // A carrier of another kind: a simulator that is not the built-in one.
    let carrier = simulator::Smsc::start(
        simulator::Settings {
            accounts: vec![simulator::smsc::Credentials {
                system_id: "switchboard".to_owned(),
                password: "carrier".to_owned(),
            }],
            ..simulator::Settings::from(&house.server.runtime.config.simulator)
        },
        &house.server.runtime.tasks,
        house.server.runtime.clock.clone(),
    )
    .await
    .unwrap();
    let led = json!({ "settings": { "port": carrier.address().port() } });
    house.admin.send("PATCH", &path, &led).await.expect(200);
    house
        .until("it is bound there", async || {
            house.admin.get(&path).await.json()["status"]["state"] == "bound"
        })
        .await;
    house.admin.delete(&format!("/api/v1/pauses/{}", pause.as_str().unwrap())).await;
    let path = format!("/api/v1/messages/{}", sent["id"].as_str().unwrap());
    house
        .until("it has come to its end", async || {
            let state = test.get(&path).await.json()["state"].clone();
            state != "queued" && state != "sent"
        })
        .await;
    let message = test.get(&path).await.json();
    assert_ne!(message["state"], "delivered", "{message}");
    house.stop().await;
}

#[tokio::test]
async fn a_key_is_kept_to_its_networks_and_its_rate() {
    let house = House::start().await;
    let (id, elsewhere) = key(&house, json!({ "networks": ["203.0.113.0/24", "2001:db8::/32"] })).await;
    let refused = elsewhere.get("/api/v1/me").await;
    assert_eq!((refused.status, refused.problem().as_str()), (403, "network_not_allowed"));
    let here = json!({ "networks": ["127.0.0.0/8"], "rate_per_second": 1, "rate_burst": 2 });
    house.admin.send("PATCH", &format!("/api/v1/api-keys/{id}"), &here).await.expect(200);
    let first = elsewhere.get("/api/v1/me").await;
    let header = |answer: &testkit::client::Answer, name: &str| {
        answer.headers[name].to_str().unwrap_or_default().to_owned()
    };
    assert_eq!((first.status, header(&first, "ratelimit-policy").as_str()), (200, "\"default\";q=2;w=2"));
    assert!(header(&first, "ratelimit").starts_with("\"default\";r=1;t="), "{}", header(&first, "ratelimit"));
    elsewhere.get("/api/v1/me").await;
    let refused = elsewhere.get("/api/v1/me").await;
    assert_eq!((refused.status, refused.problem().as_str()), (429, "too_many_requests"));
    assert_eq!(header(&refused, "retry-after"), "1");
    assert!(
        house.admin.get("/api/v1/me").await.headers.get("ratelimit").is_none(),
        "no rate is set for others"
    );
    house.stop().await;
}

#[tokio::test]
async fn a_token_by_a_clients_secret_opens_the_api_and_the_key_set_verifies_it() {
    let house =
        House::start_with(|config| config.http.public_url = "https://gateway.example".to_owned()).await;
    let new = json!({ "name": "Billing", "scopes": ["message.send", "message.view"] });
    let app = house.admin.post("/api/v1/oauth-clients", &new).await.expect(201);
    let text = |name: &str| app[name].as_str().unwrap().to_owned();
    let form =
        format!("grant_type=client_credentials&client_id={}&client_secret={}", text("id"), text("secret"));
    let stranger = house.anonymous();
    let got = stranger.form("/oauth/token", &[], &form).await.expect(200);
    assert_eq!((got["token_type"].as_str(), got["expires_in"].as_u64()), (Some("Bearer"), Some(600)));
    let token = got["access_token"].as_str().unwrap();
    let program = stranger.with_key(token);
    let message = json!({ "to": "+33612345678", "text": "by a token" });
    let sent = program.post("/api/v1/messages", &message).await.expect(202);
    program.get(&format!("/api/v1/messages/{}", sent["id"].as_str().unwrap())).await.expect(200);
    let refused = program.get("/api/v1/users").await;
    assert_eq!((refused.status, refused.problem().as_str()), (403, "forbidden"));
    // As a service of somebody else's checks it: by what is published alone.
    let metadata = stranger.get("/.well-known/oauth-authorization-server").await.expect(200);
    assert_eq!(metadata["issuer"], "https://gateway.example");
    assert_eq!(metadata["jwks_uri"], "https://gateway.example/.well-known/jwks.json");
    let keys = stranger.get("/.well-known/jwks.json").await.expect(200);
    let part = |name: &str| URL_SAFE_NO_PAD.decode(keys["keys"][0][name].as_str().unwrap()).unwrap();
    let point = [vec![4], part("x"), part("y")].concat();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["aud"], &claims["iss"]), (&metadata["issuer"], &metadata["issuer"]));
    let revoked = stranger
        .form(
            "/oauth/revoke",
            &[],
            &format!("token={token}&client_id={}&client_secret={}", text("id"), text("secret")),
        )
        .await;
    assert_eq!(revoked.status, 200);
    assert_eq!(program.get("/api/v1/messages").await.status, 401);
    house.stop().await;
}
