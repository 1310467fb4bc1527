//! A server that follows the log of changes: what it does when its place is gone, or the database is not its own any more.

use doorward_core::{id::AuditId, random::SeededRng};
use doorward_store::{
    audit::{AuditContext, Details},
    backup::Issued,
};

use crate::harness::*;

#[tokio::test]
async fn swept_or_restored_log_leaves_nothing_stale() {
    on_each_engine(async |server| {
        let web = &server.world.web;
        let swept = "UPDATE change_counter SET position = position + 10";
        let restored = "UPDATE change_counter SET position = 0";
        for moved in [swept, restored] {
            // The client is kept in memory now.
            server.caller.client_credentials(web, "notes:read").await.expect(200);
            let position = server.app.store.position().await.unwrap();
            for sql in ["UPDATE clients SET disabled_at = 1", "DELETE FROM changes", moved] {
                server.app.store.write(Run { sql, params: vec![] }).await.unwrap();
            }

            let reached = server.app.catch_up(position).await.unwrap();

            assert_eq!(reached, server.app.store.position().await.unwrap(), "{moved}");
            let refused = server.caller.client_credentials(web, "notes:read").await.oauth_error();
            assert_eq!(refused, (401, "invalid_client".into(), "client_authentication_failed".into()), "{moved}");
            let sql = "UPDATE clients SET disabled_at = NULL";
            server.app.store.write(Run { sql, params: vec![] }).await.unwrap();
            server.app.catch_up(position + 1_000).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn server_with_a_newer_database_issues_nothing() {
    on_each_engine(async |server| {
        let web = &server.world.web;
        let position = server.app.store.position().await.unwrap();
        let run = async |sql| server.app.store.write(Run { sql, params: vec![] }).await.unwrap();
        run("INSERT INTO schema_migrations (number, name) VALUES (999, 'later')").await;

        server.app.catch_up(position).await.unwrap_err();

        let refused = server.caller.client_credentials(web, "notes:read").await.oauth_error();
        assert_eq!(refused, (503, "temporarily_unavailable".into(), "unavailable".into()));
        run("DELETE FROM schema_migrations WHERE number = 999").await;
        server.app.catch_up(position).await.unwrap();
        server.caller.client_credentials(web, "notes:read").await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn server_reloads_everything_after_a_restore_before_serving() {
    on_each_engine(async |server| {
        let web = &server.world.web;
        let run = async |sql| server.app.store.write(Run { sql, params: vec![] }).await.unwrap();
        // The client is kept in memory now.
        server.caller.client_credentials(web, "notes:read").await.expect(200);
        let position = server.app.store.position().await.unwrap();
        run("INSERT INTO schema_migrations (number, name) VALUES (-2, 'restoring it')").await;
        server.app.catch_up(position).await.unwrap_err();
        let refused = server.caller.client_credentials(web, "notes:read").await.oauth_error();
        assert_eq!(refused, (503, "temporarily_unavailable".into(), "unavailable".into()));

        // What came back is another past, in which the log has nothing about the client.
        run("UPDATE clients SET disabled_at = 1").await;
        let alone = server.app.store.begin_alone().await.unwrap();
        let now = server.app.now();
        let audit = AuditContext {
            id: AuditId::new(now, &SeededRng::new(9)),
            at: now,
            trace_id: None,
            actor: None,
            address: None,
            details: Details::new(),
        };
        server.app.store.restore_in_place(&alone, Issued::Kept, audit).await.unwrap();
        let reached = server.app.catch_up(position).await.unwrap();
        assert_ne!(reached, position);
        let refused = server.caller.client_credentials(web, "notes:read").await.oauth_error();
        assert_eq!(refused, (401, "invalid_client".into(), "client_authentication_failed".into()));
    })
    .await;
}
