//! HTTP towards the world: callbacks and HTTP connections, whose URLs users choose; and connections of other protocols, to
//! directories, carriers and mail servers, whose hosts they choose too.
//!
//! Such a URL must not make this server speak to its own network (server-side request forgery). Therefore
//! addresses are judged where a connection is made, after the name was resolved, so that a name which changes
//! its mind between check and use gains nothing; each redirect is judged like the first URL; bodies,
//! redirects and time are bounded; and the environment's proxies are not used, as they would connect in our
//! stead.

mod dial;
mod guard;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderName, HeaderValue};
use reqwest::{Client, Response, redirect};
pub use reqwest::{Method, header::HeaderMap};
use tokio::net::TcpStream;
pub use tokio_util::bytes::Bytes;
use url::Url;

use crate::config;
pub use dial::Dial;
use guard::Guard;

/// Longest URL that is used.
const URL_CHARS_MAX: usize = 8192;

/// How this server names itself.
const USER_AGENT: &str = concat!("Switchboard/", env!("CARGO_PKG_VERSION"));

/// Why a URL is refused or a request has no answer. Shows hosts, never paths, queries or user names: they may
/// hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboundError {
    /// The text is not a URL that can be used.
    Url {
        /// What is wrong with it.
        problem: String,
    },
    /// Only `http` and `https` are spoken.
    Scheme {
        /// The scheme that was given.
        scheme: String,
    },
    /// The host is, or resolves only to, addresses that users' URLs may not reach.
    Forbidden {
        /// The host as given.
        host: String,
        /// What kind of address it is.
        reason: &'static str,
    },
    /// A header's name or value cannot be sent.
    Header {
        /// The header's name.
        name: String,
    },
    /// The name does not resolve, or nobody answers there, or TLS could not be agreed.
    Connect {
        /// The host.
        host: String,
        /// What happened.
        problem: String,
    },
    /// The whole exchange took too long.
    Timeout {
        /// The host.
        host: String,
        /// The limit in milliseconds.
        limit_ms: u64,
    },
    /// Too many redirects, one without a target, or one from https to http.
    Redirect {
        /// The host that sent it.
        host: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The response's body is too long. Its status came all the same: who asked only for that has an answer.
    TooLarge {
        /// The host.
        host: String,
        /// The status code, e.g. 200.
        status: u16,
        /// The limit in octets.
        limit_bytes: usize,
    },
    /// The connection broke, or what came is not HTTP.
    Transport {
        /// The host.
        host: String,
        /// What happened.
        problem: String,
    },
    /// The client itself cannot be made.
    Setup {
        /// What happened.
        problem: String,
    },
}

impl OutboundError {
    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            OutboundError::Connect { .. } | OutboundError::Timeout { .. } | OutboundError::Transport { .. }
        )
    }
}

impl fmt::Display for OutboundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutboundError::Url { problem } => write!(f, "not a usable URL: {problem}"),
            OutboundError::Scheme { scheme } => write!(f, "{scheme} is not spoken; use http or https"),
            OutboundError::Forbidden { host, reason } => {
                write!(f, "{host} is refused: {reason}; an operator can allow it with outbound.allow_private")
            }
            OutboundError::Header { name } => {
                write!(f, "the header {name:?} has a name or value that HTTP forbids")
            }
            OutboundError::Connect { host, problem } => write!(f, "no connection to {host}: {problem}"),
            OutboundError::Timeout { host, limit_ms } => write!(f, "{host} took longer than {limit_ms} ms"),
            OutboundError::Redirect { host, problem } => {
                write!(f, "the redirect of {host} is refused: {problem}")
            }
            OutboundError::TooLarge { host, limit_bytes, .. } => {
                write!(f, "the answer of {host} is longer than {limit_bytes} octets")
            }
            OutboundError::Transport { host, problem } => {
                write!(f, "the exchange with {host} broke: {problem}")
            }
            OutboundError::Setup { problem } => write!(f, "the HTTP client cannot be made: {problem}"),
        }
    }
}

impl std::error::Error for OutboundError {}

/// What came back, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code, e.g. 200.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// The HTTP client. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Outbound {
    client: Client,
    guard: Arc<Guard>,
    timeout_ms: u64,
    redirects_max: usize,
    response_bytes_max: usize,
}

