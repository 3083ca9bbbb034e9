//! Applications and their tokens, over the endpoints that applications use.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_body_util::BodyExt as _;
use identity::client::{self, ClientPatch, CreatedClient, Kind, NewClient};
use identity::consent;
use identity::encryption::signing::{self, SigningKeys};
use identity::key::Rotation;
use identity::tenant::{self, TenantChange};
use identity::user::{self, UserChange};
use ring::digest::{SHA256, digest};
use serde_json::Value;
use tower::ServiceExt as _;
use types::{Code, Permission};
use web::App;
use web::access::SESSION_COOKIE;

use crate::house::{House, code, new_user, refusal};

pub(crate) const VERIFIER: &str = "a-verifier-of-more-than-forty-three-characters-0";
const BACK: &str = "https://app.example/back";

pub(crate) struct Reply {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn token(&self, name: &str) -> String {
        let token = self.json()[name].as_str().unwrap_or_default().to_owned();
        assert!(!token.is_empty(), "{name}: {} {}", self.status, self.text);
        token
    }

    fn location(&self) -> String {
        self.headers[header::LOCATION].to_str().unwrap().to_owned()
    }
}

async fn ask(house: &House, request: Request<Body>) -> Reply {
    let app = App {
        runtime: house.runtime.clone(),
        authenticate: house.identity.clone(),
        nav: identity::NAV.to_vec().into(),
    };
    let routes = identity::pages().merge(identity::doors()).with_state(app);
    let response = routes.oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let octets = response.into_body().collect().await.unwrap().to_bytes();
    Reply { status, headers, text: String::from_utf8_lossy(&octets).into_owned() }
}

async fn form(house: &House, path: &str, pairs: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = serde_urlencoded::to_string(pairs).unwrap();
    ask(house, request.body(Body::from(body)).unwrap()).await
}

fn basic(created: &CreatedClient) -> String {
    let secret = created.secret.as_deref().unwrap_or_default();
    format!("Basic {}", STANDARD.encode(format!("{}:{secret}", created.client.id)))
}

pub(crate) async fn server_token(house: &House, created: &CreatedClient) -> Reply {
    let pairs = [("grant_type", "client_credentials")];
    form(house, "/oauth/token", &pairs, &[("authorization", &basic(created))]).await
}

pub(crate) fn server(scopes: &[Permission]) -> NewClient {
    NewClient { name: "Billing".to_owned(), scopes: scopes.to_vec(), ..NewClient::default() }
}

pub(crate) fn phone(scopes: &[Permission]) -> NewClient {
    NewClient {
        name: "Phone".to_owned(),
        kind: Kind::Public,
        redirect_uris: vec![BACK.to_owned()],
        ..server(scopes)
    }
}

/// Asks the person and gives where they are led.
async fn authorize(house: &House, session: &str, id: &str, answer: &str) -> Reply {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let pairs = [
        ("response_type", "code"),
        ("client_id", id),
        ("redirect_uri", BACK),
        ("state", "xyz"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("answer", answer),
    ];
    form(house, "/oauth/authorize", &pairs, &[("cookie", &format!("{SESSION_COOKIE}={session}"))]).await
}

pub(crate) async fn code_of(house: &House, session: &str, id: &str) -> String {
    let led = authorize(house, session, id, "allow").await;
    let location = led.location();
    assert!(location.starts_with(BACK) && location.contains("state=xyz"), "{location}");
    assert!(location.contains("iss=http"), "{location}");
    let code = location.split_once("code=").unwrap().1;
    code.split('&').next().unwrap().to_owned()
}

pub(crate) async fn redeem(house: &House, id: &str, code: &str, verifier: &str) -> Reply {
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", id),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", verifier),
    ];
    form(house, "/oauth/token", &pairs, &[]).await
}

async fn refresh(house: &House, id: &str, token: &str) -> Reply {
    let pairs = [("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", token)];
    form(house, "/oauth/token", &pairs, &[]).await
}

