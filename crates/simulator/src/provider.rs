//! Providers over HTTP as their customers see them: Twilio, Infobip, Vonage and Kannel's smsbox, each in its own requests,
//! answers, receipts and signatures, all on one port. Which one is spoken to shows in the path.
//!
//! - Twilio: `/2010-04-01/Accounts/{user}/Messages.json`, basic authentication, status callbacks with X-Twilio-Signature
//! - Infobip: `/sms/3/messages`, `Authorization: App {password}`, delivery reports in lists
//! - Vonage: `/sms/json`, `api_key` and `api_secret`, delivery receipts, signed with HMAC-SHA256 where a secret is set
//! - Kannel: `/cgi-bin/sendsms`, a GET of `dlr-url`

mod speech;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use runtime::outbound::{Method, Outbound};
use runtime::pace::Pace;
use runtime::{Clock, Tasks};
use serde::Serialize;
use smpp::DataCoding;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use types::{Code, Error, Result};

pub use speech::Style;
use speech::{Asked, Post};

use crate::smsc::Seen;
use crate::smsc::seen::Ledger;

/// How the providers behave. All but `listen` and `connections_max` can be changed while they run.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where they listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections at once; further ones are closed at once.
    pub connections_max: usize,
    /// Who may send, and by which password. Empty: anybody.
    pub accounts: Vec<(String, String)>,
    /// Milliseconds until a request is answered.
    pub latency_ms: u64,
    /// Milliseconds from the answer to the receipt.
    pub receipt_delay_ms: u64,
    /// Messages per second above which the answer is "too fast"; 0 for no limit.
    pub throughput: u32,
    /// Percentage of messages that are refused for good.
    pub refused_percent: f64,
    /// Percentage of messages that are taken and never answered.
    pub unanswered_percent: f64,
    /// Percentage of messages that are reported as undelivered.
    pub undelivered_percent: f64,
    /// What Vonage signs its receipts with; they are not signed where it is empty.
    pub signature_secret: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            connections_max: 1_000,
            accounts: Vec::new(),
            latency_ms: 0,
            receipt_delay_ms: 0,
            throughput: 0,
            refused_percent: 0.0,
            unanswered_percent: 0.0,
            undelivered_percent: 0.0,
            signature_secret: String::new(),
        }
    }
}

/// What they did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests to send.
    pub submits: u64,
    /// Of them taken.
    pub accepted: u64,
    /// Of them refused, wrong credentials included.
    pub refused: u64,
    /// Of them too fast.
    pub throttled: u64,
    /// Of the taken: never answered.
    pub unanswered: u64,
    /// Receipts that were taken with a 2xx.
    pub receipts: u64,
    /// Receipts that were given up.
    pub receipts_lost: u64,
}

/// Running providers. Cloning shares them; they stop with their [`Tasks`].
#[derive(Clone)]
pub struct Provider {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    state: Mutex<State>,
    outbound: Outbound,
    clock: Clock,
    tasks: Tasks,
}

struct State {
    settings: Settings,
    counts: Counts,
    ledger: Ledger,
    /// The rate that is kept, and since when.
    pace: Option<(u32, Pace)>,
    serial: u64,
}

/// The largest request.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Tries of a receipt that is not taken.
const TRIES_MAX: u32 = 20;
/// The pause between two of them.
const TRY_PAUSE: Duration = Duration::from_millis(200);
/// How long a request is left unanswered at most.
const SILENCE: Duration = Duration::from_secs(3_600);

