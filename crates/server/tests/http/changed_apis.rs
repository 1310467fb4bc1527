//! What becomes of credentials when their API changes: a scope is removed, another algorithm is chosen, or the API is
//! deleted.

use std::net::SocketAddr;

use axum::{Router, routing::get};
use doorward_core::{
    api::{Api, ApiMetadata, DescribedScope, ResourceIdentifier},
    client::{AuthenticationMethod, GrantType},
    client_metadata::ClientMetadata,
    id::AuditId,
    jwk::Algorithm,
    scope::{Scope, ScopeSet},
};
use doorward_guard::{Guard, SystemRng};
use doorward_listen::Serve;
use doorward_server::manage::apis;
use doorward_store::{
    Operation, Updated,
    apis::{DeleteApi, UpdateApi},
    audit::{AuditContext, Details},
};
use serde_json::Value;

use crate::{harness::*, manage::manager::Manager};

fn audit(server: &TestServer) -> AuditContext {
    let at = server.app.now();
    let id = AuditId::new(at, &SystemRng::default());
    AuditContext { id, at, trace_id: None, actor: None, address: None, details: Details::new() }
}

/// Commits an operation of the store, as another process would, until this server knows it.
async fn commit<O: Operation>(server: &TestServer, operation: O) -> O::Output {
    let position = server.app.store.position().await.unwrap();
    let output = server.app.store.write(operation).await.unwrap();
    server.app.catch_up(position).await.unwrap();
    output
}

async fn api(server: &TestServer, name: &str) -> Api {
    let all = apis::all(&server.app).await.unwrap();
    all.by_name(name).unwrap().as_ref().clone()
}

pub(crate) async fn update(server: &TestServer, name: &str, change: impl FnOnce(&mut ApiMetadata)) {
    let Api { id, metadata: from, .. } = api(server, name).await;
    let mut to = from.clone();
    change(&mut to);
    let operation = UpdateApi { id, from, to, now: server.app.now(), audit: audit(server) };
    assert_eq!(commit(server, operation).await, Updated::Done);
}

pub(crate) async fn delete(server: &TestServer, name: &str) {
    let id = api(server, name).await.id;
    assert!(commit(server, DeleteApi { id, now: server.app.now(), audit: audit(server) }).await);
}

pub(crate) fn described(scope: &str) -> DescribedScope {
    DescribedScope { scope: Scope::parse(scope).unwrap(), description: "Do it".to_owned() }
}

/// Gives the client of the world its scopes again.
async fn give_again(server: &TestServer, scope: &str) {
    server.advance_secs(1);
    let path = format!("/v1/clients/{}?confirm=true", server.world.web.id);
    let manager = Manager::of_all(server).await;
    manager.patch(&path, serde_json::json!({"scope": scope})).await.expect(200);
}

pub(crate) async fn scope_of(server: &TestServer, asker: &Registered, token: &str) -> String {
    let state = server.caller.post_as(asker, "/introspect", &[("token", token)]).await.expect(200).json();
    state["scope"].as_str().unwrap_or_default().to_owned()
}

/// The scopes of a key, as the API notes learns them.
pub(crate) async fn scope_of_key(server: &TestServer, key: &str) -> Value {
    let notes = &server.world.notes;
    let authorization = basic(&notes.id, notes.secret.as_ref().unwrap());
    let answer = server.caller.verify_key(("authorization", &authorization), key, &[]).await.expect(200).json();
    answer["principal"]["scope"].clone()
}

