//! Client authentication at `/token` (RFC 6749 sections 2.3 and 5.2).

use doorward_core::{
    client::{AuthenticationMethod, GrantType},
    client_metadata::ClientMetadata,
};
use doorward_server::manage::clients;

use crate::harness::*;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const REFUSED: &str = "client_authentication_failed";

/// A client of client_credentials with one way of authentication.
async fn registered(server: &TestServer, authentication: AuthenticationMethod) -> Registered {
    let new = ClientMetadata {
        grant_types: grants([GrantType::ClientCredentials]),
        redirect_uris: vec![],
        default_scope: doorward_core::scope::ScopeSet::parse("notes:read").unwrap(),
        ..client("Robot", authentication, "https://robot.example/cb")
    };
    register(&server.app, new).await
}

#[tokio::test]
async fn a_client_with_a_secret_may_use_basic_or_post() {
    let server = TestServer::start().await;
    let (web, caller) = (&server.world.web, &server.caller);
    let (id, secret) = (web.id.as_str(), web.secret.as_deref().unwrap());
    caller.post_with("/token", &[("authorization", &basic(id, secret))], &[GRANT]).await.expect(200);
    caller.post("/token", &[GRANT, ("client_id", id), ("client_secret", secret)]).await.expect(200);
    // The scheme has no case (RFC 9110 section 11.1), and a client_id beside Basic is accepted if it is equal.
    let lower = basic(id, secret).replace("Basic", "bASIC");
    caller.post_with("/token", &[("authorization", &lower)], &[GRANT, ("client_id", id)]).await.expect(200);
}

#[tokio::test]
async fn a_registered_method_is_the_only_one() {
    let server = TestServer::start().await;
    for (method, basic_status, post_status) in
        [(AuthenticationMethod::ClientSecretBasic, 200, 401), (AuthenticationMethod::ClientSecretPost, 401, 200)]
    {
        let robot = registered(&server, method).await;
        let (id, secret) = (robot.id.as_str(), robot.secret.as_deref().unwrap());
        let by_basic = server.caller.post_with("/token", &[("authorization", &basic(id, secret))], &[GRANT]).await;
        let by_post = server.caller.post("/token", &[GRANT, ("client_id", id), ("client_secret", secret)]).await;
        assert_eq!((by_basic.status, by_post.status), (basic_status, post_status), "{method:?}");
    }
}

#[tokio::test]
async fn a_public_client_names_itself_and_may_not_prove_anything() {
    let server = TestServer::start().await;
    let spa = &server.world.spa;
    let code = server.code(spa).await;
    let with_secret = [&redemption(spa, &code)[..], &[("client_id", &spa.id), ("client_secret", "anything")]].concat();
    let refused = server.caller.post("/token", &with_secret).await;
    assert_eq!(refused.oauth_error(), (401, "invalid_client".into(), REFUSED.into()));
    // Libraries send the id by Basic with an empty secret.
    let (public, confidential) = (basic(&spa.id, ""), basic(&server.world.web.id, ""));
    server.caller.post_with("/token", &[("authorization", &public)], &redemption(spa, &code)).await.expect(200);
    let refused = server.caller.post_with("/token", &[("authorization", &confidential)], &[GRANT]).await;
    assert_eq!(refused.oauth_error(), (401, "invalid_client".into(), REFUSED.into()));
    // A confidential client that only names itself is nobody.
    let nobody = server.caller.post("/token", &[GRANT, ("client_id", &server.world.web.id)]).await;
    assert_eq!(nobody.oauth_error(), (401, "invalid_client".into(), REFUSED.into()));
}

#[tokio::test]
async fn missing_authentication_is_invalid_client_and_no_challenge() {
    let server = TestServer::start().await;
    let answer = server.caller.post("/token", &[GRANT]).await;
    assert_eq!(answer.oauth_error(), (401, "invalid_client".into(), "client_authentication_missing".into()));
    assert_eq!(answer.header("www-authenticate"), None);
}

