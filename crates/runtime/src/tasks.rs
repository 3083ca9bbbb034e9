//! Tasks that stop together.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The program's tasks. Stopping has two steps: `stopping` tells the doors to close and the work to drain; what still
/// runs when the time given is over is left behind, its promises kept by the database.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
}

impl Tasks {
    /// No task yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. A panic in it is logged with its name and ends that task alone.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns; everything else comes here")]
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let watched = async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                metrics::counter!("switchboard_task_panics_total", "task" => name).increment(1);
                tracing::error!(task = name, "a task panicked and ended; the rest goes on");
            }
        };
        drop(tokio::spawn(self.tracker.track_future(watched)));
    }

    /// Done when the program begins to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Tells everyone to stop and waits, at most so long. Gives whether all came to their end.
    pub async fn stop(&self, wait: Duration) -> bool {
        self.stopping.cancel();
        self.tracker.close();
        tokio::time::timeout(wait, self.tracker.wait()).await.is_ok()
    }
}
