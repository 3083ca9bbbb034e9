//! A service that people sign in with, and that lies.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Form, Query, State};
use axum::http::{Request, header};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Tenancy, args};
use identity::policy::{self, SignInPolicy};
use identity::provider::{self, GroupRole, NewProvider, Provider, ProviderPatch, ProviderSettings};
use identity::role::custom::{self, Grantable, NewRole};
use identity::user;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use types::{Code, Permission, Reach};
use web::{App, Paging};

use crate::house::{House, code, new_user, refusal};

struct Keys {
    kid: String,
    private: Vec<u8>,
    public: Value,
}

fn keys(kid: &str) -> Keys {
    let random = SystemRandom::new();
    let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private.as_ref(), &random).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let public = json!({
        "kty": "EC", "crv": "P-256", "kid": kid, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    });
    Keys { kid: kid.to_owned(), private: private.as_ref().to_vec(), public }
}

/// What the service does; a test changes it.
struct Says {
    issuer: String,
    published: Vec<Value>,
    signs: Keys,
    /// What is changed of an honest token.
    twist: Box<dyn Fn(&mut Value) + Send>,
    /// A token instead.
    instead: Option<String>,
    nonce: String,
    challenge: String,
    now_s: i64,
}

type Shared = Arc<Mutex<Says>>;

async fn tokens(State(says): State<Shared>, Form(pairs): Form<Vec<(String, String)>>) -> axum::Json<Value> {
    let says = says.lock().unwrap();
    let given = |name: &str| pairs.iter().find(|(known, _)| known == name).unwrap().1.clone();
    let hash = ring::digest::digest(&ring::digest::SHA256, given("code_verifier").as_bytes());
    assert_eq!(URL_SAFE_NO_PAD.encode(hash), says.challenge, "the verifier proves the challenge");
    let mut claims = json!({
        "iss": says.issuer, "aud": "switchboard", "sub": "42", "nonce": says.nonce, "iat": says.now_s,
        "exp": says.now_s + 300, "email": "ana@example.com", "email_verified": true, "name": "Ana",
        "realm_access": { "roles": ["ops"] },
    });
    (says.twist)(&mut claims);
    let header = Header { kid: Some(says.signs.kid.clone()), ..Header::new(Algorithm::ES256) };
    let signed =
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_der(&says.signs.private)).unwrap();
    let token = says.instead.clone().unwrap_or(signed);
    axum::Json(json!({ "id_token": token, "access_token": "x", "token_type": "Bearer" }))
}

async fn service(house: &House) -> Shared {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let signs = keys("one");
    let says = Arc::new(Mutex::new(Says {
        issuer,
        published: vec![signs.public.clone()],
        signs,
        twist: Box::new(|_| {}),
        instead: None,
        nonce: String::new(),
        challenge: String::new(),
        now_s: house.runtime.clock.now().unix_ms() / 1_000,
    }));
    let metadata = |State(says): State<Shared>| async move {
        let issuer = says.lock().unwrap().issuer.clone();
        axum::Json(json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        }))
    };
    let published = |State(says): State<Shared>| async move {
        axum::Json(json!({ "keys": says.lock().unwrap().published }))
    };
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/keys", get(published))
        .route("/token", post(tokens))
        .with_state(says.clone());
    let serving = async move { axum::serve(listener, routes).await.expect("the service serves") };
    house.runtime.tasks.spawn("a sign-in service", serving);
    says
}

fn settings() -> ProviderSettings {
    ProviderSettings {
        groups_claim: "realm_access.roles".to_owned(),
        group_roles: vec![GroupRole { group: "ops".to_owned(), role: "operator".to_owned() }],
        create_users: true,
        ..ProviderSettings::default()
    }
}

async fn added(house: &House, says: &Shared) -> Provider {
    let new = NewProvider {
        name: "Company".to_owned(),
        issuer: says.lock().unwrap().issuer.clone(),
        client_id: "switchboard".to_owned(),
        client_secret: Some("a secret".to_owned()),
        active: None,
        settings: settings(),
    };
    provider::create(&house.cli().await, new).await.unwrap()
}

