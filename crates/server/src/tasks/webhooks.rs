//! Delivering events to endpoints of webhooks: what is due is claimed, sent, and written off or put back.
//!
//! One endpoint that is slow must not hold up the others, so each host has a few places, and all together have a bound.

use std::{collections::HashMap, sync::Arc, time::Duration};

use doorward_core::{
    clock::Timestamp,
    webhook_retry::{Answer, DeliveryState, Next},
};
use doorward_store::{
    StoreError,
    keys::{CanReportRevocations, ReportRevocations},
    sweep::Sweep,
    webhooks::{
        BoundDeliveries, ClaimDeliveries, CountWaiting, DeliveryRecord, FinishDelivery, Finished, ListWebhooks,
        Outcome, WebhookRecord, WebhooksWithDue,
    },
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, sleep},
};

use super::sweep::Pace;
use crate::{actor::Actor, app::App, manage::times, webhooks::Message};

/// How often it is looked for what is due.
const TICK: Duration = Duration::from_millis(500);
/// How long a claim lasts: much longer than an attempt can take, so that only the claim of a node which is gone ends.
const CLAIM: Duration = Duration::from_secs(60);
/// Attempts at one host at the same time.
const PER_HOST: usize = 4;
/// Attempts at all hosts at the same time.
const IN_ALL: usize = 64;

/// Delivers until the task is aborted. What was under way then is tried again when its claim has ended.
pub(super) async fn deliver(app: Arc<App>) {
    let mut under_way = UnderWay::default();
    loop {
        if let Err(error) = report_revocations(&app).await {
            tracing::warn!(%error, "keys that were revoked together could not be reported");
        }
        if let Err(error) = under_way.begin_due(&app).await {
            tracing::warn!(%error, "webhooks could not be delivered: the store does not answer");
            sleep(TICK * 4).await;
        }
        under_way.wait().await;
    }
}

/// Keys that one step reports: no other writer waits for longer than a few milliseconds.
const STEP: i64 = 32;
/// Steps between two looks at what is due.
const MOST_STEPS: usize = 20;
/// Events that may wait at an endpoint before more keys are reported: with a round of steps still well below the smallest useful
/// bound of what waits.
const FEW: i64 = 1_000;

