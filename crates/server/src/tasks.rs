//! Running a server: what is due now and then, following the log of changes, and the end.

use std::{sync::Arc, time::Duration};

use doorward_store::{refresh::RemoveEndedFamilies, sweep::Sweep};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    app::{App, follow},
    manage::{ManageError, signing_keys},
};

/// How often [`run_due`] is called.
const TICK: Duration = Duration::from_secs(10);
/// How often queued audit events are written.
const FLUSH: Duration = Duration::from_millis(500);

/// Everything that is due at the clock's time: signing keys are rotated, what has ended is swept, uses are written.
pub async fn run_due(app: &App) -> Result<(), ManageError> {
    signing_keys::rotate_due(app).await?;
    app.flush_uses().await?;
    let sweep = Sweep {
        now: app.now(),
        audit_retention: app.settings.audit.retention,
        refresh_grace: app.settings.tokens.refresh.grace_same_address,
        session_absolute: app.settings.session.absolute,
    };
    // A sweep takes a step of each table; the next one follows at once while there is a backlog.
    while app.store.write(sweep.clone()).await? >= Sweep::STEP as u64 {
        tokio::task::yield_now().await;
    }
    while app.store.write(RemoveEndedFamilies { now: app.now() }).await? >= Sweep::STEP as u64 {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// The tasks of a running server.
#[derive(Debug)]
pub struct Tasks {
    app: Arc<App>,
    tasks: Vec<JoinHandle<()>>,
    flushing: JoinHandle<()>,
    end_of_flushing: Arc<Notify>,
}

impl Tasks {
    /// Begins to follow the log of changes, to write the audit, and to do what is due.
    pub async fn start(app: &Arc<App>) -> Result<Self, ManageError> {
        let position = follow::position(app).await?;
        // What changed between the first read of the snapshots and this position is read once more.
        app.reload_all().await?;
        let tasks = vec![tokio::spawn(follow::follow(app.clone(), position)), tokio::spawn(tick(app.clone()))];
        let end_of_flushing = Arc::new(Notify::new());
        let flushing = tokio::spawn(flush(app.clone(), end_of_flushing.clone()));
        Ok(Self { app: app.clone(), tasks, flushing, end_of_flushing })
    }

    /// Ends the tasks and writes what waits.
    pub async fn stop(self) {
        for task in &self.tasks {
            task.abort();
        }
        // What it has taken from the queue is nowhere else: it is let finish.
        self.end_of_flushing.notify_one();
        if let Err(error) = self.flushing.await {
            tracing::warn!(%error, "the task that writes audit events failed");
        }
        if let Err(error) = self.app.flush_audit().await {
            tracing::warn!(%error, "the last audit events could not be written");
        }
        if let Err(error) = self.app.flush_uses().await {
            tracing::warn!(%error, "the last uses of keys could not be written");
        }
    }
}

async fn flush(app: Arc<App>, end: Arc<Notify>) {
    let mut interval = tokio::time::interval(FLUSH);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = end.notified() => return,
        }
        if let Err(error) = app.flush_audit().await {
            tracing::warn!(%error, "audit events wait: the store does not take them");
        }
    }
}

async fn tick(app: Arc<App>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if let Err(error) = run_due(&app).await {
            tracing::warn!(%error, "what is due could not be done");
        }
    }
}
