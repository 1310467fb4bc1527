//! Events for endpoints: written with the change that they report, claimed by one node at a time, and kept within bounds.

use std::{collections::BTreeMap, time::Duration};

use doorward_core::{
    clock::Timestamp,
    holder::Owner,
    id::{ApiId, EventId, WebhookId},
    rights::Limits,
    webhook::{WebhookMetadata, WebhookUrl},
    webhook_event::EventType,
    webhook_retry::{DeliveryState, GIVE_UP_AFTER},
};
use doorward_store::{
    Operation, Tx, TxError, Updated,
    audit::{AuditAction, AuditFilter},
    sweep::{Sweep, Swept},
    webhooks::{
        BoundDeliveries, ChangeWebhook, ClaimDeliveries, CountWaiting, CreateWebhook, DeliveryRecord, Event,
        FindDelivery, FindWebhook, FinishDelivery, Finished, ListDeliveries, ListWebhooks, Outcome, PreviousSecret,
        ReplayDead, ReplayDelivery, SealedSecret, SeenWebhook, UpdateWebhook, WebhookChange, WebhookCreation,
        WebhookRecord, WebhooksWithDue, enqueue,
    },
};

use crate::{
    filter_plans::assert_reads_by,
    harness::{Ask, Recorded, on_each_engine},
    lists::{new_api, pages},
    world::World,
};

const MINUTE: Duration = Duration::from_secs(60);

/// A change that reports itself, and may fail afterwards.
#[derive(Clone)]
struct Emit {
    event: Event,
    fails: bool,
}

impl Operation for Emit {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        enqueue(tx, &self.event).await?;
        if self.fails { Err(TxError::Conflict) } else { Ok(()) }
    }
}

fn secret(byte: u8) -> SealedSecret {
    SealedSecret { sealed: vec![byte; 60], sealed_under: format!("key {byte}") }
}

fn record(world: &World) -> WebhookRecord {
    world.advance(1);
    WebhookRecord {
        id: WebhookId::new(world.now(), &world.rng),
        metadata: WebhookMetadata::new(WebhookUrl::parse("https://hooks.example/").unwrap()),
        secret: secret(1),
        previous: None,
        created_at: world.now(),
        updated_at: world.now(),
        disabled_at: None,
        disabled_because: None,
        failing_since: None,
    }
}

pub(crate) async fn created(world: &World, edit: impl FnOnce(&mut WebhookMetadata)) -> WebhookRecord {
    let mut webhook = record(world);
    edit(&mut webhook.metadata);
    let create = CreateWebhook { webhook: webhook.clone(), most: 100, share: None, audit: world.audit() };
    assert_eq!(world.write(create).await, WebhookCreation::Created);
    webhook
}

/// Emits an event about something, and gives it.
async fn emit(world: &World, event_type: EventType, api: &ApiId, owner: Option<&str>) -> Event {
    world.advance(1);
    let event = Event::new(&world.audit(), event_type, "key_1").belonging(std::slice::from_ref(api), owner);
    let event = event.with("key_id", "key_1").with("days", 7);
    world.write(Emit { event: event.clone(), fails: false }).await;
    event
}

async fn revoked(world: &World) -> Event {
    emit(world, EventType::KeyRevoked, &world.api.id.clone(), None).await
}

async fn sent_to(world: &World, webhook: &WebhookRecord) -> Vec<DeliveryRecord> {
    let list = ListDeliveries { webhook: webhook.id.clone(), state: None, before: None, limit: 1_000 };
    world.read(list).await
}

fn claim(world: &World, webhook: &WebhookRecord, limit: i64) -> ClaimDeliveries {
    let now = world.now();
    ClaimDeliveries { webhook: webhook.id.clone(), now, until: now.plus(MINUTE), limit }
}

fn finish(world: &World, webhook: &WebhookRecord, claimed: &DeliveryRecord, outcome: Outcome) -> FinishDelivery {
    FinishDelivery {
        webhook: webhook.id.clone(),
        event: claimed.event_id.clone(),
        claimed_until: claimed.due_at.unwrap(),
        outcome,
        status: Some(500),
        error: Some("the endpoint answered 500".to_owned()),
        now: world.now(),
        is_plausible: true,
        audit: world.audit(),
    }
}