#[tokio::test]
async fn the_challenge_is_basic_where_basic_was_used_and_nowhere_else() {
    let server = TestServer::start().await;
    let id = server.world.web.id.as_str();
    let by_basic = server.caller.post_with("/token", &[("authorization", &basic(id, "wrong"))], &[GRANT]).await;
    assert_eq!(by_basic.oauth_error(), (401, "invalid_client".into(), REFUSED.into()));
    assert_eq!(by_basic.header("www-authenticate"), Some("Basic realm=\"doorward\", charset=\"UTF-8\""));
    let by_post = server.caller.post("/token", &[GRANT, ("client_id", id), ("client_secret", "wrong")]).await;
    assert_eq!(by_post.oauth_error(), (401, "invalid_client".into(), REFUSED.into()));
    assert_eq!(by_post.header("www-authenticate"), None);
}

#[tokio::test]
async fn unknown_disabled_and_wrong_secret_clients_look_alike() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let disabled = registered(&server, AuthenticationMethod::ClientSecret).await;
    clients::disable(&server.app, &operator(), &disabled.id, true, |_| Ok(())).await.unwrap();
    let mut faces = Vec::new();
    for (id, secret) in [
        ("cli_00000000000000000000000000000000", "dw_cs_wrong"),
        ("nonsense", "dw_cs_wrong"),
        (web.id.as_str(), "dw_cs_wrong"),
        (disabled.id.as_str(), disabled.secret.as_deref().unwrap()),
    ] {
        let answer = server.caller.post_with("/token", &[("authorization", &basic(id, secret))], &[GRANT]).await;
        let mut headers: Vec<_> = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
        headers.sort();
        let body = answer.body.replace(&answer.text("trace_id"), "TRACE");
        faces.push((answer.status, headers, body));
    }
    assert!(faces.iter().all(|face| *face == faces[0]), "{faces:#?}");
    // The operator sees the difference.
    let codes = ["client_disabled", "client_secret_wrong", "client_unknown", "client_unknown"];
    assert_eq!(server.refusals(4).await, codes);
}

#[tokio::test]
async fn more_than_one_way_at_once_is_an_invalid_request() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let (id, secret) = (web.id.as_str(), web.secret.as_deref().unwrap());
    let authorization = basic(id, secret);
    let twice = [("authorization", authorization.as_str()), ("authorization", authorization.as_str())];
    let both = [GRANT, ("client_id", id), ("client_secret", secret)];
    for answer in [
        server.caller.post_with("/token", &twice[..1], &both).await,
        server.caller.post_with("/token", &twice[..1], &[GRANT, ("client_assertion", "e30.e30.AA")]).await,
        server.caller.post_with("/token", &twice, &[GRANT]).await,
    ] {
        assert_eq!(answer.oauth_error(), (400, "invalid_request".into(), "client_authentication_multiple".into()));
    }
}

#[tokio::test]
async fn malformed_basic_is_an_invalid_request_and_no_attempt() {
    let server = TestServer::start_with(|settings| settings.throttle.client_failures_per_minute = 0).await;
    let id = &server.world.web.id;
    for authorization in
        ["Basic", "Basic %%%", "Basic bm9jb2xvbg==", "Basic OnNlY3JldA==", "Bearer abc", "Digest x=y", "Basic /////w=="]
    {
        let answer = server.caller.post_with("/token", &[("authorization", authorization)], &[GRANT]).await;
        let code = "client_authentication_malformed".to_owned();
        assert_eq!(answer.oauth_error(), (400, "invalid_request".into(), code), "{authorization}");
    }
    let other = [GRANT, ("client_id", "cli_00000000000000000000000000000000")];
    let unequal = server.caller.post_with("/token", &[("authorization", &basic(id, "x"))], &other).await;
    assert_eq!(unequal.oauth_error().2, "client_authentication_malformed");
}

#[tokio::test]
async fn a_rotated_secret_is_refused_from_then_on() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    server.caller.token(web, &[GRANT]).await.expect(200);
    let secret = clients::rotate_secret(&server.app, &operator(), &web.id, |_| Ok(())).await.unwrap();
    server.caller.token(web, &[GRANT]).await.expect(401);
    let secret = doorward_core::secret::ExposeSecret::expose_secret(&secret).to_owned();
    server.caller.token(&Registered { secret: Some(secret), ..web.clone() }, &[GRANT]).await.expect(200);
}
