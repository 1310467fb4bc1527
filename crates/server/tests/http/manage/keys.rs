//! `/v1/keys`.

use doorward_server::manage::keys::{Expiry, NewKey};
use reqwest::Method;
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::harness::*;

fn new() -> Value {
    json!({"apis": ["notes"], "name": "ci", "scopes": ["notes:read"]})
}

/// The body with other members.
fn with(members: Value) -> Value {
    let mut body = new();
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn limited(scopes: &str) -> NewKey {
    NewKey { limited_to: vec!["notes".into()], ..new_key("doorward", scopes) }
}

#[tokio::test]
async fn key_is_created_changed_listed_and_revoked() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let body =
            json!({"owner": format!("user:{ALICE}"), "expires_in": 86_400, "environment": "test", "roles": ["admin"]});
        let created = manager.post("/v1/keys", with(body)).await.expect(201);
        let (id, secret) = (created.text("id"), created.text("secret"));
        let path = format!("/v1/keys/{id}");
        assert_eq!(created.header("location"), Some(path.as_str()));
        assert!(secret.starts_with(&created.text("hint")) && secret.contains("_test_"));
        let shown = manager.get(&path).await.expect(200);
        assert_eq!(shown.header("etag"), created.header("etag"));
        assert_eq!(shown.json()["secret"], Value::Null);
        assert_eq!(shown.json()["scopes"], json!(["notes:read"]));
        assert_eq!(shown.json()["roles"], json!(["notes:admin"]));

        let changed = manager.patch(&path, json!({"name": "build", "scopes": ["notes:write"], "roles": null})).await;
        let changed = changed.expect(200).json();
        assert_eq!((&changed["name"], &changed["scopes"]), (&json!("build"), &json!(["notes:write"])));
        assert_eq!(changed["roles"], json!([]));
        assert_eq!(manager.get(&path).await.json(), changed);

        let listed = async |query: &str| {
            let items = manager.get(&format!("/v1/keys?{query}")).await.expect(200).json()["items"].clone();
            items.as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(listed(&format!("owner=user:{ALICE}&revoked=false")).await, std::slice::from_ref(&id));
        assert_eq!(listed("owner=user:nobody").await, [""; 0]);
        let revoked = manager.act(&format!("{path}/revoke")).await.expect(200);
        assert_eq!(revoked.json()["state"], "revoked");
        server.advance_secs(60);
        assert_eq!(manager.act(&format!("{path}/revoke")).await.expect(200).body, revoked.body);
        assert_eq!(listed("revoked=true").await, [id]);
        let by_itself = manager.get(&format!("/v1/keys/{}", server.world.key)).await;
        assert_eq!(refused(&by_itself, 404), "id_unknown", "a key in a URL is not accepted");
    })
    .await;
}

#[tokio::test]
async fn key_of_a_customer_is_disabled_and_enabled() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let body = json!({"api": "notes", "name": "ci", "owner": "acme", "scopes": ["notes:read"], "expires_in": 86_400,
                          "metadata": {"plan": "free", "seats": 3}});
        let created = manager.post("/v1/keys", body).await.expect(201);
        let (path, secret) = (format!("/v1/keys/{}", created.text("id")), created.text("secret"));
        assert_eq!(created.json()["owner"], "acme");
        let listed = manager.get("/v1/keys?owner=acme").await.expect(200).json();
        assert_eq!(listed["items"][0]["id"], created.json()["id"]);

        let patched = manager.patch(&path, json!({"metadata": {"plan": "pro", "seats": null}})).await.expect(200);
        assert_eq!(patched.json()["metadata"], json!({"plan": "pro"}), "a merge patch (RFC 7396)");

        let ask = json!({"key": secret, "scopes": ["notes:read"]});
        let verdict = async || manager.post("/v1/keys/verify", ask.clone()).await.expect(200).json();
        assert_eq!(verdict().await["principal"]["owner"], "acme");
        for _ in 0..2 {
            let disabled = manager.act(&format!("{path}/disable")).await.expect(200).json();
            assert_eq!((&disabled["state"], disabled["disabled_at"].is_string()), (&json!("disabled"), true));
        }
        assert_eq!(verdict().await, json!({"valid": false, "code": "key_disabled"}));
        let enabled = manager.act(&format!("{path}/enable")).await.expect(200).json();
        assert_eq!((&enabled["state"], &enabled["disabled_at"]), (&json!("active"), &Value::Null));
        assert_eq!(verdict().await["valid"], true);
        let actions: Vec<_> = server.audit("events", |events| !events.is_empty()).await;
        let of_key = actions.iter().filter(|event| event.subject == created.json()["id"].as_str().map(str::to_owned));
        // The use while it was disabled is reported a moment later.
        let changes = of_key.map(|event| &*event.action).filter(|action| *action != "key.used_after_end");
        assert_eq!(changes.collect::<Vec<_>>(), ["key.created", "key.updated", "key.disabled", "key.enabled"]);
    })
    .await;
}

