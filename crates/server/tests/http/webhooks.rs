//! What endpoints of webhooks are sent, by a server whose tasks run: a real receiver takes it, fails, redirects, keeps
//! silent, or is gone.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use doorward_core::{
    clock::Timestamp,
    webhook_retry::PAUSES,
    webhook_secret::{WebhookSecret, signatures},
};
use doorward_server::manage::{audit::Explained, keys::NewKey, times};
use serde_json::{Value, json};

use crate::{
    harness::*,
    manage::manager::{Manager, refused},
};

/// An endpoint that was created over HTTP.
struct Endpoint {
    path: String,
    secret: String,
}

async fn endpoint(manager: &Manager<'_>, url: &str) -> Endpoint {
    let created = manager.post("/v1/webhooks", json!({ "url": url })).await.expect(201);
    Endpoint { path: created.header("location").unwrap().to_owned(), secret: created.text("secret") }
}

impl Endpoint {
    /// Sends a test, and gives the path of its delivery.
    async fn test(&self, manager: &Manager<'_>) -> String {
        let sent = manager.act(&format!("{}/test", self.path)).await.expect(200);
        format!("{}/deliveries/{}", self.path, sent.text("id"))
    }
}

/// Waits until a delivery is in a state, and gives it.
async fn in_state(manager: &Manager<'_>, delivery: &str, state: &str) -> Value {
    eventually(state, async || {
        let shown = manager.get(delivery).await.expect(200).json();
        (shown["state"] == state).then_some(shown)
    })
    .await
}

/// Waits until a delivery was tried so often and is not under way.
async fn tried(manager: &Manager<'_>, delivery: &str, attempts: u64) -> Value {
    eventually("an attempt", async || {
        let shown = manager.get(delivery).await.expect(200).json();
        (shown["attempts"] == attempts && !shown["last_error"].is_null()).then_some(shown)
    })
    .await
}

/// Whether a message is signed with a secret, by the rule of Standard Webhooks.
fn is_signed_with(message: &Received, secret: &str) -> bool {
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let secret = WebhookSecret::from_bytes(&secret).unwrap();
    let at = Timestamp::from_secs(message.header("webhook-timestamp").parse().unwrap());
    let expected = signatures([&secret], message.header("webhook-id"), at, &message.body);
    message.header("webhook-signature").split(' ').any(|signature| signature == expected)
}

