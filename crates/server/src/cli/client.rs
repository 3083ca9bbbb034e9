//! The HTTP API as the commands use it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use runtime::config::{Secret, process_environment};
use serde_json::Value;
use url::Url;

use super::failure::Failure;
use super::show::Out;
use super::{ConfigFlags, ReachFlags, config};
use crate::isolation::Asker;

mod address;
mod page;

pub(super) use address::reachable;
use address::{is_loopback, local_url, read_url};
pub(super) use page::PageFlags;

/// How long an answer is awaited; the server itself gives up earlier.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Pages that are looked through for a name: 10,000 records.
const PAGES_MAX: usize = 50;
/// A write whose answer was lost is asked again, with the same Idempotency-Key, so many times.
const REPEATS_MAX: usize = 2;

/// A running server, and the key that is shown to it.
#[derive(Debug)]
pub(super) struct Client {
    base: Url,
    /// The key, or why there is none.
    key: Result<Secret, String>,
    http: reqwest::Client,
}

/// An answer: as it came, and read.
#[derive(Debug)]
pub(super) struct Answer {
    /// The body, untouched.
    pub(super) text: String,
    /// The body as JSON; null where it is none.
    pub(super) value: Value,
}

impl Answer {
    /// The records of a page.
    pub(super) fn items(&self) -> &[Value] {
        let items = self.value.get("items").unwrap_or(&self.value);
        items.as_array().map_or(&[], Vec::as_slice)
    }

    /// Prints the body for a program, or lets `people` show it.
    pub(super) fn show(&self, out: &Out, people: impl FnOnce(&Value)) {
        match out.json() {
            true if self.text.is_empty() => {}
            true => out.line(&self.text),
            false => people(&self.value),
        }
    }

    /// Prints the page for a program, or as a table with how to go on.
    pub(super) fn show_page(&self, out: &Out, columns: &[(&str, &str)]) {
        self.show(out, |value| {
            out.table(self.items(), columns);
            if let Some(next) = value.get("next").and_then(Value::as_str) {
                out.note(&format!("There is more: --after {next}"));
            }
        });
    }
}

/// A kind of record that people name instead of giving its id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// The collection's path segment.
    pub(super) path: &'static str,
    /// What its ids begin with.
    pub(super) prefix: &'static str,
    /// What one is called.
    pub(super) noun: &'static str,
    /// The members that name one.
    pub(super) names: &'static [&'static str],
}

