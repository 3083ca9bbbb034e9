//! The pages and the API, as a browser and a program meet them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use identity::first_start::{self, ADMIN_EMAIL};
use identity::user;
use identity::{key, link};
use tower::ServiceExt;
use types::Permission;
use web::{App, Paging};

use crate::house::{House, PASSWORD, new_key, new_user};

struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Seen {
    fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |value| value.to_str().unwrap())
    }

    fn cookie(&self) -> &str {
        let cookies = self.headers.get_all(header::SET_COOKIE).iter();
        cookies
            .map(|value| value.to_str().unwrap())
            .find(|value| value.starts_with("switchboard_session="))
            .unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

fn served(house: &House) -> Router {
    let app = App {
        runtime: house.runtime.clone(),
        authenticate: Arc::clone(&house.identity) as _,
        nav: identity::NAV.into(),
    };
    let (api, _) = identity::api().split_for_parts();
    web::shield::around(api.merge(identity::pages()).with_state(app.clone()), &app)
}

async fn ask(house: &House, request: Request<Body>) -> Seen {
    let response = served(house).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Seen { status: parts.status, headers: parts.headers, text }
}

async fn get(house: &House, path: &str, token: &str) -> Seen {
    let request = Request::get(path).header(header::COOKIE, format!("switchboard_session={token}"));
    ask(house, request.body(Body::empty()).unwrap()).await
}

async fn post(house: &House, path: &str, token: &str, form: &str) -> Seen {
    let request = Request::post(path)
        .header(header::COOKIE, format!("switchboard_session={token}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    ask(house, request.body(Body::from(form.to_owned())).unwrap()).await
}

#[tokio::test]
async fn every_page_opens_for_the_administrator_and_for_no_stranger() {
    let house = House::build().await;
    let token = house.enter_as_admin().await;
    let cli = house.cli().await;
    let user = user::list(&cli, &Paging::default()).await.unwrap().items[0].id;
    let key = key::list(&cli, &Paging::default()).await.unwrap().items[0].id;
    let pages = [
        "/account".to_owned(),
        "/account/security".to_owned(),
        "/account/security/history".to_owned(),
        "/account/security/totp".to_owned(),
        "/step-up?back=%2Fusers".to_owned(),
        "/sign-in-policy".to_owned(),
        "/organisation".to_owned(),
        "/organisation/erasure".to_owned(),
        "/domains".to_owned(),
        "/erasures".to_owned(),
        "/api-keys".to_owned(),
        "/api-keys/new".to_owned(),
        format!("/api-keys/{key}"),
        "/users".to_owned(),
        "/users/new".to_owned(),
        format!("/users/{user}"),
        format!("/users/{user}/history"),
        "/tenants".to_owned(),
        "/tenants/new".to_owned(),
        format!("/tenants/{}", cli.tenant()),
        "/audit".to_owned(),
        "/audit?type=user.created&actor=system+first+start".to_owned(),
    ];
    for path in &pages {
        let seen = get(&house, path, &token).await;
        assert_eq!(seen.status, StatusCode::OK, "{path}: {}", seen.text);
        assert!(seen.text.contains("<h1>"), "{path}");
        let stranger = get(&house, path, "nobody").await;
        assert_eq!(stranger.status, StatusCode::SEE_OTHER, "{path}");
        assert!(stranger.location().starts_with("/sign-in?back="), "{path}");
    }
    let link = link::create(&cli, user::create(&cli, new_user("v@example.com", "viewer")).await.unwrap().id);
    let viewer = house.enter(&link.await.unwrap().path).await.unwrap();
    for path in pages.iter().filter(|path| !path.starts_with("/account") && !path.starts_with("/step-up")) {
        assert_eq!(get(&house, path, &viewer).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(get(&house, "/account", &viewer).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_link_is_used_by_the_button_and_not_by_a_preview() {
    let house = House::build().await;
    let path = house.start.made.as_ref().unwrap().link.path.clone();
    let token = path.split_once("token=").unwrap().1;
    for _ in 0..3 {
        let landing = get(&house, &path, "").await;
        assert_eq!(landing.status, StatusCode::OK);
        assert!(landing.text.contains(token));
    }
    let entered = post(&house, "/sign-in/link", "", &format!("csrf=&token={token}")).await;
    assert_eq!((entered.status, entered.location()), (StatusCode::SEE_OTHER, "/"));
    let cookie = entered.cookie().to_owned();
    assert!(
        cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax") && cookie.contains("; Path=/")
    );
    assert!(!cookie.contains("Secure"), "the house is reached over http");
    let session = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    assert_eq!(get(&house, "/account", &session).await.status, StatusCode::OK);
    let again = post(&house, "/sign-in/link", "", &format!("token={token}")).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    let out = post(&house, "/sign-out", &session, "").await;
    assert_eq!(out.location(), "/sign-in");
    assert!(out.cookie().contains("Max-Age=0"));
    assert_eq!(get(&house, "/account", &session).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_password_is_set_and_signs_in_from_the_form() {
    let house = House::build().await;
    let token = house.enter_as_admin().await;
    let differs =
        post(&house, "/account/password", &token, "password=one+long+password&repeated=another").await;
    assert_eq!(differs.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(differs.text.contains("the two are not the same"));
    let form = format!("password={0}&repeated={0}", PASSWORD.replace(' ', "+"));
    assert_eq!(post(&house, "/account/password", &token, &form).await.location(), "/account/security");
    let wrong = post(&house, "/sign-in", "", &format!("email={ADMIN_EMAIL}&password=wrong")).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.text.contains("wrong") && wrong.text.contains(ADMIN_EMAIL));
    let right = format!("email={ADMIN_EMAIL}&password={}&back=%2Faudit", PASSWORD.replace(' ', "+"));
    let entered = post(&house, "/sign-in", "", &right).await;
    assert_eq!((entered.status, entered.location()), (StatusCode::SEE_OTHER, "/audit"));
}

#[tokio::test]
async fn a_keys_secret_is_on_one_page_that_no_cache_keeps() {
    let house = House::build().await;
    let token = house.enter_as_admin().await;
    let form = "name=Billing&scopes=message.send&scopes=message.view";
    let made = post(&house, "/api-keys", &token, form).await;
    assert_eq!(made.headers.get(header::CACHE_CONTROL).unwrap(), "no-store");
    let at = made.text.find("sb_live_").unwrap();
    let secret: String =
        made.text[at..].chars().take_while(|ch| ch.is_ascii_alphanumeric() || "_-".contains(*ch)).collect();
    let scope = house.by_key(&secret).await.unwrap();
    assert_eq!(scope.permissions(), [Permission::MessageSend, Permission::MessageView].into_iter().collect());
    let list = get(&house, "/api-keys", &token).await;
    assert!(list.text.contains("Billing") && !list.text.contains(&secret));
    let nameless = post(&house, "/api-keys", &token, "scopes=message.send").await;
    assert_eq!(nameless.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(nameless.text.contains("a name has"));
}

#[tokio::test]
async fn users_are_created_and_changed_by_forms() {
    let house = House::build().await;
    let token = house.enter_as_admin().await;
    let bad = post(&house, "/users", &token, "name=Ana&email=nowhere&role=viewer").await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bad.text.contains("give an e-mail address") && bad.text.contains("value=\"Ana\""));
    let made =
        post(&house, "/users", &token, "name=Ana&email=ana%40example.com&role=viewer&language=fr").await;
    let path = made.location().to_owned();
    let changed = post(&house, &path, &token, "name=Ana+B&language=fr&role=support&status=active").await;
    assert_eq!(changed.location(), path);
    let shown = post(&house, &format!("{path}/link"), &token, "").await;
    assert!(shown.text.contains("/sign-in/link?token="));
    let trail = get(&house, "/audit?type=user.changed", &token).await;
    assert!(
        trail.text.contains("<del>viewer</del>") && trail.text.contains("<ins>support</ins>"),
        "{}",
        trail.text
    );
    let tenant =
        post(&house, "/tenants", &token, "name=Acme&locale=en&time_zone=UTC&email=boss%40acme.example").await;
    assert!(tenant.text.contains("/sign-in/link?token="), "{}", tenant.text);
}

#[tokio::test]
async fn a_form_filled_in_as_another_user_is_not_sent_as_oneself() {
    let house = House::build().await;
    let token = house.enter_as_admin().await;
    let made =
        post(&house, "/users", &token, "name=Ana&email=ana%40example.com&role=supervisor&language=en").await;
    let path = made.location().to_owned();
    let act = "acting_reason=Ticket+4711&acting_minutes=15";
    assert_eq!(post(&house, &format!("{path}/impersonation"), &token, act).await.location(), "/");
    let marked = |seen: &Seen, value: &str| {
        let cookies = seen.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
        cookies.into_iter().any(|cookie| cookie.starts_with(&format!("switchboard_acting={value};")))
    };
    let page = get(&house, "/users", &token).await;
    assert!(marked(&page, "1"), "the browser knows that the page is another user's");
    house.clock.advance_ms(15 * 60_000);
    let browser = format!("{token}; switchboard_acting=1");
    let form = "name=Bob&email=bob%40example.com&role=viewer&language=en";
    let late = post(&house, "/users", &browser, form).await;
    assert_eq!((late.status, late.location()), (StatusCode::SEE_OTHER, "/"));
    let people = get(&house, "/users", &browser).await;
    assert!(!people.text.contains("bob@example.com"), "nothing was done");
    assert!(marked(&people, ""), "from here on the pages are one's own");
    assert!(post(&house, "/users", &token, form).await.location().starts_with("/users/"));
}

#[tokio::test]
async fn programs_get_json_and_a_repetition_holds_no_secret() {
    let house = House::build().await;
    let cli = house.start.made.as_ref().unwrap().cli_key.expose().to_owned();
    let call = |method: &str, path: &str, body: &str| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {cli}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", format!("{path} {}", body.len()));
        request.body(Body::from(body.to_owned())).unwrap()
    };
    let me = ask(&house, call("GET", "/api/v1/me", "")).await.json();
    assert_eq!(me["tenant"]["name"], "Demo");
    let held = Permission::ALL.iter().filter(|one| !one.is_of_reseller()).count();
    assert_eq!(me["permissions"].as_array().unwrap().len(), held);
    let catalogue = ask(&house, call("GET", "/api/v1/permissions", "")).await.json();
    assert_eq!(catalogue["permissions"][0]["name"], "message.send");
    let body = r#"{"name":"Billing","scopes":["message.send"]}"#;
    let first = ask(&house, call("POST", "/api/v1/api-keys", body)).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let secret = first.json()["secret"].as_str().unwrap().to_owned();
    let again = ask(&house, call("POST", "/api/v1/api-keys", body)).await;
    assert_eq!(again.headers.get("Idempotent-Replayed").unwrap(), "true");
    assert!(!again.text.contains(&secret) && again.json()["id"] == first.json()["id"]);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let revoked = ask(&house, call("GET", &format!("/api/v1/api-keys/{id}"), "")).await;
    assert_eq!(revoked.json()["name"], "Billing");
    let unknown = ask(&house, call("POST", "/api/v1/users", r#"{"name":"A","mail":"a@b"}"#)).await;
    assert_eq!(
        (unknown.status, unknown.json()["code"].as_str()),
        (StatusCode::BAD_REQUEST, Some("unknown_field"))
    );
    let audit = ask(&house, call("GET", "/api/v1/audit?type=key.created&limit=1", "")).await.json();
    assert_eq!(audit["items"][0]["data"]["name"], "Billing");
    let nobody = Request::get("/api/v1/users").body(Body::empty()).unwrap();
    assert_eq!(ask(&house, nobody).await.status, StatusCode::UNAUTHORIZED);
    let small =
        key::create(&house.cli().await, new_key(&[Permission::MessageView])).await.unwrap().secret.unwrap();
    let request = Request::get("/api/v1/users").header(header::AUTHORIZATION, format!("bearer {small}"));
    assert_eq!(ask(&house, request.body(Body::empty()).unwrap()).await.status, StatusCode::FORBIDDEN);
    assert!(first_start::run(&house.runtime).await.unwrap().made.is_none());
}

#[test]
fn every_operation_of_the_api_is_described() {
    let (_, document) = identity::api().split_for_parts();
    let document = serde_json::to_value(&document).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with("/api/v1/"), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 5), "{method} {path}");
            assert!(operation["tags"][0].is_string(), "{method} {path}");
        }
    }
    assert_eq!(document["paths"].as_object().unwrap().len(), 93);
}
