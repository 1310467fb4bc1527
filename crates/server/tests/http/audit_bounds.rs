//! A server keeps its audit within its bounds: it removes the oldest events and says what went.

use doorward_server::{manage::audit::Explained, tasks};

use crate::harness::*;

fn of<'a>(events: &'a [Explained], action: &str) -> Vec<&'a Explained> {
    events.iter().filter(|event| event.action == action).collect()
}

async fn all(server: &TestServer) -> Vec<Explained> {
    server.audit("events", |events| !events.is_empty()).await
}

#[tokio::test]
async fn oldest_refusals_go_beyond_their_bound_with_one_report() {
    on_each_engine_with(
        |settings| settings.audit.max_refusals = 10,
        async |server| {
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
