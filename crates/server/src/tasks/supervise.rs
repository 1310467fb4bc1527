//! Tasks that must not end. A task that panics is started again. A task that keeps panicking makes the server not
//! ready.

use std::{sync::Arc, time::Duration};

use tokio::task::{AbortHandle, JoinHandle};

use crate::app::TaskHealth;

/// The pause before the first new start; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Runs the future that `start` returns, and starts another when it panics. It is done when a future ends by itself.
/// Aborting the handle ends the running one.
pub fn supervise<F>(
    health: Arc<TaskHealth>,
    name: &'static str,
    mut start: impl FnMut() -> F + Send + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            health.note_start(name);
            let task = tokio::spawn(start());
            let aborted_with_this = AbortOnDrop(task.abort_handle());
            let ended = task.await;
            drop(aborted_with_this);
            let Err(error) = ended else { return };
            let in_a_row = health.note_end(name);
            let pause = pause_after(in_a_row);
            tracing::error!(task = name, %error, in_a_row, pause_ms = pause.as_millis() as u64, "a background task failed: restarting it");
            tokio::time::sleep(pause).await;
        }
    })
}

fn pause_after(ends_in_a_row: u32) -> Duration {
    (FIRST_PAUSE * 2_u32.saturating_pow(ends_in_a_row.saturating_sub(1).min(16))).min(LONGEST_PAUSE)
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::app::task_health::RECOVERY;

    #[tokio::test(start_paused = true)]
    async fn task_that_panics_is_started_again_until_it_ends_by_itself() {
        let (health, starts) = (Arc::new(TaskHealth::default()), Arc::new(AtomicU32::new(0)));
        let counted = starts.clone();
        let task = supervise(health.clone(), "test", move || {
            let start = counted.fetch_add(1, Ordering::SeqCst);
            async move { assert!(start == 2, "as this test wants it") }
        });
        task.await.unwrap();
        assert_eq!(starts.load(Ordering::SeqCst), 3);
        assert_eq!(health.ends(), [("test", 2)]);
        assert!(health.failing().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn failing_task_is_reported_until_it_ran_for_a_minute() {
        let (health, starts) = (Arc::new(TaskHealth::default()), Arc::new(AtomicU32::new(0)));
        let task = supervise(health.clone(), "test", move || {
            let start = starts.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(start >= 3, "as this test wants it");
                std::future::pending().await
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(health.failing(), ["test"]);
        tokio::time::sleep(RECOVERY).await;
        assert!(health.failing().is_empty());
        task.abort();
    }

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let pauses = [1, 2, 3, 9, 10, u32::MAX].map(|ends| pause_after(ends).as_millis());
        assert_eq!(pauses, [100, 200, 400, 25_600, 30_000, 30_000]);
    }
}
