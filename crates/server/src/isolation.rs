//! Whether tenants meet: throw-away tenants are made on a running server, and what one of them has is asked for by every role
//! of another, by strangers, by those who stand above and beneath it, and by every route of the server's own description.
//!
//! They stand as resellers' tenants do: one above two, which are beside each other, and one beneath the first of these, whose
//! records are asked for.
//!
//! What the routes take is in [`knowledge`]; a route that is not known there is told as not probed, and so is a record that
//! could not be made. Nothing of the other tenants is touched, and they are erased behind it.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use runtime::config::Secret;
use serde::Serialize;
use serde_json::{Value, json};
use types::{Code, Error, Result};
use url::Url;

pub mod knowledge;

/// The largest answer that is looked through.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Operations of a description.
const OPERATIONS_MAX: usize = 10_000;
/// How often a request is repeated that the server's rate refuses.
const REPEATS_MAX: u32 = 20;
/// The role that reaches over all tenants, by its purpose.
const PLATFORM: &str = "platform_admin";

/// What went wrong beneath all that the library wraps around it.
fn innermost(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |cause| cause.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}

/// Somebody who asks a server.
#[derive(Debug, Clone)]
pub struct Asker {
    base: Url,
    http: reqwest::Client,
    key: Option<Secret>,
    cookie: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    fn with(self, status: u16, what: &str) -> Result<Value> {
        if self.status == status {
            return Ok(self.json());
        }
        let told = self.text.chars().take(300).collect::<String>();
        Err(Error::new(Code::Unavailable, format!("{what} is answered by {}: {told}", self.status)))
    }
}

impl Asker {
    /// Somebody with this key, or without any.
    pub fn new(base: Url, http: reqwest::Client, key: Option<Secret>) -> Self {
        Self { base, http, key, cookie: None }
    }

    fn anonymous(&self) -> Self {
        Self { key: None, cookie: None, ..self.clone() }
    }

    fn with_key(&self, key: &str) -> Self {
        Self { key: Some(Secret::new(key.to_owned())), cookie: None, ..self.clone() }
    }

    fn with_cookie(&self, cookie: String) -> Self {
        Self { key: None, cookie: Some(cookie), ..self.clone() }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<(&'static str, String)>,
    ) -> Result<reqwest::Response> {
        let unusable = |what: String| Error::new(Code::Unavailable, what);
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| unusable(error.to_string()))?;
        let url = self.base.join(path).map_err(|error| unusable(error.to_string()))?;
        for attempt in 0.. {
            let mut request = self.http.request(method.clone(), url.clone());
            if let Some(key) = &self.key {
                request = request.bearer_auth(key.expose());
            }
            if let Some(cookie) = &self.cookie {
                request = request.header("cookie", cookie);
            }
            if let Some((kind, body)) = &body {
                request = request.header("content-type", *kind).body(body.clone());
            }
            let response = request.send().await.map_err(|error| {
                unusable(format!("{method} {path} is not answered: {}", innermost(&error)))
            })?;
            if response.status() != 429 || attempt >= REPEATS_MAX {
                return Ok(response);
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        Err(unusable("no request was made".to_owned()))
    }

    /// Asks with a JSON body.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let body = (method != "GET").then(|| ("application/json", body.to_string()));
        let mut response = self.send(method, path, body).await?;
        let status = response.status().as_u16();
        let mut octets = Vec::new();
        let broken =
            |error: reqwest::Error| Error::new(Code::Unavailable, format!("the answer broke off: {error}"));
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            octets.extend_from_slice(&chunk);
            // A stream of events never ends: what came is enough.
            if octets.len() > ANSWER_BYTES_MAX {
                break;
            }
        }
        Ok(Answer { status, text: String::from_utf8_lossy(&octets).into_owned() })
    }

