//! `/v1/grants`.

use doorward_server::manage::keys::NewKey;
use serde_json::Value;

use super::manager::{Manager, refused};
use crate::harness::*;

fn ids(listed: &Answer) -> Vec<String> {
    listed.json()["items"].as_array().unwrap().iter().map(|grant| grant["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn grant_is_listed_shown_and_revoked() {
    on_each_engine(async |server| {
        let (manager, world) = (Manager::of_all(server).await, &server.world);
        let tokens = server.tokens(&world.web).await;
        server.tokens(&world.native).await;
        let listed = manager.get(&format!("/v1/grants?client_id={}", world.web.id)).await.expect(200);
        let [id] = &ids(&listed)[..] else { panic!("{}", listed.body) };
        let path = format!("/v1/grants/{id}");
        let shown = manager.get(&path).await.expect(200);
        assert_eq!(shown.json(), listed.json()["items"][0]);
        assert_eq!(shown.text("client_id"), world.web.id);
        assert!(shown.text("scopes").contains("notes:read") && shown.text("created_at").ends_with('Z'));
        let of_user = format!("/v1/grants?user_id={}", shown.text("user_id"));
        assert_eq!(ids(&manager.get(&of_user).await.expect(200)).len(), 2);
        assert!(ids(&manager.get("/v1/grants?user_id=usr_00000000000000000000000000000000").await).is_empty());
        manager.delete(&path).await.expect(204);
        for answer in [manager.get(&path).await, manager.delete(&path).await] {
            assert_eq!(refused(&answer, 404), "id_unknown");
        }
        assert_eq!(ids(&manager.get(&of_user).await).len(), 1);
        let answer = server.caller.refresh(&world.web, tokens["refresh_token"].as_str().unwrap()).await;
        assert_eq!(answer.oauth_error().1, "invalid_grant");
    })
    .await;
}

#[tokio::test]
async fn pages_of_grants_follow_each_other() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    for _ in 0..3 {
        server.tokens(&server.world.web).await;
    }
    let all = ids(&manager.get("/v1/grants").await.expect(200));
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = manager.get(&format!("/v1/grants?limit=1{next}")).await.expect(200);
        seen.extend(ids(&page));
        match page.json()["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!((seen.len(), &seen), (3, &all));
}

#[tokio::test]
async fn limited_caller_finds_other_grants_as_unknown() {
    let server = TestServer::start().await;
    let all = Manager::of_all(&server).await;
    server.tokens(&server.world.web).await;
    let listed = all.get("/v1/grants").await.expect(200);
    let path = format!("/v1/grants/{}", ids(&listed)[0]);
    let user = listed.json()["items"][0]["user_id"].as_str().unwrap().to_owned();
    let by = async |owner: &str| {
        let limits = vec![owner.to_owned()];
        Manager::by(&server, NewKey { limited_to_owners: limits, ..new_key("doorward", "grants:read grants:write") })
            .await
    };
    let stranger = by(BOB).await;
    assert_eq!(stranger.get("/v1/grants").await.expect(200).json()["items"], Value::Array(vec![]));
    for answer in [stranger.get(&path).await, stranger.delete(&path).await] {
        assert_eq!(refused(&answer, 404), "id_unknown");
    }
    by(&user).await.delete(&path).await.expect(204);
}