fn change(world: &World, webhook: &WebhookRecord, change: WebhookChange) -> ChangeWebhook {
    ChangeWebhook { id: webhook.id.clone(), change, now: world.now(), audit: world.audit() }
}

async fn found(world: &World, webhook: &WebhookRecord) -> WebhookRecord {
    world.read(FindWebhook { id: webhook.id.clone() }).await.unwrap()
}

#[tokio::test]
async fn endpoint_reads_back_and_is_changed_from_what_was_read() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let webhook = created(&world, |metadata| {
            metadata.events = vec![EventType::KeyRevoked, EventType::KeyLeaked];
            metadata.apis = vec![world.api.id.clone()];
            metadata.owners = vec![Owner::User(world.user.id.clone())];
            metadata.description = Some("For billing".to_owned());
        })
        .await;
        assert_eq!(format!("{:?}", found(&world, &webhook).await), format!("{webhook:?}"));

        let to = WebhookMetadata { description: None, ..webhook.metadata.clone() };
        let update = UpdateWebhook {
            id: webhook.id.clone(),
            from: webhook.seen(),
            to: to.clone(),
            now: world.now().plus(MINUTE),
            audit: world.audit(),
        };
        assert_eq!(world.write(update.clone()).await, Updated::Done);
        assert_eq!(world.write(UpdateWebhook { audit: world.audit(), ..update }).await, Updated::Changed);
        let changed = found(&world, &webhook).await;
        assert_eq!((&changed.metadata, changed.updated_at), (&to, world.now().plus(MINUTE)));

        let ends_at = world.now().plus(MINUTE);
        let rotation = WebhookChange::Secret { secret: secret(2), previous_ends_at: ends_at };
        assert!(world.write(change(&world, &webhook, rotation)).await);
        let rotated = found(&world, &webhook).await;
        assert_eq!(rotated.secret.sealed, secret(2).sealed);
        let PreviousSecret { secret: old, ends_at: until } = rotated.previous.unwrap();
        assert_eq!((old.sealed, old.sealed_under, until), (secret(1).sealed, secret(1).sealed_under, ends_at));
        assert!(world.write(change(&world, &webhook, WebhookChange::Delete)).await);
        assert!(world.read(FindWebhook { id: webhook.id.clone() }).await.is_none());
        assert!(!world.write(change(&world, &webhook, WebhookChange::Enable)).await);
    })
    .await;
}

#[tokio::test]
async fn event_is_written_with_its_change_or_not_at_all() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let webhook = created(&world, |_| {}).await;
        let event = Event::new(&world.audit(), EventType::KeyRevoked, "key_1").with("key_id", "key_1");
        let failed = world.store.write(Emit { event: event.clone(), fails: true }).await;
        assert!(failed.is_err() && sent_to(&world, &webhook).await.is_empty());

        for _ in 0..2 {
            world.write(Emit { event: event.clone(), fails: false }).await;
        }
        let sent = sent_to(&world, &webhook).await;
        assert_eq!(sent.len(), 1, "one event of one operation is sent once");
        assert_eq!((&sent[0].event_id, sent[0].data.as_str()), (&event.id, r#"{"key_id":"key_1"}"#));
        assert_eq!((sent[0].state, sent[0].attempts, sent[0].due_at), (DeliveryState::Waiting, 0, Some(event.at)));
        assert_eq!(world.read(CountWaiting).await, 1);
    })
    .await;
}

#[tokio::test]
async fn event_without_an_endpoint_costs_one_query() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let event = Event::new(&world.audit(), EventType::KeyRevoked, "key_1");
        let ((), statements) = world.write(Recorded(Emit { event, fails: false })).await;
        assert_eq!(statements.len(), 1, "{statements:?}");
    })
    .await;
}

