//! `POST /v1/keys/verify`: for an API about keys that name it, for a management key about keys of its APIs.

use doorward_core::{api::DescribedScope, scope::ScopeSet};
use doorward_server::manage::{apis, keys, users};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::*;

/// What the API notes learns about a key.
async fn asked_by_notes(server: &TestServer, key: &str, scopes: &[&str]) -> Answer {
    let notes = &server.world.notes;
    let authorization = basic(&notes.id, notes.secret.as_deref().unwrap());
    server.caller.verify_key(("authorization", &authorization), key, scopes).await.expect(200)
}

fn verdict(answer: &Answer) -> (bool, String) {
    (answer.json()["valid"].as_bool().unwrap(), answer.text("code"))
}

/// Why a key is not valid; the answer says nothing more.
#[track_caller]
fn no(answer: &Answer) -> String {
    let (valid, code) = verdict(answer);
    assert!(!valid);
    assert_eq!(answer.body, format!(r#"{{"valid":false,"code":"{code}"}}"#));
    code
}

#[tokio::test]
async fn api_learns_the_principal_of_a_valid_key() {
    let server = TestServer::start().await;
    users::show(&server.app, &operator(), ALICE).await.unwrap();
    let new = keys::NewKey {
        owner: Some(format!("user:{ALICE}")),
        roles: vec!["admin".into()],
        ..new_key("notes", "notes:read")
    };
    let created = keys::create(&server.app, &operator(), new).await.unwrap();
    let answer = asked_by_notes(&server, created.key.reveal(), &["notes:read"]).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(verdict(&answer), (true, "valid".into()));
    let principal = &answer.json()["principal"];
    assert_eq!((&principal["kind"], &principal["sub"]), (&json!("key"), &json!(created.view.id)));
    assert_eq!((&principal["scope"], &principal["roles"]), (&json!("notes:read"), &json!(["admin"])));
    assert_eq!(principal["audience"], "https://notes.example");
    assert_eq!(principal["owner"], users::show(&server.app, &operator(), ALICE).await.unwrap().id.to_string());
    assert_eq!(principal["exp"], server.now() + 90 * 86_400);
}

#[tokio::test]
async fn missing_scope_is_reported_with_the_principal() {
    let server = TestServer::start().await;
    let key = key(&server.app, new_key("notes", "notes:read")).await;
    let answer = asked_by_notes(&server, &key, &["notes:read", "notes:write"]).await;
    assert_eq!(verdict(&answer), (false, "insufficient_scope".into()));
    assert_eq!(answer.json()["principal"]["scope"], "notes:read");
}

#[tokio::test]
async fn key_of_another_api_looks_exactly_like_an_unknown_key() {
    let server = TestServer::start().await;
    let of_mails = key(&server.app, new_key("mails", "mails:read")).await;
    let unknown = doorward_core::api_key::ApiKey::generate(
        &doorward_core::api_key::KeyPrefix::default(),
        doorward_core::api_key::Environment::Live,
        &doorward_guard::SystemRng::default(),
    );
    let mut mistyped = server.world.key.clone();
    mistyped.replace_range(10..11, if mistyped.as_bytes()[10] == b'a' { "b" } else { "a" });
    let mut bodies = Vec::new();
    for key in [&of_mails, &server.world.management_key, unknown.reveal()] {
        let answer = asked_by_notes(&server, key, &["notes:read"]).await;
        assert_eq!(no(&answer), "key_unknown");
        bodies.push(answer.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    for mistyped in [&*mistyped, "nonsense", ""] {
        let answer = asked_by_notes(&server, mistyped, &["notes:read"]).await;
        assert_eq!(no(&answer), "key_mistyped", "anybody can compute the checksum");
    }
}

#[tokio::test]
async fn api_learns_why_its_key_is_refused() {
    on_each_engine(async |server| {
        let beside = server.beside().await;
        let make = async |new| keys::create(&server.app, &operator(), new).await.unwrap();
        let short = keys::Expiry::After(std::time::Duration::from_secs(60));
        let expiring = make(keys::NewKey { expiry: short, ..new_key("notes", "notes:read") }).await;
        let owned = make(keys::NewKey { owner: Some(format!("user:{BOB}")), ..new_key("notes", "notes:read") }).await;
        let revoked = make(new_key("notes", "notes:read")).await;
        let never = make(keys::NewKey { expiry: keys::Expiry::Never, ..new_key("notes", "notes:read") }).await;
        for server in [server, &beside] {
            for created in [&expiring, &owned, &revoked, &never] {
                assert!(verdict(&asked_by_notes(server, created.key.reveal(), &[]).await).0, "and it is cached");
            }
        }
        server.advance_secs(60);
        users::disable(&server.app, &operator(), BOB, true, |_| Ok(())).await.unwrap();
        keys::revoke(&server.app, &operator(), revoked.view.id.as_str()).await.unwrap();
        for (created, code) in [(&expiring, "key_expired"), (&owned, "key_owner_disabled"), (&revoked, "key_revoked")] {
            assert_eq!(no(&asked_by_notes(server, created.key.reveal(), &[]).await), code);
            // Another server knows it within a moment.
            eventually(code, async || {
                let answer = asked_by_notes(&beside, created.key.reveal(), &[]).await;
                (verdict(&answer) == (false, code.to_owned())).then_some(())
            })
            .await;
        }
        server.advance_secs(1_000 * 86_400);
        assert!(verdict(&asked_by_notes(server, never.key.reveal(), &[]).await).0);
        users::enable(&server.app, &operator(), BOB, |_| Ok(())).await.unwrap();
        assert_eq!(no(&asked_by_notes(server, owned.key.reveal(), &[]).await), "key_expired");
    })
    .await;
}

#[tokio::test]
async fn a_management_key_asks_about_the_keys_of_its_apis() {
    let server = TestServer::start().await;
    let of_mails = key(&server.app, new_key("mails", "mails:read")).await;
    let limited = keys::NewKey { limited_to: vec!["mails".into()], ..new_key("doorward", "keys:verify") };
    let limited = key(&server.app, limited).await;
    let ask = async |by: &str, about: &str| {
        let header = server.caller.verify_key(("x-api-key", by), about, &[]).await.expect(200);
        let bearer = server.caller.verify_key(("authorization", &format!("Bearer {by}")), about, &[]).await;
        assert_eq!(header.body, bearer.body);
        header
    };
    let all = &server.world.management_key;
    assert!(verdict(&ask(all, &server.world.key).await).0 && verdict(&ask(all, &of_mails).await).0);
    assert!(verdict(&ask(&limited, &of_mails).await).0);
    assert_eq!(no(&ask(&limited, &server.world.key).await), "key_unknown");
}

#[tokio::test]
async fn management_key_verifies_a_multi_api_key_by_scopes() {
    let server = TestServer::start().await;
    let both = keys::NewKey {
        apis: vec!["notes".into(), "mails".into()],
        scopes: ScopeSet::parse("notes:read mails:read").unwrap(),
        ..new_key("notes", "")
    };
    let both = key(&server.app, both).await;
    let ask = async |scopes: &[&str]| {
        let header = ("x-api-key", server.world.management_key.as_str());
        server.caller.verify_key(header, &both, scopes).await.expect(200)
    };
    for scope in ["notes:read", "mails:read"] {
        assert!(verdict(&ask(&[scope]).await).0, "{scope}");
    }
    for scopes in [&["notes:write"][..], &["notes:read", "mails:read"]] {
        assert_eq!(verdict(&ask(scopes).await), (false, "insufficient_scope".into()), "{scopes:?}");
    }
}

#[tokio::test]
async fn only_an_api_or_a_management_key_with_the_scope_may_ask() {
    let server = TestServer::start().await;
    let (web, key_of_notes) = (&server.world.web, &server.world.key);
    let without_scope = key(&server.app, new_key("doorward", "")).await;
    let client = basic(&web.id, web.secret.as_deref().unwrap());
    let wrong = basic(&server.world.notes.id, "dw_cs_wrong");
    for (header, status, code) in [
        (("x-api-key", key_of_notes.as_str()), 401, "key_unknown"),
        (("x-api-key", without_scope.as_str()), 403, "insufficient_scope"),
        (("authorization", client.as_str()), 403, "insufficient_permission"),
        (("authorization", wrong.as_str()), 401, "client_authentication_failed"),
        (("x-made-up", "x"), 401, "credential_missing"),
        (("authorization", "Bearer nonsense"), 401, "token_malformed"),
    ] {
        let answer = server.caller.verify_key(header, key_of_notes, &[]).await;
        assert_eq!(answer.problem(), (status, code.into()), "{header:?}");
        // What the body says of an owner or a key changes nothing about who asks.
        let body = json!({"key": key_of_notes, "scopes": [], "userId": "x", "owner": ALICE});
        let request = server.caller.request(Method::POST, "/v1/keys/verify").header(header.0, header.1).json(&body);
        assert_eq!(server.caller.send(request).await.status, status, "{header:?}");
    }
    let both = server.caller.request(Method::POST, "/v1/keys/verify").header("x-api-key", &without_scope);
    let both = both.bearer_auth(&server.world.management_key).json(&json!({"key": key_of_notes}));
    assert_eq!(server.caller.send(both).await.problem(), (400, "credential_multiple".into()));
}

#[tokio::test]
async fn unreadable_input_is_refused_by_its_kind() {
    let server = TestServer::start().await;
    let notes = &server.world.notes;
    let post = async |content_type: &str, body: Vec<u8>| {
        let request = server.caller.request(Method::POST, "/v1/keys/verify").body(body);
        let request = request.basic_auth(&notes.id, notes.secret.as_deref());
        server.caller.send(request.header("content-type", content_type)).await
    };
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    let malformed = (400, "body_malformed".to_owned());
    let invalid = (422, "body_invalid".to_owned());
    for (body, expected) in [
        (&b"{"[..], &malformed),
        (b"[]", &malformed),
        (br#""key""#, &malformed),
        (br#"{"key":"a","key":"b"}"#, &malformed),
        (b"{\"key\":\"\xff\"}", &malformed),
        (br#"{"key":"a"} {}"#, &malformed),
        (&nested(17), &malformed),
        (&nested(30_000), &malformed),
        (b"{}", &invalid),
        (br#"{"key":1}"#, &invalid),
        (br#"{"key":"a","scopes":"notes:read"}"#, &invalid),
        (br#"{"key":"a","scopes":["\""]}"#, &invalid),
        (br#"{"key":"a","owner":"b"}"#, &invalid),
    ] {
        let answer = post("application/json", body.to_vec()).await;
        assert_eq!(&answer.problem(), expected, "{}", String::from_utf8_lossy(&body[..body.len().min(50)]));
    }
    assert_eq!(post("text/plain", b"{}".to_vec()).await.problem(), (415, "content_type_unsupported".into()));
    let large = format!(r#"{{"key":"{}"}}"#, "a".repeat(70_000)).into_bytes();
    assert_eq!(post("application/json", large).await.problem(), (413, "body_too_large".into()));
}

#[tokio::test]
async fn member_that_can_not_be_taken_is_named() {
    let server = TestServer::start().await;
    let notes = &server.world.notes;
    let ask = async |body: Value| {
        let request = server.caller.request(Method::POST, "/v1/keys/verify").json(&body);
        server.caller.send(request.basic_auth(&notes.id, notes.secret.as_deref())).await
    };
    let key = &server.world.key;
    for (body, member) in [
        (json!({"key": key, "owner": "b"}), "owner"),
        (json!({"key": key, "scope": "notes:read"}), "scope"),
        (json!({"key": 1}), "key"),
        (json!({"key": null}), "key"),
        (json!({}), "key"),
        (json!({"key": key, "scopes": "notes:read"}), "scopes"),
    ] {
        let answer = ask(body.clone()).await;
        assert_eq!(answer.problem(), (422, "body_invalid".into()), "{body}");
        assert!(answer.text("detail").ends_with(&format!(": {member}.")), "{}", answer.body);
    }
    let answer = ask(json!({"scopes": key, "owner": "b", "scope": "notes:read"})).await;
    let errors = answer.json()["errors"].clone();
    let places: Vec<_> = errors.as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(places, ["/key", "/scopes", "/owner", "/scope"], "all at once");
    assert_eq!(errors[2]["detail"], "is unknown; known are key, scopes, address, origin, uses");
    assert!(!answer.body.contains(key.as_str()), "what may be a secret is not repeated: {}", answer.body);
    // What is null is absent, and white space around a key does not count.
    for body in
        [json!({"key": key, "scopes": null}), json!({"key": key, "owner": null}), json!({"key": format!(" {key}\r\n")})]
    {
        assert_eq!(verdict(&ask(body.clone()).await), (true, "valid".into()), "{body}");
    }
}

#[tokio::test]
async fn key_of_another_api_is_looked_up_as_an_unknown_one_is() {
    let server = TestServer::start().await;
    let (notes, mails) = (&server.world.notes, &server.world.mails);
    let created = keys::create(&server.app, &operator(), new_key("mails", "mails:read")).await.unwrap();
    let key = created.key.reveal();
    let ask = async |api: &Registered| {
        let authorization = basic(&api.id, api.secret.as_deref().unwrap());
        let answer = server.caller.verify_key(("authorization", &authorization), key, &[]).await.expect(200);
        let story = match answer.header("doorward-trace-id") {
            Some(trace_id) => server.explain(trace_id).await.remove(0).code.unwrap(),
            None => "valid".to_owned(),
        };
        (answer.text("code"), story)
    };
    let told = |code: &str, cause: &str| (code.to_owned(), cause.to_owned());
    assert_eq!(ask(notes).await, told("key_unknown", "key_of_another_api"));
    // Both APIs remember their answers: nobody reads the database, which no longer has the key.
    assert_eq!(ask(mails).await, told("valid", "valid"));
    let sql = "DELETE FROM api_keys WHERE id = $1";
    let params = vec![created.view.id.as_str().into()];
    assert_eq!(server.app.store.write(Run { sql, params }).await.unwrap(), 1);
    assert_eq!(ask(mails).await, told("valid", "valid"));
    assert_eq!(ask(notes).await, told("key_unknown", "key_of_another_api"));
    // What is no key of the API's own is remembered for half a second, and then looked up, though the key is cached.
    server.advance(std::time::Duration::from_millis(500));
    assert_eq!(ask(mails).await, told("valid", "valid"));
    assert_eq!(ask(notes).await, told("key_unknown", "key_unknown"));
}

#[tokio::test]
async fn a_key_in_the_url_is_refused_before_anything_is_logged() {
    let logs = Logs::listen();
    let server = TestServer::start().await;
    let (key, management_key) = (&server.world.key, &server.world.management_key);
    for path in [
        format!("/v1/keys/verify?api_key={key}"),
        format!("/v1/keys/verify?whatever={key}"),
        format!("/v1/keys/verify?apikey={management_key}"),
        format!("/v1/audit/refusals?k={key}"),
        format!("/v1/nowhere?x={key}"),
        format!("/userinfo?x={key}"),
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = server.caller.send(server.caller.request(method, &path)).await;
            assert_eq!(answer.problem(), (400, "credential_in_query".into()), "{path}");
            let story = server.explain(&answer.text("trace_id")).await;
            assert_eq!(story[0].code.as_deref(), Some("credential_in_query"));
            assert!(!serde_json::to_string(&story).unwrap().contains(&key[10..]));
        }
    }
    // In a path, it is taken out of what is logged.
    let answer = server.caller.get(&format!("/v1/keys/{key}")).await;
    assert_eq!(answer.problem(), (401, "credential_missing".into()));
    let story = serde_json::to_string(&server.explain(&answer.text("trace_id")).await).unwrap();
    assert!(story.contains("/v1/keys/[credential]") && !story.contains(&key[10..]), "{story}");
    let answer = server.caller.get(&format!("/v1/nowhere/{key}")).await;
    assert_eq!(answer.problem(), (404, "not_found".into()));
    let logged = logs.text();
    assert!(logged.contains("/v1/nowhere/[credential]"), "{logged}");
    assert!(logged.contains("credential_in_query"), "something is logged");
    assert!(!logged.contains(&key[10..]) && !logged.contains(&management_key[10..]));
}

/// Makes the management API that of a program which did not know `keys:verify`.
async fn forget_keys_verify(server: &TestServer) {
    for sql in [
        "UPDATE apis SET metadata = replace(metadata, 'keys:verify', 'keys:older') WHERE name = 'doorward'",
        "UPDATE api_scopes SET scope = 'keys:older' WHERE scope = 'keys:verify'",
    ] {
        assert_eq!(server.app.store.write(Run { sql, params: vec![] }).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn management_key_of_one_owner_knows_no_key_of_others() {
    let server = TestServer::start().await;
    let of_alice = keys::NewKey { owner: Some(format!("user:{ALICE}")), ..new_key("notes", "notes:read") };
    let (of_alice, of_nobody) = (key(&server.app, of_alice).await, server.world.key.clone());
    let limited =
        keys::NewKey { limited_to_owners: vec![format!("user:{ALICE}")], ..new_key("doorward", "keys:verify") };
    let manager = key(&server.app, limited).await;
    let asked = async |text: &str| server.caller.verify_key(("x-api-key", &manager), text, &[]).await.expect(200);
    assert_eq!(verdict(&asked(&of_alice).await), (true, "valid".into()));
    assert_eq!(no(&asked(&of_nobody).await), "key_unknown");
}

#[tokio::test]
async fn older_management_api_gets_its_missing_scopes() {
    on_each_engine(async |server| {
        forget_keys_verify(server).await;
        for _ in 0..2 {
            apis::ensure_management(&server.app).await.unwrap();
            let scopes = apis::show(&server.app, &operator(), apis::MANAGEMENT).await.unwrap().metadata.scopes;
            let scopes: Vec<_> = scopes.iter().map(|described| described.scope.as_str()).collect();
            let known = doorward_core::rights::SCOPES.iter().map(|(scope, _)| *scope);
            assert!(scopes.contains(&"keys:older") && known.into_iter().all(|scope| scopes.contains(&scope)));
        }
        let manager = key(&server.app, new_key(apis::MANAGEMENT, apis::KEYS_VERIFY)).await;
        let asked = key(&server.app, new_key("notes", "notes:read")).await;
        let answer = server.caller.verify_key(("x-api-key", &manager), &asked, &[]).await.expect(200);
        assert_eq!(verdict(&answer), (true, "valid".into()));
    })
    .await;
}

#[tokio::test]
async fn newer_members_of_an_api_survive_a_change() {
    on_each_engine(async |server| {
        forget_keys_verify(server).await;
        let newer = r#"UPDATE apis SET metadata = replace(replace(metadata, '{"name"', '{"new":[1],"name"'),
                         '{"scope"', '{"step_up":true,"scope"') WHERE name = 'doorward'"#;
        assert_eq!(server.app.store.write(Run { sql: newer, params: vec![] }).await.unwrap(), 1);
        apis::ensure_management(&server.app).await.unwrap();
        let sql = r#"UPDATE apis SET name = name WHERE name = 'doorward' AND metadata LIKE '%"new":[1]%'
                       AND metadata LIKE '%"step_up":true%' AND metadata LIKE '%keys:verify%'"#;
        assert_eq!(server.app.store.write(Run { sql, params: vec![] }).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn key_whose_limit_can_not_be_read_is_refused() {
    on_each_engine(async |server| {
        let manager = key(&server.app, new_key(apis::MANAGEMENT, apis::KEYS_VERIFY)).await;
        let asked = key(&server.app, new_key("notes", "notes:read")).await;
        let sql = r#"UPDATE api_keys SET metadata = replace(metadata, '"limited_to"', '"limited"')"#;
        assert_eq!(server.app.store.write(Run { sql, params: vec![] }).await.unwrap(), 4);
        server.caller.verify_key(("x-api-key", &manager), &asked, &[]).await.expect(503);
    })
    .await;
}

#[tokio::test]
async fn scope_of_ours_that_another_api_has_is_left_to_it() {
    on_each_engine(async |server| {
        forget_keys_verify(server).await;
        for sql in [
            "UPDATE apis SET metadata = replace(metadata, 'notes:read', 'keys:verify') WHERE name = 'notes'",
            "UPDATE api_scopes SET scope = 'keys:verify' WHERE scope = 'notes:read'",
        ] {
            assert_eq!(server.app.store.write(Run { sql, params: vec![] }).await.unwrap(), 1);
        }
        apis::ensure_management(&server.app).await.unwrap();
        let scopes = async |api| apis::show(&server.app, &operator(), api).await.unwrap().metadata.scopes;
        let has_it = |scopes: &[DescribedScope]| scopes.iter().any(|one| one.scope.as_str() == apis::KEYS_VERIFY);
        assert!(has_it(&scopes("notes").await) && !has_it(&scopes(apis::MANAGEMENT).await));
    })
    .await;
}
