//! `POST /v1/requests/verify`: an API passes on its caller's request, and learns whether it may pass or what to answer.

use doorward_core::api_key::Environment;
use doorward_server::manage::keys::{self, NewKey};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::*;

/// What the API notes is answered about a request with these headers.
async fn ask(server: &TestServer, headers: Value, scopes: &[&str]) -> Answer {
    ask_about(server, json!({"headers": headers, "method": "GET", "uri": "/notes?page=2", "scopes": scopes})).await
}

async fn ask_about(server: &TestServer, body: Value) -> Answer {
    let notes = &server.world.notes;
    let request = server.caller.request(Method::POST, "/v1/requests/verify").json(&body);
    server.caller.send(request.basic_auth(&notes.id, notes.secret.as_deref())).await
}

/// The status, the code and the challenge that the API is to answer its caller with.
#[track_caller]
fn refused(answer: &Answer) -> (u64, String, String) {
    let verdict = answer.json();
    assert_eq!((answer.status, &verdict["allowed"]), (200, &json!(false)), "{}", answer.body);
    let (status, headers) = (&verdict["answer"]["status"], &verdict["answer"]["headers"]);
    let problem: Value = serde_json::from_str(verdict["answer"]["body"].as_str().unwrap()).unwrap();
    assert_eq!((&problem["status"], &problem["code"]), (status, &verdict["code"]));
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["cache-control"], "no-store");
    for trace_id in [&problem["trace_id"], &headers["doorward-trace-id"]] {
        assert_eq!((trace_id, trace_id.as_str()), (&verdict["trace_id"], answer.header("doorward-trace-id")));
    }
    let challenge = headers["www-authenticate"].as_str().unwrap_or_default().to_owned();
    (status.as_u64().unwrap(), answer.text("code"), challenge)
}

#[tokio::test]
async fn key_in_either_header_passes_with_its_principal() {
    let server = TestServer::start().await;
    let key = key(&server.app, new_key("notes", "notes:read")).await;
    for headers in [
        json!({"x-api-key": key}),
        json!({"x-api-key": [key], "authorization": null}),
        json!({"X-API-Key": key}),
        json!({"authorization": format!("Bearer {key}"), "x-api-key": []}),
    ] {
        let answer = ask(&server, headers, &["notes:read"]).await.expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let verdict = answer.json();
        assert_eq!((&verdict["allowed"], &verdict["principal"]["kind"]), (&json!(true), &json!("key")));
        assert_eq!(verdict["principal"]["scope"], "notes:read");
    }
}

#[tokio::test]
async fn token_passes_until_it_is_revoked() {
    let server = TestServer::start().await;
    let tokens = server.tokens(&server.world.web).await;
    let token = tokens["access_token"].as_str().unwrap();
    let headers = json!({"authorization": format!("Bearer {token}")});
    let verdict = ask(&server, headers.clone(), &["notes:read"]).await.expect(200).json();
    assert_eq!((&verdict["allowed"], &verdict["principal"]["kind"]), (&json!(true), &json!("user")), "{verdict}");
    server.caller.post_as(&server.world.web, "/revoke", &[("token", token)]).await.expect(200);
    let (status, code, challenge) = refused(&ask(&server, headers, &[]).await);
    assert_eq!((status, &*code), (401, "token_revoked"));
    assert!(challenge.starts_with("Bearer ") && challenge.contains("invalid_token"), "{challenge}");
}

#[tokio::test]
async fn refusal_is_a_whole_answer_and_is_explained() {
    let server = TestServer::start().await;
    let of_notes = key(&server.app, new_key("notes", "notes:read")).await;
    let of_mails = key(&server.app, new_key("mails", "mails:read")).await;
    let revoked = keys::create(&server.app, &operator(), new_key("notes", "notes:read")).await.unwrap();
    keys::revoke(&server.app, &operator(), revoked.view.id.as_str()).await.unwrap();
    let bearer = format!("Bearer {of_notes}");
    for (headers, status, code, in_challenge) in [
        (json!({}), 401, "credential_missing", "Bearer"),
        (json!({"x-api-key": of_mails}), 401, "key_unknown", "invalid_token"),
        (json!({"x-api-key": revoked.key.reveal()}), 401, "key_revoked", "invalid_token"),
        (json!({"authorization": "Basic abc"}), 401, "credential_malformed", "invalid_token"),
        (json!({"x-api-key": of_notes}), 403, "insufficient_scope", "scope=\"notes:read notes:write\""),
        (json!({"x-api-key": of_notes, "authorization": bearer}), 400, "credential_multiple", "invalid_request"),
        (json!({"authorization": [bearer, bearer]}), 400, "credential_multiple", "invalid_request"),
    ] {
        let answer = ask(&server, headers.clone(), &["notes:read", "notes:write"]).await;
        let (found_status, found_code, challenge) = refused(&answer);
        assert_eq!((found_status, &*found_code), (status, code), "{headers}");
        assert!(challenge.contains(in_challenge), "{challenge}");
        assert!(!challenge.contains("resource_metadata"), "the API may serve none: {challenge}");
        let story = server.explain(&answer.text("trace_id")).await.remove(0);
        let request = ["method", "path", "at"].map(|name| story.details[name].as_str().unwrap());
        assert_eq!(request, ["GET", "/notes", "https://notes.example"], "of the API, without the query");
    }
}