    async fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, &Value::Null).await
    }

    /// Sends a form, as a browser does.
    async fn form(&self, path: &str, form: String) -> Result<reqwest::Response> {
        self.send("POST", path, Some(("application/x-www-form-urlencoded", form))).await
    }

    /// Creates something, and gives the answer.
    ///
    /// # Errors
    /// When it was not created.
    pub async fn made(&self, path: &str, body: Value) -> Result<Value> {
        self.ask("POST", path, &body).await?.with(201, &format!("POST {path}"))
    }

    /// Signs in by the link in an answer, as a browser does.
    async fn enter(&self, link: &Value) -> Result<Self> {
        let token = link["url"].as_str().and_then(|url| url.rsplit_once("token=")).map(|(_, token)| token);
        let token = token.ok_or_else(|| Error::new(Code::Unavailable, "the answer shows no sign-in link"))?;
        let response = self.anonymous().form("/sign-in/link", format!("token={token}")).await?;
        let cookies = response.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        let session = cookies.into_iter().find(|cookie| cookie.starts_with("switchboard_session="));
        let session = session.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
        let session =
            session.ok_or_else(|| Error::new(Code::Unavailable, "the sign-in link opens no session"))?;
        Ok(self.with_cookie(session))
    }
}

/// An operation of the description.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    /// In capitals.
    pub method: String,
    /// With its parameters in braces.
    pub path: String,
}

/// Each operation that the server describes.
///
/// # Errors
/// When there is no description.
pub async fn operations(asker: &Asker) -> Result<Vec<Operation>> {
    let document = asker.anonymous().get("/openapi.json").await?.with(200, "/openapi.json")?;
    let paths = document["paths"].as_object();
    let paths = paths.ok_or_else(|| Error::new(Code::Unavailable, "/openapi.json names no paths"))?;
    let methods = ["get", "post", "put", "patch", "delete"];
    let found = paths.iter().flat_map(|(path, item)| {
        let operation = move |method: &&str| Operation { method: method.to_uppercase(), path: path.clone() };
        methods.iter().filter(|method| item[**method].is_object()).map(operation)
    });
    Ok(found.take(OPERATIONS_MAX).collect())
}

/// A request that came where it must not.
#[derive(Debug, Clone, Serialize)]
pub struct Leak {
    /// The operation's method.
    pub method: String,
    /// Its path, as it is described.
    pub path: String,
    /// As whom it was asked: a role of the other tenant, or `outsider`.
    pub actor: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong with it.
    pub why: String,
}

/// What was asked and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether nothing leaks and everything was probed.
    pub isolated: bool,
    /// Operations of the description.
    pub operations: usize,
    /// Requests that were made.
    pub requests: usize,
    /// The roles that asked.
    pub roles: Vec<String>,
    /// Kinds of records that were asked for, by their collection.
    pub records: Vec<String>,
    /// What leaks.
    pub leaks: Vec<Leak>,
    /// What could not be probed, in words.
    pub not_probed: Vec<String>,
}

/// One of the tenants.
struct Party {
    id: String,
    name: String,
    /// Its administrator, with a key of everything within the tenant.
    admin: Asker,
    /// The same, as a person in a browser.
    person: Asker,
}

/// Makes a throw-away tenant with an administrator and a key, which may have others beneath it.
async fn party(platform: &Asker, mark: &str, side: &str, above: Option<&Party>) -> Result<Party> {
    let name = format!("Isolation probe {mark} {side}");
    let email = format!("admin@{side}-{mark}.isolation.invalid");
    let first = json!({ "email": email, "name": "Probe" });
    let parent = above.map(|party| party.id.as_str());
    let new = json!({ "name": name, "administrator": first, "reseller": true, "parent": parent });
    let made = platform.made("/api/v1/tenants", new).await?;
    let person = platform.enter(&made["link"]).await?;
    let mine = person.get("/api/v1/me").await?.with(200, "/api/v1/me")?;
    let key = json!({ "name": "probe", "scopes": mine["permissions"] });
    let key = person.made("/api/v1/api-keys", key).await?;
    Ok(Party {
        id: made["id"].as_str().unwrap_or_default().to_owned(),
        name,
        admin: platform.with_key(key["secret"].as_str().unwrap_or_default()),
        person,
    })
}

