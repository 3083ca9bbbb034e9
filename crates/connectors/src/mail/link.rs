//! The sessions of a connection, and what waits for them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::mail::{Envelope, Failure, Session};
use runtime::measure::{Histogram, Sizes};
use runtime::wire::Outlet;
use runtime::{Clock, Tasks};
use smpp::SmRef;
use sms::MessageState;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::Timestamp;

use super::{Letter, Receipts, Settings, filled, named_so, shown};
use crate::report::Reply;
use crate::tcp::backoff::Backoff;
use crate::tcp::gate::{Gate, Turn};
use crate::tcp::throttle::Throttle;
use crate::{
    Answer, BindKind, BindStatus, Class, Content, Delivered, NoAnswer, Places, Receipt, Refusal, Report,
    State, Status, Stopped,
};

/// Reports that may wait for their owner.
const REPORTS_MAX: usize = 1024;
/// Mails that go over one session; servers that count end theirs at about so many.
const MAILS_PER_SESSION_MAX: u32 = 100;

/// A connection to a mail server. Cloning shares it. When the last clone or the receiver of its reports is dropped, or the
/// program stops, it drains and ends by itself.
#[derive(Clone)]
pub struct Link<T: Clone + Send + 'static> {
    owned: Arc<Owned<T>>,
}

impl<T: Clone + Send + 'static> std::fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("settings", &self.owned.shared.settings).finish_non_exhaustive()
    }
}

struct Owned<T> {
    shared: Arc<Shared>,
    /// To each session what it is to send.
    lines: Vec<mpsc::Sender<Work<T>>>,
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.shared.stop_by(self.shared.unhurried());
    }
}

/// A message on its way.
struct Work<T> {
    turn: Turn,
    letter: Letter,
    /// The mail's Message-ID, the same at each try: who gets it twice can tell.
    name: String,
    tag: T,
    taken_ms: i64,
}

/// Whether the connection is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Draining,
    Stopping { by: Instant },
}

struct Shared {
    settings: Settings,
    clock: Clock,
    gate: Arc<Gate>,
    board: Mutex<Vec<Entry>>,
    phase: watch::Sender<Phase>,
    tracker: TaskTracker,
}

/// What the status says about one session.
#[derive(Clone, Debug)]
struct Entry {
    state: State,
    since: Timestamp,
    last_error: Option<String>,
    round_trip_us: Option<u64>,
    /// Of all its mails, microseconds.
    round_trips: Arc<Histogram>,
    submitted: u64,
    sessions: u64,
}

impl Entry {
    fn new(since: Timestamp) -> Self {
        Self {
            state: State::Binding,
            since,
            last_error: None,
            round_trip_us: None,
            round_trips: Arc::default(),
            submitted: 0,
            sessions: 0,
        }
    }
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, bind: usize, state: State, why: Option<&str>) {
        let since = self.clock.now();
        if let Some(entry) = self.board().get_mut(bind) {
            if entry.state != state {
                entry.since = since;
            }
            entry.state = state;
            if let Some(why) = why {
                entry.last_error = Some(why.to_owned());
            }
        }
    }

    fn counted(&self, bind: usize, count: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.board().get_mut(bind) {
            count(entry);
        }
    }

    fn host(&self) -> String {
        format!("{}:{}", self.settings.server.host, self.settings.server.port)
    }

    fn drain(&self) {
        self.gate.state().shut();
        self.gate.ring();
        self.phase.send_if_modified(|phase| {
            let running = *phase == Phase::Running;
            if running {
                *phase = Phase::Draining;
            }
            running
        });
    }

    fn stop_by(&self, by: Instant) {
        self.drain();
        self.phase.send_modify(|phase| {
            let by = if let Phase::Stopping { by: earlier } = *phase { by.min(earlier) } else { by };
            *phase = Phase::Stopping { by };
        });
    }

    fn unhurried(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.settings.server.response_timeout_ms.min(HOUR_MS) * 2)
    }

    fn status(&self) -> Status {
        let entries = self.board().clone();
        let phase = *self.phase.borrow();
        let now_ms = self.gate.now_ms();
        let mut gate = self.gate.state();
        let pause_ms = gate.throttle.pause_ms(now_ms);
        let sessions: Vec<_> = entries.iter().map(|entry| (entry.state, true)).collect();
        let state = State::of_sessions(phase == Phase::Running, pause_ms, &sessions);
        let binds = entries.into_iter().enumerate().map(|(bind, entry)| {
            let (window_used, window_limit) = gate.window(bind);
            let draining = entry.state == State::Bound && phase != Phase::Running;
            let answers_us = entry.round_trips.sizes().p50_p95_p99();
            BindStatus {
                number: bind as u64 + 1,
                kind: BindKind::Transmitter,
                state: if draining { State::Draining } else { entry.state },
                host: self.host(),
                standby: false,
                peer: None,
                peer_system_id: None,
                since: entry.since,
                window_used,
                window_limit,
                last_error: entry.last_error,
                last_round_trip_us: entry.round_trip_us,
                answers_us,
                submitted: entry.submitted,
                sessions: entry.sessions,
            }
        });
        Status {
            state,
            pause_ms,
            binds: binds.collect(),
            counters: gate.counters,
            learned_per_second: gate.throttle.ceiling(now_ms),
            parts_per_second: gate.per_second(now_ms),
        }
    }
}