/// Parameters of a query; those without a value are left out.
pub(super) type Query<'a> = &'a [(&'static str, Option<String>)];

impl Client {
    /// The server that the flags, the environment and the configuration lead to.
    ///
    /// # Errors
    /// A URL that is none; a configuration that is needed and cannot be used.
    pub(super) fn new(flags: &ConfigFlags, reach: &ReachFlags) -> Result<Self, Failure> {
        let environment = process_environment();
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, text)| known == name && !text.is_empty());
            found.map(|(_, text)| text.clone())
        };
        let url = reach.url.clone().or_else(|| variable("SWITCHBOARD_URL"));
        let given = reach
            .key
            .clone()
            .or_else(|| variable("SWITCHBOARD_KEY"))
            .or_else(|| variable("SWITCHBOARD_ADMIN_KEY"));
        let (base, here) = match url {
            Some(url) => (read_url(&url)?, None),
            None => local_url(&config::usable(flags)?.http)?,
        };
        let key = match given {
            Some(key) => Ok(Secret::new(key.trim().to_owned())),
            // A key of this machine is for this machine: a server elsewhere gets none that was not meant for it.
            None if here.is_some_and(|here| here.ip().is_loopback()) || is_loopback(&base) => {
                kept_key(&config::usable(flags)?.data_dir)
            }
            None => Err("the key of this machine is not shown to servers elsewhere".to_owned()),
        };
        Ok(Self { http: http(&base, here)?, base, key })
    }

    /// The same server, for whoever asks it as several people.
    ///
    /// # Errors
    /// Where there is no key to show.
    pub(super) fn asker(&self) -> Result<Asker, Failure> {
        let key = self.key.clone().map_err(|why| {
            Failure::usage(why, "give a key of the platform's administrator with --key or SWITCHBOARD_KEY.")
        })?;
        Ok(Asker::new(self.base.clone(), self.http.clone(), Some(key)))
    }

    /// Where the server is, without a slash at its end.
    pub(super) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Whether keys and messages travel where others can read them.
    pub(super) fn is_overheard(&self) -> bool {
        self.base.scheme() == "http" && !is_loopback(&self.base)
    }

    /// Whether there is a key to show.
    pub(super) const fn has_key(&self) -> bool {
        self.key.is_ok()
    }

    /// The server's address.
    pub(super) const fn base(&self) -> &Url {
        &self.base
    }

    /// The key that is shown to it.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn key(&self) -> Result<&str, Failure> {
        self.key.as_ref().map(Secret::expose).map_err(|why| {
            Failure::usage("there is no API key", format!("give one with --key or SWITCHBOARD_KEY: {why}."))
        })
    }

    fn url(&self, segments: &[&str], query: Query<'_>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        let given = query.iter().filter_map(|(name, value)| value.as_deref().map(|value| (*name, value)));
        for (name, value) in given {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.key {
            Ok(key) => request.bearer_auth(key.expose()),
            Err(_) => request,
        }
    }

    /// Asks `/api/v1/` and the segments.
    ///
    /// # Errors
    /// A refusal, or a server that is not there.
    pub(super) async fn get(&self, segments: &[&str], query: Query<'_>) -> Result<Answer, Failure> {
        self.get_plain(&[&["api", "v1"], segments].concat(), query).await
    }

    /// Asks a path that is outside the API, such as `/ready`.
    ///
    /// # Errors
    /// A refusal, or a server that is not there.
    pub(super) async fn get_plain(&self, segments: &[&str], query: Query<'_>) -> Result<Answer, Failure> {
        let sent = self.request(Method::GET, self.url(segments, query)).timeout(ANSWER_WITHIN).send().await;
        self.read(sent.map_err(|error| self.lost(&error))?).await
    }

    /// Changes something, with an Idempotency-Key of its own.
    ///
    /// # Errors
    /// A refusal, or a server that is not there.
    pub(super) async fn write(
        &self,
        method: Method,
        segments: &[&str],
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let key = runtime::secrets::token(16).map_err(types::Error::internal)?;
        self.write_once(&key, method, segments, body).await
    }

    /// Changes something once, however often the same key is given.
    ///
    /// # Errors
    /// A refusal, or a server that is not there.
    pub(super) async fn write_once(
        &self,
        key: &str,
        method: Method,
        segments: &[&str],
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        self.write_at(key, method, self.url(&[&["api", "v1"], segments].concat(), &[]), body).await
    }

    async fn write_at(
        &self,
        key: &str,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let mut repeats = 0;
        loop {
            let mut request = self
                .request(method.clone(), url.clone())
                .header("Idempotency-Key", key)
                .timeout(ANSWER_WITHIN);
            if let Some(body) = body {
                request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
            }
            match request.send().await {
                Ok(response) => return self.read(response).await,
                // It may have been done: the key makes asking again harmless.
                Err(error) if !error.is_connect() && !error.is_builder() && repeats < REPEATS_MAX => {
                    repeats += 1;
                }
                Err(error) => return Err(self.lost(&error)),
            }
        }
    }

    /// Creates something.
    ///
    /// # Errors
    /// A refusal, or a server that is not there.
    pub(super) async fn post(&self, segments: &[&str], body: &Value) -> Result<Answer, Failure> {
        self.write(Method::POST, segments, Some(body)).await
    }

    /// Does something to a record that needs no further words.
    ///
    /// # Errors
    /// A refusal, or a server that is not there.
    pub(super) async fn act(&self, segments: &[&str]) -> Result<Answer, Failure> {
        self.write(Method::POST, segments, None).await
    }

    /// Does something to a record, as the query says.
    ///
    /// # Errors
    /// A refusal, or a server that is not there.
    pub(super) async fn act_with(&self, segments: &[&str], query: Query<'_>) -> Result<Answer, Failure> {
        let key = runtime::secrets::token(16).map_err(types::Error::internal)?;
        self.write_at(&key, Method::POST, self.url(&[&["api", "v1"], segments].concat(), query), None).await
    }

    /// Changes a record. An empty change is no request.
    ///
    /// # Errors
    /// A refusal, or a server that is not there; exit code 2 where nothing is to be changed.
    pub(super) async fn patch(&self, segments: &[&str], body: &Value) -> Result<Answer, Failure> {
        if body.as_object().is_none_or(|members| members.keys().all(|name| name == "revision")) {
            return Err(Failure::usage(
                "nothing to change was named",
                "give at least one flag; --help lists them.",
            ));
        }
        self.write(Method::PATCH, segments, Some(body)).await
    }

    /// Puts octets in the place of what was there.
    ///
    /// # Errors
    /// A refusal, or a server that is not there.
    pub(super) async fn put_octets(
        &self,
        segments: &[&str],
        query: Query<'_>,
        octets: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let url = self.url(&[&["api", "v1"], segments].concat(), query);
        let request = self.request(Method::PUT, url).header(CONTENT_TYPE, "application/octet-stream");
        let sent = request.body(octets).timeout(ANSWER_WITHIN).send().await;
        self.read(sent.map_err(|error| self.lost(&error))?).await
    }

    /// Deletes a record in the way that the query says.
    ///
    /// # Errors
    /// A refusal, or a server that is not there.
    pub(super) async fn remove(&self, segments: &[&str], query: Query<'_>) -> Result<Answer, Failure> {
        let url = self.url(&[&["api", "v1"], segments].concat(), query);
        let sent = self.request(Method::DELETE, url).timeout(ANSWER_WITHIN).send().await;
        self.read(sent.map_err(|error| self.lost(&error))?).await
    }

    /// Opens a stream of server-sent events behind a sequence number.
    ///
    /// # Errors
    /// A refusal, or a server that is not there.
    pub(super) async fn stream(&self, segments: &[&str], query: Query<'_>) -> Result<Response, Failure> {
        self.open(segments, query, "text/event-stream").await
    }

    /// Opens an answer that may be larger than memory.
    ///
    /// # Errors
    /// A refusal, or a server that is not there.
    pub(super) async fn download(&self, segments: &[&str], query: Query<'_>) -> Result<Response, Failure> {
        self.open(segments, query, "*/*").await
    }

    async fn open(
        &self,
        segments: &[&str],
        query: Query<'_>,
        accept: &'static str,
    ) -> Result<Response, Failure> {
        let url = self.url(&[&["api", "v1"], segments].concat(), query);
        let sent = self.request(Method::GET, url).header(ACCEPT, accept).send().await;
        let response = sent.map_err(|error| self.lost(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.read(response).await.err().unwrap_or_else(Failure::shown))
    }

    /// The id of the record that is given by its id or by its name.
    ///
    /// # Errors
    /// When there is none of that name; what asking for the list refuses.
    pub(super) async fn find(&self, kind: &Kind, given: &str) -> Result<String, Failure> {
        if given.strip_prefix(kind.prefix).is_some_and(|rest| rest.starts_with('_')) {
            return Ok(given.to_owned());
        }
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let page = self.get(&[kind.path], &[("limit", Some("200".to_owned())), ("after", after)]).await?;
            let named = |item: &&Value| {
                kind.names.iter().any(|name| item.get(name).and_then(Value::as_str) == Some(given))
            };
            if let Some(id) =
                page.items().iter().find(named).and_then(|item| item.get("id")).and_then(Value::as_str)
            {
                return Ok(id.to_owned());
            }
            after = page.value.get("next").and_then(Value::as_str).map(str::to_owned);
            if after.is_none() {
                break;
            }
        }
        let noun = kind.noun;
        Err(Failure::failed(
            format!("there is no {noun} {given:?}"),
            format!(
                "give its id ({}_…) or its {}; the list shows both.",
                kind.prefix,
                kind.names.join(" or ")
            ),
        ))
    }

    /// The ids of the records that are given by their ids or names.
    ///
    /// # Errors
    /// As [`Client::find`].
    pub(super) async fn find_all(&self, kind: &Kind, given: &[String]) -> Result<Vec<String>, Failure> {
        let mut ids = Vec::with_capacity(given.len());
        for given in given {
            ids.push(self.find(kind, given).await?);
        }
        Ok(ids)
    }

    /// Reads an answer whole. A refusal for want of a key says where one was looked for.
    async fn read(&self, response: Response) -> Result<Answer, Failure> {
        let (status, text) = (response.status(), read(response).await?);
        if status.is_success() {
            return Ok(Answer { value: serde_json::from_str(&text).unwrap_or(Value::Null), text });
        }
        let failure = told(status, text);
        match &self.key {
            Err(why) if status == StatusCode::UNAUTHORIZED => {
                Err(failure.with_hint(format!("give a key with --key or SWITCHBOARD_KEY: {why}.")))
            }
            _ => Err(failure),
        }
    }

    fn lost(&self, error: &reqwest::Error) -> Failure {
        if error.is_builder() {
            return Failure::usage(
                format!("the request cannot be made: {}", innermost(error)),
                "check --url and --key.",
            );
        }
        Failure::unreachable(
            format!("nothing answers at {}: {}", self.address(), innermost(error)),
            "start it with `switchboard serve`, or give its address with --url or SWITCHBOARD_URL.",
        )
    }
}

