//! `/v1/clients`.

use reqwest::Method;
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::harness::*;

fn new_client(name: &str) -> Value {
    json!({
        "client_name": name,
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": ["https://app.example/cb"],
        "scope": "openid notes:read",
    })
}

#[tokio::test]
async fn client_is_created_changed_listed_and_deleted() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let created = manager.post("/v1/clients", new_client("One")).await.expect(201);
        let (id, secret) = (created.text("client_id"), created.text("client_secret"));
        let path = format!("/v1/clients/{id}");
        assert_eq!(created.header("location"), Some(path.as_str()));
        assert_eq!(created.header("cache-control"), Some("no-store"));

        let shown = manager.get(&path).await.expect(200);
        assert_eq!(shown.header("etag"), created.header("etag"));
        assert_eq!(shown.json()["client_secret"], Value::Null);
        assert_eq!(shown.json()["redirect_uris"], json!(["https://app.example/cb"]));

        let patch = json!({"redirect_uris": ["https://app.example/cb", "https://app.example/2"], "client_uri": null});
        let changed = manager.patch(&path, patch).await.expect(200);
        assert_eq!(changed.json()["redirect_uris"][1], "https://app.example/2");
        assert_ne!(changed.header("etag"), shown.header("etag"));
        let registered = Registered { id: id.clone(), secret: Some(secret), redirect_uri: String::new() };
        assert!(!server.caller.is_active(&registered, "nonsense").await, "its secret still authenticates it");

        let listed = manager.get("/v1/clients?limit=200").await.expect(200).json();
        assert!(listed["items"].as_array().unwrap().iter().any(|client| client["client_id"] == id.as_str()));
        assert_eq!(listed["next"], Value::Null);

        assert!(manager.act(&format!("{path}/disable")).await.expect(200).json()["disabled_at"].is_string());
        assert_eq!(manager.act(&format!("{path}/enable")).await.expect(200).json()["disabled_at"], Value::Null);
        manager.delete(&path).await.expect(204);
        assert_eq!(refused(&manager.get(&path).await, 404), "id_unknown");
        assert_eq!(refused(&manager.delete(&path).await, 404), "id_unknown");
    })
    .await;
}

#[tokio::test]
async fn every_mistake_of_a_body_is_named_at_once() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let body = json!({"client_name": 5, "redirect_uris": ["https://a.example/cb", "/cb"], "colour": "red"});
    let answer = manager.post("/v1/clients", body).await;
    assert_eq!(refused(&answer, 422), "body_invalid");
    assert_eq!(places(&answer), ["/client_name", "/colour", "/redirect_uris/1"]);
    let answer = manager.post("/v1/clients", json!({"client_name": "One"})).await;
    assert_eq!(places(&answer), ["/grant_types", "/scope"]);
    let wrong = json!({
        "client_name": " ", "client_uri": "javascript:alert(1)", "scope": "no:such", "default_scope": "notes:read",
        "grant_types": ["client_credentials", "refresh_token"],
    });
    let rules = ["/client_name", "/client_uri", "/grant_types", "/scope", "/default_scope"];
    assert_eq!(places(&manager.post("/v1/clients", wrong.clone()).await), rules);
    let created = manager.post("/v1/clients", new_client("One")).await.expect(201);
    let changed = manager.patch(created.header("location").unwrap(), wrong).await;
    assert_eq!(refused(&changed, 422), "body_invalid");
    assert_eq!(
        places(&changed),
        ["/client_name", "/client_uri", "/redirect_uris", "/grant_types", "/scope", "/default_scope"]
    );
}

#[tokio::test]
async fn stale_change_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let created = manager.post("/v1/clients", new_client("One")).await.expect(201);
    let path = created.header("location").unwrap().to_owned();
    let stale = created.header("etag").unwrap().to_owned();
    let change = |name: &str| Some(json!({ "client_name": name }));
    let by = async |tag: &str, name| manager.send(Method::PATCH, &path, &[("if-match", tag)], change(name)).await;
    let fresh = by(&stale, "Two").await.expect(200).header("etag").unwrap().to_owned();
    assert_eq!(refused(&by(&stale, "Three").await, 412), "precondition_failed");
    let delete = manager.send(Method::DELETE, &path, &[("if-match", &stale)], None).await;
    assert_eq!(refused(&delete, 412), "precondition_failed");
    assert_eq!(manager.get(&path).await.text("client_name"), "Two");
    by(&format!("\"other\", W/{fresh}"), "Three").await.expect(200);
    by("*", "Four").await.expect(200);
}