#[tokio::test]
async fn keys_are_found_by_what_they_are_for_and_how_they_are_used() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let create = async |members: Value| {
            server.advance_secs(1);
            let mut body = json!({"api": "notes", "name": "a", "owner": "acme"});
            body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            let created = manager.post("/v1/keys", body).await.expect(201);
            (created.text("id"), created.text("secret"))
        };
        let (reading, _) = create(json!({"scopes": ["notes:read"], "expires_in": 3_600})).await;
        let shown = manager.get(&format!("/v1/keys/{reading}")).await.expect(200);
        let (creator, first) = (shown.text("created_by"), shown.text("created_at"));
        assert!(creator.starts_with("key_"), "the key of the manager: {creator}");
        let (both, secret) = create(json!({"scopes": ["notes:read", "notes:write"]})).await;
        let (mails, _) = create(json!({"api": "mails", "scopes": ["mails:read"]})).await;
        manager.act(&format!("/v1/keys/{mails}/disable")).await.expect(200);
        server.advance_secs(600);
        manager.post("/v1/keys/verify", json!({"key": secret})).await.expect(200);
        server.app.flush_uses().await.unwrap();
        let listed = async |query: &str| {
            let page = manager.get(&format!("/v1/keys?owner=acme&{query}")).await.expect(200).json();
            let ids = page["items"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned());
            ids.collect::<Vec<_>>()
        };
        for (query, expected) in [
            ("api=notes", vec![&reading, &both]),
            ("api=https%3A%2F%2Fmails.example%2Fv1", vec![&mails]),
            ("api=nothing", vec![]),
            ("scope=notes:write", vec![&both]),
            ("state=disabled", vec![&mails]),
            ("state=active", vec![&reading, &both]),
            ("state=revoked", vec![]),
            ("unused_for=600", vec![&reading, &mails]),
            ("unused_for=601", vec![&reading]),
            ("unused_for=603", vec![]),
            ("expires_within=3600", vec![&reading]),
            ("expires_within=60", vec![]),
            ("api=notes&unused_for=60&state=active", vec![&reading]),
            (&format!("created_by={creator}&api=notes"), vec![&reading, &both]),
            ("created_by=os:nobody", vec![]),
            (&format!("created_since={first}"), vec![&reading, &both, &mails]),
            (&format!("created_until={first}"), vec![]),
            (&format!("created_since={first}&api=mails"), vec![&mails]),
        ] {
            assert_eq!(listed(query).await.iter().collect::<Vec<_>>(), expected, "{query}");
        }
        let of_all = async |query: &str| {
            let page = manager.get(&format!("/v1/keys?{query}")).await.expect(200).json();
            page["items"].as_array().unwrap().iter().filter(|key| key["owner"] == "acme").count()
        };
        let queries = [
            "api=notes",
            "api=notes&revoked=true",
            &format!("created_by={creator}"),
            "created_until=2001-01-01T00:00:00Z",
        ];
        assert_eq!([of_all(queries[0]).await, of_all(queries[1]).await], [2, 0]);
        assert_eq!([of_all(queries[2]).await, of_all(queries[3]).await], [3, 0]);
        let rotated = manager.post(&format!("/v1/keys/{both}/rotate"), json!({})).await.expect(201);
        assert_eq!(rotated.text("created_by"), creator);
        assert_eq!(of_all(queries[0]).await, 3, "with the successor");
        server.advance_secs(3_600);
        assert_eq!(listed("state=expired").await, [reading]);
        assert_eq!(listed("expires_within=3600").await, [""; 0], "it has expired");
        for (query, place) in [
            ("state=lost", "?state"),
            ("scope=a%22", "?scope"),
            ("unused_for=-1", "?unused_for"),
            ("expires_within=3153600001", "/expires_within"),
            ("unused_for=9223372036854775808", "/unused_for"),
            ("state=active&revoked=true", "/state"),
            ("created_since=yesterday", "?created_since"),
        ] {
            assert_eq!(places(&manager.get(&format!("/v1/keys?{query}")).await), [place], "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn owner_that_looks_like_an_id_must_be_there() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    for owner in ["usr_1", "cli_00000000000000000000000000000000", "key_1", "user:", "user:nobody", " acme", "a\nb"] {
        let refused = manager.post("/v1/keys", with(json!({ "owner": owner }))).await;
        assert_eq!(places(&refused), ["/owner"], "{owner}");
    }
}