/// Somebody of each system role of a tenant, or of those that are named.
async fn roles(second: &Party, mark: &str, only: &[&str]) -> Result<Vec<(String, Asker)>> {
    let wanted = |role: &&str| *role != PLATFORM && (only.is_empty() || only.contains(role));
    let roles = second.admin.get("/api/v1/roles").await?.with(200, "/api/v1/roles")?;
    let roles = roles["items"].as_array().or(roles.as_array()).cloned().unwrap_or_default();
    let mut found = Vec::new();
    for role in roles.iter().filter_map(|role| role["name"].as_str()).filter(wanted) {
        let email = format!("{role}@{mark}.isolation.invalid");
        let user = json!({ "email": email, "name": role, "role": role });
        let user = second.admin.made("/api/v1/users", user).await?;
        let path = format!("/api/v1/users/{}/link", user["id"].as_str().unwrap_or_default());
        let link = second.admin.made(&path, json!({})).await?;
        found.push((role.to_owned(), second.admin.enter(&link).await?));
    }
    Ok(found)
}

/// The tenants of a probe, as they stand.
struct Parties {
    /// Above the first and the second.
    above: Party,
    /// Whose records are asked for.
    first: Party,
    /// Beside the first.
    second: Party,
    /// Beneath the first.
    beneath: Party,
    /// An erasure of the first that was asked for and called off.
    erasure: String,
}

/// Makes the tenants; those that were made before one could not be are left in `made`, for who clears up.
async fn parties(platform: &Asker, mark: &str, made: &mut Vec<(String, String)>) -> Result<Parties> {
    let mut note = |party: Party| {
        made.push((party.id.clone(), party.name.clone()));
        party
    };
    let above = note(party(platform, mark, "r", None).await?);
    let first = note(party(platform, mark, "a", Some(&above)).await?);
    // Whoever has others beneath them is not erased: so this comes before there is one.
    let erasure = called_off(platform, &first).await?;
    let second = note(party(platform, mark, "b", Some(&above)).await?);
    let beneath = note(party(platform, mark, "c", Some(&first)).await?);
    Ok(Parties { above, first, second, beneath, erasure })
}

/// Probes a server. `platform` may create, move and erase tenants.
///
/// # Errors
/// When the server does not answer, or refuses the tenants.
pub async fn probe(platform: &Asker) -> Result<Report> {
    let mark = runtime::secrets::token(6).map_err(Error::internal)?.to_lowercase().replace(['_', '-'], "x");
    let mut made = Vec::new();
    let report = match parties(platform, &mark, &mut made).await {
        Ok(parties) => ask_all(platform, &parties, &mark).await,
        Err(error) => Err(error),
    };
    let mut left = Vec::new();
    // From the last on: who stands beneath nobody else is erased in any order.
    for (id, name) in made.iter().rev() {
        let root = json!({ "parent": null });
        let moved = platform.ask("PUT", &format!("/api/v1/tenants/{id}/parent"), &root).await?;
        let asked = json!({ "name": name, "grace_h": 0 });
        let answer = platform.ask("POST", &format!("/api/v1/tenants/{id}/erasure"), &asked).await?;
        if answer.status != 202 {
            left.push(format!(
                "the tenant {id} could not be erased ({}, moved: {}): erase it yourself",
                answer.status, moved.status
            ));
        }
    }
    let mut report = report?;
    report.not_probed.extend(left);
    report.isolated = report.leaks.is_empty() && report.not_probed.is_empty();
    Ok(report)
}

/// What is asked on the way.
struct Asking {
    report: Report,
    /// What must be in no answer to somebody else: ids of the first tenant.
    foreign: BTreeSet<String>,
}

