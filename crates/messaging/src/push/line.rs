//! One account's line: what its sessions are given next.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use types::Timestamp;

use super::{Limits, Push};

/// A push with how often it was tried.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    /// What is to be given; shared, so that whoever writes it needs no copy.
    pub(crate) push: Arc<Push>,
    /// Temporary refusals and silences so far.
    pub(crate) attempts: u32,
}

impl Waiting {
    fn new(push: Push) -> Self {
        Self { push: Arc::new(push), attempts: 0 }
    }
}

/// What a session that asks for work is told.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Give these. None of them has expired.
    Give(Vec<Waiting>),
    /// These have expired: let the journal remove them.
    Expired(Vec<i64>),
    /// Read the next page of the table, the rows above this id; nobody else is told to.
    Page(i64),
    /// Nothing now; what was put off is due at that time.
    Nothing(Option<Timestamp>),
}

/// Counts what all lines hold.
#[derive(Debug)]
pub(super) struct Held {
    count: AtomicUsize,
    max: usize,
}

impl Held {
    pub(super) fn new(max: usize) -> Self {
        Self { count: AtomicUsize::new(0), max }
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> bool {
        self.count() >= self.max
    }

    fn changed(&self, before: usize, after: usize) {
        if after >= before {
            self.count.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.count.fetch_sub(before - after, Ordering::Relaxed);
        }
    }
}

/// The line. Sessions that wait for it are woken in the order they came, one for each share there is.
#[derive(Debug)]
pub(super) struct Line {
    state: Mutex<State>,
    filled: Notify,
    limits: Arc<Limits>,
}

#[derive(Debug)]
struct State {
    /// Ready to be given, by id.
    ready: BTreeMap<i64, Waiting>,
    /// Put off until the time that stands first.
    later: BTreeMap<(i64, i64), Waiting>,
    /// Sessions that take from it.
    receivers: usize,
    /// Every row of the table up to this id is or was in memory.
    read_to: i64,
    /// The table may hold rows above `read_to`. Then what is put stays there, so that the order holds.
    behind: bool,
    /// A session is reading the next page.
    reading: bool,
    /// Put while a page is being read: it may, or may not, be in that page.
    meanwhile: BTreeMap<i64, Waiting>,
    /// More came meanwhile than can be held.
    missed: bool,
}

/// A guard that keeps the count of all lines right, whatever is done to this one.
struct Open<'a> {
    state: MutexGuard<'a, State>,
    before: usize,
    limits: &'a Limits,
}

impl State {
    fn held(&self) -> usize {
        self.ready.len() + self.later.len() + self.meanwhile.len()
    }
}

impl std::ops::Deref for Open<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        &self.state
    }
}

impl std::ops::DerefMut for Open<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.limits.total.changed(self.before, self.state.held());
    }
}

/// A page may come for a line that nobody uses any more; what it held then counts no longer.
impl Drop for Line {
    fn drop(&mut self) {
        let held = self.state.get_mut().unwrap_or_else(PoisonError::into_inner).held();
        self.limits.total.changed(held, 0);
    }
}

impl Line {
    /// An empty line that has not looked into the table.
    pub(super) fn new(limits: Arc<Limits>) -> Self {
        let state = State {
            ready: BTreeMap::new(),
            later: BTreeMap::new(),
            receivers: 0,
            read_to: 0,
            behind: true,
            reading: false,
            meanwhile: BTreeMap::new(),
            missed: false,
        };
        Self { state: Mutex::new(state), filled: Notify::new(), limits }
    }

