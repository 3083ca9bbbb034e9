//! A conversation with a directory (RFC 4511): connecting, TLS, bind and search, each with its time limit.
//!
//! The library that speaks LDAP gets one end of a pair of local sockets, and this file carries the octets between the other end
//! and the server. So the connection is opened by our own guard, TLS says in our words why it failed, nothing of what was sent
//! before StartTLS is read behind it, and a server cannot fill our memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::exop::Exop;
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope as Depth, SearchEntry, SearchOptions, StdStream,
};
use runtime::{Runtime, tls};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use url::Url;

use super::DirectorySettings;
use super::run::Progress;

/// Octets of a server that may wait to be looked at; a conversation that exceeds them ends.
const WAITING_BYTES_MAX: usize = 32 << 20;
/// Octets that are carried at once.
const CHUNK_BYTES: usize = 16 << 10;
/// Entries on a page of a long search (RFC 2696).
const PAGE_ENTRIES: i32 = 500;
/// The name of the operation that begins TLS (RFC 4511 §4.14.1).
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// What is kept of a server's own words.
const WORDS_CHARS_MAX: usize = 300;

/// Why a conversation came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// In words.
    pub(super) why: String,
    /// Whether another server may do better.
    pub(super) next: bool,
}

impl Trouble {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), next: false }
    }

    fn down(why: impl Into<String>) -> Self {
        Self { why: why.into(), next: true }
    }
}

/// A step of a trial, and what came of it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TrialStep {
    /// `connect`, `tls`, `bind`, `search` or `groups`.
    pub step: String,
    /// The server, where it is about one.
    pub server: Option<String>,
    /// Whether it was made.
    pub done: bool,
    /// What was found, or why it failed.
    pub detail: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// The steps of a conversation, as they are told to whoever tries it.
#[derive(Debug, Default)]
pub(super) struct Steps(pub(super) Vec<TrialStep>);

impl Steps {
    pub(super) fn note<T>(
        &mut self,
        (step, server): (&str, Option<&str>),
        began: Instant,
        came: &Result<T, Trouble>,
        detail: impl FnOnce(&T) -> String,
    ) {
        self.0.push(TrialStep {
            step: step.to_owned(),
            server: server.map(str::to_owned),
            done: came.is_ok(),
            detail: came.as_ref().map_or_else(|trouble| trouble.why.clone(), detail),
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }
}

/// What a server answered to a bind: its result code (RFC 4511 appendix A) and its words.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) code: u32,
    pub(super) words: String,
}

/// An open connection.
pub(super) struct Session {
    ldap: Ldap,
    limit: Duration,
    waiting: Arc<AtomicUsize>,
}

/// What a search is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) base: &'a str,
    pub(super) filter: &'a str,
    pub(super) attributes: &'a [&'a str],
    /// The most entries; one more is trouble.
    pub(super) most: usize,
}

fn brief(text: &str) -> String {
    text.chars().filter(|ch| !ch.is_control()).take(WORDS_CHARS_MAX).collect()
}

fn trouble(error: &LdapError) -> Trouble {
    match error {
        LdapError::Timeout { .. } => Trouble::down("the server did not answer in time"),
        LdapError::LdapResult { result } => said(result.rc, &result.text),
        LdapError::FilterParsing => Trouble::new("the filter is not one of LDAP (RFC 4515)"),
        _ => Trouble::down("the server ended the connection, or sent what is no LDAP"),
    }
}

/// A refusal in the server's own terms.
fn said(code: u32, words: &str) -> Trouble {
    let name = match code {
        1 => "operationsError: it wants a bind first, perhaps",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded: it gives no more entries to us",
        8 | 13 => "it wants a connection with TLS",
        10 => "it refers to another server, which is not followed: name that one",
        11 => "adminLimitExceeded",
        32 => "noSuchObject: there is no such base",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials: the name or the password that we ask with is wrong",
        50 => "insufficientAccessRights: we may not read there",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        _ => "it refuses",
    };
    let words = brief(words);
    let why = if words.is_empty() { format!("{name} ({code})") } else { format!("{name} ({code}): {words}") };
    Trouble { why, next: matches!(code, 51 | 52) }
}