#[tokio::test]
async fn mistake_is_named_in_the_member_that_was_sent() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let body = |members: Value| {
        let mut body = json!({"name": "ci"});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        body
    };
    for (members, place) in [
        (json!({"api": "gone"}), "/api"),
        (json!({"apis": ["gone"]}), "/apis/0"),
        (json!({"api": "notes", "apis": ["notes"]}), "/api"),
        (json!({}), "/apis"),
    ] {
        assert_eq!(places(&manager.post("/v1/keys", body(members)).await), [place]);
    }
}

#[tokio::test]
async fn every_mistake_of_a_new_key_is_named() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    for (body, expected) in [
        (json!({"apis": ["notes"], "colour": "red", "scopes": ["a b"]}), &["/colour", "/scopes/0", "/name"][..]),
        (with(json!({"apis": ["notes", "gone"], "owner": "user:nobody"})), &["/apis/1", "/owner"]),
        (with(json!({"apis": []})), &["/apis", "/roles"][..1]),
        (with(json!({"scopes": ["mails:read"], "roles": ["x"]})), &["/scopes", "/roles/0"]),
        (
            with(
                json!({"name": " ", "apis": ["notes", "gone"], "owner": "user:nobody", "expires_in": 1, "never_expires": true}),
            ),
            &["/apis/1", "/owner", "/name", "/never_expires"],
        ),
        (
            with(
                json!({"name": " ", "limited_to": ["gone"], "scopes": ["mails:read"], "roles": ["x"], "expires_in": 0}),
            ),
            &["/limited_to/0", "/name", "/scopes", "/roles/0", "/expires_in"],
        ),
        (with(json!({"expires_in": 60, "never_expires": true})), &["/never_expires"]),
        (with(json!({"expires_in": 0})), &["/expires_in"]),
        (with(json!({"expires_in": 9_007_199_254_740_991_u64})), &["/expires_in"]),
        (with(json!({"limited_to": ["notes"]})), &["/limited_to"]),
    ] {
        let answer = manager.post("/v1/keys", body.clone()).await;
        assert_eq!(refused(&answer, 422), "body_invalid", "{body}");
        assert_eq!(places(&answer), expected, "{body}");
    }
    let default = manager.post("/v1/keys", new()).await.expect(201).json();
    assert_eq!((&default["never_expires"], default["expires_at"].is_string()), (&json!(false), true));
    let never = manager.post("/v1/keys", with(json!({"never_expires": true}))).await.expect(201).json();
    assert_eq!((&never["never_expires"], &never["expires_at"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn other_apis_and_owners_are_unknown_to_a_limited_caller() {
    let server = TestServer::start().await;
    let manager = Manager::by(&server, limited("keys:read keys:write")).await;
    manager.post("/v1/keys", new()).await.expect(201);
    let same = |answer: &Answer, name: &str| {
        assert_eq!(refused(answer, 422), "body_invalid");
        answer.json()["errors"].to_string().replace(name, "…")
    };
    for member in ["apis", "limited_to"] {
        let beyond = manager.post("/v1/keys", with(json!({ member: ["mails"], "scopes": [] }))).await;
        let unknown = manager.post("/v1/keys", with(json!({ member: ["gone"], "scopes": [] }))).await;
        assert_eq!(same(&beyond, "mails"), same(&unknown, "gone"), "{member}");
    }
    let owned =
        NewKey { limited_to_owners: vec![format!("user:{ALICE}")], ..new_key("doorward", "keys:read keys:write") };
    let manager = Manager::by(&server, owned).await;
    manager.post("/v1/keys", with(json!({ "owner": format!("user:{ALICE}") }))).await.expect(201);
    let beyond = manager.post("/v1/keys", with(json!({ "owner": format!("user:{BOB}") }))).await;
    let unknown = manager.post("/v1/keys", with(json!({ "owner": "user:nobody" }))).await;
    assert_eq!(same(&beyond, BOB), same(&unknown, "nobody"));
    assert_eq!(refused(&manager.post("/v1/keys", new()).await, 403), "rights_exceeded");
}

#[tokio::test]
async fn key_gets_no_rights_that_its_creator_lacks() {
    let server = TestServer::start().await;
    let of_day = NewKey {
        expiry: Expiry::After(std::time::Duration::from_secs(86_400)),
        ..new_key("doorward", "keys:read keys:write")
    };
    let manager = Manager::by(&server, of_day).await;
    let managing = |scope: &str, more: Value| {
        let mut body = with(more);
        (body["apis"], body["scopes"]) = (json!(["doorward"]), json!([scope]));
        body
    };
    let in_a_day = || json!({"expires_in": 86_400});
    let of_a_day = manager.post("/v1/keys", managing("keys:read", in_a_day())).await.expect(201);
    let path = of_a_day.header("location").unwrap().to_owned();
    let unasked = manager.post("/v1/keys", managing("keys:read", json!({}))).await.expect(201).json();
    assert_eq!(unasked["expires_at"], of_a_day.json()["expires_at"], "the default ends with the creator's");
    for body in [
        managing("users:write", in_a_day()),
        managing("keys:read", json!({"never_expires": true})),
        managing("keys:read", json!({"expires_in": 86_401})),
        managing("keys:read", json!({"expires_in": 86_400, "roles": ["admin"]})),
    ] {
        assert_eq!(refused(&manager.post("/v1/keys", body.clone()).await, 403), "rights_exceeded", "{body}");
    }
    for patch in [json!({"scopes": ["keys:read", "users:write"]}), json!({"roles": ["admin"]})] {
        assert_eq!(refused(&manager.patch(&path, patch).await, 403), "rights_exceeded");
    }
    manager.patch(&path, json!({"scopes": []})).await.expect(200);
    let all = Manager::of_all(&server).await;
    let strong = all.post("/v1/keys", managing("users:write", json!({}))).await.expect(201);
    let strong = strong.header("location").unwrap().to_owned();
    for answer in [manager.patch(&strong, json!({"scopes": []})).await, manager.act(&format!("{strong}/revoke")).await]
    {
        assert_eq!(refused(&answer, 403), "rights_exceeded");
    }
}

#[tokio::test]
async fn key_bound_to_addresses_gives_no_rights_to_others() {
    let server = TestServer::start().await;
    let bound = NewKey {
        allowed_addresses: vec!["127.0.0.0/8".into(), "::1".into()],
        ..new_key("doorward", "keys:read keys:write clients:write")
    };
    let manager = Manager::by(&server, bound).await;
    let managing = |addresses: Value| {
        let mut body = with(json!({ "allowed_addresses": addresses }));
        (body["apis"], body["scopes"]) = (json!(["doorward"]), json!(["keys:read"]));
        body
    };
    let inside = manager.post("/v1/keys", managing(json!(["127.0.0.1"]))).await.expect(201);
    let path = inside.header("location").unwrap();
    for addresses in [json!([]), json!(["127.0.0.1", "192.0.2.1"]), json!(["0.0.0.0/0"])] {
        let created = manager.post("/v1/keys", managing(addresses.clone())).await;
        let changed = manager.patch(path, json!({ "allowed_addresses": addresses })).await;
        assert_eq!(
            (refused(&created, 403), refused(&changed, 403)),
            ("rights_exceeded".into(), "rights_exceeded".into())
        );
    }
    let client = json!({"client_name": "a", "grant_types": ["client_credentials"], "scope": "keys:read"});
    assert_eq!(refused(&manager.post("/v1/clients", client).await, 403), "rights_exceeded");
    manager.post("/v1/keys", new()).await.expect(201);
}

#[tokio::test]
async fn stale_or_repeated_requests_about_keys_change_nothing() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let key = [("idempotency-key", "5f9c2f1e-6d0b-4f0e-9c57-000000000001")];
    let first = manager.send(Method::POST, "/v1/keys", &key, Some(new())).await.expect(201);
    let again = manager.send(Method::POST, "/v1/keys", &key, Some(new())).await.expect(201);
    assert_eq!(first.body, again.body);
    let (path, stale) = (first.header("location").unwrap(), first.header("etag").unwrap());
    manager.patch(path, json!({"name": "Two"})).await.expect(200);
    let change = Some(json!({"name": "Three"}));
    let change = manager.send(Method::PATCH, path, &[("if-match", stale)], change).await;
    assert_eq!(refused(&change, 412), "precondition_failed");
    assert_eq!(manager.get(path).await.text("name"), "Two");
    assert_eq!(
        places(&manager.patch(path, json!({"owner": format!("user:{ALICE}"), "name": null})).await),
        ["/owner", "/name"]
    );
}