    fn open(&self) -> Open<'_> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Open { before: state.held(), state, limits: &self.limits }
    }

    /// One more session takes from it.
    pub(super) fn join(&self) {
        self.open().receivers += 1;
    }

    /// A session has left; true when it was the last, and then nothing is held any more.
    pub(super) fn part(&self) -> bool {
        let mut state = self.open();
        state.receivers = state.receivers.saturating_sub(1);
        if state.receivers > 0 {
            drop(state);
            // The one that left may have been woken for work that the others must do.
            self.filled.notify_one();
            return false;
        }
        state.ready.clear();
        state.later.clear();
        state.meanwhile.clear();
        state.behind = true;
        state.read_to = 0;
        true
    }

    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Takes a committed push whose id is above all before.
    pub(super) fn put(&self, push: Push) {
        let mut state = self.open();
        let room = state.held() < self.limits.line_max && !self.limits.total.is_full();
        let (id, waiting) = (push.id, Waiting::new(push));
        if id <= state.read_to {
            // Committed, and read from the table before it came here.
            return;
        }
        if !state.behind && room {
            state.read_to = id;
            state.ready.insert(id, waiting);
        } else if !state.behind {
            state.behind = true;
        } else if state.reading && room && !state.missed {
            state.meanwhile.insert(id, waiting);
        } else {
            state.missed = true;
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Takes what is due, oldest first.
    pub(super) fn take(&self, max: usize, now: Timestamp) -> Taken {
        let mut state = self.open();
        while let Some(first) = state.later.first_entry().filter(|first| first.key().0 <= now.unix_ms()) {
            let waiting = first.remove();
            state.ready.insert(waiting.push.id, waiting);
        }
        let mut expired = Vec::new();
        while let Some(first) = state.ready.first_entry().filter(|first| first.get().push.expires_at <= now) {
            expired.push(first.remove().push.id);
        }
        if !expired.is_empty() {
            drop(state);
            self.filled.notify_one();
            return Taken::Expired(expired);
        }
        if state.ready.is_empty() {
            if state.behind && !state.reading {
                state.reading = true;
                // What was put until now is committed, so the page will show it.
                state.missed = false;
                state.meanwhile.clear();
                return Taken::Page(state.read_to);
            }
            let due = state.later.first_key_value().map(|((due, _), _)| Timestamp::from_unix_ms(*due));
            return Taken::Nothing(due);
        }
        // While others wait too, each gets its share; a session alone gets all it can have.
        let share = state.ready.len().div_ceil(state.receivers.max(1));
        let mut given = Vec::with_capacity(share.min(max));
        while given.len() < share.min(max) {
            match state.ready.first_entry() {
                Some(first) if first.get().push.expires_at > now => given.push(first.remove()),
                _ => break,
            }
        }
        let more = !state.ready.is_empty();
        drop(state);
        if more {
            self.filled.notify_one();
        }
        Taken::Give(given)
    }

    pub(super) fn give_back(&self, pushes: impl IntoIterator<Item = Waiting>) {
        self.open().ready.extend(pushes.into_iter().map(|waiting| (waiting.push.id, waiting)));
        self.filled.notify_one();
    }

    pub(super) fn retry(&self, mut waiting: Waiting, now: Timestamp) {
        let pause = self.limits.retry_min_ms.saturating_mul(1 << waiting.attempts.min(20));
        let pause = i64::try_from(pause.min(self.limits.retry_max_ms)).unwrap_or(i64::MAX);
        waiting.attempts = waiting.attempts.saturating_add(1);
        let due = now.plus_ms(pause).unix_ms();
        self.open().later.insert((due, waiting.push.id), waiting);
        // Whoever waits must learn of the new time.
        self.filled.notify_one();
    }

    /// Takes a page that was read; fewer rows than asked for means that there are no more.
    pub(super) fn fill(&self, page: Vec<Push>, rows: usize) {
        let mut state = self.open();
        state.reading = false;
        let last = page.len() < rows;
        state.read_to = page.last().map_or(state.read_to, |push| push.id.max(state.read_to));
        state.ready.extend(page.into_iter().map(|push| (push.id, Waiting::new(push))));
        let mut meanwhile = std::mem::take(&mut state.meanwhile);
        let missed = std::mem::take(&mut state.missed);
        if last {
            state.read_to =
                meanwhile.last_key_value().map_or(state.read_to, |(id, _)| state.read_to.max(*id));
            state.ready.append(&mut meanwhile);
            state.behind = missed;
        }
        drop(state);
        self.filled.notify_one();
    }

    /// The page could not be read; somebody else may try.
    pub(super) fn fill_failed(&self) {
        let mut state = self.open();
        state.reading = false;
        state.meanwhile.clear();
        state.missed = false;
    }
}