#[tokio::test]
async fn removed_scope_counts_in_nothing_that_was_given_before() {
    on_each_engine(async |server| {
        let (world, browser) = (&server.world, server.browser());
        let request = AuthorizationRequest::of(&world.web);
        let code = browser.authorize(&request).await.sent("code").unwrap();
        let tokens = server.redeem(&world.web, &code).await.expect(200).json();
        let (access, mut refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].clone());
        let open = browser.authorize(&request).await.sent("code").unwrap();
        let without = "email notes:read offline_access openid profile";
        server.advance_secs(1);

        update(server, "notes", |api| drop(api.scopes.pop())).await;
        for added_again in [false, true] {
            if added_again {
                server.advance_secs(1);
                update(server, "notes", |api| api.scopes.push(described("notes:write"))).await;
            } else {
                let redeemed = server.redeem(&world.web, &open).await.expect(200);
                assert_eq!(redeemed.text("scope"), without, "by a code");
            }
            assert_eq!(scope_of(server, &world.notes, access).await, without);
            assert_eq!(scope_of_key(server, &world.key).await, "notes:read");
            let refreshed = server.caller.refresh(&world.web, refresh.as_str().unwrap()).await.expect(200);
            assert_eq!(refreshed.text("scope"), without, "by a refresh");
            assert_eq!(scope_of(server, &world.web, &refreshed.text("refresh_token")).await, without);
            refresh = refreshed.text("refresh_token").into();
        }

        // What is given from now on has the scope, and the user is asked for it.
        give_again(server, &format!("{without} mails:read notes:write")).await;
        let form = browser.consent(&request).await;
        let code = browser.allow(&form, &["offline_access", "notes:read", "notes:write"]).await.sent("code").unwrap();
        let token = server.redeem(&world.web, &code).await.expect(200).text("access_token");
        assert!(scope_of(server, &world.notes, &token).await.contains("notes:write"));
        let new = key(&server.app, new_key("notes", "notes:read notes:write")).await;
        assert_eq!(scope_of_key(server, &new).await, "notes:read notes:write");
    })
    .await;
}

#[tokio::test]
async fn grant_without_a_scope_left_has_ended() {
    let server = TestServer::start().await;
    let (web, notes) = (&server.world.web, &server.world.notes);
    let request = AuthorizationRequest::of(web).with("scope", "offline_access notes:read").without("nonce");
    let tokens = server.tokens_of(web, &request).await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    server.advance_secs(1);
    update(&server, "notes", |api| api.scopes.clear()).await;
    let refused = server.caller.refresh(web, refresh).await.oauth_error();
    assert_eq!(refused, (400, "invalid_grant".into(), "grant_ended".into()));
    assert!(!server.caller.is_active(web, refresh).await);
    assert_eq!(scope_of(&server, notes, tokens["access_token"].as_str().unwrap()).await, "offline_access");
}

#[tokio::test]
async fn scope_removed_while_a_page_is_open_is_not_granted() {
    let server = TestServer::start().await;
    let (web, browser) = (&server.world.web, server.browser());
    let form = browser.consent(&AuthorizationRequest::of(web)).await;
    let of_notes_alone = AuthorizationRequest::of(web).with("scope", "notes:write");
    let other = browser.get(&of_notes_alone.path()).await;
    server.advance_secs(1);
    update(&server, "notes", |api| drop(api.scopes.pop())).await;
    server.advance_secs(1);
    let code = browser.allow(&form, &["offline_access", "notes:read", "notes:write"]).await.sent("code").unwrap();
    let token = server.redeem(web, &code).await.expect(200).text("access_token");
    update(&server, "notes", |api| api.scopes.push(described("notes:write"))).await;
    assert_eq!(scope_of(&server, &server.world.notes, &token).await, "notes:read offline_access openid");
    let refused = browser.follow(other).await;
    assert_eq!(refused.sent("error").as_deref(), Some("invalid_scope"));
}

#[tokio::test]
async fn tokens_of_a_deleted_api_are_refused_at_once() {
    on_each_engine(async |server| {
        let world = &server.world;
        let jwt = server.caller.client_credentials(&world.web, "notes:read").await.text("access_token");
        let opaque = server.caller.client_credentials(&world.web, "mails:read").await.text("access_token");
        let signed_in = server.tokens(&world.web).await["access_token"].as_str().unwrap().to_owned();
        server.caller.userinfo(&signed_in).await.expect(200);
        let metadata = api(server, "notes").await.metadata;
        server.advance_secs(1);
        for name in ["notes", "mails"] {
            delete(server, name).await;
        }
        let refused = async |why: &str| {
            for token in [&jwt, &opaque, &signed_in] {
                assert!(!server.caller.is_active(&world.web, token).await, "{why}");
            }
            assert_eq!(server.caller.userinfo(&signed_in).await.problem(), (401, "token_revoked".into()), "{why}");
        };
        refused("the API is deleted").await;
        let by_credential = server.caller.post_as(&world.notes, "/introspect", &[("token", &jwt)]).await;
        assert_eq!(by_credential.oauth_error().0, 401);

        apis::create(&server.app, &operator(), metadata).await.unwrap();
        refused("another API has its identifier").await;
        give_again(server, "openid notes:read").await;
        let new = server.caller.client_credentials(&world.web, "notes:read").await.text("access_token");
        assert!(server.caller.is_active(&world.web, &new).await);
    })
    .await;
}