async fn page(house: &House, path: &str, cookie: &str) -> (u16, axum::http::HeaderMap, String) {
    page_at(house, "localhost", path, cookie).await
}

async fn page_at(
    house: &House,
    host: &str,
    path: &str,
    cookie: &str,
) -> (u16, axum::http::HeaderMap, String) {
    let app = App {
        runtime: house.runtime.clone(),
        authenticate: house.identity.clone(),
        nav: identity::NAV.to_vec().into(),
    };
    let request = Request::get(path).header(header::HOST, host).header(header::COOKIE, cookie);
    let request = request.body(Body::empty()).unwrap();
    let response = identity::pages().with_state(app).oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let octets = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, headers, String::from_utf8_lossy(&octets).into_owned())
}

/// Signs in and gives what the person sees: the session's cookie, or the page that says why not.
async fn sign_in(house: &House, says: &Shared, provider: &Provider) -> Result<String, String> {
    let (status, headers, text) = page(house, &format!("/sign-in/with/{}", provider.id), "").await;
    if status != 303 {
        return Err(text);
    }
    let to = url::Url::parse(headers[header::LOCATION].to_str().unwrap()).unwrap();
    let asked: Query<Vec<(String, String)>> = Query::try_from_uri(&to.as_str().parse().unwrap()).unwrap();
    let given = |name: &str| asked.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!((given("response_type").as_str(), given("code_challenge_method").as_str()), ("code", "S256"));
    {
        let mut says = says.lock().unwrap();
        says.nonce = given("nonce");
        says.challenge = given("code_challenge");
    }
    let kept = headers[header::SET_COOKIE].to_str().unwrap();
    assert!(kept.contains("; HttpOnly") && kept.contains("; SameSite=Lax"));
    let kept = kept.split(';').next().unwrap().to_owned();
    let state = given("state");
    let (status, headers, text) =
        page(house, &format!("/sign-in/callback?code=c&state={state}"), &kept).await;
    if status != 303 {
        return Err(text);
    }
    if headers[header::LOCATION] == "/sign-in/second" {
        return Err("a second step".to_owned());
    }
    let cookies = headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    let session = cookies.into_iter().find(|cookie| cookie.starts_with("switchboard_session=")).unwrap();
    Ok(session.split(['=', ';']).nth(1).unwrap().to_owned())
}

#[tokio::test]
async fn an_honest_token_signs_in_and_a_twisted_one_does_not() {
    let house = House::build().await;
    let says = service(&house).await;
    let provider = added(&house, &says).await;
    type Twist = fn(&mut Value);
    let twists: &[(&str, Twist)] = &[
        ("another nonce", |claims| claims["nonce"] = "x".into()),
        ("no nonce", |claims| claims["nonce"] = Value::Null),
        ("another audience", |claims| claims["aud"] = "another".into()),
        ("another authorised party", |claims| claims["azp"] = "another".into()),
        ("another issuer", |claims| claims["iss"] = "https://evil.example".into()),
        ("expired", |claims| claims["exp"] = (claims["iat"].as_i64().unwrap() - 61).into()),
        ("of the future", |claims| claims["iat"] = (claims["iat"].as_i64().unwrap() + 120).into()),
        ("no end", |claims| claims["exp"] = Value::Null),
        ("an unverified address", |claims| claims["email_verified"] = false.into()),
        ("no address", |claims| claims["email"] = Value::Null),
        ("no group", |claims| claims["realm_access"] = Value::Null),
    ];
    for (what, twist) in twists {
        says.lock().unwrap().twist = Box::new(*twist);
        let seen = sign_in(&house, &says, &provider).await;
        assert!(seen.as_ref().is_err_and(|text| text.contains("You are not signed in")), "{what}: {seen:?}");
    }
    // A minute between the clocks is fine.
    says.lock().unwrap().twist =
        Box::new(|claims| claims["exp"] = (claims["iat"].as_i64().unwrap() - 30).into());
    let session = sign_in(&house, &says, &provider).await.unwrap();
    let ana = user::own(&house.by_cookie(&session).await.unwrap()).await.unwrap();
    assert_eq!((ana.email.as_str(), ana.role.as_str()), ("ana@example.com", "operator"));
    says.lock().unwrap().twist = Box::new(|_| {});
    let again = house.by_cookie(&sign_in(&house, &says, &provider).await.unwrap()).await.unwrap();
    assert_eq!(user::own(&again).await.unwrap().id, ana.id);
}