#[tokio::test]
async fn endpoint_gets_only_what_it_wants_and_may_see() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let other = new_api(&world, "other").await;
        let all = created(&world, |_| {}).await;
        let of_type = created(&world, |webhook| webhook.events = vec![EventType::KeyLeaked]).await;
        let of_api = created(&world, |webhook| webhook.apis = vec![world.api.id.clone()]).await;
        let of_owner = created(&world, |webhook| webhook.owners = vec![Owner::User(world.user.id.clone())]).await;
        let disabled = created(&world, |_| {}).await;
        assert!(world.write(change(&world, &disabled, WebhookChange::Disable)).await);
        let deleted = created(&world, |_| {}).await;
        assert!(world.write(change(&world, &deleted, WebhookChange::Delete)).await);

        let user = world.user.id.to_string();
        emit(&world, EventType::KeyRevoked, &world.api.id.clone(), Some(&user)).await;
        emit(&world, EventType::KeyLeaked, &other.id, None).await;

        let types = async |webhook: &WebhookRecord| {
            let sent = sent_to(&world, webhook).await.into_iter();
            sent.map(|one| one.event_type.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(types(&all).await, "key.leaked key.revoked");
        assert_eq!(types(&of_type).await, "key.leaked");
        assert_eq!(
            (types(&of_api).await, types(&of_owner).await),
            ("key.revoked".to_owned(), "key.revoked".to_owned())
        );
        assert_eq!((types(&disabled).await, types(&deleted).await), (String::new(), String::new()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raced_claims_take_each_delivery_once() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let webhook = created(&world, |_| {}).await;
        for _ in 0..60 {
            revoked(&world).await;
        }
        let nodes: Vec<_> = (0..12)
            .zip([&world.store, &world.other].into_iter().cycle())
            .map(|(_, store)| {
                let (store, claim) = (store.clone(), claim(&world, &webhook, 4));
                tokio::spawn(async move {
                    let mut claimed = Vec::new();
                    loop {
                        match store.write(claim.clone()).await.unwrap() {
                            step if step.is_empty() => return claimed,
                            step => claimed.extend(step),
                        }
                    }
                })
            })
            .collect();
        let mut claims: BTreeMap<EventId, usize> = BTreeMap::new();
        for node in nodes {
            for delivery in node.await.unwrap() {
                assert_eq!(delivery.attempts, 1);
                *claims.entry(delivery.event_id).or_default() += 1;
            }
        }
        assert!(claims.len() == 60 && claims.values().all(|times| *times == 1), "{claims:?}");
    })
    .await;
}

#[tokio::test]
async fn claim_of_a_killed_node_ends_and_its_late_result_is_ignored() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let webhook = created(&world, |_| {}).await;
        revoked(&world).await;
        let first = world.write(claim(&world, &webhook, 10)).await.remove(0);
        assert!(world.write(claim(&world, &webhook, 10)).await.is_empty());
        assert!(world.read(WebhooksWithDue { now: world.now() }).await.is_empty());

        world.advance(60);
        assert_eq!(world.read(WebhooksWithDue { now: world.now() }).await.len(), 1);
        let second = world.write(claim(&world, &webhook, 10)).await.remove(0);
        assert_eq!((second.event_id.clone(), second.attempts), (first.event_id.clone(), 2));
        let late = finish(&world, &webhook, &first, Outcome::Dead { is_gone: true, was_asked: true });
        assert_eq!(world.write(late).await, Finished::TooLate);
        assert!(found(&world, &webhook).await.disabled_at.is_none());
        assert_eq!(world.write(finish(&world, &webhook, &second, Outcome::Delivered)).await, Finished::Written);
        let again = finish(&world, &webhook, &second, Outcome::Retry(world.now()));
        assert_eq!(world.write(again).await, Finished::TooLate);
        let delivered = &sent_to(&world, &webhook).await[0];
        assert_eq!((delivered.state, delivered.finished_at), (DeliveryState::Delivered, Some(world.now())));
        assert_eq!(world.read(CountWaiting).await, 0);
    })
    .await;
}

