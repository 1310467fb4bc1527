//! Keys about which the issuer's answer holds for one use only.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get};
use doorward_core::clock::ManualClock;
use doorward_guard::scope;
use serde_json::{Value, json};

use crate::{
    api::{Api, builder},
    fake_issuer::{FakeIssuer, NOW, VERIFY},
};

/// The issuer's answer about a key that is good for one use.
fn for_one_use() -> Value {
    json!({"valid": true, "reusable": false, "principal": {"kind": "key", "sub": "key_1", "credential": "api_key",
        "audience": crate::fake_issuer::API, "scope": "notes:read"}})
}

#[tokio::test]
async fn each_use_of_such_a_key_is_a_question_of_its_own() {
    let issuer = FakeIssuer::start().await;
    let api = Arc::new(Api::start(&issuer).await);
    let key = issuer.unknown_key();
    issuer.answer(&key, for_one_use());
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let (api, key) = (api.clone(), key.clone());
            tokio::spawn(async move { api.get("/notes", &key).await.status })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 200);
    }
    assert_eq!(issuer.asked(VERIFY), 20);
    issuer.answer(&key, json!({"valid": false, "code": "key_address_not_allowed", "reusable": false}));
    let answer = api.get("/notes", &key).await;
    assert_eq!((answer.status, answer.code()), (403, "key_address_not_allowed"));
    issuer.answer(&key, for_one_use());
    assert_eq!(api.get("/notes", &key).await.status, 200, "a refusal of one use is not kept either");
    assert_eq!(issuer.asked(VERIFY), 22);
}

#[tokio::test]
async fn limits_are_in_every_answer_to_the_caller() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let key = issuer.unknown_key();
    let limits = |left: u64| json!({"rate_limit": {"requests": 5, "seconds": 60, "left": left, "resets_in": 12}});
    let mut answer = for_one_use();
    answer["limits"] = limits(4);
    issuer.answer(&key, answer);
    let admitted = api.get("/notes", &key).await;
    assert_eq!((admitted.status, admitted.header("retry-after")), (200, None));
    assert_eq!(admitted.header("ratelimit-policy"), Some("\"rate\";q=5;w=60"));
    assert_eq!(admitted.header("ratelimit"), Some("\"rate\";r=4;t=12"));
    // It was used, although the API refuses.
    let lacks_a_role = api.get("/notes/1", &key).await;
    assert_eq!((lacks_a_role.status, lacks_a_role.header("ratelimit")), (403, Some("\"rate\";r=4;t=12")));

    let refused =
        json!({"valid": false, "code": "key_rate_limited", "reusable": false, "limits": limits(0), "retry_after": 12});
    issuer.answer(&key, refused);
    let refused = api.get("/notes", &key).await;
    assert_eq!((refused.status, refused.code(), refused.header("retry-after")), (429, "key_rate_limited", Some("12")));
    assert_eq!(refused.header("ratelimit"), Some("\"rate\";r=0;t=12"));
    assert_eq!(api.audit.last_code(), "key_rate_limited");
    let unlimited = api.get("/notes", &issuer.api_key("notes:read", &[])).await;
    assert_eq!((unlimited.status, unlimited.header("ratelimit")), (200, None));
}

#[tokio::test]
async fn issuer_learns_the_scopes_so_that_a_refusal_uses_nothing_up() {
    let issuer = FakeIssuer::start().await;
    issuer.takes(&["address", "key", "scopes"]);
    let guard = builder(&issuer, &Arc::new(ManualClock::at(NOW))).build().unwrap();
    let routes = Router::new().route("/notes", get(async || "").layer(guard.require(scope("notes:write"))));
    let api = Api::serve(routes).await;
    let key = issuer.unknown_key();
    let mut answer = for_one_use();
    (answer["valid"], answer["code"]) = (false.into(), "insufficient_scope".into());
    issuer.answer(&key, answer);
    let refused = api.get("/notes", &key).await;
    assert_eq!((refused.status, refused.code()), (403, "insufficient_scope"));
    assert_eq!(refused.body["required_scopes"], json!(["notes:write"]));
    assert_eq!(issuer.last_question()["scopes"], json!(["notes:write"]));
}

#[tokio::test]
async fn issuer_learns_how_often_its_last_answer_was_used() {
    let issuer = FakeIssuer::start().await;
    issuer.takes(&["address", "key", "scopes", "uses"]);
    let api = Api::start(&issuer).await;
    let key = issuer.api_key("notes:read", &[]);
    for _ in 0..4 {
        assert_eq!(api.get("/notes", &key).await.status, 200);
    }
    assert_eq!(issuer.last_question()["uses"], Value::Null);
    api.advance(Duration::from_millis(500));
    assert_eq!(api.get("/notes", &key).await.status, 200);
    assert_eq!((issuer.asked(VERIFY), &issuer.last_question()["uses"]), (2, &json!(3)));
}

#[tokio::test]
async fn issuer_learns_the_callers_address_if_it_takes_it() {
    for takes_address in [true, false] {
        let issuer = FakeIssuer::start().await;
        if takes_address {
            issuer.takes(&["address", "key", "scopes"]);
        }
        let api = Api::start(&issuer).await;
        assert_eq!(api.get("/notes", &issuer.api_key("notes:read", &[])).await.status, 200);
        let question = issuer.last_question();
        let sent = if takes_address { json!("127.0.0.1") } else { Value::Null };
        assert_eq!(question["address"], sent, "{question}");
    }
}