#[tokio::test]
async fn a_server_gets_a_token_within_its_permissions_and_its_owners() {
    let house = House::build().await;
    let cli = house.cli().await;
    let app = client::create(&cli, server(&[Permission::MessageView, Permission::KeyView])).await.unwrap();
    let got = server_token(&house, &app).await;
    assert_eq!(
        (got.status, &got.headers[header::CACHE_CONTROL]),
        (StatusCode::OK, &"no-store".parse().unwrap())
    );
    assert_eq!(got.json()["scope"], "message.view key.view");
    assert!(got.json().get("refresh_token").is_none(), "RFC 6749 §4.4.3");
    let scope = house.by_key(&got.token("access_token")).await.unwrap();
    assert_eq!(scope.permissions(), [Permission::MessageView, Permission::KeyView].into_iter().collect());
    assert_eq!(scope.actor().to_string(), app.client.id.to_string());
    let basic = basic(&app);
    let ask = async |pairs: &[(&str, &str)]| {
        form(&house, "/oauth/token", pairs, &[("authorization", &basic)]).await
    };
    let less = ask(&[("grant_type", "client_credentials"), ("scope", "message.view")]).await;
    assert_eq!(less.json()["scope"], "message.view");
    let more = ask(&[("grant_type", "client_credentials"), ("scope", "user.manage")]).await;
    assert_eq!((more.status, more.error()), (StatusCode::BAD_REQUEST, "invalid_scope".to_owned()));
    let password = ask(&[("grant_type", "password"), ("username", "a"), ("password", "b")]).await;
    assert_eq!(password.error(), "unsupported_grant_type");
    let wrong = form(
        &house,
        "/oauth/token",
        &[
            ("grant_type", "client_credentials"),
            ("client_id", &app.client.id.to_string()),
            ("client_secret", "x"),
        ],
        &[],
    )
    .await;
    assert_eq!((wrong.status, wrong.error()), (StatusCode::UNAUTHORIZED, "invalid_client".to_owned()));
    assert!(wrong.headers.contains_key(header::WWW_AUTHENTICATE));
}

#[tokio::test]
async fn tokens_expire_and_stop_at_once_when_their_ground_is_gone() {
    let house = House::build().await;
    let cli = house.cli().await;
    let user = user::create(&cli, new_user("dev@example.com", "developer")).await.unwrap();
    let link = identity::link::create(&cli, user.id).await.unwrap();
    let developer = house.by_cookie(&house.enter(&link.path).await.unwrap()).await.unwrap();
    let app = client::create(&developer, server(&[Permission::MessageView, Permission::MessageSend]))
        .await
        .unwrap();
    let token = server_token(&house, &app).await.token("access_token");
    house.by_key(&token).await.unwrap();
    // Ten minutes, and one for clocks that differ.
    house.clock.advance_ms(659_000);
    house.by_key(&token).await.unwrap();
    house.clock.advance_ms(1_000);
    assert_eq!(code(house.by_key(&token).await), Code::TokenExpired);
    let token = server_token(&house, &app).await.token("access_token");
    house.by_key(&token).await.unwrap();
    // A permission that the owner loses is lost at once.
    let role = UserChange { role: Some("viewer".to_owned()), ..UserChange::default() };
    user::update(&cli, user.id, role).await.unwrap();
    assert_eq!(
        house.by_key(&token).await.unwrap().permissions(),
        [Permission::MessageView].into_iter().collect()
    );
    let off = UserChange { status: Some(user::Status::Disabled), ..UserChange::default() };
    user::update(&cli, user.id, off).await.unwrap();
    assert_eq!(code(house.by_key(&token).await), Code::Unauthenticated);
    let app = client::create(&cli, server(&[Permission::MessageView])).await.unwrap();
    let token = server_token(&house, &app).await.token("access_token");
    house.by_key(&token).await.unwrap();
    client::delete(&cli, app.client.id).await.unwrap();
    assert_eq!(code(house.by_key(&token).await), Code::Unauthenticated);
    assert_eq!(server_token(&house, &app).await.error(), "invalid_client");
}