#[tokio::test]
async fn repeated_creation_gets_the_same_answer_once() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let key = [("idempotency-key", "5f9c2f1e-6d0b-4f0e-9c57-000000000001")];
        let create = async |name: &str| manager.send(Method::POST, "/v1/clients", &key, Some(new_client(name))).await;
        let count = async || manager.get("/v1/clients?limit=200").await.json()["items"].as_array().unwrap().len();
        let before = count().await;
        let (first, second) = tokio::join!(create("One"), create("One"));
        let (first, second) = (first.expect(201), second.expect(201));
        assert_eq!((&first.body, first.header("etag")), (&second.body, second.header("etag")));
        assert_eq!(count().await, before + 1);
        assert_eq!(refused(&create("Two").await, 422), "idempotency_key_reused");
        let other = Manager::of_all(server).await;
        other.send(Method::POST, "/v1/clients", &key, Some(new_client("Two"))).await.expect(201);
        server.advance_secs(86_400);
        assert_ne!(create("One").await.expect(201).body, first.body);
        let short = manager.send(Method::POST, "/v1/clients", &[("idempotency-key", "1")], Some(new_client("x"))).await;
        assert_eq!(refused(&short, 400), "idempotency_key_invalid");
    })
    .await;
}

#[tokio::test]
async fn pages_follow_each_other_and_a_changed_cursor_is_refused() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    for number in 0..5 {
        manager.post("/v1/clients", new_client(&format!("Client {number}"))).await.expect(201);
    }
    let all = manager.get("/v1/clients?limit=200").await.json()["items"].as_array().unwrap().clone();
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = manager.get(&format!("/v1/clients?limit=2{next}")).await.expect(200).json();
        seen.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, all);
    let first = manager.get("/v1/clients?limit=2").await.json();
    let mut cursor = first["next"].as_str().unwrap().to_owned();
    cursor.replace_range(8..9, if &cursor[8..9] == "A" { "B" } else { "A" });
    for query in [
        &*format!("cursor={cursor}"),
        "cursor=",
        "limit=0",
        "limit=x",
        "limit=",
        "disabled=",
        "colour=red",
        "limit=1&limit=2",
    ] {
        assert_eq!(refused(&manager.get(&format!("/v1/clients?{query}")).await, 400), "query_invalid", "{query}");
    }
    assert_eq!(manager.get("/v1/clients?limit=100000").await.expect(200).json()["limit"], 200);
}

#[tokio::test]
async fn nobody_gives_or_takes_over_rights_that_they_lack() {
    let server = TestServer::start().await;
    let manager = Manager::with(&server, "clients:read clients:write").await;
    let with_scope =
        |scope: &str| json!({"client_name": "Robot", "grant_types": ["client_credentials"], "scope": scope});
    let beyond = manager.post("/v1/clients", with_scope("users:write")).await;
    assert_eq!(refused(&beyond, 403), "rights_exceeded");
    let own = manager.post("/v1/clients", with_scope("clients:read")).await.expect(201);
    let path = own.header("location").unwrap();
    let more = manager.patch(path, json!({"scope": "clients:read users:write"})).await;
    assert_eq!(refused(&more, 403), "rights_exceeded");
    let all = Manager::of_all(&server).await;
    let powerful = all.post("/v1/clients", with_scope("users:write")).await.expect(201);
    let path = powerful.header("location").unwrap();
    for answer in [
        manager.act(&format!("{path}/rotate-secret")).await,
        manager.patch(path, json!({"client_name": "Mine"})).await,
        manager.delete(path).await,
    ] {
        assert_eq!(refused(&answer, 403), "rights_exceeded");
    }
    manager.get(path).await.expect(200);
}

#[tokio::test]
async fn limited_caller_finds_other_clients_as_unknown() {
    let server = TestServer::start().await;
    let all = Manager::of_all(&server).await;
    let notes = all.post("/v1/clients", new_client("Notes")).await.expect(201);
    let mails = json!({"client_name": "Mails", "grant_types": ["client_credentials"], "scope": "mails:read"});
    let mails = all.post("/v1/clients", mails).await.expect(201);
    let new = doorward_server::manage::keys::NewKey {
        limited_to: vec!["notes".into()],
        ..new_key("doorward", "clients:read clients:write")
    };
    let limited = Manager::by(&server, new).await;
    limited.get(notes.header("location").unwrap()).await.expect(200);
    let unknown = limited.get("/v1/clients/cli_00000000000000000000000000000000").await;
    let path = mails.header("location").unwrap();
    for answer in [limited.get(path).await, limited.delete(path).await, limited.get("/v1/clients/nonsense").await] {
        assert_eq!(refused(&answer, 404), "id_unknown");
        let same = |answer: &Answer| {
            let mut problem = answer.json();
            problem["trace_id"] = Value::Null;
            problem
        };
        assert_eq!(same(&answer), same(&unknown));
    }
    let listed = limited.get("/v1/clients").await.json();
    let names: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|client| client["client_name"].clone()).collect();
    assert!(names.contains(&json!("Notes")) && !names.contains(&json!("Mails")), "{names:?}");
}