impl Asking {
    fn leak(&mut self, operation: &Operation, actor: &str, status: u16, why: String) {
        let Operation { method, path } = operation.clone();
        self.report.leaks.push(Leak { method, path, actor: actor.to_owned(), status, why });
    }

    /// Asks for a record by the first tenant's id; the answer must be that there is none, or that it may not be asked.
    async fn record(&mut self, who: &Asker, actor: &str, operation: &Operation, path: &str) -> Result<()> {
        let body = knowledge::plausible(&operation.method, &operation.path);
        let answer = who.ask(&operation.method, path, &body).await?;
        self.report.requests += 1;
        match answer.status {
            401 | 403 | 404 => {}
            200..=399 => {
                self.leak(
                    operation,
                    actor,
                    answer.status,
                    "the other tenant's record is answered".to_owned(),
                );
            }
            status => {
                let told = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
                self.report.not_probed.push(format!(
                    "{} {} as {actor} is answered by {status} ({told}), which says nothing about whose record it is",
                    operation.method, operation.path
                ));
            }
        }
        Ok(())
    }

    /// Asks for a list; nothing of the first tenant may stand in it. Whoever stands above knows the tenant itself.
    async fn list(
        &mut self,
        (actor, who, above): &(String, Asker, bool),
        operation: &Operation,
    ) -> Result<()> {
        let answer = who.get(&operation.path).await?;
        self.report.requests += 1;
        let hidden = self.foreign.iter().filter(|id| !above || !id.starts_with("ten_"));
        let shown = hidden.into_iter().find(|id| answer.text.contains(id.as_str())).cloned();
        if let Some(id) = shown.filter(|_| answer.status < 400) {
            self.leak(operation, actor, answer.status, format!("the answer shows {id} of the other tenant"));
        }
        Ok(())
    }

    /// Asks for something with a reference to a record of the first tenant, which must not be taken.
    async fn reference(&mut self, who: &Asker, method: &str, path: &str, body: &Value) -> Result<()> {
        let operation =
            Operation { method: method.to_owned(), path: path.split('?').next().unwrap_or(path).to_owned() };
        let answer = who.ask(method, path, body).await?;
        self.report.requests += 1;
        let shown = self.foreign.iter().any(|id| answer.text.contains(id.as_str()));
        if answer.status < 300 && (method != "GET" || shown) {
            let why = "a reference to the other tenant's record is taken".to_owned();
            self.leak(&operation, "tenant_admin", answer.status, why);
        }
        Ok(())
    }
}

/// Whether whoever stands above a tenant may ask that of the tenant itself.
fn is_of_above(operation: &Operation) -> bool {
    let asked = (operation.method.as_str(), operation.path.as_str());
    matches!(
        asked,
        ("GET" | "PATCH", "/api/v1/tenants/{id}") | ("POST", "/api/v1/tenants/{id}/administrator")
    )
}

/// Those who ask for the first tenant's records: the role, who it is, and whether they stand above it.
async fn askers(parties: &Parties, mark: &str) -> Result<Vec<(String, Asker, bool)>> {
    let beside = roles(&parties.second, mark, &[]).await?;
    let mut found: Vec<_> = beside.into_iter().map(|(role, who)| (role, who, false)).collect();
    let over = ["tenant_admin", "reseller"];
    for (role, who) in roles(&parties.above, &format!("r-{mark}"), &over).await? {
        found.push((format!("{role} above"), who, true));
    }
    for (role, who) in roles(&parties.beneath, &format!("c-{mark}"), &over).await? {
        found.push((format!("{role} beneath"), who, false));
    }
    Ok(found)
}

