//! Rate limits, quotas and numbers of uses of keys.

use std::sync::Arc;

use doorward_core::{
    clock::Timestamp,
    key_limits::{Per, Quota, RateLimit},
};
use doorward_server::manage::keys::NewKey;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    harness::*,
    manage::manager::{Manager, places},
};

fn limited() -> NewKey {
    new_key("notes", "notes:read")
}

async fn ask(server: &TestServer, path: &str, body: Value) -> Value {
    let notes = &server.world.notes;
    let request = server.caller.request(Method::POST, path).basic_auth(&notes.id, notes.secret.as_deref());
    server.caller.send(request.json(&body)).await.expect(200).json()
}

/// The verdict about a use of the key.
async fn used(server: &TestServer, key: &str) -> Value {
    ask(server, "/v1/keys/verify", json!({"key": key, "scopes": ["notes:read"]})).await
}

/// How many of so many uses were accepted.
async fn granted(server: &TestServer, key: &str, uses: usize) -> usize {
    let mut granted = 0;
    for _ in 0..uses {
        granted += usize::from(used(server, key).await["valid"] == true);
    }
    granted
}

#[tokio::test]
async fn rate_limit_refuses_until_its_bucket_is_refilled() {
    let server = TestServer::start().await;
    let rate_limit = Some(RateLimit { requests: 3, seconds: 60 });
    let key = key(&server.app, NewKey { rate_limit, ..limited() }).await;
    let first = used(&server, &key).await;
    assert_eq!((&first["valid"], &first["reusable"]), (&json!(true), &json!(false)));
    let bucket = |left: u64, resets_in: u64| json!({"rate_limit": {"requests": 3, "seconds": 60, "left": left, "resets_in": resets_in}});
    assert_eq!(first["limits"], bucket(2, 20));
    assert_eq!(granted(&server, &key, 5).await, 2);
    let refused = used(&server, &key).await;
    let expected = json!({"valid": false, "code": "key_rate_limited", "reusable": false, "retry_after": 20,
        "limits": bucket(0, 20)});
    assert_eq!(refused, expected);
    server.advance_secs(20);
    assert_eq!(granted(&server, &key, 5).await, 1, "one use is refilled in twenty seconds");
    server.advance_secs(600);
    assert_eq!(granted(&server, &key, 5).await, 3);
}

#[tokio::test]
async fn clock_that_is_set_neither_closes_nor_fills_a_bucket() {
    let server = TestServer::start().await;
    let rate_limit = Some(RateLimit { requests: 3, seconds: 60 });
    let key = key(&server.app, NewKey { rate_limit, ..limited() }).await;
    let set = |secs: i64| server.clock.set(Timestamp::from_secs(server.now() + secs));
    assert_eq!(granted(&server, &key, 2).await, 2);
    for step in [-30, 3_600, -3_600] {
        set(step);
        assert_eq!(granted(&server, &key, 5).await, if step == -30 { 1 } else { 0 }, "no step changes a bucket");
    }
    server.advance_secs(20);
    assert_eq!(granted(&server, &key, 5).await, 1);
}