#[tokio::test]
async fn a_second_step_is_asked_of_whoever_comes_from_a_service_too() {
    let house = House::build().await;
    let cli = house.cli().await;
    let says = service(&house).await;
    let provider = added(&house, &says).await;
    let rules = SignInPolicy { second_factor_roles: vec!["operator".to_owned()], ..SignInPolicy::default() };
    policy::set(&cli, rules).await.unwrap();
    assert_eq!(sign_in(&house, &says, &provider).await.unwrap_err(), "a second step");
    // The service says that it has asked itself; nobody has said here that it is trusted with that.
    says.lock().unwrap().twist = Box::new(|claims| claims["amr"] = json!(["pwd", "mfa"]));
    assert_eq!(sign_in(&house, &says, &provider).await.unwrap_err(), "a second step");
    let trusting =
        ProviderSettings { second_step_by: vec!["mfa".to_owned(), "gold".to_owned()], ..settings() };
    let wanted = ProviderPatch { settings: Some(trusting), ..ProviderPatch::default() };
    provider::update(&cli, provider.id, wanted).await.unwrap();
    sign_in(&house, &says, &provider).await.unwrap();
    says.lock().unwrap().twist = Box::new(|claims| claims["acr"] = "gold".into());
    sign_in(&house, &says, &provider).await.unwrap();
    says.lock().unwrap().twist = Box::new(|claims| claims["amr"] = json!(["pwd"]));
    assert_eq!(sign_in(&house, &says, &provider).await.unwrap_err(), "a second step");
}

#[tokio::test]
async fn whoever_steers_a_service_gives_no_more_by_it_than_they_may() {
    let house = House::build().await;
    let cli = house.cli().await;
    let says = service(&house).await;
    let provider = added(&house, &says).await;
    let pairs = ["identity_provider.view", "identity_provider.change", "message.view"];
    let own = pairs.map(|name| (name.to_owned(), Reach::All)).into_iter().collect();
    let new = NewRole { name: "helper".to_owned(), permissions: Grantable(own), ..NewRole::default() };
    custom::create(&cli, new).await.unwrap();
    let user = user::create(&cli, new_user("h@example.com", "helper")).await.unwrap();
    let link = identity::link::create(&cli, user.id).await.unwrap();
    let helper = house.by_cookie(&house.enter(&link.path).await.unwrap()).await.unwrap();
    // Operators come in by it: whoever leads it elsewhere says who they are.
    let elsewhere =
        ProviderPatch { issuer: Some("https://evil.example".to_owned()), ..ProviderPatch::default() };
    let refused = refusal(provider::update(&helper, provider.id, elsewhere.clone()).await);
    assert_eq!((refused.code(), refused.place()), (Code::Forbidden, Some("settings.group_roles")));
    let tie =
        |settings: ProviderSettings| ProviderPatch { settings: Some(settings), ..ProviderPatch::default() };
    let wide = ProviderSettings { link_by_email: true, ..ProviderSettings::default() };
    let refused = refusal(provider::update(&helper, provider.id, tie(wide.clone())).await);
    assert_eq!((refused.code(), refused.place()), (Code::Forbidden, Some("settings.link_by_email")));
    provider::update(&cli, provider.id, tie(wide)).await.unwrap();
    assert_eq!(code(provider::update(&helper, provider.id, elsewhere.clone()).await), Code::Forbidden);
    provider::update(&cli, provider.id, tie(ProviderSettings::default())).await.unwrap();
    provider::update(&helper, provider.id, elsewhere).await.unwrap();
}

