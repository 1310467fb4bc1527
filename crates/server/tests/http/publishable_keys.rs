//! Publishable keys: public scopes only, from the pages of their origins only, at each way in which a key is verified.

use std::sync::Arc;

use doorward_core::{api::ResourceIdentifier, denial::Denial};
use doorward_guard::{Guard, authenticated};
use doorward_server::{manage::roles, verify::LocalVerifier};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    denials::scene::Api,
    harness::*,
    manage::manager::{Manager, places, refused},
};

const PAGE: &str = "https://app.example";
const OTHER: &str = "https://other.example";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";

/// Makes these scopes of notes public.
async fn publish(manager: &Manager<'_>, scopes: &[&str]) -> Answer {
    let apis = manager.get("/v1/apis?limit=100").await.expect(200).json();
    let notes = apis["items"].as_array().unwrap().iter().find(|api| api["name"] == "notes").unwrap();
    let path = format!("/v1/apis/{}", notes["id"].as_str().unwrap());
    manager.patch(&path, json!({"public_scopes": scopes})).await
}

fn publishable(scopes: &[&str]) -> Value {
    json!({"api": "notes", "name": "site", "kind": "publishable", "scopes": scopes, "allowed_origins": [PAGE]})
}

/// A publishable key with `notes:read`, which is public: its path and the key itself.
async fn created(manager: &Manager<'_>) -> (String, String) {
    publish(manager, &["notes:read"]).await.expect(200);
    let created = manager.post("/v1/keys", publishable(&["notes:read"])).await.expect(201);
    (format!("/v1/keys/{}", created.text("id")), created.text("secret"))
}

/// What the API notes is answered at a path.
async fn ask(server: &TestServer, path: &str, body: Value) -> Value {
    let notes = &server.world.notes;
    let request = server.caller.request(Method::POST, path).basic_auth(&notes.id, notes.secret.as_deref());
    server.caller.send(request.json(&body)).await.expect(200).json()
}

#[tokio::test]
async fn key_verification_compares_the_origin() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let (_, key) = created(&manager).await;
        assert!(key.starts_with("pk_live_"), "{}", &key[..8]);
        let about = async |origin: Value| {
            let body = json!({"key": key, "scopes": ["notes:read"], "origin": origin});
            ask(server, "/v1/keys/verify", body).await
        };
        let verdict = about(json!(PAGE)).await;
        assert_eq!((&verdict["valid"], &verdict["reusable"]), (&json!(true), &json!(false)));
        let principal = &verdict["principal"];
        let known = (&principal["credential"], &principal["scope"], &principal["roles"]);
        assert_eq!(known, (&json!("publishable_key"), &json!("notes:read"), &Value::Null));
        for elsewhere in [json!(OTHER), json!("null"), json!(""), Value::Null, json!(format!("{PAGE}:443"))] {
            let refused = json!({"valid": false, "code": "key_origin_not_allowed", "reusable": false});
            assert_eq!(about(elsewhere.clone()).await, refused, "{elsewhere}");
        }
        let secret = ask(server, "/v1/keys/verify", json!({"key": server.world.key, "origin": OTHER})).await;
        assert_eq!((&secret["valid"], &secret["principal"]["credential"]), (&json!(true), &json!("api_key")));
    })
    .await;
}

#[tokio::test]
async fn requests_of_the_page_pass_and_others_get_403() {
    let server = TestServer::start().await;
    let (_, key) = created(&Manager::of_all(&server).await).await;
    let about = async |origin: Value| {
        let headers = json!({"x-api-key": key, "origin": origin, "user-agent": FIREFOX});
        let body = json!({"headers": headers, "method": "GET", "uri": "/notes", "scopes": ["notes:read"]});
        ask(&server, "/v1/requests/verify", body).await
    };
    assert_eq!(about(json!(PAGE)).await["allowed"], true);
    for elsewhere in [json!(OTHER), Value::Null, json!([PAGE, PAGE]), json!([])] {
        let verdict = about(elsewhere.clone()).await;
        assert_eq!(verdict["code"], "key_origin_not_allowed", "{elsewhere}");
        assert_eq!(verdict["answer"]["status"], 403);
        assert_eq!(verdict["answer"]["headers"]["www-authenticate"], Value::Null);
    }
}