/// An hour, where a time is longer than makes sense.
const HOUR_MS: u64 = 3_600_000;
/// Mail servers are known by name; reports name an address, which is this where none is at hand.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl<T: Clone + Send + 'static> Link<T> {
    /// Starts the sessions as tasks. `T` is the caller's mark for each message it hands over. The receiver ends when all
    /// sessions have.
    pub fn start(settings: Settings, tasks: &Tasks, clock: Clock) -> (Self, mpsc::Receiver<Report<T>>) {
        let sessions = usize::from(settings.sessions.max(1));
        let window = usize::from(settings.window.max(1));
        let began = clock.now();
        let throttle = Throttle::new(settings.throttle_min_ms, settings.throttle_max_ms);
        let tracker = TaskTracker::new();
        tracker.close();
        let shared = Arc::new(Shared {
            gate: Gate::new(&vec![false; sessions], settings.throughput, throttle),
            board: Mutex::new((0..sessions).map(|_| Entry::new(began)).collect()),
            phase: watch::Sender::new(Phase::Running),
            settings,
            clock,
            tracker,
        });
        let (reports, receiver) = mpsc::channel(REPORTS_MAX);
        let mut lines = Vec::with_capacity(sessions);
        for bind in 0..sessions {
            let (line, queue) = mpsc::channel(window);
            lines.push(line);
            let alive = shared.tracker.token();
            let worker = Worker {
                shared: Arc::clone(&shared),
                bind,
                reports: reports.clone(),
                queue,
                session: None,
                mails: 0,
            };
            tasks.spawn("mail-session", async move {
                worker.run(window).await;
                drop(alive);
            });
        }
        tasks.spawn("mail-link", watch_over(Arc::clone(&shared), reports, tasks.stopping()));
        (Self { owned: Arc::new(Owned { shared, lines }) }, receiver)
    }

    /// As [`crate::Link::places`].
    ///
    /// # Errors
    /// [`Stopped`]: drained or stopped, for good.
    pub async fn places(&self, max: usize) -> Result<Places, Stopped> {
        self.owned.shared.gate.places(max).await
    }

    /// As [`crate::Link::places_now`].
    pub fn places_now(&self, max: usize) -> Option<Places> {
        self.owned.shared.gate.places_now(max)
    }

    /// As [`crate::Link::submit`].
    ///
    /// # Errors
    /// The tag, where nothing can be handed over. It surely did not leave.
    pub fn submit(&self, places: &mut Places, named: (&str, u8), sm: &SmRef<'_>, tag: T) -> Result<(), T> {
        let shared = &self.owned.shared;
        let Some(turn) = places.take(&shared.gate) else { return Err(tag) };
        let work =
            Work { turn, letter: Letter::of(sm), name: named_so(named), tag, taken_ms: shared.gate.now_ms() };
        self.owned.lines[turn.bind].try_send(work).map_err(|refused| {
            shared.gate.state().undo(turn);
            refused.into_inner().tag
        })
    }

    /// As [`crate::Link::status`].
    pub fn status(&self) -> Status {
        self.owned.shared.status()
    }

    /// As [`crate::Link::round_trips`].
    pub fn round_trips(&self) -> Sizes {
        let mut all = Sizes::default();
        self.owned.shared.board().iter().for_each(|entry| all.add(&entry.round_trips.sizes()));
        all
    }

    /// As [`crate::Link::drain`].
    pub fn drain(&self) {
        self.owned.shared.drain();
    }

    /// As [`crate::Link::stop`].
    pub async fn stop(&self, within: Duration) {
        let shared = &self.owned.shared;
        let by = Instant::now() + within.min(Duration::from_millis(HOUR_MS));
        shared.stop_by(by);
        let _ = tokio::time::timeout_at(by + Duration::from_secs(1), shared.tracker.wait()).await;
    }
}

async fn watch_over<T>(
    shared: Arc<Shared>,
    reports: mpsc::Sender<Report<T>>,
    program_stops: CancellationToken,
) {
    let mut phase = shared.phase.subscribe();
    tokio::select! {
        () = program_stops.cancelled() => shared.stop_by(shared.unhurried()),
        () = reports.closed() => shared.stop_by(shared.unhurried()),
        _ = phase.wait_for(|phase| matches!(phase, Phase::Stopping { .. })) => {}
    }
}