#[tokio::test]
async fn only_the_services_own_keys_count_and_new_ones_are_fetched() {
    let house = House::build().await;
    let says = service(&house).await;
    let provider = added(&house, &says).await;
    sign_in(&house, &says, &provider).await.unwrap();
    // A secret shared with everybody: the public key as one (RFC 8725 §2.1), and no signature at all.
    let claims = json!({ "iss": says.lock().unwrap().issuer, "aud": "switchboard", "sub": "1", "exp": 9_999_999_999_i64 });
    let by_public = {
        let public = says.lock().unwrap().published[0].to_string();
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(public.as_bytes())).unwrap()
    };
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    for bad in [by_public, unsigned, "nonsense".to_owned()] {
        says.lock().unwrap().instead = Some(bad.clone());
        assert!(sign_in(&house, &says, &provider).await.is_err(), "{bad}");
    }
    says.lock().unwrap().instead = None;
    // Somebody else's key of the same name.
    let forged = keys("one");
    let own = std::mem::replace(&mut says.lock().unwrap().signs, forged);
    assert!(sign_in(&house, &says, &provider).await.is_err());
    says.lock().unwrap().signs = own;
    // A new key, published: it is fetched, though not at once again.
    let next = keys("two");
    {
        let mut says = says.lock().unwrap();
        says.published.push(next.public.clone());
        says.signs = next;
    }
    assert!(sign_in(&house, &says, &provider).await.is_err(), "the set was fetched a moment ago");
    house.clock.advance_ms(60_000);
    says.lock().unwrap().now_s += 60;
    sign_in(&house, &says, &provider).await.unwrap();
}

#[tokio::test]
async fn users_are_tied_where_that_is_allowed_and_never_those_of_the_platform() {
    let house = House::build().await;
    let cli = house.cli().await;
    let says = service(&house).await;
    let provider = added(&house, &says).await;
    let ana = user::create(&cli, new_user("ana@example.com", "viewer")).await.unwrap();
    let refused = sign_in(&house, &says, &provider).await.unwrap_err();
    assert!(refused.contains("not tied to this service"), "{refused}");
    let tie = ProviderSettings { link_by_email: true, ..settings() };
    let wanted = ProviderPatch { settings: Some(tie), ..ProviderPatch::default() };
    provider::update(&cli, provider.id, wanted).await.unwrap();
    let session = sign_in(&house, &says, &provider).await.unwrap();
    let own = user::own(&house.by_cookie(&session).await.unwrap()).await.unwrap();
    assert_eq!((own.id, own.role.as_str()), (ana.id, "operator"), "and the role follows the groups");
    says.lock().unwrap().twist = Box::new(|claims| {
        claims["sub"] = "7".into();
        claims["email"] = identity::first_start::ADMIN_EMAIL.into();
    });
    let refused = sign_in(&house, &says, &provider).await.unwrap_err();
    assert!(refused.contains("not tied to this service"), "{refused}");
    // A user who is shut out stays so.
    says.lock().unwrap().twist = Box::new(|_| {});
    let off = user::UserChange { status: Some(user::Status::Disabled), ..user::UserChange::default() };
    user::update(&cli, ana.id, off).await.unwrap();
    assert!(sign_in(&house, &says, &provider).await.is_err());
}

