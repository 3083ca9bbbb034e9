//! Sending: requests under way, the provider's wishes, and whether it can be reached.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::measure::{Histogram, Sizes};
use runtime::outbound::{self, OutboundError};
use runtime::{Clock, Tasks};
use smpp::SmRef;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::Timestamp;

use super::answer::{Heard, Read};
use super::plan::{Plan, Proof};
use super::request::Prepared;
use super::token::{NoToken, Tokens};
use super::values::{self, Fixed, Message};
use super::{Auth, Meaning, Settings};
use crate::report::{Answer, Class, NoAnswer, Refusal, Report};
use crate::tcp::backoff::Backoff;
use crate::tcp::gate::{Gate, Places, Stopped, Turn};
use crate::tcp::throttle::Throttle;
use crate::{BindKind, BindStatus, State, Status};

/// Reports that may wait for their owner.
const REPORTS_MAX: usize = 1024;
/// The one place that the gate has here.
const ONLY: usize = 0;

/// A connection to one provider. Cloning shares it. When the last clone or the receiver of its reports is dropped, or the
/// program stops, it drains and ends by itself.
pub struct Link<T: Clone + Send + 'static> {
    owned: Arc<Owned<T>>,
}

impl<T: Clone + Send + 'static> Clone for Link<T> {
    fn clone(&self) -> Self {
        Self { owned: Arc::clone(&self.owned) }
    }
}

impl<T: Clone + Send + 'static> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("settings", &self.owned.shared.settings).finish_non_exhaustive()
    }
}

/// What the link's tasks do not hold, so that they see when everybody has left.
struct Owned<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.shared.drain();
        self.shared.leaving.cancel();
    }
}

struct Shared<T> {
    settings: Settings,
    /// `None` where the description is none that can be used, which no stored one is.
    plan: Result<Plan, String>,
    fixed: Fixed,
    tokens: Tokens,
    clock: Clock,
    tasks: Tasks,
    gate: Arc<Gate>,
    board: Mutex<Board>,
    /// Absent once nothing more will be reported.
    reports: mpsc::Sender<Report<T>>,
    round_trip_us: AtomicU64,
    /// Of all answers, microseconds.
    round_trips: Histogram,
    /// Why the provider cannot be used, as a request found out.
    trouble: Mutex<Option<NoToken>>,
    troubled: Notify,
    /// Nothing new is sent; when nothing is under way, the link ends.
    leaving: CancellationToken,
    /// What is under way is given up.
    cut: CancellationToken,
    under_way: TaskTracker,
}

struct Board {
    state: State,
    since: Timestamp,
    last_error: Option<String>,
    draining: bool,
}

impl<T: Clone + Send + 'static> Link<T> {
    /// Starts the link's task. The receiver ends when the link has ended and everybody has left it.
    pub fn start(settings: Settings, tasks: &Tasks, clock: Clock) -> (Self, mpsc::Receiver<Report<T>>) {
        let (reports, receiver) = mpsc::channel(REPORTS_MAX);
        let throttle = Throttle::new(settings.throttle_min_ms, settings.throttle_max_ms);
        let under_way = TaskTracker::new();
        let shared = Arc::new(Shared {
            plan: Plan::read(&settings.description).map_err(|flaw| format!("{}: {}", flaw.at, flaw.why)),
            fixed: settings.fixed(),
            tokens: Tokens::default(),
            gate: Gate::new(&[false], settings.throughput, throttle),
            board: Mutex::new(Board {
                state: State::Binding,
                since: clock.now(),
                last_error: None,
                draining: false,
            }),
            settings,
            clock,
            tasks: tasks.clone(),
            reports,
            round_trip_us: AtomicU64::new(0),
            round_trips: Histogram::default(),
            trouble: Mutex::new(None),
            troubled: Notify::new(),
            leaving: CancellationToken::new(),
            cut: CancellationToken::new(),
            under_way,
        });
        tasks.spawn("link", keep(Arc::clone(&shared), tasks.stopping()));
        (Self { owned: Arc::new(Owned { shared }) }, receiver)
    }

    /// See [`crate::Link::places`].
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn places(&self, max: usize) -> Result<Places, Stopped> {
        self.owned.shared.gate.places(max).await
    }

    /// See [`crate::Link::places_now`].
    pub fn places_now(&self, max: usize) -> Option<Places> {
        self.owned.shared.gate.places_now(max)
    }

    /// See [`crate::Link::submit`]. `named` is our name for the message, and the part's number.
    ///
    /// # Errors
    /// The tag: no place was left, or the provider cannot be reached.
    pub fn submit(&self, places: &mut Places, named: (&str, u8), sm: &SmRef<'_>, tag: T) -> Result<(), T> {
        let shared = &self.owned.shared;
        let Some(turn) = places.take(&shared.gate) else { return Err(tag) };
        let now_ms = shared.clock.now().unix_ms();
        let made = shared.plan.as_ref().map_err(Clone::clone).and_then(|plan| {
            let message = Message::read(&shared.fixed, sm, named, now_ms)?;
            plan.request(&shared.fixed, &message)
        });
        let reference = values::reference(named.0, named.1);
        let work = Arc::clone(shared).exchange(turn, made, reference, tag);
        shared.tasks.spawn("link-request", shared.under_way.track_future(work));
        Ok(())
    }

    /// See [`crate::Link::status`].
    pub fn status(&self) -> Status {
        self.owned.shared.status()
    }

    /// See [`crate::Link::round_trips`].
    pub fn round_trips(&self) -> Sizes {
        self.owned.shared.round_trips.sizes()
    }

    /// See [`crate::Link::drain`].
    pub fn drain(&self) {
        self.owned.shared.drain();
    }

    /// See [`crate::Link::stop`].
    pub async fn stop(&self, within: Duration) {
        let shared = &self.owned.shared;
        shared.drain();
        shared.under_way.close();
        if tokio::time::timeout(within, shared.under_way.wait()).await.is_err() {
            shared.cut.cancel();
        }
        shared.leaving.cancel();
    }
}

