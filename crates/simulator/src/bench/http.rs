//! The load over HTTP: connections that each submit one message, wait for its answer, and submit the next.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use runtime::Tasks;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::Instant;
use types::{Code, Error, Result};
use url::Url;

use super::histogram::{Histogram, Latency};
use super::process::{Meter, Usage};

/// Connections that a run may have.
const CONNECTIONS_MAX: usize = 10_000;
/// Messages of one run, so that their ids fit into memory.
const COUNT_MAX: u64 = 50_000_000;

/// What to submit, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpOptions {
    /// The gateway's address, `http://host:port`.
    pub target: String,
    /// The API key.
    pub key: String,
    /// Connections, each with one request under way.
    pub connections: usize,
    /// Messages in all. `None`: until the time is over.
    pub count: Option<u64>,
    /// Seconds to submit, after the warm-up. `None`: until all are submitted.
    pub duration_s: Option<u64>,
    /// Messages a second over all connections, by a plan that does not wait for the gateway; 0 for as fast as it takes them.
    pub rate: u32,
    /// The text, with `{n}` where the number goes.
    pub text: String,
    /// Who sends.
    pub source: String,
    /// The digits before the last eight of the recipients' numbers.
    pub destination: String,
    /// Different recipients.
    pub destinations: u32,
    /// The first message's number.
    pub first_id: u64,
    /// Whether each request has an `Idempotency-Key`, whose answer the gateway keeps.
    pub keyed: bool,
    /// Milliseconds after which a request counts as never answered.
    pub response_timeout_ms: u64,
    /// Milliseconds at the start that count for the accounts but not for latencies, rates and CPU.
    pub warm_up_ms: u64,
    /// The process under test, on this machine.
    pub pid: Option<u32>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            target: "http://127.0.0.1:8080".to_owned(),
            key: String::new(),
            connections: 32,
            count: Some(10_000),
            duration_s: None,
            rate: 0,
            text: "Hello from the bench, this is message ID{n}.".to_owned(),
            source: "BENCH".to_owned(),
            destination: "336".to_owned(),
            destinations: 10_000,
            first_id: 0,
            keyed: false,
            response_timeout_ms: 30_000,
            warm_up_ms: 0,
            pid: None,
        }
    }
}

/// The result of a run. Every message is in exactly one of `accepted`, `refused` and `indeterminate`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpReport {
    /// Where it was submitted.
    pub target: String,
    /// Connections, each with one request under way.
    pub connections: usize,
    /// Messages that were submitted.
    pub messages: u64,
    /// Answered with 202 and an id.
    pub accepted: u64,
    /// Answered otherwise, by status and error code.
    pub refused: BTreeMap<String, u64>,
    /// Never answered, as the connection broke or the time ran out: the gateway may have them or not.
    pub indeterminate: u64,
    /// Answers with an id that another answer had before.
    pub repeated_ids: u64,
    /// Times that a connection was made anew.
    pub reconnects: u64,
    /// From the first request to the last answer, in seconds.
    pub elapsed_s: f64,
    /// Accepted a second, after the warm-up.
    pub accepted_per_s: f64,
    /// The most that a fixed rate fell behind its plan, in milliseconds.
    pub behind_ms: u64,
    /// From a request to its answer.
    pub response: Latency,
    /// The process under test, where its id was given.
    pub process: Option<Usage>,
    /// This process.
    pub generator: Option<Usage>,
}

impl HttpReport {
    /// Whether nothing was refused, doubled or left open.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.accepted == self.messages && self.repeated_ids == 0
    }
}

impl fmt::Display for HttpReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} connections, {:.1} s", self.target, self.connections, self.elapsed_s)?;
        writeln!(f, "messages    {:>10}", self.messages)?;
        writeln!(f, "accepted    {:>10}   {:.0}/s", self.accepted, self.accepted_per_s)?;
        for (why, count) in &self.refused {
            writeln!(f, "refused     {count:>10}   {why}")?;
        }
        let others = [
            ("indeterminate", self.indeterminate),
            ("repeated ids", self.repeated_ids),
            ("reconnects", self.reconnects),
            ("behind, ms", self.behind_ms),
        ];
        for (name, count) in others.into_iter().filter(|(_, count)| *count > 0) {
            writeln!(f, "{name:<13}{count:>9}")?;
        }
        writeln!(f, "ms              mean     p50     p90     p99   p99.9     max")?;
        writeln!(f, "{}", self.response.line("response"))?;
        for (name, usage) in [("under test", &self.process), ("generator", &self.generator)] {
            if let Some(usage) = usage {
                writeln!(f, "{}", usage.line(name))?;
            }
        }
        Ok(())
    }
}