#[tokio::test]
async fn on_a_domain_of_its_own_a_tenants_service_leads_back_there_and_no_other_is_known() {
    let house = House::build().await;
    let says = service(&house).await;
    let ours = added(&house, &says).await;
    let neighbour = house.neighbour().await;
    let theirs = NewProvider {
        name: "Theirs".to_owned(),
        issuer: says.lock().unwrap().issuer.clone(),
        client_id: "switchboard".to_owned(),
        settings: ProviderSettings { domains: vec!["their.example".to_owned()], ..settings() },
        ..NewProvider::default()
    };
    let theirs = provider::create(&neighbour, theirs).await.unwrap();
    let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
    for (id, tenant, host) in
        [(1, ours_of(&house).await, "ours.example"), (2, neighbour.tenant(), "their.example")]
    {
        let proved = "insert into domain (id, tenant_id, host, token, created_at, proved_at) values ($1, $2, $3, '', 1, 1)";
        tx.execute(proved, args![id, tenant, host]).await.unwrap();
    }
    tx.commit().await.unwrap();
    identity::domain::refresh(&house.runtime).await.unwrap();

    let go = format!("/sign-in/with/{}", theirs.id);
    let (status, headers, _) = page_at(&house, "their.example", &go, "").await;
    let to = headers[header::LOCATION].to_str().unwrap();
    assert!(
        status == 303 && to.contains("redirect_uri=https%3A%2F%2Ftheir.example%2Fsign-in%2Fcallback"),
        "{to}"
    );
    assert_eq!(page_at(&house, "ours.example", &go, "").await.0, 404);
    assert_eq!(page_at(&house, "their.example", &format!("/sign-in/with/{}", ours.id), "").await.0, 404);
    // Begun at the installation's address, it cannot be ended at another tenant's.
    let (_, headers, _) = page(&house, &format!("/sign-in/with/{}", ours.id), "").await;
    let to = url::Url::parse(headers[header::LOCATION].to_str().unwrap()).unwrap();
    let state = to.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let kept = headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let back = format!("/sign-in/callback?code=c&state={state}");
    let (status, _, text) = page_at(&house, "their.example", &back, &kept).await;
    assert!(status != 303 && text.contains("has begun no such sign-in"), "{status} {text}");
    // The page of the service names both addresses.
    let shown = page(&house, &format!("/identity-providers/{}", ours.id), &admin(&house).await).await.2;
    assert!(shown.contains("https://ours.example/sign-in/callback"), "{shown}");
}

async fn ours_of(house: &House) -> types::TenantId {
    house.cli().await.tenant()
}

async fn admin(house: &House) -> String {
    format!("switchboard_session={}", house.enter_as_admin().await)
}

#[tokio::test]
async fn services_are_a_tenants_own_and_give_no_more_than_their_maker_may() {
    let house = House::build().await;
    let says = service(&house).await;
    let ours = added(&house, &says).await;
    let neighbour = house.neighbour().await;
    assert_eq!(code(provider::get(&neighbour, ours.id).await), Code::NotFound);
    assert_eq!(code(provider::update(&neighbour, ours.id, ProviderPatch::default()).await), Code::NotFound);
    assert_eq!(code(provider::delete(&neighbour, ours.id).await), Code::NotFound);
    assert!(provider::list(&neighbour, &Paging::default()).await.unwrap().items.is_empty());
    let new = |role: &str, domain: &str, issuer: &str| NewProvider {
        name: "Theirs".to_owned(),
        issuer: issuer.to_owned(),
        client_id: "x".to_owned(),
        settings: ProviderSettings {
            default_role: Some(role.to_owned()),
            domains: vec![domain.to_owned()],
            ..ProviderSettings::default()
        },
        ..NewProvider::default()
    };
    let issuer = "https://login.example";
    let up = provider::create(&neighbour, new("platform_admin", "a.example", issuer)).await;
    assert_eq!(refusal(up).code(), Code::Forbidden);
    let wrong = provider::create(&neighbour, new("viewer", "no domain", issuer)).await;
    assert_eq!(refusal(wrong).place(), Some("settings.domains"));
    let inside = provider::create(&neighbour, new("viewer", "a.example", "http://169.254.169.254/")).await;
    assert_eq!((refusal(inside).code()), Code::InvalidUrl);
    provider::create(&neighbour, new("viewer", "a.example", issuer)).await.unwrap();
    let cli = house.cli().await;
    let mut second = new("viewer", "A.example", issuer);
    second.name = "Second".to_owned();
    assert_eq!(refusal(provider::create(&cli, second).await).code(), Code::AlreadyExists);
    assert!(cli.permissions().contains(Permission::ProviderCreate));
}