#[tokio::test]
async fn live_key_from_a_browser_or_an_app_is_refused() {
    let server = TestServer::start().await;
    let live = key(&server.app, new_key("notes", "notes:read")).await;
    let test = NewKey { environment: Environment::Test, ..new_key("notes", "notes:read") };
    let test = key(&server.app, test).await;
    let signs = [
        ("origin", json!("https://app.example")),
        ("Origin", json!(["null"])),
        ("user-agent", json!("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0")),
        ("user-agent", json!(["curl/8.11.0", "Acme/7 CFNetwork/1568.100.1 Darwin/24.0.0"])),
    ];
    for (name, value) in signs {
        let answer = ask(&server, json!({"x-api-key": live, name: value}), &["notes:read"]).await;
        let (status, code, challenge) = refused(&answer);
        assert_eq!((status, &*code, &*challenge), (403, "key_in_browser", ""), "{name}");
        let story = server.explain(&answer.text("trace_id")).await.remove(0);
        assert!(story.actor.as_deref().unwrap().starts_with("key_"), "{:?}", story.actor);
        let verdict = ask(&server, json!({"x-api-key": test, name: value}), &["notes:read"]).await.expect(200).json();
        assert_eq!(verdict["allowed"], true, "{name}");
    }
    let headers = json!({"x-api-key": live, "origin": null, "user-agent": "curl/8.11.0"});
    assert_eq!(ask(&server, headers, &[]).await.json()["allowed"], true);
}

#[tokio::test]
async fn route_accepts_live_keys_from_browsers_with_a_reason_only() {
    let server = TestServer::start().await;
    let live = key(&server.app, new_key("notes", "notes:read")).await;
    let headers = json!({"x-api-key": live, "origin": "https://app.example"});
    let ask = async |reason: Value| {
        let body = json!({"headers": headers, "method": "GET", "uri": "/", "allow_keys_in_browsers": reason});
        ask_about(&server, body).await
    };
    assert_eq!(ask(json!("an extension for our staff")).await.json()["allowed"], true);
    assert_eq!(ask(json!(null)).await.json()["code"], "key_in_browser");
    for reason in [json!(""), json!(" "), json!(true), json!("x".repeat(201))] {
        let answer = ask(reason).await.expect(422);
        assert_eq!(answer.json()["errors"][0]["pointer"], "/allow_keys_in_browsers");
    }
}

#[tokio::test]
async fn credential_in_the_callers_url_is_refused() {
    let server = TestServer::start().await;
    let key = &server.world.key;
    let body = json!({"headers": {}, "method": "GET", "uri": format!("/notes?api_key={key}")});
    let answer = ask_about(&server, body).await;
    assert_eq!(refused(&answer).0, 400);
    let story = serde_json::to_string(&server.explain(&answer.text("trace_id")).await).unwrap();
    assert!(story.contains("credential_in_query") && !story.contains(&key[10..]), "{story}");
}

#[tokio::test]
async fn only_an_api_may_ask() {
    let server = TestServer::start().await;
    let (web, notes) = (&server.world.web, &server.world.notes);
    let body = json!({"headers": {"x-api-key": server.world.key}, "method": "GET", "uri": "/"});
    for (authorization, status, code) in [
        (None, 401, "credential_missing"),
        (Some(basic(&notes.id, "dw_cs_wrong")), 401, "client_authentication_failed"),
        (Some(basic(&web.id, web.secret.as_deref().unwrap())), 403, "insufficient_permission"),
    ] {
        let mut request = server.caller.request(Method::POST, "/v1/requests/verify").json(&body);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        assert_eq!(server.caller.send(request).await.problem(), (status, code.into()));
    }
}

