//! A server keeps its audit within its bounds: it sums up tokens, removes the oldest events, and says what went.

use std::time::Duration;

use doorward_server::{Settings, manage::audit::Explained, tasks};

use crate::harness::*;

fn of<'a>(events: &'a [Explained], action: &str) -> Vec<&'a Explained> {
    events.iter().filter(|event| event.action == action).collect()
}

/// Gets so many tokens in one minute, and one in the next: a minute is over only once something came after it.
async fn issue(server: &TestServer, count: usize) {
    server.advance_secs(u64::try_from(60 - server.now().rem_euclid(60)).unwrap());
    for _ in 0..count {
        server.caller.client_credentials(&server.world.web, "notes:read").await.expect(200);
    }
    server.advance_secs(60);
    server.caller.client_credentials(&server.world.web, "notes:read").await.expect(200);
    server.app.flush_audit().await.unwrap();
    server.advance_secs(300);
}

async fn all(server: &TestServer) -> Vec<Explained> {
    server.audit("events", |events| !events.is_empty()).await
}

#[tokio::test]
async fn oldest_refusals_go_beyond_their_bound_with_one_report() {
    on_each_engine_with(
        |settings| settings.audit.max_refusals = 10,
        async |server| {
            server.stop_tasks().await;
            for _ in 0..30 {
                server.caller.userinfo("nonsense").await.expect(401);
            }
            server.app.flush_audit().await.unwrap();
            let before = all(server).await;
            server.advance_secs(300);
            for _ in 0..3 {
                assert!(tasks::sweep_all(&server.app).await.unwrap());
            }
            let after = all(server).await;
            let refused = |events: &[Explained]| {
                of(events, "request.refused").iter().map(|event| event.id.clone()).collect::<Vec<_>>()
            };
            assert_eq!(refused(&after), refused(&before)[20..]);
            let [report] = of(&after, "audit.events_removed")[..] else { panic!("not one report: {after:#?}") };
            assert_eq!(
                (&report.details["request.refused"], &report.details["bounds"]),
                (&"20".into(), &"audit.max_refusals".into())
            );
            assert_eq!(after.len(), before.len() - 20 + 1);
        },
    )
    .await;
}

#[tokio::test]
async fn tokens_are_summed_up_after_their_time() {
    let settings = |settings: &mut Settings| settings.audit.summarize_after = Duration::from_secs(1_800);
    on_each_engine_with(settings, async |server| {
        server.stop_tasks().await;
        issue(server, 7).await;
        tasks::sweep_all(&server.app).await.unwrap();
        assert_eq!(of(&all(server).await, "token.issued").len(), 8, "it is not time yet");
        server.advance_secs(3_600);
        tasks::sweep_all(&server.app).await.unwrap();
        let events = all(server).await;
        let [sum, last] = of(&events, "token.issued")[..] else { panic!("{events:#?}") };
        assert_eq!((sum.count, last.count), (7, 1));
        assert_eq!(sum.actor.as_deref(), Some(&*server.world.web.id));
        assert!(of(&events, "audit.events_removed").is_empty(), "nothing is lost by it");
    })
    .await;
}

#[tokio::test]
async fn tokens_are_not_summed_up_where_that_is_turned_off() {
    let server = TestServer::start_with(|settings| settings.audit.summarize_after = Duration::ZERO).await;
    server.stop_tasks().await;
    issue(&server, 7).await;
    server.advance_secs(20 * 3_600);
    tasks::sweep_all(&server.app).await.unwrap();
    assert_eq!(of(&all(&server).await, "token.issued").len(), 8);
}

#[tokio::test]
async fn tokens_are_summed_up_before_changes_of_state_go() {
    let server = TestServer::start_with(|settings| settings.audit.max_rows = 60).await;
    server.stop_tasks().await;
    let before = all(&server).await.len();
    // Three more than are kept.
    let many = 62 - before;
    issue(&server, many).await;
    tasks::sweep_all(&server.app).await.unwrap();
    let events = all(&server).await;
    let tokens = of(&events, "token.issued");
    assert_eq!(tokens.iter().map(|event| event.count).collect::<Vec<_>>(), [i64::try_from(many).unwrap(), 1]);
    assert_eq!(events.len(), before + 2, "nothing else went");
}

#[tokio::test]
async fn oldest_events_go_if_tokens_come_faster_than_they_are_summed() {
    let server = TestServer::start_with(|settings| settings.audit.max_rows = 60).await;
    server.stop_tasks().await;
    let first = all(&server).await[0].id.clone();
    issue(&server, 80).await;
    tasks::sweep_all(&server.app).await.unwrap();
    let events = all(&server).await;
    assert!(events.iter().all(|event| event.id != first), "the oldest went");
    let [report] = of(&events, "audit.events_removed")[..] else { panic!("not one report: {events:#?}") };
    assert_eq!(report.details["bounds"], "audit.max_rows");
    assert!(events.len() <= 60 + 1, "{}", events.len());
}