#[tokio::test]
async fn a_suspended_tenants_tokens_stop_and_tenants_do_not_meet() {
    let house = House::build().await;
    let cli = house.cli().await;
    let neighbour = house.neighbour().await;
    let theirs = client::create(&neighbour, server(&[Permission::MessageView])).await.unwrap();
    let ours = client::create(&cli, server(&[Permission::MessageView])).await.unwrap();
    let token = server_token(&house, &theirs).await.token("access_token");
    assert_eq!(house.by_key(&token).await.unwrap().tenant(), neighbour.tenant());
    assert_eq!(code(client::get(&neighbour, ours.client.id).await), Code::NotFound);
    assert_eq!(
        code(client::update(&neighbour, ours.client.id, ClientPatch::default()).await),
        Code::NotFound
    );
    assert_eq!(code(client::rotate(&neighbour, ours.client.id, &Rotation::default()).await), Code::NotFound);
    assert_eq!(code(client::delete(&neighbour, ours.client.id).await), Code::NotFound);
    // Of another tenant's token one learns nothing.
    let told =
        form(&house, "/oauth/introspect", &[("token", &token)], &[("authorization", &basic(&ours))]).await;
    assert_eq!(told.json(), serde_json::json!({ "active": false }));
    let own =
        form(&house, "/oauth/introspect", &[("token", &token)], &[("authorization", &basic(&theirs))]).await;
    assert_eq!(
        (own.json()["active"].as_bool(), own.json()["scope"].as_str()),
        (Some(true), Some("message.view"))
    );
    let off = TenantChange { status: Some(tenant::Status::Suspended), ..TenantChange::default() };
    tenant::update(&cli, neighbour.tenant(), off).await.unwrap();
    assert_eq!(code(house.by_key(&token).await), Code::Unauthenticated);
    assert_eq!(server_token(&house, &theirs).await.error(), "invalid_client");
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let house = House::build().await;
    let cli = house.cli().await;
    let app = client::create(&cli, server(&[Permission::MessageView])).await.unwrap();
    let other = client::create(&cli, server(&[Permission::MessageView])).await.unwrap();
    let token = server_token(&house, &app).await.token("access_token");
    house.by_key(&token).await.unwrap();
    let revoke = async |by: &CreatedClient| {
        form(&house, "/oauth/revoke", &[("token", &token)], &[("authorization", &basic(by))]).await.status
    };
    assert_eq!(revoke(&other).await, StatusCode::OK);
    house.by_key(&token).await.unwrap();
    assert_eq!(revoke(&app).await, StatusCode::OK);
    assert_eq!(code(house.by_key(&token).await), Code::Unauthenticated);
    assert_eq!(revoke(&app).await, StatusCode::OK, "twice is fine");
    house.identity.write_down().await.unwrap();
    assert_eq!(code(house.by_key(&token).await), Code::Unauthenticated);
}

#[tokio::test]
async fn a_person_lets_an_application_in_and_it_never_has_more_than_they() {
    let house = House::build().await;
    let cli = house.cli().await;
    let app = client::create(&cli, phone(&[Permission::MessageView, Permission::AuditView])).await.unwrap();
    let id = app.client.id.to_string();
    let user = user::create(&cli, new_user("dev@example.com", "developer")).await.unwrap();
    let link = identity::link::create(&cli, user.id).await.unwrap();
    let session = house.enter(&link.path).await.unwrap();
    let denied = authorize(&house, &session, &id, "deny").await.location();
    assert!(denied.contains("error=access_denied") && denied.contains("state=xyz"), "{denied}");
    let code = code_of(&house, &session, &id).await;
    let stolen = redeem(&house, &id, &code, "another-verifier-of-more-than-forty-three-chars").await;
    assert_eq!(stolen.error(), "invalid_grant", "without the verifier a code is worth nothing");
    let got = redeem(&house, &id, &code, VERIFIER).await;
    // A developer sees no audit trail, so the application does not either.
    assert_eq!(got.json()["scope"], "message.view");
    let scope = house.by_key(&got.token("access_token")).await.unwrap();
    assert_eq!(scope.permissions(), [Permission::MessageView].into_iter().collect());
    assert_eq!(scope.actor().to_string(), format!("{id} for {}", user.id));
    assert_eq!(crate::house::code(user::own(&scope).await), Code::Forbidden, "it is not the person");
    let person = house.by_cookie(&session).await.unwrap();
    let consents = consent::list_own(&person).await.unwrap();
    assert_eq!((consents.len(), consents[0].client.as_str()), (1, "Phone"));
    assert_eq!(crate::house::code(consent::list_own(&scope).await), Code::Forbidden);
    consent::end_own(&person, consents[0].id).await.unwrap();
    assert_eq!(crate::house::code(house.by_key(&got.token("access_token")).await), Code::Unauthenticated);
    assert_eq!(refresh(&house, &id, &got.token("refresh_token")).await.error(), "invalid_grant");
    let neighbour = house.neighbour().await;
    assert_eq!(refusal(consent::end_own(&neighbour, consents[0].id).await).code(), Code::NotFound);
}