/// What became of one try.
enum Tried {
    Read(Read),
    Given(Answer),
    /// It never left, and nothing will for a while.
    Unreachable(NoToken),
}

impl<T> Shared<T> {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(&self) {
        self.gate.state().shut();
        self.gate.ring();
        self.board().draining = true;
    }

    fn note(&self, state: State, error: Option<&str>) {
        let mut board = self.board();
        board.state = state;
        board.since = self.clock.now();
        if let Some(error) = error {
            board.last_error = Some(error.to_owned());
        }
    }

    fn status(&self) -> Status {
        let now_ms = self.gate.now_ms();
        let board = self.board();
        let mut gate = self.gate.state();
        let pause_ms = gate.throttle.pause_ms(now_ms);
        let (window_used, window_limit) = gate.window(ONLY);
        let (submitted, sessions) = (gate.counters.submitted, gate.counters.binds);
        let answers_us = self.round_trips.sizes().p50_p95_p99();
        let state = match board.state {
            State::Bound if board.draining => State::Draining,
            State::Bound if pause_ms > 0 => State::Throttled,
            state => state,
        };
        let bind = BindStatus {
            number: 1,
            kind: BindKind::Transceiver,
            state: if state == State::Throttled { State::Bound } else { state },
            host: self.host(),
            standby: false,
            peer: None,
            peer_system_id: None,
            since: board.since,
            window_used,
            window_limit,
            last_error: board.last_error.clone(),
            last_round_trip_us: Some(self.round_trip_us.load(Ordering::Relaxed)).filter(|us| *us > 0),
            answers_us,
            submitted,
            sessions,
        };
        Status {
            state,
            pause_ms,
            learned_per_second: gate.throttle.ceiling(now_ms),
            binds: vec![bind],
            counters: gate.counters,
            parts_per_second: gate.per_second(now_ms),
        }
    }

    /// Where the provider is, without path and query, which may hold secrets.
    fn host(&self) -> String {
        let url = &self.settings.description.url;
        let behind = url.find("://").map_or(0, |at| at + 3);
        let end = url[behind..].find(['/', '?', '#']).map_or(url.len(), |at| behind + at);
        url[..end].to_owned()
    }

    fn auth(&self) -> &Auth {
        match &self.plan {
            Ok(Plan { auth: Proof::Plain(auth), .. }) => auth,
            _ => &Auth::None,
        }
    }

    /// Asks whether the provider's host is there: any answer will do.
    async fn probe(&self) -> Result<(), NoToken> {
        let outbound = &self.settings.outbound;
        self.tokens.get(self.auth(), &self.fixed, outbound).await?;
        let asked = outbound.send(outbound::Method::HEAD, &self.host(), &[], outbound::Bytes::new()).await;
        match asked {
            // The request was answered, or was on its way to somebody who is there.
            Ok(_) | Err(OutboundError::Redirect { .. } | OutboundError::TooLarge { .. }) => Ok(()),
            Err(OutboundError::Transport { .. } | OutboundError::Timeout { .. }) => Ok(()),
            Err(error) => Err(NoToken { why: error.to_string(), lasting: !error.is_temporary() }),
        }
    }

