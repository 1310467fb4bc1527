//! A server whose place in the log of changes is no longer there reads everything anew.

use crate::harness::*;

#[tokio::test]
async fn a_log_that_was_swept_or_restored_from_a_backup_leaves_nothing_stale() {
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