#[tokio::test]
async fn remote_guard_passes_the_origin_on() {
    let server = TestServer::start().await;
    let (_, key) = created(&Manager::of_all(&server).await).await;
    let api = Api::serve(&server).await;
    let get = async |origin: Option<&str>| {
        let origin = origin.map(|origin| ("origin", origin));
        let headers: Vec<_> =
            [("x-api-key", key.as_str()), ("user-agent", FIREFOX)].into_iter().chain(origin).collect();
        api.caller.get_with("/me", &headers).await
    };
    // In turn: no answer is kept for a page of another origin.
    for _ in 0..2 {
        get(Some(PAGE)).await.expect(200);
        assert_eq!(refused(&get(Some(OTHER)).await, 403), "key_origin_not_allowed");
        assert_eq!(refused(&get(None).await, 403), "key_origin_not_allowed");
    }
}

#[tokio::test]
async fn guard_in_the_same_process_compares_the_origin() {
    let server = TestServer::start().await;
    let (_, key) = created(&Manager::of_all(&server).await).await;
    let notes = ResourceIdentifier::parse("https://notes.example").unwrap();
    let verifier = Arc::new(LocalVerifier::new(server.app.clone(), notes.clone()));
    let guard = Guard::with_verifier(server.issuer(), notes, verifier).clock(server.clock.clone()).build().unwrap();
    let send = async |origins: &[&str]| {
        let mut request = http::Request::get("/notes").header("x-api-key", &key).header("user-agent", FIREFOX);
        for origin in origins {
            request = request.header("origin", *origin);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let found = guard.authorize(&head, &authenticated()).await;
        found.map(|principal| principal.subject.clone()).map_err(|problem| problem.refusal().denial)
    };
    assert!(send(&[PAGE]).await.is_ok());
    let refused = Err(Denial::KeyOriginNotAllowed);
    for elsewhere in [&[OTHER][..], &[], &[PAGE, PAGE], &[PAGE, OTHER]] {
        assert_eq!(send(elsewhere).await, refused, "{elsewhere:?}");
    }
}

#[tokio::test]
async fn each_part_that_such_a_key_cannot_have_is_named() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    publish(&manager, &["notes:read"]).await.expect(200);
    let mistakes = async |members: Value| {
        let mut body = publishable(&["notes:read"]);
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        places(&manager.post("/v1/keys", body).await)
    };
    assert_eq!(mistakes(json!({"scopes": ["notes:read", "notes:write"]})).await, ["/scopes"]);
    assert_eq!(mistakes(json!({"roles": ["admin"]})).await, ["/roles"]);
    assert_eq!(mistakes(json!({"allowed_origins": []})).await, ["/allowed_origins"]);
    assert_eq!(mistakes(json!({"allowed_origins": [PAGE, "*"]})).await, ["/allowed_origins/1"]);
    assert_eq!(mistakes(json!({"kind": "secret"})).await, ["/allowed_origins"]);
    assert_eq!(mistakes(json!({"kind": "other"})).await, ["/kind"]);
    assert_eq!(mistakes(json!({"api": "doorward", "scopes": []})).await, ["/api"]);
    assert_eq!(places(&publish(&manager, &["keys:read"]).await), ["/public_scopes/0"]);
}

#[tokio::test]
async fn kind_never_changes_and_origins_do() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let (path, key) = created(&manager).await;
        let shown = manager.get(&path).await.json();
        assert_eq!((&shown["kind"], &shown["allowed_origins"]), (&json!("publishable"), &json!([PAGE])));
        assert!(manager.patch(&path, json!({"kind": "secret"})).await.status >= 400);
        assert_eq!(places(&manager.patch(&path, json!({"allowed_origins": []})).await), ["/allowed_origins"]);
        assert_eq!(places(&manager.patch(&path, json!({"scopes": ["notes:write"]})).await), ["/scopes"]);
        assert_eq!(places(&manager.patch(&path, json!({"roles": ["admin"]})).await), ["/roles"]);
        assert_eq!(manager.get(&path).await.json(), shown);
        manager.patch(&path, json!({"name": "shop", "allowed_origins": [OTHER]})).await.expect(200);
        let from =
            async |origin| ask(server, "/v1/keys/verify", json!({"key": key, "origin": origin})).await["code"].clone();
        assert_eq!((from(OTHER).await, from(PAGE).await), (json!("valid"), json!("key_origin_not_allowed")));
    })
    .await;
}