#[tokio::test]
async fn deleted_api_is_left_out_of_what_names_it() {
    let server = TestServer::start().await;
    let both = doorward_server::manage::keys::NewKey {
        apis: vec!["notes".into(), "mails".into()],
        roles: vec!["notes:admin".into()],
        ..new_key("notes", "notes:read mails:read")
    };
    let created = doorward_server::manage::keys::create(&server.app, &operator(), both).await.unwrap();
    server.advance_secs(1);
    delete(&server, "notes").await;
    let key = doorward_server::manage::keys::show(&server.app, &operator(), created.view.id.as_str()).await.unwrap();
    let scopes: Vec<_> = key.scopes.iter().map(ToString::to_string).collect();
    assert_eq!((key.apis, scopes), (vec!["mails".to_owned()], vec!["mails:read".to_owned()]));
    assert_eq!((key.api_ids.len(), key.roles.len()), (1, 0));
    let listed = doorward_server::manage::roles::list(&server.app, &operator(), Default::default(), None, 10).await;
    assert!(listed.unwrap().items.is_empty());
}

#[tokio::test]
async fn management_api_of_an_older_version_gets_its_role() {
    on_each_engine(async |server| {
        update(server, "doorward", |api| api.roles.clear()).await;
        for _ in 0..2 {
            apis::ensure_management(&server.app).await.unwrap();
            assert!(api(server, "doorward").await.metadata.roles.contains("admin"));
        }
    })
    .await;
}

/// An API as its makers run it, with what it got of the issuer so far.
pub(crate) async fn guarded(server: &TestServer, identifier: &ResourceIdentifier) -> Caller {
    let guard = Guard::builder(server.issuer(), identifier.clone()).clock(server.clock.clone()).build().unwrap();
    let routes = Router::new().route("/me", get(async || "any principal")).layer(guard.layer());
    let listener = doorward_listen::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let caller = Caller::new(&format!("http://{}", listener.local_addr().unwrap()));
    let serve = Serve { router: routes, limits: server.app.settings.listen, ..Serve::default() };
    tokio::spawn(doorward_listen::serve(vec![listener], serve, std::future::pending()));
    caller
}

#[tokio::test]
async fn token_is_verified_after_its_api_chose_another_algorithm() {
    on_each_engine(async |server| {
        let identifier = ResourceIdentifier::parse("https://ps.example").unwrap();
        let metadata = ApiMetadata {
            scopes: vec![described("ps:read")],
            signing_algorithm: Algorithm::PS256,
            ..ApiMetadata::new("ps", identifier.clone())
        };
        apis::create(&server.app, &operator(), metadata).await.unwrap();
        let client = ClientMetadata {
            grant_types: grants([GrantType::ClientCredentials]),
            redirect_uris: vec![],
            scope: ScopeSet::parse("ps:read").unwrap(),
            ..client("Ps", AuthenticationMethod::ClientSecret, "https://ps.example/cb")
        };
        let client = register(&server.app, client).await;
        let token = server.caller.client_credentials(&client, "ps:read").await.expect(200).text("access_token");
        assert_eq!(header(&token)["alg"], "PS256");
        let published = async || {
            let jwks = server.caller.get("/jwks").await.expect(200).json();
            jwks["keys"].as_array().unwrap().iter().any(|key| key["alg"] == "PS256")
        };
        server.advance_secs(1);

        update(server, "ps", |api| api.signing_algorithm = Algorithm::ES256).await;

        let new = server.caller.client_credentials(&client, "ps:read").await.expect(200).text("access_token");
        assert_eq!(header(&new)["alg"], "ES256");
        // The API was started after the change, so it knows only what is published now.
        let api = guarded(server, &identifier).await;
        for token in [&token, &new] {
            assert!(server.caller.is_active(&client, token).await);
            api.get_with("/me", &[("authorization", &format!("Bearer {token}"))]).await.expect(200);
        }
        assert!(published().await);
        server.advance(server.app.settings.signing.retire_after);
        assert!(!published().await, "the last token has expired");
    })
    .await;
}