#[tokio::test]
async fn a_spent_refresh_token_ends_its_whole_family() {
    let house = House::build().await;
    let cli = house.cli().await;
    let app = client::create(&cli, phone(&[Permission::MessageView])).await.unwrap();
    let id = app.client.id.to_string();
    let session = house.enter_as_admin().await;
    let code = code_of(&house, &session, &id).await;
    let first = redeem(&house, &id, &code, VERIFIER).await;
    let second = refresh(&house, &id, &first.token("refresh_token")).await;
    let third = refresh(&house, &id, &second.token("refresh_token")).await;
    let access = third.token("access_token");
    house.by_key(&access).await.unwrap();
    let again = refresh(&house, &id, &first.token("refresh_token")).await;
    assert_eq!((again.status, again.error()), (StatusCode::BAD_REQUEST, "invalid_grant".to_owned()));
    for token in [first.token("access_token"), second.token("access_token"), access] {
        assert_eq!(crate::house::code(house.by_key(&token).await), Code::Unauthenticated);
    }
    assert_eq!(refresh(&house, &id, &third.token("refresh_token")).await.error(), "invalid_grant");
    assert!(house.trail().await.contains("refresh_token.reused"));
}

#[tokio::test]
async fn of_two_uses_at_once_one_is_the_second_and_a_code_works_once() {
    let house = House::build().await;
    let cli = house.cli().await;
    let app = client::create(&cli, phone(&[Permission::MessageView])).await.unwrap();
    let id = app.client.id.to_string();
    let session = house.enter_as_admin().await;
    let code = code_of(&house, &session, &id).await;
    let got = redeem(&house, &id, &code, VERIFIER).await;
    let token = got.token("refresh_token");
    let (one, two) = tokio::join!(refresh(&house, &id, &token), refresh(&house, &id, &token));
    assert!((one.status == StatusCode::OK) != (two.status == StatusCode::OK));
    assert_eq!(crate::house::code(house.by_key(&got.token("access_token")).await), Code::Unauthenticated);
    let code = code_of(&house, &session, &id).await;
    let got = redeem(&house, &id, &code, VERIFIER).await;
    house.by_key(&got.token("access_token")).await.unwrap();
    assert_eq!(redeem(&house, &id, &code, VERIFIER).await.error(), "invalid_grant");
    assert_eq!(crate::house::code(house.by_key(&got.token("access_token")).await), Code::Unauthenticated);
    let late = code_of(&house, &session, &id).await;
    house.clock.advance_ms(60_000);
    assert_eq!(redeem(&house, &id, &late, VERIFIER).await.error(), "invalid_grant");
}

#[tokio::test]
async fn nobody_is_led_to_an_address_that_is_not_registered() {
    let house = House::build().await;
    let app = client::create(&house.cli().await, phone(&[Permission::MessageView])).await.unwrap();
    let cookie = format!("{SESSION_COOKIE}={}", house.enter_as_admin().await);
    let ask_with = async |pairs: &[(&str, &str)]| {
        let query = serde_urlencoded::to_string(pairs).unwrap();
        let request = Request::get(format!("/oauth/authorize?{query}")).header("cookie", &cookie);
        ask(&house, request.body(Body::empty()).unwrap()).await
    };
    let id = app.client.id.to_string();
    let elsewhere =
        ask_with(&[("response_type", "code"), ("client_id", &id), ("redirect_uri", "https://evil.example/")])
            .await;
    assert_eq!(elsewhere.status, StatusCode::BAD_REQUEST);
    let naked = ask_with(&[("response_type", "code"), ("client_id", &id), ("redirect_uri", BACK)]).await;
    assert!(naked.location().contains("error=invalid_request"), "no code without PKCE");
    let challenge = "x".repeat(43);
    let fit = ask_with(&[
        ("response_type", "code"),
        ("client_id", &id),
        ("redirect_uri", BACK),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ])
    .await;
    assert_eq!(fit.status, StatusCode::OK, "{}", fit.text);
    assert!(fit.text.contains("Phone") && fit.text.contains("See messages"));
    let policy = fit.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("form-action 'self' https://app.example;"), "{policy}");
}

