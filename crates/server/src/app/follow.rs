//! Following the log of changes: what another process wrote is known here within a moment.
//!
//! A server whose database was migrated by a newer program stops answering these at once, until it is replaced. So does
//! one whose database is being restored, until that is done and everything is read again.
//! A server that could not read the log for [`MAX_STALENESS`] answers issuance and verification with 503, since what
//! it keeps in memory may be revoked by now.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use doorward_core::{denial::Denial, refusal::Refusal};
use doorward_store::{Change, ChangeKind, StoreError};

use crate::app::{App, OpenError};

/// How long a server may answer without having read the log.
pub(crate) const MAX_STALENESS: Duration = Duration::from_secs(5);

const BATCH: i64 = 1_000;

/// When the log was last read, in monotonic time: this is about the process's own health and no rule of a token. Or why it
/// can't be read by this program.
#[derive(Debug)]
pub(crate) struct LastRead(Mutex<Reading>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    last: Instant,
    /// Why it must not be read again, if that was found since.
    unusable: Option<Unusable>,
}

/// Why a database must not be used.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// A newer program has migrated it.
    #[error("the database's schema is newer than this program")]
    NewerSchema,
    /// It is being filled from a backup, or what was issued is being ended.
    #[error("the database is being restored")]
    Restoring,
}

/// Why what is kept in memory may be stale.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stale {
    /// The database must not be used.
    #[error(transparent)]
    Unusable(Unusable),
    /// The log could not be read for so long.
    #[error("not read for {} s", .0.as_secs())]
    Unread(Duration),
}

impl Default for LastRead {
    fn default() -> Self {
        Self(Mutex::new(Reading { last: Instant::now(), unusable: None }))
    }
}

impl LastRead {
    fn touch(&self) {
        *self.lock() = Reading { last: Instant::now(), unusable: None };
    }

    fn mark_unusable(&self, why: Unusable) {
        self.lock().unusable = Some(why);
    }

    fn age(&self) -> Result<Duration, Unusable> {
        let Reading { last, unusable } = *self.lock();
        unusable.map_or(Ok(last.elapsed()), Err)
    }

    /// The same, even if the log must not be read.
    pub(super) fn age_in_any_case(&self) -> Duration {
        self.lock().last.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Refuses if what is kept in memory may be stale.
    pub(crate) fn ensure_fresh(&self) -> Result<(), Refusal> {
        self.check_followed().map_err(|stale| {
            Refusal::new(Denial::Unavailable).fact("changes", stale).retry_after(Duration::from_secs(2))
        })
    }

    /// Whether the log of changes is followed.
    pub(crate) fn check_followed(&self) -> Result<(), Stale> {
        match self.caches.last_read.age() {
            Ok(age) if age <= MAX_STALENESS => Ok(()),
            Ok(age) => Err(Stale::Unread(age)),
            Err(why) => Err(Stale::Unusable(why)),
        }
    }

    /// Applies every change after `position` that was committed by the time this is called.
    pub async fn catch_up(&self, position: i64) -> Result<i64, OpenError> {
        let mut position = position;
        let schema = self.store.check_schema().await;
        match schema {
            // What this program would write may be wrong by now.
            Err(StoreError::SchemaNewer { .. }) => self.caches.last_read.mark_unusable(Unusable::NewerSchema),
            Err(StoreError::Restoring) => self.caches.last_read.mark_unusable(Unusable::Restoring),
            _ => {}
        }
        schema?;
        loop {
            let changes = self.store.changes_after(position, BATCH).await?;
            // Positions are dense: a hole means that the log was swept past us.
            let has_gap = changes.iter().zip(position + 1..).any(|(change, expected)| change.position != expected);
            if has_gap {
                self.reload_all().await?;
            }
            self.apply(&changes).await?;
            position = changes.last().map_or(position, |change| change.position);
            if changes.is_empty() {
                // Another position without a change after ours: all of the log was swept, or a backup was restored.
                let found = self.store.position().await?;
                if found < position || (found > position && self.store.changes_after(position, 1).await?.is_empty()) {
                    self.reload_all().await?;
                    position = found;
                }
            }
            self.caches.last_read.touch();
            if changes.is_empty() {
                return Ok(position);
            }
        }
    }

    /// Clears all caches and reads the snapshots again.
    pub(crate) async fn reload_all(&self) -> Result<(), OpenError> {
        self.caches.clear();
        self.snapshots.reload(&self.store, &self.master_keys).await
    }

    /// Drops or reads again what changes made stale. What is read whole is read once for all of them: a thousand changes
    /// can come at once.
    pub(super) async fn apply(&self, changes: &[Change]) -> Result<(), OpenError> {
        for change in changes {
            let subject = change.subject.as_str();
            match change.kind {
                Some(ChangeKind::Client) => self.caches.forget_client(subject),
                Some(ChangeKind::Key) => self.caches.forget_keys(|key| key.id.as_str() == subject),
                Some(ChangeKind::Keys) => self.caches.forget_keys(|_| true),
                Some(ChangeKind::User) => self.caches.forget_keys_of(subject),
                // Every use of a token asks the store about it and its grant.
                Some(ChangeKind::Grant | ChangeKind::Token) => {}
                Some(ChangeKind::Api | ChangeKind::SigningKey) => {}
                // Only a newer program knows what changed.
                None => return self.reload_all().await,
            }
        }
        let has = |kind| changes.iter().any(|change| change.kind == Some(kind));
        if has(ChangeKind::Api) {
            self.snapshots.reload_apis(&self.store).await?;
        }
        if has(ChangeKind::SigningKey) {
            self.snapshots.reload_signing_keys(&self.store, &self.master_keys).await?;
        }
        if has(ChangeKind::Client) {
            self.snapshots.reload_id_token_algorithms(&self.store).await?;
        }
        Ok(())
    }
}

/// Follows the log until the task is aborted. Begins at `reached`, which was read before the snapshots were, and notes
/// there how far it came.
pub(crate) async fn follow(app: Arc<App>, reached: Arc<AtomicI64>) {
    let mut pause = Duration::from_millis(100);
    loop {
        let followed: Result<i64, OpenError> = async {
            let position = reached.load(Ordering::Relaxed);
            app.store.wait_for_change(position, Duration::from_secs(1)).await?;
            app.catch_up(position).await
        }
        .await;
        match followed {
            Ok(position) => {
                reached.store(position, Ordering::Relaxed);
                pause = Duration::from_millis(100);
            }
            Err(error) => {
                tracing::warn!(%error, "the log of changes can't be read");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
    }
}

/// Reads the position that [`follow`] begins at.
pub(crate) async fn position(app: &App) -> Result<i64, StoreError> {
    app.store.position().await
}
