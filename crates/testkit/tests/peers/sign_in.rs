//! People sign in with somebody else's OpenID Connect provider, and somebody else checks our tokens.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::House;
use testkit::peers::{self, SignInService};

const PUBLIC: &str = "http://switchboard.example";

/// A browser: it follows redirects and keeps cookies, ours and the service's apart.
struct Browser<'a> {
    house: &'a House,
    http: reqwest::Client,
    ours: BTreeMap<String, String>,
    theirs: BTreeMap<String, String>,
}

/// Where a browser has come to rest.
struct Page {
    url: String,
    status: u16,
    text: String,
}

impl<'a> Browser<'a> {
    fn of(house: &'a House) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { house, http, ours: BTreeMap::new(), theirs: BTreeMap::new() }
    }

    async fn open(&mut self, url: &str) -> Page {
        let mut url = url.to_owned();
        for _ in 0..20 {
            let own = url.strip_prefix(PUBLIC).map(str::to_owned);
            let real = match &own {
                Some(path) => format!("http://{}{path}", self.house.server.http),
                None => url.clone(),
            };
            let cookies = if own.is_some() { &mut self.ours } else { &mut self.theirs };
            let sent: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = self.http.get(&real).header("cookie", sent.join("; ")).send().await.unwrap();
            for cookie in answer.headers().get_all("set-cookie") {
                let pair = cookie.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                match value {
                    "" => cookies.remove(name),
                    value => cookies.insert(name.to_owned(), value.to_owned()),
                };
            }
            let Some(target) = answer.headers().get("location") else {
                let status = answer.status().as_u16();
                return Page { url, status, text: answer.text().await.unwrap() };
            };
            let target = target.to_str().unwrap().to_owned();
            url = match target.starts_with('/') {
                true if own.is_some() => format!("{PUBLIC}{target}"),
                true => {
                    let origin = url.split('/').take(3).collect::<Vec<_>>().join("/");
                    format!("{origin}{target}")
                }
                false => target,
            };
        }
        panic!("the redirects do not end: {url}");
    }

    async fn me(&self) -> Value {
        let cookie: Vec<_> = self.ours.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers = [("cookie", cookie.join("; "))];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.house.anonymous().ask("GET", "/api/v1/me", &headers, None).await.json()
    }
}

