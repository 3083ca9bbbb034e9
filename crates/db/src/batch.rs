//! Group commit: many callers' single writes become one statement and one commit.
//!
//! Batches are fair. What waits stands in one line for each owner, and a batch takes a few from each in turn, so that
//! who leaves ten thousand items holds up nobody who leaves one. What is urgent goes first.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, TryAcquireError, oneshot};
use tokio::time::Instant;
use types::{Code, Error};

/// How much a [`Batcher`] holds.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// The most items in one batch.
    pub items_max: usize,
    /// How long the first item of a batch waits for company, where a quarter of a batch has not gathered yet. While a
    /// batch is being written the next one gathers anyway, so this matters at low load only.
    pub linger: Duration,
    /// The most items that wait for their batch; more are refused. One owner alone gets half of the places, two a third
    /// each, and so on: there is always room for one more.
    pub waiting_max: usize,
}

/// The queue in front of a batch is full, or its writer has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Too many wait already.
    Full,
    /// The writer has stopped.
    Stopped,
}

impl From<Refused> for Error {
    #[track_caller]
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => {
                Error::new(Code::QueueFull, "more writes are waiting than the bound allows").retry_after_s(1)
            }
            Refused::Stopped => Error::new(Code::ShuttingDown, "the server is stopping"),
        }
    }
}

/// Whose an item is, and how soon it is wanted.
pub trait Fair {
    /// Its owner; each has a line of its own.
    fn owner(&self) -> i64;

    /// Whether it goes before what is not urgent.
    fn urgent(&self) -> bool;

    /// Whether a person waits for it: batches stay short while such come, so that none of them waits for a long one.
    fn hurried(&self) -> bool;
}

/// Writes batches.
pub trait WriteBatch {
    /// What callers bring.
    type Item: Fair + Send;
    /// What they hear.
    type Result: Send;

    /// Writes one batch and answers one result an item, in their order. A caller hears its result when this returns,
    /// so it must not return before its commit.
    fn write(&mut self, items: Vec<Self::Item>) -> impl Future<Output = Vec<Self::Result>> + Send;
}

struct Item<T, R> {
    value: T,
    reply: Option<oneshot::Sender<R>>,
}

/// The owners' lines.
struct Lines<T, R> {
    by_owner: HashMap<i64, VecDeque<Item<T, R>>>,
    /// Owners with something in their line, in the order of their turns.
    turns: VecDeque<i64>,
}

/// What an owner puts into a batch at its turn.
const TURN: usize = 16;

impl<T: Fair, R> Lines<T, R> {
    fn new() -> Self {
        Self { by_owner: HashMap::new(), turns: VecDeque::new() }
    }

    fn put(&mut self, item: Item<T, R>) {
        let owner = item.value.owner();
        let line = self.by_owner.entry(owner).or_default();
        if line.is_empty() {
            self.turns.push_back(owner);
        }
        line.push_back(item);
    }

    /// Takes up to so many, a few from each owner in turn.
    fn take(&mut self, max: usize, into: &mut Vec<Item<T, R>>) {
        let full = into.len() + max;
        while into.len() < full
            && let Some(owner) = self.turns.pop_front()
        {
            let Some(line) = self.by_owner.get_mut(&owner) else { continue };
            into.extend(line.drain(..TURN.min(full - into.len()).min(line.len())));
            if line.is_empty() {
                self.by_owner.remove(&owner);
            } else {
                self.turns.push_back(owner);
            }
        }
    }

    fn of(&self, owner: i64) -> usize {
        self.by_owner.get(&owner).map_or(0, VecDeque::len)
    }
}

struct Waiting<T, R> {
    urgent: Lines<T, R>,
    usual: Lines<T, R>,
    closed: bool,
}

impl<T: Fair, R> Waiting<T, R> {
    fn take(&mut self, max: usize, into: &mut Vec<Item<T, R>>) {
        let begin = into.len();
        // What is not urgent is not forgotten for it.
        let urgent = if self.usual.turns.is_empty() { max } else { max.div_ceil(2) };
        self.urgent.take(urgent, into);
        let room = max - (into.len() - begin);
        self.usual.take(room, into);
    }

