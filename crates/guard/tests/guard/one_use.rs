//! Keys about which the issuer's answer holds for one use only.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    api::Api,
    fake_issuer::{FakeIssuer, VERIFY},
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
