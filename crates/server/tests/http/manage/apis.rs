//! `/v1/apis`.

use std::time::Duration;

use doorward_core::api::ResourceIdentifier;
use doorward_server::manage::{apis, keys::NewKey, roles};
use reqwest::Method;
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::{changed_apis::guarded, harness::*};

fn new_api(name: &str) -> Value {
    json!({
        "name": name,
        "identifier": format!("https://{name}.example"),
        "scopes": [{"scope": format!("{name}:read"), "description": "Read"}],
        "roles": ["reader"],
    })
}

fn registered(created: &Answer) -> Registered {
    let (id, secret) = (created.text("client_id"), created.text("client_secret"));
    Registered { id, secret: Some(secret), redirect_uri: String::new() }
}

async fn authenticates(server: &TestServer, api: &Registered) -> bool {
    server.caller.post_as(api, "/introspect", &[("token", "nonsense")]).await.status == 200
}

async fn path_of(server: &TestServer, name: &str) -> String {
    format!("/v1/apis/{}", apis::show(&server.app, &operator(), name).await.unwrap().id)
}

async fn limited<'a>(server: &'a TestServer, api: &str) -> Manager<'a> {
    let new = NewKey { limited_to: vec![api.into()], ..new_key("doorward", "apis:read apis:write") };
    Manager::by(server, new).await
}

#[tokio::test]
async fn api_is_created_changed_listed_and_deleted() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let created = manager.post("/v1/apis", new_api("tasks")).await.expect(201);
        let path = format!("/v1/apis/{}", created.text("id"));
        assert_eq!(created.header("location"), Some(path.as_str()));
        assert_eq!(created.header("cache-control"), Some("no-store"));
        let shown = manager.get(&path).await.expect(200);
        assert_eq!(shown.header("etag"), created.header("etag"));
        assert_eq!(shown.json()["client_secret"], Value::Null);
        assert_eq!(shown.text("client_id"), created.text("client_id"));

        let more = json!({"name": "todo", "access_token_ttl": 60, "scopes": [
            {"scope": "tasks:read", "description": "Read all"}, {"scope": "tasks:write", "description": "Write"}]});
        let changed = manager.patch(&path, more).await.expect(200);
        assert_eq!((changed.text("name"), changed.json()["access_token_ttl"].clone()), ("todo".into(), json!(60)));
        assert_eq!(changed.json()["scopes"][1]["scope"], "tasks:write");
        assert_eq!(changed.header("etag"), manager.get(&path).await.header("etag"));
        let stale = shown.header("etag").unwrap();
        let late = manager.send(Method::PATCH, &path, &[("if-match", stale)], Some(json!({"name": "late"}))).await;
        assert_eq!(refused(&late, 412), "precondition_failed");

        let listed = manager.get("/v1/apis").await.expect(200).json();
        let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|api| api["name"].clone()).collect();
        assert!(names.contains(&json!("todo")) && names.contains(&json!("notes")), "{names:?}");

        manager.delete(&path).await.expect(204);
        assert_eq!(refused(&manager.get(&path).await, 404), "id_unknown");
        assert_eq!(refused(&manager.delete(&path).await, 404), "id_unknown");
        assert!(!authenticates(server, &registered(&created)).await, "its credential is gone");
    })
    .await;
}

#[tokio::test]
async fn wrong_or_taken_members_of_an_api_are_named() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let answer = manager.post("/v1/apis", json!({"identifier": "tasks", "token_format": "xml", "colour": "red"})).await;
    assert_eq!(refused(&answer, 422), "body_invalid");
    assert_eq!(places(&answer), ["/colour", "/identifier", "/token_format", "/name"]);
    let scopes = json!([{"scope": "a:b", "description": "x", "colour": 1}]);
    let answer = manager.post("/v1/apis", json!({"name": "a", "identifier": "urn:a", "scopes": scopes})).await;
    assert_eq!(
        (refused(&answer, 422).as_str(), places(&answer)),
        ("body_invalid", vec!["/scopes/0/colour".to_owned()])
    );
    assert_eq!(refused(&manager.post("/v1/apis", new_api("notes")).await, 409), "conflict");
    let path = path_of(&server, "notes").await;
    for (patch, status) in [
        (json!({"identifier": "https://other.example"}), 422),
        (json!({"name": "mails"}), 409),
        (json!({"access_token_ttl": 1_000_000}), 422),
    ] {
        assert_eq!(manager.patch(&path, patch.clone()).await.status, status, "{patch}");
    }
    let management = path_of(&server, "doorward").await;
    for patch in [json!({"name": "other"}), json!({"scopes": []}), json!({"roles": []})] {
        assert_eq!(refused(&manager.patch(&management, patch).await, 422), "body_invalid");
    }
    assert_eq!(refused(&manager.delete(&management).await, 422), "body_invalid");
    assert_eq!(refused(&manager.get("/v1/apis/notes").await, 404), "id_unknown", "an id and not a name");
}

