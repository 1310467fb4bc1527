//! Clients that manage the server, limited to APIs and owners.

use doorward_core::{client::AuthenticationMethod, client_metadata::ClientMetadata, scope::ScopeSet};
use doorward_server::manage::{clients, keys::NewKey, roles};
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::harness::*;

const SCOPES: &str = "apis:write clients:read clients:write keys:read keys:write";

/// A client that manages the server, with these members beside.
fn managing(more: Value) -> Value {
    let mut body = json!({"client_name": "Robot", "grant_types": ["client_credentials"], "scope": SCOPES});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn registered(created: &Answer) -> Registered {
    Registered {
        id: created.text("client_id"),
        secret: Some(created.text("client_secret")),
        redirect_uri: String::new(),
    }
}

/// A manager by a client that `all` creates, and the path of the client.
async fn limited<'a>(server: &'a TestServer, all: &Manager<'_>, limits: Value) -> (Manager<'a>, String) {
    let created = all.post("/v1/clients", managing(limits)).await.expect(201);
    let manager = Manager::as_client(server, &registered(&created), SCOPES).await;
    (manager, created.header("location").unwrap().to_owned())
}

/// A client for an API, and its path.
async fn of_api(all: &Manager<'_>, api: &str) -> String {
    let body = json!({"client_name": api, "grant_types": ["client_credentials"], "scope": format!("{api}:read")});
    all.post("/v1/clients", body).await.expect(201).header("location").unwrap().to_owned()
}

