//! Delivering events to endpoints of webhooks: what is due is claimed, sent, and written off or put back.
//!
//! An endpoint that is slow does not delay the others: [`Place`] bounds how many attempts there are at the same time, and
//! [`Turns`] whose turn is next.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use doorward_core::{
    clock::Timestamp,
    id::WebhookId,
    webhook_places::{Place, Turns},
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
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep},
};

use super::sweep::Pace;
use crate::{actor::Actor, app::App, manage::times, webhooks::Message};

/// How often it is looked for what is due.
const TICK: Duration = Duration::from_millis(500);
/// How long a claim lasts: much longer than an attempt can take, so that only the claim of a node which is gone ends.
const CLAIM: Duration = Duration::from_secs(60);

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
#[derive(Default)]
struct UnderWay {
    attempts: JoinSet<()>,
    /// The places that they hold.
    places: HashMap<Id, Place>,
    turns: Turns,
}

impl UnderWay {
    /// Begins as many of the attempts that are due as there are places.
    async fn begin_due(&mut self, app: &Arc<App>) -> Result<(), StoreError> {
        let due = app.store.read(WebhooksWithDue { now: app.now() }).await?;
        let mut due: BTreeMap<WebhookId, WebhookRecord> =
            due.into_iter().map(|webhook| (webhook.id.clone(), webhook)).collect();
        let ids: Vec<_> = due.keys().cloned().collect();
        for id in self.turns.order(&ids) {
            let Some(webhook) = due.remove(&id) else { continue };
            let place = Place::new(&id, &webhook.metadata, webhook.failing_since.is_some());
            let taken: Vec<_> = self.places.values().cloned().collect();
            let free = place.free(&taken);
            if free == 0 {
                continue;
            }
            self.turns.had(&id);
            let (now, limit) = (app.now(), i64::try_from(free).unwrap_or(i64::MAX));
            let until = now.plus(CLAIM);
            for delivery in app.store.write(ClaimDeliveries { webhook: id.clone(), now, until, limit }).await? {
                let (app, webhook) = (app.clone(), webhook.clone());
                let begun = self.attempts.spawn(async move { attempt(&app, &webhook, delivery, until).await });
                self.places.insert(begun.id(), place.clone());
            }
        }
        Ok(())
    }

    /// Waits until an attempt is finished, or for a moment.
    async fn wait(&mut self) {
        tokio::select! {
            Some(finished) = self.attempts.join_next_with_id() => self.finished(finished),
            () = sleep(TICK) => {}
        }
        while let Some(finished) = self.attempts.try_join_next_with_id() {
            self.finished(finished);
        }
    }

    /// Gives the place of an attempt back.
    fn finished(&mut self, finished: Result<(Id, ()), JoinError>) {
        let id = match finished {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "an attempt to deliver a webhook failed");
                error.id()
            }
        };
        self.places.remove(&id);
    }
}

/// Tries once, and writes what it came to.
async fn attempt(app: &App, webhook: &WebhookRecord, delivery: DeliveryRecord, claimed_until: Timestamp) {
    let attempted = try_once(app, webhook, &delivery).await;
    let [jitter] = app.random();
    let next = match attempted.reached {
        Reached::Answered | Reached::NoAnswer => attempted.answer.next(delivery.attempts, jitter),
        Reached::NotSent => Next::Dead,
    };
    let now = app.now();
    let (outcome, metric) = match next {
        Next::Delivered => (Outcome::Delivered, "delivered"),
        Next::Dead => {
            let (is_gone, was_asked) = (attempted.answer.is_gone(), attempted.reached != Reached::NotSent);
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
    let is_plausible = app.trusted_now().await.is_ok_and(|now| now.is_some());
    let finish = FinishDelivery { webhook, event, claimed_until, outcome, status, error, now, is_plausible, audit };
    match app.store.write(finish).await {
        Ok(Finished::Disabled(because)) => {
            tracing::warn!(webhook = %id, because, "an endpoint of webhooks was disabled")
        }
        Ok(Finished::TooLate | Finished::Written) => {}
        // It is tried again when the claim has ended.
        Err(error) => tracing::warn!(webhook = %id, %error, "the outcome of a webhook could not be written"),
    }
}

/// How far an attempt got.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Reached {
    /// The endpoint answered.
    Answered,
    /// It did not, or the message could not be sent. That counts as a failure of the endpoint.
    NoAnswer,
    /// Nothing was sent, because the endpoint is disabled. That is no failure of the endpoint.
    NotSent,
}

/// What one attempt came to.
struct Attempted {
    answer: Answer,
    reached: Reached,
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
        return Attempted { answer: Answer::None, reached: Reached::NotSent, error };
    }
    let failed = |error: String| {
        let error = Some(error);
        Attempted { answer: Answer::None, reached: Reached::NoAnswer, error }
    };
    let occurred_at = times::rfc3339(delivery.occurred_at);
    let message = match Message::new(webhook, delivery, &occurred_at, &app.master_keys, app.now()) {
        Ok(message) => message,
        Err(error) => {
            tracing::error!(webhook = %webhook.id, %error, "a webhook can't be signed");
            return failed(error.to_string());
        }
    };
    match app.webhooks.send(message).await {
        Ok(answer @ Answer::Status { status: 200..=299, .. }) => {
            Attempted { answer, reached: Reached::Answered, error: None }
        }
        Ok(answer @ Answer::Status { status, .. }) => {
            let error = Some(format!("the endpoint answered {status}"));
            Attempted { answer, reached: Reached::Answered, error }
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