#[tokio::test]
async fn limited_caller_makes_no_client_of_other_apis() {
    let server = TestServer::start().await;
    let limited = |apis: &[&str], owners: &[&str]| doorward_server::manage::keys::NewKey {
        limited_to: apis.iter().map(|api| (*api).to_owned()).collect(),
        limited_to_owners: owners.iter().map(|owner| (*owner).to_owned()).collect(),
        ..new_key("doorward", "clients:read clients:write")
    };
    let of_notes = Manager::by(&server, limited(&["notes"], &[])).await;
    let robot = |scope: &str| json!({"client_name": "Robot", "grant_types": ["client_credentials"], "scope": scope});
    let mine = of_notes.post("/v1/clients", robot("notes:read")).await.expect(201);
    let path = mine.header("location").unwrap().to_owned();
    of_notes.get(&path).await.expect(200);
    let unknown = of_notes.post("/v1/clients", robot("nothing:read")).await;
    for scope in ["mails:read", "notes:read mails:read"] {
        let other = of_notes.post("/v1/clients", robot(scope)).await;
        assert_eq!((refused(&other, 422), places(&other)), (refused(&unknown, 422), places(&unknown)), "{scope}");
        let other = of_notes.patch(&path, json!({ "scope": scope })).await;
        assert_eq!((refused(&other, 422), places(&other)), ("body_invalid".into(), vec!["/scope".into()]), "{scope}");
    }
    let of_alice = Manager::by(&server, limited(&[], &[ALICE])).await;
    assert_eq!(refused(&of_alice.post("/v1/clients", robot("notes:read")).await, 403), "rights_exceeded");
}

#[tokio::test]
async fn limited_caller_changes_no_client_that_others_use() {
    let server = TestServer::start().await;
    let all = Manager::of_all(&server).await;
    let new = doorward_server::manage::keys::NewKey {
        limited_to: vec!["notes".into()],
        ..new_key("doorward", "clients:read clients:write")
    };
    let limited = Manager::by(&server, new).await;
    let boards = json!({"name": "boards", "identifier": "urn:boards", "roles": ["admin"],
        "scopes": [{"scope": "boards:read", "description": "Read"}]});
    all.post("/v1/apis", boards).await.expect(201);
    let robot = json!({"client_name": "Robot", "grant_types": ["client_credentials"], "scope": "notes:read"});
    let of_role = limited.post("/v1/clients", robot.clone()).await.expect(201);
    let role = json!({"holder": of_role.text("client_id"), "api": "boards", "role": "admin"});
    all.post("/v1/roles", role).await.expect(201);
    let path = of_role.header("location").unwrap();
    for answer in [
        limited.get(path).await,
        limited.patch(path, json!({"scope": "notes:read notes:write"})).await,
        limited.act(&format!("{path}/rotate-secret")).await,
        limited.act(&format!("{path}/disable")).await,
        limited.delete(path).await,
    ] {
        assert_eq!(refused(&answer, 404), "id_unknown");
    }

    let owner = limited.post("/v1/clients", robot).await.expect(201);
    let path = owner.header("location").unwrap();
    let owned = |api: &str| json!({"apis": [api], "name": "ci", "scopes": [format!("{api}:read")], "owner": owner.text("client_id")});
    all.post("/v1/keys", owned("notes")).await.expect(201);
    let other = all.post("/v1/keys", owned("boards")).await.expect(201).header("location").unwrap().to_owned();
    for answer in [
        limited.act(&format!("{path}/disable?confirm=true")).await,
        limited.delete(&format!("{path}?confirm=true")).await,
    ] {
        assert_eq!(refused(&answer, 403), "rights_exceeded");
    }
    all.act(&format!("{other}/revoke")).await.expect(200);
    limited.act(&format!("{path}/disable?confirm=true")).await.expect(200);
    limited.delete(&format!("{path}?confirm=true")).await.expect(204);
}