#[tokio::test]
async fn endpoint_that_fails_for_days_is_disabled() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let webhook = created(&world, |_| {}).await;
        revoked(&world).await;
        let began = world.now();
        let fail = async |outcome: fn(Timestamp) -> Outcome| {
            let claimed = world.write(claim(&world, &webhook, 1)).await.remove(0);
            world.write(finish(&world, &webhook, &claimed, outcome(world.now()))).await
        };
        let retry: fn(Timestamp) -> Outcome = Outcome::Retry;
        assert_eq!(fail(retry).await, Finished::Written);
        assert_eq!(found(&world, &webhook).await.failing_since, Some(began));
        world.advance(GIVE_UP_AFTER.as_secs() - 1);
        assert_eq!(fail(retry).await, Finished::Written);
        world.advance(1);
        assert_eq!(fail(retry).await, Finished::Disabled("failing"));
        let disabled = found(&world, &webhook).await;
        assert_eq!((disabled.disabled_at, disabled.disabled_because.as_deref()), (Some(world.now()), Some("failing")));
        assert_eq!(fail(retry).await, Finished::Written, "it is disabled once");
        let filter = AuditFilter { action: Some(AuditAction::WebhookDisabled), ..AuditFilter::default() };
        let events = world.newest_events(filter, 10).await;
        assert_eq!((events.len(), &events[0].details["because"]), (1, &"failing".into()));

        assert!(world.write(change(&world, &webhook, WebhookChange::Enable)).await);
        let enabled = found(&world, &webhook).await;
        assert!(enabled.disabled_at.is_none() && enabled.failing_since.is_none() && enabled.disabled_because.is_none());
        assert_eq!(fail(retry).await, Finished::Written);
        assert_eq!(fail(|_| Outcome::Delivered).await, Finished::Written);
        assert!(found(&world, &webhook).await.failing_since.is_none());
        revoked(&world).await;
        let gone = |_| Outcome::Dead { is_gone: true, was_asked: true };
        assert_eq!(fail(gone).await, Finished::Disabled("gone"));
    })
    .await;
}

#[tokio::test]
async fn dead_events_are_replayed_one_by_one_or_from_a_time_on() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let webhook = created(&world, |_| {}).await;
        let mut events = Vec::new();
        for _ in 0..ReplayDead::STEP + 5 {
            events.push(revoked(&world).await);
        }
        let dead = Outcome::Dead { is_gone: false, was_asked: true };
        for claimed in world.write(claim(&world, &webhook, 1_000)).await {
            assert_eq!(world.write(finish(&world, &webhook, &claimed, dead)).await, Finished::Written);
        }
        let (id, now) = (webhook.id.clone(), world.now());
        let one = ReplayDelivery { webhook: id.clone(), event: events[0].id.clone(), now, audit: world.audit() };
        assert!(world.write(one.clone()).await && !world.write(one).await, "one that waits is not replayed");
        let (from, since) = (webhook.seen(), Some(events[1].at));
        let all = ReplayDead { webhook: id, from, since, after: None, now, audit: world.audit() };
        let first = world.write(all.clone()).await.unwrap();
        assert_eq!((first.count, first.last.as_ref()), (100, Some(&events[100].id)));
        let last = world.write(ReplayDead { after: first.last, audit: world.audit(), ..all.clone() }).await.unwrap();
        assert_eq!((last.count, last.last), (4, None));
        assert_eq!(world.write(ReplayDead { audit: world.audit(), ..all.clone() }).await.unwrap().count, 0);
        let from = SeenWebhook { disabled_at: Some(now), ..webhook.seen() };
        assert!(world.write(ReplayDead { from, audit: world.audit(), ..all }).await.is_none(), "it was changed");
        let waiting = sent_to(&world, &webhook).await;
        assert!(waiting.iter().all(|one| one.state == DeliveryState::Waiting && one.attempts == 0));
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_of_an_endpoint_is_bounded_by_steps() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let webhook = created(&world, |_| {}).await;
        let mut events = Vec::new();
        for _ in 0..40 {
            events.push(revoked(&world).await);
        }
        let bound = |state, most| BoundDeliveries { webhook: webhook.id.clone(), state, most, now: world.now() };
        assert_eq!(world.write(bound(DeliveryState::Waiting, 40)).await, 0);
        assert_eq!(world.write(bound(DeliveryState::Waiting, 5)).await, Sweep::STEP as u64);
        assert_eq!(world.write(bound(DeliveryState::Waiting, 5)).await, 3);
        assert_eq!(world.write(bound(DeliveryState::Waiting, 5)).await, 0);
        let oldest = FindDelivery { webhook: webhook.id.clone(), event: events[0].id.clone() };
        let given_up = world.read(oldest.clone()).await.unwrap();
        assert_eq!((given_up.state, given_up.due_at), (DeliveryState::Dead, None));
        assert_eq!(given_up.last_error.as_deref(), Some("too many events were waiting for this endpoint"));
        assert_eq!(world.write(bound(DeliveryState::Dead, 34)).await, 1);
        assert!(world.read(oldest).await.is_none());
        assert_eq!(sent_to(&world, &webhook).await.len(), 39);
    })
    .await;
}

