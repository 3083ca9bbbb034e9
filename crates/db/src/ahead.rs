//! A transaction that runs ahead of its caller.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{self, JoinHandle};

use crate::failure::Result;
use crate::rows::{Rows, Shape};
use crate::statement::Open;
use crate::value::Arg;

/// A statement for a batch of rows.
pub(crate) type Left = (Arc<Shape>, Vec<Arg>, Rows);

/// Statements that wait for the engine; whoever leaves more waits for a place.
const WAITING_MAX: usize = 16;

/// A thread that has the transaction and runs what is left to it, in order, until something fails.
pub(crate) struct Ahead {
    left: mpsc::Sender<Left>,
    thread: JoinHandle<Result<Open>>,
}

impl Ahead {
    /// On a thread of its own: a task would wait for its turn behind the caller, which goes on without a pause.
    pub(crate) fn start(open: Open) -> Self {
        let (left, work) = mpsc::channel(WAITING_MAX);
        let handle = Handle::current();
        Self { left, thread: task::spawn_blocking(move || handle.block_on(run(open, work))) }
    }

    /// Leaves a statement; false when one before it has failed.
    pub(crate) async fn leave(&self, statement: Left) -> bool {
        self.left.send(statement).await.is_ok()
    }

    /// Waits until everything has been run and gives the transaction back.
    pub(crate) async fn join(self) -> Result<Open> {
        drop(self.left);
        self.thread.await.map_err(|error| sqlx::Error::Protocol(error.to_string()))?
    }
}

/// When the caller drops its transaction, nothing more comes, and dropping the engine's undoes it.
async fn run(mut open: Open, mut work: mpsc::Receiver<Left>) -> Result<Open> {
    while let Some((shape, args, rows)) = work.recv().await {
        open.execute_rows(&shape, args, rows).await?;
    }
    Ok(open)
}
