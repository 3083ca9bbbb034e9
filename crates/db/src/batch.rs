//! Group commit: many callers' single writes become one statement and one commit.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use types::{Code, Error};

/// How much a [`Batcher`] holds.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// The most items in one batch.
    pub items_max: usize,
    /// How long the first item of a batch waits for company. While a batch is being written the next one gathers
    /// anyway, so this matters at low load only.
    pub linger: Duration,
    /// The most items that wait for their batch; more are refused.
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

/// Writes batches.
pub trait WriteBatch {
    /// What callers bring.
    type Item: Send;
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

/// The entrance to a batch writer. Cloning shares it; the writer stops when all clones are gone.
pub struct Batcher<T, R> {
    queue: mpsc::Sender<Item<T, R>>,
}

impl<T, R> Clone for Batcher<T, R> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    /// A batcher and the loop that writes its batches, which the caller spawns. When `stop` comes, nothing more is
    /// taken, what waits is written, and the loop ends.
    pub fn new(
        limits: BatchLimits,
        writer: impl WriteBatch<Item = T, Result = R> + Send + 'static,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, waiting) = mpsc::channel(limits.waiting_max);
        (Self { queue }, run(limits, waiting, writer, stop))
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
        let (reply, result) = oneshot::channel();
        self.queue.try_send(Item { value, reply: Some(reply) }).map_err(|error| refused(&error))?;
        Ok(result)
    }

    /// Waits for a place in the queue, then leaves the item there; nobody hears the result.
    ///
    /// # Errors
    /// [`Refused::Stopped`] when there is no writer any more.
    pub async fn send(&self, value: T) -> Result<(), Refused> {
        self.queue.send(Item { value, reply: None }).await.map_err(|_| Refused::Stopped)
    }

    /// Items that wait for their batch.
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}

fn refused<T>(error: &mpsc::error::TrySendError<T>) -> Refused {
    match error {
        mpsc::error::TrySendError::Full(_) => Refused::Full,
        mpsc::error::TrySendError::Closed(_) => Refused::Stopped,
    }
}

async fn run<W: WriteBatch>(
    limits: BatchLimits,
    mut waiting: mpsc::Receiver<Item<W::Item, W::Result>>,
    mut writer: W,
    stop: impl Future<Output = ()>,
) {
    let mut stop = std::pin::pin!(stop);
    let mut stopping = false;
    let mut gathered = Vec::with_capacity(limits.items_max);
    loop {
        let received = tokio::select! {
            biased;
            received = waiting.recv_many(&mut gathered, limits.items_max) => received,
            () = &mut stop, if !stopping => {
                stopping = true;
                waiting.close();
                continue;
            }
        };
        if received == 0 {
            return;
        }
        if gathered.len() < limits.items_max && !limits.linger.is_zero() {
            tokio::time::sleep(limits.linger).await;
            let room = limits.items_max - gathered.len();
            if !waiting.is_empty() {
                waiting.recv_many(&mut gathered, room).await;
            }
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
    use super::*;

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
}