/// Reads a body whole.
async fn read(mut response: Response) -> Result<String, Failure> {
    let mut octets = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if octets.len() + chunk.len() > ANSWER_BYTES_MAX => {
                let hint = "ask for less with --limit.";
                return Err(Failure::failed(
                    format!("the answer is larger than {ANSWER_BYTES_MAX} octets"),
                    hint,
                ));
            }
            Ok(Some(chunk)) => octets.extend_from_slice(&chunk),
            Ok(None) => return Ok(String::from_utf8_lossy(&octets).into_owned()),
            Err(error) => {
                let what = format!("the connection broke within the answer: {}", innermost(&error));
                return Err(Failure::unreachable(what, "look whether it was done before doing it again."));
            }
        }
    }
}

fn told(status: StatusCode, body: String) -> Failure {
    if status.is_redirection() {
        let what = format!("the server answers {status}: it leads elsewhere");
        return Failure::failed(
            what,
            "give the address that it leads to with --url (https instead of http?).",
        );
    }
    Failure::answered(status, body)
}

fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The HTTP client. `here` is the listener of this machine that the URL's name stands for, wherever the name leads.
fn http(base: &Url, here: Option<SocketAddr>) -> Result<reqwest::Client, Failure> {
    // One cryptography provider for all of TLS; a second install is refused and harmless.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = || {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("switchboard-cli/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_WITHIN);
        // A proxy is for the world, not for this machine.
        match here {
            Some(here) => builder.no_proxy().resolve(base.host_str().unwrap_or_default(), here),
            None if is_loopback(base) => builder.no_proxy(),
            None => builder,
        }
    };
    // A machine without root certificates can still speak http; https fails there with a clear error.
    let client = builder().build().or_else(|_| builder().tls_certs_only([]).build());
    client.map_err(|error| {
        Failure::failed(
            format!("HTTP cannot be spoken: {}", innermost(&error)),
            "check the machine's certificates.",
        )
    })
}

/// The key that the first start left in the data folder, or why there is none.
fn kept_key(data_dir: &Path) -> Result<Secret, String> {
    let path = data_dir.join("cli.key");
    match std::fs::read_to_string(&path) {
        Ok(key) => Ok(Secret::new(key.trim().to_owned())),
        Err(error) => Err(format!("{} cannot be read ({error})", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment() {
        let base = read_url("https://host.example/sub/").unwrap();
        let client = Client { http: http(&base, None).unwrap(), base, key: Err(String::new()) };
        let url =
            client.url(&["api", "v1", "messages", "../x?y"], &[("a", Some("b&c".to_owned())), ("n", None)]);
        assert_eq!(url.as_str(), "https://host.example/sub/api/v1/messages/..%2Fx%3Fy?a=b%26c");
    }
}