    fn is_empty(&self) -> bool {
        self.urgent.turns.is_empty() && self.usual.turns.is_empty()
    }
}

struct Shared<T, R> {
    waiting: Mutex<Waiting<T, R>>,
    filled: Notify,
    places: Semaphore,
    waiting_max: usize,
}

impl<T: Fair, R> Shared<T, R> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<T, R>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item into its line; its place has been taken already.
    fn put(&self, item: Item<T, R>) -> Result<(), Refused> {
        let mut waiting = self.waiting();
        if waiting.closed {
            return Err(Refused::Stopped);
        }
        let lines = if item.value.urgent() { &mut waiting.urgent } else { &mut waiting.usual };
        lines.put(item);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Whether an owner has its share of the places already.
    fn has_its_share(&self, owner: i64) -> bool {
        let waiting = self.waiting();
        let owners = waiting.urgent.turns.len() + waiting.usual.turns.len();
        waiting.urgent.of(owner) + waiting.usual.of(owner) > self.waiting_max / (owners + 1)
    }

    /// Takes nothing more.
    fn close(&self) {
        self.waiting().closed = true;
        self.places.close();
        self.filled.notify_one();
    }
}

/// The entrance to a batch writer. Cloning shares it; the writer stops when all clones are gone.
pub struct Batcher<T: Fair, R> {
    shared: Arc<Entrance<T, R>>,
}

impl<T: Fair, R> Clone for Batcher<T, R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

/// Closes when the last clone goes.
struct Entrance<T: Fair, R>(Arc<Shared<T, R>>);

impl<T: Fair, R> Deref for Entrance<T, R> {
    type Target = Shared<T, R>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: Fair, R> Drop for Entrance<T, R> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T: Fair + Send + 'static, R: Send + 'static> Batcher<T, R> {
    /// A batcher and the loop that writes its batches, which the caller spawns. When `stop` comes, nothing more is
    /// taken, what waits is written, and the loop ends.
    pub fn new(
        limits: BatchLimits,
        writer: impl WriteBatch<Item = T, Result = R> + Send + 'static,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let waiting = Waiting { urgent: Lines::new(), usual: Lines::new(), closed: false };
        let shared = Arc::new(Shared {
            waiting: Mutex::new(waiting),
            filled: Notify::new(),
            places: Semaphore::new(limits.waiting_max),
            waiting_max: limits.waiting_max,
        });
        let open = Open(shared.clone());
        (Self { shared: Arc::new(Entrance(shared)) }, run(limits, open, writer, stop))
    }

    /// Writes one item and gives its result, after the commit.
    ///
    /// # Errors
    /// [`Refused`] when it never came into a batch: nothing happened.
    pub async fn write(&self, value: T) -> Result<R, Refused> {
        self.enqueue(value)?.await.map_err(|_| Refused::Stopped)
    }

    /// As [`Batcher::write`], but gives the result's receiver at once, so that one task can have many in flight.
    ///
    /// # Errors
    /// [`Refused`] when it never came into a batch.
    pub fn enqueue(&self, value: T) -> Result<oneshot::Receiver<R>, Refused> {
        let place = self.shared.places.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits => Refused::Full,
            TryAcquireError::Closed => Refused::Stopped,
        })?;
        if self.shared.has_its_share(value.owner()) {
            return Err(Refused::Full);
        }
        let (reply, result) = oneshot::channel();
        self.shared.put(Item { value, reply: Some(reply) })?;
        place.forget();
        Ok(result)
    }

    /// Waits for a place in the queue, then leaves the item there; nobody hears the result.
    ///
    /// # Errors
    /// [`Refused::Stopped`] when there is no writer any more.
    pub async fn send(&self, value: T) -> Result<(), Refused> {
        let place = self.shared.places.acquire().await.map_err(|_| Refused::Stopped)?;
        self.shared.put(Item { value, reply: None })?;
        place.forget();
        Ok(())
    }

    /// Items that wait for their batch.
    pub fn waiting(&self) -> usize {
        self.shared.waiting_max.saturating_sub(self.shared.places.available_permits())
    }
}

/// The writer's end: when it goes, by whatever way, callers hear that nothing will be written any more.
struct Open<T: Fair, R>(Arc<Shared<T, R>>);