/// Carries octets both ways until either side ends, or more of the server's wait than may.
async fn carry<S>(near: &mut UnixStream, far: &mut S, waiting: &AtomicUsize)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_near, mut to_near) = near.split();
    let (mut from_far, mut to_far) = tokio::io::split(far);
    let out = async {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match from_near.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    if to_far.write_all(&chunk[..read]).await.is_err() || to_far.flush().await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    let back = async {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match from_far.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    if waiting.fetch_add(read, Ordering::Relaxed) + read > WAITING_BYTES_MAX {
                        tracing::warn!("a directory sends more than is asked for; its connection is ended");
                        return;
                    }
                    if to_near.write_all(&chunk[..read]).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    tokio::select! {
        () = out => {}
        () = back => {}
    }
}

/// The library on one end of a pair of sockets, and the other end.
async fn library() -> Result<(UnixStream, LdapConnAsync, Ldap), Trouble> {
    let ours = |error: std::io::Error| Trouble::new(format!("no connection could be made: {error}"));
    let (near, theirs) = std::os::unix::net::UnixStream::pair().map_err(ours)?;
    near.set_nonblocking(true).map_err(ours)?;
    let near = UnixStream::from_std(near).map_err(ours)?;
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
    let (driver, ldap) =
        LdapConnAsync::with_settings(settings, "ldapi:///").await.map_err(|error| trouble(&error))?;
    Ok((near, driver, ldap))
}

/// Asks for TLS on a plain connection (RFC 4511 §4.14). What the server sends in clear behind its answer goes to nobody.
async fn start_tls(socket: &mut TcpStream, limit: Duration) -> Result<(), Trouble> {
    let (mut near, driver, mut ldap) = library().await?;
    let waiting = AtomicUsize::new(0);
    let ended = || Trouble::down("the server ended the connection when it was asked for StartTLS");
    let start = Exop { name: Some(START_TLS.to_owned()), val: None };
    let answer = tokio::select! {
        answer = ldap.with_timeout(limit).extended(start) => answer.map_err(|error| trouble(&error))?,
        _ = driver.drive() => return Err(ended()),
        () = carry(&mut near, socket, &waiting) => return Err(ended()),
    };
    match answer.1.rc {
        0 => Ok(()),
        code => {
            let Trouble { why, next } = said(code, &answer.1.text);
            Err(Trouble { why: format!("the server does not do StartTLS: {why}"), next })
        }
    }
}

/// A server's address, read.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    /// TLS from the first octet.
    pub(super) tls: bool,
}

