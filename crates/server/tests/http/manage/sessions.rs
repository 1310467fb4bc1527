//! `/v1/sessions`.

use doorward_store::users::FindUser;
use serde_json::{Value, json};

use super::manager::{Manager, refused};
use crate::harness::*;

async fn listed(manager: &Manager<'_>, query: &str) -> Vec<Value> {
    let page = manager.get(&format!("/v1/sessions?{query}")).await.expect(200).json();
    page["items"].as_array().unwrap().clone()
}

fn text(session: &Value, member: &str) -> String {
    session[member].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn live_sessions_are_listed_shown_and_ended() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let (alice, bob) = (server.browser(), server.browser());
        alice.sign_in(ALICE, PASSWORD).await.expect(303);
        server.advance_secs(1);
        bob.sign_in(BOB, PASSWORD).await.expect(303);

        let all = listed(&manager, "").await;
        assert_eq!(all.len(), 2);
        let of_alice = listed(&manager, &format!("user_id={}", text(&all[0], "user_id"))).await;
        assert_eq!(of_alice, all[..1]);
        let path = format!("/v1/sessions/{}", text(&all[0], "id"));
        let shown = manager.get(&path).await.expect(200);
        assert_eq!(shown.json(), all[0]);
        assert_eq!(all[0]["amr"], json!(["pwd"]));
        assert_eq!(all[0]["auth_time"], all[0]["created_at"]);
        assert_eq!(all[0]["address"], "127.0.0.1");
        for cookie in ["doorward-session", "doorward-device", "doorward-browser"] {
            assert!(!shown.body.contains(&alice.cookie(cookie).unwrap()), "{cookie}");
        }

        manager.delete(&path).await.expect(204);
        assert_eq!(alice.get("/account").await.location(), "/sign-in");
        bob.get("/account").await.expect(200);
        assert_eq!(listed(&manager, "").await, all[1..]);
        for answer in [manager.get(&path).await, manager.delete(&path).await] {
            assert_eq!(refused(&answer, 404), "id_unknown");
        }
        assert_eq!(refused(&manager.get("/v1/sessions?user_id=alice").await, 400), "query_invalid");
    })
    .await;
}

#[tokio::test]
async fn expired_session_is_neither_listed_nor_shown() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    server.browser().sign_in(ALICE, PASSWORD).await.expect(303);
    let path = format!("/v1/sessions/{}", text(&listed(&manager, "").await[0], "id"));
    server.advance(server.app.settings.session.idle);
    assert!(listed(&manager, "").await.is_empty());
    for answer in [manager.get(&path).await, manager.delete(&path).await] {
        assert_eq!(refused(&answer, 404), "id_unknown");
    }
}

#[tokio::test]
async fn all_sessions_of_a_user_end_and_browsers_are_forgotten() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let browsers = [server.browser(), server.browser()];
        for browser in &browsers {
            browser.sign_in(ALICE, PASSWORD).await.expect(303);
        }
        let other = server.browser();
        other.sign_in(BOB, PASSWORD).await.expect(303);
        let known = async || {
            let found = server.app.store.read(FindUser::ByUsername(ALICE.to_owned())).await.unwrap();
            found.unwrap().known_browsers
        };
        let before = known().await;
        let found = server.app.store.read(FindUser::ByUsername(ALICE.to_owned())).await.unwrap();
        let of_alice = format!("/v1/users/{}/sessions", found.unwrap().id);

        manager.delete(&of_alice).await.expect(204);

        for browser in &browsers {
            assert_eq!(browser.get("/account").await.location(), "/sign-in");
        }
        other.get("/account").await.expect(200);
        assert_eq!(known().await, before + 1);
        manager.delete(&of_alice).await.expect(204);
        let nobody = "/v1/users/usr_00000000000000000000000000000000/sessions";
        assert_eq!(refused(&manager.delete(nobody).await, 404), "id_unknown");
        browsers[0].sign_in(ALICE, PASSWORD).await.expect(303);
        let page = browsers[0].get("/account").await.expect(200).body;
        assert!(page.contains("The operator signed you out everywhere."), "{page}");
    })
    .await;
}