#[tokio::test]
async fn signing_keys_turn_and_are_revoked_by_who_may() {
    let house = House::build().await;
    let cli = house.cli().await;
    let app = client::create(&cli, server(&[Permission::MessageView])).await.unwrap();
    let token = server_token(&house, &app).await.token("access_token");
    house.by_key(&token).await.unwrap();
    let states = |keys: &SigningKeys| keys.keys.iter().map(|key| key.state).collect::<Vec<_>>();
    assert_eq!(states(&signing::turn(&cli).await.unwrap()), ["signing", "next"]);
    assert_eq!(code(signing::turn(&cli).await), Code::Conflict, "the next one is there");
    house.by_key(&token).await.unwrap();
    house.clock.advance_ms(86_400_000);
    assert_eq!(states(&signing::show(&cli).await.unwrap()), ["former", "signing"]);
    let token = server_token(&house, &app).await.token("access_token");
    house.by_key(&token).await.unwrap();
    // Remembered or not, a token of a revoked key is refused, and a new one is good.
    let revoked = signing::revoke(&cli).await.unwrap();
    assert_eq!(states(&revoked), ["signing"]);
    assert_eq!(code(house.by_key(&token).await), Code::Unauthenticated);
    let token = server_token(&house, &app).await.token("access_token");
    house.by_key(&token).await.unwrap();
    let trail = house.trail().await;
    assert!(
        trail.contains("encryption.signing_key_turned") && trail.contains("encryption.signing_keys_revoked")
    );
    let neighbour = house.neighbour().await;
    assert_eq!(code(signing::show(&neighbour).await), Code::Forbidden, "they are the installation's");
    assert_eq!(code(signing::turn(&neighbour).await), Code::Forbidden);
    assert_eq!(code(signing::revoke(&neighbour).await), Code::Forbidden);
}

#[tokio::test]
async fn keys_are_published_before_they_sign_and_until_their_tokens_are_gone() {
    let house = House::build().await;
    let cli = house.cli().await;
    let app = client::create(&cli, server(&[Permission::MessageView])).await.unwrap();
    let published = async || {
        let reply = ask(&house, Request::get("/.well-known/jwks.json").body(Body::empty()).unwrap()).await;
        let keys = reply.json()["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let kid = |token: &str| {
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("at+jwt"), Some("ES256")));
        header["kid"].as_str().unwrap().to_owned()
    };
    let first = kid(&server_token(&house, &app).await.token("access_token"));
    assert_eq!(published().await, std::slice::from_ref(&first));
    let day_ms = 86_400_000;
    house.clock.advance_ms(29 * day_ms);
    house.identity.write_down().await.unwrap();
    let both = published().await;
    assert_eq!((both.len(), &both[0]), (2, &first));
    assert_eq!(kid(&server_token(&house, &app).await.token("access_token")), first, "not yet");
    house.clock.advance_ms(day_ms);
    let last = server_token(&house, &app).await.token("access_token");
    assert_eq!(kid(&last), both[1]);
    assert_eq!(published().await, both, "its tokens may live");
    house.clock.advance_ms(day_ms);
    house.identity.write_down().await.unwrap();
    assert_eq!(published().await, both[1..]);
    // The private keys are nowhere to be read.
    let mut tx = house.runtime.db.read(db::Tenancy::Every).await.unwrap();
    db::record! { struct Row { private_key: String } }
    let rows: Vec<Row> =
        tx.all(db::sql!("select private_key from signing_key limit 10"), db::args![]).await.unwrap();
    assert!(rows.iter().all(|row| row.private_key.starts_with("v1.")));
}

#[tokio::test]
async fn a_token_of_another_key_algorithm_or_kind_is_refused() {
    let house = House::build().await;
    let app = client::create(&house.cli().await, server(&[Permission::MessageView])).await.unwrap();
    let token = server_token(&house, &app).await.token("access_token");
    house.by_key(&token).await.unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    let with = |name: &str, value: &str| {
        let mut header = header.clone();
        header[name] = value.into();
        format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), parts[1], parts[2])
    };
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    claims["scope"] = "user.manage".into();
    let forged = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]);
    let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#), parts[1]);
    for bad in [with("alg", "HS256"), with("typ", "JWT"), with("kid", "0000000000001"), forged, none] {
        assert_eq!(code(house.by_key(&bad).await), Code::Unauthenticated, "{bad}");
    }
}
