//! A scope that was removed from its API counts again only where somebody gives it again: to a key, a client or a grant.

use doorward_core::desired_state::DesiredState;
use doorward_server::manage::{
    keys,
    state::{self, How},
    users,
};
use serde_json::json;

use crate::{
    changed_apis::{delete, described, scope_of_key, update},
    harness::*,
    manage::manager::Manager,
};

/// Removes `notes:write` from its API, and lets an API have it again.
async fn remove_and_return(server: &TestServer) {
    remove(server).await;
    server.advance_secs(1);
    update(server, "notes", |api| api.scopes.push(described("notes:write"))).await;
    server.advance_secs(1);
}

async fn remove(server: &TestServer) {
    server.advance_secs(1);
    update(server, "notes", |api| drop(api.scopes.pop())).await;
    server.advance_secs(1);
}

const APPLIED: How = How { is_confirmed: true, is_dry_run: false, prunes: false, skips_missing: false };

#[tokio::test]
async fn returned_scope_can_be_given_to_a_key_again() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let new = keys::create(&server.app, &operator(), new_key("notes", "notes:read notes:write")).await.unwrap();
        let (path, text) = (format!("/v1/keys/{}", new.view.id), new.key.reveal().to_owned());
        remove_and_return(server).await;
        manager.patch(&path, json!({"name": "Renamed"})).await.expect(200);
        assert_eq!(scope_of_key(server, &text).await, "notes:read", "another change gives nothing");
        let given = manager.patch(&path, json!({"scopes": ["notes:read", "notes:write"]})).await.expect(200);
        assert_eq!(given.json()["scopes"], json!(["notes:read", "notes:write"]));
        assert_eq!(manager.get(&path).await.json(), given.json());
        assert_eq!(scope_of_key(server, &text).await, "notes:read notes:write");
    })
    .await;
}

#[tokio::test]
async fn client_has_a_returned_scope_once_it_is_given_again() {
    on_each_engine(async |server| {
        let (manager, web) = (Manager::of_all(server).await, &server.world.web);
        let path = format!("/v1/clients/{}", web.id);
        let all = manager.get(&path).await.text("scope");
        manager.patch(&path, json!({"default_scope": "notes:write"})).await.expect(200);
        let request = AuthorizationRequest::of(web).with("scope", "openid offline_access notes:read notes:write");
        remove_and_return(server).await;

        let refused = server.caller.client_credentials(web, "notes:write").await.oauth_error();
        assert_eq!((refused.0, refused.1.as_str()), (400, "invalid_scope"));
        let by_default = server.caller.token(web, &[("grant_type", "client_credentials")]).await.oauth_error();
        assert_eq!((by_default.0, by_default.1.as_str()), (400, "invalid_scope"));
        let at_authorize = server.browser().get(&request.path()).await;
        assert_eq!(at_authorize.sent("error").as_deref(), Some("invalid_scope"));

        manager.patch(&path, json!({"scope": all, "default_scope": "notes:write"})).await.expect(200);
        server.caller.client_credentials(web, "notes:write").await.expect(200);
        server.caller.token(web, &[("grant_type", "client_credentials")]).await.expect(200);
        let tokens = server.tokens_of(web, &request).await;
        assert!(tokens["scope"].as_str().unwrap().contains("notes:write"));
        let refreshed = server.caller.refresh(web, tokens["refresh_token"].as_str().unwrap()).await.expect(200);
        assert!(refreshed.text("scope").contains("notes:write"));
    })
    .await;
}

#[tokio::test]
async fn client_with_a_removed_scope_can_be_changed() {
    on_each_engine(async |server| {
        let (manager, web) = (Manager::of_all(server).await, &server.world.web);
        let path = format!("/v1/clients/{}", web.id);
        manager.patch(&path, json!({"default_scope": "notes:read notes:write"})).await.expect(200);
        server.tokens(web).await;
        remove(server).await;
        let shown = manager.get(&path).await.expect(200);
        assert_eq!(shown.text("scope"), "email mails:read notes:read offline_access openid profile");
        assert_eq!(shown.text("default_scope"), "notes:read");
        manager.patch(&path, json!({})).await.expect(200);
        let renamed = manager.patch(&path, json!({"client_name": "Renamed"})).await.expect(200);
        assert_eq!((renamed.text("client_name"), renamed.text("scope")), ("Renamed".to_owned(), shown.text("scope")));
        update(server, "notes", |api| api.scopes.push(described("notes:write"))).await;
        server.advance_secs(1);
        server.caller.client_credentials(web, "notes:read").await.expect(200);
        assert_eq!(server.caller.client_credentials(web, "notes:write").await.oauth_error().0, 400);
    })
    .await;
}

