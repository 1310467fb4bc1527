//! How the background tasks of a server are: how often each has ended although it must not.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A task that has run for so long is well again.
pub(crate) const RECOVERY: Duration = Duration::from_secs(60);
/// Ends in a row from which on a task keeps ending.
const TOO_MANY: u32 = 3;

/// How the supervised tasks of a server are.
#[derive(Debug, Default)]
pub struct TaskHealth(Mutex<BTreeMap<&'static str, Ends>>);

#[derive(Clone, Copy, Debug)]
struct Ends {
    in_a_row: u32,
    in_all: u64,
    last_start: Instant,
}

impl TaskHealth {
    /// The tasks that keep ending.
    pub fn failing(&self) -> Vec<&'static str> {
        let tasks = self.lock();
        let failing =
            tasks.iter().filter(|(_, ends)| ends.in_a_row >= TOO_MANY && ends.last_start.elapsed() < RECOVERY);
        failing.map(|(name, _)| *name).collect()
    }

    /// How often each task has ended unexpectedly.
    pub fn ends(&self) -> Vec<(&'static str, u64)> {
        self.lock().iter().map(|(name, ends)| (*name, ends.in_all)).collect()
    }

    pub(crate) fn note_start(&self, name: &'static str) {
        let now = Instant::now();
        let mut tasks = self.lock();
        tasks.entry(name).or_insert(Ends { in_a_row: 0, in_all: 0, last_start: now }).last_start = now;
    }

    /// Gives how often the task has ended in a row.
    pub(crate) fn note_end(&self, name: &'static str) -> u32 {
        let mut tasks = self.lock();
        let now = Instant::now();
        let ends = tasks.entry(name).or_insert(Ends { in_a_row: 0, in_all: 0, last_start: now });
        ends.in_a_row = if ends.last_start.elapsed() < RECOVERY { ends.in_a_row + 1 } else { 1 };
        ends.in_all += 1;
        ends.in_a_row
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Ends>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