impl Outbound {
    /// Makes the client.
    ///
    /// # Errors
    ///
    /// [`OutboundError::Setup`].
    pub fn new(config: &config::Outbound) -> Result<Outbound, OutboundError> {
        // A second call changes nothing: the first provider stays, and it is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guard = Arc::new(Guard::new(&config.allow_private));
        let builder = || {
            Client::builder()
                .user_agent(USER_AGENT)
                .no_proxy()
                .redirect(redirect::Policy::none())
                .referer(false)
                .retry(reqwest::retry::never())
                .dns_resolver(Arc::clone(&guard))
                .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
                .pool_max_idle_per_host(config.idle_per_host_max)
                .pool_idle_timeout(Duration::from_secs(30))
        };
        let client = builder().build().or_else(|error| {
            // A machine without root certificates can still speak http; https fails there with a clear error.
            tracing::warn!(error = chain(&error), "no root certificates: https requests will fail");
            builder().tls_certs_only([]).build()
        });
        let client = client.map_err(|error| OutboundError::Setup { problem: chain(&error) })?;
        Ok(Outbound {
            client,
            guard,
            timeout_ms: config.timeout_ms,
            redirects_max: config.redirects_max,
            response_bytes_max: config.response_bytes_max,
        })
    }

    /// Judges a URL when it is configured: form, scheme, and the address if it is written as one. Names are
    /// judged when they are used, as they may resolve to something else by then.
    ///
    /// # Errors
    ///
    /// [`OutboundError::Url`], [`OutboundError::Scheme`] or [`OutboundError::Forbidden`].
    pub fn check_url(&self, url: &str) -> Result<(), OutboundError> {
        self.parse(url).map(drop)
    }

    /// Opens a connection for another protocol, whose host users choose: to the first address of it that may be reached and
    /// answers.
    ///
    /// # Errors
    ///
    /// [`OutboundError::Forbidden`], [`OutboundError::Connect`] or [`OutboundError::Timeout`].
    pub async fn connect(&self, host: &str, port: u16, within: Duration) -> Result<TcpStream, OutboundError> {
        let limit_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let reached = tokio::time::timeout(within, self.dial().connect(host, port)).await;
        reached.unwrap_or_else(|_| Err(OutboundError::Timeout { host: host.to_owned(), limit_ms }))
    }

    /// Sends a POST and reads the whole answer.
    ///
    /// # Errors
    ///
    /// As [`Outbound::send`].
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, OutboundError> {
        self.send(Method::POST, url, headers, body.into()).await
    }

    /// Sends a GET and reads the whole answer.
    ///
    /// # Errors
    ///
    /// As [`Outbound::send`].
    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer, OutboundError> {
        self.send(Method::GET, url, headers, Bytes::new()).await
    }

    /// Sends a request, follows its redirects and reads the whole answer. An answer of any status is no
    /// error.
    ///
    /// # Errors
    ///
    /// Any of [`OutboundError`]; [`OutboundError::is_temporary`] tells whether trying again makes sense.
    /// After a timeout or a broken connection the other side may have acted on the request all the same.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, OutboundError> {
        let url = self.parse(url)?;
        let headers = header_map(headers)?;
        let host = host_of(&url);
        let limit = Duration::from_millis(self.timeout_ms);
        match tokio::time::timeout(limit, self.exchange(method, url, headers, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(OutboundError::Timeout { host, limit_ms: self.timeout_ms }),
        }
    }