async fn names(manager: &Manager<'_>, path: &str, member: &str) -> Vec<String> {
    let items = manager.get(path).await.expect(200).json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item[member].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn limited_client_reaches_only_what_its_limits_admit() {
    on_each_engine(async |server| {
        let all = Manager::of_all(server).await;
        let (notes, mails) = (of_api(&all, "notes").await, of_api(&all, "mails").await);
        let (robot, path) = limited(server, &all, json!({"limited_to": ["notes"]})).await;
        assert_eq!(all.get(&path).await.json()["limited_to"], json!(["notes"]));
        robot.get(&notes).await.expect(200);
        assert_eq!(refused(&robot.get(&mails).await, 404), "id_unknown");
        assert_eq!(refused(&robot.patch(&mails, json!({"client_name": "Mine"})).await, 404), "id_unknown");
        assert_eq!(refused(&robot.delete(&mails).await, 404), "id_unknown");
        let listed = names(&robot, "/v1/clients?limit=200", "client_name").await;
        assert!(listed.contains(&"notes".to_owned()) && !listed.contains(&"mails".to_owned()), "{listed:?}");
        let api = json!({"name": "new", "identifier": "urn:new"});
        assert_eq!(refused(&robot.post("/v1/apis", api).await, 403), "rights_exceeded");

        // A change of the limits counts at once, for tokens that are there already.
        all.patch(&path, json!({"limited_to": ["mails"]})).await.expect(200);
        robot.get(&mails).await.expect(200);
        assert_eq!(refused(&robot.get(&notes).await, 404), "id_unknown");
        all.patch(&path, json!({"limited_to": null})).await.expect(200);
        robot.get(&notes).await.expect(200);
        let changed: Vec<_> =
            all.get(&format!("/v1/audit?subject={}", &path["/v1/clients/".len()..])).await.json()["items"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|event| event["details"]["changed"].as_str().map(str::to_owned))
                .collect();
        assert_eq!(changed, ["limited_to", "limited_to"]);
    })
    .await;
}

#[tokio::test]
async fn client_limited_to_owners_manages_only_their_things() {
    on_each_engine(async |server| {
        let all = Manager::of_all(server).await;
        let (robot, path) = limited(server, &all, json!({"limited_to_owners": [format!("user:{ALICE}")]})).await;
        let shown = all.get(&path).await.json();
        assert!(shown["limited_to_owners"][0].as_str().unwrap().starts_with("usr_"), "{shown}");
        let key =
            |owner: &str| json!({"apis": ["notes"], "name": format!("of {owner}"), "owner": format!("user:{owner}")});
        robot.post("/v1/keys", key(ALICE)).await.expect(201);
        let beyond = robot.post("/v1/keys", key(BOB)).await;
        assert_eq!((refused(&beyond, 422), places(&beyond)), ("body_invalid".into(), vec!["/owner".into()]));
        assert_eq!(names(&robot, "/v1/keys?limit=200", "name").await, ["of alice"]);
        assert!(!names(&all, "/v1/keys?limit=200", "name").await.contains(&"of bob".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn nobody_gives_a_client_wider_limits_than_their_own() {
    on_each_engine(async |server| {
        let own = NewKey { limited_to: vec!["notes".into(), "doorward".into()], ..new_key("doorward", SCOPES) };
        let caller = Manager::by(server, own).await;
        let all = Manager::of_all(server).await;
        let before = names(&all, "/v1/clients?limit=200", "client_id").await;
        assert_eq!(refused(&caller.post("/v1/clients", managing(json!({}))).await, 403), "rights_exceeded");
        for api in ["mails", "nothing"] {
            let unknown = caller.post("/v1/clients", managing(json!({"limited_to": ["notes", api]}))).await;
            assert_eq!(refused(&unknown, 422), "body_invalid");
            assert_eq!(unknown.json()["errors"][0]["detail"], format!("there is no API {api:?}"));
            assert_eq!(places(&unknown), ["/limited_to/1"]);
        }
        assert_eq!(names(&all, "/v1/clients?limit=200", "client_id").await, before);

        let mine = caller.post("/v1/clients", managing(json!({"limited_to": ["notes"]}))).await.expect(201);
        let path = mine.header("location").unwrap();
        assert_eq!(refused(&caller.patch(path, json!({"limited_to": []})).await, 403), "rights_exceeded");
        let wider = caller.patch(path, json!({"limited_to": ["notes", "mails"]})).await;
        assert_eq!((refused(&wider, 422), places(&wider)), ("body_invalid".into(), vec!["/limited_to/1".into()]));
        let robot = Manager::as_client(server, &registered(&mine), SCOPES).await;
        for patch in [json!({"limited_to": []}), json!({"limited_to": ["doorward"]})] {
            assert_eq!(refused(&robot.patch(path, patch).await, 404), "id_unknown", "it does not reach itself");
        }
        assert_eq!(all.get(path).await.json()["limited_to"], json!(["notes"]));
        // A client with wider limits than the caller's is not the caller's to take over.
        let (_, wide) = limited(server, &all, json!({})).await;
        assert_eq!(refused(&caller.act(&format!("{wide}/rotate-secret")).await, 403), "rights_exceeded");
    })
    .await;
}

#[tokio::test]
async fn limit_outlives_its_api_and_never_becomes_none() {
    on_each_engine(async |server| {
        let all = Manager::of_all(server).await;
        let boards = json!({"name": "boards", "identifier": "urn:boards"});
        let boards = all.post("/v1/apis", boards).await.expect(201);
        let notes = of_api(&all, "notes").await;
        let (robot, path) = limited(server, &all, json!({"limited_to": ["boards"]})).await;
        let deletion = all.delete(boards.header("location").unwrap()).await;
        assert_eq!(refused(&deletion, 409), "confirmation_required");
        assert_eq!(deletion.json()["ends"]["clients"]["count"], 1);
        all.delete(&format!("{}?confirm=true", boards.header("location").unwrap())).await.expect(204);
        assert_eq!(refused(&robot.get(&notes).await, 404), "id_unknown");
        assert_eq!(all.get(&path).await.json()["limited_to"], json!([boards.text("id")]));
        all.patch(&path, json!({"client_name": "Still limited"})).await.expect(200);
        let again = all.post("/v1/apis", json!({"name": "boards", "identifier": "urn:boards"})).await.expect(201);
        assert_eq!(refused(&robot.get(again.header("location").unwrap()).await, 403), "insufficient_scope");
        assert_eq!(all.get(&path).await.json()["limited_to"], json!([boards.text("id")]));
    })
    .await;
}

#[tokio::test]
async fn limits_need_scopes_of_the_management_api() {
    let server = TestServer::start().await;
    let all = Manager::of_all(&server).await;
    let body = managing(
        json!({"scope": "notes:read", "limited_to": ["notes"], "limited_to_owners": [format!("user:{ALICE}")]}),
    );
    assert_eq!(places(&all.post("/v1/clients", body).await), ["/limited_to", "/limited_to_owners"]);
    let (_, path) = limited(&server, &all, json!({"limited_to": ["notes"]})).await;
    let narrowed = all.patch(&path, json!({"scope": "notes:read"})).await;
    assert_eq!(places(&narrowed), ["/limited_to"], "a limit is not dropped on the quiet");
    let wrong = managing(json!({"client_name": " ", "limited_to": ["gone"], "limited_to_owners": ["usr_1"]}));
    let answer = all.post("/v1/clients", wrong).await;
    assert_eq!(places(&answer), ["/client_name", "/limited_to/0", "/limited_to_owners/0"]);
    assert_eq!(places(&all.post("/v1/clients", managing(json!({"limits": {}}))).await), ["/limits"]);
}

#[tokio::test]
async fn administrator_is_limited_through_a_limited_client() {
    let server = TestServer::start().await;
    let all = Manager::of_all(&server).await;
    let (notes, mails) = (of_api(&all, "notes").await, of_api(&all, "mails").await);
    let console = ClientMetadata {
        scope: ScopeSet::parse("openid clients:read").unwrap(),
        ..client("Console", AuthenticationMethod::ClientSecret, "https://console.example/cb")
    };
    let console = register(&server.app, console).await;
    all.patch(&format!("/v1/clients/{}", console.id), json!({"limited_to": ["notes"]})).await.expect(200);
    roles::grant(&server.app, &operator(), ALICE, "doorward", "admin").await.unwrap();
    let request = AuthorizationRequest::of(&console).with("scope", "openid clients:read");
    let token = server.tokens_of(&console, &request).await["access_token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    server.caller.get_with(&notes, &[("authorization", &bearer)]).await.expect(200);
    let beyond = server.caller.get_with(&mails, &[("authorization", &bearer)]).await;
    assert_eq!(refused(&beyond, 404), "id_unknown");
    let shown = clients::show(&server.app, &operator(), &console.id).await.unwrap();
    assert_eq!(shown.limited_to, ["notes"]);
}