/// One session and what waits for it.
struct Worker<T> {
    shared: Arc<Shared>,
    bind: usize,
    reports: mpsc::Sender<Report<T>>,
    queue: mpsc::Receiver<Work<T>>,
    session: Option<Session>,
    mails: u32,
}

/// What became of a mail.
struct Sent {
    answer: Answer,
    /// The server cannot be reached.
    down: Option<String>,
}

impl<T: Clone + Send + 'static> Worker<T> {
    /// Keeps a session as far as it is needed, until the connection is to stop.
    async fn run(mut self, window: usize) {
        let settings = self.shared.settings.clone();
        let mut phase = self.shared.phase.subscribe();
        let mut backoff = Backoff::new(settings.reconnect_min_ms, settings.reconnect_max_ms);
        let mut told = String::new();
        loop {
            self.shared.note(self.bind, State::Binding, None);
            let opened = tokio::select! {
                biased;
                () = stopping(&mut phase) => break,
                opened = settings.server.open() => opened,
            };
            let lost = match opened {
                Ok(session) => {
                    told.clear();
                    backoff.reset();
                    self.keep(session);
                    self.shared.gate.state().open(self.bind, window);
                    self.shared.gate.ring();
                    self.shared.note(self.bind, State::Bound, None);
                    self.shared.gate.state().counters.binds += 1;
                    self.shared.counted(self.bind, |entry| entry.sessions += 1);
                    self.tell(Report::Bound { kind: BindKind::Transmitter, peer: self.shared.host() }).await;
                    let lost = self.serve(&mut phase).await;
                    self.give_up_waiting().await;
                    self.shared.gate.state().close(self.bind);
                    match lost {
                        Some(why) => why,
                        None => break,
                    }
                }
                Err(failure) => {
                    if failure.is_lasting() {
                        backoff.skip_to_longest();
                    }
                    format!("no session: {}", failure.why)
                }
            };
            self.shared.note(self.bind, State::Down, Some(&lost));
            if told != lost {
                tracing::warn!(connection = %settings.name, protocol = "mail", why = %lost, "no session");
                told.clone_from(&lost);
                self.tell(Report::Lost { kind: BindKind::Transmitter, peer: None, why: lost }).await;
            }
            let pause = Duration::from_millis(backoff.next(rand::random()));
            tokio::select! {
                biased;
                () = stopping(&mut phase) => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.queue.close();
        self.give_up_waiting().await;
        if let Some(session) = self.session.take() {
            session.quit().await;
        }
        self.shared.note(self.bind, State::Stopped, None);
    }

    fn keep(&mut self, session: Session) {
        self.session = Some(session);
        self.mails = 0;
    }

    /// Hands over what comes, until the server cannot be reached (why) or the connection is to stop.
    async fn serve(&mut self, phase: &mut watch::Receiver<Phase>) -> Option<String> {
        let idle = Duration::from_millis(self.shared.settings.idle_ms.max(1));
        loop {
            let work = tokio::select! {
                biased;
                work = self.queue.recv() => work?,
                // All that was taken before is answered before.
                () = stopping(phase) => return None,
                () = tokio::time::sleep(idle), if self.session.is_some() => {
                    if let Some(session) = self.session.take() {
                        session.quit().await;
                    }
                    continue;
                }
            };
            let began = Instant::now();
            let sent = self.send((&work.letter, &work.name), phase).await;
            let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.shared.counted(self.bind, |entry| {
                entry.submitted += 1;
                entry.round_trip_us = Some(took);
                entry.round_trips.record(took);
            });
            self.answer(work, sent.answer).await;
            if sent.down.is_some() {
                return sent.down;
            }
        }
    }

    async fn send(&mut self, (letter, called): (&Letter, &str), phase: &mut watch::Receiver<Phase>) -> Sent {
        let settings = &self.shared.settings;
        let name: u64 = rand::random();
        let to = filled(&settings.to, letter);
        let content = match letter.written(settings, &to, called, self.shared.clock.now()) {
            Ok(content) => content,
            Err(why) => return Sent { answer: Answer::Unfit(why), down: None },
        };
        let path = settings.return_path.as_ref().map(|path| path.of(name));
        let envelope = Envelope {
            from: path.unwrap_or_else(|| settings.from.clone()),
            to: vec![to],
            notify: settings.receipts == Receipts::Notification,
        };
        let left = AtomicBool::new(false);
        let too_late = async {
            let by = match phase
                .wait_for(|phase| matches!(phase, Phase::Stopping { .. }))
                .await
                .map(|phase| *phase)
            {
                Ok(Phase::Stopping { by }) => by,
                _ => Instant::now(),
            };
            tokio::time::sleep_until(by).await;
        };
        let sent = tokio::select! {
            sent = hand_over(&self.shared, &mut self.session, &mut self.mails, (&envelope, &content), &left) => sent,
            () = too_late => Err(Failure {
                code: None,
                why: "stopped".to_owned(),
                unknown: left.load(Ordering::Acquire),
                timed_out: false,
            }),
        };
        match sent {
            Ok(()) => Sent { answer: Answer::Accepted { message_id: shown(name) }, down: None },
            Err(failure) => {
                // Only what cannot be opened is down; a server that refuses a mail is there.
                let down = self.session.is_none() && failure.code.is_none() && !failure.unknown;
                Sent {
                    answer: answer(&failure).read_by(&settings.classes),
                    down: down.then_some(failure.why),
                }
            }
        }
    }

    /// Counts an answer and tells it, and the receipt that it is where there will be no other.
    async fn answer(&self, work: Work<T>, answer: Answer) {
        let now_ms = self.shared.gate.now_ms();
        let receipt = match &answer {
            Answer::Accepted { message_id } if self.shared.settings.receipts == Receipts::Accepted => {
                Some(Receipt {
                    phone: work.letter.to.clone(),
                    sender: work.letter.from.clone(),
                    message_id: message_id.clone(),
                    state: MessageState::Delivered,
                    error: None,
                })
            }
            _ => None,
        };
        {
            let mut gate = self.shared.gate.state();
            gate.settle(work.turn, |counters| match &answer {
                Answer::Accepted { .. } => counters.accepted += 1,
                Answer::Refused { .. } => counters.refused += 1,
                Answer::NoAnswer(NoAnswer::TimedOut) => counters.timed_out += 1,
                Answer::NoAnswer(_) | Answer::NotSent(_) => counters.lost += 1,
                Answer::Unfit(_) => counters.unfit += 1,
            });
            match &answer {
                Answer::Accepted { .. } => gate.throttle.accepted(work.taken_ms, now_ms),
                Answer::Refused { class: Class::Throttled, .. } => {
                    gate.counters.throttled += 1;
                    gate.throttle.too_fast(work.taken_ms, now_ms, rand::random());
                }
                _ => {}
            }
        }
        self.shared.gate.ring();
        let at_ms = self.shared.clock.now().unix_ms();
        self.tell(Report::Answered { tag: work.tag, answer, way: None, at_ms }).await;
        if let Some(receipt) = receipt {
            // Nobody waits for a verdict on it.
            let reply = Reply::new(Outlet::new(1), Box::new(|_, _| ()));
            let content = Content::Receipt(receipt);
            self.tell(Report::Delivered(Delivered { content, peer: NOWHERE, at_ms, reply })).await;
        }
    }

    /// What waits will not leave here: it is told so, and goes elsewhere or waits for its next try.
    async fn give_up_waiting(&mut self) {
        while let Ok(work) = self.queue.try_recv() {
            self.answer(work, Answer::NotSent("there is no session".to_owned())).await;
        }
    }

    async fn tell(&self, report: Report<T>) {
        // Nobody listens only when the connection is over.
        drop(self.reports.send(report).await);
    }
}

/// Hands over one mail, on the session that is open or on a new one. A session that was kept may have been closed by the
/// server meanwhile: then once more on a new one, for nothing of the mail had left.
async fn hand_over(
    shared: &Shared,
    kept: &mut Option<Session>,
    mails: &mut u32,
    (envelope, content): (&Envelope, &[u8]),
    left: &AtomicBool,
) -> Result<(), Failure> {
    if *mails >= MAILS_PER_SESSION_MAX
        && let Some(session) = kept.take()
    {
        session.quit().await;
    }
    loop {
        let mut fresh = false;
        let mut session = match kept.take() {
            Some(session) => session,
            None => {
                (fresh, *mails) = (true, 0);
                // Whatever the server says before a mail begins is not about the mail.
                let opened = shared.settings.server.open().await;
                opened.map_err(|failure| Failure { code: None, ..failure })?
            }
        };
        let sent = session.send(envelope, content, || left.store(true, Ordering::Release)).await;
        *mails += 1;
        let usable = session.is_usable();
        if usable {
            *kept = Some(session);
        }
        match sent {
            Err(_) if !usable && !fresh && !left.load(Ordering::Acquire) => {}
            sent => return sent,
        }
    }
}

fn answer(failure: &Failure) -> Answer {
    match failure.code {
        Some(code) => Answer::refused(Refusal::Mail(code)),
        None if failure.unknown && failure.timed_out => Answer::NoAnswer(NoAnswer::TimedOut),
        None if failure.unknown => Answer::NoAnswer(NoAnswer::BindLost),
        None => Answer::NotSent(failure.why.clone()),
    }
}

async fn stopping(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| matches!(phase, Phase::Stopping { .. })).await;
}