/// Writes the events of keys that were revoked together.
async fn report_revocations(app: &App) -> Result<(), StoreError> {
    if !app.store.read(CanReportRevocations { waiting: FEW }).await? {
        return Ok(());
    }
    for _ in 0..MOST_STEPS {
        if !app.store.write(ReportRevocations { limit: STEP }).await? {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Attempts that were begun and are not finished.
struct UnderWay {
    attempts: JoinSet<()>,
    in_all: Arc<Semaphore>,
    hosts: HashMap<String, Arc<Semaphore>>,
}

impl Default for UnderWay {
    fn default() -> Self {
        Self { attempts: JoinSet::new(), in_all: Arc::new(Semaphore::new(IN_ALL)), hosts: HashMap::new() }
    }
}

impl UnderWay {
    /// Begins as many of the attempts that are due as there are places.
    async fn begin_due(&mut self, app: &Arc<App>) -> Result<(), StoreError> {
        let (in_all, hosts) = (&self.in_all, &mut self.hosts);
        hosts.retain(|_, places| places.available_permits() < PER_HOST);
        for webhook in app.store.read(WebhooksWithDue { now: app.now() }).await? {
            let host = webhook.metadata.url.authority().to_owned();
            let places = hosts.entry(host).or_insert_with(|| Arc::new(Semaphore::new(PER_HOST))).clone();
            let free = places.available_permits().min(in_all.available_permits());
            if free == 0 {
                continue;
            }
            let (now, limit) = (app.now(), i64::try_from(free).unwrap_or(0));
            let until = now.plus(CLAIM);
            let claim = ClaimDeliveries { webhook: webhook.id.clone(), now, until, limit };
            for delivery in app.store.write(claim).await? {
                let permits = (in_all.clone().try_acquire_owned(), places.clone().try_acquire_owned());
                let (app, webhook) = (app.clone(), webhook.clone());
                self.attempts.spawn(async move { attempt(&app, &webhook, delivery, until, permits).await });
            }
        }
        Ok(())
    }

    /// Waits until an attempt is finished, or for a moment.
    async fn wait(&mut self) {
        tokio::select! {
            Some(finished) = self.attempts.join_next() => {
                if let Err(error) = finished {
                    tracing::error!(%error, "an attempt to deliver a webhook failed");
                }
            }
            () = sleep(TICK) => {}
        }
    }
}

/// A place of an attempt, which is free again when it is dropped.
type Place = Result<OwnedSemaphorePermit, tokio::sync::TryAcquireError>;

/// Tries once, and writes what it came to.
async fn attempt(
    app: &App,
    webhook: &WebhookRecord,
    delivery: DeliveryRecord,
    claimed_until: Timestamp,
    _places: (Place, Place),
) {
    let attempted = try_once(app, webhook, &delivery).await;
    let [jitter] = app.random();
    let next = match attempted.was_asked {
        true => attempted.answer.next(delivery.attempts, jitter),
        false => Next::Dead,
    };
    let now = app.now();
    let (outcome, metric) = match next {
        Next::Delivered => (Outcome::Delivered, "delivered"),
        Next::Dead => {
            let (is_gone, was_asked) = (attempted.answer.is_gone(), attempted.was_asked);
            (Outcome::Dead { is_gone, was_asked }, "dead")
        }
        Next::Retry(pause) => (Outcome::Retry(now.plus(pause)), "failed"),
    };
    let (webhook, event) = (webhook.id.clone(), delivery.event_id);
    let (status, error) = (attempted.status(), attempted.error);
    app.metrics.delivered_webhook(metric);
    tracing::debug!(%webhook, %event, attempt = delivery.attempts, status, error, "webhook: {metric}");
    let audit = app.audit(&Actor::default());
    let id = webhook.clone();
    match app.store.write(FinishDelivery { webhook, event, claimed_until, outcome, status, error, now, audit }).await {
        Ok(Finished::Disabled(because)) => {
            tracing::warn!(webhook = %id, because, "an endpoint of webhooks was disabled")
        }
        Ok(Finished::TooLate | Finished::Written) => {}
        // It is tried again when the claim has ended.
        Err(error) => tracing::warn!(webhook = %id, %error, "the outcome of a webhook could not be written"),
    }
}

/// What one attempt came to.
struct Attempted {
    answer: Answer,
    /// Whether the endpoint itself is why it failed.
    was_asked: bool,
    error: Option<String>,
}

impl Attempted {
    fn status(&self) -> Option<u16> {
        match self.answer {
            Answer::Status { status, .. } => Some(status),
            Answer::None => None,
        }
    }
}

async fn try_once(app: &App, webhook: &WebhookRecord, delivery: &DeliveryRecord) -> Attempted {
    if webhook.disabled_at.is_some() {
        let error = Some("the endpoint is disabled".to_owned());
        return Attempted { answer: Answer::None, was_asked: false, error };
    }
    let failed = |error: String| Attempted { answer: Answer::None, was_asked: true, error: Some(error) };
    let occurred_at = times::rfc3339(delivery.occurred_at);
    let message = match Message::new(webhook, delivery, &occurred_at, &app.master_keys, app.now()) {
        Ok(message) => message,
        Err(error) => {
            tracing::error!(webhook = %webhook.id, %error, "a webhook can't be signed");
            return failed(error.to_string());
        }
    };
    match app.webhooks.send(message).await {
        Ok(answer @ Answer::Status { status: 200..=299, .. }) => Attempted { answer, was_asked: true, error: None },
        Ok(answer @ Answer::Status { status, .. }) => {
            Attempted { answer, was_asked: true, error: Some(format!("the endpoint answered {status}")) }
        }
        Ok(Answer::None) => failed("no answer".to_owned()),
        Err(error) => failed(error.to_string()),
    }
}

/// Keeps what is stored of each endpoint's deliveries within its bound, and measures what waits.
pub(super) async fn bound(app: &App, pace: Pace) -> Result<(), StoreError> {
    let most = app.settings.limits.webhook_deliveries;
    for webhook in app.store.read(ListWebhooks { after: None, limit: i64::MAX }).await? {
        for state in DeliveryState::ALL {
            loop {
                let began = Instant::now();
                let bound = BoundDeliveries { webhook: webhook.id.clone(), state, most, now: app.now() };
                let changed = app.store.write(bound).await?;
                app.metrics.swept("webhook_deliveries_beyond_the_bound", changed);
                if changed > 0 {
                    pace.pause(began).await;
                }
                if changed < Sweep::STEP.unsigned_abs() {
                    break;
                }
            }
        }
    }
    app.metrics.webhooks_waiting(app.store.read(CountWaiting).await?);
    Ok(())
}