#[tokio::test]
async fn tokens_of_a_new_api_live_as_long_as_configured() {
    let server = TestServer::start_with(|settings| settings.tokens.access_token_ttl = Duration::from_secs(600)).await;
    let manager = Manager::of_all(&server).await;
    let created = manager.post("/v1/apis", new_api("tasks")).await.expect(201);
    assert_eq!(created.json()["access_token_ttl"], 600);
    let path = created.header("location").unwrap();
    assert_eq!(manager.patch(path, json!({"access_token_ttl": 60})).await.json()["access_token_ttl"], 60);
    assert_eq!(manager.patch(path, json!({"roles": []})).await.json()["access_token_ttl"], 60);
    assert_eq!(manager.patch(path, json!({"access_token_ttl": null})).await.json()["access_token_ttl"], 600);
}

#[tokio::test]
async fn what_ends_things_in_use_needs_a_confirmation() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let path = path_of(server, "notes").await;
        let before = manager.get(&path).await.json();
        roles::grant(&server.app, &operator(), &server.world.web.id, "notes", "admin").await.unwrap();
        for patch in [json!({"scopes": []}), json!({"roles": []})] {
            let answer = manager.patch(&path, patch.clone()).await;
            assert_eq!(refused(&answer, 409), "confirmation_required", "{patch}");
            assert!(answer.json()["ends"]["role_grants"]["count"].is_number());
            assert_eq!(manager.get(&path).await.json(), before, "nothing is changed");
        }
        let answer = manager.delete(&path).await;
        assert_eq!(refused(&answer, 409), "confirmation_required");
        let ends = answer.json()["ends"].clone();
        assert!(
            ends["keys"]["count"].as_u64().unwrap() > 0 && ends["clients"]["count"].as_u64().unwrap() > 0,
            "{ends}"
        );
        let changed = manager.patch(&format!("{path}?confirm=true"), json!({"scopes": []})).await.expect(200);
        assert_eq!(changed.json()["scopes"], json!([]));
        manager.delete(&format!("{path}?confirm=true")).await.expect(204);
    })
    .await;
}

#[tokio::test]
async fn removed_role_counts_no_more() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let path = path_of(server, "notes").await;
        let new = NewKey { roles: vec!["notes:admin".into()], ..new_key("notes", "notes:read") };
        let key = key(&server.app, new).await;
        let web = &server.world.web;
        roles::grant(&server.app, &operator(), &web.id, "notes", "admin").await.unwrap();
        let roles_of = async || {
            let authorization = basic(&server.world.notes.id, server.world.notes.secret.as_ref().unwrap());
            let answer = server.caller.verify_key(("authorization", &authorization), &key, &[]).await.expect(200);
            let token = server.caller.client_credentials(web, "notes:read").await.expect(200).text("access_token");
            (answer.json()["principal"]["roles"].clone(), claims(&token)["roles"].clone())
        };
        assert_eq!(roles_of().await, (json!(["admin"]), json!(["admin"])));
        manager.patch(&format!("{path}?confirm=true"), json!({"roles": ["other"]})).await.expect(200);
        let (of_key, of_client) = roles_of().await;
        assert!(of_key.as_array().is_none_or(Vec::is_empty), "{of_key}");
        assert!(of_client.as_array().is_none_or(Vec::is_empty), "{of_client}");
    })
    .await;
}

