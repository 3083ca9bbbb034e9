//! Who is let to the doors of the HTTP port: pages of other sites, networks of the console, and what browsers are told.

use serde_json::json;
use testkit::House;

const FRIEND: &str = "https://crm.example.com";

#[tokio::test]
async fn pages_of_a_listed_origin_use_the_api_with_a_key_and_never_with_a_session() {
    let house = House::start_with(|config| config.http.cors_origins = vec![FRIEND.to_owned()]).await;
    let preflight = async |origin: &str, path: &str| {
        let asked = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,idempotency-key"),
        ];
        let answer = house.anonymous().ask("OPTIONS", path, &asked, None).await;
        let allowed = answer.headers.get("access-control-allow-origin").cloned();
        assert!(answer.headers.get("access-control-allow-credentials").is_none());
        allowed.map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(preflight(FRIEND, "/api/v1/messages").await.as_deref(), Some(FRIEND));
    assert_eq!(preflight("https://crm.example.com.evil.example", "/api/v1/messages").await, None);
    assert_eq!(preflight(FRIEND, "/messages").await, None, "the console's pages are nobody else's");

    let link =
        house.admin.post(&format!("/api/v1/users/{}/link", user(&house).await), &json!({})).await.expect(201);
    let cookie = house.sign_in(link["url"].as_str().unwrap()).await;
    let write = async |origin: &str, fetch_site: &str, with_key: bool| {
        let client = if with_key { house.admin.clone() } else { house.anonymous() };
        let headers = [
            ("origin", origin),
            ("sec-fetch-site", fetch_site),
            ("content-type", "application/json"),
            ("cookie", cookie.as_str()),
        ];
        let body = json!({ "to": "+33612345678", "text": "x" }).to_string().into_bytes();
        let answer = client.ask("POST", "/api/v1/messages", &headers, Some(body)).await;
        let code = if answer.status == 202 { String::new() } else { answer.problem() };
        (answer.status, code)
    };
    assert_eq!(write(FRIEND, "cross-site", true).await.0, 202);
    // From a neighbour under the same registered domain the browser would send the session's cookie.
    assert_eq!(write(FRIEND, "same-site", false).await, (401, "unauthenticated".to_owned()));
    assert_eq!(write("https://evil.example", "cross-site", false).await, (403, "cross_site".to_owned()));
    assert_eq!(write("https://evil.example", "cross-site", true).await, (403, "cross_site".to_owned()));
    house.stop().await;
}

async fn user(house: &House) -> String {
    let users = house.admin.get("/api/v1/users").await.expect(200);
    users["items"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_console_is_for_its_networks_and_the_api_for_keys_from_anywhere() {
    let house = House::start_with(|config| {
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        config.http.console_networks = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    })
    .await;
    let link =
        house.admin.post(&format!("/api/v1/users/{}/link", user(&house).await), &json!({})).await.expect(201);
    let cookie = house.sign_in(link["url"].as_str().unwrap()).await;
    let from = async |address: &str, path: &str| {
        let headers = [("x-forwarded-for", address), ("cookie", cookie.as_str())];
        house.anonymous().ask("GET", path, &headers, None).await
    };
    for inside in ["10.1.2.3", "fd00::7", "127.0.0.1"] {
        assert_eq!(from(inside, "/messages").await.status, 200, "{inside}");
        assert_eq!(from(inside, "/api/v1/me").await.status, 200, "{inside}");
    }
    for outside in ["192.0.2.1", "2001:db8::1"] {
        for page in ["/", "/messages", "/sign-in"] {
            let refused = from(outside, page).await;
            assert_eq!(refused.status, 403, "{outside} {page}");
            assert!(refused.text.contains("console_networks"), "{}", refused.text);
        }
        assert_eq!(from(outside, "/api/v1/me").await.problem(), "unauthenticated", "no session from there");
        let with_key = [("x-forwarded-for", outside)];
        assert_eq!(house.admin.ask("GET", "/api/v1/me", &with_key, None).await.status, 200);
    }
    house.stop().await;
}

#[tokio::test]
async fn every_answer_tells_browsers_what_they_may_not_do() {
    let house = House::start().await;
    for path in ["/sign-in", "/health", "/api/v1/messages", "/no-such-page", "/docs"] {
        let answer = house.anonymous().get(path).await;
        let header = |name: &str| {
            let value = answer.headers.get(name).unwrap_or_else(|| panic!("{path} has no {name}"));
            value.to_str().unwrap().to_owned()
        };
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        assert!(header("permissions-policy").contains("microphone=()"));
        let inline = ["<script>", " onclick=", " onload=", " style=", "javascript:"];
        let found = inline.iter().find(|mark| answer.text.contains(**mark));
        assert_eq!(found, None, "{path} has script or style in it, which the policy forbids");
    }
    house.stop().await;
}

#[tokio::test]
async fn what_attackers_type_is_data() {
    let house = House::start().await;
    let nasty = [
        "' or 1=1 --",
        "\"; drop table message; --",
        "1; select pg_sleep(5)",
        "%27%20or%20%271%27=%271",
        "{{7*7}}",
        "${7*7}",
        "../../../../etc/passwd",
        "<script>alert(1)</script>",
        "\u{0}",
        "a\r\nSet-Cookie: x=1",
        "%0d%0aX-Injected: 1",
    ];
    for text in nasty {
        let query =
            serde_urlencoded::to_string([("to", text), ("from", text), ("client_ref", text)]).unwrap();
        for path in [format!("/api/v1/messages?{query}"), format!("/api/v1/users?after={}", escaped(text))] {
            let answer = house.admin.get(&path).await;
            assert!(answer.status < 500, "{path}: {} {}", answer.status, answer.text);
            assert!(
                answer.headers.get("x-injected").is_none() && answer.headers.get("set-cookie").is_none(),
                "{path}"
            );
        }
        for path in [format!("/api/v1/messages/{}", escaped(text)), format!("/{}", escaped(text))] {
            let answer = house.admin.get(&path).await;
            assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
            let page = answer.headers["content-type"].to_str().unwrap().starts_with("text/html");
            assert!(!page || !answer.text.contains("<script>alert"), "{path}: {}", answer.text);
        }
        let body = json!({ "name": text, "email": format!("{text}@example.com"), "role": text });
        let answer = house.admin.post("/api/v1/users", &body).await;
        assert!((400..500).contains(&answer.status), "{text}: {} {}", answer.status, answer.text);
        // A text is content: it arrives as it was typed.
        let sent = json!({ "to": "+33612345678", "text": text, "client_ref": "typed" });
        let answer = house.admin.post("/api/v1/messages", &sent).await;
        if answer.status == 202 {
            let id = answer.json()["id"].as_str().unwrap().to_owned();
            let kept = house.admin.get(&format!("/api/v1/messages/{id}")).await.expect(200);
            // No database keeps the character zero; it is shown as one that was lost.
            assert_eq!(kept["text"].as_str(), Some(text.replace('\0', "\u{fffd}").as_str()));
        }
    }
    let tables = house.server.runtime.db.schema().await.unwrap();
    assert!(tables.iter().any(|column| column.table_name == "message"));
    house.stop().await;
}

fn escaped(text: &str) -> String {
    let pair = serde_urlencoded::to_string([("x", text)]).unwrap();
    pair.trim_start_matches("x=").replace('+', "%20")
}