/// What the answers came to.
struct Tally {
    accepted: u64,
    /// Those of `accepted` that came after the warm-up.
    measured: u64,
    refused: BTreeMap<String, u64>,
    indeterminate: u64,
    repeated_ids: u64,
    ids: HashSet<u64>,
    response: Histogram,
    last_us: u64,
}

struct Load {
    options: HttpOptions,
    /// Host and port to connect to, and as the requests name it.
    authority: String,
    /// What makes this run's idempotency keys its own.
    token: u64,
    /// The next message.
    next: AtomicU64,
    stopped: AtomicBool,
    started: Instant,
    behind_us: AtomicU64,
    reconnects: AtomicU64,
    tally: Mutex<Tally>,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

/// Submits the load and accounts for it.
///
/// # Errors
/// Options that make no sense, or a gateway that does not answer the first connection. What happens later is in the report.
pub async fn http(options: HttpOptions, tasks: &Tasks) -> Result<HttpReport> {
    let authority = check(&options)?;
    let mut connected = Vec::with_capacity(options.connections);
    for _ in 0..options.connections {
        let sender = connect(&authority, tasks).await.map_err(|error| {
            Error::new(Code::Unavailable, format!("{authority} does not answer: {error}"))
        })?;
        connected.push(sender);
    }
    let tally = Tally {
        accepted: 0,
        measured: 0,
        refused: BTreeMap::new(),
        indeterminate: 0,
        repeated_ids: 0,
        ids: HashSet::new(),
        response: Histogram::new(),
        last_us: 0,
    };
    let load = Arc::new(Load {
        authority,
        token: rand::random(),
        next: AtomicU64::new(0),
        stopped: AtomicBool::new(false),
        started: Instant::now(),
        behind_us: AtomicU64::new(0),
        reconnects: AtomicU64::new(0),
        tally: Mutex::new(tally),
        options,
    });
    let (done, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
    for sender in connected {
        let (load, done, within) = (load.clone(), done.clone(), tasks.clone());
        tasks.spawn("bench connection", async move {
            load.work(sender, &within).await;
            drop(done);
        });
    }
    drop(done);
    let mut meters = Meters::new(load.options.pid);
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            // Ends when the last connection has dropped its end.
            _ = all_done.recv() => break,
            _ = tick.tick() => load.look(&mut meters, tasks.stopping().is_cancelled()),
        }
    }
    meters.each(Meter::sample);
    Ok(load.report(&meters))
}

fn check(options: &HttpOptions) -> Result<String> {
    let wrong = || Error::invalid("target", "an address such as http://127.0.0.1:8080 is needed");
    let url = Url::parse(&options.target).map_err(|_| wrong())?;
    let host = url.host_str().filter(|_| url.scheme() == "http").ok_or_else(wrong)?;
    if !(1..=CONNECTIONS_MAX).contains(&options.connections) {
        return Err(Error::invalid("connections", format!("1 to {CONNECTIONS_MAX} connections")));
    }
    if options.count.is_none() && options.duration_s.is_none() {
        return Err(Error::invalid("count", "a number of messages or a duration is needed"));
    }
    if options.count.is_some_and(|count| count > COUNT_MAX) {
        return Err(Error::invalid("count", format!("at most {COUNT_MAX} messages")));
    }
    if options.destinations == 0 || !options.destination.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(Error::invalid("destination", "digits, and at least one recipient"));
    }
    Ok(format!("{host}:{}", url.port_or_known_default().unwrap_or(80)))
}

type Sender = SendRequest<Full<Bytes>>;

async fn connect(authority: &str, tasks: &Tasks) -> std::io::Result<Sender> {
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    // How it ended is seen at the request that was under way.
    tasks.spawn("bench socket", async move { drop(connection.await) });
    Ok(sender)
}

/// The process under test and this one.
struct Meters {
    process: Option<Meter>,
    generator: Meter,
    run: bool,
}

impl Meters {
    fn new(pid: Option<u32>) -> Self {
        Self { process: pid.map(Meter::new), generator: Meter::new(std::process::id()), run: false }
    }

    fn each(&mut self, act: impl Fn(&mut Meter)) {
        self.process.iter_mut().chain([&mut self.generator]).for_each(act);
    }
}

impl Load {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn warm_up_us(&self) -> u64 {
        self.options.warm_up_ms.saturating_mul(1_000)
    }

