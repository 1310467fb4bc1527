//! Counts of the use of keys, and their last use.

use doorward_core::key_usage::KeptAddress;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::*,
    manage::manager::{Manager, places},
};

/// What the API notes is answered about its caller's key.
async fn used(server: &TestServer, key: &str, scopes: &[&str], address: &str) -> String {
    let notes = &server.world.notes;
    let request = server.caller.request(Method::POST, "/v1/keys/verify").basic_auth(&notes.id, notes.secret.as_deref());
    let body = json!({"key": key, "scopes": scopes, "address": address});
    server.caller.send(request.json(&body)).await.expect(200).text("code")
}

struct Counted {
    path: String,
    key: String,
}

async fn created(manager: &Manager<'_>) -> Counted {
    let body =
        json!({"api": "notes", "name": "ci", "scopes": ["notes:read"], "rate_limit": {"requests": 3, "seconds": 60}});
    let created = manager.post("/v1/keys", body).await.expect(201);
    Counted { path: format!("/v1/keys/{}", created.text("id")), key: created.text("secret") }
}

/// The counts by day and outcome.
async fn counts(manager: &Manager<'_>, counted: &Counted, query: &str) -> Vec<(String, String, u64)> {
    let answer = manager.get(&format!("{}/usage{query}", counted.path)).await.expect(200).json();
    let count = |item: &Value| {
        let latencies = ["within_1ms", "within_10ms", "within_100ms", "slower"];
        let sum: u64 = latencies.iter().map(|name| item[*name].as_u64().unwrap()).sum();
        assert_eq!(item["count"], sum);
        (item["day"].as_str().unwrap().to_owned(), item["outcome"].as_str().unwrap().to_owned(), sum)
    };
    answer["items"].as_array().unwrap().iter().map(count).collect()
}

#[tokio::test]
async fn uses_are_counted_by_day_and_outcome() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let counted = created(&manager).await;
        for _ in 0..4 {
            used(server, &counted.key, &["notes:read"], "192.0.2.1").await;
        }
        used(server, &counted.key, &["notes:write"], "192.0.2.1").await;
        server.app.flush_uses().await.unwrap();
        let today = |outcome: &str, count| ("2030-03-17".to_owned(), outcome.to_owned(), count);
        let first = [today("insufficient_scope", 1), today("key_rate_limited", 1), today("valid", 3)];
        assert_eq!(counts(&manager, &counted, "").await, first);

        server.advance_secs(86_400);
        manager.act(&format!("{}/revoke", counted.path)).await.expect(200);
        used(server, &counted.key, &[], "192.0.2.1").await;
        used(server, &counted.key, &[], "192.0.2.1").await;
        server.app.flush_uses().await.unwrap();
        let second = ("2030-03-18".to_owned(), "key_revoked".to_owned(), 2);
        assert_eq!(counts(&manager, &counted, "?since=2030-03-18").await, std::slice::from_ref(&second));
        assert_eq!(counts(&manager, &counted, "?until=2030-03-17").await, first);
        assert_eq!(counts(&manager, &counted, "").await, [&first[..], &[second]].concat());
    })
    .await;
}

#[tokio::test]
async fn uses_of_kept_answers_are_counted_with_the_next_question() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let counted = created(&manager).await;
    let notes = &server.world.notes;
    let ask = async |uses: Value| {
        let request =
            server.caller.request(Method::POST, "/v1/keys/verify").basic_auth(&notes.id, notes.secret.as_deref());
        server.caller.send(request.json(&json!({"key": counted.key, "uses": uses}))).await
    };
    ask(json!(7)).await.expect(200);
    ask(Value::Null).await.expect(200);
    assert_eq!(places(&ask(json!(1_000_001)).await.expect(422)), ["/uses"]);
    manager.act(&format!("{}/disable", counted.path)).await.expect(200);
    ask(json!(2)).await.expect(200);
    server.app.flush_uses().await.unwrap();
    let counts = counts(&manager, &counted, "").await;
    let counts: Vec<_> = counts.iter().map(|(_, outcome, count)| (outcome.as_str(), *count)).collect();
    assert_eq!(counts, [("key_disabled", 1), ("valid", 11)]);
}

#[tokio::test]
async fn counts_come_a_page_at_a_time() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let counted = created(&manager).await;
    for scopes in [&["notes:read"][..], &["notes:write"]] {
        used(&server, &counted.key, scopes, "192.0.2.1").await;
    }
    server.app.flush_uses().await.unwrap();
    let first = manager.get(&format!("{}/usage?limit=1", counted.path)).await.expect(200).json();
    assert_eq!(first["items"][0]["outcome"], "insufficient_scope");
    let cursor = first["next"].as_str().unwrap();
    let second = manager.get(&format!("{}/usage?limit=1&cursor={cursor}", counted.path)).await.expect(200).json();
    assert_eq!((&second["items"][0]["outcome"], &second["next"]), (&json!("valid"), &Value::Null));
    let wrong = manager.get(&format!("{}/usage?since=2030-02-30&until=today", counted.path)).await.expect(400);
    assert_eq!(places(&wrong), ["?since", "?until"]);
}

#[tokio::test]
async fn counts_of_several_servers_add_up_and_a_clean_end_loses_none() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let counted = created(&manager).await;
        let other = server.beside().await;
        used(server, &counted.key, &["notes:read"], "192.0.2.1").await;
        used(&other, &counted.key, &["notes:read"], "192.0.2.1").await;
        other.stop().await;
        server.app.flush_uses().await.unwrap();
        let counts = counts(&manager, &counted, "").await;
        assert_eq!(
            counts.iter().map(|(_, outcome, count)| (outcome.as_str(), *count)).collect::<Vec<_>>(),
            [("valid", 2)]
        );
    })
    .await;
}

#[tokio::test]
async fn key_shows_when_and_from_where_it_was_last_used() {
    for (kept, shown) in [
        (KeptAddress::Full, json!("192.0.2.7")),
        (KeptAddress::Network, json!("192.0.2.0/24")),
        (KeptAddress::None, Value::Null),
    ] {
        let server = TestServer::start_with(|settings| settings.keys.last_used_address = kept).await;
        let manager = Manager::of_all(&server).await;
        let counted = created(&manager).await;
        let last = async || {
            let key = manager.get(&counted.path).await.expect(200).json();
            (key["last_used_at"].clone(), key["last_used_address"].clone())
        };
        used(&server, &counted.key, &[], "192.0.2.7").await;
        server.app.flush_uses().await.unwrap();
        assert_eq!(last().await, (json!("2030-03-17T17:46:42Z"), shown));
    }
}