    async fn attempt(&self, prepared: &mut Prepared, reference: &str) -> Tried {
        let outbound = &self.settings.outbound;
        let plan = match &self.plan {
            Ok(plan) => plan,
            Err(why) => return Tried::Given(Answer::Unfit(why.clone())),
        };
        let token = match self.tokens.get(self.auth(), &self.fixed, outbound).await {
            Ok(token) => token,
            Err(none) => return Tried::Unreachable(none),
        };
        if let Err(why) = plan.prove(prepared, &self.fixed, &token, self.clock.now().unix_ms() / 1_000) {
            return Tried::Given(Answer::Unfit(why));
        }
        let headers: Vec<(&str, &str)> =
            prepared.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let method = match prepared.method {
            "GET" => outbound::Method::GET,
            "PUT" => outbound::Method::PUT,
            _ => outbound::Method::POST,
        };
        let sent = outbound.send(method, &prepared.url, &headers, prepared.body.clone().into()).await;
        let (status, headers, body) = match sent {
            Ok(answer) => (answer.status, answer.headers, answer.body),
            Err(OutboundError::TooLarge { status, .. }) => {
                (status, outbound::HeaderMap::new(), outbound::Bytes::new())
            }
            Err(error) => return failed(&error),
        };
        let headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let read = plan.read_answer(&Heard { status, headers: &headers, body: &body, reference });
        if read.meaning == Meaning::Authentication && !token.is_empty() {
            self.tokens.forget(&token).await;
        }
        Tried::Read(read)
    }
}

/// What a failed exchange leaves of a message.
fn failed(error: &OutboundError) -> Tried {
    let unreachable = |lasting| Tried::Unreachable(NoToken { why: error.to_string(), lasting });
    match error {
        OutboundError::Connect { .. } => unreachable(false),
        OutboundError::Forbidden { .. } | OutboundError::Scheme { .. } | OutboundError::Setup { .. } => {
            unreachable(true)
        }
        OutboundError::Url { .. } | OutboundError::Header { .. } => {
            Tried::Given(Answer::Unfit(error.to_string()))
        }
        OutboundError::Timeout { .. } => Tried::Given(Answer::NoAnswer(NoAnswer::TimedOut)),
        OutboundError::Transport { .. } => Tried::Given(Answer::NoAnswer(NoAnswer::BindLost)),
        // Who sends us elsewhere may have taken it all the same.
        OutboundError::Redirect { .. } | OutboundError::TooLarge { .. } => {
            Tried::Given(Answer::NoAnswer(NoAnswer::Unclear))
        }
    }
}

impl<T: Clone + Send + 'static> Shared<T> {
    /// Sends one request and reports what became of it.
    async fn exchange(
        self: Arc<Self>,
        turn: Turn,
        made: Result<Prepared, String>,
        reference: String,
        tag: T,
    ) {
        let sent_us = self.gate.now_us();
        let tried = match made {
            Err(why) => Tried::Given(Answer::Unfit(why)),
            Ok(prepared) => tokio::select! {
                tried = self.try_twice(prepared, &reference) => tried,
                () = self.cut.cancelled() => Tried::Given(Answer::NoAnswer(NoAnswer::BindLost)),
            },
        };
        let now_us = self.gate.now_us();
        let answer = match tried {
            Tried::Read(read) => {
                let us = u64::try_from(now_us - sent_us).unwrap_or(0).max(1);
                self.round_trip_us.store(us, Ordering::Relaxed);
                self.round_trips.record(us);
                self.govern(&read, sent_us / 1_000, now_us / 1_000);
                read.answer
            }
            Tried::Given(answer) => answer,
            Tried::Unreachable(trouble) => {
                let why = trouble.why.clone();
                self.trouble(trouble);
                Answer::NotSent(why)
            }
        };
        self.gate.state().settle(turn, |counters| match &answer {
            Answer::Accepted { .. } => counters.accepted += 1,
            Answer::Refused { class, .. } => {
                counters.refused += 1;
                counters.throttled += u64::from(matches!(class, Class::Throttled | Class::QueueFull));
            }
            Answer::NoAnswer(NoAnswer::TimedOut) => counters.timed_out += 1,
            Answer::NoAnswer(NoAnswer::BindLost) => counters.lost += 1,
            Answer::NoAnswer(NoAnswer::Unclear) => counters.odd += 1,
            Answer::Unfit(_) => counters.unfit += 1,
            Answer::NotSent(_) => counters.submitted = counters.submitted.saturating_sub(1),
        });
        self.gate.ring();
        // Nobody reads any more: the journal's claim says what was under way.
        let _ = self
            .reports
            .send(Report::Answered { tag, answer, way: None, at_ms: self.clock.now().unix_ms() })
            .await;
    }

    /// A token that has just become unknown costs one more request: the first was surely not taken.
    async fn try_twice(&self, prepared: Prepared, reference: &str) -> Tried {
        let first = self.attempt(&mut prepared.clone(), reference).await;
        let unknown_token = matches!(&first, Tried::Read(read) if read.meaning == Meaning::Authentication);
        if unknown_token && matches!(self.auth(), Auth::OAuth2 { .. }) {
            return self.attempt(&mut { prepared }, reference).await;
        }
        first
    }

    /// What an answer means for all that follow.
    fn govern(&self, read: &Read, sent_ms: i64, now_ms: i64) {
        let chance = rand::random();
        let mut gate = self.gate.state();
        match read.meaning {
            Meaning::Throttled => gate.throttle.too_fast(sent_ms, now_ms, chance),
            Meaning::QueueFull => gate.throttle.queue_full(sent_ms, now_ms, chance),
            Meaning::Authentication | Meaning::Unknown => {}
            Meaning::Accepted | Meaning::Temporary | Meaning::Permanent => {
                gate.throttle.accepted(sent_ms, now_ms);
            }
        }
        if matches!(read.meaning, Meaning::Throttled | Meaning::QueueFull | Meaning::Temporary)
            && let Some(seconds) = read.retry_after_s
        {
            gate.throttle.wait(seconds.saturating_mul(1_000), now_ms);
        }
        drop(gate);
        if read.meaning == Meaning::Authentication {
            let why = match &read.answer {
                Answer::Refused { refusal: Refusal::Http(refusal), .. } => {
                    format!("our credentials are refused: {refusal}")
                }
                _ => "our credentials are refused".to_owned(),
            };
            self.trouble(NoToken { why, lasting: true });
        }
    }

    /// Nothing more is sent until the provider was asked again.
    fn trouble(&self, trouble: NoToken) {
        self.gate.state().retire(ONLY);
        let mut told = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        told.get_or_insert(trouble);
        self.troubled.notify_one();
    }

    fn take_trouble(&self) -> Option<NoToken> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Keeps the link: asks whether the provider is there, and again after each trouble.
