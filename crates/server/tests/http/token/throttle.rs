//! Failed client authentication is slowed down; the right secret always gets in (protocol.md, "Passwords and
//! throttling").

use crate::harness::*;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

async fn fail(server: &TestServer, caller: &Caller) -> Answer {
    let authorization = basic(&server.world.web.id, "dw_cs_guess");
    caller.post_with("/token", &[("authorization", &authorization)], &[GRANT]).await
}

#[tokio::test]
async fn right_secret_passes_while_guesses_wait_after_20_failures() {
    on_each_engine(async |server| {
        // The minute begins with the counting, not within it.
        server.advance_secs(u64::try_from(60 - server.now().rem_euclid(60)).unwrap());
        for _ in 0..20 {
            fail(server, &server.caller).await.expect(401);
        }
        for _ in 0..3 {
            let throttled = fail(server, &server.caller).await;
            let expected = (429, "temporarily_unavailable".to_owned(), "client_throttled".to_owned());
            assert_eq!(throttled.oauth_error(), expected);
            assert_eq!(throttled.header("retry-after"), Some("60"));
            let story = server.explain(&throttled.text("trace_id")).await;
            let details = &story.last().expect("an event").details;
            assert_eq!(details["client_id"], server.world.web.id, "the operator looks for the misconfigured client");
        }
        server.caller.token(&server.world.web, &[GRANT]).await.expect(200);
        // Another address has a minute of its own, and so has the next minute.
        fail(server, &server.caller_from([127, 0, 0, 2])).await.expect(401);
        server.advance_secs(60);
        fail(server, &server.caller).await.expect(401);
    })
    .await;
}

#[tokio::test]
async fn failures_count_across_servers_on_one_store() {
    on_each_engine(async |server| {
        server.advance_secs(u64::try_from(60 - server.now().rem_euclid(60)).unwrap());
        let beside = server.beside().await;
        for at in 0..20 {
            let caller = if at % 2 == 0 { &server.caller } else { &beside.caller };
            fail(server, caller).await.expect(401);
        }
        fail(server, &server.caller).await.expect(429);
        fail(server, &beside.caller).await.expect(429);
    })
    .await;
}

#[tokio::test]
async fn errors_that_are_no_guesses_do_not_count() {
    let server = TestServer::start_with(|settings| settings.throttle.client_failures_per_minute = 1).await;
    for _ in 0..5 {
        server.caller.token(&server.world.web, &[("grant_type", "password")]).await.expect(400);
        server.caller.client_credentials(&server.world.web, "nonsense").await.expect(400);
    }
    fail(&server, &server.caller).await.expect(401);
    fail(&server, &server.caller).await.expect(429);
}