    async fn exchange(
        &self,
        mut method: Method,
        mut url: Url,
        mut headers: HeaderMap,
        mut body: Bytes,
    ) -> Result<Answer, OutboundError> {
        for _ in 0..=self.redirects_max {
            let host = host_of(&url);
            let request =
                self.client.request(method.clone(), url.clone()).headers(headers.clone()).body(body.clone());
            let response = request.send().await.map_err(|error| self.failure(&host, &error))?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return self.read(host, response).await;
            }
            let target = self.redirect_target(&url, &response)?;
            if target.origin() != url.origin() {
                // What proves us to one host is not another host's business.
                headers = kept_abroad(&headers);
            }
            // RFC 9110, section 15.4: 307 and 308 repeat the request, the others become a GET, as every
            // client does.
            if status < 304 && method != Method::GET && method != Method::HEAD {
                (method, body) = (Method::GET, Bytes::new());
                headers.remove(header::CONTENT_TYPE);
            }
            url = target;
        }
        Err(OutboundError::Redirect {
            host: host_of(&url),
            problem: format!("more than {}", self.redirects_max),
        })
    }

    fn redirect_target(&self, from: &Url, response: &Response) -> Result<Url, OutboundError> {
        let refused = |problem: String| OutboundError::Redirect { host: host_of(from), problem };
        let location =
            response.headers().get(header::LOCATION).ok_or_else(|| refused("it has no target".to_owned()))?;
        let location = location.to_str().map_err(|_| refused("its target is not a URL".to_owned()))?;
        let target =
            from.join(location).map_err(|error| refused(format!("its target is not a URL: {error}")))?;
        if from.scheme() == "https" && target.scheme() == "http" {
            return Err(refused("it leads from https to http".to_owned()));
        }
        self.judge(&target)?;
        Ok(target)
    }

    async fn read(&self, host: String, mut response: Response) -> Result<Answer, OutboundError> {
        let limit_bytes = self.response_bytes_max;
        let status = response.status().as_u16();
        let announced = response.content_length().unwrap_or(0);
        if announced > limit_bytes as u64 {
            return Err(OutboundError::TooLarge { host, status, limit_bytes });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(&host, &error))? {
            if body.len() + chunk.len() > limit_bytes {
                return Err(OutboundError::TooLarge { host, status, limit_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer { status, headers, body: body.into() })
    }

    fn parse(&self, text: &str) -> Result<Url, OutboundError> {
        if text.len() > URL_CHARS_MAX {
            return Err(OutboundError::Url { problem: format!("longer than {URL_CHARS_MAX} characters") });
        }
        let url = Url::parse(text).map_err(|error| OutboundError::Url { problem: error.to_string() })?;
        self.judge(&url)?;
        Ok(url)
    }

    fn judge(&self, url: &Url) -> Result<(), OutboundError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OutboundError::Scheme { scheme: url.scheme().to_owned() });
        }
        let host = url.host().ok_or_else(|| OutboundError::Url { problem: "it names no host".to_owned() })?;
        let judged = match host {
            url::Host::Ipv4(address) => self.guard.judge(address.into()),
            url::Host::Ipv6(address) => self.guard.judge(address.into()),
            url::Host::Domain(name) => self.guard.judge_name(name),
        };
        judged.map_err(|reason| OutboundError::Forbidden { host: host_of(url), reason })
    }

    fn failure(&self, host: &str, error: &reqwest::Error) -> OutboundError {
        let host = host.to_owned();
        if let Some(refused) = guard::refusal(error) {
            return OutboundError::Forbidden { host, reason: refused };
        }
        if error.is_connect() {
            // A time-out while connecting is one too: nothing has been sent yet.
            return OutboundError::Connect { host, problem: chain(error) };
        }
        if error.is_timeout() {
            return OutboundError::Timeout { host, limit_ms: self.timeout_ms };
        }
        OutboundError::Transport { host, problem: chain(error) }
    }
}

/// The host of a URL, for errors.
fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or("nowhere").to_owned()
}

fn header_map(headers: &[(&str, &str)]) -> Result<HeaderMap, OutboundError> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let bad = || OutboundError::Header { name: (*name).to_owned() };
        let key = HeaderName::try_from(*name).map_err(|_| bad())?;
        // Where a request ends and whom it is for is decided here alone.
        if matches!(
            key,
            header::HOST | header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::CONNECTION
        ) {
            return Err(bad());
        }
        map.append(key, HeaderValue::try_from(*value).map_err(|_| bad())?);
    }
    Ok(map)
}

/// The headers that say nothing of who we are.
fn kept_abroad(headers: &HeaderMap) -> HeaderMap {
    let harmless = [header::ACCEPT, header::CONTENT_TYPE];
    headers.iter().filter(|(name, _)| harmless.contains(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// The causes of an error without the URL, the outermost left out where there is more to tell.
fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    causes.dedup();
    if causes.is_empty() { "the request could not be made".to_owned() } else { causes.join(": ") }
}

#[cfg(test)]
mod tests;