#[tokio::test]
async fn finished_deliveries_and_deleted_endpoints_are_swept() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (webhook, other) = (created(&world, |_| {}).await, created(&world, |_| {}).await);
        for _ in 0..Sweep::STEP + 1 {
            revoked(&world).await;
        }
        let claimed = world.write(claim(&world, &webhook, 1)).await.remove(0);
        world.write(finish(&world, &webhook, &claimed, Outcome::Delivered)).await;
        world.advance(30 * 86_400);
        assert_eq!(world.write(world.sweep_of(Swept::WebhookDeliveries)).await, 0);
        world.advance(1);
        assert_eq!(world.write(world.sweep_of(Swept::WebhookDeliveries)).await, 1);
        assert_eq!(sent_to(&world, &webhook).await.len(), Sweep::STEP as usize, "what waits stays");

        assert!(world.write(change(&world, &webhook, WebhookChange::Delete)).await);
        let removed = async || world.write(world.sweep_of(Swept::DeletedWebhooks)).await;
        assert_eq!((removed().await, removed().await, removed().await), (32, 1, 0));
        assert_eq!(sent_to(&world, &other).await.len(), 33);
        assert_eq!(world.read(Ask::new("SELECT id FROM webhooks", [])).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn endpoints_and_deliveries_are_listed_page_by_page_by_an_index() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let mut webhooks = Vec::new();
        for _ in 0..5 {
            webhooks.push(created(&world, |_| {}).await.id);
        }
        let id = |webhook: &WebhookRecord| webhook.id.clone();
        let listed = pages(&world, |last| ListWebhooks { after: last.map(id), limit: 2 }).await;
        assert_eq!(listed.iter().map(id).collect::<Vec<_>>(), webhooks);

        let mut events = Vec::new();
        for _ in 0..5 {
            events.insert(0, revoked(&world).await.id);
        }
        let (first, event) = (webhooks[0].clone(), |delivery: &DeliveryRecord| delivery.event_id.clone());
        for state in [None, Some(DeliveryState::Waiting)] {
            let list = |last: Option<&DeliveryRecord>| ListDeliveries {
                webhook: first.clone(),
                state,
                before: last.map(event),
                limit: 2,
            };
            let listed = pages(&world, list).await;
            assert_eq!(listed.iter().map(event).collect::<Vec<_>>(), events, "the newest come first");
            let index = if state.is_some() { "webhook_deliveries_by_state" } else { "pkey" };
            assert_reads_by(&world, &database, list(None), "webhook_deliveries", index).await;
        }
    })
    .await;
}

#[tokio::test]
async fn caller_with_limits_has_a_share_of_the_endpoints() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let of = |owner: &str| Limits { apis: Vec::new(), owners: vec![owner.parse().unwrap()] };
        let create = async |owner: Option<&str>| {
            let mut webhook = record(&world);
            webhook.metadata.owners = owner.iter().map(|owner| owner.parse().unwrap()).collect();
            let share = owner.map(|owner| (of(owner), 2));
            world.write(CreateWebhook { webhook, most: 100, share, audit: world.audit() }).await
        };
        use WebhookCreation::{Created, ShareUsedUp};
        assert_eq!((create(Some("evilco")).await, create(Some("evilco")).await), (Created, Created));
        assert_eq!(create(Some("evilco")).await, ShareUsedUp);
        assert_eq!((create(Some("acme")).await, create(None).await), (Created, Created));
    })
    .await;
}

#[tokio::test]
async fn no_more_endpoints_than_the_bound() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let create = async || {
            let webhook = record(&world);
            world.write(CreateWebhook { webhook, most: 2, share: None, audit: world.audit() }).await
        };
        use WebhookCreation::{Created, TooMany};
        assert_eq!((create().await, create().await, create().await), (Created, Created, TooMany));
    })
    .await;
}