    /// Starts the meters after the warm-up, and ends the run when its time is over.
    fn look(&self, meters: &mut Meters, stopping: bool) {
        let now_us = self.now_us();
        if !meters.run && now_us >= self.warm_up_us() {
            meters.run = true;
            meters.each(Meter::start);
        }
        meters.each(Meter::sample);
        let span_us = self.options.duration_s.map(|seconds| seconds.saturating_mul(1_000_000));
        let over = span_us.is_some_and(|span_us| now_us >= self.warm_up_us().saturating_add(span_us));
        if over || stopping {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    /// The next message's place in the run, when it is due.
    async fn take(&self) -> Option<u64> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        if self.options.count.is_some_and(|count| at >= count) {
            return None;
        }
        if self.options.rate > 0 {
            let due_us = (at as f64 * 1e6 / f64::from(self.options.rate)) as u64;
            let now_us = self.now_us();
            if due_us > now_us {
                tokio::time::sleep(Duration::from_micros(due_us - now_us)).await;
            }
            self.behind_us.fetch_max(self.now_us().saturating_sub(due_us), Ordering::Relaxed);
        }
        Some(at)
    }

    fn request(&self, at: u64) -> Result<Request<Full<Bytes>>> {
        let options = &self.options;
        let number = options.first_id + at;
        let to = format!("+{}{:08}", options.destination, number % u64::from(options.destinations));
        let text = options.text.replace("{n}", &number.to_string());
        let body = serde_json::json!({ "to": to, "from": options.source, "text": text }).to_string();
        let mut request = Request::post("/api/v1/messages")
            .header(header::HOST, &self.authority)
            .header(header::AUTHORIZATION, format!("Bearer {}", options.key))
            .header(header::CONTENT_TYPE, "application/json");
        if options.keyed {
            request = request.header("idempotency-key", format!("bench-{:016x}-{number}", self.token));
        }
        request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Error::invalid("key", format!("cannot be sent: {error}")))
    }

    /// One connection's work, to the end of the run.
    async fn work(&self, mut sender: Sender, tasks: &Tasks) {
        while let Some(at) = self.take().await {
            let Ok(request) = self.request(at) else {
                self.tally().indeterminate += 1;
                continue;
            };
            let sent_us = self.now_us();
            let limit = Duration::from_millis(self.options.response_timeout_ms);
            let answer = tokio::time::timeout(limit, answered(&mut sender, request)).await;
            if let Ok(Some((status, body))) = answer {
                self.note(sent_us, status, &body);
            } else {
                self.tally().indeterminate += 1;
                self.reconnects.fetch_add(1, Ordering::Relaxed);
                let Ok(again) = connect(&self.authority, tasks).await else { return };
                sender = again;
            }
        }
    }

    fn note(&self, sent_us: u64, status: StatusCode, body: &[u8]) {
        let now_us = self.now_us();
        let accepted =
            (status == StatusCode::ACCEPTED).then(|| serde_json::from_slice::<Accepted>(body).ok());
        let mut tally = self.tally();
        tally.last_us = now_us;
        let Some(Some(Accepted { id })) = accepted else {
            let problem =
                serde_json::from_slice::<Problem>(body).map_or_else(|_| String::new(), |it| it.code);
            let why = format!("{} {problem}", status.as_u16());
            *tally.refused.entry(why.trim_end().to_owned()).or_default() += 1;
            return;
        };
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        tally.accepted += 1;
        if !tally.ids.insert(hasher.finish()) {
            tally.repeated_ids += 1;
        }
        if sent_us >= self.warm_up_us() {
            tally.measured += 1;
            tally.response.record(now_us - sent_us);
        }
    }

    fn report(&self, meters: &Meters) -> HttpReport {
        let tally = self.tally();
        let span_s = tally.last_us.saturating_sub(self.warm_up_us()) as f64 / 1e6;
        let refused: u64 = tally.refused.values().sum();
        HttpReport {
            target: self.options.target.clone(),
            connections: self.options.connections,
            messages: tally.accepted + refused + tally.indeterminate,
            accepted: tally.accepted,
            refused: tally.refused.clone(),
            indeterminate: tally.indeterminate,
            repeated_ids: tally.repeated_ids,
            reconnects: self.reconnects.load(Ordering::Relaxed),
            elapsed_s: tally.last_us as f64 / 1e6,
            accepted_per_s: if span_s > 0.0 { tally.measured as f64 / span_s } else { 0.0 },
            behind_ms: self.behind_us.load(Ordering::Relaxed) / 1_000,
            response: tally.response.latency(),
            process: meters.process.as_ref().and_then(|meter| meter.usage(tally.measured, span_s)),
            generator: meters.generator.usage(tally.measured, span_s),
        }
    }
}

/// The answer's status and body; `None` when the connection broke.
async fn answered(sender: &mut Sender, request: Request<Full<Bytes>>) -> Option<(StatusCode, Bytes)> {
    sender.ready().await.ok()?;
    let answer = sender.send_request(request).await.ok()?;
    let status = answer.status();
    let body = answer.into_body().collect().await.ok()?;
    Some((status, body.to_bytes()))
}
