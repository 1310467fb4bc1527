//! Running a server: what is due now and then, following the log of changes, and the end.

mod audit;
mod supervise;
mod sweep;
mod webhooks;

use std::{
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

pub use self::{supervise::supervise, sweep::sweep_all};
use crate::{
    app::{App, follow},
    manage::{ManageError, keys, signing_keys},
};

/// How often [`run_due`] is called.
const TICK: Duration = Duration::from_secs(10);
/// How often [`notice_keys`] is called.
const NOTICES: Duration = Duration::from_secs(60);
/// How often queued audit events are written.
const FLUSH: Duration = Duration::from_millis(500);
/// How often uses of keys are written, and those that this server took out of their limits and does not need are put back.
const KEYS: Duration = Duration::from_secs(1);

/// How often what was measured is added up.
const UPKEEP: Duration = Duration::from_secs(5);

/// The tasks that are due now: signing keys are created and deleted, and keys that were rotated end.
pub async fn run_due(app: &App) -> Result<(), ManageError> {
    signing_keys::rotate_due(app).await?;
    app.flush_legacy_uses().await?;
    app.flush_callers().await?;
    keys::end_due(app).await?;
    Ok(())
}

/// Looks for keys that end soon, and for keys that are due for rotation.
pub async fn notice_keys(app: &App) -> Result<(), ManageError> {
    Ok(keys::notice(app).await?)
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
    /// Begins to follow the log of changes, to write the audit, to do what is due, to deliver webhooks, and to sweep.
    pub async fn start(app: &Arc<App>) -> Result<Self, ManageError> {
        let position = Arc::new(AtomicI64::new(follow::position(app).await?));
        // What changed between the first read of the snapshots and this position is read again.
        app.reload_all().await?;
        let end_of_flushing = Arc::new(Notify::new());
        let end = end_of_flushing.clone();
        let mut tasks = vec![
            supervised(app, "follow", move |app| follow::follow(app, position.clone())),
            supervised(app, "due", tick),
            supervised(app, "keys", keep_keys),
            supervised(app, "key_notices", notice),
            supervised(app, "sweep", sweep::sweep),
            supervised(app, "audit_bounds", audit::keep),
            supervised(app, "end_grants", sweep::end_grants),
            supervised(app, "webhooks", webhooks::deliver),
        ];
        if app.metrics.is_on() {
            tasks.push(supervised(app, "metrics", keep_metrics));
        }
        Ok(Self {
            tasks,
            flushing: supervised(app, "audit", move |app| flush(app, end.clone())),
            app: app.clone(),
            end_of_flushing,
        })
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
        if let Err(error) = self.app.end_audit().await {
            tracing::warn!(%error, "the last audit events could not be written");
        }
        if let Err(error) = self.app.return_uses().await {
            tracing::warn!(%error, "the uses of keys that were left could not be put back");
        }
        if let Err(error) = self.app.flush_uses().await {
            tracing::warn!(%error, "the last uses of keys could not be written");
        }
        if let Err(error) = self.app.flush_unusual_uses().await {
            tracing::warn!(%error, "the last unusual uses of keys could not be reported");
        }
        if let Err(error) = self.app.flush_legacy_uses().await {
            tracing::warn!(%error, "the last uses of legacy ways could not be written");
        }
    }
}

fn supervised<F>(app: &Arc<App>, name: &'static str, task: impl Fn(Arc<App>) -> F + Send + 'static) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let health = app.task_health();
    let app = app.clone();
    supervise(health, name, move || task(app.clone()))
}

/// Keeps what was measured in bounded room while nobody asks for it.
async fn keep_metrics(app: Arc<App>) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        app.metrics.run_upkeep();
    }
}

async fn flush(app: Arc<App>, end: Arc<Notify>) {
    let mut interval = interval(FLUSH);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = end.notified() => return,
        }
        if let Err(error) = app.flush_audit().await {
            tracing::warn!(%error, "audit events are waiting: the store does not accept them");
        }
    }
}

async fn keep_keys(app: Arc<App>) {
    let mut interval = interval(KEYS);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = app.uses.is_half_full.notified() => {}
        }
        if let Err(error) = app.flush_uses().await {
            tracing::warn!(%error, "uses of keys are waiting: the store does not accept them");
        }
        if let Err(error) = app.flush_unusual_uses().await {
            tracing::warn!(%error, "unusual uses of keys are waiting: the store does not accept them");
        }
        if let Err(error) = app.return_idle_uses().await {
            tracing::warn!(%error, "uses of keys could not be put back, and count as used");
        }
    }
}

async fn tick(app: Arc<App>) {
    let mut interval = interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if let Err(error) = run_due(&app).await {
            tracing::warn!(%error, "the periodic tasks failed");
        }
    }
}

async fn notice(app: Arc<App>) {
    let mut interval = interval(NOTICES);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if let Err(error) = notice_keys(&app).await {
            tracing::warn!(%error, "keys that end soon could not be looked for");
        }
    }
}