#[tokio::test]
async fn quota_begins_again_with_the_next_day() {
    on_each_engine(async |server| {
        let quota = Some(Quota { requests: 4, per: Per::Day });
        let key = key(&server.app, NewKey { quota, ..limited() }).await;
        assert_eq!(granted(server, &key, 6).await, 4);
        let until_tomorrow = 86_400 - server.now() % 86_400;
        let refused = used(server, &key).await;
        assert_eq!(
            (&refused["code"], &refused["retry_after"]),
            (&json!("key_quota_exhausted"), &json!(until_tomorrow))
        );
        assert_eq!(refused["limits"]["quota"]["left"], 0);
        server.advance_secs(u64::try_from(until_tomorrow).unwrap());
        assert_eq!(granted(server, &key, 6).await, 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn race_for_ten_uses_grants_exactly_ten() {
    on_each_engine(async |server| {
        let key: Arc<str> = key(&server.app, NewKey { uses: Some(10), ..limited() }).await.into();
        let (notes, mut race) = (&server.world.notes, JoinSet::new());
        let authorization = basic(&notes.id, notes.secret.as_deref().unwrap());
        for _ in 0..100 {
            let (caller, key, authorization) = (Caller::new(&server.caller.base), key.clone(), authorization.clone());
            race.spawn(async move {
                let verdict = caller.verify_key(("authorization", &authorization), &key, &[]).await.expect(200);
                (verdict.json()["valid"].as_bool().unwrap(), verdict.text("code"))
            });
        }
        let outcomes = race.join_all().await;
        assert_eq!(outcomes.iter().filter(|(valid, _)| *valid).count(), 10);
        assert_eq!(outcomes.iter().filter(|(_, code)| code == "key_uses_exhausted").count(), 90);
    })
    .await;
}

#[tokio::test]
async fn refusal_for_another_reason_uses_nothing_up() {
    on_each_engine(async |server| {
        let rate_limit = Some(RateLimit { requests: 1, seconds: 60 });
        let quota = Some(Quota { requests: 1, per: Per::Month });
        let allowed_addresses = vec!["192.0.2.0/24".to_owned()];
        let key = key(&server.app, NewKey { rate_limit, quota, uses: Some(1), allowed_addresses, ..limited() }).await;
        let about = async |address: &str, scopes: Value| {
            ask(server, "/v1/keys/verify", json!({"key": key, "scopes": scopes, "address": address})).await
        };
        for _ in 0..3 {
            assert_eq!(about("192.0.2.1", json!(["notes:write"])).await["code"], "insufficient_scope");
            assert_eq!(about("192.0.3.1", json!([])).await["code"], "key_address_not_allowed");
            let body = json!({"headers": {"x-api-key": key}, "method": "GET", "uri": "/", "roles": ["admin"],
                "address": "192.0.2.1"});
            assert_eq!(ask(server, "/v1/requests/verify", body).await["code"], "insufficient_permission");
        }
        assert_eq!(about("192.0.2.1", json!(["notes:read"])).await["valid"], true);
    })
    .await;
}

#[tokio::test]
async fn limit_that_refuses_leaves_the_others_as_they_were() {
    let server = TestServer::start().await;
    let rate_limit = Some(RateLimit { requests: 2, seconds: 60 });
    let quota = Some(Quota { requests: 10, per: Per::Day });
    let manager = Manager::of_all(&server).await;
    let body = json!({"api": "notes", "name": "ci", "rate_limit": rate_limit, "quota": quota, "uses": 1});
    let created = manager.post("/v1/keys", body).await.expect(201);
    let key = created.text("secret");
    let code = async || ask(&server, "/v1/keys/verify", json!({"key": key})).await["code"].clone();
    assert_eq!(code().await, "valid");
    for _ in 0..5 {
        assert_eq!(code().await, "key_uses_exhausted");
    }
    let path = format!("/v1/keys/{}", created.text("id"));
    let shown = manager.get(&path).await.expect(200).json();
    assert_eq!((&shown["quota_left"], &shown["uses_left"]), (&json!(9), &json!(0)));
    manager.patch(&path, json!({"uses": 5})).await.expect(200);
    assert_eq!(code().await, "valid", "the bucket still holds one");
    assert_eq!(code().await, "key_rate_limited");
    let shown = manager.get(&path).await.expect(200).json();
    assert_eq!((&shown["quota_left"], &shown["uses_left"]), (&json!(8), &json!(4)));
}

#[tokio::test]
async fn limits_are_created_shown_changed_and_ended() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let (rate_limit, quota) = (json!({"requests": 100, "seconds": 60}), json!({"requests": 1_000, "per": "month"}));
        let body = json!({"api": "notes", "name": "ci", "scopes": ["notes:read"], "rate_limit": rate_limit, "quota": quota,
            "uses": 50});
        let created = manager.post("/v1/keys", body).await.expect(201);
        let (path, key) = (format!("/v1/keys/{}", created.text("id")), created.text("secret"));
        let left = |key: &Value| (key["quota_left"].clone(), key["uses_left"].clone());
        assert_eq!(left(&created.json()), (json!(1_000), json!(50)));
        assert_eq!(granted(server, &key, 3).await, 3);
        let shown = manager.get(&path).await.expect(200).json();
        assert_eq!((&shown["rate_limit"], &shown["quota"]), (&rate_limit, &quota));
        assert_eq!(left(&shown), (json!(997), json!(47)));
        let listed = manager.get("/v1/keys?revoked=false&limit=100").await.expect(200).json();
        let listed = listed["items"].as_array().unwrap().iter().find(|item| item["id"] == shown["id"]).cloned();
        assert_eq!(left(&listed.unwrap()), (json!(997), json!(47)));

        let renamed = manager.patch(&path, json!({"name": "build"})).await.expect(200).json();
        assert_eq!(left(&renamed), (json!(997), json!(47)), "what is not named stays");
        let anew = manager.patch(&path, json!({"uses": 2, "quota": {"requests": 500}})).await.expect(200).json();
        assert_eq!((left(&anew), &anew["quota"]["per"]), ((json!(497), json!(2)), &json!("month")));
        assert_eq!(granted(server, &key, 3).await, 2);
        manager.patch(&path, json!({"uses": null})).await.expect(200);
        assert_eq!(granted(server, &key, 3).await, 3);
        let none = manager.patch(&path, json!({"quota": null, "rate_limit": null})).await.expect(200).json();
        assert_eq!((left(&none), &none["rate_limit"]), ((Value::Null, Value::Null), &Value::Null));
        assert_eq!(used(server, &key).await["reusable"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn limits_out_of_bounds_have_their_places() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let create = async |members: Value| {
        let mut body = json!({"api": "notes", "name": "ci"});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        places(&manager.post("/v1/keys", body).await.expect(422))
    };
    let all = json!({"rate_limit": {"requests": 0, "seconds": 86_401}, "quota": {"requests": 0, "per": "day"},
        "uses": 1_000_000_000_001_u64});
    assert_eq!(create(all).await, ["/rate_limit/requests", "/rate_limit/seconds", "/quota/requests", "/uses"]);
}

#[tokio::test]
async fn caller_of_the_api_gets_the_headers() {
    let server = TestServer::start().await;
    let key = key(&server.app, NewKey { uses: Some(1), ..limited() }).await;
    let about = async || {
        let body = json!({"headers": {"x-api-key": key}, "method": "GET", "uri": "/notes", "scopes": ["notes:read"]});
        ask(&server, "/v1/requests/verify", body).await
    };
    let allowed = about().await;
    let headers = json!({"ratelimit": "\"uses\";r=0", "ratelimit-policy": "\"uses\";q=1"});
    assert_eq!(allowed["reusable"], false);
    assert_eq!((&allowed["allowed"], &allowed["answer"]), (&json!(true), &json!({"headers": headers})));
    let refused = about().await;
    assert_eq!((&refused["code"], &refused["answer"]["status"]), (&json!("key_uses_exhausted"), &json!(403)));
    assert_eq!(refused["answer"]["headers"]["ratelimit"], "\"uses\";r=0");
    assert_eq!(refused["answer"]["headers"]["www-authenticate"], Value::Null);
}

#[tokio::test]
async fn management_api_says_the_limits_of_its_callers_keys() {
    let server = TestServer::start().await;
    let rate_limit = Some(RateLimit { requests: 1, seconds: 60 });
    let key = key(&server.app, NewKey { rate_limit, ..new_key("doorward", "keys:read") }).await;
    let list = async || server.caller.get_with("/v1/keys", &[("x-api-key", &key)]).await;
    let first = list().await.expect(200);
    assert_eq!(first.header("ratelimit-policy"), Some("\"rate\";q=1;w=60"));
    assert_eq!(first.header("ratelimit"), Some("\"rate\";r=0;t=60"));
    let refused = list().await.expect(429);
    assert_eq!((refused.header("retry-after"), refused.text("code")), (Some("60"), "key_rate_limited".to_owned()));
}

#[tokio::test]
async fn servers_on_one_database_never_exceed_a_limit_together() {
    on_each_engine(async |server| {
        let quota = Some(Quota { requests: 300, per: Per::Month });
        let key = key(&server.app, NewKey { quota, ..limited() }).await;
        let other = server.beside().await;
        server.stop_tasks().await;
        other.stop_tasks().await;
        let mut given = [0, 0];
        for _ in 0..40 {
            given[0] += granted(server, &key, 4).await;
            given[1] += granted(&other, &key, 4).await;
        }
        let left = [server, &other].map(|server| server.app.clone());
        for app in &left {
            app.return_uses().await.unwrap();
        }
        server.advance_secs(1);
        // What one of them had in hand when the other found nothing is given back, and is given out.
        let rest = granted(&other, &key, 300).await;
        assert_eq!(given[0] + given[1] + rest, 300);
        assert!(given.iter().all(|given| *given >= 100), "{given:?}");
    })
    .await;
}

#[tokio::test]
async fn server_that_ends_gives_back_what_it_has() {
    let server = TestServer::start().await;
    let key = key(&server.app, NewKey { uses: Some(200), ..limited() }).await;
    assert_eq!(used(&server, &key).await["limits"]["uses"]["left"], 199);
    let server = server.restart().await;
    assert_eq!(used(&server, &key).await["limits"]["uses"]["left"], 198);
}

#[tokio::test]
async fn uses_that_are_not_needed_are_given_back_within_two_seconds() {
    on_each_engine(async |server| {
        server.stop_tasks().await;
        let key = key(&server.app, NewKey { uses: Some(200), ..limited() }).await;
        let other = server.beside().await;
        used(server, &key).await;
        server.app.return_idle_uses().await.unwrap();
        assert_eq!(used(&other, &key).await["limits"]["uses"]["left"], 189, "ten are in the first server's hand");
        server.app.return_idle_uses().await.unwrap();
        other.app.return_uses().await.unwrap();
        assert_eq!(used(&other, &key).await["limits"]["uses"]["left"], 197);
    })
    .await;
}