impl<T: Fair, R> Drop for Open<T, R> {
    fn drop(&mut self) {
        self.0.close();
        let mut left = Vec::new();
        self.0.waiting().take(usize::MAX / 4, &mut left);
    }
}

/// For how long batches stay short after the last item that was hurried.
const HURRY: Duration = Duration::from_secs(1);
/// The part of a batch's bound that a short one has.
const SHORT: usize = 4;
/// The part of a batch's bound that does not wait for company.
const WORTH_A_COMMIT: usize = 4;

async fn run<W: WriteBatch>(
    limits: BatchLimits,
    open: Open<W::Item, W::Result>,
    mut writer: W,
    stop: impl Future<Output = ()>,
) {
    let shared = &open.0;
    let mut stop = std::pin::pin!(stop);
    let mut gathered: Vec<Item<_, _>> = Vec::with_capacity(limits.items_max);
    let mut hurried: Option<Instant> = None;
    let take = |gathered: &mut Vec<_>, max: usize| {
        let before = gathered.len();
        shared.waiting().take(max, gathered);
        shared.places.add_permits(gathered.len() - before);
    };
    loop {
        let (empty, closed) = {
            let waiting = shared.waiting();
            (waiting.is_empty(), waiting.closed)
        };
        if empty && closed {
            return;
        }
        if empty {
            tokio::select! {
                () = shared.filled.notified() => {}
                () = &mut stop => shared.close(),
            }
            continue;
        }
        let hurry = hurried.is_some_and(|last| last.elapsed() < HURRY);
        let items_max = if hurry { limits.items_max.div_ceil(SHORT) } else { limits.items_max };
        take(&mut gathered, items_max);
        // Enough came while the last batch was written: it is worth its commit already.
        if gathered.len() < items_max / WORTH_A_COMMIT && !limits.linger.is_zero() && !closed {
            tokio::time::sleep(limits.linger).await;
            let room = items_max - gathered.len();
            take(&mut gathered, room);
        }
        if gathered.iter().any(|item| item.value.hurried()) {
            hurried = Some(Instant::now());
        }
        let (values, replies): (Vec<_>, Vec<_>) =
            gathered.drain(..).map(|item| (item.value, item.reply)).unzip();
        let results = writer.write(values).await;
        debug_assert_eq!(results.len(), replies.len(), "one result an item");
        for (reply, result) in replies.into_iter().zip(results) {
            if let Some(reply) = reply {
                // A caller that went away does not undo its write.
                drop(reply.send(result));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Its owner is its last digit; what is above a million is urgent.
    impl Fair for u32 {
        fn owner(&self) -> i64 {
            i64::from(self % 10)
        }

        fn urgent(&self) -> bool {
            *self > 1_000_000
        }

        fn hurried(&self) -> bool {
            *self > 2_000_000
        }
    }

    /// Doubles its items and notes how large its batches were.
    struct Double {
        sizes: mpsc::UnboundedSender<usize>,
    }

    impl WriteBatch for Double {
        type Item = u32;
        type Result = u32;

        async fn write(&mut self, items: Vec<u32>) -> Vec<u32> {
            self.sizes.send(items.len()).unwrap();
            items.into_iter().map(|n| n * 2).collect()
        }
    }

    #[tokio::test]
    async fn callers_share_batches_and_each_hears_its_own_result() {
        let limits = BatchLimits { items_max: 10, linger: Duration::from_millis(5), waiting_max: 100 };
        let (sizes, mut seen) = mpsc::unbounded_channel();
        let (batcher, work) = Batcher::new(limits, Double { sizes }, std::future::pending());
        let callers = async move {
            let answers = futures::future::join_all((0..25).map(|n| batcher.write(n))).await;
            answers.into_iter().map(Result::unwrap).collect::<Vec<_>>()
        };
        let (answers, ()) = tokio::join!(callers, work);
        assert_eq!(answers, (0..25).map(|n| n * 2).collect::<Vec<_>>());
        let mut batches = Vec::new();
        while let Ok(size) = seen.try_recv() {
            batches.push(size);
        }
        assert_eq!(batches.iter().sum::<usize>(), 25);
        assert!(batches.iter().all(|size| *size <= 10) && batches.len() <= 4, "{batches:?}");
    }

    #[tokio::test]
    async fn a_stop_writes_what_waits_and_takes_nothing_more() {
        let limits = BatchLimits { items_max: 2, linger: Duration::ZERO, waiting_max: 10 };
        let (sizes, mut seen) = mpsc::unbounded_channel();
        let (batcher, work) = Batcher::new(limits, Double { sizes }, async {});
        let answers: Vec<_> = (0..5).map(|n| batcher.enqueue(n).unwrap()).collect();
        work.await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.await.unwrap() as usize, n * 2);
        }
        assert_eq!(batcher.enqueue(9).unwrap_err(), Refused::Stopped);
        assert!(seen.try_recv().is_ok());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_stopped_writer_says_so() {
        let limits = BatchLimits { items_max: 1, linger: Duration::ZERO, waiting_max: 2 };
        let (sizes, _seen) = mpsc::unbounded_channel();
        let (batcher, work) = Batcher::new(limits, Double { sizes }, std::future::pending());
        let _first = batcher.enqueue(1).unwrap();
        let _second = batcher.enqueue(2).unwrap();
        assert_eq!(batcher.enqueue(3).unwrap_err(), Refused::Full);
        assert_eq!(batcher.waiting(), 2);
        drop(work);
        assert_eq!(batcher.enqueue(3).unwrap_err(), Refused::Stopped);
    }

    #[tokio::test]
    async fn who_leaves_much_holds_up_nobody() {
        let limits = BatchLimits { items_max: 40, linger: Duration::ZERO, waiting_max: 1_000 };
        let (batches, mut seen) = mpsc::unbounded_channel();
        let (batcher, work) = Batcher::new(limits, Note { batches }, async {});
        let mut answers = Vec::new();
        let mut refused = 0;
        for n in 0..600 {
            match batcher.enqueue(n * 10 + 1) {
                Ok(answer) => answers.push(answer),
                Err(refusal) => {
                    assert_eq!(refusal, Refused::Full);
                    refused += 1;
                }
            }
        }
        assert_eq!(refused, 99, "one owner alone has half of the places");
        for n in 0..20 {
            answers.push(batcher.enqueue(n * 10 + 2).unwrap());
        }
        answers.push(batcher.enqueue(1_000_003).unwrap());
        work.await;
        let first: Vec<u32> = seen.recv().await.unwrap();
        assert_eq!((first.len(), first[0]), (40, 1_000_003), "what is urgent goes first");
        assert!(first.iter().filter(|n| **n % 10 == 2).count() >= 16, "{first:?}");
        let mut all = first;
        while let Some(batch) = seen.recv().await {
            all.extend(batch);
        }
        let of_one: Vec<_> = all.iter().filter(|n| **n % 10 == 1).collect();
        assert!(
            of_one.is_sorted() && all.len() == 501 + 20 + 1,
            "each owner's order stays, and all are written"
        );
    }

    #[tokio::test]
    async fn batches_are_short_while_somebody_waits() {
        let limits = BatchLimits { items_max: 40, linger: Duration::ZERO, waiting_max: 1_000 };
        let (batches, mut seen) = mpsc::unbounded_channel();
        let (batcher, work) = Batcher::new(limits, Note { batches }, async {});
        let answers: Vec<_> = (0..100).map(|n| batcher.enqueue(n).unwrap()).collect();
        let hurried = batcher.enqueue(2_000_001).unwrap();
        work.await;
        let mut sizes = Vec::new();
        while let Some(batch) = seen.recv().await {
            sizes.push(batch.len());
        }
        assert_eq!((sizes[0], sizes[1]), (40, 10), "{sizes:?}");
        assert_eq!(sizes.iter().sum::<usize>(), answers.len() + 1);
        drop(hurried);
    }

    /// Notes its batches.
    struct Note {
        batches: mpsc::UnboundedSender<Vec<u32>>,
    }

    impl WriteBatch for Note {
        type Item = u32;
        type Result = ();

        async fn write(&mut self, items: Vec<u32>) -> Vec<()> {
            let results = vec![(); items.len()];
            self.batches.send(items).unwrap();
            results
        }
    }
}