async fn keep<T: Clone + Send + 'static>(shared: Arc<Shared<T>>, program_stops: CancellationToken) {
    let ended = async {
        tokio::select! {
            () = shared.leaving.cancelled() => {}
            () = program_stops.cancelled() => {}
            () = shared.reports.closed() => {}
        }
    };
    tokio::select! {
        () = ended => {}
        () = live(&shared) => {}
    }
    shared.drain();
    shared.under_way.close();
    let patience = Duration::from_millis(shared.settings.response_timeout_ms.saturating_mul(2));
    tokio::select! {
        () = shared.under_way.wait() => {}
        () = shared.cut.cancelled() => {}
        () = tokio::time::sleep(patience) => shared.cut.cancel(),
    }
    shared.note(State::Stopped, None);
}

async fn live<T: Clone + Send + 'static>(shared: &Arc<Shared<T>>) {
    let (settings, kind) = (&shared.settings, BindKind::Transceiver);
    let mut backoff = Backoff::new(settings.reconnect_min_ms, settings.reconnect_max_ms);
    let mut told = String::new();
    loop {
        shared.note(State::Binding, None);
        let trouble = match shared.probe().await {
            Ok(()) => {
                let up = tokio::time::Instant::now();
                shared.take_trouble();
                // The state is seen before messages are sent because of it.
                shared.note(State::Bound, None);
                shared.gate.state().widen(ONLY, usize::from(settings.window.max(1)));
                shared.gate.state().counters.binds += 1;
                shared.gate.ring();
                tracing::info!(connection = %settings.name, host = %shared.host(), "reachable");
                let _ = shared.reports.send(Report::Bound { kind, peer: shared.host() }).await;
                let trouble = loop {
                    shared.troubled.notified().await;
                    if let Some(trouble) = shared.take_trouble() {
                        break trouble;
                    }
                };
                if up.elapsed() >= Duration::from_millis(settings.reconnect_max_ms) {
                    backoff.reset();
                    told.clear();
                }
                trouble
            }
            Err(trouble) => trouble,
        };
        let why = trouble.why;
        if trouble.lasting {
            backoff.skip_to_longest();
        }
        shared.note(State::Down, Some(&why));
        if told != why {
            tracing::warn!(connection = %settings.name, %why, "the provider cannot be used");
            told.clone_from(&why);
        }
        let _ = shared.reports.send(Report::Lost { kind, peer: Some(shared.host()), why }).await;
        tokio::time::sleep(Duration::from_millis(backoff.next(rand::random()))).await;
    }
}