#[tokio::test]
async fn test_event_arrives_signed_and_is_noted_as_delivered() {
    on_each_engine(async |server| {
        let (manager, receiver) = (Manager::of_all(server).await, Receiver::start().await);
        let endpoint = endpoint(&manager, &receiver.url).await;
        let delivery = endpoint.test(&manager).await;
        let message = receiver.wait_for(1).await.remove(0);
        assert_eq!(message.header("content-type"), "application/json");
        assert_eq!(message.header("webhook-timestamp"), server.now().to_string());
        assert!(delivery.ends_with(message.header("webhook-id")));
        assert!(is_signed_with(&message, &endpoint.secret), "{message:?}");
        let id = endpoint.path.rsplit('/').next().unwrap();
        let at = times::rfc3339(Timestamp::from_secs(server.now()));
        assert_eq!(message.json(), json!({"type": "webhook.test", "timestamp": at, "data": {"webhook_id": id}}));
        assert!(message.body.starts_with(br#"{"type":"webhook.test","timestamp":"#));

        let shown = in_state(&manager, &delivery, "delivered").await;
        assert_eq!((&shown["attempts"], &shown["last_status"]), (&json!(1), &json!(204)));
        assert_eq!((&shown["last_error"], &shown["next_attempt_at"]), (&Value::Null, &Value::Null));
        let of_state = async |state: &str| {
            let path = format!("{}/deliveries?state={state}", endpoint.path);
            manager.get(&path).await.expect(200).json()["items"].as_array().unwrap().len()
        };
        assert_eq!((of_state("delivered").await, of_state("dead").await), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn failing_endpoint_is_retried_until_it_succeeds() {
    let server = TestServer::start().await;
    let (manager, receiver) = (Manager::of_all(&server).await, Receiver::start().await);
    let endpoint = endpoint(&manager, &receiver.url).await;
    receiver.reply(Reply::Status(500));
    let delivery = endpoint.test(&manager).await;
    let first = tried(&manager, &delivery, 1).await;
    assert_eq!((&first["state"], &first["last_status"]), (&json!("waiting"), &json!(500)));
    assert_eq!(first["last_error"], "the endpoint answered 500");
    assert!(manager.get(&endpoint.path).await.expect(200).json()["failing_since"].is_string());

    server.advance_secs(6);
    tried(&manager, &delivery, 2).await;
    receiver.reply(Reply::Redirect);
    server.advance_secs(331);
    let third = tried(&manager, &delivery, 3).await;
    assert_eq!(third["last_status"], 307, "a redirect is a failure");
    receiver.reply(Reply::Status(200));
    server.advance_secs(1_981);
    in_state(&manager, &delivery, "delivered").await;
    let received = receiver.received();
    assert_eq!(received.len(), 4, "a redirect was followed");
    assert!(received.iter().all(|message| message.header("webhook-id") == received[0].header("webhook-id")));
    assert!(received.iter().all(|message| is_signed_with(message, &endpoint.secret)));
    let times: Vec<i64> = received.iter().map(|message| message.header("webhook-timestamp").parse().unwrap()).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "each attempt has its own time: {times:?}");
    assert_eq!(manager.get(&endpoint.path).await.json()["failing_since"], Value::Null);
}

#[tokio::test]
async fn delivery_that_never_succeeds_is_dead_and_can_be_replayed() {
    on_each_engine(async |server| {
        let (manager, receiver) = (Manager::of_all(server).await, Receiver::start().await);
        let endpoint = endpoint(&manager, &receiver.url).await;
        receiver.reply(Reply::Status(503));
        let delivery = endpoint.test(&manager).await;
        for (attempt, pause) in (1..).zip(PAUSES) {
            tried(&manager, &delivery, attempt).await;
            server.advance(pause + pause / 10);
        }
        let dead = in_state(&manager, &delivery, "dead").await;
        assert_eq!((&dead["attempts"], &dead["last_status"]), (&json!(10), &json!(503)));
        assert_eq!(dead["next_attempt_at"], Value::Null);
        let shown = manager.get(&endpoint.path).await.json();
        assert_eq!(shown["disabled_at"], Value::Null, "it has failed for less than five days");

        receiver.reply(Reply::Status(200));
        let replayed = manager.act(&format!("{}/replay", endpoint.path)).await.expect(200);
        assert_eq!(replayed.json(), json!({"replayed": 1}));
        let delivered = in_state(&manager, &delivery, "delivered").await;
        assert_eq!((receiver.received().len(), &delivered["attempts"]), (11, &json!(1)));
        let again = manager.act(&format!("{}/replay", endpoint.path)).await.expect(200);
        assert_eq!(again.json(), json!({"replayed": 0}), "what was delivered is not dead");
        manager.act(&format!("{delivery}/replay")).await.expect(200);
        let received = receiver.wait_for(12).await;
        assert!(received.iter().all(|message| message.header("webhook-id") == received[0].header("webhook-id")));
    })
    .await;
}

#[tokio::test]
async fn endpoint_that_fails_for_five_days_is_disabled() {
    let server = TestServer::start().await;
    let (manager, receiver) = (Manager::of_all(&server).await, Receiver::start().await);
    let endpoint = endpoint(&manager, &receiver.url).await;
    receiver.reply(Reply::Status(404));
    let delivery = endpoint.test(&manager).await;
    for attempt in 1..=5 {
        tried(&manager, &delivery, attempt).await;
        server.advance_secs(24 * 3_600 + 1);
    }
    tried(&manager, &delivery, 6).await;
    let disabled = manager.get(&endpoint.path).await.json();
    assert_eq!(disabled["disabled_because"], "failing");
    let is_it = |event: &Explained| event.action == "webhook.disabled" && event.details["because"] == "failing";
    server.audit("the endpoint is disabled", |events| events.iter().any(is_it)).await;
    server.advance_secs(24 * 3_600);
    let dead = in_state(&manager, &delivery, "dead").await;
    assert_eq!(dead["last_error"], "the endpoint is disabled");
    assert_eq!(receiver.received().len(), 6, "a disabled endpoint was sent something");
    assert_eq!(refused(&manager.act(&format!("{delivery}/replay")).await, 409), "conflict");
}

#[tokio::test]
async fn dead_ones_are_replayed_from_a_time_on() {
    let server = TestServer::start().await;
    let (manager, receiver) = (Manager::of_all(&server).await, Receiver::start().await);
    let endpoint = endpoint(&manager, &receiver.url).await;
    receiver.reply(Reply::Status(410));
    let old = endpoint.test(&manager).await;
    in_state(&manager, &old, "dead").await;
    server.advance_secs(3_600);
    manager.act(&format!("{}/enable", endpoint.path)).await.expect(200);
    let new = endpoint.test(&manager).await;
    in_state(&manager, &new, "dead").await;
    manager.act(&format!("{}/enable", endpoint.path)).await.expect(200);
    receiver.reply(Reply::Status(200));
    let replay = format!("{}/replay?since=2030-03-17T18:00:00Z", endpoint.path);
    assert_eq!(manager.act(&replay).await.expect(200).json(), json!({"replayed": 1}));
    in_state(&manager, &new, "delivered").await;
    in_state(&manager, &old, "dead").await;
    let wrong = manager.act(&format!("{}/replay?since=yesterday", endpoint.path)).await;
    assert_eq!(refused(&wrong, 400), "query_invalid");
}

#[tokio::test]
async fn endpoint_that_is_gone_is_disabled_at_once() {
    let server = TestServer::start().await;
    let (manager, receiver) = (Manager::of_all(&server).await, Receiver::start().await);
    let endpoint = endpoint(&manager, &receiver.url).await;
    receiver.reply(Reply::Status(410));
    let delivery = endpoint.test(&manager).await;
    in_state(&manager, &delivery, "dead").await;
    let shown = manager.get(&endpoint.path).await.json();
    assert_eq!((shown["disabled_at"].is_string(), &shown["disabled_because"]), (true, &json!("gone")));
    assert_eq!(refused(&manager.act(&format!("{}/test", endpoint.path)).await, 409), "conflict");
    assert_eq!(receiver.received().len(), 1);
    let enabled = manager.act(&format!("{}/enable", endpoint.path)).await.expect(200).json();
    assert_eq!((&enabled["disabled_at"], &enabled["disabled_because"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn silent_endpoint_times_out_and_delays_no_other() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let (silent, quick) = (Receiver::start().await, Receiver::start().await);
    silent.reply(Reply::Silence);
    let slow = endpoint(&manager, &silent.url).await;
    let mut delivery = String::new();
    for _ in 0..6 {
        delivery = slow.test(&manager).await;
    }
    silent.wait_for(4).await;
    let fast = endpoint(&manager, &quick.url).await;
    let arrives = fast.test(&manager).await;
    in_state(&manager, &arrives, "delivered").await;
    assert_eq!(silent.received().len(), 4, "an endpoint has four places");
    let list = async || manager.get(&format!("{}/deliveries", slow.path)).await.expect(200).json();
    let timed_out = eventually("a timeout", async || {
        let items = list().await["items"].as_array().unwrap().clone();
        items.into_iter().find(|one| one["last_error"].is_string())
    });
    assert_eq!(timed_out.await["last_error"], "no answer within 15 s");
    manager.get(&delivery).await.expect(200);
}

#[tokio::test]
async fn silent_endpoints_of_a_customer_delay_no_other() {
    on_each_engine(async |server| {
        let (manager, honest) = (Manager::of_all(server).await, Receiver::start().await);
        let limits = NewKey {
            limited_to_owners: vec!["evilco".to_owned()],
            ..new_key("doorward", "webhooks:read webhooks:write")
        };
        let customer = Manager::by(server, limits).await;
        let mut silent = Vec::new();
        for _ in 0..10 {
            let receiver = Receiver::start().await;
            receiver.reply(Reply::Silence);
            let created = customer.post("/v1/webhooks", json!({"url": receiver.url, "owners": ["evilco"]})).await;
            let path = created.expect(201).header("location").unwrap().to_owned();
            silent.push((receiver, path));
        }
        for _ in 0..8 {
            for (_, path) in &silent {
                customer.act(&format!("{path}/test")).await.expect(200);
            }
        }
        eventually("a message", async || {
            silent.iter().any(|(receiver, _)| !receiver.received().is_empty()).then_some(())
        })
        .await;
        // The time of an attempt that is not answered is not waited for.
        let fast = endpoint(&manager, &honest.url).await;
        let began = std::time::Instant::now();
        let arrives = fast.test(&manager).await;
        in_state(&manager, &arrives, "delivered").await;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    })
    .await;
}

#[tokio::test]
async fn both_secrets_sign_until_the_old_one_ends() {
    let server = TestServer::start().await;
    let (manager, receiver) = (Manager::of_all(&server).await, Receiver::start().await);
    let endpoint = endpoint(&manager, &receiver.url).await;
    let rotated = manager.act(&format!("{}/rotate-secret?overlap=3600", endpoint.path)).await.expect(200);
    let new = rotated.text("secret");
    assert!(manager.get(&endpoint.path).await.json()["previous_secret_ends_at"].is_string());
    endpoint.test(&manager).await;
    let both = receiver.wait_for(1).await.remove(0);
    assert!(is_signed_with(&both, &endpoint.secret) && is_signed_with(&both, &new));
    server.advance_secs(3_600);
    assert_eq!(manager.get(&endpoint.path).await.json()["previous_secret_ends_at"], Value::Null);
    endpoint.test(&manager).await;
    let one = receiver.wait_for(2).await.remove(1);
    assert!(!is_signed_with(&one, &endpoint.secret) && is_signed_with(&one, &new));
    let too_long = manager.act(&format!("{}/rotate-secret?overlap=2592001", endpoint.path)).await;
    assert_eq!(refused(&too_long, 400), "query_invalid");
}

#[tokio::test]
async fn private_address_is_refused_when_it_is_sent_to() {
    let server = TestServer::start().await;
    let receiver = Receiver::start().await;
    let path = {
        let manager = Manager::of_all(&server).await;
        endpoint(&manager, &receiver.url).await.path
    };
    // The same endpoint, at a server that does not send to its own machine.
    let (mut stopped, address) = server.stop().await;
    stopped.settings.webhooks.allow_loopback = false;
    let server = stopped.start(address).await;
    let manager = Manager::of_all(&server).await;
    let sent = manager.act(&format!("{path}/test")).await.expect(200);
    let delivery = format!("{path}/deliveries/{}", sent.text("id"));
    let refusal = tried(&manager, &delivery, 1).await;
    assert_eq!(refusal["last_error"], "refused: 127.0.0.1 is not a public address");
    assert!(receiver.received().is_empty());
    let created = manager.post("/v1/webhooks", json!({"url": receiver.url})).await;
    assert_eq!(refused(&created, 422), "body_invalid");
}
