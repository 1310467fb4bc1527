//! A store that is away: 503 with `Retry-After`, and recovery without a restart.

use crate::harness::*;

/// A 503 that says when to come back.
#[track_caller]
fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.header("retry-after"), Some("2"));
}

#[tokio::test]
async fn unwritable_sqlite_gives_503_and_leaves_nothing_half_done() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let code = server.code(web).await;
    let file = server.folder.as_ref().unwrap().path().join("doorward.db");
    let other = rusqlite::Connection::open(file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (redeemed, page) = tokio::join!(server.redeem(web, &code), server.caller.get_with("/sign-in", &[]));
    assert_unavailable(&redeemed);
    assert_eq!(redeemed.oauth_error(), (503, "temporarily_unavailable".into(), "unavailable".into()));
    // Who asks whether it can serve learns that it can't, and that it works.
    let ready = server.caller.get("/health/ready").await.expect(503).json();
    assert_eq!(
        (ready["status"].as_str(), ready["checks"]["database"].as_str()),
        (Some("not_ready"), Some("takes no writes"))
    );
    server.caller.get("/health/live").await.expect(200);
    // What only reads continues.
    page.expect(200);
    server.caller.get("/jwks").await.expect(200);
    other.execute_batch("ROLLBACK").unwrap();
    eventually("the store takes writes again", async || {
        let answer = server.redeem(web, &code).await;
        (answer.status == 200).then_some(())
    })
    .await;
    // The refusals of that time were written when they could be.
    assert!(server.refusals(1).await.contains(&"unavailable".to_owned()));
}

#[tokio::test]
async fn lost_postgresql_gives_503_and_recovers() {
    let Some(database) = Database::postgres().await else { return };
    let server = TestServer::on(database.clone(), |_| {}).await;
    let web = &server.world.web;
    let tokens = server.tokens(web).await;
    let (access_token, refresh_token) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    database.allow_connections(false).await;
    let introspection = server.caller.post_as(web, "/introspect", &[("token", access_token)]).await;
    assert_unavailable(&introspection);
    assert_eq!(introspection.oauth_error().1, "temporarily_unavailable");
    assert_unavailable(&server.caller.refresh(web, refresh_token).await);
    assert_unavailable(&server.caller.userinfo(access_token).await);
    assert_eq!(server.caller.userinfo(access_token).await.problem(), (503, "unavailable".into()));
    assert_unavailable(&server.caller.post_as(web, "/revoke", &[("token", access_token)]).await);
    let request = AuthorizationRequest::of(web);
    let page = server.caller.get(&request.path()).await;
    assert_unavailable(&page);
    assert_eq!(page.error_page(), (503, "unavailable".into()));
    database.allow_connections(true).await;
    eventually("the server has the store again", async || {
        server.caller.is_active_or_unavailable(web, access_token).await.then_some(())
    })
    .await;
    server.caller.refresh(web, refresh_token).await.expect(200);
    assert!(server.refusals(5).await.contains(&"unavailable".to_owned()));
    drop(server);
    database.drop_postgres().await;
}

#[tokio::test]
async fn server_answers_503_after_five_seconds_without_changes() {
    let Some(database) = Database::postgres().await else { return };
    let server = TestServer::on(database.clone(), |_| {}).await;
    let web = &server.world.web;
    server.caller.client_credentials(web, "notes:read").await.expect(200);
    database.allow_connections(false).await;
    // A client_credentials JWT needs no row. After five seconds it is still refused, since the client may have been
    // disabled by now.
    let blind = eventually("the server says that it is blind", async || {
        let answer = server.caller.client_credentials(web, "notes:read").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_unavailable(&blind);
    assert_unavailable(&server.caller.get("/health").await);
    database.allow_connections(true).await;
    eventually("the server sees again", async || {
        (server.caller.client_credentials(web, "notes:read").await.status == 200).then_some(())
    })
    .await;
    drop(server);
    database.drop_postgres().await;
}