async fn house() -> House {
    House::start_with(|config| {
        config.http.public_url = PUBLIC.to_owned();
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await
}

async fn service() -> SignInService {
    let back = format!("{PUBLIC}/sign-in/callback");
    peers::oidc_provider("switchboard", "a secret & its signs", &back).await.unwrap()
}

async fn become_person(service: &SignInService, name: &str) {
    reqwest::get(format!("{}/as/{name}", service.issuer)).await.unwrap();
}

async fn add(house: &House, service: &SignInService) -> (String, String) {
    let settings = json!({
        "scopes": ["openid", "email", "profile", "groups"],
        "group_roles": [{ "group": "operators", "role": "operator" }],
        "default_role": "viewer",
        "create_users": true,
        "domains": ["example.com"],
    });
    let new = json!({
        "name": "Company", "issuer": service.issuer, "client_id": "switchboard", "client_secret": "a secret & its signs",
        "settings": settings,
    });
    let made = house.admin.post("/api/v1/identity-providers", &new).await.expect(201);
    assert!(!made.to_string().contains("its signs"), "the secret is not shown");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (format!("/api/v1/identity-providers/{}", text("id")), text("sign_in_url"))
}

#[tokio::test]
async fn people_sign_in_with_oidc_provider_and_their_groups_are_their_roles() {
    let service = service().await;
    let house = house().await;
    let (path, sign_in) = add(&house, &service).await;
    let mut browser = Browser::of(&house);
    let home = browser.open(&format!("{sign_in}?back=%2Faccount")).await;
    assert_eq!(
        (home.status, home.url.as_str()),
        (200, format!("{PUBLIC}/account").as_str()),
        "{}",
        home.text
    );
    assert!(home.text.contains("anna@example.com"));
    assert_eq!(browser.me().await["user"]["role"], "operator");
    // Who signs out here is told that they are still signed in there.
    let cookies: Vec<_> = browser.ours.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let out = house.anonymous().form("/sign-out", &[("cookie", &cookies.join("; "))], "").await;
    assert_eq!(out.status, 200, "{}", out.text);
    assert!(
        out.text.contains(&format!("{}/session/end?client_id=switchboard", service.issuer)),
        "{}",
        out.text
    );
    assert_eq!(browser.me().await["status"], 401);
    // The same person is the same user, and roles follow groups.
    let roles = json!({ "settings": { "default_role": "support", "create_users": true } });
    house.admin.send("PATCH", &path, &roles).await.expect(200);
    let mut another = Browser::of(&house);
    assert_eq!(another.open(&sign_in).await.status, 200);
    let roles = json!({ "settings": {
        "scopes": ["openid", "email", "groups"], "group_roles": [{ "group": "staff", "role": "developer" }],
        "create_users": true, "domains": ["example.com"],
    } });
    house.admin.send("PATCH", &path, &roles).await.expect(200);
    let mut third = Browser::of(&house);
    third.open(&sign_in).await;
    assert_eq!(third.me().await["user"]["role"], "developer");
    let users = house.admin.get("/api/v1/users").await.json().to_string();
    assert_eq!(users.matches("anna@example.com").count(), 1, "{users}");
    let audit = house.admin.get("/api/v1/audit?limit=200").await.text;
    assert!(audit.contains("user.linked") && audit.contains("user.signed_in"), "{audit}");
    // Nobody else comes in.
    for (name, why) in [("bert", "not verified your e-mail address"), ("carl", "none of your groups")] {
        become_person(&service, name).await;
        let page = Browser::of(&house).open(&sign_in).await;
        assert_eq!(page.status, 401, "{name}");
        assert!(page.text.contains(why) || page.text.contains("do not become users"), "{}", page.text);
    }
    house.stop().await;
}

#[tokio::test]
async fn an_answer_ends_in_the_browser_that_asked_and_a_wrong_secret_is_told() {
    let service = service().await;
    let house = house().await;
    let (path, sign_in) = add(&house, &service).await;
    // An attacker begins a sign-in and gives the last address to somebody else.
    let mut attacker = Browser::of(&house);
    let kept = {
        let answer = attacker.http.get(sign_in.replace(PUBLIC, &format!("http://{}", house.server.http)));
        let answer = answer.send().await.unwrap();
        answer.headers()["location"].to_str().unwrap().to_owned()
    };
    let page = Browser::of(&house).open(&kept).await;
    assert_eq!(page.status, 401);
    assert!(page.text.contains("this browser has begun no such sign-in"), "{}", page.text);
    assert_eq!(attacker.open(&sign_in).await.status, 200, "in one browser it is fine");
    house.admin.send("PATCH", &path, &json!({ "client_secret": "another" })).await.expect(200);
    let page = Browser::of(&house).open(&sign_in).await;
    assert_eq!(page.status, 401);
    assert!(
        page.text.contains("invalid_client") && page.text.contains("compare the client id"),
        "{}",
        page.text
    );
    house.admin.send("PATCH", &path, &json!({ "active": false })).await.expect(200);
    assert_eq!(Browser::of(&house).open(&sign_in).await.status, 404);
    house.stop().await;
}

#[tokio::test]
async fn jose_verifies_our_tokens_by_our_published_keys() {
    let house = house().await;
    let new = json!({ "name": "Billing", "scopes": ["message.view"] });
    let app = house.admin.post("/api/v1/oauth-clients", &new).await.expect(201);
    let text = |name: &str| app[name].as_str().unwrap().to_owned();
    let (id, secret) = (text("id"), text("secret"));
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let got = house.anonymous().form("/oauth/token", &[], &form).await.expect(200);
    let token = got["access_token"].as_str().unwrap();
    let keys = format!("http://{}/.well-known/jwks.json", house.server.http);
    let claims = peers::jose_verifier(&keys, PUBLIC, token).await.unwrap();
    assert_eq!((&claims["client_id"], &claims["scope"]), (&json!(id), &json!("message.view")), "{claims}");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    let refused = peers::jose_verifier(&keys, PUBLIC, &forged).await.unwrap();
    assert_eq!(refused["refused"], "ERR_JWS_SIGNATURE_VERIFICATION_FAILED");
    house.stop().await;
}

#[tokio::test]
async fn a_token_of_oidc_provider_is_a_bearer_of_the_api() {
    let service = service().await;
    let house = house().await;
    let (path, _) = add(&house, &service).await;
    let provider = house.admin.get(&path).await.expect(200);
    let audience = provider["token_audience"].as_str().unwrap().to_owned();
    let token = async |resource: &str| -> String {
        let form = format!("grant_type=client_credentials&resource={resource}");
        // Encoded as a form is, before it becomes a password (RFC 6749 §2.3.1).
        let encoded = "a+secret+%26+its+signs";
        let asked = reqwest::Client::new().post(format!("{}/token", service.issuer));
        let asked = asked.basic_auth("switchboard", Some(encoded));
        let asked = asked.header("content-type", "application/x-www-form-urlencoded").body(form);
        let got: Value = asked.send().await.unwrap().json().await.unwrap();
        got["access_token"].as_str().unwrap_or_else(|| panic!("{got}")).to_owned()
    };
    let ours = token(&audience).await;
    let ask = async |token: &str, path: &str| {
        let bearer = format!("Bearer {token}");
        house.anonymous().ask("GET", path, &[("authorization", bearer.as_str())], None).await
    };
    let messages = "/api/v1/messages";
    assert_eq!(ask(&ours, messages).await.status, 401, "the tenant takes no such tokens");
    let mut settings = provider["settings"].clone();
    settings["token_scopes"] = json!(["message.view", "user.view"]);
    house.admin.send("PATCH", &path, &json!({ "settings": settings })).await.expect(200);
    let untied = ask(&ours, messages).await;
    assert_eq!(untied.status, 401);
    assert!(untied.text.contains("tied to no user"), "{}", untied.text);

    let user = json!({ "email": "billing@example.org", "name": "Billing", "role": "viewer" });
    let user = house.admin.post("/api/v1/users", &user).await.expect(201);
    let subjects = format!("{path}/subjects");
    let tie = json!({ "subject": "switchboard", "user_id": user["id"] });
    house.admin.post(&subjects, &tie).await.expect(201);
    house.admin.post(&subjects, &tie).await.expect(409);
    let listed = house.admin.get(&subjects).await.expect(200);
    assert_eq!(listed["items"][0]["user_name"], "Billing");
    assert_eq!(ask(&ours, messages).await.status, 200);
    assert_eq!(ask(&ours, "/api/v1/users").await.status, 403, "the user may not, so the token may not");
    assert_eq!(ask(&ours, "/api/v1/routes").await.status, 403, "the user may, and the token may not");
    let elsewhere = token("https://api.example.org").await;
    assert_eq!(ask(&elsewhere, messages).await.status, 401, "a token for somebody else");
    let (signed, signature) = ours.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    assert_eq!(ask(&forged, messages).await.status, 401);
    house.admin.post(&format!("{subjects}/untie"), &json!({ "subject": "switchboard" })).await.expect(204);
    assert_eq!(ask(&ours, messages).await.status, 401, "at once");
    house.admin.post(&subjects, &tie).await.expect(201);
    assert_eq!(ask(&ours, messages).await.status, 200);
    house.admin.send("PATCH", &path, &json!({ "active": false })).await.expect(200);
    assert_eq!(ask(&ours, messages).await.status, 401, "at once");
    house.stop().await;
}