/// Reads the address of a server.
///
/// # Errors
/// In words.
pub(super) fn server(text: &str) -> Result<Server, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is no address: {error}"))?;
    let tls = match url.scheme() {
        "ldaps" => true,
        "ldap" => false,
        other => return Err(format!("{other} is not spoken; use ldaps or ldap")),
    };
    let bare = matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !bare {
        return Err(format!("{text:?} has more than a host and a port in it"));
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("it names no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Server { host, port: url.port().unwrap_or(if tls { 636 } else { 389 }), tls })
}

impl Session {
    /// Opens a connection to the first server that answers, encrypted as the settings say. Nobody is bound yet.
    ///
    /// # Errors
    /// What the last server that was tried said.
    pub(super) async fn open(
        runtime: &Runtime,
        settings: &DirectorySettings,
        steps: &mut Steps,
    ) -> Result<Self, Trouble> {
        let mut last = Trouble::new("no server is named");
        for address in &settings.servers {
            match Self::dial(runtime, settings, address, steps).await {
                Ok(session) => return Ok(session),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn dial(
        runtime: &Runtime,
        settings: &DirectorySettings,
        address: &str,
        steps: &mut Steps,
    ) -> Result<Self, Trouble> {
        let limit = Duration::from_millis(runtime.config.directory.timeout_ms);
        let Server { host, port, tls } = server(address).map_err(Trouble::new)?;
        let plain = !tls && settings.plain;
        let began = Instant::now();
        let socket = match plain && !runtime.config.directory.allow_plain {
            true => Err(Trouble::new("connections without TLS are not allowed: see directory.allow_plain")),
            false => {
                let reached = runtime.outbound.connect(&host, port, limit).await;
                reached.map_err(|error| Trouble::down(error.to_string()))
            }
        };
        steps.note(("connect", Some(address)), began, &socket, |_| "connected".to_owned());
        let mut socket = socket?;
        if plain {
            return Self::over(runtime, socket, limit).await;
        }
        let began = Instant::now();
        let secured = async {
            if !tls {
                start_tls(&mut socket, limit).await?;
            }
            let shaken = timeout(limit, tls::connect(socket, &host, &settings.ca)).await;
            let shaken = shaken.map_err(|_| Trouble::down("TLS took too long"))?;
            shaken.map_err(|failure| Trouble::down(failure.why))
        };
        let secured = secured.await;
        let kind = if tls { "encrypted from the start" } else { "encrypted by StartTLS" };
        steps.note(("tls", Some(address)), began, &secured, |_| kind.to_owned());
        Self::over(runtime, secured?, limit).await
    }

    async fn over<S>(runtime: &Runtime, mut far: S, limit: Duration) -> Result<Self, Trouble>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut near, driver, ldap) = library().await?;
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waiting);
        // It ends when the session is dropped: the library then closes its end.
        runtime.tasks.spawn("directory", async move {
            tokio::select! {
                _ = driver.drive() => {}
                () = carry(&mut near, &mut far, &counted) => {}
            }
        });
        Ok(Self { ldap, limit, waiting })
    }

    /// Binds by name and password (RFC 4513 §5.1.3). The password must not be empty: the server would take that for nobody's
    /// bind and say yes (§5.1.2).
    ///
    /// # Errors
    /// When no answer came, or the password is empty.
    pub(super) async fn bind(&mut self, dn: &str, password: &str) -> Result<Bound, Trouble> {
        if password.is_empty() {
            return Err(Trouble::new("an empty password proves nothing"));
        }
        self.waiting.store(0, Ordering::Relaxed);
        let answer = self.ldap.with_timeout(self.limit).simple_bind(dn, password).await;
        let answer = answer.map_err(|error| trouble(&error))?;
        Ok(Bound { code: answer.rc, words: brief(&answer.text) })
    }

    /// Binds as whom we ask as, where that is anybody.
    ///
    /// # Errors
    /// When the server refuses, or does not answer.
    pub(super) async fn bind_own(&mut self, dn: &str, password: &str) -> Result<(), Trouble> {
        if dn.is_empty() {
            return Ok(());
        }
        let Bound { code, words } = self.bind(dn, password).await?;
        if code == 0 { Ok(()) } else { Err(said(code, &words)) }
    }

    /// Searches below a base, a page at a time, and tells after each page how many entries were found.
    ///
    /// # Errors
    /// When the server refuses or does not answer; for more entries than are wanted.
    pub(super) async fn search(
        &mut self,
        wanted: Wanted<'_>,
        told: Progress<'_>,
    ) -> Result<Vec<SearchEntry>, Trouble> {
        let adapters: Vec<Box<dyn Adapter<'_, &str, Vec<&str>>>> =
            vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE_ENTRIES))];
        self.waiting.store(0, Ordering::Relaxed);
        let seconds = i32::try_from(self.limit.as_secs().max(1)).unwrap_or(i32::MAX);
        let options = SearchOptions::new().timelimit(seconds);
        let ldap = self.ldap.with_timeout(self.limit).with_search_options(options);
        let found = ldap.streaming_search_with(
            adapters,
            wanted.base,
            Depth::Subtree,
            wanted.filter,
            wanted.attributes.to_vec(),
        );
        let mut stream = found.await.map_err(|error| trouble(&error))?;
        let mut entries = Vec::new();
        while let Some(entry) = stream.next().await.map_err(|error| trouble(&error))? {
            self.waiting.store(0, Ordering::Relaxed);
            if entries.len() >= wanted.most {
                return Err(Trouble::new(format!("there are more than {} entries", wanted.most)));
            }
            entries.push(SearchEntry::construct(entry));
            if entries.len() % PAGE_ENTRIES as usize == 0 {
                told.at(entries.len()).await;
            }
        }
        let end = stream.finish().await;
        if end.rc == 0 { Ok(entries) } else { Err(said(end.rc, &end.text)) }
    }
}
