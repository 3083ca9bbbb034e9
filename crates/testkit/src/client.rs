//! Users as types: somebody who asks the real program over HTTP, and says what they expect.

use std::net::SocketAddr;

use serde_json::{Value, json};
use types::TenantId;

/// Somebody who asks.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    key: Option<String>,
    http: reqwest::Client,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as it came.
    pub text: String,
    /// Its headers.
    pub headers: reqwest::header::HeaderMap,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The body as JSON, after a check of the status.
    ///
    /// # Panics
    /// When the status is another one; the body is shown.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// The problem's code, after a check that it is one.
    ///
    /// # Panics
    /// When the answer is no problem+json.
    #[track_caller]
    pub fn problem(&self) -> String {
        assert_eq!(
            self.headers.get("content-type").map(|value| value.to_str().unwrap_or_default()),
            Some("application/problem+json"),
            "{}",
            self.text
        );
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Client {
    /// Somebody without credentials.
    pub fn anonymous(address: SocketAddr) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client without options can be built");
        Self { base: format!("http://{address}"), key: None, http }
    }

    /// The same door without credentials.
    #[must_use]
    pub fn without_key(&self) -> Self {
        Self { key: None, ..self.clone() }
    }

    /// The same somebody at the door of another server.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { base: format!("http://{address}"), ..self.clone() }
    }

    /// The same somebody with an API key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// Asks.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap_or_default() }
    }

    /// Whether a path is answered with 200. Nobody may be there yet: on loopback a connection to a port that nobody has can
    /// even meet itself.
    pub async fn finds(&self, path: &str) -> bool {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], None).await
    }

    /// What is no text: the octets of a file.
    ///
    /// # Panics
    /// When no whole answer of 200 comes.
    pub async fn octets(&self, path: &str) -> Vec<u8> {
        let mut request = self.http.get(format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 200);
        response.bytes().await.expect("all of it").to_vec()
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, &[], None).await
    }

    /// POST of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, body).await
    }

    /// Any method with a JSON body.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = serde_json::to_vec(body).expect("JSON");
        self.ask(method, path, &[("content-type", "application/json")], Some(body)).await
    }

    /// POST of a JSON body with an idempotency key.
    pub async fn post_keyed(&self, path: &str, key: &str, body: &Value) -> Answer {
        let body = serde_json::to_vec(body).expect("JSON");
        self.ask("POST", path, &[("content-type", "application/json"), ("idempotency-key", key)], Some(body))
            .await
    }

    /// POST of a form.
    pub async fn form(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/x-www-form-urlencoded"));
        self.ask("POST", path, &headers, Some(body.as_bytes().to_vec())).await
    }

    /// The session cookie of whoever follows a one-time link.
    ///
    /// # Panics
    /// When the link is not good.
    pub async fn sign_in(&self, link: &str) -> String {
        let token = link.rsplit_once("token=").map(|(_, token)| token).unwrap_or_default();
        let signed_in = self.form("/sign-in/link", &[], &format!("token={token}")).await;
        assert_eq!(signed_in.status, 303, "{}", signed_in.text);
        let cookies = signed_in.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        let session = cookies.into_iter().find(|value| value.contains("session")).unwrap_or_default();
        session.split(';').next().unwrap_or_default().to_owned()
    }

    /// Another tenant's administrator, made by this one, who has platform rights.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn neighbour(&self) -> (TenantId, Self) {
        let new = json!({ "name": "Neighbour", "administrator": { "email": "neighbour@example.org", "name": "N" } });
        let made = self.post("/api/v1/tenants", &new).await.expect(201);
        let stranger = self.without_key();
        let cookie = stranger.sign_in(made["link"]["url"].as_str().unwrap_or_default()).await;
        let catalogue = self.get("/api/v1/permissions").await.expect(200);
        let scopes: Vec<String> = permissions(&catalogue);
        let body = serde_json::to_vec(&json!({ "name": "theirs", "scopes": scopes })).expect("JSON");
        let headers = [("content-type", "application/json"), ("cookie", cookie.as_str())];
        let made_key = stranger.ask("POST", "/api/v1/api-keys", &headers, Some(body)).await.expect(201);
        let tenant = made["id"].as_str().and_then(|id| id.parse().ok()).expect("a tenant's id");
        (tenant, stranger.with_key(made_key["secret"].as_str().unwrap_or_default()))
    }
}

fn permissions(catalogue: &Value) -> Vec<String> {
    types::Permissions::all_of_a_tenant()
        .without(types::Permissions::of_a_reseller())
        .iter()
        .map(|permission| permission.as_str().to_owned())
        .filter(|name| catalogue.to_string().contains(name.as_str()))
        .collect()
}
