//! What takes something from a client in use has to be confirmed.

use serde_json::json;

use super::manager::{Manager, refused};
use crate::harness::*;

#[tokio::test]
async fn client_in_use_is_ended_only_if_confirmed() {
    on_each_engine(async |server| {
        let (manager, web) = (Manager::of_all(server).await, &server.world.web);
        server.tokens(web).await;
        let path = format!("/v1/clients/{}", web.id);
        for answer in [manager.delete(&path).await, manager.act(&format!("{path}/disable")).await] {
            assert_eq!(refused(&answer, 409), "confirmation_required");
            assert_eq!(answer.json()["ends"]["grants"], json!({"count": 1, "more": false}));
        }
        let shown = manager.get(&path).await.expect(200);
        assert_eq!(shown.json()["disabled_at"], json!(null));
        manager.act(&format!("{path}/disable?confirm=true")).await.expect(200);
        manager.act(&format!("{path}/disable")).await.expect(200);
        manager.delete(&format!("{path}?confirm=true")).await.expect(204);
        manager.get(&path).await.expect(404);
    })
    .await;
}

#[tokio::test]
async fn narrowing_of_a_client_in_use_must_be_confirmed() {
    let server = TestServer::start().await;
    let (manager, web) = (Manager::of_all(&server).await, &server.world.web);
    let path = format!("/v1/clients/{}", web.id);
    let add = json!({"redirect_uris": [web.redirect_uri, "https://app.example/2"]});
    server.tokens(web).await;
    manager.patch(&path, add).await.expect(200);
    for less in [
        json!({"redirect_uris": [web.redirect_uri]}),
        json!({"scope": "openid offline_access notes:read"}),
        json!({"grant_types": ["authorization_code", "refresh_token"]}),
    ] {
        let answer = manager.patch(&path, less.clone()).await;
        assert_eq!(refused(&answer, 409), "confirmation_required", "{less}");
        assert_eq!(answer.json()["ends"]["grants"]["count"], 1);
        manager.patch(&format!("{path}?confirm=true"), less).await.expect(200);
    }
    manager.patch(&path, json!({"client_name": "Other"})).await.expect(200);
}

#[tokio::test]
async fn scope_taken_from_a_client_is_in_no_later_token() {
    on_each_engine(async |server| {
        let (manager, web) = (Manager::of_all(server).await, &server.world.web);
        let path = format!("/v1/clients/{}?confirm=true", web.id);
        let request = AuthorizationRequest::of(web).with("scope", "openid offline_access notes:read notes:write");
        let tokens = server.tokens_of(web, &request).await;
        let code = server.code_of(&request).await;
        let before = manager.get(&format!("/v1/clients/{}", web.id)).await.expect(200).text("scope");
        manager.patch(&path, json!({"scope": "openid offline_access notes:read"})).await.expect(200);

        let redeemed = server.redeem(web, &code).await.expect(200);
        assert!(!redeemed.text("scope").contains("notes:write"), "{}", redeemed.body);
        let refreshed = server.caller.refresh(web, tokens["refresh_token"].as_str().unwrap()).await.expect(200);
        assert!(refreshed.text("scope").contains("notes:read"));
        assert!(!refreshed.text("scope").contains("notes:write"), "{}", refreshed.body);

        let none_left = json!({"scope": "mails:read offline_access", "default_scope": "mails:read"});
        manager.patch(&path, none_left).await.expect(200);
        let refused = server.caller.refresh(web, &refreshed.text("refresh_token")).await;
        assert_eq!(refused.oauth_error().1, "invalid_scope");
        manager.patch(&path, json!({"scope": before})).await.expect(200);
        let again = server.caller.refresh(web, &refreshed.text("refresh_token")).await.expect(200);
        assert!(again.text("scope").contains("notes:write"), "the user allowed it, and the client may have it again");
    })
    .await;
}