#[tokio::test]
async fn member_that_is_unknown_or_missing_is_named() {
    let server = TestServer::start().await;
    let whole = json!({"headers": {"x-api-key": server.world.key}, "method": "GET", "uri": "/", "scopes": []});
    for (member, value) in [
        ("method", Value::Null),
        ("uri", json!(1)),
        ("headers", json!([])),
        ("scopes", json!("notes:read")),
        ("scope", json!("notes:read")),
    ] {
        let mut body = whole.clone();
        body[member] = value;
        let answer = ask_about(&server, body).await;
        assert_eq!(answer.problem(), (422, "body_invalid".into()), "{member}");
        assert!(answer.text("detail").ends_with(&format!(": {member}.")), "{}", answer.body);
    }
    let body = json!({"headers": {"cookie": "a", "authorization": 1}, "uri": "/", "scopes": ["notes:read", "no:such"]});
    let errors = ask_about(&server, body).await.json()["errors"].clone();
    let places: Vec<_> = errors.as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(places, ["/method", "/scopes/1", "/headers/authorization", "/headers/cookie"]);
    // A header that is not looked at could carry a credential that nobody checks.
    for headers in
        [json!({"x-api-key": null, "X-API-Key": "k"}), json!({"cookie": "a=b"}), json!({"authorization": [1]})]
    {
        let name = headers.as_object().unwrap().keys().next().unwrap().to_ascii_lowercase();
        let answer = ask(&server, headers, &[]).await;
        assert_eq!(answer.problem(), (422, "body_invalid".into()));
        assert!(answer.text("detail").ends_with(&format!(": {name}.")), "{}", answer.body);
    }
}

#[tokio::test]
async fn refusal_names_the_apis_caller_whatever_others_do() {
    let server = TestServer::start().await;
    let of = |address: &str, key: &str| json!({"headers": {"x-api-key": key}, "method": "GET", "uri": "/", "address": address});
    for _ in 0..150 {
        ask_about(&server, of("192.0.2.1", "sk_live_invented")).await;
    }
    let key = keys::create(&server.app, &operator(), new_key("notes", "notes:read")).await.unwrap();
    let mut body = of("198.51.100.7:4711", key.key.reveal());
    body["scopes"] = json!(["notes:write"]);
    let answer = ask_about(&server, body).await;
    assert_eq!(refused(&answer).1, "insufficient_scope");
    let story = server.explain(&answer.text("trace_id")).await.remove(0);
    assert_eq!(story.address.as_deref(), Some("198.51.100.7"));
    assert_eq!(story.actor.as_deref(), Some(key.view.id.as_str()));
    // What is no address is none: a caller over a socket of the machine has no other.
    for address in [json!(""), json!("unix:"), Value::Null] {
        let body = json!({"headers": {}, "method": "GET", "uri": "/", "address": address});
        assert_eq!(refused(&ask_about(&server, body).await).0, 401);
    }
}

#[tokio::test]
async fn request_with_too_large_headers_is_refused_by_a_verdict() {
    let server = TestServer::start().await;
    let answer = ask(&server, json!({"x-api-key": "k".repeat(70_000)}), &[]).await;
    assert_eq!((refused(&answer).0, refused(&answer).1), (431, "head_too_large".into()));
    let story = server.explain(&answer.text("trace_id")).await.remove(0);
    assert_eq!(story.code.as_deref(), Some("head_too_large"));
}

#[tokio::test]
async fn roles_are_demanded_and_unknown_names_are_the_apis_mistake() {
    let server = TestServer::start().await;
    let key = key(&server.app, new_key("notes", "notes:read")).await;
    let asked = |member: &str, names: Value| {
        let mut body = json!({"headers": {"x-api-key": key}, "method": "GET", "uri": "/"});
        body[member] = names;
        ask_about(&server, body)
    };
    assert_eq!(refused(&asked("roles", json!(["admin"])).await).0, 403);
    for member in ["scopes", "roles"] {
        let answer = asked(member, json!(["notes:raed"])).await;
        assert_eq!(answer.problem(), (422, "body_invalid".into()), "{member}");
        assert!(answer.text("detail").ends_with(&format!(": {member}.")), "{}", answer.body);
    }
}