impl Provider {
    /// Binds the listener and begins to serve.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(settings: Settings, tasks: &Tasks, clock: Clock) -> Result<Self> {
        let (listener, address) = crate::listen(settings.listen).await?;
        // Hooks may be anywhere: a simulator is told where by whoever tests with it.
        let anywhere = ["0.0.0.0/0", "::/0"];
        let client = runtime::config::Outbound {
            allow_private: anywhere.into_iter().filter_map(|all| all.parse().ok()).collect(),
            connect_timeout_ms: 5_000,
            timeout_ms: 15_000,
            redirects_max: 0,
            response_bytes_max: 64 * 1024,
            idle_per_host_max: 32,
        };
        let places = Arc::new(Semaphore::new(settings.connections_max.min(Semaphore::MAX_PERMITS)));
        let shared = Arc::new(Shared {
            outbound: Outbound::new(&client).map_err(Error::internal)?,
            state: Mutex::new(State {
                settings,
                counts: Counts::default(),
                ledger: Ledger::default(),
                pace: None,
                serial: 0,
            }),
            clock,
            tasks: tasks.clone(),
        });
        tasks.spawn("provider", accept(Arc::clone(&shared), listener, places));
        Ok(Self { shared, address })
    }

    /// Where they listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where they are, for a connection's description.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes how they behave, from the next request on.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.state().settings);
    }

    /// What they did so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.state().counts
    }

    /// What they were sent, by the `ID<digits>` markers in the texts.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.shared.state().ledger.seen()
    }

    /// Posts a text from a phone to a hook, as that provider does; gives the status that the hook answered.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn inject_mo(&self, style: Style, hook: &str, from: &str, to: &str, text: &str) -> Result<u16> {
        let (password, secret, id) = {
            let mut state = self.shared.state();
            state.serial += 1;
            let password = state.settings.accounts.first().map(|(_, password)| password.clone());
            (password.unwrap_or_default(), state.settings.signature_secret.clone(), state.serial)
        };
        let now_s = self.shared.clock.now().unix_ms() / 1_000;
        let post = speech::inbound(style, hook, (from, to, text), (&password, &secret), (id, now_s));
        let unavailable = |why: String| Error::new(Code::Unavailable, why);
        self.shared.post(&post).await.map_err(unavailable)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn post(&self, post: &Post) -> std::result::Result<u16, String> {
        let headers: Vec<(&str, &str)> =
            post.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let method = if post.get { Method::GET } else { Method::POST };
        let sent = self.outbound.send(method, &post.url, &headers, post.body.clone().into()).await;
        sent.map(|answer| answer.status).map_err(|error| error.to_string())
    }

    /// Takes a message or refuses it.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return said(413, "too large".to_owned());
        };
        let Some(style) = Style::of(parts.uri.path()) else { return said(404, "nothing here".to_owned()) };
        let asked = Asked::read(style, &parts, &body.to_bytes());
        let latency_ms = self.state().settings.latency_ms;
        tokio::time::sleep(Duration::from_millis(latency_ms)).await;
        let (status, text, silent) = self.judge(style, &asked);
        if silent {
            tokio::time::sleep(SILENCE).await;
        }
        said(status, text)
    }

    fn judge(self: &Arc<Self>, style: Style, asked: &Asked) -> (u16, String, bool) {
        let now_ms = self.clock.now().unix_ms();
        let mut state = self.state();
        state.counts.submits += 1;
        let known = |(user, password): &(String, String)| asked.is_by(style, user, password);
        if !state.settings.accounts.is_empty() && !state.settings.accounts.iter().any(known) {
            state.counts.refused += 1;
            return speech::unauthorised(style).with(false);
        }
        let chance = |percent: f64| rand::random::<f64>() * 100.0 < percent;
        if !state.take_place(now_ms) {
            state.counts.throttled += 1;
            return speech::too_fast(style).with(false);
        }
        if asked.to.is_empty() || chance(state.settings.refused_percent) {
            state.counts.refused += 1;
            return speech::refused(style).with(false);
        }
        state.counts.accepted += 1;
        state.serial += 1;
        state.ledger.count(&sms::Encoding::Ucs2.encode_lossy(&asked.text), DataCoding(8));
        let id = speech::id(style, state.serial, now_ms);
        let undelivered = chance(state.settings.undelivered_percent);
        if let Some(post) = speech::receipt(
            style,
            asked,
            (&id, !undelivered),
            (&state.settings.signature_secret, now_ms / 1_000),
        ) {
            let delay = Duration::from_millis(state.settings.receipt_delay_ms);
            self.tasks.spawn("provider receipt", Arc::clone(self).report(post, delay));
        }
        let silent = chance(state.settings.unanswered_percent);
        state.counts.unanswered += u64::from(silent);
        speech::taken(style, asked, &id).with(silent)
    }

    /// Posts a receipt until it is taken.
    async fn report(self: Arc<Self>, post: Post, delay: Duration) {
        tokio::time::sleep(delay).await;
        for _ in 0..TRIES_MAX {
            if self.post(&post).await.is_ok_and(|status| (200..300).contains(&status)) {
                self.state().counts.receipts += 1;
                return;
            }
            tokio::time::sleep(TRY_PAUSE).await;
        }
        self.state().counts.receipts_lost += 1;
    }
}

impl State {
    fn take_place(&mut self, now_ms: i64) -> bool {
        let rate = self.settings.throughput;
        if rate == 0 {
            return true;
        }
        if self.pace.as_ref().is_none_or(|(kept, _)| *kept != rate) {
            self.pace = Some((rate, Pace::new(rate, rate)));
        }
        self.pace.as_mut().is_none_or(|(_, pace)| pace.take(now_ms, 1).is_ok())
    }
}

fn said(status: u16, text: String) -> Response<Full<Bytes>> {
    let json = text.starts_with('{');
    let built = Response::builder()
        .status(status)
        .header("content-type", if json { "application/json" } else { "text/html" });
    let built = if status == 429 { built.header("retry-after", "1") } else { built };
    built.body(Full::new(Bytes::from(text))).unwrap_or_default()
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, places: Arc<Semaphore>) {
    let stopping = shared.tasks.stopping();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        let Ok((socket, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Beyond the bound the connection is closed by being dropped.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let serving = serve(Arc::clone(&shared), socket);
        shared.tasks.spawn("provider connection", async move {
            serving.await;
            drop(place);
        });
    }
}

async fn serve(shared: Arc<Shared>, socket: TcpStream) {
    drop(socket.set_nodelay(true));
    let stopping = shared.tasks.stopping();
    let service = service_fn(move |request| {
        let answering = Arc::clone(&shared).answer(request);
        async move { Ok::<_, std::convert::Infallible>(answering.await) }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
    tokio::select! {
        _ = connection => {}
        () = stopping.cancelled() => {}
    }
}