#[tokio::test]
async fn limited_caller_manages_its_api_and_creates_none() {
    let server = TestServer::start().await;
    let limited = limited(&server, "notes").await;
    let (notes, mails) = (path_of(&server, "notes").await, path_of(&server, "mails").await);
    limited.patch(&notes, json!({"access_token_ttl": 60})).await.expect(200);
    limited.act(&format!("{notes}/rotate-secret")).await.expect(200);
    let listed = limited.get("/v1/apis").await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    for answer in [
        limited.get(&mails).await,
        limited.patch(&mails, json!({"access_token_ttl": 60})).await,
        limited.delete(&mails).await,
        limited.act(&format!("{mails}/rotate-secret")).await,
    ] {
        assert_eq!(refused(&answer, 404), "id_unknown");
    }
    assert_eq!(refused(&limited.post("/v1/apis", new_api("tasks")).await, 403), "rights_exceeded");
}

#[tokio::test]
async fn management_api_is_changed_only_with_every_right() {
    let server = TestServer::start().await;
    let path = path_of(&server, "doorward").await;
    let some = Manager::with(&server, "apis:read apis:write clients:read clients:write").await;
    let credential = some.get(&path).await.expect(200).text("client_id");
    for change in [json!({"access_token_ttl": 1}), json!({"token_format": "opaque"}), json!({"key_prefix": "xx"})] {
        assert_eq!(refused(&some.patch(&path, change).await, 403), "rights_exceeded");
    }
    assert_eq!(refused(&some.act(&format!("{path}/rotate-secret")).await, 403), "rights_exceeded");
    // The credential of an API is managed with the API.
    let rotate = some.act(&format!("/v1/clients/{credential}/rotate-secret")).await;
    let delete = some.delete(&format!("/v1/clients/{credential}?confirm=true")).await;
    assert_eq!((refused(&rotate, 404), refused(&delete, 404)), ("id_unknown".into(), "id_unknown".into()));

    let all = Manager::of_all(&server).await;
    all.patch(&path, json!({"access_token_ttl": 60})).await.expect(200);
    all.act(&format!("{path}/rotate-secret")).await.expect(200);
}

#[tokio::test]
async fn issuer_and_other_spellings_identify_no_new_api() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let issuer = server.issuer().to_owned();
    let with = |identifier: String| {
        let mut body = new_api("tasks");
        body["identifier"] = json!(identifier);
        body
    };
    for same in [issuer.clone(), format!("{issuer}/")] {
        let answer = manager.post("/v1/apis", with(same)).await;
        assert_eq!(refused(&answer, 422), "body_invalid");
        assert_eq!(places(&answer), ["/identifier"]);
    }
    for same in [format!("{issuer}/v1/"), format!("{}/v1", issuer.replacen("http", "HTTP", 1))] {
        assert_eq!(refused(&manager.post("/v1/apis", with(same)).await, 409), "conflict");
    }
}

#[tokio::test]
async fn secret_of_an_api_is_replaced() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let created = manager.post("/v1/apis", new_api("tasks")).await.expect(201);
        let (old, path) = (registered(&created), format!("/v1/apis/{}", created.text("id")));
        assert!(authenticates(server, &old).await);
        let rotated = manager.act(&format!("{path}/rotate-secret")).await.expect(200);
        assert_eq!(rotated.text("client_id"), old.id);
        assert!(authenticates(server, &registered(&rotated)).await);
        assert!(!authenticates(server, &old).await);
    })
    .await;
}

#[tokio::test]
async fn change_of_algorithm_or_format_breaks_no_verification() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let web = &server.world.web;
        let path = path_of(server, "notes").await;
        let identifier = ResourceIdentifier::parse(&manager.get(&path).await.text("identifier")).unwrap();
        let token = async || server.caller.client_credentials(web, "notes:read").await.expect(200).text("access_token");
        let mut tokens = vec![token().await];
        for (patch, alg) in
            [(json!({"signing_algorithm": "PS256"}), "PS256"), (json!({"signing_algorithm": "EdDSA"}), "EdDSA")]
        {
            server.advance_secs(1);
            manager.patch(&path, patch).await.expect(200);
            tokens.push(token().await);
            assert_eq!(header(tokens.last().unwrap())["alg"], alg);
        }
        server.advance_secs(1);
        manager.patch(&path, json!({"token_format": "opaque"})).await.expect(200);
        let opaque = token().await;
        assert!(!opaque.contains('.') && server.caller.is_active(web, &opaque).await);
        // The API was started after the changes, so it knows only what is published now.
        let api = guarded(server, &identifier).await;
        for token in &tokens {
            assert!(server.caller.is_active(web, token).await);
            api.get_with("/me", &[("authorization", &format!("Bearer {token}"))]).await.expect(200);
        }
    })
    .await;
}