async fn ask_all(platform: &Asker, parties: &Parties, mark: &str) -> Result<Report> {
    let (first, second) = (&parties.first, &parties.second);
    let operations = operations(platform).await?;
    let (mut records, mut not_probed) = knowledge::records(&first.admin, Some(&first.person), mark).await?;
    records.insert("/api/v1/erasures", parties.erasure.clone());
    let passphrase = json!({ "passphrase": format!("isolation {mark} {}", first.name) });
    let path = "/api/v1/organisation/suitcases";
    let suitcase = first.admin.ask("POST", path, &passphrase).await?.with(202, path)?;
    let suitcase = suitcase["id"].as_str().unwrap_or_default().to_owned();
    records.insert("/api/v1/suitcases", suitcase.clone());
    records.insert("/api/v1/organisation/suitcases", suitcase);
    let askers = askers(parties, mark).await?;
    let own: BTreeMap<_, _> = seen_by_owner(first, &records).await?;
    not_probed.extend(unknown(&operations, &records));
    let mut asking = Asking {
        foreign: records.values().filter(|id| id.contains('_')).cloned().collect(),
        report: Report {
            isolated: false,
            operations: operations.len(),
            requests: 0,
            roles: askers.iter().map(|(role, ..)| role.clone()).collect(),
            records: records.keys().map(|collection| (*collection).to_owned()).collect(),
            leaks: Vec::new(),
            not_probed,
        },
    };
    let outsider = platform.anonymous();
    for operation in &operations {
        let filled = match operation.path.split_once("/{id}") {
            None => operation.path.clone(),
            Some((collection, _)) => match records.get(collection) {
                Some(id) => operation.path.replace("{id}", id),
                None => continue,
            },
        };
        let answer = outsider.ask(&operation.method, &filled, &json!({})).await?;
        asking.report.requests += 1;
        if answer.status != 401 {
            asking.leak(operation, "outsider", answer.status, "it opens without credentials".to_owned());
        }
        for asker in &askers {
            let (role, who, above) = asker;
            if *above && is_of_above(operation) {
                continue;
            }
            if operation.path.contains("/{id}") {
                asking.record(who, role, operation, &filled).await?;
            } else if operation.method == "GET" {
                asking.list(asker, operation).await?;
            }
        }
    }
    for (method, path, body) in knowledge::references(&records) {
        asking.reference(&second.admin, method, &path, &body).await?;
    }
    for (path, status) in &own {
        let now = first.admin.get(path).await?.status;
        if now != *status {
            let operation = Operation { method: "GET".to_owned(), path: path.clone() };
            asking.leak(
                &operation,
                "owner",
                now,
                "the record is not as it was behind what others asked".to_owned(),
            );
        }
    }
    Ok(asking.report)
}

/// An erasure of the tenant that was asked for and called off.
async fn called_off(platform: &Asker, tenant: &Party) -> Result<String> {
    let path = format!("/api/v1/tenants/{}/erasure", tenant.id);
    let asked = platform.ask("POST", &path, &json!({ "name": tenant.name })).await?.with(202, &path)?;
    platform.ask("DELETE", &path, &json!({})).await?.with(200, &path)?;
    Ok(asked["id"].as_str().unwrap_or_default().to_owned())
}

/// How the first tenant sees its records before anybody else has asked.
async fn seen_by_owner(first: &Party, records: &BTreeMap<&str, String>) -> Result<BTreeMap<String, u16>> {
    let mut seen = BTreeMap::new();
    for (collection, id) in records {
        let path = format!("{collection}/{id}");
        let status = first.admin.get(&path).await?.status;
        seen.insert(path, status);
    }
    Ok(seen)
}

/// Routes that name a record of a kind that is not known.
fn unknown(operations: &[Operation], records: &BTreeMap<&str, String>) -> Vec<String> {
    let collections: BTreeSet<&str> = operations
        .iter()
        .filter_map(|one| one.path.split_once("/{id}"))
        .map(|(collection, _)| collection)
        .collect();
    let missing = collections.into_iter().filter(|collection| !records.contains_key(collection));
    missing.map(|collection| format!("no record of {collection} is known here")).collect()
}