#[tokio::test]
async fn state_gives_returned_scopes_again_and_then_is_reached() {
    on_each_engine(async |server| {
        let before = state::export(&server.app, &operator()).await.unwrap();
        remove_and_return(server).await;
        let apply = async |desired| state::apply(&server.app, &operator(), desired, APPLIED).await.unwrap().changes;
        let narrower = state::export(&server.app, &operator()).await.unwrap();
        assert!(apply(&narrower).await.is_empty(), "what is exported is there");
        assert_eq!(scope_of_key(server, &server.world.key).await, "notes:read");
        let before = DesiredState { api: narrower.api.clone(), ..before };
        assert_eq!(apply(&before).await.len(), 4, "the three clients and the key");
        assert!(apply(&before).await.is_empty());
        assert_eq!(scope_of_key(server, &server.world.key).await, "notes:read notes:write");
        server.caller.client_credentials(&server.world.web, "notes:write").await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn scope_that_moves_between_apis_is_given_in_the_same_state() {
    on_each_engine(async |server| {
        let mut desired = state::export(&server.app, &operator()).await.unwrap();
        desired.key = None;
        let apis = desired.api.as_mut().unwrap();
        let moved = apis[0].scopes.pop().unwrap();
        apis[1].scopes.push(moved);
        let apply = async || state::apply(&server.app, &operator(), &desired, APPLIED).await.unwrap().changes;
        assert_eq!(apply().await.len(), 5, "two APIs, and three clients");
        assert!(apply().await.is_empty());
        server.caller.client_credentials(&server.world.web, "notes:write").await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn grants_show_no_removed_scopes() {
    on_each_engine(async |server| {
        let (manager, web, browser) = (Manager::of_all(server).await, &server.world.web, server.browser());
        browser.authorize(&AuthorizationRequest::of(web)).await.sent("code").unwrap();
        let page = browser.get("/account").await;
        assert!(page.body.contains("Change your notes"), "{}", page.body);
        remove_and_return(server).await;
        let listed = manager.get("/v1/grants").await.expect(200).json();
        let grant = &listed["items"][0];
        assert_eq!(grant["scopes"], "email notes:read offline_access openid profile");
        let shown = manager.get(&format!("/v1/grants/{}", grant["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(&shown.json(), grant);
        let page = browser.get("/account").await;
        assert!(page.body.contains("Read your notes") && !page.body.contains("Change your notes"));
    })
    .await;
}

#[tokio::test]
async fn key_says_that_its_owner_or_its_api_is_deleted() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let state = async |id: &str| manager.get(&format!("/v1/keys/{id}")).await.expect(200).text("state");
        let owned = keys::NewKey { owner: Some(format!("user:{BOB}")), ..new_key("notes", "notes:read") };
        let owned = keys::create(&server.app, &operator(), owned).await.unwrap();
        users::disable(&server.app, &operator(), BOB, true, |_| Ok(())).await.unwrap();
        assert_eq!(state(owned.view.id.as_str()).await, "owner_disabled");
        users::delete(&server.app, &operator(), BOB, true, |_| Ok(())).await.unwrap();
        assert_eq!(state(owned.view.id.as_str()).await, "owner_deleted");
        let of_mails = keys::create(&server.app, &operator(), new_key("mails", "mails:read")).await.unwrap();
        assert_eq!(state(of_mails.view.id.as_str()).await, "active");
        delete(server, "mails").await;
        assert_eq!(state(of_mails.view.id.as_str()).await, "api_deleted");
    })
    .await;
}
