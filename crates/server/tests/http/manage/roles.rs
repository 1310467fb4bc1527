//! `/v1/roles`.

use doorward_server::manage::keys::NewKey;
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::harness::*;

fn role(holder: &str, api: &str, role: &str) -> Value {
    json!({"holder": holder, "api": api, "role": role})
}

#[tokio::test]
async fn role_is_given_listed_and_taken_back() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let given = manager.post("/v1/roles", role(BOB, "notes", "admin")).await.expect(201);
        assert_eq!(
            (given.text("username"), given.text("api"), given.text("role")),
            (BOB.into(), "notes".into(), "admin".into())
        );
        server.advance_secs(60);
        let again = manager.post("/v1/roles", role(&given.text("holder"), &given.text("api_id"), "admin")).await;
        assert_eq!(again.expect(201).body, given.body, "it was there already");
        let path = given.header("location").unwrap().to_owned();
        assert_eq!(manager.get(&path).await.expect(200).body, given.body);

        let listed = async |query: &str| {
            manager.get(&format!("/v1/roles?{query}")).await.expect(200).json()["items"].as_array().unwrap().len()
        };
        assert_eq!(listed(&format!("holder={BOB}&api=notes&role=admin")).await, 1);
        assert_eq!(listed(&format!("holder={BOB}")).await, 1);
        for query in ["holder=nobody", "api=nothing", "role=other"] {
            assert_eq!(listed(query).await, 0, "{query}");
        }
        manager.delete(&format!("/v1/roles/{BOB}/notes/admin")).await.expect(204);
        assert_eq!(refused(&manager.delete(&path).await, 404), "id_unknown");
        assert_eq!(refused(&manager.get("/v1/roles/nobody/nothing/a b").await, 404), "id_unknown");
    })
    .await;
}

#[tokio::test]
async fn pages_of_roles_follow_each_other() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    for holder in [ALICE, BOB] {
        manager.post("/v1/roles", role(holder, "notes", "admin")).await.expect(201);
    }
    let all = manager.get("/v1/roles").await.expect(200).json()["items"].clone();
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = manager.get(&format!("/v1/roles?limit=1{next}")).await.expect(200).json();
        seen.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(json!(seen), all);
    assert!(seen.len() >= 2);
}

#[tokio::test]
async fn names_that_no_role_has_are_mistakes() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    for (body, expected) in [
        (json!({"holder": 5, "colour": "red"}), &["/colour", "/holder", "/api", "/role"][..]),
        (role("nobody", "nothing", "admin"), &["/holder", "/api"]),
        (role(BOB, "notes", "other"), &["/role"]),
    ] {
        let answer = manager.post("/v1/roles", body).await;
        assert_eq!(refused(&answer, 422), "body_invalid");
        assert_eq!(places(&answer), expected);
    }
}

#[tokio::test]
async fn role_admin_of_the_management_api_needs_every_scope() {
    let server = TestServer::start().await;
    let manager = Manager::with(&server, "roles:read roles:write").await;
    let body = || role(BOB, "doorward", "admin");
    assert_eq!(refused(&manager.post("/v1/roles", body()).await, 403), "rights_exceeded");
    let all = Manager::of_all(&server).await;
    let path = all.post("/v1/roles", body()).await.expect(201).header("location").unwrap().to_owned();
    assert_eq!(refused(&manager.delete(&path).await, 403), "rights_exceeded");
    manager.post("/v1/roles", role(BOB, "notes", "admin")).await.expect(201);
    all.delete(&path).await.expect(204);
}

#[tokio::test]
async fn limited_caller_gives_roles_of_its_apis_only() {
    let server = TestServer::start().await;
    let limited = NewKey { limited_to: vec!["mails".into()], ..new_key("doorward", "roles:read roles:write") };
    let manager = Manager::by(&server, limited).await;
    let all = Manager::of_all(&server).await;
    let path = all.post("/v1/roles", role(BOB, "notes", "admin")).await.expect(201);
    let path = path.header("location").unwrap();
    let beyond = manager.post("/v1/roles", role(BOB, "notes", "admin")).await;
    let unknown = manager.post("/v1/roles", role(BOB, "gone", "admin")).await;
    let errors = |answer: &Answer, name: &str| answer.json()["errors"].to_string().replace(name, "…");
    assert_eq!(errors(&beyond, "notes"), errors(&unknown, "gone"));
    assert_eq!(refused(&manager.get(path).await, 404), "id_unknown");
    assert_eq!(refused(&manager.delete(path).await, 404), "id_unknown");
    assert_eq!(manager.get("/v1/roles").await.expect(200).json()["items"], json!([]));
}