#[tokio::test]
async fn scope_that_is_public_no_longer_ends_at_once() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let (path, key) = created(&manager).await;
        let body = json!({"key": key, "scopes": ["notes:read"], "origin": PAGE});
        assert_eq!(ask(server, "/v1/keys/verify", body.clone()).await["valid"], true);
        publish(&manager, &[]).await.expect(200);
        let verdict = ask(server, "/v1/keys/verify", body).await;
        assert_eq!((&verdict["code"], &verdict["principal"]["scope"]), (&json!("insufficient_scope"), &json!("")));
        assert_eq!(places(&manager.patch(&path, json!({"name": "shop"})).await), ["/scopes"], "the key still names it");
        manager.patch(&path, json!({"name": "shop", "scopes": []})).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn role_given_later_does_not_count() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let (path, key) = created(&manager).await;
    let id = path.rsplit('/').next().unwrap();
    roles::grant(&server.app, &operator(), id, "notes", "admin").await.unwrap_err();
    let verdict = ask(&server, "/v1/keys/verify", json!({"key": key, "origin": PAGE})).await;
    assert_eq!(verdict["principal"]["roles"], Value::Null);
}

#[tokio::test]
async fn found_publishable_key_is_no_leak() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let (path, key) = created(&manager).await;
    let report = server.caller.request(Method::POST, "/v1/leaks").json(&json!({"key": key, "source": PAGE}));
    server.caller.send(report).await.expect(202);
    let shown = manager.get(&path).await.json();
    assert_eq!((&shown["state"], &shown["leaked_at"]), (&json!("active"), &Value::Null));
}

#[tokio::test]
async fn visitor_of_the_page_cannot_replace_its_key() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let (path, key) = created(&manager).await;
    let apis = manager.get("/v1/apis?limit=100").await.json();
    let notes = apis["items"].as_array().unwrap().iter().find(|api| api["name"] == "notes").unwrap();
    let of_notes = format!("/v1/apis/{}", notes["id"].as_str().unwrap());
    manager.patch(&of_notes, json!({"key_policy": {"self_rotation": true}})).await.expect(200);
    for origin in [None, Some(PAGE)] {
        let request = server.caller.request(Method::POST, "/v1/keys/self/rotate").bearer_auth(&key).json(&json!({}));
        let request = origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
        assert_eq!(refused(&server.caller.send(request).await, 403), "self_rotation_forbidden");
    }
    // Its managers can, and the successor is of the same kind.
    let successor = manager.post(&format!("{path}/rotate"), json!({})).await.expect(201).json();
    assert_eq!((&successor["kind"], &successor["allowed_origins"]), (&json!("publishable"), &json!([PAGE])));
    assert!(successor["secret"].as_str().unwrap().starts_with("pk_live_"));
}

#[tokio::test]
async fn publishable_key_opens_nothing_of_the_server_itself() {
    let server = TestServer::start().await;
    let (_, key) = created(&Manager::of_all(&server).await).await;
    for path in ["/v1/keys", "/v1/apis", "/userinfo"] {
        let answer =
            server.caller.get_with(path, &[("authorization", &format!("Bearer {key}")), ("origin", PAGE)]).await;
        assert_eq!(answer.status, 401, "{path}: {}", answer.body);
    }
    let introspected = server.caller.post_as(&server.world.notes, "/introspect", &[("token", &key)]).await;
    assert_eq!(introspected.expect(200).json(), json!({"active": false}), "nobody knows from which page it comes");
}

#[tokio::test]
async fn key_with_another_prefix_is_refused_as_mistyped() {
    let server = TestServer::start().await;
    let (secret, (_, public)) = (&server.world.key, created(&Manager::of_all(&server).await).await);
    for forged in [secret.replacen("sk_", "pk_", 1), public.replacen("pk_", "sk_", 1)] {
        let verdict = ask(&server, "/v1/keys/verify", json!({"key": forged, "origin": PAGE})).await;
        assert_eq!(verdict["code"], "key_mistyped", "the checksum covers the prefix");
    }
}
